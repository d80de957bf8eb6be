//! `lake completions`: completion scripts for shells.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::context::Context;
use crate::error::CliError;

/// Print the completion script of a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake completions bash > ~/.local/share/bash-completion/completions/lake
  lake completions zsh > ~/.zfunc/_lake")]
pub struct Args {
    /// The shell
    pub shell: Shell,
}

/// Runs `lake completions`.
pub fn run(args: &Args, context: &Context) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "lake", &mut script);
    context.output().raw(&String::from_utf8_lossy(&script))
}
