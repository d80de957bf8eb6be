//! What happened to the table: one entry per commit still in the log.

use futures::{StreamExt, TryStreamExt, stream};

use super::Snapshot;
use crate::action::{Action, CommitInfo};
use crate::error::{Error, Result};
use crate::log::{FileLines, LogPath, list_log, stream_parts};
use crate::replay::FileTally;
use crate::store::ObjectInfo;

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

/// How many of such commits are read at once: of large ones few, since each takes memory.
fn concurrency(commits: &[(u64, ObjectInfo)]) -> usize {
    const LARGE_BYTES: u64 = 4 << 20;
    if commits.iter().any(|(_, object)| object.size_bytes > LARGE_BYTES) { 2 } else { 16 }
}

/// The newest `limit` commits in the log of a table, newest first. `snapshot` says where their times are from.
///
/// # Errors
/// `NotFound` when there is no table; `Corrupt` for a damaged commit.
pub async fn history(snapshot: &Snapshot, limit: usize) -> Result<Vec<HistoryEntry>> {
    let (root, keeping) = (snapshot.root(), snapshot.timekeeping());
    let mut commits = Vec::new();
    // One more than asked for: times are made to rise from the one before.
    let oldest = snapshot.version().saturating_sub(u64::try_from(limit).unwrap_or(u64::MAX));
    for file in list_log(root, oldest).await? {
        if let LogPath::Commit { version } = file.meaning {
            commits.push((version, file.object));
        }
    }
    if commits.is_empty() {
        return Err(Error::not_found("no table here").with_object(root.display()));
    }
    let start = commits.len().saturating_sub(limit.saturating_add(1));
    let read = |(version, object): (u64, ObjectInfo)| async move {
        let (mut actions, mut tally) = (Vec::new(), FileTally::default());
        let mut parts = stream_parts(root, &object.path, version, FileLines::Bare);
        while let Some(part) = parts.try_next().await? {
            tally = tally.and(part.changes.tally());
            actions.extend(part.actions);
        }
        Ok::<_, Error>((version, actions, tally, object.modified_ms))
    };
    let at_once = concurrency(&commits[start..]);
    let records: Vec<_> = stream::iter(commits.split_off(start)).map(read).buffered(at_once).try_collect().await?;
    let mut previous = None;
    let mut entries = Vec::with_capacity(records.len());
    for (version, actions, tally, modified_ms) in records {
        let timestamp_ms = keeping.time_of(version, &actions, modified_ms, previous);
        previous = Some(timestamp_ms);
        let info = actions.into_iter().find_map(|action| match action {
            Action::CommitInfo(info) => Some(*info),
            _ => None,
        });
        let (info, files_added, files_removed) = (info.unwrap_or_default(), tally.added, tally.removed);
        entries.push(HistoryEntry { version, timestamp_ms, info, files_added, files_removed });
    }
    entries.reverse();
    entries.truncate(limit);
    Ok(entries)
}
