//! Configuration: TOML to [`Config`], profiles, servers, keymap, limits, secrets, project files, other clients' files,
//! and the rule of which value wins.
//!
//! # Invariants
//! - One table of keys (`spec`) drives the checks, the JSON Schema and the documented example.
//! - Every problem of a file is reported with its line and column; a secret's value never is.
//! - [`resolve()`] is a function of what it is given: it reads no environment and no file.
//! - A key is bound to the address it belongs to when it is resolved, and to no other.
//!
//! # Does not
//! Start servers, ask for keys by itself, or talk to anyone.

mod address;
mod document;
mod draft;
mod edit;
pub mod editor;
mod endpoint;
pub mod external;
mod file;
pub mod import;
mod key;
mod keymap;
mod limits;
mod node;
mod paths;
mod problem;
mod profile;
pub mod project;
mod provider;
mod resolve;
mod role;
mod saved;
mod secret;
mod server;
mod settings;
mod spec;
mod theme;
mod units;
mod words;

pub use address::OPENAI_BASE_URL;
pub use document::{example, schema};
pub use draft::{
    DraftTransport, ServerDraft, UrlKind, Variables, refused_variables, root, secrets_in_the_open, server_name_ok,
    source_path,
};
pub use edit::{Edit, EditError};
pub use endpoint::{Endpoint, EndpointError};
pub use external::External;
pub use file::{
    Config, ConfigError, Glyphs, Links, Notify, PolicySettings, Screen, StoreSettings, ToolSettings, UiSettings,
};
pub use key::KeyError;
pub use keymap::{KeyChord, KeyCode, KeySequence, Keymap, Meaning, parse as parse_key, show as show_keys};
pub use paths::{Paths, PathsError};
pub use problem::{Problem, Severity, looks_random, looks_secret};
pub use profile::{Auth, KeySource, Profile};
pub use project::{Project, ProjectState};
pub use provider::{Provider, providers};
pub use resolve::{Flags, Given, Origin, Resolved, Setting, resolve};
pub use role::{Role, parse as parse_role, role_path};
pub use saved::{Consents, SavedKeys, Trusted, write_private};
pub use secret::Secret;
pub use server::{Consent, Era, SamplingOffer, ServerEntry, ServerFeatures, SignInSettings, Source, Transport};
pub use settings::{SettingInfo, SettingKind, settings, text_of};
pub use spec::nearest;
pub use theme::{BUILT_IN_THEMES, Colour, Style as ThemeStyle, ThemeFile, own_themes, theme_path};
pub use words::words;

/// Whether a text is a rule over tools: a glob `server/tool`.
pub fn rule_ok(rule: &str) -> Result<(), &'static str> {
    match rule.split_once('/') {
        Some((server, tool)) if !server.is_empty() && !tool.is_empty() => {}
        _ => return Err("it has no server and tool with / between"),
    }
    globset::Glob::new(rule).map(|_| ()).map_err(|_| "its pattern is not complete")
}

/// Bytes as lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// The value of a `[limits]` row as it is written in the file.
#[must_use]
pub fn show_limit(limits: &crate::chat::Limits, name: &str) -> Option<String> {
    limits::show(limits, name)
}
