//! Whether two tables hold the same rows: a number that depends on every value and not on the order of the rows.

use std::fmt::{self, Write};

use arrow::array::Array;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// Rows counted and summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// Number of rows.
    pub rows: u64,
    sum: u64,
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.sum)
    }
}

impl Checksum {
    /// Adds the rows of `batch`.
    ///
    /// # Errors
    /// For a type that has no text.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let options = FormatOptions::new();
        let columns: Vec<(&dyn Array, ArrayFormatter<'_>)> = batch
            .columns()
            .iter()
            .map(|column| Ok((column.as_ref(), ArrayFormatter::try_new(column.as_ref(), &options)?)))
            .collect::<Result<_, ArrowError>>()?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            text.clear();
            for (column, formatter) in &columns {
                // Null and empty text differ, and so do ("a", "b") and ("ab", "").
                text.push(if column.is_null(row) { '\u{0}' } else { '\u{1}' });
                if column.is_valid(row) {
                    write!(text, "{}", formatter.value(row)).map_err(|_| unprintable())?;
                }
            }
            self.rows += 1;
            self.sum = self.sum.wrapping_add(hash(text.as_bytes()));
        }
        Ok(())
    }
}

fn unprintable() -> ArrowError {
    ArrowError::ComputeError("a value can't be written as text".to_owned())
}

/// FNV-1a, finished so that sums of close texts are not close.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    super::generate::mix(fnv)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    fn of(rows: &[[Option<&str>; 2]]) -> Checksum {
        let column = |at: usize| -> ArrayRef { Arc::new(rows.iter().map(|row| row[at]).collect::<StringArray>()) };
        let batch = RecordBatch::try_from_iter_with_nullable([("a", column(0), true), ("b", column(1), true)]);
        let mut sum = Checksum::default();
        sum.add(&batch.expect("batch")).expect("text");
        sum
    }

    #[test]
    fn order_does_not_matter_and_values_do() {
        let (x, y) = ([Some("1"), Some("x")], [Some("2"), None]);
        assert_eq!(of(&[x, y]), of(&[y, x]));
        assert_ne!(of(&[x, y]), of(&[x, x]));
        assert_ne!(of(&[[Some("a"), Some("b")]]), of(&[[Some("ab"), Some("")]]));
        assert_ne!(of(&[[None, Some("")]]), of(&[[Some(""), None]]));
        assert_eq!(of(&[x, y]).rows, 2);
    }

    #[test]
    fn batches_add_up() {
        let (x, y) = ([Some("1"), Some("x")], [Some("2"), None]);
        let (one, two) = (of(&[x]), of(&[y]));
        assert_eq!(of(&[x, y]).sum, one.sum.wrapping_add(two.sum));
        assert_eq!(of(&[]).to_string(), "0000000000000000");
    }
}
