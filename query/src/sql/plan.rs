//! From a parsed query to a plan over opened tables, and its rows.

use std::any::Any;
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{ArrayRef, AsArray, RecordBatch, RecordBatchOptions, StringArray};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList, MemorySchemaProvider,
    SchemaProvider, TableProvider,
};
use datafusion::common::TableReference;
use datafusion::common::format::ExplainFormat;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::{SendableRecordBatchStream, SessionState, SessionStateBuilder, TaskContext};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as EngineStatement;
use datafusion::sql::sqlparser::ast::{
    AnalyzeFormat, AnalyzeFormatKind, DescribeAlias, Ident, ObjectName, Query, SetExpr, Statement, TableAlias,
    TableFactor,
};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use lake_format::scan::ScanPlan;
use lake_format::snapshot::At;
use lake_format::{Error, Result, Snapshot, Table};

use super::columns::spell;
use super::engine::{DEFAULT_CATALOG, DEFAULT_SCHEMA, Engine, SqlAnswer};
use super::joins::resolve_using;
use super::outputs::{Names, name_apart};
use super::refuse::{refused, refused_part};
use super::tables::{Named, Source, find};
use crate::error::from_engine;
use crate::provider::{LakeTableProvider, PlacesProvider};
use crate::reference::{Place, TableRef};

/// Tables opened at once.
const CONCURRENT_OPENS: usize = 8;

/// A query that is planned and not yet run.
pub(super) struct Planned {
    pub(super) state: SessionState,
    pub(super) plan: LogicalPlan,
}

/// Runs a SELECT or an EXPLAIN of one.
pub(super) async fn rows(engine: &Engine, mut statement: Statement) -> Result<SqlAnswer> {
    let names = match &mut statement {
        Statement::Query(query) => {
            name_apart(query);
            Names::of(query)
        }
        _ => Names::default(),
    };
    let explains = matches!(statement, Statement::Explain { describe_alias: DescribeAlias::Explain, .. });
    let (planned, _) = plan(engine, statement, None).await?;
    let (schema, stream) = planned.stream().await?;
    if explains {
        let stream = stream.map(|batch| batch.map(|batch| by_line(&batch).unwrap_or(batch)));
        return Ok(SqlAnswer::Rows { schema, stream: stream.boxed() });
    }
    let Some(renamed) = names.apply(&schema) else { return Ok(SqlAnswer::Rows { schema, stream }) };
    let schema = Arc::clone(&renamed);
    let stream = stream.map(move |batch| {
        let batch = batch?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&renamed), batch.columns().to_vec(), &options)
            .map_err(|error| Error::internal("columns could not be named").with_source(error))
    });
    Ok(SqlAnswer::Rows { schema, stream: stream.boxed() })
}

/// Opens the tables of `statement` and plans it. `target` is opened along with them, so that a statement which reads
/// what it writes sees one version.
pub(super) async fn plan(
    engine: &Engine,
    mut statement: Statement,
    target: Option<&Place>,
) -> Result<(Planned, Option<Table>)> {
    let mut config = engine.config.clone();
    if let Some(format) = explain_format(&mut statement)? {
        config.options_mut().explain.format = format;
    }
    let query = query_of(&mut statement)?;
    let found = find(query)?;
    let mut opened = Opened::open(engine, &found, target).await?;
    let state = state(engine, config);
    let providers = opened.providers(&state, &found).await?;
    spell_out(query, &found, &providers);
    register(&state, providers).map_err(|error| from_engine(&error))?;
    let plan = only_reading(&state, statement).await?;
    let target = target.and_then(|place| opened.tables.remove(place));
    Ok((Planned { state, plan }, target))
}

/// A query over the rows of a table that are to be changed.
pub(super) struct PlannedChange {
    pub(super) planned: Planned,
    pub(super) table: Table,
    /// The plan of the scan that finds the rows, once the query has begun.
    pub(super) scan: Arc<OnceLock<ScanPlan>>,
}

/// Plans `query`, the first table of whose SELECT is `target`: its rows tell where they stand, by two columns behind its
/// own. Where the query names the table elsewhere, it reads it as any other.
pub(super) async fn plan_change(engine: &Engine, mut query: Query, target: &Place) -> Result<PlannedChange> {
    let found = find(&mut query)?;
    let mut opened = Opened::open(engine, &found, Some(target)).await?;
    let state = state(engine, engine.config.clone());
    let mut providers = opened.providers(&state, &found).await?;
    spell_out(&mut query, &found, &providers);
    let missing = || Error::internal("the table was not opened").with_object(target.to_string());
    let table = opened.tables.remove(target).ok_or_else(missing)?;
    let rows = PlacesProvider::new(Arc::clone(table.snapshot()))?;
    let scan = rows.scan_plan();
    rename_first(&mut query, CHANGED)?;
    providers.push((TableReference::bare(CHANGED), Arc::new(rows)));
    register(&state, providers).map_err(|error| from_engine(&error))?;
    let plan = only_reading(&state, Statement::Query(Box::new(query))).await?;
    Ok(PlannedChange { planned: Planned { state, plan }, table, scan })
}

/// What the engine calls the table whose rows are changed. No path and no name of a catalog is spelled like this.
const CHANGED: &str = "lake: the rows, to be changed";

/// Gives the first table of a SELECT another name, under the alias by which its columns are known.
fn rename_first(query: &mut Query, to: &str) -> Result<()> {
    let SetExpr::Select(select) = query.body.as_mut() else {
        return Err(Error::internal("rows to be changed are looked for by a SELECT"));
    };
    let first = select.from.first_mut().map(|from| &mut from.relation);
    let Some(TableFactor::Table { name, alias, .. }) = first else {
        return Err(Error::internal("rows to be changed are looked for in a table"));
    };
    if alias.is_none() {
        let last = name.0.last().and_then(|part| part.as_ident()).cloned();
        let last = last.ok_or_else(|| Error::internal("a table has a name"))?;
        *alias = Some(TableAlias { explicit: true, name: last, columns: Vec::new(), at: None });
    }
    *name = ObjectName::from(vec![Ident::with_quote('"', to)]);
    Ok(())
}

fn state(engine: &Engine, config: SessionConfig) -> SessionState {
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(Arc::clone(&engine.runtime))
        .with_default_features()
        .with_catalog_list(Arc::new(MemoryCatalogProviderList::new()))
        .build();
    // What now() and current_date are for the whole statement.
    state.mark_start_execution();
    state
}

/// Tables under the names that a statement has for them.
type Providers = Vec<(TableReference, Arc<dyn TableProvider>)>;

fn spell_out(query: &mut Query, found: &[Named], providers: &Providers) {
    let schemas: Vec<SchemaRef> = providers.iter().map(|(_, provider)| provider.schema()).collect();
    spell(query, &schemas.iter().map(Arc::as_ref).collect::<Vec<&Schema>>(), found);
    resolve_using(query);
}

async fn only_reading(state: &SessionState, statement: Statement) -> Result<LogicalPlan> {
    let statement = EngineStatement::Statement(Box::new(statement));
    let planning = async {
        let plan = state.statement_to_plan(statement).await?;
        // What would write or change settings is refused before; this is the second lock on that door.
        let only_reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        only_reads.verify_plan(&plan)?;
        Ok(plan)
    };
    guarded(planning).await
}

/// An explanation with one row for each line of a plan; `None` for rows of another shape.
fn by_line(batch: &RecordBatch) -> Option<RecordBatch> {
    let column = |at: usize| batch.columns().get(at)?.as_string_opt::<i32>();
    let (kinds, plans) = (column(0)?, column(1)?);
    let rows =
        kinds.iter().zip(plans).flat_map(|(kind, plan)| plan.unwrap_or_default().lines().map(move |line| (kind, line)));
    let (kinds, lines): (Vec<Option<&str>>, Vec<&str>) = rows.unzip();
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(kinds)), Arc::new(StringArray::from(lines))];
    RecordBatch::try_new(batch.schema(), columns).ok()
}

/// Takes the format out of an EXPLAIN. The parser's names for formats are not the engine's.
fn explain_format(statement: &mut Statement) -> Result<Option<ExplainFormat>> {
    let Statement::Explain { format, .. } = statement else { return Ok(None) };
    match format.take() {
        None => Ok(None),
        Some(AnalyzeFormatKind::Keyword(format) | AnalyzeFormatKind::Assignment(format)) => match format {
            AnalyzeFormat::TEXT => Ok(Some(ExplainFormat::Indent)),
            AnalyzeFormat::TREE => Ok(Some(ExplainFormat::Tree)),
            AnalyzeFormat::GRAPHVIZ => Ok(Some(ExplainFormat::Graphviz)),
            AnalyzeFormat::JSON => Ok(Some(ExplainFormat::PostgresJSON)),
            AnalyzeFormat::TRADITIONAL => Err(refused_part("EXPLAIN FORMAT TRADITIONAL")),
        },
    }
}

/// The query in a statement, for its tables to be found.
fn query_of(statement: &mut Statement) -> Result<&mut Query> {
    match statement {
        Statement::Query(query) => Ok(query),
        Statement::Explain { statement, .. } => match statement.as_mut() {
            Statement::Query(query) => Ok(query),
            other => {
                let name = other.to_string();
                let verb = name.split_whitespace().next().unwrap_or_default().to_uppercase();
                Err(refused(&format!("EXPLAIN {verb}"), "explain the SELECT inside it"))
            }
        },
        _ => Err(Error::internal("a statement that is no query was to be planned")),
    }
}

impl Planned {
    /// The query with the types that its values really have: before, those of a CASE are those of its first branch.
    pub(super) fn typed(self) -> Result<Self> {
        let Self { state, plan } = self;
        let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {});
        let plan = plan.map_err(|error| from_engine(&error))?;
        Ok(Self { state, plan })
    }

    /// Starts the query.
    pub(super) async fn stream(self) -> Result<(SchemaRef, BoxStream<'static, Result<RecordBatch>>)> {
        let Self { state, plan } = self;
        let starting = async {
            let physical = state.create_physical_plan(&plan).await?;
            execute_stream(physical, Arc::new(TaskContext::from(&state)))
        };
        let stream: SendableRecordBatchStream = guarded(starting).await?;
        let schema = stream.schema();
        let batches = AssertUnwindSafe(stream).catch_unwind().map(|polled| match polled {
            Ok(batch) => batch.map_err(|error| from_engine(&error)),
            Err(panic) => Err(panicked(panic.as_ref())),
        });
        Ok((schema, batches.boxed()))
    }
}

/// The engine is large, and a defect in it is an error of the statement, not the end of the process.
async fn guarded<T>(work: impl Future<Output = Result<T, DataFusionError>>) -> Result<T> {
    match AssertUnwindSafe(work).catch_unwind().await {
        Ok(done) => done.map_err(|error| from_engine(&error)),
        Err(panic) => Err(panicked(panic.as_ref())),
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Error {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::internal("the query engine broke off").with_source(said.unwrap_or("without a reason").to_owned())
}

/// Tables by where they were found, and their snapshots.
pub(super) struct Opened {
    tables: HashMap<Place, Table>,
    snapshots: Vec<(Place, At, Arc<Snapshot>)>,
}

impl Opened {
    async fn open(engine: &Engine, found: &[Named], target: Option<&Place>) -> Result<Self> {
        let sources = found.iter().filter_map(|named| match &named.source {
            Source::Table(reference) => Some(&reference.place),
            Source::File(_) => None,
        });
        let mut places: Vec<Place> = target.into_iter().chain(sources).cloned().collect();
        places.sort_unstable();
        places.dedup();
        let open = |place: Place| async move {
            let reference = TableRef::newest(place);
            let table = engine.resolver.open(&reference).await;
            let table = table.map_err(|error| error.with_object(reference.place.to_string()))?;
            Ok::<_, Error>((reference.place, table))
        };
        let opened: Vec<(Place, Table)> =
            stream::iter(places).map(open).buffered(CONCURRENT_OPENS).try_collect().await?;
        // One table under two names is read at one version.
        let mut tables: HashMap<Place, Table> = HashMap::with_capacity(opened.len());
        for (place, table) in opened {
            let same = |known: &&Table| known.snapshot().root().url() == table.snapshot().root().url();
            let table = tables.values().find(same).cloned().unwrap_or(table);
            tables.insert(place, table);
        }
        Ok(Self { tables, snapshots: Vec::new() })
    }

    async fn providers(&mut self, state: &SessionState, found: &[Named]) -> Result<Providers> {
        let mut providers: Providers = Vec::with_capacity(found.len());
        for named in found {
            let provider: Arc<dyn TableProvider> = match &named.source {
                Source::File(file) => file.open(state).await?,
                Source::Table(reference) => Arc::new(LakeTableProvider::new(self.snapshot(reference).await?)?),
            };
            providers.push((named.name.clone(), provider));
        }
        Ok(providers)
    }

    async fn snapshot(&mut self, reference: &TableRef) -> Result<Arc<Snapshot>> {
        let Some(table) = self.tables.get(&reference.place) else {
            return Err(Error::internal("a table was not opened").with_object(reference.to_string()));
        };
        if reference.at == At::Latest {
            return Ok(Arc::clone(table.snapshot()));
        }
        let known = self.snapshots.iter().find(|(place, at, _)| (place, at) == (&reference.place, &reference.at));
        if let Some((_, _, snapshot)) = known {
            return Ok(Arc::clone(snapshot));
        }
        let loaded = table.at(reference.at).await.map_err(|error| error.with_object(reference.to_string()))?;
        let snapshot = Arc::new(loaded);
        self.snapshots.push((reference.place.clone(), reference.at, Arc::clone(&snapshot)));
        Ok(snapshot)
    }
}

fn register(state: &SessionState, providers: Providers) -> Result<(), DataFusionError> {
    let catalogs = state.catalog_list();
    for (name, provider) in providers {
        let name = name.resolve(DEFAULT_CATALOG, DEFAULT_SCHEMA);
        let catalog = catalog(catalogs.as_ref(), &name.catalog);
        let schema = match catalog.schema(&name.schema) {
            Some(schema) => schema,
            None => {
                let schema: Arc<dyn SchemaProvider> = Arc::new(MemorySchemaProvider::new());
                catalog.register_schema(&name.schema, Arc::clone(&schema))?;
                schema
            }
        };
        schema.register_table(name.table.to_string(), provider)?;
    }
    Ok(())
}

fn catalog(catalogs: &dyn CatalogProviderList, name: &str) -> Arc<dyn CatalogProvider> {
    catalogs.catalog(name).unwrap_or_else(|| {
        let catalog: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
        catalogs.register_catalog(name.to_owned(), Arc::clone(&catalog));
        catalog
    })
}
