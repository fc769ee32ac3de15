//! Blocks of code: each piece in a `span` of its class, where there is a grammar and the code is of a human measure.

use std::fmt::Write as _;

use super::escape_into;
use crate::syntax::{Class, Grammars};

/// Larger code is shown without colours: nobody reads it, and grammars take their time. Bytes.
const MOST: usize = 256 * 1024;
/// The same of one line, behind which the rest of its block is plain: grammars backtrack within lines.
const MOST_OF_A_LINE: usize = 2048;
/// What one page colours in all. Bytes.
const MOST_OF_A_PAGE: usize = 4 * 1024 * 1024;

/// How much of a page has been coloured.
#[derive(Default)]
pub(super) struct Colours {
    spent: usize,
}

impl Colours {
    /// Writes a block of code. `language` as behind a fence; may be empty.
    pub(super) fn block(&mut self, out: &mut String, language: &str, text: &str) {
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            return;
        }
        out.push_str("<pre class=\"code\">");
        let language = language.split([' ', ',', '{']).next().unwrap_or_default();
        let plain = language.is_empty() || text.len() > MOST || self.spent.saturating_add(text.len()) > MOST_OF_A_PAGE;
        let coloured = if plain { 0 } else { self.coloured(out, language, text) };
        escape_into(out, text.get(coloured..).unwrap_or_default());
        out.push_str("</pre>\n");
    }

    /// Writes as much as the grammar reads, in whole lines; returns up to where.
    fn coloured(&mut self, out: &mut String, language: &str, text: &str) -> usize {
        let grammars = Grammars::get();
        let Some(mut at) = grammars.begin(language) else { return 0 };
        self.spent += text.len();
        let mut done = 0;
        for whole in text.split_inclusive('\n') {
            let line = whole.strip_suffix('\n').unwrap_or(whole);
            let pieces = if line.len() <= MOST_OF_A_LINE { grammars.line(&mut at, line) } else { None };
            let Some(pieces) = pieces else { break };
            for (range, class) in pieces {
                match class {
                    Some(class) if !line[range.clone()].trim().is_empty() => {
                        let _ = write!(out, "<span class=\"{}\">", word(class));
                        escape_into(out, &line[range]);
                        out.push_str("</span>");
                    }
                    Some(_) | None => escape_into(out, &line[range]),
                }
            }
            out.push_str(&whole[line.len()..]);
            done += whole.len();
        }
        done
    }
}

fn word(class: Class) -> &'static str {
    match class {
        Class::Comment => "comment",
        Class::Literal => "literal",
        Class::Number => "number",
        Class::Function => "function",
        Class::Keyword => "keyword",
        Class::Type => "type",
        Class::Inserted => "inserted",
        Class::Deleted => "deleted",
        Class::Heading => "heading",
    }
}
