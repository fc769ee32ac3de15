//! The whole of a configuration file, as values.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::chat::{Dispatch, Limits, Policy};

use super::{Keymap, Profile};

/// What `config.toml` says. `Config::default()` is what holds where nothing is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file it was read from; None where there is none.
    pub file: Option<PathBuf>,
    pub profile: Option<String>,
    pub model: Option<String>,
    pub temperature: Option<f64>,
    pub system: Option<String>,
    pub role: Option<String>,
    pub dispatch: Option<Dispatch>,
    pub profiles: BTreeMap<String, Profile>,

    pub policy: PolicySettings,
    pub limits: Limits,
    pub ui: UiSettings,
    pub keymap: Keymap,
    /// System prompts by name.
    pub roles: BTreeMap<String, String>,
    pub store: StoreSettings,
}

/// `[policy]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    pub default: Policy,
    /// What happens to an allowed call on another server after untrusted content came in; `Ask` or `Allow`.
    pub after_untrusted: Policy,
    /// Globs `server/tool`. Deny wins.
    pub allow: Vec<String>,
    pub deny: Vec<String>,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self { default: Policy::Ask, after_untrusted: Policy::Ask, allow: Vec::new(), deny: Vec::new() }
    }
}

/// `[ui]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UiSettings {
    /// `auto`, `dark`, `light` or a theme's name.
    pub theme: String,
    pub glyphs: Glyphs,
    /// Spinners and moving bars.
    pub motion: bool,
    pub screen: Screen,
    pub mouse: bool,
    /// Whether the tool panel is open where there is room.
    pub panel: bool,
    /// Whether reasoning is shown unfolded.
    pub reasoning: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Glyphs {
    #[default]
    Auto,
    Unicode,
    Ascii,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Screen {
    #[default]
    Full,
    Inline,
    Plain,
}

impl Default for UiSettings {
    fn default() -> Self {
        Self {
            theme: "auto".into(),
            glyphs: Glyphs::Auto,
            motion: true,
            screen: Screen::Full,
            mouse: true,
            panel: true,
            reasoning: false,
        }
    }
}

/// `[store]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSettings {
    /// Whether conversations are kept.
    pub save: bool,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { save: true }
    }
}
