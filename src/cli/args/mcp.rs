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
        /// Only this one's
        server: Option<String>,
    },
    /// Call one tool, and see all of it: progress, log messages, times
    ///
    /// What the server asks of you meanwhile is asked here, line by line, where this is a terminal; else it is declined.
    /// Standard output is the result alone. Exit codes: 0 a result, 2 arguments that do not fit, 4 it wants a sign-in,
    /// 5 the tool or the server failed, 6 no answer in time, 130 stopped by ctrl+c, which is told to the server.
    Call {
        /// Its name, as `millrace mcp list` shows it
        server: String,
        /// The tool's own name, without its server
        tool: String,
        /// The arguments, an object; @FILE reads a file, - standard input
        #[arg(value_name = "JSON")]
        arguments: Option<String>,
        /// Send arguments that do not fit the tool's schema all the same
        #[arg(long)]
        no_validate: bool,
        /// Write images, sounds and blobs of the result into this folder
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
        /// Show every message on the wire, with its time, on standard error; known secrets are left out
        #[arg(long)]
        frames: bool,
        /// The longest it may take
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        timeout: Option<f64>,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// Start, list, say what is wrong
    Test {
        /// Only this one
        server: Option<String>,
        /// Show every message on the wire, with its time, on standard error; known secrets are left out
        #[arg(long)]
        frames: bool,
    },
    /// Add a server: NAME -- COMMAND [ARG]..., or NAME URL
    #[command(
        override_usage = "millrace mcp add [OPTIONS] <NAME> -- <COMMAND> [ARG]...\n       millrace mcp add [OPTIONS] <NAME> <URL>"
    )]
    Add {
        /// What it shall be called here: a-z, 0-9, - and _
        name: String,
        /// Its address, where it is reached over HTTP
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
        /// Write the installed version into a command that fetches the newest
        #[arg(long)]
        pin: bool,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// The program and its arguments, where it is one: behind --
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// Take a server out of the configuration; what it left elsewhere stays
    Remove {
        /// Its name
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
    /// Sign in to a server that asks for it
    Login {
        /// Its name; one that is reached over HTTP
        server: String,
    },
    /// Forget what a sign-in left
    Logout {
        /// Its name
        server: String,
    },
}

/// A time in seconds, of a millisecond to a day.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds.ok_or_else(|| "seconds, of 0.001 to 86400".to_owned())
}
