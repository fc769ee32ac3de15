//! What is left of a conversation for others to read: without what its tools were given and what they said, without what
//! was attached, what the model thought (which repeats both) and its system prompt, and without the names of this
//! computer's places and person.
//!
//! # Invariants
//! - What was left out is told: in the place where it stood, and in [`Held`].
//! - Known secrets are taken out before this, by [`super::Redactor`].

use std::borrow::Cow;
use std::cell::Cell;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use serde_json::json;

use super::rewrite::Rewrite;
use crate::chat::{Body, Conversation, Part, ToolMessage, ToolOutcome};

/// Shorter names are words that stand everywhere.
const SHORTEST: usize = 3;
/// Names that say nothing of anybody.
const NOBODY: [&str; 8] = ["root", "user", "admin", "administrator", "ubuntu", "debian", "home", "guest"];

/// What others may see beside what was said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Showing {
    pub arguments: bool,
    pub results: bool,
    pub attachments: bool,
    pub reasoning: bool,
    pub system: bool,
}

impl Showing {
    pub const ALL: Self = Self { arguments: true, results: true, attachments: true, reasoning: true, system: true };
}

/// What others may see, and what of this computer they may not.
#[derive(Clone, Debug, Default)]
pub struct Share {
    showing: Showing,
    places: Vec<Place>,
}

/// A folder or name of this computer.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    text: String,
    /// What stands for it.
    stand: &'static str,
}

impl Place {
    const USER: &'static str = "[user]";

    /// Whether a name goes on with this: `/home/ada` is not part of `/home/adam`, nor of `/home/ada-old`; but there
    /// `ada` itself is a name that ends.
    fn goes_on(&self, c: Option<char>) -> bool {
        c.is_some_and(|c| c.is_alphanumeric() || (self.stand != Self::USER && matches!(c, '_' | '-')))
    }

    /// Systems that write places in any case are common enough to look for every writing of them.
    fn finder(&self) -> Option<Regex> {
        RegexBuilder::new(&regex::escape(&self.text)).case_insensitive(true).build().ok()
    }
}

/// What was held back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub arguments: usize,
    pub results: usize,
    /// Files, resources and pictures.
    pub attachments: usize,
    /// Answers whose thoughts were left out.
    pub reasoning: usize,
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
            count(self.attachments, "1 attachment", "# attachments"),
            count(self.reasoning, "what the model thought", "what the model thought"),
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
            share.places.push(Place { text: user.to_owned(), stand: Place::USER });
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
    pub fn showing(self, showing: Showing) -> Self {
        Self { showing, ..self }
    }

    fn add(&mut self, place: &str, stand: &'static str) {
        let place = place.trim_end_matches(['/', '\\']);
        // The root of a disk is no place of anybody's.
        if place.len() < SHORTEST || place.ends_with(':') {
            return;
        }
        let slashes = place.replace('\\', "/");
        for text in [place.to_owned(), place.replace('\\', "\\\\"), percent(&slashes), slashes] {
            if !self.places.iter().any(|known| known.text == text) {
                self.places.push(Place { text, stand });
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
        if !self.showing.system && out.system.as_ref().is_some_and(|system| !system.is_empty()) {
            out.system = None;
            held.system = true;
        }
        for message in &mut out.messages {
            let mut changed = (**message).clone();
            match &mut changed.body {
                Body::User(parts) => {
                    for part in parts.iter_mut().filter(|_| !self.showing.attachments) {
                        held.attachments += usize::from(leave_out(part));
                    }
                }
                Body::Assistant(answer) => {
                    answer.extra.clear();
                    if !self.showing.reasoning && !answer.reasoning.is_empty() {
                        answer.reasoning.clear();
                        held.reasoning += 1;
                    }
                    for call in answer.calls.iter_mut().filter(|_| !self.showing.arguments) {
                        call.extra.clear();
                        if call.arguments.trim() != "{}" {
                            held.arguments += 1;
                            call.arguments =
                                Arc::from(json!({"left out": size(call.arguments.len() as u64)}).to_string());
                        }
                    }
                }
                Body::Tool(ToolMessage { outcome, .. }) if !self.showing.results => {
                    held.results += 1;
                    let ToolOutcome { kind, sent, ms, bytes, .. } = **outcome;
                    let told = format!("[left out: {}]", size(bytes));
                    *outcome = Arc::new(ToolOutcome { sent, ms, ..ToolOutcome::unsent(kind, told) });
                }
                Body::Tool(_) => {}
            }
            *message = Arc::new(changed);
        }
        let mut longest_first: Vec<&Place> = self.places.iter().collect();
        longest_first.sort_by_key(|place| std::cmp::Reverse(place.text.len()));
        let finders = longest_first.into_iter().filter_map(|place| Some((place, place.finder()?)));
        let places = Places { places: finders.collect(), replaced: Cell::new(0) };
        let out = Rewrite::conversation(&places, &out);
        held.places = places.replaced.get();
        (out, held)
    }
}

/// Bytes, for people.
fn size(bytes: u64) -> String {
    if bytes < 1024 { format!("{bytes} bytes") } else { format!("{} KiB", bytes >> 10) }
}

/// Leaves out what was attached; whether it was.
fn leave_out(part: &mut Part) -> bool {
    let (name, held) = match part {
        Part::Text { .. } => return false,
        Part::File { name, text } => (std::mem::take(name), size(text.len() as u64)),
        Part::Image { name, mime: _, data } => (std::mem::take(name), size(data.len() as u64 / 4 * 3)),
    };
    *part = Part::text(format!("[left out: {name}, {held}]"));
    true
}

/// As a path stands in an address.
fn percent(path: &str) -> String {
    let stays = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()/:@&=+$,".contains(&b);
    path.bytes().map(|b| if stays(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

struct Places<'a> {
    places: Vec<(&'a Place, Regex)>,
    replaced: Cell<usize>,
}

impl Places<'_> {
    /// Puts what stands for a place wherever it stands as a whole.
    fn without(&self, text: &str, place: &Place, finder: &Regex) -> Option<String> {
        let mut out: Option<String> = None;
        let mut from = 0;
        for found in finder.find_iter(text) {
            let before = text[..found.start()].chars().next_back();
            let after = text[found.end()..].chars().next();
            let whole_before = !place.text.starts_with(char::is_alphanumeric) || !place.goes_on(before);
            if !whole_before || place.goes_on(after) {
                continue;
            }
            let out = out.get_or_insert_with(String::new);
            out.push_str(&text[from..found.start()]);
            out.push_str(place.stand);
            from = found.end();
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
        for (place, finder) in &self.places {
            if let Some(changed) = self.without(&out, place, finder) {
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
            held.words().starts_with("Left out: the arguments of 1 call, 1 result, 3 attachments, what the model thought, the system prompt, "),
            "{held:?}"
        );
        let all = Share::default().showing(Showing::ALL);
        let (whole, held) = all.apply(&given);
        assert_eq!((markdown(&whole), held), (markdown(&given), Held::default()));
        assert_eq!(held.words(), "Nothing was left out.");
    }

    #[test]
    fn names_of_nobody_and_roots_stay() {
        let given = conversation("root cause in / and C:\\ of user");
        let all = |home, user| Share::new(Some(home), ["/"], Some(user)).showing(Showing::ALL);
        assert_eq!(all("/", "root").apply(&given).1, Held::default());
        assert_eq!(all("C:\\", "user").apply(&given).1, Held::default());
    }

    #[test]
    fn attachments_thoughts_and_other_writings_of_places_are_left_out_too() {
        let mut given =
            conversation("In C:\\USERS\\Ada, ADA and ada_notes, file:///home/%C3%BCnal/x and /home/ada-old");
        let user = Arc::make_mut(&mut given.messages[0]);
        let Body::User(parts) = &mut user.body else { panic!("a message of the person") };
        parts.push(Part::File { name: "plan.txt".into(), text: "a quiet word".into() });
        parts.push(Part::Image { name: "face.png".into(), mime: "image/png".into(), data: "QUJD".into() });
        for message in &mut given.messages {
            if let Body::Assistant(answer) = &mut Arc::make_mut(message).body {
                answer.reasoning = "a quiet thought".into();
            }
        }
        let share = Share::new(Some("/home/\u{fc}nal"), ["c:\\users\\ada"], Some("ada"));
        let (shared, held) = share.apply(&given);
        let text = markdown(&shared);
        for hidden in ["a quiet", "QUJD", "USERS", "ADA", "ada_notes", "%C3%BC", "ada-old"] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
        assert!(text.contains("[left out: plan.txt, 12 bytes]") && text.contains("/home/[user]-old"), "{text}");
        assert!(held.attachments == 5 && held.reasoning == 1, "{held:?}");
        let (whole, _) = share.showing(Showing::ALL).apply(&given);
        assert!(markdown(&whole).contains("a quiet word"));
    }
}
