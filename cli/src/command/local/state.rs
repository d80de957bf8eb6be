//! What is written down of a local instance, in one file that only its owner may read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use lake_format::store::Secret;
use lake_format::{Clock, Error, Result};
use serde::{Deserialize, Serialize};

use super::process::Process;

const FILE: &str = "local.json";
const LOCK: &str = "lock";
/// Form of the file. Another one is refused, not guessed at.
const FORM: u32 = 1;

/// The bucket of every local instance.
pub const BUCKET: &str = "lake";

/// The folder of one local instance.
#[derive(Clone, Debug)]
pub struct Home {
    dir: PathBuf,
}

/// Held while an instance is changed, so that two commands do not start it twice.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Keys, ports and processes of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    form: u32,
    /// Access key id of MinIO's root user.
    pub access_key_id: String,
    secret_access_key: String,
    /// MinIO.
    pub minio: Service,
    /// The catalog server.
    pub server: Service,
}

/// One of the two servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Where it listens on loopback; 0 before its first start.
    pub port: u16,
    /// Its process, from its start to its end by us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Process>,
}

impl Service {
    /// Whether the process that we started runs.
    pub fn is_running(&self) -> bool {
        self.process.as_ref().is_some_and(Process::is_running)
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl State {
    /// A new instance with keys of its own.
    pub fn new(clock: &dyn Clock) -> Self {
        let random = || clock.new_id().simple().to_string();
        Self {
            form: FORM,
            access_key_id: format!("lake{}", &random()[..12]),
            // The longest that MinIO's own tools make.
            secret_access_key: format!("{}{}", random(), &random()[..8]),
            minio: Service::default(),
            server: Service::default(),
        }
    }

    /// Secret access key of MinIO's root user.
    pub fn secret_access_key(&self) -> Secret {
        Secret::new(&self.secret_access_key)
    }
}

impl Home {
    /// The folder `dir`.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// A file or folder in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Makes the folder. One that holds something else is left alone.
    ///
    /// # Errors
    /// `Unsupported` for a folder that is not empty and not an instance's.
    pub fn make(&self) -> Result<()> {
        let named = |e: std::io::Error| Error::from(e).with_object(self.dir.display().to_string());
        let foreign = match std::fs::read_dir(&self.dir) {
            Err(e) if e.kind() == ErrorKind::NotFound => false,
            Err(e) => return Err(named(e)),
            Ok(mut entries) => {
                !self.path(FILE).exists() && entries.any(|entry| entry.is_ok_and(|entry| entry.file_name() != LOCK))
            }
        };
        if foreign {
            return Err(Error::unsupported("the folder is not empty and not one that `lake local` made")
                .with_object(self.dir.display().to_string())
                .with_hint("nothing was changed; name another folder with --dir"));
        }
        make_private_dir(&self.dir).map_err(named)
    }

    /// Waits for nobody: one command at a time changes an instance.
    ///
    /// # Errors
    /// `Conflict` while another command holds it.
    pub fn lock(&self) -> Result<Lock> {
        let path = self.path(LOCK);
        let named = |e: std::io::Error| Error::from(e).with_object(path.display().to_string());
        let file = private().create(true).truncate(false).write(true).open(&path).map_err(named)?;
        match file.try_lock() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Error::conflict("another `lake local` command is at work here")
                .with_object(self.dir.display().to_string())
                .with_hint("try again when it is done")),
            Err(TryLockError::Error(e)) => Err(named(e)),
        }
    }

    /// Reads the state; `None` where no instance was ever made.
    ///
    /// # Errors
    /// `Corrupt` for a file that is not a state.
    pub fn load(&self) -> Result<Option<State>> {
        let path = self.path(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(e) => return Err(Error::from(e).with_object(path.display().to_string())),
        };
        let corrupt = || Error::corrupt("not the state of a local instance").with_object(path.display().to_string());
        let state: State = serde_json::from_slice(&text).map_err(|e| corrupt().with_source(e))?;
        if state.form == FORM { Ok(Some(state)) } else { Err(corrupt()) }
    }

    /// Writes the state, whole or not at all.
    ///
    /// # Errors
    /// The file system's own.
    pub fn save(&self, state: &State) -> Result<()> {
        let path = self.path(FILE);
        let draft = self.path(".local.json.new");
        let text = serde_json::to_vec_pretty(state)
            .map_err(|e| Error::internal("a state can't be written as JSON").with_source(e))?;
        let write = || {
            let mut file = private().create(true).truncate(true).write(true).open(&draft)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&draft, &path)
        };
        write().map_err(|e| Error::from(e).with_object(path.display().to_string()))
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn make_private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// A port of loopback that is free now: the one `asked` for, else the one used `before`, else any.
///
/// # Errors
/// `Conflict` when the one asked for is taken.
pub fn free_port(asked: Option<u16>, before: u16) -> Result<u16> {
    let bound = |port: u16| -> std::io::Result<u16> {
        Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr()?.port())
    };
    match asked {
        Some(port) => bound(port).map_err(|e| {
            Error::conflict("the port can't be had")
                .with_object(format!("127.0.0.1:{port}"))
                .with_hint("leave the flag out to take a free one")
                .with_source(e)
        }),
        None if before != 0 => bound(before).or_else(|_| bound(0)).map_err(Error::from),
        None => bound(0).map_err(Error::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_format::{ErrorKind as Kind, SystemClock};

    fn home() -> (tempfile::TempDir, Home) {
        let dir = tempfile::tempdir().expect("dir");
        let home = Home::new(dir.path().join("local"));
        (dir, home)
    }

    #[test]
    fn a_state_comes_back_as_it_was() {
        let (_dir, home) = home();
        assert_eq!(home.load().expect("none yet"), None);
        home.make().expect("made");
        let mut state = State::new(&SystemClock);
        state.minio = Service { port: 9000, process: Some(Process { pid: 7, started: "then".to_owned() }) };
        home.save(&state).expect("saved");
        assert_eq!(home.load().expect("there"), Some(state));
        home.make().expect("it is ours");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let (_dir, home) = home();
        home.make().expect("made");
        home.save(&State::new(&SystemClock)).expect("saved");
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(home.dir()), mode(&home.path(FILE))), (0o700, 0o600));
    }

    #[test]
    fn every_instance_has_its_own_keys() {
        let (one, two) = (State::new(&SystemClock), State::new(&SystemClock));
        assert_ne!(one.access_key_id, two.access_key_id);
        assert_ne!(one.secret_access_key, two.secret_access_key);
        assert_eq!(one.secret_access_key.len(), 40);
    }

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let (_dir, home) = home();
        std::fs::create_dir_all(home.dir()).expect("dir");
        home.make().expect("an empty folder will do");
        std::fs::write(home.path("thesis.txt"), "").expect("file");
        assert_eq!(home.make().expect_err("not ours").kind(), Kind::Unsupported);
    }

    #[test]
    fn a_state_of_another_form_is_refused() {
        let (_dir, home) = home();
        home.make().expect("made");
        for text in ["", "{}", "[", r#"{"form":2}"#] {
            std::fs::write(home.path(FILE), text).expect("written");
            assert_eq!(home.load().expect_err(text).kind(), Kind::Corrupt);
        }
    }

    #[test]
    fn one_command_at_a_time() {
        let (_dir, home) = home();
        home.make().expect("made");
        let lock = home.lock().expect("free");
        assert_eq!(home.lock().expect_err("held").kind(), Kind::Conflict);
        drop(lock);
        home.lock().expect("free again");
        home.make().expect("a lock alone does not make a folder foreign");
    }

    #[test]
    fn a_taken_port_is_passed_over_unless_it_is_asked_for() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = taken.local_addr().expect("bound").port();
        assert_ne!(free_port(None, port).expect("another"), port);
        assert_eq!(free_port(Some(port), 0).expect_err("taken").kind(), Kind::Conflict);
        drop(taken);
        assert_eq!(free_port(None, port).expect("the same"), port);
    }
}
