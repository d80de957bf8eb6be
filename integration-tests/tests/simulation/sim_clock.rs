//! A clock of the simulation: paused time, ids from the seed, its own skew.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use lake_format::Clock;
use lake_testkit::SplitMix64;
use tokio::time::Instant;
use uuid::{Builder, Uuid};

#[derive(Debug)]
pub struct SimClock {
    rng: Mutex<SplitMix64>,
    start: Instant,
    skew_ms: i64,
}

impl SimClock {
    /// A clock that is up to two days off.
    pub fn new(mut rng: SplitMix64) -> Self {
        let two_days_ms = 2 * 24 * 60 * 60 * 1000;
        let skew_ms = rng.below(2 * two_days_ms) as i64 - two_days_ms as i64;
        Self { rng: Mutex::new(rng), start: Instant::now(), skew_ms }
    }

    fn bytes(&self) -> [u8; 16] {
        let mut rng = self.rng.lock().expect("clock");
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&rng.next_u64().to_le_bytes());
        bytes[8..].copy_from_slice(&rng.next_u64().to_le_bytes());
        bytes
    }
}

#[async_trait]
impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        1_700_000_000_000 + self.skew_ms + self.start.elapsed().as_millis() as i64
    }

    fn new_id(&self) -> Uuid {
        Builder::from_random_bytes(self.bytes()).into_uuid()
    }

    fn new_txn_id(&self) -> Uuid {
        self.new_id()
    }

    #[expect(clippy::disallowed_methods, reason = "the time of a simulation is paused")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
