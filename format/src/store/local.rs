//! Local files that last: contents reach the disk before their name does.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// What became of a local create.
pub(super) enum Created {
    /// The file is there, and so is its name, on disk.
    Yes,
    /// The name was taken.
    Taken,
}

/// Creates `path` with `bytes` if nothing has that name. `temporary` is a free name in the same directory.
/// The contents are synced before the name appears and the directory after, so a crash leaves all or nothing.
pub(super) fn create_durable(path: &Path, temporary: &Path, bytes: &[u8]) -> std::io::Result<Created> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    create_directories(directory)?;
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(temporary);
        return Err(error);
    }
    let linked = fs::hard_link(temporary, path);
    let _ = fs::remove_file(temporary);
    match linked {
        Ok(()) => sync_directory(directory).map(|()| Created::Yes),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(Created::Taken),
        Err(error) => Err(error),
    }
}

/// Creates missing directories and syncs each parent, so that they outlive a crash.
pub(super) fn create_directories(directory: &Path) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        create_directories(parent)?;
    }
    match fs::create_dir(directory) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    directory.parent().map_or(Ok(()), sync_directory)
}

/// Syncs a file that was written by other means, and its directory.
pub(super) fn sync_file(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), sync_directory)
}

/// Syncs the names in a directory.
pub(super) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_create_finds_the_name_taken_and_changes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a/b/1.json");
        let temporary = |n: u8| folder.path().join(format!("a/b/.{n}"));
        assert!(matches!(create_durable(&path, &temporary(1), b"one").expect("first"), Created::Yes));
        let second = create_durable(&path, &temporary(2), b"two").expect("COM-7: synced, then named");
        assert!(matches!(second, Created::Taken));
        assert_eq!(fs::read(&path).expect("read"), b"one");
        assert_eq!(fs::read_dir(folder.path().join("a/b")).expect("list").count(), 1, "no temporary file stays");
    }
}
