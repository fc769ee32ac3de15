//! What a task asks of the person while it runs (2026-07-28, `inputRequests`), and the answers until its server has them.
//!
//! # Invariants
//! - Each question is put to the person once, by its key, however often its server or its connection has to be told.
//! - An answer counts as taken when the server has said so, and is kept until then, over every connection.
//! - A question that ended with its connection was not answered.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::task::{Over, QUESTION, Task};
use super::{Call, GRACE};
use crate::chat::InquiryEnd;
use crate::mcp::inquiry::Unfulfilled;
use crate::mcp::rounds::ROUNDS;
use crate::mcp::tap::Reply;
use crate::mcp::task::pause;
use crate::mcp::ticket::CallEnd;

/// How often in a row the answers may not be taken.
const UNTAKEN: u32 = 3;

/// The questions of one task.
#[derive(Default)]
pub(super) struct Inputs {
    /// Those whose answers its server has taken, by their keys.
    taken: HashSet<String>,
    /// Answers that it has not said to have, by their keys.
    held: Map<String, Value>,
    /// How often the person was asked.
    rounds: u32,
    /// How often in a row the answers were not taken.
    untaken: u32,
    /// They were not, and nothing was heard of the task since: it may have taken them all the same.
    unheard: bool,
}

impl Inputs {
    /// The server has told of the task.
    pub(super) fn heard(&mut self) {
        self.unheard = false;
    }

    /// Another connection: what was not taken is sent again once the task is known there.
    pub(super) fn anew(&mut self) {
        (self.untaken, self.unheard) = (0, false);
    }
}

impl Call<'_> {
    /// Puts the questions of a task that have no answer yet to the person, and tells the server all that it has not taken.
    ///
    /// # Errors
    /// The end of the call, or of the connection.
    pub(super) async fn answer_task(
        &mut self,
        task: &mut Task,
        stop: &CancellationToken,
        hard: &mut Instant,
    ) -> Result<(), Over> {
        let requests = task.told.requests.iter().filter(|(key, _)| !task.inputs.taken.contains(*key));
        let requests: Map<String, Value> = requests.map(|(key, request)| (key.clone(), request.clone())).collect();
        if requests.is_empty() || task.inputs.unheard {
            return Ok(());
        }
        if requests.keys().any(|key| !task.inputs.held.contains_key(key)) {
            self.ask_person(task, &requests, stop, hard).await?;
        }
        let inputs = task.inputs.held.iter().filter(|(key, _)| requests.contains_key(*key));
        let inputs: Map<String, Value> = inputs.map(|(key, input)| (key.clone(), input.clone())).collect();
        let params = json!({"taskId": task.told.id, "inputResponses": inputs});
        let update = self.ask_task("tasks/update", params, None, QUESTION);
        let reply = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Over::Call(self.cancel_task(&task.told).await)),
            reply = update => reply,
        };
        let end = match self.unbroken(task.known(), reply).await.map_err(Over::Connection)? {
            Reply::Result(_) => {
                for (key, _) in inputs {
                    task.inputs.held.remove(&key);
                    task.inputs.taken.insert(key);
                }
                task.inputs.untaken = 0;
                task.next = Instant::now();
                return Ok(());
            }
            Reply::Error { code, message } => {
                let message = format!("the task does not take the answers to what it asked: {message}");
                CallEnd::RpcError { code, message }
            }
            Reply::Gone(why) => untold(&why),
            Reply::Failed(failure) => untold(&failure.reason),
        };
        // Whether it has them all the same shows when it is asked next.
        task.inputs.untaken += 1;
        task.inputs.unheard = true;
        task.next = Instant::now() + pause(task.told.poll, task.inputs.untaken);
        if task.inputs.untaken < UNTAKEN {
            return Ok(());
        }
        self.tell_to_stop(&task.told.id).await;
        Err(Over::Call(end))
    }

    /// Asks until each of these has an answer.
    async fn ask_person(
        &mut self,
        task: &mut Task,
        requests: &Map<String, Value>,
        stop: &CancellationToken,
        hard: &mut Instant,
    ) -> Result<(), Over> {
        task.inputs.rounds += 1;
        if task.inputs.rounds > ROUNDS {
            let message =
                format!("the task came back with a question {ROUNDS} times, and once more; it was told to stop");
            self.tell_to_stop(&task.told.id).await;
            return Err(Over::Call(CallEnd::RpcError { code: 0, message }));
        }
        let asked = Instant::now();
        let fulfilled = tokio::select! {
            biased;
            () = stop.cancelled() => return Err(Over::Call(self.cancel_task(&task.told).await)),
            fulfilled = self.connection.asker.fulfil(Some(self.order.call.clone()), requests, &mut task.inputs.held) => {
                fulfilled
            }
        };
        *hard += asked.elapsed();
        match fulfilled {
            Ok(()) => Ok(()),
            Err(Unfulfilled::Refused(refused)) => {
                self.tell_to_stop(&task.told.id).await;
                let message = format!("the task asks for what it cannot have: {refused}; it was told to stop");
                Err(Over::Call(CallEnd::RpcError { code: refused.code.into(), message }))
            }
            Err(Unfulfilled::Over(InquiryEnd::Gone)) => {
                let why = self.connection.reason();
                Err(Over::Connection(why.unwrap_or_else(|| "its connection ended while it asked you".to_owned())))
            }
            // Whoever ended the call stops the task as well.
            Err(Unfulfilled::Over(
                InquiryEnd::CallEnded | InquiryEnd::Withdrawn | InquiryEnd::TooLate | InquiryEnd::Answered,
            )) => Err(Over::Call(self.cancel_task(&task.told).await)),
        }
    }

    async fn tell_to_stop(&self, id: &str) {
        self.ask_task("tasks/cancel", json!({"taskId": id}), None, GRACE).await;
    }
}

/// The task goes on without its answers, or has them: nobody said.
fn untold(why: &str) -> CallEnd {
    let message = format!("it could not be told the answers to what its task asked, {UNTAKEN} times in a row: {why}");
    CallEnd::ServerGone { sent: true, message }
}
