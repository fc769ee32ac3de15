//! One call, whole: how it went, its arguments, its result.

use std::borrow::Cow;

use ratatui::layout::Rect;

use super::{field, foot, one, screen};
use crate::app::{Call, CallPhase, Detail, Layout, ListLayout, State};
use crate::chat::{CallId, OutcomeKind};
use crate::text::{cut, sanitize_counted, visible};
use crate::ui::call::{name, sign, word};
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::figures::{grouped, seconds, size};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;
use crate::ui::memo::Memo;
use crate::ui::transcript::marked;

/// Of a result, what one screen lays out; the rest is one key away in `$EDITOR`. Bytes.
const LARGEST: usize = 2 * 1024 * 1024;

/// The laid-out text of a call, kept while nothing of it changed.
#[derive(Debug)]
pub(in crate::ui) struct DetailRows {
    of: (CallId, u64, bool, bool, bool, bool, usize),
    arguments: Vec<Row>,
    result: Vec<Row>,
    removed: usize,
    cut: bool,
    /// The word that was last looked for, in lower case, and the rows that hold it.
    found: (String, Vec<usize>),
}

impl DetailRows {
    fn refresh<'a>(kept: &'a mut Option<Self>, detail: &Detail, call: &Call, columns: usize) -> &'a mut Self {
        let of = (call.id.clone(), call.revision, detail.raw, detail.wrap, detail.told, detail.pretty, columns);
        if kept.as_ref().is_some_and(|rows| rows.of != of) {
            *kept = None;
        }
        kept.get_or_insert_with(|| Self::new(of, detail, call, columns))
    }

    fn new(of: (CallId, u64, bool, bool, bool, bool, usize), detail: &Detail, call: &Call, columns: usize) -> Self {
        let indent = Row::label("   ", Ink::Text);
        let lay = |text: &str, tint: Ink| -> Vec<Row> {
            let mut out = Vec::new();
            for line in text.split('\n') {
                let mut row = Row::new();
                row.push(line, tint);
                if detail.wrap {
                    out.extend(wrap_row(&row, columns.saturating_sub(1), &indent, &indent));
                } else {
                    let mut whole = indent.clone();
                    whole.append(&row);
                    out.push(whole);
                }
            }
            out
        };
        let arguments = arguments_text(call, detail.pretty && columns >= 100);
        let source = match (&call.outcome, detail.told) {
            (Some(outcome), true) => Cow::Borrowed(outcome.content.as_str()),
            (Some(_), false) if detail.pretty && !detail.raw => spread(call.result()),
            (Some(_), false) => call.result(),
            (None, _) => Cow::Borrowed(""),
        };
        let mut end = source.len().min(LARGEST);
        while !source.is_char_boundary(end) {
            end -= 1;
        }
        let (safe, removed) = sanitize_counted(&source[..end]);
        let shown = if detail.raw { visible(&source[..end]) } else { safe };
        let mut result =
            if source.is_empty() { Vec::new() } else { lay(shown.as_str().trim_end_matches('\n'), Ink::Text) };
        for note in call.outcome.iter().flat_map(|outcome| &outcome.notes) {
            result.extend(lay(&format!("! {}", one(note)), Ink::Warn));
        }
        Self {
            of,
            arguments: lay(arguments.as_str(), Ink::Text),
            result,
            removed,
            cut: end < source.len(),
            found: Default::default(),
        }
    }
}

impl DetailRows {
    /// The rows that hold what is looked for, whatever its case: looked through once for a word.
    fn found(&mut self, find: Option<&str>) -> &[usize] {
        let wanted = find.filter(|text| !text.trim().is_empty()).unwrap_or_default().to_lowercase();
        if self.found.0 != wanted {
            let holds = |row: &Row| row.text().to_lowercase().contains(&wanted);
            let rows = self.result.iter().enumerate().filter(|(_, row)| !wanted.is_empty() && holds(row));
            self.found = (wanted.clone(), rows.map(|(n, _)| n).collect());
        }
        &self.found.1
    }
}

/// A result that is JSON, or that has lines which are, over several lines.
fn spread(text: Cow<'_, str>) -> Cow<'_, str> {
    let pretty = |text: &str| {
        let json = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
        let value = json.then(|| serde_json::from_str::<serde_json::Value>(text).ok()).flatten()?;
        serde_json::to_string_pretty(&value).ok()
    };
    if text.len() > LARGEST {
        return text;
    }
    if let Some(whole) = pretty(&text) {
        return Cow::Owned(whole);
    }
    if !text.lines().any(|line| line.starts_with(['{', '['])) {
        return text;
    }
    let lines: Vec<Cow<'_, str>> =
        text.split('\n').map(|line| pretty(line).map_or(Cow::Borrowed(line), Cow::Owned)).collect();
    Cow::Owned(lines.join("\n"))
}

/// The arguments as they were sent; over several lines where there is room for it.
fn arguments_text(call: &Call, pretty: bool) -> crate::text::SafeText {
    let text = &call.arguments;
    if pretty
        && text.len() < 64 * 1024
        && let Ok(value) = serde_json::from_str::<serde_json::Value>(text)
        && let Ok(pretty) = serde_json::to_string_pretty(&value)
    {
        return visible(&pretty);
    }
    visible(text)
}

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    detail: &Detail,
    state: &State,
    memo: &mut Memo,
    layout: &mut Layout,
) {
    let columns = usize::from(area.width);
    let (wide, narrow) = (columns >= 100, columns < 60);
    let Some(call) = state.calls.by_id.get(&detail.call) else {
        let body = screen(canvas, area, &Row::label("tool call", Ink::Text), &Row::new(), layout);
        canvas.put(body, 1, 0, "This call is no longer here.", Ink::Dim);
        foot(canvas, area, &[], ("esc", "back"));
        return;
    };
    let mut title = Row::new();
    title.push(&cut(&name(call, false), columns / 2), Tint::of(Ink::Text).bold());
    let body = screen(canvas, area, &title, &switches(detail, narrow), layout);
    let height = usize::from(body.height);
    let mut y = about(canvas, body, call, state, wide, narrow);
    y += 1;
    let rows = DetailRows::refresh(&mut memo.detail, detail, call, columns);

    argument_head(canvas, body, y, call, wide, narrow);
    y += 1;
    let most = (height / 3).max(1);
    let shown = rows.arguments.len().min(most);
    for row in rows.arguments.iter().take(shown) {
        canvas.row(body, 0, y, row);
        y += 1;
    }
    if rows.arguments.len() > shown {
        canvas.put(body, 3, y, &format!("… {} more lines: a copies them", rows.arguments.len() - shown), Ink::Dim);
        y += 1;
    }
    y += 1;
    let told = usize::from(!narrow && call.outcome.is_some()) * 2;
    let view = rows_of(body, y + 1, height.saturating_sub(y + 1 + told));
    let page = usize::from(view.height);
    let last = rows.result.len().saturating_sub(page);
    let found = rows.found(detail.find.as_ref().map(|find| find.text.as_str()));
    let count = found.len();
    let at = found.get(detail.find_at.min(found.len().saturating_sub(1))).copied();
    let top = at.map_or(detail.scroll, |row| row.saturating_sub(page / 2)).min(last);
    result_head(canvas, body, y, call, rows, top, page, wide, narrow);
    for (n, row) in rows.result.iter().skip(top).take(page).enumerate() {
        let hit = detail.find.as_ref().and_then(|find| marked(row, &find.text));
        canvas.row(view, 0, n, hit.as_ref().unwrap_or(row));
    }
    layout.list = ListLayout { lines: rows.result.len(), page, top };
    if told > 0 {
        let after = y + 1 + rows.result.len().min(page) + 1;
        sent(canvas, body, after, call, detail, wide);
    }
    if detail.editing
        && let Some(find) = &detail.find
    {
        let line = rows_of(area, usize::from(area.height).saturating_sub(1), 1);
        canvas.put(line, 1, 0, "/", Ink::Accent);
        field(canvas, line, 3, 0, find, true);
        let count = format!("{count} found");
        canvas.put_right(line, columns.saturating_sub(1), 0, &count, Ink::Dim);
        return;
    }
    let keys: &[(&str, &str)] = if wide {
        &[
            ("↑↓", "scroll"),
            ("/", "find"),
            ("y", "copy result"),
            ("a", "copy args"),
            ("e", "open in $EDITOR"),
            ("s", "save"),
            ("R", "run again"),
        ]
    } else if narrow {
        &[("/", "find"), ("y", "copy"), ("e", "edit")]
    } else {
        &[("/", "find"), ("y", "copy"), ("e", "$EDITOR"), ("s", "save"), ("R", "run again")]
    };
    let up_down = canvas.theme.glyphs.up_down;
    let keys: Vec<(&str, &str)> = keys.iter().map(|(k, l)| (if *k == "↑↓" { up_down } else { k }, *l)).collect();
    foot(canvas, area, &keys, ("esc", "back"));
}

fn switches(detail: &Detail, narrow: bool) -> Row {
    let mut row = Row::new();
    for (on, word, key) in [(detail.raw, "raw", "r"), (detail.wrap, "wrap", "w"), (detail.told, "as told", "m")] {
        row.push(
            if row.text().is_empty() {
                ""
            } else if narrow {
                " "
            } else {
                "   "
            },
            Ink::Text,
        );
        if !narrow {
            row.push(word, if on { Tint::of(Ink::Text).bold() } else { Tint::of(Ink::Dim) });
            row.push(" ", Ink::Text);
        }
        row.push(key, if on && narrow { Tint::of(Ink::Accent).bold() } else { Tint::of(Ink::Accent) });
    }
    row
}

/// State, server and times. Returns the rows it took.
fn about(canvas: &mut Canvas<'_>, body: Rect, call: &Call, state: &State, wide: bool, narrow: bool) -> usize {
    let columns = usize::from(body.width);
    let (glyph, ink) = sign(call.phase, canvas.theme.glyphs);
    let class = match call.phase {
        CallPhase::Ended(OutcomeKind::Failed) => {
            let first = call.result_head().lines().find(|l| !l.trim().is_empty()).unwrap_or("");
            one(first).chars().take(40).collect::<String>()
        }
        CallPhase::Ended(_)
        | CallPhase::Arguments
        | CallPhase::Closed
        | CallPhase::NeedsApproval
        | CallPhase::Queued(_)
        | CallPhase::ServerStarting
        | CallPhase::Running
        | CallPhase::Cancelling => String::new(),
    };
    let server = call.tool.as_ref().map(|tool| {
        let row = state.servers.get(&tool.server);
        let transport = row.map_or("", |r| r.status.transport);
        let pid = row.and_then(|r| r.status.pid).map(|pid| format!(", pid {pid}")).unwrap_or_default();
        format!("{} ({transport}{pid})", one(tool.server.as_str()))
    });
    let server = server.unwrap_or_else(|| "no such tool".to_owned());
    let place = state.calls.this_turn.iter().position(|id| *id == call.id);
    let place = place.map(|n| format!("{} of {}", n + 1, state.calls.this_turn.len())).unwrap_or_default();
    let times = times(call, state);
    if wide {
        canvas.put(body, 1, 0, "server", Ink::Dim);
        canvas.put(body, 10, 0, &cut(&server, 33), Ink::Text);
        canvas.put(body, 45, 0, "call", Ink::Dim);
        let at = canvas.put(body, 52, 0, &cut(&one(call.id.as_str()), 30), Ink::Text);
        canvas.put(body, at + 3, 0, &place, Ink::Dim);
        canvas.put(body, 1, 1, "state", Ink::Dim);
        let at = canvas.put(body, 10, 1, glyph, ink);
        let at = canvas.put(body, at + 1, 1, word(call), ink);
        canvas.put(body, at + 3, 1, &cut(&class, 43usize.saturating_sub(at + 3)), Ink::Text);
        canvas.put(body, 45, 1, "time", Ink::Dim);
        canvas.put(body, 52, 1, &cut(&times.join(", "), columns - 53), Ink::Text);
        return 2;
    }
    let at = canvas.put(body, 1, 0, glyph, ink);
    let at = canvas.put(body, at + 1, 0, word(call), ink);
    if narrow {
        let ran = times.last().cloned().unwrap_or_default();
        canvas.put(body, at + 3, 0, &cut(&ran, columns.saturating_sub(at + 4)), Ink::Text);
        return 1;
    }
    let at = canvas.put(body, at + 2, 0, &cut(&class, 20), Ink::Text);
    let at = canvas.put(body, at + 3, 0, &cut(&server, 34), Ink::Text);
    canvas.put(body, at + 3, 0, &place, Ink::Dim);
    canvas.put(body, 1, 1, &cut(&times.join("   "), columns.saturating_sub(2)), Ink::Text);
    2
}

/// Queued, approved, ran: what a call spent its time on.
fn times(call: &Call, state: &State) -> Vec<String> {
    let t = &call.times;
    let mut out = Vec::new();
    let closed = t.closed.unwrap_or(t.opened);
    match (t.asked, t.approved) {
        (Some(asked), Some(approved)) => out.push(format!("approved by you in {}", seconds(approved.since_us(asked)))),
        (Some(asked), None) if t.ended.is_none() => out.push(format!("waits {}", seconds(state.now.since_us(asked)))),
        (Some(_) | None, None | Some(_)) => {}
    }
    if let Some(sent) = t.sent {
        let ready = t.approved.unwrap_or(closed);
        if sent.since_us(ready) > 50_000 {
            out.insert(0, format!("queued {}", seconds(sent.since_us(ready))));
        }
        let end = t.ended.unwrap_or(state.now);
        out.push(format!("{} {}", if t.ended.is_some() { "ran" } else { "running" }, seconds(end.since_us(sent))));
    } else if t.ended.is_some() {
        out.push("never sent".to_owned());
    }
    out
}

fn argument_head(canvas: &mut Canvas<'_>, body: Rect, y: usize, call: &Call, wide: bool, narrow: bool) {
    let columns = usize::from(body.width);
    canvas.put(body, 1, y, "ARGUMENTS", Tint::of(Ink::Text).bold());
    let bytes = if narrow { size(call.arguments_bytes) } else { format!("{} B", grouped(call.arguments_bytes)) };
    let (valid, ink) = match call.phase {
        CallPhase::Ended(OutcomeKind::Invalid) => ("not valid", Ink::Bad),
        CallPhase::Ended(OutcomeKind::Incomplete) => ("never closed", Ink::Bad),
        CallPhase::Arguments => ("still coming", Ink::Dim),
        CallPhase::Ended(_)
        | CallPhase::Closed
        | CallPhase::NeedsApproval
        | CallPhase::Queued(_)
        | CallPhase::ServerStarting
        | CallPhase::Running
        | CallPhase::Cancelling => (if wide { "valid against schema" } else { "valid" }, Ink::Dim),
    };
    let right = if wide {
        canvas.put(body, columns - 9, y, "[p]retty", Ink::Dim);
        columns - 12
    } else {
        columns.saturating_sub(6)
    };
    let mut row = Row::new();
    row.push(&format!("{bytes}{}", if narrow { "  " } else { "   " }), Ink::Dim);
    row.push(valid, ink);
    canvas.row_right(body, right, y, &row);
}

#[allow(clippy::too_many_arguments)]
fn result_head(
    canvas: &mut Canvas<'_>,
    body: Rect,
    y: usize,
    call: &Call,
    rows: &DetailRows,
    top: usize,
    page: usize,
    wide: bool,
    narrow: bool,
) {
    let columns = usize::from(body.width);
    let at = canvas.put(body, 1, y, "RESULT", Tint::of(Ink::Text).bold());
    let Some(outcome) = &call.outcome else {
        canvas.put(body, at + 3, y, "none yet", Ink::Dim);
        return;
    };
    if matches!(outcome.kind, OutcomeKind::Failed) && !narrow {
        canvas.put(body, at + if wide { 3 } else { 1 }, y, "isError", Ink::Bad);
    }
    let all = rows.result.len();
    let last = (top + page).min(all);
    let bytes = size(outcome.bytes);
    let more = if rows.cut { " or more" } else { "" };
    let text = if wide {
        format!("{bytes}, {} lines{more}, showing {}-{last}", grouped(all as u64), (top + 1).min(all))
    } else if narrow {
        format!("{bytes}   {}-{last}/{all}", (top + 1).min(all))
    } else {
        format!("{bytes}   lines {}-{last} of {all}", (top + 1).min(all))
    };
    let right = columns.saturating_sub(if narrow { 6 } else { 1 });
    let removed = match (rows.removed, wide) {
        (0, _) => String::new(),
        (n, true) => format!("   {n} controls removed"),
        (n, false) => format!("   {n} ctrl removed"),
    };
    let removed = if narrow { String::new() } else { removed };
    canvas.put_right(body, right, y, &format!("{text}{removed}"), Ink::Dim);
}

fn sent(canvas: &mut Canvas<'_>, body: Rect, y: usize, call: &Call, detail: &Detail, wide: bool) {
    let columns = usize::from(body.width);
    let Some(outcome) = &call.outcome else { return };
    let at = canvas.put(body, 1, y, "SENT TO MODEL", Tint::of(Ink::Text).bold());
    let told = size(outcome.content.len() as u64);
    let text = if outcome.truncated {
        format!("{told} of {}: its beginning and its end", size(outcome.bytes))
    } else {
        format!("all of it, {told}")
    };
    canvas.put(body, at + if wide { 3 } else { 2 }, y, &text, Ink::Dim);
    let note = match (detail.told, wide) {
        (true, _) => "[m] show the whole",
        (false, true) => "[m] show exact",
        (false, false) => "[m] exact",
    };
    canvas.put_right(body, columns.saturating_sub(if wide { 1 } else { 5 }), y, note, Ink::Dim);
}
