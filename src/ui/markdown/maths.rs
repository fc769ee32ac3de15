//! Formulas in the brackets of LaTeX: `\(…\)` and `\[…\]`, which many models write.
//!
//! To markdown these are escaped brackets, and what stands between them loses its backslashes and underscores. So they
//! are written with dollars, which the parser leaves alone.
//!
//! # Invariants
//! - Code is left as it is; the work is linear in the text.

use std::borrow::Cow;

/// The longest formula, bytes; what is longer was not meant as one.
const LONGEST: usize = 1_024;

/// The text with dollars around its formulas.
pub(super) fn with_dollars(text: &str) -> Cow<'_, str> {
    if !text.contains("\\(") && !text.contains("\\[") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    // Lengths of runs of backticks that nothing closes any more.
    let mut loose = 0_u64;
    while let Some(here) = text[at..].find(['`', '\\']).map(|next| at + next) {
        out.push_str(&text[at..here]);
        let rest = &text[here..];
        let length = if rest.starts_with('`') {
            code(rest, &mut loose)
        } else if let Some((formula, sign, length)) = formula(rest, out.chars().next_back()) {
            out.push_str(sign);
            out.extend(formula.chars().map(|c| if c == '\n' { ' ' } else { c }));
            out.push_str(sign);
            at = here + length;
            continue;
        } else {
            1 + rest[1..].chars().next().map_or(0, char::len_utf8)
        };
        out.push_str(&rest[..length]);
        at = here + length;
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}

/// How long the code is that begins here: to the run of backticks that closes it, or the opening run alone.
fn code(text: &str, loose: &mut u64) -> usize {
    let run = |text: &str| text.len() - text.trim_start_matches('`').len();
    let opening = run(text);
    let bit = 1_u64.checked_shl(u32::try_from(opening).unwrap_or(u32::MAX)).unwrap_or(1);
    let mut at = opening;
    while *loose & bit == 0
        && let Some(next) = text[at..].find('`').map(|next| at + next)
    {
        let closing = run(&text[next..]);
        at = next + closing;
        if closing == opening {
            return at;
        }
    }
    *loose |= bit;
    opening
}

/// The formula in brackets that begins here, its sign, and the length of all of it.
fn formula(text: &str, before: Option<char>) -> Option<(&str, &'static str, usize)> {
    let (close, sign) = match text.as_bytes().get(1)? {
        b'(' => ("\\)", "$"),
        b'[' => ("\\]", "$$"),
        _ => return None,
    };
    let rest = &text[2..];
    let window = &rest[..rest.floor_char_boundary(LONGEST)];
    let end = window.find(close)?;
    let formula = window[..end].trim();
    let whole =
        !formula.is_empty() && !formula.ends_with('\\') && !formula.contains(['$', '`']) && !formula.contains("\n\n");
    (whole && !before.is_some_and(char::is_alphanumeric)).then_some((formula, sign, 2 + end + close.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_get_dollars_and_code_stays() {
        for (text, expect) in [
            ("is \\(e^{i\\pi} + 1 = 0\\).", "is $e^{i\\pi} + 1 = 0$."),
            ("\\[\n\\int_0^1 x\\,dx\n\\]", "$$\\int_0^1 x\\,dx$$"),
            ("`\\(a\\)` and ``\\[ ` b\\]`` \\( c \\)", "`\\(a\\)` and ``\\[ ` b\\]`` $c$"),
            ("f\\(x\\) \\(open \\\\(x\\\\)", "f\\(x\\) \\(open \\\\(x\\\\)"),
            ("\\(a\n\nb\\) \\(\\) \\($5\\) ` \\(d\\)", "\\(a\n\nb\\) \\(\\) \\($5\\) ` $d$"),
        ] {
            assert_eq!(with_dollars(text), expect);
        }
    }
}
