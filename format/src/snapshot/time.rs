//! When a version was committed: one rule for time travel, history and snapshots.

use crate::action::Action;

/// The commit's own in-commit timestamp when it carries one; otherwise the file's time, made to rise (LOG-9).
pub(super) fn commit_time_ms(actions: &[Action], modified_ms: i64, previous_ms: Option<i64>) -> i64 {
    in_commit_ms(actions).unwrap_or_else(|| rising(modified_ms, previous_ms))
}

/// A later version is never earlier: at least one millisecond after its predecessor.
pub(super) fn rising(modified_ms: i64, previous_ms: Option<i64>) -> i64 {
    previous_ms.map_or(modified_ms, |previous| modified_ms.max(previous.saturating_add(1)))
}

/// The time that the commit itself vouches for, if it does.
pub(super) fn in_commit_ms(actions: &[Action]) -> Option<i64> {
    actions.iter().find_map(|action| match action {
        Action::CommitInfo(info) => info.in_commit_timestamp,
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_rises_even_when_files_were_copied() {
        assert_eq!(rising(50, None), 50);
        assert_eq!(rising(50, Some(80)), 81, "LOG-9");
        assert_eq!(rising(90, Some(80)), 90);
    }
}
