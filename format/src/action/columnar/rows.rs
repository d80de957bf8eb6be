//! Files as they come, one by one, gathered into columns.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow_array::builder::{BooleanBuilder, Int32Builder, Int64Builder, MapBuilder, MapFieldNames, StringBuilder};
use arrow_array::{Array, ArrayRef, BooleanArray, StringArray, StructArray, new_null_array};
use arrow_buffer::{BooleanBuffer, Buffer, NullBufferBuilder, OffsetBuffer};

use super::batch::{FileBatch, FileKind};
use super::encode::{internal, structure};
use super::fields::vector_fields;
use crate::action::Add;
use crate::action::line::{FileLine, Pair, VectorLine};
use crate::error::{Error, Result};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// A batch is closed at this size, whatever its rows: the offsets of a column are of 32 bits.
const BATCH_BYTES: usize = 16 << 20;

/// A line is hardly shorter.
const LINE_BYTES: usize = 128;
/// Rows that columns make room for at first, at least and at most.
const ROOM: Range<usize> = 4..1024;
/// Bytes of text that room is made for in each row.
const TEXT_BYTES: usize = 16;

/// Columns under construction.
#[derive(Debug)]
pub(crate) struct FileRows {
    kind: FileKind,
    rows: usize,
    bytes: usize,
    /// Bytes of lines to come.
    expected: usize,
    /// Rows that columns make room for at first.
    room: usize,
    path: StringBuilder,
    partition_values: Column<PairsColumn>,
    size: Column<Int64Builder>,
    modification_time: Column<Int64Builder>,
    deletion_timestamp: Column<Int64Builder>,
    extended: Column<BooleanBuilder>,
    tags: Column<PairsColumn>,
    vector: Column<VectorColumn>,
    base_row_id: Column<Int64Builder>,
    default_row_commit_version: Column<Int64Builder>,
    clustering_provider: Column<StringBuilder>,
    stats: Column<TextColumn>,
}

impl FileRows {
    pub(crate) fn new(kind: FileKind) -> Self {
        Self {
            kind,
            rows: 0,
            bytes: 0,
            expected: 0,
            room: ROOM.end,
            path: StringBuilder::with_capacity(0, 0),
            partition_values: Column::default(),
            size: Column::default(),
            modification_time: Column::default(),
            deletion_timestamp: Column::default(),
            extended: Column::default(),
            tags: Column::default(),
            vector: Column::default(),
            base_row_id: Column::default(),
            default_row_commit_version: Column::default(),
            clustering_provider: Column::default(),
            stats: Column::default(),
        }
    }

    /// Makes room for so many bytes of lines.
    pub(crate) fn sized(mut self, bytes: usize) -> Self {
        self.expected = bytes.min(BATCH_BYTES);
        self.room = (bytes / LINE_BYTES).clamp(ROOM.start, ROOM.end);
        self
    }

    /// Makes room for so many rows.
    pub(super) fn expecting(mut self, rows: usize) -> Self {
        self.room = rows.clamp(ROOM.start, ROOM.end);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Whether there is enough for a batch.
    pub(crate) fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    /// Where the next row's statistics are to be put, before the row.
    pub(crate) fn stats_text(&mut self) -> &mut Vec<u8> {
        let column = self.stats.get(self.rows, self.room);
        if column.values.capacity() == 0 {
            column.values.reserve_exact(self.expected);
        }
        &mut column.values
    }

    /// Adds a row; its statistics, if it has any, were put in place before.
    pub(crate) fn push(&mut self, line: &FileLine<'_>, has_stats: bool) {
        let at = (self.rows, self.room);
        self.bytes += line.path.len();
        if self.rows == 0 {
            self.path = StringBuilder::with_capacity(self.room, self.room * line.path.len());
        }
        self.path.append_value(line.path);
        self.partition_values.set(at, line.partition_values.as_deref().or(self.no_pairs()));
        self.size.set(at, line.size);
        self.modification_time.set(at, line.modification_time.or(self.no_time()));
        self.deletion_timestamp.set(at, line.deletion_timestamp);
        self.extended.set(at, line.extended);
        self.tags.set(at, line.tags.as_deref());
        self.vector.set(at, line.vector.as_ref());
        self.base_row_id.set(at, line.base_row_id);
        self.default_row_commit_version.set(at, line.default_row_commit_version);
        self.clustering_provider.set(at, line.clustering_provider);
        self.stats.set(at, has_stats.then_some(()));
        self.bytes += line.vector.as_ref().map_or(0, |vector| vector.path_or_inline.len());
        let texts = [&self.partition_values, &self.tags].map(|pairs| pairs.0.as_ref().map_or(0, |pairs| pairs.last));
        self.bytes += texts[0] + texts[1] + self.stats.0.as_ref().map_or(0, TextColumn::last);
        self.rows += 1;
    }

    /// Adds a row with all its statistics.
    pub(crate) fn push_add(&mut self, add: &Add) {
        if let Some(stats) = &add.stats {
            self.stats_text().extend_from_slice(stats.as_bytes());
        }
        self.push(&FileLine::of_add(add), add.stats.is_some());
    }

    /// An `add` always has partition values and a time.
    fn no_pairs(&self) -> Option<&'static [Pair<'static>]> {
        (self.kind == FileKind::Add).then_some(&[])
    }

    fn no_time(&self) -> Option<i64> {
        (self.kind == FileKind::Add).then_some(0)
    }

    /// The batch; what comes next begins another.
    ///
    /// # Errors
    /// `Internal` when they can't be held as columns.
    pub(crate) fn finish(&mut self) -> Result<FileBatch> {
        let next = Self { expected: self.expected, room: self.room, ..Self::new(self.kind) };
        let this = std::mem::replace(self, next);
        let (rows, fields) = (this.rows, this.kind.fields());
        let mut path = this.path;
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(fields.len());
        let mut made: Vec<(&str, Option<ArrayRef>)> = vec![
            ("path", Some(Arc::new(path.finish()))),
            ("partitionValues", this.partition_values.finish()?),
            ("size", this.size.finish()?),
            ("modificationTime", this.modification_time.finish()?),
            ("deletionTimestamp", this.deletion_timestamp.finish()?),
            ("dataChange", Some(Arc::new(BooleanArray::new(BooleanBuffer::new_unset(rows), None)))),
            ("extendedFileMetadata", this.extended.finish()?),
            ("tags", this.tags.finish()?),
            ("deletionVector", this.vector.finish()?),
            ("baseRowId", this.base_row_id.finish()?),
            ("defaultRowCommitVersion", this.default_row_commit_version.finish()?),
            ("clusteringProvider", this.clustering_provider.finish()?),
            ("stats", this.stats.finish()?),
        ];
        for (at, field) in fields.iter().enumerate() {
            let found = made.iter_mut().find(|(name, _)| name == field.name()).and_then(|(_, column)| column.take());
            columns.push(found.unwrap_or_else(|| nulls(this.kind, at, rows)));
        }
        FileBatch::of_columns(this.kind, structure(fields.clone(), columns, None)?)
    }
}

/// A column of nulls. Most tables have several: they share one.
pub(super) fn nulls(kind: FileKind, column: usize, rows: usize) -> ArrayRef {
    type Nulls = LazyLock<Vec<ArrayRef>>;
    fn all(kind: FileKind) -> Vec<ArrayRef> {
        kind.fields().iter().map(|field| new_null_array(field.data_type(), BATCH_ROWS)).collect()
    }
    static OF_ADDS: Nulls = LazyLock::new(|| all(FileKind::Add));
    static OF_REMOVES: Nulls = LazyLock::new(|| all(FileKind::Remove));
    let shared = if kind == FileKind::Add { &OF_ADDS[column] } else { &OF_REMOVES[column] };
    if rows <= BATCH_ROWS { shared.slice(0, rows) } else { new_null_array(shared.data_type(), rows) }
}

/// A column that is not built before it has a value.
#[derive(Debug)]
struct Column<C>(Option<C>);

impl<C> Default for Column<C> {
    fn default() -> Self {
        Self(None)
    }
}

impl<C: Build> Column<C> {
    fn get(&mut self, row: usize, room: usize) -> &mut C {
        self.0.get_or_insert_with(|| {
            let mut column = C::sized(room.max(row + 1));
            (0..row).for_each(|_| column.null());
            column
        })
    }

    fn set<'a>(&mut self, (row, room): (usize, usize), value: Option<C::Value<'a>>) {
        match value {
            Some(value) => self.get(row, room).value(value),
            None => {
                if let Some(column) = &mut self.0 {
                    column.null();
                }
            }
        }
    }

    fn finish(self) -> Result<Option<ArrayRef>> {
        self.0.map(C::array).transpose()
    }
}

trait Build: Sized {
    type Value<'a>;
    /// Room for so many rows.
    fn sized(rows: usize) -> Self;
    fn value(&mut self, value: Self::Value<'_>);
    fn null(&mut self);
    fn array(self) -> Result<ArrayRef>;
}

macro_rules! plain_column {
    ($builder:ty, $value:ty) => {
        impl Build for $builder {
            type Value<'a> = $value;

            fn sized(rows: usize) -> Self {
                <$builder>::with_capacity(rows)
            }

            fn value(&mut self, value: $value) {
                self.append_value(value);
            }

            fn null(&mut self) {
                self.append_null();
            }

            fn array(mut self) -> Result<ArrayRef> {
                Ok(Arc::new(<$builder>::finish(&mut self)))
            }
        }
    };
}

plain_column!(Int64Builder, i64);
plain_column!(Int32Builder, i32);
plain_column!(BooleanBuilder, bool);

impl Build for StringBuilder {
    type Value<'a> = &'a str;

    fn sized(rows: usize) -> Self {
        StringBuilder::with_capacity(rows, rows * TEXT_BYTES)
    }

    fn value(&mut self, value: &str) {
        self.append_value(value);
    }

    fn null(&mut self) {
        self.append_null();
    }

    fn array(mut self) -> Result<ArrayRef> {
        Ok(Arc::new(StringBuilder::finish(&mut self)))
    }
}

/// Text whose bytes are put in place before the row is closed.
#[derive(Debug)]
struct TextColumn {
    values: Vec<u8>,
    offsets: Vec<i32>,
    valid: NullBufferBuilder,
}

impl TextColumn {
    fn close(&mut self) {
        // A batch is closed long before: what does not fit is found out when it is finished.
        self.offsets.push(i32::try_from(self.values.len()).unwrap_or(i32::MAX));
    }

    /// Bytes of the last row.
    fn last(&self) -> usize {
        let of = |at: usize| self.offsets.get(at).copied().unwrap_or(0);
        usize::try_from(of(self.offsets.len() - 1) - of(self.offsets.len().saturating_sub(2))).unwrap_or(0)
    }
}

impl Build for TextColumn {
    type Value<'a> = ();

    fn sized(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { values: Vec::new(), offsets, valid: NullBufferBuilder::new(rows) }
    }

    fn value(&mut self, (): ()) {
        self.close();
        self.valid.append_non_null();
    }

    fn null(&mut self) {
        self.close();
        self.valid.append_null();
    }

    fn array(mut self) -> Result<ArrayRef> {
        self.values.shrink_to_fit();
        let offsets = OffsetBuffer::new(self.offsets.into());
        let text = StringArray::try_new(offsets, Buffer::from_vec(self.values), self.valid.finish());
        Ok(Arc::new(text.map_err(internal)?))
    }
}

/// Maps of text to text.
#[derive(Debug)]
struct PairsColumn {
    builder: MapBuilder<StringBuilder, StringBuilder>,
    /// Bytes of the last row.
    last: usize,
    failed: Option<Error>,
}

impl PairsColumn {
    fn close(&mut self, valid: bool) {
        if let Err(error) = self.builder.append(valid) {
            self.failed.get_or_insert_with(|| internal(error));
        }
    }
}

impl Build for PairsColumn {
    type Value<'a> = &'a [Pair<'a>];

    fn sized(rows: usize) -> Self {
        let names = MapFieldNames { entry: "key_value".into(), key: "key".into(), value: "value".into() };
        let (keys, values) = (StringBuilder::sized(rows), StringBuilder::sized(rows));
        Self { builder: MapBuilder::with_capacity(Some(names), keys, values, rows), last: 0, failed: None }
    }

    fn value(&mut self, pairs: &[Pair<'_>]) {
        self.last = 0;
        for (name, value) in pairs {
            self.builder.keys().append_value(name);
            self.builder.values().append_option(*value);
            self.last += name.len() + value.map_or(0, str::len);
        }
        self.close(true);
    }

    fn null(&mut self) {
        self.last = 0;
        self.close(false);
    }

    fn array(mut self) -> Result<ArrayRef> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(Arc::new(self.builder.finish())),
        }
    }
}

#[derive(Debug)]
struct VectorColumn {
    storage_type: StringBuilder,
    path_or_inline: StringBuilder,
    offset: Int32Builder,
    size_in_bytes: Int32Builder,
    cardinality: Int64Builder,
    valid: Vec<bool>,
}

impl Build for VectorColumn {
    type Value<'a> = &'a VectorLine<'a>;

    fn sized(rows: usize) -> Self {
        Self {
            storage_type: StringBuilder::with_capacity(rows, rows),
            path_or_inline: StringBuilder::with_capacity(rows, 2 * TEXT_BYTES * rows),
            offset: Int32Builder::with_capacity(rows),
            size_in_bytes: Int32Builder::with_capacity(rows),
            cardinality: Int64Builder::with_capacity(rows),
            valid: Vec::with_capacity(rows),
        }
    }

    fn value(&mut self, vector: &VectorLine<'_>) {
        self.storage_type.append_value(vector.storage_type);
        self.path_or_inline.append_value(vector.path_or_inline);
        self.offset.append_option(vector.offset);
        self.size_in_bytes.append_value(vector.size_in_bytes);
        self.cardinality.append_value(vector.cardinality);
        self.valid.push(true);
    }

    fn null(&mut self) {
        self.storage_type.append_null();
        self.path_or_inline.append_null();
        self.offset.append_null();
        self.size_in_bytes.append_null();
        self.cardinality.append_null();
        self.valid.push(false);
    }

    fn array(mut self) -> Result<ArrayRef> {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.storage_type.finish()),
            Arc::new(self.path_or_inline.finish()),
            Arc::new(self.offset.finish()),
            Arc::new(self.size_in_bytes.finish()),
            Arc::new(self.cardinality.finish()),
        ];
        let array: StructArray = structure(vector_fields(), columns, Some(self.valid.into()))?;
        Ok(Arc::new(array))
    }
}
