//! Keys as plain data: chords, sequences of chords, and which command each means where.
//!
//! # Invariants
//! - Every command has a name `place.command`; the places are `app` (anywhere), `composer`, `transcript`, `panel`,
//!   `review`, those of layers (`browser`, `servers` …), which fall back to `list`, and `fault` and `vi`.
//! - No sequence means two commands in one place, and none begins another.
//! - Enter and space never approve.
//!
//! # Does not
//! Know a terminal library: `tui` turns its events into [`KeyChord`]s.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use super::node::{Node, Raw};
use super::problem::Findings;
use super::spec;

const DEFAULT: &str = include_str!("../../assets/keymap.toml");

/// Commands that let a call run.
const APPROVING: &[&str] = &[
    "review.once",
    "review.session",
    "review.always",
    "question.yes",
    "question.session",
    "question.always",
    "servers.accept",
];

/// Places that are no layers: theirs are commands. Layers fall back to `list`, but for these two.
const NO_LAYERS: &[&str] = &["app", "composer", "transcript", "panel", "review", "list", "fault", "vi"];

/// One key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyChord {
    pub code: KeyCode,
    pub ctrl: bool,
    pub alt: bool,
    pub shift: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KeyCode {
    /// As typed: an upper-case letter carries no `shift`. Space is `Char(' ')`.
    Char(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Insert,
    Esc,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

/// One or two chords, pressed one after the other (`ctrl+x ctrl+e`).
pub type KeySequence = Vec<KeyChord>;

/// Command name (`review.once`) to the sequences that mean it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keymap {
    pub bindings: BTreeMap<String, Vec<KeySequence>>,
}

static BUILT_IN: LazyLock<Keymap> = LazyLock::new(|| {
    let mut keymap = Keymap { bindings: BTreeMap::new() };
    let mut found = Findings::new("assets/keymap.toml".into(), DEFAULT);
    let tree = Node::toml(&mut found);
    for (place, table) in tree.entries() {
        for (command, node) in table.entries() {
            let sequences = sequences(node).unwrap_or_default().into_iter().map(|(_, keys)| keys).collect();
            keymap.bindings.insert(format!("{place}.{command}"), sequences);
        }
    }
    keymap
});

impl Default for Keymap {
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

/// What some keys mean in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning<'a> {
    /// The command's whole name.
    Command(&'a str),
    /// A longer sequence begins so: wait for the next key.
    Begun,
    Nothing,
}

impl Keymap {
    /// What `keys` mean in `place` (`composer`, `panel` …); the place's own meaning wins over `app`.
    #[must_use]
    pub fn meaning(&self, place: &str, keys: &[KeyChord]) -> Meaning<'_> {
        for place in [place, "app"] {
            let mut begun = false;
            for (name, sequences) in &self.bindings {
                if name.split_once('.').is_none_or(|(at, _)| at != place) {
                    continue;
                }
                for sequence in sequences {
                    if sequence == keys {
                        return Meaning::Command(name);
                    }
                    begun |= sequence.starts_with(keys);
                }
            }
            if begun {
                return Meaning::Begun;
            }
        }
        Meaning::Nothing
    }

    /// The keys of a command as the footer and the help show them: `ctrl+g`; None where it has none.
    #[must_use]
    pub fn hint(&self, command: &str) -> Option<String> {
        self.bindings.get(command)?.first().map(|keys| show(keys))
    }

    /// Takes the user's `[keys]`; what cannot be is reported.
    pub(super) fn apply(&mut self, table: &Node, found: &mut Findings<'_>) {
        for (name, node) in table.entries() {
            match &node.value {
                // `review.once = "y"` unquoted is a table `review` in TOML.
                Raw::Map(inner) => {
                    for (command, node) in inner {
                        self.bind(&format!("{name}.{command}"), node, found);
                    }
                }
                Raw::Text(_) | Raw::List(_) | Raw::Int(_) | Raw::Float(_) | Raw::Bool(_) => {
                    self.bind(name, node, found)
                }
            }
        }
        self.conflicts(table, found);
    }

    fn bind(&mut self, command: &str, node: &Node, found: &mut Findings<'_>) {
        let Some(bound) = self.bindings.get_mut(command) else {
            let shown: String = command.chars().filter(|c| !c.is_control()).take(60).collect();
            let near = spec::nearest(command, BUILT_IN.bindings.keys().map(String::as_str));
            let label = near.map_or_else(|| "not a command".to_owned(), |near| format!("did you mean `{near}`?"));
            found.error(&node.key, false, format!("unknown command `{shown}` in [keys]"), label);
            return;
        };
        let place = command.split('.').next().unwrap_or("");
        let sequences = match sequences(node) {
            Ok(sequences) => sequences,
            Err((span, why)) => {
                found.error(
                    &span,
                    false,
                    format!("`keys.{command}` {why}"),
                    "expected a key as \"ctrl+t\", \"f2\", \"x\", or a list of keys",
                );
                return;
            }
        };
        for (span, keys) in &sequences {
            let enters = |k: &KeyChord| matches!(k.code, KeyCode::Enter | KeyCode::Char(' '));
            // Control-M and control-J are what many terminals send for enter, control-space for space.
            let as_enter = |k: &KeyChord| k.ctrl && matches!(k.code, KeyCode::Char('m' | 'j'));
            if APPROVING.contains(&command) && keys.iter().any(|k| enters(k) || as_enter(k)) {
                found.error(
                    span,
                    false,
                    format!("`keys.{command}`: enter and space can never approve"),
                    "choose another key",
                );
                return;
            }
            let types = keys.first().is_some_and(|k| {
                matches!(k.code, KeyCode::Char(c) if c.is_alphanumeric() || c == ' ') && !k.ctrl && !k.alt
            });
            let commands = matches!(place, "app" | "composer" | "transcript" | "panel" | "review");
            if keys.len() > 1 && !commands {
                found.error(span, false, format!("`keys.{command}` takes one key, not two"), "choose a single key");
                return;
            }
            if (matches!(place, "app" | "composer") || command == "vi.command") && types {
                found.error(
                    span,
                    false,
                    format!("`keys.{command}`: this key types in the composer"),
                    "add ctrl or alt, or use a function key",
                );
                return;
            }
        }
        *bound = sequences.into_iter().map(|(_, keys)| keys).collect();
    }

    fn conflicts(&self, table: &Node, found: &mut Findings<'_>) {
        let list: Vec<_> =
            self.bindings.iter().flat_map(|(name, all)| all.iter().map(move |keys| (name, keys))).collect();
        for (i, (name, keys)) in list.iter().enumerate() {
            for (other, others) in &list[i + 1..] {
                let (one, two) = (name.split('.').next().unwrap_or(""), other.split('.').next().unwrap_or(""));
                // A layer's keys and those of all lists are pressed in the same place.
                let meet = |layer: &str, list: &str| list == "list" && !NO_LAYERS.contains(&layer);
                let same_place = one == two || meet(one, two) || meet(two, one);
                if !same_place || !(keys.starts_with(others) || others.starts_with(keys)) {
                    continue;
                }
                let at = [other, name].into_iter().find_map(|name| written_at(table, name));
                let Some(at) = at else { continue };
                let short = if keys.len() < others.len() { keys } else { others };
                found.error(
                    &at,
                    false,
                    format!("{:?} means both `{name}` and `{other}`", show(short)),
                    "give one of them another key",
                );
            }
        }
    }
}

fn written_at(table: &Node, command: &str) -> Option<std::ops::Range<usize>> {
    let node = table.get(command).or_else(|| {
        let (place, name) = command.split_once('.')?;
        table.get(place)?.get(name)
    })?;
    Some(node.span.clone())
}

type Spanned = (std::ops::Range<usize>, KeySequence);

fn sequences(node: &Node) -> Result<Vec<Spanned>, (std::ops::Range<usize>, &'static str)> {
    let one = |node: &Node| {
        let text = node.as_text().ok_or((node.span.clone(), "is not a key"))?;
        let keys = text.split_whitespace().map(parse).collect::<Option<KeySequence>>();
        match keys {
            Some(keys) if (1..=2).contains(&keys.len()) => Ok((node.span.clone(), keys)),
            Some(keys) if keys.is_empty() => Err((node.span.clone(), "is empty; [] takes the key away")),
            Some(_) => Err((node.span.clone(), "is more than two keys long")),
            None => Err((node.span.clone(), "is not a key")),
        }
    };
    match &node.value {
        Raw::List(items) => items.iter().map(one).collect(),
        Raw::Text(_) | Raw::Int(_) | Raw::Float(_) | Raw::Bool(_) | Raw::Map(_) => Ok(vec![one(node)?]),
    }
}

/// Reads one chord: `ctrl+t`, `shift+tab`, `alt+enter`, `f2`, `G`, `/`, `space`, `+`.
#[must_use]
pub fn parse(text: &str) -> Option<KeyChord> {
    let mut chord = KeyChord { code: KeyCode::Esc, ctrl: false, alt: false, shift: false };
    let mut rest = text;
    while let Some((modifier, after)) = rest.split_once('+').filter(|(m, after)| !m.is_empty() && !after.is_empty()) {
        let seen = match modifier.to_ascii_lowercase().as_str() {
            "ctrl" | "control" | "c" => &mut chord.ctrl,
            "alt" | "meta" | "option" => &mut chord.alt,
            "shift" => &mut chord.shift,
            _ => return None,
        };
        if std::mem::replace(seen, true) {
            return None;
        }
        rest = after;
    }
    let mut chars = rest.chars();
    chord.code = match (chars.next()?, chars.next()) {
        (c, None) if !c.is_control() => KeyCode::Char(c),
        _ => named(&rest.to_ascii_lowercase())?,
    };
    if let KeyCode::Char(c) = chord.code {
        if chord.shift && c.is_alphabetic() {
            chord.shift = false;
            chord.code = KeyCode::Char(c.to_uppercase().next().unwrap_or(c));
        } else if chord.ctrl && !chord.shift {
            // Terminals send one code for control with either case.
            chord.code = KeyCode::Char(c.to_ascii_lowercase());
        }
    }
    Some(chord)
}

fn named(name: &str) -> Option<KeyCode> {
    Some(match name {
        "enter" | "return" => KeyCode::Enter,
        "space" => KeyCode::Char(' '),
        "tab" => KeyCode::Tab,
        "backspace" => KeyCode::Backspace,
        "delete" | "del" => KeyCode::Delete,
        "insert" | "ins" => KeyCode::Insert,
        "esc" | "escape" => KeyCode::Esc,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "left" => KeyCode::Left,
        "right" => KeyCode::Right,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "pageup" | "pgup" => KeyCode::PageUp,
        "pagedown" | "pgdn" => KeyCode::PageDown,
        _ => KeyCode::F(name.strip_prefix('f')?.parse().ok().filter(|n| (1..=24).contains(n))?),
    })
}

/// A sequence as it is read by [`parse`].
#[must_use]
pub fn show(keys: &[KeyChord]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for KeyChord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (on, word) in [(self.ctrl, "ctrl+"), (self.alt, "alt+"), (self.shift, "shift+")] {
            if on {
                f.write_str(word)?;
            }
        }
        match self.code {
            KeyCode::Char(' ') => f.write_str("space"),
            KeyCode::Char(c) => write!(f, "{c}"),
            KeyCode::F(n) => write!(f, "f{n}"),
            KeyCode::Enter => f.write_str("enter"),
            KeyCode::Tab => f.write_str("tab"),
            KeyCode::Backspace => f.write_str("backspace"),
            KeyCode::Delete => f.write_str("delete"),
            KeyCode::Insert => f.write_str("insert"),
            KeyCode::Esc => f.write_str("esc"),
            KeyCode::Up => f.write_str("up"),
            KeyCode::Down => f.write_str("down"),
            KeyCode::Left => f.write_str("left"),
            KeyCode::Right => f.write_str("right"),
            KeyCode::Home => f.write_str("home"),
            KeyCode::End => f.write_str("end"),
            KeyCode::PageUp => f.write_str("pageup"),
            KeyCode::PageDown => f.write_str("pagedown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn one(text: &str) -> KeyChord {
        parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn the_defaults_are_whole_and_without_conflict() {
        let keymap = Keymap::default();
        assert!(keymap.bindings.len() > 60);
        let keyless: Vec<_> = keymap.bindings.iter().filter(|(_, all)| all.is_empty()).map(|(name, _)| name).collect();
        assert!(keyless.iter().all(|name| name.starts_with("app.")), "only by palette and slash command: {keyless:?}");
        let places = [
            "app",
            "composer",
            "transcript",
            "panel",
            "review",
            "list",
            "browser",
            "models",
            "servers",
            "offered",
            "import",
            "detail",
            "timeline",
            "usage",
            "question",
            "sign_in",
            "fault",
            "vi",
        ];
        for (name, all) in &keymap.bindings {
            assert!(places.contains(&name.split('.').next().unwrap()), "{name}");
            for (other, others) in &keymap.bindings {
                if name < other && name.split('.').next() == other.split('.').next() {
                    assert!(
                        !all.iter().any(|a| others.iter().any(|b| a.starts_with(b) || b.starts_with(a))),
                        "{name} {other}"
                    );
                }
            }
            for keys in all {
                assert_eq!(keys, &show(keys).split(' ').map(one).collect::<Vec<_>>());
            }
        }
        // The defaults pass the very checks that hold for a user's file.
        let text = keymap
            .bindings
            .iter()
            .map(|(name, all)| format!("{name:?} = {:?}\n", all.iter().map(|keys| show(keys)).collect::<Vec<_>>()));
        let special = ["composer.commands", "composer.mention", "composer.help"];
        let text: String = text.filter(|line| !special.iter().any(|s| line.contains(s))).collect();
        let read = Config::parse("k.toml".as_ref(), &format!("[keys]\n{text}")).unwrap().0;
        assert_eq!(read.keymap, keymap);
    }

    #[test]
    fn keys_mean_commands_where_they_are_pressed() {
        let keymap = Keymap::default();
        let check = |place: &str, keys: &str, expect: Meaning<'_>| {
            let keys: Vec<_> = keys.split(' ').map(one).collect();
            assert_eq!(keymap.meaning(place, &keys), expect, "{place} {keys:?}");
        };
        check("review", "y", Meaning::Command("review.once"));
        check("review", "enter", Meaning::Nothing);
        check("review", "space", Meaning::Command("review.page_down"));
        check("panel", "y", Meaning::Command("panel.copy_result"));
        check("panel", "ctrl+t", Meaning::Command("app.tools"));
        check("composer", "ctrl+x", Meaning::Begun);
        check("composer", "ctrl+x ctrl+e", Meaning::Command("composer.editor"));
        check("composer", "x", Meaning::Nothing);
        check("transcript", "G", Meaning::Command("transcript.follow"));
        assert_eq!(keymap.hint("composer.editor").as_deref(), Some("ctrl+g"));
    }

    #[test]
    fn users_rebind_but_never_let_enter_approve() {
        let read = |keys: &str| Config::parse("k.toml".as_ref(), &format!("[keys]\n{keys}\n"));
        let good = read("\"review.once\" = [\"ctrl+y\", \"z\"]\npanel.cancel = []").unwrap().0.keymap;
        assert_eq!(good.bindings["review.once"], vec![vec![one("ctrl+y")], vec![one("z")]]);
        assert_eq!(good.hint("panel.cancel"), None);
        for bad in [
            "review.once = \"enter\"",
            "review.always = \"space\"",
            "review.session = \"ctrl+j\"",
            "review.once = [\"y\", \"alt+enter\"]",
            "review.once = \" \"",
            "review.once = \"n\"",
            "app.tools = \"t\"",
            "app.tools = \"hyper+t\"",
            "app.tools = 3",
            "app.tolls = \"ctrl+t\"",
            "app.tools = \"ctrl+a ctrl+b ctrl+c\"",
            "review.once = \"o\"",
            "question.yes = \"enter\"",
            "servers.accept = \"space\"",
            "browser.erase = \"j\"",
            "list.down = \"D\"",
            "browser.erase = \"ctrl+x d\"",
            "vi.command = \"j\"",
            "vi.left = \"x\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
