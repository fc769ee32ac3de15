//! Breaking text into lines: the one wrapping that layout, scroll positions and search share.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

/// Breaks `text` into lines of at most `width` columns and returns their byte ranges. Breaks at `\n`, at blanks, beside
/// wide characters, and inside a word that is longer than a line. Blanks at a break hang: they belong to no range. An
/// empty text is one empty line. A cluster wider than `width` gets a line of its own.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<Range<usize>> {
    wrap_hanging(text, width, width)
}

/// As [`wrap`], where the first line of each paragraph has `first` columns and every further one `rest`.
#[must_use]
pub fn wrap_hanging(text: &str, first: usize, rest: usize) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split('\n') {
        wrap_line(line, start, first.max(1), rest.max(1), &mut lines);
        start += line.len() + 1;
    }
    lines
}

fn wrap_line(line: &str, offset: usize, first: usize, rest: usize, out: &mut Vec<Range<usize>>) {
    let mut limit = first;
    // The line being filled: where it starts, its columns, and the last place where it may break: the end of what is
    // kept before the break, the start of what follows, and the columns up to there.
    let mut start = 0;
    let mut columns = 0;
    let mut chance: Option<(usize, usize, usize)> = None;
    let mut at = 0;
    let mut last_wide = false;
    let mut last_blank = false;
    // Blanks that open a paragraph are its indentation, and no place to break.
    let mut indenting = true;
    for cluster in line.graphemes(true) {
        let wide = super::width(cluster);
        let blank = cluster == " ";
        if blank {
            if !indenting {
                chance = match chance {
                    Some((end, next, _)) if next == at && last_blank => Some((end, at + 1, columns + 1)),
                    _ => Some((at, at + 1, columns + 1)),
                };
            }
        } else {
            indenting = false;
            let beside_wide = at > start && !last_blank && (last_wide || wide == 2) && !closes(cluster);
            if beside_wide {
                chance = Some((at, at, columns));
            }
            if columns + wide > limit && line[start..at].bytes().all(|b| b == b' ') {
                // Indentation alone fills the line: it gives way.
                start = at;
                columns = 0;
            } else if columns + wide > limit && at > start {
                let (end, next, used) = match chance {
                    Some(found) => found,
                    None => (at, at, columns),
                };
                out.push(offset + start..offset + end);
                start = next;
                columns -= used;
                limit = rest;
                chance = None;
                // A word longer than the new line is broken here too.
                if columns + wide > limit && at > start {
                    out.push(offset + start..offset + at);
                    start = at;
                    columns = 0;
                }
            }
        }
        columns += wide;
        at += cluster.len();
        last_wide = wide == 2;
        last_blank = blank;
    }
    let end = start + line[start..].trim_end_matches(' ').len();
    // Blanks alone, longer than a line, are one line.
    out.push(offset + start..offset + if start == 0 && end == 0 { 0 } else { end });
}

/// Punctuation that must not open a line.
fn closes(cluster: &str) -> bool {
    matches!(
        cluster,
        "、" | "。"
            | "，"
            | "．"
            | "："
            | "；"
            | "！"
            | "？"
            | "）"
            | "］"
            | "｝"
            | "」"
            | "』"
            | "】"
            | "〉"
            | "》"
            | "ー"
            | "々"
            | "・"
            | ","
            | "."
            | ":"
            | ";"
            | "!"
            | "?"
            | ")"
            | "]"
            | "}"
    )
}
