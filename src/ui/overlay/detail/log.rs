//! What the server of a call said while it ran.

use crate::app::{Call, State};
use crate::text::sanitize;
use crate::ui::figures::counted;
use crate::ui::ink::{Ink, Row};
use crate::ui::markdown::wrap_row;
use crate::ui::overlay::said::message;

/// Messages come a moment before or behind the answer that they belong to, milliseconds.
const AROUND_MS: i64 = 250;

pub(super) fn rows(call: &Call, state: &State, columns: usize) -> Vec<Row> {
    let indent = Row::label("   ", Ink::Text);
    let width = columns.saturating_sub(1);
    let say = |text: &str| {
        let mut row = Row::new();
        row.push(text, Ink::Dim);
        wrap_row(&row, width, &indent, &indent)
    };
    let server = call.tool.as_ref().and_then(|tool| state.servers.get(&tool.server));
    let (Some(row), Some(sent), Some(_)) = (server, call.times.sent, call.turn) else {
        return say("Nothing is kept of the time of this call: it ran in an earlier session, or never left.");
    };
    let until = call.times.ended.unwrap_or(state.now).wall_ms;
    let span = sent.wall_ms - AROUND_MS..=until + AROUND_MS;
    let log = &row.status.life.log;
    let mut out = Vec::new();
    for line in log.lines.iter().filter(|line| span.contains(&line.at)) {
        for row in message(line, columns < 60, width.saturating_sub(3), state) {
            let mut whole = indent.clone();
            whole.append(&row);
            out.push(whole);
        }
    }
    if out.is_empty() {
        let others = counted(log.lines.len() as u64, "message", "messages");
        let way = state.keymap.tell("{app.servers}, {servers.log}");
        out.extend(say(&format!("No log message came while it ran; {others} at other times ({way}).")));
    }
    if log.dropped > 0 {
        out.extend(say(&format!("{} older were let go ([limits] log).", counted(log.dropped, "one", "of them"))));
    }
    out.push(Row::new());
    let lines = &row.status.stderr;
    if lines.is_empty() {
        out.extend(say("Its standard error said nothing."));
        return out;
    }
    out.extend(say("Its standard error has no times; the last of it:"));
    for line in lines {
        out.extend(wrap_row(&Row::of(&sanitize(line).one_line(), Ink::Text), width, &indent, &indent));
    }
    out
}
