//! Signing in to servers: OAuth 2.1 as the MCP specification uses it (authorization, 2025-11-25 and 2026-07-28).
//!
//! A challenge ([`challenge`]) leads to the server's description and its issuer ([`discovery`], [`metadata`]), over
//! requests to judged addresses ([`fetch`], [`address`]); this program is known there by a [`client`]; the person goes to
//! a page and comes back ([`flow`], pure; [`callback`], or by hand); the answer is exchanged ([`token`]) and kept
//! ([`grant`], [`store`], [`keyring`]). [`SignIn`] is the way through all that, [`access`] the token in use.
//!
//! # Invariants
//! - A person decides every sign-in; without one there is none.
//! - No token, code, verifier or secret is in an error, a log, an event or an argument.
//! - Tokens are kept per issuer and server entry, and go to the origin of that entry alone.
//!
//! # Does not
//! Open pages, draw, or use the SDK's own authorisation: that goes on where PKCE is not advertised, cannot prove a
//! registered client again after a restart, sends another `resource` when it renews, and writes codes to its log.

mod access;
mod address;
mod callback;
mod challenge;
mod client;
mod discovery;
mod error;
mod fetch;
mod flow;
mod grant;
mod keyring;
mod metadata;
mod running;
mod sign_in;
mod store;
mod token;

pub(super) use access::Access;
pub use address::Blocked;
pub(super) use challenge::Challenge;
pub use error::{FetchError, OAuthError, SignInError};
pub use keyring::Keyring;
pub(super) use running::{Desk, Running};
pub use sign_in::{Answered, Redeemed, SignIn, SignIns};
