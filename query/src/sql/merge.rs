//! MERGE: rows of a source meet those of a table; what meets is updated or deleted, what is alone inserted, updated or
//! deleted, clause by clause.

mod clauses;

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{Int32Type, Int64Type};
use datafusion::common::Column;
use datafusion::logical_expr::{Expr as EngineExpr, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Join, JoinConstraint, JoinOperator, Merge, Query, SelectItem, Statement, TableAlias, TableFactor,
    TableWithJoins,
};
use lake_format::scan::read_schema;
use lake_format::schema::StructType;
use lake_format::{Error, Result};
use serde_json::json;

pub(super) use self::clauses::ALL as ALL_COLUMNS;
use self::clauses::{CLAUSE, Clauses, Does, IN_SOURCE, new_value, star};
use super::change::{Change, Counts, Given, again, changed_table, run, select};
use super::engine::{Engine, SqlAnswer};
use super::insert::conversion;
use super::plan::{Planned, PlannedChange, plan, plan_change};
use super::refuse::refused_part;
use super::tables::own_alias;
use super::text;
use crate::error::from_engine;
use crate::provider::{FILE, PLACE};
use crate::reference::TableRef;

/// Runs MERGE INTO.
pub(super) async fn merge(engine: &Engine, merge: Merge) -> Result<SqlAnswer> {
    if merge.output.is_some() {
        return Err(refused_part("OUTPUT in a MERGE"));
    }
    let target = TableWithJoins { relation: aliased(merge.table.clone())?, joins: Vec::new() };
    let place = changed_table(&target, "MERGE")?;
    let source = aliased(merge.source.clone())?;
    let names = (alias_of(&target.relation)?, alias_of(&source)?);
    let source_columns = columns_of(engine, &merge.source).await?;
    let parameters = parameters(&merge);
    for attempt in 1.. {
        let table = engine.resolver.open(&TableRef::newest(place.clone())).await?;
        let schema = Arc::clone(table.snapshot().schema());
        let clauses = Clauses::new(&merge.clauses, &schema, (&names.0, &names.1), &source_columns)?;
        let query = query(&target, &source, &merge.on, &clauses, &schema, &names)?;
        let planned = plan_change(engine, query, &place).await?;
        if planned.table.snapshot().schema() != &schema && attempt < super::change::ATTEMPTS {
            continue;
        }
        let planned = assigned(planned, &schema)?;
        let change = Change {
            name: "MERGE",
            parameters: parameters.clone(),
            into: Given::Rows(Box::new({
                let does = clauses.does();
                move |batch| taken(batch, &does)
            })),
            once: clauses.needs_one_match(),
        };
        let done = run(engine, planned, change).await;
        if !again(&done, attempt) {
            return done.map(SqlAnswer::Written);
        }
    }
    Err(Error::internal("a MERGE ended without an answer"))
}

fn parameters(merge: &Merge) -> BTreeMap<String, serde_json::Value> {
    let of = |wanted: &[&str]| {
        let clauses = merge.clauses.iter().filter(|clause| wanted.contains(&clause.clause_kind.to_string().as_str()));
        let told = clauses.map(|clause| {
            let action = clause.action.to_string();
            let action = action.split_whitespace().next().unwrap_or_default().to_lowercase();
            match &clause.predicate {
                Some(predicate) => json!({"predicate": predicate.to_string(), "actionType": action}),
                None => json!({"actionType": action}),
            }
        });
        json!(told.collect::<Vec<_>>()).to_string().into()
    };
    BTreeMap::from([
        ("predicate".to_owned(), json!([merge.on.to_string()]).to_string().into()),
        ("matchedPredicates".to_owned(), of(&["MATCHED"])),
        ("notMatchedPredicates".to_owned(), of(&["NOT MATCHED", "NOT MATCHED BY TARGET"])),
        ("notMatchedBySourcePredicates".to_owned(), of(&["NOT MATCHED BY SOURCE"])),
    ])
}

/// The factor under a name for its columns.
fn aliased(factor: TableFactor) -> Result<TableFactor> {
    match factor {
        TableFactor::Table {
            name,
            alias: None,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            let alias = Some(own_alias(&name)?);
            Ok(TableFactor::Table {
                name,
                alias,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            })
        }
        other => Ok(other),
    }
}

fn alias_of(factor: &TableFactor) -> Result<Ident> {
    match factor {
        TableFactor::Table { alias: Some(alias), .. } | TableFactor::Derived { alias: Some(alias), .. } => {
            Ok(alias.name.clone())
        }
        _ => Err(Error::invalid("the source of a MERGE needs a name").with_hint("write USING (SELECT …) AS s")),
    }
}

/// Names of the source's columns.
async fn columns_of(engine: &Engine, source: &TableFactor) -> Result<Vec<String>> {
    let from = TableWithJoins { relation: source.clone(), joins: Vec::new() };
    let query = select(from, None, vec![star()])?;
    let (planned, _) = plan(engine, Statement::Query(Box::new(query)), None).await?;
    Ok(planned.plan.schema().fields().iter().map(|field| field.name().clone()).collect())
}

/// The join of target and source, with what is to be done to each of its rows.
fn query(
    target: &TableWithJoins,
    source: &TableFactor,
    on: &Expr,
    clauses: &Clauses,
    schema: &StructType,
    (target_name, source_name): &(Ident, Ident),
) -> Result<Query> {
    let flagged = format!("SELECT true AS \"{IN_SOURCE}\"");
    let Statement::Query(flag) = text::parse(&flagged)? else {
        return Err(Error::internal("a SELECT was not read as one"));
    };
    let marked = match flag.body.as_ref() {
        datafusion::sql::sqlparser::ast::SetExpr::Select(select) => select.projection.clone(),
        _ => Vec::new(),
    };
    let mut inner = vec![star()];
    inner.extend(marked);
    let inner = select(TableWithJoins { relation: source.clone(), joins: Vec::new() }, None, inner)?;
    let alias = TableAlias { explicit: true, name: source_name.clone(), columns: Vec::new(), at: None };
    let source = TableFactor::Derived { lateral: false, subquery: Box::new(inner), alias: Some(alias), sample: None };
    let on = JoinConstraint::On(on.clone());
    let operator = match (clauses.inserts(), clauses.looks_at_rows_without_source()) {
        (true, true) => JoinOperator::FullOuter(on),
        (true, false) => JoinOperator::RightOuter(on),
        (false, true) => JoinOperator::LeftOuter(on),
        (false, false) => JoinOperator::Inner(on),
    };
    let mut from = target.clone();
    from.joins.push(Join { relation: source, global: false, join_operator: operator });
    let of_target = |name: &str| {
        let column = Expr::CompoundIdentifier(vec![target_name.clone(), Ident::with_quote('"', name)]);
        SelectItem::ExprWithAlias { expr: column, alias: Ident::with_quote('"', name) }
    };
    let mut projection = vec![of_target(FILE), of_target(PLACE)];
    projection.push(SelectItem::ExprWithAlias { expr: clauses.which(), alias: Ident::with_quote('"', CLAUSE) });
    for at in 0..schema.fields.len() {
        let alias = Ident::with_quote('"', new_value(at));
        projection.push(SelectItem::ExprWithAlias { expr: clauses.value(at), alias });
    }
    select(from, None, projection)
}

/// The rows of the query that a clause applies to, their new values of the types of the table's columns.
fn assigned(planned: PlannedChange, schema: &StructType) -> Result<PlannedChange> {
    let PlannedChange { planned, table, scan } = planned;
    let Planned { state, plan } = planned.typed()?;
    let given = Arc::clone(plan.schema());
    let column = |name: &str| {
        let found = given.iter().find(|(_, field)| field.name() == name);
        let (qualifier, field) = found.ok_or_else(|| Error::internal("a column is not in the query of a MERGE"))?;
        Ok::<_, Error>((EngineExpr::Column(Column::from((qualifier, field))), field.data_type().clone()))
    };
    let applies = column(CLAUSE)?.0.is_not_null();
    let mut values = Vec::with_capacity(schema.fields.len() + 3);
    for (at, field) in schema.fields.iter().enumerate() {
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
    values.push(cast(column(CLAUSE)?.0, datafusion::arrow::datatypes::DataType::Int32).alias(CLAUSE));
    let plan = LogicalPlanBuilder::from(plan)
        .filter(applies)
        .and_then(|plan| plan.project(values))
        .and_then(LogicalPlanBuilder::build);
    let plan = plan.map_err(|error| from_engine(&error))?;
    Ok(PlannedChange { planned: Planned { state, plan }, table, scan })
}

/// A batch of the query: rows of the table that leave, rows that come, and how many of each kind.
fn taken(batch: &RecordBatch, does: &[Does]) -> Result<(RecordBatch, RecordBatch, Counts)> {
    let broken = || Error::internal("a MERGE's query gave other columns than were asked for");
    let clause = batch.column_by_name(CLAUSE).and_then(|column| column.as_primitive_opt::<Int32Type>());
    let clause = clause.ok_or_else(broken)?;
    let file = batch.column_by_name(FILE).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let file = file.ok_or_else(broken)?;
    let mut counts = Counts::default();
    let (mut leave, mut come) = (Vec::with_capacity(clause.len()), Vec::with_capacity(clause.len()));
    for row in 0..clause.len() {
        let what = usize::try_from(clause.value(row)).ok().and_then(|at| does.get(at)).ok_or_else(broken)?;
        leave.push(file.is_valid(row));
        come.push(*what != Does::Delete);
        let name = match what {
            Does::Insert => "numTargetRowsInserted",
            Does::Update => "numTargetRowsUpdated",
            Does::Delete => "numTargetRowsDeleted",
        };
        *counts.entry(name).or_default() += 1;
    }
    let pick = |wanted: Vec<bool>| {
        filter_record_batch(batch, &BooleanArray::from(wanted))
            .map_err(|error| Error::internal("rows of a MERGE could not be picked").with_source(error))
    };
    let come = pick(come)?;
    let own: Vec<usize> = (0..come.num_columns().saturating_sub(3)).collect();
    let come = come.project(&own).map_err(|error| Error::internal("columns could not be picked").with_source(error))?;
    Ok((pick(leave)?, come, counts))
}
