//! Numbers as the screen writes them: times, sizes, tokens, moments of the day.

use crate::chat::UnixMs;

/// `0.08 s`, `3.2 s`, `2:05`, from microseconds.
pub(super) fn seconds(us: u64) -> String {
    let s = us as f64 / 1e6;
    if us < 1_000_000 {
        format!("{s:.2} s")
    } else if us < 100_000_000 {
        format!("{s:.1} s")
    } else {
        clock(us)
    }
}

/// As [`seconds`], in five columns where it can.
pub(super) fn short_seconds(us: u64) -> String {
    if us < 1_000_000 { format!("{:.2}s", us as f64 / 1e6) } else { seconds(us) }
}

/// `0:18`, `1:02:10`, from microseconds.
pub(super) fn clock(us: u64) -> String {
    let s = us / 1_000_000;
    if s < 3600 {
        format!("{}:{:02}", s / 60, s % 60)
    } else {
        format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}

/// Hours, minutes and seconds: `0:42:10`.
pub(super) fn long_clock(us: u64) -> String {
    let s = us / 1_000_000;
    format!("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
}

/// `182 B`, `6.1 KB`, `84.2 KB`, `3.1 MB`; a KB is 1024 bytes.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `412`, `12.4k`, `140k`, `1.2M`.
pub(super) fn tokens(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        1_000..99_950 => format!("{:.1}k", n as f64 / 1e3),
        99_950..999_500 => format!("{:.0}k", n as f64 / 1e3),
        _ => format!("{:.1}M", n as f64 / 1e6),
    }
}

/// A context window: `32k`, `128k`, whole thousands whichever way the maker counts.
pub(super) fn window(n: u64) -> String {
    match n {
        0..1_000 => n.to_string(),
        n if n % 4096 == 0 && n < 1_048_576 => format!("{}k", n / 1024),
        1_000..999_500 => format!("{:.0}k", n as f64 / 1e3),
        _ => format!("{:.0}M", n as f64 / 1e6),
    }
}

/// What something costs, in the unit of its prices: `0.0034`, `1.27`.
pub(super) fn cost(amount: f64) -> String {
    match amount {
        0.0 => "0".to_owned(),
        a if a < 0.000_1 => "<0.0001".to_owned(),
        a if a < 0.1 => format!("{a:.4}"),
        a if a < 1_000.0 => format!("{a:.2}"),
        a => format!("{a:.0}"),
    }
}

/// A price of a million tokens: `0.20`, `0.075`, `15.00`.
pub(super) fn price(price: f64) -> String {
    let fine = format!("{price:.4}");
    let short = fine.trim_end_matches('0');
    let digits = short.rsplit('.').next().map_or(0, str::len);
    if digits <= 2 { format!("{price:.2}") } else { short.to_owned() }
}

/// How long ago: `now`, `5 min`, `3 h`, `3 d`, `8 mon`, `2 y`.
pub(super) fn ago(ms: i64) -> String {
    match ms / 60_000 {
        ..1 => "now".to_owned(),
        m @ 1..60 => format!("{m} min"),
        m @ 60..1_440 => format!("{} h", m / 60),
        m @ 1_440..86_400 => format!("{} d", m / 1_440),
        m @ 86_400..525_600 => format!("{} mon", m / 43_200),
        m => format!("{} y", m / 525_600),
    }
}

/// With thin groups of three: `1 284`.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

/// `1 message`, `7 messages`.
pub(super) fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n), if n == 1 { one } else { many })
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A moment of the calendar, in the zone that the state names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Days since 1970-01-01.
    pub day: i64,
    second: i64,
}

impl Moment {
    pub(super) fn new(at: UnixMs, offset_s: i32) -> Self {
        let s = at.div_euclid(1000) + i64::from(offset_s);
        Self { day: s.div_euclid(86_400), second: s.rem_euclid(86_400) }
    }

    /// `14:02`.
    pub(super) fn minute(self) -> String {
        format!("{:02}:{:02}", self.second / 3600, self.second / 60 % 60)
    }

    /// `14:02:31`.
    pub(super) fn second(self) -> String {
        format!("{}:{:02}", self.minute(), self.second % 60)
    }

    /// Year, month from 1 and day of the month, of the proleptic Gregorian calendar.
    pub(super) fn date(self) -> (i64, usize, i64) {
        // Counted from 1 March 0000, so that the leap day ends a year; eras of 400 years.
        let z = self.day + 719_468;
        let era = z.div_euclid(146_097);
        let day = z.rem_euclid(146_097);
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let yday = day - (365 * year + year / 4 - year / 100);
        let m = (5 * yday + 2) / 153;
        let month = if m < 10 { m + 3 } else { m - 9 };
        (era * 400 + year + i64::from(month <= 2), usize::try_from(month).unwrap_or(1), yday - (153 * m + 2) / 5 + 1)
    }

    /// How a list names it beside today: `14:02`, `yesterday`, `18 Nov`, `18 Nov 25`.
    pub(super) fn in_list(self, today: Moment) -> String {
        let (year, month, day) = self.date();
        let name = MONTHS.get(month - 1).map_or("", |m| &m[..3]);
        match today.day - self.day {
            0 => self.minute(),
            1 => "yesterday".to_owned(),
            _ if today.date().0 == year => format!("{day} {name}"),
            _ => format!("{day} {name} {:02}", year.rem_euclid(100)),
        }
    }

    /// The heading under which a list sorts it: `TODAY`, `YESTERDAY`, `NOVEMBER`, `NOVEMBER 2025`.
    pub(super) fn heading(self, today: Moment) -> String {
        let (year, month, _) = self.date();
        let name = MONTHS.get(month - 1).map_or("", |m| m).to_uppercase();
        match today.day - self.day {
            0 => "TODAY".to_owned(),
            1 => "YESTERDAY".to_owned(),
            _ if today.date().0 == year => name,
            _ => format!("{name} {year}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sizes_and_tokens_are_short() {
        assert_eq!([seconds(80_000), seconds(12_400_000), seconds(125_000_000)], ["0.08 s", "12.4 s", "2:05"]);
        assert_eq!([size(182), size(6_246), size(1 << 20), size(3_250_586)], ["182 B", "6.1 KB", "1.0 MB", "3.1 MB"]);
        assert_eq!([tokens(412), tokens(12_400), tokens(140_000), tokens(1_200_000)], ["412", "12.4k", "140k", "1.2M"]);
        assert_eq!([window(32_768), window(128_000), window(262_144)], ["32k", "128k", "256k"]);
        assert_eq!([grouped(7), grouped(1284), grouped(1_234_567)], ["7", "1 284", "1 234 567"]);
    }

    #[test]
    fn costs_prices_and_ages_are_short() {
        assert_eq!([cost(0.0), cost(0.000_02), cost(0.003_4), cost(1.266)], ["0", "<0.0001", "0.0034", "1.27"]);
        assert_eq!([price(0.2), price(0.075), price(15.0), price(0.0)], ["0.20", "0.075", "15.00", "0.00"]);
        let min = 60_000;
        assert_eq!([ago(9), ago(5 * min), ago(200 * min), ago(4_400 * min)], ["now", "5 min", "3 h", "3 d"]);
    }

    #[test]
    fn moments_are_read_in_their_zone() {
        let noon = Moment::new(1_795_352_551_000, 0);
        assert_eq!((noon.second(), noon.date()), ("13:02:31".to_owned(), (2026, 11, 22)));
        let east = Moment::new(1_795_352_551_000, 3600);
        assert_eq!(east.minute(), "14:02");
        assert_eq!(Moment::new(1_795_352_551_000 - 86_400_000, 0).in_list(noon), "yesterday");
        assert_eq!(Moment::new(1_795_352_551_000 - 4 * 86_400_000, 0).in_list(noon), "18 Nov");
        assert_eq!(Moment::new(951_782_400_000, 0).date(), (2000, 2, 29));
        assert_eq!(Moment::new(-1, 0).date(), (1969, 12, 31));
    }
}
