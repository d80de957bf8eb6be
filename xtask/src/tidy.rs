//! Whether the whole workspace keeps the rules of the house.

use std::io;
use std::path::{Path, PathBuf};

use crate::check::{arrows, length, opening, rooms, rules, weight, words};
use crate::modules;
use crate::problem::Problem;
use crate::tree::Tree;

type Check = fn(&Tree) -> Vec<Problem>;

/// The checks that need nothing but the files.
const CHECKS: &[Check] = &[
    arrows::check,
    rooms::arrows,
    rooms::purity,
    |tree| modules::dead(tree),
    length::check,
    opening::check,
    rules::check,
    words::forbidden,
    words::named,
];

/// All problems of the workspace at `root`, by file and line.
pub fn tidy(root: &Path) -> io::Result<Vec<Problem>> {
    let tree = Tree::load(root)?;
    let mut problems: Vec<Problem> = CHECKS.iter().flat_map(|check| check(&tree)).collect();
    problems.extend(weight::check(root));
    problems.sort();
    problems.dedup();
    Ok(problems)
}

/// The workspace that cargo runs this program in; outside cargo, the one that it was built in.
pub fn workspace_root() -> PathBuf {
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let here = PathBuf::from(here);
    here.parent().unwrap_or(&here).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_workspace_keeps_the_rules_of_the_house() {
        let problems = tidy(&workspace_root()).expect("the workspace can be read");
        let list: Vec<String> = problems.iter().map(Problem::to_string).collect();
        assert!(list.is_empty(), "{} problems\n{}", list.len(), list.join("\n"));
    }
}
