//! A commit as a client proposes it: parsed strictly, and checked as far as no table is needed.

use std::collections::HashSet;

use bytes::Bytes;
use lake_catalog_api::CommitRequest;
use lake_format::action::deletion_vector::VectorLocation;
use lake_format::action::partition_value::decode_path;
use lake_format::action::{Action, Add, CommitInfo, DeletionVectorDescriptor};
use lake_format::log::{CommitBody, parse_commit};
use lake_format::protocol::column_mapping;
use lake_format::schema::mapping::logical_path;
use lake_format::{Error, ErrorKind, Result, TableRoot};
use uuid::Uuid;

use super::contract::UPSTREAMS_KEY;
use super::head::TableHead;

/// A proposed commit.
#[derive(Debug)]
pub(super) struct Proposal {
    /// What the committer needs.
    pub(super) body: CommitBody,
    /// What the bytes say.
    pub(super) actions: Vec<Action>,
    /// Upstreams that the commit names.
    pub(super) upstreams: Vec<String>,
    /// Whether it may change the protocol.
    allow_protocol_change: bool,
}

fn invalid(message: impl Into<String>) -> Error {
    Error::invalid(message).with_hint("nothing was committed; the request's actions are wrong")
}

impl Proposal {
    /// Parses a request.
    ///
    /// # Errors
    /// `Invalid` for actions that can't be parsed, that this server does not know, or that contradict the request.
    pub(super) fn parse(request: CommitRequest) -> Result<Self> {
        let txn_id: Uuid = request.txn_id.parse().map_err(|_| invalid("txn_id is not a UUID"))?;
        let version = request.version;
        if i64::try_from(version).is_err() {
            return Err(invalid("version is too large"));
        }
        let bytes = Bytes::from(request.actions);
        let actions = parse_commit(&bytes, version)
            .map_err(|e| invalid("the actions can't be parsed").with_source(std::io::Error::other(e.to_string())))?;
        let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
        if lines.count() != actions.len() {
            return Err(invalid("the actions hold one that this server does not know"));
        }
        let Some(Action::CommitInfo(info)) = actions.first() else {
            return Err(invalid("the first action is not commitInfo"));
        };
        if info.txn_id.as_deref().and_then(|text| text.parse::<Uuid>().ok()) != Some(txn_id) {
            return Err(invalid("commitInfo.txnId is not the request's txn_id"));
        }
        let upstreams = upstreams_of(info)?;
        check_once(&actions)?;
        let body = CommitBody { version, txn_id, bytes };
        Ok(Self { body, actions, upstreams, allow_protocol_change: request.allow_protocol_change })
    }

    /// Checks the actions against the table that they are to change.
    ///
    /// # Errors
    /// `Invalid` for paths outside the table, alien partition columns or another table's description; `Unsupported`
    /// for a change of the protocol that was not asked for, or that Lake can't follow.
    pub(super) fn check(&self, root: &TableRoot, head: &TableHead) -> Result<TableHead> {
        for action in &self.actions {
            match action {
                Action::Protocol(protocol) if *protocol != head.protocol && !self.allow_protocol_change => {
                    return Err(Error::unsupported("the commit changes the table's protocol")
                        .with_hint("nothing was committed; ask for it with allow_protocol_change"));
                }
                Action::Metadata(metadata) if metadata.id != head.metadata.id => {
                    return Err(invalid("the commit's metaData is another table's").with_object(metadata.id.clone()));
                }
                _ => {}
            }
        }
        let after = head.after(&self.actions).map_err(|e| match e.kind() {
            ErrorKind::Corrupt => invalid(format!("the commit's description of the table is wrong: {}", e.message())),
            _ => e,
        })?;
        for column in &after.metadata.partition_columns {
            if after.schema.field(column).is_none() {
                return Err(invalid("a partition column is not in the schema").with_object(column.clone()));
            }
        }
        for action in &self.actions {
            match action {
                Action::Add(add) => check_add(root, add, &after)?,
                Action::Cdc(cdc) => check_new_path(root, &cdc.path)?,
                Action::Remove(remove) => {
                    root.resolve(&remove.path).map_err(|e| outside(&remove.path, &e))?;
                }
                _ => {}
            }
        }
        Ok(after)
    }
}

fn upstreams_of(info: &CommitInfo) -> Result<Vec<String>> {
    let Some(value) = info.other.get(UPSTREAMS_KEY) else { return Ok(Vec::new()) };
    serde_json::from_value(value.clone())
        .ok()
        .filter(|names: &Vec<String>| names.len() <= 100)
        .ok_or_else(|| invalid(format!("commitInfo.{UPSTREAMS_KEY} is not a list of at most 100 names")))
}

/// At most one action of each kind for each key, as the protocol asks.
fn check_once(actions: &[Action]) -> Result<()> {
    let mut seen: HashSet<(&str, &str, String)> = HashSet::new();
    let vector = |dv: &Option<DeletionVectorDescriptor>| dv.as_ref().map(|dv| dv.unique_id()).unwrap_or_default();
    for action in actions {
        let key = match action {
            Action::CommitInfo(_) => ("commitInfo", "", String::new()),
            Action::Protocol(_) => ("protocol", "", String::new()),
            Action::Metadata(_) => ("metaData", "", String::new()),
            Action::Add(add) => ("add", add.path.as_str(), String::new()),
            Action::Remove(remove) => ("remove", remove.path.as_str(), String::new()),
            Action::Cdc(cdc) => ("cdc", cdc.path.as_str(), String::new()),
            Action::Txn(txn) => ("txn", txn.app_id.as_str(), String::new()),
            Action::Domain(domain) => ("domainMetadata", domain.domain.as_str(), String::new()),
        };
        let (kind, object) = (key.0, key.1);
        if !seen.insert(key) {
            return Err(invalid(format!("the actions hold {kind} twice for one key")).with_object(object.to_owned()));
        }
    }
    // A file may leave and join in one commit only with another deletion vector.
    let mut files: HashSet<(&str, String)> = HashSet::new();
    for action in actions {
        let file = match action {
            Action::Add(add) => (add.path.as_str(), vector(&add.deletion_vector)),
            Action::Remove(remove) => (remove.path.as_str(), vector(&remove.deletion_vector)),
            _ => continue,
        };
        let path = file.0;
        if !files.insert(file) {
            return Err(invalid("one file both leaves and joins the table").with_object(path.to_owned()));
        }
    }
    Ok(())
}

fn check_add(root: &TableRoot, add: &Add, after: &TableHead) -> Result<()> {
    check_new_path(root, &add.path)?;
    if add.size < 0 {
        return Err(invalid("a file of negative size").with_object(add.path.clone()));
    }
    if let Some(vector) = &add.deletion_vector {
        check_vector(root, add, vector, after)?;
    }
    let mapping = column_mapping(&after.protocol, &after.metadata);
    for column in add.partition_values.keys() {
        let logical = logical_path(&after.schema, mapping, std::slice::from_ref(column));
        let name = logical.as_ref().and_then(|path| path.first()).unwrap_or(column);
        if !after.metadata.partition_columns.contains(name) {
            return Err(invalid(format!("{column:?} is not a partition column")).with_object(add.path.clone()));
        }
    }
    Ok(())
}

/// A file with deleted rows: readers are told to expect such, the vector makes sense, its file is below the root, and
/// the rows that are left can be counted.
fn check_vector(root: &TableRoot, add: &Add, vector: &DeletionVectorDescriptor, after: &TableHead) -> Result<()> {
    let wrong = |what: &str| invalid(what).with_object(add.path.clone());
    if !after.protocol.writer_features.iter().flatten().any(|name| name == "deletionVectors") {
        return Err(wrong("a file has a deletion vector, but the table does not list the feature deletionVectors"));
    }
    let located = vector.locate().map_err(|e| wrong(&format!("a deletion vector is wrong: {}", e.message())))?;
    if let VectorLocation::File { log_path, .. } = located {
        root.resolve(&log_path).map_err(|e| outside(&log_path, &e))?;
    }
    match add.live_records() {
        Some(_) => Ok(()),
        None => Err(wrong("a file has a deletion vector, but its statistics do not count as many rows (numRecords)")),
    }
}

/// A new file's path: relative, below the root, and not in the log.
fn check_new_path(root: &TableRoot, path: &str) -> Result<()> {
    let decoded = decode_path(path).map_err(|e| outside(path, &e))?;
    let scheme = decoded.split_once(':').is_some_and(|(scheme, rest)| {
        rest.starts_with('/') && !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    });
    if decoded.starts_with('/') || scheme {
        return Err(invalid("the path of a new file must be relative to the table").with_object(path.to_owned()));
    }
    let object = root.resolve(path).map_err(|e| outside(path, &e))?;
    let below = root.relative(&object).unwrap_or_default();
    if below.is_empty() || below == "_delta_log" || below.starts_with("_delta_log/") {
        return Err(invalid("the path of a new file lies in the log").with_object(path.to_owned()));
    }
    Ok(())
}

fn outside(path: &str, error: &Error) -> Error {
    invalid(format!("the path of a file can't be one in the table: {}", error.message())).with_object(path.to_owned())
}
