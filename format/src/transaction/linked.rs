//! Whether the log still goes on where a commit stands: log clean-up frees names that a late writer could take again.

use crate::error::{Error, Result};
use crate::log::{LogPath, is_linked, list_log};
use crate::planted::{Defect, planted};
use crate::snapshot::Snapshot;

/// How far the clocks of this writer, of others and of the store may be apart.
const CLOCKS_DIFFER_MS: i64 = 2 * 24 * 60 * 60 * 1000;

/// Whether log clean-up may have reached `head`, or may before a commit behind it lands. A head that is younger than half
/// of the retention is safe without a look at the store.
fn is_old(head: &Snapshot) -> bool {
    let age_ms = head.clock().now_ms().saturating_sub(head.timestamp_ms());
    let safe_ms = head.properties().log_retention_ms / 2;
    (age_ms.saturating_add(CLOCKS_DIFFER_MS) > safe_ms || age_ms < -CLOCKS_DIFFER_MS) && !planted(Defect::BlindStart)
}

/// Refuses to commit behind a version that is no longer in the log (COM-14).
///
/// # Errors
/// `Conflict`; the store's own.
pub(super) async fn check_before(head: &Snapshot) -> Result<()> {
    if !is_old(head) {
        return Ok(());
    }
    let version = head.version();
    let files = list_log(head.root(), version).await?;
    let is_there = files.iter().any(|file| {
        let holds = !matches!(file.meaning, LogPath::Checksum { .. } | LogPath::Compacted { .. });
        holds && file.meaning.version() == version
    });
    if is_there || files.is_empty() {
        return Ok(());
    }
    Err(Error::conflict(format!("log clean-up has removed version {version}, which this operation stands on"))
        .with_object(head.root().display())
        .with_hint("nothing was written; open the table again, then decide whether to repeat the operation"))
}

/// Whether the commit behind `head`, which is there now, is one that readers will see (COM-14).
///
/// # Errors
/// Any: then nobody can tell from here.
pub(super) async fn check_after(head: &Snapshot) -> Result<()> {
    if !is_old(head) {
        return Ok(());
    }
    let files = list_log(head.root(), head.version()).await?;
    if is_linked(&files, head.version() + 1) {
        return Ok(());
    }
    Err(Error::unavailable("log clean-up overtook this commit; whether its version is the table's can't be told")
        .with_object(head.root().display())
        .with_hint("open the table again and look for its rows before repeating the operation"))
}
