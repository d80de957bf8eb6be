//! Test tools over object stores: faults, request counts, latency, and seeds that replay.
//!
//! ```
//! use object_store::memory::InMemory;
//! use lake_testkit::{Failure, Fault, Faults, FaultyStore, Op, Rule};
//!
//! // The third commit lands, but its writer is told 503.
//! let faults = Faults::seeded(7);
//! faults.add(Rule::new(Fault::ErrorAfter(Failure::Unavailable)).on(Op::Put).path("_delta_log/*.json").nth(3));
//! let store = FaultyStore::new(InMemory::new(), faults.clone());
//! // … run the code under test on `store`, then:
//! assert_eq!(faults.total_fired(), 0);
//! # drop(store);
//! ```

mod counting;
mod faulty;
mod gate;
mod latency;
mod op;
mod pattern;
mod seed;

pub use counting::{Counters, CountingStore};
pub use faulty::{Activation, Delay, Failure, Fault, Faults, FaultyStore, Injected, Rule, storm};
pub use gate::Gate;
pub use latency::LatencyStore;
pub use op::{Op, Request};
pub use seed::{SeedGuard, SplitMix64, for_each_seed, seeds, simulate};
