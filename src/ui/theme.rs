//! Themes: inks to terminal styles, and the glyphs to draw with.
//!
//! The default themes use the sixteen colours of the terminal, so that they fit whatever its user has chosen.

use ratatui::style::{Color, Modifier, Style};

use super::ink::{Ink, Tint};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Palette {
    Dark,
    Light,
    /// No colour at all; bold, underline and dim stay.
    None,
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
    pub ellipsis: &'static str,
    pub bullet: &'static str,
    pub quote: &'static str,
    pub mark_open: &'static str,
    pub mark_close: &'static str,
    pub answer_ends: &'static str,
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
    ellipsis: "…",
    bullet: "•",
    quote: "│",
    mark_open: "«",
    mark_close: "»",
    answer_ends: "┊",
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
    ellipsis: "~",
    bullet: "-",
    quote: "|",
    mark_open: "[",
    mark_close: "]",
    answer_ends: ":",
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
        let mut style = match self.palette {
            Palette::Dark => dark(tint.ink),
            Palette::Light => light(tint.ink),
            Palette::None => none(tint.ink),
        };
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

    /// Laid over the whole row that is chosen.
    pub(super) fn chosen(&self) -> Style {
        match self.palette {
            Palette::Dark => Style::new().bg(Color::Indexed(237)),
            Palette::Light => Style::new().bg(Color::Indexed(254)),
            Palette::None => Style::new().add_modifier(Modifier::BOLD),
        }
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
