//! Commits through the server: whole, once, in order, and refused with the table as it was.

use std::collections::BTreeSet;
use std::sync::Arc;

use lake_catalog_api::TableName;
use lake_catalog_client::CatalogCommitter;
use lake_format::action::deletion_vector::VectorFile;
use lake_format::action::{DeletionVector, DeletionVectorDescriptor};
use lake_format::store::write_deletion_vectors;
use lake_format::transaction::LogCommitter;
use lake_format::{At, Clock, ErrorKind, Snapshot, SystemClock, Table, TableRoot};
use serde_json::{Value, json};

use super::support::{Rest, append, columns, commit_lines, new_id};

const TABLES: &str = "/api/v1/catalogs/lake/schemas/bronze/tables";
const COMMITS: &str = "/api/v1/catalogs/lake/schemas/bronze/tables/t/commits";

async fn with_table() -> Rest {
    let rest = Rest::start().await;
    rest.post(TABLES, &json!({ "name": "t", "columns": columns() })).await.expect(201);
    rest
}

async fn newest(root: &TableRoot) -> Snapshot {
    Snapshot::load(root.clone(), At::Latest, SystemClock::shared()).await.expect("snapshot")
}

fn request(version: u64, txn_id: &str, actions: &str) -> Value {
    json!({ "version": version, "txn_id": txn_id, "actions": actions })
}

#[tokio::test]
async fn rows_go_through_the_server_and_are_read_by_path() {
    let rest = with_table().await;
    let (location, mut table) = rest.open("bronze.t").await;
    assert_eq!(append(&mut table, &[Some(1), Some(2)]).await.expect("append"), 1);
    assert_eq!(append(&mut table, &[Some(3)]).await.expect("append"), 2);
    let snapshot = newest(&location.root).await;
    assert_eq!((snapshot.version(), snapshot.files().await.expect("files").num_rows()), (2, Some(3)));
    let loaded = rest.client().load_table(&location.name).await.expect("load");
    assert_eq!(loaded.version, 2);
    let status = rest.client().get_commit(&location.name, 2).await.expect("status");
    assert_eq!(status.operation.as_deref(), Some("WRITE"));
    let metrics = rest.send(rest.request("GET", "/metrics")).await.text;
    assert!(metrics.contains(r#"lake_commits_total{outcome="committed"} 2"#), "{metrics}");
}

#[tokio::test]
async fn many_writers_through_the_server_and_one_beside_it_leave_no_gap() {
    let rest = with_table().await;
    let (location, _) = rest.open("bronze.t").await;
    let mut writers = Vec::new();
    for writer in 0..6_i64 {
        // The last one commits to the log itself, as a program that does not know the server.
        let (_, mut table) = rest.open("bronze.t").await;
        if writer == 5 {
            let committer = Arc::new(LogCommitter);
            table = Table::open_with(location.root.clone(), SystemClock::shared(), committer).await.expect("open");
        }
        writers.push(tokio::spawn(async move {
            let mut versions = Vec::new();
            for i in 0..8 {
                versions.push(append(&mut table, &[Some(writer * 100 + i)]).await.expect("append"));
            }
            versions
        }));
    }
    let mut versions = BTreeSet::new();
    for writer in writers {
        for version in writer.await.expect("writer") {
            assert!(versions.insert(version), "version {version} twice");
        }
    }
    assert_eq!(versions, (1..=48).collect());
    let snapshot = newest(&location.root).await;
    assert_eq!(
        (
            snapshot.version(),
            snapshot.files().await.expect("files").num_rows(),
            snapshot.files().await.expect("files").len()
        ),
        (48, Some(48), 48)
    );
}

#[tokio::test]
async fn the_same_commit_lands_once_also_after_a_restart() {
    let rest = with_table().await;
    let txn_id = new_id();
    rest.lay(&format!("{TABLES}/t"), "a.parquet").await;
    let body = request(1, &txn_id, &commit_lines(&txn_id, "a.parquet", r#"{"numRecords":1}"#));
    assert_eq!(rest.post(COMMITS, &body).await.expect(200)["outcome"], "committed");
    for _ in 0..3 {
        assert_eq!(rest.post(COMMITS, &body).await.expect(200)["outcome"], "already_committed");
    }
    let rest = Rest::start_in(rest.stop().await, |_| {}, None).await;
    assert_eq!(rest.post(COMMITS, &body).await.expect(200)["outcome"], "already_committed");
    let again = futures::future::join_all((0..8).map(|_| rest.post(COMMITS, &body))).await;
    assert!(again.into_iter().all(|reply| reply.status == 200));
    let mut changed = body.clone();
    changed["actions"] = format!("{}\n", commit_lines(&txn_id, "b.parquet", "{}")).into();
    let reply = rest.post(COMMITS, &changed).await;
    assert_eq!(reply.error(409), "conflict", "the same identity with other actions is another commit");
    assert_eq!(rest.get(&format!("{TABLES}/t/load")).await.expect(200)["version"], 1);
}

#[tokio::test]
async fn a_version_that_is_taken_or_too_high_says_where_the_table_is() {
    let rest = with_table().await;
    let commit = |version: u64| {
        let txn_id = new_id();
        request(version, &txn_id, &commit_lines(&txn_id, &format!("{version}.parquet"), r#"{"numRecords":1}"#))
    };
    for version in 1..=4 {
        rest.lay(&format!("{TABLES}/t"), &format!("{version}.parquet")).await;
    }
    rest.post(COMMITS, &commit(1)).await.expect(200);
    rest.post(COMMITS, &commit(2)).await.expect(200);
    for taken in [0, 1, 2] {
        let reply = rest.post(COMMITS, &commit(taken)).await;
        assert_eq!(reply.error(409), "conflict");
        let wanted = json!({ "outcome": "rejected", "version": taken, "head": 2, "taken": true });
        assert_eq!(reply.json()["error"]["commit"], wanted);
    }
    for high in [4, 99, u64::MAX] {
        let reply = rest.post(COMMITS, &commit(high)).await;
        assert_eq!(reply.error(400), "invalid", "{high}");
    }
    // Another program takes a version behind the server's back.
    let root = rest.open("bronze.t").await.0.root;
    let mut beside = Table::open(root.clone(), SystemClock::shared()).await.expect("open");
    append(&mut beside, &[Some(1)]).await.expect("append");
    let reply = rest.post(COMMITS, &commit(3)).await;
    assert_eq!(reply.error(409), "conflict");
    assert_eq!(reply.json()["error"]["commit"]["head"], 3);
    rest.post(COMMITS, &commit(4)).await.expect(200);
    assert_eq!(newest(&root).await.version(), 4);
}

/// LAY-6
#[tokio::test]
async fn a_file_that_is_not_there_is_not_committed() {
    let rest = with_table().await;
    rest.lay(&format!("{TABLES}/t"), "there.parquet").await;
    let lines = |txn_id: &str| {
        let more = commit_lines(txn_id, "there.parquet", r#"{"numRecords":1}"#);
        let add = more.lines().nth(1).expect("add").to_owned();
        move |others: &[(&str, u64)]| {
            let others = others.iter().map(|(file, size)| {
                add.replace("there.parquet", file).replace("\"size\":1", &format!("\"size\":{size}")) + "\n"
            });
            more.clone() + &others.collect::<String>()
        }
    };
    let many: Vec<String> = (0..40).map(|i| format!("gone{i}.parquet")).collect();
    let many: Vec<(&str, u64)> = many.iter().map(|file| (file.as_str(), 1)).collect();
    rest.lay(&format!("{TABLES}/t"), "large.parquet").await;
    let cases: [(&[(&str, u64)], &str); 3] = [
        (&[("gone.parquet", 1)], "1 of 2 new data file(s): gone.parquet is not there"),
        (&[("large.parquet", 2)], "1 of 2 new data file(s): large.parquet has 1 bytes, not 2"),
        (&many, "40 of 41 new data file(s): gone0.parquet is not there"),
    ];
    for (others, told) in cases {
        let txn_id = new_id();
        let reply = rest.post(COMMITS, &request(1, &txn_id, &lines(&txn_id)(others))).await;
        assert_eq!(reply.error(422), "invalid");
        let details = json!([{ "rule": "commit.files", "message": told }]);
        assert_eq!(reply.json()["error"]["details"], details);
        assert_eq!(reply.json()["error"]["commit"]["outcome"], "rejected");
        assert_eq!(rest.get(&format!("{TABLES}/t/load")).await.expect(200)["version"], 0);
    }
    let txn_id = new_id();
    rest.post(COMMITS, &request(1, &txn_id, &lines(&txn_id)(&[("large.parquet", 1)]))).await.expect(200);
}

/// DV-2, LAY-6
#[tokio::test]
async fn deletion_vectors_are_checked_before_they_are_committed() {
    let rest = with_table().await;
    rest.lay(&format!("{TABLES}/t"), "a.parquet").await;
    let root = rest.open("bronze.t").await.0.root;
    let vector: DeletionVector = [0, 2].into_iter().collect();
    let inline = DeletionVectorDescriptor::inline(&vector).expect("small");
    let mut file = VectorFile::new("", SystemClock.new_id());
    let stored = file.push(&vector).expect("small");
    let changed = |change: &dyn Fn(&mut DeletionVectorDescriptor)| {
        let mut vector = stored.clone();
        change(&mut vector);
        vector
    };
    let outside = changed(&|vector| vector.path_or_inline_dv = format!("../{}", vector.path_or_inline_dv));
    let more = changed(&|vector| vector.cardinality = 4);
    let unknown = changed(&|vector| vector.storage_type = "z".into());
    let lines = |txn_id: &str, listed: bool, vector: &DeletionVectorDescriptor| {
        let lines = commit_lines(txn_id, "a.parquet", r#"{"numRecords":3}"#);
        let (info, add) = lines.trim_end().split_once('\n').expect("two lines");
        let mut add: Value = serde_json::from_str(add).expect("add");
        add["add"]["deletionVector"] = serde_json::to_value(vector).expect("descriptor");
        let features = if listed { json!(["deletionVectors"]) } else { json!(["timestampNtz"]) };
        let protocol = json!({ "protocol": { "minReaderVersion": 3, "minWriterVersion": 7,
            "readerFeatures": features, "writerFeatures": features } });
        format!("{info}\n{protocol}\n{add}\n")
    };
    let commit = |listed: bool, vector: DeletionVectorDescriptor| {
        let txn_id = new_id();
        let mut body = request(1, &txn_id, &lines(&txn_id, listed, &vector));
        body["allow_protocol_change"] = json!(true);
        body
    };
    for (what, body) in [
        ("a feature that is not listed", commit(false, inline.clone())),
        ("a path that climbs", commit(true, outside)),
        ("more rows than there are", commit(true, more)),
        ("a storage type of the future", commit(true, unknown)),
        ("a file that is not there", commit(true, stored.clone())),
    ] {
        let reply = rest.post(COMMITS, &body).await;
        assert!((400..500).contains(&reply.status), "{what}: {}", reply.text);
        assert_eq!(newest(&root).await.version(), 0, "{what}");
    }
    write_deletion_vectors(&root, file).await.expect("written");
    rest.post(COMMITS, &commit(true, stored)).await.expect(200);
    let files = newest(&root).await.files().await.expect("files");
    assert_eq!((files.len(), files.num_rows()), (1, Some(1)), "DV-4");
}

#[tokio::test]
async fn bad_commits_are_told_and_leave_nothing() {
    let rest = with_table().await;
    let txn = "018f0000-0000-7000-8000-000000000001";
    let info = json!({ "commitInfo": { "txnId": txn } }).to_string();
    let add = |path: &str| {
        json!({ "add": { "path": path, "partitionValues": {}, "size": 1, "modificationTime": 0, "dataChange": true } })
            .to_string()
    };
    let remove = |path: &str| json!({ "remove": { "path": path, "dataChange": false } }).to_string();
    let meta = |id: &str, schema: &str| {
        json!({ "metaData": { "id": id, "format": { "provider": "parquet", "options": {} }, "schemaString": schema,
            "partitionColumns": [], "configuration": {} } })
        .to_string()
    };
    let loaded = rest.get(&format!("{TABLES}/t/load")).await.expect(200);
    let delta_id = loaded["delta_id"].as_str().expect("id");
    let schema = loaded["schema_string"].as_str().expect("schema");
    let nested = format!("{}1{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    let newer = json!({ "protocol": { "minReaderVersion": 3, "minWriterVersion": 7,
        "readerFeatures": ["timestampNtz"], "writerFeatures": ["timestampNtz"] } })
    .to_string();
    let unknown = newer.replace("timestampNtz", "zzz");
    let cases: Vec<(&str, String)> = vec![
        ("empty", String::new()),
        ("blank", "\n \n".into()),
        ("no JSON", "hello".into()),
        ("torn", format!("{info}\n{}", &add("a.parquet")[..30])),
        ("array", "[]".into()),
        ("unknown action", format!("{info}\n{{\"frobnicate\":{{}}}}")),
        (
            "two actions in one line",
            format!("{info}\n{{\"add\":{{\"path\":\"a\",\"size\":1}},\"remove\":{{\"path\":\"b\"}}}}"),
        ),
        ("no commitInfo", add("a.parquet")),
        ("commitInfo second", format!("{}\n{info}", add("a.parquet"))),
        ("commitInfo twice", format!("{info}\n{info}")),
        ("another txnId", format!("{}\n{}", info.replace("0001\"", "0002\""), add("a.parquet"))),
        ("no txnId", format!("{{\"commitInfo\":{{}}}}\n{}", add("a.parquet"))),
        ("absolute path", format!("{info}\n{}", add("/etc/passwd"))),
        ("URL", format!("{info}\n{}", add("s3://other/x.parquet"))),
        ("file URL", format!("{info}\n{}", add("file:/etc/passwd"))),
        ("climbing path", format!("{info}\n{}", add("../x.parquet"))),
        ("escaped climbing path", format!("{info}\n{}", add("%2e%2e/x.parquet"))),
        ("bad escape", format!("{info}\n{}", add("a%zz.parquet"))),
        ("in the log", format!("{info}\n{}", add("_delta_log/00000000000000000009.json"))),
        ("empty path", format!("{info}\n{}", add(""))),
        ("climbing remove", format!("{info}\n{}", remove("../x.parquet"))),
        ("file twice", format!("{info}\n{0}\n{0}", add("a.parquet"))),
        ("joins and leaves", format!("{info}\n{}\n{}", add("a.parquet"), remove("a.parquet"))),
        ("negative size", format!("{info}\n{}", add("a.parquet").replace("\"size\":1", "\"size\":-1"))),
        (
            "alien partition column",
            format!(
                "{info}\n{}",
                add("a.parquet").replace("\"partitionValues\":{}", "\"partitionValues\":{\"p\":\"1\"}")
            ),
        ),
        ("another table's metaData", format!("{info}\n{}", meta("other", schema))),
        ("broken schema", format!("{info}\n{}", meta(delta_id, "{"))),
        (
            "dropped column",
            format!(
                "{info}\n{}",
                meta(
                    delta_id,
                    r#"{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}}]}"#
                )
            ),
        ),
        ("protocol not asked for", format!("{info}\n{newer}")),
        ("upstreams that are no list", info.replace("\"txnId\"", "\"lake.upstreams\":7,\"txnId\"")),
        ("deeply nested", format!("{info}\n{{\"add\":{nested}}}")),
        ("deeply nested unknown", format!("{info}\n{{\"x\":{nested}}}")),
    ];
    let mut told = String::new();
    for (what, actions) in cases {
        let reply = rest.post(COMMITS, &request(1, txn, &actions)).await;
        assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
        assert_eq!(reply.json()["error"]["commit"]["outcome"], "rejected", "{what}: {reply:?}");
        told.push_str(&format!("{what}\n{}\n\n", rest.shown(&reply).replace(delta_id, "<delta id>")));
    }
    for (what, body) in [
        ("txn_id that is no UUID", request(1, "x", &info)),
        ("unknown field", json!({ "version": 1, "txn_id": txn, "actions": info, "force": true })),
        ("negative version", json!({ "version": -1, "txn_id": txn, "actions": info })),
        ("another table", json!({ "version": 1, "txn_id": txn, "actions": info, "table_id": new_id() })),
        (
            "unknown feature",
            json!({ "version": 1, "txn_id": txn, "actions": format!("{info}\n{unknown}"), "allow_protocol_change": true }),
        ),
    ] {
        let reply = rest.post(COMMITS, &body).await;
        assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
        told.push_str(&format!("{what}\n{}\n\n", rest.shown(&reply)));
    }
    insta::assert_snapshot!("bad_commits", told);
    let log = rest.open("bronze.t").await.0.root.list("_delta_log").await.expect("log");
    let commits = log.iter().filter(|object| object.path.as_ref().ends_with(".json")).count();
    assert_eq!(commits, 1, "version 0 alone");
    let allowed =
        json!({ "version": 1, "txn_id": txn, "actions": format!("{info}\n{newer}"), "allow_protocol_change": true });
    rest.post(COMMITS, &allowed).await.expect(200);
}

#[tokio::test]
async fn a_commit_does_not_go_to_another_table_of_the_same_name() {
    let rest = with_table().await;
    let (location, mut table) = rest.open("bronze.t").await;
    rest.client().drop_table(&location.name).await.expect("drop");
    rest.post(TABLES, &json!({ "name": "t", "columns": columns() })).await.expect(201);
    let error = append(&mut table, &[Some(1)]).await.expect_err("another table");
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let (_, fresh) = rest.open("bronze.t").await;
    assert_eq!(fresh.snapshot().version(), 0);
    let files = location.root.list("").await.expect("list");
    assert!(files.iter().all(|file| !file.path.as_ref().ends_with(".parquet")), "the refused write left no file");
}

#[tokio::test]
async fn a_table_whose_log_is_gone_is_told() {
    let rest = with_table().await;
    let (location, mut table) = rest.open("bronze.t").await;
    let log = std::path::Path::new(&location.loaded.table.location).join("_delta_log");
    std::fs::remove_dir_all(&log).expect("remove");
    assert_eq!(rest.get(&format!("{TABLES}/t/load")).await.error(500), "corrupt");
    rest.get(&format!("{TABLES}/t")).await.expect(200);
    assert!(append(&mut table, &[Some(1)]).await.is_err());
    assert!(!log.join("00000000000000000001.json").exists(), "no version without a version 0");
}

#[tokio::test]
async fn a_read_token_can_load_but_not_commit() {
    let rest = with_table().await;
    let made = rest.post("/api/v1/tokens", &json!({ "name": "reader", "scopes": ["read"] })).await.expect(201);
    let secret = lake_format::store::Secret::new(made["secret"].as_str().expect("secret"));
    let client = lake_catalog_client::CatalogClient::new(&rest.url, Some(secret)).expect("client");
    let name = TableName::parse("bronze.t").expect("name");
    let location = client.locate("bronze.t", &Default::default()).await.expect("load");
    let committer = Arc::new(CatalogCommitter::new(client, name));
    let mut table = Table::open_with(location.root.clone(), SystemClock::shared(), committer).await.expect("open");
    let error = append(&mut table, &[Some(1)]).await.expect_err("not allowed");
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(newest(&location.root).await.version(), 0);
}
