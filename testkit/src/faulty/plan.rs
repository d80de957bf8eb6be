//! Which faults there are, and which requests a rule means.

use std::collections::BTreeSet;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use object_store::Error;
use object_store::path::Path;

use crate::gate::Gate;
use crate::op::Op;
use crate::pattern::Pattern;

/// The answer that a client gets instead of the true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// 503: the store does not answer now.
    Unavailable,
    /// 429 or 503 with "slow down".
    Throttled,
    /// The client's own time-out.
    Timeout,
    /// The connection breaks.
    Reset,
    /// The object is there already. As an error after the effect this is what a client tells that resends a
    /// conditional write by itself and meets its own object.
    AlreadyExists,
    /// 412: the condition does not hold.
    Precondition,
    /// 404.
    NotFound,
    /// 403.
    PermissionDenied,
}

impl Failure {
    fn message(self) -> &'static str {
        match self {
            Self::Unavailable => "503 service unavailable",
            Self::Throttled => "503 slow down",
            Self::Timeout => "the request timed out",
            Self::Reset => "the connection was reset",
            Self::AlreadyExists => "the object is there already",
            Self::Precondition => "412 precondition failed",
            Self::NotFound => "404 not found",
            Self::PermissionDenied => "403 forbidden",
        }
    }

    /// The error that a client of the store sees.
    pub fn error(self, op: Op, path: &Path) -> Error {
        let source = Box::new(Injected { op, failure: self });
        let path = path.to_string();
        match self {
            Self::Unavailable | Self::Throttled | Self::Timeout | Self::Reset => {
                Error::Generic { store: "faulty", source }
            }
            Self::AlreadyExists => Error::AlreadyExists { path, source },
            Self::Precondition => Error::Precondition { path, source },
            Self::NotFound => Error::NotFound { path, source },
            Self::PermissionDenied => Error::PermissionDenied { path, source },
        }
    }
}

/// The source of every error that a fault made, to tell it from a true one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected {
    /// The request that was hit.
    pub op: Op,
    /// What its client was told.
    pub failure: Failure,
}

impl Injected {
    /// The fault behind `error`, if one made it.
    pub fn of(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(*found);
            }
            next = error.source();
        }
        None
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "injected into {:?}: {}", self.op, self.failure.message())
    }
}

impl StdError for Injected {}

/// When a delayed effect comes to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// Right before the n-th later request is served, of all stores that share the faults: with 2, one request
    /// does not see the effect and the next one does. 0 counts as 1.
    Requests(u64),
    /// After this much time of the runtime, which must be tokio's.
    Time(Duration),
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Nothing. For rules that only count, or hold a request at a gate.
    Pass,
    /// The request has no effect, and its client is told so or left to guess.
    ErrorBefore(Failure),
    /// The request has its effect, and its answer is lost.
    ErrorAfter(Failure),
    /// The client gets the failure now; the effect comes later, if the store still admits it then. For requests that
    /// change objects.
    Delayed {
        /// What the client is told now.
        answer: Failure,
        /// When the effect comes.
        until: Delay,
    },
    /// No effect and no answer until the client gives up.
    HangBefore,
    /// The effect, but no answer until the client gives up.
    HangAfter,
    /// A body that ends early. For reads.
    TruncatedRead {
        /// Bytes that arrive.
        keep_bytes: u64,
        /// The error that ends the body; without one it just ends.
        then: Option<Failure>,
    },
    /// A listing without the objects written last. For listings.
    StaleList {
        /// How many objects are not seen.
        hide: usize,
    },
}

impl Fault {
    /// Whether the fault can happen to such a request.
    pub(crate) fn fits(self, op: Op) -> bool {
        match self {
            Self::Delayed { .. } => op.changes() && op != Op::PutPart,
            Self::TruncatedRead { .. } => op.reads(),
            Self::StaleList { .. } => op == Op::List,
            Self::Pass | Self::ErrorBefore(_) | Self::ErrorAfter(_) | Self::HangBefore | Self::HangAfter => true,
        }
    }
}

/// A fault and the requests that it hits. Without a limit it hits all that it fits.
#[derive(Clone, Debug)]
pub struct Rule {
    pub(crate) fault: Fault,
    pub(crate) ops: BTreeSet<Op>,
    pub(crate) path: Pattern,
    pub(crate) skip: u64,
    pub(crate) times: u64,
    pub(crate) per_mille: u32,
    pub(crate) before: Option<Gate>,
    pub(crate) after: Option<Gate>,
    pub(crate) label: Option<String>,
}

impl Rule {
    /// A rule for `fault`.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            ops: BTreeSet::new(),
            path: Pattern::new(""),
            skip: 0,
            times: u64::MAX,
            per_mille: 1_000,
            before: None,
            after: None,
            label: None,
        }
    }

    /// Only this kind of request; may be called again for one more.
    pub fn on(mut self, op: Op) -> Self {
        self.ops.insert(op);
        self
    }

    /// Only requests that change what the store holds.
    pub fn on_changes(mut self) -> Self {
        self.ops.extend([Op::Put, Op::CompleteMultipart, Op::Delete, Op::Copy]);
        self
    }

    /// Only paths that hold this text or, where it holds `*`, that hold the pieces between the stars one after
    /// another and end in the last of them. A listing's path is its prefix, a copy's where it goes to.
    pub fn path(mut self, pattern: &str) -> Self {
        self.path = Pattern::new(pattern);
        self
    }

    /// Only the `n`-th such request, counted from 1; the next one if another rule takes that.
    pub fn nth(self, n: u64) -> Self {
        self.from_nth(n).times(1)
    }

    /// Only from the `n`-th such request on, counted from 1.
    pub fn from_nth(mut self, n: u64) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// At most this many times.
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// So many times in a thousand, drawn from the seed of the faults.
    pub fn chance(mut self, per_mille: u32) -> Self {
        self.per_mille = per_mille;
        self
    }

    /// Holds the request at `gate` before its effect.
    pub fn hold_before(mut self, gate: &Gate) -> Self {
        self.before = Some(gate.clone());
        self
    }

    /// Holds the answer at `gate`, after the effect and whatever the fault makes of it.
    pub fn hold_after(mut self, gate: &Gate) -> Self {
        self.after = Some(gate.clone());
        self
    }

    /// The name under which its activations are counted. Rules may share one.
    pub fn label(mut self, label: &str) -> Self {
        self.label = Some(label.to_owned());
        self
    }

    pub(crate) fn means(&self, op: Op, path: &Path) -> bool {
        self.fault.fits(op) && (self.ops.is_empty() || self.ops.contains(&op)) && self.path.matches(path.as_ref())
    }

    pub(crate) fn name(&self) -> String {
        let described = || format!("{:?} on {:?} of `{}`", self.fault, self.ops, self.path.as_str());
        self.label.clone().unwrap_or_else(described)
    }
}

/// One rule for each kind of fault that a client gets over without a time-out of its own, each hitting so many requests
/// in a thousand.
pub fn storm(per_mille: u32) -> Vec<Rule> {
    let delayed = |until| Fault::Delayed { answer: Failure::Timeout, until };
    let cut = |then| Fault::TruncatedRead { keep_bytes: 7, then };
    vec![
        Rule::new(Fault::ErrorBefore(Failure::Unavailable)).label("unavailable"),
        Rule::new(Fault::ErrorBefore(Failure::Throttled)).label("throttled"),
        Rule::new(Fault::ErrorBefore(Failure::Reset)).label("reset before effect"),
        Rule::new(Fault::ErrorAfter(Failure::Unavailable)).on_changes().label("answer lost, 503"),
        Rule::new(Fault::ErrorAfter(Failure::Reset)).on_changes().label("answer lost, reset"),
        Rule::new(Fault::ErrorAfter(Failure::AlreadyExists)).on(Op::Put).path(".json").label("answer lost, resent"),
        Rule::new(delayed(Delay::Requests(3))).on_changes().label("effect delayed"),
        Rule::new(cut(Some(Failure::Reset))).label("read broken off"),
        Rule::new(Fault::StaleList { hide: 1 }).label("stale list"),
    ]
    .into_iter()
    .map(|rule| rule.chance(per_mille))
    .collect()
}
