//! Writing a checkpoint: files as they stream by, verified before the hint points to it.

use std::collections::BTreeMap;

use ::parquet::basic::Compression;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;

use super::files::{FilesWanted, stream_files};
use super::hint::{Hint, write_hint};
use super::read::read_head;
use crate::action::columnar::{
    FileBatch, FileKind, checkpoint_metadata_column, checkpoint_schema, domain_column, metadata_column,
    protocol_column, rows, sidecar_column, sidecar_schema, txn_column, v2_checkpoint_schema,
};
use crate::action::partition_value::encode_path;
use crate::action::{CheckpointMetadata, DomainMetadata, Sidecar, Txn};
use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::log::path::{SIDECARS, checkpoint_name, uuid_checkpoint_name};
use crate::replay::{Header, HeaderFold};
use crate::store::parquet::{ParquetOptions, ParquetWriter};
use crate::store::{ObjectInfo, TableRoot};

/// Rows of progress marks or domains in a batch, which bounds the memory of building one.
const BATCH_ROWS: usize = 64 * 1024;
/// Rows of a row group: small enough that a reader in need of a few files can pass over the others.
const ROW_GROUP_ROWS: usize = 64 * 1024;
/// Files that one sidecar lists.
const SIDECAR_ROWS: u64 = 512 * 1024;

/// The live files of a version, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// How many.
    pub num_files: u64,
    /// Bytes of all of them.
    pub size_bytes: u64,
}

/// A checkpoint that was written, verified and pointed to.
#[derive(Clone, Debug)]
pub struct Written {
    /// What the hint says.
    pub hint: Hint,
    /// The checkpoint's main files.
    pub parts: Vec<ObjectInfo>,
    /// The version's live files.
    pub totals: Totals,
}

/// How a checkpoint is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// One file, as every reader knows it.
    Classic,
    /// A main file that names sidecars: the feature `v2Checkpoint`.
    Sidecars,
}

/// The files of a version, to be written as they come.
pub struct Files {
    /// Live files.
    pub adds: BoxStream<'static, Result<FileBatch>>,
    /// Tombstones, expired ones left out.
    pub removes: BoxStream<'static, Result<FileBatch>>,
    /// Whether they are so few that compressing them costs more than it saves.
    pub few: bool,
}

/// Writes the checkpoint of `version`, reads it back, compares, then moves the hint (CHK-1, CHK-2).
///
/// # Errors
/// The store's own; `Internal` when what was read back is not what was to be written. The table is unchanged.
pub async fn write_checkpoint(
    root: &TableRoot,
    clock: &dyn Clock,
    version: u64,
    header: &Header,
    layout: Layout,
    files: Files,
) -> Result<Written> {
    let mut tally = Tally::default();
    let (path, size_bytes) = match layout {
        Layout::Classic => write_classic(root, version, header, files, &mut tally).await?,
        Layout::Sidecars => write_sidecars(root, clock, version, header, files, &mut tally).await?,
    };
    let main = ObjectInfo { path, size_bytes, modified_ms: clock.now_ms() };
    verify(root, &main, header, &tally).await?;
    let hint = Hint {
        version,
        size: i64::try_from(tally.rows).unwrap_or(i64::MAX),
        parts: None,
        size_in_bytes: Some(size_bytes + tally.sidecar_bytes),
        num_of_add_files: Some(tally.adds),
    };
    write_hint(root, &hint).await?;
    let totals = Totals { num_files: tally.adds, size_bytes: tally.live_bytes };
    Ok(Written { hint, parts: vec![main], totals })
}

/// What went into a checkpoint.
#[derive(Debug, Default)]
struct Tally {
    rows: u64,
    adds: u64,
    removes: u64,
    live_bytes: u64,
    sidecar_bytes: u64,
    digest: u64,
}

impl Tally {
    fn count(&mut self, batch: &FileBatch, kind: FileKind) {
        let rows = batch.len() as u64;
        self.rows += rows;
        match kind {
            FileKind::Add => {
                self.adds += rows;
                let sizes = (0..batch.len()).filter_map(|row| u64::try_from(batch.size(row)?).ok());
                self.live_bytes = sizes.fold(self.live_bytes, u64::saturating_add);
            }
            FileKind::Remove => self.removes += rows,
        }
        self.digest = self.digest.wrapping_add(batch.digest());
    }
}

fn options(few: bool) -> ParquetOptions {
    let all = ParquetOptions { row_group_rows: ROW_GROUP_ROWS, ..ParquetOptions::default() };
    // A page of each of sixty columns sets a compressor up, and a reader sets one up again.
    if few { ParquetOptions { compression: Compression::UNCOMPRESSED, ..all } } else { all }
}

async fn write_classic(
    root: &TableRoot,
    version: u64,
    header: &Header,
    files: Files,
    tally: &mut Tally,
) -> Result<(Path, u64)> {
    let path = root.child(&checkpoint_name(version))?;
    let schema = checkpoint_schema();
    let mut file = ParquetWriter::new(root, path.clone(), schema.clone(), &options(files.few))?;
    let written = async {
        write_header(&mut file, &schema, header, tally).await?;
        for (kind, mut batches) in [(FileKind::Add, files.adds), (FileKind::Remove, files.removes)] {
            while let Some(batch) = batches.next().await.transpose()? {
                tally.count(&batch, kind);
                file.write(rows(&schema, kind.name(), batch.checkpoint_column()?)?).await?;
            }
        }
        Ok(())
    };
    match written.await {
        Ok(()) => Ok((path, file.finish().await?)),
        Err(error) => {
            file.abort().await;
            Err(error)
        }
    }
}

async fn write_header(
    file: &mut ParquetWriter,
    schema: &arrow_schema::SchemaRef,
    header: &Header,
    tally: &mut Tally,
) -> Result<()> {
    let txns: Vec<&Txn> = header.txns.values().collect();
    let domains: Vec<&DomainMetadata> = header.domains.values().collect();
    tally.rows += 2 + txns.len() as u64 + domains.len() as u64;
    file.write(rows(schema, "protocol", protocol_column(&header.protocol)?)?).await?;
    file.write(rows(schema, "metaData", metadata_column(&header.metadata)?)?).await?;
    for chunk in txns.chunks(BATCH_ROWS) {
        file.write(rows(schema, "txn", txn_column(chunk)?)?).await?;
    }
    for chunk in domains.chunks(BATCH_ROWS) {
        file.write(rows(schema, "domainMetadata", domain_column(chunk)?)?).await?;
    }
    // A row group of its own: whoever opens the table reads this much and no files.
    file.relieve().await
}

async fn write_sidecars(
    root: &TableRoot,
    clock: &dyn Clock,
    version: u64,
    header: &Header,
    files: Files,
    tally: &mut Tally,
) -> Result<(Path, u64)> {
    let mut sidecars = Vec::new();
    for (kind, mut batches) in [(FileKind::Add, files.adds), (FileKind::Remove, files.removes)] {
        let mut next = batches.next().await.transpose()?;
        while let Some(first) = next.take() {
            let name = format!("{version:020}.{}.parquet", clock.new_id());
            let path = root.child(&format!("{SIDECARS}/{name}"))?;
            let schema = sidecar_schema();
            let mut file = ParquetWriter::new(root, path, schema.clone(), &options(files.few))?;
            let (mut batch, mut in_file) = (Some(first), 0);
            while let Some(more) = batch.take() {
                tally.count(&more, kind);
                in_file += more.len() as u64;
                file.write(rows(&schema, kind.name(), more.checkpoint_column()?)?).await?;
                let following = batches.next().await.transpose()?;
                if in_file < SIDECAR_ROWS { batch = following } else { next = following }
            }
            let size_bytes = file.finish().await?;
            tally.sidecar_bytes += size_bytes;
            let size_in_bytes = i64::try_from(size_bytes).unwrap_or(i64::MAX);
            sidecars.push(Sidecar { path: encode_path(&name), size_in_bytes, modification_time: clock.now_ms() });
        }
    }
    let path = root.child(&uuid_checkpoint_name(version, clock.new_id()))?;
    let schema = v2_checkpoint_schema();
    let mut file = ParquetWriter::new(root, path.clone(), schema.clone(), &options(files.few))?;
    let own = CheckpointMetadata { version: i64::try_from(version).unwrap_or(i64::MAX), tags: BTreeMap::new() };
    file.write(rows(&schema, "checkpointMetadata", checkpoint_metadata_column(&own)?)?).await?;
    write_header(&mut file, &schema, header, tally).await?;
    tally.rows += 1 + sidecars.len() as u64;
    for chunk in sidecars.chunks(BATCH_ROWS) {
        file.write(rows(&schema, "sidecar", sidecar_column(chunk)?)?).await?;
    }
    Ok((path, file.finish().await?))
}

/// Reads the checkpoint as any reader would, and compares.
async fn verify(root: &TableRoot, main: &ObjectInfo, header: &Header, written: &Tally) -> Result<()> {
    let head = read_head(root, std::slice::from_ref(main)).await?;
    let mut fold = HeaderFold::default();
    head.actions.iter().for_each(|action| fold.checkpointed(action));
    let mut read = Tally::default();
    for source in &head.sources {
        for wanted in [FilesWanted::adds(), FilesWanted::removes()] {
            let mut batches = stream_files(root, source, &wanted);
            while let Some(batch) = batches.next().await.transpose()? {
                read.count(&batch, wanted.kind);
            }
        }
    }
    let same = fold.finish()? == *header
        && (read.adds, read.removes, read.digest) == (written.adds, written.removes, written.digest);
    if same {
        return Ok(());
    }
    Err(Error::internal("a checkpoint read back differs from the state it was written from; it is not used")
        .with_object(root.name_of(&main.path)))
}
