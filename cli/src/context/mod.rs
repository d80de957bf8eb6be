//! Everything a command works with, resolved once: stores, catalog, clock, memory, output.

mod memory;
mod profile;
mod resolver;
mod settings;
mod stores;

use std::path::PathBuf;
use std::sync::Arc;

use lake_catalog_client::CatalogClient;
use lake_format::{At, ClockRef, Error, ErrorKind, Result, Snapshot, StoreOptions, SystemClock, Table};
use lake_query::{Session, SessionBuilder, TableRef, TableResolver};

use crate::args::Global;
use crate::output::Output;

pub use profile::{DEFAULT_PROFILE, Profile, all as load_profiles, config_path, save as save_profile};
pub use resolver::{Governance, Resolver};
pub use settings::{CatalogAccess, Settings, read_secret_file};

/// What a command works with.
#[derive(Clone, Debug)]
pub struct Context {
    output: Output,
    settings: Settings,
    clock: ClockRef,
    resolver: Arc<Resolver>,
}

impl Context {
    /// Resolves the flags, the environment and the config file.
    ///
    /// # Errors
    /// `Invalid` naming the setting that makes no sense.
    pub fn new(global: &Global) -> Result<Self> {
        let settings = Settings::resolve(global)?;
        let clock = SystemClock::shared();
        let resolver = Resolver::new(settings.store.clone(), settings.catalog.clone(), Arc::clone(&clock))
            .allow_plain_http(settings.own_catalog && settings.profile.allow_http);
        Ok(Self { output: Output::new(global), settings, clock, resolver: Arc::new(resolver) })
    }

    /// The same with another catalog.
    #[must_use]
    pub fn with_catalog(&self, catalog: CatalogAccess) -> Self {
        let settings = Settings { catalog: Some(catalog.clone()), ..self.settings.clone() };
        let resolver = Resolver::new(settings.store.clone(), Some(catalog), Arc::clone(&self.clock));
        Self { settings, resolver: Arc::new(resolver), ..self.clone() }
    }

    /// How this run speaks.
    pub fn output(&self) -> &Output {
        &self.output
    }

    /// All settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How stores are reached.
    pub fn store(&self) -> &StoreOptions {
        &self.settings.store
    }

    /// The clock.
    pub fn clock(&self) -> &ClockRef {
        &self.clock
    }

    /// Opens and creates tables by path or name.
    pub fn resolver(&self) -> &Arc<Resolver> {
        &self.resolver
    }

    /// The catalog.
    ///
    /// # Errors
    /// `Invalid` when none is set.
    pub fn client(&self) -> Result<&CatalogClient> {
        self.resolver.client()
    }

    /// A table as the user names it.
    ///
    /// # Errors
    /// `Invalid`, with the right form.
    pub fn reference(&self, text: &str) -> Result<TableRef> {
        TableRef::parse(text)
    }

    /// A table that is to be written.
    ///
    /// # Errors
    /// `Invalid` also for an older version: that can't be written to.
    pub fn writable(&self, text: &str) -> Result<TableRef> {
        let reference = TableRef::parse(text)?;
        match reference.at {
            At::Latest => Ok(reference),
            _ => Err(Error::invalid("an older version can't be written to")
                .with_object(text.to_owned())
                .with_hint("leave the @ and what follows out; `lake restore` brings an older version back")),
        }
    }

    /// Opens a table at its newest version.
    ///
    /// # Errors
    /// `NotFound` when it is not there, and whatever opening can end in.
    pub async fn table(&self, reference: &TableRef) -> Result<Table> {
        self.resolver.open(reference).await
    }

    /// A table that may not be there.
    ///
    /// # Errors
    /// Whatever opening can end in, but `NotFound`.
    pub async fn find(&self, reference: &TableRef) -> Result<Option<Table>> {
        match self.resolver.open(reference).await {
            Ok(table) => Ok(Some(table)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A table at the version that the reference asks for.
    ///
    /// # Errors
    /// As [`Context::table`], and `NotFound` for a version that is not there.
    pub async fn snapshot(&self, reference: &TableRef) -> Result<Arc<Snapshot>> {
        let table = self.table(reference).await?;
        match reference.at {
            At::Latest => Ok(Arc::clone(table.snapshot())),
            at => table.at(at).await.map(Arc::new),
        }
    }

    /// A fresh SQL session within the memory of this run.
    ///
    /// # Errors
    /// As its builder.
    pub fn session(&self) -> Result<Session> {
        self.session_builder().build()
    }

    /// A session that gives the rows of a table in the order of its files, every time.
    ///
    /// # Errors
    /// As its builder.
    pub fn ordered_session(&self) -> Result<Session> {
        self.session_builder().target_partitions(1).build()
    }

    fn session_builder(&self) -> SessionBuilder {
        let resolver: Arc<dyn TableResolver> = self.resolver.clone();
        Session::builder()
            .memory_limit_bytes(Some(self.settings.memory_bytes))
            .spill_dir(self.settings.spill_dir.clone())
            .resolver(resolver)
    }

    /// Directory of the servers that this machine runs: `$LAKE_HOME`, or `lake` in the user's data directory.
    ///
    /// # Errors
    /// `Invalid` when there is no such directory.
    pub fn home(&self) -> Result<PathBuf> {
        settings::home()
    }
}
