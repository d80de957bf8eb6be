//! Random tables of every type, written by Lake in small files, row groups and pages, some of their rows deleted.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat_batches, filter_record_batch};
use arrow::datatypes::{Field, Fields, Int32Type, Int64Type};
use futures::TryStreamExt;
use lake_format::action::{Action, DeletionVector, DeletionVectorDescriptor, Protocol};
use lake_format::operation::{CreateOptions, create};
use lake_format::protocol::TableProperties;
use lake_format::scan::{ReadOptions, ScanFile};
use lake_format::schema::parse_declaration;
use lake_format::transaction::{Base, LogCommitter, Operation, Outcome, Reads, Staged, transact};
use lake_format::write::{DataWriter, WriteContext};
use lake_format::{At, ScanRequest, Snapshot, SystemClock, TableRoot};
use lake_testkit::SplitMix64;

/// A table, and the rows that it must hold, by `id`.
pub struct Known {
    pub snapshot: Snapshot,
    pub rows: RecordBatch,
}

const COLUMNS: &str = "id long, flag boolean, i8 byte, i16 short, i32 int, i64 long, f32 float, f64 double, \
    text string, wide string, raw binary, day date, at timestamp, wall timestamp_ntz, d5 decimal(5,2), \
    d9 decimal(9,0), d18 decimal(18,4), d30 decimal(30,10), d38 decimal(38,38), \
    nested struct<x:int, y:string, z:struct<w:double>>, list array<int>, \
    p_text string, p_int int, p_day date, p_at timestamp, p_dec decimal(10,3), p_flag boolean";
const PARTITIONS: [&str; 6] = ["p_text", "p_int", "p_day", "p_at", "p_dec", "p_flag"];

/// How the values of a column follow each other.
#[derive(Clone, Copy)]
struct Shape {
    kind: u64,
    null_per_mille: u32,
    null_blocks: bool,
}

impl Shape {
    fn random(rng: &mut SplitMix64) -> Self {
        let null_per_mille = *rng.pick(&[0, 0, 30, 30, 500, 1_000]).unwrap_or(&0);
        let common = if null_per_mille == 1_000 { rng.chance(300) } else { true };
        let null_per_mille = if common { null_per_mille } else { 0 };
        Self { kind: rng.below(6), null_per_mille, null_blocks: rng.chance(300) }
    }

    fn values<T>(self, rng: &mut SplitMix64, rows: usize, make: impl Fn(&mut SplitMix64, i64) -> T) -> Vec<Option<T>> {
        let constant = rng.next_u64() as i64 >> 40;
        let one = |row: usize| {
            let i = row as i64;
            let number = match self.kind {
                0 => i - 1_000,
                1 => i / 97,
                2 => rng.below(20) as i64 - 10,
                3 => rng.next_u64() as i64 >> rng.below(60),
                4 => 500 - i + rng.below(9) as i64,
                _ => constant,
            };
            let null = rng.chance(self.null_per_mille) || (self.null_blocks && (row / 300) % 3 == 1);
            let value = make(rng, number);
            (!null).then_some(value)
        };
        (0..rows).map(one).collect()
    }
}

fn column(rng: &mut SplitMix64, rows: usize, name: &str) -> ArrayRef {
    let shape = Shape::random(rng);
    macro_rules! primitive {
        ($array:ty, $make:expr) => {
            Arc::new(<$array>::from_iter(shape.values(rng, rows, $make)))
        };
    }
    let decimal = |rng: &mut SplitMix64, precision: u8, scale: i8| -> ArrayRef {
        let limit = 10_i128.pow(precision.into());
        let spread = rng.next_u64() >> rng.below(64);
        let make = move |_: &mut SplitMix64, v: i64| i128::from(v) * (1 + i128::from(spread)) % limit;
        let array = Decimal128Array::from_iter(shape.values(rng, rows, make));
        Arc::new(array.with_precision_and_scale(precision, scale).expect("in range"))
    };
    match name {
        "flag" => Arc::new(BooleanArray::from_iter(shape.values(rng, rows, |_, v| v % 2 == 0))),
        "i8" => primitive!(Int8Array, |_, v| v as i8),
        "i16" => primitive!(Int16Array, |_, v| v as i16),
        "i32" => primitive!(Int32Array, |_, v| v as i32),
        "i64" => primitive!(Int64Array, |_, v| v),
        "f32" => primitive!(Float32Array, |rng, v| odd(rng, v as f64 / 3.0) as f32),
        "f64" => primitive!(Float64Array, |rng, v| odd(rng, v as f64 / 7.0)),
        "text" => Arc::new(StringArray::from_iter(shape.values(rng, rows, |_, v| format!("{v:+}")))),
        "wide" => Arc::new(StringArray::from_iter(shape.values(rng, rows, wide))),
        "raw" => Arc::new(BinaryArray::from_iter(shape.values(rng, rows, |_, v| v.to_be_bytes().to_vec()))),
        "day" => primitive!(Date32Array, |_, v| v as i32 % 1_000_000),
        "at" => {
            let array = TimestampMicrosecondArray::from_iter(shape.values(rng, rows, micros));
            Arc::new(array.with_timezone("UTC"))
        }
        "wall" => primitive!(TimestampMicrosecondArray, micros),
        "d5" => decimal(rng, 5, 2),
        "d9" => decimal(rng, 9, 0),
        "d18" => decimal(rng, 18, 4),
        "d30" => decimal(rng, 30, 10),
        "d38" => decimal(rng, 38, 38),
        "list" => {
            let lists = shape.values(rng, rows, |rng, v| vec![Some(v as i32); rng.below(4) as usize]);
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists))
        }
        other => panic!("no such column {other}"),
    }
}

/// A number, or one of those that bounds do not show.
fn odd(rng: &mut SplitMix64, value: f64) -> f64 {
    match rng.below(150) {
        0 => f64::NAN,
        1 => -0.0,
        2 => 0.0,
        3 => f64::INFINITY,
        4 => f64::NEG_INFINITY,
        5 => f64::MIN_POSITIVE / 2.0,
        _ => value,
    }
}

fn micros(_: &mut SplitMix64, v: i64) -> i64 {
    (v % 4_000_000_000_000).wrapping_mul(1_237) - 3_500
}

/// Text that is alike in its first 32 or 64 characters, of one to four bytes each.
fn wide(rng: &mut SplitMix64, v: i64) -> String {
    let filling = *rng.pick(&['a', '\u{7f}', 'é', '日', '\u{ffff}', '😀', '\u{10ffff}']).unwrap_or(&'a');
    let length = *rng.pick(&[0, 1, 20, 31, 32, 33, 60, 64, 65, 100]).unwrap_or(&0);
    let number = format!("{:05}", v.rem_euclid(99_991));
    let filler: String = std::iter::repeat_n(filling, length).collect();
    if rng.chance(500) { format!("{filler}{number}") } else { format!("{number}{filler}") }
}

fn nested(rng: &mut SplitMix64, rows: usize) -> ArrayRef {
    let fields = |pairs: Vec<(&str, &ArrayRef)>| -> Fields {
        pairs.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect()
    };
    let nulls = |rng: &mut SplitMix64| NullBuffer::from_iter((0..rows).map(|_| !rng.chance(50)));
    let w = column(rng, rows, "f64");
    let z: ArrayRef = Arc::new(StructArray::new(fields(vec![("w", &w)]), vec![w], Some(nulls(rng))));
    let (x, y) = (column(rng, rows, "i32"), column(rng, rows, "wide"));
    let parts = fields(vec![("x", &x), ("y", &y), ("z", &z)]);
    Arc::new(StructArray::new(parts, vec![x, y, z], Some(nulls(rng))))
}

/// Partition values of each row: one of a few combinations.
fn partitions(rng: &mut SplitMix64, rows: usize) -> Vec<(String, ArrayRef)> {
    let combination: Vec<usize> = (0..rows).map(|_| [0, 0, 0, 0, 0, 0, 1, 1, 2, 3][rng.below(10) as usize]).collect();
    let text = [Some("x/ü %"), None, Some("b"), Some("-1")];
    let at = [Some(-1_i64), Some(1_700_000_000_123_456), None, Some(0)];
    let day = [Some(-1), Some(0), Some(20_000), None];
    let decimal = [Some(-1_i128), None, Some(9_999_999_999), Some(10)];
    let of = |name: &str, array: ArrayRef| (name.to_owned(), array);
    vec![
        of("p_text", Arc::new(StringArray::from_iter(combination.iter().map(|&c| text[c])))),
        of(
            "p_int",
            Arc::new(Int32Array::from_iter(combination.iter().map(|&c| [Some(-7), None, Some(0), Some(7)][c]))),
        ),
        of("p_day", Arc::new(Date32Array::from_iter(combination.iter().map(|&c| day[c])))),
        of(
            "p_at",
            Arc::new(TimestampMicrosecondArray::from_iter(combination.iter().map(|&c| at[c])).with_timezone("UTC")),
        ),
        of(
            "p_dec",
            Arc::new(
                Decimal128Array::from_iter(combination.iter().map(|&c| decimal[c]))
                    .with_precision_and_scale(10, 3)
                    .expect("in range"),
            ),
        ),
        of(
            "p_flag",
            Arc::new(BooleanArray::from_iter(combination.iter().map(|&c| [Some(true), Some(false), None, None][c]))),
        ),
    ]
}

fn random_rows(rng: &mut SplitMix64, first_id: i64, rows: usize) -> RecordBatch {
    let schema = parse_declaration(COLUMNS).expect("columns");
    let mut columns: Vec<(String, ArrayRef)> = Vec::new();
    for field in &schema.fields {
        let name = field.name.as_str();
        columns.push(match name {
            "id" => (name.into(), Arc::new(Int64Array::from_iter_values(first_id..first_id + rows as i64)) as ArrayRef),
            "nested" => (name.into(), nested(rng, rows)),
            name if name.starts_with("p_") => continue,
            name => (name.into(), column(rng, rows, name)),
        });
    }
    columns.extend(partitions(rng, rows));
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("columns of one length")
}

/// A table by its seed: statistics for all, some or no columns; partitioned or not; rows deleted or not.
pub async fn random_table(rng: &mut SplitMix64) -> Known {
    let root = TableRoot::in_memory("t").expect("root");
    let partition_columns: Vec<String> =
        if rng.chance(500) { PARTITIONS.map(str::to_owned).to_vec() } else { Vec::new() };
    let indexed = *rng.pick(&["-1", "32", "5", "0"]).unwrap_or(&"32");
    let options = CreateOptions {
        schema: parse_declaration(COLUMNS).expect("columns"),
        partition_columns: partition_columns.clone(),
        properties: [("delta.dataSkippingNumIndexedCols".to_owned(), indexed.to_owned())].into(),
        ..CreateOptions::default()
    };
    create(&root, &SystemClock::shared(), &LogCommitter, options, None).await.expect("created");
    let empty = Arc::new(Snapshot::load(root.clone(), At::Latest, SystemClock::shared()).await.expect("loads"));
    let mut rows = Vec::new();
    let mut actions = Vec::new();
    let mut next_id = 0;
    for count in [1_300, 260, 60, 7] {
        let batch = random_rows(rng, next_id, count);
        next_id += count as i64;
        let properties = TableProperties::parse(&empty.metadata().configuration);
        let mut context = WriteContext::new(
            root.clone(),
            Arc::clone(empty.schema()),
            partition_columns.clone(),
            properties,
            SystemClock::shared(),
        );
        context.row_group_rows = *rng.pick(&[150, 700, 10_000]).unwrap_or(&700);
        context.page_rows = *rng.pick(&[9, 40, 200]).unwrap_or(&40);
        let mut writer = DataWriter::new(context).expect("writer");
        writer.write(batch.clone()).await.expect("written");
        actions.extend(writer.finish().await.expect("finished").adds.into_iter().map(|add| Action::Add(Box::new(add))));
        rows.push(batch);
    }
    let mut rows = concat_batches(rows[0].schema_ref(), &rows).expect("one schema");
    if rng.chance(500) {
        rows = delete_some(rng, &empty, rows, &mut actions).await;
    }
    let staged = Staged { operation: Operation::new("WRITE"), actions, reads: Reads::WholeTable };
    match transact(Base::On(empty), staged, &LogCommitter).await.expect("committed") {
        Outcome::Committed(committed) => Known { snapshot: Snapshot::clone(&committed.snapshot), rows },
        Outcome::Unknown(unresolved) => panic!("{unresolved:?}"),
    }
}

/// Gives some files a deletion vector, and takes the rows out of what is expected.
async fn delete_some(
    rng: &mut SplitMix64,
    table: &Snapshot,
    rows: RecordBatch,
    actions: &mut Vec<Action>,
) -> RecordBatch {
    let plan = table.plan_scan(&ScanRequest { columns: Some(vec!["id".into()]), ..ScanRequest::default() }).await;
    let plan = plan.expect("plan");
    let mut live = vec![true; rows.num_rows()];
    for action in actions.iter_mut() {
        let Action::Add(add) = action else { continue };
        let file = ScanFile::of(add).expect("a file");
        let batches: Vec<RecordBatch> =
            plan.stream_file(&file, ReadOptions::default()).try_collect().await.expect("ids");
        let ids = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec());
        let (per_mille, run) = (*rng.pick(&[3, 100, 700]).unwrap_or(&3), rng.below(1_000));
        let gone: Vec<(u64, i64)> =
            (0..).zip(ids).filter(|(row, _)| rng.chance(per_mille) || (run..run + 300).contains(row)).collect();
        gone.iter().for_each(|(_, id)| live[*id as usize] = false);
        let vector: DeletionVector = gone.iter().map(|(row, _)| *row).collect();
        add.deletion_vector = Some(DeletionVectorDescriptor::inline(&vector).expect("small"));
    }
    let features = || Some(vec!["deletionVectors".to_owned(), "timestampNtz".to_owned()]);
    actions.push(Action::Protocol(Protocol {
        min_reader_version: 3,
        min_writer_version: 7,
        reader_features: features(),
        writer_features: features(),
    }));
    filter_record_batch(&rows, &BooleanArray::from(live)).expect("one flag per row")
}
