//! delta_kernel and its default engine.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use delta_kernel::engine::arrow_data::{ArrowEngineData, EngineDataArrowExt};
use delta_kernel::expressions::{Expression, Predicate};
use delta_kernel::scan::state::ScanFile;
use delta_kernel::scan::{Scan, StatsOptions};
use delta_kernel::{Engine, Snapshot, SnapshotRef, try_parse_uri};
use delta_kernel_default_engine::DefaultEngineBuilder;
use delta_kernel_default_engine::executor::tokio::TokioMultiThreadExecutor;
use delta_kernel_default_engine::storage::store_from_url;

use super::{Job, Op, runtime, take_rows, unsupported};
use crate::Result;
use crate::measure::{Answer, Meter, Sample};

/// Does it.
pub fn run(op: Op, job: &Job, bare: bool) -> Result<Sample> {
    match op {
        Op::List => list(job, bare),
        Op::Plan | Op::PlanRead => plan(job, op == Op::PlanRead, bare),
        Op::Checkpoint => checkpoint(job),
        Op::Scan => rows(job, false),
        Op::ScanRange => rows(job, true),
        _ => unsupported("delta_kernel", op),
    }
}

fn engine(job: &Job) -> Result<Arc<dyn Engine>> {
    let url = try_parse_uri(job.table.to_string_lossy())?;
    Ok(Arc::new(DefaultEngineBuilder::new(store_from_url(&url)?).build()))
}

fn open(job: &Job, engine: &dyn Engine) -> Result<SnapshotRef> {
    let mut builder = Snapshot::builder_for(try_parse_uri(job.table.to_string_lossy())?);
    if let Some(version) = job.version {
        builder = builder.at_version(version);
    }
    Ok(builder.build(engine)?)
}

fn predicate(job: &Job) -> Predicate {
    let id = || Expression::column(["id"]);
    let from = Predicate::ge(id(), Expression::literal(job.range.0));
    Predicate::and(from, Predicate::le(id(), Expression::literal(job.range.1)))
}

/// The files of a scan: by the kernel's visitor, as its callers do, or from its columns as they are.
fn files(scan: &Scan, engine: &dyn Engine, bare: bool, check: bool) -> Result<Answer> {
    let mut answer = Answer::default();
    for metadata in scan.scan_metadata(engine)? {
        let metadata = metadata?;
        if !bare {
            let take: fn(&mut (Answer, bool), ScanFile) = |(answer, check), file| {
                answer.file(&file.path, file.size, *check);
            };
            answer = metadata.visit_scan_files((answer, check), take)?.0;
            continue;
        }
        let (data, selected) = metadata.scan_files.into_parts();
        let batch = ArrowEngineData::try_from_engine_data(data)?;
        let batch = batch.record_batch();
        let path = batch.column_by_name("path").ok_or("a column `path`")?.as_string::<i32>();
        let size = batch.column_by_name("size").ok_or("a column `size`")?.as_primitive::<Int64Type>();
        for row in 0..batch.num_rows() {
            if selected.get(row).copied().unwrap_or(true) {
                answer.file(path.value(row), size.value(row), check);
            }
        }
    }
    Ok(answer)
}

fn list(job: &Job, bare: bool) -> Result<Sample> {
    let engine = engine(job)?;
    let meter = Meter::start();
    let mut builder = open(job, engine.as_ref())?.scan_builder();
    if bare {
        builder = builder.with_stats(StatsOptions::none()).without_row_transforms();
    }
    let answer = files(&builder.build()?, engine.as_ref(), bare, job.check)?;
    Ok(meter.stop(answer))
}

fn plan(job: &Job, read: bool, bare: bool) -> Result<Sample> {
    let engine = engine(job)?;
    let meter = Meter::start();
    let begin = Instant::now();
    let snapshot = open(job, engine.as_ref())?;
    let opened = begin.elapsed();
    let mut builder = snapshot.scan_builder().with_predicate(Arc::new(predicate(job)));
    if bare {
        builder = builder.without_row_transforms();
    }
    let scan = builder.build()?;
    let answer =
        if read { read_rows(&scan, engine, job, true)? } else { files(&scan, engine.as_ref(), bare, job.check)? };
    let rest = begin.elapsed() - opened;
    let sample = meter.stop(answer);
    Ok(sample.with("open_ms", opened.as_secs_f64() * 1e3).with("plan_ms", rest.as_secs_f64() * 1e3))
}

fn read_rows(scan: &Scan, engine: Arc<dyn Engine>, job: &Job, ranged: bool) -> Result<Answer> {
    let mut answer = Answer::default();
    for data in scan.execute(engine)? {
        // The kernel leaves out files; rows are the caller's.
        take_rows(&mut answer, &data?.try_into_record_batch()?, ranged.then_some(job.range))?;
    }
    Ok(answer)
}

fn rows(job: &Job, ranged: bool) -> Result<Sample> {
    let engine = engine(job)?;
    let meter = Meter::start();
    let mut builder = open(job, engine.as_ref())?.scan_builder();
    if ranged {
        builder = builder.with_predicate(Arc::new(predicate(job)));
    }
    let answer = read_rows(&builder.build()?, engine, job, ranged)?;
    Ok(meter.stop(answer))
}

fn checkpoint(job: &Job) -> Result<Sample> {
    let runtime = runtime()?;
    let url = try_parse_uri(job.table.to_string_lossy())?;
    let executor = Arc::new(TokioMultiThreadExecutor::new(runtime.handle().clone()));
    let engine = DefaultEngineBuilder::new(store_from_url(&url)?).with_task_executor(executor).build();
    let snapshot = open(job, &engine)?;
    let meter = Meter::start();
    snapshot.checkpoint(&engine, None)?;
    Ok(meter.stop(Answer { count: snapshot.version(), sum: 0 }))
}
