//! Settle: what became of a commit whose outcome was unknown.

use uuid::Uuid;

use crate::error::{Error, Result};
use crate::log::{LogPath, list_log, read_commit};
use crate::store::TableRoot;

/// The version that the commit of `token` became; `None` while it is not in the log.
///
/// A version at or above the token's that belongs to others proves that the commit will never appear at that version.
///
/// # Errors
/// `Invalid` for text that is no token, the store's own, `Corrupt` for a damaged commit.
pub async fn settle(root: &TableRoot, token: &str) -> Result<Option<u64>> {
    let parsed = token.strip_prefix('v').and_then(|rest| rest.split_once('-'));
    let parsed = parsed.and_then(|(version, id)| Some((version.parse::<u64>().ok()?, Uuid::try_parse(id).ok()?)));
    let Some((version, txn_id)) = parsed else {
        return Err(Error::invalid("not a commit token; one looks like v12-0190…").with_object(token.to_owned()));
    };
    let wanted = txn_id.to_string();
    for file in list_log(root, version).await? {
        if let LogPath::Commit { version } = file.meaning
            && let Some(record) = read_commit(root, version).await?
            && record.txn_id() == Some(wanted.as_str())
        {
            return Ok(Some(version));
        }
    }
    Ok(None)
}
