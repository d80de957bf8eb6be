//! `lake schemas`: the schemas of a catalog, each with its layer.

use clap::Subcommand;
use lake_catalog_api::{CreateSchema, DEFAULT_CATALOG, Layer, NameProblem, Schema, check_name};
use lake_format::{Error, Result};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, Object, time};

/// List, create, show and drop schemas
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake schemas
  lake schemas create raw --layer bronze
  lake schemas show lake.gold
  lake schemas drop raw

The layer of a schema decides what commits to its tables must keep: bronze is append-only, silver
keeps declared types, NOT NULL and ranges, gold needs an owner and upstreams.")]
pub struct Args {
    /// What to do; the schemas of the catalog `lake` are listed when nothing is said
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What to do with schemas.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the schemas of a catalog
    List {
        /// Name of the catalog
        #[arg(value_name = "CATALOG", default_value = DEFAULT_CATALOG)]
        parent: String,
    },
    /// Create a schema
    Create {
        /// Name, as schema or catalog.schema
        name: String,
        /// Layer: bronze, silver, gold or none
        #[arg(long, default_value = "none", value_parser = parse_layer)]
        layer: Layer,
        /// What it is, in words
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Show a schema
    Show {
        /// Name, as schema or catalog.schema
        name: String,
    },
    /// Drop a schema that has no table
    Drop {
        /// Name, as schema or catalog.schema
        name: String,
    },
}

fn parse_layer(text: &str) -> std::result::Result<Layer, String> {
    Layer::parse(text).ok_or_else(|| "a layer is bronze, silver, gold or none".to_owned())
}

/// Takes `[catalog.]schema` apart.
///
/// # Errors
/// `Invalid` for what is no name.
pub fn split(name: &str) -> Result<(&str, &str)> {
    let (catalog, schema) = name.split_once('.').unwrap_or((DEFAULT_CATALOG, name));
    for part in [catalog, schema] {
        check_name(part).map_err(|problem| {
            Error::invalid(problem.to_string()).with_object(name.to_owned()).with_hint(NameProblem::HINT)
        })?;
    }
    Ok((catalog, schema))
}

/// Runs `lake schemas`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let client = context.client()?;
    let list = || Action::List { parent: DEFAULT_CATALOG.to_owned() };
    match args.action.unwrap_or_else(list) {
        Action::List { parent } => {
            let mut listing = Listing::new(&[
                ("catalog", Kind::Text),
                ("name", Kind::Text),
                ("layer", Kind::Text),
                ("description", Kind::Text),
                ("properties", Kind::Json),
                ("created", Kind::Text),
                ("id", Kind::Text),
            ])
            .hiding(&["properties", "id"]);
            for schema in client.all_schemas(&parent).await? {
                listing.push(vec![
                    Value::from(schema.catalog),
                    Value::from(schema.name),
                    Value::from(schema.layer.as_str()),
                    Value::from(schema.description),
                    json!(schema.properties),
                    Value::from(time(schema.created_ms)),
                    Value::from(schema.id),
                ]);
            }
            context.output().listing(&listing)
        }
        Action::Create { name, layer, description } => {
            let (catalog, schema) = split(&name)?;
            let request = CreateSchema { name: schema.to_owned(), layer, description, ..CreateSchema::default() };
            show(&client.create_schema(catalog, &request).await?, context)
        }
        Action::Show { name } => {
            let (catalog, schema) = split(&name)?;
            show(&client.get_schema(catalog, schema).await?, context)
        }
        Action::Drop { name } => {
            let (catalog, schema) = split(&name)?;
            client.delete_schema(catalog, schema).await?;
            context.output().say(format_args!("the schema {catalog}.{schema} is dropped"));
            Ok(())
        }
    }
}

fn show(schema: &Schema, context: &Context) -> Result<(), CliError> {
    let object = Object::new()
        .with("catalog", Kind::Text, schema.catalog.clone())
        .with("name", Kind::Text, schema.name.clone())
        .with("layer", Kind::Text, schema.layer.as_str())
        .with("description", Kind::Text, schema.description.clone())
        .with("properties", Kind::Json, json!(schema.properties))
        .with("created", Kind::Text, time(schema.created_ms))
        .with("updated", Kind::Text, time(schema.updated_ms))
        .with("id", Kind::Text, schema.id.clone());
    context.output().object(&object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_or_two_parts() {
        assert_eq!(split("raw").expect("one"), ("lake", "raw"));
        assert_eq!(split("c.raw").expect("two"), ("c", "raw"));
        for bad in ["", "a.b.c", ".a", "a.", "a b"] {
            assert!(split(bad).is_err(), "{bad}");
        }
    }
}
