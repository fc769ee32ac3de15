//! Titles of conversations, made by the model in the background where that is configured.
//!
//! # Invariants
//! - A person's words hold: a title is asked for only where nobody gave one, and kept only where still nobody did.
//! - Nothing waits for it: a turn that begins, or the end of the engine, lets go of the request.
//! - Only of what is kept; one request at a time for a conversation, and few in all.
//!
//! # Does not
//! Say anything where it fails: the first line stands as before, and the log tells why.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::task::JoinSet;

use super::port::{Model, ModelEvent};
use super::run::{Engine, Inbound};
use super::sampling::RULED;
use crate::chat::{
    Aside, AsideKind, Body, Change, ConversationId, Delta, Durability, Lacks, Message, MessageId, Part, Request,
    Sampling, ToolChoice, TurnEvent, TurnId, TurnSettings, Usage, for_summary, is_filtered, is_length,
};
use crate::text;

const PROMPT: &str = include_str!("../../assets/title-prompt.md");
/// What is shown of the conversation, in bytes; a title needs no more.
const SHOWN: usize = 4096;
/// The longest answer, in tokens: enough for a model that thinks a little first.
const MOST_TOKENS: u64 = 512;
/// The longest answer that is read, in bytes, and the time that it has.
const MOST_BYTES: usize = 4096;
const TIME: Duration = Duration::from_secs(60);
/// How often it is asked again because the endpoint refused a part of the request.
const MOST_ADAPTED: u32 = 8;
/// How often a conversation is asked for, where requests gave way.
const MOST_TRIES: u8 = 3;
/// The longest title, in characters.
const LONGEST: usize = 60;

/// Who makes titles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Titles {
    /// None: the one that answered.
    pub model: Option<TitleModel>,
}

/// A model that makes titles of what its own endpoint answered. Elsewhere its name says nothing, or another model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TitleModel {
    pub name: String,
    pub base_url: String,
}

/// The titles that are being made.
#[derive(Default)]
pub(super) struct Titling {
    tries: HashMap<ConversationId, u8>,
    /// Dropped, the connections go.
    open: JoinSet<()>,
}

impl Titling {
    /// A question, or the end, is more important.
    pub(super) fn give_way(&mut self) {
        self.open = JoinSet::new();
    }
}

/// How it gets on.
#[derive(Debug)]
pub(super) enum TitleStep {
    /// The model was asked.
    Answered { title: Result<String, String>, aside: Option<Aside> },
    /// It is kept, and it is the conversation's.
    Stands(String),
}

impl Engine {
    /// A turn has ended well: its conversation gets a title where it has none.
    pub(super) fn make_title(&mut self, turn: TurnId) {
        let Some(titles) = self.config.titles.clone() else { return };
        let Some(running) = self.turns.get(&turn) else { return };
        let conversation = running.conversation().clone();
        let (model, settings) = running.asks();
        let history = running.history();
        if !self.keeps(&conversation)
            || !history.iter().any(|m| matches!(&m.body, Body::Assistant(a) if !a.text.is_empty()))
        {
            return;
        }
        let named = titles.model.filter(|named| named.base_url == model.base_url());
        let request = request(named.map(|named| named.name), settings, history);
        let tries = self.titling.tries.entry(conversation.clone()).or_default();
        if *tries >= MOST_TRIES {
            return;
        }
        *tries += 1;
        let (given, inbound, clock) =
            (self.journal.title(conversation.clone()), self.inbound.clone(), Arc::clone(&self.clock));
        self.titling.open.spawn(async move {
            // Also where that cannot be read.
            if !matches!(given.await, Ok(None)) {
                return;
            }
            let asked = request.model.clone();
            let (title, usage) = match tokio::time::timeout(TIME, ask(&*model, request)).await {
                Ok(answer) => answer,
                Err(_) => (Err(format!("it took longer than {} s", TIME.as_secs())), Usage::default()),
            };
            let used = usage.input.is_some() || usage.output.is_some();
            let aside = used.then(|| Aside::new(AsideKind::Title, &asked, clock.now().wall_ms, usage));
            let _ = inbound.send(Inbound::Title(conversation, TitleStep::Answered { title, aside })).await;
        });
    }

    pub(super) fn titled(&mut self, conversation: ConversationId, step: TitleStep) {
        match step {
            TitleStep::Answered { title, aside } => {
                // What was answered is not asked for again.
                self.titling.tries.insert(conversation.clone(), MOST_TRIES);
                if let Some(aside) = aside {
                    self.aside(&conversation, aside);
                }
                match title {
                    Ok(title) => self.keep_title(conversation, title),
                    Err(why) => tracing::info!("no title was made: {why}"),
                }
            }
            TitleStep::Stands(title) => self.emit(TurnEvent::Titled { conversation, title }),
        }
    }

    fn keep_title(&self, conversation: ConversationId, title: String) {
        let change = Change::Titled { conversation: conversation.clone(), title: title.clone() };
        let written = self.journal.apply(vec![change], Durability::Written);
        let (journal, inbound) = (Arc::clone(&self.journal), self.inbound.clone());
        tokio::spawn(async move {
            let result = written.await;
            let saved = result.is_ok();
            let _ = inbound.send(Inbound::Store(result)).await;
            // A person may have been faster.
            if saved && journal.title(conversation.clone()).await.is_ok_and(|given| given.as_ref() == Some(&title)) {
                let _ = inbound.send(Inbound::Title(conversation, TitleStep::Stands(title))).await;
            }
        });
    }

    /// Counts what was asked for a conversation beside its turns.
    pub(super) fn aside(&mut self, conversation: &ConversationId, aside: Aside) {
        if self.keeps(conversation) {
            let change = Change::Aside { conversation: conversation.clone(), aside: aside.clone() };
            self.write(vec![change], Durability::Written);
        }
        self.emit(TurnEvent::Aside { conversation: conversation.clone(), aside });
    }
}

fn request(named: Option<String>, settings: TurnSettings, history: &[Arc<Message>]) -> Request {
    // The beginning tells what it is about.
    let mut users = history.iter().enumerate().filter(|(_, message)| matches!(message.body, Body::User(_)));
    let end = users.nth(1).map_or(history.len(), |(at, _)| at);
    let (beginning, _) = for_summary(&history[..end], None, SHOWN);
    let asked = format!("The conversation:\n\n{}\n\nWrite its title now.", beginning.trim_end());
    let message =
        Message { id: MessageId::new("title"), parent: None, at: 0, body: Body::User(vec![Part::text(asked)]) };
    let own = settings.sampling;
    let (other, lacks) = match named {
        // What the one lacks says nothing of the other.
        Some(model) if model != settings.model => (Some(model), Lacks::default()),
        Some(_) | None => (None, settings.lacks),
    };
    // Nor what was configured for it.
    let (reasoning_effort, params) = match &other {
        Some(_) => (None, Vec::new()),
        None => {
            (own.reasoning_effort, own.params.into_iter().filter(|(key, _)| !RULED.contains(&key.as_str())).collect())
        }
    };
    Request {
        model: other.unwrap_or(settings.model),
        system: Some(PROMPT.trim_end().to_owned()),
        messages: vec![Arc::new(message)],
        tools: None,
        tool_choice: ToolChoice::Auto,
        sampling: Sampling { reasoning_effort, params, max_output_tokens: Some(MOST_TOKENS), ..Sampling::default() },
        lacks,
    }
}

/// One answer of the model: the title in it, or why there is none, and what it took.
async fn ask(model: &dyn Model, request: Request) -> (Result<String, String>, Usage) {
    let mut usage = Usage::default();
    for attempt in 1..=MOST_ADAPTED {
        let mut events = model.respond_aside(request.clone(), attempt);
        let (mut text, mut finish, mut error) = (String::new(), None, None);
        let mut adapted = false;
        while let Some(event) = events.next().await {
            match event {
                ModelEvent::Slow(_) | ModelEvent::FirstByte => {}
                ModelEvent::Deltas(event) => {
                    for delta in event.deltas {
                        match delta {
                            Delta::Text(more) if text.len() < MOST_BYTES => text.push_str(&more),
                            Delta::Usage(told) => usage = Usage::of(&told),
                            Delta::Finish { reason, .. } => finish = Some(reason),
                            Delta::Error(told) => error = Some(told.message),
                            Delta::Text(_)
                            | Delta::Reasoning(_)
                            | Delta::Refusal(_)
                            | Delta::Call(_)
                            | Delta::Extra(_)
                            | Delta::Done => {}
                        }
                    }
                }
                ModelEvent::Ended => break,
                ModelEvent::Failed { fault, .. } => return (Err(fault.message), usage),
                ModelEvent::Adapted(_) => {
                    adapted = true;
                    break;
                }
            }
        }
        if adapted {
            continue;
        }
        let title = match (error, finish) {
            (Some(error), _) => Err(error),
            (None, None) => Err("the answer broke off".to_owned()),
            (None, Some(word)) if is_length(&word) || is_filtered(&word) => Err(format!("the answer ended by {word}")),
            (None, Some(_)) => title(&text).ok_or_else(|| "the answer has no title in it".to_owned()),
        };
        return (title, usage);
    }
    (Err("the endpoint refuses the request".to_owned()), usage)
}

/// The title in an answer: its first words on one line, without what models put around them. None where nothing is left.
fn title(answer: &str) -> Option<String> {
    let clean = text::sanitize(answer);
    let line = clean.as_str().lines().map(str::trim).find(|line| line.chars().any(char::is_alphanumeric))?;
    // A thought that was not told apart is none.
    if line.starts_with('<') {
        return None;
    }
    let around =
        |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '“' | '”' | '„' | '«' | '»' | '`' | '*' | '#' | '_');
    let line = line.trim_matches(around);
    let line = match line.split_once(':') {
        Some((word, rest)) if word.eq_ignore_ascii_case("title") => rest.trim_matches(around),
        Some(_) | None => line,
    };
    let words: Vec<&str> = line.trim_end_matches(['.', '。']).split_whitespace().collect();
    let mut out = String::new();
    for word in words {
        let longer = out.chars().count() + 1 + word.chars().count();
        if longer > LONGEST && !out.is_empty() {
            break;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().take(LONGEST));
    }
    Some(out).filter(|out| out.chars().any(char::is_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn a_title_is_one_bounded_line_without_what_models_put_around_it() {
        for (answer, expect) in [
            ("Rivers of Europe", Some("Rivers of Europe")),
            ("\n\n**Title: \"Rivers of Europe.\"**\n\nIs that good?", Some("Rivers of Europe")),
            ("# Rivers: an overview", Some("Rivers: an overview")),
            ("ヨーロッパの川。", Some("ヨーロッパの川")),
            ("\u{1b}[31mRed\u{1b}[0m \u{202e}rivers", Some("Red rivers")),
            ("<think>hm", None),
            ("  \n***\n", None),
            ("", None),
        ] {
            assert_eq!(title(answer).as_deref(), expect, "{answer:?}");
        }
        let long = title(&"many words ".repeat(50)).unwrap();
        assert!(long.chars().count() <= super::LONGEST && long.ends_with(" many"), "{long}");
        assert_eq!(title(&"x".repeat(500)).unwrap().chars().count(), super::LONGEST);
    }
}
