//! A plain view: the transcript's tail, what lies over it, the composer. Stands in where the full view is not built.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout as Split};
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

use crate::app::{Anchor, Area, EntryBody, Layout, Overlay, ReviewLayout, Size, State, TranscriptLayout};
use crate::text::sanitize;

#[derive(Debug, Default)]
pub(super) struct Memo;

impl Memo {
    pub(super) fn new() -> Self {
        Self
    }

    pub(super) fn wants_frame(&self) -> bool {
        false
    }
}

pub(super) fn view(state: &State, _memo: &mut Memo, frame: &mut Frame<'_>) -> Layout {
    let area = frame.area();
    let [top, bottom, foot] =
        Split::vertical([Constraint::Min(0), Constraint::Length(3), Constraint::Length(1)]).areas(area);
    let mut lines: Vec<String> = Vec::new();
    for entry in &state.transcript.entries {
        let who = match &entry.body {
            EntryBody::User(_) => "you",
            EntryBody::Answer(answer) => &answer.model,
            EntryBody::Fault(_) => "!",
            EntryBody::Note(_) => "-",
        };
        lines.push(sanitize(who).to_string());
        lines.extend(sanitize(&entry.text()).as_str().lines().map(str::to_owned));
    }
    for call in state.calls.turn() {
        lines.push(sanitize(&format!("{} {:?}", call.name(), call.phase)).to_string());
    }
    let mut review = None;
    match state.overlays.last() {
        Some(Overlay::Review(open)) => {
            lines.push("approval needed".into());
            lines.push(sanitize(open.shown()).to_string());
            review = Some(ReviewLayout {
                call: open.call().clone(),
                revision: open.revision,
                lines: 1,
                page: 1,
                top: 0,
                end_visible: true,
            });
        }
        Some(Overlay::Welcome(_)) => lines.push("Choose a model to talk to.".into()),
        Some(Overlay::Help(_)) => lines.push("HELP".into()),
        Some(Overlay::Browser(_)) => lines.push("HISTORY".into()),
        _ => {}
    }
    let from = lines.len().saturating_sub(usize::from(top.height));
    let shown: Vec<Line<'_>> = lines[from..].iter().map(|line| Line::from(line.as_str())).collect();
    frame.render_widget(Paragraph::new(shown), top);
    frame.render_widget(&state.composer.area, bottom);
    let foot_text = match (&state.status.hint, state.shown_notice()) {
        (Some(hint), _) => sanitize(hint).to_string(),
        (None, Some(notice)) => sanitize(&notice.text).to_string(),
        (None, None) => state.hints().iter().map(|hint| format!("{} {}   ", hint.key, hint.label)).collect(),
    };
    frame.render_widget(Line::from(foot_text), foot);
    let cells = |rect: ratatui::layout::Rect| Area { x: rect.x, y: rect.y, width: rect.width, height: rect.height };
    Layout {
        size: Size { columns: area.width, rows: area.height },
        transcript: TranscriptLayout {
            area: cells(top),
            top: state.transcript.entries.last().map(|entry| Anchor { key: entry.key, line: 0 }),
            at_end: true,
            below: 0,
        },
        review,
        ..Layout::default()
    }
}
