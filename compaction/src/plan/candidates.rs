//! The files that a run may rewrite, partition by partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use lake_format::action::{Add, partition_value};
use lake_format::expr::{Predicate, Scalar, evaluate, to_arrow_scalar};
use lake_format::schema::mapping::physical_name;
use lake_format::schema::{DataType, MappingMode, PrimitiveType, StructField, StructType, to_arrow};
use lake_format::{Error, Result};

/// Live files of one partition that are rewritten together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileGroup {
    /// Partition column to value as text. Empty for a table without partitions.
    pub partition: BTreeMap<String, Option<String>>,
    /// The files, oldest first.
    pub files: Vec<Arc<Add>>,
}

impl FileGroup {
    /// Bytes of the files, as the log has them.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().fold(0, |sum, add| sum.saturating_add(size_of(add)))
    }
}

/// Bytes of a file as the log has them; a size that can't be counts as none.
pub(super) fn size_of(add: &Add) -> u64 {
    u64::try_from(add.size).unwrap_or(0)
}

/// The live files, by partition, of the partitions for which `wanted` is true. Values that are the same value in
/// different spellings are one partition.
///
/// # Errors
/// `Invalid` for a condition on anything but partition columns, `Corrupt` for a partition value that is none of its
/// column's type.
pub fn group_by_partition(
    files: &[Arc<Add>],
    schema: &StructType,
    mapping: MappingMode,
    partition_columns: &[String],
    wanted: Option<&Predicate>,
) -> Result<Vec<FileGroup>> {
    let columns = typed(schema, partition_columns)?;
    let keys: Vec<&str> = columns
        .iter()
        .map(|(name, _)| schema.field(name).map_or(name.as_str(), |field| physical_name(field, mapping)))
        .collect();
    let filter = wanted.map(|predicate| Filter::new(predicate, &columns)).transpose()?;
    let mut groups: BTreeMap<Vec<Option<String>>, Members> = BTreeMap::new();
    for add in files {
        let mut values = Vec::with_capacity(columns.len());
        for ((name, primitive), key) in columns.iter().zip(&keys) {
            let text = partition_text(&add.partition_values, key);
            let value = partition_value::parse(text, primitive);
            values.push(value.map_err(|e| e.with_object(format!("{name} of {}", add.path)))?);
        }
        let key = values.iter().map(partition_value::format).collect::<Result<Vec<_>>>()?;
        if let Some((_, members)) = groups.get_mut(&key) {
            members.push(Arc::clone(add));
            continue;
        }
        let passes = filter.as_ref().map_or(Ok(true), |filter| filter.passes(&values))?;
        groups.insert(key, (passes, vec![Arc::clone(add)]));
    }
    let named = |key: Vec<Option<String>>| partition_columns.iter().cloned().zip(key).collect();
    let kept = groups.into_iter().filter(|(_, (passes, _))| *passes);
    Ok(kept
        .map(|(key, (_, mut files))| {
            files.sort_by(|a, b| (a.modification_time, &a.path).cmp(&(b.modification_time, &b.path)));
            FileGroup { partition: named(key), files }
        })
        .collect())
}

/// Whether the partition is wanted, and its files.
type Members = (bool, Vec<Arc<Add>>);

fn typed(schema: &StructType, partition_columns: &[String]) -> Result<Vec<(String, PrimitiveType)>> {
    let find = |name: &String| match schema.field(name).map(|field| &field.data_type) {
        Some(DataType::Primitive(primitive)) => Ok((name.clone(), *primitive)),
        _ => Err(Error::corrupt("a partition column is not a plain column of the schema").with_object(name.clone())),
    };
    partition_columns.iter().map(find).collect()
}

fn partition_text<'a>(values: &'a BTreeMap<String, Option<String>>, name: &str) -> Option<&'a str> {
    if let Some(exact) = values.get(name) {
        return exact.as_deref();
    }
    let lower = name.to_lowercase();
    values.iter().find(|(key, _)| key.to_lowercase() == lower)?.1.as_deref()
}

/// A condition on partition columns.
struct Filter<'a> {
    predicate: &'a Predicate,
    schema: arrow::datatypes::SchemaRef,
}

impl<'a> Filter<'a> {
    fn new(predicate: &'a Predicate, columns: &[(String, PrimitiveType)]) -> Result<Self> {
        let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
        for column in predicate.columns() {
            let known = matches!(column.0.as_slice(), [name]
                if names.iter().any(|known| known.to_lowercase() == name.to_lowercase()));
            if !known {
                let hint = match names.as_slice() {
                    [] => "the table has no partitions".to_owned(),
                    names => format!("the partition columns are {}", names.join(", ")),
                };
                return Err(Error::invalid("only partition columns can choose what is compacted")
                    .with_object(column.to_string())
                    .with_hint(hint));
            }
        }
        let field = |(name, primitive): &(String, PrimitiveType)| {
            StructField::new(name.clone(), DataType::Primitive(*primitive), true)
        };
        let schema = to_arrow(&StructType::new(columns.iter().map(field).collect()))?;
        // No rows: this asks only whether the literals fit their columns.
        evaluate(predicate, &RecordBatch::new_empty(Arc::clone(&schema)))?;
        Ok(Self { predicate, schema })
    }

    fn passes(&self, values: &[Scalar]) -> Result<bool> {
        let array = |(value, field): (&Scalar, &arrow::datatypes::FieldRef)| to_arrow_scalar(value, field.data_type());
        let columns = values.iter().zip(self.schema.fields()).map(array).collect::<Result<Vec<ArrayRef>>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(1));
        let row = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|e| Error::internal("partition values do not make a row").with_source(e))?;
        let answer = evaluate(self.predicate, &row)?;
        Ok(answer.is_valid(0) && answer.value(0))
    }
}

#[cfg(test)]
mod tests {
    use lake_format::ErrorKind;
    use lake_format::expr::{ColumnPath, CompareOp};

    use super::*;

    fn schema() -> StructType {
        let field = |name: &str, primitive| StructField::new(name, DataType::Primitive(primitive), true);
        StructType::new(vec![
            field("id", PrimitiveType::Long),
            field("Day", PrimitiveType::Date),
            field("n", PrimitiveType::Integer),
        ])
    }

    fn file(path: &str, values: &[(&str, Option<&str>)], time: i64) -> Arc<Add> {
        let own = |(name, value): &(&str, Option<&str>)| ((*name).to_owned(), value.map(str::to_owned));
        Arc::new(Add {
            path: path.to_owned(),
            partition_values: values.iter().map(own).collect(),
            modification_time: time,
            size: 10,
            ..Add::default()
        })
    }

    fn group(files: &[Arc<Add>], columns: &[&str], wanted: Option<&Predicate>) -> Result<Vec<Vec<String>>> {
        let columns: Vec<String> = columns.iter().map(|&name| name.to_owned()).collect();
        let groups = group_by_partition(files, &schema(), MappingMode::None, &columns, wanted)?;
        Ok(groups.iter().map(|group| group.files.iter().map(|add| add.path.clone()).collect()).collect())
    }

    #[test]
    fn a_value_in_two_spellings_is_one_partition_and_nulls_are_their_own() {
        let files = [
            file("c", &[("Day", Some("2024-01-02")), ("n", Some("1"))], 3),
            file("b", &[("Day", Some("2024-01-02")), ("n", Some("+1"))], 2),
            file("a", &[("Day", None), ("n", Some("1"))], 1),
            file("d", &[("Day", Some("")), ("n", Some("1"))], 4),
            file("e", &[("n", Some("1"))], 5),
        ];
        assert_eq!(group(&files, &["Day", "n"], None).expect("groups"), [vec!["a", "d", "e"], vec!["b", "c"]]);
        assert_eq!(group(&files, &[], None).expect("groups"), [["a", "b", "c", "d", "e"]]);
    }

    #[test]
    fn a_condition_chooses_partitions() {
        let files =
            [file("a", &[("n", Some("1"))], 1), file("b", &[("n", Some("2"))], 1), file("c", &[("n", None)], 1)];
        let above = |value: Scalar| Predicate::Compare { column: ColumnPath::top("N"), op: CompareOp::Gt, value };
        assert_eq!(group(&files, &["n"], Some(&above(Scalar::Long(1)))).expect("groups"), [["b"]]);
        let null = Predicate::IsNull(ColumnPath::top("n"));
        assert_eq!(group(&files, &["n"], Some(&null)).expect("groups"), [["c"]]);
        let other = Predicate::IsNull(ColumnPath::top("id"));
        let error = group(&files, &["n"], Some(&other)).expect_err("not a partition column");
        assert_eq!((error.kind(), error.object()), (ErrorKind::Invalid, Some("id")));
        let text = above(Scalar::String("x".into()));
        assert_eq!(group(&files, &["n"], Some(&text)).expect_err("literal").kind(), ErrorKind::Invalid);
        assert_eq!(group(&files, &[], Some(&null)).expect_err("none").kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named() {
        let error = group(&[file("x", &[("n", Some("one"))], 1)], &["n"], None).expect_err("no integer");
        assert_eq!((error.kind(), error.object()), (ErrorKind::Corrupt, Some("n of x")));
    }
}
