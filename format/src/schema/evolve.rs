//! How a schema grows: columns added by name, or taken over from incoming data.

use crate::error::{Error, Result};

use super::names::{Place, check_names};
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
    check_names(incoming)?;
    let merged = merge_struct(current, incoming, &mut Place::default())?;
    check_names(&merged)?;
    Ok(merged)
}

fn merge_struct(current: &StructType, incoming: &StructType, place: &mut Place) -> Result<StructType> {
    let mut fields = current.fields.clone();
    for new in &incoming.fields {
        match current.index_of(&new.name) {
            None => fields.push(StructField { nullable: true, ..new.clone() }),
            Some(at) => {
                let old = &current.fields[at];
                fields[at].data_type = merge_part(&old.data_type, &new.data_type, &old.name, place)?;
            }
        }
    }
    Ok(StructType { fields })
}

fn merge_part(current: &DataType, incoming: &DataType, name: &str, place: &mut Place) -> Result<DataType> {
    place.enter(name)?;
    let merged = merge_type(current, incoming, place)?;
    place.leave();
    Ok(merged)
}

fn merge_type(current: &DataType, incoming: &DataType, place: &mut Place) -> Result<DataType> {
    match (current, incoming) {
        (DataType::Void, _) => Ok(incoming.clone()),
        (_, DataType::Void) => Ok(current.clone()),
        (DataType::Struct(old), DataType::Struct(new)) => Ok(DataType::Struct(merge_struct(old, new, place)?)),
        (DataType::Array(old), DataType::Array(new)) => Ok(DataType::Array(Box::new(ArrayType {
            element_type: merge_part(&old.element_type, &new.element_type, "element", place)?,
            contains_null: old.contains_null,
        }))),
        (DataType::Map(old), DataType::Map(new)) => Ok(DataType::Map(Box::new(MapType {
            key_type: merge_part(&old.key_type, &new.key_type, "key", place)?,
            value_type: merge_part(&old.value_type, &new.value_type, "value", place)?,
            value_contains_null: old.value_contains_null,
        }))),
        _ if fits(incoming, current) => Ok(current.clone()),
        _ => Err(place
            .name_in(Error::invalid(format!("the column is of type {current}, the incoming data of type {incoming}")))
            .with_hint("convert the incoming data, or write it to another column")),
    }
}

#[cfg(test)]
mod tests;
