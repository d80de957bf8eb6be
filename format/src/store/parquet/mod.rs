//! Parquet files on a store: read and written in pieces, off the reactor, with errors sorted by kind.

mod batches;
mod footers;
mod index;
mod object;
mod read;
mod row_group;
mod thrift;
mod upload;
mod write;

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use object_store::path::Path;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::errors::ParquetError;

use super::TableRoot;
use crate::error::{Error, Result};

pub use batches::BatchReader;
pub(super) use footers::FooterCache;
pub use read::{ParquetFile, ReadColumns};
pub(super) use upload::Upload;
pub use write::{ParquetOptions, ParquetWriter};

/// Rows per batch where the caller does not say.
const BATCH_ROWS: usize = 8192;

/// Reads the top-level `columns` of a whole file, all when `None`. A column that the file lacks is left out. Types are
/// those that Parquet itself names; an Arrow schema that a writer hid in the footer is not looked at.
///
/// # Errors
/// `NotFound`, `Corrupt` for damaged content, `Unsupported` for a codec that this build lacks; the file is named.
pub async fn read_batches(root: &TableRoot, path: &Path, columns: Option<&[&str]>) -> Result<Vec<RecordBatch>> {
    let file = ParquetFile::open(root, path, None).await?;
    let wanted = match columns {
        None => ReadColumns::All,
        Some(names) => {
            let fields = file.arrow_schema().fields();
            ReadColumns::Roots(names.iter().filter_map(|name| fields.iter().position(|f| f.name() == name)).collect())
        }
    };
    let mut reader = file.read(wanted, None, BATCH_ROWS, None)?;
    let mut batches = Vec::new();
    let keep = Arc::new(Ok);
    while let Some(more) = reader.next(&keep).await? {
        batches.extend(more);
    }
    Ok(batches)
}

/// Writes `batches` as one file, over what is there, and makes it last. Returns its size in bytes.
///
/// # Errors
/// `Invalid` when a batch is not of `schema`; the store's own. Nothing stays behind.
pub async fn write_batches(root: &TableRoot, path: &Path, schema: SchemaRef, batches: &[RecordBatch]) -> Result<u64> {
    let mut writer = ParquetWriter::new(root, path.clone(), schema, &ParquetOptions::default())?;
    for batch in batches {
        if let Err(error) = writer.write(batch.clone()).await {
            writer.abort().await;
            return Err(error);
        }
    }
    writer.finish().await
}

/// The codec of a table property's value, ignoring case.
///
/// # Errors
/// `Unsupported` naming the value.
pub fn compression(name: &str) -> Result<Compression> {
    Ok(match name.to_ascii_lowercase().as_str() {
        "zstd" => Compression::ZSTD(ZstdLevel::try_new(1).unwrap_or_default()),
        "snappy" => Compression::SNAPPY,
        "gzip" => Compression::GZIP(GzipLevel::default()),
        "lz4_raw" => Compression::LZ4_RAW,
        "uncompressed" | "none" => Compression::UNCOMPRESSED,
        _ => {
            return Err(Error::unsupported(format!("no Parquet codec {name:?} to write with"))
                .with_hint("use zstd, snappy, gzip, lz4_raw or uncompressed"));
        }
    })
}

/// A failure of the Parquet crate on the file called `name`: the store's own error if that was the cause, else the
/// content is at fault.
fn from_parquet(error: ParquetError, name: &str) -> Error {
    match error {
        ParquetError::External(source) => match source.downcast::<Error>() {
            Ok(own) => own.with_object(name),
            Err(source) => Error::corrupt("not a readable Parquet file").with_object(name).with_source(source),
        },
        ParquetError::NYI(what) => {
            Error::unsupported(format!("the Parquet file uses what Lake can't read: {what}")).with_object(name)
        }
        other => Error::corrupt("not a readable Parquet file").with_object(name).with_source(other),
    }
}

#[cfg(test)]
mod tests;
