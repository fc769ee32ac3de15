//! How a session begins.

use super::effect::Effect;
use super::state::State;
use crate::chat::{Conversation, Part};

/// What the command line asked for.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Sent at once.
    pub prompt: Option<String>,
    /// Stands in the composer, to be sent or changed.
    pub draft: Option<String>,
    /// What was being written in that conversation when it was left, or when the program was killed.
    pub kept: Option<String>,
    /// Sent with the prompt (`-f`), or with the first message.
    pub parts: Vec<Part>,
    /// A piped standard input: becomes a paste.
    pub piped: Option<String>,
    /// `-c`, or `--resume=ID`: already read.
    pub conversation: Option<Box<Conversation>>,
    /// `--resume` alone.
    pub browse: bool,
    /// Earlier prompts, newest last.
    pub history: Vec<String>,
    pub mouse: bool,
}

/// Sets up the first screen. The effects are carried out after its first frame.
pub fn start(state: &mut State, start: Start) -> Vec<Effect> {
    let mut out = Vec::new();
    state.status.mouse = start.mouse;
    state.composer.history = start.history;
    if state.session.settings.no_save {
        state.status.saved = super::status::Saved::Off;
    }
    match start.conversation {
        Some(conversation) => state.load(*conversation, &mut out),
        None => out.push(Effect::Newest),
    }
    out.retain(|effect| !matches!(effect, Effect::SaveDraft { .. }));
    if state.session.connection.is_some() && !state.session.settings.model.is_empty() {
        out.push(Effect::ModelFacts { model: state.session.settings.model.clone(), ask: false });
    }
    let kept = start.kept.filter(|_| state.transcript.conversation.is_some());
    if let Some(kept) = kept.as_ref().filter(|_| start.prompt.is_none()) {
        state.composer.set(kept);
        state.composer.attach_again(&mut out);
        if !start.parts.is_empty() || start.piped.is_some() {
            state.composer.new_line();
        }
    }
    for part in start.parts {
        let (Part::File { name, .. } | Part::Image { name, .. }) = &part else { continue };
        let label = format!("@{name}");
        let path = name.clone();
        state.composer.area.insert_str(format!("{label} "));
        state.composer.attachments.push(super::composer::Attachment { label, path, part: Some(part) });
    }
    if let Some(text) = &start.piped {
        state.composer.piped(text);
    }
    if let Some(draft) = start.draft.filter(|_| state.composer.is_empty()) {
        state.composer.area.insert_str(draft);
    }
    if let Some(prompt) = &start.prompt {
        if !state.composer.is_empty() {
            state.composer.new_line();
        }
        state.composer.area.insert_str(prompt);
    }
    if state.session.connection.is_none() {
        state.open_welcome(&mut out);
    } else if start.prompt.is_some() {
        // A piped text beside it is sent in full, not unfolded.
        state.composer.area.move_cursor(tui_textarea::CursorMove::Bottom);
        state.composer.area.move_cursor(tui_textarea::CursorMove::End);
        state.perform(super::command::Command::Send, &mut out);
        // What was being written goes on behind the question that came first.
        if let Some(kept) = kept.filter(|_| state.composer.is_empty()) {
            state.composer.set(&kept);
            state.composer.attach_again(&mut out);
            state.text_changed(&mut out);
        }
    }
    if start.browse {
        state.open_browser(&mut out);
    }
    out
}
