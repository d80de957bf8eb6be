//! The deltalake crate, an independent implementation, reads what Lake writes, and the other way round.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use deltalake_core::writer::{DeltaWriter, RecordBatchWriter};
use deltalake_core::{DeltaTable, checkpoints, open_table};
use futures::TryStreamExt;
use lake_format::operation::{WriteOutcome, WriteReport};
use lake_format::scan::ReadOptions;
use lake_format::schema::parse_declaration;
use lake_format::transaction::LogCommitter;
use lake_format::{
    AppendOptions, At, CreateOptions, Input, OverwriteOptions, ScanRequest, Snapshot, StoreOptions, SystemClock, Table,
    TableRoot,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use url::Url;

fn batch(from: i64, to: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(from..to));
    let names: ArrayRef = Arc::new((from..to).map(|i| (i % 5 != 2).then(|| format!("n{i}"))).collect::<StringArray>());
    let places: ArrayRef =
        Arc::new((from..to).map(|i| Some(["US/East", "a b"][i as usize % 2])).collect::<StringArray>());
    RecordBatch::try_from_iter([("id", ids), ("name", names), ("place", places)]).expect("batch")
}

fn input(from: i64, to: i64) -> Input {
    let batch = batch(from, to);
    Input::from_batches(batch.schema(), vec![batch])
}

fn root(folder: &Path) -> TableRoot {
    TableRoot::open(&folder.to_string_lossy(), &StoreOptions::default()).expect("root")
}

fn committed(outcome: WriteOutcome) -> WriteReport {
    match outcome {
        WriteOutcome::Committed(report, _) => report,
        WriteOutcome::Unchanged(why) => panic!("unchanged: {why:?}"),
        WriteOutcome::Unknown(unresolved) => panic!("unknown: {:?}", unresolved.reason),
    }
}

async fn create(folder: &Path, partitioned: bool) -> Table {
    let options = CreateOptions {
        schema: parse_declaration("id long, name string, place string").expect("declaration"),
        partition_columns: partitioned.then(|| "place".to_owned()).into_iter().collect(),
        ..CreateOptions::default()
    };
    let clock = SystemClock::shared();
    committed(Table::create(&root(folder), &clock, Arc::new(LogCommitter), options, None).await.expect("created"));
    Table::open(root(folder), clock).await.expect("opened")
}

async fn theirs(folder: &Path) -> DeltaTable {
    open_table(Url::from_directory_path(folder).expect("url")).await.expect("the deltalake crate opens the table")
}

/// Ids that the deltalake crate finds: its file list, read as plain Parquet.
fn their_ids(table: &DeltaTable) -> Vec<i64> {
    let mut ids = Vec::new();
    for uri in table.get_file_uris().expect("files") {
        let path = Url::parse(&uri).ok().and_then(|url| url.to_file_path().ok()).unwrap_or_else(|| uri.clone().into());
        let file = std::fs::File::open(&path).unwrap_or_else(|e| panic!("{uri}: {e}"));
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet").build().expect("reader");
        for batch in reader {
            let batch = batch.expect("batch");
            let column = batch.column_by_name("id").expect("id").as_any().downcast_ref::<Int64Array>().expect("long");
            ids.extend(column.values().iter().copied());
        }
    }
    ids.sort_unstable();
    ids
}

async fn our_ids(folder: &Path, at: At) -> Vec<i64> {
    let snapshot = Snapshot::load(root(folder), at, SystemClock::shared()).await.expect("loads");
    let plan = snapshot.plan_scan(&ScanRequest::default()).await.expect("plan");
    let batches: Vec<RecordBatch> = plan.stream(ReadOptions::default()).try_collect().await.expect("rows");
    let mut ids = Vec::new();
    for batch in batches {
        let column = batch.column_by_name("id").expect("id").as_any().downcast_ref::<Int64Array>().expect("long");
        ids.extend(column.values().iter().copied());
    }
    ids.sort_unstable();
    ids
}

#[tokio::test]
async fn the_crate_reads_what_lake_writes() {
    for partitioned in [false, true] {
        let folder = tempfile::tempdir().expect("folder");
        let mut table = create(folder.path(), partitioned).await;
        for n in 0..25 {
            committed(table.append(&AppendOptions::default(), input(n * 10, n * 10 + 10)).await.expect("append"));
        }
        let other = theirs(folder.path()).await;
        assert_eq!(other.version(), Some(25));
        assert_eq!(their_ids(&other), (0..250).collect::<Vec<_>>(), "partitioned: {partitioned}");
        let adds = other.snapshot().expect("state").add_actions_table(true).expect("adds");
        let records = adds.column_by_name("num_records").expect("num_records");
        let total = arrow::compute::cast(records, &arrow::datatypes::DataType::Int64).expect("long");
        let total = total.as_any().downcast_ref::<Int64Array>().expect("long");
        assert_eq!(total.values().iter().sum::<i64>(), 250);
        committed(table.overwrite(&OverwriteOptions::default(), input(0, 7)).await.expect("overwrite"));
        assert_eq!(their_ids(&theirs(folder.path()).await), (0..7).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn lake_reads_what_the_crate_writes_and_both_take_turns() {
    let folder = tempfile::tempdir().expect("folder");
    let mut table = create(folder.path(), true).await;
    for n in 0..12 {
        let mut other = theirs(folder.path()).await;
        let mut writer = RecordBatchWriter::for_table(&other).expect("writer");
        writer.write(batch(n * 20, n * 20 + 10)).await.expect("buffered");
        writer.flush_and_commit(&mut other).await.expect("their commit");
        // This handle still stands on its own last version: the append rebases past theirs.
        committed(table.append(&AppendOptions::default(), input(n * 20 + 10, n * 20 + 20)).await.expect("append"));
        if n == 6 {
            checkpoints::create_checkpoint(&theirs(folder.path()).await, None).await.expect("their checkpoint");
        }
    }
    let wanted: Vec<i64> = (0..240).collect();
    assert_eq!(our_ids(folder.path(), At::Latest).await, wanted);
    assert_eq!(their_ids(&theirs(folder.path()).await), wanted);
    assert_eq!(our_ids(folder.path(), At::Version(3)).await, (0..30).collect::<Vec<_>>());
}
