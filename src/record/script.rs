//! A recording sorted by who brings what into the engine: responses, calls, and what was ordered or told unasked.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::chat::{Api, CallId, ConversationId, Fault, FaultKind, MessageId, Order, ServerName, TurnId};
use crate::engine::port::{Known, Lesson, Opened, ServerEvent};
use crate::export;
use crate::net::PlayedHead;
use crate::tools::Listing;

use super::conductor::{Cue, Cues, Source};
use super::line::{Line, Over, State, Way};
use super::read::{Recording, begins_turn};

/// A longer pause before a person's next question is played as this long, microseconds.
const LONGEST_THOUGHT_US: u64 = 2_000_000;

#[derive(Default)]
pub(super) struct Script {
    pub responses: Vec<Response>,
    pub calls: Vec<Call>,
    pub deeds: Vec<(Cue, Deed)>,
    pub turns: HashMap<TurnId, (ConversationId, MessageId)>,
    pub lessons: Vec<Lesson>,
    pub known: Known,
    pub opened: HashMap<ConversationId, Opened>,
    /// Whole results that the model read on in.
    pub wholes: HashMap<(ConversationId, CallId), String>,
    /// Everything that comes from outside, in order.
    pub cues: Cues,
}

/// What was ordered, and what servers told.
pub(super) enum Deed {
    Order(Order),
    Server(Box<ServerEvent>),
}

pub(super) struct Response {
    pub base_url: String,
    pub api: Api,
    pub body: Option<Value>,
    pub asked: Cue,
    /// Whether a turn began between the request before and this one.
    pub first_of_turn: bool,
    pub head: Option<(Cue, PlayedHead)>,
    pub chunks: Vec<(Cue, Vec<u8>)>,
    pub over: Option<(Cue, Over)>,
}

pub(super) struct Call {
    pub ticket: CallId,
    pub server: ServerName,
    pub tool: String,
    pub arguments: Map<String, Value>,
    pub states: Vec<(Cue, State)>,
    /// The message that answered it.
    pub answer: Option<Value>,
}

/// Which request on which connection a call's answer is awaited for.
struct Awaited {
    call: usize,
    server: ServerName,
    connection: u64,
    id: Value,
}

impl Script {
    /// # Errors
    /// `Usage` where a conversation in it cannot be read.
    pub(super) fn of(recording: Recording) -> Result<Self, Fault> {
        let mut script = Self::default();
        let mut responses: HashMap<u64, usize> = HashMap::new();
        let mut calls: HashMap<CallId, usize> = HashMap::new();
        let mut awaited: Vec<Awaited> = Vec::new();
        let (mut skipped, mut before, mut fresh) = (0, 0, false);
        for (place, entry) in recording.entries.into_iter().enumerate() {
            if let Line::Order { order } = &entry.line
                && begins_turn(order)
            {
                let pause = entry.t_us().saturating_sub(before);
                skipped += pause.saturating_sub(LONGEST_THOUGHT_US);
                fresh = true;
            }
            before = entry.t_us();
            let cue = Cue { place, t_us: entry.t_us().saturating_sub(skipped) };
            match entry.line {
                Line::Lessons { lessons } => script.lessons.extend(lessons.into_iter().map(Into::into)),
                Line::Known { pins, grants } => script.known = Known { pins, grants },
                Line::Opened { conversation, value, used_ids, past } => {
                    let whole = export::parse(&value.to_string()).map_err(|error| {
                        let message = format!("A conversation in the recording cannot be read: {error}.");
                        Fault::new(FaultKind::Usage, message)
                    })?;
                    let past = past.into_iter().map(Into::into).collect();
                    let (compactions, tokens) = (whole.compactions(), whole.summary.tokens);
                    let messages = whole.messages;
                    let opened = Opened { messages, used_ids, past, compactions, tokens, ..Opened::default() };
                    script.opened.insert(conversation, opened);
                }
                Line::WholeResult { conversation, call, text } => {
                    script.wholes.insert((conversation, call), text);
                }
                Line::Status(status) => script.deed(cue, Deed::Server(Box::new(ServerEvent::Status(status.into())))),
                Line::Listing { server, entry, tools, instructions, from_cache } => {
                    let listing = Listing { server, entry, tools, instructions, from_cache };
                    script.deed(cue, Deed::Server(Box::new(ServerEvent::Listing(listing))));
                }
                Line::ServerNotice { server, message } => {
                    script.deed(cue, Deed::Server(Box::new(ServerEvent::Notice { server, message })));
                }
                Line::Order { order } => script.deed(cue, Deed::Order(order)),
                Line::Turn { turn, conversation, key } => {
                    script.turns.insert(turn, (conversation, key));
                }
                Line::Request { response, base_url, api, body } => {
                    responses.insert(response, script.responses.len());
                    script.responses.push(Response {
                        base_url,
                        api,
                        body: body.value(),
                        asked: cue,
                        first_of_turn: std::mem::take(&mut fresh),
                        head: None,
                        chunks: Vec::new(),
                        over: None,
                    });
                }
                Line::Head { response, status, headers } => {
                    if let Some(at) = responses.get(&response) {
                        script.responses[*at].head.get_or_insert((cue, PlayedHead { status, headers }));
                        script.cues.insert(place, (Source::Response(*at), cue.t_us));
                    }
                }
                Line::Chunk { response, bytes } => {
                    if let (Some(at), Ok(bytes)) = (responses.get(&response), bytes.bytes()) {
                        script.responses[*at].chunks.push((cue, bytes));
                        script.cues.insert(place, (Source::Response(*at), cue.t_us));
                    }
                }
                Line::ResponseOver { response, how } => {
                    if let Some(at) = responses.get(&response) {
                        // The others came of what the program did.
                        if matches!(how, Over::Whole | Over::Broken { .. } | Over::Failed { .. }) {
                            script.cues.insert(place, (Source::Response(*at), cue.t_us));
                        }
                        script.responses[*at].over.get_or_insert((cue, how));
                    }
                }
                Line::Frame { server, connection, direction, call, frame } => {
                    let Some(message) = frame.value() else { continue };
                    match (direction, call) {
                        (Way::Out, Some(call)) => {
                            if let (Some(at), Some(id)) = (calls.get(&call), message.get("id").cloned()) {
                                awaited.push(Awaited { call: *at, server, connection, id });
                            }
                        }
                        (Way::Out, None) | (Way::In, Some(_)) => {}
                        (Way::In, None) => {
                            let messages = match message {
                                Value::Array(messages) => messages,
                                message => vec![message],
                            };
                            for message in messages {
                                script.answer(&mut awaited, &server, connection, message);
                            }
                        }
                    }
                }
                Line::Call { call, server, tool, arguments } => {
                    calls.insert(call.clone(), script.calls.len());
                    script.calls.push(Call { ticket: call, server, tool, arguments, states: Vec::new(), answer: None });
                }
                Line::CallState { call, state } => {
                    if let Some(at) = calls.get(&call)
                        && !matches!(state, State::Unknown)
                    {
                        script.calls[*at].states.push((cue, state));
                        script.cues.insert(place, (Source::Call(*at), cue.t_us));
                    }
                }
                Line::Body { .. } | Line::Review { .. } | Line::Missing { .. } | Line::Unknown => {}
                Line::Closed {} => break,
            }
        }
        script.forget_the_end();
        Ok(script)
    }

    fn deed(&mut self, cue: Cue, deed: Deed) {
        self.cues.insert(cue.place, (Source::Script, cue.t_us));
        self.deeds.push((cue, deed));
    }

    fn answer(&mut self, awaited: &mut Vec<Awaited>, server: &ServerName, connection: u64, message: Value) {
        if message.get("method").is_some() {
            return;
        }
        let id = message.get("id").unwrap_or(&Value::Null);
        // Some servers answer the number 7 with the string "7", and those of the bare dialect with none.
        let number = id.as_str().and_then(|id| id.parse::<i64>().ok());
        let same = |theirs: &Value| id.is_null() || theirs == id || (number.is_some() && theirs.as_i64() == number);
        let at = awaited.iter().position(|a| a.server == *server && a.connection == connection && same(&a.id));
        if let Some(at) = at {
            let Awaited { call, .. } = awaited.swap_remove(at);
            self.calls[call].answer = Some(message);
        }
    }

    /// That servers were ended when the session was is no part of what is played.
    fn forget_the_end(&mut self) {
        while let (Some((cue, Deed::Server(_))), Some((last, _))) = (self.deeds.last(), self.cues.last_key_value())
            && cue.place == *last
        {
            self.cues.pop_last();
            self.deeds.pop();
        }
    }

    /// Where the model was, and how it was asked.
    pub(super) fn endpoint(&self) -> Option<(String, Api)> {
        self.responses.first().map(|response| (response.base_url.clone(), response.api))
    }
}
