//! The rows of planned files as Arrow batches: several files at once, in order, filtered and cut to the limit.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc;

use super::layout::Layout;
use super::stored_bounds::StoredFile;
use super::{pages, row_groups};
use super::selection::{self, LiveRows};
use super::shared::Shared;
use super::{ScanFile, ScanPlan};
use crate::action::DeletionVector;
use crate::error::{Error, ErrorKind, Result};
use crate::store::read_deletion_vector;
use crate::store::parquet::{ParquetFile, ReadColumns};

/// Batches of a file that wait for the consumer.
const WAITING_BATCHES: usize = 4;

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
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { batch_rows: 8192, concurrency: 2, exact_filter: true }
    }
}

impl ScanPlan {
    /// The rows of all files, file by file in the plan's order, rows in the file's order.
    ///
    /// # Errors
    /// Each item can fail, and the stream ends there: `NotFound` for a data file that is gone, `Corrupt` for a
    /// damaged one, the store's own.
    pub fn stream(&self, options: ReadOptions) -> BoxStream<'static, Result<RecordBatch>> {
        self.run(Arc::clone(&self.files), options)
    }

    /// The rows of one file, no more than the limit.
    ///
    /// # Errors
    /// As [`ScanPlan::stream`].
    pub fn stream_file(&self, file: &ScanFile, options: ReadOptions) -> BoxStream<'static, Result<RecordBatch>> {
        self.run(Arc::new(vec![file.clone()]), options)
    }

    fn run(&self, files: Arc<Vec<ScanFile>>, options: ReadOptions) -> BoxStream<'static, Result<RecordBatch>> {
        let counts = self.shared.predicate.is_none() || options.exact_filter;
        let remaining = self.shared.limit.filter(|_| counts);
        let run =
            Run { shared: Arc::clone(&self.shared), files, next: 0, running: VecDeque::new(), remaining, options };
        stream::unfold(run, |mut run| async move { run.next().await.map(|item| (item, run)) }).boxed()
    }
}

/// A scan in progress.
struct Run {
    shared: Arc<Shared>,
    files: Arc<Vec<ScanFile>>,
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
            while self.running.len() < self.options.concurrency.max(1) && self.next < self.files.len() {
                let file = self.files[self.next].clone();
                self.next += 1;
                let rows = self.remaining;
                self.running.push_back(FileTask::start(Arc::clone(&self.shared), file, self.options.clone(), rows));
            }
            match self.running.front_mut()?.batches.recv().await {
                Some(Ok(Some(batch))) => return Some(Ok(self.cut(batch))),
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
        self.next = self.files.len();
    }
}

/// What a file's task says: a batch, that there are no more, or why it can't go on.
type Message = Result<Option<RecordBatch>>;

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
    fn start(shared: Arc<Shared>, file: ScanFile, options: ReadOptions, limit: Option<u64>) -> Self {
        let (sender, batches) = mpsc::channel(WAITING_BATCHES);
        let task = tokio::spawn(async move {
            let work = AssertUnwindSafe(read_file(&shared, &file, &options, limit, &sender)).catch_unwind().await;
            let last = match work {
                Ok(Ok(())) => Ok(None),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(Error::internal("reading a data file failed without a reason").with_object(file.path)),
            };
            // Nobody listens any more: nobody needs the last word either.
            let _ = sender.send(last).await;
        });
        Self { batches, task }
    }
}

async fn read_file(
    shared: &Arc<Shared>,
    file: &ScanFile,
    options: &ReadOptions,
    limit: Option<u64>,
    sender: &mpsc::Sender<Message>,
) -> Result<()> {
    let root = &shared.table.root;
    let path = root.resolve(&file.path)?;
    let version = shared.table.version;
    let open = async {
        let opened = ParquetFile::open(root, &path, Some(file.size_bytes)).await;
        opened.map_err(|error| gone(error, version, &root.name_of(&path)))
    };
    let (mut parquet, vector) = futures::try_join!(open, deleted_rows(shared, file))?;
    let layout = Layout::new(shared, file, &parquet)?;
    let mut rows = selection::all(parquet.num_rows());
    if let Some(predicate) = &shared.predicate {
        let stored = StoredFile { shared, layout: &layout, file: &parquet };
        // Statistics that the decoder stumbles over prove nothing.
        let groups = std::panic::catch_unwind(AssertUnwindSafe(|| row_groups::to_read(stored, predicate)));
        rows = groups.unwrap_or(rows);
        if let Some((indexed, narrowed)) = pages::narrow(stored, predicate, &rows).await {
            (parquet, rows) = (indexed, narrowed);
        }
    }
    if let Some(vector) = &vector {
        selection::check(vector, parquet.num_rows(), parquet.name())?;
        rows = selection::without_long_runs(&rows, vector);
    }
    if rows.is_empty() {
        return Ok(());
    }
    // Deleted rows are decoded too, unless many follow each other.
    let deleted = vector.as_ref().map_or(0, |vector| vector.len());
    let most = limit.filter(|_| shared.predicate.is_none()).map(|rows| rows.saturating_add(deleted));
    let most = most.and_then(|rows| usize::try_from(rows).ok());
    let mut reader = parquet.read_rows(ReadColumns::Roots(layout.roots.clone()), &rows, options.batch_rows, most)?;
    let (plan, name, filter) = (Arc::clone(shared), parquet.name().to_owned(), options.exact_filter);
    let live = vector.map(|vector| Mutex::new(LiveRows::new(rows, vector)));
    let finish = Arc::new(move |batch: RecordBatch| {
        let batch = match &live {
            Some(live) => live.lock().unwrap_or_else(PoisonError::into_inner).of(&batch, &name)?,
            None => batch,
        };
        layout.finish(&plan, &name, &batch, filter)
    });
    while let Some(batches) = reader.next(&finish).await.map_err(|e| gone(e, version, parquet.name()))? {
        for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            if sender.send(Ok(Some(batch))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn deleted_rows(shared: &Shared, file: &ScanFile) -> Result<Option<Arc<DeletionVector>>> {
    let Some(descriptor) = &file.deletion_vector else { return Ok(None) };
    Ok(Some(Arc::new(read_deletion_vector(&shared.table.root, descriptor).await?)))
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
