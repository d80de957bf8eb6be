//! DELETE and UPDATE: which rows change, by what means, and what is refused.

use super::*;

/// `s.t`: ids 0 to 99 in two files, `n` the id as text, `g` the id modulo 4; deletion vectors as asked for.
async fn changing(vectors: bool) -> Lake {
    let lake = Lake::new();
    lake.run(&format!(
        "CREATE TABLE s.t (Id BIGINT, n STRING, g INT, \"Odd-Name\" DOUBLE)
         TBLPROPERTIES ('delta.enableDeletionVectors' = '{vectors}')"
    ))
    .await;
    for from in [0, 50] {
        let to = from + 50;
        lake.write(&format!(
            "INSERT INTO s.t SELECT value, 'n' || value, value % 4, value / 2.0 FROM range({from}, {to})"
        ))
        .await;
    }
    lake
}

#[tokio::test]
async fn rows_are_deleted_by_any_condition() {
    for vectors in [true, false] {
        let lake = changing(vectors).await;
        for (sql, rows, left) in [
            ("DELETE FROM s.t WHERE id < 3", 3, 97),
            ("DELETE FROM s.t AS x WHERE x.Id % 10 = 5", 10, 87),
            ("DELETE FROM s.t WHERE length(n) = 2 AND t.g IS NOT NULL", 6, 81),
            ("DELETE FROM s.t WHERE id IN (SELECT max(id) FROM s.t UNION SELECT 11)", 2, 79),
            ("DELETE FROM s.t WHERE EXISTS (SELECT 1 FROM s.t u WHERE u.id = t.id + 1 AND u.g = 0)", 16, 63),
            ("DELETE FROM s.t WHERE upper(n) = 'NOBODY'", 0, 63),
            ("DELETE FROM s.t WHERE \"Odd-Name\" > 1e9 OR NULL", 0, 63),
        ] {
            match lake.run(sql).await {
                SqlAnswer::Written(WriteOutcome::Committed(report, _)) => {
                    assert_eq!((report.rows_deleted, report.rows), (rows, 0), "{sql}");
                }
                other => assert!(rows == 0, "{sql}: {other:?}"),
            }
            assert_eq!(lake.one("SELECT count(*) FROM s.t").await, left.to_string(), "{sql}");
        }
        let table = lake.table("s/t").await;
        let files = table.snapshot().files().await.unwrap();
        assert!(files.iter().all(|add| add.deletion_vector.is_some() == vectors));
        assert_eq!(lake.write("DELETE FROM s.t").await.rows_deleted, 63);
        assert_eq!(lake.one("SELECT count(*) FROM s.t").await, "0");
        assert_eq!(lake.one("SELECT count(*) FROM s.t@v2").await, "100");
    }
}

#[tokio::test]
async fn rows_are_updated_and_the_others_stay_as_they_are() {
    for vectors in [true, false] {
        let lake = changing(vectors).await;
        let report = lake.write("UPDATE s.t SET n = upper(n), g = g + 10 WHERE id >= 90").await;
        assert_eq!((report.rows, report.rows_deleted), (10, 10));
        let sums = "SELECT count(*), sum(id), sum(g), count(*) FILTER (WHERE n LIKE 'N%') FROM s.t";
        assert_eq!(lake.one(sums).await, "100 4950 250 10");
        let report =
            lake.write("UPDATE s.t x SET \"Odd-Name\" = (SELECT max(id) FROM s.t), G = '7' WHERE x.id = 3").await;
        assert_eq!(report.rows, 1);
        assert_eq!(lake.one("SELECT n, g, \"Odd-Name\" FROM s.t WHERE id = 3").await, "n3 7 99.0");
        let report = lake.write("UPDATE s.t SET id = NULL").await;
        assert_eq!((report.rows, lake.one("SELECT count(id), count(*) FROM s.t").await), (100, "0 100".to_owned()));
        assert!(matches!(
            lake.run("UPDATE s.t SET g = 1 WHERE id > 5").await,
            SqlAnswer::Written(WriteOutcome::Unchanged(_))
        ));
    }
}

#[tokio::test]
async fn what_can_not_be_changed_is_refused_and_nothing_is() {
    let lake = changing(true).await;
    for (sql, kind) in [
        ("DELETE FROM s.t WHERE nothing = 1", ErrorKind::Invalid),
        ("DELETE FROM s.t WHERE id", ErrorKind::Invalid),
        ("DELETE FROM s.other WHERE id = 1", ErrorKind::NotFound),
        ("DELETE FROM s.t@v1 WHERE id = 1", ErrorKind::Invalid),
        ("DELETE FROM s.t USING s.t u WHERE t.id = u.id", ErrorKind::Unsupported),
        ("DELETE FROM s.t WHERE id = 1 RETURNING id", ErrorKind::Unsupported),
        ("UPDATE s.t SET nothing = 1", ErrorKind::Invalid),
        ("UPDATE s.t SET g = 1, G = 2", ErrorKind::Invalid),
        ("UPDATE s.t SET g = n WHERE id = 1", ErrorKind::Invalid),
        ("UPDATE s.t SET g = true", ErrorKind::Invalid),
        ("UPDATE s.t SET g = 1 FROM s.t u WHERE t.id = u.id", ErrorKind::Unsupported),
        ("UPDATE s.t SET g = 1 / (id - 50) WHERE id > 40", ErrorKind::Invalid),
    ] {
        let error = lake.error(sql).await;
        assert_eq!(error.kind(), kind, "{sql}: {error:?}");
    }
    assert_eq!(lake.table("s/t").await.snapshot().version(), 2);
    let files = std::fs::read_dir(lake.path("s/t")).unwrap().count();
    assert_eq!(files, 3, "the log and two data files");
}

/// `s.s`: ids 95 to 104, `n` new, `g` 9.
async fn with_source(vectors: bool) -> Lake {
    let lake = changing(vectors).await;
    lake.write(
        "CREATE TABLE s.s AS SELECT value AS id, 'new' || value AS n, CAST(9 AS INT) AS g, 0.5 AS \"Odd-Name\"
         FROM range(95, 105)",
    )
    .await;
    lake
}

const SUMS: &str = "SELECT count(*), sum(id), sum(g), count(*) FILTER (WHERE n LIKE 'new%') FROM s.t";

/// MRG-1, MRG-3
#[tokio::test]
async fn a_source_is_merged_clause_by_clause() {
    for vectors in [true, false] {
        let lake = with_source(vectors).await;
        let report = lake
            .write(
                "MERGE INTO s.t USING s.s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *",
            )
            .await;
        assert_eq!((report.rows, report.rows_deleted), (10, 5));
        // Of ids 95 to 99 the sum of g was 3 + 0 + 1 + 2 + 3.
        assert_eq!(lake.one(SUMS).await, "105 5460 231 10");
        let report = lake
            .write(
                "MERGE INTO s.t AS x USING (SELECT id, g FROM s.s WHERE id > 100) AS y ON x.id = y.id
                 WHEN MATCHED AND x.id = 104 THEN DELETE
                 WHEN MATCHED THEN UPDATE SET g = x.g + y.g, x.n = 'twice'
                 WHEN NOT MATCHED BY SOURCE AND x.id < 2 THEN DELETE
                 WHEN NOT MATCHED BY SOURCE AND x.id < 4 THEN UPDATE SET g = 100",
            )
            .await;
        assert_eq!((report.rows, report.rows_deleted), (5, 8));
        assert_eq!(lake.one("SELECT count(*), count(*) FILTER (WHERE n = 'twice' AND g = 18) FROM s.t").await, "102 3");
        assert_eq!(lake.one("SELECT min(id), count(*) FILTER (WHERE g = 100) FROM s.t").await, "2 2");
        let report = lake
            .write("MERGE INTO s.t USING s.s ON t.id = s.id + 1000 WHEN NOT MATCHED AND s.id > 102 THEN INSERT (id, g) VALUES (s.id + 1000, 1)")
            .await;
        assert_eq!((report.rows, report.rows_deleted, report.files_removed), (2, 0, 0));
        assert_eq!(lake.one("SELECT count(*), count(n) FROM s.t WHERE id > 1000").await, "2 0");
        let report = lake.write("MERGE INTO s.t USING s.t u ON t.id = u.id - 1 WHEN MATCHED THEN DELETE").await;
        // Ids 2 to 102 and 1103.
        assert_eq!(report.rows_deleted, 102);
    }
}

/// MRG-1, MRG-2
#[tokio::test]
async fn a_row_that_several_of_the_source_meet_is_an_error_unless_it_is_deleted() {
    let lake = with_source(true).await;
    let twice = "(SELECT * FROM s.s UNION ALL SELECT * FROM s.s) AS s";
    let error =
        lake.error(&format!("MERGE INTO s.t USING {twice} ON t.id = s.id WHEN MATCHED THEN UPDATE SET g = s.g")).await;
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert!(error.message().contains("5 rows of the source"), "{error}");
    assert_eq!(lake.one(SUMS).await, "100 4950 150 0");
    let report = lake.write(&format!("MERGE INTO s.t USING {twice} ON t.id = s.id WHEN MATCHED THEN DELETE")).await;
    assert_eq!(report.rows_deleted, 5);
    for (sql, kind) in [
        ("MERGE INTO s.t USING s.s ON t.id = s.id", ErrorKind::Invalid),
        ("MERGE INTO s.t USING s.s ON t.id = s.id WHEN MATCHED THEN INSERT *", ErrorKind::Invalid),
        ("MERGE INTO s.t USING s.s ON t.id = s.id WHEN NOT MATCHED THEN DELETE", ErrorKind::Invalid),
        (
            "MERGE INTO s.t USING s.s ON t.id = s.id WHEN MATCHED THEN DELETE WHEN MATCHED THEN UPDATE SET *",
            ErrorKind::Invalid,
        ),
        (
            "MERGE INTO s.t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *",
            ErrorKind::Invalid,
        ),
        ("MERGE INTO s.t USING s.s ON t.id = s.id WHEN MATCHED THEN UPDATE SET nothing = 1", ErrorKind::Invalid),
        ("MERGE INTO s.t USING s.s ON t.id = s.nothing WHEN MATCHED THEN DELETE", ErrorKind::Invalid),
        ("MERGE INTO s.t USING s.s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id, g) VALUES (1)", ErrorKind::Invalid),
    ] {
        let error = lake.error(sql).await;
        assert_eq!(error.kind(), kind, "{sql}: {error:?}");
    }
}

#[tokio::test]
async fn a_value_has_the_type_of_all_branches_of_a_case() {
    let lake = changing(true).await;
    let case = |value: &str| format!("CASE WHEN id < 5 THEN g ELSE {value} END");
    lake.write(&format!("UPDATE s.t SET g = {} WHERE id < 10", case("100"))).await;
    assert_eq!(lake.one("SELECT sum(g) FROM s.t WHERE id < 10").await, "506");
    for sql in [
        format!("UPDATE s.t SET g = {}", case("1.5e0")),
        format!("INSERT INTO s.t (g) SELECT {} FROM s.t", case("1.5e0")),
    ] {
        assert_eq!(lake.error(&sql).await.kind(), ErrorKind::Invalid, "{sql}");
    }
}
