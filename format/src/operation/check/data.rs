//! The data files of a version: there, as large as told, with the rows and values that their statistics tell of.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use futures::{StreamExt, TryStreamExt, stream};

use super::{CheckOptions, CheckReport, Finding, Severity, is_finding, statistics};
use crate::action::partition_value;
use crate::action::stats::Stats;
use crate::action::{Add, DeletionVectorDescriptor};
use crate::error::{ErrorKind, Result};
use crate::log::checkpoint::FilesWanted;
use crate::scan::{ScanPlan, ScanRequest};
use crate::schema::DataType;
use crate::snapshot::{Files, Snapshot};
use crate::store::parquet::ParquetFile;
use crate::store::{TableRoot, read_deletion_vector};

/// Files looked at together.
const CONCURRENT_FILES: usize = 8;
/// Files that the store is asked for when the listing lacks them.
const MOST_ASKED: u64 = 1_000;
/// Extra files named one by one.
const NAMED_EXTRAS: usize = 20;

pub(super) async fn check(snapshot: &Snapshot, options: CheckOptions, report: &mut CheckReport) -> Result<()> {
    let root = snapshot.root();
    let files = match snapshot.files().await {
        Ok(files) => files,
        Err(error) if is_finding(&error) => {
            report.damage("snapshot", root.display(), format!("the list of files can't be read: {error}"));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let objects: HashMap<String, u64> =
        root.list("").await?.into_iter().map(|object| (object.path.as_ref().to_owned(), object.size_bytes)).collect();
    let plan = if options.deep { Some(snapshot.plan_scan(&ScanRequest::default()).await?) } else { None };
    let (objects, plan) = (Objects::new(objects), plan.as_ref().map(by_path));
    let looked = stream::iter(files.iter())
        .map(|add| {
            let (objects, plan) = (&objects, plan.as_ref());
            async move { look(snapshot, &add, objects, plan).await }
        })
        .buffered(CONCURRENT_FILES);
    futures::pin_mut!(looked);
    while let Some(looked) = looked.next().await {
        let looked = looked?;
        report.files += 1;
        report.rows_read += looked.rows_read;
        looked.findings.into_iter().for_each(|finding| report.take(finding));
    }
    find_extras(snapshot, &files, &objects, report).await
}

/// A plan, and where in it a file is.
pub(super) type Planned<'a> = (&'a ScanPlan, HashMap<&'a str, usize>);

fn by_path(plan: &ScanPlan) -> Planned<'_> {
    (plan, plan.files.iter().enumerate().map(|(place, file)| (file.path(), place)).collect())
}

/// What lies below the table's root.
struct Objects {
    listed: HashMap<String, Object>,
    /// How often the store was asked for what was not listed.
    asked: AtomicU64,
}

/// Its size, and whether a file of the table was looked up there.
struct Object {
    size_bytes: u64,
    is_known: AtomicBool,
}

impl Objects {
    fn new(listed: HashMap<String, u64>) -> Self {
        let object = |size_bytes| Object { size_bytes, is_known: AtomicBool::new(false) };
        let listed = listed.into_iter().map(|(path, size_bytes)| (path, object(size_bytes))).collect();
        Self { listed, asked: AtomicU64::new(0) }
    }

    /// Size of a file; `None` when it is not there.
    async fn size_of(&self, root: &TableRoot, log_path: &str) -> Result<Option<u64>> {
        let path = &root.resolve(log_path)?;
        if let Some(object) = self.listed.get(path.as_ref()) {
            object.is_known.store(true, Ordering::Relaxed);
            return Ok(Some(object.size_bytes));
        }
        // Written since the listing, or outside of the table's own folder. Where thousands are missing, the listing is
        // taken at its word.
        let inside = root.relative(path).is_some();
        if inside && self.asked.fetch_add(1, Ordering::Relaxed) >= MOST_ASKED {
            return Ok(None);
        }
        Ok(root.head(path).await?.map(|object| object.size_bytes))
    }
}

/// What was found out of one file.
#[derive(Default)]
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    pub(super) rows_read: u64,
}

impl Looked {
    pub(super) fn damage(&mut self, check: &'static str, object: &str, message: impl Into<String>) {
        let (object, message) = (object.to_owned(), message.into());
        self.findings.push(Finding { severity: Severity::Damage, check, object, message });
    }

    fn warning(&mut self, check: &'static str, object: &str, message: impl Into<String>) {
        let (object, message) = (object.to_owned(), message.into());
        self.findings.push(Finding { severity: Severity::Warning, check, object, message });
    }
}

async fn look(snapshot: &Snapshot, add: &Add, objects: &Objects, plan: Option<&Planned<'_>>) -> Result<Looked> {
    let root = snapshot.root();
    let mut looked = Looked::default();
    let path = match root.resolve(&add.path) {
        Ok(path) => path,
        Err(error) => {
            looked.damage("path", &add.path, error.to_string());
            return Ok(looked);
        }
    };
    check_partition_values(snapshot, add, &mut looked);
    let name = root.name_of(&path);
    let Some(size) = objects.size_of(root, &add.path).await? else {
        looked.damage("missing-file", &name, "the log lists the file, and it is gone");
        return Ok(looked);
    };
    if u64::try_from(add.size) != Ok(size) {
        looked.damage("size", &name, format!("the file has {size} bytes, and the log says {}", add.size));
    }
    let rows = match ParquetFile::open(root, &path, Some(size)).await {
        Ok(file) => file.metadata().row_groups().iter().map(|group| group.num_rows()).sum::<i64>(),
        Err(error) if is_finding(&error) => {
            looked.damage("footer", &name, format!("not a readable Parquet file: {error}"));
            return Ok(looked);
        }
        Err(error) => return Err(error),
    };
    let stats = add.stats.as_deref().and_then(Stats::parse);
    if add.stats.is_some() && stats.is_none() {
        looked.warning("statistics", &name, "the statistics can't be parsed: readers pass over them");
    }
    if let Some(told) = stats.as_ref().and_then(|stats| stats.num_records).filter(|told| *told != rows) {
        looked.damage("row-count", &name, format!("the file has {rows} rows, and its statistics say {told}"));
    }
    let deleted = check_vector(root, add, rows, &name, &mut looked).await?;
    if let Some(plan) = plan {
        statistics::check(snapshot, plan, add, stats.as_ref(), rows.saturating_sub(deleted), &name, &mut looked)
            .await?;
    }
    Ok(looked)
}

/// Reads the file's deletion vector and gives its number of rows: it is there, whole, and lists rows of the file alone
/// (DV-2, DV-3).
async fn check_vector(root: &TableRoot, add: &Add, rows: i64, name: &str, looked: &mut Looked) -> Result<i64> {
    let Some(descriptor) = &add.deletion_vector else { return Ok(0) };
    match read_deletion_vector(root, descriptor).await {
        Ok(vector) => {
            if let Some(last) = vector.last().filter(|last| i64::try_from(*last).map_or(true, |last| last >= rows)) {
                looked.damage("deletion-vector", name, format!("row {last} is deleted, and the file has {rows} rows"));
            }
            Ok(i64::try_from(vector.len()).unwrap_or(i64::MAX))
        }
        Err(error) if is_finding(&error) || error.kind() == ErrorKind::Unsupported => {
            looked.damage("deletion-vector", name, error.to_string());
            Ok(descriptor.cardinality)
        }
        Err(error) => Err(error),
    }
}

fn check_partition_values(snapshot: &Snapshot, add: &Add, looked: &mut Looked) {
    for column in snapshot.partition_columns() {
        let Some(field) = snapshot.schema().field(column) else { continue };
        let DataType::Primitive(primitive) = &field.data_type else { continue };
        let name = statistics::physical(snapshot, field).to_lowercase();
        let Some((_, text)) = add.partition_values.iter().find(|(key, _)| key.to_lowercase() == name) else {
            let message = format!("column {column}: the log gives no value, and readers take it for null");
            looked.damage("partition-value", &add.path, message);
            continue;
        };
        let text = text.as_deref();
        if let Err(error) = partition_value::parse(text, primitive) {
            looked.damage("partition-value", &add.path, format!("column {column}: {error}"));
        }
    }
}

/// Objects that no version known needs: of writes that failed, or kept for older versions. A vacuum removes them.
async fn find_extras(snapshot: &Snapshot, live: &Files, objects: &Objects, report: &mut CheckReport) -> Result<()> {
    let root: &TableRoot = snapshot.root();
    let mut unknown: HashMap<&str, u64> = HashMap::new();
    for (path, object) in objects.listed.iter().filter(|(_, object)| !object.is_known.load(Ordering::Relaxed)) {
        unknown.insert(path, object.size_bytes);
    }
    let mut know = |path: &str| {
        root.resolve(path).ok().and_then(|path| unknown.remove(path.as_ref()));
    };
    let mut know_both = |path: &str, vector: Option<&DeletionVectorDescriptor>| {
        know(path);
        vector.and_then(|vector| vector.log_path().ok().flatten()).iter().for_each(|path| know(path));
    };
    // The data files themselves were looked up.
    for batch in live.batches() {
        for row in (0..batch.len()).filter(|&row| batch.vector_id(row).is_some()) {
            let add = batch.add_without_stats(row);
            know_both(&add.path, add.deletion_vector.as_ref());
        }
    }
    let mut tombstones = snapshot.batches(&FilesWanted::removes());
    while let Some(batch) = tombstones.try_next().await? {
        for remove in (0..batch.len()).map(|row| batch.remove(row)) {
            know_both(&remove.path, remove.deletion_vector.as_ref());
        }
    }
    let hidden = |relative: &str| {
        // Names that begin so are nobody's data, but for partitions of such columns.
        relative.split('/').any(|part| part.starts_with(['_', '.']) && !part.contains('='))
    };
    let prefix = format!("{}/", root.prefix());
    let mut extras: Vec<(&str, u64)> = unknown
        .into_iter()
        .filter_map(|(path, size)| Some((path.strip_prefix(&prefix)?, size)))
        .filter(|(relative, _)| !hidden(relative))
        .collect();
    extras.sort_unstable();
    report.extra_files = extras.len() as u64;
    report.extra_bytes = extras.iter().map(|(_, size)| size).sum();
    for (relative, size) in extras.iter().take(NAMED_EXTRAS) {
        let message = format!("a file of {size} bytes that the table does not know; vacuum removes it in time");
        report.add(Severity::Note, "extra-file", (*relative).to_owned(), message);
    }
    Ok(())
}
