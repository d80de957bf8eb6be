//! Arrow arrays brought to a table's types without loss: what a file stores, and what a writer is given.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType,
};
use arrow_array::{Array, ArrayRef, Date32Array, ListArray, MapArray, PrimitiveArray, StructArray, new_null_array};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{ArrowError, DataType as ArrowType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

use crate::error::{Error, Result};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;

use crate::schema::mapping::{field_id, physical_name};
use crate::schema::{DataType, MappingMode, PrimitiveType, StructField, StructType, fits, from_arrow, to_arrow};

const MICROS_PER_SECOND: i64 = 1_000_000;
const MICROS_PER_MILLI: i64 = 1_000;
const NANOS_PER_MICRO: i64 = 1_000;
const MILLIS_PER_DAY: i64 = 24 * 60 * 60 * 1_000;

/// The Arrow schema that a scan of a table with `schema` answers in: the table's types, nullable throughout (map keys
/// aside), because files of other writers need not keep a NOT NULL rule and older files may lack the column.
///
/// # Errors
/// As [`to_arrow`].
pub fn read_schema(schema: &StructType) -> Result<SchemaRef> {
    let strict = to_arrow(schema)?;
    Ok(Arc::new(Schema::new(strict.fields().iter().map(nullable).collect::<Fields>())))
}

fn nullable(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        ArrowType::Struct(fields) => ArrowType::Struct(fields.iter().map(nullable).collect()),
        ArrowType::List(element) => ArrowType::List(nullable(element)),
        ArrowType::Map(entries, sorted) => ArrowType::Map(nullable_entries(entries), *sorted),
        other => other.clone(),
    };
    Arc::new(Field::new(field.name(), data_type, true))
}

fn nullable_entries(entries: &FieldRef) -> FieldRef {
    let ArrowType::Struct(parts) = entries.data_type() else { return Arc::clone(entries) };
    let part = |(i, field): (usize, &FieldRef)| {
        let free = nullable(field);
        if i == 0 { Arc::new(Field::clone(&free).with_nullable(false)) } else { free }
    };
    let parts: Fields = parts.iter().enumerate().map(part).collect();
    Arc::new(Field::new(entries.name(), ArrowType::Struct(parts), false))
}

/// Position of the field called `name`: an exact match, else the only one ignoring case. `Err` holds the number of
/// such fields when there are several.
pub(crate) fn position(fields: &Fields, name: &str) -> std::result::Result<Option<usize>, usize> {
    if let Some(exact) = fields.iter().position(|field| field.name() == name) {
        return Ok(Some(exact));
    }
    let lower = name.to_lowercase();
    let mut alike = fields.iter().enumerate().filter(|(_, field)| field.name().to_lowercase() == lower);
    match (alike.next(), alike.count()) {
        (found, 0) => Ok(found.map(|(i, _)| i)),
        (_, more) => Err(more + 1),
    }
}

/// Position in a file's `fields` of the table's `field`: by id, by physical name, or by name as [`position`] does. `Err`
/// holds the number of such fields when there are several (MAP-1).
pub(crate) fn stored_position(
    fields: &Fields,
    field: &StructField,
    mode: MappingMode,
) -> std::result::Result<Option<usize>, usize> {
    let matching = |test: &dyn Fn(&FieldRef) -> bool| {
        let mut found = fields.iter().enumerate().filter(|(_, stored)| test(stored));
        match (found.next(), found.count()) {
            (first, 0) => Ok(first.map(|(at, _)| at)),
            (_, more) => Err(more + 1),
        }
    };
    match mode {
        MappingMode::None => position(fields, &field.name),
        MappingMode::Name => matching(&|stored| stored.name() == physical_name(field, mode)),
        MappingMode::Id => match field_id(field) {
            Some(id) => matching(&|stored| stored_id(stored) == Some(id)),
            None => Ok(None),
        },
    }
}

/// The id that a file gives one of its fields.
pub(crate) fn stored_id(stored: &Field) -> Option<i32> {
    stored.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

/// Where the arrays come from, which decides what is accepted and whose fault a misfit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin<'a> {
    /// A data file, by name, whose fields are found as the table maps them. Read leniently: missing fields are null,
    /// further fields are ignored, integers may be wider than the column as long as each value fits.
    File(&'a str, MappingMode),
    /// A writer's input. Taken strictly: only types whose every value fits, no unknown fields.
    Input,
}

/// Brings arrays to the nullable Arrow types of [`read_schema`].
pub(crate) struct Adapter<'a> {
    origin: Origin<'a>,
    place: Vec<String>,
}

impl<'a> Adapter<'a> {
    pub(crate) fn new(origin: Origin<'a>) -> Self {
        Self { origin, place: Vec::new() }
    }

    /// `array` as `target`, which is the nullable Arrow form of `want`. Timestamps are floored to microseconds.
    ///
    /// # Errors
    /// `Corrupt` for a file's array that does not fit, `Invalid` for an input's; the column is named.
    pub(crate) fn column(
        &mut self,
        name: &str,
        array: &ArrayRef,
        want: &DataType,
        target: &ArrowType,
    ) -> Result<ArrayRef> {
        self.place.push(name.to_owned());
        let adapted = self.adapt(array, want, target)?;
        self.place.pop();
        Ok(adapted)
    }

    fn adapt(&mut self, array: &ArrayRef, want: &DataType, target: &ArrowType) -> Result<ArrayRef> {
        // Under a mapping, names that are the same may stand for other fields.
        let by_mapping = matches!(self.origin, Origin::File(_, mode) if mode.is_on()) && target.is_nested();
        if array.data_type() == target && !by_mapping {
            return Ok(Arc::clone(array));
        }
        match array.data_type() {
            ArrowType::Null => return Ok(new_null_array(target, array.len())),
            ArrowType::Dictionary(_, values) => {
                let plain = self.cast(array, values)?;
                return self.adapt(&plain, want, target);
            }
            ArrowType::RunEndEncoded(_, values) => {
                let plain = self.cast(array, values.data_type())?;
                return self.adapt(&plain, want, target);
            }
            // How the reader decodes what has a large dictionary.
            ArrowType::Utf8View if self.is_file() => {
                let plain = self.cast(array, &ArrowType::Utf8)?;
                return self.adapt(&plain, want, target);
            }
            ArrowType::BinaryView if self.is_file() => {
                let plain = self.cast(array, &ArrowType::Binary)?;
                return self.adapt(&plain, want, target);
            }
            _ => {}
        }
        match (want, target) {
            (DataType::Primitive(primitive), _) => self.leaf(array, *primitive, target),
            (DataType::Struct(fields), ArrowType::Struct(targets)) => {
                let mode = match self.origin {
                    Origin::File(_, mode) => mode,
                    Origin::Input => MappingMode::None,
                };
                self.structure(array, &fields.fields, targets, mode)
            }
            (DataType::Variant, ArrowType::Struct(targets)) => self.variant(array, targets),
            (DataType::Array(list), ArrowType::List(element)) => self.list(array, &list.element_type, element),
            (DataType::Map(map), ArrowType::Map(entries, _)) => {
                self.map(array, &map.key_type, &map.value_type, entries)
            }
            (DataType::Void, _) if array.logical_null_count() == array.len() => Ok(new_null_array(target, array.len())),
            _ => Err(self.misfit(array.data_type(), want)),
        }
    }

    fn is_file(&self) -> bool {
        matches!(self.origin, Origin::File(..))
    }

    /// The two parts of a variant by their own names, which no mapping touches.
    fn variant(&mut self, array: &ArrayRef, targets: &Fields) -> Result<ArrayRef> {
        let given = array.as_struct_opt().map(StructArray::fields);
        if given.is_some_and(|fields| fields.iter().any(|field| field.name() == "typed_value")) {
            let (column, hint) = (self.place.join("."), "read it with an engine that knows the table feature");
            let error = Error::unsupported("a variant is stored in shredded form (table feature \"variantShredding\")");
            return Err(error.with_object(format!("column {column}")).with_hint(hint));
        }
        let binary = || DataType::Primitive(PrimitiveType::Binary);
        let parts: Vec<StructField> =
            targets.iter().map(|target| StructField::new(target.name(), binary(), false)).collect();
        self.structure(array, &parts, targets, MappingMode::None)
    }

    fn structure(
        &mut self,
        array: &ArrayRef,
        wanted: &[StructField],
        targets: &Fields,
        mode: MappingMode,
    ) -> Result<ArrayRef> {
        let Some(given) = array.as_struct_opt() else {
            return Err(self.misfit(array.data_type(), &"struct"));
        };
        let mut used = vec![false; given.num_columns()];
        let mut columns = Vec::with_capacity(targets.len());
        for (field, target) in wanted.iter().zip(targets) {
            let found = stored_position(given.fields(), field, mode);
            let found = found.map_err(|n| self.ambiguous(target.name(), n))?;
            columns.push(match found {
                Some(at) => {
                    used[at] = true;
                    self.column(target.name(), given.column(at), &field.data_type, target.data_type())?
                }
                None if self.origin == Origin::Input && !field.nullable => {
                    return Err(self.wrong(format!("the field {:?} is NOT NULL and not given", target.name())));
                }
                None => new_null_array(target.data_type(), array.len()),
            });
        }
        if self.origin == Origin::Input
            && let Some(extra) = used.iter().position(|used| !used)
        {
            let name = given.fields()[extra].name();
            return Err(self.wrong(format!("the table's struct has no field {name:?}")).with_hint(UNKNOWN_HINT));
        }
        if columns.is_empty() {
            return Ok(Arc::new(StructArray::new_empty_fields(array.len(), given.nulls().cloned())));
        }
        let adapted = StructArray::try_new(targets.clone(), columns, given.nulls().cloned());
        Ok(Arc::new(adapted.map_err(|e| self.unfitting(e))?))
    }

    fn list(&mut self, array: &ArrayRef, want: &DataType, target: &FieldRef) -> Result<ArrayRef> {
        let plain = match array.data_type() {
            ArrowType::List(_) => Arc::clone(array),
            ArrowType::LargeList(element)
            | ArrowType::ListView(element)
            | ArrowType::LargeListView(element)
            | ArrowType::FixedSizeList(element, _) => self.cast(array, &ArrowType::List(Arc::clone(element)))?,
            other => return Err(self.misfit(other, &"array")),
        };
        let list = plain.as_list::<i32>();
        let values = self.column("element", list.values(), want, target.data_type())?;
        let adapted = ListArray::try_new(Arc::clone(target), list.offsets().clone(), values, list.nulls().cloned());
        Ok(Arc::new(adapted.map_err(|e| self.unfitting(e))?))
    }

    fn map(&mut self, array: &ArrayRef, key: &DataType, value: &DataType, target: &FieldRef) -> Result<ArrayRef> {
        let (Some(map), ArrowType::Struct(parts)) = (array.as_map_opt(), target.data_type()) else {
            return Err(self.misfit(array.data_type(), &"map"));
        };
        let [key_field, value_field] = parts.as_ref() else {
            return Err(Error::internal("a map type without key and value"));
        };
        let keys = self.column("key", map.keys(), key, key_field.data_type())?;
        let values = self.column("value", map.values(), value, value_field.data_type())?;
        let entries = StructArray::try_new(parts.clone(), vec![keys, values], None).map_err(|e| self.unfitting(e))?;
        let (target, offsets, nulls) = (Arc::clone(target), map.offsets().clone(), map.nulls().cloned());
        let adapted = MapArray::try_new(target, offsets, entries, nulls, false);
        Ok(Arc::new(adapted.map_err(|e| self.unfitting(e))?))
    }

    fn leaf(&self, array: &ArrayRef, want: PrimitiveType, target: &ArrowType) -> Result<ArrayRef> {
        use PrimitiveType as P;
        match (array.data_type(), want) {
            (ArrowType::Timestamp(unit, zone), P::Timestamp | P::TimestampNtz) => {
                let lenient = matches!(self.origin, Origin::File(..));
                if !lenient && zone.is_some() != (want == P::Timestamp) {
                    return Err(self.misfit(array.data_type(), &want).with_hint(
                        "a timestamp with a time zone and one without are different things; cast the input first",
                    ));
                }
                let micros = to_micros(array, *unit).map_err(|e| self.unfitting(e))?;
                Ok(Arc::new(micros.with_data_type(target.clone())))
            }
            (ArrowType::Date64, P::Date) => {
                let days = array.as_primitive::<Date64Type>().try_unary::<_, _, ArrowError>(|millis| {
                    i32::try_from(millis.div_euclid(MILLIS_PER_DAY))
                        .map_err(|_| ArrowError::CastError(format!("{millis} ms is no day")))
                });
                let days: Date32Array = days.map_err(|e| self.unfitting(e))?;
                Ok(Arc::new(days))
            }
            (from, _) if self.accepts(from, want) => self.cast(array, target),
            (from, _) => Err(self.misfit(from, &want)),
        }
    }

    fn accepts(&self, from: &ArrowType, want: PrimitiveType) -> bool {
        use PrimitiveType as P;
        let one = Schema::new(vec![Field::new("value", from.clone(), true)]);
        let stored = from_arrow(&one).ok().and_then(|mut schema| schema.fields.pop());
        if stored.is_some_and(|stored| fits(&stored.data_type, &DataType::Primitive(want))) {
            return true;
        }
        if self.origin == Origin::Input {
            return false;
        }
        match want {
            // A column whose type was widened.
            P::TimestampNtz => *from == ArrowType::Date32,
            P::Byte | P::Short | P::Integer | P::Long => from.is_integer(),
            P::String | P::Binary => matches!(from, ArrowType::Utf8 | ArrowType::Binary),
            P::Decimal { precision, scale } => match from {
                ArrowType::Decimal256(from_precision, from_scale) => {
                    u8::try_from(*from_scale).is_ok_and(|from_scale| {
                        from_scale <= scale
                            && from_precision.saturating_sub(from_scale) <= precision.saturating_sub(scale)
                    })
                }
                _ => false,
            },
            _ => false,
        }
    }

    fn cast(&self, array: &ArrayRef, target: &ArrowType) -> Result<ArrayRef> {
        let options = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(array, target, &options).map_err(|e| self.unfitting(e))
    }

    fn misfit(&self, from: &ArrowType, want: &dyn std::fmt::Display) -> Error {
        match self.origin {
            Origin::File(..) => self.wrong(format!("a data file stores {from} where the table has {want}")),
            Origin::Input => self.wrong(format!("the input has {from} where the table has {want}")),
        }
    }

    fn unfitting(&self, error: ArrowError) -> Error {
        self.wrong("a value does not fit the column's type".to_owned()).with_source(error)
    }

    fn ambiguous(&self, name: &str, count: usize) -> Error {
        self.wrong(format!("{count} fields are called {name:?} when case is ignored"))
    }

    fn wrong(&self, message: String) -> Error {
        let column = self.place.join(".");
        match self.origin {
            Origin::File(file, _) => Error::corrupt(message).with_object(format!("column {column} of {file}")),
            Origin::Input => Error::invalid(message).with_object(format!("column {column}")),
        }
    }
}

/// What to do about fields that the table lacks.
pub(crate) const UNKNOWN_HINT: &str = "leave them out, or add them to the table with --merge-schema";

fn to_micros(
    array: &ArrayRef,
    unit: TimeUnit,
) -> std::result::Result<PrimitiveArray<TimestampMicrosecondType>, ArrowError> {
    let times = |factor: i64| {
        move |value: i64| {
            let product = value.checked_mul(factor);
            product.ok_or_else(|| ArrowError::CastError(format!("the timestamp {value} is out of range")))
        }
    };
    match unit {
        TimeUnit::Second => array.as_primitive::<TimestampSecondType>().try_unary(times(MICROS_PER_SECOND)),
        TimeUnit::Millisecond => array.as_primitive::<TimestampMillisecondType>().try_unary(times(MICROS_PER_MILLI)),
        TimeUnit::Microsecond => Ok(without_zone(array.as_primitive::<TimestampMicrosecondType>())),
        TimeUnit::Nanosecond => {
            Ok(array.as_primitive::<TimestampNanosecondType>().unary(|nanos| nanos.div_euclid(NANOS_PER_MICRO)))
        }
    }
}

fn without_zone<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>) -> PrimitiveArray<T> {
    PrimitiveArray::new(array.values().clone(), array.nulls().cloned())
}

#[cfg(test)]
mod tests {
    use arrow_array::{BinaryArray, Int64Array};

    use super::*;
    use crate::error::ErrorKind;
    use crate::schema::{StructField, to_arrow_field};

    fn read(data_type: &DataType, array: ArrayRef, mode: MappingMode) -> Result<ArrayRef> {
        let field = StructField::new("v", data_type.clone(), true);
        let strict = Arc::new(to_arrow_field(&field).unwrap());
        Adapter::new(Origin::File("f", mode)).column("v", &array, data_type, nullable(&strict).data_type())
    }

    fn parts(names: &[&str]) -> ArrayRef {
        let bytes = |text: &str| -> ArrayRef { Arc::new(BinaryArray::from(vec![text.as_bytes()])) };
        Arc::new(StructArray::try_from(names.iter().map(|&name| (name, bytes(name))).collect::<Vec<_>>()).unwrap())
    }

    #[test]
    fn a_variant_is_its_two_parts_in_any_order_under_any_mapping() {
        for mode in [MappingMode::None, MappingMode::Name, MappingMode::Id] {
            for names in [["metadata", "value"], ["value", "metadata"]] {
                let read = read(&DataType::Variant, parts(&names), mode).unwrap();
                let read = read.as_struct();
                assert_eq!(read.column_names(), ["metadata", "value"]);
                assert_eq!(read.column(1).as_binary::<i32>().value(0), b"value");
            }
            let error = self::read(&DataType::Variant, parts(&["metadata", "typed_value"]), mode).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains("variantShredding"), "{error}");
        }
    }

    #[test]
    fn names_that_are_swapped_under_a_mapping_are_told_apart() {
        let field = |name: &str, physical: &str, id: i32| {
            let mut field = StructField::new(name, DataType::Primitive(PrimitiveType::Long), true);
            field.metadata.insert("delta.columnMapping.id".into(), id.into());
            field.metadata.insert("delta.columnMapping.physicalName".into(), physical.into());
            field
        };
        let swapped = DataType::Struct(StructType::new(vec![field("a", "b", 2), field("b", "a", 1)]));
        let long = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
        let stored = |name: &str, id: i32| {
            let metadata = [(PARQUET_FIELD_ID_META_KEY.to_owned(), id.to_string())].into();
            Arc::new(Field::new(name, ArrowType::Int64, true).with_metadata(metadata))
        };
        let with_ids = |first: FieldRef, second: FieldRef| -> ArrayRef {
            Arc::new(StructArray::new(vec![first, second].into(), vec![long(10), long(20)], None))
        };
        let plain: ArrayRef = Arc::new(StructArray::try_from(vec![("a", long(10)), ("b", long(20))]).unwrap());
        let by_name = read(&swapped, plain, MappingMode::Name).unwrap();
        let by_id = read(&swapped, with_ids(stored("x", 1), stored("y", 2)), MappingMode::Id).unwrap();
        for read in [by_name, by_id] {
            let read = read.as_struct();
            assert_eq!(read.column_names(), ["a", "b"], "MAP-1");
            assert_eq!(read.column(0).as_primitive::<arrow_array::types::Int64Type>().value(0), 20, "MAP-1");
        }
        let twice = read(&swapped, with_ids(stored("x", 2), stored("y", 2)), MappingMode::Id).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Corrupt, "MAP-1");
    }
}
