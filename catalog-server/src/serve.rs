//! A server from start to stop: opens its state, binds, answers, drains.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::serve::ListenerExt;
use lake_format::{Error, ErrorKind, Result};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::auth::Gate;
use crate::catalog::{Catalog, Roots, Storage};
use crate::config::{AuthMode, Config};
use crate::http::{App, router};
use crate::store::{CatalogStore, SqliteStore};

/// How long a stop waits for requests and commits under way.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);
const UPKEEP: Duration = Duration::from_secs(5);

/// A server that is bound to its address and about to answer.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    app: Arc<App>,
    store: Arc<dyn CatalogStore>,
    token_file: Option<PathBuf>,
    warehouse: String,
}

impl Server {
    /// Opens the state, makes what a first start needs, and binds.
    ///
    /// # Errors
    /// `Invalid` for settings that can't be, `Unavailable` when the address is taken, and those of the state folder.
    pub async fn bind(config: Config) -> Result<Self> {
        Self::bind_with(config, None).await
    }

    /// [`Server::bind`] with another way to open the roots of tables.
    ///
    /// # Errors
    /// As [`Server::bind`].
    pub async fn bind_with(config: Config, roots: Option<Arc<dyn Roots>>) -> Result<Self> {
        config.check()?;
        make_private(&config.state_dir)
            .map_err(|e| Error::from(e).with_object(config.state_dir.display().to_string()))?;
        let mut storage = Storage::new(&config.warehouse()?, config.store.clone())?
            .allow_only(&config.allowed_locations)?
            .vend_read_keys(config.read_keys.clone());
        let warehouse = storage.warehouse().to_owned();
        if let Some(roots) = roots {
            storage = storage.with_roots(roots);
        }
        let listener = TcpListener::bind(config.listen).await.map_err(|e| bind_failed(config.listen, e))?;
        let address = listener.local_addr()?;
        let store: Arc<dyn CatalogStore> = Arc::new(SqliteStore::open(&config.database()).await?);
        let clock = Arc::clone(&config.clock);
        let gate = Gate::new(Arc::clone(&store), Arc::clone(&clock), config.auth == AuthMode::Open);
        let file = config.token_file();
        let made = config.auth == AuthMode::Tokens && gate.ensure_first(&file).await?;
        if made {
            tracing::info!(file = %file.display(), "the first token was made");
        }
        let catalog = Arc::new(Catalog::new(Arc::clone(&store), storage, Arc::clone(&clock)));
        catalog.ensure_default().await?;
        let app = App::new(catalog, gate, clock)?;
        let token_file = (config.auth == AuthMode::Tokens).then_some(file);
        Ok(Self { listener, address, app, store, token_file, warehouse })
    }

    /// The address that the server is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Base address for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// File of the first token; `None` when tokens are not asked for.
    pub fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    /// Where new tables go.
    pub fn warehouse(&self) -> &str {
        &self.warehouse
    }

    /// Answers until `shutdown` is ready, then takes no more and finishes what is under way, for at most
    /// [`DRAIN_LIMIT`].
    ///
    /// # Errors
    /// `Unavailable` when the listener fails.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
        let Self { listener, app, store, address, .. } = self;
        tracing::info!(%address, "listening");
        let (stop, mut stopped) = watch::channel(false);
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "answers may be slow");
            }
        });
        let stopping = async move {
            let _ = stopped.wait_for(|stop| *stop).await;
        };
        let serving = axum::serve(listener, router(Arc::clone(&app))).with_graceful_shutdown(stopping).into_future();
        tokio::pin!(serving);
        let mut upkeep = tokio::time::interval(UPKEEP);
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                ended = &mut serving => {
                    store.close().await;
                    return ended.map_err(|e| Error::unavailable("the listener failed").with_source(e));
                }
                _ = upkeep.tick() => app.upkeep(),
                () = &mut shutdown => break,
            }
        }
        app.drain();
        let _ = stop.send(true);
        let drained = tokio::time::timeout(DRAIN_LIMIT, async {
            let ended = serving.await;
            app.settled().await;
            ended
        });
        let outcome = match drained.await {
            Ok(ended) => ended.map_err(|e| Error::unavailable("the listener failed").with_source(e)),
            Err(_) => {
                tracing::warn!("requests were still under way when the server stopped");
                // Commits that were asked for are settled before the records close, or are left to their store.
                Ok(())
            }
        };
        store.close().await;
        outcome
    }
}

/// Starts a server, tells `ready` about it, and runs it until `shutdown`.
///
/// # Errors
/// As [`Server::bind`] and [`Server::run`].
pub async fn serve(
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
    ready: impl FnOnce(&Server),
) -> Result<()> {
    let server = Server::bind(config).await?;
    ready(&server);
    server.run(shutdown).await
}

fn bind_failed(address: SocketAddr, error: std::io::Error) -> Error {
    let (kind, hint) = match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            (ErrorKind::Unavailable, "another program listens there; stop it or choose another port")
        }
        std::io::ErrorKind::PermissionDenied => (ErrorKind::Denied, "choose a port from 1024 on"),
        _ => (ErrorKind::Invalid, "choose an address of this machine"),
    };
    Error::new(kind, "the server can't listen").with_object(address.to_string()).with_hint(hint).with_source(error)
}

/// Makes the state folder, for its owner alone. One that is there keeps its rights.
fn make_private(folder: &Path) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
