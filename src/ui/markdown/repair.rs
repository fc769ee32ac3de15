//! What is half-typed, made fit to be seen: emphasis and code are closed, a link without its end is text.

use std::borrow::Cow;

/// Repairs the end of a text that is still being written. What comes out parses as if its author had stopped there;
/// a text without loose ends comes out as it is.
pub(super) fn repair(text: &str) -> Cow<'_, str> {
    let text = without_loose_line(text);
    // Emphasis never crosses a blank line: only the last paragraph can be open.
    let start = text.rfind("\n\n").map_or(0, |at| at + 2);
    let tail = &text[start..];
    if tail.lines().last().is_some_and(|line| line.starts_with("    ") && !text.contains("- ")) {
        return Cow::Borrowed(text);
    }
    let loose = scan(tail);
    let mut out = Cow::Borrowed(text);
    if let Some(link) = loose.link {
        let at = start + link.open;
        let bang = usize::from(text[..at].ends_with('!'));
        out = Cow::Owned(format!("{}{}", &text[..at - bang], &text[at + 1..start + link.label_end]));
    } else if loose.closers.is_empty() {
        return out;
    }
    if !loose.closers.is_empty() {
        let kept = out.trim_end_matches([' ', '\n']);
        // Signs that opened nothing yet are not drawn.
        let bare = kept.trim_end_matches(['*', '_', '~', '`']);
        let signs = kept.len() - bare.len();
        if signs > 0 && signs >= loose.last_run && loose.at_end {
            let mut text = kept[..kept.len() - loose.last_run].to_owned();
            text.push_str(
                &loose.closers[..loose.closers.len().saturating_sub(1)]
                    .iter()
                    .rev()
                    .map(String::as_str)
                    .collect::<String>(),
            );
            return Cow::Owned(text);
        }
        let closers: String = loose.closers.iter().rev().map(String::as_str).collect();
        out = Cow::Owned(format!("{kept}{closers}"));
    }
    out
}

/// Without a last line that is only the beginning of a sign: `-` and `=` would turn the paragraph into a heading, `#`
/// or `1.` alone are nothing yet.
fn without_loose_line(text: &str) -> &str {
    let start = text.rfind('\n').map_or(0, |at| at + 1);
    let last = text[start..].trim();
    let signs = !last.is_empty()
        && (last.bytes().all(|b| b == b'-')
            || last.bytes().all(|b| b == b'=')
            || last.bytes().all(|b| b == b'#')
            || last == "*"
            || last == "+");
    if signs { &text[..start] } else { text }
}

#[derive(Default)]
struct Loose {
    /// What closes what is open, outermost first.
    closers: Vec<String>,
    /// Length of the last run of signs, and whether it stands at the end of the text.
    last_run: usize,
    at_end: bool,
    link: Option<LooseLink>,
}

/// `[label](half an addr`: where its bracket opens and its label ends.
struct LooseLink {
    open: usize,
    label_end: usize,
}

fn scan(text: &str) -> Loose {
    let bytes = text.as_bytes();
    let mut loose = Loose::default();
    let mut brackets: Vec<usize> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'`' => {
                let run = bytes[at..].iter().take_while(|b| **b == b'`').count();
                match closing_ticks(&bytes[at + run..], run) {
                    Some(skip) => at += run + skip,
                    None => {
                        loose.last_run = run;
                        loose.at_end = text[at + run..].trim().is_empty();
                        // A fence that opens inside a list is closed by the end of the text itself.
                        if run < 3 {
                            loose.closers.push("`".repeat(run));
                        }
                        return loose;
                    }
                }
            }
            sign @ (b'*' | b'_' | b'~') => {
                let run = bytes[at..].iter().take_while(|b| **b == sign).count();
                emphasis(text, at, run, sign, &mut loose);
                at += run;
            }
            b'[' => {
                brackets.push(at);
                at += 1;
            }
            b']' => {
                let open = brackets.pop();
                at += 1;
                if let (Some(open), Some(b'(')) = (open, bytes.get(at)) {
                    match text[at..].find([')', '\n']) {
                        Some(end) if bytes[at + end] == b')' => at += end + 1,
                        Some(end) => at += end,
                        None => {
                            loose.link = Some(LooseLink { open, label_end: at - 1 });
                            return loose;
                        }
                    }
                }
            }
            _ => at += 1,
        }
    }
    loose
}

/// How far behind a run of ticks its like ends.
fn closing_ticks(bytes: &[u8], run: usize) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'`' {
            let found = bytes[at..].iter().take_while(|b| **b == b'`').count();
            at += found;
            if found == run {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

fn emphasis(text: &str, at: usize, run: usize, sign: u8, loose: &mut Loose) {
    if (sign == b'~' && run != 2) || run > 3 {
        return;
    }
    let before = text[..at].chars().next_back();
    let after = text[at + run..].chars().next();
    let blank = |c: Option<char>| c.is_none_or(char::is_whitespace);
    let word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let signs = char::from(sign).to_string().repeat(run);
    if !blank(before) && loose.closers.last() == Some(&signs) {
        loose.closers.pop();
        return;
    }
    // `***` may close `*` and `**` that were opened one after the other.
    if run == 3 && !blank(before) && loose.closers.len() >= 2 {
        let two: String = loose.closers[loose.closers.len() - 2..].iter().rev().map(String::as_str).collect();
        if two == signs {
            loose.closers.truncate(loose.closers.len() - 2);
            return;
        }
    }
    let opens = (!blank(after) || after.is_none()) && !(word(before) && (sign == b'_' || after.is_none()));
    // A star at a line's start before a blank is a list's sign.
    if opens {
        loose.closers.push(signs);
        loose.last_run = run;
        loose.at_end = after.is_none();
    }
}
