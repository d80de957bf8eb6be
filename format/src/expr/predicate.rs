//! The small, serialisable predicate language that plans and tasks carry.

use serde::{Deserialize, Serialize};

use super::Scalar;

/// A column by its logical names, outermost first: `["address", "city"]`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ColumnPath(pub Vec<String>);

impl ColumnPath {
    /// A top-level column.
    pub fn top(name: impl Into<String>) -> Self {
        Self(vec![name.into()])
    }
}

impl std::fmt::Display for ColumnPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

/// How a column is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompareOp {
    /// `=`
    Eq,
    /// `<>`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
}

/// A condition on one row, in SQL's three-valued logic. A row passes when it is true.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// A constant.
    Literal(bool),
    /// `column op value`; unknown when either is null.
    Compare {
        /// Left side.
        column: ColumnPath,
        /// Comparison.
        op: CompareOp,
        /// Right side, of the column's type.
        value: Scalar,
    },
    /// `column IS NULL`
    IsNull(ColumnPath),
    /// `column IS NOT NULL`
    IsNotNull(ColumnPath),
    /// `column IN (values)`
    In {
        /// Left side.
        column: ColumnPath,
        /// The set, of the column's type.
        values: Vec<Scalar>,
    },
    /// All hold. Empty is true.
    And(Vec<Predicate>),
    /// One holds. Empty is false.
    Or(Vec<Predicate>),
    /// The contrary.
    Not(Box<Predicate>),
}

impl Predicate {
    /// Every column named, in order of appearance, with repeats.
    pub fn columns(&self) -> Vec<&ColumnPath> {
        let mut found = Vec::new();
        let mut stack = vec![self];
        while let Some(predicate) = stack.pop() {
            match predicate {
                Self::Literal(_) => {}
                Self::Compare { column, .. } | Self::In { column, .. } => found.push(column),
                Self::IsNull(column) | Self::IsNotNull(column) => found.push(column),
                Self::And(parts) | Self::Or(parts) => stack.extend(parts.iter().rev()),
                Self::Not(inner) => stack.push(inner),
            }
        }
        found
    }

    /// Whether a part of it asks if a column is null.
    pub fn asks_for_nulls(&self) -> bool {
        let mut stack = vec![self];
        while let Some(predicate) = stack.pop() {
            match predicate {
                Self::IsNull(_) | Self::IsNotNull(_) => return true,
                Self::And(parts) | Self::Or(parts) => stack.extend(parts),
                Self::Not(inner) => stack.push(inner),
                Self::Literal(_) | Self::Compare { .. } | Self::In { .. } => {}
            }
        }
        false
    }
}
