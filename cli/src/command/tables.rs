//! `lake tables`: the tables of a catalog: what the catalog knows of them.

use std::path::PathBuf;

use clap::Subcommand;
use lake_catalog_api::{Contract, DEFAULT_CATALOG, NameProblem, RegisterTable, Table, TableName, UpdateTable};
use lake_format::{Error, Result};
use serde_json::{Value, json};

use super::create::read_contract;
use super::schemas::split;
use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, Object, time};

/// List, show, register, describe and drop the tables of a catalog
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake tables
  lake tables list gold
  lake tables show gold.daily
  lake tables register bronze.trips s3://bucket/trips
  lake tables set gold.daily --owner sales@example.com --upstream silver.orders
  lake tables contract silver.orders --file contract.json
  lake tables drop bronze.trips

A contract looks like {\"columns\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":false,\"min\":1}]}. Commits
to a silver table must keep it. `lake create` makes a table.")]
pub struct Args {
    /// What to do; the tables of the catalog `lake` are listed when nothing is said
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What to do with tables.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the tables of a schema, or of all schemas of the catalog `lake`
    List {
        /// Name of the schema, as schema or catalog.schema
        schema: Option<String>,
    },
    /// Show what the catalog knows of a table
    Show {
        /// Name, as schema.table
        name: String,
    },
    /// Give a name to a Delta table that is there
    Register {
        /// Name, as schema.table
        name: String,
        /// Path or URL of the table, as the server sees it
        location: String,
        #[command(flatten)]
        about: About,
    },
    /// Change owner, upstreams, description or name
    Set {
        /// Name, as schema.table
        name: String,
        /// New name of the table, in the same schema
        #[arg(long, value_name = "NAME")]
        rename: Option<String>,
        #[command(flatten)]
        about: About,
    },
    /// Show the contract of a table, or replace or remove it
    Contract {
        /// Name, as schema.table
        name: String,
        /// File with the new contract, in JSON
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Remove the contract
        #[arg(long, conflicts_with = "file")]
        remove: bool,
    },
    /// Forget a table; its data stays where it is
    Drop {
        /// Name, as schema.table
        name: String,
    },
}

/// What is said of a table.
#[derive(Debug, clap::Args)]
pub struct About {
    /// Who answers for it; empty for nobody
    #[arg(long, value_name = "NAME")]
    pub owner: Option<String>,
    /// A table that it is made from; may be given several times, and replaces the list
    #[arg(long, value_name = "TABLE", value_delimiter = ',')]
    pub upstream: Option<Vec<String>>,
    /// What it is, in words; empty for nothing
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
}

/// Runs `lake tables`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    match args.action.unwrap_or(Action::List { schema: None }) {
        Action::List { schema } => list(schema.as_deref(), context).await,
        Action::Show { name } => {
            let name = parse(&name)?;
            show(&context.client()?.get_table(&name).await?, context)
        }
        Action::Register { name, location, about } => {
            let name = parse(&name)?;
            let request = RegisterTable {
                name: name.table.clone(),
                location: absolute(&location)?,
                owner: about.owner,
                upstreams: about.upstream.unwrap_or_default(),
                description: about.description,
                contract: None,
            };
            let loaded = context.client()?.register_table(&name.catalog, &name.schema, &request).await?;
            context.output().say(format_args!("{name} is registered, version {}", loaded.version));
            show(&loaded.table, context)
        }
        Action::Set { name, rename, about } => {
            // An empty text removes what is there.
            let given = |text: Option<String>| text.map(|text| Some(text).filter(|text| !text.is_empty()));
            let changes = UpdateTable {
                name: rename,
                owner: given(about.owner),
                description: given(about.description),
                upstreams: about.upstream.map(|names| names.into_iter().filter(|name| !name.is_empty()).collect()),
                ..UpdateTable::default()
            };
            if changes == UpdateTable::default() {
                return Err(Error::invalid("nothing to change was given")
                    .with_hint("say --owner, --upstream, --description or --rename")
                    .into());
            }
            show(&context.client()?.update_table(&parse(&name)?, &changes).await?, context)
        }
        Action::Contract { name, file, remove } => contract(&parse(&name)?, file, remove, context).await,
        Action::Drop { name } => {
            let dropped = context.client()?.drop_table(&parse(&name)?).await?;
            context.output().say(format_args!("{} is dropped from the catalog; {}", dropped.name, dropped.note));
            let object =
                Object::new().with("name", Kind::Text, dropped.name).with("location", Kind::Text, dropped.location);
            context.output().object(&object)
        }
    }
}

fn parse(name: &str) -> Result<TableName> {
    TableName::parse(name).map_err(|problem| {
        let hint = match problem {
            NameProblem::Parts(_) => "a table's name is schema.table or catalog.schema.table",
            _ => NameProblem::HINT,
        };
        Error::invalid(problem.to_string()).with_object(name.to_owned()).with_hint(hint)
    })
}

/// The server may have another working directory.
fn absolute(location: &str) -> Result<String> {
    if location.contains("://") {
        return Ok(location.to_owned());
    }
    let path = std::path::absolute(location).map_err(|error| Error::from(error).with_object(location.to_owned()))?;
    Ok(path.to_string_lossy().into_owned())
}

async fn list(schema: Option<&str>, context: &Context) -> Result<(), CliError> {
    let client = context.client()?;
    let mut schemas = Vec::new();
    match schema {
        Some(name) => {
            let (catalog, schema) = split(name)?;
            schemas.push((catalog.to_owned(), schema.to_owned()));
        }
        None => {
            let all = client.all_schemas(DEFAULT_CATALOG).await?;
            schemas.extend(all.into_iter().map(|schema| (schema.catalog, schema.name)));
        }
    }
    let mut listing = Listing::new(&[
        ("name", Kind::Text),
        ("layer", Kind::Text),
        ("owner", Kind::Text),
        ("upstreams", Kind::Json),
        ("description", Kind::Text),
        ("location", Kind::Text),
        ("created", Kind::Text),
        ("id", Kind::Text),
    ])
    .hiding(&["upstreams", "description", "created", "id"]);
    for (catalog, schema) in schemas {
        for table in client.all_tables(&catalog, &schema).await? {
            listing.push(vec![
                Value::from(full_name(&table)),
                Value::from(table.layer.as_str()),
                Value::from(table.owner),
                json!(table.upstreams),
                Value::from(table.description),
                Value::from(table.location),
                Value::from(time(table.created_ms)),
                Value::from(table.id),
            ]);
        }
    }
    context.output().listing(&listing)
}

async fn contract(name: &TableName, file: Option<PathBuf>, remove: bool, context: &Context) -> Result<(), CliError> {
    let new = file.as_deref().map(read_contract).transpose()?;
    let client = context.client()?;
    let table = if new.is_some() || remove {
        let changes = UpdateTable { contract: Some(new), ..UpdateTable::default() };
        client.update_table(name, &changes).await?
    } else {
        client.get_table(name).await?
    };
    let mut listing = Listing::new(&[
        ("name", Kind::Text),
        ("type", Kind::Text),
        ("nullable", Kind::Flag),
        ("min", Kind::Text),
        ("max", Kind::Text),
    ]);
    for rule in table.contract.map(|Contract { columns }| columns).unwrap_or_default() {
        listing.push(vec![
            Value::from(rule.name),
            Value::from(rule.data_type),
            Value::from(rule.nullable),
            Value::from(rule.min.map(|bound| bound.to_string())),
            Value::from(rule.max.map(|bound| bound.to_string())),
        ]);
    }
    context.output().listing(&listing)
}

fn full_name(table: &Table) -> String {
    format!("{}.{}.{}", table.catalog, table.schema, table.name)
}

fn show(table: &Table, context: &Context) -> Result<(), CliError> {
    let contract = table.contract.as_ref().and_then(|contract| serde_json::to_value(contract).ok());
    let object = Object::new()
        .with("name", Kind::Text, full_name(table))
        .with("layer", Kind::Text, table.layer.as_str())
        .with("location", Kind::Text, table.location.clone())
        .with("description", Kind::Text, table.description.clone())
        .with("owner", Kind::Text, table.owner.clone())
        .with("upstreams", Kind::Json, json!(table.upstreams))
        .with("contract", Kind::Json, contract.unwrap_or(Value::Null))
        .with("revision", Kind::Number, table.revision)
        .with("created", Kind::Text, time(table.created_ms))
        .with("updated", Kind::Text, time(table.updated_ms))
        .with("id", Kind::Text, table.id.clone());
    context.output().object(&object)
}
