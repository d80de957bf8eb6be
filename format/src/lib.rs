//! The table format: Delta tables on a local disk or an S3-compatible store, without an engine.
//!
//! [`table::Table`] is the front door; [`snapshot::Snapshot`] is one version; [`scan`] and [`write`] move rows;
//! [`transaction`] makes versions.

pub mod action;
pub mod clock;
pub mod conflict;
pub mod error;
pub mod expr;
pub mod log;
pub mod operation;
#[cfg(feature = "planted")]
pub mod planted;
#[cfg(not(feature = "planted"))]
mod planted;
pub mod protocol;
pub mod replay;
pub mod scan;
pub mod schema;
pub mod snapshot;
pub mod store;
pub mod table;
pub mod transaction;
pub mod write;

pub use clock::{Clock, ClockRef, SystemClock};
pub use error::{Error, ErrorKind, Result};
pub use operation::{
    AppendOptions, CreateOptions, DeleteOptions, Input, OverwriteOptions, Profile, WriteOutcome, WriteReport,
};
pub use scan::ScanRequest;
pub use snapshot::{At, Snapshot};
pub use store::{Durability, StoreOptions, TableRoot};
pub use table::Table;
