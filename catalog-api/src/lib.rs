//! Wire types, names, routes, errors and OpenAPI of the catalog's native API: what client and server agree on.

mod body;
mod commit;
mod error;
mod name;
mod namespace;
mod openapi;
mod routes;
mod session;
mod table;

pub use commit::{CommitFailure, CommitOutcome, CommitRequest, CommitResponse, CommitState, CommitStatus};
pub use error::{Detail, ErrorBody, ErrorInfo, ErrorKind, Failure};
pub use name::{DEFAULT_CATALOG, MAX_NAME_LENGTH, NameProblem, TableName, check_name};
pub use namespace::{
    Catalog, CatalogList, CreateCatalog, CreateSchema, Layer, Schema, SchemaList, UpdateCatalog, UpdateSchema,
};
pub use openapi::openapi;
pub use routes::{BASE, Method, Operation, ROUTES, Route, path};
pub use session::{CreateToken, CreatedToken, Scope, Session, Token, TokenList};
pub use table::{
    Bound, ColumnRule, ColumnSpec, Contract, CreateTable, DroppedTable, LoadedTable, RegisterTable, StaticKeys,
    StorageHints, StoreKind, Table, TableList, TableProtocol, UpdateTable,
};

/// Most bytes of the body of a commit.
pub const MAX_COMMIT_BODY_BYTES: usize = 16 * 1024 * 1024;
/// Most bytes of the body of every other request.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;
/// Most entries of one page of a list.
pub const MAX_PAGE: u32 = 1000;
/// Entries of a page when the request names no limit.
pub const DEFAULT_PAGE: u32 = 100;
/// Header that carries the request's id, from the client or made by the server, and back.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// Where the server listens when it is told nothing.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8181";

/// Tells an absent field (`None`) from one that is null (`Some(None)`).
fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: serde::Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    serde::Deserialize::deserialize(deserializer).map(Some)
}
