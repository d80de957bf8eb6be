//! The help of every command.

use crate::harness::{Sandbox, snapshot};

#[test]
fn the_program() {
    let mut sandbox = Sandbox::new();
    sandbox.lake(&["--version"]).lake(&["-h"]).lake(&["--help"]);
    snapshot!("help", sandbox);
}

#[test]
fn commands_on_tables() {
    let mut sandbox = Sandbox::new();
    for command in [
        "create",
        "import",
        "scan",
        "sql",
        "show",
        "log",
        "files",
        "schema",
        "alter",
        "restore",
        "diff",
        "fsck",
        "checkpoint",
    ] {
        sandbox.lake(&[command, "--help"]);
    }
    snapshot!("help_tables", sandbox);
}

#[test]
fn other_commands() {
    let mut sandbox = Sandbox::new();
    for command in ["optimize", "vacuum", "serve", "login", "catalogs", "schemas", "tables", "completions"] {
        sandbox.lake(&[command, "-h"]);
    }
    for (command, actions) in [
        ("catalogs", &["list", "create", "show", "drop"][..]),
        ("schemas", &["list", "create", "show", "drop"]),
        ("tables", &["list", "show", "register", "set", "contract", "drop"]),
        ("store", &["probe", "add", "list"]),
        ("commit", &["status"]),
    ] {
        for action in actions {
            sandbox.lake(&[command, action, "-h"]);
        }
    }
    for change in
        ["add-column", "rename-column", "drop-column", "alter-column", "set-property", "unset-property", "add-feature"]
    {
        sandbox.lake(&["alter", "./t", change, "-h"]);
    }
    snapshot!("help_others", sandbox);
}
