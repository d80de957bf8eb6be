//! Log clean-up of a table, as its properties ask for it.

use super::Snapshot;
use crate::error::Result;
use crate::log::{CleanUpRules, CleanedUp, clean_up};
use crate::protocol::is_supported;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A clean-up that found nothing to delete, by what it went by. It counts in whole days, so that until the next one, or
/// another retention, there is nothing to find, and the log need not be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cleaned {
    day: i64,
    retention_ms: i64,
}

impl Snapshot {
    /// Deletes the files of the log that nobody needs any more, behind a commit or a checkpoint, which stay what they are
    /// whatever comes of it.
    pub(crate) async fn clean_log_told(&mut self) {
        let (table, version) = (self.root().display(), self.version());
        match self.clean_log_daily().await {
            Ok(done) if done.deleted > 0 => tracing::info!(table, deleted = done.deleted, "old log files are gone"),
            Ok(_) => {}
            Err(error) => tracing::warn!(table, version, %error, "no log clean-up after this commit"),
        }
    }

    /// As [`Snapshot::clean_log`], unless one of this day found nothing to delete: that is remembered by this version and
    /// those that are made of it.
    ///
    /// # Errors
    /// As [`Snapshot::clean_log`].
    async fn clean_log_daily(&mut self) -> Result<CleanedUp> {
        let day = self.clock().now_ms().div_euclid(DAY_MS);
        let now = Cleaned { day, retention_ms: self.properties().log_retention_ms };
        if self.cleaned == Some(now) {
            return Ok(CleanedUp::default());
        }
        let done = self.clean_log().await?;
        self.cleaned = (done.deleted == 0).then_some(now);
        Ok(done)
    }

    /// Deletes the files of the log that no version within `delta.logRetentionDuration` needs (LOG-12 to LOG-14). Does
    /// nothing where `delta.enableExpiredLogCleanup` is off, and where a catalog owns the log.
    ///
    /// # Errors
    /// `Unsupported` where Lake may not write, `Corrupt` for a checkpoint that can't stand for what would be deleted, the
    /// store's own. Every version within the retention is as it was.
    pub async fn clean_log(&self) -> Result<CleanedUp> {
        self.check_writable()?;
        let properties = self.properties();
        if !properties.expired_log_cleanup || is_supported(self.protocol(), "catalogManaged") {
            return Ok(CleanedUp::default());
        }
        let protects = is_supported(self.protocol(), "checkpointProtection");
        let rules = CleanUpRules {
            retention_ms: properties.log_retention_ms,
            timekeeping: self.timekeeping(),
            protected_below: if protects { properties.checkpoint_protection_before } else { 0 },
            now_ms: self.clock().now_ms(),
        };
        clean_up(self.root(), rules).await
    }
}
