//! One version of a table as the engine sees it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result as EngineResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use lake_format::scan::read_schema;
use lake_format::{Result, ScanRequest, Snapshot};

use super::exec::LakeScanExec;
use crate::error::into_engine;
use crate::predicate::{conjunction, translate};

/// A snapshot for reading. Files are pruned by partition values and statistics, and filters that the scan can answer
/// row by row are answered there. It takes no writes: those are `lake_format`'s.
#[derive(Clone, Debug)]
pub struct LakeTableProvider {
    snapshot: Arc<Snapshot>,
    schema: SchemaRef,
}

impl LakeTableProvider {
    /// The table at the version of `snapshot`.
    ///
    /// # Errors
    /// `Unsupported` for a schema without an Arrow form.
    pub fn new(snapshot: Arc<Snapshot>) -> Result<Self> {
        let schema = read_schema(snapshot.schema())?;
        Ok(Self { snapshot, schema })
    }

    /// The version that is read.
    pub fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }
}

#[async_trait]
impl TableProvider for LakeTableProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        let judge = |filter: &&Expr| match translate(filter, &self.schema) {
            Some(translated) if translated.exact => TableProviderFilterPushDown::Exact,
            Some(_) => TableProviderFilterPushDown::Inexact,
            None => TableProviderFilterPushDown::Unsupported,
        };
        Ok(filters.iter().map(judge).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let name = |&at: &usize| self.schema.field(at).name().clone();
        let request = ScanRequest {
            columns: projection.map(|positions| positions.iter().map(name).collect()),
            predicate: conjunction(filters, &self.schema),
            limit: limit.map(|rows| rows as u64),
            // The engine orders joins and answers counts by them.
            statistics: true,
            ..ScanRequest::default()
        };
        let plan = self.snapshot.plan_scan(&request).await.map_err(into_engine)?;
        Ok(Arc::new(LakeScanExec::new(plan, state.config().target_partitions())))
    }
}
