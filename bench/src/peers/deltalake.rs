//! The deltalake crate.

use std::time::Instant;

use arrow::array::RecordBatch;
use deltalake_core::writer::{DeltaWriter, RecordBatchWriter};
use deltalake_core::{BlindDeltaTable, DeltaTable, DeltaTableBuilder, checkpoints, open_table};
use futures::TryStreamExt;
use url::Url;

use super::{Job, Op, appends, runtime, small_batch, unsupported, wait_for_start};
use crate::Result;
use crate::measure::{Answer, Meter, Sample};
use crate::tables::one_row;

/// Does it.
pub fn run(op: Op, job: &Job, blind: bool) -> Result<Sample> {
    let work = async {
        match op {
            Op::List => list(job).await,
            Op::History => history(job).await,
            Op::Append if blind => append_blindly(job).await,
            Op::Append => append(job).await,
            Op::Checkpoint => checkpoint(job).await,
            Op::SmallAppends | Op::RaceWorker => {
                if op == Op::RaceWorker {
                    wait_for_start()?;
                }
                if blind { small_blind_appends(job).await } else { small_appends(job).await }
            }
            _ => unsupported("deltalake", op),
        }
    };
    runtime()?.block_on(work)
}

fn url(job: &Job) -> Result<Url> {
    Ok(Url::from_directory_path(&job.table).map_err(|()| "an absolute path")?)
}

async fn open(job: &Job) -> Result<DeltaTable> {
    Ok(match job.version {
        Some(version) => DeltaTableBuilder::from_url(url(job)?)?.with_version(version).load().await?,
        None => open_table(url(job)?).await?,
    })
}

async fn list(job: &Job) -> Result<Sample> {
    let meter = Meter::start();
    let table = open(job).await?;
    let mut answer = Answer::default();
    for file in table.snapshot()?.log_data().iter() {
        answer.file(&file.path(), file.size(), job.check);
    }
    Ok(meter.stop(answer))
}

async fn history(job: &Job) -> Result<Sample> {
    let meter = Meter::start();
    let table = open(job).await?;
    let newest = table.version().unwrap_or_default();
    let entries: Vec<_> = table.history(Some(10)).try_collect().await?;
    let mut answer = Answer::default();
    for at in 0..entries.len() as u64 {
        answer.take(newest - at);
    }
    Ok(meter.stop(answer))
}

async fn append(job: &Job) -> Result<Sample> {
    let begin = Instant::now();
    let mut table = open(job).await?;
    let opened = begin.elapsed();
    let batch = one_row()?;
    let meter = Meter::start();
    let mut writer = RecordBatchWriter::for_table(&table)?;
    writer.write(batch).await?;
    let version = writer.flush_and_commit(&mut table).await?;
    let sample = meter.stop(Answer { count: version, sum: 0 });
    let by_path = opened.as_secs_f64() + sample.seconds;
    Ok(sample.with("open_ms", opened.as_secs_f64() * 1e3).with("by_path_ms", by_path * 1e3))
}

async fn append_blindly(job: &Job) -> Result<Sample> {
    let begin = Instant::now();
    let mut table = BlindDeltaTable::try_new(url(job)?).await?;
    let opened = begin.elapsed();
    let batch = one_row()?;
    let meter = Meter::start();
    let version = blindly(&mut table, &batch).await?;
    let sample = meter.stop(Answer { count: version, sum: 0 });
    let by_path = opened.as_secs_f64() + sample.seconds;
    Ok(sample.with("open_ms", opened.as_secs_f64() * 1e3).with("by_path_ms", by_path * 1e3))
}

async fn checkpoint(job: &Job) -> Result<Sample> {
    let table = open(job).await?;
    let meter = Meter::start();
    checkpoints::create_checkpoint(&table, None).await?;
    Ok(meter.stop(Answer { count: table.version().unwrap_or_default(), sum: 0 }))
}

async fn blindly(table: &mut BlindDeltaTable, batch: &RecordBatch) -> Result<u64> {
    let mut writer = RecordBatchWriter::for_blind_appends(table)?;
    writer.write(batch.clone()).await?;
    let adds = writer.flush().await?;
    Ok(table.commit(adds).await?)
}

async fn small_blind_appends(job: &Job) -> Result<Sample> {
    let batches = (0..job.times).map(|i| small_batch(job.worker, i)).collect::<Result<Vec<_>>>()?;
    let mut table = BlindDeltaTable::try_new(url(job)?).await?;
    let (mut seconds, mut failed) = (Vec::new(), 0);
    let meter = Meter::start();
    for batch in batches {
        let begin = Instant::now();
        while let Err(error) = blindly(&mut table, &batch).await {
            failed += 1;
            if failed > 10_000 {
                return Err(error);
            }
            table = BlindDeltaTable::try_new(url(job)?).await?;
        }
        seconds.push(begin.elapsed().as_secs_f64());
    }
    Ok(appends(meter, seconds, failed))
}

async fn small_appends(job: &Job) -> Result<Sample> {
    let batches = (0..job.times).map(|i| small_batch(job.worker, i)).collect::<Result<Vec<_>>>()?;
    let mut table = open(job).await?;
    let (mut seconds, mut failed) = (Vec::new(), 0);
    let meter = Meter::start();
    for batch in batches {
        let begin = Instant::now();
        while let Err(error) = attempt(&mut table, &batch).await {
            failed += 1;
            if failed > 1_000 {
                return Err(error);
            }
            table.update_state().await?;
        }
        seconds.push(begin.elapsed().as_secs_f64());
    }
    Ok(appends(meter, seconds, failed))
}

async fn attempt(table: &mut DeltaTable, batch: &RecordBatch) -> Result<()> {
    let mut writer = RecordBatchWriter::for_table(table)?;
    writer.write(batch.clone()).await?;
    writer.flush_and_commit(table).await?;
    Ok(())
}
