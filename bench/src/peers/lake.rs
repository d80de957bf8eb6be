//! Lake, by the public API of `lake-format`.

use std::sync::Arc;
use std::time::Instant;

use futures::TryStreamExt;
use lake_format::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use lake_format::operation::Input;
use lake_format::scan::ReadOptions;
use lake_format::{
    AppendOptions, At, Durability, ScanRequest, Snapshot, StoreOptions, SystemClock, Table, TableRoot, WriteOutcome,
};

use super::{Job, Op, appends, runtime, small_batch, take_rows, wait_for_start};
use crate::Result;
use crate::measure::{Answer, Meter, Sample};
use crate::tables::one_row;

/// Does it.
pub fn run(op: Op, job: &Job, durability: Durability) -> Result<Sample> {
    let work = async {
        match op {
            Op::List => list(job).await,
            Op::Plan | Op::PlanRead => plan(job, op == Op::PlanRead).await,
            Op::History => history(job).await,
            Op::Append => append(job, durability).await,
            Op::Checkpoint => checkpoint(job).await,
            Op::SmallAppends => small_appends(job, durability).await,
            Op::RaceWorker => {
                wait_for_start()?;
                small_appends(job, durability).await
            }
            Op::Scan => scan(job, &ScanRequest::default()).await,
            Op::ScanRange => scan(job, &request(job)).await,
        }
    };
    runtime()?.block_on(work)
}

fn root(job: &Job) -> Result<TableRoot> {
    root_for(job, Durability::default())
}

fn root_for(job: &Job, durability: Durability) -> Result<TableRoot> {
    let options = StoreOptions { durability: Some(durability), ..StoreOptions::default() };
    Ok(TableRoot::open(&job.table.to_string_lossy(), &options)?)
}

async fn open(job: &Job) -> Result<Snapshot> {
    let at = job.version.map_or(At::Latest, At::Version);
    Ok(Snapshot::load(root(job)?, at, SystemClock::shared()).await?)
}

/// The rows of the range.
pub fn request(job: &Job) -> ScanRequest {
    range_request(job.range)
}

/// The rows whose `id` is in a range, both ends included.
pub fn range_request(range: (i64, i64)) -> ScanRequest {
    let compare = |op, value| Predicate::Compare { column: ColumnPath::top("id"), op, value: Scalar::Long(value) };
    let both = vec![compare(CompareOp::GtEq, range.0), compare(CompareOp::LtEq, range.1)];
    ScanRequest { predicate: Some(Predicate::And(both)), ..ScanRequest::default() }
}

async fn list(job: &Job) -> Result<Sample> {
    let meter = Meter::start();
    let snapshot = open(job).await?;
    let plan = snapshot.plan_scan(&ScanRequest::default()).await?;
    let mut answer = Answer::default();
    for file in plan.files.iter() {
        answer.file(file.path(), file.size_bytes() as i64, job.check);
    }
    Ok(meter.stop(answer))
}

async fn plan(job: &Job, read: bool) -> Result<Sample> {
    let meter = Meter::start();
    let begin = Instant::now();
    let snapshot = open(job).await?;
    let opened = begin.elapsed();
    let plan = snapshot.plan_scan(&request(job)).await?;
    let planned = begin.elapsed();
    let mut answer = Answer::default();
    if read {
        let mut rows = plan.stream(ReadOptions::default());
        while let Some(batch) = rows.try_next().await? {
            take_rows(&mut answer, &batch, None)?;
        }
    } else {
        for file in plan.files.iter() {
            answer.file(file.path(), file.size_bytes() as i64, job.check);
        }
    }
    let sample = meter.stop(answer);
    Ok(sample.with("open_ms", opened.as_secs_f64() * 1e3).with("plan_ms", (planned - opened).as_secs_f64() * 1e3))
}

async fn history(job: &Job) -> Result<Sample> {
    let meter = Meter::start();
    let table = Table::open(root(job)?, SystemClock::shared()).await?;
    let mut answer = Answer::default();
    for entry in table.history(10).await? {
        answer.take(entry.version);
    }
    Ok(meter.stop(answer))
}

fn version(outcome: WriteOutcome) -> Result<u64> {
    match outcome {
        WriteOutcome::Committed(report, _) => Ok(report.version),
        other => Err(format!("not committed: {other:?}").into()),
    }
}

async fn append(job: &Job, durability: Durability) -> Result<Sample> {
    let begin = Instant::now();
    let mut table = Table::open(root_for(job, durability)?, SystemClock::shared()).await?;
    let opened = begin.elapsed();
    let batch = one_row()?;
    let meter = Meter::start();
    let done = table.append(&AppendOptions::default(), Input::from_batches(batch.schema(), vec![batch])).await?;
    let sample = meter.stop(Answer { count: version(done)?, sum: 0 });
    let by_path = opened.as_secs_f64() + sample.seconds;
    Ok(sample.with("open_ms", opened.as_secs_f64() * 1e3).with("by_path_ms", by_path * 1e3))
}

async fn checkpoint(job: &Job) -> Result<Sample> {
    let snapshot = open(job).await?;
    let meter = Meter::start();
    snapshot.write_checkpoint().await?;
    Ok(meter.stop(Answer { count: snapshot.version(), sum: 0 }))
}

async fn small_appends(job: &Job, durability: Durability) -> Result<Sample> {
    let mut table = Table::open(root_for(job, durability)?, SystemClock::shared()).await?;
    table.checkpoint_aside();
    let batches = (0..job.times).map(|i| small_batch(job.worker, i)).collect::<Result<Vec<_>>>()?;
    let (mut seconds, mut failed) = (Vec::new(), 0);
    let meter = Meter::start();
    for batch in batches {
        let begin = Instant::now();
        loop {
            let input = Input::from_batches(batch.schema(), vec![batch.clone()]);
            match table.append(&AppendOptions::default(), input).await {
                Ok(outcome) => {
                    version(outcome)?;
                    break;
                }
                Err(_) if failed < 1_000 => failed += 1,
                Err(error) => return Err(error.into()),
            }
        }
        seconds.push(begin.elapsed().as_secs_f64());
    }
    // The checkpoint on its way is part of the work.
    table.settle().await;
    Ok(appends(meter, seconds, failed))
}

async fn scan(job: &Job, request: &ScanRequest) -> Result<Sample> {
    let meter = Meter::start();
    let snapshot = Arc::new(open(job).await?);
    let mut rows = snapshot.plan_scan(request).await?.stream(ReadOptions::default());
    let mut answer = Answer::default();
    while let Some(batch) = rows.try_next().await? {
        take_rows(&mut answer, &batch, None)?;
    }
    Ok(meter.stop(answer))
}
