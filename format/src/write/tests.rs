//! What is refused, what is cast, where rows land, and what the log is told about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::builder::{Int32Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, LargeStringArray, ListArray, NullArray, RecordBatch,
    StringArray, StringViewArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray,
    TimestampNanosecondArray, TimestampSecondArray, UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType as ArrowType, Field, Fields, Schema};
use parquet::basic::{Compression, LogicalType, Repetition, Type as PhysicalType};
use serde_json::{Value, json};

use super::*;
use crate::action::partition_value::decode_path;
use crate::clock::SystemClock;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::ColumnPath;
use crate::protocol::TableProperties;
use crate::schema::{DataType, PrimitiveType, StructField, StructType, parse_declaration, to_arrow};
use crate::store::parquet::{ParquetFile, read_batches};
use crate::store::{StoreOptions, TableRoot};

fn schema(declaration: &str) -> Arc<StructType> {
    Arc::new(parse_declaration(declaration).unwrap())
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn longs(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from(values))
}

fn texts(values: Vec<Option<&str>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

fn context(root: &TableRoot, schema: &Arc<StructType>, partitions: &[&str]) -> WriteContext {
    let partitions = partitions.iter().map(|name| (*name).to_owned()).collect();
    WriteContext::new(root.clone(), Arc::clone(schema), partitions, TableProperties::default(), SystemClock::shared())
}

async fn write_all(context: WriteContext, batches: Vec<RecordBatch>) -> Result<Written> {
    let mut writer = DataWriter::new(context)?;
    for batch in batches {
        if let Err(error) = writer.write(batch).await {
            writer.abort().await;
            return Err(error);
        }
    }
    writer.finish().await
}

fn refused(batch: &RecordBatch, declaration: &str) -> Error {
    let error = conform(batch, &schema(declaration)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    error
}

#[test]
fn columns_are_found_by_name_whatever_order_and_case() {
    let given = batch(vec![("NAME", texts(vec![Some("a")])), ("id", longs(vec![Some(1)]))]);
    let out = conform(&given, &schema("id long not null, name string, note string")).unwrap();
    assert_eq!(out.schema(), to_arrow(&schema("id long not null, name string, note string")).unwrap());
    assert_eq!(out.column(0).as_primitive::<Int64Type>().value(0), 1);
    assert_eq!(out.column(1).as_string::<i32>().value(0), "a");
    assert!(out.column(2).is_null(0));
}

#[test]
fn lossless_casts_are_made() {
    let rows = 2;
    let zone = |array: TimestampMillisecondArray| array.with_timezone("+02:00");
    let dictionary: DictionaryArray<Int32Type> = vec![Some("x"), None].into_iter().collect();
    let list = ListBuilder::new(Int32Builder::new());
    let mut list = list;
    list.append_value([Some(1), None]);
    list.append_null();
    let large =
        arrow_cast::cast(&list.finish(), &ArrowType::LargeList(Arc::new(Field::new("item", ArrowType::Int32, true))))
            .unwrap();
    let given = batch(vec![
        ("a", Arc::new(Int8Array::from(vec![Some(-1), None]))),
        ("b", Arc::new(UInt64Array::from(vec![u64::MAX, 0]))),
        ("c", Arc::new(LargeStringArray::from(vec!["x", "y"]))),
        ("d", Arc::new(StringViewArray::from(vec!["x", "a text longer than twelve bytes"]))),
        ("e", Arc::new(dictionary)),
        ("f", Arc::new(zone(TimestampMillisecondArray::from(vec![1_500, -1])))),
        ("g", Arc::new(TimestampNanosecondArray::from(vec![1_999, -1]))),
        ("h", Arc::new(TimestampSecondArray::from(vec![Some(-2), None]))),
        ("i", Arc::new(Float32Array::from(vec![0.5, f32::NAN]))),
        ("j", Arc::new(Int32Array::from(vec![7, -7]))),
        ("k", Arc::new(Decimal128Array::from(vec![15, -15]).with_precision_and_scale(3, 1).unwrap())),
        ("l", large),
        ("m", Arc::new(NullArray::new(rows))),
    ]);
    let table = "a long, b decimal(20,0), c string, d string, e string, f timestamp, g timestamp_ntz, h timestamp_ntz,
        i double, j decimal(12,2), k decimal(10,4), l array<long>, m struct<x:int>";
    let out = conform(&given, &schema(table)).unwrap();
    let micros = |column: usize| out.column(column).as_primitive::<TimestampMicrosecondType>().values().to_vec();
    assert_eq!(out.column(0).as_primitive::<Int64Type>().value(0), -1);
    assert_eq!(arrow_cast::display::array_value_to_string(out.column(1), 0).unwrap(), u64::MAX.to_string());
    assert_eq!(out.column(3).as_string::<i32>().value(1), "a text longer than twelve bytes");
    assert!(out.column(4).is_null(1));
    assert_eq!(micros(5), [1_500_000, -1_000]);
    assert_eq!(micros(6), [1, -1], "finer digits are floored");
    assert_eq!(micros(7)[0], -2_000_000);
    assert_eq!(arrow_cast::display::array_value_to_string(out.column(9), 1).unwrap(), "-7.00");
    assert_eq!(arrow_cast::display::array_value_to_string(out.column(10), 0).unwrap(), "1.5000");
    assert_eq!(out.column(11).as_list::<i32>().value(0).as_primitive::<Int64Type>().value(0), 1);
    assert_eq!(out.column(12).null_count(), rows);
}

#[test]
fn rare_encodings_are_unpacked() {
    let cast = |array: ArrayRef, to: ArrowType| arrow_cast::cast(&array, &to).unwrap();
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![Some(b"ab".as_ref()), None]));
    let item = || Arc::new(Field::new("item", ArrowType::Int32, true));
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value([Some(1), Some(2)]);
    list.append_value([Some(3), None]);
    let list: ArrayRef = Arc::new(list.finish());
    let run = |values: ArrayRef| -> ArrayRef {
        Arc::new(arrow_array::RunArray::<Int32Type>::try_new(&Int32Array::from(vec![1, 2]), &values).unwrap())
    };
    let given = batch(vec![
        ("a", cast(Arc::clone(&ints), ArrowType::UInt8)),
        ("b", cast(Arc::clone(&ints), ArrowType::UInt32)),
        ("c", cast(Arc::new(Float32Array::from(vec![Some(0.5), None])), ArrowType::Float16)),
        ("d", cast(Arc::clone(&bytes), ArrowType::FixedSizeBinary(2))),
        ("e", cast(Arc::clone(&bytes), ArrowType::BinaryView)),
        ("f", cast(Arc::clone(&list), ArrowType::FixedSizeList(item(), 2))),
        ("g", cast(Arc::clone(&list), ArrowType::ListView(item()))),
        ("h", cast(list, ArrowType::LargeListView(item()))),
        ("i", cast(Arc::clone(&ints), ArrowType::Decimal32(5, 2))),
        ("j", cast(Arc::clone(&ints), ArrowType::Decimal64(12, 0))),
        ("k", Arc::new(arrow_array::Date64Array::from(vec![Some(-1), None]))),
        ("l", run(ints)),
    ]);
    let table = "a int, b long, c double, d binary, e binary, f array<int>, g array<long>, h array<int>,
        i decimal(9,4), j decimal(12,0), k date, l long";
    let out = conform(&given, &schema(table)).unwrap();
    let shown: Vec<String> =
        out.columns().iter().map(|column| arrow_cast::display::array_value_to_string(column, 0).unwrap()).collect();
    let expected = ["1", "1", "0.5", "6162", "6162", "[1, 2]", "[1, 2]", "[1, 2]", "1.0000", "1", "1969-12-31", "1"];
    assert_eq!(shown, expected);
    for column in [0, 1, 2, 3, 4, 8, 9, 10, 11] {
        assert!(out.column(column).is_null(1), "{column}");
    }
}

#[test]
fn what_could_lose_a_value_is_refused_by_name_and_types() {
    let one = |array: ArrayRef| batch(vec![("v", array)]);
    let cases: Vec<(ArrayRef, &str, [&str; 2])> = vec![
        (longs(vec![Some(1)]), "v int", ["Int64", "integer"]),
        (longs(vec![Some(1)]), "v double", ["Int64", "double"]),
        (longs(vec![Some(1)]), "v string", ["Int64", "string"]),
        (texts(vec![Some("1")]), "v long", ["Utf8", "long"]),
        (Arc::new(Float64Array::from(vec![1.0])), "v float", ["Float64", "float"]),
        (Arc::new(TimestampMicrosecondArray::from(vec![1])), "v timestamp", ["Timestamp", "timestamp"]),
        (
            Arc::new(TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC")),
            "v timestamp_ntz",
            ["Timestamp", "timestamp_ntz"],
        ),
        (Arc::new(UInt64Array::from(vec![1])), "v long", ["UInt64", "long"]),
        (Arc::new(BinaryArray::from_vec(vec![b"x"])), "v string", ["Binary", "string"]),
        (longs(vec![Some(1)]), "v array<long>", ["Int64", "array"]),
        (longs(vec![Some(1)]), "v struct<a:long>", ["Int64", "struct"]),
        (longs(vec![Some(1)]), "v map<string,long>", ["Int64", "map"]),
    ];
    for (array, table, words) in cases {
        let error = refused(&one(array), table);
        assert!(words.iter().all(|word| error.message().contains(word)), "{error}");
        assert_eq!(error.object(), Some("column v"));
    }
    let far = TimestampSecondArray::from(vec![i64::MAX / 10]);
    refused(&one(Arc::new(far)), "v timestamp_ntz");
}

#[test]
fn unknown_missing_and_ambiguous_columns_are_listed() {
    let given = batch(vec![("id", longs(vec![])), ("x", longs(vec![])), ("y", longs(vec![]))]);
    let error = refused(&given, "id long");
    assert!(error.message().contains("\"x\", \"y\""), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("--merge-schema")));
    let error = refused(&batch(vec![("id", longs(vec![]))]), "id long, a long not null, b long not null");
    assert!(error.message().contains("\"a\", \"b\""), "{error}");
    let error = refused(&batch(vec![("ID", longs(vec![])), ("Id", longs(vec![]))]), "id long");
    assert!(error.message().contains('2'), "{error}");
    let inner = StructArray::from(vec![(Arc::new(Field::new("z", ArrowType::Int64, true)), longs(vec![Some(1)]))]);
    let given = batch(vec![("s", Arc::new(inner) as ArrayRef)]);
    assert!(refused(&given, "s struct<a:long>").message().contains("\"z\""));
    assert!(refused(&given, "s struct<z:long, a:long not null>").message().contains("NOT NULL"));
    let out = conform(&given, &schema("s struct<a:string, Z:long>")).unwrap();
    assert!(out.column(0).as_struct().column(0).is_null(0));
}

fn nullable_struct(name: &str, child: ArrayRef, nulls: Option<Vec<bool>>) -> StructArray {
    let field = Field::new(name, child.data_type().clone(), true);
    StructArray::new(Fields::from(vec![field]), vec![child], nulls.map(NullBuffer::from))
}

#[test]
fn nulls_in_not_null_columns_are_counted_by_row() {
    let given = batch(vec![("a", longs(vec![Some(1), None, None])), ("b", longs(vec![None, Some(1), Some(2)]))]);
    let error = refused(&given, "a long not null, b long not null");
    assert!(error.message().contains("a is null in 2 rows"), "{error}");
    assert!(error.message().contains("b is null in 1 row"), "{error}");
    // Row 0 holds the null, row 1 has no struct at all.
    let inner = nullable_struct("x", longs(vec![None, None, Some(1)]), Some(vec![true, false, true]));
    let given = batch(vec![("s", Arc::new(inner) as ArrayRef)]);
    assert!(refused(&given, "s struct<x:long not null>").message().contains("s.x is null in 1 row"));
    assert!(refused(&given, "s struct<x:long> not null").message().contains("s is null in 1 row"));
}

#[test]
fn nulls_in_elements_count_by_row_and_only_where_the_list_is_there() {
    let table = StructType::new(vec![StructField::new(
        "l",
        DataType::Array(Box::new(crate::schema::ArrayType {
            element_type: DataType::Primitive(PrimitiveType::Long),
            contains_null: false,
        })),
        true,
    )]);
    let field = Arc::new(Field::new("item", ArrowType::Int64, true));
    let values = longs(vec![Some(9), None, None, Some(1), Some(2), None]);
    let list = |lists: Vec<bool>| {
        let offsets = OffsetBuffer::new(vec![1, 3, 5, 6].into());
        let array = ListArray::new(Arc::clone(&field), offsets, Arc::clone(&values), Some(NullBuffer::from(lists)));
        batch(vec![("l", Arc::new(array) as ArrayRef)])
    };
    let error = conform(&list(vec![true, true, true]), &table).unwrap_err();
    assert!(error.message().contains("l.element is null in 2 rows"), "{error}");
    let out = conform(&list(vec![false, true, false]), &table).unwrap();
    let out = out.column(0).as_list::<i32>();
    assert_eq!((out.null_count(), out.values().len()), (2, 2), "items of absent lists are gone");
    assert_eq!(out.value(1).as_primitive::<Int64Type>().values(), &[1, 2]);
}

#[test]
fn masked_nulls_of_deep_not_null_fields_pass() {
    // `s` is null in row 0, where Arrow still has a valid inner struct whose own field is null.
    let deep = nullable_struct("z", longs(vec![None, Some(2)]), None);
    let middle = nullable_struct("y", Arc::new(deep), Some(vec![false, true]));
    let table = schema("s struct<y: struct<z:long not null> not null>");
    let out = conform(&batch(vec![("s", Arc::new(middle) as ArrayRef)]), &table).unwrap();
    assert_eq!(out.schema(), to_arrow(&table).unwrap());
    assert_eq!(out.column(0).as_struct().column(0).as_struct().column(0).as_primitive::<Int64Type>().value(1), 2);
}

/// Every type a table can have, with nulls, in a few rows.
pub(crate) fn all_types() -> (Arc<StructType>, RecordBatch) {
    let table = schema(
        "id long not null, i int, s short, b byte, f float, d double, flag boolean, t string, bytes binary, day date,
         ts timestamp, ntz timestamp_ntz, d9 decimal(9,2), d18 decimal(18,4), d38 decimal(38,10),
         list array<int>, m map<string,long>, st struct<a:int, nested:struct<b:string not null>>,
         los array<struct<x:int, y:array<string>>>, nothing string",
    );
    let decimal = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(precision, scale).unwrap())
    };
    let mut list = ListBuilder::new(Int32Builder::new());
    list.append_value([Some(1), None, Some(3)]);
    list.append_null();
    list.append_value([]);
    let mut map = MapBuilder::new(None, StringBuilder::new(), arrow_array::builder::Int64Builder::new());
    map.keys().append_value("k");
    map.values().append_null();
    map.append(true).unwrap();
    map.append(false).unwrap();
    map.append(true).unwrap();
    let nested = nullable_struct("b", texts(vec![Some("x"), None, Some("z")]), Some(vec![true, false, true]));
    let st = StructArray::new(
        Fields::from(vec![
            Field::new("a", ArrowType::Int32, true),
            Field::new("nested", nested.data_type().clone(), true),
        ]),
        vec![Arc::new(Int32Array::from(vec![Some(1), None, None])), Arc::new(nested)],
        Some(NullBuffer::from(vec![true, true, false])),
    );
    let mut words = ListBuilder::new(StringBuilder::new());
    words.append_value([Some("p"), None]);
    words.append_null();
    let words = words.finish();
    let items = StructArray::new(
        Fields::from(vec![Field::new("x", ArrowType::Int32, true), Field::new("y", words.data_type().clone(), true)]),
        vec![Arc::new(Int32Array::from(vec![Some(5), None])), Arc::new(words)],
        None,
    );
    let los = ListArray::new(
        Arc::new(Field::new("item", items.data_type().clone(), true)),
        OffsetBuffer::from_lengths([2, 0, 0]),
        Arc::new(items),
        Some(NullBuffer::from(vec![true, true, false])),
    );
    let given = batch(vec![
        ("id", longs(vec![Some(1), Some(2), Some(3)])),
        ("i", Arc::new(Int32Array::from(vec![Some(i32::MIN), None, Some(i32::MAX)]))),
        ("s", Arc::new(Int16Array::from(vec![Some(i16::MIN), None, Some(i16::MAX)]))),
        ("b", Arc::new(Int8Array::from(vec![Some(i8::MIN), None, Some(i8::MAX)]))),
        ("f", Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(f32::INFINITY)]))),
        ("d", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(f64::MIN_POSITIVE)]))),
        ("flag", Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]))),
        ("t", texts(vec![Some(""), None, Some("ünïcødé 🦆")])),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(b"\x00\xff".as_ref()), None, Some(b"".as_ref())]))),
        ("day", Arc::new(Date32Array::from(vec![Some(-719_162), None, Some(2_932_896)]))),
        (
            "ts",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(-1), None, Some(1_706_659_200_123_456)]).with_timezone("UTC"),
            ),
        ),
        ("ntz", Arc::new(TimestampMicrosecondArray::from(vec![Some(-62_135_596_800_000_000), None, Some(0)]))),
        ("d9", decimal(vec![Some(-999_999_999), None, Some(1)], 9, 2)),
        ("d18", decimal(vec![Some(999_999_999_999_999_999), None, Some(-1)], 18, 4)),
        ("d38", decimal(vec![Some(10_i128.pow(38) - 1), None, Some(1 - 10_i128.pow(38))], 38, 10)),
        ("list", Arc::new(list.finish())),
        ("m", Arc::new(map.finish())),
        ("st", Arc::new(st)),
        ("los", Arc::new(los)),
        ("nothing", texts(vec![None, None, None])),
    ]);
    (table, given)
}

#[tokio::test]
async fn every_type_is_stored_as_the_protocol_says_and_with_its_field_id() {
    let (table, given) = all_types();
    let root = TableRoot::in_memory("t").unwrap();
    let written = write_all(context(&root, &table, &[]), vec![given]).await.unwrap();
    assert_eq!((written.adds.len(), written.rows), (1, 3));
    let add = &written.adds[0];
    let path = root.resolve(&add.path).unwrap();
    assert_eq!(root.head(&path).await.unwrap().unwrap().size_bytes, u64::try_from(add.size).unwrap());
    assert_eq!(written.bytes, u64::try_from(add.size).unwrap());
    let file = ParquetFile::open(&root, &path, Some(written.bytes)).await.unwrap();
    let descriptor = file.metadata().file_metadata().schema_descr();
    let root_fields = descriptor.root_schema().get_fields();
    let ids: Vec<i32> = root_fields.iter().map(|field| field.get_basic_info().id()).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 21, 25, 30]);
    assert_eq!(root_fields[0].get_basic_info().repetition(), Repetition::REQUIRED);
    assert_eq!(root_fields[1].get_basic_info().repetition(), Repetition::OPTIONAL);
    let physical = |name: &str| {
        let leaf = descriptor.columns().iter().find(|column| column.name() == name).unwrap();
        (leaf.physical_type(), leaf.logical_type_ref().cloned())
    };
    let (kind, logical) = physical("ts");
    assert_eq!(kind, PhysicalType::INT64);
    assert!(matches!(logical, Some(LogicalType::Timestamp(t)) if t.is_adjusted_to_u_t_c));
    assert!(matches!(physical("ntz").1, Some(LogicalType::Timestamp(t)) if !t.is_adjusted_to_u_t_c));
    assert_eq!(physical("d9").0, PhysicalType::INT32);
    assert_eq!(physical("d18").0, PhysicalType::INT64);
    assert_eq!(physical("d38").0, PhysicalType::FIXED_LEN_BYTE_ARRAY);
    assert!(file.metadata().row_group(0).columns().iter().all(|c| matches!(c.compression(), Compression::ZSTD(_))));
    assert!(file.metadata().row_group(0).columns().iter().all(|c| c.column_index_offset().is_some()));
    assert!(file.metadata().file_metadata().key_value_metadata().is_none());
}

#[tokio::test]
async fn ids_that_the_table_assigned_are_used() {
    let mut table = parse_declaration("a long, b struct<c:long>").unwrap();
    let tag = |field: &mut StructField, id: i64| field.metadata.insert("delta.columnMapping.id".into(), json!(id));
    tag(&mut table.fields[0], 7);
    tag(&mut table.fields[1], 3);
    let root = TableRoot::in_memory("t").unwrap();
    let given = batch(vec![("a", longs(vec![Some(1)]))]);
    let written = write_all(context(&root, &Arc::new(table), &[]), vec![given]).await.unwrap();
    let path = root.resolve(&written.adds[0].path).unwrap();
    let file = ParquetFile::open(&root, &path, None).await.unwrap();
    let fields = file.metadata().file_metadata().schema_descr().root_schema().get_fields().to_vec();
    assert_eq!(fields.iter().map(|field| field.get_basic_info().id()).collect::<Vec<_>>(), [7, 3]);
    assert!(!fields[1].get_fields()[0].get_basic_info().has_id());
}

fn stats(written: &Written) -> Value {
    serde_json::from_str(written.adds[0].stats.as_deref().unwrap()).unwrap()
}

#[tokio::test]
async fn statistics_say_what_is_there() {
    let (table, given) = all_types();
    let root = TableRoot::in_memory("t").unwrap();
    let written = write_all(context(&root, &table, &[]), vec![given.slice(0, 1), given.slice(1, 2)]).await.unwrap();
    let stats = stats(&written);
    assert_eq!(stats["numRecords"], 3);
    let (min, max, nulls) = (&stats["minValues"], &stats["maxValues"], &stats["nullCount"]);
    assert_eq!((&min["id"], &max["id"], &nulls["id"]), (&json!(1), &json!(3), &json!(0)));
    assert_eq!((&min["b"], &max["s"], &nulls["i"]), (&json!(-128), &json!(32767), &json!(1)));
    assert_eq!((&min["f"], &max["f"], &nulls["f"]), (&Value::Null, &Value::Null, &json!(1)), "infinity has no bounds");
    assert_eq!((&min["t"], &max["t"]), (&json!(""), &json!("ünïcødé 🦆")));
    assert_eq!((&min["day"], &max["day"]), (&json!("0001-01-01"), &json!("9999-12-31")));
    assert_eq!(max["ts"], json!("2024-01-31T00:00:00.124Z"), "outward");
    assert_eq!(min["ts"], json!("1969-12-31T23:59:59.999Z"));
    assert_eq!((&min["st"]["a"], &nulls["st"]["a"]), (&json!(1), &json!(2)));
    assert_eq!((&max["st"]["nested"]["b"], &nulls["st"]["nested"]["b"]), (&json!("x"), &json!(2)));
    assert_eq!((&nulls["list"], &nulls["m"], &nulls["los"]), (&json!(1), &json!(1), &json!(1)));
    assert_eq!((&nulls["flag"], &nulls["bytes"], &nulls["nothing"]), (&json!(1), &json!(1), &json!(3)));
    for absent in ["flag", "bytes", "list", "m", "los", "nothing"] {
        assert_eq!((&min[absent], &max[absent]), (&Value::Null, &Value::Null), "{absent}");
    }
}

#[tokio::test]
async fn statistics_are_kept_of_the_columns_asked_for() {
    let table = schema("p string, a struct<x:long, y:long>, b long, c long");
    let x = nullable_struct("x", longs(vec![Some(1)]), None);
    let given = || {
        batch(vec![
            ("p", texts(vec![Some("v")])),
            ("a", Arc::new(x.clone()) as ArrayRef),
            ("b", longs(vec![Some(2)])),
            ("c", longs(vec![Some(3)])),
        ])
    };
    let counted = |properties: TableProperties| {
        let root = TableRoot::in_memory("t").unwrap();
        let context = WriteContext { properties, ..context(&root, &table, &["p"]) };
        async move { stats(&write_all(context, vec![given()]).await.unwrap())["nullCount"].clone() }
    };
    let first = |count| TableProperties { data_skipping_num_indexed_cols: count, ..TableProperties::default() };
    assert_eq!(counted(first(2)).await, json!({"a": {"x": 0, "y": 1}}), "partition columns do not count");
    assert_eq!(counted(first(-1)).await, json!({"a": {"x": 0, "y": 1}, "b": 0, "c": 0}));
    let none = counted(first(0)).await;
    assert!(none.is_null() || none == json!({}), "{none}");
    let named = vec![ColumnPath::top("C"), ColumnPath(vec!["a".into(), "y".into()])];
    let named = TableProperties { data_skipping_stats_columns: Some(named), ..TableProperties::default() };
    assert_eq!(counted(named).await, json!({"a": {"y": 1}, "c": 0}));
}

#[tokio::test]
async fn a_bound_is_left_out_for_good_once_a_value_is_not_finite() {
    let table = schema("v double, z double");
    let given = |v: f64, z: f64| {
        let column = |value| -> ArrayRef { Arc::new(Float64Array::from(vec![value])) };
        batch(vec![("v", column(v)), ("z", column(z))])
    };
    let root = TableRoot::in_memory("t").unwrap();
    let batches = vec![given(1.0, 0.0), given(f64::NAN, -0.0), given(2.0, 0.0)];
    let stats = stats(&write_all(context(&root, &table, &[]), batches).await.unwrap());
    assert!(stats["minValues"]["v"].is_null() && stats["maxValues"]["v"].is_null());
    let zero = |bound: &Value| bound.as_f64().map(|zero| (zero == 0.0, zero.is_sign_negative()));
    assert_eq!(zero(&stats["minValues"]["z"]), Some((true, true)), "a least zero is the negative one");
    assert_eq!(zero(&stats["maxValues"]["z"]), Some((true, false)));
}

#[tokio::test]
async fn odd_partition_values_keep_their_rows_apart() {
    let folder = tempfile::tempdir().unwrap();
    let local = TableRoot::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
    let odd = [
        Some("US/East"),
        Some("a b"),
        Some("100%"),
        Some("%41"),
        Some("ünï 🦆"),
        None,
        Some("."),
        Some(".."),
        Some("a=b"),
        Some("+"),
        Some("line\nbreak"),
        Some("\u{1}"),
        Some("#1"),
        Some("x\\y"),
        Some("'\"*:?"),
        Some("__HIVE_DEFAULT_PARTITION__"),
        Some(" "),
    ];
    let long = "l".repeat(3_000);
    let values: Vec<Option<&str>> = odd.into_iter().chain([Some(long.as_str())]).collect();
    let table = schema("id long, p string, q date");
    let days: ArrayRef = Arc::new(Date32Array::from(vec![19_753; values.len() * 2]));
    let twice: Vec<Option<&str>> = values.iter().chain(&values).copied().collect();
    let ids = longs((0..twice.len() as i64).map(Some).collect());
    let given = batch(vec![("id", ids), ("p", texts(twice.clone())), ("q", days)]);
    for root in [TableRoot::in_memory("t").unwrap(), local] {
        let written = write_all(context(&root, &table, &["p", "q"]), vec![given.clone()]).await.unwrap();
        assert_eq!(written.adds.len(), values.len());
        for add in &written.adds {
            let path = root.resolve(&add.path).unwrap();
            assert_eq!(root.relative(&path).unwrap(), decode_path(&add.path).unwrap());
            let rows = read_batches(&root, &path, None).await.unwrap();
            assert_eq!(rows[0].num_columns(), 1, "partition columns are not stored");
            assert_eq!(add.partition_values["q"].as_deref(), Some("2024-01-31"));
            for id in rows.iter().flat_map(|rows| rows.column(0).as_primitive::<Int64Type>().values()) {
                assert_eq!(add.partition_values["p"].as_deref(), twice[*id as usize]);
            }
        }
        let of = |value: &str| {
            let add = written.adds.iter().find(|add| add.partition_values["p"].as_deref() == Some(value)).unwrap();
            add.path.clone()
        };
        assert!(of("US/East").starts_with("p=US%252FEast/q=2024-01-31/part-"), "{}", of("US/East"));
        assert!(of("a b").starts_with("p=a%20b/"), "{}", of("a b"));
        assert!(of(&long).starts_with("part-"), "no directory for a value too long for a name");
        assert_eq!(root.list("").await.unwrap().len(), values.len());
    }
}

#[tokio::test]
async fn partition_values_of_every_type_are_text_of_the_protocol() {
    let table = schema("id long, i int, f double, b boolean, d date, t timestamp, n timestamp_ntz, x decimal(5,2)");
    let moment = || TimestampMicrosecondArray::from(vec![1_706_659_200_000_001]);
    let given = batch(vec![
        ("id", longs(vec![Some(1)])),
        ("i", Arc::new(Int32Array::from(vec![-5]))),
        ("f", Arc::new(Float64Array::from(vec![0.1]))),
        ("b", Arc::new(BooleanArray::from(vec![true]))),
        ("d", Arc::new(Date32Array::from(vec![0]))),
        ("t", Arc::new(moment().with_timezone("UTC"))),
        ("n", Arc::new(moment())),
        ("x", Arc::new(Decimal128Array::from(vec![150]).with_precision_and_scale(5, 2).unwrap())),
    ]);
    let root = TableRoot::in_memory("t").unwrap();
    let partitions = ["i", "f", "b", "d", "t", "n", "x"];
    let written = write_all(context(&root, &table, &partitions), vec![given]).await.unwrap();
    let expected: BTreeMap<String, Option<String>> = [
        ("i", "-5"),
        ("f", "0.1"),
        ("b", "true"),
        ("d", "1970-01-01"),
        ("t", "2024-01-31T00:00:00.000001Z"),
        ("n", "2024-01-31 00:00:00.000001"),
        ("x", "1.50"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
    .collect();
    assert_eq!(written.adds[0].partition_values, expected);
}

#[tokio::test]
async fn an_empty_text_is_null_as_a_partition_and_refused_where_null_is() {
    let root = TableRoot::in_memory("t").unwrap();
    let given = batch(vec![("id", longs(vec![Some(1), Some(2)])), ("p", texts(vec![Some(""), None]))]);
    let written = write_all(context(&root, &schema("id long, p string"), &["p"]), vec![given]).await.unwrap();
    assert_eq!(written.adds.len(), 1, "both rows are of the null partition");
    assert_eq!(written.adds[0].partition_values["p"], None);
    assert!(written.adds[0].path.starts_with("p=__HIVE_DEFAULT_PARTITION__/"));
    let given = batch(vec![("id", longs(vec![Some(1)])), ("p", texts(vec![Some("")]))]);
    let table = schema("id long, p string not null");
    let root = TableRoot::in_memory("t").unwrap();
    let error = write_all(context(&root, &table, &["p"]), vec![given]).await.unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::Invalid, Some("column p")));
    assert!(root.list("").await.unwrap().is_empty());
}

/// Numbers that do not compress.
fn noise(rows: i64, seed: u64) -> ArrayRef {
    let mix = |i: i64| (i as u64).wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31) as i64;
    longs((0..rows).map(|i| Some(mix(i).wrapping_mul(0x2545_f491_4f6c_dd1d))).collect())
}

async fn all_values(root: &TableRoot, written: &Written) -> Vec<i64> {
    let mut values = Vec::new();
    for add in &written.adds {
        for batch in read_batches(root, &root.resolve(&add.path).unwrap(), Some(&["v"])).await.unwrap() {
            values.extend(batch.column(0).as_primitive::<Int64Type>().values());
        }
    }
    values.sort_unstable();
    values
}

#[tokio::test]
async fn files_are_rolled_near_the_target_size() {
    let root = TableRoot::in_memory("t").unwrap();
    let properties = TableProperties { target_file_size_bytes: 1 << 20, ..TableProperties::default() };
    let context = WriteContext { properties, ..context(&root, &schema("v long"), &[]) };
    let batches: Vec<RecordBatch> = (0..8).map(|i| batch(vec![("v", noise(100_000, i << 40))])).collect();
    let mut expected: Vec<i64> =
        batches.iter().flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec()).collect();
    expected.sort_unstable();
    let written = write_all(context, batches).await.unwrap();
    assert_eq!(written.rows, 800_000);
    assert!((3..=9).contains(&written.adds.len()), "{}", written.adds.len());
    let (last, full) = written.adds.split_last().unwrap();
    assert!(full.iter().all(|add| (700_000..2_500_000).contains(&add.size)), "{:?}", written.adds);
    assert!(last.size < 2_500_000);
    assert_eq!(all_values(&root, &written).await, expected);
    let names: Vec<&str> = written.adds.iter().map(|add| &add.path[..10]).collect();
    assert_eq!(names[..3], ["part-00000", "part-00001", "part-00002"]);
    assert!(written.adds.iter().all(|add| add.path.ends_with(".c000.zstd.parquet") && add.data_change));
}

#[tokio::test]
async fn many_partitions_stay_within_the_memory_asked_for() {
    let root = TableRoot::in_memory("t").unwrap();
    let table = schema("p int, v long");
    let context = WriteContext { max_buffered_bytes: 2 << 20, ..context(&root, &table, &["p"]) };
    let mut writer = DataWriter::new(context).unwrap();
    let mut expected = Vec::new();
    for i in 0..6_u64 {
        let values = noise(40_000, i << 40);
        expected.extend(values.as_primitive::<Int64Type>().values().iter().copied());
        let parts = Int32Array::from_iter_values((0..40_000).map(|row| row % 300));
        writer.write(batch(vec![("p", Arc::new(parts)), ("v", values)])).await.unwrap();
    }
    let written = writer.finish().await.unwrap();
    expected.sort_unstable();
    assert!(written.adds.len() >= 300);
    assert_eq!(all_values(&root, &written).await, expected);
}

#[tokio::test]
async fn no_rows_make_no_files() {
    let root = TableRoot::in_memory("t").unwrap();
    let table = schema("v long");
    let written = write_all(context(&root, &table, &[]), vec![batch(vec![("v", longs(vec![]))])]).await.unwrap();
    assert_eq!(written, Written::default());
    assert!(root.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_refused_batch_writes_nothing_and_abort_leaves_nothing() {
    let root = TableRoot::in_memory("t").unwrap();
    let properties = TableProperties { target_file_size_bytes: 1, ..TableProperties::default() };
    let context = WriteContext { properties, ..context(&root, &schema("v long not null"), &[]) };
    let mut writer = DataWriter::new(context).unwrap();
    writer.write(batch(vec![("v", longs(vec![Some(1)]))])).await.unwrap();
    assert_eq!(root.list("").await.unwrap().len(), 1, "a full file is sent at once");
    let error = writer.write(batch(vec![("v", longs(vec![Some(1), None]))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = writer.write(batch(vec![("v", longs(vec![Some(1)]))])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Internal, "rows may be missing, so nothing more is taken");
    assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::Internal);
    assert!(root.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_write_that_was_cut_short_can_not_be_finished() {
    let root = TableRoot::in_memory("t").unwrap();
    let mut writer = DataWriter::new(context(&root, &schema("v long"), &[])).unwrap();
    let rows = batch(vec![("v", noise(200_000, 1))]);
    assert!(futures::FutureExt::now_or_never(writer.write(rows)).is_none(), "encoding takes another thread");
    assert_eq!(writer.finish().await.unwrap_err().kind(), ErrorKind::Internal);
    assert!(root.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn codecs_and_data_change_follow_the_table() {
    for (codec, ending) in [("snappy", ".snappy"), ("gzip", ".gz"), ("lz4_raw", ".lz4raw"), ("none", "")] {
        let root = TableRoot::in_memory("t").unwrap();
        let properties = TableProperties { parquet_compression: codec.to_owned(), ..TableProperties::default() };
        let base = context(&root, &schema("v long"), &[]);
        let context = WriteContext { properties, data_change: false, ..base };
        let written = write_all(context, vec![batch(vec![("v", noise(1_000, 1))])]).await.unwrap();
        let add = &written.adds[0];
        assert!(add.path.ends_with(&format!(".c000{ending}.parquet")), "{}", add.path);
        assert!(!add.data_change);
        assert_eq!(all_values(&root, &written).await.len(), 1_000);
    }
}

#[test]
fn impossible_tables_are_refused_before_a_row_is_taken() {
    let root = TableRoot::in_memory("t").unwrap();
    let fails = |table: &Arc<StructType>, partitions: &[&str]| {
        DataWriter::new(context(&root, table, partitions)).map(drop).unwrap_err().kind()
    };
    assert_eq!(fails(&schema("a long"), &["b"]), ErrorKind::Invalid);
    assert_eq!(fails(&schema("a long"), &["a"]), ErrorKind::Invalid);
    assert_eq!(fails(&schema("a long, s struct<x:int>"), &["s"]), ErrorKind::Invalid);
    let void = |field| Arc::new(StructType::new(vec![StructField::new("a", field, true)]));
    assert_eq!(fails(&void(DataType::Void), &[]), ErrorKind::Invalid);
    let inner = StructType::new(vec![StructField::new("v", DataType::Void, true)]);
    assert_eq!(fails(&void(DataType::Struct(inner)), &[]), ErrorKind::Unsupported);
    assert_eq!(fails(&void(DataType::Variant), &[]), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_void_column_is_not_stored() {
    let mut table = parse_declaration("v long, w long").unwrap();
    table.fields[0].data_type = DataType::Void;
    let root = TableRoot::in_memory("t").unwrap();
    let given = batch(vec![("v", Arc::new(NullArray::new(1)) as ArrayRef), ("w", longs(vec![Some(1)]))]);
    let written = write_all(context(&root, &Arc::new(table), &[]), vec![given]).await.unwrap();
    let rows = read_batches(&root, &root.resolve(&written.adds[0].path).unwrap(), None).await.unwrap();
    assert_eq!(rows[0].schema().fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>(), ["w"]);
}

#[tokio::test]
async fn a_failed_upload_is_an_error_and_leaves_nothing() {
    use lake_testkit::{Failure, Fault, Faults, FaultyStore, Op, Rule};
    let table = schema("p int, v binary");
    // No two alike, or a dictionary would fold them.
    let blob = |row: u32| (0..1_000_000_u32).map(|i| (i ^ row) as u8).collect::<Vec<_>>();
    let parts: ArrayRef = Arc::new(Int32Array::from_iter_values((0..24).map(|i| i32::from(i > 20))));
    let blobs: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..24).map(blob)));
    let given = batch(vec![("p", parts), ("v", blobs)]);
    let properties = TableProperties { parquet_compression: "none".to_owned(), ..TableProperties::default() };
    for op in [Op::Put, Op::CreateMultipart, Op::PutPart, Op::CompleteMultipart] {
        for fault in [Fault::ErrorBefore(Failure::Reset), Fault::ErrorAfter(Failure::Timeout)] {
            let faults = Faults::seeded(1).with([Rule::new(fault).on(op).nth(1)]);
            let store = FaultyStore::new(object_store::memory::InMemory::new(), faults.clone());
            let base = TableRoot::in_memory("t").unwrap();
            let root = TableRoot::with_store(Arc::new(store), base.prefix().clone(), base.url().clone());
            let mut context = context(&root, &table, &["p"]);
            context.properties = properties.clone();
            let error = write_all(context, vec![given.clone()]).await.unwrap_err();
            faults.assert_all_fired();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{op:?} {fault:?}: {error}");
            assert!(error.object().is_some(), "{error}");
            assert!(root.list("").await.unwrap().is_empty(), "{op:?} {fault:?}");
        }
    }
}

/// Callers run writes on tasks of their own.
#[test]
fn a_write_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let root = TableRoot::in_memory("t").unwrap();
    let context = context(&root, &schema("v long"), &[]);
    drop(is_send(async move {
        let mut writer = DataWriter::new(context)?;
        writer.write(RecordBatch::new_empty(Arc::new(Schema::empty()))).await?;
        writer.finish().await
    }));
}
