//! Round trips through both kinds of store, foreign layouts, and files that lie.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use object_store::ObjectStoreExt;
use parquet::basic::{Compression, CompressionCodec};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::Int96;
use parquet::file::metadata::{ColumnChunkMetaDataBuilder, ParquetMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::*;
use crate::error::ErrorKind;
use crate::store::StoreOptions;

fn sample(rows: i64) -> RecordBatch {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
    let names: ArrayRef =
        Arc::new(StringArray::from_iter((0..rows).map(|i| (i % 3 != 0).then(|| format!("name {i}")))));
    RecordBatch::try_from_iter_with_nullable([("id", ids, false), ("name", names, true)]).unwrap()
}

async fn write(root: &TableRoot, name: &str, batch: &RecordBatch) -> (Path, u64) {
    let path = root.child(name).unwrap();
    let bytes = write_batches(root, &path, batch.schema(), std::slice::from_ref(batch)).await.unwrap();
    (path, bytes)
}

fn joined(batches: &[RecordBatch]) -> RecordBatch {
    arrow_select::concat::concat_batches(&batches[0].schema(), batches).unwrap()
}

#[tokio::test]
async fn what_is_written_is_read_back_from_memory_and_from_disk() {
    let folder = tempfile::tempdir().unwrap();
    let local = TableRoot::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
    for root in [TableRoot::in_memory("t").unwrap(), local] {
        let batch = sample(20_000);
        let (path, bytes) = write(&root, "deep/er/a.parquet", &batch).await;
        assert_eq!(root.head(&path).await.unwrap().unwrap().size_bytes, bytes);
        let read = read_batches(&root, &path, None).await.unwrap();
        assert!(read.iter().all(|batch| batch.num_rows() <= BATCH_ROWS));
        assert_eq!(joined(&read).columns(), batch.columns());
        let names = read_batches(&root, &path, Some(&["name", "none such"])).await.unwrap();
        assert_eq!(joined(&names).columns(), &batch.columns()[1..]);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("deep/er")).unwrap().count(), 1, "no temporary file stays");
}

#[tokio::test]
async fn no_batches_make_an_empty_file() {
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("a.parquet").unwrap();
    write_batches(&root, &path, sample(1).schema(), &[]).await.unwrap();
    assert!(read_batches(&root, &path, None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_large_file_goes_in_parts_and_row_groups() {
    let folder = tempfile::tempdir().unwrap();
    let local = TableRoot::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
    for root in [TableRoot::in_memory("t").unwrap(), local] {
        let path = root.child("big.parquet").unwrap();
        let blob =
            |i: u8| (0..1_000_000_u32).map(|j| (j.wrapping_mul(2_654_435_761) >> (i % 24)) as u8).collect::<Vec<_>>();
        let values: Vec<Vec<u8>> = (0..30).map(blob).collect();
        let column: ArrayRef = Arc::new(BinaryArray::from_iter_values(&values));
        let batch = RecordBatch::try_from_iter([("blob", column)]).unwrap();
        let options =
            ParquetOptions { compression: Compression::UNCOMPRESSED, row_group_rows: 7, ..ParquetOptions::default() };
        let mut writer = ParquetWriter::new(&root, path.clone(), batch.schema(), &options).unwrap();
        for row in 0..30 {
            writer.write(batch.slice(row, 1)).await.unwrap();
        }
        assert!(writer.size_estimate() > 8 << 20);
        writer.relieve().await.unwrap();
        assert!(writer.buffered_bytes() <= 8 << 20);
        let bytes = writer.finish().await.unwrap();
        assert_eq!(root.head(&path).await.unwrap().unwrap().size_bytes, bytes);
        let file = ParquetFile::open(&root, &path, Some(bytes)).await.unwrap();
        assert!(file.metadata().num_row_groups() > 1);
        let read = read_batches(&root, &path, None).await.unwrap();
        assert_eq!(joined(&read).column(0), batch.column(0));
    }
}

#[tokio::test]
async fn an_aborted_file_never_appears() {
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("a.parquet").unwrap();
    let batch = sample(10);
    let mut writer = ParquetWriter::new(&root, path.clone(), batch.schema(), &ParquetOptions::default()).unwrap();
    writer.write(batch).await.unwrap();
    writer.abort().await;
    assert!(root.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_batch_of_another_type_is_refused_and_nothing_appears() {
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("a.parquet").unwrap();
    let other: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let other = RecordBatch::try_from_iter([("id", Arc::clone(&other)), ("name", other)]).unwrap();
    let error = write_batches(&root, &path, sample(1).schema(), &[other]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let narrow = sample(1).project(&[0]).unwrap();
    let error = write_batches(&root, &path, sample(1).schema(), &[narrow]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert!(root.list("").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("none.parquet").unwrap();
    let error = read_batches(&root, &path, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.object().is_some_and(|object| object.ends_with("none.parquet")));
    let error = ParquetFile::open(&root, &path, Some(100)).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_file_of_another_size_than_the_log_says_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let local = TableRoot::open(folder.path().to_str().unwrap(), &StoreOptions::default()).unwrap();
    for root in [TableRoot::in_memory("t").unwrap(), local] {
        let (path, bytes) = write(&root, "a.parquet", &sample(1_000)).await;
        ParquetFile::open(&root, &path, Some(bytes)).await.unwrap();
        for wrong in [0, 1, bytes / 2, bytes - 1, bytes + 1, bytes * 3, u64::MAX] {
            let error = ParquetFile::open(&root, &path, Some(wrong)).await.expect_err("SCN-7");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "SCN-7: {wrong}: {error}");
            for size in [wrong, bytes] {
                assert!(error.message().contains(&format!(" {size}")), "SCN-7: both sizes are named: {error}");
            }
        }
        let missing = root.child("b.parquet").unwrap();
        for size in [0, 1, 1 << 20] {
            let error = ParquetFile::open(&root, &missing, Some(size)).await.expect_err("gone");
            assert_eq!(error.kind(), ErrorKind::NotFound, "{size}: {error}");
        }
    }
}

/// Anything may come out but a panic, or an error that blames the store or Lake.
async fn survives(root: &TableRoot, bytes: Vec<u8>, what: &str) {
    let path = root.child("hostile.parquet").unwrap();
    root.store().put(&path, Bytes::from(bytes).into()).await.unwrap();
    if let Err(error) = read_batches(root, &path, None).await {
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported), "{what}: {error:?}");
        assert!(error.object().is_some(), "{what}: {error:?}");
    }
}

#[tokio::test]
async fn damaged_files_are_corrupt_and_no_panic() {
    let root = TableRoot::in_memory("t").unwrap();
    let (path, _) = write(&root, "a.parquet", &sample(200)).await;
    let good = root.get(&path).await.unwrap().to_vec();
    let error = {
        let path = root.child("short.parquet").unwrap();
        root.store().put(&path, Bytes::from(good[..good.len() / 2].to_vec()).into()).await.unwrap();
        read_batches(&root, &path, None).await.unwrap_err()
    };
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    for length in (0..good.len()).step_by(7) {
        survives(&root, good[..length].to_vec(), &format!("cut at {length}")).await;
    }
    survives(&root, Vec::new(), "empty").await;
    survives(&root, b"PAR1".repeat(10), "magic alone").await;
    let mut seed = 7_u64;
    for round in 0..600 {
        let mut bytes = good.clone();
        for _ in 0..=(round % 3) {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Half of the blows go to the footer, which is where the promises are.
            let span = if round % 2 == 0 { bytes.len() } else { bytes.len().min(400) };
            let at = bytes.len() - 1 - (seed >> 33) as usize % span;
            bytes[at] = (seed >> 20) as u8;
        }
        survives(&root, bytes, &format!("round {round}")).await;
    }
}

/// A file with INT96 columns, as old engines write timestamps: flat, in a struct, in a list.
fn int96_file(values: &[Int96]) -> Vec<u8> {
    let message = "message m { optional int96 flat; optional group s { optional int96 inner; optional int32 n; }
        optional group l (LIST) { repeated group list { optional int96 element; } } }";
    let schema = Arc::new(parse_message_type(message).unwrap());
    let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut leaf = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        let count = values.len();
        match column.untyped() {
            ColumnWriter::Int96ColumnWriter(typed) => {
                let (level, repeats) = match leaf {
                    0 => (1, None),
                    1 => (2, None),
                    _ => (3, Some(vec![0; count])),
                };
                typed.write_batch(values, Some(&vec![level; count]), repeats.as_deref()).unwrap();
            }
            ColumnWriter::Int32ColumnWriter(typed) => {
                typed.write_batch(&vec![7; count], Some(&vec![2; count]), None).unwrap();
            }
            _ => unreachable!(),
        }
        leaf += 1;
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.into_inner().unwrap()
}

fn int96(julian_day: u32, nanos: u64) -> Int96 {
    let mut value = Int96::new();
    value.set_data(nanos as u32, (nanos >> 32) as u32, julian_day);
    value
}

#[tokio::test]
async fn int96_is_read_as_microseconds_even_in_far_years() {
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("a.parquet").unwrap();
    // 1970-01-01, 9999-12-31T23:59:59.999999, 0001-01-01.
    let values = [int96(2_440_588, 1_000), int96(5_373_484, 86_399_999_999_000), int96(1_721_426, 0)];
    root.store().put(&path, Bytes::from(int96_file(&values)).into()).await.unwrap();
    let batch = joined(&read_batches(&root, &path, None).await.unwrap());
    let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
    let expected = [1, 253_402_300_799_999_999, -62_135_596_800_000_000];
    let inner = batch.column(1).as_struct().column(0);
    let element = batch.column(2).as_list::<i32>().values();
    for column in [batch.column(0), inner, element] {
        assert_eq!(*column.data_type(), micros);
        assert_eq!(column.as_primitive::<TimestampMicrosecondType>().values(), &expected);
    }
}

#[tokio::test]
async fn a_row_limit_and_row_groups_are_kept() {
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("a.parquet").unwrap();
    let batch = sample(200_000);
    let options = ParquetOptions { row_group_rows: 65_536, ..ParquetOptions::default() };
    let mut writer = ParquetWriter::new(&root, path.clone(), batch.schema(), &options).unwrap();
    writer.write(batch).await.unwrap();
    writer.finish().await.unwrap();
    let file = ParquetFile::open(&root, &path, None).await.unwrap();
    assert_eq!(file.metadata().num_row_groups(), 4);
    let ids = |columns, groups, limit| {
        let file = file.clone();
        async move {
            let mut reader = file.read(columns, groups, 1_000, limit).unwrap();
            let (mut ids, keep) = (Vec::new(), Arc::new(Ok));
            while let Some(batches) = reader.next(&keep).await.unwrap() {
                for batch in batches {
                    assert!(batch.num_rows() <= 1_000);
                    let values = batch.column(0).as_primitive::<Int64Type>().values().clone();
                    ids.extend(values.iter().copied());
                }
            }
            ids
        }
    };
    let third = ids(ReadColumns::Roots(vec![0]), Some(vec![2]), Some(5)).await;
    assert_eq!(third, (131_072..131_077).collect::<Vec<_>>());
    let all = ids(ReadColumns::All, None, None).await;
    assert_eq!(all, (0..200_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_footer_that_points_outside_the_file_is_found_before_decoding() {
    use super::read::check_footer;
    let root = TableRoot::in_memory("t").unwrap();
    let (path, bytes) = write(&root, "a.parquet", &sample(100)).await;
    let file = ParquetFile::open(&root, &path, Some(bytes)).await.unwrap();
    check_footer(file.metadata(), bytes, "f").unwrap();
    type Change = fn(ColumnChunkMetaDataBuilder) -> ColumnChunkMetaDataBuilder;
    let changes: [(Change, ErrorKind); 6] = [
        (|c| c.set_data_page_offset(-1), ErrorKind::Corrupt),
        (|c| c.set_dictionary_page_offset(Some(-1)), ErrorKind::Corrupt),
        (|c| c.set_total_compressed_size(-1), ErrorKind::Corrupt),
        (|c| c.set_total_compressed_size(i64::MAX), ErrorKind::Corrupt),
        (|c| c.set_num_values(-1), ErrorKind::Corrupt),
        (|c| c.set_compression_codec(CompressionCodec::LZO), ErrorKind::Unsupported),
    ];
    for (i, (change, kind)) in changes.into_iter().enumerate() {
        let mut metadata = ParquetMetaData::clone(file.metadata()).into_builder();
        let mut groups = metadata.take_row_groups();
        let column = &mut groups[0].columns_mut()[1];
        *column = change(column.clone().into_builder()).build().unwrap();
        let damaged = metadata.set_row_groups(groups).build();
        assert_eq!(check_footer(&damaged, bytes, "f").unwrap_err().kind(), kind, "change {i}");
    }
}

#[test]
fn codecs_are_named_and_unknown_ones_refused() {
    for name in ["zstd", "SNAPPY", "gzip", "lz4_raw", "uncompressed", "none"] {
        compression(name).unwrap();
    }
    let error = compression("lzo").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hint().is_some());
}

async fn all_batches(mut reader: BatchReader) -> Vec<RecordBatch> {
    let (mut batches, keep) = (Vec::new(), Arc::new(Ok));
    while let Some(more) = reader.next(&keep).await.unwrap() {
        batches.extend(more);
    }
    batches
}

#[tokio::test]
async fn a_large_value_that_stands_for_many_rows_makes_small_batches() {
    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, Int32Array};
    let (rows, bytes) = (2_000, 100_000);
    let values: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(bytes)]));
    let repeated = DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0; rows]), values);
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows as i64));
    let batch = RecordBatch::try_from_iter([("id", ids), ("text", Arc::new(repeated) as ArrayRef)]).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("a.parquet").unwrap();
    root.put(&path, Bytes::from(writer.into_inner().unwrap())).await.unwrap();
    let file = ParquetFile::open(&root, &path, None).await.unwrap();
    let mut reader = file.read(ReadColumns::All, None, BATCH_ROWS, None).unwrap();
    let small = Arc::new(|batch: RecordBatch| {
        let texts = batch.column(1).as_string::<i32>();
        assert!(texts.value_data().len() <= 8 << 20, "SCN-9: {} bytes", texts.value_data().len());
        Ok((texts.value_data().len(), batch.column(0).as_primitive::<Int64Type>().values().to_vec()))
    });
    let (mut total, mut seen) = (0, Vec::new());
    while let Some(parts) = reader.next(&small).await.unwrap() {
        parts.into_iter().for_each(|(bytes, ids)| {
            total += bytes;
            seen.extend(ids);
        });
    }
    assert_eq!((total, seen), (rows * bytes, (0..rows as i64).collect()));
}

#[tokio::test]
async fn columns_that_are_decoded_side_by_side_come_back_in_their_order() {
    use arrow_array::{Float64Array, StructArray};
    use arrow_schema::Field;
    let rows = 300_000_i64;
    let long = |of: fn(i64) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values((0..rows).map(of))) };
    let parts: Vec<(Arc<Field>, ArrayRef)> = ["a", "b", "c"]
        .into_iter()
        .zip([long(|i| i * 3), long(|i| i * 5), long(|i| i * 7)])
        .map(|(name, array)| (Arc::new(Field::new(name, DataType::Int64, false)), array))
        .collect();
    let texts: ArrayRef = Arc::new(StringArray::from_iter((0..rows).map(|i| (i % 7 != 0).then(|| format!("n{i}")))));
    let floats: ArrayRef = Arc::new(Float64Array::from_iter_values((0..rows).map(|i| i as f64 / 3.0)));
    let batch = RecordBatch::try_from_iter_with_nullable([
        ("x", long(|i| i), false),
        ("s", Arc::new(StructArray::from(parts)) as ArrayRef, false),
        ("t", texts, true),
        ("f", floats, false),
    ])
    .unwrap();
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("a.parquet").unwrap();
    write_batches(&root, &path, batch.schema(), std::slice::from_ref(&batch)).await.unwrap();
    let file = ParquetFile::open(&root, &path, None).await.unwrap();
    let whole = all_batches(file.read(ReadColumns::All, None, BATCH_ROWS, None).unwrap()).await;
    assert_eq!(joined(&whole).columns(), batch.columns());
    // Parts of a struct, in no order, once too often; and some of the rows.
    let leaves = ReadColumns::Leaves(vec![5, 3, 0, 1, 3]);
    let ranges = [10..20, 9_000..200_000, 299_999..300_000];
    let some = joined(&all_batches(file.read_rows(leaves, &ranges, 1_000, Some(150_000)).unwrap()).await);
    let fields: Vec<String> = some.schema().fields().iter().map(|field| field.to_string()).collect();
    assert_eq!(some.num_rows(), 150_000);
    let names: Vec<&str> = some.schema_ref().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["x", "s", "f"], "{fields:?}");
    let structs = some.column(1).as_struct();
    assert_eq!(structs.column_names(), ["a", "c"]);
    let (x, c) = (some.column(0).as_primitive::<Int64Type>(), structs.column(1).as_primitive::<Int64Type>());
    let expected = ranges.iter().flat_map(|range| range.clone()).map(|row| row as i64);
    assert!(x.values().iter().copied().eq(expected.take(150_000)));
    assert!(x.values().iter().zip(c.values()).all(|(x, c)| x * 7 == *c));
    let none = all_batches(file.read(ReadColumns::Leaves(Vec::new()), None, BATCH_ROWS, None).unwrap()).await;
    assert_eq!(none.iter().map(RecordBatch::num_rows).sum::<usize>(), rows as usize);
}

/// SCN-9
#[tokio::test]
async fn a_dictionary_that_the_footer_is_silent_about_is_found() {
    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, Int32Array};
    let (rows, bytes) = (2_000, 100_000);
    let values: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(bytes)]));
    let repeated = DictionaryArray::<Int32Type>::new(Int32Array::from(vec![0; rows]), values);
    let batch = RecordBatch::try_from_iter([("text", Arc::new(repeated) as ArrayRef)]).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("a.parquet").unwrap();
    root.put(&path, Bytes::from(writer.into_inner().unwrap())).await.unwrap();
    let file = ParquetFile::open(&root, &path, None).await.unwrap();
    // The column begins with its dictionary, which is neither named nor counted.
    let mut metadata = ParquetMetaData::clone(file.metadata()).into_builder();
    let mut groups = metadata.take_row_groups();
    let column = &mut groups[0].columns_mut()[0];
    let begin = column.dictionary_page_offset().unwrap();
    let lying = column.clone().into_builder().set_dictionary_page_offset(None).set_data_page_offset(begin);
    *column = lying.set_total_uncompressed_size(10).set_unencoded_byte_array_data_bytes(None).build().unwrap();
    let lying = file.with_metadata(Arc::new(metadata.set_row_groups(groups).build())).unwrap();
    for file in [file, lying] {
        let batches = all_batches(file.read(ReadColumns::All, None, BATCH_ROWS, None).unwrap()).await;
        assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
        let most = batches.iter().map(|batch| batch.column(0).as_string::<i32>().value_data().len()).max();
        assert!(most.unwrap() <= 8 << 20, "SCN-9: {most:?} bytes");
    }
}

#[tokio::test]
async fn large_dictionaries_come_as_views_where_that_is_asked_for() {
    let root = TableRoot::in_memory("t").unwrap();
    let path = root.child("a.parquet").unwrap();
    let value = |i: usize| format!("{i:06}").repeat(20_000);
    let texts: ArrayRef = Arc::new(StringArray::from_iter((0..100).map(|i| (i % 9 > 0).then(|| value(i)))));
    let blobs = texts.as_string::<i32>().iter().map(|text| text.map(str::as_bytes)).collect::<BinaryArray>();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    let columns = [("id", ids), ("text", texts), ("blob", Arc::new(blobs) as ArrayRef)];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.map(|(name, array)| (name, array, true))).unwrap();
    let properties = WriterProperties::builder().set_dictionary_page_size_limit(1 << 30).build();
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    root.put(&path, Bytes::from(writer.into_inner().unwrap())).await.unwrap();
    let file = ParquetFile::open(&root, &path, None).await.unwrap();
    let plain = all_batches(file.read(ReadColumns::All, None, BATCH_ROWS, None).unwrap()).await;
    assert_eq!(joined(&plain).columns(), batch.columns());
    for reader in [
        file.read(ReadColumns::All, None, BATCH_ROWS, None).unwrap().with_views(),
        file.read(ReadColumns::All, None, BATCH_ROWS, None).unwrap().with_views().on_one_thread(),
    ] {
        let views = joined(&all_batches(reader).await);
        assert_eq!(*views.column(1).data_type(), DataType::Utf8View);
        assert_eq!(*views.column(2).data_type(), DataType::BinaryView);
        let plain = |at: usize, to: &DataType| arrow_cast::cast(views.column(at), to).unwrap();
        assert_eq!(plain(1, &DataType::Utf8).as_ref(), batch.column(1).as_ref());
        assert_eq!(plain(2, &DataType::Binary).as_ref(), batch.column(2).as_ref());
    }
}
