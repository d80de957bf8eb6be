//! A request resolved against a table, and the files that can answer it.

use std::sync::Arc;

use serde::Deserialize;

use super::prune::{FileBounds, PredicateColumns};
use super::shared::Shared;
use super::{Pruning, ScanFile, ScanPlan, ScanRequest, ScanTable};
use crate::action::Add;
use crate::action::stats::Stats;
use crate::error::{Error, Result};
use crate::expr::{Predicate, Verdict, judge};
use crate::snapshot::Files;

impl ScanPlan {
    /// A scan of exactly `files`, without pruning: for a task that was handed its files by a plan made elsewhere.
    ///
    /// # Errors
    /// As [`Snapshot::plan_scan`](crate::snapshot::Snapshot::plan_scan).
    pub fn of_files(table: ScanTable, request: &ScanRequest, files: Vec<ScanFile>) -> Result<Self> {
        let shared = Arc::new(Shared::resolve(table, request)?);
        let bytes = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.size_bytes));
        let pruning = Pruning {
            files_total: files.len() as u64,
            files_planned: files.len() as u64,
            bytes_total: bytes,
            bytes_planned: bytes,
            ..Pruning::default()
        };
        Ok(Self { shared, files: Arc::new(files), pruning })
    }

    /// The files of `live` that can hold wanted rows, in their order.
    pub(super) fn prune(table: ScanTable, request: &ScanRequest, live: &Files) -> Result<Self> {
        let shared = Shared::resolve(table, request)?;
        let columns = shared.predicate.as_ref().map(|predicate| PredicateColumns::new(predicate, &shared));
        let mut pruning = Pruning { files_total: live.len() as u64, ..Pruning::default() };
        let mut files = Vec::new();
        let mut sure_rows = Some(0_u64);
        for add in live.iter() {
            let add = &*add;
            let size_bytes = file_size(add)?;
            pruning.bytes_total = pruning.bytes_total.saturating_add(size_bytes);
            if let (Some(predicate), Some(columns)) = (&shared.predicate, &columns) {
                match skip(predicate, columns, add) {
                    Some(Reason::Partition) => pruning.skipped_by_partition += 1,
                    Some(Reason::Statistics) => pruning.skipped_by_statistics += 1,
                    None => files.push(scan_file(add, size_bytes)),
                }
                continue;
            }
            let filled = matches!((shared.limit, sure_rows), (Some(limit), Some(rows)) if rows >= limit);
            if filled {
                pruning.skipped_by_limit += 1;
                continue;
            }
            let file = scan_file(add, size_bytes);
            sure_rows = sure_rows.zip(file.num_records).map(|(rows, more)| rows.saturating_add(more));
            files.push(file);
        }
        pruning.files_planned = files.len() as u64;
        pruning.bytes_planned = files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes));
        Ok(Self { shared: Arc::new(shared), files: Arc::new(files), pruning })
    }
}

enum Reason {
    Partition,
    Statistics,
}

fn skip(predicate: &Predicate, columns: &PredicateColumns, add: &Add) -> Option<Reason> {
    let by_partition = judge(predicate, &FileBounds::new(columns, add, None));
    match by_partition {
        Verdict::NoneTrue => return Some(Reason::Partition),
        Verdict::AllTrue => return None,
        Verdict::Unknown if columns.only_partitions() => return None,
        Verdict::Unknown => {}
    }
    let stats = add.stats.as_deref().and_then(Stats::parse)?;
    let by_statistics = judge(predicate, &FileBounds::new(columns, add, Some(&stats)));
    (by_statistics == Verdict::NoneTrue).then_some(Reason::Statistics)
}

fn file_size(add: &Add) -> Result<u64> {
    if add.deletion_vector.is_some() {
        return Err(Error::unsupported("a data file has a deletion vector, which this version of Lake does not apply")
            .with_object(add.path.clone())
            .with_hint("rewrite the file with the engine that wrote it, then read again"));
    }
    u64::try_from(add.size)
        .map_err(|_| Error::corrupt(format!("a data file of {} bytes", add.size)).with_object(add.path.clone()))
}

fn scan_file(add: &Add, size_bytes: u64) -> ScanFile {
    ScanFile {
        path: add.path.clone(),
        size_bytes,
        partition_values: add.partition_values.clone(),
        num_records: add.stats.as_deref().and_then(num_records),
        stats: add.stats.clone(),
    }
}

/// The row count alone; the rest of the statistics is skipped over.
fn num_records(stats: &str) -> Option<u64> {
    #[derive(Deserialize)]
    struct Count {
        #[serde(rename = "numRecords")]
        num_records: Option<u64>,
    }
    serde_json::from_str::<Count>(stats).ok()?.num_records
}
