//! Which fault hits the next request, how often each did, and which effects are still to come.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::{BoxFuture, pending};
use object_store::path::Path;
use object_store::{Error, Result};

use super::plan::{Delay, Fault, Rule};
use crate::op::{Op, Request};
use crate::seed::SplitMix64;

/// The faults of one or more stores. Clones share rules, counts and delayed effects.
#[derive(Clone)]
pub struct Faults(Arc<Mutex<State>>);

/// How often a rule was met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activation {
    /// The rule's label, or its description.
    pub label: String,
    /// Requests that the rule means.
    pub matched: u64,
    /// Requests that the fault hit.
    pub fired: u64,
}

struct State {
    seed: SplitMix64,
    entries: Vec<Entry>,
    healed: bool,
    requests: u64,
    pending: Vec<Pending>,
    hits: Vec<Request>,
}

struct Entry {
    rule: Rule,
    rng: SplitMix64,
    matched: u64,
    fired: u64,
}

struct Pending {
    due: u64,
    effect: BoxFuture<'static, ()>,
}

/// What is to happen to one request.
pub(super) struct Decision {
    op: Op,
    path: Path,
    rule: Option<Rule>,
}

impl Decision {
    pub(super) fn fault(&self) -> Fault {
        self.rule.as_ref().map_or(Fault::Pass, |rule| rule.fault)
    }

    pub(super) fn error(&self, failure: super::Failure) -> Error {
        failure.error(self.op, &self.path)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Faults").field(&self.activations()).finish()
    }
}

impl Faults {
    /// No rules yet; rules with a chance draw it from `seed`.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            seed: SplitMix64::new(seed),
            entries: Vec::new(),
            healed: false,
            requests: 0,
            pending: Vec::new(),
            hits: Vec::new(),
        })))
    }

    /// These rules.
    pub fn with(self, rules: impl IntoIterator<Item = Rule>) -> Self {
        rules.into_iter().for_each(|rule| self.add(rule));
        self
    }

    /// One more rule. The first rule that hits a request decides; every rule counts all requests it means.
    pub fn add(&self, rule: Rule) {
        let mut state = self.state();
        let rng = state.seed.fork(state.entries.len() as u64);
        state.entries.push(Entry { rule, rng, matched: 0, fired: 0 });
    }

    /// From now on no rule hits. Counts stay; delayed effects still come.
    pub fn heal(&self) {
        self.state().healed = true;
    }

    /// Brings all effects that wait for later requests to pass now, in their order.
    pub async fn settle(&self) {
        let all = std::mem::take(&mut self.state().pending);
        for pending in all {
            pending.effect.await;
        }
    }

    /// How many effects wait for later requests.
    pub fn pending(&self) -> usize {
        self.state().pending.len()
    }

    /// How often each rule was met, in the order they were added.
    pub fn activations(&self) -> Vec<Activation> {
        let state = self.state();
        let activation =
            |entry: &Entry| Activation { label: entry.rule.name(), matched: entry.matched, fired: entry.fired };
        state.entries.iter().map(activation).collect()
    }

    /// How often the rules with this label hit.
    pub fn fired(&self, label: &str) -> u64 {
        self.activations().iter().filter(|found| found.label == label).map(|found| found.fired).sum()
    }

    /// How often any rule hit.
    pub fn total_fired(&self) -> u64 {
        self.activations().iter().map(|found| found.fired).sum()
    }

    /// The requests that were hit, in order.
    pub fn hits(&self) -> Vec<Request> {
        self.state().hits.clone()
    }

    /// A run that never met one of its faults has not tested it.
    ///
    /// # Panics
    /// If a rule never hit.
    #[track_caller]
    pub fn assert_all_fired(&self) {
        let idle: Vec<_> = self.activations().into_iter().filter(|found| found.fired == 0).collect();
        assert!(idle.is_empty(), "faults that never hit: {idle:?}");
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a request, brings the effects that are due to pass, and decides what happens to it.
    pub(super) async fn begin(&self, op: Op, path: &Path) -> Decision {
        // Decided first: a request's place in the count does not depend on how long the effects take.
        let (decision, due) = self.state().admit(op, path);
        for pending in due {
            pending.effect.await;
        }
        if let Some(gate) = decision.rule.as_ref().and_then(|rule| rule.before.as_ref()) {
            gate.pass().await;
        }
        decision
    }

    /// Lets `effect` happen, or not, as decided.
    pub(super) async fn finish<R: Send + 'static>(
        &self,
        decision: Decision,
        effect: impl Future<Output = Result<R>> + Send + 'static,
    ) -> Result<R> {
        let answer = match decision.fault() {
            Fault::Pass | Fault::TruncatedRead { .. } | Fault::StaleList { .. } => effect.await,
            Fault::ErrorBefore(failure) => Err(decision.error(failure)),
            Fault::ErrorAfter(failure) => {
                let _ = effect.await;
                Err(decision.error(failure))
            }
            Fault::Delayed { answer, until } => {
                self.delay(until, Box::pin(async move { drop(effect.await) }));
                Err(decision.error(answer))
            }
            Fault::HangBefore => pending().await,
            Fault::HangAfter => {
                let _ = effect.await;
                pending().await
            }
        };
        if let Some(gate) = decision.rule.as_ref().and_then(|rule| rule.after.as_ref()) {
            gate.pass().await;
        }
        answer
    }

    #[expect(clippy::disallowed_methods, reason = "the time of the runtime under test is what the delay is made of")]
    fn delay(&self, until: Delay, effect: BoxFuture<'static, ()>) {
        match until {
            Delay::Requests(count) => {
                let mut state = self.state();
                let due = state.requests.saturating_add(count.max(1));
                state.pending.push(Pending { due, effect });
            }
            Delay::Time(time) => {
                // The time runs from now, not from when the task is first polled.
                let wait = tokio::time::sleep(time);
                tokio::spawn(async move {
                    wait.await;
                    effect.await;
                });
            }
        }
    }
}

impl State {
    fn admit(&mut self, op: Op, path: &Path) -> (Decision, Vec<Pending>) {
        self.requests += 1;
        let now = self.requests;
        let due = self.pending.extract_if(.., |pending| pending.due <= now).collect();
        let mut rule = None;
        for entry in &mut self.entries {
            if entry.admit(op, path, rule.is_none() && !self.healed) {
                rule = Some(entry.rule.clone());
                self.hits.push(Request { op, path: path.clone() });
            }
        }
        (Decision { op, path: path.clone(), rule }, due)
    }
}

impl Entry {
    /// Counts the request, and hits it if the rule says so and may.
    fn admit(&mut self, op: Op, path: &Path, may: bool) -> bool {
        if !self.rule.means(op, path) {
            return false;
        }
        self.matched += 1;
        // Drawn for every request it means, so that one rule does not shift the chance of another.
        let drawn = self.rng.chance(self.rule.per_mille);
        let hits = may && drawn && self.matched > self.rule.skip && self.fired < self.rule.times;
        self.fired += u64::from(hits);
        hits
    }
}
