//! Text that means to be obeyed, through every place of the screen that shows words of others: what reaches the terminal
//! is checked byte by byte.

use std::collections::BTreeSet;

use ratatui::backend::CrosstermBackend;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::*;

/// What terminals act on, and what people do not see.
fn corpus() -> Vec<String> {
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

/// What of the bytes for a terminal is not ours: escapes that the drawing does not use, controls, hidden characters.
fn foreign(wire: &[u8]) -> BTreeSet<String> {
    let text = std::str::from_utf8(wire).unwrap();
    let mut found = BTreeSet::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c != '\u{1b}' {
            plain.push(c);
            continue;
        }
        let body = rest.strip_prefix('[').unwrap_or("");
        let end = body.find(|c: char| !matches!(c, '0'..='9' | ';' | '?' | ':')).unwrap_or(body.len());
        let last = body[end..].chars().next().unwrap_or(' ');
        let ours = match last {
            // Places, colours, the cursor seen or not.
            'H' | 'm' => !body[..end].contains('?'),
            'h' | 'l' => &body[..end] == "?25",
            _ => false,
        };
        if !ours {
            found.insert(format!("ESC {}", body.chars().take(12).collect::<String>()));
        }
        rest = body.get(end + 1..).unwrap_or("");
    }
    found.extend(plain.chars().filter(|c| c.is_control()).map(|c| format!("{c:?}")));
    found.extend(millrace::text::hidden(&plain).into_iter().map(|(_, c)| format!("hidden {c:?}")));
    found
}

/// The bytes of one frame on an empty screen.
fn wire(state: &State, memo: &mut Memo, columns: u16, rows: u16) -> Vec<u8> {
    let options = TerminalOptions { viewport: Viewport::Fixed(Rect::new(0, 0, columns, rows)) };
    let mut bytes = Vec::new();
    let mut terminal = Terminal::with_options(CrosstermBackend::new(&mut bytes), options).unwrap();
    let mut state = state.clone();
    state.size = Size { columns, rows };
    terminal
        .draw(|frame| {
            ui::view(&state, &Theme::dark(), memo, frame);
        })
        .unwrap();
    drop(terminal);
    bytes
}

/// Every screen that shows words of others, with this text in each of them.
fn screens(hostile: &str) -> Vec<(&'static str, State)> {
    let mut chat = chat(120);
    chat.transcript.title = hostile.to_owned();
    chat.session.settings.model = hostile.to_owned();
    entry(&mut chat, EntryBody::User(vec![Part::text(hostile), Part::File { name: hostile.into(), text: "x".into() }]));
    entry(&mut chat, EntryBody::Note(hostile.to_owned()));
    for id in chat.calls.this_turn.clone() {
        change(&mut chat, &id, |call| {
            call.tool = Some(ToolRef::new(hostile, hostile));
            call.arguments = serde_json::json!({ "path": hostile }).to_string();
            call.progress = Some(Progress { progress: 1.0, total: None, message: Some(hostile.to_owned()) });
            if matches!(call.phase, CallPhase::Arguments) {
                call.arguments = hostile.to_owned();
            }
            if let CallPhase::Ended(kind) = call.phase {
                let mut came = outcome(kind, hostile, hostile.len() as u64, 80.0);
                Arc::make_mut(&mut came).notes = vec![hostile.to_owned()];
                call.outcome = Some(came);
            }
        });
    }
    for row in &mut chat.servers.rows {
        row.status.message = Some(hostile.to_owned());
        row.status.line = hostile.to_owned();
    }
    let last = chat.calls.this_turn.last().cloned().unwrap();
    let pieces = vec![
        Piece::Thinking { text: hostile.to_owned(), ms: None },
        Piece::Text(hostile.to_owned()),
        Piece::Refusal(hostile.to_owned()),
        Piece::Call(last.clone()),
    ];
    let answer = AnswerEntry {
        model: hostile.to_owned(),
        pieces,
        thinking: Some(true),
        unfolded: vec![last.clone()],
        ..AnswerEntry::default()
    };
    entry(&mut chat, EntryBody::Answer(answer));
    let fault = FaultEntry {
        fault: Fault::new(FaultKind::Provider, hostile).hint(hostile.to_owned()),
        choices: FaultChoices::Retry,
        tokens: 0,
        calls_kept: 0,
        settled: false,
    };
    entry(&mut chat, EntryBody::Fault(fault));
    let mut unsaved = chat.clone();
    unsaved.status.saved = Saved::Not(hostile.to_owned());
    let mut found = chat.clone();
    found.transcript.find = Some(Find { line: LineEdit::with(hostile), editing: true, ..Find::default() });
    let over = |overlay: Overlay| {
        let mut state = chat.clone();
        state.overlays.push(overlay);
        state
    };
    let mut raw = detailed();
    if let Some(Overlay::Detail(detail)) = raw.overlays.last_mut() {
        detail.call = last.clone();
        detail.raw = true;
    }
    raw.calls = chat.calls.clone();
    let mut whole = raw.clone();
    if let Some(Overlay::Detail(detail)) = whole.overlays.last_mut() {
        (detail.raw, detail.pretty) = (false, false);
    }
    let mut told = whole.clone();
    if let Some(Overlay::Detail(detail)) = told.overlays.last_mut() {
        (detail.part, detail.wrap) = (DetailPart::Told, false);
    }
    let mut reviewed = reviewed(&serde_json::json!({ "path": hostile, "content": hostile }).to_string());
    if let Some(Overlay::Review(open)) = reviewed.overlays.last_mut() {
        let review = Arc::make_mut(&mut open.review);
        review.server_line = format!("stdio: {hostile}");
        review.because = Some(hostile.to_owned());
        review.tool = ToolRef::new(hostile, hostile);
    }
    let mut beside = reviewed.clone();
    if let Some(Overlay::Review(open)) = beside.overlays.last_mut() {
        open.beside = Beside::Stands(FileBeside { path: hostile.to_owned(), text: Some(hostile.into()) });
        open.view = ReviewView::Difference;
    }
    let mut rule = reviewed.clone();
    if let Some(Overlay::Review(open)) = rule.overlays.last_mut() {
        open.step = ReviewStep::Rule { rule: hostile.to_owned() };
    }
    let mut timed = timed();
    timed.transcript.title = hostile.to_owned();
    for call in timed.calls.by_id.values_mut() {
        call.tool = None;
        call.wire_name = Some(hostile.into());
    }
    let mut history = browser();
    if let Some(Overlay::Browser(browser)) = history.overlays.last_mut() {
        for row in &mut browser.rows {
            row.summary.title = hostile.to_owned();
            row.summary.model = hostile.to_owned();
        }
    }
    let mut models = models::picker();
    if let Some(Overlay::Models(list)) = models.overlays.last_mut() {
        for model in &mut list.all {
            model.id = hostile.to_owned();
            model.provider = hostile.to_owned();
        }
    }
    vec![
        ("the servers", over(Overlay::Servers(ServerList::default()))),
        ("the chat", chat),
        ("not saved", unsaved),
        ("a find", found),
        ("a call, escapes shown", raw),
        ("a call", whole),
        ("a call as it was told", told),
        ("a review", reviewed),
        ("a review beside its file", beside),
        ("a rule", rule),
        ("the timeline", timed),
        ("the history", history),
        ("the models", models),
    ]
}

#[test]
fn nothing_hostile_reaches_the_terminal_from_any_screen() {
    let (mut frames, mut bytes) = (0, 0);
    for text in corpus() {
        for (name, state) in screens(&text) {
            for (columns, rows) in [(120, 36), (80, 24), (40, 20)] {
                let wire = wire(&state, &mut Memo::new(), columns, rows);
                let head: String = text.chars().take(40).collect();
                assert_eq!(foreign(&wire), BTreeSet::new(), "{name} at {columns}x{rows} with {head:?}");
                (frames, bytes) = (frames + 1, bytes + wire.len());
            }
        }
    }
    assert!(frames > 1_000 && bytes > 1_000_000, "{frames} frames of {bytes} bytes were looked at");
}

#[test]
fn an_answer_cut_anywhere_is_as_harmless() {
    for text in corpus().into_iter().filter(|text| text.len() < 400) {
        let mut memo = Memo::new();
        let mut state = empty();
        let answer = AnswerEntry { streaming: true, ..AnswerEntry::default() };
        entry(&mut state, EntryBody::Answer(answer));
        for end in (1..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            let entry = state.transcript.entries.last_mut().unwrap();
            entry.revision += 1;
            if let EntryBody::Answer(answer) = &mut entry.body {
                answer.pieces = vec![Piece::Text(text[..end].to_owned())];
            }
            let wire = wire(&state, &mut memo, 80, 24);
            assert_eq!(foreign(&wire), BTreeSet::new(), "{:?}", &text[..end]);
        }
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
    assert!(found("a\u{9b}b").contains("9b"));
    assert!(found("a\u{202e}b").contains("202e"));
}
