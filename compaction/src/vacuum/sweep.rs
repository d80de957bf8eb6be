//! The vacuum itself: lists, plans on the newest version, deletes.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use lake_format::action::{Action, DeletionVectorDescriptor, Remove};
use lake_format::log::{LogPath, list_log, read_commit};
use lake_format::store::ObjectInfo;
use lake_format::{Error, ErrorKind, Result, Snapshot, TableRoot};
use object_store::ObjectStore;
use object_store::path::Path;
use serde::Serialize;

use super::plan::{Kept, Reachable, VacuumFile, VacuumPlan, abandoned_commits, plan};

/// Files deleted between two looks at the table's newest version. One bulk request of an S3 store has as many.
const BATCH_FILES: usize = 1000;
/// Deletions asked for one by one at the same time, after a bulk request left some over.
const CONCURRENT_DELETES: usize = 16;
/// Commits read at once.
const CONCURRENT_COMMITS: usize = 16;

/// A shorter retention needs leave, whatever the table itself says: no write or read may take longer.
const SAFE_RETENTION_MS: i64 = 7 * 24 * 3_600_000;

/// What to delete.
#[derive(Clone, Debug, Default)]
pub struct VacuumOptions {
    /// Files that left the table less than this ago stay, milliseconds; the table's
    /// `delta.deletedFileRetentionDuration` (7 days where not set) when `None`.
    pub retention_ms: Option<i64>,
    /// Only say what would be deleted.
    pub dry_run: bool,
    /// Allows a retention below 7 days, or below the table's own. Readers and writers that are at work then can lose
    /// files.
    pub allow_unsafe_retention: bool,
}

/// What a vacuum did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VacuumReport {
    /// The newest version of the table, whose files stay.
    pub version: u64,
    /// Files that nobody needs, by path below the root. Deleted, unless this was a dry run or they are in `failed`.
    pub files: Vec<VacuumFile>,
    /// Files that were deleted.
    pub files_deleted: u64,
    /// Their bytes.
    pub bytes_deleted: u64,
    /// Files that could not be deleted.
    pub failed: Vec<VacuumFailure>,
    /// Files that stay, and why.
    pub kept: Kept,
    /// The retention that was used, milliseconds.
    pub retention_ms: i64,
    /// Whether nothing was deleted on purpose.
    pub dry_run: bool,
}

/// One file that could not be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VacuumFailure {
    /// Path below the root.
    pub path: String,
    /// What the store said.
    pub reason: String,
}

/// Deletes what is below the table's root, is not part of its newest version, has not left the table within the
/// retention, and is older than the retention. The last rule is what protects the files of writers that have not
/// committed yet: no write may take longer than the retention.
///
/// Versions that need a deleted file can't be read or restored any more: time travel reaches back as far as the
/// retention. The log itself stays, but for temporary files of commits that never came to be.
///
/// # Errors
/// `Unsupported` for a retention below 7 days or below the table's own without leave, and for a table that Lake does not
/// write; `Invalid` for a negative retention; `Corrupt` or `Unsupported` when the log names a file that can't be told or
/// is not below the root; the store's own while listing. A file that can't be deleted is reported instead.
pub async fn vacuum(snapshot: &Arc<Snapshot>, options: &VacuumOptions) -> Result<VacuumReport> {
    snapshot.check_writable()?;
    let retention_ms = retention(snapshot, options)?;
    let now_ms = snapshot.clock().now_ms();
    let root = snapshot.root();
    // The listing comes first: whatever is committed later than it is seen by what follows.
    let listing: Vec<VacuumFile> = root.list("").await?.into_iter().filter_map(|info| listed(root, info)).collect();
    let mut newest = snapshot.refreshed().await?;
    newest.check_writable()?;
    let forgotten = forgotten_removes(&newest, retention_ms).await?;
    let reachable = reachable(&newest, &forgotten, retention_ms, now_ms).await?;
    let VacuumPlan { delete, kept } = plan(&listing, &reachable, retention_ms, now_ms);
    let mut report = VacuumReport {
        version: newest.version(),
        files: delete,
        kept,
        retention_ms,
        dry_run: options.dry_run,
        ..VacuumReport::default()
    };
    let abandoned = abandoned_commits(&listing, retention_ms, now_ms);
    report.kept.hidden = report.kept.hidden.saturating_sub(abandoned.len() as u64);
    report.files.extend(abandoned);
    if options.dry_run {
        return Ok(report);
    }
    let mut spared = HashSet::new();
    for (at, batch) in report.files.chunks(BATCH_FILES).enumerate() {
        if at > 0 {
            newest = newest.refreshed().await?;
        }
        let reachable = self::reachable(&newest, &forgotten, retention_ms, now_ms).await?;
        let (needed, batch): (Vec<_>, Vec<_>) = batch.iter().partition(|file| is_reachable(&reachable, file));
        spared.extend(needed.into_iter().map(|file| file.path.clone()));
        let failed = delete_all(root, &batch).await?;
        let deleted = batch.iter().filter(|file| !failed.iter().any(|failure| failure.path == file.path));
        for file in deleted {
            report.files_deleted += 1;
            report.bytes_deleted += file.size_bytes;
        }
        report.failed.extend(failed);
    }
    report.files.retain(|file| !spared.contains(&file.path));
    report.kept.live += spared.len() as u64;
    report.version = newest.version();
    Ok(report)
}

/// A commit that came meanwhile brought the file back.
fn is_reachable(reachable: &Reachable, file: &VacuumFile) -> bool {
    reachable.live.contains(&file.path) || reachable.remembered.contains(&file.path)
}

fn retention(snapshot: &Snapshot, options: &VacuumOptions) -> Result<i64> {
    let own_ms = snapshot.properties().deleted_file_retention_ms;
    let retention_ms = options.retention_ms.unwrap_or(own_ms);
    if retention_ms < 0 {
        return Err(Error::invalid("a retention is not negative").with_object(format!("{retention_ms} ms")));
    }
    let least_ms = own_ms.max(SAFE_RETENTION_MS);
    if retention_ms < least_ms && !options.allow_unsafe_retention {
        let (asked, least) = (duration(retention_ms), duration(least_ms));
        let (why, or) = if own_ms > SAFE_RETENTION_MS {
            ("that the table keeps deleted files for", ", or set delta.deletedFileRetentionDuration")
        } else {
            ("that writers and readers are given", "")
        };
        return Err(Error::unsupported(format!(
            "a retention of {asked} is below the {least} {why}, and so is refused as unsafe"
        ))
        .with_object(snapshot.root().display())
        .with_hint(format!(
            "nothing was deleted; writers in flight could lose the files that they are about to commit, and readers \
             of older versions those that they read: be sure that there are none and give --allow-unsafe-retention{or}"
        )));
    }
    Ok(retention_ms)
}

/// A span of time in the largest unit that divides it.
fn duration(ms: i64) -> String {
    let units = [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1000, "second"), (1, "millisecond")];
    let (unit_ms, name) = units.into_iter().find(|(unit_ms, _)| ms != 0 && ms % unit_ms == 0).unwrap_or((1, "second"));
    let count = ms / unit_ms;
    if count == 1 { format!("{count} {name}") } else { format!("{count} {name}s") }
}

fn listed(root: &TableRoot, info: ObjectInfo) -> Option<VacuumFile> {
    let path = root.relative(&info.path)?;
    Some(VacuumFile { path, size_bytes: info.size_bytes, modified_ms: info.modified_ms })
}

/// The files that the newest version and the versions within the retention need.
async fn reachable(newest: &Snapshot, forgotten: &[Remove], retention_ms: i64, now_ms: i64) -> Result<Reachable> {
    let since_ms = now_ms.saturating_sub(retention_ms);
    let mut reachable = Reachable {
        partition_columns: newest.partition_columns().to_vec(),
        keeps_metadata: newest
            .metadata()
            .configuration
            .get("delta.universalFormat.enabledFormats")
            .is_some_and(|formats| formats.to_lowercase().contains("iceberg")),
        ..Reachable::default()
    };
    for add in newest.files().await?.iter() {
        reachable.live.insert(own_path(newest.root(), &add.path)?);
        reachable.live.extend(vector_path(newest.root(), add.deletion_vector.as_ref())?);
    }
    let tombstones = newest.tombstones().await?;
    let removes = tombstones.iter().map(Arc::as_ref).chain(forgotten);
    for remove in removes.filter(|remove| remove.deletion_timestamp.unwrap_or(0) > since_ms) {
        reachable.remembered.insert(own_path(newest.root(), &remove.path)?);
        reachable.remembered.extend(vector_path(newest.root(), remove.deletion_vector.as_ref())?);
    }
    Ok(reachable)
}

/// The file that a deletion vector is in, below the root; those inside the log have none.
fn vector_path(root: &TableRoot, vector: Option<&DeletionVectorDescriptor>) -> Result<Option<String>> {
    let log_path = vector.map(DeletionVectorDescriptor::log_path).transpose()?.flatten();
    log_path.map(|log_path| own_path(root, &log_path)).transpose()
}

/// The file's path below the root. One that seems to lie elsewhere may be a file of ours under another spelling: nothing
/// is deleted then.
fn own_path(root: &TableRoot, log_path: &str) -> Result<String> {
    const HINT: &str = "nothing was deleted: it can't be told which file the log means";
    let relative = match root.resolve(log_path) {
        Ok(path) => root.relative(&path),
        Err(error) if error.kind() == ErrorKind::Unsupported => None,
        Err(error) => return Err(error.with_hint(HINT)),
    };
    let outside = || Error::unsupported("the log names a file outside the table's own root");
    relative.ok_or_else(|| outside().with_object(log_path).with_hint(HINT))
}

/// Removes within the retention that a checkpoint no longer has: it remembers only as long as the table's own retention
/// says. They are read from the commits themselves.
async fn forgotten_removes(newest: &Snapshot, retention_ms: i64) -> Result<Vec<Remove>> {
    if retention_ms <= newest.properties().deleted_file_retention_ms {
        return Ok(Vec::new());
    }
    let root = newest.root();
    let versions = list_log(root, 0).await?.into_iter().filter_map(|file| match file.meaning {
        LogPath::Commit { version } => Some(version),
        _ => None,
    });
    let removes = |version: u64| async move {
        let record = read_commit(root, version).await?;
        let removes = record.into_iter().flat_map(|record| record.actions).filter_map(|action| match action {
            Action::Remove(remove) => Some(*remove),
            _ => None,
        });
        Ok::<_, Error>(removes.collect::<Vec<_>>())
    };
    let versions: Vec<u64> = versions.collect();
    let found: Vec<Vec<Remove>> =
        stream::iter(versions).map(removes).buffer_unordered(CONCURRENT_COMMITS).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// Deletes files, in bulk where the store can. What a bulk request leaves over is asked for one by one, to learn which
/// file failed and why; one that is gone already is fine.
async fn delete_all(root: &TableRoot, files: &[&VacuumFile]) -> Result<Vec<VacuumFailure>> {
    let mut paths: Vec<(Path, &VacuumFile)> = Vec::with_capacity(files.len());
    for file in files {
        paths.push((root.child(&file.path)?, file));
    }
    let wanted: Vec<object_store::Result<Path>> = paths.iter().map(|(path, _)| Ok(path.clone())).collect();
    let answers = root.store().delete_stream(stream::iter(wanted).boxed()).collect::<Vec<_>>().await;
    let gone: HashSet<Path> = answers.into_iter().filter_map(|answer| answer.ok()).collect();
    let left = paths.into_iter().filter(|(path, _)| !gone.contains(path));
    let again = |(path, file): (Path, &VacuumFile)| {
        let name = file.path.clone();
        async move {
            let failure = root.delete(&path).await.err()?;
            tracing::warn!(file = %name, error = %failure, "a file could not be deleted");
            Some(VacuumFailure { path: name, reason: failure.to_string() })
        }
    };
    let failures = stream::iter(left.map(again).collect::<Vec<_>>()).buffer_unordered(CONCURRENT_DELETES);
    let mut failures: Vec<VacuumFailure> = failures.filter_map(std::future::ready).collect().await;
    failures.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_told_in_its_largest_unit() {
        let told = [
            (0, "0 seconds"),
            (86_400_000, "1 day"),
            (604_800_000, "7 days"),
            (5_400_000, "90 minutes"),
            (7, "7 milliseconds"),
        ];
        for (ms, text) in told {
            assert_eq!(duration(ms), text);
        }
    }
}
