//! Finding tools by words: names, titles, descriptions and parameters, the rarer a word the more it counts.
//!
//! # Invariants
//! - The same tools and the same words give the same order, on every machine.
//! - Linear in the text of the definitions.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::snapshot::Tool;

/// Bytes of a description that are read.
const READ: usize = 4 * 1024;
/// Words of a question that count.
const WORDS: usize = 24;
/// From which likeness on a word of a name is taken for a mistyped one.
const LIKE: f64 = 0.92;
/// Words that say nothing about what a tool does.
const EMPTY: [&str; 28] = [
    "a", "an", "and", "any", "by", "can", "for", "from", "i", "in", "into", "is", "it", "me", "my", "of", "on", "or",
    "that", "the", "this", "to", "tool", "tools", "use", "using", "want", "with",
];

/// What a tool says, as words: where a word stands decides what it is worth.
struct Words {
    name: HashSet<String>,
    rest: HashSet<String>,
}

/// The tools that fit best, best first, at most `limit`. A question without words finds nothing.
pub(super) fn find<'a>(tools: impl Iterator<Item = &'a Arc<Tool>>, question: &str, limit: usize) -> Vec<&'a Arc<Tool>> {
    let mut asked: Vec<String> = words(question).filter(|word| !EMPTY.contains(&word.as_str())).collect();
    let mut seen = HashSet::new();
    asked.retain(|word| seen.insert(word.clone()));
    asked.truncate(WORDS);
    let known: Vec<(&Arc<Tool>, Words)> = tools.map(|tool| (tool, Words::of(tool))).collect();
    let mut spread: HashMap<&str, usize> = HashMap::new();
    for word in &asked {
        let count = known.iter().filter(|(_, says)| says.has(word)).count();
        spread.insert(word, count);
    }
    let mut scored: Vec<(f64, &Arc<Tool>)> = known
        .iter()
        .map(|(tool, says)| {
            let score: f64 = asked
                .iter()
                .map(|word| {
                    let rare = 1.0 + (known.len() as f64 / (1.0 + spread[word.as_str()] as f64)).ln().max(0.0);
                    says.worth(word) * rare
                })
                .sum();
            (score, *tool)
        })
        .filter(|(score, _)| *score > 0.0)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.wire_name.cmp(&b.1.wire_name)));
    scored.into_iter().take(limit).map(|(_, tool)| tool).collect()
}

impl Words {
    fn of(tool: &Tool) -> Self {
        let mut name: HashSet<String> = words(&tool.reference.tool).collect();
        name.extend(words(tool.title.as_deref().unwrap_or_default()));
        let read = tool.description.floor_char_boundary(READ);
        let mut rest: HashSet<String> = words(&tool.description[..read]).collect();
        rest.extend(words(tool.reference.server.as_str()));
        let properties = tool.schema().get("properties").and_then(serde_json::Value::as_object);
        rest.extend(properties.into_iter().flat_map(|map| map.keys()).flat_map(|key| words(key)));
        Self { name, rest }
    }

    fn has(&self, word: &str) -> bool {
        self.name.contains(word) || self.rest.contains(word)
    }

    fn worth(&self, word: &str) -> f64 {
        if self.name.contains(word) {
            return 4.0;
        }
        let long = word.len() >= 4;
        let begins = |own: &String| long && (own.starts_with(word) || own.len() >= 4 && word.starts_with(own.as_str()));
        if self.name.iter().any(begins) {
            return 2.5;
        }
        if self.rest.contains(word) {
            return 1.0;
        }
        // Comparing takes the product of the lengths.
        let comparable = long && word.len() <= 64;
        if comparable && self.name.iter().any(|own| strsim::jaro_winkler(own, word) >= LIKE) {
            return 1.5;
        }
        if self.rest.iter().any(begins) { 0.5 } else { 0.0 }
    }
}

/// The words of a text, small, without their plural: `readFiles` and `read_file` are the same two.
fn words(text: &str) -> impl Iterator<Item = String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut before_small = false;
    for c in text.chars() {
        let new = !c.is_alphanumeric() || (c.is_uppercase() && before_small);
        if new && !word.is_empty() {
            out.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before_small = c.is_lowercase() || c.is_ascii_digit();
    }
    if !word.is_empty() {
        out.push(word);
    }
    out.into_iter().map(|word| singular(&word))
}

fn singular(word: &str) -> String {
    match word.strip_suffix("ies") {
        Some(stem) if stem.len() >= 3 => format!("{stem}y"),
        _ => match word.strip_suffix('s') {
            Some(stem) if stem.len() >= 3 && !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
            _ => word.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::tests::snapshot_of;
    use serde_json::json;

    fn check(question: &str, expect: &[&str]) {
        let tool = |name: &str, description: &str, parameter: &str| {
            let mut properties = serde_json::Map::new();
            properties.insert(parameter.to_owned(), json!({"type": "string"}));
            let schema = json!({"type": "object", "properties": properties});
            json!({"name": name, "description": description, "inputSchema": schema})
        };
        let snapshot = snapshot_of(vec![
            tool("create_issue", "Opens a new issue in a repository.", "title"),
            tool("closeIssue", "Closes an issue.", "issue_number"),
            tool("send_mail", "Sends a message to somebody.", "recipient"),
            tool("get_weather", "The weather of a place, and its forecast.", "city"),
            tool("list_repositories", "Repositories of a user.", "user"),
        ]);
        let found = find(snapshot.tools(), question, 3);
        let names: Vec<&str> = found.iter().map(|tool| &*tool.reference.tool).collect();
        assert_eq!(names, expect, "{question}");
    }

    #[test]
    fn tools_are_found_by_what_they_are_called_and_do() {
        check("create an issue", &["create_issue", "closeIssue"]);
        check("issues", &["closeIssue", "create_issue"]);
        check("mail a recipient", &["send_mail"]);
        check("forecast for my city", &["get_weather"]);
        check("wether", &["get_weather"]);
        check("repository", &["list_repositories", "create_issue"]);
        check("the tool to use", &[]);
        check("", &[]);
    }
}
