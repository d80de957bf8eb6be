//! Rows in each format, written as they come.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::csv;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use arrow::ipc::writer::StreamWriter;
use arrow::json::writer::{JsonArray, LineDelimited, Writer as JsonWriter, WriterBuilder as JsonBuilder};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::json::{NonFinite, as_json, with_text_keys};
use super::sink::Sink;
use super::table::{self, Header};
use crate::args::Format;
use crate::error::CliError;

/// Rows that a text table shows: it must be held whole to be aligned, and nobody reads more.
const TABLE_ROWS: usize = 10_000;

/// Bytes of a Parquet row group, about: one is held in memory.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// How null is shown to people.
pub const NULL: &str = "NULL";

/// Writes rows of one schema.
pub struct Printer {
    rows: u64,
    form: Form,
}

enum Form {
    Table(SchemaRef, Vec<Vec<String>>, Sink),
    Json(Box<JsonWriter<Sink, JsonArray>>),
    Ndjson(Box<JsonWriter<Sink, LineDelimited>>),
    Csv(SchemaRef, Box<csv::Writer<Sink>>),
    Arrow(Box<StreamWriter<Sink>>),
    Parquet(Box<ArrowWriter<Sink>>),
}

impl Printer {
    /// A printer of rows of `schema` in `format`.
    ///
    /// # Errors
    /// `Unsupported` for columns that the format can't hold.
    pub fn new(format: Format, schema: SchemaRef, sink: Sink) -> Result<Self, CliError> {
        let json = JsonBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(NonFinite));
        let form = match format {
            Format::Table => Form::Table(schema, Vec::new(), sink),
            Format::Json => Form::Json(Box::new(json.build(sink))),
            Format::Ndjson => Form::Ndjson(Box::new(json.build(sink))),
            Format::Csv => {
                let flat = flat_schema(&schema);
                Form::Csv(flat, Box::new(csv::WriterBuilder::new().with_header(true).build(sink)))
            }
            Format::Arrow => Form::Arrow(Box::new(StreamWriter::try_new(sink, &schema)?)),
            Format::Parquet => {
                let compression = Compression::ZSTD(ZstdLevel::default());
                let properties = WriterProperties::builder().set_compression(compression).build();
                Form::Parquet(Box::new(ArrowWriter::try_new(sink, schema, Some(properties))?))
            }
        };
        Ok(Self { rows: 0, form })
    }

    /// Whether further rows would not be shown.
    pub fn is_full(&self) -> bool {
        matches!(&self.form, Form::Table(_, rows, _) if rows.len() > TABLE_ROWS)
    }

    /// Writes the rows of `batch`.
    ///
    /// # Errors
    /// What the format or the destination refuses.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        self.rows += batch.num_rows() as u64;
        match &mut self.form {
            Form::Table(_, rows, _) => collect(batch, rows)?,
            Form::Json(writer) => writer.write(&with_text_keys(batch)?)?,
            Form::Ndjson(writer) => writer.write(&with_text_keys(batch)?)?,
            Form::Csv(schema, writer) => writer.write(&flat(batch, schema)?)?,
            Form::Arrow(writer) => writer.write(batch)?,
            Form::Parquet(writer) => {
                writer.write(batch)?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES {
                    writer.flush()?;
                }
            }
        }
        Ok(())
    }

    /// Ends the output and gives the number of rows in it.
    ///
    /// # Errors
    /// As for writing.
    pub fn finish(self) -> Result<u64, CliError> {
        let sink = match self.form {
            Form::Table(schema, mut rows, mut sink) => {
                rows.truncate(TABLE_ROWS);
                let shown = rows.len() as u64;
                table::print(&headers(&schema), rows.into_iter(), &mut sink)?;
                sink.commit()?;
                return Ok(shown);
            }
            Form::Json(mut writer) => {
                writer.finish()?;
                let mut sink = writer.into_inner();
                std::io::Write::write_all(&mut sink, b"\n")?;
                sink
            }
            Form::Ndjson(mut writer) => {
                writer.finish()?;
                writer.into_inner()
            }
            Form::Csv(schema, mut writer) => {
                if self.rows == 0 {
                    // The header stands there also when no row does.
                    writer.write(&RecordBatch::new_empty(schema))?;
                }
                writer.into_inner()
            }
            Form::Arrow(mut writer) => {
                writer.finish()?;
                writer.into_inner()?
            }
            Form::Parquet(writer) => writer.into_inner()?,
        };
        sink.commit()?;
        Ok(self.rows)
    }
}

fn headers(schema: &SchemaRef) -> Vec<Header> {
    let header = |field: &Arc<arrow::datatypes::Field>| Header {
        name: field.name().clone(),
        number: field.data_type().is_numeric(),
    };
    schema.fields().iter().map(header).collect()
}

fn collect(batch: &RecordBatch, rows: &mut Vec<Vec<String>>) -> Result<(), CliError> {
    let options = FormatOptions::default().with_null(NULL).with_display_error(true);
    let columns: Vec<ArrayFormatter<'_>> =
        batch.columns().iter().map(|column| ArrayFormatter::try_new(column, &options)).collect::<Result<_, _>>()?;
    // One more than is shown tells that there are more.
    let wanted = (TABLE_ROWS + 1).saturating_sub(rows.len());
    for row in 0..batch.num_rows().min(wanted) {
        rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
    }
    Ok(())
}

/// The schema with text in place of nested columns, which CSV can't hold.
fn flat_schema(schema: &SchemaRef) -> SchemaRef {
    let field = |field: &Arc<Field>| match field.data_type().is_nested() {
        true => Arc::new(Field::new(field.name(), DataType::Utf8, true)),
        false => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Fields>()))
}

/// The rows with nested values as JSON.
fn flat(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, CliError> {
    if batch.schema_ref().fields() == schema.fields() {
        return Ok(batch.clone());
    }
    let column = |column: &ArrayRef| match column.data_type().is_nested() {
        true => as_json(column),
        false => Ok(Arc::clone(column)),
    };
    let columns = batch.columns().iter().map(column).collect::<Result<Vec<_>, CliError>>()?;
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &rows)?)
}
