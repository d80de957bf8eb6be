//! Who decides what it means to commit: the log's put-if-absent, or a catalog.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::error::Error;
use crate::log::{CommitBody, Settled, write_commit};
use crate::store::{TableRoot, Unsynced};

/// What one attempt at one version came to.
#[derive(Debug)]
pub enum CommitAnswer {
    /// The commit is the version.
    Landed,
    /// Another commit is the version; this one never will be.
    Taken,
    /// Nothing was written and nothing will appear.
    Refused(Error),
    /// It may be there, or appear later.
    Unsettled(Error),
}

/// Makes a commit the version that it wants to be, or says honestly why not.
///
/// An implementor settles ambiguity as far as it can before it answers: after a time-out it asks again with the same
/// bytes, and recognises its own commit by `txnId`. It never rebases.
#[async_trait]
pub trait Committer: Debug + Send + Sync {
    /// One attempt.
    async fn try_commit(&self, root: &TableRoot, body: &CommitBody, clock: &dyn Clock) -> CommitAnswer;

    /// As [`Committer::try_commit`], of a commit that names `files`: they are synced before anybody can see it (COM-7).
    async fn try_commit_behind(
        &self,
        root: &TableRoot,
        body: &CommitBody,
        clock: &dyn Clock,
        files: Unsynced,
    ) -> CommitAnswer {
        match files.sync().await {
            Ok(()) => self.try_commit(root, body, clock).await,
            Err(error) => CommitAnswer::Refused(error),
        }
    }
}

/// Commits by creating `<version>.json` in the log, if absent.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogCommitter;

#[async_trait]
impl Committer for LogCommitter {
    async fn try_commit(&self, root: &TableRoot, body: &CommitBody, clock: &dyn Clock) -> CommitAnswer {
        self.try_commit_behind(root, body, clock, Unsynced::default()).await
    }

    async fn try_commit_behind(
        &self,
        root: &TableRoot,
        body: &CommitBody,
        clock: &dyn Clock,
        files: Unsynced,
    ) -> CommitAnswer {
        match write_commit(root, body, clock, files).await {
            Settled::Landed => CommitAnswer::Landed,
            Settled::Lost => CommitAnswer::Taken,
            Settled::Rejected(error) => CommitAnswer::Refused(error),
            Settled::Unknown(error) => CommitAnswer::Unsettled(error),
        }
    }
}
