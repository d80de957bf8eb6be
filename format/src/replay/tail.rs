//! The files that commits above a checkpoint brought and ended, reconciled.

use super::key::{Home, SeenKeys};
use crate::action::columnar::FileBatch;
use crate::action::{Action, Add, Remove};
use crate::error::Result;

/// Files turned into columns at a time.
const BATCH_ROWS: usize = 8192;

/// What commits say of files, the newest word on each.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    adds: Vec<FileBatch>,
    removes: Vec<FileBatch>,
    seen: SeenKeys,
}

impl Tail {
    /// Live files that the commits brought, newest first.
    pub fn adds(&self) -> &[FileBatch] {
        &self.adds
    }

    /// Files that the commits ended.
    pub fn removes(&self) -> &[FileBatch] {
        &self.removes
    }

    /// The files of an older batch that the commits say nothing of (LOG-3).
    ///
    /// # Errors
    /// `Internal` when the columns can't be cut.
    pub fn surviving(&self, older: &FileBatch) -> Result<FileBatch> {
        let kept = |row: usize| !self.seen.contains(older.path(row), older.vector_id(row).as_deref());
        older.clone().filtered(kept)
    }
}

/// Folds commits newest to oldest.
#[derive(Debug, Default)]
pub struct TailFold {
    tail: Tail,
    adds: Vec<Add>,
    removes: Vec<Remove>,
}

impl TailFold {
    /// Of commits to the table at `home`.
    pub fn new(home: Home) -> Self {
        let tail = Tail { seen: SeenKeys::new(home), ..Tail::default() };
        Self { tail, ..Self::default() }
    }

    /// Takes one action of a commit not newer than those taken before.
    ///
    /// # Errors
    /// `Internal` when files can't be held as columns.
    pub fn take(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Add(add) => {
                let vector = add.deletion_vector.as_ref().map(|vector| vector.unique_id());
                if self.tail.seen.insert(&add.path, vector.as_deref()) {
                    self.adds.push(*add);
                }
            }
            Action::Remove(remove) => {
                let vector = remove.deletion_vector.as_ref().map(|vector| vector.unique_id());
                if self.tail.seen.insert(&remove.path, vector.as_deref()) {
                    self.removes.push(*remove);
                }
            }
            _ => {}
        }
        if self.adds.len() >= BATCH_ROWS || self.removes.len() >= BATCH_ROWS {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.adds.is_empty() {
            let adds = std::mem::take(&mut self.adds);
            self.tail.adds.push(FileBatch::of_adds(&adds.iter().collect::<Vec<_>>())?);
        }
        if !self.removes.is_empty() {
            let removes = std::mem::take(&mut self.removes);
            self.tail.removes.push(FileBatch::of_removes(&removes.iter().collect::<Vec<_>>())?);
        }
        Ok(())
    }

    /// What survives.
    ///
    /// # Errors
    /// As [`TailFold::take`].
    pub fn finish(mut self) -> Result<Tail> {
        self.flush()?;
        Ok(self.tail)
    }
}
