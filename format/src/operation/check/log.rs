//! The log: its commits one after the other, and whether checkpoints and checksums agree with them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use futures::{StreamExt, TryStreamExt, stream};

use super::{CheckReport, Severity, is_finding};
use crate::action::columnar::{FileBatch, FileKind};
use crate::error::{Error, Result};
use crate::log::checkpoint::{FilesWanted, StatsWanted, read_head, read_hint, stream_files};
use crate::log::{FileLines, LogFile, LogPath, checkpoints, commit_name, list_log, read_checksum, stream_parts};
use crate::replay::{ByFingerprint, FileKey, Fingerprint};
use crate::store::{ObjectInfo, TableRoot};

/// Commits read at once.
const CONCURRENT_READS: usize = 16;
/// Files named one by one where two accounts differ.
const NAMED_FILES: usize = 3;

/// A commit of more bytes than these is read with at most one other.
const LARGE_BYTES: u64 = 4 << 20;

/// Live files and their sizes.
type Live = ByFingerprint<i64>;

/// What a commit does to them.
#[derive(Default)]
struct Effect {
    removed: Vec<Fingerprint>,
    added: Vec<(Fingerprint, i64)>,
}

pub(super) async fn check(root: &TableRoot, report: &mut CheckReport) -> Result<()> {
    let files = list_log(root, 0).await?;
    let of = |wanted: fn(&LogPath) -> bool| files.iter().filter(move |file| wanted(&file.meaning));
    let commits: BTreeSet<u64> =
        of(|path| matches!(path, LogPath::Commit { .. })).map(|file| file.meaning.version()).collect();
    let whole: BTreeMap<u64, Vec<Vec<ObjectInfo>>> = checkpoints(&files, u64::MAX).into_iter().fold(
        BTreeMap::new(),
        |mut all: BTreeMap<u64, Vec<Vec<ObjectInfo>>>, (version, parts)| {
            all.entry(version).or_default().push(parts);
            all
        },
    );
    if commits.is_empty() && whole.is_empty() {
        return Err(Error::not_found("no table here").with_object(root.display()));
    }
    let sums: BTreeMap<u64, &LogFile> =
        of(|path| matches!(path, LogPath::Checksum { .. })).map(|file| (file.meaning.version(), file)).collect();
    check_gaps(root, &commits, &whole, report);
    check_parts(root, &files, &whole, report);
    let first = commits.first().into_iter().chain(whole.keys()).min().copied().unwrap_or(0);
    let last = commits.last().into_iter().chain(whole.keys()).max().copied().unwrap_or(0);
    // Nothing is live before version 0; of a log that was cleaned up the first checkpoint tells.
    let mut live = (first == 0 && commits.contains(&0)).then(Live::default);
    let read = |version: u64| effect_of(root, version);
    let large = of(|path| matches!(path, LogPath::Commit { .. })).any(|file| file.object.size_bytes > LARGE_BYTES);
    let at_once = if large { 2 } else { CONCURRENT_READS };
    let mut effects = stream::iter(commits.iter().copied()).map(read).buffered(at_once);
    let versions: BTreeSet<u64> = commits.iter().chain(whole.keys()).copied().collect();
    let mut previous: Option<u64> = None;
    for version in versions {
        if previous.is_some_and(|before| before + 1 != version) {
            live = None;
        }
        previous = Some(version);
        if commits.contains(&version)
            && let Some(effect) = effects.next().await
        {
            live = take(root, effect, live, report)?;
        }
        for parts in whole.get(&version).into_iter().flatten() {
            live = check_checkpoint(root, version, parts, live, report).await?;
        }
        if let Some(sum) = sums.get(&version) {
            check_checksum(root, sum, live.as_ref(), report).await;
        }
    }
    check_hint(root, &whole, last, report).await;
    Ok(())
}

/// Versions that are missing. Below a checkpoint they are history alone.
fn check_gaps(
    root: &TableRoot,
    commits: &BTreeSet<u64>,
    whole: &BTreeMap<u64, Vec<Vec<ObjectInfo>>>,
    report: &mut CheckReport,
) {
    let newest = whole.keys().next_back().copied();
    let (Some(&first), Some(&last)) = (commits.first(), commits.last()) else { return };
    if let Some(at) = newest.filter(|at| *at > last) {
        report.add(
            Severity::Warning,
            "gap",
            root.display(),
            format!("the commits between {last} and the checkpoint of version {at} are missing"),
        );
    }
    if first > 0 && !whole.keys().any(|at| at + 1 >= first) {
        let message = format!("the log begins with version {first}, and no checkpoint stands for what was before");
        report.damage("gap", root.display(), message);
    }
    let mut expected = first;
    for &version in commits {
        if version > expected {
            let until = version - 1;
            let which = if until == expected {
                format!("version {expected} is")
            } else {
                format!("versions {expected} to {until} are")
            };
            // A checkpoint at or above the hole has what its commits did.
            match newest.is_some_and(|at| at >= until) {
                true => {
                    report.add(Severity::Warning, "gap", root.display(), format!("{which} missing below a checkpoint"))
                }
                false => report.damage("gap", root.display(), format!("{which} missing")),
            }
        }
        expected = version + 1;
    }
}

/// Checkpoints of several parts of which one is missing.
fn check_parts(
    root: &TableRoot,
    files: &[LogFile],
    whole: &BTreeMap<u64, Vec<Vec<ObjectInfo>>>,
    report: &mut CheckReport,
) {
    let complete: BTreeSet<&str> = whole.values().flatten().flatten().map(|part| part.path.as_ref()).collect();
    let incomplete: BTreeSet<u64> = files
        .iter()
        .filter(|file| {
            matches!(file.meaning, LogPath::CheckpointPart { .. }) && !complete.contains(file.object.path.as_ref())
        })
        .map(|file| file.meaning.version())
        .collect();
    for version in incomplete {
        let message = format!("the checkpoint of version {version} lacks a part, and is passed over");
        report.add(Severity::Warning, "checkpoint", root.display(), message);
    }
}

async fn effect_of(root: &TableRoot, version: u64) -> Result<Effect> {
    let path = root.child(&commit_name(version))?;
    let mut effect = Effect::default();
    let mut parts = stream_parts(root, &path, version, FileLines::Bare);
    while let Some(part) = parts.try_next().await? {
        let batches = part.changes.adds().iter();
        let mut sizes = batches.flat_map(|batch| (0..batch.len()).map(|row| batch.size(row).unwrap_or_default()));
        for &(key, kind) in part.changes.keys() {
            match kind {
                FileKind::Add => effect.added.push((key, sizes.next().unwrap_or_default())),
                FileKind::Remove => effect.removed.push(key),
            }
        }
    }
    Ok(effect)
}

/// Applies a commit to what is live; `None` when that is not known, or the commit can't be read.
fn take(
    root: &TableRoot,
    effect: Result<Effect>,
    live: Option<Live>,
    report: &mut CheckReport,
) -> Result<Option<Live>> {
    report.commits += 1;
    let effect = match effect {
        Ok(effect) => effect,
        Err(error) if is_finding(&error) => {
            report.damage("commit", error.object().unwrap_or(&root.display()), error.message());
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let Some(mut live) = live else { return Ok(None) };
    for key in &effect.removed {
        live.remove(key);
    }
    live.extend(effect.added);
    Ok(Some(live))
}

/// Whether a checkpoint can be read, and says what its commits say.
async fn check_checkpoint(
    root: &TableRoot,
    version: u64,
    parts: &[ObjectInfo],
    live: Option<Live>,
    report: &mut CheckReport,
) -> Result<Option<Live>> {
    report.checkpoints += 1;
    let name = parts.first().map(|part| root.name_of(&part.path)).unwrap_or_default();
    let listed = match files_of(root, parts).await {
        Ok(listed) => listed,
        Err(error) if is_finding(&error) => {
            report.damage("checkpoint", error.object().unwrap_or(&name), format!("it can't be read: {error}"));
            return Ok(live);
        }
        Err(error) => return Err(error),
    };
    let told = read_hint(root).await.filter(|hint| hint.version == version).and_then(|hint| hint.num_of_add_files);
    if told.is_some_and(|told| told != listed.len() as u64) {
        let message = format!("it lists {} files, and the hint says {}", listed.len(), told.unwrap_or(0));
        report.damage("checkpoint", name.clone(), message);
    }
    let Some(live) = live else { return Ok(Some(listed)) };
    let differing = |a: &Live, b: &Live| a.keys().filter(|key| !b.contains_key(key)).copied().collect::<HashSet<_>>();
    for (keys, what) in [
        (differing(&live, &listed), "lacks files that the commits up to it have"),
        (differing(&listed, &live), "lists files that the commits up to it do not have"),
    ] {
        if !keys.is_empty() {
            let shown = names_of(root, version, parts, &keys).await.into_iter().collect::<Vec<_>>().join(", ");
            let message = format!("the checkpoint of version {version} {what}: {} of them, as {shown}", keys.len());
            report.damage("checkpoint", name.clone(), message);
        }
    }
    Ok(Some(live))
}

async fn files_of(root: &TableRoot, parts: &[ObjectInfo]) -> Result<Live> {
    let head = read_head(root, parts).await?;
    let (mut live, home) = (Live::default(), root.home());
    for source in &head.sources {
        let mut batches = stream_files(root, source, &FilesWanted::adds().with_stats(StatsWanted::None));
        while let Some(batch) = batches.try_next().await? {
            for row in 0..batch.len() {
                let key = Fingerprint::of(batch.path(row), batch.vector_id(row).as_deref(), &home);
                if live.insert(key, batch.size(row).unwrap_or_default()).is_some() {
                    // Its rows would be read twice.
                    return Err(Error::corrupt("a checkpoint lists a file twice").with_object(batch.path(row)));
                }
            }
        }
    }
    Ok(live)
}

/// The first few names of such files, in order, wherever the log up to a checkpoint has them: in the checkpoint, in a
/// commit, in an older checkpoint. What can't be read is passed over.
async fn names_of(
    root: &TableRoot,
    version: u64,
    parts: &[ObjectInfo],
    keys: &HashSet<Fingerprint>,
) -> BTreeSet<String> {
    let (mut names, home) = (BTreeSet::new(), root.home());
    let mut note = |batch: &FileBatch| {
        for row in 0..batch.len() {
            if keys.contains(&Fingerprint::of(batch.path(row), batch.vector_id(row).as_deref(), &home)) {
                names.insert(FileKey::of_add(&batch.add_without_stats(row), &home).path().to_owned());
                if names.len() > NAMED_FILES {
                    names.pop_last();
                }
            }
        }
    };
    let files = list_log(root, 0).await.unwrap_or_default();
    let older = checkpoints(&files, version).into_iter().map(|(_, parts)| parts);
    for parts in std::iter::once(parts.to_vec()).chain(older) {
        let sources = read_head(root, &parts).await.map(|head| head.sources).unwrap_or_default();
        for source in &sources {
            let mut batches = stream_files(root, source, &FilesWanted::adds().with_stats(StatsWanted::None));
            while let Ok(Some(batch)) = batches.try_next().await {
                note(&batch);
            }
        }
    }
    for file in files.iter().filter(|file| file.meaning.version() <= version) {
        if let LogPath::Commit { version } = file.meaning {
            let mut commit = stream_parts(root, &file.object.path, version, FileLines::Bare);
            while let Ok(Some(part)) = commit.try_next().await {
                part.changes.adds().iter().for_each(&mut note);
            }
        }
    }
    names
}

/// Whether a checksum can be read, and has the files' number and size.
async fn check_checksum(root: &TableRoot, file: &LogFile, live: Option<&Live>, report: &mut CheckReport) {
    report.checksums += 1;
    let name = root.name_of(&file.object.path);
    let Some(sum) = read_checksum(root, &file.object).await else {
        report.add(Severity::Warning, "checksum", name, "it can't be read, and is passed over");
        return;
    };
    let Some(live) = live else { return };
    let size: i64 = live.values().fold(0, |sum, size| sum.saturating_add(*size));
    let told = [("files", sum.num_files, live.len() as i64), ("bytes", sum.table_size_bytes, size)];
    for (what, said, found) in told.into_iter().filter(|(_, said, found)| said != found) {
        report.damage("checksum", name.clone(), format!("it says {said} {what}, and the log has {found}"));
    }
}

/// Whether the hint leads to a checkpoint.
async fn check_hint(
    root: &TableRoot,
    whole: &BTreeMap<u64, Vec<Vec<ObjectInfo>>>,
    last: u64,
    report: &mut CheckReport,
) {
    let Ok(path) = root.child("_delta_log/_last_checkpoint") else { return };
    let name = root.name_of(&path);
    match (read_hint(root).await, root.head(&path).await) {
        (Some(hint), _) if !whole.contains_key(&hint.version) => {
            let message = format!("it points to version {}, which has no checkpoint", hint.version);
            report.add(Severity::Warning, "hint", name, message);
        }
        (Some(hint), _) if hint.version > last => {
            report.add(Severity::Warning, "hint", name, "it points beyond the newest version");
        }
        (None, Ok(Some(_))) => report.add(Severity::Warning, "hint", name, "it can't be read, and is passed over"),
        _ => {}
    }
}
