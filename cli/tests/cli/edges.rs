//! Edges of commands: races, scopes, devices, wrong command lines in JSON, files with nothing in them.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::Sandbox;

/// Exit code and what was said on standard error.
fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn refused(sandbox: &Sandbox, args: &[&str], code: i32, words: &[&str]) {
    let (found, text) = told(&sandbox.quietly(args));
    assert_eq!(found, Some(code), "{args:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{args:?}: {word:?} in {text}");
    }
}

fn import_at_once(sandbox: &Sandbox, table: &str, mode: &str) -> Vec<(Option<i32>, String)> {
    let start = |at: usize| {
        let file = format!("{at}.csv");
        sandbox.file(&file, format!("id,name\n{at},a\n{},b\n", at + 100));
        let mut command = sandbox.command(&["import", table, &file, "--mode", mode]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("lake starts")
    };
    let running: Vec<_> = (0..8).map(start).collect();
    running.into_iter().map(|child| told(&child.wait_with_output().expect("lake ends"))).collect()
}

#[test]
fn first_imports_at_once_all_land() {
    let mut sandbox = Sandbox::new();
    for found in import_at_once(&sandbox, "./t", "append") {
        assert_eq!(found.0, Some(0), "{}", found.1);
    }
    let sum = |table: &str| format!("SELECT count(*) AS n, count(DISTINCT id) AS d FROM {table}");
    assert_eq!(sandbox.get(&["sql", &sum("'./t'"), "--format", "csv"]), "n,d\n16,16\n");
    for found in import_at_once(&sandbox, "./i", "ignore") {
        assert_eq!(found.0, Some(0), "{}", found.1);
    }
    assert_eq!(sandbox.get(&["sql", &sum("'./i'"), "--format", "csv"]), "n,d\n2,2\n");
    let won = import_at_once(&sandbox, "./e", "error").into_iter().filter(|found| found.0 == Some(0)).count();
    assert_eq!(won, 1, "the others find a table there");
    for found in import_at_once(&sandbox, "./o", "overwrite") {
        assert!(matches!(found.0, Some(0 | 3)), "{found:?}");
    }
    assert_eq!(sandbox.get(&["sql", &sum("'./o'"), "--format", "csv"]), "n,d\n2,2\n");
    sandbox.serve_and_login();
    for found in import_at_once(&sandbox, "bronze.t", "append") {
        assert_eq!(found.0, Some(0), "{}", found.1);
    }
    assert_eq!(sandbox.get(&["sql", &sum("bronze.t"), "--format", "csv"]), "n,d\n16,16\n");
}

#[test]
fn vacuum_by_name_needs_a_token_that_writes() {
    let mut sandbox = Sandbox::new();
    let url = sandbox.serve_and_login();
    sandbox.file("o.csv", "id\n1\n");
    sandbox.get(&["import", "silver.orders", "o.csv"]);
    sandbox.get(&["import", "silver.orders", "o.csv", "--mode", "overwrite"]);
    sandbox.file("read.token", reading_token(&sandbox, &url));
    sandbox.get(&["login", &url, "--token-file", "read.token", "--profile", "reader"]);
    let old = ["vacuum", "silver.orders", "--retention", "0s", "--allow-unsafe-retention", "--format", "json"];
    let as_reader = [&old[..], &["--profile", "reader"]].concat();
    let planned = sandbox.get(&[&as_reader[..], &["--dry-run"]].concat());
    assert_eq!(count(&planned, "files"), 1, "a dry run may: {planned}");
    refused(&sandbox, &as_reader, 5, &["\"kind\":\"denied\"", "silver.orders"]);
    assert_eq!(sandbox.get(&["scan", "silver.orders@v1", "--format", "csv"]), "id\n1\n", "nothing was deleted");
    let done: Value = serde_json::from_str(&sandbox.get(&old)).expect("json");
    assert_eq!(done["files_deleted"], 1);
}

fn count(json: &str, list: &str) -> usize {
    let value: Value = serde_json::from_str(json).expect("json");
    value[list].as_array().map_or(0, Vec::len)
}

/// A new token of the server that only reads.
fn reading_token(sandbox: &Sandbox, url: &str) -> String {
    let admin = std::fs::read_to_string(sandbox.path("state/admin.token")).expect("token");
    let token = lake_format::store::Secret::new(admin.trim());
    let client = lake_catalog_client::CatalogClient::new(url, Some(token)).expect("client");
    let request = lake_catalog_api::CreateToken {
        name: "reader".to_owned(),
        scopes: vec![lake_catalog_api::Scope::Read],
        expires_in_s: None,
    };
    let runtime = tokio::runtime::Runtime::new().expect("runtime");
    let created = runtime.block_on(client.create_token(&request)).expect("token");
    created.secret
}

#[test]
fn a_short_retention_needs_leave_whatever_the_table_says() {
    let sandbox = Sandbox::new();
    let short =
        ["create", "./t", "--schema", "a int", "--property", "delta.deletedFileRetentionDuration=interval 1 hour"];
    sandbox.get(&short);
    refused(&sandbox, &["vacuum", "./t"], 6, &["1 hour", "7 days", "in flight", "--allow-unsafe-retention"]);
    sandbox.get(&["vacuum", "./t", "--retention", "168h"]);
    sandbox.get(&["vacuum", "./t", "--allow-unsafe-retention"]);
}

#[cfg(unix)]
#[test]
fn output_goes_through_devices_pipes_and_links() {
    use std::os::unix::fs::{FileTypeExt, symlink};
    let sandbox = Sandbox::new();
    let sql = |to: &str| sandbox.quietly(&["sql", "SELECT 1 AS n", "--format", "csv", "-o", to]);
    assert_eq!(told(&sql("/dev/null")).0, Some(0));
    assert!(std::fs::metadata("/dev/null").expect("device").file_type().is_char_device());
    let fifo = sandbox.path("fifo");
    assert!(Command::new("/usr/bin/mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let reader = std::thread::spawn({
        let fifo = fifo.clone();
        move || std::fs::read_to_string(fifo).expect("read")
    });
    assert_eq!(told(&sql("fifo")).0, Some(0));
    assert_eq!(reader.join().expect("reader"), "n\n1\n");
    assert!(std::fs::metadata(&fifo).expect("pipe").file_type().is_fifo(), "it stays a pipe");
    sandbox.file("real.csv", "old");
    symlink("real.csv", sandbox.path("link.csv")).expect("link");
    assert_eq!(told(&sql("link.csv")).0, Some(0));
    assert!(std::fs::symlink_metadata(sandbox.path("link.csv")).expect("link").is_symlink());
    assert_eq!(std::fs::read_to_string(sandbox.path("real.csv")).expect("file"), "n\n1\n");
    assert_eq!(told(&sql(".config/..")).0, Some(2));
    std::fs::create_dir(sandbox.path("dir")).expect("dir");
    assert_eq!(told(&sql("dir")).0, Some(2));
    assert_eq!(
        String::from_utf8_lossy(
            &sandbox.quietly(&["sql", "SELECT 1 AS n", "-o", "/dev/stdout", "--format", "csv"]).stdout
        ),
        "n\n1\n"
    );
}

#[test]
fn a_wrong_command_line_is_told_in_json() {
    let sandbox = Sandbox::new();
    for (args, word) in [
        (&["show", "./t", "--colour", "--format", "json"][..], "--colour"),
        (&["--format=ndjson", "imprt", "./t"], "imprt"),
        (&["vacuum", "./t", "--retention", "soon", "--format", "JSON"], "soon"),
        (&["show", "--format", "json"], "<TABLE>"),
        (&["--format", "json"], ""),
    ] {
        let (code, text) = told(&sandbox.quietly(args));
        assert_eq!((code, text.lines().count()), (Some(2), 1), "{args:?}: {text}");
        let error: Value = serde_json::from_str(&text).expect("json");
        assert_eq!(error["error"]["kind"], "invalid");
        let message = error["error"]["message"].as_str().expect("message");
        assert!(message.contains(word) && !message.starts_with("error"), "{args:?}: {text}");
    }
    for args in [&["show", "./t", "--colour", "--", "--format", "json"][..], &["show", "--colour", "--format", "csv"]] {
        assert!(told(&sandbox.quietly(args)).1.starts_with("error: "));
    }
    assert_eq!(told(&sandbox.quietly(&["--version", "--format", "json"])).0, Some(0));
}

#[test]
fn a_key_that_is_there_twice_is_named() {
    let sandbox = Sandbox::new();
    sandbox
        .file("twice.json", "{\"a\":1}\n{\"a\":1,\"b\":{\"c\":1,\"c\":2}}\n")
        .file("case.json", "{\"id\":1,\"ID\":2}\n")
        .file("lines.json", "{\"id\":1}\n{\"Id\":2}\n");
    refused(&sandbox, &["import", "./t", "twice.json"], 2, &["\"c\"", "twice.json:2"]);
    refused(&sandbox, &["import", "./t", "case.json"], 2, &["\"ID\"", "case.json:1"]);
    refused(&sandbox, &["import", "./t", "lines.json"], 2, &["\"Id\"", "\"id\"", "lines.json:2"]);
    assert!(!sandbox.path("t").exists());
    let skipped = sandbox.get(&[
        "import",
        "./t",
        "twice.json",
        "lines.json",
        "--bad-rows",
        "skip",
        "--format",
        "json",
        "--merge-schema",
    ]);
    let skipped: Value = serde_json::from_str(&skipped).expect("json");
    assert_eq!((&skipped["rows"], &skipped["rows_left_out"]), (&2.into(), &2.into()), "{skipped}");
}

#[test]
fn nothing_to_import_is_no_commit() {
    let sandbox = Sandbox::new();
    sandbox
        .file("head.csv", "id,name\n")
        .file("empty.json", "")
        .file("bad.json", "[1]\n[2]\n")
        .file("good.csv", "id,name\n1,a\n")
        .file("bad.csv", "id,name\nx,a\n");
    for args in [&["head.csv"][..], &["empty.json"], &["bad.json", "--bad-rows", "skip"]] {
        let (code, text) = told(&sandbox.quietly(&[&["import", "./new"], args].concat()));
        assert_eq!(code, Some(0), "{args:?}: {text}");
        assert!(text.contains("nothing to import"), "{args:?}: {text}");
    }
    assert!(!sandbox.path("new").exists());
    sandbox.get(&["import", "./t", "good.csv"]);
    let skipped = sandbox.get(&["import", "./t", "bad.csv", "--bad-rows", "skip", "--format", "json"]);
    let skipped: Value = serde_json::from_str(&skipped).expect("json");
    assert_eq!((&skipped["version"], &skipped["rows_left_out"]), (&Value::Null, &1.into()));
    sandbox.get(&["import", "./t", "bad.csv", "--bad-rows", "skip", "--mode", "overwrite"]);
    sandbox.get(&["import", "./t", "head.csv"]);
    assert_eq!(sandbox.get(&["log", "./t", "--format", "csv"]).lines().count(), 2, "one version");
    sandbox.get(&["import", "./t", "head.csv", "--mode", "overwrite"]);
    assert_eq!(sandbox.get(&["scan", "./t", "--format", "csv"]).lines().count(), 1, "an empty file replaces the rows");
}

#[test]
fn a_header_that_is_none_is_told() {
    let sandbox = Sandbox::new();
    sandbox
        .file("odd.csv", "id,na\u{1}me\n1,a\n")
        .file("semicolon.csv", "id;name\n1;a\n")
        .file("tabs.csv", "id\tname\n1\ta\n");
    refused(&sandbox, &["import", "./t", "odd.csv"], 2, &["column 2", "odd.csv:1"]);
    refused(&sandbox, &["import", "./t", "semicolon.csv"], 2, &["--delimiter ';'"]);
    refused(&sandbox, &["import", "./t", "semicolon.csv", "--clean-names"], 2, &["--delimiter ';'"]);
    refused(&sandbox, &["import", "./t", "tabs.csv"], 2, &["--delimiter '\\t'"]);
    sandbox.get(&["import", "./t", "semicolon.csv", "--delimiter", ";"]);
}

#[test]
fn local_does_not_need_the_profile_that_it_makes() {
    let mut sandbox = Sandbox::new();
    sandbox.env("LAKE_PROFILE", "local").env("LAKE_MINIO", "none");
    refused(&sandbox, &["local", "up"], 4, &["LAKE_MINIO does not name a program"]);
    refused(&sandbox, &["local", "status"], 4, &["no local instance"]);
    refused(&sandbox, &["show", "./t"], 2, &["no profile \"local\""]);
}
