//! `millrace replay`: a recording, again, on the chat screen or as `run` writes. Neither a network, nor a server, nor
//! the user's store is reached.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::sync::Arc;

use crate::chat::{Fault, FaultKind, Limits, Order, Stamped, TurnEvent, TurnId};
use crate::engine::Handle;
use crate::engine::live::LiveClock;
use crate::engine::port::Clock as _;
use crate::headless::{self, Source, stops};
use crate::record::{Recording, Replay, ReplayOptions, Speed};

use super::args::{ReplayArgs, SessionArgs};
use super::once;
use super::run as asked;
use super::setup::Setup;

mod screen;

/// Plays it and gives back the exit code. With `--output`, faults before the first turn are written in that form.
///
/// # Errors
/// `Usage` where the file is no recording that can be played, or there is no terminal for the screen.
pub fn run(args: &ReplayArgs) -> Result<u8, Fault> {
    let played = play(args);
    let (Err(fault), Some(_)) = (&played, args.output.form()) else { return played };
    let session = SessionArgs { output: args.output.clone(), log: args.log.clone(), ..SessionArgs::default() };
    let options = asked::options(&session, TurnId(1));
    once::on_runtime(async {
        let at = LiveClock.now();
        Ok(headless::refuse(fault, at, options, tokio::io::stdout(), tokio::io::stderr()).await)
    })
}

fn play(args: &ReplayArgs) -> Result<u8, Fault> {
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let screen = args.output.form().is_none() && !args.output.plain && !dumb;
    let session = SessionArgs { output: args.output.clone(), log: args.log.clone(), ..SessionArgs::default() };
    let setup = Setup::load()?;
    let limits = setup.resolve(&session)?.limits;
    let recording = Recording::read(&args.file, limits.import)?;
    if screen && !std::io::stdout().is_terminal() {
        return Err(Fault::new(FaultKind::Usage, "The replay's screen needs a terminal.")
            .hint("For pipes and scripts: millrace replay FILE --output text"));
    }
    // Line by line it is read as it comes; a program wants it at once.
    let usual = if args.output.form().is_some() { Speed::Full } else { Speed::Original };
    let speed = args.speed.unwrap_or(usual);
    match screen {
        true => once::on_runtime(screen::replayed(recording, &setup, speed, &session)),
        false => once::on_runtime(written(recording, &limits, speed, &session)),
    }
}

/// Every turn in the form that was asked for.
async fn written(recording: Recording, limits: &Limits, speed: Speed, args: &SessionArgs) -> Result<u8, Fault> {
    let options = ReplayOptions { speed, recorded_clock: true, to_the_end: true };
    let replay = Replay::new(recording, limits, options, Arc::new(LiveClock))?;
    let turns = replay.turns.clone();
    let mut played = Played { handle: replay.begin(), turns: turns.clone(), held: VecDeque::new() };
    let orders = played.handle.orders.clone();
    let mut stops = Box::pin(stops());
    let mut code = 0;
    for turn in turns {
        played.turns.retain(|open| *open != turn);
        let mut options = asked::options(args, turn);
        options.verbose |= args.output.plain;
        let (out, err) = (tokio::io::stdout(), tokio::io::stderr());
        code = headless::run(&mut played, options, out, err, &mut stops).await;
        if matches!(code, 129 | 130 | 143) {
            break;
        }
    }
    orders.shutdown().await;
    Ok(code)
}

/// The engine, turn after turn: what already belongs to a later one waits for it.
struct Played {
    handle: Handle,
    /// Turns that are to be written later.
    turns: Vec<TurnId>,
    held: VecDeque<Stamped<TurnEvent>>,
}

impl Source for &mut Played {
    async fn next(&mut self) -> Option<Vec<Stamped<TurnEvent>>> {
        loop {
            let waited: Vec<_> = self.held.drain(..).collect();
            let events = if waited.is_empty() { self.handle.next().await? } else { waited };
            let later = |event: &Stamped<TurnEvent>| event.body.turn().is_some_and(|turn| self.turns.contains(&turn));
            let (later, now): (Vec<_>, Vec<_>) = events.into_iter().partition(later);
            let nothing = now.is_empty();
            self.held.extend(later);
            if !nothing {
                return Some(now);
            }
            // All that is held is for later: more has to come first.
            let more = self.handle.next().await?;
            self.held.extend(more);
        }
    }

    fn order(&self, order: Order) {
        self.handle.order(order);
    }
}
