//! A server in a folder of its own, a client for it, and answers as comparable text.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use lake_catalog_client::{CatalogClient, TableLocation};
use lake_catalog_server::catalog::Roots;
use lake_catalog_server::{Config, Server};
use lake_format::operation::Input;
use lake_format::store::Secret;
use lake_format::{AppendOptions, Error, Result, StoreOptions, SystemClock, Table, WriteOutcome};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A running server. It is stopped, and its folder removed, with it.
pub struct Rest {
    pub url: String,
    pub token: String,
    pub folder: TempDir,
    http: reqwest::Client,
    stop: Option<oneshot::Sender<()>>,
    task: Option<JoinHandle<Result<()>>>,
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    /// The body as JSON; null for none.
    pub fn json(&self) -> Value {
        if self.text.is_empty() { Value::Null } else { serde_json::from_str(&self.text).expect(&self.text) }
    }

    /// The body, if the status is that one.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()
    }

    /// Kind of the error, if the status is that one.
    #[track_caller]
    pub fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text);
        self.json()["error"]["kind"].as_str().expect("an error's kind").to_owned()
    }
}

impl Rest {
    pub async fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("folder"), |_| {}, None).await
    }

    /// A server in that folder, with the state that is there.
    pub async fn start_in(folder: TempDir, change: impl FnOnce(&mut Config), roots: Option<Arc<dyn Roots>>) -> Self {
        let mut config = Config::new(folder.path().join("state"));
        config.listen = "127.0.0.1:0".parse().expect("address");
        change(&mut config);
        let server = Server::bind_with(config, roots).await.expect("server");
        let token = server.token_file().map(|file| std::fs::read_to_string(file).expect("token")).unwrap_or_default();
        let url = server.url();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        let http = reqwest::Client::builder().no_proxy().build().expect("client");
        Self { url, token: token.trim().to_owned(), folder, http, stop: Some(stop), task: Some(task) }
    }

    /// Stops the server in order; gives its folder back.
    pub async fn stop(mut self) -> TempDir {
        drop(self.stop.take());
        let task = self.task.take().expect("running");
        task.await.expect("no panic").expect("an orderly stop");
        std::mem::replace(&mut self.folder, tempfile::tempdir().expect("folder"))
    }

    /// Tells the server to stop, without waiting.
    pub fn begin_stop(&mut self) {
        drop(self.stop.take());
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).expect("method");
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply { status, headers, text: response.text().await.expect("a body") }
    }

    /// One request by the administrator.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let mut request = self.request(method, path).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.send(request).await
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.call("POST", path, Some(body)).await
    }

    pub fn client(&self) -> CatalogClient {
        CatalogClient::new(&self.url, Some(Secret::new(self.token.clone()))).expect("client")
    }

    /// The table called `name`, committing through the server.
    pub async fn open(&self, name: &str) -> (TableLocation, Table) {
        let client = self.client();
        let location = client.locate(name, &StoreOptions::default()).await.expect(name);
        let committer = location.committer(&client);
        let table = Table::open_with(location.root.clone(), SystemClock::shared(), committer).await.expect(name);
        (location, table)
    }

    /// Puts a file of one byte under the root of the table at `path` (its route), as [`commit_lines`] adds it.
    pub async fn lay(&self, path: &str, file: &str) {
        let entry = self.get(path).await.expect(200);
        let folder = entry["location"].as_str().expect("location");
        std::fs::write(std::path::Path::new(folder).join(file), b"x").expect("file");
    }

    /// Answer as text, without what differs from run to run.
    pub fn shown(&self, reply: &Reply) -> String {
        if reply.text.is_empty() {
            return reply.status.to_string();
        }
        let mut json = reply.json();
        self.tame(&mut json, "");
        format!("{} {}", reply.status, serde_json::to_string_pretty(&json).expect("text"))
    }

    fn tame(&self, value: &mut Value, key: &str) {
        match value {
            Value::Object(map) => map.iter_mut().for_each(|(key, value)| self.tame(value, key)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.tame(item, "")),
            Value::Number(_) if key.ends_with("_ms") => *value = "<ms>".into(),
            Value::String(text) => {
                let folder = self.folder.path().canonicalize().expect("folder");
                let plain = text.replace(folder.to_str().expect("text"), "<folder>");
                let part = |part: &str| match part {
                    secret if secret.starts_with("lake_") && secret.len() > 40 => "<secret>".to_owned(),
                    id if Uuid::parse_str(id).is_ok() => "<id>".to_owned(),
                    other => other.to_owned(),
                };
                let parts: Vec<String> = plain.split('/').map(part).collect();
                *text = if key == "server_version" { "<version>".to_owned() } else { parts.join("/") };
            }
            _ => {}
        }
    }

    /// All that the catalog holds, as text.
    pub async fn dump(&self) -> String {
        let client = self.client();
        let mut all = String::new();
        for catalog in client.all_catalogs().await.expect("catalogs") {
            all.push_str(&format!("{catalog:?}\n"));
            for schema in client.all_schemas(&catalog.name).await.expect("schemas") {
                all.push_str(&format!("{schema:?}\n"));
                for table in client.all_tables(&catalog.name, &schema.name).await.expect("tables") {
                    all.push_str(&format!("{table:?}\n"));
                }
            }
        }
        all
    }
}

/// `id long, name string`, as the tables of these tests have it.
pub fn columns() -> Value {
    serde_json::json!([{ "name": "id", "type": "long" }, { "name": "name", "type": "string" }])
}

/// Rows of [`columns`].
pub fn rows(ids: &[Option<i64>]) -> Input {
    let schema =
        Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true), Field::new("name", DataType::Utf8, true)]));
    let names: Vec<Option<String>> = ids.iter().map(|id| id.map(|id| format!("n{id}"))).collect();
    let arrays: Vec<ArrayRef> = vec![Arc::new(Int64Array::from(ids.to_vec())), Arc::new(StringArray::from(names))];
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).expect("batch");
    Input::from_batches(schema, vec![batch])
}

/// Appends rows; gives the version.
pub async fn append(table: &mut Table, ids: &[Option<i64>]) -> Result<u64> {
    match table.append(&AppendOptions::default(), rows(ids)).await? {
        WriteOutcome::Committed(report, _) => Ok(report.version),
        WriteOutcome::Unchanged(why) => panic!("unchanged: {why:?}"),
        WriteOutcome::Unknown(unresolved) => Err(Error::unavailable("unknown").with_source(unresolved.reason)),
    }
}

/// The lines of a commit that adds one file of one byte whose statistics are `stats`.
pub fn commit_lines(txn_id: &str, file: &str, stats: &str) -> String {
    let info = serde_json::json!({ "commitInfo": { "txnId": txn_id, "operation": "WRITE" } });
    let add = serde_json::json!({ "add": {
        "path": file, "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true, "stats": stats
    } });
    format!("{info}\n{add}\n")
}

/// A fresh identity.
pub fn new_id() -> String {
    use lake_format::Clock;
    SystemClock.new_id().to_string()
}
