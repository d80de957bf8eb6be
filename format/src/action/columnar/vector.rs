//! The deletion vectors of the files in a batch.

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{Array, StructArray};

use super::decode::missing;
use super::places::{long_at, text_at};
use crate::action::DeletionVectorDescriptor;
use crate::error::Result;

/// Positions in [`vector_fields`](super::fields::vector_fields).
const STORAGE_TYPE: usize = 0;
const PATH_OR_INLINE: usize = 1;
const OFFSET: usize = 2;
const SIZE_IN_BYTES: usize = 3;
const CARDINALITY: usize = 4;

fn text(vectors: &StructArray, column: usize, row: usize) -> Option<&str> {
    text_at(vectors.column(column).as_string_opt::<i32>()?, row)
}

fn int(vectors: &StructArray, column: usize, row: usize) -> Option<i32> {
    let array = vectors.column(column).as_primitive_opt::<Int32Type>()?;
    array.is_valid(row).then(|| array.value(row))
}

fn long(vectors: &StructArray, column: usize, row: usize) -> Option<i64> {
    long_at(vectors.column(column).as_primitive_opt::<Int64Type>()?, row)
}

/// A null struct may hide values, and writers without deletion vectors may leave a struct of nulls.
fn storage_type(vectors: &StructArray, row: usize) -> Option<&str> {
    text(vectors, STORAGE_TYPE, row).filter(|_| vectors.is_valid(row))
}

/// Whether every vector is whole.
///
/// # Errors
/// `Corrupt` naming what one lacks.
pub(super) fn check(vectors: &StructArray) -> Result<()> {
    let lacks = |part: &str| Err(missing(&format!("deletionVector.{part}")));
    for row in (0..vectors.len()).filter(|row| storage_type(vectors, *row).is_some()) {
        if text(vectors, PATH_OR_INLINE, row).is_none() {
            return lacks("pathOrInlineDv");
        }
        if int(vectors, SIZE_IN_BYTES, row).is_none() {
            return lacks("sizeInBytes");
        }
        if long(vectors, CARDINALITY, row).is_none() {
            return lacks("cardinality");
        }
    }
    Ok(())
}

/// The vector of a file.
pub(super) fn at(vectors: &StructArray, row: usize) -> Option<DeletionVectorDescriptor> {
    Some(DeletionVectorDescriptor {
        storage_type: storage_type(vectors, row)?.to_owned(),
        path_or_inline_dv: text(vectors, PATH_OR_INLINE, row)?.to_owned(),
        offset: int(vectors, OFFSET, row),
        size_in_bytes: int(vectors, SIZE_IN_BYTES, row)?,
        cardinality: long(vectors, CARDINALITY, row)?,
    })
}
