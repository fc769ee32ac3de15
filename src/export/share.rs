//! What is left of a conversation for others to read: without what its tools were given and what they said, without its
//! system prompt, and without the names of this computer's places and person.
//!
//! # Invariants
//! - What was left out is told: in the place where it stood, and in [`Held`].
//! - Known secrets are taken out before this, by [`super::Redactor`].

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use serde_json::json;

use super::rewrite::Rewrite;
use crate::chat::{Body, Conversation, ToolMessage, ToolOutcome};

/// Shorter names are words that stand everywhere.
const SHORTEST: usize = 3;
/// Names that say nothing of anybody.
const NOBODY: [&str; 8] = ["root", "user", "admin", "administrator", "ubuntu", "debian", "home", "guest"];

/// What others may see beside what was said, and what of this computer they may not.
#[derive(Clone, Debug, Default)]
pub struct Share {
    arguments: bool,
    results: bool,
    system: bool,
    /// What stands for a folder or name.
    places: Vec<(String, &'static str)>,
}

/// What was held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub arguments: usize,
    pub results: usize,
    pub system: bool,
    /// How often a folder or name of this computer was replaced.
    pub places: usize,
}

impl Held {
    /// For people: `the arguments of 2 calls, 2 results, the system prompt; ...`.
    #[must_use]
    pub fn words(&self) -> String {
        let count = |n: usize, one: &str, many: &str| match n {
            0 => None,
            1 => Some(one.to_owned()),
            n => Some(many.replace('#', &n.to_string())),
        };
        let parts: Vec<String> = [
            count(self.arguments, "the arguments of 1 call", "the arguments of # calls"),
            count(self.results, "1 result", "# results"),
            self.system.then(|| "the system prompt".to_owned()),
            count(self.places, "1 path or name of this computer", "# paths and names of this computer"),
        ]
        .into_iter()
        .flatten()
        .collect();
        if parts.is_empty() { "Nothing was left out.".to_owned() } else { format!("Left out: {}.", parts.join(", ")) }
    }
}

impl Share {
    /// `home` and `folders` as this computer writes them; `user` as it calls its person.
    #[must_use]
    pub fn new<'a>(home: Option<&'a str>, folders: impl IntoIterator<Item = &'a str>, user: Option<&'a str>) -> Self {
        let mut share = Self::default();
        if let Some(home) = home {
            share.add(home, "~");
        }
        for folder in folders {
            share.add(folder, "[folder]");
        }
        if let Some(user) = user.filter(|user| user.chars().count() >= SHORTEST)
            && !NOBODY.contains(&user.to_lowercase().as_str())
        {
            share.places.push((user.to_owned(), "[user]"));
        }
        share
    }

    /// Another folder, too: the one that a conversation belongs to.
    #[must_use]
    pub fn and(mut self, folder: &str) -> Self {
        self.add(folder, "[folder]");
        self
    }

    /// The same with some of what is left out otherwise.
    #[must_use]
    pub fn showing(self, arguments: bool, results: bool, system: bool) -> Self {
        Self { arguments, results, system, ..self }
    }

    fn add(&mut self, place: &str, stand: &'static str) {
        let place = place.trim_end_matches(['/', '\\']);
        // The root of a disk is no place of anybody's.
        if place.len() < SHORTEST || place.ends_with(':') {
            return;
        }
        for writing in
            [place.to_owned(), place.replace('\\', "\\\\"), place.replace('\\', "/"), place.replace(' ', "%20")]
        {
            if !self.places.iter().any(|(known, _)| *known == writing) {
                self.places.push((writing, stand));
            }
        }
    }

    /// A conversation as others may see it.
    #[must_use]
    pub fn apply(&self, conversation: &Conversation) -> (Conversation, Held) {
        let mut held = Held::default();
        let mut out = conversation.clone();
        // Not a word of where it was held.
        out.summary.folder.clear();
        out.base_url.clear();
        if !self.system && out.system.as_ref().is_some_and(|system| !system.is_empty()) {
            out.system = None;
            held.system = true;
        }
        for message in &mut out.messages {
            let mut changed = (**message).clone();
            match &mut changed.body {
                Body::User(_) => {}
                Body::Assistant(answer) => {
                    answer.extra.clear();
                    for call in answer.calls.iter_mut().filter(|_| !self.arguments) {
                        call.extra.clear();
                        if call.arguments.trim() != "{}" {
                            held.arguments += 1;
                            call.arguments =
                                Arc::from(json!({"left out": size(call.arguments.len() as u64)}).to_string());
                        }
                    }
                }
                Body::Tool(ToolMessage { outcome, .. }) if !self.results => {
                    held.results += 1;
                    let ToolOutcome { kind, sent, ms, bytes, .. } = **outcome;
                    let told = format!("[left out: {}]", size(bytes));
                    *outcome = Arc::new(ToolOutcome { sent, ms, ..ToolOutcome::unsent(kind, told) });
                }
                Body::Tool(_) => {}
            }
            *message = Arc::new(changed);
        }
        let mut longest_first = self.places.clone();
        longest_first.sort_by_key(|(place, _)| std::cmp::Reverse(place.len()));
        let places = Places { places: &longest_first, replaced: Cell::new(0) };
        let out = Rewrite::conversation(&places, &out);
        held.places = places.replaced.get();
        (out, held)
    }
}

/// Bytes, for people.
fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{} KiB", bytes >> 10) }
}

struct Places<'a> {
    places: &'a [(String, &'static str)],
    replaced: Cell<usize>,
}

impl Places<'_> {
    /// Puts what stands for a place wherever it stands as a whole: `/home/ada` is not part of `/home/adam`.
    fn without(&self, text: &str, place: &str, stand: &str) -> Option<String> {
        let mut out: Option<String> = None;
        let mut from = 0;
        for (at, _) in text.match_indices(place) {
            let before = text[..at].chars().next_back();
            let after = text[at + place.len()..].chars().next();
            let goes_on = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-'));
            let whole_before = !place.starts_with(char::is_alphanumeric) || !goes_on(before);
            if at < from || !whole_before || goes_on(after) {
                continue;
            }
            let out = out.get_or_insert_with(String::new);
            out.push_str(&text[from..at]);
            out.push_str(stand);
            from = at + place.len();
            self.replaced.set(self.replaced.get() + 1);
        }
        out.map(|mut out| {
            out.push_str(&text[from..]);
            out
        })
    }
}

impl Rewrite for Places<'_> {
    fn rewritten<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut out = Cow::Borrowed(text);
        for (place, stand) in self.places {
            if let Some(changed) = self.without(&out, place, stand) {
                out = Cow::Owned(changed);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tests::conversation;
    use crate::export::{html, markdown};

    #[test]
    fn nothing_of_tools_system_prompt_places_or_person_is_left() {
        let given =
            conversation("at /home/ada/src/web/x.rs and /home/adam, C:\\Users\\ada; ada said; canada; ~secret~");
        let share = Share::new(Some("/home/ada"), ["/home/ada/src/web"], Some("ada"));
        let (shared, held) = share.apply(&given);
        for text in [markdown(&shared), html(&shared)] {
            assert!(!text.contains("/home/ada/") && !text.contains("src/web"), "{text}");
            assert!(text.contains("/home/adam") && text.contains("canada") && text.contains("[folder]/x.rs"), "{text}");
            assert!(text.contains("[user] said") && text.contains("[left out: "), "{text}");
        }
        assert_eq!((held.arguments, held.results, held.system), (1, 1, true));
        assert!(
            held.words().starts_with("Left out: the arguments of 1 call, 1 result, the system prompt, "),
            "{held:?}"
        );
        let all = Share::default().showing(true, true, true);
        let (whole, held) = all.apply(&given);
        assert_eq!((markdown(&whole), held), (markdown(&given), Held::default()));
        assert_eq!(held.words(), "Nothing was left out.");
    }

    #[test]
    fn names_of_nobody_and_roots_stay() {
        let given = conversation("root cause in / and C:\\ of user");
        let all = |home, user| Share::new(Some(home), ["/"], Some(user)).showing(true, true, true);
        assert_eq!(all("/", "root").apply(&given).1, Held::default());
        assert_eq!(all("C:\\", "user").apply(&given).1, Held::default());
    }
}
