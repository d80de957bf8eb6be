//! `lake serve`: the catalog server, in the foreground.

use std::net::SocketAddr;
use std::path::PathBuf;

use lake_catalog_api::DEFAULT_LISTEN;
use lake_catalog_server::{AuthMode, Config, Server, serve};
use lake_format::{Error, Result};

use crate::context::Context;
use crate::error::CliError;

/// Run the catalog server, with nothing set up before
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake serve
  lake serve --state ./state --warehouse s3://bucket/warehouse --endpoint http://127.0.0.1:9000
  lake serve --listen 127.0.0.1:0 --no-auth

The first start makes the catalog `lake` with the schemas bronze, silver and gold, and a token for
its administrator. Ctrl-C and SIGTERM finish what is under way, then stop.")]
pub struct Args {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_LISTEN)]
    pub listen: SocketAddr,

    /// Directory of the server's records [default: server in $LAKE_HOME or the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,

    /// Where new tables go, a directory or s3://bucket/prefix [default: warehouse in the state directory]
    #[arg(long, value_name = "LOCATION")]
    pub warehouse: Option<String>,

    /// Ask for no token; on loopback only
    #[arg(long)]
    pub no_auth: bool,
}

/// Runs `lake serve`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let state = match args.state {
        Some(state) => state,
        None => context.home()?.join("server"),
    };
    let mut config = Config::new(state);
    config.listen = args.listen;
    config.warehouse = args.warehouse;
    config.store = context.store().clone();
    config.auth = if args.no_auth { AuthMode::Open } else { AuthMode::Tokens };
    config.clock = context.clock().clone();
    let stop = stop_signal()?;
    serve(config, stop, |server| announce(server, context)).await?;
    context.output().say("stopped");
    Ok(())
}

fn announce(server: &Server, context: &Context) {
    let output = context.output();
    output.say(format_args!("listening on {}", server.url()));
    output.say(format_args!("tables go to {}", server.warehouse()));
    match server.token_file() {
        Some(file) => {
            output.say(format_args!("the administrator's token is in {}", file.display()));
            output.say(format_args!("log in with: lake login {} --token-file {}", server.url(), file.display()));
        }
        None => output.say(format_args!("no token is asked for; use it with: lake --catalog {} ...", server.url())),
    }
    output.say("stop with Ctrl-C");
}

/// Ready when the user or the system asks the program to stop. Listens from now on.
fn stop_signal() -> Result<impl Future<Output = ()> + Send> {
    #[cfg(unix)]
    let mut terminate = {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate()).map_err(Error::from)?
    };
    Ok(async move {
        let interrupt = tokio::signal::ctrl_c();
        #[cfg(unix)]
        tokio::select! {
            _ = interrupt => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = interrupt.await;
    })
}
