//! A checkpoint's rows: what does not speak of files at once, the files as a stream of columns.

use std::collections::HashSet;
use std::sync::Arc;

use ::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use crate::action::columnar::{FileBatch, FileKind, decode_small};
use crate::action::partition_value::decode_path;
use crate::action::{Action, Sidecar};
use crate::error::{Error, Result};
use crate::log::chunks::stream_lines;
use crate::log::commit::stream_parts;
use crate::log::lines::{FilesWanted, is_of_file, parse_line};
use crate::log::path::SIDECARS;
use crate::replay::TailFold;
use crate::store::parquet::{ParquetFile, ReadColumns};
use crate::store::{ObjectInfo, TableRoot};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;
/// Columns of a checkpoint that do not speak of files.
const SMALL: [&str; 6] = ["protocol", "metaData", "txn", "domainMetadata", "sidecar", "checkpointMetadata"];

/// What a checkpoint says beside its files, and where these are.
#[derive(Clone, Debug, Default)]
pub struct CheckpointHead {
    /// Protocol, description, progress marks and domains.
    pub actions: Vec<Action>,
    /// Where the files are listed.
    pub sources: Vec<FileSource>,
}

/// A part of a checkpoint that lists files.
#[derive(Clone, Debug)]
pub enum FileSource {
    /// A Parquet file with columns `add` and `remove`.
    Parquet(ObjectInfo),
    /// A JSON file with such actions among its lines.
    Json(ObjectInfo),
}

impl FileSource {
    /// The file.
    pub fn object(&self) -> &ObjectInfo {
        match self {
            Self::Parquet(object) | Self::Json(object) => object,
        }
    }
}

/// Which statistics are read with the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StatsWanted {
    /// None.
    None,
    /// All that there are.
    All,
    /// Those of these columns (physical names), and the row counts.
    Columns(Vec<Vec<String>>),
}

/// Reads the head of a checkpoint: of each file the footer and the few columns that do not speak of files.
///
/// # Errors
/// `Corrupt` when a part can't be read or the whole holds no protocol or description (LOG-6).
pub async fn read_head(root: &TableRoot, parts: &[ObjectInfo]) -> Result<CheckpointHead> {
    let mut head = CheckpointHead::default();
    for part in parts {
        let named = |e: Error| e.with_object(root.name_of(&part.path));
        let mut sidecars = Vec::new();
        if part.path.as_ref().ends_with(".json") {
            read_json_head(root, part, &mut head.actions, &mut sidecars).await?;
            head.sources.push(FileSource::Json(part.clone()));
        } else {
            read_parquet_head(root, part, &mut head.actions, &mut sidecars).await.map_err(named)?;
            head.sources.push(FileSource::Parquet(part.clone()));
        }
        for sidecar in &sidecars {
            head.sources.push(FileSource::Parquet(sidecar_object(root, sidecar).map_err(named)?));
        }
    }
    let has = |test: fn(&Action) -> bool| head.actions.iter().any(test);
    if !has(|a| matches!(a, Action::Protocol(_))) || !has(|a| matches!(a, Action::Metadata(_))) {
        let first = parts.first().map(|part| root.name_of(&part.path)).unwrap_or_default();
        let error = Error::corrupt("a checkpoint holds no protocol or no metaData action (LOG-6)");
        return Err(error.with_object(first));
    }
    Ok(head)
}

async fn read_parquet_head(
    root: &TableRoot,
    part: &ObjectInfo,
    actions: &mut Vec<Action>,
    sidecars: &mut Vec<Sidecar>,
) -> Result<()> {
    let file = ParquetFile::open(root, &part.path, Some(part.size_bytes)).await?;
    let leaves = leaves(file.metadata(), |path| SMALL.contains(&path[0].as_str()));
    let groups = file.metadata().row_groups().iter().enumerate();
    let groups: Vec<usize> = groups.filter(|(_, group)| any_value(group, &leaves)).map(|(at, _)| at).collect();
    if groups.is_empty() {
        return Ok(());
    }
    let mut reader = file.read(ReadColumns::Leaves(leaves), Some(groups), BATCH_ROWS, None)?;
    let keep = Arc::new(Ok);
    while let Some(batches) = reader.next(&keep).await? {
        for batch in batches {
            decode_small(&batch, actions, sidecars)?;
        }
    }
    Ok(())
}

async fn read_json_head(
    root: &TableRoot,
    part: &ObjectInfo,
    actions: &mut Vec<Action>,
    sidecars: &mut Vec<Sidecar>,
) -> Result<()> {
    #[derive(Deserialize)]
    struct Line {
        sidecar: Option<Sidecar>,
    }
    let damaged = |error: serde_json::Error| {
        Error::corrupt("a line of a checkpoint can't be parsed")
            .with_object(root.name_of(&part.path))
            .with_source(error)
    };
    stream_lines(root, &part.path, |line| {
        let line = line.trim_ascii();
        if line.is_empty() || is_of_file(line) {
            return Ok(());
        }
        actions.extend(parse_line(line).map_err(damaged)?);
        sidecars.extend(serde_json::from_slice::<Line>(line).map_err(damaged)?.sidecar);
        Ok(())
    })
    .await
}

/// Whether a row group may hold a value in one of the columns.
fn any_value(group: &RowGroupMetaData, leaves: &[usize]) -> bool {
    leaves.iter().any(|&leaf| {
        let column = group.column(leaf);
        let nulls = column.statistics().and_then(|statistics| statistics.null_count_opt());
        let values = u64::try_from(column.num_values()).ok();
        nulls.is_none() || values.is_none() || nulls < values
    })
}

/// Positions of the leaf columns whose path is wanted.
fn leaves(metadata: &ParquetMetaData, wanted: impl Fn(&[String]) -> bool) -> Vec<usize> {
    let descriptor = metadata.file_metadata().schema_descr();
    let all = 0..descriptor.num_columns();
    all.filter(|&leaf| wanted(descriptor.column(leaf).path().parts())).collect()
}

fn sidecar_object(root: &TableRoot, sidecar: &Sidecar) -> Result<ObjectInfo> {
    let name = decode_path(&sidecar.path)?;
    let path = match name.contains('/') {
        false => root.child(&format!("{SIDECARS}/{name}"))?,
        true => root.resolve(&sidecar.path)?,
    };
    let inside = root.relative(&path).and_then(|path| path.strip_prefix(SIDECARS).map(|rest| rest.starts_with('/')));
    if inside != Some(true) {
        return Err(Error::corrupt("a checkpoint names a sidecar outside the log").with_object(sidecar.path.clone()));
    }
    let size_bytes = u64::try_from(sidecar.size_in_bytes).unwrap_or(0);
    Ok(ObjectInfo { path, size_bytes, modified_ms: sidecar.modification_time })
}

/// The files of `kind` that a part of a checkpoint lists.
///
/// # Errors
/// Each item can fail, and the stream ends there: `Corrupt` for what can't be read, the store's own.
pub fn stream_files(
    root: &TableRoot,
    source: &FileSource,
    kind: FileKind,
    stats: &StatsWanted,
) -> BoxStream<'static, Result<FileBatch>> {
    let (root, source, stats) = (root.clone(), source.clone(), stats.clone());
    let opened = async move {
        match source {
            FileSource::Json(object) => {
                json_files(&root, &object, kind).await.map(|b| stream::iter(b.into_iter().map(Ok)).boxed())
            }
            FileSource::Parquet(object) => parquet_files(&root, &object, kind, &stats).await,
        }
    };
    stream::once(opened).flat_map(|opened| opened.unwrap_or_else(|e| stream::once(async { Err(e) }).boxed())).boxed()
}

async fn json_files(root: &TableRoot, object: &ObjectInfo, kind: FileKind) -> Result<Vec<FileBatch>> {
    let mut fold = TailFold::default();
    let mut parts = stream_parts(root, &object.path, 0, FilesWanted::WithStats);
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
    kind: FileKind,
    stats: &StatsWanted,
) -> Result<BoxStream<'static, Result<FileBatch>>> {
    let name = root.name_of(&object.path);
    let size_bytes = (object.size_bytes > 0).then_some(object.size_bytes);
    let file = ParquetFile::open(root, &object.path, size_bytes).await?;
    let wanted = file_leaves(file.metadata(), kind, stats);
    check_file_columns(file.metadata()).map_err(|error| error.with_object(name.clone()))?;
    // A group of rows without a path has no file of this kind.
    let path_leaf = leaves(file.metadata(), |path| path == [kind.name(), "path"]);
    let groups = file.metadata().row_groups().iter().enumerate();
    let groups: Vec<usize> = groups.filter(|(_, group)| any_value(group, &path_leaf)).map(|(at, _)| at).collect();
    if groups.is_empty() || path_leaf.is_empty() {
        return Ok(stream::empty().boxed());
    }
    let reader = file.read(ReadColumns::Leaves(wanted), Some(groups), BATCH_ROWS, None)?;
    let decode = Arc::new(move |batch| FileBatch::read(&batch, kind).map_err(|e: Error| e.with_object(name.clone())));
    let batches = stream::try_unfold((reader, decode), |(mut reader, decode)| async move {
        let next = reader.next(&decode).await?;
        Ok::<_, Error>(next.map(|batches| (batches, (reader, decode))))
    });
    let flat = batches.flat_map(|batches| match batches {
        Ok(batches) => stream::iter(batches.into_iter().flatten().map(Ok).collect::<Vec<_>>()),
        Err(error) => stream::iter(vec![Err(error)]),
    });
    Ok(flat.boxed())
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
fn file_leaves(metadata: &ParquetMetaData, kind: FileKind, stats: &StatsWanted) -> Vec<usize> {
    let of_kind = |path: &[String]| path.len() > 1 && path[0] == kind.name();
    let parsed = !leaves(metadata, |path| of_kind(path) && path[1] == "stats_parsed").is_empty();
    let text = !leaves(metadata, |path| of_kind(path) && path[1] == "stats").is_empty();
    let columns: HashSet<&[String]> = match stats {
        StatsWanted::Columns(columns) => columns.iter().map(Vec::as_slice).collect(),
        _ => HashSet::new(),
    };
    let wanted = |path: &[String]| match (path[1].as_str(), stats) {
        ("partitionValues_parsed", _) | ("stats" | "stats_parsed", StatsWanted::None) => false,
        // The text says all that the columns do.
        ("stats", StatsWanted::All) => true,
        ("stats_parsed", StatsWanted::All) => !text,
        ("stats", StatsWanted::Columns(_)) => !parsed,
        ("stats_parsed", StatsWanted::Columns(_)) => match path.get(2).map(String::as_str) {
            Some("numRecords" | "tightBounds") => true,
            _ => path.get(3..).is_some_and(|column| columns.contains(column)),
        },
        _ => true,
    };
    leaves(metadata, |path| of_kind(path) && wanted(path))
}
