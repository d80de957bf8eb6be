//! The checks: each is a function from the workspace to its problems.

pub mod arrows;
pub mod length;
pub mod opening;
pub mod rooms;
pub mod rules;
pub mod weight;
pub mod words;
