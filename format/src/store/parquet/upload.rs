//! Bytes of one new object, sent in parts as they come.

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStoreExt, WriteMultipart};

use crate::error::{Error, Result};
use crate::store::local::create_directories;
use crate::store::{TableRoot, Unsynced};

/// Size of a part. An object below it goes in one request.
const PART_BYTES: usize = 8 << 20;
/// Parts on their way at once.
const PARTS_IN_FLIGHT: usize = 2;

/// A new object. Nothing has its name until [`Upload::finish`].
pub(in crate::store) struct Upload {
    root: TableRoot,
    path: Path,
    held: Vec<Bytes>,
    parts: Option<WriteMultipart>,
    total_bytes: u64,
    in_flight: bool,
    /// True while bytes are handed over, and for good if that fails or is cut short.
    broken: bool,
}

impl Upload {
    pub(in crate::store) fn new(root: &TableRoot, path: Path) -> Self {
        let root = root.clone();
        Self { root, path, held: Vec::new(), parts: None, total_bytes: 0, in_flight: false, broken: false }
    }

    /// Bytes taken so far.
    pub(in crate::store) fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Bytes held in memory.
    pub(in crate::store) fn held_bytes(&self) -> usize {
        match self.parts {
            None => usize::try_from(self.total_bytes).unwrap_or(usize::MAX),
            Some(_) => {
                let rest = usize::try_from(self.total_bytes % PART_BYTES as u64).unwrap_or(PART_BYTES);
                rest + if self.in_flight { PARTS_IN_FLIGHT * PART_BYTES } else { 0 }
            }
        }
    }

    /// Takes the next bytes and sends what fills a part.
    pub(in crate::store) async fn push(&mut self, bytes: Bytes) -> Result<()> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(self.cut_short());
        }
        self.send(bytes).await?;
        self.broken = false;
        Ok(())
    }

    async fn send(&mut self, bytes: Bytes) -> Result<()> {
        self.total_bytes += bytes.len() as u64;
        self.held.push(bytes);
        if self.parts.is_none() {
            if self.total_bytes < PART_BYTES as u64 {
                return Ok(());
            }
            make_directory(&self.root, &self.path).await?;
            let upload = self.root.store().put_multipart(&self.path).await.map_err(|e| self.named(e))?;
            self.parts = Some(WriteMultipart::new_with_chunk_size(upload, PART_BYTES));
        }
        let held = std::mem::take(&mut self.held);
        let Some(parts) = &mut self.parts else { return Ok(()) };
        for mut bytes in held {
            while !bytes.is_empty() {
                let piece = bytes.split_to(bytes.len().min(PART_BYTES));
                if let Err(error) = parts.wait_for_capacity(PARTS_IN_FLIGHT).await {
                    return Err(self.named(error));
                }
                parts.put(piece);
                self.in_flight = true;
            }
        }
        Ok(())
    }

    /// Waits until no part is on its way.
    pub(in crate::store) async fn settle(&mut self) -> Result<()> {
        if let Some(parts) = &mut self.parts {
            let settled = parts.wait_for_capacity(1).await;
            self.in_flight = false;
            settled.map_err(|e| self.named(e))?;
        }
        Ok(())
    }

    /// Gives the object its name and makes it last. Returns its size.
    pub(in crate::store) async fn finish(self) -> Result<u64> {
        let (bytes, unsynced) = self.finish_unsynced().await?;
        unsynced.sync().await?;
        Ok(bytes)
    }

    /// Gives the object its name, and leaves it to the caller to make it last.
    pub(in crate::store) async fn finish_unsynced(mut self) -> Result<(u64, Unsynced)> {
        if self.broken {
            let error = self.cut_short();
            self.abort().await;
            return Err(error);
        }
        match self.parts.take() {
            Some(parts) => {
                parts.finish().await.map_err(|e| self.named(e))?;
                self.root.make_durable(&self.path).await?;
                Ok((self.total_bytes, Unsynced::default()))
            }
            None => {
                let parts = std::mem::take(&mut self.held);
                Ok((self.total_bytes, self.root.put_unsynced(&self.path, parts).await?))
            }
        }
    }

    /// Gives up: parts that were sent are dropped, as far as the store answers.
    pub(in crate::store) async fn abort(mut self) {
        if let Some(parts) = self.parts.take()
            && let Err(error) = parts.abort().await
        {
            tracing::debug!(path = %self.path, %error, "an unfinished upload stays behind");
        }
    }

    fn cut_short(&self) -> Error {
        Error::internal("a file is written on after a failure").with_object(self.root.name_of(&self.path))
    }

    fn named(&self, error: object_store::Error) -> Error {
        Error::from(error).with_object(self.root.name_of(&self.path))
    }
}

/// New directories of a local table must outlive a crash as their files do.
async fn make_directory(root: &TableRoot, path: &Path) -> Result<()> {
    let Some(file) = root.local_file(path) else { return Ok(()) };
    let durability = root.durability();
    let make = move || file.parent().map_or(Ok(()), |folder| create_directories(folder, durability));
    let made = tokio::task::spawn_blocking(make).await;
    made.map_err(|e| Error::internal("a directory was not made").with_source(e))?
        .map_err(|e| Error::from(e).with_object(root.name_of(path)))
}
