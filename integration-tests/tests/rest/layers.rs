//! The rules of the layers, kept for any client that goes through the server.

use lake_format::{ErrorKind, OverwriteOptions};
use serde_json::{Value, json};

use super::support::{Rest, append, columns, commit_lines, new_id, rows};

fn tables(schema: &str) -> String {
    format!("/api/v1/catalogs/lake/schemas/{schema}/tables")
}

async fn state(rest: &Rest, schema: &str) -> (Value, usize) {
    let loaded = rest.get(&format!("{}/t/load", tables(schema))).await.expect(200);
    let location = loaded["table"]["location"].as_str().expect("location").to_owned();
    let count = |dir: std::path::PathBuf| std::fs::read_dir(dir).map(Iterator::count).unwrap_or(0);
    (loaded["version"].clone(), count(std::path::Path::new(&location).to_owned()))
}

#[tokio::test]
async fn bronze_takes_rows_and_gives_none_up() {
    let rest = Rest::start().await;
    rest.post(&tables("bronze"), &json!({ "name": "t", "columns": columns() })).await.expect(201);
    let (_, mut table) = rest.open("bronze.t").await;
    append(&mut table, &[Some(1), None]).await.expect("append");
    let before = state(&rest, "bronze").await;
    let error = table.overwrite(&OverwriteOptions::default(), rows(&[Some(2)])).await.expect_err("bronze");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("bronze.append_only"), "{error}");
    assert_eq!(state(&rest, "bronze").await, before, "no version, and no file of the refused write");
    let error = table.restore(lake_format::At::Version(0)).await.expect_err("bronze");
    assert!(error.message().contains("bronze.append_only"), "{error}");
    append(&mut table, &[Some(3)]).await.expect("the table still takes rows");
}

#[tokio::test]
async fn silver_refuses_a_bad_batch_with_every_broken_rule() {
    let rest = Rest::start().await;
    let contract = json!({ "columns": [
        { "name": "id", "type": "long", "nullable": false, "min": 1, "max": 1000 },
        { "name": "name", "nullable": false }
    ] });
    rest.post(&tables("silver"), &json!({ "name": "t", "columns": columns(), "contract": contract })).await.expect(201);
    let (_, mut table) = rest.open("silver.t").await;
    append(&mut table, &[Some(1), Some(1000)]).await.expect("good rows");
    let before = state(&rest, "silver").await;
    let error = append(&mut table, &[Some(0), None, Some(1001)]).await.expect_err("bad rows");
    assert_eq!(error.kind(), ErrorKind::Invalid);
    for rule in ["silver.not_null (column id)", "silver.not_null (column name)", "silver.range (column id)"] {
        assert!(error.message().contains(rule), "{rule} in {error}");
    }
    assert!(error.hint().is_some_and(|hint| hint.contains("nothing was changed")), "{error:?}");
    assert_eq!(state(&rest, "silver").await, before, "the table is as it was");
    let metrics = rest.send(rest.request("GET", "/metrics")).await.text;
    assert!(metrics.contains(r#"lake_contract_refusals_total{layer="silver"} 1"#), "{metrics}");
    append(&mut table, &[Some(500)]).await.expect("good rows again");
    // Columns may join, but none may go or change its type.
    let column = lake_format::schema::parse_declaration("extra double").expect("column").fields;
    table.add_columns(column).await.expect("a new column");
    table.overwrite(&OverwriteOptions::default(), rows(&[Some(7)])).await.expect("silver may be rewritten");
}

#[tokio::test]
async fn a_contract_can_be_set_and_lifted() {
    let rest = Rest::start().await;
    rest.post(&tables("silver"), &json!({ "name": "t", "columns": columns() })).await.expect(201);
    let (_, mut table) = rest.open("silver.t").await;
    append(&mut table, &[Some(-5)]).await.expect("no contract yet");
    let path = format!("{}/t", tables("silver"));
    let contract = json!({ "contract": { "columns": [{ "name": "ID", "min": "0" }] } });
    rest.call("PATCH", &path, Some(&contract)).await.expect(200);
    assert!(append(&mut table, &[Some(-5)]).await.expect_err("now it is").message().contains("silver.range"));
    rest.call("PATCH", &path, Some(&json!({ "contract": null }))).await.expect(200);
    append(&mut table, &[Some(-5)]).await.expect("no contract any more");
}

#[tokio::test]
async fn a_commit_without_statistics_proves_nothing() {
    let rest = Rest::start().await;
    let contract = json!({ "columns": [{ "name": "id", "nullable": false, "max": 10 }] });
    rest.post(&tables("silver"), &json!({ "name": "t", "columns": columns(), "contract": contract })).await.expect(201);
    rest.lay(&format!("{}/t", tables("silver")), "a.parquet").await;
    let txn_id = new_id();
    let body = json!({ "version": 1, "txn_id": txn_id, "actions": commit_lines(&txn_id, "a.parquet", "{}") });
    let reply = rest.post(&format!("{}/t/commits", tables("silver")), &body).await;
    insta::assert_snapshot!("unproven", rest.shown(&reply));
    assert_eq!(reply.status, 422);
}

/// Files with their statistics.
type Added<'a> = &'a [(&'a str, &'a str)];

/// The lines of a commit that says it only moves rows.
fn layout_lines(txn_id: &str, removed: &[String], added: Added<'_>) -> String {
    let info = json!({ "commitInfo": { "txnId": txn_id, "operation": "OPTIMIZE" } });
    let removes = removed.iter().map(|path| json!({ "remove": { "path": path, "dataChange": false } }));
    let adds = added.iter().map(|(path, stats)| {
        json!({ "add": { "path": path, "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": false,
            "stats": stats } })
    });
    std::iter::once(info).chain(removes).chain(adds).map(|line| format!("{line}\n")).collect()
}

/// LAY-2
#[tokio::test]
async fn a_move_of_rows_is_proved_or_judged_as_data() {
    let rest = Rest::start().await;
    let contract = json!({ "columns": [{ "name": "id", "nullable": false, "max": 10 }] });
    for schema in ["bronze", "silver", "gold"] {
        let body = json!({ "name": "t", "columns": columns(), "contract": contract });
        rest.post(&tables(schema), &body).await.expect(201);
        rest.lay(&format!("{}/t", tables(schema)), "c.parquet").await;
    }
    let counted = r#"{"numRecords":2}"#;
    let cases: [(&str, Added<'_>, &[&str]); 6] = [
        ("bronze", &[], &["bronze.append_only"]),
        ("bronze", &[("c.parquet", r#"{"numRecords":1}"#)], &["bronze.append_only"]),
        ("bronze", &[("c.parquet", "{}")], &["bronze.append_only"]),
        ("silver", &[("c.parquet", "{}")], &["silver.not_null", "silver.range"]),
        ("silver", &[("c.parquet", r#"{"numRecords":3}"#)], &["silver.not_null", "silver.range"]),
        ("gold", &[("c.parquet", counted)], &["gold.owner", "gold.upstreams"]),
    ];
    for (schema, added, rules) in cases {
        let (_, mut table) = rest.open(&format!("{schema}.t")).await;
        if schema != "gold" && table.snapshot().version() == 0 {
            append(&mut table, &[Some(1), Some(2)]).await.expect("append");
        }
        let removed: Vec<String> =
            table.snapshot().files().await.expect("files").iter().map(|add| add.path.clone()).collect();
        let before = state(&rest, schema).await;
        let version = table.snapshot().version() + 1;
        let txn_id = new_id();
        let body = json!({ "version": version, "txn_id": txn_id, "actions": layout_lines(&txn_id, &removed, added) });
        let reply = rest.post(&format!("{}/t/commits", tables(schema)), &body).await;
        assert_eq!(reply.error(422), "invalid", "{schema} {added:?}");
        let error = &reply.json()["error"];
        let told: Vec<_> = error["details"].as_array().expect("details").iter().map(|d| d["rule"].clone()).collect();
        assert_eq!(told, rules, "{schema} {added:?}");
        assert_eq!(state(&rest, schema).await, before, "the table is as it was");
    }
    // The same with as many rows as leave.
    for schema in ["bronze", "silver"] {
        let (_, table) = rest.open(&format!("{schema}.t")).await;
        let removed: Vec<String> =
            table.snapshot().files().await.expect("files").iter().map(|add| add.path.clone()).collect();
        let txn_id = new_id();
        let actions = layout_lines(&txn_id, &removed, &[("c.parquet", counted)]);
        let body = json!({ "version": 2, "txn_id": txn_id, "actions": actions });
        rest.post(&format!("{}/t/commits", tables(schema)), &body).await.expect(200);
    }
}

/// LAY-2
#[tokio::test]
async fn compaction_passes_in_bronze_and_silver() {
    let rest = Rest::start().await;
    let contract = json!({ "columns": [{ "name": "id", "nullable": false, "max": 10 }] });
    for schema in ["bronze", "silver"] {
        let body = json!({ "name": "t", "columns": columns(), "contract": contract });
        rest.post(&tables(schema), &body).await.expect(201);
        let (location, mut table) = rest.open(&format!("{schema}.t")).await;
        for id in 1..=4 {
            append(&mut table, &[Some(id), Some(id + 1)]).await.expect("append");
        }
        let committer = location.committer(&rest.client());
        let outcome = lake_compaction::optimize(table.snapshot(), committer.as_ref(), &Default::default()).await;
        let Ok(lake_compaction::OptimizeOutcome::Done(report, snapshot)) = outcome else { panic!("{outcome:?}") };
        assert_eq!((report.version, report.files_removed, report.files_added), (Some(5), 4, 1), "{schema}");
        assert_eq!(snapshot.files().await.expect("files").num_rows(), Some(8));
    }
}

/// LAY-6
#[tokio::test]
async fn partition_columns_stay() {
    let rest = Rest::start().await;
    rest.post("/api/v1/catalogs/lake/schemas", &json!({ "name": "scratch" })).await.expect(201);
    for schema in ["scratch", "silver"] {
        let body = json!({ "name": "t", "columns": columns(), "partition_columns": ["name"] });
        rest.post(&tables(schema), &body).await.expect(201);
        let loaded = rest.get(&format!("{}/t/load", tables(schema))).await.expect(200);
        let txn_id = new_id();
        let info = json!({ "commitInfo": { "txnId": txn_id } });
        let meta = json!({ "metaData": { "id": loaded["delta_id"], "format": { "provider": "parquet", "options": {} },
            "schemaString": loaded["schema_string"], "partitionColumns": [], "configuration": {} } });
        let body = json!({ "version": 1, "txn_id": txn_id, "actions": format!("{info}\n{meta}\n") });
        let reply = rest.post(&format!("{}/t/commits", tables(schema)), &body).await;
        assert_eq!(reply.error(422), "invalid", "{schema}");
        assert_eq!(reply.json()["error"]["details"][0]["rule"], "table.partition_columns", "{schema}");
        assert_eq!(state(&rest, schema).await.0, 0, "{schema}");
    }
}

#[tokio::test]
async fn only_an_administrator_lifts_the_rules() {
    let rest = Rest::start().await;
    rest.post(&tables("silver"), &json!({ "name": "t", "columns": columns() })).await.expect(201);
    let made = rest.post("/api/v1/tokens", &json!({ "name": "writer", "scopes": ["write"] })).await.expect(201);
    let secret = made["secret"].as_str().expect("secret").to_owned();
    let path = format!("{}/t", tables("silver"));
    let write =
        |method: &str, path: &str, body: Value| rest.send(rest.request(method, path).bearer_auth(&secret).json(&body));
    let contract = json!({ "columns": [{ "name": "id", "min": 0 }] });
    write("PATCH", &path, json!({ "contract": contract })).await.expect(200);
    let before = rest.dump().await;
    for lifted in [json!(null), json!({ "columns": [] }), json!({ "columns": [{ "name": "id", "min": -9 }] })] {
        let reply = write("PATCH", &path, json!({ "contract": lifted, "owner": "eve" })).await;
        assert_eq!(reply.error(403), "denied", "{lifted}");
    }
    write("DELETE", &path, json!({})).await.error(403);
    let location = rest.get(&path).await.expect(200)["location"].clone();
    let register = "/api/v1/catalogs/lake/schemas/bronze/register";
    write("POST", register, json!({ "name": "t", "location": location })).await.error(403);
    assert_eq!(rest.dump().await, before, "nothing was changed");
    // What is said beside the contract, and the same contract again, is no lifting.
    write("PATCH", &path, json!({ "owner": "ann", "contract": contract })).await.expect(200);
    rest.call("PATCH", &path, Some(&json!({ "contract": null }))).await.expect(200);
}

#[tokio::test]
async fn gold_needs_an_owner_and_upstreams_and_takes_none_from_bronze() {
    let rest = Rest::start().await;
    for schema in ["bronze", "silver", "gold"] {
        rest.post(&tables(schema), &json!({ "name": "t", "columns": columns() })).await.expect(201);
    }
    let path = format!("{}/t", tables("gold"));
    let (_, mut table) = rest.open("gold.t").await;
    let error = append(&mut table, &[Some(1)]).await.expect_err("no owner, no upstreams");
    assert!(error.message().contains("gold.owner") && error.message().contains("gold.upstreams"), "{error}");
    let raw = rest.call("PATCH", &path, Some(&json!({ "owner": "ann", "upstreams": ["bronze.t"] }))).await;
    assert_eq!(raw.error(422), "invalid");
    rest.call("PATCH", &path, Some(&json!({ "owner": "ann", "upstreams": ["silver.t"] }))).await.expect(200);
    append(&mut table, &[Some(1)]).await.expect("now it takes rows");

    // A new name of the upstream changes nothing; its end does.
    let silver = format!("{}/t", tables("silver"));
    rest.call("PATCH", &silver, Some(&json!({ "name": "t2" }))).await.expect(200);
    append(&mut table, &[Some(2)]).await.expect("the upstream is known by identity");
    rest.call("DELETE", &format!("{}/t2", tables("silver")), None).await.expect(200);
    let error = append(&mut table, &[Some(3)]).await.expect_err("the upstream is gone");
    assert!(error.message().contains("is not in the catalog"), "{error}");

    // What a commit itself names is judged as well.
    rest.post(&tables("silver"), &json!({ "name": "t2", "columns": columns() })).await.expect(201);
    rest.call("PATCH", &path, Some(&json!({ "upstreams": ["silver.t2"] }))).await.expect(200);
    let version = rest.get(&format!("{path}/load")).await.expect(200)["version"].as_u64().expect("version") + 1;
    let txn_id = new_id();
    rest.lay(&path, "a.parquet").await;
    let lines = commit_lines(&txn_id, "a.parquet", r#"{"numRecords":1}"#);
    let named = lines.replace("\"txnId\"", "\"lake.upstreams\":[\"bronze.t\"],\"txnId\"");
    let body = json!({ "version": version, "txn_id": txn_id, "actions": named });
    let reply = rest.post(&format!("{path}/commits"), &body).await;
    assert_eq!(reply.error(422), "invalid");
    assert!(reply.text.contains("lake.bronze.t is in bronze"), "{}", reply.text);
}

#[tokio::test]
async fn a_schema_without_a_layer_has_no_rules() {
    let rest = Rest::start().await;
    rest.post("/api/v1/catalogs/lake/schemas", &json!({ "name": "scratch" })).await.expect(201);
    let contract = json!({ "columns": [{ "name": "id", "min": 0 }] });
    let body = json!({ "name": "t", "columns": columns(), "contract": contract });
    rest.post(&tables("scratch"), &body).await.expect(201);
    let (_, mut table) = rest.open("scratch.t").await;
    append(&mut table, &[Some(-1)]).await.expect("not judged");
    table.overwrite(&OverwriteOptions::default(), rows(&[None])).await.expect("not judged");
}
