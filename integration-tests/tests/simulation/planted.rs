//! Whether the oracle finds what it is there for: each of many mistakes, switched on, breaks it within a thousand seeds.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use lake_format::planted::{Defect, plant};

use super::committer::Wrong;
use super::world::run;
use super::{first_seed, on_all_processors};

/// Seeds within which each mistake is found.
const SEEDS: u64 = 1_000;

#[derive(Clone, Copy, Debug)]
enum Mistake {
    /// In the protocol's code.
    Planted(Defect),
    /// In a committer of its own.
    Committer(Wrong),
}

fn mistakes() -> Vec<Mistake> {
    use Defect as D;
    let planted = [
        D::DoubleRemoves,
        D::UnseenAdds,
        D::SharedApplications,
        D::SharedDescriptions,
        D::SharedDomains,
        D::ClockTimes,
        D::KeptRowIds,
        D::BlindStart,
        D::OneCommitTooMany,
        D::NoCheckpointLeft,
        D::NoRetention,
        D::RevivingCheckpoint,
        D::ForgetfulCheckpoint,
        D::VectorlessKeys,
        D::SkippingRefresh,
        D::HastySettlement,
        D::DiscardedUnknown,
    ];
    let committers = [
        Wrong::DisownsItsCommit,
        Wrong::RejectsTheUnknown,
        Wrong::PutsOver,
        Wrong::TrustsAbsence,
        Wrong::TrustsTheUnknown,
    ];
    let planted = planted.into_iter().map(Mistake::Planted);
    planted.chain(committers.into_iter().map(Mistake::Committer)).collect()
}

/// The first seed, counted from 1, that finds a mistake, and by what.
fn find(mistake: Mistake) -> Option<(u64, String)> {
    let from = first_seed();
    let found: Mutex<Option<(u64, String)>> = Mutex::default();
    let least = AtomicU64::new(u64::MAX);
    on_all_processors(from..from + SEEDS, |seed| {
        if seed > least.load(Ordering::Relaxed) {
            return false;
        }
        let wrong = match mistake {
            Mistake::Planted(defect) => {
                plant(Some(defect));
                None
            }
            Mistake::Committer(wrong) => Some(wrong),
        };
        let verdict = run(seed, wrong).verdict;
        plant(None);
        let Err(what) = verdict else { return true };
        let mut found = found.lock().expect("found");
        least.fetch_min(seed, Ordering::Relaxed);
        if found.as_ref().is_none_or(|(before, _)| seed < *before) {
            *found = Some((seed, what));
        }
        false
    });
    found.into_inner().expect("found").map(|(seed, what)| (seed - from + 1, what))
}

#[test]
fn every_planted_mistake_is_found_within_a_thousand_seeds() {
    let (mut seeds, mut missed) = (Vec::new(), Vec::new());
    for mistake in mistakes() {
        match find(mistake) {
            None => missed.push(mistake),
            Some((after, what)) => {
                let what: String = what.chars().take(150).collect();
                println!("{:<36} after {after:>4} seeds: {what}", format!("{mistake:?}"));
                seeds.push(after);
            }
        }
    }
    seeds.sort_unstable();
    println!(
        "{} of {} found, the median after {:?} seeds",
        seeds.len(),
        seeds.len() + missed.len(),
        seeds.get(seeds.len() / 2)
    );
    assert!(missed.is_empty(), "mistakes that {SEEDS} seeds do not find: {missed:?}");
}
