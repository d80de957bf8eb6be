//! The fold itself: the newest word on each key wins.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::FileKey;
use crate::action::{Action, Add, DomainMetadata, Metadata, Protocol, Remove, Txn};
use crate::error::{Error, Result};

/// What survives of a log up to one version.
#[derive(Clone, Debug, Default)]
pub struct TableState {
    /// The protocol in force.
    pub protocol: Protocol,
    /// The table's description in force.
    pub metadata: Metadata,
    /// The live files.
    pub files: Vec<Arc<Add>>,
    /// Files that left the table, expired or not.
    pub tombstones: Vec<Arc<Remove>>,
    /// Newest progress mark per application.
    pub txns: BTreeMap<String, Txn>,
    /// Live domains.
    pub domains: BTreeMap<String, DomainMetadata>,
}

/// Folds commits newest to oldest, then the checkpoint.
#[derive(Debug, Default)]
pub struct Replay {
    protocol: Option<Protocol>,
    metadata: Option<Metadata>,
    files: Vec<Arc<Add>>,
    tombstones: Vec<Arc<Remove>>,
    seen: HashSet<FileKey>,
    txns: BTreeMap<String, Txn>,
    domains: BTreeMap<String, DomainMetadata>,
}

impl Replay {
    /// Takes one commit, older than all taken before (LOG-3). Its actions have no order among themselves.
    ///
    /// # Errors
    /// `Corrupt` when it holds two protocols or two descriptions.
    pub fn commit(&mut self, version: u64, actions: Vec<Action>) -> Result<()> {
        let (mut protocols, mut metadatas) = (0, 0);
        for action in actions {
            match &action {
                Action::Protocol(_) => protocols += 1,
                Action::Metadata(_) => metadatas += 1,
                _ => {}
            }
            self.take(action);
        }
        if protocols > 1 || metadatas > 1 {
            return Err(Error::corrupt("a commit holds more than one protocol or metaData action")
                .with_object(format!("version {version}")));
        }
        Ok(())
    }

    /// Takes one action of a checkpoint, after all commits above it.
    pub fn checkpointed(&mut self, action: Action) {
        self.take(action);
    }

    fn take(&mut self, action: Action) {
        match action {
            Action::Protocol(protocol) => {
                self.protocol.get_or_insert(protocol);
            }
            Action::Metadata(metadata) => {
                self.metadata.get_or_insert(*metadata);
            }
            Action::Add(add) => {
                if self.seen.insert(FileKey::of_add(&add)) {
                    self.files.push(Arc::new(*add));
                }
            }
            Action::Remove(remove) => {
                if self.seen.insert(FileKey::of_remove(&remove)) {
                    self.tombstones.push(Arc::new(*remove));
                }
            }
            Action::Txn(txn) => {
                self.txns.entry(txn.app_id.clone()).or_insert(txn);
            }
            Action::Domain(domain) => {
                self.domains.entry(domain.domain.clone()).or_insert(domain);
            }
            Action::CommitInfo(_) | Action::Cdc(_) => {}
        }
    }

    /// What survives.
    ///
    /// # Errors
    /// `Corrupt` when no protocol or no description was found (LOG-6).
    pub fn finish(mut self) -> Result<TableState> {
        let missing = |what: &str| Error::corrupt(format!("the log holds no {what} action"));
        self.domains.retain(|_, domain| !domain.removed);
        Ok(TableState {
            protocol: self.protocol.ok_or_else(|| missing("protocol"))?,
            metadata: self.metadata.ok_or_else(|| missing("metaData"))?,
            files: self.files,
            tombstones: self.tombstones,
            txns: self.txns,
            domains: self.domains,
        })
    }
}

impl TableState {
    /// The state after one more commit.
    ///
    /// # Errors
    /// As [`Replay::commit`].
    pub fn advanced(&self, version: u64, actions: Vec<Action>) -> Result<Self> {
        let mut replay = Replay::default();
        replay.commit(version, actions)?;
        for add in &self.files {
            if !replay.seen.contains(&FileKey::of_add(add)) {
                replay.files.push(Arc::clone(add));
            }
        }
        for remove in &self.tombstones {
            if !replay.seen.contains(&FileKey::of_remove(remove)) {
                replay.tombstones.push(Arc::clone(remove));
            }
        }
        replay.protocol.get_or_insert_with(|| self.protocol.clone());
        replay.metadata.get_or_insert_with(|| self.metadata.clone());
        for txn in self.txns.values() {
            replay.txns.entry(txn.app_id.clone()).or_insert_with(|| txn.clone());
        }
        for domain in self.domains.values() {
            replay.domains.entry(domain.domain.clone()).or_insert_with(|| domain.clone());
        }
        replay.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn add(path: &str, stats: &str) -> Action {
        Action::Add(Box::new(Add { path: path.into(), stats: Some(stats.into()), ..Add::default() }))
    }

    fn remove(path: &str) -> Action {
        Action::Remove(Box::new(Remove { path: path.into(), ..Remove::default() }))
    }

    fn start() -> Vec<Action> {
        vec![Action::Protocol(Protocol::default()), Action::Metadata(Box::default())]
    }

    fn paths(state: &TableState) -> Vec<&str> {
        let mut paths: Vec<&str> = state.files.iter().map(|add| add.path.as_str()).collect();
        paths.sort_unstable();
        paths
    }

    #[test]
    fn the_newest_word_on_a_file_wins() {
        let mut replay = Replay::default();
        replay.commit(3, vec![add("b", "new"), add("c", "")]).expect("3");
        replay.commit(2, vec![remove("a"), remove("c")]).expect("2");
        replay.commit(1, vec![add("a", ""), add("b", "old"), add("c", "")]).expect("1");
        replay.commit(0, start()).expect("0");
        let state = replay.finish().expect("state");
        assert_eq!(paths(&state), ["b", "c"], "LOG-3");
        assert_eq!(state.files.iter().find(|f| f.path == "b").and_then(|f| f.stats.as_deref()), Some("new"));
        assert_eq!(state.tombstones.len(), 1, "c came back");
    }

    #[test]
    fn advancing_equals_replaying_from_the_start() {
        let commits = [
            [start(), vec![add("a", ""), add("b", "")]].concat(),
            vec![remove("a"), Action::Txn(Txn { app_id: "x".into(), version: 4, last_updated: None })],
            vec![add("a", ""), Action::Txn(Txn { app_id: "x".into(), version: 3, last_updated: None })],
            vec![Action::Domain(DomainMetadata { domain: "d".into(), configuration: "1".into(), removed: false })],
            vec![Action::Domain(DomainMetadata { domain: "d".into(), configuration: String::new(), removed: true })],
        ];
        let mut replay = Replay::default();
        for (version, commit) in commits.iter().enumerate().rev() {
            replay.commit(version as u64, commit.clone()).expect("commit");
        }
        let whole = replay.finish().expect("whole");
        let mut first = Replay::default();
        first.commit(0, commits[0].clone()).expect("0");
        let mut stepped = first.finish().expect("first");
        for (version, commit) in commits.iter().enumerate().skip(1) {
            stepped = stepped.advanced(version as u64, commit.clone()).expect("step");
        }
        assert_eq!(paths(&whole), paths(&stepped));
        assert_eq!(whole.txns, stepped.txns, "the newest mark wins, even a smaller one");
        assert_eq!(whole.txns["x"].version, 3);
        assert!(whole.domains.is_empty() && stepped.domains.is_empty());
    }

    #[test]
    fn two_protocols_in_a_commit_and_a_log_without_one_are_corrupt() {
        let mut replay = Replay::default();
        let error = replay.commit(1, [start(), start()].concat()).expect_err("twice");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let mut bare = Replay::default();
        bare.commit(0, vec![add("a", "")]).expect("fine so far");
        assert_eq!(bare.finish().expect_err("LOG-6").kind(), ErrorKind::Corrupt);
    }
}
