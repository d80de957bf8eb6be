//! What every file of a scan is read with: the request resolved against the table.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};

use super::adapt::{position, read_schema};
use super::row_ids::Wanted;
use super::{ScanRequest, ScanTable};
use crate::error::{Error, Result};
use crate::expr::{Predicate, evaluate};

/// What every file of a scan is read with.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) table: ScanTable,
    /// Positions in the table's schema: the wanted columns first, then those that only the predicate needs.
    pub(super) needed: Vec<usize>,
    /// Arrow form of `needed`, then of `row_ids`.
    pub(super) needed_schema: SchemaRef,
    /// Row tracking columns, which come behind the wanted ones.
    pub(super) row_ids: Vec<Wanted>,
    /// Arrow form of the wanted columns.
    pub(super) output: SchemaRef,
    pub(super) predicate: Option<Predicate>,
    pub(super) limit: Option<u64>,
}

impl Shared {
    /// Picks the columns that a request needs.
    pub(super) fn resolve(table: ScanTable, request: &ScanRequest) -> Result<Self> {
        let all = read_schema(&table.schema)?;
        let mut needed = match &request.columns {
            None => (0..all.fields().len()).collect(),
            Some(names) => names.iter().map(|name| find(&all, name)).collect::<Result<Vec<_>>>()?,
        };
        let output = all.project(&needed).map_err(project_failed)?;
        let row_ids = Wanted::of(request, table.row_tracking.as_ref(), &output)?;
        let output = Arc::new(with_row_ids(&output, &row_ids));
        if let Some(predicate) = &request.predicate {
            // No rows, so this asks whether columns and literals fit, and nothing else.
            evaluate(predicate, &RecordBatch::new_empty(Arc::clone(&all)))?;
            for column in predicate.columns() {
                let top = column.0.first().map_or("", String::as_str);
                let at = find(&all, top)?;
                if !needed.contains(&at) {
                    needed.push(at);
                }
            }
        }
        let needed_schema = Arc::new(with_row_ids(&all.project(&needed).map_err(project_failed)?, &row_ids));
        let (predicate, limit) = (request.predicate.clone(), request.limit);
        Ok(Self { table, needed, needed_schema, row_ids, output, predicate, limit })
    }

    /// The same for the columns of the condition alone, without a condition.
    pub(super) fn of_condition(&self, predicate: &Predicate) -> Option<Self> {
        let schema = &self.table.schema;
        let tops = predicate.columns().into_iter().filter_map(|path| schema.index_of(path.0.first()?));
        let tops: Vec<usize> = tops.collect();
        let kept: Vec<usize> = (0..self.needed.len()).filter(|&slot| tops.contains(&self.needed[slot])).collect();
        let needed = kept.iter().map(|&slot| self.needed[slot]).collect();
        let needed_schema = Arc::new(self.needed_schema.project(&kept).ok()?);
        let output = Arc::clone(&needed_schema);
        let (table, row_ids) = (self.table.clone(), Vec::new());
        Some(Self { table, needed, needed_schema, row_ids, output, predicate: None, limit: None })
    }

    /// Whether the table's column at `position` is a partition column.
    pub(super) fn is_partition(&self, position: usize) -> bool {
        let schema = &self.table.schema;
        self.table.partition_columns.iter().any(|name| schema.index_of(name) == Some(position))
    }
}

fn with_row_ids(schema: &Schema, row_ids: &[Wanted]) -> Schema {
    let columns = schema.fields().iter().cloned();
    Schema::new(columns.chain(row_ids.iter().map(|wanted| Arc::new(wanted.field()))).collect::<Vec<_>>())
}

fn find(schema: &Schema, name: &str) -> Result<usize> {
    position(schema.fields(), name).ok().flatten().ok_or_else(|| {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        Error::not_found(format!("the table has no column {name:?}"))
            .with_object(name)
            .with_hint(format!("its columns are {}", names.join(", ")))
    })
}

fn project_failed(error: arrow_schema::ArrowError) -> Error {
    Error::internal("columns could not be picked from a schema").with_source(error)
}
