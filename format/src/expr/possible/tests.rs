//! The quick look at bounds and the exact one, compared.

use std::sync::Arc;

use arrow_array::{ArrayRef, Date32Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray};
use proptest::prelude::*;

use super::*;
use crate::expr::{BoundsSource, ColumnBounds, Verdict, judge, scalar_at};

/// One row of the columns, as `judge` sees a file.
struct Row<'a>(&'a [(ColumnPath, BoundsColumn)], usize);

impl BoundsSource for Row<'_> {
    fn bounds(&self, path: &ColumnPath) -> Option<ColumnBounds> {
        let (_, column) = self.0.iter().find(|(name, _)| name == path)?;
        let value = |array: &Option<ArrayRef>| scalar_at(array.as_ref()?, self.1).filter(|value| !value.is_null());
        let count = |array: &Option<Int64Array>| {
            let array = array.as_ref()?;
            array.is_valid(self.1).then(|| array.value(self.1))
        };
        let widened = |value| match value {
            Scalar::Timestamp(micros) => Scalar::Timestamp(micros.saturating_add(column.max_slack)),
            other => other,
        };
        Some(ColumnBounds {
            min: value(&column.min),
            max: value(&column.max).map(widened),
            null_count: count(&column.null_count),
            num_records: count(&column.num_records),
        })
    }
}

const KINDS: [&str; 6] = ["long", "date", "time", "double", "text", "flag"];

fn number() -> impl Strategy<Value = i64> {
    prop_oneof![4 => -3_i64..3, 1 => Just(i64::MIN), 1 => Just(i64::MAX), 1 => Just(i64::MAX - 500)]
}

fn double_of(value: i64) -> f64 {
    match value {
        i64::MAX => f64::NAN,
        i64::MIN => f64::NEG_INFINITY,
        1 => -0.0,
        2 => 0.0,
        other => f64::from(i32::try_from(other).unwrap_or(9)) / 2.0,
    }
}

fn scalar(kind: &str, value: i64) -> Scalar {
    match kind {
        "long" => Scalar::Long(value),
        "date" => Scalar::Date(i32::try_from(value).unwrap_or(i32::MAX)),
        "time" => Scalar::Timestamp(value.saturating_mul(700)),
        "double" => Scalar::Double(double_of(value)),
        "flag" => Scalar::Boolean(value % 2 == 0),
        _ => Scalar::String(value.to_string()),
    }
}

fn array(kind: &str, values: &[Option<i64>]) -> ArrayRef {
    let each = values.iter().copied();
    match kind {
        "long" => Arc::new(each.collect::<Int64Array>()),
        "date" => {
            let days = each.map(|value| value.map(|value| i32::try_from(value).unwrap_or(i32::MAX)));
            Arc::new(days.collect::<Date32Array>())
        }
        "time" => {
            let micros = each.map(|value| value.map(|value| value.saturating_mul(700)));
            Arc::new(micros.collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        "double" => Arc::new(each.map(|value| value.map(double_of)).collect::<Float64Array>()),
        "flag" => Arc::new(each.map(|value| value.map(|value| value % 2 == 0)).collect::<BooleanArray>()),
        _ => Arc::new(each.map(|value| value.map(|value| value.to_string())).collect::<StringArray>()),
    }
}

fn ends() -> impl Strategy<Value = Vec<Option<i64>>> {
    prop::collection::vec(prop::option::weighted(0.8, number()), 9)
}

fn bounds(kind: &'static str) -> impl Strategy<Value = (ColumnPath, BoundsColumn)> {
    let counts = || prop::option::of(prop::collection::vec(prop::option::of(-1_i64..3), 9));
    let side = || prop::option::weighted(0.8, ends());
    (side(), side(), counts(), counts()).prop_map(move |(min, max, nulls, records)| {
        let column = BoundsColumn {
            min: min.map(|values| array(kind, &values)),
            max: max.map(|values| array(kind, &values)),
            max_slack: if kind == "time" { 1000 } else { 0 },
            null_count: nulls.map(|counts| counts.into_iter().collect()),
            num_records: records.map(|counts| counts.into_iter().collect()),
        };
        (ColumnPath::top(kind), column)
    })
}

fn predicate() -> impl Strategy<Value = Predicate> {
    let op = prop::sample::select(vec![
        CompareOp::Eq,
        CompareOp::NotEq,
        CompareOp::Lt,
        CompareOp::LtEq,
        CompareOp::Gt,
        CompareOp::GtEq,
    ]);
    let kind = || prop::sample::select(KINDS.to_vec());
    let leaf = prop_oneof![
        6 => (kind(), op, number()).prop_map(|(kind, op, value)| Predicate::Compare {
            column: ColumnPath::top(kind),
            op,
            value: scalar(kind, value)
        }),
        1 => kind().prop_map(|kind| Predicate::IsNull(ColumnPath::top(kind))),
        1 => kind().prop_map(|kind| Predicate::IsNotNull(ColumnPath::top(kind))),
        1 => (kind(), prop::collection::vec(number(), 0..3)).prop_map(|(kind, values)| Predicate::In {
            column: ColumnPath::top(kind),
            values: values.into_iter().map(|value| scalar(kind, value)).collect()
        }),
        1 => any::<bool>().prop_map(Predicate::Literal),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Predicate::Or),
            inner.prop_map(|inner| Predicate::Not(Box::new(inner))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// SCN-10: the look at all files rules out what `judge` rules out of each, and nothing else.
    #[test]
    fn all_files_at_once_are_judged_as_each_alone(
        columns in (
            bounds("long"), bounds("date"), bounds("time"), bounds("double"), bounds("text"), bounds("flag"),
        ),
        predicate in predicate(),
    ) {
        let columns = [columns.0, columns.1, columns.2, columns.3, columns.4, columns.5];
        let source = |path: &ColumnPath| columns.iter().find(|(name, _)| name == path).map(|(_, column)| column.clone());
        let quick = possible(&predicate, 9, &source);
        for row in 0..9 {
            let slow = judge(&predicate, &Row(&columns, row)) != Verdict::NoneTrue;
            prop_assert!(quick.files.value(row) || !slow, "row {row}");
            prop_assert!(!quick.is_exact || quick.files.value(row) == slow, "row {row} is not exact");
        }
    }
}

#[test]
fn plain_comparisons_rule_out_as_much_as_judge_does() {
    let values = |from: i64| (0..50).map(|at| Some(from + at % 7)).collect::<Vec<_>>();
    for kind in KINDS {
        let column = BoundsColumn {
            min: Some(array(kind, &values(10))),
            max: Some(array(kind, &values(12))),
            ..BoundsColumn::default()
        };
        let columns = [(ColumnPath::top(kind), column.clone())];
        for op in [CompareOp::Eq, CompareOp::NotEq, CompareOp::Lt, CompareOp::LtEq, CompareOp::Gt, CompareOp::GtEq] {
            for value in 9..20 {
                let predicate = Predicate::Compare { column: ColumnPath::top(kind), op, value: scalar(kind, value) };
                let quick = possible(&predicate, 50, &|_| Some(column.clone()));
                assert!(quick.is_exact, "{predicate:?}");
                for row in 0..50 {
                    let slow = judge(&predicate, &Row(&columns, row)) != Verdict::NoneTrue;
                    assert_eq!(quick.files.value(row), slow, "{predicate:?} in row {row}");
                }
            }
        }
    }
}
