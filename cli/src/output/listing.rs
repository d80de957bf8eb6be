//! Things that are not rows of a table: what is listed and what is told of one thing, in every format.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

use super::rows::{NULL, Printer};
use super::sink::Sink;
use super::table::{self, Header};
use crate::args::Format;
use crate::error::CliError;

/// What the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A whole number.
    Number,
    /// Text.
    Text,
    /// True or false.
    Flag,
    /// Any JSON value; its text in formats without nesting.
    Json,
}

#[derive(Clone, Debug)]
struct Column {
    name: &'static str,
    kind: Kind,
    in_table: bool,
}

/// Things of one kind, a row each.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    columns: Vec<Column>,
    rows: Vec<Vec<Value>>,
}

impl Listing {
    /// A list with these columns.
    pub fn new(columns: &[(&'static str, Kind)]) -> Self {
        let columns = columns.iter().map(|&(name, kind)| Column { name, kind, in_table: true }).collect();
        Self { columns, rows: Vec::new() }
    }

    /// Leaves columns out of the table for people.
    #[must_use]
    pub fn hiding(mut self, names: &[&str]) -> Self {
        for column in &mut self.columns {
            column.in_table &= !names.contains(&column.name);
        }
        self
    }

    /// Adds a row, a value for each column.
    pub fn push(&mut self, row: Vec<Value>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.rows.push(row);
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn print(&self, format: Format, mut sink: Sink) -> Result<(), CliError> {
        match format {
            Format::Table => self.print_table(&mut sink)?,
            Format::Json => {
                let rows: Vec<Row<'_>> = self.rows.iter().map(|row| Row(&self.columns, row)).collect();
                write_json(&rows, true, &mut sink)?;
            }
            Format::Ndjson => {
                for row in &self.rows {
                    write_json(&Row(&self.columns, row), false, &mut sink)?;
                }
            }
            Format::Csv | Format::Arrow | Format::Parquet => return self.print_batch(format, sink),
        }
        sink.commit()
    }

    fn print_table(&self, sink: &mut Sink) -> Result<(), CliError> {
        let shown = || self.columns.iter().enumerate().filter(|(_, column)| column.in_table);
        let headers: Vec<Header> = shown()
            .map(|(_, column)| Header { name: column.name.to_owned(), number: column.kind == Kind::Number })
            .collect();
        let cells = |row: &Vec<Value>| shown().map(|(at, _)| row.get(at).map_or_else(String::new, cell)).collect();
        table::print(&headers, self.rows.iter().map(cells), sink)
    }

    fn print_batch(&self, format: Format, sink: Sink) -> Result<(), CliError> {
        let batch = self.batch()?;
        let mut printer = Printer::new(format, batch.schema(), sink)?;
        printer.write(&batch)?;
        printer.finish()?;
        Ok(())
    }

    fn batch(&self) -> Result<RecordBatch, CliError> {
        let (mut fields, mut arrays) = (Vec::new(), Vec::<ArrayRef>::new());
        for (at, column) in self.columns.iter().enumerate() {
            let values = self.rows.iter().map(|row| row.get(at).unwrap_or(&Value::Null));
            let (data_type, array): (DataType, ArrayRef) = match column.kind {
                Kind::Number => (DataType::Int64, Arc::new(values.map(Value::as_i64).collect::<Int64Array>())),
                Kind::Flag => (DataType::Boolean, Arc::new(values.map(Value::as_bool).collect::<BooleanArray>())),
                Kind::Text | Kind::Json => (DataType::Utf8, Arc::new(values.map(plain).collect::<StringArray>())),
            };
            fields.push(Field::new(column.name, data_type, true));
            arrays.push(array);
        }
        Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)?)
    }
}

/// One thing: named values in order.
#[derive(Clone, Debug, Default)]
pub struct Object {
    listing: Listing,
    shown: Vec<Option<String>>,
}

impl Object {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { listing: Listing { columns: Vec::new(), rows: vec![Vec::new()] }, shown: Vec::new() }
    }

    /// Adds a value.
    #[must_use]
    pub fn with(self, name: &'static str, kind: Kind, value: impl Into<Value>) -> Self {
        self.add(name, kind, value.into(), None)
    }

    /// Adds a value that people see as `shown`.
    #[must_use]
    pub fn with_shown(self, name: &'static str, kind: Kind, value: impl Into<Value>, shown: String) -> Self {
        self.add(name, kind, value.into(), Some(shown))
    }

    fn add(mut self, name: &'static str, kind: Kind, value: Value, shown: Option<String>) -> Self {
        self.listing.columns.push(Column { name, kind, in_table: true });
        self.shown.push(shown);
        if let Some(row) = self.listing.rows.first_mut() {
            row.push(value);
        }
        self
    }

    pub(super) fn print(&self, format: Format, mut sink: Sink) -> Result<(), CliError> {
        let row = self.listing.rows.first().map(Vec::as_slice).unwrap_or_default();
        match format {
            Format::Table => {
                let pairs: Vec<(String, String)> = (self.listing.columns.iter().zip(row).zip(&self.shown))
                    .map(|((column, value), shown)| {
                        (column.name.to_owned(), shown.clone().unwrap_or_else(|| cell(value)))
                    })
                    .collect();
                table::print_pairs(&pairs, &mut sink)?;
            }
            Format::Json => write_json(&Row(&self.listing.columns, row), true, &mut sink)?,
            other => return self.listing.print(other, sink),
        }
        sink.commit()
    }
}

/// A row as an object with its names in order.
struct Row<'a>(&'a [Column], &'a [Value]);

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (column, value) in self.0.iter().zip(self.1) {
            map.serialize_entry(column.name, value)?;
        }
        map.end()
    }
}

fn write_json(value: &impl Serialize, pretty: bool, sink: &mut Sink) -> Result<(), CliError> {
    let written =
        if pretty { serde_json::to_writer_pretty(&mut *sink, value) } else { serde_json::to_writer(&mut *sink, value) };
    written.map_err(std::io::Error::from)?;
    Ok(sink.write_all(b"\n")?)
}

/// For people.
fn cell(value: &Value) -> String {
    plain(value).unwrap_or_else(|| NULL.to_owned())
}

/// Text of a value; nested ones as JSON.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
