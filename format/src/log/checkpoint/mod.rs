//! Checkpoints: the state at one version as Parquet, and the hint to the newest.

mod hint;
mod read;
mod write;

pub use hint::{Hint, read_hint, write_hint};
pub use read::{CheckpointHead, FileSource, StatsWanted, read_head, stream_files};
pub use write::{Files, Layout, Totals, Written, write_checkpoint};
