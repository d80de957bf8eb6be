//! How a checkpoint holds its files: statistics as columns, as text, or both.

use arrow_array::cast::AsArray;

use super::*;
use crate::action::columnar::FileBatch;
use crate::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use crate::scan::ScanRequest;
use crate::store::parquet::read_batches;

const SCHEMA: &str = "id long, deci decimal(20,2), name string, at timestamp, day date, ok boolean, l array<int>, \
                      inner struct<x: double, y: string>, part int";

/// A table with one file of good statistics, one of none, one of damaged ones, checkpoint at 3.
async fn table(properties: &[(&str, &str)]) -> Snapshot {
    let root = TableRoot::in_memory("t").expect("root");
    let clock = SystemClock::shared();
    let options = CreateOptions {
        schema: parse_declaration(SCHEMA).expect("schema"),
        partition_columns: vec!["part".into()],
        properties: properties.iter().map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
        ..Default::default()
    };
    create(&root, &clock, &LogCommitter, options, None).await.expect("created");
    let good = r#"{"numRecords":4,"minValues":{"id":-5,"deci":-1.25,"name":"a\"b","at":"2024-01-31T00:00:00.123Z",
        "day":"2024-01-31","inner":{"x":-0.5,"y":"é"}},"maxValues":{"id":9007199254740993,"deci":99.99,"name":"z",
        "at":"2024-01-31T00:00:01.000Z","day":"2024-02-01","inner":{"x":1e300,"y":"ü"}},"nullCount":{"id":1,"deci":0,
        "name":0,"at":0,"day":0,"ok":2,"l":3,"inner":{"x":0,"y":4}}}"#;
    let texts = [Some(good), None, Some("{\"numRecords\":1"), Some("{\"numRecords\":7,\"tightBounds\":false}")];
    let adds = texts.iter().enumerate().map(|(n, stats)| {
        let partition_values = [("part".to_owned(), (n > 0).then(|| n.to_string()))].into();
        let stats = stats.map(|text| text.replace("\n        ", ""));
        let path = format!("f{n}.parquet");
        Action::Add(Box::new(Add { path, size: 10, data_change: true, partition_values, stats, ..Add::default() }))
    });
    let head = Arc::new(load(&root, At::Latest).await.expect("loads"));
    let staged = Staged { operation: Operation::new("WRITE"), actions: adds.collect(), reads: Reads::Nothing };
    let outcome = transact(Base::On(head), staged, &LogCommitter).await.expect("committed");
    let Outcome::Committed(committed) = outcome else { panic!("unknown") };
    Snapshot::clone(&committed.snapshot)
}

/// Fields of the column `add` of the checkpoint at version 1, and how many statistics stand there as text.
async fn written(root: &TableRoot) -> (Vec<String>, usize) {
    let path = root.child(&format!("_delta_log/{}", checkpoint(1))).expect("path");
    let batches = read_batches(root, &path, None).await.expect("reads");
    let adds = |batch: &arrow_array::RecordBatch| batch.column_by_name("add").expect("adds").as_struct().clone();
    let names = adds(&batches[0]).fields().iter().map(|field| field.name().clone()).collect();
    let texts = |batch: &arrow_array::RecordBatch| {
        let adds = adds(batch);
        adds.column_by_name("stats").map_or(0, |stats| stats.len() - stats.null_count())
    };
    (names, batches.iter().map(texts).sum())
}

async fn kept(snapshot: &Snapshot, column: &str, op: CompareOp, value: Scalar) -> Vec<String> {
    let predicate = Some(Predicate::Compare { column: ColumnPath::top(column), op, value });
    let request = ScanRequest { predicate, ..ScanRequest::default() };
    let plan = snapshot.plan_scan(&request).await.expect("plan");
    let mut paths: Vec<String> = plan.files.iter().map(|file| file.path().to_owned()).collect();
    paths.sort_unstable();
    paths
}

#[tokio::test]
async fn statistics_stand_in_a_checkpoint_as_the_table_asks() {
    let as_text = ("delta.checkpoint.writeStatsAsJson", "true");
    let no_columns = ("delta.checkpoint.writeStatsAsStruct", "false");
    for (properties, columns, texts) in [
        (vec![], true, 0),
        // What is no statistics stays as it is where there is text.
        (vec![as_text], true, 3),
        (vec![no_columns], false, 3),
        (vec![as_text, no_columns], false, 3),
    ] {
        let before = table(&properties).await;
        before.write_checkpoint().await.expect("CHK-1");
        let (fields, found) = written(before.root()).await;
        let has = |name: &str| fields.iter().any(|field| field == name);
        let what = format!("CHK-5: {properties:?} gave {fields:?}");
        assert_eq!((has("stats_parsed"), has("partitionValues_parsed"), found), (columns, columns, texts), "{what}");
        delete(before.root(), &commit(0)).await;
        let after = load(before.root(), At::Latest).await.expect("loads");
        assert_eq!(after.checkpoint_version(), Some(1));
        let rows = |snapshot: Snapshot| async move { snapshot.files().await.expect("files").num_rows() };
        assert_eq!(rows(before.clone()).await, rows(after.clone()).await, "{what}");
        for (column, op, value) in [
            ("id", CompareOp::Lt, Scalar::Long(-5)),
            ("id", CompareOp::LtEq, Scalar::Long(-5)),
            ("id", CompareOp::Gt, Scalar::Long(9_007_199_254_740_993)),
            ("name", CompareOp::Lt, Scalar::String("a\"b".into())),
            ("name", CompareOp::Gt, Scalar::String("y".into())),
            ("at", CompareOp::Gt, Scalar::Timestamp(1_706_659_201_000_999)),
            ("at", CompareOp::Gt, Scalar::Timestamp(1_706_659_201_001_000)),
            ("deci", CompareOp::Gt, Scalar::Decimal { unscaled: 9999, precision: 20, scale: 2 }),
            ("day", CompareOp::Eq, Scalar::Date(19_754)),
            ("part", CompareOp::Eq, Scalar::Long(3)),
        ] {
            let wanted = kept(&before, column, op, value.clone()).await;
            assert_eq!(kept(&after, column, op, value.clone()).await, wanted, "{what}: {column} {op:?} {value}");
        }
    }
}

#[tokio::test]
async fn a_checkpoint_of_a_checkpoint_says_the_same() {
    let first = table(&[]).await.write_checkpoint().await.expect("CHK-1");
    let digest = |snapshot: Snapshot| async move {
        let files = snapshot.files().await.expect("files");
        files.batches().iter().map(FileBatch::digest).fold(0, u64::wrapping_add)
    };
    let from_columns = load(first.root(), At::Latest).await.expect("loads");
    from_columns.write_checkpoint().await.expect("CHK-1");
    let again = load(first.root(), At::Latest).await.expect("loads");
    assert_eq!(digest(from_columns).await, digest(again).await, "CHK-5");
}
