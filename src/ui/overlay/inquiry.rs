//! What a server asks of the person: who asks, for what, and the form, address, text or folders that it is about.
//!
//! # Invariants
//! - The server's own words are set apart from the program's, with what cannot be seen written out.
//! - An address is shown whole, its host marked; nothing in a form is a link.

use ratatui::layout::Rect;

use super::ask::letter;
use super::{field, folders, foot, one, sample, screen, words};
use crate::app::{
    FieldEdit, FieldValue, FormButton, FormEdit, FormFocus, InquiryBox, InquiryStep, Layout, ListLayout, State, Target,
    Visit,
};
use crate::chat::{FieldKind, Question};
use crate::text::{cut, visible, width};
use crate::ui::canvas::{Canvas, hit, rows_of};
use crate::ui::figures::{clock, grouped};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// Rows of the server's message before it is cut.
const MESSAGE_ROWS: usize = 6;
/// Choices shown around the chosen one.
const CHOICE_ROWS: usize = 5;

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, open: &InquiryBox, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let narrow = columns < 60;
    let inner = columns.saturating_sub(2).max(1);
    let mut title = Row::new();
    title.push(canvas.theme.glyphs.asks, Tint::of(Ink::Warn).bold());
    let what = match open.inquiry.question {
        Question::Form { .. } => "asks you",
        Question::Address { .. } => "wants you to visit an address",
        Question::Sample(_) => sample::title(state),
        Question::Roots(_) => "wants to know your folders",
    };
    title.push(&format!(" {} {what}", one(open.inquiry.server.as_str())), Tint::of(Ink::Text).bold());
    let left = clock(open.left_ms(state.now).saturating_mul(1_000));
    let note = match open.inquiry.behind {
        0 => format!("{left} left"),
        behind if narrow => format!("+{behind}   {left} left"),
        behind => format!("{behind} more wait   {left} left"),
    };
    let body = screen(canvas, area, &title, &words(&note), layout);
    let height = usize::from(body.height);
    let mut top = about(open, state, inner, narrow);
    let bottom = below(canvas, open, state, inner);
    // What must be answered comes before what it is about.
    top.truncate(height.saturating_sub(bottom.len() + 3));
    for (y, row) in top.iter().enumerate() {
        canvas.row(body, 1, y, row);
    }
    let room = height.saturating_sub(top.len() + bottom.len());
    let view = rows_of(body, top.len(), room);
    match &open.step {
        InquiryStep::Form(form) => fields(canvas, view, form, narrow, layout),
        InquiryStep::Address(visit) => address(canvas, view, visit),
        InquiryStep::Roots { .. } => {}
        InquiryStep::Sample(read) => sample::draw(canvas, view, open, read, state, layout),
    }
    if let (InquiryStep::Roots { scroll, .. }, Question::Roots(roots)) = (&open.step, &open.inquiry.question) {
        super::scrolled(canvas, view, &folders::asked(roots, inner), *scroll, 1, layout);
    }
    for (y, row) in bottom.iter().enumerate() {
        canvas.row(body, 1, height.saturating_sub(bottom.len()) + y, row);
    }
    if let InquiryStep::Form(form) = &open.step {
        buttons(canvas, rows_of(body, height.saturating_sub(2), 1), form, "Submit", layout);
    }
    let keys: &[(&str, &str)] = match (&open.step, narrow) {
        (InquiryStep::Form(form), false) => match form.focused().map(|edit| &edit.value) {
            Some(FieldValue::Typed(_)) => &[("tab", "next"), ("enter", "next"), ("^S", "submit")],
            Some(FieldValue::Flag(_)) => &[("tab", "next"), ("space", "yes or no"), ("^S", "submit")],
            Some(FieldValue::One(_)) => &[("tab", "next"), ("←→", "choose"), ("^S", "submit")],
            Some(FieldValue::Many { .. }) => &[("tab", "next"), ("←→", "move"), ("space", "choose"), ("^S", "submit")],
            None => &[("←→", "choose"), ("enter", "do it"), ("↑", "back to the fields")],
        },
        (InquiryStep::Form(_), true) => &[("tab", "next"), ("^S", "submit")],
        (InquiryStep::Address(_), _) => {
            &[("{question.yes}", "open"), ("{question.no}", "decline"), ("{question.copy}", "copy")]
        }
        (InquiryStep::Roots { .. }, false) => &[
            ("{question.yes}", "tell it this once"),
            ("{question.session}", "until you quit"),
            ("{question.no}", "decline"),
            ("{list.down}/{list.up}", "scroll"),
        ],
        (InquiryStep::Roots { .. }, true) => &[("{question.yes}", "once"), ("{question.session}", "until quit")],
        (InquiryStep::Sample(_), _) => sample::foot(state),
    };
    let esc = if matches!(open.step, InquiryStep::Roots { .. }) { "decline" } else { "cancel" };
    foot(canvas, area, keys, ("esc", esc));
}

/// Who asks, for which call, and the server's words.
fn about(open: &InquiryBox, state: &State, inner: usize, narrow: bool) -> Vec<Row> {
    let none = Row::new();
    let mut out = Vec::new();
    let message = match &open.inquiry.question {
        Question::Form { message, .. } | Question::Address { message, .. } => message.as_str(),
        Question::Sample(_) | Question::Roots(_) => "",
    };
    if !narrow {
        out.push(Row::new());
    }
    if !message.trim().is_empty() {
        let mut rows = Vec::new();
        for line in visible(message.trim()).as_str().lines() {
            let mut row = Row::new();
            row.push_safe(line, Tint::of(Ink::Text).bold());
            rows.extend(wrap_row(&row, inner, &none, &none));
            if rows.len() > MESSAGE_ROWS {
                rows.truncate(MESSAGE_ROWS);
                rows.push(Row::label("…", Ink::Dim));
                break;
            }
        }
        out.extend(rows);
        if !narrow {
            out.push(Row::new());
        }
    }
    let mut row = Row::new();
    row.push("server  ", Ink::Dim);
    let line = state.servers.get(&open.inquiry.server).map(|row| row.status.line.clone()).unwrap_or_default();
    let name = one(open.inquiry.server.as_str());
    row.push(&if line.is_empty() || narrow { name } else { format!("{name} ({})", cut(&one(&line), 48)) }, Ink::Text);
    let call = open.inquiry.call.as_ref().and_then(|id| state.calls.by_id.get(id)).and_then(|call| call.tool.clone());
    match call {
        Some(tool) => {
            row.push("   for  ", Ink::Dim);
            row.push(&cut(&one(&tool.path()), inner.saturating_sub(row.width()).max(8)), Ink::Text);
        }
        None if !narrow && (!message.is_empty() || sample::is_theirs(open, state)) => {
            row.push("   its own words, not verified", Ink::Dim)
        }
        None => {}
    }
    out.push(row);
    match &open.inquiry.question {
        Question::Form { .. } | Question::Address { .. } => {}
        Question::Roots(roots) => {
            let text = match roots.len() {
                1 => "It would be told of this folder, not of what is in it. That gives it no access by itself.",
                _ => "It would be told of these folders, not of what is in them. That gives it no access by itself.",
            };
            let mut row = Row::new();
            row.push(text, Ink::Text);
            out.extend(wrap_row(&row, inner, &none, &none));
        }
        Question::Sample(_) => {
            let mut row = Row::new();
            row.push(sample::introduction(state), Ink::Text);
            out.extend(wrap_row(&row, inner, &none, &none));
        }
    }
    out.push(Row::new());
    out
}

/// What stands at the bottom: warnings, the place of the buttons, why a key did nothing.
fn below(canvas: &Canvas<'_>, open: &InquiryBox, state: &State, inner: usize) -> Vec<Row> {
    let none = Row::new();
    let indent = Row::label("   ", Ink::Text);
    let mut out = Vec::new();
    let mut warn = |text: &str| {
        let mut row = Row::new();
        row.push(canvas.theme.glyphs.asks, Tint::of(Ink::Warn).bold());
        row.push("  ", Ink::Text);
        row.push(text, Ink::Warn);
        out.extend(wrap_row(&row, inner, &none, &indent));
    };
    match (&open.step, &open.inquiry.question) {
        (InquiryStep::Form(form), question) => {
            if form.fields.iter().any(|edit| edit.field.looks_secret()) {
                warn("A form must not ask for passwords, keys or tokens. What you enter goes to the server as it is.");
            }
            if let Question::Form { form, .. } = question {
                form.notes.iter().take(2).for_each(|note| warn(&format!("Not checked: {}", one(note))));
            }
        }
        (InquiryStep::Address(visit), _) => visit.warnings.iter().for_each(|warning| warn(warning)),
        (InquiryStep::Sample(_) | InquiryStep::Roots { .. }, _) => {}
    }
    out.push(Row::new());
    let mut keys = Row::label("  ", Ink::Text);
    match &open.step {
        InquiryStep::Form(_) => {}
        InquiryStep::Address(visit) => {
            letter(&mut keys, canvas, "{question.no}", "decline");
            if !visit.host.is_empty() {
                letter(&mut keys, canvas, "{question.yes}", "open it");
            }
            letter(&mut keys, canvas, "{question.copy}", "copy");
        }
        InquiryStep::Roots { .. } => {
            letter(&mut keys, canvas, "{question.no}", "decline");
            letter(&mut keys, canvas, "{question.yes}", "tell it this once");
            letter(&mut keys, canvas, "{question.session}", "until you quit");
        }
        InquiryStep::Sample(_) => {
            sample::keys(state).iter().for_each(|(key, words)| letter(&mut keys, canvas, key, words))
        }
    }
    out.push(keys);
    let mut why = Row::label("  ", Ink::Text);
    why.push(&canvas.keys.tell(open.refused.unwrap_or("")), Ink::Warn);
    out.push(why);
    out
}

/// A line of a form, and where its field's own text begins where it is the one that is typed into.
struct Line {
    row: Row,
    typing: bool,
}

/// The fields, as many as fit around the one with the focus.
pub(super) fn fields(canvas: &mut Canvas<'_>, area: Rect, form: &FormEdit, narrow: bool, layout: &mut Layout) {
    let columns = usize::from(area.width);
    let label = match narrow {
        true => 0,
        false => {
            let longest = form.fields.iter().map(|edit| width(&one(edit.field.label())) + 2).max().unwrap_or(0);
            longest.clamp(8, (columns / 3).max(8))
        }
    };
    let mut lines: Vec<(usize, Line)> = Vec::new();
    let mut focus = 0..0;
    for (n, edit) in form.fields.iter().enumerate() {
        let focused = form.focus == FormFocus::Field(n);
        let from = lines.len();
        lines.extend(field_lines(canvas, edit, focused, label, columns, narrow).into_iter().map(|line| (n, line)));
        if focused {
            focus = from..lines.len();
        }
    }
    let page = usize::from(area.height);
    let first = match form.focus {
        FormFocus::Field(_) if focus.end > page => (focus.end - page).min(focus.start),
        FormFocus::Field(_) => 0,
        FormFocus::Button(_) => lines.len().saturating_sub(page),
    };
    for (y, (n, line)) in lines.iter().enumerate().skip(first).take(page).map(|(_, line)| line).enumerate() {
        layout.targets.push((hit(rows_of(area, y, 1)), Target::Row(*n)));
        canvas.row(area, 1, y, &line.row);
        if line.typing
            && let Some(FieldEdit { value: FieldValue::Typed(text), .. }) = form.fields.get(*n)
        {
            field(canvas, area, 1 + line.row.width(), y, text, true);
        }
    }
    layout.list = ListLayout { lines: lines.len(), page, top: first };
    if first + page < lines.len() {
        canvas.put_right(area, columns.saturating_sub(1), page.saturating_sub(1), "more below", Ink::Dim);
    }
}

fn field_lines(
    canvas: &Canvas<'_>,
    edit: &FieldEdit,
    focused: bool,
    label: usize,
    columns: usize,
    narrow: bool,
) -> Vec<Line> {
    let glyphs = canvas.theme.glyphs;
    let plain = |row| Line { row, typing: false };
    let mut out = Vec::new();
    let mut row = Row::new();
    row.push(if focused { glyphs.selected } else { " " }, Ink::Accent);
    row.push(" ", Ink::Text);
    let name = one(edit.field.label());
    let tint = if focused { Tint::of(Ink::Text).bold() } else { Tint::of(Ink::Text) };
    let room = if narrow { columns.saturating_sub(6) } else { label.saturating_sub(2) };
    row.push(&cut(&name, room), tint);
    if edit.field.required {
        row.push(" *", Ink::Warn);
    }
    let indent = if narrow { 4 } else { 2 + label + 2 };
    if narrow {
        out.push(plain(row));
        row = Row::new();
    }
    row.pad_to(indent);
    let room = columns.saturating_sub(indent + 3);
    let typing = focused && matches!(edit.value, FieldValue::Typed(_));
    match (&edit.value, &edit.field.kind) {
        (FieldValue::Typed(_), _) if typing => {}
        (FieldValue::Typed(line), _) if line.text.is_empty() => row.push(&cut(&hint(edit), room), Ink::Dim),
        (FieldValue::Typed(line), _) => row.push(&cut(&one(&line.text), room), Ink::Text),
        (FieldValue::Flag(flag), _) => {
            let mark = |on: bool| if on { "(x)" } else { "( )" };
            row.push(&format!("{} yes   {} no", mark(*flag == Some(true)), mark(*flag == Some(false))), Ink::Text);
        }
        (FieldValue::One(chosen), FieldKind::One(choices)) => {
            let name = chosen.and_then(|at| choices.get(at)).map(|choice| one(choice.label()));
            match (name, focused) {
                (Some(name), true) => row.push(&cut(&format!("< {name} >"), room), Ink::Accent),
                (Some(name), false) => row.push(&cut(&name, room), Ink::Text),
                (None, _) => row.push(&cut(&format!("choose one of {}", choices.len()), room), Ink::Dim),
            }
        }
        (FieldValue::Many { chosen, .. }, FieldKind::Many { choices, .. }) => {
            let names: Vec<String> =
                choices.iter().zip(chosen).filter(|(_, on)| **on).map(|(choice, _)| one(choice.label())).collect();
            match names.is_empty() {
                true => row.push(&cut(&format!("choose from {}", choices.len()), room), Ink::Dim),
                false => row.push(&cut(&names.join(", "), room), Ink::Text),
            }
        }
        (FieldValue::One(_) | FieldValue::Many { .. }, _) => {}
    }
    out.push(Line { row, typing });
    let below = |text: &str, ink: Ink| {
        let mut row = Row::new();
        row.pad_to(indent);
        row.push(&cut(text, room), ink);
        plain(row)
    };
    if let Some(problem) = &edit.problem {
        out.push(below(&format!("{} {}", glyphs.failed, one(problem)), Ink::Bad));
    }
    if focused {
        out.extend(choice_lines(edit, indent, room).into_iter().map(plain));
        if let Some(description) = &edit.field.description {
            out.push(below(&one(description), Ink::Dim));
        }
        let hint = hint(edit);
        if typing && !hint.is_empty() && edit.problem.is_none() {
            out.push(below(&hint, Ink::Dim));
        }
    }
    out
}

/// The choices around the one under the caret.
fn choice_lines(edit: &FieldEdit, indent: usize, room: usize) -> Vec<Row> {
    let (choices, at, many) = match (&edit.value, &edit.field.kind) {
        (FieldValue::One(chosen), FieldKind::One(choices)) => (choices, chosen.unwrap_or(0), None),
        (FieldValue::Many { chosen, at }, FieldKind::Many { choices, .. }) => (choices, *at, Some(chosen)),
        (FieldValue::Typed(_) | FieldValue::Flag(_) | FieldValue::One(_) | FieldValue::Many { .. }, _) => {
            return Vec::new();
        }
    };
    let first = super::first_row(at, choices.len(), CHOICE_ROWS);
    let rows = choices.iter().enumerate().skip(first).take(CHOICE_ROWS).map(|(n, choice)| {
        let on = many.map_or(edit.value == FieldValue::One(Some(n)), |chosen| chosen.get(n) == Some(&true));
        let mark = match (many.is_some(), on) {
            (true, true) => "[x]",
            (true, false) => "[ ]",
            (false, true) => "(x)",
            (false, false) => "( )",
        };
        let mut row = Row::new();
        row.pad_to(indent);
        let tint = if n == at { Tint::of(Ink::Accent).bold() } else { Tint::of(Ink::Text) };
        row.push(&cut(&format!("{mark} {}", one(choice.label())), room), tint);
        row
    });
    let mut rows: Vec<Row> = rows.collect();
    if choices.len() > CHOICE_ROWS {
        let mut row = Row::new();
        row.pad_to(indent);
        row.push(&format!("{} of {}", at + 1, grouped(choices.len() as u64)), Ink::Dim);
        rows.push(row);
    }
    rows
}

/// What a value must be, in a few words; safe.
fn hint(edit: &FieldEdit) -> String {
    let range = |least: Option<String>, most: Option<String>, what: &str| match (least, most) {
        (Some(least), Some(most)) => format!("{least} to {most}{what}"),
        (Some(least), None) => format!("at least {least}{what}"),
        (None, Some(most)) => format!("at most {most}{what}"),
        (None, None) => String::new(),
    };
    match &edit.field.kind {
        FieldKind::Text(rule) => match rule.format {
            Some(format) => format!("as {}", format.example()),
            None => range(rule.least.map(|n| n.to_string()), rule.most.map(|n| n.to_string()), " characters"),
        },
        FieldKind::Number { whole, least, most } => {
            let range = range(least.map(|n| n.to_string()), most.map(|n| n.to_string()), "");
            let what = if *whole { "a whole number" } else { "a number" };
            if range.is_empty() { what.to_owned() } else { format!("{what}, {range}") }
        }
        FieldKind::Flag | FieldKind::One(_) => String::new(),
        FieldKind::Many { least, most, .. } => range(least.map(|n| n.to_string()), most.map(|n| n.to_string()), ""),
    }
}

pub(super) fn buttons(canvas: &mut Canvas<'_>, area: Rect, form: &FormEdit, submit: &str, layout: &mut Layout) {
    let mut at = 3;
    for (n, button) in form.buttons.iter().copied().enumerate() {
        let word = match button {
            FormButton::Submit => submit,
            FormButton::Decline => "Decline",
            FormButton::Cancel => "Cancel",
        };
        let focused = form.focus == FormFocus::Button(button);
        let tint = if focused { Tint::of(Ink::Accent).bold() } else { Tint::of(Ink::Text) };
        let text = if focused { format!("[{} {word} ]", canvas.theme.glyphs.selected) } else { format!("[ {word} ]") };
        let end = canvas.put(area, at, 0, &text, tint);
        let target = Target::Row(form.fields.len() + n);
        layout.targets.push((hit(crate::ui::canvas::columns_of(area, at, end - at)), target));
        at = end + 2;
    }
}

/// The whole address, its host marked.
fn address(canvas: &mut Canvas<'_>, area: Rect, visit: &Visit) {
    let inner = usize::from(area.width).saturating_sub(4).max(1);
    let safe = visible(&visit.url).one_line();
    let mut row = Row::of_lines(&safe, Ink::Text);
    if let Some(at) = safe.as_str().find(&visit.host).filter(|_| !visit.host.is_empty()) {
        row.mark(at..at + visit.host.len(), Ink::Accent);
    }
    let none = Row::new();
    let mut rows = wrap_row(&row, inner, &none, &none);
    rows.push(Row::new());
    let mut host = Row::new();
    host.push("host  ", Ink::Dim);
    host.push(&cut(&one(&visit.host), inner.saturating_sub(6)), Tint::of(Ink::Accent).bold());
    rows.push(host);
    for (y, row) in rows.iter().enumerate() {
        canvas.row(area, 3, y, row);
    }
}
