//! Catalogs and schemas: made, listed, changed, deleted when empty.

use lake_catalog_api as api;
use lake_catalog_api::Layer;
use lake_format::{ErrorKind, Result};

use super::{
    Catalog, Outcome, PageRequest, checked_name, checked_properties, checked_text, cut, merge_properties, no_such,
};
use crate::store::{CatalogRecord, SchemaEntry, SchemaRecord};

const MOST_DESCRIPTION_BYTES: usize = 4096;

impl Catalog {
    /// Makes what a new server has: the default catalog with a schema for each layer. What is there stays.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn ensure_default(&self) -> Result<()> {
        if !self.store.catalogs(&crate::store::Page { after: None, limit: 1 }).await?.is_empty() {
            return Ok(());
        }
        let record =
            self.new_catalog(api::CreateCatalog { name: api::DEFAULT_CATALOG.to_owned(), ..Default::default() });
        settled(self.store.create_catalog(&record).await)?;
        for layer in [Layer::Bronze, Layer::Silver, Layer::Gold] {
            let request = api::CreateSchema { name: layer.as_str().to_owned(), layer, ..Default::default() };
            let schema = self.new_schema(record.id, request);
            settled(self.store.create_schema(&schema).await)?;
        }
        Ok(())
    }

    fn new_catalog(&self, request: api::CreateCatalog) -> CatalogRecord {
        let now_ms = self.clock.now_ms();
        CatalogRecord {
            id: self.new_id(),
            name: request.name,
            description: request.description,
            properties: request.properties,
            revision: 1,
            created_ms: now_ms,
            updated_ms: now_ms,
        }
    }

    /// Catalogs, by name.
    pub async fn list_catalogs(&self, request: &PageRequest) -> Outcome<api::CatalogList> {
        let (page, limit) = request.page()?;
        let mut records = self.store.catalogs(&page).await?;
        let next_page_token = cut(&mut records, limit, |record| &record.name);
        Ok(api::CatalogList { catalogs: records.into_iter().map(catalog_out).collect(), next_page_token })
    }

    /// Makes a catalog.
    pub async fn create_catalog(&self, request: api::CreateCatalog) -> Outcome<api::Catalog> {
        checked_name(&request.name)?;
        checked(request.description.as_deref(), &request.properties)?;
        let record = self.new_catalog(request);
        self.store.create_catalog(&record).await?;
        Ok(catalog_out(record))
    }

    async fn catalog_record(&self, name: &str) -> Result<CatalogRecord> {
        self.store.catalog(name).await?.ok_or_else(|| no_such("catalog", name))
    }

    /// One catalog.
    pub async fn get_catalog(&self, name: &str) -> Outcome<api::Catalog> {
        Ok(catalog_out(self.catalog_record(name).await?))
    }

    /// Changes description and properties.
    pub async fn update_catalog(&self, name: &str, change: api::UpdateCatalog) -> Outcome<api::Catalog> {
        let mut record = self.catalog_record(name).await?;
        if let Some(description) = change.description {
            record.description = description;
        }
        merge_properties(&mut record.properties, change.properties)?;
        checked(record.description.as_deref(), &record.properties)?;
        record.revision += 1;
        record.updated_ms = self.clock.now_ms();
        self.store.update_catalog(&record).await?;
        Ok(catalog_out(record))
    }

    /// Deletes a catalog without schemas.
    pub async fn delete_catalog(&self, name: &str) -> Outcome<()> {
        let record = self.catalog_record(name).await?;
        Ok(self.store.delete_catalog(record.id).await.map_err(|e| e.with_object(record.name))?)
    }

    fn new_schema(&self, catalog_id: uuid::Uuid, request: api::CreateSchema) -> SchemaRecord {
        let now_ms = self.clock.now_ms();
        SchemaRecord {
            id: self.new_id(),
            catalog_id,
            name: request.name,
            layer: request.layer,
            description: request.description,
            properties: request.properties,
            revision: 1,
            created_ms: now_ms,
            updated_ms: now_ms,
        }
    }

    /// Schemas of a catalog, by name.
    pub async fn list_schemas(&self, catalog: &str, request: &PageRequest) -> Outcome<api::SchemaList> {
        let (page, limit) = request.page()?;
        let catalog = self.catalog_record(catalog).await?;
        let mut records = self.store.schemas(catalog.id, &page).await?;
        let next_page_token = cut(&mut records, limit, |record| &record.name);
        let entry = |record| schema_out(SchemaEntry { catalog: catalog.name.clone(), record });
        Ok(api::SchemaList { schemas: records.into_iter().map(entry).collect(), next_page_token })
    }

    /// Makes a schema.
    pub async fn create_schema(&self, catalog: &str, request: api::CreateSchema) -> Outcome<api::Schema> {
        checked_name(&request.name)?;
        checked(request.description.as_deref(), &request.properties)?;
        let catalog = self.catalog_record(catalog).await?;
        let record = self.new_schema(catalog.id, request);
        self.store.create_schema(&record).await?;
        Ok(schema_out(SchemaEntry { catalog: catalog.name, record }))
    }

    pub(super) async fn schema_entry(&self, catalog: &str, schema: &str) -> Result<SchemaEntry> {
        match self.store.schema(catalog, schema).await? {
            Some(entry) => Ok(entry),
            None => {
                let catalog = self.catalog_record(catalog).await?;
                Err(no_such("schema", &format!("{}.{schema}", catalog.name)))
            }
        }
    }

    /// One schema.
    pub async fn get_schema(&self, catalog: &str, schema: &str) -> Outcome<api::Schema> {
        Ok(schema_out(self.schema_entry(catalog, schema).await?))
    }

    /// Changes description and properties.
    pub async fn update_schema(&self, catalog: &str, schema: &str, change: api::UpdateSchema) -> Outcome<api::Schema> {
        let mut entry = self.schema_entry(catalog, schema).await?;
        let record = &mut entry.record;
        if let Some(description) = change.description {
            record.description = description;
        }
        merge_properties(&mut record.properties, change.properties)?;
        checked(record.description.as_deref(), &record.properties)?;
        record.revision += 1;
        record.updated_ms = self.clock.now_ms();
        self.store.update_schema(record).await?;
        Ok(schema_out(entry))
    }

    /// Deletes a schema without tables.
    pub async fn delete_schema(&self, catalog: &str, schema: &str) -> Outcome<()> {
        let entry = self.schema_entry(catalog, schema).await?;
        let name = format!("{}.{}", entry.catalog, entry.record.name);
        Ok(self.store.delete_schema(entry.record.id).await.map_err(|e| e.with_object(name))?)
    }
}

/// Two servers may start at once on one store: what the other made is as good.
fn settled(result: Result<()>) -> Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn checked(description: Option<&str>, properties: &std::collections::BTreeMap<String, String>) -> Result<()> {
    if let Some(description) = description {
        checked_text("description", description, MOST_DESCRIPTION_BYTES)?;
    }
    checked_properties(properties)
}

fn catalog_out(record: CatalogRecord) -> api::Catalog {
    api::Catalog {
        id: record.id.to_string(),
        name: record.name,
        description: record.description,
        properties: record.properties,
        created_ms: record.created_ms,
        updated_ms: record.updated_ms,
    }
}

fn schema_out(entry: SchemaEntry) -> api::Schema {
    let record = entry.record;
    api::Schema {
        id: record.id.to_string(),
        catalog: entry.catalog,
        name: record.name,
        layer: record.layer,
        description: record.description,
        properties: record.properties,
        created_ms: record.created_ms,
        updated_ms: record.updated_ms,
    }
}
