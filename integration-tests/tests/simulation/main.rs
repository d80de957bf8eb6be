//! Seeded simulation: writers, a checkpointer, a log cleaner and readers on one table, over a store that fails in every way
//! that stores do, with clocks that are off and writers that stop midway.
//!
//! `LAKE_SIMULATION_SEEDS` says how many seeds run, `LAKE_SIMULATION_FROM` which is the first. A failure prints the command
//! that replays it.

mod client;
mod clock;
mod committer;
mod config;
mod disk;
mod faults;
mod history;
mod keepers;
mod model;
mod oracle;
mod pause;
#[cfg(feature = "planted")]
mod planted;
mod store;
mod world;
mod writer;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use faults::{Activations, Fault};
use oracle::Tally;
use world::run;

/// Seeds of a plain `cargo test`.
const FEW: u64 = 40;
/// From so many seeds on, a kind of fault that never came fails the run.
const MANY: u64 = 2_000;

fn variable(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Err(_) => default,
        Ok(text) => text.trim().parse().unwrap_or_else(|_| panic!("{name} is `{text}`, not a number")),
    }
}

fn first_seed() -> u64 {
    variable("LAKE_SIMULATION_FROM", 1)
}

/// The command that runs one seed again.
fn replay(seed: u64) -> String {
    format!(
        "LAKE_SIMULATION_FROM={seed} LAKE_SIMULATION_SEEDS=1 cargo test -p lake-integration-tests --no-default-features \
         --features simulation --test simulation --profile sim"
    )
}

/// Does `job` for each of `seeds` on every processor; it says whether to go on.
fn on_all_processors(seeds: std::ops::Range<u64>, job: impl Fn(u64) -> bool + Sync) {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || !job(seed) {
                        next.store(seeds.end, Ordering::Relaxed);
                        break;
                    }
                }
            });
        }
    });
}

#[test]
fn no_history_breaks_the_oracle() {
    let (from, count) = (first_seed(), variable("LAKE_SIMULATION_SEEDS", FEW));
    let begin = Instant::now();
    let total = Mutex::new(Tally::default());
    let activations = Activations::default();
    let failures: Mutex<Vec<(u64, String)>> = Mutex::default();
    on_all_processors(from..from + count, |seed| {
        let run = run(seed, None);
        activations.add(&run.activations);
        let mut total = total.lock().expect("total");
        total.versions += run.tally.versions;
        total.unknown += run.tally.unknown;
        total.rejected += run.tally.rejected;
        total.cancelled += run.tally.cancelled;
        total.looks += run.tally.looks;
        total.checkpoints += run.tally.checkpoints;
        total.cleaned += run.tally.cleaned;
        total.strays += run.tally.strays;
        match run.verdict {
            Ok(()) => true,
            Err(what) => {
                failures.lock().expect("failures").push((seed, what));
                variable("LAKE_SIMULATION_ALL", 0) > 0
            }
        }
    });
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{count} seeds in {seconds:.1} s, {:.0} a second: {:?}",
        count as f64 / seconds,
        total.lock().expect("total")
    );
    for fault in Fault::ALL {
        println!("{:>9} x {}", activations.of(*fault), fault.name());
    }
    let mut failures = failures.into_inner().expect("failures");
    failures.sort();
    if let Some((seed, what)) = failures.first() {
        let seeds: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
        panic!("seed {seed}: {what}\nfailed: {seeds:?}; again: {}", replay(*seed));
    }
    if count >= MANY {
        let idle: Vec<_> = Fault::ALL.iter().filter(|fault| activations.of(**fault) == 0).collect();
        assert!(idle.is_empty(), "faults that never came: {idle:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let count = if variable("LAKE_SIMULATION_SEEDS", FEW) >= MANY { 200 } else { 3 };
    let from = first_seed();
    on_all_processors(from..from + count, |seed| {
        let traces = [run(seed, None).trace, run(seed, None).trace];
        assert_eq!(traces[0], traces[1], "seed {seed} gives two runs; again: {}", replay(seed));
        true
    });
}
