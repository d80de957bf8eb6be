//! What a run of lines says of files: columns, and the keys in the order of the lines.

use super::key::{Fingerprint, Home};
use crate::action::columnar::{FileBatch, FileKind, FileRows};
use crate::action::line::{FileLine, Plain, read_plain};
use crate::action::{Action, Add, Remove};
use crate::error::Result;

/// Bytes of a line, about.
const LIKELY_BYTES: usize = 512;

/// What a commit, or a part of one, says of files.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub(super) adds: Vec<FileBatch>,
    pub(super) removes: Vec<FileBatch>,
    /// The key of each, adds and removes as they come.
    pub(super) keys: Vec<(Fingerprint, FileKind)>,
    tally: FileTally,
}

/// How many files came and went, and their bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileTally {
    /// `add`s.
    pub added: u64,
    /// Bytes of the `add`s; `None` when one of them has an impossible size.
    pub added_bytes: Option<u64>,
    /// `remove`s.
    pub removed: u64,
    /// Bytes of the `remove`s; `None` when one of them does not say.
    pub removed_bytes: Option<u64>,
}

impl Default for FileTally {
    fn default() -> Self {
        Self { added: 0, added_bytes: Some(0), removed: 0, removed_bytes: Some(0) }
    }
}

impl FileTally {
    /// That of a commit that was parsed.
    pub fn of(actions: &[Action]) -> Self {
        let mut tally = Self::default();
        for action in actions {
            match action {
                Action::Add(add) => tally.count(FileKind::Add, Some(add.size)),
                Action::Remove(remove) => tally.count(FileKind::Remove, remove.size),
                _ => {}
            }
        }
        tally
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        let sum = |a: Option<u64>, b: Option<u64>| a?.checked_add(b?);
        Self {
            added: self.added.saturating_add(other.added),
            added_bytes: sum(self.added_bytes, other.added_bytes),
            removed: self.removed.saturating_add(other.removed),
            removed_bytes: sum(self.removed_bytes, other.removed_bytes),
        }
    }

    fn count(&mut self, kind: FileKind, size: Option<i64>) {
        let (count, bytes) = match kind {
            FileKind::Add => (&mut self.added, &mut self.added_bytes),
            FileKind::Remove => (&mut self.removed, &mut self.removed_bytes),
        };
        *count += 1;
        let size = size.and_then(|size| u64::try_from(size).ok());
        *bytes = bytes.and_then(|bytes| bytes.checked_add(size?));
    }
}

impl Changes {
    /// What `actions` say of files of the table at `home`.
    ///
    /// # Errors
    /// `Internal` when files can't be held as columns.
    pub fn of(actions: &[Action], home: &Home) -> Result<Self> {
        let mut builder = ChangesBuilder::new(home, true, actions.len() * LIKELY_BYTES);
        actions.iter().try_for_each(|action| builder.action(action))?;
        builder.finish()
    }

    /// How much it is.
    pub fn tally(&self) -> FileTally {
        self.tally
    }

    /// The files that came, whatever is said of them elsewhere.
    pub fn adds(&self) -> &[FileBatch] {
        &self.adds
    }

    /// The files that went, whatever is said of them elsewhere.
    pub fn removes(&self) -> &[FileBatch] {
        &self.removes
    }

    /// The key of each file, adds and removes in the order of the lines.
    pub fn keys(&self) -> &[(Fingerprint, FileKind)] {
        &self.keys
    }
}

/// Gathers what lines say of files.
#[derive(Debug)]
pub struct ChangesBuilder<'a> {
    home: &'a Home,
    keep_stats: bool,
    adds: FileRows,
    removes: FileRows,
    done: Changes,
}

impl<'a> ChangesBuilder<'a> {
    /// Nothing yet; whether statistics are kept, and about how many bytes of lines there will be.
    pub fn new(home: &'a Home, keep_stats: bool, bytes: usize) -> Self {
        let (adds, removes) = (FileRows::new(FileKind::Add).sized(bytes), FileRows::new(FileKind::Remove).sized(bytes));
        Self { home, keep_stats, adds, removes, done: Changes::default() }
    }

    /// Takes a trimmed line if it is an `add` or a `remove` of plain shape; whether it was.
    ///
    /// # Errors
    /// `Internal` when files can't be held as columns.
    pub fn line(&mut self, line: &[u8]) -> Result<bool> {
        let stats = self.keep_stats.then(|| self.adds.stats_text());
        match read_plain(line, stats) {
            Some(Plain::Add(add, has_stats)) => self.push(FileKind::Add, &add, has_stats && self.keep_stats)?,
            Some(Plain::Remove(remove)) => self.push(FileKind::Remove, &remove, false)?,
            None => return Ok(false),
        }
        Ok(true)
    }

    /// Takes an action, if it speaks of a file.
    ///
    /// # Errors
    /// `Internal` when files can't be held as columns.
    pub fn action(&mut self, action: &Action) -> Result<()> {
        match action {
            Action::Add(add) => self.add(add),
            Action::Remove(remove) => self.remove(remove),
            _ => Ok(()),
        }
    }

    fn add(&mut self, add: &Add) -> Result<()> {
        let stats = add.stats.as_ref().filter(|_| self.keep_stats);
        if let Some(stats) = stats {
            self.adds.stats_text().extend_from_slice(stats.as_bytes());
        }
        self.push(FileKind::Add, &FileLine::of_add(add), stats.is_some())
    }

    fn remove(&mut self, remove: &Remove) -> Result<()> {
        self.push(FileKind::Remove, &FileLine::of_remove(remove), false)
    }

    fn push(&mut self, kind: FileKind, line: &FileLine<'_>, has_stats: bool) -> Result<()> {
        let vector = line.vector.as_ref().map(|vector| vector.unique_id());
        self.done.keys.push((Fingerprint::of(line.path, vector.as_deref(), self.home), kind));
        self.done.tally.count(kind, line.size);
        let (rows, batches) = match kind {
            FileKind::Add => (&mut self.adds, &mut self.done.adds),
            FileKind::Remove => (&mut self.removes, &mut self.done.removes),
        };
        rows.push(line, has_stats);
        if rows.is_full() {
            batches.push(rows.finish()?);
        }
        Ok(())
    }

    /// All of it.
    ///
    /// # Errors
    /// `Internal` when files can't be held as columns.
    pub fn finish(mut self) -> Result<Changes> {
        if !self.adds.is_empty() {
            self.done.adds.push(self.adds.finish()?);
        }
        if !self.removes.is_empty() {
            self.done.removes.push(self.removes.finish()?);
        }
        Ok(self.done)
    }
}
