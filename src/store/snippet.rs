//! A piece of text around what was found, with the places that matched.

/// Longest snippet, in characters.
const LENGTH: usize = 160;
/// How much of it stands before the first match.
const BEFORE: usize = 40;

/// The text around the first match of any term and the byte ranges in it that matched; None where none is found.
pub(super) fn cut(text: &str, terms: &[String]) -> Option<(String, Vec<(usize, usize)>)> {
    let (at, _) = terms.iter().filter_map(|term| find(text, term)).min()?;
    let start = text[..at].char_indices().rev().take(BEFORE).last().map_or(at, |(i, _)| i);
    // Rather from the beginning of a line, where one is near.
    let start = text[start..at].rfind('\n').map_or(start, |line| start + line + 1);
    let end = text[start..].char_indices().nth(LENGTH).map_or(text.len(), |(i, _)| start + i);
    let piece = &text[start..end];
    let marks = marks(piece, terms);
    Some((piece.to_owned(), marks))
}

/// Every place of any term, in order, without overlaps.
pub(super) fn marks(text: &str, terms: &[String]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for term in terms {
        let mut from = 0;
        while let Some((start, end)) = text.get(from..).and_then(|rest| find(rest, term)) {
            found.push((from + start, from + end));
            from += end.max(start + 1);
        }
    }
    found.sort_unstable();
    let mut out: Vec<(usize, usize)> = Vec::new();
    for (start, end) in found {
        match out.last_mut() {
            Some(last) if start < last.1 => last.1 = last.1.max(end),
            _ => out.push((start, end)),
        }
    }
    out
}

/// The first place of a term, in any case.
pub(super) fn find(text: &str, term: &str) -> Option<(usize, usize)> {
    let first = term.chars().next()?;
    if text.is_ascii() && term.is_ascii() {
        let (text, term) = (text.as_bytes(), term.as_bytes());
        let (low, high) = (first.to_ascii_lowercase() as u8, first.to_ascii_uppercase() as u8);
        return text
            .windows(term.len())
            .position(|w| (w[0] == low || w[0] == high) && w.eq_ignore_ascii_case(term))
            .map(|at| (at, at + term.len()));
    }
    let wanted: Vec<char> = term.chars().flat_map(char::to_lowercase).collect();
    'place: for (start, c) in text.char_indices() {
        if c.to_lowercase().next() != wanted.first().copied() {
            continue;
        }
        let mut left = wanted.as_slice();
        for (at, c) in text[start..].char_indices() {
            for lower in c.to_lowercase() {
                match left.split_first() {
                    Some((next, rest)) if *next == lower => left = rest,
                    Some(_) => continue 'place,
                    // The character says more than the term's end asks for: it matched.
                    None => {}
                }
            }
            if left.is_empty() {
                return Some((start, start + at + c.len_utf8()));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, terms: &[&str], piece: &str, marked: &[&str]) {
        let terms: Vec<String> = terms.iter().map(|t| (*t).to_owned()).collect();
        let (found, marks) = cut(text, &terms).unwrap();
        assert_eq!(found, piece);
        assert_eq!(marks.iter().map(|(a, b)| &found[*a..*b]).collect::<Vec<_>>(), marked);
    }

    #[test]
    fn marks_stand_on_character_borders_in_any_script() {
        check("Why does Retry() spin? retry", &["retry"], "Why does Retry() spin? retry", &["Retry", "retry"]);
        check("über ÜBER", &["über"], "über ÜBER", &["über", "ÜBER"]);
        check("先日の翻訳です", &["翻訳"], "先日の翻訳です", &["翻訳"]);
        check("aaaa", &["aa", "aaa"], "aaaa", &["aaaa"]);
        check("İx", &["x"], "İx", &["x"]);
    }

    #[test]
    fn a_long_text_is_cut_around_its_first_match() {
        let text = format!("{}needle{}", "x".repeat(500), "y".repeat(500));
        let (piece, marks) = cut(&text, &["needle".to_owned()]).unwrap();
        assert_eq!(piece.chars().count(), LENGTH);
        assert_eq!(&piece[marks[0].0..marks[0].1], "needle");
        assert!(cut("hay", &["needle".to_owned()]).is_none());
    }
}
