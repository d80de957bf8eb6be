//! Avro object containers: blocks checked, unpacked within limits, and decoded to batches.

use std::io::{self, BufRead, BufReader, Read};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use arrow_avro::reader::{Reader, ReaderBuilder};
use lake_format::{Error, Result};
use uuid::Uuid;

use super::files::SourceFile;
use crate::output::Progress;

/// Bytes of the header, at most: the schema is in it.
const HEADER_BYTES: u64 = 16 << 20;
/// Bytes of one block, at most, as stored and as unpacked.
const BLOCK_BYTES: u64 = 256 << 20;
/// Records of a block whose records have no bytes.
const EMPTY_RECORDS: u64 = 1 << 20;
/// Bytes of a batch, about.
const BATCH_BYTES: u64 = 8 << 20;
const BATCH_ROWS: u64 = 8192;
const SYNC_BYTES: usize = 16;
const MAGIC: &[u8] = b"Obj\x01";

/// The bytes of a file, as they come.
type Source = BufReader<Box<dyn Read + Send>>;

/// An Avro file whose header was read.
pub struct AvroFile {
    reader: Reader<BufReader<Plain<Source>>>,
    name: String,
}

impl AvroFile {
    /// Opens a file. `progress` is told of the bytes read.
    ///
    /// # Errors
    /// `Invalid` for a file that is damaged or none, `Unsupported` for a codec or a type that is not read.
    pub fn open(file: &SourceFile, progress: Option<&Progress>) -> Result<Self> {
        let bytes: Box<dyn Read + Send> = Box::new(file.bytes(progress)?);
        let plain =
            Plain::open(BufReader::with_capacity(1 << 20, bytes)).map_err(|error| damaged(error, &file.name))?;
        let rows = plain.rows_per_batch();
        let reader = guarded(&file.name, move || {
            ReaderBuilder::new().with_batch_size(rows).build(BufReader::new(plain)).map_err(|error| error.to_string())
        })?;
        check_bounded(reader.schema().fields(), &file.name)?;
        Ok(Self { reader, name: file.name.clone() })
    }

    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        as_text_schema(&self.reader.schema())
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// `Invalid` for a damaged file.
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        guarded(&self.name, || match self.reader.next().transpose() {
            Ok(batch) => batch.map(as_text).transpose().map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        })
    }
}

/// Whether the column holds UUIDs: as 16 bytes they would be hard to read for everyone else.
fn is_uuid(field: &Field) -> bool {
    let named = field.metadata().get("logicalType").is_some_and(|name| name == "uuid");
    named && *field.data_type() == DataType::FixedSizeBinary(16)
}

fn as_text_schema(schema: &SchemaRef) -> SchemaRef {
    let field = |field: &FieldRef| match is_uuid(field) {
        true => Arc::new(Field::new(field.name(), DataType::Utf8, field.is_nullable())),
        false => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Fields>()))
}

/// The batch with UUIDs as text.
fn as_text(batch: RecordBatch) -> std::result::Result<RecordBatch, ArrowError> {
    let schema = batch.schema();
    let column = |(field, column): (&FieldRef, &ArrayRef)| match column.as_fixed_size_binary_opt() {
        Some(ids) if is_uuid(field) => {
            let text = |id: &[u8]| Uuid::from_slice(id).map(|id| id.to_string()).unwrap_or_default();
            Arc::new(ids.iter().map(|id| id.map(text)).collect::<StringArray>()) as ArrayRef
        }
        _ => Arc::clone(column),
    };
    let columns = schema.fields().iter().zip(batch.columns()).map(column).collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(as_text_schema(&schema), columns, &rows)
}

/// Runs the decoder, for which damaged input may be too much.
fn guarded<T>(name: &str, work: impl FnOnce() -> std::result::Result<T, String>) -> Result<T> {
    let failed = |cause: String| {
        Error::invalid("not a readable Avro file")
            .with_object(name.to_owned())
            .with_hint("nothing was written; is it the right file and format?")
            .with_source(cause)
    };
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(failed),
        Err(_) => Err(failed("the content makes no sense to the decoder".to_owned())),
    }
}

fn damaged(error: io::Error, name: &str) -> Error {
    let hint = "nothing was written; is it the right file and format?";
    let damaged = match error.kind() {
        io::ErrorKind::Unsupported => Error::unsupported(error.to_string()),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::invalid("not a readable Avro file").with_source(error.to_string())
        }
        _ => return Error::from(error).with_object(name.to_owned()),
    };
    damaged.with_object(name.to_owned()).with_hint(hint)
}

/// Lists of values that have no bytes could be longer than any file.
fn check_bounded(fields: &Fields, name: &str) -> Result<()> {
    fn empty(data_type: &DataType) -> bool {
        match data_type {
            DataType::Null => true,
            DataType::Struct(fields) => fields.iter().all(|field| empty(field.data_type())),
            DataType::FixedSizeBinary(bytes) => *bytes == 0,
            _ => false,
        }
    }
    fn unbounded(data_type: &DataType) -> bool {
        match data_type {
            DataType::List(element) => empty(element.data_type()) || unbounded(element.data_type()),
            DataType::Struct(fields) => fields.iter().any(|field| unbounded(field.data_type())),
            DataType::Map(entries, _) => unbounded(entries.data_type()),
            _ => false,
        }
    }
    match fields.iter().find(|field| unbounded(field.data_type())) {
        None => Ok(()),
        Some(field) => Err(Error::unsupported("a list of values that have no bytes is not read")
            .with_object(format!("{name}, column {}", field.name()))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Codec {
    Null,
    Deflate,
    Snappy,
    Zstandard,
}

/// The container as one without compression, each block checked before it is given on.
struct Plain<R> {
    input: R,
    codec: Codec,
    sync: [u8; SYNC_BYTES],
    /// What is to be given next.
    ready: Vec<u8>,
    given: usize,
    /// Records and bytes of the first block.
    first: Option<(u64, u64)>,
}

impl<R: BufRead> Plain<R> {
    fn open(mut input: R) -> io::Result<Self> {
        let mut header = (&mut input).take(HEADER_BYTES);
        let mut magic = [0; 4];
        header.read_exact(&mut magic)?;
        if magic != MAGIC {
            return Err(invalid("the file does not begin as an Avro file does"));
        }
        let (mut schema, mut codec) = (None, Codec::Null);
        loop {
            let count = match long(&mut header)?.ok_or_else(cut_short)? {
                0 => break,
                count if count < 0 => {
                    long(&mut header)?.ok_or_else(cut_short)?;
                    count.unsigned_abs()
                }
                count => count.unsigned_abs(),
            };
            for _ in 0..count {
                let key = text(&mut header)?;
                let value = text(&mut header)?;
                match key.as_slice() {
                    b"avro.schema" => schema = Some(value),
                    b"avro.codec" => codec = codec_of(&value)?,
                    _ => {}
                }
            }
        }
        let mut sync = [0; SYNC_BYTES];
        header.read_exact(&mut sync)?;
        let schema = schema.ok_or_else(|| invalid("the header has no schema"))?;
        let mut ready = MAGIC.to_vec();
        put_long(2, &mut ready);
        put_text(b"avro.schema", &mut ready);
        put_text(&schema, &mut ready);
        put_text(b"avro.codec", &mut ready);
        put_text(b"null", &mut ready);
        put_long(0, &mut ready);
        ready.extend_from_slice(&sync);
        let mut plain = Self { input, codec, sync, ready, given: 0, first: None };
        plain.load_block()?;
        Ok(plain)
    }

    /// Rows of a batch of some size, going by the first block.
    fn rows_per_batch(&self) -> usize {
        let (records, bytes) = self.first.unwrap_or((1, 1));
        let rows = BATCH_BYTES.saturating_mul(records.max(1)) / bytes.max(1);
        usize::try_from(rows.clamp(1, BATCH_ROWS)).unwrap_or(1)
    }

    /// Puts the next block behind what is ready. `false` at the end.
    fn load_block(&mut self) -> io::Result<bool> {
        let Some(records) = long(&mut self.input)? else { return Ok(false) };
        let size = long(&mut self.input)?.ok_or_else(cut_short)?;
        let (Ok(records), Ok(size)) = (u64::try_from(records), u64::try_from(size)) else {
            return Err(invalid("a block has a negative number of records or bytes"));
        };
        if size > BLOCK_BYTES {
            return Err(invalid("a block is larger than 256 MiB"));
        }
        let mut stored = Vec::new();
        (&mut self.input).take(size).read_to_end(&mut stored)?;
        let mut sync = [0; SYNC_BYTES];
        if stored.len() as u64 != size {
            return Err(cut_short());
        }
        self.input.read_exact(&mut sync)?;
        if sync != self.sync {
            return Err(invalid("a block does not end with the mark of the file"));
        }
        let data = unpack(self.codec, stored)?;
        if records > EMPTY_RECORDS && records > data.len() as u64 * 8 {
            return Err(invalid("a block claims more records than its bytes can hold"));
        }
        self.first.get_or_insert((records, data.len() as u64));
        put_long(records, &mut self.ready);
        put_long(data.len() as u64, &mut self.ready);
        self.ready.extend_from_slice(&data);
        self.ready.extend_from_slice(&self.sync);
        Ok(true)
    }
}

impl<R: BufRead> Read for Plain<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.ready.len() {
            self.ready.clear();
            self.given = 0;
            self.load_block()?;
        }
        let read = buffer.len().min(self.ready.len() - self.given);
        buffer[..read].copy_from_slice(&self.ready[self.given..self.given + read]);
        self.given += read;
        Ok(read)
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file is cut short")
}

fn codec_of(name: &[u8]) -> io::Result<Codec> {
    match name {
        b"null" => Ok(Codec::Null),
        b"deflate" => Ok(Codec::Deflate),
        b"snappy" => Ok(Codec::Snappy),
        b"zstandard" => Ok(Codec::Zstandard),
        other => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!(
                "an Avro file compressed as {:?} is not read",
                String::from_utf8_lossy(&other[..other.len().min(40)])
            ),
        )),
    }
}

fn unpack(codec: Codec, stored: Vec<u8>) -> io::Result<Vec<u8>> {
    let limited = |from: &mut dyn Read| {
        let mut data = Vec::new();
        from.take(BLOCK_BYTES + 1)
            .read_to_end(&mut data)
            .map_err(|error| invalid(&format!("a block can't be unpacked: {error}")))?;
        if data.len() as u64 > BLOCK_BYTES {
            return Err(invalid("a block is larger than 256 MiB when it is unpacked"));
        }
        Ok(data)
    };
    match codec {
        Codec::Null => Ok(stored),
        Codec::Deflate => limited(&mut flate2::read::DeflateDecoder::new(stored.as_slice())),
        Codec::Zstandard => limited(&mut zstd::stream::read::Decoder::new(stored.as_slice())?),
        Codec::Snappy => {
            let Some((packed, sum)) = stored.split_last_chunk::<4>() else { return Err(cut_short()) };
            let length = snap::raw::decompress_len(packed).map_err(|error| invalid(&error.to_string()))?;
            if length as u64 > BLOCK_BYTES {
                return Err(invalid("a block is larger than 256 MiB when it is unpacked"));
            }
            let data = snap::raw::Decoder::new().decompress_vec(packed).map_err(|error| invalid(&error.to_string()))?;
            let mut crc = flate2::Crc::new();
            crc.update(&data);
            if crc.sum() != u32::from_be_bytes(*sum) {
                return Err(invalid("a block does not have its own checksum"));
            }
            Ok(data)
        }
    }
}

/// A number in Avro's form; `None` at the end of the input.
fn long(from: &mut impl Read) -> io::Result<Option<i64>> {
    let mut value: u64 = 0;
    for shift in (0..70).step_by(7) {
        let mut byte = [0];
        match from.read_exact(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && shift == 0 => return Ok(None),
            read => read?,
        }
        value |= u64::from(byte[0] & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte[0] < 0x80 {
            let half = i64::try_from(value >> 1).unwrap_or(i64::MAX);
            return Ok(Some(if value & 1 == 1 { -half - 1 } else { half }));
        }
    }
    Err(invalid("a number does not end"))
}

fn text(from: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = long(from)?.ok_or_else(cut_short)?;
    let length = u64::try_from(length).map_err(|_| invalid("a text has a negative length"))?;
    let mut text = Vec::new();
    from.take(length).read_to_end(&mut text)?;
    if text.len() as u64 == length { Ok(text) } else { Err(cut_short()) }
}

fn put_long(value: u64, into: &mut Vec<u8>) {
    let mut rest = value << 1;
    while rest >= 0x80 {
        into.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    into.push(rest as u8);
}

fn put_text(text: &[u8], into: &mut Vec<u8>) {
    put_long(text.len() as u64, into);
    into.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use lake_format::ErrorKind;

    use super::*;
    use crate::command::import::files::{InputFormat, Packing, Place};

    const SCHEMA: &[u8] = br#"{"type":"record","name":"r","fields":[{"name":"id","type":"long"}]}"#;

    fn container(codec: &[u8], blocks: &[(u64, Vec<u8>)]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        put_long(2, &mut bytes);
        put_text(b"avro.codec", &mut bytes);
        put_text(codec, &mut bytes);
        put_text(b"avro.schema", &mut bytes);
        put_text(SCHEMA, &mut bytes);
        put_long(0, &mut bytes);
        bytes.extend([7; SYNC_BYTES]);
        for (records, data) in blocks {
            put_long(*records, &mut bytes);
            put_text(data, &mut bytes);
            bytes.extend([7; SYNC_BYTES]);
        }
        bytes
    }

    fn ids(ids: &[u64]) -> (u64, Vec<u8>) {
        let mut data = Vec::new();
        ids.iter().for_each(|id| put_long(*id, &mut data));
        (ids.len() as u64, data)
    }

    fn read(bytes: &[u8]) -> Result<usize> {
        let dir = tempfile::tempdir().expect("dir");
        let path: PathBuf = dir.path().join("x.avro");
        std::fs::write(&path, bytes).expect("file");
        let file = SourceFile {
            name: "x.avro".to_owned(),
            place: Place::File(path),
            format: InputFormat::Avro,
            packing: Packing::Plain,
            tabs: false,
            size_bytes: bytes.len() as u64,
        };
        let mut avro = AvroFile::open(&file, None)?;
        let mut rows = 0;
        while let Some(batch) = avro.next()? {
            rows += batch.num_rows();
        }
        Ok(rows)
    }

    fn deflated(data: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        flate2::read::DeflateEncoder::new(data, flate2::Compression::fast()).read_to_end(&mut packed).expect("pack");
        packed
    }

    #[test]
    fn every_codec_gives_the_rows() {
        let (count, data) = ids(&[1, 2, 300]);
        assert_eq!(read(&container(b"null", &[(count, data.clone()), ids(&[4])])).expect("null"), 4);
        assert_eq!(read(&container(b"deflate", &[(count, deflated(&data))])).expect("deflate"), 3);
        let zstd = zstd::encode_all(data.as_slice(), 1).expect("pack");
        assert_eq!(read(&container(b"zstandard", &[(count, zstd)])).expect("zstandard"), 3);
        let mut snappy = snap::raw::Encoder::new().compress_vec(&data).expect("pack");
        let mut crc = flate2::Crc::new();
        crc.update(&data);
        snappy.extend(crc.sum().to_be_bytes());
        assert_eq!(read(&container(b"snappy", &[(count, snappy.clone())])).expect("snappy"), 3);
        let last = snappy.len() - 1;
        snappy[last] ^= 1;
        assert!(read(&container(b"snappy", &[(count, snappy)])).is_err(), "a wrong checksum");
        assert_eq!(read(&container(b"xz", &[])).expect_err("xz").kind(), ErrorKind::Unsupported);
        assert_eq!(read(&container(b"null", &[])).expect("no rows"), 0);
    }

    #[test]
    fn a_torn_file_is_never_a_shorter_one() {
        let whole = container(b"null", &[ids(&[1, 2]), ids(&[3])]);
        let header = container(b"null", &[]).len();
        let first = container(b"null", &[ids(&[1, 2])]).len();
        for end in 0..whole.len() {
            let rows = read(&whole[..end]);
            match end {
                _ if end == header => assert_eq!(rows.expect("no block"), 0),
                _ if end == first => assert_eq!(rows.expect("a block"), 2),
                _ => assert_eq!(rows.expect_err("torn").kind(), ErrorKind::Invalid, "at {end}"),
            }
        }
    }

    #[test]
    fn what_a_block_claims_is_not_believed() {
        for bad in [
            container(b"null", &[(u64::from(u32::MAX), vec![2])]),
            container(b"null", &[(1 << 40, vec![])]),
            container(b"deflate", &[(1, deflated(&vec![0; 300 << 20]))]),
            container(b"deflate", &[(1, vec![0xff; 40])]),
            [container(b"null", &[]), vec![0xff; 12]].concat(),
            b"Obj\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01".to_vec(),
        ] {
            assert_eq!(read(&bad).expect_err("refused").kind(), ErrorKind::Invalid);
        }
    }
}
