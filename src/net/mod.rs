//! HTTP and SSE to a model's endpoint: one client, one task per response.
//!
//! # Invariants
//! - A key leaves only to the origin it was given for, over TLS or to loopback, and never along a redirect.
//! - Every limit that acts says its name; every failure is a [`Failure`] that a person can act on.
//! - Dropping a [`Response`] ends its HTTP stream.
//! - A reader that does not read stops the reading of the network, and its idle timers with it.
//!
//! # Does not
//! Retry by itself ([`retry`] says whether and when; the engine does), assemble calls, or choose an endpoint.

mod catalogue;
mod endpoint;
mod failure;
mod http;
mod local;
mod models;
mod native;
mod played;
mod provider;
mod proxy;
mod pump;
mod response;
mod retry;
pub mod sse;
mod tape;

pub use catalogue::{Catalogue, Listed};
pub use endpoint::{Endpoint, is_loopback};
pub use failure::Failure;
pub use http::{Http, HttpOptions};
pub use local::{Found, probe_local};
pub use models::{ModelInfo, models};
pub use played::{Halt, PlayedHead, Player, Playing};
pub use response::{Event, Response, respond};
pub use retry::retry;
