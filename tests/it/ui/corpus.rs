//! Text that means to be obeyed, through every place of the screen that shows words of others: what reaches the terminal
//! is checked byte by byte.

use std::collections::BTreeSet;

use ratatui::backend::CrosstermBackend;
use ratatui::{Terminal, TerminalOptions, Viewport};

use super::*;
use crate::corpus::{corpus, foreign};

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
pub(super) fn screens(hostile: &str) -> Vec<(&'static str, State)> {
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
    let mut places = vec![
        ("the servers", over(Overlay::Servers(ServerList::default()))),
        ("the transcript, thinking, tool rows", chat.clone()),
        ("footer: not saved", unsaved),
        ("a find", found),
        ("a call, escapes shown", raw),
        ("a call", whole),
        ("a call as it was told", told),
        ("a review", reviewed),
        ("a review beside its file", beside),
        ("a rule", rule),
        ("the timeline", timed),
        ("the models", models),
    ];
    places.extend(around(hostile, &chat, history));
    places.extend(of_servers(hostile, &chat));
    places.extend(asked(hostile));
    places
}

/// What stands around the conversation: panel, titles, notices, lists, what is being written.
fn around(hostile: &str, chat: &State, history: State) -> Vec<(&'static str, State)> {
    let mut panel = chat.clone();
    panel.focus = Focus::Panel;
    panel.panel.selected = panel.calls.this_turn.first().cloned();
    let mut noticed = chat.clone();
    let notice = Notice { id: 1, kind: NoticeKind::Info, text: hostile.to_owned(), showing: true };
    noticed.status.notices.push_back(notice);
    let mut hinted = chat.clone();
    hinted.status.hint = Some(hostile.to_owned());
    let mut queued = chat.clone();
    queued.composer.set("");
    queued.transcript.queued.push(Queued { text: hostile.into(), ..Queued::default() });
    let mut retrying = chat.clone();
    if let Some(turn) = &mut retrying.transcript.turn {
        turn.phase = Phase::Retrying { attempt: 1, at_us: 1_019 * SECOND, why: hostile.to_owned() };
    }
    let mut typed = empty();
    inquiry::event(&mut typed, Event::Paste(hostile.to_owned()));
    let mut pasted = empty();
    inquiry::event(&mut pasted, Event::Paste(format!("{hostile}\n").repeat(20)));
    let mut offered = empty();
    offered.composer.area.insert_str("@x");
    let row = |of: RowOf| CompletionRow { text: hostile.into(), note: hostile.into(), of };
    offered.composer.completion = Some(Completion {
        kind: CompletionKind::File,
        word: "x".into(),
        rows: vec![
            row(RowOf::File),
            row(RowOf::Command),
            row(RowOf::Resource { server: ServerName::new(hostile), uri: hostile.into() }),
        ],
        selected: 0,
    });
    let mut roles = empty();
    let role = millrace::config::Role { name: hostile.into(), system: Some(hostile.into()), ..Default::default() };
    roles.session.casting.roles = vec![role];
    roles.transcript.role = Some(hostile.into());
    inquiry::keys(&mut roles, "/ r o l e enter");
    let mut palette = around::palette(2);
    if let Some(Overlay::Palette(_)) = palette.overlays.last() {
        let title = |n: usize| TitleRow {
            conversation: ConversationId::new(format!("c{n}")),
            title: hostile.to_owned(),
            updated: NOW,
        };
        let source = ModelSource { name: hostile.into(), current: true, ..ModelSource::default() };
        let model = ModelRow { id: hostile.into(), provider: hostile.into(), ..ModelRow::default() };
        let reply = Reply::Known {
            generation: palette.session.next_generation,
            titles: (0..4).map(title).collect(),
            sources: vec![source],
            models: vec![model],
        };
        inquiry::event(&mut palette, Event::Reply(reply));
    }
    let mut hits = history;
    if let Some(Overlay::Browser(browser)) = hits.overlays.last_mut() {
        browser.search = LineEdit::with(hostile);
        for row in &mut browser.rows {
            row.summary.folder = hostile.to_owned();
            if let Some(hit) = &mut row.hit {
                hit.snippet = hostile.to_owned();
                hit.marks = Vec::new();
            }
        }
        if let Some(content) = browser.preview.as_mut().and_then(|preview| preview.content.as_mut()) {
            for message in &mut Arc::make_mut(content).messages {
                match &mut Arc::make_mut(message).body {
                    Body::User(parts) => *parts = vec![Part::text(hostile)],
                    Body::Assistant(answer) => {
                        (answer.text, answer.reasoning) = (hostile.into(), hostile.into());
                        for call in &mut answer.calls {
                            call.tool = Some(ToolRef::new(hostile, hostile));
                            call.arguments = serde_json::json!({ "path": hostile }).to_string().into();
                        }
                    }
                    Body::Tool(tool) => tool.outcome = outcome(OutcomeKind::Failed, hostile, 9, 80.0),
                }
            }
        }
    }
    let mut prompts = empty();
    let mut list = Prompts::default();
    list.rows = vec![hostile.to_owned(); 3];
    list.search = LineEdit::with(hostile);
    prompts.overlays.push(Overlay::Prompts(list));
    let mut details = models::picker();
    if let Some(Overlay::Models(list)) = details.overlays.last_mut() {
        (list.editing, list.details, list.selected) = (false, true, 0);
        let model = &mut list.all[0];
        model.name = Some(hostile.into());
        model.description = Some(hostile.into());
        model.owner = Some(hostile.into());
        list.sources[0].name = hostile.into();
        list.sources[0].base_url = hostile.into();
        list.sources[0].key = hostile.into();
    }
    let mut settings = around::settings();
    if let Some(Overlay::Settings(list)) = settings.overlays.last_mut() {
        list.written = Some([("ui.theme".to_owned(), hostile.to_owned())].into());
    }
    let mut welcome = empty();
    welcome.session.connection = None;
    let local = LocalServer { kind: LocalKind::Ollama, base_url: hostile.to_owned(), models: vec![hostile.to_owned()] };
    let source =
        ImportSource { client: hostile.into(), path: hostile.into(), servers: vec![hostile.into()], rows: Vec::new() };
    welcome.overlays.push(Overlay::Welcome(Box::new(Welcome {
        selected: 0,
        rows: vec![WelcomeRow::Local(local), WelcomeRow::Address, WelcomeRow::Servers],
        ports: Vec::new(),
        imports: vec![source],
        busy: false,
        fault: Some(hostile.to_owned()),
    })));
    let ask = |what: AskFor| {
        let mut state = chat.clone();
        let line = LineEdit::with(hostile);
        state.overlays.push(Overlay::Ask(Ask { what, line, refused: Some(hostile.to_owned()), busy: false }));
        state
    };
    let mut confirm = chat.clone();
    confirm.overlays.push(Overlay::Confirm(Confirm {
        question: hostile.to_owned(),
        yes: "delete",
        then: Confirmed::Delete(vec![ConversationId::new("x")]),
        deaf_until_us: 0,
    }));
    let mut elsewhere = chat.clone();
    let mut other = Elsewhere::default();
    other.transcript.title = hostile.to_owned();
    other.transcript.turn = Some(Turn::new(TurnId(7), stamp(0), false));
    elsewhere.elsewhere.push(other);
    let mut summary = empty();
    let compaction = Compaction { text: hostile.into(), model: hostile.into(), messages: 9, ..Compaction::default() };
    entry(&mut summary, EntryBody::Summary(SummaryEntry { compaction, open: true }));
    let mut help = empty();
    help.session.terminal = vec![(hostile.to_owned(), hostile.to_owned())];
    help.overlays.push(Overlay::Help(Help::default()));
    vec![
        ("a summary", summary),
        ("help: the terminal", help),
        ("the panel", panel),
        ("a notice", noticed),
        ("footer: a hint", hinted),
        ("a queued message", queued),
        ("a wait before another try", retrying),
        ("a short paste", typed),
        ("a long paste", pasted),
        ("files and resources offered", offered),
        ("roles", roles),
        ("the palette", palette),
        ("search hits and a preview", hits),
        ("earlier prompts", prompts),
        ("all of a model", details),
        ("settings", settings),
        ("the welcome", welcome),
        ("a question with its refusal", ask(AskFor::Address)),
        ("a title asked for", ask(AskFor::Title(ConversationId::new("x")))),
        ("a yes asked for", confirm),
        ("a conversation elsewhere", elsewhere),
    ]
}

/// What servers say of themselves.
fn of_servers(hostile: &str, chat: &State) -> Vec<(&'static str, State)> {
    let mut list = server_list();
    for row in &mut list.servers.rows {
        row.status.server = ServerName::new(hostile);
        row.status.message = Some(hostile.to_owned());
        row.status.line = hostile.to_owned();
        row.status.stderr = vec![hostile.to_owned(); 3];
        row.status.listed = Arc::new([tool_line(hostile, hostile, Some(true), Standing::Aside(hostile.to_owned()))]);
        row.status.life.instructions =
            Some(Instructions { text: hostile.into(), standing: InstructionsStanding::Told });
        let line = LogLine {
            at: 1_763_800_000_000,
            level: LoggingLevel::Warning,
            by: LogSpeaker::Server(Some(hostile.into())),
            text: hostile.into(),
        };
        row.status.life.log = ServerLog { lines: Arc::new([line]), asks: true, ..ServerLog::default() };
        let tool = ToolRef::new(hostile, hostile);
        row.status.differences = Arc::new([Difference { tool, before: Some(hostile.into()), after: hostile.into() }]);
    }
    let at = |list: &State, step: ServerStep| {
        let mut state = list.clone();
        let selected = Some(ServerName::new(hostile));
        state.overlays = vec![Overlay::Servers(ServerList { selected, step, ..ServerList::default() })];
        state
    };
    let stepped = |keys: &str| {
        let mut state = at(&list, ServerStep::default());
        inquiry::keys(&mut state, keys);
        state
    };
    let shown = Arc::clone(&list.servers.rows[0].status.differences);
    let changes = ServerStep::Changes { shown, scroll: 0, end_seen: true, deaf_until_us: 0 };
    let mut consent = chat.clone();
    consent.overlays.push(Overlay::Consent(Consent {
        server: ServerName::new(hostile),
        line: hostile.to_owned(),
        transport: "stdio",
        deaf_until_us: 0,
        refused: None,
    }));
    let mut import = empty();
    let row = ImportRow {
        client: hostile.into(),
        path: hostile.into(),
        key: hostile.into(),
        name: Some(hostile.into()),
        line: hostile.into(),
        notes: vec![hostile.into()],
        chosen: true,
    };
    import.overlays.push(Overlay::Import(Import { rows: Some(vec![row]), selected: 0 }));
    let mut tools = empty();
    tools.toolbox.rows = Arc::from([ToolRow {
        tool: ToolRef::new(hostile, hostile),
        title: Some(hostile.into()),
        description: hostile.into(),
        claims: Claims::default(),
        trusted: false,
        policy: Policy::Ask,
        tokens: 9,
        standing: ToolStanding::Aside(hostile.into()),
    }]);
    tools.overlays.push(Overlay::Tools(OfferedTools::default()));
    let offer = SignInOffer {
        server: ServerName::new(hostile),
        issuer: hostile.into(),
        host: hostile.into(),
        scopes: vec![hostile.into()],
        url: hostile.into(),
        redirect: hostile.into(),
        client: ClientKind::Registered,
        instead_of: Some(hostile.into()),
    };
    let mut sign_in = signing_in(SignInStage::Offered(Arc::new(offer)));
    if let Some(Overlay::SignIn(open)) = sign_in.overlays.last_mut() {
        open.note = Some(hostile.to_owned());
    }
    let mut prompts = empty();
    servers(&mut prompts, &[("crm", ServerState::Ready, 7)]);
    let argument = PromptArgument {
        name: hostile.into(),
        title: Some(hostile.into()),
        description: Some(hostile.into()),
        required: true,
    };
    let prompt = PromptInfo {
        name: hostile.into(),
        title: Some(hostile.into()),
        description: Some(hostile.into()),
        arguments: vec![argument],
    };
    let asked = inquiry::effects(&mut prompts, "/ c r m");
    let generation = asked.iter().find_map(|effect| match effect {
        Effect::Order(Order::Query { generation, query: ServerQuery::Prompts, .. }) => Some(*generation),
        _ => None,
    });
    let reply = TurnEvent::Replied {
        generation: generation.unwrap_or_default(),
        server: ServerName::new("crm"),
        result: Ok(ServerReply::Prompts(vec![prompt.clone(), prompt])),
    };
    inquiry::event(&mut prompts, Event::Engine(reply));
    let mut form = prompts.clone();
    inquiry::keys(&mut form, "tab enter");
    vec![
        ("a server's log", stepped("l")),
        ("a server's messages", stepped("l tab")),
        ("a server's instructions", stepped("w")),
        ("a server's tools", at(&list, ServerStep::Tools { selected: 0 })),
        ("changed definitions", at(&list, changes)),
        ("a server's state and errors", list),
        ("a first start", consent),
        ("servers of other clients", import),
        ("tools that are offered", tools),
        ("a sign-in", sign_in),
        ("a server's prompts", prompts),
        ("a prompt's form", form),
    ]
}

/// What servers ask of the person.
fn asked(hostile: &str) -> Vec<(&'static str, State)> {
    let schema = serde_json::json!({"type": "object", "properties": {
        hostile: {"type": "string", "title": hostile, "description": hostile, "enum": [hostile, "b"]},
        "text": {"type": "string", "title": hostile, "default": hostile}}});
    let form = Form::read(&schema).map(|form| Question::Form { message: hostile.into(), form });
    let address = Question::Address { message: hostile.into(), url: hostile.into(), elicitation: None };
    let roots = Question::Roots(vec![Root { uri: hostile.into(), name: Some(hostile.into()) }]);
    let mut asked = vec![
        ("elicitation: an address", inquiry::asked_by(hostile, address)),
        ("folders of a server", inquiry::asked_by(hostile, roots)),
        ("sampling: the request", inquiry::asked_by(hostile, inquiry::sample(hostile))),
    ];
    asked.extend(form.ok().map(|form| ("elicitation: a form", inquiry::asked_by(hostile, form))));
    let mut answered = inquiry::asked_by(hostile, inquiry::sample(hostile));
    inquiry::frame_kept(&mut answered, 120, 36);
    inquiry::keys(&mut answered, "y");
    let reply = SampleReply { model: hostile.into(), text: hostile.into(), stop: SampleStop::MaxTokens };
    inquiry::sampled(&mut answered, SampleStep::Whole { reply, usage: Usage::default() });
    asked.push(("sampling: the answer", answered));
    asked
}

/// What was looked at in one place.
#[derive(Default)]
struct Looked {
    texts: usize,
    frames: usize,
    bytes: usize,
}

/// Every place that shows words of others, with each text of the corpus: what reaches the terminal is ours alone.
/// `-- --nocapture` prints the table.
#[test]
fn nothing_hostile_reaches_the_terminal_from_any_screen() {
    let mut table: Vec<(&str, Looked)> = Vec::new();
    let mut look = |name: &'static str, text: &str, wires: Vec<Vec<u8>>| {
        let at = table.iter().position(|(place, _)| *place == name).unwrap_or_else(|| {
            table.push((name, Looked::default()));
            table.len() - 1
        });
        let looked = &mut table[at].1;
        looked.texts += 1;
        for wire in wires {
            let head: String = text.chars().take(40).collect();
            assert_eq!(foreign(&wire), BTreeSet::new(), "{name} with {head:?}");
            (looked.frames, looked.bytes) = (looked.frames + 1, looked.bytes + wire.len());
        }
    };
    let texts = corpus();
    for text in &texts {
        for (name, state) in screens(text) {
            let sizes = [(120, 36), (80, 24), (40, 20)];
            let frames = sizes.map(|(columns, rows)| wire(&state, &mut Memo::new(), columns, rows));
            look(name, text, frames.into());
            if name.starts_with("the transcript") {
                let size = Size { columns: 80, rows: 24 };
                let mut memo = Memo::new();
                let (live, ..) = ui::inline::live(&state, &Theme::dark(), &mut memo, size);
                let printed = ui::inline::printed(&state, &Theme::dark(), &mut memo, 80);
                look("inline: the live area", text, vec![cells(&live)]);
                look("inline: what is printed", text, vec![cells(&printed)]);
                look("the window's title", text, vec![ui::title(&state, &Theme::dark()).into_bytes()]);
            }
        }
    }
    let mut sum = Looked::default();
    for (place, looked) in &table {
        println!("{place:<40} {:>3} texts {:>5} frames {:>9} bytes", looked.texts, looked.frames, looked.bytes);
        // What is no form, is refused before it is shown.
        assert!(looked.texts == texts.len() || place.ends_with("a form"), "{place} saw {} texts", looked.texts);
        sum.frames += looked.frames;
        sum.bytes += looked.bytes;
    }
    println!("corpus: {} places, {} texts, {} frames, {} bytes", table.len(), texts.len(), sum.frames, sum.bytes);
    assert!(table.len() >= 50 && sum.frames > 4_500, "{} places, {} frames", table.len(), sum.frames);
}

/// What stands in the cells of a buffer, one after the other.
fn cells(buffer: &Buffer) -> Vec<u8> {
    buffer.content.iter().flat_map(|cell| cell.symbol().bytes()).collect()
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
