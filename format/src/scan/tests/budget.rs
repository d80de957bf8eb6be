//! What is read ahead stays within the memory given, and a file that breaks its promise of rows is found out.

use std::time::Duration;

use lake_testkit::CountingStore;
use parquet::file::metadata::ParquetMetaDataReader;

use super::*;

/// SCN-5
#[tokio::test]
async fn batches_that_nobody_takes_stay_within_the_memory() {
    const ROW_BYTES: usize = 16 << 10;
    let mut noise = lake_testkit::SplitMix64::new(9);
    let mut blob = || (0..ROW_BYTES / 8).flat_map(|_| noise.next_u64().to_le_bytes()).collect::<Vec<u8>>();
    let blobs: Vec<Vec<u8>> = (0..768).map(|_| blob()).collect();
    let mut table = Table::new("blob binary", &[]);
    for (i, blobs) in blobs.chunks(384).enumerate() {
        let rows = batch(vec![("blob", Arc::new(BinaryArray::from_iter_values(blobs)))]);
        table.append_foreign(&format!("{i}.parquet"), &rows, 16).await;
    }
    let mut counters = None;
    let counted = behind(&table, |store| {
        let store = CountingStore::new(store);
        counters = Some(store.counters());
        Arc::new(store)
    });
    let counters = counters.unwrap();
    let plan = planned(counted, &ScanRequest::default(), &table.live).unwrap();
    let total: u64 = plan.files.iter().map(|file| file.size_bytes()).sum();
    let mut read_after_one = Vec::new();
    for memory_bytes in [512 << 10, 64 << 20] {
        counters.reset();
        let mut stream = plan.stream(ReadOptions { batch_rows: 16, memory_bytes, ..ReadOptions::default() });
        let mut found = stream.try_next().await.unwrap().unwrap().num_rows();
        SystemClock.sleep(Duration::from_millis(300)).await;
        read_after_one.push(counters.bytes_read());
        while let Some(batch) = stream.try_next().await.unwrap() {
            found += batch.num_rows();
        }
        assert_eq!(found, 768, "a small budget slows down, it does not stop");
    }
    assert!(read_after_one[0] < total / 3, "{read_after_one:?} of {total}");
    assert!(read_after_one[1] > read_after_one[0], "{read_after_one:?} of {total}");
}

/// SCN-4
#[tokio::test]
async fn a_file_with_fewer_rows_than_its_footer_says_is_damaged() {
    let mut table = Table::new("id long", &[]);
    table.append_foreign("a.parquet", &batch(vec![("id", longs(0..100))]), 100).await;
    let path = table.table.root.child("a.parquet").unwrap();
    let bytes = table.table.root.get(&path).await.unwrap();
    let length = u32::from_le_bytes(bytes[bytes.len() - 8..bytes.len() - 4].try_into().unwrap()) as usize;
    let footer = bytes.len() - 8 - length;
    // 100 and 105 are written alike: 0xc8 0x01 and 0xd2 0x01.
    let mut broken = bytes.to_vec();
    for at in footer..broken.len() - 9 {
        if broken[at..at + 2] == [0xc8, 0x01] {
            broken[at] = 0xd2;
        }
    }
    let metadata = ParquetMetaDataReader::decode_metadata(&broken[footer..bytes.len() - 8]).unwrap();
    assert_eq!(metadata.row_group(0).num_rows(), 105);
    table.table.root.put(&path, broken.into()).await.unwrap();
    let error = table.failure().await;
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}
