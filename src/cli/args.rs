//! The command line: every option and subcommand of the contract, for clap.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};

mod groups;
mod mcp;
mod version;

pub use super::session::*;
use crate::record::Speed;
pub use mcp::*;

const EXAMPLES: &str = "Examples:
  millrace \"Why does my retry loop never end?\"     the chat screen, the question sent at once
  git diff | millrace run \"Review this\"            one answer, for a pipe or a script
  millrace demo                                    everything at work: no key, no network

";

const AFTER: &str =
    "`millrace COMMAND --help` says more. A first word that is a command is one; `millrace -- WORD…` sends it.";

/// What its scripted model does not look at, and what needs a configuration or a store that outlives it. They are taken
/// as everywhere else, and its help leaves them out.
const UNHEEDED_BY_DEMO: [&str; 16] = [
    "profile",
    "base_url",
    "model",
    "api",
    "system",
    "role",
    "temperature",
    "max_output_tokens",
    "reasoning_effort",
    "params",
    "files",
    "schema",
    "tool_choice",
    "cont",
    "resume",
    "no_save",
];

#[derive(Debug, Parser)]
#[command(
    name = "millrace",
    version,
    long_version = version::long(),
    about = "A streaming-first terminal client for chat with tools",
    before_long_help = EXAMPLES,
    after_help = AFTER,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    #[command(flatten)]
    pub session: SessionArgs,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// One turn without a screen; stdin is the prompt, or is appended to it
    Run(Box<RunArgs>),
    /// Follow a turn that runs elsewhere (run --detach), or stop it
    Attach(AttachArgs),
    /// The built-in model and tools: no key, no network, no configuration
    #[command(mut_args = |arg| if UNHEEDED_BY_DEMO.contains(&arg.get_id().as_str()) { arg.hide(true) } else { arg })]
    Demo(Box<SessionArgs>),
    /// Past conversations
    History(HistoryArgs),
    /// The rounds and calls of a conversation's last turn
    Timeline(TimelineArgs),
    /// A recording, again; never reaches a network or a server
    Replay(ReplayArgs),
    /// A recorded response body, assembled
    Decode(DecodeArgs),
    /// MCP servers and their tools
    Mcp(McpArgs),
    /// What the endpoint offers
    Models(ModelsArgs),
    /// What is wrong, and what to do
    Doctor(DoctorArgs),
    /// The configuration
    Config(ConfigArgs),
    /// A completion script for a shell
    Completions {
        /// Which one
        shell: clap_complete::Shell,
    },
    /// The manual page
    Man,
    /// The MCP server of the demo, over stdin and stdout
    #[command(hide = true, name = "demo-server")]
    DemoServer,
    /// Ends the servers of a millrace that was killed
    #[command(hide = true, name = "watchdog")]
    Watchdog,
}

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub session: SessionArgs,
    /// Let it run by itself and print the id to follow it by: millrace attach ID
    #[arg(long, help_heading = "Conversation")]
    pub detach: bool,
    /// It does
    #[arg(long, hide = true)]
    pub detached: bool,
}

#[derive(Debug, Args)]
pub struct AttachArgs {
    /// Any unique beginning of a conversation's id, or `last`
    pub id: String,
    /// End it: what was answered so far is kept
    #[arg(long)]
    pub stop: bool,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(subcommand)]
    pub command: Option<HistoryCommand>,
    /// One JSON value instead of text
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum HistoryCommand {
    /// The newest first
    List {
        /// Those that were deleted and are still kept
        #[arg(long)]
        deleted: bool,
    },
    /// Those that hold these words, tool calls included
    ///
    /// Narrowed by `tool:`, `server:`, `model:`, `in:` (a folder), `before:`, `after:`, `has:calls`, `has:error`,
    /// `is:pinned`, `is:interrupted`.
    Search {
        /// Words that all have to be there
        #[arg(required = true)]
        query: Vec<String>,
    },
    /// One, message by message
    Show {
        /// Any unique beginning of an id, or `last`
        id: String,
    },
    /// To stdout, or to a file; known secrets are left out
    Export {
        /// Any unique beginning of an id, or `last`
        id: String,
        /// Instead of stdout; .md, .json and .html say the form
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Whatever the file is called; Markdown where nothing says another
        #[arg(long, value_enum, value_name = "FORM")]
        format: Option<ExportFormat>,
        /// As JSON: the branches that are not shown, too
        #[arg(long)]
        all_branches: bool,
        /// To be shown to others: without what tools were given and said, attachments, thoughts, the system prompt, and this
        /// computer's paths and your name
        #[arg(long, conflicts_with = "all_branches")]
        share: bool,
        /// In a share file: what tools were given
        #[arg(long, requires = "share")]
        with_arguments: bool,
        /// In a share file: what tools said
        #[arg(long, requires = "share")]
        with_results: bool,
        /// In a share file: files, resources and pictures that were attached
        #[arg(long, requires = "share")]
        with_attachments: bool,
        /// In a share file: what the model thought
        #[arg(long, requires = "share")]
        with_reasoning: bool,
        /// In a share file: the system prompt
        #[arg(long, requires = "share")]
        with_system: bool,
    },
    /// In from files: a data export of ChatGPT or Claude, or JSON that millrace exported
    ///
    /// The form is known by what a file holds. Branches, times and models are kept; calls become history and never run.
    /// What was imported before is left out.
    Import {
        /// A file, an archive (.zip), a folder, or - for stdin
        file: PathBuf,
        /// Beside those that were imported before, too
        #[arg(long)]
        again: bool,
        /// Only say what would be imported
        #[arg(long)]
        dry_run: bool,
    },
    /// Another title
    Rename {
        /// Any unique beginning of an id, or `last`
        id: String,
        /// The new one
        #[arg(required = true)]
        title: Vec<String>,
    },
    /// Out of the lists; it is kept for 30 days
    Delete {
        /// Any unique beginning of an id, or `last`
        id: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
        /// Erase it at once and for good: from the store, its search index, its log and its copies
        #[arg(long)]
        now: bool,
    },
    /// Bring a deleted one back
    Restore {
        /// Any unique beginning of its id
        id: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// To be read
    Markdown,
    /// Whole; `history import` takes it back
    Json,
    /// One page, to be looked at in a browser
    Html,
}

#[derive(Debug, Args)]
pub struct TimelineArgs {
    /// Any unique beginning of an id, or `last`; without: the last
    pub id: Option<String>,
    /// One JSON value instead of the drawing
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// What --record made
    pub file: PathBuf,
    /// original, full, or so many times the original; on the screen original, with --output full
    #[arg(long, value_name = "SPEED", value_parser = speed)]
    pub speed: Option<Speed>,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

fn speed(text: &str) -> Result<Speed, String> {
    match text {
        "original" => Ok(Speed::Original),
        "full" => Ok(Speed::Full),
        number => number
            .trim_end_matches('x')
            .parse()
            .ok()
            .filter(|times: &f64| (0.01..=1000.0).contains(times))
            .map(Speed::Times)
            .ok_or_else(|| "original, full, or a number from 0.01 to 1000".to_owned()),
    }
}

#[derive(Debug, Args)]
pub struct DecodeArgs {
    /// A recorded body, or - for stdin
    pub file: PathBuf,
    /// Tool name to list of parameter names, or a Chat Completions `tools` array
    #[arg(long, value_name = "FILE")]
    pub tools: Option<PathBuf>,
    /// The response's status
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(100..600))]
    pub status: Option<u16>,
    /// The response's content type
    #[arg(long, value_name = "T")]
    pub content_type: Option<String>,
    /// Feed N bytes at a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub chunk: Option<u32>,
}

#[derive(Debug, Args)]
pub struct ModelsArgs {
    #[command(flatten)]
    pub endpoint: EndpointArgs,
    /// Of the endpoints of all profiles
    #[arg(long)]
    pub all: bool,
    /// Only those that you marked with f in the picker
    #[arg(long)]
    pub favourites: bool,
    /// One JSON value instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    pub endpoint: EndpointArgs,
    /// One JSON value instead of text
    #[arg(long)]
    pub json: bool,
    /// Set a damaged store aside and save what can be read of it into a new one
    #[arg(long)]
    pub repair: bool,
    /// Give the store's free space back to the disk
    #[arg(long)]
    pub vacuum: bool,
}

#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    pub command: Option<ConfigCommand>,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Where everything is
    Path,
    /// Write a documented config.toml
    Init {
        /// Even where there is one
        #[arg(long)]
        force: bool,
    },
    /// Say everything that is wrong with it
    Check {
        /// Another file than config.toml
        file: Option<PathBuf>,
    },
    /// What holds now; secrets masked
    Show {
        /// And who said so
        #[arg(long)]
        origin: bool,
        #[command(flatten)]
        endpoint: EndpointArgs,
    },
    /// In $VISUAL or $EDITOR
    Edit,
    /// What the file says, as TOML
    Get {
        /// As it stands in the file, with dots: profiles.local.model
        key: String,
    },
    /// Change the file; comments stay
    Set {
        /// As it stands in the file, with dots: profiles.local.model
        key: String,
        /// TOML; a bare word is a text
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// A JSON Schema of config.toml
    Schema,
    /// Let this folder's .millrace.toml be read, as it is now
    Trust {
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
    /// No longer
    Untrust,
}

/// Parses a command line, the program's name first.
///
/// The first word decides: a subcommand is one wherever options stand before it, one typing slip from one is an
/// error, anything else is the prompt. `--` before it ends that.
pub fn parse(args: Vec<std::ffi::OsString>) -> Result<Cli, clap::Error> {
    let mut args = args;
    if let Some(at) = first_word(&args) {
        let word = args[at].to_string_lossy().into_owned();
        let known: Vec<_> = Cli::command().get_subcommands().map(|c| c.get_name().to_owned()).collect();
        if known.contains(&word) {
            let word = args.remove(at);
            args.insert(1, word);
        } else if word == "help" && args.len() == 2 {
            args[at] = "--help".into();
        } else if word == "help" && at == 1 && args.len() == 3 && known.iter().any(|name| args[2] == name.as_str()) {
            args.swap(1, 2);
            args[2] = "--help".into();
        } else if let Some(near) = slip(&word, &known).or_else(|| beginning(&word, &known).filter(|_| alone(&args, at)))
        {
            let message = format!(
                "{word:?} is no command of millrace; did you mean `{near}`?\n\nTo send it as a message: millrace -- {word} …"
            );
            return Err(Cli::command().error(clap::error::ErrorKind::InvalidSubcommand, message));
        }
    }
    let mut command = groups::grouped(Cli::command());
    let matches = command.try_get_matches_from_mut(args)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// The subcommand that is one typing slip away: a letter too many, too few, wrong, or two changed over.
fn slip<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    let visible = known.iter().map(String::as_str).filter(|name| *name != "demo-server");
    visible
        .filter(|name| strsim::osa_distance(word, name) == 1)
        .max_by(|a, b| strsim::jaro_winkler(word, a).total_cmp(&strsim::jaro_winkler(word, b)))
}

/// The one subcommand that a word begins. Two letters begin too much.
fn beginning<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    let mut begun = known.iter().filter(|name| word.len() > 2 && name.starts_with(word));
    begun.next().filter(|_| begun.next().is_none()).map(String::as_str)
}

/// Whether no other word stands beside this one: a message of several words is one, however it begins.
fn alone(args: &[std::ffi::OsString], at: usize) -> bool {
    args.len() == at + 1
}

/// Where the first word stands that is neither an option nor an option's value; None where `--` comes first.
fn first_word(args: &[std::ffi::OsString]) -> Option<usize> {
    let command = Cli::command();
    let takes_value = |option: &clap::Arg| option.get_action().takes_values() && !option.is_require_equals_set();
    let mut at = 1;
    while at < args.len() {
        let text = args[at].to_string_lossy();
        if text == "--" {
            return None;
        }
        if let Some(long) = text.strip_prefix("--") {
            let option = command.get_arguments().find(|a| a.get_long() == Some(long));
            at += if option.is_some_and(takes_value) { 2 } else { 1 };
        } else if text.len() > 1 && text.starts_with('-') {
            let letters: Vec<char> = text[1..].chars().collect();
            let taker = letters
                .iter()
                .position(|c| command.get_arguments().any(|a| a.get_short() == Some(*c) && takes_value(a)));
            at += if taker == Some(letters.len() - 1) { 2 } else { 1 };
        } else {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Api, Approve, Dispatch};

    fn read(line: &str) -> Result<Cli, clap::Error> {
        parse(std::iter::once("millrace").chain(line.split_whitespace()).map(Into::into).collect())
    }

    #[test]
    fn clap_finds_no_fault_with_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_and_argument_has_a_line_of_help() {
        fn walk(command: &clap::Command, path: &str, without: &mut Vec<String>) {
            let empty = |help: Option<&clap::builder::StyledStr>| help.is_none_or(|help| help.to_string().is_empty());
            let args = command.get_arguments().filter(|arg| !arg.is_hide_set() && empty(arg.get_help()));
            without.extend(args.map(|arg| format!("{path} {}", arg.get_id())));
            for inner in command.get_subcommands() {
                let path = format!("{path} {}", inner.get_name());
                if empty(inner.get_about()) {
                    without.push(path.clone());
                }
                walk(inner, &path, without);
            }
        }
        let mut without = Vec::new();
        walk(&Cli::command(), "millrace", &mut without);
        assert!(without.is_empty(), "{without:#?}");
    }

    #[test]
    fn the_demos_help_lists_what_it_heeds_and_it_takes_the_rest() {
        let mut command = Cli::command();
        let demo = command.find_subcommand_mut("demo").unwrap();
        for name in UNHEEDED_BY_DEMO {
            assert!(demo.get_arguments().any(|arg| arg.get_id() == name), "{name} is no option");
        }
        let help = demo.render_long_help().to_string();
        for heeded in ["--mcp", "--approve", "--deny", "--dispatch", "--output", "--inline", "--record"] {
            assert!(help.contains(heeded), "{heeded}: {help}");
        }
        for unheeded in ["--profile", "--temperature", "--resume", "--schema", "--role"] {
            assert!(!help.contains(unheeded), "{unheeded}: {help}");
        }
        assert!(Cli::command().render_long_help().to_string().contains("--profile"));
        read("demo -m x --temperature 0 hello").unwrap();
    }

    #[test]
    fn the_first_word_decides() {
        let prompt = |line: &str| {
            let cli = read(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            assert!(cli.command.is_none(), "{line}");
            cli.session.prompt.join(" ")
        };
        assert_eq!(prompt(""), "");
        assert_eq!(prompt("why is history written so"), "why is history written so");
        assert_eq!(prompt("-m run tell me"), "tell me");
        assert_eq!(prompt("--model=run tell me"), "tell me");
        assert_eq!(prompt("-- history of Rome"), "history of Rome");
        assert_eq!(prompt("-c -- run"), "run");
        assert_eq!(prompt("tell -m x me"), "tell me");
        assert_eq!(prompt("help me"), "help me");
        assert_eq!(prompt("-r tell"), "tell");
        let command = |line: &str| read(line).unwrap_or_else(|e| panic!("{line}: {e}")).command.unwrap();
        assert!(matches!(command("history"), Command::History(a) if a.command.is_none()));
        assert!(matches!(command("mcp"), Command::Mcp(a) if a.command.is_none()));
        assert!(matches!(command("config"), Command::Config(a) if a.command.is_none()));
        let Command::Run(run) = command("-m x run --json hello run") else { panic!() };
        assert_eq!(
            (run.session.endpoint.model.as_deref(), run.session.prompt.join(" ").as_str()),
            (Some("x"), "hello run")
        );
        assert_eq!(run.session.output.form(), Some(Output::Json));
        let Command::Run(run) = command("run -- -m x") else { panic!() };
        assert_eq!(run.session.prompt, ["-m", "x"]);
        let Command::Run(run) = command("--detached -m x run --detach -- hello") else { panic!() };
        assert!(run.detach && run.detached && run.session.prompt == ["hello"]);
    }

    #[test]
    fn a_typing_slip_is_named_and_words_are_not() {
        for (line, expect) in [
            ("histroy list", "history"),
            ("hstory", "history"),
            ("runn hello", "run"),
            ("Run hello", "run"),
            ("modles", "models"),
            ("-m x docter", "doctor"),
            ("configs", "config"),
            ("mpc", "mcp"),
            ("hist", "history"),
            ("tim", "timeline"),
        ] {
            let error = read(line).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(&format!("did you mean `{expect}`")), "{line}: {error}");
        }
        for line in ["hello", "running late", "why run", "histories", "-- histroy", "configure me", "hist of it", "co"]
        {
            read(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    #[test]
    fn every_option_is_read() {
        let line = "run -p a --base-url http://x/v1 -m b --api responses -s c --temperature 0 --max-output-tokens 5 \
            --reasoning-effort low --param top_p=0.5 --param stop=[1] -f x -f y --mcp m --mcp n --trust s --approve read-only \
            --allow a/* --deny b/* --dispatch finish --tool-choice required --max-rounds 3 --schema s.json --output ndjson \
            -x --resume=last --no-save --record r --plain --color never -vv --log l --log-level debug hello";
        let Command::Run(run) = read(line).unwrap().command.unwrap() else { panic!() };
        let run = run.session;
        let flags = run.flags();
        assert_eq!(flags.approve, Some(Approve::ReadOnly));
        assert_eq!((flags.api, flags.dispatch), (Some(Api::Responses), Some(Dispatch::Finish)));
        assert_eq!(flags.params, [("top_p".to_owned(), 0.5.into()), ("stop".to_owned(), serde_json::json!([1]))]);
        assert_eq!((run.tools.mcp.len(), run.ask.files.len(), run.log.verbose), (2, 2, 2));
        assert_eq!(run.keep.resume.as_deref(), Some("last"));
        for (line, resume) in [("", None), ("-r", Some("")), ("--resume", Some("")), ("-r=ab", Some("ab"))] {
            assert_eq!(read(line).unwrap().session.keep.resume.as_deref(), resume, "{line}");
        }
        for bad in [
            "--approve maybe",
            "--temperature 3",
            "--temperature -1",
            "--max-rounds 0",
            "--param x",
            "--param =1",
            "--param x=y z",
            "--output xml",
            "--json --output text",
            "-s a --role b",
            "-c -r",
            "--inline --plain",
            "--no-mcp --mcp f",
            "--bogus",
            "history -m x",
            "mcp add",
            "mcp add n",
            "mcp call s",
            "config set k",
            "decode",
            "completions klingon",
            "history search",
        ] {
            assert_eq!(read(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
        let Command::Mcp(mcp) = read("mcp add files --env A=B -- npx -y pkg --flag").unwrap().command.unwrap() else {
            panic!()
        };
        let Some(McpCommand::Add { name, command, env, url, .. }) = mcp.command else { panic!() };
        assert_eq!((name.as_str(), command.len(), env.len(), url), ("files", 4, 1, None));
        read("mcp add w http://x/mcp").unwrap();
    }
}
