//! The verbs on a table in memory, and what they refuse.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use async_trait::async_trait;
use futures::stream;

use super::*;
use crate::clock::{Clock, ClockRef, SystemClock};
use crate::error::ErrorKind;
use crate::schema::{parse_declaration, to_arrow};
use crate::snapshot::At;
use crate::transaction::LogCommitter;

/// A clock that is moved by hand.
#[derive(Debug, Default)]
struct HandClock(AtomicI64);

#[async_trait]
impl Clock for HandClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn new_id(&self) -> Uuid {
        SystemClock.new_id()
    }

    fn new_txn_id(&self) -> Uuid {
        SystemClock.new_txn_id()
    }

    async fn sleep(&self, _: Duration) {}
}

fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let names: ArrayRef = Arc::new(ids.clone().map(|id| Some(format!("n{id}"))).collect::<StringArray>());
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(ids));
    RecordBatch::try_from_iter([("id", ids), ("name", names)]).expect("batch")
}

fn input(ids: std::ops::Range<i64>) -> Input {
    let batch = rows(ids);
    Input::from_batches(batch.schema(), vec![batch])
}

async fn table(declaration: &str, clock: ClockRef) -> Arc<Snapshot> {
    let root = TableRoot::in_memory("t").expect("root");
    let schema = parse_declaration(declaration).expect("schema");
    let options = CreateOptions { schema, ..CreateOptions::default() };
    create(&root, &clock, &LogCommitter, options, None).await.expect("created");
    Arc::new(Snapshot::load(root, At::Latest, clock).await.expect("loads"))
}

async fn newest(snapshot: &Arc<Snapshot>) -> Arc<Snapshot> {
    snapshot.refreshed().await.expect("refreshed")
}

async fn objects(snapshot: &Snapshot) -> usize {
    let checksum = |object: &crate::store::ObjectInfo| object.path.as_ref().ends_with(".crc");
    snapshot.root().list("").await.expect("list").iter().filter(|object| !checksum(object)).count()
}

#[tokio::test]
async fn a_write_that_lasts_too_long_is_not_committed() {
    let clock = Arc::new(HandClock::default());
    let snapshot = table("id long, name string", Arc::clone(&clock) as ClockRef).await;
    let slow = Arc::clone(&clock);
    let batch = rows(0..3);
    let schema = batch.schema();
    let batches = stream::once(async move {
        slow.0.fetch_add(4 * 24 * 60 * 60 * 1000, Ordering::SeqCst);
        Ok(batch)
    });
    let input = Input::new(schema, batches.boxed());
    let error = append(&snapshot, &LogCommitter, &AppendOptions::default(), input).await.expect_err("COM-8");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!((newest(&snapshot).await.version(), objects(&snapshot).await), (0, 1), "COM-4: no file stays");
}

#[tokio::test]
async fn a_refused_write_leaves_no_file() {
    let snapshot = table("id long not null, name long", SystemClock::shared()).await;
    let error = append(&snapshot, &LogCommitter, &AppendOptions::default(), input(0..3)).await.expect_err("types");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(format!("{error}").contains("name"), "{error}");
    assert_eq!((newest(&snapshot).await.version(), objects(&snapshot).await), (0, 1));

    let snapshot = table("id long, name string", SystemClock::shared()).await;
    append(&snapshot, &LogCommitter, &AppendOptions::default(), input(0..3)).await.expect("append");
    let before = objects(&snapshot).await;
    let stale = overwrite(&snapshot, &LogCommitter, &OverwriteOptions::default(), input(0..9)).await;
    assert_eq!(stale.expect_err("CON-2").kind(), ErrorKind::Conflict);
    assert_eq!(objects(&snapshot).await, before, "COM-4");
}

#[tokio::test]
async fn columns_are_added_by_name_and_only_when_asked() {
    let snapshot = table("id long", SystemClock::shared()).await;
    let refused = append(&snapshot, &LogCommitter, &AppendOptions::default(), input(0..3)).await.expect_err("extra");
    assert!(refused.hint().is_some_and(|hint| hint.contains("merge-schema")), "{refused:?}");
    let merged = AppendOptions { merge_schema: true, ..AppendOptions::default() };
    append(&snapshot, &LogCommitter, &merged, input(0..3)).await.expect("merged");
    let after = newest(&snapshot).await;
    assert!(after.schema().field("name").is_some_and(|field| field.nullable));

    let column = parse_declaration("at timestamp_ntz").expect("column").fields;
    let error = add_columns(&after, &LogCommitter, column).await.expect_err("a feature is never switched on silently");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("timestampNtz"), "{error}");
    let taken = parse_declaration("ID long").expect("column").fields;
    assert_eq!(add_columns(&after, &LogCommitter, taken).await.expect_err("taken").kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn restore_brings_rows_and_columns_back() {
    let snapshot = table("id long, name string", SystemClock::shared()).await;
    append(&snapshot, &LogCommitter, &AppendOptions::default(), input(0..3)).await.expect("append");
    let first = newest(&snapshot).await;
    let column = parse_declaration("extra string").expect("column").fields;
    add_columns(&first, &LogCommitter, column).await.expect("added");
    let second = newest(&first).await;
    overwrite(&second, &LogCommitter, &OverwriteOptions::default(), input(5..6)).await.expect("overwrite");
    let third = newest(&second).await;
    restore(&third, &LogCommitter, &first).await.expect("restored");
    let restored = newest(&third).await;
    assert_eq!((restored.version(), restored.files().await.expect("files").num_rows()), (4, Some(3)));
    assert_eq!(to_arrow(restored.schema()).expect("schema"), to_arrow(first.schema()).expect("schema"));

    let file = restored
        .root()
        .resolve(&restored.files().await.expect("files").iter().next().expect("a file").path)
        .expect("path");
    restored.root().delete(&file).await.expect("deleted");
    overwrite(&restored, &LogCommitter, &OverwriteOptions::default(), input(0..1)).await.expect("overwrite");
    let last = newest(&restored).await;
    let error = restore(&last, &LogCommitter, &restored).await.expect_err("its file is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(newest(&last).await.version(), last.version());
}

#[tokio::test]
async fn an_append_only_table_keeps_its_rows() {
    let snapshot = table("id long, name string", SystemClock::shared()).await;
    append(&snapshot, &LogCommitter, &AppendOptions::default(), input(0..3)).await.expect("append");
    let change = [("delta.appendOnly".to_owned(), Some("true".to_owned()))].into();
    set_properties(&newest(&snapshot).await, &LogCommitter, &change).await.expect("set");
    let sealed = newest(&snapshot).await;
    let error = overwrite(&sealed, &LogCommitter, &OverwriteOptions::default(), input(0..1)).await.expect_err("sealed");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    append(&sealed, &LogCommitter, &AppendOptions::default(), input(3..4)).await.expect("it may grow");
}

#[tokio::test]
async fn a_table_that_can_not_be_is_refused_before_anything_is_written() {
    let root = TableRoot::in_memory("t").expect("root");
    let clock = SystemClock::shared();
    let cases = [
        ("id long", vec!["nope"], ErrorKind::Invalid),
        ("id long", vec!["id"], ErrorKind::Invalid),
        ("id long, tags array<string>", vec!["tags"], ErrorKind::Invalid),
        ("id long, n long", vec!["id", "ID"], ErrorKind::Invalid),
    ];
    for (declaration, partition, kind) in cases {
        let options = CreateOptions {
            schema: parse_declaration(declaration).expect("schema"),
            partition_columns: partition.iter().map(|&name| name.to_owned()).collect(),
            ..CreateOptions::default()
        };
        let error = create(&root, &clock, &LogCommitter, options, None).await.expect_err(declaration);
        assert_eq!(error.kind(), kind, "{declaration} by {partition:?}: {error}");
    }
    let empty = create(&root, &clock, &LogCommitter, CreateOptions::default(), None).await.expect_err("no column");
    assert_eq!(empty.kind(), ErrorKind::Invalid);
    assert!(root.list("").await.expect("list").is_empty());
}

mod deleting;
mod lasting;
mod replacing;
