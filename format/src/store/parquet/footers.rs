//! Footers that were read before: a file that is read again needs no request for its own.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use object_store::ObjectMeta;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderMetadata;

/// Bytes of footers that are kept for one table, by estimate. Those that were not used for the longest time go first.
const MOST_BYTES: usize = 16 << 20;
/// A footer that is larger than this part of the whole is not kept: it would drive all others out.
const LARGEST_PART: usize = 4;
/// What a footer takes beside what it says of itself.
const ENTRY_BYTES: usize = 1 << 10;

/// What a store says of an object, and says otherwise once another object has taken its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    e_tag: Option<String>,
    modified_us: i64,
}

impl Identity {
    pub(super) fn of(meta: &ObjectMeta) -> Self {
        Self { e_tag: meta.e_tag.clone(), modified_us: meta.last_modified.timestamp_micros() }
    }
}

/// The footers of a table's files, by path and size. A footer is used for an object only while the store says that it is
/// the one that the footer was read from.
pub(crate) struct FooterCache {
    most_bytes: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    footers: HashMap<(Path, u64), Entry>,
    bytes: usize,
    ticks: u64,
}

struct Entry {
    metadata: ArrowReaderMetadata,
    identity: Identity,
    bytes: usize,
    last_used: u64,
}

impl Default for FooterCache {
    fn default() -> Self {
        Self::of(MOST_BYTES)
    }
}

impl fmt::Debug for FooterCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.kept();
        f.debug_struct("FooterCache").field("footers", &kept.footers.len()).field("bytes", &kept.bytes).finish()
    }
}

impl FooterCache {
    fn of(most_bytes: usize) -> Self {
        Self { most_bytes, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, path: &Path, size_bytes: u64) -> Option<(ArrowReaderMetadata, Identity)> {
        let mut kept = self.kept();
        kept.ticks += 1;
        let ticks = kept.ticks;
        let entry = kept.footers.get_mut(&(path.clone(), size_bytes))?;
        entry.last_used = ticks;
        Some((entry.metadata.clone(), entry.identity.clone()))
    }

    /// Keeps a footer in place of the one that was kept for that file.
    pub(super) fn put(&self, path: &Path, size_bytes: u64, metadata: &ArrowReaderMetadata, identity: &Identity) {
        let bytes = metadata.metadata().memory_size() + ENTRY_BYTES;
        if bytes > self.most_bytes / LARGEST_PART {
            return;
        }
        let mut kept = self.kept();
        kept.ticks += 1;
        let (metadata, identity, last_used) = (metadata.clone(), identity.clone(), kept.ticks);
        let entry = Entry { metadata, identity, bytes, last_used };
        let before = kept.footers.insert((path.clone(), size_bytes), entry);
        kept.bytes = kept.bytes + bytes - before.map_or(0, |before| before.bytes);
        if kept.bytes > self.most_bytes {
            kept.shrink(self.most_bytes / 4 * 3);
        }
    }

    pub(super) fn forget(&self, path: &Path, size_bytes: u64) {
        let mut kept = self.kept();
        if let Some(gone) = kept.footers.remove(&(path.clone(), size_bytes)) {
            kept.bytes -= gone.bytes;
        }
    }
}

impl Kept {
    /// Drops footers until the rest have so many bytes: a quarter at once, so that it happens seldom.
    fn shrink(&mut self, most_bytes: usize) {
        let mut ages: Vec<(u64, usize)> = self.footers.values().map(|entry| (entry.last_used, entry.bytes)).collect();
        ages.sort_unstable();
        let mut oldest_kept = 0;
        for (last_used, bytes) in ages {
            if self.bytes <= most_bytes {
                break;
            }
            self.bytes -= bytes;
            oldest_kept = last_used + 1;
        }
        self.footers.retain(|_, entry| entry.last_used >= oldest_kept);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::arrow::ArrowWriter;
    use parquet::arrow::arrow_reader::ArrowReaderOptions;

    use super::*;

    fn footer() -> ArrowReaderMetadata {
        let ids: arrow_array::ArrayRef = Arc::new(arrow_array::Int64Array::from(vec![1, 2]));
        let batch = arrow_array::RecordBatch::try_from_iter([("id", ids)]).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        let bytes = bytes::Bytes::from(writer.into_inner().unwrap());
        ArrowReaderMetadata::load(&bytes, ArrowReaderOptions::new()).unwrap()
    }

    #[test]
    fn the_footers_kept_stay_within_their_bytes_and_those_used_stay_longest() {
        let (footer, identity) = (footer(), Identity { e_tag: None, modified_us: 7 });
        let one = footer.metadata().memory_size() + ENTRY_BYTES;
        let cache = FooterCache::of(one * 10);
        let path = |i: usize| Path::from(format!("{i}.parquet"));
        for i in 0..100 {
            cache.put(&path(i), 10, &footer, &identity);
            assert!(cache.get(&path(0), 10).is_some(), "used all the time: {i}");
            let kept = cache.kept();
            assert!(kept.bytes <= one * 10, "SCN-11");
            assert_eq!(kept.bytes, kept.footers.values().map(|entry| entry.bytes).sum::<usize>(), "SCN-11");
        }
        assert!(cache.get(&path(1), 10).is_none());
        assert!(cache.get(&path(0), 11).is_none(), "of another size");
        cache.put(&path(0), 10, &footer, &identity);
        cache.forget(&path(0), 10);
        cache.forget(&path(0), 10);
        assert!(cache.get(&path(0), 10).is_none());
        let small = FooterCache::of(one);
        small.put(&path(0), 10, &footer, &identity);
        assert!(small.get(&path(0), 10).is_none(), "as large as all that may be kept");
    }
}
