//! Configuration: TOML to [`Config`], profiles, servers, keymap, limits, secrets, project files, other clients' files,
//! and the rule of which value wins.
//!
//! # Invariants
//! - One table of keys  drives the checks, the JSON Schema and the documented example.
//! - Every problem of a file is reported with its line and column; a secret's value never is.
//! - `resolve` is a function of what it is given: it reads no environment and no file.
//! - A key is bound to the origin it belongs to when it is resolved, and to no other.
//!
//! # Does not
//! Start servers, ask for keys by itself, or talk to anyone.

mod config;
mod keymap;
mod paths;
mod profile;
mod secret;
mod server;

pub use config::{Config, Glyphs, PolicySettings, Screen, StoreSettings, UiSettings};
pub use keymap::{KeyChord, KeyCode, KeySequence, Keymap};
pub use paths::{Paths, PathsError};
pub use profile::{KeySource, Profile};
pub use secret::Secret;
pub use server::{Consent, ServerEntry, Source, Transport};
