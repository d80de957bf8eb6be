//! One SQL statement: read, its tables opened, planned by the engine, run.

mod columns;
mod create;
mod describe;
mod dialect;
mod files;
mod insert;
mod joins;
mod outputs;
mod plan;
mod refuse;
mod tables;
mod text;

use datafusion::sql::sqlparser::ast::Statement;
use lake_format::Result;

use crate::session::{Session, SqlAnswer};

/// Runs the statement that `text` is. See [`Session::run`].
pub(crate) async fn run(session: &Session, text: &str) -> Result<SqlAnswer> {
    match text::parse(text)? {
        statement @ (Statement::Query(_) | Statement::Explain { .. }) => plan::rows(session, statement).await,
        Statement::ExplainTable { table_name, .. } => describe::describe(session, &table_name).await,
        Statement::CreateTable(create) => create::create(session, create).await,
        Statement::Insert(insert) => insert::insert(session, insert).await,
        other => {
            let name: Vec<String> = other.to_string().split_whitespace().take(2).map(str::to_uppercase).collect();
            Err(refuse::refused(&name.join(" "), "SELECT, EXPLAIN, DESCRIBE, CREATE TABLE and INSERT are run"))
        }
    }
}

#[cfg(test)]
mod tests;
