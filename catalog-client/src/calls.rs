//! Every route as a typed call.

use lake_catalog_api::{
    Catalog, CatalogList, CommitRequest, CommitResponse, CommitStatus, CreateCatalog, CreateSchema, CreateTable,
    CreateToken, CreatedToken, DroppedTable, LoadedTable, MAX_PAGE, Operation as Op, RegisterTable, Schema, SchemaList,
    Session, Table, TableList, TableName, TokenList, UpdateCatalog, UpdateSchema, UpdateTable,
};
use lake_format::{Error, Result};

use crate::client::CatalogClient;

/// Which page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageOptions {
    /// Most entries; the server's own choice when absent.
    pub limit: Option<u32>,
    /// `next_page_token` of the page before.
    pub page_token: Option<String>,
}

impl PageOptions {
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::from("?"));
        if let Some(limit) = self.limit {
            query.append_pair("limit", &limit.to_string());
        }
        if let Some(token) = &self.page_token {
            query.append_pair("page_token", token);
        }
        let query = query.finish();
        if query == "?" { String::new() } else { query.replacen("?&", "?", 1) }
    }

    fn largest(page_token: Option<String>) -> Self {
        Self { limit: Some(MAX_PAGE), page_token }
    }
}

fn place(name: &TableName) -> [&str; 3] {
    [&name.catalog, &name.schema, &name.table]
}

/// Follows the pages of a list to its end.
macro_rules! all_pages {
    ($page:expr, $entries:ident) => {{
        let mut all = Vec::new();
        let mut token = None;
        loop {
            let page = $page(PageOptions::largest(token.clone())).await?;
            all.extend(page.$entries);
            if page.next_page_token.is_none() {
                return Ok(all);
            }
            if page.next_page_token == token {
                return Err(Error::unavailable("the server's list does not end"));
            }
            token = page.next_page_token;
        }
    }};
}

/// Errors everywhere: the server's own refusals by their kind, `Unavailable` when it can't be reached or did not answer.
impl CatalogClient {
    /// Who this client is to the server.
    pub async fn session(&self) -> Result<Session> {
        self.get(Op::GetSession, &[], "").await
    }

    /// The server's OpenAPI description.
    pub async fn openapi(&self) -> Result<String> {
        let bytes = self.ask(Op::GetOpenApi, &[]).await?;
        String::from_utf8(bytes).map_err(|e| self.not_understood().with_source(e))
    }

    /// All tokens.
    pub async fn list_tokens(&self) -> Result<TokenList> {
        self.get(Op::ListTokens, &[], "").await
    }

    /// Makes a token.
    pub async fn create_token(&self, request: &CreateToken) -> Result<CreatedToken> {
        self.send(Op::CreateToken, &[], request).await
    }

    /// Revokes a token.
    pub async fn revoke_token(&self, id: &str) -> Result<()> {
        self.ask(Op::RevokeToken, &[id]).await.map(drop)
    }

    /// One page of catalogs.
    pub async fn list_catalogs(&self, page: &PageOptions) -> Result<CatalogList> {
        self.get(Op::ListCatalogs, &[], &page.query()).await
    }

    /// All catalogs.
    pub async fn all_catalogs(&self) -> Result<Vec<Catalog>> {
        all_pages!(async |page: PageOptions| self.list_catalogs(&page).await, catalogs)
    }

    /// Makes a catalog.
    pub async fn create_catalog(&self, request: &CreateCatalog) -> Result<Catalog> {
        self.send(Op::CreateCatalog, &[], request).await
    }

    /// One catalog.
    pub async fn get_catalog(&self, catalog: &str) -> Result<Catalog> {
        self.get(Op::GetCatalog, &[catalog], "").await
    }

    /// Changes a catalog.
    pub async fn update_catalog(&self, catalog: &str, change: &UpdateCatalog) -> Result<Catalog> {
        self.send(Op::UpdateCatalog, &[catalog], change).await
    }

    /// Deletes a catalog without schemas.
    pub async fn delete_catalog(&self, catalog: &str) -> Result<()> {
        self.ask(Op::DeleteCatalog, &[catalog]).await.map(drop)
    }

    /// One page of schemas.
    pub async fn list_schemas(&self, catalog: &str, page: &PageOptions) -> Result<SchemaList> {
        self.get(Op::ListSchemas, &[catalog], &page.query()).await
    }

    /// All schemas of a catalog.
    pub async fn all_schemas(&self, catalog: &str) -> Result<Vec<Schema>> {
        all_pages!(async |page: PageOptions| self.list_schemas(catalog, &page).await, schemas)
    }

    /// Makes a schema.
    pub async fn create_schema(&self, catalog: &str, request: &CreateSchema) -> Result<Schema> {
        self.send(Op::CreateSchema, &[catalog], request).await
    }

    /// One schema.
    pub async fn get_schema(&self, catalog: &str, schema: &str) -> Result<Schema> {
        self.get(Op::GetSchema, &[catalog, schema], "").await
    }

    /// Changes a schema.
    pub async fn update_schema(&self, catalog: &str, schema: &str, change: &UpdateSchema) -> Result<Schema> {
        self.send(Op::UpdateSchema, &[catalog, schema], change).await
    }

    /// Deletes a schema without tables.
    pub async fn delete_schema(&self, catalog: &str, schema: &str) -> Result<()> {
        self.ask(Op::DeleteSchema, &[catalog, schema]).await.map(drop)
    }

    /// One page of tables.
    pub async fn list_tables(&self, catalog: &str, schema: &str, page: &PageOptions) -> Result<TableList> {
        self.get(Op::ListTables, &[catalog, schema], &page.query()).await
    }

    /// All tables of a schema.
    pub async fn all_tables(&self, catalog: &str, schema: &str) -> Result<Vec<Table>> {
        all_pages!(async |page: PageOptions| self.list_tables(catalog, schema, &page).await, tables)
    }

    /// Makes a Delta table and its entry.
    pub async fn create_table(&self, catalog: &str, schema: &str, request: &CreateTable) -> Result<LoadedTable> {
        self.send(Op::CreateTable, &[catalog, schema], request).await
    }

    /// Makes an entry for a table that is there.
    pub async fn register_table(&self, catalog: &str, schema: &str, request: &RegisterTable) -> Result<LoadedTable> {
        self.send(Op::RegisterTable, &[catalog, schema], request).await
    }

    /// A table's entry.
    pub async fn get_table(&self, name: &TableName) -> Result<Table> {
        self.get(Op::GetTable, &place(name), "").await
    }

    /// Changes a table's entry.
    pub async fn update_table(&self, name: &TableName, change: &UpdateTable) -> Result<Table> {
        self.send(Op::UpdateTable, &place(name), change).await
    }

    /// Forgets a table; its data stays.
    pub async fn drop_table(&self, name: &TableName) -> Result<DroppedTable> {
        self.get(Op::DropTable, &place(name), "").await
    }

    /// A table at its newest version.
    pub async fn load_table(&self, name: &TableName) -> Result<LoadedTable> {
        self.get(Op::LoadTable, &place(name), "").await
    }

    /// One attempt at one commit. [`crate::CatalogCommitter`] repeats it until its outcome is known.
    pub async fn commit(&self, name: &TableName, request: &CommitRequest) -> Result<CommitResponse> {
        self.send(Op::Commit, &place(name), request).await
    }

    /// Who holds a version.
    pub async fn get_commit(&self, name: &TableName, version: u64) -> Result<CommitStatus> {
        let [catalog, schema, table] = place(name);
        self.get(Op::GetCommit, &[catalog, schema, table, &version.to_string()], "").await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_asked_for_in_the_query() {
        assert_eq!(PageOptions::default().query(), "");
        assert_eq!(PageOptions { limit: Some(5), page_token: None }.query(), "?limit=5");
        assert_eq!(PageOptions { limit: Some(5), page_token: Some("a&b".into()) }.query(), "?limit=5&page_token=a%26b");
    }
}
