//! Whether every file opens with a line that says what it answers.

use crate::problem::Problem;
use crate::tree::Tree;

/// Files whose first line is no `//!` line with words.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let opens = |text: &str| {
        let line = text.lines().next().and_then(|line| line.strip_prefix("//!"));
        line.is_some_and(|words| !words.trim().is_empty())
    };
    tree.rust_files()
        .filter(|(file, _)| !opens(&file.text))
        .map(|(file, _)| Problem::new(&file.path, 1, "the first line is no `//!` line that says what the file answers"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_its_line_is_told() {
        let tree = Tree::of([
            ("a.rs", "//! What this is.\nfn a() {}"),
            ("b.rs", "\n//! Too late."),
            ("c.rs", "//!\nfn a() {}"),
            ("d.rs", ""),
            ("e.md", "text"),
        ]);
        assert_eq!(check(&tree).into_iter().map(|p| p.file).collect::<Vec<_>>(), ["b.rs", "c.rs", "d.rs"]);
    }
}
