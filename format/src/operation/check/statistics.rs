//! Whether the statistics of a file enclose its rows: a scan that skips by them must lose none.

use arrow_array::RecordBatch;
use futures::StreamExt;

use super::data::{Looked, Planned};
use super::is_finding;
use crate::action::Add;
use crate::action::stats::Stats;
use crate::error::Result;
use crate::expr::{ColumnPath, CompareOp, Predicate, Scalar, evaluate};
use crate::scan::ReadOptions;
use crate::schema::mapping::physical_name;
use crate::schema::widening::was_float;
use crate::schema::{DataType, PrimitiveType, StructField, StructType};
use crate::snapshot::Snapshot;

/// The name of a column in data files and statistics.
pub(super) fn physical(snapshot: &Snapshot, field: &StructField) -> String {
    physical_name(field, snapshot.mapping()).to_owned()
}

/// What the statistics say of one column, as conditions that no row may meet.
struct Claim {
    column: ColumnPath,
    below: Option<Predicate>,
    above: Option<Predicate>,
    null: Predicate,
    null_count: Option<i64>,
    nulls: i64,
}

/// Reads the rows of a file and compares them with its statistics.
pub(super) async fn check(
    snapshot: &Snapshot,
    (plan, places): &Planned<'_>,
    add: &Add,
    stats: Option<&Stats>,
    rows: i64,
    name: &str,
    looked: &mut Looked,
) -> Result<()> {
    let file = places.get(add.path.as_str()).and_then(|&place| plan.files.get(place));
    let Some(file) = file else { return Ok(()) };
    let mut claims = Vec::new();
    if let Some(stats) = stats {
        claims_of(snapshot, snapshot.schema(), stats, &mut Vec::new(), &mut Vec::new(), &mut claims);
        claims.retain(|claim| !snapshot.partition_columns().contains(&claim.column.0[0]));
    }
    let mut read: u64 = 0;
    let mut told: Vec<String> = Vec::new();
    let mut batches = plan.stream_file(&file.to_file(), ReadOptions::default());
    while let Some(batch) = batches.next().await {
        let batch = match batch {
            Ok(batch) => batch,
            Err(error) if is_finding(&error) => {
                looked.damage("footer", name, format!("the rows can't be read: {error}"));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        read += batch.num_rows() as u64;
        for claim in &mut claims {
            judge(claim, &batch, &mut told)?;
        }
    }
    looked.rows_read += read;
    if i64::try_from(read) != Ok(rows) {
        looked.damage("row-count", name, format!("{read} rows were read, and {rows} should be there"));
    }
    let exact = stats.is_some_and(|stats| stats.tight_bounds) && add.deletion_vector.is_none();
    // Writers do not agree on how nulls of a struct count for its fields.
    for claim in claims.iter().filter(|claim| claim.column.0.len() == 1) {
        if let Some(count) = claim.null_count.filter(|count| claim.nulls > *count || exact && claim.nulls != *count) {
            told.push(format!("{} has {} nulls, and its statistics say {count}", claim.column, claim.nulls));
        }
    }
    for message in told {
        looked.damage("statistics", name, message);
    }
    Ok(())
}

fn judge(claim: &mut Claim, batch: &RecordBatch, told: &mut Vec<String>) -> Result<()> {
    let count = |predicate: &Predicate| -> Result<usize> { Ok(evaluate(predicate, batch)?.true_count()) };
    claim.nulls += i64::try_from(count(&claim.null)?).unwrap_or(i64::MAX);
    for (bound, what) in [(&mut claim.below, "least"), (&mut claim.above, "greatest")] {
        // Said once of a file.
        if let Some(predicate) = bound.take() {
            match count(&predicate)? {
                0 => *bound = Some(predicate),
                _ => told.push(format!("{} has values beyond the {what} that its statistics name", claim.column)),
            }
        }
    }
    Ok(())
}

fn claims_of(
    snapshot: &Snapshot,
    schema: &StructType,
    stats: &Stats,
    logical: &mut Vec<String>,
    stored: &mut Vec<String>,
    claims: &mut Vec<Claim>,
) {
    for field in &schema.fields {
        logical.push(field.name.clone());
        stored.push(physical(snapshot, field));
        match &field.data_type {
            DataType::Struct(inner) => claims_of(snapshot, inner, stats, logical, stored, claims),
            DataType::Primitive(primitive) => {
                let bounds = stats.bounds(&ColumnPath(stored.clone()), primitive);
                let bounds = if was_float(field) { bounds.of_narrower_floats() } else { bounds };
                let column = ColumnPath(logical.clone());
                let compare = |op, value: Option<Scalar>| {
                    let value = value.filter(|value| !value.is_null())?;
                    let beyond = Predicate::Compare { column: column.clone(), op, value };
                    Some(numbers_alone(&column, primitive, beyond))
                };
                claims.push(Claim {
                    below: compare(CompareOp::Lt, bounds.min.clone()),
                    above: compare(CompareOp::Gt, bounds.max.clone()),
                    null: Predicate::IsNull(column.clone()),
                    null_count: bounds.null_count,
                    nulls: 0,
                    column: column.clone(),
                });
            }
            _ => {}
        }
        logical.pop();
        stored.pop();
    }
}

/// Statistics leave NaN out, and comparisons hold it for greater than all numbers.
fn numbers_alone(column: &ColumnPath, primitive: &PrimitiveType, beyond: Predicate) -> Predicate {
    let infinity = match primitive {
        PrimitiveType::Float => Scalar::Float(f32::INFINITY),
        PrimitiveType::Double => Scalar::Double(f64::INFINITY),
        _ => return beyond,
    };
    let number = Predicate::Compare { column: column.clone(), op: CompareOp::LtEq, value: infinity };
    Predicate::And(vec![beyond, number])
}
