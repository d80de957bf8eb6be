//! Statistics as text, many at a time, to columns: those of wanted columns alone, in one pass over each text.

use std::sync::Arc;

use arrow_array::builder::{
    BooleanBuilder, Date32Builder, Decimal128Builder, Float32Builder, Float64Builder, Int8Builder, Int16Builder,
    Int32Builder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{Array, ArrayRef, StringArray, StructArray, new_null_array};
use arrow_buffer::{NullBuffer, NullBufferBuilder};
use arrow_schema::{DataType, Field, Fields};

use super::super::stats::{self, Stats};
use super::encode::structure;
use super::json_walk::{Taken, Walk};
use super::parsed::ParsedStats;
use crate::error::Result;
use crate::expr::{ColumnPath, Scalar};
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
        reader.finish().map(ParsedStats::new)
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
                    slot.values.push_text(taken[slot.at], is_max);
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

    fn finish(mut self) -> Result<StructArray> {
        let (mut min, mut max, mut nulls) = (Tree::default(), Tree::default(), Tree::default());
        for (column, slots) in self.shape.columns.iter().zip(&mut self.columns) {
            let path = column.path.0.as_slice();
            if let Some(slot) = &mut slots.min {
                min.insert(path, slot.values.finish());
            }
            if let Some(slot) = &mut slots.max {
                max.insert(path, slot.values.finish());
            }
            nulls.insert(path, Arc::new(slots.nulls.values.finish()));
        }
        let mut all = Tree::default();
        if self.shape.counts {
            all.insert(&["numRecords"], Arc::new(self.num_records.values.finish()));
            all.insert(&["tightBounds"], Arc::new(self.tight_bounds.values.finish()));
        }
        for (section, tree) in [("minValues", min), ("maxValues", max)] {
            if !tree.members.is_empty() {
                all.members.push((section.to_owned(), tree));
            }
        }
        if self.shape.counts && !nulls.members.is_empty() {
            all.members.push(("nullCount".to_owned(), nulls));
        }
        all.structure(self.valid.len(), self.valid.finish())
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

/// Bounds of one column, being gathered in its type.
enum Values {
    Boolean(BooleanBuilder),
    Byte(Int8Builder),
    Short(Int16Builder),
    Integer(Int32Builder),
    Long(Int64Builder),
    Float(Float32Builder),
    Double(Float64Builder),
    Date(Date32Builder),
    Time(PrimitiveType, TimestampMicrosecondBuilder),
    Decimal(PrimitiveType, Decimal128Builder),
    Text(StringBuilder),
    /// Of a type without bounds.
    Nothing(usize),
}

impl Values {
    fn new(data_type: PrimitiveType, rows: usize) -> Self {
        match data_type {
            PrimitiveType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            PrimitiveType::Byte => Self::Byte(Int8Builder::with_capacity(rows)),
            PrimitiveType::Short => Self::Short(Int16Builder::with_capacity(rows)),
            PrimitiveType::Integer => Self::Integer(Int32Builder::with_capacity(rows)),
            PrimitiveType::Long => Self::Long(Int64Builder::with_capacity(rows)),
            PrimitiveType::Float => Self::Float(Float32Builder::with_capacity(rows)),
            PrimitiveType::Double => Self::Double(Float64Builder::with_capacity(rows)),
            PrimitiveType::Date => Self::Date(Date32Builder::with_capacity(rows)),
            PrimitiveType::Timestamp | PrimitiveType::TimestampNtz => {
                let builder = TimestampMicrosecondBuilder::with_capacity(rows);
                Self::Time(data_type, builder.with_data_type(arrow_primitive(data_type)))
            }
            PrimitiveType::Decimal { .. } => {
                let builder = Decimal128Builder::with_capacity(rows);
                Self::Decimal(data_type, builder.with_data_type(arrow_primitive(data_type)))
            }
            PrimitiveType::String => Self::Text(StringBuilder::with_capacity(rows, rows * 16)),
            _ => Self::Nothing(0),
        }
    }

    fn data_type(&self) -> PrimitiveType {
        match self {
            Self::Boolean(_) => PrimitiveType::Boolean,
            Self::Byte(_) => PrimitiveType::Byte,
            Self::Short(_) => PrimitiveType::Short,
            Self::Integer(_) => PrimitiveType::Integer,
            Self::Long(_) => PrimitiveType::Long,
            Self::Float(_) => PrimitiveType::Float,
            Self::Double(_) => PrimitiveType::Double,
            Self::Date(_) => PrimitiveType::Date,
            Self::Time(data_type, _) | Self::Decimal(data_type, _) => *data_type,
            Self::Text(_) => PrimitiveType::String,
            Self::Nothing(_) => PrimitiveType::Binary,
        }
    }

    /// Takes a bound as a walk found it.
    fn push_text(&mut self, text: Option<&str>, is_max: bool) {
        match (&mut *self, text) {
            // Without escapes, as a walk leaves texts.
            (Self::Text(builder), Some(text)) if text.len() > 1 && text.starts_with('"') => {
                builder.append_value(&text[1..text.len() - 1]);
            }
            _ => {
                let value = text.and_then(|text| stats::bound_of(text, self.data_type(), is_max));
                self.push(if is_max { value.map(stats::narrowed_scalar) } else { value });
            }
        }
    }

    fn push(&mut self, value: Option<Scalar>) {
        let long = match value {
            Some(Scalar::Long(value)) => Some(value),
            _ => None,
        };
        match (self, value) {
            (Self::Boolean(builder), Some(Scalar::Boolean(value))) => builder.append_value(value),
            (Self::Boolean(builder), _) => builder.append_null(),
            (Self::Byte(builder), _) => builder.append_option(long.and_then(|value| i8::try_from(value).ok())),
            (Self::Short(builder), _) => builder.append_option(long.and_then(|value| i16::try_from(value).ok())),
            (Self::Integer(builder), _) => builder.append_option(long.and_then(|value| i32::try_from(value).ok())),
            (Self::Long(builder), _) => builder.append_option(long),
            (Self::Float(builder), Some(Scalar::Float(value))) => builder.append_value(value),
            (Self::Float(builder), _) => builder.append_null(),
            (Self::Double(builder), Some(Scalar::Double(value))) => builder.append_value(value),
            (Self::Double(builder), _) => builder.append_null(),
            (Self::Date(builder), Some(Scalar::Date(value))) => builder.append_value(value),
            (Self::Date(builder), _) => builder.append_null(),
            (Self::Time(_, builder), Some(Scalar::Timestamp(value) | Scalar::TimestampNtz(value))) => {
                builder.append_value(value);
            }
            (Self::Time(_, builder), _) => builder.append_null(),
            (Self::Decimal(_, builder), Some(Scalar::Decimal { unscaled, .. })) => builder.append_value(unscaled),
            (Self::Decimal(_, builder), _) => builder.append_null(),
            (Self::Text(builder), Some(Scalar::String(value))) => builder.append_value(value),
            (Self::Text(builder), _) => builder.append_null(),
            (Self::Nothing(rows), _) => *rows += 1,
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(builder) => Arc::new(builder.finish()),
            Self::Byte(builder) => Arc::new(builder.finish()),
            Self::Short(builder) => Arc::new(builder.finish()),
            Self::Integer(builder) => Arc::new(builder.finish()),
            Self::Long(builder) => Arc::new(builder.finish()),
            Self::Float(builder) => Arc::new(builder.finish()),
            Self::Double(builder) => Arc::new(builder.finish()),
            Self::Date(builder) => Arc::new(builder.finish()),
            Self::Time(_, builder) => Arc::new(builder.finish()),
            Self::Decimal(_, builder) => Arc::new(builder.finish()),
            Self::Text(builder) => Arc::new(builder.finish()),
            Self::Nothing(rows) => new_null_array(&DataType::Binary, *rows),
        }
    }
}

#[cfg(test)]
mod tests;
