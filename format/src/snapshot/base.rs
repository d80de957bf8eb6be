//! The files that a checkpoint lists, read when they are first needed.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use crate::action::columnar::{FileBatch, FileKind};
use crate::error::Result;
use crate::log::checkpoint::{CheckpointHead, FileSource, FilesWanted, StatsWanted, read_head, stream_files};
use crate::store::{ObjectInfo, TableRoot};

/// A checkpoint whose files take up to this many bytes is kept in memory once it was read; a larger one is read anew
/// each time, and only what is asked for.
const KEPT_BYTES: u64 = 4 << 20;

/// Where the files of a version below the commits in memory come from: a checkpoint, or nothing.
#[derive(Debug, Default)]
pub(super) struct Base {
    checkpoint: Option<Checkpoint>,
    kept: OnceCell<Listed>,
}

#[derive(Debug)]
struct Checkpoint {
    root: TableRoot,
    version: u64,
    parts: Vec<ObjectInfo>,
    sources: OnceCell<Vec<FileSource>>,
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
        Self { checkpoint: Some(Checkpoint { root, version, parts, sources }), kept: OnceCell::new() }
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
        let _ = self.kept.set(listed);
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
        if let Some(kept) = self.kept.get() {
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
        stream::iter(streams).flatten().boxed()
    }

    async fn listed(&self, sources: &[FileSource]) -> Result<Listed> {
        let all = |wanted| self.stream(sources, &wanted).try_collect::<Vec<_>>();
        let removes = FilesWanted::removes().with_stats(StatsWanted::All);
        Ok(Listed { adds: all(FilesWanted::adds()).await?, removes: all(removes).await? })
    }
}
