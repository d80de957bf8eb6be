//! When a version was committed, and which version was the newest at a time.

use std::sync::Arc;

use super::{At, Snapshot};
use crate::action::{Protocol, partition_value};
use crate::clock::ClockRef;
use crate::error::{Error, Result};
use crate::expr::Scalar;
use crate::log::{LogPath, Timekeeping, list_log};
use crate::protocol::{TableProperties, is_supported};
use crate::replay::Header;
use crate::store::{ObjectInfo, TableRoot};

/// Where a table so described has its versions' times from (LOG-9). The property means nothing without the feature, and
/// a time in a commit means nothing without both.
pub(super) fn timekeeping(protocol: &Protocol, properties: &TableProperties) -> Timekeeping {
    if !properties.in_commit_timestamps || !is_supported(protocol, "inCommitTimestamp") {
        return Timekeeping::Files;
    }
    match (properties.in_commit_timestamp_enablement_version, properties.in_commit_timestamp_enablement_ms) {
        (Some(from_version), Some(from_ms)) => Timekeeping::Commits { from_version, from_ms },
        _ => Timekeeping::Commits { from_version: 0, from_ms: i64::MIN },
    }
}

/// The same, of what a version is.
pub(super) fn timekeeping_of(header: &Header) -> Timekeeping {
    timekeeping(&header.protocol, &TableProperties::parse(&header.metadata.configuration))
}

/// The newest version at or before `at_ms`.
///
/// # Errors
/// `NotFound` for a time before the oldest version in the log, and, unless `clamp`, for one after the newest.
pub(super) async fn version_at(root: &TableRoot, at_ms: i64, clamp: bool, clock: &ClockRef) -> Result<u64> {
    let newest = Box::pin(Snapshot::load(root.clone(), At::Latest, Arc::clone(clock))).await?;
    let keeping = timekeeping(newest.protocol(), newest.properties());
    let mut commits: Vec<(u64, ObjectInfo)> = Vec::new();
    for file in list_log(root, 0).await? {
        if let LogPath::Commit { version } = file.meaning
            && version <= newest.version()
        {
            // What stands before a gap belongs to no version that can be read.
            if commits.last().is_some_and(|(last, _)| last + 1 != version) {
                commits.clear();
            }
            commits.push((version, file.object));
        }
    }
    let found = keeping.newest_at(root, &commits, at_ms).await?;
    match found {
        Some(version) if version == newest.version() && !clamp => {
            // Asked for by its own time, or by one between it and what is yet to come?
            let newest_ms = newest_time(keeping, &newest, &commits);
            if at_ms > newest_ms { Err(too_late(root, &newest, newest_ms)) } else { Ok(version) }
        }
        Some(version) => Ok(version),
        None => {
            let oldest = commits.first().map_or(newest.version(), |(version, _)| *version);
            Err(Error::not_found(format!(
                "no version at or before that time; the oldest in the log is version {oldest}"
            ))
            .with_object(root.display())
            .with_hint("name a later time, or that version"))
        }
    }
}

/// The newest version's time by the rule that finds versions: files rise over the whole log.
fn newest_time(keeping: Timekeeping, newest: &Snapshot, commits: &[(u64, ObjectInfo)]) -> i64 {
    match keeping {
        Timekeeping::Commits { .. } => newest.timestamp_ms(),
        Timekeeping::Files => {
            let rise =
                |previous, (_, object): &(u64, ObjectInfo)| Some(crate::log::rising(object.modified_ms, previous));
            commits.iter().fold(None, rise).unwrap_or_else(|| newest.timestamp_ms())
        }
    }
}

fn too_late(root: &TableRoot, newest: &Snapshot, newest_ms: i64) -> Error {
    let moment = partition_value::format(&Scalar::Timestamp(newest_ms.saturating_mul(1000)));
    let moment = moment.ok().flatten().unwrap_or_else(|| format!("{newest_ms} ms"));
    Error::not_found(format!("that time is after the newest version, {}, which is of {moment}", newest.version()))
        .with_object(root.display())
        .with_hint("leave the time out to get the newest version")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::error::ErrorKind;
    use crate::log::commit_name;

    const SCHEMA: &str =
        r#"{\"type\":\"struct\",\"fields\":[{\"name\":\"id\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}"#;

    fn definition(configuration: &str) -> String {
        let protocol =
            r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":7,"writerFeatures":["inCommitTimestamp"]}}"#;
        format!(
            "{protocol}\n{{\"metaData\":{{\"id\":\"t\",\"format\":{{\"provider\":\"parquet\"}},\"schemaString\":\"{SCHEMA}\",\
             \"partitionColumns\":[],\"configuration\":{{{configuration}}}}}}}"
        )
    }

    async fn put(root: &TableRoot, version: u64, own_ms: i64, rest: &str) {
        let text = format!("{{\"commitInfo\":{{\"inCommitTimestamp\":{own_ms}}}}}\n{rest}\n");
        root.put(&root.child(&commit_name(version)).expect("path"), text.into()).await.expect("put");
    }

    async fn at(root: &TableRoot, at: At) -> Result<(u64, i64)> {
        let snapshot = Snapshot::load(root.clone(), at, SystemClock::shared()).await?;
        Ok((snapshot.version(), snapshot.timestamp_ms()))
    }

    const ON: &str = "\"delta.enableInCommitTimestamps\":\"true\"";

    #[tokio::test]
    async fn a_table_that_keeps_its_own_time_is_found_by_it() {
        let root = TableRoot::in_memory("t").expect("root");
        put(&root, 0, 1_000, &definition(ON)).await;
        put(&root, 1, 2_000, "").await;
        put(&root, 2, 3_000, "").await;
        for (ms, found) in [(1_000, (0, 1_000)), (2_999, (1, 2_000)), (3_000, (2, 3_000))] {
            assert_eq!(at(&root, At::Timestamp(ms)).await.expect("LOG-15"), found);
            assert_eq!(at(&root, At::NewestBy(ms)).await.expect("LOG-15"), found);
        }
        let late = at(&root, At::Timestamp(3_001)).await.expect_err("LOG-15");
        assert!(late.kind() == ErrorKind::NotFound && late.message().contains("1970-01-01"), "{late}");
        assert_eq!(at(&root, At::NewestBy(3_001)).await.expect("LOG-15"), (2, 3_000));
        for asked in [At::Timestamp(999), At::NewestBy(999)] {
            assert_eq!(at(&root, asked).await.expect_err("LOG-15").kind(), ErrorKind::NotFound);
        }
        let newest = Snapshot::load(root.clone(), At::Latest, SystemClock::shared()).await.expect("newest");
        newest.write_checkpoint().await.expect("checkpoint");
        assert_eq!(at(&root, At::Latest).await.expect("LOG-9: from the commit behind the checkpoint"), (2, 3_000));
        let times: Vec<i64> =
            super::super::history(&newest, 9).await.expect("history").iter().map(|e| e.timestamp_ms).collect();
        assert_eq!(times, [3_000, 2_000, 1_000], "LOG-9");
    }

    #[tokio::test]
    async fn a_table_that_began_to_keep_time_later_has_two_parts() {
        let root = TableRoot::in_memory("t").expect("root");
        let begins = SystemClock::shared().now_ms() + 1_000_000;
        put(&root, 0, 1_000, &definition("")).await;
        put(&root, 1, 2_000, "").await;
        let enablement = format!(
            "{ON},\"delta.inCommitTimestampEnablementVersion\":\"2\",\
             \"delta.inCommitTimestampEnablementTimestamp\":\"{begins}\""
        );
        put(&root, 2, begins, &definition(&enablement)).await;
        put(&root, 3, begins + 10, "").await;
        assert_eq!(at(&root, At::Timestamp(begins + 9)).await.expect("LOG-15"), (2, begins));
        assert_eq!(at(&root, At::Timestamp(begins - 1)).await.expect("LOG-15").0, 1, "among those before alone");
        assert_eq!(
            at(&root, At::Timestamp(2_500)).await.expect_err("LOG-9: files count there").kind(),
            ErrorKind::NotFound
        );
        put(&root, 4, begins + 20, &definition("\"delta.enableInCommitTimestamps\":\"false\"")).await;
        let (version, time) = at(&root, At::Latest).await.expect("newest");
        assert!(version == 4 && time < begins, "LOG-9: switched off, files count again");
        assert_eq!(at(&root, At::NewestBy(begins)).await.expect("LOG-15").0, 4);
    }
}
