//! The whole state of the front end, composed of parts that own their fields.

use super::calls::Calls;
use super::catalogs::Catalogs;
use super::composer::Composer;
use super::elsewhere::Elsewhere;
use super::inquiries::Asked;
use super::key::Key;
use super::keymap::Keymap;
use super::layout::{Layout, Size};
use super::overlay::{Overlay, Reviewed};
use super::panel::Panel;
use super::status::{Servers, Session, Status};
use super::toolbox::Toolbox;
use super::transcript::Transcript;
use super::usage::UsageLog;
use crate::chat::{MessageId, Stamp, Summary};

#[derive(Clone, Debug)]
pub struct State {
    pub size: Size,
    /// The stamp of the last event: what the screen counts time from.
    pub now: Stamp,
    pub focus: Focus,
    pub session: Session,
    pub transcript: Transcript,
    pub calls: Calls,
    pub panel: Panel,
    pub composer: Composer,
    /// Topmost last.
    pub overlays: Vec<Overlay>,
    pub servers: Servers,
    /// What servers hold beside tools.
    pub catalogs: Catalogs,
    /// What a server asks and nobody has answered yet.
    pub inquiry: Option<Asked>,
    /// Conversations that go on while another is on the screen, as they were left.
    pub elsewhere: Vec<Elsewhere>,
    pub toolbox: Toolbox,
    pub reviewed: Reviewed,
    pub status: Status,
    pub usage: UsageLog,
    /// The newest conversation of this folder, offered by the empty chat.
    pub newest: Option<Summary>,
    pub keymap: Keymap,
    pub layout: Layout,
    /// The first of two keys was pressed.
    pub prefix: Option<Key>,
    pub(super) open_generation: u64,
    /// The message where it is to be shown.
    pub(super) opens_at: Option<MessageId>,
    /// What is on the screen is followed in another process, under this number.
    pub(super) following: Option<u64>,
    /// Of the timer of a form's field.
    pub(super) fill_generation: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Focus {
    #[default]
    Composer,
    Transcript,
    Panel,
}

impl State {
    #[must_use]
    pub fn new(mut session: Session) -> Self {
        if session.casting.system.is_none() {
            session.casting.system.clone_from(&session.settings.system);
        }
        Self {
            size: Size::default(),
            now: Stamp::default(),
            focus: Focus::default(),
            session,
            transcript: Transcript::default(),
            calls: Calls::default(),
            panel: Panel::default(),
            composer: Composer::default(),
            overlays: Vec::new(),
            servers: Servers::default(),
            catalogs: Catalogs::default(),
            inquiry: None,
            elsewhere: Vec::new(),
            toolbox: Toolbox::default(),
            reviewed: Reviewed::default(),
            fill_generation: 0,
            status: Status::default(),
            usage: UsageLog::default(),
            newest: None,
            keymap: Keymap::default(),
            layout: Layout::default(),
            prefix: None,
            open_generation: 0,
            opens_at: None,
            following: None,
        }
    }
}
