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
    /// What letters act on, where it is more than the chosen row. All of them are among the rows.
    pub marked: Vec<ConversationId>,
    /// Deleted in this visit, newest last: `u` brings back what went together.
    pub deleted: Vec<Vec<HistoryRow>>,
    /// Brought back a moment ago, until the list that has it is read.
    pub came_back: Option<ConversationId>,
    /// It has just opened on this folder, and goes on to all where there is nothing.
    first: bool,
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
        let filter = HistoryFilter { here: true, ..HistoryFilter::default() };
        let mut browser = Self { editing: true, first: true, filter, ..Self::default() };
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

    pub(in crate::app) fn page(&mut self, page: HistoryPage, generation: u64, out: &mut Vec<Effect>) {
        if page.generation != self.generation {
            return;
        }
        self.loading = false;
        let first = std::mem::take(&mut self.first);
        if first && page.total == 0 && page.fault.is_none() && self.search.text.is_empty() {
            // An empty list helps nobody.
            self.filter.here = false;
            return self.search_again(generation, out);
        }
        self.fault = page.fault.map(|fault| fault.message);
        (self.total, self.took_us) = (page.total, page.took_us);
        if page.offset == 0 {
            self.rows = page.rows;
            let came_back = self.came_back.take();
            let at = |id: ConversationId| self.rows.iter().position(|row| row.summary.id == id);
            self.selected = came_back.and_then(at).unwrap_or(0);
            let rows = &self.rows;
            self.marked.retain(|id| rows.iter().any(|row| row.summary.id == *id));
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

    /// Takes rows out of the list; what is kept can be brought back from here. Their titles.
    pub(in crate::app) fn deleted(&mut self, ids: &[ConversationId], for_good: bool) -> Vec<String> {
        let before = self.rows.iter().take(self.selected).filter(|row| ids.contains(&row.summary.id)).count();
        let gone: Vec<HistoryRow> = self.rows.extract_if(.., |row| ids.contains(&row.summary.id)).collect();
        let titles: Vec<String> = gone.iter().map(|row| row.summary.title.clone()).collect();
        self.total = self.total.saturating_sub(gone.len());
        self.selected = (self.selected - before).min(self.rows.len().saturating_sub(1));
        self.marked.retain(|id| !ids.contains(id));
        if !for_good && !gone.is_empty() {
            self.deleted.push(gone);
        }
        titles
    }

    /// The first is chosen again once the list is read anew: what a key does next, it does to it. Titles, to be told.
    pub(in crate::app) fn restored(&mut self, ids: &[ConversationId]) -> Vec<String> {
        let back = |row: &&HistoryRow| ids.contains(&row.summary.id);
        let titles = self.deleted.iter().flatten().filter(back).map(|row| row.summary.title.clone()).collect();
        self.came_back = ids.first().cloned();
        for together in &mut self.deleted {
            together.retain(|row| !ids.contains(&row.summary.id));
        }
        self.deleted.retain(|together| !together.is_empty());
        titles
    }

    /// What a letter acts on: what is marked, else the chosen row.
    #[must_use]
    pub fn meant(&self) -> Vec<&HistoryRow> {
        match self.marked.is_empty() {
            true => self.rows.get(self.selected).into_iter().collect(),
            false => self.rows.iter().filter(|row| self.marked.contains(&row.summary.id)).collect(),
        }
    }

    fn mark(&mut self) {
        let Some(id) = self.rows.get(self.selected).map(|row| row.summary.id.clone()) else { return };
        match self.marked.iter().position(|marked| *marked == id) {
            Some(at) => {
                self.marked.remove(at);
            }
            None => self.marked.push(id),
        }
    }

    /// Why nothing may be taken away, where it is so.
    fn refused(&self, state: &State) -> Option<&'static str> {
        let meant = self.meant();
        let open = state.transcript.conversation.as_ref();
        let (answers, shown) = (
            meant.iter().any(|row| state.answers(&row.summary.id)),
            meant.iter().any(|row| open == Some(&row.summary.id)),
        );
        match (answers, shown, meant.len() > 1) {
            (true, _, false) => Some("it is answering: stop that first"),
            (true, _, true) => Some("one of them is answering: stop that first"),
            (_, true, false) => Some("it is the one behind this list: open another first"),
            (_, true, true) => Some("one of them is the one behind this list: open another first, or unmark it"),
            (false, false, _) => None,
        }
    }

    /// Takes away what is meant, after a question where that is hard to undo.
    fn remove(&mut self, for_good: bool, state: &mut State, out: &mut Vec<Effect>) {
        if let Some(why) = self.refused(state) {
            return state.say(why, out);
        }
        let meant = self.meant();
        let conversations: Vec<ConversationId> = meant.iter().map(|row| row.summary.id.clone()).collect();
        let pinned = meant.iter().filter(|row| row.summary.pinned).count();
        let (question, yes, then) = match (&meant[..], for_good) {
            ([], _) => return,
            ([row], true) => {
                let question = format!("Erase \"{}\" for good? Nothing brings it back.", row.summary.title);
                (question, "erase", Confirmed::Erase(conversations))
            }
            (rows, true) => {
                let question = format!("Erase {} conversations for good? Nothing brings them back.", rows.len());
                (question, "erase", Confirmed::Erase(conversations))
            }
            (_, false) if pinned == 0 => return out.push(Effect::Delete { conversations, for_good: false }),
            ([row], false) => {
                let question = format!("\"{}\" is pinned. Delete it? It is kept for 30 days.", row.summary.title);
                (question, "delete", Confirmed::Delete(conversations))
            }
            (rows, false) => {
                let verb = if pinned == 1 { "is" } else { "are" };
                let question = format!(
                    "{pinned} of these {} conversations {verb} pinned. Delete them? They are kept for 30 days.",
                    rows.len()
                );
                (question, "delete", Confirmed::Delete(conversations))
            }
        };
        state.overlays.push(Overlay::Confirm(Confirm::new(question, yes, then, state.now)));
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
                KeyCode::Tab => return self.other_scope(state, out),
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
            (KeyCode::Tab, _, _) => return self.other_scope(state, out),
            (_, Some('s'), _) => {
                self.filter.sort = match self.filter.sort {
                    Sort::Updated => Sort::Created,
                    Sort::Created => Sort::Title,
                    Sort::Title => Sort::Updated,
                };
                self.search_again(state.session.fresh(), out);
            }
            (_, Some('/'), _) => self.editing = true,
            (_, Some(' '), Some(_)) => {
                self.mark();
                self.step(1, state.session.fresh(), out);
                self.look(state.session.fresh(), out);
            }
            (_, Some('v'), _) => self.preview_full = !self.preview_full,
            (_, Some('n'), _) => self.step_match(true),
            (_, Some('N'), _) => self.step_match(false),
            (_, Some('r'), Some(row)) => {
                state.overlays.push(Overlay::Ask(Ask::new(AskFor::Title(row.id), row.title)));
            }
            (_, Some('p'), Some(_)) => {
                let meant = self.meant();
                let pinned = !meant.iter().all(|row| row.summary.pinned);
                let conversations = meant.iter().map(|row| row.summary.id.clone()).collect();
                out.push(Effect::Pin { conversations, pinned });
            }
            (_, Some('d'), Some(_)) => self.remove(false, state, out),
            (_, Some('D'), Some(_)) => self.remove(true, state, out),
            (_, Some('u'), _) => match self.deleted.last() {
                Some(together) => {
                    let conversations = together.iter().map(|row| row.summary.id.clone()).collect();
                    out.push(Effect::Restore { conversations });
                }
                None => state.say("nothing was deleted here", out),
            },
            (_, Some('x'), Some(_)) => {
                let conversations = self.meant().iter().map(|row| row.summary.id.clone()).collect();
                out.push(Effect::Export { conversations, form: ExportForm::Markdown });
            }
            (KeyCode::Esc, _, _) if !self.marked.is_empty() => self.marked.clear(),
            (KeyCode::Esc, _, _) if self.preview_full => self.preview_full = false,
            _ => return Flow::Pass,
        }
        Flow::Stay
    }

    /// This folder's conversations, or all.
    fn other_scope(&mut self, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        self.filter.here = !self.filter.here;
        self.search_again(state.session.fresh(), out);
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

    /// Any model, this row's.
    fn next_filter(&mut self, generation: u64, out: &mut Vec<Effect>) {
        self.filter.model = match self.filter.model {
            None => self.rows.get(self.selected).map(|row| row.summary.model.clone()),
            Some(_) => None,
        };
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
