//! How the live files stand in a checkpoint: statistics and partition values as typed columns, as text, or both.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, StringArray, StructArray, new_null_array};
use arrow_schema::{DataType, Field, Fields};

use super::batch::FileBatch;
use super::encode::structure;
use super::fields::add_fields;
use super::stats_text::StatsShape;
use super::values::Values;
use crate::action::partition_value;
use crate::error::Result;
use crate::expr::Scalar;
use crate::schema::{PrimitiveType, arrow_primitive};

/// How `add` is laid out in a checkpoint (CHK-5).
#[derive(Clone, Debug, Default)]
pub struct AddLayout {
    /// Statistics as columns, where they are wanted so.
    stats: Option<StatsShape>,
    /// Statistics as text.
    text: bool,
    /// Physical names and types of the partition columns whose values become columns.
    partitions: Vec<(String, PrimitiveType)>,
    fields: Fields,
}

impl AddLayout {
    /// Statistics as the columns of `stats` and, with `text` or without those, as text; partition values as columns
    /// beside statistics in columns.
    ///
    /// # Errors
    /// `Internal` when the columns do not fit together.
    pub fn new(stats: Option<StatsShape>, text: bool, partitions: Vec<(String, PrimitiveType)>) -> Result<Self> {
        let text = text || stats.is_none();
        let partitions = if stats.is_some() { partitions } else { Vec::new() };
        let mut fields: Vec<Arc<Field>> = add_fields().iter().cloned().collect();
        fields.retain(|field| text || field.name() != "stats");
        if let Some(shape) = &stats {
            fields.push(Arc::new(Field::new("stats_parsed", DataType::Struct(shape.fields()?), true)));
        }
        if !partitions.is_empty() {
            let typed = DataType::Struct(partition_fields(&partitions));
            fields.push(Arc::new(Field::new("partitionValues_parsed", typed, true)));
        }
        Ok(Self { stats, text, partitions, fields: Fields::from(fields) })
    }

    /// The fields of `add`.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Paths in the column of statistics of the bounds that are whole numbers, days or moments.
    pub fn number_columns(&self) -> Vec<Vec<String>> {
        let is_number = |data_type: PrimitiveType| {
            let whole = [PrimitiveType::Byte, PrimitiveType::Short, PrimitiveType::Integer, PrimitiveType::Long];
            let times = [PrimitiveType::Date, PrimitiveType::Timestamp, PrimitiveType::TimestampNtz];
            whole.contains(&data_type) || times.contains(&data_type)
        };
        let columns = self.stats.iter().flat_map(StatsShape::columns);
        let numbers = columns.filter(|column| column.bounds.is_some_and(is_number));
        let in_section = |section: &str, path: &[String]| {
            std::iter::once(section.to_owned()).chain(path.iter().cloned()).collect::<Vec<_>>()
        };
        numbers
            .flat_map(|column| ["minValues", "maxValues"].map(|section| in_section(section, &column.path.0)))
            .collect()
    }

    /// These files with their statistics in the forms of this layout.
    ///
    /// # Errors
    /// `Internal` when the columns do not fit together.
    pub fn arrange(&self, files: FileBatch) -> Result<FileBatch> {
        let Some(shape) = &self.stats else { return files.with_stats(None, true) };
        let parsed = match files.stats_of(shape)? {
            Some(stats) => stats.in_shape(shape)?,
            None => shape.read(&StringArray::new_null(files.len()))?,
        };
        files.with_stats(Some(parsed), self.text)
    }

    /// The column `add` of files that were arranged.
    ///
    /// # Errors
    /// `Internal` when the columns do not fit together.
    pub fn column(&self, files: &FileBatch) -> Result<StructArray> {
        let mut columns = Vec::new();
        for field in &self.fields {
            columns.push(match field.name().as_str() {
                "stats_parsed" => match files.parsed_stats() {
                    Some(stats) => Arc::new(stats.array().clone()) as ArrayRef,
                    None => new_null_array(field.data_type(), files.len()),
                },
                "partitionValues_parsed" => Arc::new(self.partition_values(files)?),
                name => match files.array().column_by_name(name) {
                    Some(column) => Arc::clone(column),
                    None => new_null_array(field.data_type(), files.len()),
                },
            });
        }
        structure(self.fields.clone(), columns, None)
    }

    fn partition_values(&self, files: &FileBatch) -> Result<StructArray> {
        let columns = self.partitions.iter().map(|(name, data_type)| partition_column(files, name, *data_type));
        structure(partition_fields(&self.partitions), columns.collect(), None)
    }
}

fn partition_fields(partitions: &[(String, PrimitiveType)]) -> Fields {
    partitions.iter().map(|(name, data_type)| Field::new(name, arrow_primitive(*data_type), true)).collect()
}

/// The values of one partition column; what can't be read as its type is null, since the text has the last word.
fn partition_column(files: &FileBatch, name: &str, data_type: PrimitiveType) -> ArrayRef {
    let texts = (0..files.len()).map(|row| files.partition_text(row, name));
    if data_type == PrimitiveType::String {
        let mut builder = StringBuilder::new();
        texts.for_each(|text| builder.append_option(text.filter(|text| !text.is_empty())));
        return Arc::new(builder.finish());
    }
    let values = texts.map(|text| partition_value::parse(text, &data_type).unwrap_or(Scalar::Null));
    let mut column = Values::new(data_type, files.len());
    values.for_each(|value| column.push(Some(value)));
    column.finish()
}
