//! My commit against one that came first: rebase past it, or give up and say why. Pure.

use std::collections::HashSet;

use crate::action::Action;
use crate::error::{Error, Result};
use crate::replay::FileKey;

/// What a commit read to decide what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Nothing but schema and protocol: a blind append.
    Nothing,
    /// Only the files that it removes, whose rows it keeps: compaction.
    OwnFiles,
    /// Every file of the table.
    WholeTable,
}

/// Whether a commit with `mine` that read `reads` may follow `winner`, which took version `version` first.
///
/// The rules are those of the conflict matrix (CON-1 to CON-6), isolation level Serializable, and Snapshot
/// for layout-only commits.
///
/// # Errors
/// `Conflict` naming the winner's version and operation, and what overlaps.
pub fn check(mine: &[Action], reads: Reads, version: u64, winner: &[Action]) -> Result<()> {
    let refuse = |what: &str, object: Option<&str>| {
        let by = operation_of(winner);
        let error = Error::conflict(format!("version {version}{by} came first and {what}"))
            .with_hint("nothing was written by this operation; read the table again, then decide whether to repeat it");
        Err(match object {
            Some(object) => error.with_object(object),
            None => error,
        })
    };
    let my_removes: HashSet<FileKey> = mine.iter().filter_map(removed_key).collect();
    let my_removed_paths: HashSet<&str> = my_removes.iter().map(FileKey::path).collect();
    for action in winner {
        match action {
            Action::Protocol(_) => return refuse("changed the protocol", None),
            Action::Metadata(_) => return refuse("changed the table's schema or properties", None),
            Action::Domain(theirs) => {
                let same = |a: &Action| matches!(a, Action::Domain(ours) if ours.domain == theirs.domain);
                if mine.iter().any(same) {
                    return refuse("changed the same domain", Some(&theirs.domain));
                }
            }
            Action::Txn(theirs) => {
                let same = |a: &Action| matches!(a, Action::Txn(ours) if ours.app_id == theirs.app_id);
                if mine.iter().any(same) {
                    return refuse("wrote for the same application", Some(&theirs.app_id));
                }
            }
            Action::Add(add) if reads == Reads::WholeTable => {
                return refuse("added files to the table that was read", Some(&add.path));
            }
            Action::Remove(remove) => {
                let key = FileKey::of_remove(remove);
                if my_removed_paths.contains(key.path()) {
                    return refuse("removed a file that this operation replaces", Some(&remove.path));
                }
                if reads == Reads::WholeTable {
                    return refuse("removed a file that was read", Some(&remove.path));
                }
            }
            Action::Add(_) | Action::Cdc(_) | Action::CommitInfo(_) => {}
        }
    }
    Ok(())
}

fn removed_key(action: &Action) -> Option<FileKey> {
    match action {
        Action::Remove(remove) => Some(FileKey::of_remove(remove)),
        _ => None,
    }
}

fn operation_of(actions: &[Action]) -> String {
    let info = |action: &Action| match action {
        Action::CommitInfo(info) => info.operation.clone(),
        _ => None,
    };
    actions.iter().find_map(info).map_or_else(String::new, |operation| format!(" ({operation})"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::{Add, CommitInfo, DeletionVectorDescriptor, DomainMetadata, Metadata, Protocol, Remove, Txn};
    use crate::error::ErrorKind;

    fn add(path: &str) -> Action {
        Action::Add(Box::new(Add { path: path.into(), ..Add::default() }))
    }

    fn remove(path: &str) -> Action {
        Action::Remove(Box::new(Remove { path: path.into(), ..Remove::default() }))
    }

    fn txn(app: &str) -> Action {
        Action::Txn(Txn { app_id: app.into(), version: 1, last_updated: None })
    }

    fn domain(name: &str) -> Action {
        Action::Domain(DomainMetadata { domain: name.into(), ..DomainMetadata::default() })
    }

    #[test]
    fn the_matrix() {
        use Reads::{Nothing, OwnFiles, WholeTable};
        let metadata = || Action::Metadata(Box::<Metadata>::default());
        type Case = (&'static str, Vec<Action>, Reads, Vec<Action>, bool);
        let cases: Vec<Case> = vec![
            ("CON-1 append, append", vec![add("a")], Nothing, vec![add("b")], true),
            ("CON-1 append, overwrite", vec![add("a")], Nothing, vec![remove("x"), add("b")], true),
            ("CON-2 overwrite, append", vec![remove("x"), add("a")], WholeTable, vec![add("b")], false),
            ("CON-2 overwrite, overwrite", vec![remove("x")], WholeTable, vec![remove("x"), add("b")], false),
            ("CON-3 compaction, append", vec![remove("x"), add("a")], OwnFiles, vec![add("b")], true),
            ("CON-3 compaction, other compaction", vec![remove("x")], OwnFiles, vec![remove("y"), add("b")], true),
            ("CON-4 compaction, same file", vec![remove("x")], OwnFiles, vec![remove("x")], false),
            ("CON-5 append, metadata", vec![add("a")], Nothing, vec![metadata()], false),
            ("CON-5 append, protocol", vec![add("a")], Nothing, vec![Action::Protocol(Protocol::default())], false),
            ("CON-6 same application", vec![add("a"), txn("s")], Nothing, vec![add("b"), txn("s")], false),
            ("CON-6 other application", vec![add("a"), txn("s")], Nothing, vec![add("b"), txn("t")], true),
            ("CON-6 same domain", vec![domain("d")], Nothing, vec![domain("d")], false),
            ("CON-6 other domain", vec![domain("d")], Nothing, vec![domain("e")], true),
        ];
        for (name, mine, reads, winner, passes) in cases {
            let verdict = check(&mine, reads, 7, &winner);
            assert_eq!(verdict.is_ok(), passes, "{name}: {verdict:?}");
            if let Err(error) = verdict {
                assert_eq!(error.kind(), ErrorKind::Conflict);
                assert!(error.message().contains("version 7"), "{error}");
            }
        }
    }

    #[test]
    fn a_file_is_the_same_whatever_its_deletion_vector() {
        let vector = DeletionVectorDescriptor { storage_type: "u".into(), ..DeletionVectorDescriptor::default() };
        let theirs = Remove { path: "x".into(), deletion_vector: Some(vector), ..Remove::default() };
        let verdict = check(&[remove("x")], Reads::OwnFiles, 1, &[Action::Remove(Box::new(theirs))]);
        assert_eq!(verdict.expect_err("CON-4").kind(), ErrorKind::Conflict);
    }

    #[test]
    fn the_winner_is_named() {
        let info = CommitInfo { operation: Some("DELETE".into()), ..CommitInfo::default() };
        let winner = [Action::CommitInfo(Box::new(info)), remove("x")];
        let error = check(&[remove("x")], Reads::WholeTable, 3, &winner).expect_err("conflict");
        assert!(error.message().contains("version 3 (DELETE)"), "{error}");
        assert_eq!(error.object(), Some("x"));
    }
}
