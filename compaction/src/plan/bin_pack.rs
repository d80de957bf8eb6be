//! Which small files become one file.

use super::FileGroup;
use super::candidates::size_of;
use crate::policy::FileSizes;

/// The merges worth doing: per partition, the files below the minimum, packed into bins of at most the target size.
/// Bins of one file are left out, and so a table packed once is not packed again: two bins of a partition never fit
/// into one.
pub fn bin_pack(groups: &[FileGroup], sizes: FileSizes) -> Vec<FileGroup> {
    let mut bins = Vec::new();
    for group in groups {
        let small: Vec<_> = group.files.iter().filter(|add| size_of(add) < sizes.min_bytes).collect();
        let weights: Vec<u64> = small.iter().map(|add| size_of(add)).collect();
        for bin in first_fit_decreasing(&weights, sizes.target_bytes) {
            if let [_, _, ..] = bin.as_slice() {
                let files = bin.into_iter().map(|at| small[at].clone()).collect();
                bins.push(FileGroup { partition: group.partition.clone(), files });
            }
        }
    }
    bins
}

/// Packs things of these sizes into bins of `capacity`: the largest first, each into the first bin with room. Bins
/// hold positions, ascending. A thing above the capacity is a bin of its own.
pub fn first_fit_decreasing(sizes: &[u64], capacity: u64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&at| (std::cmp::Reverse(sizes[at]), at));
    let mut rooms = Rooms::new(sizes.len(), capacity);
    let mut bins: Vec<Vec<usize>> = Vec::new();
    let mut oversized = Vec::new();
    for at in order {
        match rooms.take(sizes[at]) {
            Some(bin) if bin < bins.len() => bins[bin].push(at),
            Some(_) => bins.push(vec![at]),
            None => oversized.push(vec![at]),
        }
    }
    bins.iter_mut().for_each(|bin| bin.sort_unstable());
    oversized.extend(bins);
    oversized
}

/// Free room of bins, opened or not, as a tree of maxima: the first bin with room is found in logarithmic time.
struct Rooms {
    tree: Vec<u64>,
    leaves: usize,
}

impl Rooms {
    fn new(bins: usize, capacity: u64) -> Self {
        let leaves = bins.max(1).next_power_of_two();
        Self { tree: vec![capacity; 2 * leaves], leaves }
    }

    /// Takes `size` from the first bin that has it. Bins are opened in order, since those never used have most room.
    fn take(&mut self, size: u64) -> Option<usize> {
        if self.tree[1] < size {
            return None;
        }
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            if self.tree[node] < size {
                node += 1;
            }
        }
        let bin = node - self.leaves;
        self.tree[node] -= size;
        while node > 1 {
            node /= 2;
            self.tree[node] = self.tree[2 * node].max(self.tree[2 * node + 1]);
        }
        Some(bin)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use lake_format::action::Add;
    use proptest::prelude::*;

    use super::*;

    /// The same by the book: look at every bin.
    fn plainly(sizes: &[u64], capacity: u64) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..sizes.len()).collect();
        order.sort_by_key(|&at| (std::cmp::Reverse(sizes[at]), at));
        let mut bins: Vec<(u64, Vec<usize>)> = Vec::new();
        for at in order {
            match bins.iter_mut().find(|(used, _)| used.saturating_add(sizes[at]) <= capacity) {
                Some((used, bin)) => {
                    *used += sizes[at];
                    bin.push(at);
                }
                None => bins.push((sizes[at], vec![at])),
            }
        }
        bins.iter_mut().for_each(|(_, bin)| bin.sort_unstable());
        bins.into_iter().map(|(_, bin)| bin).collect()
    }

    fn group(name: &str, sizes: &[u64]) -> FileGroup {
        let file = |(at, size): (usize, &u64)| {
            Arc::new(Add { path: format!("{name}/{at}"), size: *size as i64, ..Add::default() })
        };
        let partition = BTreeMap::from([("p".to_owned(), Some(name.to_owned()))]);
        FileGroup { partition, files: sizes.iter().enumerate().map(file).collect() }
    }

    #[test]
    fn large_files_between_small_ones_do_not_keep_them_apart() {
        let sizes = FileSizes { target_bytes: 100, min_bytes: 75 };
        let bins = bin_pack(&[group("a", &[10, 100, 20, 90, 30, 75])], sizes);
        assert_eq!(bins.len(), 1);
        assert_eq!(bins[0].size_bytes(), 60);
    }

    #[test]
    fn partitions_are_never_mixed_and_a_lonely_file_is_left_alone() {
        let sizes = FileSizes { target_bytes: 100, min_bytes: 75 };
        let bins = bin_pack(&[group("a", &[10, 20]), group("b", &[5]), group("c", &[1, 2, 3])], sizes);
        let found: Vec<(Option<&str>, usize)> =
            bins.iter().map(|bin| (bin.partition["p"].as_deref(), bin.files.len())).collect();
        assert_eq!(found, [(Some("a"), 2), (Some("c"), 3)]);
    }

    #[test]
    fn impossible_sizes_do_no_harm() {
        let sizes = FileSizes { target_bytes: 100, min_bytes: 75 };
        let file = |size| Arc::new(Add { size, ..Add::default() });
        let odd = FileGroup { files: vec![file(-1), file(i64::MIN), file(0), file(i64::MAX)], ..FileGroup::default() };
        let bins = bin_pack(&[odd], sizes);
        assert_eq!(bins.iter().map(|bin| bin.files.len()).collect::<Vec<_>>(), [3]);
        assert_eq!(first_fit_decreasing(&[u64::MAX, 1, u64::MAX], 10), [vec![0], vec![2], vec![1]]);
    }

    #[test]
    fn many_files_are_packed_in_little_time() {
        let sizes: Vec<u64> = (0..200_000_u64).map(|i| 60 + i * 7919 % 40).collect();
        assert_eq!(first_fit_decreasing(&sizes, 100).len(), 200_000);
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_a_plain_search_finds(sizes in prop::collection::vec(0_u64..=50, 0..80)) {
            prop_assert_eq!(first_fit_decreasing(&sizes, 50), plainly(&sizes, 50));
        }

        #[test]
        fn packing_keeps_all_bytes_and_its_result_is_not_packed_again(
            partitions in prop::collection::vec(prop::collection::vec(0_u64..=130, 0..40), 1..4),
            min_bytes in 1_u64..=100,
        ) {
            let sizes = FileSizes { target_bytes: 100, min_bytes };
            let groups: Vec<FileGroup> =
                partitions.iter().enumerate().map(|(at, sizes)| group(&at.to_string(), sizes)).collect();
            let bins = bin_pack(&groups, sizes);
            let mut after = groups.clone();
            for bin in &bins {
                prop_assert!(bin.files.len() > 1 && bin.size_bytes() <= 100);
                let into = after.iter_mut().find(|group| group.partition == bin.partition).expect("its partition");
                let before = into.files.len();
                into.files.retain(|add| !bin.files.contains(add));
                prop_assert_eq!(before - into.files.len(), bin.files.len());
                let path = format!("new {}", into.files.len());
                into.files.push(Arc::new(Add { path, size: bin.size_bytes() as i64, ..Add::default() }));
            }
            for (before, after) in groups.iter().zip(&after) {
                prop_assert_eq!(before.size_bytes(), after.size_bytes());
            }
            prop_assert_eq!(bin_pack(&after, sizes), vec![]);
        }
    }
}
