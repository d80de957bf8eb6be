//! Whether the crate that others embed stays light.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::house::{LIGHT_CRATE, LIGHT_CRATE_BANS, LIGHT_CRATE_LIMIT};
use crate::problem::Problem;

const MANIFEST: &str = "format/Cargo.toml";

/// Banned or too many crates in the dependency tree of the light crate.
pub fn check(root: &Path) -> Vec<Problem> {
    // Without a network first; a machine that never built the workspace has to ask the registry.
    let listing = cargo_tree(root, &["--locked", "--offline"]).or_else(|_| cargo_tree(root, &[]));
    match listing {
        Ok(listing) => judge(&listing),
        Err(error) => vec![Problem::new(MANIFEST, 1, format!("cargo tree failed: {error}"))],
    }
}

fn cargo_tree(root: &Path, more: &[&str]) -> Result<String, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--package", LIGHT_CRATE, "--edges", "normal", "--prefix", "none", "--no-dedupe"])
        .args(more)
        .current_dir(root)
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', " "));
    }
    String::from_utf8(output.stdout).map_err(|error| error.to_string())
}

fn judge(listing: &str) -> Vec<Problem> {
    let crates: BTreeSet<(&str, &str)> = listing
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or_default()))
        .filter(|(name, _)| *name != LIGHT_CRATE)
        .collect();
    if crates.is_empty() {
        return vec![Problem::new(MANIFEST, 1, "cargo tree lists no crate")];
    }
    let banned = crates.iter().filter(|(name, _)| LIGHT_CRATE_BANS.iter().any(|ban| matches(ban, name)));
    let mut problems: Vec<Problem> = banned
        .map(|(name, _)| {
            Problem::new(MANIFEST, 1, format!("{name} is in its dependency tree: see `cargo tree -i {name}`"))
        })
        .collect();
    if crates.len() >= LIGHT_CRATE_LIMIT {
        let message = format!("{} crates in its dependency tree, not fewer than {LIGHT_CRATE_LIMIT}", crates.len());
        problems.push(Problem::new(MANIFEST, 1, message));
    }
    problems
}

fn matches(ban: &str, name: &str) -> bool {
    match ban.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == ban,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(listing: &str) -> Vec<String> {
        judge(listing).into_iter().map(|p| p.message).collect()
    }

    #[test]
    fn a_light_tree_is_fine() {
        assert_eq!(
            told("lake-format v0.1.0 (x)\nbytes v1.0.0\nbytes v1.0.0\nserde_derive v1.0.0 (proc-macro)\n"),
            [""; 0]
        );
    }

    #[test]
    fn a_banned_crate_is_told_once() {
        let found =
            told("lake-format v0.1.0 (x)\nhyper v1.0.0\nhyper v1.0.0\ndatafusion-expr v55.0.0\nhyperloglog v1.0.0");
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("datafusion-expr") && found[1].starts_with("hyper "), "{found:?}");
    }

    #[test]
    fn too_many_crates_are_told() {
        let of = |count: usize| (0..count).map(|at| format!("c{at} v1.0.0\n")).collect::<String>();
        assert_eq!(told(&of(LIGHT_CRATE_LIMIT - 1)), [""; 0]);
        assert_eq!(told(&of(LIGHT_CRATE_LIMIT)).len(), 1);
        assert_eq!(told("").len(), 1);
    }
}
