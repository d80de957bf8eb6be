//! Rows of a partition in the order of the curve: sampled, keyed, sorted in memory or over spilled buckets.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use futures::StreamExt;
use lake_format::Result;
use lake_format::write::Written;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::key_columns::KeyColumns;
use super::output::{Output, cut_short};
use super::sorted::{Keyed, Sorted};
use super::spill::{Bucket, MOST_BUCKETS, Scatter, spill_directory};
use super::{Rewriter, blocking};
use crate::plan::FileGroup;
use crate::plan::cluster::{KeyMaker, KeySpace, Sample};

/// Rows that ranks are learnt from.
const SAMPLE_ROWS: usize = 200_000;
/// One Arrow array of text holds less than 2 GiB: rows sorted at once stay below that whatever the memory.
const MOST_SORTED_BYTES: usize = 1 << 30;
/// Sorted chunks that wait for the writer.
const WAITING_CHUNKS: usize = 2;

/// Rows on their way through the sort.
enum Stage {
    Memory(Vec<Keyed>),
    Disk(Bucket),
}

impl Rewriter {
    /// The rows of `group` in the order of the curve over `keys`. Two passes: the first reads the key columns alone.
    /// No more than three eighths of the memory are filled with rows; what is more goes through files in the spill
    /// directory.
    pub(super) async fn zorder(&self, group: &FileGroup, keys: &KeyColumns) -> Result<Written> {
        let sample = self.sample(group, keys).await?;
        let (maker, space) = blocking(move || {
            let maker = KeyMaker::learn(&sample);
            let space = KeySpace::new(maker.sample_keys(&sample), sample.rows_seen());
            Ok((maker, space))
        })
        .await?;
        let mut gathered = Gathered::default();
        let stages = self.gather(group, keys, maker, &space, &mut gathered).await?;
        let mut output = Output::new(self, space, group);
        match self.emit(stages, &gathered, &mut output).await {
            Ok(()) => output.finish(gathered.rows).await,
            Err(error) => {
                output.abort().await;
                Err(error)
            }
        }
    }

    async fn sample(&self, group: &FileGroup, keys: &KeyColumns) -> Result<Sample> {
        let plan = self.scan(group, Some(keys.names().to_vec()))?;
        let mut sample = Sample::new(plan.arrow_schema(), SAMPLE_ROWS, self.memory_bytes / 8)?;
        let mut batches = plan.stream(self.read_options(group));
        while let Some(batch) = batches.next().await {
            self.go_on()?;
            let batch = batch?;
            sample.add(batch.columns(), batch.num_rows())?;
        }
        Ok(sample)
    }

    /// Rows that may be in memory at once.
    fn sorted_bytes(&self) -> usize {
        (self.memory_bytes / 8 * 3).min(MOST_SORTED_BYTES)
    }

    /// Reads all rows with their keys: into memory while they fit, else into buckets.
    async fn gather(
        &self,
        group: &FileGroup,
        keys: &KeyColumns,
        maker: KeyMaker,
        space: &KeySpace,
        gathered: &mut Gathered,
    ) -> Result<Vec<Stage>> {
        let plan = self.scan(group, None)?;
        let schema = Arc::clone(plan.arrow_schema());
        let positions: Vec<usize> =
            keys.names().iter().filter_map(|name| self.snapshot.schema().index_of(name)).collect();
        let mut batches = plan.stream(self.read_options(group));
        let (mut held, mut held_bytes, mut scatter) = (Vec::new(), 0, None);
        while let Some(batch) = batches.next().await {
            self.go_on()?;
            let batch = batch?;
            gathered.rows += batch.num_rows() as u64;
            let columns: Vec<ArrayRef> = positions.iter().map(|&at| Arc::clone(batch.column(at))).collect();
            let keys = maker.keys(&columns)?;
            let rows = Keyed { batch, keys };
            held_bytes += rows.bytes();
            held.push(rows);
            if scatter.is_none() && held_bytes > self.sorted_bytes() {
                let directory = spill_directory(&self.spill_dir)?;
                let share = u128::from(space.rows()) * held_bytes as u128 / u128::from(gathered.rows.max(1));
                let parts = self.parts(usize::try_from(share).unwrap_or(usize::MAX));
                scatter = Some(Scatter::new(&directory, "bucket", &schema, space.splits(parts), self.memory_bytes / 4));
                gathered.spill = Some((directory, Arc::clone(&schema)));
            }
            if let Some(open) = scatter.take() {
                let rows = std::mem::take(&mut held);
                scatter = Some(blocking(move || push_all(open, rows.into_iter().map(Ok))).await?);
            }
        }
        match scatter {
            None => Ok(vec![Stage::Memory(held)]),
            Some(scatter) => Ok(blocking(|| scatter.finish()).await?.into_iter().map(Stage::Disk).collect()),
        }
    }

    /// Into how many buckets so many bytes are divided, for each to fit with room to spare.
    fn parts(&self, bytes: usize) -> usize {
        (bytes / (self.sorted_bytes() / 2).max(1)).saturating_add(1).clamp(2, MOST_BUCKETS)
    }

    /// Sends the rows of all stages, which are in the order of their keys, to the output.
    async fn emit(&self, mut stages: Vec<Stage>, gathered: &Gathered, output: &mut Output<'_>) -> Result<()> {
        stages.reverse();
        let mut divided = 0;
        while let Some(stage) = stages.pop() {
            match (stage, &gathered.spill) {
                (Stage::Disk(bucket), Some((directory, schema)))
                    if bucket.bytes > self.sorted_bytes() && !bucket.is_one_key() =>
                {
                    // Larger than it looked in the sample: each part has fewer keys, so this ends.
                    divided += 1;
                    let splits = bucket.splits(self.parts(bucket.bytes));
                    let name = format!("part-{divided}");
                    let scatter = Scatter::new(directory, &name, schema, splits, self.memory_bytes / 4);
                    let parts = blocking(move || push_all(scatter, bucket.read()?)?.finish()).await?;
                    stages.extend(parts.into_iter().rev().map(Stage::Disk));
                }
                (stage, _) => send(stage, self.sorted_bytes(), output).await?,
            }
        }
        Ok(())
    }
}

/// What reading found.
#[derive(Default)]
struct Gathered {
    rows: u64,
    spill: Option<(Arc<TempDir>, SchemaRef)>,
}

fn push_all(mut scatter: Scatter, rows: impl Iterator<Item = Result<Keyed>>) -> Result<Scatter> {
    for rows in rows {
        scatter.push(&rows?)?;
    }
    Ok(scatter)
}

/// Sorts on one thread while the output encodes on others.
async fn send(stage: Stage, sorted_bytes: usize, output: &mut Output<'_>) -> Result<()> {
    let (sender, mut chunks) = mpsc::channel::<Result<Keyed>>(WAITING_CHUNKS);
    let producer = tokio::task::spawn_blocking(move || {
        let each = |chunk: Result<Keyed>| {
            let last = chunk.is_err();
            sender.blocking_send(chunk).is_err() || last
        };
        let produced = match stage {
            Stage::Memory(rows) => Ok(Sorted::new(rows).any(each)),
            Stage::Disk(bucket) if bucket.bytes > sorted_bytes => bucket.read().map(|mut rows| rows.any(each)),
            Stage::Disk(bucket) => {
                let rows = bucket.read().and_then(Iterator::collect);
                rows.map(|rows: Vec<Keyed>| Sorted::new(rows).any(each))
            }
        };
        produced.map(drop)
    });
    while let Some(chunk) = chunks.recv().await {
        output.write(&chunk?).await?;
    }
    producer.await.map_err(cut_short)?
}
