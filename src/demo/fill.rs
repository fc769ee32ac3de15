//! Placeholders of the script: `{{tool.way words}}`, filled from what the tools have said in this turn.
//!
//! Ways: `all`; `head`, the first lines; `line TEXT`, the first line that holds it; `lines TEXT`, all of them; `table`,
//! the lines of a markdown table; `block TEXT`, from the line that holds it to the closing brace at its margin;
//! `patched`, the whole with the story's replacements, and `patched TEXT`, a block of that; `json /pointer`;
//! `each /pointer TEMPLATE`, one line for every item of an array, its `{key}`s filled. Without a tool: `{{prompt}}`,
//! `{{subject}}`, `{{tools}}`.

use serde_json::{Map, Value};

use super::facts::Facts;
use super::script::{Line, Story};

/// How many lines `head` shows.
const HEAD: usize = 12;
/// How much of a prompt is quoted, in characters.
const QUOTED: usize = 60;

/// What is really said.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    Think(String),
    Text(String),
    Call { wire_name: String, arguments: String },
}

/// The lines of a reply, filled.
pub(super) fn fill(lines: &[Line], story: &Story, facts: &Facts) -> Vec<Said> {
    // A text is laid out by the script; arguments are exactly what the tools said, the last line break included.
    let filled = |text: &str| text_of(text, &|inside| value_of(inside, story, facts).trim_end().to_owned());
    let exact = |text: &str| text_of(text, &|inside| value_of(inside, story, facts));
    lines
        .iter()
        .map(|line| match line {
            Line::Think { think } => Said::Think(filled(think)),
            Line::Text { text } => Said::Text(filled(text)),
            Line::Call { call, with } => Said::Call {
                wire_name: facts.wire_name(call).unwrap_or(call).to_owned(),
                arguments: Value::Object(arguments(with, &exact)).to_string(),
            },
        })
        .collect()
}

fn arguments(with: &Map<String, Value>, filled: &impl Fn(&str) -> String) -> Map<String, Value> {
    with.iter()
        .map(|(name, value)| {
            let value = match value {
                Value::String(text) => Value::String(filled(text)),
                other => other.clone(),
            };
            (name.clone(), value)
        })
        .collect()
}

fn text_of(text: &str, value: &impl Fn(&str) -> String) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, after)) = after.split_once("}}") else { break };
        out.push_str(before);
        out.push_str(&value(inside));
        rest = after;
    }
    out.push_str(rest);
    out
}

fn value_of(inside: &str, story: &Story, facts: &Facts) -> String {
    match inside {
        "prompt" => return quoted(&facts.prompt),
        "subject" => return subject(story, &facts.prompt),
        "tools" => return facts.names().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        _ => {}
    }
    let Some((tool, way)) = inside.split_once('.') else { return String::new() };
    let Some(call) = facts.call(tool) else { return String::new() };
    let result = call.result.as_str();
    let (way, words) = way.split_once(' ').unwrap_or((way, ""));
    let lines = |keep: &dyn Fn(&&str) -> bool| result.lines().filter(keep).collect::<Vec<_>>().join("\n");
    match way {
        "all" => result.to_owned(),
        "head" => result.lines().take(HEAD).collect::<Vec<_>>().join("\n"),
        "line" => result.lines().find(|line| line.contains(words)).unwrap_or_default().trim().to_owned(),
        "lines" => lines(&|line| line.contains(words)),
        "table" => lines(&|line| line.starts_with('|')),
        "block" => block(result, words),
        "patched" if words.is_empty() => patched(result, story),
        "patched" => block(&patched(result, story), words),
        "json" => json(result, words).map(plain).unwrap_or_default(),
        "each" => {
            let (pointer, template) = words.split_once(' ').unwrap_or((words, ""));
            let items = json(result, pointer).and_then(|items| items.as_array().cloned()).unwrap_or_default();
            items.iter().map(|item| with_keys(template, item)).collect::<Vec<_>>().join("\n")
        }
        _ => String::new(),
    }
}

/// The prompt as it may be quoted inside a line of markdown.
fn quoted(prompt: &str) -> String {
    let line: String = prompt.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'");
    match line.char_indices().nth(QUOTED) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// What stands behind the last of the story's words, up to a mark; its default where nothing does.
fn subject(story: &Story, prompt: &str) -> String {
    let Some(rule) = &story.subject else { return String::new() };
    let words: Vec<&str> = prompt.split_whitespace().collect();
    let is_mark = |word: &str| rule.after.iter().any(|after| after.eq_ignore_ascii_case(word));
    let Some(at) = words.iter().rposition(|word| is_mark(word)) else { return rule.default.clone() };
    let mut taken = Vec::new();
    for word in words[at + 1..].iter().take(4) {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let stop = ["the", "a", "an", "my", "our"];
        let ends = ["this", "next", "today", "tomorrow", "now", "please", "and", "over", "during"];
        if ends.contains(&bare.to_lowercase().as_str()) {
            break;
        }
        let article = taken.is_empty() && stop.contains(&bare.to_lowercase().as_str());
        if !bare.is_empty() && !article {
            taken.push(bare);
        }
        if word.ends_with(['.', ',', '?', '!', ';', ':']) {
            break;
        }
    }
    if taken.is_empty() { rule.default.clone() } else { taken.join(" ") }
}

fn patched(text: &str, story: &Story) -> String {
    story.patch.iter().fold(text.to_owned(), |text, replace| text.replacen(&replace.from, &replace.to, 1))
}

/// From the first line that holds `start` to the brace that closes at the same margin.
fn block(text: &str, start: &str) -> String {
    let mut lines = text.lines().skip_while(|line| !line.contains(start)).peekable();
    let margin = lines.peek().map_or(0, |line| line.len() - line.trim_start().len());
    let mut out = Vec::new();
    for line in lines {
        out.push(line);
        if line.len() > margin && line.get(margin..) == Some("}") {
            break;
        }
    }
    out.join("\n")
}

fn json(result: &str, pointer: &str) -> Option<Value> {
    serde_json::from_str::<Value>(result).ok()?.pointer(pointer).cloned()
}

fn plain(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn with_keys(template: &str, item: &Value) -> String {
    let Some(object) = item.as_object() else { return plain(item.clone()) };
    object
        .iter()
        .fold(template.to_owned(), |text, (key, value)| text.replace(&format!("{{{key}}}"), &plain(value.clone())))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::demo::facts::Asked;
    use crate::demo::script::Unsent;

    fn check(prompt: &str, results: &[(&str, &str)], template: &str, expect: &str) {
        let story: Story = toml_edit::de::from_str(
            "name = 'x'\nbeat = []\nsubject = { after = ['in', 'on'], default = 'Lerwick' }\n\
             patch = [{ from = 'old', to = 'new' }]",
        )
        .unwrap();
        let mut messages = vec![json!({"role": "user", "content": prompt})];
        for (number, (tool, result)) in results.iter().enumerate() {
            let id = number.to_string();
            messages.push(json!({"role": "assistant", "tool_calls": [{"id": id, "function": {"name": tool}}]}));
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
        }
        let asked: Asked = serde_json::from_value(json!({"messages": messages})).unwrap();
        let facts = Facts::of(&asked, &Unsent { denied: Vec::new(), other: Vec::new() });
        let said = fill(&[Line::Text { text: template.to_owned() }], &story, &facts);
        assert_eq!(said, [Said::Text(expect.to_owned())], "{template}");
    }

    #[test]
    fn results_are_quoted_in_many_ways() {
        let tests = [("run_tests", "one ok\ntwo FAILED\nthree FAILED\n")];
        check(
            "",
            &tests,
            "<{{run_tests.line FAILED}}> {{run_tests.lines FAILED}}",
            "<two FAILED> two FAILED\nthree FAILED",
        );
        let file = [("x__read_file", "use a;\nfn old() {\n    if b {\n    }\n}\nfn c() {}\n")];
        check("", &file, "{{read_file.block fn old}}", "fn old() {\n    if b {\n    }\n}");
        check("", &file, "{{read_file.patched fn new}}", "fn new() {\n    if b {\n    }\n}");
        let days = [("weather", r#"{"days":[{"day":1,"sky":"rain"},{"day":2,"sky":"fog"}],"place":"Ayr"}"#)];
        check("", &days, "{{weather.json /place}}\n{{weather.each /days |{day}|{sky}|}}", "Ayr\n|1|rain|\n|2|fog|");
        check("", &[("t", "x\n|a|\n|-|\n")], "{{last.table}}", "|a|\n|-|");
        check("", &[], "a{{none.all}}b {{t.oddly}} {{open", "ab  {{open");
    }

    #[test]
    fn the_subject_is_what_was_asked_about() {
        check("What is the weather in Ayr this week?", &[], "{{subject}}", "Ayr");
        check("weather in New York, please", &[], "{{subject}}", "New York");
        check("Fetch the report on the gauge", &[], "{{subject}}", "gauge");
        check("weather?", &[], "{{subject}}", "Lerwick");
        check("weather in", &[], "{{subject}}", "Lerwick");
        check("`a`\n  b", &[], "{{prompt}}", "'a' b");
    }
}
