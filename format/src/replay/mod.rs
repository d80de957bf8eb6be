//! Reconciliation: which actions survive, folding commits from the newest to the oldest. Pure.

mod changes;
mod header;
mod key;
mod tail;

pub use changes::{Changes, ChangesBuilder, FileTally};
pub use header::{Header, HeaderFold};
pub use key::{ByFingerprint, FileKey, Fingerprint};
pub use tail::{Tail, TailFold};

#[cfg(test)]
mod tests;
