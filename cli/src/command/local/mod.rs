//! `lake local`: MinIO and a catalog server on it, on this machine, started and ended as one.

mod minio;
mod process;
mod server;
mod state;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use lake_format::store::Secret;
use lake_format::{Error, Result};
use toml::Value;

use crate::context::{Context, config_path, save_profile};
use crate::error::CliError;
use crate::output::{Kind, Object};
use process::{Ended, Process, Started};
use state::{BUCKET, Home, Service, State, free_port};

/// Profile that `up` writes.
const PROFILE: &str = "local";
/// How long MinIO may take to end when asked.
const MINIO_PATIENCE: Duration = Duration::from_secs(10);
/// The server finishes what is under way first.
const SERVER_PATIENCE: Duration = Duration::from_secs(15);

/// Run MinIO and a catalog server on this machine
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake local up
  lake --profile local sql \"SELECT 1\"
  lake --profile local import bronze.trips trips.parquet
  lake local status --format json
  lake local down

Both servers listen on loopback alone, with keys made for this instance. The data stays when they
are stopped. The program `minio` is taken from the path, or from where LAKE_MINIO says.")]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Start both, or what of them does not run
    Up(Up),
    /// Tell what runs, and where
    Status(Place),
    /// Stop both; the data stays
    Down(Place),
}

#[derive(Debug, clap::Args)]
struct Place {
    /// Folder of the instance [default: local in $LAKE_HOME or the user's data directory]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct Up {
    #[command(flatten)]
    place: Place,

    /// Port of MinIO [default: a free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,

    /// Port of the catalog server [default: a free one]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    api_port: Option<u16>,
}

/// Runs `lake local`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    match args.action {
        Action::Up(args) => up(&args, context).await,
        Action::Status(place) => status(&place.home(context)?, context).await,
        Action::Down(place) => down(&place.home(context)?, context).await,
    }
}

impl Place {
    fn home(&self, context: &Context) -> Result<Home> {
        let dir = match &self.dir {
            Some(dir) => std::path::absolute(dir)?,
            None => context.home()?.join("local"),
        };
        Ok(Home::new(dir))
    }
}

async fn up(args: &Up, context: &Context) -> Result<(), CliError> {
    let home = args.place.home(context)?;
    // Before anything is made: without the program nothing is left behind.
    let program =
        minio::find(std::env::var_os(minio::PROGRAM_VARIABLE).as_deref(), std::env::var_os("PATH").as_deref())?;
    home.make()?;
    let _lock = home.lock()?;
    let clock = context.clock().as_ref();
    let mut state = home.load()?.unwrap_or_else(|| State::new(clock));
    refuse_other_port("MinIO", &state.minio, args.port)?;
    refuse_other_port("the catalog server", &state.server, args.api_port)?;

    if state.minio.is_running() {
        minio::make_bucket(&state, None, clock).await?;
        context.output().say("MinIO is running already");
    } else {
        // A server on a MinIO that was replaced would look for it at its old address.
        end(&home, &mut state, Part::Server, context).await?;
        start_minio(&program, &home, &mut state, args.port, context).await?;
    }
    let token = if state.server.is_running() {
        context.output().say("the catalog server is running already");
        server::wait_ready(&home, &state, None, clock).await?
    } else {
        start_server(&home, &mut state, args.api_port, context).await?
    };
    let config = config_path()?;
    write_profile(&config, &state, &token)?;
    context.output().object(&told(&home, &state, true))?;
    tell_how_to_connect(&config, context);
    Ok(())
}

fn refuse_other_port(what: &str, service: &Service, asked: Option<u16>) -> Result<()> {
    match asked {
        Some(port) if service.is_running() && service.port != port => {
            Err(Error::conflict(format!("{what} is running already, on another port"))
                .with_object(service.url())
                .with_hint("nothing was changed; stop it first with `lake local down`"))
        }
        _ => Ok(()),
    }
}

async fn start_minio(
    program: &Path,
    home: &Home,
    state: &mut State,
    port: Option<u16>,
    context: &Context,
) -> Result<()> {
    state.minio = Service { port: free_port(port, state.minio.port)?, process: None };
    let mut started = minio::start(program, home, state)?;
    remember(home, state, Part::Minio, Some(&started))?;
    let ready = minio::make_bucket(state, Some(&mut started), context.clock().as_ref()).await;
    if ready.is_err() {
        started.kill();
        remember(home, state, Part::Minio, None)?;
    }
    ready
}

async fn start_server(home: &Home, state: &mut State, port: Option<u16>, context: &Context) -> Result<Secret> {
    let program = std::env::current_exe()?;
    state.server = Service { port: free_port(port, state.server.port)?, process: None };
    let mut started = server::start(&program, home, state)?;
    remember(home, state, Part::Server, Some(&started))?;
    let ready = server::wait_ready(home, state, Some(&mut started), context.clock().as_ref()).await;
    if ready.is_err() {
        started.kill();
        remember(home, state, Part::Server, None)?;
    }
    ready
}

/// One of the two servers.
#[derive(Clone, Copy)]
enum Part {
    Minio,
    Server,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Minio => "MinIO",
            Self::Server => "the catalog server",
        }
    }

    fn of(self, state: &mut State) -> &mut Service {
        match self {
            Self::Minio => &mut state.minio,
            Self::Server => &mut state.server,
        }
    }
}

/// Writes down at once what was started, so that whatever happens `down` finds it.
fn remember(home: &Home, state: &mut State, part: Part, started: Option<&Started>) -> Result<()> {
    part.of(state).process = started.map(|started| started.process.clone());
    home.save(state)
}

/// Ends one server, if it is ours and runs, and writes down that it does not any more.
async fn end(home: &Home, state: &mut State, part: Part, context: &Context) -> Result<()> {
    let Some(process) = part.of(state).process.clone() else {
        return Ok(());
    };
    let patience = match part {
        Part::Minio => MINIO_PATIENCE,
        Part::Server => SERVER_PATIENCE,
    };
    let Process { pid, .. } = process;
    let said = match process.end(patience, context.clock().as_ref()).await? {
        Ended::WasGone => "was not running any more".to_owned(),
        Ended::Stopped => format!("is stopped (process {pid})"),
        Ended::Killed => format!("did not stop in {} s and was killed (process {pid})", patience.as_secs()),
    };
    context.output().say(format_args!("{} {said}", part.name()));
    remember(home, state, part, None)
}

async fn down(home: &Home, context: &Context) -> Result<(), CliError> {
    if home.load()?.is_none() {
        return Err(none_here(home).into());
    }
    let _lock = home.lock()?;
    let mut state = home.load()?.ok_or_else(|| none_here(home))?;
    end(home, &mut state, Part::Server, context).await?;
    end(home, &mut state, Part::Minio, context).await?;
    context.output().say(format_args!("the data stays in {}; `lake local up` brings it back", home.dir().display()));
    context.output().object(&told(home, &state, false))
}

async fn status(home: &Home, context: &Context) -> Result<(), CliError> {
    let state = home.load()?.ok_or_else(|| none_here(home))?;
    let answers = state.server.is_running() && server::answer(home, &state).await.is_ok();
    context.output().object(&told(home, &state, answers))
}

fn none_here(home: &Home) -> Error {
    Error::not_found("there is no local instance here")
        .with_object(home.dir().display().to_string())
        .with_hint("start one with `lake local up`")
}

/// What `up`, `status` and `down` give. Secrets are in the profile and are not shown.
fn told(home: &Home, state: &State, server_answers: bool) -> Object {
    let pid =
        |service: &Service| service.process.as_ref().filter(|process| process.is_running()).map(|process| process.pid);
    let running = state.minio.is_running() && state.server.is_running();
    Object::new()
        .with("running", Kind::Flag, running)
        .with("ready", Kind::Flag, running && server_answers)
        .with("catalog_url", Kind::Text, state.server.url())
        .with("catalog_pid", Kind::Number, pid(&state.server))
        .with("s3_endpoint", Kind::Text, state.minio.url())
        .with("s3_region", Kind::Text, minio::REGION)
        .with("s3_access_key_id", Kind::Text, state.access_key_id.clone())
        .with("minio_pid", Kind::Number, pid(&state.minio))
        .with("bucket", Kind::Text, BUCKET)
        .with("warehouse", Kind::Text, server::warehouse())
        .with("dir", Kind::Text, home.dir().display().to_string())
        .with("token_file", Kind::Text, server::token_file(home).display().to_string())
        .with("catalog_log", Kind::Text, home.path("server.log").display().to_string())
        .with("minio_log", Kind::Text, home.path("minio.log").display().to_string())
        .with("profile", Kind::Text, PROFILE)
}

fn write_profile(config: &Path, state: &State, token: &Secret) -> Result<()> {
    let text = |value: String| Some(Value::String(value));
    let changes = [
        ("endpoint", text(state.minio.url())),
        ("region", text(minio::REGION.to_owned())),
        ("access_key_id", text(state.access_key_id.clone())),
        ("secret_access_key", text(state.secret_access_key().expose().to_owned())),
        ("path_style", Some(Value::Boolean(true))),
        ("catalog_url", text(state.server.url())),
        ("token", text(token.expose().to_owned())),
        ("session_token", None),
        ("anonymous", None),
    ];
    save_profile(config, PROFILE, &changes)
}

fn tell_how_to_connect(config: &Path, context: &Context) {
    let say = |line: String| context.output().say(line);
    say(format!("\nkeys and token are in the profile `{PROFILE}` of {}; use it as", config.display()));
    say(format!("  lake --profile {PROFILE} quickstart"));
    say(format!("  lake --profile {PROFILE} import bronze.trips trips.parquet"));
    say(format!("  lake --profile {PROFILE} sql \"SELECT count(*) FROM bronze.trips\""));
    say(format!("  lake --profile {PROFILE} import s3://{BUCKET}/scratch/trips trips.parquet"));
    say("stop it with `lake local down`".to_owned());
}
