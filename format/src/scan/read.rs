//! The rows of planned files as Arrow batches: several files at once, in order, filtered and cut to the limit.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_select::filter::filter_record_batch;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, stream};
use tokio::sync::mpsc;

use super::adapt::{Adapter, Origin, position};
use super::plan::Shared;
use super::prune::partition_text;
use super::row_groups;
use super::{ScanFile, ScanPlan};
use crate::action::partition_value;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::{Scalar, constant_array, evaluate};
use crate::schema::DataType;
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
    let opened = ParquetFile::open(root, &path, Some(file.size_bytes)).await;
    let parquet = opened.map_err(|error| gone(error, shared.table.version, &root.name_of(&path)))?;
    let layout = Layout::new(shared, file, &parquet)?;
    let groups = row_groups::to_read(shared, &layout, &parquet);
    if groups.as_ref().is_some_and(Vec::is_empty) {
        return Ok(());
    }
    let rows = limit.filter(|_| shared.predicate.is_none()).and_then(|rows| usize::try_from(rows).ok());
    let mut reader = parquet.read(ReadColumns::Roots(layout.roots.clone()), groups, options.batch_rows, rows)?;
    let (plan, name, filter) = (Arc::clone(shared), parquet.name().to_owned(), options.exact_filter);
    let finish = Arc::new(move |batch: RecordBatch| layout.finish(&plan, &name, &batch, filter));
    let version = shared.table.version;
    while let Some(batches) = reader.next(&finish).await.map_err(|e| gone(e, version, parquet.name()))? {
        for batch in batches.into_iter().filter(|batch| batch.num_rows() > 0) {
            if sender.send(Ok(Some(batch))).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
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

/// Where the needed columns of one file come from.
pub(super) struct Layout {
    /// One per needed column.
    pub(super) columns: Vec<Stored>,
    /// Top-level columns of the file to be decoded, ascending.
    roots: Vec<usize>,
}

/// Where one column comes from.
pub(super) enum Stored {
    /// A top-level column of the file.
    Root(usize),
    /// The log: a partition value.
    Constant(Scalar),
    /// Nowhere: the file is older than the column. Null.
    Missing,
}

impl Layout {
    fn new(shared: &Shared, file: &ScanFile, parquet: &ParquetFile) -> Result<Self> {
        let mut columns = Vec::with_capacity(shared.needed.len());
        for &at in &shared.needed {
            let field = &shared.table.schema.fields[at];
            columns.push(match &field.data_type {
                DataType::Primitive(primitive) if shared.is_partition(at) => {
                    let text = partition_text(&file.partition_values, &field.name);
                    let value = partition_value::parse(text, primitive);
                    Stored::Constant(value.map_err(|e| e.with_object(format!("{} of {}", field.name, file.path)))?)
                }
                DataType::Void => Stored::Missing,
                _ => match position(parquet.arrow_schema().fields(), &field.name) {
                    Ok(Some(root)) => Stored::Root(root),
                    Ok(None) => Stored::Missing,
                    Err(count) => {
                        let message = format!("{count} columns of a data file are called {:?}", field.name);
                        return Err(Error::corrupt(message).with_object(parquet.name()));
                    }
                },
            });
        }
        let stored = columns.iter().filter_map(|column| match column {
            Stored::Root(root) => Some(*root),
            _ => None,
        });
        let mut roots: Vec<usize> = stored.collect();
        roots.sort_unstable();
        roots.dedup();
        Ok(Self { columns, roots })
    }

    /// A decoded batch as the scan's own: columns in place and of the table's types, rows filtered.
    fn finish(&self, shared: &Shared, name: &str, batch: &RecordBatch, filter: bool) -> Result<RecordBatch> {
        let rows = batch.num_rows();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for ((stored, &at), target) in self.columns.iter().zip(&shared.needed).zip(shared.needed_schema.fields()) {
            let field = &shared.table.schema.fields[at];
            columns.push(match stored {
                Stored::Constant(value) => constant_array(value, target.data_type(), rows)?,
                Stored::Missing => new_null_array(target.data_type(), rows),
                Stored::Root(root) => {
                    let Ok(at) = self.roots.binary_search(root) else {
                        return Err(Error::internal("a column was not decoded").with_object(name));
                    };
                    let mut adapter = Adapter::new(Origin::File(name));
                    adapter.column(&field.name, batch.column(at), &field.data_type, target.data_type())?
                }
            });
        }
        let whole = build(&shared.needed_schema, columns, rows, name)?;
        let kept = match &shared.predicate {
            Some(predicate) if filter => {
                let mask = evaluate(predicate, &whole)?;
                filter_record_batch(&whole, &mask)
                    .map_err(|e| Error::internal("rows could not be filtered").with_source(e))?
            }
            _ => whole,
        };
        let wanted = shared.output.fields().len();
        if wanted == kept.num_columns() {
            return Ok(kept);
        }
        build(&shared.output, kept.columns()[..wanted].to_vec(), kept.num_rows(), name)
    }
}

fn build(schema: &arrow_schema::SchemaRef, columns: Vec<ArrayRef>, rows: usize, name: &str) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .map_err(|e| Error::corrupt("a data file's columns do not fit together").with_object(name).with_source(e))
}
