//! Who may leave now: calls of one server in the order in which they closed, within the limits of calls in flight.
//!
//! # Invariants
//! - A call waits for an earlier one of its server only while that one is being validated, or is ready itself: one
//!   that waits for a person, or for the finish, holds back no other.

use std::collections::HashMap;

use super::call::{Call, Stage};
use crate::chat::ServerName;

/// What [`choose`] found: indices into the calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Choice {
    pub leave: Vec<usize>,
    /// Ready, but without a free slot, with the place in its server's queue from 1.
    pub queued: Vec<(usize, u32)>,
}

pub fn choose(calls: &[Call], per_server: u32, in_all: u32) -> Choice {
    let mut by_close: Vec<usize> =
        (0..calls.len()).filter(|&i| matches!(calls[i].stage, Stage::Ready { .. } | Stage::Validating)).collect();
    by_close.sort_by_key(|&i| calls[i].order);
    let mut running: HashMap<&ServerName, u32> = HashMap::new();
    let mut total = 0;
    for call in calls.iter().filter(|c| c.left()) {
        if let Some(tool) = &call.tool {
            *running.entry(&tool.reference.server).or_default() += 1;
            total += 1;
        }
    }
    let mut choice = Choice::default();
    let mut validating: Vec<&ServerName> = Vec::new();
    let mut places: HashMap<&ServerName, u32> = HashMap::new();
    for i in by_close {
        let Some(tool) = &calls[i].tool else { continue };
        let server = &tool.reference.server;
        if matches!(calls[i].stage, Stage::Validating) {
            validating.push(server);
            continue;
        }
        if validating.contains(&server) {
            continue;
        }
        let count = running.entry(server).or_default();
        if *count < per_server && total < in_all {
            *count += 1;
            total += 1;
            choice.leave.push(i);
        } else {
            let place = places.entry(server).or_default();
            *place += 1;
            choice.queued.push((i, *place));
        }
    }
    choice
}
