//! Plans and lists of random tables equal those of a plain reader, which parses every line of every commit and judges file
//! by file (LOG-3, SCN-10).
//!
//! `LAKE_LISTING_TABLES` is the number of tables (200 by default) and `LAKE_LISTING_SEED` where they begin; a failure
//! names the seed that brings it back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use lake_format::action::stats::Stats;
use lake_format::action::{Action, Add, partition_value};
use lake_format::expr::{BoundsSource, ColumnBounds, ColumnPath, CompareOp, Predicate, Scalar, Verdict, judge};
use lake_format::log::{commit_name, parse_commit};
use lake_format::operation::{CreateOptions, create};
use lake_format::replay::FileKey;
use lake_format::scan::ScanFile;
use lake_format::schema::{PrimitiveType, parse_declaration};
use lake_format::transaction::LogCommitter;
use lake_format::{At, ScanRequest, Snapshot, SystemClock, TableRoot};
use lake_testkit::SplitMix64;
use object_store::ObjectStoreExt;
use serde_json::{Map, Value, json};

use super::setting;

/// Predicates asked of one version.
const PREDICATES: usize = 6;

const COLUMNS: &str = "id long, small int, name string, f double, day date, at timestamp, d9 decimal(9,2), ok boolean, \
    raw binary, inner struct<x: long, y: string>, p_int int, p_text string, p_day date, p_flag boolean";

const TYPES: [(&[&str], PrimitiveType); 14] = [
    (&["id"], PrimitiveType::Long),
    (&["small"], PrimitiveType::Integer),
    (&["name"], PrimitiveType::String),
    (&["f"], PrimitiveType::Double),
    (&["day"], PrimitiveType::Date),
    (&["at"], PrimitiveType::Timestamp),
    (&["d9"], PrimitiveType::Decimal { precision: 9, scale: 2 }),
    (&["ok"], PrimitiveType::Boolean),
    (&["raw"], PrimitiveType::Binary),
    (&["inner", "x"], PrimitiveType::Long),
    (&["p_int"], PrimitiveType::Integer),
    (&["p_text"], PrimitiveType::String),
    (&["p_day"], PrimitiveType::Date),
    (&["p_flag"], PrimitiveType::Boolean),
];
const PARTITIONS: [&str; 4] = ["p_int", "p_text", "p_day", "p_flag"];

/// A table by its log, and what a plain reader makes of it.
struct Table {
    root: TableRoot,
    partitions: Vec<&'static str>,
    version: u64,
    vectors: bool,
    live: BTreeMap<FileKey, Add>,
    /// Files that were live once.
    gone: Vec<Add>,
    next_file: u64,
    has_checkpoint: bool,
    /// Whether a checkpoint keeps the statistics of all columns.
    keeps_stats: bool,
    /// Whether it has them as columns, where flags have no bounds.
    as_struct: bool,
}

#[test]
fn plans_of_random_tables_equal_those_of_a_plain_reader() {
    let (tables, seed) = (setting("LAKE_LISTING_TABLES", 200), setting("LAKE_LISTING_SEED", 0));
    let begin = Instant::now();
    let work = |thread: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let (mut skipped, mut planned) = (0, 0);
        for seed in (seed..seed + tables).filter(|seed| seed % 2 == thread) {
            let (left_out, kept) = runtime.block_on(table(seed));
            skipped += left_out;
            planned += kept;
        }
        (skipped, planned)
    };
    let (skipped, planned) = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().fold((0, 0), |all, thread| {
            let found: (u64, u64) = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (all.0 + found.0, all.1 + found.1)
        })
    });
    println!("{tables} tables: {skipped} files left out, {planned} planned, in {:?}", begin.elapsed());
    assert!(tables < 100 || (skipped > planned / 10 && planned > skipped / 10), "{skipped} skipped, {planned} planned");
}

/// One table from its seed: how many files its plans left out and kept.
async fn table(seed: u64) -> (u64, u64) {
    let mut rng = SplitMix64::new(seed);
    let mut table = Table::new(&mut rng).await;
    let mut early = None;
    let (mut skipped, mut planned) = (0, 0);
    let commits = 1 + rng.below(7);
    for at in 0..commits {
        table.commit(&mut rng).await;
        if rng.chance(250) {
            let snapshot = table.load().await;
            snapshot.write_checkpoint().await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            table.has_checkpoint = true;
            if rng.chance(500) {
                // What is read later of a version whose log was cleaned up is gone.
                if let Some(early) = &early {
                    let early: &Arc<Snapshot> = early;
                    early.files().await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
                }
                table.clean_up(&mut rng).await;
            }
        }
        if early.is_none() && rng.chance(300) {
            early = Some(Arc::new(table.load().await));
        }
        if at + 1 == commits || rng.chance(150) {
            let found = table.compare(&mut rng, &table.load().await, seed).await;
            (skipped, planned) = (skipped + found.0, planned + found.1);
        }
    }
    if let Some(early) = early {
        // With its list read, or not.
        if rng.chance(500) {
            early.files().await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        }
        let newest = early.refreshed().await.unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        let found = table.compare(&mut rng, &newest, seed).await;
        (skipped, planned) = (skipped + found.0, planned + found.1);
    }
    (skipped, planned)
}

impl Table {
    async fn new(rng: &mut SplitMix64) -> Self {
        let root = TableRoot::in_memory("t").expect("root");
        let vectors = rng.chance(500);
        let mut properties = BTreeMap::new();
        let mut set = |name: &str, value: &str| properties.insert(name.to_owned(), value.to_owned());
        set("delta.enableDeletionVectors", if vectors { "true" } else { "false" });
        set("delta.checkpointPolicy", if rng.chance(300) { "v2" } else { "classic" });
        set("delta.checkpoint.writeStatsAsJson", if rng.chance(500) { "true" } else { "false" });
        let as_struct = rng.chance(700);
        set("delta.checkpoint.writeStatsAsStruct", if as_struct { "true" } else { "false" });
        let keeps_stats = rng.chance(800);
        set("delta.dataSkippingNumIndexedCols", if keeps_stats { "-1" } else { ["2", "0"][rng.below(2) as usize] });
        let partitions: Vec<&'static str> = PARTITIONS.into_iter().filter(|_| rng.chance(400)).collect();
        let options = CreateOptions {
            schema: parse_declaration(COLUMNS).expect("columns"),
            partition_columns: partitions.iter().map(|name| (*name).to_owned()).collect(),
            properties,
            ..CreateOptions::default()
        };
        create(&root, &SystemClock::shared(), &LogCommitter, options, None).await.expect("created");
        Self {
            root,
            partitions,
            version: 0,
            vectors,
            live: BTreeMap::new(),
            gone: Vec::new(),
            next_file: 0,
            has_checkpoint: false,
            keeps_stats,
            as_struct,
        }
    }

    async fn load(&self) -> Snapshot {
        Snapshot::load(self.root.clone(), At::Latest, SystemClock::shared()).await.expect("loads")
    }

    /// Puts one more commit, and reads it the plain way.
    async fn commit(&mut self, rng: &mut SplitMix64) {
        let mut lines = vec![json!({"commitInfo": {"operation": "WRITE", "odd": [1, {"a": null}]}})];
        let mut touched = Vec::new();
        for _ in 0..rng.below(9) {
            let live: Vec<&Add> = self.live.values().filter(|add| !touched.contains(&add.path)).collect();
            let picked = rng.pick(&live).map(|add| Add::clone(add));
            match (rng.below(10), picked) {
                (0..=1, Some(add)) => {
                    touched.push(add.path.clone());
                    lines.push(remove_line(rng, &add));
                    self.gone.push(add);
                }
                // The same file, other rows of it deleted.
                (2, Some(add)) if self.vectors => {
                    touched.push(add.path.clone());
                    lines.push(remove_line(rng, &add));
                    let mut line = self.add_line(rng, &add.path);
                    line["add"]["partitionValues"] = json!(add.partition_values);
                    let before = json!(add.deletion_vector);
                    line["add"]["deletionVector"] = vector(rng);
                    // One commit never ends the file that it brings.
                    while line["add"]["deletionVector"]["pathOrInlineDv"] == before["pathOrInlineDv"] {
                        line["add"]["deletionVector"] = vector(rng);
                    }
                    lines.push(line);
                }
                // Statistics of a live file said anew.
                (3, Some(add)) => {
                    touched.push(add.path.clone());
                    let mut line = self.add_line(rng, &add.path);
                    line["add"]["deletionVector"] = json!(add.deletion_vector);
                    lines.push(line);
                }
                (4, _) if !self.gone.is_empty() => {
                    let at = rng.below(self.gone.len() as u64) as usize;
                    let add = self.gone.swap_remove(at);
                    if !touched.contains(&add.path) && self.live.values().all(|live| live.path != add.path) {
                        touched.push(add.path.clone());
                        lines.push(self.add_line(rng, &add.path));
                    }
                }
                _ => {
                    self.next_file += 1;
                    let name = *rng.pick(&["part-", "a b/ü-", "p=1/x%20-", "%C3%BC/"]).unwrap_or(&"part-");
                    let path = format!("{name}{:04}.parquet", self.next_file);
                    touched.push(path.clone());
                    lines.push(self.add_line(rng, &path));
                }
            }
        }
        self.version += 1;
        let texts: Vec<String> = lines.iter().map(|line| spelt(rng, line)).collect();
        let bytes = texts.join("\n").into_bytes();
        let home = self.root.home();
        for action in parse_commit(&bytes, self.version).expect("LOG-2") {
            match action {
                Action::Add(add) => {
                    self.live.insert(FileKey::of_add(&add, &home), *add);
                }
                Action::Remove(remove) => {
                    self.live.remove(&FileKey::of_remove(&remove, &home));
                }
                _ => {}
            }
        }
        let path = self.path(&commit_name(self.version));
        self.root.store().put(&path, bytes.into()).await.expect("put");
    }

    fn path(&self, name: &str) -> object_store::path::Path {
        self.root.child(name).expect("path")
    }

    /// Takes away commits that the checkpoint stands for.
    async fn clean_up(&self, rng: &mut SplitMix64) {
        for version in 0..rng.below(self.version) {
            // Some are gone already.
            let _ = self.root.store().delete(&self.path(&commit_name(version))).await;
        }
    }

    fn add_line(&self, rng: &mut SplitMix64, path: &str) -> Value {
        let values: Map<String, Value> =
            self.partitions.iter().map(|name| ((*name).to_owned(), partition_text(rng, name))).collect();
        let mut add = json!({
            "path": path, "partitionValues": values, "size": rng.below(1 << 40), "modificationTime": rng.below(1 << 40),
            "dataChange": rng.chance(900),
        });
        if let Some(stats) = stats(rng, !self.as_struct) {
            add["stats"] = Value::String(stats);
        }
        if self.vectors && rng.chance(200) {
            add["deletionVector"] = vector(rng);
        }
        if rng.chance(100) {
            add["tags"] = json!({"a": "b", "z": null});
        }
        json!({"add": add})
    }

    /// Whether the fast way finds what the plain one does.
    async fn compare(&self, rng: &mut SplitMix64, snapshot: &Snapshot, seed: u64) -> (u64, u64) {
        let failed = |e: &dyn std::fmt::Display| -> ! { panic!("LAKE_LISTING_SEED={seed}: {e}") };
        let said = format!("LAKE_LISTING_SEED={seed} at version {}", self.version);
        assert_eq!(snapshot.version(), self.version, "{said}");
        let plain = |add: &Add| ScanFile { num_records: None, ..ScanFile::of(add).expect("a file") };
        let sorted = |mut files: Vec<ScanFile>| {
            files.sort_by_key(|file| (file.path.clone(), file.deletion_vector.as_ref().map(|v| v.unique_id())));
            files
        };
        let files = snapshot.files().await.unwrap_or_else(|e| failed(&e));
        let listed = sorted(files.iter().map(|add| ScanFile::of(&add).expect("a file")).collect());
        let known = sorted(self.live.values().map(|add| ScanFile::of(add).expect("a file")).collect());
        assert_eq!(listed, known, "{said}");
        let (mut skipped, mut planned) = (0, 0);
        for case in 0..PREDICATES {
            let predicate = (case > 0).then(|| predicate(rng, 2));
            let limit = rng.chance(100).then(|| rng.below(50));
            let request = ScanRequest { predicate: predicate.clone(), limit, ..ScanRequest::default() };
            let plan = snapshot.plan_scan(&request).await.unwrap_or_else(|e| failed(&e));
            let said = || format!("{said}: {}", serde_json::to_string(&predicate).unwrap_or_default());
            let found: Vec<ScanFile> = plan.files.iter().map(|file| file.to_file()).collect();
            let pruning = plan.pruning;
            assert_eq!(pruning.files_planned, found.len() as u64, "{}", said());
            assert_eq!(pruning.bytes_planned, found.iter().map(|file| file.size_bytes).sum::<u64>(), "{}", said());
            let left_out = pruning.skipped_by_partition + pruning.skipped_by_statistics + pruning.skipped_by_limit;
            assert_eq!(pruning.files_total, pruning.files_planned + left_out, "{}", said());
            skipped += left_out;
            planned += pruning.files_planned;
            let wanted = self.judged(predicate.as_ref());
            if let (Some(limit), None) = (limit, &predicate) {
                let rows: Option<u64> = found.iter().map(ScanFile::live_records).sum();
                assert!(found.len() == known.len() || rows.is_some_and(|rows| rows >= limit), "{}", said());
                continue;
            }
            if predicate.is_some() {
                let counted: Vec<ScanFile> = wanted.kept.iter().map(|add| ScanFile::of(add).expect("a file")).collect();
                let (found, counted) = (sorted(found), sorted(counted));
                if self.keeps_stats || !self.has_checkpoint {
                    let paths = |files: &[ScanFile]| files.iter().map(|file| file.path.clone()).collect::<Vec<_>>();
                    assert_eq!(paths(&found), paths(&counted), "{}", said());
                    assert_eq!(found, counted, "{}", said());
                } else {
                    assert!(counted.iter().all(|file| found.contains(file)), "{}", said());
                }
            } else {
                let found = found.into_iter().map(|file| ScanFile { num_records: None, ..file }).collect();
                assert_eq!(sorted(found), sorted(wanted.kept.into_iter().map(plain).collect()), "{}", said());
            }
            if !self.has_checkpoint {
                let skips = (pruning.skipped_by_partition, pruning.skipped_by_statistics);
                assert_eq!(skips, (wanted.by_partition, wanted.by_statistics), "{}", said());
                assert_eq!(pruning.files_total, self.live.len() as u64, "{}", said());
            }
        }
        (skipped, planned)
    }

    /// File by file.
    fn judged(&self, predicate: Option<&Predicate>) -> Judged<'_> {
        let mut judged = Judged { kept: Vec::new(), by_partition: 0, by_statistics: 0 };
        for add in self.live.values() {
            let Some(predicate) = predicate else {
                judged.kept.push(add);
                continue;
            };
            let stats = add.stats.as_deref().and_then(Stats::parse);
            let bounds = |stats| FileBounds { add, partitions: &self.partitions, stats };
            if judge(predicate, &bounds(None)) == Verdict::NoneTrue {
                judged.by_partition += 1;
            } else if stats.is_some() && judge(predicate, &bounds(stats.as_ref())) == Verdict::NoneTrue {
                judged.by_statistics += 1;
            } else {
                judged.kept.push(add);
            }
        }
        judged
    }
}

struct Judged<'a> {
    kept: Vec<&'a Add>,
    by_partition: u64,
    by_statistics: u64,
}

struct FileBounds<'a> {
    add: &'a Add,
    partitions: &'a [&'static str],
    stats: Option<&'a Stats>,
}

impl BoundsSource for FileBounds<'_> {
    fn bounds(&self, column: &ColumnPath) -> Option<ColumnBounds> {
        let (path, data_type) = TYPES.iter().find(|(path, _)| column.0 == *path)?;
        if self.partitions.contains(&path[0]) {
            let text = self.add.partition_values.get(path[0]).and_then(Option::as_deref);
            return partition_value::parse(text, data_type).ok().map(ColumnBounds::constant);
        }
        Some(self.stats?.bounds(column, data_type))
    }
}

fn vector(rng: &mut SplitMix64) -> Value {
    let cardinality = rng.below(9);
    match rng.chance(500) {
        true => json!({"storageType": "u", "pathOrInlineDv": format!("ab^-aqEH.-t@S}}K{{vb[*k{}", rng.below(9)),
            "offset": rng.below(99), "sizeInBytes": 36, "cardinality": cardinality}),
        false => {
            json!({"storageType": "i", "pathOrInlineDv": format!("wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{{L{}", rng.below(99)),
            "sizeInBytes": 40, "cardinality": cardinality})
        }
    }
}

fn remove_line(rng: &mut SplitMix64, add: &Add) -> Value {
    // Another spelling of the same path.
    let path = if rng.chance(200) { add.path.replace('-', "%2D") } else { add.path.clone() };
    let mut remove = json!({"path": path, "deletionTimestamp": 4_102_444_800_000_u64, "dataChange": true});
    if let Some(vector) = &add.deletion_vector {
        remove["deletionVector"] = json!(vector);
    }
    if rng.chance(500) {
        remove["extendedFileMetadata"] = json!(true);
        remove["partitionValues"] = json!(add.partition_values);
        remove["size"] = json!(add.size);
    }
    json!({"remove": remove})
}

fn partition_text(rng: &mut SplitMix64, name: &str) -> Value {
    let texts: &[&str] = match name {
        "p_int" => &["-3", "0", "2", "7", "x"],
        "p_text" => &["a", "ab", "b", "ü", ""],
        "p_day" => &["2024-01-01", "2024-01-02", "1969-12-31"],
        _ => &["true", "false"],
    };
    if rng.chance(200) { Value::Null } else { json!(texts[rng.below(texts.len() as u64) as usize]) }
}

/// A value of a column that a bound or a literal may have, by a small number.
fn bound(path: &[&str], number: i64) -> Value {
    match path[0] {
        "id" | "small" => json!(number),
        "name" => json!(format!(
            "{}{}",
            (b'a' + number.rem_euclid(26) as u8) as char,
            "xyz".repeat(number.rem_euclid(9) as usize)
        )),
        "f" => json!(number as f64 / 2.0),
        "day" => json!(format!("2024-01-{:02}", 1 + number.rem_euclid(28))),
        "at" => json!(format!("2024-01-01T00:00:{:02}.{:03}Z", number.rem_euclid(60), number.rem_euclid(1000))),
        "d9" => json!(number as f64 / 4.0),
        "ok" => json!(number % 2 == 0),
        "inner" => json!({"x": number, "y": number.to_string()}),
        _ => json!("AAAA"),
    }
}

/// Statistics as writers leave them, and as damage does.
fn stats(rng: &mut SplitMix64, of_flags: bool) -> Option<String> {
    let odd = [
        "",
        "{",
        "{}",
        "[]",
        "null",
        "{\"numRecords\":1",
        "{\"numRecords\":-4}",
        "{\"numRecords\":\"7\"}",
        "{\"numRecords\":3,\"numRecords\":4}",
    ];
    match rng.below(20) {
        0..=1 => return None,
        2 => return rng.pick(&odd).map(|text| (*text).to_owned()),
        3 => return Some(format!("{{\"numRecords\":{}}}", rng.below(99))),
        _ => {}
    }
    let records = rng.below(20) as i64;
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (path, _) in &TYPES[..10] {
        let name = path[0].to_owned();
        if rng.chance(150) {
            continue;
        }
        let low = rng.below(60) as i64 - 30;
        let high = low + rng.below(9) as i64;
        let wrong = rng.chance(30);
        let null_count = match rng.below(8) {
            0 => records,
            1 => rng.below(25) as i64 - 2,
            _ => 0,
        };
        let bounded = null_count != records && (of_flags || name != "ok");
        if !rng.chance(50) && bounded {
            min.insert(name.clone(), if wrong { json!([1]) } else { bound(path, low) });
        }
        if !rng.chance(50) && bounded {
            max.insert(name.clone(), if rng.chance(20) { bound(path, low - 5) } else { bound(path, high) });
        }
        if !rng.chance(50) {
            let counts = if name == "inner" { json!({"x": null_count, "y": 0}) } else { json!(null_count) };
            nulls.insert(name, counts);
        }
    }
    if rng.chance(30) {
        min.insert("f".into(), json!("NaN"));
    }
    let mut all = json!({"numRecords": records, "minValues": min, "maxValues": max, "nullCount": nulls});
    if rng.chance(100) {
        all["tightBounds"] = json!(false);
    }
    for section in ["numRecords", "minValues", "maxValues", "nullCount"] {
        if rng.chance(30) {
            all.as_object_mut().expect("an object").remove(section);
        }
    }
    Some(if rng.chance(100) { format!(" {all:#} ") } else { all.to_string() })
}

/// A line as one of many writers may put it.
fn spelt(rng: &mut SplitMix64, line: &Value) -> String {
    let Some((kind, Value::Object(fields))) = line.as_object().and_then(|all| all.iter().next()) else {
        return line.to_string();
    };
    let mut fields: Vec<(String, String)> =
        fields.iter().map(|(name, value)| (name.clone(), value.to_string())).collect();
    if rng.chance(300) {
        let by = rng.below(fields.len() as u64) as usize;
        fields.rotate_left(by);
    }
    if rng.chance(50) {
        fields.push(("unknown".to_owned(), "{\"a\":[1,2]}".to_owned()));
    }
    let (comma, colon) = if rng.chance(200) { (", ", ": ") } else { (",", ":") };
    let members: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\"{colon}{value}")).collect();
    let text = format!("{{\"{kind}\"{colon}{{{}}}}}", members.join(comma));
    match rng.below(20) {
        0 => text.replace("part-", "p\\u0061rt-"),
        1 => format!("{text}\r"),
        _ => text,
    }
}

fn literal(rng: &mut SplitMix64, path: &[&str], data_type: PrimitiveType) -> Scalar {
    if rng.chance(20) {
        return Scalar::Null;
    }
    let number = rng.below(70) as i64 - 35;
    let text = match (path[0], bound(path, number)) {
        (name, _) if PARTITIONS.contains(&name) => match partition_text(rng, name) {
            Value::String(text) => text,
            _ => return Scalar::Null,
        },
        ("inner", _) => number.to_string(),
        (_, Value::String(text)) => text,
        (_, other) => other.to_string(),
    };
    let text = if path[0] == "at" { text.replace('T', " ").replace('Z', "") } else { text };
    partition_value::parse(Some(&text), &data_type).unwrap_or(Scalar::Null)
}

fn predicate(rng: &mut SplitMix64, depth: u32) -> Predicate {
    let parts = |rng: &mut SplitMix64| (0..rng.below(3) + 1).map(|_| predicate(rng, depth - 1)).collect::<Vec<_>>();
    match rng.below(10) {
        0..=1 if depth > 0 => return Predicate::And(parts(rng)),
        2 if depth > 0 => return Predicate::Or(parts(rng)),
        3 if depth > 0 => return Predicate::Not(Box::new(predicate(rng, depth - 1))),
        _ => {}
    }
    let (path, data_type) = TYPES[rng.below(TYPES.len() as u64) as usize];
    let column = ColumnPath(path.iter().map(|name| (*name).to_owned()).collect());
    let ops = [CompareOp::Eq, CompareOp::NotEq, CompareOp::Lt, CompareOp::LtEq, CompareOp::Gt, CompareOp::GtEq];
    match rng.below(12) {
        0 => Predicate::IsNull(column),
        1 => Predicate::IsNotNull(column),
        2 => {
            let values = (0..rng.below(4)).map(|_| literal(rng, path, data_type)).collect();
            Predicate::In { column, values }
        }
        _ => {
            let op = *rng.pick(&ops).unwrap_or(&CompareOp::Eq);
            Predicate::Compare { column, op, value: literal(rng, path, data_type) }
        }
    }
}
