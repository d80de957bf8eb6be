//! Whether forbidden arrows between rooms are found in every form.

use super::*;

fn tree(folder: &str, files: &[(&str, &str)]) -> Tree {
    let manifest = (format!("{folder}/Cargo.toml"), "[package]".to_owned());
    let files = files.iter().map(|(path, text)| (format!("{folder}/src/{path}"), (*text).to_owned()));
    Tree::of(files.chain([manifest]))
}

/// Whether `text` in the file `path` of `format` is refused.
fn refused_in_format(path: &str, text: &str) -> bool {
    let rest = [
        (
            "lib.rs",
            "mod error; mod schema; mod log; mod store; mod table; pub use error::{Error, Result as R}; pub use table::Table;",
        ),
        ("error.rs", ""),
        ("schema/mod.rs", ""),
        ("log/mod.rs", ""),
        ("store/mod.rs", ""),
        ("table.rs", ""),
    ];
    let files: Vec<_> = rest.into_iter().filter(|(known, _)| *known != path).chain([(path, text)]).collect();
    !arrows(&tree("format", &files)).is_empty()
}

#[test]
fn an_arrow_up_the_stairs_is_refused_in_every_form() {
    for text in [
        "use crate::log::commit;",
        "use crate::{error, log::commit as c};",
        "use crate::{error::{self}, log};",
        "fn f() { crate::log::read(); }",
        "fn f(x: Vec<crate::log::Segment>) {}",
        "use super::super::log;",
        "fn f() { super::super::log::read() }",
        "mod inner { use super::super::super::log; }",
        "pub use crate::log::*;",
        "#[serde(with = \"crate::log::json\")] struct A;",
        "macro_rules! m { () => { $crate::log::read() } }",
        "use crate::Table;",
        "use crate::*;",
        "use crate as lake;",
        "use crate::Unheard;",
    ] {
        assert!(refused_in_format("schema/json.rs", text), "{text}");
    }
}

#[test]
fn an_arrow_down_the_stairs_is_fine() {
    for text in [
        "use crate::error::Error;",
        "use crate::{Error, R};",
        "use crate::schema::types;",
        "use super::types;",
        "use self::inner::x; mod inner { use super::super::types; }",
        "pub(crate) fn f() {}",
        "pub(super) fn f() {}",
        "// crate::log::read\nconst X: &str = \"see crate::log::read there\";",
        "#[cfg(test)] mod tests { use crate::log; use super::*; }",
        "use other::log;",
        "use super::super::error::Error;",
    ] {
        assert!(!refused_in_format("schema/json.rs", text), "{text}");
    }
    assert!(!refused_in_format("table.rs", "use crate::log::read; use super::store;"));
    assert!(!refused_in_format("log/commit.rs", "use crate::store::put;"));
    assert!(refused_in_format("store/put.rs", "use crate::log::commit;"));
    assert!(refused_in_format("store/mod.rs", "use super::log;"));
}

#[test]
fn a_room_that_is_not_in_the_plan_is_told() {
    assert!(refused_in_format("attic.rs", ""));
    assert!(refused_in_format("attic/mod.rs", ""));
    assert!(!refused_in_format("lib.rs", "use crate::table::Table; use crate::log;"));
    assert!(!refused_in_format("schema/tests.rs", "use crate::log;"));
}

#[test]
fn the_catalog_server_keeps_http_out_of_the_core() {
    let told = |path: &str, text: &str| {
        let rooms = [("store.rs", ""), ("auth.rs", ""), ("catalog.rs", ""), ("http.rs", ""), ("config.rs", "")];
        let files: Vec<_> = rooms.into_iter().chain([(path, text)]).collect();
        arrows(&tree("catalog-server", &files)).len()
    };
    assert_eq!(told("catalog/table.rs", "use crate::http::error;"), 1);
    assert_eq!(told("auth.rs", "use crate::catalog;"), 1);
    assert_eq!(told("http/router.rs", "use crate::{catalog, auth, store};"), 0);
    assert_eq!(told("config.rs", "use crate::store;"), 1);
    assert_eq!(told("serve.rs", "use crate::{catalog, auth, store, http, config};"), 0);
}

#[test]
fn a_crate_without_a_plan_has_no_loops() {
    let told = |b: &str| {
        arrows(&tree("testkit", &[("a.rs", "use crate::b::x;"), ("b.rs", b), ("c.rs", "use crate::a;")])).len()
    };
    assert_eq!(told(""), 0);
    assert_eq!(told("use crate::c;"), 1);
    assert_eq!(told("use super::a;"), 1);
}

#[test]
fn every_plan_can_be_drawn_without_a_loop() {
    for (folder, rooms) in ROOMS {
        let Rooms::Table(table) = rooms else { continue };
        let arrows: Vec<_> = table
            .iter()
            .flat_map(|(from, may)| may.iter().map(move |to| (from, to)))
            .map(|(from, to)| Arrow { from: (*from).into(), to: (*to).into(), file: (*folder).into(), line: 1 })
            .collect();
        assert_eq!(find_loop(&arrows), None);
        assert!(arrows.iter().all(|arrow| rooms.knows(&arrow.to)), "{folder}");
    }
}

#[test]
fn a_pure_room_names_no_io() {
    let told = |path: &str, text: &str| purity(&tree("format", &[(path, text)])).len();
    assert_eq!(told("expr/eval.rs", "use tokio::sync::Mutex;"), 1);
    assert_eq!(told("conflict.rs", "fn f(x: parquet::Error) {}"), 1);
    assert_eq!(told("error.rs", "impl From<object_store::Error> for E {}"), 1);
    assert_eq!(told("replay/mod.rs", "async fn f() { g().await }"), 2);
    assert_eq!(told("clock.rs", "async fn f() { tokio::time::sleep(d).await }"), 0);
    assert_eq!(told("store/put.rs", "async fn f() {}"), 0);
    assert_eq!(told("expr/eval.rs", "// tokio::x async\n#[cfg(test)] mod tests { async fn f() {} }"), 0);
}
