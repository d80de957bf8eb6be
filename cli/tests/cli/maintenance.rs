//! Optimize and vacuum.

use crate::harness::{Sandbox, snapshot};

#[test]
fn optimize_and_vacuum() {
    let mut sandbox = Sandbox::new();
    for part in 0..4 {
        let rows: String = (0..50).map(|row| format!("{},{}\n", row * 4 + part, (row * 7 + part) % 50)).collect();
        sandbox.file(&format!("{part}.csv"), format!("a,b\n{rows}"));
        sandbox.get(&["import", "./t", &format!("{part}.csv")]);
    }
    sandbox
        .lake(&["optimize", "./t", "--dry-run", "--format", "ndjson"])
        .lake(&["optimize", "./t", "--format", "ndjson"])
        .lake(&["optimize", "./t", "--format", "ndjson"])
        .lake(&["optimize", "./t", "--zorder-by", "a,b", "--format", "ndjson"])
        .lake(&["optimize", "./t", "--zorder-by", "c"])
        .lake(&["optimize", "./t", "--target-size", "0"])
        .lake(&["sql", "SELECT count(*) AS n, sum(a) AS a, sum(b) AS b FROM './t'", "--format", "csv", "--quiet"])
        .lake(&["log", "./t", "--limit", "2", "--format", "csv"])
        .lake(&["vacuum", "./t", "--dry-run"])
        .lake(&["vacuum", "./t", "--retention", "0s", "--dry-run"])
        .lake(&["vacuum", "./t", "--retention", "1h"]);
    let listed = sandbox.get(&[
        "vacuum",
        "./t",
        "--retention",
        "0s",
        "--allow-unsafe-retention",
        "--dry-run",
        "--format",
        "ndjson",
    ]);
    assert_eq!(listed.lines().count(), 5, "{listed}");
    let done = sandbox.get(&["vacuum", "./t", "--retention", "0s", "--allow-unsafe-retention", "--format", "json"]);
    let done: serde_json::Value = serde_json::from_str(&done).expect("json");
    assert_eq!((done["files_deleted"].as_u64(), done["dry_run"].as_bool()), (Some(5), Some(false)));
    sandbox
        .lake(&["vacuum", "./t", "--retention", "0s", "--allow-unsafe-retention"])
        .lake(&["sql", "SELECT count(*) AS n FROM './t'", "--format", "csv", "--quiet"])
        .lake(&["vacuum", "./none"]);
    let gone = sandbox.quietly(&["scan", "./t@v3"]);
    assert_eq!(gone.status.code(), Some(4), "{}", String::from_utf8_lossy(&gone.stderr));
    snapshot!("maintenance", sandbox);
}
