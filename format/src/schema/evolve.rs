//! How a schema grows: columns added by name, or taken over from incoming data.

use crate::error::{Error, Result};

use super::names::{Place, check_names};
use super::widening::{record, widens_by_merge};
use super::{ArrayType, DataType, MapType, StructField, StructType, fits};

/// `current` with `new` columns behind the old ones.
///
/// # Errors
/// [`AlreadyExists`](crate::error::ErrorKind::AlreadyExists) when a name is taken, ignoring case;
/// [`Invalid`](crate::error::ErrorKind::Invalid) for a column that may not be null (old rows have no value for it) and
/// for names that clash among themselves.
pub fn add_columns(current: &StructType, new: Vec<StructField>) -> Result<StructType> {
    let mut fields = current.fields.clone();
    for field in new {
        if let Some(there) = current.field(&field.name) {
            return Err(
                Error::already_exists(format!("the column {:?} is there already", there.name)).with_object(field.name)
            );
        }
        if !field.nullable {
            return Err(Error::invalid("a new column must be nullable: old rows have no value for it")
                .with_object(field.name)
                .with_hint("add it without NOT NULL"));
        }
        fields.push(field);
    }
    let schema = StructType { fields };
    check_names(&schema)?;
    Ok(schema)
}

/// `current` widened so that rows of `incoming` have a place: columns are matched by name ignoring case, columns and
/// nested fields that are new come last and are nullable, and what is there keeps its name, type, nullability and
/// metadata. A column of type void takes the incoming type.
///
/// # Errors
/// [`Invalid`](crate::error::ErrorKind::Invalid), naming the column and both types, when an incoming type does not
/// [fit](super::fits()) into the current one.
pub fn merge(current: &StructType, incoming: &StructType) -> Result<StructType> {
    merge_by(current, incoming, false)
}

/// [`merge`], where moreover a column takes a larger type of the same family when the incoming data needs it (WID-4).
///
/// # Errors
/// As [`merge`].
pub fn merge_widening(current: &StructType, incoming: &StructType) -> Result<StructType> {
    merge_by(current, incoming, true)
}

fn merge_by(current: &StructType, incoming: &StructType, widen: bool) -> Result<StructType> {
    check_names(incoming)?;
    let mut merge = Merge { widen, place: Place::default() };
    let merged = merge.structs(current, incoming)?;
    check_names(&merged)?;
    Ok(merged)
}

struct Merge {
    widen: bool,
    place: Place,
}

/// Parts from a field inwards, and the old and new type there.
type Widened = (Vec<String>, super::PrimitiveType, super::PrimitiveType);

impl Merge {
    fn structs(&mut self, current: &StructType, incoming: &StructType) -> Result<StructType> {
        let mut fields = current.fields.clone();
        for new in &incoming.fields {
            match current.index_of(&new.name) {
                None => fields.push(StructField { nullable: true, ..new.clone() }),
                Some(at) => {
                    let old = &current.fields[at];
                    let mut widened = Vec::new();
                    let merged = self.part(&old.data_type, &new.data_type, &old.name, &mut Vec::new(), &mut widened)?;
                    fields[at].data_type = merged;
                    for (parts, from, to) in widened {
                        record(&mut fields[at], from, to, &parts);
                    }
                }
            }
        }
        Ok(StructType { fields })
    }

    fn part(
        &mut self,
        current: &DataType,
        incoming: &DataType,
        name: &str,
        parts: &mut Vec<String>,
        widened: &mut Vec<Widened>,
    ) -> Result<DataType> {
        self.place.enter(name)?;
        let merged = self.types(current, incoming, parts, widened)?;
        self.place.leave();
        Ok(merged)
    }

    fn types(
        &mut self,
        current: &DataType,
        incoming: &DataType,
        parts: &mut Vec<String>,
        widened: &mut Vec<Widened>,
    ) -> Result<DataType> {
        let mut inside = |old: &DataType, new: &DataType, name: &str| {
            parts.push(name.to_owned());
            let merged = self.part(old, new, name, parts, widened);
            parts.pop();
            merged
        };
        match (current, incoming) {
            (DataType::Void, _) => Ok(incoming.clone()),
            (_, DataType::Void) => Ok(current.clone()),
            (DataType::Struct(old), DataType::Struct(new)) => Ok(DataType::Struct(self.structs(old, new)?)),
            (DataType::Array(old), DataType::Array(new)) => Ok(DataType::Array(Box::new(ArrayType {
                element_type: inside(&old.element_type, &new.element_type, "element")?,
                contains_null: old.contains_null,
            }))),
            (DataType::Map(old), DataType::Map(new)) => Ok(DataType::Map(Box::new(MapType {
                key_type: inside(&old.key_type, &new.key_type, "key")?,
                value_type: inside(&old.value_type, &new.value_type, "value")?,
                value_contains_null: old.value_contains_null,
            }))),
            _ if fits(incoming, current) => Ok(current.clone()),
            (DataType::Primitive(from), DataType::Primitive(to)) if self.widen && widens_by_merge(*from, *to) => {
                widened.push((parts.clone(), *from, *to));
                Ok(incoming.clone())
            }
            _ => Err(self
                .place
                .name_in(Error::invalid(format!(
                    "the column is of type {current}, the incoming data of type {incoming}"
                )))
                .with_hint("convert the incoming data, or write it to another column")),
        }
    }
}

#[cfg(test)]
mod tests;
