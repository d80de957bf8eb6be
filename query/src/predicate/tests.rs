//! What is translated, and that pushing it down never changes an answer.

use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, try_cast};
use datafusion::prelude::{SessionConfig, SessionContext, col, lit};
use datafusion::scalar::ScalarValue;
use lake_format::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use lake_format::schema::from_arrow;
use lake_format::transaction::LogCommitter;
use lake_format::{AppendOptions, CreateOptions, Input, SystemClock, Table, TableRoot, WriteOutcome};
use proptest::prelude::*;

use super::{Translated, show, translate};
use crate::LakeTableProvider;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("p", DataType::Int32, true),
        Field::new("i", DataType::Int32, true),
        Field::new("s", DataType::Utf8, true),
        Field::new("f", DataType::Float64, true),
        Field::new("b", DataType::Boolean, true),
        Field::new("d", DataType::Date32, true),
        Field::new("t", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), true),
        Field::new("c", DataType::Decimal128(10, 2), true),
    ]))
}

fn of(expr: &Expr) -> Option<Translated> {
    translate(expr, &schema())
}

fn compared(column: &str, op: CompareOp, value: Scalar) -> Predicate {
    Predicate::Compare { column: ColumnPath::top(column), op, value }
}

#[track_caller]
fn exact(expr: Expr, predicate: Predicate) {
    assert_eq!(of(&expr), Some(Translated { predicate, exact: true }), "{expr}");
}

#[track_caller]
fn rough(expr: Expr, predicate: Predicate) {
    assert_eq!(of(&expr), Some(Translated { predicate, exact: false }), "{expr}");
}

#[test]
fn comparisons_are_exact_whichever_side_the_column_is_on() {
    exact(col("i").gt(lit(5_i32)), compared("i", CompareOp::Gt, Scalar::Long(5)));
    exact(lit(5_i32).gt(col("i")), compared("i", CompareOp::Lt, Scalar::Long(5)));
    exact(cast(col("i"), DataType::Int64).eq(lit(1_i64 << 40)), compared("i", CompareOp::Eq, Scalar::Long(1 << 40)));
    exact(col("s").not_eq(lit("x")), compared("s", CompareOp::NotEq, Scalar::String("x".into())));
    exact(!col("s").not_eq(lit("x")), compared("s", CompareOp::Eq, Scalar::String("x".into())));
    exact(col("b"), compared("b", CompareOp::Eq, Scalar::Boolean(true)));
    exact(!col("b"), compared("b", CompareOp::Eq, Scalar::Boolean(false)));
    exact(col("i").eq(lit(ScalarValue::Int32(None))), compared("i", CompareOp::Eq, Scalar::Null));
    let nanos = lit(ScalarValue::TimestampNanosecond(Some(7_000), None));
    let widened = cast(col("t"), DataType::Timestamp(TimeUnit::Nanosecond, None));
    exact(widened.gt_eq(nanos), compared("t", CompareOp::GtEq, Scalar::Timestamp(7)));
    let five = lit(ScalarValue::Decimal128(Some(50_000), 14, 4));
    let wide = cast(col("c"), DataType::Decimal128(14, 4));
    exact(wide.lt(five), compared("c", CompareOp::Lt, Scalar::Decimal { unscaled: 50_000, precision: 14, scale: 4 }));
}

#[test]
fn floats_are_only_narrowed() {
    rough(col("f").gt(lit(1.5)), compared("f", CompareOp::GtEq, Scalar::Double(1.5)));
    rough(!col("f").gt_eq(lit(1.5)), compared("f", CompareOp::LtEq, Scalar::Double(1.5)));
    rough(col("f").not_eq(lit(1.5)), Predicate::IsNotNull(ColumnPath::top("f")));
    rough(col("f").lt(lit(f64::NAN)), Predicate::IsNotNull(ColumnPath::top("f")));
    rough(col("f").in_list(vec![lit(1.5)], true), Predicate::IsNotNull(ColumnPath::top("f")));
}

#[test]
fn what_has_no_counterpart_is_left_to_the_engine() {
    for expr in [
        col("i").eq(col("p")),
        (col("i") % lit(2_i32)).eq(lit(0_i32)),
        cast(col("i"), DataType::Int16).eq(lit(1_i16)),
        cast(col("i"), DataType::Float64).gt(lit(1.5)),
        cast(col("t"), DataType::Timestamp(TimeUnit::Second, None))
            .eq(lit(ScalarValue::TimestampSecond(Some(1), None))),
        cast(col("t"), DataType::Timestamp(TimeUnit::Nanosecond, Some("+02:00".into())))
            .eq(lit(ScalarValue::TimestampNanosecond(Some(1_000), Some("+02:00".into()))))
            .and(col("i").eq(col("p"))),
        try_cast(col("s"), DataType::Int32).eq(lit(1_i32)),
        col("i").eq(lit(1_i32)).or(col("i").eq(col("p"))),
    ] {
        let found = of(&expr);
        assert!(found.is_none() || expr.to_string().contains("+02:00"), "{expr}: {found:?}");
    }
    let half = col("i").eq(lit(1_i32)).and(col("i").eq(col("p")));
    rough(half, compared("i", CompareOp::Eq, Scalar::Long(1)));
    assert!(of(&!col("i").eq(lit(1_i32)).and(col("i").eq(col("p")))).is_none());
}

#[test]
fn prefixes_become_ranges_and_long_lists_too() {
    let prefix = Predicate::And(vec![
        compared("s", CompareOp::GtEq, Scalar::String("ab".into())),
        compared("s", CompareOp::Lt, Scalar::String("ac".into())),
    ]);
    rough(col("s").like(lit("ab%")), prefix);
    rough(col("s").like(lit("%b")), Predicate::IsNotNull(ColumnPath::top("s")));
    rough(
        col("s").like(lit("a\u{10FFFF}%")),
        Predicate::And(vec![
            compared("s", CompareOp::GtEq, Scalar::String("a\u{10FFFF}".into())),
            compared("s", CompareOp::Lt, Scalar::String("b".into())),
        ]),
    );
    assert!(of(&col("s").not_like(lit("ab%"))).is_none());
    let many: Vec<Expr> = (0..200).map(|value| lit(value * 3)).collect();
    let range = Predicate::And(vec![
        compared("i", CompareOp::GtEq, Scalar::Long(0)),
        compared("i", CompareOp::LtEq, Scalar::Long(597)),
    ]);
    rough(col("i").in_list(many, false), range);
}

#[test]
fn predicates_are_shown_as_sql() {
    let text = |expr: Expr| show(&of(&expr).unwrap().predicate);
    assert_eq!(
        text(col("i").gt(lit(5_i32)).and(col("s").eq(lit("it's")).or(col("b")))),
        "i > 5 AND (s = 'it''s' OR b = true)"
    );
    assert_eq!(text(col("d").lt_eq(lit(ScalarValue::Date32(Some(20_484))))), "d <= 2026-01-31");
    assert_eq!(text(col("i").in_list((0..9).map(lit).collect(), true)), "NOT (i IN (0, 1, 2, 3, 4, …))");
    assert!(text(col("s").eq(lit("x".repeat(9_999)))).chars().count() < 500);
}

/// One row of the property test.
type Row = (Option<i32>, Option<i32>, Option<u8>, Option<u8>, Option<bool>, Option<i32>, Option<i64>, Option<i16>);

const TEXTS: [&str; 6] = ["", "a", "ab", "abc", "b", "é"];
const FLOATS: [f64; 9] =
    [0.0, -0.0, 1.5, -1.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, 9_007_199_254_740_993.0];

fn pick<T: Copy>(values: &[T], at: u8) -> T {
    values[usize::from(at) % values.len()]
}

fn batch(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.0).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| row.1).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| row.2.map(|at| pick(&TEXTS, at))).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.3.map(|at| pick(&FLOATS, at))).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.4).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| row.5).collect::<Date32Array>()),
        Arc::new(rows.iter().map(|row| row.6).collect::<TimestampMicrosecondArray>().with_timezone("UTC")),
        Arc::new(
            rows.iter()
                .map(|row| row.7.map(i128::from))
                .collect::<Decimal128Array>()
                .with_precision_and_scale(10, 2)
                .unwrap(),
        ),
    ];
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn row() -> impl Strategy<Value = Row> {
    let small = || proptest::option::weighted(0.85, -3_i32..4);
    (
        small(),
        small(),
        proptest::option::weighted(0.85, any::<u8>()),
        proptest::option::weighted(0.85, any::<u8>()),
        proptest::option::weighted(0.85, any::<bool>()),
        small(),
        proptest::option::weighted(0.85, -3_i64..4),
        proptest::option::weighted(0.85, -300_i16..400),
    )
}

/// A column and literals of its type, some of another one that the engine brings together.
fn column_and_values() -> impl Strategy<Value = (Expr, Vec<Expr>)> {
    let whole = -4_i32..5;
    prop_oneof![
        (prop_oneof![Just("p"), Just("i")], proptest::collection::vec(whole.clone(), 1..5), 0..4_u8).prop_map(
            |(name, values, form)| {
                let column = if form == 1 { cast(col(name), DataType::Int64) } else { col(name) };
                let literal = |value: i32| match form {
                    1 => lit(i64::from(value)),
                    2 => lit(f64::from(value) + 0.5),
                    3 => lit(ScalarValue::Decimal128(Some(i128::from(value) * 5), 5, 1)),
                    _ => lit(value),
                };
                (column, values.into_iter().map(literal).collect())
            }
        ),
        proptest::collection::vec(any::<u8>(), 1..5)
            .prop_map(|values| (col("s"), values.into_iter().map(|at| lit(pick(&TEXTS, at))).collect())),
        proptest::collection::vec(any::<u8>(), 1..5)
            .prop_map(|values| (col("f"), values.into_iter().map(|at| lit(pick(&FLOATS, at))).collect())),
        proptest::collection::vec(any::<bool>(), 1..3)
            .prop_map(|values| (col("b"), values.into_iter().map(lit).collect())),
        proptest::collection::vec(whole, 1..5).prop_map(|values| (
            col("d"),
            values.into_iter().map(|days| lit(ScalarValue::Date32(Some(days)))).collect()
        )),
        (proptest::collection::vec(-4_000_i64..5_000, 1..5), 0..3_u8).prop_map(|(values, form)| {
            let literal = |value: i64| match form {
                0 => lit(ScalarValue::TimestampMicrosecond(Some(value / 1_000), Some("UTC".into()))),
                1 => lit(ScalarValue::TimestampNanosecond(Some(value), None)),
                _ => lit(ScalarValue::TimestampNanosecond(Some(value / 1_000 * 1_000), Some("+00:00".into()))),
            };
            (col("t"), values.into_iter().map(literal).collect())
        }),
        (proptest::collection::vec(-400_i64..500, 1..5), 0..3_u8).prop_map(|(values, form)| {
            let literal = |value: i64| match form {
                0 => lit(ScalarValue::Decimal128(Some(value.into()), 10, 2)),
                1 => lit(ScalarValue::Decimal128(Some(i128::from(value) * 5), 12, 3)),
                _ => lit(value / 100),
            };
            (col("c"), values.into_iter().map(literal).collect())
        }),
    ]
}

fn leaf() -> impl Strategy<Value = Expr> {
    let operator = prop_oneof![
        Just(Operator::Eq),
        Just(Operator::NotEq),
        Just(Operator::Lt),
        Just(Operator::LtEq),
        Just(Operator::Gt),
        Just(Operator::GtEq),
        Just(Operator::IsDistinctFrom),
        Just(Operator::IsNotDistinctFrom),
    ];
    let compared = (column_and_values(), operator, any::<bool>()).prop_map(|((column, values), op, swapped)| {
        let value = values[0].clone();
        if swapped { binary_expr(value, op, column) } else { binary_expr(column, op, value) }
    });
    let named = prop_oneof![Just("p"), Just("i"), Just("s"), Just("f"), Just("b"), Just("d"), Just("t"), Just("c")];
    prop_oneof![
        6 => compared,
        2 => (column_and_values(), any::<bool>(), any::<bool>()).prop_map(|((column, mut values), negated, with_null)| {
            if with_null {
                values.push(lit(ScalarValue::Null));
            }
            column.in_list(values, negated)
        }),
        1 => (column_and_values(), any::<bool>()).prop_map(|((column, values), negated)| {
            let (low, high) = (values[0].clone(), values[values.len() - 1].clone());
            if negated { column.not_between(low, high) } else { column.between(low, high) }
        }),
        1 => (named, any::<bool>()).prop_map(|(name, null)| if null { col(name).is_null() } else { col(name).is_not_null() }),
        1 => (prop_oneof![Just("a%"), Just("ab_"), Just("%b%"), Just("ab"), Just("é%"), Just("")], any::<bool>())
            .prop_map(|(pattern, negated)| if negated { col("s").not_like(lit(pattern)) } else { col("s").like(lit(pattern)) }),
        1 => Just(col("b")),
        1 => Just(col("i").lt(col("p"))),
        1 => Just((col("i") * lit(2_i32)).gt(col("p"))),
    ]
}

fn expression() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.and(b)),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| a.or(b)),
            inner.clone().prop_map(|a| !a),
            inner.clone().prop_map(Expr::is_true),
            inner.clone().prop_map(Expr::is_not_true),
            inner.clone().prop_map(Expr::is_false),
            inner.prop_map(Expr::is_unknown),
        ]
    })
}

/// A table of several files, partitioned by `p` when asked for.
async fn table(batches: &[RecordBatch], partitioned: bool) -> LakeTableProvider {
    let root = TableRoot::in_memory("t").unwrap();
    let columns = from_arrow(&schema()).unwrap();
    let partition_columns = if partitioned { vec!["p".to_owned()] } else { Vec::new() };
    let options = CreateOptions { schema: columns, partition_columns, ..CreateOptions::default() };
    let clock = SystemClock::shared();
    Table::create(&root, &clock, Arc::new(LogCommitter), options, None).await.unwrap();
    let mut table = Table::open(root, clock).await.unwrap();
    for batch in batches {
        let input = Input::from_batches(schema(), vec![batch.clone()]);
        let outcome = table.append(&AppendOptions::default(), input).await.unwrap();
        assert!(matches!(outcome, WriteOutcome::Committed(..)));
    }
    LakeTableProvider::new(Arc::clone(table.snapshot())).unwrap()
}

async fn answer(provider: Arc<dyn TableProvider>, filter: &Expr) -> Result<Vec<String>, String> {
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    let frame = session.read_table(provider).and_then(|frame| frame.filter(filter.clone()));
    let batches = match frame {
        Ok(frame) => frame.collect().await,
        Err(error) => Err(error),
    };
    let batches = batches.map_err(|error| error.strip_backtrace())?;
    let shown = pretty_format_batches(&batches).unwrap().to_string();
    // The first line names the columns, if there was a batch at all, with rows or without.
    let lines: Vec<String> = shown.lines().filter(|line| line.starts_with('|')).skip(1).map(str::to_owned).collect();
    // Columns are as wide as their widest value: only the values count.
    let mut lines: Vec<String> =
        lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    lines.sort_unstable();
    Ok(lines)
}

fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// The same filter over the same rows, once with everything pushed down and once with nothing.
    #[test]
    fn pushing_down_never_changes_an_answer(
        files in proptest::collection::vec(proptest::collection::vec(row(), 0..6), 1..5),
        partitioned in any::<bool>(),
        filters in proptest::collection::vec(expression(), 6),
    ) {
        runtime().block_on(async {
            let batches: Vec<RecordBatch> = files.iter().map(|rows| batch(rows)).collect();
            let lake: Arc<dyn TableProvider> = Arc::new(table(&batches, partitioned).await);
            let memory: Arc<dyn TableProvider> = Arc::new(MemTable::try_new(schema(), vec![batches]).unwrap());
            for filter in &filters {
                let (pushed, plain) = (answer(Arc::clone(&lake), filter).await, answer(Arc::clone(&memory), filter).await);
                match (pushed, plain) {
                    (Ok(pushed), Ok(plain)) => assert_eq!(pushed, plain, "{filter}"),
                    (Err(_), Err(_)) => {}
                    (pushed, plain) => panic!("{filter}: {pushed:?} against {plain:?}"),
                }
            }
        });
    }
}
