//! Up to 65,536 neighbouring rows of a bitmap, in the smallest of three forms.

/// Rows that one container spans.
pub(super) const SPAN: u32 = 1 << 16;
/// Words of a container of bits.
pub(super) const WORDS: usize = SPAN as usize / 64;
/// An array of more values is larger than bits.
pub(super) const ARRAY_MOST: usize = 4096;

/// Values of a container, by the lower 16 bits of their rows. Never empty.
#[derive(Clone, Debug)]
pub(super) enum Container {
    /// The values, ascending.
    Array(Box<[u16]>),
    /// One bit each.
    Bits(Box<[u64; WORDS]>),
    /// First and last value of each run, ascending, with a gap between any two.
    Runs(Box<[(u16, u16)]>),
}

impl Container {
    /// The smallest form of `runs`, which ascend with a gap between any two.
    pub(super) fn of_runs(runs: &[(u16, u16)]) -> Self {
        let count: usize = runs.iter().map(|&(first, last)| usize::from(last - first) + 1).sum();
        let as_runs = 2 + 4 * runs.len();
        let as_other = if count <= ARRAY_MOST { 2 * count } else { WORDS * 8 };
        if as_runs < as_other {
            return Self::Runs(runs.into());
        }
        let values = runs.iter().flat_map(|&(first, last)| first..=last);
        if count <= ARRAY_MOST {
            return Self::Array(values.collect());
        }
        let mut words = Box::new([0; WORDS]);
        for value in values {
            words[usize::from(value) / 64] |= 1 << (value % 64);
        }
        Self::Bits(words)
    }

    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Array(values) => values.len() as u64,
            Self::Bits(words) => words.iter().map(|word| u64::from(word.count_ones())).sum(),
            Self::Runs(runs) => runs.iter().map(|&(first, last)| u64::from(last - first) + 1).sum(),
        }
    }

    pub(super) fn contains(&self, value: u16) -> bool {
        match self {
            Self::Array(values) => values.binary_search(&value).is_ok(),
            Self::Bits(words) => words[usize::from(value) / 64] & (1 << (value % 64)) != 0,
            Self::Runs(runs) => {
                let behind = runs.partition_point(|&(first, _)| first <= value);
                behind > 0 && runs[behind - 1].1 >= value
            }
        }
    }

    pub(super) fn last(&self) -> Option<u16> {
        match self {
            Self::Array(values) => values.last().copied(),
            Self::Bits(words) => {
                let (at, word) = words.iter().enumerate().rev().find(|(_, word)| **word != 0)?;
                u16::try_from(at * 64 + 63 - word.leading_zeros() as usize).ok()
            }
            Self::Runs(runs) => runs.last().map(|&(_, last)| last),
        }
    }

    /// The first run of values at or behind `from`: its first value, at least `from`, and the one behind its last.
    pub(super) fn run_from(&self, from: u32) -> Option<(u32, u32)> {
        match self {
            Self::Array(values) => {
                let start = values.partition_point(|&value| u32::from(value) < from);
                let first = u32::from(*values.get(start)?);
                let rest = values[start..].iter().zip(first..);
                let length = rest.take_while(|&(&value, expected)| u32::from(value) == expected).count();
                Some((first, first + u32::try_from(length).unwrap_or(SPAN)))
            }
            Self::Bits(words) => {
                let first = next_bit(words, from, 0)?;
                Some((first, next_bit(words, first, u64::MAX).unwrap_or(SPAN)))
            }
            Self::Runs(runs) => {
                let at = runs.partition_point(|&(_, last)| u32::from(last) < from);
                let &(first, last) = runs.get(at)?;
                Some((u32::from(first).max(from), u32::from(last) + 1))
            }
        }
    }
}

/// Position at or behind `from` of the first bit that differs from those of `other`.
fn next_bit(words: &[u64; WORDS], from: u32, other: u64) -> Option<u32> {
    let (mut at, mut keep) = (from / 64, u64::MAX << (from % 64));
    while let Some(word) = words.get(at as usize) {
        let found = (word ^ other) & keep;
        if found != 0 {
            return Some(at * 64 + found.trailing_zeros());
        }
        (at, keep) = (at + 1, u64::MAX);
    }
    None
}
