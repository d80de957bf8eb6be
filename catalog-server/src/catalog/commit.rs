//! Commits: judged against the table as it is, then decided by the store's put-if-absent.

use std::borrow::Cow;
use std::sync::Arc;

use lake_catalog_api::{CommitFailure, CommitOutcome, CommitRequest, CommitResponse, CommitState, CommitStatus, Layer};
use lake_format::action::Action;
use lake_format::log::{commit_name, read_commit};
use lake_format::transaction::{CommitAnswer, Committer, LogCommitter};
use lake_format::{At, Error, Result, Snapshot, TableRoot};

use super::contract::{Case, judge};
use super::files::missing_files;
use super::head::TableHead;
use super::layout;
use super::proposal::Proposal;
use super::{Catalog, Outcome, Refusal};
use crate::store::TableEntry;

/// A commit file that is read back to be compared is not larger than one that may be sent.
const MAX_COMMIT_BYTES: u64 = 64 << 20;

impl Catalog {
    /// Commits one version. The same request again lands at most once, and says so.
    ///
    /// Once the store is asked, this must run to its end: it is called in a task that outlives its client.
    pub async fn commit(
        &self,
        catalog: &str,
        schema: &str,
        table: &str,
        request: CommitRequest,
    ) -> Outcome<CommitResponse> {
        let version = request.version;
        let entry = self.entry(catalog, schema, table).await.map_err(|e| Refusal::from(e).rejected(version, None))?;
        if request.table_id.as_ref().is_some_and(|id| *id != entry.record.id.to_string()) {
            let error = Error::not_found("the table that was meant is gone; another one has its name now")
                .with_object(entry.full_name())
                .with_hint("nothing was committed; look the table up again");
            return Err(Refusal::from(error).rejected(version, None));
        }
        let proposal = Proposal::parse(request).map_err(|e| Refusal::from(e).rejected(version, None))?;
        let root = self.storage.open(&entry.record.location).map_err(|e| Refusal::from(e).rejected(version, None))?;
        let slot = self.slots.of(entry.record.id);
        let mut known = slot.lock().await;
        let head = self.head_below(&root, known.take(), version).await;
        let head = head.map_err(|e| Refusal::from(e).rejected(version, None))?;
        if version <= head.version {
            let answer = held(&root, &proposal, head.version).await;
            *known = Some(head);
            return answer;
        }
        if version > head.version + 1 {
            let error = Error::invalid(format!("version {version} would leave a gap: the newest is {}", head.version))
                .with_object(entry.full_name())
                .with_hint("nothing was committed; read the table again");
            let refusal = Refusal::from(error).rejected(version, Some(head.version));
            *known = Some(head);
            return Err(refusal);
        }
        let after = match self.judged(&entry, &root, &proposal, &head).await {
            Ok(after) => after,
            Err(refusal) => {
                let refusal = refusal.rejected(version, Some(head.version));
                *known = Some(head);
                return Err(refusal);
            }
        };
        match LogCommitter.try_commit(&root, &proposal.body, self.clock.as_ref()).await {
            CommitAnswer::Landed => {
                *known = Some(after);
                Ok(CommitResponse { version, outcome: CommitOutcome::Committed })
            }
            CommitAnswer::Taken => {
                let newest = TableHead::load(&root, &self.clock).await.ok();
                let refusal = taken(&root, version, newest.as_ref().map(|head| head.version));
                *known = newest;
                Err(refusal)
            }
            CommitAnswer::Refused(error) => {
                *known = Some(head);
                Err(Refusal::from(error).rejected(version, None))
            }
            CommitAnswer::Unsettled(error) => Err(unknown(error, version)),
        }
    }

    /// The table just below `version`, from what is known if that is it, else from the log.
    async fn head_below(&self, root: &TableRoot, known: Option<TableHead>, version: u64) -> Result<TableHead> {
        match known {
            Some(head) if head.version + 1 == version => Ok(head),
            _ => TableHead::load(root, &self.clock).await,
        }
    }

    /// The table after the commit, if every rule is kept.
    async fn judged(
        &self,
        entry: &TableEntry,
        root: &TableRoot,
        proposal: &Proposal,
        head: &TableHead,
    ) -> Outcome<TableHead> {
        let after = proposal.check(root, head)?;
        // Between the look-up of the entry and the slot's lock the entry may have changed: rules are those of now.
        let now = self.store.tables_by_id(&[entry.record.id]).await?;
        let Some(entry) = now.first() else {
            return Err(Error::not_found("the table was dropped meanwhile").with_object(entry.full_name()).into());
        };
        let upstreams = self.upstream_states(&entry.record.upstreams).await?;
        let commit_upstreams = self.named_states(&proposal.upstreams).await?;
        let actions = self.as_judged(entry.layer, root, proposal, head).await?;
        let mut broken = judge(&Case {
            layer: entry.layer,
            owner: entry.record.owner.as_deref(),
            contract: entry.record.contract.as_ref(),
            upstreams: &upstreams,
            commit_upstreams: &commit_upstreams,
            before: head,
            after: &after,
            actions: &actions,
        });
        broken.extend(missing_files(root, &proposal.actions).await?);
        if broken.is_empty() { Ok(after) } else { Err(Refusal::rules(&entry.full_name(), entry.layer, broken)) }
    }

    /// The actions as the rules of `layer` are to see them: a move of rows is one only if the log proves it.
    async fn as_judged<'a>(
        &self,
        layer: Layer,
        root: &TableRoot,
        proposal: &'a Proposal,
        head: &TableHead,
    ) -> Result<Cow<'a, [Action]>> {
        if layer == Layer::None || !layout::claims_layout(&proposal.actions) {
            return Ok(Cow::Borrowed(&proposal.actions));
        }
        let snapshot = Snapshot::load(root.clone(), At::Version(head.version), Arc::clone(&self.clock)).await?;
        let files: Vec<_> = snapshot.files().await?.iter().collect();
        Ok(layout::as_judged(&proposal.actions, &files, &root.home()))
    }

    /// Who holds a version.
    pub async fn commit_status(&self, catalog: &str, schema: &str, table: &str, version: u64) -> Outcome<CommitStatus> {
        let entry = self.entry(catalog, schema, table).await?;
        let root = self.storage.open(&entry.record.location)?;
        let Some(record) = read_commit(&root, version).await? else {
            return Err(Error::not_found(format!("version {version} is not in the log"))
                .with_object(entry.full_name())
                .with_hint("it was never committed, or log clean-up has removed it")
                .into());
        };
        let operation = record.actions.iter().find_map(|action| match action {
            Action::CommitInfo(info) => info.operation.clone(),
            _ => None,
        });
        Ok(CommitStatus { version, txn_id: record.txn_id().map(str::to_owned), operation })
    }
}

/// The answer for a version that is there: ours from before, or another's. What can't be read may be ours.
async fn held(root: &TableRoot, proposal: &Proposal, head: u64) -> Outcome<CommitResponse> {
    let version = proposal.body.version;
    let failed = |e: Error| unknown(e, version);
    let path = root.child(&commit_name(version)).map_err(failed)?;
    let stored = root.get_small(&path, MAX_COMMIT_BYTES).await.map_err(failed)?;
    match stored {
        Some(bytes) if bytes == proposal.body.bytes => {
            // A crash may have cut off the first attempt before it reached the disk.
            root.make_durable(&path).await.map_err(failed)?;
            Ok(CommitResponse { version, outcome: CommitOutcome::AlreadyCommitted })
        }
        Some(_) => Err(taken(root, version, Some(head))),
        // Whose it was can't be told any more.
        None => {
            let error = Error::conflict(format!("version {version} is no longer in the log; the newest is {head}"))
                .with_object(root.display())
                .with_hint("an earlier attempt may have landed: look for its files in the table before writing again");
            let mut refusal = unknown(error, version);
            refusal.commit = refusal.commit.map(|commit| CommitFailure { head: Some(head), ..commit });
            Err(refusal)
        }
    }
}

fn taken(root: &TableRoot, version: u64, head: Option<u64>) -> Refusal {
    let error = Error::conflict(format!("version {version} is another commit's"))
        .with_object(root.display())
        .with_hint("nothing was committed; read the new versions, then commit behind them");
    let mut refusal = Refusal::from(error);
    refusal.commit = Some(CommitFailure { outcome: CommitState::Rejected, version, head, taken: true });
    refusal
}

fn unknown(error: Error, version: u64) -> Refusal {
    let mut refusal = Refusal::from(error.with_hint("repeat the same request to learn what became of the commit"));
    refusal.commit = Some(CommitFailure { outcome: CommitState::Unknown, version, head: None, taken: false });
    refusal
}
