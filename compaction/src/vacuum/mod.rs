//! Vacuum: deletes files that no version within the retention needs.

mod plan;
mod sweep;

pub use plan::{Kept, Reachable, VacuumFile, VacuumPlan, abandoned_commits, plan};
pub use sweep::{VacuumFailure, VacuumOptions, VacuumReport, vacuum};
