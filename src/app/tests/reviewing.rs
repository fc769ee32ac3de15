//! The review: what can let a call run, and what never can.

use super::*;

fn waiting() -> Desk {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", review("a", "h1"));
    desk
}

fn open(desk: &Desk) -> Option<&ReviewBox> {
    match desk.state.overlays.last() {
        Some(Overlay::Review(open)) => Some(open),
        _ => None,
    }
}

fn decided(desk: &Desk) -> Option<(String, Decision)> {
    desk.orders().into_iter().find_map(|order| match order {
        Order::Decide { hash, decision, .. } => Some((hash.to_string(), decision.clone())),
        _ => None,
    })
}

#[test]
fn the_review_opens_as_the_call_waits_unless_something_is_being_written() {
    assert!(open(&waiting()).is_some());
    let mut desk = desk();
    desk.ask("hi");
    desk.keys("typing");
    desk.call("a", review("a", "h1"));
    assert!(open(&desk).is_none());
    assert!(desk.state.hints().iter().any(|hint| hint.key == "^T" && hint.label == "review"));
    desk.keys("<ctrl+t>");
    assert!(open(&desk).is_some());
}

#[test]
fn y_s_n_and_a_decide_on_the_bytes_that_were_shown() {
    let check = |keys: &str, expect: Decision| {
        let mut desk = waiting();
        desk.review_drawn(true);
        desk.keys(keys);
        assert_eq!(decided(&desk), Some(("h1".to_owned(), expect)), "{keys}");
        assert!(open(&desk).is_none());
    };
    check("y", Decision::Once);
    check("s", Decision::Session);
    check("AA", Decision::Always);
    check("n", Decision::Deny { reason: None });
    check("dtoo wide<enter>", Decision::Deny { reason: Some("too wide".into()) });
}

#[test]
fn keys_are_deaf_after_opening_and_after_each_ignored_key() {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", review("a", "h1"));
    desk.review_drawn(true);
    let y = Event::Key(Key::parse("y").unwrap());
    for _ in 0..5 {
        desk.after(300, y.clone());
        assert!(decided(&desk).is_none());
    }
    assert!(open(&desk).unwrap().refused.as_ref().unwrap().contains("too early"));
    desk.after(351, y);
    assert!(decided(&desk).is_some());
}

#[test]
fn the_end_must_have_been_on_the_screen() {
    let mut desk = waiting();
    desk.review_drawn(false);
    desk.keys("y");
    assert!(decided(&desk).is_none());
    assert!(
        open(&desk)
            .unwrap()
            .refused
            .as_ref()
            .unwrap()
            .contains("y works once the end has been on screen: 30 lines to go")
    );
    desk.keys("f");
    assert!(open(&desk).unwrap().full);
    desk.review_drawn(true);
    desk.keys("y");
    assert!(decided(&desk).is_some());
}

#[test]
fn what_was_drawn_for_other_bytes_does_not_count() {
    let mut desk = waiting();
    let revision = open(&desk).unwrap().revision;
    let layout = Layout {
        review: Some(ReviewLayout {
            call: CallId::new("a"),
            revision: revision + 1,
            lines: 1,
            page: 1,
            top: 0,
            end_visible: true,
        }),
        ..Layout::default()
    };
    desk.event(Event::Layout(layout));
    desk.keys("y");
    assert!(decided(&desk).is_none());
}

#[test]
fn enter_space_repeats_pastes_and_the_mouse_never_approve() {
    let mut desk = waiting();
    desk.review_drawn(true);
    desk.keys("<enter> ");
    for key in ["y", "s", "A"] {
        desk.event(Event::Key(Key { repeat: true, ..Key::parse(key).unwrap() }));
    }
    desk.event(Event::Paste("y".into()));
    desk.state.layout.targets = vec![(Area { x: 0, y: 0, width: 99, height: 99 }, Target::Row(0))];
    desk.event(Event::Mouse(Mouse { x: 5, y: 5, action: MouseAction::Press }));
    assert_eq!(decided(&desk), None);
    assert!(open(&desk).is_some());
}

#[test]
fn always_shows_the_rule_first_and_is_deaf_again() {
    let mut desk = waiting();
    desk.review_drawn(true);
    desk.keys("A");
    assert!(matches!(&open(&desk).unwrap().step, ReviewStep::Rule { rule } if rule.contains("fs/write_file")));
    desk.after(100, Event::Key(Key::parse("A").unwrap()));
    assert!(decided(&desk).is_none());
    desk.keys("<esc>");
    assert_eq!(open(&desk).unwrap().step, ReviewStep::Choose);
}

#[test]
fn esc_decides_later_and_ctrl_t_opens_it_again() {
    let mut desk = waiting();
    desk.keys("<esc>");
    assert!(open(&desk).is_none());
    desk.event(Event::Timer(Timer::Tick));
    assert!(open(&desk).is_none(), "it does not open by itself again");
    assert!(desk.orders().is_empty());
    desk.keys("<ctrl+t>");
    assert!(open(&desk).is_some());
}

#[test]
fn edited_arguments_are_shown_to_their_end_and_allowed_once() {
    let mut desk = waiting();
    desk.review_drawn(true);
    desk.keys("e");
    let what = EditorUse::Arguments { call: CallId::new("a") };
    assert!(desk.effects.iter().any(|e| matches!(e, Effect::Editor { what: w, .. } if *w == what)));
    desk.reply(Reply::EditorClosed { what: what.clone(), result: Ok("{ \"path\": \"b\" }".into()) });
    assert_eq!(open(&desk).unwrap().shown(), r#"{"path":"b"}"#);
    desk.keys("y");
    assert!(decided(&desk).is_none(), "not seen yet");
    desk.review_drawn(true);
    desk.keys("s");
    assert!(decided(&desk).is_none(), "once only");
    desk.keys("y");
    assert_eq!(decided(&desk).unwrap().1, Decision::Edit { arguments: r#"{"path":"b"}"#.into() });
    let mut desk = waiting();
    desk.keys("e");
    desk.reply(Reply::EditorClosed { what, result: Ok("{".into()) });
    desk.review_drawn(true);
    desk.keys("y");
    assert!(decided(&desk).is_none());
}

#[test]
fn a_review_closes_when_its_call_needs_none_and_opens_anew_for_other_bytes() {
    let mut desk = waiting();
    desk.call("a", CallState::Ended(Arc::new(ToolOutcome::unsent(OutcomeKind::Conflict, "changed"))));
    assert!(open(&desk).is_none());
    let mut desk = waiting();
    desk.review_drawn(true);
    desk.call("a", review("a", "h2"));
    assert_eq!(&*open(&desk).unwrap().review.hash, "h2");
    assert!(!open(&desk).unwrap().end_seen);
}

#[test]
fn one_review_after_another() {
    let mut desk = waiting();
    desk.call("b", review("b", "h2"));
    assert_eq!(open(&desk).unwrap().call(), &CallId::new("a"));
    desk.review_drawn(true);
    desk.keys("y");
    assert_eq!(open(&desk).unwrap().call(), &CallId::new("b"), "the next opens, deaf");
    desk.review_drawn(true);
    desk.after(10, Event::Key(Key::parse("y").unwrap()));
    assert_eq!(desk.orders().len(), 1);
}

#[test]
fn other_layers_do_not_open_over_a_review() {
    let mut desk = waiting();
    desk.keys("<ctrl+r><ctrl+o><ctrl+p><ctrl+n>");
    assert_eq!(desk.state.overlays.len(), 1);
    desk.keys("<ctrl+c>");
    assert!(matches!(desk.order(), Order::CancelTurn { .. }), "ctrl+c stops the turn");
}

#[test]
fn changed_definitions_are_accepted_as_they_were_shown_and_read() {
    let mut desk = desk();
    let difference = |after: &str| Difference {
        tool: ToolRef::new("docs", "search"),
        before: Some("{}".into()),
        after: after.into(),
    };
    let status = |after: &str| ServerStatus {
        state: ServerState::Ready,
        withheld: 1,
        differences: Arc::new([difference(after)]),
        ..ServerStatus::starting(ServerName::new("docs"), "stdio", "docs")
    };
    let drawn = |desk: &mut Desk, page: usize| {
        let list = ListLayout { lines: 40, page, top: 0 };
        desk.event(Event::Layout(Layout { list, ..Layout::default() }));
    };
    desk.engine(TurnEvent::Server(status("seen")));
    desk.keys("<ctrl+o><enter>");
    drawn(&mut desk, 10);
    desk.keys("A");
    assert!(desk.orders().is_empty() && desk.said().contains("to their end"));
    // The server changes its mind while a person reads.
    desk.engine(TurnEvent::Server(status("unseen")));
    drawn(&mut desk, 40);
    desk.keys("<enter> ");
    assert!(desk.orders().is_empty(), "enter and space accept nothing");
    desk.keys("A");
    let Order::AcceptChanges { shown, .. } = desk.order() else { panic!() };
    assert_eq!(**shown, [difference("seen")]);
}

#[test]
fn a_server_starts_only_by_y_or_a() {
    let mut desk = desk();
    let status = ServerStatus {
        state: ServerState::NeedsConsent,
        ..ServerStatus::starting(ServerName::new("files"), "stdio", "npx -y files")
    };
    desk.engine(TurnEvent::Server(status.clone()));
    assert!(matches!(desk.state.overlays.last(), Some(Overlay::Consent(c)) if c.line == "npx -y files"));
    desk.keys("<enter> ");
    desk.event(Event::Paste("y".into()));
    assert!(desk.orders().is_empty());
    desk.keys("A");
    assert!(matches!(desk.order(), Order::Server { action: ServerAction::StartAlways, .. }));
    assert!(desk.state.overlays.is_empty());
    let mut desk = super::desk();
    desk.engine(TurnEvent::Server(status));
    desk.keys("n");
    assert!(desk.orders().is_empty() && desk.state.overlays.is_empty(), "not asked again in this session");
}

fn asks_ever(desk: &Desk) -> bool {
    desk.effects.iter().any(|effect| matches!(effect, Effect::EverApproved))
}

#[test]
fn the_first_review_ever_explains_itself_and_the_fourth_of_a_tool_names_the_wider_answer() {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", review("a", "h1"));
    let tool = ToolRef::new("fs", "write_file");
    assert!(asks_ever(&desk));
    desk.reply(Reply::EverApproved(false));
    assert_eq!(desk.state.reviewed.guide(&tool), Some(Guide::First));
    for n in 0..3 {
        if n > 0 {
            desk.call(&format!("a{n}"), review(&format!("a{n}"), "h1"));
        }
        assert_ne!(desk.state.reviewed.guide(&tool), Some(Guide::Often));
        desk.review_drawn(true);
        desk.keys("y");
        assert!(decided(&desk).is_some(), "{n}");
    }
    assert_eq!(desk.state.reviewed.guide(&tool), Some(Guide::Often));
    assert_eq!(desk.state.reviewed.guide(&ToolRef::new("fs", "read_file")), None);
    // It is asked once in a session.
    desk.call("b", review("b", "h1"));
    assert!(!asks_ever(&desk));
}

#[test]
fn a_person_who_let_calls_run_before_is_told_nothing_of_it() {
    let mut desk = waiting();
    desk.reply(Reply::EverApproved(true));
    assert_eq!(desk.state.reviewed.guide(&ToolRef::new("fs", "write_file")), None);
}

/// A review of a call that writes a file, on a server that is on this computer.
fn writing() -> Desk {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", writes("stdio: npx fs", "/a"));
    desk
}

/// A review of a call that writes "b" to a file.
fn writes(server_line: &str, path: &str) -> CallState {
    let CallState::Waiting(WaitFor::Approval(given)) = review("a", "h1") else { panic!("no review") };
    let mut given = (*given).clone();
    given.server_line = server_line.into();
    given.arguments = format!(r#"{{"path":"{path}","content":"b"}}"#).into();
    CallState::Waiting(WaitFor::Approval(given.into()))
}

#[test]
fn a_path_that_means_another_file_to_its_server_is_not_compared() {
    let looked = |line: &str, path: &str| {
        let mut desk = desk();
        desk.ask("hi");
        desk.call("a", writes(line, path));
        desk.effects.iter().any(|effect| matches!(effect, Effect::LookAtFile { .. }))
    };
    assert!(!looked("stdio: npx fs", "notes.txt"), "its folder or root may be another");
    assert!(looked("stdio: npx fs", "/srv/notes/notes.txt"));
    assert!(!looked("http://127.0.0.1:1/mcp", "/srv/notes/notes.txt"), "its disk may be another");
}

#[test]
fn a_file_that_would_be_written_is_looked_at_once() {
    let mut desk = writing();
    let looked = |desk: &Desk| {
        desk.effects.iter().filter(|effect| matches!(effect, Effect::LookAtFile { path, .. } if path == "/a")).count()
    };
    assert_eq!(looked(&desk), 1);
    let stands = |path: &str| Reply::FileStands {
        call: CallId::new("a"),
        path: path.into(),
        standing: OnDisk::Text("old".into()),
    };
    let revision = open(&desk).unwrap().revision;
    desk.after(5, Event::Reply(stands("/a")));
    let shown = open(&desk).unwrap();
    assert!(shown.view == ReviewView::Difference && shown.revision != revision && !shown.end_seen);
    let (file, written) = shown.difference().unwrap();
    assert_eq!(file.text.as_deref(), Some("old"));
    assert_eq!(written.what, NewText::Whole { field: "content".into(), text: "b".into() });
    desk.after(400, Event::Key(Key::parse("p").unwrap()));
    assert_eq!(open(&desk).unwrap().view, ReviewView::Exact, "p shows the exact bytes");
    assert_eq!(looked(&desk), 1);
    // A second answer to the same question changes nothing.
    desk.event(Event::Reply(stands("/a")));
    assert_eq!(open(&desk).unwrap().view, ReviewView::Exact);
    // One key goes through all there is, and back to where it began.
    for expect in [ReviewView::Tree, ReviewView::Difference, ReviewView::Exact] {
        desk.keys("p");
        assert_eq!(open(&desk).unwrap().view, expect);
    }
}

#[test]
fn paths_say_where_they_lead() {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", writes("stdio: npx fs", "/a"));
    let asked = desk.effects.iter().find_map(|effect| match effect {
        Effect::LookAtPaths { paths, roots, .. } => Some((paths.clone(), roots.len())),
        _ => None,
    });
    assert_eq!(asked, Some((vec![("path".to_owned(), "/a".to_owned())], 0)));
    let mark = |field: &str, path: &str, place| PathMark { field: field.into(), path: path.into(), place };
    let marks = vec![mark("path", "/a", PathPlace::OutsideRoots), mark("path", "/other", PathPlace::Home)];
    desk.event(Event::Reply(Reply::PathsLead { call: CallId::new("a"), marks }));
    assert_eq!(open(&desk).unwrap().marks.len(), 1, "of a path that is not shown nothing is said");
    assert_eq!(open(&desk).unwrap().mark("path"), Some(&PathPlace::OutsideRoots));
    // What a path says itself needs no disk.
    desk.effects.clear();
    desk.call("b", writes("stdio: npx fs", "../../x"));
    assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::LookAtPaths { .. })));
}

#[test]
fn an_answer_that_comes_late_changes_nothing_under_a_reader() {
    let mut desk = writing();
    let revision = open(&desk).unwrap().revision;
    desk.after(
        2_000,
        Event::Reply(Reply::FileStands { call: CallId::new("a"), path: "/a".into(), standing: OnDisk::Absent }),
    );
    let shown = open(&desk).unwrap();
    assert!(shown.view == ReviewView::Exact && shown.revision == revision);
    desk.keys("p p");
    assert!(open(&desk).unwrap().difference().is_some_and(|(file, _)| file.text.is_none()));
}
