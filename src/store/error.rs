//! What can go wrong with the store, and what to do about it.

use std::path::{Path, PathBuf};

use crate::chat::{Fault, FaultKind, Retry, Summary};

/// Why the store did not do what was asked. Nothing was changed where a request answers with one of these.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the disk is full: {} could not be written", path.display())]
    Full { path: PathBuf },
    #[error("{} may not be written: its file or folder is read-only", path.display())]
    ReadOnly { path: PathBuf },
    /// Never recreated by itself: what is left of it may be all that is left.
    #[error("{} is damaged: {detail}", path.display())]
    Corrupt { path: PathBuf, detail: String },
    #[error("{} is not a store of millrace", path.display())]
    Foreign { path: PathBuf },
    /// Written by a later version.
    #[error("{} was written by a later version of millrace (schema {found}, this one knows {known})", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    /// Another process kept it locked for longer than five seconds.
    #[error("{} is locked by another process", path.display())]
    Locked { path: PathBuf },
    #[error("{}: {detail}", path.display())]
    Io { path: PathBuf, detail: String },
    /// Another living process has the conversation: here it is only read.
    #[error("this conversation is open in another millrace (process {pid})")]
    Held { pid: u32 },
    /// `last` is missing only where there is none.
    #[error("{}", if .0 == "last" { "there is no conversation yet".to_owned() } else { format!("no conversation {:?}", .0) })]
    NotFound(String),
    #[error("{} conversations begin with {prefix:?}", candidates.len())]
    Ambiguous { prefix: String, candidates: Vec<Summary> },
    /// A change names something that the store does not have: an earlier change was not saved.
    #[error("the store has no {what} {id:?}")]
    Missing { what: &'static str, id: String },
    /// A row does not hold what this version writes.
    #[error("a row of the store cannot be read: {0}")]
    Row(String),
    /// SQLite said something else.
    #[error("the store refused: {detail}")]
    Sql { detail: String },
    /// Its thread has ended.
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// The disk, or what SQLite makes of it, may have failed.
    pub(super) fn is_of_disk(&self) -> bool {
        match self {
            Self::Full { .. } | Self::ReadOnly { .. } | Self::Corrupt { .. } | Self::Io { .. } | Self::Sql { .. } => {
                true
            }
            Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Locked { .. }
            | Self::Held { .. }
            | Self::NotFound(_)
            | Self::Ambiguous { .. }
            | Self::Missing { .. }
            | Self::Row(_)
            | Self::Closed => false,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::Full { .. } => "Free some space; it is tried again with the next change.".into(),
            Self::ReadOnly { .. } => "Make it writable, or set MILLRACE_HOME to a folder that is.".into(),
            Self::Corrupt { .. } => {
                "Nothing was changed. `millrace doctor --repair` sets it aside and saves what can be read into a new one."
                    .into()
            }
            Self::Foreign { path } => format!("Move {} aside, or set MILLRACE_HOME to another folder.", path.display()),
            Self::Newer { .. } => "Use that version, or set MILLRACE_HOME to another folder.".into(),
            Self::Locked { .. } => "Close the other program that has it open, then try again.".into(),
            Self::Io { .. } => "See that the folder exists and may be written.".into(),
            Self::Held { .. } => "Close it there first; once that millrace has ended, it can be written here.".into(),
            Self::NotFound(name) if name == "last" => "`millrace` or `millrace run` begins one.".into(),
            Self::NotFound(_) => "`millrace history` lists what there is.".into(),
            Self::Ambiguous { .. } => "Give more of the id.".into(),
            Self::Missing { .. } | Self::Row(_) | Self::Sql { .. } => {
                "This should not happen; `millrace doctor` checks the store.".into()
            }
            Self::Closed => "Start millrace again.".into(),
        }
    }

    /// Whether the same may succeed later, with nothing changed but the disk.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Full { .. } | Self::ReadOnly { .. } | Self::Locked { .. } | Self::Io { .. } => true,
            Self::Corrupt { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Held { .. }
            | Self::NotFound(_)
            | Self::Ambiguous { .. }
            | Self::Missing { .. }
            | Self::Row(_)
            | Self::Sql { .. }
            | Self::Closed => false,
        }
    }

    /// The same as the person meets it.
    #[must_use]
    pub fn fault(&self) -> Fault {
        let retry = match self {
            Self::Locked { .. } | Self::Full { .. } | Self::Held { .. } => Retry::Later(None),
            Self::ReadOnly { .. }
            | Self::Corrupt { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Io { .. }
            | Self::NotFound(_)
            | Self::Ambiguous { .. } => Retry::AfterChange,
            Self::Missing { .. } | Self::Row(_) | Self::Sql { .. } | Self::Closed => Retry::Never,
        };
        // A name that fits nothing is the asker's slip, not the store's.
        let kind = match self {
            Self::NotFound(_) | Self::Ambiguous { .. } => FaultKind::Usage,
            Self::Full { .. }
            | Self::ReadOnly { .. }
            | Self::Corrupt { .. }
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Locked { .. }
            | Self::Held { .. }
            | Self::Io { .. }
            | Self::Missing { .. }
            | Self::Row(_)
            | Self::Sql { .. }
            | Self::Closed => FaultKind::Store,
        };
        Fault::new(kind, self.to_string()).hint(self.hint()).retry(retry)
    }

    /// Names the file in an error that came from below, where no path is known.
    pub(super) fn at(mut self, at: &Path) -> Self {
        match &mut self {
            Self::Full { path }
            | Self::ReadOnly { path }
            | Self::Corrupt { path, .. }
            | Self::Foreign { path }
            | Self::Newer { path, .. }
            | Self::Locked { path }
            | Self::Io { path, .. } => {
                if path.as_os_str().is_empty() {
                    *path = at.to_path_buf();
                }
            }
            Self::Held { .. }
            | Self::NotFound(_)
            | Self::Ambiguous { .. }
            | Self::Missing { .. }
            | Self::Row(_)
            | Self::Sql { .. }
            | Self::Closed => {}
        }
        self
    }

    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_path_buf();
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::Full { path },
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => Self::ReadOnly { path },
            _ => Self::Io { path, detail: error.to_string() },
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        let path = PathBuf::new();
        let detail = error.to_string();
        match error {
            rusqlite::Error::SqliteFailure(code, _) => match code.code {
                ErrorCode::DiskFull => Self::Full { path },
                ErrorCode::ReadOnly | ErrorCode::PermissionDenied => Self::ReadOnly { path },
                ErrorCode::DatabaseCorrupt => Self::Corrupt { path, detail },
                ErrorCode::NotADatabase => Self::Corrupt { path, detail },
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => Self::Locked { path },
                ErrorCode::CannotOpen | ErrorCode::SystemIoFailure => Self::Io { path, detail },
                _ => Self::Sql { detail },
            },
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => Self::Row(detail),
            _ => Self::Sql { detail },
        }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self::Row(error.to_string())
    }
}
