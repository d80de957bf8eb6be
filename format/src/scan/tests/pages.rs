//! Pages that can't match are neither fetched nor decoded, and a damaged index of pages changes no answer.

use lake_testkit::{CountingStore, SplitMix64};
use parquet::file::metadata::ParquetMetaDataReader;

use super::*;
use crate::action::DeletionVector;

impl Table {
    /// Appends a file of small pages in one row group.
    async fn append_pages(&mut self, name: &str, batch: &RecordBatch, page_rows: usize) {
        let path = self.table.root.child(name).unwrap();
        let options = ParquetOptions { page_rows, ..ParquetOptions::default() };
        let mut writer = ParquetWriter::new(&self.table.root, path, batch.schema(), &options).unwrap();
        writer.write(batch.clone()).await.unwrap();
        let size = i64::try_from(writer.finish().await.unwrap()).unwrap();
        self.live.push(Arc::new(Add { path: name.to_owned(), size, ..Add::default() }));
    }
}

fn many(rows: i64) -> RecordBatch {
    let mut noise = SplitMix64::new(3);
    let text =
        StringArray::from_iter((0..rows).map(|i| (i % 7 > 0).then(|| format!("text {:016x}", noise.next_u64()))));
    let lists = arrow_array::ListArray::from_iter_primitive::<Int32Type, _, _>(
        (0..rows).map(|i| (i % 5 > 0).then(|| (0..i % 4).map(|v| Some(v as i32)))),
    );
    let late: Int64Array = (0..rows).map(|i| (i >= rows / 2).then_some(i % 100)).collect();
    batch(vec![
        ("id", longs(0..rows)),
        ("s", Arc::new(text)),
        ("a", Arc::new(lists)),
        ("late", Arc::new(late)),
        ("back", longs((0..rows).rev())),
    ])
}

const MANY: &str = "id long, s string, a array<int>, late long, back long";

fn loose() -> ReadOptions {
    ReadOptions { exact_filter: false, ..ReadOptions::default() }
}

fn between(column: &str, from: i64, to: i64) -> Predicate {
    Predicate::And(vec![
        compare(column, CompareOp::GtEq, Scalar::Long(from)),
        compare(column, CompareOp::Lt, Scalar::Long(to)),
    ])
}

/// SCN-1
#[tokio::test]
async fn pages_that_cannot_match_are_not_decoded() {
    let mut table = Table::new(MANY, &[]);
    table.append_pages("a.parquet", &many(20_000), 500).await;
    let everything = table.read(&ScanRequest::default()).await;
    let all = |predicate: &Predicate| filter_record_batch(&everything, &evaluate(predicate, &everything).unwrap());
    for (predicate, most) in [
        (between("id", 1_200, 1_300), 500),
        (between("id", 1_499, 1_501), 1_000),
        (Predicate::And(vec![between("id", 1_000, 2_000), between("back", 18_000, 18_600)]), 1_000),
        (Predicate::Or(vec![between("id", 3, 4), between("back", 3, 4)]), 1_000),
        (Predicate::IsNotNull(ColumnPath::top("late")), 10_000),
        (Predicate::And(vec![Predicate::IsNull(ColumnPath::top("late")), between("id", 9_990, 20_000)]), 500),
        (Predicate::Not(Box::new(compare("id", CompareOp::Lt, Scalar::Long(19_900)))), 500),
    ] {
        let plan = table.plan(&with(predicate.clone())).unwrap();
        assert_eq!(rows(&plan, ReadOptions::default()).await, all(&predicate).unwrap(), "{predicate:?}");
        let read = rows(&plan, loose()).await;
        assert!(read.num_rows() <= most && read.num_rows() > 0, "{} rows for {predicate:?}", read.num_rows());
    }
}

/// DV-3
#[tokio::test]
async fn pages_and_deleted_rows_are_left_out_together() {
    let mut table = Table::new(MANY, &[]);
    table.append_pages("a.parquet", &many(20_000), 500).await;
    let everything = table.read(&ScanRequest::default()).await;
    let vector: DeletionVector = (0..20_000).filter(|row| row % 3 == 0 || (4_000..7_000).contains(row)).collect();
    let descriptor = crate::action::DeletionVectorDescriptor::inline(&vector).unwrap();
    Arc::make_mut(&mut table.live[0]).deletion_vector = Some(descriptor);
    let live: Vec<bool> = (0..20_000).map(|row| !vector.contains(row)).collect();
    let left = filter_record_batch(&everything, &live.into()).unwrap();
    for predicate in [
        between("id", 1_200, 1_300),
        between("id", 3_700, 7_200),
        between("id", 4_500, 5_500),
        between("back", 9_000, 11_000),
        Predicate::IsNull(ColumnPath::top("s")),
    ] {
        let expected = filter_record_batch(&left, &evaluate(&predicate, &left).unwrap()).unwrap();
        assert_eq!(table.read(&with(predicate.clone())).await, expected, "{predicate:?}");
    }
}

#[tokio::test]
async fn pages_that_cannot_match_are_not_fetched() {
    let mut noise = SplitMix64::new(5);
    let mut blob = || (0..40).flat_map(|_| noise.next_u64().to_le_bytes()).collect::<Vec<u8>>();
    let blobs: Vec<Vec<u8>> = (0..30_000).map(|_| blob()).collect();
    let big = batch(vec![("id", longs(0..30_000)), ("blob", Arc::new(BinaryArray::from_iter_values(&blobs)))]);
    let mut table = Table::new("id long, blob binary", &[]);
    table.append_pages("a.parquet", &big, 500).await;
    let mut counters = None;
    let counted = behind(&table, |store| {
        let store = CountingStore::new(store);
        counters = Some(store.counters());
        Arc::new(store)
    });
    let plan = planned(counted, &with(between("id", 15_000, 15_010)), &table.live).unwrap();
    let size = plan.files.get(0).unwrap().size_bytes();
    assert_eq!(ids(&rows(&plan, ReadOptions::default()).await), (15_000..15_010).collect::<Vec<_>>());
    let counters = counters.unwrap();
    assert!(size > 9 << 20 && counters.bytes_read() < size / 4, "{} of {size}", counters.bytes_read());
}

/// Where the index of pages is in a file: between the last column and the footer.
fn index_of(bytes: &[u8]) -> std::ops::Range<usize> {
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let footer = bytes.len() - 8 - length;
    let metadata = ParquetMetaDataReader::decode_metadata(&bytes[footer..bytes.len() - 8]).unwrap();
    let columns = metadata.row_groups().iter().flat_map(|group| group.columns());
    columns.map(|column| column.column_index_offset().unwrap() as usize).min().unwrap()..footer
}

/// SCN-2
#[tokio::test]
async fn a_damaged_index_of_pages_changes_no_answer() {
    let mut table = Table::new(MANY, &[]);
    table.append_pages("a.parquet", &many(20_000), 500).await;
    let path = table.table.root.child("a.parquet").unwrap();
    let bytes = table.table.root.get(&path).await.unwrap().to_vec();
    let index = index_of(&bytes);
    let mut noise = SplitMix64::new(11);
    let mut damages: Vec<Vec<u8>> = [0_u8, 0xff, 0x19, 0x1c, 0x88].map(|byte| vec![byte; index.len()]).into();
    damages.push((0..index.len()).map(|_| noise.next_u64() as u8).collect());
    // Moved by one byte, and cut in the middle.
    damages.push([&[0], &bytes[index.start..index.end - 1]].concat());
    damages.push(
        [&bytes[index.start..index.start + index.len() / 2], &vec![0; index.len() - index.len() / 2][..]].concat(),
    );
    for (at, damage) in damages.into_iter().enumerate() {
        let mut broken = bytes.clone();
        broken[index.clone()].copy_from_slice(&damage);
        table.table.root.put(&path, broken.into()).await.unwrap();
        let read = table.read(&with(between("id", 1_200, 1_300))).await;
        assert_eq!(ids(&read), (1_200..1_300).collect::<Vec<_>>(), "damage {at}");
    }
    // Any byte: the answer may be smaller where a bound still looks right, but nothing breaks.
    for _ in 0..60 {
        let mut broken = bytes.clone();
        broken[index.start + noise.next_u64() as usize % index.len()] ^= 1 << (noise.next_u64() % 8);
        table.table.root.put(&path, broken.into()).await.unwrap();
        let plan = table.plan(&with(between("id", 1_200, 1_300))).unwrap();
        let read: Result<Vec<RecordBatch>> = plan.stream(ReadOptions::default()).try_collect().await;
        if let Err(error) = read {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        }
    }
}
