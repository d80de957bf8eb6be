//! The bytes of a table: where its root is, how objects are read, and how they are made to last.

mod deletion_vectors;
mod local;
mod options;
pub mod parquet;
mod put;
mod root;

pub use deletion_vectors::{read_deletion_vector, write_deletion_vectors};
pub use options::{Secret, StoreOptions};
pub use put::{PutAnswer, no_answer, put_if_absent, within_patience};
pub use root::{ObjectInfo, TableRoot};

use crate::error::{Error, ErrorKind};

/// An object store's failure, by what the caller does next.
impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        use object_store::Error as E;
        let (kind, message) = match &error {
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
