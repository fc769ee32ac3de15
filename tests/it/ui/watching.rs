//! Attached resources that changed: over the composer, in the draft, on the server screen.

use millrace::app::{Attached, Effect};
use millrace::chat::{Order, Part, ResourceBody, ServerName, ServerNews, ServerQuery, ServerReply};

use super::*;

const URI: &str = "file:///srv/notes/plan.md";

fn event(state: &mut State, event: Event) -> Vec<Effect> {
    let at = stamp(state.now.mono_us + SECOND);
    update(state, Stamped { at, body: event })
}

fn changed(state: &mut State, uri: &str) {
    let news = ServerNews::ResourceUpdated { uri: uri.into(), certain: true };
    event(state, Event::Engine(TurnEvent::News { server: ServerName::new("docs"), news }));
}

/// A draft that attaches it, as it was read.
fn attached(state: &mut State, uri: &str) {
    event(state, Event::Paste(format!("see @docs:{uri} ")));
    let part = Part::File { name: format!("docs:{uri}"), text: "one\ntwo\n".into() };
    state.composer.attachments.push(millrace::app::Attachment {
        label: format!("@docs:{uri}"),
        path: format!("docs:{uri}"),
        part: Some(part),
    });
    event(state, Event::FocusGained);
}

#[test]
fn what_changed_stands_in_the_empty_line_with_the_key_that_attaches_it_again() {
    let mut state = empty();
    state.size = Size { columns: 80, rows: 24 };
    servers(&mut state, &[("docs", ServerState::Ready, 7)]);
    attached(&mut state, URI);
    event(&mut state, Event::Key(Key::parse("enter").unwrap()));
    let sent: Vec<&Attached> = state.transcript.attached.iter().collect();
    assert_eq!(sent.len(), 1, "the message holds it");
    changed(&mut state, URI);
    assert_snapshot!("stale-120x36", frame(&state, 120, 36));
    assert_snapshot!("stale-80x24", frame(&state, 80, 24));
    assert_snapshot!("stale-40x20", frame(&state, 40, 20));
    let out = event(&mut state, Event::Key(Key::parse("alt+a").unwrap()));
    let read = |effect: &Effect| match effect {
        Effect::Order(Order::Query { generation, query: ServerQuery::Read { uri }, .. }) if uri == URI => {
            Some(*generation)
        }
        _ => None,
    };
    let generation = out.iter().find_map(read).unwrap();
    let part = Part::File { name: format!("docs:{URI}"), text: "three\n".into() };
    let result = Ok(ServerReply::Read(vec![ResourceBody::Part(part)]));
    event(&mut state, Event::Engine(TurnEvent::Replied { generation, server: ServerName::new("docs"), result }));
    assert_snapshot!("attached-again-80x24", frame(&state, 80, 24));
    // Changed once more while it stands in the draft: the footer says it.
    changed(&mut state, URI);
    assert_snapshot!("stale-draft-80x24", frame(&state, 80, 24));
}

#[test]
fn the_server_screen_tells_what_is_watched_and_what_is_not() {
    let mut state = empty();
    servers(&mut state, &[("docs", ServerState::Ready, 7)]);
    state.servers.rows[0].status.life.watched = 1;
    event(&mut state, Event::Key(Key::parse("ctrl+o").unwrap()));
    let shown = frame(&state, 80, 24);
    assert!(shown.contains("tells when 1 attached resource changes"), "{shown}");
    (state.servers.rows[0].status.life.watched, state.servers.rows[0].status.life.unwatched) = (2, 1);
    assert_snapshot!("watched-80x24", frame(&state, 80, 24));
    assert_snapshot!("watched-40x20", frame(&state, 40, 20));
}
