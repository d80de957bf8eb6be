//! Local files that last: contents reach the disk before their name does.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::Durability;
use crate::error::Error;

/// What became of a local create.
#[derive(Debug)]
pub(super) enum Created {
    /// The file is there, and so is its name, on disk.
    Yes,
    /// The name was taken.
    Taken,
    /// The name never appeared.
    No(std::io::Error),
    /// Nor did it where what it should stand on could not be made to last.
    Unfounded(Error),
    /// The name is there; whether it would outlive a crash is not known.
    Unsynced(std::io::Error),
}

/// Creates `path` with `bytes` if nothing has that name. `temporary` is a free name in the same directory.
/// The contents and all of `first` are synced before the name appears, at the same time, since one turn of the disk can
/// serve them all; the directory after, so a crash leaves all or nothing.
pub(super) fn create_behind(
    path: &Path,
    temporary: &Path,
    bytes: &[u8],
    durability: Durability,
    first: &[PathBuf],
) -> Created {
    let named = |path: &PathBuf, error: std::io::Error| Error::from(error).with_object(path.display().to_string());
    let sync_first =
        || first.iter().try_for_each(|path| sync_contents(path, durability).map_err(|error| named(path, error)));
    let (prepared, synced) = thread::scope(|scope| {
        let beside = match first {
            [] => None,
            _ => thread::Builder::new().spawn_scoped(scope, sync_first).ok(),
        };
        let prepared = prepare(temporary, bytes, durability);
        let cut_short = |_| Err(Error::internal("a sync was cut short"));
        // Without another thread it is this one's to do.
        (prepared, beside.map_or_else(sync_first, |thread| thread.join().unwrap_or_else(cut_short)))
    });
    match (prepared, synced) {
        (Ok(()), Ok(())) => give_name(path, temporary, durability),
        (Err(error), _) => Created::No(error),
        (Ok(()), Err(error)) => {
            let _ = fs::remove_file(temporary);
            Created::Unfounded(error)
        }
    }
}

/// The bytes are on disk, without the name.
fn prepare(temporary: &Path, bytes: &[u8], durability: Durability) -> std::io::Result<()> {
    let written = create_file(temporary, durability).and_then(|file| fill(temporary, file, [bytes], durability));
    written.inspect_err(|_| drop(fs::remove_file(temporary)))
}

fn give_name(path: &Path, temporary: &Path, durability: Durability) -> Created {
    let linked = fs::hard_link(temporary, path);
    let _ = fs::remove_file(temporary);
    match linked {
        Ok(()) => sync_directory(parent(path), durability).map_or_else(Created::Unsynced, |()| Created::Yes),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Created::Taken,
        Err(error) => Created::No(error),
    }
}

/// Writes a file of a name that nobody looks for yet. It is synced, then its directory: nothing else need be.
pub(super) fn write_new(path: &Path, parts: &[Bytes], durability: Durability) -> std::io::Result<()> {
    match write_unsynced(path, parts, durability) {
        // Only a name that was used before needs the care of a replacement.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => replace(path, parts, durability),
        written => written.and_then(|()| sync_file(path, durability)),
    }
}

/// As [`write_new`], but only directories that are made last by themselves: [`sync_contents`] and [`sync_directory`] are
/// to follow.
///
/// # Errors
/// `AlreadyExists` also for a name that is taken.
pub(super) fn write_unsynced(path: &Path, parts: &[Bytes], durability: Durability) -> std::io::Result<()> {
    let file = create_file(path, durability)?;
    fill(path, file, parts, Durability::None).inspect_err(|_| drop(fs::remove_file(path)))
}

/// Writes a file in the place of one that may be there. Whoever looks meanwhile sees the old one or the new one, whole.
pub(super) fn replace(path: &Path, parts: &[Bytes], durability: Durability) -> std::io::Result<()> {
    let (temporary, file) = create_beside(path, durability)?;
    let written = fill(&temporary, file, parts, durability).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    sync_directory(parent(path), durability)
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// A new file, in a directory that is made where it is missing.
fn create_file(path: &Path, durability: Durability) -> std::io::Result<File> {
    let create = || OpenOptions::new().write(true).create_new(true).open(path);
    match create() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create_directories(parent(path), durability)?;
            create()
        }
        created => created,
    }
}

/// A new file whose name lists of objects leave out: the number sign and digits mark what is on its way.
fn create_beside(path: &Path, durability: Durability) -> std::io::Result<(PathBuf, File)> {
    let mut attempt = 1_u64;
    loop {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!("#{attempt}"));
        let temporary = path.with_file_name(name);
        match create_file(&temporary, durability) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => attempt += 1,
            created => return created.map(|file| (temporary, file)),
        }
    }
}

fn fill(
    path: &Path,
    mut file: File,
    parts: impl IntoIterator<Item = impl AsRef<[u8]>>,
    durability: Durability,
) -> std::io::Result<()> {
    parts.into_iter().try_for_each(|part| file.write_all(part.as_ref()))?;
    sync(path, &file, durability)
}

/// Creates missing directories and syncs each parent, so that they outlive a crash.
pub(super) fn create_directories(directory: &Path, durability: Durability) -> std::io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent() {
        create_directories(parent, durability)?;
    }
    match fs::create_dir(directory) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    directory.parent().map_or(Ok(()), |parent| sync_directory(parent, durability))
}

/// Copies a file to a free name. Not a link, and not a clone with the old times: the copy's age is its own.
pub(super) fn copy_file(source: &Path, target: &Path, durability: Durability) -> std::io::Result<()> {
    create_directories(parent(target), durability)?;
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
pub(super) fn sync_file(path: &Path, durability: Durability) -> std::io::Result<()> {
    sync_contents(path, durability)?;
    sync_directory(parent(path), durability)
}

/// Syncs what a file holds.
pub(super) fn sync_contents(path: &Path, durability: Durability) -> std::io::Result<()> {
    match durability {
        Durability::Full => sync(path, &File::open(path)?, durability),
        Durability::None => Ok(()),
    }
}

/// Syncs the names in a directory.
pub(super) fn sync_directory(directory: &Path, durability: Durability) -> std::io::Result<()> {
    sync_contents(directory, durability)
}

/// The one place where anything is synced.
#[cfg_attr(not(test), expect(unused_variables, reason = "tests look at what was synced"))]
fn sync(path: &Path, file: &File, durability: Durability) -> std::io::Result<()> {
    if durability == Durability::None {
        return Ok(());
    }
    #[cfg(test)]
    synced::note(path);
    file.sync_all()
}

/// What was synced, for tests.
#[cfg(test)]
pub(crate) mod synced {
    use std::path::{Path, PathBuf};
    use std::sync::Mutex;

    static SYNCED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

    pub(super) fn note(path: &Path) {
        SYNCED.lock().expect("lock").push(path.to_owned());
    }

    /// What was below `folder` since the last time of asking, in the order of the names.
    pub(crate) fn take(folder: &Path) -> Vec<String> {
        let mut all = SYNCED.lock().expect("lock");
        let (below, others) = all.drain(..).partition(|path| path.starts_with(folder));
        *all = others;
        let name = |path: PathBuf| path.strip_prefix(folder).expect("below").display().to_string();
        let mut names: Vec<String> = below.into_iter().map(name).collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_before_the_name_appears_leaves_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let blocked = folder.path().join("file");
        fs::write(&blocked, "in the way of a directory").expect("file");
        let created = create_behind(&blocked.join("1.json"), &blocked.join(".1"), b"one", Durability::Full, &[]);
        assert!(matches!(created, Created::No(_)), "COM-4: {created:?}");
    }

    #[test]
    fn the_second_create_finds_the_name_taken_and_changes_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a/b/1.json");
        let temporary = |n: u8| folder.path().join(format!("a/b/.{n}"));
        let first = create_behind(&path, &temporary(1), b"one", Durability::Full, &[]);
        assert!(matches!(first, Created::Yes), "COM-7: synced, then named: {first:?}");
        assert!(matches!(create_behind(&path, &temporary(2), b"two", Durability::Full, &[]), Created::Taken));
        assert_eq!(fs::read(&path).expect("read"), b"one");
        assert_eq!(fs::read_dir(folder.path().join("a/b")).expect("list").count(), 1, "no temporary file stays");
    }

    #[test]
    fn what_is_written_is_synced_and_so_is_its_directory() {
        for durability in [Durability::Full, Durability::None] {
            let folder = tempfile::tempdir().expect("folder");
            let synced = |expected: &[&str]| {
                let expected = if durability == Durability::Full { expected } else { &[] };
                assert_eq!(synced::take(folder.path()), expected, "COM-7");
            };
            let parts = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
            let inside = |name: &str| folder.path().join("a/b").join(name);
            write_new(&inside("new"), &parts, durability).expect("new");
            // The directories are new too: each is synced into the one above it.
            synced(&["", "a", "a/b", "a/b/new"]);
            replace(&inside("new"), &parts[..1], durability).expect("replaced");
            assert_eq!(fs::read(inside("new")).expect("read"), b"one");
            synced(&["a/b", "a/b/new#1"]);
            write_new(&inside("new"), &parts, durability).expect("again");
            assert_eq!(fs::read(inside("new")).expect("read"), b"onetwo");
            synced(&["a/b", "a/b/new#1"]);
            let created = create_behind(&inside("1.json"), &inside(".1"), b"one", durability, &[]);
            assert!(matches!(created, Created::Yes), "{created:?}");
            synced(&["a/b", "a/b/.1"]);
            assert_eq!(fs::read_dir(folder.path().join("a/b")).expect("list").count(), 2, "no temporary file stays");
        }
    }

    #[test]
    fn a_temporary_file_of_a_crash_is_in_nobody_s_way() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("hint");
        fs::write(folder.path().join("hint#1"), "left behind").expect("file");
        replace(&path, &[Bytes::from_static(b"whole")], Durability::Full).expect("replaced");
        assert_eq!(fs::read(&path).expect("read"), b"whole");
        assert_eq!(fs::read(folder.path().join("hint#1")).expect("read"), b"left behind");
    }
}
