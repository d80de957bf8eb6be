//! A file's statistics: what the log's JSON proves about its rows, and how ours is written.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::expr::{ColumnBounds, ColumnPath, Scalar, decimal_text, power_of_ten};
use crate::schema::PrimitiveType;

use super::text::{
    MICROS_PER_DAY, MICROS_PER_HOUR, Moment, format_date, format_moment, parse_date, parse_decimal, parse_moment,
};

/// More rows than this are taken for damage.
const MOST_ROWS: i64 = 1 << 48;

/// Statistics of one file, as read. Columns are decoded when asked for, so unused ones cost nothing.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Rows in the file, deleted ones included.
    pub num_records: Option<i64>,
    /// Whether the bounds are reached by rows that are not deleted.
    pub tight_bounds: bool,
    min_values: Option<Box<RawValue>>,
    max_values: Option<Box<RawValue>>,
    null_count: Option<Box<RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sections<'a> {
    #[serde(borrow, default)]
    num_records: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tight_bounds: Option<&'a RawValue>,
    #[serde(borrow, default)]
    min_values: Option<&'a RawValue>,
    #[serde(borrow, default)]
    max_values: Option<&'a RawValue>,
    #[serde(borrow, default)]
    null_count: Option<&'a RawValue>,
}

impl Stats {
    /// Reads `add.stats`. Statistics are an aid, never the truth: damaged text is no statistics, a damaged part is
    /// left out.
    pub fn parse(text: &str) -> Option<Self> {
        // The reader would take an array for the fields in order.
        let object = text.trim_start().starts_with('{');
        let sections: Sections<'_> = serde_json::from_str(text).ok().filter(|_| object)?;
        Some(Self {
            num_records: sections.num_records.and_then(|raw| rows_of(raw.get())),
            tight_bounds: sections.tight_bounds.is_none_or(|raw| raw.get() == "true"),
            min_values: sections.min_values.map(ToOwned::to_owned),
            max_values: sections.max_values.map(ToOwned::to_owned),
            null_count: sections.null_count.map(ToOwned::to_owned),
        })
    }

    /// Back to JSON text, every column as it was read.
    pub fn to_json(&self) -> String {
        let mut parts = Vec::new();
        if let Some(rows) = self.num_records {
            parts.push(format!("\"numRecords\":{rows}"));
        }
        if !self.tight_bounds {
            parts.push("\"tightBounds\":false".to_owned());
        }
        let sections =
            [("minValues", &self.min_values), ("maxValues", &self.max_values), ("nullCount", &self.null_count)];
        for (name, section) in sections {
            if let Some(raw) = section {
                parts.push(format!("\"{name}\":{raw}"));
            }
        }
        format!("{{{}}}", parts.join(","))
    }

    /// What is known of the column `path` (physical names) of type `data_type`. Bounds are outer bounds: a timestamp's
    /// maximum is a millisecond up, since writers cut to milliseconds; a decimal's bounds of more digits than a 64-bit
    /// float holds go outwards by what rounding through one can cost, since some writers do that.
    pub fn bounds(&self, path: &ColumnPath, data_type: &PrimitiveType) -> ColumnBounds {
        let value =
            |section: &Option<Box<RawValue>>, side| decode(find(section.as_deref()?, path)?.get(), *data_type, side);
        ColumnBounds {
            min: value(&self.min_values, Side::Min),
            max: value(&self.max_values, Side::Max),
            null_count: self.null_count(path),
            num_records: self.num_records,
        }
    }

    /// Rows in which the column `path` is null, when known and believable.
    pub fn null_count(&self, path: &ColumnPath) -> Option<i64> {
        nulls_of(find(self.null_count.as_deref()?, path)?.get(), self.num_records)
    }
}

/// The row count of `add.stats` alone, when known and believable; the rest is skipped over.
pub fn num_records(text: &str) -> Option<i64> {
    #[derive(Deserialize)]
    struct Count<'a> {
        #[serde(borrow, rename = "numRecords", default)]
        num_records: Option<&'a RawValue>,
    }
    let object = text.trim_start().starts_with('{');
    serde_json::from_str::<Count<'_>>(text).ok().filter(|_| object)?.num_records.and_then(|raw| rows_of(raw.get()))
}

/// A row count by its JSON, when believable.
pub(super) fn rows_of(json: &str) -> Option<i64> {
    count(json, MOST_ROWS)
}

/// A count of nulls in a file of `num_records` rows by its JSON, when believable.
pub(super) fn nulls_of(json: &str, num_records: Option<i64>) -> Option<i64> {
    count(json, num_records.unwrap_or(MOST_ROWS))
}

/// A bound of a column by its JSON.
pub(super) fn bound_of(json: &str, data_type: PrimitiveType, is_max: bool) -> Option<Scalar> {
    decode(json, data_type, if is_max { Side::Max } else { Side::Min })
}

fn count(json: &str, most: i64) -> Option<i64> {
    json.parse().ok().filter(|count| (0..=most).contains(count))
}

/// The value at `path` in nested objects.
fn find<'a>(section: &'a RawValue, path: &ColumnPath) -> Option<&'a RawValue> {
    path.0.iter().try_fold(section, |object, name| {
        serde_json::Deserializer::from_str(object.get()).deserialize_map(Member(name)).ok()?
    })
}

/// Picks one member of an object, without keeping the others.
struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(wanted) = map.next_key_seed(IsName(self.0))? {
            if wanted {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Compares a key without copying it.
struct IsName<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Min,
    Max,
}

fn decode(text: &str, data_type: PrimitiveType, side: Side) -> Option<Scalar> {
    if text.starts_with('"') {
        return decode_text(serde_json::from_str(text).ok()?, data_type, side);
    }
    let integer = |least: i64, most: i64| {
        text.parse::<i64>().ok().filter(|value| (least..=most).contains(value)).map(Scalar::Long)
    };
    match data_type {
        PrimitiveType::Boolean => text.parse().ok().map(Scalar::Boolean),
        PrimitiveType::Long => integer(i64::MIN, i64::MAX),
        PrimitiveType::Integer => integer(i32::MIN.into(), i32::MAX.into()),
        PrimitiveType::Short => integer(i16::MIN.into(), i16::MAX.into()),
        PrimitiveType::Byte => integer(i8::MIN.into(), i8::MAX.into()),
        PrimitiveType::Float => text.parse::<f32>().ok().filter(|value| value.is_finite()).map(Scalar::Float),
        PrimitiveType::Double => text.parse::<f64>().ok().filter(|value| value.is_finite()).map(Scalar::Double),
        PrimitiveType::Decimal { precision, scale } => decode_decimal(text, precision, scale, side),
        _ => None,
    }
}

fn decode_text(text: String, data_type: PrimitiveType, side: Side) -> Option<Scalar> {
    match data_type {
        PrimitiveType::String => Some(Scalar::String(text)),
        PrimitiveType::Date => parse_date(&text).map(Scalar::Date),
        PrimitiveType::Timestamp => {
            let moment = parse_moment(&text)?;
            // Local time of an unknown zone: no zone is further than 16 hours from UTC.
            let doubt = if moment.offset.is_none() { 16 * MICROS_PER_HOUR } else { 0 };
            Some(Scalar::Timestamp(widened(moment, doubt, side)))
        }
        PrimitiveType::TimestampNtz => {
            let moment = parse_moment(&text).filter(|moment| matches!(moment.offset, None | Some(0)))?;
            Some(Scalar::TimestampNtz(widened(moment, 0, side)))
        }
        _ => None,
    }
}

fn widened(moment: Moment, doubt: i64, side: Side) -> i64 {
    let cut = if moment.day_only { MICROS_PER_DAY } else { 1000 };
    match side {
        Side::Min => moment.micros.saturating_sub(doubt),
        Side::Max => moment.micros.saturating_add(doubt).saturating_add(cut),
    }
}

fn decode_decimal(text: &str, precision: u8, scale: u8, side: Side) -> Option<Scalar> {
    let (floor, exact) = parse_decimal(text, scale)?;
    // A 64-bit float has 53 bits; a few more are lost where it was divided by a power of ten.
    let rounding = match floor.unsigned_abs() >> 50 {
        lost if precision <= 15 || lost == 0 => 0,
        lost => i128::try_from(lost).ok()?.checked_add(1)?,
    };
    let unscaled = match side {
        Side::Min => floor.checked_sub(rounding)?,
        Side::Max => floor.checked_add(i128::from(!exact))?.checked_add(rounding)?,
    };
    // A bound past what the type holds still bounds.
    let most = power_of_ten(precision)?.checked_sub(1)?;
    let absurd = floor.unsigned_abs() > most.unsigned_abs().saturating_mul(2);
    (!absurd).then_some(Scalar::Decimal { unscaled, precision, scale })
}

/// What a writer knows of one leaf column of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnStats {
    /// Physical names, outermost first.
    pub path: Vec<String>,
    /// Least value, if any. NaN when NaN is among the values and the writer orders it first.
    pub min: Option<Scalar>,
    /// Greatest value. Must be NaN when any value is: other readers take NaN for the greatest value and would skip a
    /// file with a smaller maximum.
    pub max: Option<Scalar>,
    /// Rows in which the column is null.
    pub null_count: i64,
}

/// Writes `add.stats` for a file of `num_records` rows. Bounds that the format has no exact or safe form for are left
/// out: of booleans and bytes, floats that are not finite, days outside the years 1 to 9999. Bounds of texts are cut to
/// `prefix` characters, at least 1, so that they still enclose.
pub fn render(num_records: i64, columns: &[ColumnStats], prefix: usize) -> String {
    let prefix = prefix.max(1);
    let (mut min_values, mut max_values, mut null_count) = (Tree::default(), Tree::default(), Tree::default());
    for column in columns {
        if let Some(text) = column.min.as_ref().and_then(|value| bound_text(value, Side::Min, prefix)) {
            min_values.insert(&column.path, text);
        }
        if let Some(text) = column.max.as_ref().and_then(|value| bound_text(value, Side::Max, prefix)) {
            max_values.insert(&column.path, text);
        }
        null_count.insert(&column.path, column.null_count.to_string());
    }
    format!(
        "{{\"numRecords\":{num_records},\"minValues\":{min_values},\"maxValues\":{max_values},\"nullCount\":{null_count}}}"
    )
}

/// Nested objects with finished JSON at the leaves.
#[derive(Default)]
struct Tree<'a> {
    leaf: Option<String>,
    inner: BTreeMap<&'a str, Tree<'a>>,
}

impl<'a> Tree<'a> {
    fn insert(&mut self, path: &'a [String], json: String) {
        let end = path.iter().fold(self, |tree, name| tree.inner.entry(name).or_default());
        end.leaf = Some(json);
    }
}

impl fmt::Display for Tree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.leaf {
            Some(json) if self.inner.is_empty() => f.write_str(json),
            _ => {
                f.write_str("{")?;
                for (i, (name, tree)) in self.inner.iter().enumerate() {
                    let comma = if i == 0 { "" } else { "," };
                    write!(f, "{comma}{}:{tree}", quoted(name))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// Text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn bound_text(value: &Scalar, side: Side, prefix: usize) -> Option<String> {
    match value {
        Scalar::Null | Scalar::Boolean(_) | Scalar::Binary(_) => None,
        Scalar::Long(value) => Some(value.to_string()),
        Scalar::Float(value) => value.is_finite().then(|| float_text(*value == 0.0, format!("{value:?}"), side)),
        Scalar::Double(value) => value.is_finite().then(|| float_text(*value == 0.0, format!("{value:?}"), side)),
        Scalar::String(text) => match side {
            Side::Min => Some(quoted(&text.chars().take(prefix).collect::<String>())),
            Side::Max => upper_prefix(text, prefix).map(|text| quoted(&text)),
        },
        Scalar::Date(days) => format_date(*days).filter(|text| plain_year(text)).map(|text| quoted(&text)),
        Scalar::Timestamp(micros) => {
            let text = format_moment(outward_ms(*micros, side)?, 'T', 3);
            text.filter(|text| plain_year(text)).map(|text| quoted(&(text + "Z")))
        }
        Scalar::TimestampNtz(micros) => {
            let text = format_moment(outward_ms(*micros, side)?, 'T', 3);
            text.filter(|text| plain_year(text)).map(|text| quoted(&text))
        }
        Scalar::Decimal { unscaled, scale, .. } => Some(decimal_text(*unscaled, *scale)),
    }
}

/// Characters that no bound has: a text that is a bound already stays as it is.
const WHOLE_TEXT: usize = 1 << 30;

/// A bound as JSON; `None` where the format has no exact or safe form for it.
pub(crate) fn bound_json(value: &Scalar, is_max: bool) -> Option<String> {
    bound_text(value, if is_max { Side::Max } else { Side::Min }, WHOLE_TEXT)
}

/// How far beyond a maximum in microseconds values may lie: writers cut it to milliseconds.
pub(crate) const MAX_SLACK_MICROS: i64 = 1000;

/// A maximum that a writer may have cut to milliseconds, made to bound again.
pub(crate) fn widened_scalar(value: Scalar) -> Scalar {
    match value {
        Scalar::Timestamp(micros) => Scalar::Timestamp(micros.saturating_add(MAX_SLACK_MICROS)),
        Scalar::TimestampNtz(micros) => Scalar::TimestampNtz(micros.saturating_add(MAX_SLACK_MICROS)),
        other => other,
    }
}

/// The maximum that [`widened_scalar`] makes this one of.
pub(crate) fn narrowed_scalar(value: Scalar) -> Scalar {
    let narrowed = |micros: i64| if micros == i64::MAX { micros } else { micros.saturating_sub(MAX_SLACK_MICROS) };
    match value {
        Scalar::Timestamp(micros) => Scalar::Timestamp(narrowed(micros)),
        Scalar::TimestampNtz(micros) => Scalar::TimestampNtz(narrowed(micros)),
        other => other,
    }
}

/// The whole millisecond that still encloses the value, for readers that take a maximum at its word. Readers that
/// widen it, because other writers cut downwards, are a millisecond more careful than they need be.
fn outward_ms(micros: i64, side: Side) -> Option<i64> {
    match side {
        Side::Min => Some(micros),
        Side::Max => micros.checked_add(999).map(|up| up.div_euclid(1000) * 1000),
    }
}

/// A zero bound covers both zeros, for readers that tell them apart.
fn float_text(is_zero: bool, text: String, side: Side) -> String {
    match side {
        Side::Min if is_zero => "-0.0".to_owned(),
        Side::Max if is_zero => "0.0".to_owned(),
        _ => text,
    }
}

/// Years of four digits, not all zero: what every reader understands.
fn plain_year(text: &str) -> bool {
    !text.starts_with(['-', '+']) && !text.starts_with("0000")
}

/// A short text that is not less than `text`: a prefix and a character greater than the one that comes next. `None`
/// when twice the prefix is not enough.
fn upper_prefix(text: &str, prefix: usize) -> Option<String> {
    let chars: Vec<char> = text.chars().take(2 * prefix + 1).collect();
    if chars.len() <= prefix {
        return Some(text.to_owned());
    }
    let last = chars.len().min(2 * prefix);
    let cut = (prefix..last).find(|at| chars[*at] < char::MAX);
    match cut {
        Some(at) => {
            let tie_breaker = if chars[at] < '\u{7F}' { '\u{7F}' } else { char::MAX };
            Some(chars[..at].iter().chain([&tie_breaker]).collect())
        }
        None => (chars.len() <= 2 * prefix).then(|| text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
