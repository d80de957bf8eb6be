//! Statistics as text, many at a time, to columns: those of wanted columns alone, in one pass over each text.

use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int64Builder};
use arrow_array::{Array, ArrayRef, StringArray, StructArray, new_null_array};
use arrow_buffer::{NullBuffer, NullBufferBuilder};
use arrow_schema::{DataType, Field, Fields};

use super::super::stats::{self, Stats};
use super::encode::structure;
use super::json_walk::{Taken, Walk};
use super::parsed::ParsedStats;
use super::values::Values;
use crate::error::Result;
use crate::expr::ColumnPath;
use crate::schema::{PrimitiveType, arrow_primitive};

/// A column whose statistics are wanted, by physical names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsColumn {
    /// Names, outermost first.
    pub path: ColumnPath,
    /// The type of its bounds; `None` where it has none that order files: of it only nulls are counted.
    pub bounds: Option<PrimitiveType>,
}

/// Which statistics become columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatsShape {
    columns: Vec<StatsColumn>,
    counts: bool,
}

impl StatsShape {
    /// The bounds of these columns; with `counts` also the rows of the file and the nulls in each column.
    pub fn new(columns: Vec<StatsColumn>, counts: bool) -> Self {
        Self { columns, counts }
    }

    /// Whether rows and nulls are counted.
    pub fn counts(&self) -> bool {
        self.counts
    }

    /// The columns.
    pub fn columns(&self) -> &[StatsColumn] {
        &self.columns
    }

    /// The fields of a column `stats_parsed` of this shape.
    ///
    /// # Errors
    /// As [`StatsShape::read`].
    pub fn fields(&self) -> Result<Fields> {
        Ok(self.read(&StringArray::new_null(0))?.array().fields().clone())
    }

    /// The statistics of `texts`, a row for each. A text that is no statistics is a row without any.
    ///
    /// # Errors
    /// `Internal` when the columns do not fit together.
    pub fn read(&self, texts: &StringArray) -> Result<ParsedStats> {
        let mut reader = Reader::new(self, texts.len());
        for text in texts {
            reader.push(text);
        }
        reader.finish()
    }

    /// Statistics of this shape from columns: rows and tight bounds, then least, greatest and nulls of each column.
    /// Where one is missing it is null.
    ///
    /// # Errors
    /// `Internal` when they do not fit together.
    pub(super) fn assemble(
        &self,
        rows: usize,
        valid: Option<NullBuffer>,
        [num_records, tight_bounds]: [Option<ArrayRef>; 2],
        columns: Vec<[Option<ArrayRef>; 3]>,
    ) -> Result<ParsedStats> {
        let or_null =
            |array: Option<ArrayRef>, data_type: DataType| array.unwrap_or_else(|| new_null_array(&data_type, rows));
        let (mut min, mut max, mut nulls) = (Tree::default(), Tree::default(), Tree::default());
        for (column, [low, high, count]) in self.columns.iter().zip(columns) {
            let path = column.path.0.as_slice();
            if let Some(data_type) = column.bounds {
                min.insert(path, or_null(low, arrow_primitive(data_type)));
                max.insert(path, or_null(high, arrow_primitive(data_type)));
            }
            nulls.insert(path, or_null(count, DataType::Int64));
        }
        let mut all = Tree::default();
        if self.counts {
            all.insert(&["numRecords"], or_null(num_records, DataType::Int64));
            all.insert(&["tightBounds"], or_null(tight_bounds, DataType::Boolean));
        }
        let sections = [("minValues", min), ("maxValues", max), ("nullCount", nulls)];
        let wanted = sections
            .into_iter()
            .filter(|(name, tree)| !tree.members.is_empty() && (self.counts || *name != "nullCount"));
        all.members.extend(wanted.map(|(name, tree)| (name.to_owned(), tree)));
        all.structure(rows, valid).map(ParsedStats::new)
    }
}

const SECTIONS: [&str; 3] = ["minValues", "maxValues", "nullCount"];

/// Columns being filled, row by row.
struct Reader<'s, 't> {
    shape: &'s StatsShape,
    walk: Walk,
    taken: Taken<'t>,
    valid: NullBufferBuilder,
    num_records: Slot<Int64Builder>,
    tight_bounds: Slot<BooleanBuilder>,
    columns: Vec<ColumnSlots>,
}

/// Where a walk has a value's text, and what takes the value.
struct Slot<B> {
    at: usize,
    values: B,
}

struct ColumnSlots {
    min: Option<Slot<Values>>,
    max: Option<Slot<Values>>,
    nulls: Slot<Int64Builder>,
}

impl<'s, 't> Reader<'s, 't> {
    fn new(shape: &'s StatsShape, rows: usize) -> Self {
        let mut walk = Walk::new();
        let num_records = Slot { at: walk.want(["numRecords"]), values: Int64Builder::with_capacity(rows) };
        let tight_bounds = Slot { at: walk.want(["tightBounds"]), values: BooleanBuilder::with_capacity(rows) };
        let columns = shape.columns.iter().map(|column| {
            let mut at = |section| walk.want(std::iter::once(section).chain(column.path.0.iter().map(String::as_str)));
            let mut bound =
                |section| column.bounds.map(|data_type| Slot { at: at(section), values: Values::new(data_type, rows) });
            let (min, max) = (bound("minValues"), bound("maxValues"));
            ColumnSlots { min, max, nulls: Slot { at: at("nullCount"), values: Int64Builder::new() } }
        });
        let columns = columns.collect();
        // So that each is known when it stands there twice.
        for section in SECTIONS {
            walk.know(section);
        }
        let (taken, valid) = (Taken::new(), NullBufferBuilder::new(rows));
        Self { shape, walk, taken, valid, num_records, tight_bounds, columns }
    }

    fn push(&mut self, text: Option<&'t str>) {
        match text {
            Some(text) if self.walk.over(text, &mut self.taken) => self.push_taken(),
            // Rare spellings and damage go the long way, which has the last word.
            Some(text) => self.push_parsed(Stats::parse(text).as_ref()),
            None => self.push_parsed(None),
        }
    }

    fn push_taken(&mut self) {
        let taken = &self.taken;
        let rows = taken[self.num_records.at].and_then(stats::rows_of);
        self.valid.append_non_null();
        self.num_records.values.append_option(rows);
        self.tight_bounds
            .values
            .append_option(taken[self.tight_bounds.at].filter(|text| *text != "true").map(|_| false));
        for column in &mut self.columns {
            for (slot, is_max) in [(&mut column.min, false), (&mut column.max, true)] {
                if let Some(slot) = slot {
                    push_text(&mut slot.values, taken[slot.at], is_max);
                }
            }
            let nulls = taken[column.nulls.at].and_then(|text| stats::nulls_of(text, rows));
            column.nulls.values.append_option(nulls);
        }
    }

    fn push_parsed(&mut self, found: Option<&Stats>) {
        self.valid.append(found.is_some());
        self.num_records.values.append_option(found.and_then(|stats| stats.num_records));
        self.tight_bounds.values.append_option(found.filter(|stats| !stats.tight_bounds).map(|_| false));
        for (column, slots) in self.shape.columns.iter().zip(&mut self.columns) {
            let bounds = found.zip(column.bounds).map(|(stats, data_type)| stats.bounds(&column.path, &data_type));
            let (min, max) = bounds.map_or((None, None), |bounds| (bounds.min, bounds.max));
            if let Some(slot) = &mut slots.min {
                slot.values.push(min);
            }
            if let Some(slot) = &mut slots.max {
                slot.values.push(max.map(stats::narrowed_scalar));
            }
            slots.nulls.values.append_option(found.and_then(|stats| stats.null_count(&column.path)));
        }
    }

    fn finish(mut self) -> Result<ParsedStats> {
        let columns = self.columns.iter_mut().map(|slots| {
            let bound = |slot: &mut Option<Slot<Values>>| slot.as_mut().map(|slot| slot.values.finish());
            let nulls: ArrayRef = Arc::new(slots.nulls.values.finish());
            [bound(&mut slots.min), bound(&mut slots.max), Some(nulls)]
        });
        let columns = columns.collect();
        let num_records = Some(Arc::new(self.num_records.values.finish()) as ArrayRef);
        let tight_bounds = Some(Arc::new(self.tight_bounds.values.finish()) as ArrayRef);
        self.shape.assemble(self.valid.len(), self.valid.finish(), [num_records, tight_bounds], columns)
    }
}

/// Takes a bound as a walk found it.
fn push_text(values: &mut Values, text: Option<&str>, is_max: bool) {
    match (&mut *values, text) {
        // Without escapes, as a walk leaves texts.
        (Values::Text(builder), Some(text)) if text.len() > 1 && text.starts_with('"') => {
            builder.append_value(&text[1..text.len() - 1]);
        }
        _ => {
            let value = text.and_then(|text| stats::bound_of(text, values.data_type(), is_max));
            values.push(if is_max { value.map(stats::narrowed_scalar) } else { value });
        }
    }
}

/// Columns by nested names, in the order in which they came.
#[derive(Default)]
struct Tree {
    leaf: Option<ArrayRef>,
    members: Vec<(String, Tree)>,
}

impl Tree {
    fn insert<S: AsRef<str>>(&mut self, path: &[S], array: ArrayRef) {
        let Some((first, rest)) = path.split_first() else {
            self.leaf = Some(array);
            return;
        };
        let at = self.members.iter().position(|(name, _)| name == first.as_ref()).unwrap_or_else(|| {
            self.members.push((first.as_ref().to_owned(), Self::default()));
            self.members.len() - 1
        });
        self.members[at].1.insert(rest, array);
    }

    fn structure(self, rows: usize, nulls: Option<NullBuffer>) -> Result<StructArray> {
        let (mut fields, mut columns) = (Vec::new(), Vec::new());
        for (name, tree) in self.members {
            let column = match tree.leaf {
                Some(array) => array,
                None => Arc::new(tree.structure(rows, nulls.clone())?),
            };
            fields.push(Field::new(name, column.data_type().clone(), true));
            columns.push(column);
        }
        if columns.is_empty() {
            return Ok(StructArray::new_empty_fields(rows, nulls));
        }
        structure(Fields::from(fields), columns, nulls)
    }
}

#[cfg(test)]
mod tests;
