//! A number that stands for the content of columns, to tell whether what was read back is what was written.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, MapArray, StructArray};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, TimeUnit};

const NULL: u64 = 0x6e75_6c6c;
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number that equals another's if, and most likely only if, the rows are the same, in any order. Not made to resist
/// anyone: it finds damage.
pub(super) fn digest(columns: &[&StructArray]) -> u64 {
    let mut rows = vec![FACTOR; columns.first().map_or(0, |column| column.len())];
    for column in columns {
        mix_struct(&mut rows, column, None);
    }
    rows.into_iter().map(finished).fold(0, u64::wrapping_add)
}

fn mixed(state: u64, value: u64) -> u64 {
    (state.rotate_left(23) ^ value).wrapping_mul(FACTOR)
}

fn finished(state: u64) -> u64 {
    let state = (state ^ (state >> 32)).wrapping_mul(FACTOR);
    state ^ (state >> 29)
}

fn of_bytes(bytes: &[u8]) -> u64 {
    let mut chunks = bytes.chunks_exact(8);
    let whole = chunks.by_ref().fold(bytes.len() as u64, |state, chunk| {
        mixed(state, u64::from_le_bytes(chunk.try_into().unwrap_or_default()))
    });
    chunks.remainder().iter().fold(whole, |state, &byte| mixed(state, u64::from(byte)))
}

fn mix_struct(rows: &mut [u64], array: &StructArray, outer: Option<&NullBuffer>) {
    // What lies under a null is no content.
    let valid = NullBuffer::union(outer, array.nulls());
    for column in array.columns() {
        mix(rows, column, valid.as_ref());
    }
}

fn mix(rows: &mut [u64], array: &ArrayRef, outer: Option<&NullBuffer>) {
    let valid = NullBuffer::union(outer, array.nulls());
    let valid = valid.as_ref();
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            each(rows, valid, |row| of_bytes(texts.value(row).as_bytes()));
        }
        DataType::Boolean => {
            let flags = array.as_boolean();
            each(rows, valid, |row| u64::from(flags.value(row)));
        }
        DataType::Struct(_) => mix_struct(rows, array.as_struct(), outer),
        DataType::Map(..) => mix_map(rows, array.as_map(), valid),
        DataType::Int8 => numbers::<Int8Type>(rows, array, valid, |value| i64::from(value).cast_unsigned()),
        DataType::Int16 => numbers::<Int16Type>(rows, array, valid, |value| i64::from(value).cast_unsigned()),
        DataType::Int32 => numbers::<Int32Type>(rows, array, valid, |value| i64::from(value).cast_unsigned()),
        DataType::Int64 => numbers::<Int64Type>(rows, array, valid, i64::cast_unsigned),
        DataType::Date32 => numbers::<Date32Type>(rows, array, valid, |value| i64::from(value).cast_unsigned()),
        DataType::Float32 => numbers::<Float32Type>(rows, array, valid, |value| u64::from(value.to_bits())),
        DataType::Float64 => numbers::<Float64Type>(rows, array, valid, f64::to_bits),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            numbers::<TimestampMicrosecondType>(rows, array, valid, i64::cast_unsigned);
        }
        DataType::Decimal128(..) => {
            numbers::<Decimal128Type>(rows, array, valid, |value| of_bytes(&value.to_le_bytes()));
        }
        // Nothing else stands in a checkpoint.
        _ => each(rows, valid, |row| u64::from(array.is_valid(row))),
    }
}

fn each(rows: &mut [u64], valid: Option<&NullBuffer>, value: impl Fn(usize) -> u64) {
    for (row, state) in rows.iter_mut().enumerate() {
        let is_valid = valid.is_none_or(|valid| valid.is_valid(row));
        *state = mixed(*state, if is_valid { value(row) } else { NULL });
    }
}

fn numbers<T: ArrowPrimitiveType>(
    rows: &mut [u64],
    array: &ArrayRef,
    valid: Option<&NullBuffer>,
    bits: impl Fn(T::Native) -> u64,
) {
    let values = array.as_primitive::<T>().values();
    each(rows, valid, |row| bits(values[row]));
}

/// Pairs in any order.
fn mix_map(rows: &mut [u64], map: &MapArray, valid: Option<&NullBuffer>) {
    let mut pairs = vec![FACTOR; map.entries().len()];
    mix_struct(&mut pairs, map.entries(), None);
    let offsets = map.value_offsets();
    each(rows, valid, |row| {
        let bound = |at: usize| usize::try_from(offsets[at]).unwrap_or(0);
        let range = bound(row)..bound(row + 1);
        let count = range.len() as u64;
        range.filter_map(|at| pairs.get(at)).fold(count, |sum, &pair| sum.wrapping_add(finished(pair)))
    });
}
