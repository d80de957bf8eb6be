//! What a command says: data on standard output in the format asked for, talk on standard error.

mod json;
mod listing;
mod progress;
mod rows;
mod sink;
mod table;
mod text;

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::path::Path;

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::StreamExt;
use futures::stream::BoxStream;
use lake_format::Error;

pub use listing::{Kind, Listing, Object};
pub use progress::Progress;
pub use sink::Sink;
pub use text::{bytes, count, duration, parse_json, time};

use crate::args::{Format, Global};
use crate::error::{CliError, printable};
use rows::Printer;

/// How this run of the program speaks.
#[derive(Clone, Debug)]
pub struct Output {
    format: Option<Format>,
    quiet: bool,
    progress: bool,
}

impl Output {
    /// From the flags, and from what standard error is.
    pub fn new(global: &Global) -> Self {
        let progress = !global.quiet && !global.no_progress && io::stderr().is_terminal();
        Self { format: global.format, quiet: global.quiet, progress }
    }

    /// The format of standard output.
    pub fn format(&self) -> Format {
        self.format.unwrap_or_default()
    }

    /// Whether only results and errors are wanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// One line of talk.
    pub fn say(&self, line: impl Display) {
        if !self.quiet {
            // Where talk goes may be gone: the work goes on.
            let _ = writeln!(io::stderr(), "{}", printable(&line.to_string()));
        }
    }

    /// A line of talk that the user should not overlook.
    pub fn warn(&self, line: impl Display) {
        self.say(format_args!("warning: {line}"));
    }

    /// A progress bar for `total_bytes`; hidden where nobody watches.
    pub fn progress(&self, label: &'static str, total_bytes: u64) -> Progress {
        Progress::new(label, total_bytes, self.progress)
    }

    /// Prints rows as they come, to standard output or to the file `to`, which is replaced only when all went well.
    /// Gives the number of rows printed.
    ///
    /// # Errors
    /// The stream's own; `Unsupported` for rows that the format can't hold.
    pub async fn rows(
        &self,
        schema: SchemaRef,
        mut batches: BoxStream<'static, lake_format::Result<RecordBatch>>,
        to: Option<&Path>,
    ) -> Result<u64, CliError> {
        let mut printer = Printer::new(self.format_for(to), schema, self.sink(to)?)?;
        while let Some(batch) = batches.next().await {
            printer.write(&batch?)?;
            if printer.is_full() {
                break;
            }
        }
        drop(batches);
        let full = printer.is_full();
        let rows = printer.finish()?;
        if full {
            self.warn(format_args!("only the first {rows} rows are shown; another --format has no such limit"));
        }
        Ok(rows)
    }

    /// Prints a list of things.
    ///
    /// # Errors
    /// Where standard output does not take it.
    pub fn listing(&self, listing: &Listing) -> Result<(), CliError> {
        listing.print(self.format(), self.sink(None)?)
    }

    /// Prints one thing.
    ///
    /// # Errors
    /// Where standard output does not take it.
    pub fn object(&self, object: &Object) -> Result<(), CliError> {
        object.print(self.format(), self.sink(None)?)
    }

    /// Prints text as it is.
    ///
    /// # Errors
    /// Where standard output does not take it.
    pub fn raw(&self, text: &str) -> Result<(), CliError> {
        let mut sink = Sink::stdout();
        sink.write_all(text.as_bytes())?;
        sink.commit()
    }

    /// The format of a file is the one asked for, or else the one that its name says.
    fn format_for(&self, to: Option<&Path>) -> Format {
        self.format.or_else(|| Format::of_file(to?)).unwrap_or_default()
    }

    fn sink(&self, to: Option<&Path>) -> Result<Sink, CliError> {
        match to {
            Some(path) => Sink::file(path),
            None if self.format().is_binary() && io::stdout().is_terminal() => {
                Err(Error::invalid("binary output is not written to a terminal")
                    .with_hint("redirect it to a file or a program, or choose another --format")
                    .into())
            }
            None => Ok(Sink::stdout()),
        }
    }
}
