//! Local files that last: contents reach the disk before their name does.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::UNIX_EPOCH;

/// What became of a local create.
#[derive(Debug)]
pub(super) enum Created {
    /// The file is there, and so is its name, on disk.
    Yes,
    /// The name was taken.
    Taken,
    /// The name never appeared.
    No(std::io::Error),
    /// The name is there; whether it would outlive a crash is not known.
    Unsynced(std::io::Error),
}

/// Creates `path` with `bytes` if nothing has that name. `temporary` is a free name in the same directory.
/// The contents are synced before the name appears and the directory after, so a crash leaves all or nothing.
pub(super) fn create_durable(path: &Path, temporary: &Path, bytes: &[u8]) -> Created {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let written = (|| {
        create_directories(directory)?;
        let mut file = OpenOptions::new().write(true).create_new(true).open(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    })();
    if let Err(error) = written {
        let _ = fs::remove_file(temporary);
        return Created::No(error);
    }
    let linked = fs::hard_link(temporary, path);
    let _ = fs::remove_file(temporary);
    match linked {
        Ok(()) => sync_directory(directory).map_or_else(Created::Unsynced, |()| Created::Yes),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Created::Taken,
        Err(error) => Created::No(error),
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

/// Copies a file to a free name. Not a link, and not a clone with the old times: the copy's age is its own.
pub(super) fn copy_file(source: &Path, target: &Path) -> std::io::Result<()> {
    create_directories(target.parent().unwrap_or(Path::new("/")))?;
    let mut from = File::open(source)?;
    let mut to = OpenOptions::new().write(true).create_new(true).open(target)?;
    let copied = std::io::copy(&mut from, &mut to);
    if copied.is_err() {
        let _ = fs::remove_file(target);
    }
    copied.map(drop)
}

/// Removes the empty directories at and below `directory`, and those above it up to `keep`, which stays.
pub(super) fn remove_directories(directory: &Path, keep: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_directories(&entry.path(), directory)?;
        }
    }
    for above in directory.ancestors().take_while(|above| *above != keep) {
        match fs::remove_dir(above) {
            Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => break,
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// A file in a folder: its name, bytes, and time in milliseconds since the epoch.
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) size_bytes: u64,
    pub(super) modified_ms: i64,
}

/// The files right in `folder` whose names are `wanted`, in the order of their names; none when there is no such folder.
/// Only these are looked at: in a folder of thousands that is most of the work.
pub(super) fn list_folder(folder: &Path, wanted: impl Fn(&str) -> bool) -> std::io::Result<Vec<Listed>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if !wanted(&name) {
            continue;
        }
        let metadata = match fs::metadata(entry.path()) {
            // It went away in between.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        if !metadata.is_file() {
            continue;
        }
        let age = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let modified_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        files.push(Listed { name, size_bytes: metadata.len(), modified_ms });
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
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
    fn what_fails_before_the_name_appears_leaves_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let blocked = folder.path().join("file");
        fs::write(&blocked, "in the way of a directory").expect("file");
        let created = create_durable(&blocked.join("1.json"), &blocked.join(".1"), b"one");
        assert!(matches!(created, Created::No(_)), "COM-4: {created:?}");
    }

    #[test]
    fn the_second_create_finds_the_name_taken_and_changes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a/b/1.json");
        let temporary = |n: u8| folder.path().join(format!("a/b/.{n}"));
        let first = create_durable(&path, &temporary(1), b"one");
        assert!(matches!(first, Created::Yes), "COM-7: synced, then named: {first:?}");
        assert!(matches!(create_durable(&path, &temporary(2), b"two"), Created::Taken));
        assert_eq!(fs::read(&path).expect("read"), b"one");
        assert_eq!(fs::read_dir(folder.path().join("a/b")).expect("list").count(), 1, "no temporary file stays");
    }
}
