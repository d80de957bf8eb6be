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
    newest_first
        .iter()
        .for_each(|commit| fold.take(&Changes::of(commit, &Home::default()).expect("columns")).expect("taken"));
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

/// LOG-3: what was put together is not looked at again, and what is said later counts.
#[test]
fn commits_on_top_of_a_tail_give_what_all_of_them_give() {
    let commits: Vec<Vec<Action>> = (0..40)
        .map(|n: usize| {
            let mut commit = vec![add(&format!("f{n}"), "s"), add(&format!("again{}", n % 3), &n.to_string())];
            commit.extend((n.is_multiple_of(4)).then(|| remove(&format!("f{}", n / 2))));
            commit
        })
        .collect();
    let newest_first: Vec<&[Action]> = commits.iter().rev().map(Vec::as_slice).collect();
    let whole = tail(&newest_first);
    let mut stepped = Tail::default();
    for (at, two) in commits.chunks(2).enumerate() {
        let mut fold = TailFold::default();
        two.iter()
            .rev()
            .for_each(|commit| fold.take(&Changes::of(commit, &Home::default()).expect("columns")).expect("taken"));
        stepped = fold.over(Some(&stepped)).expect("on top");
        let at = at * 2 + 2;
        let so_far = tail(&newest_first[40 - at..]);
        assert_eq!(paths(stepped.adds()), paths(so_far.adds()), "after {at}");
        assert_eq!(paths(stepped.removes()), paths(so_far.removes()), "after {at}");
    }
    let digest = |tail: &Tail| tail.adds().iter().fold(0, |sum: u64, batch| sum.wrapping_add(batch.digest()));
    assert_eq!(digest(&stepped), digest(&whole));
    assert!(stepped.adds().len() < 8, "{} batches of {} rows", stepped.adds().len(), paths(stepped.adds()).len());
}

/// LOG-3: of two words of one commit on one file, the first line counts, wherever the commit is cut.
#[test]
fn the_first_line_of_a_commit_counts() {
    let commit = [add("a", "1"), remove("a"), remove("b"), add("b", ""), add("c", "1"), add("c", "2")];
    let mut cut = TailFold::default();
    commit.iter().for_each(|action| {
        cut.take(&Changes::of(std::slice::from_ref(action), &Home::default()).expect("one")).expect("taken")
    });
    for tail in [tail(&[&commit]), cut.finish().expect("tail")] {
        assert_eq!((paths(tail.adds()), paths(tail.removes())), (vec!["a".into(), "c".into()], vec!["b".into()]));
        let stats = |batch: &FileBatch| (0..batch.len()).all(|row| batch.stats_text(row) == Some("1"));
        assert!(tail.adds().iter().all(stats));
    }
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
