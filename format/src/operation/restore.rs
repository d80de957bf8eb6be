//! Restore: the rows and schema of an older version, as a new version.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::{WriteOutcome, report};
use crate::action::{Action, Add, Remove};
use crate::conflict::Reads;
use crate::error::{Error, Result};
use crate::replay::FileKey;
use crate::snapshot::{Files, Snapshot};
use crate::transaction::{Base, Committer, Operation, Staged, transact};
use crate::write::Written;

/// Makes the table what it was at `target`, an older snapshot of it. No data file is written; the protocol stays.
///
/// # Errors
/// `NotFound` when a data file of `target` is gone, `Conflict` when anyone changed the table since `snapshot`.
pub async fn restore(snapshot: &Arc<Snapshot>, committer: &dyn Committer, target: &Snapshot) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    let keys = |files: &Files| files.iter().map(|add| FileKey::of_add(&add)).collect::<HashSet<_>>();
    let (files, old_files) = (snapshot.files().await?, target.files().await?);
    let (now, then) = (keys(&files), keys(&old_files));
    let back: Vec<Arc<Add>> = old_files.iter().filter(|add| !now.contains(&FileKey::of_add(add))).collect();
    let gone: Vec<Arc<Add>> = files.iter().filter(|add| !then.contains(&FileKey::of_add(add))).collect();
    check_present(target, &back).await?;
    check_vectors_allowed(snapshot, &back)?;
    let now_ms = snapshot.clock().now_ms();
    let mut actions = Vec::new();
    if target.metadata() != snapshot.metadata() {
        actions.push(Action::Metadata(Box::new(target.metadata().clone())));
    }
    actions.extend(gone.iter().map(|add| Action::Remove(Box::new(Remove::of(add, now_ms, true)))));
    actions.extend(back.iter().map(|add| Action::Add(Box::new(Add { data_change: true, ..Add::clone(add) }))));
    let (added, removed) = (back.len() as u64, gone.len() as u64);
    let operation = Operation::new("RESTORE")
        .with("version", target.version())
        .counting("numRestoredFiles", added)
        .counting("numRemovedFiles", removed);
    let staged = Staged { operation, actions, reads: Reads::WholeTable };
    let outcome = transact(Base::On(Arc::clone(snapshot)), staged, committer).await?;
    Ok(report(outcome, &Written::default(), added, removed))
}

async fn check_present(target: &Snapshot, files: &[Arc<Add>]) -> Result<()> {
    let check = |add: Arc<Add>| async move {
        let vector = add.deletion_vector.as_ref().map(|vector| vector.log_path()).transpose()?.flatten();
        let wanted = [(Some(add.path.as_str()), "a data file"), (vector.as_deref(), "a file of deletion vectors")];
        for (log_path, what) in wanted {
            let Some(log_path) = log_path else { continue };
            let path = target.root().resolve(log_path)?;
            if target.root().head(&path).await?.is_none() {
                let message = format!("version {} can't be restored: {what} is gone", target.version());
                return Err(Error::not_found(message)
                    .with_object(target.root().name_of(&path))
                    .with_hint("nothing was changed; vacuum removes files that only old versions need"));
            }
        }
        Ok(())
    };
    stream::iter(files.to_vec()).map(check).buffer_unordered(16).try_collect().await
}

/// Files with deletion vectors may come back only while the protocol still tells readers to expect them.
fn check_vectors_allowed(snapshot: &Snapshot, files: &[Arc<Add>]) -> Result<()> {
    let lists = |features: &Option<Vec<String>>| features.iter().flatten().any(|name| name == "deletionVectors");
    let Some(add) = files.iter().find(|add| add.deletion_vector.is_some()) else { return Ok(()) };
    if lists(&snapshot.protocol().writer_features) {
        return Ok(());
    }
    Err(Error::unsupported("a file with deleted rows can't come back: the table no longer lists \"deletionVectors\"")
        .with_object(add.path.clone())
        .with_hint("nothing was changed; enable the table feature deletionVectors first"))
}
