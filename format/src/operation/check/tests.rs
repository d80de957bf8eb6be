//! Whether damage is found, and nothing else.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};

use super::*;
use crate::action::deletion_vector::VectorFile;
use crate::action::{Action, Add, DeletionVectorDescriptor, Protocol, Remove};
use crate::clock::SystemClock;
use crate::operation::{AppendOptions, CreateOptions, Input};
use crate::schema::parse_declaration;
use crate::snapshot::At;
use crate::store::write_deletion_vectors;
use crate::transaction::{Base, LogCommitter, Operation, Outcome, Reads, Staged, transact};
use crate::{StoreOptions, Table};

fn rows(ids: std::ops::Range<i64>) -> Input {
    let id: ArrayRef = Arc::new(Int64Array::from_iter_values(ids.clone()));
    let name: ArrayRef = Arc::new(StringArray::from_iter(ids.clone().map(|n| (n % 3 > 0).then(|| "x".repeat(40)))));
    let score: ArrayRef =
        Arc::new(Float64Array::from_iter_values(ids.map(|n| if n % 5 == 0 { f64::NAN } else { n as f64 })));
    let batch = RecordBatch::try_from_iter([("id", id), ("name", name), ("score", score)]).expect("batch");
    Input::from_batches(batch.schema(), vec![batch])
}

async fn table(folder: &Path, commits: i64) -> TableRoot {
    let root = TableRoot::open(&folder.to_string_lossy(), &StoreOptions::default()).expect("root");
    let clock = SystemClock::shared();
    let schema = parse_declaration("id long not null, name string, score double").expect("schema");
    let options = CreateOptions { schema, ..CreateOptions::default() };
    Table::create(&root, &clock, Arc::new(LogCommitter), options, None).await.expect("create");
    let mut table = Table::open(root.clone(), clock).await.expect("open");
    for n in 0..commits {
        table.append(&AppendOptions::default(), rows(n * 10..n * 10 + 10)).await.expect("append");
    }
    table.snapshot().write_checkpoint().await.expect("checkpoint");
    table.append(&AppendOptions::default(), rows(100..110)).await.expect("append");
    root
}

async fn checked(root: &TableRoot, deep: bool) -> CheckReport {
    check(root, &SystemClock::shared(), CheckOptions { deep }).await.expect("check")
}

fn told(report: &CheckReport) -> Vec<(&str, &str)> {
    report.findings.iter().map(|finding| (finding.severity.as_str(), finding.check)).collect()
}

fn log_file(folder: &Path, name: &str) -> std::path::PathBuf {
    folder.join("_delta_log").join(name)
}

fn data_file(folder: &Path) -> std::path::PathBuf {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("list")
        .map(|entry| entry.expect("entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "parquet"))
        .collect();
    files.sort();
    files.remove(0)
}

#[tokio::test]
async fn a_whole_table_has_no_findings() {
    let folder = tempfile::tempdir().expect("folder");
    let root = table(folder.path(), 3).await;
    let report = checked(&root, true).await;
    assert_eq!(told(&report), [], "FSK-1: {report:?}");
    assert_eq!((report.version, report.commits, report.checkpoints, report.files), (Some(4), 5, 1, 4));
    assert_eq!(report.rows_read, 40);
    let nothing = TableRoot::open(&folder.path().join("none").to_string_lossy(), &StoreOptions::default());
    let error = check(&nothing.expect("root"), &SystemClock::shared(), CheckOptions::default()).await;
    assert_eq!(error.expect_err("no table").kind(), crate::error::ErrorKind::NotFound);
}

#[tokio::test]
async fn damage_of_data_files_is_found() {
    let folder = tempfile::tempdir().expect("folder");
    let root = table(folder.path(), 2).await;
    let file = data_file(folder.path());
    let whole = std::fs::read(&file).expect("read");
    std::fs::write(folder.path().join("left.parquet"), b"over").expect("extra");
    assert_eq!(told(&checked(&root, false).await), [("note", "extra-file")]);
    std::fs::remove_file(folder.path().join("left.parquet")).expect("remove");
    std::fs::write(&file, &whole[..whole.len() - 3]).expect("cut");
    assert_eq!(told(&checked(&root, false).await), [("damage", "size"), ("damage", "footer")]);
    std::fs::remove_file(&file).expect("remove");
    let report = checked(&root, true).await;
    assert!(told(&report).contains(&("damage", "missing-file")), "{report:?}");
    assert_eq!(report.damages(), 1);
}

/// DV-2, DV-3
#[tokio::test]
async fn deletion_vectors_are_read_and_held_against_their_files() {
    let folder = tempfile::tempdir().expect("folder");
    let root = table(folder.path(), 1).await;
    let clock = SystemClock::shared();
    let snapshot = Arc::new(Snapshot::load(root.clone(), At::Latest, Arc::clone(&clock)).await.expect("loads"));
    let mut file = VectorFile::new("", clock.new_id());
    let good = file.push(&[1, 2].into_iter().collect()).expect("small");
    let beyond = file.push(&[1, 10].into_iter().collect()).expect("small");
    let stored = root.local_file(&root.child(&file.path()).expect("path")).expect("local");
    write_deletion_vectors(&root, file).await.expect("written");
    let features = || Some(vec!["deletionVectors".to_owned()]);
    let mut actions = vec![Action::Protocol(Protocol {
        min_reader_version: 3,
        min_writer_version: 7,
        reader_features: features(),
        writer_features: features(),
    })];
    let add = snapshot.files().await.expect("files").iter().next().expect("a file");
    actions.push(Action::Remove(Box::new(Remove::of(&add, clock.now_ms(), true))));
    actions.push(Action::Add(Box::new(Add { deletion_vector: Some(good.clone()), ..Add::clone(&add) })));
    let staged = Staged { operation: Operation::new("DELETE"), actions, reads: Reads::WholeTable };
    let outcome = transact(Base::On(snapshot), staged, &LogCommitter).await.expect("committed");
    let Outcome::Committed(committed) = outcome else { panic!("{outcome:?}") };
    assert_eq!(told(&checked(&root, true).await), [], "the vector's file is no extra one");
    let whole = std::fs::read(&stored).expect("read");
    std::fs::write(&stored, &whole[..20]).expect("cut");
    assert_eq!(told(&checked(&root, false).await), [("damage", "deletion-vector")]);
    std::fs::write(&stored, &whole).expect("mended");
    let commit = log_file(folder.path(), &format!("{:020}.json", committed.version));
    let text = std::fs::read_to_string(&commit).expect("read");
    let offset = |vector: &DeletionVectorDescriptor| format!("\"offset\":{}", vector.offset.expect("stored"));
    std::fs::write(&commit, text.replace(&offset(&good), &offset(&beyond))).expect("write");
    let report = checked(&root, false).await;
    assert_eq!(told(&report), [("damage", "deletion-vector")]);
    assert!(report.findings[0].message.contains("row 10"), "{report:?}");
}

#[tokio::test]
async fn statistics_that_do_not_enclose_are_found_by_a_deep_check() {
    let folder = tempfile::tempdir().expect("folder");
    let root = table(folder.path(), 0).await;
    let commit = log_file(folder.path(), "00000000000000000001.json");
    let text = std::fs::read_to_string(&commit).expect("read");
    for (from, to, found) in [
        ("\\\"id\\\":109", "\\\"id\\\":108", vec![("damage", "statistics")]),
        ("\\\"id\\\":100", "\\\"id\\\":101", vec![("damage", "statistics")]),
        ("\\\"name\\\":3", "\\\"name\\\":2", vec![("damage", "statistics")]),
        ("\\\"numRecords\\\":10", "\\\"numRecords\\\":11", vec![("damage", "row-count")]),
        ("{\\\"numRecords\\\"", "no JSON{\\\"numRecords\\\"", vec![("warning", "statistics")]),
    ] {
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(&commit, text.replace(from, to)).expect("write");
        assert_eq!(told(&checked(&root, true).await), found, "FSK-1: {from}");
    }
}

#[tokio::test]
async fn a_partition_value_that_the_log_lacks_is_found() {
    let folder = tempfile::tempdir().expect("folder");
    let root = TableRoot::open(&folder.path().to_string_lossy(), &StoreOptions::default()).expect("root");
    let (clock, options) = (SystemClock::shared(), CreateOptions::default());
    let schema = parse_declaration("id long not null, name string, score double").expect("schema");
    let options = CreateOptions { schema, partition_columns: vec!["name".into()], ..options };
    Table::create(&root, &clock, Arc::new(LogCommitter), options, None).await.expect("create");
    let mut table = Table::open(root.clone(), clock).await.expect("open");
    table.append(&AppendOptions::default(), rows(0..1)).await.expect("append");
    assert_eq!(told(&checked(&root, true).await), [], "a null that the log gives is one");
    let commit = log_file(folder.path(), "00000000000000000001.json");
    let text = std::fs::read_to_string(&commit).expect("read");
    let without = text.replace("\"partitionValues\":{\"name\":null}", "\"partitionValues\":{}");
    assert_ne!(text, without);
    std::fs::write(&commit, without).expect("write");
    let report = checked(&root, true).await;
    assert_eq!(told(&report), [("damage", "partition-value")], "FSK-1: {report:?}");
    assert_eq!(report.rows_read, 1, "it is read all the same");
}

#[tokio::test]
async fn damage_of_the_log_is_found() {
    let folder = tempfile::tempdir().expect("folder");
    let root = table(folder.path(), 3).await;
    let of = |name: &str| log_file(folder.path(), name);
    let checkpoint = of("00000000000000000003.checkpoint.parquet");
    let whole = std::fs::read(&checkpoint).expect("read");
    // Another table's checkpoint of the same version.
    let other = tempfile::tempdir().expect("folder");
    table(other.path(), 3).await;
    std::fs::copy(log_file(other.path(), "00000000000000000003.checkpoint.parquet"), &checkpoint).expect("copy");
    assert!(told(&checked(&root, false).await).contains(&("damage", "checkpoint")), "LOG-6");
    std::fs::write(&checkpoint, b"no Parquet").expect("write");
    assert!(told(&checked(&root, false).await).contains(&("damage", "checkpoint")), "LOG-6");
    std::fs::write(&checkpoint, &whole).expect("write");
    std::fs::write(of("_last_checkpoint"), b"{").expect("write");
    assert_eq!(told(&checked(&root, false).await), [("warning", "hint")]);
    std::fs::write(of("_last_checkpoint"), br#"{"version":2,"size":1}"#).expect("write");
    assert_eq!(told(&checked(&root, false).await), [("warning", "hint")]);
    std::fs::write(of("_last_checkpoint"), br#"{"version":3,"size":9,"numOfAddFiles":9}"#).expect("write");
    assert_eq!(told(&checked(&root, false).await), [("damage", "checkpoint")], "FSK-1: it lists 3 files");
    std::fs::remove_file(of("_last_checkpoint")).expect("remove");
    std::fs::remove_file(of("00000000000000000002.json")).expect("remove");
    assert_eq!(told(&checked(&root, false).await), [("warning", "gap")], "LOG-5: a checkpoint bridges it");
    std::fs::write(of("00000000000000000004.json"), b"").expect("write");
    let report = checked(&root, false).await;
    assert!(report.damages() >= 2 && report.version.is_none(), "{report:?}");
    assert!(told(&report).contains(&("damage", "commit")) && told(&report).contains(&("damage", "snapshot")));
}
