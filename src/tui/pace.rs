//! When the next frame may be drawn.
//!
//! Sixty a second where events do not end; but a frame waits for none before it where the seconds before were calm, so
//! that a word that comes a few milliseconds behind another is on the screen at once.
//!
//! # Invariants
//! - Over any time at most sixty frames a second, and [`AHEAD`] more.
//! - Every frame counts, those that a key asked for too.

use std::time::Duration;

use tokio::time::Instant;

/// What a frame takes of a second.
const FRAME: Duration = Duration::from_micros(16_667);
/// Frames that calm saves up.
const AHEAD: u32 = 3;

/// A generic cell rate algorithm: the moment at which all frames until now will have had their share of time.
#[derive(Debug, Default)]
pub(super) struct Pace {
    settled: Option<Instant>,
}

impl Pace {
    /// The earliest moment for the next frame; it may lie in the past.
    pub(super) fn next(&self) -> Instant {
        let now = Instant::now();
        self.settled.map_or(now, |settled| settled.checked_sub(FRAME * AHEAD).unwrap_or(now))
    }

    pub(super) fn drawn(&mut self, now: Instant) {
        self.settled = Some(self.settled.map_or(now, |settled| settled.max(now)) + FRAME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames for events that come every `gap` for a second, and the longest that one of them waited.
    fn second(gap: Duration) -> (usize, Duration) {
        let began = Instant::now();
        let (mut pace, mut drawn_at, mut frames, mut longest) = (Pace::default(), began, 0, Duration::ZERO);
        let mut at = began;
        while at < began + Duration::from_secs(1) {
            // What comes before the next frame is drawn with it.
            if at >= drawn_at || frames == 0 {
                drawn_at = if frames == 0 { at } else { pace.next().max(at) };
                pace.drawn(drawn_at);
                longest = longest.max(drawn_at - at);
                frames += 1;
            }
            at += gap;
        }
        (frames, longest)
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_at_reading_speed_never_waits() {
        assert_eq!(second(Duration::from_millis(20)), (50, Duration::ZERO));
        assert_eq!(second(Duration::from_millis(17)), (59, Duration::ZERO));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_drawn_sixty_times_a_second() {
        let (frames, longest) = second(Duration::from_micros(20));
        assert!((60..=64).contains(&frames), "{frames}");
        assert!(longest <= FRAME, "{longest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn calm_saves_up_a_few_frames_and_no_more() {
        let mut pace = Pace::default();
        pace.drawn(Instant::now());
        tokio::time::advance(Duration::from_secs(60)).await;
        let mut at_once = 0;
        while pace.next() <= Instant::now() {
            pace.drawn(Instant::now());
            at_once += 1;
        }
        assert_eq!(at_once, 4);
    }
}
