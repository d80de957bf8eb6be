//! Where a row goes on the Z-order curve: one number per row, near for rows that are near in every key column.

mod curve;
mod cuts;
mod ranks;
mod sample;
mod values;

use arrow::array::ArrayRef;
use lake_format::{Error, Result};

pub use curve::{MAX_COLUMNS, Spread, bits_for, codes, levels_for};
pub use cuts::KeySpace;
pub use ranks::Ranks;
pub use sample::{KeySample, Sample};
pub use values::{Values, is_orderable};

/// Turns rows into keys. Learnt from a sample, applied to every row.
#[derive(Clone, Debug)]
pub struct KeyMaker {
    columns: Vec<(Ranks, Spread)>,
}

impl KeyMaker {
    /// Learns ranks and their codes from a sample. Every column gets the bits that it can use, as far as they go round.
    pub fn learn(sample: &Sample) -> Self {
        let distinct: Vec<usize> = sample.columns().iter().map(Ranks::distinct).collect();
        let bits = bits_for(&distinct);
        let columns = sample.columns().iter().zip(&bits);
        let ranks: Vec<Ranks> = columns.map(|(values, &bits)| Ranks::new(values, levels_for(bits))).collect();
        let codes = ranks.iter().zip(&bits).map(|(ranks, &bits)| codes(ranks.weights(), bits));
        let spreads = Spread::interleaved(&bits, &codes.collect::<Vec<_>>());
        Self { columns: ranks.into_iter().zip(spreads).collect() }
    }

    /// The keys of rows. `columns` are the key columns, as the sample had them.
    ///
    /// # Errors
    /// `Internal` for columns other than the sample's.
    pub fn keys(&self, columns: &[ArrayRef]) -> Result<Vec<u64>> {
        if columns.len() != self.columns.len() {
            return Err(Error::internal("keys are asked of other columns than were sampled"));
        }
        let mut keys = vec![0; columns.first().map_or(0, |column| column.len())];
        for (array, (ranks, spread)) in columns.iter().zip(&self.columns) {
            let mut row = 0;
            ranks.each(array, |rank| {
                if let Some(key) = keys.get_mut(row) {
                    *key |= spread.of(rank);
                }
                row += 1;
            })?;
        }
        Ok(keys)
    }

    /// The sample's own keys, ascending.
    pub fn sample_keys(&self, sample: &Sample) -> Vec<u64> {
        let mut keys = vec![0; sample.rows()];
        for (values, (ranks, spread)) in sample.columns().iter().zip(&self.columns) {
            for (row, key) in keys.iter_mut().enumerate() {
                *key |= spread.of(ranks.of(values, row));
            }
        }
        keys.sort_unstable();
        keys
    }
}

#[cfg(test)]
mod tests;
