//! Wire names: the contract's rule, and that no two tools ever share one by accident.

use proptest::prelude::*;
use serde_json::json;

use crate::chat::ToolRef;
use crate::tools::tests::{lines, listing, names, settled, tool, tool_with};
use crate::tools::{RegistryRules, wire_name};

fn name(server: &str, tool: &str) -> String {
    wire_name(&ToolRef::new(server, tool))
}

#[test]
fn clean_names_are_joined_and_all_others_carry_a_hash() {
    assert_eq!(name("fs", "read_file"), "fs__read_file");
    assert_eq!(name("my-fs", "Read-2"), "my-fs__Read-2");
    for odd in ["a.b", "a__b", "_a", "", "größe", "a b", "rm -rf /", "\u{1b}[31m", &"x".repeat(63)] {
        let hashed = name("fs", odd);
        let (_, hash) = hashed.rsplit_once('_').unwrap();
        assert_eq!(hash.len(), 10, "{hashed}");
        assert!(hash.bytes().all(|b| b.is_ascii_hexdigit()), "{hashed}");
        assert!(hashed.len() <= 64, "{hashed}");
    }
    assert_ne!(name("fs", "a.b"), name("fs", "a_b"));
    // The longest that still fits, and the first that does not.
    assert_eq!(name("fs", &"x".repeat(60)).len(), 64);
    assert_eq!(name("fs", &"x".repeat(60)), format!("fs__{}", "x".repeat(60)));
    assert!(name("fs", &"x".repeat(61)).starts_with(&format!("fs__{}_", "x".repeat(49))));
}

/// SHA-256 of `fs`, a zero byte, `a.b`, taken from `printf 'fs\0a.b' | sha256sum`.
#[test]
fn the_hash_is_that_of_the_original_pair() {
    assert_eq!(name("fs", "a.b"), "fs__a_b_748250f68f");
}

#[test]
fn two_tools_with_one_wire_name_are_both_set_aside_and_the_rest_stays() {
    let hashed = name("fs", "a.b");
    let (_, twin) = hashed.split_once("__").unwrap();
    let mut registry = settled(RegistryRules::default(), vec![]);
    let changes = registry.apply(listing("fs", vec![tool("a.b"), tool(twin), tool("c")]));
    assert_eq!(names(&registry.snapshot()), ["fs__c"]);
    let aside = lines(&changes).into_iter().filter(|line| line.starts_with("aside")).count();
    assert_eq!(aside, 2, "{changes:?}");
    assert!(registry.snapshot().absent(&hashed).is_some());
    // One of them gone, the other is offered.
    registry.apply(listing("fs", vec![tool("a.b"), tool_with("c", json!({}))]));
    assert_eq!(names(&registry.snapshot()), [hashed.as_str(), "fs__c"]);
}

proptest! {
    #[test]
    fn every_wire_name_is_one_that_providers_take(server in "[a-z0-9][a-z0-9-]{0,31}", tool in ".{0,140}") {
        let name = name(&server, &tool);
        prop_assert!(!name.is_empty() && name.len() <= 64);
        prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-'));
    }

    #[test]
    fn two_tools_have_two_names(
        a in ("[a-c](_?[a-c]){0,3}", "[a-c_.\u{e4} ]{1,6}"),
        b in ("[a-c](_?[a-c]){0,3}", "[a-c_.\u{e4} ]{1,6}"),
    ) {
        prop_assume!(a != b);
        prop_assert_ne!(name(&a.0, &a.1), name(&b.0, &b.1));
    }
}
