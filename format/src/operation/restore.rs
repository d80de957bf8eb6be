//! Restore: the rows and schema of an older version, as a new version.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::{WriteOutcome, amended, commit_written, highest_id, with_schema};
use crate::action::deletion_vector::VectorFile;
use crate::action::partition_value::encode_path;
use crate::action::{Action, Add, DeletionVectorDescriptor, Metadata, Remove};
use crate::conflict::Reads;
use crate::error::{Error, Result};
use crate::replay::FileKey;
use crate::schema::mapping;
use crate::snapshot::{Files, Snapshot};
use crate::store::{read_deletion_vector, write_deletion_vectors};
use crate::transaction::{Base, Committer, Operation, Staged};
use crate::write::Written;

/// Files looked for or copied at once.
const CONCURRENT_FILES: usize = 16;
/// Clocks of writers and vacuums may differ by this much.
const SKEW_MS: i64 = 60 * 60 * 1000;

/// Properties that tell how files that are there are to be read, and marks that only rise. They stay as they are.
const KEPT_PROPERTIES: &[&str] = &[
    "delta.columnMapping.mode",
    "delta.columnMapping.maxColumnId",
    "delta.enableInCommitTimestamps",
    "delta.inCommitTimestampEnablementVersion",
    "delta.inCommitTimestampEnablementTimestamp",
    "delta.enableRowTracking",
    "delta.rowTrackingSuspended",
    "delta.rowTracking.materializedRowIdColumnName",
    "delta.rowTracking.materializedRowCommitVersionColumnName",
    "delta.requireCheckpointProtectionBeforeVersion",
];

/// Makes the table what it was at `target`, an older snapshot of it. No row is written; the protocol stays, and so do the
/// properties that the table's features depend on.
///
/// A file that left the table longer ago than removed files are kept may be taken by a vacuum at any time, even by one
/// that has begun already. Such files come back as copies under new names (RST-1).
///
/// # Errors
/// `NotFound` when a data file of `target` is gone, `Conflict` when anyone changed the table since `snapshot`,
/// `Unsupported` naming a file that can't be copied. The table is as it was then.
pub async fn restore(snapshot: &Arc<Snapshot>, committer: &dyn Committer, target: &Snapshot) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    let started_ms = snapshot.clock().now_ms();
    let home = snapshot.root().home();
    let keys = |files: &Files| files.iter().map(|add| FileKey::of_add(&add, &home)).collect::<HashSet<_>>();
    let (files, old_files) = (snapshot.files().await?, target.files().await?);
    let (now, then) = (keys(&files), keys(&old_files));
    let back: Vec<Arc<Add>> = old_files.iter().filter(|add| !now.contains(&FileKey::of_add(add, &home))).collect();
    let gone: Vec<Arc<Add>> = files.iter().filter(|add| !then.contains(&FileKey::of_add(add, &home))).collect();
    check_present(target, &back).await?;
    check_vectors_allowed(snapshot, &back)?;
    let (safe, at_risk) = by_risk(snapshot, back).await?;
    let copies = copied(snapshot, &at_risk).await?;
    let now_ms = snapshot.clock().now_ms();
    let mut actions = Vec::new();
    let metadata = restored_metadata(snapshot, target)?;
    if metadata != *snapshot.metadata() {
        actions.push(Action::Metadata(Box::new(metadata)));
    }
    actions.extend(gone.iter().map(|add| Action::Remove(Box::new(Remove::of(add, now_ms, true)))));
    let added = (safe.len() + copies.adds.len()) as u64;
    let back = safe.iter().map(Arc::as_ref).chain(&copies.adds);
    actions.extend(back.map(|add| Action::Add(Box::new(Add { data_change: true, ..add.clone() }))));
    let mut operation = Operation::new("RESTORE")
        .with("version", target.version())
        .counting("numRestoredFiles", added)
        .counting("numRemovedFiles", gone.len() as u64);
    if !copies.adds.is_empty() {
        operation = operation.counting("numCopiedFiles", copies.adds.len() as u64);
    }
    let staged = Staged { operation, actions, reads: Reads::WholeTable };
    let base = Base::On(Arc::clone(snapshot));
    let outcome = commit_written(base, staged, committer, &copies, started_ms, None).await?;
    Ok(amended(outcome, |report| report.files_added = added))
}

/// The older description, with what must not go back. Where columns have been mapped meanwhile, they stay so: the older
/// names are then the physical ones (MAP-4).
fn restored_metadata(snapshot: &Snapshot, target: &Snapshot) -> Result<Metadata> {
    let now = snapshot.metadata();
    let mut metadata = target.metadata().clone();
    for &key in KEPT_PROPERTIES {
        match now.configuration.get(key) {
            Some(value) => metadata.configuration.insert(key.to_owned(), value.clone()),
            None => metadata.configuration.remove(key),
        };
    }
    if snapshot.mapping().is_on() && !target.mapping().is_on() {
        let (schema, _) = mapping::enable(target.schema(), highest_id(&now.configuration))?;
        metadata = with_schema(&metadata, &schema);
    }
    Ok(metadata)
}

async fn check_present(target: &Snapshot, files: &[Arc<Add>]) -> Result<()> {
    let check = |add: Arc<Add>| async move {
        let vector = add.deletion_vector.as_ref().map(|vector| vector.log_path()).transpose()?.flatten();
        let wanted = [(Some(add.path.as_str()), "a data file"), (vector.as_deref(), "a file of deletion vectors")];
        for (log_path, what) in wanted {
            let Some(log_path) = log_path else { continue };
            let path = target.root().resolve(log_path)?;
            if target.root().head(&path).await?.is_none() {
                let message = format!("version {} can't be restored: {what} is gone", target.version());
                return Err(Error::not_found(message)
                    .with_object(target.root().name_of(&path))
                    .with_hint("nothing was changed; vacuum removes files that only old versions need"));
            }
        }
        Ok(())
    };
    stream::iter(files.to_vec()).map(check).buffer_unordered(CONCURRENT_FILES).try_collect().await
}

/// Files that no vacuum takes, since the table remembers them as removed lately, and the others.
async fn by_risk(snapshot: &Snapshot, back: Vec<Arc<Add>>) -> Result<(Vec<Arc<Add>>, Vec<Arc<Add>>)> {
    if back.is_empty() {
        return Ok((back, Vec::new()));
    }
    let retention_ms = snapshot.properties().deleted_file_retention_ms;
    let since_ms = snapshot.clock().now_ms().saturating_sub(retention_ms).saturating_add(SKEW_MS.min(retention_ms / 2));
    let home = snapshot.root().home();
    let tombstones = snapshot.tombstones().await?;
    let removed: HashMap<String, i64> = tombstones
        .iter()
        .map(|remove| (FileKey::of_remove(remove, &home).path().to_owned(), remove.deletion_timestamp.unwrap_or(0)))
        .collect();
    let lately = |add: &Arc<Add>| removed.get(FileKey::of_add(add, &home).path()).is_some_and(|&at| at > since_ms);
    Ok(back.into_iter().partition(lately))
}

/// Copies of files under new names, which are young and so spared by every vacuum. After an error there are none.
async fn copied(snapshot: &Snapshot, files: &[Arc<Add>]) -> Result<Written> {
    let copy = |add: Arc<Add>| async move { (copy_of(snapshot, &add).await, add) };
    let copies: Vec<(Result<Add>, Arc<Add>)> =
        stream::iter(files.to_vec()).map(copy).buffered(CONCURRENT_FILES).collect().await;
    let (mut written, mut failed) = (Written::default(), None);
    for (copy, add) in copies {
        match copy {
            Ok(copy) => {
                written.bytes += u64::try_from(copy.size).unwrap_or(0);
                written.adds.push(copy);
            }
            Err(error) => failed = failed.or(Some(error.with_object(add.path.clone()))),
        }
    }
    match failed {
        None => Ok(written),
        Some(error) => {
            super::discard(snapshot.root(), &written).await;
            Err(error)
        }
    }
}

async fn copy_of(snapshot: &Snapshot, add: &Add) -> Result<Add> {
    let root = snapshot.root();
    let from = root.resolve(&add.path)?;
    let relative = root.relative(&from).ok_or_else(|| Error::internal("a data file is not below its root"))?;
    let folder = relative.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let name = format!("{folder}part-00000-{}.c000.parquet", snapshot.clock().new_id());
    let to = root.child(&name)?;
    let size_bytes = u64::try_from(add.size)
        .map_err(|_| Error::corrupt(format!("a data file of {} bytes", add.size)).with_object(add.path.clone()))?;
    root.copy(&from, &to, size_bytes).await?;
    let deletion_vector = match vector_of(snapshot, add).await {
        Ok(vector) => vector,
        Err(error) => {
            // What can't be deleted is left to vacuum.
            let _ = root.delete(&to).await;
            return Err(error);
        }
    };
    let now_ms = snapshot.clock().now_ms();
    Ok(Add { path: encode_path(&name), modification_time: now_ms, deletion_vector, ..add.clone() })
}

/// The deletion vector of a file, in a file of its own that is new (DV-5).
async fn vector_of(snapshot: &Snapshot, add: &Add) -> Result<Option<DeletionVectorDescriptor>> {
    let stored = add.deletion_vector.as_ref().filter(|vector| vector.storage_type != "i");
    let Some(stored) = stored else { return Ok(add.deletion_vector.clone()) };
    let vector = read_deletion_vector(snapshot.root(), stored).await?;
    let mut file = VectorFile::new("", snapshot.clock().new_id());
    let descriptor = file.push(&vector)?;
    write_deletion_vectors(snapshot.root(), file).await?;
    Ok(Some(descriptor))
}

/// Files with deletion vectors may come back only while the protocol still tells readers to expect them.
fn check_vectors_allowed(snapshot: &Snapshot, files: &[Arc<Add>]) -> Result<()> {
    let lists = |features: &Option<Vec<String>>| features.iter().flatten().any(|name| name == "deletionVectors");
    let Some(add) = files.iter().find(|add| add.deletion_vector.is_some()) else { return Ok(()) };
    if lists(&snapshot.protocol().writer_features) {
        return Ok(());
    }
    Err(Error::unsupported("a file with deleted rows can't come back: the table no longer lists \"deletionVectors\"")
        .with_object(add.path.clone())
        .with_hint("nothing was changed; enable the table feature deletionVectors first"))
}
