//! Where time, ids, randomness and sleep enter the crate.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

/// Shared handle to a [`Clock`].
pub type ClockRef = Arc<dyn Clock>;

/// Source of time and chance. Simulations bring their own; everything else uses [`SystemClock`].
#[async_trait]
pub trait Clock: Debug + Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// A fresh random identifier (UUID version 4), for file names and table ids.
    fn new_id(&self) -> Uuid;

    /// A fresh time-ordered identifier (UUID version 7), for transactions.
    fn new_txn_id(&self) -> Uuid;

    /// Waits.
    async fn sleep(&self, duration: Duration);

    /// A value below `bound`, for jitter. `bound` 0 gives 0.
    fn below(&self, bound: u64) -> u64 {
        let (high, _) = self.new_id().as_u64_pair();
        if bound == 0 { 0 } else { high % bound }
    }
}

/// The machine's clock and randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// A shared handle.
    pub fn shared() -> ClockRef {
        Arc::new(Self)
    }
}

#[async_trait]
#[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock and chance enter")]
impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn new_id(&self) -> Uuid {
        Uuid::new_v4()
    }

    fn new_txn_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
