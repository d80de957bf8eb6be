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
    /// The file that an `add` brings to the table at `home`.
    pub fn of_add(add: &Add, home: &Home) -> Self {
        let vector = add.deletion_vector.as_ref().map(|vector| vector.unique_id());
        Self { path: home.canonical(&add.path).into_owned(), vector }
    }

    /// The file that a `remove` ends in the table at `home`.
    pub fn of_remove(remove: &Remove, home: &Home) -> Self {
        let vector = remove.deletion_vector.as_ref().map(|vector| vector.unique_id());
        Self { path: home.canonical(&remove.path).into_owned(), vector }
    }

    /// The path, decoded and in one spelling.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// What absolute paths of a table's own files begin with. The default knows no such paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Home {
    prefixes: Vec<String>,
}

impl Home {
    /// A table whose files' absolute paths begin with one of these: decoded, each with a slash at the end, local ones
    /// without a scheme.
    pub fn new(prefixes: Vec<String>) -> Self {
        Self { prefixes: prefixes.into_iter().filter(|prefix| prefix.len() > 1 && prefix.ends_with('/')).collect() }
    }

    /// `file:/a`, `file:///a` and `/a` are one path, and so are `a/b` and its absolute forms below the table's root;
    /// escapes are decoded once.
    pub(super) fn canonical<'a>(&self, log_path: &'a str) -> Cow<'a, str> {
        let decoded = match log_path.contains('%') {
            true => Cow::Owned(decode_path(log_path).unwrap_or_else(|_| log_path.to_owned())),
            false => Cow::Borrowed(log_path),
        };
        if !decoded.starts_with('/') && !decoded.contains(':') {
            return decoded;
        }
        let absolute = match decoded.strip_prefix("file:") {
            Some(rest) => Cow::Owned(format!("/{}", rest.trim_start_matches('/'))),
            None => decoded,
        };
        match self.prefixes.iter().find(|prefix| absolute.starts_with(prefix.as_str())) {
            Some(prefix) => Cow::Owned(absolute[prefix.len()..].to_owned()),
            None => absolute,
        }
    }
}

/// Keys that were seen, sixteen bytes each. Two keys fall together with a chance of 1 in 2^64 at a billion keys, and not
/// by anyone's design: the hashes are seeded by chance.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenKeys {
    keys: HashSet<(u64, u64)>,
    home: Home,
    hashers: (RandomState, RandomState),
}

impl SeenKeys {
    pub(super) fn new(home: Home) -> Self {
        Self { home, ..Self::default() }
    }

    fn fingerprint(&self, path: &str, vector: Option<&str>) -> (u64, u64) {
        let key = (self.home.canonical(path), vector.filter(|_| !planted(Defect::VectorlessKeys)));
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
        let home = Home::default();
        let key = |path: &str| FileKey::of_add(&Add { path: path.to_owned(), ..Add::default() }, &home);
        let mut seen = SeenKeys::default();
        assert!(seen.insert("/some/a b", None));
        for other in ["file:/some/a%20b", "file:///some/a b", "/some/a%20b"] {
            assert_eq!(key("/some/a b"), key(other), "LOG-4: {other}");
            assert!(seen.contains(other, None) && !seen.contains(other, Some("i1")), "LOG-4: {other}");
        }
        assert_ne!(key("a%2520b"), key("a%20b"), "decoded once, not twice");
    }

    #[test]
    fn an_absolute_path_below_the_root_is_the_relative_one() {
        let add = |path: &str| Add { path: path.to_owned(), ..Add::default() };
        let local = Home::new(vec!["/data/my table/".to_owned()]);
        let remote = Home::new(vec!["s3://b/t/".to_owned(), "s3a://b/t/".to_owned()]);
        for (home, same, others) in [
            (
                &local,
                ["/data/my table/p=1/a", "file:/data/my%20table/p=1/a", "file:///data/my table/p=1/a"],
                ["/data/my table2/p=1/a", "/p=1/a", "x:p=1/a"],
            ),
            (
                &remote,
                ["s3://b/t/p=1/a", "s3a://b/t/p=1/a", "s3://b/t/p%3D1/a"],
                ["s3://b/t2/p=1/a", "s3://c/t/p=1/a", "/b/t/p=1/a"],
            ),
        ] {
            let relative = FileKey::of_add(&add("p=1/a"), home);
            let mut seen = SeenKeys::new(home.clone());
            assert!(seen.insert("p=1/a", None));
            for path in same {
                assert_eq!(FileKey::of_add(&add(path), home), relative, "LOG-4: {path}");
                assert!(seen.contains(path, None), "LOG-4: {path}");
            }
            for path in others {
                assert_ne!(FileKey::of_add(&add(path), home), relative, "LOG-4: {path}");
                assert!(!seen.contains(path, None), "LOG-4: {path}");
            }
        }
    }
}
