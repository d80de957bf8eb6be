//! Every route once, in an order that makes sense, with its whole answer.

use std::collections::HashSet;

use lake_catalog_api::{ROUTES, Route};
use serde_json::{Value, json};

use super::support::{Rest, columns, commit_lines};

/// The route that a request goes to.
fn route_of(method: &str, path: &str) -> Option<&'static Route> {
    let path = path.split('?').next().unwrap_or_default();
    ROUTES.iter().find(|route| {
        let (wanted, given): (Vec<&str>, Vec<&str>) = (route.path.split('/').collect(), path.split('/').collect());
        let fits = |(wanted, given): (&&str, &&str)| wanted.starts_with('{') || wanted == given;
        route.method.as_str() == method && wanted.len() == given.len() && wanted.iter().zip(&given).all(fits)
    })
}

struct Walk {
    rest: Rest,
    seen: HashSet<&'static str>,
    told: String,
}

impl Walk {
    async fn step(&mut self, method: &str, path: &str, body: Option<Value>) -> Value {
        let reply = self.rest.call(method, path, body.as_ref()).await;
        self.seen.extend(route_of(method, path).map(|route| route.id));
        let sent = body.map(|body| format!("{body}\n")).unwrap_or_default();
        self.told.push_str(&format!("{method} {path}\n{sent}=> {}\n\n", self.rest.shown(&reply)));
        reply.json()
    }
}

#[tokio::test]
async fn every_route_answers_as_recorded() {
    let rest = Rest::start().await;
    let mut walk = Walk { rest, seen: HashSet::new(), told: String::new() };
    walk.step("GET", "/api/v1/session", None).await;
    namespaces(&mut walk).await;
    tables(&mut walk).await;
    tokens(&mut walk).await;

    let openapi = walk.rest.get("/api/v1/openapi.json").await;
    assert_eq!((openapi.status, openapi.text), (200, lake_catalog_api::openapi()));
    walk.seen.insert("getOpenApi");
    let missed: Vec<&str> = ROUTES.iter().map(|route| route.id).filter(|id| !walk.seen.contains(id)).collect();
    assert!(missed.is_empty(), "routes that no step covers: {missed:?}");
    // The identities of commits are given by this test and shown as ids.
    insta::assert_snapshot!("routes", walk.told);
}

async fn namespaces(walk: &mut Walk) {
    walk.step("GET", "/api/v1/catalogs", None).await;
    walk.step("GET", "/api/v1/catalogs/LAKE/schemas?limit=2", None).await;
    walk.step("GET", "/api/v1/catalogs/lake/schemas?limit=2&page_token=gold", None).await;
    walk.step("POST", "/api/v1/catalogs", Some(json!({ "name": "Extra", "properties": { "team": "data" } }))).await;
    walk.step("GET", "/api/v1/catalogs/extra", None).await;
    let change = json!({ "description": "more", "properties": { "team": null, "cost": "7" } });
    walk.step("PATCH", "/api/v1/catalogs/extra", Some(change)).await;
    walk.step("POST", "/api/v1/catalogs/extra/schemas", Some(json!({ "name": "raw", "layer": "bronze" }))).await;
    walk.step("GET", "/api/v1/catalogs/extra/schemas/RAW", None).await;
    walk.step("PATCH", "/api/v1/catalogs/extra/schemas/raw", Some(json!({ "description": "as it came" }))).await;
    walk.step("DELETE", "/api/v1/catalogs/extra", None).await;
    walk.step("DELETE", "/api/v1/catalogs/extra/schemas/raw", None).await;
    walk.step("DELETE", "/api/v1/catalogs/extra", None).await;
    walk.step("GET", "/api/v1/catalogs/extra", None).await;
}

async fn tables(walk: &mut Walk) {
    let silver = "/api/v1/catalogs/lake/schemas/silver";
    let gold = "/api/v1/catalogs/lake/schemas/gold";
    let orders = json!({
        "name": "Orders",
        "columns": [
            { "name": "id", "type": "bigint", "nullable": false, "comment": "key" },
            { "name": "price", "type": "decimal(10,2)" },
            { "name": "day", "type": "date" },
            { "name": "tags", "type": "array<string>" }
        ],
        "partition_columns": ["day"],
        "properties": { "delta.checkpointInterval": "20" },
        "owner": "ann",
        "description": "orders, cleaned",
        "contract": { "columns": [{ "name": "price", "type": "decimal(10,2)", "nullable": false, "min": 0, "max": "9999.99" }] }
    });
    walk.step("POST", &format!("{silver}/tables"), Some(orders)).await;
    walk.step("GET", &format!("{silver}/tables/orders"), None).await;
    let sales = json!({ "name": "sales", "columns": columns(), "owner": "bob", "upstreams": ["silver.ORDERS"] });
    walk.step("POST", &format!("{gold}/tables"), Some(sales)).await;
    let rename = json!({ "name": "orders_clean", "description": null, "revision": 1 });
    walk.step("PATCH", &format!("{silver}/tables/orders"), Some(rename)).await;
    // The upstream goes by its new name.
    walk.step("GET", &format!("{gold}/tables"), None).await;
    let txn_id = "018f0000-0000-7000-8000-000000000001";
    let actions = commit_lines(txn_id, "f.parquet", r#"{"numRecords":1}"#);
    let commit = json!({ "version": 1, "txn_id": txn_id, "actions": actions });
    walk.rest.lay(&format!("{gold}/tables/sales"), "f.parquet").await;
    walk.step("POST", &format!("{gold}/tables/sales/commits"), Some(commit.clone())).await;
    walk.step("POST", &format!("{gold}/tables/sales/commits"), Some(commit)).await;
    walk.step("GET", &format!("{gold}/tables/sales/commits/1"), None).await;
    walk.step("GET", &format!("{gold}/tables/sales/commits/2"), None).await;
    walk.step("GET", &format!("{gold}/tables/sales/load"), None).await;
    let dropped = walk.step("DELETE", &format!("{gold}/tables/sales"), None).await;
    walk.step("GET", &format!("{gold}/tables/sales"), None).await;
    let location = dropped["location"].as_str().expect("location").to_owned();
    let request = json!({ "name": "sales2", "location": location });
    let reply = walk.rest.post(&format!("{gold}/register"), &request).await;
    walk.seen.insert("registerTable");
    walk.told.push_str(&format!("POST {gold}/register\n=> {}\n\n", walk.rest.shown(&reply)));
    walk.step("GET", &format!("{silver}/tables?limit=1"), None).await;
}

async fn tokens(walk: &mut Walk) {
    let made = walk.step("POST", "/api/v1/tokens", Some(json!({ "name": "ci", "scopes": ["read"] }))).await;
    walk.step("GET", "/api/v1/tokens", None).await;
    let id = made["token"]["id"].as_str().expect("id").to_owned();
    let reply = walk.rest.call("DELETE", &format!("/api/v1/tokens/{id}"), None).await;
    walk.seen.insert("revokeToken");
    walk.told.push_str(&format!("DELETE /api/v1/tokens/<id>\n=> {}\n\n", walk.rest.shown(&reply)));
}

#[tokio::test]
async fn health_metrics_and_request_ids() {
    let rest = Rest::start().await;
    assert_eq!(rest.send(rest.request("GET", "/health/live")).await.expect(200)["status"], "alive");
    assert_eq!(rest.send(rest.request("GET", "/health/ready")).await.expect(200)["status"], "ready");
    let named = rest.send(rest.request("GET", "/nowhere").header("x-request-id", "my-id.1")).await;
    assert_eq!((named.status, &named.headers["x-request-id"]), (404, &"my-id.1".parse().expect("header")));
    assert_eq!(named.json()["error"]["request_id"], "my-id.1");
    let odd = rest.send(rest.request("GET", "/nowhere").header("x-request-id", "a b<script>")).await;
    let made = odd.json()["error"]["request_id"].as_str().expect("made").to_owned();
    assert!(uuid::Uuid::parse_str(&made).is_ok(), "{made}");
    rest.get("/api/v1/catalogs/lake").await.expect(200);
    rest.get("/api/v1/catalogs/gone").await.error(404);
    let metrics = rest.send(rest.request("GET", "/metrics")).await;
    for line in [
        r#"lake_http_requests_total{route="/api/v1/catalogs/{catalog}",method="GET",status="200"} 1"#,
        r#"lake_http_requests_total{route="/api/v1/catalogs/{catalog}",method="GET",status="404"} 1"#,
        r#"lake_http_requests_total{route="unmatched",method="GET",status="404"} 2"#,
        r#"lake_http_request_duration_seconds_count{route="/health/live",method="GET"} 1"#,
        "# TYPE lake_http_request_duration_seconds histogram",
    ] {
        assert!(metrics.text.contains(line), "{line} not in\n{}", metrics.text);
    }
    assert!(!metrics.text.contains("gone"), "labels are patterns, not paths");
}

#[tokio::test]
async fn lists_are_paged_to_their_end() {
    let rest = Rest::start().await;
    for i in 0..7 {
        let body = json!({ "name": format!("t{i}"), "columns": columns() });
        rest.post("/api/v1/catalogs/lake/schemas/bronze/tables", &body).await.expect(201);
    }
    let mut names = Vec::new();
    let mut query = "?limit=3".to_owned();
    loop {
        let page = rest.get(&format!("/api/v1/catalogs/lake/schemas/bronze/tables{query}")).await.expect(200);
        names.extend(page["tables"].as_array().expect("tables").iter().map(|t| t["name"].clone()));
        let Some(next) = page["next_page_token"].as_str() else { break };
        query = format!("?limit=3&page_token={next}");
    }
    assert_eq!(names, (0..7).map(|i| json!(format!("t{i}"))).collect::<Vec<_>>());
    assert_eq!(rest.client().all_tables("lake", "bronze").await.expect("all").len(), 7);
}

#[tokio::test]
async fn state_outlives_a_stop_and_two_servers_live_side_by_side() {
    let (one, two) = (Rest::start().await, Rest::start().await);
    let body = json!({ "name": "t", "columns": columns() });
    one.post("/api/v1/catalogs/lake/schemas/bronze/tables", &body).await.expect(201);
    two.get("/api/v1/catalogs/lake/schemas/bronze/tables/t").await.error(404);
    assert_eq!(two.send(two.request("GET", "/api/v1/session").bearer_auth(&one.token)).await.error(401), "denied");
    let (token, before) = (one.token.clone(), one.dump().await);
    let again = Rest::start_in(one.stop().await, |_| {}, None).await;
    assert_eq!(again.token, token, "the first token is made once");
    assert_eq!(again.dump().await, before);
}
