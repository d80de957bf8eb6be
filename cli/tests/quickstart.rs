//! Does the quickstart do what it tells, twice, on an own and on another server, and do its commands work?

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

const LAKE: &str = env!("CARGO_BIN_EXE_lake");

/// A user of this machine, with a home of its own.
struct User {
    home: tempfile::TempDir,
    catalog: Option<(String, String)>,
}

impl User {
    fn new() -> Self {
        Self { home: tempfile::tempdir().expect("a home"), catalog: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let programs = Path::new(LAKE).parent().expect("a folder");
        command.env_clear().env("HOME", self.home.path()).current_dir(self.home.path());
        command.env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
        if let Some((url, token)) = &self.catalog {
            command.env("LAKE_CATALOG", url).env("LAKE_TOKEN", token);
        }
        command
    }

    fn lake(&self, arguments: &[&str]) -> Output {
        self.command(LAKE).args(arguments).output().expect("lake runs")
    }

    /// Standard output of a command that must succeed.
    fn says(&self, arguments: &[&str]) -> String {
        let output = self.lake(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Checksums of a run, by table.
    fn checksums(&self, arguments: &[&str]) -> BTreeMap<String, (u64, String, String)> {
        let arguments = [&["quickstart", "--format", "json"], arguments].concat();
        let listing: Vec<serde_json::Value> = serde_json::from_str(&self.says(&arguments)).expect("json");
        let entry = |table: &serde_json::Value| {
            let text = |key: &str| table[key].as_str().unwrap_or_default().to_owned();
            (text("name"), (table["rows"].as_u64().expect("rows"), text("sum"), text("checksum")))
        };
        listing.iter().map(entry).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `lake serve` in the background, ended with the test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(user: &User, state: &Path) -> Self {
        let mut command = user.command(LAKE);
        command.args(["serve", "--listen", "127.0.0.1:0", "--state"]).arg(state);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("lake serves");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let url = loop {
            let line = lines.next().expect("it says where it listens").expect("text");
            if let Some(url) = line.strip_prefix("listening on ") {
                break url.to_owned();
            }
        };
        // Whoever does not read on would stop it at the next line.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    /// The user's catalog from now on.
    fn log_in(&self, user: &mut User, state: &Path) {
        let token = std::fs::read_to_string(state.join("admin.token")).expect("the first token");
        user.catalog = Some((self.url.clone(), token.trim().to_owned()));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

#[test]
fn it_runs_twice_and_comes_to_the_same() {
    let user = User::new();
    let first = user.checksums(&["--rows", "1000", "--dir", "here"]);
    assert_eq!(first.len(), 12, "{first:?}");
    assert_eq!(first["lake.bronze.orders"].0, 1000);
    assert_eq!(first["lake.silver.orders"].0 + first["lake.silver.orders_rejects"].0, 970);
    assert_eq!(first["lake.gold.daily_sales"].1, first["lake.silver.orders"].1, "revenue");
    let again = user.checksums(&["--rows", "1000", "--dir", "here"]);
    assert_eq!(first, again);
    let elsewhere = user.checksums(&["--rows", "1000", "--dir", "there", "--warehouse", "warehouse"]);
    assert_eq!(first, elsewhere);
    assert!(user.path("warehouse").is_dir());
    assert_ne!(first, user.checksums(&["--rows", "999", "--dir", "here"]));
}

#[test]
fn any_number_of_rows_will_do() {
    let user = User::new();
    for rows in ["1", "2", "17"] {
        let sums = user.checksums(&["--rows", rows]);
        assert_eq!(sums["lake.bronze.customers"].0.to_string(), rows);
    }
    for wrong in ["0", "-1", "many"] {
        assert_eq!(user.lake(&["quickstart", "--rows", wrong]).status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn the_second_run_leaves_no_file_of_the_first() {
    let user = User::new();
    let data_files = || {
        let mut files = Vec::new();
        let mut folders = vec![user.path("lake-quickstart/server/warehouse")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("folder").flatten() {
                if entry.path().is_dir() { folders.push(entry.path()) } else { files.push(entry.path()) }
            }
        }
        files.len()
    };
    user.says(&["quickstart", "--rows", "50", "-q"]);
    let first = data_files();
    user.says(&["quickstart", "--rows", "50", "-q"]);
    assert_eq!(data_files(), first);
}

#[test]
fn a_folder_of_something_else_is_left_alone() {
    let user = User::new();
    std::fs::create_dir(user.path("thesis")).expect("folder");
    std::fs::write(user.path("thesis/chapter.txt"), "years of work").expect("file");
    let output = user.lake(&["quickstart", "--rows", "10", "--dir", "thesis"]);
    assert_eq!(output.status.code(), Some(6), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("--dir"), "{}", text(&output.stderr));
    assert_eq!(std::fs::read_dir(user.path("thesis")).expect("folder").count(), 1);
}

#[test]
fn a_table_of_someone_else_is_left_alone() {
    let mut user = User::new();
    let state = user.path("state");
    let server = Server::start(&user, &state);
    server.log_in(&mut user, &state);
    user.says(&["create", "gold.daily_sales", "--schema", "id long"]);
    let output = user.lake(&["quickstart", "--rows", "10"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("lake.gold.daily_sales"), "{}", text(&output.stderr));
    user.says(&["show", "gold.daily_sales"]);
    assert_eq!(user.lake(&["show", "bronze.orders"]).status.code(), Some(4), "nothing was made");
}

/// The commands of the story from a line on, each on one line.
fn commands_after(story: &str, mark: &str) -> Vec<String> {
    let (_, behind) = story.split_once(mark).expect(mark);
    behind.lines().filter_map(|line| line.trim_start().strip_prefix("$ ")).map(str::to_owned).collect()
}

#[test]
fn what_it_says_to_try_next_works() {
    let mut user = User::new();
    let story = user.says(&["quickstart", "--rows", "300"]);
    let next = commands_after(&story, "What to try next");
    let state = user.path("lake-quickstart/server");
    let server = Server::start(&user, &state);
    server.log_in(&mut user, &state);
    let mut tried = 0;
    for command in next.iter().filter(|command| command.starts_with("lake ")) {
        if command.starts_with("lake serve") || command.starts_with("lake quickstart") {
            continue;
        }
        let output = user.command("sh").args(["-c", command]).output().expect("a shell");
        assert!(output.status.success(), "{command}: {}", text(&output.stderr));
        assert!(!output.stdout.is_empty(), "{command} says nothing");
        tried += 1;
    }
    assert!(tried >= 7, "{next:?}");
    let exported = next.iter().find(|command| command.starts_with("export LAKE_CATALOG")).expect("how to connect");
    let shown = user.command("sh").args(["-c", &format!("{exported}; echo $LAKE_TOKEN")]).output().expect("a shell");
    assert_eq!(text(&shown.stdout).trim(), user.catalog.expect("logged in").1);
}

#[test]
fn its_commands_do_the_same_on_another_server() {
    let mut user = User::new();
    let first = user.checksums(&["--rows", "400"]);
    let state = user.path("other");
    let server = Server::start(&user, &state);
    server.log_in(&mut user, &state);
    let script = user.command("sh").arg("lake-quickstart/commands.sh").output().expect("a shell");
    assert!(script.status.success(), "{}\n{}", text(&script.stdout), text(&script.stderr));
    for (table, (rows, ..)) in &first {
        let sql = format!("SELECT COUNT(*) AS n FROM {table}");
        assert_eq!(user.says(&["sql", &sql, "--format", "csv"]), format!("n\n{rows}\n"), "{table}");
    }
    let revenue = user.says(&["sql", "SELECT SUM(revenue) AS n FROM gold.daily_sales", "--format", "csv"]);
    assert_eq!(revenue.trim_start_matches("n\n").trim(), first["lake.silver.orders"].1);
}

#[test]
fn it_works_on_a_server_that_runs() {
    let mut user = User::new();
    let own = user.checksums(&["--rows", "200", "--dir", "own"]);
    let state = user.path("state");
    let server = Server::start(&user, &state);
    server.log_in(&mut user, &state);
    for _ in 0..2 {
        assert_eq!(user.checksums(&["--rows", "200", "--dir", "other"]), own);
    }
    assert!(!user.path("other/server").exists(), "no server of its own");
    assert!(user.says(&["tables"]).contains("product_performance"));
}

#[test]
fn the_story_goes_to_standard_output_and_is_complete() {
    let user = User::new();
    let story = user.says(&["quickstart", "--rows", "20000"]);
    for chapter in [
        "A lakehouse with nothing set up",
        "Raw data: 20,000 customers, products and orders",
        "Bronze",
        "Silver",
        "Gold",
        "A bad batch is refused",
        "A column is added",
        "The table as of an earlier version",
        "Z-order",
        "Vacuum",
        "Does it add up?",
        "What to try next",
    ] {
        assert!(story.contains(chapter), "{chapter} is missing in\n{story}");
    }
    let skipped: Vec<(u64, u64)> = story
        .lines()
        .filter(|line| {
            line.trim_start().starts_with("customer_id = ") || line.trim_start().starts_with("product_id = ")
        })
        .map(|line| {
            let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            (numbers[1], numbers[3])
        })
        .collect();
    assert_eq!(skipped.len(), 2, "{story}");
    assert!(skipped.iter().all(|(before, after)| after > before), "Z-order skips more: {skipped:?}\n{story}");
}

#[cfg(unix)]
#[test]
fn without_minio_local_says_how_to_get_it() {
    let user = User::new();
    let output = user.command(LAKE).env("PATH", "/nowhere").args(["local", "up"]).output().expect("lake runs");
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("go install github.com/minio/minio"), "{}", text(&output.stderr));
    assert!(!user.path(".local").exists(), "nothing is left behind");
    for action in ["status", "down"] {
        assert_eq!(user.lake(&["local", action]).status.code(), Some(4), "{action}");
    }
}
