//! The files of a plan, held as the log's columns until they are looked at.

use std::fmt;
use std::sync::Arc;

use super::ScanFile;
use crate::action::columnar::FileBatch;

/// The files of a plan, in order. They are held as columns, and each becomes a [`ScanFile`] only when it is asked for:
/// a million of them take little more memory than their paths. Cheap to clone.
#[derive(Clone, Default)]
pub struct PlannedFiles {
    parts: Arc<Vec<Part>>,
}

#[derive(Default)]
struct Part {
    /// Place behind its last file.
    end: usize,
    held: Held,
}

enum Held {
    Columns(FileBatch),
    Values(Vec<ScanFile>),
}

impl Default for Held {
    fn default() -> Self {
        Self::Values(Vec::new())
    }
}

impl Held {
    fn len(&self) -> usize {
        match self {
            Self::Columns(batch) => batch.len(),
            Self::Values(files) => files.len(),
        }
    }

    fn get(&self, row: usize) -> Option<PlannedFile<'_>> {
        Some(PlannedFile(match self {
            Self::Columns(batch) => Row::Column(batch, (row < batch.len()).then_some(row)?),
            Self::Values(files) => Row::Value(files.get(row)?),
        }))
    }
}

/// One file of a plan, where it is held.
#[derive(Clone, Copy)]
pub struct PlannedFile<'a>(Row<'a>);

#[derive(Clone, Copy)]
enum Row<'a> {
    Column(&'a FileBatch, usize),
    Value(&'a ScanFile),
}

impl<'a> PlannedFile<'a> {
    /// Path as the log has it, percent-encoded.
    pub fn path(&self) -> &'a str {
        match self.0 {
            Row::Column(batch, row) => batch.path(row),
            Row::Value(file) => &file.path,
        }
    }

    /// Bytes.
    pub fn size_bytes(&self) -> u64 {
        match self.0 {
            // Planning refuses sizes below zero.
            Row::Column(batch, row) => batch.size(row).and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
            Row::Value(file) => file.size_bytes,
        }
    }

    /// Rows in the file, deleted ones included, where the statistics that the plan needed tell.
    pub fn num_records(&self) -> Option<u64> {
        match self.0 {
            Row::Column(batch, row) => batch.num_records(row).and_then(|rows| u64::try_from(rows).ok()),
            Row::Value(file) => file.num_records,
        }
    }

    /// Rows that a scan gives, where the statistics tell (DV-4).
    pub fn live_records(&self) -> Option<u64> {
        match self.0 {
            Row::Column(batch, row) => batch.live_records(row),
            Row::Value(file) => file.live_records(),
        }
    }

    /// The file as a value.
    pub fn to_file(&self) -> ScanFile {
        let (batch, row) = match self.0 {
            Row::Column(batch, row) => (batch, row),
            Row::Value(file) => return file.clone(),
        };
        let add = batch.add_without_stats(row);
        ScanFile {
            path: add.path,
            size_bytes: self.size_bytes(),
            partition_values: add.partition_values,
            num_records: self.num_records(),
            deletion_vector: add.deletion_vector,
            base_row_id: add.base_row_id,
            default_row_commit_version: add.default_row_commit_version,
        }
    }
}

impl PlannedFiles {
    /// These files.
    pub(super) fn of(files: Vec<ScanFile>) -> Self {
        let mut held = Self::builder();
        held.push(Held::Values(files));
        held.finish()
    }

    pub(super) fn builder() -> PlannedFilesBuilder {
        PlannedFilesBuilder::default()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.parts.last().map_or(0, |part| part.end)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The file at a place.
    pub fn get(&self, place: usize) -> Option<PlannedFile<'_>> {
        let at = self.parts.partition_point(|part| part.end <= place);
        let part = self.parts.get(at)?;
        part.held.get(place - (part.end - part.held.len()))
    }

    /// Each of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = PlannedFile<'_>> {
        self.parts.iter().flat_map(|part| (0..part.held.len()).filter_map(|row| part.held.get(row)))
    }
}

impl fmt::Debug for PlannedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter().map(|file| file.to_file())).finish()
    }
}

/// Files as they come.
#[derive(Default)]
pub(super) struct PlannedFilesBuilder {
    parts: Vec<Part>,
}

impl PlannedFilesBuilder {
    /// Takes these files, by columns.
    pub(super) fn push_batch(&mut self, batch: FileBatch) {
        self.push(Held::Columns(batch));
    }

    fn push(&mut self, held: Held) {
        let end = self.parts.last().map_or(0, |part| part.end) + held.len();
        if held.len() > 0 {
            self.parts.push(Part { end, held });
        }
    }

    pub(super) fn finish(self) -> PlannedFiles {
        PlannedFiles { parts: Arc::new(self.parts) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::Add;

    #[test]
    fn a_file_is_the_same_by_place_and_in_turn() {
        let add = |n: usize| Add { path: format!("f{n}"), size: n as i64, ..Add::default() };
        let mut builder = PlannedFiles::builder();
        let adds: Vec<Add> = (0..10).map(add).collect();
        for range in [0..3, 3..3, 3..9, 9..10] {
            builder.push_batch(FileBatch::of_adds(&adds[range].iter().collect::<Vec<_>>()).unwrap());
        }
        let files = builder.finish();
        let expected: Vec<ScanFile> = adds.iter().map(|add| ScanFile::of(add).unwrap()).collect();
        assert_eq!(files.iter().map(|file| file.to_file()).collect::<Vec<_>>(), expected);
        assert_eq!((0..10).map(|n| files.get(n).unwrap().to_file()).collect::<Vec<_>>(), expected);
        assert!(files.len() == 10 && files.get(10).is_none() && PlannedFiles::default().get(0).is_none());
        let values = PlannedFiles::of(expected.clone());
        assert_eq!(values.iter().map(|file| file.to_file()).collect::<Vec<_>>(), expected);
    }
}
