//! The results as tables, on the screen and in a file that keeps the sections of workloads that did not run.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::measure::{Answer, Sample, median};
use crate::rounds;
use crate::workload::{Place, WORKLOADS, Workload};

/// The runs of one peer on one table.
#[derive(Debug)]
pub struct Row {
    name: String,
    /// The answer in full, of the run that was not timed.
    pub checked: Option<Answer>,
    /// The timed runs.
    pub samples: Vec<Sample>,
    /// Why there are no more.
    pub error: Option<String>,
}

/// The runs of all peers on one table.
#[derive(Debug)]
pub struct Group {
    /// The table's name.
    pub table: &'static str,
    /// Lake first.
    pub rows: Vec<Row>,
}

impl Row {
    /// No run yet.
    pub fn new(name: String) -> Self {
        Self { name, checked: None, samples: Vec::new(), error: None }
    }

    fn of(&self, figure: impl Fn(&Sample) -> f64) -> f64 {
        median(self.samples.iter().map(figure).collect())
    }
}

impl Group {
    /// Whether every peer that ran found what Lake found, every time, and Lake ran.
    pub fn agrees(&self) -> bool {
        self.rows.first().is_some_and(|lake| lake.error.is_none()) && self.rows.iter().all(|row| self.same(row))
    }

    fn same(&self, row: &Row) -> bool {
        let Some(lake) = self.rows.first() else { return true };
        let first = |row: &Row| row.samples.first().map(|sample| sample.answer);
        row.error.is_some()
            || row.checked == lake.checked && row.samples.iter().all(|sample| Some(sample.answer) == first(lake))
    }
}

/// The file of results.
pub struct Report {
    path: Option<PathBuf>,
    sections: Vec<(String, String)>,
}

impl Report {
    /// Reads what is there.
    pub fn open(path: &Path) -> Result<Self> {
        if path.as_os_str() == "-" {
            return Ok(Self { path: None, sections: Vec::new() });
        }
        let text = if path.exists() { fs::read_to_string(path)? } else { String::new() };
        let sections = text.split("\n## ").skip(1).filter_map(|section| {
            let (name, body) = section.split_once('\n')?;
            Some((name.trim().to_owned(), body.trim().to_owned()))
        });
        Ok(Self { path: Some(path.to_path_buf()), sections: sections.collect() })
    }

    /// Prints a workload's tables and keeps them.
    pub fn put(&mut self, workload: &Workload, groups: &[Group], runs: u64) -> Result<()> {
        let place = match workload.place {
            Place::Memory => " Copies in memory.",
            Place::Copy | Place::Table => "",
        };
        let mut text = format!("{}.{place} Goal: {}. Medians of {runs} runs in turn.\n", workload.what, workload.goal);
        for group in groups {
            text += &format!("\n### {}\n\n{}", group.table, table(group));
        }
        self.put_section(workload.name, &text)
    }

    /// Prints a section and keeps it.
    pub fn put_section(&mut self, name: &str, text: &str) -> Result<()> {
        println!("\n## {name}\n\n{}", text.trim());
        self.sections.retain(|(one, _)| one != name);
        self.sections.push((name.to_owned(), text.trim().to_owned()));
        let place = |name: &str| WORKLOADS.iter().position(|workload| workload.name == name).unwrap_or(usize::MAX);
        self.sections.sort_by_key(|(name, _)| (name == rounds::NAME, place(name)));
        let Some(path) = &self.path else { return Ok(()) };
        let mut all = INTRODUCTION.to_owned();
        for (name, body) in &self.sections {
            all += &format!("\n## {name}\n\n{body}\n");
        }
        Ok(fs::write(path, all)?)
    }
}

const INTRODUCTION: &str = "# Results

Written by `cargo run --release -p lake-bench -- all`; `bench/README.md` says how it measures. `x` is the peer's time
divided by Lake's: above 1, Lake is faster. `cpu` is processor time, `peak` the most memory the process ever held, `read`
and `written` the bytes it asked the system for, in MB of 10^6 bytes. `answer` says whether a peer found the same files or
rows as Lake.
";

fn table(group: &Group) -> String {
    let lake = group.rows.first().map_or(f64::NAN, |row| row.of(|sample| sample.seconds));
    let mut more: Vec<&String> = Vec::new();
    for name in group.rows.iter().flat_map(|row| row.samples.first()).flat_map(|sample| sample.more.keys()) {
        if !more.contains(&name) {
            more.push(name);
        }
    }
    let mut text = "| | ms | best | x | cpu ms | peak | read | written | answer |".to_owned();
    for name in &more {
        text += &format!(" {name} |");
    }
    text += &format!("\n|---|{}\n", "---|".repeat(8 + more.len()));
    for row in &group.rows {
        if let Some(error) = &row.error {
            text += &format!("| {} | failed: {} |\n", row.name, error.replace('|', "/"));
            continue;
        }
        let seconds = row.of(|sample| sample.seconds);
        let best = row.samples.iter().map(|sample| sample.seconds).fold(f64::INFINITY, f64::min);
        let answer = if group.same(row) { "same".to_owned() } else { format!("OTHER: {:?}", row.checked) };
        text += &format!(
            "| {} | {} | {} | {:.2} | {} | {} | {} | {} | {answer} |",
            row.name,
            figure(seconds * 1e3),
            figure(best * 1e3),
            seconds / lake,
            figure(row.of(|sample| sample.cpu_seconds) * 1e3),
            figure(row.of(|sample| sample.peak_mb)),
            figure(row.of(|sample| sample.read_mb)),
            figure(row.of(|sample| sample.written_mb)),
        );
        for name in &more {
            let has = row.samples.first().is_some_and(|sample| sample.more.contains_key(*name));
            let value = row.of(|sample| sample.more.get(*name).copied().unwrap_or(f64::NAN));
            text += &if has { format!(" {} |", figure(value)) } else { " |".to_owned() };
        }
        text.push('\n');
    }
    text
}

/// Three digits that matter.
fn figure(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.005 => format!("{value:.2}"),
        _ => "0".to_owned(),
    }
}
