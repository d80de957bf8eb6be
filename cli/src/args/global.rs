//! Flags that every command takes.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lake_format::Durability;

use super::env::Env;
use super::value::{parse_durability, parse_size};

/// How results are written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// Comma-separated, with a header.
    Csv,
    /// Arrow IPC stream.
    Arrow,
    /// Parquet file.
    Parquet,
}

impl Format {
    /// The format that a file's name asks for.
    pub fn of_file(path: &std::path::Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            "arrow" | "arrows" | "ipc" => Some(Self::Arrow),
            "parquet" => Some(Self::Parquet),
            _ => None,
        }
    }

    /// Whether errors are told as JSON too.
    pub fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Ndjson)
    }

    /// Whether it is for programs alone.
    pub fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

/// What a new table uses of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableProfile {
    /// Only what other engines read and write today.
    Compatible,
    /// The newest features.
    Modern,
}

impl TableProfile {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compatible => "compatible",
            Self::Modern => "modern",
        }
    }
}

/// Flags that every command takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// How results are written to standard output [default: table]
    #[arg(long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true, long_help = format_help())]
    pub format: Option<Format>,

    /// Print results and errors, nothing else
    #[arg(long, short, global = true)]
    pub quiet: bool,

    /// Draw no progress bars
    #[arg(long, global = true)]
    pub no_progress: bool,

    /// Section of the config file
    #[arg(long, global = true, value_name = "NAME", env = Env::Profile.name(), hide_env = true)]
    pub profile: Option<String>,

    /// Address of the catalog server
    #[arg(long, global = true, value_name = "URL", env = Env::Catalog.name(), hide_env = true)]
    pub catalog: Option<String>,

    /// Address of the S3-compatible store, as http://127.0.0.1:9000
    #[arg(long, global = true, value_name = "URL")]
    pub endpoint: Option<String>,

    /// Region of the store
    #[arg(long, global = true, value_name = "NAME")]
    pub region: Option<String>,

    /// Access key id of the store
    #[arg(long, global = true, value_name = "ID", requires = "secret_access_key_file")]
    pub access_key_id: Option<String>,

    /// File that holds the secret access key
    #[arg(long, global = true, value_name = "FILE", requires = "access_key_id")]
    pub secret_access_key_file: Option<PathBuf>,

    /// Bucket in the path (true) or in the host name (false)
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub path_style: Option<bool>,

    /// Send unsigned requests to the store, as to a public bucket
    #[arg(long, global = true, conflicts_with = "access_key_id")]
    pub anonymous: bool,

    /// What files written to a local disk outlive: full (a power cut, too) or none (the end of the process only; after a
    /// crash of the system acknowledged versions may be lost and the table unreadable) [default: full]
    #[arg(long, global = true, value_name = "HOW", value_parser = parse_durability, env = Env::Durability.name(), hide_env = true)]
    pub durability: Option<Durability>,

    /// Memory that the command may use, as 2GiB [default: a quarter of the machine]
    #[arg(long, global = true, value_name = "SIZE", value_parser = parse_size, env = Env::Memory.name(), hide_env = true)]
    pub memory: Option<u64>,

    /// Directory for what does not fit into memory
    #[arg(long, global = true, value_name = "DIR", env = Env::SpillDir.name(), hide_env = true)]
    pub spill_dir: Option<PathBuf>,
}

fn format_help() -> String {
    "How results are written to standard output: table, json, ndjson, csv, arrow or parquet. Everything else a command \
     says goes to standard error. With json and ndjson an error is one JSON object on standard error [default: table]"
        .to_owned()
}
