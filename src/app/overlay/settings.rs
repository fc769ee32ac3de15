//! The configuration as a list: each key with what holds, changed in the file, comments and order kept.

use std::collections::BTreeMap;

use super::{Flow, motion};
use crate::app::completion::ranked;
use crate::app::effect::Effect;
use crate::app::key::{Key, KeyCode};
use crate::app::line::LineEdit;
use crate::app::state::State;
use crate::chat::Fault;
pub use crate::config::{SettingInfo, SettingKind};
use crate::config::{settings, text_of};

#[derive(Clone, Debug)]
pub struct Settings {
    pub search: LineEdit,
    all: Vec<SettingInfo>,
    /// Which of them are shown, by their place in all.
    rows: Vec<usize>,
    pub selected: usize,
    /// What the file says, as TOML; None while it is read.
    pub written: Option<BTreeMap<String, String>>,
    /// The value that is being written.
    pub line: Option<LineEdit>,
    /// Why the last change was not made.
    pub refused: Option<String>,
    pub(crate) generation: u64,
}

impl Settings {
    pub(in crate::app) fn new(generation: u64) -> Self {
        let all = settings();
        let rows = (0..all.len()).collect();
        Self {
            search: LineEdit::default(),
            all,
            rows,
            selected: 0,
            written: None,
            line: None,
            refused: None,
            generation,
        }
    }

    /// The keys that are shown.
    pub fn rows(&self) -> impl Iterator<Item = &SettingInfo> {
        self.rows.iter().filter_map(|at| self.all.get(*at))
    }

    #[must_use]
    pub fn chosen(&self) -> Option<&SettingInfo> {
        self.all.get(*self.rows.get(self.selected)?)
    }

    /// Chooses a key by its name.
    pub(super) fn go_to(&mut self, key: &str) {
        let place = self.rows().position(|info| info.key == key);
        self.selected = place.unwrap_or(self.selected);
    }

    /// What holds for a key, as TOML, and whether the file says so.
    #[must_use]
    pub fn value<'a>(&'a self, info: &'a SettingInfo) -> (&'a str, bool) {
        match self.written.as_ref().and_then(|written| written.get(&info.key)) {
            Some(value) => (value, true),
            None => (info.default, false),
        }
    }

    pub(super) fn filter(&mut self) {
        let all = &self.all;
        let names = all.iter().enumerate().map(|(at, info)| (at, info.key.as_str()));
        self.rows = ranked(&self.search.text, names, |(_, name)| name).into_iter().map(|(at, _)| at).collect();
        // Words of the explanation come behind names, and only whole ones.
        let words = self.search.text.trim().to_lowercase();
        for (at, info) in all.iter().enumerate() {
            if info.doc.to_lowercase().contains(&words) && !self.rows.contains(&at) {
                self.rows.push(at);
            }
        }
        self.selected = 0;
    }

    /// What the file says; `themes` are the person's own.
    pub(in crate::app) fn read(&mut self, generation: u64, written: BTreeMap<String, String>, themes: &[String]) {
        if generation != self.generation {
            return;
        }
        self.written = Some(written);
        for info in self.all.iter_mut().filter(|info| info.key == "ui.theme") {
            let built_in = crate::config::BUILT_IN_THEMES.iter().map(|name| (*name).to_owned());
            info.kind = SettingKind::Choice(built_in.chain(themes.iter().cloned()).collect());
        }
    }

    /// A change was made in the file, or why not.
    pub(in crate::app) fn changed(&mut self, key: &str, value: Option<&str>, result: &Result<(), Fault>) {
        match (result, &mut self.written) {
            (Ok(()), Some(written)) => {
                match value {
                    Some(value) => drop(written.insert(key.to_owned(), value.to_owned())),
                    None => drop(written.remove(key)),
                }
                (self.line, self.refused) = (None, None);
            }
            (Ok(()), None) => {}
            (Err(fault), _) => self.refused = Some(fault.message.clone()),
        }
    }

    pub(super) fn key(&mut self, key: Key, state: &State, out: &mut Vec<Effect>) -> Flow {
        if let Some(line) = &mut self.line {
            match key.code {
                KeyCode::Esc => (self.line, self.refused) = (None, None),
                KeyCode::Enter => {
                    let text = line.text.trim().to_owned();
                    if let Some(info) = self.chosen() {
                        let value = match info.kind {
                            _ if text.is_empty() => None,
                            SettingKind::Text => Some(quoted(&text)),
                            SettingKind::Switch | SettingKind::Choice(_) | SettingKind::Value => Some(bare(&text)),
                        };
                        out.push(Effect::SetSetting { key: info.key.clone(), value });
                    }
                }
                _ if line.key(key) => self.refused = None,
                _ => return Flow::Pass,
            }
            return Flow::Stay;
        }
        match key.code {
            KeyCode::Enter => self.change(true, out),
            KeyCode::Right if self.search.text.is_empty() => self.change(true, out),
            KeyCode::Left if self.search.text.is_empty() => self.change(false, out),
            KeyCode::Delete if self.search.text.is_empty() => {
                if let Some(info) = self.chosen().filter(|info| self.value(info).1) {
                    out.push(Effect::SetSetting { key: info.key.clone(), value: None });
                }
            }
            _ => {
                if let Some(motion) = motion(key, false) {
                    self.selected = motion.row(self.selected, self.rows.len(), state.layout.list.page);
                    self.refused = None;
                } else if self.search.key(key) {
                    self.refused = None;
                    self.filter();
                } else {
                    return Flow::Pass;
                }
            }
        }
        Flow::Stay
    }

    /// The next value of what has few, a field for the rest.
    fn change(&mut self, forward: bool, out: &mut Vec<Effect>) {
        // Before the file was read, what it says is not known.
        if self.written.is_none() {
            return;
        }
        let Some(info) = self.chosen() else { return };
        let (value, _) = self.value(info);
        let now = text_of(value).unwrap_or_else(|| value.to_owned());
        let next = match &info.kind {
            SettingKind::Switch => (if now == "true" { "false" } else { "true" }).to_owned(),
            SettingKind::Choice(words) => {
                let at = words.iter().position(|word| *word == now).unwrap_or(0);
                let next = if forward { at + 1 } else { at + words.len() - 1 };
                words.get(next % words.len().max(1)).map(|word| quoted(word)).unwrap_or_default()
            }
            SettingKind::Text | SettingKind::Value => {
                if forward && now.contains(char::is_control) {
                    let why = "It has several lines, or signs that one line cannot show. /config opens the file.";
                    self.refused = Some(why.to_owned());
                } else if forward {
                    self.line = Some(LineEdit::with(now));
                }
                return;
            }
        };
        out.push(Effect::SetSetting { key: info.key.clone(), value: Some(next) });
    }

    pub(super) fn paste(&mut self, text: &str) {
        match &mut self.line {
            Some(line) => line.insert(text.trim()),
            None => {
                self.search.insert(text);
                self.filter();
            }
        }
    }
}

/// A text as a TOML string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A number as it is, `10 s` in quotation marks.
fn bare(text: &str) -> String {
    let number = text.parse::<f64>().is_ok();
    if number || text.starts_with('"') || matches!(text, "true" | "false") { text.to_owned() } else { quoted(text) }
}

impl State {
    pub(in crate::app) fn open_settings(&mut self, out: &mut Vec<Effect>) {
        let generation = self.session.fresh();
        self.overlays.push(super::Overlay::Settings(Box::new(Settings::new(generation))));
        out.push(Effect::Settings { generation });
    }

    /// A setting was written: what can hold at once does.
    pub(in crate::app) fn set(
        &mut self,
        key: &str,
        value: Option<&str>,
        result: &Result<(), Fault>,
        out: &mut Vec<Effect>,
    ) {
        for overlay in &mut self.overlays {
            if let super::Overlay::Settings(list) = overlay {
                list.changed(key, value, result);
            }
        }
        if result.is_err() {
            return;
        }
        let on = |default: bool| value.map_or(default, |value| value == "true");
        match key {
            "ui.theme" | "ui.glyphs" => {
                let name = value.map(|value| text_of(value).unwrap_or_else(|| value.to_owned()));
                out.push(if key == "ui.theme" {
                    Effect::Theme { theme: Some(name.unwrap_or_else(|| "auto".into())), glyphs: None }
                } else {
                    Effect::Theme { theme: None, glyphs: Some(name.unwrap_or_else(|| "auto".into())) }
                });
            }
            "ui.mouse" => {
                self.status.mouse = on(true);
                out.push(Effect::MouseCapture(self.status.mouse));
            }
            "ui.panel" => self.panel.hidden = !on(true),
            "ui.reasoning" => self.transcript.unfolded = on(false),
            "ui.notify_details" => self.session.notify_details = on(false),
            "ui.motion" => self.session.still = !on(true),
            "ui.editing" => self.composer.use_vi(value == Some("\"vi\"")),
            _ => self.say(format!("{key} is written down; it holds from the next start on"), out),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Opens the field of `system`, which the file says so; what a second enter writes, or why there is no field.
    fn entered(toml: &str) -> Result<(String, String), String> {
        let mut list = Settings::new(1);
        list.read(1, BTreeMap::from([("system".to_owned(), toml.to_owned())]), &[]);
        let place = list.rows().position(|info| info.key == "system");
        list.selected = place.unwrap();
        let (state, mut out) = (State::new(crate::app::Session::default()), Vec::new());
        list.key(Key::plain(KeyCode::Enter), &state, &mut out);
        let Some(line) = list.line.as_ref().map(|line| line.text.clone()) else { return Err(list.refused.unwrap()) };
        list.key(Key::plain(KeyCode::Enter), &state, &mut out);
        match &out[..] {
            [Effect::SetSetting { value: Some(value), .. }] => Ok((line, value.clone())),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_text_is_changed_as_what_it_stands_for() {
        for (toml, text) in [
            (r#""C:\\a \"b\"""#, r#"C:\a "b""#),
            ("'a'", "a"),
            (r"'\d'", r"\d"),
            (r#"'"quoted"'"#, r#""quoted""#),
            (r#""\u00e4""#, "ä"),
        ] {
            let (line, value) = entered(toml).unwrap();
            assert_eq!((line.as_str(), text_of(&value).as_deref()), (text, Some(text)), "{toml}");
        }
    }

    #[test]
    fn a_text_of_several_lines_is_left_to_the_file() {
        for toml in ["\"\"\"\none\ntwo\n\"\"\"", r#""one\ntwo""#] {
            let why = entered(toml).unwrap_err();
            assert!(why.contains("several lines") && why.contains("/config"), "{why}");
        }
    }

    #[test]
    fn values_are_written_as_toml() {
        assert_eq!(quoted("a\"b\\c\u{1b}"), r#""a\"b\\c""#);
        assert_eq!((bare("10 s").as_str(), bare("3").as_str(), bare("0.5").as_str()), ("\"10 s\"", "3", "0.5"));
    }
}
