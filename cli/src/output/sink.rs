//! Where data goes: standard output, or a file that appears only when it is complete.

use std::fs::{self, File};
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};

use lake_format::Error;

use crate::error::CliError;

const BUFFER_BYTES: usize = 64 * 1024;

/// Links that are followed, at most.
const LINKS: usize = 40;

/// A destination for bytes. One that is dropped without [`Sink::commit`] leaves no file.
pub struct Sink(Target);

enum Target {
    Stdout(BufWriter<Stdout>),
    /// Standard output of a person: what would steer the terminal is replaced.
    Terminal(BufWriter<Stdout>, Filter),
    File(BufWriter<File>, Pending),
    /// A device or a pipe with a name.
    Device(BufWriter<File>, PathBuf),
}

/// A file under its temporary name.
struct Pending {
    temporary: PathBuf,
    path: PathBuf,
}

impl Drop for Pending {
    fn drop(&mut self) {
        // After a rename there is nothing left under this name.
        let _ = fs::remove_file(&self.temporary);
    }
}

impl Sink {
    /// Standard output.
    pub fn stdout() -> Self {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let buffered = BufWriter::with_capacity(BUFFER_BYTES, stdout);
        Self(if terminal { Target::Terminal(buffered, Filter::default()) } else { Target::Stdout(buffered) })
    }

    /// The file at `path`, which is replaced on [`Sink::commit`]; of a link, the file that it leads to. A device or pipe
    /// is written to as it is.
    ///
    /// # Errors
    /// `Invalid` for a directory; what the system says.
    pub fn file(path: &Path) -> Result<Self, CliError> {
        let failed = |error: io::Error| Error::from(error).with_object(path.display().to_string());
        let Some(name) = path.file_name() else {
            return Err(Error::invalid("the output needs the name of a file")
                .with_object(path.display().to_string())
                .into());
        };
        let old = match fs::metadata(path) {
            Ok(old) if old.is_dir() => {
                return Err(Error::invalid("the output is a directory").with_object(path.display().to_string()).into());
            }
            Ok(old) if !old.is_file() => {
                let device = File::options().write(true).open(path).map_err(failed)?;
                return Ok(Self(Target::Device(BufWriter::with_capacity(BUFFER_BYTES, device), path.to_owned())));
            }
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error).into()),
        };
        let path = resolved(path).map_err(failed)?;
        let name = path.file_name().unwrap_or(name);
        let temporary = path.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
        let file = File::create(&temporary).map_err(failed)?;
        let pending = Pending { temporary, path };
        if let Some(old) = old {
            file.set_permissions(old.permissions()).map_err(failed)?;
        }
        Ok(Self(Target::File(BufWriter::with_capacity(BUFFER_BYTES, file), pending)))
    }

    /// All was written: it is there for good.
    ///
    /// # Errors
    /// What the system says; the file that was there before is untouched then.
    pub fn commit(self) -> Result<(), CliError> {
        match self.0 {
            Target::Stdout(mut stdout) | Target::Terminal(mut stdout, _) => stdout.flush()?,
            Target::Device(mut device, path) => device.flush().map_err(|error| match CliError::from(error) {
                CliError::Failed(error) => CliError::Failed(error.with_object(path.display().to_string())),
                other => other,
            })?,
            Target::File(file, pending) => {
                let failed = |error: io::Error| Error::from(error).with_object(pending.path.display().to_string());
                let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
                file.sync_all().map_err(failed)?;
                fs::rename(&pending.temporary, &pending.path).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// Where the links at `path` lead, also to a file that is not there yet.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_symlink() => {
                let to = fs::read_link(&path)?;
                path = path.parent().unwrap_or(Path::new("")).join(to);
            }
            Ok(_) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(path),
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("too many links follow one another"))
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Target::Stdout(stdout) => stdout.write(bytes),
            Target::File(file, _) | Target::Device(file, _) => file.write(bytes),
            Target::Terminal(stdout, filter) => {
                stdout.write_all(&filter.clean(bytes))?;
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Target::Stdout(stdout) | Target::Terminal(stdout, _) => stdout.flush(),
            Target::File(file, _) | Target::Device(file, _) => file.flush(),
        }
    }
}

/// Replaces control characters, also those of two bytes, also when these come in two pieces.
#[derive(Default)]
struct Filter {
    after_c2: bool,
}

impl Filter {
    fn clean(&mut self, bytes: &[u8]) -> Vec<u8> {
        let clean = |&byte: &u8| {
            let second_of_control = std::mem::replace(&mut self.after_c2, byte == 0xc2) && (0x80..0xa0).contains(&byte);
            match byte {
                b'\n' | b'\r' | b'\t' => byte,
                0x00..=0x1f | 0x7f => b'?',
                // Together with the byte before a visible character (a reversed question mark), not a control.
                _ if second_of_control => 0xbf,
                _ => byte,
            }
        };
        bytes.iter().map(clean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("out.csv");
        fs::write(&path, "old").expect("old");
        let mut sink = Sink::file(&path).expect("sink");
        sink.write_all(b"half").expect("write");
        drop(sink);
        assert_eq!(fs::read_to_string(&path).expect("read"), "old");
        let mut sink = Sink::file(&path).expect("sink");
        sink.write_all(b"new").expect("write");
        sink.commit().expect("commit");
        assert_eq!(fs::read_to_string(&path).expect("read"), "new");
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1, "no temporary file stays");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_its_file_is_replaced() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let dir = tempfile::tempdir().expect("dir");
        let (real, link, deep) = (dir.path().join("d/real.csv"), dir.path().join("link.csv"), dir.path().join("deep"));
        fs::create_dir(dir.path().join("d")).expect("dir");
        symlink("d/real.csv", &link).expect("link");
        symlink("link.csv", &deep).expect("link");
        for (path, text) in [(&link, "one"), (&deep, "two")] {
            let mut sink = Sink::file(path).expect("sink");
            sink.write_all(text.as_bytes()).expect("write");
            sink.commit().expect("commit");
            assert_eq!(fs::read_to_string(&real).expect("read"), text);
            assert!(fs::symlink_metadata(path).expect("link").is_symlink());
            fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).expect("mode");
        }
        let mut sink = Sink::file(&deep).expect("sink");
        sink.write_all(b"three").expect("write");
        sink.commit().expect("commit");
        assert_eq!(fs::metadata(&real).expect("file").permissions().mode() & 0o777, 0o600);
        symlink("loop", dir.path().join("loop")).expect("link");
        assert!(Sink::file(&dir.path().join("loop")).is_err());
        symlink(".", dir.path().join("here")).expect("link");
        assert!(Sink::file(&dir.path().join("here")).is_err(), "a directory behind a link");
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_to_and_stays() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let dir = tempfile::tempdir().expect("dir");
        let link = dir.path().join("null");
        symlink("/dev/null", &link).expect("link");
        for path in [Path::new("/dev/null"), &link] {
            let mut sink = Sink::file(path).expect("sink");
            sink.write_all(b"gone").expect("write");
            sink.commit().expect("commit");
        }
        assert!(fs::metadata("/dev/null").expect("device").file_type().is_char_device());
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_terminal_is_not_steered() {
        let mut filter = Filter::default();
        assert_eq!(filter.clean(b"a\x1b[2J\tb\x7f\n"), b"a?[2J\tb?\n");
        assert_eq!(filter.clean(b"\xc2"), b"\xc2");
        assert_eq!(filter.clean(b"\x9b1m"), b"\xbf1m", "also in two pieces");
        assert_eq!(filter.clean("é §".as_bytes()), "é §".as_bytes());
    }
}
