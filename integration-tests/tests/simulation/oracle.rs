//! What must hold after a race, computed from the log alone by a second, simpler reader.

use std::collections::{BTreeMap, BTreeSet};

use lake_format::operation::{Settlement, settle};
use lake_format::{At, ClockRef, Snapshot, TableRoot};
use object_store::ObjectStoreExt;
use serde_json::Value;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Append,
    Overwrite,
    Compaction,
}

/// What a writer was told.
#[derive(Clone, Debug)]
pub enum Answer {
    Committed(u64),
    Rejected,
    Unknown(String),
}

/// One logical commit. Its added file's name is its identity.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub kind: Kind,
    pub added: String,
    pub removed: BTreeSet<String>,
    pub answer: Answer,
}

/// Judges a history and gives its trace.
pub async fn judge(truth: &TableRoot, clock: &ClockRef, attempts: &[Attempt]) -> Vec<String> {
    let versions = read_log(truth).await;
    let mut holder: BTreeMap<&str, u64> = BTreeMap::new();
    for (version, commit) in versions.iter().enumerate() {
        for path in &commit.added {
            let before = holder.insert(path, version as u64);
            assert_eq!(before, None, "COM-2: {path} was committed twice, at {before:?} and {version}");
        }
    }
    let ids: BTreeSet<&str> = versions.iter().map(|commit| commit.txn_id.as_str()).collect();
    assert_eq!(ids.len(), versions.len(), "COM-5: one txnId per version");

    for attempt in attempts {
        let at = holder.get(attempt.added.as_str()).copied();
        match &attempt.answer {
            Answer::Committed(version) => assert_eq!(at, Some(*version), "COM-2: {attempt:?}"),
            Answer::Rejected => assert_eq!(at, None, "COM-4: {attempt:?} was rejected, but is there"),
            Answer::Unknown(token) => {
                let settled = settle(truth, token).await.expect("settled");
                let wanted = at.map_or(settled == Settlement::Never || settled == Settlement::Open, |at| {
                    settled == Settlement::Landed(at)
                });
                assert!(wanted, "COM-12: {attempt:?} is {settled:?}, and the log has it at {at:?}");
            }
        }
    }

    let mut live: BTreeSet<String> = BTreeSet::new();
    for (version, commit) in versions.iter().enumerate() {
        if let Some(attempt) = attempts.iter().find(|attempt| commit.added.contains(&attempt.added)) {
            match attempt.kind {
                Kind::Append => {}
                Kind::Overwrite => assert_eq!(attempt.removed, live, "CON-2 at version {version}"),
                Kind::Compaction => assert!(attempt.removed.is_subset(&live), "CON-4 at version {version}"),
            }
        }
        live.retain(|path| !commit.removed.contains(path));
        live.extend(commit.added.iter().cloned());
        let at = At::Version(version as u64);
        let snapshot = Snapshot::load(truth.clone(), at, clock.clone()).await.expect("every version reads");
        let found: BTreeSet<String> =
            snapshot.files().await.expect("files").iter().map(|add| add.path.clone()).collect();
        assert_eq!(found, live, "LOG-5 at version {version}");
    }
    versions.into_iter().map(|commit| format!("{} +{:?} -{:?}", commit.txn_id, commit.added, commit.removed)).collect()
}

struct Commit {
    txn_id: String,
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
}

/// Every commit, read as plain JSON. A gap ends the log early and is found by the caller.
async fn read_log(truth: &TableRoot) -> Vec<Commit> {
    let mut commits = Vec::new();
    loop {
        let path = truth.child(&format!("_delta_log/{:020}.json", commits.len())).expect("path");
        let Ok(answer) = truth.store().get(&path).await else { break };
        let text = answer.bytes().await.expect("bytes");
        let mut commit = Commit { txn_id: String::new(), added: BTreeSet::new(), removed: BTreeSet::new() };
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            let action: Value = serde_json::from_slice(line).expect("JSON");
            let path_of = |kind: &str| action[kind]["path"].as_str().map(str::to_owned);
            commit.added.extend(path_of("add"));
            commit.removed.extend(path_of("remove"));
            if let Some(id) = action["commitInfo"]["txnId"].as_str() {
                commit.txn_id = id.to_owned();
            }
        }
        commits.push(commit);
    }
    let listed = truth.list("_delta_log").await.expect("list");
    let json = listed.iter().filter(|object| object.path.as_ref().ends_with(".json")).count();
    assert_eq!(json, commits.len(), "the versions have no gap");
    commits
}
