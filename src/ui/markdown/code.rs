//! Colours for code, by the grammars of `syntect`, a few lines a frame.
//!
//! Grammars are loaded when code is first seen, one frame later, so that no first frame waits for them.

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxSet};

use crate::text::sanitize;
use crate::ui::ink::{Ink, Row, Tint};

/// Bytes of code that one frame colours at most: about four milliseconds.
const BUDGET: usize = 4 * 1024;

/// Where the grammar stands at a line's start.
#[derive(Debug)]
pub(super) enum LineState {
    Fresh,
    At(Box<(ParseState, ScopeStack)>),
    /// There is no grammar, or the code is too large.
    Never,
}

impl PartialEq for LineState {
    fn eq(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Fresh, Self::Fresh) | (Self::Never, Self::Never) | (Self::At(_), Self::At(_)))
    }
}

#[derive(Debug, Default)]
pub(in crate::ui) struct Highlighter {
    grammars: Option<(SyntaxSet, Vec<(Scope, Ink)>)>,
    /// Code was seen while there were no grammars.
    wanted: bool,
    budget: usize,
    /// Something was left for the next frame.
    pub(in crate::ui) left: bool,
}

impl Highlighter {
    pub(in crate::ui) fn begin_frame(&mut self) {
        if self.wanted && self.grammars.is_none() {
            self.grammars = Some((two_face::syntax::extra_newlines(), inks()));
        }
        self.budget = BUDGET;
        self.left = false;
    }

    /// Whether nothing more is coloured in this frame; then there is more for the next.
    pub(super) fn spent(&mut self) -> bool {
        let spent = self.budget == 0 || (self.grammars.is_none() && self.wanted);
        self.left |= spent;
        spent
    }

    /// One line with its colours; None where it has to wait or there is no grammar (then `state` says so).
    pub(super) fn line(&mut self, language: &str, state: &mut LineState, line: &str) -> Option<Row> {
        let Some((set, inks)) = &self.grammars else {
            self.wanted = true;
            self.left = true;
            return None;
        };
        if self.budget == 0 {
            self.left = true;
            return None;
        }
        self.budget = self.budget.saturating_sub(line.len() + 16);
        if let LineState::Fresh = state {
            *state = match set.find_syntax_by_token(language) {
                Some(syntax) if syntax.name != "Plain Text" => {
                    LineState::At(Box::new((ParseState::new(syntax), ScopeStack::new())))
                }
                _ => LineState::Never,
            };
        }
        let LineState::At(at) = state else { return None };
        let (parse, scopes) = at.as_mut();
        let Ok(ops) = parse.parse_line(&format!("{line}\n"), set) else {
            *state = LineState::Never;
            return None;
        };
        let mut row = Row::new();
        let mut from = 0;
        let push = |row: &mut Row, text: &str, scopes: &ScopeStack| {
            let ink = scopes.as_slice().iter().rev().find_map(|scope| ink_of(inks, *scope)).unwrap_or(Ink::Text);
            row.push_safe(sanitize(text).as_str(), Tint::of(ink));
        };
        for (to, op) in ops {
            let to = to.min(line.len());
            if to > from {
                push(&mut row, &line[from..to], scopes);
                from = to;
            }
            if scopes.apply(&op).is_err() {
                *state = LineState::Never;
                return None;
            }
        }
        push(&mut row, &line[from..], scopes);
        Some(row)
    }
}

fn ink_of(inks: &[(Scope, Ink)], scope: Scope) -> Option<Ink> {
    inks.iter().find(|(prefix, _)| prefix.is_prefix_of(scope)).map(|(_, ink)| *ink)
}

/// The scopes of TextMate grammars that have an ink; the first that fits counts.
fn inks() -> Vec<(Scope, Ink)> {
    [
        ("comment", Ink::Comment),
        ("string", Ink::Literal),
        ("constant.numeric", Ink::Number),
        ("constant.character.escape", Ink::Number),
        ("constant", Ink::Number),
        ("entity.name.function", Ink::Function),
        ("support.function", Ink::Function),
        ("variable.function", Ink::Function),
        ("entity.name.tag", Ink::Keyword),
        ("entity.name", Ink::Type),
        ("support.type", Ink::Type),
        ("support.class", Ink::Type),
        ("storage.type", Ink::Keyword),
        ("storage", Ink::Keyword),
        ("keyword.operator", Ink::Text),
        ("keyword", Ink::Keyword),
        ("markup.inserted", Ink::Good),
        ("markup.deleted", Ink::Bad),
        ("markup.heading", Ink::Accent),
    ]
    .into_iter()
    .filter_map(|(scope, ink)| Some((Scope::new(scope).ok()?, ink)))
    .collect()
}
