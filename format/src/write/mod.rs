//! Rows into data files: conformed to the schema, split by partition, encoded, measured.

mod conform;
mod enforce;
mod layout;
mod split;
mod statistics;
mod writer;

pub use conform::conform;
pub use writer::{DataWriter, WriteContext, Written};

#[cfg(test)]
pub(crate) mod tests;
