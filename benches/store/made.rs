//! Conversations made up in any number: the same each time, words as rare and as common as in a language, several
//! scripts, calls with their results, titles, folders, a year and more of dates.

use std::sync::Arc;

use millrace::chat::{
    Answer, AnswerState, Body, CallId, Change, ConversationId, Message, MessageId, OutcomeKind, Part, ToolCall,
    ToolMessage, ToolOutcome, ToolRef,
};

/// The words that are everywhere, the most common first; behind them come made ones.
const COMMON: [&str; 40] = [
    "the",
    "to",
    "and",
    "of",
    "in",
    "is",
    "it",
    "that",
    "for",
    "with",
    "this",
    "error",
    "retry",
    "server",
    "stream",
    "when",
    "file",
    "function",
    "deadline",
    "token",
    "parser",
    "index",
    "timeout",
    "request",
    "lifetimes",
    "tokio",
    "select",
    "review",
    "prompt",
    "backoff",
    "翻訳",
    "サーバー",
    "错误",
    "重试",
    "größe",
    "сервер",
    "café",
    "std::fmt",
    "connection",
    "database",
];
const SYLLABLES: [&str; 24] = [
    "ka", "lo", "mi", "ren", "tos", "vu", "par", "sel", "din", "qua", "fer", "nox", "bri", "gal", "hem", "jor", "wex",
    "zul", "pyt", "cha", "ond", "est", "ith", "urm",
];
/// Words in all; the rarest stands in some twenty thousand words once.
const VOCABULARY: u64 = 20_000;
const TOOLS: [(&str, &str); 8] = [
    ("fs", "read_file"),
    ("fs", "write_file"),
    ("git", "log"),
    ("git", "blame"),
    ("web", "search"),
    ("web", "fetch"),
    ("postgres", "query"),
    ("mail", "send"),
];
/// Messages of one conversation; with fewer asked for it ends earlier.
const SHAPE: [Kind; 10] = [
    Kind::Question,
    Kind::Calling,
    Kind::Result,
    Kind::Answer,
    Kind::Question,
    Kind::Answer,
    Kind::Question,
    Kind::Calling,
    Kind::Result,
    Kind::Answer,
];
/// 2026-11-01, and how far conversations lie apart, in milliseconds.
const NEWEST: i64 = 1_793_491_200_000;
const APART: i64 = 5 * 60 * 1000;

#[derive(Clone, Copy)]
enum Kind {
    Question,
    Calling,
    Result,
    Answer,
}

/// Numbers without a pattern (xorshift64*).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % below
    }

    /// A word: the one of rank n is n times as rare as the first, more or less.
    fn word(&mut self, out: &mut String) {
        let share = self.roll(1 << 20) as f64 / f64::from(1 << 20);
        let rank = (VOCABULARY as f64).powf(share) as usize - 1;
        match COMMON.get(rank) {
            Some(word) => out.push_str(word),
            None => {
                let mut rest = rank;
                while rest > 0 {
                    out.push_str(SYLLABLES[rest % SYLLABLES.len()]);
                    rest /= SYLLABLES.len();
                }
            }
        }
    }

    fn text(&mut self, words: u64) -> String {
        let mut out = String::new();
        for n in 0..words {
            if n > 0 {
                out.push(' ');
            }
            self.word(&mut out);
        }
        out
    }
}

/// Conversation `n` of `count`, the last one the newest; with so many messages, in rounds of ten.
pub fn conversation(n: u64, count: u64, messages: usize) -> Vec<Change> {
    let mut dice = Dice(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let name = format!("c{n:08}");
    let id = ConversationId::new(&name);
    let at = NEWEST - i64::try_from(count - n).unwrap_or(0) * APART;
    let mut changes = vec![Change::Conversation {
        id: id.clone(),
        folder: format!("/home/ada/src/project{}", n % 40),
        model: ["qwen3-32b", "gpt-5-mini", "claude-sonnet-4-5", "llama-3.3-70b"][(n % 4) as usize].into(),
        base_url: "http://localhost:8000/v1".into(),
        system: None,
        at,
    }];
    let mut parent: Option<MessageId> = None;
    let mut call: Option<ToolCall> = None;
    for m in 0..messages {
        let body = match SHAPE[m % SHAPE.len()] {
            Kind::Question => {
                let mut text = dice.text(12);
                if m == 0 && n % 5_000 == 7 {
                    text.insert_str(0, "xylophone ");
                }
                Body::User(vec![Part::text(text)])
            }
            Kind::Calling => {
                let (server, tool) = TOOLS[dice.roll(TOOLS.len() as u64) as usize];
                let made = ToolCall {
                    id: CallId::new(format!("{name}-{m}")),
                    wire_id: None,
                    index: 0,
                    wire_name: format!("{server}__{tool}"),
                    tool: Some(ToolRef::new(server, tool)),
                    arguments: format!("{{\"path\":\"src/{}.rs\"}}", dice.text(1)).into(),
                    extra: serde_json::Map::new(),
                };
                call = Some(made.clone());
                Body::Assistant(Answer {
                    text: dice.text(6),
                    calls: vec![made],
                    state: AnswerState::Complete,
                    ..Answer::default()
                })
            }
            Kind::Result => {
                let Some(call) = call.take() else { break };
                let kind = if dice.roll(20) == 0 { OutcomeKind::Failed } else { OutcomeKind::Done };
                let mut outcome = ToolOutcome::unsent(kind, dice.text(40));
                outcome.sent = true;
                Body::Tool(ToolMessage { call: call.id, outcome: Arc::new(outcome) })
            }
            Kind::Answer => {
                Body::Assistant(Answer { text: dice.text(40), state: AnswerState::Complete, ..Answer::default() })
            }
        };
        let message = Message { id: MessageId::new(format!("{name}-{m}")), parent, at: at + m as i64, body };
        parent = Some(message.id.clone());
        changes.push(Change::Message { conversation: id.clone(), message: Arc::new(message) });
    }
    if n.is_multiple_of(3) {
        changes.push(Change::Title { conversation: id, title: dice.text(4) });
    }
    changes
}
