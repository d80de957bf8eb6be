//! The rows of planned files as Arrow batches: several files at once, in order, filtered and cut to the limit.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::layout::Layout;
use super::row_ids::RowIds;
use super::selection::{self, LiveRows};
use super::shared::Shared;
use super::stored_bounds::StoredFile;
use super::{ScanFile, ScanPlan};
use super::{pages, row_groups};
use crate::action::DeletionVector;
use crate::error::{Error, ErrorKind, Result};
use crate::store::parquet::{ParquetFile, ReadColumns};
use crate::store::read_deletion_vector;

/// Batches of a file that wait for the consumer, at most: their bytes are what is limited.
const WAITING_BATCHES: usize = 256;

/// How files are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Rows per batch, at most.
    pub batch_rows: usize,
    /// Files read at once.
    pub concurrency: usize,
    /// Whether rows that fail the predicate are dropped. When false only whole row groups are, the caller filters,
    /// and the limit is left to it wherever there is a predicate.
    pub exact_filter: bool,
    /// Bytes of decoded batches that wait for the consumer, shared by the files read at once. A batch that is larger
    /// than a file's share waits alone.
    pub memory_bytes: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { batch_rows: 8192, concurrency: 2, exact_filter: true, memory_bytes: 64 << 20 }
    }
}

impl ScanPlan {
    /// The rows of all files, file by file in the plan's order, rows in the file's order.
    ///
    /// # Errors
    /// Each item can fail, and the stream ends there: `NotFound` for a data file that is gone, `Corrupt` for a
    /// damaged one, the store's own.
    pub fn stream(&self, options: ReadOptions) -> BoxStream<'static, Result<RecordBatch>> {
        self.run(Picked::All(Arc::clone(&self.files)), options)
    }

    /// The rows of those of the plan's files that `picked` names by their places, in that order.
    ///
    /// # Errors
    /// As [`ScanPlan::stream`].
    pub fn stream_picked(
        &self,
        picked: Arc<Vec<u32>>,
        options: ReadOptions,
    ) -> BoxStream<'static, Result<RecordBatch>> {
        self.run(Picked::Some(Arc::clone(&self.files), picked), options)
    }

    /// The rows of one file, no more than the limit.
    ///
    /// # Errors
    /// As [`ScanPlan::stream`].
    pub fn stream_file(&self, file: &ScanFile, options: ReadOptions) -> BoxStream<'static, Result<RecordBatch>> {
        self.run(Picked::All(Arc::new(vec![file.clone()])), options)
    }

    fn run(&self, files: Picked, options: ReadOptions) -> BoxStream<'static, Result<RecordBatch>> {
        let counts = self.shared.predicate.is_none() || options.exact_filter;
        let remaining = self.shared.limit.filter(|_| counts);
        let run =
            Run { shared: Arc::clone(&self.shared), files, next: 0, running: VecDeque::new(), remaining, options };
        stream::unfold(run, |mut run| async move { run.next().await.map(|item| (item, run)) }).boxed()
    }
}

/// Which files are read, in order.
enum Picked {
    All(Arc<Vec<ScanFile>>),
    /// Those at these places.
    Some(Arc<Vec<ScanFile>>, Arc<Vec<u32>>),
}

impl Picked {
    /// A file and its place among those of the plan.
    fn get(&self, at: usize) -> Option<(usize, &ScanFile)> {
        let (place, files) = match self {
            Self::All(files) => (at, files),
            Self::Some(files, places) => (usize::try_from(*places.get(at)?).ok()?, files),
        };
        Some((place, files.get(place)?))
    }
}

/// A scan in progress.
struct Run {
    shared: Arc<Shared>,
    files: Picked,
    next: usize,
    running: VecDeque<FileTask>,
    remaining: Option<u64>,
    options: ReadOptions,
}

impl Run {
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            if self.remaining == Some(0) {
                self.stop();
                return None;
            }
            while self.running.len() < self.options.concurrency.max(1) {
                let Some((place, file)) = self.files.get(self.next) else { break };
                let (file, rows) = ((place, file.clone()), self.remaining);
                self.next += 1;
                self.running.push_back(FileTask::start(Arc::clone(&self.shared), file, self.options.clone(), rows));
            }
            match self.running.front_mut()?.batches.recv().await {
                Some(Ok(Some((batch, _)))) => return Some(Ok(self.cut(batch))),
                Some(Ok(None)) => drop(self.running.pop_front()),
                Some(Err(error)) => {
                    self.stop();
                    return Some(Err(error));
                }
                None => {
                    self.stop();
                    return Some(Err(Error::internal("reading a data file was cut short")));
                }
            }
        }
    }

    fn cut(&mut self, batch: RecordBatch) -> RecordBatch {
        let Some(remaining) = &mut self.remaining else { return batch };
        let rows = batch.num_rows().min(usize::try_from(*remaining).unwrap_or(usize::MAX));
        *remaining -= rows as u64;
        if rows < batch.num_rows() { batch.slice(0, rows) } else { batch }
    }

    fn stop(&mut self) {
        self.running.clear();
        self.next = usize::MAX;
    }
}

/// What a file's task says: a batch with its part of the memory, that there are no more, or why it can't go on.
type Message = Result<Option<(RecordBatch, OwnedSemaphorePermit)>>;

/// Unit in which the memory of waiting batches is dealt out.
const UNIT_BYTES: usize = 1 << 10;

/// The task's end of the queue. Each file has memory of its own: files that are read ahead never starve the first.
struct Sender {
    queue: mpsc::Sender<Message>,
    budget: Arc<Semaphore>,
    budget_bytes: usize,
}

impl Sender {
    fn new(queue: mpsc::Sender<Message>, options: &ReadOptions) -> Self {
        let budget_bytes = (options.memory_bytes / options.concurrency.max(1)).max(UNIT_BYTES);
        let units = (budget_bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { queue, budget: Arc::new(Semaphore::new(units)), budget_bytes }
    }

    /// Waits for room; false when nobody listens any more.
    async fn send(&self, batch: RecordBatch) -> bool {
        let most = self.budget_bytes / UNIT_BYTES;
        let units = (batch.get_array_memory_size() / UNIT_BYTES).clamp(1, most);
        let Ok(units) = u32::try_from(units) else { return false };
        match Arc::clone(&self.budget).acquire_many_owned(units).await {
            Ok(room) => self.queue.send(Ok(Some((batch, room)))).await.is_ok(),
            Err(_) => false,
        }
    }
}

/// One file being read by a task of its own, which ends when this is dropped.
struct FileTask {
    batches: mpsc::Receiver<Message>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FileTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FileTask {
    fn start(shared: Arc<Shared>, (place, file): (usize, ScanFile), options: ReadOptions, limit: Option<u64>) -> Self {
        let (queue, batches) = mpsc::channel(WAITING_BATCHES);
        let sender = Sender::new(queue, &options);
        let task = tokio::spawn(async move {
            let work =
                AssertUnwindSafe(read_file(&shared, (place, &file), &options, limit, &sender)).catch_unwind().await;
            let last = match work {
                Ok(Ok(())) => Ok(None),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(Error::internal("reading a data file failed without a reason").with_object(file.path)),
            };
            // Nobody listens any more: nobody needs the last word either.
            let _ = sender.queue.send(last).await;
        });
        Self { batches, task }
    }
}

async fn read_file(
    shared: &Arc<Shared>,
    (place, file): (usize, &ScanFile),
    options: &ReadOptions,
    limit: Option<u64>,
    sender: &Sender,
) -> Result<()> {
    let root = &shared.table.root;
    let path = root.resolve(&file.path)?;
    let version = shared.table.version;
    let open = async {
        let opened = ParquetFile::open(root, &path, Some(file.size_bytes)).await;
        opened.map_err(|error| gone(error, version, &root.name_of(&path)))
    };
    let (parquet, vector) = futures::try_join!(open, deleted_rows(shared, file))?;
    let mut layout = Layout::new(shared, file, &parquet)?;
    let tracking = shared.table.row_tracking.as_ref();
    let row_ids = RowIds::new(&shared.row_ids, tracking, (place, file), &parquet, &mut layout);
    let (parquet, rows) = rows_to_read(shared, &layout, parquet, vector.as_ref()).await?;
    if rows.is_empty() {
        return Ok(());
    }
    // Deleted rows are decoded too, unless many follow each other.
    let deleted = vector.as_ref().map_or(0, DeletionVector::len);
    let most = limit.filter(|_| shared.predicate.is_none()).map(|rows| rows.saturating_add(deleted));
    let most = most.and_then(|rows| usize::try_from(rows).ok());
    let name = parquet.name().to_owned();
    let reader = parquet.read_rows(ReadColumns::Roots(layout.roots.clone()), &rows, options.batch_rows, most)?;
    let mut reader = reader.in_steps_of(sender.budget_bytes);
    let live = Arc::new(Mutex::new(LiveRows::new(rows, vector)));
    let (plan, decoded, filter) = (Arc::clone(shared), Arc::clone(&live), options.exact_filter);
    let finish = Arc::new(move |batch: RecordBatch| {
        let (batch, positions) = decoded.lock().unwrap_or_else(PoisonError::into_inner).of(batch, &name)?;
        let ids =
            if row_ids.is_empty() { Vec::new() } else { row_ids.columns(&batch, &layout.roots, &positions, &name)? };
        layout.finish(&plan, &name, &batch, ids, filter)
    });
    while let Some(batches) = reader.next(&finish).await.map_err(|e| gone(e, version, parquet.name()))? {
        for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            if !sender.send(batch).await {
                return Ok(());
            }
        }
    }
    if most.is_some() {
        return Ok(());
    }
    live.lock().unwrap_or_else(PoisonError::into_inner).check_end(parquet.name())
}

/// The rows that are decoded, and the file with an index of its pages where only some of those are.
async fn rows_to_read(
    shared: &Shared,
    layout: &Layout,
    mut parquet: ParquetFile,
    vector: Option<&DeletionVector>,
) -> Result<(ParquetFile, Vec<Range<u64>>)> {
    let mut rows = selection::all(parquet.num_rows());
    if let Some(predicate) = &shared.predicate {
        let stored = StoredFile { shared, layout, file: &parquet };
        // Statistics that the decoder stumbles over prove nothing.
        let groups = std::panic::catch_unwind(AssertUnwindSafe(|| row_groups::to_read(stored, predicate)));
        rows = groups.unwrap_or(rows);
        if let Some((indexed, narrowed)) = pages::narrow(stored, predicate, &rows).await {
            (parquet, rows) = (indexed, narrowed);
        }
    }
    if let Some(vector) = vector {
        selection::check(vector, parquet.num_rows(), parquet.name())?;
        rows = selection::without_long_runs(&rows, vector);
    }
    Ok((parquet, rows))
}

async fn deleted_rows(shared: &Shared, file: &ScanFile) -> Result<Option<DeletionVector>> {
    let Some(descriptor) = &file.deletion_vector else { return Ok(None) };
    read_deletion_vector(&shared.table.root, descriptor).await.map(Some)
}

/// A file that the log lists and the store lacks.
fn gone(error: Error, version: u64, name: &str) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    Error::not_found(format!("a data file of version {version} is gone"))
        .with_object(name)
        .with_hint("vacuum may have removed it: read a newer version, or restore the file from a backup")
}
