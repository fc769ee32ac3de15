//! From how a call came back to what everyone is told of it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::port::CallEnd;
use crate::chat::{Limits, OutcomeKind, STOPPED, ToolOutcome};
use crate::tools::{self, Checked, Tool};

const MAY_HAVE_RUN: &str = "It may still have run: check before you call it again.";

/// Shapes a call's end. `reference`: under which the model may read on in a result that is cut. A large result, or one with a schema to be held against, is read off this task: it is hostile.
pub(super) async fn of(
    tool: Arc<Tool>,
    end: CallEnd,
    ran: Duration,
    reference: Option<String>,
    limits: Arc<Limits>,
) -> ToolOutcome {
    let ms = ran.as_secs_f64() * 1000.0;
    let path = tool.reference.path();
    let told = |kind, sent, content: String| ToolOutcome { sent, ms, ..ToolOutcome::unsent(kind, content) };
    match end {
        CallEnd::Result(raw) if tools::shapes_quickly(&tool, &raw) => {
            let reference = reference.as_deref();
            ToolOutcome { sent: true, ms, ..tools::shape_checked(&tool, &raw, Checked::Fits, reference, &limits) }
        }
        CallEnd::Result(raw) => {
            let raw = Arc::new(raw);
            let checked = check(Arc::clone(&tool), Arc::clone(&raw), limits.validation).await;
            let shaping = tokio::task::spawn_blocking(move || {
                tools::shape_checked(&tool, &raw, checked, reference.as_deref(), &limits)
            });
            match shaping.await {
                Ok(outcome) => ToolOutcome { sent: true, ms, ..outcome },
                Err(_) => told(OutcomeKind::Failed, true, format!("The result of {path} could not be read.")),
            }
        }
        CallEnd::Refused { message } => {
            let (message, _) = crate::text::strip_hidden(&message);
            told(OutcomeKind::Failed, true, format!("The server refused the call: {message}"))
        }
        CallEnd::TimedOut { sent: true, message } => {
            told(OutcomeKind::TimedOut, true, format!("{path} timed out: {message}. {MAY_HAVE_RUN}"))
        }
        CallEnd::TimedOut { sent: false, message } => {
            told(OutcomeKind::TimedOut, false, format!("{path} was not sent: {message}."))
        }
        CallEnd::Cancelled { sent: false, .. } => {
            told(OutcomeKind::Cancelled, false, "The user cancelled this call before it was sent.".into())
        }
        CallEnd::Cancelled { sent: true, acknowledged: true } => {
            let content = "The user cancelled this call; the server confirmed that it stopped.";
            ToolOutcome { notes: vec![STOPPED.to_owned()], ..told(OutcomeKind::Cancelled, true, content.into()) }
        }
        CallEnd::Cancelled { sent: true, acknowledged: false } => {
            told(OutcomeKind::Cancelled, true, format!("The user cancelled this call. {MAY_HAVE_RUN}"))
        }
        CallEnd::Gone { sent: true, message } => {
            told(OutcomeKind::Unknown, true, format!("The server was lost during the call ({message}). {MAY_HAVE_RUN}"))
        }
        CallEnd::Gone { sent: false, message } => {
            told(OutcomeKind::Failed, false, format!("The call was not sent: {message}."))
        }
    }
}

/// Holds a result against its tool's output schema on a thread of its own: a hostile schema must hold up nothing.
async fn check(tool: Arc<Tool>, raw: Arc<Value>, limit: Duration) -> Checked {
    if !tool.has_output_schema() {
        return Checked::Fits;
    }
    let checking = tokio::task::spawn_blocking(move || tools::check_result(&tool, &raw));
    match tokio::time::timeout(limit, checking).await {
        Ok(Ok(checked)) => checked,
        Ok(Err(_)) => Checked::Not("the schema could not be applied".to_owned()),
        Err(_) => Checked::Not(format!("it took longer than {} ms (limit validation)", limit.as_millis())),
    }
}
