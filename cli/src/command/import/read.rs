//! The files as one stream of batches, read as fast as they are taken, within a few batches of memory.

use std::io::BufReader;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringBuilder};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::json::ReaderBuilder;
use arrow::json::reader::Decoder;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use futures::StreamExt;
use lake_format::schema::{StructType, to_arrow};
use lake_format::store::parquet::ReadColumns;
use lake_format::write::conform;
use lake_format::{Error, Input, Result};
use tokio::sync::mpsc;

use super::aside::{BadRow, Skipped};
use super::avro::AvroFile;
use super::convert::{Misfit, convert, text_field};
use super::csv::{CsvReader, Record, Trouble};
use super::files::InputFormat;
use super::floor::Floored;
use super::ipc::ArrowFile;
use super::json::{Lines, check_line};
use super::survey::{Surveyed, TextOptions, as_input, csv_names, instants, open_parquet};
use crate::output::Progress;

const BATCH_ROWS: usize = 8192;
const BATCH_BYTES: usize = 8 << 20;

/// Batches that wait for the writer.
const WAITING_BATCHES: usize = 2;

/// How all files are read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// How text is read.
    pub options: TextOptions,
    /// The columns to be made, under their names in the table.
    pub columns: StructType,
    /// Columns in which the table takes no null, in small letters.
    pub required: Vec<String>,
    /// Whether the types come from a sample: then a misfit may be the sample's fault.
    pub inferred: bool,
    /// Where rows that are left out are counted.
    pub skipped: Skipped,
    /// Where times that lose digits are counted.
    pub floored: Floored,
    /// Told of bytes and rows.
    pub progress: Progress,
}

enum Message {
    Batch(RecordBatch),
    Failed(Error),
    /// All files were read. A channel that closes without it lost its reader.
    Done,
}

type Sender = mpsc::Sender<Message>;

/// The rows of all files, in order.
///
/// # Errors
/// `Invalid` for columns that have no Arrow form.
pub fn input(files: Vec<Surveyed>, reading: Reading) -> Result<Input> {
    let schema = to_arrow(&reading.columns)?;
    let (sender, receiver) = mpsc::channel(WAITING_BATCHES);
    tokio::spawn(async move {
        let reading = Arc::new(reading);
        let last = match read_files(files, &reading, &sender).await {
            Ok(()) => Message::Done,
            Err(error) => Message::Failed(error),
        };
        // Nobody listens any more: the write has failed already.
        let _ = sender.send(last).await;
    });
    let batches = futures::stream::unfold(Some(receiver), |receiver| async {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Message::Batch(batch)) => Some((Ok(batch), Some(receiver))),
            Some(Message::Failed(error)) => Some((Err(error), None)),
            Some(Message::Done) => None,
            None => Some((Err(Error::internal("reading the files was cut short")), None)),
        }
    });
    Ok(Input::new(schema, batches.boxed()))
}

async fn read_files(files: Vec<Surveyed>, reading: &Arc<Reading>, sender: &Sender) -> Result<()> {
    for file in files {
        if file.file.format == InputFormat::Parquet {
            read_parquet(&file, reading, sender).await?;
            continue;
        }
        let (reading, sender) = (Arc::clone(reading), sender.clone());
        let read = tokio::task::spawn_blocking(move || match file.file.format {
            InputFormat::Csv => read_csv(&file, &reading, &sender),
            InputFormat::Json => read_json(&file, &reading, &sender),
            InputFormat::Avro => {
                let mut avro = AvroFile::open(&file.file, Some(&reading.progress))?;
                read_typed(&file, &reading, &sender, || avro.next())
            }
            InputFormat::Arrow | InputFormat::Parquet => {
                let mut arrow = ArrowFile::open(&file.file, Some(&reading.progress))?;
                read_typed(&file, &reading, &sender, || arrow.next())
            }
        });
        read.await.map_err(|error| Error::internal("reading a file was cut short").with_source(error))??;
    }
    Ok(())
}

/// Batches that have their types already.
fn read_typed(
    file: &Surveyed,
    reading: &Reading,
    sender: &Sender,
    mut next: impl FnMut() -> Result<Option<RecordBatch>>,
) -> Result<()> {
    while let Some(batch) = next()? {
        batch.columns().iter().for_each(|column| reading.floored.look(column));
        let batch = renamed(&batch, &reading.options, &[])?;
        let batch = conform(&batch, &reading.columns).map_err(|error| error.with_object(file.file.name.clone()))?;
        reading.progress.rows(batch.num_rows() as u64);
        // Large batches of others are cut, so that no more than a few of ours wait.
        for start in (0..batch.num_rows()).step_by(BATCH_ROWS) {
            let piece = batch.slice(start, BATCH_ROWS.min(batch.num_rows() - start));
            if sender.blocking_send(Message::Batch(piece)).is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

async fn read_parquet(file: &Surveyed, reading: &Arc<Reading>, sender: &Sender) -> Result<()> {
    let parquet = open_parquet(&file.file).await?;
    let total_rows: i64 = parquet.metadata().row_groups().iter().map(|group| group.num_rows()).sum();
    let bytes_per_row = file.file.size_bytes as f64 / total_rows.max(1) as f64;
    let instants = instants(&parquet);
    let name = file.file.name.clone();
    let each = {
        let reading = Arc::clone(reading);
        Arc::new(move |batch: RecordBatch| {
            batch.columns().iter().for_each(|column| reading.floored.look(column));
            let batch = renamed(&batch, &reading.options, &instants)?;
            conform(&batch, &reading.columns).map_err(|error| error.with_object(name.clone()))
        })
    };
    let mut reader = parquet.read(ReadColumns::All, None, BATCH_ROWS, None).map_err(as_input)?;
    while let Some(batches) = reader.next(&each).await.map_err(as_input)? {
        for batch in batches {
            reading.progress.rows(batch.num_rows() as u64);
            reading.progress.bytes((bytes_per_row * batch.num_rows() as f64) as u64);
            if sender.send(Message::Batch(batch)).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The batch under the table's names, instants as such.
fn renamed(batch: &RecordBatch, options: &TextOptions, instants: &[usize]) -> Result<RecordBatch> {
    let utc = ArrowType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let mut columns = batch.columns().to_vec();
    for &at in instants {
        if let Some(column) = columns.get_mut(at) {
            *column = cast(column, &utc).map_err(unfit)?;
        }
    }
    let fields: Fields = (batch.schema_ref().fields().iter().zip(&columns))
        .map(|(field, column)| Field::new(options.column_name(field.name()), column.data_type().clone(), true))
        .collect();
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows).map_err(unfit)
}

fn unfit(error: arrow::error::ArrowError) -> Error {
    Error::internal("the columns of a batch do not fit together").with_source(error)
}

/// The table's fields for the names of a file, in the file's order.
fn targets(names: &[String], reading: &Reading, file: &str) -> Result<Vec<FieldRef>> {
    let schema = to_arrow(&reading.columns)?;
    let found = names.iter().map(|name| {
        let at = reading.columns.index_of(&reading.options.column_name(name));
        at.map(|at| Arc::clone(&schema.fields()[at])).ok_or_else(|| {
            Error::invalid("the column is new in this file").with_object(format!("{file}, column {name}"))
        })
    });
    found.collect()
}

/// Rows of text on their way to a batch.
struct Rows<'a> {
    file: String,
    reading: &'a Reading,
    fields: Vec<FieldRef>,
    lines: Vec<u64>,
    /// The rows as they stand in the file, where they may have to be put aside.
    raws: Vec<String>,
}

impl Rows<'_> {
    /// A row that can't be read: an error, or one more that is left out.
    fn bad(&self, line: u64, reason: &str, row: Option<&str>) -> Result<()> {
        let bad = BadRow { file: &self.file, line, column: None, reason, row };
        if self.reading.options.skip_bad {
            self.reading.skipped.add(&bad);
            return Ok(());
        }
        Err(bad.error().with_hint(
            "nothing was written; mend the row, or leave such rows out with --bad-rows skip, or put them aside with \
             --bad-rows FILE",
        ))
    }

    /// Gives columns of text their types and sends them on. `false` when nobody listens any more.
    fn send(&mut self, text: &[ArrayRef], sender: &Sender) -> Result<bool> {
        let (lines, raws) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.raws));
        if lines.is_empty() {
            return Ok(true);
        }
        let mut misfits = Vec::new();
        let mut columns = Vec::with_capacity(text.len());
        for (array, field) in text.iter().zip(&self.fields) {
            if matches!(field.data_type(), ArrowType::Timestamp(..)) {
                self.reading.floored.look_at_text(array);
            }
            let column = convert(array, field.data_type(), field.name(), &mut misfits)?;
            self.find_nulls(column.as_ref(), field, &mut misfits);
            columns.push(column);
        }
        let keep = self.judge(&misfits, &lines, &raws)?;
        let fields: Fields = (self.fields.iter().zip(&columns))
            .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
            .collect();
        let rows = RecordBatchOptions::new().with_row_count(Some(lines.len()));
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut batch = RecordBatch::try_new_with_options(schema, columns, &rows).map_err(unfit)?;
        if let Some(keep) = keep {
            batch = filter_record_batch(&batch, &keep).map_err(unfit)?;
        }
        let batch = conform(&batch, &self.reading.columns).map_err(|error| error.with_object(self.file.clone()))?;
        self.reading.progress.rows(batch.num_rows() as u64);
        Ok(sender.blocking_send(Message::Batch(batch)).is_ok())
    }

    /// Rows without a value where the table wants one.
    fn find_nulls(&self, column: &dyn Array, field: &Field, misfits: &mut Vec<Misfit>) {
        let required = || self.reading.required.contains(&field.name().to_lowercase());
        if column.null_count() == 0 || !required() {
            return;
        }
        let null =
            |row: usize| Misfit { row, column: field.name().clone(), value: String::new(), wanted: String::new() };
        misfits.extend((0..column.len()).filter(|&row| column.is_null(row)).map(null));
    }

    /// Which rows stay, where not all do.
    fn judge(&self, misfits: &[Misfit], lines: &[u64], raws: &[String]) -> Result<Option<BooleanArray>> {
        let Some(first) = misfits.iter().min_by_key(|misfit| misfit.row) else { return Ok(None) };
        let reason = |misfit: &Misfit| match misfit.wanted.as_str() {
            "" => "there is no value, and the column is NOT NULL".to_owned(),
            wanted => format!("{:?} is not of type {wanted}", misfit.value),
        };
        let line = |misfit: &Misfit| lines.get(misfit.row).copied().unwrap_or_default();
        if !self.reading.options.skip_bad {
            let reason = reason(first);
            let column = Some(first.column.as_str());
            let bad = BadRow { file: &self.file, line: line(first), column, reason: &reason, row: None };
            return Err(bad.error().with_hint(self.hint(first)));
        }
        let mut keep = vec![true; lines.len()];
        for misfit in misfits {
            if let Some(keep) = keep.get_mut(misfit.row)
                && std::mem::take(keep)
            {
                self.reading.skipped.add(&BadRow {
                    file: &self.file,
                    line: line(misfit),
                    column: Some(&misfit.column),
                    reason: &reason(misfit),
                    row: raws.get(misfit.row).map(String::as_str),
                });
            }
        }
        Ok(Some(BooleanArray::from(keep)))
    }

    fn hint(&self, misfit: &Misfit) -> String {
        let leave = "leave such rows out with --bad-rows skip, or put them aside with --bad-rows FILE";
        if self.reading.inferred && !misfit.wanted.is_empty() {
            let sample = self.reading.options.sample_rows;
            return format!(
                "nothing was written; types come from the first {sample} rows: declare others with --schema, name texts \
                 for null with --null-value, read CSV as text with --all-strings, {leave}"
            );
        }
        format!("nothing was written; mend the row, name texts for null with --null-value, {leave}")
    }
}

fn read_csv(file: &Surveyed, reading: &Reading, sender: &Sender) -> Result<()> {
    let input = BufReader::with_capacity(1 << 20, file.file.text(Some(&reading.progress))?);
    let delimiter = reading.options.delimiter_of(&file.file);
    let mut reader = CsvReader::new(input, delimiter, file.file.name.clone()).keeping_raw(reading.options.keep_raw);
    csv_names(&mut reader, &file.file, &reading.options)?;
    let name = file.file.name.clone();
    let fields = targets(&file.names, reading, &name)?;
    let mut builders: Vec<StringBuilder> = fields.iter().map(|_| StringBuilder::new()).collect();
    let mut rows = Rows { file: name, reading, fields, lines: Vec::new(), raws: Vec::new() };
    let (mut record, mut bytes) = (Record::default(), 0);
    loop {
        let more = match reader.next(&mut record) {
            Ok(more) => more,
            Err(Trouble::File(error)) => return Err(error),
            Err(Trouble::Record(problem)) => {
                rows.bad(record.line, &problem, Some(&record.raw()))?;
                continue;
            }
        };
        if more && record.len() != builders.len() {
            let problem = format!("the row has {} fields, not {}", record.len(), builders.len());
            rows.bad(record.line, &problem, Some(&record.raw()))?;
            continue;
        }
        if more {
            rows.lines.push(record.line);
            if reading.options.keep_raw {
                rows.raws.push(record.raw());
            }
            for (at, builder) in builders.iter_mut().enumerate() {
                match record.field(at) {
                    Some((text, quoted)) if !reading.options.is_null(text, quoted) => {
                        bytes += text.len();
                        builder.append_value(text);
                    }
                    _ => builder.append_null(),
                }
            }
        }
        if !more || rows.lines.len() == BATCH_ROWS || bytes >= BATCH_BYTES {
            let text: Vec<ArrayRef> = builders.iter_mut().map(|builder| Arc::new(builder.finish()) as _).collect();
            bytes = 0;
            if !rows.send(&text, sender)? || !more {
                return Ok(());
            }
        }
    }
}

fn read_json(file: &Surveyed, reading: &Reading, sender: &Sender) -> Result<()> {
    let input = BufReader::with_capacity(1 << 20, file.file.text(Some(&reading.progress))?);
    let mut lines = Lines::new(input, file.file.name.clone());
    let mut names = file.names.clone();
    // Columns that the sample lacks may still come.
    let is_new = |field: &&lake_format::schema::StructField| {
        !file.names.iter().any(|name| {
            let name = reading.options.column_name(name);
            reading.columns.index_of(&name) == reading.columns.index_of(&field.name)
        })
    };
    names.extend(reading.columns.fields.iter().filter(is_new).map(|field| field.name.clone()));
    let fields = targets(&names, reading, &file.file.name)?;
    let own =
        names.iter().zip(&fields).map(|(name, field)| Field::new(name, text_field(field).data_type().clone(), true));
    let schema: SchemaRef = Arc::new(Schema::new(own.collect::<Fields>()));
    let mut rows = Rows { file: file.file.name.clone(), reading, fields, lines: Vec::new(), raws: Vec::new() };
    let (mut text, mut ends) = (Vec::new(), Vec::new());
    loop {
        let line = lines.next(&mut text)?;
        if let Some(line) = line {
            let start = ends.last().copied().unwrap_or(0);
            if let Err(problem) = check_line(&text[start..]) {
                rows.bad(line, &problem, Some(&raw(&text[start..])))?;
                text.truncate(start);
                continue;
            }
            if reading.options.keep_raw {
                rows.raws.push(raw(&text[start..]));
            }
            ends.push(text.len());
            rows.lines.push(line);
        }
        if line.is_none() || ends.len() == BATCH_ROWS || text.len() >= BATCH_BYTES {
            for (batch, lines, raws) in decode(&text, &ends, &schema, &rows)? {
                (rows.lines, rows.raws) = (lines, raws);
                if !rows.send(batch.columns(), sender)? {
                    return Ok(());
                }
            }
            text.clear();
            ends.clear();
            rows.lines.clear();
            rows.raws.clear();
            if line.is_none() {
                return Ok(());
            }
        }
    }
}

fn raw(line: &[u8]) -> String {
    String::from_utf8_lossy(line).trim_end().to_owned()
}

type Decoded = Vec<(RecordBatch, Vec<u64>, Vec<String>)>;

/// Lines as batches of text. Where some do not fit the columns' shapes, the good ones around them are kept apart.
fn decode(text: &[u8], ends: &[usize], schema: &SchemaRef, rows: &Rows<'_>) -> Result<Decoded> {
    let mut done = Vec::new();
    let mut open = vec![(0, ends.len())];
    while let Some((from, to)) = open.pop() {
        if from == to {
            continue;
        }
        let start = from.checked_sub(1).map_or(0, |before| ends[before]);
        match decode_once(&text[start..ends[to - 1]], to - from, schema) {
            Ok(batch) => {
                let raws = rows.raws.get(from..to).unwrap_or_default().to_vec();
                done.push((batch, rows.lines[from..to].to_vec(), raws));
            }
            Err(problem) if to - from == 1 => {
                rows.bad(rows.lines[from], &problem, rows.raws.get(from).map(String::as_str))?;
            }
            Err(_) => {
                let middle = from.midpoint(to);
                open.push((middle, to));
                open.push((from, middle));
            }
        }
    }
    Ok(done)
}

fn decode_once(text: &[u8], count: usize, schema: &SchemaRef) -> std::result::Result<RecordBatch, String> {
    let told = |error: arrow::error::ArrowError| {
        let text = error.to_string();
        let text = text.strip_prefix("Json error: ").unwrap_or(&text);
        match text.strip_suffix(" missing from schema") {
            Some(column) => format!("{column} is not known: it is not in the table or not in the sample of rows"),
            None => misshapen(text).unwrap_or_else(|| text.to_owned()),
        }
    };
    let builder = ReaderBuilder::new(Arc::clone(schema)).with_batch_size(count).with_coerce_primitive(true);
    let mut decoder: Decoder = builder.with_strict_mode(true).build_decoder().map_err(told)?;
    decoder.decode(text).map_err(told)?;
    let batch = decoder.flush().map_err(told)?;
    batch.filter(|batch| batch.num_rows() == count).ok_or_else(|| "the line is not one object".to_owned())
}

/// The decoder's complaint in terms of columns: every leaf is text to it.
fn misshapen(text: &str) -> Option<String> {
    let (before, got) = text.split_once(" got ")?;
    let names = before.split("whilst decoding field '").skip(1).filter_map(|part| part.split_once("':"));
    let path: Vec<&str> = names.map(|(name, _)| name).collect();
    let shown: String = got.chars().take(60).collect();
    let more = if shown.len() < got.len() { "…" } else { "" };
    (!path.is_empty()).then(|| format!("{shown}{more} does not have the shape of the column {}", path.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_shape_names_its_column() {
        let told = misshapen("whilst decoding field 'a': whilst decoding field 'b': expected string got [2]");
        assert_eq!(told.as_deref(), Some("[2] does not have the shape of the column a.b"));
        assert_eq!(misshapen("something else"), None);
    }
}
