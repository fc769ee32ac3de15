//! The user's configuration: TOML to `Config`, profiles, keymap, import of other clients' files.
