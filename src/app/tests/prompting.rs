//! What servers hold beside tools: prompts as slash commands, resources behind an `@`.

use super::*;
use std::collections::BTreeMap;

fn ready(desk: &mut Desk) {
    desk.engine(TurnEvent::Server(ServerStatus {
        state: ServerState::Ready,
        ..ServerStatus::starting(ServerName::new("docs"), "stdio", "docs")
    }));
}

/// The newest query and its generation.
fn query(desk: &Desk) -> (u64, ServerQuery) {
    let found = desk.orders().into_iter().rev().find_map(|order| match order {
        Order::Query { generation, query, .. } => Some((*generation, query.clone())),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nothing was asked: {:?}", desk.effects))
}

fn reply(desk: &mut Desk, generation: u64, reply: ServerReply) {
    desk.engine(TurnEvent::Replied { generation, server: ServerName::new("docs"), result: Ok(reply) });
}

fn argument(name: &str, required: bool) -> PromptArgument {
    PromptArgument { name: name.into(), required, ..PromptArgument::default() }
}

fn prompts(desk: &mut Desk) {
    ready(desk);
    desk.keys("/");
    let (generation, asked) = query(desk);
    assert_eq!(asked, ServerQuery::Prompts);
    let review = PromptInfo {
        name: "review".into(),
        arguments: vec![argument("path", true), argument("tone", false)],
        ..PromptInfo::default()
    };
    let plain = PromptInfo { name: "plain".into(), ..PromptInfo::default() };
    reply(desk, generation, ServerReply::Prompts(vec![review, plain]));
}

fn text(words: &str) -> PromptText {
    let message = PromptMessage { by_assistant: false, parts: vec![Part::text(words)] };
    PromptText { messages: vec![message], ..PromptText::default() }
}

#[test]
fn a_prompt_is_completed_fetched_and_put_into_the_message_and_not_sent() {
    let mut desk = desk();
    prompts(&mut desk);
    desk.keys("docs:pl");
    let open = desk.state.composer.completion.as_ref().unwrap();
    assert_eq!(open.rows[0].text, "docs:plain");
    desk.keys("<enter>");
    let (generation, asked) = query(&desk);
    assert_eq!(asked, ServerQuery::Prompt { name: "plain".into(), arguments: BTreeMap::new() });
    reply(&mut desk, generation, ServerReply::Prompt(text("Say hello.")));
    assert_eq!(desk.text(), "Say hello.");
    assert!(desk.state.transcript.turn.is_none());
    // Another answer to the same question is void.
    reply(&mut desk, generation, ServerReply::Prompt(text("Again.")));
    assert_eq!(desk.text(), "Say hello.");
}

#[test]
fn arguments_are_given_in_the_line_or_asked_for_in_a_form() {
    let mut desk = desk();
    prompts(&mut desk);
    desk.keys("docs:review path=src/a.rs tone=\"very kind\"<enter>");
    let arguments = [("path", "src/a.rs"), ("tone", "very kind")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(query(&desk).1, ServerQuery::Prompt { name: "review".into(), arguments: arguments.into() });
    desk.keys("/docs:review colour=red<enter>");
    assert_eq!(desk.said(), "/docs:review has no argument colour; it takes path, tone");
    desk.keys("<ctrl+c>/docs:review tone=dry<enter>");
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Fill(_))));
    let (generation, asked) = query(&desk);
    assert!(matches!(asked, ServerQuery::Complete { ref argument, .. } if argument == "path"), "{asked:?}");
    let values = vec!["src/a.rs".to_owned(), "src/b.rs".to_owned()];
    reply(&mut desk, generation, ServerReply::Completions(Completions { values, more: false }));
    desk.keys("<down><down><enter><ctrl+s>");
    let arguments = [("path", "src/b.rs"), ("tone", "dry")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(query(&desk).1, ServerQuery::Prompt { name: "review".into(), arguments: arguments.into() });
}

#[test]
fn an_argument_that_is_missing_is_completed_where_the_focus_went() {
    let mut desk = desk();
    prompts(&mut desk);
    desk.keys("docs:review tone=dry<enter><tab><tab><enter>");
    let Some(Overlay::Fill(fill)) = desk.state.overlays.last() else { panic!("the form is closed") };
    assert_eq!(fill.refused, Some("a field is not right yet"));
    // What was asked when the form opened is void by now: it is asked anew.
    let (generation, asked) = query(&desk);
    assert!(matches!(asked, ServerQuery::Complete { ref argument, .. } if argument == "path"), "{asked:?}");
    reply(
        &mut desk,
        generation,
        ServerReply::Completions(Completions { values: vec!["src/a.rs".into()], more: false }),
    );
    let Some(Overlay::Fill(fill)) = desk.state.overlays.last() else { panic!("the form is closed") };
    assert_eq!(fill.shown(), ["src/a.rs"]);
}

#[test]
fn several_messages_become_one_chip_and_images_are_attached() {
    let mut desk = desk();
    prompts(&mut desk);
    desk.keys("docs:plain<enter>");
    let image = Part::Image { name: "i".into(), mime: "image/png".into(), data: "AA==".into() };
    let mut prompt = text("One.");
    prompt.messages.push(PromptMessage { by_assistant: true, parts: vec![Part::text("Two."), image.clone()] });
    let generation = query(&desk).0;
    reply(&mut desk, generation, ServerReply::Prompt(prompt));
    assert!(desk.text().starts_with("[Pasted text"), "{}", desk.text());
    let parts = desk.state.composer.parts();
    assert!(
        matches!(&parts[0], Part::Text { text } if text.starts_with("User:\nOne.\n\nAssistant:\nTwo.")),
        "{parts:?}"
    );
    assert_eq!(parts[1], image);
}

#[test]
fn a_resource_is_found_beside_files_read_and_attached() {
    let mut desk = desk();
    ready(&mut desk);
    desk.keys("see @");
    let (generation, asked) = query(&desk);
    assert_eq!(asked, ServerQuery::Catalog);
    let resource = ResourceInfo { uri: "demo://a/1".into(), name: "one".into(), ..ResourceInfo::default() };
    let template = TemplateInfo { template: "demo://t/{id}".into(), name: "t".into(), ..TemplateInfo::default() };
    let catalog = Catalog { resources: vec![resource], templates: vec![template] };
    reply(&mut desk, generation, ServerReply::Catalog(catalog));
    desk.keys("demo://a<tab>");
    assert_eq!(desk.text(), "see @docs:demo://a/1 ");
    let (generation, asked) = query(&desk);
    assert_eq!(asked, ServerQuery::Read { uri: "demo://a/1".into() });
    assert!(desk.state.composer.reading());
    let part = Part::File { name: "docs:demo://a/1".into(), text: "body".into() };
    reply(&mut desk, generation, ServerReply::Read(vec![ResourceBody::Part(part.clone())]));
    assert_eq!(desk.state.composer.parts()[1], part);
    // A template asks for its variables first.
    desk.keys("@demo://t<tab>7<ctrl+s>");
    assert_eq!(query(&desk).1, ServerQuery::Read { uri: "demo://t/7".into() });
    assert_eq!(desk.text(), "see @docs:demo://a/1 @docs:demo://t/7 ");
}

#[test]
fn what_was_asked_for_in_a_conversation_comes_into_its_message() {
    let mut desk = desk();
    desk.ask("first");
    prompts(&mut desk);
    desk.keys("docs:plain<enter>");
    let fetched = query(&desk).0;
    desk.effects.clear();
    desk.state.attach_resource(ServerName::new("docs"), "demo://a".into(), &mut desk.effects);
    let read = query(&desk).0;
    desk.state.attach_resource(ServerName::new("docs"), "demo://gone".into(), &mut desk.effects);
    let failed = query(&desk).0;
    desk.keys("<ctrl+n>here");
    let part = Part::File { name: "docs:demo://a".into(), text: "body".into() };
    reply(&mut desk, fetched, ServerReply::Prompt(text("@docs:demo://a @docs:demo://gone")));
    reply(&mut desk, read, ServerReply::Read(vec![ResourceBody::Part(part.clone())]));
    let fault = Fault::new(FaultKind::Usage, "it is gone");
    desk.engine(TurnEvent::Replied { generation: failed, server: ServerName::new("docs"), result: Err(fault) });
    assert_eq!(desk.text(), "here");
    assert!(desk.state.composer.attachments.is_empty());
    desk.keys("<alt+r>");
    assert_eq!(desk.text(), "@docs:demo://a @docs:demo://gone");
    assert!(!desk.state.composer.reading(), "nothing is waited for any more");
    assert_eq!(desk.state.composer.parts()[1], part);
}

#[test]
fn a_list_is_asked_for_once_and_again_after_a_change() {
    let mut desk = desk();
    prompts(&mut desk);
    desk.keys("x<backspace>");
    let asked = |desk: &Desk| desk.orders().iter().filter(|o| matches!(o, Order::Query { .. })).count();
    assert_eq!(asked(&desk), 0);
    desk.engine(TurnEvent::News { server: ServerName::new("docs"), news: ServerNews::PromptsChanged });
    desk.keys("x");
    assert_eq!(asked(&desk), 1);
}

#[test]
fn a_list_from_before_a_change_is_not_the_one_that_is_kept() {
    let mut desk = desk();
    ready(&mut desk);
    let named = |name: &str| vec![PromptInfo { name: name.into(), ..PromptInfo::default() }];
    desk.keys("/");
    let before = query(&desk).0;
    desk.engine(TurnEvent::News { server: ServerName::new("docs"), news: ServerNews::PromptsChanged });
    desk.keys("d");
    let after = query(&desk).0;
    assert_ne!(before, after, "it is asked again");
    reply(&mut desk, before, ServerReply::Prompts(named("old")));
    reply(&mut desk, after, ServerReply::Prompts(named("new")));
    let (catalogs, docs) = (&desk.state.catalogs, ServerName::new("docs"));
    assert!(catalogs.prompt(&docs, "old").is_none() && catalogs.prompt(&docs, "new").is_some());
    // The same of resources.
    desk.keys("<ctrl+c>@");
    let before = query(&desk).0;
    desk.engine(TurnEvent::News { server: ServerName::new("docs"), news: ServerNews::ResourcesChanged });
    desk.keys("d");
    let after = query(&desk).0;
    assert_ne!(before, after, "it is asked again");
    let listed = |uri: &str| {
        let resource = ResourceInfo { uri: uri.into(), name: uri.into(), ..ResourceInfo::default() };
        ServerReply::Catalog(Catalog { resources: vec![resource], templates: Vec::new() })
    };
    reply(&mut desk, before, listed("demo://old"));
    reply(&mut desk, after, listed("demo://new"));
    let rows: Vec<String> = desk.state.catalogs.resource_rows().into_iter().map(|row| row.text).collect();
    assert_eq!(rows, ["docs:demo://new"]);
}
