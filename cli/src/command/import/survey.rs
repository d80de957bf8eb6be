//! What the files hold: their columns, and the types that a sample of their values has.

use std::collections::HashSet;
use std::io::BufReader;

use arrow::datatypes::SchemaRef;
use lake_format::schema::{DataType, PrimitiveType, StructField, StructType, fits, from_arrow};
use lake_format::store::parquet::ParquetFile;
use lake_format::{Error, ErrorKind, Result, TableRoot};
use parquet::basic::Type as PhysicalType;

use super::avro::AvroFile;
use super::csv::{CsvReader, Record, Trouble};
use super::files::{InputFormat, Place, SourceFile};
use super::infer::Guess;
use super::ipc::ArrowFile;
use super::json::{Lines, Sample};

/// Columns of a CSV file, at most.
pub const MOST_COLUMNS: usize = 10_000;

/// How text is read.
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// Between the fields of CSV; a comma, or a tab in `.tsv` files, when absent.
    pub delimiter: Option<u8>,
    /// Whether the first record of CSV has the names.
    pub header: bool,
    /// Text that means null, besides an empty field.
    pub null_values: Vec<String>,
    /// All columns of CSV are text.
    pub all_strings: bool,
    /// Records that types are judged by.
    pub sample_rows: usize,
    /// Names of the columns of CSV without header.
    pub names: Vec<String>,
    /// Characters that a column's name may not hold become `_`.
    pub clean_names: bool,
    /// A row that can't be read is left out and counted.
    pub skip_bad: bool,
    /// Rows are also kept as they stand in the file.
    pub keep_raw: bool,
    /// Columns whose types are said, by the table or by the user, in small letters: what a sample has does not matter.
    pub known: HashSet<String>,
}

impl TextOptions {
    /// What separates the fields of `file`.
    pub fn delimiter_of(&self, file: &SourceFile) -> u8 {
        self.delimiter.unwrap_or(if file.tabs { b'\t' } else { b',' })
    }

    /// Whether the text means null. Quotes do not matter for a text that the user named.
    pub fn is_null(&self, text: &str, quoted: bool) -> bool {
        (text.is_empty() && !quoted) || self.null_values.iter().any(|null| null == text)
    }

    /// Whether the type of a column is said already.
    fn is_known(&self, name: &str) -> bool {
        self.known.contains(&self.column_name(name).to_lowercase())
    }

    /// The name of the table's column for a name in a file.
    pub fn column_name(&self, name: &str) -> String {
        if self.clean_names { name.trim().replace(|c| " ,;{}()\n\t=".contains(c), "_") } else { name.to_owned() }
    }
}

/// One file and the names it uses, in its order.
#[derive(Clone, Debug)]
pub struct Surveyed {
    /// The file.
    pub file: SourceFile,
    /// Names of its columns. Of JSON lines: all names of all JSON files' samples.
    pub names: Vec<String>,
}

/// What all files hold.
#[derive(Clone, Debug)]
pub struct Survey {
    /// The files, in order.
    pub files: Vec<Surveyed>,
    /// All columns under their names in the table, nullable, with the types that the values have.
    pub columns: StructType,
    /// Words to the user, for example on text that looks like null.
    pub remarks: Vec<String>,
}

/// Looks into every file.
///
/// # Errors
/// `Invalid` naming file and line, or the column that two files disagree on.
pub async fn survey(files: Vec<SourceFile>, options: &TextOptions) -> Result<Survey> {
    let mut surveyed: Vec<Surveyed> = Vec::new();
    let mut guesses: Vec<(String, Guess)> = Vec::new();
    let mut sample = Sample::default();
    let mut typed: Vec<(StructField, String)> = Vec::new();
    for file in files {
        let names = match file.format {
            InputFormat::Csv => survey_csv(&file, options, &mut guesses)?,
            InputFormat::Json => survey_json(&file, options, &mut sample)?,
            InputFormat::Parquet | InputFormat::Avro | InputFormat::Arrow => {
                let found = typed_columns(&file).await?;
                let names = found.fields.iter().map(|field| field.name.clone()).collect();
                typed.extend(found.fields.into_iter().map(|field| (field, file.name.clone())));
                names
            }
        };
        check_names_once(&names, &file)?;
        surveyed.push(Surveyed { file, names });
    }
    let json = sample.columns(|name| options.is_known(name))?;
    for file in surveyed.iter_mut().filter(|file| file.file.format == InputFormat::Json) {
        file.names = json.fields.iter().map(|field| field.name.clone()).collect();
    }
    let mut columns = StructType::default();
    for (name, guess) in &guesses {
        let data_type = if options.all_strings { string() } else { guess.data_type() };
        join(&mut columns, StructField::new(options.column_name(name), data_type, true), "a CSV file", options)?;
    }
    for field in json.fields {
        let name = options.column_name(&field.name);
        join(&mut columns, StructField::new(name, field.data_type, true), "a JSON file", options)?;
    }
    for (field, file) in typed {
        join(&mut columns, StructField::new(options.column_name(&field.name), field.data_type, true), &file, options)?;
    }
    let remarks = if options.all_strings { Vec::new() } else { guesses.iter().filter_map(remark).collect() };
    Ok(Survey { files: surveyed, columns, remarks })
}

fn check_names_once(names: &[String], file: &SourceFile) -> Result<()> {
    let mut seen = HashSet::new();
    match names.iter().find(|name| !seen.insert(name.to_lowercase())) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!("the column {name:?} is there twice, ignoring case"))
            .with_object(file.name.clone())
            .with_hint("nothing was written; give the columns different names")),
    }
}

fn string() -> DataType {
    DataType::Primitive(PrimitiveType::String)
}

fn remark((name, guess): &(String, Guess)) -> Option<String> {
    let (word, data_type) = guess.spoilt_by()?;
    Some(format!("column {name} is text because of {word:?}; without it it would be {data_type} (--null-value {word})"))
}

/// Adds a column, or widens the one that is there.
fn join(columns: &mut StructType, field: StructField, file: &str, options: &TextOptions) -> Result<()> {
    let Some(at) = columns.index_of(&field.name) else {
        columns.fields.push(field);
        return Ok(());
    };
    let known = &mut columns.fields[at];
    if options.is_known(&field.name) {
        return Ok(());
    }
    if fits(&field.data_type, &known.data_type) {
        Ok(())
    } else if fits(&known.data_type, &field.data_type) {
        known.data_type = field.data_type;
        Ok(())
    } else {
        let message = format!("the column is {} in one file and {} in another", known.data_type, field.data_type);
        Err(Error::invalid(message)
            .with_object(format!("{file}, column {}", field.name))
            .with_hint("declare its type with --schema, or import the files one by one"))
    }
}

/// The names of a CSV file and a reader behind its header.
///
/// # Errors
/// `Invalid` for a file without header, or one with another number of columns than was declared.
pub fn csv_names<R: std::io::BufRead>(
    reader: &mut CsvReader<R>,
    file: &SourceFile,
    options: &TextOptions,
) -> Result<Vec<String>> {
    if !options.header {
        return Ok(options.names.clone());
    }
    let mut record = Record::default();
    match reader.next(&mut record) {
        Ok(true) => {
            let names: Vec<String> =
                (0..record.len()).filter_map(|at| record.field(at)).map(|(name, _)| name.to_owned()).collect();
            check_header(&names, options).map_err(|error| error.with_object(format!("{}:1", file.name)))?;
            Ok(names)
        }
        Ok(false) => Err(Error::invalid("the file is empty: there is no header")
            .with_object(file.name.clone())
            .with_hint("use --no-header for a file without one")),
        Err(Trouble::File(error)) => Err(error),
        Err(Trouble::Record(problem)) => Err(Error::invalid(problem).with_object(format!("{}:1", file.name))),
    }
}

/// Refuses names that show that the file is not what it was taken for.
fn check_header(names: &[String], options: &TextOptions) -> Result<()> {
    if names.len() > MOST_COLUMNS {
        return Err(Error::invalid(format!("the header has {} columns, more than {MOST_COLUMNS}", names.len()))
            .with_hint("nothing was written; is the separator right (--delimiter)?"));
    }
    if let ([name], None) = (names, options.delimiter)
        && let Some((separator, shown)) = [(';', "';'"), ('\t', "'\\t'")].into_iter().find(|(c, _)| name.contains(*c))
    {
        let what = if separator == ';' { "semicolons" } else { "tabs" };
        return Err(Error::invalid(format!("the header is one column whose name holds {what}"))
            .with_hint(format!("say what separates the columns: --delimiter {shown}")));
    }
    let odd = names.iter().position(|name| options.column_name(name).contains(|c: char| c.is_control()));
    match odd {
        None => Ok(()),
        Some(at) => Err(Error::invalid(format!("the name of column {} holds a control character", at + 1))
            .with_hint("nothing was written; mend the header, if this is text at all")),
    }
}

fn survey_csv(file: &SourceFile, options: &TextOptions, guesses: &mut Vec<(String, Guess)>) -> Result<Vec<String>> {
    let input = BufReader::with_capacity(1 << 20, file.text(None)?);
    let mut reader = CsvReader::new(input, options.delimiter_of(file), file.name.clone());
    let mut names = csv_names(&mut reader, file, options)?;
    let mut own: Vec<Guess> = vec![Guess::default(); names.len()];
    let mut record = Record::default();
    for _ in 0..options.sample_rows {
        match reader.next(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(Trouble::File(error)) => return Err(error),
            // Told, or counted, when the file is read.
            Err(Trouble::Record(_)) => continue,
        }
        if names.is_empty() {
            names = (1..=record.len()).map(|at| format!("column{at}")).collect();
            own.resize(names.len(), Guess::default());
        }
        if record.len() != names.len() {
            continue;
        }
        for (at, guess) in own.iter_mut().enumerate() {
            match record.field(at) {
                Some((text, quoted)) if !options.is_null(text, quoted) => guess.see(text),
                _ => {}
            }
        }
    }
    for (name, guess) in names.iter().zip(&own) {
        match guesses.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.join(guess),
            None => guesses.push((name.clone(), guess.clone())),
        }
    }
    Ok(names)
}

fn survey_json(file: &SourceFile, options: &TextOptions, sample: &mut Sample) -> Result<Vec<String>> {
    let mut lines = Lines::new(BufReader::with_capacity(1 << 20, file.text(None)?), file.name.clone());
    let mut line = Vec::new();
    for _ in 0..options.sample_rows {
        line.clear();
        let Some(number) = lines.next(&mut line)? else { break };
        if let Err(problem) = sample.see(&line)
            && !options.skip_bad
        {
            return Err(Error::invalid(problem)
                .with_object(format!("{}:{number}", file.name))
                .with_hint("nothing was written; mend the line, or leave such lines out with --bad-rows skip"));
        }
    }
    Ok(Vec::new())
}

/// Opens a Parquet file.
///
/// # Errors
/// `Invalid` for a file that is damaged or none, `Unsupported` for what can't be read.
pub async fn open_parquet(file: &SourceFile) -> Result<ParquetFile> {
    let (root, path) = match &file.place {
        Place::Object(root, key) => (root.clone(), root.child(key)?),
        _ => TableRoot::open_file(file.local()?)?,
    };
    let opened = ParquetFile::open(&root, &path, Some(file.size_bytes)).await;
    opened.map_err(as_input)
}

/// A damaged file that a user brings is bad input, not a damaged table.
pub fn as_input(error: Error) -> Error {
    if error.kind() != ErrorKind::Corrupt {
        return error;
    }
    let mut input = Error::invalid(error.message()).with_hint("nothing was written; is it the right file and format?");
    if let Some(object) = error.object() {
        input = input.with_object(object);
    }
    match std::error::Error::source(&error) {
        Some(source) => input.with_source(source.to_string()),
        None => input,
    }
}

/// Positions of the columns that old engines wrote as INT96: instants in UTC.
pub fn instants(parquet: &ParquetFile) -> Vec<usize> {
    let descriptor = parquet.metadata().file_metadata().schema_descr();
    let fields = descriptor.root_schema().get_fields().iter().enumerate();
    let is_instant =
        fields.filter(|(_, field)| field.is_primitive() && field.get_physical_type() == PhysicalType::INT96);
    is_instant.map(|(at, _)| at).collect()
}

/// The columns of a file that names their types.
async fn typed_columns(file: &SourceFile) -> Result<StructType> {
    let schema = match file.format {
        InputFormat::Avro => AvroFile::open(file, None)?.schema(),
        InputFormat::Arrow => ArrowFile::open(file, None)?.schema(),
        _ => return parquet_columns(file).await,
    };
    from_arrow(&schema).map_err(|error| error.with_object(file.name.clone()))
}

async fn parquet_columns(file: &SourceFile) -> Result<StructType> {
    let parquet = open_parquet(file).await?;
    let schema: &SchemaRef = parquet.arrow_schema();
    let mut columns = from_arrow(schema).map_err(|error| error.with_object(file.name.clone()))?;
    for at in instants(&parquet) {
        if let Some(field) = columns.fields.get_mut(at) {
            field.data_type = DataType::Primitive(PrimitiveType::Timestamp);
        }
    }
    Ok(columns)
}
