//! Which files make up a version: the listing, cut into a segment.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoint::Hint;
use super::path::LogPath;
use crate::error::{Error, Result};
use crate::store::{ObjectInfo, TableRoot};

/// So many versions below an older one its checkpoint is looked for first.
const NEAR: u64 = 256;

/// A file of the log with its meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// What the name says.
    pub meaning: LogPath,
    /// Where it is.
    pub object: ObjectInfo,
}

/// The files that give one version: a checkpoint, if any, and every commit after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSegment {
    /// The version.
    pub version: u64,
    /// Version and files of the checkpoint to start from. A V2 checkpoint counts with its main file alone.
    pub checkpoint: Option<(u64, Vec<ObjectInfo>)>,
    /// What is above the checkpoint, oldest first, without a gap.
    pub tail: Vec<TailFile>,
    /// Newest checksum file above the checkpoint.
    pub checksum: Option<(u64, ObjectInfo)>,
    /// The newest commit's file, also where the checkpoint covers it.
    pub head: Option<ObjectInfo>,
    /// Files that the checkpoint lists, by the hint.
    pub told_files: Option<u64>,
}

/// A commit, or several made into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TailFile {
    /// The first version.
    pub from: u64,
    /// The last version: the same, for a commit.
    pub to: u64,
    /// The file.
    pub object: ObjectInfo,
}

/// Lists the log from version `from` on, by name. Only the log directory itself is read.
///
/// # Errors
/// `Denied` or `Unavailable` by the store.
pub async fn list_log(root: &TableRoot, from: u64) -> Result<Vec<LogFile>> {
    list_versions(root, from, None).await
}

/// As [`list_log`], up to version `to`.
async fn list_versions(root: &TableRoot, from: u64, to: Option<u64>) -> Result<Vec<LogFile>> {
    let below = to.and_then(|to| to.checked_add(1)).map(|below| format!("{below:020}"));
    // The name before `<from>.` is a key that sorts right there.
    let listed = root.list_names("_delta_log", &format!("{from:020}"), below.as_deref()).await?;
    let of_log = |object: ObjectInfo| Some(LogFile { meaning: LogPath::parse(object.path.filename()?)?, object });
    let mut files: Vec<LogFile> = listed.into_iter().filter_map(of_log).collect();
    files.retain(|file| file.meaning.version() >= from);
    files.sort_by(|a, b| a.object.path.cmp(&b.object.path));
    Ok(files)
}

/// Complete checkpoints among `files` at or below `at`, newest first; at one version those of the feature `v2Checkpoint`
/// first, then the multi-part ones.
pub fn checkpoints(files: &[LogFile], at: u64) -> Vec<(u64, Vec<ObjectInfo>)> {
    type Rank<'a> = (u64, u32, &'a str);
    let mut parts: BTreeMap<Rank<'_>, BTreeMap<u32, ObjectInfo>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.meaning.version() <= at) {
        let (rank, part) = match file.meaning {
            // A classic file sorts below a multi-part set of one: rank 0 keeps them apart.
            LogPath::Checkpoint { version } => ((version, 0, ""), 1),
            LogPath::CheckpointPart { version, part, parts } => ((version, parts, ""), part),
            LogPath::UuidCheckpoint { version } => ((version, u32::MAX, file.object.path.as_ref()), 1),
            _ => continue,
        };
        parts.entry(rank).or_default().insert(part, file.object.clone());
    }
    let complete = |((version, rank, name), parts): (Rank<'_>, BTreeMap<u32, ObjectInfo>)| {
        let wanted = if name.is_empty() { rank.max(1) as usize } else { 1 };
        (parts.len() == wanted).then(|| (version, parts.into_values().collect()))
    };
    parts.into_iter().rev().filter_map(complete).collect()
}

/// Whether the commit of `version` belongs to the log that `files` lists from the version before it on: what it stands on is
/// there, and no version above it is missing. Where log clean-up has freed a name, a late writer can create it again; such
/// a file is no version of the table (COM-14).
pub fn is_linked(files: &[LogFile], version: u64) -> bool {
    let holds = |file: &&LogFile| matches!(file.meaning, LogPath::Commit { .. }) || file.meaning.is_checkpoint();
    let held: BTreeSet<u64> = files.iter().filter(holds).map(|file| file.meaning.version()).collect();
    if version > 0 && !held.contains(&(version - 1)) {
        return false;
    }
    let above = held.range(version + 1..).copied();
    (version + 1..).zip(above).all(|(expected, found)| expected == found)
}

/// The commits of a listing, by version, and what stands in for missing ones.
#[derive(Debug, Default)]
struct Commits {
    single: BTreeMap<u64, ObjectInfo>,
    compacted: BTreeMap<u64, (u64, ObjectInfo)>,
    checksums: BTreeMap<u64, ObjectInfo>,
}

impl Commits {
    fn of(files: &[LogFile]) -> Self {
        let mut commits = Self::default();
        for LogFile { meaning, object } in files {
            match *meaning {
                LogPath::Commit { version } => {
                    commits.single.insert(version, object.clone());
                }
                LogPath::Checksum { version } => {
                    commits.checksums.insert(version, object.clone());
                }
                LogPath::Compacted { from, to } => {
                    let longest = commits.compacted.entry(from).or_insert_with(|| (to, object.clone()));
                    if to > longest.0 {
                        *longest = (to, object.clone());
                    }
                }
                _ => {}
            }
        }
        commits
    }

    /// `from..=to` without a gap. Commits themselves come first: a compacted file stands in only where they are gone,
    /// since some writers' ones forget that a domain was removed.
    fn between(&self, from: u64, to: u64) -> Option<Vec<TailFile>> {
        let (mut tail, mut next) = (Vec::new(), from);
        while next <= to {
            let file = match (self.single.get(&next), self.compacted.get(&next)) {
                (Some(commit), _) => TailFile { from: next, to: next, object: commit.clone() },
                (None, Some((last, object))) if *last <= to => {
                    TailFile { from: next, to: *last, object: object.clone() }
                }
                _ => return None,
            };
            next = file.to + 1;
            tail.push(file);
        }
        Some(tail)
    }
}

/// The ways to build one version, best first: each complete checkpoint in turn, then the commits alone (LOG-5). Each is
/// put together when it is asked for: of thousands the first one serves.
#[derive(Debug)]
pub struct Candidates {
    version: u64,
    commits: Commits,
    checkpoints: std::vec::IntoIter<(u64, Vec<ObjectInfo>)>,
    /// Whether the commits alone are still to come.
    alone: bool,
    first: Option<LogSegment>,
    hint: Option<Hint>,
}

impl Candidates {
    fn build(&mut self) -> Option<LogSegment> {
        for (from, parts) in self.checkpoints.by_ref() {
            let found = LogSegment::between(&self.commits, Some((from, parts)), self.version);
            if found.is_some() {
                return found;
            }
        }
        let alone = std::mem::replace(&mut self.alone, false);
        alone.then(|| LogSegment::between(&self.commits, None, self.version)).flatten()
    }
}

impl Iterator for Candidates {
    type Item = LogSegment;

    fn next(&mut self) -> Option<LogSegment> {
        let found = match self.first.take() {
            Some(first) => first,
            None => self.build()?,
        };
        let from = found.checkpoint.as_ref().map(|(version, _)| *version);
        let hint = self.hint.as_ref().filter(|hint| Some(hint.version) == from);
        let told_files = hint.and_then(|hint| hint.num_of_add_files);
        Some(LogSegment { told_files, ..found })
    }
}

impl LogSegment {
    /// The ways to build version `at` (the newest when `None`) from a listing: at least one.
    ///
    /// # Errors
    /// `NotFound` when there is no table or no such version, `Corrupt` for a gap that no checkpoint bridges.
    pub fn candidates(root: &TableRoot, files: &[LogFile], at: Option<u64>) -> Result<Candidates> {
        let commits = Commits::of(files);
        let newest_checkpoint = checkpoints(files, u64::MAX).first().map(|(version, _)| *version);
        let newest = commits.single.keys().next_back().copied().max(newest_checkpoint);
        let Some(newest) = newest else {
            let error = Error::not_found("no table here").with_object(root.display());
            return Err(error.with_hint("create one with `lake create`"));
        };
        let version = at.unwrap_or(newest);
        if version > newest {
            return Err(Error::not_found(format!("the table has no version {version}; its newest is {newest}"))
                .with_object(root.display()));
        }
        let checkpoints = checkpoints(files, version).into_iter();
        let mut found = Candidates { version, commits, checkpoints, alone: true, first: None, hint: None };
        found.first = found.build();
        match found.first {
            Some(_) => Ok(found),
            None => Err(gap(root, &found.commits.single, newest_checkpoint, version)),
        }
    }

    fn between(commits: &Commits, checkpoint: Option<(u64, Vec<ObjectInfo>)>, version: u64) -> Option<Self> {
        let first = checkpoint.as_ref().map_or(0, |(at, _)| at + 1);
        let tail = commits.between(first, version)?;
        let checksum = commits.checksums.range(first.min(version)..=version).next_back();
        let checksum = checksum.map(|(&at, object)| (at, object.clone()));
        let head = commits.single.get(&version).cloned();
        Some(Self { version, checkpoint, tail, checksum, head, told_files: None })
    }

    /// Lists and cuts: where a checkpoint near serves, only from there on. That is the one of the hint, and of an older
    /// version one not far below it.
    ///
    /// # Errors
    /// As [`list_log`] and [`LogSegment::candidates`].
    pub async fn find(root: &TableRoot, hint: Option<&Hint>, at: Option<u64>) -> Result<Candidates> {
        let near = match (hint, at) {
            (Some(hint), Some(version)) if hint.version > version => {
                Some((version.saturating_sub(NEAR), Some(version)))
            }
            (Some(hint), _) => Some((hint.version, None)),
            (None, _) => None,
        };
        if let Some((from, to)) = near {
            let files = list_versions(root, from, to).await?;
            if let Ok(mut found) = Self::candidates(root, &files, at)
                && found.first.as_ref().is_some_and(|first| first.checkpoint.is_some())
            {
                found.alone = false;
                found.hint = hint.cloned();
                return Ok(found);
            }
        }
        Self::find_all(root, at).await
    }

    /// Lists and cuts the whole log.
    ///
    /// # Errors
    /// As [`LogSegment::find`].
    pub async fn find_all(root: &TableRoot, at: Option<u64>) -> Result<Candidates> {
        Self::candidates(root, &list_log(root, 0).await?, at)
    }
}

fn gap(root: &TableRoot, commits: &BTreeMap<u64, ObjectInfo>, checkpoint: Option<u64>, version: u64) -> Error {
    let first = commits.keys().next().copied().unwrap_or(0);
    let missing = (first..=version).find(|v| !commits.contains_key(v));
    match missing {
        Some(missing) => Error::corrupt(format!("the log has a gap: version {missing} is missing below {version}"))
            .with_object(root.display())
            .with_hint("nothing was read; restore the missing commit file from a backup of the bucket"),
        // Commits below `first` were cleaned up, and the checkpoint that replaced them is not at or below `version`.
        None => {
            let reach = checkpoint.filter(|&at| at > version);
            let message = match reach {
                Some(at) => format!("version {version} can't be rebuilt: its log was cleaned up; the oldest is {at}"),
                None => format!("the log starts at version {first} without a checkpoint"),
            };
            let kind = if reach.is_some() { Error::not_found(message) } else { Error::corrupt(message) };
            kind.with_object(root.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn root() -> TableRoot {
        TableRoot::in_memory("t").expect("root")
    }

    fn listing(names: &[&str]) -> Vec<LogFile> {
        let file = |name: &&str| LogFile {
            meaning: LogPath::parse(name).expect("a log name"),
            object: ObjectInfo {
                path: root().child(&format!("_delta_log/{name}")).expect("path"),
                size_bytes: 1,
                modified_ms: 0,
            },
        };
        names.iter().map(file).collect()
    }

    fn commits(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
        range.map(|v| format!("{v:020}.json")).collect()
    }

    fn find(names: &[String], at: Option<u64>) -> Result<Vec<LogSegment>> {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        LogSegment::candidates(&root(), &listing(&names), at).map(Iterator::collect)
    }

    #[test]
    fn the_newest_complete_checkpoint_comes_first_and_the_plain_log_last() {
        let mut names = commits(0..=5);
        names.push(format!("{:020}.checkpoint.parquet", 2));
        names.push(format!("{:020}.checkpoint.0000000001.0000000002.parquet", 4));
        let found = find(&names, None).expect("LOG-5");
        let starts: Vec<_> = found.iter().map(|s| s.checkpoint.as_ref().map(|(v, _)| *v)).collect();
        assert_eq!(starts, [Some(2), None], "half a checkpoint is none");
        assert_eq!(found[0].tail.iter().map(|file| file.to).collect::<Vec<_>>(), [3, 4, 5]);
        names.push(format!("{:020}.checkpoint.0000000002.0000000002.parquet", 4));
        assert_eq!(find(&names, None).expect("whole")[0].checkpoint.as_ref().map(|(v, p)| (*v, p.len())), Some((4, 2)));
        assert_eq!(find(&names, Some(3)).expect("at 3")[0].checkpoint.as_ref().map(|(v, _)| *v), Some(2));
    }

    #[test]
    fn a_gap_is_corrupt_unless_a_checkpoint_bridges_it() {
        let mut names = commits(0..=1);
        names.extend(commits(3..=4));
        let error = find(&names, None).expect_err("LOG-5");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.message().contains("version 2 is missing"), "{error}");
        assert_eq!(find(&names, Some(1)).expect("below the gap").len(), 1);
        names.push(format!("{:020}.checkpoint.parquet", 2));
        assert_eq!(find(&names, None).expect("bridged")[0].version, 4);
        assert_eq!(find(&commits(3..=4), None).expect_err("no start").kind(), ErrorKind::Corrupt);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        assert_eq!(find(&[], None).expect_err("no table").kind(), ErrorKind::NotFound);
        assert_eq!(find(&commits(0..=1), Some(2)).expect_err("no version").kind(), ErrorKind::NotFound);
        let mut cleaned = commits(5..=6);
        cleaned.push(format!("{:020}.checkpoint.parquet", 5));
        assert_eq!(find(&cleaned, Some(3)).expect_err("cleaned up").kind(), ErrorKind::NotFound);
    }
}
