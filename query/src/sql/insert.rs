//! INSERT: rows of a query, brought to the table's columns by position, appended or put in place of all rows.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType as ArrowType;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::sql::sqlparser::ast::{Insert, ObjectName, Statement, TableObject};
use lake_format::scan::read_schema;
use lake_format::schema::{DataType, PrimitiveType, StructField, StructType};
use lake_format::{AppendOptions, Error, Input, OverwriteOptions, Result};

use super::engine::{Engine, SqlAnswer};
use super::outputs::name_apart;
use super::plan::{Planned, plan};
use super::refuse::refused_part;
use super::tables::target;
use crate::error::{from_engine, listed, nearest};

/// Runs INSERT INTO and INSERT OVERWRITE.
pub(super) async fn insert(engine: &Engine, insert: Insert) -> Result<SqlAnswer> {
    check_clauses(&insert)?;
    let TableObject::TableName(name) = &insert.table else {
        return Err(refused_part("an INSERT into anything but a table"));
    };
    let place = target(name)?;
    let Some(mut source) = insert.source else { return Err(refused_part("INSERT without SELECT or VALUES")) };
    name_apart(&mut source);
    let (planned, table) = plan(engine, Statement::Query(source), Some(&place)).await?;
    let mut table = table.ok_or_else(|| Error::internal("the table was not opened").with_object(place.to_string()))?;
    table.snapshot().check_writable()?;
    let columns = targets(table.snapshot().schema(), &insert.columns)?;
    let Planned { state, plan } = planned.typed()?;
    let plan = assigned(plan, &columns)?;
    let (schema, batches) = Planned { state, plan }.stream().await?;
    let input = Input::new(schema, batches).within(engine.write_bytes);
    let outcome = if insert.overwrite {
        table.overwrite(&OverwriteOptions::default(), input).await?
    } else {
        table.append(&AppendOptions::default(), input).await?
    };
    Ok(SqlAnswer::Written(outcome))
}

fn check_clauses(insert: &Insert) -> Result<()> {
    let odd = [
        (insert.or.is_some() || insert.ignore || insert.replace_into, "INSERT OR … and INSERT IGNORE"),
        (insert.on.is_some(), "ON CONFLICT"),
        (insert.returning.is_some() || insert.output.is_some(), "RETURNING"),
        (insert.partitioned.is_some() || !insert.after_columns.is_empty(), "PARTITION (…) in an INSERT"),
        (insert.table_alias.is_some() || insert.insert_alias.is_some(), "an alias in an INSERT"),
        (!insert.assignments.is_empty(), "INSERT … SET"),
        (insert.settings.is_some() || insert.format_clause.is_some(), "FORMAT in an INSERT"),
        (insert.priority.is_some(), "a priority in an INSERT"),
        (insert.multi_table_insert_type.is_some(), "INSERT into several tables"),
    ];
    match odd.iter().find(|(there, _)| *there) {
        Some((_, part)) => Err(refused_part(part)),
        None => Ok(()),
    }
}

/// The columns written to, in the order of the values: those named, or all.
pub(super) fn targets<'a>(schema: &'a StructType, named: &[ObjectName]) -> Result<Vec<&'a StructField>> {
    if named.is_empty() {
        return Ok(schema.fields.iter().collect());
    }
    let mut found: Vec<&StructField> = Vec::with_capacity(named.len());
    for name in named {
        let part = match name.0.as_slice() {
            [part] => part.as_ident(),
            _ => None,
        };
        let Some(ident) = part else {
            return Err(Error::invalid("a column's name is expected").with_object(name.to_string()));
        };
        let Some(field) = schema.field(&ident.value) else {
            let names: Vec<String> = schema.fields.iter().map(|field| field.name.clone()).collect();
            let hint = match nearest(&ident.value, names.iter().map(String::as_str)) {
                Some(at) => format!("did you mean {}?", names[at]),
                None => listed("the columns are", &names),
            };
            return Err(Error::invalid(format!("the table has no column {:?}", ident.value)).with_hint(hint));
        };
        if found.iter().any(|known| known.name == field.name) {
            return Err(Error::invalid("a column is named twice").with_object(field.name.clone()));
        }
        found.push(field);
    }
    Ok(found)
}

/// The query with its columns named and typed as the columns they go to.
fn assigned(plan: LogicalPlan, columns: &[&StructField]) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    if schema.fields().len() != columns.len() {
        let names: Vec<String> = columns.iter().map(|field| field.name.clone()).collect();
        return Err(Error::invalid(format!(
            "the query gives {} columns, and {} are to be written",
            schema.fields().len(),
            columns.len()
        ))
        .with_hint(listed("the columns to be written are", &names)));
    }
    let columns = StructType::new(columns.iter().map(|&column| column.clone()).collect());
    // Nulls where none may be are found by the writer, which names the column.
    let types = read_schema(&columns)?;
    let into = columns.fields.iter().zip(types.fields());
    let values = schema.iter().zip(into).map(|((qualifier, field), (column, into))| {
        let value = Expr::Column((qualifier, field).into());
        let value = match conversion(field.data_type(), column, into.data_type())? {
            Some(into) => cast(value, into),
            None => value,
        };
        Ok(value.alias(&column.name))
    });
    let values = values.collect::<Result<Vec<Expr>>>()?;
    let projected = LogicalPlanBuilder::from(plan).project(values).and_then(LogicalPlanBuilder::build);
    projected.map_err(|error| from_engine(&error))
}

/// The type to convert to, if any. A conversion fails on values that have no place in the column. Those that would
/// lose something in silence are not done; nested values of another shape are left to the writer, which takes them by
/// the names of their fields if they fit.
pub(super) fn conversion(from: &ArrowType, column: &StructField, into: &ArrowType) -> Result<Option<ArrowType>> {
    if from == into {
        return Ok(None);
    }
    if assignable(from, &column.data_type) {
        return Ok(Some(into.clone()));
    }
    match &column.data_type {
        DataType::Primitive(primitive) => {
            Err(Error::invalid(format!("a value of type {from} can't be put into a column of type {primitive}"))
                .with_object(format!("column {}", column.name))
                .with_hint("convert it in the query, with CAST, round() or date_trunc()"))
        }
        _ => Ok(None),
    }
}

fn assignable(from: &ArrowType, into: &DataType) -> bool {
    match (from, into) {
        (ArrowType::Null, _) => true,
        (from, DataType::Primitive(primitive)) => assignable_value(from, primitive),
        (ArrowType::Struct(fields), DataType::Struct(inner)) => {
            fields.len() == inner.fields.len()
                && fields
                    .iter()
                    .zip(&inner.fields)
                    .all(|(field, into)| *field.name() == into.name && assignable(field.data_type(), &into.data_type))
        }
        (ArrowType::List(element) | ArrowType::LargeList(element), DataType::Array(array)) => {
            assignable(element.data_type(), &array.element_type)
        }
        (ArrowType::Map(entries, _), DataType::Map(map)) => match entries.data_type() {
            ArrowType::Struct(parts) if parts.len() == 2 => {
                assignable(parts[0].data_type(), &map.key_type) && assignable(parts[1].data_type(), &map.value_type)
            }
            _ => false,
        },
        _ => false,
    }
}

fn assignable_value(from: &ArrowType, into: &PrimitiveType) -> bool {
    use ArrowType as A;
    use PrimitiveType as P;
    if let A::Dictionary(_, values) = from {
        return assignable_value(values, into);
    }
    let text = matches!(from, A::Utf8 | A::LargeUtf8 | A::Utf8View);
    let bytes = matches!(from, A::Binary | A::LargeBinary | A::BinaryView | A::FixedSizeBinary(_));
    let whole = from.is_integer()
        || matches!(from, A::Decimal32(_, 0) | A::Decimal64(_, 0) | A::Decimal128(_, 0) | A::Decimal256(_, 0));
    let number = whole || from.is_floating() || from.is_decimal();
    match into {
        P::String => text || number || from.is_temporal() || *from == A::Boolean,
        P::Byte | P::Short | P::Integer | P::Long => text || whole,
        P::Float | P::Double | P::Decimal { .. } => text || number,
        P::Boolean => text || *from == A::Boolean,
        P::Binary => bytes || text,
        P::Date => text || matches!(from, A::Date32 | A::Date64),
        P::Timestamp | P::TimestampNtz => text || matches!(from, A::Timestamp(_, _) | A::Date32 | A::Date64),
    }
}
