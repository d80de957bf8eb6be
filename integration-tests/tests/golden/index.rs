//! The index of published tables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Kind {
    #[serde(rename = "read")]
    Read,
    #[serde(rename = "log only")]
    LogOnly,
    #[serde(rename = "REFUSE")]
    Refuse,
    #[serde(rename = "refuse or support")]
    RefuseOrSupport,
    #[serde(rename = "special")]
    Special,
    #[serde(rename = "write case")]
    WriteCase,
}

#[derive(Debug, Deserialize)]
pub struct Entry {
    pub table: String,
    pub kind: Kind,
    pub version: Option<u64>,
    pub features: Vec<String>,
    pub rows: Option<usize>,
    pub live_files: Option<usize>,
    rows_by_version: Option<BTreeMap<String, usize>>,
    expected: Option<String>,
    note: Option<String>,
}

pub fn load(folder: &Path) -> Vec<Entry> {
    let path = folder.join("index.json");
    let text = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_slice(&text).expect("index.json")
}

impl Entry {
    /// Row counts of older versions.
    pub fn versions(&self) -> Vec<(u64, usize)> {
        let counts = self.rows_by_version.iter().flatten();
        counts.filter_map(|(version, rows)| Some((version.parse().ok()?, *rows))).collect()
    }

    /// Folders or files of Parquet that hold the expected rows: of the newest version, or of `version`.
    pub fn expected_folders(&self, table: &Path, version: Option<u64>) -> Vec<PathBuf> {
        let parent = table.parent().unwrap_or(table);
        let path = match (self.expected.as_deref(), version) {
            (Some("../expected/*.parquet"), None) => Some(parent.join("expected")),
            (Some(_), Some(version)) => Some(parent.join(format!("expected/v{version}/table_content"))),
            (Some(_), None) => Some(parent.join("expected/latest/table_content")),
            (None, _) => None,
        };
        path.into_iter().filter(|path| path.exists()).collect()
    }

    /// A column whose published value is known to be wrong.
    pub fn ignored_column(&self) -> Option<&str> {
        let note = self.note.as_deref()?;
        note.strip_prefix("ODD: expected ")?.split(' ').next()
    }
}
