//! The terminal: raw mode, input, the event loop, the frame clock, the executor of effects, restore on every exit.
//!
//! # Invariants
//! - What entered the terminal is undone on every way out: return, error, panic in any thread, signal, suspension.
//!   Undoing twice does nothing.
//! - A key is drawn at once; what streams is drawn at most 60 times a second; idle, nothing wakes and nothing is
//!   written.
//! - The first frame is drawn before any effect is carried out.
//!
//! # Does not
//! Decide anything: it turns the terminal's events into `app`'s, and `app`'s effects into deeds.

mod backdrop;
mod clipboard;
mod connect;
mod desk;
mod export;
mod files;
mod following;
mod graphics;
mod inline;
mod keys;
mod link;
mod local;
mod models;
mod notify;
mod pace;
pub mod page;
mod picture;
mod run;
mod screen;
mod settings;
mod shell;
mod signals;
mod terminal;
mod timers;

pub use connect::{DemoStart, Held, LiveConnector, Parts};
pub use desk::{Connected, Connector, Desk};
pub use models::Marks;
pub use notify::Calling;
pub use run::{Exit, Services, Themes, TuiConfig, run};
pub use terminal::{TuiError, restore};

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc;

use crate::app::{Effect, Reply};

/// What carries out the effects that need more than a terminal: the store, the network, the configuration.
pub trait Work: Send + Sync {
    /// Begins to carry out an effect. It must not block; what comes of it goes to `replies`.
    fn carry(&self, effect: Effect, replies: Replies) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// Where answers of effects go. Answers after the screen has closed are void.
#[derive(Clone, Debug)]
pub struct Replies(mpsc::UnboundedSender<Reply>);

impl Replies {
    pub fn send(&self, reply: Reply) {
        let _ = self.0.send(reply);
    }
}
