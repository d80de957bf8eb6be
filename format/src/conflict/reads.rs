//! What a commit read to decide what it writes, and which of a winner's files that touches.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::Ground;
use crate::action::stats::Stats;
use crate::action::{Add, partition_value};
use crate::expr::{BoundsSource, ColumnBounds, ColumnPath, Predicate, Verdict, judge};
use crate::protocol::column_mapping;
use crate::replay::{FileKey, Home};
use crate::schema::DataType;
use crate::schema::mapping::physical_name;
use crate::schema::widening::was_float;

/// What a commit read to decide what it writes.
#[derive(Clone, Debug, PartialEq)]
pub enum Reads {
    /// Nothing but schema and protocol: a blind append.
    Nothing,
    /// Only the files that it removes, whose rows it keeps: compaction.
    OwnFiles,
    /// The rows, files and marks that the set names.
    Of(Box<ReadSet>),
    /// Every file of the table.
    WholeTable,
}

/// Part of a table that was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ReadSet {
    /// Every row was looked at for which one of these can be true.
    predicates: Vec<Predicate>,
    /// Files that were read, by their decoded paths, whatever their deletion vectors.
    files: BTreeSet<String>,
    /// Applications whose progress was read.
    apps: BTreeSet<String>,
}

impl ReadSet {
    /// Every row for which `predicate` can be true was looked at.
    #[must_use]
    pub fn matching(mut self, predicate: Predicate) -> Self {
        self.predicates.push(predicate);
        self
    }

    /// The file of `add` was read, of the table at `home`.
    pub fn file(&mut self, add: &Add, home: &Home) {
        self.files.insert(FileKey::of_add(add, home).path().to_owned());
    }

    /// The progress of an application was read.
    #[must_use]
    pub fn app(mut self, app_id: impl Into<String>) -> Self {
        self.apps.insert(app_id.into());
        self
    }
}

impl From<ReadSet> for Reads {
    fn from(set: ReadSet) -> Self {
        Self::Of(Box::new(set))
    }
}

impl Reads {
    /// Whether no row and no file was read.
    pub(super) fn sees_no_rows(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Of(set) => set.predicates.is_empty() && set.files.is_empty(),
            Self::OwnFiles | Self::WholeTable => false,
        }
    }

    /// Whether the file at a decoded path was read. Files that a commit removes itself are another rule's.
    pub(super) fn covers_file(&self, path: &str) -> bool {
        match self {
            Self::WholeTable => true,
            Self::Of(set) => set.files.contains(path),
            Self::Nothing | Self::OwnFiles => false,
        }
    }

    pub(super) fn covers_app(&self, app_id: &str) -> bool {
        matches!(self, Self::Of(set) if set.apps.contains(app_id))
    }

    /// Whether a file that came later can hold rows that would have been read. Judged by its partition values and,
    /// where they do not decide, by its statistics, which bound its rows from outside.
    pub(super) fn may_hold(&self, add: &Add, ground: Ground<'_>) -> bool {
        match self {
            Self::Nothing | Self::OwnFiles => false,
            Self::WholeTable => true,
            Self::Of(set) => {
                let source = AddedFile { add, ground, stats: OnceCell::new() };
                set.predicates.iter().any(|predicate| judge(predicate, &source) != Verdict::NoneTrue)
            }
        }
    }
}

/// What partition values and statistics prove of the rows of `add` in the table `ground`.
pub(crate) fn judge_file(predicate: &Predicate, add: &Add, ground: Ground<'_>) -> Verdict {
    judge(predicate, &AddedFile { add, ground, stats: OnceCell::new() })
}

/// Bounds of a file, as its `add` gives them.
struct AddedFile<'a> {
    add: &'a Add,
    ground: Ground<'a>,
    stats: OnceCell<Option<Stats>>,
}

impl BoundsSource for AddedFile<'_> {
    fn bounds(&self, column: &ColumnPath) -> Option<ColumnBounds> {
        let mapping = column_mapping(self.ground.protocol, self.ground.metadata);
        let mut fields = &self.ground.schema.fields;
        let mut physical = Vec::with_capacity(column.0.len());
        for (depth, name) in column.0.iter().enumerate() {
            let field = fields.iter().find(|field| field.name.to_lowercase() == name.to_lowercase())?;
            physical.push(physical_name(field, mapping).to_owned());
            match &field.data_type {
                DataType::Primitive(primitive) if depth + 1 == column.0.len() => {
                    let partitions = &self.ground.metadata.partition_columns;
                    if depth == 0 && partitions.iter().any(|name| name.to_lowercase() == field.name.to_lowercase()) {
                        let text = self.partition_text(&physical[0]);
                        return partition_value::parse(text, primitive).ok().map(ColumnBounds::constant);
                    }
                    let stats = self.stats.get_or_init(|| self.add.stats.as_deref().and_then(Stats::parse));
                    let bounds = stats.as_ref()?.bounds(&ColumnPath(physical), primitive);
                    return Some(if was_float(field) { bounds.of_narrower_floats() } else { bounds });
                }
                DataType::Struct(inner) => fields = &inner.fields,
                _ => return None,
            }
        }
        None
    }
}

impl AddedFile<'_> {
    /// A key that is not there is null.
    fn partition_text(&self, name: &str) -> Option<&str> {
        let values = &self.add.partition_values;
        let same = || values.iter().find(|(key, _)| key.to_lowercase() == name.to_lowercase()).map(|(_, value)| value);
        values.get(name).or_else(same)?.as_deref()
    }
}
