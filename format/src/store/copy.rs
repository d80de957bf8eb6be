//! An object under a second name.

use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::parquet::Upload;
use super::{TableRoot, local};
use crate::error::{Error, Result};

/// The largest object that S3 copies in one request.
const ONE_REQUEST_BYTES: u64 = 5 << 30;

impl TableRoot {
    /// Copies an object of `size_bytes` to a free name. The store does it where it can; an object that is too large for
    /// one request of S3 is read and written again, some megabytes at a time. The copy is as young as it is.
    ///
    /// # Errors
    /// The store's own, `Corrupt` for an object of another size. No copy is left then.
    pub async fn copy(&self, from: &Path, to: &Path, size_bytes: u64) -> Result<()> {
        self.copy_up_to(ONE_REQUEST_BYTES, from, to, size_bytes).await
    }

    async fn copy_up_to(&self, one_request_bytes: u64, from: &Path, to: &Path, size_bytes: u64) -> Result<()> {
        let named = |e: Error| e.with_object(self.name_of(from));
        let (Some(source), Some(target)) = (self.local_file(from), self.local_file(to)) else {
            if size_bytes > one_request_bytes {
                return self.copy_in_parts(from, to, size_bytes).await;
            }
            return self.store().copy(from, to).await.map_err(|e| named(e.into()));
        };
        let durability = self.durability();
        tokio::task::spawn_blocking(move || local::copy_file(&source, &target, durability))
            .await
            .map_err(|e| Error::internal("a copy was cut short").with_source(e))?
            .map_err(|e| named(e.into()))?;
        self.make_durable(to).await.map_err(named)
    }

    async fn copy_in_parts(&self, from: &Path, to: &Path, size_bytes: u64) -> Result<()> {
        let mut bytes = self.stream(from).await?;
        let mut upload = Upload::new(self, to.clone());
        let sent = async {
            while let Some(bytes) = bytes.try_next().await? {
                upload.push(bytes).await?;
            }
            if upload.total_bytes() == size_bytes {
                return Ok(());
            }
            let message =
                format!("the log says that the file has {size_bytes} bytes, and {} came", upload.total_bytes());
            Err(Error::corrupt(message).with_object(self.name_of(from)))
        };
        match sent.await {
            Ok(()) => upload.finish().await.map(drop),
            Err(error) => {
                upload.abort().await;
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::error::ErrorKind;

    /// RST-1
    #[tokio::test]
    async fn an_object_too_large_for_one_request_is_copied_in_parts() {
        let root = TableRoot::in_memory("t").expect("root");
        let path = |name: &str| root.child(name).expect("path");
        let whole: Vec<u8> = (0..20_u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let size_bytes = whole.len() as u64;
        root.put(&path("a"), Bytes::from(whole.clone())).await.expect("put");
        for (at, most) in [size_bytes, size_bytes - 1, 1].into_iter().enumerate() {
            let to = path(&format!("copy {at}"));
            root.copy_up_to(most, &path("a"), &to, size_bytes).await.expect("copied");
            assert!(root.get(&to).await.expect("there") == whole, "in requests of {most}");
        }
        let error = root.copy_up_to(1, &path("a"), &path("b"), size_bytes + 1).await.expect_err("another size");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "SCN-7: {error}");
        assert!(root.head(&path("b")).await.expect("asked").is_none(), "nothing is left");
        let error = root.copy_up_to(1, &path("none"), &path("b"), 9).await.expect_err("gone");
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
}
