//! The rows of a condition leave a table: with their whole file, by its deletion vector, or by writing the others again.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use futures::{StreamExt, TryStreamExt, stream};

use super::context_on;
use crate::action::deletion_vector::VectorFile;
use crate::action::stats::Stats;
use crate::action::{Action, Add, DeletionVector, DeletionVectorDescriptor, Remove};
use crate::conflict::{Ground, judge_file};
use crate::error::{Error, Result};
use crate::expr::{Predicate, Verdict};
use crate::protocol::{Rules, is_supported};
use crate::replay::Home;
use crate::scan::{ReadOptions, ScanFile, ScanPlan, ScanRequest};
use crate::schema::StructType;
use crate::snapshot::Snapshot;
use crate::store::parquet::ParquetFile;
use crate::store::{cores, read_deletion_vector, write_deletion_vectors};
use crate::transaction::{Operation, ReadSet, Reads};
use crate::write::{DataWriter, Written};

/// A file of deletion vectors is ended at this size.
const VECTOR_FILE_BYTES: i64 = 64 << 20;
/// Runs of deleted rows that are held before they are packed.
const MOST_RUNS: usize = 1 << 20;

/// What leaves a table with the rows of a condition.
#[derive(Debug)]
pub(super) struct Leaving {
    /// Files that end.
    pub(super) files: Vec<Arc<Add>>,
    /// Files that stay with more deleted rows: as they were, and as they become.
    pub(super) marked: Vec<(Arc<Add>, Add)>,
    /// What was read to find them.
    pub(super) reads: Reads,
    /// Rows that were written again because they stay.
    pub(super) copied_rows: u64,
    /// Rows that leave.
    pub(super) rows: u64,
}

impl Leaving {
    /// These files, and nothing else.
    pub(super) fn whole(files: Vec<Arc<Add>>, reads: Reads) -> Self {
        Self { files, marked: Vec::new(), reads, copied_rows: 0, rows: 0 }
    }

    /// What the operation says of files that came and went, in the words of other writers.
    pub(super) fn counted(&self, operation: Operation, written: &Written) -> Operation {
        let bytes = |sizes: &mut dyn Iterator<Item = i64>| sizes.filter_map(|size| u64::try_from(size).ok()).sum();
        let renewed = self.marked.iter().filter(|(before, _)| before.deletion_vector.is_some()).count() as u64;
        let ended = self.files.iter().filter(|add| add.deletion_vector.is_some()).count() as u64;
        operation
            .counting("numRemovedFiles", self.files.len() as u64)
            .counting("numRemovedBytes", bytes(&mut self.files.iter().map(|add| add.size)))
            .counting("numAddedFiles", written.adds.len() as u64)
            .counting("numAddedBytes", bytes(&mut written.adds.iter().map(|add| add.size)))
            .counting("numCopiedRows", self.copied_rows)
            .counting("numDeletionVectorsAdded", self.marked.len() as u64)
            .counting("numDeletionVectorsUpdated", renewed)
            .counting("numDeletionVectorsRemoved", renewed + ended)
    }

    /// What the commit says of them.
    pub(super) fn actions(&self, now_ms: i64) -> Vec<Action> {
        let ended = self.files.iter().chain(self.marked.iter().map(|(before, _)| before));
        let removes = ended.map(|add| Action::Remove(Box::new(Remove::of(add, now_ms, true))));
        removes.chain(self.marked.iter().map(|(_, after)| Action::Add(Box::new(after.clone())))).collect()
    }
}

/// Finds the rows of `snapshot` for which `predicate` is true, and what becomes of their files: those without another
/// row end; of the others the rows are marked where the table has deletion vectors on (`delta.enableDeletionVectors`),
/// else the rows that stay are written again (OVW-2). Files that are written go into `written`, also when this fails.
///
/// # Errors
/// Those of reading and writing; `Unsupported` naming a file that can't be written again.
pub(super) async fn leave(
    snapshot: &Snapshot,
    schema: &Arc<StructType>,
    predicate: &Predicate,
    written: &mut Written,
) -> Result<Leaving> {
    let home = snapshot.root().home();
    let ground = Ground {
        protocol: snapshot.protocol(),
        metadata: snapshot.metadata(),
        schema: snapshot.schema(),
        isolation: snapshot.properties().isolation_level,
        home: &home,
    };
    let mut departure = Departure::new(snapshot, schema, predicate)?;
    let mut mixed = Vec::new();
    for add in snapshot.candidates(predicate).await? {
        match judge_file(predicate, &add, ground) {
            Verdict::NoneTrue => {}
            Verdict::AllTrue => departure.whole(add).await?,
            Verdict::Unknown => mixed.push(add),
        }
    }
    let hits = hits(snapshot, predicate)?;
    let found = mixed.into_iter().map(|add| {
        let hits = &hits;
        async move {
            let dead = positions(hits, &add).await?;
            Ok::<_, Error>((add, dead))
        }
    });
    let mut found = stream::iter(found).buffered(cores() * 2);
    while let Some((add, dead)) = found.try_next().await? {
        departure.part(add, dead, written).await?;
    }
    departure.finish(written).await
}

/// The same for rows that were found already, among those for which `looked_at` can be true.
///
/// # Errors
/// As [`leave`]; `Conflict` for rows of a file that is not live.
pub(super) async fn leave_places(
    snapshot: &Snapshot,
    schema: &Arc<StructType>,
    (looked_at, mut places): (&Predicate, BTreeMap<String, DeletionVector>),
    written: &mut Written,
) -> Result<Leaving> {
    let mut departure = Departure::new(snapshot, schema, looked_at)?;
    if !places.is_empty() {
        for add in snapshot.candidates(looked_at).await? {
            if let Some(dead) = places.remove(&add.path) {
                departure.part(add, dead, written).await?;
            }
        }
    }
    if let Some((path, _)) = places.pop_first() {
        return Err(Error::internal("rows were found in a file that the table does not have").with_object(path));
    }
    departure.finish(written).await
}

/// Rows on their way out.
struct Departure<'a> {
    snapshot: &'a Snapshot,
    schema: &'a Arc<StructType>,
    home: Home,
    reads: ReadSet,
    leaving: Leaving,
    vectors: Vectors<'a>,
    by_vector: bool,
    /// A scan of whole files.
    all: ScanPlan,
}

impl<'a> Departure<'a> {
    fn new(snapshot: &'a Snapshot, schema: &'a Arc<StructType>, looked_at: &Predicate) -> Result<Self> {
        Ok(Self {
            snapshot,
            schema,
            home: snapshot.root().home(),
            reads: ReadSet::default().matching(looked_at.clone()),
            leaving: Leaving::whole(Vec::new(), Reads::Nothing),
            vectors: Vectors::new(snapshot),
            by_vector: marks_rows(snapshot),
            all: ScanPlan::of_files(snapshot.scan_table(), &ScanRequest::default(), Vec::new())?,
        })
    }

    /// All rows of a file.
    async fn whole(&mut self, add: Arc<Add>) -> Result<()> {
        self.reads.file(&add, &self.home);
        self.leaving.rows += Rows::of(self.snapshot, &add).await?.live();
        self.leaving.files.push(add);
        Ok(())
    }

    /// Some rows of a file, none of which is deleted yet.
    async fn part(&mut self, add: Arc<Add>, dead: DeletionVector, written: &mut Written) -> Result<()> {
        self.reads.file(&add, &self.home);
        if dead.is_empty() {
            return Ok(());
        }
        let rows = Rows::of(self.snapshot, &add).await?;
        self.leaving.rows += dead.len();
        if dead.len() >= rows.live() && dead.len() >= rows.checked(self.snapshot, &add).await? {
            self.leaving.files.push(add);
            return Ok(());
        }
        let dead = match &add.deletion_vector {
            Some(before) => read_deletion_vector(self.snapshot.root(), before).await?.union(&dead),
            None => dead,
        };
        if self.by_vector {
            let marked = self.vectors.mark(&add, rows, &dead, written).await?;
            self.leaving.marked.push((add, marked));
        } else {
            check_splittable(self.snapshot, &add)?;
            self.leaving.copied_rows += self.copy(&add, &dead, written).await?;
            self.leaving.files.push(add);
        }
        Ok(())
    }

    /// Writes the rows of a file that stay, and counts them.
    async fn copy(&self, add: &Add, dead: &DeletionVector, written: &mut Written) -> Result<u64> {
        let mut context = context_on(self.snapshot, self.schema);
        // These rows were in the table before: nobody judges them again (RUL-3).
        context.rules = Rules::default();
        let deletion_vector = Some(DeletionVectorDescriptor::inline(dead)?);
        let file = ScanFile { deletion_vector, ..ScanFile::of(add)? };
        let mut writer = DataWriter::new(context)?;
        let mut batches = self.all.stream_file(&file, ReadOptions::default());
        while let Some(batch) = batches.next().await {
            let taken = match batch {
                Ok(batch) => writer.write(batch).await,
                Err(error) => Err(error),
            };
            if let Err(error) = taken {
                writer.abort().await;
                return Err(error);
            }
        }
        let copies = writer.finish().await?;
        written.bytes += copies.bytes;
        written.adds.extend(copies.adds);
        Ok(copies.rows)
    }

    async fn finish(mut self, written: &mut Written) -> Result<Leaving> {
        self.vectors.flush(written).await?;
        Ok(Leaving { reads: self.reads.into(), ..self.leaving })
    }
}

/// Whether the table wants deleted rows to be marked rather than their files written again.
fn marks_rows(snapshot: &Snapshot) -> bool {
    let on = snapshot.metadata().configuration.get("delta.enableDeletionVectors");
    on.is_some_and(|on| on.eq_ignore_ascii_case("true")) && is_supported(snapshot.protocol(), "deletionVectors")
}

/// Rows of a file.
#[derive(Clone, Copy, Debug)]
struct Rows {
    all: u64,
    deleted: u64,
}

impl Rows {
    /// Those that its statistics tell, or else its footer.
    async fn of(snapshot: &Snapshot, add: &Add) -> Result<Self> {
        let deleted = add.deletion_vector.as_ref().map_or(Ok(0), |vector| vector.deleted_rows())?;
        let all = match add.num_records() {
            Some(rows) => rows,
            None => stored_rows(snapshot, add).await?,
        };
        Ok(Self { all, deleted })
    }

    fn live(self) -> u64 {
        self.all.saturating_sub(self.deleted)
    }

    /// The live rows by the file's footer: statistics that are wrong must not cost a row.
    async fn checked(self, snapshot: &Snapshot, add: &Add) -> Result<u64> {
        Ok(stored_rows(snapshot, add).await?.saturating_sub(self.deleted))
    }
}

async fn stored_rows(snapshot: &Snapshot, add: &Add) -> Result<u64> {
    let root = snapshot.root();
    let size_bytes = ScanFile::of(add)?.size_bytes;
    Ok(ParquetFile::open(root, &root.resolve(&add.path)?, Some(size_bytes)).await?.num_rows())
}

/// A scan for the places of the wanted rows.
fn hits(snapshot: &Snapshot, predicate: &Predicate) -> Result<ScanPlan> {
    let request = ScanRequest {
        columns: Some(Vec::new()),
        predicate: Some(predicate.clone()),
        row_places: Some(("file".to_owned(), "row".to_owned())),
        ..ScanRequest::default()
    };
    ScanPlan::of_files(snapshot.scan_table(), &request, Vec::new())
}

/// Where the wanted rows of a file stand that are not deleted yet.
async fn positions(hits: &ScanPlan, add: &Add) -> Result<DeletionVector> {
    let (mut packed, mut runs) = (DeletionVector::default(), Vec::<Range<u64>>::new());
    let mut batches = hits.stream_file(&ScanFile::of(add)?, ReadOptions::default());
    while let Some(batch) = batches.try_next().await? {
        for &position in batch.column(1).as_primitive::<Int64Type>().values() {
            let row = u64::try_from(position).unwrap_or_default();
            match runs.last_mut() {
                Some(run) if run.end == row => run.end += 1,
                _ => runs.push(row..row + 1),
            }
        }
        if runs.len() >= MOST_RUNS {
            packed = packed.union(&DeletionVector::from_ranges(runs.drain(..)));
        }
    }
    Ok(packed.union(&DeletionVector::from_ranges(runs)))
}

/// Deletion vectors on their way to the store.
struct Vectors<'a> {
    snapshot: &'a Snapshot,
    file: Option<VectorFile>,
    bytes: i64,
}

impl<'a> Vectors<'a> {
    fn new(snapshot: &'a Snapshot) -> Self {
        Self { snapshot, file: None, bytes: 0 }
    }

    /// The file of `add` with these rows deleted. Its statistics count and enclose those too (DV-3).
    async fn mark(&mut self, add: &Add, rows: Rows, dead: &DeletionVector, written: &mut Written) -> Result<Add> {
        if self.bytes >= VECTOR_FILE_BYTES {
            self.flush(written).await?;
        }
        let file = self.file.get_or_insert_with(|| VectorFile::new("", self.snapshot.clock().new_id()));
        let descriptor = file.push(dead)?;
        self.bytes += i64::from(descriptor.size_in_bytes);
        let mut stats = add.stats.as_deref().and_then(Stats::parse).unwrap_or_default();
        stats.num_records = i64::try_from(rows.all).ok();
        stats.tight_bounds = false;
        Ok(Add { deletion_vector: Some(descriptor), stats: Some(stats.to_json()), data_change: true, ..add.clone() })
    }

    async fn flush(&mut self, written: &mut Written) -> Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        self.bytes = 0;
        written.vector_files.push(file.path());
        let bytes = write_deletion_vectors(self.snapshot.root(), file).await?;
        written.bytes += bytes;
        Ok(())
    }
}

/// What a table asks of rows that are written again, and is not done yet: that their ids come along, or that their
/// change is told of.
fn asked_of_copies(snapshot: &Snapshot) -> Option<&'static str> {
    let feed = snapshot.metadata().configuration.get("delta.enableChangeDataFeed");
    let feeds = feed.is_some_and(|value| value.eq_ignore_ascii_case("true"))
        && is_supported(snapshot.protocol(), "changeDataFeed");
    let tracks = snapshot.properties().row_tracking && is_supported(snapshot.protocol(), "rowTracking");
    match (tracks, feeds) {
        (true, _) => Some("\"rowTracking\""),
        (false, true) => Some("\"changeDataFeed\""),
        (false, false) => None,
    }
}

/// Refuses to give rows other values where their ids would have to come along, or their change be told of.
///
/// # Errors
/// `Unsupported` naming the feature.
pub(super) fn check_changeable(snapshot: &Snapshot) -> Result<()> {
    let Some(reason) = asked_of_copies(snapshot) else { return Ok(()) };
    Err(Error::unsupported(format!(
        "rows of a table that uses the feature {reason} are not given other values by this version of Lake"
    ))
    .with_object(snapshot.root().display())
    .with_hint("nothing was changed; delete the rows and append others, or switch the feature's property off"))
}

fn check_splittable(snapshot: &Snapshot, add: &Add) -> Result<()> {
    let Some(reason) = asked_of_copies(snapshot) else { return Ok(()) };
    Err(Error::unsupported(format!(
        "a file holds rows that leave and rows that stay; on a table that uses the feature {reason} and has no deletion \
         vectors this version of Lake does not split it"
    ))
    .with_object(add.path.clone())
    .with_hint(
        "nothing was changed; set delta.enableDeletionVectors to true, or choose a condition that covers whole files, \
         such as one on partition columns",
    ))
}
