//! Which objects under a table's root nobody needs any more. Pure.

use std::collections::HashSet;

use lake_format::action::partition_value::hive_directory;
use serde::Serialize;

/// One object under the table's root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VacuumFile {
    /// Path below the root, as the store has it.
    pub path: String,
    /// Bytes.
    pub size_bytes: u64,
    /// Milliseconds since the epoch, by the store's clock.
    #[serde(skip)]
    pub modified_ms: i64,
}

/// What the log says of the files under the root. Paths are decoded and relative.
#[derive(Clone, Debug, Default)]
pub struct Reachable {
    /// Files of the newest version.
    pub live: HashSet<String>,
    /// Files that left the table less than the retention ago.
    pub remembered: HashSet<String>,
    /// Names of the partition columns.
    pub partition_columns: Vec<String>,
    /// Another format's metadata is kept in `metadata/` beside the log.
    pub keeps_metadata: bool,
}

/// Objects that stay, by the first reason found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// Files of the newest version.
    pub live: u64,
    /// Files that left the table less than the retention ago: time travel needs them.
    pub remembered: u64,
    /// Files younger than the retention: a writer may be about to commit them.
    pub young: u64,
    /// The log, and names that begin with `_` or `.`.
    pub hidden: u64,
    /// Files of another table inside this one's directory.
    pub foreign: u64,
}

/// What a vacuum deletes, and what it keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VacuumPlan {
    /// To be deleted, by path.
    pub delete: Vec<VacuumFile>,
    /// The others, counted.
    pub kept: Kept,
}

/// Sorts a listing. An object goes when nothing reaches it and it was last written at least `retention_ms` before
/// `now_ms`; age is all that protects the files of a writer that has not committed yet.
pub fn plan(listing: &[VacuumFile], reachable: &Reachable, retention_ms: i64, now_ms: i64) -> VacuumPlan {
    let rules = Rules::new(listing, reachable);
    let youngest_ms = now_ms.saturating_sub(retention_ms);
    let mut plan = VacuumPlan::default();
    for file in listing {
        let kept = &mut plan.kept;
        let reason = if reachable.live.contains(&file.path) {
            &mut kept.live
        } else if reachable.remembered.contains(&file.path) {
            &mut kept.remembered
        } else if rules.is_foreign(&file.path) {
            &mut kept.foreign
        } else if rules.is_hidden(&file.path) {
            &mut kept.hidden
        } else if file.modified_ms > youngest_ms {
            &mut kept.young
        } else {
            plan.delete.push(file.clone());
            continue;
        };
        *reason += 1;
    }
    plan.delete.sort_by(|a, b| a.path.cmp(&b.path));
    plan
}

/// Directories of the protocol that are not hidden though their names begin like it. What is in them is never
/// referenced and goes by age alone.
const OPEN_DIRECTORIES: [&str; 2] = ["_change_data", "_delta_index"];

const LOG: &str = "_delta_log";

struct Rules<'a> {
    reachable: &'a Reachable,
    /// How directories of hidden-looking partition columns begin.
    partition_prefixes: Vec<String>,
    /// Directories below the root that have a log of their own, each with a slash at its end.
    tables: Vec<&'a str>,
}

impl<'a> Rules<'a> {
    fn new(listing: &'a [VacuumFile], reachable: &'a Reachable) -> Self {
        let mut partition_prefixes = Vec::new();
        for column in reachable.partition_columns.iter().filter(|name| looks_hidden(name)) {
            partition_prefixes.push(format!("{column}="));
            let escaped = hive_directory(&[(column, Some("x"))]);
            partition_prefixes.push(escaped.trim_end_matches('x').to_owned());
        }
        let mut tables: Vec<&str> = listing.iter().filter_map(|file| other_table(&file.path)).collect();
        tables.sort_unstable();
        tables.dedup();
        Self { reachable, partition_prefixes, tables }
    }

    fn is_hidden(&self, path: &str) -> bool {
        let (directories, name) = path.rsplit_once('/').unwrap_or(("", path));
        let hidden_directory = |(depth, segment): (usize, &str)| {
            let open = depth == 0 && OPEN_DIRECTORIES.contains(&segment);
            let partition = self.partition_prefixes.iter().any(|prefix| segment.starts_with(prefix));
            looks_hidden(segment) && !open && !partition
        };
        let metadata = self.reachable.keeps_metadata && path.starts_with("metadata/");
        metadata || is_hidden_name(name) || directories.split('/').enumerate().any(hidden_directory)
    }

    fn is_foreign(&self, path: &str) -> bool {
        path.match_indices('/').any(|(at, _)| self.tables.binary_search(&&path[..=at]).is_ok())
    }
}

fn looks_hidden(name: &str) -> bool {
    name.starts_with(['_', '.'])
}

fn is_hidden_name(name: &str) -> bool {
    looks_hidden(name)
}

/// The directory, below the root, of a table that has `path` in its log.
fn other_table(path: &str) -> Option<&str> {
    let at = path.find(&format!("/{LOG}/"))?;
    // The table's own log may hold anything.
    (!path.starts_with(&format!("{LOG}/"))).then(|| &path[..=at])
}

/// Temporary files of commits that never came to be, in this table's own log, older than the retention. No reader
/// looks at them.
pub fn abandoned_commits(listing: &[VacuumFile], retention_ms: i64, now_ms: i64) -> Vec<VacuumFile> {
    let youngest_ms = now_ms.saturating_sub(retention_ms);
    let old = |file: &&VacuumFile| file.modified_ms <= youngest_ms && is_abandoned_commit(&file.path);
    listing.iter().filter(old).cloned().collect()
}

/// `_delta_log/.<20 digits>.json.<32 hexadecimal digits>.tmp`
fn is_abandoned_commit(path: &str) -> bool {
    let name = path.strip_prefix(LOG).and_then(|rest| rest.strip_prefix("/."));
    let Some((version, rest)) = name.and_then(|name| name.split_once(".json.")) else { return false };
    let Some(id) = rest.strip_suffix(".tmp") else { return false };
    version.len() == 20
        && version.bytes().all(|byte| byte.is_ascii_digit())
        && id.len() == 32
        && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use lake_format::action::partition_value::{decode_path, encode_path};
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400_000;
    const NOW: i64 = 100 * DAY;

    fn file(path: &str, age_days: i64) -> VacuumFile {
        VacuumFile { path: path.to_owned(), size_bytes: 1, modified_ms: NOW - age_days * DAY }
    }

    fn deleted(paths: &[&str], reachable: &Reachable) -> Vec<String> {
        let listing: Vec<VacuumFile> = paths.iter().map(|path| file(path, 30)).collect();
        plan(&listing, reachable, 7 * DAY, NOW).delete.into_iter().map(|file| file.path).collect()
    }

    #[test]
    fn every_reason_to_stay_is_counted() {
        let reachable = Reachable {
            live: HashSet::from(["live".to_owned()]),
            remembered: HashSet::from(["left".to_owned()]),
            ..Reachable::default()
        };
        let listing = [
            file("live", 30),
            file("left", 30),
            file("young", 6),
            file("old", 7),
            file("_delta_log/00000000000000000000.json", 30),
            file("sub/_delta_log/00000000000000000000.json", 30),
            file("sub/part.parquet", 30),
        ];
        let plan = plan(&listing, &reachable, 7 * DAY, NOW);
        assert_eq!(plan.delete, [file("old", 7)]);
        assert_eq!(plan.kept, Kept { live: 1, remembered: 1, young: 1, hidden: 1, foreign: 2 });
    }

    #[test]
    fn hidden_names_stay_but_partition_directories_are_not_hidden() {
        let reachable = Reachable { partition_columns: vec!["_x".into(), ".y:z".into()], ..Reachable::default() };
        let hidden = ["_lake/a", ".git/config", "a/.hidden", "_xy/a", "_x", "a/_tmp/b", "_x=1/_SUCCESS", "_y=1/a"];
        assert!(deleted(&hidden, &reachable).is_empty());
        let open =
            [".y%3Az=2/a", ".y:z=2/a", "_change_data/c", "_delta_index/i", "_x=1/a", "a_b/_x=1/c", "metadata/v1"];
        assert_eq!(deleted(&open, &reachable), open);
        assert!(deleted(&["a/_change_data/c", "_change_data/.c"], &reachable).is_empty());
        let uniform = Reachable { keeps_metadata: true, ..Reachable::default() };
        assert_eq!(deleted(&["metadata/v1.json", "metadata2/x"], &uniform), ["metadata2/x"]);
    }

    #[test]
    fn only_our_own_abandoned_commits_are_swept_from_the_log() {
        let id = "0123456789abcdef0123456789abcdef";
        let ours = format!("_delta_log/.00000000000000000007.json.{id}.tmp");
        let others = [
            "_delta_log/00000000000000000007.json".to_owned(),
            format!("_delta_log/00000000000000000007.json.{id}.tmp"),
            format!("_delta_log/.7.json.{id}.tmp"),
            format!("sub/_delta_log/.00000000000000000007.json.{id}.tmp"),
            "_delta_log/.00000000000000000007.json.x.tmp".to_owned(),
            "_delta_log/_commit_1.json.tmp".to_owned(),
        ];
        let listing: Vec<VacuumFile> = others.iter().chain([&ours]).map(|path| file(path, 30)).collect();
        let swept = abandoned_commits(&listing, 7 * DAY, NOW);
        assert_eq!(swept, [file(&ours, 30)]);
        assert!(abandoned_commits(&[file(&ours, 6)], 7 * DAY, NOW).is_empty());
    }

    #[test]
    fn times_beyond_reason_do_not_overflow() {
        let listing = [VacuumFile { path: "a".into(), size_bytes: 0, modified_ms: i64::MIN }];
        assert_eq!(plan(&listing, &Reachable::default(), i64::MAX, i64::MIN).delete.len(), 1);
        assert_eq!(plan(&listing, &Reachable::default(), i64::MIN, 0).delete.len(), 1);
    }

    /// Names that break naive comparisons.
    fn odd_name() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            Just("%"),
            Just("%20"),
            Just("%2520"),
            Just(" "),
            Just("+"),
            Just("="),
            Just("é"),
            Just("e\u{301}"),
            Just("日"),
            Just("a"),
            Just("A"),
            Just("_"),
            Just("."),
            Just("#1"),
            Just("&"),
            Just(":"),
            Just("?"),
        ];
        let segment = prop::collection::vec(part, 1..4).prop_map(|parts| parts.concat());
        let legal = segment.prop_filter("dots alone climb", |segment| segment != "." && segment != "..");
        prop::collection::vec(legal, 1..4).prop_map(|segments| segments.join("/"))
    }

    proptest! {
        #[test]
        fn nothing_reachable_is_ever_deleted(
            names in prop::collection::btree_set(odd_name(), 1..30),
            picks in prop::collection::vec(0_u8..4, 30),
            ages in prop::collection::vec(0_i64..20, 30),
        ) {
            let mut reachable = Reachable::default();
            let mut listing = Vec::new();
            for ((name, pick), age) in names.iter().zip(&picks).zip(&ages) {
                listing.push(file(name, *age));
                // The log has the encoded path; what it means is the decoded one.
                let meant = decode_path(&encode_path(name)).expect("our own encoding");
                match pick {
                    0 => drop(reachable.live.insert(meant)),
                    1 => drop(reachable.remembered.insert(meant)),
                    _ => {}
                }
            }
            let plan = plan(&listing, &reachable, 7 * DAY, NOW);
            for gone in &plan.delete {
                prop_assert!(!reachable.live.contains(&gone.path) && !reachable.remembered.contains(&gone.path));
                prop_assert!(NOW - gone.modified_ms >= 7 * DAY);
            }
            let Kept { live, remembered, young, hidden, foreign } = plan.kept;
            let kept = live + remembered + young + hidden + foreign;
            prop_assert_eq!(kept as usize + plan.delete.len(), listing.len());
            for file in listing.iter().filter(|file| !plan.delete.contains(file)) {
                let known = reachable.live.contains(&file.path) || reachable.remembered.contains(&file.path);
                let hidden = file.path.split('/').any(|segment| segment.starts_with(['_', '.']));
                prop_assert!(known || hidden || NOW - file.modified_ms < 7 * DAY, "{} stays for no reason", file.path);
            }
        }
    }
}
