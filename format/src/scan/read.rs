//! The rows of planned files as Arrow batches: several files at once, in order, filtered and cut to the limit.

use std::collections::VecDeque;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::RecordBatch;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryFutureExt, stream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::files::PlannedFiles;
use super::late::{Condition, Selectivity};
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

/// Parts of a file that wait for the consumer, at most: their bytes are what is limited.
const WAITING_PARTS: usize = 256;
/// Memory that stands for one file that is fetched ahead.
const AHEAD_BYTES: usize = 8 << 20;
/// Files of a local disk that are fetched ahead: its reads take no time to begin.
const AHEAD_LOCAL: usize = 2;
/// With a condition that leaves at most one row in so many, the index of pages is worth a look.
const FEW_ROWS: u64 = 64;

/// How files are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Rows per batch, at most.
    pub batch_rows: usize,
    /// Files decoded at once.
    pub concurrency: usize,
    /// Files behind those that are opened and whose first bytes are fetched meanwhile, at most: fewer where there is
    /// little memory or a limit, and on a local disk.
    pub prefetch_files: usize,
    /// Whether rows that fail the predicate are dropped. When false only whole row groups are, the caller filters,
    /// and the limit is left to it wherever there is a predicate.
    pub exact_filter: bool,
    /// Bytes of decoded batches that wait for the consumer, shared by the files read at once. A batch that is larger
    /// than a file's share waits alone.
    pub memory_bytes: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self { batch_rows: 8192, concurrency: 2, prefetch_files: 4, exact_filter: true, memory_bytes: 32 << 20 }
    }
}

impl ScanPlan {
    /// The rows of all files, file by file in the plan's order, rows in the file's order.
    ///
    /// # Errors
    /// Each item can fail, and the stream ends there: `NotFound` for a data file that is gone, `Corrupt` for a
    /// damaged one, the store's own.
    pub fn stream(&self, options: ReadOptions) -> BoxStream<'static, Result<RecordBatch>> {
        self.run(Picked::All(self.files.clone()), options)
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
        self.run(Picked::Some(self.files.clone(), picked), options)
    }

    /// The rows of one file, no more than the limit.
    ///
    /// # Errors
    /// As [`ScanPlan::stream`].
    pub fn stream_file(&self, file: &ScanFile, options: ReadOptions) -> BoxStream<'static, Result<RecordBatch>> {
        self.run(Picked::All(PlannedFiles::of(vec![file.clone()])), options)
    }

    fn run(&self, files: Picked, options: ReadOptions) -> BoxStream<'static, Result<RecordBatch>> {
        let counts = self.shared.predicate.is_none() || options.exact_filter;
        let remaining = self.shared.limit.filter(|_| counts);
        let scan = Arc::new(Scan { shared: Arc::clone(&self.shared), options, measured: Selectivity::default() });
        let run = Run { scan, files, next: 0, running: VecDeque::new(), ready: VecDeque::new(), remaining };
        stream::unfold(run, |mut run| async move { run.next().await.map(|item| (item, run)) }).boxed()
    }
}

/// Which files are read, in order.
enum Picked {
    All(PlannedFiles),
    /// Those at these places.
    Some(PlannedFiles, Arc<Vec<u32>>),
}

impl Picked {
    /// A file and its place among those of the plan.
    fn get(&self, at: usize) -> Option<(usize, ScanFile)> {
        let (place, files) = match self {
            Self::All(files) => (at, files),
            Self::Some(files, places) => (usize::try_from(*places.get(at)?).ok()?, files),
        };
        Some((place, files.get(place)?.to_file()))
    }
}

/// What the files of one scan share.
struct Scan {
    shared: Arc<Shared>,
    options: ReadOptions,
    measured: Selectivity,
}

impl Scan {
    fn concurrency(&self) -> usize {
        self.options.concurrency.max(1)
    }

    /// Files that are begun before their turn.
    fn ahead(&self) -> usize {
        let most = if self.shared.table.root.is_local() { AHEAD_LOCAL } else { usize::MAX };
        self.options.prefetch_files.min(self.options.memory_bytes / AHEAD_BYTES).min(most)
    }
}

/// A scan in progress.
struct Run {
    scan: Arc<Scan>,
    files: Picked,
    next: usize,
    running: VecDeque<FileTask>,
    ready: VecDeque<RecordBatch>,
    remaining: Option<u64>,
}

impl Run {
    async fn next(&mut self) -> Option<Result<RecordBatch>> {
        loop {
            if self.remaining == Some(0) {
                self.stop();
                return None;
            }
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(self.cut(batch)));
            }
            self.start();
            match self.running.front_mut()?.batches.recv().await {
                Some(Ok(Some((batches, _)))) => self.ready.extend(batches),
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

    /// Begins the next files, and lets the first ones be decoded.
    fn start(&mut self) {
        let at_once = self.scan.concurrency();
        // With a limit those behind may never be needed.
        let most = at_once + if self.remaining.is_none() { self.scan.ahead() } else { 0 };
        while self.running.len() < most {
            let Some(file) = self.files.get(self.next) else { break };
            self.next += 1;
            // With nothing behind it there are threads to spare.
            let alone = at_once == 1 || self.files.get(self.next).is_none();
            self.running.push_back(FileTask::start(Arc::clone(&self.scan), file, self.remaining, alone));
        }
        // Those that were decoded and wait for the consumer alone keep nobody from his turn.
        let undone = self.running.iter().filter(|task| !task.task.is_finished());
        undone.take(at_once).for_each(|task| task.give_turn(Turn::Decoded));
        if let Some(first) = self.running.front() {
            first.give_turn(Turn::First);
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
        self.ready.clear();
        self.next = usize::MAX;
    }
}

/// What a file's task says: batches with their part of the memory, that there are no more, or why it can't go on.
type Message = Result<Option<(Vec<RecordBatch>, OwnedSemaphorePermit)>>;

/// Unit in which the memory of waiting batches is dealt out.
const UNIT_BYTES: usize = 1 << 10;

/// The task's end of the queue. Each file has memory of its own: files that are read ahead never starve the first.
struct Sender {
    queue: mpsc::Sender<Message>,
    budget: Arc<Semaphore>,
    budget_bytes: usize,
}

impl Sender {
    fn new(queue: mpsc::Sender<Message>, bytes: usize) -> Self {
        let budget_bytes = bytes.max(UNIT_BYTES);
        let units = (budget_bytes / UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { queue, budget: Arc::new(Semaphore::new(units)), budget_bytes }
    }

    /// Waits for room; false when nobody listens any more.
    async fn send(&self, batches: Vec<RecordBatch>) -> bool {
        let most = self.budget_bytes / UNIT_BYTES;
        let bytes = batches.iter().map(RecordBatch::get_array_memory_size).fold(0, usize::saturating_add);
        let Ok(units) = u32::try_from((bytes / UNIT_BYTES).clamp(1, most)) else { return false };
        match Arc::clone(&self.budget).acquire_many_owned(units).await {
            Ok(room) => self.queue.send(Ok(Some((batches, room)))).await.is_ok(),
            Err(_) => false,
        }
    }
}

/// One file being read by a task of its own, which ends when this is dropped.
struct FileTask {
    batches: mpsc::Receiver<Message>,
    turn: watch::Sender<Turn>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for FileTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FileTask {
    fn start(scan: Arc<Scan>, (place, file): (usize, ScanFile), limit: Option<u64>, alone: bool) -> Self {
        let (queue, batches) = mpsc::channel(WAITING_PARTS);
        let (turn, turn_comes) = watch::channel(Turn::Ahead);
        let sender = Sender::new(queue, scan.options.memory_bytes / (scan.concurrency() + scan.ahead()));
        let task = tokio::spawn(async move {
            let mut work = FileWork { scan, place, file, limit, alone, turn: turn_comes, sender, has_sent: false };
            let done = AssertUnwindSafe(work.run()).catch_unwind().await;
            let last = match done {
                Ok(Ok(())) => Ok(None),
                Ok(Err(error)) => Err(error),
                Err(_) => {
                    Err(Error::internal("reading a data file failed without a reason").with_object(work.file.path))
                }
            };
            // Nobody listens any more: nobody needs the last word either.
            let _ = work.sender.queue.send(last).await;
        });
        Self { batches, turn, task }
    }

    fn give_turn(&self, given: Turn) {
        self.turn.send_if_modified(|turn| {
            let is_more = *turn < given;
            *turn = given.max(*turn);
            is_more
        });
    }
}

/// How far a file has come to the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// It is opened and fetched, no more.
    Ahead,
    /// It is decoded, beside others.
    Decoded,
    /// Its batches are those that the consumer waits for.
    First,
}

/// The reading of one file.
struct FileWork {
    scan: Arc<Scan>,
    /// Place of the file in the plan.
    place: usize,
    file: ScanFile,
    limit: Option<u64>,
    alone: bool,
    turn: watch::Receiver<Turn>,
    sender: Sender,
    has_sent: bool,
}

impl FileWork {
    async fn run(&mut self) -> Result<()> {
        let root = self.scan.shared.table.root.clone();
        let path = root.resolve(&self.file.path)?;
        let (version, name) = (self.scan.shared.table.version, root.name_of(&path));
        let open = ParquetFile::open_known(&root, &path, self.file.size_bytes).map_err(|e| gone(e, version, &name));
        let (parquet, vector) = futures::try_join!(open, deleted_rows(&self.scan.shared, &self.file))?;
        let done = self.read(parquet.clone(), vector.clone()).await;
        // Not read on with another file's footer, but from the beginning as it is now (SCN-11).
        if done.is_err() && parquet.was_replaced() && !self.has_sent {
            let opened = ParquetFile::open_known(&root, &path, self.file.size_bytes).await;
            return self.read(opened.map_err(|e| gone(e, version, &name))?, vector).await;
        }
        done
    }

    async fn read(&mut self, parquet: ParquetFile, vector: Option<DeletionVector>) -> Result<()> {
        let scan = Arc::clone(&self.scan);
        let (shared, options, version) = (&scan.shared, &scan.options, scan.shared.table.version);
        let mut layout = Layout::new(shared, &self.file, &parquet)?;
        let tracking = shared.table.row_tracking.as_ref();
        let row_ids = RowIds::new(&shared.row_ids, tracking, (self.place, &self.file), &parquet, &mut layout);
        let (parquet, rows) = rows_to_read(shared, &layout, parquet, vector.as_ref()).await?;
        let (parquet, rows) =
            self.passing(&layout, parquet, rows).await.map_err(|e| gone(e, version, &self.file.path))?;
        if rows.is_empty() {
            return Ok(());
        }
        // Deleted rows are decoded too, unless many follow each other.
        let deleted = vector.as_ref().map_or(0, DeletionVector::len);
        let most = self.limit.filter(|_| shared.predicate.is_none()).map(|rows| rows.saturating_add(deleted));
        let most = most.and_then(|rows| usize::try_from(rows).ok());
        let name = parquet.name().to_owned();
        let reader = parquet.read_rows(ReadColumns::Roots(layout.roots.clone()), &rows, options.batch_rows, most)?;
        let mut reader = reader.in_steps_of(self.sender.budget_bytes).with_views();
        if !self.alone {
            reader = reader.on_one_thread();
        }
        reader.begin();
        if !self.has_turn(&parquet, &layout.roots).await {
            return Ok(());
        }
        let live = Arc::new(Mutex::new(LiveRows::new(rows, vector)));
        let (plan, decoded, filter) = (Arc::clone(shared), Arc::clone(&live), options.exact_filter);
        let finish = Arc::new(move |batch: RecordBatch| {
            let (batch, positions) = decoded.lock().unwrap_or_else(PoisonError::into_inner).of(batch, &name)?;
            let ids = if row_ids.is_empty() {
                Vec::new()
            } else {
                row_ids.columns(&batch, &layout.roots, &positions, &name)?
            };
            layout.finish(&plan, &name, &batch, ids, filter)
        });
        while let Some(mut batches) = reader.next(&finish).await.map_err(|e| gone(e, version, parquet.name()))? {
            batches.retain(|batch| batch.num_rows() > 0);
            self.has_sent |= !batches.is_empty();
            if !batches.is_empty() && !self.sender.send(batches).await {
                return Ok(());
            }
        }
        if most.is_some() {
            return Ok(());
        }
        live.lock().unwrap_or_else(PoisonError::into_inner).check_end(parquet.name())
    }

    /// Narrows `rows` to those that pass the condition, and few others, where that pays: the other columns are then
    /// decoded for these alone.
    async fn passing(
        &mut self,
        layout: &Layout,
        parquet: ParquetFile,
        rows: Vec<Range<u64>>,
    ) -> Result<(ParquetFile, Vec<Range<u64>>)> {
        let scan = Arc::clone(&self.scan);
        let (shared, measured) = (&scan.shared, &scan.measured);
        if !scan.options.exact_filter || self.limit.is_some() || rows.is_empty() {
            return Ok((parquet, rows));
        }
        let Some(condition) = Condition::of(shared, layout, &self.file, &parquet, &rows, measured) else {
            return Ok((parquet, rows));
        };
        let judging = condition.begin(&parquet, &rows, scan.options.batch_rows)?;
        if !self.has_turn(&parquet, &layout.roots).await {
            return Ok((parquet, Vec::new()));
        }
        // What the files before this one measured counts.
        let Some(kept) = judging.passing(measured).await? else {
            return Ok((parquet, rows));
        };
        let count = |rows: &[Range<u64>]| rows.iter().map(|range| range.end - range.start).sum::<u64>();
        if !kept.is_empty() && count(&kept) <= count(&rows) / FEW_ROWS {
            let bytes = pages::bytes_to_read(StoredFile { shared, layout, file: &parquet }, &kept);
            if let Some(indexed) = parquet.with_page_index(bytes / pages::WORTH).await {
                return Ok((indexed, kept));
            }
        }
        Ok((parquet, kept))
    }

    /// Waits until it is this file's turn to be decoded; false when nobody wants it any more. Files with huge values are
    /// decoded one at a time.
    async fn has_turn(&mut self, parquet: &ParquetFile, roots: &[usize]) -> bool {
        let least = if parquet.has_huge_values(roots) { Turn::First } else { Turn::Decoded };
        self.turn.wait_for(|turn| *turn >= least).await.is_ok()
    }
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
