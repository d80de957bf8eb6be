//! `<v>.crc`: what a version is, in one small file. An aid to open fast, never needed and never the truth.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::path::checksum_name;
use crate::action::{DomainMetadata, Metadata, Protocol, Txn};
use crate::error::{Error, Result};
use crate::replay::Header;
use crate::store::{ObjectInfo, TableRoot};

const MAX_BYTES: u64 = 32 << 20;

/// The content of a checksum file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Checksum {
    /// Identity of the commit that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txn_id: Option<String>,
    /// Bytes of all live files.
    pub table_size_bytes: i64,
    /// How many they are.
    pub num_files: i64,
    /// Always 1.
    pub num_metadata: i64,
    /// Always 1.
    pub num_protocol: i64,
    /// The version's in-commit timestamp, where the table has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_commit_timestamp_opt: Option<i64>,
    /// All progress marks; absent when not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_transactions: Option<Vec<Txn>>,
    /// All live domains; absent when not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_metadata: Option<Vec<DomainMetadata>>,
    /// The table's description.
    pub metadata: Metadata,
    /// The protocol.
    pub protocol: Protocol,
}

impl Checksum {
    /// What the file says of the version, `None` when it leaves something out.
    pub fn header(&self) -> Option<Header> {
        let has_domains = self.protocol.writer_features.iter().flatten().any(|name| name == "domainMetadata");
        let domains = match &self.domain_metadata {
            Some(domains) => domains.as_slice(),
            None if !has_domains => &[],
            None => return None,
        };
        let live = domains.iter().filter(|domain| !domain.removed);
        Some(Header {
            protocol: self.protocol.clone(),
            metadata: self.metadata.clone(),
            txns: self.set_transactions.as_ref()?.iter().map(|txn| (txn.app_id.clone(), txn.clone())).collect(),
            domains: live.map(|domain| (domain.domain.clone(), domain.clone())).collect(),
        })
    }
}

/// The checksum in `object`; `None` when it is gone, damaged or out of reach: the log is then read instead.
pub async fn read_checksum(root: &TableRoot, object: &ObjectInfo) -> Option<Checksum> {
    let bytes = root.get_small(&object.path, MAX_BYTES).await.ok()??;
    let checksum: Checksum = serde_json::from_slice(&bytes).ok()?;
    let sound = checksum.num_metadata == 1
        && checksum.num_protocol == 1
        && checksum.num_files >= 0
        && checksum.table_size_bytes >= 0
        && !checksum.metadata.schema_string.is_empty();
    sound.then_some(checksum)
}

/// Writes the checksum of `version`. It is not synced: after a crash the log tells the same.
///
/// # Errors
/// The store's own. The version is what it is without it.
pub async fn write_checksum(root: &TableRoot, version: u64, checksum: &Checksum) -> Result<()> {
    let text =
        serde_json::to_vec(checksum).map_err(|e| Error::internal("a checksum can't be written").with_source(e))?;
    root.put_aid(&root.child(&checksum_name(version))?, Bytes::from(text)).await
}
