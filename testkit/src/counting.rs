//! How many requests and bytes a piece of work costs.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use crate::op::{Op, Request};

/// A store that counts what it is asked for. What an S3 client would send as several requests counts as several: ranges
/// after coalescing, a rename as copy and delete, a bulk delete as one per object.
#[derive(Debug)]
pub struct CountingStore<T> {
    inner: Arc<T>,
    counters: Counters,
}

/// The counts of a [`CountingStore`]. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Counters(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    requests: Vec<Request>,
    bytes_read: u64,
    bytes_written: u64,
}

impl Counters {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, op: Op, path: &Path) {
        self.counts().requests.push(Request { op, path: path.clone() });
    }

    fn write(&self, op: Op, path: &Path, payload: &PutPayload) {
        self.request(op, path);
        self.counts().bytes_written += payload.content_length() as u64;
    }

    /// Requests of one kind.
    pub fn of(&self, op: Op) -> u64 {
        self.by_op().get(&op).copied().unwrap_or_default()
    }

    /// Requests of each kind that came.
    pub fn by_op(&self) -> BTreeMap<Op, u64> {
        self.counts().requests.iter().fold(BTreeMap::new(), |mut sums, request| {
            *sums.entry(request.op).or_default() += 1;
            sums
        })
    }

    /// All requests.
    pub fn total(&self) -> u64 {
        self.counts().requests.len() as u64
    }

    /// The requests, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.counts().requests.clone()
    }

    /// Bytes of objects that readers took.
    pub fn bytes_read(&self) -> u64 {
        self.counts().bytes_read
    }

    /// Bytes of objects that writers sent.
    pub fn bytes_written(&self) -> u64 {
        self.counts().bytes_written
    }

    /// Begins again at zero.
    pub fn reset(&self) {
        *self.counts() = Counts::default();
    }
}

impl<T: ObjectStore> CountingStore<T> {
    /// Counts the requests to `inner`.
    pub fn new(inner: T) -> Self {
        Self { inner: Arc::new(inner), counters: Counters::default() }
    }

    /// The counts, also after the store has gone into another hand.
    pub fn counters(&self) -> Counters {
        self.counters.clone()
    }
}

impl<T: ObjectStore> fmt::Display for CountingStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CountingStore({})", self.inner)
    }
}

#[async_trait]
impl<T: ObjectStore> ObjectStore for CountingStore<T> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.counters.write(Op::Put, location, &payload);
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.counters.request(Op::CreateMultipart, location);
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(CountingUpload { inner, location: location.clone(), counters: self.counters() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let op = if options.head { Op::Head } else { Op::Get };
        self.counters.request(op, location);
        let mut result = self.inner.get_opts(location, options).await?;
        if op == Op::Get {
            result.payload = match result.payload {
                GetResultPayload::Stream(stream) => {
                    let counters = self.counters();
                    let counted = stream.inspect_ok(move |bytes| counters.counts().bytes_read += bytes.len() as u64);
                    GetResultPayload::Stream(counted.boxed())
                }
                // A file is read outside of the store: all of the range counts.
                file @ GetResultPayload::File(..) => {
                    self.counters.counts().bytes_read += result.range.end - result.range.start;
                    file
                }
            };
        }
        Ok(result)
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let counters = self.counters();
        self.inner.delete_stream(locations.inspect_ok(move |path| counters.request(Op::Delete, path)).boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counters.request(Op::List, prefix.unwrap_or(&Path::default()));
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.counters.request(Op::List, prefix.unwrap_or(&Path::default()));
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.counters.request(Op::List, prefix.unwrap_or(&Path::default()));
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.counters.request(Op::Copy, to);
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn MultipartUpload>,
    location: Path,
    counters: Counters,
}

#[async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.counters.write(Op::PutPart, &self.location, &data);
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.counters.request(Op::CompleteMultipart, &self.location);
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.counters.request(Op::AbortMultipart, &self.location);
        self.inner.abort().await
    }
}

#[cfg(test)]
mod tests {
    use object_store::ObjectStoreExt;
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn every_request_and_byte_is_counted() {
        let store = CountingStore::new(InMemory::new());
        let counters = store.counters();
        let (a, b) = (Path::from("d/a"), Path::from("d/b"));
        store.put(&a, "0123456789".into()).await.unwrap();
        store.get(&a).await.unwrap().bytes().await.unwrap();
        store.get_range(&a, 2..5).await.unwrap();
        store.get_ranges(&a, &[0..2, 4..6]).await.unwrap();
        store.head(&a).await.unwrap();
        store.rename(&a, &b).await.unwrap();
        store.list(None).try_collect::<Vec<_>>().await.unwrap();
        store.list_with_offset(None, &a).try_collect::<Vec<_>>().await.unwrap();
        store.list_with_delimiter(Some(&Path::from("d"))).await.unwrap();
        let expected = [(Op::Put, 1), (Op::Get, 3), (Op::Head, 1), (Op::Delete, 1), (Op::List, 3), (Op::Copy, 1)];
        assert_eq!(counters.by_op(), expected.into_iter().collect());
        // The two ranges are near one another and become one request of six bytes.
        assert_eq!((counters.bytes_written(), counters.bytes_read()), (10, 10 + 3 + 6));
        assert_eq!(counters.requests().last().unwrap().path, Path::from("d"));
        counters.reset();
        assert_eq!((counters.total(), counters.bytes_read()), (0, 0));
    }

    #[tokio::test]
    async fn an_upload_counts_its_parts() {
        let store = CountingStore::new(InMemory::new());
        let mut upload = store.put_multipart(&Path::from("a")).await.unwrap();
        upload.put_part("abc".into()).await.unwrap();
        upload.put_part("de".into()).await.unwrap();
        upload.complete().await.unwrap();
        let counters = store.counters();
        let counts = [Op::CreateMultipart, Op::PutPart, Op::CompleteMultipart].map(|op| counters.of(op));
        assert_eq!((counts, counters.bytes_written()), ([1, 2, 1], 5));
    }
}
