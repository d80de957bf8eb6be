//! What a scan asks of a store: files that are read again, files one behind the other, and columns behind a condition.

use lake_testkit::{Counters, CountingStore, Op};
use parquet::basic::Compression;

use super::*;
use crate::store::StoreOptions;

/// Long texts that no codec shortens much, so that a file does not come whole with its first request.
fn noise(rows: usize, bytes: usize) -> ArrayRef {
    let mut noise = lake_testkit::SplitMix64::new(3);
    let mut text = || (0..bytes / 16).map(|_| format!("{:016x}", noise.next_u64())).collect::<String>();
    Arc::new(StringArray::from_iter_values((0..rows).map(|_| text())))
}

fn counted(table: &Table) -> (ScanTable, Counters) {
    let mut counters = None;
    let behind = behind(table, |store| {
        let store = CountingStore::new(store);
        counters = Some(store.counters());
        Arc::new(store)
    });
    (behind, counters.unwrap())
}

async fn large_and_small() -> Table {
    let mut table = Table::new("id long, text string", &[]);
    let large = batch(vec![("id", longs(0..9_000)), ("text", noise(9_000, 320))]);
    table.append_foreign("large.parquet", &large, 1_000).await;
    let small = batch(vec![("id", longs(9_000..9_010)), ("text", noise(10, 32))]);
    table.append_foreign("small.parquet", &small, 100).await;
    assert!(table.live[0].size > 1 << 20, "{}", table.live[0].size);
    table
}

/// SCN-11
#[tokio::test]
async fn a_file_that_is_read_again_needs_no_request_for_its_footer() {
    let table = large_and_small().await;
    let (counted, counters) = counted(&table);
    let plan = planned(counted.clone(), &ScanRequest::default(), &table.live).unwrap();
    let first = rows(&plan, ReadOptions::default()).await;
    assert_eq!(ids(&first), (0..9_010).collect::<Vec<_>>());
    // Its end and all nine row groups together; the small one comes whole.
    assert_eq!(counters.total(), 3, "SCN-11: {:?}", counters.requests());
    counters.reset();
    // Another plan, and another version of the table.
    let again = planned(ScanTable { version: 8, ..counted.clone() }, &ScanRequest::default(), &table.live).unwrap();
    assert_eq!(rows(&again, ReadOptions::default()).await, first);
    assert_eq!(counters.by_op(), [(Op::Get, 2)].into(), "SCN-11: {:?}", counters.requests());
    counters.reset();
    let point = with(compare("id", CompareOp::Eq, Scalar::Long(4_321)));
    let found = rows(&planned(counted.clone(), &point, &table.live[..1]).unwrap(), ReadOptions::default()).await;
    assert_eq!(ids(&found), [4_321]);
    let before = counters.total();
    let found = rows(&planned(counted, &point, &table.live[..1]).unwrap(), ReadOptions::default()).await;
    assert_eq!(ids(&found), [4_321]);
    assert!(counters.total() - before <= 1, "SCN-11: {:?}", counters.requests());
    assert!(counters.bytes_read() < table.live[0].size as u64 / 2, "one row group of nine, twice");
}

/// SCN-11
#[tokio::test]
async fn a_file_that_was_replaced_by_one_of_the_same_size_is_read_as_it_is_now() {
    let folder = tempfile::tempdir().unwrap();
    let local = TableRoot::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
    for root in [TableRoot::in_memory("t").unwrap(), local] {
        let mut table = Table::new("id long, text string", &[]);
        table.table.root = root.clone();
        let text = noise(2_000, 640);
        let of = |ids: Vec<i64>| batch(vec![("id", longs(ids)), ("text", Arc::clone(&text))]);
        let options = ParquetOptions { compression: Compression::UNCOMPRESSED, ..ParquetOptions::default() };
        let write = async |ids: Vec<i64>| {
            let path = root.child("a.parquet").unwrap();
            let mut writer = ParquetWriter::new(&root, path, of(ids.clone()).schema(), &options).unwrap();
            writer.write(of(ids)).await.unwrap();
            i64::try_from(writer.finish().await.unwrap()).unwrap()
        };
        let size = write((0..2_000).collect()).await;
        table.live.push(Arc::new(Add { path: "a.parquet".to_owned(), size, ..Add::default() }));
        for _ in 0..2 {
            assert_eq!(ids(&table.read(&ScanRequest::default()).await), (0..2_000).collect::<Vec<_>>());
        }
        SystemClock.sleep(std::time::Duration::from_millis(20)).await;
        let other: Vec<i64> = (0..2_000).rev().collect();
        root.delete(&root.child("a.parquet").unwrap()).await.unwrap();
        assert_eq!(write(other.clone()).await, size, "else this shows nothing");
        for _ in 0..2 {
            assert_eq!(ids(&table.read(&ScanRequest::default()).await), other, "SCN-11");
        }
        root.delete(&root.child("a.parquet").unwrap()).await.unwrap();
        assert_eq!(table.failure().await.kind(), ErrorKind::NotFound, "SCN-11");
    }
}

/// SCN-5
#[tokio::test]
async fn files_behind_are_fetched_while_the_first_waits_but_not_many() {
    let mut table = Table::new("id long, text string", &[]);
    for i in 0..20 {
        let rows = batch(vec![("id", longs(i * 2_000..(i + 1) * 2_000)), ("text", noise(2_000, 640))]);
        table.append_foreign(&format!("{i}.parquet"), &rows, 500).await;
    }
    for (prefetch_files, limit) in [(0, None), (4, None), (4, Some(30_000))] {
        let (counted, counters) = counted(&table);
        let request = ScanRequest { limit, ..ScanRequest::default() };
        let plan = planned(counted, &request, &table.live).unwrap();
        let mut stream = plan.stream(ReadOptions { prefetch_files, ..ReadOptions::default() });
        let mut found = stream.try_next().await.unwrap().unwrap().num_rows();
        SystemClock.sleep(std::time::Duration::from_millis(300)).await;
        let touched: std::collections::BTreeSet<String> =
            counters.requests().iter().map(|request| request.path.to_string()).collect();
        let most = if limit.is_some() { 2 } else { 2 + prefetch_files };
        assert!(touched.len() <= most + 1, "{touched:?}");
        assert!(touched.len() >= most, "{touched:?}");
        while let Some(batch) = stream.try_next().await.unwrap() {
            found += batch.num_rows();
        }
        assert_eq!(found, limit.unwrap_or(40_000) as usize);
        if limit.is_none() {
            assert_eq!(counters.total(), 40, "two requests for each file: {:?}", counters.by_op());
        }
    }
}

/// Rows of which few, many, or those of one stretch pass; some are deleted.
async fn for_conditions() -> (Table, RecordBatch) {
    let mut table = Table::new("id long, rare long, half long, stretch long, text string", &[]);
    let rows = 60_000_i64;
    let of = |value: fn(i64) -> Option<i64>| -> ArrayRef { Arc::new(Int64Array::from_iter((0..rows).map(value))) };
    let all = batch(vec![
        ("id", longs(0..rows)),
        ("rare", of(|i| (i % 13 != 0).then_some(i * 7_919 % 1_000))),
        ("half", of(|i| Some(i * 7_919 % 2))),
        ("stretch", of(|i| Some(i64::from((31_000..31_500).contains(&i)) + i * 7_919 % 2 * 2))),
        ("text", noise(rows as usize, 64)),
    ]);
    table.append_foreign("a.parquet", &all, 20_000).await;
    table.delete(0, (31_100..31_200).chain((0..60_000).step_by(77)), false).await;
    let deleted: Vec<bool> = (0..rows).map(|i| (31_100..31_200).contains(&i) || i % 77 == 0).collect();
    let live = arrow_array::BooleanArray::from(deleted.iter().map(|gone| !gone).collect::<Vec<_>>());
    (table, filter_record_batch(&all, &live).unwrap())
}

/// SCN-1, SCN-12
#[tokio::test]
async fn rows_judged_before_the_other_columns_are_those_of_the_plain_way() {
    let (table, all) = for_conditions().await;
    let conditions = [
        compare("rare", CompareOp::Eq, Scalar::Long(77)),
        compare("rare", CompareOp::Gt, Scalar::Long(990)),
        compare("half", CompareOp::Eq, Scalar::Long(1)),
        Predicate::IsNull(ColumnPath::top("rare")),
        Predicate::Or(vec![
            compare("rare", CompareOp::Eq, Scalar::Long(5)),
            compare("stretch", CompareOp::Eq, Scalar::Long(1)),
        ]),
        compare("stretch", CompareOp::Eq, Scalar::Long(1)),
        compare("rare", CompareOp::Eq, Scalar::Long(5_000)),
        compare("text", CompareOp::Lt, Scalar::String("0".to_owned())),
        compare("text", CompareOp::Lt, Scalar::String("001".to_owned())),
    ];
    for condition in conditions {
        let mask = evaluate(&condition, &all).unwrap();
        let expected = filter_record_batch(&all, &mask).unwrap();
        for batch_rows in [8192, 777] {
            let plan = table.plan(&with(condition.clone())).unwrap();
            let found = rows(&plan, ReadOptions { batch_rows, ..ReadOptions::default() }).await;
            assert_eq!(found.columns(), expected.columns(), "SCN-12: {condition:?}");
            let few = ScanRequest { columns: Some(vec!["text".to_owned()]), ..with(condition.clone()) };
            let found = rows(&table.plan(&few).unwrap(), ReadOptions::default()).await;
            assert_eq!(found.column(0), expected.column(4), "SCN-12: {condition:?}");
            let limited = ScanRequest { limit: Some(3), ..with(condition.clone()) };
            let found = rows(&table.plan(&limited).unwrap(), ReadOptions::default()).await;
            assert_eq!(found.columns(), expected.slice(0, expected.num_rows().min(3)).columns(), "{condition:?}");
        }
    }
}

/// SCN-12
#[tokio::test]
async fn columns_of_rows_that_do_not_pass_are_not_fetched() {
    let (table, _) = for_conditions().await;
    let size = table.live[0].size as u64;
    let bytes = async |condition: Predicate| {
        let (counted, counters) = counted(&table);
        rows(&planned(counted, &with(condition), &table.live).unwrap(), ReadOptions::default()).await;
        counters.bytes_read()
    };
    let none = bytes(compare("rare", CompareOp::Eq, Scalar::Long(7_777))).await;
    assert!(none < size / 4, "SCN-12: {none} of {size}");
    let stretch = bytes(compare("stretch", CompareOp::Eq, Scalar::Long(1))).await;
    assert!(stretch < size * 3 / 4, "SCN-12: {stretch} of {size}");
    let half = bytes(compare("half", CompareOp::Eq, Scalar::Long(1))).await;
    assert!(half < size * 5 / 4, "what can't pay is found out early: {half} of {size}");
}
