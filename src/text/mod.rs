//! Text from outside, made safe to draw, measured and wrapped.
//!
//! # Invariants
//! - A [`SafeText`] holds no control character but `\n`, no escape sequence or piece of one, no character that
//!   reorders, hides or carries unseen text. It is made by [`sanitize`] and its kin alone; cutting one keeps it safe.
//! - Width is counted by grapheme cluster, as ratatui's buffer counts it. [`wrap`] is the one wrapping: layout, scroll
//!   positions and search all stand on it.
//! - All is linear in the text and pure.
//!
//! # Does not
//! Style anything, keep colours of escape sequences, or reorder right-to-left text.

mod address;
mod blocks;
mod hidden;
mod safe;
mod terminal;
mod width;
mod wrap;

pub use address::{Address, addresses};
pub use blocks::{Block, BlockKind, Splitter, blocks, fence_closes, fence_opens};
pub use hidden::{hidden, strip_hidden};
pub use safe::{SafeText, sanitize, sanitize_counted, visible};
pub use width::{cut, cut_middle, cut_start, graphemes, width};
pub use wrap::{wrap, wrap_hanging};

#[cfg(test)]
mod tests;
