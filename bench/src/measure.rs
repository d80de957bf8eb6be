//! What did a piece of work cost this process?

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// What one run found: peers that do the same work must find the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Files or rows.
    pub count: u64,
    /// A sum over them that does not depend on their order.
    pub sum: u64,
}

impl Answer {
    /// Counts one thing.
    pub fn take(&mut self, value: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(value);
    }

    /// Counts a live file: its size alone, or all of its path when the answers are checked, which is not timed.
    pub fn file(&mut self, path: &str, size: i64, check: bool) {
        let named = if check { digest(path) } else { path.len() as u64 };
        self.take(named.wrapping_add(size as u64));
    }
}

/// FNV-1a.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// One run of one peer, as the process that did it tells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Wall time of the work.
    pub seconds: f64,
    /// Processor time of the work, all threads.
    pub cpu_seconds: f64,
    /// Peak resident memory of the process up to the end of the work, MB of 10^6 bytes.
    pub peak_mb: f64,
    /// Bytes that the process asked the system to read during the work, MB.
    pub read_mb: f64,
    /// Bytes that it wrote, MB.
    pub written_mb: f64,
    /// What it found.
    pub answer: Answer,
    /// Other figures of this workload.
    #[serde(default)]
    pub more: BTreeMap<String, f64>,
}

/// A stop-watch for time, processor time and bytes.
pub struct Meter {
    wall: Instant,
    cpu: Cpu,
    io: (u64, u64),
}

impl Meter {
    /// Begins.
    pub fn start() -> Self {
        let (cpu, io) = (Cpu::now(), io_bytes());
        Self { wall: Instant::now(), cpu, io }
    }

    /// Ends: what it cost, and what was found.
    pub fn stop(self, answer: Answer) -> Sample {
        let seconds = self.wall.elapsed().as_secs_f64();
        let (cpu, io) = (Cpu::now(), io_bytes());
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        Sample {
            seconds,
            cpu_seconds: cpu.since(self.cpu),
            peak_mb: peak_mb(),
            read_mb: megabytes(io.0 - self.io.0),
            written_mb: megabytes(io.1 - self.io.1),
            answer,
            more: BTreeMap::new(),
        }
    }
}

impl Sample {
    /// The same with a further figure.
    #[must_use]
    pub fn with(mut self, name: &str, value: f64) -> Self {
        self.more.insert(name.to_owned(), value);
        self
    }
}

/// Processor time of this process: by ticks of 10 ms, threads that have ended included, and to the nanosecond, of the
/// threads that are there.
#[derive(Clone, Copy)]
struct Cpu {
    ticks: f64,
    threads: f64,
}

impl Cpu {
    fn now() -> Self {
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        // The name of the program comes first, in brackets, and may hold anything.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let nanos = threads.filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<f64>().ok()
        });
        Self { ticks: ticks / 100.0, threads: nanos.sum::<f64>() / 1e9 }
    }

    fn since(self, begin: Self) -> f64 {
        let (ticks, threads) = (self.ticks - begin.ticks, self.threads - begin.threads);
        // A whole tick more than the threads tell is the work of threads that have ended.
        if ticks > threads + 0.02 { ticks } else { threads }
    }
}

/// A number behind a label in a file of `/proc`; 0 where there is none.
fn labelled(file: &str, label: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

fn io_bytes() -> (u64, u64) {
    (labelled("/proc/self/io", "rchar:"), labelled("/proc/self/io", "wchar:"))
}

fn peak_mb() -> f64 {
    labelled("/proc/self/status", "VmHWM:") as f64 * 1024.0 / 1e6
}

/// The middle of some values, the mean of the two middle ones of an even count.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// The value that `share` of them do not exceed.
pub fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = (values.len() as f64 * share).ceil() as usize;
    values.get(at.saturating_sub(1).min(values.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}
