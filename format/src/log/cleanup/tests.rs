//! Logs of every shape, before and after clean-up.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::error::ErrorKind;
use crate::log::list_log;
use crate::log::path::{checkpoint_name, commit_name};
use crate::log::{LogFile, LogSegment};
use crate::snapshot::{At, Snapshot};
use crate::store::StoreOptions;

const NOW: i64 = 1_000 * DAY_MS + 12 * 60 * 60 * 1000;

fn root() -> TableRoot {
    TableRoot::in_memory("t").expect("root")
}

fn object(name: &str, age_days: i64) -> ObjectInfo {
    let path = root().child(&format!("_delta_log/{name}")).expect("path");
    ObjectInfo { path, size_bytes: 1, modified_ms: NOW - age_days * DAY_MS }
}

fn names(objects: &[ObjectInfo]) -> Vec<String> {
    let short = |object: &ObjectInfo| {
        object.path.filename().unwrap_or_default().trim_start_matches('0').trim_start_matches('.').to_owned()
    };
    objects.iter().map(short).collect()
}

fn v(version: u64, rest: &str) -> String {
    format!("{version:020}.{rest}")
}

fn log_of(files: &[(String, i64)]) -> Log {
    let mut log = Log::default();
    files.iter().for_each(|(name, age)| log.take(name, object(name, *age)));
    log
}

#[test]
fn what_a_checkpoint_stands_for_goes_in_order() {
    let id = "00000000-0000-0000-0000-000000000000";
    let mut files: Vec<(String, i64)> = (0..=12).map(|version| (v(version, "json"), 1)).collect();
    for other in [
        v(2, "checkpoint.parquet"),
        v(4, "checkpoint.0000000001.0000000002.parquet"),
        v(5, &format!("checkpoint.{id}.parquet")),
        v(10, "checkpoint.parquet"),
        v(3, "crc"),
        v(10, "crc"),
        v(1, &format!("{:020}.compacted.json", 9)),
        v(10, &format!("{:020}.compacted.json", 12)),
        v(11, &format!("{:020}.compacted.json", 12)),
        "_last_checkpoint".to_owned(),
        v(3, "json.tmp"),
        format!("_sidecars/{}", v(3, "json")),
        format!("_staged_commits/{}", v(3, &format!("{id}.json"))),
    ] {
        files.push((other, 1));
    }
    let log = log_of(&files);
    let gone = names(&log.superseded_by(10));
    let compacted = |from: u64, to: u64| format!("{from}.{to:020}.compacted.json");
    let mut wanted = vec!["json".to_owned()];
    wanted.extend((1..10).map(|version| format!("{version}.json")));
    wanted.extend([compacted(1, 9), compacted(10, 12), "3.crc".into(), "2.checkpoint.parquet".into()]);
    wanted.extend(["4.checkpoint.0000000001.0000000002.parquet".into(), format!("5.checkpoint.{id}.parquet")]);
    assert_eq!(gone, wanted, "LOG-13: commits before checkpoints, oldest first; 10.json stays");
    assert_eq!(log.newest_checkpoint(9).map(|(at, _)| at), Some(5), "LOG-12: half a checkpoint is none");
    assert_eq!(log.newest_checkpoint(1), None);
}

#[test]
fn a_day_begins_at_midnight() {
    assert_eq!(midnight(NOW), 1_000 * DAY_MS);
    assert_eq!((midnight(DAY_MS), midnight(DAY_MS - 1), midnight(-1)), (DAY_MS, 0, -DAY_MS));
}

proptest! {
    /// LOG-12: whatever the log holds, every version from the checkpoint on is built from the same files as before, and
    /// no commit within the retention goes.
    #[test]
    fn no_version_within_the_retention_is_lost(
        first in 0_u64..4,
        ages in prop::collection::vec(0_i64..60, 1..20),
        checkpoints in prop::collection::btree_set(0_u64..24, 0..6),
        gap in prop::option::of(0_u64..24),
        retention in 0_i64..50,
    ) {
        let mut ages = ages;
        ages.sort_unstable_by(|a, b| b.cmp(a));
        let mut files: Vec<(String, i64)> = Vec::new();
        for (version, age) in (first..).zip(&ages).filter(|(version, _)| Some(*version) != gap) {
            files.push((v(version, "json"), *age));
            if checkpoints.contains(&version) {
                files.push((v(version, "checkpoint.parquet"), *age));
            }
        }
        let log = log_of(&files);
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        let cutoff = midnight(NOW - retention * DAY_MS);
        let found = runtime.block_on(Timekeeping::Files.newest_at(&root(), &log.contiguous(), cutoff));
        let Some((checkpoint, _)) = found.expect("no reads").and_then(|old| log.newest_checkpoint(old)) else {
            return Ok(());
        };
        let gone = log.superseded_by(checkpoint);
        prop_assert!(gone.iter().all(|object| object.modified_ms <= cutoff), "LOG-12: {gone:?}");
        let listing = |gone: &[ObjectInfo]| -> Vec<LogFile> {
            let objects = files.iter().map(|(name, age)| (LogPath::parse(name).expect("name"), object(name, *age)));
            let kept = objects.filter(|(_, object)| gone.iter().all(|one| one.path != object.path));
            let mut kept: Vec<LogFile> = kept.map(|(meaning, object)| LogFile { meaning, object }).collect();
            kept.sort_by(|a, b| a.object.path.cmp(&b.object.path));
            kept
        };
        for version in checkpoint..first + ages.len() as u64 {
            let best = |files: &[LogFile]| {
                LogSegment::candidates(&root(), files, Some(version)).ok().and_then(|all| all.into_iter().next())
            };
            prop_assert_eq!(best(&listing(&[])), best(&listing(&gone)), "LOG-12: version {}", version);
        }
    }
}

/// A table on disk: versions 0 to 8, a checkpoint at 3 and 6, and files as old as asked for.
struct Disk {
    folder: tempfile::TempDir,
    root: TableRoot,
}

const DEFINITION: &str = concat!(
    r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}"#,
    "\n",
    r#"{"metaData":{"id":"t","format":{"provider":"parquet"},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{}}}"#,
    "\n"
);

impl Disk {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let root = TableRoot::open(&folder.path().to_string_lossy(), &StoreOptions::default()).expect("root");
        for version in 0..=8_u64 {
            let add = format!(
                r#"{{"add":{{"path":"f{version}","partitionValues":{{}},"size":1,"modificationTime":1,"dataChange":true}}}}"#
            );
            let text = if version == 0 { format!("{DEFINITION}{add}\n") } else { format!("{add}\n") };
            root.put(&root.child(&commit_name(version)).expect("path"), text.into()).await.expect("put");
            if version == 3 || version == 6 {
                let snapshot = Snapshot::load(root.clone(), At::Latest, SystemClock::shared()).await.expect("loads");
                snapshot.write_checkpoint().await.expect("checkpoint");
            }
        }
        Self { folder, root }
    }

    fn age(&self, name: &str, days: u64) {
        let file = std::fs::File::options().write(true).open(self.folder.path().join(name)).expect("open");
        let now = Duration::from_millis(u64::try_from(SystemClock.now_ms()).expect("now"));
        file.set_modified(SystemTime::UNIX_EPOCH + now - Duration::from_secs(days * 86_400)).expect("time");
    }

    /// Commit `n` is 90 - 10 n days old.
    fn age_all(&self) {
        for version in 0..=8 {
            self.age(&commit_name(version), 90 - 10 * version);
        }
    }

    async fn clean(&self, rules: CleanUpRules) -> Result<CleanedUp> {
        clean_up(&self.root, rules).await
    }

    async fn left(&self) -> Vec<u64> {
        let files = list_log(&self.root, 0).await.expect("list");
        let commits = files.iter().filter(|file| matches!(file.meaning, LogPath::Commit { .. }));
        commits.map(|file| file.meaning.version()).collect()
    }

    async fn files_at(&self, at: At) -> Result<usize> {
        let snapshot = Arc::new(Snapshot::load(self.root.clone(), at, SystemClock::shared()).await?);
        Ok(snapshot.files().await?.len())
    }
}

fn rules() -> CleanUpRules {
    let now_ms = SystemClock.now_ms();
    CleanUpRules { retention_ms: 30 * DAY_MS, timekeeping: Timekeeping::Files, protected_below: 0, now_ms }
}

#[tokio::test]
async fn old_log_files_go_and_versions_stay() {
    let disk = Disk::new().await;
    disk.age_all();
    // 30 days at midnight: version 5 is 40 days old, version 6 is 30 days and some hours, or not yet.
    let done = disk.clean(CleanUpRules { retention_ms: 35 * DAY_MS, ..rules() }).await.expect("LOG-12");
    assert_eq!(done, CleanedUp { checkpoint: Some(3), deleted: 3 });
    assert_eq!(disk.left().await, [3, 4, 5, 6, 7, 8]);
    for version in 3..=8 {
        assert_eq!(disk.files_at(At::Version(version)).await.expect("LOG-12") as u64, version + 1);
    }
    assert_eq!(disk.files_at(At::Version(2)).await.expect_err("cleaned").kind(), ErrorKind::NotFound);
    let again = disk.clean(CleanUpRules { retention_ms: 35 * DAY_MS, ..rules() }).await.expect("again");
    assert_eq!(again.deleted, 0);
    let more = disk.clean(CleanUpRules { retention_ms: 15 * DAY_MS, ..rules() }).await.expect("more");
    assert_eq!(more, CleanedUp { checkpoint: Some(6), deleted: 4 }, "3, 4, 5 and the checkpoint of 3");
    assert_eq!(disk.files_at(At::Latest).await.expect("LOG-12"), 9);
}

#[tokio::test]
async fn nothing_goes_that_must_stay() {
    let disk = Disk::new().await;
    disk.age_all();
    let kept = |done: CleanedUp| assert_eq!(done.deleted, 0, "{done:?}");
    let ahead = CleanUpRules { now_ms: rules().now_ms + 1_000 * DAY_MS, retention_ms: 900 * DAY_MS, ..rules() };
    kept(disk.clean(ahead).await.expect("LOG-14: the store's clock counts"));
    let behind = CleanUpRules { now_ms: rules().now_ms - 50 * DAY_MS, ..rules() };
    kept(disk.clean(behind).await.expect("LOG-14: and so does ours, when it is earlier"));
    kept(disk.clean(CleanUpRules { protected_below: 4, retention_ms: 35 * DAY_MS, ..rules() }).await.expect("LOG-13"));
    kept(disk.clean(CleanUpRules { retention_ms: 61 * DAY_MS, ..rules() }).await.expect("no checkpoint so old"));
    let path = disk.root.child(&checkpoint_name(3)).expect("path");
    let bytes = disk.root.get(&path).await.expect("bytes");
    disk.root.put(&path, bytes.slice(..bytes.len() / 2)).await.expect("damaged");
    let refused = disk.clean(CleanUpRules { retention_ms: 35 * DAY_MS, ..rules() }).await;
    assert_eq!(refused.expect_err("LOG-12: it can't stand for them").kind(), ErrorKind::Corrupt);
    assert_eq!(disk.left().await.len(), 9);
    let all = CleanUpRules { protected_below: 4, retention_ms: 15 * DAY_MS, ..rules() };
    assert_eq!(disk.clean(all).await.expect("LOG-13: all of it").checkpoint, Some(6));
    assert_eq!(disk.left().await, [6, 7, 8]);
}

#[tokio::test]
async fn sidecars_of_no_checkpoint_go_when_they_are_old() {
    let disk = Disk::new().await;
    disk.age_all();
    for name in ["old.parquet", "young.parquet"] {
        let path = disk.root.child(&format!("_delta_log/_sidecars/{name}")).expect("path");
        disk.root.put(&path, "x".into()).await.expect("put");
    }
    disk.age("_delta_log/_sidecars/old.parquet", 3);
    disk.clean(rules()).await.expect("LOG-13");
    let left = disk.root.list(SIDECARS).await.expect("list");
    assert_eq!(left.iter().filter_map(|object| object.path.filename()).collect::<Vec<_>>(), ["young.parquet"]);
}
