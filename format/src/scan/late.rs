//! Which rows pass the condition, found by the condition's own columns: the others are then decoded for these rows alone.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_select::filter::SlicesIterator;

use super::ScanFile;
use super::layout::{Layout, Stored};
use super::selection::{self, Positions};
use super::shared::Shared;
use crate::error::Result;
use crate::expr::{Predicate, evaluate};
use crate::store::parquet::{BatchReader, ParquetFile, ReadColumns};

/// Fewer rows are decoded in whole.
const LEAST_ROWS: u64 = 16 << 10;
/// The other columns have at least so many bytes before compression: less is decoded sooner than judged.
const LEAST_BYTES: u64 = 1 << 20;
/// It pays while at most one row in so many must be decoded.
const WORTH: u64 = 4;
/// After so many rows it is clear whether it pays.
const ENOUGH_ROWS: u64 = 64 << 10;
/// Rows between two that pass are decoded too when they are fewer: to skip them costs more.
const SHORT_GAP: u64 = 16;
/// No more runs of rows than this are told apart, so that a selection stays small.
const MOST_RUNS: usize = 1 << 16;

/// How many rows of a scan have passed so far.
#[derive(Debug, Default)]
pub(super) struct Selectivity {
    judged: AtomicU64,
    /// With those in short gaps.
    decoded: AtomicU64,
}

impl Selectivity {
    fn add(&self, judged: u64, decoded: u64) {
        self.judged.fetch_add(judged, Ordering::Relaxed);
        self.decoded.fetch_add(decoded, Ordering::Relaxed);
    }

    /// Whether the files seen so far say that it pays; before the first one it may.
    fn pays(&self) -> bool {
        let (judged, decoded) = (self.judged.load(Ordering::Relaxed), self.decoded.load(Ordering::Relaxed));
        decoded <= judged / WORTH
    }
}

/// The condition of a scan with what is needed to judge it on the rows of one file.
pub(super) struct Condition<'a> {
    predicate: &'a Predicate,
    shared: Arc<Shared>,
    layout: Layout,
}

impl<'a> Condition<'a> {
    /// `None` where to judge the rows first can't pay: no condition, one of no column of the file, or few other columns
    /// or rows.
    pub(super) fn of(
        shared: &'a Shared,
        layout: &Layout,
        file: &ScanFile,
        parquet: &ParquetFile,
        rows: &[Range<u64>],
        measured: &Selectivity,
    ) -> Option<Self> {
        let predicate = shared.predicate.as_ref()?;
        if !measured.pays() || count(rows) < LEAST_ROWS {
            return None;
        }
        let narrow = shared.of_condition(predicate)?;
        let own = Layout::new(&narrow, file, parquet).ok()?;
        let others: Vec<usize> = layout.roots.iter().copied().filter(|root| !own.roots.contains(root)).collect();
        let pays = own.columns.iter().any(|column| matches!(column, Stored::Root(_)))
            && decoded_bytes(parquet, &others, rows) >= LEAST_BYTES.max(decoded_bytes(parquet, &own.roots, rows) / 2);
        pays.then(|| Self { predicate, shared: Arc::new(narrow), layout: own })
    }

    /// Starts to fetch what is needed to judge `rows`.
    ///
    /// # Errors
    /// As [`ParquetFile::read_rows`].
    pub(super) fn begin(self, parquet: &ParquetFile, rows: &[Range<u64>], batch_rows: usize) -> Result<Judging> {
        let mut reader = parquet.read_rows(ReadColumns::Roots(self.layout.roots.clone()), rows, batch_rows, None)?;
        reader.begin();
        let (predicate, shared, layout, name) =
            (self.predicate.clone(), self.shared, self.layout, parquet.name().to_owned());
        let judge =
            move |batch: RecordBatch| evaluate(&predicate, &layout.finish(&shared, &name, &batch, Vec::new(), false)?);
        Ok(Judging { reader, judge: Arc::new(judge), rows: rows.to_vec(), name: parquet.name().to_owned() })
    }
}

type Judge = dyn Fn(RecordBatch) -> Result<BooleanArray> + Send + Sync;

/// The rows of a file that are about to be judged.
pub(super) struct Judging {
    reader: BatchReader,
    judge: Arc<Judge>,
    rows: Vec<Range<u64>>,
    name: String,
}

impl Judging {
    /// Those of the rows that pass, and few others; `None` once it shows that most do.
    ///
    /// # Errors
    /// Those of reading and judging the rows.
    pub(super) async fn passing(mut self, measured: &Selectivity) -> Result<Option<Vec<Range<u64>>>> {
        if !measured.pays() {
            return Ok(None);
        }
        let mut positions = Positions::new(self.rows.clone());
        let (mut kept, mut judged) = (Vec::new(), 0);
        let judge = self.judge;
        let judge = Arc::new(move |batch| judge(batch));
        while let Some(masks) = self.reader.next(&judge).await? {
            for mask in masks {
                judged += mask.len() as u64;
                take(&mut kept, &positions.take(mask.len() as u64, &self.name)?, &mask);
            }
            let decoded = count(&kept);
            let is_many = judged >= ENOUGH_ROWS && decoded > judged / WORTH;
            if is_many || kept.len() > MOST_RUNS {
                measured.add(judged, decoded.max(judged / WORTH + 1));
                return Ok(None);
            }
        }
        positions.check_end(&self.name)?;
        measured.add(judged, count(&kept));
        Ok(Some(selection::both(&self.rows, &kept)))
    }
}

/// Adds the rows at `positions` that a mask passes.
fn take(kept: &mut Vec<Range<u64>>, positions: &[Range<u64>], mask: &BooleanArray) {
    let passes = match mask.nulls() {
        Some(nulls) => BooleanArray::new(mask.values() & nulls.inner(), None),
        None => mask.clone(),
    };
    let (mut positions, mut base) = (positions.iter(), 0_u64);
    let mut current = positions.next();
    for (start, end) in SlicesIterator::new(&passes) {
        let (mut start, end) = (start as u64, end as u64);
        while let Some(range) = current
            && start < end
        {
            let length = range.end - range.start;
            if start >= base + length {
                base += length;
                current = positions.next();
                continue;
            }
            let until = end.min(base + length);
            let found = range.start + (start - base)..range.start + (until - base);
            match kept.last_mut() {
                Some(last) if found.start <= last.end + SHORT_GAP => last.end = found.end,
                _ => kept.push(found),
            }
            start = until;
        }
    }
}

fn count(rows: &[Range<u64>]) -> u64 {
    rows.iter().map(|range| range.end - range.start).sum()
}

/// Bytes of columns before compression, as many as `rows` of them have.
fn decoded_bytes(parquet: &ParquetFile, roots: &[usize], rows: &[Range<u64>]) -> u64 {
    let schema = parquet.metadata().file_metadata().schema_descr();
    let mut bytes = 0_u128;
    for group in parquet.metadata().row_groups() {
        let columns = group.columns().iter().enumerate();
        let wanted = columns.filter(|(leaf, _)| roots.contains(&schema.get_column_root_idx(*leaf)));
        bytes += wanted.map(|(_, column)| u128::try_from(column.uncompressed_size()).unwrap_or(0)).sum::<u128>();
    }
    let part = bytes * u128::from(count(rows)) / u128::from(parquet.num_rows().max(1));
    u64::try_from(part).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_that_passes_is_kept_and_only_short_gaps_beside(
            runs in prop::collection::vec((1_u64..40, 1_u64..30), 1..12),
            bits in prop::collection::vec(prop_oneof![3 => Just(Some(false)), 1 => Just(Some(true)), 1 => Just(None)], 500),
        ) {
            let (mut rows, mut at) = (Vec::new(), 0);
            for (gap, length) in runs {
                rows.push(at + gap..at + gap + length);
                at += gap + length;
            }
            let all: Vec<u64> = rows.iter().cloned().flatten().collect();
            let bits = &bits[..all.len().min(500)];
            let (mut positions, mut kept) = (Positions::new(rows.clone()), Vec::new());
            for part in bits.chunks(37) {
                let mask = BooleanArray::from(part.to_vec());
                take(&mut kept, &positions.take(part.len() as u64, "f").unwrap(), &mask);
            }
            prop_assert!(kept.windows(2).all(|pair| pair[0].end + SHORT_GAP < pair[1].start), "{kept:?}");
            let passing: Vec<u64> =
                all.iter().zip(bits).filter(|(_, bit)| **bit == Some(true)).map(|(row, _)| *row).collect();
            for row in &passing {
                prop_assert!(kept.iter().any(|range| range.contains(row)), "{row} in {kept:?}");
            }
            for range in &kept {
                prop_assert!(passing.contains(&range.start) && passing.contains(&(range.end - 1)), "{range:?}");
            }
        }
    }

    #[test]
    fn what_has_not_paid_is_left_alone() {
        let measured = Selectivity::default();
        assert!(measured.pays(), "nobody knows yet");
        measured.add(100, 25);
        assert!(measured.pays());
        measured.add(100, 26);
        assert!(!measured.pays());
    }
}
