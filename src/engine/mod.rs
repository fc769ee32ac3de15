//! The background task that drives turns over its ports.
//!
//! It takes [`Order`](crate::chat::Order)s, holds the registry of tools and the turns under way, performs what
//! [`crate::turn::Turn`] asks for, and emits [`TurnEvent`](crate::chat::TurnEvent)s.
//!
//! # Invariants
//! - One task owns all state; it never awaits anything but its next message. Waiting happens in tasks of their own,
//!   which report back as messages.
//! - It never waits for its reader ([`outbox`]). Only the reading of a model does, where the reader asked for it.
//! - Dropping a turn drops its response and its timers; its calls have ended by then.
//!
//! # Does not
//! Decide about calls (`turn` and `tools` do), draw, or know which transport, provider or database is behind a port.

mod builtin;
mod compacting;
mod desk;
pub mod disk;
mod lane;
pub mod live;
mod memory;
mod one_call;
mod opening;
mod outbox;
mod outcome;
pub mod port;
mod run;
mod sampling;
mod titling;
mod turns;

pub use outbox::{Inbox, Outbox};
pub use run::{Engine, EngineConfig, Handle, Orders, Ports};
pub use titling::{TitleModel, Titles};
