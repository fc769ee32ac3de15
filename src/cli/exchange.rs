//! `millrace history export`: conversations out into files.
//!
//! # Invariants
//! - What goes out has no known secret in it.
//! - A file is written whole or not at all, for this user alone.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::chat::Tree;
use crate::export::{self, Redactor, Share};
use crate::headless::escape;
use crate::store::Store;
use crate::text;

use super::args::ExportFormat;
use super::history::{Failure, Terminal};

/// One export as it was asked for.
#[derive(Clone)]
pub struct Export {
    pub id: String,
    /// None or `-`: standard output.
    pub file: Option<PathBuf>,
    pub format: Option<ExportFormat>,
    /// Those that are not shown, too: as JSON alone.
    pub all_branches: bool,
    /// For others to read.
    pub share: Option<Share>,
    pub redactor: Redactor,
    /// Said beside it: which secrets could not be looked for.
    pub warning: Option<String>,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Export").field("id", &self.id).field("file", &self.file).finish_non_exhaustive()
    }
}

impl Export {
    fn file(&self) -> Option<&Path> {
        self.file.as_deref().filter(|path| path.as_os_str() != "-")
    }

    fn format(&self, as_json: bool) -> ExportFormat {
        let extension = self.file().and_then(Path::extension).map(|e| e.to_string_lossy().to_lowercase());
        match (self.format, extension.as_deref()) {
            (Some(format), _) => format,
            (None, Some("json")) => ExportFormat::Json,
            (None, Some("html" | "htm")) => ExportFormat::Html,
            (None, None) if as_json || self.all_branches => ExportFormat::Json,
            (None, Some(_) | None) => ExportFormat::Markdown,
        }
    }
}

pub(super) async fn export(
    store: &Store,
    ask: &Export,
    as_json: bool,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let id = store.resolve(&ask.id, None).await?;
    let format = ask.format(as_json);
    if ask.all_branches && format != ExportFormat::Json {
        return Err(Failure::Usage("--all-branches goes with --format json: the other forms tell one of them".into()));
    }
    let tree = match ask.all_branches {
        true => store.open_tree(&id).await?,
        false => store.open_whole(&id).await?.into(),
    };
    let tree = ask.redactor.tree(&tree);
    if as_json && ask.file().is_none() && format != ExportFormat::Json {
        return Err(Failure::Usage("--json on standard output is the JSON form; name a file for another".into()));
    }
    if let Some(warning) = &ask.warning {
        writeln!(terminal.err, "{}", text::sanitize(warning))?;
    }
    let (tree, note) = match &ask.share {
        None => (tree, String::new()),
        Some(_) if format == ExportFormat::Json => {
            return Err(Failure::Usage("--share is Markdown or HTML: JSON is for programs, and whole".into()));
        }
        Some(share) => {
            let (shown, held) = share.clone().and(&tree.shown.summary.folder).apply(&tree.shown);
            (shown.into(), held.words())
        }
    };
    if !note.is_empty() {
        writeln!(terminal.err, "{note}")?;
    }
    let printed = printed(&tree, &note, format)?;
    let Some(path) = ask.file() else {
        if terminal.drawn {
            write!(terminal.out, "{}", text::sanitize(&printed))?;
        } else {
            terminal.out.write_all(printed.as_bytes())?;
        }
        return Ok(());
    };
    write_file(path, &printed).map_err(|error| unwritable(path, &error))?;
    if as_json {
        let word = match format {
            ExportFormat::Markdown => "markdown",
            ExportFormat::Json => "json",
            ExportFormat::Html => "html",
        };
        let done = json!({"id": id.as_str(), "file": path, "format": word, "bytes": printed.len()});
        terminal.out.write_all(&escape::line(&done))?;
    } else {
        writeln!(terminal.err, "Written: {}", text::sanitize(&path.display().to_string()))?;
    }
    Ok(())
}

fn printed(tree: &Tree, note: &str, format: ExportFormat) -> Result<String, Failure> {
    Ok(match format {
        ExportFormat::Markdown => export::noted_markdown(&tree.shown, note),
        ExportFormat::Html => export::noted_html(&tree.shown, note),
        ExportFormat::Json => {
            let text = export::tree_json(tree).map_err(|error| Failure::Write(io::Error::other(error)))?;
            format!("{}\n", escape::document(&text))
        }
    })
}

/// In one step; a link is followed, and what is no file (a pipe, a device) is written to as it is.
fn write_file(path: &Path, text: &str) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    }
    let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Its own message would name the temporary file.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(|error| io::Error::from(error.kind()))?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

fn unwritable(path: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!("{} cannot be written: {error}", path.display()))
}
