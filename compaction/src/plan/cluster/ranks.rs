//! From a value to its rank among the values of its column: quantiles of a sample.

use std::borrow::Borrow;

use arrow::array::{Array, AsArray};
use lake_format::Result;

use super::values::{Values, each_number, no_order};

/// Ranks of one column. Nulls have the lowest one of their own, where the sample has any.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranks {
    nulls: bool,
    starts: Starts,
    /// Rows of the sample, by rank.
    weights: Vec<u64>,
}

/// The least value of each rank, ascending.
#[derive(Clone, Debug, PartialEq)]
enum Starts {
    Numbers(Vec<i128>),
    Texts(Vec<Box<str>>),
}

impl Ranks {
    /// How many different values a sample has, null counting as one.
    pub fn distinct(values: &Values) -> usize {
        fn count<T: Ord>(mut values: Vec<T>) -> usize {
            values.sort_unstable();
            values.dedup();
            values.len()
        }
        match values {
            Values::Numbers(values) => count(values.iter().collect()),
            Values::Texts(values) => count(values.iter().collect()),
        }
    }

    /// At most `levels` ranks, each for about as many rows of the sample as any other. A value is never split between
    /// ranks; one that is more frequent than a rank's share has a rank of its own, and the rest is shared out anew.
    pub fn new(values: &Values, levels: usize) -> Self {
        let mut ranks = match values {
            Values::Numbers(values) => {
                let mut present: Vec<i128> = values.iter().copied().flatten().collect();
                present.sort_unstable();
                let nulls = present.len() < values.len() && levels > 1;
                let starts = Starts::Numbers(quantiles(&present, levels - usize::from(nulls)));
                Self { nulls, starts, weights: Vec::new() }
            }
            Values::Texts(values) => {
                let mut present: Vec<&str> = values.iter().flatten().map(AsRef::as_ref).collect();
                present.sort_unstable();
                let nulls = present.len() < values.len() && levels > 1;
                let starts = quantiles(&present, levels - usize::from(nulls));
                let starts = Starts::Texts(starts.into_iter().map(Into::into).collect());
                Self { nulls, starts, weights: Vec::new() }
            }
        };
        ranks.weights = vec![0; ranks.levels()];
        for row in 0..values.len() {
            let rank = ranks.of(values, row);
            ranks.weights[rank] += 1;
        }
        ranks
    }

    /// Rows of the sample in each rank.
    pub fn weights(&self) -> &[u64] {
        &self.weights
    }

    /// Number of ranks, at least one.
    pub fn levels(&self) -> usize {
        let values = match &self.starts {
            Starts::Numbers(starts) => starts.len(),
            Starts::Texts(starts) => starts.len(),
        };
        (values + usize::from(self.nulls)).max(1)
    }

    /// Calls `each` with the rank of every value of `array`, in order.
    ///
    /// # Errors
    /// `Internal` for an array of another kind than the sample's.
    pub fn each(&self, array: &dyn Array, mut each: impl FnMut(usize)) -> Result<()> {
        match &self.starts {
            Starts::Numbers(starts) => each_number(array, |value| each(self.rank(starts, value.as_ref()))),
            Starts::Texts(starts) => {
                let texts = array.as_string_opt::<i32>().ok_or_else(|| no_order(array.data_type()))?;
                texts.iter().for_each(|text| each(self.rank(starts, text)));
                Ok(())
            }
        }
    }

    /// The rank of one row of a sample; that of null for a row that is not there.
    pub fn of(&self, values: &Values, row: usize) -> usize {
        match (&self.starts, values) {
            (Starts::Numbers(starts), Values::Numbers(values)) => {
                self.rank(starts, values.get(row).and_then(Option::as_ref))
            }
            (Starts::Texts(starts), Values::Texts(values)) => {
                self.rank(starts, values.get(row).and_then(Option::as_deref))
            }
            _ => 0,
        }
    }

    fn rank<T: Borrow<Q>, Q: Ord + ?Sized>(&self, starts: &[T], value: Option<&Q>) -> usize {
        let Some(value) = value else { return 0 };
        let at = starts.partition_point(|start| start.borrow() <= value).saturating_sub(1);
        at + usize::from(self.nulls && !starts.is_empty())
    }
}

/// The least value of each of at most `levels` ranges over sorted values.
fn quantiles<T: Copy + Ord>(sorted: &[T], levels: usize) -> Vec<T> {
    let mut starts = Vec::new();
    // Ranges not closed yet, the one in progress included, and the rows in that one.
    let (mut open, mut taken) = (levels.max(1), 0);
    let runs: Vec<&[T]> = sorted.chunk_by(|a, b| a == b).collect();
    let mut rows = sorted.len();
    for (at, run) in runs.iter().enumerate() {
        let share = (taken + rows).div_ceil(open);
        let full = taken + run.len() / 2 >= share;
        let one_each = runs.len() - at < open;
        if starts.is_empty() {
            starts.push(run[0]);
        } else if open > 1 && (full || one_each) {
            open -= 1;
            taken = 0;
            starts.push(run[0]);
        }
        taken += run.len();
        rows -= run.len();
    }
    starts
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use proptest::prelude::*;

    use super::*;

    fn numbers(values: &[i128]) -> Values {
        Values::Numbers(values.iter().copied().map(Some).collect())
    }

    fn ranks_of(ranks: &Ranks, values: &[Option<i64>]) -> Vec<usize> {
        let mut found = Vec::new();
        ranks.each(&Int64Array::from(values.to_vec()), |rank| found.push(rank)).expect("numbers");
        found
    }

    #[test]
    fn few_values_have_a_rank_each_with_null_first() {
        let sample = Values::Numbers(vec![Some(30), None, Some(10), Some(10), Some(20), None]);
        assert_eq!(Ranks::distinct(&sample), 4);
        let ranks = Ranks::new(&sample, 4);
        assert_eq!(ranks.levels(), 4);
        assert_eq!(ranks_of(&ranks, &[None, Some(10), Some(20), Some(30)]), [0, 1, 2, 3]);
        assert_eq!(ranks_of(&ranks, &[Some(-5), Some(15), Some(99)]), [1, 1, 3], "values that the sample missed");
    }

    #[test]
    fn text_is_ranked_by_all_of_it() {
        let prefix = "https://example.com/a/very/long/shared/prefix/";
        let urls: Vec<String> = (0..8).map(|i| format!("{prefix}{i}")).collect();
        let sample = Values::Texts(urls.iter().map(|url| Some(url.as_str().into())).collect());
        let ranks = Ranks::new(&sample, 8);
        let mut found = Vec::new();
        let array = StringArray::from_iter_values(&urls);
        ranks.each(&array, |rank| found.push(rank)).expect("texts");
        assert_eq!(found, (0..8).collect::<Vec<_>>());
        assert_eq!((0..8).map(|row| ranks.of(&sample, row)).collect::<Vec<_>>(), found);
    }

    #[test]
    fn one_frequent_value_does_not_take_the_levels_of_the_others() {
        let mut values = vec![7_i128; 900_000];
        values.extend(1000..1100);
        let ranks = Ranks::new(&numbers(&values), 16);
        assert_eq!(ranks.levels(), 16);
        let of = |value| ranks_of(&ranks, &[Some(value)])[0];
        assert_eq!((of(7), of(1000), of(1099)), (0, 1, 15));
    }

    #[test]
    fn no_values_and_nothing_but_nulls_are_one_rank() {
        for sample in [numbers(&[]), Values::Numbers(vec![None, None]), Values::Texts(vec![None])] {
            assert_eq!(Ranks::new(&sample, 1).levels(), 1);
            assert_eq!(Ranks::new(&sample, 8).levels(), 1);
        }
        assert_eq!(ranks_of(&Ranks::new(&numbers(&[]), 8), &[None, Some(1)]), [0, 0]);
        assert_eq!(ranks_of(&Ranks::new(&Values::Numbers(vec![None]), 8), &[None, Some(1)]), [0, 0]);
        assert!(Ranks::new(&numbers(&[1]), 1).each(&StringArray::from(vec!["x"]), |_| ()).is_err());
    }

    proptest! {
        #[test]
        fn ranks_rise_with_values_and_share_the_rows(
            values in prop::collection::vec(prop_oneof![Just(0_i64), 0_i64..20, any::<i64>()], 1..300),
            levels in 1_usize..40,
        ) {
            let sample = numbers(&values.iter().map(|&v| i128::from(v)).collect::<Vec<_>>());
            let ranks = Ranks::new(&sample, levels);
            prop_assert!(ranks.levels() <= levels);
            let mut sorted = values.clone();
            sorted.sort_unstable();
            let found = ranks_of(&ranks, &sorted.iter().copied().map(Some).collect::<Vec<_>>());
            prop_assert!(found.is_sorted());
            prop_assert_eq!(*found.last().unwrap(), ranks.levels() - 1, "no rank is left unused");
            for pair in sorted.windows(2).zip(found.windows(2)).filter(|(values, _)| values[0] == values[1]) {
                prop_assert_eq!(pair.1[0], pair.1[1]);
            }
            prop_assert_eq!(ranks.levels(), Ranks::distinct(&sample).min(levels), "no level is wasted");
        }

        #[test]
        fn different_values_are_shared_out_evenly(count in 1_usize..2000, levels in 1_usize..64) {
            let values: Vec<i128> = (0..count as i128).collect();
            let ranks = Ranks::new(&numbers(&values), levels);
            let mut sizes = vec![0_usize; ranks.levels()];
            ranks_of(&ranks, &(0..count as i64).map(Some).collect::<Vec<_>>()).into_iter().for_each(|r| sizes[r] += 1);
            prop_assert_eq!(sizes.len(), levels.min(count));
            prop_assert!(*sizes.iter().max().unwrap() <= count.div_ceil(levels));
        }
    }
}
