//! Put-if-absent: the one place where a version of a table comes into being.

use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::future::{Either, select};
use object_store::{PutMode, PutOptions, path::Path};

use super::local::{self, Created};
use super::place::{Unsynced, on_disk};
use super::{Durability, TableRoot};
use crate::clock::Clock;
use crate::error::{Error, Result};

/// What is known after one put-if-absent.
#[derive(Debug)]
pub enum PutAnswer {
    /// The object is there and is ours.
    Created,
    /// The store says that the name is taken. It may be taken by our own earlier, unanswered attempt.
    Exists,
    /// The store refused, and nothing was or will be written.
    Refused(Error),
    /// No honest answer: the object may be there, may appear later, or never.
    Unsettled(Error),
}

/// Creates `path` with `bytes` unless it exists. One request: the client's own retries are off, because a
/// resend that meets our own object would be taken for another writer's.
pub async fn put_if_absent(root: &TableRoot, path: &Path, bytes: Bytes, clock: &dyn Clock) -> PutAnswer {
    put_behind(root, path, bytes, clock, Unsynced::default()).await
}

/// As [`put_if_absent`], and `files` are synced before the object has its name: at the same time as its bytes, since one
/// turn of the disk can serve them all. `Refused` when one can't be.
pub async fn put_behind(root: &TableRoot, path: &Path, bytes: Bytes, clock: &dyn Clock, files: Unsynced) -> PutAnswer {
    if let Some(target) = root.local_file(path) {
        let temporary = target.with_file_name(format!(
            ".{}.{}.tmp",
            target.file_name().unwrap_or_default().to_string_lossy(),
            clock.new_id().simple()
        ));
        return match create_behind(root.durability(), target, temporary, bytes, files).await {
            Ok(Created::Yes) => PutAnswer::Created,
            Ok(Created::Taken) => PutAnswer::Exists,
            Ok(Created::No(error)) => PutAnswer::Refused(Error::from(error).with_object(root.name_of(path))),
            Ok(Created::Unsynced(error)) => PutAnswer::Unsettled(error.into()),
            Ok(Created::Unfounded(error)) => PutAnswer::Refused(error),
            Err(error) => PutAnswer::Unsettled(error),
        };
    }
    if let Err(error) = files.sync().await {
        return PutAnswer::Refused(error);
    }
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    match within_patience(clock, root.commit_store().put_opts(path, bytes.into(), options)).await {
        Some(Ok(_)) => PutAnswer::Created,
        Some(Err(error)) => classify(error),
        None => PutAnswer::Unsettled(no_answer().with_object(root.name_of(path))),
    }
}

async fn create_behind(
    durability: Durability,
    target: PathBuf,
    temporary: PathBuf,
    bytes: Bytes,
    files: Unsynced,
) -> Result<Created> {
    let mut first = Vec::new();
    match files.few() {
        Ok(few) => first = few,
        // Many are synced many at a time.
        Err(many) => {
            if let Err(error) = many.sync().await {
                return Ok(Created::Unfounded(error));
            }
        }
    }
    let size = bytes.len();
    let create = move || local::create_behind(&target, &temporary, &bytes, durability, &first);
    on_disk(durability, size, create).await
}

/// Longer than the time-outs of the clients that have one. A request that is given up may still have its effect later.
const PATIENCE: Duration = Duration::from_secs(90);

/// What `request` answers; `None` when it takes longer than any answer should.
pub async fn within_patience<T>(clock: &dyn Clock, request: impl Future<Output = T>) -> Option<T> {
    match select(pin!(request), clock.sleep(PATIENCE)).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(_) => None,
    }
}

/// The error for a request that was given up.
pub fn no_answer() -> Error {
    Error::unavailable(format!("the store gave no answer within {} s", PATIENCE.as_secs()))
}

fn classify(error: object_store::Error) -> PutAnswer {
    use object_store::Error as E;
    match error {
        E::AlreadyExists { .. } | E::Precondition { .. } => PutAnswer::Exists,
        E::NotFound { .. }
        | E::PermissionDenied { .. }
        | E::Unauthenticated { .. }
        | E::NotSupported { .. }
        | E::NotImplemented { .. }
        | E::InvalidPath { .. }
        | E::UnknownConfigurationKey { .. } => PutAnswer::Refused(error.into()),
        _ => PutAnswer::Unsettled(error.into()),
    }
}
