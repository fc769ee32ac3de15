//! A recording as a picture that moves, without a script: each run of letters of one look, shown while it stood where
//! it stands. Who wants nothing to move sees the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::emulator;

/// Pixels of a cell.
const ACROSS: f64 = 8.4;
const DOWN: f64 = 18.0;
/// What is drawn again sooner than this after a picture belongs to it, seconds.
const TOGETHER: f64 = 0.15;
/// How long the end is seen before it begins again.
const END: f64 = 2.0;

const GROUND: &str = "#1d2026";
const TEXT: &str = "#d4d8de";
const SIXTEEN: [&str; 16] = [
    "#1d2026", "#e88388", "#a8cc8c", "#dbab79", "#71bef2", "#d290e4", "#66c2cd", "#b9bfca", "#6f7683", "#e88388",
    "#a8cc8c", "#dbab79", "#73bef3", "#d290e4", "#66c2cd", "#ffffff",
];

/// A run of letters, from when until when.
struct Shown {
    from: f64,
    until: f64,
    drawn: String,
}

pub(super) fn moving(events: &[(f64, String)], (columns, rows): (u16, u16)) -> String {
    let mut parser = emulator();
    let mut styles = Styles::default();
    let mut shown: Vec<Shown> = Vec::new();
    // What is still to be seen, and since when.
    let mut now: BTreeMap<String, f64> = BTreeMap::new();
    let mut at = 0;
    let begun = events.first().map_or(0.0, |(at, _)| *at);
    while at < events.len() {
        let time = events[at].0 - begun;
        while at < events.len() && events[at].0 - begun - time < TOGETHER {
            parser.process(events[at].1.as_bytes());
            at += 1;
        }
        let runs: Vec<String> = (0..rows).flat_map(|row| line(parser.screen(), row, columns, &mut styles)).collect();
        let before = std::mem::take(&mut now);
        for drawn in runs {
            let since = before.get(&drawn).copied().unwrap_or(time);
            now.insert(drawn, since);
        }
        let gone = before.into_iter().filter(|(drawn, _)| !now.contains_key(drawn));
        shown.extend(gone.map(|(drawn, from)| Shown { from, until: time, drawn }));
    }
    let end = events.last().map_or(0.0, |(at, _)| *at) - begun + END;
    shown.extend(now.into_iter().map(|(drawn, from)| Shown { from, until: end, drawn }));
    shown.retain(|shown| shown.until > shown.from);
    // Grounds lie under all letters.
    shown.sort_by_key(|shown| !shown.drawn.starts_with("<rect"));
    page(&shown, end, &styles, (columns, rows))
}

fn page(shown: &[Shown], end: f64, styles: &Styles, (columns, rows): (u16, u16)) -> String {
    let (width, height) = (f64::from(columns) * ACROSS + 24.0, f64::from(rows) * DOWN + 44.0);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\"><title>millrace demo</title><style>\
         text{{white-space:pre;font:14px 'DejaVu Sans Mono',Menlo,Consolas,monospace;fill:{TEXT}}}\
         .f>*{{animation:{end:.1}s step-end infinite;visibility:hidden}}.f>.z{{visibility:visible}}"
    );
    for (class, rule) in &styles.0 {
        let _ = write!(out, ".{rule}{{{class}}}");
    }
    let percent = |at: f64| format!("{:.2}%", at / end * 100.0);
    // The same times share their frames.
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for one in shown {
        let next = names.len();
        let frames = frames(one, end, percent);
        if let std::collections::btree_map::Entry::Vacant(new) = names.entry(frames) {
            let _ = write!(out, "@keyframes k{next}{{{}}}.f>.k{next}{{animation-name:k{next}}}", new.key());
            new.insert(next);
        }
    }
    out.push_str(
        "@media (prefers-reduced-motion:reduce){.f>*{animation:none!important}}</style>\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#1d2026\"/>\
         <circle cx=\"18\" cy=\"16\" r=\"5\" fill=\"#e88388\"/><circle cx=\"36\" cy=\"16\" r=\"5\" fill=\"#dbab79\"/>\
         <circle cx=\"54\" cy=\"16\" r=\"5\" fill=\"#a8cc8c\"/><g class=\"f\" transform=\"translate(12 32)\">\n",
    );
    for one in shown {
        let name = names[&frames(one, end, percent)];
        let last = if one.until >= end { " z" } else { "" };
        // Its look, if it has one, goes on behind the times.
        let _ = writeln!(out, "{}", one.drawn.replacen("class=\"", &format!("class=\"k{name}{last} "), 1));
    }
    out.push_str("</g></svg>\n");
    out
}

fn frames(shown: &Shown, end: f64, percent: impl Fn(f64) -> String) -> String {
    let mut frames = String::new();
    if shown.from > 0.0 {
        frames.push_str("0%{visibility:hidden}");
    }
    let _ = write!(frames, "{}{{visibility:visible}}", percent(shown.from));
    let after = if shown.until < end { percent(shown.until) } else { "100%".to_owned() };
    let until = if shown.until < end { "hidden" } else { "visible" };
    let _ = write!(frames, "{after}{{visibility:{until}}}");
    if shown.until < end {
        frames.push_str("100%{visibility:hidden}");
    }
    frames
}

/// Rules by what they say, with the names that they got.
#[derive(Default)]
struct Styles(BTreeMap<String, String>);

impl Styles {
    /// Empty for what looks as all text does.
    fn class(&mut self, rule: String) -> String {
        if rule.is_empty() {
            return rule;
        }
        let next = format!("c{}", self.0.len());
        self.0.entry(rule).or_insert(next).clone()
    }
}

/// A row as runs of one look, each an element of its own.
fn line(screen: &vt100::Screen, row: u16, columns: u16, styles: &mut Styles) -> Vec<String> {
    let mut runs: Vec<(u16, u16, Look, String)> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column) else { continue };
        if cell.is_wide_continuation() {
            continue;
        }
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let (look, width) = (Look::of(cell), 1 + u16::from(cell.is_wide()));
        match runs.last_mut() {
            Some((_, wide, last, run)) if *last == look => {
                run.push_str(text);
                *wide += width;
            }
            _ => runs.push((column, width, look, text.to_owned())),
        }
    }
    let top = f64::from(row) * DOWN;
    let mut out = Vec::new();
    for (column, width, look, text) in runs {
        let x = f64::from(column) * ACROSS;
        if let Some(ground) = &look.ground {
            let wide = f64::from(width) * ACROSS;
            out.push(format!(
                "<rect class=\"\" x=\"{x:.1}\" y=\"{top:.0}\" width=\"{wide:.1}\" height=\"{DOWN}\" fill=\"{ground}\"/>"
            ));
        }
        let class = styles.class(look.rule());
        // Words far apart are runs of their own: what changes beside them leaves them as they are.
        for (at, words) in apart(&text) {
            let x = x + at as f64 * ACROSS;
            let long = millrace::text::width(words) as f64 * ACROSS;
            let (y, words) = (top + 13.0, escaped(words));
            out.push(format!(
                "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.0}\" textLength=\"{long:.1}\">{words}</text>"
            ));
        }
    }
    out
}

/// The parts of a run between which there are three blanks or more, with their columns.
fn apart(text: &str) -> Vec<(usize, &str)> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut column = 0;
    loop {
        let blanks = rest.len() - rest.trim_start_matches(' ').len();
        (rest, column) = (&rest[blanks..], column + blanks);
        let end = rest.find("   ").unwrap_or(rest.len());
        let words = rest[..end].trim_end_matches(' ');
        if words.is_empty() {
            return out;
        }
        out.push((column, words));
        column += millrace::text::width(&rest[..end]);
        rest = &rest[end..];
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[derive(Clone, PartialEq)]
struct Look {
    ink: Option<String>,
    ground: Option<String>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
}

impl Look {
    fn of(cell: &vt100::Cell) -> Self {
        let (mut ink, mut ground) = (colour(cell.fgcolor()), colour(cell.bgcolor()));
        if cell.inverse() {
            (ink, ground) = (Some(ground.unwrap_or_else(|| GROUND.into())), Some(ink.unwrap_or_else(|| TEXT.into())));
        }
        let (bold, dim, italic, underline) = (cell.bold(), cell.dim(), cell.italic(), cell.underline());
        Self { ink, ground, bold, dim, italic, underline }
    }

    fn rule(&self) -> String {
        let mut rule = String::new();
        if let Some(ink) = &self.ink {
            let _ = write!(rule, "fill:{ink};");
        }
        for (on, say) in [
            (self.bold, "font-weight:700;"),
            (self.dim, "opacity:.62;"),
            (self.italic, "font-style:italic;"),
            (self.underline, "text-decoration:underline;"),
        ] {
            rule.push_str(if on { say } else { "" });
        }
        rule
    }
}

fn colour(colour: vt100::Color) -> Option<String> {
    match colour {
        vt100::Color::Default => None,
        vt100::Color::Rgb(r, g, b) => Some(format!("#{r:02x}{g:02x}{b:02x}")),
        vt100::Color::Idx(n @ 0..16) => Some(SIXTEEN[usize::from(n)].to_owned()),
        vt100::Color::Idx(n @ 16..232) => {
            let level = |v: u8| if v == 0 { 0 } else { 55 + 40 * v };
            let n = n - 16;
            Some(format!("#{:02x}{:02x}{:02x}", level(n / 36), level(n / 6 % 6), level(n % 6)))
        }
        vt100::Color::Idx(n) => {
            let grey = 8 + 10 * (n - 232);
            Some(format!("#{grey:02x}{grey:02x}{grey:02x}"))
        }
    }
}
