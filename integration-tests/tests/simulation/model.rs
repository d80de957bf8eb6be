//! A second, simpler reader of the log: every version as plain values, from the bytes that were committed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::history::{APPS, DOMAINS, digest};

/// A live file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    pub vector: Option<String>,
    pub size: i64,
    pub base_row_id: Option<i64>,
    pub partition: Option<String>,
}

/// The table at one version.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub files: BTreeMap<String, File>,
    pub tombstones: BTreeSet<(String, Option<String>)>,
    pub txns: BTreeMap<String, i64>,
    pub domains: BTreeMap<String, String>,
    pub configuration: BTreeMap<String, String>,
    pub row_id: i64,
}

impl Table {
    pub fn digest(&self) -> u64 {
        let file = |(path, file): (&String, &File)| (path.clone(), file.vector.clone(), file.size, file.base_row_id);
        let txns = self.txns.iter().map(|(app, version)| (app.as_str(), *version));
        let txns = txns.filter(|(app, _)| APPS.contains(app));
        let known = |name: &str| name == "delta.rowTracking" || DOMAINS.contains(&name);
        let domains = self.domains.iter().filter(|(name, _)| known(name));
        let domains = domains.map(|(name, text)| (name.clone(), text.clone())).collect();
        digest(&self.files.iter().map(file).collect(), txns, &domains, &self.configuration)
    }
}

/// One version.
#[derive(Clone, Debug)]
pub struct Version {
    pub bytes: Bytes,
    pub txn_id: String,
    pub in_commit_ms: Option<i64>,
    /// When the version was committed, by the rule of the table.
    pub time_ms: i64,
    pub blind: bool,
    pub metadata: bool,
    pub added: BTreeSet<String>,
    pub domains: BTreeSet<String>,
    pub txns: Vec<(String, i64)>,
    pub after: Arc<Table>,
    pub digest: u64,
}

/// Reads the bytes of the version after `before` and checks what holds for every commit, whoever made it.
pub fn next(before: Option<&Version>, bytes: &Bytes, modified_ms: i64, rows_tracked: bool) -> Result<Version, String> {
    let mut table =
        before.map(|version| Table::clone(&version.after)).unwrap_or(Table { row_id: -1, ..Table::default() });
    let mut actions = Vec::new();
    for line in bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let action: Value = serde_json::from_slice(line).map_err(|e| format!("LOG-2: {e}"))?;
        actions.push(action);
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let path_of = |action: &Value| text(&action["path"]).ok_or("an action without a path".to_owned());
    let vector_of = |action: &Value| text(&action["deletionVector"]["pathOrInlineDv"]);
    let info = actions.first().map(|action| action["commitInfo"].clone()).unwrap_or_default();
    let (mut added, mut domains, mut txns, mut metadata) = (BTreeSet::new(), BTreeSet::new(), Vec::new(), false);
    for remove in actions.iter().map(|action| &action["remove"]).filter(|remove| remove.is_object()) {
        let (path, vector) = (path_of(remove)?, vector_of(remove));
        match table.files.get(&path) {
            Some(live) if live.vector == vector => drop(table.files.remove(&path)),
            live => return Err(format!("CON-4: removes {path} of {vector:?}, and what is live is {live:?}")),
        }
        table.tombstones.insert((path, vector));
    }
    let mut mark = table.row_id;
    for action in &actions {
        if let Some(domain) = action.get("domainMetadata") {
            let name = text(&domain["domain"]).unwrap_or_default();
            let configuration = text(&domain["configuration"]).unwrap_or_default();
            if name == "delta.rowTracking" {
                let said: Value = serde_json::from_str(&configuration).unwrap_or_default();
                mark = said["rowIdHighWaterMark"].as_i64().unwrap_or(-1);
            }
            domains.insert(name.clone());
            table.domains.insert(name, configuration);
        } else if let Some(txn) = action.get("txn") {
            let (app, number) = (text(&txn["appId"]).unwrap_or_default(), txn["version"].as_i64().unwrap_or(-1));
            if table.txns.get(&app).is_some_and(|known| *known >= number) {
                return Err(format!("COM-11: {app} applies {number} again"));
            }
            txns.push((app.clone(), number));
            table.txns.insert(app, number);
        } else if let Some(described) = action.get("metaData") {
            metadata = true;
            let pairs = described["configuration"].as_object().cloned().unwrap_or_default();
            table.configuration = pairs.iter().filter_map(|(key, value)| Some((key.clone(), text(value)?))).collect();
        }
    }
    if mark < table.row_id {
        return Err(format!("COM-10: the mark of row ids goes down from {} to {mark}", table.row_id));
    }
    let mut next_row = table.row_id + 1;
    for add in actions.iter().map(|action| &action["add"]).filter(|add| add.is_object()) {
        let (path, vector) = (path_of(add)?, vector_of(add));
        let base_row_id = add["baseRowId"].as_i64();
        let stats: Value = serde_json::from_str(add["stats"].as_str().unwrap_or("{}")).unwrap_or_default();
        let returns = table.tombstones.iter().any(|(gone, _)| *gone == path);
        if rows_tracked && !returns {
            let rows = stats["numRecords"].as_i64().unwrap_or(0);
            match base_row_id {
                Some(base) if base >= next_row && base + rows - 1 <= mark => next_row = base + rows,
                _ => {
                    return Err(format!(
                        "COM-10: {path} begins at row id {base_row_id:?}, after {next_row}, to {mark}"
                    ));
                }
            }
        }
        table.tombstones.remove(&(path.clone(), vector.clone()));
        let partition = text(&add["partitionValues"]["p"]);
        let file = File { vector, size: add["size"].as_i64().unwrap_or(-1), base_row_id, partition };
        if table.files.insert(path.clone(), file).is_some() {
            return Err(format!("LOG-4: adds {path}, which is live"));
        }
        added.insert(path);
    }
    table.row_id = mark;
    let in_commit_ms = info["inCommitTimestamp"].as_i64();
    let keeps_time = table.configuration.get("delta.enableInCommitTimestamps").is_some_and(|on| on == "true");
    let last_ms = before.map(|version| version.time_ms);
    let time_ms = match (keeps_time, in_commit_ms) {
        (true, None) => return Err("COM-9: no inCommitTimestamp".to_owned()),
        (true, Some(ms)) if last_ms.is_some_and(|last| ms <= last) => {
            return Err(format!("COM-9: the time {ms} is not after {last_ms:?}"));
        }
        (true, Some(ms)) => ms,
        (false, _) => last_ms.map_or(modified_ms, |last| modified_ms.max(last + 1)),
    };
    let digest = table.digest();
    Ok(Version {
        bytes: bytes.clone(),
        txn_id: text(&info["txnId"]).ok_or("COM-5: no txnId")?,
        in_commit_ms,
        time_ms,
        blind: info["isBlindAppend"] == true,
        metadata,
        added,
        domains,
        txns,
        after: Arc::new(table),
        digest,
    })
}
