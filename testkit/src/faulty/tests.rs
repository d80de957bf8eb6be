//! Whether each fault does what it says, counts itself, and repeats under its seed.

use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};

use super::*;
use crate::gate::Gate;
use crate::op::{Op, Request};
use crate::seed::simulate;

fn store(rules: impl IntoIterator<Item = Rule>) -> FaultyStore<InMemory> {
    FaultyStore::new(InMemory::new(), Faults::seeded(1).with(rules))
}

fn path(text: &str) -> Path {
    Path::from(text)
}

async fn text(store: &dyn ObjectStore, at: &str) -> Result<String, Error> {
    let bytes = store.get(&path(at)).await?.bytes().await?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

async fn names(store: &dyn ObjectStore) -> Vec<String> {
    let found: Vec<_> = store.list(None).try_collect().await.unwrap();
    found.into_iter().map(|object| object.location.to_string()).collect()
}

async fn create(store: &dyn ObjectStore, at: &str, body: &'static str) -> Result<(), Error> {
    store.put_opts(&path(at), body.into(), PutMode::Create.into()).await.map(|_| ())
}

#[tokio::test]
async fn without_rules_it_is_the_inner_store() {
    let store = store([]);
    create(&store, "a", "1").await.unwrap();
    assert!(matches!(create(&store, "a", "2").await, Err(Error::AlreadyExists { .. })));
    assert_eq!(text(&store, "a").await.unwrap(), "1");
    store.rename(&path("a"), &path("b")).await.unwrap();
    assert_eq!(names(&store).await, ["b"]);
    store.delete(&path("b")).await.unwrap();
    assert!(matches!(store.head(&path("b")).await, Err(Error::NotFound { .. })));
    assert_eq!(store.faults().total_fired(), 0);
}

#[tokio::test]
async fn an_error_before_the_effect_leaves_nothing() {
    let store = store([Rule::new(Fault::ErrorBefore(Failure::Unavailable)).on(Op::Put).times(1)]);
    let error = create(&store, "a", "1").await.unwrap_err();
    assert_eq!(Injected::of(&error), Some(Injected { op: Op::Put, failure: Failure::Unavailable }));
    assert_eq!(names(store.inner()).await, [""; 0]);
    create(&store, "a", "2").await.unwrap();
    store.faults().assert_all_fired();
}

#[tokio::test]
async fn an_error_after_the_effect_loses_the_answer_alone() {
    let store = store([Rule::new(Fault::ErrorAfter(Failure::Reset)).on_changes()]);
    create(&store, "a", "1").await.unwrap_err();
    assert_eq!(text(&store, "a").await.unwrap(), "1");
    // Also the answer that there was no effect is lost.
    let again = create(&store, "a", "2").await.unwrap_err();
    assert_eq!(Injected::of(&again).unwrap().failure, Failure::Reset);
    store.copy(&path("a"), &path("b")).await.unwrap_err();
    store.delete(&path("a")).await.unwrap_err();
    assert_eq!(names(store.inner()).await, ["b"]);
    assert_eq!(text(&store, "b").await.unwrap(), "1");
}

#[tokio::test]
async fn a_delayed_effect_comes_with_a_later_request() {
    let until = Delay::Requests(2);
    let store = store([Rule::new(Fault::Delayed { answer: Failure::Timeout, until }).on(Op::Put).nth(1)]);
    create(&store, "a", "1").await.unwrap_err();
    assert!(matches!(store.head(&path("a")).await, Err(Error::NotFound { .. })));
    assert_eq!(store.faults().pending(), 1);
    assert_eq!(text(&store, "a").await.unwrap(), "1");
    assert_eq!(store.faults().pending(), 0);
}

#[tokio::test]
async fn a_delayed_effect_is_judged_when_it_comes() {
    let until = Delay::Requests(100);
    let rule = Rule::new(Fault::Delayed { answer: Failure::Timeout, until }).on(Op::Put).nth(1);
    let store = store([rule]);
    create(&store, "a", "late").await.unwrap_err();
    create(&store, "a", "early").await.unwrap();
    store.faults().settle().await;
    assert_eq!(text(&store, "a").await.unwrap(), "early");
}

#[test]
fn a_delayed_effect_can_wait_for_a_time() {
    simulate(1, |_| async {
        let until = Delay::Time(Duration::from_secs(60));
        let store = store([Rule::new(Fault::Delayed { answer: Failure::Timeout, until })]);
        create(&store, "a", "1").await.unwrap_err();
        tokio::time::advance(Duration::from_secs(30)).await;
        assert_eq!(names(store.inner()).await, [""; 0]);
        tokio::time::advance(Duration::from_secs(31)).await;
        tokio::task::yield_now().await;
        assert_eq!(names(store.inner()).await, ["a"]);
    });
}

#[test]
fn a_hanging_request_ends_with_its_client() {
    simulate(1, |_| async {
        for (fault, left) in [(Fault::HangBefore, vec![]), (Fault::HangAfter, vec!["a".to_owned()])] {
            let store = store([Rule::new(fault).times(1)]);
            let limit = Duration::from_secs(3_600);
            assert!(tokio::time::timeout(limit, create(&store, "a", "1")).await.is_err());
            assert_eq!(names(&store).await, left);
        }
    });
}

#[tokio::test]
async fn a_read_ends_early_with_or_without_an_error() {
    let cut = |then| Rule::new(Fault::TruncatedRead { keep_bytes: 3, then }).times(1);
    let store = store([cut(None), cut(Some(Failure::Reset))]);
    create(&store, "a", "0123456789").await.unwrap();
    assert_eq!(text(&store, "a").await.unwrap(), "012");
    let result = store.get(&path("a")).await.unwrap();
    assert_eq!((result.meta.size, result.range.clone()), (10, 0..10));
    let error = result.bytes().await.unwrap_err();
    assert_eq!(Injected::of(&error).unwrap().failure, Failure::Reset);
    assert_eq!(text(&store, "a").await.unwrap(), "0123456789");
    store.faults().assert_all_fired();
}

#[tokio::test]
async fn a_stale_list_hides_what_was_written_last() {
    let store = store([Rule::new(Fault::StaleList { hide: 2 }).from_nth(2).times(3)]);
    for name in ["t/c", "t/a", "t/b"] {
        create(&store, name, "1").await.unwrap();
    }
    assert_eq!(names(&store).await, ["t/a", "t/b", "t/c"]);
    assert_eq!(names(&store).await, ["t/c"]);
    let after = store.list_with_offset(Some(&path("t")), &path("t/a")).try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(after.len(), 0);
    let flat = store.list_with_delimiter(Some(&path("t"))).await.unwrap();
    assert_eq!(flat.objects[0].location, path("t/c"));
    assert_eq!(names(&store).await.len(), 3);
}

#[tokio::test]
async fn rules_choose_by_kind_path_and_count() {
    let rule = || Rule::new(Fault::ErrorBefore(Failure::Throttled)).path("_delta_log/*.json");
    let store = store([rule().on(Op::Put).nth(2).label("second commit"), rule().on(Op::Get).from_nth(2).times(1)]);
    create(&store, "t/_delta_log/0.json", "1").await.unwrap();
    create(&store, "t/part.parquet", "1").await.unwrap();
    create(&store, "t/_delta_log/1.json", "1").await.unwrap_err();
    create(&store, "t/_delta_log/1.json", "1").await.unwrap();
    let gets = [
        text(&store, "t/_delta_log/0.json").await.is_ok(),
        text(&store, "t/part.parquet").await.is_ok(),
        text(&store, "t/_delta_log/0.json").await.is_ok(),
        text(&store, "t/_delta_log/0.json").await.is_ok(),
    ];
    assert_eq!(gets, [true, true, false, true]);
    assert_eq!((store.faults().fired("second commit"), store.faults().total_fired()), (1, 2));
    assert_eq!(store.faults().activations()[0].matched, 3);
    assert_eq!(store.faults().hits()[0], Request { op: Op::Put, path: path("t/_delta_log/1.json") });
}

#[tokio::test]
async fn a_fault_that_does_not_fit_never_hits() {
    let store = store([Rule::new(Fault::StaleList { hide: 1 }).on(Op::Put).label("idle")]);
    create(&store, "a", "1").await.unwrap();
    assert_eq!(store.faults().activations()[0].matched, 0);
    let faults = store.faults().clone();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| faults.assert_all_fired())).is_err());
}

#[tokio::test]
async fn a_gate_lets_another_client_into_the_gap() {
    let inner = Arc::new(InMemory::new());
    let gate = Gate::new();
    let rule = Rule::new(Fault::ErrorAfter(Failure::Unavailable)).on(Op::Put).nth(1).hold_after(&gate);
    let slow = FaultyStore::new(Arc::clone(&inner), Faults::seeded(1).with([rule]));
    let writer = tokio::spawn(async move { create(&slow, "0.json", "slow").await });
    gate.reached(1).await;
    // The effect is there, the answer is not.
    assert_eq!(text(&inner, "0.json").await.unwrap(), "slow");
    create(&inner, "1.json", "other").await.unwrap();
    assert!(!writer.is_finished());
    gate.open();
    writer.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_gate_before_the_effect_holds_the_effect() {
    let gate = Gate::new();
    let store = Arc::new(store([Rule::new(Fault::Pass).on(Op::Put).nth(1).hold_before(&gate)]));
    let slow = Arc::clone(&store);
    let writer = tokio::spawn(async move { create(&slow, "0.json", "slow").await });
    gate.reached(1).await;
    create(&*store, "0.json", "quick").await.unwrap();
    gate.open();
    assert!(matches!(writer.await.unwrap(), Err(Error::AlreadyExists { .. })));
}

#[tokio::test]
async fn an_upload_fails_as_a_whole() {
    let fault = |fault| Rule::new(fault).times(1);
    let store = store([
        fault(Fault::ErrorBefore(Failure::Reset)).on(Op::PutPart),
        fault(Fault::ErrorAfter(Failure::Reset)).on(Op::CompleteMultipart).label("complete"),
    ]);
    let mut upload = store.put_multipart(&path("a")).await.unwrap();
    upload.put_part("x".into()).await.unwrap_err();
    upload.complete().await.unwrap_err();
    assert_eq!(names(store.inner()).await, [""; 0]);
    assert_eq!(store.faults().fired("complete"), 1);
    let mut upload = store.put_multipart(&path("a")).await.unwrap();
    let parts = [upload.put_part("x".into()), upload.put_part("y".into())];
    // Uploaded in the other order, they keep their places.
    for part in parts.into_iter().rev() {
        part.await.unwrap();
    }
    upload.complete().await.unwrap();
    assert_eq!(text(&store, "a").await.unwrap(), "xy");
    let mut upload = store.put_multipart(&path("b")).await.unwrap();
    upload.put_part("x".into()).await.unwrap();
    upload.abort().await.unwrap();
    assert_eq!(names(&store).await, ["a"]);
}

#[tokio::test]
async fn a_healed_store_serves_all() {
    let store = store(storm(1_000));
    create(&store, "a", "1").await.unwrap_err();
    store.faults().heal();
    create(&store, "a", "1").await.unwrap();
    assert_eq!(text(&store, "a").await.unwrap(), "1");
    assert_eq!(store.faults().total_fired(), 1);
}

/// What a client sees of 300 requests in a storm.
fn trace(seed: u64) -> (Vec<bool>, Vec<Activation>) {
    simulate(seed, |mut rng| async move {
        let store = FaultyStore::new(InMemory::new(), Faults::seeded(seed).with(storm(50)));
        let mut seen = Vec::new();
        for _ in 0..300 {
            let at = path(&format!("t/{}.json", rng.below(20)));
            seen.push(match rng.below(4) {
                0 => store.put(&at, "0123456789".into()).await.is_ok(),
                1 => store.get(&at).await.is_ok(),
                2 => store.delete(&at).await.is_ok(),
                _ => store.list(None).try_collect::<Vec<_>>().await.is_ok(),
            });
        }
        (seen, store.faults().activations())
    })
}

#[test]
fn a_seed_repeats_its_faults() {
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5).0, trace(6).0);
}

#[test]
fn every_fault_of_a_storm_comes_up() {
    let runs: Vec<_> = (0..10).map(trace).collect();
    for at in 0..storm(1).len() {
        let fired: u64 = runs.iter().map(|(_, activations)| activations[at].fired).sum();
        assert!(fired > 0, "{:?}", runs[0].1[at]);
    }
}
