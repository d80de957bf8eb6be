//! Log clean-up of a table, as its properties ask for it.

use super::Snapshot;
use crate::error::Result;
use crate::log::{CleanUpRules, CleanedUp, clean_up};
use crate::protocol::is_supported;

impl Snapshot {
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
