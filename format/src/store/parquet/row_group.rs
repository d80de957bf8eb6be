//! The bytes of one row group's wanted columns, in memory, and how many of its rows fit a batch.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use parquet::arrow::FieldLevels;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, RowGroups, RowSelection, RowSelector};
use parquet::basic::Type as PhysicalType;
use parquet::column::page::{Page, PageIterator, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, RowGroupMetaData};
use parquet::file::page_index::offset_index::PageLocation;
use parquet::file::reader::{ChunkReader, Length};
use parquet::file::serialized_reader::SerializedPageReader;

/// Bytes of one decoded batch, about. Where values are large it has fewer rows.
pub(super) const BATCH_BYTES: u64 = 8 << 20;
/// A dictionary of more bytes is not copied for decoding.
const LARGE_DICTIONARY_BYTES: usize = 4 << 20;
/// Runs of rows that are shorter than this on average are picked after decoding, for which all pages must be there.
const SHORT_RUN: usize = 64;

/// One row group to be decoded.
#[derive(Clone, Debug)]
pub(super) struct GroupPlan {
    /// Its position in the file.
    pub(super) group: usize,
    /// Its rows that are wanted, all when `None`.
    pub(super) selectors: Option<Vec<RowSelector>>,
}

impl GroupPlan {
    /// Where the bytes of `leaves` are, leaf by leaf: whole columns, or single pages where the file has an index of them.
    pub(super) fn ranges(&self, metadata: &ParquetMetaData, leaves: &[usize]) -> Vec<Vec<Range<u64>>> {
        let group = metadata.row_group(self.group);
        let selection = self.selectors.as_ref().filter(|selectors| {
            let rows: usize = selectors.iter().map(|selector| selector.row_count).sum();
            rows / selectors.len().max(1) >= SHORT_RUN
        });
        let selection = selection.map(|selectors| RowSelection::from(selectors.clone()));
        let of_leaf = |&leaf: &usize| {
            let (start, length) = group.column(leaf).byte_range();
            let (Some(selection), Some(pages)) = (&selection, pages(metadata, self.group, leaf)) else {
                return std::iter::once(start..start.saturating_add(length)).collect();
            };
            let dictionary = pages.first().and_then(|page| u64::try_from(page.offset).ok());
            let dictionary = dictionary.filter(|first| *first > start).map(|first| start..first);
            dictionary.into_iter().chain(selection.scan_ranges(pages)).collect()
        };
        leaves.iter().map(of_leaf).collect()
    }
}

/// The index of a column's pages; `None` where it was not loaded.
fn pages(metadata: &ParquetMetaData, group: usize, leaf: usize) -> Option<&[PageLocation]> {
    let pages = metadata.offset_index()?.get(group)?.get(leaf)?.page_locations();
    (!pages.is_empty()).then_some(pages.as_slice())
}

/// The bytes of one row group's wanted columns.
pub(super) struct FetchedGroup {
    metadata: Arc<ParquetMetaData>,
    plan: GroupPlan,
    /// By leaf.
    chunks: Vec<Option<Arc<Chunk>>>,
    /// By leaf: columns whose first page was looked at, until they are decoded.
    begun: Mutex<Vec<Option<Begun>>>,
}

impl FetchedGroup {
    /// Takes from `bytes` those of `ranges`, leaf by leaf.
    pub(super) fn new(
        metadata: Arc<ParquetMetaData>,
        plan: GroupPlan,
        leaves: &[usize],
        ranges: Vec<Vec<Range<u64>>>,
        bytes: &mut impl Iterator<Item = Bytes>,
    ) -> Self {
        let mut chunks = vec![None; metadata.row_group(plan.group).num_columns()];
        for (&leaf, ranges) in leaves.iter().zip(ranges) {
            let parts = ranges.into_iter().map(|range| range.start).zip(bytes.by_ref()).collect::<Vec<_>>();
            chunks[leaf] =
                Some(Arc::new(Chunk { length: metadata.row_group(plan.group).column(leaf).byte_range().1, parts }));
        }
        let begun = Mutex::new(chunks.iter().map(|_| None).collect());
        Self { metadata, plan, chunks, begun }
    }

    /// Starts to decode `leaves`.
    pub(super) fn reader(&self, levels: &FieldLevels, batch_rows: usize) -> ParquetResult<ParquetRecordBatchReader> {
        let selection = self.plan.selectors.clone().map(RowSelection::from);
        ParquetRecordBatchReader::try_new_with_row_groups(levels, self, batch_rows, selection)
    }

    /// The row group.
    pub(super) fn row_group(&self) -> &RowGroupMetaData {
        self.metadata.row_group(self.plan.group)
    }

    /// Columns with a large dictionary, after [`FetchedGroup::bytes_per_row`] has looked for them.
    pub(super) fn large_dictionaries(&self) -> Vec<usize> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let is_large = |leaf: &usize| {
            let page = begun[*leaf].as_ref().and_then(|begun| begun.first.as_ref());
            page.is_some_and(|page| page.buffer().len() > LARGE_DICTIONARY_BYTES)
        };
        (0..begun.len()).filter(is_large).collect()
    }

    /// Its rows that are wanted.
    pub(super) fn selected_rows(&self) -> usize {
        match &self.plan.selectors {
            Some(selectors) => selectors.iter().filter(|one| !one.skip).map(|one| one.row_count).sum(),
            None => usize::try_from(self.row_group().num_rows()).unwrap_or(0),
        }
    }

    /// Bytes of a decoded row, about, and at most where values are repeated by a dictionary.
    pub(super) fn bytes_per_row(&self) -> u64 {
        let group = self.metadata.row_group(self.plan.group);
        let rows = u64::try_from(group.num_rows()).unwrap_or(0).max(1);
        let fetched = self.chunks.iter().enumerate().filter(|(_, chunk)| chunk.is_some());
        let per_row = fetched.map(|(leaf, _)| {
            let column = group.column(leaf);
            let values = u64::try_from(column.num_values()).unwrap_or(0);
            let bytes = values.saturating_mul(self.bytes_per_value(leaf, column)).max(uncompressed(column));
            bytes / rows
        });
        per_row.fold(1_u64, u64::saturating_add)
    }

    /// Bytes of a decoded value, at most where values are repeated by a dictionary, otherwise about.
    fn bytes_per_value(&self, leaf: usize, column: &ColumnChunkMetaData) -> u64 {
        match column.column_type() {
            PhysicalType::BOOLEAN => 1,
            PhysicalType::INT32 | PhysicalType::FLOAT => 4,
            PhysicalType::INT64 | PhysicalType::DOUBLE | PhysicalType::INT96 => 8,
            PhysicalType::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.column_descr().type_length()).unwrap_or(0),
            PhysicalType::BYTE_ARRAY => {
                let told = column.unencoded_byte_array_data_bytes().and_then(|bytes| u64::try_from(bytes).ok());
                let values = u64::try_from(column.num_values()).unwrap_or(0).max(1);
                let longest = self.longest_in_dictionary(leaf).unwrap_or(0);
                longest.max(told.unwrap_or(0) / values)
            }
        }
    }

    /// Length of the longest value in the dictionary of a column; `None` where that is too small to matter, and where
    /// there is none or it can't be read, which the decoder tells better. The page is not read again for decoding. What
    /// the footer says of dictionaries and sizes is not believed: one page may stand for any number of bytes.
    fn longest_in_dictionary(&self, leaf: usize) -> Option<u64> {
        let mut pages = self.pages(leaf).ok()?;
        if !pages.peek_next_page().ok()??.is_dict {
            return None;
        }
        let page = pages.get_next_page().ok()??;
        let Page::DictionaryPage { buf, .. } = &page else { return None };
        let rows = u64::try_from(self.row_group().num_rows()).unwrap_or(u64::MAX);
        let longest = if (buf.len() as u64).saturating_mul(rows) <= BATCH_BYTES { None } else { Some(longest_of(buf)) };
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        *begun.get_mut(leaf)? = Some(Begun { first: Some(page), rest: pages });
        longest
    }

    fn pages(&self, leaf: usize) -> ParquetResult<SerializedPageReader<Chunk>> {
        let missing = || ParquetError::General(format!("column {leaf} was not fetched"));
        let chunk = self.chunks.get(leaf).cloned().flatten().ok_or_else(missing)?;
        let pages = pages(&self.metadata, self.plan.group, leaf).map(<[_]>::to_vec);
        SerializedPageReader::new(chunk, self.metadata.row_group(self.plan.group).column(leaf), self.num_rows(), pages)
    }
}

fn uncompressed(column: &ColumnChunkMetaData) -> u64 {
    u64::try_from(column.uncompressed_size()).unwrap_or(0)
}

impl RowGroups for FetchedGroup {
    fn num_rows(&self) -> usize {
        usize::try_from(self.metadata.row_group(self.plan.group).num_rows()).unwrap_or(0)
    }

    fn column_chunks(&self, leaf: usize) -> ParquetResult<Box<dyn PageIterator>> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner).get_mut(leaf).and_then(Option::take);
        let pages: Box<dyn PageReader> = match begun {
            Some(begun) => Box::new(begun),
            None => Box::new(self.pages(leaf)?),
        };
        Ok(Box::new(OneColumn(Some(pages))))
    }

    fn row_groups(&self) -> Box<dyn Iterator<Item = &RowGroupMetaData> + '_> {
        Box::new(std::iter::once(self.metadata.row_group(self.plan.group)))
    }

    fn metadata(&self) -> &ParquetMetaData {
        &self.metadata
    }
}

/// Length of the longest of the values in a dictionary page: each behind its length.
fn longest_of(page: &[u8]) -> u64 {
    let (mut rest, mut longest) = (page, 0);
    while let Some((length, values)) = rest.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length);
        // The decoder refuses a value that is cut short.
        let Some(next) = values.get(length as usize..) else { break };
        (rest, longest) = (next, longest.max(length));
    }
    longest.into()
}

/// A column whose dictionary was read already.
struct Begun {
    first: Option<Page>,
    rest: SerializedPageReader<Chunk>,
}

impl Iterator for Begun {
    type Item = ParquetResult<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Begun {
    fn get_next_page(&mut self) -> ParquetResult<Option<Page>> {
        match self.first.take() {
            Some(page) => Ok(Some(page)),
            None => self.rest.get_next_page(),
        }
    }

    fn peek_next_page(&mut self) -> ParquetResult<Option<PageMetadata>> {
        match self.first {
            Some(_) => Ok(Some(PageMetadata { num_rows: None, num_levels: None, is_dict: true })),
            None => self.rest.peek_next_page(),
        }
    }

    fn skip_next_page(&mut self) -> ParquetResult<()> {
        match self.first.take() {
            Some(_) => Ok(()),
            None => self.rest.skip_next_page(),
        }
    }

    fn at_record_boundary(&mut self) -> ParquetResult<bool> {
        match self.first {
            Some(_) => Ok(false),
            None => self.rest.at_record_boundary(),
        }
    }
}

struct OneColumn(Option<Box<dyn PageReader>>);

impl Iterator for OneColumn {
    type Item = ParquetResult<Box<dyn PageReader>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl PageIterator for OneColumn {}

/// Parts of one column, each at its place in the file, ascending.
struct Chunk {
    /// Bytes of the whole column.
    length: u64,
    parts: Vec<(u64, Bytes)>,
}

impl Chunk {
    fn from(&self, start: u64) -> ParquetResult<Bytes> {
        let outside = || ParquetError::EOF(format!("the column points at byte {start}, outside of its pages"));
        let part = self.parts.partition_point(|(at, _)| *at <= start).checked_sub(1).ok_or_else(outside)?;
        let (at, bytes) = &self.parts[part];
        let skipped = usize::try_from(start - at).ok().filter(|skipped| *skipped <= bytes.len()).ok_or_else(outside)?;
        Ok(bytes.slice(skipped..))
    }
}

impl Length for Chunk {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunk {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF(format!("a page ends {} bytes behind its column", length - bytes.len())));
        }
        Ok(bytes.slice(..length))
    }
}
