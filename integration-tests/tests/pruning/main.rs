//! Leaving out files, row groups, pages and deleted rows never changes an answer (SCN-1).
//!
//! `LAKE_PRUNING_CASES` is the number of random predicates (600 by default) and `LAKE_PRUNING_SEED` where they begin;
//! a failure says which seed brings it back. `LAKE_PRUNING_TABLES` names a folder of tables that others wrote, as
//! `python/pruning_tables.py` makes them.

mod listings;
mod predicates;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use arrow::array::{AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, filter_record_batch, sort_to_indices, take_record_batch};
use arrow::datatypes::Int64Type;
use futures::TryStreamExt;
use lake_format::expr::{Predicate, evaluate};
use lake_format::scan::ReadOptions;
use lake_format::{At, ScanRequest, Snapshot, StoreOptions, SystemClock, TableRoot};
use lake_testkit::SplitMix64;
use predicates::{Leaf, leaves, predicate, truth};
use tables::{Known, random_table};

/// Predicates asked of one table.
const PER_TABLE: u64 = 100;
/// Threads that share the work.
const THREADS: u64 = 2;

fn setting(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")),
        Err(_) => default,
    }
}

/// What was asked, and what it saved.
#[derive(Debug, Default)]
struct Tally {
    cases: u64,
    files_skipped: u64,
    rows_left_out: u64,
    rows: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.cases += other.cases;
        self.files_skipped += other.files_skipped;
        self.rows_left_out += other.rows_left_out;
        self.rows += other.rows;
    }
}

#[test]
fn pruned_answers_equal_unpruned_ones_in_our_own_tables() {
    let (cases, seed) = (setting("LAKE_PRUNING_CASES", 600), setting("LAKE_PRUNING_SEED", 0));
    let begin = Instant::now();
    let count = cases.div_ceil(PER_TABLE);
    let work = |thread: u64| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let mut tally = Tally::default();
        for table in (0..count).filter(|table| table % THREADS == thread) {
            let seed = seed + table;
            runtime.block_on(async {
                let mut rng = SplitMix64::new(seed);
                let known = random_table(&mut rng).await;
                let hint = format!("LAKE_PRUNING_SEED={seed} LAKE_PRUNING_CASES=1");
                tally += ask(&mut rng, &known, PER_TABLE.min(cases - table * PER_TABLE), &hint).await;
            });
        }
        tally
    };
    let tally = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().fold(Tally::default(), |mut all, thread| {
            all += thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            all
        })
    });
    println!("{tally:?} in {:?}", begin.elapsed());
    assert_eq!(tally.cases, cases);
    if cases >= 500 {
        assert!(tally.files_skipped > 0 && tally.rows_left_out > tally.rows / 10, "nothing is pruned: {tally:?}");
    }
}

#[test]
fn pruned_answers_equal_unpruned_ones_in_tables_of_others() {
    let Some(folder) = std::env::var_os("LAKE_PRUNING_TABLES").map(PathBuf::from) else { return };
    let (cases, seed) = (setting("LAKE_PRUNING_CASES", 600), setting("LAKE_PRUNING_SEED", 0));
    let mut found: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|e| panic!("LAKE_PRUNING_TABLES={}: {e}", folder.display()))
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.join("_delta_log").is_dir())
        .collect();
    found.sort();
    assert!(found.len() >= 4, "LAKE_PRUNING_TABLES={} holds {} tables", folder.display(), found.len());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    let mut tallies = BTreeMap::new();
    for path in &found {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let tally = runtime.block_on(async {
            let known = foreign(path).await;
            let mut rng = SplitMix64::new(seed);
            ask(&mut rng, &known, cases.div_ceil(found.len() as u64), &format!("{name}, LAKE_PRUNING_SEED={seed}"))
                .await
        });
        tallies.insert(name, tally);
    }
    println!("{tallies:#?}");
}

/// A table of another writer, with its rows as `rows.parquet` beside it has them.
async fn foreign(path: &Path) -> Known {
    let root = TableRoot::open(&path.to_string_lossy(), &StoreOptions::default()).expect("root");
    let snapshot = Snapshot::load(root, At::Latest, SystemClock::shared()).await;
    let snapshot = snapshot.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let rows = by_id(&read(&snapshot, &ScanRequest::default(), ReadOptions::default()).await);
    let expected = path.with_extension("parquet");
    let file = std::fs::File::open(&expected).unwrap_or_else(|e| panic!("{}: {e}", expected.display()));
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).expect("a Parquet file");
    let written: Vec<RecordBatch> = reader.build().expect("reader").map(|batch| batch.expect("rows")).collect();
    let written = by_id(&concat_batches(written[0].schema_ref(), &written).expect("one schema"));
    for (field, found) in rows.schema().fields().iter().zip(rows.columns()) {
        let column = written.column_by_name(field.name()).unwrap_or_else(|| panic!("{field} was not written"));
        let column = arrow::compute::cast(column, found.data_type()).expect("the table's type");
        assert_eq!(found, &column, "{} of {}", field.name(), path.display());
    }
    Known { snapshot, rows }
}

/// Asks `cases` random predicates of a table.
async fn ask(rng: &mut SplitMix64, known: &Known, cases: u64, hint: &str) -> Tally {
    let found = leaves(&known.rows);
    let mut tally = Tally::default();
    for case in 0..cases {
        let predicate = predicate(rng, &found, 3);
        let expected = expected(known, &found, &predicate, case % 20 == 0);
        let whole = case % 40 == 1;
        let request = ScanRequest {
            columns: (!whole).then(|| vec!["id".to_owned()]),
            predicate: Some(predicate.clone()),
            ..ScanRequest::default()
        };
        let options = ReadOptions { batch_rows: if rng.chance(20) { 7 } else { 4_096 }, ..ReadOptions::default() };
        let read = read(&known.snapshot, &request, options).await;
        let said = || format!("case {case} of {hint}\n{}", serde_json::to_string(&predicate).unwrap_or_default());
        assert_eq!(ids(&read), ids(&expected), "{}", said());
        if whole {
            let read = by_id(&read);
            for (field, found) in read.schema().fields().iter().zip(read.columns()) {
                let wanted = expected.column_by_name(field.name()).expect("a known column");
                let wanted = arrow::compute::cast(wanted, found.data_type()).expect("the same values");
                assert_eq!(found, &wanted, "{} in {}", field.name(), said());
            }
        }
        tally += saved(known, &request, case).await;
    }
    tally
}

/// The rows that pass, by what is known of the table.
fn expected(known: &Known, found: &[Leaf], predicate: &Predicate, twice: bool) -> RecordBatch {
    let mask = evaluate(predicate, &known.rows).expect("a fitting predicate");
    if twice {
        let row_by_row: BooleanArray = (0..known.rows.num_rows()).map(|row| truth(predicate, found, row)).collect();
        assert_eq!(row_by_row, mask, "{predicate:?}");
    }
    filter_record_batch(&known.rows, &mask).expect("one flag per row")
}

/// What pruning left out, for some of the cases.
async fn saved(known: &Known, request: &ScanRequest, case: u64) -> Tally {
    let mut tally = Tally { cases: 1, ..Tally::default() };
    if case.is_multiple_of(25) {
        let plan = known.snapshot.plan_scan(request).await.expect("plan");
        tally.files_skipped = plan.pruning.skipped_by_partition + plan.pruning.skipped_by_statistics;
        let loose = ReadOptions { exact_filter: false, ..ReadOptions::default() };
        let decoded = read(&known.snapshot, request, loose).await.num_rows();
        tally.rows = known.rows.num_rows() as u64;
        tally.rows_left_out = tally.rows.saturating_sub(decoded as u64);
    }
    tally
}

async fn read(snapshot: &Snapshot, request: &ScanRequest, options: ReadOptions) -> RecordBatch {
    let plan = snapshot.plan_scan(request).await.expect("plan");
    let batches: Vec<RecordBatch> = plan.stream(options).try_collect().await.expect("rows");
    concat_batches(plan.arrow_schema(), &batches).expect("one schema")
}

fn by_id(batch: &RecordBatch) -> RecordBatch {
    let order: UInt32Array = sort_to_indices(batch.column_by_name("id").expect("id"), None, None).expect("numbers");
    take_record_batch(batch, &order).expect("rows")
}

fn ids(batch: &RecordBatch) -> Vec<i64> {
    let mut ids = batch.column_by_name("id").expect("id").as_primitive::<Int64Type>().values().to_vec();
    ids.sort_unstable();
    ids
}
