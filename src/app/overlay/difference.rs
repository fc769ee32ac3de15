//! A call that writes a file: which argument is its new text, and what stands on the disk now.
//!
//! # Invariants
//! - A difference is an extra view: what is hashed, decided and sent stays the exact bytes, one key away.
//! - It shows every line of the new text, so that nothing of it is let through unseen.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::{Overlay, ReviewBox};
use crate::app::effect::Effect;
use crate::app::state::State;
use crate::chat::CallId;

/// Names under which tools take the path of a file that they write, and its text.
const PATHS: [&str; 5] = ["path", "file_path", "filepath", "file", "filename"];
const TEXTS: [&str; 5] = ["content", "contents", "text", "file_text", "new_text"];
/// A longer text is not compared, bytes.
const LARGEST: usize = 256 * 1024;

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

/// What the disk answered.
#[derive(Clone, Debug, PartialEq)]
pub enum OnDisk {
    Text(String),
    /// Its folder is there, it is not.
    Absent,
    /// No text, too large, or not to be read.
    Unreadable,
}

/// Path, name of the argument with the new text, and that text. None where the arguments do not plainly write a file.
#[must_use]
pub fn written_file(arguments: &str) -> Option<(String, String, String)> {
    if arguments.len() > 2 * LARGEST {
        return None;
    }
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(arguments) else { return None };
    let named = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| Some((name.to_string(), map.get(*name)?.as_str()?.to_owned())));
        // Two that could be it are not plain.
        found.next().filter(|_| found.next().is_none())
    };
    let ((_, path), (field, text)) = (named(&PATHS)?, named(&TEXTS)?);
    (!path.is_empty() && text.len() <= LARGEST).then_some((path, field, text))
}

impl ReviewBox {
    /// Asks once what stands where the call would write; only servers on this computer write to its disk.
    pub(in crate::app) fn look_beside(&mut self, out: &mut Vec<Effect>) {
        if self.beside != Beside::Unasked {
            return;
        }
        let local = self.review.server_line.starts_with("stdio:");
        // What a relative path means is the server's to say: its folder, or its first root, need not be ours.
        let plain = |path: &str| local && Path::new(path).is_absolute();
        match written_file(&self.review.arguments).filter(|(path, _, _)| plain(path)) {
            Some((path, _, _)) => {
                self.beside = Beside::Asked;
                out.push(Effect::LookAtFile { call: self.review.call.clone(), path, most: LARGEST as u64 });
            }
            None => self.beside = Beside::Nothing,
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
            self.differs = true;
            (self.scroll, self.revision) = (0, revision);
        }
    }

    /// Shows the difference, or the exact bytes again.
    pub(super) fn switch_difference(&mut self) {
        match self.beside {
            Beside::Stands(_) => {
                self.differs = !self.differs;
                self.scroll = 0;
            }
            Beside::Unasked | Beside::Asked | Beside::Nothing => {
                self.refused = Some("there is no file to compare with".into());
            }
        }
    }

    /// The file that what is shown would replace, where that is what is to be drawn: it, the argument's name, the text.
    #[must_use]
    pub fn difference(&self) -> Option<(&FileBeside, String, String)> {
        let Beside::Stands(file) = &self.beside else { return None };
        let (path, field, text) = written_file(self.shown()).filter(|_| self.differs)?;
        (path == file.path).then_some((file, field, text))
    }
}

impl State {
    pub(in crate::app) fn file_stands(&mut self, call: &CallId, path: String, standing: OnDisk) {
        let revision = self.session.fresh();
        let now_us = self.now.mono_us;
        for overlay in &mut self.overlays {
            if let Overlay::Review(open) = overlay
                && open.review.call == *call
                && open.beside == Beside::Asked
            {
                return open.stands(path, standing, now_us, revision);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::written_file;

    #[test]
    fn what_plainly_writes_a_file_is_known() {
        let check = |arguments: &str, expect: Option<(&str, &str, &str)>| {
            let found = written_file(arguments);
            assert_eq!(found.as_ref().map(|(p, f, t)| (p.as_str(), f.as_str(), t.as_str())), expect, "{arguments}");
        };
        check(r#"{"path":"a.rs","content":"x\n","mode":3}"#, Some(("a.rs", "content", "x\n")));
        check(r#"{"file_path":"a","text":""}"#, Some(("a", "text", "")));
        check(r#"{"path":"a","file":"b","content":"x"}"#, None);
        check(r#"{"path":"a","content":["x"]}"#, None);
        check(r#"{"path":"","content":"x"}"#, None);
        check(r#"{"query":"a"}"#, None);
        check("[]", None);
    }
}
