//! The options that the chat screen, `run` and `demo` share.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::chat::{Api, Approve, Dispatch};
use crate::config::Flags;

/// Options of the chat screen, `run` and `demo` alike.
#[derive(Clone, Debug, Default, Args)]
pub struct SessionArgs {
    /// Sent at once
    pub prompt: Vec<String>,
    #[command(flatten)]
    pub endpoint: EndpointArgs,
    #[command(flatten)]
    pub ask: AskArgs,
    #[command(flatten)]
    pub tools: ToolArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub keep: KeepArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

/// Which model, where.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Model")]
pub struct EndpointArgs {
    /// A [profiles.NAME] of the configuration [env: MILLRACE_PROFILE]
    #[arg(short, long, value_name = "NAME")]
    pub profile: Option<String>,
    /// The endpoint, up to and with /v1 [env: OPENAI_BASE_URL]; its key: $OPENAI_API_KEY
    #[arg(long, value_name = "URL")]
    pub base_url: Option<String>,
    /// The model [env: MILLRACE_MODEL]
    #[arg(short, long, value_name = "NAME")]
    pub model: Option<String>,
    /// The wire [default: chat]
    #[arg(long, value_enum, value_name = "WIRE")]
    pub api: Option<ApiWord>,
}

/// What is asked of it.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Request")]
pub struct AskArgs {
    /// The system prompt
    #[arg(short, long, value_name = "TEXT", conflicts_with = "role")]
    pub system: Option<String>,
    /// A role: of [roles], or roles/NAME.md beside config.toml
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
    /// Sent only when given; from 0 to 2
    #[arg(long, value_name = "N", value_parser = temperature, allow_negative_numbers = true)]
    pub temperature: Option<f64>,
    /// Sent only when given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_output_tokens: Option<u64>,
    /// Sent only when given; the word is the endpoint's own
    #[arg(long, value_name = "WORD")]
    pub reasoning_effort: Option<String>,
    /// A further field of the request
    #[arg(long = "param", value_name = "KEY=JSON", value_parser = param)]
    pub params: Vec<(String, Value)>,
    /// Attach a text or an image
    #[arg(short, long = "file", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// A JSON Schema for the answer
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
}

/// Which tools, and who decides.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Tools")]
pub struct ToolArgs {
    /// Servers from a file, added to the configured ones
    #[arg(long, value_name = "FILE")]
    pub mcp: Vec<PathBuf>,
    /// No servers
    #[arg(long, conflicts_with = "mcp")]
    pub no_mcp: bool,
    /// In this run, believe what this server says about its tools
    #[arg(long, value_name = "SERVER")]
    pub trust: Vec<String>,
    /// Who answers where policy says `ask`; never overrides `deny`
    #[arg(long, value_enum, value_name = "WHO")]
    pub approve: Option<ApproveWord>,
    /// Allow these tools in this run: server/tool
    #[arg(long, value_name = "GLOB")]
    pub allow: Vec<String>,
    /// Deny these tools in this run; deny wins
    #[arg(long, value_name = "GLOB")]
    pub deny: Vec<String>,
    /// When an allowed call is sent [default: close]
    #[arg(long, value_enum, value_name = "WHEN")]
    pub dispatch: Option<DispatchWord>,
    /// auto, none, required or a tool's name, for the first round
    #[arg(long, value_name = "CHOICE")]
    pub tool_choice: Option<String>,
    /// Requests of one turn [default: 32]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_rounds: Option<u32>,
}

/// How it comes out.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Of run, demo and replay
    #[arg(long, value_enum, value_name = "FORM")]
    pub output: Option<Output>,
    /// As --output json
    #[arg(long, conflicts_with = "output")]
    pub json: bool,
    /// With text: only the first code block; without one: exit 5
    #[arg(short = 'x', long)]
    pub extract: bool,
    /// Print what is finished into the terminal's scrollback, draw only below it
    #[arg(long, conflicts_with = "plain")]
    pub inline: bool,
    /// Line by line: no boxes, no colours, nothing drawn twice
    #[arg(long)]
    pub plain: bool,
    /// [env: NO_COLOR]
    #[arg(long, value_enum, value_name = "WHEN")]
    pub color: Option<ColorWord>,
}

impl OutputArgs {
    /// What was asked for; None: nothing was.
    #[must_use]
    pub fn form(&self) -> Option<Output> {
        if self.json { Some(Output::Json) } else { self.output }
    }
}

/// Which conversation, and whether it is kept.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Conversation")]
pub struct KeepArgs {
    /// The newest conversation of this folder
    #[arg(short, long = "continue", conflicts_with = "resume")]
    pub cont: bool,
    /// A conversation; without ID: choose one
    #[arg(short, long, value_name = "ID", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub resume: Option<String>,
    /// Do not keep this conversation
    #[arg(long)]
    pub no_save: bool,
    /// Record both wires of the session, secrets removed
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Messages")]
pub struct LogArgs {
    /// Say more; twice: even more
    #[arg(short, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Say less
    #[arg(short, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Where the log goes
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// error, warn, info, debug, trace [env: MILLRACE_LOG]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApiWord {
    Chat,
    Responses,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApproveWord {
    Ask,
    ReadOnly,
    All,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DispatchWord {
    Close,
    Finish,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Output {
    Text,
    Json,
    Ndjson,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorWord {
    Always,
    Auto,
    Never,
}

impl SessionArgs {
    /// What [`crate::config::resolve()`] needs to know of them.
    #[must_use]
    pub fn flags(&self) -> Flags {
        Flags {
            profile: self.endpoint.profile.clone(),
            base_url: self.endpoint.base_url.clone(),
            model: self.endpoint.model.clone(),
            api: self.endpoint.api.map(|word| match word {
                ApiWord::Chat => Api::Chat,
                ApiWord::Responses => Api::Responses,
            }),
            system: self.ask.system.clone(),
            role: self.ask.role.clone(),
            temperature: self.ask.temperature,
            max_output_tokens: self.ask.max_output_tokens,
            reasoning_effort: self.ask.reasoning_effort.clone(),
            params: self.ask.params.clone(),
            no_mcp: self.tools.no_mcp,
            trust: self.tools.trust.clone(),
            approve: self.tools.approve.map(|word| match word {
                ApproveWord::Ask => Approve::Ask,
                ApproveWord::ReadOnly => Approve::ReadOnly,
                ApproveWord::All => Approve::All,
                ApproveWord::None => Approve::None,
            }),
            allow: self.tools.allow.clone(),
            deny: self.tools.deny.clone(),
            dispatch: self.tools.dispatch.map(|word| match word {
                DispatchWord::Close => Dispatch::Close,
                DispatchWord::Finish => Dispatch::Finish,
            }),
            max_rounds: self.tools.max_rounds,
            no_save: self.keep.no_save,
        }
    }
}

fn temperature(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|n| (0.0..=2.0).contains(n)).ok_or_else(|| "a number from 0 to 2".to_owned())
}

fn param(text: &str) -> Result<(String, Value), String> {
    let (key, json) = text.split_once('=').filter(|(key, _)| !key.is_empty()).ok_or("write KEY=JSON, as top_p=0.9")?;
    let value = serde_json::from_str(json)
        .map_err(|_| format!("{key} is not given JSON; a text needs quotes: {key}='\"word\"'"))?;
    Ok((key.to_owned(), value))
}
