//! ChatGPT's data export: each conversation a `mapping` of nodes, each with its parent, and `current_node`, the end of
//! the branch that was shown. The format is not documented by its maker; this reads what exports of 2023 to 2026 hold.
//!
//! An answer there is a chain of nodes (thoughts, a call, the tool's messages, words), which becomes here one message a
//! round: it is gathered in a [`Draft`] until it is whole.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::growth::{About, Forest, Growth, add_text, text};
use super::{Imported, ItemError, Left, Source};
use crate::chat::{Answer, AnswerState, Body, MessageId, Origin, OutcomeKind, Part, UnixMs};

/// The marks around references that only its own page can draw.
const MARK_OPENS: char = '\u{e200}';
const MARK_CLOSES: char = '\u{e201}';
/// Bytes that unfinished answers may grow by, because several branches go on with them.
const COPIED: usize = 16 * 1024 * 1024;

pub(super) fn read(map: &Map<String, Value>) -> Result<Imported, ItemError> {
    let Some(mapping) = map.get("mapping").and_then(Value::as_object) else {
        return Err(ItemError::Malformed("its mapping is no object"));
    };
    let places: HashMap<&str, usize> = mapping.keys().enumerate().map(|(n, key)| (key.as_str(), n)).collect();
    let nodes: Vec<Node<'_>> = mapping.values().map(Node::of).collect();
    let parents: Vec<Option<usize>> = nodes.iter().map(|node| places.get(node.parent?).copied()).collect();
    let mut forest = Forest::new(&parents);
    for (node, children) in nodes.iter().zip(&mut forest.children) {
        // In the order that the parent tells.
        let order: HashMap<usize, usize> =
            node.children.iter().enumerate().filter_map(|(n, id)| Some((*places.get(id)?, n))).collect();
        children.sort_by_key(|child| order.get(child).copied().unwrap_or(usize::MAX));
    }
    let current = places.get(text(map, "current_node")).copied();
    let model = text(map, "default_model_slug").to_owned();
    let mut reader = Reader {
        growth: Growth::default(),
        copied: 0,
        left: Left::default(),
        system: String::new(),
        head: None,
        model,
    };
    reader.walk(&nodes, &forest, current);
    if reader.growth.is_empty() {
        return Err(ItemError::Empty);
    }
    let id = ["conversation_id", "id"].iter().map(|key| text(map, key)).find(|id| !id.is_empty());
    let updated = moment(map.get("update_time"));
    let origin = id.map(|id| Origin { source: Source::ChatGpt.word().into(), id: id.to_owned(), updated });
    let tree = reader.growth.tree(
        reader.head,
        About {
            title: text(map, "title").to_owned(),
            model: reader.model,
            system: reader.system,
            created: moment(map.get("create_time")),
            updated,
            origin: origin.clone(),
        },
    );
    Ok(Imported { source: Source::ChatGpt, tree, origin, left: reader.left })
}

/// Seconds since 1970 with fractions, as milliseconds; 0 where there are none, or none that can be.
fn moment(value: Option<&Value>) -> UnixMs {
    let seconds = value.and_then(Value::as_f64).filter(|seconds| (0.0..1e11).contains(seconds));
    seconds.map_or(0, |seconds| (seconds * 1000.0) as UnixMs)
}

struct Node<'a> {
    message: Option<&'a Map<String, Value>>,
    parent: Option<&'a str>,
    children: Vec<&'a str>,
}

impl<'a> Node<'a> {
    fn of(value: &'a Value) -> Self {
        let children = value.get("children").and_then(Value::as_array);
        Self {
            message: value.get("message").and_then(Value::as_object),
            parent: value.get("parent").and_then(Value::as_str),
            children: children.into_iter().flatten().filter_map(Value::as_str).collect(),
        }
    }
}

/// What a node says.
enum Says {
    /// Nothing of its own.
    Nothing,
    User(Vec<Part>),
    Thoughts(String),
    Words(String),
    Call {
        tool: String,
        arguments: Value,
    },
    Result {
        tool: String,
        text: String,
        failed: bool,
    },
}

/// An answer that is not yet whole.
#[derive(Clone, Default)]
struct Draft {
    at: UnixMs,
    model: String,
    reasoning: String,
    text: String,
    call: Option<(String, Value)>,
    results: Option<(String, bool)>,
    /// When the last of them came.
    answered: UnixMs,
    finish: Option<String>,
    cut: bool,
}

impl Draft {
    /// Bytes that a copy of it holds.
    fn size(&self) -> usize {
        let arguments = self.call.as_ref().map_or(0, |(tool, arguments)| tool.len() + arguments.to_string().len());
        let results = self.results.as_ref().map_or(0, |(text, _)| text.len());
        self.reasoning.len() + self.text.len() + arguments + results + size_of::<Self>()
    }

    /// Whether all of it is there: what comes next cannot belong to it but by being joined.
    fn is_whole(&self) -> bool {
        match self.call {
            Some(_) => self.results.is_some(),
            None => !self.text.is_empty(),
        }
    }
}

/// On the way down one branch.
#[derive(Clone, Default)]
struct Carry {
    anchor: Option<MessageId>,
    draft: Option<Draft>,
    /// The draft holds the end of the branch that was shown.
    is_head: bool,
    at: UnixMs,
}

struct Reader {
    growth: Growth,
    /// Bytes of unfinished answers that went into several branches.
    copied: usize,
    left: Left,
    system: String,
    head: Option<MessageId>,
    model: String,
}

impl Reader {
    fn walk(&mut self, nodes: &[Node<'_>], forest: &Forest, current: Option<usize>) {
        let mut left: Vec<(usize, Carry)> = forest.roots.iter().rev().map(|root| (*root, Carry::default())).collect();
        while let Some((place, mut carry)) = left.pop() {
            if let Some(message) = nodes[place].message {
                self.node(message, &mut carry);
            }
            let children = &forest.children[place];
            if current == Some(place) {
                carry.is_head = true;
            }
            // One child may go on with the answer. Of several each would, so what is whole is ended before them, and so
            // is what would grow without measure by being in each.
            let ends = match children.len() {
                0 => true,
                1 => false,
                more => carry.draft.as_ref().is_some_and(|draft| {
                    self.copied = self.copied.saturating_add(draft.size().saturating_mul(more));
                    draft.is_whole() || self.copied > COPIED
                }),
            };
            if ends || carry.draft.is_none() {
                self.end(&mut carry);
            }
            left.extend(children.iter().rev().map(|child| (*child, carry.clone())));
        }
    }

    /// Writes down what was gathered.
    fn end(&mut self, carry: &mut Carry) {
        if let Some(draft) = carry.draft.take() {
            let call = draft.call.map(|(tool, arguments)| self.growth.call(0, &tool, arguments));
            let id = call.as_ref().map(|call| call.id.clone());
            let answer = Answer {
                text: draft.text,
                reasoning: draft.reasoning,
                calls: call.into_iter().collect(),
                model: draft.model,
                finish: draft.finish,
                state: if draft.cut { AnswerState::Interrupted } else { AnswerState::Complete },
                ..Answer::default()
            };
            let mut last = self.growth.add(carry.anchor.take(), draft.at, Body::Assistant(answer));
            if let Some(id) = id {
                let kind = |failed| if failed { OutcomeKind::Failed } else { OutcomeKind::Done };
                let result = draft.results.map(|(text, failed)| (kind(failed), text));
                last = self.growth.outcome(last, draft.answered.max(draft.at), &id, result);
            }
            carry.anchor = Some(last);
        }
        if std::mem::take(&mut carry.is_head) {
            self.head.clone_from(&carry.anchor);
        }
    }

    fn node(&mut self, message: &Map<String, Value>, carry: &mut Carry) {
        let at = moment(message.get("create_time"));
        if at > 0 {
            carry.at = at;
        }
        let says = self.says(message);
        let metadata = message.get("metadata").and_then(Value::as_object);
        let model = metadata.map(|metadata| text(metadata, "model_slug")).filter(|model| !model.is_empty());
        match says {
            Says::Nothing => {}
            Says::User(parts) => {
                self.end(carry);
                carry.anchor = Some(self.growth.add(carry.anchor.take(), carry.at, Body::User(parts)));
            }
            Says::Thoughts(thoughts) => {
                if carry.draft.as_ref().is_some_and(|draft| !draft.text.is_empty() || draft.call.is_some()) {
                    self.end(carry);
                }
                add_text(&mut self.draft(carry, model).reasoning, &thoughts);
            }
            Says::Words(words) => {
                if carry.draft.as_ref().is_some_and(|draft| draft.call.is_some()) {
                    self.end(carry);
                }
                let draft = self.draft(carry, model);
                add_text(&mut draft.text, &words);
                let finish = metadata.and_then(|metadata| metadata.get("finish_details")?.get("type")?.as_str());
                draft.cut = text(message, "status") == "in_progress";
                match finish {
                    Some("max_tokens") => (draft.cut, draft.finish) = (true, Some("length".into())),
                    Some("interrupted") => draft.cut = true,
                    Some(_) | None => {}
                }
            }
            Says::Call { tool, arguments } => {
                if carry.draft.as_ref().is_some_and(|draft| draft.call.is_some()) {
                    self.end(carry);
                }
                self.draft(carry, model).call = Some((tool, arguments));
            }
            Says::Result { tool, text, failed } => {
                let at = carry.at;
                let draft = self.draft(carry, model);
                draft.answered = at;
                // Of some calls the export holds the result alone.
                draft.call.get_or_insert_with(|| (tool, Value::Null));
                let (told, any_failed) = draft.results.get_or_insert_with(Default::default);
                add_text(told, &text);
                *any_failed |= failed;
            }
        }
    }

    fn draft<'a>(&self, carry: &'a mut Carry, model: Option<&str>) -> &'a mut Draft {
        let at = carry.at;
        let draft = carry.draft.get_or_insert_with(|| Draft { at, ..Draft::default() });
        if let Some(model) = model {
            draft.model = model.to_owned();
        } else if draft.model.is_empty() {
            draft.model.clone_from(&self.model);
        }
        draft
    }

    fn says(&mut self, message: &Map<String, Value>) -> Says {
        let author = message.get("author").and_then(Value::as_object);
        let role = author.map(|author| text(author, "role")).unwrap_or_default();
        let empty = Map::new();
        let Some(content) = message.get("content").and_then(Value::as_object) else {
            self.left.unread += 1;
            return Says::Nothing;
        };
        let metadata = message.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
        let kind = text(content, "content_type");
        match kind {
            "thoughts" => return Says::Thoughts(thoughts(content)),
            // How long it thought.
            "reasoning_recap" => return Says::Nothing,
            "user_editable_context" | "model_editable_context" => {
                for key in ["user_profile", "user_instructions", "model_set_context"] {
                    add_text(&mut self.system, text(content, key));
                }
                return Says::Nothing;
            }
            _ => {}
        }
        let hidden = metadata.get("is_visually_hidden_from_conversation") == Some(&Value::Bool(true));
        let recipient = text(message, "recipient");
        match role {
            "user" if hidden => self.hidden(content),
            "user" => {
                let mut parts = self.parts(content, metadata);
                for name in self.attached(metadata) {
                    parts.push(Part::text(format!("[attached: {name}]")));
                }
                if parts.is_empty() { Says::Nothing } else { Says::User(parts) }
            }
            "assistant" if !matches!(recipient, "" | "all") => {
                Says::Call { tool: recipient.to_owned(), arguments: arguments(&self.joined(content, metadata)) }
            }
            // Code that was written for the reader has no recipient.
            "assistant" if kind == "code" && !hidden => {
                let code = self.joined(content, metadata);
                let language = text(content, "language");
                let language = if language == "unknown" { "" } else { language };
                Says::Words(format!("```{language}\n{code}\n```"))
            }
            "assistant" if hidden => self.hidden(content),
            "assistant" => match self.joined(content, metadata) {
                words if words.trim().is_empty() => Says::Nothing,
                words => Says::Words(words),
            },
            // What a tool said belongs to its call, shown or not.
            "tool" => Says::Result {
                tool: author.map(|author| text(author, "name")).unwrap_or_default().to_owned(),
                text: self.joined(content, metadata),
                failed: kind == "system_error",
            },
            "system" => {
                let words = self.joined(content, metadata);
                add_text(&mut self.system, &words);
                Says::Nothing
            }
            _ => {
                self.left.unread += 1;
                Says::Nothing
            }
        }
    }

    fn hidden(&mut self, content: &Map<String, Value>) -> Says {
        let said = content
            .get("parts")
            .and_then(Value::as_array)
            .is_none_or(|parts| parts.iter().any(|part| part.as_str().is_none_or(|text| !text.trim().is_empty())));
        self.left.hidden += u32::from(said);
        Says::Nothing
    }

    fn attached(&mut self, metadata: &Map<String, Value>) -> Vec<String> {
        let files = metadata.get("attachments").and_then(Value::as_array);
        let names: Vec<String> = files
            .into_iter()
            .flatten()
            // Pictures stand among the parts, too.
            .filter(|file| !file.get("mime_type").and_then(Value::as_str).unwrap_or_default().starts_with("image/"))
            .filter_map(|file| Some(file.get("name")?.as_str()?.to_owned()))
            .collect();
        self.left.files += u32::try_from(names.len()).unwrap_or(u32::MAX);
        names
    }

    /// All that a content says, as one text.
    fn joined(&mut self, content: &Map<String, Value>, metadata: &Map<String, Value>) -> String {
        let mut joined = String::new();
        for part in self.parts(content, metadata) {
            if let Part::Text { text } | Part::File { text, .. } = part {
                add_text(&mut joined, &text);
            }
        }
        joined
    }

    fn parts(&mut self, content: &Map<String, Value>, metadata: &Map<String, Value>) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut say = |said: &str| {
            let said = referred(said, metadata);
            if !said.trim().is_empty() {
                parts.push(Part::text(said));
            }
        };
        match text(content, "content_type") {
            "tether_quote" => {
                for key in ["title", "url", "text"] {
                    say(text(content, key));
                }
            }
            "tether_browsing_display" => {
                for key in ["summary", "result"] {
                    say(text(content, key));
                }
            }
            "system_error" => {
                say(&format!("{}: {}", text(content, "name"), text(content, "text")));
            }
            _ => {
                let mut known = false;
                // `text` of code and of what its execution printed; `content` of a few younger kinds.
                for key in ["text", "content", "result", "output_str"] {
                    if let Some(said) = content.get(key).and_then(Value::as_str) {
                        known = true;
                        say(said);
                    }
                }
                for part in content.get("parts").and_then(Value::as_array).into_iter().flatten() {
                    known = true;
                    match part {
                        Value::String(said) => say(said),
                        Value::Object(map) => match text(map, "content_type") {
                            "image_asset_pointer" => {
                                self.left.media += 1;
                                say("[picture]");
                            }
                            "audio_transcription" => say(text(map, "text")),
                            "audio_asset_pointer" | "video_container_asset_pointer" => self.left.media += 1,
                            // Sound and pictures of a call, beside its transcription.
                            "real_time_user_audio_video_asset_pointer" => self.left.media += 1,
                            _ if map.get("text").is_some_and(Value::is_string) => say(text(map, "text")),
                            _ => self.left.unread += 1,
                        },
                        _ => self.left.unread += 1,
                    }
                }
                self.left.unread += u32::from(!known && content.contains_key("content_type"));
            }
        }
        parts
    }
}

fn thoughts(content: &Map<String, Value>) -> String {
    let mut said = String::new();
    for thought in content.get("thoughts").and_then(Value::as_array).into_iter().flatten() {
        let Some(thought) = thought.as_object() else { continue };
        let summary = text(thought, "summary");
        if !summary.is_empty() {
            add_text(&mut said, &format!("**{summary}**"));
        }
        add_text(&mut said, text(thought, "content"));
    }
    said
}

/// Arguments as they were written: an object where they are one, else a text.
fn arguments(said: &str) -> Value {
    match serde_json::from_str(said) {
        Ok(Value::Object(map)) => Value::Object(map),
        Ok(_) | Err(_) => Value::String(said.to_owned()),
    }
}

/// References as their words; a mark without words is left out.
fn referred(said: &str, metadata: &Map<String, Value>) -> String {
    if !said.contains(MARK_OPENS) {
        return said.to_owned();
    }
    let references = metadata.get("content_references").and_then(Value::as_array);
    let words: HashMap<&str, &str> = references
        .into_iter()
        .flatten()
        .filter_map(|of| Some((of.get("matched_text")?.as_str()?, of.get("alt").and_then(Value::as_str).unwrap_or(""))))
        .collect();
    let mut out = String::new();
    let mut rest = said;
    while let Some((before, behind)) = rest.split_once(MARK_OPENS) {
        out.push_str(before);
        let Some((mark, after)) = behind.split_once(MARK_CLOSES) else {
            out.push_str(behind);
            return out;
        };
        let whole = format!("{MARK_OPENS}{mark}{MARK_CLOSES}");
        out.push_str(words.get(whole.as_str()).copied().unwrap_or_default());
        rest = after;
    }
    out.push_str(rest);
    out
}
