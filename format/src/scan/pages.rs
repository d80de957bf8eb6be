//! Which pages of a file's row groups can hold wanted rows, by the index that Parquet files keep of their pages.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::AssertUnwindSafe;

use arrow_array::ArrayRef;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::page_index::column_index::ColumnIndexMetaData;

use super::selection;
use super::stored_bounds::{Leaf, Place, StoredFile, bound};
use crate::expr::{BoundsSource, ColumnBounds, ColumnPath, Predicate, Verdict, judge};
use crate::store::parquet::ParquetFile;

/// An index that is not at hand is fetched when the columns to be read are at least this many times as large.
pub(super) const WORTH: u64 = 8;
/// Fewer rows are read in whole.
const LEAST_ROWS: u64 = 1 << 9;

/// Narrows `rows` to those of pages that can match. Gives the file with the index by which only those are fetched;
/// `None` when the index is missing, doubtful or of no use.
pub(super) async fn narrow(
    file: StoredFile<'_>,
    predicate: &Predicate,
    rows: &[Range<u64>],
) -> Option<(ParquetFile, Vec<Range<u64>>)> {
    let count = |rows: &[Range<u64>]| rows.iter().map(|range| range.end - range.start).sum::<u64>();
    let before = count(rows);
    let leaves = leaves(file, predicate);
    if before < LEAST_ROWS || leaves.is_empty() {
        return None;
    }
    let indexed = file.file.with_page_index(bytes_to_read(file, rows) / WORTH).await?;
    let with_index = StoredFile { file: &indexed, ..file };
    let judged = AssertUnwindSafe(|| wanted(with_index, predicate, &leaves, rows));
    let kept = selection::both(rows, &std::panic::catch_unwind(judged).ok()?);
    // Reading by page costs requests: a few rows less do not pay for it.
    (count(&kept) <= before - before / 16).then_some((indexed, kept))
}

/// The predicate's columns that have pages in the file, each once.
fn leaves<'a>(file: StoredFile<'a>, predicate: &Predicate) -> Vec<(ColumnPath, Leaf<'a>)> {
    let mut found: Vec<(ColumnPath, Leaf<'a>)> = Vec::new();
    for path in predicate.columns() {
        if !found.iter().any(|(other, _)| other == path)
            && let Some(Place::Leaf(leaf)) = file.place(path)
        {
            found.push((path.clone(), leaf));
        }
    }
    found
}

/// Compressed bytes of the columns to be read, in the row groups that have some of `rows`.
pub(super) fn bytes_to_read(file: StoredFile<'_>, rows: &[Range<u64>]) -> u64 {
    let schema = file.file.metadata().file_metadata().schema_descr();
    let bytes = |group: &RowGroupMetaData| {
        let columns = group.columns().iter().enumerate();
        let read = columns.filter(|(leaf, _)| file.layout.roots.contains(&schema.get_column_root_idx(*leaf)));
        read.map(|(_, column)| u64::try_from(column.compressed_size()).unwrap_or(0)).sum::<u64>()
    };
    groups(file.file, rows).map(|(at, _)| bytes(file.file.metadata().row_group(at))).sum()
}

/// The row groups that have some of `rows`, with their own rows.
fn groups<'a>(file: &'a ParquetFile, rows: &'a [Range<u64>]) -> impl Iterator<Item = (usize, Range<u64>)> + 'a {
    let mut start = 0_u64;
    let all = file.metadata().row_groups().iter().enumerate().map(move |(at, group)| {
        let begin = start;
        start = start.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        (at, begin..start)
    });
    all.filter(|(_, group)| rows.iter().any(|range| range.start < group.end && group.start < range.end))
}

fn wanted<'a>(
    file: StoredFile<'a>,
    predicate: &Predicate,
    leaves: &[(ColumnPath, Leaf<'a>)],
    rows: &[Range<u64>],
) -> Vec<Range<u64>> {
    let mut kept = Vec::new();
    for (at, group) in groups(file.file, rows) {
        let pages: HashMap<&ColumnPath, Pages> =
            leaves.iter().filter_map(|(path, leaf)| Some((path, Pages::new(file, *leaf, at)?))).collect();
        // Between two neighbouring cuts no column changes its page.
        let mut cuts: Vec<u64> = pages.values().flat_map(|pages| pages.starts.iter().copied()).collect();
        cuts.extend([0, group.end - group.start]);
        cuts.sort_unstable();
        cuts.dedup();
        for pair in cuts.windows(2) {
            let bounds = PageBounds { file, pages: &pages, row: pair[0] };
            if judge(predicate, &bounds) != Verdict::NoneTrue {
                selection::push(&mut kept, group.start + pair[0]..group.start + pair[1]);
            }
        }
    }
    kept
}

/// The pages of one column in one row group.
struct Pages {
    /// First row of each, in the row group.
    starts: Vec<u64>,
    /// Rows of each.
    rows: Vec<i64>,
    nulls: Option<Vec<i64>>,
    mins: Option<ArrayRef>,
    maxes: Option<ArrayRef>,
}

impl Pages {
    fn new<'a>(file: StoredFile<'a>, leaf: Leaf<'a>, group: usize) -> Option<Self> {
        let metadata = file.file.metadata();
        let (columns, offsets) = (metadata.column_index()?, metadata.offset_index()?);
        let index = columns.get(group)?.get(leaf.leaf)?;
        let locations = offsets.get(group)?.get(leaf.leaf)?.page_locations();
        if *index == ColumnIndexMetaData::NONE || index.num_pages() != locations.len() as u64 {
            return None;
        }
        let starts: Vec<u64> =
            locations.iter().map(|page| u64::try_from(page.first_row_index)).collect::<Result<_, _>>().ok()?;
        let end = metadata.row_group(group).num_rows();
        let ends = locations.iter().skip(1).map(|page| page.first_row_index).chain([end]);
        let rows: Vec<i64> = ends.zip(locations).map(|(end, page)| end - page.first_row_index).collect();
        let nulls = index.null_counts().filter(|nulls| nulls.len() == rows.len()).cloned();
        let converter = file.converter(leaf);
        let usable = |array: ArrayRef| file.adapted(leaf, &array).filter(|array| array.len() == locations.len());
        let mins = converter.as_ref().and_then(|all| all.data_page_mins(columns, offsets, [&group]).ok());
        let maxes = converter.as_ref().and_then(|all| all.data_page_maxes(columns, offsets, [&group]).ok());
        Some(Self { starts, rows, nulls, mins: mins.and_then(usable), maxes: maxes.and_then(usable) })
    }

    /// Bounds of the page that holds a row: no row of it lies beyond them.
    fn bounds(&self, row: u64) -> Option<ColumnBounds> {
        let page = self.starts.partition_point(|&start| start <= row).checked_sub(1)?;
        let num_records = *self.rows.get(page)?;
        let null_count =
            self.nulls.as_ref().and_then(|nulls| nulls.get(page)).copied().filter(|n| (0..=num_records).contains(n));
        Some(ColumnBounds {
            min: bound(self.mins.as_ref(), page),
            max: bound(self.maxes.as_ref(), page),
            null_count,
            num_records: Some(num_records),
        })
    }
}

struct PageBounds<'a> {
    file: StoredFile<'a>,
    pages: &'a HashMap<&'a ColumnPath, Pages>,
    row: u64,
}

impl BoundsSource for PageBounds<'_> {
    fn bounds(&self, path: &ColumnPath) -> Option<ColumnBounds> {
        match self.pages.get(path) {
            Some(pages) => pages.bounds(self.row),
            None => match self.file.place(path)? {
                Place::Constant(bounds) => Some(bounds),
                Place::Leaf(_) => None,
            },
        }
    }
}
