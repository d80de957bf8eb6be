//! What a table asks of the values of new rows, kept batch by batch: defaults filled, generated columns computed or
//! verified, conditions checked.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType as ArrowType, Field, Schema};

use super::conform::Conformer;
use crate::error::{Error, Result};
use crate::expr::EvaluatorRef;
use crate::protocol::{GeneratedColumn, Rule, Rules};
use crate::scan::adapt::position;
use crate::schema::StructType;

/// The rules of a table and who works out their expressions.
#[derive(Debug)]
pub(super) struct Enforcer {
    rules: Rules,
    evaluator: Option<EvaluatorRef>,
}

impl Enforcer {
    /// # Errors
    /// `Unsupported` naming a rule that nobody can judge (RUL-2).
    pub(super) fn new(rules: Rules, evaluator: Option<EvaluatorRef>) -> Result<Self> {
        rules.check_enforceable(evaluator.is_some())?;
        Ok(Self { rules, evaluator })
    }

    /// `batch` as rows of the table, every rule met.
    ///
    /// # Errors
    /// `Invalid` for rows that do not fit the schema or break a rule, naming it; the evaluator's own.
    pub(super) fn conform(
        &self,
        batch: &RecordBatch,
        schema: &StructType,
        conformer: &Conformer,
    ) -> Result<RecordBatch> {
        let Some(evaluator) = self.evaluator.as_ref().filter(|_| !self.rules.is_empty()) else {
            return conformer.conform(batch, schema);
        };
        let filled = self.with_defaults(batch, schema, conformer, evaluator)?;
        let given = |made: &GeneratedColumn| !matches!(position(filled.schema_ref().fields(), &made.column), Ok(None));
        let (to_verify, to_compute): (Vec<_>, Vec<_>) = self.rules.generated.iter().partition(|made| given(made));
        let computed: Vec<&str> = to_compute.iter().map(|made| made.column.as_str()).collect();
        let mut columns = conformer.adapt(&filled, schema, &computed)?;
        let rows = conformer.loose(columns.clone(), filled.num_rows())?;
        for made in to_compute {
            if let Some(at) = schema.index_of(&made.column) {
                let wanted = rows.schema_ref().field(at).data_type().clone();
                columns[at] = evaluate(evaluator, &made.expression, &rows, &wanted)?;
            }
        }
        let rows = conformer.loose(columns.clone(), filled.num_rows())?;
        for made in to_verify {
            verify(evaluator, made, &rows, schema)?;
        }
        let conformed = conformer.finish(columns, schema, filled.num_rows())?;
        for rule in &self.rules.conditions {
            check(evaluator, rule, &rows)?;
        }
        Ok(conformed)
    }

    /// The batch with the defaulted columns that it leaves out.
    fn with_defaults(
        &self,
        batch: &RecordBatch,
        schema: &StructType,
        conformer: &Conformer,
        evaluator: &EvaluatorRef,
    ) -> Result<RecordBatch> {
        let mut fields: Vec<_> = batch.schema_ref().fields().iter().cloned().collect();
        let mut columns = batch.columns().to_vec();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let assembled = |schema: Schema, columns: Vec<ArrayRef>| {
            RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)
                .map_err(|e| Error::internal("defaults do not fit the batch they belong to").with_source(e))
        };
        let bare = assembled(Schema::empty(), Vec::new())?;
        for made in &self.rules.defaults {
            let missing = matches!(position(batch.schema_ref().fields(), &made.column), Ok(None));
            if let (true, Some(at)) = (missing, schema.index_of(&made.column)) {
                let wanted = conformer.loose_type(at);
                columns.push(evaluate(evaluator, &made.expression, &bare, &wanted)?);
                fields.push(Arc::new(Field::new(&made.column, wanted, true)));
            }
        }
        assembled(Schema::new(fields), columns)
    }
}

fn evaluate(evaluator: &EvaluatorRef, expression: &str, rows: &RecordBatch, wanted: &ArrowType) -> Result<ArrayRef> {
    let array = evaluator.evaluate(expression, rows, wanted)?;
    if array.data_type() == wanted && array.len() == rows.num_rows() {
        return Ok(array);
    }
    Err(Error::internal(format!(
        "the evaluator gave {} values of {} where {} of {wanted} were asked for",
        array.len(),
        array.data_type(),
        rows.num_rows()
    ))
    .with_object(expression.to_owned()))
}

/// Every row must give true: null is a breach too (RUL-3).
fn check(evaluator: &EvaluatorRef, rule: &Rule, rows: &RecordBatch) -> Result<()> {
    let answer = evaluate(evaluator, &rule.expression, rows, &ArrowType::Boolean)?;
    let broken = count_not_true(answer.as_boolean());
    if broken == 0 {
        return Ok(());
    }
    let noun = if broken == 1 { "row breaks" } else { "rows break" };
    Err(Error::invalid(format!("{broken} {noun} {}, {}", rule.name, rule.expression))
        .with_hint("nothing was written; leave such rows out, or change the rule"))
}

fn count_not_true(answer: &BooleanArray) -> usize {
    answer.len() - answer.true_count()
}

/// What was given for a generated column must be what its expression gives, null for null (RUL-4).
fn verify(evaluator: &EvaluatorRef, made: &GeneratedColumn, rows: &RecordBatch, schema: &StructType) -> Result<()> {
    let Some(at) = schema.index_of(&made.column) else { return Ok(()) };
    let given = rows.column(at);
    let computed = evaluate(evaluator, &made.expression, rows, given.data_type())?;
    let equal = arrow_ord::cmp::not_distinct(given, &computed).map_err(|e| {
        Error::unsupported("the values of a generated column can't be compared")
            .with_object(format!("column {}", made.column))
            .with_source(e)
    })?;
    match count_not_true(&equal) {
        0 => Ok(()),
        other => Err(Error::invalid(format!(
            "{other} values of the generated column {:?} are not what {} gives",
            made.column, made.expression
        ))
        .with_object(format!("column {}", made.column))
        .with_hint("leave the column out of the input: it is computed")),
    }
}
