//! `millrace timeline`: the rounds and calls of a turn, drawn in text, and as JSON.
//!
//! The drawing is a pure function of the measured times and a width.

use std::io::Write;
use std::path::Path;

use crate::chat::{CallTimes, OutcomeKind, RoundTimes, SpanKind, TurnTimes};
use crate::store::{OpenMode, Store};
use crate::text;

/// What was asked for.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// A prefix of an id, or `last`; None: the last.
    pub id: Option<String>,
    pub json: bool,
    /// Columns of the drawing.
    pub width: usize,
}

/// Prints it; returns the exit code.
pub async fn run(ask: &Ask, store: &Path, out: &mut dyn Write, err: &mut dyn Write) -> u8 {
    match show(ask, store, out).await {
        Ok(code) => code,
        Err(error) => super::history::tell(&error, err),
    }
}

async fn show(ask: &Ask, path: &Path, out: &mut dyn Write) -> Result<u8, super::history::Failure> {
    let store = Store::open(path, OpenMode::Write).or_else(|_| Store::open(path, OpenMode::Read))?;
    let id = store.resolve(ask.id.as_deref().unwrap_or("last"), None).await?;
    let summary = store.summary(&id).await?;
    let Some(turn) = store.turn(&id, None).await? else {
        let why = format!("{:?} has no turn that ran here: there is nothing to draw", summary.title);
        return Err(super::history::Failure::Usage(why));
    };
    if ask.json {
        let mut object = turn.json();
        object["conversation"] = id.as_str().into();
        object["title"] = summary.title.into();
        writeln!(out, "{object}")?;
    } else {
        let of = Heading { title: &summary.title, number: turn.number, of: turn.of, status: turn.status.as_deref() };
        for line in draw(&of, &turn.times, ask.width) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(0)
}

/// What stands in the first line.
#[derive(Clone, Copy, Debug)]
pub struct Heading<'a> {
    pub title: &'a str,
    /// From 1.
    pub number: u32,
    pub of: u32,
    /// None while it runs.
    pub status: Option<&'a str>,
}

/// Columns of RAN and SOONER with the blanks before them.
const FIGURES: usize = 20;
/// Columns between two numbers of the scale.
const TICK: u64 = 10;

/// Draws a turn in lines of at most `width` columns (at least 60), safe for any terminal.
#[must_use]
pub fn draw(heading: &Heading<'_>, times: &TurnTimes, width: usize) -> Vec<String> {
    let width = width.clamp(60, 240);
    let wide = width >= 100;
    let chart = Chart::new(times, width, if wide { 25 } else { 19 });
    let total = end(times);
    let mut lines = vec![head(heading, times, width, wide, total), "─".repeat(width)];
    if wide {
        lines.push(String::new());
    }
    lines.extend(gain(times, total, wide));
    lines.push(String::new());
    lines.push(chart.scale());
    for (at, round) in times.rounds.iter().enumerate() {
        if at > 0 && wide {
            lines.push(String::new());
        }
        lines.push(chart.model(round, total));
        for call in times.calls.iter().filter(|c| c.round == round.round) {
            lines.push(chart.call(times, round, call, total));
        }
    }
    lines.push(String::new());
    lines.push(
        if wide {
            " . waiting   : thinking   = text   ~ arguments   ? waiting for you   ▓ running   ┊ end of the answer"
        } else {
            " . waiting  : thinking  = text  ~ arguments  ? you  ▓ running  ┊ answer ends"
        }
        .to_owned(),
    );
    if wide && times.calls.iter().any(|c| times.sooner(c).is_some()) {
        lines.push(String::new());
        lines.push(" Sooner assumes the same server times and the same decisions.".to_owned());
    }
    lines.into_iter().map(|line| text::cut(line.trim_end(), width)).collect()
}

/// The last moment of a turn that was measured.
fn end(times: &TurnTimes) -> u64 {
    let rounds = times.rounds.iter().flat_map(|r| [Some(r.requested), r.first_byte, r.ended]);
    let calls = times.calls.iter().flat_map(|c| [Some(c.opened), c.closed, c.sent, c.answered]);
    times.ended.unwrap_or_else(|| rounds.chain(calls).flatten().max().unwrap_or(0))
}

fn plain(raw: &str) -> String {
    text::sanitize(raw).as_str().replace(['\n', '\t'], " ")
}

fn head(heading: &Heading<'_>, times: &TurnTimes, width: usize, wide: bool, total: u64) -> String {
    let state = match heading.status {
        Some("ok") => "✓ done",
        Some("failed") => "✗ failed",
        Some("cancelled") => "⊘ cancelled",
        Some("limit") => "✗ limit",
        Some("interrupted") => "✗ interrupted",
        Some(_) | None => "▓ running",
    };
    let mut right = format!("{state}   {}", seconds(total));
    if wide {
        let host = url::Url::parse(&times.base_url).ok().and_then(|u| {
            let host = u.host_str()?.to_owned();
            Some(u.port().map_or(host.clone(), |port| format!("{host}:{port}")))
        });
        right = match host {
            Some(host) => format!("{} @ {}   {right}", plain(&times.model), plain(&host)),
            None => format!("{}   {right}", plain(&times.model)),
        };
    }
    let turn = if wide {
        format!(", turn {} of {}", heading.number, heading.of)
    } else {
        format!(", turn {}", heading.number)
    };
    let right = text::cut(&right, width / 2);
    let room = width.saturating_sub(text::width(&right) + text::width(&turn) + 15);
    let left = format!(" TIMELINE   {}{turn}", text::cut(&plain(heading.title), room));
    between(&left, &right, width)
}

fn between(left: &str, right: &str, width: usize) -> String {
    let gap = width.saturating_sub(text::width(left) + text::width(right)).max(1);
    format!("{left}{}{right}", " ".repeat(gap))
}

/// What sending at the close has saved, zero included, and what the turn spent its time on.
fn gain(times: &TurnTimes, total: u64, wide: bool) -> Vec<String> {
    let saved = times.saved();
    let late = seconds(total + saved);
    if !wide {
        let counted = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        return vec![format!(
            " {} sooner   Sent at the end of the answer: {late}.  {}  {}",
            seconds(saved),
            counted(times.rounds.len(), "round"),
            counted(times.calls.len(), "call")
        )];
    }
    let said = if let Some(why) = times.why_nothing_saved().filter(|_| !times.calls.is_empty()) {
        format!("{why}.")
    } else if times.calls.is_empty() {
        "No call in this turn.".to_owned()
    } else {
        format!("Calls left as their arguments closed. Sent at the end of the answer, this turn would take {late}.")
    };
    let mut path = String::from(" longest path ");
    for (name, us, yours) in longest_path(times) {
        path.push_str(&format!("   {name} {}", bare(us)));
        if yours > 0 {
            path.push_str(&format!(" (you {})", bare(yours)));
        }
    }
    vec![format!(" {:<14}  {said}", format!("{} sooner", seconds(saved))), path]
}

/// What the end of each round waited for, one after the other, and how much of it was a person's decision.
fn longest_path(times: &TurnTimes) -> Vec<(String, u64, u64)> {
    let mut path = Vec::new();
    for round in &times.rounds {
        let Some(first) = round.first_byte else { continue };
        let stream_end = round.ended.unwrap_or(first);
        path.push(("first byte".to_owned(), first.saturating_sub(round.requested), 0));
        let last = times
            .calls
            .iter()
            .filter(|c| c.round == round.round && c.sent.is_some())
            .filter(|c| c.answered.is_some_and(|a| a > stream_end))
            .max_by_key(|c| c.answered);
        let until = last.and_then(|c| c.closed).unwrap_or(stream_end);
        let thinking: u64 = round
            .spans
            .iter()
            .filter(|(kind, _, _)| *kind == SpanKind::Reasoning)
            .map(|(_, from, to)| (*to).min(until).saturating_sub(*from))
            .sum();
        if thinking > 0 {
            path.push(("thinking".to_owned(), thinking, 0));
        }
        let writing = until.saturating_sub(first).saturating_sub(thinking);
        path.push((if last.is_some() { "writing" } else { "answer" }.to_owned(), writing, 0));
        if let Some((call, answered)) = last.and_then(|c| Some((c, c.answered?))) {
            let yours = call.asked.and_then(|asked| Some(call.approved?.saturating_sub(asked))).unwrap_or(0);
            path.push((name_of(call), answered.saturating_sub(until), yours));
        }
    }
    path
}

fn name_of(call: &CallTimes) -> String {
    plain(&call.tool.as_ref().map_or_else(|| call.wire_name.clone(), |t| t.path()))
}

struct Chart {
    label: usize,
    columns: usize,
    /// Microseconds from one number of the scale to the next.
    tick: u64,
}

impl Chart {
    fn new(times: &TurnTimes, width: usize, label: usize) -> Self {
        let columns = width - label - FIGURES;
        let total = end(times).max(1);
        // 1, 2, 4, 5 or 8 of a power of ten: the finest that fits.
        let mut power = 100_u64;
        let tick = loop {
            if let Some(tick) =
                [1, 2, 4, 5, 8].into_iter().map(|n| n * power).find(|t| total / t * TICK + TICK / 2 <= columns as u64)
            {
                break tick;
            }
            power = power.saturating_mul(10);
        };
        Self { label, columns, tick }
    }

    fn column(&self, us: u64) -> usize {
        let column = us.saturating_mul(TICK) / self.tick;
        usize::try_from(column).unwrap_or(usize::MAX).min(self.columns.saturating_sub(1))
    }

    fn scale(&self) -> String {
        let mut line = " ".repeat(self.label);
        for n in 0..=(self.columns as u64 / TICK) {
            let at = n * self.tick;
            let number = match (at, self.tick) {
                (0, tick) if tick >= 1_000_000 => "0 s".to_owned(),
                (0, tick) if tick >= 1_000 => "0 ms".to_owned(),
                (0, _) => "0 µs".to_owned(),
                (at, tick) if tick >= 1_000_000 => (at / 1_000_000).to_string(),
                (at, tick) if tick >= 1_000 => (at / 1_000).to_string(),
                (at, _) => at.to_string(),
            };
            if (n * TICK) as usize + number.chars().count() <= self.columns {
                line.push_str(&format!("{number:<10}"));
            }
        }
        let line: String = line.chars().take(self.label + self.columns).collect();
        let pad = self.label + self.columns;
        format!("{line:<pad$}{:>10}{:>10}", "RAN", "SOONER")
    }

    fn row(&self, label: &str, cells: &[char], ran: Option<u64>, sooner: &str) -> String {
        let label = text::cut(label, self.label - 1);
        let pad = " ".repeat(self.label.saturating_sub(text::width(&label)));
        let cells: String = cells.iter().collect();
        format!("{label}{pad}{cells}{:>10}{sooner:>10}", ran.map(seconds).unwrap_or_default())
    }

    fn paint(&self, cells: &mut [char], from: u64, to: u64, with: char) {
        let (from, to) = (self.column(from), self.column(to));
        for cell in &mut cells[from..to.max(from + 1).min(self.columns)] {
            *cell = with;
        }
    }

    fn model(&self, round: &RoundTimes, total: u64) -> String {
        let mut cells = vec![' '; self.columns];
        let ended = round.ended.unwrap_or(total);
        self.paint(&mut cells, round.requested, round.first_byte.unwrap_or(ended), '.');
        let mut spans = round.spans.clone();
        spans.sort_by_key(|(_, from, _)| *from);
        for (at, (kind, from, to)) in spans.iter().enumerate() {
            let with = match kind {
                SpanKind::Reasoning => ':',
                SpanKind::Text => '=',
                SpanKind::Arguments => '~',
            };
            // Up to the next one: a pause of the model is drawn as what it was doing.
            let to = spans.get(at + 1).map_or((*to).max(ended.min(*to)), |next| next.1.max(*to));
            self.paint(&mut cells, *from, to, with);
        }
        let ran = round.ended.map(|e| e.saturating_sub(round.requested));
        self.row(&format!(" ROUND {}   model", round.round), &cells, ran, "")
    }

    fn call(&self, times: &TurnTimes, round: &RoundTimes, call: &CallTimes, total: u64) -> String {
        let mut cells = vec![' '; self.columns];
        if let Some(ended) = round.ended {
            cells[self.column(ended)] = '┊';
        }
        let over = call.answered.unwrap_or(total);
        let closed = call.closed.unwrap_or(over);
        if let Some(sent) = call.sent {
            self.paint(&mut cells, closed, sent, '.');
        } else if call.closed.is_some() {
            self.paint(&mut cells, closed, over, '.');
        }
        if let Some(asked) = call.asked {
            self.paint(&mut cells, asked, call.approved.or(call.sent).unwrap_or(over), '?');
        }
        if let Some(sent) = call.sent {
            self.paint(&mut cells, sent, over, '▓');
        }
        self.paint(&mut cells, call.opened, closed, '~');
        if let (Some(outcome), Some(answered)) = (call.outcome, call.answered) {
            let after = if self.column(answered) == self.column(call.opened) { 1 } else { 0 };
            let at = (self.column(answered) + after).min(self.columns - 1);
            cells[at] = match outcome {
                OutcomeKind::Done => '✓',
                OutcomeKind::Cancelled | OutcomeKind::Denied => '⊘',
                OutcomeKind::Unknown => '?',
                OutcomeKind::Failed
                | OutcomeKind::TimedOut
                | OutcomeKind::Invalid
                | OutcomeKind::Incomplete
                | OutcomeKind::Conflict => '✗',
            };
        }
        let ran = call.sent.and_then(|s| Some(call.answered?.saturating_sub(s)));
        let sooner = times
            .sooner(call)
            .filter(|_| call.outcome != Some(OutcomeKind::Cancelled))
            .map_or_else(|| "-".to_owned(), seconds);
        self.row(&format!("   {}", name_of(call)), &cells, ran, &sooner)
    }
}

/// `28.9 s`, `0.08 s`, `3.1 ms`.
fn seconds(us: u64) -> String {
    match us {
        0 => "0 s".to_owned(),
        1..10_000 => format!("{:.1} ms", us as f64 / 1000.0),
        10_000..1_000_000 => format!("{:.2} s", us as f64 / 1e6),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

fn bare(us: u64) -> String {
    match us {
        0..100_000 => format!("{:.2}", us as f64 / 1e6),
        _ => format!("{:.1}", us as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{CallId, ToolRef};

    fn call(round: u32, index: u32, name: &str, times: [Option<u64>; 5], answered: Option<u64>) -> CallTimes {
        let ms = |t: Option<u64>| t.map(|t| t * 1000);
        let [opened, closed, asked, approved, sent] = times.map(ms);
        let (server, tool) = name.split_once('/').unwrap();
        CallTimes {
            call: CallId::new(format!("{round}-{index}")),
            round,
            index,
            wire_name: name.into(),
            tool: Some(ToolRef::new(server, tool)),
            arguments_bytes: 118,
            closed_by: None,
            outcome: Some(match (name, sent) {
                ("shell/test", _) => OutcomeKind::Failed,
                ("web/fetch", Some(7_400_000)) => OutcomeKind::Cancelled,
                _ => OutcomeKind::Done,
            }),
            detail: String::new(),
            opened: opened.unwrap_or(0),
            closed,
            asked,
            approved,
            sent,
            answered: ms(answered),
            result_bytes: 0,
            told_bytes: 0,
        }
    }

    fn sample() -> TurnTimes {
        let at = |ms: u64| ms * 1_000;
        TurnTimes {
            model: "qwen3-32b".into(),
            base_url: "http://localhost:8000/v1".into(),
            started_wall_ms: 0,
            ended: Some(at(28_900)),
            rounds: vec![
                RoundTimes {
                    round: 1,
                    requested: 0,
                    first_byte: Some(at(500)),
                    first_text: Some(at(4_600)),
                    ended: Some(at(17_800)),
                    spans: vec![
                        (SpanKind::Reasoning, at(500), at(4_600)),
                        (SpanKind::Arguments, at(4_600), at(6_000)),
                        (SpanKind::Text, at(6_000), at(15_000)),
                        (SpanKind::Arguments, at(15_000), at(17_800)),
                    ],
                },
                RoundTimes {
                    round: 2,
                    requested: at(21_700),
                    first_byte: Some(at(22_300)),
                    first_text: Some(at(22_300)),
                    ended: Some(at(28_900)),
                    spans: vec![(SpanKind::Text, at(22_300), at(28_900))],
                },
            ],
            calls: vec![
                call(1, 0, "fs/read_file", [Some(4_400), Some(5_000), None, None, Some(5_000)], Some(5_080)),
                call(
                    1,
                    1,
                    "shell/test",
                    [Some(5_400), Some(6_000), Some(6_200), Some(9_300), Some(9_300)],
                    Some(21_700),
                ),
                call(1, 2, "web/fetch", [Some(7_000), Some(7_400), None, None, Some(7_400)], Some(12_400)),
            ],
        }
    }

    fn heading() -> Heading<'static> {
        Heading { title: "retry-loop\u{1b}[31m refactor", number: 3, of: 3, status: Some("ok") }
    }

    #[test]
    fn drawn_wide() {
        let lines = draw(&heading(), &sample(), 120);
        assert!(lines.iter().all(|l| text::width(l) <= 120));
        insta::assert_snapshot!(lines.join("\n"), @r"
 TIMELINE   retry-loop refactor, turn 3 of 3                                qwen3-32b @ localhost:8000   ✓ done   28.9 s
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

 8.5 s sooner    Calls left as their arguments closed. Sent at the end of the answer, this turn would take 37.4 s.
 longest path    first byte 0.5   thinking 4.1   writing 1.4   shell/test 15.7 (you 3.1)   first byte 0.6   answer 6.6

                         0 s       4         8         12        16        20        24        28          RAN    SOONER
 ROUND 1   model         .::::::::::~~~~======================~~~~~~~                                   17.8 s
   fs/read_file                     ~✓                               ┊                                  0.08 s    12.8 s
   shell/test                         ~~????????▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓✗                        12.4 s     8.5 s
   web/fetch                              ~▓▓▓▓▓▓▓▓▓▓▓▓▓⊘            ┊                                   5.0 s         -

 ROUND 2   model                                                               .=================        7.2 s

 . waiting   : thinking   = text   ~ arguments   ? waiting for you   ▓ running   ┊ end of the answer

 Sooner assumes the same server times and the same decisions.
");
    }

    #[test]
    fn drawn_narrow() {
        let lines = draw(&heading(), &sample(), 80);
        assert!(lines.iter().all(|l| text::width(l) <= 80));
        insta::assert_snapshot!(lines.join("\n"), @r"
 TIMELINE   retry-loop refactor, turn 3                          ✓ done   28.9 s
────────────────────────────────────────────────────────────────────────────────
 8.5 s sooner   Sent at the end of the answer: 37.4 s.  2 rounds  3 calls

                   0 s       8         16        24                RAN    SOONER
 ROUND 1   model   :::::~~===========~~~~                       17.8 s
   fs/read_file         ~✓               ┊                      0.08 s    12.8 s
   shell/test            ~????▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓✗                 12.4 s     8.5 s
   web/fetch               ~▓▓▓▓▓▓⊘      ┊                       5.0 s         -
 ROUND 2   model                              =========          7.2 s

 . waiting  : thinking  = text  ~ arguments  ? you  ▓ running  ┊ answer ends
");
    }

    #[test]
    fn any_times_can_be_drawn() {
        let mut odd = sample();
        odd.ended = None;
        odd.calls[0].closed = None;
        odd.calls[1].answered = Some(1);
        odd.rounds[1].ended = None;
        for (times, width) in [(odd, 61), (TurnTimes::default(), 0), (TurnTimes::default(), 500)] {
            let lines = draw(&heading(), &times, width);
            assert!(lines.iter().all(|l| text::width(l) <= width.clamp(60, 240)), "{lines:#?}");
        }
        assert_eq!([0, 3_100, 80_000, 28_900_000].map(seconds), ["0 s", "3.1 ms", "0.08 s", "28.9 s"]);
    }
}
