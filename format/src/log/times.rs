//! When versions were committed: the times of their files, made to rise, or those that the commits vouch for.

use super::commit::read_commit_info;
use crate::action::Action;
use crate::error::{Error, Result};
use crate::store::{ObjectInfo, TableRoot};

/// Where the versions of a table have their times from (LOG-9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timekeeping {
    /// From their files.
    #[default]
    Files,
    /// From the commits themselves, from a version on; all before it have those of their files.
    Commits {
        /// The first version with a time of its own.
        from_version: u64,
        /// That time, milliseconds since the epoch; the least there is when all versions have one.
        from_ms: i64,
    },
}

/// The time that a commit itself vouches for, if it does.
pub fn in_commit_ms(actions: &[Action]) -> Option<i64> {
    actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => info.in_commit_timestamp,
        _ => None,
    })
}

/// A later version is never earlier: at least one millisecond after its predecessor.
pub fn rising(modified_ms: i64, previous_ms: Option<i64>) -> i64 {
    previous_ms.map_or(modified_ms, |previous| modified_ms.max(previous.saturating_add(1)))
}

impl Timekeeping {
    /// The time of one version. `previous_ms` is that of the version before, where it is known.
    pub fn time_of(self, version: u64, actions: &[Action], modified_ms: i64, previous_ms: Option<i64>) -> i64 {
        let own_ms = match self {
            Self::Commits { from_version, .. } if version >= from_version => in_commit_ms(actions),
            _ => None,
        };
        own_ms.unwrap_or_else(|| rising(modified_ms, previous_ms))
    }

    /// The newest of `commits`, which are in order and without a gap, whose time is not after `at_ms`. Few commits are
    /// read where they have times of their own, none where they do not.
    ///
    /// # Errors
    /// `Corrupt` for a commit without the time that it must carry; the store's own.
    pub async fn newest_at(self, root: &TableRoot, commits: &[(u64, ObjectInfo)], at_ms: i64) -> Result<Option<u64>> {
        let (from_version, from_ms) = match self {
            Self::Files => return Ok(newest_by_file(commits, at_ms)),
            Self::Commits { from_version, from_ms } => (from_version, from_ms),
        };
        let split = commits.partition_point(|(version, _)| *version < from_version);
        if at_ms < from_ms {
            return Ok(newest_by_file(&commits[..split], at_ms));
        }
        // The first `low` are not after it, those from `high` on are.
        let (own, mut low) = (&commits[split..], 0);
        let mut high = own.len();
        while low < high {
            let middle = low + (high - low) / 2;
            let version = own[middle].0;
            if own_time(root, version).await? <= at_ms { low = middle + 1 } else { high = middle }
        }
        // None of them: only where clean-up has taken the version that the table's time begins with.
        Ok(low.checked_sub(1).map(|last| own[last].0))
    }
}

fn newest_by_file(commits: &[(u64, ObjectInfo)], at_ms: i64) -> Option<u64> {
    let (mut found, mut previous) = (None, None);
    for (version, object) in commits {
        let time = rising(object.modified_ms, previous);
        if time > at_ms {
            break;
        }
        (found, previous) = (Some(*version), Some(time));
    }
    found
}

async fn own_time(root: &TableRoot, version: u64) -> Result<i64> {
    let record = read_commit_info(root, version).await?;
    let record = record.ok_or_else(|| {
        Error::not_found(format!("commit {version} was listed but is gone"))
            .with_object(root.display())
            .with_hint("log clean-up may have run meanwhile; ask again")
    })?;
    in_commit_ms(&record.actions).ok_or_else(|| {
        Error::corrupt(format!("commit {version} lacks the time of its own that the table's commits carry"))
            .with_object(root.display())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::action::CommitInfo;
    use crate::log::path::commit_name;

    #[test]
    fn time_rises_even_when_files_were_copied() {
        assert_eq!(rising(50, None), 50);
        assert_eq!(rising(50, Some(80)), 81, "LOG-9");
        assert_eq!(rising(90, Some(80)), 90);
    }

    #[test]
    fn a_commit_s_own_time_counts_only_where_the_table_says_so() {
        let info = CommitInfo { in_commit_timestamp: Some(7), ..CommitInfo::default() };
        let actions = [Action::CommitInfo(Box::new(info))];
        let from = Timekeeping::Commits { from_version: 3, from_ms: 0 };
        assert_eq!(Timekeeping::Files.time_of(5, &actions, 90, Some(95)), 96, "LOG-9");
        assert_eq!(from.time_of(3, &actions, 90, Some(95)), 7, "LOG-9");
        assert_eq!(from.time_of(2, &actions, 90, None), 90, "LOG-9");
    }

    /// A log of which version `n` has the file time and, from `from` on, the own time given.
    async fn log(root: &TableRoot, times: &[(i64, i64)], from: usize) -> Vec<(u64, ObjectInfo)> {
        let mut commits = Vec::new();
        for (version, &(file_ms, own_ms)) in times.iter().enumerate() {
            let path = root.child(&commit_name(version as u64)).expect("path");
            let own = if version >= from { format!("\"inCommitTimestamp\":{own_ms}") } else { String::new() };
            root.put(&path, format!("{{\"commitInfo\":{{{own}}}}}\n").into()).await.expect("put");
            commits.push((version as u64, ObjectInfo { path, size_bytes: 1, modified_ms: file_ms }));
        }
        commits
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// LOG-9: halving finds what looking at every version finds.
        #[test]
        fn the_newest_at_a_time_is_found(
            files in prop::collection::vec(0_i64..40, 1..12),
            steps in prop::collection::vec(1_i64..6, 12),
            from in prop::option::of(0_usize..12),
            at in -1_i64..90,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            runtime.block_on(async {
                let root = TableRoot::in_memory("t").expect("root");
                let mut own = 40;
                let times: Vec<(i64, i64)> = files.iter().zip(&steps).map(|(&file, &step)| {
                    own += step;
                    (file, own)
                }).collect();
                let from = from.filter(|&from| from < times.len());
                let commits = log(&root, &times, from.unwrap_or(usize::MAX)).await;
                let keeping = match from {
                    None => Timekeeping::Files,
                    Some(0) => Timekeeping::Commits { from_version: 0, from_ms: i64::MIN },
                    Some(from) => Timekeeping::Commits { from_version: from as u64, from_ms: times[from].1 },
                };
                let (mut wanted, mut previous) = (None, None);
                for (version, &(file, own)) in times.iter().enumerate() {
                    let own_kept = from.is_some_and(|from| version >= from);
                    // Where the table's own time has not begun at that time, only versions before it count.
                    let begun = from.is_none_or(|from| from == 0 || at >= times[from].1);
                    let time = if own_kept { own } else { rising(file, previous) };
                    if own_kept && !begun {
                        break;
                    }
                    previous = Some(time);
                    if time <= at && (own_kept || from.is_none() || !begun) {
                        wanted = Some(version as u64);
                    }
                }
                prop_assert_eq!(keeping.newest_at(&root, &commits, at).await.expect("found"), wanted);
                Ok(())
            })?;
        }
    }
}
