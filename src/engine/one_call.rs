//! A person's wish to run a call again, told to the turn as a response of one call; the model answers from then on.
//!
//! It goes the way of every call: assembled, validated, judged, reviewed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;

use super::port::{Events, Model, ModelEvent};
use crate::chat::{Api, ArgumentsPart, CallFragment, Delta, EventDeltas, Request, ToolCall, ToolList};

pub(super) struct OneCall {
    pub call: ToolCall,
    pub then: Arc<dyn Model>,
    pub made: AtomicBool,
}

impl Model for OneCall {
    fn respond(&self, request: Request, attempt: u32) -> Events<ModelEvent> {
        if self.made.swap(true, Ordering::Relaxed) {
            return self.then.respond(request, attempt);
        }
        let fragment = CallFragment {
            index: Some(0),
            name: Some(self.call.wire_name.clone()),
            arguments: Some(ArgumentsPart::Text(self.call.arguments.to_string())),
            ..CallFragment::default()
        };
        let deltas =
            vec![Delta::Call(fragment), Delta::Finish { reason: "tool_calls".into(), native: None }, Delta::Done];
        let events = [ModelEvent::Deltas(EventDeltas { number: 1, deltas }), ModelEvent::Ended];
        futures_util::stream::iter(events).boxed()
    }

    fn offered(&self, model: &str, tools: Arc<ToolList>) -> Arc<ToolList> {
        self.then.offered(model, tools)
    }

    fn base_url(&self) -> String {
        self.then.base_url()
    }

    fn origin(&self) -> String {
        self.then.origin()
    }

    fn api(&self) -> Api {
        self.then.api()
    }
}
