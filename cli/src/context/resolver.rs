//! From a path or a name to an open table, with the committer that belongs to it.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use lake_catalog_api::{Contract, CreateTable, DEFAULT_CATALOG, Scope, Table as Entry, TableName};
use lake_catalog_client::CatalogClient;
use lake_format::schema::write_schema;
use lake_format::transaction::Committed;
use lake_format::{
    AppendOptions, ClockRef, CreateOptions, Error, Input, Result, StoreOptions, Table, TableRoot, WriteOutcome,
    WriteReport,
};
use lake_query::{Place, TableRef, TableResolver};
use uuid::Uuid;

use super::settings::{CatalogAccess, home};
use super::stores::{CheckedCommitter, Stores};

/// What a catalog knows of a new table besides its columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Governance {
    /// Who answers for it.
    pub owner: Option<String>,
    /// Tables that it is made from.
    pub upstreams: Vec<String>,
    /// What its commits must keep.
    pub contract: Option<Contract>,
}

/// Knows paths, and the names of one catalog server.
#[derive(Debug)]
pub struct Resolver {
    store: StoreOptions,
    clock: ClockRef,
    catalog: Option<CatalogAccess>,
    allow_plain_http: bool,
    client: OnceLock<CatalogClient>,
    stores: Arc<Stores>,
}

impl Resolver {
    /// A resolver with these ways to stores and to the catalog.
    pub fn new(store: StoreOptions, catalog: Option<CatalogAccess>, clock: ClockRef) -> Self {
        let verdicts = home().ok().map(|home| home.join("stores.json"));
        let stores = Arc::new(Stores::new(&store, Arc::clone(&clock), verdicts));
        Self { store, clock, catalog, allow_plain_http: false, client: OnceLock::new(), stores }
    }

    /// What is known of stores.
    pub fn stores(&self) -> &Stores {
        &self.stores
    }

    /// Refuses a place on a store that can't be trusted with tables, before anything is sent there. A catalog's server
    /// writes to its store itself.
    ///
    /// # Errors
    /// `Unsupported` for such a store, and whatever an address can be wrong in.
    pub async fn check_store(&self, place: &Place) -> Result<()> {
        match place {
            Place::Location(location) => self.stores.check(&TableRoot::open(location, &self.store)?).await,
            Place::Name { .. } => Ok(()),
        }
    }

    /// Where the table is, without a look at it.
    ///
    /// # Errors
    /// Those of the address or of the server.
    pub async fn root(&self, place: &Place) -> Result<TableRoot> {
        match place {
            Place::Location(location) => TableRoot::open(location, &self.store),
            Place::Name { .. } => {
                let client = self.client_for(place)?;
                Ok(client.locate(&name_of(place)?.to_string(), &self.store).await?.root)
            }
        }
    }

    fn committer(&self) -> Arc<CheckedCommitter> {
        Arc::new(CheckedCommitter(Arc::clone(&self.stores)))
    }

    /// Lets the token travel unprotected to another machine.
    #[must_use]
    pub fn allow_plain_http(mut self, allow: bool) -> Self {
        self.allow_plain_http = allow;
        self
    }

    /// The catalog.
    ///
    /// # Errors
    /// `Invalid` when none is set.
    pub fn client(&self) -> Result<&CatalogClient> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let Some(access) = &self.catalog else {
            return Err(Error::invalid("no catalog is set")
                .with_hint("log in with `lake login URL`, or name the server with --catalog URL or LAKE_CATALOG"));
        };
        let client = access.client(self.allow_plain_http)?;
        Ok(self.client.get_or_init(|| client))
    }

    /// What the catalog knows of the table.
    ///
    /// # Errors
    /// `Invalid` for a location: no catalog knows it; those of the server.
    pub async fn entry(&self, place: &Place) -> Result<Entry> {
        self.client()?.get_table(&name_of(place)?).await
    }

    /// Whether the caller may change the table at `place`, for changes that no commit asks the server for. Of a path the
    /// store itself decides.
    ///
    /// # Errors
    /// `Denied` for a token that only reads; those of the server.
    pub async fn demand_write(&self, place: &Place) -> Result<()> {
        let Place::Name { .. } = place else { return Ok(()) };
        let session = self.client_for(place)?.session().await?;
        // Each scope includes those before it.
        if session.scopes.iter().any(|scope| *scope >= Scope::Write) {
            return Ok(());
        }
        Err(Error::denied("the token may read tables, not change them").with_object(place.to_string()).with_hint(
            format!("nothing was changed; log in with a token that has the scope {}", Scope::Write.as_str()),
        ))
    }

    /// The catalog that knows `place`, or a word on how a path is written.
    fn client_for(&self, place: &Place) -> Result<&CatalogClient> {
        if self.catalog.is_none() {
            return Err(Error::invalid("a name was given, and no catalog is set")
                .with_object(place.to_string())
                .with_hint(format!(
                    "log in with `lake login URL`, or name the server with --catalog URL or LAKE_CATALOG; a path is \
                     written ./{place}"
                )));
        }
        self.client()
    }

    async fn open_named(&self, place: &Place) -> Result<Table> {
        let client = self.client_for(place)?;
        let located = client.locate(&name_of(place)?.to_string(), &self.store).await?;
        let committer = located.committer(client);
        Table::open_with(located.root, Arc::clone(&self.clock), committer).await
    }

    /// Creates a table without rows. In a catalog it gets an entry, with what is said of it.
    ///
    /// # Errors
    /// As [`TableResolver::create`].
    pub async fn create_empty(
        &self,
        place: &Place,
        options: CreateOptions,
        governance: Governance,
    ) -> Result<WriteOutcome> {
        match place {
            Place::Location(location) => {
                let root = TableRoot::open(location, &self.store)?;
                Table::create(&root, &self.clock, self.committer(), options, None).await
            }
            Place::Name { .. } => self.create_named(place, options, governance).await,
        }
    }
}

impl Resolver {
    async fn create_named(
        &self,
        place: &Place,
        options: CreateOptions,
        governance: Governance,
    ) -> Result<WriteOutcome> {
        let client = self.client_for(place)?;
        let name = name_of(place)?;
        let request = CreateTable {
            name: name.table.clone(),
            schema_string: Some(write_schema(&options.schema)),
            partition_columns: options.partition_columns,
            properties: options.properties,
            description: options.description,
            owner: governance.owner,
            upstreams: governance.upstreams,
            contract: governance.contract,
            ..CreateTable::default()
        };
        client.create_table(&name.catalog, &name.schema, &request).await?;
        let table = self.open_named(place).await?;
        let version = table.snapshot().version();
        let held = client.get_commit(&name, version).await?;
        let txn_id = held.txn_id.and_then(|id| Uuid::try_parse(&id).ok()).unwrap_or_default();
        let report = WriteReport { version, txn_id, ..WriteReport::default() };
        let snapshot = Arc::clone(table.snapshot());
        Ok(WriteOutcome::Committed(report, Committed { version, txn_id, snapshot }))
    }

    /// The entry first, then the rows. When these are refused the entry goes again: the catalog is as it was.
    async fn create_named_with(&self, place: &Place, options: CreateOptions, input: Input) -> Result<WriteOutcome> {
        let first = AppendOptions { txn: options.txn.clone(), ..AppendOptions::default() };
        self.create_named(place, options, Governance::default()).await?;
        let mut table = self.open_named(place).await?;
        let empty = table.snapshot().version();
        match table.append(&first, input).await {
            Ok(outcome) => Ok(outcome),
            Err(error) => {
                // Others may have found the new table and written to it: then it stays.
                let untouched = table.refresh().await.is_ok() && table.snapshot().version() == empty;
                if untouched && let Err(left) = self.client()?.drop_table(&name_of(place)?).await {
                    tracing::warn!(table = %place, error = %left, "the new table stays, empty");
                }
                Err(error)
            }
        }
    }
}

#[async_trait]
impl TableResolver for Resolver {
    async fn open(&self, reference: &TableRef) -> Result<Table> {
        match &reference.place {
            Place::Location(location) => {
                let root = TableRoot::open(location, &self.store)?;
                Table::open_with(root, Arc::clone(&self.clock), self.committer()).await
            }
            place @ Place::Name { .. } => self.open_named(place).await,
        }
    }

    async fn create(&self, place: &Place, options: CreateOptions, input: Input) -> Result<WriteOutcome> {
        match place {
            Place::Location(location) => {
                let root = TableRoot::open(location, &self.store)?;
                Table::create(&root, &self.clock, self.committer(), options, Some(input)).await
            }
            Place::Name { .. } => self.create_named_with(place, options, input).await,
        }
    }
}

fn name_of(place: &Place) -> Result<TableName> {
    match place {
        Place::Name { catalog, schema, table } => Ok(TableName {
            catalog: catalog.clone().unwrap_or_else(|| DEFAULT_CATALOG.to_owned()),
            schema: schema.clone(),
            table: table.clone(),
        }),
        Place::Location(_) => Err(Error::invalid("a path has no name in a catalog").with_object(place.to_string())),
    }
}
