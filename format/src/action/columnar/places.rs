//! Where the columns of `add` and `remove` stand, and single values of them.

use arrow_array::cast::AsArray;
use arrow_array::{Array, Int64Array, MapArray, StringArray};

use super::batch::FileKind;

/// Positions among the fields that a checkpoint is written with; `None` for what the kind does not have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) path: Option<usize>,
    pub(super) partition_values: Option<usize>,
    pub(super) size: Option<usize>,
    pub(super) modification_time: Option<usize>,
    pub(super) deletion_timestamp: Option<usize>,
    pub(super) extended: Option<usize>,
    pub(super) tags: Option<usize>,
    pub(super) vector: Option<usize>,
    pub(super) base_row_id: Option<usize>,
    pub(super) default_row_commit_version: Option<usize>,
    pub(super) clustering_provider: Option<usize>,
    pub(super) stats: Option<usize>,
}

impl Places {
    pub(super) fn of(kind: FileKind) -> &'static Self {
        static OF_ADD: Places = Places {
            path: Some(0),
            partition_values: Some(1),
            size: Some(2),
            modification_time: Some(3),
            deletion_timestamp: None,
            extended: None,
            tags: Some(5),
            vector: Some(6),
            base_row_id: Some(7),
            default_row_commit_version: Some(8),
            clustering_provider: Some(9),
            stats: Some(10),
        };
        static OF_REMOVE: Places = Places {
            path: Some(0),
            partition_values: Some(4),
            size: Some(5),
            modification_time: None,
            deletion_timestamp: Some(1),
            extended: Some(3),
            tags: None,
            vector: Some(6),
            base_row_id: Some(7),
            default_row_commit_version: Some(8),
            clustering_provider: None,
            stats: None,
        };
        match kind {
            FileKind::Add => &OF_ADD,
            FileKind::Remove => &OF_REMOVE,
        }
    }
}

pub(super) fn text_at(array: &StringArray, row: usize) -> Option<&str> {
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}

pub(super) fn long_at(array: &Int64Array, row: usize) -> Option<i64> {
    (row < array.len() && array.is_valid(row)).then(|| array.value(row))
}

/// The pairs of a row; `None` for a null map.
pub(super) fn entries(map: &MapArray, row: usize) -> Option<impl Iterator<Item = (&str, Option<&str>)>> {
    let (keys, values) = (map.keys().as_string_opt::<i32>()?, map.values().as_string_opt::<i32>()?);
    if map.is_null(row) {
        return None;
    }
    let offsets = map.value_offsets();
    let (from, to) = (usize::try_from(offsets[row]).ok()?, usize::try_from(offsets[row + 1]).ok()?);
    Some((from..to).map(move |at| (keys.value(at), values.is_valid(at).then(|| values.value(at)))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_fields() {
        for kind in [FileKind::Add, FileKind::Remove] {
            let at = |name: &str| kind.fields().iter().position(|field| field.name() == name);
            let found = Places {
                path: at("path"),
                partition_values: at("partitionValues"),
                size: at("size"),
                modification_time: at("modificationTime"),
                deletion_timestamp: at("deletionTimestamp"),
                extended: at("extendedFileMetadata"),
                tags: at("tags"),
                vector: at("deletionVector"),
                base_row_id: at("baseRowId"),
                default_row_commit_version: at("defaultRowCommitVersion"),
                clustering_provider: at("clusteringProvider"),
                stats: at("stats"),
            };
            assert_eq!(*Places::of(kind), found, "CHK-1: {kind:?}");
        }
    }
}
