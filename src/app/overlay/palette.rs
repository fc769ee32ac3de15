//! Everything that can be done, to choose from by a few letters: commands, servers and their prompts, models, settings,
//! saved conversations.
//!
//! # Invariants
//! - The group with the best match stands first, and enter takes that match; without letters the order is fixed.
//! - A key costs one pass over what was told once, at the opening; nothing is read or asked while a person types.
//! - Nothing that is being written is lost by a choice.

use super::{Flow, Overlay, ServerList, ServerStep, motion};
use crate::app::command::{Command, CommandInfo};
use crate::app::completion::{CompletionRow, scored, scored_words};
use crate::app::effect::Effect;
use crate::app::event::TitleRow;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::model::Then;
use crate::app::state::State;
use crate::chat::ServerName;
use crate::config::{SettingInfo, settings};

use super::{ModelRow, ModelSource};

/// Rows of one group while letters narrow it, and of the long groups while none do.
const MOST: usize = 40;

#[derive(Clone, Debug, Default)]
pub struct Palette {
    pub search: LineEdit,
    /// What matches, group after group.
    pub rows: Vec<PaletteRow>,
    /// The groups in their order: which, the place of its first row, and how many match in all.
    pub groups: Vec<(PaletteGroup, usize, usize)>,
    pub selected: usize,
    /// What is saved and listed is still being read.
    pub loading: bool,
    servers: Vec<ServerName>,
    prompts: Vec<CompletionRow>,
    sources: Vec<ModelSource>,
    models: Vec<ModelRow>,
    settings: Vec<SettingInfo>,
    conversations: Vec<TitleRow>,
    pub(crate) generation: u64,
}

/// In the order in which they stand where nothing tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaletteGroup {
    Commands,
    Servers,
    Prompts,
    Models,
    Settings,
    Conversations,
}

impl PaletteGroup {
    const ALL: [Self; 6] =
        [Self::Commands, Self::Servers, Self::Prompts, Self::Models, Self::Settings, Self::Conversations];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Commands => "COMMANDS",
            Self::Servers => "SERVERS",
            Self::Prompts => "PROMPTS OF SERVERS",
            Self::Models => "MODELS",
            Self::Settings => "SETTINGS",
            Self::Conversations => "CONVERSATIONS",
        }
    }
}

/// One thing to do; texts of others are raw.
#[derive(Clone, Debug, PartialEq)]
pub enum PaletteRow {
    Command(&'static CommandInfo),
    Server(ServerName, ServerDeed),
    /// `server:prompt`, and what it says of itself.
    Prompt {
        name: String,
        note: String,
    },
    Model(Box<ModelRow>),
    Setting {
        key: String,
        doc: &'static str,
    },
    Conversation(TitleRow),
}

/// What the palette does with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerDeed {
    Show,
    Log,
    Restart,
}

impl ServerDeed {
    const ALL: [Self; 3] = [Self::Show, Self::Log, Self::Restart];

    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Show => "in the list of servers",
            Self::Log => "its log",
            Self::Restart => "restart it",
        }
    }
}

impl Palette {
    pub(in crate::app) fn open(state: &mut State, out: &mut Vec<Effect>) -> Self {
        let generation = state.session.fresh();
        out.push(Effect::Known { generation });
        let mut palette = Self {
            loading: true,
            servers: state.servers.rows.iter().map(|row| row.status.server.clone()).collect(),
            prompts: state.catalogs.prompt_rows(),
            settings: settings(),
            generation,
            ..Self::default()
        };
        palette.filter();
        palette
    }

    /// What is saved, and the models as their lists are kept.
    pub(in crate::app) fn known(
        &mut self,
        generation: u64,
        conversations: Vec<TitleRow>,
        sources: Vec<ModelSource>,
        models: Vec<ModelRow>,
    ) {
        if generation != self.generation {
            return;
        }
        self.loading = false;
        (self.conversations, self.sources, self.models) = (conversations, sources, models);
        self.filter_again();
    }

    /// A server told its prompts.
    pub(in crate::app) fn prompts(&mut self, prompts: Vec<CompletionRow>) {
        self.prompts = prompts;
        self.filter_again();
    }

    /// More came to choose from: what is chosen stays so.
    fn filter_again(&mut self) {
        let chosen = self.rows.get(self.selected).cloned().filter(|_| self.selected > 0);
        self.filter();
        let place = chosen.and_then(|chosen| self.rows.iter().position(|row| *row == chosen));
        self.selected = place.unwrap_or(0);
    }

    pub(super) fn filter(&mut self) {
        let typed = self.search.text.trim().to_owned();
        let mut groups: Vec<(u32, PaletteGroup, usize, Vec<PaletteRow>)> = Vec::new();
        for group in PaletteGroup::ALL {
            let (best, count, rows) = self.matching(group, &typed);
            if count > 0 {
                groups.push((best, group, count, rows));
            }
        }
        if !typed.is_empty() {
            // Stable: of equal matches the order of the groups decides.
            groups.sort_by_key(|(best, ..)| std::cmp::Reverse(*best));
        }
        (self.rows, self.groups) = (Vec::new(), Vec::new());
        for (_, group, count, rows) in groups {
            self.groups.push((group, self.rows.len(), count));
            self.rows.extend(rows);
        }
        self.selected = 0;
    }

    /// The rows of a group, best first: how good the best is, and how many match.
    fn matching(&self, group: PaletteGroup, typed: &str) -> (u32, usize, Vec<PaletteRow>) {
        match group {
            PaletteGroup::Commands => commands(typed),
            PaletteGroup::Servers => {
                let deeds = self.servers.iter().flat_map(|server| {
                    ServerDeed::ALL.map(|deed| (format!("{} {}", server.as_str(), deed.word()), (server, deed)))
                });
                taken(scored(typed, deeds, |(text, _)| text), |(_, (server, deed))| {
                    PaletteRow::Server(server.clone(), deed)
                })
            }
            PaletteGroup::Prompts => taken(scored(typed, self.prompts.iter(), |row| &row.text), |row| {
                PaletteRow::Prompt { name: row.text.clone(), note: row.note.clone() }
            }),
            PaletteGroup::Models => {
                let named = self.models.iter().map(|row| (format!("{} {}", row.id, row.provider), row));
                let mut found = scored(typed, named, |(text, _)| text);
                if typed.is_empty() {
                    // Those that a person marked or asked last are the likely ones.
                    found.sort_by_key(|(_, (_, row))| (!row.favourite, std::cmp::Reverse(row.used)));
                }
                taken(found, |(_, row)| PaletteRow::Model(Box::new(row.clone())))
            }
            PaletteGroup::Settings => {
                let mut found = scored(typed, self.settings.iter(), |info| &info.key);
                // Words of the explanation come behind names.
                let said = scored_words(typed, self.settings.iter(), |info| info.doc);
                let new = |info: &SettingInfo| found.iter().all(|(_, one)| one.key != info.key);
                let said: Vec<_> = said.into_iter().filter(|(_, info)| new(info)).map(|(_, info)| (0, info)).collect();
                found.extend(said);
                taken(found, |info| PaletteRow::Setting { key: info.key.clone(), doc: info.doc })
            }
            PaletteGroup::Conversations => taken(scored(typed, self.conversations.iter(), |row| &row.title), |row| {
                PaletteRow::Conversation(row.clone())
            }),
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if key.code == KeyCode::Enter {
            return match self.rows.get(self.selected).cloned() {
                Some(row) => self.choose(row, state, out),
                None => Flow::Stay,
            };
        }
        if let Some(motion) = motion(key, false) {
            self.selected = motion.row(self.selected, self.rows.len(), state.layout.list.page);
            return Flow::Stay;
        }
        if self.search.key(key) {
            self.filter();
            return Flow::Stay;
        }
        Flow::Pass
    }

    fn choose(&self, row: PaletteRow, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        match row {
            PaletteRow::Command(info) => return Flow::CloseThen(info.command),
            PaletteRow::Server(server, ServerDeed::Restart) => state.restart_server(&server, out),
            PaletteRow::Server(server, deed) => {
                let mut list = ServerList { selected: Some(server), step: ServerStep::List, looked_us: 0 };
                if deed == ServerDeed::Log {
                    list.open_log(&state.servers);
                }
                state.overlays.push(Overlay::Servers(list));
                state.look_at_servers(out);
            }
            PaletteRow::Prompt { name, .. } => state.prompt_chosen(&name, out),
            PaletteRow::Model(row) => {
                let source = self.sources.iter().find(|source| source.name == row.provider);
                let said = format!("{} answers from your next message on", row.id);
                let here = source.is_none_or(|source| source.current);
                state.use_model(*row, source, Then::Nothing, out);
                if here {
                    state.say(said, out);
                }
            }
            PaletteRow::Setting { key, .. } => {
                state.open_settings(out);
                if let Some(Overlay::Settings(list)) = state.overlays.last_mut() {
                    list.go_to(&key);
                }
            }
            PaletteRow::Conversation(row) => state.open(row.conversation, out),
        }
        Flow::Close
    }
}

/// A name that fits says more than letters that stand somewhere in a sentence.
fn commands(typed: &str) -> (u32, usize, Vec<PaletteRow>) {
    let mut found = scored(typed, Command::listed(), |info| info.slash);
    let named: Vec<&str> = found.iter().map(|(_, info)| info.name).collect();
    let said = scored_words(typed, Command::listed(), |info| info.label);
    let said: Vec<_> = said.into_iter().filter(|(_, info)| !named.contains(&info.name)).collect();
    found.extend(said);
    let best = found.iter().map(|(score, _)| *score).max().unwrap_or(0);
    let rows: Vec<_> = found.into_iter().map(|(_, info)| PaletteRow::Command(info)).collect();
    (best, rows.len(), rows)
}

fn taken<T>(found: Vec<(u32, T)>, row: impl Fn(T) -> PaletteRow) -> (u32, usize, Vec<PaletteRow>) {
    let (best, count) = (found.iter().map(|(score, _)| *score).max().unwrap_or(0), found.len());
    (best, count, found.into_iter().take(MOST).map(|(_, item)| row(item)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::event::{Event, Reply};
    use crate::app::tests::{Desk, desk};
    use crate::chat::ConversationId;

    fn title(title: &str) -> TitleRow {
        TitleRow { conversation: ConversationId::new(title), title: title.to_owned(), updated: 0 }
    }

    fn opened(titles: &[&str]) -> Desk {
        let mut desk = desk();
        desk.keys("<ctrl+p>");
        let Some(Effect::Known { generation }) = desk.effects.last() else { panic!("{:?}", desk.effects) };
        let here = ModelSource { name: "local".into(), current: true, ..ModelSource::default() };
        let model = ModelRow { id: "llama-70b".into(), provider: "local".into(), ..ModelRow::default() };
        let titles = titles.iter().map(|text| title(text)).collect();
        let reply = Reply::Known { generation: *generation, titles, sources: vec![here], models: vec![model] };
        desk.reply(reply);
        desk
    }

    fn palette(desk: &Desk) -> &Palette {
        match desk.state.overlays.last() {
            Some(Overlay::Palette(open)) => open,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn without_letters_it_holds_all_in_a_fixed_order() {
        let desk = opened(&["one", "two"]);
        let open = palette(&desk);
        let groups: Vec<_> = open.groups.iter().map(|(group, ..)| *group).collect();
        use PaletteGroup as G;
        assert_eq!(groups, [G::Commands, G::Models, G::Settings, G::Conversations]);
        assert_eq!(open.groups[0].2, Command::listed().count());
        assert!(!open.loading);
    }

    #[test]
    fn the_best_match_is_first_whatever_it_is() {
        let mut desk = opened(&["the retry loop", "a holiday in Lerwick"]);
        desk.keys("lerwick<enter>");
        assert!(
            matches!(&desk.effects[..], [Effect::Open { conversation, .. }] if conversation.as_str() == "a holiday in Lerwick")
        );
        let mut desk = opened(&["the models of the year"]);
        desk.keys("models<enter>");
        assert!(matches!(desk.state.overlays.last(), Some(Overlay::Models(_))), "a command of that name goes first");
        let mut desk = opened(&[]);
        desk.keys("llama<enter>");
        assert_eq!(desk.state.session.settings.model, "llama-70b");
        let mut desk = opened(&[]);
        desk.keys("ui.theme<enter>");
        let Some(Overlay::Settings(list)) = desk.state.overlays.last() else { panic!("{:?}", desk.state.overlays) };
        assert_eq!(list.chosen().map(|info| info.key.as_str()), Some("ui.theme"));
    }

    #[test]
    fn what_comes_late_takes_no_choice_from_under_the_fingers() {
        let mut desk = desk();
        desk.keys("<ctrl+p>");
        let Some(Effect::Known { generation }) = desk.effects.last().cloned() else { panic!() };
        desk.keys("mouse<down>");
        let chosen = palette(&desk).rows[palette(&desk).selected].clone();
        let titles = vec![title("mouse")];
        desk.event(Event::Reply(Reply::Known { generation, titles, sources: Vec::new(), models: Vec::new() }));
        assert_eq!(palette(&desk).rows[palette(&desk).selected], chosen);
        let stale = Reply::Known { generation: 0, titles: Vec::new(), sources: Vec::new(), models: Vec::new() };
        desk.reply(stale);
        assert!(palette(&desk).groups.iter().any(|(group, ..)| *group == PaletteGroup::Conversations));
    }

    #[test]
    fn a_choice_keeps_what_is_being_written() {
        let mut desk = desk();
        desk.keys("a draft<ctrl+p>timeline<enter>");
        assert_eq!(desk.text(), "a draft");
    }
}
