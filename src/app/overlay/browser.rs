//! The browser of conversations, and the list of earlier prompts.

use std::sync::Arc;

use super::{Ask, AskFor, Confirm, Confirmed, Flow, Overlay, motion, stepped};
use crate::app::command::Command;
use crate::app::effect::{Effect, ExportForm};
use crate::app::event::{HistoryPage, HistoryRow, Timer};
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::{Conversation, ConversationId, Fault, MessageId, Summary};

/// How long a search field rests before it is searched for, milliseconds.
const DEBOUNCE_MS: u64 = 80;
/// Rows of one page.
const PAGE: usize = 60;

#[derive(Clone, Debug, Default)]
pub struct Browser {
    pub search: LineEdit,
    /// The caret is in the field; else letters act on the list.
    pub editing: bool,
    pub filter: HistoryFilter,
    pub rows: Vec<HistoryRow>,
    pub total: usize,
    pub took_us: u64,
    pub selected: usize,
    /// The answer of this generation is awaited.
    pub loading: bool,
    pub fault: Option<String>,
    pub preview: Option<Preview>,
    /// A preview was asked for by hand: it takes the screen where it does not fit beside.
    pub preview_full: bool,
    /// Deleted in this visit, newest last: `u` brings back.
    pub deleted: Vec<HistoryRow>,
    /// Brought back a moment ago, until the list that has it is read.
    pub came_back: Option<ConversationId>,
    pub(crate) generation: u64,
    pub(crate) preview_generation: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    /// Only conversations of this folder.
    pub here: bool,
    pub model: Option<String>,
    pub sort: Sort,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Updated,
    Created,
    Title,
}

#[derive(Clone, Debug)]
pub struct Preview {
    pub conversation: ConversationId,
    /// Where it opens.
    pub message: Option<MessageId>,
    /// None while it is read.
    pub content: Option<Arc<Conversation>>,
    /// First visible line; None: at the match, else the end.
    pub scroll: Option<usize>,
    /// Which of the matches, from 0.
    pub at: usize,
}

impl Browser {
    pub(in crate::app) fn open(generation: u64, out: &mut Vec<Effect>) -> Self {
        let mut browser = Self { editing: true, ..Self::default() };
        browser.search_again(generation, out);
        browser
    }

    /// The field changed: search once it rests.
    pub(super) fn edited(&mut self, generation: u64, out: &mut Vec<Effect>) {
        out.push(Effect::CancelTimer(Timer::Search(self.generation)));
        self.generation = generation;
        out.push(Effect::SetTimer { timer: Timer::Search(generation), after_ms: DEBOUNCE_MS });
    }

    pub(in crate::app) fn rested(&mut self, generation: u64, out: &mut Vec<Effect>) {
        if generation == self.generation {
            self.search_again(generation, out);
        }
    }

    pub(in crate::app) fn search_again(&mut self, generation: u64, out: &mut Vec<Effect>) {
        self.generation = generation;
        self.loading = true;
        self.ask(0, out);
    }

    fn ask(&self, offset: usize, out: &mut Vec<Effect>) {
        out.push(Effect::Search {
            generation: self.generation,
            query: self.search.text.trim().to_owned(),
            filter: self.filter.clone(),
            offset,
            limit: PAGE,
        });
    }

    pub(in crate::app) fn page(&mut self, page: HistoryPage) {
        if page.generation != self.generation {
            return;
        }
        self.loading = false;
        self.fault = page.fault.map(|fault| fault.message);
        (self.total, self.took_us) = (page.total, page.took_us);
        if page.offset == 0 {
            self.rows = page.rows;
            let came_back = self.came_back.take();
            let at = |id: ConversationId| self.rows.iter().position(|row| row.summary.id == id);
            self.selected = came_back.and_then(at).unwrap_or(0);
        } else if page.offset == self.rows.len() {
            self.rows.extend(page.rows);
        }
    }

    pub(super) fn step(&mut self, by: isize, generation: u64, out: &mut Vec<Effect>) {
        self.selected = stepped(self.selected, by, self.rows.len());
        self.read_on(generation, out);
    }

    /// Asks for the next page as the end comes near.
    fn read_on(&mut self, _generation: u64, out: &mut Vec<Effect>) {
        if !self.loading && self.rows.len() < self.total && self.selected + PAGE / 2 > self.rows.len() {
            self.loading = true;
            self.ask(self.rows.len(), out);
        }
    }

    /// Asks for a preview of the chosen row.
    pub(in crate::app) fn look(&mut self, generation: u64, out: &mut Vec<Effect>) {
        let Some(row) = self.rows.get(self.selected) else {
            self.preview = None;
            return;
        };
        let (id, message) = (row.summary.id.clone(), row.message().cloned());
        let same = |open: &Preview| open.conversation == id && open.message == message;
        if self.preview.as_ref().is_some_and(same) {
            return;
        }
        self.preview_generation = generation;
        out.push(Effect::Preview { generation, conversation: id.clone(), message: message.clone() });
        self.preview = Some(Preview { conversation: id, message, content: None, scroll: None, at: 0 });
    }

    pub(in crate::app) fn previewed(
        &mut self,
        generation: u64,
        result: Result<Arc<Conversation>, Fault>,
    ) -> Option<Fault> {
        if generation != self.preview_generation {
            return None;
        }
        match (result, &mut self.preview) {
            (Ok(content), Some(preview)) => preview.content = Some(content),
            (Ok(_), None) => {}
            (Err(fault), _) => return Some(fault),
        }
        None
    }

    pub(in crate::app) fn change(&mut self, id: &ConversationId, change: impl Fn(&mut Summary)) {
        for row in self.rows.iter_mut().filter(|row| row.summary.id == *id) {
            change(&mut row.summary);
        }
    }

    /// Takes a row out of the list; what is kept can be brought back from here.
    pub(in crate::app) fn deleted(&mut self, id: &ConversationId, for_good: bool) -> Option<String> {
        let at = self.rows.iter().position(|row| row.summary.id == *id)?;
        let row = self.rows.remove(at);
        let title = row.summary.title.clone();
        if !for_good {
            self.deleted.push(row);
        }
        self.total = self.total.saturating_sub(1);
        self.selected = self.selected.min(self.rows.len().saturating_sub(1));
        Some(title)
    }

    /// It is chosen again once the list is read anew: what a key does next, it does to it. Its title, to be told.
    pub(in crate::app) fn restored(&mut self, id: &ConversationId) -> Option<String> {
        let title = self.deleted.iter().find(|row| row.summary.id == *id).map(|row| row.summary.title.clone());
        self.came_back = Some(id.clone());
        self.deleted.retain(|row| row.summary.id != *id);
        title
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let ctrl_f = key.mods.ctrl && key.code == KeyCode::Char('f');
        if ctrl_f {
            self.next_filter(state.session.fresh(), out);
            return Flow::Stay;
        }
        if key.mods.ctrl && key.code == KeyCode::Char('r') {
            return Flow::CloseThen(Command::Prompts);
        }
        if self.editing {
            match key.code {
                KeyCode::Down => self.editing = false,
                KeyCode::Enter => return self.enter(state, out),
                KeyCode::Tab => self.editing = false,
                _ if self.search.key(key) => self.edited(state.session.fresh(), out),
                _ => return Flow::Pass,
            }
            self.look(state.session.fresh(), out);
            return Flow::Stay;
        }
        if key.code == KeyCode::Up && self.selected == 0 {
            self.editing = true;
            return Flow::Stay;
        }
        let page = state.layout.list.page;
        if let Some(motion) = motion(key, true) {
            self.selected = motion.row(self.selected, self.rows.len(), page);
            self.read_on(state.session.fresh(), out);
            self.look(state.session.fresh(), out);
            return Flow::Stay;
        }
        let chosen = self.rows.get(self.selected).map(|row| row.summary.clone());
        match (key.code, key.typed(), chosen) {
            (KeyCode::Enter, _, _) => return self.enter(state, out),
            (KeyCode::Tab, _, _) => {
                self.filter.sort = match self.filter.sort {
                    Sort::Updated => Sort::Created,
                    Sort::Created => Sort::Title,
                    Sort::Title => Sort::Updated,
                };
                self.search_again(state.session.fresh(), out);
            }
            (_, Some('/'), _) => self.editing = true,
            (_, Some(' '), _) => self.preview_full = !self.preview_full,
            (_, Some('n'), _) => self.step_match(true),
            (_, Some('N'), _) => self.step_match(false),
            (_, Some('r'), Some(row)) => {
                state.overlays.push(Overlay::Ask(Ask::new(AskFor::Title(row.id), row.title)));
            }
            (_, Some('p'), Some(row)) => out.push(Effect::Pin { conversation: row.id, pinned: !row.pinned }),
            (_, Some('d' | 'D'), Some(row)) if state.answers(&row.id) => {
                state.say("it is answering: stop that first", out);
            }
            (_, Some('d' | 'D'), Some(row)) if state.transcript.conversation.as_ref() == Some(&row.id) => {
                state.say("it is the one behind this list: open another first", out);
            }
            (_, Some('d'), Some(row)) if row.pinned => {
                let question = format!("\"{}\" is pinned. Delete it? It is kept for 30 days.", row.title);
                let confirm = Confirm::new(question, "delete", Confirmed::Delete(row.id), state.now);
                state.overlays.push(Overlay::Confirm(confirm));
            }
            (_, Some('d'), Some(row)) => out.push(Effect::Delete { conversation: row.id, for_good: false }),
            (_, Some('D'), Some(row)) => {
                let question = format!("Erase \"{}\" for good? Nothing brings it back.", row.title);
                let confirm = Confirm::new(question, "erase", Confirmed::Erase(row.id), state.now);
                state.overlays.push(Overlay::Confirm(confirm));
            }
            (_, Some('u'), _) => match self.deleted.last() {
                Some(row) => out.push(Effect::Restore { conversation: row.summary.id.clone() }),
                None => state.say("nothing was deleted here", out),
            },
            (_, Some('x'), Some(row)) => {
                out.push(Effect::Export { conversation: row.id, form: ExportForm::Markdown });
            }
            (KeyCode::Esc, _, _) if self.preview_full => self.preview_full = false,
            _ => return Flow::Pass,
        }
        Flow::Stay
    }

    fn enter(&mut self, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        let Some(row) = self.rows.get(self.selected) else { return Flow::Stay };
        let conversation = row.summary.id.clone();
        let flow = if state.goes_on(&conversation) { Flow::Close } else { Flow::Stay };
        // A title that matches stands nowhere.
        let found = row.hit.as_ref().filter(|hit| hit.matches > 0).map(|hit| hit.message.clone());
        state.open_at(conversation, found, out);
        flow
    }

    fn step_match(&mut self, forward: bool) {
        let matches =
            self.rows.get(self.selected).and_then(|row| row.hit.as_ref()).map_or(0, |hit| hit.matches as usize);
        if let (Some(preview), 1..) = (&mut self.preview, matches) {
            preview.at = if forward { (preview.at + 1) % matches } else { (preview.at + matches - 1) % matches };
            preview.scroll = None;
        }
    }

    /// All folders, this folder, this row's model.
    fn next_filter(&mut self, generation: u64, out: &mut Vec<Effect>) {
        let model = self.rows.get(self.selected).map(|row| row.summary.model.clone());
        match (self.filter.here, &self.filter.model) {
            (false, None) => self.filter.here = true,
            (true, _) => (self.filter.here, self.filter.model) = (false, model),
            (false, Some(_)) => self.filter.model = None,
        }
        self.search_again(generation, out);
    }
}

/// Earlier prompts (ctrl+r again).
#[derive(Clone, Debug, Default)]
pub struct Prompts {
    pub search: LineEdit,
    pub rows: Vec<String>,
    pub selected: usize,
    pub loading: bool,
    pub(crate) generation: u64,
}

impl Prompts {
    pub(in crate::app) fn new(generation: u64) -> Self {
        Self { loading: true, generation, ..Self::default() }
    }

    pub(super) fn edited(&mut self, generation: u64, out: &mut Vec<Effect>) {
        out.push(Effect::CancelTimer(Timer::Search(self.generation)));
        self.generation = generation;
        out.push(Effect::SetTimer { timer: Timer::Search(generation), after_ms: DEBOUNCE_MS });
    }

    pub(in crate::app) fn rested(&mut self, generation: u64, out: &mut Vec<Effect>) {
        if generation == self.generation {
            self.loading = true;
            out.push(Effect::Prompts { generation, query: self.search.text.trim().to_owned() });
        }
    }

    pub(in crate::app) fn answered(&mut self, generation: u64, prompts: &[String]) {
        if generation == self.generation {
            self.rows = prompts.to_vec();
            (self.selected, self.loading) = (0, false);
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if key.code == KeyCode::Enter {
            if let Some(prompt) = self.rows.get(self.selected) {
                state.composer.set(prompt);
                state.text_changed(out);
                state.focus = crate::app::state::Focus::Composer;
            }
            return Flow::Close;
        }
        if let Some(motion) = motion(key, false) {
            self.selected = motion.row(self.selected, self.rows.len(), state.layout.list.page);
            return Flow::Stay;
        }
        if key.mods.ctrl && key.code == KeyCode::Char('r') {
            return Flow::CloseThen(Command::History);
        }
        if self.search.key(key) {
            self.edited(state.session.fresh(), out);
            return Flow::Stay;
        }
        Flow::Pass
    }
}
