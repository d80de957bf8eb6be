//! Rows of a checkpoint back to actions.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::DataType as ArrowType;

use super::super::{Action, DomainMetadata, Metadata, Protocol, Sidecar, TableFormat, Txn};
use crate::error::{Error, Result};

/// The actions of a batch that do not speak of files, and the sidecars that it names.
///
/// # Errors
/// `Corrupt` for columns that the protocol does not know in this form.
pub fn decode_small(batch: &RecordBatch, actions: &mut Vec<Action>, sidecars: &mut Vec<Sidecar>) -> Result<()> {
    let column = |name: &'static str| batch.column_by_name(name).map(|column| Fields::new(name, column)).transpose();
    if let Some(fields) = column("protocol")? {
        fields.each(|row| protocol(&fields, row), |protocol| actions.push(Action::Protocol(protocol)))?;
    }
    if let Some(fields) = column("metaData")? {
        fields.each(|row| metadata(&fields, row), |metadata| actions.push(Action::Metadata(Box::new(metadata))))?;
    }
    if let Some(fields) = column("txn")? {
        fields.each(|row| txn(&fields, row), |txn| actions.push(Action::Txn(txn)))?;
    }
    if let Some(fields) = column("domainMetadata")? {
        fields.each(|row| domain(&fields, row), |domain| actions.push(Action::Domain(domain)))?;
    }
    if let Some(fields) = column("sidecar")? {
        fields.each(|row| sidecar(&fields, row), |sidecar| sidecars.push(sidecar))?;
    }
    Ok(())
}

/// One struct column of a checkpoint.
pub(super) struct Fields<'a> {
    name: &'a str,
    pub(super) array: &'a StructArray,
}

impl<'a> Fields<'a> {
    pub(super) fn new(name: &'a str, array: &'a ArrayRef) -> Result<Self> {
        let array = array.as_struct_opt().ok_or_else(|| wrong_type(name))?;
        Ok(Self { name, array })
    }

    /// Decodes each row that is not null.
    fn each<T>(&self, decode: impl Fn(usize) -> Result<T>, mut take: impl FnMut(T)) -> Result<()> {
        for row in 0..self.array.len() {
            if self.array.is_valid(row) {
                take(decode(row)?);
            }
        }
        Ok(())
    }

    fn cast(&self, field: &str, to: &ArrowType) -> Result<Option<ArrayRef>> {
        let Some(array) = self.array.column_by_name(field) else { return Ok(None) };
        let cast =
            arrow_cast::cast(array, to).map_err(|e| wrong_type(&format!("{}.{field}", self.name)).with_source(e))?;
        Ok(Some(cast))
    }

    pub(super) fn text(&self, field: &str) -> Result<Text> {
        Ok(Text(self.cast(field, &ArrowType::Utf8)?.map(|array| array.as_string::<i32>().clone())))
    }

    pub(super) fn long(&self, field: &str) -> Result<Long> {
        Ok(Long(self.cast(field, &ArrowType::Int64)?.map(|array| array.as_primitive::<Int64Type>().clone())))
    }

    pub(super) fn int(&self, field: &str) -> Result<Int> {
        Ok(Int(self.cast(field, &ArrowType::Int32)?.map(|array| array.as_primitive::<Int32Type>().clone())))
    }

    pub(super) fn flag(&self, field: &str) -> Result<Flag> {
        Ok(Flag(self.cast(field, &ArrowType::Boolean)?.map(|array| array.as_boolean().clone())))
    }

    pub(super) fn nested(&self, field: &'a str) -> Result<Option<Fields<'a>>> {
        self.array.column_by_name(field).map(|array| Fields::new(field, array)).transpose()
    }

    pub(super) fn pairs(&self, field: &str) -> Result<Pairs> {
        let Some(array) = self.array.column_by_name(field) else { return Ok(Pairs(None)) };
        let map = array.as_map_opt().ok_or_else(|| wrong_type(field))?;
        let text = |array: &ArrayRef| {
            let cast = arrow_cast::cast(array, &ArrowType::Utf8).map_err(|e| wrong_type(field).with_source(e))?;
            Ok::<_, Error>(cast.as_string::<i32>().clone())
        };
        Ok(Pairs(Some((map.clone(), text(map.keys())?, text(map.values())?))))
    }

    /// A list of text.
    fn texts(&self, field: &str, row: usize) -> Result<Option<Vec<String>>> {
        let Some(array) = self.array.column_by_name(field) else { return Ok(None) };
        if array.is_null(row) {
            return Ok(None);
        }
        let items = match array.data_type() {
            ArrowType::List(_) => array.as_list::<i32>().value(row),
            ArrowType::LargeList(_) => array.as_list::<i64>().value(row),
            _ => return Err(wrong_type(field)),
        };
        let cast = arrow_cast::cast(&items, &ArrowType::Utf8).map_err(|e| wrong_type(field).with_source(e))?;
        Ok(Some(cast.as_string::<i32>().iter().flatten().map(str::to_owned).collect()))
    }
}

pub(super) fn wrong_type(field: &str) -> Error {
    Error::corrupt(format!("the checkpoint's column {field} has a type that the protocol does not know"))
}

pub(super) fn missing(field: &str) -> Error {
    Error::corrupt(format!("the checkpoint lacks a value for {field}"))
}

#[derive(Clone, Debug)]
pub(super) struct Text(pub(super) Option<StringArray>);
#[derive(Clone, Debug)]
pub(super) struct Long(pub(super) Option<Int64Array>);
#[derive(Clone, Debug)]
pub(super) struct Int(pub(super) Option<Int32Array>);
#[derive(Clone, Debug)]
pub(super) struct Flag(pub(super) Option<BooleanArray>);
#[derive(Clone, Debug)]
pub(super) struct Pairs(pub(super) Option<(arrow_array::MapArray, StringArray, StringArray)>);

impl Text {
    pub(super) fn at(&self, row: usize) -> Option<&str> {
        self.0.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }

    pub(super) fn get(&self, row: usize) -> Option<String> {
        self.at(row).map(str::to_owned)
    }
}

impl Long {
    pub(super) fn get(&self, row: usize) -> Option<i64> {
        self.0.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
}

impl Int {
    pub(super) fn get(&self, row: usize) -> Option<i32> {
        self.0.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
}

impl Flag {
    pub(super) fn get(&self, row: usize) -> Option<bool> {
        self.0.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
}

impl Pairs {
    /// The pairs of a row; `None` for a null map.
    pub(super) fn entries(&self, row: usize) -> Option<impl Iterator<Item = (&str, Option<&str>)>> {
        let (map, keys, values) = self.0.as_ref().filter(|(map, _, _)| map.is_valid(row))?;
        let offsets = map.value_offsets();
        let (from, to) = (usize::try_from(offsets[row]).ok()?, usize::try_from(offsets[row + 1]).ok()?);
        Some((from..to).map(|i| (keys.value(i), values.is_valid(i).then(|| values.value(i)))))
    }

    pub(super) fn get(&self, row: usize) -> Option<BTreeMap<String, Option<String>>> {
        let owned = |(key, value): (&str, Option<&str>)| (key.to_owned(), value.map(str::to_owned));
        Some(self.entries(row)?.map(owned).collect())
    }

    fn get_texts(&self, row: usize) -> BTreeMap<String, String> {
        self.get(row).unwrap_or_default().into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
    }
}

fn protocol(fields: &Fields<'_>, row: usize) -> Result<Protocol> {
    let version = |name: &str| fields.int(name)?.get(row).ok_or_else(|| missing(name));
    let (reader, writer) = (version("minReaderVersion")?, version("minWriterVersion")?);
    // Some writers leave an empty list where the versions allow none.
    let features = |name: &str, listed: bool| {
        Ok::<_, Error>(fields.texts(name, row)?.filter(|features| listed || !features.is_empty()))
    };
    Ok(Protocol {
        min_reader_version: reader,
        min_writer_version: writer,
        reader_features: features("readerFeatures", reader >= 3)?,
        writer_features: features("writerFeatures", writer >= 7)?,
    })
}

fn metadata(fields: &Fields<'_>, row: usize) -> Result<Metadata> {
    let format = match fields.nested("format")? {
        Some(format) => TableFormat {
            provider: format.text("provider")?.get(row).unwrap_or_else(|| TableFormat::default().provider),
            options: format.pairs("options")?.get_texts(row),
        },
        None => TableFormat::default(),
    };
    Ok(Metadata {
        id: fields.text("id")?.get(row).ok_or_else(|| missing("metaData.id"))?,
        name: fields.text("name")?.get(row),
        description: fields.text("description")?.get(row),
        format,
        schema_string: fields.text("schemaString")?.get(row).unwrap_or_default(),
        partition_columns: fields.texts("partitionColumns", row)?.unwrap_or_default(),
        created_time: fields.long("createdTime")?.get(row),
        configuration: fields.pairs("configuration")?.get_texts(row),
    })
}

fn txn(fields: &Fields<'_>, row: usize) -> Result<Txn> {
    Ok(Txn {
        app_id: fields.text("appId")?.get(row).ok_or_else(|| missing("txn.appId"))?,
        version: fields.long("version")?.get(row).ok_or_else(|| missing("txn.version"))?,
        last_updated: fields.long("lastUpdated")?.get(row),
    })
}

fn domain(fields: &Fields<'_>, row: usize) -> Result<DomainMetadata> {
    Ok(DomainMetadata {
        domain: fields.text("domain")?.get(row).ok_or_else(|| missing("domainMetadata.domain"))?,
        configuration: fields.text("configuration")?.get(row).unwrap_or_default(),
        removed: fields.flag("removed")?.get(row).unwrap_or(false),
    })
}

fn sidecar(fields: &Fields<'_>, row: usize) -> Result<Sidecar> {
    Ok(Sidecar {
        path: fields.text("path")?.get(row).ok_or_else(|| missing("sidecar.path"))?,
        size_in_bytes: fields.long("sizeInBytes")?.get(row).ok_or_else(|| missing("sidecar.sizeInBytes"))?,
        modification_time: fields.long("modificationTime")?.get(row).unwrap_or_default(),
    })
}
