//! One commit file: strict parsing, and a write whose outcome is never guessed.

use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use uuid::Uuid;

use super::chunks::Chunks;
use super::lines::{FileLines, Part, Whole, parse_part};
use super::path::commit_name;
use crate::action::Action;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::replay::Home;
use crate::store::{PutAnswer, TableRoot, Unsynced, no_answer, put_behind, within_patience};

/// Puts of the same bytes before the outcome is called unknown.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE_MS: u64 = 50;

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
    let mut whole = Whole::new(version);
    let part = whole.take(parse_part(bytes, FileLines::Actions, &Home::default())?)?;
    whole.finish()?;
    Ok(part.actions)
}

/// Reads version `version`; `None` when it is not there.
///
/// # Errors
/// As [`parse_commit`], and the store's own.
pub async fn read_commit(root: &TableRoot, version: u64) -> Result<Option<CommitRecord>> {
    read_record(root, version, FileLines::Actions).await
}

/// The same without what the commit says of files, which is looked at all the same.
///
/// # Errors
/// As [`read_commit`].
pub async fn read_commit_info(root: &TableRoot, version: u64) -> Result<Option<CommitRecord>> {
    read_record(root, version, FileLines::Bare).await
}

async fn read_record(root: &TableRoot, version: u64, files: FileLines) -> Result<Option<CommitRecord>> {
    let path = root.child(&commit_name(version))?;
    let Some(chunks) = Chunks::open(root, &path).await? else { return Ok(None) };
    let mut parts = chunks.parts(version, files);
    let mut actions = Vec::new();
    while let Some(part) = parts.try_next().await? {
        actions.extend(part.actions);
    }
    Ok(Some(CommitRecord { version, actions, modified_ms: 0 }))
}

/// The parts of a commit file, or of several made into one, as it comes: memory is bounded by the longest line and by
/// what the caller keeps.
///
/// # Errors
/// Each item can fail, and the stream ends there: as [`parse_commit`], `Corrupt` also when the file is gone or has a
/// line too long to be loaded, the store's own.
pub fn stream_parts(root: &TableRoot, path: &Path, version: u64, files: FileLines) -> BoxStream<'static, Result<Part>> {
    let (root, path) = (root.clone(), path.clone());
    let opened = async move {
        let chunks = Chunks::open(&root, &path).await?;
        let gone = || Error::corrupt("a file of the log was listed but is gone").with_object(root.name_of(&path));
        Ok::<_, Error>(chunks.ok_or_else(gone)?.parts(version, files))
    };
    stream::once(opened).try_flatten().boxed()
}

/// A commit file, or several made into one, whole: what does not speak of files, and what does, statistics included.
///
/// # Errors
/// As [`stream_parts`].
pub async fn read_parts(root: &TableRoot, path: &Path, version: u64, files: FileLines) -> Result<Vec<Part>> {
    stream_parts(root, path, version, files).try_collect().await
}

/// Makes `body` its version with put-if-absent, and settles every doubtful answer by reading the version back
/// (COM-1 to COM-4). Absence settles nothing: a put that timed out may land later, so the same bytes are put again.
///
/// What the commit stands on is synced before it is there: `files` (COM-7).
pub async fn write_commit(root: &TableRoot, body: &CommitBody, clock: &dyn Clock, files: Unsynced) -> Settled {
    let path = match root.child(&commit_name(body.version)) {
        Ok(path) => path,
        Err(error) => return Settled::Rejected(error),
    };
    let (mut doubt, mut files) = (None, files);
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            let pause_ms = FIRST_PAUSE_MS << attempt;
            clock.sleep(Duration::from_millis(pause_ms / 2 + clock.below(pause_ms))).await;
        }
        match put_behind(root, &path, body.bytes.clone(), clock, std::mem::take(&mut files)).await {
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
    let Some(chunks) = Chunks::open(root, path).await? else { return Ok(None) };
    if chunks.size_bytes() == body.bytes.len() as u64 && chunks.same_as(&body.bytes).await? {
        return Ok(Some(true));
    }
    let Some(theirs) = read_commit_info(root, body.version).await? else { return Ok(None) };
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
