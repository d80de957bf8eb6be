//! Does everything hold on a real S3-compatible server, from `lake local up` to sixteen processes at one table?

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use lake_catalog_client::CatalogClient;
use lake_format::store::Secret;
use lake_format::{AppendOptions, Clock, Input, StoreOptions, SystemClock, Table, TableRoot, WriteOutcome};

/// Tells a process of this program that it is one of many writers, and which.
const WRITER: &str = "LAKE_TEST_WRITER";
/// Tells a writer how many times it appends.
const APPENDS: &str = "LAKE_TEST_APPENDS";
/// Tells a writer which table, by path or by name.
const TABLE: &str = "LAKE_TEST_TABLE";

/// MinIO and a server of a user of its own, stopped with the test.
struct Local {
    home: tempfile::TempDir,
}

impl Local {
    fn up() -> Self {
        let minio = std::env::var("LAKE_MINIO").expect("LAKE_MINIO names the MinIO server that this suite runs on");
        assert!(Path::new(&minio).is_file(), "there is no program {minio}");
        let local = Self { home: tempfile::tempdir().expect("a home") };
        local.json(&["local", "up"]);
        local
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.home.path()).env("HOME", self.home.path());
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            let settings = name.starts_with("LAKE_") || name.starts_with("AWS_") || name.starts_with("XDG_");
            if settings && name != "LAKE_MINIO" {
                command.env_remove(name.as_ref());
            }
        }
        command
    }

    fn lake(&self, arguments: &[&str]) -> Output {
        self.command(&lake_program()).args(arguments).output().expect("lake runs")
    }

    /// Standard output of a command on this instance that must succeed.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.lake(&[&["--profile", "local"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let output = self.lake(&[&["--format", "json"], arguments].concat());
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("json")
    }

    /// Rows of a query, without the header.
    fn rows(&self, sql: &str) -> Vec<String> {
        self.says(&["sql", sql, "--format", "csv"]).lines().skip(1).map(str::to_owned).collect()
    }

    fn store(&self) -> StoreOptions {
        let state = std::fs::read(self.path(".local/share/lake/local/local.json")).expect("the state");
        let state: serde_json::Value = serde_json::from_slice(&state).expect("json");
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        StoreOptions {
            endpoint: Some(format!("http://127.0.0.1:{}", state["minio"]["port"])),
            access_key_id: Some(text(&state["access_key_id"])),
            secret_access_key: Some(Secret::new(text(&state["secret_access_key"]))),
            ..StoreOptions::default()
        }
    }

    fn catalog(&self) -> CatalogClient {
        let status = self.json(&["local", "status"]);
        let token = status["token_file"].as_str().expect("a file");
        let token = std::fs::read_to_string(token).expect("the token");
        let url = status["catalog_url"].as_str().expect("an address");
        CatalogClient::new(url, Some(Secret::new(token.trim()))).expect("a client")
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        let output = self.lake(&["local", "down"]);
        if !output.status.success() {
            eprintln!("lake local down: {}", text(&output.stderr));
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The program under test: the one that `LAKE_BIN` names, else the one built beside this test.
fn lake_program() -> PathBuf {
    if let Some(named) = std::env::var_os("LAKE_BIN") {
        return named.into();
    }
    let this = std::env::current_exe().expect("this program");
    let beside = this.parent().and_then(Path::parent).expect("a build folder").join("lake");
    assert!(beside.is_file(), "build it first: cargo build -p lake-cli ({} is not there)", beside.display());
    beside
}

fn is_alive(pid: &serde_json::Value) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A process that has ended and that nobody has waited for is not alive.
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

#[test]
fn a_lakehouse_on_minio_from_up_to_down() {
    let local = Local::up();
    let status = local.json(&["local", "status"]);
    assert_eq!((&status["running"], &status["ready"]), (&true.into(), &true.into()), "{status}");
    let again = local.json(&["local", "up"]);
    assert_eq!((&again["minio_pid"], &again["catalog_pid"]), (&status["minio_pid"], &status["catalog_pid"]));

    std::fs::write(local.path("trips.csv"), "id,city,fare\n1,Oslo,10.50\n2,Rome,7.25\n3,Oslo,3.00\n").expect("a file");
    for table in ["s3://lake/scratch/trips", "bronze.trips"] {
        local.says(&["import", table, "trips.csv"]);
        local.says(&["import", table, "trips.csv"]);
        let from = if table.contains("://") { format!("'{table}'") } else { table.to_owned() };
        let sql = format!("SELECT city, COUNT(*) AS n FROM {from} GROUP BY city ORDER BY city");
        assert_eq!(local.rows(&sql), ["Oslo,4", "Rome,2"]);
        local.says(&["optimize", table]);
        assert_eq!(local.rows(&sql), ["Oslo,4", "Rome,2"], "rows stay what they are");
        let shown: serde_json::Value =
            serde_json::from_str(&local.says(&["show", table, "--format", "json"])).expect("json");
        assert_eq!((&shown["num_files"], &shown["num_rows"]), (&1.into(), &6.into()), "{shown}");
        let first = local.rows(&sql.replace(&from, &format!("{from} VERSION AS OF 1")));
        assert_eq!(first.len(), 2);
    }

    let down = local.json(&["local", "down"]);
    assert_eq!(down["running"], false);
    assert!(!is_alive(&status["minio_pid"]) && !is_alive(&status["catalog_pid"]));
    assert_eq!(local.json(&["local", "status"])["running"], false);
    local.json(&["local", "up"]);
    assert_eq!(local.rows("SELECT COUNT(*) AS n FROM bronze.trips"), ["6"], "the data is still there");
}

#[test]
fn a_server_that_died_is_started_again_and_no_other_process_is_touched() {
    let local = Local::up();
    let before = local.json(&["local", "status"]);
    let killed = Command::new("kill").args(["-9", &before["minio_pid"].to_string()]).status().expect("kill runs");
    assert!(killed.success());
    while is_alive(&before["minio_pid"]) {
        std::thread::yield_now();
    }
    assert_eq!(local.json(&["local", "status"])["running"], false);
    let after = local.json(&["local", "up"]);
    assert_eq!((&after["running"], &after["ready"]), (&true.into(), &true.into()), "{after}");
    assert_ne!(after["minio_pid"], before["minio_pid"]);

    // A process that has got the id of one of ours is not ours.
    local.json(&["local", "down"]);
    let mut bystander = Command::new("sleep").arg("60").spawn().expect("sleep runs");
    let file = local.path(".local/share/lake/local/local.json");
    let mut state: serde_json::Value = serde_json::from_slice(&std::fs::read(&file).expect("state")).expect("json");
    state["minio"]["process"] = serde_json::json!({ "pid": bystander.id(), "started": "another time" });
    std::fs::write(&file, state.to_string()).expect("written");
    local.json(&["local", "down"]);
    assert!(bystander.try_wait().expect("its state").is_none(), "it was ended");
    bystander.kill().and_then(|()| bystander.wait()).expect("ended by us");
}

#[test]
fn the_quickstart_comes_to_the_same_on_minio_and_on_a_folder() {
    let local = Local::up();
    let sums = |arguments: &[&str]| {
        let listing = local.json(&[&["quickstart", "--rows", "1000"], arguments].concat());
        let tables = listing.as_array().expect("a list").clone();
        let entry = |table: &serde_json::Value| {
            (table["name"].to_string(), [&table["rows"], &table["sum"], &table["checksum"]].map(ToString::to_string))
        };
        tables.iter().map(entry).collect::<BTreeMap<_, _>>()
    };
    let on_folder = sums(&["--dir", "folder"]);
    assert_eq!(on_folder.len(), 12);
    for run in ["first", "second"] {
        assert_eq!(sums(&["--profile", "local", "--dir", "minio"]), on_folder, "{run} run on the server");
    }
    let warehouse = ["--profile", "local", "--dir", "own", "--warehouse", "s3://lake/own"];
    assert_eq!(sums(&warehouse), on_folder, "own server on MinIO");
}

/// Starts the writers, each of which appends `appends` times, waits for them, and counts what is there.
async fn race(local: &Local, table: &str, root: TableRoot, writers: i64, appends: i64) {
    let store = local.store();
    let begin = std::time::Instant::now();
    let children: Vec<Child> = (0..writers)
        .map(|writer| {
            let this = std::env::current_exe().expect("this program");
            let mut command = local.command(&this);
            command.args(["one_writer", "--exact", "--nocapture"]).env(WRITER, writer.to_string()).env(TABLE, table);
            command.env(APPENDS, appends.to_string());
            command.env("LAKE_S3_ENDPOINT", store.endpoint.as_deref().expect("an endpoint"));
            command.env("LAKE_S3_ACCESS_KEY_ID", store.access_key_id.as_deref().expect("a key"));
            command.env("LAKE_S3_SECRET_ACCESS_KEY", store.secret_access_key.as_ref().expect("a key").expose());
            if !table.contains("://") {
                let client = local.json(&["local", "status"]);
                let token = client["token_file"].as_str().expect("a file");
                command.env("LAKE_CATALOG", client["catalog_url"].as_str().expect("an address"));
                command.env("LAKE_TOKEN", std::fs::read_to_string(token).expect("the token").trim());
            }
            command.stdout(Stdio::null()).spawn().expect("a writer starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("a writer ends").success(), "a writer failed");
    }
    println!("{writers} writers appended {appends} times each in {:?}", begin.elapsed());
    let opened = Table::open(root, SystemClock::shared()).await.expect("the table opens");
    let commits = u64::try_from(writers * appends).expect("positive");
    assert_eq!(opened.snapshot().version(), commits, "one version each, after the first");
    let history = opened.history(usize::MAX).await.expect("history");
    let versions: Vec<u64> = history.iter().rev().map(|entry| entry.version).collect();
    assert_eq!(versions, (0..=commits).collect::<Vec<_>>(), "no gap");
    let ids: BTreeSet<_> = history.iter().filter_map(|entry| entry.info.txn_id.clone()).collect();
    assert_eq!(ids.len(), versions.len(), "each commit is one of its own");
    let from = if table.contains("://") { format!("'{table}'") } else { table.to_owned() };
    let rows = local.rows(&format!("SELECT writer, n FROM {from}"));
    let expected: BTreeSet<String> =
        (0..writers).flat_map(|writer| (0..appends).map(move |n| format!("{writer},{n}"))).collect();
    assert_eq!(rows.len(), expected.len(), "nothing doubled");
    assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), expected, "nothing lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_processes_append_to_one_table_on_s3() {
    let local = Local::up();
    let table = "s3://lake/race/direct";
    local.says(&["create", table, "--schema", "writer long, n long"]);
    race(&local, table, TableRoot::open(table, &local.store()).expect("a root"), 16, 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_processes_append_to_one_table_through_the_server() {
    let local = Local::up();
    let table = "bronze.race";
    local.says(&["create", table, "--schema", "writer long, n long"]);
    let located = local.catalog().locate(table, &local.store()).await.expect("the table is there");
    race(&local, table, located.root, 8, 25).await;
}

/// One of the writers, when this program was started as one; else nothing.
#[tokio::test(flavor = "multi_thread")]
async fn one_writer() {
    let (Ok(writer), Ok(table)) = (std::env::var(WRITER), std::env::var(TABLE)) else {
        return;
    };
    let writer: i64 = writer.parse().expect("a number");
    let appends: i64 = std::env::var(APPENDS).ok().and_then(|text| text.parse().ok()).expect("a number");
    let mut table = open(&table).await;
    for n in 0..appends {
        loop {
            match table.append(&AppendOptions::default(), one_row(writer, n)).await {
                Ok(WriteOutcome::Committed(..)) => break,
                Ok(WriteOutcome::Unchanged(why)) => panic!("unchanged: {why:?}"),
                Ok(WriteOutcome::Unknown(unresolved)) => panic!("{writer}, {n}: {:?}", unresolved.reason),
                // Refused for certain, so trying again can't double it.
                Err(error) if error.kind() == lake_format::ErrorKind::Unavailable => {
                    SystemClock.sleep(Duration::from_millis(200)).await;
                }
                Err(error) => panic!("{writer}, {n}: {error:?}"),
            }
        }
    }
}

async fn open(table: &str) -> Table {
    let store = StoreOptions::from_lookup(|name| std::env::var(name).ok()).expect("store settings");
    let clock = SystemClock::shared();
    if table.contains("://") {
        let root = TableRoot::open(table, &store).expect("a root");
        return Table::open(root, clock).await.expect("the table opens");
    }
    let variable = |name: &str| std::env::var(name).expect(name);
    let token = Secret::new(variable("LAKE_TOKEN"));
    let client = CatalogClient::new(&variable("LAKE_CATALOG"), Some(token)).expect("a client");
    let located = client.locate(table, &store).await.expect("the table is there");
    let committer = located.committer(&client);
    Table::open_with(located.root, clock, committer).await.expect("the table opens")
}

fn one_row(writer: i64, n: i64) -> Input {
    let field = |name: &str| Field::new(name, DataType::Int64, true);
    let schema = Arc::new(Schema::new(vec![field("writer"), field("n")]));
    let column = |value: i64| Arc::new(Int64Array::from(vec![value]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column(writer), column(n)]).expect("one row");
    Input::from_batches(schema, vec![batch])
}
