//! The browser of conversations: a row each, and what is in the chosen one.

use ratatui::layout::Rect;

use super::preview::snippet;
use super::{PreviewRows, choose, field, first_row, foot, heading, one, screen};
use crate::app::{Browser, HistoryRow, Layout, ListLayout, Sort, State, Target};
use crate::text::cut;
use crate::ui::canvas::{Canvas, columns_of, hit, rows_of};
use crate::ui::figures::{Moment, counted, grouped};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::memo::Memo;

/// Columns of the list where the preview stands beside it.
const LIST: usize = 58;

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    browser: &Browser,
    state: &State,
    memo: &mut Memo,
    layout: &mut Layout,
) {
    let columns = usize::from(area.width);
    let height = usize::from(area.height);
    let wide = columns >= 100;
    let narrow = columns < 60;
    let mut title = heading("HISTORY");
    let total = grouped(browser.total as u64);
    let many = if browser.total == 1 { "conversation" } else { "conversations" };
    title.push(
        &if wide {
            format!("   {total} {many}")
        } else if narrow {
            format!("  {total}")
        } else {
            format!("   {total}")
        },
        Ink::Dim,
    );
    if !browser.marked.is_empty() {
        title.push(&format!("   {} marked", browser.marked.len()), Tint::of(Ink::Accent).bold());
    }
    let note = filters(canvas, browser, wide, narrow);
    let body = screen(canvas, area, &title, &note, layout);
    // The search field stands where other screens have their rule.
    canvas.clear(rows_of(area, 1, 1));
    canvas.put(area, 1, 1, "/", Tint::of(Ink::Accent).bold());
    field(canvas, columns_of(area, 0, columns * 2 / 3), 3, 1, &browser.search, browser.editing);
    let right = columns.saturating_sub(if wide {
        15
    } else if narrow {
        10
    } else {
        7
    });
    canvas.put_right(area, right, 1, &found(browser, narrow), Ink::Dim);
    canvas.rule(area, 2);
    let body = rows_of(body, 1, usize::from(body.height).saturating_sub(1));
    let room = usize::from(body.height);

    if browser.preview_full && !wide {
        preview(canvas, body, browser, state, memo, true);
    } else if wide {
        let glyphs = canvas.theme.glyphs;
        canvas.put(area, LIST, 2, glyphs.tee_down, Ink::Dim);
        canvas.put(area, LIST, height.saturating_sub(2), glyphs.tee_up, Ink::Dim);
        for y in 0..room {
            canvas.put(body, LIST, y, glyphs.divider, Ink::Dim);
        }
        list(canvas, columns_of(body, 0, LIST), browser, state, layout, true);
        preview(canvas, columns_of(body, LIST + 2, columns - LIST - 3), browser, state, memo, true);
    } else {
        let rows = if room >= 13 { 8 } else { room.div_ceil(2) };
        list(canvas, rows_of(body, 0, rows), browser, state, layout, false);
        canvas.rule(body, rows);

        let below = columns_of(rows_of(body, rows + 1, room.saturating_sub(rows + 1)), 1, columns.saturating_sub(2));
        preview(canvas, below, browser, state, memo, false);
    }
    let keys: &[(&str, &str)] = if browser.editing && narrow {
        &[("enter", "open"), ("{list.arrow_down}", "to the list")]
    } else if browser.editing {
        &[
            ("enter", "open"),
            ("{list.arrow_down}", "to the list: letters act there"),
            ("{browser.scope}", "here, all"),
            ("{browser.prompts}", "earlier prompts"),
        ]
    } else if narrow {
        &[("enter", "open"), ("{browser.mark}", "mark"), ("{browser.delete}", "delete")]
    } else if browser.deleted.is_empty() {
        &[
            ("enter", "open"),
            ("{browser.mark}", "mark"),
            ("{browser.rename}", "rename"),
            ("{browser.pin}", "pin"),
            ("{browser.delete}", "delete"),
            ("{browser.erase}", "erase"),
            ("{browser.export}", "export"),
            ("{browser.scope}", "here, all"),
            ("{browser.sort}", "sort"),
            ("{browser.preview}", "preview"),
        ]
    } else {
        &[
            ("enter", "open"),
            ("{browser.undo}", "undo delete"),
            ("{browser.mark}", "mark"),
            ("{browser.delete}", "delete"),
            ("{browser.erase}", "erase"),
            ("{browser.rename}", "rename"),
            ("{browser.pin}", "pin"),
            ("{browser.export}", "export"),
        ]
    };
    foot(canvas, area, keys, ("esc", ""));
}

fn filters(canvas: &Canvas<'_>, browser: &Browser, wide: bool, narrow: bool) -> Row {
    let mut row = Row::new();
    if !narrow {
        let sort = match browser.filter.sort {
            Sort::Updated => "updated",
            Sort::Created => "created",
            Sort::Title => "title",
        };
        row.push(&format!("sort {sort}   scope "), Ink::Dim);
        let (scope, ink) = if browser.filter.here { ("here", Ink::Text) } else { ("all", Ink::Dim) };
        row.push(scope, ink);
        row.push("   ", Ink::Dim);
        if wide {
            let model = browser.filter.model.as_deref().map_or_else(|| "any".to_owned(), |m| cut(&one(m), 20));
            row.push(&format!("model {model}   "), Ink::Dim);
        }
    }
    if let Some(key) = canvas.key("{browser.filter}") {
        row.push(&key, Ink::Accent);
        row.push(if narrow { "" } else { " filters" }, Ink::Dim);
    }
    row
}

fn found(browser: &Browser, narrow: bool) -> String {
    let searching = !browser.search.text.trim().is_empty();
    match (browser.loading, searching, narrow) {
        (true, _, _) if browser.rows.is_empty() => "looking…".to_owned(),
        (_, false, _) => String::new(),
        (_, true, true) => format!("{} match", browser.total),
        (_, true, false) => format!("{} match in {} ms", browser.total, browser.took_us.div_ceil(1000)),
    }
}

fn list(canvas: &mut Canvas<'_>, area: Rect, browser: &Browser, state: &State, layout: &mut Layout, grouped: bool) {
    let page = usize::from(area.height);
    if let Some(fault) = &browser.fault {
        canvas.put(area, 1, 0, &cut(&one(fault), usize::from(area.width).saturating_sub(2)), Ink::Bad);
        return;
    }
    if browser.rows.is_empty() {
        let text = match (browser.loading, browser.search.text.trim().is_empty()) {
            (true, _) => "",
            (false, true) if browser.filter.here => "None in this folder: {browser.scope} shows all.",
            (false, true) => "No conversations yet.",
            (false, false) => "Nothing found.",
        };
        canvas.put(area, 3, 1, &canvas.keys.tell(text), Ink::Dim);
        return;
    }
    let today = Moment::new(state.now.wall_ms, crate::ui::offset(state));
    let time = |row: &HistoryRow| Moment::new(row.summary.updated, crate::ui::offset(state));
    // Headings take rows of their own, and count for the page.
    let grouped = grouped && browser.filter.sort == Sort::Updated;
    let first = first_row(browser.selected, browser.rows.len(), if grouped { page * 3 / 4 } else { page });
    let mut y = 0;
    let mut group = String::new();
    let mut drawn = 0;
    for (n, row) in browser.rows.iter().enumerate().skip(first) {
        if grouped {
            let heading = time(row).heading(today);
            if heading != group {
                if y + 1 >= page {
                    break;
                }
                canvas.put(area, 1, y, &heading, Ink::Dim);
                group = heading;
                y += 1;
            }
        }
        if y >= page {
            break;
        }
        layout.targets.push((hit(rows_of(area, y, 1)), Target::Row(n)));
        conversation(canvas, area, y, row, &time(row).in_list(today));
        if browser.marked.contains(&row.summary.id) {
            canvas.put(area, 2, y, canvas.theme.glyphs.done, Tint::of(Ink::Accent).bold());
        }
        if state.answers(&row.summary.id) {
            canvas.put(area, 2, y, canvas.theme.glyphs.running, Ink::Accent);
        }
        choose(canvas, area, y, n == browser.selected);
        y += 1;
        drawn += 1;
    }
    layout.list = ListLayout { lines: browser.rows.len(), page: drawn, top: first };
}

/// Name, model, messages, time, in fixed columns.
fn conversation(canvas: &mut Canvas<'_>, area: Rect, y: usize, row: &HistoryRow, when: &str) {
    let columns = usize::from(area.width);
    let s = &row.summary;
    let title = one(&s.title);
    let title = if title.trim().is_empty() { "(no title)".to_owned() } else { title };
    let title = match (s.interrupted, row.draft > 0) {
        (true, true) => format!("interrupted, draft: {title}"),
        (true, false) => format!("interrupted: {title}"),
        (false, true) => format!("draft: {title}"),
        (false, false) => title,
    };
    if s.pinned {
        canvas.put(area, 1, y, "*", Ink::Accent);
    }
    let ink = if s.failed_calls > 0 { Ink::Warn } else { Ink::Dim };
    if columns < 50 {
        canvas.put_right(area, columns.saturating_sub(1), y, when, Ink::Dim);
        canvas.put_right(area, columns.saturating_sub(11), y, &s.messages.to_string(), Ink::Dim);
        canvas.put(area, 3, y, &cut(&title, columns.saturating_sub(18)), Ink::Text);
        return;
    }
    // At the full width of a screen there is a margin; beside a preview the divider follows at once.
    let right = columns - 1;
    canvas.put_right(area, right, y, &s.messages.to_string(), ink);
    let time_end = right - if columns == LIST { 6 } else { 5 };
    canvas.put_right(area, time_end, y, when, Ink::Dim);
    let model = if columns == LIST { 13 } else { 17 };
    let model_at = time_end - 10 - model;
    canvas.put(area, model_at, y, &cut(&one(&s.model), model - 1), Ink::Dim);
    canvas.put(area, 3, y, &cut(&title, model_at.saturating_sub(5)), Ink::Text);
}

fn preview(canvas: &mut Canvas<'_>, area: Rect, browser: &Browser, state: &State, memo: &mut Memo, tall: bool) {
    let columns = usize::from(area.width);
    let Some(row) = browser.rows.get(browser.selected) else { return };
    let s = &row.summary;
    let glyphs = canvas.theme.glyphs;
    canvas.put(area, 0, 0, &cut(&one(&s.title), columns.saturating_sub(20)), Tint::of(Ink::Text).bold());
    let at = browser.preview.as_ref().map_or(0, |p| p.at);
    let matches = row.hit.as_ref().map_or(0, |hit| hit.matches as usize);
    let match_note = (matches > 0).then(|| format!("match {} of {matches}", (at + 1).min(matches)));
    let mut top = 1;
    if tall {
        let today = Moment::new(state.now.wall_ms, crate::ui::offset(state));
        let when = |at| Moment::new(at, crate::ui::offset(state)).in_list(today);
        let text = format!(
            "created {}   updated {}   {}   {}",
            when(s.created),
            when(s.updated),
            counted(s.messages.into(), "message", "messages"),
            counted(s.calls.into(), "tool call", "tool calls"),
        );
        canvas.put(area, 0, 1, &cut(&text, columns), Ink::Dim);
        top = 2;
        if row.draft > 0 {
            let characters = counted(row.draft as u64, "character", "characters");
            canvas.put(area, 0, top, &format!("unsent draft, {characters}"), Ink::Warn);
            top = 3;
        }
        if let Some(note) = match_note {
            let x = canvas.put(area, 0, top, &note, Ink::Dim);
            if !browser.editing {
                canvas.put(area, x + 3, top, "n next   N previous", Ink::Dim);
            }
            top += 1;
        }
        top += 1;
    } else if let Some(note) = match_note {
        canvas.put_right(area, columns.saturating_sub(5), 0, &note, Ink::Dim);
    }
    let view = rows_of(area, top, usize::from(area.height).saturating_sub(top));
    let Some(content) = browser.preview.as_ref().filter(|p| p.conversation == s.id).and_then(|p| p.content.as_ref())
    else {
        if let Some(hit) = &row.hit {
            let row = snippet(&hit.snippet, &hit.marks, columns, glyphs);
            canvas.row(view, 0, 0, &row);
        } else {
            canvas.put(view, 0, 0, "…", Ink::Dim);
        }
        return;
    };
    let kept = PreviewRows::refresh(&mut memo.preview, browser, content, columns, state, glyphs, tall);
    let page = usize::from(view.height);
    let last = kept.rows.len().saturating_sub(page);
    let scroll = browser.preview.as_ref().and_then(|p| p.scroll).unwrap_or_else(|| {
        let mark = kept.marks.get(at.min(kept.marks.len().saturating_sub(1)));
        match mark {
            // With two lines before it, so that it is seen where it stands.
            Some(row) => row.saturating_sub(2),
            None => last,
        }
    });
    for (y, row) in kept.rows.iter().skip(scroll.min(last)).take(page).enumerate() {
        canvas.row(view, 0, y, row);
    }
}
