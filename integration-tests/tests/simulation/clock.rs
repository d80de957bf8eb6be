//! A client's clock in the simulation: paused time with an error of its own, ids from the seed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lake_format::Clock;
use lake_testkit::SplitMix64;
use uuid::{Builder, Uuid};

use super::disk::Disk;

#[derive(Debug)]
pub struct SimClock {
    disk: Arc<Disk>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rng: SplitMix64,
    off_ms: i64,
    frozen_ms: Option<i64>,
    /// Identities of transactions given since they were last asked for.
    txn_ids: Vec<Uuid>,
}

impl SimClock {
    pub fn new(disk: &Arc<Disk>, rng: SplitMix64, off_ms: i64) -> Self {
        let state = State { rng, off_ms, frozen_ms: None, txn_ids: Vec::new() };
        Self { disk: Arc::clone(disk), state: Mutex::new(state) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the clock by so much.
    pub fn step(&self, by_ms: i64) {
        self.state().off_ms += by_ms;
    }

    /// Stops the clock, or lets it go again.
    pub fn freeze(&self, on: bool) {
        let now_ms = self.now_ms();
        self.state().frozen_ms = on.then_some(now_ms);
    }

    /// The transactions begun since this was asked last.
    pub fn take_txn_ids(&self) -> Vec<Uuid> {
        std::mem::take(&mut self.state().txn_ids)
    }
}

fn uuid(rng: &mut SplitMix64) -> Uuid {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&rng.next_u64().to_le_bytes());
    bytes[8..].copy_from_slice(&rng.next_u64().to_le_bytes());
    Builder::from_random_bytes(bytes).into_uuid()
}

#[async_trait]
impl Clock for SimClock {
    fn now_ms(&self) -> i64 {
        let state = self.state();
        state.frozen_ms.unwrap_or_else(|| self.disk.now_ms() + state.off_ms)
    }

    fn new_id(&self) -> Uuid {
        uuid(&mut self.state().rng)
    }

    fn new_txn_id(&self) -> Uuid {
        let mut state = self.state();
        let id = uuid(&mut state.rng);
        state.txn_ids.push(id);
        id
    }

    #[expect(clippy::disallowed_methods, reason = "the time of a simulation is paused")]
    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
