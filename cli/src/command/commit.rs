//! `lake commit`: what became of a commit whose outcome was unknown.

use clap::Subcommand;
use lake_format::operation::{Settlement, settle};
use lake_format::{Error, TableRoot};

use crate::context::Context;
use crate::error::{CliError, UnknownCommit};
use crate::output::{Kind, Object};

/// Find out what became of a commit whose outcome was unknown
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake commit status ./trips v12-0190b6a2-7c1e-7d3f-8a55-0c9d2f6b1e47")]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub action: Action,
}

/// What can be done with a commit.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// Tell whether a commit is in the table, by the token that was printed with exit code 9
    #[command(after_help = "Examples:
  lake commit status ./trips v12-0190b6a2-7c1e-7d3f-8a55-0c9d2f6b1e47
  lake commit status s3://bucket/trips v12-0190b6a2-7c1e-7d3f-8a55-0c9d2f6b1e47 --format json

Exit code 0: it is a version of the table, and the version is printed. Exit code 4: it is not in
the table and never will be, so write again (or it is so old that its version is no longer in the
log). Exit code 9: it may still appear; the next commit of any writer to the table decides.")]
    Status(StatusArgs),
}

/// Arguments of `lake commit status`.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// Path, URL or catalog name
    pub table: String,

    /// The token, as v12-0190b6a2-…
    pub token: String,
}

/// Runs `lake commit`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let Action::Status(args) = args.action;
    let reference = context.writable(&args.table)?;
    let root = context.resolver().root(&reference.place).await?;
    status(&root, &args.table, &args.token, context).await
}

/// Prints what became of the commit of `token`.
///
/// # Errors
/// `NotFound` for one that is no version of the table, the unknown outcome while nobody can tell, `Invalid` for text
/// that is no token.
pub async fn status(root: &TableRoot, table: &str, token: &str, context: &Context) -> Result<(), CliError> {
    let settled = settle(root, token).await?;
    let (outcome, version) = match settled {
        Settlement::Landed(version) => ("committed", Some(version)),
        Settlement::Never => ("never", None),
        Settlement::Open => ("unknown", None),
        Settlement::Forgotten => ("forgotten", None),
    };
    let object = Object::new().with("outcome", Kind::Text, outcome).with("version", Kind::Number, version).with(
        "token",
        Kind::Text,
        token,
    );
    context.output().object(&object)?;
    let absent = |message: &str, hint: &str| Error::not_found(message).with_object(token.to_owned()).with_hint(hint);
    match settled {
        Settlement::Landed(_) => Ok(()),
        Settlement::Never => Err(absent(
            "the commit is not in the log and never will be",
            "another commit took its version; write again",
        )
        .into()),
        Settlement::Open => Err(CliError::Unknown(Box::new(UnknownCommit {
            table: table.to_owned(),
            token: token.to_owned(),
            reason: Error::unavailable("no commit has taken the version that it wanted: it may still appear there"),
        }))),
        Settlement::Forgotten => Err(absent(
            "log clean-up has removed the version that the commit wanted",
            "look for its rows in the table before writing again",
        )
        .into()),
    }
}
