//! What a compaction run may do: file sizes, memory, how much at once, which partitions.

use lake_format::expr::Predicate;
use lake_format::protocol::TableProperties;
use lake_format::{Error, Result};

/// Memory that a run takes unless told otherwise.
pub const DEFAULT_MEMORY_BYTES: usize = 512 << 20;

/// Less memory than this can't hold one batch per file in progress.
pub const LEAST_MEMORY_BYTES: usize = 1 << 20;

/// Smaller files than this are all overhead.
pub const LEAST_TARGET_BYTES: u64 = 1 << 10;

/// Limits of one compaction run.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizePolicy {
    /// Size that files should have; the table's `delta.targetFileSize` (128 MiB where not set) when `None`.
    pub target_file_size_bytes: Option<u64>,
    /// Smaller files are worth merging; three quarters of the target when `None`.
    pub min_file_size_bytes: Option<u64>,
    /// Rewrites running at once. They share the memory.
    pub max_concurrent: usize,
    /// Memory for rows in flight. What does not fit is spilled to disk. Open files take up to 32 MiB each of their own
    /// where an eighth of a rewrite's share is less.
    pub memory_bytes: usize,
    /// Only partitions for which this is true, a condition on partition columns alone; all when `None`.
    pub partitions: Option<Predicate>,
}

impl Default for OptimizePolicy {
    fn default() -> Self {
        Self {
            target_file_size_bytes: None,
            min_file_size_bytes: None,
            max_concurrent: 2,
            memory_bytes: DEFAULT_MEMORY_BYTES,
            partitions: None,
        }
    }
}

/// The sizes that a run works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSizes {
    /// Size that files should have.
    pub target_bytes: u64,
    /// Smaller files are worth merging. Not above the target.
    pub min_bytes: u64,
}

impl OptimizePolicy {
    /// The sizes for a table with these properties.
    ///
    /// # Errors
    /// `Invalid` for a target below [`LEAST_TARGET_BYTES`], a minimum above the target, and limits that nothing can run in.
    pub fn sizes(&self, properties: &TableProperties) -> Result<FileSizes> {
        let target_bytes = self.target_file_size_bytes.unwrap_or(properties.target_file_size_bytes);
        if target_bytes < LEAST_TARGET_BYTES {
            return Err(Error::invalid(format!(
                "a target file size of {target_bytes} bytes is too small; the least is {LEAST_TARGET_BYTES}"
            ))
            .with_hint("128 MiB suit most tables"));
        }
        let min_bytes = self.min_file_size_bytes.unwrap_or(target_bytes - target_bytes / 4);
        if min_bytes > target_bytes {
            return Err(Error::invalid(format!(
                "the minimum file size of {min_bytes} bytes is above the target of {target_bytes}"
            )));
        }
        if self.max_concurrent == 0 {
            return Err(Error::invalid("at least one rewrite must run at a time"));
        }
        if self.memory_bytes < LEAST_MEMORY_BYTES {
            return Err(Error::invalid(format!(
                "{} bytes of memory are too little; at least {LEAST_MEMORY_BYTES} are needed",
                self.memory_bytes
            )));
        }
        Ok(FileSizes { target_bytes, min_bytes })
    }
}

#[cfg(test)]
mod tests {
    use lake_format::ErrorKind;

    use super::*;

    #[test]
    fn the_table_sets_the_target_unless_the_run_does() {
        let properties = TableProperties { target_file_size_bytes: 10_000, ..TableProperties::default() };
        let sizes = OptimizePolicy::default().sizes(&properties).expect("sizes");
        assert_eq!(sizes, FileSizes { target_bytes: 10_000, min_bytes: 7_500 });
        let own = OptimizePolicy { target_file_size_bytes: Some(1025), ..OptimizePolicy::default() };
        assert_eq!(own.sizes(&properties).expect("sizes"), FileSizes { target_bytes: 1025, min_bytes: 769 });
    }

    #[test]
    fn limits_that_make_no_sense_are_refused() {
        let base = OptimizePolicy::default();
        for policy in [
            OptimizePolicy { target_file_size_bytes: Some(0), ..base.clone() },
            OptimizePolicy { target_file_size_bytes: Some(1023), ..base.clone() },
            OptimizePolicy { target_file_size_bytes: Some(5000), min_file_size_bytes: Some(5001), ..base.clone() },
            OptimizePolicy { max_concurrent: 0, ..base.clone() },
            OptimizePolicy { memory_bytes: 1000, ..base },
        ] {
            let error = policy.sizes(&TableProperties::default()).expect_err("refused");
            assert_eq!(error.kind(), ErrorKind::Invalid, "{policy:?}");
        }
    }
}
