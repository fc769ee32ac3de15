//! What was known of a server when it was last up, on disk: its tools, so that they can be offered before it is up
//! again, and what it speaks.
//!
//! # Invariants
//! - One file per server entry; another command or address is another entry and another file.
//! - A file is whole or not there: it is written beside its place and moved in. Only its owner can read it.
//! - What does not match its own SHA-256, or is too large, is not believed. It is moved aside, and a notice says so.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::open::Way;

/// A larger list is not kept.
const MOST_BYTES: u64 = 8 * 1024 * 1024;
const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    format: u32,
    /// The entry it belongs to, name and hash.
    entry: String,
    #[serde(rename = "era")]
    pub way: Way,
    pub protocol: String,
    pub instructions: Option<String>,
    pub tools: Vec<Value>,
    /// Over instructions and tools.
    pub sha256: String,
}

impl Known {
    pub(super) fn new(entry: &str, way: Way, protocol: &str, instructions: Option<String>, tools: Vec<Value>) -> Self {
        let sha256 = fingerprint(instructions.as_deref(), &tools);
        Self {
            format: FORMAT,
            entry: entry.to_owned(),
            way,
            protocol: protocol.to_owned(),
            instructions,
            tools,
            sha256,
        }
    }
}

/// What the cache held.
#[derive(Debug, PartialEq)]
pub(super) enum Recalled {
    Nothing,
    Known(Box<Known>),
    /// A file that could not be believed, and why.
    Broken(String),
}

/// Reads what is known of `entry`. Blocks.
pub(super) fn recall(folder: &Path, entry: &str) -> Recalled {
    let path = place(folder, entry);
    let mut text = Vec::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut text));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Recalled::Nothing,
        Err(error) => return Recalled::Broken(format!("{} cannot be read: {error}", path.display())),
    }
    let fault = match serde_json::from_slice::<Known>(&text) {
        Ok(known) if text.len() as u64 > MOST_BYTES || known.format != FORMAT || known.entry != entry => "does not fit",
        Ok(known) if known.sha256 != fingerprint(known.instructions.as_deref(), &known.tools) => "was changed",
        Ok(known) => return Recalled::Known(Box::new(known)),
        Err(_) => "is damaged",
    };
    let aside = path.with_extension("broken");
    let moved = match std::fs::rename(&path, &aside) {
        Ok(()) => format!("moved to {}", aside.display()),
        Err(error) => format!("it cannot be moved aside: {error}"),
    };
    Recalled::Broken(format!("the cached list of tools {} {fault}; {moved}", path.display()))
}

/// Keeps `known`. Blocks.
///
/// # Errors
/// Where the folder cannot be written.
pub(super) fn keep(folder: &Path, known: &Known) -> io::Result<()> {
    let text = serde_json::to_vec(known)?;
    if text.len() as u64 > MOST_BYTES {
        return forget(folder, &known.entry);
    }
    crate::config::Paths::make(folder)?;
    // A temporary file of this crate is 0600 from its creation on.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&text)?;
    file.persist(place(folder, &known.entry)).map_err(|error| error.error)?;
    Ok(())
}

fn forget(folder: &Path, entry: &str) -> io::Result<()> {
    match std::fs::remove_file(place(folder, entry)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// SHA-256 over instructions and tools, hex.
pub(super) fn fingerprint(instructions: Option<&str>, tools: &[Value]) -> String {
    let mut hash = Sha256::new();
    hash.update(instructions.unwrap_or_default().as_bytes());
    hash.update([0]);
    for tool in tools {
        hash.update(tool.to_string().as_bytes());
        hash.update([0]);
    }
    hex(&hash.finalize())
}

fn place(folder: &Path, entry: &str) -> PathBuf {
    folder.join(format!("{}.json", &hex(&Sha256::digest(entry.as_bytes()))[..32]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn known() -> Known {
        Known::new("fs:abc", Way::Legacy, "2025-06-18", Some("Be kind.".into()), vec![json!({"name": "read"})])
    }

    #[test]
    fn what_was_kept_is_recalled() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(recall(folder.path(), "fs:abc"), Recalled::Nothing);
        keep(folder.path(), &known()).unwrap();
        assert_eq!(recall(folder.path(), "fs:abc"), Recalled::Known(Box::new(known())));
        assert_eq!(recall(folder.path(), "fs:other"), Recalled::Nothing);
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), &known()).unwrap();
        let mode = std::fs::metadata(place(folder.path(), "fs:abc")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_was_changed_or_damaged_is_moved_aside() {
        for damage in [r#"{"tools": ["#.to_owned(), {
            let mut changed = known();
            changed.tools.push(json!({"name": "rm"}));
            serde_json::to_string(&changed).unwrap()
        }] {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(place(folder.path(), "fs:abc"), damage).unwrap();
            assert!(matches!(recall(folder.path(), "fs:abc"), Recalled::Broken(_)));
            assert_eq!(recall(folder.path(), "fs:abc"), Recalled::Nothing, "it is told once");
        }
    }

    #[test]
    fn a_list_that_is_too_large_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        keep(folder.path(), &known()).unwrap();
        let large = Known::new("fs:abc", Way::Legacy, "", None, vec![json!("x".repeat(MOST_BYTES as usize))]);
        keep(folder.path(), &large).unwrap();
        assert_eq!(recall(folder.path(), "fs:abc"), Recalled::Nothing);
    }
}
