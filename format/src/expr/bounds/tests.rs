//! Exactness on cases worked out by hand, soundness against row-by-row answers on random data.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, DictionaryArray, Float32Array,
    Float64Array, Int8Array, Int64Array, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType as ArrowType, Field, Fields};
use proptest::prelude::*;

use super::*;
use crate::expr::evaluate;

struct Known(HashMap<ColumnPath, ColumnBounds>);

impl BoundsSource for Known {
    fn bounds(&self, column: &ColumnPath) -> Option<ColumnBounds> {
        self.0.get(column).cloned()
    }
}

fn column(name: &str) -> ColumnPath {
    ColumnPath(name.split('.').map(str::to_owned).collect())
}

fn known(min: Scalar, max: Scalar, null_count: i64, num_records: i64) -> Known {
    let of = |value: Scalar| Some(value).filter(|value| !value.is_null());
    let bounds =
        ColumnBounds { min: of(min), max: of(max), null_count: Some(null_count), num_records: Some(num_records) };
    Known(HashMap::from([(column("c"), bounds)]))
}

fn longs(min: i64, max: i64, nulls: i64) -> Known {
    known(Scalar::Long(min), Scalar::Long(max), nulls, 10)
}

fn doubles(min: f64, max: f64) -> Known {
    known(Scalar::Double(min), Scalar::Double(max), 0, 10)
}

fn is(op: CompareOp, value: Scalar) -> Predicate {
    Predicate::Compare { column: column("c"), op, value }
}

fn not(predicate: Predicate) -> Predicate {
    Predicate::Not(Box::new(predicate))
}

use CompareOp::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
use Verdict::{AllTrue, NoneTrue, Unknown};

#[test]
fn bounds_without_nulls_decide() {
    let source = longs(5, 9, 0);
    for (op, below, at_min, inside, at_max, above) in [
        (Eq, NoneTrue, Unknown, Unknown, Unknown, NoneTrue),
        (NotEq, AllTrue, Unknown, Unknown, Unknown, AllTrue),
        (Lt, NoneTrue, NoneTrue, Unknown, Unknown, AllTrue),
        (LtEq, NoneTrue, Unknown, Unknown, AllTrue, AllTrue),
        (Gt, AllTrue, Unknown, Unknown, NoneTrue, NoneTrue),
        (GtEq, AllTrue, AllTrue, Unknown, Unknown, NoneTrue),
    ] {
        let verdicts = [4, 5, 7, 9, 10].map(|value| judge(&is(op, Scalar::Long(value)), &source));
        assert_eq!(verdicts, [below, at_min, inside, at_max, above], "{op:?}");
    }
    let constant = longs(5, 5, 0);
    assert_eq!(judge(&is(Eq, Scalar::Long(5)), &constant), AllTrue);
    assert_eq!(judge(&is(NotEq, Scalar::Long(5)), &constant), NoneTrue);
}

#[test]
fn nulls_forbid_all_true_and_keep_none_true_under_not() {
    let source = longs(5, 9, 3);
    assert_eq!(judge(&is(Gt, Scalar::Long(1)), &source), Unknown);
    assert_eq!(judge(&is(Gt, Scalar::Long(20)), &source), NoneTrue);
    assert_eq!(judge(&not(is(Gt, Scalar::Long(20))), &source), Unknown, "null rows do not pass");
    assert_eq!(judge(&not(is(Gt, Scalar::Long(1))), &source), NoneTrue);
    let all_null = known(Scalar::Null, Scalar::Null, 10, 10);
    for predicate in [is(Eq, Scalar::Long(1)), not(is(Eq, Scalar::Long(1)))] {
        assert_eq!(judge(&predicate, &all_null), NoneTrue);
    }
    assert_eq!(judge(&Predicate::IsNull(column("c")), &all_null), AllTrue);
    assert_eq!(judge(&Predicate::IsNotNull(column("c")), &all_null), NoneTrue);
    assert_eq!(judge(&Predicate::IsNull(column("c")), &source), Unknown);
    assert_eq!(judge(&Predicate::IsNull(column("c")), &longs(1, 2, 0)), NoneTrue);
}

#[test]
fn sets_and_joins() {
    let source = longs(5, 9, 0);
    let within = |values: &[i64]| Predicate::In {
        column: column("c"),
        values: values.iter().copied().map(Scalar::Long).collect(),
    };
    assert_eq!(judge(&within(&[1, 2, 20]), &source), NoneTrue);
    assert_eq!(judge(&within(&[1, 6]), &source), Unknown);
    assert_eq!(judge(&within(&[5, 1]), &longs(5, 5, 0)), AllTrue);
    assert_eq!(judge(&not(within(&[1, 20])), &source), AllTrue);
    assert_eq!(judge(&within(&[]), &source), NoneTrue);
    let with_null = Predicate::In { column: column("c"), values: vec![Scalar::Long(1), Scalar::Null] };
    assert_eq!(judge(&not(with_null), &source), NoneTrue, "NOT IN with a null is never true");
    let (yes, no) = (is(Gt, Scalar::Long(1)), is(Gt, Scalar::Long(20)));
    assert_eq!(judge(&Predicate::And(vec![yes.clone(), no.clone()]), &source), NoneTrue);
    assert_eq!(judge(&Predicate::Or(vec![no, yes]), &source), AllTrue);
    assert_eq!(judge(&Predicate::And(vec![]), &source), AllTrue);
    assert_eq!(judge(&Predicate::Or(vec![]), &source), NoneTrue);
    assert_eq!(judge(&is(Eq, Scalar::Null), &source), NoneTrue);
}

#[test]
fn floats_may_hide_nan_and_two_zeros() {
    let source = doubles(1.0, 5.0);
    assert_eq!(judge(&is(Gt, Scalar::Double(9.0)), &source), Unknown);
    assert_eq!(judge(&is(GtEq, Scalar::Double(9.0)), &source), Unknown);
    assert_eq!(judge(&is(LtEq, Scalar::Double(9.0)), &source), Unknown);
    assert_eq!(judge(&is(Lt, Scalar::Double(1.0)), &source), NoneTrue);
    assert_eq!(judge(&is(GtEq, Scalar::Double(1.0)), &source), AllTrue);
    assert_eq!(judge(&is(Eq, Scalar::Double(9.0)), &source), NoneTrue);
    assert_eq!(judge(&is(NotEq, Scalar::Double(9.0)), &source), AllTrue);
    for op in [Eq, NotEq, Lt, LtEq, Gt, GtEq] {
        assert_eq!(judge(&is(op, Scalar::Double(f64::NAN)), &source), Unknown);
        assert_eq!(judge(&is(op, Scalar::Double(3.0)), &doubles(f64::NAN, f64::NAN)), Unknown);
        assert_eq!(judge(&is(op, Scalar::Double(3.0)), &doubles(f64::NEG_INFINITY, f64::INFINITY)), Unknown);
        for (a, b) in [(0.0, -0.0), (-0.0, 0.0), (0.0, 0.0), (-0.0, -0.0)] {
            assert_eq!(judge(&is(op, Scalar::Double(a)), &doubles(b, b)), Unknown, "{op:?} {a:?} {b:?}");
        }
    }
}

#[test]
fn doubtful_bounds_prove_nothing() {
    for source in [
        longs(9, 5, 0),
        known(Scalar::Long(1), Scalar::String("z".into()), 0, 10),
        known(Scalar::String("a".into()), Scalar::String("b".into()), 0, 10),
        known(Scalar::Long(5), Scalar::Long(9), 0, 0),
        Known(HashMap::new()),
    ] {
        assert_eq!(judge(&is(Gt, Scalar::Long(6)), &source), Unknown);
    }
    let counts = |null_count, num_records| {
        Known(HashMap::from([(column("c"), ColumnBounds { null_count, num_records, ..Default::default() })]))
    };
    for source in [counts(Some(5), None), counts(None, Some(5)), counts(Some(4), Some(5)), counts(Some(0), Some(0))] {
        assert_eq!(judge(&Predicate::IsNull(column("c")), &source), Unknown);
    }
}

#[test]
fn constants_are_exact() {
    let of = |value| Known(HashMap::from([(column("c"), ColumnBounds::constant(value))]));
    assert_eq!(judge(&is(Eq, Scalar::String("a".into())), &of(Scalar::String("a".into()))), AllTrue);
    assert_eq!(judge(&is(Eq, Scalar::Boolean(true)), &of(Scalar::Boolean(false))), NoneTrue);
    assert_eq!(judge(&is(Eq, Scalar::String("a".into())), &of(Scalar::Null)), NoneTrue);
    assert_eq!(judge(&Predicate::IsNull(column("c")), &of(Scalar::Null)), AllTrue);
    assert_eq!(judge(&Predicate::IsNull(column("c")), &of(Scalar::Long(1))), NoneTrue);
}

#[test]
fn a_predicate_of_any_depth_has_an_answer() {
    let mut deep = is(Gt, Scalar::Long(20));
    for _ in 0..5_000 {
        deep = not(Predicate::And(vec![deep, Predicate::Literal(true)]));
    }
    assert_eq!(judge(&deep, &longs(5, 9, 0)), NoneTrue);
}

// Random data: one column of each kind, values from small sets so that literals hit them.

const DOUBLES: [f64; 9] = [0.0, -0.0, 1.5, -1.5, 7.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300];
const COLUMNS: [&str; 9] = ["i", "d", "f", "s", "t", "p", "b", "st.x", "y"];

fn value_of(name: &str, pick: usize) -> Scalar {
    let small = i64::try_from(pick % 9).unwrap() - 4;
    match name {
        "i" => Scalar::Long(small * 31),
        "st.x" => Scalar::Long(small),
        "d" => Scalar::Double(DOUBLES[pick % 9]),
        // The largest one would be infinite.
        "f" => Scalar::Float(DOUBLES[pick % 8] as f32),
        "s" => Scalar::String(["", "a", "ab", "b", "é", "z\u{10FFFF}"][pick % 6].to_owned()),
        "t" => Scalar::Timestamp(small * 500),
        "p" => Scalar::Decimal { unscaled: i128::from(small) * 50, precision: 6, scale: 2 },
        "b" => Scalar::Boolean(pick.is_multiple_of(2)),
        _ => Scalar::Binary(vec![u8::try_from(pick % 3).unwrap(); pick % 2]),
    }
}

/// A literal: mostly a value of the column, sometimes null, of another scale, or beyond the column's range.
fn literal_of(name: &str, pick: usize) -> Scalar {
    match (name, pick % 11) {
        (_, 0) => Scalar::Null,
        ("i", 1) => Scalar::Long(1000),
        ("i", 2) => Scalar::Long(-1000),
        ("p", 1) => Scalar::Decimal { unscaled: 505, precision: 9, scale: 3 },
        ("p", 2) => Scalar::Decimal { unscaled: -5, precision: 38, scale: 1 },
        ("p", 3) => Scalar::Decimal { unscaled: i128::MAX, precision: 38, scale: 0 },
        ("p", 4) => Scalar::Decimal { unscaled: -7, precision: 38, scale: 38 },
        _ => value_of(name, pick / 11),
    }
}

type Row = Vec<Option<usize>>;

fn value_in(row: &Row, name: &str) -> Scalar {
    let at = COLUMNS.iter().position(|column| *column == name).unwrap();
    row[at].map_or(Scalar::Null, |pick| value_of(name, pick))
}

macro_rules! array {
    ($rows:expr, $name:expr, $array:ty, $pattern:pat => $value:expr) => {
        <$array>::from_iter($rows.iter().map(|row| match value_in(row, $name) {
            $pattern => Some($value),
            _ => None,
        }))
    };
}

fn batch_of(rows: &[Row]) -> RecordBatch {
    let x = array!(rows, "st.x", Int64Array, Scalar::Long(v) => v);
    // Where the field is null, every second time because the struct around it is: with a value beneath.
    let outer: Vec<bool> = (0..rows.len()).map(|i| x.is_valid(i) || i % 2 == 0).collect();
    let beneath = Int64Array::from_iter(
        (0..rows.len()).map(|i| if outer[i] { x.is_valid(i).then(|| x.value(i)) } else { Some(7) }),
    );
    let fields = Fields::from(vec![Field::new("x", ArrowType::Int64, true)]);
    let st = StructArray::new(fields, vec![Arc::new(beneath)], Some(NullBuffer::from(outer)));
    let text = array!(rows, "s", StringArray, Scalar::String(v) => v);
    let text: DictionaryArray<arrow_array::types::Int32Type> = text.iter().collect();
    let decimals = array!(rows, "p", Decimal128Array, Scalar::Decimal { unscaled, .. } => unscaled);
    let micros = array!(rows, "t", TimestampMicrosecondArray, Scalar::Timestamp(v) => v);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(array!(rows, "i", Int8Array, Scalar::Long(v) => i8::try_from(v).unwrap()))),
        ("d", Arc::new(array!(rows, "d", Float64Array, Scalar::Double(v) => v))),
        ("f", Arc::new(array!(rows, "f", Float32Array, Scalar::Float(v) => v))),
        ("S", Arc::new(text)),
        ("t", Arc::new(micros.with_timezone("UTC"))),
        ("p", Arc::new(decimals.with_precision_and_scale(6, 2).unwrap())),
        ("b", Arc::new(array!(rows, "b", BooleanArray, Scalar::Boolean(v) => v))),
        ("st", Arc::new(st)),
        ("y", Arc::new(array!(rows, "y", BinaryArray, Scalar::Binary(v) => v))),
        ("z", Arc::new(Date32Array::from(vec![0; rows.len()]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Bounds of the rows, NaN left out; `forget` leaves out parts of them.
fn bounds_of(rows: &[Row], name: &str, forget: u8) -> ColumnBounds {
    let values: Vec<Scalar> = rows.iter().map(|row| value_in(row, name)).collect();
    let mut present: Vec<&Scalar> = values.iter().filter(|value| !value.is_null() && !is_nan(value)).collect();
    present.sort_by(|a, b| compare(a, b).unwrap());
    let count = |n: usize| Some(i64::try_from(n).unwrap());
    let keep = |bit: u8| forget & bit == 0;
    ColumnBounds {
        min: present.first().copied().cloned().filter(|_| keep(1)),
        max: present.last().copied().cloned().filter(|_| keep(2)),
        null_count: count(values.iter().filter(|value| value.is_null()).count()).filter(|_| keep(4)),
        num_records: count(rows.len()).filter(|_| keep(8)),
    }
}

/// One row's answer, straight from the definitions. `total` orders floats as IEEE's total order does.
fn by_hand(predicate: &Predicate, row: &Row, total: bool) -> Option<bool> {
    let order = |a: &Scalar, b: &Scalar| match (a, b) {
        (Scalar::Double(a), Scalar::Double(b)) if total => Some(a.total_cmp(b)),
        (Scalar::Float(a), Scalar::Float(b)) if total => Some(a.total_cmp(b)),
        _ => compare(a, b),
    };
    let holds = |column: &ColumnPath, op: CompareOp, value: &Scalar| {
        order(&value_in(row, &column.to_string()), value).map(|order| match op {
            Eq => order.is_eq(),
            NotEq => order.is_ne(),
            Lt => order.is_lt(),
            LtEq => order.is_le(),
            Gt => order.is_gt(),
            GtEq => order.is_ge(),
        })
    };
    let join = |answers: Vec<Option<bool>>, strong: bool| {
        if answers.contains(&Some(strong)) {
            return Some(strong);
        }
        if answers.contains(&None) { None } else { Some(!strong) }
    };
    match predicate {
        Predicate::Literal(answer) => Some(*answer),
        Predicate::Compare { column, op, value } => holds(column, *op, value),
        Predicate::In { column, values } => join(values.iter().map(|value| holds(column, Eq, value)).collect(), true),
        Predicate::IsNull(column) => Some(value_in(row, &column.to_string()).is_null()),
        Predicate::IsNotNull(column) => Some(!value_in(row, &column.to_string()).is_null()),
        Predicate::And(parts) => join(parts.iter().map(|part| by_hand(part, row, total)).collect(), false),
        Predicate::Or(parts) => join(parts.iter().map(|part| by_hand(part, row, total)).collect(), true),
        Predicate::Not(inner) => by_hand(inner, row, total).map(|answer| !answer),
    }
}

fn any_leaf() -> impl Strategy<Value = Predicate> {
    let op = prop::sample::select(vec![Eq, NotEq, Lt, LtEq, Gt, GtEq]);
    let name = || prop::sample::select(COLUMNS.to_vec());
    prop_oneof![
        6 => (name(), op, 0_usize..200).prop_map(|(name, op, pick)| Predicate::Compare {
            column: column(name),
            op,
            value: literal_of(name, pick),
        }),
        2 => (name(), prop::collection::vec(0_usize..200, 0..4)).prop_map(|(name, picks)| Predicate::In {
            column: column(name),
            values: picks.into_iter().map(|pick| literal_of(name, pick)).collect(),
        }),
        1 => name().prop_map(|name| Predicate::IsNull(column(name))),
        1 => name().prop_map(|name| Predicate::IsNotNull(column(name))),
        1 => any::<bool>().prop_map(Predicate::Literal),
    ]
}

fn any_predicate() -> impl Strategy<Value = Predicate> {
    any_leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::Or),
            inner.prop_map(not),
        ]
    })
}

fn any_rows() -> impl Strategy<Value = Vec<Row>> {
    // Few distinct values in a file make verdicts other than "unknown" likely.
    let cell = prop_oneof![1 => Just(None), 3 => (0_usize..18).prop_map(Some)];
    let row = prop::collection::vec(cell, COLUMNS.len());
    let mixed = prop::collection::vec(row.clone(), 1..6);
    let alike = (row, 1_usize..4).prop_map(|(row, times)| vec![row; times]);
    prop_oneof![mixed, alike]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn verdicts_and_batches_agree_with_the_rows(
        rows in any_rows(),
        predicate in any_predicate(),
        forget in prop::collection::vec(prop_oneof![2 => Just(0_u8), 1 => 0_u8..16], COLUMNS.len()),
    ) {
        let answers = evaluate(&predicate, &batch_of(&rows)).unwrap();
        prop_assert_eq!(answers.len(), rows.len());
        for (i, row) in rows.iter().enumerate() {
            let answer = answers.is_valid(i).then(|| answers.value(i));
            prop_assert_eq!(answer, by_hand(&predicate, row, false), "row {} {:?}", i, row);
        }
        let bounds = COLUMNS.iter().zip(&forget).map(|(name, forget)| (column(name), bounds_of(&rows, name, *forget)));
        let verdict = judge(&predicate, &Known(bounds.collect()));
        for row in &rows {
            for total in [false, true] {
                let passes = by_hand(&predicate, row, total) == Some(true);
                prop_assert!(verdict != NoneTrue || !passes, "skipped a row that passes, total {}: {:?}", total, row);
                prop_assert!(verdict != AllTrue || passes, "kept a row that does not pass, total {}: {:?}", total, row);
            }
        }
    }
}

/// The property above would hold of a judge that never knows; this one must often know.
#[test]
fn verdicts_are_often_definite() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut definite = HashMap::from([(AllTrue, 0), (NoneTrue, 0), (Unknown, 0)]);
    for _ in 0..1000 {
        let rows = any_rows().new_tree(&mut runner).unwrap().current();
        let predicate = any_leaf().new_tree(&mut runner).unwrap().current();
        let bounds = COLUMNS.iter().map(|name| (column(name), bounds_of(&rows, name, 0))).collect();
        *definite.entry(judge(&predicate, &Known(bounds))).or_default() += 1;
    }
    assert!(definite[&AllTrue] > 100 && definite[&NoneTrue] > 100, "{definite:?}");
}
