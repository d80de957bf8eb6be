//! Tables that are damaged, foreign or out of reach: never a smaller table, never a panic.

use crate::harness::{Sandbox, snapshot};

const COMMIT: &str = "t/_delta_log/00000000000000000001.json";

fn table() -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.env("LAKE_LOG", "error");
    sandbox.file("a.csv", "id\n1\n");
    sandbox.get(&["import", "./t", "a.csv"]);
    sandbox.get(&["import", "./t", "a.csv"]);
    sandbox
}

#[test]
fn a_torn_commit_is_an_error() {
    let mut sandbox = table();
    let whole = std::fs::read_to_string(sandbox.path(COMMIT)).expect("commit");
    sandbox.file(COMMIT, &whole[..200]);
    sandbox.lake(&["scan", "./t"]).lake(&["scan", "./t@v0", "--format", "csv"]).lake(&["import", "./t", "a.csv"]);
    sandbox.file(COMMIT, "");
    sandbox.lake(&["scan", "./t", "--format", "json"]).lake(&["log", "./t"]);
    sandbox.file(COMMIT, b"\xff\xfe\x00");
    sandbox.lake(&["show", "./t"]);
    std::fs::remove_file(sandbox.path(COMMIT)).expect("remove");
    sandbox.file("t/_delta_log/00000000000000000002.json", &whole);
    sandbox.note("a version is missing").lake(&["show", "./t"]);
    snapshot!("damage_log", sandbox);
}

#[test]
fn damaged_and_missing_data_files() {
    let mut sandbox = table();
    let files = sandbox.get(&["files", "./t", "--format", "ndjson", "--quiet"]);
    let paths: Vec<String> = files
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).expect("json")["path"].as_str().expect("path").to_owned()
        })
        .collect();
    sandbox.file(&format!("t/{}", paths[0]), "PAR1 no");
    sandbox.lake(&["scan", "./t"]);
    std::fs::remove_file(sandbox.path(&format!("t/{}", paths[0]))).expect("remove");
    sandbox.lake(&["scan", "./t"]);
    snapshot!("damage_data", sandbox);
}

#[test]
fn features_that_lake_lacks_are_named() {
    let mut sandbox = Sandbox::new();
    let log = |reader: &str, writer: &str| {
        format!(
            "{{\"protocol\":{{\"minReaderVersion\":3,\"minWriterVersion\":7,\"readerFeatures\":[{reader}],\
             \"writerFeatures\":[{writer}]}}}}\n{{\"metaData\":{{\"id\":\"x\",\"format\":{{\"provider\":\"parquet\",\"options\":{{}}}},\
             \"schemaString\":\"{{\\\"type\\\":\\\"struct\\\",\\\"fields\\\":[{{\\\"name\\\":\\\"id\\\",\\\"type\\\":\\\"long\\\",\
             \\\"nullable\\\":true,\\\"metadata\\\":{{}}}}]}}\",\"partitionColumns\":[],\"configuration\":{{}}}}}}\n"
        )
    };
    sandbox.file("a.csv", "id\n1\n");
    sandbox.file("w/_delta_log/00000000000000000000.json", log("", "\"icebergCompatV2\""));
    sandbox.file("f/_delta_log/00000000000000000000.json", log("\"telepathy\"", "\"telepathy\""));
    sandbox
        .lake(&["scan", "./f"])
        .lake(&["scan", "./w", "--format", "csv", "--quiet"])
        .lake(&["import", "./w", "a.csv"])
        .lake(&["optimize", "./w"])
        .lake(&["vacuum", "./w", "--dry-run"]);
    snapshot!("damage_features", sandbox);
}

#[test]
fn a_store_that_is_not_there() {
    let mut sandbox = Sandbox::new();
    sandbox.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "hunter2");
    let output =
        sandbox.quietly(&["show", "s3://b/t", "--catalog", "http://127.0.0.1:9", "--endpoint", "http://127.0.0.1:9"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(8), "{told}");
    assert!(!told.contains("hunter2"));
}
