//! The files of a table, column by column: a row is an `add` or a `remove`, and becomes a value only when asked for.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, MapArray, RecordBatch, StringArray, StructArray, new_null_array};
use arrow_schema::{DataType, Fields as ArrowFields};
use arrow_select::filter::filter;

use super::super::stats::num_records;
use super::super::{Add, DeletionVectorDescriptor, Remove};
use super::decode::{Fields, Flag, Int, Long, Pairs, Text, missing, wrong_type};
use super::digest::digest;
use super::encode::{internal, structure, text};
use super::fields::{add_fields, remove_fields};
use super::parsed::ParsedStats;
use super::rows::FileRows;
use super::stats_text::StatsShape;
use crate::action::line::FileLine;
use crate::error::{Error, Result};

/// Which action the rows of a [`FileBatch`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// `add`
    Add,
    /// `remove`
    Remove,
}

impl FileKind {
    /// Name of the action.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
        }
    }

    pub(super) fn fields(self) -> ArrowFields {
        match self {
            Self::Add => add_fields(),
            Self::Remove => remove_fields(),
        }
    }
}

/// Some files of a table. Every row has a path, and every `add` a size.
#[derive(Clone, Debug)]
pub struct FileBatch {
    kind: FileKind,
    /// In the form in which checkpoints are written.
    array: StructArray,
    columns: Columns,
    parsed: Option<ParsedStats>,
}

impl FileBatch {
    /// The rows of `kind` in a batch of a checkpoint; `None` when there are none.
    ///
    /// # Errors
    /// `Corrupt` for columns of unknown types, and for rows without a path or size.
    pub fn read(batch: &RecordBatch, kind: FileKind) -> Result<Option<Self>> {
        let Some(column) = batch.column_by_name(kind.name()) else { return Ok(None) };
        let wrong = || wrong_type(kind.name());
        let mut array = column.as_struct_opt().ok_or_else(wrong)?.clone();
        if array.null_count() == array.len() {
            return Ok(None);
        }
        if let Some(valid) = array.nulls().filter(|nulls| nulls.null_count() > 0) {
            array = filter_struct(&array, &BooleanArray::new(valid.inner().clone(), None))?;
        }
        let parsed = array.column_by_name("stats_parsed").filter(|_| kind == FileKind::Add);
        let parsed = parsed.and_then(|stats| stats.as_struct_opt()).map(|stats| ParsedStats::new(stats.clone()));
        Self::new(kind, canonical(&array, kind)?, parsed).map(Some)
    }

    /// These files.
    ///
    /// # Errors
    /// `Internal` when they can't be held as columns.
    pub fn of_adds(adds: &[&Add]) -> Result<Self> {
        let mut rows = FileRows::new(FileKind::Add);
        for add in adds {
            rows.push_add(add);
        }
        rows.finish()
    }

    /// These tombstones.
    ///
    /// # Errors
    /// `Internal` when they can't be held as columns.
    pub fn of_removes(removes: &[&Remove]) -> Result<Self> {
        let mut rows = FileRows::new(FileKind::Remove);
        removes.iter().for_each(|remove| rows.push(&FileLine::of_remove(remove), false));
        rows.finish()
    }

    /// Columns in the form in which checkpoints are written.
    pub(super) fn of_columns(kind: FileKind, array: StructArray) -> Result<Self> {
        Self::new(kind, array, None)
    }

    /// The files of all of `batches`, which have their statistics as text and are of one kind; `None` of no batch.
    ///
    /// # Errors
    /// `Internal` when they can't be put together.
    pub(crate) fn joined(batches: &[Self]) -> Result<Option<Self>> {
        let [first, ..] = batches else { return Ok(None) };
        let arrays: Vec<&dyn Array> = batches.iter().map(|batch| &batch.array as &dyn Array).collect();
        let whole = arrow_select::concat::concat(&arrays).map_err(internal)?;
        Self::new(first.kind, whole.as_struct().clone(), None).map(Some)
    }

    fn new(kind: FileKind, array: StructArray, parsed: Option<ParsedStats>) -> Result<Self> {
        let whole: ArrayRef = Arc::new(array.clone());
        let columns = Columns::new(&Fields::new(kind.name(), &whole)?)?;
        columns.check(kind, array.len())?;
        Ok(Self { kind, array, columns, parsed })
    }

    /// About how many bytes of text it holds.
    pub(crate) fn text_bytes(&self) -> usize {
        let columns = &self.columns;
        let of = |text: &Text| text.0.as_ref().map_or(0, |array| array.value_data().len());
        let of_pairs = |pairs: &Pairs| {
            pairs.0.as_ref().map_or(0, |(_, keys, values)| keys.value_data().len() + values.value_data().len())
        };
        let vectors = columns.vector.as_ref().map_or(0, |vector| of(&vector.path_or_inline));
        of(&columns.path) + of(&columns.stats) + of_pairs(&columns.partition_values) + of_pairs(&columns.tags) + vectors
    }

    /// How many files.
    pub fn len(&self) -> usize {
        self.array.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.array.is_empty()
    }

    /// The files for which `keep` says so.
    ///
    /// # Errors
    /// `Internal` when the columns can't be cut.
    pub fn filtered(self, keep: impl FnMut(usize) -> bool) -> Result<Self> {
        let mask: BooleanArray = (0..self.len()).map(keep).map(Some).collect();
        if mask.true_count() == self.len() {
            return Ok(self);
        }
        let parsed = match self.parsed {
            Some(parsed) => Some(ParsedStats::new(filter_struct(parsed.array(), &mask)?)),
            None => None,
        };
        Self::new(self.kind, filter_struct(&self.array, &mask)?, parsed)
    }

    /// Path as the log has it.
    pub fn path(&self, row: usize) -> &str {
        self.columns.path.at(row).unwrap_or_default()
    }

    /// Identity of the deletion vector.
    pub fn vector_id(&self, row: usize) -> Option<String> {
        self.columns.vector(row).map(|vector| vector.unique_id())
    }

    /// Rows of the file that are not deleted, where the statistics tell (DV-4).
    pub fn live_records(&self, row: usize) -> Option<u64> {
        let rows = self.num_records(row).and_then(|rows| u64::try_from(rows).ok());
        crate::action::live(rows, self.columns.vector(row).as_ref())
    }

    /// Bytes of the file, where known.
    pub fn size(&self, row: usize) -> Option<i64> {
        self.columns.size.get(row)
    }

    /// Text of the value of a partition column; null where the log does not name it.
    pub fn partition_text(&self, row: usize, name: &str) -> Option<&str> {
        let entries = || self.columns.partition_values.entries(row).into_iter().flatten();
        let exact = entries().find(|(key, _)| *key == name);
        let lower = || name.to_lowercase();
        exact.or_else(|| entries().find(|(key, _)| key.to_lowercase() == lower()))?.1
    }

    /// Rows of the file, deleted ones included, where the statistics tell.
    pub fn num_records(&self, row: usize) -> Option<i64> {
        match (self.stats_text(row), &self.parsed) {
            (Some(text), _) => num_records(text),
            (None, Some(parsed)) => parsed.num_records(row),
            (None, None) => None,
        }
    }

    /// When the file left the table, milliseconds since the epoch; of a `remove`.
    pub fn deletion_timestamp(&self, row: usize) -> Option<i64> {
        self.columns.deletion_timestamp.get(row)
    }

    /// Statistics as JSON, where the log has them so.
    pub fn stats_text(&self, row: usize) -> Option<&str> {
        self.columns.stats.at(row)
    }

    /// Statistics as columns, where a checkpoint has them so.
    pub fn parsed_stats(&self) -> Option<&ParsedStats> {
        self.parsed.as_ref()
    }

    /// Statistics as columns, at least those of `shape`; `None` when there are none.
    ///
    /// # Errors
    /// `Internal` when they can't be held as columns.
    pub fn stats_of(&self, shape: &StatsShape) -> Result<Option<ParsedStats>> {
        match (&self.columns.stats.0, &self.parsed) {
            (Some(texts), _) if texts.null_count() < texts.len() => shape.read(texts).map(Some),
            (_, parsed) => Ok(parsed.clone()),
        }
    }

    /// Statistics as JSON, from whichever form there is.
    pub fn stats_json(&self, row: usize) -> Option<Cow<'_, str>> {
        match self.stats_text(row) {
            Some(text) => Some(Cow::Borrowed(text)),
            None => self.parsed.as_ref()?.to_json(row).map(Cow::Owned),
        }
    }

    /// The `add` in `row`, `dataChange` false.
    pub fn add(&self, row: usize) -> Add {
        Add { stats: self.stats_json(row).map(Cow::into_owned), ..self.add_without_stats(row) }
    }

    /// The `add` in `row`, `dataChange` false, without its statistics.
    pub fn add_without_stats(&self, row: usize) -> Add {
        let columns = &self.columns;
        Add {
            path: self.path(row).to_owned(),
            partition_values: columns.partition_values.get(row).unwrap_or_default(),
            size: columns.size.get(row).unwrap_or_default(),
            modification_time: columns.modification_time.get(row).unwrap_or_default(),
            data_change: false,
            stats: None,
            tags: columns.tags.get(row),
            deletion_vector: columns.vector(row),
            base_row_id: columns.base_row_id.get(row),
            default_row_commit_version: columns.default_row_commit_version.get(row),
            clustering_provider: columns.clustering_provider.get(row),
        }
    }

    /// The `remove` in `row`, `dataChange` false, without statistics and tags.
    pub fn remove(&self, row: usize) -> Remove {
        let columns = &self.columns;
        Remove {
            path: self.path(row).to_owned(),
            deletion_timestamp: columns.deletion_timestamp.get(row),
            data_change: false,
            extended_file_metadata: columns.extended.get(row),
            partition_values: columns.partition_values.get(row),
            size: columns.size.get(row),
            stats: None,
            tags: None,
            deletion_vector: columns.vector(row),
            base_row_id: columns.base_row_id.get(row),
            default_row_commit_version: columns.default_row_commit_version.get(row),
        }
    }

    /// The column of a checkpoint that holds these files, statistics as JSON.
    ///
    /// # Errors
    /// `Internal` when the columns do not fit together.
    pub fn checkpoint_column(&self) -> Result<StructArray> {
        let from_parsed = self.parsed.is_some() && (0..self.len()).any(|row| self.stats_text(row).is_none());
        if !from_parsed {
            return Ok(self.array.clone());
        }
        let stats: Vec<Option<Cow<'_, str>>> = (0..self.len()).map(|row| self.stats_json(row)).collect();
        let (fields, mut columns, nulls) = self.array.clone().into_parts();
        if let Some(at) = fields.iter().position(|field| field.name() == "stats") {
            columns[at] = text(stats.iter().map(Option::as_deref));
        }
        structure(fields, columns, nulls)
    }

    /// With statistics as these columns, one row for each file, and as text where that is wanted.
    pub(super) fn with_stats(self, parsed: Option<ParsedStats>, text: bool) -> Result<Self> {
        let array = if text {
            self.checkpoint_column()?
        } else {
            let (fields, mut columns, nulls) = self.array.into_parts();
            if let Some(at) = fields.iter().position(|field| field.name() == "stats") {
                columns[at] = new_null_array(fields[at].data_type(), columns[at].len());
            }
            structure(fields, columns, nulls)?
        };
        Self::new(self.kind, array, parsed)
    }

    /// The files in the form in which checkpoints hold them, statistics as text where there are such.
    pub(crate) fn array(&self) -> &StructArray {
        &self.array
    }

    /// A number that equals another batch's if, and most likely only if, they hold the same files with the same
    /// statistics in the same form, in any order. Sums of it stand for several batches.
    pub fn digest(&self) -> u64 {
        let stats = self.parsed.as_ref().map(ParsedStats::array);
        digest(&std::iter::once(&self.array).chain(stats).collect::<Vec<_>>())
    }
}

fn filter_struct(array: &StructArray, mask: &BooleanArray) -> Result<StructArray> {
    let kept = filter(array, mask).map_err(internal)?;
    let (fields, columns, nulls) = kept.as_struct().clone().into_parts();
    // All that is left of a column of actions is valid; of statistics it need not be.
    structure(fields, columns, nulls)
}

/// The columns that checkpoints are written with, in their order and types; null where `array` lacks them.
fn canonical(array: &StructArray, kind: FileKind) -> Result<StructArray> {
    let mut columns = Vec::new();
    for field in &kind.fields() {
        let found = array.column_by_name(field.name());
        columns.push(match (found, field.data_type()) {
            (None, data_type) => new_null_array(data_type, array.len()),
            (Some(found), DataType::Map(..)) => canonical_map(found, field.name(), field.data_type())?,
            (Some(found), DataType::Struct(fields)) => canonical_struct(found, field.name(), fields)?,
            (Some(found), data_type) => {
                arrow_cast::cast(found, data_type).map_err(|e| wrong_type(field.name()).with_source(e))?
            }
        });
    }
    structure(kind.fields(), columns, None).map_err(|e| wrong_type(kind.name()).with_source(e))
}

fn canonical_struct(array: &ArrayRef, name: &str, fields: &ArrowFields) -> Result<ArrayRef> {
    let source = array.as_struct_opt().ok_or_else(|| wrong_type(name))?;
    let mut columns = Vec::new();
    for field in fields {
        columns.push(match source.column_by_name(field.name()) {
            None => new_null_array(field.data_type(), array.len()),
            Some(found) => arrow_cast::cast(found, field.data_type()).map_err(|e| wrong_type(name).with_source(e))?,
        });
    }
    Ok(Arc::new(structure(fields.clone(), columns, source.nulls().cloned())?))
}

/// A map of text to text under the names that we write.
fn canonical_map(array: &ArrayRef, name: &str, wanted: &DataType) -> Result<ArrayRef> {
    let wrong = || wrong_type(name);
    let map = array.as_map_opt().ok_or_else(wrong)?;
    let DataType::Map(entries, sorted) = wanted else { return Err(wrong()) };
    let DataType::Struct(fields) = entries.data_type() else { return Err(wrong()) };
    let text = |array: &ArrayRef| arrow_cast::cast(array, &DataType::Utf8).map_err(|e| wrong().with_source(e));
    let pairs = structure(fields.clone(), vec![text(map.keys())?, text(map.values())?], None)?;
    let canonical = MapArray::try_new(Arc::clone(entries), map.offsets().clone(), pairs, map.nulls().cloned(), *sorted);
    Ok(Arc::new(canonical.map_err(|e| wrong().with_source(e))?))
}

/// The columns of `add` and `remove`, each in its type.
#[derive(Clone, Debug)]
struct Columns {
    path: Text,
    partition_values: Pairs,
    size: Long,
    modification_time: Long,
    deletion_timestamp: Long,
    extended: Flag,
    stats: Text,
    tags: Pairs,
    base_row_id: Long,
    default_row_commit_version: Long,
    clustering_provider: Text,
    vector: Option<VectorColumns>,
}

impl Columns {
    fn new(fields: &Fields<'_>) -> Result<Self> {
        let vector = fields.nested("deletionVector")?.filter(|vector| vector.array.null_count() < vector.array.len());
        let vector = vector.map(|vector| VectorColumns::new(&vector)).transpose()?;
        Ok(Self {
            path: fields.text("path")?,
            partition_values: fields.pairs("partitionValues")?,
            size: fields.long("size")?,
            modification_time: fields.long("modificationTime")?,
            deletion_timestamp: fields.long("deletionTimestamp")?,
            extended: fields.flag("extendedFileMetadata")?,
            stats: fields.text("stats")?,
            tags: fields.pairs("tags")?,
            base_row_id: fields.long("baseRowId")?,
            default_row_commit_version: fields.long("defaultRowCommitVersion")?,
            clustering_provider: fields.text("clusteringProvider")?,
            vector,
        })
    }

    fn check(&self, kind: FileKind, rows: usize) -> Result<()> {
        if rows > 0 && self.path.0.as_ref().is_none_or(|paths| paths.null_count() > 0) {
            return Err(missing(&format!("{}.path", kind.name())));
        }
        if kind == FileKind::Add && rows > 0 && self.size.0.as_ref().is_none_or(|sizes| sizes.null_count() > 0) {
            return Err(missing("add.size"));
        }
        let Some(vector) = &self.vector else { return Ok(()) };
        (0..rows).try_for_each(|row| vector.check(row))
    }

    fn vector(&self, row: usize) -> Option<DeletionVectorDescriptor> {
        self.vector.as_ref()?.get(row)
    }
}

#[derive(Clone, Debug)]
struct VectorColumns {
    storage_type: Text,
    path_or_inline: Text,
    offset: Int,
    size_in_bytes: Int,
    cardinality: Long,
}

impl VectorColumns {
    fn new(fields: &Fields<'_>) -> Result<Self> {
        let storage_type = fields.text("storageType")?;
        // A null struct may hide values.
        let storage_type = match (storage_type.0, fields.array.nulls()) {
            (Some(types), Some(valid)) => {
                let shown = types.iter().zip(valid.iter()).map(|(value, valid)| value.filter(|_| valid));
                Text(Some(shown.collect::<StringArray>()))
            }
            (types, _) => Text(types),
        };
        Ok(Self {
            storage_type,
            path_or_inline: fields.text("pathOrInlineDv")?,
            offset: fields.int("offset")?,
            size_in_bytes: fields.int("sizeInBytes")?,
            cardinality: fields.long("cardinality")?,
        })
    }

    fn check(&self, row: usize) -> Result<()> {
        // Writers without deletion vectors may leave a struct of nulls.
        if self.storage_type.at(row).is_none() {
            return Ok(());
        }
        let lacks = |part: &str| Err::<(), Error>(missing(&format!("deletionVector.{part}")));
        if self.path_or_inline.at(row).is_none() {
            return lacks("pathOrInlineDv");
        }
        if self.size_in_bytes.get(row).is_none() {
            return lacks("sizeInBytes");
        }
        if self.cardinality.get(row).is_none() { lacks("cardinality") } else { Ok(()) }
    }

    fn get(&self, row: usize) -> Option<DeletionVectorDescriptor> {
        Some(DeletionVectorDescriptor {
            storage_type: self.storage_type.get(row)?,
            path_or_inline_dv: self.path_or_inline.get(row)?,
            offset: self.offset.get(row),
            size_in_bytes: self.size_in_bytes.get(row)?,
            cardinality: self.cardinality.get(row)?,
        })
    }
}
