//! Small files into one: their rows, one file after the other.

use futures::StreamExt;
use lake_format::Result;
use lake_format::write::{DataWriter, Written};

use super::{Rewriter, check_rows, discard};
use crate::plan::FileGroup;

impl Rewriter {
    /// The rows of `group` in the order of its files: one file, unless the log was wrong about their sizes.
    pub(super) async fn pack(&self, group: &FileGroup) -> Result<Written> {
        let mut writer = self.writer(self.most_file_bytes(group))?;
        let read = match self.copy(group, &mut writer).await {
            Ok(read) => read,
            Err(error) => {
                writer.abort().await;
                return Err(error);
            }
        };
        let written = writer.finish().await?;
        if let Err(error) = check_rows(read, &written) {
            discard(self.snapshot.root(), &written.adds).await;
            return Err(error);
        }
        Ok(written)
    }

    async fn copy(&self, group: &FileGroup, writer: &mut DataWriter) -> Result<u64> {
        let mut batches = self.scan(group, None)?.stream(self.read_options(group));
        let mut read = 0;
        while let Some(batch) = batches.next().await {
            self.go_on()?;
            let batch = batch?;
            read += batch.num_rows() as u64;
            writer.write(batch).await?;
        }
        Ok(read)
    }
}
