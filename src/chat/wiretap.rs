//! What can be overheard of a session: both its wires, and what a person ordered. Recordings are made of it, and
//! `mcp call --frames` shows it.

use std::fmt;

use super::{Api, CallId, ConversationId, Fault, MessageId, Order, ServerName, TurnId};

/// Somebody who listens. Hearing must cost next to nothing and never wait: it is called between a byte's arrival and
/// its decoding, and between a call's order and its leaving.
pub trait Wiretap: Send + Sync + fmt::Debug {
    fn heard(&self, heard: Heard);
}

/// One thing that was heard, as it passed. Responses are counted through the process, from 1. Of headers that carry keys
/// it holds no value.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A request is about to leave.
    Request {
        response: u64,
        base_url: String,
        api: Api,
        body: Vec<u8>,
    },
    /// The status of its response, with the headers that matter to what is made of it.
    Head {
        response: u64,
        status: u16,
        headers: Vec<(String, String)>,
    },
    /// The next bytes of its body.
    Chunk {
        response: u64,
        bytes: Vec<u8>,
    },
    ResponseOver {
        response: u64,
        how: ResponseOver,
    },
    /// One message from or to a server, without its line end.
    Frame {
        server: ServerName,
        connection: u64,
        direction: Direction,
        call: Option<CallId>,
        bytes: Vec<u8>,
    },
    /// The head of an HTTP request to a server, or of what it answered. Its body is heard as frames, or as `Body`.
    Http {
        server: ServerName,
        connection: u64,
        direction: Direction,
        head: HttpHead,
    },
    /// What a server answered over HTTP in place of a message: the beginning of a page, or of an error in plain words.
    Body {
        server: ServerName,
        connection: u64,
        status: u16,
        bytes: Vec<u8>,
        /// There was more, or the rest did not come.
        cut: bool,
    },
    /// What the engine was told.
    Order(Order),
    /// A turn began. `key` begins the ids of its messages.
    Turn {
        turn: TurnId,
        conversation: ConversationId,
        key: MessageId,
    },
    /// A call waits for a person, who is shown the arguments of this hash.
    Review {
        turn: TurnId,
        call: CallId,
        hash: String,
    },
}

/// What stands before the body of an HTTP message; raw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpHead {
    /// `POST http://127.0.0.1:8000/mcp`, `200 OK`, or why there is no answer.
    pub line: String,
    /// Those that matter to the protocol, in small letters. None: a key, which is not told.
    pub headers: Vec<(String, Option<String>)>,
}

/// How a response came to its end on the wire.
#[derive(Clone, Debug, PartialEq)]
pub enum ResponseOver {
    /// The body ended, or what it holds says that nothing follows.
    Whole,
    /// The connection broke, in these words.
    Broken(String),
    /// Nothing came, or nothing came in time. `again`: the same request may help.
    Failed { fault: Fault, again: bool },
    /// It was not read on: what it held could not be read.
    Left,
    /// Nobody wanted it any more.
    Dropped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To the server.
    Out,
    /// From the server.
    In,
}
