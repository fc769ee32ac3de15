//! The front end's state, pure: [`State`], [`Event`], [`Effect`], [`Command`], `update`.
//!
//! # Invariants
//! - Plain data in, plain data out; time comes with the event's stamp. Any session can be replayed.
//! - An approval names the call and the hash of what was on the screen, to its end, for at least 350 ms; a repeated
//!   key, a paste and the mouse never approve.
//! - Nothing but the reader moves a reader who has scrolled; no row moves under the cursor.
//! - Text in the state is raw; the view sanitises what it draws.
//! - An answer that comes too late (a stale id) is ignored by name.
//!
//! # Does not
//! Read a clock, a file or the environment; know the terminal, the engine or the store.

mod blocks;
mod branches;
mod calls;
mod catalogs;
mod command;
mod compacting;
mod compare;
mod completion;
mod composer;
mod effect;
mod elsewhere;
mod event;
mod following;
mod hints;
mod inquiries;
mod key;
mod keymap;
mod layers;
mod layout;
mod line;
mod marking;
mod model;
mod mouse;
mod overlay;
mod panel;
mod perform;
mod reading;
mod replies;
mod roles;
mod running;
mod sending;
mod start;
mod state;
mod status;
mod stopping;
mod stream;
mod toolbox;
mod transcript;
mod update;
mod usage;
mod vi;
mod watching;

#[cfg(test)]
mod tests;

pub use blocks::{BlockAt, Source, Spot};
pub use branches::{Branches, Siblings};
pub use calls::*;
pub use catalogs::Catalogs;
pub use command::*;
pub use compare::*;
pub use completion::{Completion, CompletionKind, CompletionRow, RowOf};
pub use composer::*;
pub use effect::*;
pub use elsewhere::Elsewhere;
pub use event::*;
pub use following::FollowStep;
pub use hints::*;
pub use inquiries::{Asked, SampleStage};
pub use key::*;
pub use keymap::*;
pub use layers::*;
pub use layout::*;
pub use line::*;
pub use marking::{Marked, TextPoint};
pub use model::{Switched, Then};
pub use overlay::*;
pub use panel::*;
pub use roles::Casting;
pub use running::{Ran, Run};
pub use start::*;
pub use state::*;
pub use status::*;
pub use toolbox::*;
pub use transcript::*;
pub use update::update;
pub use usage::*;
pub use vi::{Pending, Vi};
pub use watching::{Attached, Resource, Stale};
