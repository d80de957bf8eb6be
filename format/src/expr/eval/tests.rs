//! Answers on batches in unusual shapes, and what is refused. Random ones are compared in the tests of the bounds.

use arrow_array::types::{Int8Type, Int32Type};
use arrow_array::{
    Date64Array, Decimal32Array, DictionaryArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int32Array,
    Int64Array, ListArray, NullArray, RunArray, StringArray, StringViewArray, StructArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow_schema::{Field, Schema};

use super::*;
use crate::error::ErrorKind;

fn batch(column: impl Array + 'static) -> RecordBatch {
    RecordBatch::try_from_iter([("c", Arc::new(column) as ArrayRef)]).unwrap()
}

fn ask(batch: &RecordBatch, op: CompareOp, value: Scalar) -> Vec<Option<bool>> {
    evaluate(&Predicate::Compare { column: ColumnPath::top("c"), op, value }, batch).unwrap().iter().collect()
}

fn refused(batch: &RecordBatch, value: Scalar) -> ErrorKind {
    let predicate = Predicate::Compare { column: ColumnPath::top("c"), op: CompareOp::Eq, value };
    evaluate(&predicate, batch).unwrap_err().kind()
}

use CompareOp::{Eq, Gt, GtEq, Lt, LtEq, NotEq};

const NO: Option<bool> = Some(false);
const YES: Option<bool> = Some(true);

#[test]
fn encodings_do_not_matter() {
    let a = || Scalar::String("a".into());
    let words = vec![Some("a"), None, Some("b")];
    let dictionary: DictionaryArray<Int8Type> = words.clone().into_iter().collect();
    let runs = RunArray::try_new(&Int32Array::from(vec![1, 2, 3]), &StringArray::from(words.clone())).unwrap();
    // A dictionary whose null is a value, not a key.
    let keys = arrow_array::Int8Array::from(vec![0, 1, 2]);
    let inner_null = DictionaryArray::<Int8Type>::new(keys, Arc::new(StringArray::from(words.clone())));
    for batch in [
        batch(StringArray::from(words.clone())),
        batch(StringViewArray::from(words)),
        batch(dictionary),
        batch(runs),
        batch(inner_null),
    ] {
        assert_eq!(ask(&batch, Eq, a()), [YES, None, NO]);
        assert_eq!(ask(&batch, Gt, a()), [NO, None, YES]);
        let nulls = evaluate(&Predicate::IsNull(ColumnPath::top("c")), &batch).unwrap();
        assert_eq!(nulls.iter().collect::<Vec<_>>(), [NO, YES, NO]);
    }
    let numbers: DictionaryArray<Int32Type> =
        DictionaryArray::new(Int32Array::from(vec![0, 1]), Arc::new(Float64Array::from(vec![-0.0, f64::NAN])));
    assert_eq!(ask(&batch(numbers), Eq, Scalar::Double(0.0)), [YES, NO]);
    let fixed = FixedSizeBinaryArray::try_from_iter([[1_u8, 2], [3, 4]].into_iter()).unwrap();
    assert_eq!(ask(&batch(fixed), LtEq, Scalar::Binary(vec![1, 2, 0])), [YES, NO]);
}

#[test]
fn literals_beyond_the_column_compare_by_value() {
    let unsigned = batch(UInt64Array::from(vec![0, u64::MAX]));
    assert_eq!(ask(&unsigned, Gt, Scalar::Long(-1)), [YES, YES]);
    assert_eq!(ask(&unsigned, Gt, Scalar::Long(i64::MAX)), [NO, YES]);
    let seconds = batch(TimestampSecondArray::from(vec![-1, 0, 1]));
    assert_eq!(ask(&seconds, Lt, Scalar::TimestampNtz(-1)), [YES, NO, NO]);
    assert_eq!(ask(&seconds, GtEq, Scalar::TimestampNtz(1)), [NO, NO, YES]);
    assert_eq!(ask(&seconds, Eq, Scalar::TimestampNtz(1_000_000)), [NO, NO, YES]);
    let nanos = batch(TimestampNanosecondArray::from(vec![999, 1000, 1001]).with_timezone("UTC"));
    assert_eq!(ask(&nanos, GtEq, Scalar::Timestamp(1)), [NO, YES, YES]);
    assert_eq!(ask(&nanos, Lt, Scalar::Timestamp(i64::MAX)), [YES, YES, YES]);
    assert_eq!(ask(&batch(Date64Array::from(vec![0, 86_400_000])), Eq, Scalar::Date(1)), [NO, YES]);
    let decimals = batch(Decimal32Array::from(vec![100, 101]).with_precision_and_scale(9, 2).unwrap());
    assert_eq!(ask(&decimals, Gt, Scalar::Long(1)), [NO, YES]);
    let halves = Scalar::Decimal { unscaled: 5, precision: 2, scale: 1 };
    assert_eq!(ask(&batch(Int64Array::from(vec![0, 1])), NotEq, halves.clone()), [YES, YES]);
    assert_eq!(ask(&batch(Int64Array::from(vec![0, 1])), Lt, halves), [YES, NO]);
}

#[test]
fn floats_have_one_zero_and_one_nan() {
    let floats =
        batch(Float32Array::from(vec![Some(-0.0), Some(f32::NAN), Some(-f32::NAN), Some(f32::INFINITY), None]));
    assert_eq!(ask(&floats, Eq, Scalar::Float(0.0)), [YES, NO, NO, NO, None]);
    assert_eq!(ask(&floats, Lt, Scalar::Float(0.0)), [NO, NO, NO, NO, None]);
    assert_eq!(ask(&floats, Gt, Scalar::Float(f32::INFINITY)), [NO, YES, YES, NO, None]);
    assert_eq!(ask(&floats, Eq, Scalar::Float(-f32::NAN)), [NO, YES, YES, NO, None]);
    assert_eq!(ask(&floats, LtEq, Scalar::Double(1e300)), [YES, NO, NO, NO, None], "wider literals widen the column");
    assert_eq!(ask(&batch(Float64Array::from(vec![1.5])), Eq, Scalar::Float(1.5)), [YES]);
}

#[test]
fn columns_are_found_by_path_and_case() {
    let inner = StructArray::from(vec![(
        Arc::new(Field::new("City", ArrowType::Utf8, true)),
        Arc::new(StringArray::from(vec!["x"])) as ArrayRef,
    )]);
    let both = RecordBatch::try_from_iter([
        ("C", Arc::new(Int64Array::from(vec![1])) as ArrayRef),
        ("c", Arc::new(Int64Array::from(vec![2]))),
        ("Addr", Arc::new(inner)),
    ])
    .unwrap();
    assert_eq!(ask(&both, Eq, Scalar::Long(2)), [YES], "the exact name goes first");
    let at = |path: &[&str]| Predicate::IsNotNull(ColumnPath(path.iter().map(|name| (*name).to_owned()).collect()));
    assert!(evaluate(&at(&["addr", "city"]), &both).unwrap().value(0));
    assert!(evaluate(&at(&["addr"]), &both).unwrap().value(0));
    for path in [&["x"][..], &["addr", "x"], &["c", "x"], &[]] {
        assert_eq!(evaluate(&at(path), &both).unwrap_err().kind(), ErrorKind::NotFound, "{path:?}");
    }
}

#[test]
fn other_kinds_are_refused() {
    let longs = batch(Int64Array::from(vec![1]));
    for value in [Scalar::String("1".into()), Scalar::Double(1.0), Scalar::Boolean(true), Scalar::Date(1)] {
        assert_eq!(refused(&longs, value), ErrorKind::Invalid);
    }
    assert_eq!(refused(&batch(TimestampSecondArray::from(vec![1])), Scalar::Timestamp(1)), ErrorKind::Invalid);
    let lists = batch(ListArray::from_iter_primitive::<Int32Type, _, _>([Some([Some(1)])]));
    assert_eq!(refused(&lists, Scalar::Long(1)), ErrorKind::Invalid);
    assert!(!evaluate(&Predicate::IsNull(ColumnPath::top("c")), &lists).unwrap().value(0));
}

#[test]
fn nothing_and_no_rows() {
    let nulls = batch(NullArray::new(2));
    assert_eq!(ask(&nulls, Eq, Scalar::Long(1)), [None, None]);
    assert!(evaluate(&Predicate::IsNull(ColumnPath::top("c")), &nulls).unwrap().value(1));
    assert_eq!(ask(&batch(Int64Array::from(vec![1])), Eq, Scalar::Null), [None]);
    assert_eq!(ask(&batch(StringArray::from(Vec::<&str>::new())), Eq, Scalar::String("x".into())), []);
    let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(3));
    let bare = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    assert_eq!(evaluate(&Predicate::Literal(true), &bare).unwrap().true_count(), 3);
}

#[test]
fn a_predicate_of_any_depth_has_an_answer() {
    let mut deep = Predicate::Literal(true);
    for _ in 0..5_001 {
        deep = Predicate::Not(Box::new(Predicate::Or(vec![deep])));
    }
    assert_eq!(evaluate(&deep, &batch(Int64Array::from(vec![1]))).unwrap().iter().collect::<Vec<_>>(), [NO]);
}
