//! Where rows stand in their files, their stable ids and the versions that last changed them, for scans that ask for them.

use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow_cast::cast;
use arrow_schema::{DataType as ArrowType, Field, FieldRef, Schema};

use super::layout::Layout;
use super::{ScanFile, ScanRequest};
use crate::action::{Metadata, Protocol};
use crate::error::{Error, Result};
use crate::store::parquet::ParquetFile;

/// Name of the column of row ids, where a scan asks for it. Spark calls it `_metadata.row_id`.
pub const ROW_ID: &str = "row_id";
/// Name of the column of versions, where a scan asks for it. Spark calls it `_metadata.row_commit_version`.
pub const ROW_COMMIT_VERSION: &str = "row_commit_version";

/// How a table with row tracking keeps the ids of rows that were moved to another file: columns of the data files that
/// are not in the table's schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowTracking {
    /// Column of row ids.
    pub row_id_column: Option<String>,
    /// Column of versions.
    pub row_commit_version_column: Option<String>,
}

impl RowTracking {
    /// The row tracking of a table; `None` where it is not enabled, for then not every row has an id.
    pub fn of(protocol: &Protocol, metadata: &Metadata) -> Option<Self> {
        let setting = |name: &str| metadata.configuration.get(&format!("delta.{name}"));
        let lists = protocol.writer_features.iter().flatten().any(|feature| feature == "rowTracking");
        let enabled = setting("enableRowTracking").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        (lists && enabled).then(|| Self {
            row_id_column: setting("rowTracking.materializedRowIdColumnName").cloned(),
            row_commit_version_column: setting("rowTracking.materializedRowCommitVersionColumnName").cloned(),
        })
    }
}

/// One wanted column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    RowId,
    RowCommitVersion,
    /// The place of the row's file in the plan, under a name of the caller's choice.
    FilePlace(String),
    /// The row's place in its file, under a name of the caller's choice.
    Place(String),
}

impl Wanted {
    /// Those that a request asks for.
    ///
    /// # Errors
    /// `Unsupported` where the table does not track rows, `Invalid` where a column of it has the name.
    pub(super) fn of(request: &ScanRequest, tracking: Option<&RowTracking>, output: &Schema) -> Result<Vec<Self>> {
        let mut wanted = Vec::new();
        wanted.extend(request.row_ids.then_some(Self::RowId));
        wanted.extend(request.row_commit_versions.then_some(Self::RowCommitVersion));
        if !wanted.is_empty() && tracking.is_none() {
            return Err(Error::unsupported("the table does not track its rows (table feature \"rowTracking\")")
                .with_hint("row ids are there once delta.enableRowTracking is true"));
        }
        if let Some((file, row)) = request.row_places.clone() {
            wanted.extend([Self::FilePlace(file), Self::Place(row)]);
        }
        for one in &wanted {
            let taken = |field: &FieldRef| field.name().eq_ignore_ascii_case(one.name());
            if let Some(field) = output.fields().iter().find(|field| taken(field)) {
                return Err(Error::invalid("a column of the table has the name of the row tracking column asked for")
                    .with_object(field.name().clone())
                    .with_hint("leave the column out, or do not ask for row tracking columns"));
            }
        }
        Ok(wanted)
    }

    fn name(&self) -> &str {
        match self {
            Self::RowId => ROW_ID,
            Self::RowCommitVersion => ROW_COMMIT_VERSION,
            Self::FilePlace(name) | Self::Place(name) => name,
        }
    }

    pub(super) fn field(&self) -> Field {
        Field::new(self.name(), ArrowType::Int64, true)
    }
}

/// Where the wanted columns of one file come from.
pub(super) struct RowIds {
    columns: Vec<Source>,
}

struct Source {
    wanted: Wanted,
    /// Top-level column of the file that holds values of its own for some rows.
    root: Option<usize>,
    /// What rows without a value of their own go by.
    base: Option<i64>,
}

impl RowIds {
    /// Finds the columns, and has `layout` decode them.
    pub(super) fn new(
        wanted: &[Wanted],
        tracking: Option<&RowTracking>,
        (place, file): (usize, &ScanFile),
        parquet: &ParquetFile,
        layout: &mut Layout,
    ) -> Self {
        let source = |wanted: &Wanted| {
            let (name, base) = match wanted {
                Wanted::FilePlace(_) => (None, i64::try_from(place).ok()),
                Wanted::Place(_) => (None, Some(0)),
                Wanted::RowId => (tracking.and_then(|t| t.row_id_column.as_ref()), file.base_row_id),
                Wanted::RowCommitVersion => {
                    (tracking.and_then(|t| t.row_commit_version_column.as_ref()), file.default_row_commit_version)
                }
            };
            let fields = parquet.arrow_schema().fields();
            let root = name.and_then(|name| fields.iter().position(|field| field.name() == name));
            Source { wanted: wanted.clone(), root, base }
        };
        let columns: Vec<Source> = wanted.iter().map(source).collect();
        for root in columns.iter().filter_map(|column| column.root) {
            if let Err(at) = layout.roots.binary_search(&root) {
                layout.roots.insert(at, root);
            }
        }
        Self { columns }
    }

    /// Whether nothing is wanted.
    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
    }

    /// The wanted columns of a decoded batch, whose rows stand at `positions` in the file.
    ///
    /// # Errors
    /// `Corrupt` for a row without an id.
    pub(super) fn columns(
        &self,
        batch: &RecordBatch,
        roots: &[usize],
        positions: &[Range<u64>],
        name: &str,
    ) -> Result<Vec<ArrayRef>> {
        self.columns.iter().map(|source| source.column(batch, roots, positions, name)).collect()
    }
}

impl Source {
    fn column(&self, batch: &RecordBatch, roots: &[usize], positions: &[Range<u64>], name: &str) -> Result<ArrayRef> {
        let own = match self.root.and_then(|root| roots.binary_search(&root).ok()) {
            Some(at) => Some(cast(batch.column(at), &ArrowType::Int64).map_err(|e| {
                Error::corrupt("a data file's column of row tracking values holds no integers")
                    .with_object(name)
                    .with_source(e)
            })?),
            None => None,
        };
        let own = own.as_ref().map(|own| own.as_primitive::<Int64Type>());
        let value = |(row, position): (usize, u64)| {
            if let Some(own) = own.filter(|own| own.is_valid(row)) {
                return Ok(own.value(row));
            }
            let offset = match self.wanted {
                Wanted::RowId | Wanted::Place(_) => i64::try_from(position).ok(),
                Wanted::RowCommitVersion | Wanted::FilePlace(_) => Some(0),
            };
            let value = self.base.zip(offset).and_then(|(base, offset)| base.checked_add(offset));
            value.ok_or_else(|| {
                Error::corrupt(format!(
                    "a row of a data file has no {}, though the table tracks rows",
                    self.wanted.name()
                ))
                .with_object(name)
            })
        };
        let positions = positions.iter().cloned().flatten().enumerate();
        Ok(Arc::new(positions.map(value).collect::<Result<Int64Array>>()?))
    }
}
