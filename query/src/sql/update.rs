//! UPDATE: rows of a table for which a condition is true get other values.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::Schema;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Ident, ObjectName, SelectItem, Update, WildcardAdditionalOptions,
};
use lake_format::scan::read_schema;
use lake_format::schema::StructType;
use lake_format::{Error, Result};
use serde_json::json;

use super::change::{Change, Counts, Given, again, changed_table, run, select};
use super::engine::{Engine, SqlAnswer};
use super::insert::{conversion, targets};
use super::plan::{Planned, PlannedChange, plan_change};
use super::refuse::refused_part;
use crate::error::from_engine;
use crate::provider::{FILE, PLACE};

/// Runs UPDATE … SET.
pub(super) async fn update(engine: &Engine, update: Update) -> Result<SqlAnswer> {
    check_clauses(&update)?;
    let place = changed_table(&update.table, "UPDATE")?;
    let text = update.selection.as_ref().map(ToString::to_string);
    let (names, values): (Vec<ObjectName>, Vec<_>) =
        update.assignments.into_iter().map(assignment).collect::<Result<Vec<_>>>()?.into_iter().unzip();
    let mut projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
    projection.extend(
        values
            .into_iter()
            .enumerate()
            .map(|(at, expr)| SelectItem::ExprWithAlias { expr, alias: Ident::with_quote('"', new_value(at)) }),
    );
    let query = select(update.table, update.selection, projection)?;
    for attempt in 1.. {
        let planned = assigned(plan_change(engine, query.clone(), &place).await?, &names)?;
        let parameters = BTreeMap::from([("predicate".to_owned(), json!([text]).to_string().into())]);
        let change = Change { name: "UPDATE", parameters, into: Given::Rows(Box::new(replaced)), once: true };
        let done = run(engine, planned, change).await;
        if !again(&done, attempt) {
            return done.map(SqlAnswer::Written);
        }
    }
    Err(Error::internal("an UPDATE ended without an answer"))
}

/// What the query calls a new value. No column that can be created here has such a name.
fn new_value(at: usize) -> String {
    format!("lake: new value, {at}")
}

fn assignment(assignment: Assignment) -> Result<(ObjectName, datafusion::sql::sqlparser::ast::Expr)> {
    match assignment.target {
        AssignmentTarget::ColumnName(mut name) => {
            // `t.a` for the column a of the table t, where a column has no field.
            if name.0.len() > 2 {
                return Err(refused_part("SET of a field inside a column"));
            }
            let last = name.0.pop().into_iter().collect();
            Ok((ObjectName(last), assignment.value))
        }
        AssignmentTarget::Tuple(_) => Err(refused_part("SET of several columns at once")),
    }
}

/// The query with its columns those of the table, the new values in place, and the places of the rows behind them.
fn assigned(planned: PlannedChange, names: &[ObjectName]) -> Result<PlannedChange> {
    let PlannedChange { planned, table, scan } = planned;
    let Planned { state, plan } = planned.typed()?;
    let schema = Arc::clone(table.snapshot().schema());
    let set = targets(&schema, names)?;
    let given = Arc::clone(plan.schema());
    let column = |name: &str| {
        let found = given.iter().find(|(_, field)| field.name() == name);
        let (qualifier, field) = found.ok_or_else(|| Error::internal("a column is not in the query of an UPDATE"))?;
        Ok::<_, Error>((Expr::Column(Column::from((qualifier, field))), field.data_type().clone()))
    };
    let mut values = Vec::with_capacity(schema.fields.len() + 2);
    for field in &schema.fields {
        let Some(at) = set.iter().position(|target| target.name == field.name) else {
            values.push(column(&field.name)?.0.alias(&field.name));
            continue;
        };
        let (value, from) = column(&new_value(at))?;
        let into = read_schema(&StructType::new(vec![field.clone()]))?;
        let value = match conversion(&from, field, into.field(0).data_type())? {
            Some(into) => cast(value, into),
            None => value,
        };
        values.push(value.alias(&field.name));
    }
    for name in [FILE, PLACE] {
        values.push(column(name)?.0.alias(name));
    }
    let plan = LogicalPlanBuilder::from(plan).project(values).and_then(LogicalPlanBuilder::build);
    let plan = plan.map_err(|error| from_engine(&error))?;
    Ok(PlannedChange { planned: Planned { state, plan }, table, scan })
}

/// A batch of the query: all of its rows leave, and come back without their places.
fn replaced(batch: &RecordBatch) -> Result<(RecordBatch, RecordBatch, Counts)> {
    let schema = batch.schema();
    let own: Vec<usize> =
        (0..schema.fields().len()).filter(|&at| ![FILE, PLACE].contains(&schema.field(at).name().as_str())).collect();
    let fields: Vec<_> = own.iter().map(|&at| Arc::clone(&schema.fields()[at])).collect();
    let columns = own.iter().map(|&at| Arc::clone(batch.column(at))).collect();
    let come = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
        .map_err(|error| Error::internal("new rows could not be told from their places").with_source(error))?;
    Ok((batch.clone(), come, Counts::from([("numUpdatedRows", batch.num_rows() as u64)])))
}

fn check_clauses(update: &Update) -> Result<()> {
    let odd = [
        (update.from.is_some(), "FROM in an UPDATE: use a subquery, or MERGE"),
        (update.or.is_some(), "UPDATE OR …"),
        (update.returning.is_some() || update.output.is_some(), "RETURNING"),
        (!update.order_by.is_empty() || update.limit.is_some(), "ORDER BY and LIMIT in an UPDATE"),
    ];
    match odd.iter().find(|(there, _)| *there) {
        Some((_, part)) => Err(refused_part(part)),
        None => Ok(()),
    }
}
