//! From a table's root to a snapshot: hint, listing, checkpoint, commits, replay, gate.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::time::{commit_time_ms, in_commit_ms, rising};
use super::{At, Snapshot};
use crate::clock::ClockRef;
use crate::error::{Error, ErrorKind, Result};
use crate::log::checkpoint::{read_checkpoint, read_hint};
use crate::log::{CommitRecord, LogFile, LogPath, LogSegment, list_log, read_commit};
use crate::replay::Replay;
use crate::store::{ObjectInfo, TableRoot};

/// Commits fetched at once.
const CONCURRENT_COMMITS: usize = 16;

impl Snapshot {
    /// The table at `root`, at the version asked for.
    ///
    /// A damaged hint or checkpoint is passed over as long as the rest of the log proves the state (LOG-5).
    ///
    /// # Errors
    /// `NotFound` for no table, no such version, or a time before the first version; `Unsupported` naming a feature
    /// that Lake does not read; `Corrupt` for a gap, or a commit that is empty or torn.
    pub async fn load(root: TableRoot, at: At, clock: ClockRef) -> Result<Self> {
        let (hint, version) = match at {
            At::Latest => (read_hint(&root).await, None),
            At::Version(version) => (read_hint(&root).await, Some(version)),
            At::Timestamp(ms) => (None, Some(version_at(&root, ms).await?)),
        };
        let candidates = LogSegment::find(&root, hint.as_ref(), version).await?;
        match Self::build_first(&root, candidates, &clock).await {
            Err(Failure::Checkpoint(_)) if hint.is_some() => {
                let candidates = LogSegment::find(&root, None, version).await?;
                Self::build_first(&root, candidates, &clock).await.map_err(Failure::into_error)
            }
            other => other.map_err(Failure::into_error),
        }
    }

    /// The first candidate whose checkpoint can be read. The first failure is the one reported.
    async fn build_first(root: &TableRoot, candidates: Vec<LogSegment>, clock: &ClockRef) -> Result<Self, Failure> {
        let mut first = None;
        for segment in candidates {
            match Self::build(root, &segment, clock).await {
                Err(Failure::Checkpoint(error)) => {
                    tracing::warn!(table = %root.display(), %error, "passing over a checkpoint that can't be used");
                    first.get_or_insert(error);
                }
                other => return other,
            }
        }
        let none = || Error::not_found("no table here").with_object(root.display());
        Err(Failure::Checkpoint(first.unwrap_or_else(none)))
    }

    async fn build(root: &TableRoot, segment: &LogSegment, clock: &ClockRef) -> Result<Self, Failure> {
        let (checkpoint, checkpointed) = match &segment.checkpoint {
            Some((version, parts)) => {
                (Some(*version), read_checkpoint(root, parts).await.map_err(Failure::of_checkpoint)?)
            }
            None => (None, Vec::new()),
        };
        let commits = read_commits(root, &segment.commits).await?;
        let first_part = segment.checkpoint.as_ref().and_then(|(_, parts)| parts.first());
        let mut timestamp_ms = segment.head.as_ref().or(first_part).map(|object| object.modified_ms);
        let mut previous = None;
        for commit in &commits {
            let time = commit_time_ms(&commit.actions, commit.modified_ms, previous);
            previous = Some(time);
            timestamp_ms = Some(time);
        }
        let mut replay = Replay::default();
        for commit in commits.into_iter().rev() {
            replay.commit(commit.version, commit.actions)?;
        }
        for action in checkpointed {
            replay.checkpointed(action);
        }
        let state = replay.finish().map_err(|e| e.with_object(root.display()))?;
        let time = timestamp_ms.unwrap_or_default();
        Ok(Self::new(root.clone(), Arc::clone(clock), segment.version, time, checkpoint, state)?)
    }

    /// This table at its newest version: reads only what came after this snapshot.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub async fn refreshed(self: &Arc<Self>) -> Result<Arc<Self>> {
        let winners = self.commits_since(self.version).await?;
        let mut newest = Arc::clone(self);
        for commit in winners {
            newest = Arc::new(newest.advanced(commit.version, commit.actions, commit.modified_ms)?);
        }
        Ok(newest)
    }

    /// The commits after `version`, oldest first, without a gap.
    ///
    /// # Errors
    /// `Corrupt` for a torn commit or a gap.
    pub async fn commits_since(&self, version: u64) -> Result<Vec<CommitRecord>> {
        let files = list_log(&self.root, version + 1).await?;
        let commits: Vec<(u64, ObjectInfo)> = files.into_iter().filter_map(as_commit).collect();
        for (expected, (found, _)) in (version + 1..).zip(&commits) {
            if expected != *found {
                return Err(Error::corrupt(format!("the log has a gap: version {expected} is missing below {found}"))
                    .with_object(self.root.display()));
            }
        }
        read_commits(&self.root, &commits).await
    }
}

fn as_commit(file: LogFile) -> Option<(u64, ObjectInfo)> {
    match file.meaning {
        LogPath::Commit { version } => Some((version, file.object)),
        _ => None,
    }
}

/// Why a version could not be built one way.
enum Failure {
    /// The checkpoint can't be used; another way to the same version may not need it.
    Checkpoint(Error),
    /// The table itself: every way meets the same.
    Table(Error),
}

impl Failure {
    fn of_checkpoint(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Unsupported => Self::Checkpoint(error),
            _ => Self::Table(error),
        }
    }

    fn into_error(self) -> Error {
        match self {
            Self::Checkpoint(error) | Self::Table(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Table(error)
    }
}

async fn read_commits(root: &TableRoot, commits: &[(u64, ObjectInfo)]) -> Result<Vec<CommitRecord>> {
    let read = |(version, object): (u64, ObjectInfo)| async move {
        let record = read_commit(root, version).await?;
        let mut record = record.ok_or_else(|| {
            Error::corrupt(format!("commit {version} was listed but is gone")).with_object(root.name_of(&object.path))
        })?;
        record.modified_ms = object.modified_ms;
        Ok(record)
    };
    stream::iter(commits.to_vec()).map(read).buffered(CONCURRENT_COMMITS).try_collect().await
}

/// The newest version at or before `at_ms`. Tables that keep their own time are asked from the newest commit
/// down; the others by the times of their files, made to rise.
async fn version_at(root: &TableRoot, at_ms: i64) -> Result<u64> {
    let commits: Vec<(u64, ObjectInfo)> = list_log(root, 0).await?.into_iter().filter_map(as_commit).collect();
    let Some(&(oldest, _)) = commits.first() else {
        return Err(Error::not_found("no table here").with_object(root.display()));
    };
    let mut plain = commits.len();
    while plain > 0 {
        let version = commits[plain - 1].0;
        let record = read_commit(root, version).await?;
        let Some(own_ms) = record.and_then(|record| in_commit_ms(&record.actions)) else { break };
        if own_ms <= at_ms {
            return Ok(version);
        }
        plain -= 1;
    }
    let mut found = None;
    let mut previous = None;
    for (version, object) in &commits[..plain] {
        let time = rising(object.modified_ms, previous);
        previous = Some(time);
        if time > at_ms {
            break;
        }
        found = Some(*version);
    }
    found.ok_or_else(|| {
        Error::not_found(format!("no version at or before that time; the oldest in the log is version {oldest}"))
            .with_object(root.display())
    })
}
