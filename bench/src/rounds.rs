//! How many round trips does Lake wait for on a store that answers after 30 ms?

use std::sync::Arc;
use std::time::Duration;

use lake_format::operation::Input;
use lake_format::transaction::LogCommitter;
use lake_format::{AppendOptions, ClockRef, CreateOptions, Snapshot, SystemClock, Table, TableRoot, WriteOutcome};
use lake_testkit::{Counters, CountingStore, LatencyStore};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use object_store::path::Path;
use tokio::time::Instant;
use url::Url;

use crate::Result;
use crate::peers::range_request;
use crate::tables::row_batch;

/// Its name on the command line.
pub const NAME: &str = "s3-latency";
/// What it does.
pub const WHAT: &str = "round trips of open, selective plan and blind append on a store that answers after 30 ms";

/// Half of a round trip.
const WAY: Duration = Duration::from_millis(15);
/// Rows of each of the table's files.
const ROWS: u64 = 1_000;
/// Versions of the table: a checkpoint below, and commits above it.
const VERSIONS: u64 = 25;

/// The section, and whether all counts were within the limits.
pub struct Section {
    pub text: String,
    pub within_limits: bool,
}

/// One piece of work: what it took, and the most that it may take.
struct Trip {
    name: &'static str,
    most: u128,
    trips: u128,
    requests: u64,
    by_kind: String,
}

/// Measures. Time stands still while nobody waits for the store, so the figures are exact.
pub fn run() -> Result<Section> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    let trips = runtime.block_on(measure())?;
    let within_limits = trips.iter().all(|trip| trip.trips <= trip.most);
    let mut text = format!(
        "{WHAT}. A trip is 30 ms that Lake waited; requests at the same time share one.\n\n| | trips | at most | requests | by kind |\n|---|---|---|---|---|\n"
    );
    for trip in &trips {
        let over = if trip.trips > trip.most { " OVER" } else { "" };
        text += &format!(
            "| {} | {}{over} | {} | {} | {} |\n",
            trip.name, trip.trips, trip.most, trip.requests, trip.by_kind
        );
    }
    Ok(Section { text, within_limits })
}

async fn measure() -> Result<Vec<Trip>> {
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    prepare(&root(Arc::clone(&memory))?).await?;
    let counting = CountingStore::new(memory);
    let counters = counting.counters();
    let far = root(Arc::new(LatencyStore::new(counting, 1, WAY..=WAY)))?;
    let mut trips = Vec::new();

    let begin = watch(&counters);
    let snapshot = Snapshot::load(far.clone(), lake_format::At::Latest, SystemClock::shared()).await?;
    trips.push(trip("open", 3, begin, &counters));

    let begin = watch(&counters);
    let plan = snapshot.plan_scan(&range_request((3_000, 3_999))).await?;
    trips.push(trip("selective plan, opened already", 4, begin, &counters));
    if plan.files.len() != 1 {
        return Err(format!("a plan of {} files, not one", plan.files.len()).into());
    }

    let mut table = Table::open(far.clone(), SystemClock::shared()).await?;
    let begin = watch(&counters);
    append(&mut table, VERSIONS).await?;
    trips.push(trip("blind append, opened already", 3, begin, &counters));
    Ok(trips)
}

fn root(store: Arc<dyn ObjectStore>) -> Result<TableRoot> {
    Ok(TableRoot::with_store(store, Path::from("t"), Url::parse("memory:///t/")?))
}

fn watch(counters: &Counters) -> Instant {
    counters.reset();
    Instant::now()
}

fn trip(name: &'static str, most: u128, begin: Instant, counters: &Counters) -> Trip {
    let trips = (begin.elapsed().as_millis() + 15) / 30;
    let kinds: Vec<String> = counters.by_op().iter().map(|(op, count)| format!("{count} {op:?}")).collect();
    Trip { name, most, trips, requests: counters.total(), by_kind: kinds.join(", ") }
}

/// A table of many versions, the newest checkpoint a few below the newest.
async fn prepare(root: &TableRoot) -> Result<()> {
    let clock: ClockRef = SystemClock::shared();
    let schema = lake_format::schema::parse_declaration(
        "id long, k long, amount double, cat string, uid string, ts timestamp, d date, flag boolean",
    )?;
    let options = CreateOptions { schema, ..CreateOptions::default() };
    Table::create(root, &clock, Arc::new(LogCommitter), options, None).await?;
    let mut table = Table::open(root.clone(), clock).await?;
    for version in 1..VERSIONS {
        append(&mut table, version).await?;
    }
    Ok(())
}

async fn append(table: &mut Table, part: u64) -> Result<()> {
    let batch = row_batch(part * ROWS, ROWS)?;
    match table.append(&AppendOptions::default(), Input::from_batches(batch.schema(), vec![batch])).await? {
        WriteOutcome::Committed(..) => Ok(()),
        other => Err(format!("not committed: {other:?}").into()),
    }
}
