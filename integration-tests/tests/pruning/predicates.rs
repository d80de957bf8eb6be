//! Random predicates about the values that a table really has, and an evaluator of its own that goes row by row.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use lake_format::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use lake_testkit::SplitMix64;

/// A plain column, at any depth of structs, and its values.
pub struct Leaf {
    path: ColumnPath,
    values: Vec<Scalar>,
    /// Rows with a value.
    present: Vec<usize>,
}

/// Every column of `batch` that a predicate can name.
pub fn leaves(batch: &RecordBatch) -> Vec<Leaf> {
    let mut found = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        collect(vec![field.name().clone()], column, None, &mut found);
    }
    found
}

fn collect(path: Vec<String>, array: &ArrayRef, outer: Option<NullBuffer>, found: &mut Vec<Leaf>) {
    let nulls = NullBuffer::union(outer.as_ref(), array.logical_nulls().as_ref());
    if let Some(parts) = array.as_struct_opt() {
        for (field, column) in parts.fields().iter().zip(parts.columns()) {
            let path = path.iter().cloned().chain([field.name().clone()]).collect();
            collect(path, column, nulls.clone(), found);
        }
        return;
    }
    if array.data_type().is_nested() {
        return;
    }
    let value = |row| if nulls.as_ref().is_some_and(|n| n.is_null(row)) { Scalar::Null } else { scalar(array, row) };
    let values: Vec<Scalar> = (0..array.len()).map(value).collect();
    let present = (0..array.len()).filter(|&row| !values[row].is_null()).collect();
    found.push(Leaf { path: ColumnPath(path), values, present });
}

fn scalar(array: &ArrayRef, row: usize) -> Scalar {
    match array.data_type() {
        DataType::Boolean => Scalar::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => Scalar::Long(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => Scalar::Long(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => Scalar::Long(array.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => Scalar::Long(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => Scalar::Float(array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Scalar::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => Scalar::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::Binary => Scalar::Binary(array.as_binary::<i32>().value(row).to_owned()),
        DataType::Date32 => Scalar::Date(array.as_primitive::<Date32Type>().value(row)),
        DataType::Timestamp(_, zone) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            if zone.is_some() { Scalar::Timestamp(micros) } else { Scalar::TimestampNtz(micros) }
        }
        DataType::Decimal128(precision, scale) => Scalar::Decimal {
            unscaled: array.as_primitive::<Decimal128Type>().value(row),
            precision: *precision,
            scale: *scale as u8,
        },
        other => panic!("a column of type {other}"),
    }
}

const OPS: [CompareOp; 6] =
    [CompareOp::Eq, CompareOp::NotEq, CompareOp::Lt, CompareOp::LtEq, CompareOp::Gt, CompareOp::GtEq];

/// A random predicate over `leaves`.
pub fn predicate(rng: &mut SplitMix64, leaves: &[Leaf], depth: u32) -> Predicate {
    if depth > 0 && rng.chance(400) {
        let parts = |rng: &mut SplitMix64| {
            (0..rng.within(0..=3)).map(|_| predicate(rng, leaves, depth - 1)).collect::<Vec<_>>()
        };
        return match rng.below(5) {
            0 | 1 => Predicate::And(parts(rng)),
            2 | 3 => Predicate::Or(parts(rng)),
            _ => Predicate::Not(Box::new(predicate(rng, leaves, depth - 1))),
        };
    }
    let leaf = rng.pick(leaves).expect("a table has columns");
    let column = leaf.path.clone();
    match rng.below(20) {
        0 => Predicate::IsNull(column),
        1 => Predicate::IsNotNull(column),
        2 if rng.chance(100) => Predicate::Literal(rng.chance(500)),
        _ if leaf.present.is_empty() => Predicate::Not(Box::new(Predicate::IsNull(column))),
        3..=5 => {
            let null = rng.chance(200).then_some(Scalar::Null);
            let values = (0..rng.within(0..=4)).map(|_| literal(rng, leaf)).chain(null).collect();
            Predicate::In { column, values }
        }
        6 | 7 => {
            let (low, high) = (literal(rng, leaf), literal(rng, leaf));
            let side = |op, value| Predicate::Compare { column: column.clone(), op, value };
            Predicate::And(vec![side(CompareOp::GtEq, low), side(CompareOp::Lt, high)])
        }
        _ => {
            let op = *rng.pick(&OPS).expect("an operator");
            Predicate::Compare { column, op, value: literal(rng, leaf) }
        }
    }
}

/// A value of the column, or one just beside it.
fn literal(rng: &mut SplitMix64, leaf: &Leaf) -> Scalar {
    let value = leaf.values[*rng.pick(&leaf.present).expect("a value")].clone();
    let step = rng.within(0..=2) as i64 - 1;
    match value {
        Scalar::Long(value) if rng.chance(20) => Scalar::Long(*rng.pick(&[i64::MIN, i64::MAX, 0]).unwrap_or(&value)),
        Scalar::Long(value) => Scalar::Long(value.saturating_add(step)),
        Scalar::Float(value) => Scalar::Float(match rng.below(12) {
            0 => f32::NAN,
            1 => -0.0,
            2 => 0.0,
            3 => f32::INFINITY,
            4 => value.next_up(),
            5 => value.next_down(),
            _ => value,
        }),
        Scalar::Double(value) => Scalar::Double(match rng.below(12) {
            0 => f64::NAN,
            1 => -0.0,
            2 => 0.0,
            3 => f64::NEG_INFINITY,
            4 => value.next_up(),
            5 => value.next_down(),
            _ => value,
        }),
        Scalar::String(text) => Scalar::String(beside(rng, &text)),
        Scalar::Binary(mut bytes) => {
            match rng.below(6) {
                0 => bytes.truncate(rng.below(bytes.len() as u64 + 1) as usize),
                1 => bytes.push(*rng.pick(&[0, 0x7f, 0x80, 0xff]).unwrap_or(&0)),
                2 => drop(bytes.pop()),
                _ => {}
            }
            Scalar::Binary(bytes)
        }
        Scalar::Date(day) => Scalar::Date(day.saturating_add(step as i32)),
        Scalar::Timestamp(micros) => Scalar::Timestamp(near(rng, micros)),
        Scalar::TimestampNtz(micros) => Scalar::TimestampNtz(near(rng, micros)),
        Scalar::Decimal { unscaled, precision, scale } if rng.chance(200) && precision < 38 => {
            Scalar::Decimal { unscaled: unscaled * 10 + i128::from(step), precision: precision + 1, scale: scale + 1 }
        }
        Scalar::Decimal { unscaled, precision, scale } => {
            let moved = unscaled + i128::from(step);
            let fits = moved.unsigned_abs() < 10_u128.pow(precision.into());
            Scalar::Decimal { unscaled: if fits { moved } else { unscaled }, precision, scale }
        }
        Scalar::Boolean(_) => Scalar::Boolean(rng.chance(500)),
        Scalar::Null => Scalar::Null,
    }
}

fn near(rng: &mut SplitMix64, micros: i64) -> i64 {
    match rng.below(6) {
        0 => micros.div_euclid(1_000) * 1_000,
        1 => micros.div_euclid(1_000) * 1_000 + 999,
        2 => micros - 1,
        3 => micros + 1,
        _ => micros,
    }
}

fn beside(rng: &mut SplitMix64, text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    match rng.below(8) {
        0 => chars.truncate(32),
        1 => chars.truncate(64),
        2 => chars.truncate(rng.below(chars.len() as u64 + 1) as usize),
        3 => chars.push(*rng.pick(&['\0', 'a', '\u{7f}', 'é', '\u{ffff}', '\u{10ffff}']).unwrap_or(&'a')),
        4 => {
            if let Some(last) = chars.pop() {
                chars.push(char::from_u32(u32::from(last) + 1).unwrap_or(last));
            }
        }
        _ => {}
    }
    chars.into_iter().collect()
}

/// What `predicate` says of one row, by the rules of SQL; `None` is unknown.
pub fn truth(predicate: &Predicate, leaves: &[Leaf], row: usize) -> Option<bool> {
    let value = |path: &ColumnPath| {
        let leaf = leaves.iter().find(|leaf| leaf.path == *path).expect("a known column");
        &leaf.values[row]
    };
    match predicate {
        Predicate::Literal(answer) => Some(*answer),
        Predicate::IsNull(path) => Some(value(path).is_null()),
        Predicate::IsNotNull(path) => Some(!value(path).is_null()),
        Predicate::Compare { column, op, value: literal } => passes(*op, value(column), literal),
        Predicate::In { column, values } => any(values.iter().map(|one| passes(CompareOp::Eq, value(column), one))),
        Predicate::Or(parts) => any(parts.iter().map(|part| truth(part, leaves, row))),
        Predicate::And(parts) => any(parts.iter().map(|part| truth(part, leaves, row).map(|t| !t))).map(|t| !t),
        Predicate::Not(inner) => truth(inner, leaves, row).map(|answer| !answer),
    }
}

fn any(answers: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut unknown = false;
    for answer in answers {
        match answer {
            Some(true) => return Some(true),
            Some(false) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(false)
}

fn passes(op: CompareOp, value: &Scalar, literal: &Scalar) -> Option<bool> {
    let order = order(value, literal)?;
    Some(match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::NotEq => order.is_ne(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::LtEq => order.is_le(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::GtEq => order.is_ge(),
    })
}

fn order(value: &Scalar, literal: &Scalar) -> Option<Ordering> {
    let floats = |a: f64, b: f64| match (a.is_nan(), b.is_nan()) {
        (false, false) => a.partial_cmp(&b).expect("numbers"),
        (a, b) => a.cmp(&b),
    };
    Some(match (value, literal) {
        (Scalar::Null, _) | (_, Scalar::Null) => return None,
        (Scalar::Boolean(a), Scalar::Boolean(b)) => a.cmp(b),
        (Scalar::Long(a), Scalar::Long(b)) => a.cmp(b),
        (Scalar::Float(a), Scalar::Float(b)) => floats((*a).into(), (*b).into()),
        (Scalar::Double(a), Scalar::Double(b)) => floats(*a, *b),
        (Scalar::String(a), Scalar::String(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Scalar::Binary(a), Scalar::Binary(b)) => a.cmp(b),
        (Scalar::Date(a), Scalar::Date(b)) => a.cmp(b),
        (Scalar::Timestamp(a), Scalar::Timestamp(b)) | (Scalar::TimestampNtz(a), Scalar::TimestampNtz(b)) => a.cmp(b),
        (Scalar::Decimal { unscaled: a, scale: s, .. }, Scalar::Decimal { unscaled: b, scale: t, .. }) => {
            // The literal has at most one digit more behind the point.
            let up = t.saturating_sub(*s);
            match a.checked_mul(10_i128.pow(up.into())) {
                Some(a) => a.cmp(b),
                None => a.cmp(&0),
            }
        }
        (a, b) => panic!("{} against {}", a.kind(), b.kind()),
    })
}
