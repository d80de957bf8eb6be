//! Rows that do not fit into memory: scattered by key over files, each a range of the curve that fits.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use lake_format::{Error, Result};
use tempfile::TempDir;

use super::sorted::Keyed;
use crate::plan::cluster::KeySample;

/// Name of the key's column in spilled files, the last one.
const KEY_COLUMN: &str = "lake.key";

/// Files written at once by one scatter.
pub(super) const MOST_BUCKETS: usize = 64;

/// Rows of one range of keys, on disk. Its file goes when this goes.
#[derive(Debug)]
pub(super) struct Bucket {
    file: SpillFile,
    /// Bytes that the rows take in memory, with what sorting adds.
    pub(super) bytes: usize,
    keys: KeySample,
}

#[derive(Debug)]
struct SpillFile {
    path: PathBuf,
    /// Stays as long as one file is in it.
    _directory: Arc<TempDir>,
}

impl Drop for SpillFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a spilled file goes with its directory");
        }
    }
}

impl Bucket {
    /// Whether all its rows have one key, so that any order is right.
    pub(super) fn is_one_key(&self) -> bool {
        self.keys.range().is_none_or(|(least, most)| least == most)
    }

    /// Keys that divide it into about `parts` smaller ones. At least one, unless it has one key alone.
    pub(super) fn splits(&self, parts: usize) -> Vec<u64> {
        let splits = self.keys.space().splits(parts);
        match self.keys.range() {
            Some((least, most)) if splits.is_empty() && least < most => vec![least + 1],
            _ => splits,
        }
    }

    /// Its rows, in the order in which they were scattered.
    pub(super) fn read(&self) -> Result<impl Iterator<Item = Result<Keyed>>> {
        let failed = spill_error(&self.file.path);
        let file = File::open(&self.file.path).map_err(|e| failed(e.into()))?;
        let reader = StreamReader::try_new(BufReader::new(file), None).map_err(&failed)?;
        Ok(reader.map(move |batch| without_key(&batch.map_err(&failed)?)))
    }
}

fn with_key(schema: &SchemaRef, rows: &Keyed) -> Result<RecordBatch, ArrowError> {
    let keys: ArrayRef = Arc::new(UInt64Array::from(rows.keys.clone()));
    let columns = rows.batch.columns().iter().cloned().chain([keys]).collect();
    RecordBatch::try_new(Arc::clone(schema), columns)
}

fn without_key(batch: &RecordBatch) -> Result<Keyed> {
    let wrong = || Error::internal("a spilled file came back changed");
    let last = batch.num_columns().checked_sub(1).ok_or_else(wrong)?;
    let keys = batch.column(last).as_primitive_opt::<UInt64Type>().ok_or_else(wrong)?.values().to_vec();
    let columns: Vec<usize> = (0..last).collect();
    let batch = batch.project(&columns).map_err(|e| wrong().with_source(e))?;
    Ok(Keyed { batch, keys })
}

fn spill_error(path: &Path) -> impl Fn(ArrowError) -> Error + use<> {
    let name = path.display().to_string();
    move |error| {
        Error::unavailable("rows could not be spilled to disk")
            .with_object(name.clone())
            .with_hint("nothing was changed; free some space, or choose another directory or more memory")
            .with_source(error)
    }
}

/// Sends rows to buckets by key. Blocks: to be used on a thread made for it.
pub(super) struct Scatter {
    schema: SchemaRef,
    splits: Vec<u64>,
    buckets: Vec<OpenBucket>,
    /// Bytes of rows that wait to be written.
    waiting_bytes: usize,
    most_waiting_bytes: usize,
}

struct OpenBucket {
    bucket: Bucket,
    writer: Option<StreamWriter<BufWriter<File>>>,
    waiting: Vec<Keyed>,
    waiting_bytes: usize,
}

impl Scatter {
    /// Buckets divided at `splits`, which ascend, in files in `directory`. Up to `most_waiting_bytes` of rows wait in
    /// memory, so that what is written at once is not too small.
    pub(super) fn new(
        directory: &Arc<TempDir>,
        name: &str,
        schema: &SchemaRef,
        splits: Vec<u64>,
        most_waiting_bytes: usize,
    ) -> Self {
        let fields = schema.fields().iter().cloned().chain([Arc::new(Field::new(KEY_COLUMN, DataType::UInt64, false))]);
        let open = |at: usize| OpenBucket {
            bucket: Bucket {
                file: SpillFile {
                    path: directory.path().join(format!("{name}-{at}.arrows")),
                    _directory: Arc::clone(directory),
                },
                bytes: 0,
                keys: KeySample::default(),
            },
            writer: None,
            waiting: Vec::new(),
            waiting_bytes: 0,
        };
        Self {
            schema: Arc::new(Schema::new(fields.collect::<Vec<_>>())),
            buckets: (0..=splits.len()).map(open).collect(),
            splits,
            waiting_bytes: 0,
            most_waiting_bytes,
        }
    }

    /// Takes rows.
    pub(super) fn push(&mut self, rows: &Keyed) -> Result<()> {
        let mut chosen: Vec<Vec<u32>> = vec![Vec::new(); self.buckets.len()];
        for (row, &key) in (0_u32..).zip(&rows.keys) {
            let at = self.splits.partition_point(|&split| split <= key);
            chosen[at].push(row);
            self.buckets[at].bucket.keys.add(key);
        }
        for (open, chosen) in self.buckets.iter_mut().zip(chosen).filter(|(_, chosen)| !chosen.is_empty()) {
            let keys = chosen.iter().map(|&row| rows.keys[row as usize]).collect();
            let batch = take_record_batch(&rows.batch, &UInt32Array::from(chosen))
                .map_err(|e| Error::internal("rows could not be divided").with_source(e))?;
            let part = Keyed { batch, keys };
            let bytes = part.bytes();
            open.bucket.bytes += bytes;
            open.waiting_bytes += bytes;
            self.waiting_bytes += bytes;
            open.waiting.push(part);
        }
        while self.waiting_bytes > self.most_waiting_bytes {
            let Some(fullest) = self.buckets.iter_mut().max_by_key(|open| open.waiting_bytes) else { break };
            self.waiting_bytes -= fullest.waiting_bytes;
            fullest.write(&self.schema)?;
        }
        Ok(())
    }

    /// Ends all files. Buckets that got rows, in the order of their keys.
    pub(super) fn finish(mut self) -> Result<Vec<Bucket>> {
        let mut full = Vec::new();
        for mut open in self.buckets.drain(..) {
            open.write(&self.schema)?;
            if let Some(mut writer) = open.writer.take() {
                let failed = spill_error(&open.bucket.file.path);
                writer.finish().map_err(&failed)?;
                full.push(open.bucket);
            }
        }
        Ok(full)
    }
}

impl OpenBucket {
    /// Writes what waits, as one batch.
    fn write(&mut self, schema: &SchemaRef) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        if waiting.is_empty() {
            return Ok(());
        }
        let failed = spill_error(&self.bucket.file.path);
        let batches = waiting.iter().map(|rows| with_key(schema, rows)).collect::<Result<Vec<_>, _>>();
        let all = batches.and_then(|batches| concat_batches(schema, &batches)).map_err(&failed)?;
        if self.writer.is_none() {
            let file = File::create_new(&self.bucket.file.path).map_err(|e| failed(e.into()))?;
            let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME));
            let writer =
                options.and_then(|options| StreamWriter::try_new_with_options(BufWriter::new(file), schema, options));
            self.writer = Some(writer.map_err(&failed)?);
        }
        self.writer.as_mut().map_or(Ok(()), |writer| writer.write(&all)).map_err(&failed)
    }
}

/// A directory of its own for spilled files, in `parent`.
pub(super) fn spill_directory(parent: &Path) -> Result<Arc<TempDir>> {
    let made = tempfile::Builder::new().prefix("lake-spill-").tempdir_in(parent);
    made.map(Arc::new).map_err(|e| spill_error(parent)(e.into()))
}

#[cfg(test)]
mod tests {
    use arrow::array::{ListArray, StringArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn rows(keys: &[u64]) -> Keyed {
        let texts: ArrayRef =
            Arc::new(StringArray::from_iter(keys.iter().map(|key| (key % 3 > 0).then(|| key.to_string()))));
        let lists = keys.iter().map(|&key| Some(vec![Some(key as i32), None]));
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
        let batch = RecordBatch::try_from_iter_with_nullable([("a", texts, true), ("b", lists, true)]).expect("batch");
        Keyed { batch, keys: keys.to_vec() }
    }

    fn scattered(splits: Vec<u64>, most_waiting_bytes: usize, keys: &[u64]) -> (Vec<Bucket>, PathBuf) {
        let directory = spill_directory(&std::env::temp_dir()).expect("directory");
        let schema = rows(&[]).batch.schema();
        let mut scatter = Scatter::new(&directory, "test", &schema, splits, most_waiting_bytes);
        keys.chunks(7).for_each(|keys| scatter.push(&rows(keys)).expect("push"));
        let path = directory.path().to_owned();
        (scatter.finish().expect("finish"), path)
    }

    #[test]
    fn every_row_comes_back_from_the_bucket_of_its_key() {
        let keys: Vec<u64> = (0..200).map(|i| i * 37 % 100).collect();
        for most_waiting_bytes in [0, 1000, usize::MAX] {
            let (buckets, path) = scattered(vec![10, 50, 99, 500], most_waiting_bytes, &keys);
            assert_eq!(buckets.len(), 4, "nothing went to the last bucket");
            let mut seen = Vec::new();
            for (bucket, range) in buckets.iter().zip([0..10, 10..50, 50..99, 99..500]) {
                for part in bucket.read().expect("read") {
                    let part = part.expect("rows");
                    assert_eq!(part.batch, rows(&part.keys).batch, "rows and keys stay together");
                    assert!(part.keys.iter().all(|key| range.contains(key)));
                    seen.extend(part.keys);
                }
            }
            seen.sort_unstable();
            let mut wanted = keys.clone();
            wanted.sort_unstable();
            assert_eq!(seen, wanted);
            drop(buckets);
            assert!(!path.exists(), "nothing stays on disk");
        }
    }

    #[test]
    fn a_bucket_divides_until_it_has_one_key() {
        let (buckets, _) = scattered(vec![], 0, &[5; 100]);
        assert!(buckets[0].is_one_key() && buckets[0].splits(8).is_empty());
        let mut keys = vec![5; 1000];
        keys.push(6);
        let (buckets, _) = scattered(vec![], 0, &keys);
        assert!(!buckets[0].is_one_key());
        assert_eq!(buckets[0].splits(2), [6]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = spill_directory(Path::new("/nowhere/at/all")).expect_err("no such directory");
        assert_eq!(error.kind(), lake_format::ErrorKind::Unavailable);
        assert_eq!(error.object(), Some("/nowhere/at/all"));
    }
}
