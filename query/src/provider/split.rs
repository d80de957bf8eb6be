//! Files dealt out to partitions, so that each has about the same bytes to read.

use std::cmp::Reverse;
use std::sync::Arc;

/// Deals files of these `sizes` out to at most `partitions` groups of nearly equal bytes, the largest file first to the lightest
/// group. In a group, which names them by their places, they keep their order. No files give one empty group.
pub(super) fn split(sizes: impl Iterator<Item = u64>, partitions: usize) -> Vec<Arc<Vec<u32>>> {
    let mut by_size: Vec<(Reverse<u64>, u32)> =
        (0_u32..).zip(sizes).map(|(place, size)| (Reverse(size), place)).collect();
    let count = partitions.min(by_size.len()).max(1);
    by_size.sort_unstable();
    let mut groups: Vec<(u64, Vec<u32>)> = vec![(0, Vec::new()); count];
    for (Reverse(size_bytes), place) in by_size {
        if let Some((bytes, members)) = groups.iter_mut().min_by_key(|(bytes, members)| (*bytes, members.len())) {
            *bytes = bytes.saturating_add(size_bytes);
            members.push(place);
        }
    }
    groups
        .into_iter()
        .map(|(_, mut members)| {
            members.sort_unstable();
            Arc::new(members)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_file_is_read_once_and_the_load_is_even(
            sizes in proptest::collection::vec(0_u64..1000, 0..40),
            partitions in 0_usize..6,
        ) {
            let groups = split(sizes.iter().copied(), partitions);
            prop_assert_eq!(groups.len(), partitions.min(sizes.len()).max(1));
            prop_assert!(groups.iter().all(|group| group.is_sorted()));
            let mut seen: Vec<usize> = groups.iter().flat_map(|group| group.iter().map(|&place| place as usize)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..sizes.len()).collect::<Vec<_>>());
            prop_assert!(sizes.len() < groups.len() || groups.iter().all(|group| !group.is_empty()));
            let loads: Vec<u64> = groups.iter().map(|group| group.iter().map(|&place| sizes[place as usize]).sum()).collect();
            let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
            prop_assert!(spread <= sizes.iter().copied().max().unwrap_or(0));
        }
    }
}
