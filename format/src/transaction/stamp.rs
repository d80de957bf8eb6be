//! What a commit carries only once its version is known: row ids, row commit versions, the commit's own time.

use serde::{Deserialize, Serialize};

use crate::action::stats::Stats;
use crate::action::{Action, Add, DomainMetadata, Metadata, Protocol};
use crate::error::{Error, Result};
use crate::planted::{Defect, planted};
use crate::protocol::{ROW_TRACKING_DOMAIN, TableProperties, is_supported};
use crate::snapshot::Snapshot;

const ENABLEMENT_VERSION: &str = "delta.inCommitTimestampEnablementVersion";
const ENABLEMENT_TIMESTAMP: &str = "delta.inCommitTimestampEnablementTimestamp";

/// The actions of one attempt, and its own time where the table keeps one.
pub(super) struct Stamped {
    pub(super) actions: Vec<Action>,
    pub(super) in_commit_ms: Option<i64>,
}

/// What an attempt stands on.
#[derive(Clone, Copy)]
pub(super) struct Ground<'a> {
    /// The table before it; `None` for version 0.
    pub(super) head: Option<&'a Snapshot>,
    /// The version that it wants to be.
    pub(super) version: u64,
    /// The writer's time, milliseconds since the epoch.
    pub(super) now_ms: i64,
    /// The time of the version before, by the store.
    pub(super) previous_ms: Option<i64>,
}

/// Stamps `actions` for one attempt (COM-9, COM-10). Every attempt starts from the actions as staged.
///
/// # Errors
/// `Unsupported` for a file whose rows can't be numbered, `Corrupt` for a mark of row ids that is none.
pub(super) fn stamp(actions: &[Action], ground: Ground<'_>) -> Result<Stamped> {
    let mut actions = actions.to_vec();
    let (protocol, metadata) = after(&actions, ground.head);
    let properties = match ground.head {
        Some(head) if !actions.iter().any(|action| matches!(action, Action::Metadata(_))) => head.properties().clone(),
        _ => metadata.map(|metadata| TableProperties::parse(&metadata.configuration)).unwrap_or_default(),
    };
    let asks = |name| protocol.is_some_and(|protocol| is_supported(protocol, name));
    let (tracks, keeps_time) = (asks("rowTracking") && !properties.row_tracking_suspended, keeps_time(ground.head));
    let in_commit = asks("inCommitTimestamp") && properties.in_commit_timestamps;
    if tracks {
        number_rows(&mut actions, ground)?;
    }
    if !in_commit {
        return Ok(Stamped { actions, in_commit_ms: None });
    }
    let after_previous = ground.previous_ms.map_or(i64::MIN, |previous| previous.saturating_add(1));
    let at_ms = if planted(Defect::ClockTimes) { ground.now_ms } else { ground.now_ms.max(after_previous) };
    if ground.head.is_some() && !keeps_time {
        mark_enablement(&mut actions, ground.version, at_ms);
    }
    Ok(Stamped { actions, in_commit_ms: Some(at_ms) })
}

/// Whether the versions of a table carry their own time.
pub(super) fn keeps_time(head: Option<&Snapshot>) -> bool {
    head.is_some_and(|head| {
        head.properties().in_commit_timestamps && is_supported(head.protocol(), "inCommitTimestamp")
    })
}

/// Whether `actions` make a table keep its own time that does not yet.
pub(super) fn starts_keeping_time(actions: &[Action], head: Option<&Snapshot>) -> bool {
    let (protocol, metadata) = after(actions, head);
    let wanted = metadata.is_some_and(|m| TableProperties::parse(&m.configuration).in_commit_timestamps);
    head.is_some() && wanted && !keeps_time(head) && protocol.is_some_and(|p| is_supported(p, "inCommitTimestamp"))
}

/// The protocol and the description after `actions`.
pub(super) fn after<'a>(
    actions: &'a [Action],
    head: Option<&'a Snapshot>,
) -> (Option<&'a Protocol>, Option<&'a Metadata>) {
    let protocol = actions.iter().find_map(|action| match action {
        Action::Protocol(protocol) => Some(protocol),
        _ => None,
    });
    let metadata = actions.iter().find_map(|action| match action {
        Action::Metadata(metadata) => Some(metadata.as_ref()),
        _ => None,
    });
    (protocol.or(head.map(Snapshot::protocol)), metadata.or(head.map(Snapshot::metadata)))
}

/// Says from which version and time on the table keeps its own time.
fn mark_enablement(actions: &mut [Action], version: u64, at_ms: i64) {
    for action in actions {
        if let Action::Metadata(metadata) = action {
            metadata.configuration.insert(ENABLEMENT_VERSION.to_owned(), version.to_string());
            metadata.configuration.insert(ENABLEMENT_TIMESTAMP.to_owned(), at_ms.to_string());
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    row_id_high_water_mark: i64,
}

fn mark_of(domain: &DomainMetadata) -> Result<i64> {
    let mark: Mark = serde_json::from_str(&domain.configuration).map_err(|e| {
        Error::corrupt("the table's mark of row ids can't be read").with_object(ROW_TRACKING_DOMAIN).with_source(e)
    })?;
    Ok(mark.row_id_high_water_mark)
}

/// Gives every new row an id above all that were given before, and every new file the version as that of its rows.
/// A file that comes back keeps what it had.
fn number_rows(actions: &mut Vec<Action>, ground: Ground<'_>) -> Result<()> {
    let domain = ground.head.and_then(|head| head.domain(ROW_TRACKING_DOMAIN));
    let before = match domain {
        Some(domain) => mark_of(domain)?,
        None => -1,
    };
    let version = i64::try_from(ground.version)
        .map_err(|e| Error::internal("a version beyond the protocol's range").with_source(e))?;
    let mut mark = before;
    for action in actions.iter_mut() {
        let Action::Add(add) = action else { continue };
        add.default_row_commit_version.get_or_insert(version);
        match add.base_row_id {
            // Restored: it was given under this mark, or the mark is lifted over it.
            Some(base) => mark = mark.max(base.saturating_add(rows_of(add).unwrap_or(0)).saturating_sub(1)),
            None => {
                let rows = rows_of(add)?;
                add.base_row_id = Some(mark.checked_add(1).ok_or_else(exhausted)?);
                mark = mark.checked_add(rows).ok_or_else(exhausted)?;
            }
        }
    }
    if mark > before {
        let configuration = serde_json::to_string(&Mark { row_id_high_water_mark: mark })
            .map_err(|e| Error::internal("a mark of row ids can't be written").with_source(e))?;
        let domain = ROW_TRACKING_DOMAIN.to_owned();
        actions.push(Action::Domain(DomainMetadata { domain, configuration, removed: false }));
    }
    Ok(())
}

fn exhausted() -> Error {
    Error::unsupported("the table's row ids are used up")
        .with_hint("nothing was written; copy the table into a new one")
}

fn rows_of(add: &Add) -> Result<i64> {
    let rows = add.stats.as_deref().and_then(Stats::parse).and_then(|stats| stats.num_records);
    rows.ok_or_else(|| {
        Error::unsupported("a data file without a row count can't join a table of the feature \"rowTracking\"")
            .with_object(add.path.clone())
            .with_hint("nothing was written; give the file statistics with numRecords")
    })
}

/// What the versions of a table have counted up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marks {
    /// The newest version.
    pub version: u64,
    /// Its time, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// The highest row id given; -1 where none was.
    pub row_id: i64,
}

impl Marks {
    /// Those of `snapshot`.
    ///
    /// # Errors
    /// `Corrupt` for a mark of row ids that is none.
    pub fn of(snapshot: &Snapshot) -> Result<Self> {
        let row_id = snapshot.domain(ROW_TRACKING_DOMAIN).map_or(Ok(-1), mark_of)?;
        Ok(Self { version: snapshot.version(), timestamp_ms: snapshot.timestamp_ms(), row_id })
    }

    /// Those after a commit that another program stamped, if it carries all that a table of `protocol` and
    /// `properties`, as they are after it, asks of the next version (COM-9, COM-10).
    ///
    /// # Errors
    /// `Invalid` naming what is missing or wrong.
    pub fn after(self, protocol: &Protocol, properties: &TableProperties, actions: &[Action]) -> Result<Self> {
        let version = self.version + 1;
        let own_ms = crate::log::in_commit_ms(actions);
        if properties.in_commit_timestamps && is_supported(protocol, "inCommitTimestamp") {
            let own_ms = own_ms.ok_or_else(|| Error::invalid("the commit lacks its inCommitTimestamp"))?;
            if own_ms <= self.timestamp_ms {
                let last = self.timestamp_ms;
                return Err(Error::invalid(format!(
                    "the inCommitTimestamp {own_ms} is not after {last}, the last one"
                )));
            }
        }
        let domain = actions.iter().find_map(|action| match action {
            Action::Domain(domain) if domain.domain == ROW_TRACKING_DOMAIN => Some(domain),
            _ => None,
        });
        let row_id = domain.map_or(Ok(self.row_id), mark_of).map_err(|e| Error::invalid(e.message()))?;
        if row_id < self.row_id {
            return Err(Error::invalid("the mark of row ids goes down").with_object(ROW_TRACKING_DOMAIN));
        }
        if is_supported(protocol, "rowTracking") && !properties.row_tracking_suspended {
            for action in actions {
                if let Action::Add(add) = action {
                    self.check_ids(add, version, row_id).map_err(|e| e.with_object(add.path.clone()))?;
                }
            }
        }
        Ok(Self { version, timestamp_ms: own_ms.unwrap_or(self.timestamp_ms), row_id })
    }

    fn check_ids(self, add: &Add, version: u64, mark: i64) -> Result<()> {
        let (Some(base), Some(of)) = (add.base_row_id, add.default_row_commit_version) else {
            return Err(Error::invalid("a file joins without its baseRowId or defaultRowCommitVersion"));
        };
        let last = base.saturating_add(rows_of(add)?).saturating_sub(1);
        let of = u64::try_from(of).map_err(|_| Error::invalid("a file joins as of a version below 0"))?;
        if of > version || base < 0 || last > mark || (of == version && base <= self.row_id) {
            return Err(Error::invalid(format!(
                "a file joins with the row ids {base} to {last} of version {of}, which version {version} can't give out"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::error::ErrorKind;
    use crate::store::TableRoot;

    const SCHEMA: &str = r#"{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}}]}"#;

    fn start(features: &[&str], properties: &[(&str, &str)]) -> Vec<Action> {
        let protocol = Protocol {
            min_reader_version: 1,
            min_writer_version: 7,
            reader_features: None,
            writer_features: Some(features.iter().map(|&name| name.to_owned()).collect()),
        };
        let configuration = properties.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        let metadata = Metadata { schema_string: SCHEMA.to_owned(), configuration, ..Metadata::default() };
        vec![Action::Protocol(protocol), Action::Metadata(Box::new(metadata))]
    }

    fn head(actions: Vec<Action>) -> Snapshot {
        Snapshot::first(TableRoot::in_memory("t").expect("root"), SystemClock::shared(), actions, 50).expect("table")
    }

    fn add(path: &str, rows: Option<i64>) -> Action {
        let stats = rows.map(|rows| format!("{{\"numRecords\":{rows}}}"));
        Action::Add(Box::new(Add { path: path.into(), stats, data_change: true, ..Add::default() }))
    }

    fn ids(actions: &[Action]) -> Vec<(Option<i64>, Option<i64>)> {
        let ids = |action: &Action| match action {
            Action::Add(add) => Some((add.base_row_id, add.default_row_commit_version)),
            _ => None,
        };
        actions.iter().filter_map(ids).collect()
    }

    fn mark(actions: &[Action]) -> Option<&str> {
        actions.iter().find_map(|action| match action {
            Action::Domain(domain) if domain.domain == ROW_TRACKING_DOMAIN => Some(domain.configuration.as_str()),
            _ => None,
        })
    }

    #[test]
    fn rows_are_numbered_above_the_mark() {
        let tracked = ["rowTracking", "domainMetadata"];
        let mut actions = start(&tracked, &[]);
        let first = Ground { head: None, version: 0, now_ms: 1, previous_ms: None };
        actions.push(add("a", Some(3)));
        let stamped = stamp(&actions, first).expect("COM-10").actions;
        assert_eq!((ids(&stamped), mark(&stamped)), (vec![(Some(0), Some(0))], Some(r#"{"rowIdHighWaterMark":2}"#)));
        let table = head(stamped);
        let on = |version| Ground { head: Some(&table), version, now_ms: 1, previous_ms: Some(50) };
        let staged = [add("b", Some(2)), add("empty", Some(0)), add("c", Some(1))];
        for version in [4, 9] {
            let stamped = stamp(&staged, on(version)).expect("each attempt anew").actions;
            let at = i64::try_from(version).ok();
            assert_eq!(ids(&stamped), [(Some(3), at), (Some(5), at), (Some(5), at)], "COM-10");
            assert_eq!(mark(&stamped), Some(r#"{"rowIdHighWaterMark":5}"#));
        }
        let old = Add { path: "a".into(), base_row_id: Some(0), default_row_commit_version: Some(0), ..Add::default() };
        let back = Add { stats: Some("{\"numRecords\":3}".into()), ..old };
        let stamped = stamp(&[Action::Add(Box::new(back))], on(4)).expect("restored").actions;
        assert_eq!((ids(&stamped), mark(&stamped)), (vec![(Some(0), Some(0))], None), "what comes back keeps its ids");
        let error = stamp(&[add("d", None)], on(4)).err().expect("COM-10: no row count");
        assert_eq!((error.kind(), error.object()), (ErrorKind::Unsupported, Some("d")));
    }

    #[test]
    fn what_others_stamped_is_checked() {
        let on = [("delta.enableInCommitTimestamps", "true")];
        let mut first = start(&["rowTracking", "domainMetadata", "inCommitTimestamp"], &on);
        first.push(add("a", Some(3)));
        let ground = Ground { head: None, version: 0, now_ms: 90, previous_ms: None };
        let stamped = stamp(&first, ground).expect("stamped");
        let info = |own_ms| {
            let info = crate::action::CommitInfo { in_commit_timestamp: own_ms, ..Default::default() };
            Action::CommitInfo(Box::new(info))
        };
        let table = head([vec![info(stamped.in_commit_ms)], stamped.actions].concat());
        let marks = Marks::of(&table).expect("marks");
        assert_eq!(marks, Marks { version: 0, timestamp_ms: 90, row_id: 2 });
        let ground = Ground { head: Some(&table), version: 1, now_ms: 80, previous_ms: Some(90) };
        let ours = stamp(&[add("b", Some(2)), add("empty", Some(0))], ground).expect("stamped");
        let check = |own_ms, actions: &[Action]| {
            let actions = [vec![info(own_ms)], actions.to_vec()].concat();
            marks.after(table.protocol(), table.properties(), &actions)
        };
        let after = check(ours.in_commit_ms, &ours.actions).expect("COM-9, COM-10: ours");
        assert_eq!(after, Marks { version: 1, timestamp_ms: 91, row_id: 4 });
        let changed = |change: fn(&mut Add)| {
            let mut actions = ours.actions.clone();
            actions.iter_mut().for_each(|action| {
                if let Action::Add(add) = action {
                    change(add);
                }
            });
            actions
        };
        let wrong = [
            (None, ours.actions.clone(), "inCommitTimestamp"),
            (Some(90), ours.actions.clone(), "not after 90"),
            (Some(91), changed(|add| add.base_row_id = None), "baseRowId"),
            (Some(91), changed(|add| add.base_row_id = Some(2)), "can't give out"),
            (Some(91), changed(|add| add.base_row_id = Some(4)), "can't give out"),
            (Some(91), changed(|add| add.default_row_commit_version = Some(2)), "can't give out"),
            (Some(91), ours.actions[..1].to_vec(), "can't give out"),
        ];
        for (own_ms, actions, word) in wrong {
            let error = check(own_ms, &actions).expect_err(word);
            assert!(error.kind() == ErrorKind::Invalid && error.message().contains(word), "{word}: {error}");
        }
    }

    #[test]
    fn rows_are_not_numbered_where_nobody_asks() {
        let suspended = [("delta.rowTrackingSuspended", "true")];
        for start in [start(&["domainMetadata"], &[]), start(&["rowTracking", "domainMetadata"], &suspended)] {
            let table = head(start);
            let on = Ground { head: Some(&table), version: 1, now_ms: 1, previous_ms: Some(50) };
            let stamped = stamp(&[add("a", None)], on).expect("plain").actions;
            assert_eq!((ids(&stamped), mark(&stamped)), (vec![(None, None)], None));
        }
    }

    #[test]
    fn time_rises_and_the_first_version_that_keeps_it_is_noted() {
        let on = [("delta.enableInCommitTimestamps", "true")];
        let new = Ground { head: None, version: 0, now_ms: 90, previous_ms: None };
        let first = stamp(&start(&["inCommitTimestamp"], &on), new).expect("COM-9");
        assert_eq!(first.in_commit_ms, Some(90));
        let enablement = |actions: &[Action]| {
            let (_, metadata) = after(actions, None);
            let configuration = metadata.map(|m| m.configuration.clone()).unwrap_or_default();
            (configuration.get(ENABLEMENT_VERSION).cloned(), configuration.get(ENABLEMENT_TIMESTAMP).cloned())
        };
        assert_eq!(enablement(&first.actions), (None, None), "from the start");

        let plain = head(start(&["inCommitTimestamp"], &[]));
        let ground = Ground { head: Some(&plain), version: 7, now_ms: 20, previous_ms: Some(50) };
        let redefined = start(&["inCommitTimestamp"], &on)[1..].to_vec();
        assert!(starts_keeping_time(&redefined, Some(&plain)));
        let enabling = stamp(&redefined, ground).expect("COM-9");
        assert_eq!(enabling.in_commit_ms, Some(51), "after the version before, whatever the clock says");
        assert_eq!(enablement(&enabling.actions), (Some("7".into()), Some("51".into())));
        assert_eq!(stamp(&[], ground).expect("off").in_commit_ms, None);

        let unlisted = head(start(&[], &on));
        let ground = Ground { head: Some(&unlisted), ..ground };
        assert_eq!(stamp(&[], ground).expect("no feature").in_commit_ms, None, "the property alone says nothing");
    }
}
