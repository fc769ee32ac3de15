//! The review: a person decides on one call, with its exact bytes on the screen.
//!
//! # Invariants
//! - What approves needs: the end of these very bytes seen, 350 ms of quiet, a fresh press of its own key.
//! - The decision carries the hash of what was shown.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::{Beside, DEAF_US, Flow, PathMark};
use crate::app::command::Command;
use crate::app::effect::{EditorUse, Effect};
use crate::app::key::{Key, KeyCode};
use crate::app::keymap::{Lookup, Place};
use crate::app::layout::ReviewLayout;
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::{CallId, Decision, Order, Review, Stamp, ToolRef, TurnId};

#[derive(Clone, Debug)]
pub struct ReviewBox {
    pub turn: TurnId,
    pub review: Arc<Review>,
    /// When it opened.
    pub opened: Stamp,
    /// Keys are ignored until here, microseconds of the process; each ignored key moves it.
    pub deaf_until_us: u64,
    /// The last line of the arguments has been on the screen, for these very bytes.
    pub end_seen: bool,
    /// First visible line of the arguments; the view stops at the last page.
    pub scroll: usize,
    pub full: bool,
    pub view: ReviewView,
    /// Where the call writes a file: what stands there now.
    pub beside: Beside,
    /// Where the paths of the arguments lead, as far as it is known.
    pub marks: Vec<PathMark>,
    pub step: ReviewStep,
    /// Why the last key did nothing.
    pub refused: Option<Cow<'static, str>>,
    /// How many wait in all, this one included; and its place among them from 1.
    pub waiting: usize,
    pub place: usize,
    /// Another number for other bytes on the screen: the layout hands it back with what was visible.
    pub revision: u64,
}

/// How the arguments are shown: all of them in each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReviewView {
    /// The very bytes, an argument a row.
    #[default]
    Exact,
    /// What is written, beside the file on disk.
    Difference,
    /// JSON over several lines.
    Tree,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviewStep {
    Choose,
    /// `d`: why.
    Reason(LineEdit),
    /// `A`: the rule is shown, and `A` again adds it.
    Rule {
        rule: String,
    },
    /// `e`: arguments came back from the editor, changed; they are shown in place of the model's.
    Edited {
        arguments: String,
        fault: Option<String>,
    },
}

impl ReviewBox {
    pub(crate) fn new(turn: TurnId, review: Arc<Review>, now: Stamp, revision: u64) -> Self {
        Self {
            turn,
            review,
            opened: now,
            deaf_until_us: now.mono_us + DEAF_US,
            end_seen: false,
            scroll: 0,
            full: false,
            view: ReviewView::default(),
            beside: Beside::default(),
            marks: Vec::new(),
            step: ReviewStep::Choose,
            refused: None,
            waiting: 1,
            place: 1,
            revision,
        }
    }

    #[must_use]
    pub fn call(&self) -> &CallId {
        &self.review.call
    }

    /// The arguments on the screen: the model's, or those that a person wrote.
    #[must_use]
    pub fn shown(&self) -> &str {
        match &self.step {
            ReviewStep::Edited { arguments, .. } => arguments,
            ReviewStep::Choose | ReviewStep::Reason(_) | ReviewStep::Rule { .. } => &self.review.arguments,
        }
    }

    pub(in crate::app) fn laid_out(&mut self, seen: &ReviewLayout) {
        if seen.call != self.review.call || seen.revision != self.revision {
            return;
        }
        self.end_seen |= seen.end_visible;
        self.scroll = seen.top;
    }

    pub(super) fn scroll_by(&mut self, by: isize, layout: Option<&ReviewLayout>) {
        let last = layout.map_or(0, |layout| layout.lines.saturating_sub(layout.page));
        self.scroll = self.scroll.saturating_add_signed(by).min(last);
    }

    /// The way in which `p` shows the arguments next.
    #[must_use]
    pub fn next_view(&self) -> ReviewView {
        match self.view {
            ReviewView::Difference => ReviewView::Exact,
            ReviewView::Exact => ReviewView::Tree,
            ReviewView::Tree if self.comparable().is_some() => ReviewView::Difference,
            ReviewView::Tree => ReviewView::Exact,
        }
    }

    /// Pasted text can only be a reason.
    pub(super) fn paste(&mut self, text: &str) {
        match &mut self.step {
            ReviewStep::Reason(line) => line.insert(text),
            ReviewStep::Choose | ReviewStep::Rule { .. } | ReviewStep::Edited { .. } => {
                self.refused = Some("a paste decides nothing".into());
            }
        }
    }

    /// Arguments came back from the editor.
    pub(in crate::app) fn edited(&mut self, text: &str, now: Stamp, revision: u64) {
        self.deaf_until_us = now.mono_us + DEAF_US;
        let (arguments, fault) = match serde_json::from_str::<serde_json::Value>(text) {
            Ok(value) if value.is_object() => (value.to_string(), None),
            Ok(_) => (text.to_owned(), Some("arguments must be a JSON object".to_owned())),
            Err(error) => (text.to_owned(), Some(error.to_string())),
        };
        if fault.is_none() && arguments == *self.review.arguments {
            self.step = ReviewStep::Choose;
            return;
        }
        self.step = ReviewStep::Edited { arguments, fault };
        (self.end_seen, self.scroll, self.revision) = (false, 0, revision);
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        // Leaving, stopping and redrawing are never ignored: they let nothing run.
        let look = state.keymap.look(Place::Review, None, key);
        if let Lookup::Command(Command::Interrupt) = look {
            state.stop(out);
            return Flow::Close;
        }
        if let Lookup::Command(Command::Redraw | Command::Suspend | Command::Mouse) = look {
            return Flow::Pass;
        }
        if state.now.mono_us < self.deaf_until_us {
            self.deaf_until_us = state.now.mono_us + DEAF_US;
            self.refused = Some("too early: keys count 0.35 s after the last one".into());
            return Flow::Stay;
        }
        self.refused = None;
        if let ReviewStep::Reason(line) = &mut self.step {
            match key.code {
                KeyCode::Enter => {
                    let reason = line.text.trim().to_owned();
                    let reason = (!reason.is_empty()).then_some(reason);
                    return self.decide(Decision::Deny { reason }, state, out);
                }
                KeyCode::Esc => self.step = ReviewStep::Choose,
                _ => {
                    line.key(key);
                }
            }
            return Flow::Stay;
        }
        let layout = state.layout.review.clone();
        let page = isize::try_from(layout.as_ref().map_or(10, |layout| layout.page.max(2) - 1)).unwrap_or(10);
        match key.code {
            KeyCode::Up => self.scroll_by(-1, layout.as_ref()),
            KeyCode::Down => self.scroll_by(1, layout.as_ref()),
            KeyCode::PageUp => self.scroll_by(-page, layout.as_ref()),
            KeyCode::PageDown => self.scroll_by(page, layout.as_ref()),
            KeyCode::End => self.scroll_by(isize::MAX, layout.as_ref()),
            KeyCode::Home => self.scroll_by(isize::MIN, layout.as_ref()),
            _ => match look {
                Lookup::Command(command) => return self.command(command, key, page, state, out),
                Lookup::Prefix | Lookup::Nothing => self.refused = Some("this key decides nothing here".into()),
            },
        }
        Flow::Stay
    }

    fn command(&mut self, command: Command, key: Key, page: isize, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let layout = state.layout.review.clone();
        match command {
            Command::ReviewPage => self.scroll_by(page, layout.as_ref()),
            Command::ReviewEnd => {
                self.full = true;
                self.scroll = usize::MAX;
            }
            Command::ReviewUp => self.scroll_by(-1, layout.as_ref()),
            Command::ReviewDown => self.scroll_by(1, layout.as_ref()),
            Command::ReviewPretty => (self.view, self.scroll) = (self.next_view(), 0),
            Command::Back => match self.step {
                ReviewStep::Rule { .. } => self.step = ReviewStep::Choose,
                ReviewStep::Edited { .. } => {
                    self.step = ReviewStep::Choose;
                    (self.end_seen, self.scroll, self.revision) = (false, 0, state.session.fresh());
                }
                ReviewStep::Choose | ReviewStep::Reason(_) => {
                    if let Some(call) = state.calls.by_id.get_mut(&self.review.call) {
                        call.put_off = true;
                        call.revision += 1;
                    }
                    return Flow::Close;
                }
            },
            Command::Tools => {}
            Command::Deny => return self.decide(Decision::Deny { reason: None }, state, out),
            Command::DenyWhy => self.step = ReviewStep::Reason(LineEdit::default()),
            Command::EditArguments => {
                let pretty = serde_json::from_str::<serde_json::Value>(self.shown())
                    .and_then(|value| serde_json::to_string_pretty(&value));
                let text = pretty.unwrap_or_else(|_| self.shown().to_owned());
                let what = EditorUse::Arguments { call: self.review.call.clone() };
                out.push(Effect::Editor { what, text, extension: "json" });
            }
            Command::UseEarlier => match self.review.earlier {
                Some(_) => return self.decide(Decision::UseEarlier, state, out),
                None => self.refused = Some("no equal call ran before".into()),
            },
            Command::ApproveOnce | Command::ApproveSession | Command::ApproveAlways => {
                return self.approve(command, key, state, out);
            }
            _ => self.refused = Some("decide first, or {review.later} to decide later".into()),
        }
        Flow::Stay
    }

    fn approve(&mut self, command: Command, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if key.repeat {
            self.refused = Some("a held key decides nothing".into());
            return Flow::Stay;
        }
        if matches!(key.code, KeyCode::Enter | KeyCode::Char(' ')) {
            self.refused = Some("enter and space never approve".into());
            return Flow::Stay;
        }
        if !self.end_seen {
            let key = key.short();
            self.refused = Some(match state.layout.review.as_ref().filter(|seen| seen.revision == self.revision) {
                Some(seen) => {
                    let left = seen.lines.saturating_sub(seen.top + seen.page);
                    let lines = if left == 1 { "line" } else { "lines" };
                    format!("{key} works once the end has been on screen: {left} {lines} to go ({{review.page_down}} pages, {{review.to_end}} shows all)")
                }
                None => format!("{key} works once the end has been on screen ({{review.page_down}} pages, {{review.to_end}} shows all)"),
            }.into());
            return Flow::Stay;
        }
        match (&self.step, command) {
            (ReviewStep::Edited { fault: Some(_), .. }, _) => {
                self.refused = Some(
                    "these arguments cannot be sent: {review.edit} edits them, {review.later} takes the model's".into(),
                );
            }
            (ReviewStep::Edited { arguments, .. }, Command::ApproveOnce) => {
                let arguments = arguments.clone();
                return self.decide(Decision::Edit { arguments }, state, out);
            }
            (ReviewStep::Edited { .. }, _) => {
                self.refused = Some("edited arguments are allowed once: {review.once}".into())
            }
            (ReviewStep::Rule { .. }, Command::ApproveAlways | Command::ApproveOnce) => {
                return self.decide(Decision::Always, state, out);
            }
            (ReviewStep::Rule { .. }, _) => {
                self.refused = Some("{review.always} adds the rule, {review.later} goes back".into())
            }
            (_, Command::ApproveAlways) => {
                let rule = format!("{}  as it is defined now", self.review.tool.path());
                self.step = ReviewStep::Rule { rule };
                self.deaf_until_us = state.now.mono_us + DEAF_US;
            }
            (_, Command::ApproveSession) => return self.decide(Decision::Session, state, out),
            (_, _) => return self.decide(Decision::Once, state, out),
        }
        Flow::Stay
    }

    fn decide(&mut self, decision: Decision, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let now = state.now;
        state.reviewed.decided(&self.review.tool, &decision);
        if let Some(call) = state.calls.by_id.get_mut(&self.review.call) {
            call.decided = true;
            call.revision += 1;
            if !matches!(decision, Decision::Deny { .. } | Decision::UseEarlier) {
                call.times.approved = Some(now);
            }
        }
        out.push(Effect::Order(Order::Decide {
            turn: self.turn,
            call: self.review.call.clone(),
            hash: self.review.hash.clone(),
            decision,
        }));
        Flow::Close
    }
}

/// What this person has decided so far: what a review explains depends on it.
#[derive(Clone, Debug, Default)]
pub struct Reviewed {
    /// Whether a call was ever let run, in this session or an earlier one.
    ever: Ever,
    /// How often each tool was allowed once, in this session.
    once: HashMap<ToolRef, u32>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Ever {
    #[default]
    Unknown,
    Asked,
    Never,
    Before,
}

/// What a review says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guide {
    /// The first one ever.
    First,
    /// This tool was allowed so often that a wider answer is worth naming.
    Often,
}

impl Reviewed {
    /// From so many times on a tool is one that is allowed often.
    const OFTEN: u32 = 3;

    #[must_use]
    pub fn guide(&self, tool: &ToolRef) -> Option<Guide> {
        match self.ever {
            Ever::Never => Some(Guide::First),
            Ever::Unknown | Ever::Asked | Ever::Before => {
                (self.once.get(tool).copied().unwrap_or(0) >= Self::OFTEN).then_some(Guide::Often)
            }
        }
    }

    /// Asks once whether a call was ever let run.
    pub(in crate::app) fn ask(&mut self, out: &mut Vec<Effect>) {
        if self.ever == Ever::Unknown {
            self.ever = Ever::Asked;
            out.push(Effect::EverApproved);
        }
    }

    pub(in crate::app) fn answered(&mut self, ever: bool) {
        if self.ever == Ever::Asked {
            self.ever = if ever { Ever::Before } else { Ever::Never };
        }
    }

    fn decided(&mut self, tool: &ToolRef, decision: &Decision) {
        self.ever = Ever::Before;
        if matches!(decision, Decision::Once) {
            *self.once.entry(tool.clone()).or_default() += 1;
        }
    }
}
