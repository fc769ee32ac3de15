//! The front end as a person drives it: keys in, state and effects out.

use std::sync::Arc;

use super::*;
use crate::chat::*;

mod branching;
mod browsing;
mod choosing;
mod compacting;
mod composing;
mod elsewhere;
mod following;
mod incognito;
mod inquiring;
mod models;
mod prompting;
mod reviewing;
mod roles;
mod running;
mod signing_in;
mod stopping;
mod streaming;
mod timing;
mod watching;

/// A session under test.
pub(super) struct Desk {
    pub state: State,
    pub effects: Vec<Effect>,
    now: Stamp,
}

pub(super) fn desk() -> Desk {
    let session = Session {
        connection: Some(Endpoint::new("http://localhost:8000/v1".into(), None)),
        settings: TurnSettings { model: "qwen3-32b".into(), ..TurnSettings::default() },
        ..Session::default()
    };
    let mut desk = Desk { state: State::new(session), effects: Vec::new(), now: Stamp::default() };
    desk.event(Event::Resize(Size { columns: 120, rows: 36 }));
    desk
}

impl Desk {
    /// One event, a second after the last.
    pub fn event(&mut self, event: Event) -> &mut Self {
        self.after(1_000, event)
    }

    pub fn after(&mut self, ms: u64, event: Event) -> &mut Self {
        self.now.mono_us += ms * 1000;
        self.now.wall_ms += ms as i64;
        self.effects.extend(update(&mut self.state, Stamped { at: self.now, body: event }));
        self
    }

    /// Types: `hello<enter>`, `<ctrl+c>`. Effects from before are forgotten.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        self.effects.clear();
        let mut rest = keys;
        while !rest.is_empty() {
            let (word, tail) = match rest.strip_prefix('<') {
                Some(inner) => inner.split_once('>').unwrap_or_else(|| panic!("{rest}: no >")),
                None => rest.split_at(rest.chars().next().map_or(0, char::len_utf8)),
            };
            let key = if word == " " { Key::parse("space") } else { Key::parse(word) };
            let key = key.unwrap_or_else(|| panic!("{word} is no key"));
            self.event(Event::Key(key));
            rest = tail;
        }
        self
    }

    pub fn engine(&mut self, event: TurnEvent) -> &mut Self {
        self.event(Event::Engine(event))
    }

    pub fn reply(&mut self, reply: Reply) -> &mut Self {
        self.event(Event::Reply(reply))
    }

    pub fn orders(&self) -> Vec<&Order> {
        self.effects
            .iter()
            .filter_map(|effect| match effect {
                Effect::Order(order) => Some(order),
                _ => None,
            })
            .collect()
    }

    /// The only order; fails where there is another number of them.
    pub fn order(&self) -> &Order {
        match self.orders().as_slice() {
            [order] => order,
            other => panic!("{other:?}"),
        }
    }

    pub fn hint(&self) -> &str {
        self.state.status.hint.as_deref().unwrap_or_default()
    }

    pub fn said(&self) -> &str {
        self.state.shown_notice().map_or("", |notice| notice.text.as_str())
    }

    pub fn text(&self) -> String {
        self.state.composer.text()
    }

    pub fn turn(&self) -> TurnId {
        self.state.transcript.turn.as_ref().unwrap_or_else(|| panic!("no turn")).id
    }

    /// Sends a message and lets the engine begin to answer it.
    pub fn ask(&mut self, text: &str) -> TurnId {
        self.keys(&format!("{text}<enter>"));
        let turn = self.turn();
        self.engine(TurnEvent::Started {
            turn,
            conversation: ConversationId::new("c1"),
            model: "qwen3-32b".into(),
            base_url: "http://localhost:8000/v1".into(),
            api: "chat",
        });
        self.engine(TurnEvent::Request {
            turn,
            round: 1,
            attempt: 1,
            tools: 2,
            tools_hash: String::new(),
            parts: ContextParts::default(),
            of: None,
        });
        turn
    }

    pub fn call(&mut self, id: &str, state: CallState) -> &mut Self {
        let turn = self.turn();
        let update = CallUpdate {
            call: CallId::new(id),
            round: 1,
            index: 0,
            wire_name: Some(Arc::from("fs__write_file")),
            tool: Some(ToolRef::new("fs", "write_file")),
            state,
        };
        self.engine(TurnEvent::Call { turn, update })
    }

    pub fn ended(&mut self, status: TurnStatus) -> &mut Self {
        let turn = self.turn();
        let conversation = ConversationId::new("c1");
        self.engine(TurnEvent::Ended { turn, status, text: String::new(), rounds: 1, calls: 0, conversation })
    }

    /// The view has drawn the review: all of it, or not to its end.
    pub fn review_drawn(&mut self, end_visible: bool) -> &mut Self {
        let Some(Overlay::Review(open)) = self.state.overlays.last() else { panic!("no review") };
        let review = ReviewLayout {
            call: open.call().clone(),
            revision: open.revision,
            lines: 40,
            page: 10,
            top: open.scroll,
            end_visible,
        };
        let layout = Layout { review: Some(review), ..self.state.layout.clone() };
        self.after(1, Event::Layout(layout))
    }
}

pub(super) fn review(id: &str, hash: &str) -> CallState {
    CallState::Waiting(WaitFor::Approval(Arc::new(Review {
        call: CallId::new(id),
        tool: ToolRef::new("fs", "write_file"),
        server_line: "stdio: npx fs".into(),
        trusted: false,
        claims: Claims::default(),
        description: String::new(),
        arguments: Arc::from(r#"{"path":"a","content":"b"}"#),
        hash: Arc::from(hash),
        because: None,
        why: AskReason::Policy,
        tainted_by: Vec::new(),
        earlier: None,
    })))
}
