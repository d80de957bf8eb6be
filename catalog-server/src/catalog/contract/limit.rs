//! Ranges: the limits of a contract as values, and whether a file's bounds stay inside them.

use std::cmp::Ordering;

use lake_catalog_api::{Bound, ColumnRule};
use lake_format::action::partition_value;
use lake_format::expr::{ColumnBounds, Scalar, compare};
use lake_format::schema::PrimitiveType;

use super::NO_PROOF;

/// Writers cut timestamps of statistics to milliseconds.
const ROUNDING_US: i64 = 1000;

/// Limits of a column, both included.
#[derive(Debug, PartialEq)]
pub(super) struct Range {
    min: Option<Scalar>,
    max: Option<Scalar>,
}

impl Range {
    /// The range that `rule` asks for, if any.
    ///
    /// # Errors
    /// What is wrong with its limits.
    pub(super) fn of(rule: &ColumnRule, primitive: &PrimitiveType) -> Result<Option<Self>, String> {
        if rule.min.is_none() && rule.max.is_none() {
            return Ok(None);
        }
        if matches!(primitive, PrimitiveType::Boolean | PrimitiveType::Binary) {
            return Err(format!("a column of type {primitive} has no statistics that a range could be judged by"));
        }
        let min = rule.min.as_ref().map(|bound| value(bound, primitive)).transpose()?;
        let max = rule.max.as_ref().map(|bound| value(bound, primitive)).transpose()?;
        if let (Some(low), Some(high)) = (&min, &max)
            && compare(low, high) == Some(Ordering::Greater)
        {
            return Err(format!("min {low} is above max {high}"));
        }
        Ok(Some(Self { min, max }))
    }
}

fn value(bound: &Bound, primitive: &PrimitiveType) -> Result<Scalar, String> {
    let text = bound.to_string();
    let no_value = || format!("the limit {text:?} is no value of type {primitive}");
    let value = partition_value::parse(Some(&text), primitive).map_err(|_| no_value())?;
    match value {
        Scalar::Null => Err(no_value()),
        Scalar::Float(value) if value.is_nan() => Err(no_value()),
        Scalar::Double(value) if value.is_nan() => Err(no_value()),
        value => Ok(value),
    }
}

/// How values within `bounds` can lie outside `range`; `None` when they can't. With `rounded`, the bounds are a
/// file's timestamps cut to milliseconds, and what the cut alone moves out of the range is let through.
pub(super) fn outside(bounds: &ColumnBounds, range: &Range, rounded: bool) -> Option<String> {
    if bounds.num_records.is_some() && bounds.null_count == bounds.num_records {
        return None;
    }
    if let Some(limit) = &range.min {
        let lowest = bounds.min.clone().map(|low| if rounded { shifted(low, ROUNDING_US - 1) } else { low });
        match lowest.as_ref().and_then(|low| compare(low, limit)) {
            Some(Ordering::Less) => {
                return Some(format!("a value may be as low as {}, below {limit}", shown(&bounds.min)));
            }
            Some(_) => {}
            None => return Some(format!("no value below {limit} is asked for, and {NO_PROOF}")),
        }
    }
    if let Some(limit) = &range.max {
        let highest = bounds.max.clone().map(|high| if rounded { shifted(high, -ROUNDING_US) } else { high });
        match highest.as_ref().and_then(|high| compare(high, limit)) {
            Some(Ordering::Greater) => {
                return Some(format!("a value may be as high as {}, above {limit}", shown(&highest)));
            }
            Some(_) => {}
            None => return Some(format!("no value above {limit} is asked for, and {NO_PROOF}")),
        }
    }
    None
}

fn shifted(value: Scalar, by_us: i64) -> Scalar {
    match value {
        Scalar::Timestamp(us) => Scalar::Timestamp(us.saturating_add(by_us)),
        Scalar::TimestampNtz(us) => Scalar::TimestampNtz(us.saturating_add(by_us)),
        other => other,
    }
}

fn shown(value: &Option<Scalar>) -> String {
    value.as_ref().map(Scalar::to_string).unwrap_or_default()
}
