//! The hostile corpus, and the properties that hold for any text.

use proptest::prelude::*;

use super::*;

fn check(raw: &str, expect: &str) {
    assert_eq!(sanitize(raw).as_str(), expect, "{raw:?}");
}

/// An independent parser reads what would reach the terminal: it may find nothing but text and line ends.
fn assert_harmless(text: &str) {
    #[derive(Default)]
    struct Finds(Vec<String>);
    impl vte::Perform for Finds {
        fn execute(&mut self, byte: u8) {
            if byte != b'\n' {
                self.0.push(format!("control {byte:02x}"));
            }
        }
        fn hook(&mut self, _: &vte::Params, _: &[u8], _: bool, _: char) {
            self.0.push("DCS".into());
        }
        fn osc_dispatch(&mut self, _: &[&[u8]], _: bool) {
            self.0.push("OSC".into());
        }
        fn csi_dispatch(&mut self, _: &vte::Params, _: &[u8], _: bool, _: char) {
            self.0.push("CSI".into());
        }
        fn esc_dispatch(&mut self, _: &[u8], _: bool, _: u8) {
            self.0.push("ESC".into());
        }
    }
    let mut finds = Finds::default();
    vte::Parser::new().advance(&mut finds, text.as_bytes());
    assert!(finds.0.is_empty(), "{text:?}: {:?}", finds.0);
    assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    let left: Vec<_> = hidden(text);
    assert!(left.is_empty(), "{text:?}: {left:?}");
}

#[test]
fn an_indentation_wider_than_the_line_hangs() {
    assert_eq!(wrap("    ab", 1), [4..5, 5..6]);
    assert_eq!(wrap("    ab", 6).len(), 1);
}

#[test]
fn a_selector_behind_a_shown_control_is_shown_too() {
    assert_eq!(visible("4\x07\u{fe0f}").as_str(), "4<BEL><U+FE0F>");
}

/// Escape sequences that terminals act on. All of them go without a trace.
const SEQUENCES: &[&str] = &[
    "\x1b]0;title\x07",
    "\x1b]2;title\x1b\\",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b]52;c;?\x1b\\",
    "\x1b]8;;https://evil.example\x1b\\",
    "\x1b]8;;javascript:alert(1)\x07",
    "\x1b]4;1;rgb:00/00/00\x07",
    "\x1b]10;?\x07",
    "\x1b]11;?\x1b\\",
    "\x1b]104\x07",
    "\x1b]7;file:///tmp\x07",
    "\x1b]9;notice\x07",
    "\x1b]777;notify;a;b\x07",
    "\x1b]99;i=1;text\x1b\\",
    "\x1b]133;A\x07",
    "\x1b]1337;File=name=eA==;inline=1:AAAA\x07",
    "\x1bPq#0;2;0;0;0#0~~@@vv\x1b\\",
    "\x1bP$qm\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\x1b_Gf=24,s=1,v=1;AAAA\x1b\\",
    "\x1b^private\x1b\\",
    "\x1bXstring\x1b\\",
    "\x1b[c",
    "\x1b[6n",
    "\x1b[5n",
    "\x1b[?1049l",
    "\x1b[?25l",
    "\x1b[?1000h",
    "\x1b[?2004l",
    "\x1b[?2026h",
    "\x1bc",
    "\x1b[!p",
    "\x1b[2J",
    "\x1b[3J",
    "\x1b[5;2r",
    "\x1b[8m",
    "\x1b[38;2;1;2;3m",
    "\x1b[99999999b",
    "\x1b(0",
    "\x1b#8",
    "\u{9b}31m",
    "\u{9d}52;c;ZXZpbA==\u{9c}",
    "\u{9d}0;title\x07",
    "\u{90}q~\u{9c}",
    "\u{9f}Gx\u{9c}",
    "\u{9e}x\u{9c}",
    "\u{98}x\u{9c}",
    "\u{84}",
    "\x07\x07\x07",
    "\0",
    "\x7f",
];

#[test]
fn a_sequence_goes_whole_and_takes_nothing_else_with_it() {
    for sequence in SEQUENCES {
        check(&format!("before{sequence}after"), "beforeafter");
        let (_, removed) = sanitize_counted(sequence);
        assert!(removed > 0, "{sequence:?} was not counted");
    }
    check("\x1b]52;c;\u{e9}\u{9c}x", "x");
    check("ok \x1b[31\u{e9}", "ok \u{e9}");
}

#[test]
fn a_sequence_cut_at_any_place_leaves_nothing_that_acts() {
    for sequence in SEQUENCES {
        for (at, _) in sequence.char_indices().chain([(sequence.len(), ' ')]) {
            assert_harmless(sanitize(&sequence[..at]).as_str());
            assert_harmless(sanitize(&sequence[at..]).as_str());
            // A sequence that is never closed hides its line at most.
            let text = sanitize(&format!("{}\nnext line", &sequence[..at]));
            assert!(text.as_str().ends_with("next line"), "{sequence:?} cut at {at}: {text:?}");
        }
    }
}

#[test]
fn lines_are_laid_out_as_a_terminal_would() {
    check("a\r\nb", "a\nb");
    check("10%\r55%\r100%\ndone", "100%\ndone");
    check("long line\rshort", "shortline");
    check("漢字\ra", "a 字");
    check("a\tb\n\tc", "a   b\n    c");
    check("allow\x08\x08\x08\x08\x08deny", "allowdeny");
}

#[test]
fn hidden_characters_go_and_emoji_stay() {
    check("user\u{202e}gpj.exe", "usergpj.exe");
    check("a\u{2066}b\u{2069}c\u{200b}d\u{feff}e\u{ad}f", "abcdef");
    check("a\u{2028}b\u{2029}c", "a\nb\nc");
    check("x\u{3164}y\u{2800}z", "x y z");
    check("v\u{fe01}\u{e0101}w", "vw");
    check("\u{e0041}\u{e0042}hi", "hi");
    let flag = "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}";
    check(flag, flag);
    check("\u{1f3f4}\u{e0068}\u{e0069}\u{e007f}", "\u{1f3f4}");
    for kept in ["👩‍👩‍👧‍👦", "❤️‍🔥", "👍🏽", "1️⃣", "🇩🇪", "e\u{301}", "עברית", "한글"]
    {
        check(kept, kept);
    }
    check("a\u{200d}b👩\u{200d}", "ab👩");
    let zalgo = format!("a{}", "\u{301}".repeat(10_000));
    assert_eq!(sanitize(&zalgo).as_str().chars().count(), 9);
    check("\u{301}x\n\u{301}", "\u{25cc}\u{301}x\n\u{25cc}\u{301}");
}

#[test]
fn a_review_shows_what_would_not_be_seen() {
    assert_eq!(visible("rm\u{202e} \x1b[8m-rf\r\0").as_str(), "rm<U+202E> <ESC>[8m-rf<CR><NUL>");
    assert_eq!(hidden("ab\u{202e}c\x1b"), vec![(2, '\u{202e}'), (6, '\x1b')]);
    assert_eq!(visible("a\u{85}b\u{e0041}\u{7f}").as_str(), "a<U+0085>b<U+E0041><DEL>");
    assert_eq!(hidden("plain\n\ttext é 漢 👩‍👧"), vec![]);
}

#[test]
fn a_model_is_told_text_without_hidden_characters() {
    assert_eq!(strip_hidden("a\tb\r\nc"), ("a\tb\r\nc".into(), 0));
    assert_eq!(strip_hidden("a\u{e0041}\x1b[31mb\u{200b}"), ("ab".into(), 3));
}

#[test]
fn width_is_that_of_the_buffer() {
    for (text, columns) in [("abc", 3), ("漢字", 4), ("👩‍👩‍👧", 2), ("e\u{301}", 1), ("1️⃣", 2), ("┃▌…", 3)]
    {
        assert_eq!(width(text), columns, "{text}");
    }
}

#[test]
fn cutting_never_exceeds_the_width() {
    assert_eq!(cut("retry-loop refactor", 11), "retry-loop…");
    assert_eq!(cut("漢字かな", 4), "漢…");
    assert_eq!(cut("abc", 3), "abc");
    assert_eq!(cut("abc", 0), "");
    assert_eq!(cut_start("src/retry.rs", 9), "…retry.rs");
    assert_eq!(cut_middle("abcdefghij", 5), "ab…ij");
}

fn wrapped(text: &str, columns: usize) -> Vec<&str> {
    wrap(text, columns).into_iter().map(|r| &text[r]).collect()
}

#[test]
fn lines_break_where_a_reader_expects() {
    assert_eq!(wrapped("the loop only leaves on Ok", 10), ["the loop", "only", "leaves on", "Ok"]);
    assert_eq!(wrapped("a  b", 2), ["a", "b"]);
    assert_eq!(wrapped("", 5), [""]);
    assert_eq!(wrapped("a\n\nb\n", 5), ["a", "", "b", ""]);
    assert_eq!(wrapped("abcdefghij", 4), ["abcd", "efgh", "ij"]);
    assert_eq!(wrapped("xy abcdefghij", 4), ["xy", "abcd", "efgh", "ij"]);
    assert_eq!(wrapped("漢字仮名交じり文。", 6), ["漢字仮", "名交じ", "り文。"]);
    assert_eq!(wrapped("    let x = 1;", 8), ["    let", "x = 1;"]);
    assert_eq!(wrapped("漢", 1), ["漢"]);
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[ -~]{0,6}",
        2 => proptest::sample::select(SEQUENCES).prop_map(str::to_owned),
        2 => any::<char>().prop_map(String::from),
        1 => proptest::sample::select(&["\n", "\r", "\t", "\x1b", "\u{9b}", "\u{9d}", "\x07", "\u{9c}", "\u{202e}",
            "\u{200d}", "\u{fe0f}", "👩", "🏽", "\u{1f3f4}", "\u{e0067}", "\u{301}", "漢", "é", "🇩", " ",
            "\u{3164}", "\u{1160}", "1", "\u{2028}"][..]).prop_map(str::to_owned),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

#[test]
fn indentation_wider_than_the_line_gives_way() {
    let text = "    A b";
    let lines: Vec<&str> = wrap(text, 1).into_iter().map(|line| &text[line]).collect();
    assert_eq!(lines, ["A", "b"]);
}

mod properties {
    use super::*;
    use crate::properties::holds;

    #[test]
    fn safe_text_is_harmless_and_stays_as_it_is() {
        holds("safe text is harmless and stays", 4_000, "bytes", hostile(), |raw, seen| {
            seen.add(raw.len());
            let safe = sanitize(&raw);
            assert_harmless(safe.as_str());
            prop_assert_eq!(sanitize(safe.as_str()), safe.clone());
            assert_harmless(visible(&raw).as_str());
            assert_harmless(sanitize(&strip_hidden(&raw).0).as_str());
            prop_assert_eq!(strip_hidden(&strip_hidden(&raw).0).1, 0);
            Ok(())
        });
    }

    #[test]
    fn every_hidden_character_is_counted_and_shown() {
        holds("hidden characters are found and shown", 4_000, "hidden characters", hostile(), |raw, seen| {
            let found = hidden(&raw);
            let shown = visible(&raw) == visible(&raw.replace('\r', ""));
            prop_assert_eq!(found.is_empty(), shown && strip_hidden(&raw.replace('\r', "\0")).1 == 0);
            seen.add(found.len());
            for (at, c) in found {
                prop_assert!(raw[at..].starts_with(c));
            }
            Ok(())
        });
    }

    #[test]
    fn wrapping_loses_nothing_and_fits() {
        holds("wrapping loses nothing and fits", 4_000, "rows", (hostile(), 1usize..30), |(raw, columns), seen| {
            let safe = sanitize(&raw);
            let text = safe.as_str();
            let mut at = 0;
            for line in wrap(text, columns) {
                prop_assert!(line.start >= at && line.end >= line.start);
                let lost = &text[at..line.start];
                prop_assert!(lost.chars().all(|c| c == ' ' || c == '\n'), "lost {lost:?}");
                let one_cluster = graphemes(&text[line.clone()]).count() <= 1;
                prop_assert!(width(&text[line.clone()]) <= columns || one_cluster);
                at = line.end;
                seen.add(1);
            }
            prop_assert!(text[at..].chars().all(|c| c == ' '));
            Ok(())
        });
    }

    #[test]
    fn the_width_of_a_line_is_that_of_its_clusters() {
        holds("the width of a line is that of its cells", 4_000, "clusters", hostile(), |raw, seen| {
            let line = sanitize(&raw).one_line();
            let text = line.as_str();
            let area = ratatui::layout::Rect::new(0, 0, 400, 1);
            let mut drawn = ratatui::buffer::Buffer::empty(area);
            let (end, _) = drawn.set_stringn(0, 0, text, 400, ratatui::style::Style::new());
            prop_assert_eq!(width(text), usize::from(end), "{:?}", text);
            let clusters: Vec<usize> = graphemes(text).map(width).collect();
            prop_assert_eq!(width(text), clusters.iter().sum::<usize>());
            seen.add(clusters.len());
            Ok(())
        });
    }

    #[test]
    fn cuts_fit() {
        holds("cuts fit", 4_000, "cuts", (hostile(), 0usize..20), |(raw, columns), seen| {
            let line = sanitize(&raw).one_line();
            let line = line.as_str();
            for text in [cut(line, columns), cut_start(line, columns), cut_middle(line, columns)] {
                prop_assert!(width(&text) <= columns, "{text:?} in {columns}");
                seen.add(1);
            }
            Ok(())
        });
    }
}
