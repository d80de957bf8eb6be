//! Batches of one file in order: fetched ahead, decoded on blocking threads, two columns at a time where it pays.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow_array::{RecordBatch, RecordBatchOptions, RecordBatchReader};
use arrow_schema::{FieldRef, Schema, SchemaRef};
use parquet::arrow::FieldLevels;
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
/// Row groups are fetched together, and ahead of their time, up to so many bytes.
const RUN_BYTES: u64 = 8 << 20;
/// The columns of a row group with more bytes, before compression, are decoded by two threads.
const PARALLEL_BYTES: u64 = 4 << 20;

/// Batches of one file in order.
pub struct BatchReader {
    file: ParquetFile,
    leaves: Arc<[usize]>,
    groups: VecDeque<GroupPlan>,
    ahead: Option<Fetching>,
    decoder: Option<Decoder>,
    remaining: usize,
    step_bytes: usize,
    run_bytes: u64,
    is_small: bool,
}

/// Row groups being fetched, until nobody waits for them any more.
struct Fetching(JoinHandle<Result<Vec<FetchedGroup>>>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.abort();
    }
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
        let leaves: Arc<[usize]> = leaves.into();
        let decoder = Decoder {
            file: file.clone(),
            leaves: Arc::clone(&leaves),
            levels: None,
            ready: VecDeque::new(),
            current: None,
            batch_rows: batch_rows.max(1),
            may_split: true,
            may_view: false,
        };
        Self {
            file,
            leaves,
            groups: groups.into(),
            ahead: None,
            decoder: Some(decoder),
            remaining: limit.unwrap_or(usize::MAX),
            step_bytes: STEP_BYTES,
            run_bytes: RUN_BYTES,
            is_small,
        }
    }

    /// Hands batches out as soon as they come to `bytes`, so that not many more are held at once, and fetches no more than
    /// that ahead where row groups are as small.
    #[must_use]
    pub fn in_steps_of(self, bytes: usize) -> Self {
        Self { step_bytes: bytes.clamp(1, STEP_BYTES), run_bytes: RUN_BYTES.min(bytes as u64), ..self }
    }

    /// Decodes on one thread at a time: for callers that keep the others busy with other files.
    #[must_use]
    pub fn on_one_thread(mut self) -> Self {
        if let Some(decoder) = &mut self.decoder {
            decoder.may_split = false;
        }
        self
    }

    /// Lets text and bytes come as Arrow views where their dictionary is large: it is not copied then.
    #[must_use]
    pub fn with_views(mut self) -> Self {
        if let Some(decoder) = &mut self.decoder {
            decoder.may_view = true;
        }
        self
    }

    /// Fetches the next row groups now, not once they are asked for.
    pub fn begin(&mut self) {
        if self.ahead.is_some() {
            return;
        }
        let run = self.next_run();
        if !run.is_empty() {
            let (file, leaves) = (self.file.clone(), Arc::clone(&self.leaves));
            self.ahead = Some(Fetching(tokio::spawn(async move { file.fetch(run, &leaves).await })));
        }
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
            let Some(mut decoder) = self.decoder.take() else {
                return Err(Error::internal("a file is read on after a failure").with_object(self.file.name()));
            };
            if decoder.is_idle() {
                match self.fetched().await? {
                    Some(run) => decoder.ready.extend(run),
                    None => {
                        self.decoder = Some(decoder);
                        return Ok(None);
                    }
                }
            }
            let (each, remaining, step_bytes) = (Arc::clone(each), self.remaining, self.step_bytes);
            let finish = move || {
                let (mut done, mut rows) = (Vec::new(), 0);
                for batch in decoder.step(remaining, step_bytes)? {
                    let wanted = batch.num_rows().min(remaining - rows);
                    rows += wanted;
                    if wanted > 0 {
                        done.push(each(if wanted < batch.num_rows() { batch.slice(0, wanted) } else { batch })?);
                    }
                }
                Ok::<_, Error>((decoder, done, rows))
            };
            let (decoder, done, rows) = self.apart(finish).await??;
            self.decoder = Some(decoder);
            self.remaining -= rows;
            if !done.is_empty() {
                return Ok(Some(done));
            }
        }
        Ok(None)
    }

    /// The next row groups' bytes. Those behind them are asked for as well, unless these are all the rows wanted.
    async fn fetched(&mut self) -> Result<Option<Vec<FetchedGroup>>> {
        let run = match self.ahead.take() {
            Some(mut ahead) => match (&mut ahead.0).await {
                Ok(run) => run?,
                Err(error) => return Err(Error::internal("reading was cut short").with_source(error)),
            },
            None => match self.next_run() {
                run if run.is_empty() => return Ok(None),
                run => self.file.fetch(run, &self.leaves).await?,
            },
        };
        if run.iter().map(FetchedGroup::selected_rows).fold(0, usize::saturating_add) < self.remaining {
            self.begin();
        }
        Ok(Some(run))
    }

    /// The next row groups: as many as the bytes of a run hold, and one at least. With a limit the first may be enough.
    fn next_run(&mut self) -> Vec<GroupPlan> {
        let (mut run, mut bytes) = (Vec::new(), 0_u64);
        while let Some(next) = self.groups.front() {
            let group = self.file.metadata().row_group(next.group);
            let columns = self.leaves.iter().map(|leaf| group.column(*leaf).byte_range().1);
            bytes = columns.fold(bytes, u64::saturating_add);
            if !run.is_empty() && (bytes > self.run_bytes || self.remaining < usize::MAX) {
                break;
            }
            run.extend(self.groups.pop_front());
        }
        run
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

/// Makes batches of row groups that were fetched. It never waits for the store.
struct Decoder {
    file: ParquetFile,
    leaves: Arc<[usize]>,
    /// The Arrow form of all the leaves, once it was needed.
    levels: Option<FieldLevels>,
    ready: VecDeque<FetchedGroup>,
    current: Option<Decoding>,
    batch_rows: usize,
    may_split: bool,
    may_view: bool,
}

/// A row group being decoded.
struct Decoding {
    first: ParquetRecordBatchReader,
    second: Option<(ParquetRecordBatchReader, Merge)>,
    batch_bytes: u64,
}

impl Decoder {
    fn is_idle(&self) -> bool {
        self.current.is_none() && self.ready.is_empty()
    }

    /// The next batches, about `bytes` of them and no more rows than are needed for `most_rows`.
    fn step(&mut self, most_rows: usize, bytes: usize) -> Result<Vec<RecordBatch>> {
        let (mut batches, mut rows, mut room): (Vec<RecordBatch>, _, _) = (Vec::new(), 0, bytes as u64);
        while rows < most_rows && room > 0 && batches.len() < STEP_BATCHES {
            let decoding = match self.current.take() {
                Some(decoding) => decoding,
                None => match self.ready.pop_front() {
                    Some(group) => self.start(&group, most_rows).map_err(|e| from_parquet(e, self.file.name()))?,
                    None => break,
                },
            };
            let count = (room / decoding.batch_bytes.max(1)).clamp(1, (STEP_BATCHES - batches.len()) as u64);
            let (rest, more) = decoding.step(count as usize, self.file.name())?;
            self.current = rest;
            let decoded = more.iter().map(RecordBatch::get_array_memory_size).sum::<usize>();
            room = room.saturating_sub(decoded as u64);
            rows += more.iter().map(RecordBatch::num_rows).sum::<usize>();
            batches.extend(more);
        }
        Ok(batches)
    }

    fn start(&mut self, fetched: &FetchedGroup, most_rows: usize) -> ParquetResult<Decoding> {
        let row_bytes = fetched.bytes_per_row();
        let fitting = usize::try_from(BATCH_BYTES / row_bytes.max(1)).unwrap_or(usize::MAX).max(1);
        let batch_rows = fitting.min(self.batch_rows).min(most_rows.max(1));
        let batch_bytes = row_bytes.saturating_mul(batch_rows as u64);
        let views = if self.may_view { fetched.large_dictionaries() } else { Vec::new() };
        let halves = if self.may_split { in_two(&self.file, fetched.row_group(), &self.leaves) } else { None };
        let reader = |leaves: &[usize]| fetched.reader(&self.file.levels(leaves, &views)?, batch_rows);
        let Some([one, other]) = halves else {
            if !views.is_empty() {
                return Ok(Decoding { first: reader(&self.leaves)?, second: None, batch_bytes });
            }
            let levels = match self.levels.take() {
                Some(levels) => levels,
                None => self.file.levels(&self.leaves, &[])?,
            };
            let first = fetched.reader(&levels, batch_rows)?;
            self.levels = Some(levels);
            return Ok(Decoding { first, second: None, batch_bytes });
        };
        let (first, second) = (reader(&one)?, reader(&other)?);
        let merge = Merge::new(&self.file, [&one, &other], [first.schema(), second.schema()]);
        Ok(Decoding { first, second: Some((second, merge)), batch_bytes })
    }
}

impl Decoding {
    /// Up to `count` batches, the two parts of the columns at once.
    fn step(self, count: usize, name: &str) -> Result<(Option<Self>, Vec<RecordBatch>)> {
        let Self { first, second, batch_bytes } = self;
        let Some((second, merge)) = second else {
            let (first, batches) = decode(first, count, name)?;
            return Ok((first.map(|first| Self { first, second: None, batch_bytes }), batches));
        };
        let (one, other) = std::thread::scope(|scope| {
            let other = scope.spawn(|| decode(second, count, name));
            (decode(first, count, name), other.join().map_err(|_| gave_up(name)))
        });
        let ((first, batches), (second, others)) = (one?, other??);
        if batches.len() != others.len() {
            return Err(Error::corrupt("the columns of a row group differ in length").with_object(name));
        }
        let whole: Result<Vec<RecordBatch>> =
            batches.iter().zip(&others).map(|(one, other)| merge.merge(one, other, name)).collect();
        let rest = first.zip(second).map(|(first, second)| Self { first, second: Some((second, merge)), batch_bytes });
        Ok((rest, whole?))
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
