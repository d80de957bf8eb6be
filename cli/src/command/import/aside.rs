//! Rows that could not be read: counted, the first few told, and put into a file if wanted.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use lake_format::Error;
use serde_json::json;

use crate::error::CliError;
use crate::output::Sink;

/// Rows left out that are told one by one.
const TOLD_ROWS: usize = 5;

/// Characters of a row that are kept, at most.
const ROW_CHARS: usize = 1 << 16;

/// A row that could not be read.
#[derive(Clone, Debug)]
pub struct BadRow<'a> {
    /// The file that it is in.
    pub file: &'a str,
    /// Its line in that file, from 1.
    pub line: u64,
    /// The column at fault, where one is.
    pub column: Option<&'a str>,
    /// What is wrong.
    pub reason: &'a str,
    /// The row as it stands in the file, where that was kept.
    pub row: Option<&'a str>,
}

impl BadRow<'_> {
    /// The row as an error.
    pub fn error(&self) -> Error {
        let mut place = format!("{}:{}", self.file, self.line);
        if let Some(column) = self.column {
            place += &format!(", column {column}");
        }
        Error::invalid(self.reason).with_object(place)
    }
}

/// Rows that were left out. Cheap to clone.
#[derive(Clone, Default)]
pub struct Skipped(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    count: u64,
    told: Vec<String>,
    file: Option<Sink>,
    trouble: Option<CliError>,
}

impl std::fmt::Debug for Skipped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Skipped").field(&self.told().0).finish()
    }
}

impl Skipped {
    /// Rows are also put into the file at `path`, one JSON object a line.
    ///
    /// # Errors
    /// What the system says.
    pub fn into_file(path: &Path) -> Result<Self, CliError> {
        let state = State { file: Some(Sink::file(path)?), ..State::default() };
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more.
    pub fn add(&self, bad: &BadRow<'_>) {
        let mut state = self.state();
        state.count += 1;
        if state.told.len() < TOLD_ROWS {
            state.told.push(bad.error().to_string());
        }
        let Some(file) = &mut state.file else { return };
        let row: Option<String> = bad.row.map(|row| row.chars().take(ROW_CHARS).collect());
        let BadRow { file: name, line, column, reason, .. } = bad;
        let object = json!({ "file": name, "line": line, "column": column, "reason": reason, "row": row });
        if let Err(error) = writeln!(file, "{object}") {
            state.file = None;
            state.trouble = Some(error.into());
        }
    }

    /// How many, and what was wrong with the first few.
    pub fn told(&self) -> (u64, Vec<String>) {
        let state = self.state();
        (state.count, state.told.clone())
    }

    /// The file is complete.
    ///
    /// # Errors
    /// What the system said while it was written.
    pub fn finish(&self) -> Result<(), CliError> {
        let mut state = self.state();
        match (state.trouble.take(), state.file.take()) {
            (Some(trouble), _) => Err(trouble),
            (None, Some(file)) => file.commit(),
            (None, None) => Ok(()),
        }
    }
}
