//! Responses from a recording in place of the network.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::Stream;

use crate::chat::Fault;

/// Where recorded responses come from. An [`Http`](super::Http) made of one has no client and reaches nothing.
pub trait Player: Send + Sync {
    /// The response to a request with this body.
    fn answer(&self, body: Bytes) -> Playing;
}

/// One recorded response while it is played.
pub struct Playing {
    pub head: Pin<Box<dyn Future<Output = Result<PlayedHead, Halt>> + Send>>,
    /// Read only behind a head.
    pub body: Pin<Box<dyn Stream<Item = Result<Bytes, Halt>> + Send>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlayedHead {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

/// Where a recorded response was cut.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Halt {
    /// The connection broke, in these words.
    #[error("{0}")]
    Broken(String),
    /// It failed for want of bytes, as it was told then.
    #[error("{fault}")]
    Failed { fault: Fault, again: bool },
}
