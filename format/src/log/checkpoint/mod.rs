//! Checkpoints: the state at one version as Parquet, and the hint to the newest.

mod hint;
mod read;
mod schema;
mod write;

pub use hint::{Hint, read_hint, write_hint};
pub use read::read_checkpoint;
pub use write::write_checkpoint;
