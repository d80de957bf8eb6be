//! The identity of a logical file: its path in one spelling, and its deletion vector (LOG-4).

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use crate::action::partition_value::decode_path;
use crate::action::{Add, Remove};
use crate::planted::{Defect, planted};

/// Two actions speak of the same logical file when their keys are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey {
    path: String,
    vector: Option<String>,
}

impl FileKey {
    /// The file that an `add` brings.
    pub fn of_add(add: &Add) -> Self {
        let vector = add.deletion_vector.as_ref().map(|vector| vector.unique_id());
        Self { path: canonical(&add.path).into_owned(), vector }
    }

    /// The file that a `remove` ends.
    pub fn of_remove(remove: &Remove) -> Self {
        let vector = remove.deletion_vector.as_ref().map(|vector| vector.unique_id());
        Self { path: canonical(&remove.path).into_owned(), vector }
    }

    /// The path, decoded and in one spelling.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// `file:/a`, `file:///a` and `/a` are one path; escapes are decoded once.
fn canonical(log_path: &str) -> Cow<'_, str> {
    let decoded = match log_path.contains('%') {
        true => Cow::Owned(decode_path(log_path).unwrap_or_else(|_| log_path.to_owned())),
        false => Cow::Borrowed(log_path),
    };
    match decoded.strip_prefix("file:") {
        Some(rest) => Cow::Owned(format!("/{}", rest.trim_start_matches('/'))),
        None => decoded,
    }
}

/// Keys that were seen, sixteen bytes each. Two keys fall together with a chance of 1 in 2^64 at a billion keys, and not
/// by anyone's design: the hashes are seeded by chance.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenKeys {
    keys: HashSet<(u64, u64)>,
    hashers: (RandomState, RandomState),
}

impl SeenKeys {
    fn fingerprint(&self, path: &str, vector: Option<&str>) -> (u64, u64) {
        let key = (canonical(path), vector.filter(|_| !planted(Defect::VectorlessKeys)));
        (self.hashers.0.hash_one(&key), self.hashers.1.hash_one(&key))
    }

    /// Adds a key; whether it was new.
    pub(super) fn insert(&mut self, path: &str, vector: Option<&str>) -> bool {
        let fingerprint = self.fingerprint(path, vector);
        self.keys.insert(fingerprint)
    }

    pub(super) fn contains(&self, path: &str, vector: Option<&str>) -> bool {
        !self.keys.is_empty() && self.keys.contains(&self.fingerprint(path, vector))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_one_key_however_it_is_spelt() {
        let key = |path: &str| FileKey::of_add(&Add { path: path.to_owned(), ..Add::default() });
        let mut seen = SeenKeys::default();
        assert!(seen.insert("/some/a b", None));
        for other in ["file:/some/a%20b", "file:///some/a b", "/some/a%20b"] {
            assert_eq!(key("/some/a b"), key(other), "LOG-4: {other}");
            assert!(seen.contains(other, None) && !seen.contains(other, Some("i1")), "LOG-4: {other}");
        }
        assert_ne!(key("a%2520b"), key("a%20b"), "decoded once, not twice");
    }
}
