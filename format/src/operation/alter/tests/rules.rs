//! Constraints, generated columns and defaults: refused by name without an evaluator, kept with one.

use arrow_array::BooleanArray;
use arrow_schema::DataType as ArrowType;

use super::*;
use crate::expr::{Evaluator, EvaluatorRef};

/// Knows `column > number`, `column + number` and numbers.
#[derive(Debug)]
struct Calculator;

impl Evaluator for Calculator {
    fn evaluate(&self, expression: &str, rows: &RecordBatch, wanted: &ArrowType) -> Result<ArrayRef> {
        let words: Vec<&str> = expression.split(' ').collect();
        let column = |name: &str| rows.column_by_name(name).expect(name).as_primitive::<Int64Type>().clone();
        let number = |text: &str| text.parse::<i64>().expect("a number");
        let array: ArrayRef = match words.as_slice() {
            [name, ">", least] => {
                let (column, least) = (column(name), number(least));
                Arc::new(column.iter().map(|value| value.map(|value| value > least)).collect::<BooleanArray>())
            }
            [name, "+", more] => {
                let more = number(more);
                Arc::new(column(name).iter().map(|value| value.map(|value| value + more)).collect::<Int64Array>())
            }
            [constant] => Arc::new(Int64Array::from(vec![number(constant); rows.num_rows()])),
            _ => return Err(Error::unsupported("what is this?").with_object(expression.to_owned())),
        };
        assert_eq!(array.data_type(), wanted);
        Ok(array)
    }
}

/// A table with one rule of each kind; the constraint and invariant come from another engine's hand.
async fn ruled() -> Arc<Snapshot> {
    let mut schema = parse_declaration("id long, more long not null, n long, free long").unwrap();
    schema.fields[1].metadata.insert("delta.generationExpression".into(), "id + 1".into());
    schema.fields[2].metadata.insert("CURRENT_DEFAULT".into(), "7".into());
    let invariant = "{\"expression\":{\"expression\":\"free > 0\"}}";
    schema.fields[3].metadata.insert("delta.invariants".into(), invariant.into());
    let properties = pairs(&[("delta.minWriterVersion", "3")]);
    let head = created(CreateOptions { schema, properties, ..CreateOptions::default() }).await.expect("created");
    let mut metadata = head.metadata().clone();
    metadata.configuration.insert("delta.constraints.positive".into(), "id > 0".into());
    let asked = Directives { features: ["checkConstraints"].into(), ..Directives::default() };
    let protocol = Action::Protocol(upgraded(head.protocol(), &asked).unwrap());
    let actions = vec![protocol, Action::Metadata(Box::new(metadata))];
    let staged = Staged { operation: Operation::new("ADD CONSTRAINT"), actions, reads: Reads::Nothing };
    let outcome = transact(Base::On(head), staged, &LogCommitter).await.expect("added");
    let crate::transaction::Outcome::Committed(done) = outcome else { panic!("unknown") };
    done.snapshot
}

async fn judged(head: &Arc<Snapshot>, columns: Vec<(&str, ArrayRef)>) -> Result<WriteOutcome> {
    let evaluator: EvaluatorRef = Arc::new(Calculator);
    let options = AppendOptions { evaluator: Some(evaluator), ..AppendOptions::default() };
    let rows = batch(columns);
    append(head, &LogCommitter, &options, Input::from_batches(rows.schema(), vec![rows])).await
}

#[tokio::test]
async fn rows_that_nobody_can_judge_are_refused_by_rule() {
    let head = ruled().await;
    let rows = batch(vec![("id", longs(&[Some(1)])), ("free", longs(&[Some(1)]))]);
    let error = appended(&head, rows.clone(), false).await.expect_err("RUL-2");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("positive") && error.message().contains("id > 0"), "RUL-2: {error}");
    let options = OverwriteOptions::default();
    let input = Input::from_batches(rows.schema(), vec![rows]);
    let error = overwrite(&head, &LogCommitter, &options, input).await.expect_err("RUL-2");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    // What asks nothing of new rows goes on.
    let head = committed(altered(&head, &[add("later", PrimitiveType::Long)]).await);
    assert_eq!(head.schema().fields.len(), 5);
}

#[tokio::test]
async fn an_evaluator_keeps_the_rules() {
    let head = ruled().await;
    let one = || ("free", longs(&[Some(1)]));
    let head = committed(judged(&head, vec![("id", longs(&[Some(1)])), one()]).await);
    assert_eq!(column(&head, "more").await.as_primitive::<Int64Type>().value(0), 2, "RUL-4: computed");
    assert_eq!(column(&head, "n").await.as_primitive::<Int64Type>().value(0), 7, "RUL-4: default");
    let given = vec![("id", longs(&[Some(4)])), ("MORE", longs(&[Some(5)])), ("n", longs(&[None])), one()];
    let head = committed(judged(&head, given).await);
    assert_eq!(column(&head, "n").await.null_count(), 1, "RUL-4: a null that was given stays");
    let broken: [(&str, Vec<(&str, ArrayRef)>); 4] = [
        ("positive", vec![("id", longs(&[Some(0)])), one()]),
        ("id > 0", vec![("id", longs(&[None])), ("more", longs(&[None])), one()]),
        ("free > 0", vec![("id", longs(&[Some(1)])), ("free", longs(&[None]))]),
        ("id + 1", vec![("id", longs(&[Some(1)])), ("more", longs(&[Some(3)])), one()]),
    ];
    for (rule, columns) in broken {
        let error = judged(&head, columns).await.expect_err(rule);
        assert_eq!(error.kind(), ErrorKind::Invalid, "RUL-3: {error}");
        if rule != "id > 0" {
            assert!(error.message().contains(rule), "RUL-3: {error}");
        }
    }
    assert_eq!(column(&head, "id").await.len(), 2, "nothing of a broken batch is written");
}

#[tokio::test]
async fn columns_that_a_rule_speaks_of_stay_as_they_are() {
    let head = committed(set(&ruled().await, &[NAMED, ("delta.enableTypeWidening", "true")]).await);
    for change in [rename("id", "key"), drop_column("id"), rename("free", "f")] {
        let error = altered(&head, &[change]).await.expect_err("EVO-2");
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.message().contains("id > 0") || error.message().contains("free > 0"), "EVO-2: {error}");
    }
    let head = committed(altered(&head, &[rename("n", "m")]).await);
    let head = committed(judged(&head, vec![("id", longs(&[Some(1)])), ("free", longs(&[Some(1)]))]).await);
    assert_eq!(column(&head, "m").await.as_primitive::<Int64Type>().value(0), 7);
}
