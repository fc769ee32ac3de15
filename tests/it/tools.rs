//! Real listings and results, recorded from the reference MCP servers, through the registry's public face.

use std::sync::Arc;

use millrace::chat::{Approve, ConversationId, Limits, OutcomeKind, ServerName};
use millrace::tools::{
    Listing, PolicyContext, Registry, RegistryChange, RegistryRules, RuleGlob, Verdict, decide, shape_result, taints,
};
use serde_json::{Value, json};

const EVERYTHING: &str = include_str!("../fixtures/mcp/everything-tools.json");
const FILES: &str = include_str!("../fixtures/mcp/filesystem-tools.json");

fn listing(server: &str, recorded: &Value) -> Listing {
    Listing {
        server: ServerName::new(server),
        entry: Arc::from(server),
        tools: recorded["tools"].as_array().cloned().unwrap_or_default(),
        instructions: recorded["instructions"].as_str().map(str::to_owned),
        from_cache: false,
    }
}

#[test]
fn real_listings_are_taken_whole() {
    let mut registry = Registry::new(RegistryRules::default(), Arc::new(Limits::default()));
    let mut count = 0;
    for (server, text) in [("everything", EVERYTHING), ("files", FILES)] {
        let recorded: Value = serde_json::from_str(text).unwrap();
        let changes = registry.apply(listing(server, &recorded));
        assert!(changes.iter().all(|change| matches!(change, RegistryChange::Added(_))), "{changes:?}");
        count += recorded["tools"].as_array().unwrap().len();
        assert!(!registry.settled(&ServerName::new(server)).is_empty());
        assert!(registry.apply(listing(server, &recorded)).is_empty());
    }
    let now = registry.snapshot();
    assert_eq!(now.tools().count(), count);
    for tool in now.tools() {
        let reference = &tool.reference;
        assert_eq!(*tool.wire_name, format!("{}__{}", reference.server.as_str(), reference.tool));
        assert!(!tool.description.is_empty());
        assert!(taints(tool), "nobody trusts it");
    }
    assert_eq!(now.instructions().count(), 1);
    let list = now.list().unwrap();
    let offered: Vec<Value> = serde_json::from_str(&list.json).unwrap();
    assert_eq!(offered.len(), count);
    assert!(!list.json.contains("$schema"));
    assert!(offered.iter().all(|tool| tool["function"]["parameters"]["properties"].is_object()));
}

#[test]
fn a_real_call_from_arguments_to_outcome() {
    let recorded: Value = serde_json::from_str(EVERYTHING).unwrap();
    let rules = RegistryRules { allow: vec![RuleGlob::parse("everything/echo").unwrap()], ..RegistryRules::default() };
    let limits = Arc::new(Limits::default());
    let mut registry = Registry::new(rules, Arc::clone(&limits));
    registry.apply(listing("everything", &recorded));
    let now = registry.snapshot();
    let conversation = ConversationId::new("c");
    let context = PolicyContext {
        now: &now,
        conversation: &conversation,
        approve: Approve::ReadOnly,
        headless: true,
        tainted_by: &[],
        repeat: false,
        unsaved: false,
    };
    let echo = now.get("everything__echo").unwrap();
    assert!(echo.validate(&json!({ "message": "hi" })).is_ok());
    let problems = echo.validate(&json!({ "massage": "hi" })).unwrap_err();
    assert_eq!(problems[0].message, "The property `\"message\"` is required.");
    assert!(matches!(decide(echo, &context), Verdict::Allow { .. }));
    let Verdict::Deny { message } = decide(now.get("everything__get-sum").unwrap(), &context) else {
        panic!("allowed")
    };
    assert_eq!(
        message,
        "denied everything/get-sum: nobody is here to ask. Allow it: --allow everything/get-sum, or believe everything \
         that it only reads: --trust everything"
    );

    let told = |name: &str| {
        let tool = now.get(&format!("everything__{name}")).unwrap();
        let outcome = shape_result(tool, &recorded["results"][name], &limits);
        assert!(outcome.notes.is_empty(), "{name}: {:?}", outcome.notes);
        outcome
    };
    assert_eq!(told("echo").content, "Echo: hi");
    assert_eq!(told("get-sum").kind, OutcomeKind::Failed);
    let structured = told("get-structured-content");
    assert_eq!(structured.content, r#"{"temperature":33,"conditions":"Cloudy","humidity":82}"#);
    assert!(structured.structured.is_some());
    let image = told("get-tiny-image").content;
    assert!(image.contains("[image: image/png, ") && image.ends_with("The image above is the MCP logo."), "{image}");
    let links = told("get-resource-links").content;
    assert!(links.contains("[link to demo://resource/dynamic/text/2, Text Resource 2, text/plain"), "{links}");
    let resource = told("get-resource-reference").content;
    assert!(resource.contains("[resource demo://resource/dynamic/text/1 (text/plain)]\nResource 1"), "{resource}");
    assert_eq!(told("get-annotated-message").content, "Error: Operation failed");
}
