//! What to rewrite: which files belong together, and in which order their rows go. Pure.

mod bin_pack;
mod candidates;
pub mod cluster;

pub use bin_pack::{bin_pack, first_fit_decreasing};
pub use candidates::{FileGroup, group_by_partition};
