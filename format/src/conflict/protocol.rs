//! A winner that changed the protocol: whether what was decided under the old one still stands.

use std::collections::BTreeSet;

use crate::action::Protocol;
use crate::protocol::features_of;

/// Features that a commit made without them may follow: they ask nothing of the rows and files that it decided on
/// without them, or what they ask is stamped on every attempt.
const HARMLESS: &[&str] = &[
    "appendOnly",
    "catalogManaged",
    "changeDataFeed",
    "columnMapping",
    "deletionVectors",
    "domainMetadata",
    "icebergCompatV1",
    "icebergCompatV2",
    "icebergCompatV3",
    "inCommitTimestamp",
    "rowTracking",
    "timestampNtz",
    "typeWidening",
    "v2Checkpoint",
    "vacuumProtocolCheck",
];

/// What is wrong with following a commit that made `theirs` of the protocol `before` (CON-9).
pub(super) fn clash(before: &Protocol, mine: Option<&Protocol>, theirs: &Protocol) -> Option<String> {
    if mine.is_some() {
        return Some("changed the protocol, as this operation does".to_owned());
    }
    let (old, new) = (features_of(before), features_of(theirs));
    let names = |features: BTreeSet<&String>| features.into_iter().cloned().collect::<Vec<_>>().join(", ");
    let dropped: BTreeSet<&String> = old.difference(&new).collect();
    if !dropped.is_empty() {
        return Some(format!("took the feature {} from the protocol", names(dropped)));
    }
    let added: BTreeSet<&String> = new.difference(&old).filter(|name| !HARMLESS.contains(&name.as_str())).collect();
    if !added.is_empty() {
        return Some(format!("added the feature {} to the protocol", names(added)));
    }
    None
}
