//! Whole statements over tables in a temporary folder.

use std::sync::Arc;

use datafusion::arrow::array::{Int64Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::util::pretty::pretty_format_batches;
use futures::TryStreamExt;
use lake_format::action::{Action, Add, DeletionVectorDescriptor, Protocol, Remove};
use lake_format::schema::{StructType, parse_declaration};
use lake_format::transaction::{Base, LogCommitter, Operation, Reads, Staged, transact};
use lake_format::{
    AppendOptions, At, CreateOptions, Error, ErrorKind, Input, Result, Snapshot, StoreOptions, SystemClock, Table,
    TableRoot, WriteOutcome, WriteReport,
};
use tempfile::TempDir;

use crate::{PathResolver, Place, Session, SqlAnswer, TableRef, TableResolver};

/// A session whose names are folders: `schema.table` lies in `<dir>/schema/table`, and paths are below the folder.
struct Lake {
    dir: TempDir,
    session: Session,
}

#[derive(Debug)]
struct Folder {
    dir: String,
    paths: PathResolver,
}

impl Folder {
    fn place(&self, place: &Place) -> Place {
        Place::Location(match place {
            Place::Location(location) if location.starts_with('/') || location.contains("://") => location.clone(),
            Place::Location(location) => format!("{}/{}", self.dir, location.trim_start_matches("./")),
            Place::Name { schema, table, .. } => {
                format!("{}/{}/{}", self.dir, schema.to_lowercase(), table.to_lowercase())
            }
        })
    }
}

#[async_trait::async_trait]
impl TableResolver for Folder {
    async fn open(&self, reference: &TableRef) -> Result<Table> {
        self.paths.open(&TableRef::newest(self.place(&reference.place))).await
    }

    async fn create(&self, place: &Place, options: CreateOptions, input: Input) -> Result<WriteOutcome> {
        self.paths.create(&self.place(place), options, input).await
    }
}

impl Lake {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(settings: impl FnOnce(crate::SessionBuilder) -> crate::SessionBuilder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = PathResolver::default();
        let resolver = Folder { dir: dir.path().to_str().unwrap().to_owned(), paths };
        let session = settings(Session::builder().target_partitions(2).resolver(Arc::new(resolver))).build().unwrap();
        Self { dir, session }
    }

    /// `bronze.orders`: four files, one per day, ids 0 to 399, a partition column `day` and a quarter of notes null.
    async fn orders() -> Self {
        let lake = Self::new();
        lake.run("CREATE TABLE bronze.orders (id BIGINT NOT NULL, Amount DOUBLE, note STRING, day DATE) PARTITIONED BY (day)")
            .await;
        for day in 0..4 {
            lake.write(&format!(
                "INSERT INTO bronze.orders SELECT value, value * 1.5, CASE WHEN value % 4 = 0 THEN NULL ELSE 'n' || value END,
                 DATE '2026-01-0{}' FROM range({}, {})",
                day + 1,
                day * 100,
                day * 100 + 100
            ))
            .await;
        }
        lake
    }

    async fn answer(&self, sql: &str) -> Result<SqlAnswer> {
        self.session.run(sql).await
    }

    async fn run(&self, sql: &str) -> SqlAnswer {
        self.answer(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"))
    }

    async fn write(&self, sql: &str) -> WriteReport {
        match self.run(sql).await {
            SqlAnswer::Written(WriteOutcome::Committed(report, _)) => report,
            other => panic!("{sql}: {other:?}"),
        }
    }

    async fn try_rows(&self, sql: &str) -> Result<Vec<RecordBatch>> {
        match self.answer(sql).await? {
            SqlAnswer::Rows { schema, stream } => {
                let batches: Vec<RecordBatch> = stream.try_collect().await?;
                assert!(batches.iter().all(|batch| batch.schema() == schema), "{sql}");
                Ok(batches)
            }
            other => panic!("{sql}: {other:?}"),
        }
    }

    /// The rows as text, a line each, cells apart by one space.
    async fn rows(&self, sql: &str) -> Vec<String> {
        let batches = self.try_rows(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        let text = pretty_format_batches(&batches).unwrap().to_string();
        let cells = |line: &str| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            cells.join(" ").trim().to_owned()
        };
        text.lines().filter(|line| line.starts_with('|')).skip(1).map(cells).collect()
    }

    async fn one(&self, sql: &str) -> String {
        let rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}: {rows:?}");
        rows[0].clone()
    }

    async fn error(&self, sql: &str) -> Error {
        match self.answer(sql).await {
            Err(error) => error,
            Ok(SqlAnswer::Rows { stream, .. }) => {
                stream.try_collect::<Vec<_>>().await.err().unwrap_or_else(|| panic!("no error: {sql}"))
            }
            Ok(other) => panic!("{sql}: {other:?}"),
        }
    }

    async fn explain(&self, sql: &str) -> String {
        self.rows(&format!("EXPLAIN {sql}")).await.join("\n")
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir.path().display())
    }

    async fn table(&self, name: &str) -> Table {
        let root = TableRoot::open(&self.path(name), &StoreOptions::default()).unwrap();
        Table::open(root, SystemClock::shared()).await.unwrap()
    }
}

fn schema(text: &str) -> StructType {
    parse_declaration(text).unwrap()
}

#[tokio::test]
async fn a_query_without_tables_runs() {
    let lake = Lake::new();
    assert_eq!(lake.one("SELECT 1 + 1 AS two").await, "2");
    assert_eq!(lake.rows("VALUES (1, 'a'), (2, 'b');").await, ["1 a", "2 b"]);
    assert_eq!(lake.one("WITH a AS (SELECT 3 AS x) SELECT x FROM a").await, "3");
}

#[tokio::test]
async fn tables_are_named_in_every_way() {
    let lake = Lake::orders().await;
    let path = lake.path("bronze/orders");
    for from in [
        "bronze.orders",
        "lake.Bronze.ORDERS",
        "\"bronze.orders\"",
        "`./bronze/orders`",
        "'bronze/orders'",
        &format!("'{path}'"),
        &format!("'file://{path}'"),
        "bronze.orders AS x",
        "bronze.orders@v4",
        "bronze.orders VERSION AS OF 4",
    ] {
        assert_eq!(lake.one(&format!("SELECT count(*), sum(id) FROM {from}")).await, "400 79800", "{from}");
    }
}

#[tokio::test]
async fn columns_are_qualified_by_table_schema_and_alias() {
    let lake = Lake::orders().await;
    for sql in [
        "SELECT orders.id FROM bronze.orders WHERE bronze.orders.id = 7",
        "SELECT bronze.orders.id FROM lake.bronze.orders WHERE lake.bronze.orders.id = 7",
        "SELECT orders.id FROM bronze.orders@v4 WHERE bronze.orders.id = 7",
        "SELECT orders.id FROM lake.bronze.orders VERSION AS OF 4 WHERE lake.bronze.orders.id = 7",
        "SELECT orders.id FROM './bronze/orders' WHERE orders.id = 7",
        "SELECT o.id FROM bronze.orders o WHERE o.id = 7",
        "SELECT ORDERS.ID FROM bronze.orders WHERE Id = 7",
        "SELECT x.id FROM (SELECT orders.* FROM bronze.orders) x WHERE id = 7",
        "SELECT x.id FROM (SELECT bronze.orders.* FROM lake.bronze.orders) x WHERE id = 7",
        "SELECT x.id FROM (SELECT bronze.orders.* FROM bronze.orders@v4) x WHERE id = 7",
        "SELECT x.id FROM (SELECT orders.* FROM (SELECT 7 AS id) orders, bronze.orders o WHERE o.id = 1) x",
        "SELECT id FROM bronze.orders JOIN bronze.orders@v3 b USING (id) WHERE ID = 7",
    ] {
        assert_eq!(lake.one(sql).await, "7", "{sql}");
    }
    lake.run("CREATE TABLE silver.orders AS SELECT id, 'silver' AS layer FROM bronze.orders").await;
    let sql =
        "SELECT bronze.orders.id, layer FROM bronze.orders JOIN silver.orders ON bronze.orders.id = silver.orders.id
               WHERE silver.orders.id = 7";
    assert_eq!(lake.one(sql).await, "7 silver");
    let error = lake.error("SELECT id FROM bronze.orders, silver.orders").await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("more than one table"), "{error}");
}

#[tokio::test]
async fn column_names_ignore_case_and_keep_it() {
    let lake = Lake::orders().await;
    assert_eq!(lake.one("SELECT sum(amount) FROM bronze.orders").await, "119700.0");
    assert_eq!(lake.one("SELECT AMOUNT FROM bronze.orders o WHERE O.amount = 1.5").await, "1.5");
    let batches =
        lake.try_rows("SELECT amount, id AS OrderId FROM bronze.orders ORDER BY orderid LIMIT 1").await.unwrap();
    let names: Vec<String> = batches[0].schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["Amount", "OrderId"]);
}

#[tokio::test]
async fn older_versions_are_read() {
    let lake = Lake::orders().await;
    let count = |from: &str| format!("SELECT count(*) FROM {from}");
    assert_eq!(lake.one(&count("bronze.orders@v0")).await, "0");
    assert_eq!(lake.one(&count("bronze.orders VERSION AS OF 2")).await, "200");
    assert_eq!(lake.one(&count("'./bronze/orders@v3'")).await, "300");
    assert_eq!(
        lake.one("SELECT (SELECT count(*) FROM bronze.orders@v1), (SELECT count(*) FROM bronze.orders)").await,
        "100 400"
    );
    assert_eq!(
        lake.one("SELECT count(*) FROM bronze.orders n LEFT ANTI JOIN bronze.orders@v1 o ON n.id = o.id").await,
        "300"
    );
    let error = lake.error(&count("bronze.orders@v9")).await;
    assert_eq!((error.kind(), error.object().is_some()), (ErrorKind::NotFound, true));
    for time in ["1999-01-01", "2999-01-01"] {
        let error = lake.error(&count(&format!("bronze.orders TIMESTAMP AS OF '{time}'"))).await;
        assert_eq!(error.kind(), ErrorKind::NotFound, "LOG-15: {time}");
    }
}

#[tokio::test]
async fn explain_shows_what_is_pruned() {
    let lake = Lake::orders().await;
    let plan = lake.explain("SELECT id FROM bronze.orders WHERE day = DATE '2026-01-02' AND id > 150").await;
    assert!(plan.contains("version=4, files=1 of 4, skipped by partition=3, skipped by statistics=0"), "{plan}");
    assert!(plan.contains("columns=[id]") && plan.contains("predicate="), "{plan}");
    assert!(plan.lines().all(|line| line.starts_with("logical_plan ") || line.starts_with("physical_plan ")), "{plan}");
    assert!(!plan.contains("FilterExec"), "the scan answers this exactly: {plan}");
    let plan = lake.explain("SELECT * FROM bronze.orders WHERE id BETWEEN 120 AND 130").await;
    assert!(plan.contains("files=1 of 4, skipped by partition=0, skipped by statistics=3"), "{plan}");
    let plan = lake.explain("SELECT * FROM bronze.orders WHERE amount < 100").await;
    assert!(plan.contains("files=1 of 4") && plan.contains("FilterExec"), "floats are looked at again: {plan}");
    let plan = lake.explain("SELECT * FROM bronze.orders WHERE id % 2 = 0").await;
    assert!(plan.contains("files=4 of 4") && plan.contains("FilterExec"), "{plan}");
    let plan = lake.explain("SELECT * FROM bronze.orders LIMIT 5").await;
    assert!(plan.contains("files=1 of 4") && plan.contains("skipped by limit=3") && plan.contains("limit=5"), "{plan}");
    let ran = lake.explain("ANALYZE SELECT * FROM bronze.orders WHERE id < 10").await;
    assert!(ran.contains("output_rows=10") && ran.contains("file_bytes="), "{ran}");
}

/// DV-4
#[tokio::test]
async fn a_count_leaves_deleted_rows_out() {
    let lake = Lake::orders().await;
    let location = format!("{}/bronze/orders", lake.dir.path().display());
    let root = TableRoot::open(&location, &StoreOptions::default()).unwrap();
    let snapshot = Arc::new(Snapshot::load(root, At::Latest, SystemClock::shared()).await.unwrap());
    let files = snapshot.files().await.unwrap();
    let first =
        files.iter().find(|add| add.partition_values.values().flatten().any(|day| day == "2026-01-01")).unwrap();
    let vector = DeletionVectorDescriptor::inline(&(0..10).collect()).unwrap();
    let features = || Some(vec!["deletionVectors".to_owned()]);
    let protocol = Protocol {
        min_reader_version: 3,
        min_writer_version: 7,
        reader_features: features(),
        writer_features: features(),
    };
    let actions = vec![
        Action::Protocol(protocol),
        Action::Remove(Box::new(Remove::of(&first, 1, true))),
        Action::Add(Box::new(Add { deletion_vector: Some(vector), ..Add::clone(&first) })),
    ];
    let staged = Staged { operation: Operation::new("DELETE"), actions, reads: Reads::WholeTable };
    transact(Base::On(snapshot), staged, &LogCommitter).await.unwrap();
    let plan = lake.explain("SELECT count(*) FROM bronze.orders").await;
    assert!(!plan.contains("LakeScan"), "{plan}");
    assert_eq!(lake.one("SELECT count(*) FROM bronze.orders").await, "390");
    assert_eq!(lake.one("SELECT count(*), min(id) FROM bronze.orders WHERE id < 20").await, "10 10");
    assert_eq!(lake.one("SELECT min(id), count(note) FROM bronze.orders").await, "10 293");
    assert_eq!(lake.one("SELECT count(*) FROM (SELECT id FROM bronze.orders LIMIT 395)").await, "390");
}

#[tokio::test]
async fn a_count_is_answered_by_the_log() {
    let lake = Lake::orders().await;
    let plan = lake.explain("SELECT count(*) FROM bronze.orders").await;
    assert!(!plan.contains("LakeScan"), "{plan}");
    assert_eq!(lake.one("SELECT count(*) FROM bronze.orders WHERE id < 10").await, "10");
    assert_eq!(lake.one("SELECT count(note), count(*) FROM bronze.orders").await, "300 400");
    assert_eq!(lake.one("SELECT min(id), max(id), min(day) FROM bronze.orders").await, "0 399 2026-01-01");
}

#[tokio::test]
async fn limits_are_kept() {
    let lake = Lake::orders().await;
    for limit in [0, 1, 99, 100, 101, 399, 400, 500] {
        assert_eq!(lake.rows(&format!("SELECT id FROM bronze.orders LIMIT {limit}")).await.len(), limit.min(400));
        let sql = format!("SELECT id FROM bronze.orders WHERE id >= 250 LIMIT {limit}");
        assert_eq!(lake.rows(&sql).await.len(), limit.min(150));
        let sql = format!("SELECT id FROM bronze.orders WHERE id % 2 = 0 LIMIT {limit} OFFSET 3");
        assert_eq!(lake.rows(&sql).await.len(), limit.min(197));
    }
}

#[tokio::test]
async fn a_table_is_described() {
    let lake = Lake::orders().await;
    let columns = ["id long false", "Amount double true", "note string true", "day date true"];
    for sql in ["DESCRIBE bronze.orders", "DESC './bronze/orders'", "DESCRIBE TABLE bronze.orders@v1"] {
        assert_eq!(lake.rows(sql).await, columns, "{sql}");
    }
    assert_eq!(lake.error("DESCRIBE bronze.nothing").await.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_table_is_created_with_declared_columns() {
    let lake = Lake::new();
    let report = lake
        .write(
            "CREATE TABLE s.t (Id BIGINT NOT NULL, name STRING COMMENT 'who', price DECIMAL(10, 2), at TIMESTAMP,
             tags ARRAY<STRING>, day DATE) PARTITIONED BY (day) TBLPROPERTIES ('delta.appendOnly' = 'true')",
        )
        .await;
    assert_eq!((report.version, report.rows, report.files_added), (0, 0, 0));
    let table = lake.table("s/t").await;
    let wanted = "Id long not null, name string, price decimal(10,2), at timestamp, tags array<string>, day date";
    let found = table.snapshot().schema();
    let types = |schema: &StructType| {
        schema.fields.iter().map(|f| (f.name.clone(), f.data_type.to_string(), f.nullable)).collect::<Vec<_>>()
    };
    assert_eq!(types(found), types(&schema(wanted)));
    assert_eq!(found.field("name").unwrap().metadata["comment"], "who");
    assert_eq!(table.snapshot().partition_columns(), ["day"]);
    assert!(table.snapshot().properties().append_only);
    let error = lake.error("CREATE TABLE s.t (a INT)").await;
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert!(matches!(lake.run("CREATE TABLE IF NOT EXISTS s.t (a INT)").await, SqlAnswer::Unchanged(_)));
    assert!(matches!(lake.run("CREATE TABLE IF NOT EXISTS s.u (a INT)").await, SqlAnswer::Written(_)));
    for sql in [
        "CREATE TABLE s.v",
        "CREATE TABLE s.v ()",
        "CREATE TABLE s.v (a nonsense)",
        "CREATE TABLE s.v (a VARCHAR(20))",
        "CREATE TABLE s.v (a INT, A INT)",
        "CREATE TABLE s.v (a INT) PARTITIONED BY (b)",
        "CREATE TABLE s.v (a INT) PARTITIONED BY (b INT)",
        "CREATE TABLE s.v@v1 (a INT)",
        "CREATE TABLE s.v AS SELECT 1",
        "CREATE TABLE s.v AS SELECT count(*) FROM s.u",
        "CREATE TABLE s.v AS SELECT NULL AS a",
        "CREATE TABLE s.v AS SELECT 1 AS a, 2 AS A",
    ] {
        let error = lake.error(sql).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
    }
    for sql in [
        "CREATE OR REPLACE TABLE s.v (a INT)",
        "CREATE TEMPORARY TABLE s.v (a INT)",
        "CREATE EXTERNAL TABLE s.v (a INT) LOCATION 'x'",
        "CREATE TABLE s.v (a INT PRIMARY KEY)",
        "CREATE TABLE s.v (a INT DEFAULT 1)",
        "CREATE TABLE s.v (a INT, CHECK (a > 1))",
        "CREATE TABLE s.v LIKE s.u",
        "CREATE TABLE s.v (a) AS SELECT 1",
        "CREATE TABLE s.v (a INT) STORED AS ORC",
        "CREATE TABLE s.v (a INT) CLUSTER BY (a)",
    ] {
        let error = lake.error(sql).await;
        assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Invalid), "{sql}: {error}");
    }
    assert!(!std::path::Path::new(&lake.path("s/v")).exists(), "nothing is left of what was refused");
}

#[tokio::test]
async fn a_table_is_created_from_a_query() {
    let lake = Lake::orders().await;
    let report = lake
        .write(
            "CREATE TABLE gold.daily PARTITIONED BY (day) AS
             SELECT day, count(*) AS Orders, sum(amount) AS total, row_number() OVER (ORDER BY day) AS n, 'x' AS c
             FROM bronze.orders GROUP BY day",
        )
        .await;
    assert_eq!((report.version, report.rows, report.files_added), (0, 4, 4));
    assert_eq!(
        lake.rows("DESCRIBE gold.daily").await,
        ["day date true", "Orders long true", "total double true", "n long true", "c string true"]
    );
    assert_eq!(lake.one("SELECT sum(orders), sum(total), max(n) FROM gold.daily").await, "400 119700.0 4");
    let report = lake.write("CREATE TABLE gold.none AS SELECT id FROM bronze.orders WHERE false").await;
    assert_eq!((report.version, report.rows), (0, 0));
    assert_eq!(lake.one("SELECT count(*) FROM gold.none").await, "0");
    assert_eq!(lake.error("CREATE TABLE gold.none AS SELECT 1 AS a").await.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test]
async fn a_failing_query_creates_nothing() {
    let lake = Lake::orders().await;
    let error = lake.error("CREATE TABLE gold.bad AS SELECT CAST(note AS INT) AS n FROM bronze.orders").await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(lake.error("SELECT * FROM gold.bad").await.kind(), ErrorKind::NotFound);
    let before = lake.one("SELECT count(*) FROM bronze.orders").await;
    let error = lake.error("INSERT INTO bronze.orders (id) SELECT 1 / (id - id) FROM bronze.orders").await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    assert_eq!(lake.one("SELECT count(*) FROM bronze.orders").await, before);
    assert_eq!(lake.table("bronze/orders").await.snapshot().version(), 4);
}

#[tokio::test]
async fn rows_are_inserted_by_position_and_by_name() {
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INT NOT NULL, B STRING, d DECIMAL(6,2), day DATE, at TIMESTAMP)").await;
    let report = lake
        .write("INSERT INTO t VALUES (1, 'x', 1.5, '2026-01-31', '2026-01-31T10:00:00Z'), (2, NULL, NULL, NULL, NULL)")
        .await;
    assert_eq!((report.version, report.rows, report.files_added), (1, 2, 1));
    lake.write("INSERT INTO t (b, A) SELECT 'y', 3").await;
    lake.write("INSERT INTO TABLE t (a) WITH c AS (SELECT 4 AS x) SELECT x FROM c").await;
    assert_eq!(
        lake.rows("SELECT * FROM t ORDER BY a").await,
        ["1 x 1.50 2026-01-31 2026-01-31T10:00:00Z", "2", "3 y", "4"].map(str::to_owned)
    );
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused() {
    let lake = Lake::new();
    lake.run("CREATE TABLE t (a INT NOT NULL, b STRING, d DECIMAL(6,2))").await;
    for (sql, word) in [
        ("INSERT INTO t SELECT 1", "columns"),
        ("INSERT INTO t SELECT 1, 'x', 1, 2", "columns"),
        ("INSERT INTO t (a, z) SELECT 1, 2", "no column"),
        ("INSERT INTO t (a, A) SELECT 1, 2", "twice"),
        ("INSERT INTO t (b) SELECT 'x'", "a"),
        ("INSERT INTO t VALUES (NULL, 'x', 1)", "a"),
        ("INSERT INTO t VALUES (3000000000, 'x', 1)", "converted"),
        ("INSERT INTO t VALUES ('one', 'x', 1)", "converted"),
        ("INSERT INTO t VALUES (1.5, 'x', 1)", "can't be put"),
        ("INSERT INTO t VALUES (1, 'x', 123456.0)", ""),
        ("INSERT INTO t VALUES (true, 'x', 1)", "can't be put"),
        ("INSERT INTO t@v0 SELECT 1, 'x', 1", "older version"),
    ] {
        let error = lake.error(sql).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error}");
        assert!(error.to_string().contains(word), "{sql}: {error}");
    }
    for sql in [
        "INSERT INTO t DEFAULT VALUES",
        "INSERT INTO t VALUES (1, 'x', 1) ON CONFLICT DO NOTHING",
        "INSERT INTO t VALUES (1, 'x', 1) RETURNING a",
        "INSERT INTO t PARTITION (a = 1) SELECT 'x', 1",
    ] {
        let error = lake.error(sql).await;
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{sql}: {error}");
    }
    assert_eq!(lake.error("INSERT INTO nothing SELECT 1").await.kind(), ErrorKind::NotFound);
    assert_eq!(lake.table("t").await.snapshot().version(), 0);
}

#[tokio::test]
async fn a_table_is_read_and_written_in_one_statement() {
    let lake = Lake::orders().await;
    let report = lake.write("INSERT INTO bronze.orders SELECT id + 400, amount, note, day FROM bronze.orders").await;
    assert_eq!(report.rows, 400);
    assert_eq!(lake.one("SELECT count(*), count(DISTINCT id) FROM bronze.orders").await, "800 800");
    let report = lake
        .write("INSERT OVERWRITE bronze.orders SELECT id, amount * 2, note, day FROM './bronze/orders' WHERE id < 100")
        .await;
    assert_eq!((report.rows, report.files_added, report.files_removed), (100, 1, 8));
    assert_eq!(lake.one("SELECT count(*), sum(amount) FROM bronze.orders").await, "100 14850.0");
    assert_eq!(lake.one("SELECT count(*) FROM bronze.orders@v5").await, "800");
}

#[tokio::test]
async fn errors_name_what_is_wrong() {
    let lake = Lake::orders().await;
    let error = lake.error("SELECT\n  amuont FROM bronze.orders").await;
    assert_eq!((error.kind(), error.object()), (ErrorKind::Invalid, Some("line 2, column 3")), "{error:?}");
    assert!(error.hint().unwrap().contains("Amount"), "{error:?}");
    let error = lake.error("SELECT * FROM bronze.nothing").await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("nothing"), "{error}");
    let error = lake.error("SELECT nofunction(id) FROM bronze.orders").await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let error = lake.error("SELECT id FROM bronze.orders WHERE sum(id) > 1").await;
    assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported), "{error:?}");
    for sql in ["SELECT $1", "SELECT ?", "SELECT * FROM bronze.orders WHERE id = $1"] {
        let error = lake.error(sql).await;
        assert_eq!(error.kind(), ErrorKind::Invalid, "{sql}: {error:?}");
    }
    let error = lake.error("SELECT 1 / 0").await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    assert_eq!(lake.error("SELECT CAST('x' AS INT)").await.kind(), ErrorKind::Invalid);
    for sql in [
        "EXPLAIN INSERT INTO t SELECT 1",
        "EXPLAIN ANALYZE CREATE TABLE t AS SELECT 1",
        "SELECT * INTO t FROM bronze.orders",
    ] {
        assert_eq!(lake.error(sql).await.kind(), ErrorKind::Unsupported, "{sql}");
    }
    let error = Session::builder().build().unwrap().run("SELECT * FROM bronze.orders").await.expect_err("no catalog");
    assert!(error.hint().unwrap().contains("lake login"), "{error:?}");
}

#[tokio::test]
async fn long_and_deep_statements_do_not_overflow() {
    let lake = Lake::orders().await;
    let ors = |count: usize| {
        let more: String = (0..count).map(|id| format!(" OR id = {id} + 0 * id")).collect();
        format!("SELECT count(*) FROM bronze.orders WHERE id = -1{more}")
    };
    assert_eq!(lake.one(&ors(400)).await, "400");
    assert_eq!(lake.one(&format!("SELECT 0{} FROM bronze.orders WHERE id = 1", " + id".repeat(490))).await, "490");
    assert_eq!(lake.one(&format!("SELECT count(*) FROM (SELECT 1{})", " UNION ALL SELECT 1".repeat(240))).await, "241");
    assert_eq!(lake.one(&format!("SELECT {}1{}", "(".repeat(30), ")".repeat(30))).await, "1");
    for sql in [format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000)), ors(100_000)] {
        assert_eq!(lake.error(&sql).await.kind(), ErrorKind::Invalid);
    }
    let values: String = (0..5_000).map(|id| format!(", ({id}, 'x{id}')")).collect();
    assert_eq!(lake.one(&format!("SELECT count(*) FROM (VALUES (0, 'a'){values}) AS v(a, b)")).await, "5001");
}

#[tokio::test]
async fn a_query_spills_instead_of_growing_and_says_so_when_it_can_not() {
    let limit = |bytes: u64| move |builder: crate::SessionBuilder| builder.memory_limit_bytes(Some(bytes));
    let spill = tempfile::tempdir().unwrap();
    let lake = Lake::with(|builder| limit(16 << 20)(builder).spill_dir(Some(spill.path().to_owned())));
    lake.run("CREATE TABLE t AS SELECT value AS a, repeat('x', 200) || value AS b FROM range(0, 200000)").await;
    let sorted = lake.try_rows("SELECT a, b FROM t ORDER BY b DESC, a").await.unwrap();
    assert_eq!(sorted.iter().map(RecordBatch::num_rows).sum::<usize>(), 200_000);
    let plan = lake.explain("ANALYZE SELECT a, b FROM t ORDER BY b DESC, a").await;
    let spilled = plan.split("spill_count=").skip(1).any(|rest| !rest.starts_with('0'));
    assert!(spilled, "{plan}");
    let error = lake.error("SELECT array_agg(b) FROM t").await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(error.hint().unwrap().contains("--memory"), "{error:?}");
    assert!(Session::builder().memory_limit_bytes(Some(1000)).build().is_err());
}

#[tokio::test]
async fn parquet_files_are_read_and_text_files_are_not() {
    let lake = Lake::new();
    lake.run("CREATE TABLE people AS SELECT * FROM (VALUES ('ada', 36), ('bob', 7)) v(name, age)").await;
    let parquet = std::fs::read_dir(lake.path("people")).unwrap().filter_map(std::result::Result::ok);
    let parquet =
        parquet.map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "parquet")).unwrap();
    assert_eq!(lake.one(&format!("SELECT count(*) FROM '{}'", parquet.display())).await, "2");
    assert_eq!(lake.error(&format!("SELECT * FROM '{}'", lake.path("no.parquet"))).await.kind(), ErrorKind::NotFound);
    std::fs::write(lake.path("people.csv"), "id\n00123\n").unwrap();
    let error = lake.error(&format!("SELECT * FROM '{}'", lake.path("people.csv"))).await;
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
    assert!(error.hint().unwrap().contains("lake import"), "{error:?}");
    std::fs::write(lake.path("bad.parquet"), "no parquet").unwrap();
    let error = lake.error(&format!("SELECT * FROM '{}'", lake.path("bad.parquet"))).await;
    assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Invalid), "{error:?}");
}

#[tokio::test]
async fn nested_columns_and_missing_columns_are_read() {
    let lake = Lake::new();
    lake.run("CREATE TABLE t (id INT, who STRUCT<Name STRING, age INT>, tags ARRAY<STRING>)").await;
    lake.write(
        "INSERT INTO t SELECT 1, named_struct('Name', 'ada', 'age', 36), make_array('a', 'b') UNION ALL
         SELECT 2, named_struct('Name', 'bob', 'age', 5), make_array('c')",
    )
    .await;
    assert_eq!(lake.one("SELECT who.name, tags[1] FROM t WHERE t.who.age > 30").await, "ada a");
    let plan = lake.explain("SELECT id FROM t WHERE who.age > 100").await;
    assert!(plan.contains("files=0 of 1"), "{plan}");
    let mut table = lake.table("t").await;
    table.add_columns(schema("extra string").fields).await.unwrap();
    assert_eq!(lake.one("SELECT count(*) FROM t WHERE extra IS NULL").await, "2");
    assert_eq!(lake.one("SELECT count(extra) FROM t").await, "0");
}

#[tokio::test]
async fn a_writer_in_between_does_not_change_what_a_statement_reads() {
    let lake = Lake::orders().await;
    let SqlAnswer::Rows { stream, .. } = lake.run("SELECT id FROM bronze.orders").await else { panic!("no rows") };
    let mut table = lake.table("bronze/orders").await;
    let columns = Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("note", DataType::Utf8, true)]);
    let columns = Arc::new(columns);
    let more = RecordBatch::try_new(
        Arc::clone(&columns),
        vec![Arc::new(Int64Array::from(vec![9_999])), Arc::new(StringArray::from(vec!["late"]))],
    );
    table.append(&AppendOptions::default(), Input::from_batches(columns, vec![more.unwrap()])).await.unwrap();
    let rows: usize = stream.try_collect::<Vec<_>>().await.unwrap().iter().map(RecordBatch::num_rows).sum();
    assert_eq!(rows, 400);
    assert_eq!(lake.one("SELECT count(*) FROM bronze.orders").await, "401");
}

#[tokio::test]
async fn columns_of_a_join_with_using_are_one() {
    let lake = Lake::new();
    for (table, rows) in
        [("s.a", "(1, 'a1'), (2, 'a2')"), ("s.b", "(2, 'b2'), (3, 'b3')"), ("s.c", "(2, 'c2'), (4, 'c4')")]
    {
        let name = &table[2..];
        lake.run(&format!("CREATE TABLE {table} AS SELECT column1 AS Key, column2 AS {name} FROM (VALUES {rows})"))
            .await;
    }
    let rows = |join: &str| format!("SELECT key, a, b FROM s.a {join} s.b USING (key) WHERE key > 0 ORDER BY key");
    assert_eq!(lake.rows(&rows("JOIN")).await, ["2 a2 b2"]);
    assert_eq!(lake.rows(&rows("LEFT JOIN")).await, ["1 a1", "2 a2 b2"]);
    assert_eq!(lake.rows(&rows("RIGHT JOIN")).await, ["2 a2 b2", "3  b3"]);
    assert_eq!(lake.rows(&rows("FULL JOIN")).await, ["1 a1", "2 a2 b2", "3  b3"]);
    let three = "SELECT key, count(*) FROM s.a JOIN s.b USING (key) JOIN s.c USING (key) WHERE key = 2 GROUP BY key";
    assert_eq!(lake.rows(three).await, ["2 1"]);
    assert_eq!(lake.rows("SELECT * FROM s.a JOIN s.b USING (key)").await, ["2 a2 b2"]);
}

#[tokio::test]
async fn columns_are_called_as_they_were_written() {
    let lake = Lake::orders().await;
    let sql = "SELECT id, sum(Amount), 1 + 1, 1 + 1, count(*) AS N, max(o.id) FROM bronze.orders o GROUP BY id ORDER BY id LIMIT 1";
    let batches = lake.try_rows(sql).await.unwrap();
    let names = |batches: &[RecordBatch]| {
        batches[0].schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&batches), ["id", "sum(Amount)", "1 + 1", "1 + 1:1", "N", "max(o.id)"]);
    let batches = lake.try_rows("SELECT -id, *, upper(note) FROM bronze.orders WHERE id = 1").await.unwrap();
    assert_eq!(names(&batches), ["-id", "id", "Amount", "note", "day", "upper(note)"]);
    let batches = lake.try_rows("SELECT 1, 2 UNION ALL SELECT 3, 4").await.unwrap();
    assert_eq!(names(&batches), ["1", "2"]);
}

#[tokio::test]
async fn the_engines_usual_sql_is_run() {
    let lake = Lake::orders().await;
    for (sql, answer) in [
        ("SELECT count(*) FROM bronze.orders WHERE day >= '2026-01-03' AND day < current_date + 36500", "200"),
        (
            "SELECT date_trunc('month', max(day)), extract(year FROM max(day)) FROM bronze.orders",
            "2026-01-01T00:00:00 2026",
        ),
        ("SELECT try_cast('x' AS INT) IS NULL, coalesce(NULL, 2), 'a' || 1, regexp_like('abc', 'b')", "true 2 a1 true"),
        (
            "SELECT count(*) FROM (SELECT row_number() OVER (PARTITION BY day ORDER BY id) AS r FROM bronze.orders QUALIFY r = 1)",
            "4",
        ),
        ("SELECT count(*) FROM bronze.orders GROUP BY ALL", "400"),
        ("SELECT * EXCLUDE (note) FROM bronze.orders WHERE id = 1", "1 1.5 2026-01-01"),
        ("SELECT sum(id) FILTER (WHERE id < 3) FROM bronze.orders", "3"),
        ("SELECT id FROM bronze.orders o WHERE EXISTS (SELECT 1 FROM bronze.orders p WHERE p.id = o.id + 399)", "0"),
        ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT sum(n) FROM r", "15"),
        ("SELECT list_transform([1, 2], x -> x + 1), {'a': 1}, MAP {'k': 2}['k']", "[2, 3] {a: 1} 2"),
        ("SELECT id::VARCHAR, id::DECIMAL(10, 2), E'a\tb' FROM bronze.orders WHERE id = 2", "2 2.00 a\tb"),
        ("SELECT (SELECT min(id) FROM bronze.orders), (SELECT max(id) FROM bronze.orders)", "0 399"),
    ] {
        assert_eq!(lake.one(sql).await, answer.replace("\\t", "\t"), "{sql}");
    }
    let tree = lake.rows("EXPLAIN FORMAT TREE SELECT id FROM bronze.orders WHERE id = 7").await.join("");
    assert!(tree.contains("LakeScanExec"), "{tree}");
}

mod changes;
