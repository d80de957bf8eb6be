//! Rows found by a query, taken out of a table or replaced, in one commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, Statement, TableFactor, TableWithJoins,
};
use futures::{StreamExt, TryStreamExt};
use lake_format::operation::{RowChange, RowPlaces, change_rows};
use lake_format::scan::ScanPlan;
use lake_format::{Error, ErrorKind, Input, Result, WriteOutcome};

use super::engine::Engine;
use super::plan::PlannedChange;
use super::refuse::refused_part;
use super::tables::target;
use super::text;
use crate::provider::{FILE, PLACE, looked_at};
use crate::reference::Place;

/// States of the table that a change is tried on.
pub(super) const ATTEMPTS: u32 = 10;

/// The one table of a statement that changes rows.
pub(super) fn changed_table(from: &TableWithJoins, verb: &str) -> Result<Place> {
    if !from.joins.is_empty() {
        return Err(refused_part(&format!("a join in {verb}")));
    }
    match &from.relation {
        TableFactor::Table { name, args: None, version: None, .. } => target(name),
        TableFactor::Table { version: Some(_), .. } => {
            Err(Error::invalid("an older version of a table can't be changed").with_object(from.relation.to_string()))
        }
        _ => Err(refused_part(&format!("{verb} of anything but a table"))),
    }
}

/// The SELECT of `projection` from one table, for rows that `selection` holds for.
pub(super) fn select(from: TableWithJoins, selection: Option<Expr>, projection: Vec<SelectItem>) -> Result<Query> {
    let Statement::Query(mut query) = text::parse("SELECT 1")? else {
        return Err(Error::internal("a SELECT was not read as one"));
    };
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = vec![from];
        select.selection = selection;
        select.projection = projection;
    }
    Ok(*query)
}

/// A column of a SELECT, by its exact name.
pub(super) fn exactly(name: &str) -> SelectItem {
    SelectItem::UnnamedExpr(Expr::Identifier(Ident::with_quote('"', name)))
}

/// Where rows of a query stand, as they are seen.
#[derive(Debug)]
pub(super) struct Seen {
    places: RowPlaces,
    rows: u64,
    plan: Arc<OnceLock<ScanPlan>>,
}

impl Seen {
    pub(super) fn new(plan: &Arc<OnceLock<ScanPlan>>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { places: RowPlaces::default(), rows: 0, plan: Arc::clone(plan) }))
    }

    /// Notes the places of a batch's rows.
    pub(super) fn note(&mut self, batch: &RecordBatch) -> Result<()> {
        let column = |name: &str| {
            let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<Int64Type>());
            column.ok_or_else(|| Error::internal("rows to be changed came without their places"))
        };
        let (files, places) = (column(FILE)?, column(PLACE)?);
        let plan = self.plan.get().ok_or_else(|| Error::internal("rows came from a table that was not scanned"))?;
        let mut from = 0;
        while from < files.len() {
            let file = files.value(from);
            let to = (from..files.len()).find(|&at| files.value(at) != file).unwrap_or(files.len());
            let path = usize::try_from(file).ok().and_then(|at| plan.files.get(at)).map(|file| file.path.as_str());
            let path = path.ok_or_else(|| Error::internal("a row came from a file that was not scanned"))?;
            let rows = places.values()[from..to].iter().map(|&place| u64::try_from(place).unwrap_or_default());
            self.places.push(path, rows);
            from = to;
        }
        self.rows += files.len() as u64;
        Ok(())
    }

    /// All that was seen.
    pub(super) fn take(&mut self) -> (RowPlaces, u64) {
        (std::mem::take(&mut self.places), self.rows)
    }
}

/// Locks what was seen.
pub(super) fn seen(seen: &Mutex<Seen>) -> std::sync::MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a statement does with the rows of its query.
pub(super) struct Change {
    pub(super) name: &'static str,
    pub(super) parameters: BTreeMap<String, serde_json::Value>,
    /// The count of the rows, in the words of other writers.
    pub(super) counted_as: &'static str,
    /// New rows from a batch of the query; `None` where rows only leave.
    pub(super) into: Option<fn(&RecordBatch) -> Result<RecordBatch>>,
}

/// Runs the query and changes the rows that it gives.
pub(super) async fn run(engine: &Engine, planned: PlannedChange, change: Change) -> Result<WriteOutcome> {
    let PlannedChange { planned, table, scan } = planned;
    table.snapshot().check_writable()?;
    let places = Seen::new(&scan);
    let (schema, mut batches) = planned.stream().await?;
    let input = match change.into {
        None => {
            while let Some(batch) = batches.try_next().await? {
                seen(&places).note(&batch)?;
            }
            None
        }
        Some(into) => {
            let noted = Arc::clone(&places);
            let new_rows = move |batch: Result<RecordBatch>| {
                let batch = batch?;
                seen(&noted).note(&batch)?;
                into(&batch)
            };
            let schema = into(&RecordBatch::new_empty(schema))?.schema();
            Some(Input::new(schema, batches.map(new_rows).boxed()).within(engine.write_bytes))
        }
    };
    let plan = scan.get().ok_or_else(|| Error::internal("the table to be changed was not scanned"))?;
    let row_change = RowChange {
        name: change.name,
        parameters: change.parameters,
        looked_at: looked_at(plan),
        txn: None,
        evaluator: None,
    };
    let counted_as = change.counted_as;
    let found = move || {
        let (places, rows) = seen(&places).take();
        Ok((places, BTreeMap::from([(counted_as, rows)])))
    };
    change_rows(table.snapshot(), table.committer().as_ref(), row_change, input, found).await
}

/// Whether a change that failed is worth another look at the newest version.
pub(super) fn again(done: &Result<WriteOutcome>, attempt: u32) -> bool {
    attempt < ATTEMPTS && matches!(done, Err(error) if error.kind() == ErrorKind::Conflict)
}
