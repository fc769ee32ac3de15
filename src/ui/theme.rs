//! Themes: inks to terminal styles, and the glyphs to draw with.
//!
//! The default themes use the sixteen colours of the terminal, so that they fit whatever its user has chosen.

use std::collections::HashMap;
use std::sync::Arc;

use ratatui::style::{Color, Modifier, Style};

use super::ink::{Ink, Tint};

/// Where the colours come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Palette {
    Dark,
    Light,
    /// Readable on any ground: by weight and by inversion rather than by shades.
    HighContrast,
    /// Nothing but the sixteen colours, which the terminal's user has chosen.
    Ansi,
    /// No colour at all; bold, underline and dim stay.
    None,
    /// A person's own inks over one of the others.
    Own(Arc<OwnInks>),
}

/// A person's own colours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnInks {
    pub base: Palette,
    looks: HashMap<Ink, Look>,
    selection: Option<Look>,
}

/// How one ink is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    pub foreground: Option<Shade>,
    pub background: Option<Shade>,
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    pub reverse: bool,
}

/// A colour of the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shade {
    /// One of its 256; the first sixteen are its user's own.
    Indexed(u8),
    Rgb(u8, u8, u8),
}

/// How the screen is drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Theme {
    pub palette: Palette,
    pub glyphs: &'static Glyphs,
}

/// The signs of the screen. All are one column wide and unambiguous in width where they carry a state.
#[derive(Debug, PartialEq, Eq)]
pub struct Glyphs {
    pub gutter: &'static str,
    pub rule: &'static str,
    pub divider: &'static str,
    pub tee_down: &'static str,
    pub tee_up: &'static str,
    pub caret: &'static str,
    pub full: &'static str,
    pub empty: &'static str,
    pub arguments: &'static str,
    pub queued: &'static str,
    pub asks: &'static str,
    pub running: &'static str,
    pub done: &'static str,
    pub failed: &'static str,
    pub cancelled: &'static str,
    pub folded: &'static str,
    pub open: &'static str,
    pub selected: &'static str,
    pub down: &'static str,
    pub up_down: &'static str,
    pub up: &'static str,
    pub left_right: &'static str,
    pub ellipsis: &'static str,
    pub bullet: &'static str,
    /// Between parts of one line.
    pub dot: &'static str,
    pub quote: &'static str,
    pub mark_open: &'static str,
    pub mark_close: &'static str,
    pub answer_ends: &'static str,
    pub branch_open: &'static str,
    pub branch_close: &'static str,
}

static UNICODE: Glyphs = Glyphs {
    gutter: "┃",
    rule: "─",
    divider: "│",
    tee_down: "┬",
    tee_up: "┴",
    caret: "▌",
    full: "▓",
    empty: "░",
    arguments: "~",
    queued: "◷",
    asks: "?",
    running: "◌",
    done: "✓",
    failed: "✗",
    cancelled: "⊘",
    folded: "▸",
    open: "▾",
    selected: "▸",
    down: "↓",
    up_down: "↑↓",
    up: "↑",
    left_right: "←→",
    ellipsis: "…",
    bullet: "•",
    dot: "·",
    quote: "│",
    mark_open: "«",
    mark_close: "»",
    answer_ends: "┊",
    branch_open: "‹",
    branch_close: "›",
};

static ASCII: Glyphs = Glyphs {
    gutter: "|",
    rule: "-",
    divider: "|",
    tee_down: "+",
    tee_up: "+",
    caret: "_",
    full: "#",
    empty: ".",
    arguments: "~",
    queued: ".",
    asks: "?",
    running: "*",
    done: "+",
    failed: "x",
    cancelled: "-",
    folded: ">",
    open: "v",
    selected: ">",
    down: "v",
    up_down: "up/down",
    up: "up",
    left_right: "left/right",
    ellipsis: "~",
    bullet: "-",
    dot: "-",
    quote: "|",
    mark_open: "[",
    mark_close: "]",
    answer_ends: ":",
    branch_open: "<",
    branch_close: ">",
};

impl Default for Theme {
    fn default() -> Self {
        Self::dark()
    }
}

impl Theme {
    #[must_use]
    pub fn dark() -> Self {
        Self { palette: Palette::Dark, glyphs: &UNICODE }
    }

    #[must_use]
    pub fn light() -> Self {
        Self { palette: Palette::Light, glyphs: &UNICODE }
    }

    #[must_use]
    pub fn high_contrast() -> Self {
        Self { palette: Palette::HighContrast, glyphs: &UNICODE }
    }

    #[must_use]
    pub fn ansi() -> Self {
        Self { palette: Palette::Ansi, glyphs: &UNICODE }
    }

    /// A person's own looks over this theme, by the names in [`INKS`] and `selection`; other names are left alone.
    #[must_use]
    pub fn own<'a>(self, looks: impl IntoIterator<Item = (&'a str, Look)>) -> Self {
        let mut own = OwnInks { base: self.palette, looks: HashMap::new(), selection: None };
        for (name, look) in looks {
            match INKS.iter().find(|(known, _)| *known == name) {
                Some((_, ink)) => drop(own.looks.insert(*ink, look)),
                None if name == "selection" => own.selection = Some(look),
                None => {}
            }
        }
        Self { palette: Palette::Own(Arc::new(own)), glyphs: self.glyphs }
    }

    /// For `NO_COLOR`, `TERM=dumb` and `--color never`.
    #[must_use]
    pub fn plain() -> Self {
        Self { palette: Palette::None, glyphs: &UNICODE }
    }

    /// The same with glyphs of ASCII alone, for terminals that lack the others.
    #[must_use]
    pub fn ascii(mut self) -> Self {
        self.glyphs = &ASCII;
        self
    }

    pub(super) fn style(&self, tint: Tint) -> Style {
        let mut style = ink_style(&self.palette, tint.ink);
        for (on, modifier) in [
            (tint.bold, Modifier::BOLD),
            (tint.italic, Modifier::ITALIC),
            (tint.underline, Modifier::UNDERLINED),
            (tint.strike, Modifier::CROSSED_OUT),
        ] {
            if on {
                style = style.add_modifier(modifier);
            }
        }
        style
    }

    /// Laid over text that the mouse has marked.
    pub(super) fn marked(&self) -> Style {
        marking(&self.palette)
    }

    /// Laid over the whole row that is chosen.
    pub(super) fn chosen(&self) -> Style {
        selection(&self.palette)
    }
}

/// Inks by the names that a theme's file gives them.
pub const INKS: &[(&str, Ink)] = &[
    ("text", Ink::Text),
    ("dim", Ink::Dim),
    ("accent", Ink::Accent),
    ("second", Ink::Second),
    ("good", Ink::Good),
    ("bad", Ink::Bad),
    ("warn", Ink::Warn),
    ("code", Ink::Code),
    ("link", Ink::Link),
    ("keyword", Ink::Keyword),
    ("literal", Ink::Literal),
    ("number", Ink::Number),
    ("comment", Ink::Comment),
    ("function", Ink::Function),
    ("type", Ink::Type),
    ("match", Ink::Match),
];

fn ink_style(palette: &Palette, ink: Ink) -> Style {
    match palette {
        Palette::Dark | Palette::Ansi => dark(ink),
        Palette::Light => light(ink),
        Palette::HighContrast => high_contrast(ink),
        Palette::None => none(ink),
        Palette::Own(own) => match own.looks.get(&ink) {
            Some(look) => look.style(),
            None => ink_style(&own.base, ink),
        },
    }
}

fn selection(palette: &Palette) -> Style {
    match palette {
        Palette::Dark => Style::new().bg(Color::Indexed(237)),
        Palette::Light => Style::new().bg(Color::Indexed(254)),
        Palette::Ansi | Palette::HighContrast => Style::new().add_modifier(Modifier::REVERSED),
        Palette::None => Style::new().add_modifier(Modifier::BOLD),
        Palette::Own(own) => own.selection.map_or_else(|| selection(&own.base), Look::style),
    }
}

/// Stronger than what is chosen: it is seen cell by cell.
fn marking(palette: &Palette) -> Style {
    match palette {
        Palette::Dark => Style::new().bg(Color::Indexed(24)),
        Palette::Light => Style::new().bg(Color::Indexed(153)),
        Palette::Ansi | Palette::HighContrast | Palette::None => Style::new().add_modifier(Modifier::REVERSED),
        Palette::Own(own) => own.selection.map_or_else(|| marking(&own.base), Look::style),
    }
}

impl Look {
    fn style(self) -> Style {
        let colour = |shade: Shade| match shade {
            Shade::Indexed(n) => Color::Indexed(n),
            Shade::Rgb(r, g, b) => Color::Rgb(r, g, b),
        };
        let mut style = Style { fg: self.foreground.map(colour), bg: self.background.map(colour), ..Style::new() };
        for (on, modifier) in [
            (self.bold, Modifier::BOLD),
            (self.dim, Modifier::DIM),
            (self.italic, Modifier::ITALIC),
            (self.underline, Modifier::UNDERLINED),
            (self.reverse, Modifier::REVERSED),
        ] {
            if on {
                style = style.add_modifier(modifier);
            }
        }
        style
    }
}

/// No shade between ground and text, since the ground is not known to be dark.
fn high_contrast(ink: Ink) -> Style {
    let style = Style::new();
    match ink {
        Ink::Text | Ink::Dim | Ink::Comment | Ink::Code | Ink::Literal | Ink::Number | Ink::Type => style,
        Ink::Accent | Ink::Second | Ink::Good | Ink::Keyword | Ink::Function => style.add_modifier(Modifier::BOLD),
        Ink::Link => style.add_modifier(Modifier::UNDERLINED),
        Ink::Bad => style.fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD),
        Ink::Warn => style.fg(Color::Black).bg(Color::Yellow).add_modifier(Modifier::BOLD),
        Ink::Match => style.add_modifier(Modifier::REVERSED),
    }
}

fn dark(ink: Ink) -> Style {
    let style = Style::new();
    match ink {
        Ink::Text => style,
        Ink::Dim | Ink::Comment => style.fg(Color::DarkGray),
        Ink::Accent | Ink::Function => style.fg(Color::Cyan),
        Ink::Second | Ink::Keyword => style.fg(Color::Magenta),
        Ink::Good | Ink::Literal => style.fg(Color::Green),
        Ink::Bad => style.fg(Color::Red),
        Ink::Warn | Ink::Number => style.fg(Color::Yellow),
        Ink::Code | Ink::Type => style.fg(Color::LightBlue),
        Ink::Link => style.fg(Color::LightBlue).add_modifier(Modifier::UNDERLINED),
        Ink::Match => style.fg(Color::Black).bg(Color::Yellow),
    }
}

fn light(ink: Ink) -> Style {
    let style = Style::new();
    match ink {
        Ink::Text => style,
        Ink::Dim | Ink::Comment => style.fg(Color::DarkGray),
        Ink::Accent | Ink::Function => style.fg(Color::Blue),
        Ink::Second | Ink::Keyword => style.fg(Color::Magenta),
        Ink::Good | Ink::Literal => style.fg(Color::Green),
        Ink::Bad | Ink::Number => style.fg(Color::Red),
        // Yellow cannot be read on white.
        Ink::Warn => style.fg(Color::Red),
        Ink::Code | Ink::Type => style.fg(Color::Blue),
        Ink::Link => style.fg(Color::Blue).add_modifier(Modifier::UNDERLINED),
        Ink::Match => style.fg(Color::Black).bg(Color::Yellow),
    }
}

fn none(ink: Ink) -> Style {
    let style = Style::new();
    match ink {
        Ink::Dim | Ink::Comment => style.add_modifier(Modifier::DIM),
        Ink::Accent | Ink::Warn | Ink::Bad => style.add_modifier(Modifier::BOLD),
        Ink::Link => style.add_modifier(Modifier::UNDERLINED),
        Ink::Match => style.add_modifier(Modifier::REVERSED),
        Ink::Text
        | Ink::Second
        | Ink::Good
        | Ink::Code
        | Ink::Keyword
        | Ink::Literal
        | Ink::Number
        | Ink::Function
        | Ink::Type => style,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ink_has_a_name() {
        let inks: std::collections::HashSet<Ink> = INKS.iter().map(|(_, ink)| *ink).collect();
        assert_eq!(inks.len(), INKS.len());
        assert_eq!(INKS.len(), Ink::Match as usize + 1, "Match is the last");
    }

    #[test]
    fn own_looks_lie_over_their_base() {
        let red = Look { foreground: Some(Shade::Rgb(255, 0, 0)), bold: true, ..Look::default() };
        let theme = Theme::light().own([("accent", red), ("selection", Look { reverse: true, ..Look::default() })]);
        assert_eq!(theme.style(Tint::of(Ink::Accent)).fg, Some(Color::Rgb(255, 0, 0)));
        assert_eq!(theme.style(Tint::of(Ink::Link)), Theme::light().style(Tint::of(Ink::Link)));
        assert!(theme.chosen().add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn no_colour_is_needed_to_see_what_is_chosen_or_wrong() {
        for theme in [Theme::plain(), Theme::high_contrast(), Theme::ansi()] {
            assert_ne!(theme.chosen(), Style::new());
            assert_ne!(theme.style(Tint::of(Ink::Bad)), theme.style(Tint::of(Ink::Text)), "{theme:?}");
        }
    }
}
