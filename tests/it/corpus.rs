//! Text that means to be obeyed, and the judge of what reaches a terminal: byte by byte, everything that is not ours.

use std::collections::BTreeSet;

/// What terminals act on, and what people do not see.
pub(crate) fn corpus() -> Vec<String> {
    let mut texts: Vec<String> = [
        // Titles, clipboards, links, colours, folders, notices, marks.
        "\x1b]0;title\x07",
        "\x1b]2;title\x1b\\",
        "\x1b]52;c;ZXZpbA==\x07",
        "\x1b]52;c;?\x07",
        "\x1b]8;;http://evil.example\x07label, never closed",
        "\x1b]8;;javascript:alert(1)\x1b\\x\x1b]8;;\x1b\\",
        "\x1b]8;;file:///etc/passwd\x1b\\http://good.example\x1b]8;;\x1b\\",
        "\x1b]4;1;rgb:00/00/00\x07\x1b]10;#000\x07\x1b]11;#000\x07\x1b]104\x07",
        "\x1b]7;file://host/tmp\x07\x1b]9;done\x07\x1b]777;notify;a;b\x07\x1b]99;;x\x1b\\\x1b]133;A\x07",
        "\x1b]1337;File=inline=1:AAAA\x07\x1b]1337;CopyToClipboard=\x07",
        // Strings of device control, and what makes a terminal type.
        "\x1bP$qm\x1b\\\x1bP+q544e\x1b\\",
        "\x1bPq#0;2;0;0;0#0~~@@vv@@~~\x1b\\",
        "\x1b_Gf=32,s=1,v=1;AAAA\x1b\\",
        "\x1b^private\x1b\\\x1bXsos\x1b\\",
        "\x1b[c\x1b[>c\x1b[=c\x1b[5n\x1b[6n\x1b[?6n\x1b[?2026$p\x1b[21t",
        // Modes, screens, the cursor, margins, a reset.
        "\x1b[?1049l\x1b[?25l\x1b[?1000h\x1b[?1003h\x1b[?2004l\x1b[?2026h\x1b[?1004h",
        "\x1bc\x1b[!p\x1b[2J\x1b[3J\x1b[H\x1b[5;1r\x1b[8mhidden\x1b[0m",
        "x\x1b[99999999b\x1b[99999999@\x1b[99999999L",
        "\x1b(0lqk\x1b(B\x0e\x0f\x1b7\x1b8\x1bM\x1bE\x1bD",
        // The same as single controls of eight bits.
        "\u{9b}31mred\u{9b}2J\u{9d}0;title\u{9c}\u{90}q\u{9c}\u{9f}G\u{9c}\u{85}\u{84}\u{8d}",
        // Overwriting: the eye reads another word.
        "allow\rdeny \u{8}\u{8}\u{8}\u{8}\u{8}allow",
        "\x07\x07\x07\x07\x07\x07\x07\x07",
        "a\0b\x7fc\x0b\x0cd\te",
        // Reordering and hiding.
        "safe\u{202e}lave\u{202c}\u{2066}x\u{2069}\u{200e}\u{200f}\u{061c}",
        "a\u{200b}b\u{200c}c\u{200d}d\u{2060}e\u{2063}f\u{feff}g\u{ad}h\u{180e}i\u{3164}j\u{2800}k\u{ffa0}l",
        "\u{1f3f4}\u{e0041}\u{e0042}\u{e007f} \u{e0001}\u{e0069}\u{e0067}",
        "x\u{fe00}\u{e0100}\u{e01ef}",
        "\u{2028}line\u{2029}paragraph\u{85}next",
        "раураl.com and \u{ff45}vil.example",
        "\\ud800 \\u001b[31m &#27;[31m &#x202e;",
        "[\u{1b}[8mclick\u{1b}[0m](http://good.example@evil.example/\u{202e}) ![\u{1b}]0;x\u{7}](http://a/\u{7})",
        "```\u{1b}]0;x\u{7}\n\u{1b}[2J\n```\n| \u{1b}[31m | \u{202e} |\n|--|--|\n| \u{9b}2J | \r |\n",
    ]
    .map(str::to_owned)
    .to_vec();
    texts.push(format!("e{}", "\u{301}".repeat(10_000)));
    texts.push("x".repeat(100_000));
    texts
}

/// Who wrote the bytes, and so what of them is its own.
#[derive(Clone, Copy, PartialEq)]
enum Writer {
    /// Places, colours, the cursor seen or not.
    Frame,
    /// Beside those the modes that it sets and takes back, its questions to the terminal, the window's title,
    /// notifications, and links to addresses of the web.
    Program,
}

/// What of the bytes of a frame for a terminal is not ours: escapes that the drawing does not use, controls, hidden
/// characters.
pub(crate) fn foreign(wire: &[u8]) -> BTreeSet<String> {
    judge(wire, Writer::Frame)
}

/// The same of the bytes of the whole program on its screen.
pub(crate) fn foreign_on(wire: &[u8]) -> BTreeSet<String> {
    judge(wire, Writer::Program)
}

/// Not by a terminal's own grammar: what that drops, a cut sequence at the end say, is foreign too.
fn judge(wire: &[u8], writer: Writer) -> BTreeSet<String> {
    let text = match std::str::from_utf8(wire) {
        Ok(text) => text,
        Err(error) => return [format!("no text at {}", error.valid_up_to())].into(),
    };
    let mut found = BTreeSet::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\u{1b}' {
            plain.push(c);
            continue;
        }
        let head = || format!("ESC {:?}", rest.chars().take(24).collect::<String>());
        if let Some(body) = rest.strip_prefix('[') {
            let end = body.find(|c: char| ('@'..='~').contains(&c)).unwrap_or(body.len());
            let sequence = &body[..(end + 1).min(body.len())];
            if !own(sequence, writer) {
                found.insert(head());
            }
            rest = body.get(end + 1..).unwrap_or("");
        } else if let Some(body) = rest.strip_prefix(']') {
            let end = body.find(['\u{7}', '\u{1b}']).unwrap_or(body.len());
            let said = &body[..end];
            let ours = match said.split_once(';') {
                _ if writer == Writer::Frame => false,
                Some(("2" | "9", words)) => !words.chars().any(char::is_control),
                Some(("11", words)) => words == "?",
                Some(("8", link)) => link.split_once(';').is_some_and(|(_, url)| {
                    url.is_empty()
                        || url.starts_with("http://")
                        || url.starts_with("https://")
                        || url.starts_with("mailto:")
                }),
                _ => false,
            };
            if !ours {
                found.insert(head());
            }
            found.extend(millrace::text::hidden(said).into_iter().map(|(_, c)| format!("hidden {c:?} in {said:?}")));
            rest = body[end..].strip_prefix("\u{1b}\\").or_else(|| body[end..].strip_prefix('\u{7}')).unwrap_or("");
        } else {
            found.insert(head());
        }
    }
    if writer == Writer::Program {
        // The bell rings behind a notification; lines end as on any terminal.
        plain.retain(|c| !matches!(c, '\r' | '\n' | '\u{7}'));
    }
    found.extend(plain.chars().filter(|c| c.is_control()).map(|c| format!("{c:?}")));
    found.extend(millrace::text::hidden(&plain).into_iter().map(|(_, c)| format!("hidden {c:?}")));
    found
}

/// A sequence that the program writes itself, behind `ESC [`.
fn own(sequence: &str, writer: Writer) -> bool {
    const MODES: [&str; 11] = ["7", "25", "1000", "1002", "1003", "1004", "1006", "1049", "2004", "2026", "2031"];
    let Some(last) = sequence.chars().last() else { return false };
    let arguments = &sequence[..sequence.len() - last.len_utf8()];
    let numbers = arguments.chars().all(|c| c.is_ascii_digit() || c == ';' || c == ':');
    if writer == Writer::Frame {
        return match last {
            'H' | 'm' => numbers,
            'h' | 'l' => arguments == "?25",
            _ => false,
        };
    }
    match last {
        'H' | 'm' | 'A' | 'B' | 'C' | 'D' | 'G' | 'J' | 'K' => numbers && !(last == 'J' && arguments == "3"),
        'h' | 'l' => arguments.strip_prefix('?').is_some_and(|mode| mode.split(';').all(|mode| MODES.contains(&mode))),
        'u' => matches!(arguments, ">1" | "<1" | "?"),
        't' => matches!(arguments, "22;2" | "23;2" | "14" | "16" | "18"),
        'c' => arguments.is_empty(),
        'p' => arguments == "?2026$",
        'q' => matches!(arguments, "0 " | " "),
        _ => false,
    }
}

/// The check sees what it is meant to see.
#[test]
fn what_is_foreign_is_found() {
    let found = |wire: &str| foreign(wire.as_bytes()).into_iter().collect::<Vec<_>>().join(", ");
    assert_eq!(found("\x1b[3;4H\x1b[38;5;2mx\x1b[0m\x1b[?25l"), "");
    assert!(found("\x1b]0;x\x07").contains("ESC"));
    assert!(found("\x1b[2J").contains("2J"));
    assert!(found("\x1b[?1049l").contains("1049"));
    assert!(found("\x1b[!H").contains("ESC") && found("\x1b[3").contains("ESC"));
    assert!(found("a\u{9b}b").contains("9b"));
    assert!(found("a\u{202e}b").contains("202e"));
    let found = |wire: &[u8]| foreign_on(wire).len();
    assert_eq!(
        found(
            b"\x1b[?1049h\x1b[?2026h\x1b[3;4Hx\x1b]2;? needs you - x\x07\x1b]8;;https://a.b/c\x1b\\x\x1b]8;;\x1b\\\r\n"
        ),
        0
    );
    for wire in [
        &b"\x1b[3J"[..],
        b"\x1b]52;c;eA==\x07",
        b"\x1b]8;;javascript:x\x07",
        b"\x1bc",
        b"\x1b[?9999h",
        b"\x9b",
        b"\x1b[6n",
    ] {
        assert_eq!(found(wire), 1, "{wire:?}");
    }
}
