//! How the screen is drawn: colours and glyphs, by the options, the configuration and what the terminal says of itself.

use std::path::PathBuf;

use crate::chat::{Fault, FaultKind};
use crate::config::{Colour, Glyphs, Links, Notify, Resolved, ThemeFile, ThemeStyle, theme_path};
use crate::tui::{Calling, Themes};
use crate::ui::{Look, Shade, Theme};

use super::session::{ColorWord, SessionArgs};
use super::setup::Setup;

/// Finds themes by name, now and whenever a person chooses another.
#[derive(Clone, Debug)]
pub(super) struct Looks {
    colour: bool,
    /// 24-bit colours are drawn as they are; else the nearest of the 256.
    deep: bool,
    /// By `COLORFGBG`, until the terminal has answered.
    light: bool,
    theme: String,
    glyphs: Glyphs,
    plain_terminal: bool,
    links: bool,
    images: bool,
    notify: Calling,
    folder: PathBuf,
}

impl Looks {
    pub(super) fn new(args: &SessionArgs, setup: &Setup, resolved: &Resolved) -> Self {
        let env = |name: &str| setup.env.get(name).map(String::as_str).filter(|v| !v.is_empty());
        let colour = match args.output.color {
            Some(ColorWord::Always) => true,
            Some(ColorWord::Never) => false,
            Some(ColorWord::Auto) | None => env("NO_COLOR").is_none() && env("TERM") != Some("dumb"),
        };
        let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(env)
            .is_none_or(|v| v.to_ascii_lowercase().replace('-', "").contains("utf8"));
        Self {
            colour: colour && !args.output.plain,
            deep: matches!(env("COLORTERM"), Some("truecolor" | "24bit")),
            light: matches!(env("COLORFGBG").and_then(|v| v.rsplit(';').next()), Some("7" | "15")),
            theme: resolved.ui.theme.clone(),
            glyphs: resolved.ui.glyphs,
            plain_terminal: !utf8 || env("TERM") == Some("linux"),
            links: match resolved.ui.links {
                Links::On => true,
                Links::Off => false,
                Links::Auto => takes_links(env),
            },
            images: resolved.ui.images && draws_pictures(env),
            notify: match resolved.ui.notify {
                Notify::Auto => shows_notifications(env),
                Notify::Osc9 => Calling::Osc9,
                Notify::Osc777 => Calling::Osc777,
                Notify::Osc99 => Calling::Osc99,
                Notify::Bell => Calling::Bell,
                Notify::Off => Calling::Off,
            },
            folder: setup.paths.config.join("themes"),
        }
    }

    /// Whether addresses become links of the terminal.
    pub(super) fn links(&self) -> bool {
        self.links
    }

    /// Whether the terminal draws pictures, and is to.
    pub(super) fn images(&self) -> bool {
        self.images
    }

    /// How a person is called who looks elsewhere.
    pub(super) fn notify(&self) -> Calling {
        self.notify
    }

    fn palette(&self, light: Option<bool>) -> Result<Theme, Fault> {
        if !self.colour {
            return Ok(Theme::plain());
        }
        if let Some(theme) = built_in(&self.theme, light.unwrap_or(self.light)) {
            return Ok(theme);
        }
        let name = &self.theme;
        let unknown = |why: String| {
            Fault::new(FaultKind::Config, format!("the theme {name:?} cannot be used: {why}"))
                .hint("/settings lists those that are there.")
        };
        let path = theme_path(&self.folder, name).ok_or_else(|| unknown("that is no name of a theme".into()))?;
        let file = ThemeFile::load(&path).map_err(|error| unknown(error.to_string()))?;
        let base = built_in(&file.base, false).unwrap_or_default();
        Ok(base.own(file.inks.iter().map(|(name, style)| (name.as_str(), look(*style, self.deep)))))
    }
}

impl Themes for Looks {
    fn theme(&self, light: Option<bool>) -> Result<Theme, Fault> {
        let theme = self.palette(light)?;
        Ok(match self.glyphs {
            Glyphs::Ascii => theme.ascii(),
            Glyphs::Auto if self.plain_terminal => theme.ascii(),
            Glyphs::Auto | Glyphs::Unicode => theme,
        })
    }

    fn follows(&self) -> bool {
        self.colour && self.theme == "auto"
    }

    fn choose(&mut self, theme: Option<String>, glyphs: Option<String>) {
        if let Some(theme) = theme {
            self.theme = theme;
        }
        self.glyphs = match glyphs.as_deref() {
            Some("ascii") => Glyphs::Ascii,
            Some("unicode") => Glyphs::Unicode,
            Some(_) => Glyphs::Auto,
            None => self.glyphs,
        };
    }

    fn own(&self) -> Vec<String> {
        crate::config::own_themes(&self.folder)
    }
}

/// Whether a terminal takes OSC 8, by what it says of itself. Most do, or leave it unread; these print it, or are known
/// to hold no links: the console, dumb ones, Emacs's, screen, macOS's own, VTE before 0.50, and Windows' old console.
/// tmux passes links on from 3.4, and leaves them unread before.
fn takes_links<'a>(env: impl Fn(&str) -> Option<&'a str>) -> bool {
    let tmux = env("TMUX").is_some();
    let term = env("TERM").unwrap_or_default();
    let named = !term.is_empty() || cfg!(windows);
    let without = ["linux", "dumb", "eterm", "vt100", "vt220", "cons25"].iter().any(|name| term.starts_with(name))
        || (term.starts_with("screen") && !tmux)
        || env("INSIDE_EMACS").is_some();
    let old_vte = env("VTE_VERSION").and_then(|v| v.parse::<u32>().ok()).is_some_and(|version| version < 5_000);
    let console = cfg!(windows) && env("WT_SESSION").is_none() && env("TERM_PROGRAM").is_none() && term.is_empty();
    named && !without && !console && (tmux || (env("TERM_PROGRAM") != Some("Apple_Terminal") && !old_vte))
}

/// Whether a terminal draws pictures by kitty's protocol with placeholders, by what it says of itself: kitty and Ghostty
/// do. Behind a multiplexer they would need a way through it.
fn draws_pictures<'a>(env: impl Fn(&str) -> Option<&'a str>) -> bool {
    let named = matches!(env("TERM"), Some("xterm-kitty" | "xterm-ghostty"))
        || env("KITTY_WINDOW_ID").is_some()
        || env("TERM_PROGRAM") == Some("ghostty");
    named && !["TMUX", "STY", "ZELLIJ"].iter().any(|name| env(name).is_some())
}

/// How a terminal shows a notification, by what it says of itself. One that is not known gets the form that most know,
/// and the bell; behind a multiplexer what is known of the terminal is known of another.
fn shows_notifications<'a>(env: impl Fn(&str) -> Option<&'a str>) -> Calling {
    let (term, program) = (env("TERM").unwrap_or_default(), env("TERM_PROGRAM").unwrap_or_default());
    if env("TMUX").is_some() {
        return Calling::Either;
    }
    let silent =
        ["linux", "dumb", "eterm", "vt100", "vt220", "cons25", "screen"].iter().any(|name| term.starts_with(name));
    if silent || env("STY").is_some() || env("ZELLIJ").is_some() || env("WT_SESSION").is_some() {
        return Calling::Bell;
    }
    match program {
        "Apple_Terminal" => return Calling::Bell,
        "iTerm.app" | "WezTerm" | "ghostty" => return Calling::Osc9,
        _ => {}
    }
    if term == "xterm-kitty" || env("KITTY_WINDOW_ID").is_some() {
        Calling::Osc99
    } else if term == "xterm-ghostty" {
        Calling::Osc9
    } else if term.starts_with("foot") || term.starts_with("rxvt-unicode") {
        Calling::Osc777
    } else {
        Calling::Either
    }
}

fn built_in(name: &str, light: bool) -> Option<Theme> {
    Some(match name {
        "auto" if light => Theme::light(),
        "auto" | "dark" => Theme::dark(),
        "light" => Theme::light(),
        "high-contrast" => Theme::high_contrast(),
        "ansi" => Theme::ansi(),
        _ => return None,
    })
}

fn look(style: ThemeStyle, deep: bool) -> Look {
    let shade = |colour: Colour| match colour {
        Colour::Indexed(n) => Shade::Indexed(n),
        Colour::Rgb(r, g, b) if deep => Shade::Rgb(r, g, b),
        Colour::Rgb(r, g, b) => Shade::Indexed(nearest(r, g, b)),
    };
    Look {
        foreground: style.foreground.map(shade),
        background: style.background.map(shade),
        bold: style.bold,
        dim: style.dim,
        italic: style.italic,
        underline: style.underline,
        reverse: style.reverse,
    }
}

/// The nearest colour of the 6x6x6 cube or the greys of a terminal with 256.
fn nearest(r: u8, g: u8, b: u8) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let step = |c: u8| (0_u8..6).min_by_key(|at| STEPS[usize::from(*at)].abs_diff(c)).unwrap_or(0);
    let far = |x: u8, y: u8, z: u8| {
        let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
        square(x, r) + square(y, g) + square(z, b)
    };
    let (x, y, z) = (step(r), step(g), step(b));
    let cube = far(STEPS[usize::from(x)], STEPS[usize::from(y)], STEPS[usize::from(z)]);
    let level = |n: u8| 8 + 10 * n;
    let grey = (0_u8..24).min_by_key(|n| far(level(*n), level(*n), level(*n))).unwrap_or(0);
    if far(level(grey), level(grey), level(grey)) < cube { 232 + grey } else { 16 + 36 * x + 6 * y + z }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_colours_become_the_nearest_of_the_256() {
        assert_eq!(nearest(0, 0, 0), 16);
        assert_eq!(nearest(255, 255, 255), 231);
        assert_eq!(nearest(0x5f, 0xaf, 0xff), 75);
        assert_eq!(nearest(128, 128, 128), 244);
    }

    #[test]
    fn links_go_where_they_are_taken() {
        let takes = |set: &[(&str, &'static str)]| {
            takes_links(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        assert!(takes(&[("TERM", "xterm-256color")]) && takes(&[("TERM", "xterm-kitty"), ("VTE_VERSION", "7600")]));
        assert!(takes(&[("TERM", "screen-256color"), ("TMUX", "/tmp/tmux,1,0")]));
        let draws = |set: &[(&str, &'static str)]| {
            draws_pictures(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        assert!(draws(&[("TERM", "xterm-kitty")]) && draws(&[("TERM_PROGRAM", "ghostty")]));
        assert!(!draws(&[("TERM", "xterm-256color")]) && !draws(&[("KITTY_WINDOW_ID", "1"), ("TMUX", "x")]));
        for set in [
            &[("TERM", "linux")][..],
            &[("TERM", "dumb")],
            &[("TERM", "screen")],
            &[("TERM", "xterm-256color"), ("TERM_PROGRAM", "Apple_Terminal")],
            &[("TERM", "xterm-256color"), ("VTE_VERSION", "4601")],
            &[("TERM", "eterm-color"), ("INSIDE_EMACS", "30.1,term")],
        ] {
            assert!(!takes(set), "{set:?}");
        }
    }

    #[test]
    fn a_notification_has_the_form_that_the_terminal_shows() {
        let calling = |set: &[(&str, &'static str)]| {
            shows_notifications(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        for (set, expect) in [
            (&[("TERM", "xterm-kitty")][..], Calling::Osc99),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "iTerm.app")], Calling::Osc9),
            (&[("TERM", "xterm-ghostty")], Calling::Osc9),
            (&[("TERM", "foot")], Calling::Osc777),
            (&[("TERM", "xterm-256color"), ("TERM_PROGRAM", "Apple_Terminal")], Calling::Bell),
            (&[("TERM", "linux")], Calling::Bell),
            (&[("TERM", "screen-256color"), ("STY", "1.pts")], Calling::Bell),
            (&[("TERM", "xterm-kitty"), ("TMUX", "/tmp/x")], Calling::Either),
            (&[("TERM", "xterm-256color")], Calling::Either),
        ] {
            assert_eq!(calling(set), expect, "{set:?}");
        }
    }

    #[test]
    fn a_theme_is_found_by_name_and_a_bad_one_says_why() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("mine.toml"), "base = \"light\"\n[inks]\naccent = \"#5fafff\"\n").unwrap();
        std::fs::write(folder.path().join("bad.toml"), "[inks]\nacent = \"red\"\n").unwrap();
        let looks = |theme: &str| Looks {
            colour: true,
            deep: false,
            light: false,
            theme: theme.into(),
            glyphs: Glyphs::Auto,
            plain_terminal: false,
            links: false,
            images: false,
            notify: Calling::Off,
            folder: folder.path().to_owned(),
        };
        assert_eq!(looks("auto").theme(Some(true)).unwrap(), Theme::light());
        assert_eq!(looks("dark").theme(Some(true)).unwrap(), Theme::dark(), "what was named holds");
        let accent = Look { foreground: Some(Shade::Indexed(75)), ..Look::default() };
        assert_eq!(looks("mine").theme(None).unwrap(), Theme::light().own([("accent", accent)]));
        for (name, why) in [("bad", "acent"), ("none", "none.toml"), ("../up", "no name")] {
            let fault = looks(name).theme(None).unwrap_err();
            assert!(fault.message.contains(why), "{}", fault.message);
        }
        assert_eq!(looks("auto").own(), ["bad", "mine"]);
    }
}
