//! What order answers come in when every request takes a random time.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

use crate::seed::SplitMix64;

/// A store whose requests take a seeded random time on their way in and again on their way back. For runtimes with
/// paused time, where waiting costs nothing.
#[derive(Debug)]
pub struct LatencyStore<T> {
    inner: Arc<T>,
    line: Line,
}

/// The way between a client and the store.
#[derive(Clone, Debug)]
struct Line {
    rng: Arc<Mutex<SplitMix64>>,
    micros: RangeInclusive<u64>,
}

impl Line {
    async fn travel(&self) {
        let micros = self.rng.lock().unwrap_or_else(PoisonError::into_inner).within(self.micros.clone());
        #[expect(
            clippy::disallowed_methods,
            reason = "the time of the runtime under test is what this store simulates"
        )]
        tokio::time::sleep(Duration::from_micros(micros)).await;
    }

    async fn around<R>(&self, request: impl Future<Output = R>) -> R {
        self.travel().await;
        let answer = request.await;
        self.travel().await;
        answer
    }
}

impl<T: ObjectStore> LatencyStore<T> {
    /// Puts `inner` behind a line whose single way takes a time within `way`.
    pub fn new(inner: T, seed: u64, way: RangeInclusive<Duration>) -> Self {
        let micros = |time: &Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let line =
            Line { rng: Arc::new(Mutex::new(SplitMix64::new(seed))), micros: micros(way.start())..=micros(way.end()) };
        Self { inner: Arc::new(inner), line }
    }

    fn listing(
        &self,
        list: impl FnOnce(&T) -> BoxStream<'static, Result<ObjectMeta>> + Send + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, line) = (Arc::clone(&self.inner), self.line.clone());
        let listed = async move {
            let found: Vec<_> = line.around(list(&inner).try_collect()).await?;
            Ok::<_, Error>(stream::iter(found.into_iter().map(Ok)))
        };
        stream::once(listed).try_flatten().boxed()
    }
}

impl<T: ObjectStore> fmt::Display for LatencyStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LatencyStore({})", self.inner)
    }
}

#[async_trait]
impl<T: ObjectStore> ObjectStore for LatencyStore<T> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        self.line.around(self.inner.put_opts(location, payload, opts)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.line.around(self.inner.put_multipart_opts(location, opts)).await?;
        Ok(Box::new(LatencyUpload { inner, line: self.line.clone() }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.line.around(self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, line) = (Arc::clone(&self.inner), self.line.clone());
        let delete = move |location: Result<Path>| {
            let (inner, line) = (Arc::clone(&inner), line.clone());
            async move {
                let location = location?;
                line.around(inner.delete(&location)).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned();
        self.listing(move |inner| inner.list(prefix.as_ref()))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let (prefix, offset) = (prefix.cloned(), offset.clone());
        self.listing(move |inner| inner.list_with_offset(prefix.as_ref(), &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.line.around(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.line.around(self.inner.copy_opts(from, to, options)).await
    }
}

#[derive(Debug)]
struct LatencyUpload {
    inner: Box<dyn MultipartUpload>,
    line: Line,
}

#[async_trait]
impl MultipartUpload for LatencyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (line, part) = (self.line.clone(), self.inner.put_part(data));
        async move { line.around(part).await }.boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.line.around(self.inner.complete()).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.line.around(self.inner.abort()).await
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use object_store::memory::InMemory;

    use super::*;
    use crate::seed::simulate;

    /// Ten racing writes of one object: the one that stays, and the time it took.
    fn race(seed: u64) -> (String, Duration) {
        simulate(seed, |_| async move {
            let start = tokio::time::Instant::now();
            let way = Duration::from_millis(1)..=Duration::from_millis(50);
            let (store, path) = (LatencyStore::new(InMemory::new(), seed, way), Path::from("a"));
            let (store, path) = (&store, &path);
            join_all((0..10).map(|at| async move { store.put(path, at.to_string().into()).await.unwrap() })).await;
            let time = start.elapsed();
            let bytes = store.get(path).await.unwrap().bytes().await.unwrap();
            assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 1);
            (String::from_utf8(bytes.to_vec()).unwrap(), time)
        })
    }

    #[test]
    fn a_seed_gives_one_order_and_other_seeds_give_others() {
        let winners: Vec<_> = (0..20).map(race).collect();
        assert_eq!(winners, (0..20).map(race).collect::<Vec<_>>());
        assert!(winners.iter().any(|(winner, _)| *winner != winners[0].0));
        assert!(winners.iter().all(|(_, time)| (2..=100).contains(&time.as_millis())), "{winners:?}");
    }
}
