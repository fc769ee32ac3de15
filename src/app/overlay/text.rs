//! Layers that show text: help, the detail of a call, the timeline.

use std::fmt::Write as _;

use super::{Flow, motion, scrolled};
use crate::app::calls::Calls;
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::{CallId, TurnTimes};

#[derive(Clone, Debug, Default)]
pub struct Help {
    pub search: LineEdit,
    pub editing: bool,
    pub scroll: usize,
}

impl Help {
    pub(super) fn key(&mut self, key: Key, state: &State) -> Flow {
        let list = state.layout.list;
        if self.editing {
            match key.code {
                KeyCode::Enter | KeyCode::Down => self.editing = false,
                KeyCode::Esc => {
                    self.search.clear();
                    self.editing = false;
                }
                _ if self.search.key(key) => self.scroll = 0,
                _ => return Flow::Pass,
            }
            return Flow::Stay;
        }
        if let Some(motion) = motion(key, true) {
            self.scroll = scrolled(motion.row(self.scroll, list.lines.max(1), list.page), 0, list);
            return Flow::Stay;
        }
        match key.typed() {
            Some('/') => {
                self.editing = true;
                Flow::Stay
            }
            Some('?' | 'q') => Flow::Close,
            _ => Flow::Pass,
        }
    }
}

/// One call, whole.
#[derive(Clone, Debug)]
pub struct Detail {
    pub call: CallId,
    /// Escapes shown instead of interpreted.
    pub raw: bool,
    pub wrap: bool,
    /// Exactly what the model was told, instead of the whole result.
    pub told: bool,
    pub pretty: bool,
    pub scroll: usize,
    pub find: Option<LineEdit>,
    /// The caret is in the find field.
    pub editing: bool,
    /// Which match is shown, from 0.
    pub find_at: usize,
}

impl Detail {
    pub(in crate::app) fn new(call: CallId) -> Self {
        Self {
            call,
            raw: false,
            wrap: true,
            told: false,
            pretty: true,
            scroll: 0,
            find: None,
            editing: false,
            find_at: 0,
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let list = state.layout.list;
        if self.editing {
            match (key.code, &mut self.find) {
                (KeyCode::Enter | KeyCode::Down, _) => self.editing = false,
                (KeyCode::Esc, find) => {
                    *find = None;
                    self.editing = false;
                }
                (_, Some(line)) => {
                    if !line.key(key) {
                        return Flow::Pass;
                    }
                    self.find_at = 0;
                }
                (_, None) => self.editing = false,
            }
            return Flow::Stay;
        }
        if key.code == KeyCode::Esc && self.find.take().is_some() {
            return Flow::Stay;
        }
        if key.mods.shift && key.code == KeyCode::Tab {
            return Flow::Pass;
        }
        let page_key = matches!(key.typed(), Some(' ' | 'b'));
        if let Some(motion) = motion(key, true) {
            self.scroll = scrolled(motion.row(self.scroll, list.lines.max(1), list.page), 0, list);
            return Flow::Stay;
        }
        if page_key {
            let page = isize::try_from(list.page.max(2) - 1).unwrap_or(1);
            let by = if key.typed() == Some(' ') { page } else { -page };
            self.scroll = scrolled(self.scroll, by, list);
            return Flow::Stay;
        }
        let command = match key.typed() {
            Some('r') => {
                self.raw = !self.raw;
                return Flow::Stay;
            }
            Some('w') => {
                self.wrap = !self.wrap;
                return Flow::Stay;
            }
            Some('m') => {
                self.told = !self.told;
                self.scroll = 0;
                return Flow::Stay;
            }
            Some('p') => {
                self.pretty = !self.pretty;
                return Flow::Stay;
            }
            Some('/') => {
                self.find = Some(LineEdit::default());
                self.editing = true;
                return Flow::Stay;
            }
            Some('n') => {
                self.find_at = self.find_at.saturating_add(1);
                return Flow::Stay;
            }
            Some('N') => {
                self.find_at = self.find_at.saturating_sub(1);
                return Flow::Stay;
            }
            Some('t') => return Flow::Do(Command::Timeline),
            Some('y') => Command::CopyResult,
            Some('a') => Command::CopyArguments,
            Some('e') => Command::ViewResult,
            Some('s') => Command::SaveResult,
            Some('x') => Command::CancelCall,
            Some('R') => Command::RunAgain,
            _ => return Flow::Pass,
        };
        state.on_call(command, Some(self.call.clone()), out);
        Flow::Stay
    }
}

#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// The call whose times are shown below.
    pub selected: Option<CallId>,
    /// Powers of two.
    pub zoom: i8,
}

impl Timeline {
    pub(in crate::app) fn new(calls: &Calls) -> Self {
        Self { selected: calls.this_turn.first().cloned(), zoom: 0 }
    }

    pub(super) fn step(&mut self, by: isize, calls: &Calls) {
        let rows = &calls.this_turn;
        let at = self.selected.as_ref().and_then(|id| rows.iter().position(|row| row == id)).unwrap_or(0);
        self.selected = rows.get(at.saturating_add_signed(by).min(rows.len().saturating_sub(1))).cloned();
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        match (key.code, key.typed()) {
            (KeyCode::Up, _) | (_, Some('k')) => self.step(-1, &state.calls),
            (KeyCode::Down, _) | (_, Some('j')) => self.step(1, &state.calls),
            (KeyCode::Enter, _) => state.on_call(Command::OpenCall, self.selected.clone(), out),
            (_, Some('+')) => self.zoom = (self.zoom + 1).min(6),
            (_, Some('-')) => self.zoom = (self.zoom - 1).max(0),
            (_, Some('y')) => match state.times() {
                Some(times) => out.push(Effect::Copy { what: "the timeline", text: timeline_text(&times) }),
                None => state.say("no turn to draw yet", out),
            },
            _ => return Flow::Pass,
        }
        Flow::Stay
    }
}

/// The calls of a turn as lines of text, seconds since it began.
fn timeline_text(times: &TurnTimes) -> String {
    let seconds = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), |us| format!("{:.2}", us as f64 / 1e6));
    let mut out = String::from("call\topened\tclosed\tsent\tanswered\tsooner\n");
    for call in &times.calls {
        let name = call.tool.as_ref().map_or_else(|| call.wire_name.clone(), crate::chat::ToolRef::path);
        let _ = writeln!(
            out,
            "{name}\t{}\t{}\t{}\t{}\t{}",
            seconds(Some(call.opened)),
            seconds(call.closed),
            seconds(call.sent),
            seconds(call.answered),
            seconds(times.sooner(call)),
        );
    }
    let _ = writeln!(out, "{:.2} s sooner", times.saved() as f64 / 1e6);
    out
}

impl State {
    /// The times of the turn that runs, else of the last one. None before the first.
    #[must_use]
    pub fn times(&self) -> Option<TurnTimes> {
        let turn = self.transcript.turn.as_ref().or(self.transcript.last.as_ref())?;
        let mut times = turn.times.clone();
        times.calls = self.calls.turn().map(|call| call.timeline(turn.started)).collect();
        Some(times)
    }
}
