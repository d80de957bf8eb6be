//! Rows as a multiset, whatever their order and the batches' exact types.

use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The first difference between `found` and the Parquet files below `expected`.
pub fn difference(found: &[RecordBatch], expected: &Path, ignored: Option<&str>) -> Option<String> {
    let wanted = read(expected);
    let Some(shape) = found.first() else {
        let rows: usize = wanted.iter().map(RecordBatch::num_rows).sum();
        return (rows > 0).then(|| format!("no rows instead of {rows}"));
    };
    let names: Vec<String> = shape
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .filter(|name| Some(name.as_str()) != ignored)
        .collect();
    if let Some(batch) = wanted.first() {
        let missing = |name: &&String| batch.column_by_name(name).is_none();
        if let Some(name) = names.iter().find(missing) {
            return Some(format!("column {name} is not expected"));
        }
    }
    let found_rows = rows(found, &names, shape);
    let wanted_rows = rows(&wanted, &names, shape);
    if found_rows == wanted_rows {
        return None;
    }
    let odd = found_rows.iter().zip(&wanted_rows).find(|(a, b)| a != b);
    Some(match odd {
        Some((found, wanted)) => format!("row {found} instead of {wanted}"),
        None => format!("{} rows instead of {}", found_rows.len(), wanted_rows.len()),
    })
}

fn rows(batches: &[RecordBatch], names: &[String], shape: &RecordBatch) -> Vec<String> {
    let options = FormatOptions::new().with_null("∅");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayRef> = names
            .iter()
            .map(|name| {
                let column = batch.column_by_name(name).expect("checked");
                let wanted = shape.column_by_name(name).expect("own name").data_type();
                arrow::compute::cast(column, wanted).unwrap_or_else(|e| panic!("column {name}: {e}"))
            })
            .collect();
        let formatters: Vec<ArrayFormatter<'_>> =
            columns.iter().map(|column| ArrayFormatter::try_new(column, &options).expect("printable")).collect();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = formatters.iter().map(|f| f.value(row).to_string()).collect();
            rows.push(cells.join(" | "));
        }
    }
    rows.sort_unstable();
    rows
}

fn read(path: &Path) -> Vec<RecordBatch> {
    let mut files: Vec<PathBuf> = if path.is_dir() {
        let entries = std::fs::read_dir(path).expect("expected folder").map(|entry| entry.expect("entry").path());
        entries.filter(|file| file.extension().is_some_and(|e| e == "parquet")).collect()
    } else {
        vec![path.to_owned()]
    };
    files.sort();
    let mut batches = Vec::new();
    for file in files {
        let reader = std::fs::File::open(&file).expect("expected file");
        let builder = ParquetRecordBatchReaderBuilder::try_new(reader).expect("expected Parquet");
        batches.extend(builder.build().expect("reader").map(|batch| batch.expect("batch")));
    }
    batches
}
