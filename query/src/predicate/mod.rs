//! Which part of a query's filter the scan can answer by itself.

mod column;
mod literal;
mod show;
mod translate;

use datafusion::arrow::datatypes::Schema;
use datafusion::logical_expr::Expr;
use lake_format::expr::Predicate;

pub(crate) use show::show;
pub(crate) use translate::translate;

/// A filter in the scan's own language.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Translated {
    /// True for every row for which the filter is true.
    pub predicate: Predicate,
    /// Whether it is true for no other row.
    pub exact: bool,
}

/// What can be said in the scan's language of rows that pass all of `filters`; `None` when that is nothing.
pub(crate) fn conjunction(filters: &[Expr], schema: &Schema) -> Option<Predicate> {
    let mut parts: Vec<Predicate> =
        filters.iter().filter_map(|filter| translate(filter, schema)).map(|part| part.predicate).collect();
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Predicate::And(parts)),
    }
}

#[cfg(test)]
mod tests;
