//! One SQL statement: read, its tables opened, planned by the engine, run.

mod change;
mod columns;
mod condition;
mod create;
mod delete;
mod describe;
mod dialect;
mod engine;
mod files;
mod insert;
mod joins;
mod merge;
mod outputs;
mod plan;
mod refuse;
mod tables;
mod text;
mod update;

use datafusion::sql::sqlparser::ast::Statement;
use lake_format::Result;

pub use condition::Condition;
pub(crate) use condition::condition;
pub use engine::SqlAnswer;
pub(crate) use engine::{DEFAULT_CATALOG, DEFAULT_SCHEMA, Engine};

/// Runs the statement that `text` is.
pub(crate) async fn run(engine: &Engine, text: &str) -> Result<SqlAnswer> {
    match text::parse(text)? {
        statement @ (Statement::Query(_) | Statement::Explain { .. }) => plan::rows(engine, statement).await,
        Statement::ExplainTable { table_name, .. } => describe::describe(engine, &table_name).await,
        Statement::CreateTable(create) => create::create(engine, create).await,
        Statement::Insert(insert) => insert::insert(engine, insert).await,
        Statement::Delete(delete) => delete::delete(engine, delete).await,
        Statement::Update(update) => update::update(engine, update).await,
        Statement::Merge(merge) => merge::merge(engine, merge).await,
        other => {
            let name: Vec<String> = other.to_string().split_whitespace().take(2).map(str::to_uppercase).collect();
            Err(refuse::refused(
                &name.join(" "),
                "SELECT, EXPLAIN, DESCRIBE, CREATE TABLE, INSERT, DELETE, UPDATE and MERGE are run",
            ))
        }
    }
}
