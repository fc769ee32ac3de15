//! One call, whole: which part of it is looked at, and how.
//!
//! # Invariants
//! - What is folded is known by its place in the text, so that nothing of a large text has to be read for a key.

use std::collections::{BTreeMap, BTreeSet};

use super::{Flow, motion, scrolled};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::layout::TreeSpot;
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::{CallId, Order, ServerAction};

#[derive(Clone, Debug)]
pub struct Detail {
    pub call: CallId,
    pub part: DetailPart,
    /// Escapes shown instead of interpreted.
    pub raw: bool,
    pub wrap: bool,
    /// JSON as a tree, or over several lines.
    pub pretty: bool,
    pub folds: Folds,
    /// The chosen row of a tree.
    pub cursor: usize,
    pub scroll: usize,
    pub find: Option<LineEdit>,
    /// The caret is in the find field.
    pub editing: bool,
    /// Which match is shown, from 0.
    pub find_at: usize,
}

/// What of a call has the lower part of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DetailPart {
    #[default]
    Result,
    /// Exactly what the model was told, instead of the whole result.
    Told,
    Arguments,
    /// What its server said while it ran.
    Log,
}

impl DetailPart {
    const ALL: [Self; 4] = [Self::Result, Self::Told, Self::Log, Self::Arguments];

    fn next(self) -> Self {
        let at = Self::ALL.iter().position(|part| *part == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }
}

/// What of a tree is open. Nodes are the bytes of the text at which they begin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folds {
    /// All of them; None: as large as they are and as deep as they stand.
    pub all: Option<bool>,
    /// Those that are the other way round.
    pub turned: BTreeSet<usize>,
    /// So many parts of a node are shown, where it has more.
    pub shown: BTreeMap<usize, usize>,
    /// How often a person asked to read on behind what is read at once.
    pub reach: u32,
}

/// What a row of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TreeKind {
    Leaf,
    Folded,
    Open,
    /// Of this node, parts that are not shown; so many are.
    More {
        shown: usize,
    },
    /// The text goes on, and was not read further.
    Unread,
}

impl Folds {
    fn turn(&mut self, spot: TreeSpot) {
        match spot.kind {
            TreeKind::Leaf => {}
            TreeKind::Folded | TreeKind::Open => {
                if !self.turned.remove(&spot.node) {
                    self.turned.insert(spot.node);
                }
            }
            // Each time ten times as many.
            TreeKind::More { shown } => drop(self.shown.insert(spot.node, shown.max(1).saturating_mul(10))),
            TreeKind::Unread => self.reach += 1,
        }
    }
}

impl Detail {
    pub(in crate::app) fn new(call: CallId) -> Self {
        Self {
            call,
            part: DetailPart::Result,
            raw: false,
            wrap: true,
            pretty: true,
            folds: Folds::default(),
            cursor: 0,
            scroll: 0,
            find: None,
            editing: false,
            find_at: 0,
        }
    }

    fn show(&mut self, part: DetailPart, state: &State, out: &mut Vec<Effect>) {
        self.part = part;
        (self.scroll, self.cursor, self.find_at) = (0, 0, 0);
        self.folds = Folds::default();
        let call = state.calls.by_id.get(&self.call);
        if part == DetailPart::Log
            && let Some(tool) = call.and_then(|call| call.tool.as_ref())
        {
            out.push(Effect::Order(Order::Server { server: tool.server.clone(), action: ServerAction::Look }));
        }
    }

    /// Folds or unfolds the chosen row; to the row that holds it, where it is folded already.
    fn fold(&mut self, open: bool, state: &State) {
        let Some(spot) = state.layout.tree.iter().find(|spot| spot.row == self.cursor) else { return };
        match (spot.kind, open) {
            (TreeKind::Open, false) | (TreeKind::Folded | TreeKind::More { .. } | TreeKind::Unread, true) => {
                self.folds.turn(*spot);
            }
            (_, false) => self.cursor = spot.parent,
            (TreeKind::Leaf | TreeKind::Open, true) => {}
        }
    }

    fn fold_all(&mut self, open: bool) {
        self.folds.all = Some(open);
        self.folds.turned.clear();
        (self.cursor, self.scroll) = (0, 0);
    }

    /// Of a tree the chosen row moves, of a text the text.
    fn go(&mut self, motion: super::Motion, state: &State) {
        let list = state.layout.list;
        let from = if state.layout.tree.is_empty() { self.scroll } else { self.cursor };
        let to = motion.row(from, list.lines.max(1), list.page);
        if state.layout.tree.is_empty() {
            self.scroll = scrolled(to, 0, list);
        } else {
            self.cursor = to;
        }
    }

    pub(super) fn wheel(&mut self, by: isize, state: &State) {
        self.go(super::Motion::Step(by), state);
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
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
        let moved = match key.typed() {
            Some(' ') => Some(super::Motion::Page(1)),
            Some('b') => Some(super::Motion::Page(-1)),
            _ => motion(key, true),
        };
        if let Some(motion) = moved {
            self.go(motion, state);
            return Flow::Stay;
        }
        match key.code {
            KeyCode::Tab => {
                self.show(self.part.next(), state, out);
                return Flow::Stay;
            }
            KeyCode::Enter => {
                if let Some(spot) = state.layout.tree.iter().find(|spot| spot.row == self.cursor) {
                    self.folds.turn(*spot);
                }
                return Flow::Stay;
            }
            KeyCode::Left => {
                self.fold(false, state);
                return Flow::Stay;
            }
            KeyCode::Right => {
                self.fold(true, state);
                return Flow::Stay;
            }
            _ => {}
        }
        let other = |part: DetailPart| if self.part == part { DetailPart::Result } else { part };
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
                self.show(other(DetailPart::Told), state, out);
                return Flow::Stay;
            }
            Some('l') => {
                self.show(other(DetailPart::Log), state, out);
                return Flow::Stay;
            }
            Some('p') => {
                (self.pretty, self.scroll, self.cursor) = (!self.pretty, 0, 0);
                return Flow::Stay;
            }
            Some('+' | '=') => {
                self.fold_all(true);
                return Flow::Stay;
            }
            Some('-') => {
                self.fold_all(false);
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
        let before = state.transcript.turn.as_ref().map(|turn| turn.id);
        state.on_call(command, Some(self.call.clone()), out);
        // What it begins is to be seen: its review opens over the chat.
        let begun = state.transcript.turn.as_ref().map(|turn| turn.id) != before;
        if begun { Flow::Close } else { Flow::Stay }
    }
}
