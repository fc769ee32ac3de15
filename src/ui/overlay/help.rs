//! Help: the keys that matter, then every command, filtered as one types.

use ratatui::layout::Rect;

use super::{field, foot, heading, screen, scrolled, words};
use crate::app::{COMMANDS, Help, LAYER_KEYS, Layout, State};
use crate::text::{cut, width};
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::ink::{Ink, Row, Tint};

type Group = (&'static str, &'static [(&'static str, &'static str)]);

const WIDE: [[Group; 3]; 2] = [
    [
        (
            "WRITE",
            &[
                ("enter", "send"),
                ("shift+enter", "new line"),
                ("  or ^J, alt+enter", ""),
                ("↑", "edit last prompt"),
                ("^G", "open in $EDITOR"),
                ("@", "attach a file"),
            ],
        ),
        (
            "READ",
            &[
                ("PgUp PgDn", "scroll"),
                ("End", "follow the stream"),
                ("[ ]", "previous, next message"),
                ("/", "find in conversation"),
                ("y", "copy message"),
                ("Y", "copy code block"),
            ],
        ),
        (
            "TOOLS",
            &[
                ("^T", "tools, or review"),
                ("↑↓ enter", "select, open detail"),
                ("F3", "panel on/off"),
                ("x", "cancel this call"),
                ("R", "run again"),
                ("^O", "MCP servers"),
            ],
        ),
    ],
    [
        (
            "CONVERSATION",
            &[
                ("^R", "history"),
                ("^N", "new"),
                ("esc", "stop the answer"),
                ("/export", "save as"),
                ("B", "branch from here"),
                ("<  >", "other branches"),
            ],
        ),
        (
            "APP",
            &[
                ("^P", "command palette"),
                ("^L", "redraw"),
                ("^Z", "suspend"),
                ("^C ^C", "quit"),
                ("F2", "mouse on/off (select)"),
            ],
        ),
        (
            "REVIEW",
            &[
                ("n  d", "deny, and say why"),
                ("y", "allow once"),
                ("s", "allow this session"),
                ("A", "always, shows the rule"),
                ("e", "edit the arguments"),
            ],
        ),
    ],
];

const MIDDLE: [[Group; 2]; 2] = [
    [
        (
            "WRITE",
            &[
                ("enter", "send"),
                ("shift+enter", "new line (or ^J)"),
                ("↑", "edit last prompt"),
                ("^G", "open in $EDITOR"),
                ("@", "attach a file"),
            ],
        ),
        (
            "READ",
            &[
                ("PgUp PgDn", "scroll"),
                ("End", "follow the stream"),
                ("[ ]", "previous, next message"),
                ("/", "find"),
                ("y Y", "copy message, code"),
            ],
        ),
    ],
    [
        (
            "TOOLS",
            &[
                ("^T", "tool panel, review"),
                ("y n", "approve once, deny"),
                ("x R", "cancel, run again"),
                ("^O", "MCP servers"),
            ],
        ),
        ("APP", &[("^R ^N", "history, new"), ("^P", "command palette"), ("esc", "stop the answer"), ("^C ^C", "quit")]),
    ],
];

const NARROW: [(&str, &str); 11] = [
    ("enter", "send"),
    ("^J", "new line"),
    ("esc", "stop the answer"),
    ("^T", "tools"),
    ("y n", "approve once, deny"),
    ("^R ^N", "history, new"),
    ("PgUp End", "scroll, follow"),
    ("y Y", "copy message, code"),
    ("^G", "open in $EDITOR"),
    ("^P", "all commands"),
    ("^C ^C", "quit"),
];

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, help: &Help, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    // Three groups beside one another take 120 columns.
    let (wide, narrow) = (columns >= 120, columns < 60);
    let filtering = help.editing || !help.search.text.is_empty();
    let rows =
        if filtering { commands(&help.search.text, state, columns) } else { overview(wide, narrow, state, columns) };
    let page = usize::from(area.height).saturating_sub(6).max(1);
    let pages = rows.len().div_ceil(page).max(1);
    let here = (help.scroll / page + 1).min(pages);
    let version = if state.session.version.is_empty() { env!("CARGO_PKG_VERSION") } else { state.session.version };
    let note = match (wide, narrow) {
        (true, _) => format!("v{version}   what is wrong: millrace doctor"),
        (_, true) => format!("{here}/{pages}"),
        (false, false) => format!("v{version}   millrace doctor"),
    };
    let body = screen(canvas, area, &heading("HELP"), &words(&note), layout);
    if help.editing {
        canvas.put(body, 1, 0, "/", Tint::of(Ink::Accent).bold());
        field(canvas, body, 3, 0, &help.search, true);
    } else if wide {
        canvas.put(body, 1, 0, "/ type to filter: keys, commands and settings together", Ink::Dim);
    } else {
        canvas.put(body, 1, 0, "/ filter", Ink::Dim);
    }
    let view = rows_of(body, 2, usize::from(body.height).saturating_sub(2));
    scrolled(canvas, view, &rows, help.scroll, 1, layout);
    let up_down = canvas.theme.glyphs.up_down;
    if narrow {
        foot(canvas, area, &[(up_down, "scroll")], ("esc", ""));
    } else {
        foot(canvas, area, &[(up_down, "scroll"), ("/", "filter")], ("esc", ""));
    }
}

fn overview(wide: bool, narrow: bool, state: &State, columns: usize) -> Vec<Row> {
    if narrow {
        let mut rows: Vec<Row> = NARROW.iter().map(|(key, label)| pair(key, label, 0, 10)).collect();
        rows.push(Row::new());
        rows.extend(commands("", state, columns));
        return rows;
    }
    let mut rows = Vec::new();
    if wide {
        for line in &WIDE {
            groups(line, &[(0, 13), (41, 13), (82, 13)], &mut rows);
        }
    } else {
        for line in &MIDDLE {
            groups(line, &[(0, 13), (39, 12)], &mut rows);
        }
    }
    let mut note = Row::new();
    note.push(
        "A key that does nothing here says why in the footer. Every key can be changed in config.toml [keys].",
        Ink::Dim,
    );
    rows.extend(crate::ui::markdown::wrap_row(&note, columns.saturating_sub(2), &Row::new(), &Row::new()));
    rows.push(Row::new());
    rows.extend(commands("", state, columns));
    rows
}

/// Groups side by side: where each begins, and how wide its keys are.
fn groups(line: &[Group], at: &[(usize, usize)], rows: &mut Vec<Row>) {
    let mut head = Row::new();
    for ((name, _), (x, _)) in line.iter().zip(at) {
        head.pad_to(*x);
        head.push(name, Tint::of(Ink::Text).bold());
    }
    rows.push(head);
    let height = line.iter().map(|(_, keys)| keys.len()).max().unwrap_or(0);
    for n in 0..height {
        let mut row = Row::new();
        for ((_, keys), (x, column)) in line.iter().zip(at) {
            if let Some((key, label)) = keys.get(n) {
                row.pad_to(*x);
                row.append(&pair(key, label, 2, *column));
            }
        }
        rows.push(row);
    }
    rows.push(Row::new());
}

fn pair(key: &str, label: &str, indent: usize, column: usize) -> Row {
    let mut row = Row::new();
    row.pad_to(indent);
    row.push(key, Ink::Accent);
    if !label.is_empty() {
        row.pad_to(indent + column.max(width(key) + 2));
        row.push(label, Ink::Text);
    }
    row
}

/// Every command that matches: its key as it is bound now, its word after a slash, what it does.
fn commands(filter: &str, state: &State, columns: usize) -> Vec<Row> {
    let wanted = filter.trim().to_lowercase();
    let mut rows = vec![Row::label("ALL COMMANDS", Tint::of(Ink::Text).bold())];
    let narrow = columns < 60;
    for info in COMMANDS {
        let key = state.keymap.key_of(info.command).map(|key| key.short()).unwrap_or_default();
        let slash = if info.slash.is_empty() { String::new() } else { format!("/{}", info.slash) };
        let text = format!("{key} {slash} {} {}", info.label, info.name).to_lowercase();
        if !wanted.split_whitespace().all(|word| text.contains(word)) {
            continue;
        }
        let mut row = Row::label(if narrow { "" } else { "  " }, Ink::Text);
        row.push(&key, Ink::Accent);
        row.pad_to(if narrow { 10 } else { 15 });
        if !narrow {
            row.push(&slash, Ink::Accent);
            row.pad_to(30);
        }
        row.push(&cut(info.label, columns.saturating_sub(row.width() + 2)), Ink::Text);
        rows.push(row);
    }
    let mut place = None;
    for layer in LAYER_KEYS {
        let keys: Vec<String> = state.keymap.layer_keys(layer).iter().map(|key| key.short()).collect();
        let (keys, word) = (keys.join(" "), layer.place.word());
        let text = format!("{keys} {word} {} {}", layer.label, layer.name).to_lowercase();
        if !wanted.split_whitespace().all(|word| text.contains(word)) {
            continue;
        }
        if place != Some(layer.place) {
            place = Some(layer.place);
            rows.push(Row::new());
            let mut heading = Row::new();
            heading.push(&word.to_uppercase(), Tint::of(Ink::Text).bold());
            rows.push(heading);
        }
        rows.push(pair(
            &keys,
            &cut(layer.label, columns.saturating_sub(18)),
            if narrow { 0 } else { 2 },
            if narrow { 10 } else { 13 },
        ));
    }
    if rows.len() == 1 {
        rows.push(Row::label("  nothing of that name", Ink::Dim));
    }
    rows
}
