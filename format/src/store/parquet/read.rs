//! One Parquet file, opened: its footer checked, its columns decoded row group by row group.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow_schema::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use futures::FutureExt;
use object_store::path::Path;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelector};
use parquet::arrow::{FieldLevels, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::basic::{CompressionCodec, Type as PhysicalType};
use parquet::errors::Result as ParquetResult;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::schema::types::SchemaDescriptor;

use super::batches::BatchReader;
use super::from_parquet;
use super::object::ObjectReader;
use super::row_group::{FetchedGroup, GroupPlan};
use crate::error::{Error, Result};
use crate::store::TableRoot;

/// What makes a column of a row group huge, before compression: its bytes, and those of a value on average.
const HUGE_COLUMN_BYTES: u64 = 64 << 20;
const HUGE_VALUE_BYTES: u64 = 64 << 10;

/// A Parquet file whose footer was read and makes sense.
#[derive(Clone)]
pub struct ParquetFile {
    reader: ObjectReader,
    metadata: ArrowReaderMetadata,
    name: String,
}

/// Which columns are decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadColumns {
    /// All of them.
    All,
    /// Top-level columns by position in the file. They come in the file's order.
    Roots(Vec<usize>),
    /// Leaf columns by position in the file: of a nested column only the wanted parts.
    Leaves(Vec<usize>),
}

impl std::fmt::Debug for ParquetFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("ParquetFile").field(&self.name).finish()
    }
}

impl ParquetFile {
    /// Opens a file, in one request where the footer is small. `size_bytes` is what the log says, and must be what the
    /// file has (SCN-7); the store is asked where it is `None`.
    ///
    /// # Errors
    /// `NotFound`, `Corrupt` also for another size, `Unsupported` for a codec that this build lacks; the file is named.
    pub async fn open(root: &TableRoot, path: &Path, size_bytes: Option<u64>) -> Result<Self> {
        let reader = match size_bytes {
            Some(size_bytes) => ObjectReader::open_sized(root, path, size_bytes).await?,
            None => ObjectReader::open(root, path).await?,
        };
        Self::parse(reader, root.name_of(path)).await
    }

    /// As [`ParquetFile::open`] with a size. The footer of a file that was read before is taken from memory, and then no
    /// request is made now: that the file is still the same shows with the first request for more of it, and
    /// [`ParquetFile::was_replaced`] tells.
    ///
    /// # Errors
    /// As [`ParquetFile::open`].
    pub(crate) async fn open_known(root: &TableRoot, path: &Path, size_bytes: u64) -> Result<Self> {
        if let Some((metadata, identity)) = root.footers().get(path, size_bytes) {
            let reader = ObjectReader::known(root, path, size_bytes, identity);
            return Ok(Self { reader, metadata, name: root.name_of(path) });
        }
        let file = Self::open(root, path, Some(size_bytes)).await?;
        file.keep_footer();
        Ok(file)
    }

    /// Whether a request found another file in the place of the one whose footer was read before. That footer is
    /// forgotten then: opened anew, the file is read as it is now.
    pub(crate) fn was_replaced(&self) -> bool {
        let replaced = self.reader.was_replaced();
        if replaced {
            self.reader.root().footers().forget(self.reader.path(), self.reader.size_bytes());
        }
        replaced
    }

    /// Keeps this form of the footer where another one is kept.
    pub(super) fn renew_footer(&self) {
        if self.reader.root().footers().get(self.reader.path(), self.reader.size_bytes()).is_some() {
            self.keep_footer();
        }
    }

    /// Keeps the footer for the next one who opens the file.
    fn keep_footer(&self) {
        if let Some(identity) = self.reader.identity() {
            let root = self.reader.root();
            root.footers().put(self.reader.path(), self.reader.size_bytes(), &self.metadata, identity);
        }
    }

    async fn parse(reader: ObjectReader, name: String) -> Result<Self> {
        let load = async {
            let footer = reader.footer().await?;
            let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(|e| from_parquet(e, &name))?;
            check_footer(&metadata, reader.size_bytes(), &name)?;
            arrow_metadata(Arc::new(metadata)).map_err(|e| from_parquet(e, &name))
        };
        let loaded = AssertUnwindSafe(load).catch_unwind().await;
        let metadata = loaded.unwrap_or_else(|_| Err(gave_up(&name)))?;
        Ok(Self { reader, metadata, name })
    }

    pub(super) fn reader(&self) -> &ObjectReader {
        &self.reader
    }

    /// The same file by another form of its footer.
    pub(super) fn with_metadata(&self, metadata: Arc<ParquetMetaData>) -> Option<Self> {
        let metadata = std::panic::catch_unwind(AssertUnwindSafe(|| arrow_metadata(metadata))).ok()?.ok()?;
        Some(Self { metadata, ..self.clone() })
    }

    /// The footer.
    pub fn metadata(&self) -> &Arc<ParquetMetaData> {
        self.metadata.metadata()
    }

    /// The file's columns as Arrow types, INT96 as microseconds without zone. Fields stand in the file's order.
    pub fn arrow_schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The file as users know it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts decoding: the given row groups (all when `None`), at most `limit` rows, in file order.
    ///
    /// # Errors
    /// `Corrupt` when the parts do not fit together.
    pub fn read(
        &self,
        columns: ReadColumns,
        row_groups: Option<Vec<usize>>,
        batch_rows: usize,
        limit: Option<usize>,
    ) -> Result<BatchReader> {
        let all = self.metadata().num_row_groups();
        let groups = row_groups.unwrap_or_else(|| (0..all).collect());
        if groups.iter().any(|group| *group >= all) {
            return Err(Error::internal("a row group that is not there").with_object(self.name()));
        }
        let groups = groups.into_iter().map(|group| GroupPlan { group, selectors: None });
        Ok(self.start(&columns, groups.collect(), batch_rows, limit))
    }

    /// Rows of the file, by its footer.
    pub fn num_rows(&self) -> u64 {
        let rows = |group: &RowGroupMetaData| u64::try_from(group.num_rows()).unwrap_or(0);
        self.metadata().row_groups().iter().map(rows).fold(0, u64::saturating_add)
    }

    /// As [`ParquetFile::read`], of the `rows` alone: ranges of positions in the whole file, ascending, not empty and
    /// with a gap between any two. Row groups without such rows are left out; of the others only wanted pages are
    /// fetched where the file has an index of them that was loaded.
    ///
    /// # Errors
    /// `Corrupt` when the parts do not fit together.
    pub fn read_rows(
        &self,
        columns: ReadColumns,
        rows: &[Range<u64>],
        batch_rows: usize,
        limit: Option<usize>,
    ) -> Result<BatchReader> {
        let Some(groups) = select(self.metadata().row_groups(), rows) else {
            return Err(Error::corrupt("the Parquet file has more rows than can be read").with_object(self.name()));
        };
        Ok(self.start(&columns, groups, batch_rows, limit))
    }

    fn start(
        &self,
        columns: &ReadColumns,
        groups: Vec<GroupPlan>,
        batch_rows: usize,
        limit: Option<usize>,
    ) -> BatchReader {
        let schema = self.metadata().file_metadata().schema_descr();
        let wanted = |leaf: &usize| match columns {
            ReadColumns::All => true,
            ReadColumns::Roots(roots) => roots.contains(&schema.get_column_root_idx(*leaf)),
            ReadColumns::Leaves(leaves) => leaves.contains(leaf),
        };
        let leaves = (0..schema.num_columns()).filter(wanted).collect();
        BatchReader::new(self.clone(), leaves, groups, batch_rows, limit)
    }

    /// The bytes of some leaves of row groups, all fetched together.
    pub(super) async fn fetch(&self, plans: Vec<GroupPlan>, leaves: &[usize]) -> Result<Vec<FetchedGroup>> {
        let fetch = async {
            let ranges: Vec<_> = plans.iter().map(|plan| plan.ranges(self.metadata(), leaves)).collect();
            let mut bytes =
                self.reader.fetch_all(ranges.iter().flatten().flatten().cloned().collect()).await?.into_iter();
            let group =
                |(plan, ranges)| FetchedGroup::new(Arc::clone(self.metadata()), plan, leaves, ranges, &mut bytes);
            Ok(plans.into_iter().zip(ranges).map(group).collect())
        };
        AssertUnwindSafe(fetch).catch_unwind().await.unwrap_or_else(|_| Err(gave_up(&self.name)))
    }

    /// The Arrow form of some leaves. Top-level columns of text or bytes that are in `views` are read as views.
    pub(super) fn levels(&self, leaves: &[usize], views: &[usize]) -> ParquetResult<FieldLevels> {
        let descriptor = self.metadata().file_metadata().schema_descr();
        let mask = ProjectionMask::leaves(descriptor, leaves.iter().copied());
        if views.is_empty() {
            return parquet_to_arrow_field_levels(descriptor, mask, Some(self.arrow_schema().fields()));
        }
        let of_views: Vec<usize> = views.iter().map(|leaf| descriptor.get_column_root_idx(*leaf)).collect();
        let field = |(root, field): (usize, &FieldRef)| {
            let data_type = match field.data_type() {
                DataType::Utf8 => DataType::Utf8View,
                DataType::Binary => DataType::BinaryView,
                _ => return Arc::clone(field),
            };
            if of_views.contains(&root) {
                Arc::new(Field::clone(field).with_data_type(data_type))
            } else {
                Arc::clone(field)
            }
        };
        let fields: Fields = self.arrow_schema().fields().iter().enumerate().map(field).collect();
        parquet_to_arrow_field_levels(descriptor, mask, Some(&fields))
    }

    /// Whether a row group has so large values in top-level columns `roots` that decoding it takes much memory, whatever
    /// the size of batches.
    pub(crate) fn has_huge_values(&self, roots: &[usize]) -> bool {
        let schema = self.metadata().file_metadata().schema_descr();
        let is_huge = |column: &ColumnChunkMetaData| {
            let bytes = u64::try_from(column.uncompressed_size()).unwrap_or(0);
            let values = u64::try_from(column.num_values()).unwrap_or(0);
            bytes > HUGE_COLUMN_BYTES && bytes / values.max(1) > HUGE_VALUE_BYTES
        };
        let columns = self.metadata().row_groups().iter().flat_map(|group| group.columns().iter().enumerate());
        columns
            .filter(|(leaf, _)| roots.contains(&schema.get_column_root_idx(*leaf)))
            .any(|(_, column)| is_huge(column))
    }
}

/// The row groups that hold some of `rows`, and which of their rows those are.
fn select(groups: &[RowGroupMetaData], rows: &[Range<u64>]) -> Option<Vec<GroupPlan>> {
    let mut kept = Vec::new();
    let (mut start, mut at) = (0_u64, 0);
    for (i, group) in groups.iter().enumerate() {
        let end = start.checked_add(u64::try_from(group.num_rows()).ok()?)?;
        let (mut next, mut selectors) = (start, Vec::new());
        while let Some(range) = rows.get(at).filter(|range| range.start < end) {
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                selectors.push(RowSelector::skip(usize::try_from(from - next).ok()?));
                selectors.push(RowSelector::select(usize::try_from(to - from).ok()?));
                next = to;
            }
            if range.end > end {
                break;
            }
            at += 1;
        }
        if next > start {
            selectors.push(RowSelector::skip(usize::try_from(end - next).ok()?));
            selectors.retain(|selector| selector.row_count > 0);
            let whole = selectors.iter().all(|selector| !selector.skip);
            kept.push(GroupPlan { group: i, selectors: (!whole).then_some(selectors) });
        }
        start = end;
    }
    Some(kept)
}

/// The decoder panicked: only damaged content makes it do so.
pub(super) fn gave_up(name: &str) -> Error {
    Error::corrupt("the Parquet file is damaged in a way that can't be decoded").with_object(name)
}

/// What the decoder takes for granted and a damaged footer breaks.
pub(super) fn check_footer(metadata: &ParquetMetaData, size_bytes: u64, name: &str) -> Result<()> {
    let columns = metadata.file_metadata().schema_descr().num_columns();
    for (i, group) in metadata.row_groups().iter().enumerate() {
        if group.num_rows() < 0 || group.num_columns() != columns {
            return Err(Error::corrupt(format!("row group {i} of the Parquet footer makes no sense")).with_object(name));
        }
        for column in group.columns() {
            if !lies_within(column, size_bytes) {
                let message =
                    format!("column {:?} of row group {i} lies outside the file", column.column_path().string());
                return Err(Error::corrupt(message).with_object(name));
            }
            check_codec(column, name)?;
        }
    }
    Ok(())
}

fn lies_within(column: &ColumnChunkMetaData, size_bytes: u64) -> bool {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let (Ok(start), Ok(length)) = (u64::try_from(start), u64::try_from(column.compressed_size())) else { return false };
    let starts = column.data_page_offset() >= 0 && column.num_values() >= 0;
    starts && start.checked_add(length).is_some_and(|end| end <= size_bytes)
}

fn check_codec(column: &ColumnChunkMetaData, name: &str) -> Result<()> {
    let missing = match column.compression_codec() {
        CompressionCodec::LZO => "lzo",
        CompressionCodec::BROTLI if !cfg!(feature = "brotli") => "brotli",
        _ => return Ok(()),
    };
    Err(Error::unsupported(format!("the Parquet file is compressed with {missing}, which this build can't read"))
        .with_object(name))
}

/// The Arrow form of the file. The writer's own Arrow schema is ignored, and INT96 is read as microseconds, since
/// nanoseconds overflow in the years that other engines use for infinity.
fn arrow_metadata(metadata: Arc<ParquetMetaData>) -> parquet::errors::Result<ArrowReaderMetadata> {
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let plain = ArrowReaderMetadata::try_new(Arc::clone(&metadata), options.clone())?;
    let descriptor = metadata.file_metadata().schema_descr();
    if descriptor.columns().iter().all(|column| column.physical_type() != PhysicalType::INT96) {
        return Ok(plain);
    }
    let mut leaf = 0;
    let fields = in_micros(plain.schema().fields(), descriptor, &mut leaf);
    let schema = Arc::new(Schema::new_with_metadata(fields, plain.schema().metadata().clone()));
    Ok(ArrowReaderMetadata::try_new(metadata, options.with_schema(schema)).unwrap_or(plain))
}

fn in_micros(fields: &Fields, descriptor: &SchemaDescriptor, leaf: &mut usize) -> Fields {
    fields.iter().map(|field| field_in_micros(field, descriptor, leaf)).collect()
}

fn field_in_micros(field: &FieldRef, descriptor: &SchemaDescriptor, leaf: &mut usize) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Struct(fields) => DataType::Struct(in_micros(fields, descriptor, leaf)),
        DataType::List(element) => DataType::List(field_in_micros(element, descriptor, leaf)),
        DataType::Map(entries, sorted) => DataType::Map(field_in_micros(entries, descriptor, leaf), *sorted),
        other => {
            let is_int96 =
                *leaf < descriptor.num_columns() && descriptor.column(*leaf).physical_type() == PhysicalType::INT96;
            *leaf += 1;
            if is_int96 { DataType::Timestamp(TimeUnit::Microsecond, None) } else { other.clone() }
        }
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}
