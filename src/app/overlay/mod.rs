//! The layers over the chat, topmost last: each takes a key or passes it on.
//!
//! # Invariants
//! - At most one review, consent or confirmation takes keys at a time: the topmost.
//! - A layer owns its fields; what it wants done it says with commands and effects.

mod ask;
mod browser;
mod consent;
mod models;
mod review;
mod text;
mod welcome;

pub use ask::*;
pub use browser::*;
pub use consent::*;
pub use models::*;
pub use review::*;
pub use text::*;
pub use welcome::*;

#[derive(Clone, Debug)]
pub enum Overlay {
    Review(Box<ReviewBox>),
    Consent(Consent),
    Confirm(Confirm),
    Ask(Ask),
    Browser(Box<Browser>),
    Prompts(Prompts),
    Models(Models),
    Servers(ServerList),
    Palette(Palette),
    Help(Help),
    Detail(Detail),
    Timeline(Timeline),
    Welcome(Box<Welcome>),
}
