//! The real ports: network, servers, store, clock.

mod clock;
mod follow;
mod journal;
mod lessons;
mod model;
mod servers;

pub use clock::{LiveClock, process_began};
pub use follow::{Follower, stop};
pub use journal::LiveJournal;
pub use model::LiveModel;
pub use servers::{Keep, Kept, LiveServers, call_end};
