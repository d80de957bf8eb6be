//! The life of a table at a path: created, looked at, changed, taken back.

use crate::harness::{Sandbox, snapshot};

#[test]
fn create_and_look() {
    let mut sandbox = Sandbox::new();
    sandbox
        .lake(&[
            "create",
            "./trips",
            "--schema",
            "id long not null, city string, total decimal(10,2), day date",
            "--partition-by",
            "day",
            "--property",
            "delta.checkpointInterval=5",
            "--description",
            "trips in town",
        ])
        .lake(&["show", "./trips"])
        .lake(&["show", "trips", "--format", "json"])
        .lake(&["show", "./trips", "--format", "csv"])
        .lake(&["schema", "./trips"])
        .lake(&["schema", "./trips", "--format", "json"])
        .lake(&["schema", "./trips", "--format", "ndjson"])
        .lake(&["log", "./trips"])
        .lake(&["files", "./trips"])
        .lake(&["scan", "./trips"])
        .lake(&["scan", "./trips", "--format", "json"])
        .lake(&["scan", "./trips", "--format", "csv"])
        .lake(&["create", "./trips", "--schema", "id long"])
        .lake(&["create", "./trips", "--schema", "id long", "--if-not-exists"])
        .lake(&["create", "./trips", "--schema", "id long", "--if-not-exists", "--quiet"]);
    let schema = sandbox.get(&["schema", "./trips", "--format", "json"]);
    sandbox.file("schema.json", schema);
    sandbox.lake(&["create", "./copy", "--schema-file", "schema.json", "--quiet"]);
    sandbox.lake(&["schema", "./copy", "--format", "json"]);
    sandbox.file("people.csv", "name,born\nAnn,1990-01-31\n");
    sandbox.lake(&["create", "./people", "--like", "people.csv", "--quiet"]).lake(&["schema", "./people"]);
    snapshot!("tables_create", sandbox);
}

#[test]
fn a_table_that_can_not_be() {
    let mut sandbox = Sandbox::new();
    sandbox.file("schema.json", "{\"type\":\"struct\",\"fields\":[{}]}").file("text.txt", "no schema");
    sandbox
        .lake(&["create", "./t", "--schema", "id lng"])
        .lake(&["create", "./t", "--schema", "id"])
        .lake(&["create", "./t", "--schema", "a int, A int"])
        .lake(&["create", "./t", "--schema", "`a b` int"])
        .lake(&["create", "./t", "--schema", "a int", "--partition-by", "b"])
        .lake(&["create", "./t", "--schema", "a int", "--partition-by", "a"])
        .lake(&["create", "./t", "--schema", "a int", "--property", "delta.enableIcebergCompatV2=true"])
        .lake(&["create", "./t", "--schema", "a int", "--property", "delta.checkpointInterval=never"])
        .lake(&["create", "./t", "--schema", "a int", "--owner", "me"])
        .lake(&["create", "./t", "--schema-file", "schema.json"])
        .lake(&["create", "./t", "--schema-file", "text.txt"])
        .lake(&["create", "./t", "--schema-file", "none.json"])
        .lake(&["create", "./t", "--like", "text.txt"])
        .lake(&["show", "./t"]);
    assert!(!sandbox.path("t/_delta_log").exists(), "nothing was created");
    snapshot!("tables_create_bad", sandbox);
}

#[test]
fn alter_travel_and_restore() {
    let mut sandbox = Sandbox::new();
    sandbox.file("a.csv", "id,name\n1,Ann\n2,Bob\n").file("b.csv", "id,name\n3,Cid\n");
    sandbox
        .lake(&["import", "./t", "a.csv"])
        .lake(&["import", "./t", "b.csv", "--format", "json"])
        .lake(&["alter", "./t", "--add-column", "tip decimal(5,2)", "--add-column", "note string"])
        .lake(&["alter", "./t", "--add-column", "name string"])
        .lake(&["alter", "./t", "--add-column", "x string not null"])
        .lake(&["alter", "./t", "--add-column", "at timestamp_ntz"])
        .lake(&["alter", "./t", "--set", "delta.appendOnly=true", "--set", "team=blue"])
        .lake(&["alter", "./t", "--unset", "nothing"])
        .lake(&["alter", "./t", "--set", "delta.columnMapping.mode=name"])
        .lake(&["import", "./t", "b.csv", "--mode", "overwrite"])
        .lake(&["alter", "./t", "--unset", "delta.appendOnly", "--quiet"])
        .lake(&["scan", "./t"])
        .lake(&["scan", "./t@v0", "--format", "csv"])
        .lake(&["scan", "./t@v9"])
        .lake(&["scan", "./t@2001-01-01"])
        .lake(&["show", "./t@v1", "--format", "ndjson"])
        .lake(&["restore", "./t", "--to", "v0"])
        .lake(&["scan", "./t", "--format", "csv"])
        .lake(&["restore", "./t@v1", "--format", "ndjson", "--quiet"])
        .lake(&["restore", "./t", "--to", "v99"])
        .lake(&["log", "./t", "--limit", "3", "--format", "ndjson"])
        .lake(&["log", "./t@v1", "--format", "csv"]);
    snapshot!("tables_alter", sandbox);
}

#[test]
fn what_became_of_a_commit() {
    let mut sandbox = Sandbox::new();
    sandbox.get(&["create", "./t", "--schema", "a int"]);
    let log: serde_json::Value = serde_json::from_str(&sandbox.get(&["log", "./t", "--format", "json"])).expect("json");
    let token = format!("v0-{}", log[0]["txn_id"].as_str().expect("txn_id"));
    sandbox
        .lake(&["log", "./t", "--settle", &token])
        .lake(&["log", "./t", "--settle", "v1-00000000-0000-7000-8000-000000000000"])
        .lake(&["log", "./t", "--settle", "soon"]);
    snapshot!("tables_settle", sandbox);
}

#[test]
fn a_comment_comes_and_goes_without_a_data_file() {
    let sandbox = Sandbox::new();
    sandbox.get(&["create", "./t", "--schema", "id long, address struct<zip:string>"]);
    sandbox.get(&["alter", "./t", "alter-column", "address.zip", "--comment", "five digits"]);
    assert!(sandbox.get(&["schema", "./t", "--format", "json"]).contains("five digits"));
    sandbox.get(&["alter", "./t", "alter-column", "address.zip", "--comment", ""]);
    assert!(!sandbox.get(&["schema", "./t", "--format", "json"]).contains("comment"));
    assert!(sandbox.get(&["schema", "./t@v1", "--format", "json"]).contains("five digits"));
}

#[test]
fn versions_compared_and_checked() {
    let mut sandbox = Sandbox::new();
    sandbox.file("a.csv", "id,name\n1,Ann\n2,Bob\n").file("b.csv", "id,name\n3,Cid\n");
    sandbox.get(&["import", "a.csv", "--into", "./t"]);
    sandbox.get(&["import", "b.csv", "--into", "./t", "--mode", "overwrite"]);
    sandbox.get(&["alter", "./t", "add-column", "tip decimal(10,2)"]);
    sandbox.get(&["alter", "./t", "set-property", "delta.appendOnly=true"]);
    sandbox
        .lake(&["diff", "./t@0", "./t@1"])
        .lake(&["diff", "./t@1", "--format", "ndjson"])
        .lake(&["diff", "./t@2", "./t@2"])
        .lake(&["diff", "./t"])
        .lake(&["diff", "./t@1", "./u@2"])
        .lake(&["diff", "./t@1", "./t@9"])
        .lake(&["files", "./t@0", "--where", "id = 9", "--format", "csv"])
        .lake(&["files", "./t", "--where", "nothing = 9"])
        .lake(&["files", "./t", "--where", "id IN (SELECT 1)"])
        .lake(&["checkpoint", "./t"])
        .lake(&["fsck", "./t", "--deep"]);
    let data = std::fs::read_dir(sandbox.path("t")).expect("list").map(|entry| entry.expect("entry").path());
    data.filter(|path| path.is_file()).for_each(|path| std::fs::remove_file(path).expect("remove"));
    let output = sandbox.quietly(&["fsck", "./t", "--format", "json"]);
    assert_eq!(output.status.code(), Some(7));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
    assert_eq!((&report["damaged"], &report["findings"][0]["check"]), (&true.into(), &"missing-file".into()));
    sandbox.lake(&["fsck", "./none"]);
    snapshot!("tables_versions", sandbox);
}

#[test]
fn commits_are_settled() {
    let mut sandbox = Sandbox::new();
    let made: serde_json::Value =
        serde_json::from_str(&sandbox.get(&["create", "./t", "--schema", "a int", "--format", "json"])).expect("json");
    let token = format!("v0-{}", made["txn_id"].as_str().expect("id"));
    sandbox
        .lake(&["commit", "status", "./t", &token])
        .lake(&["commit", "status", "./t", "v1-0190b6a2-7c1e-7d3f-8a55-0c9d2f6b1e47"])
        .lake(&["commit", "status", "./t", "nonsense"]);
    snapshot!("tables_commits", sandbox);
}
