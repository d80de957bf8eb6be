//! Whether text and names stand where they may.

use crate::house::{FORBIDDEN_TEXT, NAMED_WORDS, NamedWord};
use crate::problem::Problem;
use crate::rust::Named;
use crate::tree::Tree;

/// Text that no file of the repository holds.
pub fn forbidden(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in tree.all() {
        for (at, line) in file.text.lines().enumerate() {
            for (text, reason) in FORBIDDEN_TEXT {
                if holds(line, text) {
                    problems.push(Problem::new(&file.path, at + 1, format!("`{text}` is {reason}")));
                }
            }
        }
    }
    problems
}

/// Whether `line` holds `text`. An absolute path counts where it begins, not inside a longer one.
fn holds(line: &str, text: &str) -> bool {
    line.match_indices(text).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !text.starts_with('/') || !before.is_some_and(|c| c.is_alphanumeric() || "._-})*".contains(c))
    })
}

/// Crates that are named outside the place kept for them.
pub fn named(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (file, rust) in tree.rust_files().filter(|(file, _)| !tree.is_test(&file.path)) {
        let rules: Vec<&NamedWord> = NAMED_WORDS.iter().filter(|rule| rule_holds(rule, &file.path)).collect();
        if rules.is_empty() {
            continue;
        }
        for path in rust.named().iter().filter(|path| !path.test) {
            for rule in rules.iter().filter(|rule| starts_with(path, rule.word)) {
                let message = format!("`{}` is named in {} only", rule.word, rule.only.join(", "));
                problems.push(Problem::new(&file.path, path.line, message));
            }
        }
    }
    problems
}

fn rule_holds(rule: &NamedWord, path: &str) -> bool {
    let allowed = |only: &&str| if only.ends_with('/') { path.starts_with(*only) } else { path == *only };
    path.starts_with(rule.within) && !rule.only.iter().any(allowed)
}

/// Whether a path begins with the crate `word`.
pub fn starts_with(path: &Named, word: &str) -> bool {
    path.segments.first().is_some_and(|first| first == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden_lines(text: &str) -> Vec<usize> {
        forbidden(&Tree::of([("a.md", text)])).into_iter().map(|p| p.line).collect()
    }

    fn named_in(path: &str, text: &str) -> usize {
        named(&Tree::of([(path, text), ("catalog-server/Cargo.toml", "[package]")])).len()
    }

    #[test]
    fn every_forbidden_text_is_found() {
        for (text, _) in FORBIDDEN_TEXT {
            assert_eq!(forbidden_lines(&format!("fine\nsee `{text}x`\n")), [2], "{text}");
        }
    }

    #[test]
    fn a_path_inside_another_is_fine() {
        let text = FORBIDDEN_TEXT[0].0;
        assert_eq!(forbidden_lines(&format!("https://example.com{text} $dir{text} ${{dir}}{text}")), []);
        assert_eq!(forbidden_lines(&format!("file://{text}x")), [1]);
    }

    #[test]
    fn a_kept_name_outside_its_place_is_told() {
        assert_eq!(named_in("format/src/scan/read.rs", "use object_store::path::Path;"), 1);
        assert_eq!(named_in("format/src/scan/read.rs", "fn f(x: object_store::Error) {}"), 1);
        assert_eq!(named_in("catalog-server/src/catalog/table.rs", "use axum::Json;"), 1);
        assert_eq!(named_in("cli/src/main.rs", "use axum;"), 1);
    }

    #[test]
    fn a_kept_name_in_its_place_or_in_a_test_is_fine() {
        assert_eq!(named_in("format/src/store/put.rs", "use object_store::path::Path;"), 0);
        assert_eq!(named_in("compaction/src/plan.rs", "use object_store::path::Path;"), 0);
        assert_eq!(named_in("catalog-server/src/http/router.rs", "use axum::Json;"), 0);
        assert_eq!(named_in("catalog-server/src/serve.rs", "use axum::Router;"), 0);
        assert_eq!(
            named_in("format/src/scan/read.rs", "// object_store::x\n#[cfg(test)] mod t { use object_store::x; }"),
            0
        );
        assert_eq!(named_in("format/src/scan/read.rs", "let object_store = 1; self.object_store.x();"), 0);
    }
}
