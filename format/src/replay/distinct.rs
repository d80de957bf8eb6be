//! Whether any file is listed twice, told for a million of them in a few milliseconds.

use super::key::{Fingerprint, Home};

/// Bits of the two maps per file, about: a chance meeting every so many files is looked at twice.
const BITS_PER_FILE: usize = 16;

/// Files that must differ. Eight bytes are kept of each.
#[derive(Debug)]
pub struct Distinct {
    home: Home,
    hashes: Vec<u64>,
}

impl Distinct {
    /// Of files of the table at `home`.
    pub fn new(home: Home) -> Self {
        Self { home, hashes: Vec::new() }
    }

    /// Takes a file by its path and the identity of its deletion vector (LOG-4).
    pub fn push(&mut self, path: &str, vector: Option<&str>) {
        self.hashes.push(Fingerprint::half_of(path, vector, &self.home));
    }

    /// Positions, in the order of taking, of two files that are the same; `None` when all differ.
    pub fn repeated(&self) -> Option<(usize, usize)> {
        let buckets = (self.hashes.len() * BITS_PER_FILE).next_power_of_two().max(64);
        let place = |hash: u64| {
            let bucket = hash as usize & (buckets - 1);
            (bucket / 64, 1_u64 << (bucket % 64))
        };
        let (mut once, mut twice) = (vec![0_u64; buckets / 64], vec![0_u64; buckets / 64]);
        for &hash in &self.hashes {
            let (word, bit) = place(hash);
            twice[word] |= once[word] & bit;
            once[word] |= bit;
        }
        let met = |hash: u64| {
            let (word, bit) = place(hash);
            twice[word] & bit != 0
        };
        let met = self.hashes.iter().enumerate().filter(|(_, hash)| met(**hash));
        let mut met: Vec<(u64, usize)> = met.map(|(at, &hash)| (hash, at)).collect();
        met.sort_unstable();
        met.windows(2).find(|pair| pair[0].0 == pair[1].0).map(|pair| (pair[0].1, pair[1].1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repeated_file_is_found_among_many() {
        for count in [0, 1, 2, 3, 100, 100_000] {
            let mut files = Distinct::new(Home::new(vec!["/t/".into()]));
            (0..count).for_each(|i| files.push(&format!("part-{i}"), None));
            assert_eq!(files.repeated(), None, "{count}");
            // The same path with another vector is another logical file.
            files.push("part-0", Some("u1"));
            assert_eq!(files.repeated(), None, "LOG-4: {count}");
            if count > 2 {
                files.push("/t/part%2D2", None);
                assert_eq!(files.repeated(), Some((2, count + 1)), "CHK-4: {count}");
            }
        }
    }
}
