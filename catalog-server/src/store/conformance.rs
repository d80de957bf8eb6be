//! What every catalog store must do: one suite, run by each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use lake_catalog_api::{ColumnRule, Contract, Layer, Scope};
use lake_format::ErrorKind;
use uuid::Uuid;

use super::{CatalogRecord, CatalogStore, Page, SchemaRecord, TableRecord, TokenRecord, Upstream};

/// Runs the suite on the stores that `$fresh` makes, one test a case.
macro_rules! suite {
    ($fresh:ident) => {
        $crate::store::conformance::suite!($fresh: catalogs_and_names, schemas_stay_in_their_catalog, pages_hold_all_once,
            updates_need_the_revision, deletes_need_emptiness, tables_come_back_whole, locations_never_overlap,
            tables_are_renamed_in_place, tokens_are_found_by_hash, races_have_one_winner, a_check_passes_until_closed);
    };
    ($fresh:ident: $($case:ident),*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let (store, _guard) = $fresh().await;
                $crate::store::conformance::$case(std::sync::Arc::new(store)).await;
            }
        )*
    };
}
pub(crate) use suite;

type Store = Arc<dyn CatalogStore>;

pub(crate) fn catalog(name: &str) -> CatalogRecord {
    CatalogRecord {
        id: id(),
        name: name.to_owned(),
        description: Some("words".to_owned()),
        properties: BTreeMap::from([("k".to_owned(), "v'; DROP TABLE catalogs; --".to_owned())]),
        revision: 1,
        created_ms: 1,
        updated_ms: 2,
    }
}

fn id() -> Uuid {
    use lake_format::clock::Clock;
    lake_format::clock::SystemClock.new_id()
}

fn schema(catalog: &CatalogRecord, name: &str) -> SchemaRecord {
    SchemaRecord {
        id: id(),
        catalog_id: catalog.id,
        name: name.to_owned(),
        layer: Layer::Silver,
        description: None,
        properties: BTreeMap::new(),
        revision: 1,
        created_ms: 3,
        updated_ms: 3,
    }
}

fn table(schema: &SchemaRecord, name: &str, location: &str) -> TableRecord {
    TableRecord {
        id: id(),
        schema_id: schema.id,
        name: name.to_owned(),
        location: location.trim_end_matches('/').to_owned(),
        location_key: location.to_owned(),
        description: None,
        owner: None,
        upstreams: Vec::new(),
        contract: None,
        revision: 1,
        created_ms: 4,
        updated_ms: 4,
    }
}

fn token(name: &str, hash: u8) -> TokenRecord {
    let scopes = vec![Scope::Read, Scope::Admin];
    TokenRecord { id: id(), name: name.to_owned(), hash: [hash; 32], scopes, created_ms: 5, expires_ms: Some(6) }
}

fn page(after: Option<&str>, limit: u32) -> Page {
    Page { after: after.map(str::to_owned), limit }
}

async fn with_schema(store: &Store) -> (CatalogRecord, SchemaRecord) {
    let lake = catalog("lake");
    store.create_catalog(&lake).await.expect("catalog");
    let silver = schema(&lake, "silver");
    store.create_schema(&silver).await.expect("schema");
    (lake, silver)
}

pub(crate) async fn catalogs_and_names(store: Store) {
    let lake = catalog("Lake");
    store.create_catalog(&lake).await.expect("create");
    assert_eq!(store.catalog("lAKE").await.expect("read"), Some(lake.clone()), "case is kept, and ignored in look-ups");
    assert_eq!(store.catalog("lak").await.expect("read"), None);
    let error = store.create_catalog(&catalog("LAKE")).await.expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(store.catalogs(&page(None, 10)).await.expect("list"), vec![lake]);
}

pub(crate) async fn schemas_stay_in_their_catalog(store: Store) {
    let (lake, silver) = with_schema(&store).await;
    let other = catalog("other");
    store.create_catalog(&other).await.expect("other");
    let twin = SchemaRecord { catalog_id: other.id, layer: Layer::Gold, ..schema(&other, "Silver") };
    store.create_schema(&twin).await.expect("same name elsewhere");
    let error = store.create_schema(&schema(&lake, "SILVER")).await.expect_err("taken");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let found = store.schema("LAKE", "SILVER").await.expect("read").expect("there");
    assert_eq!((found.catalog.as_str(), &found.record), ("lake", &silver));
    assert_eq!(store.schema("other", "silver").await.expect("read").expect("there").record.layer, Layer::Gold);
    assert_eq!(store.schemas(other.id, &page(None, 10)).await.expect("list"), vec![twin]);
    assert!(store.schema("nowhere", "silver").await.expect("read").is_none());
    let orphan = schema(&catalog("gone"), "x");
    assert_eq!(store.create_schema(&orphan).await.expect_err("no catalog").kind(), ErrorKind::NotFound);
}

pub(crate) async fn pages_hold_all_once(store: Store) {
    let (_, silver) = with_schema(&store).await;
    let names = ["b", "A", "a1", "_z", "Z", "a-b", "0"];
    for name in names {
        store.create_table(&table(&silver, name, &format!("s3://b/{name}/"))).await.expect("table");
    }
    let mut seen = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let next = store.tables(silver.id, &page(after.as_deref(), 2)).await.expect("page");
        assert!(next.len() <= 2);
        let Some(last) = next.last() else { break };
        after = Some(last.name.clone());
        seen.extend(next.into_iter().map(|t| t.name));
    }
    assert_eq!(seen, ["0", "_z", "A", "a-b", "a1", "b", "Z"]);
}

pub(crate) async fn updates_need_the_revision(store: Store) {
    let (lake, silver) = with_schema(&store).await;
    let changed = CatalogRecord { revision: 2, description: None, updated_ms: 9, ..lake.clone() };
    store.update_catalog(&changed).await.expect("update");
    assert_eq!(store.catalog("lake").await.expect("read"), Some(changed.clone()));
    assert_eq!(store.update_catalog(&changed).await.expect_err("stale").kind(), ErrorKind::Conflict);
    let gone = CatalogRecord { revision: 2, ..catalog("gone") };
    assert_eq!(store.update_catalog(&gone).await.expect_err("gone").kind(), ErrorKind::NotFound);

    let changed = SchemaRecord { revision: 2, description: Some("x".into()), layer: Layer::None, ..silver.clone() };
    store.update_schema(&changed).await.expect("update");
    let stored = store.schema("lake", "silver").await.expect("read").expect("there").record;
    assert_eq!((stored.description.as_deref(), stored.layer), (Some("x"), Layer::Silver), "the layer stays");
    assert_eq!(store.update_schema(&changed).await.expect_err("stale").kind(), ErrorKind::Conflict);

    let record = table(&silver, "t", "s3://b/t/");
    store.create_table(&record).await.expect("table");
    let changed = TableRecord { revision: 2, location: "elsewhere".into(), owner: Some("me".into()), ..record.clone() };
    store.update_table(&changed).await.expect("update");
    let stored = store.table("lake", "silver", "t").await.expect("read").expect("there").record;
    assert_eq!((stored.owner.as_deref(), stored.location.as_str()), (Some("me"), "s3://b/t"), "the location stays");
    assert_eq!(store.update_table(&changed).await.expect_err("stale").kind(), ErrorKind::Conflict);
    let gone = TableRecord { id: id(), ..changed };
    assert_eq!(store.update_table(&gone).await.expect_err("gone").kind(), ErrorKind::NotFound);
}

pub(crate) async fn deletes_need_emptiness(store: Store) {
    let (lake, silver) = with_schema(&store).await;
    let record = table(&silver, "t", "s3://b/t/");
    store.create_table(&record).await.expect("table");
    assert_eq!(store.delete_catalog(lake.id).await.expect_err("schema in it").kind(), ErrorKind::Conflict);
    assert_eq!(store.delete_schema(silver.id).await.expect_err("table in it").kind(), ErrorKind::Conflict);
    store.delete_table(record.id).await.expect("table");
    store.delete_schema(silver.id).await.expect("schema");
    store.delete_catalog(lake.id).await.expect("catalog");
    for again in
        [store.delete_table(record.id).await, store.delete_schema(silver.id).await, store.delete_catalog(lake.id).await]
    {
        assert_eq!(again.expect_err("gone").kind(), ErrorKind::NotFound);
    }
    assert!(store.table("lake", "silver", "t").await.expect("read").is_none());
}

pub(crate) async fn tables_come_back_whole(store: Store) {
    let (_, silver) = with_schema(&store).await;
    let source = table(&silver, "source", "s3://b/source/");
    store.create_table(&source).await.expect("source");
    let rule = ColumnRule { name: "id".into(), nullable: Some(false), ..ColumnRule::default() };
    let full = TableRecord {
        description: Some("ümläut \u{0}-free".into()),
        owner: Some("o'hara".into()),
        upstreams: vec![Upstream { table_id: source.id, name: "lake.silver.source".into() }],
        contract: Some(Contract { columns: vec![rule] }),
        ..table(&silver, "Full", "s3://b/full/")
    };
    store.create_table(&full).await.expect("full");
    let entry = store.table("Lake", "Silver", "fULL").await.expect("read").expect("there");
    assert_eq!(entry.record, full);
    assert_eq!((entry.full_name().as_str(), entry.layer), ("lake.silver.Full", Layer::Silver));
    let mut found = store.tables_by_id(&[full.id, id(), source.id]).await.expect("by id");
    found.sort_by_key(|entry| entry.record.name.clone());
    assert_eq!(found.into_iter().map(|entry| entry.record).collect::<Vec<_>>(), vec![full, source]);
    assert!(store.tables_by_id(&[]).await.expect("none").is_empty());
}

pub(crate) async fn locations_never_overlap(store: Store) {
    let (_, silver) = with_schema(&store).await;
    store.create_table(&table(&silver, "t", "s3://b/a/b/")).await.expect("first");
    for location in ["s3://b/a/b/", "s3://b/a/", "s3://b/a/b/c/", "s3://b/a/b/c/d/", "s3://b/"] {
        let error = store.create_table(&table(&silver, "other", location)).await.expect_err(location);
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{location}");
        assert!(error.message().contains("lake.silver.t"), "{error}");
        assert_eq!(store.overlapping(location).await.expect("read").expect("t").record.name, "t");
    }
    for (i, location) in
        ["s3://b/a/bc/", "s3://b/a/b-c/", "s3://c/a/b/", "s3://b/ab/", "file:///a/b/"].iter().enumerate()
    {
        assert!(store.overlapping(location).await.expect("read").is_none(), "{location}");
        store.create_table(&table(&silver, &format!("n{i}"), location)).await.expect(location);
    }
    let error = store.create_table(&table(&silver, "T", "s3://free/x/")).await.expect_err("name");
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    let orphan = TableRecord { schema_id: id(), ..table(&silver, "orphan", "s3://free/y/") };
    assert_eq!(store.create_table(&orphan).await.expect_err("no schema").kind(), ErrorKind::NotFound);
    assert!(store.overlapping("s3://free/").await.expect("read").is_none(), "a refused table leaves nothing");
}

pub(crate) async fn tables_are_renamed_in_place(store: Store) {
    let (_, silver) = with_schema(&store).await;
    let record = table(&silver, "a", "s3://b/a/");
    store.create_table(&record).await.expect("a");
    store.create_table(&table(&silver, "b", "s3://b/b/")).await.expect("b");
    let clash = TableRecord { name: "B".into(), revision: 2, ..record.clone() };
    assert_eq!(store.update_table(&clash).await.expect_err("taken").kind(), ErrorKind::AlreadyExists);
    let recased = TableRecord { name: "A".into(), revision: 2, ..record.clone() };
    store.update_table(&recased).await.expect("the case alone");
    let renamed = TableRecord { name: "c".into(), revision: 3, ..record.clone() };
    store.update_table(&renamed).await.expect("rename");
    assert!(store.table("lake", "silver", "a").await.expect("read").is_none());
    assert_eq!(store.table("lake", "silver", "c").await.expect("read").expect("there").record, renamed);
    store.create_table(&table(&silver, "a", "s3://b/a2/")).await.expect("the old name is free");
}

pub(crate) async fn tokens_are_found_by_hash(store: Store) {
    let ci = token("ci", 7);
    store.create_token(&ci).await.expect("create");
    store.create_token(&token("dev", 8)).await.expect("create");
    assert_eq!(store.create_token(&token("CI", 9)).await.expect_err("taken").kind(), ErrorKind::AlreadyExists);
    assert_eq!(store.tokens_by_hash_head([7; 8]).await.expect("read"), vec![ci.clone()]);
    assert!(store.tokens_by_hash_head([1; 8]).await.expect("read").is_empty());
    assert_eq!(store.tokens().await.expect("list").len(), 2);
    store.delete_token(ci.id).await.expect("delete");
    assert!(store.tokens_by_hash_head([7; 8]).await.expect("read").is_empty());
    assert_eq!(store.delete_token(ci.id).await.expect_err("gone").kind(), ErrorKind::NotFound);
}

pub(crate) async fn races_have_one_winner(store: Store) {
    let (_, silver) = with_schema(&store).await;
    let creates = (0..16).map(|i| {
        let store = Arc::clone(&store);
        let record = table(&silver, &format!("t{i}"), "s3://b/same/");
        tokio::spawn(async move { store.create_table(&record).await })
    });
    let answers = futures::future::join_all(creates).await;
    assert_eq!(answers.into_iter().filter(|answer| matches!(answer, Ok(Ok(())))).count(), 1, "one location, one table");

    let stored = store.overlapping("s3://b/same/").await.expect("read").expect("the winner").record;
    let updates = (0..16).map(|i| {
        let store = Arc::clone(&store);
        let record = TableRecord { owner: Some(i.to_string()), revision: 2, ..stored.clone() };
        tokio::spawn(async move { store.update_table(&record).await })
    });
    let answers = futures::future::join_all(updates).await;
    assert_eq!(
        answers.into_iter().filter(|answer| matches!(answer, Ok(Ok(())))).count(),
        1,
        "one revision, one change"
    );
}

pub(crate) async fn a_check_passes_until_closed(store: Store) {
    store.check(1).await.expect("works");
    store.check(2).await.expect("again");
    store.close().await;
    assert_eq!(store.check(3).await.expect_err("closed").kind(), ErrorKind::Unavailable);
}
