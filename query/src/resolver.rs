//! From a table reference to an open table: the seam behind which paths and catalogs are alike.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

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

/// Roots that are kept, at most.
const KEPT_ROOTS: usize = 64;

/// Knows paths and URLs and no catalog. Roots of tables that were opened are kept, with their connections and the footers
/// of files that were read.
#[derive(Clone, Debug)]
pub struct PathResolver {
    store: StoreOptions,
    clock: ClockRef,
    roots: Arc<Mutex<HashMap<String, TableRoot>>>,
}

impl PathResolver {
    /// A resolver for tables that `store` describes the access to.
    pub fn new(store: StoreOptions, clock: ClockRef) -> Self {
        Self { store, clock, roots: Arc::default() }
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
        let location = reference.place.to_string();
        let kept = self.roots.lock().unwrap_or_else(PoisonError::into_inner).get(&location).cloned();
        let root = match kept {
            Some(root) => root,
            None => self.root(&reference.place)?,
        };
        let table = Table::open(root.clone(), Arc::clone(&self.clock)).await?;
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        if roots.len() >= KEPT_ROOTS && !roots.contains_key(&location) {
            roots.clear();
        }
        roots.insert(location, root);
        Ok(table)
    }

    async fn create(&self, place: &Place, options: CreateOptions, input: Input) -> Result<WriteOutcome> {
        Table::create(&self.root(place)?, &self.clock, Arc::new(LogCommitter), options, Some(input)).await
    }
}
