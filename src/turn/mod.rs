//! The router loop as a pure machine: fragments become calls, calls become outcomes, outcomes the next request.
//!
//! [`Turn::apply`] takes one stamped [`Event`] and answers with the [`Step`]s to be taken, in order. Whoever drives it
//! (the engine, a test, a replay) performs the steps and feeds back what came of them.
//!
//! # Invariants
//! - No IO, no clock, no runtime, no randomness: the same events give the same steps.
//! - Each call of a turn ends exactly once, and history holds exactly one tool message for it, in call order.
//! - A call leaves (`Step::Call`) only closed, valid, pinned, and allowed or approved for exactly its hash.
//! - Late events (of an earlier round, attempt or an ended call) are ignored by name.
//!
//! # Does not
//! Know HTTP, MCP, SQLite or the screen.

pub mod arguments;
pub mod assembler;
mod call;
mod decide;
mod event;
mod machine;
mod plan;
mod recorder;
mod round;
pub mod scanner;
mod sent;
mod settle;
mod slots;

pub use arguments::Arguments;
pub use assembler::{AssembledCall, Assembler, AssemblerLimits, CallStatus, Declared, Piece, StreamEnd};
pub use event::{Adapted, Event, ResponseEnd, Step, Timer};
pub use machine::Turn;
pub use plan::Plan;
pub use sent::{WORTH_A_REFERENCE, refer};
