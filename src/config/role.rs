//! Roles: named system prompts, with the model, tools and parameters that go with them. `[roles]` of `config.toml`, and
//! one Markdown file each in `roles/` beside it.
//!
//! # Invariants
//! - A file that is wrong is set aside with what is wrong in it; the others go on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::file::{read_text, rules};
use super::node::{self, Node, Raw};
use super::problem::{Findings, Problem, Severity};
use super::spec;

/// More files than these are not looked at: a folder that is something else.
const FILES: usize = 1000;
/// Around the TOML at the top of a role's file.
const FENCE: &str = "+++";

/// Every field but the name is None where nothing names it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Role {
    pub name: String,
    pub system: Option<String>,
    pub model: Option<String>,
    /// Globs `server/tool` of what is offered, in place of the profile's.
    pub tools: Option<Vec<String>>,
    pub temperature: Option<f64>,
    pub max_output_tokens: Option<u64>,
    pub reasoning_effort: Option<String>,
    pub params: Vec<(String, Value)>,
    /// The file that it stands in; None: `config.toml`.
    pub file: Option<PathBuf>,
}

/// The roles of the folder, and what is wrong with those that were set aside.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RoleFiles {
    pub roles: BTreeMap<String, Role>,
    pub problems: Vec<Problem>,
}

/// Where a role's file is; None where the name is none of a file.
#[must_use]
pub fn role_path(folder: &Path, name: &str) -> Option<PathBuf> {
    let fits = !name.is_empty()
        && !name.starts_with('.')
        && !name.contains(|c: char| matches!(c, '/' | '\\' | ':') || c.is_control());
    fits.then(|| folder.join(format!("{name}.md")))
}

/// Reads every `NAME.md` of a folder; one that is not there has none.
pub(super) fn read_folder(folder: &Path) -> RoleFiles {
    let mut read = RoleFiles::default();
    let Ok(entries) = std::fs::read_dir(folder) else { return read };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).take(FILES).collect();
    paths.sort();
    for path in paths {
        let name = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned);
        let Some(name) = name.filter(|name| path.is_file() && role_path(folder, name).as_ref() == Some(&path)) else {
            continue;
        };
        let (role, problems) = match read_text(&path) {
            Ok(text) => parse(&path, &name, &text),
            Err(error) => {
                let mut found = Findings::new(path, "");
                found.error(&(0..0), false, format!("this role cannot be read: {error}"), "");
                (None, found.problems)
            }
        };
        read.roles.extend(role.map(|role| (name, role)));
        read.problems.extend(problems);
    }
    read
}

/// Reads the text of a role's file: TOML between two lines `+++`, then the system prompt; without them all of it is the
/// prompt. None where something is wrong with it.
pub fn parse(path: &Path, name: &str, text: &str) -> (Option<Role>, Vec<Problem>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let first = text.lines().next().unwrap_or_default();
    if first.trim_end() == "---" {
        let mut found = Findings::new(path.to_path_buf(), text);
        let message = "this role begins with YAML, and its front matter has to be TOML";
        let note = "as: +++ / model = \"gpt-4o-mini\" / +++, then the prompt".to_owned();
        found.push(Severity::Error, &(0..3), false, message.to_owned(), "expected +++".to_owned(), Some(note));
        return (None, found.problems);
    }
    let (front, body) = match first.trim_end() {
        FENCE => match fenced(text) {
            Some(parts) => parts,
            None => {
                let mut found = Findings::new(path.to_path_buf(), text);
                found.error(&(0..FENCE.len()), false, "this front matter does not end", "a second line +++ is missing");
                return (None, found.problems);
            }
        },
        _ => (String::new(), text),
    };
    let mut found = Findings::new(path.to_path_buf(), &front);
    let tree = Node::toml(&mut found);
    let tree = node::check(tree, spec::ROLE_FILE, "", &mut found);
    let mut role = build(name, &tree, &mut found);
    role.file = Some(path.to_path_buf());
    role.system = Some(body.trim().to_owned()).filter(|body| !body.is_empty());
    let mut problems = found.problems;
    problems.sort_by_key(|problem| (problem.line, problem.column));
    let wrong = problems.iter().any(|problem| problem.severity == Severity::Error);
    ((!wrong).then_some(role), problems)
}

/// The front matter, on the lines on which it stands in the file, and what follows it.
fn fenced(text: &str) -> Option<(String, &str)> {
    let begin = text.find('\n')? + 1;
    let mut at = begin;
    for line in text[begin..].split_inclusive('\n') {
        if line.trim_end() == FENCE {
            return Some((format!("\n{}", &text[begin..at]), &text[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

/// Of a checked table.
pub(super) fn build(name: &str, node: &Node, found: &mut Findings<'_>) -> Role {
    Role {
        name: name.to_owned(),
        system: node.text("system"),
        model: node.text("model"),
        tools: node.get("tools").map(|_| rules(node, "tools", found)),
        temperature: node.number("temperature"),
        max_output_tokens: node.int("max_output_tokens"),
        reasoning_effort: node.text("reasoning_effort"),
        params: params(node),
        file: None,
    }
}

/// Of `[roles]`: names to texts, or to tables.
pub(super) fn configured(tree: &Node, found: &mut Findings<'_>) -> BTreeMap<String, Role> {
    let mut roles = BTreeMap::new();
    for (name, node) in tree.get("roles").map(Node::entries).unwrap_or_default() {
        let role = match &node.value {
            Raw::Text(text) => Role { name: name.clone(), system: Some(text.clone()), ..Role::default() },
            Raw::Map(_) | Raw::Int(_) | Raw::Float(_) | Raw::Bool(_) | Raw::List(_) => build(name, node, found),
        };
        roles.insert(name.clone(), role);
    }
    roles
}

/// `params` of a checked table.
pub(super) fn params(node: &Node) -> Vec<(String, Value)> {
    let entries = node.get("params").map(Node::entries).unwrap_or_default();
    entries.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Option<Role>, Vec<String>) {
        let (role, problems) = parse(Path::new("roles/r.md"), "r", text);
        (role, problems.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect())
    }

    #[test]
    fn front_matter_says_what_goes_with_the_prompt() {
        let text = "+++\r\nmodel = \"m\"\r\ntools = [\"fs/*\"]\r\ntemperature = 0.2\r\nmax_output_tokens = 9\r\n\
                    reasoning_effort = \"low\"\r\nparams = { top_p = 0.5 }\r\n+++\r\n\r\nYou review.\r\n+++\r\nIn short.\r\n";
        let (role, problems) = read(text);
        let role = role.unwrap();
        assert_eq!(problems, Vec::<String>::new());
        assert_eq!(role.system.as_deref(), Some("You review.\r\n+++\r\nIn short."));
        assert_eq!((role.model.as_deref(), role.temperature), (Some("m"), Some(0.2)));
        assert_eq!(role.tools, Some(vec!["fs/*".to_owned()]));
        assert_eq!((role.max_output_tokens, role.reasoning_effort.as_deref()), (Some(9), Some("low")));
        assert_eq!(role.params, [("top_p".to_owned(), 0.5.into())]);
        // Without it, all of the file is the prompt.
        assert_eq!(read("\u{feff}# A role\n\nBe kind.\n").0.unwrap().system.as_deref(), Some("# A role\n\nBe kind."));
        assert_eq!(read("").0.unwrap().system, None);
        assert_eq!(read("+++\n+++").0.unwrap().system, None);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_in_the_file() {
        for (text, expect) in [
            (
                "+++\nmodel = 5\n\ntemprature = 1\n+++\nx",
                vec!["2:9 `model` is 5", "4:1 unknown key `temprature` at the top of the file"],
            ),
            ("+++\nsystem = \"x\"\n+++\n", vec!["2:1 unknown key `system` at the top of the file"]),
            ("+++\ntools = [\"fs\"]\n+++\n", vec!["2:10 this is not a rule: it has no server and tool with / between"]),
            ("+++\nmodel = \"m\"\n", vec!["1:1 this front matter does not end"]),
            ("---\nmodel: m\n---\n", vec!["1:1 this role begins with YAML, and its front matter has to be TOML"]),
        ] {
            let (role, problems) = read(text);
            assert_eq!((role, problems), (None, expect.into_iter().map(str::to_owned).collect()), "{text}");
        }
        assert!(read("+++\nmodel = \n+++\n").1[0].starts_with("2:"));
    }

    #[test]
    fn a_file_that_is_wrong_takes_no_other_with_it() {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("good.md", "Be good."), ("bad.md", "+++\n"), (".hidden.md", "x"), ("notes.txt", "x")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        std::fs::write(folder.path().join("bytes.md"), [0xff, 0xfe]).unwrap();
        std::fs::create_dir(folder.path().join("dir.md")).unwrap();
        let read = read_folder(folder.path());
        assert_eq!(read.roles.keys().collect::<Vec<_>>(), ["good"]);
        let files: Vec<_> = read.problems.iter().map(|p| p.file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(files, ["bad.md", "bytes.md"]);
        assert_eq!(read_folder(&folder.path().join("none")), RoleFiles::default());
    }
}
