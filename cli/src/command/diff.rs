//! `lake diff`: what changed between two versions of a table.

use std::collections::{BTreeMap, HashMap};

use lake_format::action::Add;
use lake_format::action::stats::Stats;
use lake_format::replay::{FileKey, Home};
use lake_format::schema::{StructField, StructType};
use lake_format::snapshot::Files;
use lake_format::{At, Error, Snapshot};
use lake_query::TableRef;
use serde_json::{Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{Kind, Listing, Object, bytes, time};

/// Show what changed between two versions of a table: files, rows, columns, properties
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  lake diff ./trips@3 ./trips@5
  lake diff ./trips@v3
  lake diff ./trips@2026-01-31 ./trips@2026-02-28 --format json
  lake diff ./trips@3 ./trips@5 --files --format csv

Without a second version the newest is meant. Rows are counted by the statistics of the files: a
row that was rewritten counts as removed and as added. With --files the files themselves are
listed.")]
pub struct Args {
    /// The older version: path, URL or catalog name with @v3 or @2026-01-31 behind it
    pub from: String,

    /// The newer version, the newest when not given
    pub to: Option<String>,

    /// List the files that came and went
    #[arg(long)]
    pub files: bool,
}

/// Runs `lake diff`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let from = context.reference(&args.from)?;
    let to = match &args.to {
        Some(to) => context.reference(to)?,
        None if from.at == At::Latest => {
            return Err(Error::invalid("a table is compared with itself")
                .with_object(args.from)
                .with_hint("say which versions, as ./trips@3 ./trips@5")
                .into());
        }
        None => TableRef::newest(from.place.clone()),
    };
    if from.place != to.place {
        return Err(Error::invalid("versions of one table are compared, and these are two tables")
            .with_object(format!("{} and {}", from.place, to.place))
            .into());
    }
    let (old, new) = (context.snapshot(&from).await?, context.snapshot(&to).await?);
    let (old_files, new_files) = (old.files().await?, new.files().await?);
    let moved = Moved::between(&old_files, &new_files, &new.root().home());
    if args.files {
        return context.output().listing(&moved.listing());
    }
    let mut object = Object::new()
        .with("table", Kind::Text, from.place.to_string())
        .with_shown("from", Kind::Json, version(&old), version_text(&old))
        .with_shown("to", Kind::Json, version(&new), version_text(&new))
        .with("num_rows", Kind::Json, json!({ "from": old_files.num_rows(), "to": new_files.num_rows() }));
    object = moved.tell(object);
    let columns = columns(old.schema(), new.schema());
    let properties = pairs(&old.metadata().configuration, &new.metadata().configuration);
    let table = table_changes(&old, &new);
    for (name, changes) in [("columns", columns), ("properties", properties), ("definition", table)] {
        let lines: Vec<&str> = changes.iter().map(|change| change.told.as_str()).collect();
        let shown = if lines.is_empty() { "unchanged".to_owned() } else { lines.join("\n") };
        let values: Vec<&Value> = changes.iter().map(|change| &change.value).collect();
        object = object.with_shown(name, Kind::Json, json!(values), shown);
    }
    context.output().object(&object)
}

fn version(snapshot: &Snapshot) -> Value {
    json!({ "version": snapshot.version(), "timestamp": time(snapshot.timestamp_ms()) })
}

fn version_text(snapshot: &Snapshot) -> String {
    format!("version {}, {}", snapshot.version(), time(snapshot.timestamp_ms()))
}

/// Files that came and went.
#[derive(Default)]
struct Moved {
    added: Vec<std::sync::Arc<Add>>,
    removed: Vec<std::sync::Arc<Add>>,
    /// Of files that are there before and after with other deleted rows.
    marked: Vec<(std::sync::Arc<Add>, std::sync::Arc<Add>)>,
    kept: u64,
}

impl Moved {
    fn between(old: &Files, new: &Files, home: &Home) -> Self {
        let mut before: HashMap<String, std::sync::Arc<Add>> =
            old.iter().map(|add| (FileKey::of_add(&add, home).path().to_owned(), add)).collect();
        let mut moved = Self::default();
        for add in new.iter() {
            let key = FileKey::of_add(&add, home);
            match before.remove(key.path()) {
                None => moved.added.push(add),
                Some(then) if FileKey::of_add(&then, home) == key => moved.kept += 1,
                Some(then) => moved.marked.push((then, add)),
            }
        }
        moved.removed = before.into_values().collect();
        moved.removed.sort_by(|a, b| a.path.cmp(&b.path));
        moved.added.sort_by(|a, b| a.path.cmp(&b.path));
        moved
    }

    fn tell(&self, object: Object) -> Object {
        let rows = |files: &[std::sync::Arc<Add>]| {
            files.iter().map(|add| rows_of(add)).try_fold(0_u64, |sum, rows| sum.checked_add(rows?))
        };
        let size = |files: &[std::sync::Arc<Add>]| {
            files.iter().fold(0_u64, |sum, add| sum.saturating_add(u64::try_from(add.size).unwrap_or(0)))
        };
        // Deleted rows of files that stay.
        let difference =
            |(a, b): &(std::sync::Arc<Add>, std::sync::Arc<Add>)| Some(rows_of(a)?.saturating_sub(rows_of(b)?));
        let deleted = self.marked.iter().map(difference).try_fold(0_u64, |sum, rows| sum.checked_add(rows?));
        let mut restored = self.marked.iter().map(|(a, b)| difference(&(b.clone(), a.clone())));
        let restored = restored.try_fold(0_u64, |sum, rows| sum.checked_add(rows?));
        let sum = |a: Option<u64>, b: Option<u64>| a.zip(b).and_then(|(a, b)| a.checked_add(b));
        object
            .with("files_added", Kind::Number, self.added.len())
            .with("files_removed", Kind::Number, self.removed.len())
            .with("files_changed", Kind::Number, self.marked.len())
            .with("files_kept", Kind::Number, self.kept)
            .with("rows_added", Kind::Number, sum(rows(&self.added), restored))
            .with("rows_removed", Kind::Number, sum(rows(&self.removed), deleted))
            .with_shown("bytes_added", Kind::Number, size(&self.added), bytes(size(&self.added)))
            .with_shown("bytes_removed", Kind::Number, size(&self.removed), bytes(size(&self.removed)))
    }

    fn listing(&self) -> Listing {
        let mut listing = Listing::new(&[
            ("change", Kind::Text),
            ("path", Kind::Text),
            ("size_bytes", Kind::Number),
            ("rows", Kind::Number),
            ("partition", Kind::Json),
        ]);
        let mut push = |change: &str, add: &Add| {
            listing.push(vec![
                json!(change),
                json!(add.path),
                json!(add.size),
                json!(rows_of(add)),
                json!(add.partition_values),
            ]);
        };
        self.removed.iter().for_each(|add| push("removed", add));
        self.marked.iter().for_each(|(_, add)| push("changed", add));
        self.added.iter().for_each(|add| push("added", add));
        listing
    }
}

/// Rows of a file that are not deleted, by its statistics.
fn rows_of(add: &Add) -> Option<u64> {
    let stats = Stats::parse(add.stats.as_deref()?)?;
    let deleted = add.deletion_vector.as_ref().map_or(0, |vector| vector.cardinality);
    u64::try_from(stats.num_records?.checked_sub(deleted)?).ok()
}

struct Change {
    told: String,
    value: Value,
}

impl Change {
    fn new(what: &str, name: &str, from: Value, to: Value) -> Self {
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let told = match what {
            "added" => format!("+ {name} {}", plain(&to)),
            "removed" => format!("- {name} {}", plain(&from)),
            _ => format!("~ {name} {} -> {}", plain(&from), plain(&to)),
        };
        Self { told, value: json!({ "change": what, "name": name, "from": from, "to": to }) }
    }
}

/// Columns, nested ones by their paths. One that was renamed is known by its id, where the table gives ids.
fn columns(old: &StructType, new: &StructType) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(old, new, "", &mut changes);
    changes
}

fn compare(old: &StructType, new: &StructType, prefix: &str, changes: &mut Vec<Change>) {
    let id = |field: &StructField| field.metadata.get("delta.columnMapping.id").cloned();
    let same = |a: &StructField, b: &StructField| match (id(a), id(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a.name == b.name,
    };
    let text = |field: &StructField| format!("{}{}", field.data_type, if field.nullable { "" } else { " not null" });
    for field in &old.fields {
        let name = format!("{prefix}{}", field.name);
        let Some(now) = new.fields.iter().find(|other| same(field, other)) else {
            changes.push(Change::new("removed", &name, json!(text(field)), Value::Null));
            continue;
        };
        if now.name != field.name {
            changes.push(Change::new("renamed", &name, json!(field.name), json!(now.name)));
        }
        use lake_format::schema::DataType::Struct;
        if let (Struct(before), Struct(after)) = (&field.data_type, &now.data_type) {
            compare(before, after, &format!("{name}."), changes);
            if field.nullable != now.nullable {
                let null = |nullable: bool| json!(if nullable { "null" } else { "not null" });
                changes.push(Change::new("changed", &name, null(field.nullable), null(now.nullable)));
            }
        } else if text(field) != text(now) {
            changes.push(Change::new("changed", &name, json!(text(field)), json!(text(now))));
        }
        let comment = |field: &StructField| field.metadata.get("comment").cloned().unwrap_or_default();
        if comment(field) != comment(now) {
            changes.push(Change::new("comment", &name, comment(field), comment(now)));
        }
    }
    for field in new.fields.iter().filter(|field| !old.fields.iter().any(|other| same(other, field))) {
        changes.push(Change::new("added", &format!("{prefix}{}", field.name), Value::Null, json!(text(field))));
    }
    let order = |of: &StructType, other: &StructType| -> Vec<String> {
        let both = of.fields.iter().filter(|field| other.fields.iter().any(|there| same(field, there)));
        both.map(|field| id(field).map_or_else(|| field.name.clone(), |id| id.to_string())).collect()
    };
    if order(old, new) != order(new, old) {
        let names =
            |of: &StructType| json!(of.fields.iter().map(|field| field.name.clone()).collect::<Vec<_>>().join(", "));
        let whole = if prefix.is_empty() { "order".to_owned() } else { format!("order of {prefix}") };
        changes.push(Change::new("moved", &whole, names(old), names(new)));
    }
}

fn pairs(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (key, value) in old {
        match new.get(key) {
            None => changes.push(Change::new("removed", key, json!(value), Value::Null)),
            Some(now) if now != value => changes.push(Change::new("changed", key, json!(value), json!(now))),
            Some(_) => {}
        }
    }
    let added = new.iter().filter(|(key, _)| !old.contains_key(*key));
    changes.extend(added.map(|(key, value)| Change::new("added", key, Value::Null, json!(value))));
    changes
}

/// Protocol, partitioning, name and description.
fn table_changes(old: &Snapshot, new: &Snapshot) -> Vec<Change> {
    let of = |snapshot: &Snapshot| {
        let (protocol, metadata) = (snapshot.protocol(), snapshot.metadata());
        let features = |list: &Option<Vec<String>>| {
            let mut names = list.clone().unwrap_or_default();
            names.sort();
            json!(names.join(", "))
        };
        [
            ("reader version", json!(protocol.min_reader_version)),
            ("writer version", json!(protocol.min_writer_version)),
            ("reader features", features(&protocol.reader_features)),
            ("writer features", features(&protocol.writer_features)),
            ("partition columns", json!(metadata.partition_columns.join(", "))),
            ("name", json!(metadata.name)),
            ("description", json!(metadata.description)),
            ("id", json!(metadata.id)),
        ]
    };
    let both = of(old).into_iter().zip(of(new));
    both.filter(|((_, from), (_, to))| from != to)
        .map(|((name, from), (_, to))| Change::new("changed", name, from, to))
        .collect()
}

#[cfg(test)]
mod tests {
    use lake_format::schema::parse_declaration;

    use super::*;

    fn told(old: &str, new: &str) -> Vec<String> {
        let parse = |text: &str| parse_declaration(text).expect("columns");
        columns(&parse(old), &parse(new)).into_iter().map(|change| change.told).collect()
    }

    #[test]
    fn columns_are_compared_to_any_depth() {
        let found = told(
            "id int not null, a struct<x:int,y:string>, gone date, b int",
            "a struct<x:long,z:string>, id int, b int, new double",
        );
        assert_eq!(
            found,
            [
                "~ id integer not null -> integer",
                "~ a.x integer -> long",
                "- a.y string",
                "+ a.z string",
                "- gone date",
                "+ new double",
                "~ order id, a, gone, b -> a, id, b, new",
            ]
        );
        assert!(told("a int", "a int").is_empty());
    }
}
