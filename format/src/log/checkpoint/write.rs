//! Writing a checkpoint: files as they stream by, verified before the hint points to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::parquet::basic::Compression;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;

use super::files::{FilesWanted, StatsWanted, stream_files};
use super::hint::{Hint, write_hint};
use super::read::read_head;
use crate::action::columnar::{
    AddLayout, FileBatch, FileKind, checkpoint_metadata_column, checkpoint_schema, domain_column, metadata_column,
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
/// Fewer files are arranged where they are.
const THREAD_ROWS: usize = 1024;
/// Batches of files that are arranged at once.
const AT_ONCE: usize = 4;
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
    /// How they stand in the checkpoint.
    pub add_layout: AddLayout,
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

/// Some files, counted.
struct Counted {
    files: u64,
    bytes: u64,
    digest: u64,
}

impl Counted {
    fn of(batch: &FileBatch) -> Self {
        let sizes = (0..batch.len()).filter_map(|row| u64::try_from(batch.size(row)?).ok());
        Self { files: batch.len() as u64, bytes: sizes.fold(0, u64::saturating_add), digest: batch.digest() }
    }
}

impl Tally {
    fn add(&mut self, counted: &Counted, kind: FileKind) {
        self.rows += counted.files;
        match kind {
            FileKind::Add => {
                self.adds += counted.files;
                self.live_bytes = self.live_bytes.saturating_add(counted.bytes);
            }
            FileKind::Remove => self.removes += counted.files,
        }
        self.digest = self.digest.wrapping_add(counted.digest);
    }
}

/// What `work` makes of each batch, in order; more than a few files on other threads, two batches at once.
fn on_threads<T: Send + 'static>(
    batches: BoxStream<'static, Result<FileBatch>>,
    work: impl Fn(FileBatch) -> Result<T> + Send + Sync + 'static,
) -> BoxStream<'static, Result<T>> {
    let work = Arc::new(work);
    let each = batches.map(move |batch| {
        let work = Arc::clone(&work);
        async move {
            let batch = batch?;
            if batch.len() < THREAD_ROWS {
                return work(batch);
            }
            let task = tokio::task::spawn_blocking(move || work(batch));
            task.await.map_err(|e| Error::internal("a checkpoint was cut short").with_source(e))?
        }
    });
    each.buffered(AT_ONCE).boxed()
}

/// The rows that hold these files, with what they count for.
fn arranged(
    batches: BoxStream<'static, Result<FileBatch>>,
    kind: FileKind,
    layout: &Arc<AddLayout>,
    schema: &SchemaRef,
) -> BoxStream<'static, Result<(RecordBatch, Counted)>> {
    let (layout, schema) = (Arc::clone(layout), Arc::clone(schema));
    on_threads(batches, move |batch| {
        let batch = if kind == FileKind::Add { layout.arrange(batch)? } else { batch };
        let counted = Counted::of(&batch);
        let column = if kind == FileKind::Add { layout.column(&batch)? } else { batch.array().clone() };
        Ok((rows(&schema, kind.name(), column)?, counted))
    })
}

/// How one file of a checkpoint is encoded.
fn options(add_layout: &AddLayout, few: bool) -> ParquetOptions {
    let all = ParquetOptions { row_group_rows: ROW_GROUP_ROWS, ..ParquetOptions::default() };
    if few {
        // A page of each of sixty columns sets a compressor up, and a reader sets one up again.
        return ParquetOptions { compression: Compression::UNCOMPRESSED, ..all };
    }
    // Planning decodes numbers by the million: as differences they are short, and quicker to read than compressed ones.
    let path = |parts: &[String]| ["add".to_owned(), "stats_parsed".to_owned()].iter().chain(parts).cloned().collect();
    let numbers = add_layout.number_columns().iter().map(|parts| path(parts)).collect();
    ParquetOptions { difference_columns: numbers, ..all }
}

async fn write_classic(
    root: &TableRoot,
    version: u64,
    header: &Header,
    files: Files,
    tally: &mut Tally,
) -> Result<(Path, u64)> {
    let path = root.child(&checkpoint_name(version))?;
    let schema = checkpoint_schema(files.add_layout.fields());
    let mut file = ParquetWriter::new(root, path.clone(), schema.clone(), &options(&files.add_layout, files.few))?;
    let written = async {
        write_header(&mut file, &schema, header, tally).await?;
        let layout = Arc::new(files.add_layout);
        for (kind, batches) in [(FileKind::Add, files.adds), (FileKind::Remove, files.removes)] {
            let mut pieces = arranged(batches, kind, &layout, &schema);
            while let Some((rows, counted)) = pieces.next().await.transpose()? {
                tally.add(&counted, kind);
                file.write(rows).await?;
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
    let layout = Arc::new(files.add_layout);
    let options = options(&layout, files.few);
    let schema = sidecar_schema(layout.fields());
    for (kind, batches) in [(FileKind::Add, files.adds), (FileKind::Remove, files.removes)] {
        let mut pieces = arranged(batches, kind, &layout, &schema);
        let mut next = pieces.next().await.transpose()?;
        while let Some(first) = next.take() {
            let name = format!("{version:020}.{}.parquet", clock.new_id());
            let path = root.child(&format!("{SIDECARS}/{name}"))?;
            let mut file = ParquetWriter::new(root, path, schema.clone(), &options)?;
            let (mut piece, mut in_file) = (Some(first), 0);
            while let Some((rows, counted)) = piece.take() {
                tally.add(&counted, kind);
                in_file += counted.files;
                file.write(rows).await?;
                let following = pieces.next().await.transpose()?;
                if in_file < SIDECAR_ROWS { piece = following } else { next = following }
            }
            let size_bytes = file.finish().await?;
            tally.sidecar_bytes += size_bytes;
            let size_in_bytes = i64::try_from(size_bytes).unwrap_or(i64::MAX);
            sidecars.push(Sidecar { path: encode_path(&name), size_in_bytes, modification_time: clock.now_ms() });
        }
    }
    let path = root.child(&uuid_checkpoint_name(version, clock.new_id()))?;
    let schema = v2_checkpoint_schema(layout.fields());
    let mut file = ParquetWriter::new(root, path.clone(), schema.clone(), &options)?;
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
        for wanted in [FilesWanted::adds().with_stats(StatsWanted::EachForm), FilesWanted::removes()] {
            let batches = stream_files(root, source, &wanted);
            let mut counted = on_threads(batches, |batch| Ok(Counted::of(&batch)));
            while let Some(counted) = counted.next().await.transpose()? {
                read.add(&counted, wanted.kind);
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
