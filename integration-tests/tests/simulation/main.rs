//! Seeded simulation: writers race on one table over a store that loses answers, delays effects and lists stale.
//!
//! A failing run prints its seed; `LAKE_SIM_SEED=<seed>` replays it, `LAKE_SIM_SEEDS=<n>` runs more.

mod oracle;
mod sim_clock;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lake_format::action::{Action, Add, Remove};
use lake_format::operation::{CreateOptions, create};
use lake_format::schema::parse_declaration;
use lake_format::transaction::{Base, LogCommitter, Operation, Outcome, Reads, Staged, transact};
use lake_format::{At, ClockRef, ErrorKind, Snapshot, TableRoot};
use lake_testkit::{Faults, FaultyStore, LatencyStore, SplitMix64, for_each_seed, simulate, storm};
use object_store::memory::InMemory;
use object_store::path::Path;
use oracle::{Answer, Attempt, Kind};
use sim_clock::SimClock;
use url::Url;

const WRITERS: u64 = 5;
const OPERATIONS: u64 = 8;

#[test]
fn no_commit_is_lost_doubled_or_misreported_under_faults() {
    let mut landed = 0;
    let mut unknown = 0;
    let mut fired = 0;
    for_each_seed(150, |seed| {
        let run = simulate(seed, |rng| race(rng, 60));
        landed += run.landed;
        unknown += run.unknown;
        fired += run.faults;
    });
    assert!(landed > 0 && fired > 0, "the runs landed {landed} commits under {fired} faults");
    println!("landed {landed}, unknown {unknown}, faults {fired}");
}

#[test]
fn without_faults_every_append_lands() {
    for_each_seed(30, |seed| {
        let run = simulate(seed, |rng| race(rng, 0));
        assert_eq!(run.unknown, 0);
    });
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let once = || simulate(7, |rng| race(rng, 60)).trace;
    assert_eq!(once(), once());
}

struct Run {
    landed: usize,
    unknown: usize,
    faults: u64,
    trace: Vec<String>,
}

/// One history: create, race, heal, judge.
async fn race(rng: SplitMix64, per_mille: u32) -> Run {
    let faults = Faults::seeded(rng.fork(1).next_u64());
    let memory = Arc::new(InMemory::new());
    let url = Url::parse("memory:///sim/").expect("url");
    let prefix = || Path::from("sim");
    let slow = LatencyStore::new(Arc::clone(&memory), rng.fork(2).next_u64(), millis(1)..=millis(30));
    let faulty = FaultyStore::new(slow, faults.clone());
    let root = TableRoot::with_store(Arc::new(faulty), prefix(), url.clone());
    let truth = TableRoot::with_store(memory, prefix(), url);

    let clock: ClockRef = Arc::new(SimClock::new(rng.fork(3)));
    let options =
        CreateOptions { schema: parse_declaration("id long").expect("declaration"), ..CreateOptions::default() };
    create(&truth, &clock, &LogCommitter, options, None).await.expect("created without faults");
    for rule in storm(per_mille) {
        faults.add(rule);
    }

    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let (root, rng) = (root.clone(), rng.fork(100 + writer));
        writers.push(tokio::spawn(write(root, rng, writer)));
    }
    let mut attempts = Vec::new();
    for writer in writers {
        attempts.extend(writer.await.expect("a writer never panics"));
    }
    let fired = faults.total_fired();
    faults.heal();
    faults.settle().await;
    let trace = oracle::judge(&truth, &clock, &attempts).await;
    let count = |wanted: fn(&Answer) -> bool| attempts.iter().filter(|attempt| wanted(&attempt.answer)).count();
    Run {
        landed: count(|answer| matches!(answer, Answer::Committed(_))),
        unknown: count(|answer| matches!(answer, Answer::Unknown(_))),
        faults: fired,
        trace,
    }
}

/// One writer: opens the table, decides, commits, records what it was told.
async fn write(root: TableRoot, mut rng: SplitMix64, writer: u64) -> Vec<Attempt> {
    let clock: ClockRef = Arc::new(SimClock::new(rng.fork(4)));
    let mut attempts = Vec::new();
    for step in 0..OPERATIONS {
        clock.sleep(millis(rng.below(40))).await;
        let Ok(snapshot) = Snapshot::load(root.clone(), At::Latest, Arc::clone(&clock)).await else { continue };
        let Ok(files) = snapshot.files().await else { continue };
        let (kind, removed) = match rng.below(10) {
            0 => (Kind::Overwrite, files.iter().collect::<Vec<_>>()),
            1 | 2 if files.len() >= 2 => (Kind::Compaction, files.iter().take(2).collect()),
            _ => (Kind::Append, Vec::new()),
        };
        let added = format!("w{writer}-{step}.parquet");
        let data_change = kind != Kind::Compaction;
        let tombstone = |add: &Arc<Add>| Action::Remove(Box::new(Remove::of(add, clock.now_ms(), data_change)));
        let mut actions: Vec<Action> = removed.iter().map(tombstone).collect();
        let add = Add { path: added.clone(), size: 1, data_change, ..Add::default() };
        actions.push(Action::Add(Box::new(add)));
        let (reads, name) = match kind {
            Kind::Append => (Reads::Nothing, "WRITE"),
            Kind::Overwrite => (Reads::WholeTable, "WRITE"),
            Kind::Compaction => (Reads::OwnFiles, "OPTIMIZE"),
        };
        let staged = Staged { operation: Operation::new(name), actions, reads };
        let answer = match transact(Base::On(Arc::new(snapshot)), staged, &LogCommitter).await {
            Ok(Outcome::Committed(committed)) => Answer::Committed(committed.version),
            Ok(Outcome::Unknown(unresolved)) => Answer::Unknown(unresolved.token()),
            Err(error) => {
                assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
                Answer::Rejected
            }
        };
        let removed: BTreeSet<String> = removed.iter().map(|add| add.path.clone()).collect();
        attempts.push(Attempt { kind, added, removed, answer });
    }
    attempts
}

fn millis(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
