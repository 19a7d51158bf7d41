//! The real clock and the real random numbers.

use roomlet_homeserver::{Clock, Rng};
use std::time::{SystemTime, UNIX_EPOCH};

/// The system's wall clock.
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        // A clock before 1970 or after the year 292 million is as wrong as one that stands still.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|t| t.as_millis().try_into().ok())
            .unwrap_or(0)
    }
}

/// The system's random numbers.
pub(crate) struct SystemRng;

impl Rng for SystemRng {
    fn fill(&self, bytes: &mut [u8]) {
        // Keys must not be made from anything weaker, and no supported system lacks it: a panic, which the guard
        // turns into an error, is the honest end.
        getrandom::fill(bytes).expect("the system gives random numbers");
    }
}
