//! Rows that an engine found leave a table, and others come, in one commit: what update, merge and a delete by any SQL
//! condition end in.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::leave::{Leaving, check_changeable, leave_places};
use super::sequence::{self, AppTxn};
use super::{
    Input, Unchanged, WriteOutcome, add_actions, amended, check_judged, commit_written, context_on, discard,
    write_files,
};
use crate::action::DeletionVector;
use crate::error::Result;
use crate::expr::{EvaluatorRef, Predicate};
use crate::snapshot::Snapshot;
use crate::transaction::{Base, Committer, Operation, Staged, check_rows_may_leave};
use crate::write::Written;

/// Runs of places that are held before they are packed.
const MOST_RUNS: usize = 1 << 20;

/// Rows of a table by where they stand: data file, and place in it.
#[derive(Clone, Debug, Default)]
pub struct RowPlaces {
    files: BTreeMap<String, Places>,
}

#[derive(Clone, Debug, Default)]
struct Places {
    packed: DeletionVector,
    runs: Vec<Range<u64>>,
}

impl RowPlaces {
    /// Adds rows of the file that the log calls `path`; the first row of a file is 0.
    pub fn push(&mut self, path: &str, places: impl IntoIterator<Item = u64>) {
        if !self.files.contains_key(path) {
            self.files.insert(path.to_owned(), Places::default());
        }
        let Some(file) = self.files.get_mut(path) else { return };
        for place in places {
            match file.runs.last_mut() {
                Some(run) if run.end == place => run.end += 1,
                _ => file.runs.push(place..place.saturating_add(1)),
            }
        }
        if file.runs.len() >= MOST_RUNS {
            file.packed = file.packed.union(&DeletionVector::from_ranges(file.runs.drain(..)));
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.clone().packed().values().map(DeletionVector::len).sum()
    }

    fn packed(self) -> BTreeMap<String, DeletionVector> {
        let pack = |places: Places| places.packed.union(&DeletionVector::from_ranges(places.runs));
        self.files.into_iter().map(|(path, places)| (path, pack(places))).collect()
    }
}

/// What is done to the rows of a table.
#[derive(Clone, Debug)]
pub struct RowChange {
    /// Name, in the words of the protocol's other writers: `UPDATE`, `MERGE`.
    pub name: &'static str,
    /// Parameters of the operation, for the history.
    pub parameters: BTreeMap<String, serde_json::Value>,
    /// The rows that leave were looked for among those for which this can be true.
    pub looked_at: Predicate,
    /// Applied once (COM-11).
    pub txn: Option<AppTxn>,
    /// Works out the SQL expressions of the table's rules. Without it, a table that has any takes no new rows.
    pub evaluator: Option<EvaluatorRef>,
}

/// Writes the rows of `input`, if any, then takes out those that `places` tells once the input is at its end, in one
/// commit.
///
/// # Errors
/// As for a delete and an append. `Conflict` when another commit touched what was looked at: the caller looks again, on
/// the newest version.
pub async fn change_rows(
    snapshot: &Arc<Snapshot>,
    committer: &dyn Committer,
    change: RowChange,
    input: Option<Input>,
    places: impl FnOnce() -> Result<(RowPlaces, BTreeMap<&'static str, u64>)> + Send,
) -> Result<WriteOutcome> {
    snapshot.check_writable()?;
    if let Some(answer) = sequence::applied(snapshot, change.txn.as_ref())? {
        return Ok(answer);
    }
    let started_ms = snapshot.clock().now_ms();
    let mut written = Written::default();
    if let Some(input) = input {
        check_judged(snapshot, change.evaluator.as_ref())?;
        let mut context = context_on(snapshot, snapshot.schema());
        context.evaluator.clone_from(&change.evaluator);
        written = write_files(context, input).await?;
    }
    let rows = written.rows;
    let left = async {
        let (places, counts) = places()?;
        if !places.is_empty() {
            check_rows_may_leave(snapshot)?;
            if !written.adds.is_empty() {
                check_changeable(snapshot)?;
            }
        }
        let found = (&change.looked_at, places.packed());
        Ok((leave_places(snapshot, snapshot.schema(), found, &mut written).await?, counts))
    };
    let (leaving, counts) = match left.await {
        Ok(left) => left,
        Err(error) => {
            discard(snapshot.root(), &written).await;
            return Err(error);
        }
    };
    let nothing = leaving.files.is_empty() && leaving.marked.is_empty() && written.adds.is_empty();
    if nothing && change.txn.is_none() {
        return Ok(WriteOutcome::Unchanged(Unchanged::NoRows(Arc::clone(snapshot))));
    }
    written.rows = rows;
    let (files, deleted) = (leaving.files.len() as u64, leaving.rows);
    let (base, staged) = (Base::On(Arc::clone(snapshot)), stage(snapshot, &change, leaving, &written, counts));
    let outcome = commit_written(base, staged, committer, &written, started_ms, change.txn.as_ref()).await?;
    Ok(amended(outcome, |report| (report.files_removed, report.rows_deleted) = (files, deleted)))
}

fn stage(
    snapshot: &Snapshot,
    change: &RowChange,
    leaving: Leaving,
    written: &Written,
    counts: BTreeMap<&'static str, u64>,
) -> Staged {
    let now_ms = snapshot.clock().now_ms();
    let mut operation = leaving.counted(Operation::new(change.name), written);
    operation.parameters.clone_from(&change.parameters);
    for (name, count) in counts {
        operation = operation.counting(name, count);
    }
    let mut actions: Vec<_> = sequence::mark(change.txn.as_ref(), now_ms).into_iter().collect();
    actions.extend(leaving.actions(now_ms));
    actions.extend(add_actions(written));
    Staged { operation, actions, reads: leaving.reads }
}
