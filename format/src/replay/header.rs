//! What a table is, without its files: protocol, description, progress marks, domains.

use std::collections::BTreeMap;

use crate::action::{Action, DomainMetadata, Metadata, Protocol, Txn};
use crate::error::{Error, Result};

/// The part of a version's state that does not speak of files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Header {
    /// The protocol in force.
    pub protocol: Protocol,
    /// The table's description in force.
    pub metadata: Metadata,
    /// Newest progress mark per application.
    pub txns: BTreeMap<String, Txn>,
    /// Live domains.
    pub domains: BTreeMap<String, DomainMetadata>,
}

/// Folds commits newest to oldest, then the checkpoint. The newest word on each key wins (LOG-3).
#[derive(Debug, Default)]
pub struct HeaderFold {
    protocol: Option<Protocol>,
    metadata: Option<Metadata>,
    txns: BTreeMap<String, Txn>,
    domains: BTreeMap<String, DomainMetadata>,
}

impl HeaderFold {
    /// Takes one commit, older than all taken before. Its actions have no order among themselves.
    ///
    /// # Errors
    /// `Corrupt` when it holds two protocols or two descriptions.
    pub fn commit(&mut self, version: u64, actions: &[Action]) -> Result<()> {
        let count = |test: fn(&Action) -> bool| actions.iter().filter(|action| test(action)).count();
        if count(|a| matches!(a, Action::Protocol(_))) > 1 || count(|a| matches!(a, Action::Metadata(_))) > 1 {
            return Err(Error::corrupt("a commit holds more than one protocol or metaData action")
                .with_object(format!("version {version}")));
        }
        actions.iter().for_each(|action| self.take(action));
        Ok(())
    }

    /// Takes one action of a checkpoint, after all commits above it.
    pub fn checkpointed(&mut self, action: &Action) {
        self.take(action);
    }

    /// Takes the state of an older version whole.
    pub fn older(&mut self, header: &Header) {
        self.protocol.get_or_insert_with(|| header.protocol.clone());
        self.metadata.get_or_insert_with(|| header.metadata.clone());
        for (app_id, txn) in &header.txns {
            self.txns.entry(app_id.clone()).or_insert_with(|| txn.clone());
        }
        for (name, domain) in &header.domains {
            self.domains.entry(name.clone()).or_insert_with(|| domain.clone());
        }
    }

    fn take(&mut self, action: &Action) {
        match action {
            Action::Protocol(protocol) => {
                self.protocol.get_or_insert_with(|| protocol.clone());
            }
            Action::Metadata(metadata) => {
                self.metadata.get_or_insert_with(|| Metadata::clone(metadata));
            }
            Action::Txn(txn) => {
                self.txns.entry(txn.app_id.clone()).or_insert_with(|| txn.clone());
            }
            Action::Domain(domain) => {
                self.domains.entry(domain.domain.clone()).or_insert_with(|| domain.clone());
            }
            Action::Add(_) | Action::Remove(_) | Action::CommitInfo(_) | Action::Cdc(_) => {}
        }
    }

    /// What survives.
    ///
    /// # Errors
    /// `Corrupt` when no protocol or no description was found (LOG-6).
    pub fn finish(mut self) -> Result<Header> {
        let missing = |what: &str| Error::corrupt(format!("the log holds no {what} action"));
        self.domains.retain(|_, domain| !domain.removed);
        Ok(Header {
            protocol: self.protocol.ok_or_else(|| missing("protocol"))?,
            metadata: self.metadata.ok_or_else(|| missing("metaData"))?,
            txns: self.txns,
            domains: self.domains,
        })
    }
}

impl Header {
    /// The state after one more commit.
    ///
    /// # Errors
    /// As [`HeaderFold::commit`].
    pub fn advanced(&self, version: u64, actions: &[Action]) -> Result<Self> {
        let mut fold = HeaderFold::default();
        fold.commit(version, actions)?;
        fold.older(self);
        fold.finish()
    }
}
