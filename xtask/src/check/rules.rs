//! Whether every rule of the specification has a test, and every rule that code cites exists.

use std::collections::{BTreeMap, BTreeSet};

use crate::lexer::Token;
use crate::problem::Problem;
use crate::tree::Tree;

/// Rules without a test, rules given twice, and citations of rules that are not there.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut rules: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    for file in tree.all().filter(|file| is_spec(&file.path)) {
        for (at, line) in file.text.lines().enumerate() {
            let Some(id) = defined(line) else { continue };
            if let Some((other, place)) = rules.insert(id, (&file.path, at + 1)) {
                problems.push(Problem::new(&file.path, at + 1, format!("{id} is given at {other}:{place} already")));
            }
        }
    }
    let families: BTreeSet<&str> = rules.keys().filter_map(|id| id.split_once('-')).map(|(family, _)| family).collect();
    let mut tested = BTreeSet::new();
    for (file, rust) in tree.rust_files() {
        let whole = tree.is_test(&file.path);
        let test_lines = rust.test_lines();
        for token in rust.comments.iter().chain(&rust.code) {
            for (id, line) in cited(token, &families) {
                if !rules.contains_key(id.as_str()) {
                    problems.push(Problem::new(&file.path, line, format!("{id} is no rule of spec/")));
                } else if whole || test_lines.iter().any(|span| span.contains(&line)) {
                    tested.insert(id);
                }
            }
        }
    }
    let untested = rules.iter().filter(|(id, _)| !tested.contains(**id));
    problems.extend(untested.map(|(id, (file, line))| Problem::new(*file, *line, format!("no test cites {id}"))));
    problems
}

fn is_spec(path: &str) -> bool {
    path.strip_prefix("spec/").is_some_and(|name| name.ends_with(".md") && !name.contains('/'))
}

/// The id that a line of the specification gives a rule: `**DEMO-4**` at its beginning.
fn defined(line: &str) -> Option<&str> {
    let (id, _) = line.trim_start_matches("- ").strip_prefix("**")?.split_once("**")?;
    let (family, number) = id.trim_end_matches(['.', ':']).split_once('-')?;
    let named = !family.is_empty() && family.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let numbered = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit());
    (named && numbered).then(|| id.trim_end_matches(['.', ':']))
}

/// Ids of the given families in a comment or in text, with the line of each.
fn cited(token: &Token, families: &BTreeSet<&str>) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, line) in token.text.lines().enumerate() {
        for family in families {
            for (start, _) in line.match_indices(family) {
                let free = !line[..start].ends_with(|c: char| c.is_alphanumeric() || c == '-' || c == '_');
                let Some(number) = line[start + family.len()..].strip_prefix('-') else { continue };
                let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
                let ends = !number[digits.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
                if free && ends && !digits.is_empty() {
                    found.push((format!("{family}-{digits}"), token.line + at));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(files: &[(&str, &str)]) -> Vec<String> {
        let manifest = [("a/Cargo.toml", "[package]"), ("a/src/lib.rs", "mod b;")];
        check(&Tree::of(files.iter().copied().chain(manifest))).into_iter().map(|p| p.to_string()).collect()
    }

    const SPEC: (&str, &str) = ("spec/log.md", "# Log\n\n**DEMO-4** A commit is whole.\n\n**DEMO-5**: text\n");

    #[test]
    fn a_rule_without_a_test_is_told() {
        let code = ("a/src/b.rs", "// DEMO-4\n// DEMO-5\nfn f() {}\n#[cfg(test)]\nmod t { // DEMO-5\n}");
        assert_eq!(told(&[SPEC, code]), ["spec/log.md:3: no test cites DEMO-4"]);
    }

    #[test]
    fn a_citation_in_any_test_counts() {
        let inline = ("a/src/b.rs", "#[cfg(test)]\nmod t {\n  /// Holds DEMO-4.\n  fn f() {}\n}");
        let tests = ("a/tests/c.rs", "const RULE: &str = \"DEMO-5\";");
        assert_eq!(told(&[SPEC, inline, tests]), [""; 0]);
        let other = ("integration-tests/src/x.rs", "// DEMO-4, DEMO-5");
        assert_eq!(told(&[SPEC, other]), [""; 0]);
    }

    #[test]
    fn a_citation_of_no_rule_is_told() {
        let code = ("a/src/b.rs", "\n// DEMO-40 UTF-8 XDEMO-9 DEMO-4x\nfn f() { g(\"DEMO-6\") }");
        let tests = ("a/tests/c.rs", "// DEMO-4 DEMO-5");
        assert_eq!(
            told(&[SPEC, code, tests]),
            ["a/src/b.rs:2: DEMO-40 is no rule of spec/", "a/src/b.rs:3: DEMO-6 is no rule of spec/"]
        );
    }

    #[test]
    fn an_id_given_twice_is_told() {
        let tests = ("a/tests/c.rs", "// DEMO-4 DEMO-5");
        let twice = ("spec/more.md", "**DEMO-4** Again.");
        assert_eq!(told(&[SPEC, twice, tests]), ["spec/more.md:1: DEMO-4 is given at spec/log.md:3 already"]);
    }

    #[test]
    fn bold_words_are_no_rules() {
        assert_eq!(told(&[("spec/log.md", "**Note** x\n**DEMO-** y\n**demo-1** z\ntext **DEMO-1**\n")]), [""; 0]);
        assert_eq!(told(&[("spec/rfc/log.md", "**DEMO-1** x")]), [""; 0]);
    }
}
