//! Whole objects, written at once, and made to last as long as they should.

use std::collections::BTreeSet;
use std::path::PathBuf;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::{Durability, TableRoot, local};
use crate::error::{Error, Result};

/// Fewer bytes go to the system's memory quicker than the work to another thread.
const QUICK_BYTES: usize = 1 << 20;

/// Files synced at once.
const SYNCS_AT_ONCE: usize = 8;
/// So many are synced one after the other, beside the bytes of the commit.
const FEW_FILES: usize = 2;

/// Does some work on local files that writes `bytes`: on a thread that may wait, unless there is nothing to wait for.
///
/// # Errors
/// `Internal` when the work was cut short: nobody knows how far it went.
pub(super) async fn on_disk<T: Send + 'static>(
    durability: Durability,
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    if durability == Durability::None && bytes <= QUICK_BYTES {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|e| Error::internal("work on a local file was cut short").with_source(e))
}

/// Local files that are written but not synced, and so are no ground for a commit yet. Empty for a remote store.
#[derive(Debug, Default)]
#[must_use = "files that are not synced may be lost in a crash"]
pub struct Unsynced {
    files: Vec<PathBuf>,
}

impl Unsynced {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// With the files of `other`.
    pub fn join(&mut self, other: Self) {
        self.files.extend(other.files);
    }

    /// What is to be synced, if it is little.
    pub(super) fn few(self) -> std::result::Result<Vec<PathBuf>, Self> {
        if self.files.len() > FEW_FILES { Err(self) } else { Ok(self.paths()) }
    }

    /// The files and, once each, their directories.
    fn paths(self) -> Vec<PathBuf> {
        let folders: BTreeSet<PathBuf> = self.files.iter().filter_map(|file| file.parent()).map(Into::into).collect();
        self.files.into_iter().chain(folders).collect()
    }

    /// Syncs the files and, once each, their directories, several at a time: one turn of the disk can serve them all.
    ///
    /// # Errors
    /// What the system says, naming the file: then nobody knows what of it would outlive a crash.
    pub async fn sync(self) -> Result<()> {
        let sync = |path: PathBuf| async move {
            let name = path.display().to_string();
            let synced = on_disk(Durability::Full, 0, move || local::sync_contents(&path, Durability::Full)).await?;
            synced.map_err(|e| Error::from(e).with_object(name))
        };
        stream::iter(self.paths()).map(sync).buffer_unordered(SYNCS_AT_ONCE).try_collect().await
    }
}

impl TableRoot {
    /// Writes an object, over what is there, and makes it last.
    ///
    /// # Errors
    /// The store's own; what was there before may be there still.
    pub async fn put(&self, path: &Path, bytes: Bytes) -> Result<()> {
        self.place(path, vec![bytes], self.durability()).await
    }

    /// Writes an object, over what is there, that nobody needs: it is not synced, and a crash of the machine may leave it
    /// as it was before, empty or cut short.
    ///
    /// # Errors
    /// As [`TableRoot::put`].
    pub async fn put_aid(&self, path: &Path, bytes: Bytes) -> Result<()> {
        self.place(path, vec![bytes], Durability::None).await
    }

    /// Writes an object of `parts`, and makes it last.
    pub(super) async fn put_parts(&self, path: &Path, parts: Vec<Bytes>) -> Result<()> {
        self.place(path, parts, self.durability()).await
    }

    /// Writes an object of `parts` under a name of its own, and leaves it to the caller to make it last.
    pub(super) async fn put_unsynced(&self, path: &Path, parts: Vec<Bytes>) -> Result<Unsynced> {
        let file = self.local_file(path).filter(|_| self.durability() == Durability::Full && !self.is_of_log(path));
        let Some(file) = file else { return self.put_parts(path, parts).await.map(|()| Unsynced::default()) };
        let bytes = parts.iter().map(Bytes::len).sum();
        let write = {
            let file = file.clone();
            move || local::write_unsynced(&file, &parts, Durability::Full)
        };
        on_disk(Durability::None, bytes, write).await?.map_err(|e| Error::from(e).with_object(self.name_of(path)))?;
        Ok(Unsynced { files: vec![file] })
    }

    fn is_of_log(&self, path: &Path) -> bool {
        self.relative(path).is_none_or(|relative| relative.starts_with("_delta_log"))
    }

    async fn place(&self, path: &Path, parts: Vec<Bytes>, durability: Durability) -> Result<()> {
        let Some(file) = self.local_file(path) else {
            let put = self.store().put(path, parts.into_iter().collect::<PutPayload>()).await;
            return put.map(drop).map_err(|e| Error::from(e).with_object(self.name_of(path)));
        };
        // A data file has a name of its own, which nobody looks for before a commit tells it.
        let write = if self.is_of_log(path) { local::replace } else { local::write_new };
        let bytes = parts.iter().map(Bytes::len).sum();
        let written = on_disk(durability, bytes, move || write(&file, &parts, durability)).await?;
        written.map_err(|e| Error::from(e).with_object(self.name_of(path)))
    }

    /// Makes an object that was just written outlive a crash. A remote store has done so already.
    ///
    /// # Errors
    /// What the system says.
    pub async fn make_durable(&self, path: &Path) -> Result<()> {
        let Some(file) = self.local_file(path) else { return Ok(()) };
        let durability = self.durability();
        on_disk(durability, 0, move || local::sync_file(&file, durability))
            .await?
            .map_err(|e| Error::from(e).with_object(self.name_of(path)))
    }
}
