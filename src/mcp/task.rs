//! What servers say of tasks: calls that go on after their request was answered. In 2025-11-25 they are of the core
//! (`basic/utilities/tasks`), in 2026-07-28 the extension `io.modelcontextprotocol/tasks`; both are read here.
//!
//! # Invariants
//! - A server's wish how often to be asked is granted within [`POLL`], whatever it is.

use std::time::Duration;

use serde_json::{Map, Value};

/// Least and most time between two questions about a task.
const POLL: std::ops::RangeInclusive<Duration> = Duration::from_millis(200)..=Duration::from_secs(30);
/// Where a server names no interval.
const UNNAMED: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Working,
    InputRequired,
    Completed,
    Failed,
    Cancelled,
}

/// A task as its server told it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub id: String,
    pub status: Status,
    /// Raw.
    pub message: Option<String>,
    /// When it was made, in the server's words: with its id it tells a task from every other.
    pub created: Option<String>,
    /// From its beginning on; None: without an end, or not told.
    pub ttl: Option<Duration>,
    /// How long to wait before asking again, within bounds.
    pub poll: Duration,
    /// What the server asks, by its own keys (2026-07-28).
    pub requests: Map<String, Value>,
    /// The result or the error of its end (2026-07-28).
    pub end: Option<Value>,
}

impl Told {
    /// # Errors
    /// What is wrong with it, as the end of a sentence.
    pub(super) fn read(task: &Value) -> Result<Self, String> {
        let text = |key: &str| task.get(key).and_then(Value::as_str);
        let ms = |keys: [&str; 2]| {
            let value = keys.into_iter().find_map(|key| task.get(key)).and_then(Value::as_f64)?;
            Duration::try_from_secs_f64(value / 1000.0).ok()
        };
        let id = text("taskId").filter(|id| !id.is_empty()).ok_or("the server names no task")?;
        let status = match text("status") {
            Some("working") => Status::Working,
            Some("input_required") => Status::InputRequired,
            Some("completed") => Status::Completed,
            Some("failed") => Status::Failed,
            Some("cancelled") => Status::Cancelled,
            Some(other) => return Err(format!("the server's task has the unknown status {other:?}")),
            None => return Err("the server's task has no status".to_owned()),
        };
        let end = match status {
            Status::Completed => task.get("result"),
            Status::Failed => task.get("error"),
            Status::Working | Status::InputRequired | Status::Cancelled => None,
        };
        Ok(Self {
            id: id.to_owned(),
            status,
            message: text("statusMessage").map(str::to_owned),
            created: text("createdAt").filter(|at| !at.is_empty()).map(str::to_owned),
            ttl: ms(["ttlMs", "ttl"]),
            poll: ms(["pollIntervalMs", "pollInterval"]).unwrap_or(UNNAMED).clamp(*POLL.start(), *POLL.end()),
            requests: task.get("inputRequests").and_then(Value::as_object).cloned().unwrap_or_default(),
            end: end.cloned(),
        })
    }

    /// What a person is told of a task that has not ended.
    pub(super) fn line(&self) -> String {
        let said = self.message.as_deref().filter(|message| !message.trim().is_empty());
        let state = match self.status {
            Status::InputRequired => "the task waits for input",
            Status::Working | Status::Completed | Status::Failed | Status::Cancelled => "working as a task",
        };
        said.map_or_else(|| state.to_owned(), str::to_owned)
    }
}

/// The longest that may lie between two questions after so many that failed.
pub(super) fn pause(poll: Duration, failures: u32) -> Duration {
    (poll * 2_u32.pow(failures.min(8))).min(*POLL.end())
}

/// The result or the error inside a message about a task that has ended; None: it is no such message.
pub(super) fn ended(result: &Value) -> Option<Told> {
    let told = Told::read(result).ok()?;
    told.end.is_some().then_some(told)
}

/// Whether a tool of 2025-11-25 can only be called as a task.
pub(super) fn is_required(tool: &Value) -> bool {
    tool.pointer("/execution/taskSupport").and_then(Value::as_str) == Some("required")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn both_spellings_are_read_and_intervals_kept_within_bounds() {
        let old = Told::read(&json!({"taskId": "t", "status": "working", "ttl": 60_000, "pollInterval": 500})).unwrap();
        let new =
            Told::read(&json!({"taskId": "t", "status": "working", "ttlMs": 60_000, "pollIntervalMs": 500})).unwrap();
        assert_eq!(old, new);
        assert_eq!((old.ttl, old.poll), (Some(Duration::from_secs(60)), Duration::from_millis(500)));
        for (wish, poll) in [(json!(0), 200), (json!(-5), 1000), (json!(1e300), 1000), (json!(9e9), 30_000)] {
            let told = Told::read(&json!({"taskId": "t", "status": "working", "pollInterval": wish})).unwrap();
            assert_eq!(told.poll, Duration::from_millis(poll), "{wish}");
        }
        assert_eq!(pause(Duration::from_secs(1), 3), Duration::from_secs(8));
        assert_eq!(pause(Duration::from_secs(1), 99), Duration::from_secs(30));
    }

    #[test]
    fn what_is_no_task_is_told_so() {
        for (task, says) in [
            (json!({"status": "working"}), "names no task"),
            (json!({"taskId": 7, "status": "working"}), "names no task"),
            (json!({"taskId": "t"}), "no status"),
            (json!({"taskId": "t", "status": "novel"}), "unknown status"),
            (json!("t"), "names no task"),
        ] {
            assert!(Told::read(&task).unwrap_err().contains(says), "{task}");
        }
    }

    #[test]
    fn the_end_of_a_task_is_found_only_where_it_has_one() {
        let done = json!({"taskId": "t", "status": "completed", "result": {"content": []}});
        assert_eq!(ended(&done).and_then(|told| told.end), Some(json!({"content": []})));
        assert_eq!(ended(&json!({"taskId": "t", "status": "working", "result": {}})), None);
        assert_eq!(ended(&json!({"content": []})), None);
    }
}
