//! Parts of a long text, for whoever cannot be given all of it: head and tail, some lines, some bytes, or places.
//!
//! # Invariants
//! - Every part is cut between characters, and no longer than the room that there is for it.
//! - A part says what it is of, and where it goes on; whoever follows that reads every byte once.
//!
//! # Does not
//! Know where the text comes from, or judge what stands in it.

use sha2::{Digest, Sha256};

use crate::chat::CallId;

/// Lines that are told unless another number is asked for; their bytes are bounded anyway.
const LINES: u64 = 200;
/// Places that are told unless another number is asked for, and at most.
const PLACES: u64 = 20;
const MOST_PLACES: u64 = 100;
/// What is told around a place, to each side of it, in bytes.
const AROUND: usize = 120;

/// The name under which the model asks for the rest of a call's result: eight hex digits, the same every time.
#[must_use]
pub fn result_reference(call: &CallId) -> String {
    Sha256::digest(call.as_str()).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Where a part begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// From 1.
    Line(u64),
    /// From 0.
    Byte(u64),
}

/// What of a text is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want<'a> {
    pub from: Place,
    /// Lines, bytes, or places, after what is asked for.
    pub count: Option<u64>,
    /// Literally; every letter counts.
    pub find: Option<&'a str>,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// What it is: `lines 121–320 of 9950, bytes 20480–53248 of 812345`.
    pub what: String,
    pub text: String,
    /// Where it goes on, as a sentence.
    pub next: String,
}

/// The wanted part, at most `room` bytes of text; else why there is none, as a sentence.
///
/// # Errors
/// Where the place is not in the text, or the words are not.
pub fn excerpt(text: &str, want: &Want<'_>, room: usize) -> Result<Excerpt, String> {
    let start = match want.from {
        Place::Line(line) => {
            start_of(text, line).ok_or_else(|| format!("There is no line {line}: it has {}.", plural(lines(text))))?
        }
        Place::Byte(byte) => {
            let byte = usize::try_from(byte).unwrap_or(usize::MAX);
            if byte > 0 && byte >= text.len() {
                return Err(format!("There is no byte {byte}: it has {} bytes.", text.len()));
            }
            text.ceil_char_boundary(byte)
        }
    };
    match want.find {
        Some(words) => places(text, start, words, want.count, room),
        None => Ok(part(text, start, want, room)),
    }
}

fn part(text: &str, start: usize, want: &Want<'_>, room: usize) -> Excerpt {
    let rest = &text[start..];
    let wished = match want.from {
        Place::Line(_) => lines_long(rest, want.count.unwrap_or(LINES).max(1)),
        Place::Byte(_) => want.count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX),
    };
    let mut end = rest.floor_char_boundary(wished.min(room).min(rest.len()));
    if end == 0 {
        // At least one character, or whoever follows the sentence would never come to an end.
        end = rest.chars().next().map_or(0, char::len_utf8);
    } else if end < wished.min(rest.len())
        && let Some(line) = rest[..end].rfind('\n')
    {
        // No room for all of it: better fewer lines, but whole ones.
        end = line + 1;
    }
    let told = &rest[..end];
    let (first, end) = (line_of(text, start), start + end);
    let last = first + lines(told).saturating_sub(1);
    let next = if end == text.len() {
        "That is the end of it.".to_owned()
    } else if told.ends_with('\n') {
        format!("It goes on with line {}.", last + 1)
    } else {
        format!("It goes on with byte {end}.")
    };
    let what = format!("lines {first}–{last} of {}, bytes {start}–{end} of {}", lines(text), text.len());
    Excerpt { what, text: told.to_owned(), next }
}

/// The places where these words stand, each with what is around it.
fn places(text: &str, start: usize, words: &str, count: Option<u64>, room: usize) -> Result<Excerpt, String> {
    if words.is_empty() {
        return Err("`find` is empty: give the words that are looked for.".to_owned());
    }
    let most = count.unwrap_or(PLACES).clamp(1, MOST_PLACES);
    let (mut out, mut told, mut all) = (String::new(), 0_u64, 0_u64);
    let (mut line, mut counted, mut next) = (line_of(text, start), start, None);
    let mut shown_to = start;
    for (at, found) in text[start..].match_indices(words) {
        let (at, end) = (start + at, start + at + found.len());
        all += 1;
        // Already seen beside the one before.
        if told > 0 && end <= shown_to && next.is_none() {
            continue;
        }
        line += lines_in(&text[counted..at]);
        counted = at;
        let (from, to) = around(text, at, end);
        let place = format!(
            "line {line}, byte {at}: {}{}{}\n",
            if from > 0 && !text[..from].ends_with('\n') { "…" } else { "" },
            text[from..to].trim_end_matches(['\n', '\r']),
            if to < text.len() && !text[to..].starts_with(['\n', '\r']) { "…" } else { "" },
        );
        if next.is_none() && (told == most || told > 0 && out.len() + place.len() > room) {
            next = Some(at);
        }
        if next.is_none() {
            told += 1;
            shown_to = to;
            // One place alone may be larger than the room: words as long as a page were looked for.
            out.push_str(&place[..place.floor_char_boundary(room)]);
        }
    }
    if all == 0 {
        let from = if start == 0 { String::new() } else { format!(" behind byte {start}") };
        return Err(format!(
            "These words do not stand in it{from}. They are looked for literally; every letter counts."
        ));
    }
    let next = match next {
        Some(at) => format!("More of them from byte {at} on."),
        None => "There are no more of them.".to_owned(),
    };
    let noun = if all == 1 { "place" } else { "places" };
    let what = format!("{all} {noun} in {} bytes, {}", text.len(), plural(lines(text)));
    Ok(Excerpt { what, text: out, next })
}

/// What is told around a place: of its line, as much as fits.
fn around(text: &str, at: usize, end: usize) -> (usize, usize) {
    let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = text[end..].find('\n').map_or(text.len(), |newline| end + newline);
    let from = text.ceil_char_boundary(at.saturating_sub(AROUND)).max(line);
    let to = text.floor_char_boundary(end.saturating_add(AROUND)).min(line_end);
    (from, to)
}

/// Head and tail of a text that is longer than `limit` bytes, with a line between them that says what is missing; None
/// where it fits. The whole, that line included, is at most `limit` long wherever the line itself fits. `reference`: the
/// name under which the rest can be read.
pub(super) fn cut_middle(text: &str, limit: usize, reference: Option<&str>) -> Option<String> {
    if text.len() <= limit {
        return None;
    }
    let marker = |head: usize, tail: usize| match reference {
        None => {
            let left_out = tail - head;
            format!("\n[… {left_out} of {} bytes are left out here; ask for a part of it instead …]\n", text.len())
        }
        Some(reference) => {
            let shown = if whole_lines(text, head, tail) {
                let (first, last) = (line_of(text, head).saturating_sub(1), line_of(text, tail));
                format!("lines 1–{first} and {last}–{}", lines(text))
            } else {
                format!("bytes 0–{head} and {tail}–{}", text.len())
            };
            let newline = if text[..head].ends_with('\n') { "" } else { "\n" };
            format!(
                "{newline}[… result {reference}, {} bytes, {}: {shown} are shown; read_result reads on …]\n",
                text.len(),
                plural(lines(text))
            )
        }
    };
    // Numbers of lines and bytes are no longer than those of the whole: twice over, at its longest.
    let longest = marker(0, text.len()).len() + if reference.is_some() { 2 * digits(text.len()) } else { 0 };
    let room = limit.saturating_sub(longest);
    // The beginning tells what it is, the end how it came out.
    let mut head = text.floor_char_boundary(room - room / 3);
    let mut tail = text.ceil_char_boundary(text.len() - room / 3).max(head);
    if reference.is_some() {
        // Whole lines are easier to ask on from, where that costs little of what is shown.
        if let Some(line) = text[..head].rfind('\n').map(|at| at + 1).filter(|at| head - at <= head / 4) {
            head = line;
        }
        let newline = text[tail..].find('\n').map(|at| tail + at + 1);
        if let Some(line) = newline.filter(|at| at - tail <= (text.len() - tail) / 4) {
            tail = line;
        }
    }
    Some(format!("{}{}{}", &text[..head], marker(head, tail), &text[tail..]))
}

fn whole_lines(text: &str, head: usize, tail: usize) -> bool {
    head > 0 && tail < text.len() && text[..head].ends_with('\n') && text[..tail].ends_with('\n')
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

fn plural(lines: u64) -> String {
    format!("{lines} {}", if lines == 1 { "line" } else { "lines" })
}

fn lines_in(text: &str) -> u64 {
    memchr::memchr_iter(b'\n', text.as_bytes()).count() as u64
}

/// How many lines a text has; the last one needs no end.
fn lines(text: &str) -> u64 {
    lines_in(text) + u64::from(!text.is_empty() && !text.ends_with('\n'))
}

/// The line, from 1, in which a byte stands.
fn line_of(text: &str, byte: usize) -> u64 {
    lines_in(&text[..byte]) + 1
}

/// Where a line begins, counted from 1.
fn start_of(text: &str, line: u64) -> Option<usize> {
    if line <= 1 {
        return Some(0);
    }
    let before = usize::try_from(line - 2).ok()?;
    let start = memchr::memchr_iter(b'\n', text.as_bytes()).nth(before)? + 1;
    (start < text.len()).then_some(start)
}

/// The bytes of its first so many lines.
fn lines_long(text: &str, count: u64) -> usize {
    let last = usize::try_from(count.saturating_sub(1)).unwrap_or(usize::MAX);
    memchr::memchr_iter(b'\n', text.as_bytes()).nth(last).map_or(text.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbered(lines: usize) -> String {
        (1..=lines).map(|n| format!("line {n}\n")).collect()
    }

    fn want(from: Place, count: Option<u64>) -> Want<'static> {
        Want { from, count, find: None }
    }

    fn ask(text: &str, want: &Want<'_>) -> Excerpt {
        excerpt(text, want, 1_000).expect("an excerpt")
    }

    #[test]
    fn lines_and_bytes_are_told_with_their_places() {
        let text = numbered(1_000);
        let part = ask(&text, &want(Place::Line(12), Some(2)));
        assert_eq!(part.text, "line 12\nline 13\n");
        assert_eq!(part.what, format!("lines 12–13 of 1000, bytes 79–95 of {}", text.len()));
        assert_eq!(part.next, "It goes on with line 14.");
        let part = ask(&text, &want(Place::Byte(2), Some(3)));
        assert_eq!((part.text.as_str(), part.next.as_str()), ("ne ", "It goes on with byte 5."));
        let part = ask(&text, &want(Place::Line(1_000), None));
        assert_eq!((part.text.as_str(), part.next.as_str()), ("line 1000\n", "That is the end of it."));
        let part = ask(&text, &want(Place::Line(1), None));
        assert!(part.text.len() <= 1_000 && part.text.ends_with('\n'), "fewer lines, but whole ones: {}", part.what);
        assert_eq!(
            excerpt(&text, &want(Place::Line(1_001), None), 99).unwrap_err(),
            "There is no line 1001: it has 1000 lines."
        );
        assert!(excerpt(&text, &want(Place::Byte(1 << 40), None), 99).is_err());
        assert_eq!(ask("", &want(Place::Line(1), None)).next, "That is the end of it.");
    }

    #[test]
    fn a_line_without_end_is_read_on_by_bytes() {
        let text = "é".repeat(2_000);
        let part = ask(&text, &want(Place::Line(1), None));
        assert_eq!((part.text.len(), part.next.as_str()), (1_000, "It goes on with byte 1000."));
        let one = excerpt(&text, &want(Place::Byte(1), Some(1)), 1_000).unwrap();
        assert_eq!((one.text.as_str(), one.next.as_str()), ("é", "It goes on with byte 4."));
    }

    #[test]
    fn places_are_found_literally_and_told_once() {
        let text = format!("{}needle (a+b) needle\n{}", numbered(500), "x".repeat(5_000) + "needle");
        let find = |words: &'static str, count| Want { from: Place::Line(1), count, find: Some(words) };
        let found = ask(&text, &find("needle", None));
        assert!(found.what.starts_with("3 places in "), "{}", found.what);
        let lines: Vec<&str> = found.text.lines().collect();
        assert_eq!(lines.len(), 2, "two of them stand in one line: {lines:?}");
        assert!(lines[0].starts_with("line 501, byte ") && lines[0].ends_with(": needle (a+b) needle"), "{lines:?}");
        assert!(lines[1].contains("…xxxx") && lines[1].len() < 200, "{lines:?}");
        assert_eq!(found.next, "There are no more of them.");
        let first = ask(&text, &find("line 1", Some(2)));
        assert_eq!(first.text.lines().count(), 2);
        assert!(first.next.starts_with("More of them from byte "), "{}", first.next);
        assert_eq!(ask(&text, &find("(a+b)", None)).text.lines().count(), 1);
        assert!(excerpt(&text, &find("NEEDLE", None), 99).unwrap_err().contains("every letter counts"));
        assert!(excerpt(&text, &find("", None), 99).is_err());
        let long = Want { from: Place::Line(1), count: None, find: Some(&text[..4_000]) };
        assert!(ask(&text, &long).text.len() <= 1_000);
    }

    #[test]
    fn a_cut_names_its_reference_and_the_lines_that_are_shown() {
        let text = numbered(10_000);
        let cut = cut_middle(&text, 2_000, Some("7f3a1b2c")).unwrap();
        assert!(cut.len() <= 2_000 && cut.len() > 1_700, "{}", cut.len());
        let marker = cut.lines().find(|line| line.starts_with('[')).unwrap();
        assert!(marker.starts_with("[… result 7f3a1b2c, 98894 bytes, 10000 lines: lines 1–"), "{marker}");
        assert!(marker.ends_with("–10000 are shown; read_result reads on …]"), "{marker}");
        let lines: Vec<&str> = cut.lines().collect();
        let at = lines.iter().position(|line| line.starts_with('[')).unwrap();
        assert!(marker.contains(&format!("lines 1–{} and {}–", &lines[at - 1][5..], &lines[at + 1][5..])), "{marker}");
        let one_line = "x".repeat(9_000);
        let cut = cut_middle(&one_line, 2_000, Some("7f3a1b2c")).unwrap();
        assert!(cut.len() <= 2_000 && cut.contains("9000 bytes, 1 line: bytes 0–"), "{cut}");
        assert_eq!(cut_middle(&text, text.len(), Some("7f3a1b2c")), None);
    }

    proptest! {
        #[test]
        fn whoever_follows_the_sentences_reads_every_byte_once(text in "[a\u{e4}\u{1f600}\n]{0,300}", room in 1_usize..80) {
            let (mut read, mut from) = (String::new(), Place::Line(1));
            loop {
                let part = excerpt(&text, &want(from, None), room).unwrap();
                prop_assert!(part.text.len() <= room.max(4));
                read.push_str(&part.text);
                let Some((_, next)) = part.next.split_once("with ") else { break };
                let (kind, number) = next.trim_end_matches('.').split_once(' ').unwrap();
                let number = number.parse().unwrap();
                from = if kind == "line" { Place::Line(number) } else { Place::Byte(number) };
            }
            prop_assert_eq!(read, text);
        }

        #[test]
        fn any_place_and_any_words_are_bounded(text in "[ab\u{e4}\n]{0,300}", at in 0_u64..400, words in "[ab\u{e4}]{1,3}", room in 1_usize..200) {
            for from in [Place::Line(at), Place::Byte(at)] {
                let Ok(found) = excerpt(&text, &Want { from, count: None, find: Some(&words) }, room) else { continue };
                prop_assert!(found.text.len() <= room);
            }
        }

        #[test]
        fn a_cut_is_within_its_limit(text in "[a\u{e4}\n]{0,900}", limit in 130_usize..700) {
            if let Some(cut) = cut_middle(&text, limit, Some("7f3a1b2c")) {
                prop_assert!(cut.len() <= limit);
            }
        }
    }
}
