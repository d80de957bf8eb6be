//! The committer of catalog tables: posts a commit, and repeats the same bytes until the outcome is known.

use std::time::Duration;

use async_trait::async_trait;
use lake_catalog_api::{CommitRequest, CommitResponse, CommitState, Operation, TableName};
use lake_format::clock::Clock;
use lake_format::transaction::{CommitAnswer, CommitBody, Committer};
use lake_format::{Error, ErrorKind, TableRoot};

use crate::client::{CatalogClient, Exchange};
use crate::error::refused;

/// Posts of the same bytes before the outcome is called unknown.
const ATTEMPTS: u32 = 6;
const FIRST_PAUSE_MS: u64 = 100;

/// Commits to one table through the server, which judges them by the rules of the table's layer.
#[derive(Clone, Debug)]
pub struct CatalogCommitter {
    client: CatalogClient,
    name: TableName,
    table_id: Option<String>,
    allow_protocol_change: bool,
}

/// What one exchange says about a commit.
#[derive(Debug)]
enum Verdict {
    Landed,
    /// Another commit is the version: ours never will be.
    Taken,
    /// This attempt left nothing. Asking again may help or not.
    Rejected {
        error: Error,
        again: bool,
    },
    /// This attempt may have landed or may land yet.
    Doubt(Error),
}

impl CatalogCommitter {
    /// A committer for the table of that name.
    pub fn new(client: CatalogClient, name: TableName) -> Self {
        Self { client, name, table_id: None, allow_protocol_change: false }
    }

    /// Commits only while the name is that of the table with this identity.
    #[must_use]
    pub fn for_table(mut self, id: &str) -> Self {
        self.table_id = Some(id.to_owned());
        self
    }

    /// Lets commits change the table's protocol.
    #[must_use]
    pub fn allow_protocol_change(mut self, allow: bool) -> Self {
        self.allow_protocol_change = allow;
        self
    }

    fn request(&self, body: &CommitBody) -> Result<Vec<u8>, Error> {
        let actions = String::from_utf8(body.bytes.to_vec())
            .map_err(|e| Error::internal("a commit is not UTF-8").with_source(e.utf8_error()))?;
        let request = CommitRequest {
            version: body.version,
            txn_id: body.txn_id.to_string(),
            actions,
            table_id: self.table_id.clone(),
            allow_protocol_change: self.allow_protocol_change,
        };
        serde_json::to_vec(&request).map_err(|e| Error::internal("the request can't be written as JSON").with_source(e))
    }

    async fn attempt(&self, request: Vec<u8>, version: u64) -> Verdict {
        let place = [self.name.catalog.as_str(), &self.name.schema, &self.name.table];
        match self.client.exchange(Operation::Commit, &place, "", Some(request)).await {
            Exchange::NotSent(error) => Verdict::Rejected { error, again: true },
            Exchange::Broken(error) => Verdict::Doubt(error),
            Exchange::Answer(status, bytes) if (200..300).contains(&status) => {
                match serde_json::from_slice::<CommitResponse>(&bytes) {
                    Ok(response) if response.version == version => Verdict::Landed,
                    _ => Verdict::Doubt(self.client.not_understood()),
                }
            }
            Exchange::Answer(status, bytes) => judge(self.client.base_url(), status, &bytes),
        }
    }
}

/// What an answer that is no success says about the commit.
fn judge(base: &str, status: u16, bytes: &[u8]) -> Verdict {
    let refused = refused(base, status, bytes);
    let error = refused.error;
    let passing = error.kind() == ErrorKind::Unavailable;
    match refused.commit {
        Some(commit) if commit.outcome == CommitState::Unknown => Verdict::Doubt(error),
        Some(commit) if commit.taken => Verdict::Taken,
        Some(_) => Verdict::Rejected { error, again: passing },
        // Turned away before the commit was looked at, by the server or by what stands before it.
        None if status == 429 => Verdict::Rejected { error, again: true },
        None if (400..500).contains(&status) && status != 408 => Verdict::Rejected { error, again: false },
        None => Verdict::Doubt(error),
    }
}

#[async_trait]
impl Committer for CatalogCommitter {
    async fn try_commit(&self, _: &TableRoot, body: &CommitBody, clock: &dyn Clock) -> CommitAnswer {
        if body.version == 0 {
            return CommitAnswer::Refused(
                Error::unsupported("the catalog server makes the first version of a table itself")
                    .with_object(self.name.to_string())
                    .with_hint("create the table in the catalog, then write to it"),
            );
        }
        let request = match self.request(body) {
            Ok(request) => request,
            Err(error) => return CommitAnswer::Refused(error),
        };
        let mut doubt = None;
        let mut last = None;
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                let pause_ms = FIRST_PAUSE_MS << attempt;
                clock.sleep(Duration::from_millis(pause_ms / 2 + clock.below(pause_ms))).await;
            }
            match self.attempt(request.clone(), body.version).await {
                Verdict::Landed => return CommitAnswer::Landed,
                Verdict::Taken => return CommitAnswer::Taken,
                Verdict::Doubt(error) => doubt = Some(error),
                Verdict::Rejected { error, again: true } => last = Some(error),
                // A rejection is certain only while no earlier attempt is in doubt.
                Verdict::Rejected { error, again: false } => {
                    return if doubt.is_some() { CommitAnswer::Unsettled(error) } else { CommitAnswer::Refused(error) };
                }
            }
        }
        let fallback = || Error::unavailable("the catalog server did not settle the commit");
        match doubt {
            Some(error) => CommitAnswer::Unsettled(error),
            None => CommitAnswer::Refused(last.unwrap_or_else(fallback)),
        }
    }
}

#[cfg(test)]
mod tests;
