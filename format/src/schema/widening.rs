//! Which types may grow into which, and what a table remembers of it.

use serde_json::{Value, json};

use crate::error::{Error, Result};

use super::json::primitive_named;
use super::{DataType, PrimitiveType, StructField, StructType, fits};

const CHANGES: &str = "delta.typeChanges";

/// Whether a column of type `from` may become one of type `to` without its files being rewritten (WID-1).
pub fn can_widen(from: PrimitiveType, to: PrimitiveType) -> bool {
    use PrimitiveType::{Byte, Date, Decimal, Double, Float, Integer, Long, Short, TimestampNtz};
    match (from, to) {
        (Byte, Short | Integer | Long) | (Short, Integer | Long) | (Integer, Long) => true,
        (Byte | Short | Integer | Float, Double) => true,
        (Date, TimestampNtz) => true,
        (Byte | Short | Integer, Decimal { precision, scale }) => {
            precision.saturating_sub(10) >= scale && precision >= 10
        }
        (Long, Decimal { precision, scale }) => precision.saturating_sub(20) >= scale && precision >= 20,
        (Decimal { precision: p1, scale: s1 }, Decimal { precision: p2, scale: s2 }) => {
            from != to && s2 >= s1 && p2 >= p1 && p2 - p1 >= s2 - s1
        }
        _ => false,
    }
}

/// Whether incoming data may widen a column by itself, when that is asked for: a type of the same family. Integers do
/// not turn into floating or decimal numbers by the way.
pub fn widens_by_merge(from: PrimitiveType, to: PrimitiveType) -> bool {
    use PrimitiveType::{Byte, Integer, Short};
    let leaves_family = matches!(from, Byte | Short | Integer | PrimitiveType::Long)
        && matches!(to, PrimitiveType::Double | PrimitiveType::Decimal { .. });
    can_widen(from, to) && !leaves_family
}

/// Checks that every change of type that the schema lists is one that files are converted across (WID-2).
///
/// # Errors
/// [`Unsupported`](crate::error::ErrorKind::Unsupported) naming the column and both types.
pub fn check_type_changes(schema: &StructType) -> Result<()> {
    schema.fields.iter().try_for_each(|field| check_field(field, &field.name))
}

fn check_field(field: &StructField, path: &str) -> Result<()> {
    for change in changes(field) {
        let text = |key: &str| change.get(key).and_then(Value::as_str).unwrap_or("?");
        let (from, to) = (text("fromType"), text("toType"));
        let known = primitive_named(from).zip(primitive_named(to));
        // Previews of the feature allowed more, such as bytes to short decimals. Reading asks only that nothing is lost.
        let lossless = |from, to| fits(&DataType::Primitive(from), &DataType::Primitive(to));
        if !known.is_some_and(|(from, to)| can_widen(from, to) || lossless(from, to)) {
            return Err(Error::unsupported(format!(
                "the column has changed from type {from} to {to} (table feature \"typeWidening\"), which Lake can't follow"
            ))
            .with_object(path));
        }
    }
    check_inside(&field.data_type, path)
}

fn check_inside(data_type: &DataType, path: &str) -> Result<()> {
    match data_type {
        DataType::Struct(inner) => {
            inner.fields.iter().try_for_each(|field| check_field(field, &format!("{path}.{}", field.name)))
        }
        DataType::Array(array) => check_inside(&array.element_type, &format!("{path}.element")),
        DataType::Map(map) => {
            check_inside(&map.key_type, &format!("{path}.key"))?;
            check_inside(&map.value_type, &format!("{path}.value"))
        }
        DataType::Primitive(_) | DataType::Variant | DataType::Void => Ok(()),
    }
}

fn changes(field: &StructField) -> impl Iterator<Item = &Value> {
    field.metadata.get(CHANGES).and_then(Value::as_array).into_iter().flatten()
}

/// Whether older files may hold 32-bit floats where the column has 64 bits: the text of such a bound, read as 64 bits,
/// is not the value that the file's rows have (WID-3).
pub fn was_float(field: &StructField) -> bool {
    changes(field).any(|change| change.get("fromType").and_then(Value::as_str) == Some("float"))
}

/// Notes a change of type at `parts` (`element`, `key`, `value`, from the field inwards).
pub(super) fn record(field: &mut StructField, from: PrimitiveType, to: PrimitiveType, parts: &[String]) {
    let mut change = json!({"fromType": from.to_string(), "toType": to.to_string()});
    if !parts.is_empty() {
        change["fieldPath"] = parts.join(".").to_ascii_lowercase().into();
    }
    match field.metadata.get_mut(CHANGES) {
        Some(Value::Array(list)) => list.push(change),
        _ => {
            field.metadata.insert(CHANGES.to_owned(), Value::Array(vec![change]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_primitive() -> Vec<PrimitiveType> {
        use PrimitiveType::*;
        let mut all =
            vec![String, Long, Integer, Short, Byte, Float, Double, Boolean, Binary, Date, Timestamp, TimestampNtz];
        for precision in 1..=38 {
            all.extend((0..=precision).map(|scale| Decimal { precision, scale }));
        }
        all
    }

    #[test]
    fn widening_is_the_list_of_the_protocol_and_a_strict_order() {
        use PrimitiveType::*;
        let decimal = |precision, scale| Decimal { precision, scale };
        let yes = [
            (Byte, Short),
            (Byte, Long),
            (Short, Integer),
            (Integer, Long),
            (Float, Double),
            (Short, Double),
            (Date, TimestampNtz),
            (Integer, decimal(10, 0)),
            (Byte, decimal(12, 2)),
            (Long, decimal(20, 0)),
            (decimal(5, 2), decimal(7, 4)),
            (decimal(5, 2), decimal(7, 2)),
        ];
        assert!(yes.iter().all(|&(from, to)| can_widen(from, to)), "WID-1");
        let no = [
            (Long, Double),
            (Integer, Float),
            (Byte, decimal(9, 0)),
            (Integer, decimal(11, 2)),
            (Long, decimal(19, 0)),
            (decimal(5, 2), decimal(6, 4)),
            (decimal(5, 2), decimal(5, 2)),
            (Date, Timestamp),
            (Long, Integer),
        ];
        assert!(no.iter().all(|&(from, to)| !can_widen(from, to)), "WID-1");
        let all = every_primitive();
        for &from in &all {
            assert!(!can_widen(from, from));
            for &to in all.iter().filter(|&&to| can_widen(from, to)) {
                assert!(!can_widen(to, from), "{from} and {to}");
            }
        }
    }

    #[test]
    fn every_listed_change_must_be_known_at_any_depth() {
        let mut inner = StructField::new("n", DataType::Primitive(PrimitiveType::Long), true);
        record(&mut inner, PrimitiveType::Byte, PrimitiveType::Long, &[]);
        let wrap = |field: StructField| {
            let nested = DataType::Struct(StructType::new(vec![field]));
            let array = super::super::ArrayType { element_type: nested, contains_null: true };
            StructType::new(vec![StructField::new("a", DataType::Array(Box::new(array)), true)])
        };
        check_type_changes(&wrap(inner.clone())).expect("WID-2");
        inner.metadata.insert(CHANGES.into(), json!([{"fromType": "string", "toType": "long"}]));
        let error = check_type_changes(&wrap(inner)).expect_err("WID-2");
        assert_eq!(error.object(), Some("a.element.n"));
        assert!(error.message().contains("string") && error.message().contains("typeWidening"), "{error}");
    }
}
