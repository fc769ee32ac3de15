//! The servers: what each does, and why it does not.

use ratatui::layout::Rect;

use super::{choose, foot, heading, one, said, screen, words};
use crate::app::{Layout, ListLayout, LogView, ServerList, ServerRow, ServerStep, State, Target};
use crate::chat::{Policy, ServerState, SignedIn, Standing, ToolLine};
use crate::text::{cut, sanitize, visible, width};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::{counted, grouped, long_clock, size};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;
use crate::ui::panel::server_sign;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, list: &ServerList, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let rows = &state.servers.rows;
    let ready = rows.iter().filter(|r| r.status.state == ServerState::Ready && r.status.differences.is_empty()).count();
    let narrow = columns < 60;
    let (title, note) = if narrow {
        (heading("MCP"), format!("{ready} of {} ready", rows.len()))
    } else {
        (heading("MCP SERVERS"), format!("{} configured, {ready} ready", rows.len()))
    };
    let body = screen(canvas, area, &title, &words(&note), layout);
    let selected =
        list.selected.as_ref().and_then(|name| rows.iter().position(|r| r.status.server == *name)).unwrap_or(0);
    let chosen = rows.get(selected);
    match (&list.step, chosen) {
        (ServerStep::Log { scroll, view: LogView::StandardError, .. }, Some(row)) => {
            said::stderr(canvas, body, row, *scroll, layout);
        }
        (ServerStep::Log { scroll, view: LogView::Messages, least }, Some(row)) => {
            said::messages(canvas, body, row, (*scroll, *least), state, layout);
        }
        (ServerStep::Folders { selected }, Some(row)) => {
            super::folders::draw(canvas, body, row, *selected, layout);
        }
        (ServerStep::Words { scroll }, Some(row)) => said::words(canvas, body, row, *scroll, layout),
        (ServerStep::Tools { selected }, Some(row)) => tools(canvas, body, row, *selected, layout),
        (ServerStep::Changes { shown, scroll, .. }, Some(row)) => {
            super::changes::draw(canvas, body, &row.status.server, shown, *scroll, layout);
        }
        (ServerStep::List, _) | (_, None) => table(canvas, body, state, selected, layout),
    }
    let enter = match chosen {
        Some(row) if row.status.state == ServerState::NeedsConsent => "start",
        Some(row) if row.status.state == ServerState::NeedsLogin && row.status.transport != "simple-rpc" => "sign in",
        Some(row) if !row.status.differences.is_empty() => "what changed",
        Some(row) if row.status.state == ServerState::Ready => "tools",
        Some(_) | None => "log",
    };
    let levels = match canvas.key("{servers.level_1}{servers.level_2}{servers.level_3}{servers.level_4}").as_deref() {
        Some("1234") => "1-4",
        Some(_) | None => "{servers.level_1} {servers.level_2} {servers.level_3} {servers.level_4}",
    };
    let keys: &[(&str, &str)] = match (&list.step, columns) {
        (ServerStep::Folders { .. }, _) => {
            &[("{list.arrows}", "select"), ("{servers.ask_log}", "add"), ("{servers.take_out}", "take out")]
        }
        (ServerStep::Words { .. }, _) => &[("{list.arrows}", "scroll")],
        (ServerStep::Log { view: LogView::StandardError, .. }, _) => {
            &[("{list.arrows}", "scroll"), ("{servers.other_log}", "messages")]
        }
        (ServerStep::Log { view: LogView::Messages, .. }, 60..) => &[
            ("{list.arrows}", "scroll"),
            ("{servers.other_log}", "stderr"),
            (levels, "all, info, warnings, errors"),
            ("{servers.ask_log}", "ask for"),
        ],
        (ServerStep::Log { view: LogView::Messages, .. }, _) => {
            &[("{servers.other_log}", "stderr"), (levels, "level"), ("{servers.ask_log}", "ask")]
        }
        (ServerStep::Tools { .. }, _) => &[("{list.arrows}", "select")],
        (ServerStep::Changes { end_seen: true, .. }, _) => {
            &[("{list.arrows}", "scroll"), ("{servers.accept}", "accept what is shown")]
        }
        (ServerStep::Changes { end_seen: false, .. }, _) => &[("{list.arrows}", "scroll to the end, then accept")],
        (ServerStep::List, 100..) => &[
            ("{list.arrows}", "select"),
            ("enter", enter),
            ("{servers.log}", "log"),
            ("{servers.restart}", "restart"),
            ("{servers.off}", "on/off"),
            ("{servers.trust}", "trust"),
            ("{servers.config}", "edit config"),
        ],
        (ServerStep::List, 60..) => &[
            ("enter", enter),
            ("{servers.log}", "log"),
            ("{servers.restart}", "restart"),
            ("{servers.off}", "on/off"),
            ("{servers.trust}", "trust"),
            ("{servers.config}", "config"),
        ],
        (ServerStep::List, _) => &[("enter", enter), ("{servers.log}", "log"), ("{servers.restart}", "restart")],
    };
    let keys: Vec<(&str, &str)> =
        keys.iter().copied().filter(|(key, label)| *key != "{servers.log}" || *label != enter).collect();
    foot(canvas, area, &keys, ("esc", ""));
}

/// Where each column begins.
struct Columns {
    state: usize,
    transport: Option<usize>,
    tools: usize,
    calls: usize,
    p50: usize,
    errors: Option<usize>,
    memory: Option<usize>,
    up: usize,
}

/// What else can be done, above the footer: the footer has no room for all of it.
const MORE: [(&str, &str); 6] = [
    ("{servers.add}", "add"),
    ("{servers.import}", "import"),
    ("{servers.refresh}", "list tools again"),
    ("{servers.tools}", "claims"),
    ("{servers.words}", "its words"),
    ("{servers.folders}", "its folders"),
];

const WIDE: Columns = Columns {
    state: 14,
    transport: Some(36),
    tools: 48,
    calls: 56,
    p50: 64,
    errors: Some(73),
    memory: Some(82),
    up: 92,
};
const MIDDLE: Columns =
    Columns { state: 12, transport: None, tools: 32, calls: 40, p50: 48, errors: None, memory: None, up: 57 };

fn table(canvas: &mut Canvas<'_>, body: Rect, state: &State, selected: usize, layout: &mut Layout) {
    let columns = usize::from(body.width);
    let height = usize::from(body.height);
    let rows = &state.servers.rows;
    if rows.is_empty() {
        canvas.put(body, 1, 1, "No servers yet.", Ink::Text);
        let ways = [
            "{servers.add} adds one: a name and its command or address.",
            "{servers.import} brings those of other clients.",
        ];
        for (y, way) in ways.into_iter().enumerate() {
            canvas.put(body, 1, 3 + y, &canvas.keys.tell(way), Ink::Dim);
        }
        return;
    }
    let narrow = columns < 60;
    let at = if columns >= 106 { WIDE } else { MIDDLE };
    let head = usize::from(!narrow);
    if !narrow {
        let heads = [
            (Some(3), "SERVER"),
            (Some(at.state), "STATE"),
            (at.transport, "TRANSPORT"),
            (Some(at.tools), "TOOLS"),
            (Some(at.calls), "CALLS"),
            (Some(at.p50), "p50"),
            (at.errors, "ERRORS"),
            (at.memory, "MEMORY"),
            (Some(at.up), "UP"),
        ];
        for (x, name) in heads {
            if let Some(x) = x {
                canvas.put(body, x, 0, name, Ink::Dim);
            }
        }
    }
    let page = rows.len().min(height.saturating_sub(head + 5).max(1));
    let first = super::first_row(selected, rows.len(), page);
    for (y, (n, row)) in rows.iter().enumerate().skip(first).take(page).enumerate() {
        let y = y + head;
        layout.targets.push((hit(rows_of(body, y, 1)), Target::Row(n)));
        if narrow {
            narrow_row(canvas, body, y, row, state);
        } else {
            wide_row(canvas, body, y, row, &at, state);
        }
        choose(canvas, body, y, n == selected);
    }
    layout.list = ListLayout { lines: rows.len(), page, top: first };
    // Its last row tells what else can be done, where there is room for it.
    let more = usize::from(!narrow && height > head + page + 4);
    if more == 1 {
        let more: Vec<String> =
            MORE.iter().filter_map(|(key, label)| Some(format!("{} {label}", canvas.key(key)?))).collect();
        canvas.put(body, 1, height - 1, &cut(&more.join("   "), columns.saturating_sub(2)), Ink::Dim);
    }
    let below = rows_of(body, head + page + 1, height.saturating_sub(head + page + 1 + more));
    // What needs a person, the chosen one before all; then the chosen one in any case.
    let chosen = rows.get(selected);
    let mut told: Vec<&ServerRow> = chosen.filter(|row| needs(row)).into_iter().collect();
    told.extend(rows.iter().enumerate().filter(|(n, r)| *n != selected && needs(r)).map(|(_, r)| r));
    told.extend(chosen.filter(|row| !needs(row)));
    let mut y = 0;
    for row in told {
        for line in details(row, columns, canvas, state) {
            if y >= usize::from(below.height) {
                return;
            }
            canvas.row(below, 1, y, &line);
            y += 1;
        }
        y += 1;
    }
}

fn needs(row: &ServerRow) -> bool {
    !row.status.differences.is_empty()
        || matches!(row.status.state, ServerState::Failed | ServerState::NeedsLogin | ServerState::NeedsConsent)
}

fn state_words(row: &ServerRow) -> String {
    match row.status.state {
        ServerState::Ready if !row.status.differences.is_empty() => "tools changed".to_owned(),
        ServerState::Ready if row.running > 0 => format!("busy {}", counted(row.running.into(), "call", "calls")),
        ServerState::Ready => "ready".to_owned(),
        ServerState::Starting => "starting".to_owned(),
        ServerState::Failed => match (&row.status.life.exit, row.status.life.failures) {
            (Some(_), times @ 2..) => format!("exited {times} times"),
            (Some(_), _) => "exited".to_owned(),
            (None, _) => "failed".to_owned(),
        },
        ServerState::NeedsLogin => "needs sign-in".to_owned(),
        ServerState::NeedsConsent => "not started".to_owned(),
        ServerState::Off => "off".to_owned(),
    }
}

fn short_words(row: &ServerRow) -> String {
    match row.status.state {
        ServerState::Ready if !row.status.differences.is_empty() => "changed".to_owned(),
        ServerState::Ready if row.running > 0 => format!("busy {}", row.running),
        ServerState::Failed if row.status.life.exit.is_some() => format!("exited {}x", row.status.life.failures.max(1)),
        ServerState::Ready
        | ServerState::Starting
        | ServerState::Failed
        | ServerState::NeedsLogin
        | ServerState::NeedsConsent
        | ServerState::Off => state_words(row),
    }
}

fn since(row: &ServerRow, state: &State) -> String {
    match row.status.state {
        ServerState::Ready if !row.status.differences.is_empty() => "needs review".to_owned(),
        ServerState::Ready | ServerState::Starting => long_clock(state.now.mono_us.saturating_sub(row.since_us)),
        ServerState::NeedsConsent => "enter starts it".to_owned(),
        ServerState::NeedsLogin => "enter signs in".to_owned(),
        ServerState::Off if row.status.message.is_some() => "not to be used".to_owned(),
        ServerState::Off => "disabled by you".to_owned(),
        ServerState::Failed => match retry(row, state) {
            Some(left) => format!("retry in {left}"),
            None => "r restarts it".to_owned(),
        },
    }
}

/// How long until it is started again, `0:24`.
fn retry(row: &ServerRow, state: &State) -> Option<String> {
    let pause = row.status.life.retry_in_ms?;
    let left = pause.saturating_sub(state.now.mono_us.saturating_sub(row.told_us) / 1_000).div_ceil(1_000);
    Some(format!("{}:{:02}", left / 60, left % 60))
}

fn wide_row(canvas: &mut Canvas<'_>, body: Rect, y: usize, row: &ServerRow, at: &Columns, state: &State) {
    let off = matches!(row.status.state, ServerState::Off | ServerState::NeedsConsent);
    let dash = |text: String| if off { "-".to_owned() } else { text };
    canvas.put(body, 3, y, &cut(sanitize(row.status.server.as_str()).as_str(), at.state - 4), Ink::Text);
    let (glyph, ink) = server_sign(row, canvas.theme.glyphs);
    let x = canvas.put(body, at.state, y, glyph, ink);
    canvas.put(body, x, y, &format!(" {}", state_words(row)), ink);
    if let Some(x) = at.transport {
        canvas.put(body, x, y, row.status.transport, Ink::Dim);
    }
    canvas.put(body, at.tools, y, &dash(row.status.tools.to_string()), Ink::Text);
    canvas.put_right(body, at.calls + 2, y, &dash(row.calls.to_string()), Ink::Text);
    canvas.put(body, at.p50, y, &median(row), Ink::Text);
    if let Some(x) = at.errors {
        let ink = if row.errors > 0 { Ink::Bad } else { Ink::Text };
        canvas.put(body, x, y, &dash(row.errors.to_string()), ink);
    }
    if let Some(x) = at.memory {
        let memory = row.status.life.memory.filter(|_| row.status.state == ServerState::Ready);
        let text = memory.map_or_else(|| "-".to_owned(), |bytes| format!("{} MB", bytes.div_ceil(1 << 20)));
        canvas.put(body, x, y, &text, Ink::Dim);
    }
    canvas.put(body, at.up, y, &since(row, state), Ink::Dim);
}

fn narrow_row(canvas: &mut Canvas<'_>, body: Rect, y: usize, row: &ServerRow, state: &State) {
    canvas.put(body, 3, y, &cut(sanitize(row.status.server.as_str()).as_str(), 6), Ink::Text);
    let (glyph, ink) = server_sign(row, canvas.theme.glyphs);
    let x = canvas.put(body, 10, y, glyph, ink);
    canvas.put(body, x, y, &format!(" {}", cut(&short_words(row), 12)), ink);
    if row.status.state == ServerState::Ready {
        let text = if !row.status.differences.is_empty() {
            "review".to_owned()
        } else {
            format!("{} tools", row.status.tools)
        };
        canvas.put(body, 25, y, &text, Ink::Dim);
    } else if let Some(left) = retry(row, state).filter(|_| row.status.state == ServerState::Failed) {
        canvas.put(body, 25, y, &format!("retry {left}"), Ink::Dim);
    }
}

/// Half of its calls were faster.
fn median(row: &ServerRow) -> String {
    let mut times: Vec<f64> = row.times_ms.iter().copied().collect();
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).map_or_else(|| "-".to_owned(), |ms| format!("{:.2} s", ms / 1000.0))
}

/// Why a server is as it is: its command, its words, the last it said.
fn details(row: &ServerRow, columns: usize, canvas: &Canvas<'_>, state: &State) -> Vec<Row> {
    let now_ms = state.now.wall_ms;
    let room = columns.saturating_sub(3).max(1);
    let mut out = Vec::new();
    let mut head = Row::new();
    head.push(sanitize(row.status.server.as_str()).as_str(), Tint::of(Ink::Text).bold());
    let (_, ink) = server_sign(row, canvas.theme.glyphs);
    if !row.status.differences.is_empty() {
        return changed(row, room);
    }
    let life = &row.status.life;
    let failed = row.status.state == ServerState::Failed;
    let exit = life.exit.filter(|_| failed);
    let message = match exit {
        Some(exit) => Some(sanitize(&ended(exit, columns)).one_line()),
        None => row.status.message.as_deref().map(|message| sanitize(message).one_line()),
    };
    let mut said = false;
    if columns < 60 && message.is_some() {
        // Why it is so matters more here than how it was started.
        head.push(": ", Ink::Text);
    } else {
        head.push("   ", Ink::Text);
        let line = visible(&row.status.line).one_line();
        head.push(&cut(line.as_str(), room.saturating_sub(head.width() + 2)), Ink::Dim);
    }
    if let Some(message) = &message
        && head.width() + 3 + width(message.as_str()) <= room
    {
        head.push(if columns < 60 { "" } else { "   " }, Ink::Text);
        head.push(message.as_str(), ink);
        said = true;
    }
    if said && exit.is_some() && columns >= 100 && life.stderr_kept > 0 {
        let mut text = format!("stderr: {} kept", size(life.stderr_kept));
        if life.stderr_dropped > 0 {
            text.push_str(&format!(", {} dropped", size(life.stderr_dropped)));
        }
        if head.width() + 3 + width(&text) <= room {
            head.push(&format!("   {text}"), Ink::Dim);
        }
    }
    if let Some(speaks) = row.status.speaks()
        && columns >= 100
        && head.width() + width(&speaks) + 4 < room
    {
        head.push(&format!("   {}", one(&speaks)), Ink::Dim);
    }
    out.push(head);
    let none = Row::label("  ", Ink::Text);
    if let Some(message) = message.filter(|_| !said) {
        out.extend(wrap_row(&Row::of(&message, ink), room, &none, &none).into_iter().take(3));
    }
    if let Some(signed_in) = &row.status.sign_in {
        out.extend(signed_in_rows(signed_in, now_ms, room));
    }
    let sum = state.toolbox.sum(Some(&row.status.server));
    if row.status.state == ServerState::Ready && sum.all > 0 {
        let mut text = Row::label("  ", Ink::Text);
        text.push(&format!("{} of {}", sum.on, counted(sum.all.into(), "tool", "tools")), Ink::Text);
        text.push(&format!(" offered, about {} tokens of every request", grouped(sum.tokens)), Ink::Dim);
        out.push(text);
    }
    if row.status.state == ServerState::Ready && (life.watched > 0 || life.unwatched > 0) {
        let mut text = Row::new();
        let count = |count: u32| counted(count.into(), "attached resource changes", "attached resources change");
        if life.watched > 0 {
            text.push(&format!("tells when {}", count(life.watched)), Ink::Dim);
        }
        if life.unwatched > 0 {
            let words = match life.watched {
                0 => format!("refused to tell when {}", count(life.unwatched)),
                _ => format!(", refused it for {}", life.unwatched),
            };
            text.push(&words, Ink::Warn);
        }
        out.extend(wrap_row(&text, room, &none, &none));
    }
    if let Some(tokens) = life.sampling {
        let mut text = Row::new();
        text.push("may ask for answers of your model", Ink::Text);
        text.push(&format!(", {} tokens in all, each by your yes (sampling)", grouped(tokens.into())), Ink::Dim);
        out.extend(wrap_row(&text, room, &none, &none));
    }
    if row.status.withheld > 0 {
        let mut text = Row::label("  ", Ink::Text);
        let count = counted(row.status.withheld.into(), "tool is", "tools are");
        text.push(&format!("{count} set aside: their definitions cannot be used"), Ink::Warn);
        out.extend(wrap_row(&text, room, &none, &none));
    }
    if failed {
        for line in row.status.stderr.iter().rev().take(3).rev() {
            let mut text = Row::label(if columns < 60 { "" } else { "  " }, Ink::Text);
            text.push(&cut(&one(line), room.saturating_sub(2)), Ink::Dim);
            out.push(text);
        }
        out.extend(hint(row, columns, state));
    }
    out
}

/// Who is signed in, for what, until when; and what the server wants beyond it.
fn signed_in_rows(signed_in: &SignedIn, now_ms: i64, room: usize) -> Vec<Row> {
    let none = Row::label("  ", Ink::Text);
    let mut text = Row::new();
    text.push(&format!("signed in with {}", one(&signed_in.issuer)), Ink::Dim);
    if !signed_in.scopes.is_empty() {
        text.push(&format!(" for {}", one(&signed_in.scopes.join(" "))), Ink::Dim);
    }
    match signed_in.until_ms.map(|until| until - now_ms) {
        Some(left) if left > 0 => text.push(&format!(", for another {}", left_words(left)), Ink::Dim),
        Some(_) => text.push(", which has ended", Ink::Warn),
        None => {}
    }
    text.push(if signed_in.renews { ", renewed by itself   u signs out" } else { "   u signs out" }, Ink::Dim);
    let mut rows: Vec<Row> = wrap_row(&text, room, &none, &none).into_iter().take(3).collect();
    if !signed_in.wants.is_empty() {
        let mut text = Row::new();
        text.push(&format!("it wants more: {}   s signs in for it", one(&signed_in.wants.join(" "))), Ink::Warn);
        rows.extend(wrap_row(&text, room, &none, &none).into_iter().take(3));
    }
    rows
}

fn left_words(ms: i64) -> String {
    match ms / 60_000 {
        0 => "minute".to_owned(),
        minutes @ 1..=119 => format!("{minutes} min"),
        minutes @ 120..=2879 => format!("{} h", minutes / 60),
        minutes => format!("{} days", minutes / 1440),
    }
}

/// Definitions that are not those that were pinned, in a few words each.
fn changed(row: &ServerRow, room: usize) -> Vec<Row> {
    let count = row.status.differences.len() as u64;
    let words =
        counted(count, "tool definition differs from the pinned one", "tool definitions differ from the pinned ones");
    let mut head = Row::new();
    head.push(&one(row.status.server.as_str()), Tint::of(Ink::Text).bold());
    head.push(&format!("   {words}"), Ink::Warn);
    let indent = Row::label("  ", Ink::Text);
    let mut out = wrap_row(&head, room, &Row::new(), &indent);
    let shown = || row.status.differences.iter().take(4);
    let longest = shown().map(|difference| width(&super::changes::name(difference))).max().unwrap_or(0).min(24);
    for difference in shown() {
        let mut text = Row::label("  ", Ink::Text);
        text.push(&super::changes::name(difference), Ink::Text);
        text.pad_to(2 + longest);
        text.push("   ", Ink::Text);
        text.push(&super::changes::summary(difference), Ink::Dim);
        out.push(text);
    }
    out
}

/// How its process ended, in the room that there is.
fn ended(exit: crate::chat::ServerExit, columns: usize) -> String {
    let after = exit.after_ms as f64 / 1_000.0;
    match (columns, exit.pid) {
        (..60, _) => match exit.code {
            Some(code) => format!("exit {code} after {after:.1} s"),
            None => format!("{} after {after:.1} s", exit.words()),
        },
        (100.., Some(pid)) => format!("pid {pid} {} after {after:.1} s", exit.words()),
        (_, _) => format!("{} after {after:.1} s", exit.words()),
    }
}

/// A variable that the last words of a server miss, and where its entry is.
fn hint(row: &ServerRow, columns: usize, state: &State) -> Option<Row> {
    let place = state.session.server_places.get(&row.status.server);
    let variable = missing_variable(&row.status.stderr);
    if columns < 60 {
        return place.map(|place| {
            let mut text = Row::new();
            text.push(&one(place), Ink::Dim);
            text
        });
    }
    let name = row.status.server.as_str();
    let place = place.map(|place| format!(", {place}")).unwrap_or_default();
    let mut text = Row::label("  hint: ", Ink::Warn);
    match variable {
        Some(variable) if columns >= 100 => {
            text.push(
                &format!("add env = {{ {variable} = \"${{env:{variable}}}\" }} to [servers.{name}]{place}"),
                Ink::Text,
            );
        }
        Some(_) => text.push(&format!("add env to [servers.{name}]{place}"), Ink::Text),
        None => return None,
    }
    Some(text)
}

/// `JIRA_TOKEN` of `Error: JIRA_TOKEN is not set`: a name in capitals with a word of its absence on the same line.
fn missing_variable(lines: &[String]) -> Option<String> {
    const ABSENT: [&str; 8] =
        ["not set", "missing", "required", "undefined", "unset", "not found", "must be set", "environment variable"];
    lines.iter().rev().find_map(|line| {
        let lower = line.to_ascii_lowercase();
        if !ABSENT.iter().any(|word| lower.contains(word)) {
            return None;
        }
        let name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let mut words = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        words
            .find(|word| word.len() > 3 && word.contains('_') && word.chars().all(name) && !word.starts_with('_'))
            .map(|word| word.chars().take(60).collect())
    })
}

/// The tools of a server: what each claims, whether it may be called, what it says of itself.
fn tools(canvas: &mut Canvas<'_>, body: Rect, row: &ServerRow, selected: usize, layout: &mut Layout) {
    let columns = usize::from(body.width);
    let height = usize::from(body.height);
    let listed = &row.status.listed;
    let mut head = Row::new();
    head.push(one(row.status.server.as_str()).as_str(), Tint::of(Ink::Text).bold());
    head.push(&format!("   {}", counted(listed.len() as u64, "tool", "tools")), Ink::Dim);
    if !row.status.life.trusted && columns >= 60 {
        let way = canvas.keys.tell("   what it claims of them is not believed: {servers.trust} in the list");
        head.push(&way, Ink::Dim);
    }
    canvas.row(body, 1, 0, &head);
    let selected = selected.min(listed.len().saturating_sub(1));
    let page = listed.len().min(height.saturating_sub(8).max(1));
    let first = super::first_row(selected, listed.len(), page);
    let (name_at, claim_at) = if columns >= 60 { (10, columns.clamp(60, 100) - 22) } else { (10, columns) };
    for (y, (n, tool)) in listed.iter().enumerate().skip(first).take(page).enumerate() {
        let y = y + 2;
        layout.targets.push((hit(rows_of(body, y, 1)), Target::Row(n)));
        let (word, ink) = standing(tool);
        canvas.put(body, 3, y, word, ink);
        canvas.put(body, name_at, y, &cut(&one(&tool.name), claim_at.saturating_sub(name_at + 2)), Ink::Text);
        if columns >= 60 {
            canvas.put(body, claim_at, y, &claims(tool), Ink::Dim);
        }
        choose(canvas, body, y, n == selected);
    }
    layout.list = ListLayout { lines: listed.len(), page, top: first };
    let Some(tool) = listed.get(selected) else { return };
    let below = rows_of(body, page + 3, height.saturating_sub(page + 3));
    let indent = Row::label("  ", Ink::Text);
    let room = columns.saturating_sub(3).max(1);
    let mut rows = Vec::new();
    if let Standing::Aside(why) = &tool.standing {
        let mut text = Row::new();
        text.push(&one(why), Ink::Warn);
        rows.extend(wrap_row(&text, room, &Row::new(), &indent));
    }
    let words = if columns < 60 { claims(tool) } else { String::new() };
    let text = format!("{words}{}{}", if words.is_empty() { "" } else { ".  " }, one(&tool.description));
    let mut line = Row::new();
    line.push(&text, Ink::Text);
    rows.extend(wrap_row(&line, room, &Row::new(), &Row::new()));
    for (y, line) in rows.iter().take(usize::from(below.height)).enumerate() {
        canvas.row(below, 1, y, line);
    }
}

fn standing(tool: &ToolLine) -> (&'static str, Ink) {
    match &tool.standing {
        Standing::Offered(Policy::Allow) => ("runs", Ink::Good),
        Standing::Offered(Policy::Ask) => ("asks", Ink::Text),
        Standing::Offered(Policy::Deny) => ("denied", Ink::Dim),
        Standing::Aside(_) => ("aside", Ink::Warn),
    }
}

/// What a tool says of itself, in a few words.
fn claims(tool: &ToolLine) -> String {
    let claims = &tool.claims;
    match (claims.read_only, claims.destructive) {
        (Some(true), _) => "says: only reads",
        (_, Some(true)) => "says: can destroy",
        (Some(false), Some(false)) => "says: adds only",
        (_, _) => "says nothing",
    }
    .to_owned()
}
