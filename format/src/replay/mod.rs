//! Reconciliation: which actions survive, folding commits from the newest to the oldest. Pure.

mod distinct;
mod header;
mod key;
mod tail;

pub use distinct::Distinct;
pub use header::{Header, HeaderFold};
pub use key::{FileKey, Home};
pub use tail::{Tail, TailFold};

#[cfg(test)]
mod tests;
