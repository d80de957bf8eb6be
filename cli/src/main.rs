//! The `lake` program: reads the command line, runs the command, and ends with the code that tells how it went.

mod args;
mod command;
mod context;
mod error;
mod output;

use std::ffi::OsString;
use std::io;
use std::panic::PanicHookInfo;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::{Parser, ValueEnum};
use lake_format::Error;
use tracing_subscriber::EnvFilter;

use args::{Env, Format, Global, with_table_profile};
use command::{Cli, Command};
use error::CliError;

/// Stack of the threads that plan and run queries: deep expressions recurse.
const STACK_BYTES: usize = 8 << 20;

/// How long threads that are still at work hold up the end.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(note_defect));
    let Cli { global, command } = match Cli::try_parse_from(with_table_profile(std::env::args_os())) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && wants_json(std::env::args_os().skip(1)) => {
            let error = CliError::from(usage(&error));
            error.print(true, &mut io::stderr());
            return ExitCode::from(error.exit_code());
        }
        Err(error) => error.exit(),
    };
    start_log(&global, &command);
    let as_json = global.format.is_some_and(Format::is_json);
    match work(command, global) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print(as_json, &mut io::stderr());
            ExitCode::from(error.exit_code())
        }
    }
}

/// Keeps where a defect was met. Damaged input can make a decoder break off: whoever called it tells the user.
fn note_defect(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
    tracing::debug!(%place, "a part of the program broke off: {panic}");
    *DEFECT.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
}

/// Where the last defect was met.
static DEFECT: Mutex<Option<String>> = Mutex::new(None);

/// Whether a command line that is wrong elsewhere asks for errors in JSON.
fn wants_json(args: impl Iterator<Item = OsString>) -> bool {
    let args: Vec<OsString> = args.take_while(|arg| arg != "--").collect();
    let json = |name: &str| Format::from_str(name, true).is_ok_and(Format::is_json);
    args.iter().enumerate().any(|(at, arg)| match arg.to_str() {
        Some("--format") => args.get(at + 1).and_then(|name| name.to_str()).is_some_and(json),
        Some(arg) => arg.strip_prefix("--format=").is_some_and(json),
        None => false,
    })
}

/// A wrong command line as an error like others: what is wrong, and what would be right.
fn usage(error: &clap::Error) -> Error {
    if error.kind() == clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Error::invalid("the command line is not complete").with_hint("try --help");
    }
    let text = error.to_string();
    let (mut message, mut hints) = (Vec::new(), Vec::new());
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.strip_prefix("tip: ") {
            Some(tip) => hints.push(tip),
            None if line.starts_with("Usage:") || line.starts_with("For more information") => hints.push(line),
            None => message.push(line),
        }
    }
    let message = message.join(" ");
    Error::invalid(message.strip_prefix("error: ").unwrap_or(&message)).with_hint(hints.join("\n"))
}

fn work(command: Command, global: Global) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_stack_size(STACK_BYTES).build();
    let runtime =
        runtime.map_err(|error| Error::unavailable("the program can't start its threads").with_source(error))?;
    // On a thread of our own: the main thread's stack is not ours to choose.
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
    let thread = thread.spawn(move || {
        let done = runtime.block_on(command::run(command, &global));
        // Nobody waits for what is left, such as a file that is still being read ahead.
        runtime.shutdown_timeout(SHUTDOWN_LIMIT);
        done
    });
    let done = thread.map_err(|error| Error::unavailable("the program can't start its threads").with_source(error))?;
    done.join().unwrap_or_else(|_| {
        let place = DEFECT.lock().unwrap_or_else(PoisonError::into_inner).take();
        Err(Error::internal("the command was cut short by a defect").with_object(place.unwrap_or_default()).into())
    })
}

/// Logs go to standard error: warnings, and what a server does.
fn start_log(global: &Global, command: &Command) {
    let default = match command {
        _ if global.quiet => "error",
        Command::Serve(_) => "info",
        _ => "warn",
    };
    let filter = EnvFilter::try_new(Env::Log.get().as_deref().unwrap_or(default));
    let filter = filter.unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(false);
    match command {
        Command::Serve(_) => log.init(),
        _ => log.without_time().with_target(false).init(),
    }
}
