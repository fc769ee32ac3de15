//! Finds the MCP servers of other clients on this computer. Reads, never writes, never starts anything.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::draft::ServerDraft;
use super::external::{self, Dialect, External};

/// A server that another client has.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    pub client: Client,
    pub path: PathBuf,
    /// As its client calls it.
    pub name: String,
    pub draft: ServerDraft,
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Client {
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    VsCode,
}

impl Client {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeDesktop => "Claude Desktop",
            Self::ClaudeCode => "Claude Code",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
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

/// Where each client keeps its list, below a home folder and in the working folder. All that can be on any system:
/// a file that is not there costs one look.
#[must_use]
pub fn places(home: &Path, folder: &Path) -> Vec<(Client, PathBuf)> {
    let mut places = Vec::new();
    for base in ["Library/Application Support/Claude", "AppData/Roaming/Claude", ".config/Claude"] {
        places.push((Client::ClaudeDesktop, home.join(base).join("claude_desktop_config.json")));
    }
    let store = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json";
    places.push((Client::ClaudeDesktop, home.join(store)));
    places.push((Client::ClaudeCode, home.join(".claude.json")));
    places.push((Client::ClaudeCode, folder.join(".mcp.json")));
    places.push((Client::Cursor, home.join(".cursor/mcp.json")));
    places.push((Client::Cursor, folder.join(".cursor/mcp.json")));
    for base in [".config/Code/User", "Library/Application Support/Code/User", "AppData/Roaming/Code/User"] {
        places.push((Client::VsCode, home.join(base).join("mcp.json")));
    }
    places.push((Client::VsCode, folder.join(".vscode/mcp.json")));
    places
}

/// Looks at all places. A server that several files list alike is told once.
#[must_use]
pub fn find(home: &Path, folder: &Path) -> (Vec<Found>, Vec<Unreadable>) {
    let (mut found, mut bad): (Vec<Found>, Vec<Unreadable>) = (Vec::new(), Vec::new());
    for (client, path) in places(home, folder) {
        let text = match super::file::read_text(&path) {
            Ok(text) => text,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                continue;
            }
            Err(error) => {
                bad.push(Unreadable { client, path, why: error.to_string() });
                continue;
            }
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        if text.trim().is_empty() {
            continue;
        }
        match external::json(&path, text) {
            Ok(root) => take(&mut found, client, &path, &root, folder),
            Err(_) => bad.push(Unreadable { client, path, why: "it is not JSON".to_owned() }),
        }
    }
    (found, bad)
}

fn take(found: &mut Vec<Found>, client: Client, path: &Path, root: &Value, folder: &Path) {
    let key = if client == Client::VsCode { "servers" } else { "mcpServers" };
    let mut tables = vec![root.get(key)];
    if client == Client::ClaudeCode {
        // Servers of one project: only those of the folder we are in.
        let project = root.get("projects").and_then(|p| p.get(folder.to_string_lossy().as_ref()));
        tables.push(project.and_then(|p| p.get(key)));
    }
    for table in tables.into_iter().flatten().filter_map(Value::as_object) {
        for (name, entry) in table {
            let mut one = External { path: path.to_path_buf(), ..External::default() };
            external::entries(&mut one, &std::iter::once((name.clone(), entry.clone())).collect(), Dialect::Common);
            let Some(mut draft) = one.servers.pop() else { continue };
            draft.ask_first = true;
            let notes = one.notices;
            if found.iter().any(|f| f.draft.name == draft.name && f.draft.how == draft.how) {
                continue;
            }
            let base = draft.name.as_str().to_owned();
            let taken = |n: &str, found: &[Found]| found.iter().any(|f| f.draft.name.as_str() == n);
            if taken(&base, found) {
                let short: String = base.chars().take(28).collect();
                let free =
                    (2..1000).map(|n| format!("{}-{n}", short.trim_end_matches(['_', '-']))).find(|n| !taken(n, found));
                draft.name = free.as_deref().unwrap_or(&base).into();
            }
            found.push(Found { client, path: path.to_path_buf(), name: name.clone(), draft, notes });
        }
    }
}
