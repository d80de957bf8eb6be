//! From staged actions to a version: the committer's seam and the one retry loop.

mod after;
mod body;
mod committer;
mod linked;
mod stamp;
mod transact;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

pub use crate::conflict::{ReadSet, Reads};
pub use crate::log::CommitBody;
pub use committer::{CommitAnswer, Committer, LogCommitter};
pub use stamp::Marks;
pub use transact::{Base, check_deadline, check_rearrangement, check_rows_may_leave, transact, transact_behind};

use crate::action::Action;
use crate::error::Error;
use crate::snapshot::Snapshot;

/// The name, parameters and counts that a commit gives of itself.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// Name in the words of the protocol's other writers: `WRITE`, `CREATE TABLE`, `OPTIMIZE`.
    pub name: &'static str,
    /// Parameters.
    pub parameters: BTreeMap<String, Value>,
    /// Counts, as text, as other writers do.
    pub metrics: BTreeMap<String, Value>,
}

impl Operation {
    /// An operation without parameters.
    pub fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Adds a parameter.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.parameters.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a count.
    #[must_use]
    pub fn counting(mut self, key: &str, count: u64) -> Self {
        self.metrics.insert(key.to_owned(), Value::String(count.to_string()));
        self
    }
}

/// What is to become one version.
#[derive(Clone, Debug)]
pub struct Staged {
    /// What the commit says of itself.
    pub operation: Operation,
    /// Its actions, without `commitInfo`.
    pub actions: Vec<Action>,
    /// What was read to decide them.
    pub reads: Reads,
}

/// How a commit ended. A certain rejection is an error instead.
#[derive(Debug)]
pub enum Outcome {
    /// It is a version.
    Committed(Committed),
    /// It may be one. Files are kept; ask again with the token.
    Unknown(Unresolved),
}

/// A landed commit.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The version.
    pub version: u64,
    /// Identity of the logical commit.
    pub txn_id: Uuid,
    /// The table at that version.
    pub snapshot: Arc<Snapshot>,
}

/// A commit whose outcome could not be settled.
#[derive(Debug)]
pub struct Unresolved {
    /// The version that it was trying to be.
    pub version: u64,
    /// Identity of the logical commit.
    pub txn_id: Uuid,
    /// What the store or server answered last.
    pub reason: Error,
}

impl Unresolved {
    /// Text by which the outcome can be asked for later.
    pub fn token(&self) -> String {
        format!("v{}-{}", self.version, self.txn_id)
    }
}

#[cfg(test)]
mod tests;
