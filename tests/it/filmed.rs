//! What the README shows is what the program does: `assets/demo.cast` (a session of the demo, in asciicast's form, with a
//! mark at each moment), `assets/demo.svg` (a picture that moves, made of it), `assets/plain.txt` (a session of `--plain`).
//!
//! Every `cargo test` runs the built program again, a tenth of the time, and compares: at each moment the same words must
//! stand on the screen, figures aside; the picture must be that of the recording, to the byte. Where they differ on
//! purpose, `MILLRACE_FILM=1 cargo test --test it filmed` writes them anew (`MILLRACE_FILM=PROGRAM` films that one).

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::tui::{Terminal, open_program};

mod svg;

const SIZE: (u16, u16) = (110, 32);

fn asset(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets").join(name)
}

/// The program to film, where a film is wanted.
fn filming() -> Option<String> {
    let wanted = std::env::var("MILLRACE_FILM").ok().filter(|wanted| !wanted.is_empty())?;
    Some(if wanted == "1" { env!("CARGO_BIN_EXE_millrace").to_owned() } else { wanted })
}

/// What is waited for, how long it is looked at then, and the keys that follow. `gone`: that this has left the screen.
struct Moment {
    name: &'static str,
    shows: &'static str,
    gone: &'static str,
    rest: u64,
    keys: &'static str,
}

const fn moment(name: &'static str, shows: &'static str, gone: &'static str, rest: u64, keys: &'static str) -> Moment {
    Moment { name, shows, gone, rest, keys }
}

/// The demo as a newcomer goes through it.
const DEMO: [Moment; 6] = [
    moment("the demo opens", "7 tools", "", 1_500, "\r"),
    moment("a review opens", "approval needed", "", 3_500, "f"),
    moment("its end is read", "…  the end", "", 1_800, "y"),
    moment("the answer", "what I can do.", "esc stop", 3_000, "\t\tt"),
    moment("the timeline", "longest path", "", 5_000, "\x1b"),
    moment("back", "SERVERS", "", 500, "\x1b"),
];

/// A recording: what came and when, and the marks between.
struct Cast {
    events: Vec<(f64, String)>,
    marks: Vec<(f64, String)>,
}

impl Cast {
    /// Runs the demo through its moments. `pace`: what its pauses are multiplied with.
    fn film(program: &str, pace: f64) -> Self {
        let pace_text = pace.to_string();
        let env = [("MILLRACE_DEMO_PACE", pace_text.as_str()), ("TZ", "UTC"), ("COLORTERM", "truecolor")];
        let mut terminal = open_program(&[program, "demo"], SIZE, &env);
        let mut marks = Vec::new();
        for moment in &DEMO {
            until(&terminal, moment);
            std::thread::sleep(
                Duration::from_millis((moment.rest as f64 * pace) as u64).max(Duration::from_millis(60)),
            );
            marks.push((terminal.elapsed(), moment.name.to_owned()));
            terminal.type_in(moment.keys);
        }
        terminal.signal("-TERM");
        let (pieces, _) = terminal.timed();
        // Up to the last mark: the way out is nothing to be seen.
        let end = marks.last().map_or(0.0, |(at, _)| *at);
        let mut events: Vec<(f64, String)> = Vec::new();
        let mut held: Vec<u8> = Vec::new();
        for (at, bytes) in pieces.into_iter().filter(|(at, _)| *at <= end) {
            held.extend(bytes);
            // A character is never cut in two.
            let whole = std::str::from_utf8(&held).map_or_else(|error| error.valid_up_to(), str::len);
            let text: String = String::from_utf8(held.drain(..whole).collect()).unwrap();
            match events.last_mut() {
                // What came behind a mark is not to be seen at it.
                Some((before, last))
                    if at - *before < 0.03 && !marks.iter().any(|(mark, _)| (*before..at).contains(mark)) =>
                {
                    last.push_str(&text);
                }
                _ => events.push((at, text)),
            }
        }
        Self { events, marks }
    }

    fn write(&self) -> String {
        let head = json!({"version": 2, "width": SIZE.0, "height": SIZE.1, "title": "millrace demo",
            "env": {"TERM": "xterm-256color"}});
        let mut lines: Vec<(f64, &str, &str)> =
            self.events.iter().map(|(at, text)| (*at, "o", text.as_str())).collect();
        lines.extend(self.marks.iter().map(|(at, name)| (*at, "m", name.as_str())));
        lines.sort_by(|a, b| a.0.total_cmp(&b.0));
        let rounded = |at: f64| (at * 1_000.0).round() / 1_000.0;
        let lines = lines.into_iter().map(|(at, kind, text)| json!([rounded(at), kind, text]).to_string() + "\n");
        head.to_string() + "\n" + &lines.collect::<String>()
    }

    fn read(text: &str) -> Self {
        let mut cast = Self { events: Vec::new(), marks: Vec::new() };
        for line in text.lines().skip(1) {
            let line: Value = serde_json::from_str(line).unwrap();
            let (at, said) = (line[0].as_f64().unwrap(), line[2].as_str().unwrap().to_owned());
            match line[1].as_str() {
                Some("o") => cast.events.push((at, said)),
                Some("m") => cast.marks.push((at, said)),
                other => panic!("{other:?}"),
            }
        }
        cast
    }

    /// The screen at each mark.
    fn moments(&self) -> Vec<(String, String)> {
        let mut parser = emulator();
        let mut events = self.events.iter().peekable();
        let screens = self.marks.iter().map(|(mark, name)| {
            while let Some((_, text)) = events.next_if(|(at, _)| at <= mark) {
                parser.process(text.as_bytes());
            }
            (name.clone(), parser.screen().contents())
        });
        screens.collect()
    }
}

fn emulator() -> vt100::Parser {
    let cells = |count: u16| std::num::NonZeroU16::new(count).unwrap();
    vt100::Parser::new(cells(SIZE.1), cells(SIZE.0), 0)
}

fn until(terminal: &Terminal, moment: &Moment) {
    let begun = Instant::now();
    loop {
        let screen = terminal.screen();
        if screen.contains(moment.shows) && (moment.gone.is_empty() || !screen.contains(moment.gone)) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{} never came:\n{screen}", moment.name);
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The words of a screen, row by row. Figures, bars and what depends on them are left out: the header, the program's own
/// path, the longest path, how much was saved; and the panel, whose order is that in which calls ended.
fn words(screen: &str) -> Vec<String> {
    let depends = [
        "stdio:",
        "longest path",
        "sooner",
        "saved",
        "No time",
        "first byte",
        "opened",
        "sent ",
        "could not be checked",
    ];
    let panel = screen.lines().find_map(|row| row.chars().position(|c| c == '┬')).unwrap_or(usize::MAX);
    let rows = screen.lines().skip(1).map(|row| row.chars().take(panel).collect::<String>());
    let rows = rows.filter(|row| !depends.iter().any(|word| row.contains(word)));
    let words = rows.map(|row| {
        let words = row.split(|c: char| !c.is_alphabetic()).filter(|word| word.len() > 2);
        words.collect::<Vec<_>>().join(" ")
    });
    words.filter(|row| !row.is_empty()).collect()
}

#[test]
fn the_demo_of_the_readme_is_the_demo() {
    if let Some(program) = filming() {
        let cast = Cast::film(&program, 1.0);
        std::fs::write(asset("demo.cast"), cast.write()).unwrap();
        std::fs::write(asset("demo.svg"), svg::moving(&Cast::read(&cast.write()).events, SIZE)).unwrap();
    }
    let stored = Cast::read(&std::fs::read_to_string(asset("demo.cast")).unwrap());
    let now = Cast::film(env!("CARGO_BIN_EXE_millrace"), 0.1);
    let (stored_moments, moments) = (stored.moments(), now.moments());
    let names = |moments: &[(String, String)]| moments.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&stored_moments), names(&moments));
    for ((name, stored), (_, now)) in stored_moments.iter().zip(&moments) {
        assert_eq!(words(stored), words(now), "{name}: film it anew (MILLRACE_FILM=1)\n{stored}\n\nand now\n\n{now}");
    }
    let picture = std::fs::read_to_string(asset("demo.svg")).unwrap();
    assert!(picture == svg::moving(&stored.events, SIZE), "assets/demo.svg is not of assets/demo.cast: film it anew");
    assert!(picture.len() < 400 * 1024, "{} bytes are much for a page", picture.len());
}

/// A person's session of `--plain`: what was typed stands in it as the terminal shows it.
fn plain(program: &str) -> String {
    let env = [("MILLRACE_DEMO_PACE", "0.1"), ("TZ", "UTC")];
    let mut terminal = open_program(&[program, "demo", "--plain"], (90, 200), &env);
    for (shows, keys) in PLAIN {
        let begun = Instant::now();
        let waits = |screen: &str| {
            let last = screen.trim_end().lines().last().unwrap_or_default().trim();
            last == shows || shows.len() > 1 && last.ends_with(shows)
        };
        while !waits(&terminal.screen()) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{shows:?} never came:\n{}", terminal.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
        terminal.type_in(keys);
    }
    let (_, bytes) = terminal.ended();
    let text = String::from_utf8(bytes).unwrap().replace("\r\n", "\n");
    text.replace(program, "millrace")
}

const PLAIN: [(&str, &str); 3] = [(">", "\n"), ("always from now on:", "y\n"), (">", "/quit\n")];

#[test]
fn the_plain_session_is_one() {
    if let Some(program) = filming() {
        let shown = format!("$ millrace demo --plain\n{}", plain(&program));
        std::fs::write(asset("plain.txt"), shown).unwrap();
    }
    let stored = std::fs::read_to_string(asset("plain.txt")).unwrap();
    let now = plain(env!("CARGO_BIN_EXE_millrace"));
    assert!(!now.contains('\x1b'), "no escape sequence at all");
    // Calls run side by side: their lines come as they come.
    let lines = |text: &str| {
        let mut words: Vec<String> = text.lines().flat_map(|line| words(&format!("\n{line}"))).collect();
        words.sort();
        words
    };
    let stored = stored.split_once('\n').map_or("", |(_, rest)| rest);
    assert_eq!(lines(stored), lines(&now), "film it anew (MILLRACE_FILM=1)\n{stored}\n\nand now\n\n{now}");
}
