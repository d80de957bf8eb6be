//! The commands, one file each, and the command line that chooses among them.

mod alter;
mod catalogs;
mod checkpoint;
mod commit;
mod completions;
mod create;
mod delete;
mod diff;
mod files;
mod fsck;
mod import;
mod local;
mod log;
mod login;
mod optimize;
mod quickstart;
mod report;
mod restore;
mod scan;
mod schema;
mod schemas;
mod serve;
mod show;
mod sql;
mod store;
mod tables;
mod update;
mod vacuum;

use clap::{Parser, Subcommand};

use crate::args::{Env, Global, TableProfile};
use crate::context::Context;
use crate::error::CliError;

/// An open lakehouse in one binary: Delta tables on local disks and S3-compatible stores, SQL, and a catalog server
#[derive(Debug, Parser)]
#[command(
    name = "lake",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "A table is a path (./trips), a URL (s3://bucket/trips) or a catalog name (bronze.orders); @v3 or \
                  @2026-01-31T08:00:00Z behind it is an older version of it.\nBegin with: lake quickstart",
    after_long_help = long_help()
)]
pub struct Cli {
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

fn long_help() -> String {
    format!(
        "A table is a path (./trips), a URL (s3://bucket/trips) or a catalog name (bronze.orders); @v3 or \
         @2026-01-31T08:00:00Z behind it is an older version of it.\n\n{}\n\n\
         Exit codes:\n  0  done\n  1  a defect of Lake\n  2  wrong command line or invalid input\n  3  conflict with \
         another writer\n  4  not found, or there already\n  5  denied\n  6  unsupported, or refused as unsafe\n  \
         7  damaged data\n  8  a store or server is unavailable\n  9  the outcome of a commit is unknown\n\n\
         Begin with: lake quickstart",
        Env::help()
    )
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Quickstart(quickstart::Args),
    Create(create::Args),
    Import(import::Args),
    Scan(scan::Args),
    Sql(sql::Args),
    Delete(delete::Args),
    Update(update::Args),
    Show(show::Args),
    Log(log::Args),
    Files(files::Args),
    Schema(schema::Args),
    Alter(alter::Args),
    Restore(restore::Args),
    Diff(diff::Args),
    Commit(commit::Args),
    Checkpoint(checkpoint::Args),
    Fsck(fsck::Args),
    Optimize(optimize::Args),
    Vacuum(vacuum::Args),
    Store(store::Args),
    Serve(serve::Args),
    Login(login::Args),
    Catalogs(catalogs::Args),
    Schemas(schemas::Args),
    Tables(tables::Args),
    Local(local::Args),
    Completions(completions::Args),
}

/// Runs the command.
///
/// # Errors
/// Whatever the command ends in.
pub async fn run(command: Command, global: &Global) -> Result<(), CliError> {
    if let Command::Login(args) = command {
        // Its profile is one to be made: it need not be there.
        let context = Context::new(&Global { profile: None, ..global.clone() })?;
        return login::run(args, global.profile.as_deref(), &context).await;
    }
    if let Command::Local(args) = command {
        // `up` makes the profile, which may be the one that is asked for.
        return local::run(args, &Context::new(&Global { profile: None, ..global.clone() })?).await;
    }
    let context = &Context::new(global)?;
    match command {
        Command::Quickstart(args) => quickstart::run(args, context).await,
        Command::Create(args) => create::run(args, context).await,
        Command::Import(args) => import::run(args, context).await,
        Command::Scan(args) => scan::run(args, context).await,
        Command::Sql(args) => sql::run(args, context).await,
        Command::Delete(args) => delete::run(args, context).await,
        Command::Update(args) => update::run(args, context).await,
        Command::Show(args) => show::run(args, context).await,
        Command::Log(args) => log::run(args, context).await,
        Command::Files(args) => files::run(args, context).await,
        Command::Schema(args) => schema::run(args, context).await,
        Command::Alter(args) => alter::run(args, context).await,
        Command::Restore(args) => restore::run(args, context).await,
        Command::Diff(args) => diff::run(args, context).await,
        Command::Commit(args) => commit::run(args, context).await,
        Command::Checkpoint(args) => checkpoint::run(args, context).await,
        Command::Fsck(args) => fsck::run(args, context).await,
        Command::Optimize(args) => optimize::run(args, context).await,
        Command::Vacuum(args) => vacuum::run(args, context).await,
        Command::Store(args) => store::run(args, global, context).await,
        Command::Serve(args) => serve::run(args, context).await,
        Command::Login(_) | Command::Local(_) => Ok(()),
        Command::Catalogs(args) => catalogs::run(args, context).await,
        Command::Schemas(args) => schemas::run(args, context).await,
        Command::Tables(args) => tables::run(args, context).await,
        Command::Completions(args) => completions::run(&args, context),
    }
}

/// What a new table at `place` is to use of the protocol.
///
/// # Errors
/// `Unsupported` for a catalog's table: its server decides.
fn profile_for(profile: Option<TableProfile>, place: &lake_query::Place) -> lake_format::Result<lake_format::Profile> {
    match (profile, place) {
        (Some(profile @ TableProfile::Modern), lake_query::Place::Name { .. }) => {
            let message = format!("a catalog's table can't be created with the profile {:?}", profile.name());
            Err(lake_format::Error::unsupported(message).with_hint("nothing was written; leave --profile out"))
        }
        (Some(TableProfile::Modern), _) => Ok(lake_format::Profile::Modern),
        _ => Ok(lake_format::Profile::Compatible),
    }
}
