//! Which key does what, where.

use std::collections::HashMap;

use super::command::Command;
use super::key::Key;

/// Where a key is looked up, before `Global`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Global,
    Composer,
    Transcript,
    Panel,
    Review,
}

#[derive(Clone, Debug, Default)]
pub struct Keymap {
    bound: HashMap<(Place, Key), Command>,
}
