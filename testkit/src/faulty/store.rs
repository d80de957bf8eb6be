//! How a store serves requests under faults.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::faults::Faults;
use super::plan::Fault;
use super::read::{stale, truncated};
use super::upload::FaultyUpload;
use crate::op::Op;

/// A store that fails as its [`Faults`] say. A read of several ranges is one request for each range after coalescing, a
/// rename a copy and a delete, a bulk delete one request for each object.
///
/// Several clients with faults of their own are several `FaultyStore`s over one `Arc` of the inner store.
#[derive(Debug)]
pub struct FaultyStore<T> {
    inner: Arc<T>,
    faults: Faults,
}

impl<T: ObjectStore> FaultyStore<T> {
    /// Puts `faults` in front of `inner`.
    pub fn new(inner: T, faults: Faults) -> Self {
        Self { inner: Arc::new(inner), faults }
    }

    /// The faults, to be changed while the store is used.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The store behind the faults, to look at what is really there.
    pub fn inner(&self) -> &T {
        &self.inner
    }

    fn listing(
        &self,
        prefix: Option<&Path>,
        list: impl FnOnce(&T, Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> + Send + 'static,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let (inner, faults, prefix) = (Arc::clone(&self.inner), self.faults.clone(), prefix.cloned());
        let listed = async move {
            let decision = faults.begin(Op::List, prefix.as_ref().unwrap_or(&Path::default())).await;
            let fault = decision.fault();
            // Listed only once the request has its effect.
            let effect = async move { list(&inner, prefix.as_ref()).try_collect::<Vec<_>>().await };
            let found = faults.finish(decision, effect).await?;
            let seen = if let Fault::StaleList { hide } = fault { stale(found, hide) } else { found };
            Ok::<_, Error>(stream::iter(seen.into_iter().map(Ok)))
        };
        stream::once(listed).try_flatten().boxed()
    }
}

impl<T: ObjectStore> fmt::Display for FaultyStore<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyStore({})", self.inner)
    }
}

#[async_trait]
impl<T: ObjectStore> ObjectStore for FaultyStore<T> {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let decision = self.faults.begin(Op::Put, location).await;
        let (inner, location) = (Arc::clone(&self.inner), location.clone());
        self.faults.finish(decision, async move { inner.put_opts(&location, payload, opts).await }).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let decision = self.faults.begin(Op::CreateMultipart, location).await;
        let (inner, at) = (Arc::clone(&self.inner), location.clone());
        let upload = self.faults.finish(decision, async move { inner.put_multipart_opts(&at, opts).await }).await?;
        Ok(Box::new(FaultyUpload::new(upload, location.clone(), self.faults.clone())))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let op = if options.head { Op::Head } else { Op::Get };
        let decision = self.faults.begin(op, location).await;
        let cut = match decision.fault() {
            Fault::TruncatedRead { keep_bytes, then } => Some((keep_bytes, then.map(|then| decision.error(then)))),
            _ => None,
        };
        let (inner, location) = (Arc::clone(&self.inner), location.clone());
        let result = self.faults.finish(decision, async move { inner.get_opts(&location, options).await }).await?;
        match cut {
            Some((keep_bytes, then)) => truncated(result, keep_bytes, then).await,
            None => Ok(result),
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, faults) = (Arc::clone(&self.inner), self.faults.clone());
        let delete = move |location: Result<Path>| {
            let (inner, faults) = (Arc::clone(&inner), faults.clone());
            async move {
                let location = location?;
                let decision = faults.begin(Op::Delete, &location).await;
                let at = location.clone();
                faults.finish(decision, async move { inner.delete(&at).await }).await?;
                Ok(location)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listing(prefix, |inner, prefix| inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let offset = offset.clone();
        self.listing(prefix, move |inner, prefix| inner.list_with_offset(prefix, &offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let decision = self.faults.begin(Op::List, prefix.unwrap_or(&Path::default())).await;
        let fault = decision.fault();
        let (inner, prefix) = (Arc::clone(&self.inner), prefix.cloned());
        let effect = async move { inner.list_with_delimiter(prefix.as_ref()).await };
        let mut found = self.faults.finish(decision, effect).await?;
        if let Fault::StaleList { hide } = fault {
            found.objects = stale(found.objects, hide);
        }
        Ok(found)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let decision = self.faults.begin(Op::Copy, to).await;
        let (inner, from, to) = (Arc::clone(&self.inner), from.clone(), to.clone());
        self.faults.finish(decision, async move { inner.copy_opts(&from, &to, options).await }).await
    }
}
