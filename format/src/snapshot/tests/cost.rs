//! What opening, appending and planning cost in requests and bytes: nothing grows with the number of files but what
//! needs them.

use std::sync::Arc;

use lake_testkit::{Counters, CountingStore, Op};
use object_store::path::Path;
use url::Url;

use super::*;
use crate::expr::{ColumnPath, CompareOp, Predicate, Scalar};
use crate::scan::ScanRequest;

const FILES: i64 = 30_000;

/// A table of many files, a checkpoint at version 1 and one small commit behind it.
pub(super) async fn large() -> TableRoot {
    let root = TableRoot::in_memory("t").expect("root");
    let clock = SystemClock::shared();
    let schema = parse_declaration("id long, note string").expect("schema");
    create(&root, &clock, &LogCommitter, CreateOptions { schema, ..CreateOptions::default() }, None)
        .await
        .expect("created");
    let head = Arc::new(load(&root, At::Latest).await.expect("loads"));
    let stats = |n: i64| {
        // Text that does not shrink, so that the statistics weigh what they weigh elsewhere.
        let word =
            |seed: u64| (n as u64 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(seed | 1);
        let note = format!("{:016x}{:016x}", word(0x1234_5678_9abc_def1), word(0xfedc_ba98_7654_3211));
        format!(
            "{{\"numRecords\":10,\"minValues\":{{\"id\":{n},\"note\":\"{note}\"}},\
             \"maxValues\":{{\"id\":{n},\"note\":\"{note}\"}},\"nullCount\":{{\"id\":0,\"note\":0}}}}"
        )
    };
    let add = |n: i64| Add { path: format!("f{n}.parquet"), size: 10, stats: Some(stats(n)), ..Add::default() };
    let head = append(&head, (0..FILES).map(add).collect()).await;
    head.write_checkpoint().await.expect("checkpoint");
    append(&head, vec![add(FILES)]).await;
    root
}

async fn append(head: &Arc<Snapshot>, adds: Vec<Add>) -> Arc<Snapshot> {
    let actions = adds.into_iter().map(|add| Action::Add(Box::new(Add { data_change: true, ..add }))).collect();
    let staged = Staged { operation: Operation::new("WRITE"), actions, reads: Reads::Nothing };
    let outcome = transact(Base::On(Arc::clone(head)), staged, &LogCommitter).await.expect("committed");
    let Outcome::Committed(committed) = outcome else { panic!("unknown") };
    committed.snapshot
}

fn counted(root: &TableRoot) -> (TableRoot, Counters) {
    let counting = CountingStore::new(Arc::clone(root.store()));
    let counters = counting.counters();
    let url = Url::parse("memory:///t/").expect("url");
    (TableRoot::with_store(Arc::new(counting), Path::from("t"), url), counters)
}

fn names(counters: &Counters, op: Op) -> Vec<String> {
    let of_op = counters.requests().into_iter().filter(|request| request.op == op);
    of_op.map(|request| request.path.filename().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn opening_and_appending_read_no_list_of_files() {
    let root = large().await;
    let (counted, counters) = counted(&root);
    let head = Arc::new(load(&counted, At::Latest).await.expect("loads"));
    let head_name = |extension: &str| format!("{:020}.{extension}", 2);
    let mut read = names(&counters, Op::Get);
    read.sort_unstable();
    assert_eq!(read, [head_name("crc"), head_name("json"), "_last_checkpoint".to_owned()], "with the checksum");
    assert!(counters.bytes_read() < 8_000, "{} bytes", counters.bytes_read());
    assert_eq!(counters.of(Op::List), 1);
    assert_eq!(head.totals().map(|totals| totals.num_files), Some(FILES as u64 + 1));

    counters.reset();
    append(&head, vec![Add { path: "more.parquet".into(), size: 1, ..Add::default() }]).await;
    assert_eq!((counters.of(Op::Get), counters.of(Op::List), counters.bytes_read()), (0, 0, 0), "a blind append");

    delete(&root, &head_name("crc")).await;
    delete(&root, &format!("{:020}.crc", 3)).await;
    counters.reset();
    load(&counted, At::Latest).await.expect("loads");
    let checkpoint = get(&root, &checkpoint(1)).await.len() as u64;
    assert!(counters.bytes_read() * 3 < checkpoint, "{} bytes of a checkpoint of {checkpoint}", counters.bytes_read());
}

#[tokio::test]
async fn a_plan_reads_of_the_statistics_what_it_needs() {
    let root = large().await;
    let (counted, counters) = counted(&root);
    let snapshot = load(&counted, At::Latest).await.expect("loads");
    let id = Predicate::Compare { column: ColumnPath::top("id"), op: CompareOp::Eq, value: Scalar::Long(77) };
    let request = ScanRequest { predicate: Some(id), ..ScanRequest::default() };
    let plan = snapshot.plan_scan(&request).await.expect("plan");
    assert_eq!((plan.files.len(), plan.pruning.files_total), (1, FILES as u64 + 1));
    assert!(plan.column_bounds().is_empty() && plan.files.get(0).expect("a file").num_records() == Some(10));
    let spent = counters.bytes_read();
    snapshot.plan_scan(&request).await.expect("plan");
    assert_eq!(counters.bytes_read(), spent, "a list that was read is kept");
}
