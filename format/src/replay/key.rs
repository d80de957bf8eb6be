//! The identity of a logical file: its path in one spelling, and its deletion vector (LOG-4).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::LazyLock;

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
        if !log_path.starts_with('/') && memchr::memchr2(b'%', b':', log_path.as_bytes()).is_none() {
            return Cow::Borrowed(log_path);
        }
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

/// A key in sixteen bytes. Two keys fall together with a chance of 1 in 2^64 at a billion keys, and not by anyone's
/// design: the hashes are seeded by chance, once in the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64, u64);

static SEEDS: LazyLock<[ahash::RandomState; 2]> = LazyLock::new(|| {
    let chance = RandomState::new();
    let seed = |n: u64| chance.hash_one(n);
    [0, 4].map(|n| ahash::RandomState::with_seeds(seed(n), seed(n + 1), seed(n + 2), seed(n + 3)))
});

impl Fingerprint {
    /// That of a file of the table at `home`: its path as the log has it, and the identity of its deletion vector.
    pub fn of(path: &str, vector: Option<&str>, home: &Home) -> Self {
        let key = (home.canonical(path), vector.filter(|_| !planted(Defect::VectorlessKeys)));
        Self(SEEDS[0].hash_one(&key), SEEDS[1].hash_one(&key))
    }

    /// Eight bytes of it.
    pub(super) fn half_of(path: &str, vector: Option<&str>, home: &Home) -> u64 {
        SEEDS[0].hash_one((home.canonical(path), vector.filter(|_| !planted(Defect::VectorlessKeys))))
    }
}

impl Hash for Fingerprint {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

/// Takes a hash for what it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = self.0.rotate_left(8) ^ u64::from(byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Values by fingerprint.
pub type ByFingerprint<V> = HashMap<Fingerprint, V, BuildHasherDefault<Hashed>>;

/// Keys that were seen.
#[derive(Clone, Debug, Default)]
pub(super) struct SeenKeys {
    keys: HashSet<Fingerprint, BuildHasherDefault<Hashed>>,
    home: Home,
}

impl SeenKeys {
    pub(super) fn new(home: Home) -> Self {
        Self { home, ..Self::default() }
    }

    /// Adds a key; whether it was new.
    pub(super) fn insert(&mut self, key: Fingerprint) -> bool {
        self.keys.insert(key)
    }

    pub(super) fn extend(&mut self, other: &Self) {
        self.keys.extend(&other.keys);
    }

    pub(super) fn reserve(&mut self, more: usize) {
        self.keys.reserve(more);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (few, many) = if self.len() <= other.len() { (self, other) } else { (other, self) };
        few.keys.iter().any(|key| many.keys.contains(key))
    }

    pub(super) fn contains(&self, path: &str, vector: Option<&str>) -> bool {
        !self.is_empty() && self.keys.contains(&Fingerprint::of(path, vector, &self.home))
    }

    /// A quick look at many files that come before [`SeenKeys::contains`]; `None` where it would rule out too few.
    pub(super) fn glance(&self) -> Option<Glance<'_>> {
        if self.len() > GLANCE_BITS / 16 {
            return None;
        }
        let mut glance = Glance { home: &self.home, bits: vec![0; GLANCE_BITS / 64] };
        for key in &self.keys {
            let (word, bit) = Glance::place(key.0);
            glance.bits[word] |= bit;
        }
        Some(glance)
    }
}

const GLANCE_BITS: usize = 1 << 16;

/// Tells most files that were not seen from half of their fingerprint.
pub(super) struct Glance<'a> {
    home: &'a Home,
    bits: Vec<u64>,
}

impl Glance<'_> {
    fn place(half: u64) -> (usize, u64) {
        let bucket = half as usize % GLANCE_BITS;
        (bucket / 64, 1 << (bucket % 64))
    }

    /// Whether a file may have been seen.
    pub(super) fn may_contain(&self, path: &str, vector: Option<&str>) -> bool {
        let (word, bit) = Self::place(Fingerprint::half_of(path, vector, self.home));
        self.bits[word] & bit != 0
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
        assert!(seen.insert(Fingerprint::of("/some/a b", None, &home)));
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
            assert!(seen.insert(Fingerprint::of("p=1/a", None, home)));
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
