//! What is done on this computer for the person: files, the clipboard, pages, the configuration, commands of their own.
//!
//! # Invariants
//! - Nothing here holds up the loop: what is slow runs on a thread of its own, and what comes of it is a reply.
//! - What runs is known until it has ended, so that leaving can wait for a draft on its way and stop a command.
//!
//! # Does not
//! Touch the screen, the terminal's modes or the engine.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::clipboard::{self, Surroundings};
use super::{Replies, files, page, picture, settings, shell};
use crate::app::{EditorUse, PathMark, Reply};
use crate::chat::{CallId, Limits, ServerName, ToolOutcome};
use crate::config::editor;
use crate::engine::disk;

/// Where the person works, and what they may write.
pub(super) struct Place {
    /// The working folder: for `@` files, attachments, saved results.
    pub folder: PathBuf,
    pub config_file: PathBuf,
    /// It may be written.
    pub writes: bool,
    pub limits: Arc<Limits>,
}

pub(super) struct Local {
    place: Place,
    around: Surroundings,
    replies: Replies,
    working: JoinSet<()>,
    /// The commands of the person's own that run, one to a conversation.
    commands: shell::Running,
}

impl Local {
    pub(super) fn new(place: Place, replies: Replies) -> Self {
        let (working, commands) = (JoinSet::new(), shell::Running::default());
        Self { place, around: Surroundings::look(), replies, working, commands }
    }

    pub(super) fn around(&self) -> Surroundings {
        self.around
    }

    pub(super) fn reply(&self, reply: Reply) {
        self.replies.send(reply);
    }

    /// Begins what somebody else carries out.
    pub(super) fn work<F: Future<Output = ()> + Send + 'static>(&mut self, begin: impl FnOnce(Replies) -> F) {
        self.working.spawn(begin(self.replies.clone()));
    }

    /// Forgets what has ended.
    pub(super) fn settle(&mut self) {
        while self.working.try_join_next().is_some() {}
    }

    /// The screen is left: commands end, and what is on its way has so long.
    pub(super) async fn end(&mut self, most: Duration) {
        self.commands.stop_all();
        let _ = timeout(most, async { while self.working.join_next().await.is_some() {} }).await;
    }

    pub(super) fn settings(&self, generation: u64, themes: Vec<String>) {
        let path = self.place.config_file.clone();
        self.aside(move || match settings::read(&path) {
            Ok(written) => Reply::Settings { generation, written, themes },
            Err(fault) => Reply::Failed(fault),
        });
    }

    pub(super) fn set_setting(&self, key: String, value: Option<String>) {
        let path = self.place.writes.then(|| self.place.config_file.clone());
        self.aside(move || {
            let result = settings::write(path.as_deref(), &key, value.as_deref());
            Reply::Set { key, value, result }
        });
    }

    /// Opens the configuration in the person's editor, where a server stands; waits until it is closed.
    pub(super) fn edit_config(&self, server: Option<&ServerName>) -> Reply {
        let line = server.and_then(|server| line_of(&self.place.config_file, server.as_str()));
        match editor::open(&self.place.config_file, line) {
            Ok(()) => Reply::EditorClosed { what: EditorUse::View, result: Ok(String::new()) },
            Err(fault) => Reply::Failed(fault),
        }
    }

    pub(super) fn copy(&self, what: &'static str, text: String) {
        let (around, folder) = (self.around, self.place.folder.clone());
        self.aside(move || Reply::Copied(clipboard::copy(what, &text, around, &folder)));
    }

    pub(super) fn save_bytes(&self, uri: String, mime: Option<String>, bytes: Arc<[u8]>) {
        let folder = self.place.folder.clone();
        self.aside(move || {
            let result = files::save_resource(&folder, &uri, mime.as_deref(), &bytes);
            Reply::Saved { what: "the resource", result }
        });
    }

    pub(super) fn save_result(&self, name: String, outcome: Arc<ToolOutcome>) {
        let folder = self.place.folder.clone();
        self.aside(move || {
            let result = files::save_result(&folder, &name, &outcome);
            Reply::Saved { what: "the result", result }
        });
    }

    pub(super) fn save_text(&self, what: &'static str, name: String, extension: &'static str, text: String) {
        let folder = self.place.folder.clone();
        self.aside(move || {
            let result = files::save(&folder, &name, extension, text.as_bytes());
            Reply::Saved { what, result: result.map(|path| path.display().to_string()) }
        });
    }

    pub(super) fn open_page(&self, url: String) {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let here = page::can_open(set);
        self.aside(move || {
            let no_screen = || Err("there is no screen here".to_owned());
            Reply::PageOpened(if here { page::open(&url) } else { no_screen() })
        });
    }

    pub(super) fn look_at_file(&self, call: CallId, path: String, most: u64) {
        self.aside(move || {
            let standing = disk::standing(Path::new(&path), most);
            Reply::FileStands { call, path, standing }
        });
    }

    pub(super) fn look_at_paths(&self, call: CallId, paths: Vec<(String, String)>, roots: Vec<String>) {
        let folder = self.place.folder.clone();
        self.aside(move || {
            let mark = |(field, path): (String, String)| {
                let place = disk::place(Path::new(&path), &roots, &folder);
                PathMark { field, path, place }
            };
            Reply::PathsLead { call, marks: paths.into_iter().map(mark).collect() }
        });
    }

    pub(super) fn run(&mut self, generation: u64, command: String) {
        let stop = self.commands.begin(generation);
        let (folder, limits) = (self.place.folder.clone(), Arc::clone(&self.place.limits));
        self.work(|replies| async move {
            let result = shell::run(command, folder, limits, stop).await;
            replies.send(Reply::Ran { generation, result });
        });
    }

    pub(super) fn stop_run(&mut self, generation: u64) {
        self.commands.stop(generation);
    }

    pub(super) fn paste_picture(&self, generation: u64) {
        let (around, limits) = (self.around, Arc::clone(&self.place.limits));
        self.aside(move || {
            let result = picture::picture(around, &limits);
            Reply::Picture { generation, result }
        });
    }

    pub(super) fn files(&self, generation: u64, query: String) {
        let folder = self.place.folder.clone();
        self.aside(move || Reply::Files { generation, paths: files::find(&folder, &query) });
    }

    pub(super) fn attach(&self, path: String) {
        let (folder, limits) = (self.place.folder.clone(), Arc::clone(&self.place.limits));
        self.aside(move || {
            let result = files::attach(&folder, &path, &limits);
            Reply::Attached { path, result }
        });
    }

    /// Does something slow on a thread of its own.
    fn aside(&self, work: impl FnOnce() -> Reply + Send + 'static) {
        let replies = self.replies.clone();
        tokio::task::spawn_blocking(move || replies.send(work()));
    }
}

/// The line of a server's entry in the configuration, from 1.
fn line_of(path: &Path, server: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let head = format!("[servers.{server}]");
    text.lines().position(|line| line.trim() == head).map(|at| at + 1)
}
