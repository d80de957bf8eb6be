//! Overwrites of part of a table, writes that are applied once, domains, and the modes of saving.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use futures::TryStreamExt;
use proptest::prelude::*;

use super::*;
use crate::action::{Action, DomainMetadata, Protocol};
use crate::conflict::Reads;
use crate::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use crate::scan::{ReadOptions, ScanRequest};
use crate::transaction::{Staged, transact};

pub(super) fn batch(rows: &[(Option<i64>, &str)]) -> RecordBatch {
    let ids: ArrayRef = Arc::new(rows.iter().map(|(id, _)| *id).collect::<Int64Array>());
    let names: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, name)| *name)));
    RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("name", names, true)]).expect("batch")
}

pub(super) fn given(rows: &[(Option<i64>, &str)]) -> Input {
    let batch = batch(rows);
    Input::from_batches(batch.schema(), vec![batch])
}

async fn partitioned(clock: ClockRef) -> Arc<Snapshot> {
    let root = TableRoot::in_memory("t").expect("root");
    let schema = parse_declaration("id long, name string").expect("schema");
    let options = CreateOptions { schema, partition_columns: vec!["name".into()], ..CreateOptions::default() };
    create(&root, &clock, &LogCommitter, options, None).await.expect("created");
    Arc::new(Snapshot::load(root, At::Latest, clock).await.expect("loads"))
}

pub(super) async fn found(snapshot: &Snapshot) -> Vec<(Option<i64>, String)> {
    let plan = snapshot.plan_scan(&ScanRequest::default()).await.expect("plan");
    let batches: Vec<RecordBatch> = plan.stream(ReadOptions::default()).try_collect().await.expect("rows");
    let mut rows = Vec::new();
    for batch in batches {
        let (ids, names) = (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_string::<i32>());
        rows.extend(ids.iter().zip(names).map(|(id, name)| (id, name.unwrap_or_default().to_owned())));
    }
    rows.sort();
    rows
}

pub(super) fn below(limit: i64) -> Predicate {
    Predicate::Compare { column: ColumnPath::top("id"), op: CompareOp::Lt, value: Scalar::Long(limit) }
}

pub(super) fn name_is(name: &str) -> Predicate {
    let value = Scalar::String(name.into());
    Predicate::Compare { column: ColumnPath::top("name"), op: CompareOp::Eq, value }
}

pub(super) fn replacing(predicate: Predicate) -> OverwriteOptions {
    OverwriteOptions { replace: Replace::Where(predicate), ..OverwriteOptions::default() }
}

pub(super) fn owned(rows: &[(Option<i64>, &str)]) -> Vec<(Option<i64>, String)> {
    rows.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
}

fn report(outcome: WriteOutcome) -> WriteReport {
    match outcome {
        WriteOutcome::Committed(report, _) => report,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_condition_replaces_its_rows_and_no_others() {
    let table = table("id long, name string", SystemClock::shared()).await;
    let old = [(Some(1), "a"), (Some(5), "b"), (None, "c")];
    append(&table, &LogCommitter, &AppendOptions::default(), given(&old)).await.expect("one file of each kind");
    append(&newest(&table).await, &LogCommitter, &AppendOptions::default(), given(&[(Some(2), "d")]))
        .await
        .expect("in");
    append(&newest(&table).await, &LogCommitter, &AppendOptions::default(), given(&[(Some(9), "e")]))
        .await
        .expect("out");
    let head = newest(&table).await;
    let before = objects(&head).await;

    let wrong = given(&[(Some(3), "x"), (Some(4), "y"), (None, "z")]);
    let error = overwrite(&head, &LogCommitter, &replacing(below(4)), wrong).await.expect_err("OVW-1");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("2 of 3 rows"), "{error}");
    assert_eq!((newest(&head).await.version(), objects(&head).await), (head.version(), before), "COM-4");

    let done = overwrite(&head, &LogCommitter, &replacing(below(4)), given(&[(Some(3), "x")])).await.expect("done");
    let done = report(done);
    assert_eq!((done.rows, done.files_removed, done.files_added), (1, 2, 2), "the file of 9 is left alone");
    let now = newest(&head).await;
    assert_eq!(found(&now).await, owned(&[(None, "c"), (Some(3), "x"), (Some(5), "b"), (Some(9), "e")]), "OVW-2");
    let unknown = Predicate::IsNull(ColumnPath::top("nope"));
    let error = overwrite(&now, &LogCommitter, &replacing(unknown), given(&[])).await.expect_err("no such column");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_condition_on_partitions_conflicts_with_those_alone() {
    let base = partitioned(SystemClock::shared()).await;
    let rows = [(Some(1), "a"), (Some(2), "b")];
    append(&base, &LogCommitter, &AppendOptions::default(), given(&rows)).await.expect("two partitions");
    let stale = newest(&base).await;
    append(&stale, &LogCommitter, &AppendOptions::default(), given(&[(Some(3), "b")])).await.expect("another's");
    overwrite(&stale, &LogCommitter, &replacing(name_is("a")), given(&[(Some(7), "a")])).await.expect("CON-7: rebased");
    let now = newest(&stale).await;
    assert_eq!(found(&now).await, owned(&[(Some(2), "b"), (Some(3), "b"), (Some(7), "a")]));
    let late = overwrite(&stale, &LogCommitter, &replacing(name_is("b")), given(&[(Some(8), "b")])).await;
    let error = late.expect_err("CON-7: its partition got a row");
    assert!(error.message().contains("CON-7") && error.message().contains("(WRITE)"), "{error}");
    assert_eq!(newest(&now).await.version(), now.version());
}

#[tokio::test]
async fn a_dynamic_overwrite_replaces_the_partitions_written() {
    let plain = table("id long, name string", SystemClock::shared()).await;
    let dynamic = OverwriteOptions { replace: Replace::Partitions, ..OverwriteOptions::default() };
    let error = overwrite(&plain, &LogCommitter, &dynamic, given(&[])).await.expect_err("no partitions");
    assert_eq!(error.kind(), ErrorKind::Invalid);

    let base = partitioned(SystemClock::shared()).await;
    let rows = [(Some(1), "a"), (Some(2), "b"), (Some(3), "c")];
    append(&base, &LogCommitter, &AppendOptions::default(), given(&rows)).await.expect("three partitions");
    let stale = newest(&base).await;
    append(&stale, &LogCommitter, &AppendOptions::default(), given(&[(Some(4), "c")])).await.expect("another's");
    let new = [(Some(8), "a"), (Some(9), "d")];
    let done = report(overwrite(&stale, &LogCommitter, &dynamic, given(&new)).await.expect("CON-7: rebased"));
    assert_eq!((done.files_removed, done.files_added), (1, 2));
    let now = newest(&stale).await;
    let left = [(Some(2), "b"), (Some(3), "c"), (Some(4), "c"), (Some(8), "a"), (Some(9), "d")];
    assert_eq!(found(&now).await, owned(&left), "OVW-3");
    let late = overwrite(&stale, &LogCommitter, &dynamic, given(&[(Some(0), "c")])).await;
    assert_eq!(late.expect_err("CON-7").kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn a_replayed_write_is_applied_once() {
    let base = table("id long, name string", SystemClock::shared()).await;
    let options = |sequence| AppendOptions { txn: Some(("loader".into(), sequence)), ..AppendOptions::default() };
    let row = || given(&[(Some(1), "a")]);
    report(append(&base, &LogCommitter, &options(7), row()).await.expect("applied"));
    let after = newest(&base).await;
    let held = objects(&after).await;
    for replay in 0..100 {
        // Stale and fresh alike: the first finds out by the conflict, the second before it writes.
        let (from, known) = if replay % 2 == 0 { (&base, Some(1)) } else { (&after, None) };
        let sequence = if replay % 3 == 0 { 6 } else { 7 };
        let outcome = append(from, &LogCommitter, &options(sequence), row()).await.expect("COM-11");
        let WriteOutcome::Unchanged(Unchanged::AlreadyApplied { version, snapshot }) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((version, snapshot.version()), (known, 1), "COM-11");
    }
    assert_eq!((newest(&after).await.version(), objects(&after).await), (1, held), "COM-11: nothing is written");
    let again = OverwriteOptions { txn: Some(("loader".into(), 7)), ..OverwriteOptions::default() };
    let outcome = overwrite(&after, &LogCommitter, &again, row()).await.expect("COM-11");
    assert!(matches!(outcome, WriteOutcome::Unchanged(_)));
    report(
        append(&base, &LogCommitter, &AppendOptions { txn: Some(("other".into(), 1)), ..Default::default() }, row())
            .await
            .expect("another application"),
    );
    let conflict = append(&base, &LogCommitter, &options(8), row()).await.expect_err("CON-6: it read an older mark");
    assert_eq!(conflict.kind(), ErrorKind::Conflict);
    report(append(&newest(&base).await, &LogCommitter, &options(8), row()).await.expect("the next one"));
    assert_eq!(found(&*newest(&base).await).await.len(), 3);
}

#[tokio::test]
async fn of_two_racing_writers_one_applies() {
    for overwrites in [false, true] {
        let base = table("id long, name string", SystemClock::shared()).await;
        let txn = Some(("loader".to_owned(), 1));
        let write = || async {
            if overwrites {
                let options = OverwriteOptions { txn: txn.clone(), ..OverwriteOptions::default() };
                overwrite(&base, &LogCommitter, &options, given(&[(Some(1), "a")])).await
            } else {
                let options = AppendOptions { txn: txn.clone(), ..AppendOptions::default() };
                append(&base, &LogCommitter, &options, given(&[(Some(1), "a")])).await
            }
        };
        let (one, two) = futures::join!(write(), write());
        let applied = |outcome: &WriteOutcome| matches!(outcome, WriteOutcome::Committed(..));
        let (one, two) = (one.expect("COM-11"), two.expect("COM-11"));
        assert_ne!(applied(&one), applied(&two), "COM-11: exactly one");
        assert_eq!(found(&*newest(&base).await).await, owned(&[(Some(1), "a")]));
    }
}

#[tokio::test]
async fn saving_goes_by_its_mode() {
    let (root, clock) = (TableRoot::in_memory("t").expect("root"), SystemClock::shared());
    let schema = parse_declaration("id long, name string").expect("schema");
    let save_as = |mode, rows: Vec<(Option<i64>, &'static str)>| {
        let create = CreateOptions { schema: schema.clone(), ..CreateOptions::default() };
        let append = AppendOptions { txn: Some(("loader".into(), 1)), ..AppendOptions::default() };
        let options = SaveOptions { mode, create, append, ..SaveOptions::default() };
        let (root, clock) = (root.clone(), clock.clone());
        async move { save(&root, &clock, &LogCommitter, options, given(&rows)).await }
    };
    report(save_as(SaveMode::Append, vec![(Some(1), "a")]).await.expect("created"));
    let replay = save_as(SaveMode::Append, vec![(Some(1), "a")]).await.expect("COM-11: also of what created it");
    assert!(matches!(replay, WriteOutcome::Unchanged(Unchanged::AlreadyApplied { .. })));
    let ignored = save_as(SaveMode::Ignore, vec![(Some(2), "b")]).await.expect("fine");
    assert!(matches!(ignored, WriteOutcome::Unchanged(Unchanged::Exists(_))));
    let error = save_as(SaveMode::ErrorIfExists, vec![(Some(2), "b")]).await.expect_err("there");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    report(save_as(SaveMode::Overwrite, vec![(Some(3), "c")]).await.expect("replaced"));
    let now = Snapshot::load(root.clone(), At::Latest, clock.clone()).await.expect("loads");
    assert_eq!((now.version(), found(&now).await), (1, owned(&[(Some(3), "c")])));
}

/// Gives a table features and properties, as another engine would.
pub(super) async fn upgraded(
    snapshot: &Arc<Snapshot>,
    features: &[&str],
    properties: &[(&str, &str)],
) -> Arc<Snapshot> {
    let listed = ["appendOnly", "invariants"].iter().chain(features).map(|&name| name.to_owned()).collect();
    let read: Vec<String> =
        features.iter().filter(|&&name| name == "deletionVectors").map(|&name| name.to_owned()).collect();
    let (min_reader_version, reader_features) = if read.is_empty() { (1, None) } else { (3, Some(read)) };
    let protocol =
        Protocol { min_reader_version, min_writer_version: 7, reader_features, writer_features: Some(listed) };
    let mut metadata = snapshot.metadata().clone();
    metadata.configuration.extend(properties.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())));
    let actions = vec![Action::Protocol(protocol), Action::Metadata(Box::new(metadata))];
    let staged = Staged { operation: Operation::new("UPGRADE PROTOCOL"), actions, reads: Reads::Nothing };
    transact(Base::On(Arc::clone(snapshot)), staged, &LogCommitter).await.expect("upgraded");
    newest(snapshot).await
}

#[tokio::test]
async fn rows_are_numbered_whatever_writes_them() {
    let base = table("id long, name string", SystemClock::shared()).await;
    append(&base, &LogCommitter, &AppendOptions::default(), given(&[(Some(0), "old")])).await.expect("unnumbered");
    let features = ["rowTracking", "domainMetadata"];
    let tracked = upgraded(&newest(&base).await, &features, &[("delta.enableRowTracking", "true")]).await;
    let ids = |snapshot: Arc<Snapshot>| async move {
        let files = snapshot.files().await.expect("files");
        let mut ids: Vec<_> = files.iter().map(|add| (add.base_row_id, add.default_row_commit_version)).collect();
        ids.sort_unstable();
        ids
    };
    let two = [(Some(1), "a"), (Some(2), "b")];
    append(&tracked, &LogCommitter, &AppendOptions::default(), given(&two)).await.expect("append");
    append(&tracked, &LogCommitter, &AppendOptions::default(), given(&two)).await.expect("a stale append");
    let twice = newest(&tracked).await;
    assert_eq!(ids(twice.clone()).await, [(None, None), (Some(0), Some(3)), (Some(2), Some(4))], "COM-10");
    overwrite(&twice, &LogCommitter, &OverwriteOptions::default(), given(&two)).await.expect("overwrite");
    let over = newest(&twice).await;
    assert_eq!(ids(over.clone()).await, [(Some(4), Some(5))], "COM-10");
    restore(&over, &LogCommitter, &twice).await.expect("restored");
    let back = newest(&over).await;
    let restored = ids(back.clone()).await;
    assert_eq!(
        restored,
        [(Some(0), Some(3)), (Some(2), Some(4)), (Some(6), Some(6))],
        "COM-10: what comes back keeps ids"
    );
    let mark = back.domain("delta.rowTracking").map(|domain| domain.configuration.clone());
    assert_eq!(mark.as_deref(), Some(r#"{"rowIdHighWaterMark":6}"#));
    let split = overwrite(&back, &LogCommitter, &replacing(below(2)), given(&[])).await.expect_err("would move a row");
    assert_eq!(split.kind(), ErrorKind::Unsupported);
    assert!(split.message().contains("rowTracking") && split.object().is_some(), "{split}");
    assert_eq!(crate::transaction::check_rearrangement(&back).expect_err("LOG-8").kind(), ErrorKind::Unsupported);
    let whole = Predicate::Or(vec![below(100), Predicate::IsNull(ColumnPath::top("id"))]);
    overwrite(&back, &LogCommitter, &replacing(whole), given(&two)).await.expect("whole files only");
}

#[tokio::test]
async fn what_a_vacuum_may_be_taking_comes_back_as_a_copy() {
    for on_disk in [false, true] {
        let clock = Arc::new(HandClock::default());
        clock.0.store(SystemClock.now_ms(), Ordering::SeqCst);
        let folder = tempfile::tempdir().expect("folder");
        let root = match on_disk {
            true => TableRoot::open(&folder.path().to_string_lossy(), &crate::StoreOptions::default()).expect("root"),
            false => TableRoot::in_memory("t").expect("root"),
        };
        let schema = parse_declaration("id long, name string").expect("schema");
        let options = CreateOptions { schema, partition_columns: vec!["name".into()], ..CreateOptions::default() };
        let shared: ClockRef = clock.clone();
        create(&root, &shared, &LogCommitter, options, None).await.expect("created");
        let empty = Arc::new(Snapshot::load(root.clone(), At::Latest, shared).await.expect("loads"));
        let path = |snapshot: Arc<Snapshot>| async move {
            snapshot.files().await.expect("files").iter().next().expect("a file").path.clone()
        };
        let row = [(Some(1), "a b")];
        append(&empty, &LogCommitter, &AppendOptions::default(), given(&row)).await.expect("append");
        let first = newest(&empty).await;
        overwrite(&first, &LogCommitter, &OverwriteOptions::default(), given(&[(Some(2), "b")])).await.expect("over");
        let second = newest(&first).await;
        report(restore(&second, &LogCommitter, &first).await.expect("RST-1: remembered, so it is safe"));
        let third = newest(&second).await;
        assert_eq!(path(third.clone()).await, path(first.clone()).await, "RST-1");
        overwrite(&third, &LogCommitter, &OverwriteOptions::default(), given(&[(Some(3), "c")])).await.expect("over");
        clock.0.fetch_add(7 * 24 * 60 * 60 * 1000, Ordering::SeqCst);
        let fourth = newest(&third).await;
        let done = report(restore(&fourth, &LogCommitter, &first).await.expect("RST-1: forgotten, so it is copied"));
        assert_eq!((done.files_added, done.files_removed), (1, 1));
        let fifth = newest(&fourth).await;
        assert_ne!(path(fifth.clone()).await, path(first.clone()).await, "RST-1");
        let old = root.resolve(&path(first).await).expect("path");
        root.delete(&old).await.expect("a vacuum that had begun");
        assert_eq!(found(&fifth).await, owned(&row), "RST-1");
    }
}

#[tokio::test]
async fn clustering_columns_have_statistics_wherever_they_stand() {
    let base = table("id long, name string", SystemClock::shared()).await;
    let few = [("delta.dataSkippingNumIndexedCols", "1")];
    let ready = upgraded(&base, &["clustering", "domainMetadata"], &few).await;
    let configuration = r#"{"clusteringColumns":[["name"]]}"#.to_owned();
    let domain = DomainMetadata { domain: "delta.clustering".into(), configuration, removed: false };
    let actions = vec![Action::Domain(domain)];
    let staged = Staged { operation: Operation::new("CLUSTER BY"), actions, reads: Reads::Nothing };
    transact(Base::On(Arc::clone(&ready)), staged, &LogCommitter).await.expect("clustered");
    let clustered = newest(&ready).await;
    append(&clustered, &LogCommitter, &AppendOptions::default(), given(&[(Some(1), "a")])).await.expect("append");
    let files = newest(&clustered).await.files().await.expect("files");
    let stats = files.iter().next().and_then(|add| add.stats.clone()).expect("statistics");
    assert!(stats.contains(r#""name":"a""#) && stats.contains(r#""id":1"#), "COM-13: {stats}");
    let other: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let other = RecordBatch::try_from_iter([("other", other)]).expect("batch");
    let replaced = OverwriteOptions { overwrite_schema: true, ..OverwriteOptions::default() };
    let input = Input::from_batches(other.schema(), vec![other]);
    let error = overwrite(&newest(&clustered).await, &LogCommitter, &replaced, input).await.expect_err("clusters");
    assert_eq!((error.kind(), error.object()), (ErrorKind::Unsupported, Some("column name")));
}

#[tokio::test]
async fn domains_are_set_removed_and_kept_from_the_protocol_s_names() {
    let base = table("id long", SystemClock::shared()).await;
    let error = set_domain(&base, &LogCommitter, "mine", "{}").await.expect_err("no feature");
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("domainMetadata"), "{error}");
    let ready = upgraded(&base, &["domainMetadata"], &[]).await;
    for name in ["", "delta.clustering", "DELTA.x", "a\nb"] {
        let error = set_domain(&ready, &LogCommitter, name, "{}").await.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Invalid, "{name}");
    }
    set_domain(&ready, &LogCommitter, "mine", "one").await.expect("set");
    let set = newest(&ready).await;
    assert_eq!(set.domain("mine").map(|domain| domain.configuration.as_str()), Some("one"));
    let late = set_domain(&ready, &LogCommitter, "mine", "two").await.expect_err("CON-6");
    assert_eq!((late.kind(), late.object()), (ErrorKind::Conflict, Some("mine")));
    set_domain(&ready, &LogCommitter, "another", "x").await.expect("CON-6: another domain");
    remove_domain(&set, &LogCommitter, "mine").await.expect("removed");
    let gone = newest(&set).await;
    assert!(gone.domain("mine").is_none() && gone.domain("another").is_some());
    assert_eq!(remove_domain(&gone, &LogCommitter, "mine").await.expect_err("gone").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_table_of_its_own_time_is_written_in_order() {
    let clock = Arc::new(HandClock::default());
    clock.0.store(10_000_000_000_000, Ordering::SeqCst);
    let base = table("id long, name string", Arc::clone(&clock) as ClockRef).await;
    let on = [("delta.enableInCommitTimestamps".to_owned(), Some("true".to_owned()))].into();
    let ready = upgraded(&base, &["inCommitTimestamp"], &[]).await;
    set_properties(&ready, &LogCommitter, &on).await.expect("switched on");
    let kept = newest(&ready).await;
    assert_eq!(kept.properties().in_commit_timestamp_enablement_version, Some(2), "COM-9");
    assert_eq!(kept.properties().in_commit_timestamp_enablement_ms, Some(kept.timestamp_ms()), "COM-9");
    clock.0.fetch_sub(5_000, Ordering::SeqCst);
    append(&kept, &LogCommitter, &AppendOptions::default(), given(&[(Some(1), "a")])).await.expect("append");
    let later = newest(&kept).await;
    assert_eq!(later.timestamp_ms(), kept.timestamp_ms() + 1, "COM-9: time does not go back");
    append(&kept, &LogCommitter, &AppendOptions::default(), given(&[(Some(1), "a")])).await.expect("stale append");
    assert_eq!(newest(&later).await.timestamp_ms(), kept.timestamp_ms() + 2, "COM-9: made anew for each attempt");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// OVW-2 against a model, with files of every kind and nulls.
    #[test]
    fn an_overwrite_by_condition_is_what_sql_says(
        files in prop::collection::vec(prop::collection::vec(prop::option::of(-3_i64..4), 1..4), 0..4),
        limit in -4_i64..5,
        new in prop::collection::vec(-9_i64..-4, 0..2),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let mut head = table("id long, name string", SystemClock::shared()).await;
            for ids in &files {
                let rows: Vec<_> = ids.iter().map(|&id| (id, "old")).collect();
                append(&head, &LogCommitter, &AppendOptions::default(), given(&rows)).await.expect("append");
                head = newest(&head).await;
            }
            let rows: Vec<_> = new.iter().map(|&id| (Some(id), "new")).collect();
            overwrite(&head, &LogCommitter, &replacing(below(limit)), given(&rows)).await.expect("overwrite");
            let stays = files.iter().flatten().filter(|id| id.is_none_or(|id| id >= limit));
            let mut wanted: Vec<_> = stays.map(|&id| (id, "old".to_owned())).collect();
            wanted.extend(new.iter().map(|&id| (Some(id), "new".to_owned())));
            wanted.sort();
            prop_assert_eq!(found(&*newest(&head).await).await, wanted);
            Ok(())
        })?;
    }
}
