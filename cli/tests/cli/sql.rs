//! Statements that run, and statements that do not.

use crate::harness::{Sandbox, snapshot};

#[test]
fn statements() {
    let mut sandbox = Sandbox::new();
    sandbox.file("o.csv", "id,customer,total\n1,ann,10.5\n2,bob,20\n3,ann,\n").file("q.sql", "SELECT 1 AS one;\n");
    sandbox.get(&["import", "./o", "o.csv"]);
    sandbox
        .lake(&[
            "sql",
            "SELECT customer, count(*) AS n, sum(total) AS total FROM './o' GROUP BY customer ORDER BY customer",
        ])
        .lake(&["sql", "--file", "q.sql", "--format", "csv"])
        .lake_with(&["sql", "-", "--format", "ndjson"], "SELECT 2 AS two")
        .lake(&["sql", "CREATE TABLE './d' AS SELECT customer, total FROM './o' WHERE total > 1"])
        .lake(&["sql", "CREATE TABLE IF NOT EXISTS './d' AS SELECT 1 AS x"])
        .lake(&["sql", "INSERT INTO './d' SELECT upper(customer), total * 2 FROM './d'", "--format", "ndjson"])
        .lake(&["sql", "SELECT * FROM \"./d@v0\" ORDER BY total", "--format", "csv"])
        .lake(&["sql", "SELECT count(*) AS n FROM './d'", "--format", "json", "--quiet"])
        .lake(&["sql", "DESCRIBE './d'"])
        .lake(&["sql", "SELECT * FROM './d'", "-o", "d.json"])
        .lake(&["sql", "SELECT 1 AS x WHERE false"]);
    snapshot!("sql", sandbox);
}

#[test]
fn refused() {
    let mut sandbox = Sandbox::new();
    sandbox.get(&["create", "./t", "--schema", "id long, name string"]);
    let deep = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
    sandbox
        .lake(&["sql", "SELEC 1"])
        .lake(&["sql", ""])
        .lake(&["sql", "SELECT nme FROM './t'"])
        .lake(&["sql", "SELECT * FROM './none'"])
        .lake(&["sql", "SELECT * FROM bronze.t"])
        .lake(&["sql", "SELECT 1; SELECT 2"])
        .lake(&["sql", "DROP TABLE './t'"])
        .lake(&["sql", "TRUNCATE TABLE './t'"])
        .lake(&["sql", "DELETE FROM './t' WHERE nme = 1"])
        .lake(&["sql", "UPDATE './t' SET nme = 1"])
        .lake(&["sql", "INSERT INTO './t' VALUES ('x', 1, 2)"])
        .lake(&["sql", "INSERT INTO './t' VALUES ('x', 'y')"])
        .lake(&["sql", "SELECT 1/0"])
        .lake(&["sql", "--file", "none.sql"])
        .lake(&["scan", "./t", "--columns", "nme"])
        .lake(&["scan", "./t", "--where", "nme = 1"])
        .lake(&["scan", "./t", "--where", "id = 1) OR (1 = 1"])
        .lake(&["sql", "SELECT nme FROM './t'", "--format", "json"]);
    assert_eq!(sandbox.quietly(&["sql", &deep]).status.code(), Some(2), "no stack overflow");
    snapshot!("sql_refused", sandbox);
}

#[test]
fn rows_are_changed() {
    let mut sandbox = Sandbox::new();
    sandbox.get(&["create", "./t", "--schema", "id long, name string", "--profile", "modern"]);
    sandbox.get(&["sql", "INSERT INTO './t' SELECT value, 'n' || value FROM range(10)"]);
    sandbox.get(&["sql", "CREATE TABLE './s' AS SELECT value AS id, 'new' AS name FROM range(8, 12)"]);
    let merge = "MERGE INTO './t' USING './s' ON t.id = s.id
                 WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *";
    sandbox
        .lake(&["delete", "./t"])
        .lake(&["delete", "./t", "--where", "id < 3"])
        .lake(&["delete", "./t", "--where", "id < 3", "--format", "json"])
        .lake(&["update", "./t", "--set", "name = upper(name)", "--where", "id IN (4, 5)", "--format", "json"])
        .lake(&["sql", merge])
        .lake(&["scan", "./t"])
        .lake(&["delete", "./t", "--all"])
        .lake(&["delete", "--help"])
        .lake(&["update", "--help"]);
    snapshot!("row_changes", sandbox);
}
