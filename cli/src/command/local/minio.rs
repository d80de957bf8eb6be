//! MinIO: where its program is, how it is started, when it is ready, and its bucket.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use lake_format::{Clock, Error, Result};

use super::process::Started;
use super::state::{BUCKET, Home, State};
use crate::args::Env;

/// Names the program, where it is not on the path.
pub const PROGRAM_VARIABLE: &str = Env::Minio.name();
/// Region that MinIO answers to.
pub const REGION: &str = "us-east-1";

const ATTEMPT: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(100);
/// How long a start may take. On a slow disk MinIO takes seconds to format its first one.
const PATIENCE: Duration = Duration::from_secs(60);

/// How to get the program.
const HOW_TO_GET: &str = "install it with `go install github.com/minio/minio@latest` or from your system's packages \
    (`brew install minio`), and have it on the path\nor name the program: LAKE_MINIO=/path/to/minio lake local up\n\
    or use any other S3-compatible store: lake serve --warehouse s3://BUCKET/PREFIX --endpoint URL";

/// The program: the one that `LAKE_MINIO` names, else the first `minio` of the path.
///
/// # Errors
/// `NotFound`, with how to get it.
pub fn find(named: Option<&OsStr>, path: Option<&OsStr>) -> Result<PathBuf> {
    if let Some(named) = named.filter(|named| !named.is_empty()) {
        let program = PathBuf::from(named);
        if is_program(&program) {
            return std::path::absolute(&program).map_err(Error::from);
        }
        return Err(Error::not_found(format!("{PROGRAM_VARIABLE} does not name a program"))
            .with_object(program.display().to_string())
            .with_hint(HOW_TO_GET));
    }
    let candidates = std::env::split_paths(path.unwrap_or_default()).map(|dir| dir.join("minio"));
    candidates
        .filter(|program| is_program(program))
        .find_map(|program| std::path::absolute(program).ok())
        .ok_or_else(|| Error::not_found("the program `minio` is not on the path").with_hint(HOW_TO_GET))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}

/// Starts it on loopback, with its data in the instance's folder.
///
/// # Errors
/// As [`Started::spawn`].
pub fn start(program: &Path, home: &Home, state: &State) -> Result<Started> {
    let mut command = Command::new(program);
    command
        .args(["server", "--quiet", "--address", &format!("127.0.0.1:{}", state.minio.port)])
        .arg("--certs-dir")
        .arg(home.path("certs"))
        .arg(home.path("minio"))
        .current_dir(home.dir());
    // Settings of another MinIO on this machine are none of ours.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("MINIO_")) {
        command.env_remove(name);
    }
    command
        .env("MINIO_ROOT_USER", &state.access_key_id)
        .env("MINIO_ROOT_PASSWORD", state.secret_access_key().expose())
        .env("MINIO_BROWSER", "off")
        .env("MINIO_UPDATE", "off")
        .env("MINIO_CALLHOME_ENABLE", "off");
    Started::spawn(command, &home.path("minio.log"))
}

/// Waits until it answers to our keys, and makes the bucket. That it knows the keys tells that it is ours.
///
/// # Errors
/// `Unavailable` with the end of its log when it ends or does not answer in time.
pub async fn make_bucket(state: &State, started: Option<&mut Started>, clock: &dyn Clock) -> Result<()> {
    let client = client(state);
    let mut started = started;
    let mut waited = Duration::ZERO;
    loop {
        let last = match client.create_bucket().bucket(BUCKET).send().await {
            Ok(_) => return Ok(()),
            Err(error) if is_ours_already(&error) => return Ok(()),
            Err(error) => DisplayErrorContext(error).to_string(),
        };
        let ended = started.as_mut().and_then(|started| started.exited());
        if ended.is_some() || waited >= PATIENCE {
            let what = match ended {
                Some(status) => format!("minio ended with {status}"),
                None => format!("minio did not answer in {} s", PATIENCE.as_secs()),
            };
            let tail = started.map(|started| started.tail()).filter(|tail| !tail.is_empty());
            return Err(Error::unavailable(what).with_object(state.minio.url()).with_hint(match tail {
                Some(tail) => format!("the end of its log:\n{tail}"),
                None => last,
            }));
        }
        clock.sleep(PAUSE).await;
        waited += PAUSE;
    }
}

fn is_ours_already<R>(error: &SdkError<aws_sdk_s3::operation::create_bucket::CreateBucketError, R>) -> bool {
    error.code() == Some("BucketAlreadyOwnedByYou")
}

fn client(state: &State) -> Client {
    let keys = Credentials::new(&state.access_key_id, state.secret_access_key().expose(), None, None, "lake local");
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .endpoint_url(state.minio.url())
        .region(Region::new(REGION))
        .force_path_style(true)
        .credentials_provider(keys)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(ATTEMPT).build())
        .build();
    Client::from_conf(config)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use lake_format::{ErrorKind, SystemClock};
    use std::os::unix::fs::PermissionsExt;

    fn program(dir: &Path, name: &str, script: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("executable");
        path
    }

    #[test]
    fn the_program_that_is_named_wins_over_the_path() {
        let dir = tempfile::tempdir().expect("dir");
        let on_path = program(dir.path(), "minio", "");
        let named = program(dir.path(), "my-minio", "");
        let path = Some(dir.path().as_os_str());
        assert_eq!(find(None, path).expect("on the path"), on_path);
        assert_eq!(find(Some(OsStr::new("")), path).expect("empty is not set"), on_path);
        assert_eq!(find(Some(named.as_os_str()), path).expect("named"), named);
    }

    #[test]
    fn without_the_program_it_says_how_to_get_it() {
        let dir = tempfile::tempdir().expect("dir");
        std::fs::write(dir.path().join("minio"), "not executable").expect("written");
        for error in [
            find(None, Some(dir.path().as_os_str())).expect_err("not executable"),
            find(None, None).expect_err("no path"),
            find(Some(OsStr::new("/no/such")), Some(dir.path().as_os_str())).expect_err("not there"),
        ] {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert!(error.hint().is_some_and(|hint| hint.contains("go install")), "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_start_that_fails_shows_the_log() {
        let dir = tempfile::tempdir().expect("dir");
        let home = Home::new(dir.path().join("local"));
        home.make().expect("made");
        let mut state = State::new(&SystemClock);
        state.minio.port = super::super::state::free_port(None, 0).expect("free");
        let broken = program(dir.path(), "minio", "echo the disk is full; exit 3");
        let mut started = start(&broken, &home, &state).expect("starts");
        let error = make_bucket(&state, Some(&mut started), &SystemClock).await.expect_err("ended");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(error.message().contains('3'), "{error:?}");
        assert!(error.hint().is_some_and(|hint| hint.contains("the disk is full")), "{error:?}");
    }
}
