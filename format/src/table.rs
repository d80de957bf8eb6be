//! The front door: one table, its newest known version, and the verbs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::ClockRef;
use crate::error::Result;
use crate::operation::{
    self, AppendOptions, CreateOptions, DeleteOptions, Input, OverwriteOptions, Unchanged, WriteOutcome,
};
use crate::schema::{SchemaChange, StructField};
use crate::snapshot::{At, HistoryEntry, Snapshot, history};
use crate::store::TableRoot;
use crate::transaction::{Committer, LogCommitter};

/// A table that is open. Writing moves it to the version written.
#[derive(Clone, Debug)]
pub struct Table {
    snapshot: Arc<Snapshot>,
    committer: Arc<dyn Committer>,
}

impl Table {
    /// Opens the newest version; commits go to the log.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub async fn open(root: TableRoot, clock: ClockRef) -> Result<Self> {
        Self::open_with(root, clock, Arc::new(LogCommitter)).await
    }

    /// Opens the newest version; commits go through `committer`.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub async fn open_with(root: TableRoot, clock: ClockRef, committer: Arc<dyn Committer>) -> Result<Self> {
        let snapshot = Arc::new(Snapshot::load(root, At::Latest, clock).await?);
        Ok(Self { snapshot, committer })
    }

    /// Creates a table, with the rows of `input` if given.
    ///
    /// # Errors
    /// As [`operation::create`].
    pub async fn create(
        root: &TableRoot,
        clock: &ClockRef,
        committer: Arc<dyn Committer>,
        options: CreateOptions,
        input: Option<Input>,
    ) -> Result<WriteOutcome> {
        operation::create(root, clock, committer.as_ref(), options, input).await
    }

    /// The newest version that this handle knows.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// The committer.
    pub fn committer(&self) -> &Arc<dyn Committer> {
        &self.committer
    }

    /// Catches up with what others wrote.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub async fn refresh(&mut self) -> Result<()> {
        self.snapshot = self.snapshot.refreshed().await?;
        Ok(())
    }

    /// The table at another version.
    ///
    /// # Errors
    /// As [`Snapshot::load`].
    pub async fn at(&self, at: At) -> Result<Snapshot> {
        Snapshot::load(self.snapshot.root().clone(), at, Arc::clone(self.snapshot.clock())).await
    }

    /// The newest `limit` commits, newest first.
    ///
    /// # Errors
    /// As [`history`].
    pub async fn history(&self, limit: usize) -> Result<Vec<HistoryEntry>> {
        history(&self.snapshot, limit).await
    }

    /// Appends rows.
    ///
    /// # Errors
    /// As [`operation::append`].
    pub async fn append(&mut self, options: &AppendOptions, input: Input) -> Result<WriteOutcome> {
        let outcome = operation::append(&self.snapshot, self.committer.as_ref(), options, input).await?;
        Ok(self.moved(outcome))
    }

    /// Replaces all rows.
    ///
    /// # Errors
    /// As [`operation::overwrite`].
    pub async fn overwrite(&mut self, options: &OverwriteOptions, input: Input) -> Result<WriteOutcome> {
        let outcome = operation::overwrite(&self.snapshot, self.committer.as_ref(), options, input).await?;
        Ok(self.moved(outcome))
    }

    /// Deletes the rows of a condition.
    ///
    /// # Errors
    /// As [`operation::delete`].
    pub async fn delete(&mut self, options: &DeleteOptions) -> Result<WriteOutcome> {
        let outcome = operation::delete(&self.snapshot, self.committer.as_ref(), options).await?;
        Ok(self.moved(outcome))
    }

    /// Adds nullable columns.
    ///
    /// # Errors
    /// As [`operation::add_columns`].
    pub async fn add_columns(&mut self, columns: Vec<StructField>) -> Result<WriteOutcome> {
        let outcome = operation::add_columns(&self.snapshot, self.committer.as_ref(), columns).await?;
        Ok(self.moved(outcome))
    }

    /// Changes the schema.
    ///
    /// # Errors
    /// As [`operation::alter_schema`].
    pub async fn alter_schema(&mut self, changes: &[SchemaChange]) -> Result<WriteOutcome> {
        let outcome = operation::alter_schema(&self.snapshot, self.committer.as_ref(), changes).await?;
        Ok(self.moved(outcome))
    }

    /// Sets and removes properties.
    ///
    /// # Errors
    /// As [`operation::set_properties`].
    pub async fn set_properties(&mut self, changes: &BTreeMap<String, Option<String>>) -> Result<WriteOutcome> {
        let outcome = operation::set_properties(&self.snapshot, self.committer.as_ref(), changes).await?;
        Ok(self.moved(outcome))
    }

    /// Makes the table what it was at `at`.
    ///
    /// # Errors
    /// As [`operation::restore`].
    pub async fn restore(&mut self, at: At) -> Result<WriteOutcome> {
        let target = self.at(at).await?;
        let outcome = operation::restore(&self.snapshot, self.committer.as_ref(), &target).await?;
        Ok(self.moved(outcome))
    }

    /// Has the checkpoints that this handle's writes make due written beside the writes that follow, on another thread of
    /// the runtime, instead of at the end of the write. For programs that write often and want each write to take as long
    /// as the others. At most one is on its way: the write that makes the next one due waits for it.
    ///
    /// Call [`Table::settle`] before the runtime ends. A checkpoint that is cut short is not there, and the next one that
    /// is due stands in for it; no version depends on it. A runtime of one thread writes checkpoints at once, as ever.
    pub fn checkpoint_aside(&mut self) {
        self.snapshot = Arc::new(self.snapshot.checkpointing_aside());
    }

    /// Waits for the checkpoint that is on its way, if there is one. One that fails is told to the log of the program, as
    /// after any write.
    pub async fn settle(&mut self) {
        self.snapshot = Arc::new(self.snapshot.settled().await);
    }

    fn moved(&mut self, outcome: WriteOutcome) -> WriteOutcome {
        let newest = match &outcome {
            WriteOutcome::Committed(_, committed) => &committed.snapshot,
            WriteOutcome::Unchanged(
                Unchanged::AlreadyApplied { snapshot, .. } | Unchanged::NoRows(snapshot) | Unchanged::Exists(snapshot),
            ) => snapshot,
            WriteOutcome::Unknown(_) => return outcome,
        };
        self.snapshot = Arc::clone(newest);
        outcome
    }
}
