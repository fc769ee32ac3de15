//! A call that goes on as a task: its server has answered the request, and is asked about it until it has ended.
//!
//! In 2025-11-25 the result is asked for at once, with a request that is answered when there is one; the server's own
//! questions come along with it. In 2026-07-28 result and questions (`input`) come with what is told of the task.
//!
//! # Invariants
//! - The server is asked at the pace it names, within bounds; what it tells on its own counts as well.
//! - A task that the server no longer knows, or that cannot be asked about, may have run, and is told so.
//! - Where its connection ends, the task is taken up over the next one (`resume`); the call itself is never made again.
//! - Whoever stops waiting asks the server to stop the task, in the task's own way.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rmcp::model::ProgressToken;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::input::Inputs;
use super::{Call, GRACE, is_cancellation};
use crate::chat::duration_text;
use crate::mcp::connection::Connection;
use crate::mcp::open::Way;
use crate::mcp::tap::{Progress, Reply, TaskWatch};
use crate::mcp::task::{Status, Told, pause};
use crate::mcp::ticket::CallEnd;

/// How often in a row asking may fail.
const FAILURES: u32 = 5;
/// The longest that one question about a task may take.
pub(super) const QUESTION: Duration = Duration::from_secs(30);
/// How long the result of a task that has ended is awaited.
const RESULT: Duration = Duration::from_secs(30);
/// Between two looks at a task that was to stop.
const LOOK: Duration = Duration::from_millis(200);

/// A question about the task that is under way.
type Asked = Option<BoxFuture<'static, Reply>>;

/// What is known of a task.
pub(super) struct Task {
    pub(super) told: Told,
    since: Instant,
    /// When to ask again.
    pub(super) next: Instant,
    failures: u32,
    /// How often `tasks/result` got no answer, on its own: that `tasks/get` is answered says nothing of it.
    unanswered: u32,
    /// Not before then is the result asked for again.
    result_next: Instant,
    get: Asked,
    /// The result, asked for before there is one (2025-11-25).
    result: Asked,
    /// What `tasks/result` said before the task had ended, as far as is known.
    refusal: Option<(i64, String)>,
    pub(super) inputs: Inputs,
    /// How often it was taken up over another connection.
    pub(super) taken_up: u32,
    /// It was, and the server has not yet said that it is this one: until then nothing else is asked or believed.
    pub(super) unproved: bool,
}

/// Why a task is not waited for any more, over this connection.
pub(super) enum Over {
    Call(CallEnd),
    /// The connection, and why.
    Connection(String),
}

/// Lets go of what the tap hears of a task.
pub(super) struct Followed {
    connection: Arc<Connection>,
    id: String,
    token: ProgressToken,
    watch: TaskWatch,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.connection.leave_task(&self.id, &self.token);
    }
}

impl Call<'_> {
    /// Waits for the end of a task. `hard`: when the call has taken long enough.
    pub(super) async fn follow_task(&mut self, told: Told, stop: &CancellationToken, hard: Instant) -> CallEnd {
        self.tell_sent();
        self.tell_pending();
        let token = self.handle.progress_token();
        let Some(mut followed) = token.and_then(|token| self.follow(&told.id, token)) else {
            return CallEnd::ServerGone { sent: true, message: "it has no tasks".to_owned() };
        };
        let now = Instant::now();
        let mut task = Task {
            since: now,
            next: now + told.poll,
            failures: 0,
            unanswered: 0,
            result_next: now,
            get: None,
            result: None,
            refusal: None,
            inputs: Inputs::default(),
            taken_up: 0,
            unproved: false,
            told,
        };
        self.tell_status(&task.told);
        let mut hard = hard;
        let mut asking_since = None;
        let mut broken: Option<String> = None;
        loop {
            if let Some(why) = broken.take() {
                match self.take_up(&mut task, why, stop, hard).await {
                    Ok(there) => followed = there,
                    Err(end) => return end,
                }
            }
            match self.judge(&mut task, stop, &mut hard).await {
                Ok(()) => {}
                Err(Over::Call(end)) => return end,
                Err(Over::Connection(why)) => {
                    broken = Some(why);
                    continue;
                }
            }
            // A person's time is not the call's.
            if self.under_way.waits() {
                asking_since.get_or_insert_with(Instant::now);
            } else if let Some(since) = asking_since.take() {
                hard += Instant::now() - since;
            }
            if task.get.is_none() && Instant::now() >= task.next {
                let call = (self.connection.way == Way::Modern).then(|| self.order.call.clone());
                task.get = Some(self.ask_task("tasks/get", json!({"taskId": task.told.id}), call, QUESTION));
            }
            let mut due = if task.get.is_none() { task.next } else { Instant::now() + QUESTION };
            if asking_since.is_none() {
                due = due.min(hard);
            }
            if let Some(opens) = self.pending.as_ref().and_then(|_| self.gate.opens()) {
                due = due.min(opens);
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {
                    drop(task.get.take());
                    if task.unproved {
                        return CallEnd::Cancelled { acknowledged: false };
                    }
                    return self.cancel_task(&task.told).await;
                }
                () = self.waiter.changed() => {}
                reply = answer(&mut task.result) => {
                    task.result = None;
                    match self.unbroken(task.known(), reply).await {
                        Ok(reply) => {
                            if let Some(end) = task.take_result(reply) {
                                self.tell_pending();
                                return end;
                            }
                        }
                        Err(why) => broken = Some(why),
                    }
                }
                reply = answer(&mut task.get) => {
                    task.get = None;
                    match self.unbroken(task.known(), reply).await {
                        Ok(reply) => {
                            if let Some(end) = task.take_word(reply) {
                                self.tell_pending();
                                return end;
                            }
                            self.tell_status(&task.told);
                        }
                        Err(why) => broken = Some(why),
                    }
                }
                told = followed.watch.next() => {
                    // A word about a task that is not one is no word.
                    if let Ok(told) = Told::read(&told) && told.id == task.told.id && !task.unproved {
                        task.news(told);
                        self.tell_status(&task.told);
                    }
                }
                () = self.under_way.changed() => {}
                () = sleep_until(due) => {}
            }
            let now = Instant::now();
            if let Some(progress) = self.waiter.take_progress() {
                self.pending = Some(progress);
            }
            if self.pending.is_some() && self.gate.pass(now).is_some() {
                self.tell_pending();
            }
            if asking_since.is_none() && !self.under_way.waits() && now >= hard {
                self.tell_pending();
                let id = task.told.id.clone();
                if !task.unproved {
                    self.ask_task("tasks/cancel", json!({"taskId": id}), None, GRACE).await;
                }
                return CallEnd::TimedOut { sent: true };
            }
        }
    }

    pub(super) fn follow(&self, id: &str, token: ProgressToken) -> Option<Followed> {
        let watch = self.connection.follow_task(id, token.clone(), self.waiter.clone())?;
        Some(Followed { connection: self.connection.clone(), id: id.to_owned(), token, watch })
    }

    pub(super) fn ask_task(
        &self,
        method: &'static str,
        params: Value,
        call: Option<crate::chat::CallId>,
        limit: Duration,
    ) -> BoxFuture<'static, Reply> {
        Box::pin(self.connection.clone().ask_of_task(method, params, call, limit))
    }

    /// The status of a task is told as progress: its words beside the count that was last told.
    fn tell_status(&mut self, told: &Told) {
        if !matches!(told.status, Status::Working | Status::InputRequired) {
            return;
        }
        self.tell_words(told.line());
    }

    pub(super) fn tell_words(&mut self, line: String) {
        if self.status.as_deref() == Some(&line) {
            return;
        }
        let (progress, total) = self.last.unwrap_or_default();
        self.pending = Some(Progress { progress, total, message: Some(line.clone()) });
        self.status = Some(line);
        if self.gate.pass(Instant::now()).is_some() {
            self.tell_pending();
        }
    }

    /// Does what the task's state asks for.
    ///
    /// # Errors
    /// The end of the call, or of the connection.
    async fn judge(&mut self, task: &mut Task, stop: &CancellationToken, hard: &mut Instant) -> Result<(), Over> {
        if task.unproved {
            return Ok(());
        }
        let modern = self.connection.way == Way::Modern;
        match task.told.status {
            Status::Working | Status::InputRequired if !modern => {
                let due = task.failures == 0 && Instant::now() >= task.result_next;
                if task.result.is_none() && task.refusal.is_none() && due {
                    task.result = Some(self.ask_result(&task.told.id, self.line.longest));
                }
                Ok(())
            }
            Status::Working => Ok(()),
            Status::InputRequired => self.answer_task(task, stop, hard).await,
            Status::Completed | Status::Failed if !modern => {
                let (asked, again) = (task.result.take(), self.ask_result(&task.told.id, RESULT));
                let result = async {
                    let reply = match asked {
                        Some(asked) => tokio::time::timeout(RESULT, asked).await.ok(),
                        None => None,
                    };
                    match reply {
                        Some(reply @ (Reply::Result(_) | Reply::Error { .. })) => reply,
                        Some(Reply::Gone(_) | Reply::Failed(_)) | None => again.await,
                    }
                };
                let reply = tokio::select! {
                    biased;
                    () = stop.cancelled() => return Err(Over::Call(self.cancel_task(&task.told).await)),
                    reply = result => reply,
                };
                Err(match self.unbroken(task.known(), reply).await {
                    Ok(reply) => Over::Call(result_of_ended(reply, task)),
                    Err(why) => Over::Connection(why),
                })
            }
            Status::Completed | Status::Failed | Status::Cancelled => Err(Over::Call(end_of_task(task.told.clone()))),
        }
        .inspect_err(|_| self.tell_pending())
    }

    fn ask_result(&self, id: &str, limit: Duration) -> BoxFuture<'static, Reply> {
        self.ask_task("tasks/result", json!({"taskId": id}), Some(self.order.call.clone()), limit)
    }

    /// Asks the server to stop a task, and finds out within a moment what became of it.
    pub(super) async fn cancel_task(&mut self, told: &Told) -> CallEnd {
        self.under_way.end();
        self.tell_pending();
        let end = tokio::time::timeout(GRACE, async {
            let mut reply = self.ask_task("tasks/cancel", json!({"taskId": told.id}), None, GRACE).await;
            loop {
                // What it answers to that is the task (2025-11-25), nothing (2026-07-28), or that it has ended.
                match reply {
                    Reply::Result(word) => match Told::read(&word).map(|told| (told.status, told)) {
                        Ok((Status::Cancelled, _)) => return CallEnd::Cancelled { acknowledged: true },
                        Ok((Status::Completed | Status::Failed, told)) => return self.after_all(told).await,
                        Ok((Status::Working | Status::InputRequired, _)) | Err(_) => {}
                    },
                    Reply::Error { .. } => {}
                    Reply::Gone(_) | Reply::Failed(_) => return CallEnd::Cancelled { acknowledged: false },
                }
                reply = self.ask_task("tasks/get", json!({"taskId": told.id}), None, GRACE).await;
                if let Reply::Error { .. } = reply {
                    return CallEnd::Cancelled { acknowledged: false };
                }
                tokio::time::sleep(LOOK).await;
            }
        });
        end.await.unwrap_or(CallEnd::Cancelled { acknowledged: false })
    }

    /// The end of a task that was to stop, and had ended by itself.
    async fn after_all(&self, told: Told) -> CallEnd {
        if told.end.is_some() || self.connection.way == Way::Modern {
            return end_of_task(told);
        }
        match self.ask_result(&told.id, GRACE).await {
            Reply::Result(result) => CallEnd::Result(result),
            Reply::Error { code, message } if is_cancellation(code, &message) => {
                CallEnd::Cancelled { acknowledged: true }
            }
            Reply::Error { code, message } => CallEnd::RpcError { code, message },
            Reply::Gone(_) | Reply::Failed(_) => CallEnd::Cancelled { acknowledged: false },
        }
    }
}

async fn answer(asked: &mut Asked) -> Reply {
    match asked {
        Some(asked) => asked.await,
        None => pending().await,
    }
}

impl Task {
    /// Whether it can be told from every other task.
    pub(super) fn known(&self) -> bool {
        self.told.created.is_some()
    }

    /// Begins to ask anew, over another connection: first whether it is this task that the server knows.
    pub(super) fn anew(&mut self) {
        let now = Instant::now();
        (self.get, self.result, self.refusal) = (None, None, None);
        (self.failures, self.unanswered) = (0, 0);
        (self.next, self.result_next) = (now, now);
        self.inputs.anew();
        self.taken_up += 1;
        self.unproved = true;
    }

    /// A newer word of the server. What has ended does not go on.
    fn news(&mut self, told: Told) {
        self.failures = 0;
        self.inputs.heard();
        self.next = Instant::now() + told.poll;
        if matches!(self.told.status, Status::Working | Status::InputRequired) {
            self.told = told;
        }
    }

    /// What `tasks/get` said. Some: there is nothing more to learn.
    fn take_word(&mut self, reply: Reply) -> Option<CallEnd> {
        let failed = match reply {
            Reply::Result(word) => match Told::read(&word) {
                Ok(told) if told.id == self.told.id => {
                    if self.unproved && told.created != self.told.created {
                        let message =
                            "the server has another task of that name now; what became of this one is not known";
                        return Some(CallEnd::ServerGone { sent: true, message: message.to_owned() });
                    }
                    self.unproved = false;
                    self.news(told);
                    return None;
                }
                Ok(_) => "it answers for another task".to_owned(),
                Err(message) => message,
            },
            Reply::Error { code, message } => {
                // Its result may come all the same: some servers answer that question alone.
                if self.result.is_some() && code == -32601 {
                    self.next = Instant::now() + QUESTION;
                    return None;
                }
                return Some(self.lost(&message));
            }
            Reply::Gone(message) => return Some(CallEnd::ServerGone { sent: true, message }),
            Reply::Failed(failure) => failure.reason,
        };
        self.failures += 1;
        if self.failures >= FAILURES {
            let message = format!("it could not be asked about its task {FAILURES} times in a row: {failed}");
            return Some(CallEnd::ServerGone { sent: true, message });
        }
        self.next = Instant::now() + pause(self.told.poll, self.failures);
        None
    }

    /// What `tasks/result` said while the task was not known to have ended. Some: it is the end.
    fn take_result(&mut self, reply: Reply) -> Option<CallEnd> {
        match reply {
            Reply::Result(result) => return Some(CallEnd::Result(result)),
            // The error that the call itself ended with, or a server that does not wait: its status tells.
            Reply::Error { code, message } => self.refusal = Some((code, message)),
            Reply::Gone(message) => return Some(CallEnd::ServerGone { sent: true, message }),
            Reply::Failed(_) => {
                self.unanswered = self.unanswered.saturating_add(1);
                self.result_next = Instant::now() + pause(self.told.poll, self.unanswered);
                return None;
            }
        }
        self.next = Instant::now();
        None
    }

    fn lost(&self, why: &str) -> CallEnd {
        let over = self.told.ttl.filter(|ttl| self.since.elapsed() >= *ttl);
        let message = match (over, &self.refusal) {
            (Some(ttl), _) => {
                format!("the server kept its task for {}, and no longer knows it: {why}", duration_text(ttl))
            }
            (None, Some((_, refusal))) => format!("the server no longer knows its task: {refusal}"),
            (None, None) => format!("the server no longer knows its task: {why}"),
        };
        CallEnd::ServerGone { sent: true, message }
    }
}

/// The end of a task of 2025-11-25 that has ended: what the call would have been answered.
fn result_of_ended(reply: Reply, task: &Task) -> CallEnd {
    let said = task.told.message.clone();
    match reply {
        Reply::Result(result) => CallEnd::Result(result),
        Reply::Error { code, message } => match &task.refusal {
            // It says the same of a task that has ended as before.
            Some(_) if task.told.status == Status::Completed => CallEnd::RpcError {
                code,
                message: format!("its task is done, and its result cannot be had: {message}"),
            },
            Some(_) | None => CallEnd::RpcError { code, message },
        },
        Reply::Gone(message) => CallEnd::ServerGone { sent: true, message },
        Reply::Failed(failure) => match (task.told.status, said) {
            (Status::Failed, Some(message)) => CallEnd::RpcError { code: 0, message },
            _ => {
                let message = format!("its task has ended, and its result cannot be had: {}", failure.reason);
                CallEnd::ServerGone { sent: true, message }
            }
        },
    }
}

/// What the last word about a task says of the call (2026-07-28).
pub(super) fn end_of_task(told: Told) -> CallEnd {
    let said = told.message.filter(|message| !message.trim().is_empty());
    match (told.status, told.end) {
        (Status::Completed, Some(result)) => CallEnd::Result(result),
        (Status::Failed, Some(error)) => match Reply::of(&mut json!({"error": error})) {
            Reply::Error { code, message } => CallEnd::RpcError { code, message },
            Reply::Result(_) | Reply::Gone(_) | Reply::Failed(_) => {
                CallEnd::RpcError { code: 0, message: error.to_string() }
            }
        },
        (Status::Cancelled, _) => {
            let message = said.map_or_else(String::new, |said| format!(": {said}"));
            CallEnd::RpcError { code: 0, message: format!("the server stopped its task by itself{message}") }
        }
        (Status::Completed, None) => CallEnd::RpcError {
            code: 0,
            message: "the server says that its task is done, and gives no result".to_owned(),
        },
        (Status::Failed, None) => {
            let message = said.unwrap_or_else(|| "the server says that its task failed, and not why".to_owned());
            CallEnd::RpcError { code: 0, message }
        }
        (Status::Working | Status::InputRequired, _) => {
            CallEnd::ServerGone { sent: true, message: "its task had not ended".to_owned() }
        }
    }
}
