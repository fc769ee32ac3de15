//! A theme of the person's own: `themes/NAME.toml` beside the configuration.
//!
//! ```toml
//! base = "dark"
//! [inks]
//! accent = "bold #5fafff"
//! match = "black on yellow"
//! ```

use std::path::{Path, PathBuf};

use super::file::{ConfigError, read_text};
use super::node::{self, Node};
use super::problem::{Findings, Severity};
use super::spec;

/// What a theme's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThemeFile {
    /// `dark`, `light`, `high-contrast` or `ansi`: what it does not name is as there.
    pub base: String,
    /// By ink, in the order of the file.
    pub inks: Vec<(String, Style)>,
}

/// `bold #5fafff on black`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    pub foreground: Option<Colour>,
    pub background: Option<Colour>,
    pub bold: bool,
    pub dim: bool,
    pub italic: bool,
    pub underline: bool,
    pub reverse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Of the terminal's 256.
    Indexed(u8),
    Rgb(u8, u8, u8),
}

/// The themes that need no file.
pub const BUILT_IN_THEMES: &[&str] = &["auto", "dark", "light", "high-contrast", "ansi"];

const NAMES: &[&str] = &["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];

/// The file of a theme's name; None where the name could lead elsewhere.
#[must_use]
pub fn theme_path(folder: &Path, name: &str) -> Option<PathBuf> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    (!name.is_empty() && name.len() <= 64 && name.bytes().all(fine)).then(|| folder.join(format!("{name}.toml")))
}

/// The names of the themes that stand in a folder.
#[must_use]
pub fn own_themes(folder: &Path) -> Vec<String> {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.file_name().to_str()?.strip_suffix(".toml")?.to_owned()))
        .filter(|name| theme_path(folder, name).is_some() && !BUILT_IN_THEMES.contains(&name.as_str()))
        .collect();
    names.sort();
    names.truncate(100);
    names
}

impl ThemeFile {
    /// # Errors
    /// Where the file cannot be read, or says what no theme says.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path).map_err(|error| ConfigError::Io { path: path.to_path_buf(), error })?;
        Self::parse(path, &text)
    }

    /// # Errors
    /// With everything that is wrong with the text.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut found = Findings::new(path.to_path_buf(), text);
        let tree = Node::toml(&mut found);
        let tree = node::check(tree, spec::THEME, "", &mut found);
        let mut inks = Vec::new();
        for (name, node) in tree.get("inks").map(Node::entries).unwrap_or_default() {
            let Some(text) = tree.get("inks").and_then(|inks| inks.text(name)) else { continue };
            match Style::parse(&text) {
                Ok(style) => inks.push((name.clone(), style)),
                Err(word) => {
                    let shown: String = word.chars().filter(|c| !c.is_control()).take(40).collect();
                    found.error(
                        &node.span,
                        false,
                        format!("`{shown}` is neither a colour nor a weight"),
                        "as in \"bold #5fafff on black\", \"bright-cyan\", \"141 underline\"",
                    );
                }
            }
        }
        let base = tree.text("base").unwrap_or_else(|| "dark".into());
        let mut problems = found.problems;
        problems.sort_by_key(|p| (p.line, p.column));
        if problems.iter().any(|p| p.severity == Severity::Error) {
            return Err(ConfigError::Bad { problems });
        }
        Ok(Self { base, inks })
    }
}

impl Style {
    /// Words in any order; what follows `on` is the ground. Err: the word that means nothing.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut style = Self::default();
        let mut ground = false;
        for word in text.split_whitespace() {
            match word {
                "on" => ground = true,
                "bold" => style.bold = true,
                "dim" => style.dim = true,
                "italic" => style.italic = true,
                "underline" => style.underline = true,
                "reverse" => style.reverse = true,
                "default" => {}
                _ => {
                    let colour = Colour::parse(word).ok_or_else(|| word.to_owned())?;
                    *(if ground { &mut style.background } else { &mut style.foreground }) = Some(colour);
                }
            }
        }
        Ok(style)
    }
}

impl Colour {
    fn parse(word: &str) -> Option<Self> {
        if let Some(hex) = word.strip_prefix('#') {
            let all = hex.len() == 6 && hex.bytes().all(|b| b.is_ascii_hexdigit());
            let part = |at: usize| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
            return if all { Some(Self::Rgb(part(0)?, part(2)?, part(4)?)) } else { None };
        }
        if let Ok(index) = word.parse::<u8>() {
            return Some(Self::Indexed(index));
        }
        let (name, bright) = match word.strip_prefix("bright-") {
            Some(name) => (name, 8),
            None => (word, 0),
        };
        let at = NAMES.iter().position(|known| *known == name)?;
        Some(Self::Indexed(u8::try_from(at).ok()? + bright))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_theme_is_read() {
        let text = "base = \"light\"\n[inks]\naccent = \"bold #5fafff\"\nmatch = \"black on bright-yellow\"\n";
        let theme = ThemeFile::parse("t.toml".as_ref(), text).unwrap();
        assert_eq!(theme.base, "light");
        let bold = Style { foreground: Some(Colour::Rgb(0x5f, 0xaf, 0xff)), bold: true, ..Style::default() };
        assert_eq!(theme.inks[0], ("accent".into(), bold));
        assert_eq!(theme.inks[1].1.background, Some(Colour::Indexed(11)));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let told = |text: &str| ThemeFile::parse("t.toml".as_ref(), text).unwrap_err().to_string();
        let error = told("[inks]\naccent = \"blod red\"\n");
        assert!(error.contains("`blod`") && error.contains("t.toml:2"), "{error}");
        assert!(told("[inks]\nacent = \"red\"\n").contains("accent"), "the nearest name is told");
        assert!(told("base = \"dusk\"\n").contains("high-contrast"));
    }

    #[test]
    fn a_name_leads_nowhere_else() {
        let folder = Path::new("/c/themes");
        assert_eq!(theme_path(folder, "solar-1").unwrap(), Path::new("/c/themes/solar-1.toml"));
        for name in ["", "../x", "a/b", ".hidden", "a.b"] {
            assert_eq!(theme_path(folder, name), None, "{name}");
        }
    }
}
