//! From a table reference to an open table: the seam behind which paths and catalogs are alike.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use lake_format::store::StoreOptions;
use lake_format::transaction::LogCommitter;
use lake_format::{ClockRef, CreateOptions, Error, Input, Result, SystemClock, Table, TableRoot, WriteOutcome};

use crate::reference::{Place, TableRef};

/// Opens and creates the tables that SQL names. The resolver chooses the store, its keys and the committer.
#[async_trait]
pub trait TableResolver: Debug + Send + Sync {
    /// The table at its newest version; `reference.at` is left to the caller.
    ///
    /// # Errors
    /// `NotFound` when there is no such table, and whatever opening one can end in.
    async fn open(&self, reference: &TableRef) -> Result<Table>;

    /// Creates a table with the rows of `input`, in one commit.
    ///
    /// # Errors
    /// `AlreadyExists` when one is there, and whatever creating one can end in.
    async fn create(&self, place: &Place, options: CreateOptions, input: Input) -> Result<WriteOutcome>;
}

/// Knows paths and URLs and no catalog.
#[derive(Clone, Debug)]
pub struct PathResolver {
    store: StoreOptions,
    clock: ClockRef,
}

impl PathResolver {
    /// A resolver for tables that `store` describes the access to.
    pub fn new(store: StoreOptions, clock: ClockRef) -> Self {
        Self { store, clock }
    }

    fn root(&self, place: &Place) -> Result<TableRoot> {
        match place {
            Place::Location(location) => TableRoot::open(location, &self.store),
            Place::Name { .. } => Err(Error::invalid("a name was given, and there is no catalog to look it up in")
                .with_object(place.to_string())
                .with_hint("log in to a catalog with `lake login`, or give a path like ./trips")),
        }
    }
}

impl Default for PathResolver {
    fn default() -> Self {
        Self::new(StoreOptions::default(), SystemClock::shared())
    }
}

#[async_trait]
impl TableResolver for PathResolver {
    async fn open(&self, reference: &TableRef) -> Result<Table> {
        Table::open(self.root(&reference.place)?, Arc::clone(&self.clock)).await
    }

    async fn create(&self, place: &Place, options: CreateOptions, input: Input) -> Result<WriteOutcome> {
        Table::create(&self.root(place)?, &self.clock, Arc::new(LogCommitter), options, Some(input)).await
    }
}
