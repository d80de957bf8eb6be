//! Checkpoints: the state at one version as Parquet, and the hint to the newest.

mod files;
mod groups;
mod hint;
mod read;
mod write;

pub use files::{FilesWanted, StatsWanted, stream_files};
pub use hint::{Hint, read_hint, write_hint};
pub use read::{CheckpointHead, FileSource, read_head};
pub use write::{Files, Layout, Totals, Written, write_checkpoint};
