//! Reconciliation: which actions survive, folding commits from the newest to the oldest. Pure.

mod header;
mod key;
mod tail;

pub use header::{Header, HeaderFold};
pub use key::FileKey;
pub use tail::{Tail, TailFold};

#[cfg(test)]
mod tests;
