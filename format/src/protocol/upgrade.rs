//! Features that a user asks for, and the protocol that has them.

use std::collections::{BTreeMap, BTreeSet};

use super::feature::{FEATURES, Feature, Support};
use super::gate::is_supported;
use super::properties::check_property_change;
use crate::action::Protocol;
use crate::error::{Error, Result};
use crate::schema::MappingMode;
use crate::schema::mapping::MODE_PROPERTY;

const FEATURE_DIRECTIVE: &str = "delta.feature.";

/// What a user's properties ask for: some are orders to change the protocol, which are obeyed and not kept; others
/// are kept and may need a feature (PRO-1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// Features that must be in the protocol.
    pub features: BTreeSet<&'static str>,
    /// Least reader version asked for; 0 when none is.
    pub min_reader_version: i32,
    /// Least writer version asked for; 0 when none is.
    pub min_writer_version: i32,
    /// Properties to be kept, in their canonical spelling.
    pub properties: BTreeMap<String, String>,
}

impl Directives {
    /// Sorts out what a user has set.
    ///
    /// # Errors
    /// `Unsupported` naming a property that Lake does not act on or a feature that it does not keep to, `Invalid` for
    /// a value that makes no sense.
    pub fn parse(set: &BTreeMap<String, String>) -> Result<Self> {
        let mut asked = Self::default();
        for (key, value) in set {
            let lower = key.to_ascii_lowercase();
            match lower.as_str() {
                "delta.minreaderversion" => asked.min_reader_version = version(key, value, 3)?,
                "delta.minwriterversion" => asked.min_writer_version = version(key, value, 7)?,
                _ if lower.starts_with(FEATURE_DIRECTIVE) => asked.feature(key, value)?,
                _ => {
                    let name = check_property_change(key, value)?;
                    for feature in features_of(&name, value) {
                        asked.features.insert(enabled_by(feature, key)?.name);
                    }
                    asked.properties.insert(name, value.clone());
                }
            }
        }
        Ok(asked)
    }

    fn feature(&mut self, key: &str, value: &str) -> Result<()> {
        if !["supported", "enabled"].iter().any(|word| value.eq_ignore_ascii_case(word)) {
            return Err(Error::invalid(format!("a table feature is asked for with \"supported\", not {value:?}"))
                .with_object(key.to_owned()));
        }
        self.features.insert(enabled_by(&key[FEATURE_DIRECTIVE.len()..], key)?.name);
        Ok(())
    }
}

fn version(key: &str, value: &str, most: i32) -> Result<i32> {
    let parsed = value.trim().parse::<i32>().ok().filter(|version| (1..=most).contains(version));
    parsed.ok_or_else(|| {
        Error::invalid(format!("{value:?} is not a version from 1 to {most}")).with_object(key.to_owned())
    })
}

/// The feature of that name, if a table that has it is one that Lake reads and writes.
fn enabled_by(name: &str, key: &str) -> Result<&'static Feature> {
    let feature = FEATURES.iter().find(|feature| feature.name.eq_ignore_ascii_case(name));
    match feature.filter(|feature| can_enable(feature)) {
        Some(feature) => Ok(feature),
        None => Err(Error::unsupported(format!("the table feature {name:?} can't be enabled by this version of Lake"))
            .with_object(key.to_owned())
            .with_hint("nothing was changed; spec/features.md lists what Lake reads and writes")),
    }
}

fn can_enable(feature: &Feature) -> bool {
    let reads = matches!(feature.read, Support::Yes | Support::Free);
    reads && feature.write != Support::No && !feature.name.ends_with("-preview")
}

/// Whether Lake can give a table every feature that the property needs.
pub(crate) fn can_set(key: &str, value: &str) -> bool {
    let needed = features_of(key, value);
    needed.iter().all(|name| Feature::named(name).is_some_and(can_enable))
}

/// Features that a property needs, by its canonical name.
fn features_of(key: &str, value: &str) -> &'static [&'static str] {
    let on = value.eq_ignore_ascii_case("true");
    match key {
        MODE_PROPERTY if MappingMode::parse(value).is_some_and(MappingMode::is_on) => &["columnMapping"],
        "delta.appendOnly" if on => &["appendOnly"],
        "delta.enableDeletionVectors" if on => &["deletionVectors"],
        "delta.enableTypeWidening" if on => &["typeWidening"],
        "delta.enableInCommitTimestamps" if on => &["inCommitTimestamp"],
        "delta.enableRowTracking" if on => &["rowTracking", "domainMetadata"],
        "delta.checkpointPolicy" if value.eq_ignore_ascii_case("v2") => &["v2Checkpoint"],
        _ => &[],
    }
}

/// Features that another one can't be without.
fn needed_by(name: &str) -> &'static [&'static str] {
    match name {
        "rowTracking" | "clustering" => &["domainMetadata"],
        "variantShredding" => &["variantType"],
        "catalogManaged" => &["inCommitTimestamp"],
        "icebergCompatV1" | "icebergCompatV2" => &["columnMapping"],
        _ => &[],
    }
}

/// The least protocol at or above `protocol` that supports what is asked for. What was supported stays so: going to
/// named features, everything that the old versions implied is listed (PRO-2).
///
/// # Errors
/// `Invalid` for versions that contradict each other.
pub fn upgraded(protocol: &Protocol, asked: &Directives) -> Result<Protocol> {
    let mut missing: BTreeSet<&'static str> = asked.features.clone();
    missing.extend(asked.features.iter().flat_map(|name| needed_by(name)));
    missing.retain(|name| !is_supported(protocol, name));
    let mut new = protocol.clone();
    new.min_reader_version = new.min_reader_version.max(asked.min_reader_version);
    new.min_writer_version = new.min_writer_version.max(asked.min_writer_version);
    if new.min_reader_version == 2 && new.min_writer_version < 5 {
        new.min_writer_version = 5;
    }
    if new.min_reader_version >= 3 && new.min_writer_version < 7 {
        if asked.min_writer_version > 0 {
            return Err(Error::invalid("reader version 3 needs writer version 7").with_object("delta.minWriterVersion"));
        }
        new.min_writer_version = 7;
    }
    if missing.is_empty() && new.min_writer_version < 7 {
        return Ok(new);
    }
    new.min_writer_version = 7;
    let mut writer = match &protocol.writer_features {
        Some(listed) if protocol.min_writer_version >= 7 => listed.clone(),
        _ => {
            let implied = |feature: &&Feature| (1..=protocol.min_writer_version).contains(&feature.implied_by_writer);
            let named = FEATURES.iter().filter(implied).map(|feature| feature.name.to_owned());
            named.collect()
        }
    };
    if protocol.min_reader_version == 2 {
        missing.insert("columnMapping");
    }
    add(&mut writer, missing.iter().map(|&name| name.to_owned()));
    let for_readers: Vec<String> =
        writer.iter().filter(|name| Feature::named(name).is_some_and(|feature| feature.for_readers)).cloned().collect();
    let only_mapping = new.min_reader_version == 2 && for_readers.iter().all(|name| name == "columnMapping");
    if new.min_reader_version >= 3 || !(for_readers.is_empty() || only_mapping) {
        new.min_reader_version = 3;
        let mut reader = protocol.reader_features.clone().filter(|_| protocol.min_reader_version >= 3);
        add(reader.get_or_insert_default(), for_readers.into_iter());
        new.reader_features = reader;
    }
    new.writer_features = Some(writer);
    Ok(new)
}

fn add(list: &mut Vec<String>, names: impl Iterator<Item = String>) {
    for name in names {
        if !list.contains(&name) {
            list.push(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn legacy(reader: i32, writer: i32) -> Protocol {
        Protocol { min_reader_version: reader, min_writer_version: writer, ..Protocol::default() }
    }

    fn asked(pairs: &[(&str, &str)]) -> Directives {
        let set = pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        Directives::parse(&set).expect("directives")
    }

    fn sorted(list: &Option<Vec<String>>) -> Vec<&str> {
        let mut names: Vec<&str> = list.iter().flatten().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn directives_are_obeyed_and_not_kept() {
        let directives = asked(&[
            ("delta.feature.timestampNtz", "supported"),
            ("delta.minReaderVersion", "1"),
            ("delta.columnmapping.mode", "name"),
            ("owner", "me"),
        ]);
        let features: Vec<&str> = directives.features.iter().copied().collect();
        assert_eq!(features, ["columnMapping", "timestampNtz"], "PRO-1");
        let kept: Vec<&str> = directives.properties.keys().map(String::as_str).collect();
        assert_eq!(kept, ["delta.columnMapping.mode", "owner"], "PRO-1");
        for (key, value) in [("delta.feature.nosuch", "supported"), ("delta.feature.catalogManaged", "supported")] {
            let set = BTreeMap::from([(key.to_owned(), value.to_owned())]);
            let error = Directives::parse(&set).expect_err("PRO-1");
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(&key[FEATURE_DIRECTIVE.len()..]), "{error}");
        }
        let set = BTreeMap::from([("delta.feature.timestampNtz".to_owned(), "no".to_owned())]);
        assert_eq!(Directives::parse(&set).expect_err("value").kind(), ErrorKind::Invalid);
    }

    #[test]
    fn going_to_named_features_lists_what_was_implied() {
        let new = upgraded(&legacy(1, 4), &asked(&[("delta.feature.timestampNtz", "supported")])).expect("upgrade");
        assert_eq!((new.min_reader_version, new.min_writer_version), (3, 7));
        assert_eq!(sorted(&new.reader_features), ["timestampNtz"]);
        let wanted =
            ["appendOnly", "changeDataFeed", "checkConstraints", "generatedColumns", "invariants", "timestampNtz"];
        assert_eq!(sorted(&new.writer_features), wanted, "PRO-2");
        let mapped =
            upgraded(&legacy(2, 5), &asked(&[("delta.feature.domainMetadata", "supported")])).expect("upgrade");
        assert_eq!((mapped.min_reader_version, mapped.reader_features.is_none()), (2, true));
        assert!(mapped.writer_features.expect("features").contains(&"columnMapping".to_owned()), "PRO-2");
        let same = upgraded(&legacy(2, 5), &asked(&[("delta.columnMapping.mode", "name")])).expect("nothing to do");
        assert_eq!(same, legacy(2, 5));
    }

    #[test]
    fn every_upgrade_is_one_that_passes_the_gate_and_keeps_what_there_was() {
        let starts = [legacy(1, 1), legacy(1, 2), legacy(1, 5), legacy(2, 5), legacy(2, 6)];
        let names: Vec<&Feature> = FEATURES.iter().filter(|feature| can_enable(feature)).collect();
        for start in &starts {
            for first in &names {
                for second in &names {
                    let features = BTreeSet::from([first.name, second.name]);
                    let asked = Directives { features: features.clone(), ..Directives::default() };
                    let new = upgraded(start, &asked).expect("upgrade");
                    super::super::check_read(&new, &crate::action::Metadata::default()).expect("PRO-2");
                    assert!(features.iter().all(|name| is_supported(&new, name)), "{features:?} in {new:?}");
                    for feature in FEATURES.iter().filter(|feature| is_supported(start, feature.name)) {
                        assert!(is_supported(&new, feature.name), "PRO-2: {} of {start:?} in {new:?}", feature.name);
                    }
                    assert_eq!(upgraded(&new, &asked).expect("again"), new);
                }
            }
        }
    }

    #[test]
    fn versions_asked_for_are_raised_never_lowered() {
        let new = upgraded(&legacy(1, 2), &asked(&[("delta.minReaderVersion", "2")])).expect("raise");
        assert_eq!(new, legacy(2, 5));
        assert_eq!(upgraded(&legacy(2, 6), &asked(&[("delta.minWriterVersion", "3")])).expect("stay"), legacy(2, 6));
        let contradiction = asked(&[("delta.minReaderVersion", "3"), ("delta.minWriterVersion", "5")]);
        assert_eq!(upgraded(&legacy(1, 2), &contradiction).expect_err("PRO-2").kind(), ErrorKind::Invalid);
        let named = upgraded(&legacy(1, 2), &asked(&[("delta.minWriterVersion", "7")])).expect("names");
        assert_eq!(sorted(&named.writer_features), ["appendOnly", "invariants"]);
        assert_eq!((named.min_reader_version, named.reader_features), (1, None));
    }
}
