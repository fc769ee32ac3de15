//! The layers over the chat, topmost last: each takes a key or passes it on.
//!
//! # Invariants
//! - One review, consent or confirmation takes keys at a time: the topmost.
//! - Enter, space, a repeated key, a paste and the mouse never approve.

mod ask;
mod browser;
mod consent;
mod detail;
mod difference;
mod fill;
mod form;
mod import;
mod inquiry;
mod models;
mod palette;
mod review;
mod roles;
mod sample;
mod servers;
mod settings;
mod sign_in;
mod text;
mod timeline;
mod toolbox;
mod usage;
mod welcome;

pub use ask::*;
pub use browser::*;
pub use consent::*;
pub use detail::*;
pub use difference::*;
pub use fill::*;
pub use form::*;
pub use import::*;
pub use inquiry::*;
pub use models::*;
pub use palette::*;
pub use review::*;
pub use roles::*;
pub use sample::*;
pub use servers::*;
pub use settings::*;
pub use sign_in::*;
pub use text::*;
pub use timeline::*;
pub use toolbox::*;
pub use usage::*;
pub use welcome::*;

use super::command::Command;
use super::effect::Effect;
use super::key::{Key, KeyCode};
use super::state::State;

#[derive(Clone, Debug)]
pub enum Overlay {
    Review(Box<ReviewBox>),
    Consent(Consent),
    Inquiry(Box<InquiryBox>),
    Fill(Box<Fill>),
    Confirm(Confirm),
    Ask(Ask),
    Browser(Box<Browser>),
    Prompts(Prompts),
    Models(Models),
    Roles(Roles),
    Servers(ServerList),
    SignIn(Box<SignInBox>),
    Tools(OfferedTools),
    Import(Import),
    Palette(Palette),
    Help(Help),
    Detail(Detail),
    Timeline(Timeline),
    Usage(UsageView),
    Settings(Box<Settings>),
    Welcome(Box<Welcome>),
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Taken.
    Stay,
    /// Taken, and the layer is done.
    Close,
    /// Not this layer's.
    Pass,
    /// Taken, and a command follows over this layer.
    Do(Command),
    /// The layer is done, and a command follows.
    CloseThen(Command),
}

/// The keys of a question are ignored this long after it opens and after each ignored key, microseconds.
pub(super) const DEAF_US: u64 = 350_000;

impl Overlay {
    /// A decision, over which nothing else may open.
    #[must_use]
    pub fn is_modal(&self) -> bool {
        match self {
            Self::Review(_) | Self::Consent(_) | Self::Inquiry(_) | Self::Confirm(_) => true,
            Self::Ask(_)
            | Self::Fill(_)
            | Self::Browser(_)
            | Self::Prompts(_)
            | Self::Models(_)
            | Self::Roles(_)
            | Self::Servers(_)
            | Self::SignIn(_)
            | Self::Tools(_)
            | Self::Import(_)
            | Self::Palette(_)
            | Self::Help(_)
            | Self::Detail(_)
            | Self::Timeline(_)
            | Self::Usage(_)
            | Self::Settings(_)
            | Self::Welcome(_) => false,
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        match self {
            Self::Review(layer) => layer.key(key, state, out),
            Self::Consent(layer) => layer.key(key, state, out),
            Self::Inquiry(layer) => layer.key(key, state, out),
            Self::Fill(layer) => layer.key(key, state, out),
            Self::Confirm(layer) => layer.key(key, state, out),
            Self::Ask(layer) => layer.key(key, state, out),
            Self::Browser(layer) => layer.key(key, state, out),
            Self::Prompts(layer) => layer.key(key, state, out),
            Self::Models(layer) => layer.key(key, state, out),
            Self::Roles(layer) => layer.key(key, state, out),
            Self::Servers(layer) => layer.key(key, state, out),
            Self::SignIn(layer) => layer.key(key, state, out),
            Self::Tools(layer) => layer.key(key, state, out),
            Self::Import(layer) => layer.key(key, state, out),
            Self::Palette(layer) => layer.key(key, state, out),
            Self::Help(layer) => layer.key(key, state),
            Self::Detail(layer) => layer.key(key, state, out),
            Self::Timeline(layer) => layer.key(key, state, out),
            Self::Usage(layer) => layer.key(key, state, out),
            Self::Settings(layer) => layer.key(key, state, out),
            Self::Welcome(layer) => layer.key(key, state, out),
        }
    }

    /// Pasted text goes to the field with the caret, and decides nothing.
    pub(super) fn paste(&mut self, text: &str, state: &mut State, out: &mut Vec<Effect>) {
        match self {
            Self::Review(layer) => layer.paste(text),
            Self::Inquiry(layer) => layer.paste(text),
            Self::Fill(layer) => layer.paste(text),
            Self::Ask(layer) => layer.line.insert(text.trim()),
            Self::SignIn(layer) => layer.paste(text),
            Self::Browser(layer) => {
                layer.search.insert(text);
                layer.edited(state.session.fresh(), out);
            }
            Self::Prompts(layer) => {
                layer.search.insert(text);
                layer.edited(state.session.fresh(), out);
            }
            Self::Models(layer) => {
                layer.search.insert(text);
                layer.filter();
            }
            Self::Palette(layer) => {
                layer.search.insert(text);
                layer.filter();
            }
            Self::Roles(layer) => {
                layer.search.insert(text);
                layer.filter();
            }
            Self::Help(layer) => layer.search.insert(text),
            Self::Settings(layer) => layer.paste(text),
            Self::Tools(layer) => {
                layer.search.insert(text);
                layer.selected = 0;
            }
            Self::Consent(_)
            | Self::Confirm(_)
            | Self::Servers(_)
            | Self::Import(_)
            | Self::Detail(_)
            | Self::Timeline(_)
            | Self::Usage(_)
            | Self::Welcome(_) => {}
        }
    }

    pub(super) fn wheel(&mut self, by: isize, state: &mut State, out: &mut Vec<Effect>) {
        let list = state.layout.list;
        match self {
            Self::Review(layer) => layer.scroll_by(by, state.layout.review.as_ref()),
            Self::Help(layer) => layer.scroll = scrolled(layer.scroll, by, list),
            Self::Detail(layer) => layer.wheel(by, state),
            Self::Usage(layer) => {
                let at = layer.scroll.min(list.lines.saturating_sub(list.page));
                layer.scroll = scrolled(at, by, list);
            }
            Self::Browser(layer) => {
                layer.step(by.signum(), state.session.fresh(), out);
                layer.look(state.session.fresh(), out);
            }
            Self::Prompts(layer) => layer.selected = stepped(layer.selected, by.signum(), layer.rows.len()),
            Self::Models(layer) => layer.selected = stepped(layer.selected, by.signum(), layer.rows.len()),
            Self::Palette(layer) => layer.selected = stepped(layer.selected, by.signum(), layer.rows.len()),
            Self::Roles(layer) => layer.selected = stepped(layer.selected, by.signum(), layer.rows.len()),
            Self::Settings(layer) => layer.selected = stepped(layer.selected, by.signum(), layer.rows().count()),
            Self::Welcome(layer) => layer.selected = stepped(layer.selected, by.signum(), layer.rows.len()),
            Self::Servers(layer) => layer.step(by.signum(), &state.servers),
            Self::SignIn(layer) => layer.scroll = scrolled(layer.scroll, by, list),
            Self::Tools(layer) => layer.step(by.signum(), &state.toolbox),
            Self::Import(layer) => {
                layer.selected = stepped(layer.selected, by.signum(), layer.rows.as_ref().map_or(0, Vec::len));
            }
            Self::Timeline(layer) => layer.step(by.signum(), state),
            Self::Inquiry(layer) => layer.wheel(by, list, state.layout.sample.as_ref()),
            Self::Consent(_) | Self::Confirm(_) | Self::Ask(_) | Self::Fill(_) => {}
        }
    }

    /// A click chooses a row; true where it was chosen already.
    pub(super) fn choose(&mut self, row: usize, state: &mut State, out: &mut Vec<Effect>) -> bool {
        let selected = match self {
            Self::Browser(layer) => {
                let before = layer.selected;
                layer.selected = row.min(layer.rows.len().saturating_sub(1));
                layer.editing = false;
                layer.look(state.session.fresh(), out);
                return before == row;
            }
            Self::Prompts(layer) => &mut layer.selected,
            Self::Models(layer) => &mut layer.selected,
            Self::Palette(layer) => &mut layer.selected,
            Self::Roles(layer) => &mut layer.selected,
            Self::Settings(layer) => &mut layer.selected,
            Self::Welcome(layer) => &mut layer.selected,
            Self::Tools(layer) => &mut layer.selected,
            Self::Import(layer) => &mut layer.selected,
            Self::Timeline(layer) => return layer.choose(row, state),
            Self::Servers(layer) => {
                if let Some(row) = state.servers.rows.get(row) {
                    layer.selected = Some(row.status.server.clone());
                }
                return false;
            }
            Self::Inquiry(layer) => {
                layer.choose(row);
                return false;
            }
            Self::Fill(layer) => {
                layer.form.choose(row);
                return false;
            }
            Self::Review(_)
            | Self::Consent(_)
            | Self::Confirm(_)
            | Self::Ask(_)
            | Self::SignIn(_)
            | Self::Help(_)
            | Self::Detail(_)
            | Self::Usage(_) => return false,
        };
        std::mem::replace(selected, row) == row
    }
}

/// Where a motion goes in a list: arrows always, letters where they do not type.
fn motion(key: Key, letters: bool) -> Option<Motion> {
    Some(match key.code {
        KeyCode::Up => Motion::Step(-1),
        KeyCode::Down => Motion::Step(1),
        KeyCode::PageUp => Motion::Page(-1),
        KeyCode::PageDown => Motion::Page(1),
        KeyCode::Home if letters => Motion::Top,
        KeyCode::End if letters => Motion::End,
        KeyCode::Char(c) if letters && key.typed().is_some() => match c {
            'k' => Motion::Step(-1),
            'j' => Motion::Step(1),
            'g' => Motion::Top,
            'G' => Motion::End,
            _ => return None,
        },
        _ => return None,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Motion {
    Step(isize),
    Page(isize),
    Top,
    End,
}

impl Motion {
    /// From one row to another of `count`, `page` of them visible.
    fn row(self, from: usize, count: usize, page: usize) -> usize {
        let by = match self {
            Self::Step(by) => by,
            Self::Page(by) => by.saturating_mul(isize::try_from(page.max(2) - 1).unwrap_or(1)),
            Self::Top => isize::MIN,
            Self::End => isize::MAX,
        };
        stepped(from, by, count)
    }
}

fn stepped(from: usize, by: isize, count: usize) -> usize {
    from.saturating_add_signed(by).min(count.saturating_sub(1))
}

/// A scrolled text, never past its last page.
fn scrolled(from: usize, by: isize, list: super::layout::ListLayout) -> usize {
    from.saturating_add_signed(by).min(list.lines.saturating_sub(list.page))
}
