//! `lake store`: whether a store can be trusted with tables, and named profiles for stores.

use clap::Subcommand;
use lake_format::store::{ProbeSize, probe};
use lake_format::{Error, TableRoot};
use serde_json::json;
use toml::Value;

use crate::args::Global;
use crate::context::{Context, Profile, config_path, load_profiles, read_secret_file, save_profile};
use crate::error::CliError;
use crate::output::{Kind, Listing, Object, duration};

/// Try whether a store can be trusted with tables; name stores in the config file
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake store probe s3://bucket --endpoint http://127.0.0.1:9000
  lake store add minio --endpoint http://127.0.0.1:9000 --access-key-id lake --secret-access-key-file key.txt
  lake store list
  lake show s3://bucket/trips --profile minio")]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done with a store.
#[derive(Debug, Subcommand)]
pub enum Action {
    Probe(ProbeArgs),
    Add(AddArgs),
    List(ListArgs),
}

/// Try put-if-absent, listing, ranged reads and multipart uploads, and print a verdict
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake store probe s3://bucket
  lake store probe s3://bucket/folder --profile minio --format json
  lake store probe ./folder --keys 20

64 writers race to create each of 200 objects: exactly one may win. All is done in a new folder
below the URL, which is removed again. The verdict is remembered: Lake refuses to write tables to
a store that failed. Exit code 0: safe; 6: not safe.")]
pub struct ProbeArgs {
    /// Bucket, folder or local path
    pub url: String,

    /// Objects that are raced for
    #[arg(long, value_name = "COUNT", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub keys: u32,

    /// Creates of one object at once
    #[arg(long, value_name = "COUNT", default_value_t = 64, value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub writers: u32,
}

/// Name a store: its address and keys are kept in the config file, readable by its owner alone
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake store add minio --endpoint http://127.0.0.1:9000 --access-key-id lake --secret-access-key-file key.txt
  lake store add open --region eu-west-1 --anonymous
  lake import trips.csv --into s3://bucket/trips --profile minio

What is given is set; the rest of a profile that is there stays. Secrets are read from files,
never from the command line, where other users of the machine could see them.")]
pub struct AddArgs {
    /// Name, for --profile
    pub name: String,

    /// File that holds the session token of temporary keys
    #[arg(long, value_name = "FILE", requires = "access_key_id")]
    pub session_token_file: Option<std::path::PathBuf>,

    /// Let requests go over plain HTTP to another machine, on a network that you trust
    #[arg(long)]
    pub allow_http: bool,
}

/// List the named stores and servers of the config file, without their secrets
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake store list
  lake store list --format json")]
pub struct ListArgs {}

/// Runs `lake store`.
pub async fn run(args: Args, global: &Global, context: &Context) -> Result<(), CliError> {
    match args.action {
        Action::Probe(args) => run_probe(&args, context).await,
        Action::Add(args) => add(&args, global, context),
        Action::List(_) => list(context),
    }
}

async fn run_probe(args: &ProbeArgs, context: &Context) -> Result<(), CliError> {
    let root = match args.url.split_once("://") {
        None | Some(("file", _)) => TableRoot::open(&args.url, context.store())?,
        Some(_) => TableRoot::open_remote(&args.url, context.store())?,
    };
    let started_ms = context.clock().now_ms();
    context.output().say(format_args!(
        "{} writers race for each of {} objects below {}",
        args.writers,
        args.keys,
        root.display()
    ));
    let size = ProbeSize { keys: args.keys as usize, writers: args.writers as usize };
    let found = probe(&root, context.clock().as_ref(), size).await?;
    let safe = found.is_safe();
    if let (false, Some(race)) = (root.is_local(), found.checks.first()) {
        context.resolver().stores().record(&root, race.passed, race.detail.clone());
    }
    let verdict = if safe { "safe" } else { "not safe" };
    let mut object = Object::new()
        .with("url", Kind::Text, root.display())
        .with_shown("verdict", Kind::Text, verdict, format!("{verdict} for tables"))
        .with("safe", Kind::Flag, safe);
    for check in &found.checks {
        let shown = format!("{}: {}", if check.passed { "ok" } else { "FAILED" }, check.detail);
        let name = check.name;
        object = object.with_shown(name, Kind::Json, json!({ "passed": check.passed, "detail": check.detail }), shown);
    }
    object = object.with("cleaned_up", Kind::Flag, found.cleaned_up);
    context.output().object(&object)?;
    context.output().say(format_args!("done in {}", duration(context.clock().now_ms() - started_ms)));
    if !found.cleaned_up {
        context.output().warn(format_args!("objects of the probe are left below {}/_lake", root.display()));
    }
    match found.checks.iter().find(|check| !check.passed) {
        None => Ok(()),
        Some(failed) => Err(Error::unsupported(format!("the store is not safe for tables: {} failed", failed.name))
            .with_object(root.display())
            .with_hint(
                "Lake refuses to write tables to a store without put-if-absent; use one that keeps If-None-Match",
            )
            .into()),
    }
}

fn add(args: &AddArgs, global: &Global, context: &Context) -> Result<(), CliError> {
    let text = |value: &Option<String>| value.clone().map(Value::String);
    let secret = |file: &Option<std::path::PathBuf>| file.as_deref().map(read_secret_file).transpose();
    let exposed = |file| Ok::<_, Error>(secret(file)?.map(|secret| Value::String(secret.expose().to_owned())));
    let flag = |set: bool| set.then_some(Value::Boolean(true));
    let given = [
        ("endpoint", text(&global.endpoint)),
        ("region", text(&global.region)),
        ("access_key_id", text(&global.access_key_id)),
        ("secret_access_key", exposed(&global.secret_access_key_file)?),
        ("session_token", exposed(&args.session_token_file)?),
        ("path_style", global.path_style.map(Value::Boolean)),
        ("anonymous", flag(global.anonymous)),
        ("allow_http", flag(args.allow_http)),
    ];
    let mut changes: Vec<(&str, Option<Value>)> = given.into_iter().filter(|(_, value)| value.is_some()).collect();
    if changes.is_empty() {
        return Err(Error::invalid("nothing was said of the store")
            .with_hint("give --endpoint, --region, --access-key-id with --secret-access-key-file, or --anonymous")
            .into());
    }
    if global.access_key_id.is_some() && args.session_token_file.is_none() {
        // A token belongs to the keys that it came with.
        changes.push(("session_token", None));
    }
    if global.access_key_id.is_some() {
        changes.push(("anonymous", None));
    }
    if let Some(endpoint) = &global.endpoint
        && !["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme))
    {
        return Err(Error::invalid("the endpoint is not a URL")
            .with_object(endpoint.clone())
            .with_hint("write it as http://127.0.0.1:9000 or https://s3.example.com")
            .into());
    }
    let path = config_path()?;
    save_profile(&path, &args.name, &changes)?;
    context.output().say(format_args!("the profile {} is in {}", args.name, path.display()));
    let profiles = load_profiles(&path)?;
    let profile = profiles.get(&args.name).cloned().unwrap_or_default();
    let mut listing = columns();
    listing.push(row(&args.name, &profile));
    context.output().listing(&listing)
}

fn list(context: &Context) -> Result<(), CliError> {
    let path = config_path()?;
    let mut listing = columns();
    for (name, profile) in &load_profiles(&path)? {
        listing.push(row(name, profile));
    }
    if listing.len() == 0 {
        context.output().say(format_args!("{} has no profile; `lake store add` makes one", path.display()));
    }
    context.output().listing(&listing)
}

fn columns() -> Listing {
    Listing::new(&[
        ("name", Kind::Text),
        ("endpoint", Kind::Text),
        ("region", Kind::Text),
        ("access_key_id", Kind::Text),
        ("has_secret", Kind::Flag),
        ("path_style", Kind::Flag),
        ("anonymous", Kind::Flag),
        ("catalog_url", Kind::Text),
    ])
}

fn row(name: &str, profile: &Profile) -> Vec<serde_json::Value> {
    vec![
        json!(name),
        json!(profile.endpoint),
        json!(profile.region),
        json!(profile.access_key_id),
        json!(profile.secret_access_key.is_some()),
        json!(profile.path_style),
        json!(profile.anonymous),
        json!(profile.catalog_url),
    ]
}
