//! Golden transcripts: each body of `tests/fixtures/` assembles as its JSON says, however it is cut into chunks.
#![allow(clippy::unwrap_used, reason = "a missing fixture fails its test")]

use std::path::{Path, PathBuf};

use millrace::cli::decode::{DecodeOptions, decode, parse_tools};
use proptest::prelude::*;
use serde_json::Value;

struct Fixture {
    name: String,
    body: Vec<u8>,
    options: DecodeOptions,
    expect: Value,
}

/// All transcripts of a folder, in order of their names.
fn fixtures(folder: &str) -> Vec<Fixture> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sse"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "no fixtures in {}", folder.display());
    paths.iter().map(|path| fixture(path)).collect()
}

fn fixture(path: &Path) -> Fixture {
    let json: Value = serde_json::from_slice(&std::fs::read(path.with_extension("json")).unwrap()).unwrap();
    let tools = &json["request"]["tools"];
    Fixture {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        body: std::fs::read(path).unwrap(),
        options: DecodeOptions {
            tools: tools.is_object().then(|| parse_tools(&tools.to_string()).unwrap()),
            status: json["http"]["status"].as_u64().map_or(200, |status| u16::try_from(status).unwrap()),
            content_type: json["http"]["content_type"].as_str().map(str::to_owned),
            chunk: None,
        },
        expect: json["expect"].clone(),
    }
}

impl Fixture {
    /// Decodes the body in pieces of `chunk` bytes.
    fn decoded(&self, chunk: usize) -> Value {
        decode(&self.body, &DecodeOptions { chunk: Some(chunk), ..self.options.clone() })
    }
}

fn golden(folder: &str) {
    let wrong: Vec<String> = fixtures(folder)
        .iter()
        .filter_map(|fixture| {
            let got = decode(&fixture.body, &fixture.options);
            (got != fixture.expect).then(|| format!("{}\n  got  {got}\n  want {}", fixture.name, fixture.expect))
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_golden_transcript_assembles_as_it_says() {
    golden("sse");
}

#[test]
fn every_own_transcript_assembles_as_it_says() {
    golden("own");
}

#[test]
fn the_size_of_the_chunks_does_not_matter() {
    for folder in ["sse", "own"] {
        for fixture in fixtures(folder) {
            let sizes: &[usize] =
                if fixture.body.len() > 16 * 1024 { &[7, 4096, 65_536] } else { &[1, 2, 3, 5, 16, 61] };
            for &size in sizes {
                assert_eq!(fixture.decoded(size), fixture.expect, "{} in chunks of {size}", fixture.name);
            }
        }
    }
}

/// The events that come out when a body arrives in the given pieces.
fn events<'a>(content_type: Option<&str>, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut reader = millrace::net::sse::SseReader::new(content_type, &millrace::chat::Limits::default());
    let mut out = Vec::new();
    for piece in pieces {
        reader.push(piece, &mut out).unwrap();
    }
    reader.finish(&mut out).unwrap();
    out
}

#[test]
fn a_cut_at_any_byte_gives_the_same_events() {
    for folder in ["sse", "own"] {
        for fixture in
            fixtures(folder).iter().filter(|fixture| fixture.body.len() <= 4096 && fixture.options.status < 400)
        {
            let kind = fixture.options.content_type.as_deref();
            let whole = events(kind, [fixture.body.as_slice()]);
            for at in 0..=fixture.body.len() {
                let (head, tail) = fixture.body.split_at(at);
                assert_eq!(events(kind, [head, tail]), whole, "{} cut at {at}", fixture.name);
            }
        }
    }
}

/// One thing that goes wrong on the way: where (a share of the body), and what.
#[derive(Clone, Debug)]
enum Fault {
    Cut(f64),
    Drop(f64, usize),
    Twice(f64, usize),
    Put(f64, Vec<u8>),
}

impl Fault {
    fn apply(&self, body: &mut Vec<u8>) {
        let at = |share: f64, body: &[u8]| ((body.len() as f64 * share) as usize).min(body.len());
        match self {
            Self::Cut(share) => body.truncate(at(*share, body)),
            Self::Drop(share, length) => {
                let from = at(*share, body);
                let to = (from + length).min(body.len());
                body.drain(from..to);
            }
            Self::Twice(share, length) => {
                let from = at(*share, body);
                let piece = body[from..(from + length).min(body.len())].to_vec();
                body.splice(from..from, piece);
            }
            Self::Put(share, bytes) => {
                let from = at(*share, body);
                body.splice(from..from, bytes.iter().copied());
            }
        }
    }
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let share = 0.0..1.0_f64;
    let marks = [&b"\""[..], b"\\", b"{", b"}", b"\\\"", b"\n\n", b"data: ", b"null", b"[DONE]", b"\xff", b"{}", b","];
    let bytes = prop_oneof![
        prop::sample::select(marks.map(<[u8]>::to_vec).to_vec()),
        prop::collection::vec(any::<u8>(), 1..4),
    ];
    let one = prop_oneof![
        share.clone().prop_map(Fault::Cut),
        (share.clone(), 1_usize..80).prop_map(|(at, length)| Fault::Drop(at, length)),
        (share.clone(), 1_usize..400).prop_map(|(at, length)| Fault::Twice(at, length)),
        (share, bytes).prop_map(|(at, bytes)| Fault::Put(at, bytes)),
    ];
    prop::collection::vec(one, 1..5)
}

/// A call that counts as closed has whole arguments, and something closed it.
fn assert_sound(report: &Value, name: &str) {
    for call in report["tool_calls"].as_array().unwrap() {
        let arguments = call["arguments"].as_str().unwrap_or_default();
        let whole = serde_json::from_str::<Value>(arguments).is_ok_and(|value| value.is_object());
        assert!(call["status"] != "closed" || whole && call["close"].is_string(), "{name}: {call}");
    }
    assert!(report["effective_finish"].is_string(), "{name}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn whatever_happens_to_a_transcript_only_whole_calls_count(faults in faults()) {
        for fixture in ["sse", "own"].iter().flat_map(|folder| fixtures(folder)).filter(|f| f.body.len() <= 16 * 1024) {
            let mut body = fixture.body.clone();
            faults.iter().for_each(|fault| fault.apply(&mut body));
            assert_sound(&decode(&body, &fixture.options), &fixture.name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_chunks_give_the_same_report(sizes in prop::collection::vec(1_usize..400, 1..24)) {
        for fixture in fixtures("sse").iter().filter(|fixture| fixture.body.len() <= 4096) {
            let mut rest = fixture.body.as_slice();
            let mut pieces = Vec::new();
            for size in sizes.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (head, tail) = rest.split_at((*size).min(rest.len()));
                pieces.push(head);
                rest = tail;
            }
            let kind = fixture.options.content_type.as_deref();
            prop_assert_eq!(events(kind, pieces), events(kind, [fixture.body.as_slice()]), "{}", &fixture.name);
        }
    }

    #[test]
    fn garbage_is_reported_and_never_panics(body in prop::collection::vec(prop_oneof![
        Just(b"data: ".to_vec()), Just(b"\n\n".to_vec()), Just(b"{\"choices\":[{\"delta\":{\"tool_calls\":[".to_vec()),
        Just(b"{\"index\":0,\"function\":{\"name\":\"a\",\"arguments\":\"{\"}}".to_vec()), Just(b"]}}]}".to_vec()),
        Just(b"{\"error\":".to_vec()), Just(b"null".to_vec()), prop::collection::vec(any::<u8>(), 0..8),
    ], 0..40)) {
        let report = decode(&body.concat(), &DecodeOptions::default());
        prop_assert!(report["effective_finish"].is_string());
    }
}
