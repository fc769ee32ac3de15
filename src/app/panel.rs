//! The tool panel: which calls it lists, in which order, and which row is chosen.

use crate::chat::CallId;

#[derive(Clone, Debug, Default)]
pub struct Panel {
    /// Hidden by F3.
    pub hidden: bool,
    pub filter: PanelFilter,
    /// The rows from top to bottom. While the panel has the focus nothing moves: what is new waits at the end.
    pub rows: Vec<CallId>,
    /// Calls that wait for their place while the panel has the focus.
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
