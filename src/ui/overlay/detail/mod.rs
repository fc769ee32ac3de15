//! One call, whole: how it went, its arguments, and one part of it at a time: its result, what the model was told of it,
//! what its server said meanwhile.

mod body;
mod found;
mod log;
mod spread;
mod text;
mod tree;

use ratatui::layout::Rect;

use super::{field, foot, one, screen};
use crate::app::{Call, CallPhase, Detail, DetailPart, Layout, ListLayout, State};
use crate::chat::OutcomeKind;
use crate::text::{cut, visible};
use crate::ui::call::{name, sign, word};
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::figures::{grouped, seconds, size};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;
use crate::ui::memo::Memo;
use crate::ui::transcript::marked;

pub(in crate::ui) use body::DetailRows;

/// The arguments as they were sent; over several lines where there is room for it.
fn arguments(call: &Call, pretty: bool, columns: usize) -> Vec<Row> {
    let text = &call.arguments;
    let indent = Row::label("   ", Ink::Text);
    let spread = if pretty && text.len() < 64 * 1024 { spread::pretty(text) } else { None };
    // More than this many bytes never fit the rows that they get.
    let text = spread.as_deref().unwrap_or(&text[..text.floor_char_boundary(32 * 1024)]);
    let row = Row::of_lines(&visible(text), Ink::Text);
    wrap_row(&row, columns.saturating_sub(1), &indent, &indent)
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
    let body = screen(canvas, area, &title, &switches(canvas, detail, narrow), layout);
    let height = usize::from(body.height);
    let mut y = about(canvas, body, call, state, wide, narrow);
    y += 1;
    if detail.part != DetailPart::Arguments {
        argument_head(canvas, body, y, call, wide, narrow);
        y += 1;
        let all = arguments(call, detail.pretty && wide, columns);
        let most = (height / 3).max(1);
        let shown = all.len().min(most);
        for row in all.iter().take(shown) {
            canvas.row(body, 0, y, row);
            y += 1;
        }
        if all.len() > shown {
            canvas.put(body, 3, y, &format!("… {} more rows: tab shows them", all.len() - shown), Ink::Dim);
            y += 1;
        }
        y += 1;
    }
    let rows = DetailRows::refresh(&mut memo.detail, detail, call, state, canvas.theme.glyphs, columns);
    let told = usize::from(!narrow && call.outcome.is_some() && detail.part != DetailPart::Told) * 2;
    let view = rows_of(body, y + 1, height.saturating_sub(y + 1 + told));
    let page = usize::from(view.height);
    let count = rows.count();
    let last = count.saturating_sub(page);
    let found = rows.found(detail.find.as_ref().map(|find| find.text.as_str()));
    let matches = found.len();
    let at = found.get(detail.find_at.min(found.len().saturating_sub(1))).copied();
    let cursor = detail.cursor.min(count.saturating_sub(1));
    let top = match (at, rows.is_tree()) {
        (Some(row), _) => row.saturating_sub(page / 2),
        (None, true) => detail.scroll.min(cursor).max((cursor + 1).saturating_sub(page)),
        (None, false) => detail.scroll,
    };
    let top = top.min(last);
    part_head(canvas, body, y, call, detail, rows, top, page);
    for (n, row) in rows.visible(top, page).iter().enumerate() {
        let hit = detail.find.as_ref().and_then(|find| marked(row, &find.text));
        canvas.row(view, 0, n, hit.as_ref().unwrap_or(row));
        if rows.is_tree() && top + n == cursor {
            canvas.put(view, 1, n, canvas.theme.glyphs.selected, Ink::Accent);
            let style = canvas.theme.chosen();
            canvas.over(view, n, style);
        }
    }
    layout.list = ListLayout { lines: count, page, top };
    layout.tree = rows.spots(top, page);
    if told > 0 {
        let after = y + 1 + count.min(page) + 1;
        sent(canvas, body, after, call, wide);
    }
    let count = matches;
    if detail.editing
        && let Some(find) = &detail.find
    {
        let line = rows_of(area, usize::from(area.height).saturating_sub(1), 1);
        canvas.put(line, 1, 0, &canvas.key("{detail.find}").unwrap_or_default(), Ink::Accent);
        field(canvas, line, 3, 0, find, true);
        let count = format!("{count} found{}", rows.found_in());
        canvas.put_right(line, columns.saturating_sub(1), 0, &count, Ink::Dim);
        return;
    }
    let scroll = if rows.is_tree() { "select" } else { "scroll" };
    let tree = rows.is_tree();
    let mut keys: Vec<(&str, &str)> = Vec::new();
    if wide {
        keys.push(("{list.arrows}", scroll));
    }
    if tree && !narrow {
        keys.extend([("enter", "fold"), ("{detail.unfold} {detail.fold}", "all")]);
    }
    keys.push(("{detail.find}", "find"));
    keys.extend(match (wide, narrow) {
        (true, _) => {
            vec![
                ("{detail.copy_result}", "copy result"),
                ("{detail.copy_arguments}", "copy args"),
                ("{detail.editor}", if tree { "$EDITOR" } else { "open in $EDITOR" }),
                ("{detail.save}", "save"),
                ("{detail.again}", "run again"),
            ]
        }
        (_, true) => vec![("{detail.copy_result}", "copy"), ("{detail.editor}", "edit")],
        (_, false) => vec![
            ("{detail.copy_result}", "copy"),
            ("{detail.editor}", "$EDITOR"),
            ("{detail.save}", "save"),
            ("{detail.again}", "run again"),
        ],
    });
    if !matches!(call.phase, CallPhase::Ended(_)) {
        keys.retain(|(key, _)| !matches!(*key, "{detail.save}" | "{detail.again}"));
        keys.push(("{detail.cancel}", "cancel"));
    }
    foot(canvas, area, &keys, ("esc", "back"));
}

fn switches(canvas: &Canvas<'_>, detail: &Detail, narrow: bool) -> Row {
    let mut row = Row::new();
    let switches = [
        (detail.raw, "raw", "{detail.raw}"),
        (detail.wrap, "wrap", "{detail.wrap}"),
        (detail.part == DetailPart::Log, "log", "{detail.log}"),
        (detail.part == DetailPart::Told, "as told", "{detail.told}"),
    ];
    for (on, word, key) in switches {
        let Some(key) = canvas.key(key) else { continue };
        let gap = match (row.text().is_empty(), narrow) {
            (true, _) => "",
            (false, true) => " ",
            (false, false) => "   ",
        };
        row.push(gap, Ink::Text);
        if !narrow {
            row.push(word, if on { Tint::of(Ink::Text).bold() } else { Tint::of(Ink::Dim) });
            row.push(" ", Ink::Text);
        }
        row.push(&key, if on && narrow { Tint::of(Ink::Accent).bold() } else { Tint::of(Ink::Accent) });
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
        (Some(asked), None) if t.ended.is_none() => {
            out.push(format!("waits {}", seconds(crate::ui::now(state).since_us(asked))))
        }
        (Some(_) | None, None | Some(_)) => {}
    }
    if let Some(sent) = t.sent {
        let ready = t.approved.unwrap_or(closed);
        if sent.since_us(ready) > 50_000 {
            out.insert(0, format!("queued {}", seconds(sent.since_us(ready))));
        }
        let end = t.ended.unwrap_or(crate::ui::now(state));
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

/// The name of the part that is shown, and how much of it.
#[allow(clippy::too_many_arguments)]
fn part_head(
    canvas: &mut Canvas<'_>,
    body: Rect,
    y: usize,
    call: &Call,
    detail: &Detail,
    rows: &DetailRows,
    top: usize,
    page: usize,
) {
    let columns = usize::from(body.width);
    let (wide, narrow) = (columns >= 100, columns < 60);
    let title = match detail.part {
        DetailPart::Result => "RESULT",
        DetailPart::Told => "SENT TO MODEL",
        DetailPart::Arguments => "ARGUMENTS",
        DetailPart::Log => "LOG",
    };
    let at = canvas.put(body, 1, y, title, Tint::of(Ink::Text).bold());
    if call.outcome.is_none() && matches!(detail.part, DetailPart::Result | DetailPart::Told) {
        canvas.put(body, at + 3, y, "none yet", Ink::Dim);
        return;
    }
    if detail.part == DetailPart::Result
        && call.outcome.as_ref().is_some_and(|outcome| outcome.kind == OutcomeKind::Failed)
        && !narrow
    {
        canvas.put(body, at + if wide { 3 } else { 1 }, y, "isError", Ink::Bad);
    }
    let last = (top + page).min(rows.count());
    let text = rows.measure(top, last, wide, narrow);
    // Where the model was told all of it, the bytes are those of the server's answer.
    let bytes = match (detail.part, &call.outcome) {
        (DetailPart::Result, Some(outcome)) => size(outcome.bytes),
        (DetailPart::Told, Some(outcome)) => size(outcome.content.len() as u64),
        (DetailPart::Arguments, _) => format!("{} B", grouped(call.arguments_bytes)),
        (DetailPart::Log | DetailPart::Result | DetailPart::Told, _) => String::new(),
    };
    let text = match (bytes.is_empty(), text.is_empty()) {
        (true, _) => text,
        (false, true) => bytes,
        (false, false) => format!("{bytes}{}{text}", if wide { ", " } else { "   " }),
    };
    let removed = match (rows.removed(), wide) {
        _ if narrow => String::new(),
        (0, _) => String::new(),
        (n, true) => format!("   {} controls removed", grouped(n as u64)),
        (n, false) => format!("   {n} ctrl removed"),
    };
    let other = if !detail.pretty { "[p] pretty" } else { "[p] as it came" };
    let switch = if wide && rows.has_json() { format!("   {other}") } else { String::new() };
    let right = columns.saturating_sub(if narrow { 6 } else { 1 });
    canvas.put_right(body, right, y, &format!("{text}{removed}{switch}"), Ink::Dim);
}

fn sent(canvas: &mut Canvas<'_>, body: Rect, y: usize, call: &Call, wide: bool) {
    let columns = usize::from(body.width);
    let Some(outcome) = &call.outcome else { return };
    let at = canvas.put(body, 1, y, "SENT TO MODEL", Tint::of(Ink::Text).bold());
    let told = size(outcome.content.len() as u64);
    let text = if outcome.truncated {
        format!("{told} of {}: its beginning and its end (limit result)", size(outcome.bytes))
    } else {
        format!("all of it, {told}")
    };
    canvas.put(body, at + if wide { 3 } else { 2 }, y, &text, Ink::Dim);
    let note = canvas.key(if wide { "[{detail.told}] show exact" } else { "[{detail.told}] exact" });
    canvas.put_right(body, columns.saturating_sub(if wide { 1 } else { 5 }), y, &note.unwrap_or_default(), Ink::Dim);
}
