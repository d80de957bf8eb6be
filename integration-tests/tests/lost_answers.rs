//! Lost answers: what a writer is told about its commit, against what the table then holds.
//!
//! Every fault on the put of the commit, alone and with a rival that commits while the answer is out, for an append and
//! for an overwrite. COM-2, COM-3, COM-4, COM-12.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use lake_format::operation::{Settlement, append, create, overwrite, settle};
use lake_format::scan::ReadOptions;
use lake_format::schema::parse_declaration;
use lake_format::transaction::LogCommitter;
use lake_format::{
    AppendOptions, At, Clock, ClockRef, CreateOptions, ErrorKind, Input, OverwriteOptions, Result, ScanRequest,
    Snapshot, SystemClock, TableRoot, WriteOutcome,
};
use lake_testkit::{Delay, Failure, Fault, Faults, FaultyStore, Gate, Op, Rule};
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

type Rows = BTreeSet<i64>;

const FIRST: i64 = 1;
const OURS: i64 = 100;
const RIVALS: i64 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Append,
    Overwrite,
}

impl Verb {
    fn apply(self, table: &Rows, row: i64) -> Rows {
        match self {
            Self::Append => table.iter().copied().chain([row]).collect(),
            Self::Overwrite => Rows::from([row]),
        }
    }

    async fn run(self, base: &Arc<Snapshot>, row: i64) -> Result<WriteOutcome> {
        let ids: ArrayRef = Arc::new(Int64Array::from(vec![row]));
        let batch = RecordBatch::try_from_iter([("id", ids)]).expect("batch");
        let input = Input::from_batches(batch.schema(), vec![batch]);
        match self {
            Self::Append => append(base, &LogCommitter, &AppendOptions::default(), input).await,
            Self::Overwrite => overwrite(base, &LogCommitter, &OverwriteOptions::default(), input).await,
        }
    }
}

fn faults() -> Vec<(&'static str, Fault)> {
    let delayed = |until| Fault::Delayed { answer: Failure::Timeout, until };
    vec![
        ("503 after the effect", Fault::ErrorAfter(Failure::Unavailable)),
        ("reset after the effect", Fault::ErrorAfter(Failure::Reset)),
        ("409 after the effect", Fault::ErrorAfter(Failure::AlreadyExists)),
        ("412 after the effect", Fault::ErrorAfter(Failure::Precondition)),
        ("hang after the effect", Fault::HangAfter),
        ("hang before the effect", Fault::HangBefore),
        ("effect after one more request", delayed(Delay::Requests(1))),
        ("effect after three more requests", delayed(Delay::Requests(3))),
        ("effect a minute after the time-out", delayed(Delay::Time(Duration::from_secs(60)))),
        ("409 before the effect", Fault::ErrorBefore(Failure::AlreadyExists)),
        ("503 before the effect", Fault::ErrorBefore(Failure::Unavailable)),
    ]
}

struct Bench {
    /// The table as our writer sees it.
    root: TableRoot,
    /// The same table without faults.
    truth: TableRoot,
    faults: Faults,
    clock: ClockRef,
}

impl Bench {
    async fn new() -> Self {
        let (memory, faults) = (Arc::new(InMemory::new()), Faults::seeded(1));
        let url = Url::parse("memory:///t/").expect("url");
        let faulty = FaultyStore::new(Arc::clone(&memory), faults.clone());
        let root = TableRoot::with_store(Arc::new(faulty), Path::from("t"), url.clone());
        let truth = TableRoot::with_store(memory, Path::from("t"), url);
        let clock = SystemClock::shared();
        let options =
            CreateOptions { schema: parse_declaration("id long").expect("schema"), ..CreateOptions::default() };
        create(&truth, &clock, &LogCommitter, options, None).await.expect("created");
        let bench = Self { root, truth, faults, clock };
        Verb::Append.run(&bench.load(&bench.truth, At::Latest).await, FIRST).await.expect("first row");
        bench
    }

    async fn load(&self, root: &TableRoot, at: At) -> Arc<Snapshot> {
        Arc::new(Snapshot::load(root.clone(), at, Arc::clone(&self.clock)).await.expect("loads"))
    }

    async fn rows(&self, version: u64) -> Rows {
        let snapshot = self.load(&self.truth, At::Version(version)).await;
        let plan = snapshot.plan_scan(&ScanRequest::default()).await.expect("plan");
        let batches: Vec<RecordBatch> =
            plan.stream(ReadOptions::default()).try_collect().await.expect("every file is there");
        let ids = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
        let (mut rows, mut count) = (Rows::new(), 0);
        for id in ids {
            count += 1;
            rows.insert(id);
        }
        assert_eq!(rows.len(), count, "a row is there twice at version {version}");
        rows
    }
}

/// Which version each of our and the rival's commits is, found by the rows that it left.
struct Found {
    ours: Option<u64>,
    rivals: Option<u64>,
}

/// What is wrong with the answer in one cell, if anything.
async fn wrong(verb: Verb, fault: Fault, rival: Option<Verb>) -> Option<String> {
    let bench = Bench::new().await;
    let base = bench.load(&bench.root, At::Latest).await;
    let gate = Gate::new();
    bench.faults.add(Rule::new(fault).on(Op::Put).path("_delta_log/*.json").nth(1).hold_after(&gate));
    let ours = tokio::spawn(async move { verb.run(&base, OURS).await });
    while bench.faults.total_fired() == 0 {
        SystemClock.sleep(Duration::from_millis(1)).await;
    }
    if !matches!(fault, Fault::HangBefore | Fault::HangAfter) {
        gate.reached(1).await;
    }
    if let Some(rival) = rival {
        let newest = bench.load(&bench.truth, At::Latest).await;
        rival.run(&newest, RIVALS).await.expect("the rival meets no fault");
    }
    gate.open();
    let answer = ours.await.expect("a writer never panics");
    SystemClock.sleep(Duration::from_secs(3_600)).await;
    bench.faults.settle().await;

    let newest = bench.load(&bench.truth, At::Latest).await.version();
    let mut found = Found { ours: None, rivals: None };
    let mut table = bench.rows(1).await;
    for version in 2..=newest {
        let rows = bench.rows(version).await;
        let by_us = found.ours.is_none() && rows == verb.apply(&table, OURS);
        let by_rival = found.rivals.is_none() && rival.is_some_and(|rival| rows == rival.apply(&table, RIVALS));
        match (by_us, by_rival) {
            (true, _) => found.ours = Some(version),
            (_, true) => found.rivals = Some(version),
            _ => return Some(format!("version {version} holds {rows:?} after {table:?}: nobody wrote that")),
        }
        table = rows;
    }
    if rival.is_some() != found.rivals.is_some() {
        return Some("the rival's commit is lost".to_owned());
    }
    match answer {
        Ok(WriteOutcome::Committed(report, _)) if found.ours == Some(report.version) => None,
        Err(error) if found.ours.is_none() && error.kind() == ErrorKind::Conflict => {
            let may = verb == Verb::Overwrite && rival.is_some();
            (!may).then(|| format!("refused without need: {error}"))
        }
        Ok(WriteOutcome::Unknown(unresolved)) => {
            let settled = settle(&bench.truth, &unresolved.token()).await.expect("settled");
            let right = match found.ours {
                Some(version) => settled == Settlement::Landed(version),
                None => settled == Settlement::Never || settled == Settlement::Open,
            };
            (!right).then(|| format!("settled as {settled:?}, but it is at {:?}", found.ours))
        }
        other => Some(format!("answered {other:?}, but it is at {:?}", found.ours)),
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_wrong() {
    let mut errors = Vec::new();
    let mut cells = 0;
    for verb in [Verb::Append, Verb::Overwrite] {
        for (name, fault) in faults() {
            for rival in [None, Some(Verb::Append), Some(Verb::Overwrite)] {
                cells += 1;
                if let Some(what) = wrong(verb, fault, rival).await {
                    errors.push(format!("{verb:?}, {name}, rival {rival:?}: {what}"));
                }
            }
        }
    }
    assert!(errors.is_empty(), "{} of {cells} wrong:\n{}", errors.len(), errors.join("\n"));
    println!("0 of {cells} wrong");
}

/// A store that answers nothing at all leaves the outcome unknown; the next commit of anyone decides it.
#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_decided_by_the_next_commit() {
    for late in [false, true] {
        let bench = Bench::new().await;
        let base = bench.load(&bench.root, At::Latest).await;
        let silent = Fault::Delayed { answer: Failure::Timeout, until: Delay::Time(Duration::from_secs(1_000)) };
        bench.faults.add(Rule::new(silent).on(Op::Put).path("_delta_log/*.json"));
        let answer = Verb::Append.run(&base, OURS).await.expect("an answer");
        let WriteOutcome::Unknown(unresolved) = answer else { panic!("{answer:?}") };
        let token = unresolved.token();
        assert_eq!(settle(&bench.truth, &token).await.expect("settled"), Settlement::Open, "COM-12");
        if late {
            SystemClock.sleep(Duration::from_secs(2_000)).await;
            assert_eq!(settle(&bench.truth, &token).await.expect("settled"), Settlement::Landed(2), "COM-12");
            assert_eq!(bench.rows(2).await, Rows::from([FIRST, OURS]), "COM-4: its files were kept");
        } else {
            Verb::Append.run(&bench.load(&bench.truth, At::Latest).await, RIVALS).await.expect("the next commit");
            SystemClock.sleep(Duration::from_secs(2_000)).await;
            assert_eq!(settle(&bench.truth, &token).await.expect("settled"), Settlement::Never, "COM-12");
            assert_eq!(bench.rows(2).await, Rows::from([FIRST, RIVALS]));
        }
    }
}
