//! A scan of a table as a leaf of the engine's plan.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result as EngineResult};
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, CardinalityEffect, EmissionType, ReplaceChildrenOptions, SchedulingType,
};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt};
use lake_format::Result;
use lake_format::scan::{ReadOptions, ScanPlan};

use super::split::split;
use super::statistics::of_scan;
use crate::error::into_engine;
use crate::predicate::show;

/// Reads the planned files, dealt out to partitions by bytes.
#[derive(Clone, Debug)]
pub(super) struct LakeScanExec {
    plan: ScanPlan,
    /// Places of the files in the plan.
    groups: Vec<Arc<Vec<u32>>>,
    /// No more rows than this from any partition.
    fetch: Option<usize>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
    statistics: Arc<OnceLock<Arc<Statistics>>>,
}

impl LakeScanExec {
    pub(super) fn new(plan: ScanPlan, target_partitions: usize) -> Self {
        let groups = split(plan.files.iter().map(|file| file.size_bytes()), target_partitions);
        let properties = PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(plan.arrow_schema())),
            Partitioning::UnknownPartitioning(groups.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        // Batches come over a channel of tokio, which gives way to other tasks by itself.
        let properties = properties.with_scheduling_type(SchedulingType::Cooperative);
        Self {
            plan,
            groups,
            fetch: None,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
            statistics: Arc::default(),
        }
    }

    /// What EXPLAIN says, word by word.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let pruning = &self.plan.pruning;
        let mut facts = vec![
            ("table", self.plan.root().display()),
            ("version", self.plan.version().to_string()),
            ("files", format!("{} of {}", pruning.files_planned, pruning.files_total)),
            ("skipped by partition", pruning.skipped_by_partition.to_string()),
            ("skipped by statistics", pruning.skipped_by_statistics.to_string()),
        ];
        if pruning.skipped_by_limit > 0 {
            facts.push(("skipped by limit", pruning.skipped_by_limit.to_string()));
        }
        let bytes_total = pruning.bytes_total.map_or_else(String::new, |bytes| format!(" of {bytes}"));
        facts.push(("bytes", format!("{}{bytes_total}", pruning.bytes_planned)));
        let names: Vec<&str> = self.plan.arrow_schema().fields().iter().map(|field| field.name().as_str()).collect();
        facts.push(("columns", format!("[{}]", names.join(", "))));
        if let Some(predicate) = self.plan.predicate() {
            facts.push(("predicate", show(predicate)));
        }
        let limit = self.plan.limit().and_then(|rows| usize::try_from(rows).ok());
        if let Some(rows) = [limit, self.fetch].into_iter().flatten().min() {
            facts.push(("limit", rows.to_string()));
        }
        facts
    }
}

impl DisplayAs for LakeScanExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let facts = self.facts().into_iter().map(|(name, value)| format!("{name}={value}"));
        match format {
            DisplayFormatType::Default | DisplayFormatType::Verbose => {
                write!(f, "LakeScan: {}", facts.collect::<Vec<_>>().join(", "))
            }
            DisplayFormatType::TreeRender => f.write_str(&facts.collect::<Vec<_>>().join("\n")),
        }
    }
}

impl ExecutionPlan for LakeScanExec {
    fn name(&self) -> &str {
        "LakeScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> EngineResult<TreeNodeRecursion>,
    ) -> EngineResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> EngineResult<SendableRecordBatchStream> {
        let Some(places) = self.groups.get(partition) else {
            return Err(DataFusionError::Internal(format!("a scan has no partition {partition}")));
        };
        let files = places.iter().filter_map(|&place| self.plan.files.get(usize::try_from(place).ok()?));
        let bytes = files.fold(0, |sum: u64, file| sum.saturating_add(file.size_bytes()));
        let count = |name: &'static str, value: u64| {
            MetricBuilder::new(&self.metrics)
                .counter(name, partition)
                .add(usize::try_from(value).unwrap_or(usize::MAX));
        };
        count("files", places.len() as u64);
        count("file_bytes", bytes);
        let options = ReadOptions {
            batch_rows: context.session_config().batch_size(),
            // The next file of a remote store is on its way while this one is decoded.
            concurrency: if self.plan.root().url().scheme() == "file" { 1 } else { 2 },
            ..ReadOptions::default()
        };
        Ok(Box::pin(ScanStream {
            schema: Arc::clone(self.plan.arrow_schema()),
            batches: self.plan.stream_picked(Arc::clone(places), options),
            remaining: self.fetch,
            metrics: BaselineMetrics::new(&self.metrics, partition),
        }))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn statistics_from_inputs(
        &self,
        _inputs: &[Arc<Statistics>],
        args: &StatisticsArgs,
    ) -> EngineResult<Arc<Statistics>> {
        match args.partition().map(|partition| self.groups.get(partition)) {
            Some(Some(places)) => Ok(Arc::new(of_scan(&self.plan, Some(places.as_slice()), self.fetch))),
            Some(None) => Err(DataFusionError::Internal("a scan has no such partition".to_owned())),
            None => {
                let whole = || Arc::new(of_scan(&self.plan, None, self.fetch));
                Ok(Arc::clone(self.statistics.get_or_init(whole)))
            }
        }
    }

    fn with_fetch(&self, limit: Option<usize>) -> Option<Arc<dyn ExecutionPlan>> {
        Some(Arc::new(Self { fetch: limit, statistics: Arc::default(), ..self.clone() }))
    }

    fn fetch(&self) -> Option<usize> {
        self.fetch
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }
}

/// Batches of one partition, counted and cut.
struct ScanStream {
    schema: SchemaRef,
    batches: BoxStream<'static, Result<RecordBatch>>,
    remaining: Option<usize>,
    metrics: BaselineMetrics,
}

impl Stream for ScanStream {
    type Item = EngineResult<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let poll = if this.remaining == Some(0) {
            Poll::Ready(None)
        } else {
            this.batches.poll_next_unpin(context).map(|item| item.map(|batch| batch.map_err(into_engine)))
        };
        let poll = poll.map(|item| match (item, &mut this.remaining) {
            (Some(Ok(batch)), Some(remaining)) => {
                let rows = batch.num_rows().min(*remaining);
                *remaining -= rows;
                Some(Ok(if rows < batch.num_rows() { batch.slice(0, rows) } else { batch }))
            }
            (item, _) => item,
        });
        this.metrics.record_poll(poll)
    }
}

impl RecordBatchStream for ScanStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
