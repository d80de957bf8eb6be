//! Every route of the native API, written once: router, client, OpenAPI and authorisation read this table.

use crate::Failure;
use crate::body::{BodyOf, body};
use crate::{
    Catalog, CatalogList, CommitRequest, CommitResponse, CommitStatus, CreateCatalog, CreateSchema, CreateTable,
    CreateToken, CreatedToken, DroppedTable, LoadedTable, RegisterTable, Schema, SchemaList, Scope, Session, Table,
    TableList, TokenList, UpdateCatalog, UpdateSchema, UpdateTable,
};

/// What every path starts with.
pub const BASE: &str = "/api/v1";

/// HTTP methods in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "their names say all")]
pub enum Method {
    Get,
    Post,
    Patch,
    Delete,
}

impl Method {
    /// Upper-case name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// One operation each; a server answers all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the table's summaries say what each does")]
pub enum Operation {
    GetSession,
    GetOpenApi,
    ListTokens,
    CreateToken,
    RevokeToken,
    ListCatalogs,
    CreateCatalog,
    GetCatalog,
    UpdateCatalog,
    DeleteCatalog,
    ListSchemas,
    CreateSchema,
    GetSchema,
    UpdateSchema,
    DeleteSchema,
    ListTables,
    CreateTable,
    RegisterTable,
    GetTable,
    UpdateTable,
    DropTable,
    LoadTable,
    Commit,
    GetCommit,
}

/// One route.
#[derive(Debug)]
pub struct Route {
    /// What it does.
    pub operation: Operation,
    /// Name in OpenAPI.
    pub id: &'static str,
    /// HTTP method.
    pub method: Method,
    /// Path with `{parameters}`.
    pub path: &'static str,
    /// Least scope of the caller; `None` asks for no token.
    pub scope: Option<Scope>,
    /// One line.
    pub summary: &'static str,
    /// Takes `limit` and `page_token`.
    pub paged: bool,
    /// Status of success.
    pub status: u16,
    /// Body of the request.
    pub(crate) request: Option<BodyOf>,
    /// Body of a success.
    pub(crate) response: Option<BodyOf>,
    /// Failures of its own, beside those that every route has.
    pub(crate) failures: &'static [Failure],
}

impl Route {
    /// The route of `operation`.
    pub fn of(operation: Operation) -> &'static Self {
        ROUTES.iter().find(|route| route.operation == operation).unwrap_or(&ROUTES[0])
    }

    /// Names of the path's parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// The path of `operation` with its parameters filled in, in order. Names need no escape; anything else is escaped.
pub fn path(operation: Operation, parameters: &[&str]) -> String {
    let mut values = parameters.iter();
    let filled = Route::of(operation).path.split('/').map(|part| {
        if part.starts_with('{') { escape(values.next().copied().unwrap_or_default()) } else { part.to_owned() }
    });
    filled.collect::<Vec<_>>().join("/")
}

fn escape(text: &str) -> String {
    use std::fmt::Write;
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

const CATALOGS: &str = "/api/v1/catalogs";
const CATALOG: &str = "/api/v1/catalogs/{catalog}";
const SCHEMAS: &str = "/api/v1/catalogs/{catalog}/schemas";
const SCHEMA: &str = "/api/v1/catalogs/{catalog}/schemas/{schema}";
const TABLES: &str = "/api/v1/catalogs/{catalog}/schemas/{schema}/tables";
const REGISTER: &str = "/api/v1/catalogs/{catalog}/schemas/{schema}/register";
const TABLE: &str = "/api/v1/catalogs/{catalog}/schemas/{schema}/tables/{table}";
const LOAD: &str = "/api/v1/catalogs/{catalog}/schemas/{schema}/tables/{table}/load";
const COMMITS: &str = "/api/v1/catalogs/{catalog}/schemas/{schema}/tables/{table}/commits";
const COMMIT: &str = "/api/v1/catalogs/{catalog}/schemas/{schema}/tables/{table}/commits/{version}";
const TOKENS: &str = "/api/v1/tokens";
const TOKEN: &str = "/api/v1/tokens/{id}";

use Failure::{AlreadyExists, Conflict, Corrupt, NotFound, RulesBroken, Unsupported};
use Method::{Delete, Get, Patch, Post};
use Operation as Op;
use Scope::{Admin, Read, Write};

const fn route(
    operation: Operation,
    id: &'static str,
    (method, path): (Method, &'static str),
    scope: Option<Scope>,
    summary: &'static str,
) -> Route {
    Route {
        operation,
        id,
        method,
        path,
        scope,
        summary,
        paged: false,
        status: 200,
        request: None,
        response: None,
        failures: &[],
    }
}

impl Route {
    const fn paged(mut self) -> Self {
        self.paged = true;
        self
    }
    const fn takes(mut self, request: BodyOf) -> Self {
        self.request = Some(request);
        self
    }
    const fn gives(mut self, status: u16, response: BodyOf) -> Self {
        self.status = status;
        self.response = Some(response);
        self
    }
    const fn fails(mut self, failures: &'static [Failure]) -> Self {
        self.failures = failures;
        self
    }
}

/// The routes.
pub const ROUTES: &[Route] = &[
    route(Op::GetSession, "getSession", (Get, "/api/v1/session"), Some(Read), "Who is calling, and what it may do")
        .gives(200, body::<Session>),
    route(Op::GetOpenApi, "getOpenApi", (Get, "/api/v1/openapi.json"), None, "This description"),
    route(Op::ListTokens, "listTokens", (Get, TOKENS), Some(Admin), "All tokens, without their secrets")
        .gives(200, body::<TokenList>),
    route(Op::CreateToken, "createToken", (Post, TOKENS), Some(Admin), "Make a token; its secret is shown this once")
        .takes(body::<CreateToken>)
        .gives(201, body::<CreatedToken>)
        .fails(&[AlreadyExists]),
    route(Op::RevokeToken, "revokeToken", (Delete, TOKEN), Some(Admin), "Refuse a token from now on")
        .gives(204, body::<()>)
        .fails(&[NotFound, Conflict]),
    route(Op::ListCatalogs, "listCatalogs", (Get, CATALOGS), Some(Read), "Catalogs, by name")
        .paged()
        .gives(200, body::<CatalogList>),
    route(Op::CreateCatalog, "createCatalog", (Post, CATALOGS), Some(Admin), "Make a catalog")
        .takes(body::<CreateCatalog>)
        .gives(201, body::<Catalog>)
        .fails(&[AlreadyExists]),
    route(Op::GetCatalog, "getCatalog", (Get, CATALOG), Some(Read), "One catalog")
        .gives(200, body::<Catalog>)
        .fails(&[NotFound]),
    route(Op::UpdateCatalog, "updateCatalog", (Patch, CATALOG), Some(Admin), "Change description and properties")
        .takes(body::<UpdateCatalog>)
        .gives(200, body::<Catalog>)
        .fails(&[NotFound, Conflict]),
    route(Op::DeleteCatalog, "deleteCatalog", (Delete, CATALOG), Some(Admin), "Delete a catalog that has no schema")
        .gives(204, body::<()>)
        .fails(&[NotFound, Conflict]),
    route(Op::ListSchemas, "listSchemas", (Get, SCHEMAS), Some(Read), "Schemas of a catalog, by name")
        .paged()
        .gives(200, body::<SchemaList>)
        .fails(&[NotFound]),
    route(Op::CreateSchema, "createSchema", (Post, SCHEMAS), Some(Admin), "Make a schema with its layer")
        .takes(body::<CreateSchema>)
        .gives(201, body::<Schema>)
        .fails(&[NotFound, AlreadyExists]),
    route(Op::GetSchema, "getSchema", (Get, SCHEMA), Some(Read), "One schema")
        .gives(200, body::<Schema>)
        .fails(&[NotFound]),
    route(Op::UpdateSchema, "updateSchema", (Patch, SCHEMA), Some(Admin), "Change description and properties")
        .takes(body::<UpdateSchema>)
        .gives(200, body::<Schema>)
        .fails(&[NotFound, Conflict]),
    route(Op::DeleteSchema, "deleteSchema", (Delete, SCHEMA), Some(Admin), "Delete a schema that has no table")
        .gives(204, body::<()>)
        .fails(&[NotFound, Conflict]),
    route(Op::ListTables, "listTables", (Get, TABLES), Some(Read), "Tables of a schema, by name")
        .paged()
        .gives(200, body::<TableList>)
        .fails(&[NotFound]),
    route(Op::CreateTable, "createTable", (Post, TABLES), Some(Write), "Make a Delta table and its entry")
        .takes(body::<CreateTable>)
        .gives(201, body::<LoadedTable>)
        .fails(&[NotFound, AlreadyExists, RulesBroken, Unsupported]),
    route(Op::RegisterTable, "registerTable", (Post, REGISTER), Some(Admin), "Make an entry for a table that is there")
        .takes(body::<RegisterTable>)
        .gives(201, body::<LoadedTable>)
        .fails(&[NotFound, AlreadyExists, RulesBroken, Unsupported, Corrupt]),
    route(Op::GetTable, "getTable", (Get, TABLE), Some(Read), "A table's entry, from the catalog alone")
        .gives(200, body::<Table>)
        .fails(&[NotFound]),
    route(Op::UpdateTable, "updateTable", (Patch, TABLE), Some(Write), "Change name, owner, upstreams, contract")
        .takes(body::<UpdateTable>)
        .gives(200, body::<Table>)
        .fails(&[NotFound, AlreadyExists, Conflict, RulesBroken, Unsupported, Corrupt]),
    route(Op::DropTable, "dropTable", (Delete, TABLE), Some(Admin), "Forget a table; its data stays where it is")
        .gives(200, body::<DroppedTable>)
        .fails(&[NotFound]),
    route(Op::LoadTable, "loadTable", (Get, LOAD), Some(Read), "A table at its newest version, and how to reach it")
        .gives(200, body::<LoadedTable>)
        .fails(&[NotFound, Unsupported, Corrupt]),
    route(Op::Commit, "commit", (Post, COMMITS), Some(Write), "Commit a version; safe to repeat")
        .takes(body::<CommitRequest>)
        .gives(200, body::<CommitResponse>)
        .fails(&[NotFound, Conflict, RulesBroken, Unsupported, Corrupt]),
    route(Op::GetCommit, "getCommit", (Get, COMMIT), Some(Read), "Who holds a version")
        .gives(200, body::<CommitStatus>)
        .fails(&[NotFound, Corrupt]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_operation_id_and_place_is_there_once() {
        let mut operations = HashSet::new();
        let mut ids = HashSet::new();
        let mut places = HashSet::new();
        for route in ROUTES {
            assert!(operations.insert(route.operation), "{:?}", route.operation);
            assert!(ids.insert(route.id), "{}", route.id);
            assert!(places.insert((route.method, route.path)), "{} {}", route.method.as_str(), route.path);
            assert!(route.path.starts_with(BASE));
        }
    }

    #[test]
    fn what_changes_something_needs_more_than_read() {
        for route in ROUTES.iter().filter(|route| route.method != Method::Get) {
            assert!(route.scope > Some(Scope::Read), "{}", route.id);
        }
    }

    #[test]
    fn paths_are_filled_in_and_escaped() {
        assert_eq!(path(Op::LoadTable, &["lake", "gold", "t"]), "/api/v1/catalogs/lake/schemas/gold/tables/t/load");
        assert_eq!(path(Op::GetCatalog, &["a/../b"]), "/api/v1/catalogs/a%2F%2E%2E%2Fb");
        assert_eq!(
            Route::of(Op::GetCommit).parameters().collect::<Vec<_>>(),
            ["catalog", "schema", "table", "version"]
        );
    }
}
