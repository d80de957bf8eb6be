//! `lake catalogs`: the catalogs of a server.

use clap::Subcommand;
use lake_catalog_api::{Catalog, CreateCatalog};
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, Object, time};

/// List, create, show and drop catalogs
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake catalogs
  lake catalogs create research --description \"what is being tried\"
  lake catalogs drop research")]
pub struct Args {
    /// What to do; the catalogs are listed when nothing is said
    #[command(subcommand)]
    pub action: Option<Action>,
}

/// What to do with catalogs.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List the catalogs
    List,
    /// Create a catalog
    Create {
        /// Name
        name: String,
        /// What it is, in words
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
    },
    /// Show a catalog
    Show {
        /// Name
        name: String,
    },
    /// Drop a catalog that has no schema
    Drop {
        /// Name
        name: String,
    },
}

/// Runs `lake catalogs`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let client = context.client()?;
    match args.action.unwrap_or(Action::List) {
        Action::List => {
            let mut listing = Listing::new(&[
                ("name", Kind::Text),
                ("description", Kind::Text),
                ("properties", Kind::Json),
                ("created", Kind::Text),
                ("id", Kind::Text),
            ])
            .hiding(&["properties", "id"]);
            for catalog in client.all_catalogs().await? {
                listing.push(vec![
                    Value::from(catalog.name),
                    Value::from(catalog.description),
                    json!(catalog.properties),
                    Value::from(time(catalog.created_ms)),
                    Value::from(catalog.id),
                ]);
            }
            context.output().listing(&listing)
        }
        Action::Create { name, description } => {
            let request = CreateCatalog { name, description, ..CreateCatalog::default() };
            show(&client.create_catalog(&request).await?, context)
        }
        Action::Show { name } => show(&client.get_catalog(&name).await?, context),
        Action::Drop { name } => {
            client.delete_catalog(&name).await?;
            context.output().say(format_args!("the catalog {name} is dropped"));
            Ok(())
        }
    }
}

fn show(catalog: &Catalog, context: &Context) -> Result<(), CliError> {
    let object = Object::new()
        .with("name", Kind::Text, catalog.name.clone())
        .with("description", Kind::Text, catalog.description.clone())
        .with("properties", Kind::Json, json!(catalog.properties))
        .with("created", Kind::Text, time(catalog.created_ms))
        .with("updated", Kind::Text, time(catalog.updated_ms))
        .with("id", Kind::Text, catalog.id.clone());
    context.output().object(&object)
}
