//! A set of row positions, compressed, and what is asked of it.

use std::ops::Range;

use super::container::{Container, SPAN};

/// Positions of deleted rows in a data file, the first row being 0. Takes about as much memory as its serialised form.
#[derive(Clone, Debug, Default)]
pub struct DeletionVector {
    /// By the upper bits of the rows, ascending.
    pub(super) containers: Vec<(u64, Container)>,
    pub(super) len: u64,
}

impl DeletionVector {
    /// The vector of `ranges`, in any order, overlapping or not.
    pub fn from_ranges(ranges: impl IntoIterator<Item = Range<u64>>) -> Self {
        let mut ranges: Vec<Range<u64>> = ranges.into_iter().filter(|range| !range.is_empty()).collect();
        ranges.sort_unstable_by_key(|range| range.start);
        let mut builder = Builder::default();
        for range in ranges {
            builder.push(range);
        }
        builder.finish()
    }

    /// Number of deleted rows.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no row is deleted.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `row` is deleted.
    pub fn contains(&self, row: u64) -> bool {
        let key = row / u64::from(SPAN);
        let found = self.containers.binary_search_by_key(&key, |(key, _)| *key);
        found.is_ok_and(|at| self.containers[at].1.contains((row % u64::from(SPAN)) as u16))
    }

    /// The last deleted row.
    pub fn last(&self) -> Option<u64> {
        let (key, container) = self.containers.last()?;
        Some(key * u64::from(SPAN) + u64::from(container.last()?))
    }

    /// The deleted rows as ranges, ascending. Neighbours may touch.
    pub fn ranges(&self) -> Ranges<'_> {
        self.ranges_from(0)
    }

    /// As [`DeletionVector::ranges`], of the rows from `row` on.
    pub fn ranges_from(&self, row: u64) -> Ranges<'_> {
        let key = row / u64::from(SPAN);
        let at = self.containers.partition_point(|(other, _)| *other < key);
        let starts_inside = self.containers.get(at).is_some_and(|(other, _)| *other == key);
        let from = if starts_inside { (row % u64::from(SPAN)) as u32 } else { 0 };
        Ranges { rest: &self.containers[at..], from }
    }

    /// The rows deleted by one of the two.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let (mut a, mut b) = (self.ranges().peekable(), other.ranges().peekable());
        let mut builder = Builder::default();
        loop {
            let from_a = match (a.peek(), b.peek()) {
                (Some(a), Some(b)) => a.start <= b.start,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (None, None) => return builder.finish(),
            };
            if let Some(range) = if from_a { a.next() } else { b.next() } {
                builder.push(range);
            }
        }
    }
}

impl FromIterator<u64> for DeletionVector {
    fn from_iter<T: IntoIterator<Item = u64>>(rows: T) -> Self {
        // The last row of all has no range: files do not come near it.
        Self::from_ranges(rows.into_iter().filter_map(|row| Some(row..row.checked_add(1)?)))
    }
}

impl PartialEq for DeletionVector {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.ranges().eq(other.ranges())
    }
}

/// Ranges of deleted rows, each within one container.
#[derive(Clone, Debug)]
pub struct Ranges<'a> {
    rest: &'a [(u64, Container)],
    from: u32,
}

impl Iterator for Ranges<'_> {
    type Item = Range<u64>;

    fn next(&mut self) -> Option<Range<u64>> {
        loop {
            let ((key, container), rest) = self.rest.split_first()?;
            if let Some((first, behind)) = container.run_from(self.from) {
                self.from = behind;
                let base = key * u64::from(SPAN);
                return Some(base + u64::from(first)..base + u64::from(behind));
            }
            (self.rest, self.from) = (rest, 0);
        }
    }
}

/// Takes ranges by their starts, ascending; they may overlap.
#[derive(Default)]
struct Builder {
    done: DeletionVector,
    key: u64,
    runs: Vec<(u16, u16)>,
    next: u64,
}

impl Builder {
    fn push(&mut self, range: Range<u64>) {
        let (mut start, end) = (range.start.max(self.next), range.end);
        while start < end {
            let key = start / u64::from(SPAN);
            if key != self.key {
                self.close();
                self.key = key;
            }
            let last = end.min((key + 1).saturating_mul(SPAN.into())) - 1;
            let (first, last_low) = ((start % u64::from(SPAN)) as u16, (last % u64::from(SPAN)) as u16);
            match self.runs.last_mut() {
                Some((_, before)) if first > 0 && *before == first - 1 => *before = last_low,
                _ => self.runs.push((first, last_low)),
            }
            start = last + 1;
        }
        self.next = self.next.max(end);
    }

    fn close(&mut self) {
        if !self.runs.is_empty() {
            let container = Container::of_runs(&self.runs);
            self.done.len += container.len();
            self.done.containers.push((self.key, container));
            self.runs.clear();
        }
    }

    fn finish(mut self) -> DeletionVector {
        self.close();
        self.done
    }
}
