//! What the routes share.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lake_format::{ClockRef, Error};
use tokio::sync::Semaphore;

use super::metrics::Metrics;
use super::tasks::Tasks;
use crate::auth::Gate;
use crate::catalog::Catalog;

/// Commits whose bodies are in memory at once.
const MOST_COMMITS: usize = 64;

/// What the routes share.
#[derive(Debug)]
pub struct App {
    pub(super) catalog: Arc<Catalog>,
    pub(super) gate: Gate,
    pub(super) clock: ClockRef,
    pub(super) metrics: Metrics,
    pub(super) tasks: Tasks,
    pub(super) commits: Arc<Semaphore>,
    pub(super) openapi: String,
    draining: AtomicBool,
}

impl App {
    /// A server of `catalog`, for callers that `gate` lets in.
    ///
    /// # Errors
    /// `Internal` when the metrics can't be set up.
    pub fn new(catalog: Arc<Catalog>, gate: Gate, clock: ClockRef) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self {
            catalog,
            gate,
            clock,
            metrics: Metrics::new()?,
            tasks: Tasks::new(),
            commits: Arc::new(Semaphore::new(MOST_COMMITS)),
            openapi: lake_catalog_api::openapi(),
            draining: AtomicBool::new(false),
        }))
    }

    /// From now on the server says that it is not ready.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Waits until no commit is under way.
    pub fn settled(&self) -> impl Future<Output = ()> + Send + 'static {
        let tasks = self.tasks.clone();
        async move { tasks.idle().await }
    }

    /// To be called every few seconds: keeps the memory of the metrics bounded.
    pub fn upkeep(&self) {
        self.metrics.upkeep();
    }
}
