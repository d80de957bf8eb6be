//! Files dealt out to partitions, so that each has about the same bytes to read.

use std::cmp::Reverse;
use std::sync::Arc;

use lake_format::scan::ScanFile;

/// Deals `files` out to at most `partitions` groups of nearly equal bytes, the largest file first to the lightest
/// group. In a group they keep their order. No files give one empty group.
pub(super) fn split(files: &[ScanFile], partitions: usize) -> Vec<Arc<Vec<ScanFile>>> {
    let count = partitions.min(files.len()).max(1);
    let mut by_size: Vec<usize> = (0..files.len()).collect();
    by_size.sort_by_key(|&at| (Reverse(files[at].size_bytes), at));
    let mut groups: Vec<(u64, Vec<usize>)> = vec![(0, Vec::new()); count];
    for at in by_size {
        if let Some((bytes, members)) = groups.iter_mut().min_by_key(|(bytes, members)| (*bytes, members.len())) {
            *bytes = bytes.saturating_add(files[at].size_bytes);
            members.push(at);
        }
    }
    groups
        .into_iter()
        .map(|(_, mut members)| {
            members.sort_unstable();
            Arc::new(members.into_iter().map(|at| files[at].clone()).collect())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(at: usize, size_bytes: u64) -> ScanFile {
        ScanFile { path: format!("{at}"), size_bytes, ..ScanFile::default() }
    }

    proptest! {
        #[test]
        fn every_file_is_read_once_and_the_load_is_even(
            sizes in proptest::collection::vec(0_u64..1000, 0..40),
            partitions in 0_usize..6,
        ) {
            let files: Vec<ScanFile> = sizes.iter().enumerate().map(|(at, &size)| file(at, size)).collect();
            let groups = split(&files, partitions);
            prop_assert_eq!(groups.len(), partitions.min(files.len()).max(1));
            let mut seen: Vec<&str> = groups.iter().flat_map(|group| group.iter().map(|f| f.path.as_str())).collect();
            seen.sort_by_key(|path| path.parse::<usize>().unwrap());
            prop_assert_eq!(seen, files.iter().map(|f| f.path.as_str()).collect::<Vec<_>>());
            prop_assert!(files.len() < groups.len() || groups.iter().all(|group| !group.is_empty()));
            let loads: Vec<u64> = groups.iter().map(|group| group.iter().map(|f| f.size_bytes).sum()).collect();
            let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
            prop_assert!(spread <= sizes.iter().copied().max().unwrap_or(0));
        }
    }
}
