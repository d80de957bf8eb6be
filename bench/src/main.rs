//! How fast is Lake beside other implementations of the Delta protocol, on the same bytes and this machine?

mod drive;
mod measure;
mod peers;
mod report;
mod rounds;
mod tables;
mod workload;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::peers::{Job, Op, Peer};
use crate::workload::WORKLOADS;

/// Anything that went wrong, for a person to read.
type Error = Box<dyn std::error::Error + Send + Sync>;
type Result<T> = std::result::Result<T, Error>;

/// Times Lake and its peers in turn, each run in a process of its own, and checks that they find the same.
#[derive(Debug, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: drive::Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One run of one peer on a table that is there: prints one line of JSON.
    RunOne {
        /// Who.
        peer: Peer,
        /// What.
        op: Op,
        /// The table.
        table: PathBuf,
        /// An older version of it.
        #[arg(long)]
        version: Option<u64>,
        /// First id wanted.
        #[arg(long, default_value_t = 0)]
        from: i64,
        /// Last id wanted.
        #[arg(long, default_value_t = 0)]
        to: i64,
        /// How often.
        #[arg(long, default_value_t = 1)]
        times: u64,
        /// Which of several writers.
        #[arg(long, default_value_t = 0)]
        worker: u64,
        /// Count all of each path in the answer.
        #[arg(long)]
        check: bool,
    },
    /// Names the workloads.
    List,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("lake-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all answers agreed and no limit was passed.
fn run(arguments: Arguments) -> Result<bool> {
    match arguments.command {
        None => drive::run(&arguments.options),
        Some(Command::List) => {
            for workload in WORKLOADS {
                println!("{:<24} {}", workload.name, workload.what);
            }
            println!("{:<24} {}", rounds::NAME, rounds::WHAT);
            Ok(true)
        }
        Some(Command::RunOne { peer, op, table, version, from, to, times, worker, check }) => {
            let table = std::path::absolute(table)?;
            let job = Job { table, version, range: (from, to), times, worker, check };
            println!("{}", serde_json::to_string(&peers::run(peer, op, &job)?)?);
            Ok(true)
        }
    }
}
