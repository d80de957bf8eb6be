//! What is left of bodies and listings after a fault.

use std::cmp::Reverse;

use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::{Error, GetResult, GetResultPayload, ObjectMeta, Result};

/// The result with a body that ends after `keep_bytes`, with or without an error.
pub(super) async fn truncated(result: GetResult, keep_bytes: u64, then: Option<Error>) -> Result<GetResult> {
    let (meta, range, attributes) = (result.meta.clone(), result.range.clone(), result.attributes.clone());
    let whole = result.bytes().await?;
    let keep = usize::try_from(keep_bytes).unwrap_or(usize::MAX).min(whole.len());
    let chunks: Vec<Result<Bytes>> = [Ok(whole.slice(..keep))].into_iter().chain(then.map(Err)).collect();
    Ok(GetResult { payload: GetResultPayload::Stream(stream::iter(chunks).boxed()), meta, range, attributes })
}

/// The listing without the `hide` objects written last.
pub(super) fn stale(mut objects: Vec<ObjectMeta>, hide: usize) -> Vec<ObjectMeta> {
    let mut newest: Vec<_> = objects.iter().map(|object| (object.last_modified, object.location.clone())).collect();
    newest.sort_by_key(|key| Reverse(key.clone()));
    newest.truncate(hide);
    objects.retain(|object| !newest.iter().any(|(_, location)| *location == object.location));
    objects
}
