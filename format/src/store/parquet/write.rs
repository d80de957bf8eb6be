//! One new Parquet file: columns encoded side by side, row groups sent as they fill.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{FieldRef, SchemaRef};
use bytes::Bytes;
use object_store::path::Path;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowLeafColumn, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, SchemaDescriptor};

use super::upload::Upload;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{TableRoot, Unsynced, cores};

/// Rows and bytes gathered before the columns are encoded together.
const GATHER_ROWS: usize = 64 << 10;
const GATHER_BYTES: usize = 8 << 20;
/// Fewer gathered bytes are encoded where they are: quicker than the way to another thread.
const PARALLEL_BYTES: usize = 256 << 10;

/// Values encoded between two looks at the size of a page.
const WRITE_BATCH_ROWS: usize = 1024;

/// How a file is laid out.
#[derive(Clone, Debug)]
pub struct ParquetOptions {
    /// Codec of the pages.
    pub compression: Compression,
    /// Rows after which a row group ends.
    pub row_group_rows: usize,
    /// Encoded bytes after which a row group ends.
    pub row_group_bytes: usize,
    /// Rows after which a page ends. A page can be skipped, a part of it can't.
    pub page_rows: usize,
    /// Paths of whole-number columns that are kept as differences, not compressed.
    pub difference_columns: Vec<Vec<String>>,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self {
            compression: Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()),
            row_group_rows: 1 << 20,
            row_group_bytes: 128 << 20,
            page_rows: 20_000,
            difference_columns: Vec::new(),
        }
    }
}

/// A Parquet file being written. Nothing has its name until [`ParquetWriter::finish`].
pub struct ParquetWriter {
    encoder: Encoder,
    upload: Upload,
    gathered: Vec<RecordBatch>,
    gathered_rows: usize,
    gathered_bytes: usize,
    options: ParquetOptions,
    name: String,
}

impl ParquetWriter {
    /// Starts a file of `schema`. Field ids come from the metadata key `PARQUET:field_id`.
    ///
    /// # Errors
    /// `Unsupported` for a type that Parquet has no place for.
    pub fn new(root: &TableRoot, path: Path, schema: SchemaRef, options: &ParquetOptions) -> Result<Self> {
        let name = root.name_of(&path);
        let encoder = Encoder::new(schema, options).map_err(|e| from_encoder(e, &name))?;
        Ok(Self {
            encoder,
            upload: Upload::new(root, path),
            gathered: Vec::new(),
            gathered_rows: 0,
            gathered_bytes: 0,
            options: options.clone(),
            name,
        })
    }

    /// Adds rows. The batch's columns are the schema's, in order; names and metadata are not compared.
    ///
    /// # Errors
    /// `Invalid` for a column of another type; the store's own. The file is lost then: call [`ParquetWriter::abort`].
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if batch.num_columns() != self.encoder.fields.len() {
            return Err(Error::invalid(format!(
                "a batch of {} columns for a file of {}",
                batch.num_columns(),
                self.encoder.fields.len()
            ))
            .with_object(self.name.clone()));
        }
        let mut start = 0;
        while start < batch.num_rows() {
            let most = self.options.row_group_rows.clamp(1, GATHER_ROWS);
            let rows = (batch.num_rows() - start).min(most.saturating_sub(self.gathered_rows).max(1));
            let piece = batch.slice(start, rows);
            start += rows;
            self.gathered_rows += rows;
            self.gathered_bytes += batch_bytes(&piece);
            self.gathered.push(piece);
            if self.gathered_rows >= most || self.gathered_bytes >= GATHER_BYTES {
                self.encode().await?;
            }
        }
        Ok(())
    }

    async fn encode(&mut self) -> Result<()> {
        self.encoder.start(&self.name)?;
        let batches = std::mem::take(&mut self.gathered);
        let bytes = std::mem::take(&mut self.gathered_bytes);
        self.gathered_rows = 0;
        if batches.is_empty() {
            return Ok(());
        }
        self.encoder.encode(batches, bytes, &self.name).await?;
        let full = self.encoder.rows >= self.options.row_group_rows
            || self.encoder.encoded_bytes() >= self.options.row_group_bytes;
        if full { self.close_row_group().await } else { Ok(()) }
    }

    async fn close_row_group(&mut self) -> Result<()> {
        self.encoder.close_row_group(&self.name).await?;
        let bytes = self.encoder.take_output();
        self.upload.push(bytes).await
    }

    /// Bytes held in memory, by estimate.
    pub fn buffered_bytes(&self) -> usize {
        self.gathered_bytes + self.encoder.memory_bytes() + self.upload.held_bytes()
    }

    /// Size that the file would have if it ended now, by estimate.
    pub fn size_estimate(&self) -> u64 {
        self.upload.total_bytes() + (self.encoder.encoded_bytes() + self.gathered_bytes / 4) as u64
    }

    /// Frees memory: ends the row group and waits for parts on their way.
    ///
    /// # Errors
    /// As [`ParquetWriter::write`].
    pub async fn relieve(&mut self) -> Result<()> {
        self.encode().await?;
        self.close_row_group().await?;
        self.upload.settle().await
    }

    /// Ends the file, makes it last, and returns its size in bytes.
    ///
    /// # Errors
    /// As [`ParquetWriter::write`]. Parts that were sent are dropped; after a lost answer the file may be there.
    pub async fn finish(self) -> Result<u64> {
        let (bytes, unsynced) = self.finish_unsynced().await?;
        unsynced.sync().await?;
        Ok(bytes)
    }

    /// As [`ParquetWriter::finish`], but it is left to the caller to make the file last.
    ///
    /// # Errors
    /// As [`ParquetWriter::finish`].
    pub async fn finish_unsynced(mut self) -> Result<(u64, Unsynced)> {
        let ended = async {
            self.encoder.start(&self.name)?;
            self.encode().await?;
            self.encoder.close_row_group(&self.name).await?;
            self.encoder.end_file().map_err(|e| from_encoder(e, &self.name))?;
            let bytes = self.encoder.take_output();
            self.upload.push(bytes).await
        };
        match ended.await {
            Ok(()) => self.upload.finish_unsynced().await,
            Err(error) => {
                self.upload.abort().await;
                Err(error)
            }
        }
    }

    /// Gives up; no file appears.
    pub async fn abort(self) {
        self.upload.abort().await;
    }
}

/// The codec side: an open writer for each leaf column while a row group is in progress.
struct Encoder {
    schema: SchemaRef,
    options: ParquetOptions,
    descriptor: SchemaDescriptor,
    /// The file, once it was begun.
    file: Option<(SerializedFileWriter<Vec<u8>>, ArrowRowGroupWriterFactory)>,
    fields: Vec<FieldRef>,
    /// How many leaf columns each field has.
    leaves: Vec<usize>,
    columns: Vec<ArrowColumnWriter>,
    rows: usize,
    row_groups: usize,
    /// True from the moment column writers are lent out until they are back: a cut or failed step can't go on.
    broken: bool,
}

/// A field's rows, to be taken apart.
struct FieldJob {
    field: FieldRef,
    arrays: Vec<ArrayRef>,
}

/// A leaf column with the values that it shall write.
struct LeafJob {
    writer: ArrowColumnWriter,
    values: Vec<ArrowLeafColumn>,
}

impl Encoder {
    fn new(schema: SchemaRef, options: &ParquetOptions) -> Result<Self, ParquetError> {
        let descriptor = ArrowSchemaConverter::new().convert(&schema)?;
        let fields: Vec<FieldRef> = schema.fields().iter().cloned().collect();
        let mut leaves = vec![0; fields.len()];
        for leaf in 0..descriptor.num_columns() {
            leaves[descriptor.get_column_root_idx(leaf)] += 1;
        }
        let (options, columns) = (options.clone(), Vec::new());
        Ok(Self {
            schema,
            options,
            descriptor,
            file: None,
            fields,
            leaves,
            columns,
            rows: 0,
            row_groups: 0,
            broken: false,
        })
    }

    /// Begins the file, unless it was.
    fn start(&mut self, name: &str) -> Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        let mut properties = WriterProperties::builder()
            .set_compression(self.options.compression)
            .set_data_page_row_count_limit(self.options.page_rows.max(1))
            .set_write_batch_size(self.options.page_rows.clamp(1, WRITE_BATCH_ROWS))
            .set_created_by(concat!("lake-format version ", env!("CARGO_PKG_VERSION")).to_owned());
        for path in &self.options.difference_columns {
            let column = ColumnPath::new(path.clone());
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column.clone(), Encoding::DELTA_BINARY_PACKED)
                .set_column_compression(column, Compression::UNCOMPRESSED);
        }
        let begin = || {
            let root = self.descriptor.root_schema_ptr();
            let file = SerializedFileWriter::new(Vec::new(), root, Arc::new(properties.build()))?;
            let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&self.schema));
            Ok((file, factory))
        };
        self.file = Some(begin().map_err(|e| from_encoder(e, name))?);
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::memory_size).sum()
    }

    fn encoded_bytes(&self) -> usize {
        self.columns.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum()
    }

    fn take_output(&mut self) -> Bytes {
        self.file.as_mut().map(|(file, _)| Bytes::from(std::mem::take(file.inner_mut()))).unwrap_or_default()
    }

    fn open_row_group(&mut self) -> Result<(), ParquetError> {
        if let Some((_, factory)) = self.file.as_ref().filter(|_| self.columns.is_empty() && !self.fields.is_empty()) {
            self.columns = factory.create_column_writers(self.row_groups)?;
        }
        Ok(())
    }

    async fn encode(&mut self, batches: Vec<RecordBatch>, bytes: usize, name: &str) -> Result<()> {
        self.lend(name)?;
        self.open_row_group().map_err(|e| from_encoder(e, name))?;
        let fields = self.fields.iter().enumerate().map(|(position, field)| {
            let arrays: Vec<ArrayRef> = batches.iter().map(|batch| Arc::clone(batch.column(position))).collect();
            (arrays.iter().map(array_bytes).sum(), FieldJob { field: Arc::clone(field), arrays })
        });
        let fields: Vec<(usize, FieldJob)> = fields.collect();
        let sizes: Vec<usize> = fields.iter().map(|(bytes, _)| *bytes).collect();
        let values = run_shared(fields, bytes, name, take_apart).await?;
        let mut writers = std::mem::take(&mut self.columns).into_iter();
        let mut jobs = Vec::with_capacity(writers.len());
        for ((values, &leaves), bytes) in values.into_iter().zip(&self.leaves).zip(sizes) {
            // One leaf of a nested column is taken for as heavy as another.
            let each = bytes / leaves.max(1);
            jobs.extend(
                writers.by_ref().take(leaves).zip(values).map(|(writer, values)| (each, LeafJob { writer, values })),
            );
        }
        self.columns = run_shared(jobs, bytes, name, write_leaf).await?;
        self.rows += batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        self.broken = false;
        Ok(())
    }

    async fn close_row_group(&mut self, name: &str) -> Result<()> {
        if self.rows == 0 && !self.broken {
            return Ok(());
        }
        self.lend(name)?;
        let writers = std::mem::take(&mut self.columns).into_iter();
        let jobs: Vec<(usize, ArrowColumnWriter)> =
            writers.map(|writer| (writer.get_estimated_total_bytes(), writer)).collect();
        let bytes = jobs.iter().map(|(bytes, _)| bytes).sum();
        let chunks = run_shared(jobs, bytes, name, ArrowColumnWriter::close).await?;
        self.append(chunks).map_err(|e| from_encoder(e, name))?;
        self.rows = 0;
        self.row_groups += 1;
        self.broken = false;
        Ok(())
    }

    fn append(&mut self, chunks: Vec<ArrowColumnChunk>) -> Result<(), ParquetError> {
        let Some((file, _)) = &mut self.file else { return Ok(()) };
        let mut group = file.next_row_group()?;
        for chunk in chunks {
            chunk.append_to_row_group(&mut group)?;
        }
        group.close().map(drop)
    }

    fn end_file(&mut self) -> Result<(), ParquetError> {
        self.file.as_mut().map_or(Ok(()), |(file, _)| file.finish().map(drop))
    }

    fn lend(&mut self, name: &str) -> Result<()> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(Error::internal("a file is written on after a failure").with_object(name));
        }
        Ok(())
    }
}

/// For each leaf column of a field its values, array by array.
fn take_apart(job: FieldJob) -> Result<Vec<Vec<ArrowLeafColumn>>, ParquetError> {
    let mut leaves: Vec<Vec<ArrowLeafColumn>> = Vec::new();
    for array in &job.arrays {
        let parts = compute_leaves(&job.field, array)?;
        leaves.resize_with(parts.len(), Vec::new);
        leaves.iter_mut().zip(parts).for_each(|(leaf, part)| leaf.push(part));
    }
    Ok(leaves)
}

fn write_leaf(mut job: LeafJob) -> Result<ArrowColumnWriter, ParquetError> {
    job.values.iter().try_for_each(|values| job.writer.write(values))?;
    Ok(job.writer)
}

/// Does every job, given with its weight, shared out over blocking threads; answers come in the jobs' order.
async fn run_shared<J: Send + 'static, T: Send + 'static>(
    jobs: Vec<(usize, J)>,
    bytes: usize,
    name: &str,
    work: fn(J) -> Result<T, ParquetError>,
) -> Result<Vec<T>> {
    let named = |result: Result<T, ParquetError>| result.map_err(|e| from_encoder(e, name));
    if bytes < PARALLEL_BYTES {
        return jobs.into_iter().map(|(_, job)| named(work(job))).collect();
    }
    let count = jobs.len();
    let threads = encoder_threads().min(count.max(1));
    let mut jobs: Vec<(usize, usize, J)> =
        jobs.into_iter().enumerate().map(|(position, (weight, job))| (position, weight, job)).collect();
    // The heaviest are dealt first, each to the lightest hand.
    jobs.sort_by_key(|(_, weight, _)| std::cmp::Reverse(*weight));
    let mut hands: Vec<(usize, Vec<(usize, J)>)> = (0..threads).map(|_| (0, Vec::new())).collect();
    for (position, weight, job) in jobs {
        if let Some(lightest) = hands.iter_mut().min_by_key(|(load, _)| *load) {
            lightest.0 += weight.max(1);
            lightest.1.push((position, job));
        }
    }
    let running: Vec<_> = hands
        .into_iter()
        .map(|(_, hand)| {
            tokio::task::spawn_blocking(move || {
                hand.into_iter().map(|(position, job)| (position, work(job))).collect::<Vec<_>>()
            })
        })
        .collect();
    let mut done = Vec::with_capacity(count);
    for task in running {
        let finished = task.await.map_err(|e| Error::internal("encoding was cut short").with_source(e))?;
        done.extend(finished);
    }
    done.sort_by_key(|(position, _)| *position);
    done.into_iter().map(|(_, result)| named(result)).collect()
}

fn encoder_threads() -> usize {
    cores().min(8)
}

fn batch_bytes(batch: &RecordBatch) -> usize {
    batch.columns().iter().map(array_bytes).sum()
}

/// Bytes of the slice, not of the buffers that it shares.
fn array_bytes(array: &ArrayRef) -> usize {
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

fn from_encoder(error: ParquetError, name: &str) -> Error {
    let kind = match &error {
        ParquetError::NYI(_) => ErrorKind::Unsupported,
        ParquetError::ArrowError(_) => ErrorKind::Invalid,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, "rows could not be encoded as Parquet").with_object(name).with_source(error)
}
