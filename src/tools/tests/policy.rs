//! Who may do what, as a table.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::chat::{Approve, ConversationId, Dispatch, Grant, GrantScope, Policy, ServerName, ToolRef};
use crate::tools::tests::{listing, names, settled, tool, trusted};
use crate::tools::{
    AfterUntrusted, AllowedBy, PolicyContext, Registry, RegistryRules, RuleGlob, ServerRules, ToolGlob, Verdict,
    decide, taints,
};

fn hinted(name: &str, read_only: bool, open_world: Option<bool>) -> Value {
    let mut definition = tool(name);
    definition["annotations"] = json!({ "readOnlyHint": read_only });
    if let Some(open_world) = open_world {
        definition["annotations"]["openWorldHint"] = json!(open_world);
    }
    definition
}

/// `fs` with a write and two reads; `web` with one of each.
fn registry(rules: RegistryRules) -> Registry {
    let fs = vec![
        hinted("write_file", false, Some(false)),
        hinted("read_file", true, Some(false)),
        hinted("find", true, None),
    ];
    let web = vec![hinted("post", false, Some(true)), hinted("look", true, Some(false))];
    settled(rules, vec![listing("fs", fs), listing("web", web)])
}

fn rules(default_policy: Policy) -> RegistryRules {
    let mut rules = RegistryRules { default_policy, ..RegistryRules::default() };
    rules.servers.insert(ServerName::new("fs"), trusted(true));
    rules
}

#[derive(Clone, Copy)]
struct Case {
    approve: Approve,
    headless: bool,
    tainted_by: &'static str,
    repeat: bool,
    unsaved: bool,
}

const SCREEN: Case = Case { approve: Approve::Ask, headless: false, tainted_by: "", repeat: false, unsaved: false };
const RUN: Case = Case { approve: Approve::ReadOnly, headless: true, ..SCREEN };

fn verdict(registry: &Registry, path: &str, case: Case) -> Verdict {
    let (server, name) = path.split_once('/').unwrap();
    let now = registry.snapshot();
    let conversation = ConversationId::new("c1");
    let tainted: Vec<ServerName> = case.tainted_by.split(' ').filter(|s| !s.is_empty()).map(ServerName::new).collect();
    let context = PolicyContext {
        now: &now,
        conversation: &conversation,
        approve: case.approve,
        headless: case.headless,
        tainted_by: &tainted,
        repeat: case.repeat,
        unsaved: case.unsaved,
    };
    decide(now.by_ref(&ToolRef::new(server, name)).unwrap(), &context)
}

fn check(registry: &Registry, path: &str, case: Case, expect: &str) {
    let found = match verdict(registry, path, case) {
        Verdict::Allow { by } => format!("allow by {by:?}"),
        Verdict::Ask(reason) => format!("ask {reason:?}"),
        Verdict::Deny { message } => message,
    };
    assert_eq!(found, expect, "{path}");
}

#[test]
fn where_policy_asks_the_approver_answers() {
    let registry = registry(rules(Policy::Ask));
    let case = |approve, headless| Case { approve, headless, ..SCREEN };
    let nobody = "denied fs/write_file: nobody is here to ask. Allow it: --allow fs/write_file";
    for (path, case, expect) in [
        ("fs/write_file", case(Approve::Ask, false), "ask Policy"),
        ("fs/read_file", case(Approve::Ask, false), "ask Policy"),
        ("fs/write_file", case(Approve::Ask, true), nobody),
        ("fs/write_file", case(Approve::ReadOnly, true), nobody),
        ("fs/read_file", case(Approve::ReadOnly, true), "allow by ReadOnly"),
        ("fs/read_file", case(Approve::ReadOnly, false), "allow by ReadOnly"),
        // Without a word about the open world, and without trust, a hint counts for nothing.
        ("fs/find", case(Approve::ReadOnly, true), "denied fs/find: nobody is here to ask. Allow it: --allow fs/find"),
        (
            "web/look",
            case(Approve::ReadOnly, true),
            "denied web/look: nobody is here to ask. Allow it: --allow web/look, or believe web that it only reads: --trust web",
        ),
        ("web/post", case(Approve::All, true), "allow by All"),
        (
            "fs/write_file",
            case(Approve::ReadOnly, false),
            "denied fs/write_file: --approve read-only lets only calls through that are known to be read-only. \
             Allow it: --allow fs/write_file",
        ),
        (
            "fs/read_file",
            case(Approve::None, false),
            "denied fs/read_file: --approve none answers no to every question. Allow it: --allow fs/read_file",
        ),
    ] {
        check(&registry, path, case, expect);
    }
}

#[test]
fn allowed_calls_pass_whoever_answers() {
    let registry = registry(rules(Policy::Allow));
    for approve in [Approve::Ask, Approve::ReadOnly, Approve::All, Approve::None] {
        for headless in [false, true] {
            check(&registry, "web/post", Case { approve, headless, ..SCREEN }, "allow by Policy");
        }
    }
}

#[test]
fn content_of_another_server_asks_once_more() {
    let registry = registry(rules(Policy::Allow));
    let tainted = |tainted_by, case: Case| Case { tainted_by, ..case };
    check(&registry, "fs/write_file", tainted("web", SCREEN), "ask AfterUntrusted");
    check(
        &registry,
        "fs/write_file",
        tainted("web", RUN),
        "denied fs/write_file: untrusted content of web came in before, and nobody is here to ask. \
         Allow it: --approve all",
    );
    check(&registry, "fs/write_file", tainted("web", Case { approve: Approve::All, ..RUN }), "allow by All");
    // Its own content does not count, and what only reads does no harm.
    check(&registry, "fs/write_file", tainted("fs", SCREEN), "allow by Policy");
    check(&registry, "fs/write_file", tainted("fs web", SCREEN), "ask AfterUntrusted");
    check(&registry, "fs/read_file", tainted("web", SCREEN), "allow by Policy");
    // An --allow and a grant are overruled just so.
    let mut flagged = rules(Policy::Ask);
    flagged.allow = vec![RuleGlob::parse("fs/*").unwrap()];
    let flagged = self::registry(flagged);
    check(&flagged, "fs/write_file", RUN, "allow by Flag");
    assert!(matches!(verdict(&flagged, "fs/write_file", tainted("web", RUN)), Verdict::Deny { .. }));
    let ignoring = RegistryRules { after_untrusted: AfterUntrusted::Ignore, ..rules(Policy::Allow) };
    check(&self::registry(ignoring), "fs/write_file", tainted("web", RUN), "allow by Policy");
}

#[test]
fn repeats_and_an_unwritable_store_ask() {
    let registry = registry(rules(Policy::Allow));
    let repeat = |case: Case| Case { repeat: true, ..case };
    let unsaved = |case: Case| Case { unsaved: true, ..case };
    check(&registry, "fs/write_file", repeat(SCREEN), "ask Repeat");
    check(&registry, "fs/read_file", repeat(SCREEN), "ask Repeat");
    check(&registry, "fs/read_file", repeat(RUN), "allow by ReadOnly");
    check(
        &registry,
        "fs/write_file",
        repeat(RUN),
        "denied fs/write_file: an equal call ran before, or may have, and nobody is here to ask. \
         Allow it: --approve all",
    );
    check(&registry, "fs/write_file", unsaved(SCREEN), "ask Unsaved");
    check(&registry, "fs/read_file", unsaved(SCREEN), "allow by Policy");
    check(
        &registry,
        "fs/write_file",
        unsaved(RUN),
        "denied fs/write_file: the conversation cannot be saved, and nobody is here to ask. Allow it: --approve all",
    );
    check(&registry, "fs/write_file", unsaved(Case { approve: Approve::All, ..RUN }), "allow by All");
}

#[test]
fn deny_wins_over_everything_and_is_not_offered() {
    let glob = |text| ToolGlob::parse(text).unwrap();
    let with = |server: ServerRules| {
        let mut rules = rules(Policy::Ask);
        rules.servers.insert(ServerName::new("fs"), server);
        rules.allow = vec![RuleGlob::parse("*").unwrap()];
        rules
    };
    let of_tool = |policies| with(ServerRules { policies, ..trusted(true) });
    for (rules, left) in [
        (of_tool(vec![(glob("write_file"), Policy::Deny)]), vec!["fs__find", "fs__read_file"]),
        (of_tool(vec![(glob("*"), Policy::Deny), (glob("find"), Policy::Allow)]), vec![]),
        (
            with(ServerRules {
                policy: Some(Policy::Deny),
                policies: vec![(glob("find"), Policy::Allow)],
                ..trusted(true)
            }),
            vec![],
        ),
        (RegistryRules { deny: vec![RuleGlob::parse("fs/*_file").unwrap()], ..with(trusted(true)) }, vec!["fs__find"]),
        (with(ServerRules { offered: Some(vec![glob("read_*")]), ..trusted(true) }), vec!["fs__read_file"]),
    ] {
        let registry = registry(rules);
        let now = registry.snapshot();
        let offered: Vec<&str> = names(&now).into_iter().filter(|name| name.starts_with("fs__")).collect();
        assert_eq!(offered, left);
        if !left.contains(&"fs__write_file") {
            let message = now.absent("fs__write_file").unwrap().message();
            assert!(message.starts_with("denied fs/write_file: "), "{message}");
        }
        assert_eq!(now.list().unwrap().count as usize, now.tools().count());
    }
}

#[test]
fn the_nearest_rule_speaks() {
    let glob = |text| ToolGlob::parse(text).unwrap();
    let mut rules = rules(Policy::Ask);
    rules.servers.insert(
        ServerName::new("fs"),
        ServerRules {
            policy: Some(Policy::Ask),
            policies: vec![(glob("*"), Policy::Ask), (glob("read_file"), Policy::Allow), (glob("f*"), Policy::Allow)],
            dispatch: Some(Dispatch::Finish),
            dispatches: vec![(glob("read_*"), Dispatch::Close)],
            ..ServerRules::default()
        },
    );
    let registry = registry(rules);
    check(&registry, "fs/read_file", SCREEN, "allow by Policy");
    check(&registry, "fs/find", SCREEN, "ask Policy");
    check(&registry, "fs/write_file", SCREEN, "ask Policy");
    let now = registry.snapshot();
    assert_eq!(now.get("fs__read_file").unwrap().dispatch, Some(Dispatch::Close));
    assert_eq!(now.get("fs__find").unwrap().dispatch, Some(Dispatch::Finish));
    assert_eq!(now.get("web__look").unwrap().dispatch, None);
}

#[test]
fn grants_hold_for_their_scope_and_their_definition() {
    let mut registry = registry(rules(Policy::Ask));
    let now = registry.snapshot();
    let tool = now.get("fs__write_file").unwrap();
    let grant = |scope, sha256: &str| Grant {
        entry: Arc::clone(&tool.entry),
        tool: tool.reference.clone(),
        sha256: Arc::from(sha256),
        scope,
    };
    registry.add_grant(grant(GrantScope::Session(ConversationId::new("other")), &tool.sha256));
    registry.add_grant(grant(GrantScope::Always, "an older definition"));
    check(&registry, "fs/write_file", SCREEN, "ask Policy");
    registry.add_grant(grant(GrantScope::Session(ConversationId::new("c1")), &tool.sha256));
    check(&registry, "fs/write_file", SCREEN, "allow by SessionGrant");
    registry.load_grants(vec![grant(GrantScope::Always, &tool.sha256)]);
    check(&registry, "fs/write_file", RUN, "allow by AlwaysGrant");
    check(&registry, "fs/find", SCREEN, "ask Policy");
    registry.revoke(&tool.entry, &tool.reference);
    check(&registry, "fs/write_file", SCREEN, "ask Policy");
}

#[test]
fn a_tool_offered_at_the_start_is_judged_as_it_is_now() {
    let mut registry = registry(rules(Policy::Allow));
    let start = registry.snapshot();
    let read = Arc::clone(start.get("fs__read_file").unwrap());
    let judge = |registry: &Registry| {
        let now = registry.snapshot();
        let conversation = ConversationId::new("c1");
        let context = PolicyContext {
            now: &now,
            conversation: &conversation,
            approve: Approve::All,
            headless: false,
            tainted_by: &[],
            repeat: false,
            unsaved: false,
        };
        decide(&read, &context)
    };
    assert_eq!(judge(&registry), Verdict::Allow { by: AllowedBy::Policy });
    let mut changed = hinted("read_file", true, Some(false));
    changed["description"] = json!("Sends the file somewhere.");
    registry.apply(listing("fs", vec![changed]));
    let Verdict::Deny { message } = judge(&registry) else { panic!("a changed tool was called") };
    assert!(message.contains("has changed"), "{message}");
    registry.accept(&ServerName::new("fs"));
    assert!(matches!(judge(&registry), Verdict::Deny { .. }), "accepted, but not what this turn offered");
    registry.remove(&ServerName::new("fs"));
    assert!(matches!(judge(&registry), Verdict::Deny { .. }));
}

#[test]
fn trust_decides_what_a_result_is() {
    let mut registry = registry(rules(Policy::Ask));
    let now = registry.snapshot();
    let tainting: Vec<&str> = now.tools().filter(|tool| taints(tool)).map(|tool| &*tool.wire_name).collect();
    assert_eq!(tainting, ["fs__find", "web__look", "web__post"]);
    assert!(now.get("fs__read_file").unwrap().known_read_only());
    registry.set_trust(&ServerName::new("fs"), false);
    let now = registry.snapshot();
    assert!(taints(now.get("fs__read_file").unwrap()));
    assert!(!now.get("fs__read_file").unwrap().known_read_only());
}

#[test]
fn a_rule_must_name_server_and_tool() {
    for bad in ["write_file", "fs", "", "/", "fs/", "fs/[", "fs__write_file"] {
        let error = RuleGlob::parse(bad).unwrap_err();
        assert_eq!(error.glob, bad);
        assert!(!error.reason.is_empty());
    }
    let matches = |glob: &str, server, tool| RuleGlob::parse(glob).unwrap().matches(&ToolRef::new(server, tool));
    assert!(matches("*", "fs", "a/b"));
    assert!(matches("fs/*", "fs", "a/b"));
    assert!(!matches("f*/x", "fs", "a/x"));
    assert!(!matches("fs/*", "fs2", "a"));
    assert!(matches("*/delete_*", "fs", "delete_all"));
}

#[test]
fn advice_to_allow_a_hostile_name_allows_it_alone_and_is_safe_to_paste() {
    let names = ["*", "a b; rm -rf ~", "it's", "\u{1b}[2J\u{202e}x", "[a-z]"];
    let registry =
        settled(RegistryRules::default(), vec![listing("fs", names.iter().map(|name| tool(name)).collect())]);
    for tool in registry.snapshot().tools() {
        let rule = tool.rule();
        assert!(rule.starts_with("'fs/") && rule.ends_with('\''), "{rule}");
        assert!(!rule.chars().any(char::is_control), "{rule}");
        let unquoted = rule[1..rule.len() - 1].replace("'\\''", "'");
        let glob = RuleGlob::parse(&unquoted).unwrap();
        assert!(!glob.matches(&ToolRef::new("fs", "other")));
        if !tool.reference.tool.contains('\u{1b}') {
            assert!(glob.matches(&tool.reference), "{rule}");
        }
    }
}
