//! What servers hold beside tools, as far as it was asked for: prompts for slash commands, resources for an `@`.
//!
//! # Invariants
//! - A server is asked once for each list, when a person first writes what would offer it, and again after it announced
//!   a change.
//! - What comes goes into the message that it was asked for, also when another conversation is on the screen by then.
//! - A prompt's messages go into the composer for a person to look at; nothing of them is sent by itself.

use std::collections::{BTreeMap, HashMap};

use super::completion::{CompletionRow, RowOf};
use super::composer::Attachment;
use super::effect::Effect;
use super::overlay::{Fill, Filled, Overlay};
use super::state::State;
use super::watching::{Resource, Stale, Watching};
use crate::chat::{
    Catalog, Fault, Order, PromptInfo, ResourceBody, ServerName, ServerNews, ServerQuery, ServerReply, ServerState,
};

#[derive(Clone, Debug, Default)]
pub struct Catalogs {
    prompts: HashMap<ServerName, Known<Vec<PromptInfo>>>,
    resources: HashMap<ServerName, Known<Catalog>>,
    /// Resources that are being read: the label of the attachment that waits for each, in whichever message it is.
    reading: HashMap<u64, String>,
    /// Resources that the engine was told to have watched.
    pub(super) watching: Vec<Watching>,
}

#[derive(Clone, Debug)]
enum Known<T> {
    Asked(u64),
    Here(T),
}

impl<T> Known<T> {
    /// A list that was asked for before a change was announced is another's answer.
    fn waits_for(&self, generation: u64) -> bool {
        matches!(self, Self::Asked(asked) if *asked == generation)
    }
}

/// Whose list is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    Prompts,
    Resources,
}

impl Catalogs {
    #[must_use]
    pub fn prompt(&self, server: &ServerName, name: &str) -> Option<&PromptInfo> {
        match self.prompts.get(server) {
            Some(Known::Here(list)) => list.iter().find(|prompt| prompt.name == name),
            Some(Known::Asked(_)) | None => None,
        }
    }

    /// Rows for a slash: `server:prompt`. Names with blanks cannot be typed as one word.
    pub(super) fn prompt_rows(&self) -> Vec<CompletionRow> {
        let mut rows: Vec<CompletionRow> = Vec::new();
        for (server, known) in &self.prompts {
            let Known::Here(list) = known else { continue };
            rows.extend(list.iter().filter(|prompt| is_word(&prompt.name)).map(|prompt| {
                let note = prompt.title.as_deref().or(prompt.description.as_deref()).unwrap_or_default();
                CompletionRow {
                    text: format!("{}:{}", server.as_str(), prompt.name),
                    note: note.to_owned(),
                    of: RowOf::Command,
                }
            }));
        }
        rows.sort_by(|a, b| a.text.cmp(&b.text));
        rows
    }

    /// Rows for an `@`: `server:uri`, templates last.
    pub(super) fn resource_rows(&self) -> Vec<CompletionRow> {
        let mut rows: Vec<CompletionRow> = Vec::new();
        for (server, known) in &self.resources {
            let Known::Here(catalog) = known else { continue };
            rows.extend(catalog.resources.iter().filter(|resource| is_word(&resource.uri)).map(|resource| {
                CompletionRow {
                    text: format!("{}:{}", server.as_str(), resource.uri),
                    note: resource.title.as_deref().unwrap_or(&resource.name).to_owned(),
                    of: RowOf::Resource { server: server.clone(), uri: resource.uri.clone() },
                }
            }));
            rows.extend(catalog.templates.iter().map(|template| CompletionRow {
                text: format!("{}:{}", server.as_str(), template.template),
                note: format!("{}, to be filled in", template.title.as_deref().unwrap_or(&template.name)),
                of: RowOf::Template { server: server.clone(), template: template.clone() },
            }));
        }
        rows.sort_by_key(|row| (matches!(row.of, RowOf::Template { .. }), row.text.clone()));
        rows
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

impl State {
    /// Asks the servers that are ready for a list that was not asked for yet.
    pub(super) fn want(&mut self, what: Wanted, out: &mut Vec<Effect>) {
        let ready: Vec<ServerName> = self
            .servers
            .rows
            .iter()
            .filter(|row| row.status.state == ServerState::Ready)
            .map(|row| row.status.server.clone())
            .collect();
        for server in ready {
            let known = match what {
                Wanted::Prompts => self.catalogs.prompts.contains_key(&server),
                Wanted::Resources => self.catalogs.resources.contains_key(&server),
            };
            if known {
                continue;
            }
            let generation = self.session.fresh();
            let query = match what {
                Wanted::Prompts => {
                    self.catalogs.prompts.insert(server.clone(), Known::Asked(generation));
                    ServerQuery::Prompts
                }
                Wanted::Resources => {
                    self.catalogs.resources.insert(server.clone(), Known::Asked(generation));
                    ServerQuery::Catalog
                }
            };
            out.push(Effect::Order(Order::Query { generation, server, query }));
        }
    }

    pub(super) fn news(&mut self, server: &ServerName, news: ServerNews, out: &mut Vec<Effect>) {
        match news {
            ServerNews::PromptsChanged => drop(self.catalogs.prompts.remove(server)),
            ServerNews::ResourcesChanged => drop(self.catalogs.resources.remove(server)),
            ServerNews::ResourceUpdated { uri, certain } => {
                let stale = if certain { Stale::Surely } else { Stale::Perhaps };
                self.resource_updated(server, &uri, stale, out);
            }
            ServerNews::Watch { uri, standing } => self.watch_stands(server, &uri, standing, out),
        }
    }

    /// A server answered. An answer to what is no longer waited for is void.
    pub(super) fn replied(
        &mut self,
        generation: u64,
        server: &ServerName,
        result: Result<ServerReply, Fault>,
        out: &mut Vec<Effect>,
    ) {
        let reply = match result {
            Ok(reply) => reply,
            Err(fault) => return self.not_replied(generation, server, &fault, out),
        };
        match reply {
            ServerReply::Prompts(list) => {
                if let Some(known) = self.catalogs.prompts.get_mut(server)
                    && known.waits_for(generation)
                {
                    *known = Known::Here(list);
                    self.refresh_completion();
                }
            }
            ServerReply::Catalog(catalog) => {
                if let Some(known) = self.catalogs.resources.get_mut(server)
                    && known.waits_for(generation)
                {
                    *known = Known::Here(catalog);
                    self.refresh_completion();
                }
            }
            ServerReply::Prompt(prompt) => {
                let here = self.composer.fetching == Some(generation);
                let Some(composer) = self.composers().find(|one| one.fetching == Some(generation)) else { return };
                composer.fetching = None;
                composer.take_prompt(server.as_str(), &prompt);
                for note in &prompt.notes {
                    self.say(format!("{}: {note}", server.as_str()), out);
                }
                if here {
                    self.say("the prompt is in your message: look it over, {composer.send} sends it", out);
                    self.text_changed(out);
                }
            }
            ServerReply::Read(bodies) => self.read(generation, bodies, out),
            ServerReply::Watch { uri, standing } => self.watch_stands(server, &uri, standing, out),
            ServerReply::Unwatched => {}
            ServerReply::Completions(completions) => {
                if let Some(Overlay::Fill(fill)) = self.overlays.last_mut() {
                    fill.completed(generation, completions);
                }
            }
        }
    }

    fn not_replied(&mut self, generation: u64, server: &ServerName, fault: &Fault, out: &mut Vec<Effect>) {
        // What cannot be listed is an empty list; it is asked for again after the server announced a change.
        if let Some(known) = self.catalogs.prompts.get_mut(server)
            && known.waits_for(generation)
        {
            *known = Known::Here(Vec::new());
        }
        if let Some(known) = self.catalogs.resources.get_mut(server)
            && known.waits_for(generation)
        {
            *known = Known::Here(Catalog::default());
        }
        if let Some(label) = self.catalogs.reading.remove(&generation) {
            let waits = |one: &Attachment| one.label == label && one.part.is_none();
            if let Some(composer) = self.composers().find(|composer| composer.attachments.iter().any(waits)) {
                composer.attachments.retain(|one| !waits(one));
            }
            self.not_reattached(&label);
        }
        for composer in self.composers() {
            composer.fetching.take_if(|wanted| *wanted == generation);
        }
        let completing = match self.overlays.last_mut() {
            Some(Overlay::Fill(fill)) => fill.gave_up(generation),
            Some(_) | None => false,
        };
        if !completing {
            self.fault_notice(fault, out);
        }
    }

    /// What was read goes to the attachment that waits for it; what is neither text nor an image, into a file.
    fn read(&mut self, generation: u64, bodies: Vec<ResourceBody>, out: &mut Vec<Effect>) {
        let Some(label) = self.catalogs.reading.remove(&generation) else { return };
        let waits = |one: &Attachment| one.label == label && one.part.is_none();
        let Some((composer, at)) = self.composers().find_map(|composer| {
            let at = composer.attachments.iter().position(waits)?;
            Some((composer, at))
        }) else {
            return;
        };
        let path = composer.attachments.remove(at).path;
        for body in bodies {
            match body {
                ResourceBody::Part(part) => {
                    composer.attachments.push(Attachment {
                        label: label.clone(),
                        path: path.clone(),
                        part: Some(part),
                    });
                }
                ResourceBody::Bytes { uri, mime, bytes } => out.push(Effect::SaveBytes { uri, mime, bytes }),
            }
        }
    }

    /// Attaches a resource: `@server:uri` in the text, its contents when they were read.
    pub(super) fn attach_resource(&mut self, server: ServerName, uri: String, out: &mut Vec<Effect>) {
        let resource = Resource { server, uri };
        let (path, label) = (resource.path(), resource.label());
        if self.composer.attachments.iter().any(|attachment| attachment.label == label) {
            return;
        }
        let generation = self.session.fresh();
        self.catalogs.reading.insert(generation, label.clone());
        self.composer.attachments.push(Attachment { label, path, part: None });
        // It is watched from before it is read on: a change in between is told.
        self.fresh(&resource);
        self.watch_resources(out);
        let Resource { server, uri } = resource;
        out.push(Effect::Order(Order::Query { generation, server, query: ServerQuery::Read { uri } }));
    }

    /// `/server:prompt name=value …`: fetched at once where all is given, else its form opens.
    pub(super) fn slash_prompt(&mut self, word: &str, rest: &str, out: &mut Vec<Effect>) {
        let (server, name) = word.split_once(':').unwrap_or((word, ""));
        let server = ServerName::new(server);
        if self.servers.get(&server).is_none() {
            return self.say(format!("there is no server {}; {{app.servers}} lists them", server.as_str()), out);
        }
        let Some(prompt) = self.catalogs.prompt(&server, name).cloned() else {
            self.want(Wanted::Prompts, out);
            return self.say(format!("{} has no prompt {name}, or is still listing them", server.as_str()), out);
        };
        let given = match arguments(rest) {
            Ok(given) => given,
            Err(why) => return self.say(why, out),
        };
        if let Some(stray) = given.keys().find(|name| prompt.arguments.iter().all(|argument| argument.name != **name)) {
            let names: Vec<&str> = prompt.arguments.iter().map(|argument| argument.name.as_str()).collect();
            let takes = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            return self.say(format!("/{word} has no argument {stray}; it takes {takes}"), out);
        }
        // The command itself; what the prompt says takes its place.
        self.composer.reset();
        self.begin_prompt(server, &prompt, given, out);
    }

    /// A prompt was chosen from a list, by `server:prompt`: what is being written stays, and it is added there.
    pub(super) fn prompt_chosen(&mut self, word: &str, out: &mut Vec<Effect>) {
        let (server, name) = word.split_once(':').unwrap_or((word, ""));
        let server = ServerName::new(server);
        match self.catalogs.prompt(&server, name).cloned() {
            Some(prompt) => self.begin_prompt(server, &prompt, BTreeMap::new(), out),
            None => self.say(format!("{} has no prompt {name} any more", server.as_str()), out),
        }
    }

    fn begin_prompt(
        &mut self,
        server: ServerName,
        prompt: &PromptInfo,
        given: BTreeMap<String, String>,
        out: &mut Vec<Effect>,
    ) {
        let complete = prompt.arguments.iter().all(|a| !a.required || given.contains_key(&a.name));
        if complete && (!given.is_empty() || prompt.arguments.is_empty()) {
            return self.fetch_prompt(server, prompt.name.clone(), given, out);
        }
        self.overlays.push(Overlay::Fill(Box::new(Fill::prompt(server, prompt, &given))));
        self.complete_field(out);
    }

    fn fetch_prompt(
        &mut self,
        server: ServerName,
        name: String,
        arguments: BTreeMap<String, String>,
        out: &mut Vec<Effect>,
    ) {
        let generation = self.session.fresh();
        self.composer.fetching = Some(generation);
        out.push(Effect::Order(Order::Query { generation, server, query: ServerQuery::Prompt { name, arguments } }));
    }

    /// A form was filled in.
    pub(super) fn filled(&mut self, server: ServerName, what: Filled, out: &mut Vec<Effect>) {
        match what {
            Filled::Prompt { name, arguments } => self.fetch_prompt(server, name, arguments, out),
            Filled::Resource { uri } => {
                self.composer.area.insert_str(format!("@{}:{uri} ", server.as_str()));
                self.attach_resource(server, uri, out);
            }
        }
    }
}

/// `name=value name2="a value"`.
fn arguments(rest: &str) -> Result<BTreeMap<String, String>, String> {
    let mut out = BTreeMap::new();
    let mut rest = rest.trim_start();
    while !rest.is_empty() {
        let (name, tail) = rest.split_once('=').ok_or("arguments are written name=value")?;
        if name.chars().any(char::is_whitespace) {
            return Err("arguments are written name=value".into());
        }
        let (value, after) = match tail.strip_prefix('"') {
            Some(quoted) => {
                quoted.split_once('"').ok_or_else(|| format!("the value of {name} has no closing quote"))?
            }
            None => tail.split_once(char::is_whitespace).unwrap_or((tail, "")),
        };
        out.insert(name.to_owned(), value.to_owned());
        rest = after.trim_start();
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_names_and_values() {
        let read = |text| arguments(text).map(|map| map.into_iter().collect::<Vec<_>>());
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read("a=1 b=\"two words\""), Ok(vec![pair("a", "1"), pair("b", "two words")]));
        assert!(read("a").is_err() && read("a=\"x").is_err() && read("a b=1").is_err());
    }
}
