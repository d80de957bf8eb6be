//! The quickstart's folder: marked as its own, so that nothing else is ever written over.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use lake_format::{Error, Result};

/// File that marks a folder as the quickstart's.
const MARK: &str = ".lake-quickstart";
const MARK_TEXT: &str = "Made by `lake quickstart`, which writes over what it made here when it is run again.\n";

/// A folder of ours, held for one run.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes `dir`: a new or empty folder, or one of an earlier run.
    ///
    /// # Errors
    /// `Unsupported` for a folder that holds something else, `Conflict` while another run is at work there.
    pub fn take(dir: &Path) -> Result<Self> {
        let named = |e: io::Error| Error::from(e).with_object(dir.display().to_string());
        let mark = dir.join(MARK);
        if !mark.exists() && !is_empty(dir).map_err(named)? {
            return Err(Error::unsupported("the folder is not empty and not one that `lake quickstart` made")
                .with_object(dir.display().to_string())
                .with_hint("nothing was changed; name another folder with --dir"));
        }
        fs::create_dir_all(dir).map_err(named)?;
        let lock = File::options().create(true).append(true).open(&mark).map_err(named)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::conflict("another `lake quickstart` is at work in this folder")
                    .with_object(dir.display().to_string())
                    .with_hint("wait for it, or name another folder with --dir"));
            }
            Err(TryLockError::Error(e)) => return Err(named(e)),
        }
        fs::write(&mark, MARK_TEXT).map_err(named)?;
        Ok(Self { dir: dir.to_owned(), _lock: lock })
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a small text file in it and gives its path.
    ///
    /// # Errors
    /// The file system's own.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.path(name);
        let write = || {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&path, text)
        };
        write().map_err(|e: io::Error| Error::from(e).with_object(path.display().to_string()))?;
        Ok(path)
    }
}

fn is_empty(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(true),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lake_format::ErrorKind as Kind;

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().expect("dir");
        fs::write(dir.path().join("thesis.txt"), "years of work").expect("file");
        let error = Folder::take(dir.path()).expect_err("not ours");
        assert_eq!(error.kind(), Kind::Unsupported);
        assert_eq!(fs::read_dir(dir.path()).expect("dir").count(), 1);
    }

    #[test]
    fn a_new_an_empty_and_an_own_folder_will_do() {
        let dir = tempfile::tempdir().expect("dir");
        drop(Folder::take(dir.path()).expect("empty"));
        let nested = dir.path().join("a/b");
        let folder = Folder::take(&nested).expect("new");
        folder.write("sql/x.sql", "SELECT 1").expect("written");
        assert_eq!(Folder::take(&nested).expect_err("held").kind(), Kind::Conflict);
        drop(folder);
        Folder::take(&nested).expect("own");
    }

    #[test]
    fn a_file_is_no_folder() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("file");
        fs::write(&file, "").expect("file");
        Folder::take(&file).expect_err("a file");
    }
}
