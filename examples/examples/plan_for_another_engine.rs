//! My engine has its own Parquet reader: how do I ask Lake only which files to read?

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use lake_format::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use lake_format::schema::parse_declaration;
use lake_format::transaction::LogCommitter;
use lake_format::{
    AppendOptions, CreateOptions, Input, Result, ScanRequest, StoreOptions, SystemClock, Table, TableRoot,
};

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (files, total) = run(&folder.path().join("readings").to_string_lossy()).await?;
    println!("{} of {total} files can hold such rows: {files:?}", files.len());
    Ok(())
}

async fn run(location: &str) -> Result<(Vec<String>, u64)> {
    let root = TableRoot::open(location, &StoreOptions::default())?;
    let clock = SystemClock::shared();
    let options = CreateOptions { schema: parse_declaration("id long not null")?, ..CreateOptions::default() };
    Table::create(&root, &clock, Arc::new(LogCommitter), options, None).await?;
    let mut table = Table::open(root, clock).await?;
    for hundred in 0..10 {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(hundred * 100..hundred * 100 + 100));
        let batch = RecordBatch::try_from_iter([("id", ids)]).expect("one column");
        table.append(&AppendOptions::default(), Input::from_batches(batch.schema(), vec![batch])).await?;
    }

    // A plan is a plain value: files with their partition values and statistics, and what was skipped.
    let wanted = Predicate::Compare { column: ColumnPath::top("id"), op: CompareOp::Eq, value: Scalar::Long(345) };
    let plan = table.snapshot().plan_scan(&ScanRequest { predicate: Some(wanted), ..ScanRequest::default() }).await?;
    Ok((plan.files.iter().map(|file| file.path().to_owned()).collect(), plan.pruning.files_total))
}

#[tokio::test]
async fn it_runs() {
    let folder = tempfile::tempdir().expect("folder");
    let (files, total) = run(&folder.path().join("t").to_string_lossy()).await.expect("runs");
    assert_eq!((files.len(), total), (1, 10));
}
