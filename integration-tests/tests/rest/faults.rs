//! Lost answers, clients that hang up, and stops in the middle: what was acknowledged is there, once.

use std::sync::Arc;
use std::time::Duration;

use lake_catalog_server::catalog::Roots;
use lake_format::{At, Clock, Error, Result, Snapshot, SystemClock, TableRoot};
use lake_testkit::{Failure, Fault, Faults, FaultyStore, Gate, Op, Rule};
use object_store::memory::InMemory;
use object_store::path::Path;
use serde_json::json;
use url::Url;

use super::support::{Rest, columns, commit_lines, new_id};

const TABLES: &str = "/api/v1/catalogs/lake/schemas/bronze/tables";
const COMMITS: &str = "/api/v1/catalogs/lake/schemas/bronze/tables/t/commits";

/// Every table on one store in memory, behind faults.
#[derive(Debug)]
struct FaultyRoots(Arc<FaultyStore<InMemory>>);

impl FaultyRoots {
    fn new(faults: &Faults) -> Arc<Self> {
        Arc::new(Self(Arc::new(FaultyStore::new(InMemory::new(), faults.clone()))))
    }
}

impl Roots for FaultyRoots {
    fn open(&self, location: &str) -> Result<TableRoot> {
        let path = location.trim_start_matches("memory://").trim_matches('/').to_owned();
        let wrong = |e: &dyn std::error::Error| Error::invalid(e.to_string());
        let url = Url::parse(&format!("memory:///{path}/")).map_err(|e| wrong(&e))?;
        let prefix = Path::parse(path).map_err(|e| wrong(&e))?;
        Ok(TableRoot::with_store(Arc::<FaultyStore<InMemory>>::clone(&self.0), prefix, url))
    }
}

async fn start(faults: &Faults) -> (Rest, Arc<FaultyRoots>, TableRoot) {
    let roots = FaultyRoots::new(faults);
    let folder = tempfile::tempdir().expect("folder");
    let rest = Rest::start_in(folder, |_| {}, Some(Arc::<FaultyRoots>::clone(&roots))).await;
    let made = rest.post(TABLES, &json!({ "name": "t", "columns": columns() })).await.expect(201);
    let root = roots.open(made["table"]["location"].as_str().expect("location")).expect("root");
    (rest, roots, root)
}

/// A commit that adds one file, which is there.
async fn commit(root: &TableRoot, version: u64) -> serde_json::Value {
    let txn_id = new_id();
    let file = format!("{txn_id}.parquet");
    root.put(&root.child(&file).expect("path"), "x".into()).await.expect("file");
    let actions = commit_lines(&txn_id, &file, r#"{"numRecords":1}"#);
    json!({ "version": version, "txn_id": txn_id, "actions": actions })
}

async fn files(root: &TableRoot) -> (u64, usize) {
    let snapshot = Snapshot::load(root.clone(), At::Latest, SystemClock::shared()).await.expect("snapshot");
    (snapshot.version(), snapshot.files().await.expect("files").len())
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_known_as_its_own() {
    let faults = Faults::seeded(1);
    let (rest, _roots, root) = start(&faults).await;
    for (i, failure) in [Failure::Unavailable, Failure::Reset].into_iter().enumerate() {
        let version = i as u64 + 1;
        let label = format!("lost {i}");
        faults.add(
            Rule::new(Fault::ErrorAfter(failure)).on(Op::Put).path(&format!("{version:020}.json")).nth(1).label(&label),
        );
        let reply = rest.post(COMMITS, &commit(&root, version).await).await.expect(200);
        assert_eq!(reply["outcome"], "committed");
        assert_eq!(faults.fired(&label), 1);
        assert_eq!(files(&root).await, (version, version as usize), "once");
    }
}

#[tokio::test]
async fn what_cannot_be_settled_is_called_unknown_and_settled_by_repeating_it() {
    let faults = Faults::seeded(1);
    let (rest, _roots, root) = start(&faults).await;
    // The put lands, its answer is lost, and the version can't be read back.
    faults.add(Rule::new(Fault::ErrorAfter(Failure::Unavailable)).on(Op::Put).path("0001.json"));
    faults.add(Rule::new(Fault::ErrorBefore(Failure::Unavailable)).on(Op::Get).path("0001.json"));
    let body = commit(&root, 1).await;
    let reply = rest.post(COMMITS, &body).await;
    assert_eq!(reply.error(503), "unavailable");
    assert_eq!(reply.json()["error"]["commit"], json!({ "outcome": "unknown", "version": 1 }));
    faults.assert_all_fired();
    faults.heal();
    assert_eq!(rest.post(COMMITS, &body).await.expect(200)["outcome"], "already_committed");
    assert_eq!(files(&root).await, (1, 1));
}

#[tokio::test]
async fn a_version_that_cannot_be_read_may_be_ours() {
    let faults = Faults::seeded(1);
    let (rest, _roots, root) = start(&faults).await;
    let bodies = [commit(&root, 1).await, commit(&root, 2).await];
    for body in &bodies {
        rest.post(COMMITS, body).await.expect(200);
    }
    let load = format!("{TABLES}/t/load");
    rest.get(&load).await.expect(200);
    // With a checkpoint, the table can be read without its version 1.
    Snapshot::load(root.clone(), At::Latest, SystemClock::shared())
        .await
        .expect("snapshot")
        .write_checkpoint()
        .await
        .expect("checkpoint");
    faults.add(Rule::new(Fault::ErrorBefore(Failure::Unavailable)).on(Op::Get).path("0001.json"));
    let reply = rest.post(COMMITS, &bodies[0]).await;
    assert_eq!(reply.error(503), "unavailable");
    assert_eq!(reply.json()["error"]["commit"]["outcome"], "unknown");
    faults.assert_all_fired();
    faults.heal();
    assert_eq!(rest.post(COMMITS, &bodies[0]).await.expect(200)["outcome"], "already_committed");
    // Log clean-up takes the version away: whose it was can't be told any more.
    root.delete(&root.child("_delta_log/00000000000000000001.json").expect("path")).await.expect("delete");
    let reply = rest.post(COMMITS, &bodies[0]).await;
    assert_eq!(reply.error(409), "conflict");
    assert_eq!(reply.json()["error"]["commit"], json!({ "outcome": "unknown", "version": 1, "head": 2 }));
}

#[tokio::test]
async fn a_store_that_does_not_show_a_file_makes_its_commit_unavailable() {
    let faults = Faults::seeded(1);
    let (rest, _roots, root) = start(&faults).await;
    let body = commit(&root, 1).await;
    faults.add(Rule::new(Fault::ErrorBefore(Failure::PermissionDenied)).path(".parquet"));
    let reply = rest.post(COMMITS, &body).await;
    assert_eq!(reply.error(503), "unavailable");
    assert_eq!(reply.json()["error"]["commit"], json!({ "outcome": "rejected", "version": 1, "head": 0 }));
    faults.assert_all_fired();
    faults.heal();
    rest.post(COMMITS, &body).await.expect(200);
}

#[tokio::test]
async fn a_commit_goes_on_when_its_client_hangs_up() {
    let faults = Faults::seeded(1);
    let (mut rest, _roots, root) = start(&faults).await;
    let gate = Gate::new();
    faults.add(Rule::new(Fault::Pass).on(Op::Put).path("0001.json").hold_before(&gate).label("held"));
    let body = commit(&root, 1).await;
    let request = rest.request("POST", COMMITS).bearer_auth(&rest.token).json(&body);
    let impatient = request.timeout(Duration::from_millis(300)).send().await;
    assert!(impatient.is_err(), "the client gave up");
    assert_eq!(files(&root).await.0, 0, "not there yet");
    // The server is told to stop while the commit is held: it waits for it.
    rest.begin_stop();
    SystemClock.sleep(Duration::from_millis(100)).await;
    gate.open();
    drop(rest.stop().await);
    assert_eq!(files(&root).await, (1, 1), "the commit was finished");
}

#[tokio::test]
async fn a_table_that_the_store_does_not_take_leaves_no_entry() {
    let faults = Faults::seeded(1);
    let (rest, _roots, _) = start(&faults).await;
    faults.add(Rule::new(Fault::ErrorBefore(Failure::PermissionDenied)).on(Op::Put).path("_delta_log"));
    let before = rest.dump().await;
    let reply = rest.post(TABLES, &json!({ "name": "other", "columns": columns() })).await;
    assert_eq!(reply.error(503), "unavailable", "the store's refusal of the server is not the caller's");
    assert_eq!(rest.dump().await, before);
    faults.heal();
    rest.post(TABLES, &json!({ "name": "other", "columns": columns() })).await.expect(201);
}

#[tokio::test]
async fn a_store_that_is_away_makes_a_table_unavailable_not_the_server() {
    let faults = Faults::seeded(1);
    let (rest, _roots, _) = start(&faults).await;
    faults.add(Rule::new(Fault::ErrorBefore(Failure::Unavailable)));
    assert_eq!(rest.get(&format!("{TABLES}/t/load")).await.error(503), "unavailable");
    rest.get(&format!("{TABLES}/t")).await.expect(200);
    assert_eq!(rest.send(rest.request("GET", "/health/ready")).await.status, 200);
    faults.heal();
    rest.get(&format!("{TABLES}/t/load")).await.expect(200);
}
