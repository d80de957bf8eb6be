//! Which tables are the workloads run on, and are they there already?

mod checkpoint;
mod data;
mod log;

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

pub use data::row_batch;
pub use log::{PREDICATE_ROWS, one_row, predicate_range};

/// A table of the benchmark. Each is made once, from a fixed seed, and never changed: a run that writes gets a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Many adds in a checkpoint of one uncompressed row group without JSON statistics, as delta_kernel writes it.
    OneGroup,
    /// The same adds in compressed groups of 64k, in the order of `id`.
    Clustered,
    /// The same, in random order.
    Shuffled,
    /// The same adds in one uncompressed group with JSON statistics alone, as deltalake writes it.
    JsonStats,
    /// The same adds in one JSON commit.
    JsonCommit,
    /// 1,000 JSON commits of 100 adds, no checkpoint.
    ManyCommits,
    /// 10,001 commits of one add, a checkpoint every ten.
    Tiny,
    /// No file, in the schema of the tables of rows.
    Empty,
    /// One data file.
    OneFile,
    /// 1,000 adds in one commit.
    ThousandFiles,
    /// 10,000,000 rows of 8 columns in 100 files.
    Rows100,
    /// The same rows in 1,000 files.
    Rows1000,
}

impl Kind {
    /// Folder below the benchmark's own.
    pub fn name(self) -> &'static str {
        match self {
            Self::OneGroup => "one-group",
            Self::Clustered => "clustered",
            Self::Shuffled => "shuffled",
            Self::JsonStats => "json-stats",
            Self::JsonCommit => "json-commit",
            Self::ManyCommits => "many-commits",
            Self::Tiny => "tiny-commits",
            Self::Empty => "empty",
            Self::OneFile => "one-file",
            Self::ThousandFiles => "thousand-files",
            Self::Rows100 => "rows-100-files",
            Self::Rows1000 => "rows-1000-files",
        }
    }
}

/// How large the tables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    /// Every count is divided by this; 1 is the full size.
    pub divisor: u64,
}

impl Scale {
    fn of(self, full: u64) -> u64 {
        (full / self.divisor).max(20)
    }

    /// Adds of the large tables.
    pub fn adds(self) -> u64 {
        self.of(1_000_000)
    }

    /// Times that a small piece of work is repeated.
    pub fn times(self, full: u64) -> u64 {
        if self.divisor == 1 { full } else { full.div_ceil(10) }
    }

    /// Versions of the table of tiny commits.
    pub fn versions(self) -> u64 {
        self.of(10_000)
    }

    /// Commits of the table without a checkpoint.
    pub fn commits(self) -> u64 {
        self.of(1_000)
    }

    /// Rows of the tables of rows. Each of a thousand files has some.
    pub fn rows(self) -> u64 {
        (10_000_000 / self.divisor).max(100_000)
    }
}

/// The folder of a table, made now if it was not made at this scale before.
pub fn ready(home: &Path, kind: Kind, scale: Scale) -> Result<PathBuf> {
    let folder = home.join(format!("{}-{}", kind.name(), scale.divisor));
    let marker = folder.with_extension("made");
    if marker.exists() {
        return Ok(folder);
    }
    eprintln!("making {} ...", folder.display());
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("_delta_log"))?;
    match kind {
        Kind::Empty => data::write(&folder, 0, 0)?,
        Kind::Rows100 => data::write(&folder, 100, scale.rows())?,
        Kind::Rows1000 => data::write(&folder, 1_000, scale.rows())?,
        _ => log::write(&folder, kind, scale)?,
    }
    fs::write(marker, "")?;
    Ok(folder)
}

/// A copy of a table that a run may write to: files are linked, for nobody changes one in place.
pub fn copy(table: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(table)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.file_name() == "_last_checkpoint" || fs::hard_link(entry.path(), &target).is_err() {
            // The hint alone is replaced in place by some.
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}
