//! `lake import`: files become rows of a table, all of them in one commit or none.

mod aside;
mod avro;
mod convert;
mod csv;
mod fetch;
mod files;
mod floor;
mod infer;
mod ipc;
mod json;
mod read;
mod survey;

use std::collections::{BTreeMap, HashSet};
use std::future::ready;
use std::path::PathBuf;

use clap::ValueEnum;
use futures::{StreamExt, stream};
use lake_format::expr::Predicate;
use lake_format::operation::Replace;
use lake_format::schema::{StructType, parse_declaration};
use lake_format::{
    AppendOptions, CreateOptions, Error, ErrorKind, Input, OverwriteOptions, Result, Table, WriteOutcome, WriteReport,
};
use lake_query::{TableRef, TableResolver};

use super::report;
use crate::args::{TableProfile, parse_assignment};
use crate::context::Context;
use crate::error::CliError;
use crate::output::{bytes, count, duration};
use aside::Skipped;
use fetch::Access;
use files::{InputFormat, SourceFile, expand};
use floor::Floored;
use read::{Reading, input};
use survey::{Survey, TextOptions, survey};

/// Import CSV, JSON-lines, Parquet, Avro and Arrow files into a table
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "lake import [OPTIONS] <FILE>... --into <TABLE>\n       lake import [OPTIONS] <TABLE> <FILE>...",
    after_help = "Examples:
  lake import flights.csv --into ./flights --null-value NA
  lake import 'orders/*.parquet' s3://bucket/more.avro --into bronze.orders --partition-by day
  lake import new.jsonl.gz --into ./trips --merge-schema --bad-rows rejected.jsonl
  lake import people.csv --into ./people --schema \"id long not null, name string, born date\"
  lake import day.csv --into ./trips --mode overwrite --overwrite-where \"day = '2026-01-31'\"
  lake import batch.arrow --into ./trips --txn loader:17
  psql -c 'COPY t TO STDOUT CSV HEADER' | lake import - --input-format csv --into ./t

The table is created when it is not there. A file is a path, a pattern (* ? [a-z] **), a
directory, a URL (file, s3, gs, az, http, https) or - for standard input; CSV and JSON lines may
be compressed (.gz, .zst). Types of CSV and JSON come from the table, from --schema, or else from
the first rows of every file. Times without a zone are taken as UTC, and times finer than a
microsecond are floored and counted. All files become one commit: when a row can't be read,
nothing is written, unless --bad-rows says otherwise. Memory stays within --memory however large
the files are."
)]
pub struct Args {
    /// Files, patterns, directories and URLs, or - for standard input; without --into the first one is the table
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,

    /// The table: path, URL or catalog name
    #[arg(long, value_name = "TABLE")]
    pub into: Option<String>,

    /// Format of all files, instead of what their names say
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub input_format: Option<InputFormat>,

    /// What becomes of a table that is there
    #[arg(long, value_enum, default_value = "append")]
    pub mode: Mode,

    /// Refuse when the table is not there, instead of creating it
    #[arg(long)]
    pub no_create: bool,

    /// Add columns that the table lacks, and accept files with different columns
    #[arg(long)]
    pub merge_schema: bool,

    /// With --mode overwrite: the files' columns replace the table's
    #[arg(long, conflicts_with = "merge_schema")]
    pub overwrite_schema: bool,

    /// Columns and their types, as "id long not null, name string"
    #[arg(long, value_name = "COLUMNS")]
    pub schema: Option<String>,

    /// Partition columns of a table that is created
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub partition_by: Vec<String>,

    /// Property of a table that is created
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_assignment)]
    pub property: Vec<(String, String)>,

    /// Features of a table that is created: those that everybody reads, or the newest; also written --profile
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub table_profile: Option<TableProfile>,

    /// With --mode overwrite: replace only the rows for which the condition, as in SQL, is true
    #[arg(long, value_name = "CONDITION")]
    pub overwrite_where: Option<String>,

    /// Application and number of this batch: a batch that the table has already is not written again
    #[arg(long, value_name = "APP:N", value_parser = parse_txn)]
    pub txn: Option<(String, i64)>,

    /// Text that means null, besides an empty field; may be given several times
    #[arg(long, value_name = "TEXT")]
    pub null_value: Vec<String>,

    /// Between the fields of CSV: one character, or \t
    #[arg(long, value_name = "CHARACTER", value_parser = parse_delimiter)]
    pub delimiter: Option<u8>,

    /// The first record of CSV is data, not names
    #[arg(long)]
    pub no_header: bool,

    /// Read all columns of CSV as text
    #[arg(long)]
    pub all_strings: bool,

    /// Characters that a column's name may not hold become _
    #[arg(long)]
    pub clean_names: bool,

    /// Rows by which types are judged, in every file
    #[arg(long, value_name = "ROWS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub sample_rows: u32,

    /// What becomes of a row that can't be read: fail, skip, or a file that such rows are put into, with file, line and
    /// reason, one JSON object a line
    #[arg(long, value_name = "fail|skip|FILE", default_value = "fail", value_parser = parse_bad_rows)]
    pub bad_rows: BadRows,
}

impl Args {
    /// The table and the files.
    ///
    /// # Errors
    /// `Invalid` where one of them was not said.
    pub fn places(&self) -> Result<(&str, &[String])> {
        match (&self.into, self.files.split_first()) {
            (Some(table), _) => Ok((table, &self.files)),
            (None, Some((table, files))) if !files.is_empty() => Ok((table, files)),
            _ => Err(Error::invalid("the table or the files are missing")
                .with_hint("say the table with --into: lake import FILE... --into TABLE")),
        }
    }
}

/// What becomes of a table that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The rows are added.
    Append,
    /// The rows replace the table's.
    Overwrite,
    /// Nothing is written, and that is an error.
    Error,
    /// Nothing is written, and that is fine.
    Ignore,
}

/// What becomes of a row that can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadRows {
    /// Nothing is written at all.
    Fail,
    /// It is left out and counted.
    Skip,
    /// It is left out, counted, and put into that file.
    Aside(PathBuf),
}

fn parse_bad_rows(text: &str) -> std::result::Result<BadRows, String> {
    match text {
        "fail" => Ok(BadRows::Fail),
        "skip" => Ok(BadRows::Skip),
        "" => Err("write fail, skip or the name of a file".to_owned()),
        file => Ok(BadRows::Aside(file.into())),
    }
}

fn parse_txn(text: &str) -> std::result::Result<(String, i64), String> {
    // The name of the application may hold colons itself.
    let parts = text.rsplit_once(':').filter(|(application, _)| !application.is_empty());
    let parts = parts.and_then(|(application, number)| Some((application.to_owned(), number.parse().ok()?)));
    parts.filter(|(_, number)| *number >= 0).ok_or_else(|| "write an application and a number, as loader:17".to_owned())
}

fn parse_delimiter(text: &str) -> std::result::Result<u8, String> {
    match (text, text.as_bytes()) {
        ("\\t" | "tab", _) => Ok(b'\t'),
        (_, [byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r') => Ok(*byte),
        _ => Err("the delimiter is one ASCII character other than a quote".to_owned()),
    }
}

/// Runs `lake import`.
pub async fn run(args: Args, context: &Context) -> Result<(), CliError> {
    let started_ms = context.clock().now_ms();
    let (table, _) = args.places()?;
    check_together(&args)?;
    if args.mode == Mode::Ignore && context.find(&context.writable(table)?).await?.is_some() {
        context.output().say(format_args!("{table} is there already: nothing was written"));
        return report::print_nothing(context, None);
    }
    let (report, read) = match import(&args, context).await {
        Err(CliError::Failed(error)) if args.mode == Mode::Ignore && error.kind() == ErrorKind::AlreadyExists => {
            context.output().say(format_args!("{table} is there meanwhile: nothing was written"));
            return report::print_nothing(context, None);
        }
        imported => imported?,
    };
    let skip = (args.bad_rows != BadRows::Fail).then_some(read.rows_left_out);
    let Some(report) = report else {
        context.output().say(format_args!(
            "nothing to import: {} {} no row{}; nothing was written",
            count(read.files, "file"),
            if read.files == 1 { "has" } else { "have" },
            if read.rows_left_out > 0 { " that can be read" } else { "" }
        ));
        return report::print_nothing(context, skip);
    };
    if let (Some((application, number)), true) = (&args.txn, report.txn_id.is_nil()) {
        context.output().say(format_args!("{table} has {application}:{number} already: nothing was written"));
        return report::print(context, &report, skip);
    }
    let elapsed_ms = context.clock().now_ms() - started_ms;
    let rate = report.rows as f64 * 1000.0 / elapsed_ms.max(1) as f64;
    context.output().say(format_args!(
        "imported {} ({}) from {} into {} in {}, {rate:.0} rows/s",
        count(report.rows, "row"),
        bytes(read.bytes),
        count(read.files, "file"),
        table,
        duration(elapsed_ms)
    ));
    report::print(context, &report, skip)
}

/// Refuses flags that make no sense together before anything is read.
fn check_together(args: &Args) -> Result<()> {
    if args.overwrite_where.is_some() && args.mode != Mode::Overwrite {
        return Err(Error::invalid("--overwrite-where needs --mode overwrite"));
    }
    if args.overwrite_where.is_some() && args.overwrite_schema {
        return Err(Error::invalid("--overwrite-where keeps rows, and so it can't go with --overwrite-schema"));
    }
    Ok(())
}

/// What an import read.
#[derive(Clone, Debug, Default)]
pub struct ReadCounts {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows that could not be read and were left out.
    pub rows_left_out: u64,
}

/// Imports, and leaves it to the caller to tell. Where no row is to be written there is no commit and no report.
///
/// # Errors
/// As `lake import`. The table is as it was then.
pub async fn import(args: &Args, context: &Context) -> Result<(Option<WriteReport>, ReadCounts), CliError> {
    let (table, files) = args.places()?;
    let reference = context.writable(table)?;
    context.resolver().check_store(&reference.place).await?;
    let files = expand(files, args.input_format, &Access::of(context)).await?;
    let writes_to_tables = matches!(args.mode, Mode::Append | Mode::Overwrite);
    match import_once(args, &reference, files.clone(), context).await {
        Err(CliError::Failed(error)) if writes_to_tables && error.kind() == ErrorKind::AlreadyExists => {
            // Another writer made the table while the files were read: its columns are the ones that count now.
            match context.find(&reference).await? {
                Some(_) => import_once(args, &reference, files, context).await,
                None => Err(error.into()),
            }
        }
        imported => imported,
    }
}

async fn import_once(
    args: &Args,
    reference: &TableRef,
    files: Vec<SourceFile>,
    context: &Context,
) -> Result<(Option<WriteReport>, ReadCounts), CliError> {
    let declared = args.schema.as_deref().map(parse_declaration).transpose()?;
    let table = context.find(reference).await?;
    if table.is_some() && matches!(args.mode, Mode::Error | Mode::Ignore) {
        return Err(Error::already_exists("the table is there already")
            .with_object(reference.to_string())
            .with_hint("nothing was written; --mode append or overwrite writes to it")
            .into());
    }
    if table.is_none() && args.no_create {
        return Err(Error::not_found("no table here").with_object(reference.to_string()).into());
    }
    let mut counts = ReadCounts { files: files.len() as u64, ..ReadCounts::default() };
    counts.bytes = files.iter().map(|file| file.size_bytes).sum();
    let options = text_options(args, declared.as_ref(), table.as_ref());
    let survey = survey(files, &options).await?;
    for remark in survey.remarks.iter().filter(|_| declared.is_none() && table.is_none()) {
        context.output().warn(remark);
    }
    let plan = plan(args, declared, table, &survey)?;
    let skipped = match &args.bad_rows {
        BadRows::Aside(path) => Skipped::into_file(path)?,
        _ => Skipped::default(),
    };
    let (progress, floored) = (context.output().progress("import", counts.bytes), Floored::default());
    let reading = Reading {
        options,
        columns: plan.columns.clone(),
        required: plan.required(),
        inferred: plan.inferred,
        skipped: skipped.clone(),
        floored: floored.clone(),
        progress: progress.clone(),
    };
    let rows = first_rows(input(survey.files, reading)?).await;
    let written = match rows {
        // The rows of an empty file may replace a table's, if the file was meant to be empty.
        Ok((rows, false)) if plan.table.is_none() || args.mode != Mode::Overwrite || skipped.told().0 > 0 => {
            drop(rows);
            Ok(None)
        }
        Ok((rows, _)) => write(context, reference, args, plan, rows).await.map(Some),
        Err(error) => Err(error),
    };
    progress.finish();
    let report = written?.map(|outcome| report::settled(outcome, &reference.to_string())).transpose()?;
    skipped.finish()?;
    if report.is_some() && floored.count() > 0 {
        let times = count(floored.count(), "time");
        context.output().warn(format_args!("{times} finer than a microsecond: the digits below were cut (floored)"));
    }
    let (rows_left_out, problems) = skipped.told();
    if rows_left_out > 0 {
        context.output().warn(format_args!("{} could not be read and left out", count(rows_left_out, "row")));
        problems.iter().for_each(|problem| context.output().say(format_args!("  {problem}")));
    }
    Ok((report, ReadCounts { rows_left_out, ..counts }))
}

fn text_options(args: &Args, declared: Option<&StructType>, table: Option<&Table>) -> TextOptions {
    let known = declared.or(table.map(|table| table.snapshot().schema().as_ref()));
    let names_of = |schema: &StructType| schema.fields.iter().map(|field| field.name.to_lowercase()).collect();
    let names = known.filter(|_| args.no_header);
    TextOptions {
        delimiter: args.delimiter,
        header: !args.no_header,
        null_values: args.null_value.clone(),
        all_strings: args.all_strings,
        sample_rows: args.sample_rows as usize,
        names: names.map(|known| known.fields.iter().map(|field| field.name.clone()).collect()).unwrap_or_default(),
        clean_names: args.clean_names,
        skip_bad: args.bad_rows != BadRows::Fail,
        keep_raw: matches!(args.bad_rows, BadRows::Aside(_)),
        known: match args.overwrite_schema {
            true => declared.map(names_of).unwrap_or_default(),
            false => known.map(names_of).unwrap_or_default(),
        },
    }
}

/// The columns of one file, as `lake import` would make them.
///
/// # Errors
/// As for importing it.
pub async fn columns_of_file(file: &str, context: &Context) -> Result<StructType> {
    let options = TextOptions {
        delimiter: None,
        header: true,
        null_values: Vec::new(),
        all_strings: false,
        sample_rows: 10_000,
        names: Vec::new(),
        clean_names: false,
        skip_bad: false,
        keep_raw: false,
        known: HashSet::new(),
    };
    let files = expand(&[file.to_owned()], None, &Access::of(context)).await?;
    Ok(survey(files, &options).await?.columns)
}

/// What is written, and to what.
struct Plan {
    /// The table, if it is there.
    table: Option<Table>,
    /// Columns of the rows, all nullable: what the table demands is checked when they are written.
    columns: StructType,
    /// Columns of a table that is created.
    schema: StructType,
    /// Whether a type comes from a sample.
    inferred: bool,
    /// Whether the table's own columns are replaced.
    fresh: bool,
}

impl Plan {
    /// Columns in which the table takes no null.
    fn required(&self) -> Vec<String> {
        let schema = match &self.table {
            Some(table) if !self.fresh => table.snapshot().schema().as_ref(),
            _ => &self.schema,
        };
        let required = schema.fields.iter().filter(|field| !field.nullable);
        required.map(|field| field.name.to_lowercase()).collect()
    }
}

fn plan(args: &Args, declared: Option<StructType>, table: Option<Table>, survey: &Survey) -> Result<Plan> {
    let fresh = table.is_none() || args.overwrite_schema;
    if args.overwrite_schema && args.mode != Mode::Overwrite {
        return Err(Error::invalid("--overwrite-schema needs --mode overwrite"));
    }
    let same = |table: &Table| {
        let own = table.snapshot().partition_columns().iter().map(|name| name.to_lowercase());
        own.eq(args.partition_by.iter().map(|name| name.to_lowercase()))
    };
    if !args.partition_by.is_empty() && table.as_ref().is_some_and(|table| !same(table)) {
        return Err(Error::invalid("a table that is there can't be partitioned anew")
            .with_object(args.places()?.0.to_owned())
            .with_hint("leave --partition-by out"));
    }
    if fresh && !args.merge_schema {
        check_alike(survey)?;
    }
    let known = table.as_ref().filter(|_| !fresh).map(|table| table.snapshot().schema().as_ref());
    let mut columns = survey.columns.clone();
    let mut inferred = false;
    for column in &mut columns.fields {
        let field = |schema: Option<&StructType>| schema.and_then(|schema| schema.field(&column.name)).cloned();
        match field(declared.as_ref()).or_else(|| field(known)) {
            Some(field) => column.data_type = field.data_type,
            None => inferred = true,
        }
    }
    let mut schema = declared.clone().unwrap_or_else(|| columns.clone());
    if let (Some(declared), true) = (&declared, fresh) {
        let new: Vec<_> =
            columns.fields.iter().filter(|column| declared.field(&column.name).is_none()).cloned().collect();
        if let (Some(first), false) = (new.first(), args.merge_schema) {
            return Err(Error::invalid("the files have a column that --schema does not declare")
                .with_object(format!("column {}", first.name))
                .with_hint("declare it, or add undeclared columns with --merge-schema"));
        }
        schema.fields.extend(new);
    }
    Ok(Plan { table, columns, schema, inferred, fresh })
}

/// A new table takes its columns from its files: these must agree. Lines of JSON may each leave out what they like.
fn check_alike(survey: &Survey) -> Result<()> {
    let sorted = |names: &[String]| {
        let mut names: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
        names.sort();
        names
    };
    let mut files = survey.files.iter();
    let Some(first) = files.next() else { return Ok(()) };
    match files.find(|file| sorted(&file.names) != sorted(&first.names)) {
        None => Ok(()),
        Some(other) => {
            let only = |a: &[String], b: &[String]| {
                let b = sorted(b);
                a.iter().filter(|name| !b.contains(&name.to_lowercase())).cloned().collect::<Vec<_>>().join(", ")
            };
            let (more, less) = (only(&other.names, &first.names), only(&first.names, &other.names));
            let told = [("has the further columns", more), ("lacks the columns", less)];
            let told: Vec<String> = told
                .iter()
                .filter(|(_, names)| !names.is_empty())
                .map(|(what, names)| format!("{what} {names}"))
                .collect();
            Err(Error::invalid(format!(
                "the files have different columns: compared with {} it {}",
                first.file.name,
                told.join(" and ")
            ))
            .with_object(other.file.name.clone())
            .with_hint("nothing was written; take the columns of all files with --merge-schema"))
        }
    }
}

/// The same rows, and whether there is one.
async fn first_rows(mut input: Input) -> Result<(Input, bool)> {
    // May be polled again at its end.
    input.batches = input.batches.fuse().boxed();
    while let Some(batch) = input.batches.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 {
            let batches = stream::once(ready(Ok(batch))).chain(input.batches).boxed();
            return Ok((Input { batches, ..input }, true));
        }
    }
    Ok((input, false))
}

async fn write(context: &Context, reference: &TableRef, args: &Args, plan: Plan, rows: Input) -> Result<WriteOutcome> {
    let rows = rows.within(context.settings().write_bytes());
    let (merge_schema, txn) = (args.merge_schema, args.txn.clone());
    match (plan.table, args.mode) {
        (Some(mut table), Mode::Overwrite) => {
            let replace = match &args.overwrite_where {
                Some(condition) => Replace::Where(exact(context, reference, condition).await?),
                None => Replace::All,
            };
            let overwrite_schema = args.overwrite_schema;
            table
                .overwrite(
                    &OverwriteOptions { merge_schema, overwrite_schema, replace, txn, ..OverwriteOptions::default() },
                    rows,
                )
                .await
        }
        (Some(mut table), _) => {
            table.append(&AppendOptions { merge_schema, txn, ..AppendOptions::default() }, rows).await
        }
        (None, _) => {
            let options = CreateOptions {
                schema: plan.schema,
                partition_columns: args.partition_by.clone(),
                properties: args.property.iter().cloned().collect::<BTreeMap<_, _>>(),
                txn,
                profile: super::profile_for(args.table_profile, &reference.place)?,
                ..CreateOptions::default()
            };
            context.resolver().create(&reference.place, options, rows).await
        }
    }
}

/// A condition that rows are replaced by: it must mean the same to the writer as to SQL.
async fn exact(context: &Context, reference: &TableRef, condition: &str) -> Result<Predicate> {
    let read = context.session()?.condition(reference, condition).await?;
    if read.exact {
        return Ok(read.predicate);
    }
    Err(Error::unsupported("rows can't be replaced by this condition: it does more than compare columns with values")
        .with_object(condition.to_owned())
        .with_hint("nothing was written; compare columns that are no floating-point numbers with values"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_named_or_comes_first() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        let of = |line: &str| <Line as clap::Parser>::try_parse_from(line.split(' ')).expect("line").args;
        let files = |args: &Args| args.places().map(|(table, files)| format!("{table} < {}", files.join(" "))).ok();
        assert_eq!(files(&of("import a b --into t")).as_deref(), Some("t < a b"));
        assert_eq!(files(&of("import t a")).as_deref(), Some("t < a"));
        assert_eq!(files(&of("import a")), None);
        assert_eq!(of("import a --bad-rows x.jsonl").bad_rows, BadRows::Aside("x.jsonl".into()));
    }

    #[test]
    fn an_application_and_its_number() {
        assert_eq!(parse_txn("a:b:17"), Ok(("a:b".to_owned(), 17)));
        for bad in ["", "a", ":1", "a:", "a:-1", "a:x", "a:99999999999999999999"] {
            assert!(parse_txn(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_delimiter_is_one_character() {
        assert_eq!(parse_delimiter(";"), Ok(b';'));
        assert_eq!(parse_delimiter("\\t"), Ok(b'\t'));
        for bad in ["", ";;", "é", "\"", "\n"] {
            assert!(parse_delimiter(bad).is_err(), "{bad:?}");
        }
    }
}
