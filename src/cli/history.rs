//! `millrace history`: past conversations, listed, found, shown, taken out and in.

use std::io::{BufRead, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::chat::{Body, Conversation, FaultKind, Hit, Message, Summary, ToolCall, ToolOutcome};
use crate::headless::escape;
use crate::store::{OpenMode, Page, Store, StoreError};
use crate::{text, wire};

use super::exchange::{self, Export};
use super::import::{self, Import};
use super::removal;
pub use super::removal::Removal;

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub command: Command,
    pub json: bool,
}

#[derive(Clone, Debug)]
pub enum Command {
    List {
        /// Those that were deleted and are still kept.
        deleted: bool,
    },
    Search {
        query: String,
    },
    Show {
        id: String,
    },
    Export(Box<Export>),
    Import(Box<Import>),
    Rename {
        id: String,
        title: String,
    },
    Delete(Removal),
    Restore {
        id: String,
    },
}

/// Where it is read from and written to.
pub struct Terminal<'a> {
    pub input: &'a mut dyn BufRead,
    pub out: &'a mut dyn Write,
    pub err: &'a mut dyn Write,
    /// `out` is a terminal: what is written there is made safe for it.
    pub drawn: bool,
    /// Somebody can answer a question.
    pub answers: bool,
    pub width: usize,
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

impl Failure {
    fn code(&self) -> u8 {
        match self {
            Self::Store(StoreError::NotFound(_) | StoreError::Ambiguous { .. }) | Self::Usage(_) => {
                FaultKind::Usage.exit_code()
            }
            Self::Store(_) => FaultKind::Store.exit_code(),
            // The reader of a pipe has had enough.
            Self::Write(error) if error.kind() == std::io::ErrorKind::BrokenPipe => 0,
            Self::Write(_) => FaultKind::Internal.exit_code(),
        }
    }
}

/// Says on standard error what went wrong and what to do; returns the exit code.
pub fn tell(failure: &Failure, err: &mut dyn Write) -> u8 {
    let code = failure.code();
    if code != 0 {
        let _ = writeln!(err, "error: {}", text::sanitize(&failure.to_string()));
        if let Failure::Store(error) = failure {
            if let StoreError::Ambiguous { candidates, .. } = error {
                for row in candidates {
                    let _ = writeln!(err, "  {}  {}", line(row.id.as_str()), line(&row.title));
                }
            }
            let _ = writeln!(err, "{}", text::sanitize(&error.hint()));
        }
    }
    code
}

/// Runs it; returns the exit code: 7 where the store cannot be opened, 2 where the id names none or several.
pub async fn run(ask: &Ask, store: &Path, terminal: &mut Terminal<'_>) -> u8 {
    match answer(ask, store, terminal).await {
        Ok(()) => 0,
        Err(failure) => tell(&failure, terminal.err),
    }
}

async fn answer(ask: &Ask, path: &Path, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let changes = matches!(
        ask.command,
        Command::Rename { .. } | Command::Delete(_) | Command::Restore { .. } | Command::Import(_)
    );
    let store = match Store::open(path, OpenMode::Write) {
        // A read-only disk is no reason not to show what is on it.
        Err(StoreError::ReadOnly { .. } | StoreError::Io { .. }) if !changes && path.is_file() => {
            Store::open(path, OpenMode::Read)?
        }
        opened => opened?,
    };
    match &ask.command {
        Command::List { deleted } => list(&store, *deleted, ask.json, terminal).await,
        Command::Search { query } => search(&store, query, ask.json, terminal).await,
        Command::Show { id } => {
            let id = store.resolve(id, None).await?;
            let conversation = store.open_whole(&id).await?;
            if ask.json {
                terminal.out.write_all(&escape::line(&as_json(&conversation)))?;
            } else {
                show(&conversation, terminal)?;
            }
            Ok(())
        }
        Command::Export(export) => exchange::export(&store, export, ask.json, terminal).await,
        Command::Import(import) => import::import(&store, import, ask.json, terminal).await,
        Command::Rename { id, title } => {
            let id = store.resolve(id, None).await?;
            store.rename(&id, title).await?;
            let row = store.summary(&id).await?;
            if ask.json {
                terminal.out.write_all(&escape::line(&row_json(&row)))?;
            } else {
                say(terminal, &format!("Renamed to: {}", row.title))?;
            }
            Ok(())
        }
        Command::Delete(removal) => removal::delete(&store, removal, ask.json, terminal).await,
        Command::Restore { id } => removal::restore(&store, id, ask.json, terminal).await,
    }
}

async fn list(store: &Store, deleted: bool, as_json: bool, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let rows = store.list(Page { limit: usize::MAX, deleted, ..Page::default() }).await?;
    if as_json {
        let rows: Vec<Value> = rows.iter().map(row_json).collect();
        terminal.out.write_all(&escape::line(&Value::from(rows)))?;
        return Ok(());
    }
    if rows.is_empty() {
        say(terminal, if deleted { "Nothing that was deleted is still kept." } else { "No conversations yet." })?;
    }
    for row in &rows {
        let line = row_line(row, terminal);
        say(terminal, &line)?;
    }
    Ok(())
}

async fn search(store: &Store, query: &str, as_json: bool, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let page = store.search(query, 100).await?;
    if as_json {
        let hits: Vec<Value> = page.hits.iter().map(hit_json).collect();
        let took = page.took.as_secs_f64() * 1000.0;
        let found = json!({"total": page.total, "more": page.more, "ms": took, "hits": hits});
        terminal.out.write_all(&escape::line(&found))?;
        return Ok(());
    }
    for hit in &page.hits {
        let row = row_line(&hit.summary, terminal);
        say(terminal, &row)?;
        if hit.matches > 0 {
            say(terminal, &format!("    {}", one_line(&hit.snippet)))?;
        }
    }
    let more = if page.more { " or more" } else { "" };
    writeln!(terminal.err, "{}{more} match in {} ms", page.total, page.took.as_millis())?;
    Ok(())
}

/// A line for people: safe on a terminal, raw in a pipe or file.
pub(super) fn say(terminal: &mut Terminal<'_>, said: &str) -> Result<(), Failure> {
    if terminal.drawn {
        writeln!(terminal.out, "{}", text::cut(&line(said), terminal.width.max(20)))?;
    } else {
        writeln!(terminal.out, "{said}")?;
    }
    Ok(())
}

pub(super) fn line(raw: &str) -> String {
    text::sanitize(raw).as_str().replace(['\n', '\t'], " ")
}

fn one_line(raw: &str) -> String {
    raw.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn row_line(row: &Summary, terminal: &Terminal<'_>) -> String {
    let time = time(row.updated);
    let state = match (row.interrupted, row.failed_calls) {
        // For whatever reason; `history show` tells it.
        (true, _) => "   cut short",
        (false, 0) => "",
        (false, _) => "   failed calls",
    };
    // Thirteen characters are the moment of its beginning: unique but for those begun in the same millisecond.
    let id = if terminal.drawn { row.id.as_str().get(..13).unwrap_or(row.id.as_str()) } else { row.id.as_str() };
    let pin = if row.pinned { '*' } else { ' ' };
    format!("{id}  {time} {pin} {:>4}  {}   {}{state}", row.messages, one_line(&row.title), row.model)
}

pub(super) fn time(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms)
        .map(|t| t.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string())
        .unwrap_or_default()
}

pub(super) fn row_json(row: &Summary) -> Value {
    json!({
        "id": row.id.as_str(),
        "title": row.title,
        "folder": row.folder,
        "model": row.model,
        "created": row.created,
        "updated": row.updated,
        "messages": row.messages,
        "calls": row.calls,
        "failed_calls": row.failed_calls,
        "tokens": row.tokens,
        "pinned": row.pinned,
        "interrupted": row.interrupted,
    })
}

fn hit_json(hit: &Hit) -> Value {
    let mut object = row_json(&hit.summary);
    object["message"] = hit.message.as_str().into();
    object["snippet"] = hit.snippet.clone().into();
    object["marks"] = hit.marks.iter().map(|(from, to)| json!([from, to])).collect();
    object["matches"] = hit.matches.into();
    object
}

/// The contract's object: `id title folder model messages calls`, and what else is known.
fn as_json(conversation: &Conversation) -> Value {
    let mut object = row_json(&conversation.summary);
    object["base_url"] = conversation.base_url.clone().into();
    object["system"] = conversation.system.clone().into();
    object["messages"] = wire::messages_json(&conversation.messages);
    object["calls"] = conversation.messages.iter().flat_map(|m| calls(conversation, m)).collect();
    object
}

fn calls(conversation: &Conversation, message: &Message) -> Vec<Value> {
    let Body::Assistant(answer) = &message.body else { return Vec::new() };
    answer.calls.iter().map(|call| call_json(call, outcome(conversation, call))).collect()
}

fn outcome<'a>(conversation: &'a Conversation, call: &ToolCall) -> Option<&'a ToolOutcome> {
    conversation.messages.iter().find_map(|m| match &m.body {
        Body::Tool(tool) if tool.call == call.id => Some(tool.outcome.as_ref()),
        Body::Tool(_) | Body::User(_) | Body::Assistant(_) => None,
    })
}

fn call_json(call: &ToolCall, outcome: Option<&ToolOutcome>) -> Value {
    json!({
        "call": call.id.as_str(),
        "index": call.index,
        "wire_name": call.wire_name,
        "server": call.tool.as_ref().map(|t| t.server.as_str()),
        "tool": call.tool.as_ref().map(|t| t.tool.as_ref()),
        "arguments": call.arguments.as_ref(),
        "state": outcome.map(|o| o.kind.word()),
        "content": outcome.map(|o| o.content.as_str()),
        "structured": outcome.and_then(|o| o.structured.as_ref()),
        "full": outcome.and_then(|o| o.full.as_deref()),
        "bytes": outcome.map(|o| o.bytes),
        "truncated": outcome.map(|o| o.truncated),
        "sent": outcome.map(|o| o.sent),
        "ms": outcome.map(|o| o.ms),
    })
}

fn show(conversation: &Conversation, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let row = &conversation.summary;
    say(terminal, &row.title)?;
    say(terminal, &format!("{}   {}   {}   {}", row.id.as_str(), time(row.created), row.model, row.folder))?;
    for message in &conversation.messages {
        let (who, said) = match &message.body {
            Body::User(_) => ("you".to_owned(), message.plain_text()),
            Body::Assistant(answer) => {
                let mut said = message.plain_text();
                if let Some(cut) = answer.cut() {
                    said.push_str(&format!("\n({})", cut.words()));
                }
                for call in &answer.calls {
                    let name = call.tool.as_ref().map_or_else(|| call.wire_name.clone(), |t| t.path());
                    said.push_str(&format!("\n→ {name} {}", call.arguments));
                }
                (answer.model.clone(), said)
            }
            Body::Tool(tool) => (format!("tool, {}", tool.outcome.kind.word()), message.plain_text()),
        };
        say(terminal, "")?;
        say(terminal, &format!("┃ {who}   {}", time(message.at)))?;
        for said in said.trim().lines() {
            if terminal.drawn {
                writeln!(terminal.out, "┃ {}", text::sanitize(said))?;
            } else {
                writeln!(terminal.out, "┃ {said}")?;
            }
        }
    }
    Ok(())
}
