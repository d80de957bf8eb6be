//! How a write in parts goes under faults.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures::FutureExt;
use object_store::path::Path;
use object_store::{Error, MultipartUpload, PutPayload, PutResult, Result, UploadPart};
use tokio::sync::Mutex;

use super::faults::Faults;
use crate::op::Op;

/// A write in parts. A part whose upload failed is missing, and then the upload does not complete.
#[derive(Debug)]
pub(super) struct FaultyUpload {
    inner: Arc<Mutex<Box<dyn MultipartUpload>>>,
    location: Path,
    faults: Faults,
    part_missing: Arc<AtomicBool>,
}

impl FaultyUpload {
    pub(super) fn new(inner: Box<dyn MultipartUpload>, location: Path, faults: Faults) -> Self {
        Self { inner: Arc::new(Mutex::new(inner)), location, faults, part_missing: Arc::default() }
    }
}

#[async_trait]
impl MultipartUpload for FaultyUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        // Parts are numbered in the order of these calls, whatever the order their uploads end in. The upload is free
        // here: only `complete` and `abort` hold it, and they exclude this call.
        let part = match self.inner.try_lock() {
            Ok(mut inner) => inner.put_part(data),
            Err(_) => return async { Err(ended()) }.boxed(),
        };
        let (faults, location, missing) = (self.faults.clone(), self.location.clone(), Arc::clone(&self.part_missing));
        async move {
            let decision = faults.begin(Op::PutPart, &location).await;
            let answer = faults.finish(decision, part).await;
            missing.fetch_or(answer.is_err(), Ordering::Relaxed);
            answer
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let decision = self.faults.begin(Op::CompleteMultipart, &self.location).await;
        let (inner, missing) = (Arc::clone(&self.inner), Arc::clone(&self.part_missing));
        let effect = async move {
            if missing.load(Ordering::Relaxed) {
                return Err(ended());
            }
            inner.lock().await.complete().await
        };
        self.faults.finish(decision, effect).await
    }

    async fn abort(&mut self) -> Result<()> {
        let decision = self.faults.begin(Op::AbortMultipart, &self.location).await;
        let inner = Arc::clone(&self.inner);
        self.faults.finish(decision, async move { inner.lock().await.abort().await }).await
    }
}

fn ended() -> Error {
    Error::Generic { store: "faulty", source: "a part of the upload is missing, or the upload has ended".into() }
}
