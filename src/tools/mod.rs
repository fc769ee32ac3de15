//! What the model is offered and allowed: registry, wire names, schemas, policy decisions, pins, results.
//!
//! # Invariants
//! - A [`Snapshot`] never changes. A turn offers the tools of the one taken at its start, and is judged by the newest.
//! - A definition that is not the pinned one is neither offered nor called.
//! - The tools are listed in one order and as the same bytes, however often and in whatever order they were listed.
//! - The schema that a server gave validates arguments unchanged; what the model is offered is an adapted copy.
//!
//! # Does not
//! Speak to servers, wait, measure time or keep anything on disk: listings, pins and grants come in, changes go out.

mod briefing;
mod definition;
mod excerpt;
mod levels;
mod listed;
mod names;
mod offer;
mod offered;
mod patterns;
mod pins;
mod policy;
mod problem;
mod registry;
mod result;
mod rules;
mod schema;
mod search;
mod snapshot;

pub use definition::Listing;
pub use excerpt::{Excerpt, Place, Want, excerpt, result_reference};
pub use levels::{HIGHEST_LEVEL, at_levels, offered};
pub use names::wire_name;
pub use offered::Builtin;
pub use policy::{AllowedBy, PolicyContext, Verdict, decide, taints};
pub use problem::Problem;
pub use registry::{Registry, RegistryChange};
pub use result::{
    Checked, check_result, invalid_arguments_message, is_warning, shape_checked, shape_result, shapes_quickly,
    unknown_tool_message, whole_told,
};
pub use rules::{AfterUntrusted, FindRules, RegistryRules, RuleError, RuleGlob, RuleSource, ServerRules, ToolGlob};
pub use snapshot::{Absence, Absent, Snapshot, Tool};

#[cfg(test)]
mod tests;
