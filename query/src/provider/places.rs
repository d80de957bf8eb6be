//! A table whose rows tell where they stand, for statements that change rows.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use lake_format::expr::Predicate;
use lake_format::scan::ScanPlan;
use lake_format::{Result, ScanRequest, Snapshot};

use super::LakeTableProvider;
use super::exec::LakeScanExec;
use crate::error::into_engine;
use crate::predicate::conjunction;

/// The place of a row's file in the scan's plan. No column of a table that can be created here has such a name.
pub(crate) const FILE: &str = "lake: file, of the row";
/// The place of a row in its file.
pub(crate) const PLACE: &str = "lake: place, of the row";

/// A snapshot with two columns more: [`FILE`] and [`PLACE`]. It is scanned once, and that scan's plan can be asked for.
#[derive(Clone, Debug)]
pub(crate) struct PlacesProvider {
    table: LakeTableProvider,
    schema: SchemaRef,
    scan: Arc<OnceLock<ScanPlan>>,
}

impl PlacesProvider {
    /// # Errors
    /// As [`LakeTableProvider::new`].
    pub(crate) fn new(snapshot: Arc<Snapshot>) -> Result<Self> {
        let table = LakeTableProvider::new(snapshot)?;
        let mut fields: Vec<_> = table.schema().fields().iter().cloned().collect();
        fields.extend([FILE, PLACE].map(|name| Arc::new(Field::new(name, DataType::Int64, true))));
        Ok(Self { table, schema: Arc::new(Schema::new(fields)), scan: Arc::default() })
    }

    /// The plan of the scan, once there is one.
    pub(crate) fn scan_plan(&self) -> Arc<OnceLock<ScanPlan>> {
        Arc::clone(&self.scan)
    }
}

/// What the scan looked at: every row for which this can be true.
pub(crate) fn looked_at(plan: &ScanPlan) -> Predicate {
    plan.predicate().cloned().unwrap_or(Predicate::Literal(true))
}

#[async_trait]
impl TableProvider for PlacesProvider {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        self.table.supports_filters_pushdown(filters)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let columns = self.schema.fields().len() - 2;
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..columns + 2).collect());
        let own: Vec<usize> = wanted.iter().copied().filter(|&at| at < columns).collect();
        let request = ScanRequest {
            columns: Some(own.iter().map(|&at| self.schema.field(at).name().clone()).collect()),
            predicate: conjunction(filters, &self.schema),
            row_places: Some((FILE.to_owned(), PLACE.to_owned())),
            statistics: true,
            ..ScanRequest::default()
        };
        let plan = self.table.snapshot().plan_scan(&request).await.map_err(into_engine)?;
        if self.scan.set(plan.clone()).is_err() {
            return Err(DataFusionError::Internal("the table that rows are changed in is scanned twice".to_owned()));
        }
        let scan: Arc<dyn ExecutionPlan> = Arc::new(LakeScanExec::new(plan, state.config().target_partitions()));
        let given: Vec<usize> = own.into_iter().chain([columns, columns + 1]).collect();
        if given == wanted {
            return Ok(scan);
        }
        let pick = |&at: &usize| {
            let name = self.schema.field(at).name();
            let place = given.iter().position(|&there| there == at);
            let place = place.ok_or_else(|| DataFusionError::Internal("a column was not scanned".to_owned()))?;
            Ok(ProjectionExpr::new(Arc::new(Column::new(name, place)), name.clone()))
        };
        let picked = wanted.iter().map(pick).collect::<EngineResult<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(picked, scan)?))
    }
}
