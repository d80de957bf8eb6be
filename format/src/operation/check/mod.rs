//! Check: whether a table is whole, found out by reading all of it and changing none.

mod data;
mod log;
mod statistics;

use std::collections::BTreeMap;

use crate::clock::ClockRef;
use crate::error::{Error, Result};
use crate::snapshot::{At, Snapshot};
use crate::store::TableRoot;

/// Findings of one kind that are told one by one.
const MOST_FINDINGS: u64 = 1_000;

/// How much is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Reads the rows of every data file and compares them with its statistics. Without it, the footers alone.
    pub deep: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Harmless, as a leftover file is.
    Note,
    /// An aid is damaged or history is cut: the newest version is read all the same.
    Warning,
    /// Rows, versions or bookkeeping are lost or wrong.
    Damage,
}

impl Severity {
    /// In words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Damage => "damage",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What was checked: `gap`, `commit`, `checkpoint`, `checksum`, `hint`, `snapshot`, `path`, `missing-file`, `size`,
    /// `footer`, `row-count`, `deletion-vector`, `partition-value`, `statistics`, `extra-file`.
    pub check: &'static str,
    /// The file or version concerned.
    pub object: String,
    /// What is wrong.
    pub message: String,
}

/// What a check looked at, and what it found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckReport {
    /// Newest version, where the table could be opened.
    pub version: Option<u64>,
    /// Commits read.
    pub commits: u64,
    /// Checkpoints read.
    pub checkpoints: u64,
    /// Checksum files compared.
    pub checksums: u64,
    /// Live data files looked at.
    pub files: u64,
    /// Rows read, with [`CheckOptions::deep`].
    pub rows_read: u64,
    /// Objects below the root that no known version needs.
    pub extra_files: u64,
    /// Their bytes.
    pub extra_bytes: u64,
    /// What was found, worst first: of each check no more than a thousand, and a line that counts the others.
    pub findings: Vec<Finding>,
    /// How many findings of each check there are.
    found: BTreeMap<&'static str, (Severity, u64)>,
}

impl CheckReport {
    /// How many findings are damage.
    pub fn damages(&self) -> usize {
        self.findings.iter().filter(|finding| finding.severity == Severity::Damage).count()
    }

    fn add(&mut self, severity: Severity, check: &'static str, object: impl Into<String>, message: impl Into<String>) {
        self.take(Finding { severity, check, object: object.into(), message: message.into() });
    }

    fn take(&mut self, finding: Finding) {
        let (severity, count) = self.found.entry(finding.check).or_insert((finding.severity, 0));
        (*severity, *count) = (finding.severity.max(*severity), *count + 1);
        if *count <= MOST_FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Says how many findings are not told one by one.
    fn close(&mut self, table: &str) {
        for (check, (severity, count)) in &self.found {
            if let Some(more @ 1..) = count.checked_sub(MOST_FINDINGS) {
                let (object, message) = (table.to_owned(), format!("and {more} more findings of this kind"));
                self.findings.push(Finding { severity: *severity, check, object, message });
            }
        }
        self.findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }

    fn damage(&mut self, check: &'static str, object: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Damage, check, object, message);
    }
}

/// Checks the table at `root`: its log from the first commit on, its newest version, its data files. Nothing is
/// written. What is wrong is a finding, not an error.
///
/// # Errors
/// `NotFound` when there is no table; `Denied` or `Unavailable` by the store.
pub async fn check(root: &TableRoot, clock: &ClockRef, options: CheckOptions) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    log::check(root, &mut report).await?;
    match Snapshot::load(root.clone(), At::Latest, ClockRef::clone(clock)).await {
        Ok(snapshot) => {
            report.version = Some(snapshot.version());
            data::check(&snapshot, options, &mut report).await?;
        }
        Err(error) if is_finding(&error) => {
            report.damage("snapshot", root.display(), format!("the newest version can't be read: {error}"));
        }
        Err(error) => return Err(error),
    }
    report.close(&root.display());
    Ok(report)
}

/// Whether an error tells of the table rather than of the store or of what Lake can't do.
fn is_finding(error: &Error) -> bool {
    use crate::error::ErrorKind as K;
    matches!(error.kind(), K::Corrupt | K::NotFound | K::Invalid | K::Internal)
}

#[cfg(test)]
mod tests;
