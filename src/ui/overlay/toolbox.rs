//! The tools that the model is offered: which are on, what they cost of the context, what their servers say of them.

use ratatui::layout::Rect;

use super::{choose, field, first_row, foot, heading, one, screen};
use crate::app::{Keymap, Layout, ListLayout, OfferedTools, State, Target, ToolEntry};
use crate::chat::{FindTools, Policy, ToolRow, ToolStanding};
use crate::text::{cut, hidden, visible};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::{counted, tokens};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// Rows of text below the list.
const BELOW: usize = 4;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, list: &OfferedTools, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let narrow = columns < 60;
    let toolbox = &state.toolbox;
    let sum = toolbox.sum(None);
    let mut note = Row::new();
    note.push(&format!("{} of {} on", sum.on, sum.all), Ink::Text);
    note.push(&format!("{}~{} tok", if narrow { " " } else { "   " }, tokens(sum.tokens)), Ink::Dim);
    let title = if narrow { heading("OFFERED") } else { heading("TOOLS OFFERED") };
    let body = screen(canvas, area, &title, &note, layout);
    let height = usize::from(body.height);
    let mut y = 0;
    canvas.row(body, 1, y, &finding(state, narrow));
    if list.editing || !list.search.text.is_empty() {
        y += 1;
        canvas.put(body, 1, y, "/", Tint::of(Ink::Accent).bold());
        field(canvas, body, 3, y, &list.search, list.editing);
    }
    y += 2;
    let entries = list.entries(toolbox);
    let below = if height >= 14 { BELOW } else { 0 };
    let page = height.saturating_sub(y + below + usize::from(below > 0)).max(1);
    let first = first_row(list.selected, entries.len(), page);
    if entries.is_empty() {
        let text = if toolbox.rows.is_empty() { "No server has listed tools yet." } else { "Nothing matches." };
        canvas.put(body, 1, y, text, Ink::Dim);
    }
    for (n, entry) in entries.iter().enumerate().skip(first).take(page) {
        let at = y + n - first;
        layout.targets.push((hit(rows_of(body, at, 1)), Target::Row(n)));
        match entry {
            ToolEntry::Server(server) => {
                let sum = toolbox.sum(Some(server));
                let x = canvas.put(body, 3, at, &mark(sum.on > 0), Ink::Accent);
                let x = canvas.put(body, x + 1, at, &cut(&one(server.as_str()), 24), Tint::of(Ink::Text).bold());
                let about = format!("{} of {} on", sum.on, sum.all);
                canvas.put(body, x + 2, at, &about, Ink::Dim);
                canvas.put_right(body, columns.saturating_sub(1), at, &format!("~{}", tokens(sum.tokens)), Ink::Dim);
            }
            ToolEntry::Tool(place) => {
                if let Some(row) = toolbox.rows.get(*place) {
                    tool(canvas, body, at, row, state);
                }
            }
        }
        choose(canvas, body, at, n == list.selected);
    }
    layout.list = ListLayout { lines: entries.len(), page, top: first };
    if below > 0
        && let Some(ToolEntry::Tool(place)) = entries.get(list.selected)
        && let Some(row) = toolbox.rows.get(*place)
    {
        let from = height.saturating_sub(below);
        for (n, line) in about(row, columns.saturating_sub(2)).iter().take(below).enumerate() {
            canvas.row(body, 1, from + n, line);
        }
    }
    let keys: &[(&str, &str)] = match (list.editing, columns) {
        (true, _) => &[("enter", "to the list")],
        (false, 60..) => &[
            ("{list.arrows}", "select"),
            ("{offered.switch}", "on/off"),
            ("{offered.find_tools}", "find_tools"),
            ("{offered.search}", "filter"),
        ],
        (false, _) => {
            &[("{offered.switch}", "on/off"), ("{offered.find_tools}", "find"), ("{offered.search}", "filter")]
        }
    };
    foot(canvas, area, keys, ("esc", if list.editing { "all" } else { "back" }));
}

fn mark(on: bool) -> String {
    if on { "[x]".to_owned() } else { "[ ]".to_owned() }
}

/// Whether the model searches, and who decided that.
fn finding(state: &State, narrow: bool) -> Row {
    let mut row = Row::new();
    let by = match state.toolbox.toolset.find {
        None => "as configured",
        Some(FindTools::Never) => "off, by you",
        Some(FindTools::Always | FindTools::Auto) => "on, by you",
    };
    match state.toolbox.searched {
        Some((offered, of)) => {
            row.push("find_tools: ", Tint::of(Ink::Accent).bold());
            row.push(&format!("{offered} of {of} tools offered"), Ink::Text);
            if !narrow {
                row.push(&format!("   {by}; the model searches for the others"), Ink::Dim);
            }
        }
        None => {
            row.push("find_tools ", Ink::Dim);
            row.push(by, Ink::Dim);
            if !narrow {
                row.push("; from the next message on, for this conversation", Ink::Dim);
            }
        }
    }
    row
}

fn tool(canvas: &mut Canvas<'_>, body: Rect, y: usize, row: &ToolRow, state: &State) {
    let columns = usize::from(body.width);
    let (wide, narrow) = (columns >= 100, columns < 60);
    let on = row.is_on(&state.toolbox.toolset);
    let (sign, ink) = match row.standing {
        ToolStanding::Usable | ToolStanding::LeftOut { by_profile: true } => (mark(on), Ink::Accent),
        ToolStanding::LeftOut { by_profile: false } | ToolStanding::Denied => (" - ".to_owned(), Ink::Dim),
        ToolStanding::Withheld { .. } | ToolStanding::Aside(_) => (" ! ".to_owned(), Ink::Warn),
    };
    canvas.put(body, 5, y, &sign, ink);
    let name_at = 9;
    let (name_width, says_at) = if wide {
        (32, 44)
    } else if narrow {
        (columns.saturating_sub(18), columns)
    } else {
        (24, 35)
    };
    let tint = if on { Ink::Text } else { Ink::Dim };
    let name = visible(&row.tool.tool);
    canvas.put(body, name_at, y, &cut(name.one_line().as_str(), name_width), tint);
    if !narrow {
        let room = columns.saturating_sub(says_at + 10);
        let (text, ink) = says(row, canvas.keys);
        let mut line = Row::new();
        line.push(&cut(&text, room), ink);
        if wide && line.width() + 4 < room && matches!(row.standing, ToolStanding::Usable) {
            line.pad_to(28.max(line.width() + 3));
            let rest = room.saturating_sub(line.width());
            line.push(&cut(&one(&row.description), rest), Ink::Dim);
        }
        canvas.row(body, says_at, y, &line);
    }
    if row.tokens > 0 {
        canvas.put_right(body, columns.saturating_sub(1), y, &format!("~{}", tokens(row.tokens)), Ink::Dim);
    }
}

/// What its server says of it, or why it cannot be offered.
fn says(row: &ToolRow, keys: &Keymap) -> (String, Ink) {
    match &row.standing {
        ToolStanding::Usable | ToolStanding::LeftOut { .. } => {
            let words = row.claims.words();
            let left = match row.standing {
                ToolStanding::LeftOut { by_profile: true } => "left out by the profile",
                ToolStanding::LeftOut { by_profile: false } => "left out by tools.allow",
                ToolStanding::Usable
                | ToolStanding::Denied
                | ToolStanding::Withheld { .. }
                | ToolStanding::Aside(_) => "",
            };
            let said = if words.is_empty() { "says nothing".to_owned() } else { format!("says: {words}") };
            (if left.is_empty() { said } else { left.to_owned() }, Ink::Dim)
        }
        ToolStanding::Denied => ("denied by policy".to_owned(), Ink::Dim),
        ToolStanding::Withheld { new: true } => (keys.tell("new: see it first, {app.servers}").into_owned(), Ink::Warn),
        ToolStanding::Withheld { new: false } => {
            (keys.tell("changed: see how first, {app.servers}").into_owned(), Ink::Warn)
        }
        ToolStanding::Aside(reason) => (one(reason), Ink::Warn),
    }
}

/// The chosen tool in more words; its description with nothing invisible in it.
fn about(row: &ToolRow, room: usize) -> Vec<Row> {
    let mut head = Row::new();
    head.push(&visible(&row.tool.path()).one_line().into_string(), Tint::of(Ink::Text).bold());
    let policy = match row.policy {
        Policy::Allow => "allowed",
        Policy::Ask => "asks",
        Policy::Deny => "denied",
    };
    head.push(&format!("   {policy}   about {}", counted(row.tokens, "token", "tokens")), Ink::Dim);
    let words = row.claims.words();
    if !words.is_empty() {
        let trust = if row.trusted { "which you trust" } else { "not verified" };
        head.push(&format!("   says: {words} ({trust})"), Ink::Dim);
    }
    let mut out = vec![head];
    let unseen = hidden(&row.description).len();
    if unseen > 0 {
        let count = counted(unseen as u64, "invisible character", "invisible characters");
        out.push(Row::label("! ", Ink::Warn));
        if let Some(last) = out.last_mut() {
            last.push(&format!("{count} in its description"), Ink::Warn);
        }
    }
    if let ToolStanding::Aside(reason) = &row.standing {
        out.push(Row::of(&visible(reason).one_line(), Ink::Warn));
    }
    let none = Row::new();
    let text = super::review::escaped(&Row::of(&visible(&row.description).one_line(), Ink::Text));
    out.extend(wrap_row(&text, room, &none, &none));
    out
}
