//! The resources of one server whose changes are to be told, over all its connections.
//!
//! # Invariants
//! - There are at most `limits.watched` of them, and what a server says of any other costs a look and nothing more.
//! - One that had no room is watched once there is, in the order in which they came.
//! - However often a resource changes, it is told at most once in [`PAUSE`]; a change is never lost by that.
//! - What was kept over a connection that ended may have changed meanwhile, and is told so once it is kept again.
//!
//! # Does not
//! Ask the server: `subscribe` does, for as long as a connection lives.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::chat::{ServerNews, WatchStanding};

use super::report::Reporter;

/// Between two tellings.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest address that is watched, bytes.
const LONGEST: usize = 8 * 1024;
/// So many wait for room.
const WAITING: usize = 1024;

/// Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Watches(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    held: Mutex<Held>,
    /// Rung where other resources are wanted than before.
    wanted: Notify,
    /// Rung where there is something to tell.
    told: Notify,
}

#[derive(Debug, Default)]
struct Held {
    watched: BTreeMap<String, Watched>,
    /// Wanted as well, and turned away: only where there are as many as may be.
    waiting: VecDeque<String>,
}

#[derive(Debug)]
struct Watched {
    standing: WatchStanding,
    /// As it was last told, or answered.
    told: WatchStanding,
    changed: Option<Change>,
    /// It was kept, and is so no more: what happens now is not heard.
    missed: bool,
}

impl Watched {
    fn new() -> Self {
        Self { standing: WatchStanding::Asked, told: WatchStanding::Asked, changed: None, missed: false }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Change {
    May,
    Did,
}

impl Watches {
    pub(super) fn new(most: u32) -> Self {
        Self(Arc::new(Inner {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            held: Mutex::default(),
            wanted: Notify::new(),
            told: Notify::new(),
        }))
    }

    /// From now on `uri` is watched. Asked again for one that was refused, its server is asked again.
    pub(super) fn want(&self, uri: &str) -> WatchStanding {
        let mut held = self.held();
        if let Some(watched) = held.watched.get_mut(uri) {
            if matches!(watched.standing, WatchStanding::Refused(_)) {
                (watched.standing, watched.told) = (WatchStanding::Asked, WatchStanding::Asked);
                self.0.wanted.notify_one();
            }
            return watched.standing.clone();
        }
        if uri.len() > LONGEST {
            return WatchStanding::Refused(format!("its address has more than {LONGEST} bytes"));
        }
        if held.watched.len() >= self.0.most {
            if held.waiting.len() < WAITING && !held.waiting.iter().any(|waiting| waiting == uri) {
                held.waiting.push_back(uri.to_owned());
            }
            let most = self.0.most;
            return WatchStanding::Refused(format!("{most} of its resources are watched already ([limits] watched)"));
        }
        held.watched.insert(uri.to_owned(), Watched::new());
        self.0.wanted.notify_one();
        WatchStanding::Asked
    }

    /// `uri` is watched no more; where others had no room, the next of them is.
    pub(super) fn leave(&self, uri: &str) {
        let mut held = self.held();
        held.waiting.retain(|waiting| waiting != uri);
        if held.watched.remove(uri).is_none() {
            return;
        }
        if let Some(next) = held.waiting.pop_front() {
            held.watched.insert(next, Watched::new());
        }
        self.0.wanted.notify_one();
    }

    pub(super) fn wanted(&self) -> BTreeSet<String> {
        self.held().watched.keys().cloned().collect()
    }

    /// Those whose standing is not known yet.
    pub(super) fn asked(&self) -> Vec<String> {
        let held = self.held();
        let asked = held.watched.iter().filter(|(_, watched)| watched.standing == WatchStanding::Asked);
        asked.map(|(uri, _)| uri.clone()).collect()
    }

    /// Waits until others are wanted than before, or one was to be asked for again. Cancel-safe.
    pub(super) async fn changed(&self) {
        self.0.wanted.notified().await;
    }

    /// What its server said of one; void where it is not wanted any more.
    pub(super) fn stands(&self, uri: &str, standing: WatchStanding) {
        if let Some(watched) = self.held().watched.get_mut(uri) {
            if standing == WatchStanding::Kept && std::mem::take(&mut watched.missed) {
                watched.changed = watched.changed.max(Some(Change::May));
            }
            watched.standing = standing;
            self.0.told.notify_one();
        }
    }

    /// Nothing is heard of any of them now: each is to be asked for again.
    pub(super) fn lost(&self) {
        for watched in self.held().watched.values_mut() {
            watched.missed |= watched.standing == WatchStanding::Kept;
            watched.standing = WatchStanding::Asked;
        }
    }

    /// The server says that a resource has changed.
    pub(super) fn updated(&self, uri: &str) {
        let mut news = false;
        for (wanted, watched) in &mut self.held().watched {
            if covers(wanted, uri) && watched.changed != Some(Change::Did) {
                watched.changed = Some(Change::Did);
                news = true;
            }
        }
        if news {
            self.0.told.notify_one();
        }
    }

    /// How many are kept, and how many were refused or have no room.
    pub(super) fn counts(&self) -> (u32, u32) {
        let held = self.held();
        let count =
            |of: fn(&WatchStanding) -> bool| held.watched.values().filter(|watched| of(&watched.standing)).count();
        let kept = count(|standing| *standing == WatchStanding::Kept);
        let refused = count(|standing| matches!(standing, WatchStanding::Refused(_))) + held.waiting.len();
        (u32::try_from(kept).unwrap_or(u32::MAX), u32::try_from(refused).unwrap_or(u32::MAX))
    }

    /// Tells what there is to tell, for as long as the server is here.
    pub(super) async fn tell(self, reporter: Reporter) {
        loop {
            self.0.told.notified().await;
            for news in self.news() {
                reporter.news(news).await;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn news(&self) -> Vec<ServerNews> {
        let mut out = Vec::new();
        for (uri, watched) in &mut self.held().watched {
            // That it is asked for again is nobody's business before it was answered.
            if watched.standing != watched.told && watched.standing != WatchStanding::Asked {
                watched.told = watched.standing.clone();
                out.push(ServerNews::Watch { uri: uri.clone(), standing: watched.standing.clone() });
            }
            if let Some(change) = watched.changed.take() {
                out.push(ServerNews::ResourceUpdated { uri: uri.clone(), certain: change == Change::Did });
            }
        }
        out
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether who watches `watched` is told of `uri`: it is the same, or lies below it ("This might be a sub-resource of
/// the one that the client actually subscribed to", `ResourceUpdatedNotification` in the schema of every version).
fn covers(watched: &str, uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix(watched) else { return false };
    rest.is_empty() || watched.ends_with('/') || rest.starts_with(['/', '?', '#'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(uris: &[&str]) -> Watches {
        let watches = Watches::new(4);
        for uri in uris {
            watches.want(uri);
            watches.stands(uri, WatchStanding::Kept);
        }
        watches.news();
        watches
    }

    fn updated(uri: &str, certain: bool) -> ServerNews {
        ServerNews::ResourceUpdated { uri: uri.into(), certain }
    }

    #[test]
    fn a_flood_is_one_change_and_strangers_are_none() {
        let watches = kept(&["a://x", "a://y/"]);
        for _ in 0..10_000 {
            watches.updated("a://x");
            watches.updated("a://stranger");
        }
        assert_eq!(watches.news(), [updated("a://x", true)]);
        assert_eq!(watches.news(), []);
        // The next one counts again.
        watches.updated("a://x");
        assert_eq!(watches.news(), [updated("a://x", true)]);
    }

    #[test]
    fn what_lies_below_is_told_of_and_what_only_begins_alike_is_not() {
        for (watched, uri, yes) in [
            ("a://x", "a://x", true),
            ("a://x", "a://x/y", true),
            ("a://x", "a://x?page=2", true),
            ("a://x", "a://x#part", true),
            ("a://x/", "a://x/y", true),
            ("a://x", "a://xy", false),
            ("a://x/y", "a://x", false),
            ("a://x", "A://X", false),
        ] {
            assert_eq!(covers(watched, uri), yes, "{watched} {uri}");
        }
    }

    #[test]
    fn what_was_not_heard_may_have_changed_once_it_is_kept_again() {
        let watches = kept(&["a://x"]);
        watches.lost();
        assert_eq!(watches.asked(), ["a://x"]);
        assert_eq!(watches.news(), [], "nothing is known yet");
        watches.stands("a://x", WatchStanding::Kept);
        assert_eq!(watches.news(), [updated("a://x", false)]);
        // What surely changed is not told as a maybe.
        watches.lost();
        watches.updated("a://x");
        watches.stands("a://x", WatchStanding::Kept);
        assert_eq!(watches.news(), [updated("a://x", true)]);
    }

    #[test]
    fn one_that_was_never_kept_missed_nothing() {
        let watches = Watches::new(4);
        watches.want("a://x");
        watches.lost();
        watches.stands("a://x", WatchStanding::Kept);
        let kept = ServerNews::Watch { uri: "a://x".into(), standing: WatchStanding::Kept };
        assert_eq!(watches.news(), [kept]);
    }

    #[test]
    fn a_limit_says_its_name_and_what_is_left_makes_room() {
        let watches = kept(&["a", "b", "c", "d"]);
        let WatchStanding::Refused(why) = watches.want("e") else { panic!("a fifth of four") };
        assert!(why.contains("[limits] watched"), "{why}");
        assert_eq!(watches.want("a"), WatchStanding::Kept, "twice is once");
        watches.leave("a");
        watches.leave("a");
        assert_eq!(watches.want("e"), WatchStanding::Asked);
        assert!(matches!(kept(&[]).want(&"x".repeat(LONGEST + 1)), WatchStanding::Refused(_)));
        assert_eq!(watches.counts(), (3, 0));
    }

    #[test]
    fn those_without_room_come_in_as_it_comes_and_those_that_left_do_not() {
        let watches = kept(&["a", "b", "c", "d"]);
        for uri in ["f", "e", "g", "e"] {
            assert!(matches!(watches.want(uri), WatchStanding::Refused(_)));
        }
        assert_eq!(watches.counts(), (4, 3), "they are not watched, and counted so");
        watches.leave("f");
        watches.leave("a");
        assert_eq!((watches.asked(), watches.counts()), (vec!["e".to_owned()], (3, 1)));
        watches.stands("e", WatchStanding::Kept);
        let kept = ServerNews::Watch { uri: "e".into(), standing: WatchStanding::Kept };
        assert_eq!(watches.news(), [kept]);
        watches.leave("b");
        watches.leave("c");
        assert_eq!((watches.asked(), watches.counts()), (vec!["g".to_owned()], (2, 0)));
        assert_eq!(watches.want("h"), WatchStanding::Asked, "there is room again");
    }

    #[test]
    fn a_refusal_is_told_once_and_asked_for_again_only_by_a_new_wish() {
        let watches = Watches::new(4);
        watches.want("a");
        watches.stands("a", WatchStanding::Refused("no".into()));
        assert_eq!(watches.news().len(), 1);
        watches.stands("a", WatchStanding::Refused("no".into()));
        assert_eq!((watches.news(), watches.counts()), (Vec::new(), (0, 1)));
        // Whoever asks the server sleeps until then; what goes to it is seen in the tests of whole servers.
        use futures_util::FutureExt;
        while watches.changed().now_or_never().is_some() {}
        assert_eq!(watches.want("a"), WatchStanding::Asked);
        assert!(watches.changed().now_or_never().is_some(), "whoever asks is woken");
        assert_eq!(watches.asked(), ["a"]);
        // Nobody wants it any more: the answer is void.
        watches.leave("a");
        watches.stands("a", WatchStanding::Kept);
        assert_eq!((watches.news(), watches.counts()), (Vec::new(), (0, 0)));
    }
}
