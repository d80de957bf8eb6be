//! What every actor holds: its line to the store, its clock, and the record of what it saw.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lake_format::{At, ClockRef, Error, Snapshot, TableRoot};
use lake_testkit::SplitMix64;
use object_store::path::Path;
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

use super::clock::SimClock;
use super::committer::{Watched, Wrong};
use super::config::{Config, DAY_MS};
use super::disk::Disk;
use super::faults::{Activations, Fault};
use super::history::{History, Look, digest_of};
use super::store::{SimStore, Weather};
use super::writer::is_expected;

#[derive(Clone)]
pub struct Client {
    pub config: Arc<Config>,
    pub disk: Arc<Disk>,
    pub store: SimStore,
    pub root: TableRoot,
    pub clock: Arc<SimClock>,
    pub start: Instant,
    pub wrong: Option<Wrong>,
    history: Arc<Mutex<History>>,
    activations: Arc<Activations>,
}

/// What all clients of a history share.
pub struct Commons {
    pub config: Arc<Config>,
    pub disk: Arc<Disk>,
    pub history: Arc<Mutex<History>>,
    pub activations: Arc<Activations>,
    pub wrong: Option<Wrong>,
    pub start: Instant,
}

impl Commons {
    pub fn client(&self, rng: &SplitMix64, weather: Weather, off_ms: i64) -> Client {
        let store = SimStore::new(Arc::clone(&self.disk), Arc::clone(&self.activations), rng.fork(1), weather);
        Client {
            config: Arc::clone(&self.config),
            disk: Arc::clone(&self.disk),
            root: root(store.clone()),
            store,
            clock: Arc::new(SimClock::new(&self.disk, rng.fork(2), off_ms)),
            start: self.start,
            wrong: self.wrong,
            history: Arc::clone(&self.history),
            activations: Arc::clone(&self.activations),
        }
    }
}

pub fn root(store: SimStore) -> TableRoot {
    TableRoot::with_store(Arc::new(store), Path::from("sim"), Url::parse("memory:///sim/").expect("url"))
}

impl Client {
    pub fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn committer(&self) -> Watched {
        Watched { history: Arc::clone(&self.history), wrong: self.wrong }
    }

    pub fn count(&self, fault: Fault) {
        self.activations.count(fault);
    }

    pub async fn load(&self, at: At) -> Result<Snapshot, Error> {
        let clock: ClockRef = Arc::clone(&self.clock) as ClockRef;
        Snapshot::load(self.root.clone(), at, clock).await
    }

    /// Some errors no client should see, whatever the store does.
    pub fn check(&self, error: &Error) {
        if !is_expected(error) {
            self.history().defects.push(format!("{error:?}"));
        }
    }

    pub async fn sleep_until_ms(&self, ms: u64) {
        sleep_until(self.start + Duration::from_millis(ms)).await;
    }

    #[expect(clippy::disallowed_methods, reason = "the time of a simulation is paused")]
    pub async fn sleep_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    pub async fn within<T>(&self, patience: Duration, doing: impl Future<Output = T>) -> Option<T> {
        timeout(patience, doing).await.ok()
    }

    /// Waits until nothing fails any more. By the time, since a channel would wake its receivers in an order of its own.
    pub async fn healed(&self) {
        self.sleep_until_ms(self.config.days * DAY_MS + 1).await;
    }

    /// Records what a snapshot shows.
    pub async fn look(&self, snapshot: &Snapshot, told_before: u64, latest: bool) {
        match digest_of(snapshot).await {
            Ok(digest) => {
                let version = snapshot.version();
                self.history().looks.push(Look { version, digest, told_before, latest });
            }
            Err(error) => self.check(&error),
        }
    }
}
