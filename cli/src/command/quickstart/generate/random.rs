//! Values that look random and are the same on every machine: a hash of what they are for.

/// Values for the rows of one table. Any row's values can be had without those before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    seed: u64,
}

impl Values {
    /// Values for the table numbered `table`.
    pub(super) const fn of(table: u64) -> Self {
        Self { seed: mix(0x6c61_6b65 ^ (table << 40)) }
    }

    /// A value below `bound` for `field` of `row`; 0 when `bound` is 0.
    pub(super) const fn below(self, row: u64, field: u64, bound: u64) -> u64 {
        let value = mix(mix(self.seed ^ row).wrapping_add(field));
        if bound == 0 { 0 } else { value % bound }
    }

    /// One of `words`, which is not empty.
    pub(super) fn pick(self, row: u64, field: u64, words: &[&'static str]) -> &'static str {
        let at = self.below(row, field, words.len() as u64);
        usize::try_from(at).ok().and_then(|at| words.get(at)).copied().unwrap_or_default()
    }
}

/// The finaliser of SplitMix64: every bit of the answer depends on every bit of `x`.
pub const fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_splitmix64() {
        // First outputs of the published generator for seed 0: its state is 0, then one golden step.
        assert_eq!(mix(0), 0xe220_a839_7b1d_cdaf);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn values_spread() {
        let values = Values::of(1);
        let mut counts = [0u32; 10];
        for row in 0..10_000 {
            counts[usize::try_from(values.below(row, 3, 10)).expect("small")] += 1;
        }
        assert!(counts.iter().all(|&count| (850..1150).contains(&count)), "{counts:?}");
        assert_eq!(values.below(1, 1, 0), 0);
    }
}
