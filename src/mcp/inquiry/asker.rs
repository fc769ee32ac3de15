//! How one connection asks, and the calls that its questions belong to.
//!
//! # Invariants
//! - A question ends with its connection, its call, and whoever waits for its answer; that is no answer.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::answer::result;
use super::queue::{Asking, Inquiries, Open};
use super::read::{Refused, read};
use super::roots::Roots;
use super::{SAMPLING, held, sample};
use crate::chat::{CallId, Inquiry, InquiryAnswer, InquiryEnd, InquiryId, Question, ServerName};
use crate::config::ServerFeatures;
use crate::mcp::event::{HostEvent, LogLevel};
use crate::mcp::report::Reporter;

/// How one connection asks. Clones share it.
#[derive(Clone)]
pub(in crate::mcp) struct Asker(Arc<Desk>);

struct Desk {
    inquiries: Inquiries,
    server: ServerName,
    reporter: Reporter,
    roots: Roots,
    /// It was told that it may ask for them.
    offers_roots: bool,
    /// Tokens that it may have of the model in all; None: it may not ask.
    sampling: Option<u32>,
    /// Ends with the connection.
    gone: CancellationToken,
    /// The calls under way, each with what ends its questions.
    calls: Mutex<HashMap<CallId, CancellationToken>>,
    /// For whom the questions are that wait or are open; None: for a call that cannot be told.
    pending: watch::Sender<Vec<Option<CallId>>>,
}

impl std::fmt::Debug for Asker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Asker").field(&self.0.server).finish()
    }
}

impl Asker {
    pub(in crate::mcp) fn new(inquiries: Inquiries, server: ServerName, reporter: Reporter) -> Self {
        let (pending, _) = watch::channel(Vec::new());
        let gone = CancellationToken::new();
        let (roots, offers_roots, sampling) = (Roots::default(), false, None);
        let calls = Mutex::default();
        Self(Arc::new(Desk { inquiries, server, reporter, roots, offers_roots, sampling, gone, calls, pending }))
    }

    /// With what the server's entry lets it have, and the folders that it may be told of. Only before it is shared.
    pub(in crate::mcp) fn offering(mut self, roots: &Roots, features: &ServerFeatures) -> Self {
        if let Some(desk) = Arc::get_mut(&mut self.0) {
            desk.roots.clone_from(roots);
            desk.offers_roots = !roots.list().is_empty();
            let most = desk.inquiries.limits().sampling_tokens;
            desk.sampling = features.sampling.map(|offer| offer.tokens.unwrap_or(most));
        }
        self
    }

    /// Whether the server may ask for folders; that is settled when it is greeted.
    pub(in crate::mcp) fn offers_roots(&self) -> bool {
        self.0.offers_roots
    }

    /// Whether it may ask for answers of the model.
    pub(in crate::mcp) fn samples(&self) -> bool {
        self.0.sampling.is_some()
    }

    /// What a server wrote, as a question. An answer of the model that it cannot have is told to the person, too.
    fn question(&self, method: &str, params: &Value) -> Result<Question, Refused> {
        match (method, self.0.sampling) {
            ("roots/list", _) if self.0.offers_roots => Ok(Question::Roots(self.0.roots.list())),
            (SAMPLING, Some(tokens)) => {
                let sample = sample::read(params, tokens, self.0.inquiries.limits());
                let sample = sample.inspect_err(|refused| {
                    let why = &refused.message;
                    self.0
                        .reporter
                        .log(LogLevel::Warning, || format!("it asks for an answer of the model; refused: {why}"));
                })?;
                Ok(Question::Sample(Box::new(sample)))
            }
            (_, _) => read(method, params),
        }
    }

    /// Where nobody need be asked, the answer.
    fn settled(&self, question: &Question) -> Option<InquiryAnswer> {
        match question {
            Question::Roots(roots) if self.0.roots.may_be_told(roots) => Some(InquiryAnswer::Tell { lasting: false }),
            Question::Roots(_) | Question::Form { .. } | Question::Address { .. } | Question::Sample(_) => None,
        }
    }

    /// What a server was told, or was not, is written down for who looks into its log.
    fn noted(&self, question: &Question, answer: &InquiryAnswer) {
        if let InquiryAnswer::Fail { told: _, why } = answer {
            let text = || format!("it asked for an answer of the model and got none: {why}");
            return self.0.reporter.log(LogLevel::Warning, text);
        }
        let Question::Roots(roots) = question else { return };
        let uris: Vec<&str> = roots.iter().map(|root| root.uri.as_str()).collect();
        let (level, what) = match answer {
            InquiryAnswer::Tell { .. } if uris.is_empty() => (LogLevel::Info, "was told of none".to_owned()),
            InquiryAnswer::Tell { lasting } => {
                if *lasting {
                    self.0.roots.allow(roots);
                }
                (LogLevel::Info, format!("was told {}", uris.join(", ")))
            }
            InquiryAnswer::Decline
            | InquiryAnswer::Cancel
            | InquiryAnswer::Accept(_)
            | InquiryAnswer::Sample(_)
            | InquiryAnswer::Fail { .. } => (LogLevel::Info, "was not told: you declined".to_owned()),
        };
        self.0.reporter.log(level, || format!("it asked for its folders and {what}"));
    }

    /// The connection is gone: what it asked is over.
    pub(in crate::mcp) fn close(&self) {
        self.0.gone.cancel();
    }

    /// A call is under way until what this returns is dropped; then its questions are over.
    pub(in crate::mcp) fn call(&self, call: CallId) -> UnderWay {
        let token = CancellationToken::new();
        held(&self.0.calls).insert(call.clone(), token);
        UnderWay { asker: self.clone(), pending: self.0.pending.subscribe(), call }
    }

    /// The call that a request of the server belongs to: the only one under way, if there is one.
    fn only_call(&self) -> Option<CallId> {
        let calls = held(&self.0.calls);
        let mut names = calls.keys();
        names.next().filter(|_| calls.len() == 1).cloned()
    }

    /// Asks the person, when it is this question's turn. Dropping the future takes the question back.
    ///
    /// # Errors
    /// How it ended without an answer.
    pub(in crate::mcp) async fn ask(
        &self,
        call: Option<CallId>,
        question: Question,
        withdrawn: &CancellationToken,
    ) -> Result<InquiryAnswer, InquiryEnd> {
        let shared = &*self.0.inquiries.0;
        if let Some(answer) = self.settled(&question) {
            self.noted(&question, &answer);
            return Ok(answer);
        }
        if !shared.attended.load(Ordering::Acquire) {
            let why = match question {
                Question::Roots(_) => {
                    "nobody is there to answer; roots_ask = false in its entry tells them all the same"
                }
                Question::Form { .. } | Question::Address { .. } | Question::Sample(_) => {
                    "nobody is there to answer; in the chat screen somebody is"
                }
            };
            return Ok(self.declined(&question, why));
        }
        let Some(_pending) = self.pend(call.clone()) else {
            return Ok(self.declined(&question, "too many of its questions wait already ([limits] inquiries)"));
        };
        let over = call.as_ref().and_then(|call| held(&self.0.calls).get(call).cloned()).unwrap_or_default();
        let mut asking = Asking { shared, turn: None, told: None, end: InquiryEnd::CallEnded };
        let answer = tokio::select! {
            biased;
            () = self.0.gone.cancelled() => Err(InquiryEnd::Gone),
            () = over.cancelled() => Err(InquiryEnd::CallEnded),
            () = withdrawn.cancelled() => Err(InquiryEnd::Withdrawn),
            answer = self.take_turn(call, question.clone(), &mut asking) => answer,
        };
        asking.end = answer.as_ref().err().copied().unwrap_or(InquiryEnd::Answered);
        if let Ok(answer) = &answer {
            self.noted(&question, answer);
        }
        answer
    }

    async fn take_turn(
        &self,
        call: Option<CallId>,
        question: Question,
        asking: &mut Asking<'_>,
    ) -> Result<InquiryAnswer, InquiryEnd> {
        let shared = asking.shared;
        asking.turn = Some(shared.turn.lock().await);
        // The question before it may have settled it.
        if let Some(answer) = self.settled(&question) {
            return Ok(answer);
        }
        let id = InquiryId(shared.last.fetch_add(1, Ordering::Relaxed) + 1);
        let (answer, answered) = oneshot::channel();
        *held(&shared.open) = Some(Open { id, question: question.clone(), answer });
        asking.told = Some(id);
        let limit = shared.limits.inquiry;
        let behind = shared.waiting.load(Ordering::Relaxed).saturating_sub(1);
        let inquiry = Inquiry { id, server: self.0.server.clone(), call, question, limit, behind };
        // Whoever reads no events any more answers nothing either.
        if shared.events.send(HostEvent::Inquiry(inquiry)).await.is_err() {
            return Err(InquiryEnd::Gone);
        }
        match tokio::time::timeout(limit, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(InquiryEnd::Gone),
            Err(_) => Err(InquiryEnd::TooLate),
        }
    }

    /// Counts one more; None where there are too many.
    fn pend(&self, call: Option<CallId>) -> Option<Pending<'_>> {
        let most = usize::try_from(self.0.inquiries.0.limits.inquiries).unwrap_or(usize::MAX);
        let taken = self.0.pending.send_if_modified(|pending| {
            let room = pending.len() < most;
            if room {
                pending.push(call.clone());
            }
            room
        });
        taken.then(|| {
            self.0.inquiries.0.waiting.fetch_add(1, Ordering::Relaxed);
            Pending { desk: &self.0, call }
        })
    }

    fn declined(&self, question: &Question, why: &'static str) -> InquiryAnswer {
        let what = match question {
            Question::Form { message, .. } => format!("asks you to fill in a form ({message})"),
            Question::Address { url, .. } => format!("asks you to visit {url}"),
            Question::Sample(_) => "asks for an answer of the model".to_owned(),
            Question::Roots(_) => "asks for its folders".to_owned(),
        };
        self.0.reporter.log(LogLevel::Warning, || format!("it {what}; declined: {why}"));
        match question {
            Question::Form { .. } | Question::Address { .. } | Question::Roots(_) => InquiryAnswer::Decline,
            // Its result knows no word for a no.
            Question::Sample(_) => InquiryAnswer::Fail { told: why, why: why.to_owned() },
        }
    }

    /// Answers a request of the server's own, as the old era sends them.
    ///
    /// # Errors
    /// Why it cannot be asked: the reason for an error answer.
    pub(in crate::mcp) async fn request(
        &self,
        method: &str,
        params: &Value,
        withdrawn: &CancellationToken,
    ) -> Result<Value, Refused> {
        let question = self.question(method, params)?;
        let answer = self.ask(self.only_call(), question.clone(), withdrawn).await;
        // Where the connection or the call is over, nobody reads what it becomes.
        let answer = answer.unwrap_or_else(|end| match end {
            InquiryEnd::TooLate => too_late(&question),
            InquiryEnd::Answered | InquiryEnd::Withdrawn | InquiryEnd::CallEnded | InquiryEnd::Gone => {
                InquiryAnswer::Cancel
            }
        });
        result(&question, &answer)
    }

    /// Answers those `inputRequests` of a result that requires input (MCP 2026-07-28, MRTR) that have none yet among the
    /// `responses`, one after the other, and puts them there. After a question that was cancelled no other is asked.
    /// Dropping the future takes the open question back.
    ///
    /// # Errors
    /// Why one of them has no answer that can be sent; those that have stay among the responses.
    pub(in crate::mcp) async fn fulfil(
        &self,
        call: Option<CallId>,
        requests: &Map<String, Value>,
        responses: &mut Map<String, Value>,
    ) -> Result<(), Unfulfilled> {
        let never = CancellationToken::new();
        let mut cancelled = false;
        for (key, request) in requests {
            if responses.contains_key(key) {
                continue;
            }
            let method = request.get("method").and_then(Value::as_str).unwrap_or_default();
            let question = self.question(method, request.get("params").unwrap_or(&Value::Null))?;
            let answer = match cancelled {
                true => InquiryAnswer::Cancel,
                false => match self.ask(call.clone(), question.clone(), &never).await {
                    Ok(answer) => answer,
                    Err(InquiryEnd::TooLate) => too_late(&question),
                    Err(end) => return Err(Unfulfilled::Over(end)),
                },
            };
            cancelled |= answer == InquiryAnswer::Cancel;
            responses.insert(key.clone(), result(&question, &answer)?);
        }
        Ok(())
    }
}

/// Why what a server requires cannot be given to it.
#[derive(Debug)]
pub(in crate::mcp) enum Unfulfilled {
    /// It cannot have it, or a person said no to what knows only answers.
    Refused(Refused),
    /// The question ended without an answer, and not for want of time.
    Over(InquiryEnd),
}

impl From<Refused> for Unfulfilled {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

/// What a question counts as that nobody answered in time.
fn too_late(question: &Question) -> InquiryAnswer {
    match question {
        Question::Form { .. } | Question::Address { .. } | Question::Roots(_) => InquiryAnswer::Cancel,
        // Its result knows no word for it, and nobody has said no.
        Question::Sample(_) => InquiryAnswer::Fail {
            told: "nobody answered in time",
            why: "nobody answered in time ([limits] inquiry)".to_owned(),
        },
    }
}

/// A question that waits or is open.
struct Pending<'a> {
    desk: &'a Desk,
    call: Option<CallId>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.desk.inquiries.0.waiting.fetch_sub(1, Ordering::Relaxed);
        self.desk.pending.send_modify(|pending| {
            if let Some(at) = pending.iter().position(|call| *call == self.call) {
                pending.remove(at);
            }
        });
    }
}

/// A call under way, as far as questions go.
pub(in crate::mcp) struct UnderWay {
    asker: Asker,
    pending: watch::Receiver<Vec<Option<CallId>>>,
    call: CallId,
}

impl UnderWay {
    /// Whether the call waits for a person.
    pub(in crate::mcp) fn waits(&self) -> bool {
        self.pending.borrow().iter().any(|call| call.as_ref().is_none_or(|call| *call == self.call))
    }

    /// The call is over, or about to be: its questions are.
    pub(in crate::mcp) fn end(&self) {
        if let Some(token) = held(&self.asker.0.calls).remove(&self.call) {
            token.cancel();
        }
    }

    /// Waits until the questions are others. Cancel-safe.
    pub(in crate::mcp) async fn changed(&mut self) {
        if self.pending.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.end();
    }
}
