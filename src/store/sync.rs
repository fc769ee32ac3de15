//! Waiting for the disk, away from the writer.
//!
//! With `synchronous = NORMAL` a commit in WAL mode ends when its frames are in the log; `FULL` adds one sync of the
//! log. That sync (7 ms where a commit takes 0.03) is made here instead, by a thread of its own: the writer goes on,
//! so that a call's arguments never stand behind the sync of another call's intent, and all commits that wait share
//! one sync. A sync of the log covers every frame before it, so what was acknowledged earlier is never lost later;
//! SQLite itself syncs the log's header, and the log again before each checkpoint.
//!
//! # Invariants
//! - Behind a sync that failed, SQLite's own too, none is believed until the log was written again: the system counts what it
//!   could not write as written, so that the next sync succeeds over a hole, and a log with a hole ends there. See [`Desk::heal`].
//!
//! [`Desk::heal`]: super::worker::Desk::heal

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use super::{StoreError, schema};

/// The log is written again in pieces of so many bytes.
const PIECE: usize = 64 * 1024;

pub(super) type Reply = oneshot::Sender<Result<(), StoreError>>;

/// The thread that syncs. Ends, after the last sync, when this is dropped.
pub(super) struct Syncer {
    queue: Option<mpsc::Sender<Reply>>,
    /// A sync failed, and the log was not written again.
    failed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let wal = schema::wal_path(path);
        let (queue, waiting) = mpsc::channel::<Reply>();
        let failed = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&failed);
        let thread = std::thread::Builder::new()
            .name("store-sync".into())
            .spawn(move || run(&wal, &waiting, &theirs))
            .map_err(|e| StoreError::io(path, &e))?;
        Ok(Self { queue: Some(queue), failed, thread: Some(thread) })
    }

    /// Whether no sync of this log can be believed.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// SQLite could not write or sync, so perhaps not the log: no sync of it can be believed any more.
    pub(super) fn doubt(&self) {
        self.failed.store(true, Ordering::Release);
    }

    /// The log was written again, and what it holds is safe.
    pub(super) fn healed(&self) {
        self.failed.store(false, Ordering::Release);
    }

    /// Answers once everything committed so far is on the disk.
    pub(super) fn sync(&self, reply: Reply) {
        let Some(queue) = &self.queue else { return };
        if let Err(mpsc::SendError(reply)) = queue.send(reply) {
            let _ = reply.send(Err(StoreError::Closed));
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(wal: &Path, waiting: &mpsc::Receiver<Reply>, failed: &AtomicBool) {
    // The log lives as long as the writer's connection; opened at the first use, since it may not exist before.
    let mut log: Option<File> = None;
    let mut why: Result<(), StoreError> = Ok(());
    while let Ok(first) = waiting.recv() {
        let mut replies = vec![first];
        replies.extend(waiting.try_iter());
        let done = match &log {
            _ if failed.load(Ordering::Acquire) => Err(why
                .clone()
                .err()
                .unwrap_or_else(|| StoreError::io(wal, &std::io::Error::other("an earlier write failed")))),
            Some(_) => Ok(()),
            None => open(wal).map(|opened| log = Some(opened)),
        };
        let done = done.and_then(|()| match &log {
            Some(file) => {
                why = file.sync_data().map_err(|e| StoreError::io(wal, &e));
                failed.store(why.is_err(), Ordering::Release);
                why.clone()
            }
            None => Ok(()),
        });
        for reply in replies {
            let _ = reply.send(done.clone());
        }
    }
}

/// Writes what the log holds over itself and waits for the disk: what a sync lost is there again. Nobody else may write it
/// meanwhile.
pub(super) fn write_again(path: &Path) -> Result<(), StoreError> {
    let wal = schema::wal_path(path);
    let again = |log: &mut File| {
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        loop {
            log.seek(SeekFrom::Start(at))?;
            let count = log.read(&mut piece)?;
            if count == 0 {
                break log.sync_data();
            }
            log.seek(SeekFrom::Start(at))?;
            log.write_all(&piece[..count])?;
            at += count as u64;
        }
    };
    again(&mut open(&wal)?).map_err(|e| StoreError::io(&wal, &e))
}

/// The log, once its name is safe: SQLite syncs the folder that it makes it in, but goes on where that fails.
fn open(wal: &Path) -> Result<File, StoreError> {
    // Windows syncs only what is open for writing.
    let file = File::options().read(true).write(true).open(wal).map_err(|e| StoreError::io(wal, &e))?;
    #[cfg(unix)]
    if let Some(folder) = wal.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        schema::sync_folder(folder)?;
    }
    Ok(file)
}
