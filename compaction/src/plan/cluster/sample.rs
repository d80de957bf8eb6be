//! A fair sample of rows in bounded memory, whatever their number. The same rows give the same sample.

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use lake_format::{Error, Result};

use super::cuts::KeySpace;
use super::values::Values;

/// Key values of some rows of a table: of all while they are few, of a random part once they are many.
#[derive(Clone, Debug)]
pub struct Sample {
    columns: Vec<Values>,
    /// One draw per sampled row: the row is in while its draw has `halvings` zero bits on top.
    draws: Vec<u64>,
    halvings: u32,
    seen: u64,
    bytes: usize,
    max_rows: usize,
    max_bytes: usize,
}

impl Sample {
    /// An empty sample of the columns of `schema`. Above either limit every second row is dropped.
    ///
    /// # Errors
    /// `Internal` for a column without an order.
    pub fn new(schema: &SchemaRef, max_rows: usize, max_bytes: usize) -> Result<Self> {
        let columns = schema.fields().iter().map(|field| Values::none(field.data_type())).collect::<Result<_>>()?;
        Ok(Self { columns, draws: Vec::new(), halvings: 0, seen: 0, bytes: 0, max_rows: max_rows.max(1), max_bytes })
    }

    /// Takes rows into account.
    ///
    /// # Errors
    /// `Internal` for other columns than the sample's.
    pub fn add(&mut self, columns: &[ArrayRef], rows: usize) -> Result<()> {
        let fits = columns.len() == self.columns.len() && columns.iter().all(|column| column.len() == rows);
        if !fits {
            return Err(Error::internal("a sample is given other columns than it has"));
        }
        let mut chosen = Vec::new();
        for row in 0..rows {
            let draw = draw(self.seen + row as u64);
            if self.is_in(draw) {
                chosen.push(row);
                self.draws.push(draw);
            }
        }
        self.seen += rows as u64;
        for (values, array) in self.columns.iter_mut().zip(columns) {
            self.bytes += values.extend(array, &chosen)?;
        }
        while self.draws.len() > 1 && (self.draws.len() > self.max_rows || self.bytes > self.max_bytes) {
            self.halve();
        }
        Ok(())
    }

    fn is_in(&self, draw: u64) -> bool {
        draw.leading_zeros() >= self.halvings
    }

    fn halve(&mut self) {
        self.halvings += 1;
        let keep: Vec<bool> = self.draws.iter().map(|&draw| self.is_in(draw)).collect();
        self.draws.retain(|draw| draw.leading_zeros() >= self.halvings);
        self.bytes = self.columns.iter_mut().map(|values| values.retain(&keep)).sum();
    }

    /// The sampled values, by column.
    pub fn columns(&self) -> &[Values] {
        &self.columns
    }

    /// Rows in the sample.
    pub fn rows(&self) -> usize {
        self.draws.len()
    }

    /// Rows that were taken into account.
    pub fn rows_seen(&self) -> u64 {
        self.seen
    }
}

/// Keys of some rows: of all while they are few, of a random part once they are many. Knows the least and the greatest
/// of all.
#[derive(Clone, Debug, Default)]
pub struct KeySample {
    keys: Vec<(u64, u64)>,
    halvings: u32,
    seen: u64,
    range: Option<(u64, u64)>,
}

impl KeySample {
    const MOST: usize = 4096;

    /// Takes a key into account.
    pub fn add(&mut self, key: u64) {
        let (least, most) = self.range.unwrap_or((key, key));
        self.range = Some((least.min(key), most.max(key)));
        let draw = draw(self.seen);
        self.seen += 1;
        if draw.leading_zeros() < self.halvings {
            return;
        }
        self.keys.push((draw, key));
        while self.keys.len() > Self::MOST {
            self.halvings += 1;
            self.keys.retain(|(draw, _)| draw.leading_zeros() >= self.halvings);
        }
    }

    /// Least and greatest key; `None` for no keys.
    pub fn range(&self) -> Option<(u64, u64)> {
        self.range
    }

    /// How all the keys lie, as far as the sample shows.
    pub fn space(&self) -> KeySpace {
        let mut keys: Vec<u64> = self.keys.iter().map(|(_, key)| *key).collect();
        keys.sort_unstable();
        KeySpace::new(keys, self.seen)
    }
}

/// A draw for row number `row`, the same at every run: the output function of the SplitMix64 generator.
pub(super) fn draw(row: u64) -> u64 {
    let mut z = row.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    fn sample(max_rows: usize, max_bytes: usize) -> Sample {
        let fields = vec![Field::new("a", DataType::Int64, true), Field::new("b", DataType::Utf8, true)];
        Sample::new(&Arc::new(Schema::new(fields)), max_rows, max_bytes).expect("sample")
    }

    fn rows(from: i64, to: i64) -> Vec<ArrayRef> {
        let texts = (from..to).map(|i| Some(format!("row {i}")));
        vec![Arc::new(Int64Array::from_iter_values(from..to)), Arc::new(texts.collect::<StringArray>())]
    }

    #[test]
    fn few_rows_are_all_there() {
        let mut sample = sample(1000, 1 << 20);
        sample.add(&rows(0, 400), 400).expect("rows");
        sample.add(&rows(400, 1000), 600).expect("rows");
        assert_eq!((sample.rows(), sample.rows_seen()), (1000, 1000));
        assert_eq!(sample.columns()[0], Values::Numbers((0..1000).map(Some).collect()));
    }

    #[test]
    fn of_many_rows_a_fair_part_is_there_with_columns_in_step() {
        let mut sample = sample(1000, 1 << 20);
        for start in (0..100_000).step_by(8192) {
            let end = (start + 8192).min(100_000);
            sample.add(&rows(start, end), (end - start) as usize).expect("rows");
        }
        assert!((500..=1000).contains(&sample.rows()), "{}", sample.rows());
        let [Values::Numbers(numbers), Values::Texts(texts)] = sample.columns() else { panic!("kinds") };
        for (number, text) in numbers.iter().zip(texts) {
            assert_eq!(text.as_deref(), Some(format!("row {}", number.expect("number")).as_str()));
        }
        let below = numbers.iter().flatten().filter(|&&n| n < 50_000).count() * 100 / numbers.len();
        assert!((42..58).contains(&below), "{below}% of the sample is from the first half");
    }

    #[test]
    fn keys_are_sampled_and_their_range_is_exact() {
        let mut sample = KeySample::default();
        assert_eq!((sample.range(), sample.space().rows()), (None, 0));
        (0..100_000).rev().for_each(|key| sample.add(key));
        assert_eq!((sample.range(), sample.space().rows()), (Some((0, 99_999)), 100_000));
        let halves = sample.space().splits(2);
        assert!(matches!(halves.as_slice(), [half] if (45_000..55_000).contains(half)), "{halves:?}");
    }

    #[test]
    fn long_texts_count_by_their_bytes() {
        let mut sample = sample(1_000_000, 100_000);
        let long = StringArray::from_iter_values((0..1000).map(|i| format!("{i}{}", "x".repeat(1000))));
        sample.add(&[Arc::new(Int64Array::from_iter_values(0..1000)), Arc::new(long)], 1000).expect("rows");
        assert!((20..=100).contains(&sample.rows()), "{}", sample.rows());
        assert!(sample.add(&rows(0, 3)[..1], 3).is_err());
    }
}
