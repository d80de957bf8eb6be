//! The catalog from the command line: logging in, names instead of paths, layers, and what is refused.

use crate::harness::{Sandbox, snapshot};
use crate::proxy::{Loss, start};

#[test]
fn login_and_namespaces() {
    let mut sandbox = Sandbox::new();
    let url = sandbox.serve(&[]);
    let token = std::fs::read_to_string(sandbox.path("state/admin.token")).expect("token");
    sandbox
        .lake(&["login", &url])
        .lake_with(&["login", &url], "lake_wrong\n")
        .lake(&["login", "nowhere", "--no-token"])
        .lake(&["login", "http://example.com", "--token-file", "state/admin.token"])
        .lake(&["login", &url, "--no-token"])
        .lake_with(&["login", &url, "--profile", "work"], &token)
        .lake(&["catalogs"])
        .lake(&["catalogs", "--profile", "work", "--format", "ndjson"])
        .lake(&["login", &url, "--token-file", "state/admin.token", "--format", "ndjson"])
        .lake(&["catalogs", "create", "research", "--description", "what is tried", "--format", "ndjson"])
        .lake(&["catalogs", "create", "Research"])
        .lake(&["catalogs", "create", "a b"])
        .lake(&["catalogs", "show", "research"])
        .lake(&["schemas", "--format", "csv"])
        .lake(&["schemas", "create", "research.raw", "--layer", "bronze", "--format", "ndjson"])
        .lake(&["schemas", "list", "research", "--format", "csv"])
        .lake(&["schemas", "show", "research.raw"])
        .lake(&["catalogs", "drop", "research"])
        .lake(&["schemas", "drop", "research.raw"])
        .lake(&["catalogs", "drop", "research"])
        .lake(&["catalogs", "drop", "research"])
        .lake(&["schemas", "list", "none"]);
    let config = std::fs::read_to_string(sandbox.path(".config/lake/config.toml")).expect("config");
    assert!(config.contains(token.trim()));
    assert!(!sandbox.transcript().contains(token.trim()), "the token is never printed");
    sandbox.env("LAKE_TOKEN", "lake_wrong");
    sandbox.lake(&["tables"]).lake(&["tables", "--format", "json"]);
    assert_eq!(sandbox.stop_server(), Some(0), "a stop is no failure");
    sandbox.note("the server is stopped").lake(&["tables", "--catalog", "http://127.0.0.1:9"]);
    snapshot_without(&sandbox, &url, "catalog_namespaces");
}

/// The address of a server that is stopped is still that of a server.
fn snapshot_without(sandbox: &Sandbox, url: &str, name: &str) {
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(name, sandbox.transcript().replace(url, "[SERVER]"))
    });
}

#[test]
fn tables_by_name() {
    let mut sandbox = Sandbox::new();
    sandbox.serve_and_login();
    sandbox
        .file("o.csv", "id,total,day\n1,10,2024-01-01\n2,20,2024-01-02\n")
        .file("bad.csv", "id,total,day\n3,x,2024-01-01\n");
    sandbox
        .lake(&["import", "bronze.orders", "o.csv", "--partition-by", "day"])
        .lake(&["import", "bronze.orders", "bad.csv"])
        .lake(&["import", "bronze.fresh", "bad.csv", "--schema", "id long, total long, day date"])
        .lake(&["import", "nowhere.orders", "o.csv"])
        .lake(&["import", "bronze.orders", "o.csv", "--mode", "overwrite"])
        .lake(&["import", "Bronze.ORDERS", "o.csv", "--format", "ndjson", "--quiet"])
        .lake(&["sql", "SELECT count(*) AS n FROM bronze.orders", "--format", "csv"])
        .lake(&["scan", "lake.bronze.orders@v1", "--where", "total > 10", "--format", "csv"])
        .lake(&["show", "bronze.orders", "--format", "ndjson"])
        .lake(&[
            "sql",
            "CREATE TABLE silver.orders AS SELECT id, total FROM bronze.orders",
            "--format",
            "ndjson",
            "--quiet",
        ])
        .lake(&["optimize", "bronze.orders", "--format", "ndjson"])
        .lake(&["log", "bronze.orders", "--format", "csv", "--quiet"])
        .lake(&["create", "bronze.orders", "--schema", "a int"])
        .lake(&["create", "bronze.orders", "--schema", "a int", "--if-not-exists"])
        .lake(&["alter", "bronze.orders", "--add-column", "note string", "--format", "ndjson"])
        .lake(&["restore", "bronze.orders", "--to", "v1"])
        .lake(&["tables", "--format", "ndjson"])
        .lake(&["tables", "list", "bronze", "--format", "csv"])
        .lake(&["tables", "show", "bronze.none"])
        .lake(&["tables", "show", "bronze"])
        .lake(&["schemas", "drop", "bronze"])
        .lake(&["tables", "drop", "bronze.orders"])
        .lake(&["show", "bronze.orders"]);
    snapshot!("catalog_tables", sandbox);
}

#[test]
fn layers_and_contracts() {
    let mut sandbox = Sandbox::new();
    sandbox.serve_and_login();
    sandbox
        .file("o.csv", "id,quantity\n1,10\n2,20\n")
        .file("bad.csv", "id,quantity\n,10\n4,200\n")
        .file(
            "contract.json",
            r#"{"columns":[{"name":"id","type":"long","nullable":false},{"name":"quantity","min":1,"max":100}]}"#,
        )
        .file("odd.json", r#"{"columns":[{"nme":"id"}]}"#);
    sandbox
        .lake(&[
            "create",
            "silver.orders",
            "--schema",
            "id long, quantity long",
            "--contract",
            "contract.json",
            "--format",
            "ndjson",
        ])
        .lake(&["import", "silver.orders", "o.csv", "--format", "ndjson", "--quiet"])
        .lake(&["import", "silver.orders", "bad.csv"])
        .lake(&["import", "silver.orders", "bad.csv", "--format", "json"])
        .lake(&["log", "silver.orders", "--format", "csv", "--quiet"])
        .lake(&["tables", "contract", "silver.orders"])
        .lake(&["tables", "contract", "silver.orders", "--file", "odd.json"])
        .lake(&["tables", "contract", "silver.orders", "--remove", "--format", "json"])
        .lake(&["create", "gold.daily", "--schema", "id long, quantity long", "--quiet", "--format", "ndjson"])
        .lake(&["sql", "INSERT INTO gold.daily SELECT * FROM silver.orders"])
        .lake(&["tables", "set", "gold.daily"])
        .lake(&[
            "tables",
            "set",
            "gold.daily",
            "--owner",
            "sales",
            "--upstream",
            "silver.orders",
            "--description",
            "by day",
        ])
        .lake(&["tables", "set", "gold.daily", "--upstream", "silver.none"])
        .lake(&["sql", "INSERT INTO gold.daily SELECT * FROM silver.orders", "--format", "ndjson", "--quiet"])
        .lake(&["tables", "set", "gold.daily", "--description", "", "--rename", "days", "--format", "ndjson"])
        .lake(&["import", "./there", "o.csv", "--quiet", "--format", "ndjson"])
        .lake(&["tables", "register", "bronze.there", "./there", "--owner", "me", "--format", "ndjson"])
        .lake(&["tables", "register", "bronze.again", "./there"])
        .lake(&["tables", "register", "bronze.none", "./none"])
        .lake(&["scan", "bronze.there", "--format", "csv", "--quiet"]);
    snapshot!("catalog_layers", sandbox);
}

#[test]
fn a_lost_answer_is_settled_and_a_lost_request_is_not_hidden() {
    let mut sandbox = Sandbox::new();
    let url = sandbox.serve(&["--no-auth"]);
    sandbox.file("o.csv", "id\n1\n");
    let through = start(&url, Loss::FirstAnswer);
    sandbox.get(&["import", "bronze.a", "o.csv", "--catalog", &through]);
    let count = ["sql", "SELECT count(*) AS n FROM bronze.a", "--format", "csv", "--catalog", &url];
    assert_eq!(sandbox.get(&count), "n\n1\n", "recognised as one's own, not written twice");

    let through = start(&url, Loss::Request);
    let output = sandbox.quietly(&["import", "bronze.a", "o.csv", "--catalog", &through]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(9), "{told}");
    let token = told.lines().find_map(|line| line.trim().strip_prefix("token: ")).expect("a token").to_owned();
    assert!(told.contains(&format!("lake commit status 'bronze.a' {token}")), "{told}");
    let asked = sandbox.quietly(&["commit", "status", "bronze.a", &token, "--catalog", &url]);
    assert_eq!(asked.status.code(), Some(9), "{}", String::from_utf8_lossy(&asked.stderr));
    assert_eq!(sandbox.get(&count), "n\n1\n");
}
