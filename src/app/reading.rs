//! The reader: scrolling, messages, finding, copying, branching.

use super::blocks::{Source, Spot, last_code, result_json, table_csv, written};
use super::command::Command;
use super::composer::Branch;
use super::effect::{EditorUse, Effect};
use super::key::{Key, KeyCode};
use super::line::LineEdit;
use super::overlay::{Detail, Overlay};
use super::state::{Focus, State};
use super::transcript::{Anchor, Entry, EntryBody, Find, Piece, Scroll};
use crate::chat::{CallId, Order};

impl State {
    /// Moves the reader; up leaves following, down to the end takes it up again.
    pub(super) fn scroll_lines(&mut self, by: isize) {
        let at_end = self.layout.transcript.at_end;
        self.transcript.downward = by > 0;
        let anchor = match self.transcript.scroll {
            Scroll::Anchored(anchor) => anchor,
            Scroll::Follow if by > 0 => return,
            Scroll::Follow | Scroll::Shown(_) => match self.layout.transcript.top {
                Some(top) => top,
                None => return,
            },
        };
        if by > 0 && at_end {
            self.transcript.scroll = Scroll::Follow;
            return;
        }
        self.transcript.scroll = Scroll::Anchored(Anchor { line: anchor.line.saturating_add(by), ..anchor });
    }

    pub(super) fn scroll_pages(&mut self, pages: isize) {
        let page = isize::from(i16::try_from(self.layout.transcript.area.height).unwrap_or(i16::MAX));
        self.scroll_lines(pages * (page - 2).max(1));
    }

    pub(super) fn go_to_top(&mut self) {
        if let Some(first) = self.transcript.entries.first() {
            self.transcript.downward = false;
            self.transcript.scroll = Scroll::Anchored(Anchor { key: first.key, line: 0 });
        }
    }

    pub(super) fn follow(&mut self) {
        self.transcript.scroll = Scroll::Follow;
        self.transcript.choose(None);
    }

    pub(super) fn go_to(&mut self, key: u64) {
        self.transcript.downward = false;
        self.transcript.scroll = Scroll::Anchored(Anchor { key, line: 0 });
        self.transcript.choose(Some(Spot { key, block: None }));
    }

    /// Chooses a block and brings it onto the screen; nothing moves where it is there already.
    pub(super) fn show(&mut self, spot: Spot) {
        self.transcript.downward = false;
        self.transcript.scroll = Scroll::Shown(spot);
        self.transcript.choose(Some(spot));
    }

    /// To the next block, or the one before, across messages.
    pub(super) fn step_block(&mut self, forward: bool) {
        let entries = &self.transcript.entries;
        let spots = |entry: &Entry| -> Vec<Spot> {
            let blocks: Vec<Spot> =
                entry.blocks().into_iter().map(|(at, _)| Spot { key: entry.key, block: Some(at) }).collect();
            if blocks.is_empty() { vec![Spot { key: entry.key, block: None }] } else { blocks }
        };
        let top = match self.transcript.scroll {
            Scroll::Anchored(anchor) => Some(Spot { key: anchor.key, block: None }),
            Scroll::Shown(spot) => Some(spot),
            Scroll::Follow => None,
        };
        let from = match self.transcript.chosen() {
            Some((first, last)) => Some(if forward { last } else { first }),
            None => top,
        };
        let Some(from) = from else {
            if let Some(last) = entries.last().and_then(|entry| spots(entry).pop()).filter(|_| !forward) {
                self.show(last);
            }
            return;
        };
        let at = entries.partition_point(|entry| entry.key < from.key);
        // What is chosen whole counts as before its blocks.
        let next = if forward {
            entries[at..].iter().take(2).flat_map(spots).find(|spot| *spot > from)
        } else {
            entries[..entries.len().min(at + 1)]
                .iter()
                .rev()
                .take(2)
                .flat_map(|e| spots(e).into_iter().rev())
                .find(|spot| *spot < from)
        };
        if let Some(spot) = next {
            self.show(spot);
        }
    }

    pub(super) fn step_message(&mut self, forward: bool) {
        let from = self.transcript.selected.or(match self.transcript.scroll {
            Scroll::Anchored(anchor) => Some(anchor.key),
            Scroll::Shown(spot) => Some(spot.key),
            Scroll::Follow => None,
        });
        let entries = &self.transcript.entries;
        let next = match from {
            Some(from) if forward => entries.iter().find(|entry| entry.key > from),
            Some(from) => entries.iter().rev().find(|entry| entry.key < from),
            None if forward => return,
            None => entries.last(),
        };
        match next.map(|entry| entry.key) {
            Some(key) => self.go_to(key),
            None if forward => self.follow(),
            None => {}
        }
    }

    // Finding.

    pub(super) fn open_find(&mut self) {
        self.focus = Focus::Transcript;
        self.transcript.find = Some(Find { editing: true, ..Find::default() });
    }

    /// Keys of the find field while the caret is in it.
    pub(super) fn find_key(&mut self, key: Key) -> bool {
        let Some(find) = self.transcript.find.as_mut().filter(|find| find.editing) else { return false };
        match key.code {
            KeyCode::Enter | KeyCode::Down => find.editing = false,
            KeyCode::Esc => self.transcript.find = None,
            _ if find.line.key(key) => {
                let text = find.line.text.clone();
                self.find_text(&text);
            }
            _ => return false,
        }
        true
    }

    /// Finds and goes to the match nearest above the end.
    pub(super) fn find_text(&mut self, text: &str) {
        let wanted = text.to_lowercase();
        let mut matches = Vec::new();
        for entry in self.transcript.entries.iter().filter(|_| !wanted.is_empty()) {
            let holds = |text: &str| text.to_lowercase().contains(&wanted);
            let blocks = entry.blocks();
            if blocks.is_empty() && holds(&entry.text()) {
                matches.push(Spot { key: entry.key, block: None });
            }
            let hits = blocks.into_iter().filter(|(_, source)| match source {
                Source::Code(text) | Source::Text(text) => holds(text),
                Source::Thinking(_) | Source::Call(_) => false,
            });
            matches.extend(hits.map(|(at, _)| Spot { key: entry.key, block: Some(at) }));
        }
        let Some(find) = &mut self.transcript.find else { return };
        if find.line.text != text {
            find.line = LineEdit::with(text);
        }
        find.at = matches.len().saturating_sub(1);
        find.matches = matches;
        if let Some(spot) = find.matches.last().copied() {
            self.show(spot);
        }
    }

    pub(super) fn find_step(&mut self, forward: bool, out: &mut Vec<Effect>) {
        let Some(find) = &mut self.transcript.find else { return self.say("/ finds first", out) };
        let count = find.matches.len();
        if count == 0 {
            return self.say("no match", out);
        }
        find.at = if forward { (find.at + 1) % count } else { (find.at + count - 1) % count };
        let spot = find.matches[find.at];
        self.show(spot);
    }

    // What letters act on.

    /// The chosen entry, else the last that has words.
    fn entry_at_hand(&self) -> Option<&Entry> {
        match self.transcript.selected.and_then(|key| self.transcript.entry(key)) {
            Some(entry) => Some(entry),
            None => self.transcript.entries.iter().rev().find(|entry| {
                matches!(entry.body, EntryBody::User(_) | EntryBody::Answer(_)) && !entry.text().is_empty()
            }),
        }
    }

    /// The chosen block, where one is and nothing else.
    fn block_at_hand(&self) -> Option<Source<'_>> {
        let entry = self.transcript.selected.and_then(|key| self.transcript.entry(key))?;
        self.transcript.block.filter(|_| self.transcript.until.is_none()).and_then(|at| entry.block(at))
    }

    /// Copies what is chosen as it was written: a block, several, else the message.
    pub(super) fn copy_message(&mut self, out: &mut Vec<Effect>) {
        if let Some(marked) = self.transcript.marked {
            return out.push(Effect::CopyMarked(marked));
        }
        if self.transcript.until.is_some() {
            return self.copy_chosen(out);
        }
        let (what, text) = match self.block_at_hand() {
            Some(Source::Call(id)) => {
                let id = id.clone();
                return self.on_call(Command::CopyResult, Some(id), out);
            }
            Some(source @ Source::Code(_)) => ("the code block", written(source).into_owned()),
            Some(source @ Source::Thinking(_)) => ("the thinking", written(source).into_owned()),
            Some(source @ Source::Text(text)) => {
                (if table_csv(text).is_some() { "the table" } else { "the block" }, written(source).into_owned())
            }
            None => ("the message", self.entry_at_hand().map(Entry::text).unwrap_or_default()),
        };
        if text.is_empty() {
            return self.say("no message to copy", out);
        }
        out.push(Effect::Copy { what, text });
    }

    /// All blocks from the first chosen to the last, with a blank line between two.
    pub(super) fn copy_chosen(&mut self, out: &mut Vec<Effect>) {
        let Some((from, until)) = self.transcript.chosen() else { return };
        let mut parts: Vec<String> = Vec::new();
        for entry in self.transcript.entries.iter().filter(|entry| (from.key..=until.key).contains(&entry.key)) {
            let blocks = entry.blocks();
            if blocks.is_empty() {
                parts.push(entry.text());
            }
            for (at, source) in blocks {
                if !self.transcript.is_chosen(Spot { key: entry.key, block: Some(at) }) {
                    continue;
                }
                parts.push(match source {
                    // Among other words code keeps its fence.
                    Source::Code(text) | Source::Text(text) => text.trim_end().to_owned(),
                    Source::Call(id) => {
                        self.calls.by_id.get(id).map(|call| call.result().into_owned()).unwrap_or_default()
                    }
                    Source::Thinking(_) => String::new(),
                });
            }
        }
        parts.retain(|part| !part.is_empty());
        if parts.is_empty() {
            return self.say("nothing of that can be copied", out);
        }
        out.push(Effect::Copy { what: "what you chose", text: parts.join("\n\n") });
    }

    /// Copies the chosen block in its other form: a table as CSV, a call's result as JSON. Else the last code block
    /// of the message, or its table.
    pub(super) fn copy_code(&mut self, out: &mut Vec<Effect>) {
        let found = match self.block_at_hand() {
            Some(Source::Call(id)) => {
                self.calls.by_id.get(id).and_then(result_json).map(|json| ("the result as JSON", json))
            }
            Some(Source::Code(text)) => Some(("the code block with its fence", text.trim_end().to_owned())),
            Some(Source::Text(text)) if table_csv(text).is_some() => {
                table_csv(text).map(|csv| ("the table as CSV", csv))
            }
            Some(Source::Text(_) | Source::Thinking(_)) | None => self.entry_at_hand().and_then(|entry| {
                let text = entry.text();
                let code = last_code(&text).map(|code| ("the code block", code));
                code.or_else(|| table_csv(&text).map(|csv| ("the table as CSV", csv)))
            }),
        };
        match found {
            Some((what, text)) => out.push(Effect::Copy { what, text }),
            None => self.say("no code block in this message; [ and ] choose another", out),
        }
    }

    /// Takes a message of the user back into the composer: sent, it begins a branch.
    pub(super) fn edit_message(&mut self, out: &mut Vec<Effect>) {
        if self.edit_summary(out) {
            return;
        }
        let chosen = self.transcript.selected.and_then(|key| self.transcript.entries.iter().position(|e| e.key == key));
        let upto = chosen.map_or(self.transcript.entries.len(), |at| at + 1);
        let at = self.transcript.entries[..upto].iter().rposition(|entry| matches!(entry.body, EntryBody::User(_)));
        let Some(at) = at else { return self.say("no message of yours to edit", out) };
        if self.transcript.turn.is_some() {
            return self.say("an answer is still coming: {app.back} stops it", out);
        }
        let parent = self.transcript.entries[..at].iter().rev().find_map(|entry| entry.message.clone());
        let entry = &self.transcript.entries[at];
        let EntryBody::User(parts) = &entry.body else { return };
        let branch = Branch { parent, key: entry.key, keep: false };
        self.composer.take_up(parts);
        self.composer.branch = Some(branch);
        self.focus = Focus::Composer;
        self.text_changed(out);
    }

    pub(super) fn branch_here(&mut self, out: &mut Vec<Effect>) {
        let chosen = self.transcript.selected.and_then(|key| self.transcript.entry(key));
        let Some(entry) = chosen else { return self.say("[ and ] choose a message first", out) };
        let Some(parent) = entry.message.clone() else {
            return self.say("this message is not part of the conversation yet", out);
        };
        self.composer.branch = Some(Branch { parent: Some(parent), key: entry.key, keep: true });
        self.focus = Focus::Composer;
        self.say("the next message branches here; {app.back} undoes that", out);
    }

    /// Folds or unfolds the chosen block: a call, or thinking. Else that of the message at hand.
    pub(super) fn fold(&mut self) {
        let call = match self.block_at_hand() {
            Some(Source::Call(id)) => Some(id.clone()),
            Some(Source::Thinking(_) | Source::Code(_) | Source::Text(_)) | None => None,
        };
        if let Some(call) = call {
            return self.fold_call(&call);
        }
        let key = self.entry_at_hand().map(|entry| entry.key);
        if let Some(key) = key {
            self.fold_entry(key);
        }
    }

    pub(super) fn fold_entry(&mut self, key: u64) {
        let Some(entry) = self.transcript.entries.iter_mut().find(|entry| entry.key == key) else { return };
        if let EntryBody::Summary(summary) = &mut entry.body {
            summary.open = !summary.open;
            entry.revision += 1;
            return;
        }
        let EntryBody::Answer(answer) = &mut entry.body else { return };
        if answer.pieces.iter().any(|piece| matches!(piece, Piece::Thinking { .. })) {
            answer.thinking = Some(!answer.thinking_open());
            entry.revision += 1;
            return;
        }
        let call = answer.pieces.iter().find_map(|piece| match piece {
            Piece::Call(id) => Some(id.clone()),
            Piece::Text(_) | Piece::Refusal(_) | Piece::Thinking { .. } => None,
        });
        if let Some(call) = call {
            self.overlays.push(Overlay::Detail(Detail::new(call)));
        }
    }

    /// Shows what a call was given and came to under its row, or no longer.
    pub(super) fn fold_call(&mut self, call: &CallId) {
        let Some(entry) = self.transcript.entry_of_call(call) else { return };
        let EntryBody::Answer(answer) = &mut entry.body else { return };
        match answer.unfolded.iter().position(|id| id == call) {
            Some(at) => drop(answer.unfolded.remove(at)),
            None => answer.unfolded.push(call.clone()),
        }
        entry.revision += 1;
    }

    // Calls.

    /// The call that is being looked at: in its detail, on the timeline, in the transcript, else the panel's row.
    pub(super) fn chosen_call(&self) -> Option<CallId> {
        if self.focus == Focus::Transcript
            && let Some(Source::Call(id)) = self.block_at_hand()
        {
            return Some(id.clone());
        }
        self.panel.selected.clone().or_else(|| self.calls.this_turn.last().cloned())
    }

    /// Does what the panel and the detail do with one call.
    pub(super) fn on_call(&mut self, command: Command, id: Option<CallId>, out: &mut Vec<Effect>) {
        let Some(call) = id.as_ref().and_then(|id| self.calls.by_id.get(id)) else {
            return self.say("no call is chosen", out);
        };
        let id = call.id.clone();
        let result = match command {
            Command::CopyResult | Command::ViewResult => call.result().into_owned(),
            _ => String::new(),
        };
        match command {
            Command::OpenCall => {
                if call.phase == super::calls::CallPhase::NeedsApproval && !call.decided {
                    self.open_review_of(&id);
                } else {
                    self.overlays.push(Overlay::Detail(Detail::new(id)));
                }
            }
            Command::CancelCall => {
                let ended = matches!(call.phase, super::calls::CallPhase::Ended(_));
                match (ended, call.turn) {
                    (false, Some(turn)) => {
                        out.push(Effect::Order(Order::CancelCall { turn, call: id }));
                    }
                    (_, _) => self.say("this call has ended", out),
                }
            }
            Command::RunAgain => match &self.transcript.conversation {
                Some(_) if self.transcript.turn.is_some() => {
                    self.say("an answer is still coming: {app.back} stops it", out)
                }
                Some(conversation) if matches!(call.phase, super::calls::CallPhase::Ended(_)) => {
                    let conversation = conversation.clone();
                    self.run_again(conversation, id, out);
                }
                Some(_) | None => self.say("this call has not ended yet", out),
            },
            Command::CopyArguments if !call.arguments.is_empty() => {
                out.push(Effect::Copy { what: "the arguments", text: call.arguments.clone() });
            }
            Command::CopyResult if !result.is_empty() => out.push(Effect::Copy { what: "the result", text: result }),
            Command::ViewResult if !result.is_empty() => {
                out.push(Effect::Editor { what: EditorUse::View, text: result, extension: "txt" });
            }
            Command::SaveResult if call.outcome.is_some() => {
                let clean = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
                let name: String = call.name().chars().map(clean).take(64).collect();
                if let Some(outcome) = call.outcome.clone() {
                    out.push(Effect::SaveResult { name, outcome });
                }
            }
            _ => self.say("there is nothing of that yet", out),
        }
    }

    /// Opens the review of one call, put off or not.
    pub(super) fn open_review_of(&mut self, id: &CallId) {
        if let Some(call) = self.calls.by_id.get_mut(id) {
            let others = std::mem::replace(&mut call.put_off, false);
            call.revision += u64::from(others);
        }
        let Some(turn) = self.transcript.turn.as_ref().map(|turn| turn.id) else { return };
        let waiting: Vec<_> = self.calls.waiting().filter_map(|call| call.review.clone()).collect();
        let Some(place) = waiting.iter().position(|review| review.call == *id) else { return };
        let revision = self.session.fresh();
        let mut open = super::overlay::ReviewBox::new(turn, waiting[place].clone(), self.now, revision);
        (open.waiting, open.place) = (waiting.len(), place + 1);
        self.overlays.push(Overlay::Review(Box::new(open)));
    }
}
