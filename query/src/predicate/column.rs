//! The column that an expression is, seen through conversions that lose nothing.

use datafusion::arrow::datatypes::{DataType, Fields, Schema, TimeUnit};
use datafusion::logical_expr::Expr;
use datafusion::scalar::ScalarValue;
use lake_format::expr::ColumnPath;

/// A column of the table, or a field inside one, with its type in the table.
pub(super) struct Found {
    pub(super) path: ColumnPath,
    pub(super) data_type: DataType,
}

/// The column that `expr` is. Conversions around it are left out when they keep every value apart, in order and
/// comparable with the literal on the other side.
pub(super) fn find(expr: &Expr, schema: &Schema) -> Option<Found> {
    match expr {
        Expr::Alias(alias) => find(&alias.expr, schema),
        Expr::Column(column) => {
            let field = schema.field_with_name(column.name()).ok()?;
            Some(Found { path: ColumnPath::top(field.name()), data_type: field.data_type().clone() })
        }
        Expr::Cast(cast) => widened(find(&cast.expr, schema)?, cast.field.data_type()),
        Expr::TryCast(cast) => widened(find(&cast.expr, schema)?, cast.field.data_type()),
        Expr::ScalarFunction(call) if call.name() == "get_field" => {
            let (base, names) = call.args.split_first()?;
            let mut found = find(base, schema)?;
            for name in names {
                let name = text(name)?;
                let DataType::Struct(fields) = &found.data_type else { return None };
                let data_type = field_type(fields, name)?;
                found.path.0.push(name.to_owned());
                found.data_type = data_type;
            }
            Some(found)
        }
        _ => None,
    }
}

fn text(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(
            ScalarValue::Utf8(Some(text)) | ScalarValue::Utf8View(Some(text)) | ScalarValue::LargeUtf8(Some(text)),
            _,
        ) => Some(text),
        _ => None,
    }
}

fn field_type(fields: &Fields, name: &str) -> Option<DataType> {
    fields.iter().find(|field| field.name() == name).map(|field| field.data_type().clone())
}

fn widened(found: Found, into: &DataType) -> Option<Found> {
    widens(&found.data_type, into).then_some(found)
}

fn widens(from: &DataType, into: &DataType) -> bool {
    use DataType as D;
    match (from, into) {
        _ if from == into => true,
        (D::Utf8, D::LargeUtf8 | D::Utf8View) | (D::Binary, D::LargeBinary | D::BinaryView) => true,
        (D::Float32, D::Float64) => true,
        // A time without zone taken for one in another zone than UTC would be moved; a coarser unit would cut.
        (D::Timestamp(_, _), D::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, zone)) => {
            zone.as_deref().is_none_or(is_utc)
        }
        (D::Decimal128(p, s), D::Decimal128(into_p, into_s)) => {
            into_s >= s && i16::from(*into_p) - i16::from(*into_s) >= i16::from(*p) - i16::from(*s)
        }
        (_, D::Decimal128(precision, scale)) => integer_digits(from)
            .is_some_and(|digits| *scale >= 0 && i16::from(*precision) - i16::from(*scale) >= i16::from(digits)),
        _ => matches!((integer_digits(from), integer_digits(into)), (Some(from), Some(into)) if from <= into),
    }
}

fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "Z" | "+00:00" | "+00")
}

/// Digits of the largest value of a signed integer type.
fn integer_digits(data_type: &DataType) -> Option<u8> {
    match data_type {
        DataType::Int8 => Some(3),
        DataType::Int16 => Some(5),
        DataType::Int32 => Some(10),
        DataType::Int64 => Some(19),
        _ => None,
    }
}
