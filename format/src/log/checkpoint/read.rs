//! What a checkpoint says beside its files, and where it lists these.

use std::ops::Range;
use std::sync::Arc;

use ::parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::BooleanBuffer;
use serde::Deserialize;

use crate::action::columnar::decode_small;
use crate::action::partition_value::decode_path;
use crate::action::{Action, Sidecar};
use crate::error::{Error, Result};
use crate::log::chunks::stream_lines;
use crate::log::lines::{is_of_file, parse_line};
use crate::log::path::SIDECARS;
use crate::store::parquet::{ParquetFile, ReadColumns};
use crate::store::{ObjectInfo, TableRoot};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;
/// Columns of a checkpoint that do not speak of files.
const SMALL: [&str; 6] = ["protocol", "metaData", "txn", "domainMetadata", "sidecar", "checkpointMetadata"];

/// A field of each of them that no row of it lacks.
const NEEDED: [[&str; 2]; 6] = [
    ["protocol", "minReaderVersion"],
    ["metaData", "id"],
    ["txn", "appId"],
    ["domainMetadata", "domain"],
    ["sidecar", "path"],
    ["checkpointMetadata", "version"],
];
/// A row group of fewer rows is decoded as it is.
const WHOLE_ROWS: u64 = 2 * BATCH_ROWS as u64;
/// Rows decoded at a time where most are null.
const NULL_ROWS: usize = 32 * 1024;

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
    /// A Parquet file with columns `add` and `remove`, and that file opened, where it was for its head.
    Parquet(ObjectInfo, Option<Box<ParquetFile>>),
    /// A JSON file with such actions among its lines.
    Json(ObjectInfo),
}

impl FileSource {
    /// The file.
    pub fn object(&self) -> &ObjectInfo {
        match self {
            Self::Parquet(object, _) | Self::Json(object) => object,
        }
    }
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
            let file = read_parquet_head(root, part, &mut head.actions, &mut sidecars).await.map_err(named)?;
            head.sources.push(FileSource::Parquet(part.clone(), Some(Box::new(file))));
        }
        for sidecar in &sidecars {
            head.sources.push(FileSource::Parquet(sidecar_object(root, sidecar).map_err(named)?, None));
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
) -> Result<ParquetFile> {
    let file = ParquetFile::open(root, &part.path, Some(part.size_bytes)).await?;
    let leaves = leaves(file.metadata(), |path| SMALL.contains(&path[0].as_str()));
    let rows = rows_with_values(&file, &leaves).await?;
    if rows.is_empty() {
        return Ok(file);
    }
    let mut reader = file.read_rows(ReadColumns::Leaves(leaves), &rows, BATCH_ROWS, None)?;
    let keep = Arc::new(Ok);
    while let Some(batches) = reader.next(&keep).await? {
        for batch in batches {
            decode_small(&batch, actions, sidecars)?;
        }
    }
    Ok(file)
}

/// The rows that hold one of the small actions, in their order.
async fn rows_with_values(file: &ParquetFile, small: &[usize]) -> Result<Vec<Range<u64>>> {
    let (mut rows, mut start) = (Vec::new(), 0_u64);
    for group in file.metadata().row_groups() {
        let whole = start..start.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        start = whole.end;
        if !any_value(group, small) {
            continue;
        }
        // A few of them among many files: the fields that each must have tell where.
        let named = |path: &[String]| NEEDED.iter().any(|[action, field]| path == [*action, *field]);
        let needed = leaves(file.metadata(), named);
        let others: Vec<usize> = small.iter().copied().filter(|leaf| !covered(file, *leaf, &needed)).collect();
        if whole.end - whole.start <= WHOLE_ROWS || any_value(group, &others) {
            add_rows(&mut rows, whole);
            continue;
        }
        let needed: Vec<usize> = needed.into_iter().filter(|&leaf| any_value(group, &[leaf])).collect();
        let mut reader = file.read_rows(ReadColumns::Leaves(needed), std::slice::from_ref(&whole), NULL_ROWS, None)?;
        let valid = Arc::new(|batch: RecordBatch| {
            let rows = batch.num_rows();
            let held =
                |column: &ArrayRef| column.nulls().map_or_else(|| BooleanBuffer::new_set(rows), |n| n.inner().clone());
            Ok(batch.columns().iter().fold(BooleanBuffer::new_unset(rows), |all, column| &all | &held(column)))
        });
        let mut at = whole.start;
        while let Some(found) = reader.next(&valid).await? {
            for held in found {
                held.set_slices().for_each(|(from, to)| add_rows(&mut rows, at + from as u64..at + to as u64));
                at += held.len() as u64;
            }
        }
    }
    Ok(rows)
}

/// Whether a leaf belongs to an action whose needed field the file has.
fn covered(file: &ParquetFile, leaf: usize, needed: &[usize]) -> bool {
    let schema = file.metadata().file_metadata().schema_descr();
    needed.iter().any(|&other| schema.get_column_root_idx(other) == schema.get_column_root_idx(leaf))
}

fn add_rows(rows: &mut Vec<Range<u64>>, more: Range<u64>) {
    match rows.last_mut() {
        Some(last) if last.end == more.start => last.end = more.end,
        _ if more.is_empty() => {}
        _ => rows.push(more),
    }
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
pub(super) fn any_value(group: &RowGroupMetaData, leaves: &[usize]) -> bool {
    leaves.iter().any(|&leaf| {
        let column = group.column(leaf);
        let nulls = column.statistics().and_then(|statistics| statistics.null_count_opt());
        let values = u64::try_from(column.num_values()).ok();
        nulls.is_none() || values.is_none() || nulls < values
    })
}

/// Positions of the leaf columns whose path is wanted.
pub(super) fn leaves(metadata: &ParquetMetaData, wanted: impl Fn(&[String]) -> bool) -> Vec<usize> {
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
