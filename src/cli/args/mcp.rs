//! The arguments of `millrace mcp`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::mcp::Secrets;

#[derive(Debug, Args)]
pub struct McpArgs {
    #[command(subcommand)]
    pub command: Option<McpCommand>,
    /// One JSON value instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// Servers from a file, added to the configured ones
    #[arg(long, value_name = "FILE", global = true)]
    pub mcp: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum McpCommand {
    /// The servers, and how each is reached
    List,
    /// What they offer
    Tools {
        server: Option<String>,
    },
    /// Call one tool
    Call {
        server: String,
        tool: String,
        /// The arguments, an object
        #[arg(value_name = "JSON")]
        arguments: Option<String>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Start, list, say what is wrong
    Test {
        server: Option<String>,
    },
    /// Add a server: NAME -- COMMAND [ARG]..., or NAME URL
    Add {
        name: String,
        #[arg(conflicts_with = "command", required_unless_present = "command")]
        url: Option<String>,
        /// Its environment
        #[arg(long, value_name = "K=V")]
        env: Vec<String>,
        /// Sent with every request
        #[arg(long, value_name = "K: V")]
        header: Vec<String>,
        /// In this folder's .millrace.toml
        #[arg(long)]
        project: bool,
        /// Do not connect
        #[arg(long)]
        no_start: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    Remove {
        name: String,
    },
    /// Take over servers of other clients
    ///
    /// Claude Desktop, Claude Code, Cursor, VS Code, Windsurf, Zed, Codex, opencode, Gemini CLI and Copilot CLI are looked
    /// for; FILE is one of their files, or a server.json of the registry. What would be written is shown first; nothing
    /// is started, and rights that a server had there are not taken over.
    Import {
        /// Instead of looking everywhere
        file: Option<PathBuf>,
        /// Of this client alone: claude-desktop, claude-code, cursor, vscode, windsurf, zed, codex, opencode, gemini, ...
        #[arg(long, value_name = "CLIENT")]
        from: Option<String>,
        /// Only the server of this name (repeatable)
        #[arg(long, value_name = "NAME")]
        only: Vec<String>,
        /// Only show it
        #[arg(long)]
        dry_run: bool,
        /// Where secrets go that stand there in plain
        #[arg(long, value_enum, value_name = "WHERE")]
        secrets: Option<Secrets>,
        /// Write the installed version into commands that fetch the newest
        #[arg(long)]
        pin: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    Login {
        server: String,
    },
    Logout {
        server: String,
    },
}
