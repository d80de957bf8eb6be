//! How often one has to wait for a far store: requests that are sent together are waited for once.

use std::time::Duration;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use lake_testkit::LatencyStore;
use tokio::time::Instant;
use url::Url;

use super::cost::large;
use super::*;
use crate::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use crate::operation::{AppendOptions, Input, WriteOutcome};
use crate::scan::ScanRequest;
use crate::table::Table;

/// Half of a round trip.
const WAY: Duration = Duration::from_millis(15);

/// The table behind a line on which every request takes two ways.
fn far(root: &TableRoot) -> TableRoot {
    let store = LatencyStore::new(Arc::clone(root.store()), 1, WAY..=WAY);
    TableRoot::with_store(Arc::new(store), root.prefix().clone(), Url::parse("memory:///t/").expect("url"))
}

/// Round trips since then: time stands still but for those.
fn trips(since: Instant) -> u128 {
    (since.elapsed().as_micros() + WAY.as_micros()) / (2 * WAY).as_micros()
}

async fn append(table: &mut Table, id: i64) {
    let ids: ArrayRef = Arc::new(Int64Array::from(vec![id]));
    let notes: ArrayRef = Arc::new(StringArray::from(vec!["n"]));
    let batch = RecordBatch::try_from_iter_with_nullable([("id", ids, true), ("note", notes, true)]).expect("batch");
    let input = Input::from_batches(batch.schema(), vec![batch]);
    let outcome = table.append(&AppendOptions::default(), input).await.expect("appended");
    assert!(matches!(outcome, WriteOutcome::Committed(..)));
}

#[tokio::test(start_paused = true)]
async fn few_round_trips_open_plan_and_append() {
    let root = large().await;
    // The newest commits: some above the checkpoint, so that there is a tail to be read, and not a checkpoint each time.
    let mut near = Table::open(root.clone(), SystemClock::shared()).await.expect("opens");
    for id in 0..4 {
        append(&mut near, 100_000 + id).await;
    }
    let root = far(&root);

    let begin = Instant::now();
    let snapshot = load(&root, At::Latest).await.expect("loads");
    assert!(trips(begin) <= 3, "{} to open: the hint, the list, and all files at once", trips(begin));

    let begin = Instant::now();
    let id = Predicate::Compare { column: ColumnPath::top("id"), op: CompareOp::Eq, value: Scalar::Long(77) };
    let request = ScanRequest { predicate: Some(id), ..ScanRequest::default() };
    let plan = snapshot.plan_scan(&request).await.expect("plan");
    assert_eq!(plan.files.len(), 1);
    assert!(trips(begin) <= 4, "{} to plan", trips(begin));

    let mut table = Table::open(root, SystemClock::shared()).await.expect("opens");
    for id in 0..2 {
        let begin = Instant::now();
        append(&mut table, id).await;
        assert!(trips(begin) <= 3, "{} to append: the data file, the commit, the checksum", trips(begin));
    }
}
