//! The catalog server of a local instance: this same program, in the background, on MinIO.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lake_catalog_client::CatalogClient;
use lake_catalog_server::Config;
use lake_format::store::Secret;
use lake_format::{Clock, Error, Result};

use super::minio::REGION;
use super::process::Started;
use super::state::{BUCKET, Home, State};
use crate::args::Env;
use crate::context::read_secret_file;

const PAUSE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the tables of an instance go.
pub fn warehouse() -> String {
    format!("s3://{BUCKET}/warehouse")
}

/// File of the token that the server made for us.
pub fn token_file(home: &Home) -> PathBuf {
    Config::new(home.path("server")).token_file()
}

/// Starts it on loopback. Its keys are in its environment, which no other user sees, and not in its arguments.
///
/// # Errors
/// As [`Started::spawn`].
pub fn start(program: &Path, home: &Home, state: &State) -> Result<Started> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, state.server.port));
    let mut command = Command::new(program);
    command
        .arg("serve")
        .args(["--listen", &listen.to_string()])
        .arg("--state")
        .arg(home.path("server"))
        .args(["--warehouse", &warehouse()])
        .current_dir(home.dir());
    // What is set for the user's own commands is not meant for this server.
    let foreign = |name: &str| name.starts_with("LAKE_") || name.starts_with("AWS_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| foreign(&name.to_string_lossy())) {
        if name != Env::Log.name() {
            command.env_remove(name);
        }
    }
    command
        .env(Env::Config.name(), home.path("no-config.toml"))
        .env("LAKE_S3_ENDPOINT", state.minio.url())
        .env("LAKE_S3_REGION", REGION)
        .env("LAKE_S3_PATH_STYLE", "true")
        .env("LAKE_S3_ACCESS_KEY_ID", &state.access_key_id)
        .env("LAKE_S3_SECRET_ACCESS_KEY", state.secret_access_key().expose());
    Started::spawn(command, &home.path("server.log"))
}

/// Waits until it answers to its token, and gives the token. That it knows the token tells that it is ours.
///
/// # Errors
/// `Unavailable` with the end of its log when it ends or does not answer in time.
pub async fn wait_ready(
    home: &Home,
    state: &State,
    started: Option<&mut Started>,
    clock: &dyn Clock,
) -> Result<Secret> {
    let mut started = started;
    let mut waited = Duration::ZERO;
    loop {
        let last = match answer(home, state).await {
            Ok(token) => return Ok(token),
            Err(error) => error,
        };
        let ended = started.as_mut().and_then(|started| started.exited());
        if ended.is_some() || waited >= PATIENCE {
            let what = match ended {
                Some(status) => format!("the catalog server ended with {status}"),
                None => format!("the catalog server did not answer in {} s", PATIENCE.as_secs()),
            };
            let tail = started.map(|started| started.tail()).filter(|tail| !tail.is_empty());
            let error = Error::unavailable(what).with_object(state.server.url());
            return Err(match tail {
                Some(tail) => error.with_hint(format!("the end of its log:\n{tail}")),
                None => error.with_source(last),
            });
        }
        clock.sleep(PAUSE).await;
        waited += PAUSE;
    }
}

/// Asks once.
///
/// # Errors
/// When there is no answer, or one that is not ours.
pub async fn answer(home: &Home, state: &State) -> Result<Secret> {
    let token = read_secret_file(&token_file(home))?;
    let client = CatalogClient::new(&state.server.url(), Some(token.clone()))?;
    client.session().await?;
    Ok(token)
}
