//! A recording on the chat screen.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::app::{Connection, Endpoint as Shown, ModelRow, ModelSource, Start, Switched};
use crate::chat::{ConversationId, Fault, FaultKind, Prices, RoundUsage, ServerName, TurnSettings};
use crate::config::import::Plan;
use crate::engine::live::LiveClock;
use crate::net::{Http, HttpOptions};
use crate::record::{Recording, Replay, ReplayOptions, Speed};
use crate::tui::{self, Connected, Connector, Desk, Replies, Services, TuiConfig};

use super::super::args::SessionArgs;
use super::super::screen;
use super::super::setup::Setup;
use super::super::theme::Looks;

/// Shows it until the person leaves.
///
/// # Errors
/// As for any chat screen.
pub(super) async fn replayed(
    recording: Recording,
    setup: &Setup,
    speed: Speed,
    args: &SessionArgs,
) -> Result<u8, Fault> {
    let resolved = setup.resolve(args)?;
    let limits = Arc::new(resolved.limits.clone());
    let options = ReplayOptions { speed, recorded_clock: false, to_the_end: false };
    let replay = Replay::new(recording, &limits, options, Arc::new(LiveClock))?;
    let settings =
        TurnSettings { model: replay.model.clone().unwrap_or_default(), no_save: true, ..TurnSettings::default() };
    let greeting = "A replay: nothing is sent, and nothing runs.".to_owned();
    let connection = Shown::new(replay.base_url.clone(), None);
    let mut state = screen::state(setup, &resolved, settings, Some(connection), greeting);
    state.session.replay = true;
    // There is nobody to ask how large it is.
    state.session.window_asked = true;
    let (engine, begin) = replay.held();
    let orders = engine.orders.clone();
    let nowhere = Fault::new(FaultKind::Store, "A replay has no store.");
    let http = Http::new(HttpOptions::new(&limits));
    let desk = Desk::new(Err(nowhere), http, Arc::new(Nobody), setup.folder.clone(), None);
    let looks = Looks::new(args, setup, &resolved);
    let config = TuiConfig {
        state,
        start: Start { mouse: resolved.ui.mouse, ..Start::default() },
        links: looks.links(),
        images: looks.images(),
        notify: looks.notify(),
        themes: Box::new(looks),
        writes: false,
        inline: args.output.inline,
        folder: setup.folder.clone(),
        config_file: setup.paths.config_file(),
        limits,
    };
    let services = Services { engine, clock: Arc::new(LiveClock), work: Arc::new(desk) };
    let left = tui::run(config, services, begin).await;
    orders.shutdown().await;
    left.map(|exit| exit.code).map_err(|error| {
        let kind = if error.exit_code() == 2 { FaultKind::Usage } else { FaultKind::Internal };
        Fault::new(kind, error.to_string())
    })
}

/// Nothing can be reached from a replay.
struct Nobody;

type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

fn nobody<T: Send + 'static>() -> Later<Result<T, Fault>> {
    Box::pin(async { Err(Fault::new(FaultKind::Usage, "This is a replay, which reaches nothing and keeps nothing.")) })
}

impl Connector for Nobody {
    fn models(&self, _generation: u64, _anew: bool, _replies: Replies) -> Later<()> {
        Box::pin(async {})
    }

    fn kept_models(&self) -> Later<(Vec<ModelSource>, Vec<ModelRow>)> {
        Box::pin(async { (Vec::new(), Vec::new()) })
    }

    fn facts(&self, _model: String, _ask: bool) -> Later<Option<ModelRow>> {
        Box::pin(async { None })
    }

    fn choose_model(&self, _model: String) -> Later<Result<(), Fault>> {
        nobody()
    }

    fn default_model(&self, _: Option<String>, _base_url: String, _model: String) -> Later<Result<String, Fault>> {
        nobody()
    }

    fn favourite(&self, _base_url: String, _model: String, _on: bool) -> Later<Result<(), Fault>> {
        nobody()
    }

    fn switch(&self, _profile: String, _row: ModelRow, _then: crate::app::Then) -> Later<Result<Switched, Fault>> {
        nobody()
    }

    fn usage(&self, _conversation: ConversationId) -> Later<Vec<(RoundUsage, Option<Prices>)>> {
        Box::pin(async { Vec::new() })
    }

    fn connect(&self, _connection: Connection) -> Later<Result<Connected, Fault>> {
        nobody()
    }

    fn imports(&self) -> Later<Result<Plan, Fault>> {
        nobody()
    }

    fn import(&self, _picks: Vec<(String, String)>) -> Later<Result<(), Fault>> {
        nobody()
    }

    fn add_server(&self, _text: String) -> Later<Result<ServerName, Fault>> {
        nobody()
    }

    fn export(&self, _conversation: ConversationId, _form: crate::app::ExportForm) -> Later<Result<String, Fault>> {
        nobody()
    }
}
