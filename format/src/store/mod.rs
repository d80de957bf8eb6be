//! The bytes of a table: where its root is, how objects are read, and how they are made to last.

mod copy;
mod deletion_vectors;
pub(crate) mod local;
mod options;
pub mod parquet;
mod place;
mod probe;
mod put;
mod remote;
mod root;

pub use deletion_vectors::{read_deletion_vector, write_deletion_vectors};
pub use options::{Durability, Secret, StoreOptions};
pub use place::Unsynced;
pub use probe::{Check, Probe, ProbeSize, Race, probe, race};
pub use put::{PutAnswer, no_answer, put_behind, put_if_absent, within_patience};
pub use root::{ObjectInfo, TableRoot};

use std::sync::LazyLock;

use crate::error::{Error, ErrorKind};

/// How many threads the machine runs at once. Asked once: the answer takes the system as long as a small file does.
pub(crate) fn cores() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| std::thread::available_parallelism().map_or(1, std::num::NonZero::get));
    *CORES
}

/// An object store's failure, by what the caller does next.
impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        // Of some requests the client keeps nothing but the text of the answer.
        let says =
            |what: &str| std::error::Error::source(&error).is_some_and(|source| source.to_string().contains(what));
        let (kind, message) = match &error {
            E::NotFound { .. } | E::Generic { .. } if says("NoSuchBucket") => {
                (ErrorKind::NotFound, "there is no such bucket")
            }
            E::Generic { .. } if says("403 Forbidden") => (ErrorKind::Denied, "the store denied access"),
            E::Generic { .. } if says("401 Unauthorized") => {
                (ErrorKind::Denied, "the store does not know these credentials")
            }
            E::NotFound { .. } => (ErrorKind::NotFound, "object not found"),
            E::AlreadyExists { .. } => (ErrorKind::AlreadyExists, "object is there already"),
            E::Precondition { .. } | E::NotModified { .. } => (ErrorKind::Conflict, "object was changed by another"),
            E::PermissionDenied { .. } => (ErrorKind::Denied, "the store denied access"),
            E::Unauthenticated { .. } => (ErrorKind::Denied, "the store does not know these credentials"),
            E::InvalidPath { .. } => (ErrorKind::Invalid, "invalid object path"),
            E::NotSupported { .. } | E::NotImplemented { .. } => (ErrorKind::Unsupported, "the store does not do this"),
            E::UnknownConfigurationKey { .. } => (ErrorKind::Invalid, "unknown store setting"),
            _ => (ErrorKind::Unavailable, "the store did not answer as it should"),
        };
        Self::new(kind, message).with_source(error)
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        let kind = match error.kind() {
            std::io::ErrorKind::NotFound => ErrorKind::NotFound,
            std::io::ErrorKind::AlreadyExists => ErrorKind::AlreadyExists,
            std::io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            std::io::ErrorKind::InvalidInput => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        Self::new(kind, "file access failed").with_source(error)
    }
}
