//! The one way in: an event changes the state and asks for effects. It only routes.

use super::catalogs::Wanted;
use super::command::Command;
use super::completion::{CompletionKind, CompletionRow, Offers, RowOf};
use super::effect::Effect;
use super::event::{Event, Timer};
use super::key::Key;
use super::keymap::{Lookup, Place};
use super::layout::Layout;
use super::overlay::{Fill, Flow, Overlay, ReviewBox};
use super::state::{Focus, State};
use super::transcript::Scroll;
use crate::chat::{ServerState, Stamped};

/// How far what is kept of a draft may be behind it, milliseconds; the store's own work comes on top.
const DRAFT_MS: u64 = 200;

/// Changes the state by one event. Effects are to be carried out in their order.
pub fn update(state: &mut State, event: Stamped<Event>) -> Vec<Effect> {
    let mut out = Vec::new();
    if event.at.mono_us >= state.now.mono_us {
        state.now = event.at;
    }
    match event.body {
        Event::Key(key) => {
            let before = state.overlays.len();
            let said = state.status.notices.back().map(|notice| notice.id);
            // A refused key was explained until the next one came.
            if let Some(refused) = state.status.refused.take() {
                state.notice_over(refused);
            }
            state.key(key, &mut out);
            match state.overlays.len() {
                now if now > before => state.status.turned_away(said),
                0 if before > 0 => state.status.came_back(),
                now if now == before && now > 0 => state.status.answered_in_layer(said),
                _ => {}
            }
        }
        Event::Paste(text) => state.paste(&text, &mut out),
        Event::Mouse(mouse) => state.mouse(mouse, &mut out),
        Event::Resize(size) => state.size = size,
        Event::FocusGained => state.status.unfocused = false,
        Event::FocusLost => state.status.unfocused = true,
        Event::Timer(timer) => state.timer(timer, &mut out),
        Event::Engine(event) => {
            let at = state.now;
            state.engine(event, at, &mut out);
        }
        Event::Layout(layout) => state.laid_out(layout),
        Event::Reply(reply) => state.reply(reply, &mut out),
        Event::Terminate => state.quit(&mut out),
    }
    state.panel.refresh(&state.calls, state.focus == Focus::Panel && state.overlays.is_empty());
    if state.calls.waiting().next().is_some() {
        state.reviewed.ask(&mut out);
    }
    state.ask_what_waits();
    if let Some(Overlay::Review(open)) = state.overlays.last_mut() {
        open.look_beside(&state.servers, &mut out);
    }
    state.watch_resources(&mut out);
    state.tick(&mut out);
    out
}

impl State {
    fn timer(&mut self, timer: Timer, out: &mut Vec<Effect>) {
        match timer {
            Timer::Tick => {
                self.status.ticking = false;
                self.look_at_servers(out);
            }
            Timer::Search(generation) => self.search_rested(generation, out),
            Timer::Twice(generation) => self.twice_over(generation),
            Timer::Notice(id) => self.notice_over(id),
            Timer::Complete(generation) => self.complete_rested(generation, out),
            Timer::Draft(generation) => {
                if generation == self.composer.draft_generation && self.composer.unsaved_draft {
                    self.keep_draft(out);
                }
            }
        }
    }

    fn laid_out(&mut self, layout: Layout) {
        if let Some(seen) = &layout.review
            && let Some(Overlay::Review(open)) = self.overlays.last_mut()
        {
            open.laid_out(seen);
        }
        if let Some(seen) = &layout.sample
            && let Some(Overlay::Inquiry(open)) = self.overlays.last_mut()
            && let super::overlay::InquiryStep::Sample(view) = &mut open.step
        {
            view.laid_out(seen);
        }
        match self.overlays.last_mut() {
            Some(Overlay::Servers(list)) => list.laid_out(layout.list),
            Some(Overlay::Inquiry(open)) => open.laid_out(layout.list),
            // The view keeps the chosen row of a tree on the page.
            Some(Overlay::Detail(open)) => open.scroll = layout.list.top,
            Some(_) | None => {}
        }
        // The reader's place in its normal form; at the end, reading on is following.
        if let (Scroll::Anchored(_) | Scroll::Shown(_), Some(top)) = (self.transcript.scroll, layout.transcript.top) {
            let follows = layout.transcript.at_end && self.transcript.downward;
            self.transcript.scroll = if follows { Scroll::Follow } else { Scroll::Anchored(top) };
        }
        if layout.transcript.area.width != self.layout.transcript.area.width {
            self.transcript.unmark();
        }
        self.layout = layout;
    }

    /// Opens what waits for a person, where that takes nothing from under their fingers: nothing lies over the chat
    /// and the composer, with nothing in it, has the focus.
    fn ask_what_waits(&mut self) {
        if !self.overlays.is_empty() || self.focus != Focus::Composer || !self.composer.is_empty() {
            return;
        }
        if self.open_inquiry() {
            return;
        }
        if self.calls.waiting().any(|call| !call.put_off) {
            self.open_review(true);
            return;
        }
        let asks = self.servers.rows.iter().find(|row| row.status.state == ServerState::NeedsConsent && !row.declined);
        if let Some(row) = asks {
            let consent = super::overlay::Consent::new(&row.status, self.now);
            self.overlays.push(Overlay::Consent(consent));
        }
    }

    /// Opens the review of the first call that waits; `fresh`: not of one that was put off. False where none waits.
    pub(super) fn open_review(&mut self, fresh: bool) -> bool {
        let Some(turn) = self.transcript.turn.as_ref().map(|turn| turn.id) else { return false };
        let waiting: Vec<_> =
            self.calls.waiting().filter_map(|call| Some((call.put_off, call.review.clone()?))).collect();
        let Some(place) = waiting.iter().position(|(put_off, _)| !(fresh && *put_off)) else { return false };
        let revision = self.session.fresh();
        let mut open = ReviewBox::new(turn, waiting[place].1.clone(), self.now, revision);
        open.waiting = waiting.len();
        open.place = place + 1;
        self.overlays.push(Overlay::Review(Box::new(open)));
        true
    }

    fn key(&mut self, key: Key, out: &mut Vec<Effect>) {
        let Some(mut overlay) = self.overlays.pop() else { return self.chat_key(key, out) };
        let depth = self.overlays.len();
        let seen = match overlay.keys_at() {
            Some((place, false)) => self.keymap.canonical(place, key),
            Some((place, true)) => self.keymap.canonical_in_text(place, key),
            None => key,
        };
        match overlay.key(seen, self, out) {
            Flow::Stay => self.restore(depth, overlay),
            Flow::Close => {}
            Flow::Do(command) => {
                self.restore(depth, overlay);
                self.perform(command, out);
            }
            Flow::CloseThen(command) => self.perform(command, out),
            Flow::Pass => {
                let modal = overlay.is_modal();
                let welcome = matches!(overlay, Overlay::Welcome(_));
                self.restore(depth, overlay);
                match self.keymap.look(Place::Global, None, key) {
                    Lookup::Command(command) => self.over(command, modal, welcome, out),
                    Lookup::Prefix | Lookup::Nothing => {}
                }
            }
        }
    }

    /// A global command while a layer lies over the chat.
    fn over(&mut self, command: Command, modal: bool, welcome: bool, out: &mut Vec<Effect>) {
        match command {
            Command::Redraw | Command::Suspend | Command::Mouse | Command::Interrupt | Command::Help if !modal => {
                self.perform(command, out);
            }
            Command::Redraw | Command::Suspend | Command::Mouse | Command::Interrupt => self.perform(command, out),
            Command::Back => {
                self.overlays.pop();
            }
            Command::FocusNext | Command::FocusPrevious => {}
            _ if modal => self.say("decide first, or esc to decide later", out),
            Command::Tools if self.inquiry.is_none() && !self.calls.waiting().any(|_| true) => {
                self.overlays.clear();
                self.perform(command, out);
            }
            _ if welcome => self.perform(command, out),
            _ => {
                // One layer after another, not a pile of them.
                self.overlays.clear();
                self.perform(command, out);
            }
        }
    }

    fn chat_key(&mut self, key: Key, out: &mut Vec<Effect>) {
        if self.focus == Focus::Transcript && self.find_key(key) {
            return;
        }
        if self.focus == Focus::Composer && self.completion_key(key, out) {
            return;
        }
        if self.focus == Focus::Composer
            && self.prefix.is_none()
            && self.composer.vi_key(self.keymap.canonical(Place::Vi, key))
        {
            self.disarm(out);
            return self.text_changed(out);
        }
        let prefix = self.prefix.take();
        if prefix.is_none() && self.fault_key(key, out) {
            return;
        }
        let place = match self.focus {
            Focus::Composer => Place::Composer,
            Focus::Transcript => Place::Transcript,
            Focus::Panel => Place::Panel,
        };
        match self.keymap.look(place, prefix, key) {
            Lookup::Command(command) => {
                if key.repeat && matches!(command, Command::Interrupt | Command::DeleteOrQuit | Command::Back) {
                    return;
                }
                if !matches!(command, Command::Interrupt | Command::DeleteOrQuit | Command::Back) {
                    self.disarm(out);
                }
                if command == Command::HelpOnEmpty && !self.composer.is_empty() {
                    return self.typed(key, out);
                }
                self.perform(command, out);
            }
            Lookup::Prefix => self.prefix = Some(key),
            Lookup::Nothing if self.focus == Focus::Composer => {
                self.disarm(out);
                self.typed(key, out);
            }
            Lookup::Nothing => {
                self.disarm(out);
                self.refuse(key, out);
            }
        }
    }

    /// Says of a key that does nothing here where it does something, else where all commands are.
    fn refuse(&mut self, key: Key, out: &mut Vec<Effect>) {
        let (place, way) = match self.focus {
            Focus::Transcript if !self.panel.hidden => {
                (Place::Panel, "works among the tools: {app.focus_next} goes there")
            }
            Focus::Panel => (Place::Transcript, "works among the messages: {app.focus_previous} goes there"),
            Focus::Transcript | Focus::Composer => (Place::Global, ""),
        };
        let told = match self.keymap.look(place, None, key) {
            Lookup::Command(_) | Lookup::Prefix => way,
            Lookup::Nothing => "does nothing here; {app.focus_next} goes on",
        };
        self.say(format!("{key} {told}, {{app.palette}} lists all commands"), out);
        self.status.refused = self.status.notices.back().map(|notice| notice.id);
    }

    /// Puts a layer back under what it opened.
    pub(super) fn restore(&mut self, depth: usize, overlay: Overlay) {
        let depth = depth.min(self.overlays.len());
        self.overlays.insert(depth, overlay);
    }

    fn typed(&mut self, key: Key, out: &mut Vec<Effect>) {
        if let Some(c) = key.typed() {
            self.composer.type_char(c);
            self.text_changed(out);
        }
    }

    fn paste(&mut self, text: &str, out: &mut Vec<Effect>) {
        let Some(mut overlay) = self.overlays.pop() else {
            self.focus = Focus::Composer;
            self.composer.paste(text);
            return self.text_changed(out);
        };
        let depth = self.overlays.len();
        if matches!(overlay, Overlay::Welcome(_)) {
            self.composer.paste(text);
            self.text_changed(out);
        } else {
            overlay.paste(text, self, out);
        }
        self.restore(depth, overlay);
    }

    /// The text is another: completion, and the draft is kept when it has rested.
    pub(super) fn text_changed(&mut self, out: &mut Vec<Effect>) {
        let generation = self.session.fresh();
        if self.composer.slash().is_some() {
            self.want(Wanted::Prompts, out);
        } else if self.composer.mention().is_some() {
            self.want(Wanted::Resources, out);
        }
        let offers = self.offers();
        self.composer.complete(&offers, generation, out);
        if !std::mem::replace(&mut self.composer.unsaved_draft, true) {
            self.composer.draft_generation = generation;
            out.push(Effect::SetTimer { timer: Timer::Draft(generation), after_ms: DRAFT_MS });
        }
    }

    fn offers(&self) -> Offers {
        let roles = self.session.casting.roles.iter().map(|role| CompletionRow {
            text: role.name.clone(),
            note: role.model.clone().unwrap_or_default(),
            of: RowOf::Role,
        });
        Offers {
            prompts: self.catalogs.prompt_rows(),
            resources: self.catalogs.resource_rows(),
            roles: roles.collect(),
        }
    }

    /// A list came while its completion is open.
    pub(super) fn refresh_completion(&mut self) {
        let offers = self.offers();
        self.composer.offer(&offers);
        if let Some(Overlay::Palette(palette)) = self.overlays.last_mut() {
            palette.prompts(offers.prompts);
        }
    }

    /// Takes the chosen row of the completion; `enter` also carries a command out.
    fn accepted(&mut self, enter: bool, out: &mut Vec<Effect>) {
        match self.composer.accept(out) {
            Some(RowOf::Command | RowOf::Role) if enter => self.perform(Command::Send, out),
            Some(RowOf::Resource { server, uri }) => self.attach_resource(server, uri, out),
            Some(RowOf::Template { server, template }) => {
                self.overlays.push(Overlay::Fill(Box::new(Fill::template(server, template))));
                self.complete_field(out);
            }
            Some(RowOf::Command | RowOf::Role | RowOf::File) | None => {}
        }
    }

    /// Keys of an open completion: tab and enter take, up and down choose, esc closes.
    fn completion_key(&mut self, key: Key, out: &mut Vec<Effect>) -> bool {
        use super::key::KeyCode;
        if self.composer.completion.is_none() || key.mods != super::key::Mods::default() {
            return false;
        }
        match key.code {
            KeyCode::Up => self.composer.choose(false),
            KeyCode::Down => self.composer.choose(true),
            KeyCode::Esc => self.composer.completion = None,
            KeyCode::Tab => self.accepted(false, out),
            KeyCode::Enter => {
                let role = self.composer.completion.as_ref().is_some_and(|open| open.kind == CompletionKind::Role);
                let whole = !role && self.composer.slash().is_some_and(|(word, _)| Command::slash(&word).is_some());
                if whole {
                    self.composer.completion = None;
                    self.perform(Command::Send, out);
                } else {
                    self.accepted(true, out);
                }
            }
            _ => return false,
        }
        true
    }
}
