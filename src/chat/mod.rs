//! The domain's words, shared by every layer: conversations, messages, calls, requests, deltas, events and orders.
//!
//! # Invariants
//! - Plain data only: no IO, no clock, no runtime, no locks. Time comes in as a [`Stamp`].
//! - Text in these types is *raw*: exactly what came from outside. It becomes drawable by `text::sanitize` alone.
//! - Every call in an assistant message has exactly one outcome once its turn has ended.
//!
//! # Does not
//! Know a provider's wire, a database row, or a screen.

mod aside;
mod call;
mod catalog;
mod compaction;
mod content;
mod conversation;
mod delta;
mod disk;
mod event;
mod fault;
mod form;
mod halves;
mod ids;
mod inquiry;
mod journal;
mod limits;
mod log;
mod media;
mod message;
mod order;
mod policy;
mod request;
mod roots;
mod sign_in;
mod timeline;
mod toolset;
mod usage;
mod wiretap;

pub use aside::*;
pub use call::*;
pub use catalog::*;
pub use compaction::*;
pub use content::*;
pub use conversation::*;
pub use delta::*;
pub use disk::*;
pub use event::*;
pub use fault::*;
pub use form::*;
pub use halves::read_json;
pub use ids::*;
pub use inquiry::*;
pub use journal::*;
pub use limits::*;
pub use log::{LogLine, LogSpeaker, LoggingLevel, ServerLog};
pub use media::{Media, MediaKind, from_base64, image_kind, picture_head};
pub use message::*;
pub use order::*;
pub use policy::*;
pub use request::*;
pub use roots::*;
pub use sign_in::*;
pub use timeline::*;
pub use toolset::*;
pub use usage::*;
pub use wiretap::*;
