//! Save: rows into a table that may be there or not, by one of four modes.

use std::sync::Arc;

use super::{
    AppendOptions, CreateOptions, Input, OverwriteOptions, Unchanged, WriteOutcome, append, create, overwrite,
};
use crate::clock::ClockRef;
use crate::error::{Error, ErrorKind, Result};
use crate::snapshot::{At, Snapshot};
use crate::store::TableRoot;
use crate::transaction::Committer;

/// What to do where the table is there already. Where it is not, every mode creates it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SaveMode {
    /// The rows are added.
    Append,
    /// The rows replace others, as [`OverwriteOptions`] says.
    Overwrite,
    /// `AlreadyExists`, and nothing is written.
    #[default]
    ErrorIfExists,
    /// Nothing is written, and that is fine.
    Ignore,
}

/// How to save.
#[derive(Clone, Debug, Default)]
pub struct SaveOptions {
    /// What to do where the table is there already.
    pub mode: SaveMode,
    /// What the table is to be where it is not.
    pub create: CreateOptions,
    /// How to append; its `txn` is used when the table is created, too.
    pub append: AppendOptions,
    /// How to overwrite; its `txn` is used when the table is created, too.
    pub overwrite: OverwriteOptions,
}

/// Saves the rows of `input` in one commit.
///
/// # Errors
/// As the operation that the mode comes to; `AlreadyExists` where the mode is [`SaveMode::ErrorIfExists`], and when
/// another writer creates the table meanwhile.
pub async fn save(
    root: &TableRoot,
    clock: &ClockRef,
    committer: &dyn Committer,
    options: SaveOptions,
    input: Input,
) -> Result<WriteOutcome> {
    let there = match Snapshot::load(root.clone(), At::Latest, Arc::clone(clock)).await {
        Ok(snapshot) => Some(Arc::new(snapshot)),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    match (there, options.mode) {
        (Some(table), SaveMode::Append) => append(&table, committer, &options.append, input).await,
        (Some(table), SaveMode::Overwrite) => overwrite(&table, committer, &options.overwrite, input).await,
        (Some(table), SaveMode::Ignore) => Ok(WriteOutcome::Unchanged(Unchanged::Exists(table))),
        (Some(_), SaveMode::ErrorIfExists) => Err(Error::already_exists("a table is here already")
            .with_object(root.display())
            .with_hint("nothing was written; append to it, overwrite it, or choose another place")),
        (None, mode) => {
            let txn = match mode {
                SaveMode::Append => options.append.txn,
                SaveMode::Overwrite => options.overwrite.txn,
                SaveMode::ErrorIfExists | SaveMode::Ignore => None,
            };
            let create_options = CreateOptions { txn: txn.or(options.create.txn), ..options.create };
            match create(root, clock, committer, create_options, Some(input)).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists && mode == SaveMode::Ignore => {
                    let table = Snapshot::load(root.clone(), At::Latest, Arc::clone(clock)).await?;
                    Ok(WriteOutcome::Unchanged(Unchanged::Exists(Arc::new(table))))
                }
                other => other,
            }
        }
    }
}
