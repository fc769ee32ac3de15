//! Attached resources that change: which are watched, which are no longer what was attached, and how they come in anew.
//!
//! # Invariants
//! - A resource is watched while a message of an open conversation holds it, sent or not, and not a moment longer.
//! - A change is said once, until the resource was attached again; nothing is read or sent by itself.
//! - Its server is asked again whenever it comes back.

use super::composer::Composer;
use super::effect::Effect;
use super::state::{Focus, State};
use super::status::Servers;
use super::transcript::{EntryBody, Transcript};
use crate::chat::{Order, Part, ServerName, ServerQuery, ServerState, WatchStanding};
use crate::text::{cut, sanitize, width};

/// Fewer columns of a name say nothing.
const SHORTEST: usize = 8;

/// A resource of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub server: ServerName,
    pub uri: String,
}

/// One that was attached in a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    pub resource: Resource,
    /// What is known of it since; None: nothing.
    pub stale: Option<Stale>,
    /// A message that was sent, or waits to be, holds it.
    pub(super) sent: bool,
    /// That it is not watched was said.
    refusal_said: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stale {
    /// Its server was away, and nobody would have told.
    Perhaps,
    Surely,
}

/// A resource that the engine was told to have watched.
#[derive(Clone, Debug)]
pub(super) struct Watching {
    resource: Resource,
    /// Its server was not there since.
    again: bool,
}

impl Resource {
    /// What a part or an attachment of this name is of; None: of no server.
    fn of(name: &str, servers: &Servers) -> Option<Self> {
        let (server, uri) = name.split_once(':')?;
        let server = ServerName::new(server);
        servers.get(&server)?;
        Some(Self { server, uri: uri.to_owned() })
    }

    /// `server:uri`, as messages name it.
    #[must_use]
    pub fn path(&self) -> String {
        format!("{}:{}", self.server.as_str(), self.uri)
    }

    /// As it stands in a text.
    #[must_use]
    pub fn label(&self) -> String {
        format!("@{}", self.path())
    }
}

impl Stale {
    /// Of several of them, the least certain.
    fn words(self, several: bool) -> &'static str {
        match (self, several) {
            (Self::Surely, _) => "changed since you attached",
            (Self::Perhaps, false) => "may have changed since you attached",
            (Self::Perhaps, true) => "may have changed, or did, since you attached",
        }
    }
}

impl Transcript {
    /// A message about to be sent holds what the composer has attached.
    pub(super) fn takes_with_it(&mut self, composer: &Composer) {
        let text = composer.text();
        for attached in &mut self.attached {
            attached.sent |= is_in(&attached.resource, composer, &text);
        }
    }

    fn attach(&mut self, resource: Resource, sent: bool) {
        match self.attached.iter_mut().find(|attached| attached.resource == resource) {
            Some(attached) => attached.sent |= sent,
            None => self.attached.push(Attached { resource, stale: None, sent, refusal_said: false }),
        }
    }

    /// What a draft attaches is attached; what it no longer names and no message holds is not.
    pub(super) fn attach_drafted(&mut self, composer: &Composer, servers: &Servers) {
        if composer.attachments.is_empty() && self.attached.iter().all(|attached| attached.sent) {
            return;
        }
        let text = composer.text();
        self.attached.retain(|attached| attached.sent || is_in(&attached.resource, composer, &text));
        for attachment in composer.attachments.iter().filter(|attachment| text.contains(&attachment.label)) {
            if let Some(resource) = Resource::of(&attachment.path, servers) {
                self.attach(resource, false);
            }
        }
    }
}

/// Whether the draft has it attached and names it.
fn is_in(resource: &Resource, composer: &Composer, text: &str) -> bool {
    let label = resource.label();
    composer.attachments.iter().any(|attachment| attachment.label == label) && text.contains(&label)
}

impl State {
    /// What the messages of a conversation that was opened hold.
    pub(super) fn find_attached(&mut self) {
        let mut found = Vec::new();
        for entry in &self.transcript.entries {
            let EntryBody::User(parts) = &entry.body else { continue };
            found.extend(parts.iter().filter_map(|part| match part {
                Part::File { name, .. } | Part::Image { name, .. } => Resource::of(name, &self.servers),
                Part::Text { .. } => None,
            }));
        }
        for resource in found {
            self.transcript.attach(resource, true);
        }
    }

    /// Has watched what is to be watched now, and no longer what is not.
    pub(super) fn watch_resources(&mut self, out: &mut Vec<Effect>) {
        self.transcript.attach_drafted(&self.composer, &self.servers);
        for one in &mut self.elsewhere {
            one.attach_drafted(&self.servers);
        }
        let nothing = self.transcript.attached.is_empty()
            && self.catalogs.watching.is_empty()
            && self.elsewhere.iter().all(|one| one.transcript.attached.is_empty());
        if nothing || self.session.replay {
            return;
        }
        let mut orders = Vec::new();
        let (transcript, elsewhere, servers) = (&self.transcript, &self.elsewhere, &self.servers);
        let attached =
            || transcript.attached.iter().chain(elsewhere.iter().flat_map(|one| one.transcript.attached.iter()));
        let ready = |server: &ServerName| servers.get(server).is_some_and(|row| row.status.state == ServerState::Ready);
        self.catalogs.watching.retain(|watching| {
            let wanted = attached().any(|attached| attached.resource == watching.resource);
            if !wanted {
                orders.push((watching.resource.clone(), false));
            }
            wanted
        });
        for watching in &mut self.catalogs.watching {
            match ready(&watching.resource.server) {
                true if std::mem::take(&mut watching.again) => orders.push((watching.resource.clone(), true)),
                true => {}
                false => watching.again = true,
            }
        }
        for Attached { resource, .. } in attached() {
            if ready(&resource.server) && self.catalogs.watching.iter().all(|one| one.resource != *resource) {
                self.catalogs.watching.push(Watching { resource: resource.clone(), again: false });
                orders.push((resource.clone(), true));
            }
        }
        for (Resource { server, uri }, on) in orders {
            let query = if on { ServerQuery::Watch { uri } } else { ServerQuery::Unwatch { uri } };
            let generation = self.session.fresh();
            out.push(Effect::Order(Order::Query { generation, server, query }));
        }
    }

    /// A server says that a resource has changed. What is not on the screen says so when it is.
    pub(super) fn resource_updated(&mut self, server: &ServerName, uri: &str, stale: Stale, out: &mut Vec<Effect>) {
        let is = |attached: &Attached| attached.resource.uri == uri && attached.resource.server == *server;
        for one in &mut self.elsewhere {
            for attached in one.transcript.attached.iter_mut().filter(|attached| is(attached)) {
                attached.stale = attached.stale.max(Some(stale));
            }
        }
        let Some(attached) = self.transcript.attached.iter_mut().find(|attached| is(attached)) else { return };
        let news = attached.stale < Some(stale);
        attached.stale = attached.stale.max(Some(stale));
        // Over an empty line it stands in the line itself, for as long as it is so.
        let seen = self.composer.is_empty() && self.overlays.is_empty() && self.transcript.queued.is_empty();
        if news
            && !seen
            && let Some(words) = self.stale_words(self.footer_room())
        {
            self.say(words, out);
        }
    }

    /// Columns of the footer for a sentence: where there is room, when it was saved stands beside it.
    fn footer_room(&self) -> usize {
        let columns = usize::from(self.size.columns);
        columns.saturating_sub(if columns < 100 { 4 } else { 24 })
    }

    /// How it stands with the watching of one.
    pub(super) fn watch_stands(
        &mut self,
        server: &ServerName,
        uri: &str,
        standing: WatchStanding,
        out: &mut Vec<Effect>,
    ) {
        let mut attached = self.transcript.attached.iter_mut();
        let attached = attached.find(|attached| attached.resource.uri == uri && attached.resource.server == *server);
        let Some(attached) = attached else { return };
        match standing {
            WatchStanding::Refused(why) if !attached.refusal_said => {
                attached.refusal_said = true;
                let path = attached.resource.path();
                self.say(format!("nobody will tell you when {path} changes: {why}"), out);
            }
            WatchStanding::Kept => attached.refusal_said = false,
            WatchStanding::Refused(_) | WatchStanding::Asked | WatchStanding::NotOffered => {}
        }
    }

    /// What is no longer what was attached in this conversation, and the way to have it anew, in so many columns as far
    /// as a name can be cut; raw. None: nothing.
    #[must_use]
    pub fn stale_words(&self, columns: usize) -> Option<String> {
        let stale = || self.transcript.attached.iter().filter(|attached| attached.stale.is_some());
        let (first, count) = (stale().next()?, stale().count());
        let worst = stale().filter_map(|attached| attached.stale).min()?;
        let way = self.keymap.tell("{app.reattach}");
        if count > 1 {
            let words = worst.words(true);
            return Some(format!("{count} resources {words} them · {way} attaches them again"));
        }
        let rest = format!(" {} it · {way} attaches it again", worst.words(false));
        let path = sanitize(&first.resource.path()).one_line();
        let room = columns.saturating_sub(width(&rest));
        if room >= SHORTEST {
            return Some(format!("{}{rest}", cut(path.as_str(), room)));
        }
        Some(format!("an attachment changed · {way}: again"))
    }

    /// Attaches what has changed as it is now: in its place where the draft names it, else at the draft's end.
    pub(super) fn reattach(&mut self, out: &mut Vec<Effect>) {
        let stale = self.transcript.attached.iter().filter(|attached| attached.stale.is_some());
        let stale: Vec<Resource> = stale.map(|attached| attached.resource.clone()).collect();
        if stale.is_empty() {
            let said = match self.transcript.attached.is_empty() {
                true => "no resource is attached in this conversation; @ attaches one",
                false => "nothing that is attached here is known to have changed",
            };
            return self.say(said, out);
        }
        self.focus = Focus::Composer;
        for resource in stale {
            if self.servers.get(&resource.server).is_none_or(|row| row.status.state != ServerState::Ready) {
                let server = resource.server.as_str();
                self.say(format!("{server} is not there now; {{app.servers}} shows why"), out);
                continue;
            }
            let label = resource.label();
            if !self.composer.text().contains(&label) {
                self.composer.append_word(&label);
            }
            self.composer.attachments.retain(|attachment| attachment.label != label);
            self.attach_resource(resource.server, resource.uri, out);
        }
        self.text_changed(out);
    }

    /// It is attached as it is now.
    pub(super) fn fresh(&mut self, resource: &Resource) {
        for attached in self.transcript.attached.iter_mut().filter(|attached| attached.resource == *resource) {
            attached.stale = None;
        }
    }

    /// What was to be attached again could not be read: it is as stale as it was.
    pub(super) fn not_reattached(&mut self, label: &str) {
        let there = self.elsewhere.iter_mut().map(|one| &mut one.transcript);
        for transcript in there.chain([&mut self.transcript]) {
            for attached in transcript.attached.iter_mut().filter(|attached| attached.resource.label() == label) {
                attached.stale = attached.stale.max(attached.sent.then_some(Stale::Perhaps));
            }
        }
    }
}
