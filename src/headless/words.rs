//! A review in words: for whoever listens to it, and for terminals that draw nothing.
//!
//! # Invariants
//! - What would be sent is said whole: every argument in its bytes, what cannot be seen written out.
//! - It never says what was not looked at.

use crate::app::{PathMark, Sign, Written, at_line_ends, members, sentence, written_file};
use crate::chat::{AskReason, OnDisk, Review, ServerName};
use crate::text::{hidden, sanitize, visible};

/// Arguments up to so many bytes are said once more as the one line that they are.
const SHORT: usize = 240;

/// What is known of the disk for a review.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What stands where the call would write.
    pub standing: Option<OnDisk>,
    pub marks: Vec<PathMark>,
}

fn one(text: &str) -> String {
    sanitize(text).one_line().into_string()
}

/// All that a person needs to decide; `yours`: arguments that they wrote in place of the model's.
pub(super) fn review(review: &Review, yours: Option<&str>, disk: &Disk) -> String {
    let path = one(&review.tool.path());
    let server = one(review.tool.server.as_str());
    let trust = if review.trusted { "trusted" } else { "not trusted" };
    let mut out = format!("\n{path} wants to run.\n");
    out.push_str(&format!("  Server: {server}, {trust}, {}\n", one(&review.server_line)));
    let claims = [
        (review.claims.read_only == Some(true), "it only reads"),
        (review.claims.destructive == Some(true), "it may destroy"),
        (review.claims.open_world == Some(true), "it reaches outside"),
    ];
    let said: Vec<&str> = claims.iter().filter(|(holds, _)| *holds).map(|(_, word)| *word).collect();
    if !said.is_empty() {
        out.push_str(&format!("  Its server says, and nobody verified: {}.\n", said.join(", ")));
    }
    match review.why {
        AskReason::Policy => {}
        AskReason::AfterUntrusted => {
            let names: Vec<String> = review.tainted_by.iter().map(ServerName::as_str).map(one).collect();
            out.push_str(&format!("  Untrusted content of {} came in before.\n", names.join(", ")));
        }
        AskReason::Repeat => out.push_str("  An equal call ran before, or may have.\n"),
        AskReason::Unsaved => out.push_str("  The conversation cannot be saved.\n"),
    }
    if let Some(earlier) = &review.earlier {
        out.push_str(&format!("  An equal call ended before: {}.\n", earlier.kind.word()));
    }
    let because = review.because.as_deref().map(|said| one(&sentence(said))).filter(|said| !said.is_empty());
    if let Some(because) = because {
        out.push_str(&format!("  The model said, and nobody verified: \"{because}\"\n"));
    }
    let shown = yours.unwrap_or(&review.arguments);
    out.push_str(&arguments(shown, yours.is_some(), disk));
    out.push_str(&format!("  \"Always\" is for {path} as it is defined now.\n"));
    out
}

fn arguments(shown: &str, yours: bool, disk: &Disk) -> String {
    let whose = if yours { "yours, in place of the model's" } else { "exactly as they will be sent" };
    let mut out = format!("  Arguments, {} bytes, {whose}:\n", shown.len());
    let written = written_file(shown).filter(|_| disk.standing.is_some());
    match members(shown).filter(|members| !members.is_empty()) {
        None => out.push_str(&indented(visible(shown).as_str(), "    ")),
        Some(members) => {
            for (key, value) in &members {
                let name = visible(key).one_line();
                if let Some(written) = written.as_ref().filter(|written| written.fields().contains(&key.as_str())) {
                    if written.fields().first() == Some(&key.as_str()) {
                        out.push_str(&format!("    {name}: {}", difference(written, disk)));
                    }
                    continue;
                }
                let value = visible(&at_line_ends(value.get()));
                match value.as_str().contains('\n') {
                    true => out.push_str(&format!("    {name}:\n{}", indented(value.as_str(), "      "))),
                    false => out.push_str(&format!("    {name}: {value}\n")),
                }
                for mark in disk.marks.iter().filter(|mark| mark.field == *key) {
                    let [words, _, _] = mark.place.words();
                    let careful = if mark.place.warns() { "careful: " } else { "" };
                    out.push_str(&format!("      {careful}{}\n", one(&words)));
                }
            }
        }
    }
    if shown.len() <= SHORT {
        out.push_str(&format!("  As one line: {}\n", visible(shown).one_line()));
    }
    let found = hidden(shown);
    if let Some((at, c)) = found.first() {
        let name = visible(&c.to_string()).one_line();
        let count = match found.len() {
            1 => "1 invisible character".to_owned(),
            n => format!("{n} invisible characters, the first"),
        };
        out.push_str(&format!("  Careful: {count} at byte {at}, shown as {name}.\n"));
    }
    out
}

/// The lines that come and go, each with its number and a word for its sign.
fn difference(written: &Written, disk: &Disk) -> String {
    let standing = match &disk.standing {
        Some(OnDisk::Text(text)) => Some(text.as_str()),
        Some(OnDisk::Absent | OnDisk::Unreadable) | None => None,
    };
    let compared = written.compared(standing);
    let beside = if standing.is_some() { "against the file on disk" } else { "a new file" };
    let mut out = format!("{beside}; lines that come: {}, that go: {}.\n", compared.added, compared.removed);
    for line in &compared.lines {
        let number = line.number.map(|n| format!(" {n}")).unwrap_or_default();
        let sign = match line.sign {
            Sign::Said => {
                out.push_str(&format!("      {}:\n", one(&line.text)));
                continue;
            }
            Sign::Same => "same",
            Sign::Goes => "goes",
            Sign::Comes => "comes",
        };
        let end = if line.ended { "" } else { " (no line end)" };
        out.push_str(&format!("      {sign}{number}: {}{end}\n", visible(&line.text).one_line()));
    }
    out
}

fn indented(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}{line}\n")).collect()
}

/// What can be answered, on one line.
pub(super) fn choices(review: &Review, edited: bool) -> String {
    let earlier = if review.earlier.is_some() { "  [u] use the earlier result" } else { "" };
    if edited {
        return "[n] deny, a reason may follow  [y] send yours  [e] edit again  [m] back to the model's  [?] all of it again: "
            .to_owned();
    }
    format!(
        "[n] deny, a reason may follow  [y] once  [e] edit  [?] all of it again{earlier}  [s] this session  [A] always from \
         now on: "
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{CallId, Claims, PathPlace, ToolRef};

    fn given(arguments: &str) -> Review {
        Review {
            call: CallId::new("c"),
            tool: ToolRef::new("fs", "write\u{1b}[2J"),
            server_line: "stdio: npx fs".into(),
            trusted: false,
            claims: Claims { destructive: Some(true), ..Claims::default() },
            description: String::new(),
            arguments: arguments.into(),
            hash: "h".into(),
            because: Some("so that it ends. I will\n\u{1b}]0;x\u{7}**write** it.".into()),
            why: AskReason::Policy,
            tainted_by: Vec::new(),
            earlier: None,
        }
    }

    #[test]
    fn a_review_in_words_says_every_argument_and_no_escape() {
        let said = review(&given("{\"path\":\"a\u{202e}txt\",\"text\":\"one\\ntwo\"}"), None, &Disk::default());
        insta::assert_snapshot!(said, @r#"
fs/write wants to run.
  Server: fs, not trusted, stdio: npx fs
  Its server says, and nobody verified: it may destroy.
  The model said, and nobody verified: "I will write it."
  Arguments, 36 bytes, exactly as they will be sent:
    path: "a<U+202E>txt"
    text:
      "one\n
      two"
  As one line: {"path":"a<U+202E>txt","text":"one\ntwo"}
  Careful: 1 invisible character at byte 10, shown as <U+202E>.
  "Always" is for fs/write as it is defined now.
"#);
    }

    #[test]
    fn a_difference_is_said_with_a_word_for_each_sign_and_where_the_path_leads() {
        let disk = Disk {
            standing: Some(OnDisk::Text("one\ntwo\n".into())),
            marks: vec![PathMark { field: "path".into(), path: "/a".into(), place: PathPlace::OutsideRoots }],
        };
        let edit = given(r#"{"path":"/a","edits":[{"oldText":"two","newText":"2"}],"dryRun":false}"#);
        insta::assert_snapshot!(review(&edit, None, &disk), @r#"
fs/write wants to run.
  Server: fs, not trusted, stdio: npx fs
  Its server says, and nobody verified: it may destroy.
  The model said, and nobody verified: "I will write it."
  Arguments, 70 bytes, exactly as they will be sent:
    path: "/a"
      careful: outside every root of its server
    edits: against the file on disk; lines that come: 1, that go: 1.
      same 1: one
      goes 2: two
      comes 2: 2
    dryRun: false
  As one line: {"path":"/a","edits":[{"oldText":"two","newText":"2"}],"dryRun":false}
  "Always" is for fs/write as it is defined now.
"#);
    }

    #[test]
    fn what_a_person_wrote_is_said_as_theirs() {
        let said = review(&given("{}"), Some("{\"b\":[1,\n2]}"), &Disk::default());
        assert!(
            said.contains("yours, in place of the model's") && said.contains("    b:\n      [1,\n      2]\n"),
            "{said}"
        );
    }
}
