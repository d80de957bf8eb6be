//! Actions as Arrow columns: how a checkpoint holds them, and how a table's files are held in memory.

mod add_layout;
mod batch;
mod decode;
mod digest;
mod encode;
mod fields;
mod json_walk;
mod parsed;
mod partitions;
mod places;
mod rows;
mod sieve;
mod stats_text;
mod values;
mod vector;

pub use add_layout::AddLayout;
pub use batch::{FileBatch, FileKind};
pub use decode::decode_small;
pub use encode::rows;
pub(crate) use encode::{
    checkpoint_metadata_column, domain_column, metadata_column, protocol_column, sidecar_column, txn_column,
};
pub use fields::{checkpoint_schema, sidecar_schema, v2_checkpoint_schema};
pub use parsed::{ParsedColumn, ParsedStats};
pub(crate) use rows::FileRows;
pub use sieve::{FactColumns, Facts, Sieve};
pub use stats_text::{StatsColumn, StatsShape};
