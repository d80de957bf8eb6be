//! The way to Arrow and back, and what Arrow has that a table has not.

use arrow_schema::{IntervalUnit, UnionFields, UnionMode};

use super::super::parse_declaration;
use super::*;
use crate::error::ErrorKind;

fn of(arrow: ArrowType) -> Result<String> {
    let schema = from_arrow(&Schema::new(vec![Field::new("c", arrow, true)]))?;
    Ok(schema.fields[0].data_type.to_string())
}

fn field(name: &str, arrow: ArrowType) -> Arc<Field> {
    Arc::new(Field::new(name, arrow, true))
}

#[test]
fn a_table_schema_survives_the_way_there_and_back() {
    let schema = parse_declaration(
        "a string not null, b long, c int, d short, e byte, f float, g double, h boolean, i binary, j date, \
         k timestamp, l timestamp_ntz, m decimal(38,10), n array<struct<x:int not null,y:array<string>>>, \
         o map<string,struct<z:decimal(5,2)>>",
    )
    .unwrap();
    assert_eq!(from_arrow(&to_arrow(&schema).unwrap()).unwrap(), schema);
    let void = StructType::new(vec![StructField::new("v", DataType::Void, true)]);
    assert_eq!(from_arrow(&to_arrow(&void).unwrap()).unwrap(), void);
}

#[test]
fn arrow_types_are_the_agreed_ones() {
    let schema = parse_declaration("t timestamp, n timestamp_ntz, l array<int>, m map<string,int>, v variant").unwrap();
    let arrow = to_arrow(&schema).unwrap();
    let utc = ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    assert_eq!(arrow.field(0).data_type(), &utc);
    assert_eq!(arrow.field(1).data_type(), &ArrowType::Timestamp(TimeUnit::Microsecond, None));
    assert_eq!(arrow.field(2).data_type(), &ArrowType::List(field("element", ArrowType::Int32)));
    let ArrowType::Map(entries, false) = arrow.field(3).data_type() else { panic!() };
    assert_eq!((entries.name().as_str(), entries.is_nullable()), ("key_value", false));
    let ArrowType::Struct(parts) = entries.data_type() else { panic!() };
    let shape: Vec<_> = parts.iter().map(|part| (part.name().as_str(), part.is_nullable())).collect();
    assert_eq!(shape, [("key", false), ("value", true)]);
    let ArrowType::Struct(parts) = arrow.field(4).data_type() else { panic!() };
    assert_eq!(parts.iter().map(|part| part.name().as_str()).collect::<Vec<_>>(), ["metadata", "value"]);
    assert_eq!(&to_arrow_field(&schema.fields[0]).unwrap(), arrow.field(0));
}

#[test]
fn encodings_and_widths_become_the_plain_type() {
    let dictionary = ArrowType::Dictionary(Box::new(ArrowType::Int32), Box::new(ArrowType::LargeUtf8));
    let runs = ArrowType::RunEndEncoded(field("run_ends", ArrowType::Int32), field("values", ArrowType::Int64));
    let berlin = Some("Europe/Berlin".into());
    for (arrow, table) in [
        (ArrowType::Utf8View, "string"),
        (dictionary, "string"),
        (runs, "long"),
        (ArrowType::LargeBinary, "binary"),
        (ArrowType::BinaryView, "binary"),
        (ArrowType::FixedSizeBinary(16), "binary"),
        (ArrowType::UInt8, "short"),
        (ArrowType::UInt16, "integer"),
        (ArrowType::UInt32, "long"),
        (ArrowType::UInt64, "decimal(20,0)"),
        (ArrowType::Float16, "float"),
        (ArrowType::Date64, "date"),
        (ArrowType::Timestamp(TimeUnit::Nanosecond, berlin), "timestamp"),
        (ArrowType::Timestamp(TimeUnit::Second, None), "timestamp_ntz"),
        (ArrowType::Decimal32(9, 2), "decimal(9,2)"),
        (ArrowType::Decimal64(18, 18), "decimal(18,18)"),
        (ArrowType::Decimal128(5, -3), "decimal(8,0)"),
        (ArrowType::LargeList(field("item", ArrowType::Int8)), "array<byte>"),
        (ArrowType::FixedSizeList(field("item", ArrowType::Int8), 3), "array<byte>"),
        (ArrowType::ListView(field("item", ArrowType::Int8)), "array<byte>"),
        (ArrowType::Null, "void"),
    ] {
        assert_eq!(of(arrow.clone()).unwrap(), table, "{arrow}");
    }
}

#[test]
fn types_without_counterpart_are_named_with_their_column() {
    let union = ArrowType::Union(UnionFields::empty(), UnionMode::Sparse);
    for arrow in [
        ArrowType::Time64(TimeUnit::Microsecond),
        ArrowType::Duration(TimeUnit::Second),
        ArrowType::Interval(IntervalUnit::DayTime),
        ArrowType::Decimal256(10, 2),
        ArrowType::Decimal128(38, -1),
        ArrowType::Decimal128(2, 3),
        union,
    ] {
        let error = of(arrow.clone()).unwrap_err();
        assert_eq!((error.kind(), error.object()), (ErrorKind::Unsupported, Some("c")), "{arrow}");
    }
    let nested = ArrowType::List(field("item", ArrowType::Time32(TimeUnit::Second)));
    assert_eq!(of(nested).unwrap_err().object(), Some("c.element"));
}

#[test]
fn names_and_depth_are_checked() {
    let twice = Schema::new(vec![field("a", ArrowType::Int8), field("A", ArrowType::Int8)]);
    assert_eq!(from_arrow(&twice).unwrap_err().kind(), ErrorKind::Invalid);
    let mut deep = ArrowType::Int8;
    for _ in 0..200 {
        deep = ArrowType::List(field("item", deep));
    }
    assert_eq!(of(deep).unwrap_err().kind(), ErrorKind::Unsupported);
}
