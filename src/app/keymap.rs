//! Which key does what, where: the defaults of the command table, changed by `[keys]`.

use std::borrow::Cow;
use std::collections::HashMap;

use super::command::{COMMANDS, Command};
use super::key::{Key, KeyCode};
use super::layers::{LAYER_KEYS, LayerKey};

/// Where a key is looked up; every place but `Global` falls back to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    Global,
    Composer,
    Transcript,
    Panel,
    Review,
    // Of layers, whose keys are in `LAYER_KEYS`: all but the last two fall back to lists.
    List,
    Browser,
    Models,
    Servers,
    Offered,
    Import,
    Detail,
    Timeline,
    Usage,
    Question,
    SignIn,
    /// The choices below an error.
    Fault,
    /// The composer where its keys are vi's.
    Vi,
}

impl Place {
    /// As a list names it beside a key; empty where the key acts wherever one writes.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Global | Self::Composer => "",
            Self::Transcript => "transcript",
            Self::Panel => "panel",
            Self::Review => "review",
            Self::List => "lists",
            Self::Browser => "history",
            Self::Models => "models",
            Self::Servers => "servers",
            Self::Offered => "offered tools",
            Self::Import => "import",
            Self::Detail => "a call",
            Self::Timeline => "timeline",
            Self::Usage => "usage",
            Self::Question => "questions",
            Self::SignIn => "sign-in",
            Self::Fault => "errors",
            Self::Vi => "vi",
        }
    }
}

/// # Invariants
/// Enter and space never approve, whatever the configuration says.
#[derive(Clone, Debug)]
pub struct Keymap {
    one: HashMap<(Place, Key), Command>,
    /// Two keys, one after the other.
    two: HashMap<(Place, Key, Key), Command>,
    /// Keys of layers, by the names of what they do.
    pub(super) layers: HashMap<(Place, Key), &'static str>,
}

/// In a sentence, for what can be done by no key.
const NO_KEY: &str = "(no key)";

/// Whether something has this name in `[keys]`.
fn is_name(name: &str) -> bool {
    LayerKey::named(name).is_some() || COMMANDS.iter().any(|info| info.name == name)
}

/// What a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    Command(Command),
    /// The first of two keys.
    Prefix,
    Nothing,
}

impl Default for Keymap {
    fn default() -> Self {
        let mut map = Self { one: HashMap::new(), two: HashMap::new(), layers: HashMap::new() };
        for info in COMMANDS {
            for keys in info.keys {
                let keys: Vec<Key> = keys.split(' ').filter_map(Key::parse).collect();
                map.bind(info.place, &keys, info.command);
            }
        }
        for row in LAYER_KEYS {
            map.layers.extend(row.keys.iter().filter_map(|text| Some(((row.place, Key::parse(text)?), row.name))));
        }
        map
    }
}

impl Keymap {
    /// The defaults, with what `[keys]` says in their place. Names that are no command here are left alone.
    #[must_use]
    pub fn configured(keys: &crate::config::Keymap) -> Self {
        let mut map = Self::default();
        for (name, sequences) in &keys.bindings {
            let sequences: Vec<Vec<Key>> =
                sequences.iter().map(|chords| chords.iter().copied().map(Key::from).collect()).collect();
            map.rebind(name, &sequences);
        }
        map
    }

    /// Binds one or two keys to a command; false where that would let enter or space approve.
    pub fn bind(&mut self, place: Place, keys: &[Key], command: Command) -> bool {
        let approves = matches!(command, Command::ApproveOnce | Command::ApproveSession | Command::ApproveAlways);
        if approves && keys.iter().any(|key| matches!(key.code, KeyCode::Enter | KeyCode::Char(' '))) {
            return false;
        }
        match *keys {
            [key] => self.one.insert((place, key), command),
            [first, second] => self.two.insert((place, first, second), command),
            _ => return false,
        };
        true
    }

    /// Replaces the keys of the command called `name`; false where there is none of that name, or it may not have
    /// such keys.
    pub fn rebind(&mut self, name: &str, sequences: &[Vec<Key>]) -> bool {
        let Some(info) = COMMANDS.iter().find(|info| info.name == name) else {
            return self.rebind_layer(name, sequences);
        };
        self.one.retain(|(place, _), command| *place != info.place || *command != info.command);
        self.two.retain(|(place, ..), command| *place != info.place || *command != info.command);
        sequences.iter().all(|keys| self.bind(info.place, keys, info.command))
    }

    fn rebind_layer(&mut self, name: &str, sequences: &[Vec<Key>]) -> bool {
        let Some(row) = LayerKey::named(name) else { return false };
        let never = |key: &Key| matches!(key.code, KeyCode::Enter | KeyCode::Char(' '));
        self.layers.retain(|_, bound| *bound != row.name);
        sequences.iter().all(|keys| match keys[..] {
            [key] if !(row.approves() && never(&key)) => {
                self.layers.insert((row.place, key), row.name);
                true
            }
            _ => false,
        })
    }

    #[must_use]
    pub fn look(&self, place: Place, prefix: Option<Key>, key: Key) -> Lookup {
        let key = Key { repeat: false, ..key };
        for place in [place, Place::Global] {
            let found = match prefix {
                Some(first) => self.two.get(&(place, first, key)),
                None => self.one.get(&(place, key)),
            };
            if let Some(command) = found {
                return Lookup::Command(*command);
            }
            if prefix.is_none() && self.two.keys().any(|(at, first, _)| *at == place && *first == key) {
                return Lookup::Prefix;
            }
        }
        Lookup::Nothing
    }

    /// The first key of a command as a footer names it; None where it has none.
    #[must_use]
    pub fn key_of(&self, command: Command) -> Option<Key> {
        // The default where it still holds, since a map has no order.
        let mut bound: Vec<Key> =
            self.one.iter().filter(|(_, bound)| **bound == command).map(|((_, key), _)| *key).collect();
        bound.sort_by_key(|key| (key.code, key.mods));
        let first = command
            .info()
            .and_then(|info| info.keys.iter().filter_map(|text| Key::parse(text)).find(|key| bound.contains(key)));
        first.or_else(|| bound.first().copied())
    }

    /// The first key of a command with the place where it acts: where it is defined, else another.
    #[must_use]
    pub fn key_at(&self, info: &super::command::CommandInfo) -> Option<(Place, Key)> {
        let key = self.key_of(info.command)?;
        let at = |place: &Place| self.one.get(&(*place, key)) == Some(&info.command);
        let elsewhere = [Place::Global, Place::Composer, Place::Transcript, Place::Panel, Place::Review];
        std::iter::once(info.place).chain(elsewhere).find(at).map(|place| (place, key))
    }

    /// All keys of what `[keys]` calls `name`, as a footer shows them: the defaults that still hold first, single keys
    /// before sequences.
    #[must_use]
    pub fn keys_of(&self, name: &str) -> Vec<String> {
        if let Some(row) = LayerKey::named(name) {
            return self.layer_keys(row).into_iter().map(Key::short).collect();
        }
        let Some(info) = COMMANDS.iter().find(|info| info.name == name) else { return Vec::new() };
        let place = |key: &Key| info.keys.iter().position(|text| Key::parse(text).as_ref() == Some(key));
        let one = self.one.iter().filter(|((at, _), bound)| *at == info.place && **bound == info.command);
        let mut one: Vec<Key> = one.map(|((_, key), _)| *key).collect();
        one.sort_by_key(|key| (place(key).unwrap_or(usize::MAX), key.code, key.mods));
        let two = self.two.iter().filter(|((at, ..), bound)| *at == info.place && **bound == info.command);
        let mut two: Vec<String> =
            two.map(|((_, first, second), _)| format!("{} {}", first.short(), second.short())).collect();
        two.sort();
        one.into_iter().map(Key::short).chain(two).collect()
    }

    /// `text` with each `{place.word}` in it replaced by the key that it has now; None where one of them has none, so
    /// that no hint leads nowhere. Other braces stay.
    #[must_use]
    pub fn spell<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        self.replaced(text, |_, key| key)
    }

    /// The same for a sentence, which must stand in any case: what has no key is called by its slash word.
    #[must_use]
    pub fn tell<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let or_word = |name: &str, key: Option<String>| {
            let info = COMMANDS.iter().find(|info| info.name == name && !info.slash.is_empty());
            Some(key.unwrap_or_else(|| info.map_or_else(|| NO_KEY.to_owned(), |info| format!("/{}", info.slash))))
        };
        self.replaced(text, or_word).unwrap_or(Cow::Borrowed(text))
    }

    fn replaced<'a>(
        &self,
        text: &'a str,
        shown: impl Fn(&str, Option<String>) -> Option<String>,
    ) -> Option<Cow<'a, str>> {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            let (before, after) = rest.split_at(at);
            out.push_str(before);
            let name = after[1..].split_once('}').map(|(name, _)| name).filter(|name| is_name(name));
            let taken = match name {
                Some(name) => {
                    out.push_str(&shown(name, self.keys_of(name).into_iter().next())?);
                    name.len() + 2
                }
                None => {
                    out.push('{');
                    1
                }
            };
            rest = &after[taken..];
        }
        if rest.len() == text.len() {
            return Some(Cow::Borrowed(text));
        }
        out.push_str(rest);
        Some(Cow::Owned(out))
    }
}

impl From<crate::config::KeyChord> for Key {
    fn from(chord: crate::config::KeyChord) -> Self {
        use crate::config::KeyCode as Code;
        let code = match chord.code {
            Code::Char(c) => KeyCode::Char(c),
            Code::Enter => KeyCode::Enter,
            Code::Tab => KeyCode::Tab,
            Code::Backspace => KeyCode::Backspace,
            Code::Delete => KeyCode::Delete,
            Code::Insert => KeyCode::Insert,
            Code::Esc => KeyCode::Esc,
            Code::Up => KeyCode::Up,
            Code::Down => KeyCode::Down,
            Code::Left => KeyCode::Left,
            Code::Right => KeyCode::Right,
            Code::Home => KeyCode::Home,
            Code::End => KeyCode::End,
            Code::PageUp => KeyCode::PageUp,
            Code::PageDown => KeyCode::PageDown,
            Code::F(n) => KeyCode::F(n),
        };
        Key::new(code, super::key::Mods { ctrl: chord.ctrl, alt: chord.alt, shift: chord.shift })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_key_is_read_and_none_is_bound_twice() {
        let mut seen = HashMap::new();
        for info in COMMANDS {
            for keys in info.keys {
                assert!(keys.split(' ').all(|key| Key::parse(key).is_some()), "{keys}");
                let before = seen.insert((info.place, *keys), info.name);
                assert_eq!(before, None, "{keys} in {:?}", info.place);
            }
        }
        let mut names: Vec<_> = COMMANDS.iter().map(|info| info.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), COMMANDS.len());
    }

    #[test]
    fn the_configurations_defaults_are_these_and_each_of_its_names_is_known() {
        let keys = crate::config::Keymap::default();
        let map = Keymap::configured(&keys);
        for row in LAYER_KEYS {
            assert!(keys.bindings.contains_key(row.name), "{} cannot be given a key", row.name);
        }
        for info in COMMANDS {
            assert!(keys.bindings.contains_key(info.name), "{} cannot be given a key", info.name);
        }
        for (name, sequences) in &keys.bindings {
            // These two type, and the composer sees them there.
            if matches!(name.as_str(), "composer.commands" | "composer.mention") {
                continue;
            }
            if let Some(row) = LayerKey::named(name) {
                let defaults = row.keys.iter().map(|text| vec![Key::parse(text).unwrap()]).collect::<Vec<_>>();
                let bound = sequences.iter().map(|all| all.iter().copied().map(Key::from).collect::<Vec<_>>());
                assert_eq!(bound.collect::<Vec<_>>(), defaults, "{name}");
                continue;
            }
            let Some(info) = COMMANDS.iter().find(|info| info.name == name) else { panic!("{name} is no command") };
            for chords in sequences {
                let keys: Vec<Key> = chords.iter().copied().map(Key::from).collect();
                let prefix = (keys.len() == 2).then(|| keys[0]);
                let found = map.look(info.place, prefix, keys[keys.len() - 1]);
                assert_eq!(found, Lookup::Command(info.command), "{name}");
                assert_eq!(Keymap::default().look(info.place, prefix, keys[keys.len() - 1]), found, "{name}");
            }
        }
    }

    #[test]
    fn enter_and_space_never_approve() {
        let mut map = Keymap::default();
        let enter = Key::parse("enter").unwrap();
        assert!(!map.rebind("review.once", &[vec![enter]]));
        assert_eq!(map.look(Place::Review, None, enter), Lookup::Nothing);
        let z = Key::parse("z").unwrap();
        assert!(map.rebind("review.once", &[vec![z]]));
        assert_eq!(map.look(Place::Review, None, z), Lookup::Command(Command::ApproveOnce));
        assert_eq!(map.look(Place::Review, None, Key::parse("y").unwrap()), Lookup::Nothing);
    }

    #[test]
    fn a_hint_names_the_key_that_is_bound_and_none_that_is_not() {
        let mut map = Keymap::default();
        let key = |text: &str| Key::parse(text).unwrap();
        assert_eq!(map.spell("{app.tools} tools").as_deref(), Some("^T tools"));
        assert_eq!(map.spell("{list.down}/{list.up}").as_deref(), Some("j/k"));
        assert_eq!(map.spell("{transcript.previous_block} {x} {").as_deref(), Some("{ {x} {"), "other braces stay");
        assert!(map.rebind("app.tools", &[vec![key("f5")]]) && map.rebind("list.up", &[vec![key("p")]]));
        assert_eq!(map.spell("{app.tools} tools").as_deref(), Some("f5 tools"));
        assert_eq!(map.spell("{list.down}/{list.up}").as_deref(), Some("j/p"));
        assert!(map.rebind("app.tools", &[]) && map.rebind("review.once", &[]));
        assert_eq!(map.spell("{app.tools} tools"), None);
        assert_eq!(map.tell("{app.tools} lists them"), "/tools lists them");
        assert_eq!(map.tell("{review.once} runs it"), "(no key) runs it");
        assert!(map.rebind("composer.editor", &[vec![key("ctrl+x"), key("ctrl+e")]]));
        assert_eq!(map.keys_of("composer.editor"), ["^X ^E"]);
        assert_eq!(map.keys_of("composer.newline"), ["shift+enter", "alt+enter", "^J"]);
    }

    #[test]
    fn two_keys_make_one_command() {
        let map = Keymap::default();
        let (x, e) = (Key::parse("ctrl+x").unwrap(), Key::parse("ctrl+e").unwrap());
        assert_eq!(map.look(Place::Composer, None, x), Lookup::Prefix);
        assert_eq!(map.look(Place::Composer, Some(x), e), Lookup::Command(Command::Editor));
    }
}
