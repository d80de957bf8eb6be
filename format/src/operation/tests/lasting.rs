//! What a write leaves on disk before it is told, and what it leaves to be done beside the next ones.

use lake_testkit::{Failure, Fault, Faults, FaultyStore, Op, Rule};

use super::*;
use crate::store::local::synced;
use crate::store::{Durability, StoreOptions};
use crate::table::Table;

const ROWS: i64 = 3;

async fn created(root: &TableRoot, partition_columns: Vec<String>) -> Table {
    let schema = parse_declaration("id long, name string").expect("schema");
    let options = CreateOptions { schema, partition_columns, ..CreateOptions::default() };
    let clock = SystemClock::shared();
    Table::create(root, &clock, Arc::new(LogCommitter), options, None).await.expect("created");
    Table::open(root.clone(), clock).await.expect("opens")
}

async fn appended(table: &mut Table, times: std::ops::Range<i64>) {
    for time in times {
        let outcome = table.append(&AppendOptions::default(), input(time * ROWS..(time + 1) * ROWS)).await;
        assert!(matches!(outcome.expect("appended"), WriteOutcome::Committed(..)));
    }
}

async fn live_files(root: &TableRoot) -> usize {
    Snapshot::load(root.clone(), At::Latest, SystemClock::shared())
        .await
        .expect("loads")
        .files()
        .await
        .expect("files")
        .len()
}

/// The names of what was synced, with one word for those that differ each time.
fn kinds(names: Vec<String>) -> Vec<String> {
    let kind = |name: String| match name.rsplit_once('/').map_or(("", name.as_str()), |(folder, file)| (folder, file)) {
        (folder, file) if file.ends_with(".parquet") => format!("{folder}:data"),
        (folder, file) if file.starts_with('.') && file.ends_with(".tmp") => format!("{folder}:commit"),
        _ => name.clone(),
    };
    names.into_iter().map(kind).collect()
}

#[tokio::test]
async fn an_append_syncs_its_files_and_their_directories_and_nothing_else() {
    for (durability, partitions) in
        [(None, false), (Some(Durability::Full), true), (Some(Durability::None), false), (Some(Durability::None), true)]
    {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().canonicalize().expect("path").join("t");
        let options = StoreOptions { durability, ..StoreOptions::default() };
        let root = TableRoot::open(path.to_str().expect("text"), &options).expect("root");
        let columns = if partitions { vec!["id".to_owned()] } else { Vec::new() };
        let mut table = created(&root, columns).await;
        appended(&mut table, 0..1).await;
        synced::take(&path);
        // Of a partitioned table the folders are there now.
        appended(&mut table, 0..1).await;
        let found = kinds(synced::take(&path));
        let expected: &[&str] = match (durability, partitions) {
            (Some(Durability::None), _) => &[],
            (_, false) => &["", "_delta_log", "_delta_log:commit", ":data"],
            (_, true) => {
                &["_delta_log", "_delta_log:commit", "id=0", "id=0:data", "id=1", "id=1:data", "id=2", "id=2:data"]
            }
        };
        let mut expected: Vec<&str> = expected.to_vec();
        let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "COM-7 {durability:?}");
        assert_eq!(live_files(&root).await, if partitions { 6 } else { 2 });
    }
}

#[tokio::test]
async fn a_commit_whose_files_can_not_be_synced_is_refused_and_leaves_no_trace() {
    use crate::store::{PutAnswer, put_behind};
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("t");
    let root = TableRoot::open(path.to_str().expect("text"), &StoreOptions::default()).expect("root");
    let mut writer = crate::write::DataWriter::new(crate::write::WriteContext::new(
        root.clone(),
        Arc::new(parse_declaration("id long, name string").expect("schema")),
        Vec::new(),
        TableProperties::default(),
        SystemClock::shared(),
    ))
    .expect("writer");
    writer.write(rows(0..9)).await.expect("taken");
    let (written, unsynced) = writer.finish_unsynced().await.expect("written");
    let file = root.resolve(&written.adds[0].path).expect("path");
    assert!(!unsynced.is_empty() && root.head(&file).await.expect("asked").is_some());
    // Gone is gone: what was to be synced is lost.
    root.delete(&file).await.expect("deleted");
    let commit = root.child("_delta_log/00000000000000000000.json").expect("path");
    let answer = put_behind(&root, &commit, "{}".into(), &SystemClock, unsynced).await;
    assert!(matches!(&answer, PutAnswer::Refused(error) if error.object().is_some()), "COM-4: {answer:?}");
    let left = std::fs::read_dir(path.join("_delta_log")).expect("folder").count();
    assert_eq!(left, 0, "COM-7: neither the version nor a temporary file");
}

fn checkpoints(root: &TableRoot) -> impl Future<Output = Vec<String>> {
    let root = root.clone();
    async move {
        let mut found = Vec::new();
        for object in root.list("_delta_log").await.expect("list") {
            let name = object.path.filename().unwrap_or_default().to_owned();
            found.extend(
                name.strip_suffix(".checkpoint.parquet").map(|version| version.trim_start_matches('0').to_owned()),
            );
        }
        found.sort_unstable();
        found
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_written_aside_are_all_there_and_the_table_is_the_same() {
    let root = TableRoot::in_memory("t").expect("root");
    let mut table = created(&root, Vec::new()).await;
    table.checkpoint_aside();
    for round in 0..8 {
        appended(&mut table, round * 4..(round + 1) * 4).await;
        let own = table.snapshot().files().await.expect("files").len();
        assert_eq!((own, live_files(&root).await), (4 * (round as usize + 1), own), "CHK-1");
    }
    table.settle().await;
    assert_eq!(table.snapshot().checkpoint_version(), Some(30), "CHK-1: it stands on the newest one");
    assert_eq!(checkpoints(&root).await, ["10", "20", "30"]);
    assert_eq!(table.snapshot().files().await.expect("files").len(), 32);
    // A change of what the table is keeps what is on its way.
    appended(&mut table, 32..40).await;
    let change = std::collections::BTreeMap::from([("note".to_owned(), Some("x".to_owned()))]);
    table.set_properties(&change).await.expect("set");
    appended(&mut table, 41..50).await;
    table.settle().await;
    assert_eq!(checkpoints(&root).await, ["10", "20", "30", "40", "50"]);
    assert_eq!((table.snapshot().files().await.expect("files").len(), live_files(&root).await), (49, 49));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_fails_aside_changes_no_version() {
    let base = TableRoot::in_memory("t").expect("root");
    let faults = Faults::seeded(1)
        .with([Rule::new(Fault::ErrorBefore(Failure::Reset)).on(Op::Put).path("10.checkpoint").nth(1)]);
    let store = FaultyStore::new(Arc::clone(base.store()), faults.clone());
    let root = TableRoot::with_store(Arc::new(store), base.prefix().clone(), base.url().clone());
    let mut table = created(&root, Vec::new()).await;
    table.checkpoint_aside();
    appended(&mut table, 0..15).await;
    table.settle().await;
    faults.assert_all_fired();
    assert_eq!((checkpoints(&base).await.len(), table.snapshot().checkpoint_version()), (0, None));
    appended(&mut table, 15..20).await;
    table.settle().await;
    assert_eq!(checkpoints(&base).await, ["20"], "CHK-1: the next one that is due stands in");
    assert_eq!((table.snapshot().files().await.expect("files").len(), live_files(&base).await), (20, 20));
}
