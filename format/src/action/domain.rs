//! `domainMetadata`: named configuration of a feature.

use serde::{Deserialize, Serialize};

/// The newest per domain wins; a removed one hides older ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DomainMetadata {
    /// Name; `delta.` belongs to the protocol, `lake.` to us.
    pub domain: String,
    /// Text, often JSON.
    #[serde(default)]
    pub configuration: String,
    /// True for a tombstone.
    #[serde(default)]
    pub removed: bool,
}
