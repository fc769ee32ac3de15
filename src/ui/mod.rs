//! The view: `State` in, frame out.
mod figures;
mod ink;
mod markdown;
mod theme;

pub use theme::{Glyphs, Palette, Theme};
