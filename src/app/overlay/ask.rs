//! One line of text asked of a person: a title, a key, an address.

use super::{Connection, Flow};
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::{ConversationId, ServerName};

#[derive(Clone, Debug)]
pub struct Ask {
    pub what: AskFor,
    pub line: LineEdit,
    /// Why the last answer was not taken.
    pub refused: Option<String>,
    /// The answer is being tried.
    pub busy: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskFor {
    Title(ConversationId),
    /// A key for this address.
    Key {
        base_url: String,
    },
    Address,
    /// A system prompt for the turns to come.
    System,
    /// A server: its name, then its command or address.
    Server,
    /// A folder that a server may be told of.
    Root(ServerName),
}

impl Ask {
    pub(crate) fn new(what: AskFor, text: String) -> Self {
        let line = match what {
            AskFor::Key { .. } => LineEdit::masked(),
            AskFor::Title(_) | AskFor::Address | AskFor::System | AskFor::Server | AskFor::Root(_) => {
                LineEdit::with(text)
            }
        };
        Self { what, line, refused: None, busy: false }
    }

    pub(super) fn key(&mut self, key: Key, state: &mut State, out: &mut Vec<Effect>) -> Flow {
        if key.code == KeyCode::Enter {
            if self.busy {
                return Flow::Stay;
            }
            let text = self.line.text.trim().to_owned();
            return match &self.what {
                AskFor::Title(conversation) => {
                    out.push(Effect::Rename { conversation: conversation.clone(), title: text });
                    Flow::Close
                }
                AskFor::System => {
                    state.set_system(text, out);
                    Flow::Close
                }
                AskFor::Server if !text.contains(char::is_whitespace) => {
                    self.refuse("a name, then its command or address: files npx -y @scope/server .")
                }
                AskFor::Server => {
                    self.busy = true;
                    out.push(Effect::AddServer { text });
                    Flow::Stay
                }
                AskFor::Root(_) if text.is_empty() => self.refuse("a folder; . is the one that you started in"),
                AskFor::Root(server) => {
                    let server = server.clone();
                    self.busy = true;
                    out.push(Effect::FindRoot { server, text });
                    Flow::Stay
                }
                AskFor::Key { .. } if text.is_empty() => self.refuse("paste or type a key; esc goes back"),
                AskFor::Key { base_url } => {
                    let connection = Connection::Key { base_url: base_url.clone(), key: text };
                    self.try_it(connection, out)
                }
                AskFor::Address if !text.starts_with("http://") && !text.starts_with("https://") => {
                    self.refuse("an address begins with http:// or https://, as in http://localhost:8000/v1")
                }
                AskFor::Address => {
                    let base_url = text.trim_end_matches('/').to_owned();
                    self.try_it(Connection::Address { base_url }, out)
                }
            };
        }
        if self.line.key(key) {
            self.refused = None;
            return Flow::Stay;
        }
        Flow::Pass
    }

    fn refuse(&mut self, why: &str) -> Flow {
        self.refused = Some(why.to_owned());
        Flow::Stay
    }

    fn try_it(&mut self, connection: Connection, out: &mut Vec<Effect>) -> Flow {
        self.busy = true;
        out.push(Effect::Connect(connection));
        Flow::Stay
    }
}
