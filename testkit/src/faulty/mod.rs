//! What a store does to its clients when it fails, in a way that a seed or a script repeats.

mod faults;
mod plan;
mod read;
mod store;
mod upload;

pub use faults::{Activation, Faults};
pub use plan::{Delay, Failure, Fault, Injected, Rule, storm};
pub use store::FaultyStore;

#[cfg(test)]
mod tests;
