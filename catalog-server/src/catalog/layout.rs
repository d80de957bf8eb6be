//! Whether what a commit calls a mere move of rows is one: proved from the log, never taken from the client's word.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lake_format::action::{Action, Add};
use lake_format::replay::{FileKey, Home};

/// Whether `actions` call some of their files a move of rows (`dataChange=false`).
pub(super) fn claims_layout(actions: &[Action]) -> bool {
    actions.iter().any(|action| match action {
        Action::Add(add) => !add.data_change,
        Action::Remove(remove) => !remove.data_change,
        _ => false,
    })
}

/// The actions as they are to be judged in a table whose live files are `live`: the moves stay moves when all of them
/// together are proved, otherwise they count as changes of rows.
pub(super) fn as_judged<'a>(actions: &'a [Action], live: &[Arc<Add>], home: &Home) -> Cow<'a, [Action]> {
    if !claims_layout(actions) || is_proved(actions, live, home) {
        return Cow::Borrowed(actions);
    }
    let as_data = |action: &Action| match action {
        Action::Add(add) => Action::Add(Box::new(Add { data_change: true, ..Add::clone(add) })),
        Action::Remove(remove) => {
            let mut remove = remove.clone();
            remove.data_change = true;
            Action::Remove(remove)
        }
        other => other.clone(),
    };
    Cow::Owned(actions.iter().map(as_data).collect())
}

/// The moved files hold as many rows as those that they replace, which are live, by the log's own statistics; and no
/// file is spoken of twice, however it is spelt, since one of the two would not be in the table.
fn is_proved(actions: &[Action], live: &[Arc<Add>], home: &Home) -> bool {
    let live: HashMap<FileKey, &Arc<Add>> = live.iter().map(|add| (FileKey::of_add(add, home), add)).collect();
    let mut seen = HashSet::new();
    let (mut came, mut left, mut removes) = (0_u64, 0_u64, 0_usize);
    for action in actions {
        let key = match action {
            Action::Add(add) => FileKey::of_add(add, home),
            Action::Remove(remove) => FileKey::of_remove(remove, home),
            _ => continue,
        };
        let known = live.get(&key);
        if !seen.insert(key) {
            return false;
        }
        let (sum, rows) = match action {
            // A live file that is added again would stay one file, whatever rows it is said to hold.
            Action::Add(add) if !add.data_change => (&mut came, if known.is_some() { None } else { rows_of(add) }),
            Action::Remove(remove) if !remove.data_change => {
                removes += 1;
                (&mut left, known.and_then(|add| rows_of(add)))
            }
            _ => continue,
        };
        let Some(total) = rows.and_then(|rows| sum.checked_add(rows)) else { return false };
        *sum = total;
    }
    removes > 0 && came == left
}

fn rows_of(add: &Add) -> Option<u64> {
    add.live_records()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_format::action::{DeletionVectorDescriptor, Remove};

    fn file(path: &str, rows: Option<u64>, data_change: bool) -> Add {
        let stats = rows.map(|rows| format!("{{\"numRecords\":{rows}}}"));
        Add { path: path.into(), stats, data_change, ..Add::default() }
    }

    fn comes(path: &str, rows: impl Into<Option<u64>>) -> Action {
        Action::Add(Box::new(file(path, rows.into(), false)))
    }

    fn goes(path: &str) -> Action {
        Action::Remove(Box::new(Remove { path: path.into(), data_change: false, ..Remove::default() }))
    }

    /// LAY-2
    #[test]
    fn a_move_is_proved_by_live_removes_and_equal_row_counts() {
        let live = [("a", Some(2)), ("b", Some(3)), ("no stats", None), ("empty", Some(0))]
            .map(|(path, rows)| Arc::new(file(path, rows, true)));
        let vector = DeletionVectorDescriptor::inline(&[1, 4].into_iter().collect()).expect("small");
        let with = |add: Add, vector: &DeletionVectorDescriptor| Add { deletion_vector: Some(vector.clone()), ..add };
        let mut live = live.to_vec();
        live.push(Arc::new(with(file("dv", Some(6), true), &vector)));
        let goes_with = |vector: &DeletionVectorDescriptor| {
            let remove = Remove::of(&with(file("dv", None, true), vector), 0, false);
            Action::Remove(Box::new(remove))
        };
        let data = |path: &str| Action::Add(Box::new(file(path, Some(9), true)));
        let cases: Vec<(&str, bool, Vec<Action>)> = vec![
            ("compaction", true, vec![goes("a"), goes("b"), comes("c", 5)]),
            ("a split", true, vec![goes("b"), comes("c", 1), comes("d", 2)]),
            ("beside new rows", true, vec![goes("a"), comes("c", 2), data("n")]),
            ("an empty file goes", true, vec![goes("empty")]),
            ("rows go", false, vec![goes("a")]),
            ("rows come", false, vec![comes("c", 5)]),
            ("an empty file comes alone", false, vec![comes("c", 0)]),
            ("fewer rows", false, vec![goes("a"), goes("b"), comes("c", 4)]),
            ("more rows", false, vec![goes("a"), goes("b"), comes("c", 6)]),
            ("no count", false, vec![goes("a"), comes("c", None)]),
            ("no count in the log", false, vec![goes("no stats"), comes("c", 0)]),
            ("not live", false, vec![goes("x"), comes("c", 0)]),
            ("a live file comes again", false, vec![goes("a"), comes("b", 2)]),
            ("removed twice", false, vec![goes("a"), goes("%61"), comes("c", 4)]),
            ("added twice", false, vec![goes("a"), comes("c", 1), comes("%63", 1)]),
            ("deleted rows are not moved", true, vec![goes_with(&vector), comes("c", 4)]),
            ("deleted rows come back", false, vec![goes_with(&vector), comes("c", 6)]),
            (
                "rows are deleted",
                false,
                vec![goes("b"), Action::Add(Box::new(with(file("b", Some(3), false), &vector)))],
            ),
            ("added as data as well", false, vec![goes("a"), comes("c", 2), data("%63")]),
        ];
        let home = Home::default();
        for (what, proved, actions) in cases {
            let judged = as_judged(&actions, &live, &home);
            assert_eq!(claims_layout(&judged), proved, "{what}");
            assert_eq!(judged.len(), actions.len(), "{what}");
        }
        let plain = [data("n")];
        assert!(matches!(as_judged(&plain, &[], &home), Cow::Borrowed(_)), "nothing is claimed");
    }
}
