//! A call that changes a file: which of its arguments are the new text, and that text beside what stands on the disk.
//! Which arguments are paths, too. Pure; for the screen's review and for the one in lines.
//!
//! # Invariants
//! - A difference is an extra view: what is hashed, decided and sent stays the exact bytes.
//! - Every line of the new text is in it, unchanged ones too, and every line that an edit takes away: nothing of the
//!   arguments that it stands for is let through unseen.

use std::path::Path;

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

use crate::chat::PathPlace;

/// Names under which tools take the path of a file that they write, and its text.
const PATHS: [&str; 5] = ["path", "file_path", "filepath", "file", "filename"];
const TEXTS: [&str; 5] = ["content", "contents", "text", "file_text", "new_text"];
/// Names of a text to be replaced, and of what comes in its place.
const PAIRS: [(&str, &str); 5] = [
    ("oldText", "newText"),
    ("old_text", "new_text"),
    ("old_string", "new_string"),
    ("oldString", "newString"),
    ("old_str", "new_str"),
];
/// The name of a list of such pairs.
const EDITS: &str = "edits";
/// Further names of arguments that are paths.
const PLACES: [&str; 9] =
    ["source", "destination", "directory", "dir", "folder", "cwd", "root", "from_path", "to_path"];
/// Names of lists of paths.
const LISTS: [&str; 2] = ["paths", "files"];
/// So many paths of a call are looked at.
const MOST_PATHS: usize = 16;
/// A longer text is not compared, bytes.
pub const LARGEST: usize = 256 * 1024;
/// Lines of the file shown before and behind an edit.
const AROUND: usize = 2;

/// A file, and what a call does to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    pub path: String,
    pub what: NewText,
}

#[derive(Clone, Debug, PartialEq)]
pub enum NewText {
    /// The whole of it; the argument's name.
    Whole { field: String, text: String },
    /// Texts in it are replaced, one after the other; the names of the arguments that say so.
    Edits { fields: Vec<String>, edits: Vec<TextEdit> },
}

#[derive(Clone, Debug, PartialEq)]
pub struct TextEdit {
    pub old: String,
    pub new: String,
}

impl Written {
    /// The names of the arguments that the difference stands for: it is drawn in place of the first.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        match &self.what {
            NewText::Whole { field, .. } => vec![field],
            NewText::Edits { fields, .. } => fields.iter().map(String::as_str).collect(),
        }
    }
}

/// What the arguments plainly do to one file. None where that is not plain.
#[must_use]
pub fn written_file(arguments: &str) -> Option<Written> {
    if arguments.len() > 2 * LARGEST {
        return None;
    }
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(arguments) else { return None };
    let named = |names: &[&str]| {
        let mut found = names.iter().filter_map(|name| Some((name.to_string(), map.get(*name)?.as_str()?.to_owned())));
        // Two that could be it are not plain.
        found.next().filter(|_| found.next().is_none())
    };
    let (_, path) = named(&PATHS).filter(|(_, path)| !path.is_empty())?;
    let what = match edits(&map) {
        Some((fields, edits)) => NewText::Edits { fields, edits },
        None => {
            let (field, text) = named(&TEXTS).filter(|(_, text)| text.len() <= LARGEST)?;
            NewText::Whole { field, text }
        }
    };
    Some(Written { path, what })
}

fn edits(map: &Map<String, Value>) -> Option<(Vec<String>, Vec<TextEdit>)> {
    if let Some(list) = map.get(EDITS) {
        // A member that is no part of the pair would be hidden behind the difference.
        let edits: Option<Vec<TextEdit>> =
            list.as_array()?.iter().map(|edit| pair(edit.as_object().filter(|edit| edit.len() == 2)?)).collect();
        return edits.filter(|edits| !edits.is_empty()).map(|edits| (vec![EDITS.to_owned()], edits));
    }
    let (old, new) = PAIRS.iter().find(|(old, new)| map.contains_key(*old) && map.contains_key(*new))?;
    Some((vec![(*old).to_owned(), (*new).to_owned()], vec![pair(map)?]))
}

fn pair(map: &Map<String, Value>) -> Option<TextEdit> {
    PAIRS.iter().find_map(|(old, new)| {
        let text = |name: &str| Some(map.get(name)?.as_str()?.to_owned());
        Some(TextEdit { old: text(old)?, new: text(new)? })
    })
}

/// The arguments that are paths by their names: their name, and the path.
#[must_use]
pub fn path_arguments(arguments: &str) -> Vec<(String, String)> {
    if arguments.len() > 2 * LARGEST {
        return Vec::new();
    }
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(arguments) else { return Vec::new() };
    let mut found = Vec::new();
    for (name, value) in &map {
        let is = |names: &[&str]| names.contains(&name.as_str());
        match value {
            Value::String(path) if is(&PATHS) || is(&PLACES) => found.push((name.clone(), path.clone())),
            Value::Array(paths) if is(&LISTS) => {
                found.extend(paths.iter().filter_map(|path| Some((name.clone(), path.as_str()?.to_owned()))));
            }
            _ => {}
        }
    }
    found.truncate(MOST_PATHS);
    found
}

/// What a path says by itself. None: that of a relative one is its server's to say, that of an absolute one the disk's.
#[must_use]
pub fn place_by_itself(path: &str) -> Option<PathPlace> {
    if path == "~" || path.starts_with("~/") {
        return Some(PathPlace::Home);
    }
    if Path::new(path).is_absolute() {
        return None;
    }
    let mut depth = 0_usize;
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." if depth == 0 => return Some(PathPlace::Climbs),
            ".." => depth -= 1,
            _ => depth += 1,
        }
    }
    None
}

/// A new text beside the old one, line by line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Compared {
    pub lines: Vec<ComparedLine>,
    pub added: usize,
    pub removed: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ComparedLine {
    pub sign: Sign,
    /// From 1: the place that the line will have; of one that goes, the one that it has. None where that is not known.
    pub number: Option<usize>,
    /// Raw, without its line end.
    pub text: String,
    /// It ends with a line end.
    pub ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    Same,
    Goes,
    Comes,
    /// Not of the file: words about what follows.
    Said,
}

impl Written {
    /// Beside what stands there; None: no such file yet.
    #[must_use]
    pub fn compared(&self, standing: Option<&str>) -> Compared {
        let mut out = Compared::default();
        match &self.what {
            NewText::Whole { text, .. } => out.lines_of(standing.unwrap_or_default(), text, Some(0)),
            NewText::Edits { edits, .. } => {
                let mut file = standing.map(str::to_owned);
                for (n, edit) in edits.iter().enumerate() {
                    if edits.len() > 1 {
                        out.say(format!("edit {} of {}", n + 1, edits.len()));
                    }
                    out.edit(file.as_mut(), edit);
                }
            }
        }
        out
    }
}

impl Compared {
    fn say(&mut self, text: String) {
        self.lines.push(ComparedLine { sign: Sign::Said, number: None, text, ended: true });
    }

    /// `before`: so many lines stand before both; None: not known.
    fn lines_of(&mut self, old: &str, new: &str, before: Option<usize>) {
        for change in TextDiff::from_lines(old, new).iter_all_changes() {
            let (sign, at) = match change.tag() {
                ChangeTag::Equal => (Sign::Same, change.new_index()),
                ChangeTag::Insert => (Sign::Comes, change.new_index()),
                ChangeTag::Delete => (Sign::Goes, change.old_index()),
            };
            self.added += usize::from(sign == Sign::Comes);
            self.removed += usize::from(sign == Sign::Goes);
            let line = change.value();
            let text = line.strip_suffix('\n').unwrap_or(line).to_owned();
            let number = before.zip(at).map(|(before, at)| before + at + 1);
            self.lines.push(ComparedLine { sign, number, text, ended: line.ends_with('\n') });
        }
    }

    /// One edit of a file, which is as it is before the edit and will be as it is after.
    fn edit(&mut self, file: Option<&mut String>, edit: &TextEdit) {
        let Some(file) = file else {
            self.say("there is no such file".to_owned());
            return self.lines_of(&edit.old, &edit.new, None);
        };
        let count = if edit.old.is_empty() { 0 } else { file.matches(&edit.old).take(100).count() };
        match (file.find(&edit.old), count) {
            (Some(at), 1) => {
                let end = at + edit.old.len();
                let from = file[..at].rfind('\n').map_or(0, |end| end + 1);
                let until = match edit.old.ends_with('\n') {
                    true => end,
                    false => file[end..].find('\n').map_or(file.len(), |line| end + line + 1),
                };
                let new = format!("{}{}{}", &file[from..at], edit.new, &file[end..until]);
                let before = file[..from].matches('\n').count();
                self.around(&file[..from], before, true);
                let begun = self.lines.len();
                self.lines_of(&file[from..until], &new, Some(before));
                let comes = self.lines[begun..].iter().filter(|line| matches!(line.sign, Sign::Same | Sign::Comes));
                let after = before + comes.count();
                self.around(&file[until..], after, false);
                file.replace_range(at..end, &edit.new);
            }
            (found, count) => {
                self.say(match count {
                    0 => "the file does not hold the old text as it is written here".to_owned(),
                    100 => "the file holds the old text 100 times or more: its server says which".to_owned(),
                    n => format!("the file holds the old text {n} times: its server says which"),
                });
                self.lines_of(&edit.old, &edit.new, None);
                if let Some(at) = found.filter(|_| count > 0) {
                    file.replace_range(at..at + edit.old.len(), &edit.new);
                }
            }
        }
    }

    /// Lines of the file next to an edit: the last of what stands before it, or the first of what follows.
    fn around(&mut self, text: &str, before: usize, last: bool) {
        let lines: Vec<&str> = match last {
            true => {
                let mut lines: Vec<&str> = text.split_inclusive('\n').rev().take(AROUND).collect();
                lines.reverse();
                lines
            }
            false => text.split_inclusive('\n').take(AROUND).collect(),
        };
        let first = if last { before - lines.len().min(before) } else { before };
        self.lines.extend(lines.iter().enumerate().map(|(n, line)| ComparedLine {
            sign: Sign::Same,
            number: Some(first + n + 1),
            text: line.strip_suffix('\n').unwrap_or(line).to_owned(),
            ended: line.ends_with('\n'),
        }));
    }
}

/// Top-level members in their order, each value in its very bytes. None where it is no object.
#[must_use]
pub fn members(arguments: &str) -> Option<Vec<(String, Box<RawValue>)>> {
    struct Members;
    impl<'de> serde::de::Visitor<'de> for Members {
        type Value = Vec<(String, Box<RawValue>)>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut out = Vec::new();
            while let Some(member) = map.next_entry()? {
                out.push(member);
            }
            Ok(out)
        }
    }
    let mut reader = serde_json::Deserializer::from_str(arguments);
    serde::Deserializer::deserialize_map(&mut reader, Members).ok()
}

/// The same bytes, with a new row after each escaped line end, as the text will have one there.
#[must_use]
pub fn at_line_ends(raw: &str) -> String {
    let mut out = String::with_capacity(raw.len() + 64);
    let mut escaped = false;
    for c in raw.chars() {
        out.push(c);
        if escaped && c == 'n' {
            out.push('\n');
        }
        escaped = c == '\\' && !escaped;
    }
    out
}

/// What the model said before a call, from the beginning of a sentence on; raw, without the marks of emphasis and code.
#[must_use]
pub fn sentence(because: &str) -> String {
    let plain = because.replace("**", "").replace('`', "");
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let begun = words.chars().next().is_some_and(|c| c.is_lowercase() || c.is_ascii_punctuation() && c != '"');
    let next = words.match_indices(['.', '!', '?', ':']).find_map(|(at, mark)| {
        let rest = words[at + mark.len()..].strip_prefix(' ')?.trim_start();
        (!rest.is_empty()).then_some(rest)
    });
    let words = next.filter(|_| begun).unwrap_or(&words);
    words.trim_start_matches(['#', '>', '-', '*', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_plainly_writes_a_file_is_known() {
        let check = |arguments: &str, expect: Option<(&str, &str, &str)>| {
            let found = written_file(arguments).map(|written| match written.what {
                NewText::Whole { field, text } => (written.path, field, text),
                NewText::Edits { .. } => panic!("{arguments}"),
            });
            assert_eq!(found.as_ref().map(|(p, f, t)| (p.as_str(), f.as_str(), t.as_str())), expect, "{arguments}");
        };
        check(r#"{"path":"a.rs","content":"x\n","mode":3}"#, Some(("a.rs", "content", "x\n")));
        check(r#"{"file_path":"a","text":""}"#, Some(("a", "text", "")));
        check(r#"{"path":"a","file":"b","content":"x"}"#, None);
        check(r#"{"path":"a","content":["x"]}"#, None);
        check(r#"{"path":"","content":"x"}"#, None);
        check(r#"{"query":"a"}"#, None);
        check(r#"{"path":"a","edits":[]}"#, None);
        // What else an edit says would stand behind the difference unseen.
        check(r#"{"path":"a","edits":[{"oldText":"a","newText":"b","all":true}]}"#, None);
        check("[]", None);
    }

    #[test]
    fn edits_are_known_by_their_pairs() {
        let check = |arguments: &str, fields: &[&str], edits: &[(&str, &str)]| {
            let written = written_file(arguments).unwrap();
            assert_eq!(written.fields(), fields);
            let NewText::Edits { edits: found, .. } = &written.what else { panic!("{arguments}") };
            let found: Vec<_> = found.iter().map(|edit| (edit.old.as_str(), edit.new.as_str())).collect();
            assert_eq!(found, edits);
        };
        check(
            r#"{"path":"a","edits":[{"oldText":"x","newText":"y"},{"newText":"","oldText":"z"}],"dryRun":true}"#,
            &["edits"],
            &[("x", "y"), ("z", "")],
        );
        check(r#"{"file_path":"a","old_string":"x","new_string":"y"}"#, &["old_string", "new_string"], &[("x", "y")]);
    }

    fn lines(written: &Written, standing: Option<&str>) -> Vec<String> {
        let sign = |sign| match sign {
            Sign::Same => ' ',
            Sign::Goes => '-',
            Sign::Comes => '+',
            Sign::Said => '#',
        };
        let line = |line: &ComparedLine| {
            format!("{}{} {}", line.number.map(|n| n.to_string()).unwrap_or_default(), sign(line.sign), line.text)
        };
        written.compared(standing).lines.iter().map(line).collect()
    }

    fn edited(edits: &[(&str, &str)]) -> Written {
        let edits = edits.iter().map(|(old, new)| TextEdit { old: (*old).into(), new: (*new).into() }).collect();
        Written { path: "a".into(), what: NewText::Edits { fields: vec!["edits".into()], edits } }
    }

    #[test]
    fn an_edit_is_shown_where_it_stands_in_the_file_as_the_edits_before_left_it() {
        let file = "one\ntwo\nthree\nfour\nfive\nsix\n";
        let two = edited(&[("three", "3\n3b"), ("3b\nfour", "4")]);
        let expect = [
            "# edit 1 of 2",
            "1  one",
            "2  two",
            "3- three",
            "3+ 3",
            "4+ 3b",
            "5  four",
            "6  five",
            "# edit 2 of 2",
            "2  two",
            "3  3",
            "4- 3b",
            "5- four",
            "4+ 4",
            "5  five",
            "6  six",
        ];
        assert_eq!(lines(&two, Some(file)), expect);
        let part = edited(&[("wo", "WO")]);
        assert_eq!(lines(&part, Some("one\ntwo")), ["1  one", "2- two", "2+ tWO"]);
        let compared = part.compared(Some("one\ntwo"));
        assert_eq!((compared.added, compared.removed, compared.lines.last().unwrap().ended), (1, 1, false));
    }

    #[test]
    fn an_edit_of_what_is_not_plainly_there_is_shown_without_a_place() {
        let edit = edited(&[("a", "b")]);
        assert_eq!(lines(&edit, None), ["# there is no such file", "- a", "+ b"]);
        let missing = "# the file does not hold the old text as it is written here";
        assert_eq!(lines(&edit, Some("x\n")), [missing, "- a", "+ b"]);
        let twice = "# the file holds the old text 2 times: its server says which";
        assert_eq!(lines(&edit, Some("a\na\n")), [twice, "- a", "+ b"]);
        assert_eq!(lines(&edited(&[("", "b")]), Some("x\n")), [missing, "+ b"]);
    }

    #[test]
    fn paths_are_known_by_their_names_and_what_they_say_themselves() {
        let found = path_arguments(r#"{"path":"/a","query":"/b","paths":["c",1,"/d"],"destination":"e"}"#);
        let found: Vec<_> = found.iter().map(|(name, path)| (name.as_str(), path.as_str())).collect();
        assert_eq!(found, [("path", "/a"), ("paths", "c"), ("paths", "/d"), ("destination", "e")]);
        assert_eq!(path_arguments("[1"), []);
        for (path, expect) in [
            ("/a", None),
            ("a/../b", None),
            ("a/../../b", Some(PathPlace::Climbs)),
            ("..", Some(PathPlace::Climbs)),
            ("~/.ssh/id", Some(PathPlace::Home)),
            ("~user", None),
        ] {
            assert_eq!(place_by_itself(path), expect, "{path}");
        }
    }

    #[test]
    fn a_quote_begins_with_a_sentence() {
        for (said, expect) in [
            ("so that it ends. I will **bound** the `loop`.", "I will bound the loop."),
            ("I will write.", "I will write."),
            ("and nothing more", "and nothing more"),
            (", then: Write it\nnow.", "Write it now."),
            ("- Bound the loop", "Bound the loop"),
        ] {
            assert_eq!(sentence(said), expect, "{said}");
        }
    }
}
