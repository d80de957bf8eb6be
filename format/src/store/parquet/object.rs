//! Byte ranges of one object, as the Parquet decoder asks for them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStoreExt};
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::FooterTail;

use super::footers::Identity;
use super::thrift::is_sane_footer;
use crate::error::{Error, Result};
use crate::store::TableRoot;

/// Bytes of the end that the first request brings: most footers are in there.
const TAIL_BYTES: u64 = 64 << 10;
/// A file up to this size comes whole with the first request.
const WHOLE_BYTES: u64 = 512 << 10;
/// A longer footer is refused: decoded it takes many times as much memory.
const MOST_FOOTER_BYTES: u64 = 64 << 20;

/// Wanted ranges with a gap up to this between them come with one request, where a request takes long.
const MOST_GAP_BYTES: u64 = 1 << 20;
/// A gap is never larger than what is wanted around it, or than this: what comes along unasked stays in memory too.
const SMALL_GAP_BYTES: u64 = 64 << 10;
/// Ranges are not joined to a larger request than this: several at once are faster.
const REQUEST_BYTES: u64 = 16 << 20;
/// Requests at once for one part of a file.
const REQUESTS: usize = 8;

/// One object of known size. What the first request brought is not asked for again.
#[derive(Clone)]
pub(super) struct ObjectReader {
    root: TableRoot,
    path: Path,
    size_bytes: u64,
    tail_start: u64,
    tail: Bytes,
    /// Which object the store answered with; `None` where it was not asked.
    identity: Option<Identity>,
    /// Where the footer is from an earlier reading: whether the object is still that one.
    known: Option<Arc<Known>>,
}

/// What became of the promise that an object is the one that was read before.
#[derive(Default)]
struct Known {
    is_checked: AtomicBool,
    is_broken: AtomicBool,
}

impl ObjectReader {
    /// An object whose footer was read before. The first request for more bytes asks whether it is still the same.
    pub(super) fn known(root: &TableRoot, path: &Path, size_bytes: u64, identity: Identity) -> Self {
        Self {
            root: root.clone(),
            path: path.clone(),
            size_bytes,
            tail_start: size_bytes,
            tail: Bytes::new(),
            identity: Some(identity),
            known: Some(Arc::default()),
        }
    }

    /// Which object it is, where the store said so.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Whether a request found another object in the place of the one whose footer was read before.
    pub(super) fn was_replaced(&self) -> bool {
        self.known.as_ref().is_some_and(|known| known.is_broken.load(Ordering::Relaxed))
    }

    /// Reads the end of an object that has `size_bytes`.
    ///
    /// # Errors
    /// `Corrupt` naming both sizes when it has another one (SCN-7).
    pub(super) async fn open_sized(root: &TableRoot, path: &Path, size_bytes: u64) -> Result<Self> {
        let tail_bytes = if size_bytes <= WHOLE_BYTES { size_bytes } else { TAIL_BYTES };
        let start = size_bytes - tail_bytes;
        let (root_of, path_of, tail) = (root.clone(), path.clone(), Bytes::new());
        let mut reader =
            Self { root: root_of, path: path_of, size_bytes, tail_start: start, tail, identity: None, known: None };
        let other_size = |found: u64| {
            reader
                .damaged(format!("the log says that the file has {size_bytes} bytes, and it has {found}"))
                .with_hint("another file has taken its place, or it was cut short: restore it from a backup")
        };
        if tail_bytes == 0 {
            return match root.head(path).await? {
                Some(info) if info.size_bytes != size_bytes => Err(other_size(info.size_bytes)),
                Some(_) => Ok(reader),
                None => Err(Error::not_found("no such file").with_object(root.name_of(path))),
            };
        }
        let named = |e: object_store::Error| Error::from(e).with_object(root.name_of(path));
        let options = GetOptions { range: Some(GetRange::Bounded(start..size_bytes)), ..GetOptions::default() };
        let answer = match root.store().get_opts(path, options).await {
            Ok(answer) if answer.meta.size != size_bytes => return Err(other_size(answer.meta.size)),
            Ok(answer) => answer,
            Err(error @ object_store::Error::NotFound { .. }) => return Err(named(error)),
            // A range that begins behind the end.
            Err(error) => match root.head(path).await {
                Ok(Some(info)) if info.size_bytes != size_bytes => return Err(other_size(info.size_bytes)),
                _ => return Err(named(error)),
            },
        };
        reader.identity = Some(Identity::of(&answer.meta));
        let tail = answer.bytes().await.map_err(named)?;
        reader.check_length(&(start..size_bytes), &tail)?;
        reader.tail = tail;
        Ok(reader)
    }

    /// Reads the end of an object and learns its size from the answer.
    pub(super) async fn open(root: &TableRoot, path: &Path) -> Result<Self> {
        let options = GetOptions { range: Some(GetRange::Suffix(TAIL_BYTES)), ..GetOptions::default() };
        let named = |e: object_store::Error| Error::from(e).with_object(root.name_of(path));
        match root.store().get_opts(path, options).await {
            Ok(answer) => {
                let (size_bytes, range) = (answer.meta.size, answer.range.clone());
                let tail = answer.bytes().await.map_err(named)?;
                if range.end != size_bytes || tail.len() as u64 != range.end.saturating_sub(range.start) {
                    return Self::open_sized(root, path, size_bytes).await;
                }
                let (root, path) = (root.clone(), path.clone());
                Ok(Self { root, path, size_bytes, tail_start: range.start, tail, identity: None, known: None })
            }
            Err(error @ object_store::Error::NotFound { .. }) => Err(named(error)),
            // Some stores refuse such a range on an empty object, or always.
            Err(error) => match root.head(path).await? {
                Some(info) => Self::open_sized(root, path, info.size_bytes).await,
                None => Err(named(error)),
            },
        }
    }

    pub(super) fn root(&self) -> &TableRoot {
        &self.root
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Whether the bytes need no request.
    pub(super) fn has(&self, range: &Range<u64>) -> bool {
        self.in_tail(range).is_some()
    }

    /// The bytes of a range.
    pub(super) async fn bytes(&self, range: Range<u64>) -> Result<Bytes> {
        match self.in_tail(&range) {
            Some(bytes) => Ok(bytes),
            None => self.fetch(range).await,
        }
    }

    /// The footer, in at most one request for what the first one did not bring.
    pub(super) async fn footer(&self) -> Result<Bytes> {
        let no_parquet = || self.damaged("not a readable Parquet file".to_owned());
        let short = |than: String| {
            no_parquet().with_source(ParquetError::EOF(format!("file size of {} is less than {than}", self.size_bytes)))
        };
        let footer_bytes = FOOTER_SIZE as u64;
        let start = self.size_bytes.checked_sub(footer_bytes).ok_or_else(|| short("footer".to_owned()))?;
        let tail = self.bytes(start..self.size_bytes).await?;
        let tail: &[u8; FOOTER_SIZE] = tail.as_ref().try_into().map_err(|_| no_parquet())?;
        let tail = FooterTail::try_new(tail).map_err(|e| no_parquet().with_source(e))?;
        if tail.is_encrypted_footer() {
            return Err(Error::unsupported("the Parquet file is encrypted").with_object(self.root.name_of(&self.path)));
        }
        let length = tail.metadata_length() as u64;
        let with_metadata = || short(format!("footer + metadata {}", footer_bytes + length));
        let begin = start.checked_sub(length).ok_or_else(with_metadata)?;
        if length > MOST_FOOTER_BYTES {
            return Err(Error::unsupported(format!("the Parquet file has a footer of {length} bytes"))
                .with_object(self.root.name_of(&self.path))
                .with_hint(format!("Lake reads footers of up to {MOST_FOOTER_BYTES} bytes")));
        }
        let footer = self.bytes(begin..start).await?;
        if !is_sane_footer(&footer) {
            return Err(self.damaged("the Parquet footer makes no sense".to_owned()));
        }
        Ok(footer)
    }

    fn in_tail(&self, range: &Range<u64>) -> Option<Bytes> {
        let start = usize::try_from(range.start.checked_sub(self.tail_start)?).ok()?;
        let end = usize::try_from(range.end.checked_sub(self.tail_start)?).ok()?;
        (start <= end && end <= self.tail.len()).then(|| self.tail.slice(start..end))
    }

    fn check(&self, range: &Range<u64>) -> Result<()> {
        if range.start > range.end || range.end > self.size_bytes {
            return Err(self.damaged(format!(
                "the file points at bytes {}..{} and has {}",
                range.start, range.end, self.size_bytes
            )));
        }
        Ok(())
    }

    fn damaged(&self, message: String) -> Error {
        Error::corrupt(message).with_object(self.root.name_of(&self.path))
    }

    fn check_length(&self, range: &Range<u64>, bytes: &Bytes) -> Result<()> {
        let (asked, got) = (range.end - range.start, bytes.len() as u64);
        if asked != got {
            return Err(Error::unavailable(format!("the store sent {got} of {asked} bytes"))
                .with_object(self.root.name_of(&self.path)));
        }
        Ok(())
    }

    async fn fetch(&self, range: Range<u64>) -> Result<Bytes> {
        let mut fetched = self.fetch_all(vec![range]).await?;
        fetched.pop().ok_or_else(|| Error::internal("a range was not fetched"))
    }

    /// The bytes of several ranges. Those near each other come with one request.
    pub(super) async fn fetch_all(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        for range in &ranges {
            self.check(range)?;
        }
        let cached: Option<Vec<Bytes>> = ranges.iter().map(|range| self.in_tail(range)).collect();
        if let Some(cached) = cached {
            return Ok(cached);
        }
        let merged = merged(&ranges, if self.root.is_local() { 0 } else { MOST_GAP_BYTES });
        let fetched = self.fetch_merged(&merged).await?;
        let part = |range: &Range<u64>| {
            let at = merged.partition_point(|one| one.start <= range.start).checked_sub(1)?;
            let (from, to) = (range.start - merged[at].start, range.end - merged[at].start);
            let (from, to) = (usize::try_from(from).ok()?, usize::try_from(to).ok()?);
            (to <= fetched[at].len()).then(|| fetched[at].slice(from..to))
        };
        let parts: Option<Vec<Bytes>> = ranges.iter().map(part).collect();
        parts.ok_or_else(|| Error::internal("a range was not fetched").with_object(self.root.name_of(&self.path)))
    }

    async fn fetch_merged(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let named = |e: object_store::Error| Error::from(e).with_object(self.root.name_of(&self.path));
        let checked = self.check_known(ranges).await?;
        let done = usize::from(checked.is_some());
        let rest = &ranges[done..];
        let more = if rest.is_empty() {
            Vec::new()
        } else if self.root.is_local() {
            self.root.store().get_ranges(&self.path, rest).await.map_err(named)?
        } else {
            let get = |range: &Range<u64>| {
                let (store, path, range) = (Arc::clone(self.root.store()), self.path.clone(), range.clone());
                async move { store.get_range(&path, range).await }
            };
            let gets: Vec<_> = rest.iter().map(get).collect();
            stream::iter(gets).buffered(REQUESTS).try_collect().await.map_err(named)?
        };
        let all: Vec<Bytes> = checked.into_iter().chain(more).collect();
        for (range, bytes) in ranges.iter().zip(&all) {
            self.check_length(range, bytes)?;
        }
        Ok(all)
    }

    /// Asks the store for the first range in a way that tells which object it is of, where that is not sure yet. Gives
    /// its bytes, unless they are quicker read with the others.
    async fn check_known(&self, ranges: &[Range<u64>]) -> Result<Option<Bytes>> {
        let Some(known) = self.known.as_ref().filter(|known| !known.is_checked.load(Ordering::Relaxed)) else {
            return Ok(None);
        };
        let Some(first) = ranges.first() else { return Ok(None) };
        let named = |e: object_store::Error| Error::from(e).with_object(self.root.name_of(&self.path));
        let options = GetOptions { range: Some(GetRange::Bounded(first.clone())), ..GetOptions::default() };
        let replaced = |meta: &ObjectMeta| Some(Identity::of(meta)) != self.identity || meta.size != self.size_bytes;
        let answer = match self.root.store().get_opts(&self.path, options).await {
            Ok(answer) if !replaced(&answer.meta) => answer,
            // Also where the range lies behind the end of what is there now: opening it anew tells.
            other => {
                known.is_broken.store(true, Ordering::Relaxed);
                let error = Error::unavailable("the file is another one than was read before");
                return Err(other.err().map_or(error.with_object(self.root.name_of(&self.path)), named));
            }
        };
        let bytes = if self.root.is_local() { None } else { Some(answer.bytes().await.map_err(named)?) };
        known.is_checked.store(true, Ordering::Relaxed);
        Ok(bytes)
    }
}

/// Ascending ranges that cover all of `ranges`, joined where that saves requests and brings little else.
fn merged(ranges: &[Range<u64>], most_gap: u64) -> Vec<Range<u64>> {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<u64>> = Vec::new();
    let mut wanted = 0;
    for range in sorted {
        let bytes = range.end - range.start;
        if let Some(last) = merged.last_mut() {
            let gap = range.start.saturating_sub(last.end);
            let is_small = gap <= most_gap.min(wanted + SMALL_GAP_BYTES);
            if range.end <= last.end || (is_small && range.end - last.start <= REQUEST_BYTES) {
                last.end = last.end.max(range.end);
                wanted += bytes;
                continue;
            }
        }
        wanted = bytes;
        merged.push(range);
    }
    merged
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn joined_ranges_cover_the_wanted_ones_and_little_else(
            starts in prop::collection::vec((0_u64..40 << 20, 0_u64..3 << 20), 0..40),
            most_gap in prop_oneof![Just(0), Just(MOST_GAP_BYTES)],
        ) {
            let ranges: Vec<Range<u64>> = starts.into_iter().map(|(start, bytes)| start..start + bytes).collect();
            let joined = merged(&ranges, most_gap);
            for range in &ranges {
                let at = joined.partition_point(|one| one.start <= range.start) - 1;
                prop_assert!(joined[at].end >= range.end, "{range:?} in {joined:?}");
            }
            prop_assert!(joined.windows(2).all(|pair| pair[0].start <= pair[1].start));
            let largest = ranges.iter().map(|range| range.end - range.start).max().unwrap_or(0);
            for one in &joined {
                prop_assert!(one.end - one.start <= REQUEST_BYTES.max(largest), "{one:?}");
                let inside = ranges.iter().filter(|range| range.start >= one.start && range.end <= one.end);
                let (wanted, count) = inside.fold((0, 0), |(sum, n), range| (sum + range.end - range.start, n + 1));
                let gaps = if most_gap == 0 { 0 } else { wanted * count + count * SMALL_GAP_BYTES };
                prop_assert!(one.end - one.start <= wanted + gaps, "{one:?} for {wanted}");
            }
        }
    }
}
