//! Every kind of fault of the simulation, and how often each came.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident: $text:literal,)*) => {
        /// A kind of fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

faults! {
    Unavailable: "503 before the effect",
    Internal: "500 before the effect",
    Throttled: "429 before the effect",
    ThrottleBurst: "a burst of 429",
    ResetBefore: "reset before the effect",
    Cut: "line down for a while",
    Denied: "403",
    Conflict409: "409 on a create, without effect",
    LostAck503: "503 after the effect",
    LostAckReset: "reset after the effect",
    LostAckResent: "412 after an own resend",
    DelayedEffect: "effect up to a minute after the time-out",
    LateEffect: "effect up to an hour after the time-out",
    Duplicate: "request delivered twice",
    HangBefore: "no answer, no effect",
    HangAfter: "no answer after the effect",
    Slow: "slow answer",
    CutWithError: "read broken off",
    CutSilently: "read cut short",
    StaleList: "stale list",
    StaleGet: "stale get",
    CachedGet: "deleted object still served",
    /// From here on the store has no part in it.
    Cancel: "writer cancelled at an await",
    Pause: "writer paused for seconds",
    LongPause: "writer paused beyond the retention",
    OldHandle: "writer on an old handle",
    Skew: "clock off by up to two days",
    Step: "clock stepped",
    Freeze: "clock frozen",
}

impl Fault {
    pub fn is_of_store(self) -> bool {
        (self as usize) < Self::Cancel as usize
    }

    /// Whether what a client reads may be older than what it was told before.
    pub fn is_stale(self) -> bool {
        matches!(self, Self::StaleList | Self::StaleGet | Self::CachedGet)
    }
}

/// How often each kind came.
#[derive(Debug)]
pub struct Activations(Vec<AtomicU64>);

impl Default for Activations {
    fn default() -> Self {
        Self(Fault::ALL.iter().map(|_| AtomicU64::new(0)).collect())
    }
}

impl Activations {
    pub fn count(&self, fault: Fault) {
        self.0[fault as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize].load(Ordering::Relaxed)
    }

    pub fn add(&self, other: &Self) {
        for (mine, theirs) in self.0.iter().zip(&other.0) {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
