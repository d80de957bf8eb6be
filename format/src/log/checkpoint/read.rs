//! A checkpoint's Parquet rows, as actions.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, StructArray};
use arrow_schema::DataType as ArrowType;

use crate::action::{
    Action, Add, DeletionVectorDescriptor, DomainMetadata, Metadata, Protocol, Remove, TableFormat, Txn,
};
use crate::error::{Error, Result};
use crate::store::{ObjectInfo, TableRoot, parquet};

/// Every action of a V1 checkpoint.
///
/// # Errors
/// `Corrupt` when a part can't be read or holds no protocol or description; `Unsupported` for one of the feature
/// `v2Checkpoint`.
pub async fn read_checkpoint(root: &TableRoot, parts: &[ObjectInfo]) -> Result<Vec<Action>> {
    let mut actions = Vec::new();
    for part in parts {
        let named = |e: Error| e.with_object(root.name_of(&part.path));
        for batch in parquet::read_batches(root, &part.path, None).await.map_err(named)? {
            decode(&batch, &mut actions).map_err(named)?;
        }
    }
    let has = |test: fn(&Action) -> bool| actions.iter().any(test);
    if !has(|a| matches!(a, Action::Protocol(_))) || !has(|a| matches!(a, Action::Metadata(_))) {
        return Err(Error::corrupt("a checkpoint holds no protocol or no metaData action (LOG-6)"));
    }
    Ok(actions)
}

fn decode(batch: &RecordBatch, actions: &mut Vec<Action>) -> Result<()> {
    for unsupported in ["sidecar", "checkpointMetadata"] {
        if batch.column_by_name(unsupported).is_some_and(|column| column.null_count() < column.len()) {
            return Err(Error::unsupported("a checkpoint of the table feature \"v2Checkpoint\" can't be read"));
        }
    }
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
    if let Some(fields) = column("add")? {
        let file = FileColumns::new(&fields)?;
        fields.each(|row| add(&file, row), |add| actions.push(Action::Add(Box::new(add))))?;
    }
    if let Some(fields) = column("remove")? {
        let file = FileColumns::new(&fields)?;
        fields.each(|row| remove(&file, row), |remove| actions.push(Action::Remove(Box::new(remove))))?;
    }
    Ok(())
}

/// One struct column of a checkpoint.
struct Fields<'a> {
    name: &'a str,
    array: &'a StructArray,
}

impl<'a> Fields<'a> {
    fn new(name: &'a str, array: &'a ArrayRef) -> Result<Self> {
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

    fn text(&self, field: &str) -> Result<Text> {
        Ok(Text(self.cast(field, &ArrowType::Utf8)?.map(|array| array.as_string::<i32>().clone())))
    }

    fn long(&self, field: &str) -> Result<Long> {
        Ok(Long(self.cast(field, &ArrowType::Int64)?.map(|array| array.as_primitive::<Int64Type>().clone())))
    }

    fn int(&self, field: &str) -> Result<Int> {
        Ok(Int(self.cast(field, &ArrowType::Int32)?.map(|array| array.as_primitive::<Int32Type>().clone())))
    }

    fn flag(&self, field: &str) -> Result<Flag> {
        Ok(Flag(self.cast(field, &ArrowType::Boolean)?.map(|array| array.as_boolean().clone())))
    }

    fn nested(&self, field: &'a str) -> Result<Option<Fields<'a>>> {
        self.array.column_by_name(field).map(|array| Fields::new(field, array)).transpose()
    }

    fn pairs(&self, field: &str) -> Result<Pairs> {
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

fn wrong_type(field: &str) -> Error {
    Error::corrupt(format!("the checkpoint's column {field} has a type that the protocol does not know"))
}

fn missing(field: &str) -> Error {
    Error::corrupt(format!("the checkpoint lacks a value for {field}"))
}

struct Text(Option<StringArray>);
struct Long(Option<Int64Array>);
struct Int(Option<Int32Array>);
struct Flag(Option<BooleanArray>);
struct Pairs(Option<(arrow_array::MapArray, StringArray, StringArray)>);

impl Text {
    fn get(&self, row: usize) -> Option<String> {
        self.0.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row).to_owned())
    }
}

impl Long {
    fn get(&self, row: usize) -> Option<i64> {
        self.0.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
}

impl Int {
    fn get(&self, row: usize) -> Option<i32> {
        self.0.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
}

impl Flag {
    fn get(&self, row: usize) -> Option<bool> {
        self.0.as_ref().filter(|array| array.is_valid(row)).map(|array| array.value(row))
    }
}

impl Pairs {
    fn get(&self, row: usize) -> Option<BTreeMap<String, Option<String>>> {
        let (map, keys, values) = self.0.as_ref().filter(|(map, _, _)| map.is_valid(row))?;
        let offsets = map.value_offsets();
        let (from, to) = (usize::try_from(offsets[row]).ok()?, usize::try_from(offsets[row + 1]).ok()?);
        let value = |i: usize| values.is_valid(i).then(|| values.value(i).to_owned());
        Some((from..to).map(|i| (keys.value(i).to_owned(), value(i))).collect())
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

/// The columns of `add` and `remove`, cast once for all rows.
struct FileColumns {
    path: Text,
    partition_values: Pairs,
    size: Long,
    modification_time: Long,
    deletion_timestamp: Long,
    data_change: Flag,
    extended: Flag,
    stats: Text,
    tags: Pairs,
    base_row_id: Long,
    default_row_commit_version: Long,
    clustering_provider: Text,
    vector: Option<VectorColumns>,
}

struct VectorColumns {
    valid: Option<arrow_buffer::NullBuffer>,
    storage_type: Text,
    path_or_inline: Text,
    offset: Int,
    size_in_bytes: Int,
    cardinality: Long,
}

impl FileColumns {
    fn new(fields: &Fields<'_>) -> Result<Self> {
        let vector = fields.nested("deletionVector")?.map(|vector| VectorColumns::new(&vector)).transpose()?;
        Ok(Self {
            path: fields.text("path")?,
            partition_values: fields.pairs("partitionValues")?,
            size: fields.long("size")?,
            modification_time: fields.long("modificationTime")?,
            deletion_timestamp: fields.long("deletionTimestamp")?,
            data_change: fields.flag("dataChange")?,
            extended: fields.flag("extendedFileMetadata")?,
            stats: fields.text("stats")?,
            tags: fields.pairs("tags")?,
            base_row_id: fields.long("baseRowId")?,
            default_row_commit_version: fields.long("defaultRowCommitVersion")?,
            clustering_provider: fields.text("clusteringProvider")?,
            vector,
        })
    }

    fn vector(&self, row: usize) -> Result<Option<DeletionVectorDescriptor>> {
        let present = |columns: &&VectorColumns| columns.valid.as_ref().is_none_or(|valid| valid.is_valid(row));
        self.vector.as_ref().filter(present).map_or(Ok(None), |columns| columns.get(row))
    }
}

impl VectorColumns {
    fn new(fields: &Fields<'_>) -> Result<Self> {
        Ok(Self {
            valid: fields.array.nulls().cloned(),
            storage_type: fields.text("storageType")?,
            path_or_inline: fields.text("pathOrInlineDv")?,
            offset: fields.int("offset")?,
            size_in_bytes: fields.int("sizeInBytes")?,
            cardinality: fields.long("cardinality")?,
        })
    }

    fn get(&self, row: usize) -> Result<Option<DeletionVectorDescriptor>> {
        // Writers without deletion vectors may leave a struct of nulls.
        let Some(storage_type) = self.storage_type.get(row) else { return Ok(None) };
        Ok(Some(DeletionVectorDescriptor {
            storage_type,
            path_or_inline_dv: self.path_or_inline.get(row).ok_or_else(|| missing("deletionVector.pathOrInlineDv"))?,
            offset: self.offset.get(row),
            size_in_bytes: self.size_in_bytes.get(row).ok_or_else(|| missing("deletionVector.sizeInBytes"))?,
            cardinality: self.cardinality.get(row).ok_or_else(|| missing("deletionVector.cardinality"))?,
        }))
    }
}

fn add(file: &FileColumns, row: usize) -> Result<Add> {
    Ok(Add {
        path: file.path.get(row).ok_or_else(|| missing("add.path"))?,
        partition_values: file.partition_values.get(row).unwrap_or_default(),
        size: file.size.get(row).ok_or_else(|| missing("add.size"))?,
        modification_time: file.modification_time.get(row).unwrap_or_default(),
        data_change: file.data_change.get(row).unwrap_or(false),
        stats: file.stats.get(row),
        tags: file.tags.get(row),
        deletion_vector: file.vector(row)?,
        base_row_id: file.base_row_id.get(row),
        default_row_commit_version: file.default_row_commit_version.get(row),
        clustering_provider: file.clustering_provider.get(row),
    })
}

fn remove(file: &FileColumns, row: usize) -> Result<Remove> {
    Ok(Remove {
        path: file.path.get(row).ok_or_else(|| missing("remove.path"))?,
        deletion_timestamp: file.deletion_timestamp.get(row),
        data_change: file.data_change.get(row).unwrap_or(false),
        extended_file_metadata: file.extended.get(row),
        partition_values: file.partition_values.get(row),
        size: file.size.get(row),
        stats: None,
        tags: file.tags.get(row),
        deletion_vector: file.vector(row)?,
        base_row_id: file.base_row_id.get(row),
        default_row_commit_version: file.default_row_commit_version.get(row),
    })
}
