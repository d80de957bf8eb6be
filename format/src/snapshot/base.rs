//! The files that a checkpoint lists, read when they are first needed.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use crate::action::columnar::{FileBatch, FileKind, Sieve};
use crate::error::{Error, Result};
use crate::log::checkpoint::{CheckpointHead, FileSource, FilesWanted, StatsWanted, read_head, stream_files};
use crate::store::{ObjectInfo, TableRoot};

/// A checkpoint whose files take up to this many bytes is kept in memory once it was read; a larger one is read anew
/// each time, and only what is asked for.
const KEPT_BYTES: u64 = 4 << 20;
/// What to do about a checkpoint that nothing can stand in for.
pub(super) const MISCOUNT_HINT: &str = "its commits are gone, so nothing else proves which files there are; restore \
    the log's files from a backup, or read an older version";

/// Where the files of a version below the commits in memory come from: a checkpoint, or nothing.
#[derive(Debug, Default)]
pub(super) struct Base {
    checkpoint: Option<Checkpoint>,
    kept: OnceCell<Listed>,
    /// What the checkpoint should have said, where it was found to be damaged.
    mended: OnceCell<Listed>,
}

#[derive(Debug)]
struct Checkpoint {
    root: TableRoot,
    version: u64,
    parts: Vec<ObjectInfo>,
    sources: OnceCell<Vec<FileSource>>,
    /// Files that it lists, by the hint.
    told_files: Option<u64>,
}

/// Everything that a checkpoint says of files.
#[derive(Clone, Debug, Default)]
pub(super) struct Listed {
    pub(super) adds: Vec<FileBatch>,
    pub(super) removes: Vec<FileBatch>,
}

impl Listed {
    fn of(&self, kind: FileKind) -> &[FileBatch] {
        match kind {
            FileKind::Add => &self.adds,
            FileKind::Remove => &self.removes,
        }
    }
}

impl Base {
    /// The files of a checkpoint; `head` if it was read already.
    pub(super) fn checkpoint(
        root: TableRoot,
        version: u64,
        parts: Vec<ObjectInfo>,
        head: Option<CheckpointHead>,
    ) -> Self {
        let sources = OnceCell::new_with(head.map(|head| head.sources));
        let checkpoint = Checkpoint { root, version, parts, sources, told_files: None };
        Self { checkpoint: Some(checkpoint), ..Self::default() }
    }

    /// With the number of files that the hint tells of the checkpoint.
    pub(super) fn telling(mut self, files: Option<u64>) -> Self {
        if let Some(checkpoint) = &mut self.checkpoint {
            checkpoint.told_files = files;
        }
        self
    }

    /// Whether what it says is that of a checkpoint, which may be wrong, and not of the commits.
    pub(super) fn is_doubtful(&self) -> bool {
        self.checkpoint.is_some() && self.mended.get().is_none()
    }

    /// Version of the checkpoint.
    pub(super) fn version(&self) -> Option<u64> {
        self.checkpoint.as_ref().map(|checkpoint| checkpoint.version)
    }

    /// The checkpoint's main files.
    pub(super) fn parts(&self) -> &[ObjectInfo] {
        self.checkpoint.as_ref().map_or(&[], |checkpoint| &checkpoint.parts)
    }

    /// Says in the checkpoint's place what it should have said.
    pub(super) fn stand_in(&self, listed: Listed) {
        // Another task was faster: it found the same.
        let _ = self.mended.set(listed);
    }

    /// The files wanted, statistics at least as wanted.
    ///
    /// # Errors
    /// Each item can fail, and the stream ends there: `Corrupt` or `NotFound` for a damaged checkpoint, the store's own.
    pub(super) fn batches(self: &Arc<Self>, wanted: &FilesWanted) -> BoxStream<'static, Result<FileBatch>> {
        let (base, wanted) = (Arc::clone(self), wanted.clone());
        let opened = async move { base.open(&wanted).await };
        stream::once(opened).try_flatten().boxed()
    }

    async fn open(&self, wanted: &FilesWanted) -> Result<BoxStream<'static, Result<FileBatch>>> {
        if let Some(kept) = self.mended.get().or_else(|| self.kept.get()) {
            return Ok(replay(kept.of(wanted.kind)));
        }
        let Some(checkpoint) = &self.checkpoint else { return Ok(stream::empty().boxed()) };
        let sources = checkpoint.sources().await?;
        let bytes = sources.iter().fold(0, |sum: u64, source| sum.saturating_add(source.object().size_bytes));
        if bytes > KEPT_BYTES {
            return Ok(checkpoint.stream(sources, wanted));
        }
        let kept = self.kept.get_or_try_init(|| checkpoint.listed(sources)).await?;
        Ok(replay(kept.of(wanted.kind)))
    }
}

/// `batches`, and behind them an error if they hold other than `told` files, with those that a sieve left out.
pub(super) fn counted(
    batches: BoxStream<'static, Result<FileBatch>>,
    told: u64,
    sieve: Option<Arc<dyn Sieve>>,
    miscount: impl Fn(u64) -> Error + Send + 'static,
) -> BoxStream<'static, Result<FileBatch>> {
    struct Counted<M> {
        batches: Option<BoxStream<'static, Result<FileBatch>>>,
        seen: u64,
        sieve: Option<Arc<dyn Sieve>>,
        miscount: M,
    }
    let state = Counted { batches: Some(batches), seen: 0, sieve, miscount };
    let counted = stream::unfold(state, move |mut state| async move {
        let mut batches = state.batches.take()?;
        match batches.next().await {
            Some(Ok(batch)) => {
                state.seen = state.seen.saturating_add(batch.len() as u64);
                state.batches = Some(batches);
                Some((Ok(batch), state))
            }
            Some(Err(error)) => Some((Err(error), state)),
            None => {
                let left_out = state.sieve.as_ref().map_or(0, |sieve| sieve.files_left_out());
                let found = state.seen.saturating_add(left_out);
                (found != told).then(|| (Err((state.miscount)(found)), state))
            }
        }
    });
    counted.boxed()
}

fn replay(batches: &[FileBatch]) -> BoxStream<'static, Result<FileBatch>> {
    stream::iter(batches.to_vec()).map(Ok).boxed()
}

impl Checkpoint {
    async fn sources(&self) -> Result<&[FileSource]> {
        let read = || async { Ok(read_head(&self.root, &self.parts).await?.sources) };
        self.sources.get_or_try_init(read).await.map(Vec::as_slice)
    }

    fn stream(&self, sources: &[FileSource], wanted: &FilesWanted) -> BoxStream<'static, Result<FileBatch>> {
        let streams: Vec<_> = sources.iter().map(|source| stream_files(&self.root, source, wanted)).collect();
        let files = stream::iter(streams).flatten().boxed();
        let Some(told) = self.told_files.filter(|_| wanted.kind == FileKind::Add) else { return files };
        let name = self.parts.first().map(|part| self.root.name_of(&part.path)).unwrap_or_default();
        let left_out = wanted.sieve.clone();
        counted(files, told, left_out, move |found| {
            let message = format!("the checkpoint lists {found} files, and the hint says {told} (CHK-4)");
            Error::corrupt(message).with_object(name.clone()).with_hint(MISCOUNT_HINT)
        })
    }

    async fn listed(&self, sources: &[FileSource]) -> Result<Listed> {
        let all = |wanted| self.stream(sources, &wanted).try_collect::<Vec<_>>();
        let removes = FilesWanted::removes().with_stats(StatsWanted::All);
        Ok(Listed { adds: all(FilesWanted::adds()).await?, removes: all(removes).await? })
    }
}
