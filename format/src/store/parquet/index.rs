//! The index of a file's pages: loaded when it is worth it, and believed only where it makes sense.

use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use parquet::arrow::async_reader::MetadataFetch;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{
    ColumnChunkMetaData, PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};
use parquet::file::page_index::offset_index::PageLocation;

use super::read::ParquetFile;
use super::thrift::is_sane_struct;

/// A larger index is left alone.
const MOST_INDEX_BYTES: u64 = 16 << 20;

impl ParquetFile {
    /// This file with the index of its pages; `None` when it has none, when that is larger than `most_bytes` and not
    /// at hand, or when something in it makes no sense: it is an aid, and without it the answer is the same.
    pub(crate) async fn with_page_index(&self, most_bytes: u64) -> Option<Self> {
        let metadata = self.metadata();
        if metadata.offset_index().is_some() && metadata.column_index().is_some() {
            // Loaded when the file was read before.
            return Some(self.clone());
        }
        let range = index_range(metadata)?;
        let at_hand = self.reader().has(&range);
        if range.end > self.reader().size_bytes()
            || range.end - range.start > MOST_INDEX_BYTES
            || (!at_hand && range.end - range.start > most_bytes)
        {
            return None;
        }
        let bytes = self.reader().clone().bytes(range.clone()).await.ok()?;
        let indexed = AssertUnwindSafe(load(metadata, range.start, bytes)).catch_unwind().await.ok()??;
        makes_sense(&indexed).then_some(())?;
        let indexed = self.with_metadata(Arc::new(indexed))?;
        indexed.renew_footer();
        Some(indexed)
    }
}

fn span(offset: Option<i64>, length: Option<i32>) -> Option<Range<u64>> {
    let (start, length) = (u64::try_from(offset?).ok()?, u64::try_from(length?).ok()?);
    Some(start..start.checked_add(length)?)
}

fn column_index(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    span(column.column_index_offset(), column.column_index_length())
}

fn offset_index(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    span(column.offset_index_offset(), column.offset_index_length())
}

/// Where the whole index is; `None` unless every column says where its pages are and some what is in them.
fn index_range(metadata: &ParquetMetaData) -> Option<Range<u64>> {
    let columns = || metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    let offsets = columns().map(offset_index).collect::<Option<Vec<_>>>()?;
    let all = offsets.into_iter().chain(columns().filter_map(column_index));
    columns().any(|column| column_index(column).is_some()).then_some(())?;
    all.reduce(|a, b| a.start.min(b.start)..a.end.max(b.end))
}

async fn load(metadata: &Arc<ParquetMetaData>, start: u64, bytes: Bytes) -> Option<ParquetMetaData> {
    let whole = Held { start, bytes };
    let columns = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    for range in columns.flat_map(|column| [column_index(column), offset_index(column)]).flatten() {
        is_sane_struct(&whole.get(&range)?).then_some(())?;
    }
    let mut reader = ParquetMetaDataReader::new_with_metadata(ParquetMetaData::clone(metadata))
        .with_page_index_policy(PageIndexPolicy::Optional);
    reader.load_page_index(whole).await.ok()?;
    reader.finish().ok()
}

/// Bytes that were read already.
struct Held {
    start: u64,
    bytes: Bytes,
}

impl Held {
    fn get(&self, range: &Range<u64>) -> Option<Bytes> {
        let from = usize::try_from(range.start.checked_sub(self.start)?).ok()?;
        let to = usize::try_from(range.end.checked_sub(self.start)?).ok()?;
        (from <= to && to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
    }
}

impl MetadataFetch for Held {
    fn fetch(&mut self, range: Range<u64>) -> BoxFuture<'_, ParquetResult<Bytes>> {
        let found = self.get(&range).ok_or_else(|| ParquetError::General("no such bytes".to_owned()));
        std::future::ready(found).boxed()
    }
}

/// Whether the pages of every column lie in it one behind the other and begin with its first row: what is read by such
/// an index is read right as far as can be told.
fn makes_sense(metadata: &ParquetMetaData) -> bool {
    let (Some(offsets), Some(columns)) = (metadata.offset_index(), metadata.column_index()) else { return false };
    let groups = metadata.row_groups();
    offsets.len() == groups.len()
        && columns.len() == groups.len()
        && groups.iter().zip(offsets).zip(columns).all(|((group, offsets), columns)| {
            let pages_fit = |(column, index): (&ColumnChunkMetaData, &_)| {
                let index: &parquet::file::page_index::offset_index::OffsetIndexMetaData = index;
                lie_in_order(column, index.page_locations(), group.num_rows())
            };
            offsets.len() == group.num_columns()
                && columns.len() == group.num_columns()
                && group.columns().iter().zip(offsets).all(pages_fit)
        })
}

fn lie_in_order(column: &ColumnChunkMetaData, pages: &[PageLocation], rows: i64) -> bool {
    let (start, length) = column.byte_range();
    let (Ok(mut from), Ok(end)) = (i64::try_from(start), i64::try_from(start.saturating_add(length))) else {
        return false;
    };
    let mut next_row = 0;
    for (at, page) in pages.iter().enumerate() {
        let starts = page.first_row_index == 0 || at > 0;
        let ends = page.offset.checked_add(page.compressed_page_size.into());
        let in_place = page.offset >= from && page.compressed_page_size > 0 && ends.is_some_and(|ends| ends <= end);
        if !starts || !in_place || page.first_row_index < next_row || page.first_row_index >= rows {
            return false;
        }
        next_row = page.first_row_index + 1;
        from = ends.unwrap_or(end);
    }
    !pages.is_empty() || rows == 0
}
