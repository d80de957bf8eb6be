//! The actions of a commit, one file each: data and JSON, no I/O.

mod add;
pub mod columnar;
mod commit_info;
pub mod deletion_vector;
mod domain;
pub(crate) mod line;
mod metadata;
pub mod partition_value;
mod protocol;
mod remove;
mod sidecar;
pub mod stats;
mod text;
mod txn;

use serde::{Deserialize, Serialize};

pub use add::Add;
pub(crate) use add::live;
pub use commit_info::CommitInfo;
pub use deletion_vector::{DeletionVector, DeletionVectorDescriptor};
pub use domain::DomainMetadata;
pub use metadata::{Metadata, TableFormat};
pub use protocol::Protocol;
pub use remove::{Cdc, Remove};
pub use sidecar::{CheckpointMetadata, Sidecar};
pub use txn::Txn;

/// One line of a commit: exactly one of the actions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Action {
    /// Where the commit came from.
    #[serde(rename = "commitInfo")]
    CommitInfo(Box<CommitInfo>),
    /// What a reader and a writer must know.
    #[serde(rename = "protocol")]
    Protocol(Protocol),
    /// Schema, partition columns, properties.
    #[serde(rename = "metaData")]
    Metadata(Box<Metadata>),
    /// A data file joins the table.
    #[serde(rename = "add")]
    Add(Box<Add>),
    /// A data file leaves the table.
    #[serde(rename = "remove")]
    Remove(Box<Remove>),
    /// A file of row changes, for readers of the change feed.
    #[serde(rename = "cdc")]
    Cdc(Box<Cdc>),
    /// Progress mark of an application.
    #[serde(rename = "txn")]
    Txn(Txn),
    /// Named configuration of a feature.
    #[serde(rename = "domainMetadata")]
    Domain(DomainMetadata),
}
