//! The unavoidable work alone: the data files without a log, and the files of an append without a table.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::json;

use super::{Job, Op, appends, small_batch, unsupported, wait_for_start};
use crate::Result;
use crate::measure::{Meter, Sample};

/// Reads the data files of a table by DataFusion.
#[cfg(feature = "datafusion")]
pub fn scan(op: Op, job: &Job) -> Result<Sample> {
    use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
    use futures::TryStreamExt;

    use super::{runtime, take_rows};
    use crate::measure::Answer;

    let condition = match op {
        Op::Scan => String::new(),
        Op::ScanRange => format!(" where id between {} and {}", job.range.0, job.range.1),
        _ => return unsupported("DataFusion", op),
    };
    runtime()?.block_on(async {
        let meter = Meter::start();
        let context = SessionContext::new_with_config(SessionConfig::new().with_batch_size(8_192));
        let folder = job.table.to_string_lossy();
        // Statistics are not collected up front, and strings are read as they are: both are to DataFusion's advantage.
        context.register_parquet("t", folder.as_ref(), ParquetReadOptions::default()).await?;
        let frame = context.sql(&format!("select * from t{condition}")).await?;
        let mut rows = frame.execute_stream().await?;
        let mut answer = Answer::default();
        while let Some(batch) = rows.try_next().await? {
            take_rows(&mut answer, &batch, None)?;
        }
        Ok(meter.stop(answer))
    })
}

/// This program was built without DataFusion.
#[cfg(not(feature = "datafusion"))]
pub fn scan(_: Op, _: &Job) -> Result<Sample> {
    Err("built without the feature `datafusion`".into())
}

/// Appends by writing a Parquet file and then a commit that nobody checks.
pub fn append(op: Op, job: &Job, durable: bool) -> Result<Sample> {
    match op {
        Op::SmallAppends => {}
        Op::RaceWorker => wait_for_start()?,
        _ => return unsupported("the floor", op),
    }
    let batches = (0..job.times).map(|i| small_batch(job.worker, i)).collect::<Result<Vec<_>>>()?;
    let log = job.table.join("_delta_log");
    let mut version = fs::read_dir(&log)?.count() as u64;
    let mut seconds = Vec::new();
    let meter = Meter::start();
    for (i, batch) in batches.iter().enumerate() {
        let begin = Instant::now();
        let name = format!("floor-{}-{i}.parquet", job.worker);
        let size = data_file(&job.table.join(&name), batch, durable)?;
        let add = json!({"add": {
            "path": name, "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": true,
            "stats": format!(r#"{{"numRecords":{}}}"#, batch.num_rows()),
        }});
        let temporary = log.join(format!(".floor-{}", job.worker));
        written(&temporary, add.to_string().as_bytes(), durable)?;
        while fs::hard_link(&temporary, log.join(format!("{version:020}.json"))).is_err() {
            version += 1;
        }
        fs::remove_file(&temporary)?;
        if durable {
            File::open(&log)?.sync_all()?;
        }
        seconds.push(begin.elapsed().as_secs_f64());
    }
    Ok(appends(meter, seconds, 0))
}

fn data_file(path: &Path, batch: &RecordBatch, durable: bool) -> Result<u64> {
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
    writer.write(batch)?;
    let bytes = writer.into_inner()?;
    written(path, &bytes, durable)?;
    Ok(bytes.len() as u64)
}

fn written(path: &Path, bytes: &[u8], durable: bool) -> Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    if durable {
        file.sync_all()?;
    }
    Ok(())
}
