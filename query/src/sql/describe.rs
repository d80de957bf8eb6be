//! DESCRIBE: the columns of a table as rows.

use std::sync::Arc;

use datafusion::arrow::array::{BooleanArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::ObjectName;
use futures::{StreamExt, stream};
use lake_format::snapshot::At;
use lake_format::{Error, Result};

use super::engine::{Engine, SqlAnswer};
use super::tables::reference;

/// Name, type and nullability of each column of the table `name`.
pub(super) async fn describe(engine: &Engine, name: &ObjectName) -> Result<SqlAnswer> {
    let (reference, _) = reference(name)?;
    let named = |error: Error| error.with_object(reference.to_string());
    let table = engine.resolver.open(&reference).await.map_err(named)?;
    let columns = match reference.at {
        At::Latest => Arc::clone(table.snapshot().schema()),
        at => Arc::clone(table.at(at).await.map_err(named)?.schema()),
    };
    let schema = Arc::new(Schema::new(vec![
        Field::new("name", DataType::Utf8, false),
        Field::new("type", DataType::Utf8, false),
        Field::new("nullable", DataType::Boolean, false),
    ]));
    let names: StringArray = columns.fields.iter().map(|field| Some(field.name.as_str())).collect();
    let types: StringArray = columns.fields.iter().map(|field| Some(field.data_type.to_string())).collect();
    let nullable: BooleanArray = columns.fields.iter().map(|field| Some(field.nullable)).collect();
    let rows = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(names), Arc::new(types), Arc::new(nullable)]);
    let rows = rows.map_err(|error| Error::internal("columns could not be listed").with_source(error))?;
    Ok(SqlAnswer::Rows { schema, stream: stream::iter([Ok(rows)]).boxed() })
}
