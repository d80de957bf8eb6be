//! CREATE TABLE: columns declared, or taken from a query along with its rows.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType as ArrowType, Schema};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::helpers::stmt_create_table::CreateTableBuilder;
use datafusion::sql::sqlparser::ast::{
    ColumnDef, ColumnOption, CreateTable, CreateTableOptions, DataType as SqlType, Expr as SqlExpr,
    HiveDistributionStyle, HiveFormat, Query, SqlOption, Statement, Value,
};
use lake_format::schema::{DataType, StructField, StructType, from_arrow, parse_declaration, to_arrow};
use lake_format::{CreateOptions, Error, ErrorKind, Input, Result};

use super::engine::{Engine, SqlAnswer};
use super::outputs::name_apart;
use super::plan::{Planned, plan};
use super::refuse::refused_part;
use super::tables::target;
use crate::error::from_engine;
use crate::reference::{Place, TableRef};

/// Runs CREATE TABLE, with the rows of its query if it has one.
pub(super) async fn create(engine: &Engine, create: CreateTable) -> Result<SqlAnswer> {
    check_clauses(&create)?;
    let place = target(&create.name)?;
    let partition_columns = partition_columns(&create.hive_distribution)?;
    let properties = properties(&create.table_options)?;
    if create.if_not_exists && exists(engine, &place).await? {
        return Ok(there_already(&place));
    }
    let (schema, input) = match create.query {
        Some(_) if !create.columns.is_empty() => {
            return Err(refused_part("a list of columns in front of AS SELECT"));
        }
        Some(query) => from_query(engine, query).await?,
        None => {
            let schema = declared(&create.columns)?;
            let input = Input::from_batches(to_arrow(&schema)?, Vec::new());
            (schema, input)
        }
    };
    let options = CreateOptions { schema, partition_columns, properties, ..CreateOptions::default() };
    match engine.resolver.create(&place, options, input).await {
        Ok(outcome) => Ok(SqlAnswer::Written(outcome)),
        Err(error) if create.if_not_exists && error.kind() == ErrorKind::AlreadyExists => Ok(there_already(&place)),
        Err(error) => Err(error),
    }
}

fn there_already(place: &Place) -> SqlAnswer {
    SqlAnswer::Unchanged(format!("the table {place} is there already"))
}

async fn exists(engine: &Engine, place: &Place) -> Result<bool> {
    match engine.resolver.open(&TableRef::newest(place.clone())).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Refuses clauses that would otherwise be passed over in silence.
fn check_clauses(create: &CreateTable) -> Result<()> {
    let named = [
        (create.or_replace, "CREATE OR REPLACE TABLE"),
        (create.temporary, "CREATE TEMPORARY TABLE"),
        (create.external, "CREATE EXTERNAL TABLE"),
        (create.like.is_some(), "CREATE TABLE … LIKE"),
        (create.clone.is_some(), "CREATE TABLE … CLONE"),
        (create.location.is_some(), "LOCATION"),
        (!create.constraints.is_empty(), "a table constraint"),
        (create.primary_key.is_some(), "PRIMARY KEY"),
        (create.partition_by.is_some(), "PARTITION BY (write PARTITIONED BY)"),
        (create.cluster_by.is_some() || create.clustered_by.is_some(), "CLUSTER BY"),
        (create.comment.is_some(), "COMMENT"),
    ];
    if let Some((_, part)) = named.iter().find(|(there, _)| *there) {
        return Err(refused_part(part));
    }
    // Whatever else a clause set: with it taken away the rest would differ from a plain statement.
    let plain = CreateTableBuilder::new(create.name.clone())
        .if_not_exists(create.if_not_exists)
        .columns(create.columns.clone())
        .query(create.query.clone())
        .hive_distribution(create.hive_distribution.clone())
        .hive_formats(create.hive_formats.clone().filter(|formats| *formats == HiveFormat::default()))
        .table_options(create.table_options.clone())
        .build();
    if *create != plain {
        return Err(refused_part("a clause of this CREATE TABLE").with_hint(
            "CREATE TABLE [IF NOT EXISTS] name [(columns)] [PARTITIONED BY (…)] [TBLPROPERTIES (…)] [AS SELECT …] is read",
        ));
    }
    Ok(())
}

fn partition_columns(style: &HiveDistributionStyle) -> Result<Vec<String>> {
    match style {
        HiveDistributionStyle::NONE => Ok(Vec::new()),
        HiveDistributionStyle::PARTITIONED { columns } => columns
            .iter()
            .map(|column| match column.data_type {
                SqlType::Unspecified if column.options.is_empty() => Ok(column.name.value.clone()),
                _ => Err(Error::invalid("PARTITIONED BY takes the names of columns alone")
                    .with_object(column.to_string())
                    .with_hint("declare the column with the others, and give its name here")),
            })
            .collect(),
        HiveDistributionStyle::SKEWED { .. } => Err(refused_part("SKEWED BY")),
    }
}

fn properties(options: &CreateTableOptions) -> Result<BTreeMap<String, String>> {
    let options = match options {
        CreateTableOptions::None => return Ok(BTreeMap::new()),
        CreateTableOptions::TableProperties(options) | CreateTableOptions::With(options) => options,
        CreateTableOptions::Options(_) | CreateTableOptions::Plain(_) => return Err(refused_part("this table option")),
    };
    options.iter().map(property).collect()
}

fn property(option: &SqlOption) -> Result<(String, String)> {
    if let SqlOption::KeyValue { key, value: SqlExpr::Value(value) } = option {
        let value = match &value.value {
            Value::SingleQuotedString(text) | Value::Number(text, _) => Some(text.clone()),
            Value::Boolean(value) => Some(value.to_string()),
            _ => None,
        };
        if let Some(value) = value {
            return Ok((key.value.clone(), value));
        }
    }
    Err(Error::invalid("a table property is written 'name' = 'value'").with_object(option.to_string()))
}

/// The columns as `name type [NOT NULL]` declares them.
fn declared(columns: &[ColumnDef]) -> Result<StructType> {
    let fields = columns.iter().map(|column| {
        let named = |error: Error| error.with_object(column.to_string());
        let text = format!("c {}", column.data_type);
        let parsed = parse_declaration(&text).map_err(|error| {
            named(Error::invalid(format!("{} is no type of a column", column.data_type)).with_source(error.to_string()))
                .with_hint("types are those of the table, as in id BIGINT, name STRING, price DECIMAL(10,2)")
        })?;
        let [field] = parsed.fields.as_slice() else {
            return Err(named(Error::invalid("a column is written as a name and a type")));
        };
        let mut field = StructField::new(column.name.value.clone(), field.data_type.clone(), true);
        for option in &column.options {
            match &option.option {
                ColumnOption::Null => field.nullable = true,
                ColumnOption::NotNull => field.nullable = false,
                ColumnOption::Comment(text) => {
                    field.metadata.insert("comment".to_owned(), text.as_str().into());
                }
                other => return Err(named(refused_part(&format!("{other} behind a column")))),
            }
        }
        Ok(field)
    });
    Ok(StructType::new(fields.collect::<Result<_>>()?))
}

async fn from_query(engine: &Engine, mut query: Box<Query>) -> Result<(StructType, Input)> {
    name_apart(&mut query);
    let (Planned { state, plan }, _) = plan(engine, Statement::Query(query), None).await?;
    let plan = storable(plan)?;
    let (schema, batches) = Planned { state, plan }.stream().await?;
    let table = columns_of(&schema)?;
    Ok((table, Input::new(schema, batches).within(engine.write_bytes)))
}

/// The query with counts as signed integers, which a table can hold as such.
fn storable(plan: LogicalPlan) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    if !schema.fields().iter().any(|field| *field.data_type() == ArrowType::UInt64) {
        return Ok(plan);
    }
    let columns = schema.iter().map(|(qualifier, field)| {
        let column = Expr::Column((qualifier, field).into());
        match field.data_type() {
            ArrowType::UInt64 => cast(column, ArrowType::Int64).alias(field.name()),
            _ => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    let projected = LogicalPlanBuilder::from(plan).project(columns).and_then(LogicalPlanBuilder::build);
    projected.map_err(|error| from_engine(&error))
}

/// The table's columns: those of the query, each of which may be null later whatever the query says.
fn columns_of(schema: &Schema) -> Result<StructType> {
    let mut seen = HashSet::new();
    for field in schema.fields() {
        if *field.data_type() == ArrowType::Null {
            return Err(Error::invalid("a column of the query has no type")
                .with_object(field.name().clone())
                .with_hint(format!("give it one, as in CAST(NULL AS INT) AS {}", field.name())));
        }
        if !seen.insert(field.name().to_lowercase()) {
            return Err(Error::invalid("two columns of the query have one name")
                .with_object(field.name().clone())
                .with_hint("give one of them another name with AS"));
        }
        if field.name().contains(|c: char| " ,;{}()\n\t=".contains(c)) {
            return Err(Error::invalid("a column of the query has no name that a table can take")
                .with_object(field.name().clone())
                .with_hint("give it one with AS, as in count(*) AS n"));
        }
    }
    let mut table = from_arrow(schema)?;
    table.fields.iter_mut().for_each(relax);
    Ok(table)
}

fn relax(field: &mut StructField) {
    field.nullable = true;
    relax_type(&mut field.data_type);
}

fn relax_type(data_type: &mut DataType) {
    match data_type {
        DataType::Struct(inner) => inner.fields.iter_mut().for_each(relax),
        DataType::Array(array) => {
            array.contains_null = true;
            relax_type(&mut array.element_type);
        }
        DataType::Map(map) => {
            map.value_contains_null = true;
            relax_type(&mut map.value_type);
        }
        DataType::Primitive(_) | DataType::Variant | DataType::Void => {}
    }
}
