//! One change to a schema that leaves the data files as they are: add, rename, drop, move, relax, widen, comment.

use crate::error::{Error, Result};

use super::mapping::{part_of, strip};
use super::names::check_names;
use super::widening::{can_widen, record};
use super::{DataType, PrimitiveType, StructField, StructType};

/// Where a field's metadata holds what it is, in words.
const COMMENT: &str = "comment";

/// Where a column goes among its siblings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Behind all others.
    Last,
    /// Before all others.
    First,
    /// Behind the sibling of that name.
    After(String),
}

/// A change. Paths are names from the top, matched ignoring case; inside arrays and maps the parts are called
/// `element`, `key` and `value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaChange {
    /// A new, nullable field.
    Add {
        /// The struct that takes it; empty for the table itself.
        parent: Vec<String>,
        /// The field.
        field: StructField,
        /// Where among its siblings.
        position: Position,
    },
    /// Another name for a field. Needs column mapping.
    Rename {
        /// The field.
        path: Vec<String>,
        /// Its new name.
        name: String,
    },
    /// A field goes. Needs column mapping.
    Drop {
        /// The field.
        path: Vec<String>,
    },
    /// Another place among the siblings.
    Move {
        /// The field.
        path: Vec<String>,
        /// Where.
        position: Position,
    },
    /// Nulls are allowed from now on.
    DropNotNull {
        /// The field, the element of an array, or the value of a map.
        path: Vec<String>,
    },
    /// A larger type. Needs type widening.
    Widen {
        /// The field, element, key or value.
        path: Vec<String>,
        /// The type.
        to: PrimitiveType,
    },
    /// Other words about a field.
    Comment {
        /// The field.
        path: Vec<String>,
        /// The words; none take the comment away.
        text: String,
    },
}

/// `schema` after `change`. Ids and physical names stay with their fields; a new field has none yet.
///
/// # Errors
/// [`NotFound`](crate::error::ErrorKind::NotFound) for a column that is not there,
/// [`AlreadyExists`](crate::error::ErrorKind::AlreadyExists) for a name that is taken,
/// [`Invalid`](crate::error::ErrorKind::Invalid) for what can't be: a new NOT NULL column, a struct without fields, a
/// narrower type, other fields inside a map's key.
pub fn apply(schema: &StructType, change: &SchemaChange) -> Result<StructType> {
    let mut new = schema.clone();
    match change {
        SchemaChange::Add { parent, field, position } => add(&mut new, parent, field, position)?,
        SchemaChange::Rename { path, name } => at_field(&mut new, path, &mut |found| {
            found.whole_field()?;
            let Found { siblings, at, .. } = found;
            if siblings.index_of(name).is_some_and(|other| other != at) {
                return Err(taken(name, path));
            }
            siblings.fields[at].name.clone_from(name);
            Ok(())
        })?,
        SchemaChange::Drop { path } => at_field(&mut new, path, &mut |found| {
            found.whole_field()?;
            found.outside_key()?;
            if found.siblings.fields.len() == 1 {
                return Err(invalid("a table and a struct keep at least one field", path));
            }
            found.siblings.fields.remove(found.at);
            Ok(())
        })?,
        SchemaChange::Move { path, position } => at_field(&mut new, path, &mut |found| {
            found.whole_field()?;
            let field = found.siblings.fields.remove(found.at);
            place(found.siblings, field, position)
        })?,
        SchemaChange::DropNotNull { path } => at_field(&mut new, path, &mut |found| found.drop_not_null())?,
        SchemaChange::Widen { path, to } => at_field(&mut new, path, &mut |found| found.widen(*to))?,
        SchemaChange::Comment { path, text } => at_field(&mut new, path, &mut |found| found.comment(text))?,
    }
    check_names(&new)?;
    Ok(new)
}

fn add(schema: &mut StructType, parent: &[String], field: &StructField, position: &Position) -> Result<()> {
    if !field.nullable {
        return Err(Error::invalid("a new column must be nullable: old rows have no value for it")
            .with_object(field.name.clone())
            .with_hint("add it without NOT NULL"));
    }
    let field = strip(&StructType::new(vec![field.clone()])).fields.remove(0);
    if parent.is_empty() {
        return insert(schema, field, position);
    }
    at_field(schema, parent, &mut |found| {
        found.outside_key()?;
        let path = found.path;
        match part_mut(&mut found.siblings.fields[found.at].data_type, found.parts) {
            Some(DataType::Struct(inner)) => insert(inner, field.clone(), position),
            _ => Err(invalid("a field can be added to a struct alone", path)
                .with_hint("the struct in an array is called `element`, in a map `value`")),
        }
    })
}

fn insert(siblings: &mut StructType, field: StructField, position: &Position) -> Result<()> {
    if let Some(there) = siblings.field(&field.name) {
        return Err(taken(&there.name, std::slice::from_ref(&field.name)));
    }
    place(siblings, field, position)
}

fn place(siblings: &mut StructType, field: StructField, position: &Position) -> Result<()> {
    let at = match position {
        Position::Last => siblings.fields.len(),
        Position::First => 0,
        Position::After(name) => match siblings.index_of(name) {
            Some(at) => at + 1,
            None => return Err(missing(name, std::slice::from_ref(name))),
        },
    };
    siblings.fields.insert(at, field);
    Ok(())
}

/// A place in a schema.
struct Found<'a> {
    siblings: &'a mut StructType,
    /// The field among its siblings.
    at: usize,
    /// From the field inwards, through arrays and maps.
    parts: &'a [String],
    /// From the top, for messages.
    path: &'a [String],
    /// Whether a map's key is on the way.
    in_key: bool,
}

impl Found<'_> {
    fn whole_field(&self) -> Result<()> {
        if self.parts.is_empty() { Ok(()) } else { Err(invalid("this is a part of a type, not a column", self.path)) }
    }

    fn outside_key(&self) -> Result<()> {
        let in_key = self.in_key || self.parts.iter().any(|part| part.eq_ignore_ascii_case("key"));
        if !in_key {
            return Ok(());
        }
        Err(invalid("the fields of a map's key stay: with others, keys could become equal", self.path))
    }

    fn drop_not_null(self) -> Result<()> {
        let field = &mut self.siblings.fields[self.at];
        let Some((last, outer)) = self.parts.split_last() else {
            field.nullable = true;
            return Ok(());
        };
        match part_mut(&mut field.data_type, outer) {
            Some(DataType::Array(array)) => array.contains_null = true,
            Some(DataType::Map(map)) if last.eq_ignore_ascii_case("value") => map.value_contains_null = true,
            _ => return Err(invalid("the keys of a map are never null", self.path)),
        }
        Ok(())
    }

    fn comment(self, text: &str) -> Result<()> {
        self.whole_field()?;
        let metadata = &mut self.siblings.fields[self.at].metadata;
        match text {
            "" => metadata.remove(COMMENT),
            text => metadata.insert(COMMENT.to_owned(), text.into()),
        };
        Ok(())
    }

    fn widen(self, to: PrimitiveType) -> Result<()> {
        let field = &mut self.siblings.fields[self.at];
        let Some(data_type) = part_mut(&mut field.data_type, self.parts) else {
            return Err(missing(self.path.last().map_or("", String::as_str), self.path));
        };
        let from = match data_type {
            DataType::Primitive(from) if can_widen(*from, to) => *from,
            other => {
                return Err(invalid(&format!("a column of type {other} can't become one of type {to}"), self.path)
                    .with_hint(
                        "widening goes from byte over short and integer to long, from float to double, from \
                                date to timestamp_ntz, and to decimals with more digits on either side",
                    ));
            }
        };
        *data_type = DataType::Primitive(to);
        record(field, from, to, self.parts);
        Ok(())
    }
}

/// Calls `act` with the field that `path` leads to, or whose element, key or value it leads to.
fn at_field<R>(schema: &mut StructType, path: &[String], act: &mut dyn FnMut(Found<'_>) -> Result<R>) -> Result<R> {
    descend(schema, path, path, false, act)
}

fn descend<R>(
    siblings: &mut StructType,
    left: &[String],
    path: &[String],
    in_key: bool,
    act: &mut dyn FnMut(Found<'_>) -> Result<R>,
) -> Result<R> {
    let Some((name, rest)) = left.split_first() else { return Err(missing("", path)) };
    let at = siblings.index_of(name).ok_or_else(|| missing(name, path))?;
    let (mut depth, mut data_type) = (0, &siblings.fields[at].data_type);
    while depth < rest.len() && !matches!(data_type, DataType::Struct(_)) {
        data_type = part_of(data_type, &rest[depth]).ok_or_else(|| missing(&rest[depth], path))?;
        depth += 1;
    }
    let (parts, further) = rest.split_at(depth);
    if further.is_empty() {
        return act(Found { siblings, at, parts, path, in_key });
    }
    let in_key = in_key || parts.iter().any(|part| part.eq_ignore_ascii_case("key"));
    match part_mut(&mut siblings.fields[at].data_type, parts) {
        Some(DataType::Struct(inner)) => descend(inner, further, path, in_key, act),
        _ => Err(missing(&further[0], path)),
    }
}

fn part_mut<'a>(data_type: &'a mut DataType, parts: &[String]) -> Option<&'a mut DataType> {
    let Some((part, rest)) = parts.split_first() else { return Some(data_type) };
    let inner = match (data_type, part.to_ascii_lowercase().as_str()) {
        (DataType::Array(array), "element") => &mut array.element_type,
        (DataType::Map(map), "key") => &mut map.key_type,
        (DataType::Map(map), "value") => &mut map.value_type,
        _ => return None,
    };
    part_mut(inner, rest)
}

fn invalid(what: &str, path: &[String]) -> Error {
    Error::invalid(what.to_owned()).with_object(path.join("."))
}

fn missing(name: &str, path: &[String]) -> Error {
    Error::not_found(format!("there is no column {name:?}"))
        .with_object(path.join("."))
        .with_hint("nothing was changed; `lake schema` shows the columns")
}

fn taken(name: &str, path: &[String]) -> Error {
    Error::already_exists(format!("the column {name:?} is there already")).with_object(path.join("."))
}

#[cfg(test)]
mod tests;
