//! Which column names and which depth of nesting a schema may have.

use std::collections::HashSet;
use std::fmt::Display;

use crate::error::{Error, Result};

use super::{DataType, StructType};

/// Structs, arrays and maps around a value, the table's own struct included. Chosen so that the schema's JSON text,
/// three levels a struct, stays readable for JSON readers that stop at 128 levels.
pub const MAX_TYPE_DEPTH: usize = 40;

/// Characters that a column's name may hold only where columns are mapped by id or physical name.
const SPECIAL: [char; 10] = [' ', ',', ';', '{', '}', '(', ')', '\n', '\t', '='];

/// Checks that every name is there and that no two in one struct are equal ignoring case, at every level.
///
/// # Errors
/// [`Invalid`](crate::error::ErrorKind::Invalid) with the path of the column;
/// [`Unsupported`](crate::error::ErrorKind::Unsupported) when nested deeper than [`MAX_TYPE_DEPTH`].
pub fn check_names(schema: &StructType) -> Result<()> {
    walk_struct(schema, &mut Place::default(), &|_, _| Ok(()))
}

/// [`check_names`] for names that a user chose, in a table without column mapping: such names go to Parquet as they
/// are and may not hold a space or one of `,;{}()=`, a tab or a line feed.
///
/// # Errors
/// As [`check_names`].
pub fn check_new_names(schema: &StructType) -> Result<()> {
    walk_struct(schema, &mut Place::default(), &|name, place| {
        let Some(c) = name.chars().find(|c| SPECIAL.contains(c)) else { return Ok(()) };
        Err(Error::invalid(format!("a column name may not contain {c:?}"))
            .with_object(place.with(name))
            .with_hint("choose another name, for example with an underscore"))
    })
}

/// [`check_new_names`] for the fields of `new` that `old` lacks, at any depth.
///
/// # Errors
/// As [`check_new_names`].
pub fn check_added_names(old: &StructType, new: &StructType) -> Result<()> {
    new.fields.iter().try_for_each(|field| match old.field(&field.name) {
        None => check_new_names(&StructType::new(vec![field.clone()])),
        Some(there) => check_added_inside(&there.data_type, &field.data_type),
    })
}

fn check_added_inside(old: &DataType, new: &DataType) -> Result<()> {
    match (old, new) {
        (DataType::Struct(old), DataType::Struct(new)) => check_added_names(old, new),
        (DataType::Array(old), DataType::Array(new)) => check_added_inside(&old.element_type, &new.element_type),
        (DataType::Map(old), DataType::Map(new)) => {
            check_added_inside(&old.key_type, &new.key_type)?;
            check_added_inside(&old.value_type, &new.value_type)
        }
        _ => Ok(()),
    }
}

/// Where in a schema we are: names from the outside in, for messages and for the depth.
#[derive(Default)]
pub(super) struct Place(Vec<String>);

impl Place {
    /// Enters a part; fails when that is too deep.
    pub(super) fn enter(&mut self, name: &str) -> Result<()> {
        if self.0.len() >= MAX_TYPE_DEPTH {
            let text = format!("the schema is nested deeper than {MAX_TYPE_DEPTH} levels");
            return Err(self.name_in(Error::unsupported(text)));
        }
        self.0.push(name.to_owned());
        Ok(())
    }

    /// Leaves the part entered last.
    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    /// `error` with this place as its object.
    pub(super) fn name_in(&self, error: Error) -> Error {
        if self.0.is_empty() { error } else { error.with_object(self.to_string()) }
    }

    /// The path with one more name.
    pub(super) fn with(&self, name: &str) -> String {
        if self.0.is_empty() { name.to_owned() } else { format!("{self}.{name}") }
    }
}

impl Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join("."))
    }
}

type Rule<'a> = &'a dyn Fn(&str, &Place) -> Result<()>;

fn walk_struct(schema: &StructType, place: &mut Place, rule: Rule<'_>) -> Result<()> {
    let mut seen = HashSet::with_capacity(schema.fields.len());
    for field in &schema.fields {
        if field.name.is_empty() {
            return Err(Error::invalid("a column has an empty name").with_object(place.with("\"\"")));
        }
        if !seen.insert(field.name.to_lowercase()) {
            let text = format!("the column {:?} is there twice, ignoring case", field.name);
            return Err(Error::invalid(text).with_object(place.with(&field.name)));
        }
        rule(&field.name, place)?;
        place.enter(&field.name)?;
        walk_type(&field.data_type, place, rule)?;
        place.leave();
    }
    Ok(())
}

fn walk_type(data_type: &DataType, place: &mut Place, rule: Rule<'_>) -> Result<()> {
    match data_type {
        DataType::Primitive(_) | DataType::Variant | DataType::Void => Ok(()),
        DataType::Struct(fields) => walk_struct(fields, place, rule),
        DataType::Array(array) => inside(&array.element_type, "element", place, rule),
        DataType::Map(map) => {
            inside(&map.key_type, "key", place, rule)?;
            inside(&map.value_type, "value", place, rule)
        }
    }
}

fn inside(data_type: &DataType, name: &str, place: &mut Place, rule: Rule<'_>) -> Result<()> {
    place.enter(name)?;
    walk_type(data_type, place, rule)?;
    place.leave();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{ArrayType, PrimitiveType, StructField};
    use super::*;
    use crate::error::ErrorKind;

    fn long(name: &str) -> StructField {
        StructField::new(name, DataType::Primitive(PrimitiveType::Long), true)
    }

    fn array_of(element_type: DataType) -> DataType {
        DataType::Array(Box::new(ArrayType { element_type, contains_null: true }))
    }

    #[test]
    fn names_differing_in_case_alone_are_refused_at_any_level() {
        assert!(check_names(&StructType::new(vec![long("a"), long("b")])).is_ok());
        let twice = StructType::new(vec![long("a"), long("A")]);
        assert_eq!(check_names(&twice).unwrap_err().object(), Some("A"));
        let nested = array_of(DataType::Struct(StructType::new(vec![long("ä"), long("Ä")])));
        let error = check_names(&StructType::new(vec![StructField::new("x", nested, true)])).unwrap_err();
        assert_eq!((error.kind(), error.object()), (ErrorKind::Invalid, Some("x.element.Ä")));
        assert_eq!(check_names(&StructType::new(vec![long("")])).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn new_names_keep_out_what_parquet_readers_choke_on() {
        for bad in ["a b", "a,b", "a;b", "a{", "}", "(", "a)", "a\nb", "a\tb", "a=b"] {
            let schema = StructType::new(vec![long(bad)]);
            assert!(check_names(&schema).is_ok(), "{bad}");
            assert_eq!(check_new_names(&schema).unwrap_err().kind(), ErrorKind::Invalid, "{bad}");
        }
        assert!(check_new_names(&StructType::new(vec![long("grün-1.x$")])).is_ok());
    }

    #[test]
    fn depth_is_bounded() {
        let nest = |levels: usize| {
            let mut data_type = DataType::Primitive(PrimitiveType::Long);
            for _ in 0..levels {
                data_type = array_of(data_type);
            }
            StructType::new(vec![StructField::new("a", data_type, true)])
        };
        assert!(check_names(&nest(MAX_TYPE_DEPTH - 1)).is_ok());
        assert_eq!(check_names(&nest(MAX_TYPE_DEPTH)).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
