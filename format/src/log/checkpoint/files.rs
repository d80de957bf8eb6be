//! The files that a checkpoint lists, as a stream of columns: piece by piece, the pieces side by side.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use ::parquet::file::metadata::ParquetMetaData;
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::groups::{EndLeaves, GroupFacts};
use super::read::{FileSource, any_value, leaves};
use crate::action::columnar::{FactColumns, Facts, FileBatch, FileKind, Sieve};
use crate::error::{Error, Result};
use crate::log::commit::stream_parts;
use crate::log::lines::FileLines;
use crate::replay::TailFold;
use crate::store::parquet::{ParquetFile, ReadColumns};
use crate::store::{ObjectInfo, TableRoot, cores};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;
/// Rows decoded at a time where a row is a few numbers.
const FACT_ROWS: usize = 16 * 1024;
/// Rows of a piece: a larger row group is read in several where an index tells its pages apart.
const PIECE_ROWS: u64 = 64 * 1024;
/// Decoded bytes of the pieces that are read at once.
const AT_ONCE_BYTES: u64 = 64 << 20;
/// Pieces that are read at once at most, and at least.
const AT_ONCE: Range<usize> = 2..32;
/// Where more than one in so many files is wanted, picking them costs more than reading all.
const SPARSE: usize = 8;

/// Which statistics are read with the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatsWanted {
    /// None.
    None,
    /// All that there are.
    All,
    /// All, in every form in which they are there.
    EachForm,
    /// Those of these columns (physical names), and the row counts.
    Columns(Vec<Vec<String>>),
}

/// What is asked of a checkpoint's files.
#[derive(Clone, Debug)]
pub struct FilesWanted {
    /// Which action.
    pub kind: FileKind,
    /// Which statistics come along.
    pub stats: StatsWanted,
    /// Whether also what reading a file does not need: its time, tags and who clustered it.
    pub details: bool,
    /// Files that need not come.
    pub sieve: Option<Arc<dyn Sieve>>,
}

impl FilesWanted {
    /// Everything about all live files.
    pub fn adds() -> Self {
        Self { kind: FileKind::Add, stats: StatsWanted::All, details: true, sieve: None }
    }

    /// All tombstones.
    pub fn removes() -> Self {
        Self { kind: FileKind::Remove, stats: StatsWanted::None, ..Self::adds() }
    }

    /// With these statistics alone.
    #[must_use]
    pub fn with_stats(self, stats: StatsWanted) -> Self {
        Self { stats, ..self }
    }
}

/// The files that a part of a checkpoint lists, in its order. What `wanted` leaves out can still come along, but is not
/// counted as left out then.
///
/// # Errors
/// Each item can fail, and the stream ends there: `Corrupt` for what can't be read, the store's own.
pub fn stream_files(
    root: &TableRoot,
    source: &FileSource,
    wanted: &FilesWanted,
) -> BoxStream<'static, Result<FileBatch>> {
    let (root, source, wanted) = (root.clone(), source.clone(), wanted.clone());
    let opened = async move {
        match source {
            FileSource::Json(object) => {
                json_files(&root, &object, wanted.kind).await.map(|b| stream::iter(b.into_iter().map(Ok)).boxed())
            }
            FileSource::Parquet(object, opened) => parquet_files(&root, &object, opened, wanted).await,
        }
    };
    stream::once(opened).try_flatten().boxed()
}

async fn json_files(root: &TableRoot, object: &ObjectInfo, kind: FileKind) -> Result<Vec<FileBatch>> {
    let mut fold = TailFold::new(root.home());
    let mut parts = stream_parts(root, &object.path, 0, FileLines::WithStats);
    while let Some(part) = parts.try_next().await? {
        fold.take(&part.changes)?;
    }
    let tail = fold.finish()?;
    Ok(match kind {
        FileKind::Add => tail.adds().to_vec(),
        FileKind::Remove => tail.removes().to_vec(),
    })
}

async fn parquet_files(
    root: &TableRoot,
    object: &ObjectInfo,
    opened: Option<Box<ParquetFile>>,
    wanted: FilesWanted,
) -> Result<BoxStream<'static, Result<FileBatch>>> {
    let size_bytes = (object.size_bytes > 0).then_some(object.size_bytes);
    let file = match opened {
        Some(file) => *file,
        None => ParquetFile::open(root, &object.path, size_bytes).await?,
    };
    check_file_columns(file.metadata()).map_err(|error| error.with_object(root.name_of(&object.path)))?;
    let path_leaf = leaves(file.metadata(), |path| path == [wanted.kind.name(), "path"]);
    let Some(&path_leaf) = path_leaf.first() else { return Ok(stream::empty().boxed()) };
    let columns = file_leaves(file.metadata(), &wanted);
    let (groups, bytes) = groups_wanted(&file, &wanted, path_leaf, &columns);
    let big = groups.iter().any(|group| group.rows.end - group.rows.start > 2 * PIECE_ROWS);
    let file = if big { file.with_page_index(bytes).await.unwrap_or(file) } else { file };
    let pieces = pieces(&file, groups);
    let most = pieces.iter().map(|piece| piece.bytes).max().unwrap_or(0).max(1);
    // What is at hand is not waited for: more pieces than processors would only fill memory.
    let side_by_side = if root.is_local() { (2 * cores()).clamp(AT_ONCE.start, AT_ONCE.end) } else { AT_ONCE.end };
    let at_once = usize::try_from(AT_ONCE_BYTES / most).unwrap_or(side_by_side).clamp(AT_ONCE.start, side_by_side);
    let facts = wanted.sieve.as_ref().and_then(|sieve| fact_leaves(file.metadata(), sieve.looks_at()));
    let reading = Arc::new(Reading { file, columns, facts, wanted });
    if most > AT_ONCE_BYTES {
        // One piece is more than is kept at once: they go through one by one.
        let streams = pieces.into_iter().map(move |piece| Arc::clone(&reading).stream(vec![piece.rows]));
        return Ok(stream::iter(streams).flatten().boxed());
    }
    let each = pieces.into_iter().map(move |piece| {
        let reading = Arc::clone(&reading);
        async move { reading.piece(piece).await }
    });
    let flat = stream::iter(each).buffered(at_once);
    Ok(flat.map_ok(|batches| stream::iter(batches.into_iter().map(Ok))).try_flatten().boxed())
}

/// A row group to be read.
struct Group {
    rows: Range<u64>,
    /// Decoded bytes of what is read of it.
    bytes: u64,
}

/// The row groups that may hold wanted files, and the compressed bytes of what is read of them.
fn groups_wanted(file: &ParquetFile, wanted: &FilesWanted, path_leaf: usize, columns: &[usize]) -> (Vec<Group>, u64) {
    let metadata = file.metadata();
    let sieve = wanted.sieve.as_ref().map(|sieve| (sieve, EndLeaves::find(file, path_leaf, sieve.looks_at())));
    let (mut groups, mut compressed, mut start) = (Vec::new(), 0_u64, 0_u64);
    for group in metadata.row_groups() {
        let rows = start..start.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        start = rows.end;
        // A group of rows without a path has no file of this kind.
        if !any_value(group, &[path_leaf]) {
            continue;
        }
        if let Some((sieve, ends)) = &sieve
            && let Some(GroupFacts { facts, files }) = ends.facts(file, group)
            && sieve.wanted(&facts).count_set_bits() == 0
        {
            sieve.left_out(files);
            continue;
        }
        let sum = |size: fn(&::parquet::file::metadata::ColumnChunkMetaData) -> i64| {
            let sizes = columns.iter().map(|&leaf| u64::try_from(size(group.column(leaf))).unwrap_or(0));
            sizes.fold(0_u64, u64::saturating_add)
        };
        compressed = compressed.saturating_add(sum(|column| column.compressed_size()));
        groups.push(Group { rows, bytes: sum(|column| column.uncompressed_size()) });
    }
    (groups, compressed)
}

/// The groups, larger ones in several pieces where the file's index tells where their pages are.
fn pieces(file: &ParquetFile, groups: Vec<Group>) -> Vec<Group> {
    let indexed = file.metadata().offset_index().is_some();
    let cut = |group: Group| {
        let rows = group.rows.end - group.rows.start;
        let count = if indexed { (rows / PIECE_ROWS).max(1) } else { 1 };
        (0..count).map(move |at| {
            let bound = |at: u64| group.rows.start + rows * at / count;
            Group { rows: bound(at)..bound(at + 1), bytes: group.bytes / count }
        })
    };
    groups.into_iter().flat_map(cut).collect()
}

/// How the pieces of one file are read.
struct Reading {
    file: ParquetFile,
    columns: Vec<usize>,
    /// The columns that the sieve looks at, where it can tell anything.
    facts: Option<Vec<usize>>,
    wanted: FilesWanted,
}

impl Reading {
    /// The wanted files of a piece.
    async fn piece(&self, piece: Group) -> Result<Vec<FileBatch>> {
        let rows = match (&self.facts, &self.wanted.sieve) {
            (Some(leaves), Some(sieve)) => self.sifted(leaves, sieve, piece.rows).await?,
            _ => vec![piece.rows],
        };
        if rows.is_empty() { Ok(Vec::new()) } else { self.batches(&rows)?.try_collect().await }
    }

    /// The rows of wanted files, told from the sieve's columns alone; all rows where most are wanted.
    async fn sifted(&self, leaves: &[usize], sieve: &Arc<dyn Sieve>, rows: Range<u64>) -> Result<Vec<Range<u64>>> {
        let count = usize::try_from(rows.end - rows.start).unwrap_or(0);
        let columns = ReadColumns::Leaves(leaves.to_vec());
        let mut reader = self.file.read_rows(columns, std::slice::from_ref(&rows), FACT_ROWS, None)?;
        let look = {
            let sieve = Arc::clone(sieve);
            Arc::new(move |batch| {
                let Some((facts, valid)) = Facts::read(&batch, sieve.looks_at()) else { return Ok(None) };
                let possible = sieve.wanted(&facts);
                Ok(Some(match valid {
                    Some(valid) => (&possible & valid.inner(), facts.len() - valid.null_count()),
                    None => (possible, facts.len()),
                }))
            })
        };
        let (mut wanted, mut files) = (BooleanBufferBuilder::new(count), 0);
        while let Some(batches) = reader.next(&look).await? {
            for looked in batches {
                let Some((possible, valid)) = looked else { return Ok(vec![rows]) };
                wanted.append_buffer(&possible);
                files += valid;
            }
        }
        let wanted: BooleanBuffer = wanted.finish();
        if wanted.len() != count || wanted.count_set_bits() > count / SPARSE {
            return Ok(vec![rows]);
        }
        sieve.left_out(files.saturating_sub(wanted.count_set_bits()) as u64);
        let start = rows.start;
        Ok(wanted.set_slices().map(|(from, to)| start + from as u64..start + to as u64).collect())
    }

    fn batches(&self, rows: &[Range<u64>]) -> Result<BoxStream<'static, Result<FileBatch>>> {
        let reader = self.file.read_rows(ReadColumns::Leaves(self.columns.clone()), rows, BATCH_ROWS, None)?;
        let (kind, name) = (self.wanted.kind, self.file.name().to_owned());
        let decode =
            Arc::new(move |batch| FileBatch::read(&batch, kind).map_err(|e: Error| e.with_object(name.clone())));
        let batches = stream::try_unfold((reader, decode), |(mut reader, decode)| async move {
            let next = reader.next(&decode).await?;
            Ok::<_, Error>(next.map(|batches| (batches, (reader, decode))))
        });
        Ok(batches.map_ok(|batches| stream::iter(batches.into_iter().flatten().map(Ok))).try_flatten().boxed())
    }

    fn stream(self: Arc<Self>, rows: Vec<Range<u64>>) -> BoxStream<'static, Result<FileBatch>> {
        self.batches(&rows).unwrap_or_else(|error| stream::once(async { Err(error) }).boxed())
    }
}

/// The columns that a sieve looks at; `None` where the file lacks what it would tell files by.
fn fact_leaves(metadata: &ParquetMetaData, looks_at: &FactColumns) -> Option<Vec<usize>> {
    let stats = &looks_at.stats;
    let bounds: HashSet<&[String]> = stats.columns().iter().map(|column| column.path.0.as_slice()).collect();
    let has = |field: &str| !leaves(metadata, |path| path.len() > 1 && path[0] == "add" && path[1] == field).is_empty();
    let by_text = !bounds.is_empty() && !has("stats_parsed");
    let wanted = |path: &[String]| match path {
        [add, field, rest @ ..] if add == "add" && field == "stats_parsed" => match rest {
            [section, column @ ..] if section == "minValues" || section == "maxValues" => bounds.contains(column),
            [section, column @ ..] if section == "nullCount" => stats.counts() && bounds.contains(column),
            [section] => stats.counts() && section == "numRecords",
            _ => false,
        },
        [add, field] if add == "add" && field == "stats" => by_text,
        [add, values, column] if add == "add" && values == "partitionValues_parsed" => {
            looks_at.partitions.contains(column)
        }
        _ => false,
    };
    let found = leaves(metadata, wanted);
    (!found.is_empty()).then_some(found)
}

/// A part that could not say which files there are is damaged: taken for one without files, it would make the table
/// smaller. Only the main file of a V2 checkpoint may leave the files to its sidecars.
fn check_file_columns(metadata: &ParquetMetaData) -> Result<()> {
    let has = |wanted: &dyn Fn(&[String]) -> bool| !leaves(metadata, wanted).is_empty();
    for kind in [FileKind::Add, FileKind::Remove] {
        if has(&|path| path[0] == kind.name()) && !has(&|path| path == [kind.name(), "path"]) {
            return Err(Error::corrupt(format!("the column {:?} of a checkpoint has no paths (LOG-5)", kind.name())));
        }
    }
    let lists = has(&|path| path[0] == FileKind::Add.name() || path[0] == FileKind::Remove.name());
    let is_main = has(&|path| path[0] == "sidecar" || path[0] == "checkpointMetadata");
    let is_sidecar = !is_main && !has(&|path| path[0] == "protocol" || path[0] == "metaData");
    let names_adds = has(&|path| path[0] == FileKind::Add.name());
    if is_main || names_adds || is_sidecar && lists {
        return Ok(());
    }
    Err(Error::corrupt("a checkpoint has no column of files (LOG-5)"))
}

/// The columns of `kind`, with the statistics that are wanted: as columns where the file has them so, else as text.
fn file_leaves(metadata: &ParquetMetaData, wanted: &FilesWanted) -> Vec<usize> {
    let FilesWanted { kind, stats, details, .. } = wanted;
    let of_kind = |path: &[String]| path.len() > 1 && path[0] == kind.name();
    let parsed = !leaves(metadata, |path| of_kind(path) && path[1] == "stats_parsed").is_empty();
    let text = !leaves(metadata, |path| of_kind(path) && path[1] == "stats").is_empty();
    let columns: HashSet<&[String]> = match stats {
        StatsWanted::Columns(columns) => columns.iter().map(Vec::as_slice).collect(),
        _ => HashSet::new(),
    };
    let wanted = |path: &[String]| match (path[1].as_str(), stats) {
        ("partitionValues_parsed", _) | ("stats" | "stats_parsed", StatsWanted::None) => false,
        ("modificationTime" | "dataChange" | "tags" | "clusteringProvider", _) => *details,
        // The text says all that the columns do.
        ("stats", StatsWanted::All) => true,
        ("stats_parsed", StatsWanted::All) => !text,
        ("stats" | "stats_parsed", StatsWanted::EachForm) => true,
        ("stats", StatsWanted::Columns(_)) => !parsed,
        ("stats_parsed", StatsWanted::Columns(_)) => match path.get(2).map(String::as_str) {
            Some("numRecords" | "tightBounds") => true,
            _ => path.get(3..).is_some_and(|column| columns.contains(column)),
        },
        _ => true,
    };
    leaves(metadata, |path| of_kind(path) && wanted(path))
}
