//! The grammar of file names in `_delta_log` (LOG-1).

use uuid::Uuid;

/// What a name in the log directory means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPath {
    /// `<v>.json`
    Commit {
        /// The version.
        version: u64,
    },
    /// `<v>.checkpoint.parquet`
    Checkpoint {
        /// The version.
        version: u64,
    },
    /// `<v>.checkpoint.<part>.<parts>.parquet`
    CheckpointPart {
        /// The version.
        version: u64,
        /// From 1.
        part: u32,
        /// How many there must be.
        parts: u32,
    },
    /// `<v>.checkpoint.<uuid>.{json,parquet}`
    UuidCheckpoint {
        /// The version.
        version: u64,
    },
    /// `<from>.<to>.compacted.json`
    Compacted {
        /// The first version.
        from: u64,
        /// The last version.
        to: u64,
    },
    /// `<v>.crc`
    Checksum {
        /// The version.
        version: u64,
    },
}

impl LogPath {
    /// Reads a plain file name. Everything that is not one of ours is `None` and is ignored.
    pub fn parse(name: &str) -> Option<Self> {
        let (digits, rest) = name.split_once('.')?;
        let version = number(digits, 20).filter(|&version| i64::try_from(version).is_ok())?;
        let parts: Vec<&str> = rest.split('.').collect();
        match parts.as_slice() {
            ["json"] => Some(Self::Commit { version }),
            ["crc"] => Some(Self::Checksum { version }),
            [to, "compacted", "json"] => {
                let to = number(to, 20).filter(|&to| i64::try_from(to).is_ok() && to > version)?;
                Some(Self::Compacted { from: version, to })
            }
            ["checkpoint", "parquet"] => Some(Self::Checkpoint { version }),
            ["checkpoint", id, "json" | "parquet"] if id.len() == 36 => Some(Self::UuidCheckpoint { version }),
            ["checkpoint", part, parts, "parquet"] => {
                let part = u32::try_from(number(part, 10)?).ok()?;
                let parts = u32::try_from(number(parts, 10)?).ok()?;
                (1..=parts).contains(&part).then_some(Self::CheckpointPart { version, part, parts })
            }
            _ => None,
        }
    }

    /// Whether it is a checkpoint or a part of one.
    pub fn is_checkpoint(&self) -> bool {
        matches!(self, Self::Checkpoint { .. } | Self::CheckpointPart { .. } | Self::UuidCheckpoint { .. })
    }

    /// The version in the name; the first of several.
    pub fn version(&self) -> u64 {
        match self {
            Self::Commit { version }
            | Self::Checkpoint { version }
            | Self::CheckpointPart { version, .. }
            | Self::UuidCheckpoint { version }
            | Self::Checksum { version }
            | Self::Compacted { from: version, .. } => *version,
        }
    }
}

fn number(digits: &str, width: usize) -> Option<u64> {
    let plain = digits.len() == width && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// Name of a commit, relative to the table's root.
pub fn commit_name(version: u64) -> String {
    format!("_delta_log/{version:020}.json")
}

/// Name of a checksum file, relative to the table's root.
pub fn checksum_name(version: u64) -> String {
    format!("_delta_log/{version:020}.crc")
}

/// Name of a V2 checkpoint's main file, relative to the table's root.
pub fn uuid_checkpoint_name(version: u64, id: Uuid) -> String {
    format!("_delta_log/{version:020}.checkpoint.{id}.parquet")
}

/// Directory of the sidecars, relative to the table's root.
pub const SIDECARS: &str = "_delta_log/_sidecars";

/// Name of a classic checkpoint, relative to the table's root.
pub fn checkpoint_name(version: u64) -> String {
    format!("_delta_log/{version:020}.checkpoint.parquet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_exactly() {
        let id = "00000000-0000-0000-0000-000000000000";
        let cases = [
            ("00000000000000000007.json".to_owned(), Some(LogPath::Commit { version: 7 })),
            ("00000000000000000007.crc".to_owned(), Some(LogPath::Checksum { version: 7 })),
            ("00000000000000000007.checkpoint.parquet".to_owned(), Some(LogPath::Checkpoint { version: 7 })),
            (
                "00000000000000000007.checkpoint.0000000002.0000000003.parquet".to_owned(),
                Some(LogPath::CheckpointPart { version: 7, part: 2, parts: 3 }),
            ),
            (format!("00000000000000000007.checkpoint.{id}.json"), Some(LogPath::UuidCheckpoint { version: 7 })),
            (
                "00000000000000000007.00000000000000000009.compacted.json".to_owned(),
                Some(LogPath::Compacted { from: 7, to: 9 }),
            ),
            ("00000000000000000007.00000000000000000007.compacted.json".to_owned(), None),
            ("00000000000000000007.checkpoint.0000000004.0000000003.parquet".to_owned(), None),
            ("0000000000000000007.json".to_owned(), None),
            ("+0000000000000000007.json".to_owned(), None),
            ("99999999999999999999.json".to_owned(), None),
            (".00000000000000000007.json.crc".to_owned(), None),
            ("00000000000000000007.json.tmp".to_owned(), None),
            ("_last_checkpoint".to_owned(), None),
            (String::new(), None),
        ];
        for (name, wanted) in cases {
            assert_eq!(LogPath::parse(&name), wanted, "LOG-1: {name}");
        }
        assert_eq!(LogPath::parse(commit_name(12).trim_start_matches("_delta_log/")).map(|p| p.version()), Some(12));
    }
}
