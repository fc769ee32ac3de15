//! What the parts of a line of code are, by the grammars of `syntect`: comments, strings, names. Which colour each has
//! is for its reader to say: the screen has inks, an exported page has classes.
//!
//! # Invariants
//! - What is told of a line are ranges of that line, in order, which together make it up.
//!
//! # Does not
//! Bound how much is read: grammars backtrack, so a caller gives a line of its own measure, and as many as it has time for.

use std::ops::Range;
use std::sync::OnceLock;

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxSet};

/// What a piece of code is. Closed: a reader gives each its look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Comment,
    Literal,
    Number,
    Function,
    Keyword,
    Type,
    Inserted,
    Deleted,
    Heading,
}

/// The languages. Loading them takes some three milliseconds, once.
#[derive(Debug)]
pub struct Grammars {
    set: SyntaxSet,
    classes: Vec<(Scope, Option<Class>)>,
}

/// Where a grammar stands between two lines.
#[derive(Debug)]
pub struct Position(Box<(ParseState, ScopeStack)>);

impl Grammars {
    /// The one set of them, loaded when it is first asked for.
    #[must_use]
    pub fn get() -> &'static Self {
        static GRAMMARS: OnceLock<Grammars> = OnceLock::new();
        GRAMMARS.get_or_init(|| Self { set: two_face::syntax::extra_newlines(), classes: classes() })
    }

    /// The beginning of code in a language, by its name or file ending; None where there is no grammar for it.
    #[must_use]
    pub fn begin(&self, language: &str) -> Option<Position> {
        let syntax = self.set.find_syntax_by_token(language).filter(|syntax| syntax.name != "Plain Text")?;
        Some(Position(Box::new((ParseState::new(syntax), ScopeStack::new()))))
    }

    /// The pieces of the next line, given without its end; None where the grammar cannot go on, here and for the rest.
    pub fn line(&self, at: &mut Position, line: &str) -> Option<Vec<(Range<usize>, Option<Class>)>> {
        let (parse, scopes) = at.0.as_mut();
        let ops = parse.parse_line(&format!("{line}\n"), &self.set).ok()?;
        let mut pieces: Vec<(Range<usize>, Option<Class>)> = Vec::new();
        let mut push = |range: Range<usize>, class: Option<Class>| match pieces.last_mut() {
            Some((last, of)) if *of == class => last.end = range.end,
            _ => pieces.push((range, class)),
        };
        let mut from = 0;
        for (to, op) in ops {
            let to = to.min(line.len());
            if to > from {
                push(from..to, self.class(scopes));
                from = to;
            }
            scopes.apply(&op).ok()?;
        }
        if from < line.len() {
            push(from..line.len(), self.class(scopes));
        }
        Some(pieces)
    }

    fn class(&self, scopes: &ScopeStack) -> Option<Class> {
        let of = |scope: &Scope| self.classes.iter().find(|(prefix, _)| prefix.is_prefix_of(*scope));
        scopes.as_slice().iter().rev().find_map(of).and_then(|(_, class)| *class)
    }
}

/// The scopes of TextMate grammars that have a class, or expressly none; the first that fits counts.
fn classes() -> Vec<(Scope, Option<Class>)> {
    [
        ("comment", Some(Class::Comment)),
        ("string", Some(Class::Literal)),
        ("constant.numeric", Some(Class::Number)),
        ("constant.character.escape", Some(Class::Number)),
        ("constant", Some(Class::Number)),
        ("entity.name.function", Some(Class::Function)),
        ("support.function", Some(Class::Function)),
        ("variable.function", Some(Class::Function)),
        ("entity.name.tag", Some(Class::Keyword)),
        ("entity.name", Some(Class::Type)),
        ("support.type", Some(Class::Type)),
        ("support.class", Some(Class::Type)),
        ("storage.type", Some(Class::Keyword)),
        ("storage", Some(Class::Keyword)),
        ("keyword.operator", None),
        ("keyword", Some(Class::Keyword)),
        ("markup.inserted", Some(Class::Inserted)),
        ("markup.deleted", Some(Class::Deleted)),
        ("markup.heading", Some(Class::Heading)),
    ]
    .into_iter()
    .filter_map(|(scope, class)| Some((Scope::new(scope).ok()?, class)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_make_up_the_line_and_say_what_they_are() {
        let grammars = Grammars::get();
        let mut at = grammars.begin("rust").expect("a grammar");
        for line in ["fn main() { // say", "    let ü = \"x\\n\"; }", ""] {
            let pieces = grammars.line(&mut at, line).expect("goes on");
            let whole: String = pieces.iter().map(|(range, _)| &line[range.clone()]).collect();
            assert_eq!(whole, line);
        }
        let mut at = grammars.begin("rs").expect("a grammar");
        let pieces = grammars.line(&mut at, "fn f() {} // c").expect("goes on");
        let of = |text: &str| {
            pieces
                .iter()
                .find(|(range, _)| "fn f() {} // c"[range.clone()].trim() == text)
                .and_then(|(_, class)| *class)
        };
        assert_eq!((of("fn"), of("f"), of("() {}")), (Some(Class::Keyword), Some(Class::Function), None));
        assert_eq!(of("// c"), Some(Class::Comment));
        assert!(grammars.begin("no such language").is_none());
    }
}
