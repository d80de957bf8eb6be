//! What bounds are read from other writers' text, and that our own text bounds what it was made of.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::expr::compare;

fn path(name: &str) -> ColumnPath {
    ColumnPath(name.split('.').map(str::to_owned).collect())
}

/// Minimum and maximum read for a column whose bounds are both the JSON text `value`.
fn both(value: &str, data_type: PrimitiveType) -> (Option<Scalar>, Option<Scalar>) {
    let text = format!(r#"{{"numRecords":3,"minValues":{{"c":{value}}},"maxValues":{{"c":{value}}}}}"#);
    let bounds = Stats::parse(&text).unwrap().bounds(&path("c"), &data_type);
    (bounds.min, bounds.max)
}

fn same(value: Scalar) -> (Option<Scalar>, Option<Scalar>) {
    (Some(value.clone()), Some(value))
}

const NOTHING: (Option<Scalar>, Option<Scalar>) = (None, None);

#[test]
fn reads_nested_columns_and_counts() {
    let stats = Stats::parse(
        r#"{"numRecords":3,"minValues":{"a":{"b":-1,"c\"d":{"e":2}}},"maxValues":{"a":{"b":7}},
            "nullCount":{"a":{"b":1},"x":3,"y":-1,"z":4,"w":1.5},"unknown":[1]}"#,
    )
    .unwrap();
    let bounds = stats.bounds(&path("a.b"), &PrimitiveType::Long);
    let expected = ColumnBounds {
        min: Some(Scalar::Long(-1)),
        max: Some(Scalar::Long(7)),
        null_count: Some(1),
        num_records: Some(3),
    };
    assert_eq!(bounds, expected);
    assert_eq!(stats.bounds(&path("a.c\"d.e"), &PrimitiveType::Long).min, Some(Scalar::Long(2)));
    for missing in ["a", "b", "a.b.c", "A.b", "a.x"] {
        assert_eq!(stats.bounds(&path(missing), &PrimitiveType::Long).min, None, "{missing}");
    }
    let counts = ["x", "y", "z", "w", "a"].map(|name| stats.null_count(&path(name)));
    assert_eq!(counts, [Some(3), None, None, None, None], "more nulls than rows are not believed");
    assert!(stats.tight_bounds);
}

#[test]
fn damage_is_no_statistics() {
    for text in ["", "{", "null", "7", "[]", "\"x\"", r#"{"numRecords":1,"numRecords":2}"#, "{\"numRecords\":1}x"] {
        assert!(Stats::parse(text).is_none(), "{text}");
    }
    for (text, rows) in [
        (r#"{"numRecords":-1}"#, None),
        (r#"{"numRecords":9223372036854775807}"#, None),
        (r#"{"numRecords":"5"}"#, None),
        (r#"{"numRecords":null,"minValues":null,"maxValues":7,"nullCount":[]}"#, None),
        (r#"{"numRecords":5,"minValues":"x"}"#, Some(5)),
    ] {
        let stats = Stats::parse(text).unwrap();
        assert_eq!(stats.num_records, rows, "{text}");
        let bounds = stats.bounds(&path("c"), &PrimitiveType::Long);
        assert_eq!((bounds.min, bounds.max, bounds.null_count), (None, None, None), "{text}");
    }
    assert!(!Stats::parse(r#"{"tightBounds":false}"#).unwrap().tight_bounds);
    assert!(!Stats::parse(r#"{"tightBounds":7}"#).unwrap().tight_bounds);
}

#[test]
fn deep_text_is_safe() {
    let deep = format!(r#"{{"minValues":{}1{},"numRecords":1}}"#, r#"{"c":"#.repeat(20_000), "}".repeat(20_000));
    let stats = Stats::parse(&deep).unwrap();
    assert_eq!(stats.bounds(&path("c.c.c"), &PrimitiveType::Long).min, None);
    let every = ColumnPath(vec!["c".to_owned(); 100]);
    assert_eq!(stats.bounds(&every, &PrimitiveType::Long).min, None);
    assert!(Stats::parse(&format!(r#"{{"minValues":{}"#, "[".repeat(1_000_000))).is_none());
}

#[test]
fn numbers_are_read_from_their_digits() {
    use PrimitiveType::{Boolean, Byte, Double, Float, Integer, Long, Short};
    assert_eq!(both("9223372036854775807", Long), same(Scalar::Long(i64::MAX)));
    assert_eq!(both("9223372036854775808", Long), NOTHING);
    for (data_type, most) in [(Byte, 127), (Short, 32767), (Integer, 2_147_483_647)] {
        assert_eq!(both(&most.to_string(), data_type), same(Scalar::Long(most)));
        assert_eq!(both(&(most + 1).to_string(), data_type), NOTHING);
    }
    assert_eq!(both("0.1", Float), same(Scalar::Float(0.1)));
    assert_eq!(both("-1.7976931348623157e308", Double), same(Scalar::Double(f64::MIN)));
    assert_eq!(both("true", Boolean), same(Scalar::Boolean(true)));
    for (text, data_type) in [
        ("1e999", Double),
        ("1e39", Float),
        (r#""NaN""#, Double),
        (r#""Infinity""#, Double),
        (r#""-Infinity""#, Float),
        ("null", Long),
        ("1.5", Long),
        (r#""5""#, Long),
        ("{}", Long),
        ("5", PrimitiveType::String),
        ("null", PrimitiveType::String),
        (r#""\ud83d""#, PrimitiveType::String),
        (r#""AQ==""#, PrimitiveType::Binary),
        ("19000", PrimitiveType::Date),
    ] {
        assert_eq!(both(text, data_type), NOTHING, "{text} {data_type}");
    }
    assert_eq!(both(r#""a\u00e9""#, PrimitiveType::String), same(Scalar::String("aé".into())));
}

#[test]
fn times_are_bounds_of_what_was_cut() {
    use PrimitiveType::{Date, Timestamp, TimestampNtz};
    assert_eq!(both(r#""2024-02-29""#, Date), same(Scalar::Date(19_782)));
    let second = 1_000_000;
    let around = |min: i64, max: i64| (Some(Scalar::Timestamp(min)), Some(Scalar::Timestamp(max)));
    assert_eq!(both(r#""1970-01-01T00:00:01.123Z""#, Timestamp), around(1_123_000, 1_124_000));
    assert_eq!(both(r#""1970-01-01T02:00:01.000+02:00""#, Timestamp), around(second, second + 1000));
    let (low, high) = (-16 * MICROS_PER_HOUR, 16 * MICROS_PER_HOUR);
    assert_eq!(both(r#""1970-01-01 00:00:01""#, Timestamp), around(second + low, second + 1000 + high));
    assert_eq!(both(r#""1970-01-01""#, Timestamp), around(low, high + MICROS_PER_DAY));
    let wall = |min: i64, max: i64| (Some(Scalar::TimestampNtz(min)), Some(Scalar::TimestampNtz(max)));
    for text in [r#""1970-01-01T00:00:01""#, r#""1970-01-01 00:00:01""#, r#""1970-01-01T00:00:01.000Z""#] {
        assert_eq!(both(text, TimestampNtz), wall(second, second + 1000), "{text}");
    }
    assert_eq!(both(r#""1970-01-01T00:00:01+02:00""#, TimestampNtz), NOTHING);
    assert_eq!(both(r#""soon""#, Timestamp), NOTHING);
}

#[test]
fn decimals_are_exact_or_wider() {
    let decimal = |unscaled: i128, precision: u8, scale: u8| Scalar::Decimal { unscaled, precision, scale };
    let of = |precision: u8, scale: u8| PrimitiveType::Decimal { precision, scale };
    assert_eq!(both("123.45", of(10, 2)), same(decimal(12345, 10, 2)));
    assert_eq!(both("-1.2E+2", of(10, 2)), same(decimal(-12000, 10, 2)));
    assert_eq!(both("0.30000000000000004", of(10, 2)), (Some(decimal(30, 10, 2)), Some(decimal(31, 10, 2))));
    assert_eq!(both("123456789012345", of(15, 0)), same(decimal(123_456_789_012_345, 15, 0)));
    for bad in [r#""1.5""#, "null", "99999", "1e500"] {
        assert_eq!(both(bad, of(3, 0)), NOTHING, "{bad}");
    }
    // A writer that goes through a 64-bit float says 1e20 for this one.
    let value = decimal(100_000_000_000_000_000_001, 38, 0);
    let (min, max) = both("1e20", of(38, 0));
    assert!(compare(&min.unwrap(), &value).unwrap().is_le() && compare(&max.unwrap(), &value).unwrap().is_ge());
    let most = 10_i128.pow(38) - 1;
    let (min, max) = both(&most.to_string(), of(38, 0));
    let Some(Scalar::Decimal { unscaled: min, .. }) = min else { panic!() };
    let Some(Scalar::Decimal { unscaled: max, .. }) = max else { panic!() };
    assert!(min < most && most < max && max - min < most >> 48);
}

#[test]
fn text_goes_back_as_it_was() {
    let text = r#"{"numRecords":3,"tightBounds":false,"minValues":{"c":1.50},"maxValues":{},"nullCount":{"c":0}}"#;
    assert_eq!(Stats::parse(text).unwrap().to_json(), text);
    let mut stats = Stats::parse(r#"{"numRecords":3}"#).unwrap();
    assert_eq!(stats.to_json(), r#"{"numRecords":3}"#);
    stats.tight_bounds = false;
    assert_eq!(stats.to_json(), r#"{"numRecords":3,"tightBounds":false}"#);
}

fn column(name: &str, min: Scalar, max: Scalar) -> ColumnStats {
    let path = name.split('.').map(str::to_owned).collect();
    ColumnStats { path, min: Some(min), max: Some(max), null_count: 1 }
}

fn pair(name: &str, value: Scalar) -> ColumnStats {
    column(name, value.clone(), value)
}

#[test]
fn writes_the_protocol_s_forms() {
    let text = render(
        5,
        &[
            pair("id", Scalar::Long(i64::MAX)),
            pair("a.b", Scalar::Date(19_782)),
            pair("a.c.\"d\"", Scalar::Decimal { unscaled: -5, precision: 38, scale: 3 }),
            pair("ts", Scalar::Timestamp(-1)),
            pair("ntz", Scalar::TimestampNtz(1_999)),
            column("zero", Scalar::Double(0.0), Scalar::Double(-0.0)),
            pair("f", Scalar::Float(0.1)),
            column("nan", Scalar::Double(f64::NEG_INFINITY), Scalar::Double(f64::NAN)),
            pair("flag", Scalar::Boolean(true)),
            pair("bytes", Scalar::Binary(vec![1])),
            pair("far", Scalar::Date(3_000_000)),
            ColumnStats { path: vec!["list".into()], min: None, max: None, null_count: 0 },
        ],
        32,
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["numRecords"], json!(5));
    let shown = |section: &str, keys: [&str; 2]| value[section][keys[0]][keys[1]].to_string();
    assert_eq!(shown("minValues", ["a", "b"]), "\"2024-02-29\"");
    assert!(text.contains(r#""\"d\"":-0.005"#) && text.contains(r#""id":9223372036854775807"#), "{text}");
    assert_eq!(value["minValues"]["ts"], json!("1969-12-31T23:59:59.999Z"), "outward");
    assert_eq!(value["maxValues"]["ts"], json!("1970-01-01T00:00:00.000Z"), "outward");
    assert!(text.contains(r#""zero":-0.0"#) && text.contains(r#""zero":0.0"#), "{text}");
    assert!(text.contains(r#""f":0.1,"#), "{text}");
    for left_out in ["nan", "flag", "bytes", "far", "list"] {
        assert!(value["minValues"].get(left_out).is_none() && value["maxValues"].get(left_out).is_none(), "{left_out}");
        assert!(value["nullCount"][left_out].is_i64(), "{left_out}");
    }
    assert_eq!(value["nullCount"]["a"]["b"], json!(1));
    assert_eq!(render(0, &[], 32), r#"{"numRecords":0,"minValues":{},"maxValues":{},"nullCount":{}}"#);
}

#[test]
fn long_text_is_cut_with_a_tie_breaker() {
    let max = |text: &str| upper_prefix(text, 32);
    let start = "x".repeat(32);
    assert_eq!(max(&start).as_deref(), Some(start.as_str()));
    assert_eq!(max(&format!("{start}a")), Some(format!("{start}\u{7F}")));
    assert_eq!(max(&format!("{start}\u{7F}")), Some(format!("{start}\u{10FFFF}")));
    assert_eq!(max(&format!("{start}é")), Some(format!("{start}\u{10FFFF}")));
    assert_eq!(max(&format!("{start}\u{10FFFF}a")), Some(format!("{start}\u{10FFFF}\u{7F}")));
    assert_eq!(max(&format!("{start}\u{10FFFF}")), Some(format!("{start}\u{10FFFF}")));
    assert_eq!(max(&"\u{10FFFF}".repeat(64)), Some("\u{10FFFF}".repeat(64)));
    assert_eq!(max(&"\u{10FFFF}".repeat(65)), None);
    let text = render(1, &[pair("s", Scalar::String("é".repeat(100)))], 32);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["minValues"]["s"], json!("é".repeat(32)));
    assert_eq!(value["maxValues"]["s"], json!("é".repeat(32) + "\u{10FFFF}"));
}

fn any_value() -> impl Strategy<Value = (Scalar, PrimitiveType)> {
    use PrimitiveType as P;
    let decimal = (1_u8..=38).prop_flat_map(|p| (Just(p), 0..=p, any::<i128>()));
    // Days and instants of the years 1 to 9999.
    let micros = || -62_135_596_800_000_000_i64..253_402_300_800_000_000;
    prop_oneof![
        any::<i64>().prop_map(|v| (Scalar::Long(v), P::Long)),
        any::<f32>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| (Scalar::Float(v), P::Float)),
        any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| (Scalar::Double(v), P::Double)),
        "[a\u{7F}é\u{10FFFF}\"\\\\]{0,70}".prop_map(|v| (Scalar::String(v), P::String)),
        ".{0,70}".prop_map(|v| (Scalar::String(v), P::String)),
        (-719_162_i32..=2_932_896).prop_map(|v| (Scalar::Date(v), P::Date)),
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
    fn what_we_write_bounds_what_it_was_made_of((value, data_type) in any_value(), name in ".{1,4}") {
        let columns = [ColumnStats { path: vec![name.clone()], min: Some(value.clone()), max: Some(value.clone()), null_count: 2 }];
        let stats = Stats::parse(&render(7, &columns, 32)).unwrap();
        let bounds = stats.bounds(&ColumnPath(vec![name]), &data_type);
        prop_assert_eq!((bounds.num_records, bounds.null_count), (Some(7), Some(2)));
        let min = bounds.min.expect("a minimum");
        prop_assert!(compare(&min, &value).unwrap().is_le(), "{min} {value}");
        match bounds.max {
            Some(max) => prop_assert!(compare(&max, &value).unwrap().is_ge(), "{max} {value}"),
            None => prop_assert!(matches!(&value, Scalar::String(text) if text.chars().count() > 64)),
        }
    }

    #[test]
    fn decimals_through_a_float_stay_within((unscaled, scale) in (any::<i128>(), 0_u8..=38)) {
        let unscaled = unscaled % 10_i128.pow(38);
        let rounded = unscaled as f64 / 10_f64.powi(i32::from(scale));
        let (min, max) = both(&format!("{rounded:?}"), PrimitiveType::Decimal { precision: 38, scale });
        let value = Scalar::Decimal { unscaled, precision: 38, scale };
        if let Some(min) = min {
            prop_assert!(compare(&min, &value).unwrap().is_le(), "{min} {value}");
        }
        if let Some(max) = max {
            prop_assert!(compare(&max, &value).unwrap().is_ge(), "{max} {value}");
        }
    }

    #[test]
    fn any_text_is_an_answer(text in r#"[\{\}":,a-c0-9minVlues]{0,60}"#) {
        if let Some(stats) = Stats::parse(&text) {
            let _ = stats.bounds(&path("a"), &PrimitiveType::Timestamp);
        }
    }
}

#[test]
fn the_prefix_of_texts_can_be_set() {
    let text = render(1, &[pair("s", Scalar::String("abcdefgh".into()))], 3);
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&value["minValues"]["s"], &value["maxValues"]["s"]), (&json!("abc"), &json!("abc\u{7f}")));
    let text = render(1, &[pair("s", Scalar::String("ab".into()))], 3);
    assert!(text.contains(r#""maxValues":{"s":"ab"}"#), "{text}");
}
