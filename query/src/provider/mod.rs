//! A snapshot as the engine's table: what is pushed down to the scan, and the scan as a plan of the engine.

mod exec;
mod places;
mod split;
mod statistics;
mod table;

pub(crate) use places::{FILE, PLACE, PlacesProvider, looked_at};
pub use table::LakeTableProvider;
