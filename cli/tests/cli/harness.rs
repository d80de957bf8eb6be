//! A directory of its own for each test, and a transcript of what `lake` said in it.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest that a server may take to say that it listens.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Runs commands in a fresh directory and keeps what they said.
pub struct Sandbox {
    dir: TempDir,
    transcript: String,
    env: Vec<(String, String)>,
    server: Option<Server>,
}

struct Server {
    child: Child,
    url: String,
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.child.kill();
            let _ = server.child.wait();
        }
    }
}

impl Sandbox {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("directory"), transcript: String::new(), env: Vec::new(), server: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("parent")).expect("directory");
        std::fs::write(path, text).expect("file");
        self
    }

    /// Sets a variable for what follows.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lake"));
        command.args(args).current_dir(self.dir.path()).env_clear().stdin(Stdio::null());
        command.env("HOME", self.dir.path()).env("PATH", "").env("TMPDIR", std::env::temp_dir());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command that is not kept.
    pub fn quietly(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("lake runs")
    }

    /// Runs a command that must succeed and gives its standard output.
    pub fn get(&self, args: &[&str]) -> String {
        let output = self.quietly(args);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "lake {} failed: {told}", args.join(" "));
        String::from_utf8(output.stdout).expect("text")
    }

    /// Runs a command and keeps what it said.
    pub fn lake(&mut self, args: &[&str]) -> &mut Self {
        self.lake_with(args, "")
    }

    /// Runs a command with text on its standard input, and keeps what it said.
    pub fn lake_with(&mut self, args: &[&str], input: &str) -> &mut Self {
        let mut command = self.command(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::piped());
        let mut child = command.spawn().expect("lake starts");
        // A command that does not read its input may be gone already.
        let _ = child.stdin.take().expect("input").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("lake ends");
        let shown: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        self.transcript += &format!("$ lake {}\n", shown.join(" "));
        for (name, bytes) in [("", &output.stdout), ("! ", &output.stderr)] {
            let text = String::from_utf8_lossy(bytes).into_owned();
            for line in text.lines() {
                self.transcript += format!("{name}{line}").trim_end();
                self.transcript.push('\n');
            }
        }
        let code = output.status.code().map_or("killed".to_owned(), |code| code.to_string());
        self.transcript += &format!("= {code}\n\n");
        self
    }

    /// Writes a word to the transcript.
    pub fn note(&mut self, text: &str) -> &mut Self {
        self.transcript += &format!("# {text}\n");
        self
    }

    /// Starts a server in this directory and gives its address.
    pub fn serve(&mut self, args: &[&str]) -> String {
        let all: Vec<&str> =
            ["serve", "--listen", "127.0.0.1:0", "--state", "state"].iter().chain(args).copied().collect();
        let mut command = self.command(&all);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("server starts");
        let (sender, receiver) = std::sync::mpsc::channel();
        let told = BufReader::new(child.stderr.take().expect("stderr"));
        // Reads on, so that the server is never held up by a full pipe.
        std::thread::spawn(move || told.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let deadline = Instant::now() + START_LIMIT;
        let url = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = receiver.recv_timeout(left).expect("the server says where it listens");
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        std::thread::spawn(move || while receiver.recv().is_ok() {});
        self.server = Some(Server { child, url: url.clone() });
        url
    }

    /// Starts a server and logs in to it.
    pub fn serve_and_login(&mut self) -> String {
        let url = self.serve(&[]);
        self.get(&["login", &url, "--token-file", "state/admin.token"]);
        url
    }

    /// Asks the server to stop, and gives its exit code.
    pub fn stop_server(&mut self) -> Option<i32> {
        let mut server = self.server.take().expect("a server");
        let stopped = Command::new("/bin/kill").arg("-TERM").arg(server.child.id().to_string()).status();
        assert!(stopped.expect("kill").success());
        server.child.wait().expect("server ends").code()
    }

    /// The transcript, with what differs from run to run replaced.
    pub fn transcript(&self) -> String {
        let mut text = self.transcript.clone();
        if let Some(server) = &self.server {
            text = text.replace(&server.url, "[SERVER]");
        }
        let real = self.dir.path().canonicalize().expect("directory");
        for dir in [real.as_path(), self.dir.path()] {
            text = text.replace(&dir.display().to_string(), "[DIR]");
        }
        scrub(&text)
    }
}

fn quoted(arg: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@\\[]%+".contains(c);
    match arg {
        arg if !arg.is_empty() && arg.chars().all(plain) => arg.to_owned(),
        arg if arg.contains('\'') => format!("\"{}\"", arg.replace('"', "\\\"")),
        arg => format!("'{arg}'"),
    }
}

/// Keeps a transcript as a snapshot.
macro_rules! snapshot {
    ($name:literal, $sandbox:expr) => {
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
            insta::assert_snapshot!($name, $sandbox.transcript())
        })
    };
}
pub(crate) use snapshot;

/// Replaces ids, times, durations and sizes of files, which differ from run to run or from release to release.
pub fn scrub(text: &str) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let before = done.chars().next_back();
        let fresh = !before.is_some_and(|c| c.is_ascii_alphanumeric());
        let found = fresh.then(|| recognise(rest)).flatten();
        match found {
            Some((length, name)) => {
                done += name;
                rest = &rest[length..];
            }
            None => {
                let c = rest.chars().next().expect("not empty");
                done.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    done.lines().map(scrub_line).collect::<Vec<_>>().join("\n")
}

/// Something at the beginning of `text` that differs from run to run: its length, and what to write instead.
fn recognise(text: &str) -> Option<(usize, &'static str)> {
    const UUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    const TIME: &str = "2dd9-dd-ddTdd:dd:dd.dddZ";
    let fits = |pattern: &str| {
        text.len() >= pattern.len()
            && pattern.bytes().zip(text.bytes()).all(|(wanted, byte)| match wanted {
                b'x' => byte.is_ascii_hexdigit(),
                b'd' | b'9' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    if fits(UUID) {
        return Some((UUID.len(), "[UUID]"));
    }
    let number = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    if number > 0 && text[number..].starts_with(" KiB") {
        return Some((number + 4, "[SIZE]"));
    }
    // Times of the data itself are those of other years.
    let year: u32 = text.get(..4)?.parse().ok()?;
    (fits(TIME) && year >= 2025).then_some((TIME.len(), "[TIME]"))
}

/// Names whose numbers depend on how a file is encoded.
const SIZES: [&str; 12] = [
    "bytes_written",
    "size_bytes",
    "bytes_added",
    "bytes_removed",
    "numOutputBytes",
    "numAddedBytes",
    "numRemovedBytes",
    "maxFileSize",
    "minFileSize",
    "p25FileSize",
    "p50FileSize",
    "p75FileSize",
];

fn scrub_line(line: &str) -> String {
    let mut line = SIZES.iter().fold(line.to_owned(), |line, name| scrub_number(&line, name));
    // Durations and rates are the last thing in a line of talk.
    if let Some(at) = line.find(" in ").filter(|_| line.starts_with("! ")) {
        let behind = &line[at + 4..];
        if behind.starts_with(|c: char| c.is_ascii_digit()) && behind.contains(" s") {
            let tail =
                behind.split_once(", version").map_or(String::new(), |(_, version)| format!(", version{version}"));
            line = format!("{} in [DURATION]{tail}", &line[..at]);
        }
    }
    line
}

/// Replaces the number behind `name`, and what it is in larger units.
fn scrub_number(line: &str, name: &str) -> String {
    let Some(at) = line.find(name) else { return line.to_owned() };
    let (before, behind) = line.split_at(at + name.len());
    let gap = behind.find(|c: char| !" \":".contains(c)).unwrap_or(behind.len());
    let digits = &behind[gap..];
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    if end == 0 {
        return line.to_owned();
    }
    let tail = match digits[end..].strip_prefix(" (").and_then(|unit| unit.split_once(')')) {
        Some((_, tail)) => tail,
        None => &digits[end..],
    };
    format!("{before}{}[BYTES]{tail}", &behind[..gap])
}
