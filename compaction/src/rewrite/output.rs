//! Ordered rows into files: where one ends and the next begins.

use lake_format::write::{DataWriter, Written};
use lake_format::{Error, Result};

use super::sorted::Keyed;
use super::{Rewriter, discard};
use crate::plan::FileGroup;
use crate::plan::cluster::KeySpace;

/// Files of rows that come in the order of their keys, each a range of the curve: between half and one and a half of the
/// target size, as far as the rows can be divided.
pub(super) struct Output<'a> {
    rewriter: &'a Rewriter,
    space: KeySpace,
    /// Bytes of the files that the rows come from: a guess at those to come, until the first file is there.
    input_bytes: u64,
    /// Files end by key. Where the guess at their size is far off, they end by size.
    most_file_bytes: u64,
    file: Option<OpenFile>,
    /// Where the file that comes next begins on the curve.
    begin: u64,
    done: Written,
}

struct OpenFile {
    writer: DataWriter,
    /// The first key of the next file.
    until: Option<u64>,
}

impl<'a> Output<'a> {
    pub(super) fn new(rewriter: &'a Rewriter, space: KeySpace, group: &FileGroup) -> Self {
        let (input_bytes, most_file_bytes) = (group.size_bytes(), rewriter.most_file_bytes(group));
        Self { rewriter, space, input_bytes, most_file_bytes, file: None, begin: 0, done: Written::default() }
    }

    /// Takes rows whose keys are not below those taken before. After an error, call [`Output::abort`].
    pub(super) async fn write(&mut self, rows: &Keyed) -> Result<()> {
        self.rewriter.go_on()?;
        let mut start = 0;
        while let Some(&key) = rows.keys.get(start) {
            let mut file = match self.file.take() {
                Some(file) => file,
                None => self.open(key)?,
            };
            let own = match file.until {
                Some(until) => rows.keys[start..].partition_point(|&key| key < until),
                None => rows.keys.len() - start,
            };
            let ends = start + own < rows.keys.len();
            let written = if own > 0 { file.writer.write(rows.batch.slice(start, own)).await } else { Ok(()) };
            start += own;
            match written {
                Ok(()) if ends => self.close(file).await?,
                written => {
                    self.file = Some(file);
                    written?;
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, key: u64) -> Result<OpenFile> {
        Ok(OpenFile { writer: self.rewriter.writer(self.most_file_bytes)?, until: self.end_of_file_with(key) })
    }

    /// Where a file with a row of `key` ends, by the bytes that the rows so far took.
    fn end_of_file_with(&mut self, key: u64) -> Option<u64> {
        let (bytes, rows) = match self.done.rows {
            0 => (self.input_bytes, self.space.rows()),
            rows => (self.done.bytes, rows),
        };
        let target_bytes = u128::from(self.rewriter.sizes.target_bytes);
        let wanted = target_bytes * u128::from(rows) / u128::from(bytes.max(1));
        let wanted = u64::try_from(wanted).unwrap_or(u64::MAX).max(1);
        loop {
            let cut = self.space.cut(self.begin, wanted)?;
            self.begin = cut;
            if cut > key {
                return Some(cut);
            }
        }
    }

    async fn close(&mut self, file: OpenFile) -> Result<()> {
        let written = file.writer.finish().await?;
        self.done.rows += written.rows;
        self.done.bytes += written.bytes;
        self.done.adds.extend(written.adds);
        Ok(())
    }

    /// Ends the last file. Checks that as many rows came as were expected.
    pub(super) async fn finish(mut self, rows: u64) -> Result<Written> {
        let ended = match self.file.take() {
            Some(file) => self.close(file).await,
            None => Ok(()),
        };
        if let Err(error) = ended.and_then(|()| super::check_rows(rows, &self.done)) {
            self.abort().await;
            return Err(error);
        }
        Ok(self.done)
    }

    /// Takes everything back.
    pub(super) async fn abort(mut self) {
        if let Some(file) = self.file.take() {
            file.writer.abort().await;
        }
        discard(self.rewriter.snapshot.root(), &self.done.adds).await;
    }
}

/// A producer that ended without saying why.
pub(super) fn cut_short(error: tokio::task::JoinError) -> Error {
    Error::internal("putting rows in order was cut short").with_source(error)
}
