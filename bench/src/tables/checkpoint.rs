//! Checkpoints in the shapes that other writers give them.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, MapArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde_json::json;

use super::log::{DataFile, ROWS, SCHEMA, T0, file, schema_string};
use crate::Result;

/// How the pages of a checkpoint are compressed.
#[derive(Clone, Copy)]
pub enum Codec {
    /// Not at all.
    None,
    /// Snappy.
    Snappy,
    /// zstd at level 1.
    Zstd,
}

/// How a checkpoint is laid out.
pub struct Shape {
    /// Rows of a row group.
    pub group_rows: usize,
    /// Compression of every column.
    pub codec: Codec,
    /// Statistics as columns; as JSON otherwise.
    pub struct_stats: bool,
    /// Whether the adds come in random order.
    pub shuffled: bool,
}

impl Shape {
    /// As delta_kernel and deltalake write it.
    pub const ONE_GROUP: Self =
        Self { group_rows: usize::MAX, codec: Codec::None, struct_stats: true, shuffled: false };
    /// Groups of 64k, zstd level 1.
    pub const GROUPS: Self = Self { group_rows: 65_536, codec: Codec::Zstd, struct_stats: true, shuffled: false };
    /// As Spark writes small ones.
    pub const TINY: Self = Self { group_rows: usize::MAX, codec: Codec::Snappy, struct_stats: false, shuffled: false };
}

/// Writes the checkpoint of a version that has the adds of these numbers, and the hint to it. `sizes` are those of the
/// data files that are there.
pub fn write(table: &Path, version: u64, order: &[u64], shape: &Shape, sizes: &BTreeMap<u64, i64>) -> Result<()> {
    let path = table.join(format!("_delta_log/{version:020}.checkpoint.parquet"));
    let head = head_rows(shape)?;
    let compression = match shape.codec {
        Codec::None => Compression::UNCOMPRESSED,
        Codec::Snappy => Compression::SNAPPY,
        Codec::Zstd => Compression::ZSTD(ZstdLevel::try_new(1)?),
    };
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_max_row_group_row_count(Some(shape.group_rows.min(4_000_000)))
        .build();
    let mut writer = ArrowWriter::try_new(File::create(path)?, head.schema(), Some(properties))?;
    writer.write(&head)?;
    for part in order.chunks(65_536) {
        let files: Vec<DataFile> = part
            .iter()
            .map(|i| {
                let file = file(*i);
                DataFile { size: sizes.get(i).copied().unwrap_or(file.size), ..file }
            })
            .collect();
        let adds = adds(&files, shape.struct_stats)?;
        let columns: Vec<ArrayRef> =
            head.schema()
                .fields()
                .iter()
                .map(|field| {
                    if field.name() == "add" {
                        Arc::clone(&adds)
                    } else {
                        new_null_array(field.data_type(), part.len())
                    }
                })
                .collect();
        writer.write(&RecordBatch::try_new(head.schema(), columns)?)?;
    }
    writer.close()?;
    let hint = json!({"version": version, "size": order.len() + 2});
    Ok(fs::write(table.join("_delta_log/_last_checkpoint"), hint.to_string())?)
}

/// A struct without nulls.
fn structure(columns: Vec<(&str, ArrayRef)>) -> StructArray {
    let fields: Fields =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    StructArray::new(fields, columns.into_iter().map(|(_, column)| column).collect(), None)
}

fn entries_type() -> Fields {
    Fields::from(vec![Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)])
}

fn map_type() -> DataType {
    DataType::Map(Arc::new(Field::new("key_value", DataType::Struct(entries_type()), false)), false)
}

/// One entry of the partition column a row.
fn partition_values(files: &[DataFile]) -> Result<ArrayRef> {
    let keys = StringArray::from_iter_values(files.iter().map(|_| "part"));
    let values = StringArray::from_iter_values(files.iter().map(|file| &file.part));
    let entries = StructArray::new(entries_type(), vec![Arc::new(keys), Arc::new(values)], None);
    let offsets = OffsetBuffer::from_lengths(files.iter().map(|_| 1));
    let field = Field::new("key_value", DataType::Struct(entries_type()), false);
    Ok(Arc::new(MapArray::try_new(Arc::new(field), offsets, entries, None, false)?))
}

fn longs(files: &[DataFile], of: impl Fn(&DataFile) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(files.iter().map(of)))
}

/// The smallest values of each column, or the largest.
fn bounds(files: &[DataFile], largest: bool) -> ArrayRef {
    let either = |pair: (i64, i64)| if largest { pair.1 } else { pair.0 };
    let amounts = files.iter().map(|file| if largest { file.amount.1 } else { file.amount.0 });
    let names = files.iter().map(|file| if largest { &file.name.1 } else { &file.name.0 });
    let instants = TimestampMicrosecondArray::from_iter_values(files.iter().map(|file| either(file.ts)));
    Arc::new(structure(vec![
        ("id", longs(files, |file| either(file.id))),
        ("k", longs(files, |file| either(file.k))),
        ("amount", Arc::new(Float64Array::from_iter_values(amounts))),
        ("name", Arc::new(StringArray::from_iter_values(names))),
        ("ts", Arc::new(instants.with_timezone("UTC"))),
    ]))
}

fn parsed_stats(files: &[DataFile]) -> ArrayRef {
    let none = || longs(files, |_| 0);
    let nulls = structure(vec![
        ("id", none()),
        ("k", none()),
        ("amount", longs(files, |file| file.amount_nulls)),
        ("name", none()),
        ("ts", none()),
    ]);
    Arc::new(structure(vec![
        ("numRecords", longs(files, |_| ROWS as i64)),
        ("minValues", bounds(files, false)),
        ("maxValues", bounds(files, true)),
        ("nullCount", Arc::new(nulls)),
    ]))
}

fn adds(files: &[DataFile], struct_stats: bool) -> Result<ArrayRef> {
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("path", Arc::new(StringArray::from_iter_values(files.iter().map(|file| &file.path)))),
        ("partitionValues", partition_values(files)?),
        ("size", longs(files, |file| file.size)),
        ("modificationTime", longs(files, |file| file.time)),
        ("dataChange", Arc::new(BooleanArray::from(vec![false; files.len()]))),
        ("tags", new_null_array(&map_type(), files.len())),
    ];
    if struct_stats {
        columns.push(("stats_parsed", parsed_stats(files)));
    } else {
        columns.push(("stats", Arc::new(StringArray::from_iter_values(files.iter().map(DataFile::stats)))));
    }
    Ok(Arc::new(structure(columns)))
}

/// A column of two rows of which one has this struct.
fn at(row: usize, one: &StructArray) -> Result<ArrayRef> {
    let pick = arrow::array::UInt32Array::from(vec![0, 0]);
    let both = arrow::compute::take(one, &pick, None)?;
    let both = both.as_any().downcast_ref::<StructArray>().ok_or("a struct stays one")?.clone();
    let (fields, columns, _) = both.into_parts();
    let nulls = NullBuffer::from(vec![row == 0, row == 1]);
    Ok(Arc::new(StructArray::try_new(fields, columns, Some(nulls))?))
}

fn empty_map() -> Result<ArrayRef> {
    let entries = StructArray::new(
        entries_type(),
        vec![new_null_array(&DataType::Utf8, 0), new_null_array(&DataType::Utf8, 0)],
        None,
    );
    let field = Field::new("key_value", DataType::Struct(entries_type()), false);
    Ok(Arc::new(MapArray::try_new(Arc::new(field), OffsetBuffer::from_lengths([0]), entries, None, false)?))
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

/// The rows of protocol and metadata, in the schema of the whole checkpoint.
fn head_rows(shape: &Shape) -> Result<RecordBatch> {
    let protocol = structure(vec![
        ("minReaderVersion", Arc::new(Int32Array::from(vec![1]))),
        ("minWriterVersion", Arc::new(Int32Array::from(vec![2]))),
    ]);
    let format = structure(vec![("provider", text("parquet")), ("options", empty_map()?)]);
    let mut parts = arrow::array::ListBuilder::new(arrow::array::StringBuilder::new());
    parts.append_value([Some("part")]);
    let metadata = structure(vec![
        ("id", text("00000000-0000-4000-8000-000000000001")),
        ("name", new_null_array(&DataType::Utf8, 1)),
        ("description", new_null_array(&DataType::Utf8, 1)),
        ("format", Arc::new(format)),
        ("schemaString", text(&schema_string(&SCHEMA))),
        ("partitionColumns", Arc::new(parts.finish())),
        ("configuration", empty_map()?),
        ("createdTime", Arc::new(Int64Array::from(vec![T0]))),
    ]);
    let add_type = adds(&[file(0)], shape.struct_stats)?.data_type().clone();
    let nullable = |name: &str, kind| Field::new(name, kind, true);
    let remove = Fields::from(vec![
        nullable("path", DataType::Utf8),
        nullable("deletionTimestamp", DataType::Int64),
        nullable("dataChange", DataType::Boolean),
        nullable("extendedFileMetadata", DataType::Boolean),
        nullable("partitionValues", map_type()),
        nullable("size", DataType::Int64),
    ]);
    let txn = Fields::from(vec![
        nullable("appId", DataType::Utf8),
        nullable("version", DataType::Int64),
        nullable("lastUpdated", DataType::Int64),
    ]);
    let columns = vec![
        ("txn", new_null_array(&DataType::Struct(txn), 2)),
        ("add", new_null_array(&add_type, 2)),
        ("remove", new_null_array(&DataType::Struct(remove), 2)),
        ("metaData", at(1, &metadata)?),
        ("protocol", at(0, &protocol)?),
    ];
    let fields: Vec<Field> = columns.iter().map(|(name, column)| nullable(name, column.data_type().clone())).collect();
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}
