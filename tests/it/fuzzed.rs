//! The fuzz targets' entries on bytes of every kind, for a bounded time, and on what the fuzzers have found.
#![allow(clippy::unwrap_used, reason = "a missing fixture fails its test")]

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::entries;

/// The files of a folder below the fixtures, in order.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A feature of a dependency can change how JSON is read: what is fuzzed must be what runs.
#[test]
fn the_fuzz_package_depends_as_millrace_does() {
    let manifest = |path| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        std::fs::read_to_string(path).unwrap().parse::<toml_edit::DocumentMut>().unwrap()
    };
    let (ours, fuzz) = (manifest("Cargo.toml"), manifest("fuzz/Cargo.toml"));
    let fuzz = fuzz["dependencies"].as_table().unwrap();
    assert!(fuzz.contains_key("serde_json"));
    for (name, wanted) in fuzz.iter().filter(|(name, _)| *name != "libfuzzer-sys") {
        let ours = ours["dependencies"].get(name).map(ToString::to_string);
        assert_eq!(ours.as_deref().map(str::trim), Some(wanted.to_string().trim()), "{name}");
    }
}

#[test]
fn findings_stay_mended() {
    let mut seen = 0;
    for path in files("fuzz") {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let data = std::fs::read(&path).unwrap();
        match name.split('-').next().unwrap() {
            "stream" => entries::stream(&data),
            "deltas" => entries::deltas(&data),
            "request" => entries::request(&data),
            "import" => entries::import(&data),
            _ => panic!("{name} names no entry"),
        }
        seen += 1;
    }
    assert!(seen > 0);
}

#[test]
fn every_transcript_holds_what_the_targets_assert() {
    for folder in ["sse", "own"] {
        for path in files(folder).iter().filter(|path| path.extension().is_some_and(|e| e == "sse")) {
            let body = std::fs::read(path).unwrap();
            for head in [[0, 0, 0, 1, 2, 3], [1, 1, 200, 3, 90, 7]] {
                entries::stream(&[&head[..], &body].concat());
            }
        }
    }
}

/// Pieces of streams, so that random bytes get past the first brace.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let marks = [
        &b"data: "[..],
        b"\n\n",
        b"\r\n",
        b"{\"choices\":[{\"delta\":{",
        b"\"content\":\"a\"",
        b"\"tool_calls\":[{\"index\":0,\"function\":{",
        b"\"name\":\"read\",\"arguments\":\"{\\\"a\\\":1}\"",
        b"}}]}}]}",
        b"}}]}",
        b"[DONE]",
        b":",
        b"event: x\n",
        b"error:",
        b"{\"type\":\"response.output_text.delta\",\"delta\":\"x\"}",
        b"\"finish_reason\":\"stop\"",
        b"null",
        b"\xef\xbb\xbf",
        b"\xff",
    ];
    let mark = prop_oneof![
        3 => prop::sample::select(marks.map(<[u8]>::to_vec).to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..6),
    ];
    (prop::collection::vec(any::<u8>(), 6), prop::collection::vec(mark, 0..40))
        .prop_map(|(head, marks)| [head, marks.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn any_body_is_read_alike_in_pieces_and_ends_each_call_once(data in pieces()) {
        entries::stream(&data);
    }

    #[test]
    fn any_deltas_end_each_call_once(data in prop::collection::vec(any::<u8>(), 0..400)) {
        entries::deltas(&data);
    }
}

/// Pieces of data exports, so that random bytes get into conversations.
fn exports() -> impl Strategy<Value = Vec<u8>> {
    let marks = [
        "[",
        "]",
        "{",
        "}",
        ",",
        "\n",
        "{\"mapping\":{",
        "\"a\":{\"parent\":null,\"children\":[\"b\",\"c\"],\"message\":",
        "\"b\":{\"parent\":\"a\",\"children\":[],\"message\":",
        "\"c\":{\"parent\":\"b\",\"message\":",
        "\"d\":{\"parent\":\"d\",\"message\":",
        "{\"author\":{\"role\":\"user\"},\"content\":{\"parts\":[\"x\"]}}},",
        "{\"author\":{\"role\":\"assistant\"},\"recipient\":\"python\",\"content\":{\"text\":\"1\"}}},",
        "{\"author\":{\"role\":\"tool\",\"name\":\"p q\"},\"content\":{\"text\":\"1\"}}},",
        "{\"author\":{\"role\":\"assistant\"},\"content\":{\"content_type\":\"thoughts\",\"thoughts\":[{\"content\":\"t\"}]}}},",
        "{\"author\":{\"role\":\"assistant\"},\"content\":{\"parts\":[\"y\\ue200z\",7]}}},",
        "\"e\":0},\"current_node\":\"b\",\"id\":\"i\"}",
        "{\"uuid\":\"u\",\"chat_messages\":[",
        "{\"uuid\":\"1\",\"sender\":\"human\",\"text\":\"x\",\"parent_message_uuid\":\"2\"},",
        "{\"uuid\":\"2\",\"sender\":\"assistant\",\"parent_message_uuid\":\"1\",\"content\":[",
        "{\"type\":\"text\",\"text\":\"y\"},",
        "{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"n\",\"input\":[1]},",
        "{\"type\":\"tool_result\",\"tool_use_id\":\"t\",\"content\":[{\"text\":\"r\"}]},",
        "{}]},",
        "{}]}",
        "{\"format\":\"millrace.conversation\",\"version\":1}",
        "\"\\\"\"",
        "\u{feff}",
    ];
    let mark = prop_oneof![
        5 => prop::sample::select(marks.map(|mark| mark.as_bytes().to_vec()).to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..4),
    ];
    (prop::collection::vec(any::<u8>(), 5), prop::collection::vec(mark, 0..30))
        .prop_map(|(head, marks)| [head, marks.concat()].concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn any_file_is_taken_apart_alike_and_becomes_valid_history_or_a_reason(data in exports()) {
        entries::import(&data);
    }
}

/// The exports of the fixtures, damaged in every way that one byte can be left out.
#[test]
fn damaged_exports_become_valid_history_or_reasons() {
    for name in ["chatgpt", "claude"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/import").join(name);
        let whole: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("conversations.json")).unwrap()).unwrap();
        for item in whole.as_array().unwrap() {
            let text = serde_json::to_vec(item).unwrap();
            for cut in (0..text.len()).step_by(17) {
                let without = [&[0, 200, 3, 90, 7], &text[..cut], &text[cut + 1..]].concat();
                entries::import(&without);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_schemas_and_history_make_a_valid_request(data in prop::collection::vec(any::<u8>(), 0..600)) {
        entries::request(&data);
    }
}
