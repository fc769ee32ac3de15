//! A tool call in few words: its sign, its state, the argument that tells most, its time. Shared by the transcript, the
//! panel, the strip and the tool screen.

use serde_json::{Map, Value};

use super::figures::{seconds, short_seconds, size};
use super::ink::Ink;
use super::theme::Glyphs;
use crate::app::{Call, CallPhase};
use crate::chat::{OutcomeKind, Stamp};
use crate::text::sanitize;

/// Arguments beyond this are not parsed for the screen, bytes.
const LARGEST: usize = 64 * 1024;
/// Names under which tools take what they work on, most telling first.
const TELLING: [&str; 16] = [
    "path",
    "file_path",
    "file",
    "filename",
    "url",
    "uri",
    "command",
    "cmd",
    "query",
    "q",
    "pattern",
    "paths",
    "name",
    "id",
    "text",
    "message",
];

/// What is shown of a call's arguments and result, kept while its revision stands. Safe text.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Telling {
    pub key: String,
    pub value: String,
    /// First lines of the result worth reading.
    pub result: Vec<String>,
    pub lines: usize,
}

impl Telling {
    pub(super) fn of(call: &Call) -> Self {
        let mut out = Self::default();
        if matches!(call.phase, CallPhase::Arguments) {
            (out.key, out.value) = telling(&closed_members(&call.arguments_head));
        } else if call.arguments.len() <= LARGEST {
            (out.key, out.value) = argument(&call.arguments);
        }
        if call.outcome.is_some() {
            let text = call.result_head();
            out.lines = text.lines().count();
            // The head is enough: results may be large.
            let head: String = text.chars().take(2_000).collect();
            out.result = sanitize(&head)
                .as_str()
                .lines()
                .map(str::trim)
                .filter(|l| !l.is_empty())
                .take(3)
                .map(str::to_owned)
                .collect();
        }
        out
    }

    /// Without the scheme of an address.
    pub(super) fn value(&self) -> &str {
        self.value.strip_prefix("https://").or_else(|| self.value.strip_prefix("http://")).unwrap_or(&self.value)
    }

    /// For a narrow place: of an address its host and the first step of its path.
    pub(super) fn short(&self) -> &str {
        let value = self.value();
        if value.len() == self.value.len() {
            return value;
        }
        match value.match_indices('/').nth(1) {
            Some((at, _)) => &value[..at],
            None => value,
        }
    }
}

/// Name and value of the argument that tells most; safe. Empty where there is none, or the text is no object.
pub(super) fn argument(arguments: &str) -> (String, String) {
    if arguments.len() > LARGEST {
        return (String::new(), String::new());
    }
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(arguments) else {
        return (String::new(), String::new());
    };
    telling(&map)
}

fn telling(map: &Map<String, Value>) -> (String, String) {
    let telling = TELLING.iter().find_map(|key| map.get_key_value(*key)).or_else(|| map.iter().next());
    telling.map(|(key, value)| (line(key), line(&plain(value)))).unwrap_or_default()
}

/// The members of an object that have closed in the beginning of its text: what is half-written is not among them.
fn closed_members(head: &str) -> Map<String, Value> {
    let mut members = Map::new();
    let Some(mut rest) = head.trim_start().strip_prefix('{') else { return members };
    loop {
        let Some((Value::String(key), after)) = value_of(rest) else { return members };
        let Some(after) = after.trim_start().strip_prefix(':') else { return members };
        let Some((value, after)) = value_of(after) else { return members };
        // A number goes on until something follows it.
        let Some(next) = after.trim_start().strip_prefix([',', '}']) else {
            if value.is_string() {
                members.insert(key, value);
            }
            return members;
        };
        members.insert(key, value);
        rest = next;
    }
}

/// The JSON value that a text begins with, and what follows it.
fn value_of(text: &str) -> Option<(Value, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let value = values.next()?.ok()?;
    Some((value, text.get(values.byte_offset()..)?))
}

fn line(text: &str) -> String {
    let head: String = text.chars().take(400).collect();
    sanitize(&head).one_line().into_string()
}

/// A value as a person would write it: strings bare, a list of strings with blanks between.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}

/// Sign and ink of a state.
pub(super) fn sign(phase: CallPhase, glyphs: &Glyphs) -> (&'static str, Ink) {
    match phase {
        CallPhase::Arguments | CallPhase::Closed => (glyphs.arguments, Ink::Dim),
        CallPhase::NeedsApproval => (glyphs.asks, Ink::Warn),
        CallPhase::Queued(_) | CallPhase::ServerStarting => (glyphs.queued, Ink::Dim),
        CallPhase::Running | CallPhase::Cancelling => (glyphs.running, Ink::Accent),
        CallPhase::Ended(kind) => match kind {
            OutcomeKind::Done => (glyphs.done, Ink::Good),
            OutcomeKind::Cancelled | OutcomeKind::Unknown => (glyphs.cancelled, Ink::Dim),
            OutcomeKind::Failed
            | OutcomeKind::Denied
            | OutcomeKind::TimedOut
            | OutcomeKind::Invalid
            | OutcomeKind::Incomplete
            | OutcomeKind::Conflict => (glyphs.failed, Ink::Bad),
        },
    }
}

pub(super) fn word(call: &Call) -> &'static str {
    match call.phase {
        CallPhase::Arguments => "args",
        CallPhase::Closed => "ready",
        CallPhase::NeedsApproval if call.decided => "decided",
        CallPhase::NeedsApproval => "needs approval",
        CallPhase::Queued(_) => "queued",
        CallPhase::ServerStarting => "starting",
        CallPhase::Running => "running",
        CallPhase::Cancelling => "stopping",
        CallPhase::Ended(kind) => match kind {
            OutcomeKind::Done => "done",
            OutcomeKind::Failed => "failed",
            OutcomeKind::Denied => "denied",
            OutcomeKind::TimedOut => "timed out",
            OutcomeKind::Cancelled => "cancelled",
            OutcomeKind::Unknown => "unknown",
            OutcomeKind::Invalid => "invalid",
            OutcomeKind::Incomplete => "incomplete",
            OutcomeKind::Conflict => "conflict",
        },
    }
}

/// Microseconds that it has run or ran. None before half a second has passed and where it never left.
pub(super) fn elapsed(call: &Call, now: Stamp) -> Option<u64> {
    match (&call.outcome, call.times.sent) {
        (Some(outcome), _) if outcome.sent => Some((outcome.ms * 1000.0) as u64),
        (Some(_), _) | (None, None) => None,
        (None, Some(sent)) => Some(now.since_us(sent)).filter(|us| *us >= 500_000),
    }
}

/// What stands where a finished call has its time.
pub(super) fn measure(call: &Call, now: Stamp) -> String {
    match call.phase {
        CallPhase::Arguments | CallPhase::Closed => size(call.arguments_bytes),
        CallPhase::Queued(place) => format!("#{place}"),
        CallPhase::NeedsApproval | CallPhase::ServerStarting => String::new(),
        CallPhase::Running | CallPhase::Cancelling | CallPhase::Ended(_) => {
            elapsed(call, now).map(seconds).unwrap_or_default()
        }
    }
}

pub(super) fn short_measure(call: &Call, now: Stamp) -> String {
    match call.phase {
        CallPhase::Running | CallPhase::Cancelling | CallPhase::Ended(_) => {
            elapsed(call, now).map(short_seconds).unwrap_or_default()
        }
        CallPhase::Arguments
        | CallPhase::Closed
        | CallPhase::Queued(_)
        | CallPhase::NeedsApproval
        | CallPhase::ServerStarting => measure(call, now),
    }
}

/// How far it is, 0 to 1, where its server told a total.
pub(super) fn part(call: &Call) -> Option<f64> {
    let progress = call.progress.as_ref()?;
    let total = progress.total.filter(|t| t.is_finite() && *t > 0.0)?;
    Some((progress.progress / total).clamp(0.0, 1.0)).filter(|p| p.is_finite())
}

/// The server's words on its progress, else the count alone.
pub(super) fn progress_note(call: &Call) -> String {
    let Some(progress) = &call.progress else { return String::new() };
    match (&progress.message, progress.total) {
        (Some(message), _) if !message.trim().is_empty() => line(message),
        (_, Some(total)) => format!("{}/{}", amount(progress.progress), amount(total)),
        (_, None) => format!("{} so far", amount(progress.progress)),
    }
}

/// Why a call came to nothing, in its first line: a denial without the name that stands above it.
pub(super) fn reason(telling: &Telling) -> &str {
    let first = telling.result.first().map_or("", String::as_str);
    let denial = first.strip_prefix("denied ").and_then(|denial| denial.split_once(": "));
    denial.map_or(first, |(_, reason)| reason)
}

/// A server's number, shortly: `3`, `0.33`, `1e300`.
fn amount(number: f64) -> String {
    if number.abs() >= 1e12 {
        return format!("{number:e}");
    }
    let fixed = format!("{number:.2}");
    fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `server/tool`, or the tool alone; safe.
pub(super) fn name(call: &Call, short: bool) -> String {
    let name = match &call.tool {
        Some(tool) if short => tool.tool.to_string(),
        Some(_) | None => call.name(),
    };
    if name.is_empty() { "…".to_owned() } else { line(&name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_servers_are_short() {
        for (number, shown) in
            [(3.0, "3"), (100.0, "100"), (0.1 + 0.2, "0.3"), (-2.5, "-2.5"), (1e300, "1e300"), (0.0, "0")]
        {
            assert_eq!(amount(number), shown);
        }
    }

    #[test]
    fn a_denial_is_shown_without_the_name_above_it() {
        let of = |line: &str| Telling { result: vec![line.to_owned()], ..Telling::default() };
        assert_eq!(reason(&of("denied fs/write: nobody is here to ask")), "nobody is here to ask");
        assert_eq!(reason(&of("exit 1: two failed")), "exit 1: two failed");
        assert_eq!(reason(&Telling::default()), "");
    }

    #[test]
    fn keys_are_known_as_they_close() {
        let check = |head: &str, key: &str, value: &str| {
            assert_eq!(telling(&closed_members(head)), (key.to_owned(), value.to_owned()), "{head}");
        };
        check("", "", "");
        check(r#"{"pa"#, "", "");
        check(r#"{"path":"src/re"#, "", "");
        check(r#"{"path":"src/retry.rs""#, "path", "src/retry.rs");
        check(r#"{"mode":12"#, "", "");
        check(r#"{"mode":12,"#, "mode", "12");
        check(r#"{"mode":12,"path":"a","content":"half \u00"#, "path", "a");
        check(r#"[1,2"#, "", "");
        check(r#"{"a":{"b":[1,{"c":"#, "", "");
    }
}
