//! What schema text is read, what is refused, and that writing is the way back.

use proptest::prelude::*;
use serde_json::json;

use super::super::MAX_TYPE_DEPTH;
use super::*;

fn of(type_json: &str) -> Result<StructType> {
    parse_schema(&format!(
        r#"{{"type":"struct","fields":[{{"name":"c","type":{type_json},"nullable":true,"metadata":{{}}}}]}}"#
    ))
}

#[test]
fn reads_every_type() {
    let text = r#"{"type":"struct","fields":[
        {"name":"id","type":"long","nullable":false,"metadata":{"comment":"key","delta.columnMapping.id":1}},
        {"name":"price","type":"decimal( 10 , 2 )","nullable":true,"metadata":{}},
        {"name":"tags","type":{"type":"array","elementType":"string","containsNull":false},"nullable":true},
        {"name":"m","type":{"type":"map","keyType":"string","valueType":
            {"type":"struct","fields":[{"name":"at","type":"timestamp_ntz","nullable":true,"metadata":null}]},
            "valueContainsNull":true},"nullable":true,"metadata":{}},
        {"name":"v","type":"variant","nullable":true,"metadata":{}},
        {"name":"n","type":"void","nullable":true,"metadata":{}}]}"#;
    let schema = parse_schema(text).unwrap();
    let types: Vec<String> = schema.fields.iter().map(|field| field.data_type.to_string()).collect();
    let map = "map<string,struct<at:timestamp_ntz>>";
    assert_eq!(types, ["long", "decimal(10,2)", "array<string>", map, "variant", "void"]);
    assert!(!schema.fields[0].nullable);
    assert_eq!(schema.fields[0].metadata["delta.columnMapping.id"], json!(1));
    assert!(matches!(&schema.fields[2].data_type, DataType::Array(array) if !array.contains_null));
    assert_eq!(parse_schema(&write_schema(&schema)).unwrap(), schema);
}

#[test]
fn writes_keys_in_the_usual_order() {
    let mut field = StructField::new("a\"b", DataType::Primitive(PrimitiveType::Long), false);
    field.metadata.insert("comment".into(), json!("x\ny"));
    assert_eq!(
        write_schema(&StructType::new(vec![field])),
        r#"{"type":"struct","fields":[{"name":"a\"b","type":"long","nullable":false,"metadata":{"comment":"x\ny"}}]}"#
    );
    assert_eq!(write_schema(&StructType::default()), r#"{"type":"struct","fields":[]}"#);
}

#[test]
fn unknown_types_are_unsupported_and_named_with_their_column() {
    for name in ["interval day to second", "geometry(4326)", "calendarinterval", "uint64", "timestamp_tz"] {
        let error = of(&format!("{name:?}")).unwrap_err();
        assert_eq!((error.kind(), error.object()), (ErrorKind::Unsupported, Some("c")), "{name}");
        assert!(error.message().contains(name), "{error}");
    }
    let nested = r#"{"type":"array","elementType":{"type":"udt","class":"x"},"containsNull":true}"#;
    let error = of(nested).unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::Unsupported, Some("c.element")));
}

#[test]
fn malformed_text_is_corrupt() {
    for text in
        ["", "{", "null", "[]", "7", "\"long\"", "{}", r#"{"type":"struct"}"#, r#"{"type":"struct","fields":{}}"#]
    {
        assert_eq!(parse_schema(text).unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
    }
    let parts = [
        "7",
        r#""decimal(39,0)""#,
        r#""decimal(2,3)""#,
        r#""decimal(10,-2)""#,
        r#""decimal(0,0)""#,
        r#""decimal(10)""#,
        r#"{"type":"array","elementType":"long"}"#,
        r#"{"type":"array","containsNull":true}"#,
        r#"{"type":"map","keyType":"long","valueType":"long","valueContainsNull":"yes"}"#,
        r#"{"type":"struct","fields":[{"name":1,"type":"long","nullable":true}]}"#,
        r#"{"type":"struct","fields":[{"name":"x","type":"long"}]}"#,
        r#"{"type":"struct","fields":[{"name":"x","type":"long","nullable":true,"metadata":[]}]}"#,
    ];
    for part in parts {
        assert_eq!(of(part).unwrap_err().kind(), ErrorKind::Corrupt, "{part}");
    }
}

#[test]
fn names_that_clash_are_corrupt() {
    let field = |name: &str| format!(r#"{{"name":"{name}","type":"long","nullable":true,"metadata":{{}}}}"#);
    for names in [["a", "A"], ["a", ""]] {
        let fields = names.map(field).join(",");
        let error = parse_schema(&format!(r#"{{"type":"struct","fields":[{fields}]}}"#)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{names:?}");
    }
}

#[test]
fn depth_is_limited_by_an_error() {
    let nested = |levels: usize| {
        let (open, close) = (r#"{"type":"array","containsNull":true,"elementType":"#, "}");
        format!("{}\"long\"{}", open.repeat(levels), close.repeat(levels))
    };
    assert!(of(&nested(MAX_TYPE_DEPTH - 1)).is_ok());
    for levels in [MAX_TYPE_DEPTH, 100, 130, 100_000] {
        assert_eq!(of(&nested(levels)).unwrap_err().kind(), ErrorKind::Unsupported, "{levels}");
    }
    let brackets = "[".repeat(1_000_000);
    assert_eq!(parse_schema(&brackets).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(parse_schema(&format!("{{\"{brackets}\"")).unwrap_err().kind(), ErrorKind::Corrupt);
}

/// The deepest schema that may be made must be readable, metadata included.
#[test]
fn the_deepest_schema_can_be_read_again() {
    let mut schema = StructType::new(vec![StructField::new("x", DataType::Primitive(PrimitiveType::Long), true)]);
    schema.fields[0].metadata.insert("a".into(), json!({"b": {"c": [1]}}));
    for _ in 1..MAX_TYPE_DEPTH {
        schema = StructType::new(vec![StructField::new("x", DataType::Struct(schema), true)]);
    }
    assert_eq!(parse_schema(&write_schema(&schema)).unwrap(), schema);
    let deeper = StructType::new(vec![StructField::new("x", DataType::Struct(schema), true)]);
    assert_eq!(parse_schema(&write_schema(&deeper)).unwrap_err().kind(), ErrorKind::Unsupported);
}

fn any_primitive() -> impl Strategy<Value = PrimitiveType> {
    use PrimitiveType::*;
    prop_oneof![
        prop::sample::select(vec![
            String,
            Long,
            Integer,
            Short,
            Byte,
            Float,
            Double,
            Boolean,
            Binary,
            Date,
            Timestamp,
            TimestampNtz
        ]),
        (1_u8..=38).prop_flat_map(|p| (Just(p), 0..=p)).prop_map(|(precision, scale)| Decimal { precision, scale }),
    ]
}

fn any_struct(of: impl Strategy<Value = DataType> + Clone + 'static) -> impl Strategy<Value = StructType> {
    let metadata = prop::collection::btree_map(".{0,5}", prop_oneof![Just(json!(null)), Just(json!({"a": [1]}))], 0..2);
    prop::collection::vec((".{0,4}", of, any::<bool>(), metadata), 0..4).prop_map(|fields| {
        let field = |(i, (name, data_type, nullable, metadata)): (usize, (String, _, _, _))| StructField {
            name: format!("{i}{name}"),
            data_type,
            nullable,
            metadata,
        };
        StructType::new(fields.into_iter().enumerate().map(field).collect())
    })
}

fn any_type() -> impl Strategy<Value = DataType> {
    let leaf = prop_oneof![8 => any_primitive().prop_map(DataType::Primitive), 1 => Just(DataType::Variant), 1 => Just(DataType::Void)];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            any_struct(inner.clone()).prop_map(DataType::Struct),
            (inner.clone(), any::<bool>()).prop_map(|(element_type, contains_null)| {
                DataType::Array(Box::new(ArrayType { element_type, contains_null }))
            }),
            (inner.clone(), inner, any::<bool>()).prop_map(|(key_type, value_type, value_contains_null)| {
                DataType::Map(Box::new(MapType { key_type, value_type, value_contains_null }))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_reads_back_equal(schema in any_struct(any_type().boxed())) {
        let text = write_schema(&schema);
        prop_assert_eq!(parse_schema(&text).unwrap(), schema);
        prop_assert!(serde_json::from_str::<Value>(&text).is_ok());
    }

    #[test]
    fn any_text_is_an_answer(text in ".{0,200}") {
        let _ = parse_schema(&text);
    }
}
