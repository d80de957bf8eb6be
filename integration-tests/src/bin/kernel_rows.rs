//! Prints what delta_kernel reads: `kernel-rows TABLE OUT [COLUMN < | = | > VALUE]` writes the rows of a table to the
//! Parquet file OUT. With a condition the kernel leaves out what the statistics rule out, and nothing else.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;

use delta_kernel::arrow::array::RecordBatch;
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::engine::arrow_data::EngineDataArrowExt;
use delta_kernel::expressions::{Predicate, PredicateRef, Scalar};
use delta_kernel::parquet::arrow::ArrowWriter;
use delta_kernel::{Expression, Snapshot, try_parse_uri};
use delta_kernel_default_engine::DefaultEngineBuilder;
use delta_kernel_default_engine::storage::store_from_url;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [table, out, condition @ ..] = arguments.as_slice() else {
        return Err("usage: kernel-rows TABLE OUT [COLUMN < | = | > VALUE]".into());
    };
    let url = try_parse_uri(table)?;
    let engine = Arc::new(DefaultEngineBuilder::new(store_from_url(&url)?).build());
    let snapshot = Snapshot::builder_for(url).build(engine.as_ref())?;
    let schema = Arc::new(snapshot.schema().as_ref().try_into_arrow()?);
    let scan = snapshot.scan_builder().with_predicate(predicate(condition)?).build()?;
    let mut writer = ArrowWriter::try_new(File::create(out)?, Arc::clone(&schema), None)?;
    for data in scan.execute(engine)? {
        // The batches' own schemas differ in what Parquet's footers say besides the types.
        let batch = data?.try_into_record_batch()?;
        writer.write(&RecordBatch::try_new(Arc::clone(&schema), batch.columns().to_vec())?)?;
    }
    writer.close()?;
    Ok(())
}

fn predicate(condition: &[String]) -> Result<Option<PredicateRef>, Box<dyn Error>> {
    let [column, operator, value] = condition else {
        return if condition.is_empty() { Ok(None) } else { Err("a condition is COLUMN < | = | > VALUE".into()) };
    };
    let column = Expression::column([column.as_str()]);
    let value = match value.parse::<i64>() {
        Ok(number) => Expression::literal(number),
        Err(_) => Expression::literal(Scalar::from(value.as_str())),
    };
    let predicate = match operator.as_str() {
        "<" => Predicate::lt(column, value),
        "=" => Predicate::eq(column, value),
        ">" => Predicate::gt(column, value),
        other => return Err(format!("{other} is none of < = >").into()),
    };
    Ok(Some(Arc::new(predicate)))
}
