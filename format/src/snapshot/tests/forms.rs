//! The other forms that a log may have: checksums, sidecars, commits made into one.

use super::*;
use crate::action::{CheckpointMetadata, Sidecar};

/// Names in the log directory.
async fn names(root: &TableRoot) -> Vec<String> {
    let listed = root.list("_delta_log").await.expect("list");
    listed
        .iter()
        .filter_map(|object| root.relative(&object.path))
        .map(|path| path["_delta_log/".len()..].to_owned())
        .collect()
}

#[tokio::test]
async fn a_checksum_is_an_aid_and_never_the_truth() {
    let crc = format!("{COMMITS:020}.crc");
    let root = table().await;
    let text = String::from_utf8(get(&root, &crc).await.to_vec()).expect("text");
    let checksum: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let loaded = load(&root, At::Latest).await.expect("loads");
    assert_eq!(checksum["numFiles"], loaded.files().await.expect("files").len(), "LOG-11");
    assert_eq!(checksum["tableSizeBytes"], loaded.files().await.expect("files").size_bytes());
    for damage in 0..6 {
        let root = table().await;
        let whole = state(&load(&root, At::Latest).await.expect("loads")).await;
        let mut told: serde_json::Value = serde_json::from_slice(&get(&root, &crc).await).expect("JSON");
        match damage {
            0 => put(&root, &crc, b"").await,
            1 => put(&root, &crc, &text.as_bytes()[..text.len() / 2]).await,
            2 => put(&root, &crc, b"[1, 2]").await,
            3 => {
                // It speaks of another commit, and would tell another table.
                told["txnId"] = "0192f0c1-0000-7000-8000-000000000000".into();
                told["setTransactions"] = serde_json::json!([]);
                put(&root, &crc, told.to_string().as_bytes()).await;
            }
            4 => {
                told.as_object_mut().expect("object").remove("setTransactions");
                put(&root, &crc, told.to_string().as_bytes()).await;
            }
            _ => {
                told["numProtocol"] = 2.into();
                told["setTransactions"] = serde_json::json!([]);
                put(&root, &crc, told.to_string().as_bytes()).await;
            }
        }
        let loaded = load(&root, At::Latest).await.unwrap_or_else(|e| panic!("LOG-11, damage {damage}: {e}"));
        assert_eq!(state(&loaded).await, whole, "LOG-11, damage {damage}");
    }
}

#[tokio::test]
async fn commits_made_into_one_stand_in_for_those_that_are_gone() {
    let root = table().await;
    let whole = state(&load(&root, At::Latest).await.expect("loads")).await;
    delete(&root, &checkpoint(10)).await;
    delete(&root, "_last_checkpoint").await;
    let mut actions: Vec<Action> = Vec::new();
    for version in 3..=6 {
        let record = crate::log::read_commit(&root, version).await.expect("reads").expect("there");
        for action in record.actions {
            // The newest word on each key, as a writer of such files leaves it.
            match &action {
                Action::Remove(remove) => {
                    actions.retain(|a| !matches!(a, Action::Add(add) if add.path == remove.path));
                }
                Action::Txn(_) => actions.retain(|a| !matches!(a, Action::Txn(_))),
                Action::Domain(new) => {
                    actions.retain(|a| !matches!(a, Action::Domain(old) if old.domain == new.domain));
                }
                Action::CommitInfo(_) => continue,
                _ => {}
            }
            actions.push(action);
        }
        delete(&root, &commit(version)).await;
    }
    assert_eq!(load(&root, At::Latest).await.expect_err("LOG-5").kind(), ErrorKind::Corrupt);
    let lines: Vec<String> = actions.iter().map(|action| serde_json::to_string(action).expect("JSON")).collect();
    put(&root, &format!("{:020}.{:020}.compacted.json", 3, 6), lines.join("\n").as_bytes()).await;
    for crc in names(&root).await.iter().filter(|name| name.ends_with(".crc")) {
        delete(&root, crc).await;
    }
    let loaded = load(&root, At::Latest).await.expect("LOG-5");
    assert_eq!(state(&loaded).await, whole);
    assert_eq!(load(&root, At::Version(4)).await.expect_err("inside").kind(), ErrorKind::Corrupt);
    assert_eq!(load(&root, At::Version(2)).await.expect("below").version(), 2);
}

/// Writes the checkpoint at 10 anew, with these of its rows that list files.
async fn relist(root: &TableRoot, rows: impl Fn(Vec<u32>) -> Vec<u32>) {
    use arrow_array::cast::AsArray;
    use arrow_array::{Array, UInt32Array};
    let path = root.child(&format!("_delta_log/{}", checkpoint(10))).expect("path");
    let batches = crate::store::parquet::read_batches(root, &path, None).await.expect("reads");
    let whole = arrow_select::concat::concat_batches(&batches[0].schema(), &batches).expect("one");
    let adds = whole.column_by_name("add").expect("adds").as_struct().clone();
    let (files, others): (Vec<u32>, Vec<u32>) =
        (0..whole.num_rows() as u32).partition(|row| adds.is_valid(*row as usize));
    let kept = UInt32Array::from([others, rows(files)].concat());
    let doctored = arrow_select::take::take_record_batch(&whole, &kept).expect("taken");
    crate::store::parquet::write_batches(root, &path, doctored.schema(), &[doctored]).await.expect("written");
}

#[tokio::test]
async fn a_checkpoint_that_lists_a_file_twice_or_not_at_all_is_not_believed() {
    type Rows = fn(Vec<u32>) -> Vec<u32>;
    let twice: Rows = |rows| [&rows[..], &rows[..1]].concat();
    let one_less: Rows = |rows| rows[1..].to_vec();
    let one_for_another: Rows = |rows| [&rows[1..], &rows[1..2]].concat();
    for (what, rows) in [("twice", twice), ("one less", one_less), ("one for another", one_for_another)] {
        for (hint, sums) in [(true, true), (true, false), (false, true), (false, false)] {
            if what == "one less" && !hint && !sums {
                continue;
            }
            for with_commits in [true, false] {
                let what = format!("CHK-4: {what}, hint {hint}, checksum {sums}, commits {with_commits}");
                let root = table().await;
                let whole = state(&load(&root, At::Latest).await.expect("loads")).await;
                relist(&root, rows).await;
                if !hint {
                    delete(&root, "_last_checkpoint").await;
                }
                for name in names(&root).await.iter().filter(|name| name.ends_with(".crc") && !sums) {
                    delete(&root, name).await;
                }
                for version in (0..=10).filter(|_| !with_commits) {
                    delete(&root, &commit(version)).await;
                }
                let loaded = load(&root, At::Latest).await.expect("opening reads no files");
                let plan = loaded.plan_scan(&crate::scan::ScanRequest::default()).await;
                if with_commits {
                    assert_eq!(plan.expect(&what).files.len(), paths(&loaded).await.len(), "{what}");
                    assert_eq!(state(&loaded).await, whole, "{what}");
                    continue;
                }
                for error in [plan.map(drop).expect_err(&what), loaded.files().await.map(drop).expect_err(&what)] {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
                    assert!(error.message().contains("CHK-4"), "{what}: {error}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_wrong_count_in_the_hint_or_the_checksum_does_not_hide_the_table() {
    let root = table().await;
    let whole = state(&load(&root, At::Latest).await.expect("loads")).await;
    let hint: serde_json::Value = serde_json::from_slice(&get(&root, "_last_checkpoint").await).expect("JSON");
    let crc = format!("{COMMITS:020}.crc");
    let sum: serde_json::Value = serde_json::from_slice(&get(&root, &crc).await).expect("JSON");
    for (hint_more, sum_more) in [(1, 0), (0, 1), (3, -1)] {
        let (mut told, mut summed) = (hint.clone(), sum.clone());
        told["numOfAddFiles"] = (hint["numOfAddFiles"].as_i64().expect("a count") + hint_more).into();
        summed["numFiles"] = (sum["numFiles"].as_i64().expect("a count") + sum_more).into();
        put(&root, "_last_checkpoint", told.to_string().as_bytes()).await;
        put(&root, &crc, summed.to_string().as_bytes()).await;
        assert_eq!(state(&load(&root, At::Latest).await.expect("loads")).await, whole, "CHK-4: the commits prove it");
    }
}

/// A table of 15 versions with a V2 checkpoint at 10.
async fn with_sidecars() -> TableRoot {
    let features = [("delta.feature.v2Checkpoint", "supported"), ("delta.checkpointPolicy", "v2")];
    table_with(&features).await
}

#[tokio::test]
async fn files_in_sidecars_are_the_files_of_the_log() {
    let root = with_sidecars().await;
    let log = names(&root).await;
    let main = log.iter().find(|name| name.contains(".checkpoint.")).expect("CHK-3: a checkpoint").clone();
    assert_eq!(main.split('.').count(), 4, "CHK-3: {main} has a name of its own");
    assert!(!log.contains(&checkpoint(10)));
    let sidecars: Vec<&String> = log.iter().filter(|name| name.starts_with("_sidecars/")).collect();
    assert_eq!(sidecars.len(), 2, "CHK-3: files and tombstones");
    let with = load(&root, At::Latest).await.expect("loads");
    assert_eq!(with.checkpoint_version(), Some(10));
    let whole = state(&with).await;
    for version in 0..10 {
        delete(&root, &commit(version)).await;
    }
    assert_eq!(state(&load(&root, At::Latest).await.expect("loads")).await, whole, "without the log below");
    put(&root, sidecars[0], b"PAR1 not really PAR1").await;
    let damaged = load(&root, At::Latest).await.expect("opening reads no files");
    assert_eq!(damaged.files().await.expect_err("nothing else proves them").kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_damaged_sidecar_is_passed_over_when_files_are_needed() {
    let ids: arrow_array::ArrayRef = Arc::new(arrow_array::Int64Array::from(vec![1, 2, 3]));
    let foreign = arrow_array::RecordBatch::try_from_iter([("id", ids)]).expect("batch");
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), foreign.schema(), None).expect("writer");
    writer.write(&foreign).expect("write");
    let foreign = writer.into_inner().expect("bytes");
    // Gone, cut, and a Parquet file that is whole and tells of no files.
    for damage in [None, Some(&b"PAR1"[..]), Some(&foreign)] {
        let root = with_sidecars().await;
        let whole = state(&load(&root, At::Latest).await.expect("loads")).await;
        for sidecar in names(&root).await.iter().filter(|name| name.starts_with("_sidecars/")) {
            match damage {
                None => delete(&root, sidecar).await,
                Some(bytes) => put(&root, sidecar, bytes).await,
            }
        }
        let loaded = load(&root, At::Latest).await.expect("LOG-5");
        assert_eq!(state(&loaded).await, whole, "LOG-5");
    }
}

#[tokio::test]
async fn a_checkpoint_as_json_is_read_and_its_sidecars_stay_inside() {
    for (path, inside) in [("a.parquet", true), ("../../../secret.parquet", false), ("..%2f00.json", false)] {
        let root = with_sidecars().await;
        let whole = state(&load(&root, At::Latest).await.expect("loads")).await;
        let log = names(&root).await;
        let main = log.iter().find(|name| name.contains(".checkpoint.")).expect("a checkpoint").clone();
        delete(&root, &main).await;
        let at = load(&root, At::Version(10)).await.expect("version 10");
        let mut lines = vec![
            serde_json::json!({ "checkpointMetadata": CheckpointMetadata { version: 10, ..Default::default() } }),
            serde_json::to_value(Action::Protocol(at.protocol().clone())).expect("JSON"),
            serde_json::to_value(Action::Metadata(Box::new(at.metadata().clone()))).expect("JSON"),
        ];
        lines.extend(at.header.txns.values().map(|txn| serde_json::json!({ "txn": txn })));
        lines.extend(at.header.domains.values().map(|domain| serde_json::json!({ "domainMetadata": domain })));
        for name in log.iter().filter(|name| name.starts_with("_sidecars/")) {
            let size_in_bytes = get(&root, name).await.len() as i64;
            let path = name["_sidecars/".len()..].to_owned();
            lines.push(serde_json::json!({ "sidecar": Sidecar { path, size_in_bytes, modification_time: 1 } }));
        }
        if !inside {
            lines.push(
                serde_json::json!({ "sidecar": Sidecar { path: path.into(), size_in_bytes: 9, modification_time: 1 } }),
            );
        }
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        put(&root, &main.replace(".parquet", ".json"), lines.join("\n").as_bytes()).await;
        for version in 0..10 {
            delete(&root, &commit(version)).await;
        }
        for crc in log.iter().filter(|name| name.ends_with(".crc")) {
            delete(&root, crc).await;
        }
        match load(&root, At::Latest).await {
            Ok(loaded) if inside => assert_eq!(state(&loaded).await, whole, "CHK-3"),
            Err(error) if !inside => {
                assert!(error.kind() == ErrorKind::Corrupt || error.kind() == ErrorKind::Unsupported, "CHK-3: {error}")
            }
            other => panic!("CHK-3, {path}: {other:?}"),
        }
    }
}
