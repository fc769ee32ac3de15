//! Help: the keys that matter, then every command, filtered as one types.

use ratatui::layout::Rect;

use super::{field, foot, heading, screen, scrolled, words};
use crate::app::{COMMANDS, Help, LAYER_KEYS, Layout, State};
use crate::text::{cut, sanitize, width};
use crate::ui::canvas::{Canvas, rows_of};
use crate::ui::ink::{Ink, Row, Tint};

type Group = (&'static str, &'static [(&'static str, &'static str)]);

/// The other keys of the one above.
const OTHERS: &str = "or";
/// The shortest key of a new line, and the label with that one in it.
const SHORTEST: &str = "shortest";
const NEW_LINE: &str = "new line (or)";
/// A call is chosen by the arrows, where they are still the panel's.
const CHOOSE: &str = "↑↓ {panel.open}";

const WIDE: [[Group; 3]; 2] = [
    [
        (
            "WRITE",
            &[
                ("{composer.send}", "send"),
                ("{composer.newline}", "new line"),
                (OTHERS, ""),
                ("{composer.recall}", "edit last prompt"),
                ("{composer.editor}", "open in $EDITOR"),
                ("@", "attach a file"),
            ],
        ),
        (
            "READ",
            &[
                ("{composer.scroll_up} {composer.scroll_down}", "scroll"),
                ("{composer.follow}", "follow the stream"),
                ("{transcript.previous_message} {transcript.next_message}", "previous, next message"),
                ("{transcript.find}", "find in conversation"),
                ("{transcript.copy}", "copy message"),
                ("{transcript.copy_code}", "copy code block"),
            ],
        ),
        (
            "TOOLS",
            &[
                ("{app.tools}", "tools, or review"),
                (CHOOSE, "select, open detail"),
                ("{app.panel}", "panel on/off"),
                ("{panel.cancel}", "cancel this call"),
                ("{panel.again}", "run again"),
                ("{app.servers}", "MCP servers"),
            ],
        ),
    ],
    [
        (
            "CONVERSATION",
            &[
                ("{app.history}", "history"),
                ("{app.new}", "new"),
                ("{app.back}", "stop the answer"),
                ("/export", "save as"),
                ("{transcript.branch}", "branch from here"),
                ("{transcript.previous_branch}  {transcript.next_branch}", "other branches"),
            ],
        ),
        (
            "APP",
            &[
                ("{app.palette}", "command palette"),
                ("{app.redraw}", "redraw"),
                ("{app.suspend}", "suspend"),
                ("{app.interrupt} {app.interrupt}", "quit"),
                ("{app.mouse}", "mouse on/off (select)"),
            ],
        ),
        (
            "REVIEW",
            &[
                ("{review.deny}  {review.deny_with_reason}", "deny, and say why"),
                ("{review.once}", "allow once"),
                ("{review.session}", "allow this session"),
                ("{review.always}", "always, shows the rule"),
                ("{review.edit}", "edit the arguments"),
            ],
        ),
    ],
];

const MIDDLE: [[Group; 2]; 2] = [
    [
        (
            "WRITE",
            &[
                ("{composer.send}", "send"),
                ("{composer.newline}", NEW_LINE),
                ("{composer.recall}", "edit last prompt"),
                ("{composer.editor}", "open in $EDITOR"),
                ("@", "attach a file"),
            ],
        ),
        (
            "READ",
            &[
                ("{composer.scroll_up} {composer.scroll_down}", "scroll"),
                ("{composer.follow}", "follow the stream"),
                ("{transcript.previous_message} {transcript.next_message}", "previous, next message"),
                ("{transcript.find}", "find"),
                ("{transcript.copy} {transcript.copy_code}", "copy message, code"),
            ],
        ),
    ],
    [
        (
            "TOOLS",
            &[
                ("{app.tools}", "tool panel, review"),
                ("{review.once} {review.deny}", "approve once, deny"),
                ("{panel.cancel} {panel.again}", "cancel, run again"),
                ("{app.servers}", "MCP servers"),
            ],
        ),
        (
            "APP",
            &[
                ("{app.history} {app.new}", "history, new"),
                ("{app.palette}", "command palette"),
                ("{app.back}", "stop the answer"),
                ("{app.interrupt} {app.interrupt}", "quit"),
            ],
        ),
    ],
];

const NARROW: [(&str, &str); 11] = [
    ("{composer.send}", "send"),
    (SHORTEST, "new line"),
    ("{app.back}", "stop the answer"),
    ("{app.tools}", "tools"),
    ("{review.once} {review.deny}", "approve once, deny"),
    ("{app.history} {app.new}", "history, new"),
    ("{composer.scroll_up} {composer.follow}", "scroll, follow"),
    ("{transcript.copy} {transcript.copy_code}", "copy message, code"),
    ("{composer.editor}", "open in $EDITOR"),
    ("{app.palette}", "all commands"),
    ("{app.interrupt} {app.interrupt}", "quit"),
];

pub(super) fn draw(canvas: &mut Canvas<'_>, area: Rect, help: &Help, state: &State, layout: &mut Layout) {
    let columns = usize::from(area.width);
    // Three groups beside one another take 120 columns.
    let (wide, narrow) = (columns >= 120, columns < 60);
    let filtering = help.editing || !help.search.text.is_empty();
    let rows = if filtering {
        commands(&help.search.text, state, columns)
    } else {
        overview(canvas, wide, narrow, state, columns)
    };
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
    if narrow {
        foot(canvas, area, &[("{list.arrows}", "scroll")], ("esc", ""));
    } else {
        foot(canvas, area, &[("{list.arrows}", "scroll"), ("/", "filter")], ("esc", ""));
    }
}

fn overview(canvas: &Canvas<'_>, wide: bool, narrow: bool, state: &State, columns: usize) -> Vec<Row> {
    if narrow {
        let mut rows: Vec<Row> =
            NARROW.iter().filter_map(|(key, label)| Some(pair(&shown(canvas, key)?, label, 0, 10))).collect();
        rows.push(Row::new());
        rows.extend(commands("", state, columns));
        return rows;
    }
    let mut rows = Vec::new();
    if wide {
        for line in &WIDE {
            groups(canvas, line, &[(0, 13), (41, 13), (82, 13)], &mut rows);
        }
    } else {
        for line in &MIDDLE {
            groups(canvas, line, &[(0, 13), (39, 12)], &mut rows);
        }
    }
    let mut note = Row::new();
    note.push(
        "A key that does nothing here says why in the footer. Every key can be changed in config.toml [keys].",
        Ink::Dim,
    );
    rows.extend(crate::ui::markdown::wrap_row(&note, columns.saturating_sub(2), &Row::new(), &Row::new()));
    rows.push(Row::new());
    if !state.session.terminal.is_empty() {
        rows.push(Row::label("TERMINAL, detected", Tint::of(Ink::Text).bold()));
        for (name, found) in &state.session.terminal {
            let mut row = Row::label("  ", Ink::Text);
            row.push(sanitize(name).one_line().as_str(), Ink::Dim);
            row.pad_to(15);
            let indent = Row::label("               ", Ink::Text);
            row.push(sanitize(found).one_line().as_str(), Ink::Text);
            rows.extend(crate::ui::markdown::wrap_row(&row, columns.saturating_sub(2), &Row::new(), &indent));
        }
        rows.push(Row::new());
    }
    rows.extend(commands("", state, columns));
    rows
}

/// Groups side by side: where each begins, and how wide its keys are.
fn groups(canvas: &Canvas<'_>, line: &[Group], at: &[(usize, usize)], rows: &mut Vec<Row>) {
    // What has no key leaves no gap.
    let line: Vec<(&str, Vec<(String, String)>)> = line
        .iter()
        .map(|(name, keys)| {
            (
                *name,
                keys.iter().filter_map(|(key, label)| Some((shown(canvas, key)?, label_of(canvas, label)))).collect(),
            )
        })
        .collect();
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

fn label_of(canvas: &Canvas<'_>, label: &str) -> String {
    let other = canvas.keys.keys_of("composer.newline").into_iter().skip(1).min_by_key(String::len);
    match (label, other) {
        (NEW_LINE, Some(key)) => format!("new line (or {key})"),
        (NEW_LINE, None) => "new line".to_owned(),
        (label, _) => label.to_owned(),
    }
}

/// Keys as one finds them on a keyboard; None where something of it has none.
fn shown(canvas: &Canvas<'_>, spec: &'static str) -> Option<String> {
    let keys = canvas.keys.keys_of("composer.newline");
    if spec == SHORTEST {
        return keys.into_iter().min_by_key(String::len);
    }
    if spec == OTHERS {
        let others: Vec<&str> = keys.iter().skip(1).rev().take(2).map(String::as_str).collect();
        return (!others.is_empty()).then(|| format!("  or {}", others.join(", ")));
    }
    let still = |name: &str, arrow: &str| canvas.keys.keys_of(name).iter().any(|key| key == arrow);
    let spec = match spec {
        CHOOSE if !still("panel.up", "up") || !still("panel.down", "down") => "{panel.up} {panel.down} {panel.open}",
        spec => spec,
    };
    let keys = canvas.keys.spell(spec)?;
    let mut words = keys.split(' ').map(|key| match key {
        "up" => canvas.theme.glyphs.up.to_owned(),
        "↑↓" => canvas.theme.glyphs.up_down.to_owned(),
        "pgup" => "PgUp".to_owned(),
        "pgdn" => "PgDn".to_owned(),
        "end" => "End".to_owned(),
        "home" => "Home".to_owned(),
        key => match key.strip_prefix('f') {
            Some(number) if number.parse::<u8>().is_ok() => format!("F{number}"),
            Some(_) | None => key.to_owned(),
        },
    });
    let first = words.next()?;
    Some(words.fold(first, |all, word| all + " " + &word))
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
