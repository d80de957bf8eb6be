//! How columns are found in data files, partition values and statistics: by their names, or by what the table assigned.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};

use super::names::Place;
use super::{DataType, StructField, StructType};

/// Property that holds the mode.
pub const MODE_PROPERTY: &str = "delta.columnMapping.mode";
/// Property that holds the highest id ever given. It never falls, or an old file's column would pass for a new one.
pub const MAX_ID_PROPERTY: &str = "delta.columnMapping.maxColumnId";

const ID: &str = "delta.columnMapping.id";
const PHYSICAL_NAME: &str = "delta.columnMapping.physicalName";
const NESTED_IDS: &str = "delta.columnMapping.nested.ids";
/// What every key of a field's metadata that belongs to the mapping starts with.
const OWN: &str = "delta.columnMapping.";

/// What ties a column to its data (MAP-1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MappingMode {
    /// Its name.
    #[default]
    None,
    /// Its physical name, which stays when it is renamed.
    Name,
    /// The id of the Parquet field. Partition values and statistics go by physical names.
    Id,
}

impl MappingMode {
    /// Reads the property's value, whatever the case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::None, Self::Name, Self::Id].into_iter().find(|mode| mode.as_str().eq_ignore_ascii_case(text))
    }

    /// The property's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Name => "name",
            Self::Id => "id",
        }
    }

    /// Whether columns have physical names and ids.
    pub fn is_on(self) -> bool {
        self != Self::None
    }
}

/// The name of a field in data files, partition values and statistics. Without mapping, what the metadata says of
/// physical names does not count.
pub fn physical_name(field: &StructField, mode: MappingMode) -> &str {
    let own = if mode.is_on() { field.metadata.get(PHYSICAL_NAME).and_then(Value::as_str) } else { None };
    own.unwrap_or(&field.name)
}

/// The id that the table gave a field.
pub fn field_id(field: &StructField) -> Option<i32> {
    field.metadata.get(ID).and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok())
}

/// The id that the table gave an element, key or value inside `field`; `parts` are names like `element` from the field
/// inwards.
pub fn nested_id(field: &StructField, parts: &[&str]) -> Option<i32> {
    let ids = field.metadata.get(NESTED_IDS)?.as_object()?;
    let base = physical_name(field, MappingMode::Name);
    let key = std::iter::once(base).chain(parts.iter().copied()).collect::<Vec<_>>().join(".");
    ids.get(&key).and_then(Value::as_i64).and_then(|id| i32::try_from(id).ok())
}

/// The physical names along a logical path, whose names are matched ignoring case. Inside arrays and maps the parts are
/// called `element`, `key` and `value`. `None` when there is no such column.
pub fn physical_path(schema: &StructType, mode: MappingMode, path: &[String]) -> Option<Vec<String>> {
    let find = |inner: &StructType, name: &str| inner.index_of(name);
    along(schema, path, &find, &|field| physical_name(field, mode).to_owned())
}

/// The logical names along a physical path; the way back from [`physical_path`].
pub fn logical_path(schema: &StructType, mode: MappingMode, path: &[String]) -> Option<Vec<String>> {
    let find = |inner: &StructType, name: &str| inner.fields.iter().position(|f| physical_name(f, mode) == name);
    along(schema, path, &find, &|field| field.name.clone())
}

fn along(
    schema: &StructType,
    path: &[String],
    find: &dyn Fn(&StructType, &str) -> Option<usize>,
    name: &dyn Fn(&StructField) -> String,
) -> Option<Vec<String>> {
    let (first, mut rest) = path.split_first()?;
    let field = &schema.fields[find(schema, first)?];
    let mut names = vec![name(field)];
    let mut data_type = &field.data_type;
    loop {
        let Some((part, further)) = rest.split_first() else { return Some(names) };
        match data_type {
            DataType::Struct(inner) => {
                names.extend(along(inner, rest, find, name)?);
                return Some(names);
            }
            nested => data_type = part_of(nested, part)?,
        }
        names.push(part.to_ascii_lowercase());
        rest = further;
    }
}

/// The element, key or value of a type.
pub(super) fn part_of<'a>(data_type: &'a DataType, part: &str) -> Option<&'a DataType> {
    match data_type {
        DataType::Array(array) if part.eq_ignore_ascii_case("element") => Some(&array.element_type),
        DataType::Map(map) if part.eq_ignore_ascii_case("key") => Some(&map.key_type),
        DataType::Map(map) if part.eq_ignore_ascii_case("value") => Some(&map.value_type),
        _ => None,
    }
}

/// Checks that every field has what the mode needs: a physical name that no other field of its struct has, and for
/// [`MappingMode::Id`] an id that no other field has (MAP-2).
///
/// # Errors
/// [`Corrupt`](crate::error::ErrorKind::Corrupt) naming the column.
pub fn check_mapping(schema: &StructType, mode: MappingMode) -> Result<()> {
    if !mode.is_on() {
        return Ok(());
    }
    let mut ids = HashSet::new();
    each_struct(schema, &mut Place::default(), &mut |inner, place| {
        let mut names = HashSet::with_capacity(inner.fields.len());
        for field in &inner.fields {
            let wrong = |what: String| Error::corrupt(what).with_object(place.with(&field.name));
            let Some(name) = field.metadata.get(PHYSICAL_NAME).and_then(Value::as_str) else {
                return Err(wrong(format!("columns are mapped by {}, and one has no physical name", mode.as_str())));
            };
            if name.is_empty() || !names.insert(name) {
                return Err(wrong(format!("two columns have the physical name {name:?}")));
            }
            match field_id(field) {
                Some(id) if mode == MappingMode::Id && !ids.insert(id) => {
                    return Err(wrong(format!("two columns have the id {id}")));
                }
                None if mode == MappingMode::Id => {
                    return Err(wrong("columns are mapped by id, and one has none".to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    })
}

/// Calls `look` with every struct of the schema, the outermost first.
fn each_struct<'a>(
    schema: &'a StructType,
    place: &mut Place,
    look: &mut dyn FnMut(&'a StructType, &Place) -> Result<()>,
) -> Result<()> {
    look(schema, place)?;
    for field in &schema.fields {
        place.enter(&field.name)?;
        each_inside(&field.data_type, place, look)?;
        place.leave();
    }
    Ok(())
}

fn each_inside<'a>(
    data_type: &'a DataType,
    place: &mut Place,
    look: &mut dyn FnMut(&'a StructType, &Place) -> Result<()>,
) -> Result<()> {
    let parts: &[(&str, &DataType)] = match data_type {
        DataType::Struct(inner) => return each_struct(inner, place, look),
        DataType::Array(array) => &[("element", &array.element_type)],
        DataType::Map(map) => &[("key", &map.key_type), ("value", &map.value_type)],
        DataType::Primitive(_) | DataType::Variant | DataType::Void => &[],
    };
    for (name, part) in parts {
        place.enter(name)?;
        each_inside(part, place, look)?;
        place.leave();
    }
    Ok(())
}

/// The highest id in a schema, those of elements, keys and values included; 0 when there is none.
pub fn max_id(schema: &StructType) -> i64 {
    let mut highest = 0;
    let walked = each_struct(schema, &mut Place::default(), &mut |inner, _| {
        for field in &inner.fields {
            let nested = field.metadata.get(NESTED_IDS).and_then(Value::as_object);
            let nested = nested.into_iter().flat_map(|ids| ids.values().filter_map(Value::as_i64));
            let own = field.metadata.get(ID).and_then(Value::as_i64);
            highest = nested.chain(own).fold(highest, i64::max);
        }
        Ok(())
    });
    // Only a schema nested too deep fails, and none such is ever read or made.
    walked.map_or(i64::MAX, |()| highest)
}

/// `schema` where every field that lacks an id or a physical name has got one (MAP-3): ids from `max_id` + 1 upwards,
/// names from `new_name`. Returns the highest id too.
///
/// # Errors
/// [`Invalid`](crate::error::ErrorKind::Invalid) when the ids run out.
pub fn complete(schema: &StructType, highest: i64, new_name: &mut dyn FnMut() -> String) -> Result<(StructType, i64)> {
    let mut last = highest.max(max_id(schema));
    let mut mapped = schema.clone();
    each_field(&mut mapped, &mut |field| {
        if field_id(field).is_none() {
            last = last.checked_add(1).filter(|id| i32::try_from(*id).is_ok()).ok_or_else(|| {
                Error::invalid("the table has given out every column id").with_object(field.name.clone())
            })?;
            field.metadata.insert(ID.to_owned(), last.into());
        }
        if !field.metadata.get(PHYSICAL_NAME).is_some_and(Value::is_string) {
            field.metadata.insert(PHYSICAL_NAME.to_owned(), new_name().into());
        }
        Ok(())
    })?;
    Ok((mapped, last))
}

/// `schema` of a table that has had no mapping so far, made ready for one: ids are counted from `highest` + 1, and the
/// physical names are the names, so that the files that are there stay readable (MAP-4).
///
/// # Errors
/// As [`complete`].
pub fn enable(schema: &StructType, highest: i64) -> Result<(StructType, i64)> {
    let mut named = strip(schema);
    each_field(&mut named, &mut |field| {
        field.metadata.insert(PHYSICAL_NAME.to_owned(), field.name.clone().into());
        Ok(())
    })?;
    complete(&named, highest, &mut String::new)
}

/// `new`, where columns that `old` has under the same name and with the same type keep their ids and physical names.
pub fn adopt(old: &StructType, mut new: StructType) -> StructType {
    for field in &mut new.fields {
        let Some(there) = old.field(&field.name) else { continue };
        let plain = strip(&StructType::new(vec![there.clone()]));
        if plain.fields.first().is_some_and(|plain| plain.data_type == field.data_type) {
            field.data_type = there.data_type.clone();
            let own = there.metadata.iter().filter(|(key, _)| key.starts_with(OWN));
            field.metadata.extend(own.map(|(key, value)| (key.clone(), value.clone())));
        }
    }
    new
}

/// `schema` without ids and physical names.
pub fn strip(schema: &StructType) -> StructType {
    let mut plain = schema.clone();
    // The closure does not fail.
    let _ = each_field(&mut plain, &mut |field| {
        field.metadata.retain(|key, _| !key.starts_with(OWN));
        Ok(())
    });
    plain
}

fn each_field(schema: &mut StructType, change: &mut dyn FnMut(&mut StructField) -> Result<()>) -> Result<()> {
    for field in &mut schema.fields {
        change(field)?;
        each_field_inside(&mut field.data_type, change)?;
    }
    Ok(())
}

fn each_field_inside(data_type: &mut DataType, change: &mut dyn FnMut(&mut StructField) -> Result<()>) -> Result<()> {
    match data_type {
        DataType::Struct(inner) => each_field(inner, change),
        DataType::Array(array) => each_field_inside(&mut array.element_type, change),
        DataType::Map(map) => {
            each_field_inside(&mut map.key_type, change)?;
            each_field_inside(&mut map.value_type, change)
        }
        DataType::Primitive(_) | DataType::Variant | DataType::Void => Ok(()),
    }
}

#[cfg(test)]
mod tests;
