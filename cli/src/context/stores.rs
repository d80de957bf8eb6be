//! Which stores keep put-if-absent: found out once for each, and remembered between runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lake_format::clock::Clock;
use lake_format::store::{ProbeSize, race};
use lake_format::transaction::{CommitAnswer, Committer, LogCommitter};
use lake_format::{ClockRef, Error, Result, StoreOptions, TableRoot};
use serde::{Deserialize, Serialize};

use super::profile::write_private;

/// What is tried before the first write to a store: enough to find a store that overwrites, and soon done.
const FIRST_RACE: ProbeSize = ProbeSize { keys: 4, writers: 16 };

/// A store that takes longer is judged by another run.
const RACE_LIMIT: Duration = Duration::from_secs(20);

/// Bytes of the file with the verdicts, at most.
const FILE_BYTES: u64 = 4 << 20;

/// What is known of a store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether commits are safe there.
    pub safe: bool,
    /// What was seen.
    pub seen: String,
    /// When, milliseconds since the epoch.
    pub checked_ms: i64,
}

/// Verdicts on stores, by endpoint and bucket. A commit asks what is remembered; only the first write to a store that
/// nothing is known of sends requests.
#[derive(Debug)]
pub struct Stores {
    clock: ClockRef,
    endpoint: String,
    file: Option<PathBuf>,
    known: Mutex<Option<BTreeMap<String, Verdict>>>,
}

impl Stores {
    /// Verdicts kept in `file`, if there is one, on stores behind these settings.
    pub fn new(options: &StoreOptions, clock: ClockRef, file: Option<PathBuf>) -> Self {
        let region = options.region.as_deref().unwrap_or_default();
        let endpoint = options.endpoint.clone().unwrap_or_else(|| format!("cloud {region}"));
        Self { clock, endpoint, file, known: Mutex::new(None) }
    }

    /// Whether `root` may be written to; found out now when nothing is known of its store.
    ///
    /// # Errors
    /// `Unsupported` for a store that was seen to let commits overwrite one another.
    pub async fn check(&self, root: &TableRoot) -> Result<()> {
        if root.is_local() {
            return Ok(());
        }
        let verdict = match self.known(&self.key(root)) {
            Some(verdict) => verdict,
            None => match self.find_out(root).await {
                Some(verdict) => verdict,
                // No answer, or none that is clear: the commit itself will tell.
                None => return Ok(()),
            },
        };
        if verdict.safe {
            return Ok(());
        }
        let message = "the store does not keep put-if-absent, so commits to it could overwrite one another";
        Err(Error::unsupported(format!("{message}: {}", verdict.seen)).with_object(root.display()).with_hint(format!(
            "the table was not changed; once the store is mended, `lake store probe {}` tries it again",
            bucket(root)
        )))
    }

    async fn find_out(&self, root: &TableRoot) -> Option<Verdict> {
        let raced = tokio::time::timeout(RACE_LIMIT, race(root, self.clock.as_ref(), FIRST_RACE)).await;
        let found = raced.ok()?.ok()?;
        if !found.failed() && !found.is_honest() {
            return None;
        }
        Some(self.record(root, !found.failed(), found.describe()))
    }

    /// Remembers what was seen of the store of `root`.
    pub fn record(&self, root: &TableRoot, safe: bool, seen: String) -> Verdict {
        let verdict = Verdict { safe, seen, checked_ms: self.clock.now_ms() };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // Others may have written meanwhile.
        let mut all = self.load();
        all.extend(known.take().unwrap_or_default());
        all.insert(self.key(root), verdict.clone());
        if let (Some(file), Ok(text)) = (&self.file, serde_json::to_string_pretty(&all))
            && let Err(error) = write_private(file, &(text + "\n"))
        {
            tracing::debug!(%error, "what was found out of a store can't be remembered");
        }
        *known = Some(all);
        verdict
    }

    fn known(&self, key: &str) -> Option<Verdict> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert_with(|| self.load()).get(key).cloned()
    }

    /// A file that is absent or damaged says nothing.
    fn load(&self) -> BTreeMap<String, Verdict> {
        let Some(file) = &self.file else { return BTreeMap::new() };
        let small = std::fs::metadata(file).is_ok_and(|found| found.len() <= FILE_BYTES);
        let text = small.then(|| std::fs::read_to_string(file).ok()).flatten();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    fn key(&self, root: &TableRoot) -> String {
        format!("{} {}", self.endpoint, bucket(root))
    }
}

/// The bucket that a root is in, as a URL.
fn bucket(root: &TableRoot) -> String {
    let url = root.url();
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

/// Commits to a log on a store that keeps put-if-absent, and to no other.
#[derive(Clone, Debug)]
pub struct CheckedCommitter(pub Arc<Stores>);

#[async_trait]
impl Committer for CheckedCommitter {
    async fn try_commit(
        &self,
        root: &TableRoot,
        body: &lake_format::transaction::CommitBody,
        clock: &dyn Clock,
    ) -> CommitAnswer {
        match self.0.check(root).await {
            Ok(()) => LogCommitter.try_commit(root, body, clock).await,
            Err(error) => CommitAnswer::Refused(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use lake_format::SystemClock;

    use super::*;

    #[tokio::test]
    async fn a_verdict_is_found_once_and_kept() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("stores.json");
        let stores = || Stores::new(&StoreOptions::default(), SystemClock::shared(), Some(file.clone()));
        let root = TableRoot::in_memory("t").expect("root");
        stores().check(&root).await.expect("an honest store");
        let kept = stores().known(&stores().key(&root)).expect("kept");
        assert!(kept.safe && kept.seen.contains("4 of 4 keys"), "{kept:?}");
        stores().record(&root, false, "two winners".to_owned());
        let error = stores().check(&root).await.expect_err("refused");
        assert!(error.message().contains("two winners"), "STO-2: {error}");
        std::fs::write(&file, "not JSON").expect("damage");
        stores().check(&root).await.expect("found out again");
    }
}
