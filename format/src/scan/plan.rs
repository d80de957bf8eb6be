//! A request resolved against a table, and the files that can answer it.

use std::sync::Arc;

use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};

use super::files::{PlannedFiles, PlannedFilesBuilder};
use super::prune::{BatchBounds, PredicateColumns, PredicateSieve};
use super::shared::Shared;
use super::summary::Summary;
use super::{Pruning, ScanFile, ScanPlan, ScanRequest, ScanTable};
use crate::action::columnar::{FileBatch, Sieve};
use crate::error::{Error, Result};
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
        Ok(Self { shared, files: PlannedFiles::of(files), pruning, bounds: Arc::default() })
    }
}

/// A scan being planned: takes the live files as they are read, keeps those that can hold wanted rows.
pub(super) struct Planner {
    shared: Shared,
    summary: Option<Summary>,
    sieve: Option<Arc<PredicateSieve>>,
    pruning: Pruning,
    files: PlannedFilesBuilder,
    distinct: Distinct,
    /// Rows that the files kept so far hold for sure.
    sure_rows: Option<u64>,
}

impl Planner {
    pub(super) fn new(table: ScanTable, request: &ScanRequest) -> Result<Self> {
        let shared = Shared::resolve(table, request)?;
        let sieve = shared.predicate.as_ref().map(|predicate| Arc::new(PredicateSieve::new(predicate, &shared)));
        let summary = request.statistics.then(|| Summary::new(&shared));
        let pruning = Pruning { bytes_total: Some(0), ..Pruning::default() };
        let (files, distinct) = (PlannedFiles::builder(), Distinct::new(shared.table.root.home()));
        Ok(Self { shared, summary, sieve, pruning, files, distinct, sure_rows: Some(0) })
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
        let all_bytes = size_bytes(batch)?;
        self.pruning.bytes_total = self.pruning.bytes_total.map(|bytes| bytes.saturating_add(all_bytes));
        let kept = match (self.sieve.clone(), self.shared.limit) {
            (Some(sieve), _) => self.possible(&sieve, batch)?,
            (None, Some(limit)) => self.within(limit, batch),
            (None, None) => BooleanBuffer::new_set(batch.len()),
        };
        if let Some(summary) = &mut self.summary {
            summary.take(batch, &kept.set_indices().collect::<Vec<_>>());
        }
        if kept.count_set_bits() == 0 {
            return Ok(());
        }
        let batch = batch.clone().picked(kept)?;
        let batch = if self.stats_wanted() == StatsWanted::None { batch } else { batch.counted()? };
        (0..batch.len()).for_each(|row| self.distinct.push(batch.path(row), batch.vector_id(row).as_deref()));
        self.pruning.files_planned += batch.len() as u64;
        self.pruning.bytes_planned = self.pruning.bytes_planned.saturating_add(size_bytes(&batch)?);
        self.files.push_batch(batch);
        Ok(())
    }

    /// The files that can hold wanted rows; the others are counted.
    fn possible(&mut self, sieve: &PredicateSieve, batch: &FileBatch) -> Result<BooleanBuffer> {
        let bounds = BatchBounds::new(sieve.columns(), batch)?;
        let judged = bounds.judged(sieve.predicate());
        let skipped = |files: &BooleanBuffer| (batch.len() - files.count_set_bits()) as u64;
        let by_partition = skipped(&judged.by_partition);
        self.pruning.skipped_by_partition += by_partition;
        self.pruning.skipped_by_statistics += skipped(&judged.possible) - by_partition;
        Ok(judged.possible)
    }

    /// The files that come before the limit is sure to be filled; the others are counted.
    fn within(&mut self, limit: u64, batch: &FileBatch) -> BooleanBuffer {
        let mut kept = BooleanBufferBuilder::new(batch.len());
        for row in 0..batch.len() {
            let filled = self.sure_rows.is_some_and(|rows| rows >= limit);
            kept.append(!filled);
            if filled {
                self.pruning.skipped_by_limit += 1;
            } else {
                let more = batch.live_records(row);
                self.sure_rows = self.sure_rows.zip(more).map(|(rows, more)| rows.saturating_add(more));
            }
        }
        kept.finish()
    }

    /// The plan. `totals` are those of the version, where they are known.
    ///
    /// # Errors
    /// `Corrupt` for a file that is listed twice (CHK-4).
    pub(super) fn finish(mut self, totals: Option<Totals>) -> Result<ScanPlan> {
        let files = self.files.finish();
        if let Some((at, _)) = self.distinct.repeated() {
            return Err(listed_twice(files.get(at).map_or("", |file| file.path())));
        }
        let unseen = self.sieve.as_ref().map_or(0, |sieve| sieve.files_left_out());
        self.pruning.skipped_by_statistics += unseen;
        self.pruning.files_total += unseen;
        self.pruning.bytes_total = match totals {
            Some(totals) => Some(totals.size_bytes),
            None => self.pruning.bytes_total.filter(|_| unseen == 0),
        };
        let bounds = Arc::new(self.summary.map(Summary::finish).unwrap_or_default());
        Ok(ScanPlan { shared: Arc::new(self.shared), files, pruning: self.pruning, bounds })
    }
}

/// Bytes of all files of a batch.
fn size_bytes(batch: &FileBatch) -> Result<u64> {
    let Some(sizes) = batch.sizes() else { return Ok(0) };
    let mut sum = 0_u64;
    for (row, size) in sizes.values().iter().enumerate() {
        let Ok(size) = u64::try_from(*size) else {
            return Err(Error::corrupt(format!("a data file of {size} bytes")).with_object(batch.path(row)));
        };
        sum = sum.saturating_add(size);
    }
    Ok(sum)
}
