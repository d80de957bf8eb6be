//! Who does the work, and what work there is.

mod bare;
mod deltalake;
mod kernel;
mod lake;

pub use lake::range_request;

use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use clap::ValueEnum;
use lake_format::Durability;

use crate::Result;
use crate::measure::{Answer, Meter, Sample, quantile};
use crate::tables::row_batch;

/// An implementation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Peer {
    /// Ours.
    Lake,
    /// Ours, told not to wait for the disk.
    LakeVolatile,
    /// delta_kernel with its default engine.
    Kernel,
    /// The same, listing without the transforms of rows and without statistics.
    KernelBare,
    /// The deltalake crate.
    Deltalake,
    /// Its table for appends that read no file state.
    DeltalakeBlind,
    /// DataFusion on the data files, without a log.
    Datafusion,
    /// A Parquet file, a commit file and their fsyncs, and nothing else.
    Floor,
    /// The same without fsync.
    FloorVolatile,
}

/// One kind of work on one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Op {
    /// Open the table and list its live files.
    List,
    /// Open the table and find the files that a range of ids needs.
    Plan,
    /// The same, and read the rows.
    PlanRead,
    /// The last ten entries of the history.
    History,
    /// Append one row, with the table open already.
    Append,
    /// Write a checkpoint.
    Checkpoint,
    /// Append many times, one after the other.
    SmallAppends,
    /// One of the processes of a race.
    RaceWorker,
    /// Read every row.
    Scan,
    /// Read the rows of a range of ids.
    ScanRange,
}

/// What to do it on.
#[derive(Clone, Debug)]
pub struct Job {
    /// The table.
    pub table: PathBuf,
    /// An older version.
    pub version: Option<u64>,
    /// The ids wanted, both ends included.
    pub range: (i64, i64),
    /// Times.
    pub times: u64,
    /// Which of several writers.
    pub worker: u64,
    /// Whether all of each path counts in the answer. Such a run is not timed.
    pub check: bool,
}

impl Job {
    /// A look at a table, as it is now.
    pub fn on(table: &Path, check: bool) -> Self {
        Self { table: table.to_path_buf(), version: None, range: (0, 0), times: 1, worker: 0, check }
    }
}

/// Does it.
pub fn run(peer: Peer, op: Op, job: &Job) -> Result<Sample> {
    match peer {
        Peer::Lake => lake::run(op, job, Durability::Full),
        Peer::LakeVolatile => lake::run(op, job, Durability::None),
        Peer::Kernel | Peer::KernelBare => kernel::run(op, job, peer == Peer::KernelBare),
        Peer::Deltalake | Peer::DeltalakeBlind => deltalake::run(op, job, peer == Peer::DeltalakeBlind),
        Peer::Datafusion => bare::scan(op, job),
        Peer::Floor | Peer::FloorVolatile => bare::append(op, job, peer == Peer::Floor),
    }
}

/// The runtime of the peers that are asynchronous: a thread a processor.
fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn unsupported<T>(peer: &str, op: Op) -> Result<T> {
    Err(format!("{peer} has no work of the kind {op:?}").into())
}

/// The rows of a batch whose `id` is in the range, by their ids.
fn take_rows(answer: &mut Answer, batch: &RecordBatch, range: Option<(i64, i64)>) -> Result<()> {
    let ids = batch.column_by_name("id").ok_or("a column `id`")?;
    let ids = ids.as_primitive_opt::<Int64Type>().ok_or("`id` is a long")?;
    for id in ids.values() {
        if range.is_none_or(|(low, high)| (low..=high).contains(id)) {
            answer.take(*id as u64);
        }
    }
    // Every column was decoded, or the batch would have another length.
    debug_assert!(batch.columns().iter().all(|column| column.len() == ids.len()));
    Ok(())
}

/// Rows of one small append.
const APPEND_ROWS: u64 = 1_000;

/// The batch of append `i` of a worker.
fn small_batch(worker: u64, i: u64) -> Result<RecordBatch> {
    row_batch((worker * 1_000_000 + i) * APPEND_ROWS, APPEND_ROWS)
}

/// The figures of a run of appends, from the seconds that each took.
fn appends(meter: Meter, seconds: Vec<f64>, retries: u64) -> Sample {
    let count = seconds.len() as u64;
    let sample = meter.stop(Answer { count, sum: 0 });
    let per_second = count as f64 / sample.seconds;
    let (half, most) = (quantile(seconds.clone(), 0.5), quantile(seconds, 0.99));
    sample
        .with("per_second", per_second)
        .with("p50_ms", half * 1e3)
        .with("p99_ms", most * 1e3)
        .with("failed", retries as f64)
}

/// Says that this worker is ready, and waits for the word to begin.
fn wait_for_start() -> Result<()> {
    println!("ready");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(())
}
