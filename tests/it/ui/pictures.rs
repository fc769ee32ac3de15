//! Pictures in the transcript: cells where the terminal draws them, a line in brackets where it does not.

use millrace::ui::{Picture, PictureOf};

use super::*;

/// The head of a PNG of 640 by 480 pixels.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAoAAAAHgCAIAAAC6s0uz";

fn image(data: &str) -> Part {
    Part::Image { name: "plan.png".into(), mime: "image/png".into(), data: data.into() }
}

/// The rows of the frame, each picture's cells as `#`; and the pictures.
fn drawn(state: &State, cell: Option<(u16, u16)>, columns: u16, rows: u16) -> (Vec<String>, Vec<Picture>) {
    let mut memo = Memo::new();
    memo.draw_pictures(cell);
    let frame = text(&buffer(state, &Theme::dark(), &mut memo, columns, rows).0);
    let hashes = |row: &str| {
        row.split('\u{10eeee}')
            .map(|piece| piece.trim_start_matches(|c| c > '\u{2ff}' && c < '\u{620}'))
            .collect::<Vec<_>>()
            .join("#")
    };
    (frame.lines().map(hashes).collect(), memo.pictures().to_vec())
}

#[test]
fn an_attached_picture_is_drawn_under_its_line_where_the_terminal_draws() {
    let mut state = empty();
    entry(&mut state, EntryBody::User(vec![Part::text("look"), image(PNG)]));
    let (rows, pictures) = drawn(&state, None, 80, 36);
    assert!(pictures.is_empty() && rows.iter().all(|row| !row.contains('#')), "{rows:#?}");
    let label = |rows: &[String]| rows.iter().position(|row| row.contains("[image plan.png: image/png")).unwrap();
    label(&rows);
    let (rows, pictures) = drawn(&state, Some((10, 20)), 80, 36);
    assert_eq!(pictures.len(), 1);
    assert_eq!((pictures[0].columns, pictures[0].rows), (48, 18));
    assert_eq!(pictures[0].of, PictureOf::Attached { key: 1, part: 1 });
    let from = label(&rows) + 1;
    for row in &rows[from..from + 18] {
        assert_eq!(row.matches('#').count(), 48, "{rows:#?}");
        assert!(row.starts_with(" ┃ #"), "{row}");
    }
    // Its end alone is on a low screen; narrow, it is smaller.
    let (low, again) = drawn(&state, Some((10, 20)), 80, 12);
    assert!(low.iter().filter(|row| row.contains('#')).count() < 18);
    assert_eq!(again, pictures);
    let (_, narrow) = drawn(&state, Some((10, 20)), 30, 30);
    assert!(narrow[0].columns < 30 && narrow[0].rows < 18 && narrow[0].number == pictures[0].number);
}

#[test]
fn what_a_terminal_should_not_decode_stays_a_line() {
    for data in ["iVBORw0KGgoAAAANSUhEUgAA6mAAAOpgCAIAAAC6s0uz", "R0lGODlhAQABAIAAAAAAAP", "not base64!", ""] {
        let mut state = empty();
        entry(&mut state, EntryBody::User(vec![image(data)]));
        assert!(drawn(&state, Some((10, 20)), 80, 24).1.is_empty(), "{data}");
    }
}

#[test]
fn the_pictures_of_a_result_are_drawn_where_it_is_unfolded() {
    let mut state = empty();
    let id = call(&mut state, "c", "web/shot", "{}", CallPhase::Ended(OutcomeKind::Done));
    change(&mut state, &id, |call| {
        let mut outcome = ToolOutcome::unsent(OutcomeKind::Done, "[image]");
        let full = serde_json::json!({"content": [
            {"type": "text", "text": "here"},
            {"type": "image", "data": PNG, "mimeType": "image/png"},
            {"type": "image", "data": "https://a.example/x.png", "mimeType": "image/png"},
        ]});
        outcome.full = Some(full.to_string());
        outcome.full_is_result = true;
        call.outcome = Some(Arc::new(outcome));
    });
    let mut answer = AnswerEntry::default();
    answer.pieces = vec![Piece::Call(id.clone())];
    entry(&mut state, EntryBody::Answer(answer));
    assert!(drawn(&state, Some((10, 20)), 80, 36).1.is_empty(), "folded it is one line");
    if let EntryBody::Answer(answer) = &mut state.transcript.entries[0].body {
        answer.unfolded.push(id.clone());
    }
    let (_, pictures) = drawn(&state, Some((10, 20)), 80, 36);
    assert_eq!(pictures.len(), 1);
    assert_eq!(ui::picture_data(&state, &pictures[0]).as_deref(), Some(PNG));
    assert_eq!(pictures[0].of, PictureOf::Result { call: id, block: 1 });
}
