//! A server's request for an answer of the model, and that answer before it is sent.
//!
//! # Invariants
//! - Every word of both stands in it, with what cannot be seen written out; it is scrolled, never cut.
//! - Who asks, who answers and what it may cost stand before the words.

use ratatui::layout::Rect;

use super::one;
use crate::app::{InquiryBox, Layout, ListLayout, SampleLayout, SampleStage, SampleView, State};
use crate::chat::{Sample, SamplePart, SampleReply, SampleStop, Usage};
use crate::text::visible;
use crate::ui::canvas::Canvas;
use crate::ui::figures::{clock, cost, counted, grouped, size};
use crate::ui::ink::{Ink, Row, Tint};
use crate::ui::markdown::wrap_row;

/// What the title says after the server's name.
pub(super) fn title(state: &State) -> &'static str {
    match stage(state) {
        SampleStage::Request => "wants an answer of your model",
        SampleStage::Answering { .. } => "is being answered by your model",
        SampleStage::Whole { .. } => "waits for this answer",
    }
}

pub(super) fn introduction(state: &State) -> &'static str {
    match stage(state) {
        SampleStage::Request => "The model would be asked this, at your cost; you see its answer before it goes back.",
        SampleStage::Answering { .. } => "Nothing of it has gone to the server yet.",
        SampleStage::Whole { .. } => "This goes to the server when you say so, and nothing else.",
    }
}

/// Whether what stands below are the server's words.
pub(super) fn is_theirs(open: &InquiryBox, state: &State) -> bool {
    open.sample().is_some() && *stage(state) == SampleStage::Request
}

/// What can be done, as keys and words.
pub(super) fn keys(state: &State) -> &'static [(&'static str, &'static str)] {
    match stage(state) {
        SampleStage::Request => &[("{question.no}", "decline"), ("{question.yes}", "ask the model")],
        SampleStage::Answering { .. } => &[("{question.no}", "decline")],
        SampleStage::Whole { .. } => {
            &[("{question.no}", "decline"), ("{question.yes}", "send it"), ("{question.edit}", "edit")]
        }
    }
}

/// The same for the footer.
pub(super) fn foot(state: &State) -> &'static [(&'static str, &'static str)] {
    match stage(state) {
        SampleStage::Request => {
            &[("{question.yes}", "ask the model"), ("{question.no}", "decline"), ("{list.down}/{list.up}", "scroll")]
        }
        SampleStage::Answering { .. } => &[("{question.no}", "decline"), ("{list.down}/{list.up}", "scroll")],
        SampleStage::Whole { .. } => &[
            ("{question.yes}", "send"),
            ("{question.no}", "decline"),
            ("{question.edit}", "edit"),
            ("{list.down}/{list.up}", "scroll"),
        ],
    }
}

pub(super) fn draw(
    canvas: &mut Canvas<'_>,
    area: Rect,
    open: &InquiryBox,
    view: &SampleView,
    state: &State,
    layout: &mut Layout,
) {
    let Some(sample) = open.sample() else { return };
    let inner = usize::from(area.width).saturating_sub(2).max(1);
    let rows = match stage(state) {
        SampleStage::Request => request(sample, state, inner),
        SampleStage::Answering { text, thought, began } => answering(text, *thought, state.now.since_us(*began), inner),
        SampleStage::Whole { reply, usage, edited } => whole(reply, *usage, *edited, state, inner),
    };
    let page = usize::from(area.height);
    let last = rows.len().saturating_sub(page);
    let top = if view.follow { last } else { view.scroll.min(last) };
    for (y, row) in rows.iter().skip(top).take(page).enumerate() {
        canvas.row(area, 1, y, row);
    }
    if top < last {
        let more = counted((last - top) as u64, "line below", "lines below");
        canvas.put_right(area, usize::from(area.width).saturating_sub(1), page.saturating_sub(1), &more, Ink::Dim);
    }
    let end_visible = page > 0 && top == last;
    layout.list = ListLayout { lines: rows.len(), page, top };
    layout.sample = Some(SampleLayout { revision: view.revision, lines: rows.len(), page, top, end_visible });
}

/// Where the question is gone its dialogue is closed with the same event.
fn stage(state: &State) -> &SampleStage {
    state.inquiry.as_ref().map_or(&SampleStage::Request, |asked| &asked.stage)
}

/// One line of facts, wrapped behind its name.
struct Facts {
    rows: Vec<Row>,
    inner: usize,
}

impl Facts {
    fn add(&mut self, name: &str, text: &str, rest: &str) {
        let mut row = Row::new();
        row.push(name, Ink::Dim);
        row.pad_to(NAME);
        row.push(text, Ink::Text);
        row.push(rest, Ink::Dim);
        let indent = Row::label("          ", Ink::Text);
        self.rows.extend(wrap_row(&row, self.inner, &Row::new(), &indent));
    }
}

/// Columns of a fact's name.
const NAME: usize = 10;

/// The request, whole.
fn request(sample: &Sample, state: &State, inner: usize) -> Vec<Row> {
    let mut facts = Facts { rows: Vec::new(), inner };
    let model = sample.model.as_deref().unwrap_or(&state.session.settings.model);
    let model = if model.is_empty() { "none is chosen" } else { model };
    match state.inquiry.as_ref().is_some_and(|asked| asked.moved) {
        true => facts.add("answers", "nobody", "  you changed the endpoint since it asked"),
        false => facts.add("answers", &one(model), &format!("  at {}", one(&sample.base_url))),
    }
    let most = u64::from(sample.max_tokens);
    let cut = match sample.max_tokens < sample.wanted_tokens {
        true => format!("  (it wants {})", grouped(sample.wanted_tokens.into())),
        false => String::new(),
    };
    let price = state.session.prices.and_then(|prices| {
        prices.cost(Usage { input: Some(sample.estimated_input()), output: Some(most), ..Usage::default() })
    });
    let price = price.map_or_else(String::new, |price| format!(", some {}", cost(price)));
    facts.add("at most", &format!("{}{price}", counted(most, "token", "tokens")), &cut);
    let left = format!(
        "{} tokens for this server, {} in this turn",
        grouped(sample.budget.server),
        grouped(sample.budget.turn)
    );
    facts.add("left", &left, "");
    let request = format!("some {}", counted(sample.estimated_input(), "token", "tokens"));
    facts.add("request", &request, &format!("  {} at the very most", grouped(sample.most_input())));
    if let Some(temperature) = sample.temperature {
        facts.add("with", &format!("temperature {temperature}"), "");
    }
    if !sample.stop.is_empty() {
        let stops: Vec<String> = sample.stop.iter().map(|stop| one(&format!("{stop:?}"))).collect();
        facts.add("ends at", &stops.join(", "), "");
    }
    if !sample.hints.is_empty() {
        facts.add("wishes", &one(&sample.hints.join(", ")), "  your model answers all the same");
    }
    if sample.wants_context {
        facts.add("wishes", "more of the conversation", "  which it does not get");
    }
    let mut out = facts.rows;
    if let Some(system) = &sample.system {
        block("SYSTEM", system, inner, &mut out);
    }
    for message in &sample.messages {
        let name = if message.by_assistant { "ASSISTANT" } else { "USER" };
        for part in &message.parts {
            match part {
                SamplePart::Text(text) => block(name, text, inner, &mut out),
                SamplePart::Image { mime, data } => {
                    let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX) / 4 * 3;
                    block(name, &format!("[an image: {mime}, {}]", size(bytes)), inner, &mut out);
                }
            }
        }
    }
    out
}

/// The answer as it comes.
fn answering(text: &str, thought: u64, us: u64, inner: usize) -> Vec<Row> {
    let mut facts = Facts { rows: Vec::new(), inner };
    let thinking =
        if thought > 0 { format!("  {} of reasoning, which is not sent", size(thought)) } else { String::new() };
    facts.add("answering", &clock(us), &thinking);
    let mut out = facts.rows;
    if !text.is_empty() {
        block("ANSWER", text, inner, &mut out);
    }
    out
}

/// The answer, whole.
fn whole(reply: &SampleReply, usage: Usage, edited: bool, state: &State, inner: usize) -> Vec<Row> {
    let mut facts = Facts { rows: Vec::new(), inner };
    let edited = if edited { "  edited by you" } else { "" };
    facts.add("by", &one(&reply.model), edited);
    let ended = match reply.stop {
        SampleStop::EndTurn => "by itself",
        SampleStop::StopSequence => "at one of the server's stop sequences",
        SampleStop::MaxTokens => "where its tokens were used up",
    };
    facts.add("ended", ended, "");
    if usage.input.is_some() || usage.output.is_some() {
        let told = |n: Option<u64>| n.map_or_else(|| "?".to_owned(), grouped);
        let price = state.session.prices.and_then(|prices| prices.cost(usage));
        let price = price.map_or_else(String::new, |price| format!(", {}", cost(price)));
        facts.add("took", &format!("{} tokens in, {} out{price}", told(usage.input), told(usage.output)), "");
    }
    let mut out = facts.rows;
    match reply.text.is_empty() {
        true => out.extend([Row::new(), Row::label("The model said nothing.", Ink::Warn)]),
        false => block("ANSWER", &reply.text, inner, &mut out),
    }
    out
}

fn block(name: &'static str, text: &str, inner: usize, out: &mut Vec<Row>) {
    let none = Row::new();
    let indent = Row::label("  ", Ink::Text);
    out.push(Row::new());
    out.push(Row::label(name, Tint::of(Ink::Accent).bold()));
    for line in visible(text).as_str().lines() {
        let mut row = Row::new();
        row.push("  ", Ink::Text);
        row.push_safe(line, Tint::default());
        out.extend(wrap_row(&row, inner, &none, &indent));
    }
}
