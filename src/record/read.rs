//! A recording read back: bounded, with the line named where something is wrong.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::chat::{Fault, FaultKind, Order, Retry};

use super::line::{Entry, FORMAT, Header, Line, VERSION};

/// A recording as it stands in its file.
#[derive(Clone, Debug)]
pub struct Recording {
    pub header: Header,
    /// In the order in which it happened.
    pub(super) entries: Vec<Entry>,
    /// What a person should know of it: lines that are missing, cut or not understood.
    pub notices: Vec<String>,
}

/// What is read first, so that a newer file is named as such and not as broken.
#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    format: String,
    #[serde(default)]
    version: u32,
}

impl Recording {
    /// Reads a file of at most `most` bytes.
    ///
    /// # Errors
    /// `Usage`: it cannot be read, is no recording or a newer one, is too large, or holds no turn.
    pub fn read(path: &Path, most: u64) -> Result<Self, Fault> {
        let name = path.display().to_string();
        let bad = |why: String| fault(format!("{name}: {why}"));
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes))
            .map_err(|error| bad(format!("it cannot be read: {error}.")))?;
        if bytes.len() as u64 > most {
            return Err(bad(format!("it is larger than {} MiB (limit import).", most >> 20)));
        }
        Self::parse(&name, &bytes)
    }

    /// Reads a text; `name` stands in what is said about it.
    ///
    /// # Errors
    /// As [`Recording::read`].
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Fault> {
        let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
        let first = lines.next().map(|(_, line)| line).unwrap_or_default();
        let foreign = || {
            fault(format!("{name}:1: this is no recording of millrace."))
                .hint("`millrace run --record FILE …` makes one; a response body is for `millrace decode`.")
        };
        let head: Head = serde_json::from_slice(first).map_err(|_| foreign())?;
        if head.format != FORMAT {
            return Err(foreign());
        }
        if head.version > VERSION {
            return Err(fault(format!(
                "{name}:1: this recording is of version {}; this millrace reads up to version {VERSION}.",
                head.version
            ))
            .hint("A newer millrace reads it."));
        }
        let header: Header = serde_json::from_slice(first)
            .map_err(|error| fault(format!("{name}:1: the header is broken: {error}.")))?;
        let mut entries = Vec::new();
        let mut notices = Vec::new();
        let mut unknown: BTreeMap<String, usize> = BTreeMap::new();
        let mut missing = 0;
        let mut closed = false;
        for (at, line) in lines {
            let number = at + 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let entry: Entry = match serde_json::from_slice(line) {
                Ok(entry) => entry,
                Err(_) if !line.ends_with(b"\n") => {
                    notices.push(format!("{name}:{number}: the last line is cut; the recording ends before it."));
                    continue;
                }
                Err(error) => return Err(fault(format!("{name}:{number}: this line cannot be read: {error}."))),
            };
            match &entry.line {
                Line::Unknown => {
                    let kind = serde_json::from_slice::<Value>(line).ok();
                    let kind = kind.as_ref().and_then(|line| line.get("kind")?.as_str()).unwrap_or("?");
                    *unknown.entry(kind.chars().take(40).collect()).or_default() += 1;
                    continue;
                }
                Line::Missing { lines } => missing += lines,
                Line::Closed {} => closed = true,
                Line::Chunk { bytes, .. } => {
                    if let Err(error) = bytes.bytes() {
                        return Err(fault(format!("{name}:{number}: the bytes of this line are broken: {error}.")));
                    }
                }
                _ => {}
            }
            entries.push(entry);
        }
        if !entries.iter().any(|entry| matches!(&entry.line, Line::Order { order } if begins_turn(order))) {
            return Err(fault(format!("{name}: nothing was asked in this recording, so there is nothing to play.")));
        }
        // Lines that waited for their secrets to be looked for stand behind later ones.
        entries.sort_by_key(|entry| entry.n);
        let skipped = unknown.iter().map(|(kind, count)| format!("{count} of kind {kind:?}"));
        let skipped = skipped.collect::<Vec<_>>().join(", ");
        if !skipped.is_empty() {
            notices.push(format!("{name}: lines that this version does not know are skipped: {skipped}."));
        }
        if missing > 0 {
            notices.push(format!("{name}: {missing} lines were lost when it was made; the replay may go other ways."));
        }
        if !closed {
            notices.push(format!("{name}: the session did not end in order, or was not recorded to its end."));
        }
        Ok(Self { header, entries, notices })
    }
}

pub(super) fn begins_turn(order: &Order) -> bool {
    match order {
        Order::Submit(_) | Order::Continue { .. } | Order::AskAgain { .. } | Order::RunAgain { .. } => true,
        Order::Decide { .. }
        | Order::CancelCall { .. }
        | Order::CancelTurn { .. }
        | Order::Interject { .. }
        | Order::RetryNow { .. }
        | Order::Server { .. }
        | Order::SignIn { .. }
        | Order::Answer { .. }
        | Order::Sample { .. }
        | Order::Query { .. }
        | Order::AcceptChanges { .. }
        | Order::Toolset { .. }
        | Order::Branch { .. }
        | Order::Compact { .. }
        | Order::Summary { .. }
        | Order::Rename { .. } => false,
    }
}

fn fault(message: String) -> Fault {
    Fault::new(FaultKind::Usage, message).retry(Retry::AfterChange)
}
