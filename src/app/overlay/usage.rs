//! Tokens and cost of the conversation, and what fills its context.

use super::{Flow, motion, scrolled};
use crate::app::command::Command;
use crate::app::effect::Effect;
use crate::app::key::Key;
use crate::app::state::State;
use crate::app::usage::UsageRow;

#[derive(Clone, Copy, Debug, Default)]
pub struct UsageView {
    /// Of the rounds; the newest are in sight at first.
    pub scroll: usize,
}

impl UsageView {
    pub(in crate::app) fn new() -> Self {
        Self { scroll: usize::MAX }
    }

    pub(super) fn key(&mut self, key: Key, state: &State, out: &mut Vec<Effect>) -> Flow {
        let list = state.layout.list;
        if let Some(motion) = motion(key, true) {
            let at = self.scroll.min(list.lines.saturating_sub(list.page));
            self.scroll = scrolled(motion.row(at, list.lines.max(1), list.page), 0, list);
            return Flow::Stay;
        }
        match key.typed() {
            Some('y') => out.push(Effect::Copy { what: "the usage", text: text(&state.usage.rows()) }),
            Some('m') => return Flow::CloseThen(Command::Models),
            Some('q') => return Flow::Close,
            _ => return Flow::Pass,
        }
        Flow::Stay
    }
}

/// The rounds as lines of text.
fn text(rows: &[UsageRow]) -> String {
    let told = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    let mut out = String::from("turn\tround\tmodel\tinput\tcached\toutput\treasoning\tcost\n");
    for row in rows {
        let usage = row.usage;
        let cost = row.cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.6}"));
        let [input, cached, output, reasoning] = [usage.input, usage.cached, usage.output, usage.reasoning].map(told);
        let (turn, round, model) = (row.turn, row.round, &row.model);
        out += &format!("{turn}\t{round}\t{model}\t{input}\t{cached}\t{output}\t{reasoning}\t{cost}\n");
    }
    out
}
