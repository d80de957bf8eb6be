//! The live files of a version, and how a snapshot finds them.

use std::future::Future;
use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};

use super::Snapshot;
use super::above::Newer;
use super::base::{Listed, MISCOUNT_HINT, counted};
use super::build::is_damage;
use crate::action::columnar::{FileBatch, FileKind};
use crate::action::{Add, Remove};
use crate::error::{Error, Result};
use crate::log::LogSegment;
use crate::log::checkpoint::{FilesWanted, StatsWanted, Totals};
use crate::replay::{Changes, Distinct, Home, TailFold};

/// A file that a checkpoint lists twice: its rows would be read twice, and what else is wrong can't be told.
pub(crate) fn listed_twice(path: &str) -> Error {
    Error::corrupt("a checkpoint lists a file twice (CHK-4)").with_object(path).with_hint(MISCOUNT_HINT)
}

/// The live files of one version of a table, column by column.
#[derive(Clone, Debug, Default)]
pub struct Files {
    batches: Vec<FileBatch>,
}

impl Files {
    /// These files.
    ///
    /// # Errors
    /// `Internal` when they can't be held as columns.
    pub fn of(adds: &[Arc<Add>]) -> Result<Self> {
        let adds: Vec<&Add> = adds.iter().map(Arc::as_ref).collect();
        Ok(Self { batches: vec![FileBatch::of_adds(&adds)?] })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.batches.iter().map(FileBatch::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The columns.
    pub fn batches(&self) -> &[FileBatch] {
        &self.batches
    }

    fn rows(&self) -> impl Iterator<Item = (&FileBatch, usize)> {
        self.batches.iter().flat_map(|batch| (0..batch.len()).map(move |row| (batch, row)))
    }

    /// Each of them, in an order that is the same each time.
    pub fn iter(&self) -> impl Iterator<Item = Arc<Add>> {
        self.rows().map(|(batch, row)| Arc::new(batch.add(row)))
    }

    /// Bytes of all of them.
    pub fn size_bytes(&self) -> u64 {
        let sizes = self.rows().filter_map(|(batch, row)| u64::try_from(batch.size(row)?).ok());
        sizes.fold(0, u64::saturating_add)
    }

    /// Rows of all of them that are not deleted, from their statistics (DV-4); `None` when one file has none.
    pub fn num_rows(&self) -> Option<u64> {
        let mut counts = self.rows().map(|(batch, row)| batch.live_records(row));
        counts.try_fold(0_u64, |total, rows| total.checked_add(rows?))
    }
}

/// What there is of live files, all in all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilesTotal {
    /// How many.
    pub num_files: u64,
    /// Their bytes.
    pub size_bytes: u64,
    /// Their rows that are not deleted, from their statistics (DV-4); `None` when one file has none.
    pub num_rows: Option<u64>,
}

/// The files of one kind in what commits say, newest first, and in what is older than all of them.
fn reconciled(
    kind: FileKind,
    home: Home,
    newer: BoxStream<'static, Result<Changes>>,
    older: BoxStream<'static, Result<FileBatch>>,
) -> BoxStream<'static, Result<FileBatch>> {
    enum Said {
        Newer(Changes),
        Older(Box<FileBatch>),
    }
    let mut fold = TailFold::new(home);
    let said = newer.map_ok(Said::Newer).chain(older.map_ok(|batch| Said::Older(Box::new(batch))));
    let left = said.map(move |said| {
        let batches = match said? {
            Said::Newer(changes) => {
                let (adds, removes) = fold.news(&changes)?;
                if kind == FileKind::Add { adds } else { removes }
            }
            Said::Older(batch) => vec![fold.surviving(&batch)?],
        };
        Ok::<_, Error>(stream::iter(batches.into_iter().map(Ok)))
    });
    left.try_flatten().boxed()
}

impl Snapshot {
    /// The live files.
    ///
    /// # Errors
    /// As [`Snapshot::load`]: they are read when they are first asked for.
    pub async fn files(&self) -> Result<Arc<Files>> {
        let read = || async {
            let batches = || self.batches(&FilesWanted::adds()).try_collect();
            let distinct = || async {
                let batches: Vec<FileBatch> = batches().await?;
                let mut files = Distinct::new(self.root.home());
                let mut rows = batches.iter().flat_map(|batch| (0..batch.len()).map(move |row| (batch, row)));
                if self.base.is_doubtful() {
                    rows.clone().for_each(|(batch, row)| files.push(batch.path(row), batch.vector_id(row).as_deref()));
                }
                match files.repeated() {
                    Some((at, _)) => Err(listed_twice(rows.nth(at).map_or("", |(batch, row)| batch.path(row)))),
                    None => Ok(batches),
                }
            };
            let batches = self.with_repair(distinct).await?;
            Ok(Arc::new(Files { batches }))
        };
        self.files.get_or_try_init(read).await.cloned()
    }

    /// How much there is of live files. They are counted as they are read, and not kept.
    ///
    /// # Errors
    /// As [`Snapshot::files`].
    pub async fn files_total(&self) -> Result<FilesTotal> {
        let count = || async {
            let mut total = FilesTotal { num_files: 0, size_bytes: 0, num_rows: Some(0) };
            let mut batches = self.batches(&FilesWanted::adds().with_stats(StatsWanted::Columns(Vec::new())));
            while let Some(batch) = batches.try_next().await? {
                total.num_files += batch.len() as u64;
                for row in 0..batch.len() {
                    let size_bytes = batch.size(row).and_then(|size| u64::try_from(size).ok());
                    total.size_bytes = total.size_bytes.saturating_add(size_bytes.unwrap_or(0));
                    total.num_rows = total.num_rows.and_then(|rows| rows.checked_add(batch.live_records(row)?));
                }
            }
            Ok(total)
        };
        self.with_repair(count).await
    }

    /// Files that left the table and are still remembered.
    ///
    /// # Errors
    /// As [`Snapshot::files`].
    pub async fn tombstones(&self) -> Result<Vec<Arc<Remove>>> {
        let batches = || self.batches(&FilesWanted::removes()).try_collect();
        let batches: Vec<FileBatch> = self.with_repair(batches).await?;
        let removes = |batch: &FileBatch| (0..batch.len()).map(|row| Arc::new(batch.remove(row))).collect::<Vec<_>>();
        Ok(batches.iter().flat_map(removes).collect())
    }

    /// How many live files there are and their bytes, where that is known without reading their list.
    pub fn totals(&self) -> Option<Totals> {
        self.totals
    }

    /// The files of one kind, newest first, as they are read: those of the commits above the checkpoint, then those of
    /// the checkpoint that the commits say nothing of.
    ///
    /// # Errors
    /// Each item can fail, and the stream ends there. A failure for which [`is_damage`] holds may be one of the
    /// checkpoint: [`Snapshot::with_repair`] gets round it.
    pub(crate) fn batches(&self, wanted: &FilesWanted) -> BoxStream<'static, Result<FileBatch>> {
        let kind = wanted.kind;
        let (root, above) = (self.root.clone(), Arc::clone(&self.above));
        let older = self.base.batches(wanted);
        let with_stats = kind == FileKind::Add && wanted.stats != StatsWanted::None;
        let opened = async move {
            Ok::<_, Error>(match above.newer(&root, with_stats).await? {
                Newer::Kept(tail) => {
                    let newer = match kind {
                        FileKind::Add => tail.adds(),
                        FileKind::Remove => tail.removes(),
                    };
                    let newer: Vec<Result<FileBatch>> = newer.iter().cloned().map(Ok).collect();
                    let surviving = older.map(move |batch| tail.surviving(&batch?));
                    stream::iter(newer).chain(surviving).boxed()
                }
                Newer::Streamed(changes) => reconciled(kind, root.home(), changes, older),
            })
        };
        // What a sieve leaves out of the checkpoint a commit may have ended: then the sum proves nothing.
        let counts = kind == FileKind::Add && wanted.sieve.is_none() && self.base.is_doubtful();
        let told = self.totals.filter(|_| counts);
        let (version, name) = (self.version, self.root.display());
        let miscount = move |found: u64, told: u64| {
            let message = format!("the log lists {found} files at version {version}, its checksum says {told} (CHK-4)");
            Error::corrupt(message).with_object(name.clone()).with_hint(MISCOUNT_HINT)
        };
        let full = |batch: &Result<FileBatch>| std::future::ready(batch.as_ref().map_or(true, |b| !b.is_empty()));
        let files = stream::once(opened).try_flatten().filter(full).boxed();
        match told {
            Some(Totals { num_files, .. }) => counted(files, num_files, None, move |found| miscount(found, num_files)),
            None => files,
        }
    }

    /// What `read` makes of the files. When the checkpoint turns out to be damaged, the files are found without it, from
    /// an older one or from the log alone, and read again (LOG-5).
    ///
    /// # Errors
    /// Those of `read`, the first where nothing else proves the state either.
    pub(crate) async fn with_repair<T, F: Future<Output = Result<T>>>(&self, read: impl Fn() -> F) -> Result<T> {
        let error = match read().await {
            Err(error) if is_damage(&error) && self.base.version().is_some() => error,
            other => return other,
        };
        tracing::warn!(table = %self.root.display(), %error, "passing over a checkpoint that can't be used");
        match Box::pin(self.without_checkpoint()).await {
            Ok(listed) => self.base.stand_in(listed),
            Err(_) => return Err(error),
        }
        read().await
    }

    /// The files at the checkpoint's version, found without it.
    async fn without_checkpoint(&self) -> Result<Listed> {
        let version = self.base.version().unwrap_or_default();
        let other = |segment: &LogSegment| {
            segment.checkpoint.as_ref().is_none_or(|(_, parts)| {
                let paths =
                    |parts: &[crate::store::ObjectInfo]| parts.iter().map(|p| p.path.clone()).collect::<Vec<_>>();
                paths(parts) != paths(self.base.parts())
            })
        };
        let candidates = LogSegment::find_all(&self.root, Some(version)).await?;
        let mut failed = Error::not_found("no other way to that version").with_object(self.root.display());
        for segment in candidates.filter(other) {
            match Self::of_segment(&self.root, &segment, &self.clock).await {
                Ok(found) => {
                    let adds = found.batches(&FilesWanted::adds()).try_collect().await;
                    let removes = found.batches(&FilesWanted::removes()).try_collect().await;
                    match (adds, removes) {
                        (Ok(adds), Ok(removes)) => return Ok(Listed { adds, removes }),
                        (Err(error), _) | (_, Err(error)) => failed = error,
                    }
                }
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}
