//! Optimize: plan, rewrite, and one commit that puts new files in the place of old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use lake_format::action::{Action, Add, Remove};
use lake_format::transaction::{
    Base, Committer, Operation, Outcome, Reads, Staged, Unresolved, check_deadline, check_rearrangement, transact,
};
use lake_format::{Result, Snapshot};
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::plan::{FileGroup, bin_pack, group_by_partition};
use crate::policy::{FileSizes, OptimizePolicy};
use crate::rewrite::{KeyColumns, Rewriter, Rewritten, discard};

/// Label of files in the order of a curve: which run wrote them. Files of one run and partition are in order together.
const ORDER_ID: &str = "lake.zorder.id";
/// Label of files in the order of a curve: its columns, a JSON list.
const ORDER_BY: &str = "lake.zorder.by";

/// What to optimize for.
#[derive(Clone, Debug, Default)]
pub struct OptimizeOptions {
    /// Columns that rows are ordered by along a Z-order curve. Empty: small files are merged and rows keep their order.
    pub zorder_by: Vec<String>,
    /// Sizes and limits.
    pub policy: OptimizePolicy,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Where rows that do not fit into memory go; the system's directory for temporary files when `None`.
    pub spill_dir: Option<PathBuf>,
}

/// What an optimize did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct OptimizeReport {
    /// The version that it became; `None` when there was nothing to do, and for a dry run.
    pub version: Option<u64>,
    /// Identity of the commit.
    pub txn_id: Option<Uuid>,
    /// Data files that joined the table. For a dry run, about how many would.
    pub files_added: u64,
    /// Data files that left the table. For a dry run, how many would.
    pub files_removed: u64,
    /// Bytes of the files that joined; 0 for a dry run.
    pub bytes_added: u64,
    /// Bytes of the files that left. For a dry run, how many would.
    pub bytes_removed: u64,
    /// Partitions with a rewritten file.
    pub partitions: u64,
    /// Rows in the rewritten files; 0 for a dry run.
    pub rows: u64,
    /// Groups of files rewritten together.
    pub bins: u64,
    /// Whether nothing was done on purpose.
    pub dry_run: bool,
}

/// How an optimize ended. A certain failure is an error instead.
#[derive(Debug)]
pub enum OptimizeOutcome {
    /// It is done; the table as it is now.
    Done(OptimizeReport, Arc<Snapshot>),
    /// The commit may be there; the new files are kept. `lake_format::operation::settle` tells later.
    Unknown(Unresolved),
}

/// Rewrites data files of the table: small ones into large ones, or all of a partition in the order of a curve. The
/// rows stay what they are. Other writers may append meanwhile.
///
/// A partition that was ordered by the same columns before and got no files since is left alone, as is a partition
/// whose small files do not add up to fewer. With nothing to do no version is made.
///
/// After an error nothing has changed and the new files are gone again, as far as the store answers. A run that is
/// cut off leaves files that a vacuum finds.
///
/// # Errors
/// `Invalid` for columns, sizes or conditions that make no sense for the table, `Unsupported` for a column type without
/// order and for a table that Lake does not write, `Conflict` when another writer removed one of the files or changed
/// the table's schema meanwhile, `Corrupt` and `NotFound` for data files, the store's and the disk's own.
pub async fn optimize(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    options: &OptimizeOptions,
) -> Result<OptimizeOutcome> {
    snapshot.check_writable()?;
    check_rearrangement(snapshot)?;
    let started_ms = snapshot.clock().now_ms();
    let sizes = options.policy.sizes(snapshot.properties())?;
    let keys = KeyColumns::find(snapshot.schema(), snapshot.partition_columns(), &options.zorder_by)?;
    let wanted = options.policy.partitions.as_ref();
    let files: Vec<_> = snapshot.files().await?.iter().collect();
    let (schema, mapping) = (snapshot.schema(), snapshot.mapping());
    let all = group_by_partition(&files, schema, mapping, snapshot.partition_columns(), wanted)?;
    let groups = match &keys {
        None => bin_pack(&all.into_iter().map(|group| loose(group, sizes)).collect::<Vec<_>>(), sizes),
        Some(keys) => all.into_iter().filter(|group| !is_ordered(group, keys, sizes)).collect(),
    };
    if options.dry_run || groups.is_empty() {
        let files_added = groups.iter().map(|group| files_needed(group, sizes)).sum();
        let report = OptimizeReport { files_added, dry_run: options.dry_run, ..counted(groups.iter()) };
        return Ok(OptimizeOutcome::Done(report, Arc::clone(snapshot)));
    }
    let spill_dir = options.spill_dir.clone().unwrap_or_else(std::env::temp_dir);
    let concurrent = options.policy.max_concurrent.min(groups.len());
    let rewriter = Rewriter::new(snapshot, keys.clone(), sizes, options.policy.memory_bytes, concurrent, spill_dir);
    let mut rewritten = rewriter.run(groups).await?;
    if let Some(keys) = &keys {
        label(&mut rewritten, keys, snapshot.clock().new_id());
    }
    commit(snapshot, committer, rewritten, keys.as_ref(), options, started_ms).await
}

/// A report of the files that leave.
fn counted<'a>(groups: impl Iterator<Item = &'a FileGroup>) -> OptimizeReport {
    let mut report = OptimizeReport::default();
    let mut partitions = BTreeSet::new();
    for group in groups {
        partitions.insert(&group.partition);
        report.files_removed += group.files.len() as u64;
        report.bytes_removed = report.bytes_removed.saturating_add(group.size_bytes());
        report.bins += 1;
    }
    report.partitions = partitions.len() as u64;
    report
}

fn files_needed(group: &FileGroup, sizes: FileSizes) -> u64 {
    group.size_bytes().div_ceil(sizes.target_bytes).max(1)
}

/// Whether the files of a partition are in order already: all of one run by the same columns, and of sizes not far
/// from what is asked for.
fn is_ordered(group: &FileGroup, keys: &KeyColumns, sizes: FileSizes) -> bool {
    let tag = |add: &Add, name: &str| add.tags.as_ref().and_then(|tags| tags.get(name).cloned().flatten());
    let Some(id) = group.files.first().and_then(|add| tag(add, ORDER_ID)) else { return false };
    let by = order_by(keys);
    let same = |add: &Arc<Add>| tag(add, ORDER_ID).as_ref() == Some(&id) && tag(add, ORDER_BY).as_ref() == Some(&by);
    let (files, needed) = (group.files.len() as u64, files_needed(group, sizes));
    group.files.iter().all(same) && files <= 2 * needed && needed <= 2 * files
}

/// A group without the files that are in the order of a curve: merged at random they would be of no more use. Those that
/// are very small are not missed.
fn loose(mut group: FileGroup, sizes: FileSizes) -> FileGroup {
    let ordered = |add: &Add| add.tags.as_ref().is_some_and(|tags| tags.contains_key(ORDER_ID));
    let large = |add: &Add| u64::try_from(add.size).is_ok_and(|bytes| bytes >= sizes.target_bytes / 3);
    group.files.retain(|add| !(ordered(add) && large(add)));
    group
}

fn order_by(keys: &KeyColumns) -> String {
    json!(keys.names()).to_string()
}

fn label(rewritten: &mut [Rewritten], keys: &KeyColumns, run_id: Uuid) {
    let tags =
        BTreeMap::from([(ORDER_ID.to_owned(), Some(run_id.to_string())), (ORDER_BY.to_owned(), Some(order_by(keys)))]);
    for add in rewritten.iter_mut().flat_map(|one| &mut one.written.adds) {
        add.tags = Some(tags.clone());
    }
}

async fn commit(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    rewritten: Vec<Rewritten>,
    keys: Option<&KeyColumns>,
    options: &OptimizeOptions,
    started_ms: i64,
) -> Result<OptimizeOutcome> {
    let now_ms = snapshot.clock().now_ms();
    let removed: Vec<&Arc<Add>> = rewritten.iter().flat_map(|one| &one.group.files).collect();
    let added: Vec<&Add> = rewritten.iter().flat_map(|one| &one.written.adds).collect();
    let mut report = OptimizeReport {
        files_added: added.len() as u64,
        bytes_added: rewritten.iter().map(|one| one.written.bytes).sum(),
        rows: rewritten.iter().map(|one| one.written.rows).sum(),
        ..counted(rewritten.iter().map(|one| &one.group))
    };
    let mut actions: Vec<Action> =
        removed.iter().map(|add| Action::Remove(Box::new(Remove::of(add, now_ms, false)))).collect();
    actions.extend(added.iter().map(|&add| Action::Add(Box::new(add.clone()))));
    let operation = describe(&report, &added, keys, options);
    let staged = Staged { operation, actions, reads: Reads::OwnFiles };
    let committed = match check_deadline(snapshot, started_ms) {
        Ok(()) => transact(Base::On(Arc::clone(snapshot)), staged, committer).await,
        Err(error) => Err(error),
    };
    match committed {
        Ok(Outcome::Committed(committed)) => {
            report.version = Some(committed.version);
            report.txn_id = Some(committed.txn_id);
            Ok(OptimizeOutcome::Done(report, committed.snapshot))
        }
        Ok(Outcome::Unknown(unresolved)) => Ok(OptimizeOutcome::Unknown(unresolved)),
        Err(error) => {
            for one in &rewritten {
                discard(snapshot.root(), &one.written.adds).await;
            }
            Err(error)
        }
    }
}

/// What the commit says of itself, in the words of other writers.
fn describe(
    report: &OptimizeReport,
    added: &[&Add],
    keys: Option<&KeyColumns>,
    options: &OptimizeOptions,
) -> Operation {
    let predicate: Vec<String> =
        options.policy.partitions.iter().map(|predicate| json!(predicate).to_string()).collect();
    let mut sizes: Vec<u64> = added.iter().map(|add| u64::try_from(add.size).unwrap_or(0)).collect();
    sizes.sort_unstable();
    let at = |quarter: usize| match sizes.len() {
        0 => 0,
        count => sizes[((count - 1) * quarter).div_ceil(4)],
    };
    Operation::new("OPTIMIZE")
        .with("predicate", json!(predicate).to_string())
        .with("zOrderBy", json!(keys.map_or(&[][..], KeyColumns::names)).to_string())
        .with("auto", "false")
        .counting("numRemovedFiles", report.files_removed)
        .counting("numAddedFiles", report.files_added)
        .counting("numRemovedBytes", report.bytes_removed)
        .counting("numAddedBytes", report.bytes_added)
        .counting("numOutputRows", report.rows)
        .counting("minFileSize", at(0))
        .counting("p25FileSize", at(1))
        .counting("p50FileSize", at(2))
        .counting("p75FileSize", at(3))
        .counting("maxFileSize", at(4))
        .counting("partitionsOptimized", report.partitions)
        .counting("numBatches", report.bins)
}
