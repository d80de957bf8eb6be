//! Reads the files of a plan and writes their rows anew: same rows, other files, nothing committed.

mod key_columns;
mod output;
mod pack;
mod sorted;
mod spill;
mod zorder;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, RecordBatch};
use futures::{StreamExt, stream};
use lake_format::action::Add;
use lake_format::protocol::TableProperties;
use lake_format::scan::{ReadOptions, ScanFile, ScanPlan, ScanRequest};
use lake_format::write::{DataWriter, WriteContext, Written};
use lake_format::{Error, Result, Snapshot, TableRoot};

use crate::plan::FileGroup;
use crate::policy::FileSizes;

pub use key_columns::KeyColumns;

/// Rows of a batch, at most and at least.
const BATCH_ROWS: u64 = 8192;
const LEAST_BATCH_ROWS: u64 = 64;

/// Bytes in memory for a byte in a file, by experience.
const UNPACKED: u64 = 6;

/// With less, a writer ends files before they are full: parts of an upload alone take a quarter of this.
const LEAST_WRITER_BYTES: usize = 32 << 20;

/// How far a writer's guess at the size of a file may be above what it comes to.
const GUESSES_OFF_BY: u64 = 8;

/// One group of files and what came of it.
#[derive(Clone, Debug)]
pub struct Rewritten {
    /// The files whose rows these are.
    pub group: FileGroup,
    /// The new files.
    pub written: Written,
}

/// What every rewrite of a run goes by.
#[derive(Clone, Debug)]
pub struct Rewriter {
    snapshot: Arc<Snapshot>,
    properties: TableProperties,
    keys: Option<KeyColumns>,
    sizes: FileSizes,
    /// Of one rewrite.
    memory_bytes: usize,
    concurrent: usize,
    spill_dir: PathBuf,
    stop: Arc<AtomicBool>,
}

impl Rewriter {
    /// Rewrites of files of `snapshot`: merged as they are, or ordered by `keys`. `memory_bytes` is shared by
    /// `concurrent` rewrites at once; what does not fit goes to files in `spill_dir`.
    pub fn new(
        snapshot: &Arc<Snapshot>,
        keys: Option<KeyColumns>,
        sizes: FileSizes,
        memory_bytes: usize,
        concurrent: usize,
        spill_dir: PathBuf,
    ) -> Self {
        let properties = match &keys {
            Some(keys) => keys.with_statistics(snapshot),
            None => snapshot.properties().clone(),
        };
        let concurrent = concurrent.max(1);
        Self {
            snapshot: Arc::clone(snapshot),
            properties,
            keys,
            sizes,
            memory_bytes: memory_bytes / concurrent,
            concurrent,
            spill_dir,
            stop: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Rewrites every group. All of them, or none: after a failure no new file is left.
    ///
    /// # Errors
    /// The first failure: `NotFound` or `Corrupt` for a data file, `Invalid` for rows that break the table's own
    /// rules, the store's and the disk's own.
    pub async fn run(&self, groups: Vec<FileGroup>) -> Result<Vec<Rewritten>> {
        let mut running = stream::iter(groups).map(|group| self.rewrite(group)).buffered(self.concurrent);
        let (mut done, mut failed) = (Vec::new(), None);
        while let Some(result) = running.next().await {
            match result {
                Ok(rewritten) => done.push(rewritten),
                Err(error) => {
                    // Those still running see this, and take back what they wrote.
                    self.stop.store(true, Ordering::Relaxed);
                    failed.get_or_insert(error);
                }
            }
        }
        let Some(error) = failed else { return Ok(done) };
        for rewritten in &done {
            discard(self.snapshot.root(), &rewritten.written.adds).await;
        }
        Err(error)
    }

    async fn rewrite(&self, group: FileGroup) -> Result<Rewritten> {
        self.go_on()?;
        let written = match &self.keys {
            Some(keys) => self.zorder(&group, keys).await?,
            None => self.pack(&group).await?,
        };
        Ok(Rewritten { group, written })
    }

    /// Fails once another rewrite of the run has failed.
    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(Error::internal("a rewrite was stopped because another one failed"));
        }
        Ok(())
    }

    /// A scan of the files' `columns`, all when `None`.
    fn scan(&self, group: &FileGroup, columns: Option<Vec<String>>) -> Result<ScanPlan> {
        let request = ScanRequest { columns, ..ScanRequest::default() };
        let files = group.files.iter().map(|add| ScanFile::of(add)).collect::<Result<_>>()?;
        ScanPlan::of_files(self.snapshot.scan_table(), &request, files)
    }

    /// Batches small enough that those in flight take little of the memory, even where rows are wide.
    fn read_options(&self, group: &FileGroup) -> ReadOptions {
        let rows = group.files.iter().filter_map(|add| {
            let stats = lake_format::action::stats::Stats::parse(add.stats.as_deref()?)?;
            Some((u64::try_from(stats.num_records?).ok()?, u64::try_from(add.size).ok()?))
        });
        let (rows, bytes) = rows.fold((0_u64, 0_u64), |sum, one| (sum.0 + one.0, sum.1.saturating_add(one.1)));
        let row_bytes = bytes.saturating_mul(UNPACKED) / rows.max(1);
        let fitting = (self.memory_bytes as u64 / 16) / row_bytes.max(1);
        let batch_rows =
            usize::try_from(fitting.clamp(LEAST_BATCH_ROWS, BATCH_ROWS)).unwrap_or(LEAST_BATCH_ROWS as usize);
        let usual = ReadOptions::default();
        ReadOptions { batch_rows, memory_bytes: usual.memory_bytes.min(self.memory_bytes / 8), ..usual }
    }

    /// Where a writer ends a file by itself. The plan has chosen the rows of each file by the sizes that the log gives,
    /// and a writer only guesses at the size of what it has not compressed yet: it steps in where those are wrong.
    fn most_file_bytes(&self, group: &FileGroup) -> u64 {
        let known = group.files.iter().all(|add| add.size > 0);
        self.sizes.target_bytes.saturating_mul(if known { GUESSES_OFF_BY } else { 1 })
    }

    /// A writer of rows that were in the table before, whose files end at `file_bytes`.
    fn writer(&self, file_bytes: u64) -> Result<DataWriter> {
        let properties = TableProperties { target_file_size_bytes: file_bytes.max(1), ..self.properties.clone() };
        let mut context = WriteContext::new(
            self.snapshot.root().clone(),
            Arc::clone(self.snapshot.schema()),
            self.snapshot.partition_columns().to_vec(),
            properties,
            Arc::clone(self.snapshot.clock()),
        );
        context.data_change = false;
        context.clustering_columns = self.snapshot.clustering_columns();
        context.max_buffered_bytes = (self.memory_bytes / 8).max(LEAST_WRITER_BYTES);
        DataWriter::new(context)
    }
}

/// Deletes files that no commit can name. What can't be deleted is left to vacuum.
pub async fn discard(root: &TableRoot, adds: &[Add]) {
    for add in adds {
        let deleted = match root.resolve(&add.path) {
            Ok(path) => root.delete(&path).await,
            Err(error) => Err(error),
        };
        if let Err(error) = deleted {
            tracing::warn!(file = %add.path, %error, "a file of an abandoned rewrite stays until vacuum");
        }
    }
}

/// Refuses to go on when rows were lost or doubled on the way.
fn check_rows(read: u64, written: &Written) -> Result<()> {
    if read == written.rows {
        return Ok(());
    }
    Err(Error::internal(format!("{read} rows were read, but {} were written; nothing was changed", written.rows)))
}

/// Bytes of the rows of a batch, not of the buffers that it shares.
fn batch_bytes(batch: &RecordBatch) -> usize {
    let bytes = |array: &arrow::array::ArrayRef| {
        array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
    };
    batch.columns().iter().map(bytes).sum()
}

/// Runs work that keeps a processor or the disk busy on a thread made for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::internal("sorting rows was cut short").with_source(e))?
}
