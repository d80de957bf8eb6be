//! What the simulated store really holds, and the journal of every change to it.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, Result};
use tokio::time::Instant;

/// Where the store's clock starts: ten minutes after a midnight, UTC.
pub const START_MS: i64 = 1_700_006_400_000 + 600_000;

/// One object.
#[derive(Clone, Debug)]
pub struct Object {
    pub bytes: Bytes,
    pub modified_ms: i64,
    /// What a cache may still serve: the bytes before these, if any.
    pub before: Option<Bytes>,
}

/// A change that took effect.
#[derive(Clone, Debug)]
pub enum Change {
    Put { path: String, bytes: Bytes },
    Delete { path: String },
}

/// The store behind all lines and faults. Shared by every client of a history.
#[derive(Debug)]
pub struct Disk {
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub struct State {
    pub objects: BTreeMap<String, Object>,
    /// Deleted objects, for reads that come from a cache.
    pub gone: BTreeMap<String, Bytes>,
    /// Every change and when it took effect.
    pub journal: Vec<(i64, Change)>,
    /// Effects on their way.
    pub pending: usize,
    trace: DefaultHasher,
}

impl Disk {
    pub fn new() -> Self {
        Self { start: Instant::now(), state: Mutex::default() }
    }

    /// The store's own time.
    pub fn now_ms(&self) -> i64 {
        START_MS + self.start.elapsed().as_millis() as i64
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One number for the whole run: the order, time and content of all effects.
    pub fn trace(&self) -> u64 {
        self.state().trace.finish()
    }

    /// Writes an object, unless it is to be new and is not.
    pub fn put(&self, path: &Path, bytes: &Bytes, create: bool) -> Result<()> {
        let modified_ms = self.now_ms();
        let mut state = self.state();
        let name = path.to_string();
        let before = state.objects.get(&name).map(|object| object.bytes.clone());
        (modified_ms, &name, &bytes[..], create && before.is_some()).hash(&mut state.trace);
        if create && before.is_some() {
            return Err(Error::AlreadyExists { path: name, source: "412".into() });
        }
        state.journal.push((modified_ms, Change::Put { path: name.clone(), bytes: bytes.clone() }));
        state.objects.insert(name, Object { bytes: bytes.clone(), modified_ms, before });
        Ok(())
    }

    /// Removes an object; one that is not there is fine, as on S3.
    pub fn delete(&self, path: &Path) -> Result<()> {
        let now_ms = self.now_ms();
        let mut state = self.state();
        let name = path.to_string();
        (now_ms, &name).hash(&mut state.trace);
        if let Some(object) = state.objects.remove(&name) {
            state.gone.insert(name.clone(), object.bytes);
            state.journal.push((now_ms, Change::Delete { path: name }));
        }
        Ok(())
    }

    pub fn get(&self, path: &Path) -> Result<Object> {
        let found = self.state().objects.get(path.as_ref()).cloned();
        found.ok_or_else(|| not_found(path))
    }
}

pub fn not_found(path: &Path) -> Error {
    Error::NotFound { path: path.to_string(), source: "404".into() }
}
