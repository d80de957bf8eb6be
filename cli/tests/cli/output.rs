//! Where rows go and in which form: formats, files, pipes that break, text that would steer a terminal.

use std::io::Read;
use std::process::Stdio;

use crate::harness::{Sandbox, snapshot};

#[test]
fn formats() {
    let mut sandbox = Sandbox::new();
    let sql = "SELECT 1 AS n, 'a,\"b\"' AS t, CAST(NULL AS STRING) AS z, DATE '2024-01-31' AS d, \
               CAST('2024-01-31T08:00:00.5Z' AS TIMESTAMP) AS s, CAST(1.5 AS DECIMAL(5,2)) AS m, 'x' || chr(10) AS c";
    for format in ["table", "json", "ndjson", "csv"] {
        sandbox.lake(&["sql", sql, "--format", format, "--quiet"]);
    }
    sandbox
        .lake(&["sql", sql, "--output", "x.parquet"])
        .lake(&["sql", "SELECT * FROM 'x.parquet'", "--format", "ndjson", "--quiet"])
        .lake(&["sql", "SELECT * FROM (VALUES (1), (2)) AS t(n) ORDER BY n", "--output", "x.csv", "--format", "ndjson"])
        .lake(&["sql", "SELECT 1", "--output", "none/x.csv"])
        .lake(&["sql", "SELECT 1", "--output", "."])
        .lake(&["sql", "SELECT nothing", "--output", "x.csv"])
        .lake(&["sql", "SELECT make_array(1, 2) AS a", "--format", "csv"])
        .lake(&["sql", "SELECT make_array(1, 2) AS a, chr(27) || '[2J' AS c", "--quiet"]);
    let kept = std::fs::read_to_string(sandbox.path("x.csv")).expect("file");
    assert_eq!(kept, "{\"n\":1}\n{\"n\":2}\n", "a failed statement leaves the file as it was");
    snapshot!("output_formats", sandbox);
}

#[test]
fn binary_formats_go_through_a_pipe() {
    let sandbox = Sandbox::new();
    let sql = ["sql", "SELECT 1 AS n, 'x' AS t", "--quiet", "--format"];
    let of = |format: &str| sandbox.quietly(&[&sql[..], &[format]].concat()).stdout;
    let stream = arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(of("arrow")), None).expect("stream");
    assert_eq!(stream.map(|batch| batch.expect("batch").num_rows()).sum::<usize>(), 1);
    let parquet = of("parquet");
    assert!(parquet.starts_with(b"PAR1") && parquet.ends_with(b"PAR1"));
    sandbox.get(&["create", "./t", "--schema", "a int"]);
    let listing = sandbox.quietly(&["schema", "./t", "--format", "arrow"]).stdout;
    let stream = arrow::ipc::reader::StreamReader::try_new(std::io::Cursor::new(listing), None).expect("stream");
    assert_eq!(stream.schema().field(0).name(), "name");
}

#[test]
fn a_table_for_people_has_an_end() {
    let mut sandbox = Sandbox::new();
    let output = sandbox.quietly(&["sql", "SELECT * FROM generate_series(1, 20000) AS t(n)"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 10_000 + 4);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("only the first 10000 rows are shown"), "{told}");
    let all = sandbox.get(&["sql", "SELECT * FROM generate_series(1, 20000) AS t(n)", "--format", "csv"]);
    assert_eq!(all.lines().count(), 20_001);
    sandbox.lake(&["sql", "SELECT count(*) AS n FROM generate_series(1, 20000) AS t(n)"]);
    snapshot!("output_series", sandbox);
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let sandbox = Sandbox::new();
    for format in ["csv", "ndjson", "json", "arrow", "parquet"] {
        let mut command =
            sandbox.command(&["sql", "SELECT * FROM generate_series(1, 3000000) AS t(n)", "--format", format]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("lake starts");
        let mut first = [0; 4];
        child.stdout.take().expect("stdout").read_exact(&mut first).expect("some output");
        let output = child.wait_with_output().expect("lake ends");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), told.as_str()), (Some(0), ""), "{format}");
    }
}

#[test]
fn quiet_and_json_errors() {
    let mut sandbox = Sandbox::new();
    sandbox
        .lake(&["create", "./t", "--schema", "a int", "--quiet"])
        .lake(&["show", "./none", "--format", "json"])
        .lake(&["show", "./none", "--format", "ndjson", "--quiet"])
        .lake(&["show", "./none", "--format", "csv", "--quiet"])
        .lake(&["completions", "klingon"]);
    assert!(sandbox.get(&["completions", "bash"]).contains("_lake"));
    snapshot!("output_errors", sandbox);
}
