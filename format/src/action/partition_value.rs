//! Partition values as text, the directories they name, and paths as the log writes them.

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::expr::{Scalar, decimal_text, power_of_ten};
use crate::schema::PrimitiveType;

use super::text::{format_date, format_moment, parse_date, parse_decimal, parse_moment};

/// Directory of a null value.
pub const NULL_DIRECTORY: &str = "__HIVE_DEFAULT_PARTITION__";

/// Reads a partition value of a log. Nothing and empty text are null for every type. A timestamp without zone or
/// offset counts as UTC.
///
/// # Errors
/// [`Corrupt`](crate::error::ErrorKind::Corrupt), naming value and type, for text that is no value of the type.
pub fn parse(text: Option<&str>, data_type: &PrimitiveType) -> Result<Scalar> {
    match text {
        None | Some("") => Ok(Scalar::Null),
        Some(text) => parse_text(text, *data_type)
            .ok_or_else(|| Error::corrupt(format!("the partition value {text:?} is not of type {data_type}"))),
    }
}

fn parse_text(text: &str, data_type: PrimitiveType) -> Option<Scalar> {
    let integer = |least: i64, most: i64| {
        text.parse::<i64>().ok().filter(|value| (least..=most).contains(value)).map(Scalar::Long)
    };
    match data_type {
        PrimitiveType::String => Some(Scalar::String(text.to_owned())),
        PrimitiveType::Binary => Some(Scalar::Binary(text.as_bytes().to_vec())),
        PrimitiveType::Long => integer(i64::MIN, i64::MAX),
        PrimitiveType::Integer => integer(i32::MIN.into(), i32::MAX.into()),
        PrimitiveType::Short => integer(i16::MIN.into(), i16::MAX.into()),
        PrimitiveType::Byte => integer(i8::MIN.into(), i8::MAX.into()),
        PrimitiveType::Float => text.parse().ok().map(Scalar::Float),
        PrimitiveType::Double => text.parse().ok().map(Scalar::Double),
        PrimitiveType::Boolean if text.eq_ignore_ascii_case("true") => Some(Scalar::Boolean(true)),
        PrimitiveType::Boolean if text.eq_ignore_ascii_case("false") => Some(Scalar::Boolean(false)),
        PrimitiveType::Boolean => None,
        PrimitiveType::Date => parse_date(text).map(Scalar::Date),
        PrimitiveType::Timestamp => parse_moment(text).map(|moment| Scalar::Timestamp(moment.micros)),
        PrimitiveType::TimestampNtz => parse_moment(text)
            .filter(|moment| matches!(moment.offset, None | Some(0)))
            .map(|moment| Scalar::TimestampNtz(moment.micros)),
        PrimitiveType::Decimal { precision, scale } => {
            let (unscaled, exact) = parse_decimal(text, scale)?;
            let fits = exact && unscaled.unsigned_abs() < power_of_ten(precision)?.unsigned_abs();
            fits.then_some(Scalar::Decimal { unscaled, precision, scale })
        }
    }
}

/// Writes a partition value for the log; `None` is null. [`parse`] gives back the same value, with two exceptions that
/// the protocol makes: empty text and empty bytes become null.
///
/// # Errors
/// [`Unsupported`](crate::error::ErrorKind::Unsupported) for values that a log has no text for: bytes that are not
/// UTF-8, and days beyond some 260,000 years.
pub fn format(value: &Scalar) -> Result<Option<String>> {
    let no_text = || Error::unsupported(format!("the {} {value} can't be a partition value", value.kind()));
    let text = match value {
        Scalar::Null => return Ok(None),
        Scalar::Boolean(value) => value.to_string(),
        Scalar::Long(value) => value.to_string(),
        Scalar::Float(value) => float_text(f64::from(*value), format!("{value:?}")),
        Scalar::Double(value) => float_text(*value, format!("{value:?}")),
        Scalar::String(text) => text.clone(),
        Scalar::Binary(bytes) => String::from_utf8(bytes.clone()).map_err(|_| no_text())?,
        Scalar::Date(days) => format_date(*days).ok_or_else(no_text)?,
        Scalar::Timestamp(micros) => format!("{}Z", format_moment(*micros, 'T', 6).ok_or_else(no_text)?),
        Scalar::TimestampNtz(micros) => {
            let digits = if micros.rem_euclid(1_000_000) == 0 { 0 } else { 6 };
            format_moment(*micros, ' ', digits).ok_or_else(no_text)?
        }
        Scalar::Decimal { unscaled, scale, .. } => decimal_text(*unscaled, *scale),
    };
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Java's words for what is no number, since most readers are on the JVM.
fn float_text(value: f64, finite: String) -> String {
    match value {
        _ if value.is_finite() => finite,
        _ if value.is_nan() => "NaN".to_owned(),
        _ if value > 0.0 => "Infinity".to_owned(),
        _ => "-Infinity".to_owned(),
    }
}

/// The directory of a file with these partition values, `a=1/b=x`, escaped as Hive does. A matter of looks: readers
/// take values from the log. Null and empty text name the directory of null.
pub fn hive_directory(values: &[(&str, Option<&str>)]) -> String {
    let mut directory = String::new();
    for (i, (name, value)) in values.iter().enumerate() {
        if i > 0 {
            directory.push('/');
        }
        hive_escape(name, &mut directory);
        directory.push('=');
        match value {
            None | Some("") => directory.push_str(NULL_DIRECTORY),
            Some(value) => hive_escape(value, &mut directory),
        }
    }
    directory
}

fn hive_escape(text: &str, out: &mut String) {
    for c in text.chars() {
        if c.is_ascii_control() || "\"#%'*/:=?\\{[]^".contains(c) {
            // Writing to a String does not fail.
            let _ = write!(out, "%{:02X}", u32::from(c));
        } else {
            out.push(c);
        }
    }
}

/// What a URI's path may not hold as it is. A colon could pass for the end of a scheme.
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b':')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A file's path relative to the table, as `add.path` has it: percent-encoded once, as a whole. [`decode_path`] is the
/// way back.
pub fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, NOT_IN_PATH).to_string()
}

/// Decodes `add.path`, exactly once; `+` stays `+`.
///
/// # Errors
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) for an escape that is not `%` with two hexadecimal digits, and for
/// bytes that are not UTF-8.
pub fn decode_path(path: &str) -> Result<String> {
    let wrong = |what: &str| Error::corrupt(format!("a file's path in the log {what}")).with_object(path);
    let whole_escapes = path.split('%').skip(1).all(|rest| {
        let mut digits = rest.bytes();
        [digits.next(), digits.next()].into_iter().all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit()))
    });
    if !whole_escapes {
        return Err(wrong("has a broken percent escape"));
    }
    let decoded = percent_decode_str(path).decode_utf8().map_err(|_| wrong("is not UTF-8"))?;
    if decoded.contains('\0') {
        return Err(wrong("holds a zero byte"));
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests;
