//! Each format as its program writes it, and files that mean harm.

use std::fmt::Write as _;

use super::*;
use crate::chat::{Body, Message, Part};

fn fixture(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import").join(name);
    std::fs::read(path).expect("a fixture")
}

/// The objects of a file that comes in pieces of this size.
fn elements(file: &[u8], size: usize, most: u64) -> (Vec<Element>, Result<(), Broken>) {
    let (mut found, mut elements) = (Vec::new(), Elements::new(most));
    let pushed = file.chunks(size.max(1)).try_for_each(|chunk| elements.push(chunk, &mut found));
    (found, pushed.and_then(|()| elements.finish()))
}

fn all(file: &[u8]) -> Vec<Result<Imported, Unread>> {
    let (found, ended) = elements(file, 1000, 1 << 20);
    assert_eq!(ended, Ok(()));
    found
        .into_iter()
        .flat_map(|element| match element {
            Element::Whole(bytes) => read(&bytes),
            Element::TooLarge(size) => panic!("{size} bytes"),
        })
        .collect()
}

fn drawn(message: &Message, aside: bool) -> String {
    let mark = if aside { "|" } else { " " };
    let parent = message.parent.as_ref().map_or("-", |id| id.as_str());
    let mut out = format!("{mark} {} < {parent} at {}: ", message.id.as_str(), message.at);
    match &message.body {
        Body::User(parts) => {
            let said = parts.iter().map(|part| match part {
                Part::Text { text } => format!("{text:?}"),
                Part::File { name, text } => format!("file {name} {text:?}"),
                Part::Image { name, .. } => format!("image {name}"),
            });
            let _ = write!(out, "user {}", said.collect::<Vec<_>>().join(" + "));
        }
        Body::Assistant(answer) => {
            let _ = write!(out, "{} {:?} {:?}", answer.model, answer.state, answer.text);
            if !answer.reasoning.is_empty() {
                let _ = write!(out, " reasoning {:?}", answer.reasoning);
            }
            for call in &answer.calls {
                let _ = write!(out, " call {} {} {}", call.id.as_str(), call.wire_name, call.arguments);
            }
        }
        Body::Tool(tool) => {
            let _ = write!(out, "{} {} {:?}", tool.call.as_str(), tool.outcome.kind.word(), tool.outcome.content);
        }
    }
    out + "\n"
}

fn draw(read: &[Result<Imported, Unread>]) -> String {
    let mut out = String::new();
    for read in read {
        match read {
            Ok(imported) => {
                let shown = &imported.tree.shown;
                let row = &shown.summary;
                let _ = writeln!(
                    out,
                    "{:?} by {} {}..{} system {:?} {:?}",
                    row.title,
                    row.model,
                    row.created,
                    row.updated,
                    shown.system,
                    imported.origin.as_ref().map(|from| &from.id)
                );
                shown.messages.iter().for_each(|message| out += &drawn(message, false));
                imported.tree.aside.iter().for_each(|message| out += &drawn(message, true));
                if !imported.left.is_nothing() {
                    let _ = writeln!(out, "  left: {}", imported.left.words());
                }
            }
            Err(unread) => {
                let _ = writeln!(out, "{:?}: {}", unread.title, unread.error);
            }
        }
    }
    out
}

#[test]
fn chatgpt_with_branches_calls_thoughts_and_what_is_hidden() {
    insta::assert_snapshot!(draw(&all(&fixture("chatgpt/conversations.json"))));
}

#[test]
fn claude_with_branches_calls_and_attachments() {
    insta::assert_snapshot!(draw(&all(&fixture("claude/conversations.json"))));
}

#[test]
fn our_own_whole_with_its_branches() {
    let given = crate::export::tests::conversation("x");
    let mut other = Message::clone(&given.messages[1]);
    other.id = crate::chat::MessageId::new("b1");
    let tree = Tree { shown: given, aside: vec![std::sync::Arc::new(other)] };
    let printed = crate::export::tree_json(&tree).expect("printable");
    assert_eq!(crate::export::parse_tree(&printed).expect("readable"), tree);
    let lines =
        format!("{0}\n{0}\n", serde_json::to_string(&serde_json::from_str::<Value>(&printed).unwrap()).unwrap());
    let read = all(lines.as_bytes());
    assert_eq!(read.len(), 2);
    assert!(read.iter().all(|read| read.as_ref().is_ok_and(|read| read.tree == tree && read.origin.is_none())));
}

#[test]
fn a_broken_object_takes_nothing_from_its_neighbours() {
    let good = r#"{"uuid":"1","chat_messages":[{"sender":"human","text":"a } ] \" , {"}]}"#;
    let file =
        format!("\u{feff} [ {good}, {{\"chat_messages\":[}}] }}, 7, \"x\\\"]\", {{\"mapping\":1}}, [1,[2]], {good} ] ");
    for size in [1, 2, 3, 7, 4096] {
        let (found, ended) = elements(file.as_bytes(), size, 1 << 20);
        assert_eq!((found.len(), ended), (7, Ok(())), "{size}");
        let read: Vec<_> = found
            .iter()
            .map(|element| match element {
                Element::Whole(bytes) => read(bytes).iter().filter(|read| read.is_ok()).count(),
                Element::TooLarge(_) => 0,
            })
            .collect();
        assert_eq!(read, [1, 0, 0, 0, 0, 0, 1]);
    }
    let (found, ended) = elements(file.as_bytes(), 5, 40);
    assert_eq!(ended, Ok(()));
    assert!(matches!(found[0], Element::TooLarge(n) if n == good.len() as u64), "{found:?}");
    assert_eq!(elements(b"[{\"a\":1},{\"b\"", 3, 99), (vec![Element::Whole(b"{\"a\":1}".to_vec())], Err(Broken::Cut)));
    assert_eq!(elements(b"<html>", 3, 99).1, Err(Broken::NotJson));
    assert_eq!(elements(b"", 3, 99).1, Err(Broken::NotJson));
    assert_eq!(elements(b"[] []", 9, 99).1, Err(Broken::Strange));
}

#[test]
fn rings_orphans_and_long_chains_are_read_once_each() {
    let node = |n: usize, parent: usize| {
        format!(
            r#""n{n}":{{"parent":"n{parent}","children":[],"message":{{"author":{{"role":"user"}},"content":{{"content_type":"text","parts":["{n}"]}}}}}}"#
        )
    };
    let count = |nodes: Vec<String>| {
        let item = format!(r#"{{"mapping":{{{}}},"current_node":"n0"}}"#, nodes.join(","));
        let read = read(item.as_bytes());
        let tree = &read[0].as_ref().expect("a conversation").tree;
        tree.shown.messages.len() + tree.aside.len()
    };
    // Three in a ring, one behind it; one that is its own parent; one whose parent is not there.
    assert_eq!(count(vec![node(0, 2), node(1, 0), node(2, 1), node(3, 2), node(4, 4), node(5, 99)]), 6);
    assert_eq!(count((0..20_000).map(|n| node(n, (n + 1) % 20_000)).collect()), 20_000);
    assert_eq!(count((0..20_000).map(|n| node(n, n + 1)).collect()), 20_000);
}
