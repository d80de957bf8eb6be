//! Wrong command lines, settings and config files: exit code 2, and a word on what is right.

use crate::harness::{Sandbox, snapshot};

#[test]
fn wrong_command_lines() {
    let mut sandbox = Sandbox::new();
    sandbox
        .lake(&[])
        .lake(&["imprt", "./t", "x.csv"])
        .lake(&["show"])
        .lake(&["show", "./t", "--colour"])
        .lake(&["show", "./t", "--format", "xml"])
        .lake(&["show", "./t", "--memory", "lots"])
        .lake(&["import", "./t"])
        .lake(&["import", "./t", "x.csv", "--mode", "replace"])
        .lake(&["import", "./t", "x.csv", "--delimiter", ";;"])
        .lake(&["create", "./t"])
        .lake(&["create", "./t", "--schema", "a int", "--like", "x.csv"])
        .lake(&["alter", "./t"])
        .lake(&["alter", "./t", "--set", "nothing"])
        .lake(&["alter", "./t", "--add-column", "a int", "--set", "a=b"])
        .lake(&["sql"])
        .lake(&["vacuum", "./t", "--retention", "soon"])
        .lake(&["serve", "--listen", "here"])
        .lake(&["schemas", "create", "x", "--layer", "platinum"])
        .lake(&["scan", "./t", "--access-key-id", "id"]);
    snapshot!("usage", sandbox);
}

#[test]
fn wrong_references() {
    let mut sandbox = Sandbox::new();
    sandbox
        .lake(&["show", ""])
        .lake(&["show", "a.b.c.d"])
        .lake(&["show", "./t@v"])
        .lake(&["show", "./t@2026-02-30"])
        .lake(&["show", "./t\u{1b}[2J"])
        .lake(&["import", "./t@v3", "x.csv"])
        .lake(&["optimize", "./t@v3"])
        .lake(&["restore", "./t"])
        .lake(&["restore", "./t@v1", "--to", "v2"])
        .lake(&["restore", "./t", "--to", "yesterday"])
        .lake(&["show", "bronze.orders"])
        .lake(&["show", "gs://bucket/t"])
        .lake(&["show", "s3://bucket"])
        .lake(&["show", "s3://bucket/t", "--endpoint", "nowhere"])
        .lake(&["show", "s3://bucket/t", "--endpoint", "http://example.com"]);
    snapshot!("usage_references", sandbox);
}

#[test]
fn settings() {
    let mut sandbox = Sandbox::new();
    sandbox.lake(&["show", "./t", "--profile", "work"]);
    sandbox
        .file(".config/lake/config.toml", "[profiles.home]\nendpoint = \"http://127.0.0.1:1\"\ntoken = \"secret\"\n");
    sandbox.lake(&["show", "./t", "--profile", "work"]);
    sandbox.file(".config/lake/config.toml", "[profiles.home]\nendpont = \"x\"\n");
    sandbox.lake(&["show", "./t"]);
    sandbox.file(".config/lake/config.toml", "[profiles.home]\ntoken = \"hunter2\" and more\n");
    sandbox.lake(&["show", "./t"]);
    sandbox.env("LAKE_CONFIG", "none.toml");
    sandbox.lake(&["show", "./t", "--format", "json"]);
    sandbox.lake(&["show", "s3://b/t", "--access-key-id", "id", "--secret-access-key-file", "none"]);
    sandbox.env("LAKE_S3_PATH_STYLE", "perhaps");
    sandbox.lake(&["show", "./t"]);
    sandbox.env("LAKE_S3_PATH_STYLE", "true").env("LAKE_MEMORY", "much");
    sandbox.lake(&["show", "./t"]);
    snapshot!("usage_settings", sandbox);
}
