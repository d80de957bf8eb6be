//! Batches of one file in order: fetched ahead, decoded on blocking threads, two columns at a time where it pays.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use arrow_array::{RecordBatch, RecordBatchOptions, RecordBatchReader};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::RowGroupMetaData;
use tokio::task::{JoinHandle, spawn_blocking};

use super::from_parquet;
use super::read::{ParquetFile, gave_up};
use super::row_group::{BATCH_BYTES, FetchedGroup, GroupPlan};
use crate::error::{Error, Result};

/// Decoded bytes after which one stay on a blocking thread ends.
const STEP_BYTES: usize = 4 << 20;
/// Batches of one stay, at most.
const STEP_BATCHES: usize = 64;
/// A file of fewer bytes, before compression, is decoded where it is: quicker than the way to a blocking thread.
const SMALL_BYTES: u64 = 256 << 10;
/// The next row group is fetched early if it has no more bytes.
const AHEAD_BYTES: u64 = 8 << 20;
/// The columns of a row group with more bytes, before compression, are decoded by two threads.
const PARALLEL_BYTES: u64 = 4 << 20;

/// Batches of one file in order.
pub struct BatchReader {
    file: ParquetFile,
    leaves: Arc<[usize]>,
    groups: VecDeque<GroupPlan>,
    ahead: Option<Fetching>,
    current: Option<Decoding>,
    batch_rows: usize,
    remaining: usize,
    step_bytes: usize,
    is_small: bool,
}

/// A row group being fetched, until nobody waits for it any more.
struct Fetching(JoinHandle<Result<FetchedGroup>>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A row group being decoded.
struct Decoding {
    first: ParquetRecordBatchReader,
    second: Option<(ParquetRecordBatchReader, Merge)>,
    step_batches: usize,
}

impl BatchReader {
    pub(super) fn new(
        file: ParquetFile,
        leaves: Vec<usize>,
        groups: Vec<GroupPlan>,
        batch_rows: usize,
        limit: Option<usize>,
    ) -> Self {
        let bytes = |plan: &GroupPlan| decoded_bytes(file.metadata().row_group(plan.group), &leaves);
        let is_small = groups.iter().map(bytes).fold(0, u64::saturating_add) < SMALL_BYTES;
        Self {
            file,
            leaves: leaves.into(),
            groups: groups.into(),
            ahead: None,
            current: None,
            batch_rows: batch_rows.max(1),
            remaining: limit.unwrap_or(usize::MAX),
            step_bytes: STEP_BYTES,
            is_small,
        }
    }

    /// Hands batches out as soon as they come to `bytes`, so that not many more are held at once.
    #[must_use]
    pub fn in_steps_of(self, bytes: usize) -> Self {
        Self { step_bytes: bytes.clamp(1, STEP_BYTES), ..self }
    }

    /// The next batches, each sent through `each` on the blocking thread; `None` at the end. A batch has fewer rows than
    /// were asked for where they are large (SCN-9).
    ///
    /// # Errors
    /// As [`super::read_batches`], and those of `each`.
    pub async fn next<T, F>(&mut self, each: &Arc<F>) -> Result<Option<Vec<T>>>
    where
        T: Send + 'static,
        F: Fn(RecordBatch) -> Result<T> + Send + Sync + 'static,
    {
        while self.remaining > 0 {
            let decoding = match self.current.take() {
                Some(decoding) => decoding,
                None => match self.fetched().await? {
                    Some(fetched) => self.decoding(fetched).await?,
                    None => return Ok(None),
                },
            };
            let (name, each, remaining) = (self.file.name().to_owned(), Arc::clone(each), self.remaining);
            let step = decoding.step(name.clone());
            let finish = move || {
                let (decoding, batches) = step()?;
                let (mut done, mut rows) = (Vec::with_capacity(batches.len()), 0);
                for batch in batches {
                    let wanted = batch.num_rows().min(remaining - rows);
                    rows += wanted;
                    if wanted > 0 {
                        done.push(each(if wanted < batch.num_rows() { batch.slice(0, wanted) } else { batch })?);
                    }
                }
                Ok::<_, Error>((decoding, done, rows))
            };
            let (decoding, done, rows) = self.apart(finish).await??;
            self.current = decoding;
            self.remaining -= rows;
            if !done.is_empty() {
                return Ok(Some(done));
            }
        }
        Ok(None)
    }

    /// The next row group's bytes. Those of the one after it are asked for as well, if they are not too many.
    async fn fetched(&mut self) -> Result<Option<FetchedGroup>> {
        let fetched = match self.ahead.take() {
            Some(mut ahead) => match (&mut ahead.0).await {
                Ok(fetched) => fetched?,
                Err(error) => return Err(Error::internal("reading was cut short").with_source(error)),
            },
            None => match self.groups.pop_front() {
                Some(next) => self.file.fetch(next, &self.leaves).await?,
                None => return Ok(None),
            },
        };
        let stored_bytes = |next: &GroupPlan| {
            let group = self.file.metadata().row_group(next.group);
            self.leaves.iter().map(|leaf| group.column(*leaf).byte_range().1).fold(0, u64::saturating_add)
        };
        if self.groups.front().is_some_and(|next| stored_bytes(next) <= AHEAD_BYTES)
            && let Some(next) = self.groups.pop_front()
        {
            let (file, leaves) = (self.file.clone(), Arc::clone(&self.leaves));
            self.ahead = Some(Fetching(tokio::spawn(async move { file.fetch(next, &leaves).await })));
        }
        Ok(Some(fetched))
    }

    async fn decoding(&mut self, fetched: FetchedGroup) -> Result<Decoding> {
        let (file, leaves, step_bytes) = (self.file.clone(), Arc::clone(&self.leaves), self.step_bytes);
        let most_rows = self.batch_rows.min(self.remaining);
        let started = self.apart(move || Decoding::start(&file, &fetched, &leaves, most_rows, step_bytes)).await?;
        started.map_err(|e| from_parquet(e, self.file.name()))
    }

    /// Runs what may take long, or panic, where it harms nobody.
    async fn apart<T: Send + 'static>(&mut self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        if self.is_small {
            return std::panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| gave_up(self.file.name()));
        }
        match spawn_blocking(work).await {
            Ok(done) => Ok(done),
            Err(error) if error.is_panic() => Err(gave_up(self.file.name())),
            Err(error) => Err(Error::internal("decoding was cut short").with_source(error)),
        }
    }
}

impl Decoding {
    fn start(
        file: &ParquetFile,
        fetched: &FetchedGroup,
        leaves: &[usize],
        most_rows: usize,
        step_bytes: usize,
    ) -> ParquetResult<Self> {
        let row_bytes = fetched.bytes_per_row();
        let fitting = |bytes: u64, unit: u64| usize::try_from(bytes / unit.max(1)).unwrap_or(usize::MAX).max(1);
        let batch_rows = fitting(BATCH_BYTES, row_bytes).min(most_rows.max(1));
        let batch_bytes = row_bytes.saturating_mul(batch_rows as u64);
        let step_batches = fitting(step_bytes as u64, batch_bytes).min(STEP_BATCHES);
        let reader = |leaves: &[usize]| fetched.reader(&file.levels(leaves)?, batch_rows);
        let Some([one, other]) = in_two(file, fetched.row_group(), leaves) else {
            return Ok(Self { first: reader(leaves)?, second: None, step_batches });
        };
        let (first, second) = (reader(&one)?, reader(&other)?);
        let merge = Merge::new(file, [&one, &other], [first.schema(), second.schema()]);
        Ok(Self { first, second: Some((second, merge)), step_batches })
    }

    /// What decodes the next batches. The second part of the columns is begun at once, on a thread of its own.
    fn step(self, name: String) -> impl FnOnce() -> Result<(Option<Self>, Vec<RecordBatch>)> + Send + 'static {
        let Self { first, second, step_batches } = self;
        let second = second.map(|(second, merge)| {
            // It was sent off before the first, so it never waits for a thread that the first holds.
            let (sender, receiver) = sync_channel(1);
            let name = name.clone();
            spawn_blocking(move || {
                let decoded = decode(second, step_batches, &name);
                // Nobody listens after a failure of the first.
                let _ = sender.send(decoded);
            });
            (receiver, merge)
        });
        move || {
            let (first, batches) = decode(first, step_batches, &name)?;
            let Some((receiver, merge)) = second else {
                return Ok((first.map(|first| Self { first, second: None, step_batches }), batches));
            };
            let (second, others) = receiver.recv().map_err(|_| gave_up(&name))??;
            if batches.len() != others.len() {
                return Err(Error::corrupt("the columns of a row group differ in length").with_object(name));
            }
            let whole: Result<Vec<RecordBatch>> =
                batches.iter().zip(&others).map(|(one, other)| merge.merge(one, other, &name)).collect();
            let rest =
                first.zip(second).map(|(first, second)| Self { first, second: Some((second, merge)), step_batches });
            Ok((rest, whole?))
        }
    }
}

/// Up to `count` batches; the reader comes back while it may have more.
fn decode(
    mut reader: ParquetRecordBatchReader,
    count: usize,
    name: &str,
) -> Result<(Option<ParquetRecordBatchReader>, Vec<RecordBatch>)> {
    let mut batches = Vec::new();
    while batches.len() < count {
        let Some(batch) = reader.next() else { return Ok((None, batches)) };
        batches.push(batch.map_err(|e| from_parquet(e.into(), name))?);
    }
    Ok((Some(reader), batches))
}

/// How the columns of two parts make up the whole.
struct Merge {
    schema: SchemaRef,
    /// Part, and position in it.
    places: Vec<(usize, usize)>,
}

impl Merge {
    fn new(file: &ParquetFile, leaves: [&[usize]; 2], schemas: [SchemaRef; 2]) -> Self {
        let mut places: Vec<(usize, (usize, usize))> = Vec::new();
        for (part, leaves) in leaves.into_iter().enumerate() {
            let mut roots: Vec<usize> = leaves.iter().map(|leaf| root_of(file, *leaf)).collect();
            roots.dedup();
            places.extend(roots.into_iter().enumerate().map(|(at, root)| (root, (part, at))));
        }
        places.sort_unstable();
        let places: Vec<(usize, usize)> = places.into_iter().map(|(_, place)| place).collect();
        let fields: Vec<FieldRef> = places.iter().map(|(part, at)| Arc::clone(&schemas[*part].fields()[*at])).collect();
        Self { schema: Arc::new(Schema::new(fields)), places }
    }

    fn merge(&self, one: &RecordBatch, other: &RecordBatch, name: &str) -> Result<RecordBatch> {
        let parts = [one, other];
        let columns = self.places.iter().map(|(part, at)| Arc::clone(parts[*part].column(*at))).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(one.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|e| Error::corrupt("the columns of a row group differ in length").with_object(name).with_source(e))
    }
}

fn root_of(file: &ParquetFile, leaf: usize) -> usize {
    file.metadata().file_metadata().schema_descr().get_column_root_idx(leaf)
}

/// Bytes of some columns of a row group before compression.
fn decoded_bytes(group: &RowGroupMetaData, leaves: &[usize]) -> u64 {
    let bytes = |leaf: &usize| u64::try_from(group.column(*leaf).uncompressed_size()).unwrap_or(0);
    leaves.iter().map(bytes).fold(0, u64::saturating_add)
}

/// Leaves in two parts that take about as long to decode, no column of the file in both; `None` where that is not worth a
/// thread.
fn in_two(file: &ParquetFile, group: &RowGroupMetaData, leaves: &[usize]) -> Option<[Vec<usize>; 2]> {
    let all = decoded_bytes(group, leaves);
    if all < PARALLEL_BYTES {
        return None;
    }
    let of_root = leaves.chunk_by(|a, b| root_of(file, *a) == root_of(file, *b));
    let mut roots: Vec<(u64, &[usize])> = of_root.map(|leaves| (decoded_bytes(group, leaves), leaves)).collect();
    roots.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
    let (mut sums, mut halves) = ([0_u64; 2], [Vec::new(), Vec::new()]);
    for (bytes, leaves) in roots {
        let lighter = usize::from(sums[1] < sums[0]);
        sums[lighter] = sums[lighter].saturating_add(bytes);
        halves[lighter].extend_from_slice(leaves);
    }
    halves.iter_mut().for_each(|half| half.sort_unstable());
    (sums[0].min(sums[1]) >= all / 8).then_some(halves)
}
