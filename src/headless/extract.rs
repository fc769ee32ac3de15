//! `--extract`: the first code block of an answer.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

/// The text of the first fenced or indented code block, without its fence; None where there is none.
pub(super) fn first_code_block(markdown: &str) -> Option<String> {
    let mut block: Option<String> = None;
    for event in Parser::new(markdown) {
        match (&mut block, event) {
            (None, Event::Start(Tag::CodeBlock(_))) => block = Some(String::new()),
            (Some(text), Event::Text(piece)) => text.push_str(&piece),
            (Some(_), Event::End(TagEnd::CodeBlock)) => return block,
            (None | Some(_), _) => {}
        }
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(markdown: &str, expect: Option<&str>) {
        assert_eq!(first_code_block(markdown).as_deref(), expect, "{markdown:?}");
    }

    #[test]
    fn the_first_block_is_taken_without_its_fence() {
        check("Here:\n\n```rust\nfn main() {}\n```\nand\n```\nx\n```\n", Some("fn main() {}\n"));
        check("~~~\na\n\n```\nb\n~~~\n", Some("a\n\n```\nb\n"));
        check("- item\n  ```sh\n  ls\n  ```\n", Some("ls\n"));
        check("cut ```off", None);
        check("```py\nprint(1)", Some("print(1)"));
        check("no code, only `inline`", None);
        check("```\n```", Some(""));
    }
}
