//! Deleted rows never come back: with predicates, limits, long runs and row groups, and when a vector is damaged.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::*;
use crate::action::deletion_vector::VectorFile;
use crate::action::{DeletionVector, DeletionVectorDescriptor};
use crate::store::write_deletion_vectors;

impl Table {
    /// Deletes rows of the file at `at` in the table: noted in the log or, when `stored`, in a file of its own.
    pub(super) async fn delete(&mut self, at: usize, rows: impl IntoIterator<Item = u64>, stored: bool) {
        let vector: DeletionVector = rows.into_iter().collect();
        let descriptor = if stored {
            let mut file = VectorFile::new(if at.is_multiple_of(2) { "" } else { "a b" }, Uuid::from_u128(at as u128));
            file.push(&(7..10).collect()).unwrap();
            let descriptor = file.push(&vector).unwrap();
            write_deletion_vectors(&self.table.root, file).await.unwrap();
            descriptor
        } else {
            DeletionVectorDescriptor::inline(&vector).unwrap()
        };
        Arc::make_mut(&mut self.live[at]).deletion_vector = Some(descriptor);
    }
}

/// DV-3
#[tokio::test]
async fn deleted_rows_are_left_out_in_any_pattern() {
    let patterns: [(&str, Vec<u64>); 8] = [
        ("one", vec![1_234]),
        ("every second", (0..5_000).step_by(2).collect()),
        ("a long run", (300..4_200).collect()),
        ("a run up to a row group's end", (700..2_000).collect()),
        ("whole row groups", (1_000..3_000).collect()),
        ("runs and single rows", (0..600).chain((700..1_500).step_by(3)).chain(4_400..5_000).collect()),
        ("all but the last", (0..4_999).collect()),
        ("all", (0..5_000).collect()),
    ];
    for (name, deleted) in patterns {
        for stored in [false, true] {
            let mut table = Table::new("id long, s string", &[]);
            let text = StringArray::from_iter((0..5_000).map(|i| (i % 3 > 0).then(|| format!("text {i}"))));
            let all = batch(vec![("id", longs(0..5_000)), ("s", Arc::new(text))]);
            table.append_foreign("a.parquet", &all, 1_000).await;
            table.delete(0, deleted.iter().copied(), stored).await;
            let gone: BTreeSet<i64> = deleted.iter().map(|&row| row as i64).collect();
            let left: Vec<i64> = (0..5_000).filter(|id| !gone.contains(id)).collect();
            assert_eq!(ids(&table.read(&ScanRequest::default()).await), left, "{name}");
            let odd = ReadOptions { batch_rows: 333, ..ReadOptions::default() };
            assert_eq!(ids(&rows(&table.plan(&columns(&["id"])).unwrap(), odd).await), left, "{name}");
            assert_eq!(table.read(&columns(&[])).await.num_rows(), left.len(), "{name}: no columns");
            let late = compare("id", CompareOp::GtEq, Scalar::Long(2_500));
            let expected: Vec<i64> = left.iter().copied().filter(|id| *id >= 2_500).collect();
            assert_eq!(ids(&table.read(&with(late.clone())).await), expected, "{name}: pruned row groups");
            for limit in [1, 700, 5_000] {
                let request = ScanRequest { limit: Some(limit), ..ScanRequest::default() };
                let expected: Vec<i64> = left.iter().copied().take(limit as usize).collect();
                assert_eq!(ids(&table.read(&request).await), expected, "{name}: limit {limit}");
            }
        }
    }
}

/// DV-4
#[tokio::test]
async fn counts_and_limits_are_of_the_rows_that_are_left() {
    let mut table = three_days().await;
    table.delete(0, 1..10, false).await;
    table.delete(1, [], true).await;
    let plan = table.plan(&ScanRequest { limit: Some(5), ..ScanRequest::default() }).unwrap();
    assert_eq!(plan.files.iter().map(|file| file.live_records()).collect::<Vec<_>>(), [Some(1), Some(10)]);
    assert_eq!(plan.files.get(0).unwrap().num_records(), Some(10));
    assert_eq!(ids(&rows(&plan, ReadOptions::default()).await), [0, 100, 101, 102, 103]);
    let text = serde_json::to_string(&plan.files.get(0).unwrap().to_file()).unwrap();
    let file: ScanFile = serde_json::from_str(&text).unwrap();
    let remote = ScanPlan::of_files(table.table.clone(), &ScanRequest::default(), vec![file]).unwrap();
    assert_eq!(ids(&rows(&remote, ReadOptions::default()).await), [0], "the description carries the vector");
    let vector = Arc::make_mut(&mut table.live[0]).deletion_vector.as_mut().unwrap();
    vector.cardinality = 11;
    assert_eq!(table.live[0].live_records(), None, "more deleted rows than there are prove nothing");
}

/// DV-2, DV-3
#[tokio::test]
async fn rows_of_a_damaged_or_missing_vector_are_not_read() {
    let mut table = three_days().await;
    table.delete(0, [10], false).await;
    let beyond = table.failure().await;
    assert_eq!(beyond.kind(), ErrorKind::Corrupt, "{beyond}");
    assert!(beyond.message().contains("row 10") && beyond.object().is_some_and(|name| name.ends_with(".parquet")));
    table.delete(0, [1, 3], true).await;
    let descriptor = table.live[0].deletion_vector.clone().unwrap();
    let add = |table: &mut Table, change: &dyn Fn(&mut DeletionVectorDescriptor)| {
        let mut changed = descriptor.clone();
        change(&mut changed);
        Arc::make_mut(&mut table.live[0]).deletion_vector = Some(changed);
    };
    add(&mut table, &|vector| vector.cardinality = 3);
    assert_eq!(table.failure().await.kind(), ErrorKind::Corrupt);
    add(&mut table, &|vector| vector.offset = Some(1));
    assert_eq!(table.failure().await.kind(), ErrorKind::Corrupt);
    add(&mut table, &|vector| vector.offset = Some(i32::MAX));
    assert_eq!(table.failure().await.kind(), ErrorKind::Corrupt);
    add(&mut table, &|vector| vector.storage_type = "x".into());
    assert_eq!(table.failure().await.kind(), ErrorKind::Unsupported);
    add(&mut table, &|_| {});
    assert_eq!(table.read(&ScanRequest::default()).await.num_rows(), 28);
    let path = descriptor.log_path().unwrap().unwrap();
    table.table.root.delete(&table.table.root.resolve(&path).unwrap()).await.unwrap();
    let gone = table.failure().await;
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert!(gone.object().is_some_and(|name| name.contains("deletion_vector_")), "{gone}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    /// DV-3
    #[test]
    fn deleted_rows_stay_away_from_every_predicate(
        chunks in prop::collection::vec((any::<bool>(), prop::collection::vec(row(), 1..12)), 1..4),
        deleted in prop::collection::vec((prop::collection::vec(0_u64..12, 0..8), any::<bool>()), 12),
        predicates in prop::collection::vec(predicate(), 6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut table = random_table(&chunks).await;
            let mut left = Vec::new();
            for at in 0..table.live.len() {
                let alone = ScanPlan::of_files(
                    table.table.clone(),
                    &ScanRequest::default(),
                    vec![ScanFile::of(&table.live[at]).unwrap()],
                );
                let file = rows(&alone.unwrap(), ReadOptions::default()).await;
                let (gone, stored) = &deleted[at % deleted.len()];
                let gone: BTreeSet<u64> = gone.iter().copied().filter(|&row| row < file.num_rows() as u64).collect();
                let mask: Vec<bool> = (0..file.num_rows() as u64).map(|row| !gone.contains(&row)).collect();
                left.push(filter_record_batch(&file, &mask.into()).unwrap());
                table.delete(at, gone, *stored).await;
            }
            let everything = concat_batches(left[0].schema_ref(), &left).unwrap();
            for predicate in predicates {
                let mask = evaluate(&predicate, &everything).unwrap();
                let expected = filter_record_batch(&everything, &mask).unwrap();
                let plan = table.plan(&with(predicate.clone())).unwrap();
                let exact = rows(&plan, ReadOptions { batch_rows: 5, ..ReadOptions::default() }).await;
                assert_eq!(ids(&exact), ids(&expected), "{predicate:?}");
            }
        });
    }
}
