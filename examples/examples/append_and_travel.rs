//! How do I append rows to a table from Rust, and read it as it was before?

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use futures::TryStreamExt;
use lake_format::scan::ReadOptions;
use lake_format::schema::from_arrow;
use lake_format::transaction::LogCommitter;
use lake_format::{
    AppendOptions, At, CreateOptions, Input, Result, ScanRequest, StoreOptions, SystemClock, Table, TableRoot,
};

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (before, now) = run(&folder.path().join("trips").to_string_lossy()).await?;
    println!("version 0 has {before} rows, the newest version {now}");
    Ok(())
}

async fn run(location: &str) -> Result<(usize, usize)> {
    let root = TableRoot::open(location, &StoreOptions::default())?;
    let clock = SystemClock::shared();

    // Version 0: the schema of the first batch, and its rows.
    let first = trips(&[1, 2], &["Accra", "Lima"]);
    let options = CreateOptions { schema: from_arrow(&first.schema())?, ..CreateOptions::default() };
    let input = Input::from_batches(first.schema(), vec![first]);
    Table::create(&root, &clock, Arc::new(LogCommitter), options, Some(input)).await?;

    // Version 1: three more.
    let mut table = Table::open(root, clock).await?;
    let more = trips(&[3, 4, 5], &["Oslo", "Pune", "Quito"]);
    table.append(&AppendOptions::default(), Input::from_batches(more.schema(), vec![more])).await?;

    let before = table.at(At::Version(0)).await?;
    let older: Vec<RecordBatch> =
        before.plan_scan(&ScanRequest::default()).await?.stream(ReadOptions::default()).try_collect().await?;
    let newest: Vec<RecordBatch> =
        table.snapshot().plan_scan(&ScanRequest::default()).await?.stream(ReadOptions::default()).try_collect().await?;
    let rows = |batches: &[RecordBatch]| batches.iter().map(RecordBatch::num_rows).sum();
    Ok((rows(&older), rows(&newest)))
}

fn trips(ids: &[i64], cities: &[&str]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from(ids.to_vec()));
    let cities: ArrayRef = Arc::new(StringArray::from(cities.to_vec()));
    RecordBatch::try_from_iter([("id", ids), ("city", cities)]).expect("columns of one length")
}

#[tokio::test]
async fn it_runs() {
    let folder = tempfile::tempdir().expect("folder");
    assert_eq!(run(&folder.path().join("t").to_string_lossy()).await.expect("runs"), (2, 5));
}
