//! Finds the MCP servers of other clients on this computer, and says what they would become here. Reads, never writes,
//! never starts anything.
//!
//! # Invariants
//! - Every entry that was found ends as a row: new, known already, or left out with the reason.
//! - Nothing that let a server act unasked elsewhere is taken over.

mod literal;
mod places;
mod plan;
mod registry;
mod unpinned;

use std::path::{Path, PathBuf};

use super::draft::ServerDraft;
use super::external::{self, Dialect};

pub use super::external::{Entry, Remark};
pub use literal::{Literal, LiteralPlace, literals};
pub use places::Places;
pub use plan::{Becomes, Note, Plan, Row, plan};
pub use unpinned::{Unpinned, installed, unpinned};

/// A server that another client has.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub client: Client,
    pub path: PathBuf,
    pub entry: Entry,
}

/// Whose list it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    VsCode,
    Windsurf,
    Zed,
    Codex,
    OpenCode,
    Gemini,
    Copilot,
    /// A `server.json` of the MCP registry.
    Registry,
    /// A file of one of these forms that was named.
    File,
}

impl Client {
    pub const ALL: [Self; 12] = [
        Self::ClaudeDesktop,
        Self::ClaudeCode,
        Self::Cursor,
        Self::VsCode,
        Self::Windsurf,
        Self::Zed,
        Self::Codex,
        Self::OpenCode,
        Self::Gemini,
        Self::Copilot,
        Self::Registry,
        Self::File,
    ];

    /// For people.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Windsurf => "Windsurf",
            Self::Zed => "Zed",
            Self::Codex => "Codex",
            Self::OpenCode => "opencode",
            Self::Gemini => "Gemini CLI",
            Self::Copilot => "Copilot CLI",
            Self::Registry => "registry",
            Self::File => "file",
        }
    }

    /// For command lines and programs.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "claude-desktop",
            Self::ClaudeCode => "claude-code",
            Self::Cursor => "cursor",
            Self::VsCode => "vscode",
            Self::Windsurf => "windsurf",
            Self::Zed => "zed",
            Self::Codex => "codex",
            Self::OpenCode => "opencode",
            Self::Gemini => "gemini",
            Self::Copilot => "copilot",
            Self::Registry => "registry",
            Self::File => "file",
        }
    }

    fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Gemini => Some(Dialect::Gemini),
            Self::OpenCode => Some(Dialect::OpenCode),
            Self::ClaudeDesktop
            | Self::ClaudeCode
            | Self::Cursor
            | Self::VsCode
            | Self::Windsurf
            | Self::Zed
            | Self::Codex
            | Self::Copilot => Some(Dialect::Common),
            Self::Registry | Self::File => None,
        }
    }
}

/// A file that could not be read as what it should be.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    pub client: Client,
    pub path: PathBuf,
    pub why: String,
}

/// Looks at all places, or at those of one client.
#[must_use]
pub fn find(places: &Places, from: Option<Client>, most: u64) -> (Vec<Found>, Vec<Unreadable>) {
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    for (client, path) in places.list() {
        if from.is_some_and(|from| from != client) {
            continue;
        }
        let text = match read(&path, most) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                continue;
            }
            Err(error) => {
                bad.push(Unreadable { client, path, why: error.to_string() });
                continue;
            }
        };
        match parse(places, client, &path, &text) {
            Ok(all) => found.extend(all),
            Err(why) => bad.push(Unreadable { client, path, why }),
        }
    }
    (found, bad)
}

/// Reads one file that was named. Whose it is, is told by its form where `from` does not say.
///
/// # Errors
/// Where it cannot be read, or lists no servers.
pub fn open(places: &Places, path: &Path, from: Option<Client>, most: u64) -> Result<Vec<Found>, Unreadable> {
    let client = from.unwrap_or(Client::File);
    let bad = |client, why| Unreadable { client, path: path.to_path_buf(), why };
    let text = read(path, most).map_err(|error| bad(client, error.to_string()))?;
    let found = parse(places, client, path, &text).map_err(|why| bad(client, why))?;
    if found.is_empty() {
        return Err(bad(client, "there are no MCP servers in it".to_owned()));
    }
    Ok(found)
}

fn read(path: &Path, most: u64) -> std::io::Result<String> {
    use std::io::{Error, ErrorKind, Read as _};
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is a folder"));
    }
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Error::new(ErrorKind::InvalidData, format!("it is larger than {most} bytes (limits.import)")));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

/// The entries of a text. Where its client keeps other things in the file too, none is no error.
fn parse(places: &Places, client: Client, path: &Path, text: &str) -> Result<Vec<Found>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let plain = external::plain(path, text).map_err(|error| match error {
        super::ConfigError::Bad { problems } => problems.first().map_or_else(
            || "it cannot be read".to_owned(),
            |problem| format!("line {}: {}", problem.line, problem.message),
        ),
        super::ConfigError::Io { error, .. } => error.to_string(),
    })?;
    let folder = Some(places.folder.as_path());
    let mut entries = Vec::new();
    if matches!(client, Client::Registry | Client::File)
        && let Some(listed) = registry::entries(path, &plain)
    {
        let client = Client::Registry;
        return Ok(listed.into_iter().map(|entry| Found { client, path: path.to_path_buf(), entry }).collect());
    }
    let listed = external::entries(path, &plain, &[], client.dialect(), folder)?;
    let none = listed.is_none();
    entries.extend(listed.into_iter().flatten());
    if matches!(client, Client::ClaudeCode | Client::File) {
        // Servers of one project: only those of the folder we are in.
        let here = places.folder.to_string_lossy();
        if let Ok(Some(own)) = external::entries(path, &plain, &["projects", &here], Some(Dialect::Common), folder) {
            entries.extend(own);
        }
    }
    if none && matches!(client, Client::OpenCode | Client::Copilot | Client::File) {
        let dialect = client.dialect().unwrap_or(Dialect::Common);
        entries.extend(external::bare(path, &plain, dialect, folder).unwrap_or_default());
    }
    Ok(entries.into_iter().map(|entry| Found { client, path: path.to_path_buf(), entry }).collect())
}

/// Whether two entries reach the same server: where they differ in what is kept secret alone, they do.
fn alike(a: &ServerDraft, b: &ServerDraft) -> bool {
    use super::DraftTransport as T;
    match (&a.how, &b.how) {
        (T::Stdio { command, args, env, .. }, T::Stdio { command: command_b, args: args_b, env: env_b, .. }) => {
            command == command_b && args == args_b && env.keys().eq(env_b.keys())
        }
        (T::Url { url, headers, .. }, T::Url { url: url_b, headers: headers_b, .. }) => {
            url == url_b && headers.keys().eq(headers_b.keys())
        }
        (T::Stdio { .. }, T::Url { .. }) | (T::Url { .. }, T::Stdio { .. }) => false,
    }
}
