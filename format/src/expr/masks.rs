//! Two marks for each of many rows or files, joined as three-valued logic asks.

use arrow_buffer::BooleanBuffer;

use super::fold::Ternary;

/// Where a condition is true, or may be, and where it is false, or may be.
pub(super) struct Masks {
    pub(super) yes: BooleanBuffer,
    pub(super) no: BooleanBuffer,
}

impl Masks {
    /// The same everywhere.
    pub(super) fn constant(answer: bool, rows: usize) -> Self {
        let (set, unset) = (BooleanBuffer::new_set(rows), BooleanBuffer::new_unset(rows));
        if answer { Self { yes: set, no: unset } } else { Self { yes: unset, no: set } }
    }

    /// Neither true nor false anywhere.
    pub(super) fn neither(rows: usize) -> Self {
        Self { yes: BooleanBuffer::new_unset(rows), no: BooleanBuffer::new_unset(rows) }
    }
}

impl Ternary for Masks {
    fn not(self) -> Self {
        Self { yes: self.no, no: self.yes }
    }

    fn and(self, other: Self) -> Self {
        Self { yes: &self.yes & &other.yes, no: &self.no | &other.no }
    }

    fn or(self, other: Self) -> Self {
        Self { yes: &self.yes | &other.yes, no: &self.no & &other.no }
    }
}
