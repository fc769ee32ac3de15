//! Markdown as it is drawn, whole and while it is written.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::ui::theme::Theme;

fn lines(document: &Document) -> String {
    document.rows().iter().map(Row::text).collect::<Vec<_>>().join("\n")
}

fn draw(source: &str, width: usize) -> String {
    let mut document = Document::new(width);
    document.update(source, true, Theme::dark().glyphs);
    lines(&document)
}

/// As it stands on the screen while more is to come.
fn half(source: &str) -> String {
    let mut document = Document::new(60);
    document.update(source, false, Theme::dark().glyphs);
    document
        .rows()
        .iter()
        .map(|row| {
            row.runs()
                .map(|(text, tint)| {
                    let mark = if tint.bold {
                        "*"
                    } else if tint.italic {
                        "/"
                    } else if tint.ink == crate::ui::ink::Ink::Code {
                        "`"
                    } else {
                        ""
                    };
                    format!("{mark}{text}{mark}")
                })
                .collect::<String>()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn blocks_are_laid_out() {
    assert_snapshot!(draw(
        "# Title\nSome *text* with `code` and **bold**.\n\n1. one\n2. two that is long enough to wrap\n   - nested\n\n> quoted\n> text\n\n---\n- [x] done\n- [ ] open\n",
        30
    ));
}

#[test]
fn code_stands_under_its_language() {
    assert_snapshot!(draw(
        "before\n```rust\nfn main() {\n    x();\n}\n```\nafter\n\n    indented\n\n~~~\nplain\n~~~",
        40
    ));
}

#[test]
fn tables_fit_wrap_or_become_records() {
    let table = "| name | what it does | n |\n|:--|:-:|--:|\n| retry | tries again until the budget is spent | 3 |\n| stop | ends | 12 |\n";
    assert_snapshot!(draw(table, 80));
    assert_snapshot!(draw(table, 36));
    assert_snapshot!(draw(table, 20));
}

#[test]
fn links_say_where_they_lead() {
    assert_snapshot!(draw(
        "[docs](https://docs.rs/x) https://a.example/b <https://docs.rs> [docs.rs](https://docs.rs@evil.example/) ![cat](http://x.y/z.png) [f](file:///etc/passwd)[^1] $a_b*c*$\n\n[^1]: a note",
        60
    ));
}

/// The links of a text, whole or while more is to come.
fn links(source: &str, complete: bool) -> Vec<(String, String)> {
    let mut document = Document::new(30);
    document.update(source, complete, Theme::dark().glyphs);
    let rows = document.rows().iter();
    rows.flat_map(|row| row.pieces().filter_map(|(text, _, to)| Some((text.to_owned(), to?.to_string())))).collect()
}

#[test]
fn links_lead_where_they_say_and_only_to_pages() {
    let source = "[docs](https://docs.rs/x) `https://a.example/b`, <https://c.example>\n\n| [**t**](http://t.example) |\n|--|\n\n[f](file:///etc) [s](javascript:x) ![i](http://x.y/z.png)";
    let expect = [
        ("docs", "https://docs.rs/x"),
        ("https://a.example/b", "https://a.example/b"),
        ("https://c.example", "https://c.example"),
        ("t", "http://t.example"),
    ];
    let found = links(source, true);
    assert_eq!(found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect::<Vec<_>>(), expect);
    // The label is another address: it leads where its destination says, which is told.
    assert_eq!(links("[https://good.example](https://evil.example)", true)[0].1, "https://evil.example");
    // Broken into rows, every piece leads there.
    let long = "https://a.example/one/two/three/four/five/six";
    let pieces = links(long, true);
    assert!(pieces.len() > 1 && pieces.iter().all(|(_, to)| to == long), "{pieces:?}");
    assert_eq!(pieces.iter().map(|(text, _)| text.as_str()).collect::<String>(), long);
}

#[test]
fn no_link_leads_to_a_host_that_is_half_typed() {
    for half in
        ["see https://exa", "see [docs](https://exa", "see **https://exa", "see <https://exa", "a https://exa.mple/b"]
    {
        assert_eq!(links(half, false), [], "{half:?}");
    }
    assert_eq!(links("see https://a.example ", false).len(), 1);
    assert_eq!(links("see https://a.example", true).len(), 1);
}

#[test]
fn a_note_may_be_defined_in_a_later_block() {
    assert_eq!(
        draw("Water boils at 100 °C[^1].\n\nAnd freezes[^ice].\n\n[^1]: At sea level.\n[^ice]: At 0 °C.\n", 60),
        "Water boils at 100 °C[1].\n\nAnd freezes[ice].\n\n[1] At sea level.\n\n[ice] At 0 °C."
    );
    assert_eq!(draw("any of [^abc] is `x[^1]`", 60), "any of [^abc] is x[^1]");
}

#[test]
fn formulas_keep_their_signs_and_quotes_their_depth() {
    assert_eq!(
        draw("so \\(a_{i,j} \\neq b_k\\):\n\n\\[\n\\int_0^1 x\\,dx\n\\]\n", 60),
        "so $a_{i,j} \\neq b_k$:\n\n$$\\int_0^1 x\\,dx$$"
    );
    assert_eq!(draw("> one\n> > two\n>\n> three", 60), "│ one\n│\n│ │ two\n│\n│ three".replace("│\n", "│ \n"));
}

#[test]
fn what_is_half_typed_is_closed_for_the_eye() {
    for (source, expect) in [
        ("some **bol", "some *bol*"),
        ("some **", "some"),
        ("some `co", "some `co`"),
        ("a *b **c", "a /b /*c*"),
        ("see [the docs](https://evil", "see the docs"),
        ("see ![pic](http", "see pic"),
        ("text\n--", "text"),
        ("2 * 3", "2 * 3"),
        ("snake_case", "snake_case"),
        ("```rust\nlet a = **b", "`  `rust\n`  let a = **b`"),
        ("```\ncode\n``", "`  code`"),
    ] {
        assert_eq!(half(source), expect, "{source:?}");
    }
}

#[test]
fn nothing_hostile_survives_parsing() {
    let text = draw("a &#27;[31m &#x202e; b\n\n```\n\u{1b}]52;c;x\u{7}code\n```\n[\u{1b}[8mx](http://\u{202e}y)", 60);
    assert!(crate::text::hidden(&text).is_empty(), "{text:?}");
}

#[test]
fn a_long_paragraph_is_cut_and_still_the_same_however_it_came() {
    let source = "word ".repeat(20_000);
    let mut streamed = Document::new(72);
    for end in (0..=source.len()).step_by(997).chain([source.len()]) {
        streamed.update(&source[..end], end == source.len(), Theme::dark().glyphs);
    }
    assert_eq!(lines(&streamed), draw(&source, 72));
    assert_eq!(lines(&streamed).split_whitespace().count(), 20_000);
}

fn document() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(
            &[
                "\n",
                "\n\n",
                "# ",
                "## head\n",
                "- ",
                "* ",
                "1. ",
                "  - ",
                "    ",
                "> ",
                "```",
                "```rust\n",
                "\n```\n",
                "~~~\n",
                "**",
                "*",
                "_",
                "~~",
                "`",
                "``",
                "[",
                "](",
                "](http://a.b/c)",
                ")",
                "![",
                "|",
                "| a | b |\n|---|---|\n| c | d |\n",
                "---\n",
                "===\n",
                "$",
                "$$",
                "\\(a_b\\)",
                "\\[\n",
                "\n\\]",
                "\\",
                "<br>",
                "<div>\n",
                "[^1]",
                "x[^note]",
                "https://a.b/c",
                "<https://d.e>",
                "[^1]: ",
                "&#27;",
                "- [ ] ",
                "\t",
                "\r\n",
                "漢字",
                "👩‍👧",
                "\u{1b}[31m",
                "\u{202e}",
            ][..]
        )
        .prop_map(str::to_owned),
        "[a-z]{1,8} ",
        "[a-z ]{10,60}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

mod properties {
    use super::*;
    use crate::properties::holds;

    #[test]
    fn streamed_is_the_same_as_at_once() {
        let cuts = proptest::collection::vec(any::<prop::sample::Index>(), 0..20);
        let values = (document(), cuts, 1usize..90);
        holds("markdown streamed = at once", 2_000, "states on the way", values, |(source, cuts, width), seen| {
            let mut streamed = Document::new(width);
            let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(source.len() + 1)).collect();
            ends.retain(|at| source.is_char_boundary(*at));
            ends.sort_unstable();
            for end in ends {
                streamed.update(&source[..end], false, Theme::dark().glyphs);
                for row in streamed.rows() {
                    prop_assert!(!row.text().contains('\n'));
                    prop_assert!(crate::text::hidden(row.text()).is_empty(), "{:?}", row.text());
                }
                seen.add(1);
            }
            streamed.update(&source, true, Theme::dark().glyphs);
            let mut once = Document::new(width);
            once.update(&source, true, Theme::dark().glyphs);
            prop_assert_eq!(streamed.rows(), once.rows());
            // What is chosen by a key is what is drawn as chosen: both know the same blocks.
            prop_assert_eq!(&streamed.marks, &once.marks);
            let blocks: Vec<usize> = crate::text::blocks(&source).iter().map(|block| block.range.start).collect();
            prop_assert_eq!(once.marks.iter().map(|(_, start)| *start).collect::<Vec<_>>(), blocks);
            Ok(())
        });
    }

    #[test]
    fn a_repair_adds_signs_alone_and_never_panics() {
        holds("a repair adds signs alone", 2_000, "texts repaired", document(), |source, seen| {
            let repaired = repair::repair(&source);
            // What it adds stands at the end; what it drops is a half-typed link or sign.
            let added: String = repaired.chars().filter(|c| !source.contains(*c)).collect();
            prop_assert!(added.chars().all(|c| "*_~`".contains(c)), "{:?} from {:?}", repaired, source);
            prop_assert!(repaired.len() <= source.len() + 64 + source.len() / 2);
            seen.add(usize::from(repaired != source));
            Ok(())
        });
    }
}

#[test]
fn a_repaired_text_needs_no_repair() {
    for source in ["some **bol", "some `co", "a *b **c", "see [the docs](https://evil", "text\n--", "**a `b` c", "~~x"]
    {
        let once = repair::repair(source).into_owned();
        assert_eq!(repair::repair(&once), once, "{source:?}");
    }
}
