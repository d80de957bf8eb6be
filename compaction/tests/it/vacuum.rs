//! Vacuum: what goes, what stays, and what is refused.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use lake_compaction::{OptimizeOptions, VacuumOptions, vacuum};
use lake_format::action::{Action, Add};
use lake_format::clock::Clock;
use lake_format::operation::{Input, OverwriteOptions};
use lake_format::transaction::{Base, LogCommitter, Operation, Reads, Staged, transact};
use lake_format::{At, ClockRef, ErrorKind, StoreOptions, Table, TableRoot};
use lake_testkit::{Failure, Fault, Gate, Op, Rule};

use crate::support::{DAY_MS, MovedClock, Place, append, batch, done, objects, rows, table_at, try_rows};

const ODD: [&str; 8] = ["a b", "100%", "%20", "ü/é", "x=y", "a+b", "日本", "#1 & ?:*"];

/// One row per partition of odd names.
fn odd(id: i64) -> RecordBatch {
    let ids = Int64Array::from_iter_values((0..ODD.len() as i64).map(|i| i + 100 * id));
    batch(vec![("id", Arc::new(ids) as ArrayRef), ("_part", Arc::new(StringArray::from(ODD.to_vec())))])
}

fn ids(from: i64, to: i64) -> RecordBatch {
    batch(vec![("id", Arc::new(Int64Array::from_iter_values(from..to)) as ArrayRef)])
}

fn dry() -> VacuumOptions {
    VacuumOptions { dry_run: true, ..VacuumOptions::default() }
}

async fn overwrite(table: &mut Table, rows: RecordBatch) {
    let input = Input::from_batches(rows.schema(), vec![rows]);
    table.overwrite(&OverwriteOptions::default(), input).await.expect("overwrite");
}

#[tokio::test]
async fn a_dry_run_names_what_the_real_run_deletes() {
    let place = Place::new();
    let mut table = place.table(&[ids(0, 10), ids(10, 20), ids(20, 30)], &[], &[]).await;
    let before_optimize = table.snapshot().version();
    done(&mut table, &OptimizeOptions::default()).await;
    let all = rows(table.snapshot()).await;

    place.clock.forward(6 * DAY_MS);
    let kept = vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!((kept.files_deleted, kept.files.len(), kept.kept.remembered, kept.kept.live), (0, 0, 3, 1));
    let old = table.at(At::Version(before_optimize)).await.expect("version");
    assert_eq!(rows(&old).await, all, "time travel within the retention");

    place.clock.forward(2 * DAY_MS);
    let objects = place.objects().await;
    let planned = vacuum(table.snapshot(), &dry()).await.expect("dry run");
    assert_eq!((planned.files.len(), planned.files_deleted, planned.dry_run), (3, 0, true));
    assert_eq!(place.objects().await, objects, "a dry run deletes nothing");
    let real = vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!((&real.files, real.files_deleted, real.failed.len()), (&planned.files, 3, 0));
    assert_eq!(real.bytes_deleted, planned.files.iter().map(|file| file.size_bytes).sum::<u64>());
    assert_eq!(real.retention_ms, 7 * DAY_MS);
    let left: Vec<String> =
        objects.into_iter().filter(|path| !real.files.iter().any(|file| &file.path == path)).collect();
    assert_eq!(place.objects().await, left);
    assert_eq!(rows(table.snapshot()).await, all);
    let error = try_rows(&old).await.expect_err("its files are gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum").files.is_empty());
}

#[tokio::test]
async fn on_a_disk_with_odd_names_nothing_live_goes() {
    let folder = tempfile::tempdir().expect("folder");
    let location = folder.path().join("a table");
    let root = TableRoot::open(location.to_str().expect("UTF-8"), &StoreOptions::default()).expect("root");
    let moved: Arc<MovedClock> = Arc::default();
    let clock: ClockRef = moved.clone();
    let mut table = table_at(&root, &clock, &[odd(1), odd(2)], &["_part"], &[]).await;
    let all = rows(table.snapshot()).await;
    assert_eq!(done(&mut table, &OptimizeOptions::default()).await.files_removed, 16);
    std::fs::write(location.join("stray.parquet"), b"x").expect("stray");
    std::fs::write(location.join("_part=a b").join("stray.parquet"), b"xy").expect("stray");
    std::fs::create_dir_all(location.join("_lake")).expect("folder");
    std::fs::write(location.join("_lake/kept"), b"x").expect("hidden");
    let temporary = format!("_delta_log/.{:020}.json.{}.tmp", 9, clock.new_id().simple());
    std::fs::write(location.join(&temporary), b"x").expect("abandoned commit");

    moved.forward(8 * DAY_MS);
    let report = vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!((report.files_deleted, report.failed.len()), (16 + 2 + 1, 0));
    assert_eq!(report.kept.live, 8);
    assert_eq!(rows(table.snapshot()).await, all);
    let left = objects(&root).await;
    assert!(left.contains(&"_lake/kept".to_owned()) && !left.contains(&temporary));
    assert_eq!(left.iter().filter(|path| path.ends_with(".parquet")).count(), 8);
    let fresh = Table::open(root, clock).await.expect("open");
    assert_eq!(rows(fresh.snapshot()).await, all);
}

#[tokio::test]
async fn a_writer_in_flight_loses_nothing() {
    let place = Place::new();
    let table = place.table(&[ids(0, 10)], &[], &[]).await;
    let uploaded = place.root.child("part-being-written.parquet").expect("path");
    place.root.put(&uploaded, "rows".into()).await.expect("put");
    place.clock.forward(6 * DAY_MS);
    let report = vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!((report.files_deleted, report.kept.young), (0, 1));
    place.clock.forward(2 * DAY_MS);
    let report = vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!(report.files_deleted, 1);
}

#[tokio::test]
async fn a_short_retention_needs_leave() {
    let place = Place::new();
    let mut table = place.table(&[ids(0, 10), ids(10, 20)], &[], &[]).await;
    done(&mut table, &OptimizeOptions::default()).await;
    let hour = VacuumOptions { retention_ms: Some(3_600_000), ..VacuumOptions::default() };
    let error = vacuum(table.snapshot(), &hour).await.expect_err("unsafe");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("1 hour") && error.message().contains("7 days"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--allow-unsafe-retention")));
    let negative = VacuumOptions { retention_ms: Some(-1), allow_unsafe_retention: true, ..VacuumOptions::default() };
    assert_eq!(vacuum(table.snapshot(), &negative).await.expect_err("negative").kind(), ErrorKind::Invalid);
    place.clock.forward(7_200_000);
    let allowed = VacuumOptions { allow_unsafe_retention: true, ..hour };
    assert_eq!(vacuum(table.snapshot(), &allowed).await.expect("vacuum").files_deleted, 2);
    let own = [("delta.deletedFileRetentionDuration", "interval 2 hours")];
    let shorter = Place::new();
    let table = shorter.table(&[ids(0, 10)], &[], &own).await;
    for options in [VacuumOptions::default(), VacuumOptions { retention_ms: Some(6 * DAY_MS), ..dry() }] {
        let error = vacuum(table.snapshot(), &options).await.expect_err("unsafe");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "also where the table's own is shorter: {error}");
        let hint = error.hint().unwrap_or_default();
        assert!(error.message().contains("7 days") && hint.contains("in flight"), "{error}: {hint}");
    }
    let allowed = VacuumOptions { allow_unsafe_retention: true, ..VacuumOptions::default() };
    let report = vacuum(table.snapshot(), &allowed).await.expect("the table's own");
    assert_eq!(report.retention_ms, 7_200_000);
    let week = VacuumOptions { retention_ms: Some(7 * DAY_MS), ..dry() };
    assert_eq!(vacuum(table.snapshot(), &week).await.expect("safe").retention_ms, 7 * DAY_MS);
}

#[tokio::test]
async fn a_longer_retention_remembers_what_checkpoints_forgot() {
    let place = Place::new();
    let properties = [("delta.deletedFileRetentionDuration", "interval 1 day"), ("delta.checkpointInterval", "1")];
    let mut table = place.table(&[ids(0, 10), ids(10, 20)], &[], &properties).await;
    place.clock.forward(20 * DAY_MS);
    done(&mut table, &OptimizeOptions::default()).await;
    let optimized = table.snapshot().version();
    place.clock.forward(3 * DAY_MS);
    append(&mut table, &ids(20, 30)).await;
    let fresh = Table::open(place.root.clone(), place.clock()).await.expect("open");
    assert_eq!(fresh.snapshot().tombstones().await.expect("files").len(), 0, "the checkpoint dropped them");
    let long = VacuumOptions { retention_ms: Some(10 * DAY_MS), ..VacuumOptions::default() };
    let report = vacuum(fresh.snapshot(), &long).await.expect("vacuum");
    assert_eq!((report.files_deleted, report.kept.remembered), (0, 2));
    let before = fresh.at(At::Version(optimized - 1)).await.expect("version");
    assert_eq!(rows(&before).await.len(), 20);
    let own = VacuumOptions { allow_unsafe_retention: true, ..VacuumOptions::default() };
    assert_eq!(vacuum(fresh.snapshot(), &own).await.expect("vacuum").files_deleted, 2);
}

#[tokio::test]
async fn a_file_that_comes_back_meanwhile_stays() {
    let place = Place::new();
    let mut table = place.table(&[ids(0, 10)], &[], &[]).await;
    let first = table.snapshot().version();
    overwrite(&mut table, ids(50, 60)).await;
    place.clock.forward(8 * DAY_MS);
    // The listing is done, the deletion has not begun: then another engine brings the first file back as it was.
    let old = table.at(At::Version(first)).await.expect("version").files().await.expect("files");
    let back = Add::clone(&old.iter().next().expect("a file"));
    let gate = Gate::new();
    place.faults.add(Rule::new(Fault::Pass).on(Op::List).hold_after(&gate).nth(1));
    let snapshot = table.snapshot().clone();
    let vacuuming = tokio::spawn(async move { vacuum(&snapshot, &VacuumOptions::default()).await });
    gate.reached(1).await;
    let actions = vec![Action::Add(Box::new(Add { data_change: true, ..back }))];
    let staged = Staged { operation: Operation::new("RESTORE"), actions, reads: Reads::Nothing };
    transact(Base::On(Arc::clone(table.snapshot())), staged, &LogCommitter).await.expect("back");
    table.refresh().await.expect("refreshed");
    gate.open();
    let report = vacuuming.await.expect("task").expect("vacuum");
    assert_eq!(report.files_deleted, 0, "{report:?}");
    assert_eq!(rows(table.snapshot()).await.len(), 20);
}

#[tokio::test]
async fn a_file_that_can_not_be_deleted_is_reported_and_the_rest_goes() {
    let place = Place::new();
    let mut table = place.table(&[ids(0, 10), ids(10, 20), ids(20, 30)], &[], &[]).await;
    let victim = table.snapshot().files().await.expect("files").iter().nth(1).expect("a file").path.clone();
    let gone = table.snapshot().files().await.expect("files").iter().next().expect("a file").path.clone();
    done(&mut table, &OptimizeOptions::default()).await;
    place.clock.forward(8 * DAY_MS);
    place.faults.add(Rule::new(Fault::ErrorBefore(Failure::PermissionDenied)).on(Op::Delete).path(&victim));
    place.faults.add(Rule::new(Fault::ErrorBefore(Failure::NotFound)).on(Op::Delete).path(&gone));
    let report = vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!((report.files.len(), report.files_deleted), (3, 2));
    assert_eq!(report.failed.iter().map(|failure| failure.path.as_str()).collect::<Vec<_>>(), [victim.as_str()]);
    assert!(report.failed[0].reason.contains("denied"), "{:?}", report.failed);
}

#[tokio::test]
async fn another_table_inside_is_not_touched() {
    let place = Place::new();
    let table = place.table(&[ids(0, 10)], &[], &[]).await;
    let inner = place.root.prefix().clone().join("inner");
    let url = url::Url::parse("memory:///t/inner/").expect("address");
    let inner_root = TableRoot::with_store(place.root.store().clone(), inner, url);
    let inner_table = table_at(&inner_root, &place.clock(), &[ids(0, 5)], &[], &[]).await;
    place.clock.forward(30 * DAY_MS);
    let report = vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!(report.files_deleted, 0);
    assert!(report.kept.foreign > 0);
    assert_eq!(rows(inner_table.snapshot()).await.len(), 5);
}

#[tokio::test]
async fn a_log_that_can_not_be_told_stops_everything() {
    let place = Place::new();
    let table = place.table(&[ids(0, 10)], &[], &[]).await;
    let path = place.root.child("_delta_log/00000000000000000002.json").expect("path");
    let line = r#"{"add":{"path":"%zz.parquet","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}"#;
    place.root.put(&path, line.into()).await.expect("commit");
    place.clock.forward(8 * DAY_MS);
    let error = vacuum(table.snapshot(), &VacuumOptions::default()).await.expect_err("no such path");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(place.data_files().await.len(), 1);
}

/// LOG-10: a path that does not resolve below the root may be one of the table's own files, spelled another way.
#[tokio::test]
async fn a_file_spelled_as_if_outside_stops_everything() {
    let now = MovedClock::default().now_ms();
    let add = |path: &str| {
        format!(
            r#"{{"add":{{"path":"{path}","partitionValues":{{}},"size":1,"modificationTime":1,"dataChange":true}}}}"#
        )
    };
    let remove =
        |path: &str| format!(r#"{{"remove":{{"path":"{path}","deletionTimestamp":{now},"dataChange":true}}}}"#);
    for line in [
        add("memory://T/own.parquet"),
        add("/t/own.parquet"),
        add("s3://elsewhere/t/own.parquet"),
        remove("file:///t/own.parquet"),
        remove("s3://elsewhere/t/own.parquet"),
    ] {
        let place = Place::new();
        let table = place.table(&[ids(0, 10)], &[], &[]).await;
        let own = place.root.child("own.parquet").expect("path");
        place.root.put(&own, "rows".into()).await.expect("put");
        let path = place.root.child("_delta_log/00000000000000000002.json").expect("path");
        place.root.put(&path, line.clone().into()).await.expect("commit");
        place.clock.forward(7 * DAY_MS + 1000);
        let before = place.objects().await;
        // Longer than it is since the removal.
        let long = VacuumOptions { retention_ms: Some(8 * DAY_MS), ..VacuumOptions::default() };
        let error = vacuum(table.snapshot(), &long).await.expect_err("LOG-10");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "LOG-10: {line}");
        assert!(error.hint().is_some_and(|hint| hint.contains("nothing was deleted")), "LOG-10: {line}: {error}");
        assert_eq!(place.objects().await, before, "LOG-10: {line}");
    }
}
