//! Log clean-up: which files of the log no version within the retention needs, and their removal.

use futures::{StreamExt, TryStreamExt, stream};

use super::checkpoint::read_head;
use super::list::{LogFile, checkpoints};
use super::path::{LogPath, SIDECARS};
use super::times::Timekeeping;
use crate::error::{Error, Result};
use crate::planted::{Defect, planted};
use crate::store::{ObjectInfo, TableRoot};

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const HINT: &str = "_delta_log/_last_checkpoint";
/// Files deleted by one run, so that the commit before it is not kept waiting. The next run goes on.
const MOST_DELETED: usize = 2_000;
/// Files deleted at once. Between these groups the order is kept.
const DELETED_AT_ONCE: usize = 16;

/// What log clean-up goes by.
#[derive(Clone, Copy, Debug)]
pub struct CleanUpRules {
    /// How long a version can be travelled to, milliseconds.
    pub retention_ms: i64,
    /// Where the versions have their times from.
    pub timekeeping: Timekeeping,
    /// Log files below this version go all together or not at all; 0 where nothing is protected.
    pub protected_below: u64,
    /// The caller's time, milliseconds since the epoch. The store's counts where it is earlier.
    pub now_ms: i64,
}

/// What log clean-up did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanedUp {
    /// Version of the checkpoint that stands for all before it, when there was one that is old enough.
    pub checkpoint: Option<u64>,
    /// Files of the log that were deleted.
    pub deleted: u64,
}

/// Deletes the commits, checkpoints and other files of the log that only versions beyond the retention need (LOG-12 to
/// LOG-14). Versions from the newest complete checkpoint beyond it on stay as they are.
///
/// # Errors
/// The store's own; `Corrupt` for a checkpoint that can't stand for what would be deleted, and then nothing is.
pub async fn clean_up(root: &TableRoot, rules: CleanUpRules) -> Result<CleanedUp> {
    // Written right before, by the store's clock: a local clock that is ahead must not make files old.
    let Some(hint) = root.head(&root.child(HINT)?).await? else { return Ok(CleanedUp::default()) };
    let midnight_ms = midnight(rules.now_ms.min(hint.modified_ms));
    let cutoff_ms = midnight(midnight_ms.saturating_sub(rules.retention_ms));
    let log = Log::list(root, cutoff_ms).await?;
    let old = rules.timekeeping.newest_at(root, &log.contiguous(), cutoff_ms).await?;
    let old = if planted(Defect::NoRetention) { old.map(|_| u64::MAX) } else { old };
    let Some((checkpoint, files)) = old.and_then(|old| log.newest_checkpoint(old)) else {
        return Ok(CleanedUp::default());
    };
    let mut done = CleanedUp { checkpoint: Some(checkpoint), deleted: 0 };
    if checkpoint < rules.protected_below {
        return Ok(done);
    }
    let mut superseded = log.superseded_by(checkpoint);
    if !superseded.is_empty() {
        inspect(root, &files).await?;
    }
    let may_pause = rules.protected_below == 0;
    let pauses = may_pause && superseded.len() > MOST_DELETED;
    if pauses {
        superseded.truncate(MOST_DELETED);
    }
    done.deleted = delete_in_order(root, &superseded).await?;
    if !pauses {
        done.deleted += clean_sidecars(root, checkpoint, midnight_ms.saturating_sub(DAY_MS)).await?;
    }
    Ok(done)
}

/// The last midnight, UTC, not after `ms`.
fn midnight(ms: i64) -> i64 {
    ms.saturating_sub(ms.rem_euclid(DAY_MS))
}

async fn delete_in_order(root: &TableRoot, objects: &[ObjectInfo]) -> Result<u64> {
    for group in objects.chunks(DELETED_AT_ONCE) {
        let delete = |object: ObjectInfo| async move { root.delete(&object.path).await };
        stream::iter(group.to_vec()).map(delete).buffered(DELETED_AT_ONCE).try_collect::<()>().await?;
    }
    Ok(objects.len() as u64)
}

/// Proves that a checkpoint can stand for the log below it, and gives the places of its sidecars: its own parts are read
/// as far as they tell what the table is, and its sidecars must be there.
async fn inspect(root: &TableRoot, files: &[ObjectInfo]) -> Result<Vec<ObjectInfo>> {
    let head = read_head(root, files).await?;
    let sources = head.sources.iter().map(|source| source.object().clone());
    let sidecars: Vec<ObjectInfo> =
        sources.filter(|source| files.iter().all(|file| file.path != source.path)).collect();
    for sidecar in &sidecars {
        if root.head(&sidecar.path).await?.is_none() {
            return Err(Error::corrupt("a checkpoint names a sidecar that is gone; the log below it stays")
                .with_object(root.name_of(&sidecar.path)));
        }
    }
    Ok(sidecars)
}

/// Deletes sidecars that no checkpoint left names and that are from before `young_ms`: younger ones may belong to a
/// checkpoint that is being written.
async fn clean_sidecars(root: &TableRoot, from: u64, young_ms: i64) -> Result<u64> {
    let mut left = root.list(SIDECARS).await?;
    left.retain(|sidecar| sidecar.modified_ms < young_ms);
    if left.is_empty() {
        return Ok(0);
    }
    let log = Log::list(root, i64::MAX).await?;
    let mut named = Vec::new();
    for (version, files) in checkpoints(&log.files, u64::MAX) {
        if version >= from {
            named.extend(inspect(root, &files).await?);
        }
    }
    left.retain(|sidecar| !named.iter().any(|name: &ObjectInfo| name.path == sidecar.path));
    delete_in_order(root, &left).await
}

/// A listing of the log.
#[derive(Debug, Default)]
struct Log {
    files: Vec<LogFile>,
}

impl Log {
    /// Lists the log, where the store lists in order only as far as commits are from before `cutoff_ms`.
    async fn list(root: &TableRoot, cutoff_ms: i64) -> Result<Self> {
        let directory = root.child("_delta_log")?;
        let named = |e: object_store::Error| Error::from(e).with_object(root.name_of(&directory));
        let in_order = root.local_file(&directory).is_none();
        let mut listed = root.store().list(Some(&directory));
        let mut log = Self::default();
        while let Some(meta) = listed.try_next().await.map_err(named)? {
            let object = ObjectInfo::from(meta);
            let name = object.path.as_ref().strip_prefix(directory.as_ref()).map(|name| name.trim_start_matches('/'));
            let Some(name) = name.map(str::to_owned) else { continue };
            let young = object.modified_ms > cutoff_ms && matches!(LogPath::parse(&name), Some(LogPath::Commit { .. }));
            log.take(&name, object);
            if young && in_order {
                break;
            }
        }
        Ok(log)
    }

    fn take(&mut self, name: &str, object: ObjectInfo) {
        self.files.extend(LogPath::parse(name).map(|meaning| LogFile { meaning, object }));
    }

    /// The files of some meaning, oldest version first.
    fn in_order(&self, wanted: impl Fn(&LogPath) -> bool) -> Vec<(u64, ObjectInfo)> {
        let found = self.files.iter().filter(|file| wanted(&file.meaning));
        let mut found: Vec<(u64, ObjectInfo)> =
            found.map(|file| (file.meaning.version(), file.object.clone())).collect();
        found.sort_by_key(|(version, _)| *version);
        found
    }

    /// The newest commits that follow each other without a gap.
    fn contiguous(&self) -> Vec<(u64, ObjectInfo)> {
        let mut run: Vec<(u64, ObjectInfo)> = Vec::new();
        for (version, object) in self.in_order(|meaning| matches!(meaning, LogPath::Commit { .. })) {
            if run.last().is_some_and(|(last, _)| last + 1 != version) {
                run.clear();
            }
            run.push((version, object));
        }
        run
    }

    /// The newest complete checkpoint at or below `version`: the one that a reader takes.
    fn newest_checkpoint(&self, version: u64) -> Option<(u64, Vec<ObjectInfo>)> {
        checkpoints(&self.files, version).into_iter().next()
    }

    /// What the checkpoint at `version` stands for: commits first, oldest first, and checkpoints last, so that no version
    /// is left that looks whole and is not.
    fn superseded_by(&self, version: u64) -> Vec<ObjectInfo> {
        let commits_end = version + u64::from(planted(Defect::OneCommitTooMany));
        let checkpoints_end = version + u64::from(planted(Defect::NoCheckpointLeft));
        let commits = self.in_order(|m| matches!(*m, LogPath::Commit { version: at } if at < commits_end));
        let compacted = self.in_order(|m| matches!(*m, LogPath::Compacted { from, .. } if from <= version));
        let checksums = self.in_order(|m| matches!(*m, LogPath::Checksum { version: at } if at < version));
        let checkpoints = self.in_order(|m| m.is_checkpoint() && m.version() < checkpoints_end);
        [commits, compacted, checksums, checkpoints].into_iter().flatten().map(|(_, object)| object).collect()
    }
}

#[cfg(test)]
mod tests;
