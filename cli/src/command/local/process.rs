//! Background processes: started so that they outlive us, recognised later, and ended by id alone.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lake_format::{Clock, Error, Result};
use serde::{Deserialize, Serialize};

/// Lines of a log that are shown of a process that failed.
const TAIL_LINES: usize = 15;
/// Bytes of a log that are looked at for them.
const TAIL_BYTES: u64 = 16 * 1024;
const POLL: Duration = Duration::from_millis(50);
/// How long a killed process may take to be gone.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// A process as it is written down: its id, and when it was started, since ids are used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// When the system says that it started, in the system's own words.
    pub started: String,
}

/// How a process came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was not running, or its id is another process's by now.
    WasGone,
    /// On request.
    Stopped,
    /// By force, after it did not answer the request.
    Killed,
}

impl Process {
    /// Whether this very process runs.
    pub fn is_running(&self) -> bool {
        started(self.pid).is_some_and(|started| started == self.started)
    }

    /// Asks it to end, waits up to `patience`, then ends it by force.
    ///
    /// # Errors
    /// `Denied` when it is another user's, `Unavailable` when it can't be ended.
    pub async fn end(&self, patience: Duration, clock: &dyn Clock) -> Result<Ended> {
        if !self.is_running() {
            return Ok(Ended::WasGone);
        }
        signal::send(self.pid, signal::Signal::Terminate)?;
        if self.wait_gone(patience, clock).await {
            return Ok(Ended::Stopped);
        }
        signal::send(self.pid, signal::Signal::Kill)?;
        if self.wait_gone(KILL_WAIT, clock).await {
            return Ok(Ended::Killed);
        }
        Err(Error::unavailable("a process does not end").with_object(format!("process {}", self.pid)))
    }

    async fn wait_gone(&self, patience: Duration, clock: &dyn Clock) -> bool {
        let mut waited = Duration::ZERO;
        while self.is_running() {
            if waited >= patience {
                return false;
            }
            clock.sleep(POLL).await;
            waited += POLL;
        }
        true
    }
}

/// A process that was just started, and the file that holds what it says.
#[derive(Debug)]
pub struct Started {
    /// By which it is found again.
    pub process: Process,
    child: Child,
    log: PathBuf,
    log_start: u64,
}

impl Started {
    /// Starts `command` in the background: it reads nothing, writes to the end of `log`, and does not get the signals
    /// of our terminal.
    ///
    /// # Errors
    /// `NotFound` or `Denied` for the program, the file system's own for the log.
    pub fn spawn(mut command: Command, log: &Path) -> Result<Self> {
        let program = command.get_program().display().to_string();
        let file = open_log(log).map_err(|e| Error::from(e).with_object(log.display().to_string()))?;
        let log_start = file.metadata().map(|meta| meta.len()).unwrap_or(0);
        let second = file.try_clone().map_err(|e| Error::from(e).with_object(log.display().to_string()))?;
        command.stdin(Stdio::null()).stdout(file).stderr(second);
        own_group(&mut command);
        let child = command.spawn().map_err(|e| Error::from(e).with_object(program.clone()))?;
        let pid = child.id();
        // A child that is gone already has no start time; the caller sees its end by `exited`.
        let process = Process { pid, started: started(pid).unwrap_or_default() };
        Ok(Self { process, child, log: log.to_owned(), log_start })
    }

    /// Says how it ended, if it has.
    pub fn exited(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// The last lines that it wrote.
    pub fn tail(&self) -> String {
        tail(&self.log, self.log_start).unwrap_or_default()
    }

    /// Ends it by force. It was started a moment ago and holds nothing.
    pub fn kill(&mut self) {
        // It may have ended by itself; either way nothing is left to be done.
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

fn open_log(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

#[cfg(unix)]
fn own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn own_group(_: &mut Command) {}

fn tail(log: &Path, from: u64) -> std::io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(from.max(length.saturating_sub(TAIL_BYTES))))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

/// When the process started; `None` when no live process has that id.
#[cfg(target_os = "linux")]
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (state, ticks) = parse_stat(&stat)?;
    // Ticks count from the start of the machine, so which start it was belongs to it.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    (!matches!(state, 'Z' | 'X')).then(|| format!("{} {ticks}", boot.trim()))
}

/// State and start time of a process, from its `/proc/<pid>/stat`. Its name, in brackets, may hold anything.
#[cfg(target_os = "linux")]
fn parse_stat(stat: &str) -> Option<(char, u64)> {
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // Field 22 of the line; the state is field 3.
    let ticks = fields.nth(18)?.parse().ok()?;
    Some((state, ticks))
}

/// When the process started; `None` when no live process has that id.
#[cfg(all(unix, not(target_os = "linux")))]
fn started(pid: u32) -> Option<String> {
    let output = Command::new("ps").args(["-o", "stat=,lstart=", "-p", &pid.to_string()]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (state, started) = text.trim().split_once(char::is_whitespace)?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// When the process started. Without a way to tell, no process is ever taken for ours.
#[cfg(not(unix))]
fn started(_: u32) -> Option<String> {
    None
}

#[cfg(unix)]
mod signal {
    use lake_format::{Error, Result};
    use rustix::process::{Pid, kill_process};

    #[derive(Clone, Copy)]
    pub(super) enum Signal {
        Terminate,
        Kill,
    }

    pub(super) fn send(pid: u32, signal: Signal) -> Result<()> {
        let id = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let Some(id) = id else {
            return Err(Error::invalid("not a process id").with_object(pid.to_string()));
        };
        let signal = match signal {
            Signal::Terminate => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        match kill_process(id, signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(Error::from(std::io::Error::from(error)).with_object(format!("process {pid}"))),
        }
    }
}

#[cfg(not(unix))]
mod signal {
    use lake_format::{Error, Result};

    #[derive(Clone, Copy)]
    pub(super) enum Signal {
        Terminate,
        Kill,
    }

    pub(super) fn send(_: u32, _: Signal) -> Result<()> {
        Err(Error::unsupported("background processes are not managed on this system"))
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use lake_format::SystemClock;

    fn sh(script: &str, log: &Path) -> Started {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Started::spawn(command, log).expect("sh starts")
    }

    async fn said(started: &mut Started, word: &str) {
        while !started.tail().contains(word) {
            assert_eq!(started.exited(), None);
            SystemClock.sleep(POLL).await;
        }
    }

    #[tokio::test]
    async fn it_ends_what_it_started_and_nothing_else() {
        let dir = tempfile::tempdir().expect("dir");
        let mut started = sh("echo hello; exec sleep 600", &dir.path().join("log"));
        assert!(started.process.is_running());
        said(&mut started, "hello").await;
        let other = Process { started: "another time".to_owned(), ..started.process.clone() };
        assert!(!other.is_running());
        assert_eq!(other.end(POLL, &SystemClock).await.expect("no signal is sent"), Ended::WasGone);
        assert_eq!(started.exited(), None);

        let process = started.process.clone();
        assert_eq!(process.end(KILL_WAIT, &SystemClock).await.expect("ends"), Ended::Stopped);
        assert!(started.exited().is_some());
        assert_eq!(process.end(POLL, &SystemClock).await.expect("gone"), Ended::WasGone);
        assert_eq!(started.tail(), "hello");
    }

    #[tokio::test]
    async fn one_that_does_not_listen_is_killed() {
        let dir = tempfile::tempdir().expect("dir");
        let log = dir.path().join("log");
        let mut started = sh("trap '' TERM; echo ready; while :; do sleep 1; done", &log);
        said(&mut started, "ready").await;
        let process = started.process.clone();
        assert_eq!(process.end(Duration::from_millis(200), &SystemClock).await.expect("ends"), Ended::Killed);
    }

    #[test]
    fn the_tail_is_of_this_run() {
        let dir = tempfile::tempdir().expect("dir");
        let log = dir.path().join("log");
        std::fs::write(&log, "an old run\n").expect("log");
        let mut started = sh("for i in $(seq 1 40); do echo line $i; done; exit 3", &log);
        let status = loop {
            if let Some(status) = started.exited() {
                break status;
            }
            std::thread::yield_now();
        };
        assert!(status.contains('3'), "{status}");
        assert_eq!(started.tail().lines().count(), TAIL_LINES);
        assert!(started.tail().ends_with("line 40") && !started.tail().contains("old"), "{}", started.tail());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let dir = tempfile::tempdir().expect("dir");
        let error = Started::spawn(Command::new("/no/such/program"), &dir.path().join("log")).expect_err("none");
        assert_eq!(error.object(), Some("/no/such/program"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_may_hold_brackets() {
        let line = "17 (a) b) (c) S 1 17 17 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        assert_eq!(parse_stat(line), Some(('S', 4711)));
        assert_eq!(parse_stat("17 (x"), None);
        assert_eq!(parse_stat(""), None);
    }
}
