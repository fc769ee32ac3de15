//! The first five minutes: what there is to talk to, and that nothing has left this computer.

use ratatui::layout::Rect;

use super::{foot, one, screen};
use crate::app::{Layout, ListLayout, State, Target, Welcome, WelcomeRow};
use crate::text::{cut, sanitize};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::composer;
use crate::ui::figures::counted;
use crate::ui::ink::{Ink, Row, Tint};

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, welcome: &Welcome, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let height = usize::from(area.height);
    let narrow = columns < 60;
    let mut title = Row::new();
    title.push("millrace", Tint::of(Ink::Text).bold());
    let version = if state.session.version.is_empty() { env!("CARGO_PKG_VERSION") } else { state.session.version };
    let mut note = Row::new();
    if !narrow {
        note.push(if welcome.busy { "connecting…" } else { "not connected" }, Ink::Warn);
        note.push("   ", Ink::Text);
    }
    note.push(&format!("v{version}"), Ink::Dim);
    let body = screen(canvas, area, &title, &Row::new(), layout);
    // Here the version stands at the very edge.
    canvas.row_right(area, columns, 0, &note);
    let writing = 2;
    let rule = height.saturating_sub(writing + 3);
    let list = rows_of(body, 0, rule.saturating_sub(2));
    let mut y = usize::from(height >= 20);
    let say = if narrow {
        "Choose a model. Nothing was sent yet."
    } else {
        "Choose a model to talk to. Nothing has left this computer."
    };
    canvas.put(list, 1, y, say, Ink::Text);
    y += 2;
    y = rows(canvas, list, y, welcome, layout, narrow);
    if let Some(fault) = &welcome.fault {
        canvas.put(list, 1, y, &cut(&one(fault), columns.saturating_sub(2)), Ink::Bad);
        y += 2;
    }
    ports(canvas, list, y, welcome);
    if !narrow {
        place(canvas, list, y + 1, "Choices go to", &state.session.config_path, "not written yet");
        place(canvas, list, y + 2, "Conversations", &state.session.data_path, "only on this computer");
    }

    canvas.rule(area, rule);
    let draft = composer::Draft::new(state, columns.saturating_sub(5), 1);
    let kept = rows_of(area, rule + 1, writing);
    composer::draw(canvas, rows_of(kept, 0, 1), state, &draft, layout);
    if !state.composer.is_empty() {
        let note = if narrow { "kept; sent when you have chosen" } else { "kept; sent when you have chosen a model" };
        canvas.put(kept, 3, 1, note, Ink::Dim);
        // The caret of the draft is drawn here, as this screen has it.
        let last = state.composer.area.cursor();
        if state.composer.area.lines().len() == 1 {
            let before: String = state.composer.area.lines()[0].chars().take(last.1).collect();
            let at = 3 + crate::text::width(sanitize(&before).one_line().as_str());
            if state.composer.at_end() {
                let glyph = canvas.theme.glyphs.caret;
                canvas.put(kept, at, 0, glyph, Ink::Accent);
            }
            canvas.caret = u16::try_from(at).ok().filter(|x| *x < kept.width).map(|x| (kept.x + x, kept.y));
        }
    }
    let then = if state.composer.is_empty() { "use it" } else { "use it, then send" };
    if narrow {
        foot(canvas, area, &[("↑↓", "choose"), ("enter", "use it")], ("", ""));
    } else {
        let quits = canvas.keys.tell("clear, {app.interrupt} {app.interrupt} quit").into_owned();
        foot(canvas, area, &[("↑↓", "choose"), ("enter", then), ("{app.interrupt}", &quits)], ("", ""));
    }
    let place = format!("{} of {}", welcome.selected + 1, welcome.rows.len().max(1));
    canvas.put_right(area, columns, height.saturating_sub(1), &place, Ink::Dim);
}

fn rows(
    canvas: &mut Canvas<'_>,
    area: Rect,
    from: usize,
    welcome: &Welcome,
    layout: &mut Layout,
    narrow: bool,
) -> usize {
    let columns = usize::from(area.width);
    let glyphs = canvas.theme.glyphs;
    let mut y = from;
    for (n, row) in welcome.rows.iter().enumerate() {
        let (name, note, more) = match row {
            WelcomeRow::Local(server) => {
                let host = server.base_url.split("//").nth(1).unwrap_or(&server.base_url);
                let host = host.split('/').next().unwrap_or(host);
                let models = counted(server.models.len() as u64, "model", "models");
                (format!("{} on this computer", server.kind.name()), format!("found at {}, {models}", one(host)), None)
            }
            WelcomeRow::OpenAi => {
                ("OpenAI".to_owned(), "paste a key, or set OPENAI_API_KEY and restart".to_owned(), None)
            }
            WelcomeRow::Address => {
                ("Another service".to_owned(), "any OpenAI-compatible address, local or remote".to_owned(), None)
            }
            WelcomeRow::Demo => ("Demo".to_owned(), "a built-in model and tools: no key, no network".to_owned(), None),
            WelcomeRow::Servers => {
                let found: Vec<String> =
                    welcome.imports.iter().map(|s| format!("{} in {}", s.servers.len(), one(&s.client))).collect();
                y += 1;
                canvas.put(area, 1, y, "Tools are optional and can wait.", Ink::Text);
                y += 1;
                (
                    "Bring your MCP servers".to_owned(),
                    found.join(", "),
                    Some("you see each command first; none starts unasked"),
                )
            }
        };
        layout.targets.push((hit(rows_of(area, y, 1)), Target::Row(n)));
        let chosen = n == welcome.selected;
        if chosen {
            canvas.put(area, 1, y, glyphs.selected, Ink::Accent);
        }
        let tint = if chosen { Tint::of(Ink::Text).bold() } else { Tint::of(Ink::Text) };
        canvas.put(area, 3, y, &cut(&name, columns.saturating_sub(4)), tint);
        if !narrow {
            canvas.put(area, 33, y, &cut(&note, columns.saturating_sub(33)), Ink::Dim);
            if let Some(more) = more {
                y += 1;
                canvas.put(area, 33, y, more, Ink::Dim);
            }
        }
        if chosen {
            let style = canvas.theme.chosen();
            canvas.over(area, y - usize::from(more.is_some() && !narrow), style);
        }
        y += 1;
    }
    layout.list = ListLayout { lines: welcome.rows.len(), page: welcome.rows.len(), top: 0 };
    y + 1
}

/// Which of the usual local ports answered.
fn ports(canvas: &mut Canvas<'_>, area: Rect, y: usize, welcome: &Welcome) {
    let mut row = Row::new();
    for (kind, answered) in &welcome.ports {
        let (sign, ink) = match answered {
            Some(true) => (canvas.theme.glyphs.done, Ink::Good),
            Some(false) => ("-", Ink::Dim),
            None => (canvas.theme.glyphs.running, Ink::Dim),
        };
        row.push(if row.text().is_empty() { "" } else { "   " }, Ink::Text);
        row.push(sign, ink);
        row.push(&format!(" {} {}", kind.name(), kind.port()), Ink::Dim);
    }
    let none = Row::new();
    let rows = crate::ui::markdown::wrap_row(&row, usize::from(area.width).saturating_sub(1), &none, &none);
    for (n, row) in rows.iter().enumerate() {
        canvas.row(area, 1, y + n, row);
    }
}

fn place(canvas: &mut Canvas<'_>, area: Rect, y: usize, what: &str, path: &str, note: &str) {
    canvas.put(area, 1, y, what, Ink::Dim);
    canvas.put(area, 17, y, &cut(&one(path), 38), Ink::Text);
    canvas.put(area, 57, y, note, Ink::Dim);
}
