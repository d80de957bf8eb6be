//! Columns: which changes of a schema take something away, and whether a contract suits a schema.

use std::collections::HashSet;

use lake_catalog_api::{ColumnRule, Detail};
use lake_format::expr::ColumnPath;
use lake_format::schema::{DataType, StructField, StructType, parse_declaration};

use super::limit::Range;

/// What the columns that are there must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// Their type.
    Types,
    /// Their type, and NOT NULL where it was.
    Equal,
}

/// A column that lost something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Its path.
    pub(super) column: String,
    /// What it lost.
    pub(super) what: String,
}

/// The columns that lost something from `before` to `after`. New ones are no loss.
pub(super) fn changes(before: &StructType, after: &StructType, keep: Keep) -> Vec<Change> {
    let mut found = Vec::new();
    if before != after {
        in_struct(before, after, keep, "", &mut found);
    }
    found
}

fn in_struct(before: &StructType, after: &StructType, keep: Keep, place: &str, found: &mut Vec<Change>) {
    for old in &before.fields {
        let column = if place.is_empty() { old.name.clone() } else { format!("{place}.{}", old.name) };
        let Some(new) = after.field(&old.name) else {
            found.push(Change { column, what: "the column is dropped".to_owned() });
            continue;
        };
        if keep == Keep::Equal && !old.nullable && new.nullable {
            found.push(Change { column: column.clone(), what: "the column is no longer NOT NULL".to_owned() });
        }
        in_type(&old.data_type, &new.data_type, keep, &column, found);
    }
}

/// The depth is that of a parsed schema, which is bounded.
fn in_type(before: &DataType, after: &DataType, keep: Keep, column: &str, found: &mut Vec<Change>) {
    match (before, after) {
        (DataType::Struct(old), DataType::Struct(new)) => in_struct(old, new, keep, column, found),
        (DataType::Array(old), DataType::Array(new)) => {
            in_type(&old.element_type, &new.element_type, keep, &format!("{column}.element"), found);
        }
        (DataType::Map(old), DataType::Map(new)) => {
            in_type(&old.key_type, &new.key_type, keep, &format!("{column}.key"), found);
            in_type(&old.value_type, &new.value_type, keep, &format!("{column}.value"), found);
        }
        (old, new) if old == new => {}
        (old, new) => {
            let what = format!("its type goes from {old} to {new}");
            found.push(Change { column: column.to_owned(), what });
        }
    }
}

/// The column called `name`, as the schema spells it: a column of the table, or fields of structs joined by dots.
pub(crate) fn find<'a>(schema: &'a StructType, name: &str) -> Option<(ColumnPath, &'a StructField)> {
    if let Some(field) = schema.field(name) {
        return Some((ColumnPath::top(&field.name), field));
    }
    let (mut fields, mut path, mut found) = (schema, Vec::new(), None);
    for part in name.split('.') {
        if let Some(DataType::Struct(inner)) = found.map(|field: &StructField| &field.data_type) {
            fields = inner;
        } else if found.is_some() {
            return None;
        }
        let field = fields.field(part)?;
        path.push(field.name.clone());
        found = Some(field);
    }
    found.map(|field| (ColumnPath(path), field))
}

/// Everything that keeps `contract` from being judged on a table with these columns.
pub(crate) fn check_contract(contract: &[ColumnRule], schema: &StructType) -> Vec<Detail> {
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for rule in contract {
        let mut tell = |message: String| {
            let column = Some(rule.name.clone());
            problems.push(Detail { rule: "contract.columns".to_owned(), column, message });
        };
        let Some((path, field)) = find(schema, &rule.name) else {
            tell("the table has no such column".to_owned());
            continue;
        };
        if !seen.insert(path.0) {
            tell("the column has two rules".to_owned());
            continue;
        }
        if let Some(text) = &rule.data_type {
            match parse_type(text) {
                Err(problem) => tell(problem),
                Ok(declared) if declared != field.data_type => {
                    tell(format!("its type is {}, declared is {declared}", field.data_type));
                }
                Ok(_) => {}
            }
        }
        match &field.data_type {
            DataType::Primitive(primitive) => {
                if let Err(problem) = Range::of(rule, primitive) {
                    tell(problem);
                }
            }
            other => {
                if rule.min.is_some() || rule.max.is_some() || rule.nullable == Some(false) {
                    tell(format!("NOT NULL and ranges of a column of type {other} can't be judged from statistics"));
                }
            }
        }
    }
    problems
}

/// One type, as `decimal(10,2)`.
pub(crate) fn parse_type(text: &str) -> Result<DataType, String> {
    let wrong = |why: &str| format!("{text:?} is not a type: {why}");
    let declared = parse_declaration(&format!("c {text}")).map_err(|e| wrong(e.message()))?;
    match <[StructField; 1]>::try_from(declared.fields) {
        Ok([field]) if field.nullable => Ok(field.data_type),
        Ok(_) => Err(wrong("give NOT NULL as nullable = false")),
        Err(_) => Err(wrong("it holds more than one")),
    }
}
