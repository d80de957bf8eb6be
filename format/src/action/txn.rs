//! `txn`: progress mark of an application, for writes that are applied once.

use serde::{Deserialize, Serialize};

/// The newest per application wins.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Txn {
    /// Identity of the application.
    pub app_id: String,
    /// Its sequence number.
    pub version: i64,
    /// Milliseconds since the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated: Option<i64>,
}
