//! Which files are read, and in which format.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use lake_format::{Error, Result};

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
}

/// One file to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its format.
    pub format: InputFormat,
    /// Whether tabs separate its fields unless something else is asked for.
    pub tabs: bool,
    /// Bytes.
    pub size_bytes: u64,
}

impl SourceFile {
    /// The file as messages name it.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }
}

const FORMAT_HINT: &str = "say which it is with --input-format csv, json or parquet";

/// The files that `paths` mean: files themselves, and of a directory all that can be imported, by name.
///
/// # Errors
/// `NotFound`, `Invalid` and `Unsupported` naming the path.
pub fn expand(paths: &[PathBuf], format: Option<InputFormat>) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for path in paths {
        if path.to_string_lossy().contains("://") {
            return Err(named(Error::unsupported("only files of this machine can be imported"), path)
                .with_hint("copy it here first, or read a Lake table there with `lake sql`"));
        }
        let metadata = std::fs::metadata(path).map_err(|error| named(error.into(), path))?;
        if metadata.is_dir() {
            files.extend(of_directory(path, format)?);
        } else if !metadata.is_file() {
            // A file is read twice, once for its types: what a pipe gave the first time would be lost.
            return Err(named(Error::unsupported("a pipe or device can't be imported"), path)
                .with_hint("write it to a file first"));
        } else {
            files.push(of_file(path, format, metadata.len())?);
        }
    }
    let mut seen = HashSet::new();
    for file in &files {
        let full = file.path.canonicalize().unwrap_or_else(|_| file.path.clone());
        if !seen.insert(full) {
            return Err(named(Error::invalid("a file is named twice: its rows would be there twice"), &file.path));
        }
    }
    Ok(files)
}

fn of_directory(directory: &Path, format: Option<InputFormat>) -> Result<Vec<SourceFile>> {
    if directory.join("_delta_log").is_dir() {
        return Err(named(
            Error::invalid("the directory is a table: not all of its files need be part of it"),
            directory,
        )
        .with_hint(format!(
            "copy its rows with `lake sql \"INSERT INTO ... SELECT * FROM '{}'\"`",
            directory.display()
        )));
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| named(error.into(), directory))? {
        let path = entry.map_err(|error| named(error.into(), directory))?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(['.', '_']));
        let metadata = std::fs::metadata(&path).map_err(|error| named(error.into(), &path))?;
        if hidden || !metadata.is_file() || (format.is_none() && by_name(&path).is_none()) {
            continue;
        }
        files.push(of_file(&path, format, metadata.len())?);
    }
    if files.is_empty() {
        return Err(named(Error::not_found("the directory has no CSV, JSON or Parquet file"), directory)
            .with_hint("files in directories below it, and those that begin with . or _, are not taken"));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn of_file(path: &Path, format: Option<InputFormat>, size_bytes: u64) -> Result<SourceFile> {
    let extension = extension(path);
    if matches!(extension.as_str(), "gz" | "zst" | "bz2" | "xz" | "zip") && format != Some(InputFormat::Parquet) {
        return Err(named(Error::unsupported("a compressed file is not read"), path).with_hint("unpack it first"));
    }
    let format = format.or_else(|| by_name(path));
    let format = format.ok_or_else(|| {
        named(Error::invalid("the name does not say which format the file has"), path).with_hint(FORMAT_HINT)
    })?;
    Ok(SourceFile { path: path.to_owned(), format, tabs: matches!(extension.as_str(), "tsv" | "tab"), size_bytes })
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn by_name(path: &Path) -> Option<InputFormat> {
    match extension(path).as_str() {
        "csv" | "tsv" | "tab" => Some(InputFormat::Csv),
        "json" | "jsonl" | "ndjson" => Some(InputFormat::Json),
        "parquet" | "parq" | "pq" => Some(InputFormat::Parquet),
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

    #[test]
    fn a_directory_gives_its_files_by_name() {
        let dir = tempfile::tempdir().expect("dir");
        for name in ["b.csv", "a.JSONL", "c.parquet", "d.tsv", "_x.csv", ".y.csv", "readme.md"] {
            std::fs::write(dir.path().join(name), "x").expect("write");
        }
        std::fs::create_dir(dir.path().join("sub.csv")).expect("sub");
        let files = expand(&[dir.path().to_owned()], None).expect("files");
        let found: Vec<_> =
            files.iter().map(|file| (file.path.file_name().and_then(|name| name.to_str()), file.format)).collect();
        assert_eq!(
            found,
            [
                (Some("a.JSONL"), InputFormat::Json),
                (Some("b.csv"), InputFormat::Csv),
                (Some("c.parquet"), InputFormat::Parquet),
                (Some("d.tsv"), InputFormat::Csv)
            ]
        );
        assert!(files[3].tabs && !files[1].tabs);
    }

    #[test]
    fn what_can_not_be_imported_is_named() {
        let dir = tempfile::tempdir().expect("dir");
        let kind = |path: PathBuf| expand(&[path], None).expect_err("refused").kind();
        assert_eq!(kind(dir.path().join("none.csv")), ErrorKind::NotFound);
        assert_eq!(kind(dir.path().to_owned()), ErrorKind::NotFound);
        assert_eq!(kind("s3://b/x.csv".into()), ErrorKind::Unsupported);
        #[cfg(unix)]
        assert_eq!(kind("/dev/null".into()), ErrorKind::Unsupported);
        let table = tempfile::tempdir().expect("dir");
        std::fs::create_dir(table.path().join("_delta_log")).expect("log");
        assert_eq!(kind(table.path().to_owned()), ErrorKind::Invalid);
        for (name, expected) in [("x.csv.gz", ErrorKind::Unsupported), ("x.dat", ErrorKind::Invalid)] {
            std::fs::write(dir.path().join(name), "x").expect("write");
            assert_eq!(kind(dir.path().join(name)), expected, "{name}");
        }
        let forced = expand(&[dir.path().join("x.dat")], Some(InputFormat::Csv)).expect("forced");
        assert_eq!(forced[0].format, InputFormat::Csv);
        let twice = [dir.path().join("x.dat"), dir.path().join("./x.dat")];
        assert_eq!(expand(&twice, Some(InputFormat::Csv)).expect_err("twice").kind(), ErrorKind::Invalid);
    }
}
