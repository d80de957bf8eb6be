//! Bad requests: a clear answer each, and a catalog that is as it was.

use lake_catalog_api::{MAX_BODY_BYTES, MAX_COMMIT_BODY_BYTES, Method, ROUTES, Scope};
use lake_catalog_server::AuthMode;
use serde_json::{Value, json};

use super::support::{Rest, columns};

const BRONZE: &str = "/api/v1/catalogs/lake/schemas/bronze";
const SILVER: &str = "/api/v1/catalogs/lake/schemas/silver";
const GOLD: &str = "/api/v1/catalogs/lake/schemas/gold";

/// A server with the tables `bronze.raw` and `silver.clean`.
async fn with_tables() -> Rest {
    let rest = Rest::start().await;
    rest.post(&format!("{BRONZE}/tables"), &json!({ "name": "raw", "columns": columns() })).await.expect(201);
    rest.post(&format!("{SILVER}/tables"), &json!({ "name": "clean", "columns": columns() })).await.expect(201);
    rest
}

#[tokio::test]
async fn bad_requests_are_told_and_change_nothing() {
    let rest = with_tables().await;
    let before = rest.dump().await;
    let long = "x".repeat(129);
    let table = |more: Value| {
        let mut body = json!({ "name": "n", "columns": columns() });
        body.as_object_mut().expect("object").extend(more.as_object().expect("object").clone());
        Some(body)
    };
    let taken = rest.get(&format!("{BRONZE}/tables/raw")).await.expect(200)["location"].clone();
    let inside = format!("{}/inside", taken.as_str().expect("location"));
    let folder = rest.folder.path().canonicalize().expect("folder");
    let folder = folder.to_str().expect("text");
    let rule = |column: Value| table(json!({ "contract": { "columns": [column] } }));
    let cases: Vec<(&str, &str, String, Option<Value>)> = vec![
        ("no such route", "GET", "/api/v2/catalogs".into(), None),
        ("no such method", "PUT", "/api/v1/catalogs".into(), None),
        ("unknown catalog", "GET", "/api/v1/catalogs/nope".into(), None),
        ("unknown schema", "GET", "/api/v1/catalogs/lake/schemas/nope".into(), None),
        ("unknown catalog of a schema", "GET", "/api/v1/catalogs/nope/schemas/x".into(), None),
        ("unknown table", "GET", format!("{BRONZE}/tables/nope"), None),
        ("unknown schema of a table", "GET", "/api/v1/catalogs/lake/schemas/nope/tables/x".into(), None),
        ("long name", "GET", format!("/api/v1/catalogs/{long}"), None),
        ("escaped name", "GET", "/api/v1/catalogs/a%2Fb".into(), None),
        ("name that is not UTF-8", "GET", "/api/v1/catalogs/%ff".into(), None),
        ("dots", "GET", "/api/v1/catalogs/..%2f..%2fetc".into(), None),
        ("version that is no number", "GET", format!("{BRONZE}/tables/raw/commits/x"), None),
        ("negative version", "GET", format!("{BRONZE}/tables/raw/commits/-1"), None),
        ("limit 0", "GET", format!("{BRONZE}/tables?limit=0"), None),
        ("limit too large", "GET", format!("{BRONZE}/tables?limit=1001"), None),
        ("limit that is no number", "GET", "/api/v1/catalogs?limit=many".into(), None),
        ("made-up page token", "GET", "/api/v1/catalogs?page_token=%27OR%201".into(), None),
        ("unknown parameter", "GET", "/api/v1/catalogs?ofset=1".into(), None),
        ("taken catalog", "POST", "/api/v1/catalogs".into(), Some(json!({ "name": "LAKE" }))),
        ("bad catalog name", "POST", "/api/v1/catalogs".into(), Some(json!({ "name": "a.b" }))),
        ("long catalog name", "POST", "/api/v1/catalogs".into(), Some(json!({ "name": long }))),
        ("unknown field", "POST", "/api/v1/catalogs".into(), Some(json!({ "name": "x", "ownr": "y" }))),
        ("wrong type", "POST", "/api/v1/catalogs".into(), Some(json!({ "name": 7 }))),
        ("missing field", "POST", "/api/v1/catalogs".into(), Some(json!({}))),
        ("no object", "POST", "/api/v1/catalogs".into(), Some(json!([1]))),
        (
            "control characters",
            "POST",
            "/api/v1/catalogs".into(),
            Some(json!({ "name": "x", "description": "\u{1b}[2J" })),
        ),
        ("unknown layer", "POST", "/api/v1/catalogs/lake/schemas".into(), Some(json!({ "name": "x", "layer": "tin" }))),
        ("layer is for life", "PATCH", BRONZE.into(), Some(json!({ "layer": "gold" }))),
        ("schema with tables", "DELETE", BRONZE.into(), None),
        ("catalog with schemas", "DELETE", "/api/v1/catalogs/lake".into(), None),
        ("taken table", "POST", format!("{BRONZE}/tables"), table(json!({ "name": "RAW" }))),
        ("no columns", "POST", format!("{BRONZE}/tables"), Some(json!({ "name": "n" }))),
        ("columns twice", "POST", format!("{BRONZE}/tables"), table(json!({ "schema_string": "{}" }))),
        (
            "unknown type",
            "POST",
            format!("{BRONZE}/tables"),
            table(json!({ "columns": [{ "name": "a", "type": "blorb" }] })),
        ),
        (
            "two types",
            "POST",
            format!("{BRONZE}/tables"),
            table(json!({ "columns": [{ "name": "a", "type": "long, b long" }] })),
        ),
        (
            "column twice",
            "POST",
            format!("{BRONZE}/tables"),
            table(json!({ "columns": [{ "name": "a", "type": "long" }, { "name": "A", "type": "long" }] })),
        ),
        (
            "odd column name",
            "POST",
            format!("{BRONZE}/tables"),
            table(json!({ "columns": [{ "name": "a b", "type": "long" }] })),
        ),
        ("bad schema text", "POST", format!("{BRONZE}/tables"), Some(json!({ "name": "n", "schema_string": "{" }))),
        (
            "unknown partition column",
            "POST",
            format!("{BRONZE}/tables"),
            table(json!({ "partition_columns": ["nope"] })),
        ),
        (
            "unknown Delta property",
            "POST",
            format!("{BRONZE}/tables"),
            table(json!({ "properties": { "delta.nope": "1" } })),
        ),
        ("relative location", "POST", format!("{BRONZE}/tables"), table(json!({ "location": "here" }))),
        (
            "climbing location",
            "POST",
            format!("{BRONZE}/tables"),
            table(json!({ "location": format!("{folder}/../x") })),
        ),
        ("whole bucket", "POST", format!("{BRONZE}/tables"), table(json!({ "location": "s3://bucket" }))),
        ("wildcard location", "POST", format!("{BRONZE}/tables"), table(json!({ "location": format!("{folder}/*") }))),
        ("unknown store", "POST", format!("{BRONZE}/tables"), table(json!({ "location": "gs://b/t" }))),
        ("taken location", "POST", format!("{BRONZE}/tables"), table(json!({ "location": taken }))),
        ("location in another table", "POST", format!("{BRONZE}/tables"), table(json!({ "location": inside }))),
        (
            "location around another table",
            "POST",
            format!("{BRONZE}/tables"),
            table(json!({ "location": format!("{folder}/state") })),
        ),
        (
            "nothing to register",
            "POST",
            format!("{BRONZE}/register"),
            Some(json!({ "name": "n", "location": format!("{folder}/empty") })),
        ),
        ("registered already", "POST", format!("{GOLD}/register"), Some(json!({ "name": "n", "location": taken }))),
        (
            "unknown upstream",
            "POST",
            format!("{GOLD}/tables"),
            table(json!({ "upstreams": ["silver.nope", "bronze.raw"] })),
        ),
        ("bad upstream name", "POST", format!("{GOLD}/tables"), table(json!({ "upstreams": ["nope"] }))),
        ("own upstream", "PATCH", format!("{SILVER}/tables/clean"), Some(json!({ "upstreams": ["silver.clean"] }))),
        ("rule for no column", "POST", format!("{SILVER}/tables"), rule(json!({ "name": "nope" }))),
        ("rule of another type", "POST", format!("{SILVER}/tables"), rule(json!({ "name": "id", "type": "string" }))),
        ("limit of another type", "POST", format!("{SILVER}/tables"), rule(json!({ "name": "id", "min": "low" }))),
        ("limit that is a list", "POST", format!("{SILVER}/tables"), rule(json!({ "name": "id", "min": [1] }))),
        (
            "contract on what is there",
            "PATCH",
            format!("{SILVER}/tables/clean"),
            Some(json!({ "contract": { "columns": [{ "name": "x" }] } })),
        ),
        ("stale revision", "PATCH", format!("{SILVER}/tables/clean"), Some(json!({ "owner": "x", "revision": 9 }))),
        ("token without scope", "POST", "/api/v1/tokens".into(), Some(json!({ "name": "x", "scopes": [] }))),
        ("token with unknown scope", "POST", "/api/v1/tokens".into(), Some(json!({ "name": "x", "scopes": ["root"] }))),
        ("id that is no id", "DELETE", "/api/v1/tokens/1".into(), None),
        ("unknown id", "DELETE", "/api/v1/tokens/00000000-0000-0000-0000-000000000000".into(), None),
    ];
    let mut told = String::new();
    for (what, method, path, body) in cases {
        let reply = rest.call(method, &path, body.as_ref()).await;
        assert!((400..500).contains(&reply.status), "{what}: {reply:?}");
        assert!(reply.json()["error"]["request_id"].is_string(), "{what}: {reply:?}");
        told.push_str(&format!("{what}\n{}\n\n", rest.shown(&reply)));
    }
    assert_eq!(rest.dump().await, before, "the catalog is as it was");
    insta::assert_snapshot!("bad_requests", told);
}

#[tokio::test]
async fn bodies_have_limits_and_a_type() {
    let rest = with_tables().await;
    let post = |path: &str| rest.request("POST", path).bearer_auth(&rest.token);
    let json = "application/json";
    let large = format!("{{\"name\":\"{}\"}}", "x".repeat(MAX_BODY_BYTES));
    let reply = rest.send(post("/api/v1/catalogs").header("content-type", json).body(large.clone())).await;
    assert_eq!(reply.error(413), "invalid");
    // Without a length announced, the limit holds as well.
    let chunks = futures::stream::iter(
        large.into_bytes().chunks(65536).map(<[u8]>::to_vec).map(Ok::<_, std::io::Error>).collect::<Vec<_>>(),
    );
    let streamed = post("/api/v1/catalogs").header("content-type", json).body(reqwest::Body::wrap_stream(chunks));
    match streamed.send().await {
        Ok(response) => assert_eq!(response.status().as_u16(), 413),
        Err(error) => assert!(error.is_request(), "cut off while sending: {error}"),
    }
    let commits = format!("{BRONZE}/tables/raw/commits");
    let large = format!("{{\"version\":1,\"txn_id\":\"x\",\"actions\":\"{}\"}}", "x".repeat(MAX_COMMIT_BODY_BYTES));
    assert_eq!(rest.send(post(&commits).header("content-type", json).body(large)).await.error(413), "invalid");
    for (kind, body, status) in [
        (Some("text/plain"), "{}", 415),
        (None, "{}", 415),
        (Some("application/json; charset=utf-8"), r#"{"name":"typed"}"#, 201),
        (Some(json), "", 400),
        (Some(json), "{", 400),
        (Some(json), "null", 400),
        (Some(json), r#"{"name":"a"}{"name":"b"}"#, 400),
        (Some(json), "\u{0}", 400),
    ] {
        let mut request = post("/api/v1/catalogs").body(body);
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        let reply = rest.send(request).await;
        assert_eq!(reply.status, status, "{kind:?} {body:?}: {}", reply.text);
    }
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(rest.send(post("/api/v1/catalogs").header("content-type", json).body(deep)).await.error(400), "invalid");
    let bytes = post("/api/v1/catalogs").header("content-type", json).body(vec![0xff_u8, 0xfe]);
    assert_eq!(rest.send(bytes).await.error(400), "invalid");
}

#[tokio::test]
async fn every_route_asks_for_its_scope() {
    let rest = with_tables().await;
    let mut secrets = Vec::new();
    for scope in [Scope::Read, Scope::Write, Scope::Admin] {
        let body = json!({ "name": format!("may-{}", scope.as_str()), "scopes": [scope] });
        let made = rest.post("/api/v1/tokens", &body).await.expect(201);
        secrets.push((scope, made["secret"].as_str().expect("secret").to_owned()));
    }
    let before = rest.dump().await;
    for route in ROUTES {
        let path = route.parameters().fold(route.path.to_owned(), |path, name| {
            let value = if name == "id" { "00000000-0000-0000-0000-000000000000" } else { "0" };
            path.replace(&format!("{{{name}}}"), value)
        });
        let ask = |token: Option<&str>| {
            let request = rest.request(route.method.as_str(), &path);
            let request = if route.method == Method::Get { request } else { request.json(&json!({ "no such": 1 })) };
            rest.send(match token {
                Some(token) => request.bearer_auth(token),
                None => request,
            })
        };
        let Some(needed) = route.scope else {
            assert_eq!(ask(None).await.status, 200, "{}", route.id);
            continue;
        };
        let nobody = ask(None).await;
        assert_eq!(nobody.error(401), "denied", "{}", route.id);
        assert_eq!(nobody.headers["www-authenticate"], "Bearer");
        for wrong in ["x", "lake_0000", &format!("lake_{}", "0".repeat(64))] {
            assert_eq!(ask(Some(wrong)).await.error(401), "denied", "{}", route.id);
        }
        for (scope, secret) in &secrets {
            let status = ask(Some(secret)).await.status;
            if *scope < needed {
                assert_eq!(status, 403, "{} with {scope:?}", route.id);
            } else {
                assert!(!matches!(status, 401 | 403 | 500..), "{} with {scope:?}: {status}", route.id);
            }
        }
    }
    assert_eq!(rest.dump().await, before);
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once_and_the_last_admin_stays() {
    let rest = Rest::start().await;
    let made = rest.post("/api/v1/tokens", &json!({ "name": "tmp", "scopes": ["write"] })).await.expect(201);
    let secret = made["secret"].as_str().expect("secret").to_owned();
    let ask = || rest.send(rest.request("GET", "/api/v1/session").bearer_auth(&secret));
    assert_eq!(ask().await.expect(200)["principal"], "tmp");
    let id = made["token"]["id"].as_str().expect("id");
    rest.call("DELETE", &format!("/api/v1/tokens/{id}"), None).await.expect(204);
    ask().await.error(401);
    let tokens = rest.get("/api/v1/tokens").await.expect(200);
    assert!(!tokens.to_string().contains("secret"), "{tokens}");
    let last = tokens["tokens"][0]["id"].as_str().expect("id");
    assert_eq!(rest.call("DELETE", &format!("/api/v1/tokens/{last}"), None).await.error(409), "conflict");
    let database = std::fs::read(rest.folder.path().join("state/catalog.db")).expect("database");
    let holds = |needle: &str| database.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(!holds(&rest.token) && !holds(rest.token.trim_start_matches("lake_")), "no usable secret on disk");
}

#[tokio::test]
async fn a_server_without_tokens_answers_to_this_machine_alone() {
    let open = |config: &mut lake_catalog_server::Config| config.auth = AuthMode::Open;
    let rest = Rest::start_in(tempfile::tempdir().expect("folder"), open, None).await;
    let session = rest.send(rest.request("GET", "/api/v1/session")).await.expect(200);
    assert_eq!(session["principal"], "anonymous");
    let lured = rest.send(rest.request("GET", "/api/v1/session").header("host", "evil.example")).await;
    assert_eq!(lured.error(403), "denied");
    assert!(!rest.folder.path().join("state/admin.token").exists());
}
