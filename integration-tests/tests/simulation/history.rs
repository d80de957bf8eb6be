//! What clients did and were told, as they record it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;
use lake_format::operation::Settlement;
use lake_format::{Error, Snapshot};
use uuid::Uuid;

/// What a writer set out to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Append,
    /// An append for an application, by its sequence number.
    AppendOnce(String, i64),
    Overwrite,
    OverwriteWhere(i64),
    DeleteWhere(i64),
    /// Some rows of one file, by a deletion vector.
    DeleteRows,
    Compact,
    /// One more in a domain's count.
    CountInDomain(String),
    /// One more in a property's count.
    CountInProperty,
}

/// What it was told.
#[derive(Clone, Debug)]
pub enum Answer {
    Committed(u64, Uuid),
    /// The sequence number was applied before.
    Applied,
    Rejected(String),
    Unknown(String),
    /// It was stopped before an answer came.
    Cancelled,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub kind: Kind,
    pub read_version: u64,
    pub txn_ids: Vec<Uuid>,
    pub answer: Answer,
    /// The newest version that anyone had been told of when it began.
    pub told_before: u64,
}

/// One look at a version.
#[derive(Clone, Debug)]
pub struct Look {
    pub version: u64,
    pub digest: u64,
    pub told_before: u64,
    pub latest: bool,
}

/// One request to become a version.
#[derive(Clone, Debug)]
pub struct Sent {
    pub txn_id: Uuid,
    pub version: u64,
    pub bytes: Bytes,
}

/// Everything that was recorded.
#[derive(Debug, Default)]
pub struct History {
    pub attempts: Vec<Attempt>,
    pub looks: Vec<Look>,
    pub sent: Vec<Sent>,
    /// Tokens of unknown outcomes and what was said of them.
    pub settled: Vec<(String, Settlement)>,
    /// The newest version that a writer was told of.
    pub told: u64,
    /// Errors that no client should ever see.
    pub defects: Vec<String>,
}

/// What a table is to its readers: the same number for the same files, marks, domains and properties.
pub fn digest<'a>(
    files: &BTreeSet<(String, Option<String>, i64, Option<i64>)>,
    txns: impl Iterator<Item = (&'a str, i64)>,
    domains: &BTreeMap<String, String>,
    configuration: &BTreeMap<String, String>,
) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    txns.collect::<BTreeMap<_, _>>().hash(&mut hasher);
    domains.hash(&mut hasher);
    configuration.hash(&mut hasher);
    hasher.finish()
}

/// Names of the applications and domains that writers use.
pub const APPS: [&str; 2] = ["a", "b"];
pub const DOMAINS: [&str; 2] = ["d", "e"];

/// The digest of a snapshot, through its public face alone.
pub async fn digest_of(snapshot: &Snapshot) -> Result<u64, Error> {
    let files = snapshot.files().await?;
    let files = files
        .iter()
        .map(|add| {
            let vector = add.deletion_vector.as_ref().map(|vector| vector.path_or_inline_dv.clone());
            (add.path.clone(), vector, add.size, add.base_row_id)
        })
        .collect();
    let txns = APPS.iter().filter_map(|app| Some((*app, snapshot.txn(app)?.version)));
    let all_domains = DOMAINS.iter().chain(&["delta.rowTracking"]);
    let domains =
        all_domains.filter_map(|name| Some(((*name).to_owned(), snapshot.domain(name)?.configuration.clone())));
    Ok(digest(&files, txns, &domains.collect(), &snapshot.metadata().configuration))
}
