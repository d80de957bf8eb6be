//! Z-order: same rows, files that every key column can skip, in memory and over the disk.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, ListArray, MapBuilder, RecordBatch,
    StringArray, StringBuilder, StructArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use lake_compaction::{OptimizePolicy, optimize};
use lake_format::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use lake_format::transaction::LogCommitter;
use lake_format::{ErrorKind, Snapshot};
use lake_testkit::SplitMix64;

use crate::support::{Place, append, batch, commit_lines, done, planned, rows, small, zorder};

/// Rows whose columns have nothing to do with each other, with nulls and skew.
fn events(seed: u64, count: usize) -> RecordBatch {
    let mut random = SplitMix64::new(seed);
    let mut draw = |bound: u64| (0..count).map(|_| random.below(bound)).collect::<Vec<u64>>();
    let (customers, places, prices, days) = (draw(1_000_000), draw(30), draw(100_000), draw(2000));
    let skewed = |&n: &u64| if n < 200_000 { 1 } else { n as i64 };
    let place = |&n: &u64| (n > 0).then(|| format!("https://example.com/a/b/{n:02}"));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("customer", Arc::new(Int64Array::from_iter_values(customers.iter().map(skewed)))),
        ("place", Arc::new(places.iter().map(place).collect::<StringArray>())),
        ("price", Arc::new(Float64Array::from_iter_values(prices.iter().map(|&n| n as f64 / 7.0)))),
        ("day", Arc::new(Date32Array::from_iter_values(days.iter().map(|&n| n as i32)))),
    ];
    batch(columns)
}

fn equals(column: &str, value: Scalar) -> Predicate {
    Predicate::Compare { column: ColumnPath::top(column), op: CompareOp::Eq, value }
}

/// Mean share of the files that searches for one value read, per column.
async fn shares(snapshot: &Snapshot) -> Vec<f64> {
    let searches: [(&str, Vec<Scalar>); 4] = [
        ("customer", (1..20).map(|i| Scalar::Long(i * 49_999)).collect()),
        ("place", (1..30).map(|i| Scalar::String(format!("https://example.com/a/b/{i:02}"))).collect()),
        ("price", (1..20).map(|i| Scalar::Double(f64::from(i) * 5000.0 / 7.0)).collect()),
        ("day", (1..20).map(|i| Scalar::Date(i * 99)).collect()),
    ];
    let mut shares = Vec::new();
    for (column, values) in &searches {
        let (mut read, mut total) = (0, 0);
        for value in values {
            let pruning = planned(snapshot, equals(column, value.clone())).await;
            (read, total) = (read + pruning.files_planned, total + pruning.files_total);
        }
        shares.push(read as f64 / total as f64);
    }
    shares
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_can_be_skipped_by_every_column() {
    let place = Place::new();
    let batches: Vec<RecordBatch> = (0..4).map(|i| events(i, 10_000)).collect();
    let mut table = place.table(&batches, &[], &[]).await;
    let before = rows(table.snapshot()).await;
    let target = table.snapshot().files().await.expect("files").size_bytes() / 32;
    assert!(shares(table.snapshot()).await.iter().all(|&share| share > 0.95), "nothing can be skipped yet");
    let options = zorder(&["Customer", "place", "price", "day"], small(target));
    let report = done(&mut table, &options).await;
    assert_eq!((report.files_removed, report.rows, report.bins), (4, 40_000, 1));
    assert!((20..=48).contains(&report.files_added), "{} files", report.files_added);
    let sizes: Vec<u64> = table.snapshot().files().await.expect("files").iter().map(|add| add.size as u64).collect();
    assert!(sizes.iter().all(|&size| size > target / 3 && size < target * 2), "{target}: {sizes:?}");
    let after = shares(table.snapshot()).await;
    assert!(after.iter().all(|&share| share < 0.55), "{after:?}");
    assert_eq!(rows(table.snapshot()).await, before);
    let lines = commit_lines(&place.root, report.version.expect("version")).await;
    assert_eq!(lines[0].1["operationParameters"]["zOrderBy"], r#"["customer","place","price","day"]"#);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_order_is_left_alone_until_rows_come() {
    let place = Place::new();
    let mut table = place.table(&[events(1, 500), events(2, 500)], &[], &[]).await;
    let options = zorder(&["customer", "day"], OptimizePolicy::default());
    assert_eq!(done(&mut table, &options).await.files_removed, 2);
    assert_eq!(done(&mut table, &options).await.version, None);
    let other = zorder(&["day"], OptimizePolicy::default());
    assert!(done(&mut table, &other).await.version.is_some(), "other columns, another order");
    append(&mut table, &events(3, 500)).await;
    assert_eq!(done(&mut table, &other).await.files_removed, 2);
    let finer = zorder(&["day"], small(table.snapshot().files().await.expect("files").size_bytes() / 8));
    assert!(done(&mut table, &finer).await.files_added > 3, "a much smaller target");
    assert_eq!(done(&mut table, &finer).await.version, None);
    assert_eq!(rows(table.snapshot()).await.len(), 1500);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn merging_small_files_does_not_mix_what_is_in_order() {
    let place = Place::new();
    let mut table = place.table(&[events(1, 8000)], &[], &[]).await;
    let policy = small(table.snapshot().files().await.expect("files").size_bytes() / 6);
    let ordered = done(&mut table, &zorder(&["customer", "day"], policy.clone())).await;
    let merge = zorder(&[], OptimizePolicy { min_file_size_bytes: policy.target_file_size_bytes, ..policy });
    assert_eq!(done(&mut table, &merge).await.version, None);
    append(&mut table, &events(2, 50)).await;
    append(&mut table, &events(3, 50)).await;
    assert_eq!(done(&mut table, &merge).await.files_removed, 2, "the new ones alone");
    assert_eq!(table.snapshot().files().await.expect("files").len() as u64, ordered.files_added + 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_rows_than_memory_go_over_the_disk() {
    let spill = tempfile::tempdir().expect("folder");
    let batches: Vec<RecordBatch> = (0..4).map(|i| events(i + 10, 25_000)).collect();
    let run = async |memory_bytes: usize| {
        let place = Place::new();
        let mut table = place.table(&batches, &[], &[]).await;
        let policy =
            OptimizePolicy { memory_bytes, ..small(table.snapshot().files().await.expect("files").size_bytes() / 16) };
        let mut options = zorder(&["customer", "place", "price", "day"], policy);
        options.spill_dir = Some(spill.path().to_owned());
        let before = rows(table.snapshot()).await;
        let report = done(&mut table, &options).await;
        assert_eq!((report.rows, report.files_removed), (100_000, 4));
        assert_eq!(rows(table.snapshot()).await, before);
        assert_eq!(std::fs::read_dir(spill.path()).expect("folder").count(), 0, "nothing stays on disk");
        (report.files_added, shares(table.snapshot()).await)
    };
    let (files, in_memory) = run(512 << 20).await;
    let (spilled_files, spilled) = run(1 << 20).await;
    assert!(files.abs_diff(spilled_files) <= 4, "{files} and {spilled_files} files");
    for (column, (memory, disk)) in in_memory.iter().zip(&spilled).enumerate() {
        assert!((memory - disk).abs() < 0.12, "column {column}: {in_memory:?} and {spilled:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_on_the_disk_nothing_changes() {
    let place = Place::new();
    let table = place.table(&[events(1, 20_000), events(2, 20_000)], &[], &[]).await;
    let objects = place.objects().await;
    let policy = OptimizePolicy { memory_bytes: 1 << 20, ..OptimizePolicy::default() };
    let mut options = zorder(&["price"], policy);
    options.spill_dir = Some("/nowhere/at/all".into());
    let error = optimize(table.snapshot(), &LogCommitter, &options).await.expect_err("no such directory");
    assert_eq!((error.kind(), error.object()), (ErrorKind::Unavailable, Some("/nowhere/at/all")));
    assert_eq!(place.objects().await, objects);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_value_in_nearly_every_row_fits_into_little_memory() {
    let place = Place::new();
    let rows_of = |n: i64| {
        let values = (0..30_000).map(|i| if i == 15_000 { n } else { 7 });
        let text = StringArray::from_iter_values((0..30_000).map(|i| format!("row {i} of {n}")));
        batch(vec![("key", Arc::new(Int64Array::from_iter_values(values)) as ArrayRef), ("text", Arc::new(text))])
    };
    let mut table = place.table(&[rows_of(1), rows_of(9)], &[], &[]).await;
    let before = rows(table.snapshot()).await;
    let policy = OptimizePolicy {
        memory_bytes: 1 << 20,
        ..small(table.snapshot().files().await.expect("files").size_bytes() / 4)
    };
    let report = done(&mut table, &zorder(&["key"], policy)).await;
    assert_eq!(report.rows, 60_000);
    assert_eq!(rows(table.snapshot()).await, before);
    assert!(planned(table.snapshot(), equals("key", Scalar::Long(1))).await.files_planned < report.files_added);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_partition_is_ordered_by_itself() {
    let place = Place::new();
    let with_part = |seed| {
        let events = events(seed, 2000);
        let part = Int32Array::from_iter((0..2000).map(|i| (i % 4 > 0).then_some(i % 4)));
        let mut columns: Vec<(String, ArrayRef)> = Vec::new();
        for (field, column) in events.schema().fields().iter().zip(events.columns()) {
            columns.push((field.name().clone(), column.clone()));
        }
        columns.push(("part".to_owned(), Arc::new(part)));
        batch(columns.iter().map(|(name, array)| (name.as_str(), array.clone())).collect())
    };
    let mut table = place.table(&[with_part(1), with_part(2), with_part(3)], &["part"], &[]).await;
    let before = rows(table.snapshot()).await;
    let report = done(&mut table, &zorder(&["customer", "day"], OptimizePolicy::default())).await;
    assert_eq!((report.partitions, report.bins, report.files_removed, report.files_added), (4, 4, 12, 4));
    assert_eq!(rows(table.snapshot()).await, before);
    for column in ["part", "nothing", "custmer"] {
        let options = zorder(&["day", column], OptimizePolicy::default());
        let error = optimize(table.snapshot(), &LogCommitter, &options).await.expect_err(column);
        assert_eq!((error.kind(), error.object()), (ErrorKind::Invalid, Some(column)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_columns_get_statistics_wherever_they_stand() {
    let place = Place::new();
    let properties = [("delta.dataSkippingNumIndexedCols", "1")];
    let mut table = place.table(&[events(1, 4000), events(2, 4000)], &[], &properties).await;
    let target = table.snapshot().files().await.expect("files").size_bytes() / 8;
    assert_eq!(
        planned(table.snapshot(), equals("day", Scalar::Date(5000))).await.files_planned,
        2,
        "not even its range"
    );
    done(&mut table, &zorder(&["day"], small(target))).await;
    let pruning = planned(table.snapshot(), equals("day", Scalar::Date(700))).await;
    assert!(pruning.files_planned <= 2 && pruning.files_total >= 6, "{pruning:?}");
    assert_eq!(planned(table.snapshot(), equals("customer", Scalar::Long(-1))).await.files_planned, 0, "still there");
    let stats = table
        .snapshot()
        .files()
        .await
        .expect("files")
        .iter()
        .next()
        .expect("a file")
        .stats
        .clone()
        .expect("statistics");
    assert!(!stats.contains("price"), "{stats}");
}

/// A row of everything a table can hold, with nulls at every level.
fn everything(from: i32, to: i32) -> RecordBatch {
    let range = || from..to;
    let lists =
        range().map(|i| (i % 5 > 0).then(|| (0..i % 4).map(|j| (j % 2 == 0).then_some(i + j)).collect::<Vec<_>>()));
    let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
    for i in range() {
        for j in 0..i % 3 {
            map.keys().append_value(format!("k{j}"));
            map.values().append_option((i % 2 == 0).then(|| i.to_string()));
        }
        map.append(i % 7 > 0).expect("map");
    }
    let inner: ArrayRef = Arc::new(range().map(|i| (i % 3 > 0).then(|| format!("inner {i}"))).collect::<StringArray>());
    let nested = StructArray::from(vec![(Arc::new(Field::new("a", DataType::Utf8, true)), inner)]);
    let decimal = Decimal128Array::from_iter(range().map(|i| (i % 11 > 0).then(|| i128::from(i) * 1_000_003)));
    let utc =
        TimestampMicrosecondArray::from_iter_values(range().map(|i| i64::from(i) * 1_234_567)).with_timezone("UTC");
    batch(vec![
        ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))),
        ("map", Arc::new(map.finish())),
        ("nested", Arc::new(nested)),
        ("decimal", Arc::new(decimal.with_precision_and_scale(30, 4).expect("decimal"))),
        ("at", Arc::new(utc)),
        (
            "float",
            Arc::new(Float64Array::from_iter(range().map(|i| (i % 6 > 0).then(|| f64::from(i) / f64::from(i % 4))))),
        ),
    ])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_survives_every_way() {
    let batches = [everything(0, 9000), everything(9000, 9010), everything(9010, 30_000)];
    for (keys, memory_bytes) in
        [(&[][..], 2 << 20), (&["decimal", "at", "float"], 256 << 20), (&["float", "at"], 1 << 20)]
    {
        let place = Place::new();
        let mut table = place.table(&batches, &[], &[]).await;
        let before = rows(table.snapshot()).await;
        let policy = OptimizePolicy { memory_bytes, ..OptimizePolicy::default() };
        assert_eq!(done(&mut table, &zorder(keys, policy)).await.files_removed, 3);
        assert_eq!(rows(table.snapshot()).await, before, "{keys:?}");
    }
}
