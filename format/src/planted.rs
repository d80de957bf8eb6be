//! Defects that tests switch on by name, to prove that they would be found. Without the feature `planted` there are none.

#[cfg(feature = "planted")]
use std::cell::Cell;

/// A mistake in the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// Two commits may remove one path.
    DoubleRemoves,
    /// Files that came where a commit had looked are not minded.
    UnseenAdds,
    /// Two commits may write for one application.
    SharedApplications,
    /// A winner's new description is overwritten.
    SharedDescriptions,
    /// A winner's domain is overwritten.
    SharedDomains,
    /// In-commit timestamps are the clock's, whatever came before.
    ClockTimes,
    /// Row ids of the first attempt are kept for the next.
    KeptRowIds,
    /// A commit does not look whether its table's log still goes on where it stands.
    BlindStart,
    /// Log clean-up takes the commit of the checkpoint too.
    OneCommitTooMany,
    /// Log clean-up takes the checkpoint that it keeps versions by.
    NoCheckpointLeft,
    /// Log clean-up goes by the newest checkpoint, whatever the retention.
    NoRetention,
    /// A checkpoint keeps files that the commits above the last one removed.
    RevivingCheckpoint,
    /// A checkpoint forgets what was removed.
    ForgetfulCheckpoint,
    /// Replay takes files of one path for one, whatever their deletion vectors.
    VectorlessKeys,
    /// A refresh over several versions passes over the first.
    SkippingRefresh,
    /// An unknown outcome is called a failure for good while the version is absent.
    HastySettlement,
    /// The files of a write with an unknown outcome are deleted.
    DiscardedUnknown,
}

#[cfg(feature = "planted")]
thread_local! {
    static ON: Cell<Option<Defect>> = const { Cell::new(None) };
}

/// Plants a defect in everything that this thread does from now on, or takes it out.
#[cfg(feature = "planted")]
pub fn plant(defect: Option<Defect>) {
    ON.set(defect);
}

/// Whether `defect` is in. Without the feature this is the constant `false`.
#[cfg(feature = "planted")]
pub(crate) fn planted(defect: Defect) -> bool {
    ON.get() == Some(defect)
}

/// Whether `defect` is in: never.
#[cfg(not(feature = "planted"))]
#[inline(always)]
pub(crate) const fn planted(_: Defect) -> bool {
    false
}
