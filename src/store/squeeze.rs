//! Whole results on the disk: long text is kept as zlib's bytes, short text as it is.
//!
//! SQL sees two functions: `squeezed(text)` gives what is written, `whole(value)` the text again.
//!
//! # Invariants
//! - `whole(squeezed(text))` is the text.
//! - A damaged or prepared value ends in an error of its row: what it would grow to is bounded.
//!
//! # Does not
//! Decide what is kept whole, or how much of it (the engine does).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error};

use super::StoreError;

/// Shorter text is not worth it, in bytes.
const WORTH: usize = 2048;
/// The most that a value may grow to: twice the default of what is kept of a result, in bytes.
const MOST: u64 = 128 * 1024 * 1024;

/// Makes both functions known to a connection.
pub(super) fn register(db: &Connection) -> Result<(), StoreError> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    db.create_scalar_function("squeezed", 1, flags, squeezed)?;
    db.create_scalar_function("whole", 1, flags, whole)?;
    Ok(())
}

fn squeezed(context: &Context<'_>) -> Result<Value, Error> {
    let text = match context.get_raw(0) {
        ValueRef::Text(text) => text,
        ValueRef::Null => return Ok(Value::Null),
        other => return Err(Error::InvalidFunctionParameterType(0, other.data_type())),
    };
    let plain = || String::from_utf8_lossy(text).into_owned();
    // What could not be read back stays as it is.
    if text.len() < WORTH || text.len() as u64 > MOST {
        return Ok(Value::Text(plain()));
    }
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(text.len() / 3), Compression::fast());
    let packed = encoder.write_all(text).and_then(|()| encoder.finish()).map_err(failed)?;
    // Pictures in base64 and the like stay what they are.
    Ok(if packed.len() < text.len() { Value::Blob(packed) } else { Value::Text(plain()) })
}

fn whole(context: &Context<'_>) -> Result<Option<String>, Error> {
    match context.get_raw(0) {
        ValueRef::Blob(packed) => {
            let mut text = String::new();
            let read = ZlibDecoder::new(packed).take(MOST + 1).read_to_string(&mut text).map_err(failed)?;
            if read as u64 > MOST {
                return Err(failed(std::io::Error::other(format!("a result is longer than {MOST} bytes"))));
            }
            Ok(Some(text))
        }
        ValueRef::Text(text) => Ok(Some(String::from_utf8_lossy(text).into_owned())),
        ValueRef::Null => Ok(None),
        other => Err(Error::InvalidFunctionParameterType(0, other.data_type())),
    }
}

fn failed(error: std::io::Error) -> Error {
    Error::UserFunctionError(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn db() -> Connection {
        let db = Connection::open_in_memory().unwrap();
        register(&db).unwrap();
        db
    }

    #[test]
    fn text_comes_back_as_it_was() {
        let db = db();
        let long = "the same line, again and again 東京\n".repeat(5000);
        let noise: String =
            (0..40_000u32).map(|i| char::from(33 + (i.wrapping_mul(2_654_435_761) >> 25) as u8 % 90)).collect();
        for text in ["", "short", long.as_str(), noise.as_str()] {
            let back: String = db.query_row("SELECT whole(squeezed(?1))", [text], |row| row.get(0)).unwrap();
            assert!(back == text, "{} bytes", text.len());
        }
        let (kind, size): (String, i64) = db
            .query_row("SELECT typeof(squeezed(?1)), length(squeezed(?1))", [&long], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(kind, "blob");
        assert!(size * 20 < long.len() as i64, "{size} of {}", long.len());
    }

    #[test]
    fn nothing_stays_nothing_and_what_is_damaged_is_an_error() {
        let db = db();
        assert_eq!(db.query_row("SELECT whole(squeezed(NULL))", [], |r| r.get::<_, Option<String>>(0)).unwrap(), None);
        for damaged in ["x'00'", "x'789c0000'", "zeroblob(64)"] {
            let error = db.query_row(&format!("SELECT whole({damaged})"), [], |r| r.get::<_, String>(0));
            assert!(error.is_err(), "{damaged}");
        }
    }

    #[test]
    fn what_would_grow_without_end_is_refused() {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
        let block = vec![b' '; 1 << 20];
        for _ in 0..=(MOST >> 20) {
            encoder.write_all(&block).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        let error = db().query_row("SELECT whole(?1)", [&bomb], |r| r.get::<_, String>(0)).unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
    }
}
