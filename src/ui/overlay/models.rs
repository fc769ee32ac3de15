//! The models that the endpoint offers.

use ratatui::layout::Rect;

use super::{choose, field, first_row, foot, heading, one, screen};
use crate::app::{Layout, ListLayout, ModelRow, Models, State, Target};
use crate::text::cut;
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::{tokens, window};
use crate::ui::ink::{Ink, Row, Tint};

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, models: &Models, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let (wide, narrow) = (columns >= 100, columns < 60);
    let mut note = Row::new();
    note.push(if narrow { "" } else { "refresh " }, Ink::Dim);
    note.push("R", Ink::Accent);
    let body = screen(canvas, area, &heading("MODEL"), &note, layout);
    let height = usize::from(body.height);
    canvas.put(body, 1, 0, "/", Tint::of(Ink::Accent).bold());
    field(canvas, body, 3, 0, &models.search, models.editing);
    let (shown, all) = (models.rows.len(), models.all.len());
    let count = match (models.loading, models.search.text.is_empty(), narrow) {
        (true, _, _) => "asking…".to_owned(),
        (false, true, _) => format!("{all}"),
        (false, false, true) => format!("{shown} of {all}"),
        (false, false, false) => format!("{shown} of {all} match"),
    };
    let right = columns.saturating_sub(if narrow { 10 } else { 6 });
    canvas.put_right(body, right, 0, &count, Ink::Dim);
    let mut y = 2;
    let at = if wide { [3, 19, 46, 56, 64, 73] } else { [0, 3, 36, 43, 50, 58] };
    if !narrow {
        if wide {
            canvas.put(body, at[0], y, "PROVIDER", Ink::Dim);
        }
        let heads = if wide {
            ["MODEL", "CONTEXT", "TOOLS", "VISION", "REASONING"]
        } else {
            ["MODEL", "CTX", "TOOLS", "VISION", "REASON"]
        };
        for (x, head) in at[1..].iter().zip(heads) {
            canvas.put(body, *x, y, head, Ink::Dim);
        }
        y += 1;
    }
    let each = if narrow { 2 } else { 1 };
    let page = (height.saturating_sub(y + 4) / each).max(1);
    let first = first_row(models.selected, shown, page);
    for (n, model) in models.rows.iter().enumerate().skip(first).take(page) {
        let Some(model) = models.all.get(*model) else { continue };
        layout.targets.push((hit(rows_of(body, y, each)), Target::Row(n)));
        if narrow {
            canvas.put(body, 3, y, &cut(&named(model), columns.saturating_sub(4)), Ink::Text);
            canvas.put(body, 3, y + 1, &facts(model), Ink::Dim);
        } else {
            row(canvas, body, y, model, &at, wide);
        }
        choose(canvas, body, y, n == models.selected);
        y += each;
    }
    layout.list = ListLayout { lines: shown, page, top: first };
    y += 1;
    below(canvas, rows_of(body, y, height.saturating_sub(y)), models, state, narrow);
    let up_down = canvas.theme.glyphs.up_down;
    if narrow {
        foot(canvas, area, &[("enter", "use"), ("d", "default")], ("esc", ""));
    } else if wide {
        foot(canvas, area, &[(up_down, "select"), ("enter", "use now"), ("d", "use by default")], ("esc", ""));
    } else {
        foot(canvas, area, &[("enter", "use now"), ("d", "default")], ("esc", ""));
    }
}

fn named(model: &ModelRow) -> String {
    let id = one(&model.id);
    if model.provider.is_empty() { id } else { format!("{}/{id}", one(&model.provider)) }
}

fn yes(known: Option<bool>) -> &'static str {
    match known {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    }
}

fn facts(model: &ModelRow) -> String {
    let mut out = format!("{:<5}", model.context.map(window).unwrap_or_default());
    if model.tools == Some(true) {
        out.push_str("tools  ");
    }
    if model.reasoning == Some(true) {
        out.push_str("reasoning");
    }
    out
}

fn row(canvas: &mut Canvas<'_>, body: Rect, y: usize, model: &ModelRow, at: &[usize; 6], wide: bool) {
    let context = model.context.map_or_else(|| "-".to_owned(), window);
    if wide {
        canvas.put(body, at[0], y, &cut(&one(&model.provider), 14), Ink::Dim);
        canvas.put(body, at[1], y, &cut(&one(&model.id), 25), Ink::Text);
        canvas.put_right(body, at[2] + 7, y, &context, Ink::Text);
    } else {
        canvas.put(body, at[1], y, &cut(&named(model), 32), Ink::Text);
        canvas.put(body, at[2], y, &context, Ink::Text);
    }
    canvas.put(body, at[3], y, yes(model.tools), Ink::Text);
    canvas.put(body, at[4], y, yes(model.vision), Ink::Text);
    canvas.put(body, at[5], y, yes(model.reasoning), Ink::Text);
}

/// Where the list comes from, and what choosing means.
fn below(canvas: &mut Canvas<'_>, area: Rect, models: &Models, state: &State, narrow: bool) {
    let columns = usize::from(area.width).saturating_sub(2);
    let mut y = 0;
    if let Some(fault) = &models.fault {
        canvas.put(area, 1, y, &cut(&one(fault), columns), Ink::Bad);
        y += 1;
    }
    if let Some(endpoint) = &state.session.connection
        && !narrow
    {
        let key =
            endpoint.key_from.as_deref().map_or_else(|| "no key".to_owned(), |from| format!("key from {}", one(from)));
        canvas.put(area, 1, y, &cut(&format!("{}   {key}", one(&endpoint.base_url)), columns), Ink::Dim);
        y += 1;
    }
    let chosen = models.rows.get(models.selected).and_then(|n| models.all.get(*n));
    let context = state.status.context.map(|c| c.tokens);
    let fits = match (context, chosen.and_then(|m| m.context)) {
        (Some(used), Some(most)) if used <= most => format!("{} tokens fit in {}.", tokens(used), window(most)),
        (Some(used), Some(most)) => format!("{} tokens do not fit in {}.", tokens(used), window(most)),
        (Some(_) | None, Some(_) | None) => String::new(),
    };
    let text = if narrow { fits } else { format!("Switching keeps the conversation. {fits}") };
    canvas.put(area, 1, y, &cut(&text, columns), Ink::Dim);
    if models.then_send {
        canvas.put(area, 1, y + 1, "Your message is kept, and sent when you have chosen.", Ink::Accent);
    }
}
