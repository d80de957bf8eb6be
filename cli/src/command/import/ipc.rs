//! Arrow IPC, files and streams alike: messages checked for what they claim, then decoded to batches.

use std::io::{BufReader, Read};
use std::panic::AssertUnwindSafe;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::{MessageHeader, root_as_message};
use lake_format::{Error, Result};

use super::files::SourceFile;
use crate::output::Progress;

/// Bytes of a message's description, at most.
const HEADER_BYTES: u32 = 64 << 20;
/// Bytes of one batch, at most, as stored and as unpacked.
const BATCH_BYTES: i64 = 1 << 30;
const CONTINUES: [u8; 4] = [0xff; 4];
const MAGIC: &[u8] = b"ARROW1";
/// Words of four bytes between the mark and the first message, at most, and one.
const PADDING_WORDS: usize = 15;

/// Places and lengths of the buffers in a message's body.
type Buffers = Vec<(usize, usize)>;

/// Arrow data whose schema was read. A file holds the same messages as a stream, between two marks and before a list
/// of their places, which is not needed.
pub struct ArrowFile {
    input: Box<dyn Read + Send>,
    decoder: StreamDecoder,
    schema: SchemaRef,
    left: u64,
    is_file: bool,
    name: String,
}

impl ArrowFile {
    /// Opens a file. `progress` is told of the bytes read.
    ///
    /// # Errors
    /// `Invalid` for a file that is damaged or none.
    pub fn open(file: &SourceFile, progress: Option<&Progress>) -> Result<Self> {
        let input: Box<dyn Read + Send> = Box::new(BufReader::with_capacity(1 << 20, file.bytes(progress)?));
        let mut opened = Self {
            input,
            decoder: StreamDecoder::new(),
            schema: SchemaRef::new(arrow::datatypes::Schema::empty()),
            left: file.size_bytes,
            is_file: false,
            name: file.name.clone(),
        };
        let mut start = opened.take(4)?;
        if start == MAGIC[..4] {
            if opened.take(4)?[..2] != MAGIC[4..] {
                return Err(opened.damaged("the file does not begin as an Arrow file does"));
            }
            // The mark is padded to a multiple of 8 bytes, or of 64.
            for _ in 0..PADDING_WORDS {
                start = opened.take(4)?;
                if start != [0; 4] {
                    break;
                }
            }
            opened.is_file = true;
        }
        opened.decoder.decode(&mut Buffer::from_vec(CONTINUES.to_vec())).map_err(|e| opened.damaged(&e.to_string()))?;
        opened.message(start)?;
        let schema = opened.decoder.schema();
        opened.schema = schema.ok_or_else(|| opened.damaged("the first message is not a schema"))?;
        Ok(opened)
    }

    /// Its columns.
    pub fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }

    /// The next rows; `None` at the end.
    ///
    /// # Errors
    /// `Invalid` for a damaged file.
    pub fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            // A stream may end where a message would begin; a file says that it ends.
            if self.left == 0 && !self.is_file {
                return Ok(None);
            }
            let start = self.take(4)?;
            match self.message(start)? {
                Step::Batch(batch) => return Ok(Some(batch)),
                Step::More => {}
                Step::End => return Ok(None),
            }
        }
    }

    /// Reads the message that begins with `start`.
    fn message(&mut self, start: Vec<u8>) -> Result<Step> {
        let length = if start == CONTINUES { self.take(4)? } else { start };
        let bytes: [u8; 4] = length.try_into().map_err(|_| self.damaged("the file is cut short"))?;
        let length = u32::from_le_bytes(bytes);
        if length == 0 {
            return Ok(Step::End);
        }
        if length > HEADER_BYTES {
            return Err(self.damaged("a message claims a description of more than 64 MiB"));
        }
        let header = self.take(u64::from(length))?;
        let (body_bytes, packed) = self.checked(&header)?;
        let body = self.take(body_bytes)?;
        if let Some(places) = packed {
            self.check_unpacked(&body, &places)?;
        }
        let described = [&bytes[..], &header].concat();
        let decoder = &mut self.decoder;
        let decoded = std::panic::catch_unwind(AssertUnwindSafe(move || {
            let mut found = None;
            // A message without body is looked at only when more comes: the mark that the next one begins with.
            for part in [described, body, CONTINUES.to_vec()] {
                let mut part = Buffer::from_vec(part);
                while !part.is_empty() {
                    found = decoder.decode(&mut part).map_err(|error| error.to_string())?.or(found);
                }
            }
            Ok::<Step, String>(found.map_or(Step::More, Step::Batch))
        }));
        match decoded {
            Ok(Ok(step)) => Ok(step),
            Ok(Err(cause)) => Err(self.damaged(&cause)),
            Err(_) => Err(self.damaged("the content makes no sense to the decoder")),
        }
    }

    /// The length of a message's body and, where it is compressed, the places of its buffers.
    fn checked(&self, header: &[u8]) -> Result<(u64, Option<Buffers>)> {
        let message = root_as_message(header).map_err(|error| self.damaged(&error.to_string()))?;
        let body = message.bodyLength();
        let bytes = u64::try_from(body).ok().filter(|bytes| *bytes <= self.left);
        let bytes = bytes.ok_or_else(|| self.damaged("a message claims more bytes than the file has"))?;
        if body > BATCH_BYTES {
            return Err(Error::unsupported("a batch of more than 1 GiB is not read")
                .with_object(self.name.clone())
                .with_hint("nothing was written; write the file again with smaller batches"));
        }
        let batch = match message.header_type() {
            MessageHeader::RecordBatch => message.header_as_record_batch(),
            MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
            MessageHeader::Schema => None,
            _ => return Err(Error::unsupported("only tables are read, not tensors").with_object(self.name.clone())),
        };
        let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok((bytes, None)) };
        let mut places = Vec::new();
        for buffer in batch.buffers().into_iter().flatten() {
            let place = usize::try_from(buffer.offset()).ok().zip(usize::try_from(buffer.length()).ok());
            let place = place.filter(|(at, length)| at.checked_add(*length).is_some_and(|end| end as u64 <= bytes));
            places.push(place.ok_or_else(|| self.damaged("a buffer lies outside its message"))?);
        }
        Ok((bytes, Some(places)))
    }

    /// Each compressed buffer says first how long it is unpacked: memory of that size would be taken.
    fn check_unpacked(&self, body: &[u8], places: &[(usize, usize)]) -> Result<()> {
        let mut total: i64 = 0;
        for &(at, length) in places.iter().filter(|(_, length)| *length > 0) {
            let Some(prefix) = body.get(at..at + length).and_then(|buffer| buffer.first_chunk::<8>()) else {
                return Err(self.damaged("a compressed buffer has no length"));
            };
            match i64::from_le_bytes(*prefix) {
                // Not compressed after all.
                -1 => {}
                unpacked if unpacked < 0 => return Err(self.damaged("a buffer has a negative length")),
                unpacked => total = total.saturating_add(unpacked),
            }
        }
        if total > BATCH_BYTES {
            return Err(self.damaged("a batch claims to be more than 1 GiB when it is unpacked"));
        }
        Ok(())
    }

    fn take(&mut self, bytes: u64) -> Result<Vec<u8>> {
        let mut taken = Vec::new();
        if bytes <= self.left {
            let read = (&mut self.input).take(bytes).read_to_end(&mut taken);
            read.map_err(|error| Error::from(error).with_object(self.name.clone()))?;
        }
        if taken.len() as u64 != bytes {
            return Err(self.damaged("the file is cut short"));
        }
        self.left -= bytes;
        Ok(taken)
    }

    fn damaged(&self, cause: &str) -> Error {
        Error::invalid("not readable as Arrow IPC")
            .with_object(self.name.clone())
            .with_hint("nothing was written; is it the right file and format?")
            .with_source(cause.to_owned())
    }
}

enum Step {
    Batch(RecordBatch),
    More,
    End,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
    use lake_format::ErrorKind;

    use super::*;
    use crate::command::import::files::{InputFormat, Packing, Place};

    fn batch(rows: i64) -> RecordBatch {
        let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..rows));
        let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|n| format!("name {}", n % 7))));
        let names = arrow::compute::cast(
            &names,
            &arrow::datatypes::DataType::Dictionary(
                Box::new(arrow::datatypes::DataType::Int32),
                Box::new(arrow::datatypes::DataType::Utf8),
            ),
        );
        RecordBatch::try_from_iter([("id", ids), ("name", names.expect("dictionary"))]).expect("batch")
    }

    fn written(file: bool, compression: Option<CompressionType>, batches: &[RecordBatch]) -> Vec<u8> {
        let options = IpcWriteOptions::default().try_with_compression(compression).expect("options");
        let schema = batch(0).schema();
        if file {
            let mut writer = FileWriter::try_new_with_options(Vec::new(), &schema, options).expect("writer");
            batches.iter().for_each(|batch| writer.write(batch).expect("write"));
            return writer.into_inner().expect("end");
        }
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).expect("writer");
        batches.iter().for_each(|batch| writer.write(batch).expect("write"));
        writer.into_inner().expect("end")
    }

    fn read(bytes: &[u8]) -> Result<usize> {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("x.arrow");
        std::fs::write(&path, bytes).expect("file");
        let file = SourceFile {
            name: "x.arrow".to_owned(),
            place: Place::File(path),
            format: InputFormat::Arrow,
            packing: Packing::Plain,
            tabs: false,
            size_bytes: bytes.len() as u64,
        };
        let mut arrow = ArrowFile::open(&file, None)?;
        let mut rows = 0;
        while let Some(batch) = arrow.next()? {
            rows += batch.num_rows();
        }
        Ok(rows)
    }

    #[test]
    fn files_and_streams_give_their_rows() {
        // A file has one dictionary for all its batches.
        let whole = batch(1000);
        let batches = [whole.clone(), whole.slice(0, 0), whole.slice(7, 5)];
        for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
            for file in [true, false] {
                assert_eq!(read(&written(file, compression, &batches)).expect("rows"), 1005);
                assert_eq!(read(&written(file, compression, &[])).expect("no rows"), 0);
            }
        }
    }

    #[test]
    fn torn_and_flipped_bytes_never_break_the_program() {
        for compression in [None, Some(CompressionType::LZ4_FRAME)] {
            let whole = written(true, compression, &[batch(40)]);
            for end in (0..whole.len()).step_by(7) {
                match read(&whole[..end]) {
                    // The list of places at the end is not needed.
                    Ok(rows) => assert_eq!(rows, 40, "at {end}"),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Invalid, "at {end}"),
                }
                let mut flipped = whole.clone();
                flipped[end] ^= 0xff;
                let _ = read(&flipped);
            }
        }
    }
}
