//! From text to a column's type, exactly or not at all; what does not fit is reported by row.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int8Array, Int16Array, Int32Array, Int64Array, ListArray,
    MapArray, NullArray, PrimitiveArray, StringArray, StructArray, new_null_array,
};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Field, FieldRef, Fields, Float32Type, Float64Type,
    TimeUnit, TimestampMicrosecondType,
};
use chrono::{NaiveDate, NaiveDateTime};
use lake_format::{Error, Result};

/// A value that does not fit its column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Row in the batch.
    pub row: usize,
    /// Column, with the path of nested fields.
    pub column: String,
    /// The value.
    pub value: String,
    /// The type that it should have.
    pub wanted: String,
}

/// The type with text at every leaf, all nullable: what is read first.
pub fn text_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(text_field).collect::<Fields>()),
        DataType::List(element) => DataType::List(text_field(element)),
        DataType::Map(entries, sorted) => {
            let DataType::Struct(parts) = entries.data_type() else { return DataType::Utf8 };
            let parts: Fields = parts
                .iter()
                .enumerate()
                .map(|(at, part)| Arc::new(Field::new(part.name(), text_type(part.data_type()), at > 0)))
                .collect();
            DataType::Map(Arc::new(Field::new(entries.name(), DataType::Struct(parts), false)), *sorted)
        }
        _ => DataType::Utf8,
    }
}

/// [`text_type`] of a field.
pub fn text_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), text_type(field.data_type()), true))
}

/// Text arrays, as [`text_type`] has them, as `to`. A misfit becomes null and is reported.
///
/// # Errors
/// `Unsupported` for a type that has no text form.
pub fn convert(array: &ArrayRef, to: &DataType, column: &str, misfits: &mut Vec<Misfit>) -> Result<ArrayRef> {
    match to {
        DataType::Struct(fields) => convert_struct(array, fields, column, misfits),
        DataType::List(element) => convert_list(array, element, column, misfits),
        DataType::Map(entries, sorted) => convert_map(array, entries, *sorted, column, misfits),
        leaf => match array.as_string_opt::<i32>() {
            Some(text) => Leaf { text, to: leaf, column, misfits }.convert(),
            None => Err(Error::internal("text was expected").with_object(column.to_owned())),
        },
    }
}

fn convert_struct(array: &ArrayRef, fields: &Fields, column: &str, misfits: &mut Vec<Misfit>) -> Result<ArrayRef> {
    let source = array.as_struct();
    let mut columns = Vec::with_capacity(fields.len());
    for field in fields {
        let path = format!("{column}.{}", field.name());
        columns.push(match source.column_by_name(field.name()) {
            Some(child) => convert(child, field.data_type(), &path, misfits)?,
            None => new_null_array(field.data_type(), array.len()),
        });
    }
    let nullable: Fields = fields.iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect();
    let made = StructArray::try_new_with_length(nullable, columns, source.nulls().cloned(), array.len());
    Ok(Arc::new(made.map_err(defect)?))
}

fn convert_list(array: &ArrayRef, element: &FieldRef, column: &str, misfits: &mut Vec<Misfit>) -> Result<ArrayRef> {
    let source = array.as_list::<i32>();
    let before = misfits.len();
    let values = convert(source.values(), element.data_type(), &format!("{column}.element"), misfits)?;
    lift(&mut misfits[before..], source.value_offsets());
    let element = Arc::new(element.as_ref().clone().with_nullable(true));
    let made = ListArray::try_new(element, source.offsets().clone(), values, source.nulls().cloned());
    Ok(Arc::new(made.map_err(defect)?))
}

fn convert_map(
    array: &ArrayRef,
    entries: &FieldRef,
    sorted: bool,
    column: &str,
    misfits: &mut Vec<Misfit>,
) -> Result<ArrayRef> {
    let source = array.as_map();
    let DataType::Struct(parts) = entries.data_type() else {
        return Err(Error::internal("a map without entries").with_object(column.to_owned()));
    };
    let [key, value] = parts.as_ref() else {
        return Err(Error::internal("a map without keys and values").with_object(column.to_owned()));
    };
    let before = misfits.len();
    let mut keys = convert(source.keys(), key.data_type(), &format!("{column}.key"), misfits)?;
    if misfits.len() > before {
        // The rows go anyway; a map may have no null key even so.
        keys = arrow::compute::kernels::zip::zip(
            &arrow::compute::is_null(&keys).map_err(defect)?,
            &arrow::array::Scalar::new(default_key(key.data_type())?),
            &keys,
        )
        .map_err(defect)?;
    }
    let values = convert(source.values(), value.data_type(), &format!("{column}.value"), misfits)?;
    lift(&mut misfits[before..], source.value_offsets());
    let value = Arc::new(value.as_ref().clone().with_nullable(true));
    let fields = Fields::from(vec![Arc::clone(key), value]);
    let inner = StructArray::try_new(fields.clone(), vec![keys, values], None).map_err(defect)?;
    let entries = Arc::new(Field::new(entries.name(), DataType::Struct(fields), false));
    let made = MapArray::try_new(entries, source.offsets().clone(), inner, source.nulls().cloned(), sorted);
    Ok(Arc::new(made.map_err(defect)?))
}

fn default_key(data_type: &DataType) -> Result<ArrayRef> {
    let zero: ArrayRef = Arc::new(StringArray::from(vec!["0"]));
    match data_type {
        DataType::Utf8 => Ok(zero),
        other => arrow::compute::cast(&zero, other).map_err(|error| {
            Error::unsupported(format!("a map with keys of Arrow's {other} can't be read from text")).with_source(error)
        }),
    }
}

/// Rows of elements become rows of their lists.
fn lift(misfits: &mut [Misfit], offsets: &[i32]) {
    for misfit in misfits {
        let at = i32::try_from(misfit.row).unwrap_or(i32::MAX);
        misfit.row = offsets.partition_point(|&offset| offset <= at).saturating_sub(1);
    }
}

fn defect(error: arrow::error::ArrowError) -> Error {
    Error::internal("columns do not fit together").with_source(error)
}

struct Leaf<'a> {
    text: &'a StringArray,
    to: &'a DataType,
    column: &'a str,
    misfits: &'a mut Vec<Misfit>,
}

impl Leaf<'_> {
    fn convert(mut self) -> Result<ArrayRef> {
        let whole = |text: &str| text.parse::<i64>().ok();
        Ok(match self.to {
            DataType::Utf8 => Arc::new(self.text.clone()),
            DataType::Null => {
                self.each::<()>(|_| None);
                Arc::new(NullArray::new(self.text.len()))
            }
            DataType::Boolean => Arc::new(BooleanArray::from(self.each(boolean))),
            DataType::Int8 => Arc::new(Int8Array::from(self.each(|text| i8::try_from(whole(text)?).ok()))),
            DataType::Int16 => Arc::new(Int16Array::from(self.each(|text| i16::try_from(whole(text)?).ok()))),
            DataType::Int32 => Arc::new(Int32Array::from(self.each(|text| i32::try_from(whole(text)?).ok()))),
            DataType::Int64 => Arc::new(Int64Array::from(self.each(whole))),
            DataType::Float32 => {
                self.primitive::<Float32Type>(|text| finite(text, text.parse().ok()?, f32::is_infinite))
            }
            DataType::Float64 => {
                self.primitive::<Float64Type>(|text| finite(text, text.parse().ok()?, f64::is_infinite))
            }
            DataType::Date32 => self.primitive::<Date32Type>(date),
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) => {
                let zone = Arc::clone(zone);
                let values = self.each(|text| parse_moment(text).map(|moment| moment.micros));
                Arc::new(PrimitiveArray::<TimestampMicrosecondType>::from(values).with_timezone(zone))
            }
            DataType::Timestamp(TimeUnit::Microsecond, None) => self.primitive::<TimestampMicrosecondType>(|text| {
                parse_moment(text).filter(|moment| !moment.zoned).map(|moment| moment.micros)
            }),
            DataType::Decimal128(precision, scale) => {
                let (precision, scale) = (*precision, *scale);
                let values = self.each(|text| decimal(text, precision, scale));
                let array = PrimitiveArray::<Decimal128Type>::from(values);
                Arc::new(array.with_precision_and_scale(precision, scale).map_err(defect)?)
            }
            DataType::Binary => self.binary(),
            other => {
                return Err(Error::unsupported(format!("a column of Arrow's {other} can't be read from text"))
                    .with_object(self.column.to_owned()));
            }
        })
    }

    fn primitive<T: ArrowPrimitiveType>(&mut self, parse: impl Fn(&str) -> Option<T::Native>) -> ArrayRef {
        Arc::new(self.each(parse).into_iter().collect::<PrimitiveArray<T>>())
    }

    fn each<T>(&mut self, parse: impl Fn(&str) -> Option<T>) -> Vec<Option<T>> {
        let mut values = Vec::with_capacity(self.text.len());
        for (row, text) in self.text.iter().enumerate() {
            let text = text.map(str::trim).filter(|text| !text.is_empty());
            let value = text.and_then(&parse);
            if let (Some(text), None) = (text, &value) {
                self.report(row, text);
            }
            values.push(value);
        }
        values
    }

    fn binary(&mut self) -> ArrayRef {
        let mut builder = BinaryBuilder::with_capacity(self.text.len(), self.text.value_data().len() / 2);
        for (row, text) in self.text.iter().enumerate() {
            match text.map(|text| (text, hex(text.trim()))) {
                Some((_, Some(bytes))) => builder.append_value(bytes),
                Some((text, None)) => {
                    self.report(row, text);
                    builder.append_null();
                }
                None => builder.append_null(),
            }
        }
        Arc::new(builder.finish())
    }

    fn report(&mut self, row: usize, text: &str) {
        let mut value: String = text.chars().take(60).collect();
        if value.len() < text.len() {
            value.push('…');
        }
        self.misfits.push(Misfit { row, column: self.column.to_owned(), value, wanted: name_of(self.to) });
    }
}

/// A leaf type by the name that tables call it.
fn name_of(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "void".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "byte".to_owned(),
        DataType::Int16 => "short".to_owned(),
        DataType::Int32 => "integer".to_owned(),
        DataType::Int64 => "long".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp".to_owned(),
        DataType::Timestamp(_, None) => "timestamp_ntz".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Binary => "binary, as hexadecimal digits".to_owned(),
        other => other.to_string(),
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// A number too large for its type is not infinite.
fn finite<T: Copy>(text: &str, value: T, is_infinite: impl Fn(T) -> bool) -> Option<T> {
    (!is_infinite(value) || text.to_ascii_lowercase().contains("inf")).then_some(value)
}

fn date(text: &str) -> Option<i32> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    i32::try_from(day.signed_duration_since(NaiveDate::default()).num_days()).ok()
}

/// Every digit is kept, or it is none.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i128> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, exponent) = match digits.split_once(['e', 'E']) {
        Some((digits, exponent)) => (digits, exponent.parse::<i32>().ok()?),
        None => (digits, 0),
    };
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all = || whole.bytes().chain(part.bytes());
    if !all().all(|b| b.is_ascii_digit()) || all().next().is_none() || exponent.abs() > 1000 {
        return None;
    }
    let significant: Vec<u8> = all().skip_while(|&b| b == b'0').collect();
    let kept = significant.iter().rposition(|&b| b != b'0').map_or(0, |last| last + 1);
    // Zeros that the digits need behind them to be in units of the scale.
    let zeros = i64::from(scale) - i64::try_from(part.len()).ok()?
        + i64::from(exponent)
        + i64::try_from(significant.len() - kept).ok()?;
    if kept == 0 {
        return Some(0);
    }
    if zeros < 0 || i64::try_from(kept).ok()? + zeros > i64::from(precision) {
        return None;
    }
    let number: i128 = std::str::from_utf8(&significant[..kept]).ok()?.parse().ok()?;
    let unscaled = number.checked_mul(10_i128.checked_pow(u32::try_from(zeros).ok()?)?)?;
    Some(if negative { -unscaled } else { unscaled })
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    digits.chunks(2).map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()).collect()
}

/// A point in time as text says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Microseconds since the epoch; digits below are cut.
    pub micros: i64,
    /// Whether the text named its offset from UTC. Without one it is taken as UTC.
    pub zoned: bool,
}

/// Reads `2024-01-31`, `2024-01-31 08:00`, `2024-01-31T08:00:00.123456Z`, `…+02:00`.
pub fn parse_moment(text: &str) -> Option<Moment> {
    if !text.is_ascii() || text.len() < 10 {
        return None;
    }
    let (day, rest) = text.split_at(10);
    let day = NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()?;
    let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else {
        let midnight = day.and_hms_opt(0, 0, 0)?;
        return rest.is_empty().then(|| Moment { micros: midnight.and_utc().timestamp_micros(), zoned: false });
    };
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.').unwrap_or(rest.len());
    let (clock, zone) = rest.split_at(end);
    let clock = if clock.len() == 5 { format!("{clock}:00") } else { clock.to_owned() };
    let local = NaiveDateTime::parse_from_str(&format!("{day} {clock}"), "%Y-%m-%d %H:%M:%S%.f").ok()?;
    let local = local.and_utc().timestamp_micros();
    let (offset_s, zoned) = match zone.trim_start() {
        "" => (0, false),
        "Z" | "z" | "UTC" => (0, true),
        offset => (offset_seconds(offset)?, true),
    };
    Some(Moment { micros: local.checked_sub(offset_s * 1_000_000)?, zoned })
}

/// `+02`, `-0530`, `+02:00`.
fn offset_seconds(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = text[1..].chars().filter(|&c| c != ':').collect();
    let colon_fits = !text.contains(':') || (text.len() == 6 && text.as_bytes()[3] == b':');
    if !colon_fits || !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = digits.split_at(2);
    let minutes: i64 = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
    let hours: i64 = hours.parse().ok()?;
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

#[cfg(test)]
mod tests;
