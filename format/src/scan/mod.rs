//! Which files a query must read, and their rows as Arrow batches.

pub(crate) mod adapt;
mod candidates;
mod files;
mod late;
mod layout;
mod pages;
mod plan;
mod prune;
mod read;
mod row_groups;
mod row_ids;
mod selection;
mod shared;
mod stored_bounds;
mod summary;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::SchemaRef;
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use crate::action::{Add, DeletionVectorDescriptor};
use crate::error::{Error, Result};
use crate::expr::{ColumnBounds, Predicate};
use crate::schema::{MappingMode, StructType};
use crate::snapshot::Snapshot;
use crate::store::TableRoot;

pub use adapt::read_schema;
pub use files::{PlannedFile, PlannedFiles};
pub use read::ReadOptions;
pub use row_ids::{ROW_COMMIT_VERSION, ROW_ID, RowTracking};

/// What is asked of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScanRequest {
    /// Columns in the order wanted, case ignored; all when `None`.
    pub columns: Option<Vec<String>>,
    /// Rows wanted; all when `None`.
    pub predicate: Option<Predicate>,
    /// No more rows than this.
    pub limit: Option<u64>,
    /// Whether each row's stable id comes along, as the column [`ROW_ID`] behind the others.
    pub row_ids: bool,
    /// Whether the version that last changed each row comes along, as the column [`ROW_COMMIT_VERSION`] behind the
    /// others.
    pub row_commit_versions: bool,
    /// Names of two columns that come behind the others where they are asked for: the place of each row's file among
    /// [`ScanPlan::files`], and the row's place in the file, the first being 0.
    pub row_places: Option<(String, String)>,
    /// Whether the plan tells what the log knows of its columns, which costs reading their statistics.
    pub statistics: bool,
}

/// The table that a scan reads: enough to read files in a process that has no snapshot.
#[derive(Clone, Debug)]
pub struct ScanTable {
    /// Where it is.
    pub root: TableRoot,
    /// The version that the files belong to.
    pub version: u64,
    /// Its schema, partition columns included.
    pub schema: Arc<StructType>,
    /// Logical names of its partition columns.
    pub partition_columns: Vec<String>,
    /// How it keeps the ids of its rows, where it tracks them.
    pub row_tracking: Option<RowTracking>,
    /// How its columns are found in files, partition values and statistics.
    pub mapping: MappingMode,
}

/// One data file to be read. A plain value: tasks carry it to where it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanFile {
    /// Path as the log has it, percent-encoded.
    pub path: String,
    /// Bytes.
    pub size_bytes: u64,
    /// Partition column, by physical name, to value as text.
    pub partition_values: BTreeMap<String, Option<String>>,
    /// Rows in the file, deleted ones included, where the statistics tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_records: Option<u64>,
    /// Rows of the file that are deleted and must not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_vector: Option<DeletionVectorDescriptor>,
    /// Id of the first row, where the table tracks rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_row_id: Option<i64>,
    /// Version of the rows that have none of their own, where the table tracks rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_row_commit_version: Option<i64>,
}

impl ScanFile {
    /// The file that an `add` brought.
    ///
    /// # Errors
    /// `Corrupt` for an impossible size.
    pub fn of(add: &Add) -> Result<Self> {
        let size_bytes = u64::try_from(add.size)
            .map_err(|_| Error::corrupt(format!("a data file of {} bytes", add.size)).with_object(add.path.clone()))?;
        Ok(Self {
            path: add.path.clone(),
            size_bytes,
            partition_values: add.partition_values.clone(),
            num_records: add.num_records(),
            deletion_vector: add.deletion_vector.clone(),
            base_row_id: add.base_row_id,
            default_row_commit_version: add.default_row_commit_version,
        })
    }

    /// Rows that a scan gives, where the statistics tell (DV-4).
    pub fn live_records(&self) -> Option<u64> {
        crate::action::live(self.num_records, self.deletion_vector.as_ref())
    }
}

/// What planning left out, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruning {
    /// Files of the table that were considered. Those of a checkpoint that statistics rule out are counted without a
    /// look at whether a later commit ended them.
    pub files_total: u64,
    /// Files to be read.
    pub files_planned: u64,
    /// Files that their partition values rule out.
    pub skipped_by_partition: u64,
    /// Files that their statistics rule out.
    pub skipped_by_statistics: u64,
    /// Files behind those that fill the limit.
    pub skipped_by_limit: u64,
    /// Bytes of all live files; `None` where planning left files out without reading their size and nothing else tells.
    pub bytes_total: Option<u64>,
    /// Bytes of the files to be read.
    pub bytes_planned: u64,
}

/// A scan that is ready to run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ScanPlan {
    shared: Arc<shared::Shared>,
    /// The files to be read, in order.
    pub files: PlannedFiles,
    /// What planning left out.
    pub pruning: Pruning,
    bounds: Arc<Vec<Option<ColumnBounds>>>,
}

impl ScanPlan {
    /// The table's root.
    pub fn root(&self) -> &TableRoot {
        &self.shared.table.root
    }

    /// The version read.
    pub fn version(&self) -> u64 {
        self.shared.table.version
    }

    /// The table's schema, partition columns included.
    pub fn table_schema(&self) -> &Arc<StructType> {
        &self.shared.table.schema
    }

    /// How the table's columns are found in files, partition values and statistics.
    pub fn mapping(&self) -> MappingMode {
        self.shared.table.mapping
    }

    /// The schema of the batches: the wanted columns, nullable throughout (see [`read_schema`]).
    pub fn arrow_schema(&self) -> &SchemaRef {
        &self.shared.output
    }

    /// The rows wanted.
    pub fn predicate(&self) -> Option<&Predicate> {
        self.shared.predicate.as_ref()
    }

    /// What the log tells of each column of [`ScanPlan::arrow_schema`] in all the files, where the request asked for it:
    /// bounds that enclose, and the count of nulls as the writers told it. `None` where it can't be told, and for all
    /// columns of a plan of many files; empty where it was not asked for.
    pub fn column_bounds(&self) -> &[Option<ColumnBounds>] {
        &self.bounds
    }

    /// The most rows wanted.
    pub fn limit(&self) -> Option<u64> {
        self.shared.limit
    }
}

impl Snapshot {
    /// The table at this version, for scans of chosen files.
    pub fn scan_table(&self) -> ScanTable {
        ScanTable {
            root: self.root().clone(),
            version: self.version(),
            schema: Arc::clone(self.schema()),
            partition_columns: self.partition_columns().to_vec(),
            mapping: self.mapping(),
            row_tracking: RowTracking::of(self.protocol(), self.metadata()),
        }
    }

    /// Plans a scan of this version: finds the files that can hold wanted rows. Reads no data file.
    ///
    /// # Errors
    /// `NotFound` for a column that the table lacks, `Invalid` for a literal of the wrong type, `Unsupported`
    /// for row ids of a table without them, `Corrupt` for an impossible size.
    pub async fn plan_scan(&self, request: &ScanRequest) -> Result<ScanPlan> {
        let table = self.scan_table();
        let plan = || async {
            let mut planner = plan::Planner::new(table.clone(), request)?;
            let mut batches = self.batches(&planner.wanted());
            while let Some(batch) = batches.next().await.transpose()? {
                planner.take(&batch)?;
            }
            planner.finish(self.totals())
        };
        self.with_repair(plan).await
    }
}

#[cfg(test)]
mod tests;
