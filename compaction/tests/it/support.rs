//! Tables, clocks and committers for these tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arrow::array::types::TimestampMicrosecondType;
use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use async_trait::async_trait;
use futures::TryStreamExt;
use lake_compaction::{OptimizeOptions, OptimizeOutcome, OptimizePolicy, OptimizeReport, optimize};
use lake_format::clock::{Clock, ClockRef, SystemClock};
use lake_format::expr::Predicate;
use lake_format::operation::{AppendOptions, CreateOptions, Input, WriteOutcome};
use lake_format::scan::{Pruning, ReadOptions, ScanRequest};
use lake_format::schema::from_arrow;
use lake_format::transaction::{CommitAnswer, CommitBody, Committer, LogCommitter};
use lake_format::{Error, Snapshot, Table, TableRoot};
use lake_testkit::{Faults, FaultyStore};
use object_store::memory::InMemory;
use object_store::path::Path;
use tokio::sync::Mutex;
use uuid::Uuid;

pub const DAY_MS: i64 = 86_400_000;

/// The machine's clock, moved by hand.
#[derive(Debug, Default)]
pub struct MovedClock(AtomicI64);

impl MovedClock {
    pub fn forward(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for MovedClock {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.0.load(Ordering::SeqCst)
    }

    fn new_id(&self) -> Uuid {
        SystemClock.new_id()
    }

    fn new_txn_id(&self) -> Uuid {
        SystemClock.new_txn_id()
    }

    async fn sleep(&self, _: Duration) {}
}

/// A table in memory behind a store that can fail.
pub struct Place {
    pub root: TableRoot,
    pub faults: Faults,
    pub clock: Arc<MovedClock>,
}

impl Place {
    pub fn new() -> Self {
        let faults = Faults::seeded(1);
        let store = FaultyStore::new(InMemory::new(), faults.clone());
        let url = url::Url::parse("memory:///t/").expect("address");
        let root = TableRoot::with_store(Arc::new(store), Path::from("t"), url);
        Self { root, faults, clock: Arc::default() }
    }

    pub fn clock(&self) -> ClockRef {
        self.clock.clone()
    }

    /// A table of these batches, each an append of its own.
    pub async fn table(&self, batches: &[RecordBatch], partition_by: &[&str], properties: &[(&str, &str)]) -> Table {
        table_at(&self.root, &self.clock(), batches, partition_by, properties).await
    }

    /// Every object below the root, sorted.
    pub async fn objects(&self) -> Vec<String> {
        objects(&self.root).await
    }

    pub async fn data_files(&self) -> Vec<String> {
        self.objects()
            .await
            .into_iter()
            .filter(|path| path.ends_with(".parquet") && !path.contains("_delta_log"))
            .collect()
    }
}

pub async fn objects(root: &TableRoot) -> Vec<String> {
    let listed = root.list("").await.expect("list");
    let mut paths: Vec<String> = listed.iter().filter_map(|info| root.relative(&info.path)).collect();
    paths.sort();
    paths
}

pub async fn table_at(
    root: &TableRoot,
    clock: &ClockRef,
    batches: &[RecordBatch],
    partition_by: &[&str],
    properties: &[(&str, &str)],
) -> Table {
    let own = |pairs: &[(&str, &str)]| pairs.iter().map(|&(a, b)| (a.to_owned(), b.to_owned())).collect();
    let options = CreateOptions {
        schema: from_arrow(&batches[0].schema()).expect("schema"),
        partition_columns: partition_by.iter().map(|&name| name.to_owned()).collect(),
        properties: own(properties),
        ..CreateOptions::default()
    };
    Table::create(root, clock, Arc::new(LogCommitter), options, None).await.expect("create");
    let mut table = Table::open(root.clone(), clock.clone()).await.expect("open");
    for batch in batches {
        append(&mut table, batch).await;
    }
    table
}

pub async fn append(table: &mut Table, batch: &RecordBatch) -> u64 {
    let input = Input::from_batches(batch.schema(), vec![batch.clone()]);
    match table.append(&AppendOptions::default(), input).await.expect("append") {
        WriteOutcome::Committed(report, _) => report.version,
        WriteOutcome::Unchanged(why) => panic!("unchanged: {why:?}"),
        WriteOutcome::Unknown(unresolved) => panic!("unknown: {unresolved:?}"),
    }
}

pub fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("batch")
}

/// All rows as text, sorted: equal for two tables exactly when their rows are.
pub async fn rows(snapshot: &Snapshot) -> Vec<String> {
    try_rows(snapshot).await.expect("rows")
}

pub async fn try_rows(snapshot: &Snapshot) -> Result<Vec<String>, Error> {
    let plan = snapshot.plan_scan(&ScanRequest::default()).await?;
    let batches: Vec<RecordBatch> = plan.stream(ReadOptions::default()).try_collect().await?;
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in &batches {
        let arrays: Vec<ArrayRef> = batch.columns().iter().map(without_zone).collect();
        let columns: Vec<ArrayFormatter<'_>> =
            arrays.iter().map(|column| ArrayFormatter::try_new(column, &options).expect("shown")).collect();
        rows.extend(
            (0..batch.num_rows())
                .map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join("|")),
        );
    }
    rows.sort();
    Ok(rows)
}

/// Arrow shows times of named zones only with a database of zones.
fn without_zone(array: &ArrayRef) -> ArrayRef {
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => Arc::new(times.clone().with_timezone_opt(None::<String>)),
        None => array.clone(),
    }
}

pub async fn planned(snapshot: &Snapshot, predicate: Predicate) -> Pruning {
    let request = ScanRequest { predicate: Some(predicate), ..ScanRequest::default() };
    snapshot.plan_scan(&request).await.expect("plan").pruning
}

pub fn small(target: u64) -> OptimizePolicy {
    OptimizePolicy { target_file_size_bytes: Some(target), ..OptimizePolicy::default() }
}

pub fn zorder(columns: &[&str], policy: OptimizePolicy) -> OptimizeOptions {
    let zorder_by = columns.iter().map(|&name| name.to_owned()).collect();
    OptimizeOptions { zorder_by, policy, ..OptimizeOptions::default() }
}

pub async fn done(table: &mut Table, options: &OptimizeOptions) -> OptimizeReport {
    let committer = table.committer().clone();
    match optimize(table.snapshot(), committer.as_ref(), options).await.expect("optimize") {
        OptimizeOutcome::Done(report, snapshot) => {
            table.refresh().await.expect("refresh");
            assert_eq!(table.snapshot().version(), snapshot.version());
            report
        }
        OptimizeOutcome::Unknown(unresolved) => panic!("unknown: {unresolved:?}"),
    }
}

/// What the newest commit says, as JSON by action.
pub async fn commit_lines(root: &TableRoot, version: u64) -> Vec<(String, serde_json::Value)> {
    let path = root.child(&format!("_delta_log/{version:020}.json")).expect("path");
    let text = String::from_utf8(root.get(&path).await.expect("commit").to_vec()).expect("text");
    let parse = |line: &str| {
        let object: BTreeMap<String, serde_json::Value> = serde_json::from_str(line).expect("JSON");
        object.into_iter().next().expect("one action")
    };
    text.lines().map(parse).collect()
}

/// Lets others in right before the first attempt to commit.
pub struct Late<F>(Mutex<Option<F>>);

impl<F> std::fmt::Debug for Late<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Late")
    }
}

impl<F> Late<F> {
    pub fn new(first: F) -> Self {
        Self(Mutex::new(Some(first)))
    }
}

#[async_trait]
impl<F: Future<Output = ()> + Send> Committer for Late<F> {
    async fn try_commit(&self, root: &TableRoot, body: &CommitBody, clock: &dyn Clock) -> CommitAnswer {
        if let Some(first) = self.0.lock().await.take() {
            Box::pin(first).await;
        }
        LogCommitter.try_commit(root, body, clock).await
    }
}

/// Always gives the same answer.
#[derive(Debug)]
pub enum Answer {
    Refused,
    Unsettled,
}

#[async_trait]
impl Committer for Answer {
    async fn try_commit(&self, _: &TableRoot, _: &CommitBody, _: &dyn Clock) -> CommitAnswer {
        match self {
            Self::Refused => CommitAnswer::Refused(Error::denied("no")),
            Self::Unsettled => CommitAnswer::Unsettled(Error::unavailable("who knows")),
        }
    }
}
