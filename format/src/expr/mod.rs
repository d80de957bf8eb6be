//! Predicates over a table's columns: what they are, what bounds prove, what a batch answers.

mod bounds;
mod constant;
mod element;
mod eval;
mod evaluator;
mod fold;
mod masks;
mod possible;
mod predicate;
mod scalar;

pub use bounds::{BoundsSource, ColumnBounds, Verdict, judge};
pub use constant::{constant_array, to_arrow_scalar};
pub(crate) use element::scalar_at;
pub use eval::evaluate;
pub use evaluator::{Evaluator, EvaluatorRef};
pub use possible::{BoundsColumn, Possible, possible};
pub use predicate::{ColumnPath, CompareOp, Predicate};
pub use scalar::{Scalar, compare};
pub(crate) use scalar::{decimal_text, power_of_ten};
