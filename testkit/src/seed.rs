//! How a test draws chance from a seed, and how a failing seed is told and replayed.

use std::future::Future;
use std::ops::RangeInclusive;

/// A small generator of chance: the same seed gives the same draws on every machine.
#[derive(Clone, Debug)]
pub struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// A generator that begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A value below `bound`; 0 for a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a 128-bit product: even enough for tests, and without a loop.
        let product = u128::from(self.next_u64()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// A value in `range`.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let width = range.end().saturating_sub(*range.start());
        range.start() + self.below(width.saturating_add(1))
    }

    /// True `per_mille` times in a thousand.
    pub fn chance(&mut self, per_mille: u32) -> bool {
        self.below(1_000) < u64::from(per_mille)
    }

    /// One of `items`; none of an empty slice.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len() as u64) as usize)
    }

    /// Puts `items` in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }

    /// A generator of its own for one part of a test: its draws do not depend on how many others make.
    pub fn fork(&self, part: u64) -> Self {
        Self::new(mix(self.state ^ mix(part.wrapping_add(0x632b_e59b_d9b4_e019))))
    }
}

fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// The seeds of a run: `1..=default`, or as many as `LAKE_SIM_SEEDS` says, or only the one in `LAKE_SIM_SEED`.
///
/// # Panics
/// If one of the variables is no number: a run that silently tests something else helps nobody.
pub fn seeds(default: u64) -> impl Iterator<Item = u64> {
    let variable = |name: &str| std::env::var(name).ok();
    chosen(default, variable("LAKE_SIM_SEEDS").as_deref(), variable("LAKE_SIM_SEED").as_deref())
}

fn chosen(default: u64, count: Option<&str>, one: Option<&str>) -> RangeInclusive<u64> {
    match (one, count) {
        (Some(one), _) => {
            let seed = number("LAKE_SIM_SEED", one);
            seed..=seed
        }
        (None, Some(count)) => 1..=number("LAKE_SIM_SEEDS", count),
        (None, None) => 1..=default,
    }
}

fn number(name: &str, text: &str) -> u64 {
    match text.trim().parse() {
        Ok(number) => number,
        Err(_) => panic!("{name} is `{text}`, not a number"),
    }
}

/// Tells the seed and how to replay it when the test panics while the guard lives.
#[derive(Debug)]
#[must_use = "the guard tells the seed of a panic only while it lives"]
pub struct SeedGuard {
    seed: u64,
}

impl SeedGuard {
    /// Watches over the run of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The line that a failing run prints.
    pub fn hint(&self) -> String {
        format!("failed with seed {0}: replay it with LAKE_SIM_SEED={0}", self.seed)
    }
}

impl Drop for SeedGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.hint());
        }
    }
}

/// Runs `test` for each seed of [`seeds`]; a panic tells its seed.
pub fn for_each_seed(default: u64, mut test: impl FnMut(u64)) {
    for seed in seeds(default) {
        let _guard = SeedGuard::new(seed);
        test(seed);
    }
}

/// Runs one simulation to its end on a single thread with paused time, with chance drawn from `seed`. A panic tells
/// the seed.
///
/// # Panics
/// If the runtime can't be built, or as `test` does.
pub fn simulate<F, R>(seed: u64, test: impl FnOnce(SplitMix64) -> F) -> R
where
    F: Future<Output = R>,
{
    let _guard = SeedGuard::new(seed);
    match tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build() {
        Ok(runtime) => runtime.block_on(test(SplitMix64::new(seed))),
        Err(error) => panic!("the runtime of a simulation can't be built: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn draws_are_those_of_the_published_generator() {
        let mut rng = SplitMix64::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([rng.next_u64(), rng.next_u64(), rng.next_u64()], expected);
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_them() {
        let mut rng = SplitMix64::new(1);
        let drawn: Vec<u64> = (0..1_000).map(|_| rng.within(3..=5)).collect();
        assert!(drawn.iter().all(|value| (3..=5).contains(value)));
        assert!((3..=5).all(|value| drawn.contains(&value)));
        assert_eq!(rng.below(0), 0);
        assert_eq!(rng.pick::<u8>(&[]), None);
        let hits = (0..10_000).filter(|_| rng.chance(100)).count();
        assert!((800..1_200).contains(&hits), "{hits}");
    }

    #[test]
    fn a_shuffle_keeps_all_items() {
        let mut items: Vec<u32> = (0..20).collect();
        SplitMix64::new(3).shuffle(&mut items);
        assert_ne!(items, (0..20).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..20).collect::<Vec<_>>());
    }

    #[test]
    fn forks_differ_and_do_not_move_their_parent() {
        let parent = SplitMix64::new(9);
        let (mut a, mut b) = (parent.fork(0), parent.fork(1));
        assert_ne!(a.next_u64(), b.next_u64());
        assert_eq!(parent.fork(0).next_u64(), SplitMix64::new(9).fork(0).next_u64());
    }

    #[test]
    fn the_environment_chooses_the_seeds() {
        assert_eq!(chosen(3, None, None).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(chosen(3, Some("2"), None).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(chosen(3, Some("2"), Some("77")).collect::<Vec<_>>(), [77]);
        assert!(std::panic::catch_unwind(|| chosen(3, Some("many"), None)).is_err());
    }

    #[test]
    fn a_failing_seed_can_be_replayed_from_its_hint() {
        assert_eq!(SeedGuard::new(77).hint(), "failed with seed 77: replay it with LAKE_SIM_SEED=77");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the time of a simulation is paused")]
    fn a_simulation_does_not_wait_for_its_clock() {
        let waited = simulate(1, |_| async {
            let start = tokio::time::Instant::now();
            tokio::time::sleep(Duration::from_secs(86_400)).await;
            start.elapsed()
        });
        assert!(waited >= Duration::from_secs(86_400));
    }
}
