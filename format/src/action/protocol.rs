//! `protocol`: what a reader and a writer must know.

use serde::{Deserialize, Serialize};

/// Versions and, from reader 3 and writer 7 on, named features.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Protocol {
    /// Least reader version.
    pub min_reader_version: i32,
    /// Least writer version.
    pub min_writer_version: i32,
    /// Features a reader must know; only with reader version 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reader_features: Option<Vec<String>>,
    /// Features a writer must know; only with writer version 7.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writer_features: Option<Vec<String>>,
}
