//! A review beside the disk: the file that the call would write, and where its paths lead.
//!
//! # Invariants
//! - A difference is an extra view: what is hashed, decided and sent stays the exact bytes, one key away.
//! - Only servers on this computer are taken to mean its disk.

use std::path::Path;
use std::sync::Arc;

use super::{Overlay, ReviewBox, ReviewView};
use crate::app::compare::{LARGEST, Written, path_arguments, place_by_itself, written_file};
use crate::app::effect::Effect;
use crate::app::state::State;
use crate::app::status::Servers;
use crate::chat::{CallId, OnDisk, PathPlace};

/// What is known of the file that a call would write.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Beside {
    #[default]
    Unasked,
    Asked,
    /// The call writes no file, or none that can be compared.
    Nothing,
    Stands(FileBeside),
}

#[derive(Clone, Debug, PartialEq)]
pub struct FileBeside {
    pub path: String,
    /// None: there is no such file yet.
    pub text: Option<Arc<str>>,
}

/// Where a path of the arguments leads.
#[derive(Clone, Debug, PartialEq)]
pub struct PathMark {
    /// The argument's name, and the path.
    pub field: String,
    pub path: String,
    pub place: PathPlace,
}

impl ReviewBox {
    /// Asks once what stands where the call would write, and where its paths lead; only servers on this computer mean
    /// its disk.
    pub(in crate::app) fn look_beside(&mut self, servers: &Servers, out: &mut Vec<Effect>) {
        if self.beside != Beside::Unasked {
            return;
        }
        self.look_at_paths(servers, out);
        // What a relative path means is the server's to say: its folder, or its first root, need not be ours.
        let plain = |path: &str| self.is_local() && Path::new(path).is_absolute();
        match written_file(&self.review.arguments).filter(|written| plain(&written.path)) {
            Some(Written { path, .. }) => {
                self.beside = Beside::Asked;
                out.push(Effect::LookAtFile { call: self.review.call.clone(), path, most: LARGEST as u64 });
            }
            None => self.beside = Beside::Nothing,
        }
    }

    fn is_local(&self) -> bool {
        self.review.server_line.starts_with("stdio:")
    }

    /// Asks where the paths that are shown lead; what they say themselves is known at once.
    pub(in crate::app) fn look_at_paths(&mut self, servers: &Servers, out: &mut Vec<Effect>) {
        if !self.is_local() {
            return;
        }
        let mut paths = Vec::new();
        self.marks.clear();
        for (field, path) in path_arguments(self.shown()) {
            match place_by_itself(&path) {
                Some(place) => self.marks.push(PathMark { field, path, place }),
                None if Path::new(&path).is_absolute() => paths.push((field, path)),
                None => {}
            }
        }
        if !paths.is_empty() {
            let row = servers.rows.iter().find(|row| row.status.server == self.review.tool.server);
            let roots = row.map(|row| row.status.life.roots.list.iter().map(|root| root.uri.clone()).collect());
            let call = self.review.call.clone();
            out.push(Effect::LookAtPaths { call, paths, roots: roots.unwrap_or_default() });
        }
    }

    fn stands(&mut self, path: String, standing: OnDisk, now_us: u64, revision: u64) {
        let text = match standing {
            OnDisk::Text(text) => Some(Arc::from(text)),
            OnDisk::Absent => None,
            OnDisk::Unreadable => {
                self.beside = Beside::Nothing;
                return;
            }
        };
        self.beside = Beside::Stands(FileBeside { path, text });
        // Nothing changes under somebody who reads already.
        if now_us < self.deaf_until_us && !self.end_seen {
            self.view = ReviewView::Difference;
            (self.scroll, self.revision) = (0, revision);
        }
    }

    /// What the arguments that are shown do to the file that was looked at. None where there is nothing to compare.
    #[must_use]
    pub fn comparable(&self) -> Option<(&FileBeside, Written)> {
        let Beside::Stands(file) = &self.beside else { return None };
        let written = written_file(self.shown())?;
        (written.path == file.path).then_some((file, written))
    }

    /// The same, where that is what is to be drawn.
    #[must_use]
    pub fn difference(&self) -> Option<(&FileBeside, Written)> {
        if self.view == ReviewView::Difference { self.comparable() } else { None }
    }

    /// Where the path of an argument that is shown leads.
    #[must_use]
    pub fn mark(&self, field: &str) -> Option<&PathPlace> {
        // Of several in one list, what warns is said.
        let of = || self.marks.iter().filter(|mark| mark.field == field).map(|mark| &mark.place);
        of().find(|place| place.warns()).or_else(|| of().next())
    }
}

impl State {
    fn review_of(&mut self, call: &CallId) -> Option<&mut ReviewBox> {
        self.overlays.iter_mut().find_map(|overlay| match overlay {
            Overlay::Review(open) if open.review.call == *call => Some(&mut **open),
            _ => None,
        })
    }

    pub(in crate::app) fn file_stands(&mut self, call: &CallId, path: String, standing: OnDisk) {
        let revision = self.session.fresh();
        let now_us = self.now.mono_us;
        if let Some(open) = self.review_of(call).filter(|open| open.beside == Beside::Asked) {
            open.stands(path, standing, now_us, revision);
        }
    }

    /// The disk has said where paths lead; of those that are not shown any more nothing is kept.
    pub(in crate::app) fn paths_lead(&mut self, call: &CallId, marks: Vec<PathMark>) {
        if let Some(open) = self.review_of(call) {
            let shown = path_arguments(open.shown());
            let of = |mark: &PathMark| shown.iter().any(|(field, path)| *field == mark.field && *path == mark.path);
            open.marks.extend(marks.into_iter().filter(of));
        }
    }
}
