//! The one retry loop: try a version, and when another took it, look at the winners and try the next.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::after::follow_up;
use super::body::build;
use super::linked::{check_after, check_before};
use super::stamp::{Ground, after, starts_keeping_time};
use super::{CommitAnswer, Committed, Committer, Outcome, Staged, Unresolved};
use crate::action::Action;
use crate::clock::ClockRef;
use crate::conflict::{self, Mine};
use crate::error::{Error, ErrorKind, Result};
use crate::log::{CommitRecord, commit_name, in_commit_ms};
use crate::planted::{Defect, planted};
use crate::protocol::{TableProperties, is_supported};
use crate::snapshot::Snapshot;
use crate::store::{TableRoot, Unsynced};

/// Versions tried before giving up. With jitter, a hundred writers stay well below it.
const MAX_ATTEMPTS: u32 = 500;
/// Time after which no new attempt is made: files wait for their commit, and vacuum waits half of the retention.
const LONGEST_MS: i64 = 30 * 60 * 1000;
const FIRST_PAUSE_MS: u64 = 10;
const LONGEST_PAUSE_MS: u64 = 2_000;

/// What a commit stands on.
#[derive(Clone, Debug)]
pub enum Base {
    /// No table yet: the commit is version 0.
    New(TableRoot, ClockRef),
    /// That version of the table.
    On(Arc<Snapshot>),
}

/// Commits `staged` on top of `base`. After every lost version the winners since the last attempt are read, and the
/// commit is rebased past them or given up (COM-6).
///
/// # Errors
/// `Conflict` when a winner overlaps, `AlreadyExists` when a new table is there already, and whatever the committer
/// refuses with. After an error nothing of the commit is, or will be, in the table. When that can't be said, the
/// answer is [`Outcome::Unknown`].
pub async fn transact(base: Base, staged: Staged, committer: &dyn Committer) -> Result<Outcome> {
    transact_behind(base, staged, committer, Unsynced::default()).await
}

/// As [`transact`], of a commit that names `files`: they are synced before anybody can see it (COM-7).
///
/// # Errors
/// As [`transact`], and what the system says to the syncs.
pub async fn transact_behind(
    base: Base,
    staged: Staged,
    committer: &dyn Committer,
    files: Unsynced,
) -> Result<Outcome> {
    let (root, clock, mut head) = match base {
        Base::New(root, clock) => (root, clock, None),
        Base::On(snapshot) => (snapshot.root().clone(), Arc::clone(snapshot.clock()), Some(snapshot)),
    };
    let (mut staged, mut files) = (staged, files);
    check_staged(head.as_deref(), &root, &clock, &staged)?;
    let read_version = head.as_ref().map(|snapshot| snapshot.version());
    let txn_id = clock.new_txn_id();
    let started_ms = clock.now_ms();
    for attempt in 0..MAX_ATTEMPTS {
        if clock.now_ms().saturating_sub(started_ms) > LONGEST_MS {
            return Err(gave_up(&root, attempt));
        }
        let version = head.as_ref().map_or(0, |snapshot| snapshot.version() + 1);
        let previous_ms = previous_ms(head.as_deref(), &staged.actions).await?;
        if let Some(head) = head.as_deref() {
            check_before(head).await?;
        }
        let ground = Ground { head: head.as_deref(), version, now_ms: clock.now_ms(), previous_ms };
        let (body, actions) = build(&staged, ground, read_version, txn_id)?;
        if planted(Defect::KeptRowIds) {
            let own =
                |a: &&Action| matches!(a, Action::Add(_) | Action::Remove(_) | Action::Txn(_) | Action::Metadata(_));
            staged.actions = actions.iter().filter(own).cloned().collect();
        }
        match committer.try_commit_behind(&root, &body, clock.as_ref(), std::mem::take(&mut files)).await {
            CommitAnswer::Landed => {
                if let Some(head) = head.as_deref()
                    && let Err(reason) = check_after(head).await
                {
                    return Ok(Outcome::Unknown(Unresolved { version, txn_id, reason }));
                }
                let now_ms = ground.now_ms;
                return Ok(landed((root, clock, now_ms), head, version, txn_id, actions).await);
            }
            CommitAnswer::Refused(error) => return Err(error),
            CommitAnswer::Unsettled(reason) => return Ok(Outcome::Unknown(Unresolved { version, txn_id, reason })),
            CommitAnswer::Taken => {}
        }
        let Some(mut newest) = head else {
            return Err(Error::already_exists("a table is here already").with_object(root.display()));
        };
        pause(&clock, attempt).await;
        let winners = newest.commits_since(newest.version()).await.map_err(overtaken)?;
        for winner in winners {
            if winner.txn_id() == Some(txn_id.to_string().as_str()) {
                // An earlier attempt of ours landed after all, whatever was answered then.
                let (version, modified_ms) = (winner.version, winner.modified_ms);
                let snapshot = newest.advanced(version, winner.actions, modified_ms).map_or(newest, Arc::new);
                return Ok(Outcome::Committed(Committed { version, txn_id, snapshot }));
            }
            newest = Arc::new(past(&newest, &staged, winner).map_err(|e| e.with_object(root.display()))?);
        }
        head = Some(newest);
    }
    Err(gave_up(&root, MAX_ATTEMPTS))
}

/// Log clean-up took what this attempt stands on: a conflict, like any other state that is no longer there.
fn overtaken(error: Error) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    let object = error.object().unwrap_or_default().to_owned();
    Error::conflict(error.message().to_owned())
        .with_object(object)
        .with_hint("nothing was written; open the table again, then decide whether to repeat the operation")
}

fn gave_up(root: &TableRoot, attempts: u32) -> Error {
    Error::conflict(format!("gave up after {attempts} versions were taken by other writers"))
        .with_object(root.display())
        .with_hint("nothing was written; try again, or commit through the catalog server")
}

/// The table after `winner`, if `staged` may follow it (COM-6).
fn past(before: &Snapshot, staged: &Staged, winner: CommitRecord) -> Result<Snapshot> {
    let home = before.root().home();
    let ground = conflict::Ground {
        protocol: before.protocol(),
        metadata: before.metadata(),
        schema: before.schema(),
        isolation: before.properties().isolation_level,
        home: &home,
    };
    let mine = Mine { actions: &staged.actions, reads: &staged.reads };
    conflict::check(mine, ground, winner.version, &winner.actions)?;
    let new_protocol = winner.actions.iter().any(|action| matches!(action, Action::Protocol(_)));
    let after = before.advanced(winner.version, winner.actions, winner.modified_ms)?;
    if new_protocol {
        after.check_writable()?;
    }
    Ok(after)
}

/// The time of the version before, by the store, for a commit that must come after it.
async fn previous_ms(head: Option<&Snapshot>, actions: &[Action]) -> Result<Option<i64>> {
    let Some(head) = head else { return Ok(None) };
    if !starts_keeping_time(actions, Some(head)) {
        return Ok(Some(head.timestamp_ms()));
    }
    // A snapshot that we wrote ourselves knows our clock's time only, not that of the file.
    let file = head.root().head(&head.root().child(&commit_name(head.version()))?).await?;
    Ok(Some(file.map_or(i64::MIN, |file| file.modified_ms).max(head.timestamp_ms())))
}

/// Refuses to commit files that a vacuum may already take for leftovers: those of a write that lasted longer than half
/// of the time for which removed files are kept (COM-8). What is left of that time is for the commit itself.
///
/// # Errors
/// `Unavailable`.
pub fn check_deadline(snapshot: &Snapshot, started_ms: i64) -> Result<()> {
    let limit_ms = snapshot.properties().deleted_file_retention_ms / 2;
    let lasted_ms = snapshot.clock().now_ms().saturating_sub(started_ms);
    if lasted_ms <= limit_ms.max(MIN_DEADLINE_MS) {
        return Ok(());
    }
    Err(Error::unavailable("the write took so long that a vacuum may have removed its first files")
        .with_object(snapshot.root().display())
        .with_hint("nothing was committed; write in smaller parts, or raise delta.deletedFileRetentionDuration"))
}

/// A retention shorter than this is for tests: it does not make every write fail.
const MIN_DEADLINE_MS: i64 = 60 * 60 * 1000;

/// Refuses to move rows from file to file where each row's id would have to move along, which is not written yet
/// (LOG-8).
///
/// # Errors
/// `Unsupported` naming the feature.
pub fn check_rearrangement(snapshot: &Snapshot) -> Result<()> {
    let properties = snapshot.properties();
    if !is_supported(snapshot.protocol(), "rowTracking") || !properties.row_tracking {
        return Ok(());
    }
    Err(Error::unsupported(
        "rows of a table with row tracking on (delta.enableRowTracking) can't be moved to other files: this version of \
         Lake does not write materialised row ids",
    )
    .with_object(snapshot.root().display())
    .with_hint("nothing was changed; use an engine that keeps row ids, or set delta.enableRowTracking to false"))
}

/// Refuses before the first attempt what could only be found wrong after landing.
fn check_staged(head: Option<&Snapshot>, root: &TableRoot, clock: &ClockRef, staged: &Staged) -> Result<()> {
    let redefines = |action: &Action| matches!(action, Action::Metadata(_) | Action::Protocol(_));
    let after = match head {
        Some(snapshot) => {
            snapshot.check_writable()?;
            if staged.actions.iter().any(|action| matches!(action, Action::Remove(remove) if remove.data_change)) {
                check_rows_may_leave(snapshot)?;
            }
            if staged.actions.iter().any(|action| matches!(action, Action::Add(add) if !add.data_change)) {
                check_rearrangement(snapshot)?;
            }
            check_features(&staged.actions, snapshot)?;
            let redefined: Vec<Action> = staged.actions.iter().filter(|action| redefines(action)).cloned().collect();
            if redefined.is_empty() {
                return Ok(());
            }
            snapshot.advanced(snapshot.version() + 1, redefined, clock.now_ms())?
        }
        None => Snapshot::first(root.clone(), Arc::clone(clock), staged.actions.clone(), clock.now_ms())?,
    };
    after.check_writable()
}

/// The state after our own commit, from what is in memory. A landed commit is never turned into an error (COM-4).
async fn landed(
    (root, clock, sent_ms): (TableRoot, ClockRef, i64),
    head: Option<Arc<Snapshot>>,
    version: u64,
    txn_id: Uuid,
    actions: Vec<Action>,
) -> Outcome {
    let own_ms = in_commit_ms(&actions);
    // The time of the file is not known. It is not before the time that it was sent at.
    let advanced = match &head {
        Some(snapshot) => snapshot.advanced(version, actions, sent_ms),
        None => Snapshot::first(root, clock, actions, sent_ms),
    };
    let snapshot = match (advanced, head) {
        (Ok(snapshot), _) => Arc::new(snapshot),
        // What was staged was checked before, so this is a defect; the older snapshot is still a true one.
        (Err(error), Some(older)) => {
            tracing::error!(table = %older.root().display(), version, %error, "a landed commit can't be interpreted");
            return Outcome::Committed(Committed { version, txn_id, snapshot: older });
        }
        (Err(reason), None) => return Outcome::Unknown(Unresolved { version, txn_id, reason }),
    };
    let snapshot = follow_up(snapshot, txn_id, own_ms).await;
    Outcome::Committed(Committed { version, txn_id, snapshot })
}

/// Full jitter: writers that lost together do not come back together.
async fn pause(clock: &ClockRef, attempt: u32) {
    let ceiling_ms = (FIRST_PAUSE_MS << attempt.min(8)).min(LONGEST_PAUSE_MS);
    clock.sleep(Duration::from_millis(clock.below(ceiling_ms))).await;
}

/// Refuses a property that asks for a feature which the protocol does not have: an upgrade is asked for, never silent.
fn check_features(actions: &[Action], head: &Snapshot) -> Result<()> {
    if !actions.iter().any(|action| matches!(action, Action::Metadata(_))) {
        return Ok(());
    }
    let (Some(protocol), Some(metadata)) = after(actions, Some(head)) else { return Ok(()) };
    let (now, then) = (head.properties(), TableProperties::parse(&metadata.configuration));
    let switched_on = [
        ("inCommitTimestamp", !now.in_commit_timestamps && then.in_commit_timestamps),
        ("rowTracking", !now.row_tracking && then.row_tracking),
    ];
    match switched_on.into_iter().find(|&(feature, on)| on && !is_supported(protocol, feature)) {
        None => Ok(()),
        Some((feature, _)) => {
            let message = format!("this property needs the table feature {feature:?}, which the table lacks");
            Err(Error::unsupported(message)
                .with_object(head.root().display())
                .with_hint("nothing was changed; ask for the feature first: a protocol is never upgraded silently"))
        }
    }
}

/// Refuses to take rows from a table that only takes appends.
///
/// # Errors
/// `Unsupported`.
pub fn check_rows_may_leave(snapshot: &Snapshot) -> Result<()> {
    if snapshot.properties().append_only {
        return Err(Error::new(ErrorKind::Unsupported, "the table is append-only (delta.appendOnly): rows stay")
            .with_object(snapshot.root().display())
            .with_hint("nothing was changed; append instead, or set delta.appendOnly to false"));
    }
    Ok(())
}
