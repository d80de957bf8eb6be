//! What kind of table, load and weather a seed asks for.

use lake_testkit::SplitMix64;

use super::faults::Fault;
use super::store::Weather;

const HOUR_MS: u64 = 3_600_000;
pub const DAY_MS: u64 = 24 * HOUR_MS;

/// One history's set-up, drawn from its seed. Every seed switches on some of what there is, so that rare things meet.
#[derive(Clone, Debug)]
pub struct Config {
    pub writers: u64,
    /// Operations of each writer.
    pub operations: u64,
    /// Days over which they are spread.
    pub days: u64,
    /// Time within which the operations of one round begin.
    pub round_ms: u64,
    pub in_commit_timestamps: bool,
    pub row_tracking: bool,
    pub write_serializable: bool,
    pub v2_checkpoints: bool,
    /// Whether checkpoints are written, and so the log cleaned.
    pub checkpoints: bool,
    pub checkpoint_interval: u64,
    pub log_retention_hours: u64,
    /// Whether some operations write real data files.
    pub data_files: bool,
    pub weather: Weather,
    /// Chances of a thousand per operation.
    pub cancels: u32,
    pub pauses: u32,
    pub clock_faults: u32,
}

impl Config {
    pub fn draw(rng: &mut SplitMix64) -> Self {
        // They cost ten times as much as all else: rare, but often enough for clean-up to meet everything.
        let checkpoints = rng.chance(120);
        let days = if checkpoints { rng.within(2..=4) } else { 1 };
        Self {
            writers: rng.within(4..=8),
            operations: rng.within(3..=4),
            days,
            round_ms: *rng.pick(&[40, 200, 1_000, 20_000]).unwrap_or(&40),
            in_commit_timestamps: rng.chance(500),
            row_tracking: rng.chance(400),
            write_serializable: rng.chance(300),
            v2_checkpoints: rng.chance(400),
            checkpoints,
            checkpoint_interval: if checkpoints && rng.chance(500) { rng.within(6..=12) } else { 1_000_000 },
            log_retention_hours: *rng.pick(&[1, 1, 24]).unwrap_or(&1),
            data_files: rng.chance(120),
            weather: weather(rng),
            cancels: if rng.chance(500) { 120 } else { 0 },
            pauses: if rng.chance(500) { 120 } else { 0 },
            clock_faults: if rng.chance(500) { 200 } else { 0 },
        }
    }

    /// Whether reads may be older than what their client was told.
    pub fn stale(&self) -> bool {
        self.weather.per_mille > 0 && self.weather.kinds.iter().any(|fault| fault.is_stale())
    }
}

fn weather(rng: &mut SplitMix64) -> Weather {
    let kinds: Vec<Fault> = Fault::ALL.iter().copied().filter(|fault| fault.is_of_store() && rng.chance(500)).collect();
    let per_mille = *rng.pick(&[0, 30, 100, 250]).unwrap_or(&0);
    Weather { per_mille, kinds, way_micros: *rng.pick(&[2_000, 20_000, 100_000]).unwrap_or(&2_000) }
}
