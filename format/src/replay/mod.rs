//! Reconciliation: which actions survive, folding commits from the newest to the oldest. Pure.

mod key;
mod state;

pub use key::FileKey;
pub use state::{Replay, TableState};
