//! Where each client keeps its list.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::Client;

/// What decides where other clients' files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub home: PathBuf,
    /// The working folder: for files of projects.
    pub folder: PathBuf,
    /// Clients that let their folder be moved.
    codex: Option<PathBuf>,
    copilot: Option<PathBuf>,
    config: Option<PathBuf>,
}

impl Places {
    #[must_use]
    pub fn new(home: &Path, folder: &Path, env: &BTreeMap<String, String>) -> Self {
        let moved = |name: &str| env.get(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            home: home.to_path_buf(),
            folder: folder.to_path_buf(),
            codex: moved("CODEX_HOME"),
            copilot: moved("COPILOT_HOME"),
            config: moved("XDG_CONFIG_HOME"),
        }
    }

    /// All places that can be on any system, the user's before the folder's: a file that is not there costs one look.
    #[must_use]
    pub fn list(&self) -> Vec<(Client, PathBuf)> {
        let (home, folder) = (&self.home, &self.folder);
        let config = self.config.clone().unwrap_or_else(|| home.join(".config"));
        let mut places = Vec::new();
        let mut add = |client, path: PathBuf| {
            if !places.contains(&(client, path.clone())) {
                places.push((client, path));
            }
        };
        let mac = home.join("Library/Application Support");
        let roaming = home.join("AppData/Roaming");
        for base in [&mac.join("Claude"), &roaming.join("Claude"), &config.join("Claude")] {
            add(Client::ClaudeDesktop, base.join("claude_desktop_config.json"));
        }
        let store = "AppData/Local/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json";
        add(Client::ClaudeDesktop, home.join(store));
        add(Client::ClaudeCode, home.join(".claude.json"));
        add(Client::ClaudeCode, folder.join(".mcp.json"));
        add(Client::Cursor, home.join(".cursor/mcp.json"));
        add(Client::Cursor, folder.join(".cursor/mcp.json"));
        for base in [config.join("Code/User"), mac.join("Code/User"), roaming.join("Code/User")] {
            add(Client::VsCode, base.join("mcp.json"));
        }
        add(Client::VsCode, folder.join(".vscode/mcp.json"));
        add(Client::Windsurf, home.join(".codeium/windsurf/mcp_config.json"));
        add(Client::Zed, config.join("zed/settings.json"));
        add(Client::Zed, roaming.join("Zed/settings.json"));
        add(Client::Zed, folder.join(".zed/settings.json"));
        add(Client::Codex, self.codex.clone().unwrap_or_else(|| home.join(".codex")).join("config.toml"));
        add(Client::Codex, folder.join(".codex/config.toml"));
        for name in ["opencode.json", "opencode.jsonc"] {
            add(Client::OpenCode, config.join("opencode").join(name));
        }
        add(Client::OpenCode, home.join(".agents/mcp.json"));
        for name in ["opencode.json", "opencode.jsonc", ".agents/mcp.json"] {
            add(Client::OpenCode, folder.join(name));
        }
        add(Client::Gemini, home.join(".gemini/settings.json"));
        add(Client::Gemini, folder.join(".gemini/settings.json"));
        let copilot = self.copilot.clone().unwrap_or_else(|| home.join(".copilot"));
        add(Client::Copilot, copilot.join("mcp-config.json"));
        places
    }
}
