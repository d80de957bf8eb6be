//! One commit file: strict parsing, and a write whose outcome is never guessed.

use std::time::Duration;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;
use uuid::Uuid;

use super::path::commit_name;
use crate::action::Action;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{PutAnswer, TableRoot, no_answer, put_if_absent, within_patience};

/// A commit file larger than this is refused rather than loaded.
const MAX_COMMIT_BYTES: u64 = 2 << 30;
/// A line longer than this is refused rather than loaded.
const MAX_LINE_BYTES: usize = 64 << 20;
/// Puts of the same bytes before the outcome is called unknown.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE_MS: u64 = 50;

/// Field of `commitInfo` that says how many actions follow, so that a torn commit is known as one.
pub const ACTION_COUNT_KEY: &str = "lake.numActions";

/// A commit ready to be written: the exact bytes of `<version>.json`.
#[derive(Clone, Debug)]
pub struct CommitBody {
    /// The version that it wants to be.
    pub version: u64,
    /// Identity of the logical commit; stands in the first line as `commitInfo.txnId`.
    pub txn_id: Uuid,
    /// One action per line.
    pub bytes: Bytes,
}

/// What became of a commit.
#[derive(Debug)]
pub enum Settled {
    /// It is the version, once and for good.
    Landed,
    /// Another commit is the version. Ours is not, and never will be.
    Lost,
    /// Nothing was written, and nothing will appear.
    Rejected(Error),
    /// It may be there, or appear later.
    Unknown(Error),
}

/// A commit as read back.
#[derive(Clone, Debug)]
pub struct CommitRecord {
    /// The version.
    pub version: u64,
    /// Its actions, in the order of the file.
    pub actions: Vec<Action>,
    /// The store's time of the file, milliseconds since the epoch.
    pub modified_ms: i64,
}

impl CommitRecord {
    /// The identity that the commit carries, if its writer gave one.
    pub fn txn_id(&self) -> Option<&str> {
        self.actions.iter().find_map(|action| match action {
            Action::CommitInfo(info) => info.txn_id.as_deref(),
            _ => None,
        })
    }
}

/// Parses the lines of a commit. Unknown actions are skipped, as the protocol asks.
///
/// # Errors
/// `Corrupt` for a file that is empty or torn, or a line that is not one JSON object (LOG-2).
pub fn parse_commit(bytes: &[u8], version: u64) -> Result<Vec<Action>> {
    let mut lines = Lines::new(version, Wanted::All);
    let mut actions = Vec::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        actions.extend(lines.parse(line)?);
    }
    lines.finish()?;
    Ok(actions)
}

/// Which actions of a commit are parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    All,
    /// All but those of files.
    Small,
}

/// The lines of one commit, parsed one by one.
struct Lines {
    version: u64,
    wanted: Wanted,
    line: usize,
    /// Actions after the first one.
    following: u64,
    any: bool,
    /// Whether an action was among them that the protocol knows.
    known: bool,
    /// What the first action says of how many follow.
    declared: Option<u64>,
}

impl Lines {
    fn new(version: u64, wanted: Wanted) -> Self {
        Self { version, wanted, line: 0, following: 0, any: false, known: false, declared: None }
    }

    fn parse(&mut self, line: &[u8]) -> Result<Option<Action>> {
        self.line += 1;
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(None);
        }
        let first = !std::mem::replace(&mut self.any, true);
        if self.wanted == Wanted::Small && is_of_file(line) && line.ends_with(b"}") {
            self.following += u64::from(!first);
            self.known = true;
            return Ok(None);
        }
        let action = parse_line(line).map_err(|error| {
            let what = if error.is_eof() { "is torn" } else { "can't be parsed" };
            let message = format!("commit {} {what} in line {}", self.version, self.line);
            Error::corrupt(message).with_hint(RESTORE_HINT).with_source(error)
        })?;
        self.known |= action.is_some();
        match &action {
            Some(Action::CommitInfo(info)) if first => {
                self.declared = info.other.get(ACTION_COUNT_KEY).and_then(serde_json::Value::as_u64);
            }
            Some(_) => self.following += u64::from(!first),
            None => {}
        }
        Ok(action)
    }

    /// Our own commits say how many actions they hold.
    fn finish(self) -> Result<()> {
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

const RESTORE_HINT: &str = "the table was not read; restore the commit file from a backup of the bucket";

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
struct Fields(Vec<(String, Box<serde_json::value::RawValue>)>);

impl<'de> serde::Deserialize<'de> for Fields {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Fields;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of one action")
            }

            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
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

/// Reads version `version`; `None` when it is not there.
///
/// # Errors
/// As [`parse_commit`], and the store's own.
pub async fn read_commit(root: &TableRoot, version: u64) -> Result<Option<CommitRecord>> {
    let path = root.child(&commit_name(version))?;
    let Some(bytes) = root.get_small(&path, MAX_COMMIT_BYTES).await? else { return Ok(None) };
    let actions = parse_commit(&bytes, version).map_err(|e| e.with_object(root.name_of(&path)))?;
    Ok(Some(CommitRecord { version, actions, modified_ms: 0 }))
}

/// Parses the file of a commit, or of several made into one, as it comes: memory is bounded by the longest line and by
/// what `take` keeps.
///
/// # Errors
/// As [`parse_commit`], `Corrupt` also when the file is gone, those of `take`, and the store's own.
pub async fn stream_commit(
    root: &TableRoot,
    path: &Path,
    version: u64,
    wanted: Wanted,
    mut take: impl FnMut(Action) -> Result<()>,
) -> Result<()> {
    let named = |e: Error| e.with_object(root.name_of(path));
    let mut lines = Lines::new(version, wanted);
    stream_lines(root, path, |line| lines.parse(line).map_err(named)?.map_or(Ok(()), &mut take)).await?;
    lines.finish().map_err(named)
}

/// Hands each line of a file of the log to `take`, as the file comes.
///
/// # Errors
/// `Corrupt` when the file is gone or has a line too long to be loaded, those of `take`, and the store's own.
pub(super) async fn stream_lines(
    root: &TableRoot,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let named = |e: Error| e.with_object(root.name_of(path));
    let answer = match root.store().get(path).await {
        Ok(answer) => answer,
        Err(object_store::Error::NotFound { .. }) => {
            return Err(named(Error::corrupt("a file of the log was listed but is gone")));
        }
        Err(error) => return Err(named(error.into())),
    };
    let mut chunks = answer.into_stream();
    let mut rest: Vec<u8> = Vec::new();
    while let Some(chunk) = chunks.try_next().await.map_err(|e| named(e.into()))? {
        let mut pieces = chunk.split(|&byte| byte == b'\n');
        let last = pieces.next_back().unwrap_or_default();
        for piece in pieces {
            if rest.is_empty() {
                take(piece)?;
            } else {
                rest.extend_from_slice(piece);
                take(&std::mem::take(&mut rest))?;
            }
        }
        rest.extend_from_slice(last);
        if rest.len() > MAX_LINE_BYTES {
            let message = format!("a file of the log has a line of more than {MAX_LINE_BYTES} bytes");
            return Err(named(Error::corrupt(message).with_hint(RESTORE_HINT)));
        }
    }
    take(&rest)
}

/// Makes `body` its version with put-if-absent, and settles every doubtful answer by reading the version back
/// (COM-1 to COM-4). Absence settles nothing: a put that timed out may land later, so the same bytes are put again.
pub async fn write_commit(root: &TableRoot, body: &CommitBody, clock: &dyn Clock) -> Settled {
    let path = match root.child(&commit_name(body.version)) {
        Ok(path) => path,
        Err(error) => return Settled::Rejected(error),
    };
    let mut doubt = None;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            let pause_ms = FIRST_PAUSE_MS << attempt;
            clock.sleep(Duration::from_millis(pause_ms / 2 + clock.below(pause_ms))).await;
        }
        match put_if_absent(root, &path, body.bytes.clone(), clock).await {
            PutAnswer::Created => return Settled::Landed,
            // A refusal is certain only while no earlier attempt is in doubt.
            PutAnswer::Refused(error) if doubt.is_none() => return Settled::Rejected(error),
            PutAnswer::Refused(error) | PutAnswer::Unsettled(error) => doubt = Some(error),
            PutAnswer::Exists => {}
        }
        let seen = within_patience(clock, holder(root, &path, body)).await;
        match seen.unwrap_or_else(|| Err(no_answer())) {
            Ok(Some(true)) => match root.make_durable(&path).await {
                Ok(()) => return Settled::Landed,
                Err(error) => doubt = Some(error),
            },
            Ok(Some(false)) => return Settled::Lost,
            Ok(None) => {}
            Err(error) => doubt = Some(error),
        }
    }
    Settled::Unknown(doubt.unwrap_or_else(|| {
        Error::new(ErrorKind::Unavailable, "the store says that the version exists, but does not show it")
    }))
}

/// Whether the version is ours (`true`), another's (`false`) or not to be seen (`None`). Bytes that are neither ours
/// nor a whole commit of somebody else prove nothing: the read may have been cut short.
async fn holder(root: &TableRoot, path: &Path, body: &CommitBody) -> Result<Option<bool>> {
    let Some(bytes) = root.get_small(path, MAX_COMMIT_BYTES).await? else { return Ok(None) };
    if bytes == body.bytes {
        return Ok(Some(true));
    }
    let actions = parse_commit(&bytes, body.version)?;
    let theirs = CommitRecord { version: body.version, actions, modified_ms: 0 };
    if theirs.txn_id() == Some(body.txn_id.to_string().as_str()) {
        return Err(Error::new(ErrorKind::Unavailable, "our commit was read back with other bytes"));
    }
    Ok(Some(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"add":{"path":"a","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}"#;

    #[test]
    fn unknown_actions_and_fields_are_skipped() {
        let text =
            format!("{{\"zzz\":{{\"a\":1}}}}\n\n{LINE}\n{{\"txn\":{{\"appId\":\"x\",\"version\":1,\"new\":2}}}}");
        assert_eq!(parse_commit(text.as_bytes(), 1).expect("LOG-2").len(), 2);
    }

    #[test]
    fn an_empty_or_torn_commit_is_corrupt() {
        for (text, word) in [
            (String::new(), "empty"),
            ("\n \n".to_owned(), "empty"),
            (LINE[..LINE.len() / 2].to_owned(), "torn"),
            (format!("{LINE}\n{}", &LINE[..9]), "torn"),
            ("[1]".to_owned(), "can't be parsed"),
            ("{\"zzz\":1}\n{}\n".to_owned(), "no action"),
            (format!("{{\"txn\":{{\"appId\":\"a\",\"version\":1}},{}", &LINE[1..]), "can't be parsed"),
            (format!("{},{}", &LINE[..LINE.len() - 1], &LINE[1..]), "can't be parsed"),
            ("{\"add\":7}".to_owned(), "can't be parsed"),
            ("\0\0\0".to_owned(), "can't be parsed"),
            (format!("{{\"commitInfo\":{{\"lake.numActions\":2}}}}\n{LINE}\n"), "torn"),
        ] {
            let error = parse_commit(text.as_bytes(), 4).expect_err(&text);
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.message().contains(word) && error.message().contains('4'), "LOG-2: {error} for {text:?}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_the_end_of_the_process() {
        let deep = format!("{{\"commitInfo\":{{\"x\":{}{}}}}}", "[".repeat(1_000_000), "]".repeat(1_000_000));
        assert_eq!(parse_commit(deep.as_bytes(), 1).expect_err("deep").kind(), ErrorKind::Corrupt);
    }
}
