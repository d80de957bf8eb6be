//! One typed value: a literal, a partition value, a bound of a file's statistics.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A value of a primitive type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scalar {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// Byte, short, integer and long alike.
    Long(i64),
    /// 32-bit float. As text when serialised: a JSON number can't hold NaN, and readers round it.
    Float(#[serde(with = "exact")] f32),
    /// 64-bit float. As text when serialised.
    Double(#[serde(with = "exact")] f64),
    /// Text.
    String(String),
    /// Bytes.
    Binary(Vec<u8>),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since the epoch, UTC.
    Timestamp(i64),
    /// Wall-clock microseconds, no zone.
    TimestampNtz(i64),
    /// `unscaled * 10^-scale`.
    Decimal {
        /// The digits as an integer.
        unscaled: i128,
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
}

impl Scalar {
    /// Whether this is no value.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// Whether this is no NaN and no infinity.
    pub(crate) fn is_finite(&self) -> bool {
        match self {
            Self::Float(value) => value.is_finite(),
            Self::Double(value) => value.is_finite(),
            _ => true,
        }
    }

    /// What kind of value this is, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "boolean",
            Self::Long(_) => "integer",
            Self::Float(_) => "float",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Binary(_) => "binary",
            Self::Date(_) => "date",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampNtz(_) => "timestamp_ntz",
            Self::Decimal { .. } => "decimal",
        }
    }
}

/// Orders two values of one kind; `None` when the kinds differ or one is null. Floats: every NaN is equal to every
/// other and greater than any number, and -0.0 equals 0.0. Decimals are compared exactly, whatever their scales.
/// Text and bytes go byte by byte.
pub fn compare(a: &Scalar, b: &Scalar) -> Option<Ordering> {
    match (a, b) {
        (Scalar::Boolean(a), Scalar::Boolean(b)) => Some(a.cmp(b)),
        (Scalar::Long(a), Scalar::Long(b)) => Some(a.cmp(b)),
        (Scalar::Float(a), Scalar::Float(b)) => Some(compare_floats(f64::from(*a), f64::from(*b))),
        (Scalar::Double(a), Scalar::Double(b)) => Some(compare_floats(*a, *b)),
        (Scalar::String(a), Scalar::String(b)) => Some(a.cmp(b)),
        (Scalar::Binary(a), Scalar::Binary(b)) => Some(a.cmp(b)),
        (Scalar::Date(a), Scalar::Date(b)) => Some(a.cmp(b)),
        (Scalar::Timestamp(a), Scalar::Timestamp(b)) => Some(a.cmp(b)),
        (Scalar::TimestampNtz(a), Scalar::TimestampNtz(b)) => Some(a.cmp(b)),
        (Scalar::Decimal { unscaled: a, scale: s, .. }, Scalar::Decimal { unscaled: b, scale: t, .. }) => {
            compare_decimals((*a, *s), (*b, *t))
        }
        _ => None,
    }
}

fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Whole parts first, then what is behind the point, brought to one scale: nothing overflows.
fn compare_decimals(a: (i128, u8), b: (i128, u8)) -> Option<Ordering> {
    let (unit_a, unit_b) = (power_of_ten(a.1)?, power_of_ten(b.1)?);
    let scale = a.1.max(b.1);
    let rest_a = a.0.rem_euclid(unit_a) * power_of_ten(scale - a.1)?;
    let rest_b = b.0.rem_euclid(unit_b) * power_of_ten(scale - b.1)?;
    Some(a.0.div_euclid(unit_a).cmp(&b.0.div_euclid(unit_b)).then(rest_a.cmp(&rest_b)))
}

/// `10^exponent`, up to 38.
pub(crate) fn power_of_ten(exponent: u8) -> Option<i128> {
    10_i128.checked_pow(u32::from(exponent))
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Boolean(value) => value.fmt(f),
            Self::Long(value) => value.fmt(f),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::Double(value) => write!(f, "{value:?}"),
            Self::String(value) => write!(f, "{value:?}"),
            Self::Binary(value) => value.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Date(days) => write!(f, "day {days}"),
            Self::Timestamp(micros) | Self::TimestampNtz(micros) => write!(f, "{micros} us"),
            Self::Decimal { unscaled, scale, .. } => f.write_str(&decimal_text(*unscaled, *scale)),
        }
    }
}

/// A decimal in plain digits, with exactly `scale` of them behind the point.
pub(crate) fn decimal_text(unscaled: i128, scale: u8) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let scale = usize::from(scale);
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    match scale {
        0 => format!("{sign}{digits}"),
        _ => {
            let (whole, rest) = digits.split_at(digits.len() - scale);
            format!("{sign}{whole}.{rest}")
        }
    }
}

/// Floats as text, exactly. A number is read as well.
mod exact {
    use std::fmt::{Debug, Display};
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<T: Debug, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{value:?}"))
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Text(String),
        Number(f64),
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = match Form::deserialize(deserializer)? {
            Form::Text(text) => text,
            Form::Number(number) => format!("{number:?}"),
        };
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(unscaled: i128, scale: u8) -> Scalar {
        Scalar::Decimal { unscaled, precision: 38, scale }
    }

    #[test]
    fn decimals_compare_exactly_across_scales() {
        let huge = 99_999_999_999_999_999_999_999_999_999_999_999_999_i128;
        assert_eq!(compare(&decimal(150, 2), &decimal(15, 1)), Some(Ordering::Equal));
        assert_eq!(compare(&decimal(-151, 2), &decimal(-15, 1)), Some(Ordering::Less));
        assert_eq!(compare(&decimal(huge, 0), &decimal(huge, 38)), Some(Ordering::Greater));
        assert_eq!(compare(&decimal(-huge, 0), &decimal(-huge, 38)), Some(Ordering::Less));
        assert_eq!(compare(&decimal(i128::MIN, 0), &decimal(i128::MAX, 38)), Some(Ordering::Less));
        assert_eq!(compare(&decimal(1, 39), &decimal(1, 0)), None);
    }

    #[test]
    fn floats_have_one_zero_and_one_nan_above_all() {
        let of = |a: f64, b: f64| compare(&Scalar::Double(a), &Scalar::Double(b));
        assert_eq!(of(-0.0, 0.0), Some(Ordering::Equal));
        assert_eq!(of(f64::NAN, -f64::NAN), Some(Ordering::Equal));
        assert_eq!(of(-f64::NAN, f64::INFINITY), Some(Ordering::Greater));
        assert_eq!(of(1.0, f64::NAN), Some(Ordering::Less));
    }

    #[test]
    fn different_kinds_and_nulls_have_no_order() {
        assert_eq!(compare(&Scalar::Null, &Scalar::Null), None);
        assert_eq!(compare(&Scalar::Long(1), &decimal(1, 0)), None);
        assert_eq!(compare(&Scalar::Timestamp(1), &Scalar::TimestampNtz(1)), None);
    }

    #[test]
    fn json_keeps_every_float_and_wide_decimals() {
        let values = [
            Scalar::Double(f64::INFINITY),
            Scalar::Double(-0.0),
            Scalar::Double(5e-324),
            Scalar::Double(0.1 + 0.2),
            Scalar::Float(f32::MIN_POSITIVE),
            Scalar::Float(0.1),
            decimal(-99_999_999_999_999_999_999_999_999_999_999_999_999, 38),
            Scalar::Long(i64::MIN),
        ];
        for value in values {
            let text = serde_json::to_string(&value).unwrap();
            let back: Scalar = serde_json::from_str(&text).unwrap();
            assert_eq!(format!("{value:?}"), format!("{back:?}"), "{text}");
        }
        let nan: Scalar = serde_json::from_str(&serde_json::to_string(&Scalar::Double(f64::NAN)).unwrap()).unwrap();
        assert!(matches!(nan, Scalar::Double(value) if value.is_nan()));
        assert_eq!(serde_json::from_str::<Scalar>(r#"{"double":1.5}"#).unwrap(), Scalar::Double(1.5));
        assert!(serde_json::from_str::<Scalar>(r#"{"double":"x"}"#).is_err());
    }

    #[test]
    fn decimal_text_keeps_the_scale() {
        assert_eq!(decimal_text(5, 3), "0.005");
        assert_eq!(decimal_text(-12345, 2), "-123.45");
        assert_eq!(decimal_text(-7, 0), "-7");
        assert_eq!(decimal_text(0, 2), "0.00");
    }
}
