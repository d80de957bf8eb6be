//! What the checks look at: the files of the workspace, and which of them are tests.

use std::collections::BTreeSet;
use std::io;
use std::ops::Deref;
use std::path::Path;

use crate::files::Files;
use crate::modules;

/// The files of the workspace, test files known.
#[derive(Debug)]
pub struct Tree {
    files: Files,
    test_files: BTreeSet<String>,
}

impl Tree {
    /// The workspace at `root`.
    pub fn load(root: &Path) -> io::Result<Self> {
        Files::load(root).map(Self::from)
    }

    /// A workspace of the given paths and texts.
    pub fn of<P: Into<String>, T: Into<String>>(files: impl IntoIterator<Item = (P, T)>) -> Self {
        Self::from(Files::of(files))
    }

    /// Whether all of the file at `path` is test code.
    pub fn is_test(&self, path: &str) -> bool {
        self.test_files.contains(path)
    }
}

impl From<Files> for Tree {
    fn from(files: Files) -> Self {
        let test_files = modules::test_files(&files);
        Self { files, test_files }
    }
}

impl Deref for Tree {
    type Target = Files;

    fn deref(&self) -> &Files {
        &self.files
    }
}
