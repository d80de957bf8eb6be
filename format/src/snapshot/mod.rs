//! The table at one version: immutable, complete, ready to be scanned or written to.

mod build;
mod files;
mod history;
mod time;

use std::sync::Arc;

pub use files::Files;
pub use history::{HistoryEntry, history};

use crate::action::{Action, DomainMetadata, Metadata, Protocol, Remove, Txn};
use crate::clock::ClockRef;
use crate::error::{Error, Result};
use crate::log::checkpoint::{Hint, write_checkpoint};
use crate::protocol::{TableProperties, check_read, check_schema, check_write};
use crate::replay::TableState;
use crate::schema::{StructType, parse_schema};
use crate::store::TableRoot;

/// Which version of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// The newest.
    #[default]
    Latest,
    /// That one.
    Version(u64),
    /// The newest at or before that time, milliseconds since the epoch.
    Timestamp(i64),
}

/// One version of a table.
#[derive(Clone, Debug)]
pub struct Snapshot {
    root: TableRoot,
    clock: ClockRef,
    version: u64,
    timestamp_ms: i64,
    checkpoint: Option<u64>,
    schema: Arc<StructType>,
    properties: Arc<TableProperties>,
    state: Arc<TableState>,
}

impl Snapshot {
    /// Interprets what replay found. The gate is passed before anything else is looked at (LOG-7).
    fn new(
        root: TableRoot,
        clock: ClockRef,
        version: u64,
        timestamp_ms: i64,
        checkpoint: Option<u64>,
        state: TableState,
    ) -> Result<Self> {
        let named = |e: Error| e.with_object(root.display());
        check_read(&state.protocol, &state.metadata).map_err(named)?;
        if state.files.iter().any(|add| add.deletion_vector.is_some()) {
            return Err(named(Error::unsupported(
                "a table that uses the table feature \"deletionVectors\" can't be read by this version of Lake",
            )));
        }
        let schema = parse_schema(&state.metadata.schema_string).map_err(named)?;
        check_schema(&state.protocol, &state.metadata, &schema).map_err(named)?;
        for column in &state.metadata.partition_columns {
            if schema.field(column).is_none() {
                return Err(named(Error::corrupt(format!("partition column {column:?} is not in the schema"))));
            }
        }
        let properties = TableProperties::parse(&state.metadata.configuration);
        Ok(Self {
            root,
            clock,
            version,
            timestamp_ms,
            checkpoint,
            schema: Arc::new(schema),
            properties: Arc::new(properties),
            state: Arc::new(state),
        })
    }

    /// A table of one commit, version 0, from what its writer holds.
    pub(crate) fn first(root: TableRoot, clock: ClockRef, actions: Vec<Action>, now_ms: i64) -> Result<Self> {
        let timestamp_ms = time::commit_time_ms(&actions, now_ms, None);
        let mut replay = crate::replay::Replay::default();
        replay.commit(0, actions)?;
        Self::new(root, clock, 0, timestamp_ms, None, replay.finish()?)
    }

    /// Where the table is.
    pub fn root(&self) -> &TableRoot {
        &self.root
    }

    /// The clock that everything done with this snapshot uses.
    pub fn clock(&self) -> &ClockRef {
        &self.clock
    }

    /// The version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// When the version was committed, milliseconds since the epoch.
    pub fn timestamp_ms(&self) -> i64 {
        self.timestamp_ms
    }

    /// Version of the checkpoint that this snapshot was built from.
    pub fn checkpoint_version(&self) -> Option<u64> {
        self.checkpoint
    }

    /// The columns, partition columns among them.
    pub fn schema(&self) -> &Arc<StructType> {
        &self.schema
    }

    /// Names of the partition columns, in order.
    pub fn partition_columns(&self) -> &[String] {
        &self.state.metadata.partition_columns
    }

    /// Names of the clustering columns, in order.
    pub fn clustering_columns(&self) -> Vec<Vec<String>> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Clustering {
            clustering_columns: Vec<Vec<String>>,
        }
        let domain = self.state.domains.get("delta.clustering");
        let parsed = domain.and_then(|domain| serde_json::from_str::<Clustering>(&domain.configuration).ok());
        parsed.map(|clustering| clustering.clustering_columns).unwrap_or_default()
    }

    /// The table's own description.
    pub fn metadata(&self) -> &Metadata {
        &self.state.metadata
    }

    /// The protocol in force.
    pub fn protocol(&self) -> &Protocol {
        &self.state.protocol
    }

    /// The properties that Lake acts on.
    pub fn properties(&self) -> &TableProperties {
        &self.properties
    }

    /// The live files.
    ///
    /// # Errors
    /// As [`Snapshot::load`]: they are read when they are first asked for.
    pub async fn files(&self) -> Result<Arc<Files>> {
        Ok(Arc::new(Files::of(self.state.files.clone())))
    }

    /// Files that left the table and are still remembered.
    ///
    /// # Errors
    /// As [`Snapshot::files`].
    pub async fn tombstones(&self) -> Result<Vec<Arc<Remove>>> {
        Ok(self.state.tombstones.clone())
    }

    /// Progress mark of an application.
    pub fn txn(&self, app_id: &str) -> Option<&Txn> {
        self.state.txns.get(app_id)
    }

    /// Configuration of a domain.
    pub fn domain(&self, name: &str) -> Option<&DomainMetadata> {
        self.state.domains.get(name)
    }

    /// Whether Lake may write to this table.
    ///
    /// # Errors
    /// `Unsupported` naming the feature (LOG-8).
    pub fn check_writable(&self) -> Result<()> {
        check_write(self.protocol(), self.metadata(), &self.schema).map_err(|e| e.with_object(self.root.display()))
    }

    /// The table after one more commit.
    ///
    /// # Errors
    /// As for building: the new state may be one that is refused.
    pub fn advanced(&self, version: u64, actions: Vec<Action>, modified_ms: i64) -> Result<Self> {
        let timestamp_ms = time::commit_time_ms(&actions, modified_ms, Some(self.timestamp_ms));
        let state = self.state.advanced(version, actions)?;
        Self::new(self.root.clone(), Arc::clone(&self.clock), version, timestamp_ms, self.checkpoint, state)
    }

    /// Writes the checkpoint of this version and moves the hint.
    ///
    /// # Errors
    /// `Unsupported` where Lake may not write; the store's own. The table is unchanged by a failure.
    pub async fn write_checkpoint(&self) -> Result<Hint> {
        self.check_writable()?;
        let expired_before_ms = self.clock.now_ms().saturating_sub(self.properties.deleted_file_retention_ms);
        write_checkpoint(&self.root, self.version, &self.state, expired_before_ms).await
    }
}

#[cfg(test)]
mod tests;
