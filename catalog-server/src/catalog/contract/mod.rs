//! The rules of a layer: which of them a commit breaks. A plain function of values.

mod columns;
mod limit;

use std::collections::BTreeMap;

use lake_catalog_api::{ColumnRule, Contract, Detail, Layer};
use lake_format::action::stats::Stats;
use lake_format::action::{Action, Add};
use lake_format::expr::{ColumnBounds, ColumnPath, Scalar};
use lake_format::protocol::column_mapping;
use lake_format::schema::mapping::physical_path;
use lake_format::schema::{DataType, PrimitiveType};

use super::head::TableHead;
use columns::find;
use columns::{Keep, changes};
pub(super) use columns::{check_contract, parse_type};
use limit::{Range, outside};

/// Field of `commitInfo` that names the tables a commit was made from.
pub const UPSTREAMS_KEY: &str = "lake.upstreams";

/// A table that another is made from, as the catalog has it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamState {
    /// Full name.
    pub name: String,
    /// Layer of its schema; `None` when there is no such table.
    pub layer: Option<Layer>,
}

/// A commit, and all that its judgement depends on.
#[derive(Debug)]
pub struct Case<'a> {
    /// Layer of the table's schema.
    pub layer: Layer,
    /// Who answers for the table.
    pub owner: Option<&'a str>,
    /// The table's contract.
    pub contract: Option<&'a Contract>,
    /// What the table is made from.
    pub upstreams: &'a [UpstreamState],
    /// What the commit itself says it was made from.
    pub commit_upstreams: &'a [UpstreamState],
    /// The table before the commit.
    pub before: &'a TableHead,
    /// The table after the commit.
    pub after: &'a TableHead,
    /// The commit.
    pub actions: &'a [Action],
}

/// Every rule that the commit breaks. Files with `dataChange=false` are not judged: the caller has it proved that their
/// rows were in the table before, as after compaction.
pub fn judge(case: &Case<'_>) -> Vec<Detail> {
    let mut broken = Vec::new();
    if removed_rows(case.actions) > 0 && append_only(case.before) {
        let message = "the table's property delta.appendOnly forbids the removal of rows".to_owned();
        broken.push(Detail { rule: "table.append_only".to_owned(), column: None, message });
    }
    if case.before.metadata.partition_columns != case.after.metadata.partition_columns {
        let message = "the files that are there are laid out by the partition columns: these stay as they are";
        broken.push(broken_rule("table.partition_columns", None, message));
    }
    match case.layer {
        Layer::Bronze => bronze(case, &mut broken),
        Layer::Silver => silver(case, &mut broken),
        Layer::Gold => gold(case, &mut broken),
        Layer::None => {}
    }
    broken
}

fn broken_rule(rule: &str, column: Option<&str>, message: impl Into<String>) -> Detail {
    Detail { rule: rule.to_owned(), column: column.map(str::to_owned), message: message.into() }
}

fn append_only(head: &TableHead) -> bool {
    head.metadata.configuration.get("delta.appendOnly").is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

fn removed_rows(actions: &[Action]) -> usize {
    actions.iter().filter(|action| matches!(action, Action::Remove(remove) if remove.data_change)).count()
}

fn changes_rows(actions: &[Action]) -> bool {
    actions.iter().any(|action| match action {
        Action::Add(add) => add.data_change,
        Action::Remove(remove) => remove.data_change,
        Action::Cdc(_) => true,
        _ => false,
    })
}

fn bronze(case: &Case<'_>, broken: &mut Vec<Detail>) {
    let removed = removed_rows(case.actions);
    if removed > 0 {
        let message = format!("bronze is append-only: {removed} data file(s) may not leave the table with their rows");
        broken.push(broken_rule("bronze.append_only", None, message));
    }
    for change in changes(&case.before.schema, &case.after.schema, Keep::Types) {
        broken.push(broken_rule("bronze.columns", Some(&change.column), change.what));
    }
}

fn silver(case: &Case<'_>, broken: &mut Vec<Detail>) {
    for change in changes(&case.before.schema, &case.after.schema, Keep::Equal) {
        broken.push(broken_rule("silver.types", Some(&change.column), change.what));
    }
    let contract = case.contract.map(|contract| contract.columns.as_slice()).unwrap_or_default();
    for problem in check_contract(contract, &case.after.schema) {
        // A rule that the columns no longer allow for. One that is told already is not told twice.
        if !broken.iter().any(|known| known.column == problem.column) {
            broken.push(Detail { rule: "silver.types".to_owned(), ..problem });
        }
    }
    let files: Vec<File<'_>> = case.actions.iter().filter_map(File::of).collect();
    if files.is_empty() {
        return;
    }
    for wanted in wanted_of(contract, case.after) {
        not_null(&wanted, case.after, &files, broken);
        range(&wanted, case.after, &files, broken);
    }
}

fn gold(case: &Case<'_>, broken: &mut Vec<Detail>) {
    if !changes_rows(case.actions) {
        return;
    }
    if case.owner.is_none_or(|owner| owner.trim().is_empty()) {
        broken.push(broken_rule("gold.owner", None, "a gold table needs an owner before it takes data"));
    }
    if case.upstreams.is_empty() {
        broken.push(broken_rule("gold.upstreams", None, "a gold table needs upstreams before it takes data"));
    }
    for upstream in case.upstreams.iter().chain(case.commit_upstreams) {
        broken.extend(upstream_problem(upstream));
    }
    broken.dedup();
}

/// What is wrong with `upstream` as an upstream of a gold table.
pub(super) fn upstream_problem(upstream: &UpstreamState) -> Option<Detail> {
    let name = &upstream.name;
    let message = match upstream.layer {
        None => format!("the upstream {name} is not in the catalog"),
        Some(Layer::Bronze) => format!("the upstream {name} is in bronze: gold takes nothing from there directly"),
        Some(_) => return None,
    };
    Some(broken_rule("gold.upstreams", None, message))
}

/// A new data file with the statistics that it came with.
struct File<'a> {
    add: &'a Add,
    stats: Option<Stats>,
}

impl<'a> File<'a> {
    fn of(action: &'a Action) -> Option<Self> {
        match action {
            Action::Add(add) if add.data_change => {
                Some(Self { add, stats: add.stats.as_deref().and_then(Stats::parse) })
            }
            _ => None,
        }
    }

    fn is_empty(&self) -> bool {
        self.stats.as_ref().is_some_and(|stats| stats.num_records == Some(0))
    }

    /// The value of a partition column; `None` for another column, an error for text that is no value.
    fn partition_value(&self, wanted: &Wanted<'_>, head: &TableHead) -> Option<Result<Scalar, ()>> {
        let [name] = wanted.path.0.as_slice() else { return None };
        head.metadata.partition_columns.iter().find(|column| *column == name)?;
        let key = wanted.physical.0.first().unwrap_or(name);
        let text = self.add.partition_values.get(key).and_then(Option::as_deref);
        let DataType::Primitive(primitive) = wanted.data_type else { return Some(Err(())) };
        Some(lake_format::action::partition_value::parse(text, primitive).map_err(|_| ()))
    }
}

/// What one column must keep.
struct Wanted<'a> {
    /// As the schema spells it.
    path: ColumnPath,
    /// As partition values and statistics spell it.
    physical: ColumnPath,
    data_type: &'a DataType,
    not_null: bool,
    range: Option<Range>,
}

impl Wanted<'_> {
    fn name(&self) -> String {
        self.path.0.join(".")
    }
}

/// The rules of the contract, and those of the columns that the schema itself declares NOT NULL.
fn wanted_of<'a>(contract: &[ColumnRule], head: &'a TableHead) -> Vec<Wanted<'a>> {
    let schema = &*head.schema;
    let mapping = column_mapping(&head.protocol, &head.metadata);
    let physical = |path: &ColumnPath| physical_path(schema, mapping, &path.0).map_or_else(|| path.clone(), ColumnPath);
    let mut wanted: BTreeMap<Vec<String>, Wanted<'a>> = BTreeMap::new();
    for rule in contract {
        let Some((path, field)) = find(schema, &rule.name) else { continue };
        let data_type = &field.data_type;
        let range = match data_type {
            DataType::Primitive(primitive) => Range::of(rule, primitive).ok().flatten(),
            _ => None,
        };
        let not_null = rule.nullable == Some(false) || !field.nullable;
        let physical = physical(&path);
        wanted.insert(path.0.clone(), Wanted { path, physical, data_type, not_null, range });
    }
    for field in schema.fields.iter().filter(|field| !field.nullable) {
        if matches!(field.data_type, DataType::Primitive(_)) {
            let path = ColumnPath::top(&field.name);
            let physical = physical(&path);
            wanted.entry(path.0.clone()).or_insert(Wanted {
                path,
                physical,
                data_type: &field.data_type,
                not_null: true,
                range: None,
            });
        }
    }
    wanted.into_values().collect()
}

/// How many files break a rule, and how the first one does.
#[derive(Default)]
struct Tally {
    broken: usize,
    first: String,
}

impl Tally {
    fn add(&mut self, how: impl FnOnce() -> String) {
        if self.broken == 0 {
            self.first = how();
        }
        self.broken += 1;
    }

    fn tell(self, rule: &str, wanted: &Wanted<'_>, files: usize, broken: &mut Vec<Detail>) {
        if self.broken > 0 {
            let message = format!("{} of {files} new data file(s): {}", self.broken, self.first);
            broken.push(broken_rule(rule, Some(&wanted.name()), message));
        }
    }
}

const NO_PROOF: &str = "the file's statistics don't prove it";

fn not_null(wanted: &Wanted<'_>, head: &TableHead, files: &[File<'_>], broken: &mut Vec<Detail>) {
    if !wanted.not_null {
        return;
    }
    let mut tally = Tally::default();
    for file in files.iter().filter(|file| !file.is_empty()) {
        match file.partition_value(wanted, head) {
            Some(Ok(Scalar::Null)) => tally.add(|| "the partition value is null".to_owned()),
            Some(Ok(_)) => {}
            Some(Err(())) => tally.add(|| "the partition value is no value of the column's type".to_owned()),
            None => match file.stats.as_ref().and_then(|stats| stats.null_count(&wanted.physical)) {
                Some(0) => {}
                Some(nulls) => tally.add(|| format!("{nulls} row(s) are null")),
                None => tally.add(|| format!("NOT NULL is asked for, and {NO_PROOF}")),
            },
        }
    }
    tally.tell("silver.not_null", wanted, files.len(), broken);
}

fn range(wanted: &Wanted<'_>, head: &TableHead, files: &[File<'_>], broken: &mut Vec<Detail>) {
    let (Some(range), DataType::Primitive(primitive)) = (&wanted.range, wanted.data_type) else { return };
    let mut tally = Tally::default();
    for file in files.iter().filter(|file| !file.is_empty()) {
        match file.partition_value(wanted, head) {
            Some(Ok(value)) => {
                if let Some(how) = outside(&ColumnBounds::constant(value), range, false) {
                    tally.add(|| how);
                }
            }
            Some(Err(())) => tally.add(|| "the partition value is no value of the column's type".to_owned()),
            None => {
                let bounds = file.stats.as_ref().map(|stats| stats.bounds(&wanted.physical, primitive));
                let rounded = matches!(primitive, PrimitiveType::Timestamp | PrimitiveType::TimestampNtz);
                let how = match bounds {
                    Some(bounds) => outside(&bounds, range, rounded),
                    None => Some(format!("a range is asked for, and {NO_PROOF}")),
                };
                if let Some(how) = how {
                    tally.add(|| how);
                }
            }
        }
    }
    tally.tell("silver.range", wanted, files.len(), broken);
}

#[cfg(test)]
mod tests;
