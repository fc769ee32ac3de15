//! The tool panel: which calls it lists, in which order, and which row is chosen.

use super::calls::{Call, CallPhase, Calls};
use crate::chat::{CallId, OutcomeKind};

#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// Hidden by F3.
    pub hidden: bool,
    pub filter: PanelFilter,
    /// The rows from top to bottom. While the panel has the focus nothing moves, and what is new waits.
    pub rows: Vec<CallId>,
    /// How many calls wait for their place while the panel has the focus.
    pub held: usize,
    pub selected: Option<CallId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PanelFilter {
    #[default]
    All,
    Waiting,
    Running,
    Failed,
}

impl PanelFilter {
    fn admits(self, call: &Call) -> bool {
        match self {
            Self::All => true,
            Self::Waiting => {
                matches!(call.phase, CallPhase::NeedsApproval | CallPhase::Queued(_) | CallPhase::ServerStarting)
            }
            Self::Running => matches!(call.phase, CallPhase::Running | CallPhase::Cancelling),
            Self::Failed => {
                matches!(call.phase, CallPhase::Ended(kind) if !matches!(kind, OutcomeKind::Done | OutcomeKind::Cancelled))
            }
        }
    }
}

impl Panel {
    /// Puts the rows in order: needs approval, running, arguments, queued, then finished, newest first. With the
    /// focus here no row moves.
    pub(super) fn refresh(&mut self, calls: &Calls, focused: bool) {
        if focused {
            let admitted =
                calls.this_turn.iter().filter_map(|id| calls.by_id.get(id)).filter(|c| self.filter.admits(c));
            self.held = admitted.filter(|call| !self.rows.contains(&call.id)).count();
            return;
        }
        self.settle(calls);
    }

    /// The focus comes here: in order once more, at the top.
    pub(super) fn enter(&mut self, calls: &Calls) {
        self.settle(calls);
        self.selected = self.rows.first().cloned();
    }

    /// Orders and filters anew.
    pub(super) fn settle(&mut self, calls: &Calls) {
        let mut rows: Vec<&Call> = calls
            .this_turn
            .iter()
            .filter_map(|id| calls.by_id.get(id))
            .filter(|call| self.filter.admits(call))
            .collect();
        rows.sort_by_key(|call| {
            let ended = call.times.ended.map_or(0, |at| at.mono_us);
            let place = match call.phase {
                CallPhase::NeedsApproval => 0,
                CallPhase::Running | CallPhase::Cancelling => 1,
                CallPhase::Arguments | CallPhase::Closed => 2,
                CallPhase::Queued(_) | CallPhase::ServerStarting => 3,
                CallPhase::Ended(_) => 4,
            };
            (place, u64::MAX - ended, call.round, call.index)
        });
        self.rows = rows.into_iter().map(|call| call.id.clone()).collect();
        self.held = 0;
        if self.selected.as_ref().is_none_or(|id| !self.rows.contains(id)) {
            self.selected = self.rows.first().cloned();
        }
    }

    pub(super) fn step(&mut self, by: isize) {
        let at = self.selected.as_ref().and_then(|id| self.rows.iter().position(|row| row == id)).unwrap_or(0);
        let last = self.rows.len().saturating_sub(1);
        self.selected = self.rows.get(at.saturating_add_signed(by).min(last)).cloned();
    }
}
