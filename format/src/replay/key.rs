//! The identity of a logical file: its path in one spelling, and its deletion vector (LOG-4).

use crate::action::partition_value::decode_path;
use crate::action::{Add, Remove};

/// Two actions speak of the same logical file when their keys are equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileKey {
    path: String,
    vector: Option<String>,
}

impl FileKey {
    /// The file that an `add` brings.
    pub fn of_add(add: &Add) -> Self {
        Self { path: canonical(&add.path), vector: add.deletion_vector.as_ref().map(|vector| vector.unique_id()) }
    }

    /// The file that a `remove` ends.
    pub fn of_remove(remove: &Remove) -> Self {
        Self { path: canonical(&remove.path), vector: remove.deletion_vector.as_ref().map(|vector| vector.unique_id()) }
    }

    /// The path, decoded and in one spelling.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// `file:/a`, `file:///a` and `/a` are one path; escapes are decoded once.
fn canonical(log_path: &str) -> String {
    let decoded = decode_path(log_path).unwrap_or_else(|_| log_path.to_owned());
    match decoded.strip_prefix("file:") {
        Some(rest) => format!("/{}", rest.trim_start_matches('/')),
        None => decoded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_has_one_key_however_it_is_spelt() {
        let key = |path: &str| FileKey::of_add(&Add { path: path.to_owned(), ..Add::default() });
        for other in ["file:/some/a%20b", "file:///some/a b", "/some/a%20b"] {
            assert_eq!(key("/some/a b"), key(other), "LOG-4: {other}");
        }
        assert_ne!(key("a%2520b"), key("a%20b"), "decoded once, not twice");
    }
}
