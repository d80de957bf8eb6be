//! Tables that change shape: every version still reads under its own schema.

mod model;
mod rules;

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Date32Type, Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Date32Array, Decimal128Array, Float32Array, Int32Array, Int64Array, RecordBatch, StringArray,
};
use futures::TryStreamExt;
use serde_json::Value;

use super::super::{
    AppendOptions, CreateOptions, Input, OverwriteOptions, Profile, append, create, overwrite, restore,
};
use super::*;
use crate::clock::{ClockRef, SystemClock};
use crate::error::ErrorKind;
use crate::expr::{CompareOp, Predicate, Scalar};
use crate::protocol::{FEATURES, Support};
use crate::scan::{ReadOptions, ScanRequest};
use crate::schema::mapping::{MAX_ID_PROPERTY, field_id, physical_name};
use crate::schema::{PrimitiveType, parse_declaration};
use crate::snapshot::At;
use crate::store::TableRoot;
use crate::store::parquet::{ParquetFile, write_batches};
use crate::transaction::LogCommitter;

pub(super) fn path(text: &str) -> Vec<String> {
    text.split('.').map(str::to_owned).collect()
}

pub(super) fn pairs(properties: &[(&str, &str)]) -> BTreeMap<String, String> {
    properties.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

pub(super) async fn table(declaration: &str, partitions: &[&str], properties: &[(&str, &str)]) -> Arc<Snapshot> {
    let schema = parse_declaration(declaration).expect("schema");
    let options = CreateOptions {
        schema,
        partition_columns: partitions.iter().map(|&name| name.to_owned()).collect(),
        properties: pairs(properties),
        ..CreateOptions::default()
    };
    created(options).await.expect("created")
}

pub(super) async fn created(options: CreateOptions) -> Result<Arc<Snapshot>> {
    let root = TableRoot::in_memory("t").expect("root");
    let clock: ClockRef = SystemClock::shared();
    create(&root, &clock, &LogCommitter, options, None).await?;
    Ok(Arc::new(Snapshot::load(root, At::Latest, clock).await.expect("loads")))
}

pub(super) fn committed(outcome: Result<WriteOutcome>) -> Arc<Snapshot> {
    match outcome.expect("committed") {
        WriteOutcome::Committed(_, committed) => committed.snapshot,
        other => panic!("{other:?}"),
    }
}

pub(super) fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

pub(super) async fn appended(snapshot: &Arc<Snapshot>, batch: RecordBatch, merge_schema: bool) -> Result<WriteOutcome> {
    let options = AppendOptions { merge_schema, ..AppendOptions::default() };
    append(snapshot, &LogCommitter, &options, Input::from_batches(batch.schema(), vec![batch])).await
}

async fn altered(snapshot: &Arc<Snapshot>, changes: &[SchemaChange]) -> Result<WriteOutcome> {
    alter_schema(snapshot, &LogCommitter, changes).await
}

async fn set(snapshot: &Arc<Snapshot>, properties: &[(&str, &str)]) -> Result<WriteOutcome> {
    let changes = properties.iter().map(|&(key, value)| (key.to_owned(), Some(value.to_owned()))).collect();
    set_properties(snapshot, &LogCommitter, &changes).await
}

async fn read_where(snapshot: &Snapshot, predicate: Option<Predicate>) -> Result<Vec<RecordBatch>> {
    let request = ScanRequest { predicate, ..ScanRequest::default() };
    snapshot.plan_scan(&request).await?.stream(ReadOptions::default()).try_collect().await
}

/// One column of all rows, files in any order.
async fn column(snapshot: &Snapshot, name: &str) -> ArrayRef {
    let batches = read_where(snapshot, None).await.expect("rows");
    let arrays: Vec<ArrayRef> = batches.iter().map(|batch| batch.column_by_name(name).expect(name).clone()).collect();
    arrow_select::concat::concat(&arrays.iter().map(AsRef::as_ref).collect::<Vec<_>>()).expect("one type")
}

fn longs(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(values.iter().copied().collect::<Int64Array>())
}

fn rename(from: &str, name: &str) -> SchemaChange {
    SchemaChange::Rename { path: path(from), name: name.into() }
}

fn drop_column(name: &str) -> SchemaChange {
    SchemaChange::Drop { path: path(name) }
}

fn add(name: &str, data_type: PrimitiveType) -> SchemaChange {
    let field = StructField::new(name, DataType::Primitive(data_type), true);
    SchemaChange::Add { parent: Vec::new(), field, position: Position::Last }
}

fn widen(name: &str, to: PrimitiveType) -> SchemaChange {
    SchemaChange::Widen { path: path(name), to }
}

const NAMED: (&str, &str) = ("delta.columnMapping.mode", "name");

#[tokio::test]
async fn a_mapped_table_writes_physical_names_everywhere() {
    for mode in ["name", "id"] {
        let head = table("id long, `a day` string", &["a day"], &[("delta.columnMapping.mode", mode)]).await;
        let days: ArrayRef = Arc::new(StringArray::from(vec![Some("x=1"), None]));
        let rows = batch(vec![("id", longs(&[Some(1), Some(2)])), ("A day", days)]);
        let head = committed(appended(&head, rows, false).await);
        let [id, day] = head.schema().fields.as_slice() else { panic!("two columns") };
        let (id_name, day_name) = (physical_name(id, head.mapping()), physical_name(day, head.mapping()));
        assert!(id_name.starts_with("col-") && day_name.starts_with("col-"), "MAP-3: {id_name}");
        assert_eq!(head.partition_columns(), ["a day"], "MAP-5: logical");
        let files: Vec<_> = head.files().await.unwrap().iter().collect();
        assert_eq!(files.len(), 2);
        for add in files {
            assert_eq!(add.partition_values.keys().collect::<Vec<_>>(), [day_name], "MAP-5: physical");
            let stats: Value = serde_json::from_str(add.stats.as_deref().unwrap()).unwrap();
            assert!(stats["minValues"][id_name].is_i64() && stats["nullCount"][id_name].is_i64(), "MAP-5: {stats}");
            assert!(!add.path.contains("day") && add.path.find('/') == Some(2), "MAP-5: {}", add.path);
            let stored = ParquetFile::open(head.root(), &head.root().resolve(&add.path).unwrap(), None).await.unwrap();
            let field = stored.arrow_schema().field(0);
            assert_eq!((field.name().as_str(), crate::scan::adapt::stored_id(field)), (id_name, field_id(id)), "MAP-5");
        }
        assert_eq!(column(&head, "id").await.len(), 2);
        let null_day = Predicate::IsNull(ColumnPath::top("a day"));
        let batches = read_where(&head, Some(null_day)).await.unwrap();
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1, "MAP-5");
    }
}

#[tokio::test]
async fn a_dropped_column_never_comes_back_under_its_old_name() {
    let v0 = table("id long, a long", &[], &[NAMED]).await;
    let v1 = committed(appended(&v0, batch(vec![("id", longs(&[Some(1)])), ("a", longs(&[Some(7)]))]), false).await);
    let v2 = committed(altered(&v1, &[drop_column("a")]).await);
    let v3 = committed(altered(&v2, &[add("a", PrimitiveType::String)]).await);
    assert!(column(&v3, "a").await.is_null(0), "EVO-1");
    let text: ArrayRef = Arc::new(StringArray::from(vec!["new"]));
    let v4 = committed(appended(&v3, batch(vec![("id", longs(&[Some(2)])), ("a", text)]), false).await);
    assert_eq!(column(&v4, "a").await.null_count(), 1, "EVO-1");
    assert_eq!(column(&v1, "a").await.as_primitive::<Int64Type>().value(0), 7, "EVO-1");
    // Restoring the old schema gives no id a second time.
    let v5 = committed(restore(&v4, &LogCommitter, &v1).await);
    assert_eq!(column(&v5, "a").await.as_primitive::<Int64Type>().value(0), 7);
    assert_eq!(v5.metadata().configuration[MAX_ID_PROPERTY], "3", "MAP-3");
    let v6 = committed(altered(&v5, &[add("b", PrimitiveType::Long)]).await);
    assert_eq!(field_id(&v6.schema().fields[2]), Some(4), "MAP-3");
    // So does a new schema as a whole.
    let rows = batch(vec![("a", longs(&[Some(9)]))]);
    let options = OverwriteOptions { overwrite_schema: true, ..OverwriteOptions::default() };
    let rows = Input::from_batches(rows.schema(), vec![rows]);
    let v7 = committed(overwrite(&v6, &LogCommitter, &options, rows).await);
    assert_eq!(
        (field_id(&v7.schema().fields[0]), column(&v7, "a").await.len()),
        (Some(2), 1),
        "MAP-3: the same column"
    );
    let text: ArrayRef = Arc::new(StringArray::from(vec!["t"]));
    let rows = batch(vec![("a", text)]);
    let rows = Input::from_batches(rows.schema(), vec![rows]);
    let v8 = committed(overwrite(&v7, &LogCommitter, &options, rows).await);
    assert_eq!((field_id(&v8.schema().fields[0]), column(&v8, "a").await.len()), (Some(5), 1), "MAP-3: another one");
}

#[tokio::test]
async fn rename_and_drop_need_mapping_which_can_be_asked_for_later() {
    let v0 = table("id long, s struct<x: long>, p long", &["p"], &[]).await;
    let inner: ArrayRef = Arc::new(arrow_array::StructArray::from(batch(vec![("x", longs(&[Some(5)]))])));
    let rows = batch(vec![("id", longs(&[Some(1)])), ("s", inner), ("p", longs(&[Some(3)]))]);
    let v1 = committed(appended(&v0, rows.clone(), false).await);
    for change in [rename("id", "key"), drop_column("s")] {
        let error = altered(&v1, std::slice::from_ref(&change)).await.expect_err("EVO-2");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.hint().is_some_and(|hint| hint.contains("delta.columnMapping.mode=name")), "EVO-2: {error}");
    }
    let v2 = committed(set(&v1, &[NAMED]).await);
    assert!(is_supported(v2.protocol(), "columnMapping") && is_supported(v2.protocol(), "appendOnly"), "PRO-2");
    assert!(v2.protocol().writer_features.as_ref().unwrap().contains(&"invariants".to_owned()), "PRO-2");
    let changes = [rename("id", "key"), rename("s.x", "two words"), rename("p", "part")];
    let v3 = committed(altered(&v2, &changes).await);
    let v4 = committed(appended(&v3, v3_rows(), false).await);
    assert_eq!(v4.partition_columns(), ["part"], "EVO-2");
    assert_eq!(column(&v4, "key").await.as_primitive::<Int64Type>().values().iter().sum::<i64>(), 11, "MAP-4");
    assert_eq!(column(&v4, "part").await.as_primitive::<Int64Type>().values().iter().sum::<i64>(), 33, "MAP-4");
    let structs = column(&v4, "s").await;
    let inner = structs.as_struct().column_by_name("two words").expect("renamed").clone();
    assert_eq!(inner.as_primitive::<Int64Type>().values().iter().sum::<i64>(), 55, "MAP-4");
    assert_eq!(column(&v1, "id").await.len(), 1);
    for (change, kind) in [
        (drop_column("part"), ErrorKind::Unsupported),
        (drop_column("nosuch"), ErrorKind::NotFound),
        (rename("key", "PART"), ErrorKind::AlreadyExists),
    ] {
        assert_eq!(altered(&v4, &[change]).await.expect_err("EVO-2").kind(), kind);
    }
    let both = [drop_column("key"), drop_column("s")];
    assert_eq!(altered(&v4, &both).await.expect_err("EVO-2: nothing but partitions").kind(), ErrorKind::Invalid);
    for mode in ["none", "id"] {
        let error = set(&v4, &[("delta.columnMapping.mode", mode)]).await.expect_err("MAP-4");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }
    let unset = BTreeMap::from([("delta.columnMapping.mode".to_owned(), None)]);
    assert_eq!(set_properties(&v4, &LogCommitter, &unset).await.expect_err("MAP-4").kind(), ErrorKind::Unsupported);
}

fn v3_rows() -> RecordBatch {
    let inner: ArrayRef = Arc::new(arrow_array::StructArray::from(batch(vec![("two words", longs(&[Some(50)]))])));
    batch(vec![("key", longs(&[Some(10)])), ("s", inner), ("part", longs(&[Some(30)]))])
}

#[tokio::test]
async fn names_in_properties_follow_their_columns() {
    let property = ("delta.dataSkippingStatsColumns", "s.x, b");
    let v0 = table("s struct<x: long, y: long>, b long, c long", &[], &[NAMED, property]).await;
    let v1 = committed(altered(&v0, &[rename("s", "a b"), rename("b", "d")]).await);
    assert_eq!(v1.metadata().configuration[STATS_COLUMNS], "`a b`.x,d", "EVO-2");
    let v2 = committed(altered(&v1, &[drop_column("a b")]).await);
    assert_eq!(v2.metadata().configuration[STATS_COLUMNS], "d", "EVO-2");
    let rows = batch(vec![("d", longs(&[Some(1)])), ("c", longs(&[Some(2)]))]);
    let v3 = committed(appended(&v2, rows, false).await);
    let stats = v3.files().await.unwrap().iter().next().unwrap().stats.clone().unwrap();
    let stats: Value = serde_json::from_str(&stats).unwrap();
    let name = physical_name(&v3.schema().fields[0], v3.mapping());
    assert_eq!((stats["minValues"][name].as_i64(), stats["minValues"].as_object().unwrap().len()), (Some(1), 1));
}

fn narrow() -> RecordBatch {
    let decimals = Decimal128Array::from(vec![12345, -500]).with_precision_and_scale(5, 2).unwrap();
    batch(vec![
        ("i", Arc::new(Int32Array::from(vec![i32::MAX, -1])) as ArrayRef),
        ("f", Arc::new(Float32Array::from(vec![0.1_f32, 16_777_216.0]))),
        ("d", Arc::new(Date32Array::from(vec![0, -1]))),
        ("m", Arc::new(decimals)),
        ("x", Arc::new(Int32Array::from(vec![7, -7]))),
    ])
}

#[tokio::test]
async fn widened_columns_read_old_files_and_prune_them_right() {
    let on = [("delta.enableTypeWidening", "true"), ("delta.feature.timestampNtz", "supported")];
    let v0 = table("i integer, f float, d date, m decimal(5,2), x integer", &[], &on).await;
    let v1 = committed(appended(&v0, narrow(), false).await);
    let changes = [
        widen("i", PrimitiveType::Long),
        widen("f", PrimitiveType::Double),
        widen("d", PrimitiveType::TimestampNtz),
        widen("m", PrimitiveType::Decimal { precision: 9, scale: 4 }),
        widen("x", PrimitiveType::Decimal { precision: 14, scale: 3 }),
    ];
    let v2 = committed(altered(&v1, &changes).await);
    assert_eq!(column(&v2, "i").await.as_primitive::<Int64Type>().values(), &[i64::from(i32::MAX), -1], "WID-1");
    assert_eq!(column(&v2, "f").await.as_primitive::<Float64Type>().value(0), f64::from(0.1_f32), "WID-1");
    assert_eq!(column(&v2, "d").await.as_primitive::<TimestampMicrosecondType>().value(1), -86_400_000_000, "WID-1");
    assert_eq!(column(&v2, "m").await.as_primitive::<Decimal128Type>().values(), &[1_234_500, -50_000], "WID-1");
    assert_eq!(column(&v2, "x").await.as_primitive::<Decimal128Type>().value(0), 7000, "WID-1");
    assert_eq!(column(&v1, "d").await.as_primitive::<Date32Type>().value(1), -1, "EVO-1");
    let decimal = |unscaled, precision, scale| Scalar::Decimal { unscaled, precision, scale };
    let literals: Vec<(&str, Vec<Scalar>)> = vec![
        ("i", [-2, -1, 0, i64::from(i32::MAX), 3_000_000_000].map(Scalar::Long).into()),
        ("f", [0.1, f64::from(0.1_f32), 0.100_000_001, 16_777_216.0, 16_777_217.0].map(Scalar::Double).into()),
        ("d", [-86_400_000_000, -86_399_999_999, -1, 0, 1].map(Scalar::TimestampNtz).into()),
        ("m", [-50_001, -50_000, 1_234_500, 1_234_501].map(|v| decimal(v, 9, 4)).into()),
        ("x", [-7001, -7000, 0, 7000, 7001].map(|v| decimal(v, 14, 3)).into()),
    ];
    for (name, literals) in literals {
        for literal in literals {
            for op in [CompareOp::Eq, CompareOp::Lt, CompareOp::LtEq, CompareOp::Gt, CompareOp::GtEq, CompareOp::NotEq]
            {
                let predicate = Predicate::Compare { column: ColumnPath::top(name), op, value: literal.clone() };
                let pruned = read_where(&v2, Some(predicate.clone())).await.expect("rows");
                let pruned: usize = pruned.iter().map(RecordBatch::num_rows).sum();
                let all = read_where(&v2, None).await.expect("rows");
                let right: usize = all.iter().map(|b| crate::expr::evaluate(&predicate, b).unwrap().true_count()).sum();
                assert_eq!(pruned, right, "WID-3: {predicate:?}");
            }
        }
    }
    let narrower = altered(&v2, &[widen("i", PrimitiveType::Integer)]).await.expect_err("WID-1");
    assert_eq!(narrower.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn widening_is_asked_for() {
    let v0 = table("i integer, s struct<f: float>, p short", &["p"], &[]).await;
    let error = altered(&v0, &[widen("i", PrimitiveType::Long)]).await.expect_err("EVO-2");
    assert!(error.hint().is_some_and(|hint| hint.contains("delta.enableTypeWidening=true")), "{error}");
    let big = batch(vec![("i", longs(&[Some(1 << 40)])), ("p", longs(&[Some(70_000)]))]);
    assert_eq!(appended(&v0, big.clone(), true).await.expect_err("WID-4").kind(), ErrorKind::Invalid);
    let small = batch(vec![
        ("i", Arc::new(Int32Array::from(vec![5])) as ArrayRef),
        ("p", Arc::new(arrow_array::Int16Array::from(vec![2]))),
    ]);
    let v1 = committed(appended(&v0, small, false).await);
    let v2 = committed(set(&v1, &[("delta.enableTypeWidening", "true")]).await);
    assert_eq!(appended(&v2, big.clone(), false).await.expect_err("WID-4").kind(), ErrorKind::Invalid);
    let v3 = committed(appended(&v2, big, true).await);
    assert_eq!(v3.schema().fields[0].data_type, DataType::Primitive(PrimitiveType::Long), "WID-4");
    assert_eq!(v3.schema().fields[0].metadata["delta.typeChanges"][0]["toType"], "long", "WID-5");
    let sum = |array: ArrayRef| array.as_primitive::<Int64Type>().values().iter().sum::<i64>();
    assert_eq!(sum(column(&v3, "i").await), (1 << 40) + 5, "WID-1");
    assert_eq!(sum(column(&v3, "p").await), 70_002, "WID-1: a partition value");
    let error = altered(&v3, &[widen("s.f", PrimitiveType::TimestampNtz)]).await.expect_err("WID-1");
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_file_without_ids_is_refused_where_columns_go_by_id() {
    let head = table("id long", &[], &[("delta.columnMapping.mode", "id")]).await;
    let rows = batch(vec![(physical_name(&head.schema().fields[0], head.mapping()), longs(&[Some(1)]))]);
    let file = head.root().child("alien.parquet").unwrap();
    let size = write_batches(head.root(), &file, rows.schema(), &[rows]).await.unwrap();
    let add = crate::action::Add {
        path: "alien.parquet".into(),
        size: i64::try_from(size).unwrap(),
        data_change: true,
        ..crate::action::Add::default()
    };
    let actions = vec![Action::Add(Box::new(add))];
    let staged = Staged { operation: Operation::new("WRITE"), actions, reads: Reads::Nothing };
    let outcome = transact(Base::On(head), staged, &LogCommitter).await.unwrap();
    let crate::transaction::Outcome::Committed(done) = outcome else { panic!("unknown") };
    let error = read_where(&done.snapshot, None).await.expect_err("MAP-6");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.object().is_some_and(|object| object.contains("alien")), "MAP-6: {error}");
}

#[tokio::test]
async fn a_profile_sets_what_lake_keeps_up_and_nothing_else() {
    let schema = parse_declaration("id long").unwrap();
    let plain = created(CreateOptions { schema: schema.clone(), ..CreateOptions::default() }).await.unwrap();
    assert_eq!((plain.protocol().min_reader_version, plain.protocol().min_writer_version), (1, 2));
    assert!(plain.metadata().configuration.is_empty());
    let options = CreateOptions { schema, profile: Profile::Modern, ..CreateOptions::default() };
    let modern = created(options.clone()).await.unwrap();
    assert_eq!(modern.mapping(), MappingMode::Name);
    modern.check_writable().expect("PRO-1");
    for feature in modern.protocol().writer_features.iter().flatten() {
        let known = FEATURES.iter().find(|known| known.name == feature).expect("known");
        assert!(known.read != Support::No && known.write != Support::No, "PRO-1: {feature}");
    }
    let rows = batch(vec![("id", longs(&[Some(1)]))]);
    assert_eq!(column(&committed(appended(&modern, rows, false).await), "id").await.len(), 1);
    let unmapped = CreateOptions { properties: pairs(&[("delta.columnMapping.mode", "none")]), ..options };
    assert_eq!(created(unmapped).await.unwrap().mapping(), MappingMode::None, "PRO-1: what is asked for counts");
}

#[tokio::test]
async fn features_are_enabled_when_asked_for_and_never_otherwise() {
    let head = table("id long", &[], &[]).await;
    let ntz = add("at", PrimitiveType::TimestampNtz);
    let error = altered(&head, std::slice::from_ref(&ntz)).await.expect_err("PRO-1");
    let hint = error.hint().unwrap_or_default().to_owned();
    assert!(hint.contains("delta.feature.timestampNtz=supported"), "PRO-1: {hint}");
    let head = committed(set(&head, &[("delta.feature.timestampNtz", "supported")]).await);
    assert!(head.metadata().configuration.is_empty(), "PRO-1: an order is not kept");
    assert_eq!(head.protocol().reader_features.as_deref(), Some(&["timestampNtz".to_owned()][..]));
    let head = committed(altered(&head, &[ntz]).await);
    assert_eq!(head.schema().fields.len(), 2);
    let error = set(&head, &[("delta.enableRowTracking", "true")]).await.expect_err("rows without ids");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let head = committed(set(&head, &[("delta.enableTypeWidening", "true")]).await);
    assert!(is_supported(head.protocol(), "typeWidening") && is_supported(head.protocol(), "timestampNtz"), "PRO-2");
}

#[tokio::test]
async fn merging_adds_nested_fields_at_any_depth() {
    for mode in ["none", "name"] {
        let v0 = table("id long, s struct<x: long>", &[], &[("delta.columnMapping.mode", mode)]).await;
        let inner: ArrayRef = Arc::new(arrow_array::StructArray::from(batch(vec![
            ("X", longs(&[Some(1)])),
            ("deep", Arc::new(arrow_array::StructArray::from(batch(vec![("y", longs(&[Some(2)]))]))) as ArrayRef),
        ])));
        let v1 = committed(appended(&v0, batch(vec![("S", inner), ("new", longs(&[Some(3)]))]), true).await);
        let shown = DataType::Struct(StructType::clone(v1.schema())).to_string();
        assert_eq!(shown, "struct<id:long,s:struct<x:long,deep:struct<y:long>>,new:long>", "EVO-3");
        let structs = column(&v1, "s").await;
        let deep = structs.as_struct().column_by_name("deep").unwrap().as_struct().column(0).clone();
        assert_eq!(deep.as_primitive::<Int64Type>().value(0), 2, "EVO-3");
        if mode == "none" {
            let odd = batch(vec![("a b", longs(&[Some(3)]))]);
            assert_eq!(appended(&v1, odd, true).await.expect_err("EVO-3").kind(), ErrorKind::Invalid);
        }
    }
}

#[tokio::test]
async fn mapped_tables_are_replaced_by_condition_and_partition_and_restored() {
    use super::super::Replace;
    for mode in ["name", "id"] {
        let v0 = table("id long, p string, x long", &["p"], &[("delta.columnMapping.mode", mode)]).await;
        let rows = |id: &str, part: &str, x: &str, values: [i64; 2], p: &str| {
            let parts: ArrayRef = Arc::new(StringArray::from(vec![p, p]));
            let longs = |times: i64| longs(&[Some(values[0] * times), Some(values[1] * times)]);
            batch(vec![(id, longs(1)), (part, parts), (x, longs(10))])
        };
        let v1 = committed(appended(&v0, rows("id", "p", "x", [1, 2], "a"), false).await);
        let v2 = committed(appended(&v1, rows("id", "p", "x", [3, 4], "b"), false).await);
        // Names change places, so that going by them would hit other columns.
        let v3 = committed(altered(&v2, &[rename("id", "y"), rename("x", "id"), rename("p", "x")]).await);
        let replaced = |head: Arc<Snapshot>, replace: Replace, rows: RecordBatch| async move {
            let options = OverwriteOptions { replace, ..OverwriteOptions::default() };
            let input = Input::from_batches(rows.schema(), vec![rows]);
            committed(overwrite(&head, &LogCommitter, &options, input).await)
        };
        let ids = |snapshot: Arc<Snapshot>| async move {
            let mut ids = column(&snapshot, "y").await.as_primitive::<Int64Type>().values().to_vec();
            ids.sort_unstable();
            ids
        };
        let v4 = replaced(Arc::clone(&v3), Replace::Partitions, rows("y", "x", "id", [5, 6], "b")).await;
        assert_eq!(ids(Arc::clone(&v4)).await, [1, 2, 5, 6], "MAP-5");
        let above = Predicate::Compare { column: ColumnPath::top("y"), op: CompareOp::Gt, value: Scalar::Long(5) };
        let v5 = replaced(Arc::clone(&v4), Replace::Where(above), rows("y", "x", "id", [7, 8], "c")).await;
        assert_eq!(ids(Arc::clone(&v5)).await, [1, 2, 5, 7, 8], "MAP-5");
        let v6 = committed(restore(&v5, &LogCommitter, &v1).await);
        assert_eq!(column(&v6, "id").await.as_primitive::<Int64Type>().values(), &[1, 2], "MAP-5");
    }
}

#[tokio::test]
async fn a_table_that_was_mapped_later_is_restored_to_before() {
    let v0 = table("a long, b long", &[], &[]).await;
    let v1 = committed(appended(&v0, batch(vec![("a", longs(&[Some(1)])), ("b", longs(&[Some(2)]))]), false).await);
    let v2 = committed(set(&v1, &[NAMED]).await);
    let v3 = committed(altered(&v2, &[rename("a", "c"), rename("b", "a")]).await);
    assert_eq!(column(&v3, "a").await.as_primitive::<Int64Type>().value(0), 2);
    let v4 = committed(restore(&v3, &LogCommitter, &v1).await);
    assert_eq!((v4.mapping(), v4.schema().fields[0].name.as_str()), (MappingMode::Name, "a"), "MAP-4");
    assert_eq!(column(&v4, "a").await.as_primitive::<Int64Type>().value(0), 1, "MAP-4");
    assert_eq!(field_id(&v4.schema().fields[0]), Some(3), "MAP-3");
}
