//! Runs each peer in a process of its own, in turn, and compares what they found.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::Result;
use crate::measure::{Answer, Sample};
use crate::peers::{Job, Op, Peer};
use crate::report::{Group, Report, Row};
use crate::tables::{self, Kind, PREDICATE_ROWS, Scale, predicate_range};
use crate::workload::{Place, WORKLOADS, Workload};
use crate::{peers, rounds};

/// What to run, and where.
#[derive(Debug, Args)]
pub struct Options {
    /// Names of workloads, or `all`; `lake-bench list` tells them.
    #[arg(required = true)]
    workloads: Vec<String>,
    /// Runs of each peer; the medians are told.
    #[arg(long, default_value_t = 7)]
    runs: u64,
    /// Divides the size of every table, to try the benchmark itself.
    #[arg(long, default_value_t = 1)]
    divisor: u64,
    /// Only these peers beside Lake.
    #[arg(long, value_enum, value_delimiter = ',')]
    peers: Vec<Peer>,
    /// Where the tables are made and kept; some 6 GB.
    #[arg(long, env = "LAKE_BENCH_HOME")]
    home: Option<PathBuf>,
    /// A Python that has deltalake, duckdb, polars or chdb: they run as peers too, by `bench/peers.py`.
    #[arg(long, env = "LAKE_BENCH_PYTHON")]
    python: Option<PathBuf>,
    /// The file that the results are kept in; the sections of other workloads stay. `-` for none.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md"))]
    results: PathBuf,
}

/// Runs the workloads. Whether all answers agreed and no limit was passed.
pub fn run(options: &Options) -> Result<bool> {
    let all = options.workloads.iter().any(|name| name == "all");
    for name in &options.workloads {
        if name != "all" && name != rounds::NAME && WORKLOADS.iter().all(|workload| workload.name != name) {
            return Err(format!("no workload is called {name}; `lake-bench list` names them").into());
        }
    }
    let wanted = |name: &str| all || options.workloads.iter().any(|one| one == name);
    let home = match &options.home {
        Some(home) => std::path::absolute(home)?,
        None => {
            std::env::current_exe()?.ancestors().nth(2).ok_or("a folder for the tables: --home")?.join("lake-bench")
        }
    };
    fs::create_dir_all(&home)?;
    let mut report = Report::open(&options.results)?;
    let mut good = true;
    for workload in WORKLOADS.iter().filter(|workload| wanted(workload.name)) {
        let driver = Driver { options, workload, home: &home, scale: Scale { divisor: options.divisor.max(1) } };
        let groups = workload.tables.iter().map(|table| driver.group(*table)).collect::<Result<Vec<_>>>()?;
        good &= groups.iter().all(Group::agrees);
        report.put(workload, &groups, options.runs)?;
    }
    if wanted(rounds::NAME) {
        let section = rounds::run()?;
        good &= section.within_limits;
        report.put_section(rounds::NAME, &section.text)?;
    }
    Ok(good)
}

/// Who runs: this program, or a Python package by the script beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Runner {
    Own(Peer),
    Python(&'static str),
}

/// Peers in Python, and the package that each needs.
const PYTHON: [(&str, &str); 4] =
    [("deltalake-py", "deltalake"), ("duckdb", "duckdb"), ("polars", "polars"), ("chdb", "chdb")];

/// Whether that Python has the package.
fn imports(python: &Path, package: &str) -> bool {
    let mut command = Command::new(python);
    command.args(["-c", &format!("import {package}")]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

struct Driver<'a> {
    options: &'a Options,
    workload: &'a Workload,
    home: &'a Path,
    scale: Scale,
}

impl Driver<'_> {
    /// All runs of all peers on one table, in turn.
    fn group(&self, kind: Kind) -> Result<Group> {
        let table = tables::ready(self.home, kind, self.scale)?;
        let mut rows: Vec<(Runner, Row)> =
            self.runners().into_iter().map(|runner| (runner.clone(), Row::new(runner.name()))).collect();
        // The first round is not timed: it warms the page cache and compares the answers in full.
        for round in 0..=self.options.runs {
            for (runner, row) in rows.iter_mut().filter(|(_, row)| row.error.is_none()) {
                match self.one(runner, &table, round == 0) {
                    Ok(sample) if round == 0 => row.checked = Some(sample.answer),
                    Ok(sample) => row.samples.push(sample),
                    Err(error) => row.error = Some(error.to_string()),
                }
                eprint!(".");
            }
        }
        eprintln!();
        let rows = rows.into_iter().map(|(_, row)| row).collect();
        Ok(Group { table: kind.name(), rows })
    }

    fn runners(&self) -> Vec<Runner> {
        let asked = |peer: &Peer| {
            matches!(peer, Peer::Lake | Peer::LakeVolatile)
                || self.options.peers.is_empty()
                || self.options.peers.contains(peer)
        };
        let own = self.workload.peers.iter().filter(|peer| asked(peer)).map(|peer| Runner::Own(*peer));
        let python = match (&self.options.python, self.workload.op, self.workload.place) {
            (Some(python), Op::PlanRead | Op::ScanRange | Op::Scan, Place::Table) => {
                PYTHON.iter().filter(|(_, package)| imports(python, package)).collect()
            }
            _ => Vec::new(),
        };
        own.chain(python.into_iter().map(|(name, _)| Runner::Python(name))).collect()
    }

    /// One run on the table, or on a copy of it.
    fn one(&self, runner: &Runner, table: &Path, check: bool) -> Result<Sample> {
        let scratch = match self.workload.place {
            Place::Table => return self.measured(runner, table, check),
            Place::Copy => self.home.to_path_buf(),
            Place::Memory => PathBuf::from("/dev/shm"),
        };
        let copy = scratch.join(format!("lake-bench-{}", std::process::id()));
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        tables::copy(table, &copy)?;
        let done = self.measured(runner, &copy, check).and_then(|sample| self.after(sample, &copy));
        fs::remove_dir_all(&copy)?;
        done
    }

    fn measured(&self, runner: &Runner, table: &Path, check: bool) -> Result<Sample> {
        if self.workload.processes > 1 {
            return self.race(runner, table);
        }
        finished(self.child(runner, table, 0, check)?)
    }

    fn child(&self, runner: &Runner, table: &Path, worker: u64, check: bool) -> Result<Child> {
        let mut command = match (runner, &self.options.python) {
            (Runner::Python(name), Some(python)) => {
                let mut command = Command::new(python);
                command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/peers.py")).arg(name);
                command
            }
            (Runner::Own(peer), _) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("run-one").arg(value_name(peer)?);
                command
            }
            (Runner::Python(_), None) => return Err("no Python was given".into()),
        };
        let (from, to) = self.range();
        command.arg(value_name(&self.workload.op)?).arg(table).args(["--from", &from.to_string()]);
        command.args(["--to", &to.to_string(), "--times", &self.scale.times(self.workload.times).to_string()]);
        command.args(["--worker", &worker.to_string()]);
        if self.workload.past {
            command.args(["--version", &(self.scale.versions() / 2).to_string()]);
        }
        if check {
            command.arg("--check");
        }
        Ok(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
    }

    /// The ids that are asked for: of ten files of the large tables, or 5,000 rows of one file.
    fn range(&self) -> (i64, i64) {
        if self.workload.op == Op::ScanRange {
            let from = self.scale.rows() / 2 + self.scale.rows() / 1_000;
            return (from as i64, (from + 4_999.min(self.scale.rows() / 500)) as i64);
        }
        let (from, to) = predicate_range(self.scale.adds());
        debug_assert_eq!((to - from + 1) as u64, PREDICATE_ROWS);
        (from, to)
    }

    /// Many processes at once: the time from the word to begin until the last is done, the costs of all.
    fn race(&self, runner: &Runner, table: &Path) -> Result<Sample> {
        let mut workers = (0..self.workload.processes)
            .map(|worker| self.child(runner, table, worker, false))
            .collect::<Result<Vec<_>>>()?;
        let mut outputs = Vec::new();
        for worker in &mut workers {
            let mut output = BufReader::new(worker.stdout.take().ok_or("a worker without an output")?);
            let mut line = String::new();
            output.read_line(&mut line)?;
            outputs.push(output);
        }
        let begin = Instant::now();
        for worker in &mut workers {
            worker.stdin.take().ok_or("a worker without an input")?.write_all(b"\n")?;
        }
        let mut all = Sample::default();
        let mut slowest = 0.0_f64;
        for (mut worker, mut output) in workers.into_iter().zip(outputs) {
            let mut line = String::new();
            output.read_line(&mut line)?;
            let error = std::io::read_to_string(worker.stderr.take().ok_or("a worker without errors")?)?;
            worker.wait()?;
            let one: Sample = serde_json::from_str(&line).map_err(|_| last_line(&error))?;
            all.answer.count += one.answer.count;
            all.cpu_seconds += one.cpu_seconds;
            all.read_mb += one.read_mb;
            all.written_mb += one.written_mb;
            all.peak_mb = all.peak_mb.max(one.peak_mb);
            *all.more.entry("failed".to_owned()).or_default() += one.more.get("failed").copied().unwrap_or_default();
            slowest = slowest.max(one.more.get("p99_ms").copied().unwrap_or_default());
        }
        all.seconds = begin.elapsed().as_secs_f64();
        let per_second = all.answer.count as f64 / all.seconds;
        Ok(all.with("per_second", per_second).with("slowest_ms", slowest))
    }

    /// What a write left behind: checked by Lake's own reader, and weighed.
    fn after(&self, sample: Sample, table: &Path) -> Result<Sample> {
        match self.workload.op {
            Op::SmallAppends | Op::RaceWorker => {
                let job = Job::on(table, false);
                let rows = peers::run(Peer::Lake, Op::Scan, &job)?.answer;
                Ok(Sample { answer: rows, ..sample })
            }
            Op::Checkpoint => {
                let log = table.join("_delta_log");
                let bytes = parquet_bytes(&log)? + parquet_bytes(&log.join("_sidecars")).unwrap_or_default();
                let job = Job::on(table, true);
                let files: Answer = peers::run(Peer::Lake, Op::List, &job)?.answer;
                Ok(Sample { answer: files, ..sample }.with("out_mb", bytes as f64 / 1e6))
            }
            _ => Ok(sample),
        }
    }
}

/// Bytes of the Parquet files of a folder.
fn parquet_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().ends_with(".parquet") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

impl Runner {
    fn name(&self) -> String {
        match self {
            Self::Own(peer) => value_name(peer).unwrap_or_default(),
            Self::Python(name) => format!("{name} (Python)"),
        }
    }
}

fn value_name(value: &impl ValueEnum) -> Result<String> {
    Ok(value.to_possible_value().ok_or("every value has a name")?.get_name().to_owned())
}

/// What a run printed, or why it failed.
fn finished(child: Child) -> Result<Sample> {
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().last().unwrap_or_default();
    if !output.status.success() {
        return Err(last_line(&String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_str(line)?)
}

fn last_line(text: &str) -> String {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no word why").chars().take(300).collect()
}
