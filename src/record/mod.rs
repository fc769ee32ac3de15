//! Recordings of sessions, and their replay through the engine's ports.
//!
//! A recording holds both wires and what a person ordered, line by line as JSON ([`line`]). [`Recorder`] hears them as
//! they pass and writes them on a thread of its own; [`Recording`] reads them back; [`Replay`] lets an engine live
//! through them once more.
//!
//! # Invariants
//! - Recording never holds up a model, a call or a person: what cannot be kept is left out, and said.
//! - Known secrets are in no line, in no encoding, and headers of requests are never heard.
//! - A replay reaches neither a network nor a server nor the store, and no call of a recording runs. It is the live
//!   engine, decoder and shaping of results; only the bytes come from the file.
//! - A recording is hostile input: it is bounded by `limits.import`, and errors name its line.
//!
//! # Does not
//! Draw or print; know which secrets there are (the caller names them).

mod conductor;
mod differs;
mod line;
mod model;
mod ports;
mod read;
mod replay;
mod rules;
mod script;
mod scrub;
mod servers;
mod writer;

pub use conductor::Speed;
pub use line::Header;
pub use ports::{Scope, overheard};
pub use read::Recording;
pub use replay::{Replay, ReplayOptions};
pub use writer::Recorder;
