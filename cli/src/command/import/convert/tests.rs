//! Whether text becomes what it says, and nothing else.

use arrow::array::types::Int32Type;
use arrow::datatypes::Schema;
use arrow::json::ReaderBuilder;

use super::*;

fn read(values: &[&str], to: &DataType) -> (ArrayRef, Vec<usize>) {
    let text: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let mut misfits = Vec::new();
    let array = convert(&text, to, "c", &mut misfits).expect("convert");
    (array, misfits.into_iter().map(|misfit| misfit.row).collect())
}

#[test]
fn whole_numbers_keep_their_range() {
    let (array, bad) = read(&["127", "128", " -128 ", "1.0", "", "+5"], &DataType::Int8);
    assert_eq!(
        array.as_primitive::<arrow::datatypes::Int8Type>().iter().collect::<Vec<_>>(),
        [Some(127), None, Some(-128), None, None, Some(5)]
    );
    assert_eq!(bad, [1, 3], "an empty text is null, not wrong");
}

#[test]
fn decimals_are_exact_or_refused() {
    let cases = [
        ("1.25", Some(125)),
        ("-1.250", Some(-125)),
        ("1.255", None),
        ("999.99", Some(99_999)),
        ("1000", None),
        ("1e2", Some(10_000)),
        ("12.5e-1", Some(125)),
        ("0.000", Some(0)),
        ("00012.30", Some(1_230)),
        (".5", Some(50)),
        ("5.", Some(500)),
        (".", None),
        ("", None),
        ("-", None),
        ("1e", None),
        ("1e99999999999", None),
        ("1.2.3", None),
        ("0x1", None),
    ];
    for (text, expected) in cases {
        assert_eq!(decimal(text, 5, 2), expected, "{text}");
    }
    let widest = "9".repeat(38);
    assert_eq!(decimal(&widest, 38, 0), widest.parse().ok());
    assert_eq!(decimal(&format!("{widest}9"), 38, 0), None);
}

#[test]
fn moments() {
    let noon = 1_706_702_400_000_000;
    for text in [
        "2024-01-31T12:00:00Z",
        "2024-01-31 12:00:00 UTC",
        "2024-01-31t14:00:00.000+02:00",
        "2024-01-31T06:30:00-0530",
        "2024-01-31T13:00+01",
    ] {
        assert_eq!(parse_moment(text), Some(Moment { micros: noon, zoned: true }), "{text}");
    }
    assert_eq!(parse_moment("2024-01-31 12:00:00.0000019"), Some(Moment { micros: noon + 1, zoned: false }));
    assert_eq!(parse_moment("1969-12-31T23:59:59.999999").map(|moment| moment.micros), Some(-1));
    for text in [
        "2024-01-31T",
        "2024-02-30",
        "2024-01-31T25:00:00",
        "2024-01-31T12:00:00+25:00",
        "2024-01-31x",
        "é",
        "2024-01-31T12:00:00+1:000",
    ] {
        assert_eq!(parse_moment(text), None, "{text}");
    }
    let ntz = DataType::Timestamp(TimeUnit::Microsecond, None);
    let (array, bad) = read(&["2024-01-31T12:00:00", "2024-01-31T12:00:00Z"], &ntz);
    assert_eq!((array.null_count(), bad), (1, vec![1]), "a zone has no place in a local time");
}

#[test]
fn other_leaves() {
    assert_eq!(read(&["yes", "F", "2"], &DataType::Boolean).1, [2]);
    assert_eq!(read(&["2024-02-29", "2023-02-29"], &DataType::Date32).1, [1]);
    assert_eq!(read(&["0.1", "x", "NaN", "1e400"], &DataType::Float64).1, [1, 3]);
    let (bytes, bad) = read(&["00ff", "0", "zz"], &DataType::Binary);
    assert_eq!((bytes.as_binary::<i32>().value(0), bad), (&[0_u8, 255][..], vec![1, 2]));
    assert_eq!(read(&["x"], &DataType::Null).1, [0]);
    let (text, bad) = read(&["", " a "], &DataType::Utf8);
    assert_eq!((text.as_string::<i32>().value(0), text.as_string::<i32>().value(1), bad.len()), ("", " a ", 0));
}

#[test]
fn nested_misfits_name_their_row_and_path() {
    let list = DataType::List(Arc::new(Field::new("element", DataType::Int32, true)));
    let inner = DataType::Struct(vec![Field::new("n", DataType::Int16, true)].into());
    let entries = DataType::Struct(
        vec![Field::new("key", DataType::Int32, false), Field::new("value", DataType::Date32, true)].into(),
    );
    let map = DataType::Map(Arc::new(Field::new("key_value", entries, false)), false);
    let fields: Vec<FieldRef> = [("l", list), ("s", inner), ("m", map)]
        .map(|(name, data_type)| Arc::new(Field::new(name, data_type, true)))
        .to_vec();
    let schema = Arc::new(Schema::new(fields.iter().map(text_field).collect::<Fields>()));
    let lines = r#"{"l":[1,2],"s":{"n":1},"m":{"1":"2024-01-01"}}
        {"l":[3,"x",null],"s":null,"m":{"one":"2024-01-01"}}
        {"l":null,"s":{"n":70000},"m":{"1":"2024-01-01","2":"soon"}}"#;
    let mut decoder = ReaderBuilder::new(schema).with_coerce_primitive(true).build_decoder().expect("decoder");
    decoder.decode(lines.as_bytes()).expect("decode");
    let batch = decoder.flush().expect("flush").expect("rows");
    let mut misfits = Vec::new();
    let mut columns = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        columns.push(convert(batch.column(at), field.data_type(), field.name(), &mut misfits).expect("convert"));
    }
    let found: Vec<_> =
        misfits.iter().map(|misfit| (misfit.row, misfit.column.as_str(), misfit.value.as_str())).collect();
    assert_eq!(found, [(1, "l.element", "x"), (2, "s.n", "70000"), (1, "m.key", "one"), (2, "m.value", "soon")]);
    assert_eq!(columns[0].as_list::<i32>().value(0).as_primitive::<Int32Type>().values(), &[1, 2]);
}
