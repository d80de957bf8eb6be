//! Maintenance of Lake tables: bin-packing, Z-order and vacuum.
//!
//! [`optimize`] rewrites data files without changing a row; [`vacuum()`] deletes files that nobody needs any more.

pub mod commit;
pub mod plan;
pub mod policy;
pub mod rewrite;
pub mod vacuum;

pub use commit::{OptimizeOptions, OptimizeOutcome, OptimizeReport, optimize};
pub use policy::OptimizePolicy;
pub use vacuum::{VacuumOptions, VacuumReport, vacuum};
