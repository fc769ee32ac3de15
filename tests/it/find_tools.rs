//! Too many tools: the model searches, what it found is offered behind what was, and switches are a person's.

use std::sync::Arc;

use millrace::chat::{
    Body, Change, FindTools, NoticeKind, OutcomeKind, Policy, ServerName, ToolChoice, ToolRef, Toolset, TurnEvent,
    TurnSettings,
};
use millrace::engine::port::ServerEvent;
use millrace::tools::{FindRules, Listing, RuleGlob, ServerRules};
use serde_json::{Value, json};

use crate::fakes::{Act, Rig, call, done, finish, text};

fn answer(words: &str) -> Vec<Act> {
    vec![text(words), finish("stop"), done()]
}

fn calls(of: &[(&str, &str, Value)]) -> Vec<Act> {
    let mut acts = Vec::new();
    for (place, (id, name, arguments)) in of.iter().enumerate() {
        acts.push(call(place as u64, id, name, &arguments.to_string()));
    }
    acts.extend([finish("tool_calls"), done()]);
    acts
}

fn find(id: &'static str, query: &str) -> (&'static str, &'static str, Value) {
    (id, "find_tools", json!({"query": query}))
}

/// A rig whose server `hub` lists 40 tools of some length and may do what it likes.
async fn rig(rounds: Vec<Vec<Act>>, find: FindRules) -> Rig {
    let rig = Rig::with(rounds, |config| {
        let rules = ServerRules { policy: Some(Policy::Allow), trust: true, ..ServerRules::default() };
        config.rules.servers.insert(ServerName::new("hub"), rules);
        config.rules.find = find;
        config.starting.push(ServerName::new("hub"));
    })
    .await;
    let tool = |name: String, does: &str| {
        json!({
            "name": name, "description": does,
            "inputSchema": {"type": "object", "properties": {"say": {"type": "string"}}},
            "annotations": {"readOnlyHint": true, "openWorldHint": false},
        })
    };
    let mut tools = vec![
        tool("create_issue".into(), "Opens a new issue in a repository."),
        tool("send_mail".into(), "Sends a message to somebody."),
        tool("get_weather".into(), "The weather of a city."),
    ];
    tools.extend((0..37).map(|n| tool(format!("filler_{n}"), "Counts pebbles.")));
    let listing =
        Listing { server: ServerName::new("hub"), entry: "hub".into(), tools, instructions: None, from_cache: false };
    rig.listings.send(ServerEvent::Listing(listing)).await.unwrap();
    rig
}

fn always() -> FindRules {
    FindRules { mode: FindTools::Always, ..FindRules::default() }
}

/// The names that a request offered, in order.
fn offered(rig: &Rig, request: usize) -> Vec<String> {
    let requests = rig.model.requests.lock().unwrap();
    let list: Value = serde_json::from_str(&requests[request].tools.as_ref().expect("no tools").json).unwrap();
    list.as_array().unwrap().iter().map(|tool| tool["function"]["name"].as_str().unwrap().to_owned()).collect()
}

fn outcome(rig: &Rig, id: &str) -> (OutcomeKind, String) {
    let requests = rig.model.requests.lock().unwrap();
    let found = requests.last().unwrap().messages.iter().find_map(|message| match &message.body {
        Body::Tool(tool) if tool.call.as_str() == id => Some((tool.outcome.kind, tool.outcome.content.clone())),
        _ => None,
    });
    found.expect("no outcome")
}

fn notices(rig: &Rig) -> Vec<String> {
    rig.seen
        .iter()
        .filter_map(|event| match &event.body {
            TurnEvent::Notice { kind: NoticeKind::Info, message, .. } if message.starts_with("find_tools") => {
                Some(message.clone())
            }
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn what_was_found_is_offered_behind_what_was_and_the_order_never_changes() {
    let rounds = vec![
        calls(&[find("f1", "weather of a city"), find("f2", "send a mail")]),
        calls(&[("c1", "hub__get_weather", json!({"say": "sun"})), find("f3", "issue")]),
        answer("one"),
        answer("two"),
    ];
    let mut rig = rig(rounds, always()).await;
    rig.submit("go");
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { unreachable!() };
    assert_eq!(offered(&rig, 0), ["find_tools"]);
    assert_eq!(offered(&rig, 1), ["find_tools", "hub__get_weather", "hub__send_mail"]);
    let last = ["find_tools", "hub__get_weather", "hub__send_mail", "hub__create_issue"];
    assert_eq!(offered(&rig, 2), last);
    assert_eq!(outcome(&rig, "c1"), (OutcomeKind::Done, "sun".into()));
    let (kind, told) = outcome(&rig, "f1");
    assert_eq!(kind, OutcomeKind::Done);
    let definition: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(definition["name"], "hub__get_weather");
    assert!(definition["parameters"]["properties"]["say"].is_object(), "{told}");
    // The bytes of the list before are the beginning of the list after.
    {
        let requests = rig.model.requests.lock().unwrap();
        let json = |n: usize| requests[n].tools.as_ref().unwrap().json.clone();
        assert!(json(1).starts_with(json(0).strip_suffix(']').unwrap()));
        assert!(json(2).starts_with(json(1).strip_suffix(']').unwrap()));
    }
    rig.submit_with("again", Some(conversation), TurnSettings::default());
    rig.ended().await;
    assert_eq!(offered(&rig, 3), last, "the next turn goes on with the same");
    let of = rig.seen.iter().find_map(|event| match &event.body {
        TurnEvent::Request { round: 2, tools, of, .. } => Some((*tools, *of)),
        _ => None,
    });
    assert_eq!(of, Some((3, Some(50))));
    let told = notices(&rig);
    assert_eq!(told.len(), 1, "said once: {told:?}");
    assert!(told[0].starts_with("find_tools: 0 of 50 tools offered."), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_is_not_offered_yet_is_called_by_its_pinned_definition() {
    let rounds = vec![
        calls(&[
            find("f1", "mail"),
            ("c1", "hub__send_mail", json!({"say": "hello"})),
            ("c2", "hub__send_mail", json!({"say": 7})),
            ("c3", "hub__no_such", json!({})),
        ]),
        answer("ok"),
    ];
    let mut rig = rig(rounds, always()).await;
    rig.submit("go");
    rig.ended().await;
    assert_eq!(outcome(&rig, "c1"), (OutcomeKind::Done, "hello".into()));
    assert_eq!(outcome(&rig, "c2").0, OutcomeKind::Invalid, "its own schema judges");
    assert_eq!(outcome(&rig, "c3").0, OutcomeKind::Invalid);
    assert_eq!(rig.states("f1"), ["arguments", "closed", "running", "done"]);
    assert_eq!(rig.servers.sent.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn few_tools_are_offered_as_ever_and_many_only_where_they_fit() {
    let window = |tokens| TurnSettings { context_window: Some(tokens), ..TurnSettings::default() };
    let mut rig = rig(vec![answer("1"), answer("2"), answer("3")], FindRules::default()).await;
    rig.submit_with("fits", None, window(200_000));
    rig.ended().await;
    assert_eq!(offered(&rig, 0).len(), 50);
    rig.submit_with("does not", None, window(8_000));
    rig.ended().await;
    assert_eq!(offered(&rig, 1), ["find_tools"]);
    let mut toolset = Toolset::default();
    toolset.find = Some(FindTools::Never);
    rig.submit_with("off by a person", None, TurnSettings { toolset: Some(toolset), ..window(8_000) });
    rig.ended().await;
    assert_eq!(offered(&rig, 2).len(), 50);
    let mut few = Rig::new(vec![answer("1")]).await;
    few.submit_with("few", None, window(100));
    few.ended().await;
    assert_eq!(offered(&few, 0).len(), 10, "ten tools are never searched");
}

#[tokio::test(start_paused = true)]
async fn switches_are_a_persons_hold_for_the_conversation_and_are_kept() {
    let echo = || calls(&[("c1", "a__echo", json!({"say": "x"}))]);
    let mut rig = Rig::new(vec![echo(), answer("1"), answer("2"), answer("3")]).await;
    let mut toolset = Toolset::default();
    toolset.set_server(&ServerName::new("b"), false);
    toolset.set_tool(&ToolRef::new("a", "echo"), false);
    let given = TurnSettings { toolset: Some(toolset.clone()), ..TurnSettings::default() };
    rig.submit_with("go", None, given);
    let TurnEvent::Ended { conversation, .. } = rig.ended().await else { unreachable!() };
    assert_eq!(offered(&rig, 0), ["a__die", "a__fail", "a__hold", "a__read"]);
    let (kind, told) = outcome(&rig, "c1");
    assert_eq!(kind, OutcomeKind::Denied);
    assert_eq!(told, "denied a/echo: the user has switched it off for this conversation");
    let kept: Vec<Toolset> = rig
        .changes()
        .into_iter()
        .filter_map(|change| match change {
            Change::Toolset { toolset, .. } => Some(toolset),
            _ => None,
        })
        .collect();
    assert_eq!(kept, [toolset]);
    rig.submit_with("go on", Some(conversation.clone()), TurnSettings::default());
    rig.ended().await;
    assert_eq!(offered(&rig, 2).len(), 4, "as it was kept");
    rig.handle
        .order(millrace::chat::Order::Toolset { conversation: conversation.clone(), toolset: Toolset::default() });
    rig.submit_with("all again", Some(conversation), TurnSettings::default());
    rig.ended().await;
    assert_eq!(offered(&rig, 3).len(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_profile_offers_what_it_names_and_a_person_may_switch_on_more() {
    let mut rig = Rig::with(vec![answer("1"), answer("2")], |config| {
        let globs = ["a/*", "b/read"].map(|glob| RuleGlob::parse(glob).unwrap());
        config.rules.profile = Some(Arc::from(globs));
    })
    .await;
    rig.submit("go");
    rig.ended().await;
    assert_eq!(offered(&rig, 0), ["a__die", "a__echo", "a__fail", "a__hold", "a__read", "b__read"]);
    let mut toolset = Toolset::default();
    toolset.set_tool(&ToolRef::new("b", "echo"), true);
    rig.submit_with("more", None, TurnSettings { toolset: Some(toolset), ..TurnSettings::default() });
    rig.ended().await;
    assert!(offered(&rig, 1).contains(&"b__echo".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_tool_that_must_be_called_is_offered_at_once_and_a_rule_forbids_the_search() {
    let mut rig1 = rig(vec![answer("1")], always()).await;
    let named = TurnSettings { tool_choice: ToolChoice::Named("hub/send_mail".into()), ..TurnSettings::default() };
    rig1.submit_with("go", None, named);
    rig1.ended().await;
    assert_eq!(offered(&rig1, 0), ["find_tools", "hub__send_mail"]);
    let mut rig2 = Rig::with(vec![answer("1")], |config| {
        config.rules.find = always();
        config.rules.deny.push(RuleGlob::parse("millrace/find_tools").unwrap());
    })
    .await;
    rig2.submit("go");
    rig2.ended().await;
    assert_eq!(offered(&rig2, 0).len(), 10);
}
