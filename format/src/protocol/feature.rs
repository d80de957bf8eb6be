//! The table features of the protocol and what Lake does with each.

use std::collections::BTreeSet;

use crate::action::Protocol;

/// What Lake does with a feature on one side, reading or writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Obeyed in full.
    Yes,
    /// Fine while the table does not use it; refused by name once it does.
    Unused,
    /// Obeyed where an evaluator of SQL expressions is given; without one, rows are refused by rule.
    Evaluated,
    /// Refused by name.
    No,
    /// Asks nothing of this side.
    Free,
}

/// One row of the feature table.
#[derive(Clone, Copy, Debug)]
pub struct Feature {
    /// Name as listed in the protocol action.
    pub name: &'static str,
    /// Listed for readers as well as for writers.
    pub for_readers: bool,
    /// Writer version that implies the feature without naming it; 0 when none does.
    pub implied_by_writer: i32,
    /// Reading.
    pub read: Support,
    /// Writing.
    pub write: Support,
}

const fn writer(name: &'static str, implied_by_writer: i32, write: Support) -> Feature {
    Feature { name, for_readers: false, implied_by_writer, read: Support::Free, write }
}

const fn both(name: &'static str, implied_by_writer: i32, read: Support, write: Support) -> Feature {
    Feature { name, for_readers: true, implied_by_writer, read, write }
}

/// Every feature that Lake knows by name. Others are refused as unknown.
pub const FEATURES: &[Feature] = &[
    writer("appendOnly", 2, Support::Yes),
    writer("invariants", 2, Support::Evaluated),
    writer("checkConstraints", 3, Support::Evaluated),
    writer("changeDataFeed", 4, Support::Yes),
    writer("generatedColumns", 4, Support::Evaluated),
    both("columnMapping", 5, Support::Yes, Support::Yes),
    writer("identityColumns", 6, Support::Unused),
    writer("allowColumnDefaults", 0, Support::Evaluated),
    writer("domainMetadata", 0, Support::Yes),
    both("deletionVectors", 0, Support::Yes, Support::Yes),
    both("timestampNtz", 0, Support::Yes, Support::Yes),
    both("vacuumProtocolCheck", 0, Support::Yes, Support::Yes),
    writer("rowTracking", 0, Support::Yes),
    writer("clustering", 0, Support::Yes),
    writer("inCommitTimestamp", 0, Support::Yes),
    writer("icebergCompatV1", 0, Support::No),
    writer("icebergCompatV2", 0, Support::No),
    writer("icebergCompatV3", 0, Support::No),
    writer("checkpointProtection", 0, Support::Yes),
    writer("materializePartitionColumns", 0, Support::No),
    both("v2Checkpoint", 0, Support::Yes, Support::Yes),
    both("typeWidening", 0, Support::Yes, Support::Yes),
    both("typeWidening-preview", 0, Support::Yes, Support::No),
    both("variantType", 0, Support::Yes, Support::Unused),
    both("variantType-preview", 0, Support::Yes, Support::Unused),
    both("variantShredding", 0, Support::Unused, Support::Unused),
    both("catalogManaged", 0, Support::No, Support::No),
];

/// The features that a protocol asks for, by name: those listed and, below the versions that list them, those that
/// the versions imply.
pub fn features_of(protocol: &Protocol) -> BTreeSet<String> {
    let mut features: BTreeSet<String> = protocol.reader_features.iter().flatten().cloned().collect();
    match &protocol.writer_features {
        Some(listed) => features.extend(listed.iter().cloned()),
        None => {
            let implied = |feature: &&Feature| (1..=protocol.min_writer_version).contains(&feature.implied_by_writer);
            features.extend(FEATURES.iter().filter(implied).map(|feature| feature.name.to_owned()));
        }
    }
    features
}

impl Feature {
    /// The row called `name`.
    pub fn named(name: &str) -> Option<&'static Self> {
        FEATURES.iter().find(|feature| feature.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(support: Support) -> &'static str {
        match support {
            Support::Yes => "yes",
            Support::Unused => "while not in use",
            Support::Evaluated => "with an evaluator",
            Support::No => "refused by name",
            Support::Free => "yes (asks nothing)",
        }
    }

    fn page() -> String {
        let mut page = String::from(
            "# Table features\n\nWhat Lake does with each feature of the protocol. *While not in use*: the table may list \
             the feature, and is\nread or written as long as nothing in it makes use of it. *With an evaluator*: rows are written where the writer is \
             given\none for SQL expressions, and refused by rule otherwise. Features that are not listed here \
             are refused by name too.\n\n| feature | read | write |\n| --- | --- | --- |\n",
        );
        for feature in FEATURES {
            page += &format!("| `{}` | {} | {} |\n", feature.name, words(feature.read), words(feature.write));
        }
        page += "\nWhere row tracking is on (`delta.enableRowTracking`), rows are not moved to other files: compaction is refused by \
                 name, and so is an\noverwrite by a condition that would have to split a file. The same holds for such an \
                 overwrite where the change feed is on.\n";
        page + "\nThis page is generated: `LAKE_BLESS=1 cargo test -p lake-format features_page` writes it.\n"
    }

    #[test]
    fn the_features_page_is_up_to_date() {
        let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
        let path = format!("{here}/../spec/features.md");
        if std::env::var_os("LAKE_BLESS").is_some() {
            std::fs::write(&path, page()).expect("spec/features.md");
        }
        assert_eq!(std::fs::read_to_string(&path).expect("spec/features.md"), page(), "LAKE_BLESS=1 rewrites it");
    }
}
