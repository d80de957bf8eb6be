//! Where the curve is cut into files and buckets: near equal shares of rows, files at the corners of cells.

use std::f64::consts::SQRT_2;

/// How rows lie on the curve, known from a sample of their keys.
#[derive(Clone, Debug, Default)]
pub struct KeySpace {
    keys: Vec<u64>,
    rows: u64,
}

impl KeySpace {
    /// The space of `rows` rows that have keys like these, which are ascending.
    pub fn new(keys: Vec<u64>, rows: u64) -> Self {
        Self { keys, rows }
    }

    /// Rows in all.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The key at which to end a range that begins at `from` and should hold about `wanted` rows; `None` when the rest
    /// belongs together.
    ///
    /// Ranges are whole cells of the curve, so that their bounds are narrow in every column. A cell has about half the
    /// rows of the next larger one: the largest that has no more than `wanted` times the root of two is taken. Where
    /// that is less than half of `wanted`, the cells behind it join until it is not. Rows of one key stay together,
    /// however many they are.
    pub fn cut(&self, from: u64, wanted: u64) -> Option<u64> {
        // In keys of the sample.
        let share = wanted as f64 * self.keys.len() as f64 / self.rows.max(1) as f64;
        let (most, enough) = (share * SQRT_2, share / 2.0);
        let start = self.keys.partition_point(|&key| key < from);
        let (mut at, mut end) = (start, from);
        loop {
            if (self.keys.len() - start) as f64 <= most {
                return None;
            }
            let cell = self.largest_cell(end, |keys| (at - start + keys) as f64 <= most);
            match cell {
                Some((cell_end, keys)) => {
                    at += keys;
                    end = cell_end?;
                }
                // Not even one key fits.
                None if at == start => {
                    let key = *self.keys.get(at)?;
                    at = self.keys.partition_point(|&other| other <= key);
                    end = key.checked_add(1)?;
                    break;
                }
                None => break,
            }
            if (at - start) as f64 >= enough {
                break;
            }
        }
        // No crumb at the end.
        ((self.keys.len() - at) as f64 > share / 4.0).then_some(end)
    }

    /// The largest cell that begins at `from` and whose number of keys is fine: its end, `None` for that of the curve,
    /// and that number.
    fn largest_cell(&self, from: u64, is_fine: impl Fn(usize) -> bool) -> Option<(Option<u64>, usize)> {
        let start = self.keys.partition_point(|&key| key < from);
        let largest = if from == 0 { 63 } else { from.trailing_zeros() };
        (0..=largest).rev().find_map(|bits| {
            let end = from.checked_add(1 << bits);
            let past = end.map_or(self.keys.len(), |end| self.keys.partition_point(|&key| key < end));
            is_fine(past - start).then_some((end, past - start))
        })
    }

    /// Keys that divide the rows into about `parts` equal ranges, ascending, each above the least key. Frequent keys
    /// can make them fewer.
    pub fn splits(&self, parts: usize) -> Vec<u64> {
        let Some(&least) = self.keys.first() else { return Vec::new() };
        let at = |part: usize| self.keys[part * self.keys.len() / parts];
        let mut splits: Vec<u64> = (1..parts).map(at).filter(|&key| key > least).collect();
        splits.dedup();
        splits
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cuts(space: &KeySpace, wanted: u64) -> Vec<u64> {
        std::iter::successors(space.cut(0, wanted), |&from| space.cut(from, wanted)).collect()
    }

    #[test]
    fn ranges_are_whole_cells() {
        let space = KeySpace::new((0..1024).collect(), 102_400);
        for wanted in [19_000, 25_600, 35_000] {
            assert_eq!(cuts(&space, wanted), [256, 512, 768], "{wanted}");
        }
        assert_eq!(cuts(&space, 40_000), [512]);
        assert!(cuts(&space, 80_000).is_empty());
        assert_eq!(KeySpace::default().cut(0, 10), None);
        let uneven = KeySpace::new((0..600).collect(), 600);
        assert_eq!(cuts(&uneven, 256), [256, 512].split_at(1).0, "the crumb behind 512 stays with the range before");
    }

    #[test]
    fn small_cells_join_and_one_key_stays_together() {
        let mut keys: Vec<u64> = (0..10).map(|i| i * 1000).collect();
        keys.extend(vec![9001; 100]);
        keys.extend(20_000..20_050);
        let rows = keys.len() as u64;
        let space = KeySpace::new(keys, rows);
        assert_eq!(cuts(&space, 20), [9001, 9002, 20_016, 20_032]);
        let same = KeySpace::new(vec![5; 100], 100);
        assert_eq!(cuts(&same, 10).len(), 0, "one key is one range");
        assert_eq!(cuts(&KeySpace::new(vec![u64::MAX; 9], 9), 2).len(), 0);
        assert!(same.splits(4).is_empty());
        let mut keys = vec![5; 90];
        keys.extend([6; 10]);
        let space = KeySpace::new(keys, 100);
        assert_eq!(cuts(&space, 30), [6]);
        assert!(space.splits(4).is_empty(), "all quarters begin with the same key");
        assert_eq!(space.splits(20), [6]);
    }

    #[test]
    fn splits_divide_evenly() {
        let space = KeySpace::new((0..100).map(|key| key * 10).collect(), 1_000_000);
        assert_eq!(space.splits(4), [250, 500, 750]);
        assert_eq!((space.splits(1), space.rows()), (vec![], 1_000_000));
    }

    proptest! {
        #[test]
        fn cutting_ends_with_ranges_of_about_the_wanted_size(
            mut keys in prop::collection::vec(prop_oneof![0_u64..5000, any::<u64>(), Just(u64::MAX)], 1..500),
            wanted in 1_u64..300,
        ) {
            keys.sort_unstable();
            let space = KeySpace::new(keys.clone(), keys.len() as u64);
            let cuts = cuts(&space, wanted);
            prop_assert!(cuts.is_sorted_by(|a, b| a < b));
            let mut start = 0;
            let ends = cuts.iter().map(|&cut| keys.partition_point(|&key| key < cut)).chain([keys.len()]);
            for end in ends {
                let range = &keys[start..end];
                prop_assert!(!range.is_empty());
                let heaviest = range.chunk_by(|a, b| a == b).map(<[u64]>::len).max().unwrap();
                let most = 1.7 * wanted as f64 + heaviest as f64;
                prop_assert!(range.len() as f64 <= most, "{} keys in a range of {wanted}", range.len());
                start = end;
            }
        }
    }
}
