//! The rows of a batch by partition, in their order.

use std::collections::HashMap;
use std::hash::Hash;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, UInt32Array};
use arrow_schema::DataType as ArrowType;

use crate::error::{Error, Result};

/// Rows that have the same partition values.
#[derive(Debug)]
pub(super) struct Group {
    /// One of the rows.
    pub(super) first: usize,
    /// All of them, ascending; `None` for the whole batch.
    pub(super) rows: Option<UInt32Array>,
}

/// Groups the rows of a batch by the values of `columns`, in order of first appearance.
///
/// # Errors
/// `Invalid` for a batch of more than 2^32 rows, `Internal` for a column of a nested type.
pub(super) fn split(columns: &[ArrayRef], rows: usize) -> Result<Vec<Group>> {
    if rows == 0 {
        return Ok(Vec::new());
    }
    if u32::try_from(rows).is_err() {
        return Err(Error::invalid(format!("a batch of {rows} rows is too large")));
    }
    let (mut codes, mut count) = (vec![0_u32; rows], 1_u32);
    for column in columns {
        let (own, own_count) = codes_of(column)?;
        if own_count > 1 {
            let joined = |row: usize| Some((codes[row], own[row]));
            (codes, count) = numbered(rows, joined);
        }
    }
    if count == 1 {
        return Ok(vec![Group { first: 0, rows: None }]);
    }
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); count as usize];
    for (row, &code) in (0_u32..).zip(&codes) {
        members[code as usize].push(row);
    }
    let groups = members.into_iter().map(|rows| Group { first: rows[0] as usize, rows: Some(UInt32Array::from(rows)) });
    Ok(groups.collect())
}

/// Numbers the distinct values of a column from 0 in order of appearance: the number of each row, and how many.
fn codes_of(array: &ArrayRef) -> Result<(Vec<u32>, u32)> {
    let rows = array.len();
    Ok(match array.data_type() {
        ArrowType::Boolean => {
            let values = array.as_boolean();
            numbered(rows, |row| values.is_valid(row).then(|| values.value(row)))
        }
        ArrowType::Int8 => primitive::<Int8Type, _>(array, |value| value),
        ArrowType::Int16 => primitive::<Int16Type, _>(array, |value| value),
        ArrowType::Int32 => primitive::<Int32Type, _>(array, |value| value),
        ArrowType::Int64 => primitive::<Int64Type, _>(array, |value| value),
        ArrowType::Date32 => primitive::<Date32Type, _>(array, |value| value),
        ArrowType::Timestamp(..) => primitive::<TimestampMicrosecondType, _>(array, |value| value),
        ArrowType::Decimal128(..) => primitive::<Decimal128Type, _>(array, |value| value),
        ArrowType::Float32 => primitive::<Float32Type, _>(array, f32::to_bits),
        ArrowType::Float64 => primitive::<Float64Type, _>(array, f64::to_bits),
        ArrowType::Utf8 => {
            let values = array.as_string::<i32>();
            numbered(rows, |row| values.is_valid(row).then(|| values.value(row)))
        }
        ArrowType::Binary => {
            let values = array.as_binary::<i32>();
            numbered(rows, |row| values.is_valid(row).then(|| values.value(row)))
        }
        other => return Err(Error::internal(format!("rows can't be split by {other}"))),
    })
}

fn primitive<T: ArrowPrimitiveType, K: Hash + Eq + Copy>(array: &ArrayRef, key: fn(T::Native) -> K) -> (Vec<u32>, u32) {
    let values = array.as_primitive::<T>();
    numbered(array.len(), |row| values.is_valid(row).then(|| key(values.value(row))))
}

fn numbered<K: Hash + Eq + Copy>(rows: usize, key: impl Fn(usize) -> Option<K>) -> (Vec<u32>, u32) {
    let mut numbers: HashMap<Option<K>, u32> = HashMap::new();
    let mut last: Option<(Option<K>, u32)> = None;
    let mut next = 0;
    let codes = (0..rows).map(|row| {
        let key = key(row);
        // Values often come in runs.
        if let Some((seen, code)) = last
            && seen == key
        {
            return code;
        }
        let code = *numbers.entry(key).or_insert(next);
        next = next.max(code + 1);
        last = Some((key, code));
        code
    });
    let codes = codes.collect();
    (codes, next)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{Float64Array, Int32Array, StringArray};

    use super::*;

    fn rows(groups: &[Group]) -> Vec<Vec<u32>> {
        groups.iter().map(|group| group.rows.as_ref().map_or(Vec::new(), |rows| rows.values().to_vec())).collect()
    }

    #[test]
    fn groups_keep_the_order_of_rows_and_of_first_appearance() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("b"), None, Some("")]));
        let number: ArrayRef = Arc::new(Int32Array::from(vec![1, 1, 1, 2, 1, 1]));
        let groups = split(&[Arc::clone(&text), number], 6).unwrap();
        assert_eq!(rows(&groups), [vec![0], vec![1, 4], vec![2], vec![3], vec![5]]);
        assert_eq!(groups[1].first, 1);
        assert_eq!(rows(&split(&[text], 6).unwrap()), [vec![0, 3], vec![1, 4], vec![2], vec![5]]);
    }

    #[test]
    fn one_value_is_one_group_without_copies() {
        let same: ArrayRef = Arc::new(Int32Array::from(vec![7; 5]));
        let groups = split(&[same], 5).unwrap();
        assert!(matches!(groups.as_slice(), [Group { first: 0, rows: None }]));
        assert!(matches!(split(&[], 5).unwrap().as_slice(), [Group { first: 0, rows: None }]));
        assert!(split(&[], 0).unwrap().is_empty());
    }

    #[test]
    fn floats_are_told_apart_by_their_bits() {
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![f64::NAN, 0.0, f64::NAN, -0.0]));
        assert_eq!(rows(&split(&[floats], 4).unwrap()), [vec![0, 2], vec![1], vec![3]]);
    }
}
