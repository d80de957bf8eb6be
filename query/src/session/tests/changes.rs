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
