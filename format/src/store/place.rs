//! Whole objects, written at once, and made to last as long as they should.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};

use super::{Durability, TableRoot, local};
use crate::error::{Error, Result};

/// Fewer bytes go to the system's memory quicker than the work to another thread.
const QUICK_BYTES: usize = 1 << 20;

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

    async fn place(&self, path: &Path, parts: Vec<Bytes>, durability: Durability) -> Result<()> {
        let Some(file) = self.local_file(path) else {
            let put = self.store().put(path, parts.into_iter().collect::<PutPayload>()).await;
            return put.map(drop).map_err(|e| Error::from(e).with_object(self.name_of(path)));
        };
        // A data file has a name of its own, which nobody looks for before a commit tells it.
        let replaces = self.relative(path).is_none_or(|relative| relative.starts_with("_delta_log"));
        let write = if replaces { local::replace } else { local::write_new };
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
