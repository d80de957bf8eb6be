//! How a predicate is worked out from its leaves, whatever its depth.

use std::slice::Iter;

use super::Predicate;

/// A result, or a set of results, in three-valued logic.
pub(super) trait Ternary {
    fn not(self) -> Self;
    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
}

enum Frame<'a, T> {
    Not,
    Join { and: bool, so_far: Option<T>, rest: Iter<'a, Predicate> },
}

/// Joins what `leaf` says of each part that is not `And`, `Or` or `Not`. Keeps its own stack, so a predicate of any
/// depth is fine.
pub(super) fn fold<T: Ternary, E>(
    predicate: &Predicate,
    mut leaf: impl FnMut(&Predicate) -> Result<T, E>,
) -> Result<T, E> {
    let mut frames: Vec<Frame<'_, T>> = Vec::new();
    let mut current = predicate;
    'down: loop {
        let mut value = match current {
            Predicate::Not(inner) => {
                frames.push(Frame::Not);
                current = inner;
                continue 'down;
            }
            Predicate::And(parts) | Predicate::Or(parts) => {
                let and = matches!(current, Predicate::And(_));
                let mut rest = parts.iter();
                match rest.next() {
                    Some(first) => {
                        frames.push(Frame::Join { and, so_far: None, rest });
                        current = first;
                        continue 'down;
                    }
                    None => leaf(&Predicate::Literal(and))?,
                }
            }
            other => leaf(other)?,
        };
        loop {
            match frames.pop() {
                None => return Ok(value),
                Some(Frame::Not) => value = value.not(),
                Some(Frame::Join { and, so_far, mut rest }) => {
                    let joined = match so_far {
                        None => value,
                        Some(so_far) if and => so_far.and(value),
                        Some(so_far) => so_far.or(value),
                    };
                    let Some(next) = rest.next() else {
                        value = joined;
                        continue;
                    };
                    frames.push(Frame::Join { and, so_far: Some(joined), rest });
                    current = next;
                    continue 'down;
                }
            }
        }
    }
}
