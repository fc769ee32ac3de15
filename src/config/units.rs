//! Durations and sizes as people write them: `10 s`, `60 min`, `16 MiB`.

use std::time::Duration;

/// `10 s`, `1.5 min`, `50 ms`, `1 h`, `30 days`. A number without a unit is refused: it could mean anything.
pub fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "a duration with its unit, as \"10 s\", \"500 ms\", \"5 min\" or \"1 h\"";
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let scale = match unit {
        "ms" => 1e3,
        "s" | "sec" => 1e6,
        "min" | "m" => 60e6,
        "h" => 3600e6,
        "d" | "day" | "days" => 86_400e6,
        _ => return Err(EXPECTED),
    };
    let micros = (number * scale).round();
    if micros > 366.0 * 86_400e6 {
        return Err("a duration of at most 366 days");
    }
    Ok(Duration::from_micros(micros as u64))
}

/// `512`, `12 KiB`, `16 MiB`, `1 GiB`, `20 kB`, `20 MB`; bytes.
pub fn size(text: &str) -> Result<u64, &'static str> {
    const EXPECTED: &str = "a size with its unit, as \"512 B\", \"32 KiB\" or \"16 MiB\"";
    let (number, unit) = split(text).ok_or(EXPECTED)?;
    let scale: f64 = match unit {
        "B" => 1.0,
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        "GiB" => 1_073_741_824.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        _ => return Err(EXPECTED),
    };
    let bytes = number * scale;
    if bytes > 1e13 {
        return Err("a size of at most 10,000 GB");
    }
    Ok(bytes.round() as u64)
}

fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')?;
    let (number, unit) = text.split_at(at);
    let number: f64 = number.replace('_', "").parse().ok()?;
    (number.is_finite() && number >= 0.0).then_some((number, unit.trim_start()))
}

#[must_use]
pub fn show_size(bytes: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match bytes {
        0 => "0 B".to_owned(),
        _ if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ if bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_read() {
        assert_eq!(duration("10 s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1.5min"), Ok(Duration::from_secs(90)));
        assert_eq!(duration(" 50 ms "), Ok(Duration::from_millis(50)));
        assert_eq!(size("16 MiB"), Ok(16 << 20));
        assert_eq!(size("1.5 KiB"), Ok(1536));
        assert_eq!(size("20 MB"), Ok(20_000_000));
        for bad in ["", "10", "s", "-1 s", "1e9 s", "1 week", "1..2 s", "99999999999 h", "∞ s"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        for bad in ["", "10", "MiB", "-1 B", "1 mib", "1 TiB", "99999999999 GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(ms in 0u64..10_000_000_000, bytes in 0u64..1_000_000_000_000) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(duration(&crate::chat::duration_text(d)), Ok(d));
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
        }
    }
}
