//! `lake login`: a catalog's address and token are checked and kept in the config file.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use lake_format::store::Secret;
use lake_format::{Error, Result};
use serde_json::json;
use toml::Value;

use crate::args::Env;
use crate::context::{CatalogAccess, Context, DEFAULT_PROFILE, config_path, read_secret_file, save_profile};
use crate::error::CliError;
use crate::output::{Kind, Object};

/// Bytes of a token on standard input, at most.
const TOKEN_BYTES: u64 = 4096;

/// Log in to a catalog server: its address and token are kept in the config file
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake login http://127.0.0.1:8181 --token-file ~/.local/share/lake/server/admin.token
  lake login https://lake.example.com --profile work < token.txt
  lake login http://127.0.0.1:8181 --no-token

The token is read from --token-file, from LAKE_TOKEN, or from standard input; never from the
command line, where other users of the machine could see it. It is kept in the profile `default`,
or in the one that --profile names.")]
pub struct Args {
    /// Address of the server
    pub url: String,

    /// File that holds the token
    #[arg(long, value_name = "FILE", conflicts_with = "no_token")]
    pub token_file: Option<PathBuf>,

    /// The server asks for no token
    #[arg(long)]
    pub no_token: bool,

    /// Let the token go over plain HTTP to another machine, on a network that you trust
    #[arg(long)]
    pub allow_http: bool,
}

/// Runs `lake login`.
pub async fn run(args: Args, profile: Option<&str>, context: &Context) -> Result<(), CliError> {
    let url = args.url.trim_end_matches('/').to_owned();
    let token = token(&args)?;
    let client = CatalogAccess { url: url.clone(), token: token.clone() }.client(args.allow_http)?;
    let session = client.session().await?;
    let path = config_path()?;
    let name = profile.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_PROFILE);
    let text = |text: &str| Some(Value::String(text.to_owned()));
    let changes = [
        ("catalog_url", text(&url)),
        ("token", token.as_ref().and_then(|token| text(token.expose()))),
        ("allow_http", args.allow_http.then_some(Value::Boolean(true))),
    ];
    save_profile(&path, name, &changes)?;
    let object = Object::new()
        .with("catalog_url", Kind::Text, url)
        .with("principal", Kind::Text, session.principal)
        .with("scopes", Kind::Json, json!(session.scopes))
        .with("default_catalog", Kind::Text, session.default_catalog)
        .with("server_version", Kind::Text, session.server_version)
        .with("profile", Kind::Text, name);
    context.output().object(&object)?;
    context.output().say(format_args!("logged in; the profile {name} is in {}", path.display()));
    Ok(())
}

fn token(args: &Args) -> Result<Option<Secret>> {
    if args.no_token {
        return Ok(None);
    }
    if let Some(file) = &args.token_file {
        return read_secret_file(file).map(Some);
    }
    if let Some(token) = Env::Token.get() {
        return Ok(Some(Secret::new(token)));
    }
    if io::stdin().is_terminal() {
        return Err(Error::invalid("no token was given")
            .with_hint("name its file with --token-file, or send it to standard input; --no-token goes without"));
    }
    let mut text = String::new();
    io::stdin().take(TOKEN_BYTES).read_to_string(&mut text)?;
    match text.trim() {
        "" => Err(Error::invalid("standard input holds no token")
            .with_hint("name its file with --token-file; --no-token goes without")),
        token => Ok(Some(Secret::new(token))),
    }
}
