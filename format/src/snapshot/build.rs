//! From a table's root to a snapshot: hint, listing, checksum or checkpoint head, commits, gate. No list of files.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::Semaphore;

use super::above::{Above, Piece};
use super::base::Base;
use super::time::{timekeeping_of, version_at};
use super::{At, Parts, Snapshot};
use crate::action::Action;
use crate::clock::ClockRef;
use crate::error::{Error, ErrorKind, Result};
use crate::log::checkpoint::{Totals, read_head, read_hint};
use crate::log::{
    Candidates, Checksum, CommitRecord, FileLines, LogFile, LogPath, LogSegment, TailFile, Timekeeping, empty_commit,
    in_commit_ms, list_log, read_checksum, read_commit, read_commit_info, stream_parts,
};
use crate::planted::{Defect, planted};
use crate::replay::{FileTally, Header, HeaderFold};
use crate::store::{ObjectInfo, TableRoot};

/// Commits fetched at once.
const CONCURRENT_COMMITS: usize = 16;
/// What a larger commit says of files is not kept, but read again when it is needed.
const HELD_BYTES: u64 = 4 << 20;
/// Nor what is said by commits older than so many bytes of others.
const MOST_HELD_BYTES: u64 = 64 << 20;
/// Large commits read at once.
const LARGE_AT_ONCE: usize = 2;

impl Snapshot {
    /// The table at `root`, at the version asked for. The list of its files is not read: that waits until it is needed.
    ///
    /// A damaged hint, checksum or checkpoint is passed over as long as the rest of the log proves the state (LOG-5).
    ///
    /// # Errors
    /// `NotFound` for no table, no such version, or a time before the first version; `Unsupported` naming a feature
    /// that Lake does not read; `Corrupt` for a gap, or a commit that is empty or torn.
    pub async fn load(root: TableRoot, at: At, clock: ClockRef) -> Result<Self> {
        let (hint, version) = match at {
            At::Latest => (read_hint(&root).await, None),
            At::Version(version) => (read_hint(&root).await, Some(version)),
            At::Timestamp(ms) => (None, Some(version_at(&root, ms, false, &clock).await?)),
            At::NewestBy(ms) => (None, Some(version_at(&root, ms, true, &clock).await?)),
        };
        let candidates = LogSegment::find(&root, hint.as_ref(), version).await?;
        match Self::build_first(&root, candidates, &clock).await {
            Err(Failure::Checkpoint(_)) if hint.is_some() => {
                let candidates = LogSegment::find_all(&root, version).await?;
                Self::build_first(&root, candidates, &clock).await.map_err(Failure::into_error)
            }
            other => other.map_err(Failure::into_error),
        }
    }

    /// The first candidate whose checkpoint can be read. The first failure is the one reported.
    async fn build_first(root: &TableRoot, candidates: Candidates, clock: &ClockRef) -> Result<Self, Failure> {
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

    /// The table by one segment of the log, and no other.
    pub(super) async fn of_segment(root: &TableRoot, segment: &LogSegment, clock: &ClockRef) -> Result<Self> {
        Self::build(root, segment, clock).await.map_err(Failure::into_error)
    }

    async fn build(root: &TableRoot, segment: &LogSegment, clock: &ClockRef) -> Result<Self, Failure> {
        // All at once, as if the checksum were good: on a far store each wait counts.
        let told = segment.checksum.as_ref().map(|(version, _)| version + 1);
        let known = async {
            match &segment.checksum {
                Some((version, object)) => Known::read(root, *version, object).await,
                None => None,
            }
        };
        let early_head = async {
            match &segment.checkpoint {
                Some((_, parts)) if told.is_none() => Some(read_head(root, parts).await),
                _ => None,
            }
        };
        let (known, tail, early_head) = futures::join!(known, read_tail(root, &segment.tail, told), early_head);
        let mut tail = tail?;
        let checksum = known.filter(|known| known.is_of(segment.version, tail.last().map(|piece| &piece.actions)));
        if told.is_some() && checksum.is_none() {
            tail = read_tail(root, &segment.tail, None).await?;
        }
        let mut head = None;
        let mut fold = HeaderFold::default();
        let above = checksum.as_ref().map(|known| known.version);
        for piece in tail.iter().rev().filter(|piece| above.is_none_or(|version| piece.to > version)) {
            fold.commit(piece.to, &piece.actions)?;
        }
        match (&checksum, &segment.checkpoint) {
            (Some(known), _) => fold.older(&known.header),
            (None, Some((_, parts))) => {
                let read = match early_head {
                    Some(read) => read,
                    None => read_head(root, parts).await,
                };
                let read = read.map_err(Failure::of_checkpoint)?;
                read.actions.iter().for_each(|action| fold.checkpointed(action));
                head = Some(read);
            }
            (None, None) => {}
        }
        let header = fold.finish().map_err(|e| e.with_object(root.display()))?;
        let timestamp_ms = segment_time_ms(root, segment, &tail, checksum.as_ref(), &header).await?;
        let totals = checksum.and_then(|known| known.totals_with(&tail));
        let base = match &segment.checkpoint {
            Some((version, parts)) => {
                Base::checkpoint(root.clone(), *version, parts.clone(), head).telling(segment.told_files)
            }
            None => Base::default(),
        };
        let pieces = tail.into_iter().map(|piece| piece.piece).collect();
        let parts = Parts {
            version: segment.version,
            timestamp_ms,
            header,
            base: Arc::new(base),
            above: Above::new(pieces),
            totals,
        };
        Ok(Self::new(root.clone(), Arc::clone(clock), parts)?)
    }

    /// This table at its newest version: reads only what came after this snapshot, unless log clean-up has taken that.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub async fn refreshed(self: &Arc<Self>) -> Result<Arc<Self>> {
        let winners = match self.commits_since(self.version).await {
            // Log clean-up may have taken the next commit: the newest version is then found anew.
            Err(error) if is_damage(&error) => {
                let newest = Self::load(self.root.clone(), At::Latest, Arc::clone(&self.clock)).await?;
                return Ok(Arc::new(Self { checkpoints_aside: self.checkpoints_aside, ..newest }));
            }
            winners => winners?,
        };
        let mut newest = Arc::clone(self);
        let skipped = usize::from(planted(Defect::SkippingRefresh) && winners.len() > 1);
        for commit in winners.into_iter().skip(skipped) {
            newest = Arc::new(newest.advanced(commit.version, commit.actions, commit.modified_ms)?);
        }
        Ok(newest)
    }

    /// The commits after `version`, oldest first, without a gap.
    ///
    /// # Errors
    /// `NotFound` when log clean-up has taken `version` itself: what stands behind it need not be the table's (COM-14).
    /// `Corrupt` for a torn commit or a gap.
    pub async fn commits_since(&self, version: u64) -> Result<Vec<CommitRecord>> {
        let files = list_log(&self.root, version).await?;
        let holds = |file: &LogFile| matches!(file.meaning, LogPath::Commit { .. }) || file.meaning.is_checkpoint();
        let stands = files.iter().any(|file| file.meaning.version() == version && holds(file));
        let commits: Vec<(u64, ObjectInfo)> =
            files.into_iter().filter_map(as_commit).filter(|(found, _)| *found > version).collect();
        if !stands && !commits.is_empty() {
            // Names that clean-up freed can be taken again by late writers: what follows need not be the table's.
            return Err(Error::not_found(format!("log clean-up has removed version {version}, which this stands on"))
                .with_object(self.root.display())
                .with_hint("open the table again"));
        }
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

/// What a checksum file tells of a version.
struct Known {
    version: u64,
    checksum: Checksum,
    header: Header,
}

impl Known {
    async fn read(root: &TableRoot, version: u64, object: &ObjectInfo) -> Option<Self> {
        let checksum = read_checksum(root, object).await?;
        let header = checksum.header()?;
        Some(Self { version, checksum, header })
    }

    /// Whether it can be of the commit that has its version, as far as that is in sight: at the head.
    fn is_of(&self, head: u64, actions: Option<&Vec<Action>>) -> bool {
        let (Some(theirs), Some(actions)) = (&self.checksum.txn_id, actions) else { return true };
        let txn_id = actions.iter().find_map(|action| match action {
            Action::CommitInfo(info) => info.txn_id.as_ref(),
            _ => None,
        });
        self.version != head || txn_id.is_none_or(|txn_id| txn_id == theirs)
    }

    fn totals_with(&self, tail: &[TailPiece]) -> Option<Totals> {
        let totals = Totals {
            num_files: u64::try_from(self.checksum.num_files).ok()?,
            size_bytes: u64::try_from(self.checksum.table_size_bytes).ok()?,
        };
        let mut newer = tail.iter().filter(|piece| piece.to > self.version);
        newer.try_fold(totals, |totals, piece| after_commit(totals, &piece.actions, piece.tally?))
    }
}

/// The totals after one more commit; `None` where it can't be told without the list of files: an `add` may speak of a
/// file that is live already, and a `remove` may leave out the size.
pub(super) fn after_commit(totals: Totals, actions: &[Action], files: FileTally) -> Option<Totals> {
    if counts(actions) { with_tally(totals, files) } else { None }
}

/// Whether every `add` and `remove` of a commit is one of a file that comes or goes.
pub(super) fn counts(actions: &[Action]) -> bool {
    let info = actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => Some(info),
        _ => None,
    });
    info.is_some_and(|info| {
        let ours = info.engine_info.as_ref().is_some_and(|engine| engine.starts_with("Lake/"));
        ours || info.is_blind_append == Some(true)
    })
}

/// The totals after these files came and went; `None` where it can't be told.
pub(super) fn with_tally(totals: Totals, files: FileTally) -> Option<Totals> {
    Some(Totals {
        num_files: totals.num_files.checked_add(files.added)?.checked_sub(files.removed)?,
        size_bytes: totals.size_bytes.checked_add(files.added_bytes?)?.checked_sub(files.removed_bytes?)?,
    })
}

/// A commit of the tail, or several made into one.
struct TailPiece {
    to: u64,
    modified_ms: i64,
    /// What was parsed of it, without what it says of files.
    actions: Vec<Action>,
    /// How many files came and went, when that was looked at.
    tally: Option<FileTally>,
    piece: Piece,
}

/// Reads what opening needs of the tail: the commits from `from` on (all when `None`), and the newest in any case. Of
/// large ones, and of all when they are many bytes together, only what does not speak of files.
async fn read_tail(root: &TableRoot, tail: &[TailFile], from: Option<u64>) -> Result<Vec<TailPiece>> {
    let newest = tail.last().map(|file| file.to);
    let mut room = MOST_HELD_BYTES;
    let mut plans = Vec::with_capacity(tail.len());
    for file in tail.iter().rev() {
        let needed = from.is_none_or(|from| file.to >= from) || Some(file.to) == newest;
        let size = file.object.size_bytes;
        let held = needed && size <= HELD_BYTES && room.checked_sub(size).map(|left| room = left).is_some();
        plans.push((file.clone(), needed, held));
    }
    plans.reverse();
    let large = Semaphore::new(LARGE_AT_ONCE);
    let read = |(TailFile { to, object, .. }, needed, held): (TailFile, bool, bool)| {
        let large = &large;
        async move {
            if object.size_bytes == 0 {
                return Err(empty_commit(to).with_object(root.name_of(&object.path)));
            }
            let modified_ms = object.modified_ms;
            if !needed {
                let piece = Piece::Listed(to, object);
                return Ok(TailPiece { to, modified_ms, actions: Vec::new(), tally: None, piece });
            }
            let _turn = if object.size_bytes > HELD_BYTES { large.acquire().await.ok() } else { None };
            let files = if held { FileLines::WithStats } else { FileLines::Skipped };
            let mut parts = stream_parts(root, &object.path, to, files);
            let (mut actions, mut changes, mut tally) = (Vec::new(), Vec::new(), FileTally::default());
            while let Some(part) = parts.try_next().await? {
                actions.extend(part.actions);
                tally = tally.and(part.changes.tally());
                changes.push(part.changes);
            }
            Ok(match held {
                true => {
                    let piece = Piece::Read(Arc::new(changes));
                    TailPiece { to, modified_ms, actions, tally: Some(tally), piece }
                }
                false => TailPiece { to, modified_ms, actions, tally: None, piece: Piece::Listed(to, object) },
            })
        }
    };
    stream::iter(plans).map(read).buffered(CONCURRENT_COMMITS).try_collect().await
}

/// When the segment's version was committed.
async fn segment_time_ms(
    root: &TableRoot,
    segment: &LogSegment,
    tail: &[TailPiece],
    checksum: Option<&Known>,
    header: &Header,
) -> Result<i64> {
    let keeping = timekeeping_of(header);
    let mut time = None;
    for piece in tail {
        time = Some(keeping.time_of(piece.to, &piece.actions, piece.modified_ms, time));
    }
    if let Some(time) = time {
        return Ok(time);
    }
    if keeping != Timekeeping::Files {
        let known = checksum.filter(|known| known.version == segment.version);
        if let Some(own_ms) = known.and_then(|known| known.checksum.in_commit_timestamp_opt) {
            return Ok(own_ms);
        }
        if segment.head.is_some()
            && let Some(record) = read_commit_info(root, segment.version).await?
        {
            return Ok(in_commit_ms(&record.actions).unwrap_or_default());
        }
    }
    let first_part = segment.checkpoint.as_ref().and_then(|(_, parts)| parts.first());
    Ok(segment.head.as_ref().or(first_part).map_or(0, |object| object.modified_ms))
}

/// Whether an error may be one of a damaged checkpoint.
pub(super) fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound | ErrorKind::Unsupported)
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
        if is_damage(&error) { Self::Checkpoint(error) } else { Self::Table(error) }
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
