//! DELETE: rows of a table for which a condition is true leave it.

use std::collections::BTreeMap;

use datafusion::sql::sqlparser::ast::{Delete, FromTable};
use lake_format::{DeleteOptions, Error, Result};
use serde_json::json;

use super::change::{Change, Given, again, changed_table, exactly, run, select};
use super::condition::of_plan;
use super::engine::{Engine, SqlAnswer};
use super::plan::plan_change;
use super::refuse::refused_part;
use crate::provider::{FILE, PLACE};

/// Runs DELETE FROM.
pub(super) async fn delete(engine: &Engine, delete: Delete) -> Result<SqlAnswer> {
    check_clauses(&delete)?;
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [from] = from.as_slice() else { return Err(refused_part("DELETE from several tables")) };
    let place = changed_table(from, "DELETE")?;
    let text = delete.selection.as_ref().map(ToString::to_string);
    let query = select(from.clone(), delete.selection, [FILE, PLACE].map(exactly).to_vec())?;
    for attempt in 1.. {
        let planned = plan_change(engine, query.clone(), &place).await?;
        if let Some(condition) = of_plan(&planned.planned)?.filter(|condition| condition.exact) {
            let options = DeleteOptions { text, ..DeleteOptions::of(condition.predicate) };
            let mut table = planned.table;
            return table.delete(&options).await.map(SqlAnswer::Written);
        }
        let parameters = BTreeMap::from([("predicate".to_owned(), json!([text]).to_string().into())]);
        let into = Given::Leave("numDeletedRows");
        let done = run(engine, planned, Change { name: "DELETE", parameters, into, once: false }).await;
        if !again(&done, attempt) {
            return done.map(SqlAnswer::Written);
        }
    }
    Err(Error::internal("a DELETE ended without an answer"))
}

fn check_clauses(delete: &Delete) -> Result<()> {
    let odd = [
        (!delete.tables.is_empty(), "DELETE from several tables"),
        (delete.using.is_some(), "USING in a DELETE: put the other table into a subquery, or use MERGE"),
        (delete.returning.is_some() || delete.output.is_some(), "RETURNING"),
        (!delete.order_by.is_empty() || delete.limit.is_some(), "ORDER BY and LIMIT in a DELETE"),
    ];
    match odd.iter().find(|(there, _)| *there) {
        Some((_, part)) => Err(refused_part(part)),
        None => Ok(()),
    }
}
