//! What files the workspace holds.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::rust::Rust;

/// One text file of the workspace.
#[derive(Debug)]
pub struct File {
    /// Path from the workspace root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Its code, for `.rs` files.
    pub rust: Option<Rust>,
}

/// All text files of the workspace.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<String, File>);

impl Files {
    /// The files git tracks or would track under `root`; without git, all files outside `target` and hidden folders.
    pub fn load(root: &Path) -> io::Result<Self> {
        let paths = match git_files(root) {
            Some(paths) => paths,
            None => walk(root)?,
        };
        let mut found = Vec::new();
        for path in paths {
            // Deleted but still tracked, a link, or binary: no text to judge.
            let Ok(bytes) = fs::read(root.join(&path)) else { continue };
            if let Ok(text) = String::from_utf8(bytes) {
                found.push((path, text));
            }
        }
        Ok(Self::of(found))
    }

    /// The given paths and texts.
    pub fn of<P: Into<String>, T: Into<String>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        let read = files.into_iter().map(|(path, text)| {
            let (path, text) = (path.into(), text.into());
            let rust = path.ends_with(".rs").then(|| Rust::read(&text));
            (path.clone(), File { path, text, rust })
        });
        Self(read.collect())
    }

    /// All files, by path.
    pub fn all(&self) -> impl Iterator<Item = &File> {
        self.0.values()
    }

    /// The Rust files with their code, by path.
    pub fn rust_files(&self) -> impl Iterator<Item = (&File, &Rust)> {
        self.0.values().filter_map(|file| file.rust.as_ref().map(|rust| (file, rust)))
    }

    /// The file at `path`.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }

    /// Folders that hold a `Cargo.toml` with a package.
    pub fn crates(&self) -> impl Iterator<Item = (&str, &File)> {
        self.0
            .values()
            .filter_map(|file| Some((file.path.strip_suffix("/Cargo.toml")?, file)))
            .filter(|(_, file)| file.text.lines().any(|line| line.trim() == "[package]"))
    }
}

fn git_files(root: &Path) -> Option<Vec<String>> {
    let listing = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let names = String::from_utf8(listing.stdout).ok()?;
    Some(names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn walk(root: &Path) -> io::Result<Vec<String>> {
    let (mut found, mut open) = (Vec::new(), vec![String::new()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if entry.file_type()?.is_dir() {
                if name != "target" && name != ".git" {
                    open.push(path);
                }
            } else {
                found.push(path);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_leaves_out_what_is_built() {
        let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
        let found = walk(Path::new(&here)).unwrap();
        assert!(found.contains(&"src/files.rs".to_owned()), "{found:?}");
        assert!(found.contains(&"Cargo.toml".to_owned()), "{found:?}");
    }

    #[test]
    fn crates_are_folders_with_a_package() {
        let files = Files::of([
            ("Cargo.toml", "[workspace]"),
            ("a/Cargo.toml", "[package]\nname = \"a\""),
            ("b/Cargo.toml", "[workspace]"),
        ]);
        assert_eq!(files.crates().map(|(folder, _)| folder).collect::<Vec<_>>(), ["a"]);
    }
}
