//! A snapshot as the engine's table: what is pushed down to the scan, and the scan as a plan of the engine.

mod exec;
mod split;
mod statistics;
mod table;

pub use table::LakeTableProvider;
