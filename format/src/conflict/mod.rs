//! My commit against one that came first: rebase past it, or give up and say why. Pure.

mod protocol;
mod reads;

pub(crate) use reads::judge_file;
pub use reads::{ReadSet, Reads};

use std::collections::HashSet;

use crate::action::{Action, Add, CommitInfo, Metadata, Protocol};
use crate::error::{Error, Result};
use crate::planted::{Defect, planted};
use crate::protocol::{IsolationLevel, ROW_TRACKING_DOMAIN};
use crate::replay::{FileKey, Home};
use crate::schema::StructType;

/// A commit that wants to become the next version.
#[derive(Clone, Copy, Debug)]
pub struct Mine<'a> {
    /// Its actions.
    pub actions: &'a [Action],
    /// What was read to decide them.
    pub reads: &'a Reads,
}

/// The table that `winner` was committed to: what both commits stand on.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// Its protocol.
    pub protocol: &'a Protocol,
    /// Its description.
    pub metadata: &'a Metadata,
    /// Its columns, as the description gives them.
    pub schema: &'a StructType,
    /// The level that its properties ask for.
    pub isolation: IsolationLevel,
    /// What absolute paths of its files begin with.
    pub home: &'a Home,
}

/// Why a commit can't follow a winner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The rule of the conflict matrix.
    pub rule: &'static str,
    /// What the winner did, to stand after "came first and".
    pub what: String,
    /// The file, domain or application that both speak of.
    pub object: Option<String>,
}

/// The level that a commit runs at: a commit that only moves rows sees no more than the files that it replaces
/// (CON-3); every other one runs at the table's level.
pub fn isolation(mine: Mine<'_>, table: IsolationLevel) -> IsolationLevel {
    let only_moves = mine.actions.iter().all(|action| match action {
        Action::Add(add) => !add.data_change,
        Action::Remove(remove) => !remove.data_change,
        Action::Domain(domain) => domain.domain == ROW_TRACKING_DOMAIN,
        Action::CommitInfo(_) => true,
        Action::Metadata(_) | Action::Protocol(_) | Action::Txn(_) | Action::Cdc(_) => false,
    });
    let moves = mine.actions.iter().any(|action| matches!(action, Action::Add(_) | Action::Remove(_)));
    if only_moves && moves && *mine.reads == Reads::OwnFiles { IsolationLevel::Snapshot } else { table }
}

/// Whether a commit appends without having read any row, so that others need not mind it (CON-1).
pub fn is_blind_append(mine: Mine<'_>) -> bool {
    let adds =
        |action: &Action| matches!(action, Action::Add(_) | Action::Txn(_) | Action::Domain(_) | Action::CommitInfo(_));
    mine.reads.sees_no_rows() && mine.actions.iter().all(adds)
}

/// Whether `mine` may follow `winner`, which took version `version` of the table `ground` before it.
///
/// # Errors
/// `Conflict` naming the winner's version and operation, the rule, and what overlaps.
pub fn check(mine: Mine<'_>, ground: Ground<'_>, version: u64, winner: &[Action]) -> Result<()> {
    let Some(overlap) = overlap(mine, ground, winner) else { return Ok(()) };
    let operation = commit_info(winner).and_then(|info| info.operation.as_deref());
    let by = operation.map_or_else(String::new, |operation| format!(" ({operation})"));
    let error = Error::conflict(format!("version {version}{by} came first and {} ({})", overlap.what, overlap.rule))
        .with_hint("nothing was written by this operation; read the table again, then decide whether to repeat it");
    Err(match overlap.object {
        Some(object) => error.with_object(object),
        None => error,
    })
}

/// The first rule of the conflict matrix by which `mine` gives way to `winner`; `None` when it may be rebased.
pub fn overlap(mine: Mine<'_>, ground: Ground<'_>, winner: &[Action]) -> Option<Overlap> {
    let found = |rule, what: &str, object: Option<&str>| {
        Some(Overlap { rule, what: what.to_owned(), object: object.map(str::to_owned) })
    };
    let theirs = winner.iter().find_map(as_protocol);
    if let Some(theirs) = theirs
        && let Some(what) = protocol::clash(ground.protocol, mine.actions.iter().find_map(as_protocol), theirs)
    {
        return found("CON-9", &what, None);
    }
    if winner.iter().any(|action| matches!(action, Action::Metadata(_))) && !planted(Defect::SharedDescriptions) {
        return found("CON-5", "changed the table's schema or properties", None);
    }
    if let Some(domain) = shared_domain(mine.actions, winner)
        && !planted(Defect::SharedDomains)
    {
        return found("CON-6", "changed the same domain", Some(domain));
    }
    if let Some(app) = shared_app(mine, winner)
        && !planted(Defect::SharedApplications)
    {
        return found("CON-6", "wrote for the same application", Some(app));
    }
    if let Some(add) = added_where_read(mine, ground, winner)
        && !planted(Defect::UnseenAdds)
    {
        let rule = if *mine.reads == Reads::WholeTable { "CON-2" } else { "CON-7" };
        return found(rule, "added files to what was read", Some(&add.path));
    }
    let removed = || {
        winner.iter().filter_map(|action| match action {
            Action::Remove(remove) => Some((FileKey::of_remove(remove, ground.home), remove.path.as_str())),
            _ => None,
        })
    };
    if let Some((_, path)) = removed().find(|(key, _)| mine.reads.covers_file(key.path())) {
        let rule = if *mine.reads == Reads::WholeTable { "CON-2" } else { "CON-8" };
        return found(rule, "removed a file that was read", Some(path));
    }
    let my_removes: HashSet<String> =
        mine.actions.iter().filter_map(|action| removed_path(action, ground.home)).collect();
    let (_, path) = removed().find(|(key, _)| my_removes.contains(key.path()) && !planted(Defect::DoubleRemoves))?;
    found("CON-4", "removed a file that this operation replaces", Some(path))
}

/// A file that the winner added where `mine` had looked, if its level minds.
fn added_where_read<'w>(mine: Mine<'_>, ground: Ground<'_>, winner: &'w [Action]) -> Option<&'w Add> {
    let redefines = mine.actions.iter().any(|action| matches!(action, Action::Metadata(_)));
    // What a winner does not say of itself is not assumed in its favour (CON-10).
    let blind = || commit_info(winner).and_then(|info| info.is_blind_append) == Some(true);
    let minded = match isolation(mine, ground.isolation) {
        IsolationLevel::Snapshot => false,
        IsolationLevel::Serializable => true,
        IsolationLevel::WriteSerializable => redefines || !blind(),
    };
    let adds = winner.iter().filter_map(|action| match action {
        Action::Add(add) => Some(add.as_ref()),
        _ => None,
    });
    if minded { adds.into_iter().find(|add| mine.reads.may_hold(add, ground)) } else { None }
}

fn shared_domain<'w>(mine: &[Action], winner: &'w [Action]) -> Option<&'w str> {
    // The mark of row ids is taken from the winner and raised again (CON-6).
    let domains = |action: &Action, name: &str| matches!(action, Action::Domain(ours) if ours.domain == name);
    winner.iter().find_map(|action| match action {
        Action::Domain(theirs) if theirs.domain != ROW_TRACKING_DOMAIN => {
            mine.iter().any(|ours| domains(ours, &theirs.domain)).then_some(theirs.domain.as_str())
        }
        _ => None,
    })
}

fn shared_app<'w>(mine: Mine<'_>, winner: &'w [Action]) -> Option<&'w str> {
    let ours = |app: &str| {
        let writes = |action: &Action| matches!(action, Action::Txn(txn) if txn.app_id == app);
        mine.reads.covers_app(app) || mine.actions.iter().any(writes)
    };
    winner.iter().find_map(|action| match action {
        Action::Txn(theirs) if ours(&theirs.app_id) => Some(theirs.app_id.as_str()),
        _ => None,
    })
}

fn as_protocol(action: &Action) -> Option<&Protocol> {
    match action {
        Action::Protocol(protocol) => Some(protocol),
        _ => None,
    }
}

fn removed_path(action: &Action, home: &Home) -> Option<String> {
    match action {
        Action::Remove(remove) => Some(FileKey::of_remove(remove, home).path().to_owned()),
        _ => None,
    }
}

fn commit_info(actions: &[Action]) -> Option<&CommitInfo> {
    actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => Some(info.as_ref()),
        _ => None,
    })
}

#[cfg(test)]
mod tests;
