//! Values, directories and paths: there, back, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::expr::compare;

fn read(text: &str, data_type: PrimitiveType) -> Option<Scalar> {
    parse(Some(text), &data_type).ok()
}

#[test]
fn nothing_and_empty_text_are_null_for_every_type() {
    for data_type in [PrimitiveType::String, PrimitiveType::Long, PrimitiveType::Binary, PrimitiveType::Timestamp] {
        assert_eq!(parse(None, &data_type).unwrap(), Scalar::Null);
        assert_eq!(parse(Some(""), &data_type).unwrap(), Scalar::Null);
    }
    assert_eq!(format(&Scalar::Null).unwrap(), None);
    assert_eq!(format(&Scalar::String(String::new())).unwrap(), None);
    assert_eq!(format(&Scalar::Binary(vec![])).unwrap(), None);
}

#[test]
fn values_are_read_in_all_their_forms() {
    use PrimitiveType as P;
    assert_eq!(read("-128", P::Byte), Some(Scalar::Long(-128)));
    assert_eq!(read("TRUE", P::Boolean), Some(Scalar::Boolean(true)));
    assert_eq!(read("False", P::Boolean), Some(Scalar::Boolean(false)));
    assert_eq!(read("2024-02-29", P::Date), Some(Scalar::Date(19_782)));
    assert_eq!(read("-Infinity", P::Double), Some(Scalar::Double(f64::NEG_INFINITY)));
    assert_eq!(read("1.0E10", P::Double), Some(Scalar::Double(1e10)));
    assert!(matches!(read("NaN", P::Float), Some(Scalar::Float(value)) if value.is_nan()));
    assert_eq!(read("\u{1}\u{2}é", P::Binary), Some(Scalar::Binary(vec![1, 2, 0xC3, 0xA9])));
    let price = |unscaled| Some(Scalar::Decimal { unscaled, precision: 5, scale: 2 });
    let decimal = P::Decimal { precision: 5, scale: 2 };
    assert_eq!(read("1.5", decimal), price(150));
    assert_eq!(read("-999.99", decimal), price(-99_999));
    assert_eq!(read("1E+2", decimal), price(10_000));
    for text in ["1970-01-01 00:00:01.5", "1970-01-01T00:00:01.500000Z", "1970-01-01T01:00:01.5+01:00"] {
        assert_eq!(read(text, P::Timestamp), Some(Scalar::Timestamp(1_500_000)), "{text}");
    }
    for text in ["1970-01-01 00:00:01.5", "1970-01-01T00:00:01.500000"] {
        assert_eq!(read(text, P::TimestampNtz), Some(Scalar::TimestampNtz(1_500_000)), "{text}");
    }
}

#[test]
fn text_that_is_no_value_is_corrupt() {
    use PrimitiveType as P;
    for (text, data_type) in [
        ("128", P::Byte),
        ("1.0", P::Long),
        ("", P::Long),
        ("x", P::Integer),
        ("yes", P::Boolean),
        ("2024-02-30", P::Date),
        ("noon", P::Timestamp),
        ("1970-01-01T00:00:00+01:00", P::TimestampNtz),
        ("1.505", P::Decimal { precision: 5, scale: 2 }),
        ("1000", P::Decimal { precision: 5, scale: 2 }),
        ("1e400", P::Decimal { precision: 38, scale: 0 }),
        ("1,5", P::Double),
    ] {
        if text.is_empty() {
            continue;
        }
        let error = parse(Some(text), &data_type).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{text}");
        assert!(error.message().contains(text) && error.message().contains(&data_type.to_string()), "{error}");
    }
}

#[test]
fn values_are_written_as_the_protocol_asks() {
    let text = |value: Scalar| format(&value).unwrap().unwrap();
    let day = 1_706_659_200_000_000;
    assert_eq!(text(Scalar::Timestamp(day)), "2024-01-31T00:00:00.000000Z");
    assert_eq!(text(Scalar::TimestampNtz(day)), "2024-01-31 00:00:00");
    assert_eq!(text(Scalar::TimestampNtz(day + 1)), "2024-01-31 00:00:00.000001");
    assert_eq!(text(Scalar::Decimal { unscaled: 150, precision: 5, scale: 2 }), "1.50");
    assert_eq!(text(Scalar::Double(f64::NEG_INFINITY)), "-Infinity");
    assert_eq!(text(Scalar::Float(f32::NAN)), "NaN");
    assert_eq!(text(Scalar::Boolean(true)), "true");
    for value in [Scalar::Binary(vec![0xFF]), Scalar::Date(i32::MAX), Scalar::Timestamp(i64::MAX)] {
        assert_eq!(format(&value).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

#[test]
fn directories_are_escaped_as_hive_does() {
    let directory = |value| hive_directory(&[("p", Some(value))]);
    assert_eq!(directory("US/East"), "p=US%2FEast");
    assert_eq!(directory("a b é😀+&"), "p=a b é😀+&");
    assert_eq!(directory("\"#%'*/:=?\\{[]^"), "p=%22%23%25%27%2A%2F%3A%3D%3F%5C%7B%5B%5D%5E");
    assert_eq!(directory("\u{1}\n\u{7F}"), "p=%01%0A%7F");
    assert_eq!(directory("2024-01-31T00:00:00.000000Z"), "p=2024-01-31T00%3A00%3A00.000000Z");
    let null = "__HIVE_DEFAULT_PARTITION__";
    assert_eq!(hive_directory(&[("a", None), ("b=", Some("")), ("c", Some("x"))]), format!("a={null}/b%3D={null}/c=x"));
    assert_eq!(hive_directory(&[]), "");
}

#[test]
fn paths_are_encoded_once_and_decoded_once() {
    let path = format!("{}/part-1.parquet", hive_directory(&[("p", Some("US/East"))]));
    assert_eq!(encode_path(&path), "p=US%252FEast/part-1.parquet");
    assert_eq!(decode_path("p=US%252FEast/part-1.parquet").unwrap(), path);
    assert_eq!(encode_path("p=a b/é?#"), "p=a%20b/%C3%A9%3F%23");
    assert_eq!(decode_path("p=a%20b+c/😀").unwrap(), "p=a b+c/😀");
    for bad in ["%", "a%2", "%zz", "%+1", "%é", "%FF", "a%00b", "%C3"] {
        assert_eq!(decode_path(bad).unwrap_err().kind(), ErrorKind::Corrupt, "{bad}");
    }
}

fn any_value() -> impl Strategy<Value = (Scalar, PrimitiveType)> {
    use PrimitiveType as P;
    let decimal = (1_u8..=38).prop_flat_map(|p| (Just(p), 0..=p, any::<i128>()));
    let micros = || -8_000_000_000_000_000_000_i64..8_000_000_000_000_000_000;
    prop_oneof![
        any::<i64>().prop_map(|v| (Scalar::Long(v), P::Long)),
        any::<f32>().prop_map(|v| (Scalar::Float(v), P::Float)),
        any::<f64>().prop_map(|v| (Scalar::Double(v), P::Double)),
        any::<bool>().prop_map(|v| (Scalar::Boolean(v), P::Boolean)),
        ".{1,20}".prop_map(|v| (Scalar::String(v), P::String)),
        ".{1,20}".prop_map(|v| (Scalar::Binary(v.into_bytes()), P::Binary)),
        (-90_000_000_i32..90_000_000).prop_map(|v| (Scalar::Date(v), P::Date)),
        micros().prop_map(|v| (Scalar::Timestamp(v), P::Timestamp)),
        micros().prop_map(|v| (Scalar::TimestampNtz(v), P::TimestampNtz)),
        decimal.prop_map(|(precision, scale, v)| {
            let unscaled = v % 10_i128.pow(u32::from(precision));
            (Scalar::Decimal { unscaled, precision, scale }, P::Decimal { precision, scale })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    #[test]
    fn values_survive_the_log((value, data_type) in any_value()) {
        let text = format(&value).unwrap();
        let back = parse(text.as_deref(), &data_type).unwrap();
        prop_assert!(compare(&back, &value).is_some_and(|order| order.is_eq()), "{value} {text:?} {back}");
        prop_assert_eq!(format(&back).unwrap(), text);
    }

    #[test]
    fn paths_survive_the_log(path in "[^\0]{0,40}", value in "[^\0]{0,20}") {
        prop_assert_eq!(decode_path(&encode_path(&path)).unwrap(), path);
        let directory = hive_directory(&[("p", Some(&value))]);
        prop_assert_eq!(directory.matches('/').count(), 0);
        prop_assert!(encode_path(&directory).is_ascii());
        prop_assert_eq!(decode_path(&encode_path(&directory)).unwrap(), directory);
    }

    #[test]
    fn any_text_is_an_answer(text in "[0-9TZ:. +%eEäa-f-]{0,24}") {
        for data_type in [
            PrimitiveType::Timestamp,
            PrimitiveType::TimestampNtz,
            PrimitiveType::Date,
            PrimitiveType::Double,
            PrimitiveType::Decimal { precision: 38, scale: 18 },
        ] {
            if let Ok(value) = parse(Some(&text), &data_type) {
                let _ = format(&value);
            }
        }
        let _ = decode_path(&text);
    }
}
