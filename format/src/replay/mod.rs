//! Reconciliation: which actions survive, folding commits from the newest to the oldest. Pure.

mod changes;
mod distinct;
mod header;
mod key;
mod tail;

pub use changes::{Changes, ChangesBuilder, FileTally};
pub use distinct::Distinct;
pub use header::{Header, HeaderFold};
pub use key::{ByFingerprint, FileKey, Fingerprint, Home};
pub use tail::{Tail, TailFold};

#[cfg(test)]
mod tests;
