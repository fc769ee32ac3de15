//! A turn that runs in another process, followed through the store: what is written there becomes the events that its
//! own process told.
//!
//! The store is asked for a number that changes with every commit of others, at growing distances while it does not;
//! only when it has changed the turn is read. Nothing is sent to the process that runs it.
//!
//! # Invariants
//! - What was told is never told again, and a call has exactly one end.
//! - A turn whose process is gone ends here as the store tells it after recovering it: interrupted, with what its calls
//!   may have done.
//!
//! # Does not
//! Stop the turn: leaving it leaves it running.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::chat::{
    Answer, AnswerState, CallId, CallState, CallUpdate, ContextParts, ConversationId, Effective, Fault, FaultKind,
    Message, MessageId, Stamped, TurnEvent, TurnId, TurnStatus, Usage, is_filtered, is_length,
};
use crate::engine::port::Clock;
use crate::store::{Runner, Store, Watched, WatchedCall, WatchedRound};

/// Between two looks: right after something came, and when nothing has come for a while.
const SHORT: Duration = Duration::from_millis(40);
const LONG: Duration = Duration::from_millis(500);
/// How long nothing may be written before it is asked whether the process still lives.
const PULSE: Duration = Duration::from_secs(1);

/// Follows one turn of a conversation.
pub struct Follower {
    store: Store,
    clock: Arc<dyn Clock>,
    turn: TurnId,
    conversation: ConversationId,
    id: MessageId,
    told: Told,
    version: Option<i64>,
    /// When the turn was last read.
    read: Option<Instant>,
    pause: Duration,
    /// Its messages are told at its end.
    messages: bool,
    over: bool,
}

impl Follower {
    /// The conversation's last turn, told under `turn`. `messages`: its messages are told before its end. None where no
    /// turn of it ever ran here.
    ///
    /// # Errors
    /// `Store` where it cannot be read.
    pub async fn last(
        store: Store,
        clock: Arc<dyn Clock>,
        turn: TurnId,
        conversation: ConversationId,
        messages: bool,
    ) -> Result<Option<Self>, Fault> {
        let watched = store.watch(&conversation, None).await.map_err(|error| error.fault())?;
        Ok(watched.map(|watched| Self {
            store,
            clock,
            turn,
            conversation,
            id: watched.turn,
            told: Told::default(),
            version: None,
            read: None,
            pause: SHORT,
            messages,
            over: false,
        }))
    }

    /// What is new; empty where nothing is.
    async fn look(&mut self) -> Result<Vec<TurnEvent>, Fault> {
        let fault = |error: crate::store::StoreError| error.fault();
        let version = self.store.data_version().await.map_err(fault)?;
        let now = Instant::now();
        if self.version == Some(version) && self.read.is_some_and(|read| now.duration_since(read) < PULSE) {
            return Ok(Vec::new());
        }
        let mut watched = self.watched().await?;
        if watched.status.is_none() && watched.runner.is_none() {
            // Its process is gone: the claim recovers what it left. Another follower may be at it.
            let claimed = self.store.claim(&self.conversation).await;
            if claimed.is_ok() {
                let _ = self.store.release(&self.conversation).await;
            }
            watched = self.watched().await?;
            if watched.status.is_none() && claimed.is_err() {
                // It cannot be written here; what became of the turn is no less true.
                watched.status = Some("interrupted".to_owned());
            }
        }
        let messages = match (&watched.status, self.messages) {
            (Some(_), true) => self.spoken().await?,
            (Some(_) | None, _) => Vec::new(),
        };
        // From here on nothing waits: what is marked as told is told.
        (self.version, self.read) = (Some(version), Some(now));
        let mut events = self.told.news(self.turn, &self.conversation, &watched);
        if watched.status.is_some() {
            let turn = self.turn;
            events.extend(messages.into_iter().map(|message| TurnEvent::Message { turn, message }));
            self.told.end(turn, &self.conversation, &watched, &mut events);
            self.over = true;
        }
        Ok(events)
    }

    async fn watched(&self) -> Result<Watched, Fault> {
        let watched = self.store.watch(&self.conversation, Some(self.id.clone())).await;
        watched.map_err(|error| error.fault())?.ok_or_else(|| {
            Fault::new(FaultKind::Store, "The turn is not in the store any more: its conversation was erased.")
        })
    }

    /// The messages of the turn.
    async fn spoken(&self) -> Result<Vec<Arc<Message>>, Fault> {
        let opened = self.store.open_conversation(&self.conversation).await.map_err(|error| error.fault())?;
        let begin = format!("{}.", self.id.as_str());
        // What recovery added behind them has ids of its own.
        Ok(opened.messages.into_iter().skip_while(|message| !message.id.as_str().starts_with(&begin)).collect())
    }

    fn stamped(&self, events: Vec<TurnEvent>) -> Vec<Stamped<TurnEvent>> {
        let at = self.clock.now();
        events.into_iter().map(|body| Stamped { at, body }).collect()
    }
}

impl Follower {
    /// The number under which it is told.
    #[must_use]
    pub fn turn(&self) -> TurnId {
        self.turn
    }

    /// Its name in the store, with which the ids of its messages begin.
    #[must_use]
    pub fn id(&self) -> &MessageId {
        &self.id
    }

    /// What is new, once there is something; None once the turn has ended and all of it was told.
    pub async fn next(&mut self) -> Option<Vec<Stamped<TurnEvent>>> {
        while !self.over {
            match self.look().await {
                Ok(events) if events.is_empty() => {
                    tokio::time::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(LONG);
                }
                Ok(events) => {
                    self.pause = SHORT;
                    return Some(self.stamped(events));
                }
                Err(fault) => {
                    self.over = true;
                    let mut events = vec![TurnEvent::Error { turn: Some(self.turn), fault }];
                    events.push(self.told.ended(self.turn, &self.conversation, TurnStatus::Failed, None));
                    return Some(self.stamped(events));
                }
            }
        }
        None
    }
}

/// Asks the process that runs a turn to end it: only one that runs that turn and nothing else, and is surely the one.
///
/// # Errors
/// `Usage` where it is not, with what a person can do; `Internal` where the system refuses.
pub fn stop(runner: Runner) -> Result<(), Fault> {
    let pid = runner.pid;
    if !runner.single {
        let message = format!("It runs in a chat screen (process {pid}), together with whatever else is open there.");
        return Err(Fault::new(FaultKind::Usage, message).hint("Stop it there: esc."));
    }
    if !runner.proved {
        let message = format!("Whether process {pid} is the one that runs it cannot be told from here.");
        return Err(
            Fault::new(FaultKind::Usage, message).hint("Stop it on the machine, or in the container, where it runs.")
        );
    }
    terminate(pid).map_err(|error| {
        Fault::new(FaultKind::Internal, format!("Process {pid}, which runs it, cannot be asked to stop: {error}."))
    })
}

#[cfg(unix)]
fn terminate(pid: u32) -> std::io::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
}

#[cfg(not(unix))]
fn terminate(_pid: u32) -> std::io::Result<()> {
    let why = "this system has no signal that asks a process to end";
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, why))
}

/// What was told so far.
#[derive(Debug, Default)]
struct Told {
    started: bool,
    rounds: HashMap<u32, ToldRound>,
    calls: HashMap<CallId, Stage>,
}

#[derive(Debug, Default)]
struct ToldRound {
    /// Bytes of each text.
    text: usize,
    reasoning: usize,
    refusal: usize,
    finished: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Opened,
    Closed,
    Sent,
    Ended,
}

impl Told {
    /// What has come since the last time, but for the end.
    fn news(&mut self, turn: TurnId, conversation: &ConversationId, watched: &Watched) -> Vec<TurnEvent> {
        let mut events = Vec::new();
        if !std::mem::replace(&mut self.started, true) {
            events.push(TurnEvent::Started {
                turn,
                conversation: conversation.clone(),
                model: watched.model.clone(),
                base_url: watched.base_url.clone(),
                // Not on record.
                api: "",
            });
        }
        for round in &watched.rounds {
            self.round(turn, round, watched, &mut events);
        }
        events
    }

    fn round(&mut self, turn: TurnId, round: &WatchedRound, watched: &Watched, events: &mut Vec<TurnEvent>) {
        let number = round.round;
        let told = self.rounds.entry(number).or_insert_with(|| {
            events.push(TurnEvent::Request {
                turn,
                round: number,
                attempt: 1,
                tools: round.tools,
                tools_hash: round.tools_hash.clone(),
                parts: ContextParts::default(),
                of: None,
            });
            ToldRound::default()
        });
        if let Some(answer) = &round.answer {
            if let Some(text) = rest(&answer.reasoning, &mut told.reasoning) {
                events.push(TurnEvent::Reasoning { turn, round: number, text });
            }
            if let Some(text) = rest(&answer.text, &mut told.text) {
                events.push(TurnEvent::Text { turn, round: number, text });
            }
            if let Some(text) = rest(&answer.refusal, &mut told.refusal) {
                events.push(TurnEvent::Refusal { turn, round: number, text });
            }
        }
        let of_round = || watched.calls.iter().filter(|call| call.round == number);
        for call in of_round() {
            call_news(self.calls.entry(call.call.clone()), turn, call, events);
        }
        // The end of the stream is written before the answer is whole.
        let whole = round.answer.as_ref().is_none_or(|answer| answer.state != AnswerState::Partial);
        if let Some(usage) = round.usage
            && whole
            && !std::mem::replace(&mut told.finished, true)
        {
            if usage != Usage::default() {
                events.push(TurnEvent::Usage { turn, round: number, usage });
            }
            let effective = effective(round, of_round().next().is_some());
            events.push(TurnEvent::Finish { turn, round: number, reason: round.finish.clone(), effective });
        }
    }

    /// Tells the end.
    fn end(&self, turn: TurnId, conversation: &ConversationId, watched: &Watched, events: &mut Vec<TurnEvent>) {
        let (status, fault) = match watched.status.as_deref() {
            Some("ok") => (TurnStatus::Ok, None),
            Some("cancelled") => (TurnStatus::Cancelled, None),
            Some("limit") => (TurnStatus::Limit, None),
            Some("interrupted") => (TurnStatus::Failed, Some(interrupted(conversation))),
            Some(_) | None => (TurnStatus::Failed, None),
        };
        if let Some(fault) = watched.fault.clone().or(fault) {
            events.push(TurnEvent::Error { turn: Some(turn), fault });
        }
        events.push(self.ended(turn, conversation, status, Some(watched)));
    }

    fn ended(
        &self,
        turn: TurnId,
        conversation: &ConversationId,
        status: TurnStatus,
        watched: Option<&Watched>,
    ) -> TurnEvent {
        let rounds = watched.map(|watched| watched.rounds.as_slice()).unwrap_or_default();
        let text = rounds.iter().rev().find_map(|round| Some(&round.answer.as_ref()?.text).filter(|t| !t.is_empty()));
        TurnEvent::Ended {
            turn,
            status,
            text: text.cloned().unwrap_or_default(),
            rounds: rounds.last().map_or(0, |round| round.round),
            calls: u32::try_from(self.calls.len()).unwrap_or(u32::MAX),
            conversation: conversation.clone(),
        }
    }
}

/// What of a text was not told yet. A text that was put otherwise since is told by the end of the turn.
fn rest(text: &str, told: &mut usize) -> Option<String> {
    let rest = text.get(*told..).filter(|rest| !rest.is_empty())?;
    *told = text.len();
    Some(rest.to_owned())
}

fn call_news(
    told: std::collections::hash_map::Entry<'_, CallId, Stage>,
    turn: TurnId,
    call: &WatchedCall,
    events: &mut Vec<TurnEvent>,
) {
    let mut tell = |state| {
        let update = CallUpdate {
            call: call.call.clone(),
            round: call.round,
            index: call.index,
            wire_name: Some(call.wire_name.as_str().into()),
            tool: call.tool.clone(),
            state,
        };
        events.push(TurnEvent::Call { turn, update });
    };
    let stage = told.or_insert_with(|| {
        tell(CallState::Arguments { bytes: 0, delta: String::new() });
        Stage::Opened
    });
    if *stage < Stage::Closed
        && let Some((arguments, closed_by)) = &call.closed
    {
        *stage = Stage::Closed;
        tell(CallState::Closed { arguments: Arc::clone(arguments), closed_by: *closed_by, closed_at: 0 });
    }
    if *stage == Stage::Closed && call.sent {
        *stage = Stage::Sent;
        tell(CallState::Running);
    }
    if *stage < Stage::Ended
        && let Some(outcome) = &call.outcome
    {
        *stage = Stage::Ended;
        tell(CallState::Ended(Arc::clone(outcome)));
    }
}

fn effective(round: &WatchedRound, calls: bool) -> Effective {
    let broken = |answer: &Answer| answer.state == AnswerState::Interrupted;
    match round.finish.as_deref() {
        Some(word) if is_filtered(word) => Effective::ContentFilter,
        Some(word) if is_length(word) => Effective::Length,
        Some("error") => Effective::Error,
        None if round.answer.as_ref().is_none_or(broken) => Effective::Error,
        Some(_) | None if calls => Effective::ToolCalls,
        Some("stop") | None => Effective::Stop,
        Some(_) => Effective::Other,
    }
}

fn interrupted(conversation: &ConversationId) -> Fault {
    let message = "The process that ran this turn ended before it: it was killed, or the machine stopped. What was \
                   written until then is kept.";
    Fault::new(FaultKind::Internal, message)
        .hint(format!("Go on with it: millrace -r={} or millrace run -r={0} \"Continue.\"", conversation.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{ClosedBy, OutcomeKind, ToolOutcome, ToolRef};

    const TURN: TurnId = TurnId(1);

    fn round(number: u32, text: &str, over: bool) -> WatchedRound {
        let state = if over { AnswerState::Complete } else { AnswerState::Partial };
        WatchedRound {
            round: number,
            tools: 1,
            tools_hash: "h".into(),
            answer: Some(Answer { text: text.into(), state, ..Answer::default() }),
            usage: over.then(|| Usage { input: Some(7), ..Usage::default() }),
            finish: over.then(|| "stop".into()),
        }
    }

    fn watched(rounds: Vec<WatchedRound>, calls: Vec<WatchedCall>, status: Option<&str>) -> Watched {
        Watched {
            turn: MessageId::new("t"),
            model: "m".into(),
            base_url: "http://127.0.0.1/v1".into(),
            status: status.map(str::to_owned),
            fault: None,
            runner: None,
            rounds,
            calls,
        }
    }

    fn call(closed: bool, sent: bool, outcome: Option<OutcomeKind>) -> WatchedCall {
        WatchedCall {
            call: CallId::new("k"),
            round: 1,
            index: 0,
            wire_name: "fs__read".into(),
            tool: Some(ToolRef::new("fs", "read")),
            closed: closed.then(|| (Arc::from("{}"), ClosedBy::Brace)),
            sent,
            outcome: outcome.map(|kind| Arc::new(ToolOutcome::unsent(kind, "told"))),
        }
    }

    fn words(events: &[TurnEvent]) -> String {
        let word = |event: &TurnEvent| match event {
            TurnEvent::Started { .. } => "started".to_owned(),
            TurnEvent::Request { round, .. } => format!("request {round}"),
            TurnEvent::Text { text, .. } => format!("text {text:?}"),
            TurnEvent::Call { update, .. } => match &update.state {
                CallState::Arguments { .. } => "opened".to_owned(),
                CallState::Closed { .. } => "closed".to_owned(),
                CallState::Running => "running".to_owned(),
                CallState::Ended(outcome) => outcome.kind.word().to_owned(),
                other => panic!("{other:?}"),
            },
            TurnEvent::Usage { .. } => "usage".to_owned(),
            TurnEvent::Finish { effective, .. } => format!("finish {}", effective.word()),
            TurnEvent::Error { fault, .. } => format!("error {}", fault.kind.word()),
            TurnEvent::Ended { status, text, rounds, calls, .. } => {
                format!("ended {} {text:?} {rounds} {calls}", status.word())
            }
            other => panic!("{other:?}"),
        };
        events.iter().map(word).collect::<Vec<_>>().join(", ")
    }

    fn check(looks: &[(Watched, &str)]) {
        let mut told = Told::default();
        let id = ConversationId::new("c");
        for (watched, expect) in looks {
            let mut events = told.news(TURN, &id, watched);
            if watched.status.is_some() {
                told.end(TURN, &id, watched, &mut events);
            }
            assert_eq!(words(&events), *expect);
        }
    }

    #[test]
    fn only_what_is_new_is_told() {
        check(&[
            (watched(vec![round(1, "one", false)], vec![], None), "started, request 1, text \"one\""),
            (watched(vec![round(1, "one", false)], vec![], None), ""),
            (watched(vec![round(1, "one two", false)], vec![call(false, false, None)], None), "text \" two\", opened"),
            (watched(vec![round(1, "one two", false)], vec![call(true, true, None)], None), "closed, running"),
            (
                watched(
                    vec![round(1, "one two", true), round(2, "ü", false)],
                    vec![call(true, true, Some(OutcomeKind::Done))],
                    None,
                ),
                "done, usage, finish tool_calls, request 2, text \"ü\"",
            ),
            (
                watched(
                    vec![round(1, "one two", true), round(2, "übel", true)],
                    vec![call(true, true, Some(OutcomeKind::Done))],
                    Some("ok"),
                ),
                "text \"bel\", usage, finish stop, ended ok \"übel\" 2 1",
            ),
        ]);
    }

    #[test]
    fn whoever_comes_late_is_told_all_of_it_and_a_crash_as_what_it_was() {
        let mut broken = round(1, "half", true);
        (broken.usage, broken.finish) = (None, None);
        let left = watched(vec![broken], vec![call(true, true, Some(OutcomeKind::Unknown))], Some("interrupted"));
        check(&[(
            left,
            "started, request 1, text \"half\", opened, closed, running, unknown, error internal, ended failed \"half\" 1 1",
        )]);
        check(&[(watched(vec![], vec![], Some("cancelled")), "started, ended cancelled \"\" 0 0")]);
        let mut limited = watched(vec![round(1, "a", true)], vec![], Some("limit"));
        limited.fault = Some(Fault::new(FaultKind::Limit, "enough"));
        check(&[(limited, "started, request 1, text \"a\", usage, finish stop, error limit, ended limit \"a\" 1 0")]);
    }

    #[test]
    fn a_text_that_was_put_otherwise_is_never_cut_within_a_character() {
        let mut told = 0;
        assert_eq!(rest("abc", &mut told).as_deref(), Some("abc"));
        assert_eq!(rest("a", &mut told), None);
        assert_eq!(rest("abüd", &mut told), None);
        assert_eq!(rest("abcd", &mut told).as_deref(), Some("d"));
    }
}
