//! The MCP host: connections to servers, their tools, their calls, their ends.
//!
//! [`Host::start`] gives a server a task of its own that connects, lists, watches, restarts and ends it, and tells of
//! it by [`HostEvent`]s. [`Host::call`] makes one call and hands back a [`CallTicket`].
//!
//! # Invariants
//! - A request that may have reached its server is never sent again, by us or by the SDK.
//! - Every call ends, within the limits, and its [`CallEnd`] tells what is known about whether it ran.
//! - No process of a server that stays in its group outlives its connection.
//! - One bad tool costs one tool: lists and results are decoded leniently, by their readers.
//! - What a server writes is kept raw and bounded; nothing of it reaches a terminal from here.
//!
//! # Does not
//! Decide what may be called, pin definitions, shape results for a model, or keep anything but the cache of listings.

mod bare;
mod cache;
mod call;
mod child;
mod connection;
mod event;
mod failure;
mod handler;
mod host;
mod http;
mod inquiry;
mod listen;
mod log;
mod oauth;
mod open;
mod query;
mod report;
mod rounds;
mod server;
mod stdio;
mod subscribe;
mod tap;
mod task;
mod ticket;
pub mod watchdog;
mod watches;

pub use call::answered;
#[cfg(unix)]
pub(crate) use child::signal_group;
pub use event::{HostEvent, LogLevel};
pub use failure::{Failure, FailureKind};
pub use host::Host;
pub use http::client;
pub use oauth::{Answered, Blocked, FetchError, Keyring, OAuthError, Redeemed, SignIn, SignInError, SignIns};
pub use ticket::{CallEnd, CallEvent, CallOrder, CallTicket};
