//! What a person can do: keys, palette, slash commands and mouse all become one of these.

use super::keymap::Place;

/// A thing to do. Closed; [`COMMANDS`] gives each its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    // Anywhere.
    Tools,
    /// Which tools the model is offered.
    Toolbox,
    /// `find_tools` on or off for this conversation.
    FindTools,
    Servers,
    History,
    Prompts,
    New,
    /// A new conversation that is written nowhere.
    Incognito,
    /// Goes to a conversation that runs or waits elsewhere.
    Elsewhere,
    Palette,
    Mouse,
    PanelToggle,
    Redraw,
    Suspend,
    Help,
    Models,
    Usage,
    Timeline,
    System,
    /// In which role the model answers.
    Role,
    Connect,
    AnotherKey,
    AnotherEndpoint,
    Stop,
    Quit,
    /// Deletes to the right; on an empty line, quits.
    DeleteOrQuit,
    /// Clears the text, stops the answer, then, twice, quits.
    Interrupt,
    /// Closes one layer, then stops the answer.
    Back,
    FocusNext,
    FocusPrevious,
    Rename,
    Export,
    Share,
    /// Takes this conversation out of the lists; it is kept for a while.
    Delete,
    /// Lets the model summarise what is older.
    Compact,
    /// Takes a summary back.
    CompactUndo,
    /// Erases this conversation for good.
    Erase,
    Config,
    Settings,
    Continue,
    AskAgain,
    ResumeNewest,
    ImportServers,
    /// Attaches resources that have changed as they are now.
    Reattach,

    // The composer.
    Send,
    NewLine,
    Editor,
    /// Attaches the picture that the clipboard holds.
    PastePicture,
    RecallUp,
    RecallDown,
    ScrollUp,
    ScrollDown,
    /// At the end of the text: follow the answer. Else the line's end.
    EndOrFollow,
    HelpOnEmpty,
    Edit(Edit),

    // The transcript.
    LineUp,
    LineDown,
    PageUp,
    PageDown,
    Top,
    Follow,
    MessagePrevious,
    MessageNext,
    Find,
    FindNext,
    FindPrevious,
    CopyMessage,
    CopyCode,
    BlockPrevious,
    BlockNext,
    EditMessage,
    Fold,
    AnswerAgain,
    /// With another model, chosen first.
    AnswerAgainBy,
    BranchHere,
    BranchPrevious,
    BranchNext,

    // The panel.
    RowUp,
    RowDown,
    OpenCall,
    CancelCall,
    RunAgain,
    CopyResult,
    CopyArguments,
    ViewResult,
    SaveResult,
    FilterAll,
    FilterWaiting,
    FilterRunning,
    FilterFailed,

    // The review.
    Deny,
    DenyWhy,
    ApproveOnce,
    ApproveSession,
    ApproveAlways,
    EditArguments,
    UseEarlier,
    ReviewPage,
    ReviewEnd,
    ReviewPretty,
    ReviewUp,
    ReviewDown,
}

/// Readline's motions and edits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Edit {
    Left,
    Right,
    WordLeft,
    WordRight,
    LineStart,
    LineEnd,
    DeleteLeft,
    DeleteRight,
    DeleteWordLeft,
    DeleteWordRight,
    KillToStart,
    KillToEnd,
    Yank,
    Undo,
    Redo,
}

/// The words of a command: in `[keys]`, on the keyboard, after a slash, in lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandInfo {
    pub command: Command,
    /// As `[keys]` names it: place and word.
    pub name: &'static str,
    pub place: Place,
    /// The default keys.
    pub keys: &'static [&'static str],
    /// After a slash; empty for motions and edits.
    pub slash: &'static str,
    pub label: &'static str,
}

impl Command {
    #[must_use]
    pub fn info(self) -> Option<&'static CommandInfo> {
        COMMANDS.iter().find(|info| info.command == self)
    }

    /// The command of a slash word, without its slash.
    #[must_use]
    pub fn slash(word: &str) -> Option<Self> {
        let word = match word {
            "exit" | "q" => "quit",
            "model" => "models",
            "mcp" => "servers",
            "resume" => "history",
            "clear" => "new",
            "cost" | "context" | "tokens" => "usage",
            other => other,
        };
        COMMANDS.iter().find(|info| !info.slash.is_empty() && info.slash == word).map(|info| info.command)
    }

    /// All that the palette and the completion offer.
    pub fn listed() -> impl Iterator<Item = &'static CommandInfo> {
        COMMANDS.iter().filter(|info| !info.slash.is_empty())
    }
}

const fn row(
    command: Command,
    place: Place,
    name: &'static str,
    keys: &'static [&'static str],
    slash: &'static str,
    label: &'static str,
) -> CommandInfo {
    CommandInfo { command, name, place, keys, slash, label }
}

use Command as C;
use Place::{Composer, Global, Panel, Review, Transcript};

/// Every command with its words. A key is looked up in the focused place first, then in `Global`.
pub const COMMANDS: &[CommandInfo] = &[
    row(C::Tools, Global, "app.tools", &["ctrl+t"], "tools", "tools, or the review that waits"),
    row(C::Servers, Global, "app.servers", &["ctrl+o"], "servers", "MCP servers"),
    row(C::History, Global, "app.history", &["ctrl+r"], "history", "earlier conversations"),
    row(C::Prompts, Global, "app.prompts", &[], "prompts", "earlier prompts"),
    row(C::New, Global, "app.new", &["ctrl+n"], "new", "new conversation"),
    row(C::Incognito, Global, "app.incognito", &[], "incognito", "a new conversation that is written nowhere"),
    row(
        C::Elsewhere,
        Global,
        "app.elsewhere",
        &["alt+r"],
        "elsewhere",
        "the conversation that waits for you, or runs, elsewhere",
    ),
    row(C::Palette, Global, "app.palette", &["ctrl+p", "alt+x"], "commands", "all commands"),
    row(C::Mouse, Global, "app.mouse", &["f2"], "mouse", "mouse on or off"),
    row(C::PanelToggle, Global, "app.panel", &["f3"], "panel", "tool panel on or off"),
    row(C::Redraw, Global, "app.redraw", &["ctrl+l"], "redraw", "draw the screen again"),
    row(C::Suspend, Global, "app.suspend", &["ctrl+z"], "suspend", "suspend to the shell"),
    row(C::Help, Global, "app.help", &["f1"], "help", "keys and commands"),
    row(C::Models, Global, "app.models", &[], "models", "choose the model"),
    row(C::Usage, Global, "app.usage", &[], "usage", "tokens, cost and context"),
    row(C::Timeline, Global, "app.timeline", &[], "timeline", "rounds and calls of the last turn"),
    row(C::System, Global, "app.system", &[], "system", "system prompt"),
    row(C::Role, Global, "app.role", &[], "role", "the role that the model answers in"),
    row(C::Connect, Global, "app.connect", &[], "connect", "choose what to talk to"),
    row(C::AnotherKey, Global, "app.key", &[], "key", "another key for this endpoint"),
    row(C::AnotherEndpoint, Global, "app.endpoint", &[], "endpoint", "another endpoint"),
    row(C::Stop, Global, "app.stop", &[], "stop", "stop the answer"),
    row(C::Quit, Global, "app.leave", &[], "quit", "quit"),
    row(C::Interrupt, Global, "app.interrupt", &["ctrl+c"], "", "clear, stop, twice: quit"),
    row(C::Back, Global, "app.back", &["esc"], "", "back, stop the answer"),
    row(C::FocusNext, Global, "app.focus_next", &["tab"], "", "next part of the screen"),
    row(C::FocusPrevious, Global, "app.focus_previous", &["shift+tab"], "", "previous part of the screen"),
    row(C::Rename, Global, "app.rename", &[], "rename", "rename this conversation"),
    row(C::Export, Global, "app.export", &[], "export", "export this conversation: md, html or json"),
    row(C::Share, Global, "app.share", &[], "share", "a file for others, without arguments and results"),
    row(C::Compact, Global, "app.compact", &[], "compact", "summarise older messages for the model"),
    row(C::CompactUndo, Global, "app.compact_undo", &[], "compact-undo", "take the summary back"),
    row(C::Delete, Global, "app.delete", &[], "delete", "delete this conversation, kept for 30 days"),
    row(C::Erase, Global, "app.erase", &[], "erase", "erase this conversation for good"),
    row(C::Config, Global, "app.config", &[], "config", "edit the configuration"),
    row(C::Settings, Global, "app.settings", &[], "settings", "settings"),
    row(C::Continue, Global, "app.continue", &[], "continue", "let the model go on"),
    row(C::AskAgain, Global, "app.retry", &[], "retry", "ask again"),
    row(C::ResumeNewest, Global, "app.resume", &[], "last", "the newest conversation of this folder"),
    row(C::Toolbox, Global, "app.toolbox", &[], "offered", "tools that the model is offered"),
    row(C::FindTools, Global, "app.find_tools", &[], "find-tools", "find_tools on or off in this conversation"),
    row(C::ImportServers, Global, "app.import", &[], "import", "bring the servers of other clients"),
    row(C::Reattach, Global, "app.reattach", &["alt+a"], "reattach", "attach again what has changed"),
    row(C::Send, Composer, "composer.send", &["enter"], "", "send"),
    row(C::NewLine, Composer, "composer.newline", &["shift+enter", "alt+enter", "ctrl+j"], "", "new line"),
    row(C::Editor, Composer, "composer.editor", &["ctrl+g", "ctrl+x ctrl+e"], "editor", "write in $EDITOR"),
    row(C::PastePicture, Composer, "composer.paste_picture", &["ctrl+v"], "picture", "attach the clipboard's picture"),
    row(C::RecallUp, Composer, "composer.recall", &["up"], "", "earlier prompt"),
    row(C::RecallDown, Composer, "composer.recall_down", &["down"], "", "later prompt"),
    row(C::ScrollUp, Composer, "composer.scroll_up", &["pgup"], "", "scroll up"),
    row(C::ScrollDown, Composer, "composer.scroll_down", &["pgdn"], "", "scroll down"),
    row(C::EndOrFollow, Composer, "composer.follow", &["end"], "", "line end, then follow"),
    row(C::HelpOnEmpty, Composer, "composer.help", &["?"], "", "help"),
    row(C::DeleteOrQuit, Composer, "app.quit", &["ctrl+d"], "", "delete, on an empty line: quit"),
    row(C::Edit(Edit::Left), Composer, "composer.left", &["left", "ctrl+b"], "", "left"),
    row(C::Edit(Edit::Right), Composer, "composer.right", &["right", "ctrl+f"], "", "right"),
    row(C::Edit(Edit::WordLeft), Composer, "composer.word_left", &["alt+b", "ctrl+left", "alt+left"], "", "word left"),
    row(
        C::Edit(Edit::WordRight),
        Composer,
        "composer.word_right",
        &["alt+f", "ctrl+right", "alt+right"],
        "",
        "word right",
    ),
    row(C::Edit(Edit::LineStart), Composer, "composer.line_start", &["ctrl+a", "home"], "", "line start"),
    row(C::Edit(Edit::LineEnd), Composer, "composer.line_end", &["ctrl+e"], "", "line end"),
    row(
        C::Edit(Edit::DeleteLeft),
        Composer,
        "composer.delete_left",
        &["backspace", "shift+backspace"],
        "",
        "delete left",
    ),
    row(C::Edit(Edit::DeleteRight), Composer, "composer.delete_right", &["delete"], "", "delete right"),
    row(
        C::Edit(Edit::DeleteWordLeft),
        Composer,
        "composer.delete_word_left",
        &["ctrl+w", "alt+backspace", "ctrl+backspace"],
        "",
        "delete word left",
    ),
    row(C::Edit(Edit::DeleteWordRight), Composer, "composer.delete_word_right", &["alt+d"], "", "delete word right"),
    row(C::Edit(Edit::KillToStart), Composer, "composer.kill_to_start", &["ctrl+u"], "", "cut to the line's start"),
    row(C::Edit(Edit::KillToEnd), Composer, "composer.kill_to_end", &["ctrl+k"], "", "cut to the line's end"),
    row(C::Edit(Edit::Yank), Composer, "composer.yank", &["ctrl+y"], "", "insert what was cut"),
    row(C::Edit(Edit::Undo), Composer, "composer.undo", &["ctrl+_"], "undo", "undo"),
    row(C::Edit(Edit::Redo), Composer, "composer.redo", &["alt+_"], "redo", "redo"),
    row(C::LineUp, Transcript, "transcript.up", &["k", "up"], "", "scroll up"),
    row(C::LineDown, Transcript, "transcript.down", &["j", "down"], "", "scroll down"),
    row(C::PageUp, Transcript, "transcript.page_up", &["b", "pgup"], "", "page up"),
    row(C::PageDown, Transcript, "transcript.page_down", &["space", "pgdn"], "", "page down"),
    row(C::Top, Transcript, "transcript.top", &["g", "home"], "top", "to the beginning"),
    row(C::Follow, Transcript, "transcript.follow", &["G", "end"], "follow", "follow the answer"),
    row(C::MessagePrevious, Transcript, "transcript.previous_message", &["["], "", "previous message"),
    row(C::MessageNext, Transcript, "transcript.next_message", &["]"], "", "next message"),
    row(C::Find, Transcript, "transcript.find", &["/"], "find", "find in this conversation"),
    row(C::FindNext, Transcript, "transcript.find_next", &["n"], "", "next match"),
    row(C::FindPrevious, Transcript, "transcript.find_previous", &["N"], "", "previous match"),
    row(C::BlockPrevious, Transcript, "transcript.previous_block", &["{", "K"], "", "previous block"),
    row(C::BlockNext, Transcript, "transcript.next_block", &["}", "J"], "", "next block"),
    row(C::CopyMessage, Transcript, "transcript.copy", &["y"], "copy", "copy the chosen block, else the message"),
    row(
        C::CopyCode,
        Transcript,
        "transcript.copy_code",
        &["Y"],
        "copy-code",
        "copy code, a table as CSV, a result as JSON",
    ),
    row(C::EditMessage, Transcript, "transcript.edit", &["e"], "edit", "edit the message and branch"),
    row(C::Fold, Transcript, "transcript.fold", &["enter"], "fold", "fold or unfold the thinking, or the chosen call"),
    row(C::OpenCall, Transcript, "transcript.open", &["o"], "", "open the chosen call"),
    row(C::AnswerAgain, Transcript, "transcript.again", &["R"], "again", "answer again; /again MODEL: by that model"),
    row(C::AnswerAgainBy, Transcript, "transcript.again_by", &["M"], "again-by", "answer again, by another model"),
    row(C::BranchPrevious, Transcript, "transcript.previous_branch", &["<"], "previous-branch", "the branch before"),
    row(C::BranchNext, Transcript, "transcript.next_branch", &[">"], "next-branch", "the branch after"),
    row(C::BranchHere, Transcript, "transcript.branch", &["B"], "branch", "branch from this message"),
    row(C::Continue, Transcript, "transcript.continue", &["c"], "", "let the model go on"),
    row(C::RowUp, Panel, "panel.up", &["k", "up"], "", "up"),
    row(C::RowDown, Panel, "panel.down", &["j", "down"], "", "down"),
    row(C::OpenCall, Panel, "panel.open", &["enter"], "", "open the call"),
    row(C::CancelCall, Panel, "panel.cancel", &["x"], "cancel", "cancel this call"),
    row(C::RunAgain, Panel, "panel.again", &["R"], "rerun", "run this call again, by review"),
    row(C::CopyResult, Panel, "panel.copy_result", &["y"], "copy-result", "copy the result"),
    row(C::CopyArguments, Panel, "panel.copy_arguments", &["a"], "copy-arguments", "copy the arguments"),
    row(C::ViewResult, Panel, "panel.editor", &["e"], "view-result", "result in $EDITOR"),
    row(C::SaveResult, Panel, "panel.save", &["s"], "save-result", "save the result to a file"),
    row(C::FilterAll, Panel, "panel.filter_1", &["1"], "", "all calls"),
    row(C::FilterWaiting, Panel, "panel.filter_2", &["2"], "", "waiting calls"),
    row(C::FilterRunning, Panel, "panel.filter_3", &["3"], "", "running calls"),
    row(C::FilterFailed, Panel, "panel.filter_4", &["4"], "", "failed calls"),
    row(C::Toolbox, Panel, "panel.offered", &["o"], "", "tools that the model is offered"),
    row(C::Timeline, Panel, "panel.timeline", &["t"], "", "timeline"),
    row(C::Deny, Review, "review.deny", &["n"], "", "deny"),
    row(C::DenyWhy, Review, "review.deny_with_reason", &["d"], "", "deny and say why"),
    row(C::ApproveOnce, Review, "review.once", &["y"], "", "allow once"),
    row(C::ApproveSession, Review, "review.session", &["s"], "", "allow for this session"),
    row(C::ApproveAlways, Review, "review.always", &["A"], "", "always allow, shows the rule"),
    row(C::EditArguments, Review, "review.edit", &["e"], "", "edit the arguments"),
    row(C::UseEarlier, Review, "review.earlier", &["o"], "", "use the earlier result"),
    row(C::Back, Review, "review.later", &["esc"], "", "decide later"),
    row(C::ReviewPage, Review, "review.page_down", &["space"], "", "page down"),
    row(C::ReviewEnd, Review, "review.to_end", &["f"], "", "whole, to its end"),
    row(C::ReviewPretty, Review, "review.pretty", &["p"], "", "the next view of it"),
    row(C::ReviewUp, Review, "review.up", &["k"], "", "scroll up"),
    row(C::ReviewDown, Review, "review.down", &["j"], "", "scroll down"),
];
