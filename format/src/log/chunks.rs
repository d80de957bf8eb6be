//! A file of the log as it comes, cut behind the ends of its lines.

use std::io::Read;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetResultPayload, ObjectStoreExt};

use super::lines::{FileLines, ParsedPart, Part, RESTORE_HINT, Whole, parse_part};
use crate::error::{Error, Result};
use crate::replay::Home;
use crate::store::{TableRoot, cores};

/// A line longer than this is refused rather than loaded.
const MAX_LINE_BYTES: usize = 64 << 20;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 4 << 20;
/// A smaller file is read in one go.
const SMALL_BYTES: usize = 64 << 10;
/// Fewer bytes are parsed where they are, not on another core.
const PARSED_HERE_BYTES: usize = 16 << 10;
/// Chunks parsed at once, at most.
const MOST_AT_ONCE: usize = 4;

/// The chunks of one file.
pub(super) struct Chunks {
    name: String,
    home: Arc<Home>,
    size_bytes: u64,
    source: Source,
    /// The beginning of a line whose end was not read yet.
    rest: Vec<u8>,
    spare: Spare,
}

/// Buffers to be used again: new ones would cost the system as much as reading into them.
#[derive(Clone, Default)]
struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    fn get(&self) -> Vec<u8> {
        let spare = self.0.lock().ok().and_then(|mut spare| spare.pop());
        spare.unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES + SMALL_BYTES))
    }

    fn put(&self, mut buffer: Vec<u8>) {
        if let Ok(mut spare) = self.0.lock()
            && spare.len() < MOST_AT_ONCE
            && buffer.capacity() <= 2 * CHUNK_BYTES
        {
            buffer.clear();
            spare.push(buffer);
        }
    }
}

enum Source {
    Bytes(Bytes),
    File(std::fs::File),
    Stream(BoxStream<'static, object_store::Result<Bytes>>),
    Ended,
}

impl Chunks {
    /// `None` when the file is not there.
    ///
    /// # Errors
    /// The store's own.
    pub(super) async fn open(root: &TableRoot, path: &Path) -> Result<Option<Self>> {
        let name = root.name_of(path);
        let named = |e: object_store::Error| Error::from(e).with_object(name.clone());
        let answer = match root.store().get(path).await {
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            other => other.map_err(named)?,
        };
        let size_bytes = answer.meta.size;
        let source = match answer.payload {
            _ if size_bytes <= SMALL_BYTES as u64 => Source::Bytes(answer.bytes().await.map_err(named)?),
            GetResultPayload::File(file, _) => Source::File(file),
            GetResultPayload::Stream(stream) => Source::Stream(stream),
        };
        let home = Arc::new(root.home());
        Ok(Some(Self { name, home, size_bytes, source, rest: Vec::new(), spare: Spare::default() }))
    }

    /// Size of the file.
    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// Whether these are the bytes of the file.
    ///
    /// # Errors
    /// As [`Chunks::next`].
    pub(super) async fn same_as(mut self, bytes: &[u8]) -> Result<bool> {
        let mut at = 0;
        while let Some(chunk) = self.next().await? {
            if bytes.get(at..at + chunk.len()) != Some(&chunk[..]) {
                return Ok(false);
            }
            at += chunk.len();
        }
        Ok(at == bytes.len())
    }

    /// The next lines, whole but for the last of the file; `None` behind it.
    ///
    /// # Errors
    /// `Corrupt` for a line too long to be loaded, and the store's own.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            let before = self.rest.len();
            match std::mem::replace(&mut self.source, Source::Ended) {
                Source::Bytes(bytes) => return Ok(Some(bytes.into())),
                Source::File(file) => {
                    let (file, read) = read_more(file, std::mem::take(&mut self.rest))
                        .await
                        .map_err(|e| Error::from(e).with_object(self.name.clone()))?;
                    self.rest = read;
                    if self.rest.len() - before == CHUNK_BYTES {
                        self.source = Source::File(file);
                    }
                }
                Source::Stream(mut stream) => {
                    let mut ended = false;
                    while !ended && self.rest.len() - before < CHUNK_BYTES {
                        match stream.try_next().await.map_err(|e| Error::from(e).with_object(self.name.clone()))? {
                            Some(bytes) => self.rest.extend_from_slice(&bytes),
                            None => ended = true,
                        }
                    }
                    if !ended {
                        self.source = Source::Stream(stream);
                    }
                }
                Source::Ended if before == 0 => return Ok(None),
                Source::Ended => return Ok(Some(std::mem::take(&mut self.rest))),
            }
            if let Some(end) = memchr::memrchr(b'\n', &self.rest[before..]) {
                let (mut begun, whole) = (self.spare.get(), before + end + 1);
                begun.extend_from_slice(&self.rest[whole..]);
                self.rest.truncate(whole);
                return Ok(Some(std::mem::replace(&mut self.rest, begun)));
            }
            if self.rest.len() > MAX_LINE_BYTES {
                let message = format!("a file of the log has a line of more than {MAX_LINE_BYTES} bytes");
                return Err(Error::corrupt(message).with_hint(RESTORE_HINT).with_object(self.name.clone()));
            }
        }
    }

    /// What the lines say, several chunks parsed at once.
    ///
    /// # Errors
    /// Each item can fail, and the stream ends there: as [`Chunks::next`]; `Corrupt` for a commit that is empty or torn,
    /// or a line that is not one JSON object (LOG-2).
    pub(super) fn parts(self, version: u64, files: FileLines) -> BoxStream<'static, Result<Part>> {
        let (name, home, spare) = (self.name.clone(), Arc::clone(&self.home), self.spare.clone());
        let at_once = cores().min(MOST_AT_ONCE);
        let chunks = stream::try_unfold(self, move |mut chunks| async move {
            let Some(chunk) = chunks.next().await? else { return Ok(None) };
            // Long lines are taken one by one, so that few of them are in memory.
            let parsed = match chunk.len() > 2 * CHUNK_BYTES {
                true => Chunk::Parsed(Box::new(parse(chunk, files, &chunks.home, &chunks.spare).await?)),
                false => Chunk::Read(chunk),
            };
            Ok::<_, Error>(Some((parsed, chunks)))
        });
        // An error waits for its turn, so that the first in the file is the one reported.
        let parsed = chunks.map(move |chunk| {
            let (home, spare) = (Arc::clone(&home), spare.clone());
            async move {
                match chunk? {
                    Chunk::Read(bytes) => parse(bytes, files, &home, &spare).await,
                    Chunk::Parsed(parsed) => Ok(*parsed),
                }
            }
        });
        let state = (parsed.buffered(at_once).boxed(), Whole::new(version), name);
        let parts = stream::try_unfold(state, |(mut parsed, mut whole, name)| async move {
            let named = |e: Error| e.with_object(name.clone());
            match parsed.try_next().await? {
                Some(next) => {
                    let part = whole.take(next).map_err(named)?;
                    Ok(Some((part, (parsed, whole, name))))
                }
                None => whole.finish().map_err(named).map(|()| None),
            }
        });
        parts.boxed()
    }
}

enum Chunk {
    Read(Vec<u8>),
    Parsed(Box<ParsedPart>),
}

async fn parse(bytes: Vec<u8>, files: FileLines, home: &Arc<Home>, spare: &Spare) -> Result<ParsedPart> {
    if bytes.len() <= PARSED_HERE_BYTES {
        return parse_part(&bytes, files, home);
    }
    let (home, spare) = (Arc::clone(home), spare.clone());
    let parse = move || {
        let parsed = parse_part(&bytes, files, &home);
        spare.put(bytes);
        parsed
    };
    let parsed = tokio::task::spawn_blocking(parse).await;
    parsed.map_err(|e| Error::internal("the parsing of a commit was cut short").with_source(e))?
}

/// Reads up to a chunk more behind what `read` holds.
async fn read_more(mut file: std::fs::File, mut read: Vec<u8>) -> std::io::Result<(std::fs::File, Vec<u8>)> {
    let read = move || {
        if read.capacity() == 0 {
            read.reserve_exact(CHUNK_BYTES + SMALL_BYTES);
        }
        read.reserve_exact(CHUNK_BYTES);
        file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut read)?;
        Ok((file, read))
    };
    tokio::task::spawn_blocking(read).await.map_err(std::io::Error::other)?
}

/// Hands each line of a file of the log to `take`, as the file comes.
///
/// # Errors
/// `Corrupt` when the file is gone or has a line too long to be loaded, those of `take`, and the store's own.
pub(super) async fn stream_lines(
    root: &TableRoot,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let gone = || Error::corrupt("a file of the log was listed but is gone").with_object(root.name_of(path));
    let mut chunks = Chunks::open(root, path).await?.ok_or_else(gone)?;
    while let Some(chunk) = chunks.next().await? {
        chunk.split(|&byte| byte == b'\n').try_for_each(&mut take)?;
    }
    Ok(())
}
