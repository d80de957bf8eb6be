//! A request resolved against a table, and the files that can answer it.

use std::sync::Arc;

use super::prune::{BatchBounds, PredicateColumns, PredicateSieve};
use super::shared::Shared;
use super::summary::Summary;
use super::{Pruning, ScanFile, ScanPlan, ScanRequest, ScanTable};
use crate::action::DeletionVectorDescriptor;
use crate::action::columnar::{FileBatch, Sieve};
use crate::error::{Error, Result};
use crate::expr::{Predicate, Verdict, judge};
use crate::log::checkpoint::{FilesWanted, StatsWanted, Totals};
use crate::replay::Distinct;
use crate::snapshot::listed_twice;

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
            bytes_total: Some(bytes),
            bytes_planned: bytes,
            ..Pruning::default()
        };
        Ok(Self { shared, files: Arc::new(files), pruning, bounds: Arc::default() })
    }
}

/// A scan being planned: takes the live files as they are read, keeps those that can hold wanted rows.
pub(super) struct Planner {
    shared: Shared,
    summary: Option<Summary>,
    sieve: Option<Arc<PredicateSieve>>,
    pruning: Pruning,
    files: Vec<ScanFile>,
    /// Rows that the files kept so far hold for sure.
    sure_rows: Option<u64>,
}

impl Planner {
    pub(super) fn new(table: ScanTable, request: &ScanRequest) -> Result<Self> {
        let shared = Shared::resolve(table, request)?;
        let sieve = shared.predicate.as_ref().map(|predicate| Arc::new(PredicateSieve::new(predicate, &shared)));
        let summary = request.statistics.then(|| Summary::new(&shared));
        let (pruning, files) = (Pruning { bytes_total: Some(0), ..Pruning::default() }, Vec::new());
        Ok(Self { shared, summary, sieve, pruning, files, sure_rows: Some(0) })
    }

    /// What planning reads of the files.
    pub(super) fn wanted(&self) -> FilesWanted {
        let sieve = self.sieve.clone().map(|sieve| sieve as Arc<dyn Sieve>);
        FilesWanted { stats: self.stats_wanted(), details: false, sieve, ..FilesWanted::adds() }
    }

    fn stats_wanted(&self) -> StatsWanted {
        match self.sieve.as_ref().map(|sieve| sieve.columns()) {
            columns if self.summary.is_some() => {
                let pruned_by = columns.into_iter().flat_map(PredicateColumns::physical_paths);
                StatsWanted::Columns(pruned_by.chain(self.summary.iter().flat_map(Summary::physical_paths)).collect())
            }
            Some(columns) if !columns.only_partitions() => StatsWanted::Columns(columns.physical_paths()),
            _ if self.shared.limit.is_some() => StatsWanted::Columns(Vec::new()),
            _ => StatsWanted::None,
        }
    }

    /// Takes some of the live files.
    pub(super) fn take(&mut self, batch: &FileBatch) -> Result<()> {
        self.pruning.files_total += batch.len() as u64;
        let sieve = self.sieve.clone();
        let bounds = sieve.as_ref().map(|sieve| BatchBounds::new(sieve.columns(), batch)).transpose()?;
        let mut planned = Vec::new();
        for row in 0..batch.len() {
            let size_bytes = file_size(batch, row)?;
            self.pruning.bytes_total = self.pruning.bytes_total.map(|bytes| bytes.saturating_add(size_bytes));
            if let (Some(predicate), Some(bounds)) = (&self.shared.predicate, &bounds) {
                match skip(predicate, bounds, row) {
                    Some(Reason::Partition) => self.pruning.skipped_by_partition += 1,
                    Some(Reason::Statistics) => self.pruning.skipped_by_statistics += 1,
                    None => {
                        planned.push(row);
                        self.files.push(self.scan_file(batch, row, size_bytes));
                    }
                }
                continue;
            }
            let filled = matches!((self.shared.limit, self.sure_rows), (Some(limit), Some(rows)) if rows >= limit);
            if filled {
                self.pruning.skipped_by_limit += 1;
                continue;
            }
            let file = self.scan_file(batch, row, size_bytes);
            self.sure_rows = self.sure_rows.zip(file.live_records()).map(|(rows, more)| rows.saturating_add(more));
            planned.push(row);
            self.files.push(file);
        }
        if let Some(summary) = &mut self.summary {
            summary.take(batch, &planned);
        }
        Ok(())
    }

    fn scan_file(&self, batch: &FileBatch, row: usize, size_bytes: u64) -> ScanFile {
        let add = batch.add_without_stats(row);
        ScanFile {
            path: add.path,
            size_bytes,
            partition_values: add.partition_values,
            num_records: batch.num_records(row).and_then(|rows| u64::try_from(rows).ok()),
            deletion_vector: add.deletion_vector,
            base_row_id: add.base_row_id,
            default_row_commit_version: add.default_row_commit_version,
        }
    }

    /// The plan. `totals` are those of the version, where they are known.
    ///
    /// # Errors
    /// `Corrupt` for a file that is listed twice (CHK-4).
    pub(super) fn finish(mut self, totals: Option<Totals>) -> Result<ScanPlan> {
        let mut distinct = Distinct::new(self.shared.table.root.home());
        for file in &self.files {
            let vector = file.deletion_vector.as_ref().map(DeletionVectorDescriptor::unique_id);
            distinct.push(&file.path, vector.as_deref());
        }
        if let Some((at, _)) = distinct.repeated() {
            return Err(listed_twice(&self.files[at].path));
        }
        let unseen = self.sieve.as_ref().map_or(0, |sieve| sieve.files_left_out());
        self.pruning.skipped_by_statistics += unseen;
        self.pruning.files_total += unseen;
        self.pruning.bytes_total = match totals {
            Some(totals) => Some(totals.size_bytes),
            None => self.pruning.bytes_total.filter(|_| unseen == 0),
        };
        self.pruning.files_planned = self.files.len() as u64;
        self.pruning.bytes_planned = self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes));
        let bounds = Arc::new(self.summary.map(Summary::finish).unwrap_or_default());
        Ok(ScanPlan { shared: Arc::new(self.shared), files: Arc::new(self.files), pruning: self.pruning, bounds })
    }
}

enum Reason {
    Partition,
    Statistics,
}

fn skip(predicate: &Predicate, bounds: &BatchBounds<'_>, row: usize) -> Option<Reason> {
    match judge(predicate, &bounds.by_partition(row)) {
        Verdict::NoneTrue => return Some(Reason::Partition),
        Verdict::AllTrue => return None,
        Verdict::Unknown if bounds.only_partitions() => return None,
        Verdict::Unknown => {}
    }
    let by_statistics = judge(predicate, &bounds.by_statistics(row)?);
    (by_statistics == Verdict::NoneTrue).then_some(Reason::Statistics)
}

fn file_size(batch: &FileBatch, row: usize) -> Result<u64> {
    let size = batch.size(row).unwrap_or_default();
    u64::try_from(size).map_err(|_| Error::corrupt(format!("a data file of {size} bytes")).with_object(batch.path(row)))
}
