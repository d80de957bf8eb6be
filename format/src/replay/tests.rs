//! The newest word on each key wins, in whatever steps it is read.

use super::*;
use crate::action::columnar::FileBatch;
use crate::action::{Action, Add, DomainMetadata, Protocol, Remove, Txn};
use crate::error::ErrorKind;

fn add(path: &str, stats: &str) -> Action {
    Action::Add(Box::new(Add { path: path.into(), stats: Some(stats.into()), ..Add::default() }))
}

fn remove(path: &str) -> Action {
    Action::Remove(Box::new(Remove { path: path.into(), ..Remove::default() }))
}

fn start() -> Vec<Action> {
    vec![Action::Protocol(Protocol::default()), Action::Metadata(Box::default())]
}

fn tail(newest_first: &[&[Action]]) -> Tail {
    let mut fold = TailFold::default();
    newest_first.iter().flat_map(|commit| commit.iter()).for_each(|action| fold.take(action.clone()).expect("taken"));
    fold.finish().expect("tail")
}

fn paths(batches: &[FileBatch]) -> Vec<String> {
    let rows = batches.iter().flat_map(|batch| (0..batch.len()).map(|row| batch.path(row).to_owned()));
    let mut paths: Vec<String> = rows.collect();
    paths.sort_unstable();
    paths
}

#[test]
fn the_newest_word_on_a_file_wins() {
    let commits: [&[Action]; 3] =
        [&[add("b", "new"), add("c", "")], &[remove("a"), remove("c")], &[add("a", ""), add("b", "old"), add("c", "")]];
    let tail = tail(&commits);
    assert_eq!(paths(tail.adds()), ["b", "c"], "LOG-3");
    assert_eq!(paths(tail.removes()), ["a"], "c came back");
    let stats = |batch: &FileBatch| {
        (0..batch.len()).find(|&row| batch.path(row) == "b").and_then(|row| batch.stats_text(row).map(str::to_owned))
    };
    assert_eq!(tail.adds().iter().find_map(stats).as_deref(), Some("new"));
}

#[test]
fn a_checkpoint_tells_only_what_the_commits_above_it_do_not() {
    let adds: Vec<Add> = ["a", "b", "c"].map(|path| Add { path: path.into(), ..Add::default() }).into();
    let older = FileBatch::of_adds(&adds.iter().collect::<Vec<_>>()).expect("batch");
    let tail = tail(&[&[remove("a"), add("b", "new"), add("d", "")]]);
    assert_eq!(paths(&[tail.surviving(&older).expect("cut")]), ["c"], "LOG-3");
}

#[test]
fn advancing_equals_replaying_from_the_start() {
    let commits = [
        start(),
        vec![Action::Txn(Txn { app_id: "x".into(), version: 4, last_updated: None })],
        vec![Action::Txn(Txn { app_id: "x".into(), version: 3, last_updated: None })],
        vec![Action::Domain(DomainMetadata { domain: "d".into(), configuration: "1".into(), removed: false })],
        vec![Action::Domain(DomainMetadata { domain: "d".into(), configuration: String::new(), removed: true })],
    ];
    let mut fold = HeaderFold::default();
    for (version, commit) in commits.iter().enumerate().rev() {
        fold.commit(version as u64, commit).expect("commit");
    }
    let whole = fold.finish().expect("whole");
    let mut first = HeaderFold::default();
    first.commit(0, &commits[0]).expect("0");
    let mut stepped = first.finish().expect("first");
    for (version, commit) in commits.iter().enumerate().skip(1) {
        stepped = stepped.advanced(version as u64, commit).expect("step");
    }
    assert_eq!(whole, stepped);
    assert_eq!(whole.txns["x"].version, 3, "the newest mark wins, even a smaller one");
    assert!(whole.domains.is_empty());
}

#[test]
fn two_protocols_in_a_commit_and_a_log_without_one_are_corrupt() {
    let mut fold = HeaderFold::default();
    let error = fold.commit(1, &[start(), start()].concat()).expect_err("twice");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let mut bare = HeaderFold::default();
    bare.commit(0, &[add("a", "")]).expect("fine so far");
    assert_eq!(bare.finish().expect_err("LOG-6").kind(), ErrorKind::Corrupt);
}
