//! Claude's data export: each conversation a list of `chat_messages`, since 2025 with their parents. An assistant's message
//! holds all of its rounds as blocks; here each is a message of its own, with the outcomes of its calls behind it.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::growth::{About, Forest, Growth, add_text, text};
use super::{Imported, ItemError, Left, Source};
use crate::chat::{Answer, AnswerState, Body, MessageId, Origin, OutcomeKind, Part, UnixMs};

pub(super) fn read(map: &Map<String, Value>) -> Result<Imported, ItemError> {
    let Some(messages) = map.get("chat_messages").and_then(Value::as_array) else {
        return Err(ItemError::Malformed("its chat_messages are no list"));
    };
    let empty = Map::new();
    let messages: Vec<&Map<String, Value>> = messages.iter().map(|m| m.as_object().unwrap_or(&empty)).collect();
    let places: HashMap<&str, usize> =
        messages.iter().enumerate().map(|(n, m)| (text(m, "uuid"), n)).filter(|(id, _)| !id.is_empty()).collect();
    let is_tree = messages.iter().any(|message| !text(message, "parent_message_uuid").is_empty());
    let parents: Vec<Option<usize>> = messages
        .iter()
        .enumerate()
        .map(|(n, message)| match text(message, "parent_message_uuid") {
            _ if !is_tree => n.checked_sub(1),
            // Of one that does not say, the one before it. The first has a parent that is not there.
            "" => n.checked_sub(1),
            parent => places.get(parent).copied(),
        })
        .collect();
    let forest = Forest::new(&parents);
    let model = text(map, "model").to_owned();
    let mut reader = Reader { growth: Growth::default(), left: Left::default(), model: &model };
    let mut ends: Vec<Option<MessageId>> = vec![None; messages.len()];
    let mut left: Vec<(usize, Option<MessageId>)> = forest.roots.iter().rev().map(|root| (*root, None)).collect();
    while let Some((place, anchor)) = left.pop() {
        let end = reader.message(messages[place], anchor);
        left.extend(forest.children[place].iter().rev().map(|child| (*child, end.clone())));
        ends[place] = end;
    }
    if reader.growth.is_empty() {
        return Err(ItemError::Empty);
    }
    // Where it is not told which branch was shown, the one that was written to last.
    let current = places.get(text(map, "current_leaf_message_uuid")).copied().or(messages.len().checked_sub(1));
    let head = current.and_then(|place| ends[place].clone());
    let updated = moment(text(map, "updated_at"));
    let id = text(map, "uuid");
    let origin =
        Some(Origin { source: Source::Claude.word().into(), id: id.to_owned(), updated }).filter(|_| !id.is_empty());
    let (growth, left) = (reader.growth, reader.left);
    let tree = growth.tree(
        head,
        About {
            title: text(map, "name").to_owned(),
            model,
            system: String::new(),
            created: moment(text(map, "created_at")),
            updated,
            origin: origin.clone(),
        },
    );
    Ok(Imported { source: Source::Claude, tree, origin, left })
}

/// An RFC 3339 time as milliseconds since 1970; 0 where it is none.
fn moment(said: &str) -> UnixMs {
    said.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_millisecond).max(0)
}

/// One round of an answer.
#[derive(Default)]
struct Round {
    reasoning: String,
    text: String,
    /// The id of each call on its wire, its name and what it was given.
    calls: Vec<(String, String, Value)>,
    /// By the place of its call.
    results: Vec<(usize, OutcomeKind, String)>,
}

struct Reader<'a> {
    growth: Growth,
    left: Left,
    model: &'a str,
}

impl Reader<'_> {
    /// Adds a message; returns what those behind it hang on.
    fn message(&mut self, message: &Map<String, Value>, anchor: Option<MessageId>) -> Option<MessageId> {
        let at = moment(text(message, "created_at"));
        match text(message, "sender") {
            "human" | "user" => {
                let parts = self.parts(message);
                if parts.is_empty() {
                    return anchor;
                }
                Some(self.growth.add(anchor, at, Body::User(parts)))
            }
            "assistant" => self.answer(message, anchor, at),
            _ => {
                self.left.unread += 1;
                anchor
            }
        }
    }

    fn parts(&mut self, message: &Map<String, Value>) -> Vec<Part> {
        let mut parts = Vec::new();
        let said = self.words(message);
        if !said.trim().is_empty() {
            parts.push(Part::text(said));
        }
        for file in message.get("attachments").and_then(Value::as_array).into_iter().flatten() {
            let Some(file) = file.as_object() else { continue };
            let name = text(file, "file_name");
            let name = if name.is_empty() { "attached text" } else { name };
            match text(file, "extracted_content") {
                "" => {
                    self.left.files += 1;
                    parts.push(Part::text(format!("[attached: {name}]")));
                }
                inside => parts.push(Part::File { name: name.to_owned(), text: inside.to_owned() }),
            }
        }
        for file in message.get("files").and_then(Value::as_array).into_iter().flatten() {
            let name = file.get("file_name").and_then(Value::as_str).unwrap_or("a file");
            self.left.files += 1;
            parts.push(Part::text(format!("[attached: {name}]")));
        }
        parts
    }

    /// The texts of the blocks, else of the message.
    fn words(&mut self, message: &Map<String, Value>) -> String {
        let mut said = String::new();
        for block in blocks(message) {
            match text(block, "type") {
                "text" => add_text(&mut said, text(block, "text")),
                "image" => self.left.media += 1,
                _ => self.left.unread += 1,
            }
        }
        if said.is_empty() { text(message, "text").to_owned() } else { said }
    }

    fn answer(&mut self, message: &Map<String, Value>, anchor: Option<MessageId>, at: UnixMs) -> Option<MessageId> {
        let mut rounds = vec![Round::default()];
        for block in blocks(message) {
            // Words behind a result begin the next round.
            let kind = text(block, "type");
            if matches!(kind, "text" | "thinking" | "tool_use")
                && rounds.last().is_some_and(|round| !round.results.is_empty())
            {
                rounds.push(Round::default());
            }
            let Some(round) = rounds.last_mut() else { continue };
            match kind {
                "text" => add_text(&mut round.text, text(block, "text")),
                "thinking" => add_text(&mut round.reasoning, text(block, "thinking")),
                "tool_use" => {
                    let input = block.get("input").cloned().unwrap_or_default();
                    round.calls.push((text(block, "id").to_owned(), text(block, "name").to_owned(), input));
                }
                "tool_result" => result(round, block),
                // How much of its budget is left, and marks of its page.
                "token_budget" | "flag" => {}
                "image" => self.left.media += 1,
                _ => self.left.unread += 1,
            }
        }
        if let [only] = &mut rounds[..]
            && only.text.is_empty()
            && only.calls.is_empty()
        {
            only.text = text(message, "text").to_owned();
        }
        let cut = matches!(text(message, "stop_reason"), "user_canceled" | "max_tokens");
        let last = rounds.len();
        let mut end = anchor;
        for (n, round) in rounds.into_iter().enumerate() {
            if round.text.trim().is_empty() && round.reasoning.trim().is_empty() && round.calls.is_empty() {
                continue;
            }
            end = Some(self.round(round, end, at, cut && n + 1 == last));
        }
        end
    }

    fn round(&mut self, round: Round, anchor: Option<MessageId>, at: UnixMs, cut: bool) -> MessageId {
        let mut results: HashMap<usize, (OutcomeKind, String)> = HashMap::new();
        for (place, kind, told) in round.results {
            let (of, all) = results.entry(place).or_insert((kind, String::new()));
            *of = kind;
            add_text(all, &told);
        }
        let mut calls = Vec::new();
        for (n, (_, name, input)) in round.calls.into_iter().enumerate() {
            calls.push(self.growth.call(u32::try_from(n).unwrap_or(u32::MAX), &name, input));
        }
        let ids: Vec<_> = calls.iter().map(|call| call.id.clone()).collect();
        let answer = Answer {
            text: round.text,
            reasoning: round.reasoning,
            calls,
            model: self.model.to_owned(),
            state: if cut { AnswerState::Interrupted } else { AnswerState::Complete },
            ..Answer::default()
        };
        let mut last = self.growth.add(anchor, at, Body::Assistant(answer));
        for (n, id) in ids.iter().enumerate() {
            last = self.growth.outcome(last, at, id, results.remove(&n));
        }
        last
    }
}

/// Finds the call of a result: by its id, else the first of that name without one, else one that the export does not hold.
fn result(round: &mut Round, block: &Map<String, Value>) {
    let (id, name) = (text(block, "tool_use_id"), text(block, "name"));
    let answered = |place: usize| round.results.iter().any(|(of, ..)| *of == place);
    let by_id = round.calls.iter().position(|(of, ..)| !id.is_empty() && of == id);
    let place = by_id
        .or_else(|| round.calls.iter().enumerate().position(|(n, (_, of, _))| !answered(n) && of == name))
        .or_else(|| (0..round.calls.len()).find(|n| name.is_empty() && !answered(*n)));
    let place = place.unwrap_or_else(|| {
        round.calls.push((String::new(), name.to_owned(), Value::Null));
        round.calls.len() - 1
    });
    let failed = block.get("is_error") == Some(&Value::Bool(true));
    let kind = if failed { OutcomeKind::Failed } else { OutcomeKind::Done };
    round.results.push((place, kind, told(block.get("content"))));
}

/// What a result says: its texts; of another kind of content, that it was there.
fn told(content: Option<&Value>) -> String {
    match content {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(said)) => said.clone(),
        Some(Value::Array(blocks)) => {
            let mut said = String::new();
            for block in blocks {
                match (block.get("text").and_then(Value::as_str), block.get("type").and_then(Value::as_str)) {
                    (Some(text), _) => add_text(&mut said, text),
                    (None, Some("image")) => add_text(&mut said, "[picture]"),
                    (None, _) => add_text(&mut said, &block.to_string()),
                }
            }
            said
        }
        Some(other) => other.to_string(),
    }
}

fn blocks(message: &Map<String, Value>) -> impl Iterator<Item = &Map<String, Value>> {
    message.get("content").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}
