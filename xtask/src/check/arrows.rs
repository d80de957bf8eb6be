//! Whether the crates depend on one another only along the arrows of the house.

use std::collections::BTreeMap;

use toml::{Table, Value};

use crate::files::File;
use crate::house::{CRATES, May, TESTKIT};
use crate::problem::Problem;
use crate::tree::Tree;

/// Dependencies between our crates that the house does not allow, and crates it does not know.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut manifests = Vec::new();
    for (folder, file) in tree.crates() {
        match file.text.parse::<Table>() {
            Ok(table) => manifests.push((folder, file, table)),
            Err(error) => {
                let message = error.to_string().lines().next().unwrap_or_default().to_owned();
                problems.push(Problem::new(&file.path, 1, message));
            }
        }
    }
    let ours: BTreeMap<String, &str> =
        manifests.iter().filter_map(|(folder, _, table)| Some((package_name(table)?.to_owned(), *folder))).collect();
    for (folder, file, table) in &manifests {
        let Some((_, may)) = CRATES.iter().find(|(known, _)| known == folder) else {
            problems.push(Problem::new(
                &file.path,
                1,
                "a crate that the house does not know: give it its arrows in house.rs",
            ));
            continue;
        };
        if let May::Only(allowed) = may {
            let used = dependencies(table).filter(|(name, _)| ours.contains_key(*name));
            let refused = used.filter(|(name, for_tests)| !(allowed.contains(name) || *for_tests && *name == TESTKIT));
            problems.extend(refused.map(|(name, _)| {
                let line = line_of(file, name);
                Problem::new(&file.path, line, format!("{folder} may not depend on {name}: its arrows are in house.rs"))
            }));
        }
    }
    problems
}

fn package_name(manifest: &Table) -> Option<&str> {
    manifest.get("package")?.get("name")?.as_str()
}

/// Packages that a manifest depends on, and whether for tests alone.
fn dependencies(manifest: &Table) -> impl Iterator<Item = (&str, bool)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flatten();
    let places = targets.filter_map(|(_, target)| target.as_table()).chain([manifest]);
    places.flat_map(|place| {
        let kinds = [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)];
        kinds.into_iter().flat_map(move |(kind, for_tests)| {
            let entries = place.get(kind).and_then(Value::as_table).into_iter().flatten();
            entries.map(move |(key, value)| {
                let renamed = value.get("package").and_then(Value::as_str);
                (renamed.unwrap_or(key), for_tests)
            })
        })
    })
}

fn line_of(file: &File, name: &str) -> usize {
    file.text.lines().position(|line| line.contains(name)).map_or(1, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(manifests: &[(&str, &str, &str)]) -> Vec<String> {
        let files = manifests.iter().map(|(folder, name, rest)| {
            (format!("{folder}/Cargo.toml"), format!("[package]\nname = \"{name}\"\n{rest}"))
        });
        check(&Tree::of(files)).into_iter().map(|p| p.to_string()).collect()
    }

    const FORMAT: (&str, &str, &str) = ("format", "lake-format", "");
    const QUERY: (&str, &str, &str) = ("query", "lake-query", "");

    #[test]
    fn an_arrow_of_the_house_is_fine() {
        let cli = ("cli", "lake-cli", "[dependencies]\nlake-query.workspace = true\nserde = \"1\"");
        let testkit = ("testkit", "lake-testkit", "");
        let query = ("query", "lake-query", "[dependencies]\nlake-format = {}\n[dev-dependencies]\nlake-testkit = {}");
        let tests = ("integration-tests", "lake-integration-tests", "[dependencies]\nlake-cli = {}\nlake-testkit = {}");
        assert_eq!(told(&[FORMAT, cli, query, testkit, tests]), [""; 0]);
    }

    #[test]
    fn any_other_arrow_is_told_in_every_form() {
        for rest in [
            "[dependencies]\nlake-query.workspace = true",
            "[dependencies]\nlake-query = { path = \"../query\", optional = true }",
            "[dependencies]\nq = { package = \"lake-query\" }",
            "[dev-dependencies]\nlake-query = {}",
            "[build-dependencies]\nlake-query = {}",
            "[target.'cfg(unix)'.dependencies]\nlake-query = {}",
        ] {
            let found = told(&[("format", "lake-format", rest), QUERY]);
            assert_eq!(found.len(), 1, "{rest}: {found:?}");
            assert!(found[0].starts_with("format/Cargo.toml:4: format may not depend on lake-query"), "{found:?}");
        }
    }

    #[test]
    fn the_testkit_is_for_tests() {
        let testkit = ("testkit", "lake-testkit", "");
        let format = ("format", "lake-format", "[dependencies]\nlake-testkit = {}");
        assert_eq!(told(&[format, testkit]).len(), 1);
    }

    #[test]
    fn an_unknown_crate_or_a_broken_manifest_is_told() {
        assert_eq!(told(&[("shed", "lake-shed", "")]).len(), 1);
        assert_eq!(told(&[("format", "lake-format", "[dependencies")]).len(), 1);
    }
}
