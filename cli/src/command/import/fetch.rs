//! Input from elsewhere: standard input, pipes, the web and object stores, brought to this machine.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use lake_format::{Error, ErrorKind, Result, StoreOptions, TableRoot};
use tempfile::{NamedTempFile, TempPath};
use url::Url;

use super::files::{
    InputFormat, Kind, MATCHING, Packing, Place, SourceFile, is_pattern, is_table, is_taken, kind_of, nothing_in,
};
use crate::context::Context;
use crate::output::{Output, Progress};

const COPY_BYTES: usize = 1 << 20;

/// How input is reached, and where a copy of it goes.
#[derive(Clone, Debug, Default)]
pub struct Access {
    store: StoreOptions,
    spill_dir: Option<PathBuf>,
    output: Option<Output>,
}

impl Access {
    /// As this run of the program is set up.
    pub fn of(context: &Context) -> Self {
        Self {
            store: context.store().clone(),
            spill_dir: context.settings().spill_dir.clone(),
            output: Some(context.output().clone()),
        }
    }

    fn new_copy(&self, name: &str) -> Result<Copy> {
        let directory = self.spill_dir.clone().unwrap_or_else(std::env::temp_dir);
        let file = tempfile::Builder::new().prefix("lake-import-").tempfile_in(&directory);
        let file = file.map_err(|error| unwritable(error, &directory))?;
        let progress = self.output.as_ref().map(|output| output.progress("fetch", 0));
        Ok(Copy { file, directory, name: name.to_owned(), size_bytes: 0, progress })
    }
}

/// A file that is being brought here.
struct Copy {
    file: NamedTempFile,
    directory: PathBuf,
    name: String,
    size_bytes: u64,
    progress: Option<Progress>,
}

impl Copy {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.size_bytes += bytes.len() as u64;
        if let Some(progress) = &self.progress {
            progress.bytes(bytes.len() as u64);
        }
        self.file.write_all(bytes).map_err(|error| unwritable(error, &self.directory))
    }

    fn done(mut self, kind: Kind) -> Result<SourceFile> {
        self.file.flush().map_err(|error| unwritable(error, &self.directory))?;
        if let Some(progress) = &self.progress {
            progress.finish();
        }
        let Kind { format, packing, tabs } = kind;
        let path: TempPath = self.file.into_temp_path();
        let place = Place::Copied(Arc::new(path));
        Ok(SourceFile { name: self.name, place, format, packing, tabs, size_bytes: self.size_bytes })
    }
}

fn unwritable(error: std::io::Error, directory: &Path) -> Error {
    Error::from(error)
        .with_object(directory.display().to_string())
        .with_hint("nothing was written to the table; name a directory with room for a copy of the input: --spill-dir")
}

/// All of standard input.
///
/// # Errors
/// `Invalid` where the format was not said.
pub async fn standard_input(format: Option<InputFormat>, access: &Access) -> Result<SourceFile> {
    let Some(format) = format else {
        return Err(Error::invalid("standard input has no name that says its format")
            .with_object("-")
            .with_hint("say it with --input-format csv, json, parquet, avro or arrow"));
    };
    copy_of(std::io::stdin(), "standard input", format, access).await
}

/// All that comes out of a pipe with a name.
///
/// # Errors
/// `Invalid` where neither the name nor the command line says the format.
pub async fn pipe(path: &Path, format: Option<InputFormat>, access: &Access) -> Result<SourceFile> {
    let format = kind_of(path, format)?.format;
    let named = |error: std::io::Error| Error::from(error).with_object(path.display().to_string());
    // Opening waits for the writer.
    let opening = path.to_owned();
    let file = tokio::task::spawn_blocking(move || std::fs::File::open(opening)).await.map_err(cut_short)?;
    copy_of(file.map_err(named)?, &path.display().to_string(), format, access).await
}

async fn copy_of(
    mut from: impl Read + Send + 'static,
    name: &str,
    format: InputFormat,
    access: &Access,
) -> Result<SourceFile> {
    let mut copy = access.new_copy(name)?;
    let copied = tokio::task::spawn_blocking(move || {
        let mut buffer = vec![0; COPY_BYTES];
        let mut packing = None;
        loop {
            let read = match from.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.map_err(|error| Error::from(error).with_object(copy.name.clone()))?,
            };
            if read == 0 {
                break;
            }
            packing.get_or_insert_with(|| packing_of(&buffer[..read], format));
            copy.write(&buffer[..read])?;
        }
        copy.done(Kind { format, packing: packing.unwrap_or(Packing::Plain), tabs: false })
    });
    copied.await.map_err(cut_short)?
}

/// How text that has no name is compressed.
fn packing_of(start: &[u8], format: InputFormat) -> Packing {
    match start {
        _ if !format.is_text() => Packing::Plain,
        [0x1f, 0x8b, ..] => Packing::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Packing::Zstd,
        _ => Packing::Plain,
    }
}

fn cut_short(error: tokio::task::JoinError) -> Error {
    Error::internal("reading the input was cut short").with_source(error)
}

/// A file that a web server has.
///
/// # Errors
/// By the answer of the server.
pub async fn web(address: &str, format: Option<InputFormat>, access: &Access) -> Result<SourceFile> {
    let named = |error: Error| error.with_object(shown(address));
    let url = Url::parse(address).map_err(|error| named(Error::invalid("not a URL").with_source(error)))?;
    let kind = kind_of(Path::new(url.path()), format).map_err(|error| match error.kind() {
        ErrorKind::Invalid => named(Error::invalid("the address does not say which format the file has"))
            .with_hint("say which it is with --input-format csv, json, parquet, avro or arrow"),
        _ => error,
    })?;
    let failed = |error: reqwest::Error| {
        named(Error::unavailable("the web server did not answer as it should").with_source(error.without_url()))
    };
    let client = reqwest::Client::builder()
        .connect_timeout(Duration::from_secs(10))
        .read_timeout(Duration::from_secs(60))
        .user_agent(concat!("lake/", env!("CARGO_PKG_VERSION")));
    let mut answer = client.build().map_err(failed)?.get(url).send().await.map_err(failed)?;
    let status = answer.status();
    if !status.is_success() {
        let kind = match status.as_u16() {
            404 | 410 => ErrorKind::NotFound,
            401 | 403 => ErrorKind::Denied,
            400..500 => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        return Err(named(Error::new(kind, format!("the web server answered {status}"))));
    }
    let mut copy = access.new_copy(&shown(address))?;
    let wanted = answer.content_length();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        copy.write(&chunk)?;
    }
    if wanted.is_some_and(|wanted| wanted != copy.size_bytes) {
        return Err(named(Error::unavailable("the web server sent less than it had promised")));
    }
    copy.done(kind)
}

/// The address without what may be a secret.
fn shown(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else { return address.to_owned() };
    let _ = url.set_username("").and_then(|()| url.set_password(None));
    url.set_query(None);
    url.to_string()
}

/// The objects that the URL of an object store means: one, those of a pattern, or those right below a prefix.
///
/// # Errors
/// `NotFound` when there are none, and those of the store.
pub async fn objects(address: &str, format: Option<InputFormat>, access: &Access) -> Result<Vec<SourceFile>> {
    let (scheme, rest) = address.split_once("://").unwrap_or_default();
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    let known = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl"];
    if !known.contains(&scheme) {
        return Err(Error::unsupported(format!("files can't be read from {scheme}://"))
            .with_object(address.to_owned())
            .with_hint("use a path, or a URL that begins with file, s3, gs, az, http or https"));
    }
    let root = TableRoot::open_remote(&format!("{scheme}://{bucket}"), &access.store)?;
    let key = key.trim_end_matches('/');
    let found: Vec<(String, u64)> = match is_pattern(key) {
        true => matching(&root, key).await?,
        false if key.is_empty() => below(&root, key, format).await?,
        false => match root.head(&root.child(key)?).await? {
            Some(object) => vec![(key.to_owned(), object.size_bytes)],
            None => below(&root, key, format).await?,
        },
    };
    if found.is_empty() {
        return Err(
            Error::not_found("no object is there, or none that can be imported").with_object(address.to_owned())
        );
    }
    let mut files = Vec::with_capacity(found.len());
    for (key, size_bytes) in found {
        let name = format!("{scheme}://{bucket}/{key}");
        let kind = kind_of(Path::new(&name), format)?;
        if kind.format == InputFormat::Parquet {
            let place = Place::Object(root.clone(), key);
            let Kind { format, packing, tabs } = kind;
            files.push(SourceFile { name, place, format, packing, tabs, size_bytes });
        } else {
            files.push(bring(&root, &key, &name, kind, access).await?);
        }
    }
    Ok(files)
}

async fn matching(root: &TableRoot, key: &str) -> Result<Vec<(String, u64)>> {
    let invalid =
        |error: glob::PatternError| Error::invalid(format!("not a pattern: {}", error.msg)).with_object(key.to_owned());
    let pattern = glob::Pattern::new(key).map_err(invalid)?;
    let fixed = key.split('/').take_while(|part| !is_pattern(part)).collect::<Vec<_>>().join("/");
    let mut found: Vec<(String, u64)> = root
        .list(&fixed)
        .await?
        .into_iter()
        .filter_map(|object| Some((root.relative(&object.path)?, object.size_bytes)))
        .filter(|(key, _)| pattern.matches_with(key, MATCHING))
        .collect();
    found.sort();
    Ok(found)
}

async fn below(root: &TableRoot, key: &str, format: Option<InputFormat>) -> Result<Vec<(String, u64)>> {
    let start = if key.is_empty() { String::new() } else { format!("{key}/") };
    let mut found = Vec::new();
    let objects = root.list(key).await?;
    if objects.is_empty() {
        return Ok(found);
    }
    for object in objects {
        let Some(full) = root.relative(&object.path) else { continue };
        let Some(name) = full.strip_prefix(&start) else { continue };
        if name.starts_with("_delta_log/") {
            return Err(is_table(&format!("{}/{key}", root.display())));
        }
        if !name.contains('/') && is_taken(name, format) {
            found.push((full, object.size_bytes));
        }
    }
    if found.is_empty() {
        return Err(nothing_in(&format!("{}/{key}", root.display())));
    }
    found.sort();
    Ok(found)
}

async fn bring(root: &TableRoot, key: &str, name: &str, kind: Kind, access: &Access) -> Result<SourceFile> {
    let mut copy = access.new_copy(name)?;
    let mut chunks = root.stream(&root.child(key)?).await?;
    while let Some(chunk) = chunks.next().await {
        let chunk: Bytes = chunk?;
        copy.write(&chunk)?;
    }
    copy.done(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        assert_eq!(shown("https://u:p@h/a.csv?sig=1"), "https://h/a.csv");
    }

    #[test]
    fn text_without_a_name_tells_its_packing() {
        assert_eq!(packing_of(&[0x1f, 0x8b, 8], InputFormat::Csv), Packing::Gzip);
        assert_eq!(packing_of(&[0x28, 0xb5, 0x2f, 0xfd], InputFormat::Json), Packing::Zstd);
        assert_eq!(packing_of(&[0x1f, 0x8b, 8], InputFormat::Avro), Packing::Plain);
        assert_eq!(packing_of(b"", InputFormat::Csv), Packing::Plain);
    }
}
