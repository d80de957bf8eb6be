//! A store in memory: for tests, and for servers that need not remember.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use lake_format::{Error, Result};
use uuid::Uuid;

use super::{
    CatalogRecord, CatalogStore, Page, SchemaEntry, SchemaRecord, TableEntry, TableRecord, TokenRecord,
    changed_meanwhile, gone, location_taken, name_key, name_taken, not_empty,
};

/// Records in memory, gone with the process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    catalogs: BTreeMap<Uuid, CatalogRecord>,
    schemas: BTreeMap<Uuid, SchemaRecord>,
    tables: BTreeMap<Uuid, TableRecord>,
    tokens: BTreeMap<Uuid, TokenRecord>,
    closed: bool,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> Result<MutexGuard<'_, State>> {
        // A panic while the lock was held left whole records: each change is one insert or remove.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(Error::unavailable("the catalog's store is closed"));
        }
        Ok(state)
    }
}

impl State {
    fn schema_entry(&self, record: &SchemaRecord) -> Option<SchemaEntry> {
        let catalog = self.catalogs.get(&record.catalog_id)?;
        Some(SchemaEntry { catalog: catalog.name.clone(), record: record.clone() })
    }

    fn table_entry(&self, record: &TableRecord) -> Option<TableEntry> {
        let schema = self.schemas.get(&record.schema_id)?;
        let catalog = self.catalogs.get(&schema.catalog_id)?;
        Some(TableEntry {
            catalog: catalog.name.clone(),
            schema: schema.name.clone(),
            layer: schema.layer,
            record: record.clone(),
        })
    }

    fn overlapping(&self, key: &str) -> Option<TableEntry> {
        let touches =
            |table: &&TableRecord| key.starts_with(&table.location_key) || table.location_key.starts_with(key);
        self.tables.values().find(touches).and_then(|table| self.table_entry(table))
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// The page of `records`, sorted by name.
fn page_of<'a, T: Clone + 'a>(records: impl Iterator<Item = &'a T>, name: impl Fn(&T) -> &str, page: &Page) -> Vec<T> {
    let after = page.after.as_deref().map(name_key);
    let mut sorted: Vec<&T> =
        records.filter(|r| after.as_ref().is_none_or(|after| name_key(name(r)) > *after)).collect();
    sorted.sort_by_key(|r| name_key(name(r)));
    sorted.into_iter().take(page.limit as usize).cloned().collect()
}

#[async_trait]
impl CatalogStore for MemoryStore {
    async fn create_catalog(&self, record: &CatalogRecord) -> Result<()> {
        let mut state = self.state()?;
        if state.catalogs.values().any(|other| same(&other.name, &record.name)) {
            return Err(name_taken("catalog", &record.name));
        }
        state.catalogs.insert(record.id, record.clone());
        Ok(())
    }

    async fn catalog(&self, name: &str) -> Result<Option<CatalogRecord>> {
        Ok(self.state()?.catalogs.values().find(|record| same(&record.name, name)).cloned())
    }

    async fn catalogs(&self, page: &Page) -> Result<Vec<CatalogRecord>> {
        Ok(page_of(self.state()?.catalogs.values(), |record| &record.name, page))
    }

    async fn update_catalog(&self, record: &CatalogRecord) -> Result<()> {
        let mut state = self.state()?;
        let stored = state.catalogs.get_mut(&record.id).ok_or_else(|| gone("catalog"))?;
        if stored.revision + 1 != record.revision {
            return Err(changed_meanwhile("catalog"));
        }
        *stored = CatalogRecord { name: stored.name.clone(), created_ms: stored.created_ms, ..record.clone() };
        Ok(())
    }

    async fn delete_catalog(&self, id: Uuid) -> Result<()> {
        let mut state = self.state()?;
        if state.schemas.values().any(|schema| schema.catalog_id == id) {
            return Err(not_empty("catalog", "schema"));
        }
        state.catalogs.remove(&id).map(|_| ()).ok_or_else(|| gone("catalog"))
    }

    async fn create_schema(&self, record: &SchemaRecord) -> Result<()> {
        let mut state = self.state()?;
        if !state.catalogs.contains_key(&record.catalog_id) {
            return Err(gone("catalog"));
        }
        let mut siblings = state.schemas.values().filter(|other| other.catalog_id == record.catalog_id);
        if siblings.any(|other| same(&other.name, &record.name)) {
            return Err(name_taken("schema", &record.name));
        }
        state.schemas.insert(record.id, record.clone());
        Ok(())
    }

    async fn schema(&self, catalog: &str, name: &str) -> Result<Option<SchemaEntry>> {
        let state = self.state()?;
        let entries = state.schemas.values().filter(|record| same(&record.name, name));
        Ok(entries.filter_map(|record| state.schema_entry(record)).find(|entry| same(&entry.catalog, catalog)))
    }

    async fn schemas(&self, catalog_id: Uuid, page: &Page) -> Result<Vec<SchemaRecord>> {
        let state = self.state()?;
        let own = state.schemas.values().filter(|record| record.catalog_id == catalog_id);
        Ok(page_of(own, |record| &record.name, page))
    }

    async fn update_schema(&self, record: &SchemaRecord) -> Result<()> {
        let mut state = self.state()?;
        let stored = state.schemas.get_mut(&record.id).ok_or_else(|| gone("schema"))?;
        if stored.revision + 1 != record.revision {
            return Err(changed_meanwhile("schema"));
        }
        *stored = SchemaRecord {
            catalog_id: stored.catalog_id,
            name: stored.name.clone(),
            layer: stored.layer,
            created_ms: stored.created_ms,
            ..record.clone()
        };
        Ok(())
    }

    async fn delete_schema(&self, id: Uuid) -> Result<()> {
        let mut state = self.state()?;
        if state.tables.values().any(|table| table.schema_id == id) {
            return Err(not_empty("schema", "table"));
        }
        state.schemas.remove(&id).map(|_| ()).ok_or_else(|| gone("schema"))
    }

    async fn create_table(&self, record: &TableRecord) -> Result<()> {
        let mut state = self.state()?;
        if !state.schemas.contains_key(&record.schema_id) {
            return Err(gone("schema"));
        }
        let mut siblings = state.tables.values().filter(|other| other.schema_id == record.schema_id);
        if siblings.any(|other| same(&other.name, &record.name)) {
            return Err(name_taken("table", &record.name));
        }
        if let Some(holder) = state.overlapping(&record.location_key) {
            return Err(location_taken(&record.location, &holder.full_name()));
        }
        state.tables.insert(record.id, record.clone());
        Ok(())
    }

    async fn table(&self, catalog: &str, schema: &str, name: &str) -> Result<Option<TableEntry>> {
        let state = self.state()?;
        let named = state.tables.values().filter(|record| same(&record.name, name));
        let mut entries = named.filter_map(|record| state.table_entry(record));
        Ok(entries.find(|entry| same(&entry.catalog, catalog) && same(&entry.schema, schema)))
    }

    async fn tables_by_id(&self, ids: &[Uuid]) -> Result<Vec<TableEntry>> {
        let state = self.state()?;
        let wanted = state.tables.values().filter(|record| ids.contains(&record.id));
        Ok(wanted.filter_map(|record| state.table_entry(record)).collect())
    }

    async fn tables(&self, schema_id: Uuid, page: &Page) -> Result<Vec<TableRecord>> {
        let state = self.state()?;
        let own = state.tables.values().filter(|record| record.schema_id == schema_id);
        Ok(page_of(own, |record| &record.name, page))
    }

    async fn overlapping(&self, location_key: &str) -> Result<Option<TableEntry>> {
        Ok(self.state()?.overlapping(location_key))
    }

    async fn update_table(&self, record: &TableRecord) -> Result<()> {
        let mut state = self.state()?;
        let clash = |other: &TableRecord| {
            other.id != record.id && other.schema_id == record.schema_id && same(&other.name, &record.name)
        };
        let name_in_use = state.tables.values().any(clash);
        let stored = state.tables.get_mut(&record.id).ok_or_else(|| gone("table"))?;
        if stored.revision + 1 != record.revision {
            return Err(changed_meanwhile("table"));
        }
        if name_in_use {
            return Err(name_taken("table", &record.name));
        }
        *stored = TableRecord {
            schema_id: stored.schema_id,
            location: stored.location.clone(),
            location_key: stored.location_key.clone(),
            created_ms: stored.created_ms,
            ..record.clone()
        };
        Ok(())
    }

    async fn delete_table(&self, id: Uuid) -> Result<()> {
        self.state()?.tables.remove(&id).map(|_| ()).ok_or_else(|| gone("table"))
    }

    async fn create_token(&self, record: &TokenRecord) -> Result<()> {
        let mut state = self.state()?;
        if state.tokens.values().any(|other| same(&other.name, &record.name)) {
            return Err(name_taken("token", &record.name));
        }
        state.tokens.insert(record.id, record.clone());
        Ok(())
    }

    async fn tokens(&self) -> Result<Vec<TokenRecord>> {
        let all = Page { after: None, limit: u32::MAX };
        Ok(page_of(self.state()?.tokens.values(), |record| &record.name, &all))
    }

    async fn tokens_by_hash_head(&self, head: [u8; 8]) -> Result<Vec<TokenRecord>> {
        let state = self.state()?;
        Ok(state.tokens.values().filter(|record| record.hash.starts_with(&head)).cloned().collect())
    }

    async fn delete_token(&self, id: Uuid) -> Result<()> {
        self.state()?.tokens.remove(&id).map(|_| ()).ok_or_else(|| gone("token"))
    }

    async fn check(&self, _now_ms: i64) -> Result<()> {
        self.state().map(|_| ())
    }

    async fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn fresh() -> (MemoryStore, ()) {
        (MemoryStore::new(), ())
    }

    super::super::conformance::suite!(fresh);
}
