//! What a file's bounds prove about a predicate, without reading the file.

use std::cmp::Ordering;
use std::convert::Infallible;

use super::fold::{Ternary, fold};
use super::scalar::compare;
use super::{ColumnPath, CompareOp, Predicate, Scalar};

/// What is known of one column's values in a set of rows. Everything is optional; bounds are outer bounds: no value
/// lies beyond them, but none needs to reach them. NaN is the exception: it is a value that bounds need not show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ColumnBounds {
    /// No value but NaN is less than this.
    pub min: Option<Scalar>,
    /// No value but NaN is greater than this.
    pub max: Option<Scalar>,
    /// Rows where the column is null. Means something only when 0 or equal to `num_records`.
    pub null_count: Option<i64>,
    /// Rows in all.
    pub num_records: Option<i64>,
}

impl ColumnBounds {
    /// Bounds of a column that has one and the same value in every row, as a partition column in a file.
    pub fn constant(value: Scalar) -> Self {
        if value.is_null() {
            return Self { min: None, max: None, null_count: Some(1), num_records: Some(1) };
        }
        Self { min: Some(value.clone()), max: Some(value), null_count: Some(0), num_records: None }
    }

    /// These bounds, read as 64-bit floats from the text that a writer of 32-bit floats chose: its shortest digits stand
    /// for a value that is off by up to half a 32-bit step (WID-3).
    pub fn of_narrower_floats(self) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "to the nearest 32-bit float is what is meant")]
        let outward = |value: Option<Scalar>, step: fn(f32) -> f32| match value {
            Some(Scalar::Double(value)) => Some(Scalar::Double(f64::from(step(value as f32)))),
            other => other,
        };
        Self { min: outward(self.min, f32::next_down), max: outward(self.max, f32::next_up), ..self }
    }
}

/// Where [`judge`] looks up bounds: a file's statistics, its partition values, a row group.
pub trait BoundsSource {
    /// What is known of a column; `None` when nothing is.
    fn bounds(&self, column: &ColumnPath) -> Option<ColumnBounds>;
}

/// What is sure about a set of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Every row passes.
    AllTrue,
    /// No row passes: for each, the predicate is false or unknown.
    NoneTrue,
    /// Can't tell.
    Unknown,
}

/// Judges the rows that `source` describes. Sound for any data within the bounds: floats may hold NaN that the bounds
/// do not show, -0.0 and 0.0 may count as equal or not, and bounds that contradict themselves or the literal's type
/// prove nothing.
pub fn judge(predicate: &Predicate, source: &dyn BoundsSource) -> Verdict {
    let Ok(outcomes) = fold(predicate, |leaf| Ok::<_, Infallible>(leaf_outcomes(leaf, source)));
    if outcomes == Outcomes::TRUE {
        Verdict::AllTrue
    } else if !outcomes.has(Outcomes::TRUE) {
        Verdict::NoneTrue
    } else {
        Verdict::Unknown
    }
}

/// The set of results that some row may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outcomes(u8);

impl Outcomes {
    const NONE: Self = Self(0);
    const TRUE: Self = Self(1);
    const FALSE: Self = Self(2);
    const NULL: Self = Self(4);
    const ANY: Self = Self(7);
    const EACH: [Self; 3] = [Self::TRUE, Self::FALSE, Self::NULL];

    fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// Every result of `a AND b` (`strong` is false) or `a OR b` (`strong` is true): the strong one wins, then null.
    fn combine(self, other: Self, strong: Self) -> Self {
        let mut all = Self::NONE;
        for a in Self::EACH.into_iter().filter(|one| self.has(*one)) {
            for b in Self::EACH.into_iter().filter(|one| other.has(*one)) {
                all = all.with(match (a, b) {
                    _ if a == strong || b == strong => strong,
                    _ if a == Self::NULL || b == Self::NULL => Self::NULL,
                    _ => strong.not(),
                });
            }
        }
        all
    }
}

impl Ternary for Outcomes {
    fn not(self) -> Self {
        Self::NONE
            .with_if(self.has(Self::TRUE), Self::FALSE)
            .with_if(self.has(Self::FALSE), Self::TRUE)
            .with_if(self.has(Self::NULL), Self::NULL)
    }

    fn and(self, other: Self) -> Self {
        self.combine(other, Self::FALSE)
    }

    fn or(self, other: Self) -> Self {
        self.combine(other, Self::TRUE)
    }
}

fn leaf_outcomes(leaf: &Predicate, source: &dyn BoundsSource) -> Outcomes {
    match leaf {
        Predicate::Literal(true) => Outcomes::TRUE,
        Predicate::Literal(false) => Outcomes::FALSE,
        Predicate::Compare { column, op, value } => Column::look_up(source, column).compare(*op, value),
        Predicate::In { column, values } => Column::look_up(source, column).is_in(values),
        Predicate::IsNull(column) => Column::look_up(source, column).is_null(),
        Predicate::IsNotNull(column) => Column::look_up(source, column).is_null().not(),
        Predicate::And(_) | Predicate::Or(_) | Predicate::Not(_) => Outcomes::ANY,
    }
}

/// Bounds with everything doubtful taken out.
struct Column {
    min: Option<Scalar>,
    max: Option<Scalar>,
    can_be_null: bool,
    can_be_value: bool,
}

impl Column {
    fn look_up(source: &dyn BoundsSource, column: &ColumnPath) -> Self {
        let ColumnBounds { min, max, null_count, num_records } = source.bounds(column).unwrap_or_default();
        let no_null = null_count == Some(0);
        let all_null = null_count.is_some() && null_count == num_records;
        // No rows at all: say nothing rather than everything.
        let (can_be_null, can_be_value) = if no_null && all_null { (true, true) } else { (!no_null, !all_null) };
        let (min, max) = trusted(min, max);
        Self { min, max, can_be_null, can_be_value }
    }

    fn is_null(&self) -> Outcomes {
        Outcomes::NONE.with_if(self.can_be_null, Outcomes::TRUE).with_if(self.can_be_value, Outcomes::FALSE)
    }

    fn compare(&self, op: CompareOp, literal: &Scalar) -> Outcomes {
        if literal.is_null() {
            return Outcomes::NULL;
        }
        let of_values = if self.can_be_value { self.orders(literal).results(op) } else { Outcomes::NONE };
        of_values.with_if(self.can_be_null, Outcomes::NULL)
    }

    fn is_in(&self, literals: &[Scalar]) -> Outcomes {
        if literals.is_empty() {
            return Outcomes::FALSE;
        }
        let each = literals.iter().map(|literal| self.compare(CompareOp::Eq, literal));
        each.fold(Outcomes::FALSE, |all, one| all.or(one))
    }

    /// How a value of the column may relate to `literal`.
    fn orders(&self, literal: &Scalar) -> Orders {
        let mut orders = Orders { less: true, equal: true, greater: true };
        let float = match literal {
            Scalar::Float(value) => Some(f64::from(*value)),
            Scalar::Double(value) => Some(*value),
            _ => None,
        };
        if float.is_some_and(f64::is_nan) {
            return orders;
        }
        // Where -0.0 sorts before 0.0, a zero bound says nothing about what is just beside a zero literal.
        let zero = float == Some(0.0);
        match self.min.as_ref().and_then(|min| compare(min, literal)) {
            Some(Ordering::Greater) => (orders.less, orders.equal) = (false, false),
            Some(Ordering::Equal) => orders.less = zero,
            _ => {}
        }
        match self.max.as_ref().and_then(|max| compare(max, literal)) {
            // NaN is greater than every number and may be there unseen.
            Some(Ordering::Less) => (orders.greater, orders.equal) = (float.is_some(), false),
            Some(Ordering::Equal) => orders.greater = float.is_some(),
            _ => {}
        }
        orders
    }
}

/// Bounds that are not numbers, or of two kinds, or the wrong way round, are no bounds.
fn trusted(min: Option<Scalar>, max: Option<Scalar>) -> (Option<Scalar>, Option<Scalar>) {
    if let (Some(low), Some(high)) = (&min, &max)
        && !matches!(compare(low, high), Some(Ordering::Less | Ordering::Equal))
    {
        return (None, None);
    }
    if min.as_ref().is_some_and(is_nan) || max.as_ref().is_some_and(is_nan) {
        return (None, None);
    }
    (min.filter(Scalar::is_finite), max.filter(Scalar::is_finite))
}

fn is_nan(value: &Scalar) -> bool {
    match value {
        Scalar::Float(value) => value.is_nan(),
        Scalar::Double(value) => value.is_nan(),
        _ => false,
    }
}

struct Orders {
    less: bool,
    equal: bool,
    greater: bool,
}

impl Orders {
    fn results(&self, op: CompareOp) -> Outcomes {
        let [less, equal, greater] = match op {
            CompareOp::Eq => [false, true, false],
            CompareOp::NotEq => [true, false, true],
            CompareOp::Lt => [true, false, false],
            CompareOp::LtEq => [true, true, false],
            CompareOp::Gt => [false, false, true],
            CompareOp::GtEq => [false, true, true],
        };
        [(self.less, less), (self.equal, equal), (self.greater, greater)].into_iter().fold(
            Outcomes::NONE,
            |all, (possible, passes)| {
                all.with_if(possible && passes, Outcomes::TRUE).with_if(possible && !passes, Outcomes::FALSE)
            },
        )
    }
}

#[cfg(test)]
mod tests;
