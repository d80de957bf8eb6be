//! Which files the module tree of each crate reaches, and which of them are for tests alone.

use std::collections::BTreeSet;

use crate::files::Files;
use crate::problem::Problem;
use crate::rust::Rust;

/// Files that are test code as a whole.
pub fn test_files(files: &Files) -> BTreeSet<String> {
    let (mut all, mut production) = (BTreeSet::new(), BTreeSet::new());
    for (folder, manifest) in files.crates() {
        let roots = roots(files, folder, &manifest.text);
        reach(files, &roots, true, &mut all);
        let own: Vec<_> = roots.iter().filter(|path| !named_as_test(path)).cloned().collect();
        reach(files, &own, false, &mut production);
    }
    let declared = all.difference(&production).cloned();
    declared.chain(files.rust_files().map(|(file, _)| file.path.clone()).filter(|path| named_as_test(path))).collect()
}

/// Files of a crate that no module declares: nobody compiles them.
pub fn dead(files: &Files) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (folder, manifest) in files.crates() {
        let mut reached = BTreeSet::new();
        let roots = roots(files, folder, &manifest.text);
        reach(files, &roots, true, &mut reached);
        let inside = format!("{folder}/");
        for (file, _) in files.rust_files().filter(|(file, _)| file.path.starts_with(&inside)) {
            let nested = files.crates().any(|(other, _)| other != folder && is_inside(&file.path, other, folder));
            if !nested && !reached.contains(&file.path) {
                problems.push(Problem::new(&file.path, 1, "no module declares this file: declare it or delete it"));
            }
        }
    }
    problems
}

/// Whether `path` lies in the crate `other` that itself lies in `folder`.
fn is_inside(path: &str, other: &str, folder: &str) -> bool {
    other.starts_with(&format!("{folder}/")) && path.starts_with(&format!("{other}/"))
}

fn named_as_test(path: &str) -> bool {
    path.starts_with("integration-tests/") || path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// The files from which the compiler starts.
fn roots(files: &Files, folder: &str, manifest: &str) -> Vec<String> {
    let given = manifest.lines().filter_map(|line| {
        let path = line.trim().strip_prefix("path")?.trim_start().strip_prefix('=')?.trim().trim_matches('"');
        path.ends_with(".rs").then(|| join(folder, path))
    });
    let found = files.rust_files().filter_map(|(file, _)| {
        let path = file.path.strip_prefix(folder)?.strip_prefix('/')?;
        is_default_root(path).then(|| file.path.clone())
    });
    given.chain(found).collect()
}

fn is_default_root(path: &str) -> bool {
    let parts: Vec<_> = path.split('/').collect();
    matches!(
        parts.as_slice(),
        ["build.rs"]
            | ["src", "lib.rs" | "main.rs"]
            | ["src", "bin", _]
            | ["src", "bin", _, "main.rs"]
            | ["tests" | "examples" | "benches", _]
            | ["tests" | "examples" | "benches", _, "main.rs"]
    )
}

/// Adds to `reached` all files that `roots` lead to.
fn reach(files: &Files, roots: &[String], with_tests: bool, reached: &mut BTreeSet<String>) {
    let mut open: Vec<(String, bool)> = roots.iter().map(|root| (root.clone(), true)).collect();
    while let Some((path, is_root)) = open.pop() {
        let Some(rust) = files.get(&path).and_then(|file| file.rust.as_ref()) else { continue };
        if !reached.insert(path.clone()) {
            continue;
        }
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let base = match name.strip_suffix(".rs") {
            Some(stem) if !is_root && stem != "mod" => join(folder, stem),
            _ => folder.to_owned(),
        };
        for module in rust.declared().into_iter().filter(|module| with_tests || !module.test) {
            if let Some(file) = &module.file {
                let from = if module.scope.is_empty() { folder.to_owned() } else { scoped(&base, &module.scope) };
                // A file given by path is its own folder's root.
                open.push((join(&from, file), true));
                continue;
            }
            let home = scoped(&base, &module.scope);
            open.push((join(&home, &format!("{}.rs", module.name)), false));
            open.push((join(&home, &format!("{}/mod.rs", module.name)), false));
        }
        open.extend(included(rust).map(|file| (join(folder, file), true)));
    }
}

fn scoped(base: &str, scope: &[String]) -> String {
    scope.iter().fold(base.to_owned(), |folder, name| join(&folder, name))
}

/// Files taken in by `include!("…")`.
fn included(rust: &Rust) -> impl Iterator<Item = &str> {
    rust.code.windows(4).filter_map(|window| {
        let [word, mark, _, text] = window else { return None };
        let file = text.text.strip_prefix('"')?.strip_suffix('"')?;
        (word.is("include") && mark.is_mark('!') && file.ends_with(".rs")).then_some(file)
    })
}

/// `path` from `folder`, with `.` and `..` resolved.
fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(files: &[(&str, &str)]) -> Files {
        Files::of(files.iter().copied().chain([("a/Cargo.toml", "[package]\nname = \"a\"")]))
    }

    fn dead_files(files: &[(&str, &str)]) -> Vec<String> {
        dead(&set(files)).into_iter().map(|problem| problem.file).collect()
    }

    #[test]
    fn a_file_nobody_declares_is_dead() {
        let files = [("a/src/lib.rs", "mod b;"), ("a/src/b.rs", ""), ("a/src/c.rs", ""), ("a/src/d/mod.rs", "mod e;")];
        assert_eq!(dead_files(&files), ["a/src/c.rs", "a/src/d/mod.rs"]);
    }

    #[test]
    fn a_declaration_in_a_comment_or_text_is_none() {
        assert_eq!(
            dead_files(&[("a/src/lib.rs", "// mod b;\nconst X: &str = \"mod b;\";"), ("a/src/b.rs", "")]),
            ["a/src/b.rs"]
        );
    }

    #[test]
    fn every_form_of_declaration_is_followed() {
        let files = [
            ("a/src/lib.rs", "mod b; mod i { mod j; } #[path = \"odd/k.rs\"] mod k; include!(\"l.rs\");"),
            ("a/src/b/mod.rs", "mod c;"),
            ("a/src/b/c.rs", "mod d;"),
            ("a/src/b/c/d.rs", ""),
            ("a/src/i/j.rs", ""),
            ("a/src/odd/k.rs", ""),
            ("a/src/l.rs", ""),
            ("a/tests/one.rs", "mod common;"),
            ("a/tests/common/mod.rs", ""),
            ("a/examples/two/main.rs", ""),
            ("a/build.rs", ""),
        ];
        assert_eq!(dead_files(&files), [""; 0]);
    }

    #[test]
    fn test_files_are_known_by_name_or_by_declaration() {
        let files = set(&[
            ("a/src/lib.rs", "mod b; #[cfg(test)] mod support;"),
            ("a/src/b.rs", "#[cfg(test)] mod tests;"),
            ("a/src/b/tests.rs", ""),
            ("a/src/support.rs", "mod inner;"),
            ("a/src/support/inner.rs", ""),
            ("a/tests/one.rs", ""),
        ]);
        let found: Vec<_> = test_files(&files).into_iter().collect();
        assert_eq!(found, ["a/src/b/tests.rs", "a/src/support.rs", "a/src/support/inner.rs", "a/tests/one.rs"]);
    }

    #[test]
    fn a_target_given_by_path_is_a_root() {
        let files = Files::of([
            ("a/Cargo.toml", "[package]\n[[bin]]\npath = \"odd/main.rs\""),
            ("a/odd/main.rs", "mod x;"),
            ("a/odd/x.rs", ""),
        ]);
        assert_eq!(dead(&files), []);
    }
}
