//! Batches into data files: one open file per partition, rolled at the target size, within a memory budget.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_select::take::take_record_batch;
use futures::{StreamExt, stream};

use super::conform::Conformer;
use super::enforce::Enforcer;
use super::layout::Layout;
use super::split::split;
use super::statistics::Collector;
use crate::action::Add;
use crate::action::partition_value::{encode_path, format, hive_directory};
use crate::clock::ClockRef;
use crate::error::{Error, Result};
use crate::expr::{EvaluatorRef, scalar_at};
use crate::protocol::{IndexedLeaf, Rules, TableProperties, indexed_leaves};
use crate::schema::StructType;
use crate::store::parquet::{ParquetOptions, ParquetWriter, compression};
use crate::store::{TableRoot, Unsynced};

/// Files open at once. Beyond, the one that was idle longest is closed.
const OPEN_FILES: usize = 256;
/// Rows between two looks at a file's size.
const STEP_ROWS: usize = 8192;
/// Files ended at the same time.
const CLOSING_FILES: usize = 4;
/// Longest name of a partition's directory, and longest path of all of them. File systems end at 255, S3 keys at 1024.
const SEGMENT_BYTES: usize = 200;
const DIRECTORY_BYTES: usize = 600;

/// Where and how rows are written.
#[derive(Clone, Debug)]
pub struct WriteContext {
    /// The table.
    pub root: TableRoot,
    /// Its schema, partition columns included.
    pub schema: Arc<StructType>,
    /// Names of its partition columns, in order.
    pub partition_columns: Vec<String>,
    /// Its properties.
    pub properties: TableProperties,
    /// Time and file names.
    pub clock: ClockRef,
    /// What the files' `dataChange` says: false when the rows were in the table before.
    pub data_change: bool,
    /// Bytes of rows and pages held in memory, by estimate.
    pub max_buffered_bytes: usize,
    /// Columns that every file has statistics of, whatever the properties say: those that cluster the table.
    pub clustering_columns: Vec<Vec<String>>,
    /// Rows after which a row group of a file ends.
    pub row_group_rows: usize,
    /// Rows after which a page ends.
    pub page_rows: usize,
    /// What the table asks of the values of new rows. Rows that were in the table before are not judged again.
    pub rules: Rules,
    /// Works out the SQL expressions of the rules; without it, a write that needs one is refused.
    pub evaluator: Option<EvaluatorRef>,
}

impl WriteContext {
    /// A context for new rows, with 256 MiB of memory, no evaluator, and every rule that schema and properties hold.
    pub fn new(
        root: TableRoot,
        schema: Arc<StructType>,
        partition_columns: Vec<String>,
        properties: TableProperties,
        clock: ClockRef,
    ) -> Self {
        let clustering_columns = Vec::new();
        let ParquetOptions { row_group_rows, page_rows, .. } = ParquetOptions::default();
        let rules = Rules::of(&schema, &properties);
        Self {
            root,
            schema,
            partition_columns,
            properties,
            clock,
            data_change: true,
            max_buffered_bytes: 256 << 20,
            clustering_columns,
            row_group_rows,
            page_rows,
            rules,
            evaluator: None,
        }
    }
}

/// The files of one write, not yet part of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// One per file.
    pub adds: Vec<Add>,
    /// Rows in all.
    pub rows: u64,
    /// Bytes in all.
    pub bytes: u64,
    /// Files of deletion vectors, below the table's root, not percent-encoded.
    pub vector_files: Vec<String>,
}

/// Writes batches to data files. Ends with [`DataWriter::finish`] or [`DataWriter::abort`]; a writer that is merely
/// dropped leaves files that nobody knows, for a vacuum to find.
pub struct DataWriter {
    context: WriteContext,
    conformer: Conformer,
    enforcer: Enforcer,
    layout: Layout,
    leaves: Vec<IndexedLeaf>,
    options: ParquetOptions,
    suffix: &'static str,
    open: HashMap<Vec<Option<String>>, OpenFile>,
    closed: Vec<(u64, Add)>,
    /// Every place below the root that may hold an object of ours.
    touched: Vec<String>,
    sequence: u64,
    ticks: u64,
    rows: u64,
    /// True while a batch is taken, and for good if that fails or is cut short: rows may be lost then.
    broken: bool,
}

struct OpenFile {
    writer: ParquetWriter,
    statistics: Collector,
    sequence: u64,
    relative: String,
    values: BTreeMap<String, Option<String>>,
    last_used: u64,
}

impl DataWriter {
    /// Prepares a write. Nothing is sent yet.
    ///
    /// # Errors
    /// `Invalid` for impossible partition columns, `Unsupported` for a type or codec that is not written, and for rules
    /// on new rows that nobody can judge (RUL-2).
    pub fn new(context: WriteContext) -> Result<Self> {
        let rules = if context.data_change { context.rules.clone() } else { Rules::default() };
        let enforcer =
            Enforcer::new(rules, context.evaluator.clone()).map_err(|e| e.with_object(context.root.display()))?;
        let mode = context.properties.column_mapping;
        let layout = Layout::new(&context.schema, &context.partition_columns, mode)?;
        let codec = &context.properties.parquet_compression;
        Ok(Self {
            conformer: Conformer::new(&context.schema)?,
            leaves: indexed_leaves(
                &context.schema,
                &context.partition_columns,
                &context.properties,
                &context.clustering_columns,
            ),
            options: ParquetOptions {
                compression: compression(codec)?,
                row_group_rows: context.row_group_rows,
                page_rows: context.page_rows,
                ..ParquetOptions::default()
            },
            suffix: suffix(codec),
            enforcer,
            layout,
            context,
            open: HashMap::new(),
            closed: Vec::new(),
            touched: Vec::new(),
            sequence: 0,
            ticks: 0,
            rows: 0,
            broken: false,
        })
    }

    /// Takes rows of any fitting schema (see [`conform`](super::conform())).
    ///
    /// # Errors
    /// `Invalid` naming the column, and then nothing of the batch is written; the store's own. After any error, or
    /// when the future is dropped unfinished, the write can't go on: call [`DataWriter::abort`].
    pub async fn write(&mut self, batch: RecordBatch) -> Result<()> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(cut_short());
        }
        self.take(batch).await?;
        self.broken = false;
        Ok(())
    }

    async fn take(&mut self, batch: RecordBatch) -> Result<()> {
        let batch = self.enforcer.conform(&batch, &self.context.schema, &self.conformer)?;
        let columns: Vec<ArrayRef> =
            self.layout.partitions.iter().map(|partition| Arc::clone(batch.column(partition.position))).collect();
        let groups = split(&columns, batch.num_rows())?;
        let keys = groups.iter().map(|group| self.key(&columns, group.first)).collect::<Result<Vec<_>>>()?;
        for (group, key) in groups.into_iter().zip(keys) {
            let part = match group.rows {
                None => batch.clone(),
                Some(rows) => take_record_batch(&batch, &rows)
                    .map_err(|e| Error::internal("rows could not be split by partition").with_source(e))?,
            };
            self.write_part(&key, &part).await?;
        }
        self.keep_to_budget().await
    }

    /// The partition values of a row as text.
    fn key(&self, columns: &[ArrayRef], row: usize) -> Result<Vec<Option<String>>> {
        let values = self.layout.partitions.iter().zip(columns).map(|(partition, column)| {
            let scalar = scalar_at(column.as_ref(), row)
                .ok_or_else(|| Error::internal("a partition value of a nested type").with_object(&*partition.name))?;
            let text = format(&scalar).map_err(|e| e.with_object(format!("column {}", partition.name)))?;
            let text = text.filter(|text| !text.is_empty());
            if text.is_none() && !partition.nullable {
                return Err(Error::invalid("an empty value of a partition column is null, and NOT NULL is declared")
                    .with_object(format!("column {}", partition.name)));
            }
            Ok(text)
        });
        values.collect()
    }

    async fn write_part(&mut self, key: &[Option<String>], part: &RecordBatch) -> Result<()> {
        let mut start = 0;
        while start < part.num_rows() {
            let rows = (part.num_rows() - start).min(STEP_ROWS);
            let piece = part.slice(start, rows);
            start += rows;
            let mut file = match self.open.remove(key) {
                Some(file) => file,
                None => self.open_file(key).await?,
            };
            self.ticks += 1;
            file.last_used = self.ticks;
            let written = file.take(&piece, &self.leaves, &self.layout).await;
            let full = file.writer.size_estimate() >= self.context.properties.target_file_size_bytes;
            self.open.insert(key.to_vec(), file);
            written?;
            self.rows += rows as u64;
            if full {
                self.close(key).await?;
            }
        }
        Ok(())
    }

    async fn open_file(&mut self, key: &[Option<String>]) -> Result<OpenFile> {
        if self.open.len() >= OPEN_FILES {
            let idle = self.open.iter().min_by_key(|(_, file)| file.last_used).map(|(key, _)| key.clone());
            if let Some(idle) = idle {
                self.close(&idle).await?;
            }
        }
        let names = self.layout.partitions.iter().map(|partition| partition.physical.as_str());
        let pairs: Vec<(&str, Option<&str>)> = names.zip(key.iter().map(Option::as_deref)).collect();
        let id = self.context.clock.new_id();
        let name = format!("part-{:05}-{id}.c000{}.parquet", self.sequence, self.suffix);
        let mapped = self.context.properties.column_mapping.is_on();
        let relative = match if mapped { prefix(&pairs, id) } else { directory(&pairs) } {
            Some(directory) => format!("{directory}/{name}"),
            None => name,
        };
        let path = self.context.root.child(&relative)?;
        let schema = Arc::clone(&self.layout.file_schema);
        let writer = ParquetWriter::new(&self.context.root, path, schema, &self.options)?;
        let values = pairs.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        let statistics = Collector::new(&self.leaves);
        let sequence = self.sequence;
        self.sequence += 1;
        self.touched.push(relative.clone());
        Ok(OpenFile { writer, statistics, sequence, relative, values, last_used: 0 })
    }

    async fn close(&mut self, key: &[Option<String>]) -> Result<()> {
        if let Some(file) = self.open.remove(key) {
            let (sequence, add, unsynced) = file.finish(&self.leaves, &self.context).await?;
            unsynced.sync().await?;
            self.closed.push((sequence, add));
        }
        Ok(())
    }

    async fn keep_to_budget(&mut self) -> Result<()> {
        let budget = self.context.max_buffered_bytes;
        while self.open.values().map(|file| file.writer.buffered_bytes()).sum::<usize>() > budget {
            let biggest = self.open.iter().max_by_key(|(_, file)| file.writer.buffered_bytes());
            let Some((key, before)) = biggest.map(|(key, file)| (key.clone(), file.writer.buffered_bytes())) else {
                return Ok(());
            };
            if let Some(file) = self.open.get_mut(&key) {
                file.writer.relieve().await?;
                if file.writer.buffered_bytes() > before / 2 {
                    self.close(&key).await?;
                }
            }
        }
        Ok(())
    }

    /// Ends all files. They are complete and durable, and no part of the table until a commit names them.
    ///
    /// # Errors
    /// The store's own. What was written is deleted then, as far as the store answers.
    pub async fn finish(mut self) -> Result<Written> {
        let ended = match self.end().await {
            Ok((written, unsynced)) => unsynced.sync().await.map(|()| written),
            Err(error) => Err(error),
        };
        if ended.is_err() {
            self.abort().await;
        }
        ended
    }

    /// As [`DataWriter::finish`], but the newest files are still to be synced: before a commit names them, or along with
    /// its own bytes (see [`put_behind`](crate::store::put_behind)).
    ///
    /// # Errors
    /// As [`DataWriter::finish`].
    pub async fn finish_unsynced(mut self) -> Result<(Written, Unsynced)> {
        let ended = self.end().await;
        if ended.is_err() {
            self.abort().await;
        }
        ended
    }

    async fn end(&mut self) -> Result<(Written, Unsynced)> {
        if self.broken {
            return Err(cut_short());
        }
        let open: Vec<OpenFile> = self.open.drain().map(|(_, file)| file).collect();
        let ended: Vec<Result<(u64, Add, Unsynced)>> = stream::iter(open)
            .map(|file| file.finish(&self.leaves, &self.context))
            .buffer_unordered(CLOSING_FILES)
            .collect()
            .await;
        let (mut failed, mut unsynced) = (None, Unsynced::default());
        for file in ended {
            match file {
                Ok((sequence, add, files)) => {
                    self.closed.push((sequence, add));
                    unsynced.join(files);
                }
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.closed.sort_by_key(|(sequence, _)| *sequence);
        let adds: Vec<Add> = self.closed.drain(..).map(|(_, add)| add).collect();
        let bytes = adds.iter().map(|add| u64::try_from(add.size).unwrap_or(0)).sum();
        Ok((Written { adds, rows: self.rows, bytes, vector_files: Vec::new() }, unsynced))
    }

    /// Gives up and deletes what was sent. Only for a write that no commit was tried for: a file that a commit may
    /// name must stay.
    pub async fn abort(mut self) {
        for (_, file) in self.open.drain() {
            file.writer.abort().await;
        }
        let root = &self.context.root;
        for relative in &self.touched {
            let deleted = match root.child(relative) {
                Ok(path) => root.delete(&path).await,
                Err(error) => Err(error),
            };
            if let Err(error) = deleted {
                tracing::debug!(file = %relative, %error, "a file of an abandoned write stays behind");
            }
        }
    }
}

impl OpenFile {
    /// Adds rows of the table's own schema.
    async fn take(&mut self, piece: &RecordBatch, leaves: &[IndexedLeaf], layout: &Layout) -> Result<()> {
        self.statistics.update(leaves, piece);
        let data = piece.project(&layout.data);
        let data = data.map_err(|e| Error::internal("columns could not be picked from a batch").with_source(e))?;
        self.writer.write(data).await
    }

    async fn finish(self, leaves: &[IndexedLeaf], context: &WriteContext) -> Result<(u64, Add, Unsynced)> {
        let (bytes, unsynced) = self.writer.finish_unsynced().await?;
        let size = i64::try_from(bytes).map_err(|e| Error::internal("a file of an absurd size").with_source(e))?;
        let add = Add {
            path: encode_path(&self.relative),
            partition_values: self.values,
            size,
            modification_time: context.clock.now_ms(),
            data_change: context.data_change,
            stats: Some(self.statistics.render(leaves, context.properties.data_skipping_string_prefix)),
            ..Add::default()
        };
        Ok((self.sequence, add, unsynced))
    }
}

fn cut_short() -> Error {
    Error::internal("a write goes on after a batch that was not taken whole")
}

/// The partition's directory; none without partitions, or where the values are too long for a name. Readers take
/// partition values from the log, so a file may lie anywhere.
fn directory(pairs: &[(&str, Option<&str>)]) -> Option<String> {
    let directory = hive_directory(pairs);
    let fits = directory.len() <= DIRECTORY_BYTES && directory.split('/').all(|part| part.len() <= SEGMENT_BYTES);
    (!directory.is_empty() && fits).then_some(directory)
}

/// The directory of a file of a mapped, partitioned table: two random characters, since a directory named after columns
/// would show names that were changed long ago.
fn prefix(pairs: &[(&str, Option<&str>)], id: uuid::Uuid) -> Option<String> {
    (!pairs.is_empty()).then(|| id.simple().to_string()[..2].to_owned())
}

/// The codec's part of a file name, as other writers spell it.
fn suffix(codec: &str) -> &'static str {
    match codec.to_ascii_lowercase().as_str() {
        "zstd" => ".zstd",
        "snappy" => ".snappy",
        "gzip" => ".gz",
        "lz4_raw" => ".lz4raw",
        _ => "",
    }
}
