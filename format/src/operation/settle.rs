//! Settle: what became of a commit whose outcome was unknown.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::log::{LogPath, is_linked, list_log, read_commit_info};
use crate::planted::{Defect, planted};
use crate::store::TableRoot;

/// What is known of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It is that version.
    Landed(u64),
    /// It is no version and never will be: the one that it wanted is another commit's. Its files are leftovers.
    Never,
    /// It is no version yet, but may become one: a put can arrive late. While no other commit takes the version that it
    /// wanted, nobody can tell; the next commit of any writer decides.
    Open,
    /// The version that it wanted was taken, but log clean-up has removed it, or what would tell whether a file of that
    /// name is the table's (COM-14).
    Forgotten,
}

/// What became of the commit of `token` (COM-12).
///
/// A commit of ours is only ever put at one version that is in doubt: all before it were seen to be others'. So the
/// holder of that version decides.
///
/// # Errors
/// `Invalid` for text that is no token, the store's own, `Corrupt` for a damaged commit.
pub async fn settle(root: &TableRoot, token: &str) -> Result<Settlement> {
    let parsed = token.strip_prefix('v').and_then(|rest| rest.split_once('-'));
    let parsed = parsed.and_then(|(version, id)| Some((version.parse::<u64>().ok()?, Uuid::try_parse(id).ok()?)));
    let Some((version, txn_id)) = parsed else {
        return Err(Error::invalid("not a commit token; one looks like v12-0190…").with_object(token.to_owned()));
    };
    let wanted = txn_id.to_string();
    // Listed before it is read: what is missing then was there once if a later version, or a checkpoint, is listed.
    let passed = |meaning: &LogPath| match meaning {
        LogPath::Commit { version: found } => *found > version,
        other => other.version() >= version,
    };
    let files = list_log(root, version.saturating_sub(1)).await?;
    let passed = files.iter().filter(|file| file.meaning.version() >= version).any(|file| passed(&file.meaning));
    let holder = read_commit_info(root, version).await?;
    Ok(match holder {
        // A file that the log does not go through is a late writer's: whose the version was, nothing tells any more.
        Some(_) if !is_linked(&files, version) && !planted(Defect::BlindStart) => Settlement::Forgotten,
        Some(record) if record.txn_id() == Some(wanted.as_str()) => Settlement::Landed(version),
        Some(_) => Settlement::Never,
        None if planted(Defect::HastySettlement) => Settlement::Never,
        None if passed => Settlement::Forgotten,
        None => Settlement::Open,
    })
}
