//! Tables: made, registered, shown, changed, loaded, dropped.

use std::collections::HashMap;
use std::sync::Arc;

use lake_catalog_api as api;
use lake_catalog_api::{Contract, Detail, Layer, Scope, TableName};
use lake_format::action::Protocol;
use lake_format::log::commit_name;
use lake_format::schema::{StructField, StructType, parse_schema};
use lake_format::transaction::LogCommitter;
use lake_format::{At, CreateOptions, Error, ErrorKind, Result, Snapshot, TableRoot, WriteOutcome};
use uuid::Uuid;

use super::contract::{check_contract, parse_type, upstream_problem};
use super::location::location_key;
use super::{
    Catalog, Outcome, PageRequest, Refusal, UpstreamState, checked_name, checked_properties, checked_text, cut, no_such,
};
use crate::store::{SchemaEntry, TableEntry, TableRecord, Upstream};

const MOST_DESCRIPTION_BYTES: usize = 4096;
const MOST_OWNER_BYTES: usize = 256;
const MOST_UPSTREAMS: usize = 100;
const MOST_RULES: usize = 2000;

/// What people say about a table, as a request gives it.
struct About {
    name: String,
    description: Option<String>,
    owner: Option<String>,
    upstreams: Vec<String>,
    contract: Option<Contract>,
}

impl Catalog {
    pub(super) async fn entry(&self, catalog: &str, schema: &str, table: &str) -> Result<TableEntry> {
        match self.store.table(catalog, schema, table).await? {
            Some(entry) => Ok(entry),
            None => {
                let schema = self.schema_entry(catalog, schema).await?;
                Err(no_such("table", &format!("{}.{}.{table}", schema.catalog, schema.record.name)))
            }
        }
    }

    /// Tables of a schema, by name.
    pub async fn list_tables(&self, catalog: &str, schema: &str, request: &PageRequest) -> Outcome<api::TableList> {
        let (page, limit) = request.page()?;
        let schema = self.schema_entry(catalog, schema).await?;
        let mut records = self.store.tables(schema.record.id, &page).await?;
        let next_page_token = cut(&mut records, limit, |record| &record.name);
        let entries: Vec<TableEntry> = records.into_iter().map(|record| entry_in(&schema, record)).collect();
        let upstreams = self.upstream_names(&entries).await?;
        let tables = entries.into_iter().map(|entry| table_out(entry, &upstreams)).collect();
        Ok(api::TableList { tables, next_page_token })
    }

    /// One table's entry.
    pub async fn get_table(&self, catalog: &str, schema: &str, table: &str) -> Outcome<api::Table> {
        Ok(self.shown(self.entry(catalog, schema, table).await?).await?)
    }

    /// Makes a Delta table and its entry. The table comes first: a crash in between leaves an empty table that nobody
    /// knows, never an entry without a table.
    pub async fn create_table(
        &self,
        catalog: &str,
        schema: &str,
        request: api::CreateTable,
    ) -> Outcome<api::LoadedTable> {
        let schema = self.schema_entry(catalog, schema).await?;
        let columns = columns_of(&request)?;
        checked_properties(&request.properties)?;
        let about = About {
            name: request.name,
            description: request.description,
            owner: request.owner,
            upstreams: request.upstreams,
            contract: request.contract,
        };
        let id = self.new_id();
        let (location, root) = match &request.location {
            Some(location) => (None, self.storage.chosen(location)?),
            None => {
                let location = self.storage.derived(id);
                let root = self.storage.open(&location)?;
                (Some(location), root)
            }
        };
        let record = self.new_record(&schema, id, about, &root, &columns).await?;
        let options = CreateOptions {
            schema: columns,
            partition_columns: request.partition_columns,
            properties: request.properties,
            name: Some(record.name.clone()),
            description: record.description.clone(),
            ..CreateOptions::default()
        };
        let snapshot = self.make(&root, options).await?;
        if let Err(error) = self.store.create_table(&record).await {
            return Err(self.unmade(&root, location.is_some(), error).await.into());
        }
        Ok(self.loaded(entry_in(&schema, record), &snapshot).await?)
    }

    async fn make(&self, root: &TableRoot, options: CreateOptions) -> Result<Arc<Snapshot>> {
        match lake_format::operation::create(root, &self.clock, &LogCommitter, options, None).await {
            Ok(WriteOutcome::Committed(_, committed)) => Ok(committed.snapshot),
            Ok(WriteOutcome::Unchanged(_)) => Err(Error::internal("making a table wrote nothing")),
            Ok(WriteOutcome::Unknown(unresolved)) => {
                Err(Error::unavailable("the store did not say whether the table was made")
                    .with_object(root.display())
                    .with_hint("no entry was made; try again, or register the location once the store answers")
                    .with_source(unresolved.reason))
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Err(Error::already_exists(error.message())
                .with_object(root.display())
                .with_hint("register the table that is there, or choose another location")),
            Err(error) => Err(error),
        }
    }

    /// Cleans up after an entry that could not be made. Only what nobody else can know of is deleted, and only when it
    /// is certain that the entry is not there.
    async fn unmade(&self, root: &TableRoot, derived: bool, error: Error) -> Error {
        let certain = matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound | ErrorKind::Conflict);
        if !(derived && certain) {
            return error.with_hint(format!("the empty table at {} stays; it can be registered", root.display()));
        }
        let deleted = match root.child(&commit_name(0)) {
            Ok(path) => root.delete(&path).await,
            Err(error) => Err(error),
        };
        if let Err(failed) = deleted {
            tracing::warn!(table = %root.display(), error = %failed, "an empty table that nobody knows stays");
        }
        error
    }

    /// Makes an entry for a Delta table that is there.
    pub async fn register_table(
        &self,
        catalog: &str,
        schema: &str,
        request: api::RegisterTable,
    ) -> Outcome<api::LoadedTable> {
        let schema = self.schema_entry(catalog, schema).await?;
        let root = self.storage.chosen(&request.location)?;
        let about = About {
            name: request.name,
            description: request.description,
            owner: request.owner,
            upstreams: request.upstreams,
            contract: request.contract,
        };
        checked_about(&about)?;
        let snapshot = Snapshot::load(root.clone(), At::Latest, Arc::clone(&self.clock)).await?;
        let record = self.new_record(&schema, self.new_id(), about, &root, snapshot.schema()).await?;
        self.store.create_table(&record).await?;
        Ok(self.loaded(entry_in(&schema, record), &snapshot).await?)
    }

    /// The record of a new table, once everything about it is found to be right and free.
    async fn new_record(
        &self,
        schema: &SchemaEntry,
        id: Uuid,
        about: About,
        root: &TableRoot,
        columns: &StructType,
    ) -> Outcome<TableRecord> {
        checked_about(&about)?;
        let full_name = format!("{}.{}.{}", schema.catalog, schema.record.name, about.name);
        let layer = schema.record.layer;
        let mut problems = contract_problems(about.contract.as_ref(), columns);
        let upstreams = self.resolve(&about.upstreams, id, layer, &mut problems).await?;
        if !problems.is_empty() {
            return Err(Refusal::rules(&full_name, layer, problems));
        }
        if self.store.table(&schema.catalog, &schema.record.name, &about.name).await?.is_some() {
            return Err(Error::already_exists("a table of that name is there already")
                .with_object(full_name)
                .with_hint("choose another name; names that differ in case alone are the same")
                .into());
        }
        let location_key = location_key(root);
        if let Some(holder) = self.store.overlapping(&location_key).await? {
            let message = format!("the location is, holds or lies in that of the table {}", holder.full_name());
            return Err(Error::already_exists(message)
                .with_object(root.display())
                .with_hint("tables may not share files: choose another location, or drop the other table first")
                .into());
        }
        let now_ms = self.clock.now_ms();
        Ok(TableRecord {
            id,
            schema_id: schema.record.id,
            name: about.name,
            location: root.display(),
            location_key,
            description: about.description,
            owner: about.owner,
            upstreams,
            contract: about.contract,
            revision: 1,
            created_ms: now_ms,
            updated_ms: now_ms,
        })
    }

    /// Changes a table's entry. Rows that are there are not judged again. A contract that is there changes only if the
    /// caller `may_lift` it.
    pub async fn update_table(
        &self,
        catalog: &str,
        schema: &str,
        table: &str,
        change: api::UpdateTable,
        may_lift: bool,
    ) -> Outcome<api::Table> {
        let mut entry = self.entry(catalog, schema, table).await?;
        let lifts = entry.record.contract.is_some()
            && change.contract.as_ref().is_some_and(|contract| *contract != entry.record.contract);
        if lifts && !may_lift {
            let what = "to change or remove a contract that is there";
            return Err(Refusal::needs(Scope::Admin, what, entry.full_name()));
        }
        if let Some(revision) = change.revision
            && revision != entry.record.revision
        {
            return Err(Error::conflict(format!("the entry has revision {}, not {revision}", entry.record.revision))
                .with_object(entry.full_name())
                .with_hint("nothing was changed; read it again and repeat the change")
                .into());
        }
        let record = &entry.record;
        let about = About {
            name: change.name.unwrap_or_else(|| record.name.clone()),
            description: change.description.unwrap_or_else(|| record.description.clone()),
            owner: change.owner.unwrap_or_else(|| record.owner.clone()),
            upstreams: change.upstreams.clone().unwrap_or_default(),
            contract: change.contract.clone().unwrap_or_else(|| record.contract.clone()),
        };
        checked_about(&about)?;
        let mut problems = Vec::new();
        if let Some(Some(contract)) = &change.contract {
            let root = self.storage.open(&record.location)?;
            let snapshot = Snapshot::load(root, At::Latest, Arc::clone(&self.clock)).await?;
            problems = contract_problems(Some(contract), snapshot.schema());
        }
        let upstreams = match &change.upstreams {
            Some(names) => self.resolve(names, record.id, entry.layer, &mut problems).await?,
            None => record.upstreams.clone(),
        };
        if !problems.is_empty() {
            return Err(Refusal::rules(&entry.full_name(), entry.layer, problems));
        }
        entry.record = TableRecord {
            name: about.name,
            description: about.description,
            owner: about.owner,
            upstreams,
            contract: about.contract,
            revision: record.revision + 1,
            updated_ms: self.clock.now_ms(),
            ..record.clone()
        };
        self.store.update_table(&entry.record).await.map_err(|e| e.with_object(entry.full_name()))?;
        Ok(self.shown(entry).await?)
    }

    /// Forgets a table. Its data stays.
    pub async fn drop_table(&self, catalog: &str, schema: &str, table: &str) -> Outcome<api::DroppedTable> {
        let entry = self.entry(catalog, schema, table).await?;
        self.store.delete_table(entry.record.id).await.map_err(|e| e.with_object(entry.full_name()))?;
        self.slots.forget(entry.record.id);
        Ok(api::DroppedTable {
            name: entry.full_name(),
            location: entry.record.location,
            note: "the entry is gone, the data stays: register the location to have the table back".to_owned(),
        })
    }

    /// A table at its newest version.
    pub async fn load_table(&self, catalog: &str, schema: &str, table: &str) -> Outcome<api::LoadedTable> {
        let entry = self.entry(catalog, schema, table).await?;
        let root = self.storage.open(&entry.record.location)?;
        let snapshot = Snapshot::load(root, At::Latest, Arc::clone(&self.clock)).await;
        let snapshot = snapshot.map_err(|e| match e.kind() {
            ErrorKind::NotFound => Error::corrupt("the catalog knows the table, but nothing is at its location")
                .with_object(entry.record.location.clone())
                .with_hint("restore the files, or drop the table from the catalog")
                .with_source(e),
            _ => e,
        })?;
        Ok(self.loaded(entry, &snapshot).await?)
    }

    async fn loaded(&self, entry: TableEntry, snapshot: &Snapshot) -> Result<api::LoadedTable> {
        let storage = self.storage.hints(&entry.record.location);
        let metadata = snapshot.metadata();
        Ok(api::LoadedTable {
            table: self.shown(entry).await?,
            version: snapshot.version(),
            timestamp_ms: snapshot.timestamp_ms(),
            protocol: protocol_out(snapshot.protocol()),
            delta_id: metadata.id.clone(),
            schema_string: metadata.schema_string.clone(),
            partition_columns: metadata.partition_columns.clone(),
            properties: metadata.configuration.clone(),
            storage,
        })
    }

    async fn shown(&self, entry: TableEntry) -> Result<api::Table> {
        let names = self.upstream_names(std::slice::from_ref(&entry)).await?;
        Ok(table_out(entry, &names))
    }

    /// Today's names of all upstreams of `entries`, in one look-up.
    async fn upstream_names(&self, entries: &[TableEntry]) -> Result<HashMap<Uuid, String>> {
        let mut ids: Vec<Uuid> = entries.iter().flat_map(|e| &e.record.upstreams).map(|u| u.table_id).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let found = self.store.tables_by_id(&ids).await?;
        Ok(found.into_iter().map(|entry| (entry.record.id, entry.full_name())).collect())
    }

    /// The upstreams called `names`. What is wrong with them for a table of `layer` goes to `problems`.
    async fn resolve(
        &self,
        names: &[String],
        own: Uuid,
        layer: Layer,
        problems: &mut Vec<Detail>,
    ) -> Result<Vec<Upstream>> {
        let mut upstreams: Vec<Upstream> = Vec::new();
        for name in names {
            let Some(entry) = self.named(name).await? else {
                let message = format!("the upstream {name} is not in the catalog");
                problems.push(Detail { rule: "table.upstreams".to_owned(), column: None, message });
                continue;
            };
            if entry.record.id == own {
                let message = "a table can't be its own upstream".to_owned();
                problems.push(Detail { rule: "table.upstreams".to_owned(), column: None, message });
                continue;
            }
            let state = UpstreamState { name: entry.full_name(), layer: Some(entry.layer) };
            if layer == Layer::Gold {
                problems.extend(upstream_problem(&state));
            }
            if upstreams.iter().all(|known| known.table_id != entry.record.id) {
                upstreams.push(Upstream { table_id: entry.record.id, name: state.name });
            }
        }
        Ok(upstreams)
    }

    async fn named(&self, name: &str) -> Result<Option<TableEntry>> {
        let parsed = TableName::parse(name).map_err(|problem| {
            let shown: String = name.chars().take(400).filter(|c| !c.is_control()).collect();
            Error::invalid(format!("an upstream is not the name of a table: {problem}"))
                .with_object(shown)
                .with_hint("name it [catalog.]schema.table")
        })?;
        self.store.table(&parsed.catalog, &parsed.schema, &parsed.table).await
    }

    /// The upstreams as the catalog has them now: by identity, and where that is gone by name.
    pub(super) async fn upstream_states(&self, upstreams: &[Upstream]) -> Result<Vec<UpstreamState>> {
        let ids: Vec<Uuid> = upstreams.iter().map(|upstream| upstream.table_id).collect();
        let found = if ids.is_empty() { Vec::new() } else { self.store.tables_by_id(&ids).await? };
        let mut states = Vec::with_capacity(upstreams.len());
        for upstream in upstreams {
            let by_id = found.iter().find(|entry| entry.record.id == upstream.table_id).cloned();
            let entry = match by_id {
                Some(entry) => Some(entry),
                None => self.named(&upstream.name).await?,
            };
            states.push(match entry {
                Some(entry) => UpstreamState { name: entry.full_name(), layer: Some(entry.layer) },
                None => UpstreamState { name: upstream.name.clone(), layer: None },
            });
        }
        Ok(states)
    }

    /// Upstreams that a commit names, as the catalog has them.
    pub(super) async fn named_states(&self, names: &[String]) -> Result<Vec<UpstreamState>> {
        let mut states = Vec::with_capacity(names.len());
        for name in names {
            states.push(match self.named(name).await? {
                Some(entry) => UpstreamState { name: entry.full_name(), layer: Some(entry.layer) },
                None => UpstreamState { name: name.clone(), layer: None },
            });
        }
        Ok(states)
    }
}

fn checked_about(about: &About) -> Result<()> {
    checked_name(&about.name)?;
    if let Some(description) = &about.description {
        checked_text("description", description, MOST_DESCRIPTION_BYTES)?;
    }
    if let Some(owner) = &about.owner {
        checked_text("owner", owner, MOST_OWNER_BYTES)?;
    }
    if about.upstreams.len() > MOST_UPSTREAMS {
        return Err(Error::invalid(format!("more than {MOST_UPSTREAMS} upstreams")));
    }
    if about.contract.as_ref().is_some_and(|contract| contract.columns.len() > MOST_RULES) {
        return Err(Error::invalid(format!("a contract of more than {MOST_RULES} columns")));
    }
    Ok(())
}

fn contract_problems(contract: Option<&Contract>, columns: &StructType) -> Vec<Detail> {
    contract.map(|contract| check_contract(&contract.columns, columns)).unwrap_or_default()
}

/// The columns that a request declares.
fn columns_of(request: &api::CreateTable) -> Result<StructType> {
    match (&request.schema_string, request.columns.as_slice()) {
        (Some(text), []) => parse_schema(text).map_err(|e| match e.kind() {
            ErrorKind::Corrupt => Error::invalid("schema_string is not the JSON of a Delta schema").with_source(e),
            _ => e,
        }),
        (None, columns @ [_, ..]) => {
            let fields = columns.iter().map(|column| {
                let wrong = |why: String| Error::invalid(why).with_object(column.name.clone());
                let data_type = parse_type(&column.data_type).map_err(wrong)?;
                let mut field = StructField::new(&column.name, data_type, column.nullable);
                if let Some(comment) = &column.comment {
                    field.metadata.insert("comment".to_owned(), comment.as_str().into());
                }
                Ok(field)
            });
            Ok(StructType::new(fields.collect::<Result<_>>()?))
        }
        _ => Err(Error::invalid("give the columns once: as columns or as schema_string")),
    }
}

fn entry_in(schema: &SchemaEntry, record: TableRecord) -> TableEntry {
    TableEntry {
        catalog: schema.catalog.clone(),
        schema: schema.record.name.clone(),
        layer: schema.record.layer,
        record,
    }
}

fn table_out(entry: TableEntry, upstream_names: &HashMap<Uuid, String>) -> api::Table {
    let TableEntry { catalog, schema, layer, record } = entry;
    let name_of = |upstream: Upstream| upstream_names.get(&upstream.table_id).cloned().unwrap_or(upstream.name);
    api::Table {
        id: record.id.to_string(),
        catalog,
        schema,
        name: record.name,
        layer,
        location: record.location,
        description: record.description,
        owner: record.owner,
        upstreams: record.upstreams.into_iter().map(name_of).collect(),
        contract: record.contract,
        revision: record.revision,
        created_ms: record.created_ms,
        updated_ms: record.updated_ms,
    }
}

fn protocol_out(protocol: &Protocol) -> api::TableProtocol {
    api::TableProtocol {
        min_reader_version: protocol.min_reader_version,
        min_writer_version: protocol.min_writer_version,
        reader_features: protocol.reader_features.clone().unwrap_or_default(),
        writer_features: protocol.writer_features.clone().unwrap_or_default(),
    }
}
