//! Logs of many files: what each add says is a function of its number, so that every shape holds the same adds.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::{DateTime, SecondsFormat};
use lake_testkit::SplitMix64;
use parquet::arrow::ArrowWriter;
use serde_json::json;

use super::checkpoint::{self, Shape};
use super::{Kind, Scale};
use crate::Result;

/// A fixed clock, milliseconds.
pub const T0: i64 = 1_700_000_000_000;
/// Rows of every data file.
pub const ROWS: u64 = 1_000;
/// Rows that the predicate of the selective plans keeps: those of ten files.
pub const PREDICATE_ROWS: u64 = 10 * ROWS;
/// Version of the checkpoint of the large tables.
const BASE: u64 = 100;
/// 2020-01-01, microseconds.
const DAY_ZERO: i64 = 1_577_836_800_000_000;

/// One add.
pub struct DataFile {
    pub path: String,
    pub part: String,
    pub size: i64,
    pub time: i64,
    pub id: (i64, i64),
    pub k: (i64, i64),
    pub amount: (f64, f64),
    pub name: (String, String),
    pub ts: (i64, i64),
    pub amount_nulls: i64,
}

/// File `i`: `id` and `ts` follow its number, the others are random ranges.
pub fn file(i: u64) -> DataFile {
    let mut rng = SplitMix64::new(0x1a6e).fork(i);
    let part = format!("p{:03}", i % 100);
    let (high, low) = (rng.next_u64(), rng.next_u64());
    let uuid = format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        high >> 32,
        (high >> 16) & 0xffff,
        high & 0xfff,
        low >> 52,
        low & 0xffff_ffff_ffff
    );
    let k = rng.below(1 << 40) as i64;
    // Multiples of 1/16 have few digits and are exact.
    let amount = rng.below(16_000_000) as f64 / 16.0;
    let name = format!("{:012x}", rng.below(1 << 48));
    let ts = DAY_ZERO + 60_000_000 * i as i64;
    DataFile {
        path: format!("part={part}/part-{i:07}-{uuid}-c000.snappy.parquet"),
        part,
        size: 100_000 + (i % 1_000) as i64,
        time: T0 + i as i64,
        id: ((i * ROWS) as i64, (i * ROWS + ROWS - 1) as i64),
        k: (k, k + 100_000),
        amount: (amount, amount + 999.0),
        name: (name.clone(), format!("{name}zz")),
        ts: (ts, ts + 59_000_000),
        amount_nulls: (i % 7) as i64,
    }
}

impl DataFile {
    /// Statistics as JSON.
    pub fn stats(&self) -> String {
        format!(
            concat!(
                r#"{{"numRecords":{},"minValues":{{"id":{},"k":{},"amount":{:?},"name":"{}","ts":"{}"}},"#,
                r#""maxValues":{{"id":{},"k":{},"amount":{:?},"name":"{}","ts":"{}"}},"#,
                r#""nullCount":{{"id":0,"k":0,"amount":{},"name":0,"ts":0}}}}"#
            ),
            ROWS,
            self.id.0,
            self.k.0,
            self.amount.0,
            self.name.0,
            instant(self.ts.0),
            self.id.1,
            self.k.1,
            self.amount.1,
            self.name.1,
            instant(self.ts.1),
            self.amount_nulls,
        )
    }

    fn line(&self) -> String {
        let stats = self.stats().replace('"', "\\\"");
        format!(
            concat!(
                r#"{{"add":{{"path":"{}","partitionValues":{{"part":"{}"}},"size":{},"modificationTime":{},"#,
                r#""dataChange":true,"stats":"{}"}}}}"#
            ),
            self.path, self.part, self.size, self.time, stats
        )
    }
}

/// Microseconds as statistics tell an instant: milliseconds, UTC.
pub fn instant(micros: i64) -> String {
    let at = DateTime::from_timestamp_micros(micros).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Columns of the tables of many files, as the log describes them.
pub const SCHEMA: [(&str, &str); 6] =
    [("id", "long"), ("k", "long"), ("amount", "double"), ("name", "string"), ("ts", "timestamp"), ("part", "string")];

/// The first two lines of a log.
pub fn head(columns: &[(&str, &str)], partitions: &[&str]) -> [String; 2] {
    let metadata = json!({"metaData": {
        "id": "00000000-0000-4000-8000-000000000001",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": schema_string(columns),
        "partitionColumns": partitions,
        "configuration": {},
        "createdTime": T0,
    }});
    [r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#.to_owned(), metadata.to_string()]
}

/// A schema as the log tells it.
pub fn schema_string(columns: &[(&str, &str)]) -> String {
    let field = |(name, kind): &(&str, &str)| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
    json!({"type": "struct", "fields": columns.iter().map(field).collect::<Vec<_>>()}).to_string()
}

fn commit_info(version: u64) -> String {
    let parameters = json!({"mode": "Append"});
    let info =
        json!({"timestamp": T0 + version as i64 * 1_000, "operation": "WRITE", "operationParameters": parameters});
    json!({"commitInfo": info}).to_string()
}

/// Writes a commit.
pub fn commit(table: &Path, version: u64, lines: impl IntoIterator<Item = String>) -> Result<()> {
    let mut out = BufWriter::new(File::create(table.join(format!("_delta_log/{version:020}.json")))?);
    writeln!(out, "{}", commit_info(version))?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

/// Writes the log of a table of many files.
pub fn write(table: &Path, kind: Kind, scale: Scale) -> Result<()> {
    let n = scale.adds();
    let lines = |range: std::ops::Range<u64>| range.map(|i| file(i).line());
    let head = || head(&SCHEMA, &["part"]).into_iter();
    match kind {
        Kind::OneGroup => large(table, n, &Shape { struct_stats: true, ..Shape::ONE_GROUP })?,
        Kind::JsonStats => large(table, n, &Shape { struct_stats: false, ..Shape::ONE_GROUP })?,
        Kind::Clustered => large(table, n, &Shape::GROUPS)?,
        Kind::Shuffled => large(table, n, &Shape { shuffled: true, ..Shape::GROUPS })?,
        Kind::JsonCommit => {
            commit(table, 0, head())?;
            commit(table, 1, lines(0..n))?;
        }
        Kind::ManyCommits => {
            for version in 0..scale.commits() {
                let adds = lines(version * 100..version * 100 + 100);
                commit(table, version, head().take(if version == 0 { 2 } else { 0 }).chain(adds))?;
            }
        }
        Kind::Tiny => {
            for version in 0..=scale.versions() {
                let first = head().take(if version == 0 { 2 } else { 0 });
                commit(table, version, first.chain(lines(version..version + 1)))?;
                if version > 0 && version % 10 == 0 {
                    let order: Vec<u64> = (0..=version).collect();
                    checkpoint::write(table, version, &order, &Shape::TINY, &BTreeMap::new())?;
                }
            }
        }
        Kind::OneFile => commit(table, 0, head().chain(lines(0..1)))?,
        Kind::ThousandFiles => commit(table, 0, head().chain(lines(0..1_000)))?,
        Kind::Empty | Kind::Rows100 | Kind::Rows1000 => return Err("a table of rows is no log alone".into()),
    }
    Ok(())
}

/// A checkpoint of `n` adds and ten commits of ten adds and two removes above it: n + 80 live files. The ten files that
/// the predicate keeps are on disk.
fn large(table: &Path, n: u64, shape: &Shape) -> Result<()> {
    let mut order: Vec<u64> = (0..n).collect();
    if shape.shuffled {
        SplitMix64::new(7).shuffle(&mut order);
    }
    let first = predicate_range(n).0 as u64 / ROWS;
    let mut sizes = BTreeMap::new();
    for i in first..first + PREDICATE_ROWS / ROWS {
        sizes.insert(i, data_file(table, &file(i))?);
    }
    checkpoint::write(table, BASE, &order, shape, &sizes)?;
    for c in 0..10 {
        let adds = (n + 10 * c..n + 10 * c + 10).map(|i| file(i).line());
        // The last two are among the first files, far from those that the predicate keeps.
        let removes = (0..2).map(|j| {
            let path = file((c * 2 + j) % (n / 4)).path;
            json!({"remove": {"path": path, "deletionTimestamp": T0, "dataChange": true}}).to_string()
        });
        commit(table, BASE + 1 + c, adds.chain(removes))?;
    }
    Ok(())
}

/// The ids, both included, that the selective plans ask for: the rows of ten files in the middle.
pub fn predicate_range(adds: u64) -> (i64, i64) {
    let first = adds / 2 * ROWS;
    (first as i64, (first + PREDICATE_ROWS - 1) as i64)
}

/// Rows of a data file that agree with its statistics, without the partition column.
fn rows(file: &DataFile) -> Result<RecordBatch> {
    let each = || 0..ROWS as i64;
    let last = ROWS as i64 - 1;
    let nulls = file.amount_nulls;
    let amounts =
        each().map(|j| (j >= nulls).then(|| file.amount.0 + if j == last { 999.0 } else { j as f64 % 999.0 }));
    let mut amounts: Vec<Option<f64>> = amounts.collect();
    amounts[nulls as usize] = Some(file.amount.0);
    let names = each().map(|j| if j == last { &file.name.1 } else { &file.name.0 });
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from_iter_values(each().map(|j| file.id.0 + j)))),
        ("k", Arc::new(Int64Array::from_iter_values(each().map(|j| file.k.0 + if j == last { 100_000 } else { j })))),
        ("amount", Arc::new(Float64Array::from(amounts))),
        ("name", Arc::new(StringArray::from_iter_values(names))),
        (
            "ts",
            Arc::new(
                TimestampMicrosecondArray::from_iter_values(each().map(|j| file.ts.0 + j % 60 * 1_000_000))
                    .with_timezone("UTC"),
            ),
        ),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}

/// Writes a data file. Its size.
fn data_file(table: &Path, file: &DataFile) -> Result<i64> {
    let path = table.join(&file.path);
    fs::create_dir_all(path.parent().ok_or("a data file lies in a partition")?)?;
    let batch = rows(file)?;
    let mut writer = ArrowWriter::try_new(File::create(&path)?, batch.schema(), None)?;
    writer.write(&batch)?;
    writer.close()?;
    Ok(i64::try_from(path.metadata()?.len())?)
}

/// One row for the tables of many files.
pub fn one_row() -> Result<RecordBatch> {
    let mut columns = rows(&file(3))?.slice(0, 1).columns().to_vec();
    columns.push(Arc::new(StringArray::from(vec!["p003"])));
    Ok(RecordBatch::try_from_iter(SCHEMA.iter().map(|(name, _)| *name).zip(columns))?)
}
