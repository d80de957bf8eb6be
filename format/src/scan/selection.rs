//! Which rows of a file are decoded, by position in the whole file, and which of those are deleted.

use std::ops::Range;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_buffer::BooleanBufferBuilder;
use arrow_select::filter::filter_record_batch;

use crate::action::DeletionVector;
use crate::error::{Error, Result};

/// A run of this many deleted rows is not decoded. Shorter ones are, and dropped afterwards: to skip them costs more.
const LONG_RUN: u64 = 256;
/// No more runs than this are left out, so that a selection stays small.
const MOST_RUNS: usize = 1 << 16;

/// Every row of a file of `rows`.
pub(super) fn all(rows: u64) -> Vec<Range<u64>> {
    let mut all = Vec::new();
    push(&mut all, 0..rows);
    all
}

/// Adds a range behind the others, joined with the last one where they touch.
pub(super) fn push(rows: &mut Vec<Range<u64>>, range: Range<u64>) {
    match rows.last_mut() {
        _ if range.is_empty() => {}
        Some(last) if last.end >= range.start => last.end = last.end.max(range.end),
        _ => rows.push(range),
    }
}

/// The rows in both; each ascends without overlap.
pub(super) fn both(a: &[Range<u64>], b: &[Range<u64>]) -> Vec<Range<u64>> {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let mut rows = Vec::new();
    while let (Some(x), Some(y)) = (a.peek(), b.peek()) {
        push(&mut rows, x.start.max(y.start)..x.end.min(y.end));
        let _ = if x.end <= y.end { a.next() } else { b.next() };
    }
    rows
}

/// Refuses a vector that lists rows which the file does not have: it belongs to another file, so that what it deletes
/// here is wrong too (DV-3).
///
/// # Errors
/// `Corrupt`.
pub(super) fn check(vector: &DeletionVector, rows: u64, name: &str) -> Result<()> {
    match vector.last() {
        Some(last) if last >= rows => {
            Err(Error::corrupt(format!("a deletion vector lists row {last} of a data file that has {rows} rows"))
                .with_object(name)
                .with_hint("its rows can't be told from deleted ones; read a version before the vector was written"))
        }
        _ => Ok(()),
    }
}

/// `rows` without long runs of deleted ones.
pub(super) fn without_long_runs(rows: &[Range<u64>], vector: &DeletionVector) -> Vec<Range<u64>> {
    let Some(last) = rows.last().map(|range| range.end) else { return Vec::new() };
    let (mut kept, mut next, mut runs) = (Vec::new(), 0, 0);
    let mut leave_out = |run: Range<u64>| {
        if run.end - run.start >= LONG_RUN && runs < MOST_RUNS {
            push(&mut kept, next..run.start);
            next = run.end;
            runs += 1;
        }
    };
    let mut run = 0..0;
    for range in vector.ranges() {
        if range.start == run.end {
            run.end = range.end;
        } else {
            leave_out(std::mem::replace(&mut run, range));
        }
    }
    leave_out(run);
    push(&mut kept, next..last.max(next));
    both(rows, &kept)
}

/// Tells the positions of decoded rows, which come in the file's order, and drops deleted ones.
pub(super) struct LiveRows {
    positions: Positions,
    vector: Option<DeletionVector>,
}

impl LiveRows {
    /// `rows` are those that are decoded.
    pub(super) fn new(rows: Vec<Range<u64>>, vector: Option<DeletionVector>) -> Self {
        Self { positions: Positions::new(rows), vector }
    }

    /// The rows of the next batch that are not deleted, and where they stand.
    ///
    /// # Errors
    /// `Corrupt` when there are more rows than were selected.
    pub(super) fn of(&mut self, batch: RecordBatch, name: &str) -> Result<(RecordBatch, Vec<Range<u64>>)> {
        let positions = self.positions.take(batch.num_rows() as u64, name)?;
        let Some(vector) = &self.vector else { return Ok((batch, positions)) };
        let Some(mask) = live(&positions, vector) else { return Ok((batch, positions)) };
        let kept = filter_record_batch(&batch, &mask)
            .map_err(|e| Error::internal("deleted rows could not be dropped").with_object(name).with_source(e))?;
        Ok((kept, without(&positions, vector)))
    }

    /// Fails when rows that were selected have not come.
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn check_end(&self, name: &str) -> Result<()> {
        self.positions.check_end(name)
    }
}

/// `rows` without those that are deleted.
fn without(rows: &[Range<u64>], vector: &DeletionVector) -> Vec<Range<u64>> {
    let mut left = Vec::new();
    for range in rows {
        let mut next = range.start;
        for deleted in vector.ranges_from(range.start).take_while(|deleted| deleted.start < range.end) {
            push(&mut left, next..deleted.start);
            next = deleted.end;
        }
        push(&mut left, next..range.end.max(next));
    }
    left
}

/// The positions of decoded rows, handed out batch by batch.
#[derive(Debug)]
pub(super) struct Positions {
    rows: std::vec::IntoIter<Range<u64>>,
    current: Range<u64>,
}

impl Positions {
    pub(super) fn new(rows: Vec<Range<u64>>) -> Self {
        Self { rows: rows.into_iter(), current: 0..0 }
    }

    /// Fails when rows are left (SCN-4).
    ///
    /// # Errors
    /// `Corrupt`.
    pub(super) fn check_end(&self, name: &str) -> Result<()> {
        if self.current.is_empty() && self.rows.as_slice().is_empty() {
            return Ok(());
        }
        Err(Error::corrupt("a data file holds fewer rows than its footer says").with_object(name))
    }

    /// Positions of the next `count` rows.
    ///
    /// # Errors
    /// `Corrupt` when there are not as many.
    pub(super) fn take(&mut self, mut count: u64, name: &str) -> Result<Vec<Range<u64>>> {
        let mut taken = Vec::new();
        while count > 0 {
            if self.current.is_empty() {
                let more = self.rows.next();
                let extra = || Error::corrupt("a data file holds more rows than its footer says").with_object(name);
                self.current = more.ok_or_else(extra)?;
                continue;
            }
            let end = self.current.end.min(self.current.start.saturating_add(count));
            taken.push(self.current.start..end);
            count -= end - self.current.start;
            self.current.start = end;
        }
        Ok(taken)
    }
}

/// Which rows at `positions` are not deleted; `None` for all.
pub(super) fn live(positions: &[Range<u64>], vector: &DeletionVector) -> Option<BooleanArray> {
    let count: u64 = positions.iter().map(|range| range.end - range.start).sum();
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let mut mask: Option<BooleanBufferBuilder> = None;
    let mut base = 0;
    for range in positions {
        for deleted in vector.ranges_from(range.start).take_while(|deleted| deleted.start < range.end) {
            let mask = mask.get_or_insert_with(|| {
                let mut mask = BooleanBufferBuilder::new(count);
                mask.append_n(count, true);
                mask
            });
            for row in deleted.start..deleted.end.min(range.end) {
                mask.set_bit(base + (row - range.start) as usize, false);
            }
        }
        base += (range.end - range.start) as usize;
    }
    mask.map(|mut mask| BooleanArray::new(mask.finish(), None))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::ErrorKind;

    fn some_rows() -> impl Strategy<Value = Vec<u64>> {
        let run = (0_u64..6000, prop_oneof![1_u64..5, 200_u64..900]);
        prop::collection::vec(run, 0..8).prop_map(|runs| runs.into_iter().flat_map(|(s, n)| s..s + n).collect())
    }

    fn ranges(rows: &DeletionVector) -> Vec<Range<u64>> {
        let mut ranges = Vec::new();
        rows.ranges().for_each(|range| push(&mut ranges, range));
        ranges
    }

    proptest! {
        /// DV-3
        #[test]
        fn exactly_the_deleted_rows_are_dropped(wanted in some_rows(), deleted in some_rows(), step in 1_u64..700) {
            let (wanted, deleted): (DeletionVector, DeletionVector) =
                (wanted.into_iter().collect(), deleted.into_iter().collect());
            let decoded = without_long_runs(&ranges(&wanted), &deleted);
            prop_assert!(decoded.windows(2).all(|pair| pair[0].end < pair[1].start), "{decoded:?}");
            let total: u64 = decoded.iter().map(|range| range.end - range.start).sum();
            let mut positions = Positions::new(decoded);
            let mut left = Vec::new();
            for start in (0..total).step_by(step as usize) {
                let taken = positions.take(step.min(total - start), "x").expect("as many");
                let rows: Vec<u64> = taken.iter().cloned().flatten().collect();
                let mask = live(&taken, &deleted);
                let is_live = |at: usize| mask.as_ref().is_none_or(|mask| mask.value(at));
                prop_assert_eq!(
                    without(&taken, &deleted).into_iter().flatten().collect::<Vec<_>>(),
                    rows.iter().copied().filter(|&row| !deleted.contains(row)).collect::<Vec<_>>()
                );
                left.extend(rows.iter().enumerate().filter(|&(at, _)| is_live(at)).map(|(_, row)| *row));
            }
            prop_assert!(positions.take(1, "x").is_err());
            let expected: Vec<u64> = wanted.ranges().flatten().filter(|&row| !deleted.contains(row)).collect();
            prop_assert_eq!(left, expected);
        }

        #[test]
        fn ranges_meet_as_sets_do(a in some_rows(), b in some_rows()) {
            let (a, b): (DeletionVector, DeletionVector) = (a.into_iter().collect(), b.into_iter().collect());
            let met: Vec<u64> = both(&ranges(&a), &ranges(&b)).into_iter().flatten().collect();
            prop_assert_eq!(met, a.ranges().flatten().filter(|&row| b.contains(row)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_vector_longer_than_its_file_is_corrupt() {
        let vector: DeletionVector = [3, 9].into_iter().collect();
        check(&vector, 10, "x").expect("DV-3");
        assert_eq!(check(&vector, 9, "x").expect_err("DV-3").kind(), ErrorKind::Corrupt);
        check(&DeletionVector::default(), 0, "x").expect("nothing is deleted");
    }
}
