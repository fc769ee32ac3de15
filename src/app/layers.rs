//! The keys of layers and modes: what they do is done by the layer itself, so that each is named by its default key.
//!
//! A layer sees the default key of what a person bound; [`Keymap::canonical`] is where one becomes the other. So a layer's
//! own keys stand in its own file, and `[keys]`, the check for clashes, the footer and the help hold for them all.
//!
//! # Invariants
//! - A key that was given to something else, or taken away, is none for the layer.
//! - Enter and space never say yes, whatever the configuration says.

use super::key::{Key, KeyCode};
use super::keymap::{Keymap, Place};
use super::overlay::{InquiryStep, Overlay};

/// One thing that a layer does by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerKey {
    /// As `[keys]` names it: place and word.
    pub name: &'static str,
    pub place: Place,
    /// The default keys; the layer knows it by any of them.
    pub keys: &'static [&'static str],
    pub label: &'static str,
}

const fn row(place: Place, name: &'static str, keys: &'static [&'static str], label: &'static str) -> LayerKey {
    LayerKey { name, place, keys, label }
}

use Place::{Browser, Detail, Fault, Import, List, Models, Offered, Question, Servers, SignIn, Timeline, Usage, Vi};

/// All of them, place by place.
pub const LAYER_KEYS: &[LayerKey] = &[
    row(List, "list.up", &["k", "up"], "up"),
    row(List, "list.down", &["j", "down"], "down"),
    row(List, "list.page_up", &["pgup"], "page up"),
    row(List, "list.page_down", &["pgdn"], "page down"),
    row(List, "list.top", &["g", "home"], "to the beginning"),
    row(List, "list.end", &["G", "end"], "to the end"),
    row(List, "list.close", &["q"], "close, where it is only read"),
    row(Browser, "browser.search", &["/"], "search"),
    row(Browser, "browser.scope", &["tab"], "this folder's, or all"),
    row(Browser, "browser.sort", &["s"], "sort by another column"),
    row(Browser, "browser.filter", &["ctrl+f"], "any model, or that of this row"),
    row(Browser, "browser.prompts", &["ctrl+r"], "earlier prompts"),
    row(Browser, "browser.mark", &["space"], "mark: keys act on all that are marked"),
    row(Browser, "browser.preview", &["v"], "the preview alone"),
    row(Browser, "browser.next_match", &["n"], "next match in the preview"),
    row(Browser, "browser.previous_match", &["N"], "previous match in the preview"),
    row(Browser, "browser.rename", &["r"], "rename"),
    row(Browser, "browser.pin", &["p"], "pin"),
    row(Browser, "browser.delete", &["d"], "delete, kept for 30 days"),
    row(Browser, "browser.erase", &["D"], "erase for good"),
    row(Browser, "browser.undo", &["u"], "bring back what was deleted"),
    row(Browser, "browser.export", &["x"], "export"),
    row(Models, "models.search", &["/"], "search"),
    row(Models, "models.facts", &["i"], "all that is known of it"),
    row(Models, "models.favourite", &["f"], "mark as favourite"),
    row(Models, "models.favourites", &["F"], "favourites alone"),
    row(Models, "models.default", &["d"], "begin with it from now on"),
    row(Models, "models.refresh", &["R"], "ask every endpoint again"),
    row(Models, "models.usage", &["u"], "usage"),
    row(Servers, "servers.add", &["n"], "add a server"),
    row(Servers, "servers.import", &["i"], "bring the servers of other clients"),
    row(Servers, "servers.words", &["w"], "what it says of its own use"),
    row(Servers, "servers.tools", &["v"], "its tools"),
    row(Servers, "servers.log", &["l"], "its log"),
    row(Servers, "servers.restart", &["r"], "restart"),
    row(Servers, "servers.refresh", &["f"], "ask for its tools again"),
    row(Servers, "servers.off", &["o"], "on or off"),
    row(Servers, "servers.trust", &["t"], "believe its hints, or no longer"),
    row(Servers, "servers.sign_in", &["s"], "sign in"),
    row(Servers, "servers.sign_out", &["u"], "sign out"),
    row(Servers, "servers.config", &["c"], "its entry in the configuration"),
    row(Servers, "servers.accept", &["A"], "accept the changes, once read to their end"),
    row(Servers, "servers.ask_log", &["a"], "in its log: ask for another level; in its folders: add one"),
    row(Servers, "servers.folders", &["d"], "its folders"),
    row(Servers, "servers.take_out", &["x"], "in its folders: take one out"),
    row(Servers, "servers.other_log", &["tab"], "in its log: standard error or messages"),
    row(Servers, "servers.level_1", &["1"], "in its log: from debug on"),
    row(Servers, "servers.level_2", &["2"], "in its log: from info on"),
    row(Servers, "servers.level_3", &["3"], "in its log: from warning on"),
    row(Servers, "servers.level_4", &["4"], "in its log: errors"),
    row(Offered, "offered.search", &["/"], "search"),
    row(Offered, "offered.switch", &["space"], "offer it or not"),
    row(Offered, "offered.find_tools", &["f"], "find_tools on or off"),
    row(Import, "import.switch", &["space"], "bring it or not"),
    row(Import, "import.all", &["a"], "all or none"),
    row(Detail, "detail.page_down", &["space"], "page down"),
    row(Detail, "detail.page_up", &["b"], "page up"),
    row(Detail, "detail.find", &["/"], "find"),
    row(Detail, "detail.find_next", &["n"], "next match"),
    row(Detail, "detail.find_previous", &["N"], "previous match"),
    row(Detail, "detail.raw", &["r"], "raw bytes"),
    row(Detail, "detail.wrap", &["w"], "wrap long lines"),
    row(Detail, "detail.told", &["m"], "what the model was told"),
    row(Detail, "detail.log", &["l"], "what its server said meanwhile"),
    row(Detail, "detail.pretty", &["p"], "as a tree"),
    row(Detail, "detail.unfold", &["+", "="], "unfold all of the tree"),
    row(Detail, "detail.fold", &["-"], "fold all of the tree"),
    row(Detail, "detail.timeline", &["t"], "timeline"),
    row(Detail, "detail.copy_result", &["y"], "copy the result"),
    row(Detail, "detail.copy_arguments", &["a"], "copy the arguments"),
    row(Detail, "detail.editor", &["e"], "result in $EDITOR"),
    row(Detail, "detail.save", &["s"], "save the result to a file"),
    row(Detail, "detail.cancel", &["x"], "cancel this call"),
    row(Detail, "detail.again", &["R"], "run this call again, by review"),
    row(Timeline, "timeline.previous_turn", &["["], "previous turn"),
    row(Timeline, "timeline.next_turn", &["]"], "next turn"),
    row(Timeline, "timeline.closer", &["+", "="], "closer"),
    row(Timeline, "timeline.wider", &["-"], "wider"),
    row(Timeline, "timeline.copy", &["y"], "copy as text"),
    row(Timeline, "timeline.json", &["e"], "write as JSON"),
    row(Usage, "usage.copy", &["y"], "copy as text"),
    row(Usage, "usage.models", &["m"], "another model"),
    row(Question, "question.no", &["n"], "no"),
    row(Question, "question.yes", &["y"], "yes"),
    row(Question, "question.session", &["s"], "yes, in this session"),
    row(Question, "question.always", &["A"], "yes, from now on"),
    row(Question, "question.copy", &["c"], "copy the address"),
    row(Question, "question.edit", &["e"], "edit the answer"),
    row(SignIn, "sign_in.open", &["o"], "open the page"),
    row(SignIn, "sign_in.copy", &["y"], "copy the address"),
    row(SignIn, "sign_in.paste", &["p"], "paste the answer"),
    row(SignIn, "sign_in.again", &["r"], "try again"),
    row(Fault, "fault.retry", &["r"], "after an error: ask again"),
    row(Fault, "fault.key", &["k"], "after an error: another key"),
    row(Fault, "fault.endpoint", &["m"], "after an error: another endpoint"),
    row(Fault, "fault.continue", &["c"], "after a cut: let the model go on"),
    row(Vi, "vi.command", &["esc"], "from inserting to commanding"),
    row(Vi, "vi.left", &["h"], "left"),
    row(Vi, "vi.right", &["l", "space"], "right"),
    row(Vi, "vi.up", &["k"], "up"),
    row(Vi, "vi.down", &["j"], "down"),
    row(Vi, "vi.word", &["w"], "word right"),
    row(Vi, "vi.word_back", &["b"], "word left"),
    row(Vi, "vi.word_end", &["e"], "word's end"),
    row(Vi, "vi.line_start", &["0", "^"], "line start"),
    row(Vi, "vi.line_end", &["$"], "line end"),
    row(Vi, "vi.first_line", &["g"], "twice: first line"),
    row(Vi, "vi.last_line", &["G"], "last line"),
    row(Vi, "vi.insert", &["i"], "insert"),
    row(Vi, "vi.append", &["a"], "append"),
    row(Vi, "vi.insert_start", &["I"], "insert at the line's start"),
    row(Vi, "vi.append_end", &["A"], "append at the line's end"),
    row(Vi, "vi.open_below", &["o"], "new line below"),
    row(Vi, "vi.open_above", &["O"], "new line above"),
    row(Vi, "vi.delete_right", &["x"], "delete right"),
    row(Vi, "vi.delete_left", &["X"], "delete left"),
    row(Vi, "vi.delete_end", &["D"], "delete to the line's end"),
    row(Vi, "vi.change_end", &["C"], "change to the line's end"),
    row(Vi, "vi.substitute", &["S"], "change the line"),
    row(Vi, "vi.delete", &["d"], "delete, with a motion or twice"),
    row(Vi, "vi.change", &["c"], "change, with a motion or twice"),
    row(Vi, "vi.yank", &["y"], "yank, with a motion or twice"),
    row(Vi, "vi.paste", &["p"], "paste behind"),
    row(Vi, "vi.paste_before", &["P"], "paste before"),
    row(Vi, "vi.undo", &["u"], "undo"),
    row(Vi, "vi.redo", &["ctrl+r"], "redo"),
];

/// A key that no terminal sends: it means nothing anywhere.
const NO_KEY: KeyCode = KeyCode::Char('\0');

impl LayerKey {
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        LAYER_KEYS.iter().find(|row| row.name == name)
    }

    fn defaults(&self) -> impl Iterator<Item = Key> {
        self.keys.iter().filter_map(|text| Key::parse(text))
    }

    /// Whether it lets something happen that a person is asked about.
    pub(super) fn approves(&self) -> bool {
        matches!(self.name, "question.yes" | "question.session" | "question.always" | "servers.accept")
    }
}

impl Keymap {
    /// The key by which the layer at `place` knows what `key` is bound to there, else in lists; the key itself where it
    /// is bound to nothing.
    #[must_use]
    pub fn canonical(&self, place: Place, key: Key) -> Key {
        let pressed = Key { repeat: false, ..key };
        let places = if place == Place::Vi || place == Place::Fault { [place, place] } else { [place, Place::List] };
        for place in places {
            if let Some(name) = self.layers.get(&(place, pressed)) {
                let Some(row) = LayerKey::named(name) else { continue };
                // Of its default keys each is told apart: an arrow may do more than its letter.
                let meant = row.defaults().find(|default| *default == pressed).or_else(|| row.defaults().next());
                return meant.map_or(key, |meant| Key { repeat: key.repeat, ..meant });
            }
        }
        let taken = LAYER_KEYS
            .iter()
            .filter(|row| places.contains(&row.place))
            .any(|row| row.defaults().any(|default| default == pressed));
        if taken { Key { code: NO_KEY, ..key } } else { key }
    }

    /// The same where text is being written: letters stay letters.
    pub(super) fn canonical_in_text(&self, place: Place, key: Key) -> Key {
        let meant = self.canonical(place, key);
        if key.typed().is_some() || meant.typed().is_some() || meant.code == NO_KEY { key } else { meant }
    }

    /// What is bound to a layer's key now, the defaults that still hold first.
    #[must_use]
    pub fn layer_keys(&self, row: &LayerKey) -> Vec<Key> {
        let mut bound: Vec<Key> = self
            .layers
            .iter()
            .filter(|((place, _), name)| *place == row.place && **name == row.name)
            .map(|((_, key), _)| *key)
            .collect();
        bound.sort_by_key(|key| {
            (row.defaults().position(|default| default == *key).unwrap_or(usize::MAX), key.code, key.mods)
        });
        bound
    }
}

impl Overlay {
    /// Whose keys are pressed in it now, and whether letters are text; None where it has none of its own.
    #[must_use]
    pub fn keys_at(&self) -> Option<(Place, bool)> {
        Some(match self {
            Self::Browser(layer) => (Place::Browser, layer.editing),
            Self::Models(layer) => (Place::Models, layer.editing && !layer.details),
            Self::Servers(_) => (Place::Servers, false),
            Self::Tools(layer) => (Place::Offered, layer.editing),
            Self::Import(_) => (Place::Import, false),
            Self::Detail(layer) => (Place::Detail, layer.editing),
            Self::Timeline(_) => (Place::Timeline, false),
            Self::Usage(_) => (Place::Usage, false),
            Self::Help(layer) => (Place::List, layer.editing),
            Self::Consent(_) | Self::Confirm(_) => (Place::Question, false),
            Self::Inquiry(layer) => match layer.step {
                InquiryStep::Form(_) => return None,
                InquiryStep::Address(_) | InquiryStep::Sample { .. } | InquiryStep::Roots { .. } => {
                    (Place::Question, false)
                }
            },
            Self::SignIn(layer) => (Place::SignIn, layer.typing),
            // A review's are commands, and these are written in.
            Self::Review(_)
            | Self::Fill(_)
            | Self::Ask(_)
            | Self::Prompts(_)
            | Self::Palette(_)
            | Self::Roles(_)
            | Self::Settings(_)
            | Self::Welcome(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::tests::desk;

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn by_default_every_key_is_itself_and_none_is_bound_twice() {
        let map = Keymap::default();
        for row in LAYER_KEYS {
            for text in row.keys {
                assert_eq!(map.canonical(row.place, key(text)), key(text), "{} {text}", row.name);
                assert_eq!(map.layers.get(&(row.place, key(text))), Some(&row.name));
            }
            assert_eq!(map.keys_of(row.name), row.keys.iter().map(|text| key(text).short()).collect::<Vec<_>>());
        }
        // What a layer has of its own it may have in common with lists only where it means the same.
        let clash = |row: &&LayerKey| row.place != List && row.place != Vi && row.place != Fault;
        for row in LAYER_KEYS.iter().filter(clash) {
            let list = LAYER_KEYS.iter().filter(|list| list.place == List);
            assert!(list.flat_map(|list| list.keys).all(|one| !row.keys.contains(one)), "{}", row.name);
        }
    }

    #[test]
    fn a_rebound_key_is_the_layers_own_and_the_old_one_is_none() {
        let mut map = Keymap::default();
        assert!(map.rebind("browser.erase", &[vec![key("ctrl+x")]]));
        assert_eq!(map.canonical(Browser, key("ctrl+x")), key("D"));
        assert_eq!(map.canonical(Browser, key("D")).code, NO_KEY);
        assert_eq!(map.canonical(Browser, key("d")), key("d"));
        assert_eq!(map.keys_of("browser.erase"), ["^X"]);
        assert!(map.rebind("list.down", &[vec![key("t")]]));
        assert_eq!(map.canonical(Browser, key("t")), key("j"));
        assert_eq!(map.canonical_in_text(Browser, key("t")), key("t"));
        assert!(map.rebind("browser.erase", &[]));
        assert_eq!((map.keys_of("list.down"), map.keys_of("browser.erase")), (vec!["t".to_owned()], vec![]));
    }

    #[test]
    fn enter_and_space_never_say_yes() {
        let mut map = Keymap::default();
        for name in ["question.yes", "question.session", "question.always", "servers.accept"] {
            for bad in ["enter", "space"] {
                assert!(!map.rebind(name, &[vec![key(bad)]]), "{name} {bad}");
                assert_eq!(map.canonical(Question, key(bad)).typed().filter(|c| *c != ' '), None);
            }
        }
    }

    #[test]
    fn vi_and_lists_go_by_what_is_bound() {
        let mut desk = desk();
        desk.state.composer.use_vi(true);
        desk.state.keymap.rebind("vi.delete_right", &[vec![key("z")]]);
        desk.keys("abc<esc>z");
        assert_eq!(desk.text(), "ab");
        desk.keys("x");
        assert_eq!(desk.text(), "ab", "x was taken away");
        desk.keys("<esc><ctrl+u>");
        desk.state.keymap.rebind("list.end", &[vec![key("z")]]);
        desk.keys("<f1>");
        desk.state.layout.list = crate::app::ListLayout { lines: 90, page: 10, top: 0 };
        desk.keys("z");
        let Some(Overlay::Help(help)) = desk.state.overlays.last() else { panic!("{:?}", desk.state.overlays) };
        assert_eq!(help.scroll, 80);
    }
}
