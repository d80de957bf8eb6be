use proptest::prelude::*;

use super::*;

const TYPES: [(&str, PrimitiveType); 12] = [
    ("bool", PrimitiveType::Boolean),
    ("byte", PrimitiveType::Byte),
    ("short", PrimitiveType::Short),
    ("int", PrimitiveType::Integer),
    ("long", PrimitiveType::Long),
    ("float", PrimitiveType::Float),
    ("double", PrimitiveType::Double),
    ("date", PrimitiveType::Date),
    ("time", PrimitiveType::Timestamp),
    ("wall", PrimitiveType::TimestampNtz),
    ("dec", PrimitiveType::Decimal { precision: 20, scale: 2 }),
    ("text", PrimitiveType::String),
];

fn shape() -> StatsShape {
    let of = |path: &[&str], bounds| StatsColumn {
        path: ColumnPath(path.iter().map(|name| (*name).to_owned()).collect()),
        bounds,
    };
    let mut columns: Vec<StatsColumn> = TYPES.iter().map(|(name, data_type)| of(&[name], Some(*data_type))).collect();
    columns.push(of(&["in", "er"], Some(PrimitiveType::Long)));
    columns.push(of(&["list"], None));
    StatsShape::new(columns, true)
}

/// Values of statistics: the right ones, wrong ones, damaged ones.
fn value() -> impl Strategy<Value = String> {
    let plain = prop::sample::select(vec![
        "1",
        "-7",
        "0",
        "9223372036854775807",
        "1e3",
        "2.5",
        "-0.0",
        "12345678901234567.89",
        "true",
        "null",
        "\"NaN\"",
        "\"abc\"",
        "\"\"",
        "\"2024-02-29\"",
        "\"2024-02-29T12:13:14.567Z\"",
        "\"2024-02-29T12:13:14.567+02:00\"",
        "\"2024-02-29 12:13:14\"",
        "\"2024-02-29T12:13:14.567891Z\"",
        "{\"er\":3}",
        "{\"er\":\"x\",\"x\":1}",
        "[1,2]",
        "\"a\\\"b\"",
        "\"\\u00e9\"",
        "\"é\"",
        "07",
        "nan",
        "",
        "{",
        "1 ",
        " 2",
    ]);
    plain.prop_map(str::to_owned)
}

fn section() -> impl Strategy<Value = String> {
    let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).chain(["in", "list", "other", "l\\u006fng"]).collect();
    let members = prop::collection::vec((prop::sample::select(names), value()), 0..6);
    let object = members.prop_map(|members| {
        let members: Vec<String> = members.into_iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    });
    prop_oneof![9 => object, 1 => value()]
}

fn text() -> impl Strategy<Value = String> {
    let names = vec!["numRecords", "tightBounds", "minValues", "maxValues", "nullCount", "other"];
    let member = prop::sample::select(names).prop_flat_map(|name| {
        let value = if name.ends_with('s') && name != "numRecords" || name == "nullCount" {
            prop_oneof![section(), value()].boxed()
        } else {
            value().boxed()
        };
        value.prop_map(move |value| format!("\"{name}\":{value}"))
    });
    let object = prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(",")));
    (object, 0..40_usize).prop_map(|(text, cut)| {
        let end = text.len().saturating_sub(cut);
        if cut < 3 && text.is_char_boundary(end) { text[..end].to_owned() } else { text }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// STA-3: the quick way and the long way read the same.
    #[test]
    fn columns_say_what_the_text_says(texts in prop::collection::vec(text(), 3)) {
        let shape = shape();
        let array = StringArray::from_iter(texts.iter().map(Some).chain([None]));
        let parsed = shape.read(&array).expect("columns");
        for (row, text) in texts.iter().enumerate() {
            let found = Stats::parse(text);
            prop_assert_eq!(parsed.num_records(row), found.as_ref().and_then(|stats| stats.num_records), "{}", text);
            for column in shape.columns() {
                let data_type = column.bounds.unwrap_or(PrimitiveType::Binary);
                let quick = parsed.column(&column.path, data_type).bounds(row, parsed.num_records(row));
                let slow = found.as_ref().map(|stats| stats.bounds(&column.path, &data_type)).unwrap_or_default();
                prop_assert_eq!(quick, slow, "{:?} of {}", column.path, text);
            }
        }
        prop_assert_eq!(parsed.num_records(3), None);
    }
}
