//! Tables with deleted rows: appends leave the vectors alone, overwrite, restore and optimize carry them in their
//! removes, and vacuum keeps what a version within the retention needs.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use lake_compaction::{OptimizeOptions, VacuumOptions, vacuum};
use lake_format::action::deletion_vector::VectorFile;
use lake_format::action::{Action, Add, DeletionVector, DeletionVectorDescriptor, Protocol, Remove};
use lake_format::operation::{Input, OverwriteOptions};
use lake_format::store::write_deletion_vectors;
use lake_format::transaction::{Base, LogCommitter, Operation, Outcome, Reads, Staged, transact};
use lake_format::{At, ErrorKind, Table};

use crate::support::{DAY_MS, Place, append, batch, commit_lines, done, rows};

fn ids(from: i64, to: i64) -> RecordBatch {
    batch(vec![("id", Arc::new(Int64Array::from_iter_values(from..to)) as ArrayRef)])
}

fn text(ids: impl IntoIterator<Item = i64>) -> Vec<String> {
    let mut rows: Vec<String> = ids.into_iter().map(|id| id.to_string()).collect();
    rows.sort();
    rows
}

async fn live(table: &Table) -> Vec<Arc<Add>> {
    let mut files: Vec<Arc<Add>> = table.snapshot().files().await.expect("files").iter().collect();
    files.sort_by_key(|add| add.stats.clone());
    files
}

/// Deletes `gone` of the file at `at`, as a writer of deletion vectors does: the file leaves and comes back.
async fn delete(table: &mut Table, at: usize, gone: impl IntoIterator<Item = u64>, stored: bool) {
    let add = Arc::clone(&live(table).await[at]);
    let vector: DeletionVector = gone.into_iter().collect();
    let snapshot = Arc::clone(table.snapshot());
    let descriptor = if stored {
        let mut file = VectorFile::new("", snapshot.clock().new_id());
        let descriptor = file.push(&vector).expect("small");
        write_deletion_vectors(snapshot.root(), file).await.expect("written");
        descriptor
    } else {
        DeletionVectorDescriptor::inline(&vector).expect("small")
    };
    let features = || Some(vec!["deletionVectors".to_owned()]);
    let protocol = Protocol {
        min_reader_version: 3,
        min_writer_version: 7,
        reader_features: features(),
        writer_features: features(),
    };
    let after = Add { deletion_vector: Some(descriptor), data_change: true, ..Add::clone(&add) };
    let mut actions =
        vec![Action::Remove(Box::new(Remove::of(&add, snapshot.clock().now_ms(), true))), Action::Add(Box::new(after))];
    if snapshot.protocol() != &protocol {
        actions.push(Action::Protocol(protocol));
    }
    let staged = Staged { operation: Operation::new("DELETE"), actions, reads: Reads::WholeTable };
    let outcome = transact(Base::On(snapshot), staged, &LogCommitter).await.expect("committed");
    assert!(matches!(outcome, Outcome::Committed(_)));
    table.refresh().await.expect("refreshed");
}

/// The vectors that the removes of the newest commit name.
async fn removed_vectors(table: &Table) -> Vec<DeletionVectorDescriptor> {
    let lines = commit_lines(table.snapshot().root(), table.snapshot().version()).await;
    let vector = |(name, action): &(String, serde_json::Value)| {
        let vector = action.get("deletionVector").filter(|_| name == "remove")?;
        Some(serde_json::from_value(vector.clone()).expect("a descriptor"))
    };
    lines.iter().filter_map(vector).collect()
}

/// DV-5
#[tokio::test]
async fn optimize_reads_through_vectors_and_removes_files_with_them() {
    let place = Place::new();
    let mut table = place.table(&[ids(0, 10), ids(10, 20), ids(20, 30)], &[], &[]).await;
    delete(&mut table, 0, [0, 3], true).await;
    delete(&mut table, 1, 0..10, false).await;
    let before: Vec<i64> = (1..10).filter(|id| *id != 3).chain(20..30).collect();
    assert_eq!(rows(table.snapshot()).await, text(before.iter().copied()));
    let files = table.snapshot().files().await.expect("files");
    assert_eq!((files.len(), files.num_rows()), (3, Some(18)), "DV-4");
    let vectors: Vec<_> = live(&table).await.iter().filter_map(|add| add.deletion_vector.clone()).collect();
    append(&mut table, &ids(30, 40)).await;
    let kept: Vec<_> = live(&table).await.iter().filter_map(|add| add.deletion_vector.clone()).collect();
    assert_eq!(kept, vectors, "an append leaves vectors as they are");
    let old = table.snapshot().version();
    let report = done(&mut table, &OptimizeOptions::default()).await;
    assert_eq!((report.files_removed, report.files_added, report.rows), (4, 1, 28));
    let after: Vec<i64> = before.iter().copied().chain(30..40).collect();
    assert_eq!(rows(table.snapshot()).await, text(after.iter().copied()));
    assert!(live(&table).await[0].deletion_vector.is_none() && live(&table).await[0].num_records() == Some(28));
    let mut removed = removed_vectors(&table).await;
    let mut wanted = vectors.clone();
    removed.sort_by_key(DeletionVectorDescriptor::unique_id);
    wanted.sort_by_key(DeletionVectorDescriptor::unique_id);
    assert_eq!(removed, wanted);
    let checkpoint = table.snapshot().write_checkpoint().await.expect("checkpoint");
    assert_eq!(checkpoint.version(), table.snapshot().version());
    let travelled = table.at(At::Version(old)).await.expect("time travel");
    assert_eq!(rows(&travelled).await, text(after.iter().copied()));
}

/// DV-5
#[tokio::test]
async fn overwrite_and_restore_carry_vectors_and_vacuum_keeps_their_files() {
    let place = Place::new();
    let mut table = place.table(&[ids(0, 10)], &[], &[]).await;
    delete(&mut table, 0, [1], true).await;
    let once = table.snapshot().version();
    delete(&mut table, 0, [1, 2, 3], true).await;
    let twice = table.snapshot().version();
    let left = text((0..10).filter(|id| !(1..4).contains(id)));
    assert_eq!(rows(table.snapshot()).await, left);
    let new = ids(50, 60);
    let input = Input::from_batches(new.schema(), vec![new]);
    table.overwrite(&OverwriteOptions::default(), input).await.expect("overwrite");
    assert_eq!(removed_vectors(&table).await.iter().map(|vector| vector.cardinality).collect::<Vec<_>>(), [3]);
    table.restore(At::Version(twice)).await.expect("restore");
    assert_eq!(rows(table.snapshot()).await, left, "a restore brings the vector back");
    let vectors = || async {
        let all = place.objects().await;
        all.into_iter().filter(|path| path.starts_with("deletion_vector_")).collect::<Vec<_>>()
    };
    assert_eq!(vectors().await.len(), 2);
    place.clock.forward(6 * DAY_MS);
    vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!(vectors().await.len(), 2, "an unexpired tombstone needs the first");
    place.clock.forward(2 * DAY_MS);
    let report = vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!((report.files_deleted, vectors().await.len()), (2, 1), "{:?}", report.files);
    assert_eq!(rows(table.snapshot()).await, left);
    let error = table.restore(At::Version(once)).await.expect_err("its vector is gone");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.object().is_some_and(|name| name.contains("deletion_vector_")), "{error}");
}

/// DV-5
#[tokio::test]
async fn files_that_left_long_ago_come_back_as_copies_with_their_vectors() {
    let place = Place::new();
    let mut table = place.table(&[ids(0, 10)], &[], &[]).await;
    delete(&mut table, 0, [1, 2, 3], true).await;
    let deleted = table.snapshot().version();
    let left = rows(table.snapshot()).await;
    let new = ids(50, 60);
    let input = Input::from_batches(new.schema(), vec![new]);
    table.overwrite(&OverwriteOptions::default(), input).await.expect("overwrite");
    let old = place.objects().await;
    place.clock.forward(30 * DAY_MS);
    table.restore(At::Version(deleted)).await.expect("restore");
    assert_eq!(rows(table.snapshot()).await, left);
    let live = live(&table).await;
    let vector = live[0].deletion_vector.as_ref().and_then(|vector| vector.log_path().expect("a path"));
    let vector = vector.expect("a file of its own");
    assert!(!old.contains(&vector) && place.objects().await.contains(&vector), "{vector}");
    vacuum(table.snapshot(), &VacuumOptions::default()).await.expect("vacuum");
    assert_eq!(rows(table.snapshot()).await, left);
}
