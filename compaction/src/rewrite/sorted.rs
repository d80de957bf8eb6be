//! Rows in memory, handed out in the order of their keys.

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use lake_format::{Error, Result};

use super::batch_bytes;

/// Rows and their keys.
#[derive(Clone, Debug)]
pub(super) struct Keyed {
    pub(super) batch: RecordBatch,
    /// One per row.
    pub(super) keys: Vec<u64>,
}

impl Keyed {
    /// Bytes in memory, with what sorting adds.
    pub(super) fn bytes(&self) -> usize {
        batch_bytes(&self.batch) + self.keys.len() * (size_of::<u64>() + size_of::<Place>())
    }
}

/// Key, batch, row in the batch.
type Place = (u64, u32, u32);

/// Rows handed out at once.
const CHUNK_ROWS: usize = 8192;
/// Bytes handed out at once, about.
const CHUNK_BYTES: usize = 16 << 20;

/// Batches of rows in the order of their keys. Rows of one key keep their order.
pub(super) struct Sorted {
    batches: Vec<RecordBatch>,
    order: Vec<Place>,
    next: usize,
    chunk_rows: usize,
}

impl Sorted {
    pub(super) fn new(rows: Vec<Keyed>) -> Self {
        let bytes: usize = rows.iter().map(|keyed| batch_bytes(&keyed.batch)).sum();
        let mut order = Vec::with_capacity(rows.iter().map(|keyed| keyed.keys.len()).sum());
        let mut batches = Vec::with_capacity(rows.len());
        for (at, keyed) in (0_u32..).zip(rows) {
            order.extend((0_u32..).zip(keyed.keys).map(|(row, key)| (key, at, row)));
            batches.push(keyed.batch);
        }
        order.sort_unstable();
        let row_bytes = (bytes / order.len().max(1)).max(1);
        Self { batches, order, next: 0, chunk_rows: (CHUNK_BYTES / row_bytes).clamp(1, CHUNK_ROWS) }
    }
}

impl Iterator for Sorted {
    type Item = Result<Keyed>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.order.len().min(self.next + self.chunk_rows);
        let chunk = self.order.get(self.next..end).filter(|chunk| !chunk.is_empty())?;
        self.next = end;
        let places: Vec<(usize, usize)> = chunk.iter().map(|&(_, batch, row)| (batch as usize, row as usize)).collect();
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let keys = chunk.iter().map(|(key, ..)| *key).collect();
        let gathered = interleave_record_batch(&batches, &places);
        Some(
            gathered
                .map(|batch| Keyed { batch, keys })
                .map_err(|e| Error::internal("rows could not be put in order").with_source(e)),
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, StringArray};

    use super::*;

    fn keyed(texts: &[&str], keys: &[u64]) -> Keyed {
        let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        Keyed { batch: RecordBatch::try_from_iter([("a", column)]).expect("batch"), keys: keys.to_vec() }
    }

    #[test]
    fn rows_come_in_key_order_and_equal_keys_keep_theirs() {
        let mut sorted = Sorted::new(vec![keyed(&["d", "b1", "a"], &[9, 2, 1]), keyed(&["b2", "c"], &[2, 3])]);
        sorted.chunk_rows = 2;
        let (mut texts, mut keys) = (Vec::new(), Vec::new());
        for chunk in sorted {
            let chunk = chunk.expect("chunk");
            texts.extend(chunk.batch.column(0).as_string::<i32>().iter().map(|text| text.expect("text").to_owned()));
            keys.extend(chunk.keys);
        }
        assert_eq!(texts, ["a", "b1", "b2", "c", "d"]);
        assert_eq!(keys, [1, 2, 2, 3, 9]);
        assert!(Sorted::new(Vec::new()).next().is_none());
    }
}
