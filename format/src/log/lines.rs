//! The lines of a commit: strict parsing, a part of the file at a time.

use crate::action::Action;
use crate::error::{Error, Result};
use crate::replay::{Changes, ChangesBuilder, Home};

/// Field of `commitInfo` that says how many actions follow, so that a torn commit is known as one.
pub const ACTION_COUNT_KEY: &str = "lake.numActions";

/// What becomes of the lines of a commit that speak of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileLines {
    /// They are actions like the others.
    Actions,
    /// They are passed over, and looked at no further than to know them by.
    Skipped,
    /// They become columns, without statistics.
    Bare,
    /// They become columns.
    WithStats,
}

/// What some lines of a commit say.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// The actions, but for those of files where they are wanted otherwise.
    pub actions: Vec<Action>,
    /// What is said of files, where it is wanted as columns.
    pub changes: Changes,
}

/// Lines that were parsed, each on its own: what they are together is judged by [`Whole`].
pub(super) struct ParsedPart {
    part: Part,
    lines: usize,
    /// Whether one of them is not empty.
    any: bool,
    /// Whether an action was among them that the protocol knows.
    known: bool,
    /// Actions that the protocol knows.
    actions: u64,
    /// Whether the first line that is not empty is one of these.
    first_counts: bool,
    /// What that line says of how many follow.
    declared: Option<u64>,
    /// The line where it ended, and why.
    failed: Option<serde_json::Error>,
}

/// Parses whole lines of a commit to the table at `home`, up to the first that can't be.
///
/// # Errors
/// `Internal` when files can't be held as columns.
pub(super) fn parse_part(bytes: &[u8], files: FileLines, home: &Home) -> Result<ParsedPart> {
    let mut columns = ChangesBuilder::new(home, files == FileLines::WithStats, bytes.len());
    let mut parsed = ParsedPart {
        part: Part::default(),
        lines: 0,
        any: false,
        known: false,
        actions: 0,
        first_counts: false,
        declared: None,
        failed: None,
    };
    let mut rest = bytes;
    while !rest.is_empty() && parsed.failed.is_none() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        parsed.line(rest[..end].trim_ascii(), files, &mut columns)?;
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    parsed.part.changes = columns.finish()?;
    Ok(parsed)
}

impl ParsedPart {
    fn line(&mut self, line: &[u8], files: FileLines, columns: &mut ChangesBuilder<'_>) -> Result<()> {
        self.lines += 1;
        if line.is_empty() {
            return Ok(());
        }
        let first = !std::mem::replace(&mut self.any, true);
        let taken = match files {
            FileLines::Actions => false,
            FileLines::Skipped => is_of_file(line) && line.ends_with(b"}"),
            FileLines::Bare | FileLines::WithStats => is_of_file(line) && columns.line(line)?,
        };
        if taken {
            self.count(first);
            return Ok(());
        }
        match parse_line(line) {
            Err(error) => self.failed = Some(error),
            Ok(None) => {}
            Ok(Some(action)) => {
                self.count(first);
                if let (true, Action::CommitInfo(info)) = (first, &action) {
                    self.declared = info.other.get(ACTION_COUNT_KEY).and_then(serde_json::Value::as_u64);
                }
                match (&action, files) {
                    (Action::Add(_) | Action::Remove(_), FileLines::Bare | FileLines::WithStats) => {
                        columns.action(&action)?;
                    }
                    _ => self.part.actions.push(action),
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, first: bool) {
        self.known = true;
        self.actions += 1;
        self.first_counts |= first;
    }
}

/// What the parts of a commit are together.
pub(super) struct Whole {
    version: u64,
    line: usize,
    any: bool,
    known: bool,
    /// Actions after the first line.
    following: u64,
    /// What the first line says of how many follow.
    declared: Option<u64>,
}

impl Whole {
    pub(super) fn new(version: u64) -> Self {
        Self { version, line: 0, any: false, known: false, following: 0, declared: None }
    }

    /// Takes the next part.
    ///
    /// # Errors
    /// `Corrupt` when a line of it could not be parsed.
    pub(super) fn take(&mut self, parsed: ParsedPart) -> Result<Part> {
        self.line += parsed.lines;
        if let Some(error) = parsed.failed {
            let what = if error.is_eof() { "is torn" } else { "can't be parsed" };
            let message = format!("commit {} {what} in line {}", self.version, self.line);
            return Err(Error::corrupt(message).with_hint(RESTORE_HINT).with_source(error));
        }
        self.following += parsed.actions;
        if !self.any && parsed.any {
            self.any = true;
            self.declared = parsed.declared;
            self.following -= u64::from(parsed.first_counts);
        }
        self.known |= parsed.known;
        Ok(parsed.part)
    }

    /// Our own commits say how many actions they hold.
    pub(super) fn finish(&self) -> Result<()> {
        let version = self.version;
        if !self.any {
            return Err(empty_commit(version));
        }
        if !self.known {
            let message = format!("commit {version} holds no action that the protocol knows");
            return Err(Error::corrupt(message).with_hint(RESTORE_HINT));
        }
        match self.declared {
            Some(declared) if declared != self.following => {
                let found = self.following;
                let message = format!("commit {version} is torn: it holds {found} of {declared} actions");
                Err(Error::corrupt(message).with_hint(RESTORE_HINT))
            }
            _ => Ok(()),
        }
    }
}

/// The refusal of a commit without a line.
pub fn empty_commit(version: u64) -> Error {
    Error::corrupt(format!("commit {version} is empty: a write to it was cut short")).with_hint(RESTORE_HINT)
}

pub(super) const RESTORE_HINT: &str = "the table was not read; restore the commit file from a backup of the bucket";

/// Whether a line, trimmed, holds an action of a file, as all writers spell it.
pub(super) fn is_of_file(line: &[u8]) -> bool {
    [&b"{\"add\":"[..], b"{\"remove\":", b"{\"cdc\":"].iter().any(|start| line.starts_with(start))
}

/// One line: an object with one known key, or with unknown keys alone.
pub(super) fn parse_line(line: &[u8]) -> Result<Option<Action>, serde_json::Error> {
    use serde::de::Error as _;

    let Fields(fields) = serde_json::from_slice(line)?;
    let mut found = None;
    for (key, value) in fields {
        let text = value.get();
        if text == "null" {
            continue;
        }
        let action = match key.as_str() {
            "add" => Action::Add(serde_json::from_str(text)?),
            "remove" => Action::Remove(serde_json::from_str(text)?),
            "commitInfo" => Action::CommitInfo(serde_json::from_str(text)?),
            "metaData" => Action::Metadata(serde_json::from_str(text)?),
            "protocol" => Action::Protocol(serde_json::from_str(text)?),
            "txn" => Action::Txn(serde_json::from_str(text)?),
            "domainMetadata" => Action::Domain(serde_json::from_str(text)?),
            "cdc" => Action::Cdc(serde_json::from_str(text)?),
            _ => continue,
        };
        if found.replace(action).is_some() {
            return Err(serde_json::Error::custom("two actions in one line"));
        }
    }
    Ok(found)
}

/// The fields of an object as written, so that a key given twice is seen.
struct Fields<'a>(Vec<(String, &'a serde_json::value::RawValue)>);

impl<'de> serde::Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of one action")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Fields<'de>, M::Error> {
                let mut fields = Vec::with_capacity(1);
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Visitor)
    }
}

#[cfg(test)]
mod tests;
