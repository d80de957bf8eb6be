//! Byte ranges of one object, as the Parquet decoder asks for them.

use std::ops::Range;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStoreExt};
use parquet::errors::ParquetError;
use parquet::file::FOOTER_SIZE;
use parquet::file::metadata::FooterTail;

use super::thrift::is_sane_footer;
use crate::error::{Error, Result};
use crate::store::TableRoot;

/// Bytes of the end that the first request brings: most footers are in there.
const TAIL_BYTES: u64 = 64 << 10;
/// A file up to this size comes whole with the first request.
const WHOLE_BYTES: u64 = 512 << 10;
/// A longer footer is refused: decoded it takes many times as much memory.
const MOST_FOOTER_BYTES: u64 = 64 << 20;

/// One object of known size. What the first request brought is not asked for again.
#[derive(Clone)]
pub(super) struct ObjectReader {
    root: TableRoot,
    path: Path,
    size_bytes: u64,
    tail_start: u64,
    tail: Bytes,
}

impl ObjectReader {
    /// Reads the end of an object that has `size_bytes`.
    ///
    /// # Errors
    /// `Corrupt` naming both sizes when it has another one (SCN-7).
    pub(super) async fn open_sized(root: &TableRoot, path: &Path, size_bytes: u64) -> Result<Self> {
        let tail_bytes = if size_bytes <= WHOLE_BYTES { size_bytes } else { TAIL_BYTES };
        let start = size_bytes - tail_bytes;
        let mut reader =
            Self { root: root.clone(), path: path.clone(), size_bytes, tail_start: start, tail: Bytes::new() };
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
                Ok(Self { root: root.clone(), path: path.clone(), size_bytes, tail_start: range.start, tail })
            }
            Err(error @ object_store::Error::NotFound { .. }) => Err(named(error)),
            // Some stores refuse such a range on an empty object, or always.
            Err(error) => match root.head(path).await? {
                Some(info) => Self::open_sized(root, path, info.size_bytes).await,
                None => Err(named(error)),
            },
        }
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
        self.check(&range)?;
        let answer = self.root.store().get_range(&self.path, range.clone()).await;
        let bytes = answer.map_err(|e| Error::from(e).with_object(self.root.name_of(&self.path)))?;
        self.check_length(&range, &bytes)?;
        Ok(bytes)
    }

    /// The bytes of several ranges.
    pub(super) async fn fetch_all(&self, ranges: Vec<Range<u64>>) -> Result<Vec<Bytes>> {
        for range in &ranges {
            self.check(range)?;
        }
        let cached: Option<Vec<Bytes>> = ranges.iter().map(|range| self.in_tail(range)).collect();
        if let Some(cached) = cached {
            return Ok(cached);
        }
        let answer = self.root.store().get_ranges(&self.path, &ranges).await;
        let all = answer.map_err(|e| Error::from(e).with_object(self.root.name_of(&self.path)))?;
        for (range, bytes) in ranges.iter().zip(&all) {
            self.check_length(range, bytes)?;
        }
        Ok(all)
    }
}
