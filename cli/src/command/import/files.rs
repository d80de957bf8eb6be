//! Which files are read, where their bytes are, and in which format.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ValueEnum;
use flate2::read::MultiGzDecoder;
use lake_format::{Error, Result, TableRoot};
use tempfile::TempPath;

use super::fetch::{self, Access};
use crate::output::Progress;

/// Format of an input file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InputFormat {
    /// Comma-separated (or as --delimiter says), with a header.
    Csv,
    /// One JSON object a line.
    #[value(alias = "ndjson", alias = "jsonl")]
    Json,
    /// Parquet.
    Parquet,
    /// Avro object container.
    Avro,
    /// Arrow IPC, file or stream.
    #[value(alias = "ipc", alias = "feather")]
    Arrow,
}

impl InputFormat {
    /// Whether it is text, which may be compressed and may hold rows that can't be read.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Csv | Self::Json)
    }
}

/// How the bytes of a text file are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Not at all.
    Plain,
    /// gzip.
    Gzip,
    /// Zstandard.
    Zstd,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub enum Place {
    /// A file of this machine.
    File(PathBuf),
    /// A copy of what came from elsewhere, removed with the last of its owners.
    Copied(Arc<TempPath>),
    /// An object that is read where it is.
    Object(TableRoot, String),
}

/// One file to be read.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// As messages name it.
    pub name: String,
    /// Where its bytes are.
    pub place: Place,
    /// Its format.
    pub format: InputFormat,
    /// How it is compressed.
    pub packing: Packing,
    /// Whether tabs separate its fields unless something else is asked for.
    pub tabs: bool,
    /// Bytes, as they are stored.
    pub size_bytes: u64,
}

impl SourceFile {
    /// The file on this machine that has the bytes.
    ///
    /// # Errors
    /// `Internal` for an object that is read where it is.
    pub fn local(&self) -> Result<&Path> {
        match &self.place {
            Place::File(path) => Ok(path),
            Place::Copied(path) => Ok(path),
            Place::Object(..) => Err(Error::internal("a file was not brought here").with_object(self.name.clone())),
        }
    }

    /// The bytes as they are stored; `progress` is told of each.
    ///
    /// # Errors
    /// What the system says.
    pub fn bytes(&self, progress: Option<&Progress>) -> Result<impl Read + Send + 'static> {
        let file = File::open(self.local()?).map_err(|error| Error::from(error).with_object(self.name.clone()))?;
        Ok(Counted(file, progress.cloned()))
    }

    /// The bytes unpacked.
    ///
    /// # Errors
    /// As [`SourceFile::bytes`].
    pub fn text(&self, progress: Option<&Progress>) -> Result<Box<dyn Read + Send>> {
        let bytes = self.bytes(progress)?;
        Ok(match self.packing {
            Packing::Plain => Box::new(bytes),
            Packing::Gzip => Box::new(Unpacked(MultiGzDecoder::new(io::BufReader::new(bytes)), "gzip")),
            Packing::Zstd => Box::new(Unpacked(zstd::stream::read::Decoder::new(bytes).map_err(Error::from)?, "zstd")),
        })
    }
}

/// Reports every byte that is read.
struct Counted<R>(R, Option<Progress>);

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        if let Some(progress) = &self.1 {
            progress.bytes(read as u64);
        }
        Ok(read)
    }
}

/// Damage of a compressed file is bad input, not trouble of the system.
struct Unpacked<R>(R, &'static str);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("the {} data is damaged or cut short: {error}", self.1),
            ),
        })
    }
}

const FORMAT_HINT: &str = "say which it is with --input-format csv, json, parquet, avro or arrow";

/// What a file's name and the command line say of it.
pub struct Kind {
    pub format: InputFormat,
    pub packing: Packing,
    pub tabs: bool,
}

/// The kind of the file called `path`; `format` wins over the name.
///
/// # Errors
/// `Invalid` for a name that says nothing, `Unsupported` for a compression that is not read.
pub fn kind_of(path: &Path, format: Option<InputFormat>) -> Result<Kind> {
    let outer = extension(path);
    let (inner, packing) = match outer.as_str() {
        "gz" | "gzip" => (path.with_extension(""), Packing::Gzip),
        "zst" | "zstd" => (path.with_extension(""), Packing::Zstd),
        "bz2" | "xz" | "zip" | "lz4" | "br" | "7z" | "tar" | "tgz" if format.is_none_or(InputFormat::is_text) => {
            return Err(named(Error::unsupported(format!("a file compressed as {outer} is not read")), path)
                .with_hint("unpack it first; gzip (.gz) and Zstandard (.zst) are read as they are"));
        }
        _ => (path.to_owned(), Packing::Plain),
    };
    let format = format.or_else(|| by_name(&inner));
    let format = format.ok_or_else(|| {
        named(Error::invalid("the name does not say which format the file has"), path).with_hint(FORMAT_HINT)
    })?;
    if packing != Packing::Plain && !format.is_text() {
        return Err(named(Error::unsupported("only CSV and JSON lines are read compressed"), path)
            .with_hint("unpack it first; Parquet, Avro and Arrow files are compressed inside"));
    }
    Ok(Kind { format, packing, tabs: matches!(extension(&inner).as_str(), "tsv" | "tab") })
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn by_name(path: &Path) -> Option<InputFormat> {
    match extension(path).as_str() {
        "csv" | "tsv" | "tab" => Some(InputFormat::Csv),
        "json" | "jsonl" | "ndjson" => Some(InputFormat::Json),
        "parquet" | "parq" | "pq" => Some(InputFormat::Parquet),
        "avro" => Some(InputFormat::Avro),
        "arrow" | "arrows" | "ipc" | "feather" => Some(InputFormat::Arrow),
        _ => None,
    }
}

/// Whether a directory's file of that name is taken.
pub fn is_taken(name: &str, format: Option<InputFormat>) -> bool {
    !name.starts_with(['.', '_']) && kind_of(Path::new(name), format).is_ok()
}

/// The files that `inputs` mean: files, URLs and patterns for them, `-` for standard input, and of a directory all that
/// can be imported, by name. What is not on this machine is brought here, but for Parquet, which is read where it is.
///
/// # Errors
/// `NotFound`, `Invalid` and `Unsupported` naming the input.
pub async fn expand(inputs: &[String], format: Option<InputFormat>, access: &Access) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for input in inputs {
        match input.split_once("://") {
            _ if input == "-" => files.push(fetch::standard_input(format, access).await?),
            Some(("http" | "https", _)) => files.push(fetch::web(input, format, access).await?),
            Some(("file", _)) => {
                let path = url::Url::parse(input).ok().and_then(|url| url.to_file_path().ok());
                let path = path.ok_or_else(|| Error::invalid("not the URL of a file").with_object(input.clone()))?;
                files.extend(of_path(&path, format, access).await?);
            }
            Some(_) => files.extend(fetch::objects(input, format, access).await?),
            None => files.extend(of_path(Path::new(input), format, access).await?),
        }
    }
    let mut seen = HashSet::new();
    for file in &files {
        let identity = match &file.place {
            Place::File(path) => path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string(),
            _ => file.name.clone(),
        };
        if !seen.insert(identity) {
            return Err(
                Error::invalid("a file is named twice: its rows would be there twice").with_object(file.name.clone())
            );
        }
    }
    Ok(files)
}

async fn of_path(path: &Path, format: Option<InputFormat>, access: &Access) -> Result<Vec<SourceFile>> {
    let metadata = match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && is_pattern(&path.to_string_lossy()) => {
            return of_pattern(path, format);
        }
        found => found.map_err(|error| named(error.into(), path))?,
    };
    if metadata.is_dir() {
        return of_directory(path, format);
    }
    if metadata.is_file() {
        return Ok(vec![of_file(path, format, metadata.len())?]);
    }
    #[cfg(unix)]
    if std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type()) {
        return Ok(vec![fetch::pipe(path, format, access).await?]);
    }
    let _ = access;
    Err(named(Error::unsupported("a device can't be imported"), path).with_hint("write it to a file first"))
}

/// Whether the text may stand for several names.
pub fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

/// How patterns match: `*` stays within a directory, `**` does not, and hidden names are not meant.
pub const MATCHING: glob::MatchOptions =
    glob::MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

fn of_pattern(pattern: &Path, format: Option<InputFormat>) -> Result<Vec<SourceFile>> {
    let text = pattern.to_string_lossy();
    let paths = glob::glob_with(&text, MATCHING)
        .map_err(|error| named(Error::invalid(format!("not a pattern: {}", error.msg)), pattern))?;
    let mut files = Vec::new();
    for path in paths {
        let path =
            path.map_err(|error| named(Error::unavailable("a directory can't be read").with_source(error), pattern))?;
        let metadata = std::fs::metadata(&path).map_err(|error| named(error.into(), &path))?;
        if metadata.is_file() {
            files.push(of_file(&path, format, metadata.len())?);
        }
    }
    if files.is_empty() {
        return Err(named(Error::not_found("no file matches the pattern"), pattern));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

fn of_directory(directory: &Path, format: Option<InputFormat>) -> Result<Vec<SourceFile>> {
    if directory.join("_delta_log").is_dir() {
        return Err(is_table(&directory.display().to_string()));
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| named(error.into(), directory))? {
        let path = entry.map_err(|error| named(error.into(), directory))?.path();
        let metadata = std::fs::metadata(&path).map_err(|error| named(error.into(), &path))?;
        let taken = path.file_name().is_some_and(|name| is_taken(&name.to_string_lossy(), format));
        if taken && metadata.is_file() {
            files.push(of_file(&path, format, metadata.len())?);
        }
    }
    if files.is_empty() {
        return Err(nothing_in(&directory.display().to_string()));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// A directory that is a table is not a heap of files.
pub fn is_table(directory: &str) -> Error {
    Error::invalid("the directory is a table: not all of its files need be part of it")
        .with_object(directory.to_owned())
        .with_hint(format!("copy its rows with `lake sql \"INSERT INTO ... SELECT * FROM '{directory}'\"`"))
}

/// Nothing of a directory is taken.
pub fn nothing_in(directory: &str) -> Error {
    Error::not_found("the directory has no CSV, JSON, Parquet, Avro or Arrow file")
        .with_object(directory.to_owned())
        .with_hint("files in directories below it, and those that begin with . or _, are not taken; a pattern like dir/**/*.csv takes them")
}

fn of_file(path: &Path, format: Option<InputFormat>, size_bytes: u64) -> Result<SourceFile> {
    let Kind { format, packing, tabs } = match kind_of(path, format) {
        Err(error) => match by_content(path) {
            Some(format) => Kind { format, packing: Packing::Plain, tabs: false },
            None => return Err(error),
        },
        kind => kind?,
    };
    Ok(SourceFile {
        name: path.display().to_string(),
        place: Place::File(path.to_owned()),
        format,
        packing,
        tabs,
        size_bytes,
    })
}

/// The format of a file that names itself in its first bytes.
fn by_content(path: &Path) -> Option<InputFormat> {
    let mut start = [0; 6];
    File::open(path).ok()?.read_exact(&mut start).ok()?;
    match &start {
        b"ARROW1" => Some(InputFormat::Arrow),
        start if start.starts_with(b"PAR1") => Some(InputFormat::Parquet),
        start if start.starts_with(b"Obj\x01") => Some(InputFormat::Avro),
        _ => None,
    }
}

fn named(error: Error, path: &Path) -> Error {
    error.with_object(path.display().to_string())
}

#[cfg(test)]
mod tests {
    use lake_format::ErrorKind;

    use super::*;

    fn expand_now(inputs: &[PathBuf], format: Option<InputFormat>) -> Result<Vec<SourceFile>> {
        let inputs: Vec<String> = inputs.iter().map(|path| path.display().to_string()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(expand(&inputs, format, &Access::default()))
    }

    #[test]
    fn a_directory_gives_its_files_by_name() {
        let dir = tempfile::tempdir().expect("dir");
        for name in ["b.csv", "a.JSONL", "c.parquet", "d.tsv.gz", "_x.csv", ".y.csv", "readme.md", "e.avro", "f.arrow"]
        {
            std::fs::write(dir.path().join(name), "x").expect("write");
        }
        std::fs::create_dir(dir.path().join("sub.csv")).expect("sub");
        let files = expand_now(&[dir.path().to_owned()], None).expect("files");
        let found: Vec<_> = files.iter().map(|file| (file.name.rsplit('/').next(), file.format)).collect();
        assert_eq!(
            found,
            [
                (Some("a.JSONL"), InputFormat::Json),
                (Some("b.csv"), InputFormat::Csv),
                (Some("c.parquet"), InputFormat::Parquet),
                (Some("d.tsv.gz"), InputFormat::Csv),
                (Some("e.avro"), InputFormat::Avro),
                (Some("f.arrow"), InputFormat::Arrow)
            ]
        );
        assert!(files[3].tabs && files[3].packing == Packing::Gzip && !files[1].tabs);
        let matched = expand_now(&[dir.path().join("[bd].*")], None).expect("pattern");
        assert_eq!(matched.len(), 2);
        assert_eq!(expand_now(&[dir.path().join("*.xls")], None).expect_err("nothing").kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_can_not_be_imported_is_named() {
        let dir = tempfile::tempdir().expect("dir");
        let kind = |path: PathBuf| expand_now(&[path], None).expect_err("refused").kind();
        assert_eq!(kind(dir.path().join("none.csv")), ErrorKind::NotFound);
        assert_eq!(kind(dir.path().to_owned()), ErrorKind::NotFound);
        assert_eq!(kind("ftp://b/x.csv".into()), ErrorKind::Unsupported);
        assert_eq!(kind("-".into()), ErrorKind::Invalid, "standard input needs a format");
        #[cfg(unix)]
        assert_eq!(kind("/dev/null".into()), ErrorKind::Unsupported);
        let table = tempfile::tempdir().expect("dir");
        std::fs::create_dir(table.path().join("_delta_log")).expect("log");
        assert_eq!(kind(table.path().to_owned()), ErrorKind::Invalid);
        for (name, expected) in [
            ("x.csv.bz2", ErrorKind::Unsupported),
            ("x.parquet.gz", ErrorKind::Unsupported),
            ("x.dat", ErrorKind::Invalid),
        ] {
            std::fs::write(dir.path().join(name), "x").expect("write");
            assert_eq!(kind(dir.path().join(name)), expected, "{name}");
        }
        let forced = expand_now(&[dir.path().join("x.dat")], Some(InputFormat::Csv)).expect("forced");
        assert_eq!(forced[0].format, InputFormat::Csv);
        let twice = [dir.path().join("x.dat"), dir.path().join("./x.dat")];
        assert_eq!(expand_now(&twice, Some(InputFormat::Csv)).expect_err("twice").kind(), ErrorKind::Invalid);
    }
}
