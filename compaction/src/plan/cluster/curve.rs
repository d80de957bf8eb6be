//! The curve: each column's ranks as codes of bits, interleaved into one key, highest bits first.

/// Key columns that one key has bits for.
pub const MAX_COLUMNS: usize = 16;

const KEY_BITS: usize = 64;

/// Bits per column for columns of so many distinct values: what each can use, at most 16 (20 for one column alone),
/// and less where they do not all fit into one key. Columns that can use few leave theirs to the others.
pub fn bits_for(distinct: &[usize]) -> Vec<u8> {
    let most = if distinct.len() == 1 { 20 } else { 16 };
    let usable = |&count: &usize| count.saturating_sub(1).min(most) as u8;
    let mut bits: Vec<u8> = distinct.iter().map(usable).collect();
    while bits.iter().map(|&bits| usize::from(bits)).sum::<usize>() > KEY_BITS {
        match bits.iter_mut().max() {
            Some(widest) => *widest -= 1,
            None => break,
        }
    }
    bits
}

/// How many ranks a column with so many bits is cut into: a part of its bits is left for codes of unequal length.
pub fn levels_for(bits: u8) -> usize {
    1 << (bits - bits / 4).min(30)
}

/// Codes of `bits` bits for ranks of these weights, rising with the rank. Each bit from the highest on divides the
/// rows that are left, not the ranks, in halves as equal as the bits behind it allow: a value that half of the rows
/// have takes one bit, and the other bits tell the others apart. At most `2^bits` ranks have different codes.
pub fn codes(weights: &[u64], bits: u8) -> Vec<u64> {
    let mut sums = vec![0_u128];
    for &weight in weights {
        sums.push(sums[sums.len() - 1] + u128::from(weight));
    }
    let mut codes = vec![0; weights.len()];
    let mut ranges = vec![(0, weights.len(), bits)];
    while let Some((start, end, bits)) = ranges.pop() {
        if bits == 0 || end - start < 2 {
            continue;
        }
        let below = bits - 1;
        let room = 1_usize << below.min(62);
        // Twice the sum at the middle, so that nothing is rounded.
        let middle = sums[start] + sums[end];
        let past = sums[start..=end].partition_point(|&sum| 2 * sum < middle) + start;
        let uneven = |at: usize| (2 * sums[at]).abs_diff(middle);
        let even = if past > start && uneven(past - 1) <= uneven(past) { past - 1 } else { past };
        let least = end.saturating_sub(room).max(start + 1);
        let most = start.saturating_add(room).min(end - 1);
        let split = even.min(most).max(least.min(end - 1));
        codes[split..end].iter_mut().for_each(|code| *code |= 1 << below);
        ranges.push((start, split, below));
        ranges.push((split, end, below));
    }
    codes
}

/// One column's part of the key, for each of its ranks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spread(Vec<u64>);

impl Spread {
    /// The parts of columns with these bits and codes. Joined by `or` they are the key: the first bit of each column,
    /// then the second of each, and so on until the widest has no more.
    pub fn interleaved(bits: &[u8], codes: &[Vec<u64>]) -> Vec<Self> {
        let total: usize = bits.iter().map(|&bits| usize::from(bits)).sum::<usize>().min(KEY_BITS);
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); bits.len()];
        let mut next = total;
        for round in 0..bits.iter().copied().max().unwrap_or(0) {
            for (column, _) in bits.iter().enumerate().filter(|&(_, &bits)| round < bits) {
                next = next.saturating_sub(1);
                places[column].push(next);
            }
        }
        let columns = places.iter().zip(codes);
        columns.map(|(places, codes)| Self(codes.iter().map(|&code| spread(code, places)).collect())).collect()
    }

    /// The part of `rank`; that of the last rank beyond it.
    pub fn of(&self, rank: usize) -> u64 {
        self.0.get(rank).or(self.0.last()).copied().unwrap_or(0)
    }
}

/// The bits of a code moved to `places`, the highest bit to the first.
fn spread(code: u64, places: &[usize]) -> u64 {
    let bit = |(at, &place): (usize, &usize)| ((code >> (places.len() - 1 - at)) & 1) << place;
    places.iter().enumerate().map(bit).fold(0, |key, bit| key | bit)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    /// The key bit by bit, from the highest: the curve's definition.
    fn by_definition(bits: &[u8], values: &[u64]) -> u64 {
        let mut key = 0;
        for round in 0..bits.iter().copied().max().unwrap_or(0) {
            for (&bits, value) in bits.iter().zip(values) {
                if round < bits {
                    key = key << 1 | ((value >> (bits - 1 - round)) & 1);
                }
            }
        }
        key
    }

    fn full(bits: &[u8]) -> Vec<Spread> {
        Spread::interleaved(bits, &bits.iter().map(|&bits| (0..1 << bits).collect()).collect::<Vec<_>>())
    }

    #[test]
    fn a_small_curve_visits_every_cell_once_in_the_known_order() {
        let spreads = full(&[2, 2]);
        let mut cells: Vec<(u64, (usize, usize))> = (0..4)
            .flat_map(|x| (0..4).map(move |y| (x, y)))
            .map(|(x, y)| (spreads[0].of(x) | spreads[1].of(y), (x, y)))
            .collect();
        cells.sort_unstable();
        assert_eq!(cells.iter().map(|(key, _)| *key).collect::<Vec<_>>(), (0..16).collect::<Vec<_>>());
        let first: Vec<(usize, usize)> = cells.iter().take(8).map(|(_, cell)| *cell).collect();
        assert_eq!(first, [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (0, 3), (1, 2), (1, 3)]);
        assert_eq!(spreads[0].of(99), spreads[0].of(3));
    }

    #[test]
    fn columns_get_what_they_can_use_within_one_key() {
        assert_eq!(bits_for(&[]), Vec::<u8>::new());
        assert_eq!(bits_for(&[0, 1, 2, 3, 50]), [0, 0, 1, 2, 16]);
        assert_eq!(bits_for(&[usize::MAX]), [20]);
        assert_eq!(bits_for(&[1000; 4]), [16; 4]);
        assert_eq!(bits_for(&[1000; MAX_COLUMNS]), [4; MAX_COLUMNS]);
        let wide = bits_for(&[1000, 1000, 1000, 1000, 1000, 2]);
        assert_eq!((wide.iter().map(|&bits| u32::from(bits)).sum::<u32>(), wide[5]), (64, 1));
        assert_eq!([0, 1, 4, 16].map(levels_for), [1, 2, 8, 4096]);
    }

    #[test]
    fn equal_weights_divide_into_halves() {
        assert_eq!(codes(&[1; 8], 3), (0..8).collect::<Vec<_>>());
        assert_eq!(codes(&[5; 4], 4), [0b0000, 0b0100, 0b1000, 0b1100]);
        assert_eq!(codes(&[], 3), Vec::<u64>::new());
        assert_eq!(codes(&[9], 3), [0]);
        assert_eq!(codes(&[0, 0, 0], 2).len(), 3);
    }

    #[test]
    fn a_heavy_value_takes_one_bit_and_the_others_are_told_apart() {
        assert_eq!(codes(&[100, 10, 10, 10, 10], 4), [0, 0b1000, 0b1010, 0b1100, 0b1110]);
        assert_eq!(codes(&[1, 2, 100], 3), [0, 0b010, 0b100]);
        assert_eq!(codes(&[100, 1, 1, 1], 2), [0, 1, 2, 3], "no bits to spare: the ranks are halved");
    }

    proptest! {
        #[test]
        fn codes_rise_and_differ(weights in prop::collection::vec(0_u64..1000, 1..65), spare in 0_u8..4) {
            let bits = weights.len().next_power_of_two().trailing_zeros() as u8 + spare;
            let codes = codes(&weights, bits);
            prop_assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
            prop_assert!(codes.iter().all(|&code| code < 1 << bits));
        }

        #[test]
        fn interleaving_follows_the_definition_and_loses_nothing(bits in prop::collection::vec(0_u8..=5, 1..5)) {
            let spreads = full(&bits);
            let total: u32 = bits.iter().map(|&bits| u32::from(bits)).sum();
            let cells = 1_u64 << total.min(12);
            let mut seen = HashSet::new();
            for cell in 0..cells {
                let mut rest = cell;
                let values: Vec<u64> = bits
                    .iter()
                    .map(|&bits| {
                        let value = rest % (1 << bits);
                        rest >>= bits;
                        value
                    })
                    .collect();
                let key = spreads.iter().zip(&values).fold(0, |key, (spread, &value)| key | spread.of(value as usize));
                prop_assert_eq!(key, by_definition(&bits, &values));
                prop_assert!(key < 1 << total);
                prop_assert!(seen.insert(key), "two cells have one key");
            }
        }

        #[test]
        fn keys_rise_with_each_code(bits in prop::collection::vec(1_u8..=16, 1..4), seed in any::<u64>()) {
            let spreads = full(&bits);
            for (column, &bits) in bits.iter().enumerate() {
                let rank = (seed >> (8 * column)) as usize % ((1 << bits) - 1);
                prop_assert!(spreads[column].of(rank) < spreads[column].of(rank + 1));
            }
        }
    }
}
