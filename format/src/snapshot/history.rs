//! What happened to the table: one entry per commit still in the log.

use futures::{StreamExt, TryStreamExt, stream};

use super::Snapshot;
use crate::action::{Action, CommitInfo};
use crate::error::{Error, Result};
use crate::log::{LogPath, list_log, read_commit};

/// One commit.
#[derive(Clone, Debug)]
pub struct HistoryEntry {
    /// The version.
    pub version: u64,
    /// When, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Where it came from, as far as its writer said.
    pub info: CommitInfo,
    /// Files that joined.
    pub files_added: u64,
    /// Files that left.
    pub files_removed: u64,
}

/// The newest `limit` commits in the log of a table, newest first. `snapshot` says where their times are from.
///
/// # Errors
/// `NotFound` when there is no table; `Corrupt` for a damaged commit.
pub async fn history(snapshot: &Snapshot, limit: usize) -> Result<Vec<HistoryEntry>> {
    let (root, keeping) = (snapshot.root(), snapshot.timekeeping());
    let mut commits = Vec::new();
    for file in list_log(root, 0).await? {
        if let LogPath::Commit { version } = file.meaning {
            commits.push((version, file.object));
        }
    }
    if commits.is_empty() {
        return Err(Error::not_found("no table here").with_object(root.display()));
    }
    // One more than asked for: times are made to rise from the one before.
    let start = commits.len().saturating_sub(limit.saturating_add(1));
    let read = |(version, object): (u64, crate::store::ObjectInfo)| async move {
        let record = read_commit(root, version).await?;
        let record = record.ok_or_else(|| Error::corrupt(format!("commit {version} was listed but is gone")))?;
        Ok::<_, Error>((record, object.modified_ms))
    };
    let records: Vec<_> = stream::iter(commits.split_off(start)).map(read).buffered(16).try_collect().await?;
    let mut previous = None;
    let mut entries = Vec::with_capacity(records.len());
    for (record, modified_ms) in records {
        let timestamp_ms = keeping.time_of(record.version, &record.actions, modified_ms, previous);
        previous = Some(timestamp_ms);
        let mut entry = HistoryEntry {
            version: record.version,
            timestamp_ms,
            info: CommitInfo::default(),
            files_added: 0,
            files_removed: 0,
        };
        for action in record.actions {
            match action {
                Action::CommitInfo(info) => entry.info = *info,
                Action::Add(_) => entry.files_added += 1,
                Action::Remove(_) => entry.files_removed += 1,
                _ => {}
            }
        }
        entries.push(entry);
    }
    entries.reverse();
    entries.truncate(limit);
    Ok(entries)
}
