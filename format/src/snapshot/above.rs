//! What the commits above the checkpoint say of files: in memory, or read when first needed.

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::OnceCell;

use crate::action::Action;
use crate::error::Result;
use crate::log::{FileLines, Part, read_parts, stream_parts};
use crate::replay::{Changes, Tail, TailFold};
use crate::store::{ObjectInfo, TableRoot};

/// Commits of more bytes than these, that are not in memory, are read anew each time, and only what is asked for.
const KEPT_BYTES: u64 = 64 << 20;
/// Commits read at once.
const CONCURRENT_COMMITS: usize = 8;
/// Larger ones are read one after the other, each a piece at a time.
const SMALL_BYTES: u64 = 1 << 20;

/// The commits above a checkpoint.
#[derive(Debug, Default)]
pub(super) struct Above {
    /// What those below `commits` say, when it was put together already.
    under: Option<Arc<Tail>>,
    /// Oldest first.
    commits: Vec<Piece>,
    tail: OnceCell<Arc<Tail>>,
}

/// A commit, or several made into one.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Its actions that speak of files.
    Actions(Arc<Vec<Action>>),
    /// What it says of files.
    Read(Arc<Vec<Changes>>),
    /// Its newest version and its file.
    Listed(u64, ObjectInfo),
}

/// What the commits say, newest first.
pub(super) enum Newer {
    /// All of it.
    Kept(Arc<Tail>),
    /// As it is read, not reconciled.
    Streamed(BoxStream<'static, Result<Changes>>),
}

impl Piece {
    /// What a commit says of files.
    pub(super) fn of(actions: Vec<Action>) -> Self {
        let of_file = |action: &Action| matches!(action, Action::Add(_) | Action::Remove(_));
        Self::Actions(Arc::new(actions.into_iter().filter(of_file).collect()))
    }

    fn bytes_to_read(&self) -> u64 {
        match self {
            Self::Listed(_, object) => object.size_bytes,
            _ => 0,
        }
    }

    /// What it says: at once what is small, the rest as it is read.
    async fn changes(self, root: TableRoot, files: FileLines) -> Result<BoxStream<'static, Result<Changes>>> {
        let whole = match self {
            Self::Actions(actions) => vec![Changes::of(&actions, &root.home())?],
            Self::Read(changes) => changes.to_vec(),
            Self::Listed(version, object) if object.size_bytes > SMALL_BYTES => {
                let parts = stream_parts(&root, &object.path, version, files);
                return Ok(parts.map_ok(|part| part.changes).boxed());
            }
            Self::Listed(version, object) => {
                let parts: Vec<Part> = read_parts(&root, &object.path, version, files).await?;
                parts.into_iter().map(|part| part.changes).collect()
            }
        };
        Ok(stream::iter(whole).map(Ok).boxed())
    }
}

impl Above {
    pub(super) fn new(commits: Vec<Piece>) -> Self {
        Self { under: None, commits, tail: OnceCell::new() }
    }

    /// With one more commit. What was put together stays so.
    pub(super) fn pushed(&self, actions: Vec<Action>) -> Self {
        self.with(Piece::of(actions))
    }

    /// As [`Above::pushed`].
    pub(super) fn with(&self, piece: Piece) -> Self {
        let (under, mut commits) = match self.tail.get() {
            Some(tail) => (Some(Arc::clone(tail)), Vec::new()),
            None => (self.under.clone(), self.commits.clone()),
        };
        commits.push(piece);
        Self { under, commits, tail: OnceCell::new() }
    }

    /// What they say together, in memory: with all statistics unless there is too much of it.
    pub(super) async fn newer(&self, root: &TableRoot, stats: bool) -> Result<Newer> {
        let to_read = self.commits.iter().fold(0, |sum: u64, piece| sum.saturating_add(piece.bytes_to_read()));
        if to_read <= KEPT_BYTES || self.under.is_some() || self.tail.initialized() {
            return Ok(Newer::Kept(self.tail(root).await?));
        }
        let files = if stats { FileLines::WithStats } else { FileLines::Bare };
        Ok(Newer::Streamed(self.changes(root, files)))
    }

    fn changes(&self, root: &TableRoot, files: FileLines) -> BoxStream<'static, Result<Changes>> {
        let pieces: Vec<_> =
            self.commits.iter().rev().cloned().map(|piece| piece.changes(root.clone(), files)).collect();
        stream::iter(pieces).buffered(CONCURRENT_COMMITS).try_flatten().boxed()
    }

    /// What they say together.
    ///
    /// # Errors
    /// `Corrupt` for a damaged commit, the store's own.
    pub(super) async fn tail(&self, root: &TableRoot) -> Result<Arc<Tail>> {
        let fold = || async {
            let mut fold = TailFold::new(root.home());
            let mut changes = self.changes(root, FileLines::WithStats);
            while let Some(changes) = changes.try_next().await? {
                fold.take(&changes)?;
            }
            fold.over(self.under.as_deref()).map(Arc::new)
        };
        self.tail.get_or_try_init(fold).await.cloned()
    }
}
