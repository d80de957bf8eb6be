//! The files that commits above a checkpoint brought and ended, reconciled.

use super::changes::Changes;
use super::key::{Home, SeenKeys};
use crate::action::columnar::{FileBatch, FileKind};
use crate::error::Result;

/// Batches of fewer rows and bytes are put together.
const SMALL_ROWS: usize = 4096;
const SMALL_BYTES: usize = 4 << 20;
/// So many files are looked at quickly first.
const GLANCE_ROWS: usize = 1024;

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
        self.seen.surviving(older)
    }
}

impl SeenKeys {
    fn surviving(&self, older: &FileBatch) -> Result<FileBatch> {
        if self.is_empty() {
            return Ok(older.clone());
        }
        let glance = if older.len() >= GLANCE_ROWS { self.glance() } else { None };
        let kept = |row: usize| {
            let (path, vector) = (older.path(row), older.vector_id(row));
            let vector = vector.as_deref();
            glance.as_ref().is_some_and(|glance| !glance.may_contain(path, vector)) || !self.contains(path, vector)
        };
        older.clone().filtered(kept)
    }
}

/// Folds commits newest to oldest. Of what one commit says twice of a file, the first line counts.
#[derive(Debug, Default)]
pub struct TailFold {
    tail: Tail,
}

impl TailFold {
    /// Of commits to the table at `home`.
    pub fn new(home: Home) -> Self {
        Self { tail: Tail { seen: SeenKeys::new(home), ..Tail::default() } }
    }

    /// Takes what a commit says that is not newer than those taken before, or the next part of one.
    ///
    /// # Errors
    /// `Internal` when the columns can't be cut.
    pub fn take(&mut self, changes: &Changes) -> Result<()> {
        let (adds, removes) = self.news(changes)?;
        self.tail.adds.extend(adds);
        self.tail.removes.extend(removes);
        Ok(())
    }

    /// The same, but the files, adds and removes, are handed out and not kept.
    ///
    /// # Errors
    /// As [`TailFold::take`].
    pub fn news(&mut self, changes: &Changes) -> Result<(Vec<FileBatch>, Vec<FileBatch>)> {
        let keys = changes.keys();
        self.tail.seen.reserve(keys.len());
        let is_new: Vec<bool> = keys.iter().map(|(key, _)| self.tail.seen.insert(*key)).collect();
        if is_new.iter().all(|&new| new) {
            return Ok((changes.adds.clone(), changes.removes.clone()));
        }
        let of = |wanted: FileKind, batches: &[FileBatch]| {
            let new = keys.iter().zip(&is_new).filter(|((_, kind), _)| *kind == wanted).map(|(_, new)| *new);
            kept(batches, new)
        };
        Ok((of(FileKind::Add, &changes.adds)?, of(FileKind::Remove, &changes.removes)?))
    }

    /// What is left of an older batch, that of a checkpoint.
    ///
    /// # Errors
    /// `Internal` when the columns can't be cut.
    pub fn surviving(&self, older: &FileBatch) -> Result<FileBatch> {
        self.tail.surviving(older)
    }

    /// What survives.
    ///
    /// # Errors
    /// As [`TailFold::take`].
    pub fn finish(self) -> Result<Tail> {
        self.over(None)
    }

    /// What survives, `older` being what the commits before these say.
    ///
    /// # Errors
    /// As [`TailFold::take`].
    pub fn over(mut self, older: Option<&Tail>) -> Result<Tail> {
        if let Some(older) = older {
            let changed = self.tail.seen.overlaps(&older.seen);
            let left = |batches: &[FileBatch]| match changed {
                true => batches.iter().map(|batch| self.tail.seen.surviving(batch)).collect::<Result<Vec<_>>>(),
                false => Ok(batches.to_vec()),
            };
            let (adds, removes) = (left(&older.adds)?, left(&older.removes)?);
            self.tail.adds.extend(adds);
            self.tail.removes.extend(removes);
            self.tail.seen.extend(&older.seen);
        }
        self.tail.adds = gathered(self.tail.adds)?;
        self.tail.removes = gathered(self.tail.removes)?;
        Ok(self.tail)
    }
}

fn kept(batches: &[FileBatch], mut new: impl Iterator<Item = bool>) -> Result<Vec<FileBatch>> {
    let mut left = Vec::with_capacity(batches.len());
    for batch in batches {
        let mask: Vec<bool> = new.by_ref().take(batch.len()).collect();
        let batch = batch.clone().filtered(|row| mask.get(row).copied().unwrap_or(false))?;
        left.extend((!batch.is_empty()).then_some(batch));
    }
    Ok(left)
}

/// Small batches beside each other made into one, the smaller before the larger: a batch is copied a few times at most
/// while many small ones come before it.
fn gathered(batches: Vec<FileBatch>) -> Result<Vec<FileBatch>> {
    let mut done: Vec<FileBatch> = Vec::new();
    let mut run: Vec<FileBatch> = Vec::new();
    let mut rows = 0;
    for batch in batches.into_iter().filter(|batch| !batch.is_empty()) {
        let small = batch.len() < SMALL_ROWS && rows < SMALL_ROWS && batch.text_bytes() < SMALL_BYTES;
        let joins = small && batch.len() <= 2 * rows.max(64);
        if !joins && !run.is_empty() {
            done.extend(joined(std::mem::take(&mut run))?);
            rows = 0;
        }
        rows += batch.len();
        run.push(batch);
    }
    done.extend(joined(run)?);
    Ok(done)
}

fn joined(run: Vec<FileBatch>) -> Result<Option<FileBatch>> {
    match run.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(one.clone())),
        many => FileBatch::joined(many),
    }
}
