//! How a command fails: what is printed of it, and which exit code tells it.

use std::error::Error as StdError;
use std::io::{self, Write};

use arrow::error::ArrowError;
use lake_format::transaction::Unresolved;
use lake_format::{Error, ErrorKind};
use parquet::errors::ParquetError;
use serde_json::json;

/// Exit code of a defect of Lake itself, and of any kind that has no row below.
const INTERNAL: u8 = 1;

/// Exit code of a commit whose outcome is not known.
const UNKNOWN: u8 = 9;

/// Exit code by kind. 0 is success; 2 is also clap's code for a wrong command line.
const EXIT_CODES: &[(ErrorKind, u8)] = &[
    (ErrorKind::Internal, INTERNAL),
    (ErrorKind::Invalid, 2),
    (ErrorKind::Conflict, 3),
    (ErrorKind::NotFound, 4),
    (ErrorKind::AlreadyExists, 4),
    (ErrorKind::Denied, 5),
    (ErrorKind::Unsupported, 6),
    (ErrorKind::Corrupt, 7),
    (ErrorKind::Unavailable, 8),
];

/// Characters of a line that are shown at its begin, and at its end when it has more than both: names and values from
/// a file may have millions.
const LINE_HEAD: usize = 1_500;
const LINE_TAIL: usize = 300;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum CliError {
    /// A certain failure: what it was to change is as it was.
    Failed(Error),
    /// A commit that may have landed.
    Unknown(Box<UnknownCommit>),
    /// Whoever read standard output has gone. Not a failure.
    BrokenPipe,
}

/// A commit that may have landed, and how to find out.
#[derive(Debug)]
pub struct UnknownCommit {
    /// The table as the user named it.
    pub table: String,
    /// By which the outcome can be asked for.
    pub token: String,
    /// What the store or server answered last.
    pub reason: Error,
}

impl CliError {
    /// The outcome `unresolved` of a commit to `table`.
    pub fn unknown(table: impl Into<String>, unresolved: Unresolved) -> Self {
        let token = unresolved.token();
        Self::Unknown(Box::new(UnknownCommit { table: table.into(), token, reason: unresolved.reason }))
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BrokenPipe => 0,
            Self::Unknown(_) => UNKNOWN,
            Self::Failed(error) => {
                let row = EXIT_CODES.iter().find(|(kind, _)| *kind == error.kind());
                row.map_or(INTERNAL, |(_, code)| *code)
            }
        }
    }

    /// Tells it: for people, or as one line of JSON. What can't be written is dropped: there is nowhere left to say so.
    pub fn print(&self, as_json: bool, to: &mut impl Write) {
        let text = match self {
            Self::BrokenPipe => return,
            Self::Failed(error) if as_json => failed_json(error),
            Self::Failed(error) => failed_text(error),
            Self::Unknown(commit) if as_json => unknown_json(commit),
            Self::Unknown(commit) => unknown_text(commit),
        };
        let _ = to.write_all(printable(&text).as_bytes()).and_then(|()| to.flush());
    }
}

/// `text` with line feeds kept and every other control or direction-changing character spelled out.
pub fn printable(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n'
            && (c.is_control()
                || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        {
            clean.extend(c.escape_default());
        } else {
            clean.push(c);
        }
    }
    clean
}

/// `text` with the middle of very long lines left out.
fn shortened(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        let (head, tail) = (line.char_indices().nth(LINE_HEAD), line.char_indices().nth_back(LINE_TAIL - 1));
        match (head, tail) {
            (Some((head, _)), Some((tail, _))) if head < tail => {
                format!("{} … {} bytes left out … {}", &line[..head], tail - head, &line[tail..])
            }
            _ => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn failed_text(error: &Error) -> String {
    // The object stands behind the first line: further ones are details.
    let message = shortened(error.message());
    let mut lines = message.lines();
    let mut text = format!("error: {}", lines.next().unwrap_or_default());
    if let Some(object) = error.object() {
        text += &format!(" ({})", shortened(object));
    }
    for line in lines {
        text += &format!("\n  {}", line.trim_start());
    }
    for cause in causes(error) {
        text += &format!("\n  cause: {}", shortened(&cause));
    }
    for hint in shortened(error.hint().unwrap_or_default()).lines() {
        text += &format!("\n  hint: {hint}");
    }
    text + "\n"
}

fn failed_json(error: &Error) -> String {
    let cause = shortened(&causes(error).join(": "));
    let body = json!({ "error": {
        "kind": error.kind().as_str(),
        "message": shortened(error.message()),
        "object": error.object().map(shortened),
        "cause": (!cause.is_empty()).then_some(cause),
        "hint": error.hint().map(shortened),
    }});
    format!("{body}\n")
}

fn unknown_text(commit: &UnknownCommit) -> String {
    let UnknownCommit { table, token, reason } = commit;
    format!(
        "error: the commit may or may not have landed ({table})\n  cause: {reason}\n  token: {token}\n  \
         hint: {}\n  hint: the files are kept; writing again now could write the rows twice\n",
        settle_hint(table, token)
    )
}

fn unknown_json(commit: &UnknownCommit) -> String {
    let body = json!({ "error": {
        "kind": "unknown",
        "message": "the commit may or may not have landed",
        "object": commit.table,
        "cause": commit.reason.to_string(),
        "token": commit.token,
        "hint": settle_hint(&commit.table, &commit.token),
    }});
    format!("{body}\n")
}

fn settle_hint(table: &str, token: &str) -> String {
    format!("ask again with `lake commit status '{table}' {token}`")
}

/// The chain of causes, without those that the one before already spells out.
fn causes(error: &Error) -> Vec<String> {
    let mut causes: Vec<String> = Vec::new();
    let mut next = StdError::source(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !causes.last().is_some_and(|last| last.contains(&text)) {
            causes.push(text);
        }
        next = cause.source();
    }
    causes
}

impl From<Error> for CliError {
    fn from(error: Error) -> Self {
        if is_broken_pipe(&error) { Self::BrokenPipe } else { Self::Failed(error) }
    }
}

/// Trouble with writing what was asked for; reading goes through `lake_format`.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Failed(error.into()),
        }
    }
}

impl From<ArrowError> for CliError {
    fn from(error: ArrowError) -> Self {
        match error {
            ArrowError::IoError(_, error) => error.into(),
            other => Error::internal("the rows can't be written in this format").with_source(other).into(),
        }
    }
}

impl From<ParquetError> for CliError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(error) => match error.downcast::<io::Error>() {
                Ok(error) => (*error).into(),
                Err(error) => Error::internal("the rows can't be written as Parquet").with_source(error).into(),
            },
            other => Error::internal("the rows can't be written as Parquet").with_source(other).into(),
        }
    }
}

fn is_broken_pipe(error: &Error) -> bool {
    let mut next = StdError::source(error);
    while let Some(cause) = next {
        if cause.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            // A store's own connection may break as well: that is no reader of ours.
            return error.kind() == ErrorKind::Internal;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(error: impl Into<CliError>, as_json: bool) -> String {
        let mut text = Vec::new();
        error.into().print(as_json, &mut text);
        String::from_utf8(text).expect("text")
    }

    #[test]
    fn every_kind_has_its_code() {
        let code = |error: Error| CliError::from(error).exit_code();
        assert_eq!(code(Error::internal("x")), 1);
        assert_eq!(code(Error::invalid("x")), 2);
        assert_eq!(code(Error::conflict("x")), 3);
        assert_eq!(code(Error::not_found("x")), 4);
        assert_eq!(code(Error::already_exists("x")), 4);
        assert_eq!(code(Error::denied("x")), 5);
        assert_eq!(code(Error::unsupported("x")), 6);
        assert_eq!(code(Error::corrupt("x")), 7);
        assert_eq!(code(Error::unavailable("x")), 8);
    }

    #[test]
    fn object_cause_and_hints_have_lines_of_their_own() {
        let error = Error::invalid("bad").with_object("t").with_hint("one\ntwo").with_source(io::Error::other("deep"));
        assert_eq!(printed(error, false), "error: bad (t)\n  cause: deep\n  hint: one\n  hint: two\n");
        let error = Error::invalid("2 rules\n  a: x\nb: y").with_object("t");
        assert_eq!(printed(error, false), "error: 2 rules (t)\n  a: x\n  b: y\n");
    }

    #[test]
    fn a_name_of_megabytes_is_shown_by_its_ends() {
        let error = || Error::invalid(format!("no column {}é!", "ä".repeat(5_000_000))).with_object("t");
        for as_json in [false, true] {
            let text = printed(error(), as_json);
            assert!(text.len() < 5_000 && text.contains("no column ä") && text.contains("é!"), "{as_json}: {text}");
            assert!(text.contains("bytes left out"), "{text}");
        }
        let lines = vec!["x".repeat(1_700); 3].join("\n");
        assert_eq!(shortened(&lines), lines);
    }

    #[test]
    fn json_is_one_line() {
        let line = printed(Error::not_found("no\nline").with_object("t"), true);
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).expect("json");
        assert_eq!((&value["error"]["kind"], &value["error"]["object"]), (&json!("not_found"), &json!("t")));
    }

    #[test]
    fn a_name_can_not_steer_the_terminal() {
        let text = printed(Error::invalid("x").with_object("a\u{1b}[2Jb\u{202e}c\u{9b}"), false);
        assert_eq!(text, "error: x (a\\u{1b}[2Jb\\u{202e}c\\u{9b})\n");
    }

    #[test]
    fn an_unknown_outcome_says_how_to_settle_it() {
        let reason = Error::unavailable("no answer");
        let commit = UnknownCommit { table: "s3://b/t".into(), token: "v3-abc".into(), reason };
        let error = CliError::Unknown(Box::new(commit));
        assert_eq!(error.exit_code(), 9);
        let text = printed(error, false);
        assert!(text.contains("lake commit status 's3://b/t' v3-abc"), "{text}");
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let error = CliError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((error.exit_code(), printed(error, false)), (0, String::new()));
    }
}
