//! An engine that lives through a recording once more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::chat::{
    Api, CallId, Fault, FaultKind, Heard, Limits, MessageId, Order, Parent, TurnId, TurnSettings, Wiretap,
};
use crate::config::Secret;
use crate::engine::live::LiveModel;
use crate::engine::port::Clock;
use crate::engine::{Engine, EngineConfig, Handle, Orders, Ports};
use crate::net::{Endpoint, Http};

use super::conductor::{Conductor, Cue, STALL, Source, Speed};
use super::line::Header;
use super::model::{ReplayModel, Replies};
use super::read::Recording;
use super::script::{Deed, Script};
use super::servers::{RecordedClock, RecordedJournal, RecordedServers};

/// Where the model of a recording is that names none.
const NOWHERE: &str = "http://127.0.0.1/v1";

/// How a recording is played.
#[derive(Clone, Copy, Debug)]
pub struct ReplayOptions {
    pub speed: Speed,
    /// The engine's clock is the recording's: events bear the times that they had. Otherwise the caller's clock counts.
    pub recorded_clock: bool,
    /// What still runs when the recording is over is stopped, so that every turn ends.
    pub to_the_end: bool,
}

/// A recording that is about to be played.
pub struct Replay {
    pub handle: Handle,
    /// The turns that will begin, in order.
    pub turns: Vec<TurnId>,
    /// As the recording says: what the session began with.
    pub base_url: String,
    pub model: Option<String>,
    pub api: Api,
    begin: oneshot::Sender<Orders>,
}

impl Replay {
    /// Makes the engine. It begins when [`Replay::begin`] is called.
    ///
    /// # Errors
    /// `Usage` where the recording holds what cannot be played; `Internal` where the machine gives no thread.
    pub fn new(
        recording: Recording,
        own: &Limits,
        options: ReplayOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, Fault> {
        let (header, notices) = (recording.header.clone(), recording.notices.clone());
        let script = Arc::new(Script::of(recording)?);
        let (base_url, api) = match &header.base_url {
            Some(base_url) => (base_url.clone(), header.api),
            None => script.endpoint().unwrap_or_else(|| (NOWHERE.to_owned(), header.api)),
        };
        let mut endpoint = Endpoint::new(&base_url, api)?;
        endpoint.vision = header.vision;
        if let Some(from) = &header.key_from {
            // Never sent anywhere: it stands for the one that was there, in what is said of a refusal.
            endpoint = endpoint.key(Secret::new("recorded"), from.clone());
        }
        let limits = Arc::new(header.limits.within(own));
        let ear = Arc::new(Ear::default());
        let config = config(&header, Arc::clone(&limits), Arc::clone(&ear))?;
        let conductor = Conductor::new(options.speed, script.cues.clone());
        let turns = script.deeds.iter().filter_map(|(_, deed)| match deed {
            Deed::Order(order) => started(order),
            Deed::Server(_) => None,
        });
        let turns: Vec<TurnId> = turns.collect();
        let (begin, begun) = oneshot::channel::<Orders>();
        let (all, wall) = (turns.clone(), header.began);
        let ports = move || {
            let replies = Replies::new(Arc::clone(&script), Arc::clone(&conductor));
            let http = Http::played(&limits, Arc::clone(&replies) as Arc<dyn crate::net::Player>);
            let live = LiveModel::new(http, endpoint, limits);
            let (events, server_events) = mpsc::channel(64);
            let clock: Arc<dyn Clock> = match options.recorded_clock {
                true => Arc::new(RecordedClock::new(Arc::clone(&conductor), wall)),
                false => clock,
            };
            let ports = Ports {
                model: Arc::new(ReplayModel::new(live, replies)),
                servers: Arc::new(RecordedServers::new(Arc::clone(&script), Arc::clone(&conductor))),
                journal: Arc::new(RecordedJournal(Arc::clone(&script))),
                clock,
                server_events,
            };
            tokio::spawn(async move {
                let Ok(orders) = begun.await else { return };
                conductor.begin(orders.clone());
                for notice in notices {
                    conductor.notice(notice);
                }
                let mut player = Player { script: &script, conductor: &conductor, ear: &ear, orders: &orders };
                player.play(events).await;
                conductor.all_over().await;
                if options.to_the_end {
                    player.stop(&all);
                }
            });
            Ok::<Ports, Fault>(ports)
        };
        let handle = Engine::spawn(config, ports)
            .map_err(|error| Fault::new(FaultKind::Internal, format!("The engine could not be started: {error}.")))?;
        Ok(Self { handle, turns, base_url, model: header.model, api, begin })
    }

    /// Starts to play; hands over the engine.
    #[must_use]
    pub fn begin(self) -> Handle {
        let Self { handle, begin, .. } = self;
        let _ = begin.send(handle.orders.clone());
        handle
    }

    /// The engine, and what starts it.
    pub fn held(self) -> (Handle, impl FnOnce() + use<>) {
        let Self { handle, begin, .. } = self;
        let orders = handle.orders.clone();
        (handle, move || {
            let _ = begin.send(orders);
        })
    }
}

fn config(header: &Header, limits: Arc<Limits>, ear: Arc<Ear>) -> Result<EngineConfig, Fault> {
    let bad = |error: crate::tools::RuleError| Fault::new(FaultKind::Usage, format!("In the recording, {error}."));
    Ok(EngineConfig {
        titles: None,
        limits,
        rules: header.rules.rules().map_err(bad)?,
        folder: String::new(),
        starting: header.starting.clone(),
        wait_for_servers: header.wait_for_servers,
        // There is no model to hold back.
        paced: false,
        // Kept in memory alone; a store that does not write would make calls ask that did not.
        saving: true,
        wiretap: Some(ear),
    })
}

fn started(order: &Order) -> Option<TurnId> {
    match order {
        Order::Submit(submit) => Some(submit.turn),
        Order::Continue { turn, .. } | Order::AskAgain { turn, .. } | Order::RunAgain { turn, .. } => Some(*turn),
        Order::Decide { .. }
        | Order::CancelCall { .. }
        | Order::CancelTurn { .. }
        | Order::Interject { .. }
        | Order::RetryNow { .. }
        | Order::Server { .. }
        | Order::SignIn { .. }
        | Order::Answer { .. }
        | Order::Sample { .. }
        | Order::Query { .. }
        | Order::AcceptChanges { .. }
        | Order::Toolset { .. }
        | Order::Branch { .. }
        | Order::Compact { .. }
        | Order::Summary { .. }
        | Order::Rename { .. } => None,
    }
}

/// Hears which turns began this time, and what is asked.
#[derive(Debug, Default)]
struct Ear {
    heard: Mutex<Known>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<TurnId, MessageId>,
    reviews: HashMap<(TurnId, CallId), Arc<str>>,
}

impl Ear {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wiretap for Ear {
    fn heard(&self, heard: Heard) {
        match heard {
            Heard::Turn { turn, conversation: _, key } => {
                self.known().keys.insert(turn, key);
            }
            Heard::Review { turn, call, hash } => {
                self.known().reviews.insert((turn, call), hash.into());
            }
            Heard::Request { .. }
            | Heard::Head { .. }
            | Heard::Chunk { .. }
            | Heard::ResponseOver { .. }
            | Heard::Frame { .. }
            | Heard::Http { .. }
            | Heard::Body { .. }
            | Heard::Order(_) => return,
        }
        self.changed.notify_waiters();
    }
}

/// Gives the orders and tells the servers' news, each in its place.
struct Player<'a> {
    script: &'a Script,
    conductor: &'a Conductor,
    ear: &'a Ear,
    orders: &'a Orders,
}

impl Player<'_> {
    async fn play(&mut self, events: mpsc::Sender<crate::engine::port::ServerEvent>) {
        for (cue, deed) in &self.script.deeds {
            self.conductor.due(*cue, Source::Script).await;
            match deed {
                Deed::Server(event) => {
                    // The engine's end lives as long as the engine.
                    let _ = events.send(event.as_ref().clone()).await;
                }
                Deed::Order(order) => self.order(order, *cue).await,
            }
            self.conductor.settle().await;
            self.conductor.done(*cue, Source::Script);
        }
    }

    async fn order(&self, order: &Order, cue: Cue) {
        let order = match order.clone() {
            Order::Submit(mut submit) => {
                if submit.conversation.is_none() {
                    submit.conversation = self.script.turns.get(&submit.turn).map(|(id, _)| id.clone());
                }
                if let Parent::Message(id) = &mut submit.parent {
                    *id = self.message(id.clone());
                }
                unsaved(&mut submit.settings);
                Order::Submit(submit)
            }
            Order::Continue { turn, conversation, mut settings } => {
                unsaved(&mut settings);
                Order::Continue { turn, conversation, settings }
            }
            Order::AskAgain { turn, conversation, question, mut settings } => {
                unsaved(&mut settings);
                let question = question.map(|id| self.message(id));
                Order::AskAgain { turn, conversation, question, settings }
            }
            Order::Branch { conversation, path } => {
                let path = path.into_iter().map(|id| self.message(id)).collect();
                Order::Branch { conversation, path }
            }
            Order::RunAgain { turn, conversation, call, mut settings } => {
                unsaved(&mut settings);
                Order::RunAgain { turn, conversation, call, settings }
            }
            Order::Decide { turn, call, hash: _, decision } => {
                // What is asked this time: with a secret taken out, the hash is another.
                let Some(hash) = self.review(turn, &call).await else {
                    let at = cue.t_us as f64 / 1e6;
                    let message = format!(
                        "The replay goes other ways: {} was decided on at {at:.1} s, and is not asked about.",
                        call.as_str()
                    );
                    return self.conductor.notice(message);
                };
                Order::Decide { turn, call, hash, decision }
            }
            order @ (Order::CancelCall { .. }
            | Order::CancelTurn { .. }
            | Order::Interject { .. }
            | Order::RetryNow { .. }
            | Order::Server { .. }
            | Order::SignIn { .. }
            | Order::Answer { .. }
            | Order::Sample { .. }
            | Order::Query { .. }
            | Order::AcceptChanges { .. }
            | Order::Toolset { .. }
            | Order::Compact { .. }
            | Order::Summary { .. }
            | Order::Rename { .. }) => order,
        };
        self.orders.send(order);
    }

    /// A recorded message by the id that it has this time.
    fn message(&self, id: MessageId) -> MessageId {
        let Some((key, number)) = id.as_str().rsplit_once('.') else { return id };
        let turn = self.script.turns.iter().find(|(_, (_, recorded))| recorded.as_str() == key).map(|(turn, _)| turn);
        let known = self.ear.known();
        match turn.and_then(|turn| known.keys.get(turn)) {
            Some(key) => MessageId::new(format!("{}.{number}", key.as_str())),
            None => id,
        }
    }

    /// Waits until a call is asked about, and gives the hash of what is shown.
    async fn review(&self, turn: TurnId, call: &CallId) -> Option<Arc<str>> {
        let until = Instant::now() + STALL;
        loop {
            let changed = self.ear.changed.notified();
            if let Some(hash) = self.ear.known().reviews.get(&(turn, call.clone())) {
                return Some(Arc::clone(hash));
            }
            timeout_at(until, changed).await.ok()?;
        }
    }

    fn stop(&self, turns: &[TurnId]) {
        for turn in turns {
            self.orders.send(Order::CancelTurn { turn: *turn });
        }
    }
}

/// Nothing of the user's is touched.
fn unsaved(settings: &mut TurnSettings) {
    settings.no_save = true;
}
