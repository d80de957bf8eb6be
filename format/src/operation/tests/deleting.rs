//! Deletes: by whole files, by deletion vectors, by writing files again; alone and beside others.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::replacing::{below, found, given, name_is, owned, upgraded};
use super::*;
use crate::action::Action;
use crate::expr::{ColumnPath, Predicate};

type Row = (Option<i64>, String);

async fn made(partition: bool, vectors: bool) -> Arc<Snapshot> {
    let root = TableRoot::in_memory("t").expect("root");
    let clock = SystemClock::shared();
    let schema = parse_declaration("id long, name string").expect("schema");
    let mut properties = BTreeMap::new();
    if vectors {
        properties.insert("delta.enableDeletionVectors".to_owned(), "true".to_owned());
    }
    let partition_columns = if partition { vec!["name".to_owned()] } else { Vec::new() };
    let options = CreateOptions { schema, partition_columns, properties, ..CreateOptions::default() };
    create(&root, &clock, &LogCommitter, options, None).await.expect("created");
    Arc::new(Snapshot::load(root, At::Latest, clock).await.expect("loads"))
}

async fn with_rows(snapshot: &Arc<Snapshot>, rows: &[(Option<i64>, &str)]) -> Arc<Snapshot> {
    append(snapshot, &LogCommitter, &AppendOptions::default(), given(rows)).await.expect("append");
    newest(snapshot).await
}

async fn deleted(snapshot: &Arc<Snapshot>, predicate: Predicate) -> (Arc<Snapshot>, u64) {
    match delete(snapshot, &LogCommitter, &DeleteOptions::of(predicate)).await.expect("deleted") {
        WriteOutcome::Committed(report, committed) => (committed.snapshot, report.rows_deleted),
        WriteOutcome::Unchanged(_) => (Arc::clone(snapshot), 0),
        WriteOutcome::Unknown(unresolved) => panic!("{unresolved:?}"),
    }
}

async fn actions(snapshot: &Snapshot) -> Vec<Action> {
    let commit = crate::log::read_commit(snapshot.root(), snapshot.version()).await.expect("read");
    commit.expect("there").actions
}

const ROWS: [(Option<i64>, &str); 6] =
    [(Some(1), "a"), (Some(2), "a"), (None, "a"), (Some(8), "b"), (Some(9), "b"), (None, "b")];

/// CHG-2, CHG-3
#[tokio::test]
async fn rows_are_marked_and_files_without_rows_leave() {
    let snapshot = with_rows(&made(false, true).await, &ROWS).await;
    let before = snapshot.files().await.expect("files").iter().next().expect("one");
    let (snapshot, rows) = deleted(&snapshot, below(9)).await;
    assert_eq!(rows, 3);
    assert_eq!(found(&snapshot).await, owned(&[(None, "a"), (None, "b"), (Some(9), "b")]));
    let after = snapshot.files().await.expect("files").iter().next().expect("one");
    assert_eq!((&after.path, after.live_records(), after.num_records()), (&before.path, Some(3), Some(6)), "DV-3");
    assert!(after.stats.as_ref().is_some_and(|stats| stats.contains("\"tightBounds\":false")), "DV-3");
    assert_eq!(snapshot.files().await.expect("files").num_rows(), Some(3));

    let (snapshot, rows) = deleted(&snapshot, name_is("b")).await;
    assert_eq!((rows, found(&snapshot).await), (2, owned(&[(None, "a")])));
    let (snapshot, rows) = deleted(&snapshot, Predicate::IsNull(ColumnPath::top("id"))).await;
    assert_eq!((rows, snapshot.files().await.expect("files").len()), (1, 0), "CHG-2: the file of no row leaves");
    let told: Vec<&str> = vec!["numDeletedRows", "numRemovedFiles", "numDeletionVectorsRemoved"];
    let metrics = actions(&snapshot).await.into_iter().find_map(|action| match action {
        Action::CommitInfo(info) => info.operation_metrics,
        _ => None,
    });
    let metrics = metrics.expect("metrics");
    assert_eq!(told.iter().map(|name| metrics[*name].as_str().expect("text")).collect::<Vec<_>>(), ["1", "1", "1"]);
}

/// CHG-2, CHG-5
#[tokio::test]
async fn what_the_log_proves_is_deleted_without_a_look_at_a_file() {
    let snapshot = with_rows(&made(true, true).await, &ROWS).await;
    for add in snapshot.files().await.expect("files").iter() {
        snapshot.root().delete(&snapshot.root().resolve(&add.path).expect("path")).await.expect("deleted");
    }
    let (snapshot, rows) = deleted(&snapshot, name_is("a")).await;
    assert_eq!((rows, snapshot.files().await.expect("files").len()), (3, 1));
    let (snapshot, rows) = deleted(&snapshot, Predicate::Literal(true)).await;
    assert_eq!((rows, snapshot.files().await.expect("files").len()), (3, 0));
    let version = snapshot.version();
    assert_eq!(deleted(&snapshot, Predicate::Literal(true)).await.0.version(), version, "nothing is no commit");
}

#[tokio::test]
async fn without_deletion_vectors_the_rows_that_stay_are_written_again() {
    let snapshot = with_rows(&made(false, false).await, &ROWS).await;
    let before = snapshot.files().await.expect("files").iter().next().expect("one").path.clone();
    let (snapshot, rows) = deleted(&snapshot, below(9)).await;
    assert_eq!((rows, found(&snapshot).await), (3, owned(&[(None, "a"), (None, "b"), (Some(9), "b")])));
    let after = snapshot.files().await.expect("files").iter().next().expect("one");
    assert!(after.path != before && after.deletion_vector.is_none());
}

/// CHG-4
#[tokio::test]
async fn a_delete_of_a_file_that_another_touched_begins_again() {
    for vectors in [true, false] {
        let old = with_rows(&made(false, vectors).await, &ROWS).await;
        let (_, rows) = deleted(&old, below(2)).await;
        assert_eq!(rows, 1);
        let (snapshot, rows) = deleted(&old, below(3)).await;
        assert_eq!(rows, 1, "the row that was there before is gone already");
        let left = owned(&[(None, "a"), (None, "b"), (Some(8), "b"), (Some(9), "b")]);
        assert_eq!((snapshot.version(), found(&snapshot).await), (3, left));
        let files = snapshot.root().list("").await.expect("list");
        let data = files.iter().filter(|file| file.path.as_ref().ends_with(".parquet")).count();
        assert_eq!(data, if vectors { 1 } else { 3 }, "COM-4: what lost is gone");
    }
}

#[tokio::test]
async fn a_delete_is_refused_where_rows_stay_and_applied_once() {
    let snapshot = with_rows(&made(false, true).await, &ROWS).await;
    let once = DeleteOptions { txn: Some(("app".to_owned(), 7)), ..DeleteOptions::of(below(2)) };
    for turn in 0..3 {
        let outcome = delete(&snapshot, &LogCommitter, &once).await.expect("deleted");
        assert_eq!(matches!(outcome, WriteOutcome::Committed(..)), turn == 0, "COM-11");
    }
    let snapshot = newest(&snapshot).await;
    assert_eq!(snapshot.version(), 2);
    let missing = Predicate::IsNull(ColumnPath::top("other"));
    let error = delete(&snapshot, &LogCommitter, &DeleteOptions::of(missing)).await.expect_err("no such column");
    assert!(format!("{error}").contains("other"), "{error}");
    let append_only = BTreeMap::from([("delta.appendOnly".to_owned(), Some("true".to_owned()))]);
    set_properties(&snapshot, &LogCommitter, &append_only).await.expect("set");
    let snapshot = newest(&snapshot).await;
    let error = delete(&snapshot, &LogCommitter, &DeleteOptions::of(below(9))).await.expect_err("append-only");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// CHG-6
#[tokio::test]
async fn rows_get_no_other_values_where_their_change_has_to_be_told() {
    let snapshot = with_rows(&made(false, true).await, &ROWS).await;
    let on = [("delta.enableChangeDataFeed", "true")];
    let snapshot = upgraded(&snapshot, &["changeDataFeed", "deletionVectors"], &on).await;
    let path = snapshot.files().await.expect("files").iter().next().expect("one").path.clone();
    let change = RowChange {
        name: "UPDATE",
        parameters: BTreeMap::new(),
        looked_at: Predicate::Literal(true),
        txn: None,
        evaluator: None,
    };
    let places = || {
        let mut places = RowPlaces::default();
        places.push(&path, [1, 0, 4]);
        Ok((places, BTreeMap::new()))
    };
    let before = objects(&snapshot).await;
    let new = Some(given(&[(Some(7), "x")]));
    let error = change_rows(&snapshot, &LogCommitter, change.clone(), new, places).await.expect_err("CHG-6");
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("changeDataFeed"), "{error}");
    assert_eq!(objects(&snapshot).await, before, "COM-4");
    change_rows(&snapshot, &LogCommitter, change, None, places).await.expect("rows may leave");
    assert_eq!(found(&*newest(&snapshot).await).await, owned(&[(None, "a"), (None, "b"), (Some(8), "b")]));
}

#[derive(Clone, Debug)]
enum Step {
    Append(Vec<(Option<i64>, bool)>),
    Delete(Predicate),
    Replace(i64),
}

fn condition() -> impl Strategy<Value = Predicate> {
    prop_oneof![
        (-2_i64..12).prop_map(below),
        Just(name_is("a")),
        Just(Predicate::IsNull(ColumnPath::top("id"))),
        (-2_i64..12).prop_map(|limit| Predicate::Not(Box::new(below(limit)))),
        (-2_i64..12).prop_map(|limit| Predicate::And(vec![below(limit), name_is("b")])),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let row = (proptest::option::weighted(0.9, 0_i64..10), any::<bool>());
    prop_oneof![
        2 => proptest::collection::vec(row, 1..8).prop_map(Step::Append),
        3 => condition().prop_map(Step::Delete),
        1 => (-2_i64..12).prop_map(Step::Replace),
    ]
}

/// Whether SQL's WHERE takes the row.
fn holds(predicate: &Predicate, (id, name): &Row) -> Option<bool> {
    match predicate {
        Predicate::Compare { column, value, .. } if column.0[0] == "name" => {
            Some(*value == crate::expr::Scalar::String(name.as_str().into()))
        }
        Predicate::Compare { value: crate::expr::Scalar::Long(limit), .. } => id.map(|id| id < *limit),
        Predicate::IsNull(_) => Some(id.is_none()),
        Predicate::Not(inner) => holds(inner, &(*id, name.clone())).map(|held| !held),
        Predicate::And(parts) => {
            let held: Vec<_> = parts.iter().map(|part| holds(part, &(*id, name.clone()))).collect();
            if held.contains(&Some(false)) { Some(false) } else { held.into_iter().try_fold(true, |_, part| part) }
        }
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    /// CHG-1
    #[test]
    fn a_table_holds_what_a_list_of_rows_would(
        steps in proptest::collection::vec(step(), 1..10), partition: bool, vectors: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let mut snapshot = made(partition, vectors).await;
            let mut model: Vec<Row> = Vec::new();
            for step in &steps {
                match step {
                    Step::Append(rows) => {
                        let rows: Vec<_> = rows.iter().map(|&(id, b)| (id, if b { "b" } else { "a" })).collect();
                        snapshot = with_rows(&snapshot, &rows).await;
                        model.extend(owned(&rows));
                    }
                    Step::Delete(predicate) => {
                        let before = model.len();
                        model.retain(|row| holds(predicate, row) != Some(true));
                        let (after, rows) = deleted(&snapshot, predicate.clone()).await;
                        snapshot = after;
                        assert_eq!(rows, (before - model.len()) as u64, "{predicate:?}");
                    }
                    Step::Replace(limit) => {
                        let options = super::replacing::replacing(below(*limit));
                        let rows = [(Some(limit - 1), "b")];
                        overwrite(&snapshot, &LogCommitter, &options, given(&rows)).await.expect("OVW-2");
                        snapshot = newest(&snapshot).await;
                        model.retain(|row| holds(&below(*limit), row) != Some(true));
                        model.extend(owned(&rows));
                    }
                }
                model.sort();
                assert_eq!(found(&snapshot).await, model, "{step:?}");
                assert_eq!(snapshot.files().await.expect("files").num_rows(), Some(model.len() as u64));
            }
            let read = Snapshot::load(snapshot.root().clone(), At::Latest, SystemClock::shared()).await.expect("loads");
            assert_eq!(found(&read).await, model);
        });
    }
}

#[tokio::test]
async fn a_report_counts_files_that_came_and_went() {
    let snapshot = with_rows(&with_rows(&made(false, true).await, &ROWS).await, &[(Some(50), "c")]).await;
    let files = |outcome: WriteOutcome| match outcome {
        WriteOutcome::Committed(report, _) => (report.files_added, report.files_removed),
        other => panic!("{other:?}"),
    };
    let before = newest(&snapshot).await;
    let marked = delete(&snapshot, &LogCommitter, &DeleteOptions::of(below(60))).await.expect("deleted");
    assert_eq!(files(marked), (0, 1), "one file is marked, one ends");
    let snapshot = newest(&snapshot).await;
    let replace = OverwriteOptions::default();
    let replaced = overwrite(&snapshot, &LogCommitter, &replace, given(&[(Some(1), "x")])).await.expect("replaced");
    assert_eq!(files(replaced), (1, 1));
    let back = restore(&newest(&snapshot).await, &LogCommitter, &before).await.expect("restored");
    assert_eq!(files(back), (2, 1));
}
