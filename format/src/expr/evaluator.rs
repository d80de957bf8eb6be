//! SQL expressions of a table, worked out by whoever can: the crate itself has no SQL.

use std::fmt::Debug;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::DataType as ArrowType;

use crate::error::Result;

/// Shared handle to an [`Evaluator`].
pub type EvaluatorRef = Arc<dyn Evaluator>;

/// Works out the SQL expressions that a table carries: CHECK constraints, invariants, generated columns, defaults.
pub trait Evaluator: Debug + Send + Sync + 'static {
    /// The value of `expression` for every row of `rows`, as an array of type `wanted` with as many items. The columns
    /// of `rows` have the table's names (found ignoring case) and Arrow types. A condition is asked for as
    /// [`ArrowType::Boolean`]. Constant expressions may be given rows without columns.
    ///
    /// # Errors
    /// `Unsupported` or `Invalid` when the expression can't be worked out; the write that needs it is refused then.
    fn evaluate(&self, expression: &str, rows: &RecordBatch, wanted: &ArrowType) -> Result<ArrayRef>;
}
