//! The script: stories, each a few beats; which one answers a request is decided by what was asked and by what the
//! tools have said since.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::DemoError;
use super::facts::{Choice, Facts};

/// The name of the one model.
pub const MODEL: &str = "millrace-demo";

const SOURCE: &str = include_str!("../../assets/demo/script.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Script {
    /// How results begin that stand for a call which did not run, by what happened to it.
    pub(super) unsent: Unsent,
    story: Vec<Story>,
    /// Arguments for calls that were demanded of the model.
    sample: Vec<Sample>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unsent {
    pub(super) denied: Vec<String>,
    pub(super) other: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Story {
    pub(super) name: String,
    /// Words of a prompt that lead here; the story with most of them wins, the first of equals.
    #[serde(default)]
    words: Vec<String>,
    /// Tools without which the story cannot be told, and what is said then.
    #[serde(default)]
    needs: Vec<String>,
    without: Option<String>,
    /// The thing asked for: what stands behind the last of these words.
    pub(super) subject: Option<Subject>,
    /// Replacements that make `patched` of a file that was read.
    #[serde(default)]
    pub(super) patch: Vec<Replace>,
    beat: Vec<Beat>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Subject {
    pub(super) after: Vec<String>,
    pub(super) default: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Replace {
    pub(super) from: String,
    pub(super) to: String,
}

/// One answer of a story: the first whose conditions hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Beat {
    #[serde(default)]
    when: Vec<Condition>,
    say: Vec<Line>,
}

/// `[not] VERB TOOL [TEXT]`; a tool may be numbered: `read_file#2` is its second call of the turn.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Condition {
    holds: bool,
    verb: Verb,
    tool: String,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    /// The request offers it.
    Offered,
    /// It was called in this turn.
    Called,
    /// Its server answered, well or not.
    Ran,
    /// Nobody let it run.
    Denied,
    /// Its result holds the text.
    Says,
}

impl TryFrom<String> for Condition {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (holds, rest) = match text.strip_prefix("not ") {
            Some(rest) => (false, rest),
            None => (true, text.as_str()),
        };
        let mut words = rest.splitn(3, ' ');
        let verb = match words.next() {
            Some("offered") => Verb::Offered,
            Some("called") => Verb::Called,
            Some("ran") => Verb::Ran,
            Some("denied") => Verb::Denied,
            Some("says") => Verb::Says,
            _ => return Err(format!("`{text}` begins with no condition")),
        };
        let tool = words.next().ok_or_else(|| format!("`{text}` names no tool"))?.to_owned();
        let text = words.next().unwrap_or_default().to_owned();
        Ok(Self { holds, verb, tool, text })
    }
}

impl Condition {
    fn met(&self, facts: &Facts) -> bool {
        let result = || facts.call(&self.tool);
        let is = match self.verb {
            Verb::Offered => facts.wire_name(&self.tool).is_some(),
            Verb::Called => result().is_some(),
            Verb::Ran => result().is_some_and(|call| call.ran),
            Verb::Denied => result().is_some_and(|call| call.denied),
            Verb::Says => result().is_some_and(|call| call.ran && call.result.contains(&self.text)),
        };
        is == self.holds
    }
}

/// A piece of an answer, placeholders not filled yet.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub(super) enum Line {
    Think {
        think: String,
    },
    Text {
        text: String,
    },
    Call {
        call: String,
        #[serde(default)]
        with: Map<String, Value>,
    },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    tool: String,
    #[serde(default)]
    with: Map<String, Value>,
}

/// What is to be said, and the story it belongs to.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub(super) story: &'a Story,
    pub(super) lines: Vec<Line>,
}

impl Script {
    /// The script that is built in.
    ///
    /// # Errors
    /// `Script` where it cannot be read; a test keeps that from happening.
    pub(super) fn load() -> Result<Self, DemoError> {
        let script: Self = toml_edit::de::from_str(SOURCE).map_err(|error| DemoError::Script(error.to_string()))?;
        for name in ["other", "asked"] {
            if script.story(name).is_none() {
                return Err(DemoError::Script(format!("there is no story {name}")));
            }
        }
        Ok(script)
    }

    fn story(&self, name: &str) -> Option<&Story> {
        self.story.iter().find(|story| story.name == name)
    }

    /// The answer to a request.
    pub(super) fn reply(&self, facts: &Facts) -> Option<Reply<'_>> {
        let mut story = self.told(facts)?;
        // A call that was demanded belongs to no story: its result is told as it is.
        if facts.calls.first().is_some_and(|first| !story.calls().any(|tool| tool == first.tool)) {
            story = self.story("asked")?;
        }
        if facts.calls.is_empty() && !story.needs.iter().all(|tool| facts.wire_name(tool).is_some()) {
            let text = story.without.clone().unwrap_or_default();
            return Some(Reply { story, lines: vec![Line::Text { text }] });
        }
        let beat = story.beat.iter().find(|beat| beat.when.iter().all(|condition| condition.met(facts)))?;
        let mut lines = beat.say.clone();
        if facts.calls.is_empty() {
            self.obey(facts, &mut lines);
        }
        Some(Reply { story, lines })
    }

    fn told(&self, facts: &Facts) -> Option<&Story> {
        let words = facts.words();
        let hits = |story: &Story| words.iter().filter(|word| story.words.contains(word)).count();
        let mut best = (0, self.story("other")?);
        for story in &self.story {
            let hits = hits(story);
            if hits > best.0 {
                best = (hits, story);
            }
        }
        Some(best.1)
    }

    /// `tool_choice` rules over the script: a call that was demanded is made, another is not.
    fn obey(&self, facts: &Facts, lines: &mut Vec<Line>) {
        let demanded = match &facts.choice {
            Choice::Auto => return,
            Choice::Required if lines.iter().any(|line| matches!(line, Line::Call { .. })) => return,
            Choice::Required => {
                let known = self.sample.iter().find(|sample| facts.wire_name(&sample.tool).is_some());
                match known.map(|sample| sample.tool.clone()).or_else(|| facts.first_offered()) {
                    Some(tool) => tool,
                    None => return,
                }
            }
            Choice::Named(name) => facts.tool_of(name),
        };
        let scripted = lines.iter().find(|line| matches!(line, Line::Call { call, .. } if *call == demanded)).cloned();
        let line = scripted.unwrap_or_else(|| {
            let sample = self.sample.iter().find(|sample| sample.tool == demanded);
            let with = sample.map_or_else(|| facts.smallest_arguments(&demanded), |sample| sample.with.clone());
            Line::Call { call: demanded, with }
        });
        *lines = vec![line];
    }
}

impl Story {
    /// The tools it calls.
    fn calls(&self) -> impl Iterator<Item = &str> {
        self.beat.iter().flat_map(|beat| &beat.say).filter_map(|line| match line {
            Line::Call { call, .. } => Some(call.as_str()),
            Line::Think { .. } | Line::Text { .. } => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story_can_always_be_told_to_its_end() {
        let script = Script::load().unwrap();
        for story in &script.story {
            let last = story.beat.last().unwrap();
            assert!(last.when.is_empty(), "{}: the last beat has conditions", story.name);
            let calls = last.say.iter().any(|line| matches!(line, Line::Call { .. }));
            assert!(!calls, "{}: the last beat calls, so the turn would never end", story.name);
            assert!(story.needs.is_empty() || story.without.is_some(), "{}: nothing to say without tools", story.name);
            for tool in story.calls().chain(story.needs.iter().map(String::as_str)) {
                let known =
                    super::super::server::READING.contains(&tool) || super::super::server::WRITING.contains(&tool);
                assert!(known, "{}: there is no tool {tool}", story.name);
            }
        }
    }

    #[test]
    fn conditions_are_read_or_refused() {
        let read = |text: &str| Condition::try_from(text.to_owned());
        let condition = read("not says read_file#2 two words").unwrap();
        assert_eq!((condition.holds, condition.verb, condition.tool.as_str()), (false, Verb::Says, "read_file#2"));
        assert_eq!(condition.text, "two words");
        assert!(read("knows read_file").is_err());
        assert!(read("called").is_err());
    }
}
