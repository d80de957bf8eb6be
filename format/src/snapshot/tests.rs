//! Loading: damage of every kind, time travel, checkpoints.

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::action::{Add, Remove};
use crate::clock::{Clock, SystemClock};
use crate::error::ErrorKind;
use crate::operation::{CreateOptions, create};
use crate::schema::parse_declaration;
use crate::transaction::{Base, LogCommitter, Operation, Outcome, Reads, Staged, transact};

const COMMITS: u64 = 14;

/// A table of 15 versions with one file each, checkpoint at 10.
async fn table() -> TableRoot {
    table_with(&[]).await
}

async fn table_with(properties: &[(&str, &str)]) -> TableRoot {
    let root = TableRoot::in_memory("t").expect("root");
    let clock = SystemClock::shared();
    let options = CreateOptions {
        schema: parse_declaration("id long, day date").expect("schema"),
        partition_columns: vec!["day".into()],
        properties: properties.iter().chain(&[("owner", "me")]).map(|&(k, v)| (k.to_owned(), v.to_owned())).collect(),
        description: Some("it".into()),
        ..Default::default()
    };
    create(&root, &clock, &LogCommitter, options, None).await.expect("created");
    let mut head = Arc::new(load(&root, At::Latest).await.expect("loads"));
    for n in 1..=COMMITS {
        let add = Add {
            path: format!("f{n}.parquet"),
            size: 10,
            data_change: true,
            stats: Some(format!("{{\"numRecords\":{n}}}")),
            partition_values: [("day".to_owned(), (n % 2 == 0).then(|| "2024-01-01".to_owned()))].into(),
            ..Add::default()
        };
        let mut actions = vec![Action::Add(Box::new(add))];
        if n % 3 == 0 {
            let gone = head
                .files()
                .await
                .expect("files")
                .iter()
                .find(|file| file.path == format!("f{}.parquet", n - 1))
                .expect("live");
            actions.push(Action::Remove(Box::new(Remove::of(&gone, clock.now_ms(), true))));
        }
        let txn = Txn { app_id: "app".into(), version: n as i64, last_updated: None };
        actions.push(Action::Txn(txn));
        let domain = format!("lake.d{}", n % 2);
        actions.push(Action::Domain(DomainMetadata { domain, configuration: n.to_string(), removed: false }));
        // The domain needs a feature that this table does not list; the log takes it all the same.
        let staged = Staged { operation: Operation::new("WRITE"), actions, reads: Reads::Nothing };
        let outcome = transact(Base::On(head), staged, &LogCommitter).await.expect("committed");
        let Outcome::Committed(committed) = outcome else { panic!("unknown") };
        head = committed.snapshot;
        // The store's times are in milliseconds; equal ones would be told apart only by reading the whole log.
        SystemClock.sleep(std::time::Duration::from_millis(2)).await;
    }
    root
}

async fn load(root: &TableRoot, at: At) -> Result<Snapshot> {
    Snapshot::load(root.clone(), at, SystemClock::shared()).await
}

async fn put(root: &TableRoot, name: &str, text: &[u8]) {
    let path = root.child(&format!("_delta_log/{name}")).expect("path");
    root.put(&path, Bytes::copy_from_slice(text)).await.expect("put");
}

async fn delete(root: &TableRoot, name: &str) {
    root.delete(&root.child(&format!("_delta_log/{name}")).expect("path")).await.expect("delete");
}

async fn get(root: &TableRoot, name: &str) -> Bytes {
    root.get(&root.child(&format!("_delta_log/{name}")).expect("path")).await.expect("get")
}

fn commit(version: u64) -> String {
    format!("{version:020}.json")
}

fn checkpoint(version: u64) -> String {
    format!("{version:020}.checkpoint.parquet")
}

async fn paths(snapshot: &Snapshot) -> Vec<String> {
    let mut paths: Vec<String> = snapshot.files().await.expect("files").iter().map(|add| add.path.clone()).collect();
    paths.sort_unstable();
    paths
}

/// The whole state but for what a checkpoint may drop.
async fn state(snapshot: &Snapshot) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut files: Vec<Add> = snapshot
        .files()
        .await
        .expect("files")
        .iter()
        .map(|add| Add { data_change: false, ..Add::clone(&add) })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let mut gone: Vec<String> =
        snapshot.tombstones().await.expect("files").iter().map(|remove| remove.path.clone()).collect();
    gone.sort_unstable();
    let header = &snapshot.header;
    (files, gone, header.protocol.clone(), header.metadata.clone(), header.txns.clone(), header.domains.clone())
}

#[tokio::test]
async fn the_checkpoint_says_what_the_log_says() {
    let root = table().await;
    let with = load(&root, At::Latest).await.expect("loads");
    assert_eq!((with.version(), with.checkpoint_version()), (COMMITS, Some(10)), "CHK-1");
    assert_eq!(with.files().await.expect("files").num_rows(), Some((1..=COMMITS).sum::<u64>() - 2 - 5 - 8 - 11));
    delete(&root, &checkpoint(10)).await;
    delete(&root, "_last_checkpoint").await;
    let without = load(&root, At::Latest).await.expect("loads");
    assert_eq!(without.checkpoint_version(), None);
    assert_eq!(state(&with).await, state(&without).await);
}

#[tokio::test]
async fn a_damaged_shortcut_is_passed_over() {
    for damage in 0..7 {
        let root = table().await;
        let whole = state(&load(&root, At::Latest).await.expect("loads")).await;
        match damage {
            0 => put(&root, "_last_checkpoint", b"garbage{").await,
            1 => put(&root, "_last_checkpoint", b"").await,
            2 => put(&root, "_last_checkpoint", b"{\"version\":99999,\"size\":1}").await,
            3 => delete(&root, &checkpoint(10)).await,
            4 => put(&root, &checkpoint(10), b"").await,
            5 => {
                let bytes = get(&root, &checkpoint(10)).await;
                put(&root, &checkpoint(10), &bytes[..bytes.len() / 2]).await;
            }
            _ => put(&root, &checkpoint(10), b"PAR1 not really PAR1").await,
        }
        let loaded = load(&root, At::Latest).await.unwrap_or_else(|e| panic!("LOG-5, damage {damage}: {e}"));
        assert_eq!(state(&loaded).await, whole, "damage {damage}");
    }
}

#[tokio::test]
async fn a_damaged_commit_is_an_error_and_never_a_smaller_table() {
    for damage in 0..4 {
        let root = table().await;
        let bytes = get(&root, &commit(COMMITS)).await;
        match damage {
            0 => put(&root, &commit(COMMITS), b"").await,
            1 => put(&root, &commit(COMMITS), &bytes[..bytes.len() / 2]).await,
            2 => {
                let end = bytes.iter().position(|&byte| byte == b'\n').expect("lines") + 1;
                put(&root, &commit(COMMITS), &bytes[..end]).await;
            }
            _ => delete(&root, &commit(12)).await,
        }
        let error = load(&root, At::Latest).await.expect_err("LOG-2, LOG-5");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "damage {damage}: {error}");
        load(&root, At::Version(11)).await.unwrap_or_else(|e| panic!("older versions read: {e}"));
    }
}

#[tokio::test]
async fn a_handle_that_clean_up_overtook_follows_no_late_commit() {
    let root = table().await;
    let old = Arc::new(load(&root, At::Version(4)).await.expect("old"));
    let late = get(&root, &commit(3)).await;
    for version in 0..=5 {
        delete(&root, &commit(version)).await;
    }
    let wanted = state(&load(&root, At::Latest).await.expect("loads")).await;
    // A put from long ago arrives, and takes a name that clean-up has freed.
    put(&root, &commit(5), &late).await;
    assert_eq!(old.commits_since(4).await.expect_err("COM-14").kind(), ErrorKind::NotFound);
    assert_eq!(state(&old.refreshed().await.expect("COM-14")).await, wanted, "COM-14");
}

#[tokio::test]
async fn versions_and_times_travel() {
    let root = table().await;
    for version in [0, 1, 9, 10, 11, COMMITS] {
        let snapshot = load(&root, At::Version(version)).await.expect("there");
        assert_eq!(snapshot.version(), version);
        let at = load(&root, At::Timestamp(snapshot.timestamp_ms())).await.expect("LOG-9");
        assert!(at.version() >= version && at.timestamp_ms() <= snapshot.timestamp_ms(), "{version}");
    }
    assert_eq!(load(&root, At::Version(99)).await.expect_err("future").kind(), ErrorKind::NotFound);
    assert_eq!(load(&root, At::Timestamp(1)).await.expect_err("past").kind(), ErrorKind::NotFound);
    assert_eq!(load(&root, At::Timestamp(i64::MAX)).await.expect_err("LOG-15: future").kind(), ErrorKind::NotFound);
    assert_eq!(load(&root, At::NewestBy(i64::MAX)).await.expect("LOG-15: newest").version(), COMMITS);
    let empty = TableRoot::in_memory("e").expect("root");
    assert_eq!(load(&empty, At::Latest).await.expect_err("no table").kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn refreshing_equals_loading() {
    let root = table().await;
    let old = Arc::new(load(&root, At::Version(4)).await.expect("old"));
    let fresh = old.refreshed().await.expect("fresh");
    let loaded = load(&root, At::Latest).await.expect("loaded");
    assert_eq!((fresh.version(), paths(&fresh).await), (loaded.version(), paths(&loaded).await));
    assert_eq!(fresh.timestamp_ms(), loaded.timestamp_ms());
}

#[tokio::test]
async fn history_is_newest_first_and_bounded() {
    let root = table().await;
    let newest = load(&root, At::Latest).await.expect("newest");
    let entries = history(&newest, 3).await.expect("history");
    assert_eq!(entries.iter().map(|entry| entry.version).collect::<Vec<_>>(), [14, 13, 12]);
    assert!(entries.windows(2).all(|pair| pair[0].timestamp_ms > pair[1].timestamp_ms));
    assert_eq!((entries[2].files_added, entries[2].files_removed), (1, 1));
    assert_eq!(history(&newest, 100).await.expect("all").len(), 15);
}

mod cost;
mod forms;
mod layouts;
mod trips;
