//! Whether files and functions are short enough to be read in one go.

use std::ops::RangeInclusive;

use crate::files::File;
use crate::house::{FILE_LINES, FUNCTION_LINES, INLINE_TEST_LINES};
use crate::lexer::Kind;
use crate::problem::Problem;
use crate::rust::Rust;
use crate::tree::Tree;

/// Files and functions of production code over their limits. Files of tests have none.
pub fn check(tree: &Tree) -> Vec<Problem> {
    let production = tree.rust_files().filter(|(file, _)| !tree.is_test(&file.path));
    production.flat_map(|(file, rust)| file_length(file, rust).into_iter().chain(functions(file, rust))).collect()
}

fn file_length(file: &File, rust: &Rust) -> Vec<Problem> {
    let tests = rust.test_lines();
    let test_lines: usize = tests.iter().map(span_lines).sum();
    let lines = file.text.lines().count().saturating_sub(test_lines);
    let mut problems = Vec::new();
    if lines > FILE_LINES {
        let message = format!("{lines} lines of code without tests, over {FILE_LINES}: split the file by its subjects");
        problems.push(Problem::new(&file.path, 1, message));
    }
    if test_lines > INLINE_TEST_LINES {
        let line = tests.first().map_or(1, |span| *span.start());
        let message =
            format!("{test_lines} lines of tests, over {INLINE_TEST_LINES}: move them to a sibling `tests.rs`");
        problems.push(Problem::new(&file.path, line, message));
    }
    problems
}

fn span_lines(span: &RangeInclusive<usize>) -> usize {
    span.end() + 1 - span.start()
}

fn functions(file: &File, rust: &Rust) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, pair) in rust.code.windows(2).enumerate() {
        let [word, name] = pair else { continue };
        if !word.is("fn") || name.kind != Kind::Ident || rust.is_test(at) {
            continue;
        }
        let Some(end_line) = body_end(rust, at) else { continue };
        let lines = end_line + 1 - word.line;
        if lines > FUNCTION_LINES {
            let message = format!("`{}` has {lines} lines, over {FUNCTION_LINES}: name its steps", name.text);
            problems.push(Problem::new(&file.path, word.line, message));
        }
    }
    problems
}

/// Line of the brace that closes the body of the function at `at`; none for a declaration without a body.
fn body_end(rust: &Rust, at: usize) -> Option<usize> {
    let (mut round, mut curly) = (0_usize, 0_usize);
    for token in rust.code.get(at..)?.iter().filter(|token| token.kind == Kind::Punct) {
        match token.text.as_str() {
            "(" | "[" => round += 1,
            ")" | "]" => round = round.saturating_sub(1),
            // Inside round brackets a brace belongs to a signature until the body is open.
            "{" if curly > 0 || round == 0 => curly += 1,
            "}" if curly == 1 => return Some(token.end_line),
            "}" => curly = curly.saturating_sub(1),
            ";" if curly == 0 && round == 0 => return None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(path: &str, text: String) -> Vec<(usize, String)> {
        check(&Tree::of([(path.to_owned(), text)])).into_iter().map(|p| (p.line, p.message)).collect()
    }

    fn lines(count: usize) -> String {
        "x;\n".repeat(count)
    }

    #[test]
    fn a_long_file_is_told_and_tests_do_not_count() {
        assert_eq!(told("a/src/b.rs", lines(FILE_LINES)), []);
        assert_eq!(told("a/src/b.rs", lines(FILE_LINES + 1)).len(), 1);
        let with_tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", lines(FILE_LINES), lines(50));
        assert_eq!(told("a/src/b.rs", with_tests), []);
        assert_eq!(told("a/src/b/tests.rs", lines(FILE_LINES + 1)), []);
    }

    #[test]
    fn long_tests_move_out() {
        let text = format!("x;\n#[cfg(test)]\nmod tests {{\n{}}}\n", lines(INLINE_TEST_LINES));
        let found = told("a/src/b.rs", text);
        assert_eq!((found.len(), found[0].0), (1, 2));
    }

    #[test]
    fn a_long_function_is_told_by_name() {
        assert_eq!(told("a/src/b.rs", format!("fn f() {{\n{}}}", lines(FUNCTION_LINES - 2))), []);
        let found = told("a/src/b.rs", format!("\n  fn f() {{\n{}}}", lines(FUNCTION_LINES - 1)));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].0, 2);
        assert!(found[0].1.contains("`f` has 71 lines"), "{found:?}");
    }

    #[test]
    fn braces_in_text_do_not_close_a_function() {
        for odd in ["\"}\"", "'}'", "r#\"}\"}\"#", "b'}'", "/* } */ 1", "// }\n1", "'\\''", "\"\\\"}\""] {
            let text = format!("fn f() {{\nlet a = {odd};\n{}}}\nfn g() {{}}", lines(FUNCTION_LINES));
            assert_eq!(told("a/src/b.rs", text).len(), 1, "{odd}");
        }
    }

    #[test]
    fn a_function_ends_where_it_ends() {
        let short = format!("trait T {{\nfn f(&self);\n{}}}\ntype F = fn(u8);\n{}", lines(80), lines(80));
        assert_eq!(told("a/src/b.rs", short), []);
        let signature = format!("fn f(a: [u8; {{ 2 }}]) -> u8 {{\n{}}}", lines(FUNCTION_LINES));
        assert_eq!(told("a/src/b.rs", signature).len(), 1);
    }
}
