//! Plans and rows: what is read, what is left out, and that leaving out never changes an answer.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray, TimestampNanosecondArray,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType as ArrowType, Field, Fields, TimeUnit};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};
use proptest::prelude::*;

use super::*;
use crate::action::Add;
use crate::action::columnar::FileBatch;
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, ErrorKind};
use crate::expr::{ColumnPath, CompareOp, Scalar, evaluate};
use crate::protocol::TableProperties;
use crate::schema::{DataType, MappingMode, StructField, parse_declaration};
use crate::store::parquet::{ParquetOptions, ParquetWriter, write_batches};
use crate::write::{DataWriter, WriteContext};

/// A plan over files that are at hand.
fn planned(table: ScanTable, request: &ScanRequest, live: &[Arc<Add>]) -> Result<ScanPlan> {
    let mut planner = plan::Planner::new(table, request)?;
    let live: Vec<&Add> = live.iter().map(Arc::as_ref).collect();
    planner.take(&FileBatch::of_adds(&live)?)?;
    planner.finish(None)
}

mod again;
mod budget;
mod pages;
mod row_ids;
mod vectors;

fn schema(declaration: &str) -> Arc<StructType> {
    Arc::new(parse_declaration(declaration).unwrap())
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

fn longs(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(values))
}

fn compare(column: &str, op: CompareOp, value: Scalar) -> Predicate {
    Predicate::Compare { column: ColumnPath(column.split('.').map(str::to_owned).collect()), op, value }
}

/// A table under test: files that the log would list.
struct Table {
    table: ScanTable,
    live: Vec<Arc<Add>>,
}

impl Table {
    fn new(declaration: &str, partitions: &[&str]) -> Self {
        let table = ScanTable {
            root: TableRoot::in_memory("t").unwrap(),
            version: 7,
            schema: schema(declaration),
            partition_columns: partitions.iter().map(|name| (*name).to_owned()).collect(),
            row_tracking: None,
            mapping: MappingMode::None,
        };
        Self { table, live: Vec::new() }
    }

    /// Appends rows as our writer does.
    async fn append(&mut self, batch: RecordBatch) {
        let table = &self.table;
        let context = WriteContext::new(
            table.root.clone(),
            Arc::clone(&table.schema),
            table.partition_columns.clone(),
            TableProperties::default(),
            SystemClock::shared(),
        );
        let mut writer = DataWriter::new(context).unwrap();
        writer.write(batch).await.unwrap();
        self.live.extend(writer.finish().await.unwrap().adds.into_iter().map(Arc::new));
    }

    /// Appends a file as another writer may have left it: any columns, no statistics in the log.
    async fn append_foreign(&mut self, name: &str, batch: &RecordBatch, rows_per_group: usize) {
        let path = self.table.root.child(name).unwrap();
        let options = ParquetOptions::default();
        let mut writer = ParquetWriter::new(&self.table.root, path, batch.schema(), &options).unwrap();
        for start in (0..batch.num_rows()).step_by(rows_per_group) {
            let rows = rows_per_group.min(batch.num_rows() - start);
            writer.write(batch.slice(start, rows)).await.unwrap();
            writer.relieve().await.unwrap();
        }
        let size = i64::try_from(writer.finish().await.unwrap()).unwrap();
        self.live.push(Arc::new(Add { path: name.to_owned(), size, ..Add::default() }));
    }

    async fn append_bytes(&mut self, name: &str, bytes: Vec<u8>) {
        let size = i64::try_from(bytes.len()).unwrap();
        let path = self.table.root.child(name).unwrap();
        self.table.root.store().put(&path, Bytes::from(bytes).into()).await.unwrap();
        self.live.push(Arc::new(Add { path: name.to_owned(), size, ..Add::default() }));
    }

    fn plan(&self, request: &ScanRequest) -> Result<ScanPlan> {
        planned(self.table.clone(), request, &self.live)
    }

    async fn read(&self, request: &ScanRequest) -> RecordBatch {
        rows(&self.plan(request).unwrap(), ReadOptions::default()).await
    }

    async fn failure(&self) -> Error {
        let plan = self.plan(&ScanRequest::default()).unwrap();
        plan.stream(ReadOptions::default()).try_collect::<Vec<_>>().await.unwrap_err()
    }
}

async fn rows(plan: &ScanPlan, options: ReadOptions) -> RecordBatch {
    let batches: Vec<RecordBatch> = plan.stream(options).try_collect().await.unwrap();
    assert!(batches.iter().all(|batch| batch.schema_ref() == plan.arrow_schema()));
    concat_batches(plan.arrow_schema(), &batches).unwrap()
}

fn ids(batch: &RecordBatch) -> Vec<i64> {
    batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

fn with(predicate: Predicate) -> ScanRequest {
    ScanRequest { predicate: Some(predicate), ..ScanRequest::default() }
}

fn columns(names: &[&str]) -> ScanRequest {
    ScanRequest { columns: Some(names.iter().map(|name| (*name).to_owned()).collect()), ..ScanRequest::default() }
}

async fn three_days() -> Table {
    let mut table = Table::new("id long, day date, v string", &["day"]);
    for day in 0..3 {
        table
            .append(batch(vec![
                ("id", longs(day * 100..day * 100 + 10)),
                ("day", Arc::new(Date32Array::from(vec![i32::try_from(day).unwrap(); 10]))),
                ("v", Arc::new(StringArray::from_iter_values((0..10).map(|i| format!("{day}-{i}"))))),
            ]))
            .await;
    }
    table
}

#[tokio::test]
async fn all_types_come_back_as_they_went_in() {
    let (schema, given) = crate::write::tests::all_types();
    let mut table = Table::new("id long", &[]);
    table.table.schema = schema;
    table.append(given.clone()).await;
    let read = table.read(&ScanRequest::default()).await;
    let again = crate::write::conform(&read, &table.table.schema).unwrap();
    assert_eq!(again, crate::write::conform(&given, &table.table.schema).unwrap());
}

#[tokio::test]
async fn columns_come_in_the_order_asked_for_and_partition_columns_from_the_log() {
    let table = three_days().await;
    let read = table.read(&columns(&["V", "day", "id"])).await;
    let schema = read.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["v", "day", "id"]);
    assert_eq!(read.num_rows(), 30);
    let days = read.column(1).as_primitive::<arrow_array::types::Date32Type>();
    assert_eq!((days.value(0), days.value(29)), (0, 2));
    let error = table.plan(&columns(&["nope"])).unwrap_err();
    assert_eq!((error.kind(), error.object()), (ErrorKind::NotFound, Some("nope")));
}

#[tokio::test]
async fn no_columns_still_count_rows() {
    let table = three_days().await;
    assert_eq!(table.read(&columns(&[])).await.num_rows(), 30);
    let counted = ScanRequest { predicate: Some(compare("id", CompareOp::GtEq, Scalar::Long(105))), ..columns(&[]) };
    let read = table.read(&counted).await;
    assert_eq!((read.num_rows(), read.num_columns()), (15, 0));
    let none = ScanRequest { predicate: Some(Predicate::Literal(false)), ..columns(&[]) };
    assert_eq!(table.read(&none).await.num_rows(), 0);
}

#[tokio::test]
async fn files_are_left_out_by_partition_and_by_statistics() {
    let table = three_days().await;
    let plan = table.plan(&with(compare("DAY", CompareOp::Eq, Scalar::Date(1)))).unwrap();
    let pruning = &plan.pruning;
    assert_eq!((pruning.files_total, pruning.files_planned, pruning.skipped_by_partition), (3, 1, 2));
    assert!(pruning.bytes_planned < pruning.bytes_total.expect("sizes"));
    assert_eq!(plan.files.get(0).unwrap().num_records(), Some(10));
    assert_eq!(ids(&rows(&plan, ReadOptions::default()).await), (100..110).collect::<Vec<_>>());
    let plan = table.plan(&with(compare("id", CompareOp::Gt, Scalar::Long(205)))).unwrap();
    assert_eq!((plan.pruning.skipped_by_statistics, plan.pruning.files_planned), (2, 1));
    assert_eq!(ids(&rows(&plan, ReadOptions::default()).await), (206..210).collect::<Vec<_>>());
    let either = Predicate::Or(vec![
        compare("day", CompareOp::Eq, Scalar::Date(0)),
        compare("id", CompareOp::Gt, Scalar::Long(205)),
    ]);
    let plan = table.plan(&with(either)).unwrap();
    assert_eq!((plan.pruning.skipped_by_statistics, plan.pruning.files_planned), (1, 2), "both proofs are joined");
    // The predicate's column is read though it is not wanted.
    let request =
        ScanRequest { predicate: Some(compare("v", CompareOp::Eq, Scalar::String("2-3".into()))), ..columns(&["id"]) };
    let read = table.read(&request).await;
    assert_eq!((ids(&read), read.num_columns()), (vec![203], 1));
}

#[tokio::test]
async fn a_wrong_predicate_is_found_while_planning() {
    let table = three_days().await;
    let missing = table.plan(&with(compare("nope", CompareOp::Eq, Scalar::Long(1)))).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let mistyped = table.plan(&with(compare("id", CompareOp::Eq, Scalar::String("1".into())))).unwrap_err();
    assert_eq!(mistyped.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn the_limit_is_exact_and_saves_files() {
    let table = three_days().await;
    for limit in [0, 1, 9, 10, 11, 25, 30, 31] {
        let request = ScanRequest { limit: Some(limit), ..ScanRequest::default() };
        let plan = table.plan(&request).unwrap();
        assert_eq!(plan.files.len() as u64, limit.div_ceil(10).min(3), "{limit}");
        let read = rows(&plan, ReadOptions { batch_rows: 4, ..ReadOptions::default() }).await;
        assert_eq!(read.num_rows() as u64, limit.min(30));
        let request = ScanRequest { predicate: Some(compare("id", CompareOp::Lt, Scalar::Long(205))), ..request };
        let read = table.read(&request).await;
        assert_eq!(read.num_rows() as u64, limit.min(25));
    }
    let late = ScanRequest { limit: Some(3), ..with(compare("id", CompareOp::GtEq, Scalar::Long(5))) };
    assert_eq!(ids(&table.read(&late).await), [5, 6, 7], "rows that fail do not count");
    let mut unknown = three_days().await;
    unknown.live.iter_mut().for_each(|add| Arc::make_mut(add).stats = None);
    let plan = unknown.plan(&ScanRequest { limit: Some(1), ..ScanRequest::default() }).unwrap();
    assert_eq!(plan.files.len(), 3, "without counts no file can be spared");
    assert_eq!(rows(&plan, ReadOptions::default()).await.num_rows(), 1);
}

#[tokio::test]
async fn a_file_can_be_read_alone_by_a_task_that_has_only_its_description() {
    let table = three_days().await;
    let request = with(compare("id", CompareOp::NotEq, Scalar::Long(100)));
    let plan = table.plan(&request).unwrap();
    let text = serde_json::to_string(&plan.files.get(1).unwrap().to_file()).unwrap();
    let file: ScanFile = serde_json::from_str(&text).unwrap();
    assert_eq!(file, plan.files.get(1).unwrap().to_file());
    let remote = ScanPlan::of_files(table.table.clone(), &request, vec![file.clone()]).unwrap();
    let direct: Vec<RecordBatch> = plan.stream_file(&file, ReadOptions::default()).try_collect().await.unwrap();
    assert_eq!(ids(&direct[0]), (101..110).collect::<Vec<_>>());
    assert_eq!(rows(&remote, ReadOptions::default()).await, direct[0]);
}

#[tokio::test]
async fn columns_that_came_later_are_null_and_columns_that_left_are_ignored() {
    let mut table = Table::new("id long not null, s struct<a:int, B:string>, late long not null", &[]);
    let a = Field::new("A", ArrowType::Int32, true);
    let gone = Field::new("gone", ArrowType::Int32, true);
    let column = || -> ArrayRef { Arc::new(Int32Array::from(vec![5])) };
    let inner = StructArray::new(Fields::from(vec![gone, a]), vec![column(), column()], None);
    let old = batch(vec![("ID", longs([1])), ("dropped", longs([9])), ("s", Arc::new(inner))]);
    table.append_foreign("a.parquet", &old, 10).await;
    let read = table.read(&ScanRequest::default()).await;
    assert_eq!(ids(&read), [1]);
    let inner = read.column(1).as_struct();
    assert_eq!(inner.column(0).as_primitive::<Int32Type>().value(0), 5);
    assert!(inner.column(1).is_null(0) && read.column(2).is_null(0));
    let null = with(Predicate::IsNull(ColumnPath::top("late")));
    assert_eq!(table.read(&null).await.num_rows(), 1);
    let some = with(compare("late", CompareOp::Gt, Scalar::Long(0)));
    assert_eq!(table.read(&some).await.num_rows(), 0);
}

#[tokio::test]
async fn stored_types_are_widened_and_odd_ones_accepted() {
    let mut table = Table::new(
        "id long, wide long, narrow short, real double, price decimal(12,4), t timestamp, n timestamp_ntz, s string",
        &[],
    );
    let micros = || TimestampMicrosecondArray::from(vec![1, 2]);
    let foreign = batch(vec![
        ("id", Arc::new(Int32Array::from(vec![1, 2]))),
        ("wide", Arc::new(Int32Array::from(vec![-1, 1]))),
        ("narrow", Arc::new(Int32Array::from(vec![-32_768, 32_767]))),
        ("real", Arc::new(arrow_array::Float32Array::from(vec![0.5, 1.5]))),
        ("price", Arc::new(Decimal128Array::from(vec![15, 25]).with_precision_and_scale(5, 1).unwrap())),
        // Written without the zone that the table's type has, and finer than it keeps.
        ("t", Arc::new(TimestampNanosecondArray::from(vec![1_999, -1]))),
        ("n", Arc::new(micros().with_timezone("UTC"))),
        ("s", Arc::new(BinaryArray::from_vec(vec![b"x", "ü".as_bytes()]))),
    ]);
    table.append_foreign("a.parquet", &foreign, 1).await;
    let read = table.read(&ScanRequest::default()).await;
    assert_eq!(ids(&read), [1, 2]);
    assert_eq!(read.column(5).as_primitive::<TimestampMicrosecondType>().values(), &[1, -1]);
    assert_eq!(arrow_cast::display::array_value_to_string(read.column(4), 1).unwrap(), "2.5000");
    assert_eq!(read.column(7).as_string::<i32>().value(1), "ü");
    // The row groups' statistics go through the same casts.
    for (predicate, expected) in [
        (compare("narrow", CompareOp::Gt, Scalar::Long(0)), 2),
        (compare("real", CompareOp::Lt, Scalar::Double(1.0)), 1),
        (compare("price", CompareOp::GtEq, Scalar::Decimal { unscaled: 25, precision: 2, scale: 1 }), 2),
        (compare("t", CompareOp::Lt, Scalar::Timestamp(0)), 2),
        (compare("s", CompareOp::Eq, Scalar::String("x".into())), 1),
    ] {
        assert_eq!(ids(&table.read(&with(predicate.clone())).await), [expected], "{predicate:?}");
    }
}

#[tokio::test]
async fn a_stored_type_that_does_not_fit_names_file_and_column() {
    for (declaration, column) in [
        ("v int", longs([i64::from(i32::MAX) + 1])),
        ("v long", Arc::new(StringArray::from(vec!["1"])) as ArrayRef),
        ("v string", longs([1])),
        ("v string", Arc::new(BinaryArray::from_vec(vec![&[0xff]]))),
        ("v decimal(5,2)", Arc::new(Decimal128Array::from(vec![1]).with_precision_and_scale(6, 2).unwrap())),
        ("v array<long>", longs([1])),
        ("v struct<a:long>", longs([1])),
    ] {
        let mut table = Table::new(&format!("id long, {declaration}"), &[]);
        table.append_foreign("odd.parquet", &batch(vec![("id", longs([7])), ("v", column)]), 10).await;
        let others = ScanRequest { columns: Some(vec!["id".into()]), ..ScanRequest::default() };
        assert_eq!(ids(&table.read(&others).await), [7], "SCN-8: {declaration}");
        let error = table.failure().await;
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{declaration}: {error}");
        let object = error.object().unwrap_or_default();
        assert!(object.contains('v') && object.contains("odd.parquet"), "{error}");
    }
}

#[tokio::test]
async fn names_that_differ_in_case_alone_are_ambiguous_unless_one_is_exact() {
    let mut table = Table::new("id long", &[]);
    table.append_foreign("a.parquet", &batch(vec![("ID", longs([1])), ("id", longs([2]))]), 10).await;
    assert_eq!(ids(&table.read(&ScanRequest::default()).await), [2]);
    let mut table = Table::new("id long", &[]);
    table.append_foreign("a.parquet", &batch(vec![("ID", longs([1])), ("Id", longs([2]))]), 10).await;
    assert_eq!(table.failure().await.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn two_level_lists_and_int96_of_old_writers_are_read() {
    use parquet::column::writer::ColumnWriter;
    use parquet::data_type::Int96;
    let message = "message m { optional int64 id; optional int96 t;
        optional group l (LIST) { repeated int32 array; } }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(message).unwrap());
    let mut writer = parquet::file::writer::SerializedFileWriter::new(Vec::new(), schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        match column.untyped() {
            ColumnWriter::Int64ColumnWriter(typed) => typed.write_batch(&[1], Some(&[1]), None).unwrap(),
            ColumnWriter::Int96ColumnWriter(typed) => {
                let mut value = Int96::new();
                value.set_data(0, 0, 5_373_484);
                typed.write_batch(&[value], Some(&[1]), None).unwrap()
            }
            ColumnWriter::Int32ColumnWriter(typed) => typed.write_batch(&[7, 8], Some(&[2, 2]), Some(&[0, 1])).unwrap(),
            _ => unreachable!(),
        };
        column.close().unwrap();
    }
    group.close().unwrap();
    let mut table = Table::new("id long, t timestamp, l array<int>", &[]);
    table.append_bytes("old.parquet", writer.into_inner().unwrap()).await;
    let read = table.read(&ScanRequest::default()).await;
    let micros = 253_402_214_400_000_000;
    assert_eq!(read.column(1).as_primitive::<TimestampMicrosecondType>().value(0), micros);
    assert_eq!(read.column(2).as_list::<i32>().value(0).as_primitive::<Int32Type>().values(), &[7, 8]);
    let late = with(compare("t", CompareOp::GtEq, Scalar::Timestamp(micros)));
    assert_eq!(ids(&table.read(&late).await), [1]);
}

#[tokio::test]
async fn void_columns_are_null() {
    let mut table = Table::new("id long, v long", &[]);
    table.append(batch(vec![("id", longs([1, 2]))])).await;
    let mut changed = StructType::clone(&table.table.schema);
    changed.fields[1] = StructField::new("v", DataType::Void, true);
    table.table.schema = Arc::new(changed);
    let read = table.read(&ScanRequest::default()).await;
    assert_eq!((read.num_rows(), read.column(1).data_type()), (2, &ArrowType::Null));
    assert_eq!(table.read(&with(Predicate::IsNull(ColumnPath::top("v")))).await.num_rows(), 2);
}

#[tokio::test]
async fn a_file_that_is_gone_says_so_with_the_version() {
    let table = three_days().await;
    let path = table.table.root.resolve(&table.live[1].path).unwrap();
    table.table.root.delete(&path).await.unwrap();
    let plan = table.plan(&ScanRequest::default()).unwrap();
    let answers: Vec<_> = futures::StreamExt::collect(plan.stream(ReadOptions::default())).await;
    assert!(answers[0].is_ok(), "what comes before the gap is given");
    let error = answers.last().unwrap().as_ref().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("version 7") && error.hint().is_some_and(|hint| hint.contains("vacuum")));
}

#[tokio::test]
async fn damage_is_corrupt_and_names_the_file() {
    let mut table = Table::new("id long", &[]);
    table.append_bytes("bad.parquet", b"PAR1 this is no Parquet file PAR1".to_vec()).await;
    let error = table.failure().await;
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.object().is_some_and(|object| object.contains("bad.parquet")), "{error}");
    let mut table = three_days().await;
    Arc::make_mut(&mut table.live[0]).partition_values.insert("day".into(), Some("yesterday".into()));
    assert_eq!(table.failure().await.kind(), ErrorKind::Corrupt);
    let mut table = three_days().await;
    Arc::make_mut(&mut table.live[0]).size = -1;
    assert_eq!(table.plan(&ScanRequest::default()).unwrap_err().kind(), ErrorKind::Corrupt);
    Arc::make_mut(&mut table.live[0]).size = 1;
}

#[tokio::test]
async fn row_groups_that_cannot_match_are_not_read() {
    let mut table = Table::new("id long, part string, late long", &["part"]);
    let many = batch(vec![("id", longs(0..1_000))]);
    table.append_foreign("a.parquet", &many, 100).await;
    let request = with(compare("id", CompareOp::GtEq, Scalar::Long(950)));
    let plan = table.plan(&request).unwrap();
    let loose = rows(&plan, ReadOptions { exact_filter: false, ..ReadOptions::default() }).await;
    assert_eq!(ids(&loose), (900..1_000).collect::<Vec<_>>());
    assert_eq!(ids(&rows(&plan, ReadOptions::default()).await), (950..1_000).collect::<Vec<_>>());
    for never in [
        compare("late", CompareOp::Eq, Scalar::Long(1)),
        compare("id", CompareOp::Lt, Scalar::Long(0)),
        Predicate::IsNull(ColumnPath::top("id")),
    ] {
        let plan = table.plan(&with(never)).unwrap();
        let loose = rows(&plan, ReadOptions { exact_filter: false, ..ReadOptions::default() }).await;
        assert_eq!(loose.num_rows(), 0, "no row group is read");
    }
}

#[tokio::test]
async fn values_that_bounds_do_not_show_are_found() {
    let mut table = Table::new("id long, f double", &[]);
    let floats = Float64Array::from(vec![Some(-1.5), Some(f64::NAN), None, Some(-0.0), Some(f64::INFINITY)]);
    let rows = batch(vec![("id", longs(0..5)), ("f", Arc::new(floats))]);
    table.append(rows.clone()).await;
    table.append_foreign("b.parquet", &rows, 1).await;
    let nan = || Scalar::Double(f64::NAN);
    for (predicate, expected) in [
        (compare("f", CompareOp::Eq, nan()), vec![1]),
        (Predicate::Not(Box::new(compare("f", CompareOp::NotEq, nan()))), vec![1]),
        (compare("f", CompareOp::Gt, Scalar::Double(5.0)), vec![1, 4]),
        (compare("f", CompareOp::Eq, Scalar::Double(0.0)), vec![3]),
        (compare("f", CompareOp::GtEq, Scalar::Double(0.0)), vec![1, 3, 4]),
        (Predicate::IsNull(ColumnPath::top("f")), vec![2]),
    ] {
        let twice = [expected.clone(), expected].concat();
        assert_eq!(ids(&table.read(&with(predicate.clone())).await), twice, "{predicate:?}");
    }
}

#[tokio::test]
async fn dropping_a_stream_ends_its_tasks() {
    let mut table = Table::new("id long", &[]);
    for i in 0..4 {
        table.append(batch(vec![("id", longs(i * 100_000..(i + 1) * 100_000))])).await;
    }
    let plan = table.plan(&ScanRequest::default()).unwrap();
    let mut stream = plan.stream(ReadOptions { batch_rows: 100, ..ReadOptions::default() });
    assert!(stream.try_next().await.unwrap().is_some());
    let shared = Arc::downgrade(&plan.shared);
    drop((stream, plan));
    for _ in 0..1_000 {
        if shared.upgrade().is_none() {
            return;
        }
        SystemClock.sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("a task is still reading");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_threads_keep_the_order() {
    let mut table = Table::new("id long", &[]);
    for i in 0..8 {
        table.append(batch(vec![("id", longs(i * 5_000..(i + 1) * 5_000))])).await;
    }
    let plan = table.plan(&ScanRequest::default()).unwrap();
    let read = rows(&plan, ReadOptions { concurrency: 4, batch_rows: 1_000, ..ReadOptions::default() }).await;
    assert_eq!(ids(&read), (0..40_000).collect::<Vec<_>>());
}

#[test]
fn the_read_schema_is_nullable_but_for_map_keys() {
    let read = read_schema(&schema("a long not null, m map<string, struct<x:int not null>> not null")).unwrap();
    assert!(read.fields().iter().all(|field| field.is_nullable()));
    let ArrowType::Map(entries, false) = read.field(1).data_type() else { panic!("a map") };
    let ArrowType::Struct(parts) = entries.data_type() else { panic!("entries") };
    assert!(!entries.is_nullable() && !parts[0].is_nullable() && parts[1].is_nullable());
    let ArrowType::Struct(value) = parts[1].data_type() else { panic!("a struct") };
    assert!(value[0].is_nullable());
}

// Pruning never changes an answer: random rows in files with and without statistics, random predicates.

const DECLARATION: &str =
    "id long, l long, f double, s string, d date, x decimal(6,2), t timestamp, st struct<y:int>, p string, q int";

#[derive(Clone, Debug)]
struct Row {
    l: Option<i64>,
    f: Option<f64>,
    s: Option<String>,
    d: Option<i32>,
    x: Option<i128>,
    t: Option<i64>,
    y: Option<Option<i32>>,
    p: Option<String>,
    q: Option<i32>,
}

fn long() -> BoxedStrategy<i64> {
    prop_oneof![-3..4_i64, Just(i64::MIN), Just(i64::MAX)].boxed()
}

fn double() -> BoxedStrategy<f64> {
    prop::sample::select(vec![-1.5, -0.0, 0.0, 1.0, 2.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY]).boxed()
}

fn text() -> BoxedStrategy<String> {
    let long = "x".repeat(40);
    prop::sample::select(vec![
        "a".into(),
        "b".into(),
        "ü".into(),
        "\u{10ffff}".into(),
        format!("{long}a"),
        format!("{long}b"),
    ])
    .boxed()
}

fn micros() -> BoxedStrategy<i64> {
    prop_oneof![-2_000..2_000_i64, Just(1_706_659_200_123_456), Just(1_706_659_200_123_999)].boxed()
}

fn maybe<T: Clone + std::fmt::Debug + 'static>(value: BoxedStrategy<T>) -> BoxedStrategy<Option<T>> {
    prop::option::weighted(0.8, value).boxed()
}

fn row() -> impl Strategy<Value = Row> {
    let y = maybe((-2..3_i32).boxed());
    let partition =
        (maybe(prop::sample::select(vec!["u/v".to_owned(), "w".to_owned()]).boxed()), maybe((0..3_i32).boxed()));
    (
        maybe(long()),
        maybe(double()),
        maybe(text()),
        maybe((-2..3_i32).boxed()),
        maybe((-150..150_i128).boxed()),
        maybe(micros()),
        maybe(y),
        partition,
    )
        .prop_map(|(l, f, s, d, x, t, y, (p, q))| Row { l, f, s, d, x, t, y, p, q })
}

fn to_batch(rows: &[Row], first_id: i64) -> RecordBatch {
    let y = Int32Array::from_iter(rows.iter().map(|row| row.y.flatten()));
    let present: Vec<bool> = rows.iter().map(|row| row.y.is_some()).collect();
    let fields = Fields::from(vec![Field::new("y", ArrowType::Int32, true)]);
    let st = StructArray::new(fields, vec![Arc::new(y)], Some(NullBuffer::from(present)));
    let x = Decimal128Array::from_iter(rows.iter().map(|row| row.x)).with_precision_and_scale(6, 2).unwrap();
    let t = TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.t)).with_timezone("UTC");
    batch(vec![
        ("id", longs(first_id..first_id + rows.len() as i64)),
        ("l", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.l)))),
        ("f", Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.f)))),
        ("s", Arc::new(StringArray::from_iter(rows.iter().map(|row| row.s.clone())))),
        ("d", Arc::new(Date32Array::from_iter(rows.iter().map(|row| row.d)))),
        ("x", Arc::new(x)),
        ("t", Arc::new(t)),
        ("st", Arc::new(st)),
        ("p", Arc::new(StringArray::from_iter(rows.iter().map(|row| row.p.clone())))),
        ("q", Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.q)))),
    ])
}

fn leaf() -> BoxedStrategy<Predicate> {
    let literal = prop_oneof![
        (Just("l"), long().prop_map(Scalar::Long)),
        (Just("f"), double().prop_map(Scalar::Double)),
        (Just("s"), text().prop_map(Scalar::String)),
        (Just("d"), (-2..3_i32).prop_map(Scalar::Date)),
        (Just("x"), (-20..20_i128).prop_map(|unscaled| Scalar::Decimal { unscaled, precision: 4, scale: 1 })),
        (Just("t"), micros().prop_map(Scalar::Timestamp)),
        (Just("st.y"), (-3..4_i64).prop_map(Scalar::Long)),
        (Just("p"), prop::sample::select(vec!["u/v", "w", "z"]).prop_map(|text| Scalar::String(text.into()))),
        (Just("Q"), (0..4_i64).prop_map(Scalar::Long)),
    ];
    let op = prop::sample::select(vec![
        CompareOp::Eq,
        CompareOp::NotEq,
        CompareOp::Lt,
        CompareOp::LtEq,
        CompareOp::Gt,
        CompareOp::GtEq,
    ]);
    let path = |name: &str| ColumnPath(name.split('.').map(str::to_owned).collect());
    prop_oneof![
        6 => (literal.clone(), op).prop_map(|((column, value), op)| compare(column, op, value)),
        1 => literal.clone().prop_map(move |(column, _)| Predicate::IsNull(path(column))),
        1 => literal.clone().prop_map(move |(column, _)| Predicate::IsNotNull(path(column))),
        1 => literal.prop_map(move |(column, value)| {
            Predicate::In { column: path(column), values: vec![value.clone(), Scalar::Null, value] }
        }),
    ]
    .boxed()
}

fn predicate() -> impl Strategy<Value = Predicate> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(Predicate::Or),
            inner.prop_map(|inner| Predicate::Not(Box::new(inner))),
        ]
    })
}

async fn random_table(chunks: &[(bool, Vec<Row>)]) -> Table {
    let mut table = Table::new(DECLARATION, &["p", "q"]);
    let mut next_id = 0;
    for (i, (ours, rows)) in chunks.iter().enumerate() {
        let batch = to_batch(rows, next_id);
        next_id += rows.len() as i64;
        if *ours {
            table.append(batch).await;
            continue;
        }
        // One partition per foreign file: the first row's.
        let stored = batch.project(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        table.append_foreign(&format!("{i}.parquet"), &stored, 4).await;
        let values = &mut Arc::make_mut(table.live.last_mut().unwrap()).partition_values;
        values.insert("p".into(), rows.first().and_then(|row| row.p.clone()));
        values.insert("q".into(), rows.first().and_then(|row| row.q.map(|q| q.to_string())));
    }
    table
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pruned_scan_answers_as_an_unpruned_one(
        chunks in prop::collection::vec((any::<bool>(), prop::collection::vec(row(), 1..12)), 1..4),
        predicates in prop::collection::vec(predicate(), 6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let table = random_table(&chunks).await;
            let everything = table.read(&ScanRequest::default()).await;
            assert_eq!(everything.num_rows(), chunks.iter().map(|(_, rows)| rows.len()).sum::<usize>());
            for predicate in predicates {
                let mask = evaluate(&predicate, &everything).unwrap();
                let expected = filter_record_batch(&everything, &mask).unwrap();
                let plan = table.plan(&with(predicate.clone())).unwrap();
                let exact = rows(&plan, ReadOptions { batch_rows: 5, ..ReadOptions::default() }).await;
                assert_eq!(ids(&exact), ids(&expected), "{predicate:?}");
                let loose = rows(&plan, ReadOptions { exact_filter: false, ..ReadOptions::default() }).await;
                let mask = evaluate(&predicate, &loose).unwrap();
                assert_eq!(ids(&filter_record_batch(&loose, &mask).unwrap()), ids(&expected), "{predicate:?}");
            }
        });
    }
}

#[tokio::test]
async fn timestamps_in_the_log_are_cut_to_milliseconds_and_still_find_their_rows() {
    let mut table = Table::new("id long, t timestamp", &[]);
    let micros = 1_706_659_200_123_456;
    let column = TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC");
    table.append(batch(vec![("id", longs([1])), ("t", Arc::new(column))])).await;
    let found = |op, value| {
        let plan = table.plan(&with(compare("t", op, Scalar::Timestamp(value)))).unwrap();
        async move { rows(&plan, ReadOptions::default()).await.num_rows() }
    };
    assert_eq!(found(CompareOp::Eq, micros).await, 1);
    assert_eq!(found(CompareOp::Gt, micros - 1).await, 1);
    assert_eq!(found(CompareOp::Gt, micros).await, 0);
    assert_eq!(
        *table.read(&columns(&["t"])).await.column(0).data_type(),
        ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
    );
}

/// The same files behind another store.
fn behind(table: &Table, wrap: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>) -> ScanTable {
    let root = &table.table.root;
    let store = wrap(Arc::clone(root.store()));
    ScanTable { root: TableRoot::with_store(store, root.prefix().clone(), root.url().clone()), ..table.table.clone() }
}

#[tokio::test]
async fn a_small_file_is_one_request_and_a_large_one_gives_only_what_is_asked_for() {
    let mut table = three_days().await;
    let mut noise = lake_testkit::SplitMix64::new(1);
    let mut blob = || (0..3_000).flat_map(|_| noise.next_u64().to_le_bytes()).collect::<Vec<u8>>();
    let blobs: Vec<Vec<u8>> = (0..40).map(|_| blob()).collect();
    let counting = |table: &Table| {
        let mut counters = None;
        let counted = behind(table, |store| {
            let store = lake_testkit::CountingStore::new(store);
            counters = Some(store.counters());
            Arc::new(store)
        });
        (counted, counters.unwrap())
    };
    let (counted, counters) = counting(&table);
    let plan = planned(counted, &ScanRequest::default(), &table.live[..1]).unwrap();
    assert_eq!(rows(&plan, ReadOptions::default()).await.num_rows(), 10);
    assert_eq!((counters.total(), counters.bytes_read()), (1, plan.files.get(0).unwrap().size_bytes()));
    table.table = Table::new("id long, blob binary", &[]).table;
    table.live.clear();
    let big = batch(vec![("id", longs(0..40)), ("blob", Arc::new(BinaryArray::from_iter_values(&blobs)))]);
    table.append_foreign("big.parquet", &big, 40).await;
    let (counted, counters) = counting(&table);
    let plan = planned(counted, &columns(&["id"]), &table.live).unwrap();
    assert!(plan.files.get(0).unwrap().size_bytes() > 600_000, "{}", plan.files.get(0).unwrap().size_bytes());
    assert_eq!(rows(&plan, ReadOptions::default()).await.num_rows(), 40);
    assert!(counters.bytes_read() < 100_000 && counters.total() <= 2, "{:?}", counters.requests());
}

#[tokio::test]
async fn failures_of_the_store_are_not_taken_for_damage() {
    use lake_testkit::{Failure, Fault, Faults, FaultyStore, Op, Rule};
    let table = three_days().await;
    let failing = |fault: Fault| {
        let faults = Faults::seeded(1).with([Rule::new(fault).on(Op::Get).path("*.parquet").nth(2)]);
        let table_behind = behind(&table, |store| Arc::new(FaultyStore::new(store, faults.clone())));
        let plan = planned(table_behind, &ScanRequest::default(), &table.live).unwrap();
        async move {
            let read = plan.stream(ReadOptions::default()).try_collect::<Vec<_>>().await;
            faults.assert_all_fired();
            read.unwrap_err()
        }
    };
    for fault in [Fault::ErrorBefore(Failure::Unavailable), Fault::TruncatedRead { keep_bytes: 10, then: None }] {
        let error = failing(fault).await;
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{fault:?}: {error}");
        assert!(error.object().is_some_and(|object| object.contains(".parquet")), "{error}");
    }
    assert_eq!(failing(Fault::ErrorBefore(Failure::PermissionDenied)).await.kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn an_empty_file_of_a_foreign_writer_has_no_rows() {
    let mut table = Table::new("id long", &[]);
    let path = table.table.root.child("empty.parquet").unwrap();
    let schema = batch(vec![("id", longs([]))]).schema();
    let size = write_batches(&table.table.root, &path, schema, &[]).await.unwrap();
    let size = i64::try_from(size).unwrap();
    table.live.push(Arc::new(Add { path: "empty.parquet".into(), size, ..Add::default() }));
    assert_eq!(table.read(&ScanRequest::default()).await.num_rows(), 0);
}
