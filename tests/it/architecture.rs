//! Holds the sources to the table of layers in `ARCHITECTURE.md`: who may import whom, which third-party crate stays
//! where, what the pure modules may not touch, how files are named and how long they may be. Test code is excepted.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Each module with those that it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("chat", &[]),
    ("text", &[]),
    ("syntax", &[]),
    ("wire", &["chat"]),
    ("tools", &["chat", "text"]),
    ("config", &["chat", "text"]),
    ("export", &["chat", "text", "syntax"]),
    ("turn", &["chat", "tools"]),
    ("net", &["chat", "wire", "config"]),
    ("mcp", &["chat", "text", "tools", "config"]),
    ("store", &["chat"]),
    ("engine", &["chat", "text", "wire", "tools", "config", "export", "turn", "net", "mcp", "store"]),
    ("app", &["chat", "text", "config"]),
    ("ui", &["app", "chat", "text", "syntax"]),
    ("record", UP_TO_4),
    ("doctor", UP_TO_4),
    ("tui", UP_TO_5),
    ("headless", UP_TO_4),
    ("demo", UP_TO_6),
    ("cli", ALL),
    ("main", ALL),
    ("lib", ALL),
    // The build script.
    ("build", &[]),
];
const UP_TO_4: &[&str] =
    &["chat", "text", "syntax", "wire", "tools", "config", "export", "turn", "net", "mcp", "store", "engine", "app"];
const UP_TO_5: &[&str] = &[
    "chat", "text", "syntax", "wire", "tools", "config", "export", "turn", "net", "mcp", "store", "engine", "app",
    "ui", "record", "doctor",
];
const UP_TO_6: &[&str] = &[
    "chat", "text", "syntax", "wire", "tools", "config", "export", "turn", "net", "mcp", "store", "engine", "app",
    "ui", "record", "doctor", "tui", "headless",
];
const ALL: &[&str] = &["*"];

/// Third-party code, and the only modules that may name it.
const CONFINED: &[(&str, &[&str])] = &[
    ("reqwest", &["net", "mcp"]),
    ("rmcp", &["mcp", "demo"]),
    ("rusqlite", &["store"]),
    ("crossterm", &["tui"]),
    ("ratatui::crossterm", &["tui"]),
    ("ratatui", &["ui", "tui"]),
    ("tui_textarea", &["app", "ui", "tui"]),
    ("syntect", &["syntax"]),
    ("two_face", &["syntax"]),
];

/// Plain data in, plain data out: no runtime, no clock, no files, no environment.
const PURE: &[&str] = &["chat", "text", "syntax", "wire", "tools", "turn", "export", "app", "ui"];
const IMPURE: &[&str] = &[
    "tokio",
    "tokio_util",
    "std::time::Instant",
    "std::time::SystemTime",
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
];
/// The same by how a call ends, where the import hides the beginning.
const CLOCKS: &[&str] = &["Instant::now", "SystemTime::now", "Timestamp::now", "Zoned::now", "Uuid::now_v7"];

const NAMELESS: &[&str] = &["util", "utils", "common", "helper", "helpers", "manager", "managers", "misc"];

const TOLD: usize = 500;
const MOST: usize = 900;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The module that a file below `src` is: `src/turn/round.rs` is `turn::round`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_start_matches("src/").trim_end_matches(".rs");
    let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// What a file says, but for its tests.
struct Reading {
    file: String,
    module: Vec<String>,
    problems: Vec<String>,
    test_lines: usize,
    /// Modules in files of their own that are tests.
    test_modules: Vec<Vec<String>>,
}

impl Reading {
    fn of(file: &str, source: &str) -> Self {
        let module = module_of(file);
        let mut reading =
            Self { file: file.to_owned(), module, problems: Vec::new(), test_lines: 0, test_modules: Vec::new() };
        match syn::parse_file(source) {
            Ok(parsed) => reading.visit_file(&parsed),
            Err(error) => reading.problem(error.span().start().line, &format!("does not parse: {error}")),
        }
        reading
    }

    fn top(&self) -> &str {
        &self.module[0]
    }

    fn problem(&mut self, line: usize, what: &str) {
        let problem = format!("{}:{line}: {what}", self.file);
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
    }

    /// Judges one path as it is written in the source.
    fn path(&mut self, line: usize, segments: &[String]) {
        let path = segments.join("::");
        let top = self.top().to_owned();
        if let Some(target) = self.target(segments) {
            self.import(line, &top, &path, &target);
            return;
        }
        let names = |what: &str| path == what || path.starts_with(&format!("{what}::"));
        if let Some((name, allowed)) = CONFINED.iter().find(|(name, _)| names(name))
            && !allowed.contains(&top.as_str())
        {
            self.problem(line, &format!("`{path}`: {name} belongs to {} alone", allowed.join(", ")));
        }
        if PURE.contains(&top.as_str()) {
            let globs = matches!(path.as_str(), "std::time::*" | "std::time" | "std::*");
            let impure = IMPURE.iter().any(|what| names(what));
            let clock = CLOCKS.iter().any(|end| path == *end || path.ends_with(&format!("::{end}")));
            if impure || clock || globs {
                self.problem(line, &format!("`{path}`: {top} is pure, without runtime, clock, files or environment"));
            }
        }
    }

    /// The top module that a path of this crate leads to; None for other crates and for what stays inside its module.
    fn target(&self, segments: &[String]) -> Option<String> {
        match segments.first()?.as_str() {
            "crate" => segments.get(1).cloned(),
            "super" => {
                let up = segments.iter().take_while(|s| *s == "super").count();
                (up >= self.module.len()).then(|| segments.get(up).cloned()).flatten()
            }
            _ => None,
        }
    }

    fn import(&mut self, line: usize, top: &str, path: &str, target: &str) {
        if target == top {
            return;
        }
        let Some((_, allowed)) = LAYERS.iter().find(|(module, _)| *module == top) else {
            return self.problem(1, &format!("the module {top} is not in the table of layers"));
        };
        if allowed == &ALL || allowed.contains(&target) {
            return;
        }
        let may = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        self.problem(line, &format!("`{path}`: {top} may not import {target}; it may import {may}"));
    }

    fn skip(&mut self, attributes: &[syn::Attribute], span: proc_macro2::Span) -> bool {
        if !attributes.iter().any(is_test) {
            return false;
        }
        let first = attributes.first().map_or(span.start().line, |a| a.span().start().line.min(span.start().line));
        self.test_lines += span.end().line + 1 - first;
        true
    }

    fn name(&mut self, line: usize, name: &str) {
        if NAMELESS.contains(&name) {
            self.problem(line, &format!("a module called `{name}` says nothing: name it by what it holds"));
        }
    }
}

/// `#[test]`, `#[tokio::test]`, `#[cfg(test)]` in any combination that is not a negation.
fn is_test(attribute: &syn::Attribute) -> bool {
    let path = attribute.path();
    if path.segments.last().is_some_and(|s| s.ident == "test") {
        return true;
    }
    let syn::Meta::List(list) = &attribute.meta else { return false };
    let words = list.tokens.to_string();
    let mut words = words.split(|c: char| !c.is_alphanumeric());
    path.is_ident("cfg") && words.clone().any(|w| w == "test") && words.all(|w| w != "not")
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Const(i) => &i.attrs,
        syn::Item::Enum(i) => &i.attrs,
        syn::Item::Fn(i) => &i.attrs,
        syn::Item::Impl(i) => &i.attrs,
        syn::Item::Macro(i) => &i.attrs,
        syn::Item::Static(i) => &i.attrs,
        syn::Item::Struct(i) => &i.attrs,
        syn::Item::Trait(i) => &i.attrs,
        syn::Item::Type(i) => &i.attrs,
        syn::Item::Use(i) => &i.attrs,
        syn::Item::Mod(i) => &i.attrs,
        _ => &[],
    }
}

fn flatten(tree: &syn::UseTree, before: &[String], out: &mut Vec<(usize, Vec<String>)>) {
    let with = |name: String| [before, &[name]].concat();
    match tree {
        syn::UseTree::Path(path) => flatten(&path.tree, &with(path.ident.to_string()), out),
        syn::UseTree::Name(name) if name.ident == "self" => out.push((name.ident.span().start().line, before.to_vec())),
        syn::UseTree::Name(name) => out.push((name.ident.span().start().line, with(name.ident.to_string()))),
        syn::UseTree::Rename(name) => out.push((name.ident.span().start().line, with(name.ident.to_string()))),
        syn::UseTree::Glob(glob) => out.push((glob.span().start().line, with("*".to_owned()))),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, out)),
    }
}

impl<'ast> Visit<'ast> for Reading {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let tests = self.skip(attributes(item), item.span());
        match item {
            syn::Item::Mod(module) => {
                let name = module.ident.to_string();
                self.name(module.span().start().line, &name);
                self.module.push(name);
                match tests {
                    true if module.content.is_none() => self.test_modules.push(self.module.clone()),
                    true => {}
                    false => visit::visit_item_mod(self, module),
                }
                self.module.pop();
            }
            item if !tests => visit::visit_item(self, item),
            _ => {}
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !self.skip(&function.attrs, function.span()) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let mut paths = Vec::new();
        flatten(&item.tree, &[], &mut paths);
        for (line, path) in paths {
            self.path(line, &path);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<String> = path.segments.iter().map(|s| s.ident.to_string()).collect();
        self.path(path.span().start().line, &segments);
        visit::visit_path(self, path);
    }

    /// The inside of a macro is only words: what looks like a path is taken for one.
    fn visit_macro(&mut self, mac: &'ast syn::Macro) {
        visit::visit_macro(self, mac);
        let words = mac.tokens.to_string().replace(" :: ", "::").replace(":: ", "::").replace(" ::", "::");
        for word in words.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')) {
            if word.contains("::") && !word.starts_with("::") {
                let segments: Vec<String> = word.split("::").map(str::to_owned).collect();
                self.path(mac.span().start().line, &segments);
            }
        }
    }
}

fn fail_with(problems: &[String]) {
    let list = problems.iter().fold(String::new(), |mut list, problem| {
        let _ = writeln!(list, "  {problem}");
        list
    });
    assert!(problems.is_empty(), "{} breaches of the architecture:\n{list}", problems.len());
}

#[test]
fn the_sources_keep_to_the_table() {
    let root = root();
    let mut readings = Vec::new();
    for path in sources(&root.join("src")) {
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        let source = std::fs::read_to_string(&path).unwrap();
        let reading = Reading::of(&file, &source);
        readings.push((reading, source.lines().count()));
    }
    let tests: BTreeSet<Vec<String>> = readings.iter().flat_map(|(r, _)| r.test_modules.iter().cloned()).collect();
    let mut problems = Vec::new();
    let mut long = Vec::new();
    for (reading, lines) in readings {
        if (1..=reading.module.len()).any(|n| tests.contains(&reading.module[..n])) {
            continue;
        }
        let code = lines - reading.test_lines;
        if code > TOLD {
            long.push(format!("{code} lines: {}", reading.file));
        }
        if code > MOST {
            problems.push(format!("{}:1: {code} lines of code, more than {MOST}: split it by state", reading.file));
        }
        problems.extend(reading.problems);
    }
    if !long.is_empty() {
        println!("over {TOLD} lines of code:\n  {}", long.join("\n  "));
    }
    fail_with(&problems);
}

#[test]
fn every_file_begins_with_its_purpose() {
    let root = root();
    let folders = ["src", "tests", "benches"].map(|folder| root.join(folder));
    let files = folders.iter().filter(|folder| folder.exists()).flat_map(|folder| sources(folder));
    let bare: Vec<String> = files
        .filter(|path| !std::fs::read_to_string(path).unwrap().starts_with("//!"))
        .map(|path| {
            format!("{}:1: no `//!` head that says what it is for", path.strip_prefix(&root).unwrap().display())
        })
        .collect();
    fail_with(&bare);
}

/// A file that nobody declares is never run.
#[test]
fn every_test_file_is_declared() {
    let folder = root().join("tests/it");
    let mut problems = Vec::new();
    for path in sources(&folder) {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let parent = match path.parent().unwrap().strip_prefix(&folder).unwrap() {
            place if place.as_os_str().is_empty() => folder.join("main.rs"),
            place if name == "mod" => folder.join(place.parent().unwrap_or(Path::new(""))).join("main.rs"),
            place => match folder.join(place).join("mod.rs") {
                inside if inside.exists() => inside,
                _ => folder.join(place).with_extension("rs"),
            },
        };
        if path == parent {
            continue;
        }
        let name = match name {
            "mod" => path.parent().unwrap().file_name().unwrap().to_str().unwrap(),
            name => name,
        };
        let declared = std::fs::read_to_string(&parent).unwrap_or_default();
        if !declared.lines().any(|line| line.trim_start_matches("pub ").trim() == format!("mod {name};")) {
            problems.push(format!("{}:1: not declared in {}", path.display(), parent.display()));
        }
    }
    fail_with(&problems);
}

/// The test of the test: what it must find, and what it must leave alone.
#[test]
fn breaches_are_found_wherever_they_hide() {
    let check = |file: &str, source: &str, expect: &[&str]| {
        let found = Reading::of(file, source).problems;
        assert_eq!(found.len(), expect.len(), "{source}: {found:?}");
        for (found, expect) in found.iter().zip(expect) {
            assert!(found.contains(expect), "{source}: {found}");
        }
    };
    check(
        "src/net/a.rs",
        "\nuse crate::{chat::X, wire, mcp::{Host}};",
        &["src/net/a.rs:2: `crate::mcp::Host`: net may not"],
    );
    check("src/chat/a.rs", "use super::super::text::X;", &["chat may not import text; it may import nothing"]);
    check(
        "src/chat/mod.rs",
        "use super::text; use self::x; use crate::chat::y; pub(super) fn f() {}",
        &["import text"],
    );
    check("src/turn/a/b.rs", "use super::super::c; mod m { use super::super::super::net; }", &[]);
    check("src/turn/a.rs", "mod m { fn f() { super::super::super::net::f() } }", &["turn may not import net"]);
    check("src/tools/a.rs", "fn f() -> crate::store::Store { x!(crate::net::Http) }", &["import store", "import net"]);
    check("src/ui/a.rs", "use ratatui::crossterm::event; use crossterm as c;", &["belongs to tui", "belongs to tui"]);
    check(
        "src/cli/a.rs",
        "use crate::ui::x; fn f() { ratatui::init(); rmcp::x() }",
        &["belongs to ui", "belongs to mcp"],
    );
    check("src/wire/a.rs", "use std::{fmt, time::{Duration, Instant}, fs};", &["time::Instant", "std::fs"]);
    check(
        "src/app/a.rs",
        "fn f() { vec![std::env::var(x)]; tokio::spawn(g); Zoned::now(); }",
        &["env", "tokio", "now"],
    );
    check("src/odd/a.rs", "use crate::chat::X;", &["odd is not in the table"]);
    check("src/app/a.rs", "mod helper;", &["says nothing"]);
    check("src/chat/a.rs", "#[cfg(test)] mod tests { use crate::net::X; } #[test] fn f() { std::fs::read(x) }", &[]);
    check("src/chat/a.rs", "#[cfg(not(test))] use crate::net::X;", &["import net"]);
}
