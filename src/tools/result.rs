//! From what a server answered to what the model is told.

use serde_json::Value;

use crate::chat::{Limits, OutcomeKind, ToolOutcome};

use super::schema::Problem;
use super::snapshot::Tool;

/// Makes an outcome of a `CallToolResult`, or of whatever a server sent in its place. `Done`, or `Failed` where the
/// server says `isError`. `sent` is true; `ms` is the caller's to fill in.
#[must_use]
pub fn shape_result(_tool: &Tool, raw: &Value, _limits: &Limits) -> ToolOutcome {
    ToolOutcome::unsent(OutcomeKind::Done, raw.to_string())
}

/// What the model is told when it names a tool that is not offered; `near` are offered names like it.
#[must_use]
pub fn unknown_tool_message(wire_name: &str, near: &[String]) -> String {
    format!("{wire_name} {near:?}")
}

/// What the model is told when its arguments do not validate.
#[must_use]
pub fn invalid_arguments_message(problems: &[Problem]) -> String {
    format!("{problems:?}")
}
