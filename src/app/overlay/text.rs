//! Layers that show text: help, the detail of a call, the timeline.

use crate::app::line::LineEdit;
use crate::chat::CallId;

#[derive(Clone, Debug, Default)]
pub struct Help {
    pub search: LineEdit,
    pub editing: bool,
    pub scroll: usize,
}

/// One call, whole.
#[derive(Clone, Debug)]
pub struct Detail {
    pub call: CallId,
    /// Escapes shown instead of interpreted.
    pub raw: bool,
    pub wrap: bool,
    /// Exactly what the model was told, instead of the whole result.
    pub told: bool,
    pub scroll: usize,
    pub find: Option<LineEdit>,
    pub editing: bool,
    /// Which match is shown, from 0.
    pub find_at: usize,
}

#[derive(Clone, Debug, Default)]
pub struct Timeline {
    /// The call whose times are shown below.
    pub selected: Option<CallId>,
    /// Powers of two.
    pub zoom: i8,
}
