//! esc, ctrl+c, ctrl+d, focus, layers.

use super::*;

fn quits(desk: &Desk) -> bool {
    desk.effects.iter().any(|effect| matches!(effect, Effect::Quit))
}

fn stops(desk: &Desk) -> bool {
    desk.orders().iter().any(|order| matches!(order, Order::CancelTurn { .. }))
}

#[test]
fn ctrl_c_clears_then_stops_then_twice_quits() {
    let mut desk = desk();
    desk.ask("hi");
    desk.keys("draft<ctrl+c>");
    assert_eq!(desk.text(), "");
    assert!(!stops(&desk));
    desk.keys("<ctrl+_>");
    assert_eq!(desk.text(), "draft", "undo brings it back");
    desk.keys("<ctrl+c><ctrl+c>");
    assert!(stops(&desk) && !quits(&desk));
    desk.ended(TurnStatus::Cancelled);
    desk.keys("<ctrl+c>");
    assert_eq!(desk.hint(), "^C again quits");
    assert!(!quits(&desk));
    desk.keys("<ctrl+c>");
    assert!(quits(&desk));
}

#[test]
fn the_second_ctrl_c_must_come_within_a_second() {
    let mut desk = desk();
    desk.keys("<ctrl+c>");
    let Some(Effect::SetTimer { timer, after_ms: 1_000 }) = desk.effects.first().cloned() else {
        panic!("{:?}", desk.effects)
    };
    desk.event(Event::Timer(timer));
    assert_eq!(desk.hint(), "");
    desk.keys("<ctrl+c>");
    assert!(!quits(&desk));
    desk.event(Event::Timer(timer));
    assert_ne!(desk.hint(), "", "the first timer is late and means nothing");
    desk.keys("x<backspace><ctrl+c>");
    assert!(!quits(&desk), "another key between disarms");
}

#[test]
fn ctrl_d_deletes_and_on_an_empty_line_quits() {
    let mut desk = desk();
    desk.keys("ab<ctrl+a><ctrl+d>");
    assert_eq!(desk.text(), "b");
    assert!(!quits(&desk));
    desk.keys("<ctrl+d><ctrl+d>");
    assert!(quits(&desk));
}

#[test]
fn ctrl_d_says_first_that_calls_run() {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", CallState::Running);
    desk.keys("<ctrl+d>");
    assert!(!quits(&desk));
    assert!(desk.hint().starts_with("1 call is running"), "{}", desk.hint());
    desk.keys("<ctrl+d>");
    assert!(quits(&desk) && stops(&desk));
}

#[test]
fn esc_closes_one_layer_at_a_time_and_only_then_stops() {
    let mut desk = desk();
    desk.ask("hi");
    desk.keys("<tab>/x<enter><ctrl+p>");
    assert_eq!((desk.state.focus, desk.state.overlays.len()), (Focus::Transcript, 1));
    desk.keys("<esc>");
    assert!(desk.state.overlays.is_empty() && desk.state.transcript.find.is_some() && !stops(&desk));
    desk.keys("<esc>");
    assert!(desk.state.transcript.find.is_none() && desk.state.focus == Focus::Transcript && !stops(&desk));
    desk.keys("<esc>");
    assert!(desk.state.focus == Focus::Composer && !stops(&desk));
    desk.keys("/h<esc>");
    assert!(desk.state.composer.completion.is_none() && !stops(&desk));
    desk.keys("<esc>");
    assert!(stops(&desk));
    assert_eq!(desk.text(), "/h", "the text is kept");
}

#[test]
fn esc_wants_a_second_press_while_a_call_that_may_act_runs() {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", CallState::Running);
    desk.keys("<esc>");
    assert!(!stops(&desk));
    assert!(desk.hint().contains("fs/write_file"), "{}", desk.hint());
    desk.keys("x<backspace><esc>");
    assert!(!stops(&desk), "another key between disarms");
    desk.keys("<esc>");
    assert!(stops(&desk));
}

#[test]
fn held_esc_and_ctrl_c_count_once() {
    let mut desk = desk();
    desk.ask("hi");
    desk.call("a", CallState::Running);
    desk.keys("<esc>");
    let held = Key { repeat: true, ..Key::parse("esc").unwrap() };
    desk.after(30, Event::Key(held));
    assert!(!stops(&desk));
}

#[test]
fn tab_goes_round_and_back() {
    let mut desk = desk();
    let focus = |desk: &mut Desk, keys: &str| {
        desk.keys(keys);
        desk.state.focus
    };
    assert_eq!(focus(&mut desk, "<tab>"), Focus::Transcript);
    assert_eq!(focus(&mut desk, "<tab>"), Focus::Panel);
    assert_eq!(focus(&mut desk, "<tab>"), Focus::Composer);
    assert_eq!(focus(&mut desk, "<shift+tab>"), Focus::Panel);
    assert_eq!(focus(&mut desk, "<f3>"), Focus::Composer);
    assert_eq!(focus(&mut desk, "<tab><tab>"), Focus::Composer, "a hidden panel has no focus");
}

#[test]
fn keys_that_work_anywhere() {
    let opens = |keys: &str, is: fn(&Overlay) -> bool| {
        let mut desk = desk();
        desk.keys(keys);
        assert!(desk.state.overlays.last().is_some_and(is), "{keys}: {:?}", desk.state.overlays);
    };
    opens("<ctrl+o>", |o| matches!(o, Overlay::Servers(_)));
    opens("<ctrl+r>", |o| matches!(o, Overlay::Browser(_)));
    opens("<ctrl+r><ctrl+r>", |o| matches!(o, Overlay::Prompts(_)));
    opens("<ctrl+p>", |o| matches!(o, Overlay::Palette(_)));
    opens("<alt+x>", |o| matches!(o, Overlay::Palette(_)));
    opens("<ctrl+p>timel<enter>", |o| matches!(o, Overlay::Timeline(_)));
    opens("<ctrl+o><ctrl+p>", |o| matches!(o, Overlay::Palette(_)));
    let mut desk = desk();
    desk.keys("<ctrl+t>");
    assert_eq!(desk.state.focus, Focus::Panel);
    desk.keys("<ctrl+l>");
    assert!(matches!(desk.effects[..], [Effect::Redraw]));
    desk.keys("<ctrl+z>");
    assert!(matches!(desk.effects[..], [Effect::Suspend]));
    desk.keys("<f2>");
    assert!(matches!(desk.effects[0], Effect::MouseCapture(true)));
    desk.keys("<esc>");
    desk.ask("hi");
    desk.ended(TurnStatus::Ok);
    desk.keys("<ctrl+n>");
    assert!(desk.state.transcript.entries.is_empty() && desk.state.transcript.conversation.is_none());
}

#[test]
fn ctrl_n_stops_no_answer() {
    let mut desk = desk();
    desk.ask("hi");
    desk.keys("<ctrl+n>");
    assert!(desk.state.overlays.is_empty() && !stops(&desk));
    assert!(desk.state.transcript.entries.is_empty());
}

#[test]
fn a_dead_key_says_why() {
    let mut desk = desk();
    desk.keys("<tab>z");
    assert!(desk.said().contains("z does nothing here"), "{}", desk.said());
    // A key of the other side says so, and what was said goes with the next key.
    desk.keys("t");
    assert!(desk.said().contains("t works among the tools: tab goes there"), "{}", desk.said());
    desk.keys("<tab>");
    assert!(desk.state.shown_notice().is_none(), "{:?}", desk.state.shown_notice());
    desk.keys("/");
    assert!(desk.said().contains("/ works among the messages: shift+tab goes there"), "{}", desk.said());
}

#[test]
fn quitting_keeps_the_draft() {
    let mut desk = desk();
    desk.keys("half a thou");
    desk.event(Event::Terminate);
    assert!(desk.effects.iter().any(|e| matches!(e, Effect::SaveDraft { text, .. } if text == "half a thou")));
    assert!(quits(&desk));
}
