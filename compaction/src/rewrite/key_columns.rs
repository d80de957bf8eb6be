//! The columns that rows are ordered by: which can be, and how their statistics are made sure of.

use lake_format::expr::ColumnPath;
use lake_format::protocol::TableProperties;
use lake_format::schema::{DataType, StructType};
use lake_format::{Error, Result, Snapshot};

use crate::plan::cluster::{MAX_COLUMNS, is_orderable};

/// Columns to order by, as the table spells them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyColumns(Vec<String>);

impl KeyColumns {
    /// The named columns of a table; `None` for no names.
    ///
    /// # Errors
    /// `Invalid` for a name that the table lacks or that is given twice, and for partition columns; `Unsupported` for
    /// a type that rows are not ordered by.
    pub fn find(schema: &StructType, partition_columns: &[String], names: &[String]) -> Result<Option<Self>> {
        let mut found: Vec<String> = Vec::with_capacity(names.len());
        for name in names {
            let column = find(schema, partition_columns, name)?;
            if found.contains(&column) {
                return Err(Error::invalid("a column to order by is named twice").with_object(column));
            }
            found.push(column);
        }
        if found.len() > MAX_COLUMNS {
            return Err(Error::invalid(format!("{} columns to order by; at most {MAX_COLUMNS} can be", found.len()))
                .with_hint("two to four columns that queries filter by work best"));
        }
        Ok(if found.is_empty() { None } else { Some(Self(found)) })
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// The table's properties, changed so that files get statistics of these columns besides those they get anyway.
    pub(super) fn with_statistics(&self, snapshot: &Snapshot) -> TableProperties {
        let mut properties = snapshot.properties().clone();
        let own = |name: &String| ColumnPath::top(name.clone());
        let named = match &properties.data_skipping_stats_columns {
            Some(named) => named.clone(),
            None => {
                let Ok(count) = usize::try_from(properties.data_skipping_num_indexed_cols) else {
                    return properties;
                };
                let mut leaves = leaves(snapshot.schema(), snapshot.partition_columns());
                leaves.truncate(count);
                leaves
            }
        };
        let covered = |name: &String| {
            named.iter().any(|path| matches!(path.0.as_slice(), [top] if top.to_lowercase() == name.to_lowercase()))
        };
        if self.0.iter().all(covered) {
            return properties;
        }
        let missing = self.0.iter().filter(|name| !covered(name)).map(own);
        let all = named.iter().cloned().chain(missing).collect();
        properties.data_skipping_stats_columns = Some(all);
        properties
    }
}

fn find(schema: &StructType, partition_columns: &[String], name: &str) -> Result<String> {
    let Some(field) = schema.field(name) else {
        let inside = name.split_once('.').and_then(|(top, _)| schema.field(top));
        if let Some(top) = inside {
            return Err(Error::unsupported(format!(
                "rows can't be ordered by a part of a column of type {}",
                top.data_type
            ))
            .with_object(name)
            .with_hint("choose top-level columns"));
        }
        let known: Vec<&str> = schema.fields.iter().map(|field| field.name.as_str()).collect();
        let hint = match nearest(name, &known) {
            Some(near) => format!("did you mean {near:?}? The columns are {}", known.join(", ")),
            None => format!("the columns are {}", known.join(", ")),
        };
        return Err(Error::invalid("a column to order by is not in the table").with_object(name).with_hint(hint));
    };
    if partition_columns.iter().any(|column| column.to_lowercase() == field.name.to_lowercase()) {
        return Err(Error::invalid("the table is partitioned by a column that rows are to be ordered by")
            .with_object(field.name.clone())
            .with_hint("it has one value in every file; choose other columns"));
    }
    if !is_orderable(&field.data_type) {
        return Err(Error::unsupported(format!("rows can't be ordered by a column of type {}", field.data_type))
            .with_object(field.name.clone())
            .with_hint("choose columns of numbers, text, dates or timestamps"));
    }
    Ok(field.name.clone())
}

/// The known name that `name` is a slip of.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let lower: Vec<char> = name.to_lowercase().chars().collect();
    let scored =
        known.iter().map(|&known| (distance(&lower, &known.to_lowercase().chars().collect::<Vec<_>>()), known));
    scored.filter(|(edits, _)| *edits <= lower.len().div_ceil(3)).min_by_key(|(edits, _)| *edits).map(|(_, near)| near)
}

/// Insertions, deletions and replacements between two words.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(corner + 1);
        }
    }
    row[b.len()]
}

/// Leaf columns of the table's files in the order in which statistics are counted.
fn leaves(schema: &StructType, partition_columns: &[String]) -> Vec<ColumnPath> {
    let is_partition = |name: &str| partition_columns.iter().any(|column| column.to_lowercase() == name.to_lowercase());
    let mut found = Vec::new();
    for field in schema.fields.iter().filter(|field| !is_partition(&field.name) && field.data_type != DataType::Void) {
        collect(&field.data_type, &mut vec![field.name.clone()], &mut found);
    }
    found
}

fn collect(data_type: &DataType, path: &mut Vec<String>, found: &mut Vec<ColumnPath>) {
    let DataType::Struct(inner) = data_type else {
        found.push(ColumnPath(path.clone()));
        return;
    };
    for field in &inner.fields {
        path.push(field.name.clone());
        collect(&field.data_type, path, found);
        path.pop();
    }
}

#[cfg(test)]
mod tests {
    use lake_format::ErrorKind;
    use lake_format::schema::{PrimitiveType, StructField};

    use super::*;

    fn schema() -> StructType {
        let field = |name: &str, data_type| StructField::new(name, data_type, true);
        let primitive = DataType::Primitive;
        let place = StructType::new(vec![field("city", primitive(PrimitiveType::String))]);
        StructType::new(vec![
            field("Id", primitive(PrimitiveType::Long)),
            field("customer", primitive(PrimitiveType::String)),
            field("flag", primitive(PrimitiveType::Boolean)),
            field("raw", primitive(PrimitiveType::Binary)),
            field("place", DataType::Struct(place)),
            field("day", primitive(PrimitiveType::Date)),
        ])
    }

    fn find_all(names: &[&str]) -> Result<Option<KeyColumns>> {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        KeyColumns::find(&schema(), &["day".to_owned()], &names)
    }

    #[test]
    fn columns_are_found_in_any_case_and_kept_as_the_table_spells_them() {
        assert_eq!(find_all(&["ID", "Customer"]).expect("found").expect("some").names(), ["Id", "customer"]);
        assert_eq!(find_all(&[]).expect("none"), None);
    }

    #[test]
    fn what_rows_are_not_ordered_by_is_refused_by_name() {
        use ErrorKind::{Invalid, Unsupported};
        let cases = [
            ("custmer", Invalid, "did you mean \"customer\"?"),
            ("zzz", Invalid, "the columns are Id, customer"),
            ("day", Invalid, "one value in every file"),
            ("flag", Unsupported, "numbers, text"),
            ("raw", Unsupported, "numbers, text"),
            ("place", Unsupported, "numbers, text"),
            ("place.city", Unsupported, "top-level"),
        ];
        for (name, kind, hint) in cases {
            let error = find_all(&["Id", name]).expect_err(name);
            assert_eq!((error.kind(), error.object()), (kind, Some(name)));
            assert!(error.hint().is_some_and(|text| text.contains(hint)), "{name}: {:?}", error.hint());
        }
        assert_eq!(find_all(&["Id", "ID"]).expect_err("twice").kind(), Invalid);
        assert!(find_all(&["flag"]).expect_err("type").message().contains("boolean"));
    }

    #[test]
    fn leaves_are_counted_as_files_have_them() {
        let paths: Vec<String> = leaves(&schema(), &["DAY".to_owned()]).iter().map(ToString::to_string).collect();
        assert_eq!(paths, ["Id", "customer", "flag", "raw", "place.city"]);
    }
}
