//! The table at one version: immutable, complete, ready to be scanned or written to.

mod above;
mod aside;
mod base;
mod build;
mod cleanup;
mod files;
mod history;
mod time;

use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::OnceCell;
use uuid::Uuid;

pub use crate::log::checkpoint::Totals;
pub(crate) use files::listed_twice;
pub use files::{Files, FilesTotal};
pub use history::{HistoryEntry, history};

use above::{Above, Piece};
use aside::Aside;
use base::Base;

use crate::action::columnar::{AddLayout, StatsColumn, StatsShape};
use crate::action::{Action, DomainMetadata, Metadata, Protocol, Txn};
use crate::clock::ClockRef;
use crate::error::{Error, Result};
use crate::expr::ColumnPath;
use crate::log::checkpoint::{self, FilesWanted, Layout};
use crate::log::{Checksum, Timekeeping, write_checksum};
use crate::planted::{Defect, planted};
use crate::protocol::{
    IndexedLeaf, Rules, TableProperties, check_read, check_schema, check_write, column_mapping, indexed_leaves,
    is_supported,
};
use crate::replay::{FileTally, Header, HeaderFold};
use crate::schema::mapping::physical_name;
use crate::schema::{DataType, MappingMode, StructType, parse_schema};
use crate::store::TableRoot;

/// Checkpoints of fewer files are not compressed: they take up to half a megabyte.
const FEW_FILES: u64 = 1024;

/// Which version of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// The newest.
    #[default]
    Latest,
    /// That one.
    Version(u64),
    /// The newest at or before that time, milliseconds since the epoch. A time after the newest version is an error:
    /// what was the newest then is not known yet.
    Timestamp(i64),
    /// The same, but a time after the newest version means the newest.
    NewestBy(i64),
}

/// One version of a table. What it is stands in memory; its files are read when they are first needed.
#[derive(Clone, Debug)]
pub struct Snapshot {
    root: TableRoot,
    clock: ClockRef,
    version: u64,
    timestamp_ms: i64,
    header: Arc<Header>,
    schema: Arc<StructType>,
    properties: Arc<TableProperties>,
    base: Arc<Base>,
    above: Arc<Above>,
    totals: Option<Totals>,
    files: OnceCell<Arc<Files>>,
    /// When log clean-up last found nothing to do.
    cleaned: Option<cleanup::Cleaned>,
    /// Whether checkpoints are written beside what is done next, and the one that is.
    checkpoints_aside: bool,
    aside: Option<Aside>,
}

/// What a snapshot is made of.
struct Parts {
    version: u64,
    timestamp_ms: i64,
    header: Header,
    base: Arc<Base>,
    above: Above,
    totals: Option<Totals>,
}

impl Snapshot {
    /// Interprets what replay found. The gate is passed before anything else is looked at (LOG-7).
    fn new(root: TableRoot, clock: ClockRef, parts: Parts) -> Result<Self> {
        let Parts { version, timestamp_ms, header, base, above, totals } = parts;
        let named = |e: Error| e.with_object(root.display());
        check_read(&header.protocol, &header.metadata).map_err(named)?;
        let schema = parse_schema(&header.metadata.schema_string).map_err(named)?;
        check_schema(&header.protocol, &header.metadata, &schema).map_err(named)?;
        for (at, column) in header.metadata.partition_columns.iter().enumerate() {
            if schema.field(column).is_none() {
                return Err(named(Error::corrupt(format!("partition column {column:?} is not in the schema"))));
            }
            if header.metadata.partition_columns[..at].contains(column) {
                return Err(named(Error::corrupt(format!("partition column {column:?} is listed twice"))));
            }
        }
        let properties = TableProperties::parse(&header.metadata.configuration);
        Ok(Self {
            root,
            clock,
            version,
            timestamp_ms,
            header: Arc::new(header),
            schema: Arc::new(schema),
            properties: Arc::new(properties),
            base,
            above: Arc::new(above),
            totals,
            files: OnceCell::new(),
            cleaned: None,
            checkpoints_aside: false,
            aside: None,
        })
    }

    /// A table of one commit, version 0, from what its writer holds.
    pub(crate) fn first(root: TableRoot, clock: ClockRef, actions: Vec<Action>, now_ms: i64) -> Result<Self> {
        let mut fold = HeaderFold::default();
        fold.commit(0, &actions)?;
        let (header, totals) =
            (fold.finish()?, build::after_commit(Totals::default(), &actions, FileTally::of(&actions)));
        let timestamp_ms = time::timekeeping_of(&header).time_of(0, &actions, now_ms, None);
        let above = Above::default().pushed(actions);
        Self::new(root, clock, Parts { version: 0, timestamp_ms, header, base: Arc::default(), above, totals })
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

    /// Where the versions up to this one have their times from.
    pub fn timekeeping(&self) -> Timekeeping {
        time::timekeeping(self.protocol(), &self.properties)
    }

    /// Version of the checkpoint that this snapshot was built from.
    pub fn checkpoint_version(&self) -> Option<u64> {
        self.base.version()
    }

    /// The columns, partition columns among them.
    pub fn schema(&self) -> &Arc<StructType> {
        &self.schema
    }

    /// Names of the partition columns, in order.
    pub fn partition_columns(&self) -> &[String] {
        &self.header.metadata.partition_columns
    }

    /// How columns are found in data files, partition values and statistics.
    pub fn mapping(&self) -> MappingMode {
        column_mapping(self.protocol(), self.metadata())
    }

    /// What the table asks of the values of new rows.
    pub fn rules(&self) -> Rules {
        Rules::in_force(self.protocol(), &self.schema, &self.properties)
    }

    /// Physical names of the clustering columns, in order (see [`mapping`](crate::schema::mapping)).
    pub fn clustering_columns(&self) -> Vec<Vec<String>> {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Clustering {
            clustering_columns: Vec<Vec<String>>,
        }
        let domain = self.header.domains.get("delta.clustering");
        let parsed = domain.and_then(|domain| serde_json::from_str::<Clustering>(&domain.configuration).ok());
        parsed.map(|clustering| clustering.clustering_columns).unwrap_or_default()
    }

    /// The table's own description.
    pub fn metadata(&self) -> &Metadata {
        &self.header.metadata
    }

    /// The protocol in force.
    pub fn protocol(&self) -> &Protocol {
        &self.header.protocol
    }

    /// The properties that Lake acts on.
    pub fn properties(&self) -> &TableProperties {
        &self.properties
    }

    /// Progress mark of an application.
    pub fn txn(&self, app_id: &str) -> Option<&Txn> {
        self.header.txns.get(app_id)
    }

    /// Configuration of a domain.
    pub fn domain(&self, name: &str) -> Option<&DomainMetadata> {
        self.header.domains.get(name)
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
        let redefines = actions.iter().any(|action| matches!(action, Action::Metadata(_) | Action::Protocol(_)));
        let marks = actions.iter().any(|action| matches!(action, Action::Txn(_) | Action::Domain(_)));
        let header = match redefines || marks {
            true => Arc::new(self.header.advanced(version, &actions)?),
            false => Arc::clone(&self.header),
        };
        let keeping = if redefines { time::timekeeping_of(&header) } else { self.timekeeping() };
        let timestamp_ms = keeping.time_of(version, &actions, modified_ms, Some(self.timestamp_ms));
        let before = self.rested();
        let tally = build::counts(&actions).then(|| FileTally::of(&actions));
        let totals = before.totals.zip(tally).and_then(|(totals, tally)| build::with_tally(totals, tally));
        let piece = Piece::of(actions);
        let aside = before.aside.as_ref().map(|aside| aside.pushed(&piece, tally));
        let above = before.above.with(piece);
        if !redefines {
            // What the table is was interpreted before.
            let (above, files) = (Arc::new(above), OnceCell::new());
            return Ok(Self { version, timestamp_ms, header, above, totals, files, aside, ..before });
        }
        let header = Arc::unwrap_or_clone(header);
        let parts = Parts { version, timestamp_ms, header, base: before.base, above, totals };
        let redefined = Self::new(self.root.clone(), Arc::clone(&self.clock), parts)?;
        Ok(Self { checkpoints_aside: self.checkpoints_aside, aside, cleaned: before.cleaned, ..redefined })
    }

    /// Writes the checkpoint of this version and moves the hint. The answer is this version, standing on it.
    ///
    /// # Errors
    /// `Unsupported` where Lake may not write; the store's own. The table is unchanged by a failure.
    pub async fn write_checkpoint(&self) -> Result<Self> {
        self.check_writable()?;
        let layout = match self.properties.v2_checkpoints && self.has_feature("v2Checkpoint") {
            true => Layout::Sidecars,
            false => Layout::Classic,
        };
        let expired_before_ms = self.clock.now_ms().saturating_sub(self.properties.deleted_file_retention_ms);
        let few = self.totals.is_some_and(|totals| totals.num_files < FEW_FILES);
        let write = || async {
            let removes = self.batches(&FilesWanted::removes()).map(move |batch| {
                let batch = batch?;
                let kept: Vec<bool> = (0..batch.len())
                    .map(|row| batch.deletion_timestamp(row).unwrap_or(0) > expired_before_ms)
                    .map(|kept| kept && !planted(Defect::ForgetfulCheckpoint))
                    .collect();
                batch.filtered(|row| kept[row])
            });
            let mut adds = self.batches(&FilesWanted::adds());
            if planted(Defect::RevivingCheckpoint) && self.base.version().is_some() {
                let tail = self.above.tail(&self.root).await?;
                let newer = futures::stream::iter(tail.adds().to_vec()).map(Ok);
                adds = newer.chain(self.base.batches(&FilesWanted::adds())).boxed();
            }
            let add_layout = self.add_layout()?;
            let files = checkpoint::Files { adds, removes: removes.boxed(), add_layout, few };
            let clock = self.clock.as_ref();
            checkpoint::write_checkpoint(&self.root, clock, self.version, &self.header, layout, files).await
        };
        let written = self.with_repair(write).await?;
        let base = Base::checkpoint(self.root.clone(), self.version, written.parts, None);
        let (base, above) = (Arc::new(base), Arc::default());
        Ok(Self { base, above, totals: Some(written.totals), files: OnceCell::new(), aside: None, ..self.clone() })
    }

    /// How this version's checkpoint holds its files (CHK-5).
    fn add_layout(&self) -> Result<AddLayout> {
        let (schema, mode) = (&self.schema, self.mapping());
        let stats = self.properties.stats_as_columns.then(|| {
            let clustering = self.clustering_columns();
            let leaves = indexed_leaves(schema, self.partition_columns(), &self.properties, &clustering);
            let column = |leaf: IndexedLeaf| StatsColumn { path: ColumnPath(leaf.physical), bounds: leaf.bounds };
            StatsShape::new(leaves.into_iter().map(column).collect(), true)
        });
        let partitions = self.partition_columns().iter().filter_map(|name| {
            let field = schema.field(name)?;
            match &field.data_type {
                DataType::Primitive(primitive) => Some((physical_name(field, mode).to_owned(), *primitive)),
                _ => None,
            }
        });
        AddLayout::new(stats, self.properties.stats_as_text, partitions.collect())
    }

    /// Writes the checksum file of this version, if its totals are known: `actions` are its commit.
    ///
    /// # Errors
    /// The store's own. The version is what it is without it.
    pub(crate) async fn write_checksum(&self, txn_id: Uuid, in_commit_ms: Option<i64>) -> Result<()> {
        let Some(totals) = self.totals else { return Ok(()) };
        let long = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let checksum = Checksum {
            txn_id: Some(txn_id.to_string()),
            table_size_bytes: long(totals.size_bytes),
            num_files: long(totals.num_files),
            num_metadata: 1,
            num_protocol: 1,
            in_commit_timestamp_opt: in_commit_ms,
            set_transactions: Some(self.header.txns.values().cloned().collect()),
            domain_metadata: Some(self.header.domains.values().cloned().collect()),
            metadata: self.header.metadata.clone(),
            protocol: self.header.protocol.clone(),
        };
        write_checksum(&self.root, self.version, &checksum).await
    }

    /// Whether the protocol lists or implies a feature.
    pub fn has_feature(&self, name: &str) -> bool {
        is_supported(self.protocol(), name)
    }
}

#[cfg(test)]
mod tests;
