//! The committer of the simulation: the log's, watched; and those that are wrong on purpose.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use lake_format::log::commit_name;
use lake_format::store::{PutAnswer, put_if_absent};
use lake_format::transaction::{CommitAnswer, CommitBody, Committer, LogCommitter};
use lake_format::{Clock, TableRoot};

use super::history::{History, Sent};

/// How a committer is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "planted"), expect(dead_code, reason = "only planted"))]
pub enum Wrong {
    /// Takes its own commit, met after a lost answer, for another's.
    DisownsItsCommit,
    /// Calls an unknown outcome a rejection.
    RejectsTheUnknown,
    /// Writes over whatever is there.
    PutsOver,
    /// Takes absence for a rejection.
    TrustsAbsence,
    /// Tells of success before the answer is there.
    TrustsTheUnknown,
}

#[derive(Debug)]
pub struct Watched {
    pub history: Arc<Mutex<History>>,
    pub wrong: Option<Wrong>,
}

#[async_trait]
impl Committer for Watched {
    async fn try_commit(&self, root: &TableRoot, body: &CommitBody, clock: &dyn Clock) -> CommitAnswer {
        let sent = Sent { txn_id: body.txn_id, version: body.version, bytes: body.bytes.clone() };
        self.history.lock().unwrap_or_else(PoisonError::into_inner).sent.push(sent);
        let Ok(path) = root.child(&commit_name(body.version)) else { return CommitAnswer::Taken };
        match self.wrong {
            None => LogCommitter.try_commit(root, body, clock).await,
            Some(Wrong::DisownsItsCommit) => loop {
                match put_if_absent(root, &path, body.bytes.clone(), clock).await {
                    PutAnswer::Created => return CommitAnswer::Landed,
                    PutAnswer::Exists => return CommitAnswer::Taken,
                    PutAnswer::Refused(error) => return CommitAnswer::Refused(error),
                    PutAnswer::Unsettled(_) => {}
                }
            },
            Some(Wrong::PutsOver) => match root.put(&path, body.bytes.clone()).await {
                Ok(()) => CommitAnswer::Landed,
                Err(error) => CommitAnswer::Unsettled(error),
            },
            Some(Wrong::TrustsAbsence) => match put_if_absent(root, &path, body.bytes.clone(), clock).await {
                PutAnswer::Created => CommitAnswer::Landed,
                PutAnswer::Refused(error) => CommitAnswer::Refused(error),
                PutAnswer::Exists => LogCommitter.try_commit(root, body, clock).await,
                PutAnswer::Unsettled(error) => match root.head(&path).await {
                    Ok(None) => CommitAnswer::Refused(error),
                    _ => LogCommitter.try_commit(root, body, clock).await,
                },
            },
            Some(Wrong::RejectsTheUnknown) => match LogCommitter.try_commit(root, body, clock).await {
                CommitAnswer::Unsettled(error) => CommitAnswer::Refused(error),
                other => other,
            },
            Some(Wrong::TrustsTheUnknown) => match LogCommitter.try_commit(root, body, clock).await {
                CommitAnswer::Unsettled(_) => CommitAnswer::Landed,
                other => other,
            },
        }
    }
}
