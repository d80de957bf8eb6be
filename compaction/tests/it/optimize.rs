//! Bin-packing: same rows in fewer files, beside other writers, and what is refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, RecordBatch, StringArray};
use lake_compaction::{OptimizeOptions, OptimizeOutcome, OptimizePolicy, optimize};
use lake_format::action::{Action, Add, Remove};
use lake_format::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use lake_format::operation::{Input, OverwriteOptions};
use lake_format::transaction::{Base, LogCommitter, Operation, Outcome, Reads, Staged, transact};
use lake_format::{At, ErrorKind, Table};

use crate::support::{Answer, DAY_MS, Late, Place, append, batch, commit_lines, done, rows, small, try_rows};

/// Rows `from..to` of a number, a text and a partition.
fn numbers(from: i64, to: i64) -> RecordBatch {
    let text = |i: i64| (i % 7 > 0).then(|| format!("text {i}"));
    let part = |i: i64| match i % 3 {
        0 => None,
        1 => Some("a b/c"),
        _ => Some("ü%20"),
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(from..to))),
        ("text", Arc::new((from..to).map(text).collect::<StringArray>())),
        ("part", Arc::new((from..to).map(part).collect::<StringArray>())),
    ];
    batch(columns)
}

fn pieces(count: i64, rows: i64) -> Vec<RecordBatch> {
    (0..count).map(|i| numbers(i * rows, (i + 1) * rows)).collect()
}

#[tokio::test]
async fn small_files_become_one_and_the_rows_stay() {
    let place = Place::new();
    let mut table = place.table(&pieces(8, 50), &[], &[]).await;
    let before = rows(table.snapshot()).await;
    let old_version = table.snapshot().version();
    let report = done(&mut table, &OptimizeOptions::default()).await;
    assert_eq!((report.version, report.files_removed, report.files_added), (Some(old_version + 1), 8, 1));
    assert_eq!((report.rows, report.bins, report.partitions), (400, 1, 1));
    assert!(report.bytes_added > 0 && report.bytes_added < report.bytes_removed && report.txn_id.is_some());
    assert_eq!(
        (
            table.snapshot().files().await.expect("files").len(),
            table.snapshot().files().await.expect("files").num_rows()
        ),
        (1, Some(400))
    );
    assert_eq!(rows(table.snapshot()).await, before);
    let old = table.at(At::Version(old_version)).await.expect("time travel");
    assert_eq!(rows(&old).await, before);
    let again = done(&mut table, &OptimizeOptions::default()).await;
    assert_eq!((again.version, again.files_added, again.files_removed, again.rows), (None, 0, 0, 0));
    assert_eq!(table.snapshot().version(), old_version + 1, "nothing to do makes no version");
}

#[tokio::test]
async fn the_commit_says_what_it_did_and_changes_no_data() {
    let place = Place::new();
    let mut table = place.table(&pieces(3, 20), &["part"], &[]).await;
    let old: Vec<Arc<Add>> = table.snapshot().files().await.expect("files").iter().collect();
    let report = done(&mut table, &OptimizeOptions::default()).await;
    assert_eq!((report.partitions, report.bins, report.files_removed, report.files_added), (3, 3, 9, 3));
    let lines = commit_lines(&place.root, report.version.expect("version")).await;
    let info = &lines[0].1;
    assert_eq!(info["operation"], "OPTIMIZE");
    assert_eq!(info["operationParameters"]["predicate"], "[]");
    assert_eq!(info["operationParameters"]["zOrderBy"], "[]");
    assert_eq!(info["operationMetrics"]["numRemovedFiles"], "9");
    assert_eq!(info["operationMetrics"]["numAddedFiles"], "3");
    assert_eq!(info["operationMetrics"]["numAddedBytes"], report.bytes_added.to_string());
    assert_eq!(info["isBlindAppend"], false);
    let metric = |name: &str| info["operationMetrics"][name].as_str().expect("text").parse::<u64>().expect("number");
    assert!(metric("minFileSize") <= metric("p50FileSize") && metric("p50FileSize") <= metric("maxFileSize"));
    for (kind, action) in &lines[1..] {
        assert_eq!(action["dataChange"], false, "{kind}");
        if kind == "remove" {
            let add = old.iter().find(|add| add.path == action["path"].as_str().expect("path")).expect("one of ours");
            assert_eq!(action["size"], add.size);
            assert_eq!(action["partitionValues"], serde_json::to_value(&add.partition_values).expect("JSON"));
        } else {
            assert!(action["stats"].as_str().is_some_and(|stats| stats.contains("\"numRecords\":20")), "{action}");
        }
    }
}

#[tokio::test]
async fn partitions_are_chosen_and_never_mixed() {
    let place = Place::new();
    let mut table = place.table(&pieces(4, 30), &["part"], &[]).await;
    let before = rows(table.snapshot()).await;
    let null = Predicate::IsNull(ColumnPath::top("PART"));
    let options = |partitions| OptimizeOptions {
        policy: OptimizePolicy { partitions: Some(partitions), ..OptimizePolicy::default() },
        ..OptimizeOptions::default()
    };
    let report = done(&mut table, &options(null)).await;
    assert_eq!(
        (report.partitions, report.files_removed, table.snapshot().files().await.expect("files").len()),
        (1, 4, 9)
    );
    let value = Scalar::String("ü%20".into());
    let odd = Predicate::Compare { column: ColumnPath::top("part"), op: CompareOp::Eq, value };
    assert_eq!(done(&mut table, &options(odd)).await.files_removed, 4);
    assert_eq!(rows(table.snapshot()).await, before);
    let other = options(Predicate::IsNull(ColumnPath::top("id")));
    let error = optimize(table.snapshot(), &LogCommitter, &other).await.expect_err("not a partition column");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let place = Place::new();
    let mut table = place.table(&pieces(5, 10), &[], &[]).await;
    let objects = place.objects().await;
    for zorder_by in [vec![], vec!["id".to_owned()]] {
        let options = OptimizeOptions { dry_run: true, zorder_by, ..OptimizeOptions::default() };
        let report = done(&mut table, &options).await;
        assert_eq!((report.version, report.files_removed, report.files_added), (None, 5, 1));
        assert!(report.dry_run && report.bytes_removed > 0 && report.bytes_added == 0);
    }
    assert_eq!(place.objects().await, objects);
}

#[tokio::test]
async fn an_append_meanwhile_lands_beside_it() {
    let place = Place::new();
    let table = place.table(&pieces(4, 25), &[], &[]).await;
    let mut other = table.clone();
    let late = Late::new(async move {
        append(&mut other, &numbers(100, 120)).await;
    });
    let outcome = optimize(table.snapshot(), &late, &OptimizeOptions::default()).await.expect("optimize");
    let OptimizeOutcome::Done(report, snapshot) = outcome else { panic!("{outcome:?}") };
    assert_eq!(report.version, Some(table.snapshot().version() + 2), "the append took the version first");
    assert_eq!((snapshot.files().await.expect("files").len(), rows(&snapshot).await.len()), (2, 120));
}

#[tokio::test]
async fn a_removed_file_is_a_conflict_and_nothing_stays_behind() {
    let place = Place::new();
    let table = place.table(&pieces(4, 25), &[], &[]).await;
    let mut other = table.clone();
    let late = Late::new(async move {
        let rows = numbers(0, 5);
        let input = Input::from_batches(rows.schema(), vec![rows]);
        other.overwrite(&OverwriteOptions::default(), input).await.expect("overwrite");
    });
    let error = optimize(table.snapshot(), &late, &OptimizeOptions::default()).await.expect_err("conflict");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let newest = Table::open(place.root.clone(), place.clock()).await.expect("open");
    assert_eq!(rows(newest.snapshot()).await.len(), 5, "the other's rows");
    assert_eq!(place.data_files().await.len(), 5, "four old files and the overwrite's one");
}

#[tokio::test]
async fn new_files_go_after_a_sure_refusal_and_stay_after_an_unknown_outcome() {
    let place = Place::new();
    let table = place.table(&pieces(3, 25), &[], &[]).await;
    let error = optimize(table.snapshot(), &Answer::Refused, &OptimizeOptions::default()).await.expect_err("refused");
    assert_eq!((error.kind(), place.data_files().await.len()), (ErrorKind::Denied, 3));
    let outcome = optimize(table.snapshot(), &Answer::Unsettled, &OptimizeOptions::default()).await.expect("unknown");
    let OptimizeOutcome::Unknown(unresolved) = outcome else { panic!("{outcome:?}") };
    assert!(unresolved.token().starts_with("v4-"));
    assert_eq!(place.data_files().await.len(), 4);
}

#[tokio::test]
async fn it_can_run_as_a_task() {
    let place = Place::new();
    let table = place.table(&pieces(2, 10), &[], &[]).await;
    let (snapshot, committer) = (table.snapshot().clone(), table.committer().clone());
    let task = tokio::spawn(async move { optimize(&snapshot, committer.as_ref(), &OptimizeOptions::default()).await });
    assert!(matches!(task.await.expect("task").expect("optimize"), OptimizeOutcome::Done(..)));
}

#[tokio::test]
async fn an_append_only_table_is_compacted_too() {
    let place = Place::new();
    let mut table = place.table(&pieces(3, 10), &[], &[("delta.appendOnly", "true")]).await;
    assert_eq!(done(&mut table, &OptimizeOptions::default()).await.files_removed, 3);
}

/// Makes the newest files' entries in the log say something else.
async fn tampered(table: &mut Table, change: impl Fn(usize, &mut Add)) {
    let mut actions = Vec::new();
    for (at, add) in table.snapshot().files().await.expect("files").iter().enumerate() {
        let mut other = Add::clone(&add);
        change(at, &mut other);
        actions.push(Action::Add(Box::new(other)));
    }
    let staged = Staged { operation: Operation::new("TEST"), actions, reads: Reads::Nothing };
    let outcome = transact(Base::On(table.snapshot().clone()), staged, &LogCommitter).await.expect("commit");
    assert!(matches!(outcome, Outcome::Committed(_)));
    table.refresh().await.expect("refresh");
}

#[tokio::test]
async fn wrong_statistics_in_the_log_do_not_change_rows() {
    for zorder_by in [vec![], vec!["id".to_owned()]] {
        let place = Place::new();
        let mut table = place.table(&pieces(6, 40), &[], &[]).await;
        let before = rows(table.snapshot()).await;
        tampered(&mut table, |at, add| {
            add.stats =
                [None, Some("{".into()), Some(r#"{"numRecords":-4}"#.into()), Some(r#"{"numRecords":1}"#.into())]
                    [at % 4]
                    .clone();
        })
        .await;
        let options = OptimizeOptions { zorder_by, ..OptimizeOptions::default() };
        let report = done(&mut table, &options).await;
        assert_eq!((report.rows, report.files_removed), (240, 6));
        assert_eq!(rows(table.snapshot()).await, before);
        assert_eq!(table.snapshot().files().await.expect("files").num_rows(), Some(240));
    }
}

#[tokio::test]
async fn a_wrong_size_in_the_log_stops_the_run_and_nothing_changes() {
    for size in [0, 1, 7, 1_000_000] {
        let place = Place::new();
        let mut table = place.table(&pieces(6, 40), &[], &[]).await;
        tampered(&mut table, |at, add| add.size = if at == 3 { size } else { add.size }).await;
        let before = (place.objects().await, table.snapshot().version());
        let error = optimize(table.snapshot(), &LogCommitter, &OptimizeOptions::default()).await.expect_err("SCN-7");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "SCN-7, {size}: {error}");
        table.refresh().await.expect("refresh");
        assert_eq!((place.objects().await, table.snapshot().version()), before, "SCN-7, {size}");
    }
}

#[tokio::test]
async fn a_damaged_or_missing_file_stops_the_run_and_nothing_stays_behind() {
    for zorder_by in [vec![], vec!["id".to_owned()]] {
        for damage in ["bytes", "gone"] {
            let place = Place::new();
            let mut table = place.table(&pieces(4, 30), &["part"], &[]).await;
            let victim = table.snapshot().files().await.expect("files").iter().nth(7).expect("a file").path.clone();
            let path = place.root.resolve(&victim).expect("path");
            match damage {
                "bytes" => place.root.put(&path, vec![7_u8; 900].into()).await.expect("put"),
                _ => place.root.delete(&path).await.expect("delete"),
            }
            let objects = place.objects().await;
            let options = OptimizeOptions { zorder_by: zorder_by.clone(), ..OptimizeOptions::default() };
            let error = optimize(table.snapshot(), &LogCommitter, &options).await.expect_err("damaged");
            let expected = if damage == "gone" { ErrorKind::NotFound } else { ErrorKind::Corrupt };
            assert_eq!(error.kind(), expected, "{error:?}");
            assert_eq!(place.objects().await, objects, "{zorder_by:?} {damage}");
            let version = table.snapshot().version();
            table.refresh().await.expect("refresh");
            assert_eq!(table.snapshot().version(), version);
        }
    }
}

#[tokio::test]
async fn a_bin_does_not_grow_past_the_target() {
    let place = Place::new();
    let mut table = place.table(&pieces(12, 300), &[], &[]).await;
    let one = table.snapshot().files().await.expect("files").iter().next().expect("a file").size as u64;
    let target = one * 4 + one / 2;
    let before = rows(table.snapshot()).await;
    let report = done(&mut table, &OptimizeOptions { policy: small(target), ..OptimizeOptions::default() }).await;
    assert_eq!((report.bins, report.files_removed, report.files_added), (3, 12, 3));
    assert!(table.snapshot().files().await.expect("files").iter().all(|add| add.size as u64 <= target + target / 4));
    assert_eq!(rows(table.snapshot()).await, before);
}

#[tokio::test]
async fn columns_added_later_are_null_in_old_rows() {
    use lake_format::schema::{DataType, PrimitiveType, StructField};
    let place = Place::new();
    let mut table = place.table(&pieces(2, 10), &[], &[]).await;
    let field = StructField::new("extra", DataType::Primitive(PrimitiveType::Double), true);
    table.add_columns(vec![field]).await.expect("column");
    append(&mut table, &numbers(20, 30)).await;
    let before = rows(table.snapshot()).await;
    done(&mut table, &OptimizeOptions::default()).await;
    assert_eq!((table.snapshot().files().await.expect("files").len(), rows(table.snapshot()).await), (1, before));
}

#[tokio::test]
async fn an_older_snapshot_can_be_optimized_while_its_files_live() {
    let place = Place::new();
    let mut table = place.table(&pieces(3, 10), &[], &[]).await;
    let old = table.snapshot().clone();
    append(&mut table, &numbers(30, 40)).await;
    place.clock.forward(DAY_MS);
    let outcome = optimize(&old, &LogCommitter, &OptimizeOptions::default()).await.expect("optimize");
    let OptimizeOutcome::Done(report, snapshot) = outcome else { panic!("{outcome:?}") };
    assert_eq!((report.files_removed, snapshot.files().await.expect("files").len()), (3, 2));
    assert_eq!(try_rows(&snapshot).await.expect("rows").len(), 40);
    let error = optimize(&old, &LogCommitter, &OptimizeOptions::default()).await.expect_err("its files have left");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let tombstones: Vec<Arc<Remove>> = snapshot.tombstones().await.expect("tombstones");
    assert!(tombstones.iter().all(|remove| !remove.data_change && remove.deletion_timestamp.is_some()));
}

#[tokio::test]
async fn rows_of_mapped_and_widened_columns_keep_their_columns() {
    use lake_format::schema::{PrimitiveType, SchemaChange};
    for mode in ["name", "id"] {
        let piece = |start: i32| {
            let ids: Vec<i32> = (start..start + 10).collect();
            let days = ids.iter().map(|id| (id % 3 != 0).then(|| format!("d{}", id % 2)));
            let days: ArrayRef = Arc::new(days.collect::<StringArray>());
            batch(vec![
                ("id", Arc::new(Int32Array::from(ids.clone()))),
                ("day", days),
                ("x", Arc::new(Int32Array::from(ids))),
            ])
        };
        let place = Place::new();
        let properties = [("delta.columnMapping.mode", mode), ("delta.enableTypeWidening", "true")];
        let mut table = place.table(&[piece(0), piece(10), piece(20)], &["day"], &properties).await;
        let path = |name: &str| vec![name.to_owned()];
        let changes = [
            SchemaChange::Widen { path: path("id"), to: PrimitiveType::Long },
            SchemaChange::Rename { path: path("id"), name: "x y".into() },
            SchemaChange::Rename { path: path("day"), name: "part".into() },
            SchemaChange::Rename { path: path("x"), name: "id".into() },
        ];
        table.alter_schema(&changes).await.expect("altered");
        let before = rows(table.snapshot()).await;
        let report = done(&mut table, &OptimizeOptions::default()).await;
        assert_eq!((report.files_removed, report.files_added), (9, 3), "{mode}: a file for each value of `part`");
        assert_eq!(rows(table.snapshot()).await, before, "{mode}");
        let by_order = OptimizeOptions { zorder_by: vec!["x y".into(), "id".into()], ..OptimizeOptions::default() };
        done(&mut table, &by_order).await;
        assert_eq!(rows(table.snapshot()).await, before, "{mode}");
    }
}
