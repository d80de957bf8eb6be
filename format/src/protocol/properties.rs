//! Table properties, typed: what they mean, their defaults, and which may be changed.

use std::collections::BTreeMap;

use crate::error::{Error, Result};
use crate::expr::ColumnPath;
use crate::schema::MappingMode;
use crate::schema::mapping::MODE_PROPERTY;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// The properties that Lake acts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableProperties {
    /// `delta.appendOnly`: rows may not be removed.
    pub append_only: bool,
    /// `delta.dataSkippingNumIndexedCols`: leaf columns with statistics, -1 for all.
    pub data_skipping_num_indexed_cols: i64,
    /// `delta.dataSkippingStatsColumns`: columns with statistics, instead of the first so many.
    pub data_skipping_stats_columns: Option<Vec<ColumnPath>>,
    /// `delta.dataSkippingStringPrefixLength`: characters of a text that a bound keeps.
    pub data_skipping_string_prefix: usize,
    /// `delta.targetFileSize`, bytes.
    pub target_file_size_bytes: u64,
    /// `delta.parquet.compression.codec`.
    pub parquet_compression: String,
    /// `delta.checkpointInterval`, commits.
    pub checkpoint_interval: u64,
    /// `delta.checkpointPolicy` is `v2`.
    pub v2_checkpoints: bool,
    /// `delta.deletedFileRetentionDuration`, milliseconds.
    pub deleted_file_retention_ms: i64,
    /// `delta.logRetentionDuration`, milliseconds.
    pub log_retention_ms: i64,
    /// `delta.enableInCommitTimestamps`. Means something only where the protocol asks for the feature.
    pub in_commit_timestamps: bool,
    /// `delta.inCommitTimestampEnablementVersion`: the first version with a timestamp of its own, when not all have one.
    pub in_commit_timestamp_enablement_version: Option<u64>,
    /// `delta.inCommitTimestampEnablementTimestamp`: the timestamp of that version, milliseconds since the epoch.
    pub in_commit_timestamp_enablement_ms: Option<i64>,
    /// `delta.isolationLevel`: what commits must not miss of each other.
    pub isolation_level: IsolationLevel,
    /// `delta.enableRowTracking`: rows keep their ids for good.
    pub row_tracking: bool,
    /// `delta.rowTrackingSuspended`: no ids are given for now.
    pub row_tracking_suspended: bool,
    /// `delta.checkpoint.writeStatsAsStruct`: checkpoints hold statistics as columns. So they do where it is not said.
    pub stats_as_columns: bool,
    /// `delta.checkpoint.writeStatsAsJson`: checkpoints hold statistics as text. So they do only where it is said.
    pub stats_as_text: bool,
    /// `delta.enableExpiredLogCleanup`: old log files are deleted after a checkpoint.
    pub expired_log_cleanup: bool,
    /// `delta.requireCheckpointProtectionBeforeVersion`: log files below it go all together or not at all.
    pub checkpoint_protection_before: u64,
    /// `delta.columnMapping.mode`. Counts where the protocol has the feature: see
    /// [`column_mapping`](super::column_mapping).
    pub column_mapping: MappingMode,
    /// `delta.enableTypeWidening`: types of columns may grow.
    pub type_widening: bool,
    /// `delta.constraints.*`: name to SQL.
    pub check_constraints: BTreeMap<String, String>,
}

/// What concurrent commits must not miss of each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IsolationLevel {
    /// As if commits had come one after the other, in the order of versions, and so had reads.
    #[default]
    Serializable,
    /// Commits as if one after the other; what others appended blindly meanwhile may be missed.
    WriteSerializable,
    /// Only the files that the commit replaces matter. For commits that move rows and change none.
    Snapshot,
}

impl IsolationLevel {
    /// Name as in `commitInfo` and in `delta.isolationLevel`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Serializable => "Serializable",
            Self::WriteSerializable => "WriteSerializable",
            Self::Snapshot => "SnapshotIsolation",
        }
    }

    /// A level that a table may ask for, in any case.
    fn of_table(text: &str) -> Option<Self> {
        [Self::Serializable, Self::WriteSerializable]
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
    }
}

impl Default for TableProperties {
    fn default() -> Self {
        Self {
            append_only: false,
            data_skipping_num_indexed_cols: 32,
            data_skipping_stats_columns: None,
            data_skipping_string_prefix: 32,
            target_file_size_bytes: 128 << 20,
            parquet_compression: "zstd".to_owned(),
            checkpoint_interval: 10,
            v2_checkpoints: false,
            deleted_file_retention_ms: 7 * DAY_MS,
            log_retention_ms: 30 * DAY_MS,
            in_commit_timestamps: false,
            in_commit_timestamp_enablement_version: None,
            in_commit_timestamp_enablement_ms: None,
            isolation_level: IsolationLevel::Serializable,
            row_tracking: false,
            row_tracking_suspended: false,
            stats_as_columns: true,
            stats_as_text: false,
            expired_log_cleanup: true,
            checkpoint_protection_before: 0,
            column_mapping: MappingMode::None,
            type_widening: false,
            check_constraints: BTreeMap::new(),
        }
    }
}

const CONSTRAINT: &str = "delta.constraints.";

impl TableProperties {
    /// Reads a table's configuration. A value that makes no sense counts as not set: a property that another
    /// engine wrote must not make the table unreadable.
    pub fn parse(configuration: &BTreeMap<String, String>) -> Self {
        let get = |name: &str| configuration.get(&format!("delta.{name}")).map(String::as_str);
        let flag = |name: &str| get(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let defaults = Self::default();
        Self {
            append_only: flag("appendOnly"),
            data_skipping_num_indexed_cols: get("dataSkippingNumIndexedCols")
                .and_then(|value| value.parse().ok())
                .filter(|&count: &i64| count >= -1)
                .unwrap_or(defaults.data_skipping_num_indexed_cols),
            data_skipping_stats_columns: get("dataSkippingStatsColumns").map(parse_columns),
            data_skipping_string_prefix: get("dataSkippingStringPrefixLength")
                .and_then(|value| value.parse().ok())
                .filter(|length| (1..=LONGEST_PREFIX).contains(length))
                .unwrap_or(defaults.data_skipping_string_prefix),
            target_file_size_bytes: get("targetFileSize")
                .and_then(parse_bytes)
                .filter(|&bytes| bytes > 0)
                .unwrap_or(defaults.target_file_size_bytes),
            parquet_compression: get("parquet.compression.codec")
                .map_or(defaults.parquet_compression, str::to_ascii_lowercase),
            checkpoint_interval: get("checkpointInterval")
                .and_then(|value| value.parse().ok())
                .filter(|&commits: &u64| commits > 0)
                .unwrap_or(defaults.checkpoint_interval),
            v2_checkpoints: get("checkpointPolicy").is_some_and(|policy| policy.eq_ignore_ascii_case("v2")),
            deleted_file_retention_ms: get("deletedFileRetentionDuration")
                .and_then(parse_interval_ms)
                .unwrap_or(defaults.deleted_file_retention_ms),
            log_retention_ms: get("logRetentionDuration")
                .and_then(parse_interval_ms)
                .unwrap_or(defaults.log_retention_ms),
            in_commit_timestamps: flag("enableInCommitTimestamps"),
            in_commit_timestamp_enablement_version: get("inCommitTimestampEnablementVersion")
                .and_then(|value| value.parse().ok()),
            in_commit_timestamp_enablement_ms: get("inCommitTimestampEnablementTimestamp")
                .and_then(|value| value.parse().ok()),
            isolation_level: get("isolationLevel").and_then(IsolationLevel::of_table).unwrap_or_default(),
            row_tracking: flag("enableRowTracking"),
            row_tracking_suspended: flag("rowTrackingSuspended"),
            stats_as_columns: get("checkpoint.writeStatsAsStruct")
                .is_none_or(|value| !value.eq_ignore_ascii_case("false")),
            stats_as_text: flag("checkpoint.writeStatsAsJson"),
            expired_log_cleanup: get("enableExpiredLogCleanup")
                .is_none_or(|value| !value.eq_ignore_ascii_case("false")),
            // What can't be read protects everything.
            checkpoint_protection_before: get("requireCheckpointProtectionBeforeVersion")
                .map_or(0, |value| value.parse().unwrap_or(u64::MAX)),
            column_mapping: get("columnMapping.mode").and_then(MappingMode::parse).unwrap_or_default(),
            type_widening: flag("enableTypeWidening"),
            check_constraints: configuration
                .iter()
                .filter_map(|(key, value)| Some((key.strip_prefix(CONSTRAINT)?.to_owned(), value.clone())))
                .collect(),
        }
    }
}

/// More characters of a text than this would make a log of texts.
const LONGEST_PREFIX: usize = 10_000;

/// Whether a text is a value of a property.
type Check = fn(&str) -> bool;

/// The `delta.` properties that a user may set, with their canonical spelling.
const SETTABLE: &[(&str, Check)] = &[
    ("delta.appendOnly", is_flag),
    ("delta.dataSkippingNumIndexedCols", |value| value.parse::<i64>().is_ok_and(|count| count >= -1)),
    ("delta.dataSkippingStatsColumns", |value| !value.trim().is_empty()),
    ("delta.dataSkippingStringPrefixLength", |value| {
        value.parse::<usize>().is_ok_and(|length| (1..=LONGEST_PREFIX).contains(&length))
    }),
    (MODE_PROPERTY, |value| MappingMode::parse(value).is_some()),
    ("delta.enableDeletionVectors", is_flag),
    ("delta.enableTypeWidening", is_flag),
    ("delta.enableRowTracking", is_flag),
    ("delta.checkpointPolicy", |value| ["classic", "v2"].contains(&value.to_ascii_lowercase().as_str())),
    ("delta.checkpoint.writeStatsAsStruct", is_flag),
    ("delta.checkpoint.writeStatsAsJson", is_flag),
    ("delta.targetFileSize", |value| parse_bytes(value).is_some_and(|bytes| bytes > 0)),
    ("delta.parquet.compression.codec", |value| {
        ["zstd", "snappy", "gzip", "lz4_raw", "uncompressed", "none"].contains(&value.to_ascii_lowercase().as_str())
    }),
    ("delta.checkpointInterval", |value| value.parse::<u64>().is_ok_and(|commits| commits > 0)),
    ("delta.deletedFileRetentionDuration", |value| parse_interval_ms(value).is_some()),
    ("delta.logRetentionDuration", |value| parse_interval_ms(value).is_some()),
    ("delta.enableExpiredLogCleanup", is_flag),
    ("delta.isolationLevel", |value| IsolationLevel::of_table(value).is_some()),
    ("delta.enableInCommitTimestamps", is_flag),
];

fn is_flag(value: &str) -> bool {
    value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false")
}

/// Checks a property that a user sets and gives its canonical spelling.
///
/// # Errors
/// `Unsupported` for a `delta.` property that Lake does not act on, `Invalid` for a value that makes no sense.
pub fn check_property_change(key: &str, value: &str) -> Result<String> {
    if key.trim().is_empty() || key.chars().any(char::is_control) {
        return Err(Error::invalid("a property needs a printable name").with_object(key.to_owned()));
    }
    let lower = key.to_ascii_lowercase();
    if !lower.starts_with("delta.") {
        return Ok(key.to_owned());
    }
    let Some((name, valid)) = SETTABLE.iter().find(|(name, _)| name.to_ascii_lowercase() == lower) else {
        let known: Vec<&str> = SETTABLE.iter().map(|(name, _)| *name).collect();
        return Err(Error::unsupported("setting this table property is not supported")
            .with_object(key.to_owned())
            .with_hint(format!("the delta. properties that can be set are {}", known.join(", "))));
    };
    if !valid(value) {
        return Err(Error::invalid(format!("{value:?} is not a value of this property")).with_object(*name));
    }
    Ok((*name).to_owned())
}

/// A list of columns, comma between, dots inside a path. Names with other characters stand in backticks, doubled inside.
pub fn parse_columns(list: &str) -> Vec<ColumnPath> {
    let (mut paths, mut names, mut name) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut was_quoted) = (false, false);
    let mut chars = list.chars().peekable();
    loop {
        let next = chars.next();
        match next {
            Some('`') if quoted && chars.next_if_eq(&'`').is_some() => name.push('`'),
            Some('`') => {
                quoted = !quoted;
                if quoted {
                    name.clear();
                    was_quoted = true;
                }
            }
            Some(c) if quoted || !matches!(c, '.' | ',') => {
                // What stands between a closing backtick and the next sign is space.
                if quoted || !was_quoted {
                    name.push(c);
                }
            }
            _ => {
                let whole = if was_quoted { name.as_str() } else { name.trim() };
                if !whole.is_empty() {
                    names.push(whole.to_owned());
                }
                name.clear();
                was_quoted = false;
                if next != Some('.') && !names.is_empty() {
                    paths.push(ColumnPath(std::mem::take(&mut names)));
                }
                if next.is_none() {
                    return paths;
                }
            }
        }
    }
}

/// The way back from [`parse_columns`].
pub fn format_columns(columns: &[ColumnPath]) -> String {
    let name = |name: &String| {
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        if plain { name.clone() } else { format!("`{}`", name.replace('`', "``")) }
    };
    let path = |path: &ColumnPath| path.0.iter().map(name).collect::<Vec<_>>().join(".");
    columns.iter().map(path).collect::<Vec<_>>().join(",")
}

/// `134217728`, `128mb`, `1g`.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c.is_whitespace());
    let shift = match text[digits.len()..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        _ => return None,
    };
    digits.trim().parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// An interval as Spark writes it (`interval 30 days`, `7 days 12 hours`), in milliseconds.
pub fn parse_interval_ms(text: &str) -> Option<i64> {
    let lower = text.trim().to_ascii_lowercase();
    let mut words = lower.strip_prefix("interval").unwrap_or(&lower).split_whitespace();
    let mut total: i64 = 0;
    let mut parts = 0;
    while let Some(count) = words.next() {
        let count: i64 = count.parse().ok().filter(|&count| count >= 0)?;
        let unit_ms = match words.next()?.trim_end_matches('s') {
            "week" => 7 * DAY_MS,
            "day" => DAY_MS,
            "hour" => 3_600_000,
            "minute" => 60_000,
            "second" => 1_000,
            "millisecond" => 1,
            _ => return None,
        };
        total = total.checked_add(count.checked_mul(unit_ms)?)?;
        parts += 1;
    }
    (parts > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn intervals_and_sizes_are_read_as_spark_writes_them() {
        assert_eq!(parse_interval_ms("interval 30 days"), Some(30 * DAY_MS));
        assert_eq!(parse_interval_ms("interval 1 week"), Some(7 * DAY_MS));
        assert_eq!(parse_interval_ms("2 hours 30 minutes"), Some(9_000_000));
        for bad in ["", "interval", "3", "days 3", "-1 days", "9223372036854775807 weeks"] {
            assert_eq!(parse_interval_ms(bad), None, "{bad}");
        }
        assert_eq!(parse_bytes("128mb"), Some(128 << 20));
        assert_eq!(parse_bytes("12"), Some(12));
        assert_eq!(parse_bytes("12 parsecs"), None);
    }

    #[test]
    fn nonsense_of_another_engine_counts_as_not_set() {
        let configuration = BTreeMap::from([
            ("delta.checkpointInterval".to_owned(), "never".to_owned()),
            ("delta.targetFileSize".to_owned(), "-5".to_owned()),
        ]);
        assert_eq!(TableProperties::parse(&configuration), TableProperties::default());
    }

    #[test]
    fn lists_of_columns_are_read_with_their_quotes() {
        let paths = |list: &str| parse_columns(list).into_iter().map(|path| path.0).collect::<Vec<_>>();
        assert_eq!(paths("a, b.c ,`x,y`.`p``q`.z,"), [vec!["a"], vec!["b", "c"], vec!["x,y", "p`q", "z"]]);
        assert_eq!(paths(" `a b` "), [["a b"]]);
        assert!(paths(" , ").is_empty());
        for list in ["a,b.c", "`x,y`.`p``q`,z"] {
            assert_eq!(format_columns(&parse_columns(list)), list);
        }
    }

    #[test]
    fn a_property_that_lake_does_not_act_on_is_refused_by_name() {
        let error = check_property_change("delta.enableIcebergCompatV2", "true").expect_err("not settable");
        assert_eq!((error.kind(), error.object()), (ErrorKind::Unsupported, Some("delta.enableIcebergCompatV2")));
        let error = check_property_change("delta.columnMapping.maxColumnId", "9").expect_err("not settable");
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(check_property_change("DELTA.appendonly", "true").expect("any case"), "delta.appendOnly");
        assert_eq!(check_property_change("delta.appendOnly", "x").expect_err("value").kind(), ErrorKind::Invalid);
        assert_eq!(check_property_change("owner", "").expect("free"), "owner");
    }
}
