//! `lake alter`: columns, properties and features of a table change, its rows do not.

use std::collections::BTreeMap;

use clap::Subcommand;
use lake_format::schema::{DataType, Position as Place, PrimitiveType, SchemaChange, StructType, parse_declaration};
use lake_format::{Error, Result, Table, WriteOutcome};

use super::report;
use crate::args::parse_assignment;
use crate::context::Context;
use crate::error::CliError;

/// Change the columns, properties and features of a table; its rows stay as they are
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake alter ./trips add-column \"tip decimal(10,2)\" \"note string\"
  lake alter ./trips add-column \"address.zip string\" --after address.city
  lake alter ./trips rename-column total amount
  lake alter ./trips drop-column note
  lake alter ./trips alter-column id --type long
  lake alter ./trips set-property delta.appendOnly=true
  lake alter ./trips unset-property delta.appendOnly
  lake alter ./trips add-feature deletionVectors

Older versions of the table are read as they were. `lake alter TABLE CHANGE --help` tells more of
each change.")]
pub struct Args {
    /// Path, URL or catalog name
    pub table: String,

    /// What changes
    #[command(subcommand)]
    pub change: Option<Change>,

    /// The same as add-column
    #[arg(long, value_name = "COLUMN", hide = true, conflicts_with_all = ["set", "unset"])]
    pub add_column: Vec<String>,

    /// The same as set-property
    #[arg(long, value_name = "KEY=VALUE", hide = true, value_parser = parse_assignment)]
    pub set: Vec<(String, String)>,

    /// The same as unset-property
    #[arg(long, value_name = "KEY", hide = true)]
    pub unset: Vec<String>,
}

/// What can change.
#[derive(Debug, Subcommand)]
pub enum Change {
    /// Add columns, or fields of nested ones; they are null in the rows that are there
    #[command(after_help = "Examples:
  lake alter ./trips add-column \"tip decimal(10,2)\"
  lake alter ./trips add-column \"tip double\" \"tags array<string>\" --first")]
    AddColumn {
        /// Columns, each as "tip decimal(10,2)"
        #[arg(required = true, value_name = "COLUMN")]
        columns: Vec<String>,
        /// Where the columns are put
        #[command(flatten)]
        position: Position,
    },
    /// Give a column another name; the data files stay as they are
    #[command(after_help = "Examples:
  lake alter ./trips rename-column total amount
  lake alter ./trips rename-column address.zip postcode

The table needs column mapping: lake alter TABLE set-property delta.columnMapping.mode=name")]
    RenameColumn {
        /// The column, with dots for nested fields
        column: String,
        /// Its new name
        name: String,
    },
    /// Take columns away; older versions still have them
    #[command(after_help = "Examples:
  lake alter ./trips drop-column note tip

The table needs column mapping: lake alter TABLE set-property delta.columnMapping.mode=name")]
    DropColumn {
        /// Columns, with dots for nested fields
        #[arg(required = true, value_name = "COLUMN")]
        columns: Vec<String>,
    },
    /// Change the type, place, comment of a column, or whether it takes null
    #[command(after_help = "Examples:
  lake alter ./trips alter-column id --type long
  lake alter ./trips alter-column name --drop-not-null --comment \"as the driver wrote it\"
  lake alter ./trips alter-column total --after id

Types are only made wider, and need the feature typeWidening: lake alter TABLE add-feature
typeWidening",
        group = clap::ArgGroup::new("what").required(true).multiple(true)
            .args(["data_type", "drop_not_null", "comment", "first", "after"]))]
    AlterColumn {
        /// The column, with dots for nested fields
        column: String,
        /// A wider type
        #[arg(long = "type", value_name = "TYPE")]
        data_type: Option<String>,
        /// Take null from now on
        #[arg(long)]
        drop_not_null: bool,
        /// What the column is, in words; an empty text takes the comment away
        #[arg(long, value_name = "TEXT")]
        comment: Option<String>,
        /// Where the column is put
        #[command(flatten)]
        position: Position,
    },
    /// Set properties
    #[command(after_help = "Examples:
  lake alter ./trips set-property delta.appendOnly=true delta.checkpointInterval=20")]
    SetProperty {
        /// Properties and their values
        #[arg(required = true, value_name = "KEY=VALUE", value_parser = parse_assignment)]
        properties: Vec<(String, String)>,
    },
    /// Remove properties
    #[command(after_help = "Examples:
  lake alter ./trips unset-property delta.appendOnly")]
    UnsetProperty {
        /// Properties
        #[arg(required = true, value_name = "KEY")]
        properties: Vec<String>,
    },
    /// Let the table use features of the protocol; engines that lack them can't read or write it any more
    #[command(after_help = "Examples:
  lake alter ./trips add-feature deletionVectors typeWidening")]
    AddFeature {
        /// Features by the protocol's names
        #[arg(required = true, value_name = "FEATURE")]
        features: Vec<String>,
    },
}

/// A place among the columns of a table, or the fields of a column.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Position {
    /// Put it first
    #[arg(long, conflicts_with = "after")]
    pub first: bool,
    /// Put it behind that column
    #[arg(long, value_name = "COLUMN")]
    pub after: Option<String>,
}

impl Args {
    fn change(self) -> Result<Change> {
        let flags = !self.add_column.is_empty() || !self.set.is_empty() || !self.unset.is_empty();
        match self.change {
            Some(_) if flags => Err(Error::invalid("the change is given twice, as a command and as a flag")),
            Some(change) => Ok(change),
            None if !self.add_column.is_empty() => {
                Ok(Change::AddColumn { columns: self.add_column, position: Position::default() })
            }
            None if !self.set.is_empty() && self.unset.is_empty() => Ok(Change::SetProperty { properties: self.set }),
            None if !self.unset.is_empty() && self.set.is_empty() => {
                Ok(Change::UnsetProperty { properties: self.unset })
            }
            None if flags => Err(Error::invalid("properties are set and removed one after the other")
                .with_hint("run set-property and then unset-property")),
            None => Err(Error::invalid("nothing was said to change")
                .with_hint("name the change, as in: lake alter TABLE add-column \"tip double\"; --help lists all")),
        }
    }
}

/// Runs `lake alter`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let name = args.table.clone();
    let reference = context.writable(&args.table)?;
    let change = args.change()?;
    let mut table = context.table(&reference).await?;
    let report = report::settled(apply(change, &mut table).await?, &name)?;
    context.output().say(format_args!("{name} is altered, version {}", report.version));
    report::print(context, &report, None)
}

async fn apply(change: Change, table: &mut Table) -> Result<WriteOutcome> {
    match change {
        Change::AddColumn { columns, position } => {
            let changes = additions(&columns, &position, table.snapshot().schema())?;
            table.alter_schema(&changes).await
        }
        Change::SetProperty { properties } => {
            let changes: BTreeMap<_, _> = properties.into_iter().map(|(key, value)| (key, Some(value))).collect();
            table.set_properties(&changes).await
        }
        Change::UnsetProperty { properties } => {
            let changes: BTreeMap<_, _> = properties.into_iter().map(|key| (key, None)).collect();
            table.set_properties(&changes).await
        }
        Change::RenameColumn { column, name } => {
            let path = path(&column, table.snapshot().schema());
            table.alter_schema(&[SchemaChange::Rename { path, name }]).await
        }
        Change::DropColumn { columns } => {
            let drop = |column: &String| SchemaChange::Drop { path: path(column, table.snapshot().schema()) };
            let changes: Vec<SchemaChange> = columns.iter().map(drop).collect();
            table.alter_schema(&changes).await
        }
        Change::AlterColumn { column, data_type, drop_not_null, comment, position } => {
            let path = path(&column, table.snapshot().schema());
            let mut changes = Vec::new();
            if let Some(data_type) = data_type {
                changes.push(SchemaChange::Widen { path: path.clone(), to: primitive(&data_type)? });
            }
            if drop_not_null {
                changes.push(SchemaChange::DropNotNull { path: path.clone() });
            }
            if let Some(text) = comment {
                changes.push(SchemaChange::Comment { path: path.clone(), text });
            }
            if position.first || position.after.is_some() {
                changes.push(SchemaChange::Move { path, position: position.place() });
            }
            table.alter_schema(&changes).await
        }
        Change::AddFeature { features } => {
            let directive = |name: String| (format!("delta.feature.{name}"), Some("supported".to_owned()));
            table.set_properties(&features.into_iter().map(directive).collect()).await
        }
    }
}

impl Position {
    fn place(&self) -> Place {
        match &self.after {
            // Among siblings the last part of a path is enough.
            Some(after) => Place::After(after.rsplit('.').next().unwrap_or(after).to_owned()),
            None if self.first => Place::First,
            None => Place::Last,
        }
    }
}

/// The parts of a column's path; a column whose own name has dots is meant as it is.
fn path(column: &str, schema: &StructType) -> Vec<String> {
    match schema.field(column) {
        Some(_) => vec![column.to_owned()],
        None => column.split('.').map(str::to_owned).collect(),
    }
}

/// The columns declared, in the order in which they are given.
fn additions(columns: &[String], position: &Position, schema: &StructType) -> Result<Vec<SchemaChange>> {
    let mut place = position.place();
    let mut changes = Vec::new();
    for column in columns {
        let declared = column.trim();
        let (name, rest) = declared.split_once(char::is_whitespace).unwrap_or((declared, ""));
        let (parent, text) = match name.rsplit_once('.') {
            Some((parent, name)) => (path(parent, schema), format!("{name} {rest}")),
            None => (Vec::new(), declared.to_owned()),
        };
        for field in parse_declaration(&text)?.fields {
            let next = field.name.clone();
            changes.push(SchemaChange::Add { parent: parent.clone(), field, position: place.clone() });
            if place != Place::Last {
                place = Place::After(next);
            }
        }
    }
    Ok(changes)
}

fn primitive(text: &str) -> Result<PrimitiveType> {
    let fields = parse_declaration(&format!("c {text}"))?.fields;
    match fields.first().map(|field| &field.data_type) {
        Some(DataType::Primitive(primitive)) if fields.len() == 1 => Ok(*primitive),
        _ => Err(Error::unsupported("only columns without parts can take a wider type").with_object(text.to_owned())),
    }
}
