//! Every pair of commits, and the page that shows them.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::action::{DeletionVectorDescriptor, DomainMetadata, Remove, Txn};
use crate::error::ErrorKind;
use crate::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use crate::replay::Home;
use crate::schema::{DataType, PrimitiveType, StructField};

fn add_in(path: &str, p: Option<&str>, ids: Option<(i64, i64)>, data_change: bool) -> Action {
    let stats = ids.map(|(min, max)| {
        format!(r#"{{"numRecords":2,"minValues":{{"id":{min}}},"maxValues":{{"id":{max}}},"nullCount":{{"id":0}}}}"#)
    });
    let partition_values = BTreeMap::from([("p".to_owned(), p.map(str::to_owned))]);
    Action::Add(Box::new(Add { path: path.into(), partition_values, stats, data_change, ..Add::default() }))
}

fn add(path: &str, p: &str) -> Action {
    add_in(path, Some(p), None, true)
}

fn moved(path: &str, p: &str) -> Action {
    add_in(path, Some(p), None, false)
}

fn remove(path: &str, data_change: bool) -> Action {
    Action::Remove(Box::new(Remove { path: path.into(), data_change, ..Remove::default() }))
}

fn txn(app: &str) -> Action {
    Action::Txn(Txn { app_id: app.into(), version: 1, last_updated: None })
}

fn domain(name: &str) -> Action {
    Action::Domain(DomainMetadata { domain: name.into(), ..DomainMetadata::default() })
}

fn metadata() -> Action {
    Action::Metadata(Box::default())
}

fn features(names: &[&str]) -> Protocol {
    let writer_features = Some(names.iter().map(|&name| name.to_owned()).collect());
    Protocol { min_reader_version: 1, min_writer_version: 7, reader_features: None, writer_features }
}

fn p_is(value: &str) -> Predicate {
    let value = Scalar::String(value.into());
    Predicate::Compare { column: ColumnPath::top("p"), op: CompareOp::Eq, value }
}

fn id_below(value: i64) -> Predicate {
    Predicate::Compare { column: ColumnPath::top("id"), op: CompareOp::Lt, value: Scalar::Long(value) }
}

/// A read of the rows that match, which are in the named files.
fn rows(predicate: Predicate, files: &[&str]) -> Reads {
    let mut set = ReadSet::default().matching(predicate);
    for path in files {
        set.file(&Add { path: (*path).into(), ..Add::default() }, &Home::default());
    }
    set.into()
}

/// A table with the partitions `1` (file `x`) and `2` (file `y`).
struct Table {
    protocol: Protocol,
    metadata: Metadata,
    schema: StructType,
    home: Home,
}

impl Table {
    fn new() -> Self {
        let field = |name: &str, primitive| StructField::new(name, DataType::Primitive(primitive), true);
        Self {
            protocol: features(&["appendOnly", "domainMetadata"]),
            metadata: Metadata { partition_columns: vec!["p".into()], ..Metadata::default() },
            schema: StructType::new(vec![field("p", PrimitiveType::String), field("id", PrimitiveType::Long)]),
            home: Home::default(),
        }
    }

    fn ground(&self, isolation: IsolationLevel) -> Ground<'_> {
        Ground { protocol: &self.protocol, metadata: &self.metadata, schema: &self.schema, isolation, home: &self.home }
    }

    fn rule(&self, level: IsolationLevel, mine: &Commit, winner: &Commit) -> Option<&'static str> {
        overlap(mine.mine(), self.ground(level), &winner.written()).map(|overlap| overlap.rule)
    }
}

struct Commit {
    name: &'static str,
    actions: Vec<Action>,
    reads: Reads,
}

impl Commit {
    fn new(name: &'static str, actions: Vec<Action>, reads: Reads) -> Self {
        Self { name, actions, reads }
    }

    fn mine(&self) -> Mine<'_> {
        Mine { actions: &self.actions, reads: &self.reads }
    }

    /// As its writer would have it in the log.
    fn written(&self) -> Vec<Action> {
        let is_blind_append = Some(is_blind_append(self.mine()));
        let info = CommitInfo { operation: Some(self.name.to_owned()), is_blind_append, ..CommitInfo::default() };
        [vec![Action::CommitInfo(Box::new(info))], self.actions.clone()].concat()
    }
}

/// What wants to be a version. All of them speak of partition `1` where they speak of one.
fn all_mine() -> Vec<Commit> {
    use Reads::{Nothing, OwnFiles, WholeTable};
    let new = || add("m", "1");
    vec![
        Commit::new("append", vec![new()], Nothing),
        Commit::new("append with new columns", vec![metadata(), new()], Nothing),
        Commit::new("append for application `a`", vec![new(), txn("a")], Nothing),
        Commit::new("overwrite", vec![remove("x", true), remove("y", true), new()], WholeTable),
        Commit::new("overwrite where p = 1", vec![remove("x", true), new()], rows(p_is("1"), &["x"])),
        Commit::new("dynamic overwrite of p = 1", vec![remove("x", true), new()], rows(p_is("1"), &["x"])),
        Commit::new("delete from `x`", vec![remove("x", true)], rows(p_is("1"), &["x"])),
        Commit::new("compaction of `x`", vec![remove("x", false), moved("m", "1")], OwnFiles),
        Commit::new("metadata change", vec![metadata()], Nothing),
        Commit::new("protocol change", vec![Action::Protocol(features(&["appendOnly"]))], Nothing),
        Commit::new("domain `d`", vec![domain("d")], Nothing),
    ]
}

/// What came first.
fn all_winners() -> Vec<Commit> {
    use Reads::{Nothing, OwnFiles, WholeTable};
    let with = |feature: &str| Action::Protocol(features(&["appendOnly", "domainMetadata", feature]));
    vec![
        Commit::new("append to p = 1", vec![add("w", "1")], Nothing),
        Commit::new("append to p = 2", vec![add("w", "2")], Nothing),
        Commit::new("append for application `a`", vec![add("w", "2"), txn("a")], Nothing),
        Commit::new("append for application `b`", vec![add("w", "2"), txn("b")], Nothing),
        Commit::new("overwrite", vec![remove("x", true), remove("y", true), add("w", "2")], WholeTable),
        Commit::new("overwrite where p = 1", vec![remove("x", true), add("w", "1")], rows(p_is("1"), &["x"])),
        Commit::new("overwrite where p = 2", vec![remove("y", true), add("w", "2")], rows(p_is("2"), &["y"])),
        Commit::new("delete from `x`", vec![remove("x", true)], rows(p_is("1"), &["x"])),
        Commit::new("delete from `y`", vec![remove("y", true)], rows(p_is("2"), &["y"])),
        Commit::new("compaction of `x`", vec![remove("x", false), moved("w", "1")], OwnFiles),
        Commit::new("compaction of `y`", vec![remove("y", false), moved("w", "2")], OwnFiles),
        Commit::new("metadata change", vec![metadata()], Nothing),
        Commit::new("protocol: a harmless feature more", vec![with("deletionVectors")], Nothing),
        Commit::new("protocol: another feature more", vec![with("checkConstraints")], Nothing),
        Commit::new("protocol: a feature less", vec![Action::Protocol(features(&["appendOnly"]))], Nothing),
        Commit::new("domain `d`", vec![domain("d")], Nothing),
        Commit::new("domain `e`", vec![domain("e")], Nothing),
        Commit::new("domain `delta.rowTracking`", vec![domain(ROW_TRACKING_DOMAIN)], Nothing),
    ]
}

fn matrix(level: IsolationLevel) -> String {
    let (table, all) = (Table::new(), all_mine());
    let names: Vec<&str> = all.iter().map(|mine| mine.name).collect();
    let mut page = format!("| winner \\ mine | {} |\n|{}\n", names.join(" | "), " --- |".repeat(names.len() + 1));
    for winner in all_winners() {
        let cells: Vec<&str> = all.iter().map(|mine| table.rule(level, mine, &winner).unwrap_or("rebase")).collect();
        page += &format!("| {} | {} |\n", winner.name, cells.join(" | "));
    }
    page
}

const START: &str = "<!-- generated: LAKE_BLESS=1 cargo test -p lake-format conflicts_page -->\n";
const END: &str = "<!-- end of the generated part -->\n";

#[test]
fn the_conflicts_page_is_up_to_date() {
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let path = format!("{here}/../spec/conflicts.md");
    let page = std::fs::read_to_string(&path).expect("spec/conflicts.md");
    let (before, rest) = page.split_once(START).expect("a generated part");
    let (_, after) = rest.split_once(END).expect("its end");
    let (serializable, relaxed) = (matrix(IsolationLevel::Serializable), matrix(IsolationLevel::WriteSerializable));
    let wanted =
        format!("{before}{START}\n## Serializable\n\n{serializable}\n## WriteSerializable\n\n{relaxed}\n{END}{after}");
    if std::env::var_os("LAKE_BLESS").is_some() {
        std::fs::write(path, &wanted).expect("spec/conflicts.md");
        return;
    }
    assert_eq!(page, wanted, "LAKE_BLESS=1 rewrites it");
}

/// The cells that matter most, written down by hand.
#[test]
fn pairs_rebase_or_give_way_as_the_rules_say() {
    use IsolationLevel::{Serializable, WriteSerializable};
    let cases: &[(IsolationLevel, &str, &str, Option<&str>)] = &[
        (Serializable, "append", "append to p = 1", None),
        (Serializable, "append", "overwrite", None),
        (Serializable, "append", "compaction of `x`", None),
        (Serializable, "append", "metadata change", Some("CON-5")),
        (Serializable, "append", "protocol: a harmless feature more", None),
        (Serializable, "append", "protocol: another feature more", Some("CON-9")),
        (Serializable, "append", "protocol: a feature less", Some("CON-9")),
        (Serializable, "append for application `a`", "append for application `a`", Some("CON-6")),
        (Serializable, "append for application `a`", "append for application `b`", None),
        (Serializable, "overwrite", "append to p = 2", Some("CON-2")),
        (WriteSerializable, "overwrite", "append to p = 2", None),
        (WriteSerializable, "overwrite", "overwrite where p = 2", Some("CON-2")),
        (WriteSerializable, "overwrite", "compaction of `x`", Some("CON-2")),
        (Serializable, "overwrite where p = 1", "append to p = 1", Some("CON-7")),
        (Serializable, "overwrite where p = 1", "append to p = 2", None),
        (Serializable, "overwrite where p = 1", "overwrite where p = 2", None),
        (Serializable, "overwrite where p = 1", "compaction of `y`", None),
        (Serializable, "overwrite where p = 1", "compaction of `x`", Some("CON-7")),
        (WriteSerializable, "overwrite where p = 1", "append to p = 1", None),
        (WriteSerializable, "overwrite where p = 1", "delete from `x`", Some("CON-8")),
        (Serializable, "delete from `x`", "delete from `x`", Some("CON-8")),
        (Serializable, "delete from `x`", "delete from `y`", None),
        (Serializable, "compaction of `x`", "append to p = 1", None),
        (Serializable, "compaction of `x`", "compaction of `y`", None),
        (Serializable, "compaction of `x`", "compaction of `x`", Some("CON-4")),
        (Serializable, "compaction of `x`", "delete from `x`", Some("CON-4")),
        (Serializable, "metadata change", "append to p = 1", None),
        (Serializable, "protocol change", "protocol: a harmless feature more", Some("CON-9")),
        (Serializable, "protocol change", "append to p = 1", None),
        (Serializable, "domain `d`", "domain `d`", Some("CON-6")),
        (Serializable, "domain `d`", "domain `e`", None),
    ];
    let table = Table::new();
    for &(level, mine, winner, wanted) in cases {
        let mine = all_mine().into_iter().find(|commit| commit.name == mine).expect("mine");
        let winner = all_winners().into_iter().find(|commit| commit.name == winner).expect("winner");
        let found = table.rule(level, &mine, &winner);
        assert_eq!(found, wanted, "{level:?}: {} after {}", mine.name, winner.name);
    }
}

#[test]
fn a_blind_append_gives_way_to_no_file_and_is_told_by_its_actions() {
    let [append, _, for_app, overwrite, ..] = &all_mine()[..] else { panic!() };
    assert!(is_blind_append(append.mine()) && is_blind_append(for_app.mine()), "CON-1");
    assert!(!is_blind_append(overwrite.mine()));
    let reading = Commit::new("append", vec![add("m", "1")], rows(p_is("1"), &[]));
    assert!(!is_blind_append(reading.mine()), "it has read rows");
    let app_only = Commit::new("append", vec![add("m", "1")], ReadSet::default().app("a").into());
    assert!(is_blind_append(app_only.mine()), "it has read a mark, but no row");
    assert_eq!(Table::new().rule(IsolationLevel::Serializable, &app_only, &all_winners()[2]), Some("CON-6"));
}

#[test]
fn a_winner_that_does_not_say_so_is_not_blind() {
    let table = Table::new();
    let ground = table.ground(IsolationLevel::WriteSerializable);
    let overwrite = &all_mine()[3];
    let silent = [add("w", "2")];
    assert_eq!(overlap(overwrite.mine(), ground, &silent).map(|found| found.rule), Some("CON-2"), "CON-10");
    let redefining = Commit::new(
        "overwrite with its schema",
        [vec![metadata()], overwrite.actions.clone()].concat(),
        Reads::WholeTable,
    );
    let blind = all_winners()[0].written();
    assert_eq!(overlap(overwrite.mine(), ground, &blind), None, "CON-11");
    assert_eq!(overlap(redefining.mine(), ground, &blind).map(|found| found.rule), Some("CON-2"), "CON-11");
}

#[test]
fn only_a_commit_that_moves_rows_runs_at_snapshot() {
    let level = |commit: &Commit| isolation(commit.mine(), IsolationLevel::WriteSerializable);
    let all = all_mine();
    for commit in &all {
        let wanted = if commit.name.starts_with("compaction") { "SnapshotIsolation" } else { "WriteSerializable" };
        assert_eq!(level(commit).as_str(), wanted, "CON-3: {}", commit.name);
    }
    let with_data = Commit::new("not only", vec![remove("x", false), add("m", "1")], Reads::OwnFiles);
    assert_eq!(level(&with_data), IsolationLevel::WriteSerializable, "CON-3");
}

#[test]
fn a_file_is_the_same_whatever_its_deletion_vector_and_spelling() {
    let vector = DeletionVectorDescriptor { storage_type: "u".into(), ..DeletionVectorDescriptor::default() };
    let theirs = Remove { path: "%78".into(), deletion_vector: Some(vector), ..Remove::default() };
    let winner = [Action::Remove(Box::new(theirs))];
    let table = Table::new();
    let ground = table.ground(IsolationLevel::Serializable);
    for (mine, rule) in [(&all_mine()[7], "CON-4"), (&all_mine()[4], "CON-8")] {
        assert_eq!(overlap(mine.mine(), ground, &winner).map(|found| found.rule), Some(rule), "{}", mine.name);
    }
}

#[test]
fn the_winner_the_rule_and_the_object_are_named() {
    let winner = all_winners().into_iter().find(|commit| commit.name == "delete from `x`").expect("winner");
    let (table, all) = (Table::new(), all_mine());
    let error = check(all[3].mine(), table.ground(IsolationLevel::Serializable), 3, &winner.written());
    let error = error.expect_err("conflict");
    assert_eq!((error.kind(), error.object()), (ErrorKind::Conflict, Some("x")));
    assert!(error.message().contains("version 3 (delete from `x`)") && error.message().contains("CON-2"), "{error}");
}

#[test]
fn statistics_and_partition_values_tell_what_a_winner_can_not_hold() {
    let table = Table::new();
    let ground = table.ground(IsolationLevel::Serializable);
    let below = rows(id_below(10), &[]);
    let cases = [
        (add_in("w", Some("1"), Some((10, 20)), true), &below, false),
        (add_in("w", Some("1"), Some((9, 20)), true), &below, true),
        (add_in("w", Some("1"), None, true), &below, true),
        (add_in("w", None, None, true), &rows(p_is("1"), &[]), false),
        (add_in("w", None, None, true), &rows(Predicate::IsNull(ColumnPath::top("P")), &[]), true),
        (add_in("w", Some("1"), None, true), &rows(p_is("1"), &[]), true),
    ];
    for (winner, reads, conflicts) in cases {
        let found = overlap(Mine { actions: &[], reads }, ground, std::slice::from_ref(&winner));
        assert_eq!(found.map(|found| found.rule), conflicts.then_some("CON-7"), "{winner:?}");
    }
    let mut mapped = Table::new();
    mapped.metadata.configuration.insert("delta.columnMapping.mode".into(), "name".into());
    let physical = serde_json::Value::from("col-1");
    mapped.schema.fields[0].metadata.insert("delta.columnMapping.physicalName".into(), physical);
    let other = Add { partition_values: BTreeMap::from([("col-1".into(), Some("2".into()))]), ..Add::default() };
    let reads = rows(p_is("1"), &[]);
    let ground = mapped.ground(IsolationLevel::Serializable);
    assert!(!reads.may_hold(&other, ground), "CON-7: partition values go by physical names");
}

proptest! {
    /// CON-7: a file that holds a row which was looked for is never overlooked.
    #[test]
    fn a_row_that_was_looked_for_is_never_overlooked(
        p in prop::option::of("[12]"),
        ids in prop::collection::vec(-5_i64..5, 1..4),
        limit in -6_i64..6,
        wanted in "[12]",
        either in any::<bool>(),
    ) {
        let bounds = (ids.iter().min().copied().unwrap_or(0), ids.iter().max().copied().unwrap_or(0));
        let winner = add_in("w", p.as_deref(), Some(bounds), true);
        let parts = vec![id_below(limit), p_is(&wanted)];
        let predicate = if either { Predicate::Or(parts) } else { Predicate::And(parts) };
        let matches = ids.iter().any(|&id| {
            let (below, same) = (id < limit, p.as_deref() == Some(wanted.as_str()));
            if either { below || same } else { below && same }
        });
        let table = Table::new();
        let reads = rows(predicate, &[]);
        let found = overlap(
            Mine { actions: &[], reads: &reads },
            table.ground(IsolationLevel::Serializable),
            std::slice::from_ref(&winner),
        );
        prop_assert!(found.is_some() || !matches);
    }
}
