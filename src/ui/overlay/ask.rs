//! Questions and short lists at the bottom of the screen, over whatever is there.

use ratatui::layout::Rect;

use super::{choose, field, first_row, foot, one};
use crate::app::{Ask, AskFor, Confirm, Consent, Layout, ListLayout, Prompts, Roles, State, Target};
use crate::text::{cut, sanitize, visible, width};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// A band of `rows` at the bottom with a rule above and a footer below. Returns where its rows are.
pub(super) fn band(canvas: &mut Canvas<'_>, area: Rect, rows: usize, layout: &mut Layout) -> Rect {
    let height = usize::from(area.height);
    let rows = rows.min(height.saturating_sub(3).max(1));
    let top = height.saturating_sub(rows + 3);
    let band = rows_of(area, top, rows + 3);
    canvas.clear(band);
    layout.targets.push((hit(band), Target::Overlay));
    canvas.rule(band, 0);
    if height >= 4 {
        canvas.rule(band, rows + 1);
    }
    rows_of(band, 1, rows)
}

fn put_rows(canvas: &mut Canvas<'_>, area: Rect, rows: &[Row]) {
    for (y, row) in rows.iter().enumerate() {
        canvas.row(area, 1, y, row);
    }
}

/// A choice, where it has a key.
pub(super) fn letter(row: &mut Row, canvas: &Canvas<'_>, key: &str, words: &str) {
    let Some(key) = canvas.key(key) else { return };
    row.push("[", Ink::Dim);
    row.push(&key, Tint::of(Ink::Accent).bold());
    row.push("] ", Ink::Dim);
    row.push(words, Ink::Text);
    row.push("   ", Ink::Text);
}

/// `Start "files"? This program will run as you: npx -y … in ~/src   [n] not now  [y] start  [A] start from now on`
pub(super) fn consent(canvas: &mut Canvas<'_>, area: Rect, consent: &Consent, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width).saturating_sub(2).max(1);
    let none = Row::new();
    let indent = Row::label("  ", Ink::Text);
    let mut question = Row::new();
    question.push(canvas.theme.glyphs.asks, Tint::of(Ink::Warn).bold());
    let stdio = consent.transport == "stdio";
    let (verb, what) = if stdio {
        ("Start", "This program will run as you:")
    } else {
        ("Connect to", "Your tools will be told of by:")
    };
    question.push(&format!(" {verb} \"{}\"? {what}", one(consent.server.as_str())), Tint::of(Ink::Text).bold());
    let mut rows = wrap_row(&question, columns, &none, &indent);
    // The whole line, never cut: it is what is being agreed to.
    let mut line = Row::of_lines(&visible(&consent.line).one_line(), Ink::Accent);
    if stdio && !state.session.folder.is_empty() {
        line.push(&format!(" in {}", one(&state.session.folder)), Ink::Dim);
    }
    rows.extend(wrap_row(&line, columns, &indent, &indent));
    rows.push(Row::new());
    let mut keys = Row::label("  ", Ink::Text);
    letter(&mut keys, canvas, "{question.no}", "not now");
    letter(&mut keys, canvas, "{question.yes}", if stdio { "start" } else { "connect" });
    letter(&mut keys, canvas, "{question.always}", if stdio { "start from now on" } else { "connect from now on" });
    rows.extend(wrap_row(&keys, columns, &none, &indent));
    let mut why = Row::label("  ", Ink::Text);
    why.push(&canvas.keys.tell(consent.refused.unwrap_or("")), Ink::Warn);
    rows.push(why);
    let body = band(canvas, area, rows.len(), layout);
    put_rows(canvas, body, &rows);
    foot(canvas, area, &[], ("esc", "not now"));
}

pub(super) fn confirm(canvas: &mut Canvas<'_>, area: Rect, confirm: &Confirm, layout: &mut Layout) {
    let columns = usize::from(area.width).saturating_sub(2).max(1);
    let none = Row::new();
    let indent = Row::label("  ", Ink::Text);
    let mut question = Row::new();
    question.push(canvas.theme.glyphs.asks, Tint::of(Ink::Warn).bold());
    question.push(&format!(" {}", one(&confirm.question)), Tint::of(Ink::Text).bold());
    let mut rows = wrap_row(&question, columns, &none, &indent);
    rows.push(Row::new());
    let mut keys = Row::label("  ", Ink::Text);
    letter(&mut keys, canvas, "{question.no}", "no");
    letter(&mut keys, canvas, "{question.yes}", confirm.yes);
    rows.extend(wrap_row(&keys, columns, &none, &indent));
    let body = band(canvas, area, rows.len(), layout);
    put_rows(canvas, body, &rows);
    foot(canvas, area, &[], ("esc", "no"));
}

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, ask: &Ask, layout: &mut Layout) {
    let body = band(canvas, area, 3, layout);
    let columns = usize::from(body.width).saturating_sub(2);
    let (title, note) = match &ask.what {
        AskFor::Title(_) => ("Title".to_owned(), "empty: the first message speaks again"),
        AskFor::Key { base_url } => {
            (format!("Key for {}", one(base_url)), "it goes to that address alone, and is never shown")
        }
        AskFor::Address => {
            ("Address of an OpenAI-compatible service".to_owned(), "up to and with /v1, as in http://localhost:8000/v1")
        }
        AskFor::Server => (
            "Add a server: its name, then its command or address".to_owned(),
            "files npx -y @scope/server .   or   web https://host/mcp   you see it again before it starts",
        ),
        AskFor::Root(server) => (
            format!("A folder that {} may be told of, until you quit", one(server.as_str())),
            "where it lies, as in ~/notes or .",
        ),
        AskFor::System => ("System prompt for the turns to come".to_owned(), "empty: none"),
    };
    canvas.put(body, 1, 0, &cut(&title, columns), Tint::of(Ink::Text).bold());
    canvas.put(body, 1, 1, ">", Tint::of(Ink::Accent).bold());
    field(canvas, body, 3, 1, &ask.line, !ask.busy);
    let (text, ink) = match (&ask.refused, ask.busy) {
        (_, true) => ("trying it…".to_owned(), Ink::Accent),
        (Some(why), false) => (one(why), Ink::Warn),
        (None, false) => (note.to_owned(), Ink::Dim),
    };
    canvas.put(body, 3, 2, &cut(&text, columns.saturating_sub(2)), ink);
    foot(canvas, area, &[("enter", "ok")], ("esc", "back"));
}

pub(super) fn roles(canvas: &mut Canvas<'_>, area: Rect, roles: &Roles, state: &State, layout: &mut Layout) {
    let page = roles.rows.len().clamp(1, usize::from(area.height).saturating_sub(6).clamp(1, 12));
    let body = band(canvas, area, page + 1, layout);
    let columns = usize::from(body.width);
    canvas.put(body, 1, 0, ">", Tint::of(Ink::Accent).bold());
    field(canvas, body, 3, 0, &roles.search, true);
    canvas.put_right(body, columns.saturating_sub(1), 0, "ROLES", Ink::Dim);
    let page = usize::from(body.height).saturating_sub(1);
    let first = first_row(roles.selected, roles.rows.len(), page);
    if roles.rows.is_empty() {
        canvas.put(body, 3, 1, "no role of that name", Ink::Dim);
    }
    for (y, (n, name)) in roles.rows.iter().enumerate().skip(first).take(page).enumerate() {
        let y = y + 1;
        layout.targets.push((hit(rows_of(body, y, 1)), Target::Row(n)));
        let role = name.as_deref().and_then(|name| state.session.casting.get(name));
        let shown = name.as_deref().map_or_else(|| "none".to_owned(), one);
        canvas.put(body, 3, y, &cut(&shown, 18), if role.is_some() { Ink::Accent } else { Ink::Dim });
        // What goes with it, then how its prompt begins.
        let model = role.and_then(|role| role.model.as_deref()).map(one).unwrap_or_default();
        let model = cut(&model, 24);
        let prompt = match role {
            Some(role) => one(role.system.as_deref().unwrap_or_default()),
            None => "the system prompt and model of the configuration".to_owned(),
        };
        canvas.put(body, 22, y, &cut(&prompt, columns.saturating_sub(22 + width(&model) + 3)), Ink::Text);
        canvas.put_right(body, columns.saturating_sub(1), y, &model, Ink::Second);
        choose(canvas, body, y, n == roles.selected);
    }
    layout.list = ListLayout { lines: roles.rows.len(), page, top: first };
    foot(canvas, area, &[("↑↓", "select"), ("enter", "use it")], ("esc", "back"));
}

pub(super) fn prompts(canvas: &mut Canvas<'_>, area: Rect, prompts: &Prompts, layout: &mut Layout) {
    let page = prompts.rows.len().clamp(1, usize::from(area.height).saturating_sub(6).clamp(1, 12));
    let body = band(canvas, area, page + 1, layout);
    let columns = usize::from(body.width);
    canvas.put(body, 1, 0, "/", Tint::of(Ink::Accent).bold());
    field(canvas, body, 3, 0, &prompts.search, true);
    canvas.put_right(body, columns.saturating_sub(1), 0, "EARLIER PROMPTS", Ink::Dim);
    let page = usize::from(body.height).saturating_sub(1);
    let first = first_row(prompts.selected, prompts.rows.len(), page);
    if prompts.rows.is_empty() {
        let text = if prompts.loading { "looking…" } else { "none found" };
        canvas.put(body, 3, 1, text, Ink::Dim);
    }
    for (y, (n, prompt)) in prompts.rows.iter().enumerate().skip(first).take(page).enumerate() {
        layout.targets.push((hit(rows_of(body, y + 1, 1)), Target::Row(n)));
        let head: String = prompt.chars().take(400).collect();
        let line = sanitize(&head).one_line();
        canvas.put(body, 3, y + 1, &cut(line.as_str(), columns.saturating_sub(4)), Ink::Text);
        choose(canvas, body, y + 1, n == prompts.selected);
    }
    layout.list = ListLayout { lines: prompts.rows.len(), page, top: first };
    foot(canvas, area, &[("↑↓", "select"), ("enter", "take it")], ("esc", "back"));
}
