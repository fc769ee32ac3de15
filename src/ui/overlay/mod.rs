//! The layers over the chat, each in its own file; the topmost is drawn last.

mod ask;
mod browser;
mod changes;
mod detail;
mod fill;
mod folders;
mod help;
mod import;
mod inquiry;
mod models;
mod palette;
mod preview;
mod review;
mod said;
mod sample;
mod servers;
mod settings;
mod sign_in;
mod timeline;
mod toolbox;
mod usage;
mod welcome;

pub(super) use detail::DetailRows;
pub(super) use preview::PreviewRows;
pub use timeline::timeline;

use ratatui::layout::Rect;

use super::canvas::{Canvas, hit, rows_of};
use super::footer;
use super::ink::{Ink, Row, Tint};
use super::memo::Memo;
use crate::app::{Layout, LineEdit, ListLayout, Overlay, State, Target};
use crate::text::{cut, sanitize, width};

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    overlay: &Overlay,
    state: &State,
    memo: &mut Memo,
    layout: &mut Layout,
) {
    (layout.review, layout.sample) = (None, None);
    match overlay {
        Overlay::Review(review) => review::draw(canvas, area, review, state, layout),
        Overlay::Inquiry(open) => inquiry::draw(canvas, area, open, state, layout),
        Overlay::Fill(fill) => fill::draw(canvas, area, fill, layout),
        Overlay::Consent(consent) => ask::consent(canvas, area, consent, state, layout),
        Overlay::Confirm(confirm) => ask::confirm(canvas, area, confirm, layout),
        Overlay::Ask(question) => ask::draw(canvas, area, question, layout),
        Overlay::Browser(browser) => browser::draw(canvas, area, browser, state, memo, layout),
        Overlay::Prompts(prompts) => ask::prompts(canvas, area, prompts, layout),
        Overlay::Models(models) => models::draw(canvas, area, models, state, layout),
        Overlay::Servers(list) => servers::draw(canvas, area, list, state, layout),
        Overlay::SignIn(open) => sign_in::draw(canvas, area, open, layout),
        Overlay::Tools(list) => toolbox::draw(canvas, area, list, state, layout),
        Overlay::Import(list) => import::draw(canvas, area, list, layout),
        Overlay::Roles(roles) => ask::roles(canvas, area, roles, state, layout),
        Overlay::Palette(palette) => palette::draw(canvas, area, palette, state, layout),
        Overlay::Help(help) => help::draw(canvas, area, help, state, layout),
        Overlay::Detail(detail) => detail::draw(canvas, area, detail, state, memo, layout),
        Overlay::Timeline(timeline) => timeline::draw(canvas, area, timeline, state, layout),
        Overlay::Usage(view) => usage::draw(canvas, area, view, state, layout),
        Overlay::Settings(list) => settings::draw(canvas, area, list, state, layout),
        Overlay::Welcome(welcome) => welcome::draw(canvas, area, welcome, state, layout),
    }
}

/// Whether a layer hides all that is below it.
pub(super) fn covers(overlay: &Overlay) -> bool {
    match overlay {
        Overlay::Review(_)
        | Overlay::Inquiry(_)
        | Overlay::Fill(_)
        | Overlay::Browser(_)
        | Overlay::Models(_)
        | Overlay::Servers(_)
        | Overlay::SignIn(_)
        | Overlay::Tools(_)
        | Overlay::Import(_)
        | Overlay::Help(_)
        | Overlay::Detail(_)
        | Overlay::Timeline(_)
        | Overlay::Usage(_)
        | Overlay::Settings(_)
        | Overlay::Welcome(_) => true,
        Overlay::Consent(_)
        | Overlay::Confirm(_)
        | Overlay::Ask(_)
        | Overlay::Prompts(_)
        | Overlay::Palette(_)
        | Overlay::Roles(_) => false,
    }
}

/// A full screen of its own: title and note on top, a rule above and below. Returns what is between.
fn screen(canvas: &mut Canvas<'_>, area: Rect, title: &Row, note: &Row, layout: &mut Layout) -> Rect {
    canvas.clear(area);
    layout.targets.push((hit(area), Target::Overlay));
    let height = usize::from(area.height);
    let columns = usize::from(area.width);
    let at = canvas.row_right(area, columns.saturating_sub(1), 0, note);
    // On a narrow screen the title is what must be read.
    if at < title.width() + 2 {
        canvas.clear(rows_of(area, 0, 1));
    }
    canvas.row(area, 1, 0, title);
    canvas.rule(area, 1);
    if height >= 5 {
        canvas.rule(area, height - 2);
    }
    rows_of(area, 2, height.saturating_sub(4))
}

fn foot(canvas: &mut Canvas<'_>, area: Rect, left: &[(&str, &str)], right: (&str, &str)) {
    let height = usize::from(area.height);
    if height >= 4 {
        footer::keys(canvas, rows_of(area, height - 1, 1), left, &Row::new(), right);
    }
}

fn heading(text: &'static str) -> Row {
    Row::label(text, Tint::of(Ink::Text).bold())
}

fn words(text: &str) -> Row {
    let mut row = Row::new();
    row.push(text, Ink::Dim);
    row
}

/// A one-line field with its caret; what is masked is dots. Long text shows the part around the caret.
pub(super) fn field(canvas: &mut Canvas<'_>, area: Rect, x: usize, y: usize, line: &LineEdit, editing: bool) -> usize {
    let room = usize::from(area.width).saturating_sub(x + 2);
    let caret = line.caret.min(line.text.len());
    let (before, after) = (line.text.get(..caret).unwrap_or(""), line.text.get(caret..).unwrap_or(""));
    let (before, after) = if line.masked {
        ("*".repeat(before.chars().count()), "*".repeat(after.chars().count()))
    } else {
        (sanitize(before).one_line().into_string(), sanitize(after).one_line().into_string())
    };
    let before = crate::text::cut_start(&before, room);
    let mut at = canvas.put(area, x, y, &before, Ink::Text);
    if editing {
        // At its end the caret is drawn, as a person sees a block; inside the text the terminal's own stands there.
        if after.is_empty() {
            let glyph = canvas.theme.glyphs.caret;
            canvas.put(area, at, y, glyph, Ink::Accent);
        }
        if let (Ok(dx), Ok(dy)) = (u16::try_from(at), u16::try_from(y))
            && dx < area.width
            && dy < area.height
        {
            canvas.caret = Some((area.x + dx, area.y + dy));
        }
    }
    let rest = cut(&after, room.saturating_sub(width(&before)));
    at = canvas.put(area, at, y, &rest, Ink::Text);
    at
}

/// The first visible row of a list of `rows`, so that `selected` is on its page.
fn first_row(selected: usize, rows: usize, page: usize) -> usize {
    if rows <= page { 0 } else { selected.saturating_sub(page / 2).min(rows - page) }
}

/// The sign before a row of a list, and the band over the chosen one.
fn choose(canvas: &mut Canvas<'_>, area: Rect, y: usize, chosen: bool) {
    if chosen {
        let glyph = canvas.theme.glyphs.selected;
        canvas.put(area, 1, y, glyph, Ink::Accent);
        let style = canvas.theme.chosen();
        canvas.over(area, y, style);
    }
}

/// Draws laid-out rows from `scroll` on, which stops at the last page, and says so in the layout.
fn scrolled(canvas: &mut Canvas<'_>, area: Rect, rows: &[Row], scroll: usize, x: usize, layout: &mut Layout) {
    let page = usize::from(area.height);
    let top = scroll.min(rows.len().saturating_sub(page));
    for (y, row) in rows.iter().skip(top).take(page).enumerate() {
        canvas.row(area, x, y, row);
    }
    layout.list = ListLayout { lines: rows.len(), page, top };
}

/// Words the state already holds, as text of one line.
fn one(text: &str) -> String {
    let head: String = text.chars().take(2_000).collect();
    sanitize(&head).one_line().into_string()
}
