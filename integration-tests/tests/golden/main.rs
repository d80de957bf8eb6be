//! Published tables: each is read right, or refused by the name of the feature that is missing.
//!
//! `LAKE_GOLDEN` names the folder of tables with its `index.json`.

mod compare;
mod index;

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use futures::{FutureExt, TryStreamExt};
use index::{Entry, Kind};
use lake_format::scan::ReadOptions;
use lake_format::{At, Error, ErrorKind, ScanRequest, Snapshot, StoreOptions, SystemClock, TableRoot};

/// How one entry came out.
enum Verdict {
    Right,
    Refused(String),
    Wrong(String),
}

fn golden() -> PathBuf {
    let folder = std::env::var_os("LAKE_GOLDEN").expect("LAKE_GOLDEN names the folder of published tables");
    PathBuf::from(folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_published_table_is_read_right_or_refused_by_name() {
    let folder = golden();
    let entries = index::load(&folder);
    assert!(entries.len() > 100, "the index holds {} entries", entries.len());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for entry in &entries {
        let judged = AssertUnwindSafe(judge(&folder, entry)).catch_unwind().await;
        let verdict = judged.unwrap_or_else(|_| Verdict::Wrong("panicked".into()));
        let name = match &verdict {
            Verdict::Right => "right",
            Verdict::Refused(_) => "refused by name",
            Verdict::Wrong(_) => "wrong",
        };
        *counts.entry(name).or_default() += 1;
        match verdict {
            Verdict::Right => {}
            Verdict::Refused(why) => println!("refused  {}: {why}", entry.table),
            Verdict::Wrong(why) => wrong.push(format!("{}: {why}", entry.table)),
        }
    }
    println!("{counts:?}");
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

async fn judge(folder: &Path, entry: &Entry) -> Verdict {
    let table = folder.join(&entry.table);
    if table.is_file() {
        return Verdict::Refused("a packed archive, not a table".into());
    }
    let loaded = load(&table, At::Latest).await;
    match (entry.kind, loaded) {
        (Kind::Refuse, Err(error)) => match error.kind() {
            ErrorKind::Unsupported | ErrorKind::Corrupt | ErrorKind::NotFound => Verdict::Right,
            kind => Verdict::Wrong(format!("refused, but as {kind:?}: {error}")),
        },
        (Kind::Refuse, Ok(snapshot)) => Verdict::Wrong(format!("must be refused, read version {}", snapshot.version())),
        (_, Err(error)) => refusal(entry, &error),
        (Kind::LogOnly, Ok(snapshot)) => live_files(entry, &snapshot).await,
        (_, Ok(snapshot)) => match contents(&table, entry, &snapshot).await {
            Ok(None) => Verdict::Right,
            Ok(Some(why)) => Verdict::Wrong(why),
            Err(error) => refusal(entry, &error),
        },
    }
}

/// A refusal counts only when it names a feature that the table really has.
fn refusal(entry: &Entry, error: &Error) -> Verdict {
    let text = format!("{error}");
    let named = entry.features.iter().map(String::as_str).chain(["columnMapping", "shallow clones"]);
    let hint = error.hint().unwrap_or_default();
    let right_kind = error.kind() == ErrorKind::Unsupported;
    if right_kind && named.into_iter().any(|name| text.contains(name) || hint.contains(name)) {
        return Verdict::Refused(text);
    }
    if right_kind && matches!(entry.kind, Kind::Special | Kind::RefuseOrSupport) {
        return Verdict::Refused(text);
    }
    Verdict::Wrong(format!("{:?}: {text}", error.kind()))
}

async fn live_files(entry: &Entry, snapshot: &Snapshot) -> Verdict {
    match (entry.live_files, snapshot.files().await) {
        (_, Err(error)) => refusal(entry, &error),
        (Some(wanted), Ok(files)) if wanted != files.len() => {
            Verdict::Wrong(format!("{} live files instead of {wanted}", files.len()))
        }
        _ => Verdict::Right,
    }
}

async fn contents(table: &Path, entry: &Entry, snapshot: &Snapshot) -> Result<Option<String>, Error> {
    if let Some(wanted) = entry.version
        && snapshot.version() != wanted
    {
        return Ok(Some(format!("version {} instead of {wanted}", snapshot.version())));
    }
    if entry.kind == Kind::Special && snapshot.files().await?.is_empty() {
        return Ok(None);
    }
    let batches = rows(snapshot).await?;
    let found: usize = batches.iter().map(|batch| batch.num_rows()).sum();
    if let Some(wanted) = entry.rows
        && found != wanted
    {
        return Ok(Some(format!("{found} rows instead of {wanted}")));
    }
    if let Some(wanted) = entry.live_files
        && snapshot.files().await?.len() != wanted
    {
        return Ok(Some(format!("{} live files instead of {wanted}", snapshot.files().await?.len())));
    }
    for expected in entry.expected_folders(table, None) {
        if let Some(difference) = compare::difference(&batches, &expected, entry.ignored_column()) {
            return Ok(Some(difference));
        }
    }
    for (version, wanted) in entry.versions() {
        let older = load(table, At::Version(version)).await?;
        let batches = rows(&older).await?;
        let found: usize = batches.iter().map(|batch| batch.num_rows()).sum();
        if found != wanted {
            return Ok(Some(format!("version {version}: {found} rows instead of {wanted}")));
        }
        for expected in entry.expected_folders(table, Some(version)) {
            if let Some(difference) = compare::difference(&batches, &expected, entry.ignored_column()) {
                return Ok(Some(format!("version {version}: {difference}")));
            }
        }
    }
    Ok(None)
}

async fn load(table: &Path, at: At) -> Result<Snapshot, Error> {
    let root = TableRoot::open(&table.to_string_lossy(), &StoreOptions::default())?;
    Snapshot::load(root, at, SystemClock::shared()).await
}

async fn rows(snapshot: &Snapshot) -> Result<Vec<arrow::array::RecordBatch>, Error> {
    let plan = snapshot.plan_scan(&ScanRequest::default()).await?;
    plan.stream(ReadOptions::default()).try_collect().await
}
