//! What must hold after a history: judged by the store's journal, the model, and what clients recorded.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use lake_format::action::Action;
use lake_format::action::columnar::FileKind;
use lake_format::log::LogPath;
use lake_format::log::checkpoint::{FilesWanted, StatsWanted, read_head, stream_files};
use lake_format::operation::{Settlement, settle};
use lake_format::store::ObjectInfo;
use lake_format::{At, ClockRef, Snapshot, TableRoot};
use object_store::path::Path;
use serde_json::Value;

use super::config::Config;
use super::disk::{Change, Disk};
use super::history::{Answer, Attempt, History, Kind, digest_of};
use super::model::{Table, Version, next};

const DAY_MS: i64 = 86_400_000;
const LOG: &str = "sim/_delta_log/";

/// What a history came to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub versions: u64,
    pub unknown: u64,
    pub rejected: u64,
    pub cancelled: u64,
    pub looks: u64,
    pub checkpoints: u64,
    pub cleaned: u64,
    /// Commits that came too late, below what the log still holds.
    pub strays: u64,
}

type Judged<T = ()> = Result<T, String>;

pub struct Judge<'a> {
    pub config: &'a Config,
    pub disk: &'a Disk,
    pub history: &'a History,
    pub truth: TableRoot,
    pub clock: ClockRef,
    pub versions: Vec<Version>,
    pub tally: Tally,
}

fn midnight(ms: i64) -> i64 {
    ms - ms.rem_euclid(DAY_MS)
}

impl Judge<'_> {
    /// All points of the oracle.
    pub async fn judge(&mut self) -> Judged {
        if let Some(defect) = self.history.defects.first() {
            return Err(defect.clone());
        }
        self.replay_journal()?;
        self.check_answers().await?;
        self.check_serial_order()?;
        self.check_looks()?;
        self.check_files()?;
        self.check_final_reads().await?;
        self.check_checkpoints().await
    }

    /// The versions, in the order in which they came to be; and that nothing needed was ever deleted.
    fn replay_journal(&mut self) -> Judged {
        let journal = self.disk.state().journal.clone();
        let mut checkpoints: BTreeMap<String, u64> = BTreeMap::new();
        let mut commits: BTreeSet<u64> = BTreeSet::new();
        let mut checksums: Vec<(u64, Bytes)> = Vec::new();
        for (at_ms, change) in journal {
            match change {
                Change::Put { path, bytes } => match path.strip_prefix(LOG).and_then(LogPath::parse) {
                    Some(LogPath::Commit { version }) => {
                        if !commits.insert(version) {
                            return Err(format!("COM-1: version {version} was written over"));
                        }
                        self.take_version(version, &bytes, at_ms)?;
                    }
                    Some(LogPath::Checksum { version }) => checksums.push((version, bytes)),
                    Some(LogPath::Checkpoint { version } | LogPath::UuidCheckpoint { version }) => {
                        self.tally.checkpoints += 1;
                        checkpoints.insert(path, version);
                    }
                    _ => {}
                },
                Change::Delete { path } => {
                    let meaning = path.strip_prefix(LOG).and_then(LogPath::parse);
                    let was = checkpoints.remove(&path);
                    let gone = match meaning {
                        Some(LogPath::Commit { version }) => {
                            commits.remove(&version);
                            Some(version)
                        }
                        _ => was,
                    };
                    if let Some(gone) = gone {
                        self.tally.cleaned += 1;
                        let old = self.newest_by(self.cutoff_ms(at_ms));
                        let stands = |cp: &&u64| **cp > gone && old.is_some_and(|old| **cp <= old);
                        if !checkpoints.values().any(|cp| stands(&cp)) {
                            return Err(format!(
                                "LOG-12: {path} was deleted; by then {old:?} was beyond the retention, with checkpoints {:?}",
                                checkpoints.values()
                            ));
                        }
                    }
                }
            }
        }
        self.tally.versions = self.versions.len() as u64;
        for (version, bytes) in checksums {
            self.check_checksum(version, &bytes)?;
        }
        Ok(())
    }

    fn take_version(&mut self, version: u64, bytes: &Bytes, at_ms: i64) -> Judged {
        let newest = self.versions.len() as u64;
        if version < newest {
            // Under a name that clean-up had freed: no version, and nobody may be told that it is one.
            self.tally.strays += 1;
            return Ok(());
        }
        if version > newest {
            return Err(format!("COM-1: version {version} came to be before {newest}"));
        }
        let made = next(self.versions.last(), bytes, at_ms, self.config.row_tracking);
        self.versions.push(made.map_err(|e| format!("version {version}: {e}"))?);
        Ok(())
    }

    fn cutoff_ms(&self, now_ms: i64) -> i64 {
        let retention_ms = self.config.log_retention_hours as i64 * 3_600_000;
        midnight(midnight(now_ms) - retention_ms)
    }

    fn newest_by(&self, ms: i64) -> Option<u64> {
        self.versions.iter().rposition(|version| version.time_ms <= ms).map(|at| at as u64)
    }

    /// A checksum file that names a commit says what the table is after it.
    fn check_checksum(&self, version: u64, bytes: &Bytes) -> Judged {
        let said: Value = serde_json::from_slice(bytes).map_err(|e| format!("{version}.crc: {e}"))?;
        let Some(made) = self.versions.get(version as usize) else {
            return Err(format!("LOG-11: a checksum of version {version}, which is none"));
        };
        if said["txnId"].as_str() != Some(&made.txn_id) {
            return Err(format!("LOG-11: the checksum of version {version} is of another commit"));
        }
        let table = &made.after;
        let size: i64 = table.files.values().map(|file| file.size).sum();
        let counts = (said["numFiles"].as_i64(), said["tableSizeBytes"].as_i64());
        let list = |name: &str| said[name].as_array().cloned().unwrap_or_default();
        let txns: BTreeMap<String, i64> = list("setTransactions")
            .iter()
            .filter_map(|txn| Some((txn["appId"].as_str()?.to_owned(), txn["version"].as_i64()?)))
            .collect();
        let domains: BTreeMap<String, String> = list("domainMetadata")
            .iter()
            .filter_map(|d| Some((d["domain"].as_str()?.to_owned(), d["configuration"].as_str()?.to_owned())))
            .collect();
        let same = counts == (i64::try_from(table.files.len()).ok(), Some(size))
            && txns == table.txns
            && domains == table.domains
            && said["inCommitTimestampOpt"].as_i64() == made.in_commit_ms;
        if same { Ok(()) } else { Err(format!("LOG-11: the checksum of version {version} says {said}")) }
    }

    /// What each writer was told is what happened.
    async fn check_answers(&mut self) -> Judged {
        let mut holder: HashMap<&str, u64> = HashMap::new();
        for (version, made) in self.versions.iter().enumerate() {
            if let Some(before) = holder.insert(&made.txn_id, version as u64) {
                return Err(format!("COM-2: {} is version {before} and {version}", made.txn_id));
            }
        }
        for attempt in &self.history.attempts {
            let ids: Vec<String> = attempt.txn_ids.iter().map(ToString::to_string).collect();
            let at: Vec<u64> = ids.iter().filter_map(|id| holder.get(id.as_str()).copied()).collect();
            let wrong = |what: &str| Err(format!("{what}: {attempt:?} is at {at:?}"));
            match &attempt.answer {
                Answer::Committed(version, id) => {
                    if at != [*version] || ids != [id.to_string()] {
                        return wrong("COM-2");
                    }
                    self.check_bytes(attempt, *version)?;
                    if *version <= attempt.told_before {
                        return wrong("a version at or below one that was told of before it began");
                    }
                }
                Answer::Rejected(why) => {
                    self.tally.rejected += 1;
                    if !at.is_empty() {
                        return wrong("COM-4");
                    }
                    self.check_conflict(attempt, why)?;
                }
                Answer::Applied => {
                    let Kind::AppendOnce(app, number) = &attempt.kind else { return wrong("COM-11") };
                    let applied = |v: &Version| v.txns.iter().any(|(a, n)| a == app && n >= number);
                    if !at.is_empty() || !self.versions.iter().any(applied) {
                        return wrong("COM-11");
                    }
                }
                Answer::Unknown(token) => {
                    self.tally.unknown += 1;
                    let said = settle(&self.truth, token).await.map_err(|e| e.to_string())?;
                    let right = match said {
                        Settlement::Landed(version) => at == [version],
                        Settlement::Never => at.is_empty(),
                        Settlement::Forgotten => self.tally.cleaned > 0,
                        Settlement::Open => false,
                    };
                    if !right {
                        return Err(format!("COM-12: {attempt:?} is at {at:?}, and {said:?} was said"));
                    }
                }
                Answer::Cancelled => self.tally.cancelled += 1,
            }
        }
        for (token, said) in &self.history.settled {
            let id = token.split_once('-').map(|(_, id)| id).unwrap_or_default();
            let at = holder.get(id).copied();
            let right = match said {
                Settlement::Landed(version) => at == Some(*version),
                Settlement::Never => at.is_none(),
                Settlement::Open | Settlement::Forgotten => true,
            };
            if !right {
                return Err(format!("COM-12: {token} is at {at:?}, and {said:?} was said"));
            }
        }
        Ok(())
    }

    fn check_bytes(&self, attempt: &Attempt, version: u64) -> Judged {
        let bytes = &self.versions[version as usize].bytes;
        let same = |sent: &&super::history::Sent| {
            sent.version == version && attempt.txn_ids.contains(&sent.txn_id) && sent.bytes == *bytes
        };
        match self.history.sent.iter().find(same) {
            Some(_) => Ok(()),
            None => Err(format!("COM-2: version {version} holds other bytes than were sent by {attempt:?}")),
        }
    }

    /// Nobody gives way without a reason.
    fn check_conflict(&self, attempt: &Attempt, why: &str) -> Judged {
        let since = self.versions.iter().skip(attempt.read_version as usize + 1);
        let (mut metadata, mut domain) = (false, false);
        for version in since {
            metadata |= version.metadata;
            domain |= matches!(&attempt.kind, Kind::CountInDomain(name) if version.domains.contains(name));
        }
        let justified = match &attempt.kind {
            Kind::Append => metadata,
            Kind::CountInDomain(_) => metadata || domain,
            _ => true,
        };
        if why.contains("(CON-") && !justified {
            return Err(format!("CON-1: {attempt:?} gave way for no reason"));
        }
        Ok(())
    }

    /// Every version is its operation done on the version before, and nothing else.
    fn check_serial_order(&self) -> Judged {
        let mut by_id: HashMap<String, &Attempt> = HashMap::new();
        for attempt in &self.history.attempts {
            by_id.extend(attempt.txn_ids.iter().map(|id| (id.to_string(), attempt)));
        }
        for (version, pair) in self.versions.windows(2).enumerate() {
            let (before, made) = (&pair[0], &pair[1]);
            let Some(attempt) = by_id.get(&made.txn_id) else {
                return Err(format!("version {} is nobody's", version + 1));
            };
            self.check_effect(attempt, &before.after, made)
                .map_err(|e| format!("{e} at version {} by {attempt:?}", version + 1))?;
        }
        Ok(())
    }

    fn check_effect(&self, attempt: &Attempt, before: &Table, made: &Version) -> Judged {
        let after = &made.after;
        let kept_where = |keep: &dyn Fn(&Option<String>) -> bool| {
            before
                .files
                .iter()
                .filter(|(_, file)| keep(&file.partition))
                .all(|(path, file)| after.files.get(path) == Some(file))
        };
        let all_kept = || kept_where(&|_| true);
        let left = |inside: &dyn Fn(&Option<String>) -> bool| {
            let old = after.files.iter().filter(|(path, file)| inside(&file.partition) && !made.added.contains(*path));
            old.map(|(path, _)| path.clone()).collect::<BTreeSet<_>>()
        };
        let missed = |left: &BTreeSet<String>| left.iter().all(|path| self.may_be_missed(attempt, path));
        let count =
            |map: &BTreeMap<String, String>, key: &str| map.get(key).and_then(|c| c.parse::<u64>().ok()).unwrap_or(0);
        let right = match &attempt.kind {
            Kind::Append => all_kept(),
            Kind::AppendOnce(app, number) => all_kept() && after.txns.get(app) == Some(number),
            Kind::Overwrite => missed(&left(&|_| true)),
            Kind::OverwriteWhere(p) | Kind::DeleteWhere(p) => {
                let name = Some(p.to_string());
                kept_where(&|partition| *partition != name) && missed(&left(&|partition| *partition == name))
            }
            Kind::DeleteRows => after.files.len() == before.files.len(),
            Kind::Compact => after.files.len() + 1 == before.files.len(),
            Kind::CountInDomain(name) => all_kept() && count(&after.domains, name) == count(&before.domains, name) + 1,
            Kind::CountInProperty => {
                let key = "sim.count";
                all_kept() && count(&after.configuration, key) == count(&before.configuration, key) + 1
            }
        };
        if right { Ok(()) } else { Err("CON: not what the operation does to the version before".to_owned()) }
    }

    /// At WriteSerializable an overwrite need not see what others appended blindly since it read the table.
    fn may_be_missed(&self, attempt: &Attempt, path: &str) -> bool {
        let since = self.versions.iter().skip(attempt.read_version as usize + 1);
        self.config.write_serializable
            && since.filter(|version| version.blind).any(|version| version.added.contains(path))
    }

    /// Every look showed its version as it is, and a new look nothing older than what had been told.
    fn check_looks(&mut self) -> Judged {
        self.tally.looks = self.history.looks.len() as u64;
        for look in &self.history.looks {
            let made = self.versions.get(look.version as usize).ok_or(format!("LOG-5: {look:?} at no version"))?;
            if made.digest != look.digest {
                return Err(format!("LOG-5: {look:?} is not the version; it is {:?}", made.after));
            }
            if look.latest && look.version < look.told_before && !self.config.stale() {
                return Err(format!("{look:?} is older than what was told before"));
            }
        }
        Ok(())
    }

    /// Data files of commits are there, with their sizes.
    fn check_files(&self) -> Judged {
        let state = self.disk.state();
        for version in &self.versions {
            for path in version.added.iter().filter(|path| path.contains("part-")) {
                let size = version.after.files.get(path).map(|file| file.size);
                let there = state.objects.get(&format!("sim/{path}")).map(|object| object.bytes.len() as i64);
                if size.is_some() && there != size {
                    return Err(format!("COM-4: {path} is live with {size:?} bytes, and the store has {there:?}"));
                }
            }
        }
        Ok(())
    }

    async fn load(&self, at: At) -> Judged<Snapshot> {
        let loaded = Snapshot::load(self.truth.clone(), at, Arc::clone(&self.clock)).await;
        loaded.map_err(|e| format!("LOG-5: {at:?} can't be read: {e:?}"))
    }

    async fn check_version(&self, snapshot: &Snapshot) -> Judged {
        let found = digest_of(snapshot).await.map_err(|e| format!("LOG-5: {e:?}"))?;
        let version = snapshot.version();
        match self.versions.get(version as usize) {
            Some(made) if made.digest == found => Ok(()),
            made => Err(format!("LOG-5: version {version} reads otherwise than {:?}", made.map(|made| &made.after))),
        }
    }

    /// Every version that the retention keeps can be read, and is what the model says.
    async fn check_final_reads(&self) -> Judged {
        let newest = self.versions.len() as u64 - 1;
        let floor = match self.tally.cleaned {
            0 => 0,
            _ => self.newest_by(self.cutoff_ms(self.disk.now_ms())).unwrap_or(0),
        };
        let latest = self.load(At::Latest).await?;
        if latest.version() != newest {
            return Err(format!("LOG-5: the newest version is {newest}, and {} is read", latest.version()));
        }
        self.check_version(&latest).await?;
        let mut snapshot = self.load(At::Version(floor)).await?;
        self.check_version(&snapshot).await?;
        for commit in snapshot.commits_since(floor).await.map_err(|e| format!("LOG-5: {e:?}"))? {
            let next = snapshot.advanced(commit.version, commit.actions, commit.modified_ms);
            snapshot = next.map_err(|e| format!("LOG-5: {e:?}"))?;
            self.check_version(&snapshot).await?;
        }
        if snapshot.version() == newest { Ok(()) } else { Err(format!("LOG-5: {floor} to {newest} has a gap")) }
    }

    /// Every checkpoint that is left says what the log up to its version says.
    async fn check_checkpoints(&self) -> Judged {
        let listed: Vec<(u64, String, u64)> = self
            .disk
            .state()
            .objects
            .iter()
            .filter_map(|(path, object)| match path.strip_prefix(LOG).and_then(LogPath::parse)? {
                LogPath::Checkpoint { version } | LogPath::UuidCheckpoint { version } => {
                    Some((version, path.clone(), object.bytes.len() as u64))
                }
                _ => None,
            })
            .collect();
        let hint: Option<u64> = self
            .disk
            .state()
            .objects
            .get("sim/_delta_log/_last_checkpoint")
            .and_then(|object| serde_json::from_slice::<Value>(&object.bytes).ok()?["version"].as_u64());
        if hint.is_some_and(|hint| !listed.iter().any(|(version, ..)| *version >= hint)) {
            return Err(format!("CHK-1: the hint points to {hint:?}, which is not there"));
        }
        for (version, path, size_bytes) in listed {
            let object = ObjectInfo { path: Path::from(path.as_str()), size_bytes, modified_ms: 0 };
            let found = self.checkpoint(&object).await;
            // One that was never finished is no checkpoint: nobody is pointed to it.
            let found = found.map_err(|e| format!("CHK-1: {path}: {e:?}"))?;
            let table = &self.versions[version as usize].after;
            let files = table.files.iter().map(|(path, file)| (path.clone(), file.vector.clone())).collect();
            let wanted = (files, table.tombstones.clone(), table.txns.clone(), table.domains.clone());
            if found != wanted {
                return Err(format!("CHK-1: {path} holds {found:?}, and the log says {wanted:?}"));
            }
        }
        Ok(())
    }

    async fn checkpoint(&self, object: &ObjectInfo) -> Result<Content, lake_format::Error> {
        let head = read_head(&self.truth, std::slice::from_ref(object)).await?;
        let mut content = Content::default();
        for action in &head.actions {
            match action {
                Action::Txn(txn) => drop(content.2.insert(txn.app_id.clone(), txn.version)),
                Action::Domain(domain) => drop(content.3.insert(domain.domain.clone(), domain.configuration.clone())),
                _ => {}
            }
        }
        for source in &head.sources {
            for wanted in [FilesWanted::adds(), FilesWanted::removes()] {
                let kind = wanted.kind;
                let mut batches = stream_files(&self.truth, source, &wanted.with_stats(StatsWanted::None));
                while let Some(batch) = batches.next().await.transpose()? {
                    for row in 0..batch.len() {
                        let vector = match kind {
                            FileKind::Add => batch.add_without_stats(row).deletion_vector,
                            FileKind::Remove => batch.remove(row).deletion_vector,
                        };
                        let key = (batch.path(row).to_owned(), vector.map(|vector| vector.path_or_inline_dv));
                        let files = if kind == FileKind::Add { &mut content.0 } else { &mut content.1 };
                        files.insert(key);
                    }
                }
            }
        }
        Ok(content)
    }
}

type Keys = BTreeSet<(String, Option<String>)>;
/// Files, tombstones, marks and domains of a checkpoint.
type Content = (Keys, Keys, BTreeMap<String, i64>, BTreeMap<String, String>);
