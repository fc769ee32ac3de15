//! `millrace history import`: conversations from files, those of other programs among them.
//!
//! # Invariants
//! - Each conversation is one transaction: an import that ends early has lost none of those it told of.
//! - What was imported before is known by its source and id, and is not imported again unless that was asked for.
//! - What could not be taken over is told, with the reason.

mod files;
mod told;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::chat::{ConversationId, Limits, Origin, Summary, UnixMs};
use crate::export::import::{Imported, Left, Source};
use crate::headless::escape;
use crate::store::{Store, StoreError};
use crate::text;

use super::history::{Failure, Terminal, row_json};
use files::Found;

/// Conversations that were read and wait to be written.
const WAITING: usize = 2;
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_millis(200);

/// One import as it was asked for.
#[derive(Clone, Debug)]
pub struct Import {
    /// A file, an archive or a folder; `-`: standard input.
    pub file: PathBuf,
    /// Also what was imported before.
    pub again: bool,
    /// Only say what would be.
    pub dry_run: bool,
    /// Standard error is a terminal: it is told how far it is.
    pub progress: bool,
    pub limits: Limits,
}

/// What became of one conversation or file.
enum Entry {
    Imported { row: Summary, source: Source, origin: Option<Origin>, left: Left, new_id: bool },
    Skipped { file: String, item: Option<u64>, title: String, why: String, known: Option<ConversationId> },
}

#[derive(Default)]
struct Report {
    entries: Vec<Entry>,
    left: Left,
    /// Files of other kinds in an archive or folder.
    other_files: u64,
    single: bool,
    bytes: u64,
}

impl Report {
    fn imported(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry, Entry::Imported { .. })).count()
    }

    fn known(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry, Entry::Skipped { known: Some(_), .. })).count()
    }
}

pub(super) async fn import(
    store: &Store,
    ask: &Import,
    as_json: bool,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let bad = |why: &str| Failure::Usage(format!("{} cannot be imported: {why}", ask.file.display()));
    let mut taker = Taker::new(store, ask).await?;
    let (sender, mut receiver) = tokio::sync::mpsc::channel(WAITING);
    let (path, limits) = (ask.file.clone(), Arc::new(ask.limits.clone()));
    let walking = std::thread::Builder::new()
        .name("import".into())
        .spawn(move || files::walk(&path, &limits, &sender))
        .map_err(Failure::Write)?;
    let mut progress = Progress { at: Instant::now(), shown: false };
    let mut failed = None;
    while let Some(found) = receiver.recv().await {
        if let Found::Read { bytes, of } = &found {
            taker.report.bytes = *bytes;
            if ask.progress {
                progress.tell(terminal, taker.report.imported(), *bytes, *of)?;
            }
        }
        if let Err(error) = taker.take(found).await {
            failed = Some(error);
            break;
        }
    }
    drop(receiver);
    // It has nobody to tell any more, or has told all.
    let _ = walking.join();
    progress.end(terminal)?;
    let report = taker.report;
    if let Some(error) = failed {
        let done = report.imported();
        if done > 0 {
            writeln!(terminal.err, "{done} conversations were imported before this:")?;
        }
        return Err(error.into());
    }
    let first = report.entries.iter().find_map(|entry| match entry {
        Entry::Skipped { why, known: None, .. } => Some(why.as_str()),
        Entry::Skipped { .. } | Entry::Imported { .. } => None,
    });
    if report.imported() == 0 && report.known() == 0 && report.entries.len() <= 1 {
        return Err(bad(first.unwrap_or("it holds no conversations")));
    }
    match &report.entries[..] {
        [Entry::Imported { row, new_id, source: Source::Millrace, .. }] if report.single && !ask.dry_run => {
            if as_json {
                let mut object = row_json(row);
                object["imported_as_new_id"] = (*new_id).into();
                terminal.out.write_all(&escape::line(&object))?;
            } else {
                let title = text::sanitize(&row.title).one_line();
                writeln!(terminal.out, "Imported: {title}   {}", row.id.as_str())?;
                if *new_id {
                    writeln!(terminal.err, "Its id is in use here, so it has a new one.")?;
                }
            }
        }
        _ if as_json => terminal.out.write_all(&escape::line(&told::json(&report, ask.dry_run)))?,
        _ => told::table(&report, ask.dry_run, terminal)?,
    }
    match first {
        Some(why) if report.imported() == 0 && report.known() == 0 => Err(bad(why)),
        Some(_) | None => Ok(()),
    }
}

/// Writes conversations, but for those that are known.
struct Taker<'a> {
    store: &'a Store,
    ask: &'a Import,
    /// What came from other programs, and when it was last written to there.
    known: HashMap<(String, String), (ConversationId, UnixMs)>,
    /// Ours that this import has brought.
    own: HashSet<ConversationId>,
    report: Report,
}

impl<'a> Taker<'a> {
    async fn new(store: &'a Store, ask: &'a Import) -> Result<Self, StoreError> {
        let known = store.imported().await?;
        Ok(Self {
            store,
            ask,
            known: known.into_iter().map(|(from, id)| ((from.source, from.id), (id, from.updated))).collect(),
            own: HashSet::new(),
            report: Report::default(),
        })
    }

    async fn take(&mut self, found: Found) -> Result<(), StoreError> {
        match found {
            Found::Conversation(imported) => self.conversation(*imported).await?,
            Found::Refused { file, item, title, why } => {
                self.report.entries.push(Entry::Skipped { file, item: Some(item), title, why, known: None });
            }
            Found::Left { file, why } => {
                self.report.entries.push(Entry::Skipped { file, item: None, title: String::new(), why, known: None });
            }
            Found::Other => self.report.other_files += 1,
            Found::Single => self.report.single = true,
            Found::Read { .. } => {}
        }
        Ok(())
    }

    async fn conversation(&mut self, imported: Imported) -> Result<(), StoreError> {
        let Imported { source, mut tree, origin, left } = imported;
        let times = &mut tree.shown.summary;
        if times.created == 0 {
            // The file does not say when.
            times.created = jiff::Timestamp::now().as_millisecond();
            times.updated = times.updated.max(times.created);
        }
        let mut row = tree.shown.summary.clone();
        if let Some((id, why)) = self.is_known(&row, origin.as_ref()).await? {
            let title = row.title;
            self.report.entries.push(Entry::Skipped { file: String::new(), item: None, title, why, known: Some(id) });
            return Ok(());
        }
        let asked = row.id.clone();
        if self.ask.dry_run {
            let said = |m: &Arc<crate::chat::Message>| !matches!(m.body, crate::chat::Body::Tool(_));
            let count = tree.shown.messages.iter().chain(&tree.aside).filter(|m| said(m)).count();
            row.messages = u32::try_from(count).unwrap_or(u32::MAX);
        } else {
            match self.store.import(tree).await {
                Ok(id) => row = self.store.summary(&id).await?,
                Err(StoreError::Row(why)) => {
                    let title = row.title;
                    self.report.entries.push(Entry::Skipped {
                        file: String::new(),
                        item: None,
                        title,
                        why,
                        known: None,
                    });
                    return Ok(());
                }
                Err(other) => return Err(other),
            }
        }
        if let Some(from) = &origin {
            self.known.insert((from.source.clone(), from.id.clone()), (row.id.clone(), from.updated));
        } else {
            self.own.insert(asked.clone());
        }
        self.report.left.add(left);
        let new_id = source == Source::Millrace && row.id != asked;
        self.report.entries.push(Entry::Imported { row, source, origin, left, new_id });
        Ok(())
    }

    /// The one that is here already, and what to say of it.
    async fn is_known(
        &self,
        row: &Summary,
        origin: Option<&Origin>,
    ) -> Result<Option<(ConversationId, String)>, StoreError> {
        if self.ask.again {
            return Ok(None);
        }
        if let Some(from) = origin {
            let known = self.known.get(&(from.source.clone(), from.id.clone()));
            return Ok(known.map(|(id, updated)| {
                let why = match from.updated > *updated {
                    true => "imported before; it went on there since (--again imports it beside that)",
                    false => "imported before",
                };
                (id.clone(), why.to_owned())
            }));
        }
        // A file with one of ours in it is a copy that somebody wants; of many, those that are here are not.
        if self.own.contains(&row.id) {
            return Ok(Some((row.id.clone(), "it stands in these files twice".into())));
        }
        if self.report.single || row.id.as_str().is_empty() {
            return Ok(None);
        }
        match self.store.summary(&row.id).await {
            Ok(_) => Ok(Some((row.id.clone(), "it is here already".into()))),
            Err(StoreError::NotFound(_)) => Ok(None),
            Err(other) => Err(other),
        }
    }
}

/// How far it is, in one line that is written over.
struct Progress {
    at: Instant,
    shown: bool,
}

impl Progress {
    fn tell(&mut self, terminal: &mut Terminal<'_>, done: usize, bytes: u64, of: Option<u64>) -> Result<(), Failure> {
        if self.at.elapsed() < PROGRESS {
            return Ok(());
        }
        (self.at, self.shown) = (Instant::now(), true);
        let of = of.map(|of| format!(" of {}", told::size(of))).unwrap_or_default();
        write!(terminal.err, "\r\x1b[K{} read{of}, {done} conversations imported", told::size(bytes))?;
        terminal.err.flush()?;
        Ok(())
    }

    fn end(&self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        if self.shown {
            write!(terminal.err, "\r\x1b[K")?;
        }
        Ok(())
    }
}
