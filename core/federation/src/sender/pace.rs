//! How fast to send, and how long to wait.

use super::SenderSettings;
use crate::env::Rng;
use std::time::Duration;
use tokio::time::Instant;

/// A token bucket: one token a PDU.
#[derive(Debug)]
pub(super) struct Bucket {
    /// How long it takes for one token to come.
    interval: Duration,
    capacity: u32,
    /// When the bucket will be, or was, full.
    full_at: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(settings: &SenderSettings, now: Instant) -> Self {
        let interval = Duration::from_secs(1) / settings.pdus_per_second.max(1);
        Self {
            interval,
            capacity: settings.burst.max(1),
            full_at: now,
        }
    }

    /// How long until `tokens` are there; more than the bucket holds count as a full bucket.
    pub(super) fn wait_for(&self, tokens: usize, now: Instant) -> Duration {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX).min(self.capacity);
        let spare = self.interval * (self.capacity - tokens);
        self.full_at.saturating_duration_since(now).saturating_sub(spare)
    }

    /// Takes `tokens`; the bucket may go below zero.
    pub(super) fn take(&mut self, tokens: usize, now: Instant) {
        let tokens = u32::try_from(tokens).unwrap_or(u32::MAX);
        self.full_at = self.full_at.max(now) + self.interval.saturating_mul(tokens);
    }

    /// How long an empty bucket takes to fill.
    pub(super) fn refill_time(&self) -> Duration {
        self.interval * self.capacity
    }

    /// How many tokens it holds.
    pub(super) fn capacity(&self) -> usize {
        self.capacity as usize
    }
}

/// The least factor that a wait varies by, and how much more it may be.
const LEAST_FACTOR: f64 = 0.8;
const FACTOR_SPAN: f64 = 0.6;

/// The wait after `failures` in a row: doubled each time, limited, varied by 0.8 to 1.4 so that servers that lost the
/// same peer do not all come back at once (FED-22).
pub(super) fn backoff(settings: &SenderSettings, failures: u32, rng: &dyn Rng) -> Duration {
    let doublings = failures.saturating_sub(1).min(31);
    let wait = settings
        .backoff_first
        .saturating_mul(1 << doublings)
        .min(settings.backoff_max);
    let mut bytes = [0; 2];
    rng.fill(&mut bytes);
    wait.mul_f64(LEAST_FACTOR + FACTOR_SPAN * f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX))
}

/// The longest wait that [`backoff`] gives.
pub(super) fn longest(settings: &SenderSettings) -> Duration {
    settings.backoff_max.mul_f64(LEAST_FACTOR + FACTOR_SPAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pdus_per_second: u32, burst: u32) -> SenderSettings {
        SenderSettings {
            pdus_per_second,
            burst,
            backoff_first: Duration::from_secs(2),
            backoff_max: Duration::from_secs(100),
            outbox_per_destination: 10,
        }
    }

    struct Fixed(u8);
    impl Rng for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_gives_a_burst_and_then_a_steady_rate() {
        let now = Instant::now();
        let mut bucket = Bucket::new(&settings(10, 5), now);
        let ms = Duration::from_millis;
        assert_eq!(bucket.wait_for(5, now), ms(0));
        bucket.take(5, now);
        assert_eq!(bucket.wait_for(1, now), ms(100));
        assert_eq!(bucket.wait_for(3, now), ms(300));
        assert_eq!(bucket.wait_for(9, now), ms(500));
        assert_eq!(bucket.wait_for(3, now + ms(200)), ms(100));
        assert_eq!(bucket.wait_for(3, now + ms(900)), ms(0));
        bucket.take(2, now + ms(900));
        assert_eq!(bucket.wait_for(3, now + ms(900)), ms(0));
        assert_eq!(bucket.wait_for(4, now + ms(900)), ms(100));
    }

    #[test]
    fn waits_double_up_to_a_limit_and_vary() {
        let settings = settings(1, 1);
        let waits = |byte| -> Vec<u128> {
            [1, 2, 3, 6, 7, 4_000_000_000]
                .map(|n| backoff(&settings, n, &Fixed(byte)).as_millis())
                .to_vec()
        };
        assert_eq!(waits(0), [1_600, 3_200, 6_400, 51_200, 80_000, 80_000]);
        assert_eq!(waits(0xFF), [2_800, 5_600, 11_200, 89_600, 140_000, 140_000]);
    }
}
