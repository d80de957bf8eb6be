//! Ids and versions of rows: from the file's place in the log, or carried along by the rows themselves.

use super::*;
use crate::action::{DeletionVector, DeletionVectorDescriptor, Metadata, Protocol};

fn tracked() -> Table {
    let mut table = Table::new("id long, p long", &["p"]);
    table.table.row_tracking = Some(RowTracking {
        row_id_column: Some("_row-id-col".into()),
        row_commit_version_column: Some("_row-version-col".into()),
    });
    table
}

fn with_ids(names: Option<&[&str]>) -> ScanRequest {
    let columns = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
    ScanRequest { columns, row_ids: true, row_commit_versions: true, ..ScanRequest::default() }
}

fn column(batch: &RecordBatch, name: &str) -> Vec<i64> {
    batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec()
}

async fn table_of_two() -> Table {
    let mut table = tracked();
    table.append_foreign("a.parquet", &batch(vec![("id", longs(0..100))]), 10).await;
    let own: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None, Some(5)]));
    let versions: ArrayRef = Arc::new(Int64Array::from(vec![None, Some(2), Some(1)]));
    let moved = batch(vec![("id", longs(200..203)), ("_row-id-col", own), ("_row-version-col", versions)]);
    table.append_foreign("b.parquet", &moved, 10).await;
    for (add, (base, version)) in table.live.iter_mut().zip([(1_000, 3), (5_000, 9)]) {
        let add = Arc::make_mut(add);
        (add.base_row_id, add.default_row_commit_version) = (Some(base), Some(version));
    }
    table
}

/// SCN-6
#[tokio::test]
async fn ids_follow_the_rows_through_pruning_and_deletion() {
    let mut table = table_of_two().await;
    let read = table.read(&with_ids(Some(&["id"]))).await;
    assert_eq!(column(&read, ROW_ID), (1_000..1_100).chain([7, 5_001, 5]).collect::<Vec<_>>());
    assert_eq!(column(&read, ROW_COMMIT_VERSION), [vec![3; 100], vec![9, 2, 1]].concat());
    let vector: DeletionVector = (0..100).filter(|row| row % 2 == 0 || *row > 95).collect();
    Arc::make_mut(&mut table.live[0]).deletion_vector = Some(DeletionVectorDescriptor::inline(&vector).unwrap());
    let late = compare("id", CompareOp::GtEq, Scalar::Long(90));
    for names in [Some(&["p"][..]), Some(&[][..]), None] {
        let read = table.read(&ScanRequest { predicate: Some(late.clone()), ..with_ids(names) }).await;
        assert_eq!(column(&read, ROW_ID), [1_091, 1_093, 1_095, 7, 5_001, 5], "{names:?}");
        assert_eq!(read.num_columns(), names.map_or(2, <[&str]>::len) + 2);
        assert_eq!(read.schema().field(read.num_columns() - 1).name(), ROW_COMMIT_VERSION);
    }
    let plan = table.plan(&with_ids(None)).unwrap();
    let text = serde_json::to_string(&plan.files.get(1).unwrap().to_file()).unwrap();
    let remote = ScanPlan::of_files(
        table.table.clone(),
        &ScanRequest { row_ids: true, ..columns(&["id"]) },
        vec![serde_json::from_str(&text).unwrap()],
    );
    let read = rows(&remote.unwrap(), ReadOptions::default()).await;
    assert_eq!((column(&read, ROW_ID), read.num_columns()), (vec![7, 5_001, 5], 2), "the description carries the ids");
}

/// SCN-6
#[tokio::test]
async fn tables_without_ids_are_refused_by_name() {
    let mut table = table_of_two().await;
    Arc::make_mut(&mut table.live[0]).base_row_id = None;
    let plan = table.plan(&with_ids(None)).unwrap();
    let error = plan.stream(ReadOptions::default()).try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(table.read(&columns(&["id"])).await.num_rows() > 0, "who does not ask is not told");
    table.table.row_tracking = None;
    let error = table.plan(&with_ids(None)).unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("rowTracking"), "{error}");
    let mut named = tracked();
    named.table.schema = schema("row_id long");
    assert_eq!(named.plan(&with_ids(None)).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn row_tracking_is_there_when_it_is_listed_and_enabled() {
    let mut metadata = Metadata::default();
    let mut protocol = Protocol { writer_features: Some(vec!["rowTracking".into()]), ..Protocol::default() };
    assert_eq!(RowTracking::of(&protocol, &metadata), None);
    metadata.configuration.insert("delta.enableRowTracking".into(), "true".into());
    metadata.configuration.insert("delta.rowTracking.materializedRowIdColumnName".into(), "x".into());
    let tracking = RowTracking::of(&protocol, &metadata).unwrap();
    assert_eq!((tracking.row_id_column.as_deref(), tracking.row_commit_version_column), (Some("x"), None));
    protocol.writer_features = None;
    assert_eq!(RowTracking::of(&protocol, &metadata), None);
}
