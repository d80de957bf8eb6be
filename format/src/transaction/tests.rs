//! Commits over a store that fails in chosen places.

use std::sync::Arc;

use lake_testkit::{Delay, Failure, Fault, Faults, FaultyStore, Op, Rule};
use object_store::memory::InMemory;
use object_store::path::Path;
use url::Url;

use super::*;
use crate::action::{Add, Remove};
use crate::clock::{ClockRef, SystemClock};
use crate::error::ErrorKind;
use crate::operation::{CreateOptions, Settlement, create, settle};
use crate::schema::parse_declaration;
use crate::snapshot::At;
use crate::store::TableRoot;

struct Bench {
    /// The table as its writer sees it.
    root: TableRoot,
    /// The same table without faults.
    truth: TableRoot,
    faults: Faults,
    clock: ClockRef,
}

impl Bench {
    async fn new() -> Self {
        let memory = Arc::new(InMemory::new());
        let faults = Faults::seeded(1);
        let url = Url::parse("memory:///t/").expect("url");
        let faulty = FaultyStore::new(Arc::clone(&memory), faults.clone());
        let root = TableRoot::with_store(Arc::new(faulty), Path::from("t"), url.clone());
        let truth = TableRoot::with_store(memory, Path::from("t"), url);
        let clock = SystemClock::shared();
        let options = CreateOptions { schema: parse_declaration("id long").expect("schema"), ..Default::default() };
        create(&truth, &clock, &LogCommitter, options, None).await.expect("created");
        Self { root, truth, faults, clock }
    }

    async fn load(&self, root: &TableRoot) -> Arc<Snapshot> {
        let snapshot = Snapshot::load(root.clone(), At::Latest, Arc::clone(&self.clock)).await;
        Arc::new(snapshot.expect("loads"))
    }

    async fn live(&self) -> Vec<String> {
        let mut paths: Vec<String> =
            self.load(&self.truth).await.files().await.expect("files").iter().map(|add| add.path.clone()).collect();
        paths.sort_unstable();
        paths
    }

    fn fail(&self, fault: Fault) {
        self.faults.add(Rule::new(fault).on(Op::Put).path("_delta_log/*.json").nth(1));
    }
}

fn adding(path: &str) -> Staged {
    let add = Add { path: path.into(), size: 1, data_change: true, ..Add::default() };
    Staged { operation: Operation::new("WRITE"), actions: vec![Action::Add(Box::new(add))], reads: Reads::Nothing }
}

fn removing(path: &str, reads: Reads) -> Staged {
    let add = Add { path: path.into(), ..Add::default() };
    let remove = Remove::of(&add, 1, true);
    Staged { operation: Operation::new("WRITE"), actions: vec![Action::Remove(Box::new(remove))], reads }
}

async fn commit(base: &Arc<Snapshot>, staged: Staged) -> crate::Result<Outcome> {
    transact(Base::On(Arc::clone(base)), staged, &LogCommitter).await
}

fn version(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Committed(committed) => committed.version,
        Outcome::Unknown(unresolved) => panic!("unknown: {:?}", unresolved.reason),
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_recognised_as_our_own_commit() {
    for failure in
        [Failure::Unavailable, Failure::Reset, Failure::Timeout, Failure::AlreadyExists, Failure::Precondition]
    {
        let bench = Bench::new().await;
        let base = bench.load(&bench.root).await;
        bench.fail(Fault::ErrorAfter(failure));
        let outcome = commit(&base, adding("a")).await.expect("COM-2");
        assert_eq!(version(&outcome), 1, "{failure:?}");
        assert_eq!(bench.live().await, ["a"]);
        assert_eq!(bench.faults.total_fired(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_up_and_asked_again() {
    for fault in [Fault::HangBefore, Fault::HangAfter] {
        let bench = Bench::new().await;
        let base = bench.load(&bench.root).await;
        bench.fail(fault);
        bench.faults.add(Rule::new(Fault::HangBefore).on(Op::Get).path("_delta_log/*.json").nth(1).label("read"));
        assert_eq!(version(&commit(&base, adding("a")).await.expect("COM-2")), 1, "{fault:?}");
        assert_eq!((bench.live().await, bench.faults.total_fired()), (vec!["a".to_owned()], 2));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_read_back_in_part_is_not_taken_for_another_s() {
    for keep_bytes in [0, 1, 40, 400] {
        let bench = Bench::new().await;
        let base = bench.load(&bench.root).await;
        bench.fail(Fault::ErrorAfter(Failure::Timeout));
        let cut = Fault::TruncatedRead { keep_bytes, then: None };
        bench.faults.add(Rule::new(cut).on(Op::Get).path("_delta_log/*.json").nth(1).label("cut"));
        assert_eq!(version(&commit(&base, adding("a")).await.expect("COM-2")), 1);
        assert_eq!(bench.live().await, ["a"], "{keep_bytes}");
        assert_eq!((bench.load(&bench.truth).await.version(), bench.faults.fired("cut")), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_the_effect_is_tried_again_at_the_same_version() {
    for failure in [Failure::Unavailable, Failure::Throttled, Failure::AlreadyExists] {
        let bench = Bench::new().await;
        let base = bench.load(&bench.root).await;
        bench.fail(Fault::ErrorBefore(failure));
        assert_eq!(version(&commit(&base, adding("a")).await.expect("COM-3")), 1, "{failure:?}");
        assert_eq!(bench.live().await, ["a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_effect_that_comes_late_does_not_double_the_commit() {
    for requests in 1..6 {
        let bench = Bench::new().await;
        let base = bench.load(&bench.root).await;
        bench.fail(Fault::Delayed { answer: Failure::Timeout, until: Delay::Requests(requests) });
        assert_eq!(version(&commit(&base, adding("a")).await.expect("COM-3")), 1);
        bench.faults.settle().await;
        assert_eq!(bench.live().await, ["a"], "after {requests} requests");
        assert_eq!(bench.load(&bench.truth).await.version(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_silent_leaves_the_outcome_unknown_until_asked() {
    let bench = Bench::new().await;
    let base = bench.load(&bench.root).await;
    bench.faults.add(Rule::new(Fault::ErrorBefore(Failure::Unavailable)).on(Op::Put).path("_delta_log/*.json"));
    let outcome = commit(&base, adding("a")).await.expect("an answer");
    let Outcome::Unknown(unresolved) = outcome else { panic!("{outcome:?}") };
    assert_eq!(unresolved.reason.kind(), ErrorKind::Unavailable);
    assert_eq!(settle(&bench.truth, &unresolved.token()).await.expect("settled"), Settlement::Open, "COM-12");
    assert_eq!(settle(&bench.truth, "v1-nonsense").await.expect_err("no token").kind(), ErrorKind::Invalid);
}

#[tokio::test(start_paused = true)]
async fn a_denied_put_is_a_certain_rejection() {
    let bench = Bench::new().await;
    let base = bench.load(&bench.root).await;
    bench.fail(Fault::ErrorBefore(Failure::PermissionDenied));
    let error = commit(&base, adding("a")).await.expect_err("COM-4");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(bench.load(&bench.truth).await.version(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stale_writer_rebases_or_gives_way() {
    let bench = Bench::new().await;
    let stale = bench.load(&bench.truth).await;
    for n in 0..12 {
        let outcome = commit(&stale, adding(&format!("a{n}"))).await.expect("CON-1, COM-6");
        assert_eq!(version(&outcome), n + 1);
    }
    let error = commit(&stale, removing("a1", Reads::WholeTable)).await.expect_err("CON-2");
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(bench.load(&bench.truth).await.version(), 12, "COM-4");
    let older = bench.load(&bench.truth).await;
    commit(&older, removing("a1", Reads::OwnFiles)).await.expect("removed");
    let error = commit(&older, removing("a1", Reads::OwnFiles)).await.expect_err("CON-4");
    assert!(error.message().contains("version 13"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_version_is_one_conditional_put() {
    let bench = Bench::new().await;
    let counting = lake_testkit::CountingStore::new(Arc::clone(bench.truth.store()));
    let counters = counting.counters();
    let url = Url::parse("memory:///t/").expect("url");
    let root = TableRoot::with_store(Arc::new(counting), Path::from("t"), url);
    let base = bench.load(&root).await;
    counters.reset();
    commit(&base, adding("a")).await.expect("committed");
    let requests: Vec<_> =
        counters.requests().into_iter().map(|request| (request.op, request.path.to_string())).collect();
    let put = |extension: &str| (Op::Put, format!("t/_delta_log/{:020}.{extension}", base.version() + 1));
    assert_eq!(requests, [put("json"), put("crc")], "COM-1: nothing is listed, read or sent twice");
}

#[tokio::test(start_paused = true)]
async fn the_commit_tells_where_it_came_from() {
    let bench = Bench::new().await;
    let base = bench.load(&bench.truth).await;
    let Outcome::Committed(committed) = commit(&base, adding("a")).await.expect("committed") else { panic!() };
    let record = crate::log::read_commit(&bench.truth, 1).await.expect("read").expect("there");
    let Some(Action::CommitInfo(info)) = record.actions.first() else { panic!("COM-5: commitInfo comes first") };
    assert_eq!(info.txn_id.as_deref(), Some(committed.txn_id.to_string().as_str()));
    assert_eq!((info.is_blind_append, info.read_version), (Some(true), Some(0)));
    assert_eq!(info.operation.as_deref(), Some("WRITE"));
}

#[tokio::test(start_paused = true)]
async fn a_checkpoint_that_fails_never_fails_the_commit() {
    let bench = Bench::new().await;
    let rule =
        Rule::new(Fault::ErrorBefore(Failure::Unavailable)).on_changes().path("*checkpoint*").label("checkpoint");
    bench.faults.add(rule);
    let mut head = bench.load(&bench.root).await;
    for n in 1..=10 {
        let Outcome::Committed(committed) = commit(&head, adding(&format!("a{n}"))).await.expect("CHK-2") else {
            panic!("unknown")
        };
        head = committed.snapshot;
    }
    assert!(bench.faults.fired("checkpoint") > 0);
    assert_eq!(bench.load(&bench.truth).await.files().await.expect("files").len(), 10);
}

/// A table with a short memory: a snapshot of version 1, and versions 2 to 5 behind it.
async fn with_short_memory(bench: &Bench) -> Arc<Snapshot> {
    let hour = BTreeMap::from([("delta.logRetentionDuration".to_owned(), Some("interval 1 hour".to_owned()))]);
    let created = bench.load(&bench.truth).await;
    crate::operation::set_properties(&created, &LogCommitter, &hour).await.expect("set");
    let old = bench.load(&bench.root).await;
    for path in ["a", "b", "c", "d"] {
        commit(&bench.load(&bench.truth).await, adding(path)).await.expect("appended");
    }
    old
}

/// What log clean-up leaves when version 5 is the newest that is old enough.
async fn clean_up_to_5(bench: &Bench) {
    bench.load(&bench.truth).await.write_checkpoint().await.expect("checkpoint");
    for version in 0..5 {
        bench
            .truth
            .delete(&bench.truth.child(&crate::log::commit_name(version)).expect("path"))
            .await
            .expect("deleted");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_clean_up_freed_is_not_taken_by_a_late_writer() {
    let bench = Bench::new().await;
    let old = with_short_memory(&bench).await;
    clean_up_to_5(&bench).await;
    let error = commit(&old, adding("late")).await.expect_err("COM-14");
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let freed = bench.truth.child(&crate::log::commit_name(2)).expect("path");
    assert!(bench.truth.head(&freed).await.expect("head").is_none(), "COM-14: nothing was written");
    assert_eq!(old.refreshed().await.expect("COM-14: found anew").version(), 5);
    assert_eq!(bench.live().await, ["a", "b", "c", "d"]);
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_clean_up_overtakes_is_not_told_that_it_committed() {
    let bench = Bench::new().await;
    with_short_memory(&bench).await;
    let base = bench.load(&bench.root).await;
    let gate = lake_testkit::Gate::new();
    let put = Rule::new(Fault::Pass).on(Op::Put).path("_delta_log/*6.json").nth(1).hold_before(&gate);
    bench.faults.add(put);
    let late = tokio::spawn(async move { commit(&base, adding("late")).await });
    gate.reached(1).await;
    for path in ["e", "f", "g"] {
        commit(&bench.load(&bench.truth).await, adding(path)).await.expect("appended");
    }
    bench.load(&bench.truth).await.write_checkpoint().await.expect("checkpoint");
    for version in 0..8 {
        bench
            .truth
            .delete(&bench.truth.child(&crate::log::commit_name(version)).expect("path"))
            .await
            .expect("deleted");
    }
    gate.open();
    let outcome = late.await.expect("no panic").expect("COM-14");
    let Outcome::Unknown(unresolved) = outcome else { panic!("COM-14: told {outcome:?}") };
    assert_eq!(settle(&bench.truth, &unresolved.token()).await.expect("settled"), Settlement::Forgotten, "COM-14");
    assert!(!bench.live().await.contains(&"late".to_owned()));
}
