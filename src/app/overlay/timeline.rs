//! The timeline: the turn on the screen while it runs and after, and every earlier one of the conversation.

use std::fmt::Write as _;

use super::Flow;
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::overlay::Overlay;
use crate::app::state::State;
use crate::chat::{CallId, StoredTurn, TurnTimes};

#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// The call whose times are shown below.
    pub selected: Option<CallId>,
    /// Powers of two.
    pub zoom: i8,
    /// An earlier turn, or one that was not watched; None: the turn on the screen.
    pub past: Option<Box<StoredTurn>>,
    /// The number of the turn that is shown, from 1, and how many there are, as far as the store knows.
    pub place: Option<(u32, u32)>,
    /// The question to the store that is out, and the number that it asks for (None: the newest).
    asked: Option<(u64, Option<u32>)>,
}

impl Timeline {
    pub(in crate::app) fn new(state: &mut State, out: &mut Vec<Effect>) -> Self {
        let mut view = Self { selected: state.calls.this_turn.first().cloned(), ..Self::default() };
        view.ask(None, state, out);
        view
    }

    fn ask(&mut self, turn: Option<u32>, state: &mut State, out: &mut Vec<Effect>) {
        if let Some(conversation) = state.transcript.conversation.clone() {
            let generation = state.session.fresh();
            self.asked = Some((generation, turn));
            out.push(Effect::Turn { generation, conversation, turn });
        }
    }

    fn answered(&mut self, generation: u64, turn: Option<Box<StoredTurn>>, watched: bool) {
        let Some((_, wanted)) = self.asked.take_if(|(asked, _)| *asked == generation) else { return };
        let Some(turn) = turn else { return };
        self.place = Some((turn.number, turn.of));
        if wanted.is_some() || !watched {
            self.selected = turn.times.calls_by_round().first().map(|call| call.call.clone());
            self.past = Some(turn);
        }
    }

    /// To the turn before or after.
    fn turn(&mut self, forward: bool, state: &mut State, out: &mut Vec<Effect>) {
        let Some((at, of)) = self.place else { return state.say("this conversation has no other turn", out) };
        match forward {
            false if at > 1 => self.ask(Some(at - 1), state, out),
            true if at + 1 == of && state.times().is_some() => {
                (self.past, self.asked, self.place) = (None, None, Some((of, of)));
                self.selected = state.calls.this_turn.first().cloned();
            }
            true if at < of => self.ask(Some(at + 1), state, out),
            false => state.say("this is the first turn", out),
            true => state.say("this is the last turn", out),
        }
    }

    /// The times that are shown.
    #[must_use]
    pub fn times(&self, state: &State) -> Option<TurnTimes> {
        self.past.as_ref().map(|turn| turn.times.clone()).or_else(|| state.times())
    }

    fn rows(&self, state: &State) -> Vec<CallId> {
        let times = self.times(state).unwrap_or_default();
        times.calls_by_round().into_iter().map(|call| call.call.clone()).collect()
    }

    pub(super) fn step(&mut self, by: isize, state: &State) {
        let rows = self.rows(state);
        let at = self.selected.as_ref().and_then(|id| rows.iter().position(|row| row == id));
        let to = at.map_or(0, |at| at.saturating_add_signed(by)).min(rows.len().saturating_sub(1));
        self.selected = rows.into_iter().nth(to);
    }

    /// A click on a row; true where it was chosen already.
    pub(super) fn choose(&mut self, row: usize, state: &State) -> bool {
        let chosen = self.rows(state).into_iter().nth(row);
        let same = chosen == self.selected;
        self.selected = chosen;
        same
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        match (key.code, key.typed()) {
            (KeyCode::Up, _) | (_, Some('k')) => self.step(-1, state),
            (KeyCode::Down, _) | (_, Some('j')) => self.step(1, state),
            (KeyCode::Enter, _) => state.on_call(Command::OpenCall, self.selected.clone(), out),
            (_, Some('[')) => self.turn(false, state, out),
            (_, Some(']')) => self.turn(true, state, out),
            (_, Some('+' | '=')) => self.zoom = (self.zoom + 1).min(6),
            (_, Some('-')) => self.zoom = (self.zoom - 1).max(0),
            (_, Some('y')) => match self.times(state) {
                Some(times) => out.push(Effect::Copy { what: "the timeline", text: timeline_text(&times) }),
                None => state.say("no turn to draw yet", out),
            },
            (_, Some('e')) => match self.stored(state) {
                Some(turn) => out.push(Effect::SaveText {
                    what: "the timeline",
                    name: format!("timeline-turn-{}", turn.number),
                    extension: "json",
                    text: turn.json().to_string() + "\n",
                }),
                None => state.say("no turn to draw yet", out),
            },
            (_, Some('q')) => return Flow::Close,
            _ => return Flow::Pass,
        }
        Flow::Stay
    }

    /// What is shown, as one turn among those of its conversation.
    fn stored(&self, state: &State) -> Option<StoredTurn> {
        if let Some(turn) = &self.past {
            return Some((**turn).clone());
        }
        let times = state.times()?;
        let (number, of) = self.place.unwrap_or((1, 1));
        let ended = state.transcript.turn.is_none();
        let status = state.transcript.last.as_ref().filter(|_| ended).and_then(|turn| turn.status);
        Some(StoredTurn { number, of, status: status.map(|status| status.word().to_owned()), times })
    }
}

/// The calls of a turn as lines of text, seconds since it began.
fn timeline_text(times: &TurnTimes) -> String {
    let seconds = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), |us| format!("{:.2}", us as f64 / 1e6));
    let mut out = String::from("call\topened\tclosed\tsent\tanswered\tsooner\n");
    for call in times.calls_by_round() {
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
    /// The store has answered a timeline's question.
    pub(in crate::app) fn turn_read(&mut self, generation: u64, turn: Option<Box<StoredTurn>>) {
        let watched = self.transcript.turn.is_some() || self.transcript.last.is_some();
        for overlay in &mut self.overlays {
            if let Overlay::Timeline(view) = overlay {
                view.answered(generation, turn.clone(), watched);
            }
        }
    }

    /// The times of the turn that runs, else of the last one. None before the first.
    #[must_use]
    pub fn times(&self) -> Option<TurnTimes> {
        let turn = self.transcript.turn.as_ref().or(self.transcript.last.as_ref())?;
        let mut times = turn.times.clone();
        times.calls = self.calls.turn().map(|call| call.timeline(turn.started)).collect();
        Some(times)
    }
}
