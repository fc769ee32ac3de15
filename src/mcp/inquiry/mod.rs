//! What servers ask of the person: one question at a time, over all servers.
//!
//! Both ways of asking come here: the requests of the old era (`handler`), and the input that a result of the new one
//! requires ([`Asker::fulfil`]). `read` makes a question of what a server wrote, `sample` one of a request for an answer
//! of the model; `queue` holds the questions of all servers, `asker` asks for one connection, `answer` makes the
//! protocol's result of what a person said; `roots` knows the folders that a server may be told of.
//!
//! # Invariants
//! - One question is open at a time; the others wait in the order in which they came, at most `limits.inquiries` of one
//!   server.
//! - Every question that was told of ends by an answer or by an `InquiryEnd`, also where whoever waits for it is dropped.
//! - Where nobody attends, a question is declined at once, and a log message says so.
//! - While a question of a call is open or waits, the call's time stands still.

use std::sync::{Mutex, MutexGuard, PoisonError};

mod answer;
mod asker;
mod queue;
mod read;
mod roots;
mod sample;
#[cfg(test)]
mod tests;

/// The method of a request for an answer of the model.
const SAMPLING: &str = "sampling/createMessage";

pub(super) use asker::{Asker, UnderWay, Unfulfilled};
pub(super) use queue::Inquiries;
pub(super) use read::Refused;
pub(super) use roots::Roots;

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
