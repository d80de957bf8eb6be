//! The files of a table, column by column: a row is an `add` or a `remove`, and becomes a value only when asked for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, MapArray, RecordBatch, StringArray, StructArray};
use arrow_buffer::BooleanBuffer;
use arrow_schema::{DataType, Fields as ArrowFields};
use arrow_select::filter::filter;

use super::super::stats::num_records;
use super::super::{Add, DeletionVectorDescriptor, Remove};
use super::decode::{missing, wrong_type};
use super::digest::digest;
use super::encode::{internal, structure, text};
use super::fields::{add_fields, remove_fields};
use super::parsed::ParsedStats;
use super::places::{Places, entries, long_at, text_at};
use super::rows::{FileRows, nulls};
use super::stats_text::StatsShape;
use super::vector;
use crate::action::line::FileLine;
use crate::error::Result;

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

    pub(super) fn fields(self) -> &'static ArrowFields {
        static OF_ADD: LazyLock<ArrowFields> = LazyLock::new(add_fields);
        static OF_REMOVE: LazyLock<ArrowFields> = LazyLock::new(remove_fields);
        match self {
            Self::Add => &OF_ADD,
            Self::Remove => &OF_REMOVE,
        }
    }
}

/// Some files of a table. Every row has a path, and every `add` a size.
#[derive(Clone, Debug)]
pub struct FileBatch {
    kind: FileKind,
    /// In the form in which checkpoints are written.
    array: StructArray,
    has_vectors: bool,
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
        let mut rows = FileRows::new(FileKind::Add).expecting(adds.len());
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
        let mut rows = FileRows::new(FileKind::Remove).expecting(removes.len());
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

    /// `array` has the columns of `kind` in their types.
    fn new(kind: FileKind, array: StructArray, parsed: Option<ParsedStats>) -> Result<Self> {
        let mut batch = Self { kind, array, has_vectors: true, parsed };
        batch.has_vectors = batch.vectors().is_some();
        let lacks = |column: Option<&dyn Array>| !batch.is_empty() && column.is_none_or(|array| array.null_count() > 0);
        if lacks(batch.texts(batch.places().path).map(|array| array as &dyn Array)) {
            return Err(missing(&format!("{}.path", kind.name())));
        }
        if kind == FileKind::Add && lacks(batch.longs(batch.places().size).map(|array| array as &dyn Array)) {
            return Err(missing("add.size"));
        }
        batch.vectors().map_or(Ok(()), vector::check)?;
        Ok(batch)
    }

    fn places(&self) -> &'static Places {
        Places::of(self.kind)
    }

    fn texts(&self, at: Option<usize>) -> Option<&StringArray> {
        self.array.column(at?).as_string_opt::<i32>()
    }

    fn longs(&self, at: Option<usize>) -> Option<&Int64Array> {
        self.array.column(at?).as_primitive_opt::<Int64Type>()
    }

    fn long(&self, at: Option<usize>, row: usize) -> Option<i64> {
        long_at(self.longs(at)?, row)
    }

    fn pairs(&self, at: Option<usize>, row: usize) -> Option<BTreeMap<String, Option<String>>> {
        let owned = |(key, value): (&str, Option<&str>)| (key.to_owned(), value.map(str::to_owned));
        Some(entries(self.array.column(at?).as_map_opt()?, row)?.map(owned).collect())
    }

    /// Deletion vectors, where any file has one.
    fn vectors(&self) -> Option<&StructArray> {
        let vectors = self.array.column(self.places().vector.filter(|_| self.has_vectors)?).as_struct_opt()?;
        (vectors.null_count() < vectors.len()).then_some(vectors)
    }

    fn vector(&self, row: usize) -> Option<DeletionVectorDescriptor> {
        vector::at(self.vectors()?, row)
    }

    /// About how many bytes of text it holds.
    pub(crate) fn text_bytes(&self) -> usize {
        let places = self.places();
        let of_text = |array: &ArrayRef| array.as_string_opt::<i32>().map_or(0, |texts| texts.value_data().len());
        let of_texts = [places.path, places.stats].map(|at| at.map_or(0, |at| of_text(self.array.column(at))));
        let of_pairs = |at: usize| {
            let map = self.array.column(at).as_map_opt();
            map.map_or(0, |map| of_text(map.keys()) + of_text(map.values()))
        };
        let of_maps = [places.partition_values, places.tags].map(|at| at.map_or(0, of_pairs));
        let vectors = self.vectors().map_or(0, |vectors| vectors.columns().iter().map(of_text).sum());
        of_texts[0] + of_texts[1] + of_maps[0] + of_maps[1] + vectors
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
        let mask = BooleanBuffer::collect_bool(self.len(), keep);
        self.picked(mask)
    }

    /// The files whose flag is set.
    ///
    /// # Errors
    /// `Internal` when the columns can't be cut.
    pub fn picked(self, mask: BooleanBuffer) -> Result<Self> {
        if mask.count_set_bits() == self.len() {
            return Ok(self);
        }
        let mask = BooleanArray::new(mask, None);
        let parsed = match self.parsed {
            Some(parsed) => Some(ParsedStats::new(filter_struct(parsed.array(), &mask)?)),
            None => None,
        };
        Self::new(self.kind, filter_struct(&self.array, &mask)?, parsed)
    }

    /// Path as the log has it.
    pub fn path(&self, row: usize) -> &str {
        self.texts(self.places().path).and_then(|paths| text_at(paths, row)).unwrap_or_default()
    }

    /// Identity of the deletion vector.
    pub fn vector_id(&self, row: usize) -> Option<String> {
        self.vector(row).map(|vector| vector.unique_id())
    }

    /// Rows of the file that are not deleted, where the statistics tell (DV-4).
    pub fn live_records(&self, row: usize) -> Option<u64> {
        let rows = self.num_records(row).and_then(|rows| u64::try_from(rows).ok());
        crate::action::live(rows, self.vector(row).as_ref())
    }

    /// Bytes of the file, where known.
    pub fn size(&self, row: usize) -> Option<i64> {
        self.long(self.places().size, row)
    }

    /// Bytes of each file, where known.
    pub fn sizes(&self) -> Option<&Int64Array> {
        self.longs(self.places().size)
    }

    /// Text of the value of a partition column; null where the log does not name it.
    pub fn partition_text(&self, row: usize, name: &str) -> Option<&str> {
        let map = self.array.column(self.places().partition_values?).as_map_opt()?;
        let entries = || entries(map, row).into_iter().flatten();
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
        self.long(self.places().deletion_timestamp, row)
    }

    /// Statistics as JSON, where the log has them so.
    pub fn stats_text(&self, row: usize) -> Option<&str> {
        text_at(self.texts(self.places().stats)?, row)
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
        match (self.texts(self.places().stats), &self.parsed) {
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
        let places = self.places();
        Add {
            path: self.path(row).to_owned(),
            partition_values: self.pairs(places.partition_values, row).unwrap_or_default(),
            size: self.size(row).unwrap_or_default(),
            modification_time: self.long(places.modification_time, row).unwrap_or_default(),
            data_change: false,
            stats: None,
            tags: self.pairs(places.tags, row),
            deletion_vector: self.vector(row),
            base_row_id: self.long(places.base_row_id, row),
            default_row_commit_version: self.long(places.default_row_commit_version, row),
            clustering_provider: self
                .texts(places.clustering_provider)
                .and_then(|texts| text_at(texts, row))
                .map(str::to_owned),
        }
    }

    /// The `remove` in `row`, `dataChange` false, without statistics and tags.
    pub fn remove(&self, row: usize) -> Remove {
        let places = self.places();
        let flags = places.extended.and_then(|at| self.array.column(at).as_boolean_opt());
        Remove {
            path: self.path(row).to_owned(),
            deletion_timestamp: self.deletion_timestamp(row),
            data_change: false,
            extended_file_metadata: flags.filter(|flags| flags.is_valid(row)).map(|flags| flags.value(row)),
            partition_values: self.pairs(places.partition_values, row),
            size: self.size(row),
            stats: None,
            tags: None,
            deletion_vector: self.vector(row),
            base_row_id: self.long(places.base_row_id, row),
            default_row_commit_version: self.long(places.default_row_commit_version, row),
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
        let array = if text { self.checkpoint_column()? } else { self.without_text()? };
        Self::new(self.kind, array, parsed)
    }

    fn without_text(&self) -> Result<StructArray> {
        let (fields, mut columns, valid) = self.array.clone().into_parts();
        if let Some(at) = self.places().stats {
            columns[at] = nulls(self.kind, at, self.len());
        }
        structure(fields, columns, valid)
    }

    /// The same files; of their statistics only how many rows each has.
    ///
    /// # Errors
    /// `Internal` when the columns do not fit together.
    pub fn counted(self) -> Result<Self> {
        let text = self.texts(self.places().stats).is_some_and(|texts| texts.null_count() < texts.len());
        if !text && self.parsed.is_none() {
            return Ok(self);
        }
        let counts: Int64Array = (0..self.len()).map(|row| self.num_records(row)).collect();
        let array = if text { self.without_text()? } else { self.array };
        Ok(Self { array, parsed: Some(ParsedStats::of_counts(counts)?), ..self })
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
    for (at, field) in kind.fields().iter().enumerate() {
        let found = match (array.column_by_name(field.name()), field.data_type()) {
            (None, _) => None,
            (Some(found), DataType::Map(..)) => Some(canonical_map(found, field.name(), field.data_type())?),
            (Some(found), DataType::Struct(fields)) => Some(canonical_struct(found, field.name(), fields)?),
            (Some(found), data_type) => {
                Some(arrow_cast::cast(found, data_type).map_err(|e| wrong_type(field.name()).with_source(e))?)
            }
        };
        // Nulls that the decoder made take as much memory as values.
        let found = found.filter(|column| column.null_count() < column.len());
        columns.push(found.unwrap_or_else(|| nulls(kind, at, array.len())));
    }
    structure(kind.fields().clone(), columns, None).map_err(|e| wrong_type(kind.name()).with_source(e))
}

fn canonical_struct(array: &ArrayRef, name: &str, fields: &ArrowFields) -> Result<ArrayRef> {
    let source = array.as_struct_opt().ok_or_else(|| wrong_type(name))?;
    let mut columns = Vec::new();
    for field in fields {
        columns.push(match source.column_by_name(field.name()) {
            None => arrow_array::new_null_array(field.data_type(), array.len()),
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
