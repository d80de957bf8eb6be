//! Tables of rows: eight columns of mixed types, `id` in order, the rest random.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use chrono::NaiveDate;
use lake_testkit::SplitMix64;
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use serde_json::json;

use super::log::{T0, commit, head, instant};
use crate::Result;

const SCHEMA: [(&str, &str); 8] = [
    ("id", "long"),
    ("k", "long"),
    ("amount", "double"),
    ("cat", "string"),
    ("uid", "string"),
    ("ts", "timestamp"),
    ("d", "date"),
    ("flag", "boolean"),
];
const YEAR_2020: i64 = 1_577_836_800_000_000;
const YEAR_MICROS: u64 = 365 * 86_400_000_000;
const DAY_MICROS: i64 = 86_400_000_000;
/// Rows of a row group.
const GROUP_ROWS: usize = 10_000;

/// Writes a table of so many files.
pub fn write(table: &Path, files: u64, rows: u64) -> Result<()> {
    let each = rows.checked_div(files).unwrap_or_default();
    commit(table, 0, head(&SCHEMA, &[]))?;
    if files == 0 {
        return Ok(());
    }
    let mut lines = Vec::new();
    for i in 0..files {
        let name = format!("part-{i:05}-00000000-0000-4000-8000-{i:012}-c000.snappy.parquet");
        let batch = row_batch(i * each, each)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .build();
        let path = table.join(&name);
        let mut writer = ArrowWriter::try_new(File::create(&path)?, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        let add = json!({"add": {
            "path": name,
            "partitionValues": {},
            "size": path.metadata()?.len(),
            "modificationTime": T0,
            "dataChange": true,
            "stats": stats(&batch, i * each, each)?,
        }});
        lines.push(add.to_string());
    }
    commit(table, 1, lines)
}

/// Rows `first` and on.
pub fn row_batch(first: u64, count: u64) -> Result<RecordBatch> {
    let mut rng = SplitMix64::new(0xda7a).fork(first);
    let n = count as usize;
    let ts: Vec<i64> = (0..n).map(|_| YEAR_2020 + rng.below(YEAR_MICROS) as i64).collect();
    let mut longs = |bound: u64| (0..n).map(|_| rng.below(bound)).collect::<Vec<u64>>();
    let (k, amount, cat, uid, flag) = (longs(1_000_000), longs(16_000_000), longs(50), longs(1 << 62), longs(2));
    let columns: [(&str, ArrayRef); 8] = [
        ("id", Arc::new(Int64Array::from_iter_values(first as i64..(first + count) as i64))),
        ("k", Arc::new(k.iter().map(|v| Some(*v as i64)).collect::<Int64Array>())),
        ("amount", Arc::new(amount.iter().map(|v| Some(*v as f64 / 16.0)).collect::<Float64Array>())),
        ("cat", Arc::new(StringArray::from_iter_values(cat.iter().map(|v| format!("category-{v:02}"))))),
        ("uid", Arc::new(StringArray::from_iter_values(uid.iter().map(|v| format!("{v:016x}"))))),
        ("ts", Arc::new(TimestampMicrosecondArray::from(ts.clone()).with_timezone("UTC"))),
        ("d", Arc::new(ts.iter().map(|t| Some((t / DAY_MICROS) as i32)).collect::<Date32Array>())),
        ("flag", Arc::new(flag.iter().map(|v| Some(*v == 1)).collect::<BooleanArray>())),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

fn stats(batch: &RecordBatch, first: u64, count: u64) -> Result<String> {
    use arrow::array::AsArray;
    use arrow::compute::{max, max_string, min, min_string};
    use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
    let column = |name: &str| batch.column_by_name(name).ok_or("a column that was just made");
    let k = column("k")?.as_primitive::<Int64Type>();
    let amount = column("amount")?.as_primitive::<Float64Type>();
    let (cat, uid) = (column("cat")?.as_string::<i32>(), column("uid")?.as_string::<i32>());
    let ts = column("ts")?.as_primitive::<TimestampMicrosecondType>();
    let d = column("d")?.as_primitive::<Date32Type>();
    let day = |days: Option<i32>| NaiveDate::from_epoch_days(days.unwrap_or_default()).map(|day| day.to_string());
    // Statistics tell milliseconds: the largest is rounded up.
    let nulls: serde_json::Map<_, _> = SCHEMA.iter().map(|(name, _)| ((*name).to_owned(), json!(0))).collect();
    Ok(json!({
        "numRecords": count,
        "minValues": {
            "id": first, "k": min(k), "amount": min(amount), "cat": min_string(cat), "uid": min_string(uid),
            "ts": instant(min(ts).unwrap_or_default()), "d": day(min(d)),
        },
        "maxValues": {
            "id": first + count - 1, "k": max(k), "amount": max(amount), "cat": max_string(cat),
            "uid": max_string(uid), "ts": instant(max(ts).unwrap_or_default() + 1_000), "d": day(max(d)),
        },
        "nullCount": nulls,
    })
    .to_string())
}
